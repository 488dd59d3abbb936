// JSON of runs and jobs, with all the fields that GitHub's OpenAPI description requires.

import { conclusionOf } from './run.ts';
import type { Annotation, Job, Run } from './run.ts';
import { iso, minimalRepositoryJson, nodeId, userJson, webAddress } from './shapes.ts';

/** @param status the one to show */
export function runJson(run: Run, status: string, withPullRequests: boolean, base: string): object {
  const { scope, workflow, headRepository } = run;
  const url = `${base}/repos/${scope.name}/actions/runs/${run.id}`;
  return {
    id: run.id,
    node_id: nodeId('WFR', run.id),
    name: workflow.name,
    display_title: run.title,
    head_branch: run.branch,
    head_sha: run.sha,
    path: workflow.path,
    run_number: run.number,
    run_attempt: run.attempt,
    event: run.event,
    status,
    conclusion: run.conclusion,
    workflow_id: workflow.id,
    actor: userJson(run.actor, base),
    triggering_actor: userJson(run.actor, base),
    pull_requests: withPullRequests ? run.pullRequests.map((number) => pullRequestJson(number, run, base)) : [],
    url,
    html_url: `${webAddress(base)}/${scope.name}/actions/runs/${run.id}`,
    created_at: iso(run.createdAt),
    updated_at: iso(run.updatedAt),
    run_started_at: iso(run.startedAt),
    jobs_url: `${url}/jobs`,
    logs_url: `${url}/logs`,
    check_suite_url: `${base}/repos/${scope.name}/check-suites/${run.number}`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    workflow_url: `${base}/repos/${scope.name}/actions/workflows/${workflow.id}`,
    head_commit: null,
    repository: minimalRepositoryJson(scope, base),
    // `null` after the fork was deleted, which the description leaves out.
    head_repository: headRepository && { ...minimalRepositoryJson(headRepository, base), fork: headRepository !== scope },
  };
}

/** The short form that GitHub embeds in runs. */
function pullRequestJson(number: number, { scope, branch, sha, headRepository }: Run, base: string): object {
  const side = (ref: string, { id, name }: Pick<Run['scope'], 'id' | 'name'>): object => ({
    ref,
    sha,
    repo: { id, url: `${base}/repos/${name}`, name: name.split('/')[1] ?? name },
  });
  return {
    id: scope.id * 100_000 + number,
    number,
    url: `${base}/repos/${scope.name}/pulls/${number}`,
    head: side(branch ?? '', headRepository ?? scope),
    base: side('main', scope),
  };
}

export function jobJson(job: Job, run: Run, base: string): object {
  const { runner } = job;
  const { scope } = run;
  const url = `${base}/repos/${scope.name}/actions/jobs/${job.id}`;
  return {
    id: job.id,
    run_id: run.id,
    run_url: `${base}/repos/${scope.name}/actions/runs/${run.id}`,
    run_attempt: job.attempt,
    node_id: nodeId('CR', job.id),
    head_sha: run.sha,
    head_branch: run.branch,
    workflow_name: run.workflow.name,
    name: job.name,
    url,
    html_url: `${webAddress(base)}/${scope.name}/actions/runs/${run.id}/job/${job.id}`,
    // A job has a check run of the same id.
    check_run_url: `${base}/repos/${scope.name}/check-runs/${job.id}`,
    status: job.state,
    conclusion: job.result === null ? null : conclusionOf(job.result),
    created_at: iso(job.createdAt),
    // Of a job that waits it is when it began to wait.
    started_at: iso(job.startedAt ?? job.createdAt),
    completed_at: job.completedAt === null ? null : iso(job.completedAt),
    steps: [],
    labels: job.labels,
    runner_id: runner?.id ?? null,
    runner_name: runner?.name ?? job.hostedRunner,
    runner_group_id: runner?.group.id ?? null,
    runner_group_name: runner?.group.name ?? null,
  };
}

export function activeGroupJson(name: string, repository: string, base: string): object {
  return { group_name: name, group_url: groupAddress(name, repository, base), last_acquired_at: null };
}

/** With the run itself, while it holds the group or waits for it. */
export function concurrencyGroupJson(name: string, { id, title, status }: Run, { name: repository }: Run['scope'], base: string): object {
  const url = groupAddress(name, repository, base);
  const member = {
    run_id: id,
    run_name: title,
    run_url: `${base}/repos/${repository}/actions/runs/${id}`,
    run_html_url: `${webAddress(base)}/${repository}/actions/runs/${id}`,
    position: status === 'pending' ? 1 : 0,
    position_url: `${url}?ahead_of_run=${id}`,
    status: status === 'pending' ? 'pending' : 'in_progress',
  };
  return { group_name: name, group_url: url, group_members: status === 'completed' ? [] : [member] };
}

function groupAddress(name: string, repository: string, base: string): string {
  return `${base}/repos/${repository}/actions/concurrency_groups/${encodeURIComponent(name)}`;
}

/** As the runner makes them of `::error::` lines and of what goes wrong around a step. */
export function annotationJson({ level, message }: Annotation, { scope, sha }: Run, base: string): object {
  return {
    path: '.github',
    blob_href: `${webAddress(base)}/${scope.name}/blob/${sha}/.github`,
    start_line: 1,
    end_line: 1,
    start_column: null,
    end_column: null,
    annotation_level: level,
    title: '',
    message,
    raw_details: '',
  };
}
