// Effects, thin: call a port, heartbeat, map errors. This file is all that workflows see, and they see its types only.
// May import: domain, types of ports.

import type { NamedRunner } from '../domain/choose-runner.ts';
import type { FindingPlace, Message } from '../domain/alert.ts';
import type { CacheListed, CacheRemoved, CacheWanted } from '../domain/cache.ts';
import type { Attempt, DamagedRun, FailureMemory, RerunPlan } from '../domain/damaged-run.ts';
import type { Diagnosed } from '../domain/finding.ts';
import type { FindingLife } from '../domain/finding-life.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import type { SearchAttribute } from '../domain/names.ts';
import type { CureAtWork } from '../domain/cure-stuck.ts';
import type { HostLook, OpenFinding, RunnersMemory, ScopeObservation } from '../domain/pass.ts';
import type { FailurePolicy, FindingPolicy, HealthPolicy, RecoveryPolicy } from '../domain/policy.ts';
import type { CancelAttempt, FollowedEnd, FollowedRun } from '../domain/queue/attempt.ts';
import type { Remembered } from '../domain/queue/intended.ts';
import type { ParkedRules, ParkedRun, SettledRun } from '../domain/queue/parked.ts';
import type { ParkingPolicy, QueuePolicy } from '../domain/queue/policy.ts';
import type { LabelSet, Run, RunJobs } from '../domain/queue/run.ts';
import type { Refusal, ToldAct } from '../domain/queue/report.ts';
import type { Silence } from '../domain/queue/silence.ts';
import type { QueueRunners } from '../domain/queue/takers.ts';
import type { Tally } from '../domain/queue/tally.ts';
import type { LeftRun } from '../domain/queue/verdict.ts';
import type { PackedWork, WorkItem } from '../domain/queue/work.ts';
import type { PackageFound, PackageStored, PackageWanted } from '../domain/package.ts';
import type { RoomMade, RoomWanted, Workspace } from '../domain/room.ts';
import type { PlainJobs } from '../domain/cordon.ts';
import type { DrainedBy, DrainMark, GitHubObservation, MachineObservation, RegisteredRunner, RunnerTarget } from '../domain/runner.ts';
import type {
  ActRefusal,
  ClockSynced,
  Configured,
  Discarded,
  FenceTaken,
  Heard,
  LetGo,
  MachineRestarted,
  MarkedDrained,
  NotPaused,
  Paused,
  PauseFor,
  PauseWanted,
  Restored,
  ServiceStarted,
  SetAside,
  Stopped,
  Stopping,
  UnmarkedDrained,
  WaitsForEnd,
} from '../machine/port.ts';

export type { ActRefusal, ClockSynced, FenceTaken, Heard, NotPaused, PauseWanted, Restored, ServiceStarted, SetAside, Stopped };

/** What an activity answered, and the attempt that did. */
export interface Answered<T> {
  readonly attempt: number;
  readonly value: T;
}

/** GitHub's limit is reached: the workflow waits on a timer. A span and no time, since clocks differ. */
export interface Limited {
  readonly kind: 'limited';
  readonly waitMs: number;
  readonly why: string;
}

/** A registration token under a key that only workers have; the history may show it. */
export interface SealedToken {
  readonly keyId: string;
  readonly nonce: string;
  readonly sealed: string;
}

export interface TokenGranted {
  readonly kind: 'granted';
  readonly token: SealedToken;
  /** What is left of the token's life by GitHub's clock at the moment it was given. */
  readonly livesMs: number;
  /** By GitHub's clock, epoch milliseconds. */
  readonly expiresAt: number;
}

export interface ResolvedRunner {
  readonly target: RunnerTarget;
  readonly policy: RecoveryPolicy;
  /** Which search attributes the namespace has, as its worker knew at that time. */
  readonly searchAttributes: readonly SearchAttribute[];
  /** `watch`: plan and tell, write nothing. */
  readonly mode: 'act' | 'watch';
  /** Why it only watches, where that is not by configuration. */
  readonly watchReason?: string;
}

export interface ResolvedScope {
  readonly scope: string;
  /** Its configured runners. */
  readonly targets: readonly RunnerTarget[];
  readonly policy: HealthPolicy;
  /** Which search attributes the namespace has, as its worker knew at that time. */
  readonly searchAttributes: readonly SearchAttribute[];
  readonly mode: 'act' | 'watch';
  /** Why it only watches, where that is not by configuration. */
  readonly watchReason?: string;
  /** GitHub's web address, against whose clock hosts compare theirs. */
  readonly serverUrl: string;
  /** Queued runs that queue care has set aside, or cancelled a moment ago; absent in histories that are older than queue care. */
  readonly setAside?: readonly number[];
  /** Of the newest scheduled pass that ended; `null` where there is none. */
  readonly previous: RunnersMemory | null;
  /** Findings of the scope that are open: those that the last pass remembered, and any other that visibility lists. */
  readonly open: readonly OpenFinding[];
}

/** The other operation that has the machine. */
export interface LockHolder {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly reason: string | null;
  /** ISO 8601. */
  readonly since: string;
}

export type LockState =
  /** `null`: a lock without memo, which nobody can be asked about. */
  | { readonly kind: 'held'; readonly holder: LockHolder | null }
  /** Nobody holds it, or its holder was gone and the lock was ended. */
  | { readonly kind: 'free' };

/** A repository, and who may have runners for it. */
export interface QueueHomes {
  readonly scope: string;
  /** Its configured runners, with the labels that each would have. */
  readonly configured: readonly ConfiguredRunner[];
  readonly organisation: OrganisationOfQueue | null;
}

export interface ResolvedQueue extends QueueHomes {
  readonly policy: QueuePolicy;
  /** Which search attributes the namespace has, as its worker knew at that time. */
  readonly searchAttributes: readonly SearchAttribute[];
  readonly mode: 'act' | 'watch';
  /** Why it only watches, where that is not by configuration. */
  readonly watchReason?: string;
  /** GitHub's web address; absent in histories of versions that did not link to it. */
  readonly serverUrl?: string;
  /** Findings of the queue's care that are open. */
  readonly open: readonly OpenFinding[];
  /** What earlier passes have left. */
  readonly remembered: Remembered;
}

/** Runners of a repository, and why not all are known. */
export interface RunnersOfQueue extends QueueRunners {
  readonly kind: 'read';
  /** GitHub's clock when it listed the repository's own, epoch milliseconds; `null` if it did not. */
  readonly at: number | null;
  /** `null` if GitHub does not say. */
  readonly defaultBranch: string | null;
  /** In a sentence each. */
  readonly notes: readonly string[];
}

export interface ConfiguredRunner {
  readonly name: string;
  readonly labels: LabelSet;
}

/** The organisation of a repository, if Runward looks after runners of it: they may work for the repository too. */
export interface OrganisationOfQueue {
  readonly scope: string;
  /** Its configured runners, each with its group: `null` is GitHub's default one. */
  readonly configured: readonly (ConfiguredRunner & { readonly group: string | null })[];
}

/** A part of the list of queued runs, newest first. */
export interface QueuePart {
  readonly kind: 'read';
  /** GitHub's clock, epoch milliseconds. */
  readonly at: number;
  readonly runs: readonly Run[];
  /** Where the next part begins; `null` at the end. */
  readonly next: number | null;
}

/** The first part of the list, and what is around the queue. */
export interface QueueSeen extends QueuePart {
  readonly surroundings: QueueSurroundings;
}

/** Statuses of runs that are not queued, in GitHub's words. */
export type OtherStatus = 'in_progress' | 'waiting' | 'pending' | 'requested';

/** How many runs have each of the other statuses, and what runners there are; `null` if GitHub did not say, or was not asked. */
export interface QueueSurroundings {
  readonly inProgress: number | null;
  readonly waiting: number | null;
  readonly pending: number | null;
  readonly requested: number | null;
  /** Labels of runners that may work for the scope: those that are registered, and those that are configured. */
  readonly offered: readonly LabelSet[];
  /** Labels of the configured ones. */
  readonly ours: readonly LabelSet[];
  /** Those of `offered` of which no runner is online; a state that GitHub does not tell counts as online. */
  readonly silent: readonly LabelSet[];
  /** Whether GitHub listed the runners. */
  readonly areRunnersKnown: boolean;
  /** `null` if GitHub does not say, or nothing is queued. */
  readonly defaultBranch: string | null;
  /** Why something is not known, in a sentence each. */
  readonly notes: readonly string[];
}

/** What rules know of runners and of the repository. */
export type QueueGround = Pick<QueueSurroundings, 'offered' | 'ours' | 'silent' | 'defaultBranch'>;

/** Of a batch of runs; what a limit left unread is missing. */
export interface JobsOfRuns {
  readonly jobs: readonly RunJobs[];
  /** Runs that GitHub failed at, or does not know any more. */
  readonly unread: readonly number[];
  /** Requests that it took. */
  readonly requests: number;
  /** The limit that was met; `null` without one. */
  readonly limited: Limited | null;
}

export interface BatchCancelled {
  readonly attempts: readonly CancelAttempt[];
  /** Items that the limit left undone. */
  readonly rest: readonly WorkItem[];
  /** An attempt that could not say so may have cancelled some of them. */
  readonly mayBeDone: boolean;
  readonly limited: Limited | null;
}

export interface FollowedBatch {
  /** In the order of the runs. */
  readonly ends: readonly FollowedEnd[];
  readonly limited: Limited | null;
}

/** What became of parked runs; those still to be waited for are left out. */
export interface BatchRerun {
  readonly settled: readonly SettledRun[];
  /** Runs that are cancelled, as nobody could say before. */
  readonly cancelled: readonly number[];
  /** Runs that are due and wait on. */
  readonly waiting: readonly LeftRun[];
  /** What GitHub refused for now. */
  readonly refusals: readonly Refusal[];
  readonly limited: Limited | null;
}

/** A run that is followed, and what is told of it once it is over. */
export interface FollowingRun {
  readonly followed: FollowedRun;
  readonly item: WorkItem;
  readonly told: Pick<ToldAct, 'workflow' | 'event' | 'branch' | 'evidence'>;
  /** Since when it can't be read, by Temporal's clock, epoch milliseconds; `null` where the last look told. */
  readonly unreadSince: number | null;
}

/** Input of the workflow `carryOutQueuePlan`, handed from history to history. */
export interface CarryOutInput extends QueueHomes {
  readonly version: 1;
  readonly policy: QueuePolicy;
  readonly ground: QueueGround;
  readonly silences: readonly Silence[];
  /** Labels for which pull requests press; `null` if that is not known. */
  readonly pressed: readonly LabelSet[] | null;
  /** When the runners were read, and who waits for them, by Temporal's clock, epoch milliseconds. */
  readonly lookedAt: { readonly runners: number; readonly demand: number };
  /** When Runward re-ran some of the runs. */
  readonly reruns: readonly (readonly [run: number, at: number])[];
  readonly work: readonly PackedWork[];
  readonly following: readonly FollowingRun[];
  readonly tally: Tally;
}

/** What `carryOutQueuePlan` has come to. */
export interface CarriedOut {
  readonly tally: Tally;
  /** What GitHub has accepted, and is not over yet. */
  readonly following: readonly FollowingRun[];
  /** With those that its own looks at runners have seen begin or end. */
  readonly silences: readonly Silence[];
}

/** Input of the workflow `followRuns`, handed from history to history. */
export interface FollowInput {
  readonly version: 1;
  readonly scope: string;
  readonly policy: QueuePolicy;
  /** The pass that has cancelled the runs. */
  readonly by: { readonly workflowId: string; readonly runId: string };
  /** After so long the pass is told what is over; `null`: it waits for the end. */
  readonly tellAfterMs: number | null;
  /** GitHub's clock before Temporal's. */
  readonly aheadMs: number;
  /** All runs that were to be followed. */
  readonly asked: readonly Pick<WorkItem, 'run' | 'attempt'>[];
  readonly following: readonly FollowingRun[];
  readonly tally: Tally;
}

/** Input of the workflow `parkedRuns`, handed from run to run; it only grows. */
export interface ParkedInput {
  readonly version: 1;
  readonly scope: string;
  readonly policy: ParkingPolicy;
  readonly parked: readonly ParkedRun[];
  /** What became of others, newest last. */
  readonly settled: readonly SettledRun[];
}

/** Signal `park`: before they are cancelled. */
export interface ParkSignal {
  readonly runs: readonly ParkedRun[];
  /** The operation that parks them. */
  readonly by: string;
}

/** Signal `settle`. */
export interface SettleSignal {
  readonly cancelled: readonly number[];
  readonly settled: readonly SettledRun[];
}

/** Activities of queue care. */
export interface QueueActivities {
  /** Looks the repository up in configuration. Fails for good, naming the choices, where the input names none or several. */
  resolveQueue(input: { readonly scope: unknown }): Promise<ResolvedQueue>;
  /** The list's first part, how many runs have these other statuses, and the runners. */
  readQueue(input: QueueHomes & { readonly pages: number; readonly counted: readonly OtherStatus[] }): Promise<QueueSeen | Limited>;
  /** A later part. */
  readQueuePart(input: { readonly scope: string; readonly from: number | null; readonly pages: number }): Promise<QueuePart | Limited>;
  /** One by one, with what each does. */
  readQueueRunners(input: QueueHomes): Promise<RunnersOfQueue | Limited>;
  /** Those of runs that lists show unchanged since are not asked for again. `updatedAt`: by the list, epoch milliseconds. */
  readJobsOfRuns(input: {
    readonly scope: string;
    readonly runs: readonly (readonly [run: number, attempt: number, updatedAt: number | null])[];
  }): Promise<JobsOfRuns>;
  /** Whether each name is a tag's; `null` where GitHub does not say. */
  readTags(input: {
    readonly scope: string;
    /** With the newest push of that name, by GitHub's clock, epoch milliseconds. */
    readonly names: readonly { readonly name: string; readonly pushedAt: number }[];
  }): Promise<{ readonly kind: 'read'; readonly tags: readonly (readonly [name: string, isTag: boolean | null])[] } | Limited>;
  /** Reads each run again and cancels it where the plan still holds. Cut off anywhere and begun again, it goes on behind what is done. */
  cancelBatch(input: {
    readonly scope: string;
    readonly items: readonly WorkItem[];
    readonly offered: readonly LabelSet[];
    readonly silent: readonly LabelSet[];
    /** `null` if GitHub does not say. */
    readonly defaultBranch: string | null;
    readonly silences: readonly Silence[];
    /** Labels for which pull requests press; `null` if that is not known. */
    readonly pressed: readonly LabelSet[] | null;
    /** When Runward re-ran some of them. */
    readonly reruns: readonly (readonly [run: number, at: number])[];
    /** An activity before this one may have cancelled some of them, and could not say so. */
    readonly mayBeDone: boolean;
    readonly policy: QueuePolicy;
  }): Promise<BatchCancelled>;
  /** Looks whether they are over; forces those that do not react. */
  followBatch(input: {
    readonly scope: string;
    readonly runs: readonly FollowedRun[];
    readonly policy: QueuePolicy;
  }): Promise<FollowedBatch>;
  /** Looks what has become of parked runs, and re-runs those that are due and that nothing newer has replaced. */
  rerunBatch(input: {
    readonly scope: string;
    readonly runs: readonly ParkedRun[];
    /** Those whose time has come. */
    readonly due: readonly number[];
    readonly rules: Omit<ParkedRules, 'defaultBranch'>;
  }): Promise<BatchRerun>;
  /** What the last pass has left, and which runs are parked. */
  recallQueue(input: { readonly scope: string }): Promise<Remembered>;
  /** Has them remembered before they are cancelled: once it returns, Temporal has them. */
  rememberParked(input: { readonly scope: string; readonly runs: readonly ParkedRun[]; readonly policy: ParkingPolicy }): Promise<void>;
  /** Tells what became of parked runs: that they are cancelled, or need not be remembered any more. */
  settleParked(input: {
    readonly scope: string;
    readonly cancelled: readonly number[];
    readonly settled: readonly SettledRun[];
  }): Promise<void>;
}

/** What failed runs of a scope have shown. */
export interface FailuresInspected {
  readonly kind: 'inspected';
  /** Those that a runner's own cache let fail; they are not remembered as inspected until somebody has settled them. */
  readonly damaged: readonly DamagedRun[];
  /** Attempts that failed otherwise, on other runners than those that were asked about, or whose every part is settled. */
  readonly settled: readonly Attempt[];
  /** Runs that are left for the next time. */
  readonly left: number;
  /** Of logs that were read. */
  readonly logBytes: number;
  /** Why something is not known, in a sentence each. */
  readonly notes: readonly string[];
}

/** What came of the re-run of a run's failed jobs. */
export type RerunDone =
  | { readonly kind: 're-run' }
  /** GitHub's words, or that it has not answered for too long. */
  | { readonly kind: 'refused'; readonly why: string }
  /** As it is, it is not to be re-run. */
  | { readonly kind: 'left'; readonly why: string };

/** Input of the workflow `rerunFailedJobs`. */
export interface RerunInput {
  readonly version: 1;
  readonly scope: string;
  readonly run: number;
  /** The one that failed: a newer one is left alone. */
  readonly attempt: number;
  readonly plan: Exclude<RerunPlan, { kind: 'none' }>;
  readonly policy: FailurePolicy;
}

/** Activities of the care for actions caches. */
export interface FailureActivities {
  /**
   * Looks for runs that failed because of the actions cache of one of these runners, at a repository; each attempt once. All runners of the
   * scope belong here: what a cache let fail on one that is left out counts as somebody's own mistake.
   */
  inspectFailures(input: {
    readonly scope: string;
    readonly runners: readonly Pick<RunnerTarget, 'runner' | 'directory'>[];
    /** Attempts that need no look, beside those that are remembered. */
    readonly known: readonly Attempt[];
    /** Whether logs are read also where annotations say it all, which costs a request each time. */
    readonly provesByLog?: boolean;
    readonly policy: FailurePolicy;
  }): Promise<FailuresInspected | Limited>;
  recallFailures(input: { readonly scope: string }): Promise<FailureMemory>;
  /** Once; a second attempt sees by the run whether the first has reached GitHub. */
  rerunJobs(input: Omit<RerunInput, 'version' | 'policy'> & Pick<FailurePolicy, 'doubtMs'>): Promise<RerunDone | Limited>;
  /**
   * Of which attempt a reservation is; `null` where there is none (any more). `isCutOff`: its re-run ended without an answer, so that it is
   * not known whether GitHub has heard of it.
   */
  readReservation(input: { readonly workflowId: string }): Promise<{ readonly attempt: number | null; readonly isCutOff: boolean }>;
}

/** Activities of the main queue: configuration, GitHub, Temporal itself. */
export interface MainActivities extends QueueActivities, FailureActivities {
  /** All configured runners, in the order of the configuration. */
  listRunners(): Promise<readonly NamedRunner[]>;
  /** Looks the runner up in configuration. Fails for good, naming the choices, where the input names none or several. */
  resolveRunner(input: { readonly runner: unknown }): Promise<ResolvedRunner>;
  /** `askedAt`: when the attempt that has answered was scheduled, by Temporal's clock: its requests left no sooner. */
  observeGitHub(input: {
    readonly target: RunnerTarget;
  }): Promise<Answered<({ readonly kind: 'seen'; readonly askedAt: number } & GitHubObservation) | Limited>>;
  /** Takes the custom labels of a runner away at GitHub, unless it has one that its mark does not remember. */
  takeLabelsAway(input: {
    readonly target: RunnerTarget;
    readonly id: number;
    readonly remembered: readonly string[];
  }): Promise<Answered<{ readonly kind: 'taken-away' | 'unremembered' | 'gone' } | Limited>>;
  giveLabelsBack(input: {
    readonly target: RunnerTarget;
    readonly id: number;
    readonly labels: readonly string[];
  }): Promise<Answered<{ readonly kind: 'given-back' | 'gone' } | Limited>>;
  /** Waiting jobs of a repository that ask for none of the runner's custom labels. */
  countPlainJobs(input: {
    readonly target: RunnerTarget;
    readonly runner: RegisteredRunner;
  }): Promise<Answered<({ readonly kind: 'counted' } & PlainJobs) | Limited>>;
  requestRegistrationToken(input: { readonly target: RunnerTarget }): Promise<Answered<TokenGranted | Limited>>;
  /** The newest package of the runner for Linux on this architecture, as configured. */
  findPackage(input: { readonly target: RunnerTarget; readonly architecture: string }): Promise<Answered<PackageFound | Limited>>;
  /** Whether GitHub has the runner under the id that it gave before; one that a list lacks is asked for until that is known. */
  findRegistration(input: {
    readonly target: RunnerTarget;
    readonly agentId: number;
  }): Promise<Answered<{ readonly kind: 'seen'; readonly stands: boolean } | Limited>>;
  /** Polls until GitHub shows the runner of this id online, or until `deadline` (epoch milliseconds); looks once at least. */
  awaitOnline(input: {
    readonly target: RunnerTarget;
    readonly agentId: number;
    readonly deadline: number;
    readonly pollMs: number;
  }): Promise<Answered<{ readonly kind: 'online' | 'offline'; readonly runner: RegisteredRunner | null } | Limited>>;
  /** Whether the lock's run still holds it; a run of an operation that `temporal workflow reset` made may find it gone. */
  isLockHeld(input: { readonly lockId: string; readonly lockRunId: string }): Promise<{ readonly held: boolean }>;
  /** Who holds a lock; a lock whose holder is gone is ended, unless it is only asked for words. `asking` is the execution that asks. */
  inspectLock(input: {
    readonly lockId: string;
    readonly asking: { readonly workflowId: string; readonly runId: string };
    readonly onlyReads?: boolean;
  }): Promise<LockState>;
  /** Which of these runners have a cure of a check at work, or a machine that something else holds. */
  inspectCures(input: { readonly targets: readonly RunnerTarget[] }): Promise<{ readonly atWork: readonly CureAtWork[] }>;
  /** With a lock, also whether its run still holds it. */
  readLedger(input: {
    readonly ledgerId: string;
    readonly lock?: { readonly lockId: string; readonly lockRunId: string };
  }): Promise<{ readonly entries: readonly LedgerEntry[]; readonly isHeld?: boolean }>;
  /** Looks the scope up in configuration, and what its last scheduled pass left. Fails for good, naming the choices, where the input names none or several. */
  resolveScope(input: { readonly scope: unknown }): Promise<ResolvedScope>;
  /** GitHub's lists, read once for all these runners of the scope. `damaged`: of failed runs, if there is none to look into; `null` if there is, or may be. */
  observeScope(input: {
    readonly scope: string;
    /** Names of the configured runners. */
    readonly runners: readonly string[];
    /** Custom labels that they have by configuration, or had before a drain. */
    readonly customLabels?: readonly (readonly string[])[];
    /** Whether runners' groups matter: one request more, and only at an organisation. */
    readonly readsGroups: boolean;
    /** Runs whose jobs are read, at most. */
    readonly runsRead: number;
    /** Queued runs that are no demand. */
    readonly setAside: readonly number[];
    /** Whether failed runs are glanced at as well. */
    readonly failures?: FailurePolicy;
  }): Promise<
    Answered<{ readonly kind: 'seen'; readonly scope: ScopeObservation; readonly damaged: readonly DamagedRun[] | null } | Limited>
  >;
  /** Tells each finding's workflow that a pass has seen it, starting the ones that are new, or that a pass has not. */
  reportFindings(input: FindingsReported): Promise<{ readonly opened: number }>;
  /** Names of the channels by which people are told. */
  alertChannels(): Promise<{ readonly channels: readonly string[] }>;
  /** One attempt to deliver; repeated ones are told apart by the message's id. */
  deliverAlert(input: { readonly channel: string; readonly message: Message }): Promise<void>;
}

/** Input of the workflow `finding`; `version` tells runs of different releases apart. */
export interface FindingInput {
  readonly version: 1;
  readonly code: string;
  readonly place: FindingPlace;
  readonly policy: FindingPolicy;
  /** Which search attributes the namespace has; without it all of them. */
  readonly searchAttributes?: readonly SearchAttribute[];
  /** What the run before knew; `null` for a finding that the signal `seen` is to open. */
  readonly life: FindingLife | null;
}

/** Signal `seen`. */
export interface SeenByPass {
  readonly finding: Diagnosed;
  /** Epoch milliseconds of the pass, as in {@link MissedByPass}. */
  readonly at: number;
}

/** Signal `good`. */
export interface MissedByPass {
  readonly at: number;
}

/** What one pass says to the findings of its scope. */
export interface FindingsReported {
  readonly scope: string;
  /** Epoch milliseconds of the pass. */
  readonly at: number;
  /** Proven ones, and open ones that were seen without proof. */
  readonly seen: readonly Diagnosed[];
  /** Open ones that the pass looked for and did not see. */
  readonly good: readonly { readonly subject: string; readonly code: string }[];
  readonly goodPasses: number;
}

/** Activities of a host's look queue. */
export interface LookActivities {
  observeMachine(input: { readonly target: RunnerTarget }): Promise<Answered<MachineObservation>>;
  /** All these machines of the host, each within its deadline, and the host itself; partial where one does not answer. */
  observeMachines(input: {
    readonly targets: readonly RunnerTarget[];
    readonly machineLookMs: number;
    /** GitHub's web address, whose `Date` the host's clock is compared with. */
    readonly serverUrl: string;
  }): Promise<Answered<HostLook>>;
  listCache(input: { readonly target: RunnerTarget; readonly wanted: CacheWanted }): Promise<Answered<CacheListed>>;
  listWorkspaces(input: { readonly target: RunnerTarget }): Promise<Answered<readonly Workspace[]>>;
}

/** What every act is given: who, and the identity of the act in the guest. */
export interface ActInput {
  readonly target: RunnerTarget;
  readonly key: string;
  readonly fence: number;
  readonly deadlineMs: number;
  readonly ignoresStrays?: boolean;
  /** The mark of a drained runner that was seen, and is acted in spite of: any other is refused; `person` covers both. */
  readonly drainSeen?: DrainedBy;
}

/** GitHub's word that the runner is idle, on which an act hangs. */
export interface AskedInput {
  /** When GitHub was asked whether the runner is busy, epoch milliseconds by Temporal's clock. */
  readonly busyAskedAt: number;
  readonly busyAnswerMaxAgeMs: number;
}

/** What every act is given that stops, or moves something of, a runner that may take a job. */
export type StoppingInput = ActInput & Stopping & AskedInput;

/** GitHub's word is too old to act on. Nothing was done, and what was paused still is: GitHub is to be asked again. */
export interface AskAgain {
  readonly kind: 'ask-again';
}

/** How an act may end that stops something: without a pause, or with a pause in which GitHub has sent something, it has done nothing. */
type StoppingAnswer<T> = Promise<Answered<T | Heard | NotPaused | ActRefusal | AskAgain>>;

/** Activities of a host's act queue. */
export interface ActActivities {
  startMachine(input: { readonly target: RunnerTarget }): Promise<Answered<{ readonly kind: 'running' }>>;
  /**
   * Forces a machine down whose guest does not answer, and starts it; one that answers is left as it is. Right before each stop Temporal is
   * asked whether the execution is still open, and with `lockId` and `lockRunId` whether it still holds the lock; and GitHub's word is fresh
   * at that moment. `mayBeDown`: it was told to shut down before that word became too old.
   */
  restartMachine(
    input: { readonly target: RunnerTarget; readonly lockId?: string; readonly lockRunId?: string } & AskedInput,
  ): Promise<Answered<MachineRestarted | (AskAgain & { readonly mayBeDown?: boolean })>>;
  /** `isRecovery`: of the runner itself, so that it may take over what another recovery has set aside of it. */
  takeFence(input: { readonly target: RunnerTarget; readonly holder: string; readonly isRecovery: boolean }): Promise<Answered<FenceTaken>>;
  /**
   * Proves that no job runs, does what is slow of an act, holds the listener, and proves it again. The guest lets go by itself within seconds
   * of the sight of a worker, and after two minutes at the latest.
   */
  pauseRunner(input: ActInput & PauseWanted): Promise<Answered<Paused | ActRefusal>>;
  letGo(input: ActInput & { readonly purpose: PauseFor }): Promise<Answered<LetGo | ActRefusal>>;
  syncClock(input: StoppingInput): StoppingAnswer<ClockSynced>;
  /** `token`: opened as a proof that this worker can, before anything is taken away. */
  setConfigurationAside(input: StoppingInput & { readonly token: SealedToken }): StoppingAnswer<SetAside>;
  /** `shownLabels`: those that GitHub showed, which it has if none are configured. */
  configureRunner(
    input: ActInput & { readonly token: SealedToken; readonly shownLabels: readonly string[] },
  ): Promise<Answered<Configured | ActRefusal>>;
  startService(input: ActInput): Promise<Answered<ServiceStarted | NotPaused | ActRefusal>>;
  restartService(input: StoppingInput): StoppingAnswer<ServiceStarted>;
  /** Without a pause GitHub's word is not needed, and may be of any age. */
  restoreConfiguration(input: StoppingInput): StoppingAnswer<Restored>;
  discardAside(input: ActInput): Promise<Answered<Discarded | ActRefusal>>;
  markDrained(input: ActInput & Omit<DrainMark, 'since'>): Promise<Answered<MarkedDrained | ActRefusal>>;
  /** Stops the service of a runner that is marked as drained. */
  stopRunner(input: StoppingInput): StoppingAnswer<Stopped>;
  pauseAfterJob(input: ActInput): Promise<Answered<WaitsForEnd | ActRefusal>>;
  unmarkDrained(input: ActInput): Promise<Answered<UnmarkedDrained | ActRefusal>>;
  /** Where nothing is to go, nothing has to be paused; the same holds for {@link makeRoom}. */
  removeFromCache(input: StoppingInput & { readonly wanted: CacheWanted }): StoppingAnswer<CacheRemoved>;
  makeRoom(input: StoppingInput & { readonly wanted: RoomWanted }): StoppingAnswer<RoomMade>;
  fetchPackage(input: ActInput & { readonly wanted: PackageWanted }): Promise<Answered<PackageStored | ActRefusal>>;
  /** The host has it, and passes it to the guest. */
  passPackage(input: ActInput & { readonly wanted: PackageWanted }): Promise<Answered<PackageStored | ActRefusal>>;
}
