import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Rivals } from '../../src/activities/rivals.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';

const SCOPE = 'acme/kernel';

let server: SandboxGitHub;

beforeEach(async () => {
  server = await startGitHub({ repositories: [SCOPE] });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
});

function queue(branch: string): number {
  return server.queueRun(SCOPE, { jobs: [{}], branch, concurrencyGroup: 'deploy' });
}

test('a run that becomes pending while a batch lasts is seen within a minute', async () => {
  const begun = performance.now();
  let passedMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => begun + passedMs);
  const github = createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) });
  const rivals = new Rivals(github, SCOPE);
  const run = { id: queue('topic'), workflowId: 1 };
  const hasOne = (): Promise<boolean> => new MockActivityEnvironment({}).run(() => rivals.hasOne(run)) as Promise<boolean>;
  expect(await hasOne()).toBe(false);
  queue('next');
  passedMs = 60_000;
  expect(await hasOne()).toBe(true);
});
