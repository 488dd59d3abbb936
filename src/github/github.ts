// The GitHub port, by its REST API, and by GraphQL if one question stands for many.

import { ExpiringToken } from './answers.ts';
import { createClient, DEFAULT_TIMEOUT_MS } from './client.ts';
import type { ClientOptions } from './client.ts';
import { below, isRepository, runnersPermission } from './endpoints.ts';
import { createFailures } from './failures.ts';
import { observeScope } from './observe-scope.ts';
import type { Pace } from './pace.ts';
import { findPackage } from './packages.ts';
import { createPermissions } from './permissions.ts';
import { changeLabels } from './labels.ts';
import type { GitHubPort } from './port.ts';
import { countRunsOf, createQueue } from './queue.ts';
import { createNotesShelf, type NotesShelf } from './scope-notes.ts';
import { findRunners, getRunner } from './runners.ts';
import { findRunningJob } from './running-job.ts';

export interface GitHubOptions extends ClientOptions {
  /** Of the credential's writes on runs; without it they are sent at once. */
  readonly pace?: Pace;
  /** What earlier looks at scopes have read. Default: one of its own, in memory. */
  readonly notes?: NotesShelf;
}

/** Sends nothing until a method is called; each method sends each of its requests once. */
export function createGitHub({ pace, notes = createNotesShelf(null), ...options }: GitHubOptions): GitHubPort {
  const client = createClient(options);
  return {
    ...createQueue(client, pace ?? null),
    ...createFailures(client, { fetch: options.fetch ?? globalThis.fetch, silenceMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS }),
    ...createPermissions(client),
    findRunners: (scope, wanted, signal) => findRunners({ client, scope, signal }, wanted),
    getRunner: (scope, id, signal) => getRunner({ client, scope, signal }, id),
    findRunningJob: (scope, runner, signal) => findRunningJob({ client, scope, signal }, runner),
    removeCustomLabels: (scope, id, signal) => changeLabels(client, { scope, id, method: 'DELETE' }, signal),
    addCustomLabels: (scope, id, labels, signal) => changeLabels(client, { scope, id, method: 'POST', labels }, signal),
    async createRegistrationToken(scope, signal) {
      const call = below(scope, 'POST', '/actions/runners/registration-token', runnersPermission(scope, 'write'));
      const { value, githubTime } = await client.request({ ...call, answer: ExpiringToken, signal });
      return { value, githubTime };
    },
    findPackage: (scope, wanted, signal) => findPackage({ client, scope, signal }, wanted),
    observeScope: (scope, wanted, signal) => observeScope(client, notes, scope, wanted, signal),
    async countRuns(scope, signal) {
      if (!isRepository(scope)) return { value: null, githubTime: Date.now() };
      const queued = await countRunsOf(client, scope, 'queued', signal);
      const inProgress = await countRunsOf(client, scope, 'in_progress', signal);
      return { value: { queued: queued.value, inProgress: inProgress.value }, githubTime: queued.githubTime };
    },
  };
}
