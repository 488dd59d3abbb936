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

export interface StepReport {
  readonly name: RecoveryStep;
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
  | 'refused-in-progress'
  | 'refused-budget'
  | 'refused-watching'
  | 'failed'
  | 'cancelled';

/** Result of `recoverRunner`. */
export interface RecoveryReport {
  readonly outcome: RecoveryOutcome;
  readonly runner: string;
  readonly scope: string;
  /** One sentence for a tired person: what came of it, and what is left to do. */
  readonly summary: string;
  /** Why the operation was sure, one reading a line. */
  readonly evidence: readonly string[];
  readonly steps: readonly StepReport[];
  /** The ladder, where one was climbed; empty for a person's recovery. */
  readonly rungs: readonly RungReport[];
  readonly reason: string | null;
}

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
  readonly outcome: RecoveryOutcome | null;
}

export interface ProgressStep {
  readonly name: RecoveryStep;
  readonly status: StepStatus | 'waiting' | 'running';
  readonly detail: string;
  readonly durationMs: number;
}

/** `synced`: the clock was set; `already-right`: it is off by less than what counts as drift. */
export type ClockOutcome = 'synced' | 'already-right' | 'refused-busy' | 'refused-in-progress' | 'refused-watching' | 'failed';

/** Result of `syncClock`; a drift that was not read is `null`. */
export interface ClockReport {
  readonly outcome: ClockOutcome;
  readonly runner: string;
  readonly scope: string;
  readonly summary: string;
  /** Positive: the guest is ahead. */
  readonly driftSecondsBefore: number | null;
  readonly driftSecondsAfter: number | null;
  readonly reason: string | null;
}
