// Effects, thin: call a port, heartbeat, map errors. This file is all that workflows see, and they see its types only.
// May import: domain, types of ports.

import type { FindingPlace, Message } from '../domain/alert.ts';
import type { Diagnosed } from '../domain/finding.ts';
import type { FindingLife } from '../domain/finding-life.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import type { HostLook, OpenFinding, RunnersMemory, ScopeObservation } from '../domain/pass.ts';
import type { FindingPolicy, HealthPolicy, RecoveryPolicy } from '../domain/policy.ts';
import type { GitHubObservation, MachineObservation, RegisteredRunner, RunnerTarget } from '../domain/runner.ts';
import type {
  ActRefusal,
  ClockSynced,
  Configured,
  Discarded,
  FenceTaken,
  Frozen,
  FrozenStopped,
  MarkedDrained,
  Restored,
  ServiceStarted,
  SetAside,
  Thawed,
  UnmarkedDrained,
} from '../machine/port.ts';

export type { ActRefusal };

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
}

export interface ResolvedRunner {
  readonly target: RunnerTarget;
  readonly policy: RecoveryPolicy;
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
  readonly mode: 'act' | 'watch';
  /** Why it only watches, where that is not by configuration. */
  readonly watchReason?: string;
  /** GitHub's web address, against whose clock hosts compare theirs. */
  readonly serverUrl: string;
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

/** Activities of the main queue: configuration, GitHub, Temporal itself. */
export interface MainActivities {
  /** Looks the runner up in configuration. Fails for good, naming the choices, where the input names none or several. */
  resolveRunner(input: { readonly runner: unknown }): Promise<ResolvedRunner>;
  observeGitHub(input: { readonly target: RunnerTarget }): Promise<Answered<({ readonly kind: 'seen' } & GitHubObservation) | Limited>>;
  requestRegistrationToken(input: { readonly target: RunnerTarget }): Promise<Answered<TokenGranted | Limited>>;
  /** Whether the registration of this id still stands. */
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
  /** Who holds a lock; a lock whose holder is gone is ended. `asking` is the execution that asks. */
  inspectLock(input: {
    readonly lockId: string;
    readonly asking: { readonly workflowId: string; readonly runId: string };
  }): Promise<LockState>;
  readLedger(input: { readonly ledgerId: string }): Promise<{ readonly entries: readonly LedgerEntry[] }>;
  /** Looks the scope up in configuration, and what its last scheduled pass left. Fails for good, naming the choices, where the input names none or several. */
  resolveScope(input: { readonly scope: unknown }): Promise<ResolvedScope>;
  /** GitHub's lists, read once for all these runners of the scope. */
  observeScope(input: {
    readonly scope: string;
    /** Names of the configured runners. */
    readonly runners: readonly string[];
    /** Whether runners' groups matter: one request more, and only at an organisation. */
    readonly readsGroups: boolean;
    /** Runs whose jobs are read, at most. */
    readonly runsRead: number;
  }): Promise<Answered<({ readonly kind: 'seen' } & ScopeObservation) | Limited>>;
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
}

/** What every act is given: who, and the identity of the act in the guest. */
export interface ActInput {
  readonly target: RunnerTarget;
  readonly key: string;
  readonly fence: number;
  readonly deadlineMs: number;
}

/** Activities of a host's act queue. */
export interface ActActivities {
  startMachine(input: { readonly target: RunnerTarget }): Promise<Answered<{ readonly kind: 'running' }>>;
  /** Forces a machine down whose guest does not answer, and starts it; one that answers is left as it is. */
  restartMachine(input: { readonly target: RunnerTarget }): Promise<Answered<{ readonly kind: 'running' }>>;
  takeFence(input: { readonly target: RunnerTarget; readonly holder: string }): Promise<Answered<FenceTaken>>;
  syncClock(input: ActInput & { readonly force: boolean }): Promise<Answered<ClockSynced | ActRefusal>>;
  setConfigurationAside(
    input: ActInput & {
      readonly force: boolean;
      /** When GitHub was asked whether the runner is busy, epoch milliseconds by Temporal's clock. */
      readonly busyAskedAt: number;
      readonly busyAnswerMaxAgeMs: number;
      /** Opened as a proof that this worker can, before anything is taken away. */
      readonly token: SealedToken;
    },
  ): Promise<Answered<SetAside | ActRefusal | { readonly kind: 'ask-again' }>>;
  configureRunner(input: ActInput & { readonly token: SealedToken }): Promise<Answered<Configured | ActRefusal>>;
  startService(input: ActInput): Promise<Answered<ServiceStarted | ActRefusal>>;
  restartService(
    input: ActInput & {
      readonly force: boolean;
      /** When GitHub was asked whether the runner is busy, epoch milliseconds by Temporal's clock. */
      readonly busyAskedAt: number;
      readonly busyAnswerMaxAgeMs: number;
    },
  ): Promise<Answered<ServiceStarted | ActRefusal | { readonly kind: 'ask-again' }>>;
  restoreConfiguration(input: ActInput): Promise<Answered<Restored | ActRefusal>>;
  discardAside(input: ActInput): Promise<Answered<Discarded | ActRefusal>>;
  markDrained(input: ActInput & { readonly reason: string }): Promise<Answered<MarkedDrained | ActRefusal>>;
  freezeRunner(input: ActInput): Promise<Answered<Frozen | ActRefusal>>;
  stopFrozenRunner(input: ActInput & { readonly unread: string }): Promise<Answered<FrozenStopped | ActRefusal>>;
  thawRunner(input: ActInput): Promise<Answered<Thawed | ActRefusal>>;
  unmarkDrained(input: ActInput): Promise<Answered<UnmarkedDrained | ActRefusal>>;
}
