import type { RoomSource } from './room.ts';

/** Durations in Temporal's notation. */
export type PolicyDuration = `${number}${'ms' | 's' | 'm' | 'h'}`;

/** Time-outs of one kind of activity; every retry is bounded by `scheduleToClose`, not by a number of attempts. */
export interface ActivityLimits {
  /** One attempt. */
  readonly startToClose: PolicyDuration;
  /** Silence after which an attempt is given up; how a cancellation reaches it. */
  readonly heartbeat: PolicyDuration;
  /** All attempts together. */
  readonly scheduleToClose: PolicyDuration;
  readonly retryInitial: PolicyDuration;
  readonly retryMaximum: PolicyDuration;
}

/** All that bounds a recovery. It is recorded in the history of each recovery; tests shorten it. */
export interface RecoveryPolicy {
  /** Drift below this is no reason to touch the clock; the operations document names 60 s. */
  readonly driftThresholdMs: number;
  /** An older answer of GitHub about `busy` is asked again right before the service is stopped. */
  readonly busyAnswerMaxAgeMs: number;
  /** Times that starting the service is tried. */
  readonly serviceStarts: number;
  /** A guest that boots is given this long to answer. */
  readonly guestAnswersWithinMs: number;
  readonly guestPollMs: number;
  /** Times that a machine out of reach is restarted, or started; each follows a look of its own. */
  readonly bringUpRounds: number;
  /** A service that was started is given so long until its listener shows. */
  readonly serviceSettlesWithinMs: number;
  /** Between two looks so far apart a computer slept, or no worker was there: that time says nothing about the guest. */
  readonly lookGapMs: number;
  /**
   * A guest that has not answered for this long is restarted although GitHub still calls a runner of it busy, where GitHub shows that
   * runner offline: the lease of a lost job decays within 10 to 15 minutes (https://github.com/ubicloud/ubicloud/issues/1678).
   */
  readonly jobLostAfterMs: number;
  /**
   * GitHub calls a runner busy from a job's assignment on, and its worker shows up to 45 s later, as measured: what is busy without a worker for
   * longer, in one look after the other, has no job that is about to begin.
   */
  readonly jobBeginsWithinMs: number;
  /**
   * GitHub shows a runner that is gone online for a minute or more, without a documented figure. One that is online for longer
   * without a listener in its machine is alive elsewhere.
   */
  readonly goneShownWithinMs: number;
  /** An act of somebody else in the guest is waited for so long; none may run longer than its deadline. */
  readonly strangerActWithinMs: number;
  /** GitHub shows a runner online some seconds after its listener connected, seen up to 45 s; the default leaves room. */
  readonly onlineWithinMs: number;
  readonly onlinePollMs: number;
  /** A host whose worker takes no task for this long is silent. */
  readonly hostSilentAfterMs: number;
  /** First and longest wait between two tries to get a machine that somebody holds, each twice as long as the one before: most acts are short, and those that last long are no reason to ask often. */
  readonly lockPollMs: number;
  readonly lockPollLongestMs: number;
  /** Wait between two looks whether the job of a runner that is being drained has ended: a job that follows it within this is let run as well. */
  readonly drainPollMs: number;
  /** Nobody hears of the end of a guest's own wait for the job, and to ask for it anew holds the machine. */
  readonly guardAgainMs: number;
  /** So long a drain holds the machine at most to have its guest wait for the job: whoever waits for the machine comes first. */
  readonly guardWithinMs: number;
  /** A drain lasts as long as a job, in a new history after each such time: none is to outlive a release, nor to grow too long. */
  readonly drainHistoryMs: number;
  readonly limits: {
    readonly look: ActivityLimits;
    readonly github: ActivityLimits;
    readonly verify: ActivityLimits;
    readonly startMachine: ActivityLimits;
    readonly act: ActivityLimits;
  };
  /** Deadlines in the guest, enforced there whatever becomes of the client. */
  readonly deadlines: {
    readonly timeSyncMs: number;
    readonly setAsideMs: number;
    readonly configureMs: number;
    readonly startServiceMs: number;
    readonly restartServiceMs: number;
    readonly restoreMs: number;
    /** Each act of a drain. A frozen runner is thawed two minutes after it was frozen, whatever becomes of the act. */
    readonly drainMs: number;
  };
  readonly budgets: BudgetPolicy;
  readonly upkeep: UpkeepPolicy;
}

/** What bounds the care for actions caches and disks, which is for moments without a job. */
export interface UpkeepPolicy {
  /** Time between two cleanings of a runner's actions cache. */
  readonly cleanEveryMs: number;
  /** Upkeep that is due for so much longer is told to people. */
  readonly overdueAfterMs: number;
  /** An entry of the actions cache that nothing has used for so long is removed. */
  readonly cacheUnusedMs: number;
  readonly room: RoomPolicy;
  readonly package: PackagePolicy;
  readonly failures: FailurePolicy;
  /** Of an act in the guest, its deletions included. */
  readonly deadlineMs: number;
  readonly limits: { readonly list: ActivityLimits };
}

/** When the runner's package is fetched ahead of need, and how long that may take. */
export interface PackagePolicy {
  /** Hours of the host's day in which a newer one replaces the one that is kept; `null` for never. */
  readonly quietHours: { readonly from: number; readonly until: number } | null;
  /** After a check could not fetch it, the next one tries again after so long. */
  readonly retryMs: number;
  /** Of the download in the guest. */
  readonly deadlineMs: number;
  readonly limits: ActivityLimits;
}

/** When room is made on a machine's disk, how much, and from what. */
export interface RoomPolicy {
  /** From these on. */
  readonly usedPercent: number;
  readonly inodesUsedPercent: number;
  /** It is enough once both are below this. */
  readonly enoughPercent: number;
  /** With less free, and nothing left that may go, the runner is drained: a job that runs out of disk harms more than one that waits. */
  readonly floorBytes: number;
  readonly floorInodesPercent: number;
  /** What was used or written within this is kept, by source; `null` leaves the source alone. */
  readonly unusedForMs: Readonly<Record<RoomSource, number | null>>;
  /** What the journal may keep. */
  readonly journalBytes: number;
}

/** What bounds the look at failed runs, and their re-run. */
export interface FailurePolicy {
  /** Attempts that began longer ago are not looked at: whoever waits for their verdict has acted. */
  readonly withinMs: number;
  /** Runs that were created longer ago are not listed, although their re-run may have failed lately. */
  readonly listedMs: number;
  /** Of 100 runs each. */
  readonly pages: number;
  /** Runs whose jobs one pass reads; the rest is for the next one. */
  readonly runsAtOnce: number;
  /** After so long a look begins nothing more, and tells what it has seen so far. */
  readonly lookMs: number;
  /** Of a log, at most. */
  readonly logBytes: number;
  /** Of all logs of a pass. */
  readonly logBytesAtOnce: number;
  /** Times that a run is re-run. */
  readonly reruns: number;
  /** Where the answer to a re-run is lost, the run is read after so long: it tells what has become of it. */
  readonly doubtMs: number;
  readonly limits: { readonly inspect: ActivityLimits; readonly rerun: ActivityLimits };
}

/** How often a check may recover one runner. A person's command is counted and never refused. */
export interface BudgetPolicy {
  readonly recoveries: number;
  readonly withinMs: number;
  /** Failures in a row after which checks stop and wait for a person or the cool-down. */
  readonly failuresInARow: number;
}

/** All that bounds a health check; recorded in the history of each pass, shortened by tests. */
export interface HealthPolicy {
  /** Whether a check starts a stopped machine: when a job waits for it or the host has booted since, always, or never. */
  readonly autostart: 'wanted' | 'always' | 'never';
  /** Drift of the guest's clock; the operations document names 60 s. */
  readonly driftThresholdMs: number;
  /** A runner tolerates five minutes between its clock and GitHub's. */
  readonly hostDriftMs: number;
  /** GitHub offers a job anew after 60 s; an online, idle runner that lets one wait for so long is deaf. */
  readonly deafAfterMs: number;
  /** The lease of a lost job decays within 10 to 15 minutes (https://github.com/ubicloud/ubicloud/issues/1678). */
  readonly stuckBusyAfterMs: number;
  /** A job whose labels no registered runner has, and that has waited for so long, is told. */
  readonly unservableAfterMs: number;
  /** GitHub removes a runner that was not connected for so long (https://docs.github.com/actions/reference/runners/self-hosted-runners). */
  readonly removedAfterMs: number;
  /** How long before its removal it is told. */
  readonly removalWarningMs: number;
  readonly tokenWarningMs: number;
  readonly retirementWarningMs: number;
  /** After a sleep of the host all badness is unknown for so long. */
  readonly justWokeMs: number;
  /** What was seen longer ago says nothing about what has held since: three passes that were missed. */
  readonly memoryLastsMs: number;
  /** Two readings that are closer together count as one, whoever made them: what lags or hiccups at GitHub lasts for a minute or two. */
  readonly readingsApartMs: number;
  /** Deadline of the look at one machine. */
  readonly machineLookMs: number;
  /** Runs whose jobs one pass reads. */
  readonly runsRead: number;
  /** Runners of one look, so that its answer stays far below Temporal's limits. */
  readonly groupSize: number;
  /** Passes in a row without it after which a finding is cleared. */
  readonly goodPasses: number;
  readonly limits: { readonly look: ActivityLimits; readonly github: ActivityLimits };
  /** A cure that is at work for so long is told: it is longer than any of them takes, but for a drain that waits for a job. */
  readonly cureStuckAfterMs: number;
  /** A host whose worker takes no look for this long is silent. */
  readonly hostSilentAfterMs: number;
  readonly budgets: BudgetPolicy;
  readonly upkeep: UpkeepPolicy;
}

/** All that bounds the life of a finding; recorded in its history, shortened by tests. */
export interface FindingPolicy {
  /** Passes in a row without it after which it is cleared. */
  readonly goodPasses: number;
  /** As of a health check: passes that are closer together count as one. */
  readonly readingsApartMs: number;
  /** After so long, one run of the workflow is followed by the next, so that no history outlives a release. */
  readonly continueAfterMs: number;
  /** A message that could not be delivered for so long is given up. */
  readonly deliverWithinMs: number;
  readonly delivery: Omit<ActivityLimits, 'scheduleToClose'>;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const MIB = 1024 * 1024;

/** How long people are asked to wait for an operation that has begun. */
export const CURE_STUCK_AFTER_MS = 30 * MINUTE;

export const DEFAULT_UPKEEP_POLICY: UpkeepPolicy = {
  cleanEveryMs: DAY,
  overdueAfterMs: DAY,
  // ACTIONS_CACHE_MAX_AGE_DAYS of the operations document.
  cacheUnusedMs: 7 * DAY,
  room: {
    usedPercent: 90,
    inodesUsedPercent: 90,
    enoughPercent: 85,
    // The runner itself warns its jobs below 100 MB (actions/runner, src/Runner.Worker/JobExtension.cs); a checkout and a build need more.
    floorBytes: 512 * MIB,
    floorInodesPercent: 98,
    unusedForMs: {
      'runner-package': 0,
      'diagnostic-logs': 7 * DAY,
      'temporary-files': 0,
      'update-leftovers': 0,
      'tool-caches': 30 * DAY,
      docker: 7 * DAY,
      journal: 0,
      apt: 0,
      workspaces: null,
    },
    journalBytes: 100 * MIB,
  },
  package: {
    quietHours: { from: 1, until: 5 },
    retryMs: 6 * 60 * MINUTE,
    // 200 MiB at 4 Mbit/s. What has come by then is gone on with, through the host.
    deadlineMs: 8 * MINUTE,
    // Through the host: a download of its own, and some 300 pieces, each a second in a slow guest.
    limits: { startToClose: '45m', heartbeat: '30s', scheduleToClose: '1h', retryInitial: '5s', retryMaximum: '1m' },
  },
  failures: {
    withinMs: DAY,
    listedMs: 7 * DAY,
    pages: 3,
    runsAtOnce: 50,
    // Of the 100 s that an attempt has; what is under way then may need two more requests, of 15 s each.
    lookMs: MINUTE,
    logBytes: 16 * MIB,
    logBytesAtOnce: 64 * MIB,
    reruns: 2,
    doubtMs: 5_000,
    limits: {
      // A pass waits for it, and ends well before the next one.
      inspect: { startToClose: '100s', heartbeat: '20s', scheduleToClose: '150s', retryInitial: '2s', retryMaximum: '20s' },
      rerun: { startToClose: '60s', heartbeat: '20s', scheduleToClose: '1h', retryInitial: '5s', retryMaximum: '1m' },
    },
  },
  // 100,000 files are gone within a minute in an emulated guest; a tree of millions on a slow disk takes longer.
  deadlineMs: 10 * MINUTE,
  limits: { list: { startToClose: '3m', heartbeat: '20s', scheduleToClose: '6m', retryInitial: '2s', retryMaximum: '20s' } },
};

export const DEFAULT_RECOVERY_POLICY: RecoveryPolicy = {
  driftThresholdMs: MINUTE,
  busyAnswerMaxAgeMs: 30_000,
  serviceStarts: 3,
  guestAnswersWithinMs: 2 * MINUTE,
  guestPollMs: 5_000,
  // What a second and third restart do not mend, a tenth does not either: a person hears of it, and a later check tries anew.
  bringUpRounds: 3,
  serviceSettlesWithinMs: 20_000,
  lookGapMs: 2 * MINUTE,
  jobLostAfterMs: 20 * MINUTE,
  jobBeginsWithinMs: 90_000,
  goneShownWithinMs: 3 * MINUTE,
  strangerActWithinMs: 10 * MINUTE,
  onlineWithinMs: 3 * MINUTE,
  onlinePollMs: 3_000,
  hostSilentAfterMs: 5 * MINUTE,
  lockPollMs: 2_000,
  lockPollLongestMs: 30_000,
  drainPollMs: 15_000,
  guardAgainMs: 5 * MINUTE,
  // Two calls into a guest, of some seconds each in an emulated one.
  guardWithinMs: 30_000,
  drainHistoryMs: 6 * 60 * MINUTE,
  limits: {
    // The list of machines may take 30 s and the guest 45 s: a guest that is dead is to be told by the look, and not by its end.
    look: { startToClose: '90s', heartbeat: '20s', scheduleToClose: '5m', retryInitial: '1s', retryMaximum: '10s' },
    github: { startToClose: '30s', heartbeat: '20s', scheduleToClose: '10m', retryInitial: '2s', retryMaximum: '60s' },
    // One attempt outlives the online deadline; a second one follows a worker that was restarted.
    verify: { startToClose: '5m', heartbeat: '20s', scheduleToClose: '15m', retryInitial: '1s', retryMaximum: '10s' },
    // Multipass's daemon waits five minutes each for SSH and for initialisation.
    startMachine: { startToClose: '11m', heartbeat: '20s', scheduleToClose: '25m', retryInitial: '5s', retryMaximum: '30s' },
    act: { startToClose: '12m', heartbeat: '20s', scheduleToClose: '30m', retryInitial: '3s', retryMaximum: '30s' },
  },
  deadlines: {
    timeSyncMs: 2 * MINUTE,
    // `svc.sh stop` may take TimeoutStopSec (five minutes) where the runner does not react.
    setAsideMs: 8 * MINUTE,
    configureMs: 5 * MINUTE,
    startServiceMs: 2 * MINUTE,
    // A stop by systemd may take a minute where the runner does not react.
    restartServiceMs: 4 * MINUTE,
    restoreMs: 2 * MINUTE,
    drainMs: 2 * MINUTE,
  },
  budgets: { recoveries: 3, withinMs: 6 * 60 * MINUTE, failuresInARow: 2 },
  upkeep: DEFAULT_UPKEEP_POLICY,
};

export const DEFAULT_HEALTH_POLICY: HealthPolicy = {
  autostart: 'wanted',
  driftThresholdMs: MINUTE,
  hostDriftMs: 2 * MINUTE,
  deafAfterMs: 4 * MINUTE,
  stuckBusyAfterMs: 20 * MINUTE,
  unservableAfterMs: 10 * MINUTE,
  removedAfterMs: 14 * DAY,
  removalWarningMs: 4 * DAY,
  tokenWarningMs: 7 * DAY,
  retirementWarningMs: 21 * DAY,
  justWokeMs: 3 * MINUTE,
  memoryLastsMs: 15 * MINUTE,
  readingsApartMs: 2 * MINUTE,
  machineLookMs: 45_000,
  runsRead: 300,
  groupSize: 200,
  goodPasses: 3,
  limits: {
    // Below the five minutes between two passes.
    look: { startToClose: '3m', heartbeat: '20s', scheduleToClose: '4m', retryInitial: '1s', retryMaximum: '10s' },
    github: { startToClose: '60s', heartbeat: '20s', scheduleToClose: '90s', retryInitial: '2s', retryMaximum: '20s' },
  },
  cureStuckAfterMs: CURE_STUCK_AFTER_MS,
  hostSilentAfterMs: MINUTE,
  budgets: DEFAULT_RECOVERY_POLICY.budgets,
  upkeep: DEFAULT_UPKEEP_POLICY,
};

export const DEFAULT_FINDING_POLICY: FindingPolicy = {
  goodPasses: DEFAULT_HEALTH_POLICY.goodPasses,
  readingsApartMs: DEFAULT_HEALTH_POLICY.readingsApartMs,
  continueAfterMs: 6 * 60 * MINUTE,
  deliverWithinMs: DAY,
  // A channel gives up an attempt after ten seconds.
  delivery: { startToClose: '30s', heartbeat: '30s', retryInitial: '5s', retryMaximum: '10m' },
};
