// Endpoints of one job: itself, its log, its annotations, and its re-run.

import { notFound, paginate, refuse } from './answer.ts';
import type { Answer } from './answer.ts';
import { REPOSITORY, urlById } from './endpoint.ts';
import type { Asked, Endpoint } from './endpoint.ts';
import { refuseRerun } from './run-endpoints.ts';
import { annotationJson, jobJson } from './run-shapes.ts';
import type { Job, Run } from './run.ts';

/** A job that a run has. */
type RunsJob = Job & { readonly run: Run };

export const JOB_ENDPOINTS: readonly Endpoint[] = [
  {
    method: 'GET',
    path: /^\/actions\/jobs\/(\d+)$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: (asked) => ofJob(asked, (job) => ({ status: 200, body: jobJson(job, job.run, asked.request.base) })),
  },
  {
    method: 'GET',
    path: /^\/actions\/jobs\/(\d+)\/logs$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: (asked) => ofJob(asked, (job) => leadToLog(asked, job)),
  },
  {
    method: 'GET',
    path: /^\/check-runs\/(\d+)\/annotations$/,
    kinds: REPOSITORY,
    needs: ['checks', 'read'],
    answer: (asked) => ofJob(asked, (job) => listAnnotations(asked, job)),
  },
  {
    method: 'POST',
    path: /^\/actions\/jobs\/(\d+)\/rerun$/,
    kinds: REPOSITORY,
    needs: ['actions', 'write'],
    answer: (asked) => ofJob(asked, (job) => rerunJob(asked, job)),
  },
];

function ofJob({ world, scope, id }: Asked, answer: (job: RunsJob) => Answer): Answer {
  const job = world.runs.findJob(id);
  return job && isOfRun(job) && job.run.scope === scope ? answer(job) : notFound();
}

function isOfRun(job: Job): job is RunsJob {
  return job.run !== null;
}

/** A job that is not completed has none yet, and one that was skipped never gets one. */
function leadToLog({ world }: Asked, job: RunsJob): Answer {
  if (job.state !== 'completed' || job.result === 'Skipped') return notFound();
  if (job.output.logIs === 'expired') return refuse(410, 'Gone');
  return { status: 302, headers: { Location: world.logs.addressOf(job) } };
}

function listAnnotations({ request, scope, rest }: Asked, { output, run }: RunsJob): Answer {
  const { page, headers } = paginate(output.annotations ?? [], request.query, urlById(request, scope, rest));
  return { status: 200, headers, body: page.map((annotation) => annotationJson(annotation, run, request.base)) };
}

/** Which jobs need it is not known here: none does. The wordings of refusals are captured ones. */
function rerunJob({ world }: Asked, job: RunsJob): Answer {
  const { run } = job;
  const refused =
    run.status === 'completed' ? refuseRerun(run, world.now()) : refuse(403, 'The workflow run containing this job is already running');
  const answer = refused ?? (run.jobs.includes(job) ? null : refuse(403, 'Only jobs from the current attempt can be re-run'));
  if (answer) {
    run.refused += 1;
    return answer;
  }
  run.accepted.rerunJob += 1;
  world.runs.rerun(run, (other) => other === job);
  return { status: 201, body: {} };
}
