// Which job a runner works on: GitHub says of a runner only that it is busy, and its runs' jobs name their runners.

import type { JobOnRunner, RunningJob } from '../domain/running-job.ts';
import type { Job } from './answers.ts';
import type { Dated } from './port.ts';
import { readJobs, runsCall, unlessGone } from './run-reads.ts';
import type { Asking } from './run-reads.ts';

/** Of a queue that is longer the job may stay unknown. */
const RUNS_READ = 50;

/** Jobs in progress that have a runner. */
export function jobsOnRunners(run: number, jobs: readonly Job[]): readonly JobOnRunner[] {
  return jobs.flatMap(({ status, runner, name, startedAt, url }) =>
    status === 'in_progress' && runner !== null ? [{ runner, name, run, startedAt, url }] : [],
  );
}

/** A run reads as queued while one of its jobs waits, whatever its others do. */
const STATUSES = ['in_progress', 'queued'] as const;

/** Asks for jobs of runs, one after the other, until one of them has this runner; `null` if none has. */
export async function findRunningJob(asking: Asking, runner: string): Promise<Dated<RunningJob | null>> {
  let runsLeft = RUNS_READ;
  let answeredAt = 0;
  for (const status of STATUSES) {
    const { value: ids, githubTime } = await newestRuns(asking, status);
    answeredAt = githubTime;
    for (const run of ids.slice(0, runsLeft)) {
      runsLeft -= 1;
      const read = await unlessGone(asking, (stillAsking) => readJobs(stillAsking, run));
      const found = jobsOnRunners(run, read.value?.jobs ?? []).find((job) => job.runner.toLowerCase() === runner.toLowerCase());
      if (found !== undefined) {
        const { runner: _, ...job } = found;
        return { value: job, githubTime: read.githubTime };
      }
    }
  }
  return { value: null, githubTime: answeredAt };
}

async function newestRuns({ client, scope, signal }: Asking, status: string): Promise<Dated<readonly number[]>> {
  const { value, githubTime } = await client.request(runsCall({ scope, signal }, { status }));
  return { value: value.runs.map(({ id }) => id), githubTime };
}
