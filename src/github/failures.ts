// What the care for the actions cache asks of GitHub: failed jobs, why they failed, and to run them again.

import { Annotations, Referral } from './answers.ts';
import { frugally } from './client.ts';
import type { Client } from './client.ts';
import { findPart } from './contents.ts';
import { below } from './endpoints.ts';
import { readLog } from './job-log.ts';
import type { LogSource } from './job-log.ts';
import { GitHubError } from './port.ts';
import type { Dated, FailedJobs, FailurePort, LogRead } from './port.ts';
import { ofLatestAttempt } from './run-jobs.ts';
import { PER_PAGE, READS_RUNS, readJobs, unlessGone } from './run-reads.ts';
import type { Asking } from './run-reads.ts';
import { rerunJob, writeRun } from './run-writes.ts';

const MISSING: LogRead = { kind: 'missing', bytes: 0, isCut: false };

/** @param source for what GitHub refers to, and without its token */
export function createFailures(github: Client, source: LogSource): FailurePort {
  const client = frugally(github);
  return {
    readFailedJobs: (scope, run, signal) => readFailedJobs({ client, scope, signal }, run),
    readFailureAnnotations: (scope, checkRun, signal) => readFailureAnnotations({ client, scope, signal }, checkRun),
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
      .map(({ id, name, runner, checkRun, startedAt }) => ({ id, name, runner, checkRun, startedAt }));
    return { value: { attempt, jobs: failed }, githubTime };
  });
}

async function readFailureAnnotations({ client, scope, signal }: Asking, checkRun: number): Promise<Dated<readonly string[]>> {
  const parameters = { check_run_id: checkRun, per_page: PER_PAGE };
  const call = below(scope, 'GET', '/check-runs/{check_run_id}/annotations', 'checks=read', parameters);
  const { value, githubTime } = await client.request({ ...call, answer: Annotations, signal });
  return { value: value.filter(({ level }) => level === 'failure').map(({ message }) => message), githubTime };
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
