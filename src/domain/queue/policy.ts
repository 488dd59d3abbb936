import type { ActivityLimits } from '../policy.ts';
import type { Reach } from './run.ts';

/** Rules of queue care, in their order: what an earlier one does about a run, a later one leaves alone. */
export const RULES = ['stale', 'superseded', 'prioritizePullRequests', 'paths'] as const;
export type RuleName = (typeof RULES)[number];

/** `plan`: only say what would be done. */
export type RuleMode = 'on' | 'off' | 'plan';

/** A glob of refs as configuration has it, and what it means: the source of a regular expression for a whole name. */
export interface RefPattern {
  readonly glob: string;
  readonly pattern: string;
}

/** Events of runs in GitHub's words, but that `push` means branches, and `push:tags` tags. */
export type EventFilter = 'all' | { readonly only: readonly string[] } | { readonly except: readonly string[] };

/** Refs of the repository whose every commit is to get its verdict: their runs are never ended, and parked for an hour at most. */
export interface ProtectedRefs {
  readonly patterns: readonly RefPattern[];
  /** Whether the repository's default branch is one, whatever it is called. */
  readonly defaultBranch: boolean;
}

export interface RulePolicies {
  readonly stale: {
    readonly mode: RuleMode;
    readonly afterMs: number;
    readonly events: EventFilter;
    /** `online`: it stands still while no runner that could take a job of the run is online. */
    readonly clock: 'online' | 'wall';
  };
  readonly superseded: {
    readonly mode: RuleMode;
    readonly events: EventFilter;
    readonly protect: ProtectedRefs;
    /** `on`: a newer run replaces an older one only if it has a job for each of the older one's, by name. */
    readonly sameWork: 'on' | 'off';
  };
  readonly prioritizePullRequests: {
    readonly mode: RuleMode;
    readonly threshold: number;
    readonly then: 'park' | 'cancel';
    /** `pullRequests`: runs of one pull request, or of one author's forks, count once. */
    readonly count: 'pullRequests' | 'runs';
  };
  /** Heavy workflows whose paths the change does not touch: what they are, the path filter is to say. */
  readonly paths: { readonly mode: 'off' };
}

/** All that bounds queue care; recorded in the history of each pass, shortened by tests. */
export interface QueuePolicy {
  readonly rules: RulePolicies;
  readonly reach: Reach;
  /** Acts of a scheduled pass, at most. */
  readonly maxPerPass: number;
  /** Pages of 100 runs that one activity reads: its answer stays far below Temporal's limits. */
  readonly pagesAtOnce: number;
  /** Runs of which one activity reads the jobs, or which it cancels. */
  readonly batchSize: number;
  /** Pull-request runs of which the jobs are read to know the demand. */
  readonly demandReads: number;
  /** What is known of runners, and of who waits for them, is read anew before a batch once it is older. */
  readonly groundHoldsMs: number;
  /** Times that a run is tried which GitHub fails at, or of which nobody knows whether it has heard. */
  readonly tries: number;
  readonly following: FollowPolicy;
  readonly setAside: { readonly firstMs: number; readonly longestMs: number };
  readonly parking: ParkingPolicy;
  readonly limits: {
    /** Reading one part of a list. */
    readonly list: ActivityLimits;
    /** The same between two batches of acts, while the queue's lock is held. */
    readonly anew: ActivityLimits;
    /** Reading the jobs of a batch, or following it. */
    readonly read: ActivityLimits;
    /** Cancelling or re-running a batch. */
    readonly write: ActivityLimits;
  };
}

/** How a run whose cancellation was accepted is followed until it is over. */
export interface FollowPolicy {
  /** Before the first look; 0 looks at once. */
  readonly firstMs: number;
  readonly longestMs: number;
  /**
   * GitHub ends what does not react by itself after five minutes
   * (https://docs.github.com/actions/reference/workflows-and-actions/workflow-cancellation); then it is forced.
   */
  readonly forceAfterMs: number;
  /** So long after it was forced it is told as not over, and set aside. One that can't be read for so long is left to a later pass. */
  readonly giveUpAfterMs: number;
  /** A cancellation that was not answered is sent once more if the run is not over after so long. */
  readonly doubtMs: number;
  /** A scheduled pass tells what is not over after so long as accepted, and ends: the next one is skipped while it is open. */
  readonly tellAfterMs: number;
  /** A run is left alone for so long beyond the time in which it is followed, so that what follows it may be late. */
  readonly marginMs: number;
}

/** GitHub re-runs a run for 30 days after it was created, and 50 times. */
export interface ParkingPolicy {
  /** Runs that are parked at the same time. */
  readonly most: number;
  /** Times that one run is parked. */
  readonly times: number;
  /** A run of that age is not parked any more, and one that is parked is re-run whatever waits. */
  readonly oldestMs: number;
  readonly mostReruns: number;
  /** A run that was to be cancelled and is not over after so long has not heard of it. */
  readonly doubtMs: number;
  /** A run for a protected ref is parked no longer than this, and then never again. */
  readonly protectedMs: number;
  /** While pull requests press on, a run that is parked for so long gets its turn, the oldest first, and is then parked no more. */
  readonly turnAfterMs: number;
  /** Pull-request runs that wait, for each that has its turn and waits among them. */
  readonly pullRequestsPerTurn: number;
  /** People are told of runs that are parked for so long. */
  readonly toldAfterMs: number;
  /** After so long one run of the workflow is followed by the next, so that no history outlives a release. */
  readonly continueAfterMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** By its first look a schedule's pass only plans, so what its worker has read so long before is good enough for it. */
export const READING_BELIEVED_MS = 2 * MINUTE;

/** The operations document's; configuration replaces what it names. */
export const DEFAULT_QUEUE_POLICY: QueuePolicy = {
  rules: {
    stale: {
      mode: 'on',
      afterMs: 4 * HOUR,
      events: { except: ['push:tags', 'release', 'deployment', 'merge_group'] },
      clock: 'online',
    },
    superseded: {
      mode: 'on',
      events: { only: ['push', 'pull_request', 'pull_request_target'] },
      protect: { defaultBranch: true, patterns: [{ glob: 'release/**', pattern: '^release(?:\\/.*)?$' }] },
      sameWork: 'on',
    },
    prioritizePullRequests: { mode: 'on', threshold: 5, then: 'park', count: 'pullRequests' },
    paths: { mode: 'off' },
  },
  reach: 'served',
  maxPerPass: 200,
  pagesAtOnce: 5,
  batchSize: 100,
  demandReads: 1_000,
  groundHoldsMs: MINUTE,
  tries: 3,
  following: {
    firstMs: 2_000,
    longestMs: 30_000,
    forceAfterMs: 6 * MINUTE,
    giveUpAfterMs: 6 * MINUTE,
    doubtMs: 15_000,
    tellAfterMs: 15_000,
    marginMs: 10 * MINUTE,
  },
  setAside: { firstMs: HOUR, longestMs: DAY },
  parking: {
    most: 500,
    times: 2,
    oldestMs: 29 * DAY,
    mostReruns: 50,
    doubtMs: 30 * MINUTE,
    protectedMs: HOUR,
    turnAfterMs: HOUR,
    pullRequestsPerTurn: 5,
    toldAfterMs: HOUR,
    continueAfterMs: 6 * HOUR,
  },
  limits: {
    anew: { startToClose: '1m', heartbeat: '20s', scheduleToClose: '2m', retryInitial: '1s', retryMaximum: '10s' },
    list: { startToClose: '2m', heartbeat: '20s', scheduleToClose: '30m', retryInitial: '1s', retryMaximum: '30s' },
    read: { startToClose: '10m', heartbeat: '20s', scheduleToClose: '1h', retryInitial: '1s', retryMaximum: '30s' },
    // A batch of 100 at one write a minute.
    write: { startToClose: '2h', heartbeat: '20s', scheduleToClose: '6h', retryInitial: '1s', retryMaximum: '30s' },
  },
};
