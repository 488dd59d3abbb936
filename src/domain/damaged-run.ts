import type { CacheDamage, NamedDamage } from './cache.ts';

// Runs that failed because of a runner's own actions cache: what is remembered of failures, and how such a run is run again.

/** A failed job of the runner whose cache was damaged. */
export interface DamagedJob {
  readonly id: number;
  readonly name: string;
  /** Below the cache; empty where the words name no entry. */
  readonly path: string;
  readonly lacks: NamedDamage['lacks'];
  /** The runner's own words. */
  readonly line: string;
  /** Whether the job's log says so as well, outside of what a script has printed: anybody can write an annotation. */
  readonly isInLog: boolean;
}

/** A run with such jobs. */
export interface DamagedRun {
  /** The runner's name. */
  readonly runner: string;
  readonly run: number;
  readonly attempt: number;
  /** Name of its workflow. */
  readonly workflow: string;
  readonly branch: string | null;
  readonly jobs: readonly DamagedJob[];
  /** Other runners of the same scope whose caches let jobs of it fail; left out where there are none. */
  readonly neighbours?: readonly Neighbour[];
  /** Failed jobs of the run that failed for other reasons, or on runners that are not the scope's. */
  readonly otherJobs: number;
  /** Why it was healed and yet not run again, so that it is left to people; then its jobs are not told any more. */
  readonly left?: string;
}

/** A part of a run that was healed and not run again, as it is remembered. */
export type LeftRun = Pick<DamagedRun, 'runner' | 'run' | 'attempt' | 'workflow' | 'branch'> & { readonly left: string };

/** A runner and the number of jobs that its cache let fail. */
export interface Neighbour {
  readonly runner: string;
  readonly jobs: number;
}

/** An attempt of a run; with a runner, that part of it alone which this runner's cache let fail. */
export type Attempt = readonly [run: number, attempt: number, runner?: string];

/** Attempts that need not be looked at any more. */
export interface FailureMemory {
  readonly inspected: readonly Attempt[];
  /** Those among them that people are told of, the newest first. */
  readonly left?: readonly LeftRun[];
}

export const NO_FAILURES: FailureMemory = { inspected: [] };

/** The memo of one workflow holds all; GitHub lists a thousand runs at most, and a pass reads three hundred. */
export const FAILURES_REMEMBERED = 500;

/** More are as good as told. */
const LEFT_REMEMBERED = 20;

/** The newest ones stay: ids of runs only grow. */
export function rememberInspected(
  { inspected, left = [] }: FailureMemory,
  more: readonly Attempt[],
  moreLeft: readonly LeftRun[] = [],
): FailureMemory {
  const known = new Map([...inspected, ...more].map((attempt) => [attemptKey(attempt), attempt]));
  const needed = [...known.values()].filter(([run, attempt, runner]) => runner === undefined || !known.has(attemptKey([run, attempt])));
  const newestFirst = needed.toSorted(([one, a], [other, b]) => other - one || b - a);
  const allLeft = [...moreLeft, ...left].slice(0, LEFT_REMEMBERED);
  return { inspected: newestFirst.slice(0, FAILURES_REMEMBERED), ...(allLeft.length === 0 ? {} : { left: allLeft }) };
}

function attemptKey([run, attempt, runner]: Attempt): string {
  return runner === undefined ? `${run}/${attempt}` : `${run}/${attempt}/${runner}`;
}

/** Whether an attempt, or a runner's part of it, needs no look any more. */
export function isInspected({ inspected }: FailureMemory, asked: Attempt): boolean {
  const [run, attempt] = asked;
  const enough = new Set([attemptKey([run, attempt]), attemptKey(asked)]);
  return inspected.some((known) => enough.has(attemptKey(known)));
}

/** How a damaged run is run again. */
export type RerunPlan =
  /** All of its failed jobs failed because of the cache. */
  | { readonly kind: 'failed-jobs' }
  /** Others failed by their own mistake, which is not run again. */
  | { readonly kind: 'one-job'; readonly job: number }
  | { readonly kind: 'none'; readonly why: string };

/** GitHub runs all failed jobs again, or one: several of them among others are left to a person. */
export function planRerun({ jobs, neighbours = [], otherJobs }: Pick<DamagedRun, 'jobs' | 'neighbours' | 'otherJobs'>): RerunPlan {
  if (otherJobs === 0) {
    return { kind: 'failed-jobs' };
  }
  const byCache = neighbours.reduce((sum, neighbour) => sum + neighbour.jobs, jobs.length);
  const [only] = jobs;
  return only !== undefined && byCache === 1
    ? { kind: 'one-job', job: only.id }
    : {
        kind: 'none',
        why: `${byCache} of its jobs failed by the cache and ${otherJobs} otherwise, and GitHub re-runs either one or all`,
      };
}

/**
 * How often a run may be run again, by what the guest sees of what its jobs named: once where all of it is whole by now, if the logs prove that it
 * was not; never if they do not.
 */
export function rerunsAllowed({ jobs }: Pick<DamagedRun, 'jobs'>, seen: readonly CacheDamage[], most: number): number {
  const isDamaged = jobs.some(({ path }) => path !== '' && seen.some((damage) => damage.path === path && damage.state !== 'whole'));
  if (isDamaged) {
    return most;
  }
  return jobs.length > 0 && jobs.every(({ isInLog }) => isInLog) ? Math.min(1, most) : 0;
}

/** GitHub re-runs a run so long after it was created. https://docs.github.com/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs */
const RERUNNABLE_MS = 30 * 24 * 3_600_000;

/** GitHub re-runs a run so many times, since 10 April 2026. https://github.blog/changelog/label/actions/ */
const MOST_ATTEMPTS = 50;

/** What there is to be said against the re-run of an attempt, by the run as it is; `null` where nothing is. */
export function rerunObstacle(
  run: { readonly attempt: number; readonly status: string; readonly conclusion: string | null; readonly createdAt: number } | null,
  { attempt, at }: { readonly attempt: number; readonly at: number },
): string | null {
  if (run === null) {
    return 'the run is gone';
  }
  if (run.attempt !== attempt) {
    return `it was re-run already: attempt ${run.attempt} is the newest`;
  }
  if (run.status !== 'completed') {
    return `it is ${run.status}`;
  }
  if (run.conclusion !== 'failure') {
    return `it ended with ${run.conclusion}`;
  }
  if (at - run.createdAt > RERUNNABLE_MS) {
    return 'it was created more than 30 days ago, and GitHub does not re-run it any more';
  }
  return run.attempt >= MOST_ATTEMPTS ? `it has ${run.attempt} attempts, and GitHub allows no more` : null;
}

/** What came of the re-run of a damaged run. */
export interface RerunTold {
  readonly run: number;
  readonly attempt: number;
  readonly workflow: string;
  /** `left`: it was not to be; `given-up`: it was re-run as often as it may be. */
  readonly outcome: 're-run' | 'refused' | 'left' | 'given-up';
  readonly detail: string;
}
