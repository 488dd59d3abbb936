import type { QueueObservation } from './pass.ts';
import { known, unknown, type Reading } from './reading.ts';

/** A job that a runner works on, as GitHub's lists show it. */
export interface RunningJob {
  readonly name: string;
  /** Id of its workflow run. */
  readonly run: number;
  /** Epoch milliseconds by GitHub's clock. */
  readonly startedAt: number | null;
  /** The job's page on GitHub. */
  readonly url: string | null;
}

/** The same with the name of its runner. */
export interface JobOnRunner extends RunningJob {
  readonly runner: string;
}

/** Why no job is named, as there is no list to find it in. */
export const ORGANIZATION_HAS_NO_RUNS = 'GitHub lists no runs of an organization';
/** Likewise of a runner that is busy. */
export const NO_RUN_HAS_ITS_JOB = 'no run that was read has its job';

/**
 * The job of a runner, by what was read of its scope's queue; `null` if it has none.
 * @param mayWork a side says that it works, so that a job that no list shows is unknown and not absent
 */
export function runningJobOf(
  queue: Reading<QueueObservation | null>,
  { runner, mayWork }: { readonly runner: string; readonly mayWork: boolean },
): Reading<RunningJob | null> {
  if (!mayWork) {
    return known(null);
  }
  if (!queue.known) {
    return queue;
  }
  if (queue.value === null) {
    return unknown(ORGANIZATION_HAS_NO_RUNS);
  }
  const job = queue.value.running.find((candidate) => candidate.runner.toLowerCase() === runner.toLowerCase());
  if (job === undefined) {
    return unknown(NO_RUN_HAS_ITS_JOB);
  }
  const { runner: _, ...rest } = job;
  return known(rest);
}
