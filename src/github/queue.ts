// What queue care asks of GitHub: lists of runs, a run, its jobs, concurrency groups and labels.

import type { Run, RunJobs } from '../domain/queue/run.ts';
import { labelSetOf } from '../domain/queue/run.ts';
import type { RegisteredRunner } from '../domain/runner.ts';
import { ConcurrencyGroups, RunList, RunnerList, UsableGroups, WorkflowRun } from './answers.ts';
import type { ListedRunner } from './answers.ts';
import { frugally } from './client.ts';
import type { Client, WritingClient } from './client.ts';
import { below, pagesOf, runnersPermission } from './endpoints.ts';
import { createGraphql } from './graphql.ts';
import type { Pace } from './pace.ts';
import { GitHubError } from './port.ts';
import type { Dated, JobsEnd, QueuePort, RunnersAlike, RunnersForRepository, RunsListed, RunsWanted, Turn } from './port.ts';
import { createRefs, hasRef } from './refs.ts';
import { countJobs, ofLatestAttempt } from './run-jobs.ts';
import { createdWithin, PER_PAGE, READS_RUNS, readJobs, runsCall, unlessGone } from './run-reads.ts';
import type { Asking } from './run-reads.ts';
import { writeRun } from './run-writes.ts';

/** Lists of runs with a filter end after so many. https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository */
const MOST_FILTERED = 1_000;

/** @param pace of the credential's writes; `null` sends them at once */
export function createQueue(github: WritingClient, pace: Pace | null): QueuePort {
  const client = frugally(github);
  const refs = createRefs(createGraphql(client));
  return {
    listRuns: (scope, wanted, signal) => listRuns({ client, scope, signal }, wanted),
    countRunsOf: (scope, status, signal, believedMs) => countRunsOf(client, scope, status, signal, believedMs),
    listLabelSets: (scope, signal, believedMs) => listLabelSets({ client, scope, signal }, believedMs),
    listRunnersFor: (organisation, repository, signal) => listRunnersFor({ client, scope: organisation, signal }, repository),
    readRun: (scope, run, signal) => readRun({ client, scope, signal }, run),
    readRunJobs: (scope, run, signal) => readRunJobs({ client, scope, signal }, run),
    readJobsEnd: (scope, run, signal) => readJobsEnd({ client, scope, signal }, run),
    areTags: (scope, names, signal) => refs.areTags({ client, scope, signal }, names),
    hasRef: (scope, name, signal) => hasRef({ client, scope, signal }, name),
    readDefaultBranch: (scope, signal) => refs.readDefaultBranch({ client, scope, signal }),
    readConcurrencyGroups: (scope, run, signal) => readGroups({ client, scope, signal }, `/actions/runs/${run}/concurrency_groups`),
    listActiveGroups: (scope, signal) => readGroups({ client, scope, signal }, '/actions/concurrency_groups'),
    findNewestRun: (scope, like, signal) => findNewestRun({ client, scope, signal }, like),
    inTurn(scope, work, signal) {
      const act = (turn: Turn) => client.together(scope, () => work(turn), signal);
      return pace === null ? act(AT_ONCE) : pace.inTurn(act, signal);
    },
    cancelRun: (scope, run, { force }, signal) => writeRun(client, { scope, run, write: force ? 'force-cancel' : 'cancel' }, signal),
    rerunRun: (scope, run, signal) => writeRun(client, { scope, run, write: 'rerun' }, signal),
  };
}

/** Where nothing is paced. */
const AT_ONCE: Turn = { skip: () => {} };

async function listRuns({ client, scope, signal }: Asking, wanted: RunsWanted): Promise<Dated<RunsListed>> {
  const call = { ...runsCall({ scope, signal }, { status: wanted.status, ...createdWithin(wanted) }), believedMs: wanted.believedMs ?? 0 };
  const runs = new Map<number, Run>();
  let [total, pages, answeredAt, hasMore] = [0, 0, 0, false];
  for await (const { value, githubTime, nextPage } of pagesOf(client, call)) {
    for (const run of value.runs) runs.set(run.id, run);
    total = Math.max(total, value.total);
    pages += 1;
    if (pages === 1) answeredAt = githubTime;
    hasMore = nextPage !== null;
    if (pages >= wanted.pages) break;
  }
  // A run that leaves the list while pages are read moves another one to a page that was read before.
  const isCut = hasMore || total > runs.size || total >= MOST_FILTERED;
  const newestFirst = [...runs.values()].toSorted((one, other) => other.createdAt - one.createdAt || other.id - one.id);
  return { value: { total, runs: newestFirst, isCut }, githubTime: answeredAt };
}

/** By GitHub's total. */
export async function countRunsOf(
  client: Client,
  scope: string,
  status: string,
  signal: AbortSignal,
  believedMs = 0,
): Promise<Dated<number>> {
  const { value, githubTime } = await client.request({ ...runsCall({ scope, signal }, { status }), believedMs });
  return { value: value.total, githubTime };
}

async function listLabelSets(asking: Asking, believedMs = 0): Promise<Dated<readonly RunnersAlike[]>> {
  const { value, githubTime } = await listRunners(asking, believedMs);
  return { value: alikeOf(value.map(({ runner }) => runner)), githubTime };
}

async function listRunnersFor(asking: Asking, repository: string): Promise<Dated<RunnersForRepository>> {
  const { client, scope, signal } = asking;
  const parameters = { visible_to_repository: repository.split('/')[1] ?? '', per_page: PER_PAGE };
  const call = below(scope, 'GET', '/actions/runner-groups', runnersPermission(scope, 'read'), parameters);
  const groups = new Map<number, RunnersForRepository['groups'][number]>();
  for await (const { value } of pagesOf(client, { ...call, answer: UsableGroups, signal })) {
    for (const { id, ...group } of value) groups.set(id, group);
  }
  const { value: listed, githubTime } = await listRunners(asking, 0);
  const isUsable = ({ groupId }: ListedRunner): boolean => groupId !== null && groups.has(groupId);
  return {
    value: {
      alike: alikeOf(listed.filter(isUsable).map(({ runner }) => runner)),
      groups: [...groups.values()],
      elsewhere: listed.filter((each) => !isUsable(each)).map(({ runner }) => runner.name),
    },
    githubTime,
  };
}

async function listRunners({ client, scope, signal }: Asking, believedMs: number): Promise<Dated<readonly ListedRunner[]>> {
  const call = below(scope, 'GET', '/actions/runners', runnersPermission(scope, 'read'), { per_page: PER_PAGE });
  const listed: ListedRunner[] = [];
  let answeredAt: number | null = null;
  for await (const { value, githubTime } of pagesOf(client, { ...call, answer: RunnerList, signal, believedMs })) {
    listed.push(...value.listed);
    answeredAt ??= githubTime;
  }
  return { value: listed, githubTime: answeredAt ?? Date.now() };
}

function alikeOf(runners: readonly RegisteredRunner[]): readonly RunnersAlike[] {
  const alike = new Map<string, RunnersAlike>();
  for (const { name, status, busy, labels: all } of runners) {
    const labels = labelSetOf(all);
    const key = JSON.stringify(labels);
    alike.set(key, { labels, runners: [...(alike.get(key)?.runners ?? []), { name, status, busy }] });
  }
  return [...alike.values()];
}

function readRun(asking: Asking, run: number): Promise<Dated<Run | null>> {
  return unlessGone(asking, async ({ client, scope, signal }) => {
    const call = below(scope, 'GET', '/actions/runs/{run_id}', READS_RUNS, { run_id: run });
    const { value, githubTime } = await client.request({ ...call, answer: WorkflowRun, signal });
    return { value, githubTime };
  });
}

function readRunJobs(asking: Asking, run: number): Promise<Dated<RunJobs | null>> {
  return unlessGone(asking, async () => {
    const { value, githubTime } = await readJobs(asking, run);
    return { value: countJobs(run, value.jobs, value.total), githubTime };
  });
}

function readJobsEnd(asking: Asking, run: number): Promise<Dated<JobsEnd | null>> {
  return unlessGone(asking, async () => {
    const { value, githubTime } = await readJobs(asking, run);
    const { attempt, jobs } = ofLatestAttempt(value.jobs);
    const areOver = jobs.length >= value.total && jobs.every(({ status }) => status === 'completed');
    return { value: { attempt, areOver, isOneCancelled: jobs.some(({ conclusion }) => conclusion === 'cancelled') }, githubTime };
  });
}

/** Servers that do not know the endpoint answer 404, as GitHub does for a run that is gone. */
async function readGroups({ client, scope, signal }: Asking, path: string): Promise<Dated<readonly string[] | null>> {
  const call = below(scope, 'GET', path, READS_RUNS, { per_page: PER_PAGE });
  const groups: string[] = [];
  let answeredAt: number | null = null;
  try {
    for await (const { value, githubTime } of pagesOf(client, { ...call, answer: ConcurrencyGroups, signal })) {
      groups.push(...value);
      answeredAt ??= githubTime;
    }
  } catch (error) {
    if (!(error instanceof GitHubError) || error.status !== 404) throw error;
    return { value: null, githubTime: error.githubTime ?? Date.now() };
  }
  return { value: groups, githubTime: answeredAt ?? Date.now() };
}

async function findNewestRun(
  { client, scope, signal }: Asking,
  { workflowId, event, branch }: { readonly workflowId: number; readonly event: string; readonly branch: string },
): Promise<Dated<Run | null>> {
  const parameters = { workflow_id: workflowId, branch, event, per_page: 1 };
  const call = below(scope, 'GET', '/actions/workflows/{workflow_id}/runs', READS_RUNS, parameters);
  const { value, githubTime } = await client.request({ ...call, answer: RunList, signal });
  return { value: value.runs[0] ?? null, githubTime };
}
