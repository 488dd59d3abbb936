// One look at a scope: its lists, read once for all its runners, one request after the other as GitHub advises.

import type { QueueObservation, Retirement, RunnerVersions, ScopeObservation, WaitingJobs } from '../domain/pass.ts';
import { known, unknown, valueOrNull, type Reading } from '../domain/reading.ts';
import type { JobOnRunner } from '../domain/running-job.ts';
import { ADDED_LABELS } from '../domain/situation.ts';
import { Deprecation, Jobs, NewestVersion, RunnerGroups, Runs } from './answers.ts';
import type { Job, ListedRunner } from './answers.ts';
import type { Answer, Client } from './client.ts';
import { below, isRepository, pageAt, pagesOf, runnersPermission } from './endpoints.ts';
import { GitHubError, type ScopeLook } from './port.ts';
import { readAllRunners, type Asking } from './runners.ts';
import { jobsOnRunners } from './running-job.ts';

/** GitHub's most. */
const PER_PAGE = 100;
/** What is told of waiting jobs stays small, whatever waits. */
const MOST_GROUPS = 20;
/** Where GitHub is slow, runs' jobs leave time for the rest of the look. */
const JOBS_WITHIN_MS = 30_000;
/** GitHub may fail at a run for good; at more of them it has a bad day. */
const RUNS_THAT_MAY_FAIL = 2;

/** Rejects where the list of runners cannot be read, or a limit is met; every other part may be unknown. */
export async function observeScope(client: Client, scope: string, wanted: ScopeLook, signal: AbortSignal): Promise<ScopeObservation> {
  const requests = { sent: 0, unchanged: 0 };
  const asking = (isOptional: boolean): Asking => ({ client: countedBy(requests, client, isOptional), scope, signal });
  const asked = { names: wanted.runners, lastId: wanted.lastId ?? (async () => null) };
  const { listed, wanted: configured, absent, observedAt, tokenExpiresAt } = await readAllRunners(asking(false), asked);
  const queue = isRepository(scope) ? await part(() => readQueue(asking(true), listed, wanted)) : known(null);
  const versions = await part(() => readVersions(asking(true), configured));
  const groups = wanted.readsGroups && !isRepository(scope) ? valueOrNull(await part(() => readGroups(asking(true)))) : null;
  const runners = configured.map(({ runner, groupId }) => ({ ...runner, group: groups?.get(groupId) ?? null }));
  return { observedAt, runners, absent, queue, versions, tokenExpiresAt, requests };
}

/** A part that GitHub does not give is unknown; a limit is none of a part alone. */
async function part<T>(read: () => Promise<T>): Promise<Reading<T>> {
  try {
    return known(await read());
  } catch (error) {
    if (!(error instanceof GitHubError) || error.kind === 'limited') throw error;
    return unknown(error.message);
  }
}

function countedBy(requests: { sent: number; unchanged: number }, client: Client, isOptional: boolean): Client {
  return {
    async request(call) {
      requests.sent += 1;
      const answer = await client.request({ ...call, isOptional });
      if (answer.isUnchanged) requests.unchanged += 1;
      return answer;
    },
  };
}

async function readQueue(
  asking: Asking,
  listed: readonly ListedRunner[],
  { runners, customLabels = [], runsRead: most, setAside }: Pick<ScopeLook, 'runners' | 'customLabels' | 'runsRead' | 'setAside'>,
): Promise<QueueObservation> {
  // In this order: a run that starts in between is in both lists rather than in none.
  const queued = await oldestRuns(asking, 'queued', most + setAside.length);
  const inProgress = await oldestRuns(asking, 'in_progress', most);
  const started = new Set(inProgress.ids);
  const aside = new Set(setAside);
  const real = queued.ids.filter((id) => !aside.has(id));
  const waiting = real.filter((id) => !started.has(id));
  const { jobs, running, read, finished } = await readJobs(asking, alternately(waiting, inProgress.ids).slice(0, most));

  const configured = new Set(runners.map((name) => name.toLowerCase()));
  const over = (ids: readonly number[]): number => ids.filter((id) => finished.has(id)).length;
  // One that was not among the oldest is taken to be queued still, as queue care has last seen it.
  const queuedNow = Math.max(0, queued.total - setAside.length - (real.length - waiting.length) - over(waiting));
  const inProgressNow = Math.max(0, inProgress.total - over(inProgress.ids));
  return {
    queued: queuedNow,
    inProgress: inProgressNow,
    waiting: groupJobs(jobs, [...listed.map(({ runner }) => runner.labels), ...customLabels.map((own) => [...own, ...ADDED_LABELS])]),
    running: running.filter(({ runner }) => configured.has(runner.toLowerCase())),
    runsNotRead: Math.max(0, queuedNow + inProgressNow - read),
  };
}

/** So that a long list keeps no run of the other one from being read. */
function alternately(one: readonly number[], other: readonly number[]): number[] {
  return Array.from({ length: Math.max(one.length, other.length) }, (_, index) => [one[index], other[index]])
    .flat()
    .filter((id) => id !== undefined);
}

/** Oldest first, `enough` of them or all. GitHub lists the newest first and stops at 1,000, so the oldest it gives are on the last page. */
async function oldestRuns(
  { client, scope, signal }: Asking,
  status: string,
  enough: number,
): Promise<{ readonly total: number; readonly ids: readonly number[] }> {
  const parameters = { status, per_page: PER_PAGE, exclude_pull_requests: 'true' };
  const call = { ...below(scope, 'GET', '/actions/runs', 'actions=read', parameters), answer: Runs, signal };
  const first = await client.request(call);
  const { total } = first.value;
  if (first.lastPage === null) return { total, ids: first.value.ids.toReversed() };
  const ids = new Set<number>();
  let address: string | null = first.lastPage;
  while (address !== null && ids.size < enough) {
    const page: Answer<typeof first.value> = await client.request(pageAt(address, call));
    for (const id of page.value.ids.toReversed()) ids.add(id);
    address = page.previousPage;
  }
  return { total, ids: [...ids] };
}

interface QueuedJob extends Job {
  readonly runId: number;
}

interface JobsRead {
  /** The queued ones. */
  readonly jobs: readonly QueuedJob[];
  readonly running: readonly JobOnRunner[];
  /** How many runs were read that have not ended. */
  readonly read: number;
  /** Runs that were listed, and have ended or are gone: lists lag. */
  readonly finished: ReadonlySet<number>;
}

async function readJobs(asking: Asking, runIds: readonly number[]): Promise<JobsRead> {
  const begun = performance.now();
  const jobs: QueuedJob[] = [];
  const running: JobOnRunner[] = [];
  const finished = new Set<number>();
  let [read, failures] = [0, 0];
  for (const runId of runIds) {
    if (performance.now() - begun > JOBS_WITHIN_MS) break;
    try {
      const found = await jobsOf(asking, runId);
      if (found.length > 0 && found.every(({ status }) => status === 'completed')) {
        finished.add(runId);
      } else {
        read += 1;
      }
      jobs.push(...found.filter(({ status }) => status === 'queued').map((job) => ({ ...job, runId })));
      running.push(...jobsOnRunners(runId, found));
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind === 'limited') throw error;
      if (error.status === 404) {
        finished.add(runId);
        continue;
      }
      failures += 1;
      if (error.status === null || failures > RUNS_THAT_MAY_FAIL) throw error;
    }
  }
  return { jobs, running, read, finished };
}

async function jobsOf({ client, scope, signal }: Asking, runId: number): Promise<readonly Job[]> {
  const parameters = { run_id: runId, filter: 'latest', per_page: PER_PAGE };
  const call = below(scope, 'GET', '/actions/runs/{run_id}/jobs', 'actions=read', parameters);
  const found: Job[] = [];
  for await (const { value } of pagesOf(client, { ...call, answer: Jobs, signal })) found.push(...value.jobs);
  return found;
}

/** Jobs of GitHub's own runners are left out; of a job without labels nobody can say who serves it. */
function groupJobs(jobs: readonly QueuedJob[], labelsOfRunners: readonly (readonly string[])[]): WaitingJobs[] {
  const offered = labelsOfRunners.map((own) => new Set(own.map((label) => label.toLowerCase())));
  const groups = new Map<string, WaitingJobs>();
  for (const { labels, createdAt, runId } of jobs.toSorted((one, other) => one.createdAt - other.createdAt)) {
    const asked = labels.map((label) => label.toLowerCase());
    const isServable = asked.length > 0 && offered.some((labelsOfRunner) => asked.every((label) => labelsOfRunner.has(label)));
    if (!isServable && !asked.includes('self-hosted')) continue;
    const key = JSON.stringify(asked.toSorted());
    const group = groups.get(key) ?? { labels, count: 0, oldestAt: createdAt, runId, isServable };
    groups.set(key, { ...group, count: group.count + 1 });
  }
  return [...groups.values()].slice(0, MOST_GROUPS);
}

async function readVersions({ client, scope, signal }: Asking, configured: readonly ListedRunner[]): Promise<RunnerVersions> {
  const needs = runnersPermission(scope, 'read');
  const downloads = await client.request({ ...below(scope, 'GET', '/actions/runners/downloads', needs), answer: NewestVersion, signal });
  const retirements: Retirement[] = [];
  for (const version of new Set(configured.map(({ runner }) => runner.version).filter((candidate) => candidate !== null))) {
    try {
      const call = below(scope, 'GET', '/actions/runners/deprecations/{version}', needs, { version });
      const { value } = await client.request({ ...call, answer: Deprecation, signal });
      retirements.push({ version, ...value });
    } catch (error) {
      // GitHub Enterprise Server has no such endpoint, and no server knows every version.
      if (!(error instanceof GitHubError) || error.kind !== 'rejected') throw error;
    }
  }
  return { latest: downloads.value, retirements };
}

async function readGroups({ client, scope, signal }: Asking): Promise<ReadonlyMap<number | null, string>> {
  const call = below(scope, 'GET', '/actions/runner-groups', runnersPermission(scope, 'read'), { per_page: PER_PAGE });
  const names = new Map<number | null, string>();
  for await (const { value } of pagesOf(client, { ...call, answer: RunnerGroups, signal })) {
    for (const { id, name } of value.groups) names.set(id, name);
  }
  return names;
}
