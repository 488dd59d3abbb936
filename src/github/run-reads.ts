// Reads of runs as all of their readers need them.

import type { Run } from '../domain/queue/run.ts';
import { Counted, Jobs, RunList } from './answers.ts';
import type { Job } from './answers.ts';
import type { Call, Client } from './client.ts';
import { below, pagesOf } from './endpoints.ts';
import { GitHubError } from './port.ts';
import type { Dated, RunsWanted } from './port.ts';

export interface Asking {
  readonly client: Client;
  readonly scope: string;
  readonly signal: AbortSignal;
}

/** GitHub's most. */
export const PER_PAGE = 100;
export const READS_RUNS = 'actions=read';

/** A list of runs, in the one form that all of its readers share: GitHub's 304 serves them all, and so does what one of them has just read. */
export function runsCall(
  { scope, signal }: Pick<Asking, 'scope' | 'signal'>,
  filters: { readonly status: string; readonly created?: string },
): Call<{ readonly total: number; readonly runs: readonly Run[] }> {
  return { ...below(scope, 'GET', '/actions/runs', READS_RUNS, { ...filters, per_page: PER_PAGE }), answer: RunList, signal };
}

/** Both ends are included. https://docs.github.com/search-github/getting-started-with-searching-on-github/understanding-the-search-syntax */
export function createdWithin({ createdFrom, createdUntil }: Pick<RunsWanted, 'createdFrom' | 'createdUntil'>): {
  readonly created?: string;
} {
  const from = createdFrom === null ? null : wholeSeconds(Math.ceil(createdFrom / 1000));
  const until = createdUntil === null ? null : wholeSeconds(Math.floor(createdUntil / 1000));
  if (from !== null && until !== null) return { created: `${from}..${until}` };
  if (from !== null) return { created: `>=${from}` };
  return until === null ? {} : { created: `<=${until}` };
}

function wholeSeconds(epochSeconds: number): string {
  return `${new Date(epochSeconds * 1000).toISOString().slice(0, 19)}Z`;
}

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
