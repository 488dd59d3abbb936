// Reads of runs as all of their readers need them.

import { Counted, Jobs } from './answers.ts';
import type { Job } from './answers.ts';
import type { Client } from './client.ts';
import { below, pagesOf } from './endpoints.ts';
import { GitHubError } from './port.ts';
import type { Dated } from './port.ts';

export interface Asking {
  readonly client: Client;
  readonly scope: string;
  readonly signal: AbortSignal;
}

/** GitHub's most. */
export const PER_PAGE = 100;
export const READS_RUNS = 'actions=read';

/** Jobs of the latest attempt, and how many GitHub says there are. */
export async function readJobs(
  { client, scope, signal }: Asking,
  run: number,
): Promise<Dated<{ readonly jobs: readonly Job[]; readonly total: number }>> {
  const parameters = { run_id: run, filter: 'latest', per_page: PER_PAGE };
  const call = below(scope, 'GET', '/actions/runs/{run_id}/jobs', READS_RUNS, parameters);
  const jobs: Job[] = [];
  let total = 0;
  let answeredAt: number | null = null;
  for await (const { value, githubTime } of pagesOf(client, { ...call, answer: Jobs, signal })) {
    jobs.push(...value.jobs);
    ({ total } = value);
    answeredAt ??= githubTime;
  }
  return { value: { jobs, total }, githubTime: answeredAt ?? Date.now() };
}

/** GitHub answers 404 for a run that is gone and for a repository that the token may not see; the list of runs tells which. */
export async function unlessGone<T>(asking: Asking, read: (asking: Asking) => Promise<Dated<T>>): Promise<Dated<T | null>> {
  try {
    return await read(asking);
  } catch (error) {
    if (!(error instanceof GitHubError) || error.status !== 404) throw error;
    const { client, scope, signal } = asking;
    const list = below(scope, 'GET', '/actions/runs', READS_RUNS, { per_page: 1 });
    const { githubTime } = await client.request({ ...list, answer: Counted, signal });
    return { value: null, githubTime };
  }
}
