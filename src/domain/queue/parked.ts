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

/** What is to be done about a parked run, by what GitHub says of it and of the newest run like it. */
export function judgeParked(
  parked: ParkedRun,
  found: { readonly run: Run | null; readonly newest: Run | null; readonly at: number },
  { mostReruns }: ParkingPolicy,
): { readonly kind: 're-run' } | { readonly kind: 'wait'; readonly why: string } | { readonly kind: ParkedEnd; readonly why: string } {
  const { run, newest } = found;
  if (run === null) {
    return { kind: 'forgotten', why: 'GitHub does not know it any more' };
  }
  if (run.attempt > parked.run.attempt) {
    return { kind: 're-run', why: `attempt ${run.attempt} is there already` };
  }
  if (run.status !== 'completed') {
    return parked.isCancelled
      ? { kind: 'wait', why: `it is still ${run.status}` }
      : { kind: 'forgotten', why: `it was not cancelled, and is ${run.status}` };
  }
  if (run.conclusion !== 'cancelled') {
    return { kind: 'forgotten', why: `it ended by itself: ${run.conclusion ?? 'completed'}` };
  }
  if (newest !== null && replaces(newest, run)) {
    return { kind: 'replaced', why: `run ${newest.id} of the same workflow for ${run.branch} is newer` };
  }
  if (run.attempt > mostReruns) {
    return { kind: 'expired', why: `it has been re-run ${run.attempt - 1} times, and GitHub allows no more` };
  }
  return { kind: 're-run' };
}

/** What became of others is remembered so long. */
const SETTLED_KEPT = 500;

/** Remembers more of them; one that is remembered already stays as it was. */
export function park(parked: readonly ParkedRun[], runs: readonly ParkedRun[], by: string): readonly ParkedRun[] {
  const known = new Set(parked.map(({ run }) => run.id));
  return [...parked, ...runs.filter(({ run }) => !known.has(run.id)).map((run) => ({ ...run, by }))];
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
