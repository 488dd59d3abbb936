import type { Run, RunJobs } from '../domain/queue/run.ts';
import { createShelf } from './shelf.ts';

/** A run as a list names it. */
export type ListedRun = Pick<Run, 'id' | 'attempt' | 'updatedAt'>;

/** Jobs of runs that were read before: they hold while lists show a run unchanged. Before an act they are read anew. */
export interface JobsShelf {
  /** `null` if none were read since the run last changed, or not lately; if GitHub does not say when it changed nobody can know. */
  find(scope: string, run: ListedRun): RunJobs | null;
  keep(scope: string, run: ListedRun, jobs: RunJobs): void;
}

/** Some 300 bytes each. */
const KEPT = 20_000;

/** A list may lag. */
const FRESH_MS = 30 * 60_000;

export function createJobsShelf(size = KEPT): JobsShelf {
  const shelf = createShelf<RunJobs>(size);
  return {
    find: (scope, run) => (run.updatedAt === null ? null : shelf.find(keyOf(scope, run), FRESH_MS)),
    keep(scope, run, jobs) {
      // They are made a moment after the run, and a list may be older than a re-run.
      if (jobs.total > 0 && jobs.attempt === run.attempt) {
        shelf.keep(keyOf(scope, run), jobs);
      }
    },
  };
}

function keyOf(scope: string, { id, attempt, updatedAt }: ListedRun): string {
  return `${scope} ${id} ${attempt} ${updatedAt}`;
}
