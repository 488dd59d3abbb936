/** The six steps of a recovery, in their only order. */
export const RECOVERY_STEPS = [
  'time-sync',
  'registration-token',
  'config-cleanup',
  'reconfigure',
  'start-service',
  'verify-online',
] as const;
export type RecoveryStep = (typeof RECOVERY_STEPS)[number];

export type StepStatus = 'done' | 'skipped' | 'failed';

export interface StepReport<Step extends string = string> {
  readonly name: Step;
  readonly status: StepStatus;
  /** Attempts of the step's activities, retries included; 0 where it was skipped. */
  readonly attempts: number;
  /** ISO 8601; `null` where the step was not reached. */
  readonly startedAt: string | null;
  readonly durationMs: number;
  readonly detail: string;
}

export type RecoveryOutcome =
  | 'recovered'
  | 'already-healthy'
  | 'refused-busy'
  | 'refused-drained'
  | 'refused-in-progress'
  | 'refused-budget'
  | 'refused-watching'
  | 'failed'
  | 'cancelled';

/** Result of every operation on a runner that works in steps. */
export interface OperationReport<Outcome extends string = string, Step extends string = string> {
  readonly outcome: Outcome;
  readonly runner: string;
  readonly scope: string;
  /** One sentence for a tired person: what came of it, and what is left to do. */
  readonly summary: string;
  /** Why the operation was sure, one reading a line. */
  readonly evidence: readonly string[];
  readonly steps: readonly StepReport<Step>[];
  readonly reason: string | null;
  /** The side that could not be reached or read, if it failed for that. */
  readonly unreachable?: Side;
}

/** What an operation needs to reach: `machine` is the machine's provider, or the worker of its host. */
export type Side = 'github' | 'machine';

/** Result of `recoverRunner`. */
export interface RecoveryReport extends OperationReport<RecoveryOutcome, RecoveryStep> {
  /** The ladder, where one was climbed; empty for a person's recovery. */
  readonly rungs: readonly RungReport[];
}

/** The steps of a drain. */
export const DRAIN_STEPS = ['mark-drained', 'cordon', 'wait-until-idle', 'stop-service'] as const;
export type DrainStep = (typeof DRAIN_STEPS)[number];

/** `noted`: its machine does not run, and checks do not start it. `undone`: a person resumed the runner before its job had ended. */
export type DrainOutcome =
  | 'drained'
  | 'already-drained'
  | 'noted'
  | 'undone'
  | 'refused-in-progress'
  | 'refused-watching'
  | 'failed'
  | 'cancelled';

/** Result of `drainRunner`. */
export type DrainReport = OperationReport<DrainOutcome, DrainStep>;

/** The steps of a resume. */
export const RESUME_STEPS = ['restore-labels', 'remove-mark', 'start-service', 'verify-online'] as const;
export type ResumeStep = (typeof RESUME_STEPS)[number];

/** `already-resumed`: the runner was not drained. `resumed` also if it lacked its labels alone. */
export type ResumeOutcome = 'resumed' | 'already-resumed' | 'refused-in-progress' | 'refused-watching' | 'failed' | 'cancelled';

/** Result of `resumeRunner`. */
export type ResumeReport = OperationReport<ResumeOutcome, ResumeStep>;

/** Cures from the cheapest up; each is followed by its own look. */
export const RUNGS = ['start-machine', 'fix-clock', 'start-service', 'restart-service', 're-register'] as const;
export type Rung = (typeof RUNGS)[number];

export interface RungReport {
  readonly name: Rung;
  readonly status: StepStatus;
  readonly detail: string;
}

/** Answer of the `progress` query. */
export interface Progress {
  readonly runner: string;
  readonly doing: string;
  readonly steps: readonly ProgressStep[];
  /** `null` while the operation works. */
  readonly outcome: string | null;
}

export interface ProgressStep {
  readonly name: string;
  readonly status: StepStatus | 'waiting' | 'running';
  readonly detail: string;
  readonly durationMs: number;
}

/** `synced`: the clock was set; `already-right`: it is off by less than what counts as drift. */
export type ClockOutcome =
  | 'synced'
  | 'already-right'
  | 'refused-busy'
  | 'refused-in-progress'
  | 'refused-budget'
  | 'refused-watching'
  | 'failed';

/** The one step of a clock's sync. */
export const CLOCK_STEPS = ['sync-clock'] as const;
export type ClockStep = (typeof CLOCK_STEPS)[number];

/** Result of `syncClock`; a drift that was not read is `null`. */
export interface ClockReport extends OperationReport<ClockOutcome, ClockStep> {
  /** Positive: the guest is ahead. */
  readonly driftSecondsBefore: number | null;
  readonly driftSecondsAfter: number | null;
}
