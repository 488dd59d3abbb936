// Writes on runs and jobs: each is sent once, and what GitHub says to it is a value.

import { z } from 'zod';
import type { Client } from './client.ts';
import { below } from './endpoints.ts';
import { GitHubError } from './port.ts';
import type { Dated, RunWritten } from './port.ts';

export type RunWrite = 'cancel' | 'force-cancel' | 'rerun' | 'rerun-failed-jobs';

const WRITES_RUNS = 'actions=write';
/** What GitHub answers where it takes a write on: 202 to a cancel, 201 to a re-run. */
const ACCEPTED: readonly number[] = [201, 202];

/** `{}`, `null` and nothing were seen. */
const ANY_BODY = z.unknown();

/** Sent at once: whoever writes has its turn. */
export function writeRun(
  client: Client,
  { scope, run, write }: { readonly scope: string; readonly run: number; readonly write: RunWrite },
  signal: AbortSignal,
): Promise<Dated<RunWritten>> {
  return send(client, below(scope, 'POST', `/actions/runs/{run_id}/${write}`, WRITES_RUNS, { run_id: run }), signal);
}

/** Sent at once likewise. */
export function rerunJob(
  client: Client,
  { scope, job }: { readonly scope: string; readonly job: number },
  signal: AbortSignal,
): Promise<Dated<RunWritten>> {
  return send(client, below(scope, 'POST', '/actions/jobs/{job_id}/rerun', WRITES_RUNS, { job_id: job }), signal);
}

async function send(client: Client, call: ReturnType<typeof below>, signal: AbortSignal): Promise<Dated<RunWritten>> {
  try {
    const { status, githubTime } = await client.request({ ...call, answer: ANY_BODY, signal });
    return { value: acceptedBy(status, call.route), githubTime };
  } catch (error) {
    if (!(error instanceof GitHubError)) throw error;
    return { value: writtenDespite(error), githubTime: error.githubTime ?? Date.now() };
  }
}

/** Another success is a page of something in between, such as a proxy's for signing in. */
function acceptedBy(status: number, route: string): RunWritten {
  if (ACCEPTED.includes(status)) return { kind: 'accepted' };
  return { kind: 'unanswered', why: `${route} was answered with ${status}, which GitHub does not say to it` };
}

/** A failure with words of GitHub is its answer; one without may be anybody's on the way. Without a token nothing was sent: no value. */
function writtenDespite(error: GitHubError): RunWritten {
  const { kind, status, said, message } = error;
  if (kind === 'limited' || (kind === 'rejected' && status === null)) throw error;
  return status !== null && (kind === 'rejected' || said !== null)
    ? { kind: 'refused', status, why: message }
    : { kind: 'unanswered', why: message };
}
