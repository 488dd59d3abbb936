// The GitHub port, by its REST API.

import type { RegisteredRunner } from '../domain/runner.ts';
import { ExpiringToken, Runner, Runners } from './answers.ts';
import { createClient, DEFAULT_TIMEOUT_MS } from './client.ts';
import type { Client, ClientOptions } from './client.ts';
import { below, isRepository, pagesOf, runnersPermission } from './endpoints.ts';
import { createFailures } from './failures.ts';
import { observeScope } from './observe-scope.ts';
import type { Pace } from './pace.ts';
import { findPackage } from './packages.ts';
import { createPermissions } from './permissions.ts';
import { changeLabels } from './labels.ts';
import { GitHubError } from './port.ts';
import type { Dated, GitHubPort } from './port.ts';
import { countRunsOf, createQueue } from './queue.ts';
import { findRunningJob } from './running-job.ts';

export interface GitHubOptions extends ClientOptions {
  /** Of the credential's writes on runs; without it they are sent at once. */
  readonly pace?: Pace;
}

/** Sends nothing until a method is called; each method sends each of its requests once. */
export function createGitHub({ pace, ...options }: GitHubOptions): GitHubPort {
  const client = createClient(options);
  return {
    ...createQueue(client, pace ?? null),
    ...createFailures(client, { fetch: options.fetch ?? globalThis.fetch, silenceMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS }),
    ...createPermissions(client),
    findRunner: (scope, name, signal) => findRunner(client, scope, name, signal),
    getRunner: (scope, id, signal) => getRunner(client, scope, id, signal),
    findRunningJob: (scope, runner, signal) => findRunningJob({ client, scope, signal }, runner),
    removeCustomLabels: (scope, id, signal) => changeLabels(client, { scope, id, method: 'DELETE' }, signal),
    addCustomLabels: (scope, id, labels, signal) => changeLabels(client, { scope, id, method: 'POST', labels }, signal),
    async createRegistrationToken(scope, signal) {
      const call = below(scope, 'POST', '/actions/runners/registration-token', runnersPermission(scope, 'write'));
      const { value, githubTime } = await client.request({ ...call, answer: ExpiringToken, signal });
      return { value, githubTime };
    },
    findPackage: (scope, wanted, signal) => findPackage({ client, scope, signal }, wanted),
    observeScope: (scope, wanted, signal) => observeScope(client, scope, wanted, signal),
    async countRuns(scope, signal) {
      if (!isRepository(scope)) return { value: null, githubTime: Date.now() };
      const queued = await countRunsOf(client, scope, 'queued', signal);
      const inProgress = await countRunsOf(client, scope, 'in_progress', signal);
      return { value: { queued: queued.value, inProgress: inProgress.value }, githubTime: queued.githubTime };
    },
  };
}

/** GitHub does not say how `name=` compares, and older servers ignore it: so all pages that it gives are compared here. */
async function findRunner(client: Client, scope: string, name: string, signal: AbortSignal): Promise<Dated<RegisteredRunner | null>> {
  const wanted = name.toLowerCase();
  const call = below(scope, 'GET', '/actions/runners', runnersPermission(scope, 'read'), { name, per_page: 100 });
  let answeredAt = 0;
  for await (const { value, githubTime } of pagesOf(client, { ...call, answer: Runners, signal })) {
    answeredAt = githubTime;
    const runner = value.runners.find((candidate) => candidate.name.toLowerCase() === wanted);
    if (runner) return { value: runner, githubTime };
  }
  return { value: null, githubTime: answeredAt };
}

/** GitHub answers 404 for a runner that is gone and for a scope that the token may not see; the list tells which. */
async function getRunner(client: Client, scope: string, id: number, signal: AbortSignal): Promise<Dated<RegisteredRunner | null>> {
  const needs = runnersPermission(scope, 'read');
  try {
    const call = below(scope, 'GET', '/actions/runners/{runner_id}', needs, { runner_id: id });
    const { value, githubTime } = await client.request({ ...call, answer: Runner, signal });
    return { value, githubTime };
  } catch (error) {
    if (!(error instanceof GitHubError) || error.status !== 404) throw error;
    const list = below(scope, 'GET', '/actions/runners', needs, { per_page: 1 });
    const { githubTime } = await client.request({ ...list, answer: Runners, signal });
    return { value: null, githubTime };
  }
}
