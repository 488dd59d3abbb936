// Endpoints of runs: lists with their filters, the jobs of a run, and what is done to it.

import { notFound, paginate, refuse } from './answer.ts';
import type { Answer } from './answer.ts';
import { REPOSITORY, urlById } from './endpoint.ts';
import type { Asked, Endpoint } from './endpoint.ts';
import { readFilter, statusListed } from './run-filters.ts';
import { activeGroupJson, concurrencyGroupJson, jobJson, runJson } from './run-shapes.ts';
import type { Job, Run, Workflow } from './run.ts';

/** Lists of runs with a filter end after so many. */
const MOST_FILTERED = 1000;
const RERUN_WITHIN_MS = 30 * 86_400_000;
const MOST_RERUNS = 50;

export const RUN_ENDPOINTS: readonly Endpoint[] = [
  {
    method: 'GET',
    path: /^\/actions\/runs$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: (asked) => listRuns(asked, null),
  },
  {
    method: 'GET',
    path: /^\/actions\/workflows\/([^/]+)\/runs$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: listRunsOfWorkflow,
  },
  {
    method: 'GET',
    path: /^\/actions\/runs\/(\d+)$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: getRun,
  },
  {
    method: 'GET',
    path: /^\/actions\/runs\/(\d+)\/jobs$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: listJobs,
  },
  {
    method: 'GET',
    path: /^\/actions\/runs\/(\d+)\/concurrency_groups$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: listConcurrencyGroups,
  },
  {
    method: 'GET',
    path: /^\/actions\/concurrency_groups$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: listActiveGroups,
  },
  {
    method: 'POST',
    path: /^\/actions\/runs\/(\d+)\/cancel$/,
    kinds: REPOSITORY,
    needs: ['actions', 'write'],
    answer: cancelRun,
  },
  {
    method: 'POST',
    path: /^\/actions\/runs\/(\d+)\/force-cancel$/,
    kinds: REPOSITORY,
    needs: ['actions', 'write'],
    answer: forceCancelRun,
  },
  {
    method: 'POST',
    path: /^\/actions\/runs\/(\d+)\/rerun$/,
    kinds: REPOSITORY,
    needs: ['actions', 'write'],
    answer: rerunRun,
  },
  {
    method: 'POST',
    path: /^\/actions\/runs\/(\d+)\/rerun-failed-jobs$/,
    kinds: REPOSITORY,
    needs: ['actions', 'write'],
    answer: rerunFailedJobs,
  },
];

function listRunsOfWorkflow(asked: Asked): Answer {
  const workflow = asked.world.runs.findWorkflow(asked.scope, asked.word);
  return workflow ? listRuns(asked, workflow.id) : notFound();
}

/** Newest first. */
function listRuns({ world, request, scope, rest }: Asked, workflow: Workflow['id'] | null): Answer {
  const { query, base } = request;
  const filter = readFilter(query);
  if (!filter) return refuse(422, 'Validation Failed');
  const found = world.runs
    .of(scope)
    .filter((run) => (workflow === null || run.workflow.id === workflow) && filter.passes(run))
    .reverse();
  const reachable = filter.isCapping ? found.slice(0, MOST_FILTERED) : found;
  const { page, headers } = paginate(reachable, query, urlById(request, scope, rest));
  return {
    status: 200,
    headers,
    body: {
      total_count: world.capsTotals ? reachable.length : found.length,
      workflow_runs: page.map((run) => runJson(run, statusListed(run), withPullRequests(query), base)),
    },
  };
}

function getRun(asked: Asked): Answer {
  const run = runOf(asked);
  const { base, query } = asked.request;
  return run ? { status: 200, body: runJson(run, run.status, withPullRequests(query), base) } : notFound();
}

function withPullRequests(query: URLSearchParams): boolean {
  return query.get('exclude_pull_requests') !== 'true';
}

function listJobs(asked: Asked): Answer {
  const { request, scope, rest } = asked;
  const run = runOf(asked);
  if (!run) return notFound();
  const jobs = request.query.get('filter') === 'all' ? [...run.earlierJobs, ...run.jobs] : run.jobs;
  const { page, headers } = paginate(jobs, request.query, urlById(request, scope, rest));
  return {
    status: 200,
    headers,
    body: { total_count: jobs.length, jobs: page.map((job) => jobJson(job, run, request.base)) },
  };
}

/** By the run's configuration, whether it is in one at present or not. */
function listConcurrencyGroups(asked: Asked): Answer {
  const { world, request, scope } = asked;
  const run = runOf(asked);
  if (!run || !world.knowsConcurrencyGroups) return notFound();
  const groups = run.concurrencyGroup === null ? [] : [concurrencyGroupJson(run.concurrencyGroup, run, scope, request.base)];
  return { status: 200, body: { total_count: groups.length, concurrency_groups: groups } };
}

function listActiveGroups({ world, request, scope, rest }: Asked): Answer {
  if (!world.knowsConcurrencyGroups) return notFound();
  const active = world.runs.of(scope).filter(({ status }) => status !== 'completed');
  const names = [...new Set(active.flatMap(({ concurrencyGroup }) => concurrencyGroup ?? []))].toSorted();
  const { page, headers } = paginate(names, request.query, urlById(request, scope, rest));
  const groups = page.map((name) => activeGroupJson(name, scope.name, request.base));
  return { status: 200, headers, body: { total_count: names.length, concurrency_groups: groups } };
}

function cancelRun(asked: Asked): Answer {
  return write(asked, 'cancel', 202, refuseCancel, (run) => asked.world.runs.cancel(run));
}

function forceCancelRun(asked: Asked): Answer {
  return write(asked, 'forceCancel', 202, refuseCancel, (run) => asked.world.runs.complete(run, 'cancelled'));
}

function rerunRun(asked: Asked): Answer {
  const { world } = asked;
  const refuseAtPresent = (run: Run): Answer | null => refuseRerun(run, world.now());
  return write(asked, 'rerun', 201, refuseAtPresent, (run) => world.runs.rerun(run));
}

/** Which jobs need the failed ones is not known here: none does. */
function rerunFailedJobs(asked: Asked): Answer {
  const { world } = asked;
  const refuseAtPresent = (run: Run): Answer | null =>
    refuseRerun(run, world.now()) ?? (run.jobs.some(hasFailed) ? null : refuse(403, 'This workflow run cannot be retried'));
  return write(asked, 'rerunFailed', 201, refuseAtPresent, (run) => world.runs.rerun(run, hasFailed));
}

/** Those that were cancelled or ran out of time are run again with them. */
function hasFailed({ result }: Job): boolean {
  return result === 'Failed' || result === 'Canceled';
}

function write(
  asked: Asked,
  deed: keyof Run['accepted'],
  status: number,
  refuseTo: (run: Run) => Answer | null,
  act: (run: Run) => void,
): Answer {
  const run = runOf(asked);
  if (!run) return notFound();
  const refused = refuseTo(run);
  if (refused) {
    run.refused += 1;
    return refused;
  }
  run.accepted[deed] += 1;
  if (run.zombie !== 'deaf') act(run);
  return { status, body: {} };
}

/** All wordings of refusals are captured ones. */
function refuseCancel({ status, zombie }: Run): Answer | null {
  if (status === 'completed') return refuse(409, 'Cannot cancel a workflow run that is completed.');
  if (zombie === 'not-queued') return refuse(409, 'Cannot cancel a workflow run that has not been queued yet.');
  if (zombie === 'failing') return refuse(500, 'Failed to cancel workflow run');
  return null;
}

export function refuseRerun({ status, createdAt, attempt }: Run, now: number): Answer | null {
  if (status !== 'completed') return refuse(403, 'This workflow is already running');
  if (now - createdAt > RERUN_WITHIN_MS) {
    return refuse(403, 'Unable to retry this workflow run because it was created over a month ago');
  }
  if (attempt > MOST_RERUNS) return refuse(403, 'This workflow run cannot be retried');
  return null;
}

function runOf({ world, scope, id }: Asked): Run | undefined {
  const run = world.runs.find(id);
  return run?.scope === scope ? run : undefined;
}
