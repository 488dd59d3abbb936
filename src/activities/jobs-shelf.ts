import type { RunJobs } from '../domain/queue/run.ts';

/** Jobs of runs that were read before, by run and attempt: labels of an attempt do not change, and before an act they are read anew. */
export interface JobsShelf {
  /** `null` where none were read within `freshnessMs`. */
  find(scope: string, run: number, attempt: number, freshnessMs: number): RunJobs | null;
  keep(scope: string, jobs: RunJobs): void;
}

/** Some 300 bytes each. */
const KEPT = 20_000;

/** In memory; the oldest are forgotten first. */
export function createJobsShelf(size = KEPT): JobsShelf {
  const kept = new Map<string, { readonly at: number; readonly jobs: RunJobs }>();
  return {
    find(scope, run, attempt, freshnessMs) {
      const found = kept.get(`${scope} ${run} ${attempt}`);
      return found !== undefined && performance.now() - found.at < freshnessMs ? found.jobs : null;
    },
    keep(scope, jobs) {
      // They are made a moment after the run.
      if (jobs.total === 0) {
        return;
      }
      const key = `${scope} ${jobs.run} ${jobs.attempt}`;
      kept.delete(key);
      kept.set(key, { at: performance.now(), jobs });
      for (const oldest of kept.keys()) {
        if (kept.size <= size) {
          break;
        }
        kept.delete(oldest);
      }
    },
  };
}
