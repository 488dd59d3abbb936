import { asksFor } from './pull-requests-first.ts';
import type { ParkingPolicy } from './policy.ts';
import type { LabelSet, Run, RunJobs } from './run.ts';
import { replaces } from './superseded.ts';

// Runs that made way for pull requests, and are re-run when the pressure is gone. Times are epoch milliseconds by GitHub's clock.

export interface ParkedRun {
  /** As it was right before it was cancelled. */
  readonly run: Run;
  readonly jobs: RunJobs;
  readonly parkedAt: number;
  /** Times that it has been parked, this one counted. */
  readonly times: number;
  /** Whether its cancellation has come to pass. */
  readonly isCancelled: boolean;
  readonly evidence: string;
  /** The operation that parked it. */
  readonly by: string;
}

/** What became of a parked run. `expired`: GitHub would not re-run it any more. `forgotten`: it was never cancelled, or somebody saw to it. */
export type ParkedEnd = 're-run' | 'replaced' | 'expired' | 'refused' | 'forgotten';

export interface SettledRun {
  readonly run: number;
  readonly end: ParkedEnd;
  readonly detail: string;
  readonly at: number;
}

/** Those that are due: nothing presses on their runners, or their time is nearly over. `pressed`: `null` where it is not known, which keeps all. */
export function dueRuns(
  parked: readonly ParkedRun[],
  pressed: readonly LabelSet[] | null,
  at: number,
  { oldestMs }: ParkingPolicy,
): readonly ParkedRun[] {
  return parked.filter(
    ({ run, jobs }) => at - run.createdAt >= oldestMs || (pressed !== null && !pressed.some((set) => asksFor(jobs, set))),
  );
}

/** Parked runs of which nobody knows whether their cancellation has come to pass: each pass looks at them. */
export function unsureRuns(parked: readonly ParkedRun[]): readonly ParkedRun[] {
  return parked.filter(({ isCancelled }) => !isCancelled);
}

/** What is to be done about a parked run. `cancelled`: it waits until it is due. `wait`: nobody knows yet. */
export type ParkedVerdict =
  | { readonly kind: 're-run' | 'cancelled' | 'wait' }
  | { readonly kind: 'settled'; readonly end: ParkedEnd; readonly why: string };

/** By what GitHub says of it and of the newest run like it. */
export function judgeParked(
  parked: ParkedRun,
  found: { readonly run: Run | null; readonly newest: Run | null; readonly at: number; readonly isDue: boolean },
  { mostReruns, doubtMs }: ParkingPolicy,
): ParkedVerdict {
  const { run, newest, at, isDue } = found;
  if (run === null) {
    return { kind: 'settled', end: 'forgotten', why: 'GitHub does not know it any more' };
  }
  if (run.attempt > parked.run.attempt) {
    return { kind: 'settled', end: 're-run', why: `attempt ${run.attempt} is there already` };
  }
  if (run.status !== 'completed') {
    // A cancellation may take its time, and one that nobody heard of never comes.
    return parked.isCancelled || at - parked.parkedAt < doubtMs
      ? { kind: 'wait' }
      : { kind: 'settled', end: 'forgotten', why: `it was not cancelled, and is ${run.status}` };
  }
  // A job that always runs may end the run as failed after all.
  if (run.conclusion === 'success' || (!parked.isCancelled && run.conclusion !== 'cancelled')) {
    return { kind: 'settled', end: 'forgotten', why: `it ended by itself: ${run.conclusion ?? 'completed'}` };
  }
  if (!isDue) {
    return { kind: 'cancelled' };
  }
  if (newest !== null && replaces(newest, run)) {
    return { kind: 'settled', end: 'replaced', why: `run ${newest.id} of the same workflow for ${run.branch} is newer` };
  }
  if (run.attempt > mostReruns) {
    return { kind: 'settled', end: 'expired', why: `it has been re-run ${run.attempt - 1} times, and GitHub allows no more` };
  }
  return { kind: 're-run' };
}

/** What became of others is remembered so long. */
const SETTLED_KEPT = 500;

/** Remembers more of them; one that is remembered already stays as it was, and so does who parked one that is parked anew. */
export function park(parked: readonly ParkedRun[], runs: readonly ParkedRun[], by: string): readonly ParkedRun[] {
  const known = new Set(parked.map(({ run }) => run.id));
  return [...parked, ...runs.filter(({ run }) => !known.has(run.id)).map((run) => ({ ...run, by: run.by || by }))];
}

/** Notes that runs are cancelled, and forgets those of which something has become. */
export function settle(
  { parked, settled }: { readonly parked: readonly ParkedRun[]; readonly settled: readonly SettledRun[] },
  told: { readonly cancelled: readonly number[]; readonly settled: readonly SettledRun[] },
): { readonly parked: readonly ParkedRun[]; readonly settled: readonly SettledRun[] } {
  const cancelled = new Set(told.cancelled);
  const over = new Set(told.settled.map(({ run }) => run));
  return {
    parked: parked
      .filter(({ run }) => !over.has(run.id))
      .map((each) => (cancelled.has(each.run.id) ? { ...each, isCancelled: true } : each)),
    settled: [...settled, ...told.settled].slice(-SETTLED_KEPT),
  };
}

/** A run that is to be parked, as it is remembered. */
export function parkedOf(
  { run, jobs, evidence }: Pick<ParkedRun, 'run' | 'jobs' | 'evidence'>,
  parkedBefore: number,
  at: number,
): ParkedRun {
  return { run, jobs, evidence, parkedAt: at, times: parkedBefore + 1, isCancelled: false, by: '' };
}
