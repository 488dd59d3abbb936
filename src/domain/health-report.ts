import type { CureKind, Diagnosed, Verdict } from './finding.ts';
import type { PassMemory } from './pass.ts';
import type { Suspicion } from './recovery-request.ts';

/** What a check means to do for one runner. `urgent`: a job waits for it. */
export interface Prescription {
  /** `scope/name`. */
  readonly runner: string;
  readonly cure: CureKind;
  /** Code of the finding that it is for. */
  readonly because: string;
  readonly isUrgent: boolean;
  /** Whether its machine was seen not to run, and is to be started. */
  readonly startsMachine: boolean;
  /** What makes a recovery sure although both sides look healthy or busy. */
  readonly suspicion: Suspicion | null;
}

/**
 * Why nothing was done about a finding that has a cure. `meant-so`: somebody wants it so. `unknown`: a side could not be read. `sharing`:
 * what is done for another runner serves this one as well. `job`: it
 * works on a job. `busy`: something else goes on there, such as an update or a neighbour's job. `one-at-a-time`: another runner's turn is first.
 */
export type WithheldReason =
  | 'meant-so'
  | 'unknown'
  | 'drained'
  | 'job'
  | 'busy'
  | 'not-proven'
  | 'just-woke'
  | 'disk-full'
  | 'host-clock'
  | 'sharing'
  | 'one-at-a-time'
  | 'budget'
  | 'watch'
  | 'at-work';

/** A finding that has a cure, and why nothing was done about it. */
export interface Withheld {
  readonly runner: string;
  readonly because: string;
  readonly why: string;
  /** Reports of earlier versions have none. */
  readonly reason?: WithheldReason;
  /** Of a budget: the limit that was met. */
  readonly limit?: string;
  /** When a budget allows the cure again, or another runner's turn ends of which checks can do no more; ISO 8601. */
  readonly until?: string;
}

/** A cure that a pass started, and with `wait` what came of it. */
export interface StartedCure {
  readonly runner: string;
  readonly cure: CureKind;
  readonly because: string;
  readonly workflowId: string;
  /** `null` while it works, or where nobody waited. */
  readonly outcome: string | null;
  readonly summary: string | null;
}

/** Figures of a pass; its memo holds them as well. */
export interface PassFigures {
  readonly runners: number;
  readonly healthy: number;
  readonly degraded: number;
  readonly down: number;
  readonly unknown: number;
  readonly findings: number;
  readonly started: number;
  readonly withheld: number;
  readonly githubRequests: number;
  readonly githubUnchanged: number;
  readonly machineCalls: number;
  readonly lookMs: number;
}

/** One runner that is not plainly healthy. */
export interface RunnerHealth {
  /** `scope/name`. */
  readonly runner: string;
  readonly verdict: Verdict;
}

/**
 * `healthy`: all runners are, and nothing is left to tell a person. `left-alone`: the same, but for runners that are out of service as a
 * person wants it (drained, or stopped while no job waits), or not believed yet after a sleep of their host. `curing`, `cured`, `not-cured`: cures were started, all of them that
 * were waited for did well, or one did not. `unhealthy`: something is wrong about which nothing was started. `unknown`: nothing could be seen.
 */
export type HealthOutcome = 'healthy' | 'left-alone' | 'curing' | 'cured' | 'not-cured' | 'unhealthy' | 'unknown';

/** Result of `checkHealth`. */
export interface HealthReport {
  readonly outcome: HealthOutcome;
  readonly scope: string;
  /** One sentence: how it stands, and what was started. */
  readonly summary: string;
  /** ISO 8601. */
  readonly observedAt: string;
  readonly mode: 'act' | 'watch';
  /** It only says what it would do; absent otherwise. */
  readonly isDryRun?: true;
  /** It is about runners that were named, and says nothing of the others; absent otherwise. */
  readonly isPartial?: true;
  /** Those that are not healthy. */
  readonly runners: readonly RunnerHealth[];
  /** Of findings, cures and withheld ones the first 500 each, the worst findings first; the figures count all. */
  readonly findings: readonly Diagnosed[];
  readonly started: readonly StartedCure[];
  readonly withheld: readonly Withheld[];
  readonly figures: PassFigures;
  readonly memory: PassMemory;
}
