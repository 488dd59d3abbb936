import type { Run } from '../domain/queue/run.ts';
import { createShelf } from './shelf.ts';

/** Runs as a list last showed them: what a run is does not change within an attempt, and what has become of it its jobs tell. */
export interface RunsShelf {
  /** `null` if no list of this worker has shown it. */
  find(scope: string, run: number): Run | null;
  keep(scope: string, runs: readonly Run[]): void;
}

/** Some 700 bytes each. */
const KEPT = 20_000;

export function createRunsShelf(size = KEPT): RunsShelf {
  const shelf = createShelf<Run>(size);
  return {
    find: (scope, run) => shelf.find(`${scope} ${run}`),
    keep(scope, runs) {
      for (const run of runs) {
        shelf.keep(`${scope} ${run.id}`, run);
      }
    },
  };
}
