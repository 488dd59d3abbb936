// What the care for the actions cache asks of GitHub: failed jobs, why they failed, and to run them again.

import { Annotations, AnnotationsOfChecks, Referral } from './answers.ts';
import { frugally } from './client.ts';
import type { Client } from './client.ts';
import { findPart } from './contents.ts';
import { below } from './endpoints.ts';
import { createGraphql } from './graphql.ts';
import type { Graphql } from './graphql.ts';
import { readLog } from './job-log.ts';
import type { LogSource } from './job-log.ts';
import { GitHubError } from './port.ts';
import type { Dated, FailedJob, FailedJobs, FailurePort, LogRead } from './port.ts';
import { ofLatestAttempt } from './run-jobs.ts';
import { PER_PAGE, READS_RUNS, readJobs, unlessGone } from './run-reads.ts';
import type { Asking } from './run-reads.ts';
import { rerunJob, writeRun } from './run-writes.ts';

const MISSING: LogRead = { kind: 'missing', bytes: 0, isCut: false };

/** @param source for what GitHub refers to, and without its token */
export function createFailures(github: Client, source: LogSource): FailurePort {
  const client = frugally(github);
  const graphql = createGraphql(client);
  return {
    readFailedJobs: (scope, run, signal) => readFailedJobs({ client, scope, signal }, run),
    readFailureAnnotations: (scope, checkRun, signal) => readFailureAnnotations({ client, scope, signal }, checkRun),
    readFailureAnnotationsOf: (scope, jobs, signal) => readFailureAnnotationsOf(graphql, { client, scope, signal }, jobs),
    readJobLog: (scope, job, how, signal) => readJobLog({ client, scope, signal }, job, how, source),
    findPart: (_scope, part, signal) => findPart({ client, scope: part.repository, signal }, part),
    rerunFailedJobs: (scope, run, signal) => writeRun(client, { scope, run, write: 'rerun-failed-jobs' }, signal),
    rerunJob: (scope, job, signal) => rerunJob(client, { scope, job }, signal),
  };
}

function readFailedJobs(asking: Asking, run: number): Promise<Dated<FailedJobs | null>> {
  return unlessGone(asking, async () => {
    const { value, githubTime } = await readJobs(asking, run);
    const { attempt, jobs } = ofLatestAttempt(value.jobs);
    const failed = jobs
      .filter(({ conclusion }) => conclusion === 'failure')
      .map(({ id, name, runner, checkRun, nodeId, startedAt }) => ({ id, name, runner, checkRun, nodeId, startedAt }));
    return { value: { attempt, jobs: failed }, githubTime };
  });
}

async function readFailureAnnotations({ client, scope, signal }: Asking, checkRun: number): Promise<Dated<readonly string[]>> {
  const parameters = { check_run_id: checkRun, per_page: PER_PAGE };
  const call = below(scope, 'GET', '/check-runs/{check_run_id}/annotations', READS_CHECKS, parameters);
  const { value, githubTime } = await client.request({ ...call, answer: Annotations, signal });
  return { value: messagesOf(value), githubTime };
}

async function readFailureAnnotationsOf(
  graphql: Graphql,
  { scope, signal }: Asking,
  jobs: readonly Pick<FailedJob, 'checkRun' | 'nodeId'>[],
): Promise<Dated<ReadonlyMap<number, readonly string[]>>> {
  const named = jobs.flatMap(({ checkRun, nodeId }) => (checkRun === null || nodeId === null ? [] : [{ checkRun, nodeId }]));
  const messages = new Map<number, readonly string[]>();
  let answeredAt: number | null = null;
  for (let first = 0; first < named.length; first += CHECKS_AT_ONCE) {
    const asked = named.slice(first, first + CHECKS_AT_ONCE);
    const variables = { ids: asked.map(({ nodeId }) => nodeId) };
    const answer = await graphql.ask({ scope, needs: READS_CHECKS, signal, query: ANNOTATIONS, variables, data: AnnotationsOfChecks });
    if (answer?.value.length !== asked.length) break;
    answeredAt ??= answer.githubTime;
    for (const [index, { checkRun }] of asked.entries()) messages.set(checkRun, messagesOf(answer.value[index] ?? []));
  }
  return { value: messages, githubTime: answeredAt ?? Date.now() };
}

const READS_CHECKS = 'checks=read';
/** Check runs of one request; each may have long messages. */
const CHECKS_AT_ONCE = 50;
const ANNOTATIONS = `query ($ids: [ID!]!) {
  nodes(ids: $ids) { ... on CheckRun { annotations(first: ${PER_PAGE}) { nodes { annotationLevel message } } } }
}`;

function messagesOf(annotations: readonly { readonly level: string | null; readonly message: string }[]): readonly string[] {
  return annotations.filter(({ level }) => level === 'failure').map(({ message }) => message);
}

async function readJobLog(
  asking: Asking,
  job: number,
  how: Parameters<FailurePort['readJobLog']>[2],
  source: LogSource,
): Promise<Dated<LogRead>> {
  const { value: address, githubTime } = await findLog(asking, job);
  if (address === null) return { value: MISSING, githubTime };
  const what = `GET /repos/${asking.scope}/actions/jobs/${job}/logs`;
  return { value: (await readLog(source, { what, address }, how, asking.signal)) ?? MISSING, githubTime };
}

/** An address that is valid for a minute. GitHub answers 404 before the job is completed, and 410 or 404 once its log is gone. */
async function findLog(asking: Asking, job: number): Promise<Dated<string | null>> {
  try {
    return await unlessGone(asking, async ({ client, scope, signal }) => {
      const call = below(scope, 'GET', '/actions/jobs/{job_id}/logs', READS_RUNS, { job_id: job });
      const { value, githubTime } = await client.request({ ...call, answer: Referral, isReferral: true, signal });
      return { value: value.location, githubTime };
    });
  } catch (error) {
    if (!(error instanceof GitHubError) || error.status !== 410) throw error;
    return { value: null, githubTime: error.githubTime ?? Date.now() };
  }
}
