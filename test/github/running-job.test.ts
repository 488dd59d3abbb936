// Which job a busy runner works on, against the make-believe GitHub.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';

const { signal } = new AbortController();
let server: SandboxGitHub;
let github: GitHubPort;

beforeEach(async () => {
  server = await startGitHub({ repositories: ['octo/app'], organizations: [] });
  server.addRunner('octo/app', { name: 'Builder', shown: { status: 'online', busy: true } });
  github = createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) });
});
afterEach(() => server.close());

test("is found by the runner's name, with its run, page and start", async () => {
  server.queueRun('octo/app', { jobs: [{ name: 'lint', state: 'in_progress', runner: 'GitHub Actions 1' }] });
  const run = server.queueRun('octo/app', { jobs: [{ name: 'kernel 6.6', state: 'in_progress', runner: 'Builder' }], agoMs: 60_000 });
  const { value } = await github.findRunningJob('octo/app', 'builder', signal);
  expect(value).toEqual({
    name: 'kernel 6.6',
    run,
    startedAt: expect.any(Number),
    url: expect.stringMatching(`/actions/runs/${run}/job/`),
  });
});

test('is found in a run that reads as queued, since another job of it waits', async () => {
  const run = server.queueRun('octo/app', { jobs: [{ name: 'kernel 6.6', state: 'in_progress', runner: 'Builder' }, {}] });
  expect((await github.findRunningJob('octo/app', 'Builder', signal)).value).toMatchObject({ name: 'kernel 6.6', run });
});

test('is none that has ended, that waits, or that another runner has', async () => {
  server.queueRun('octo/app', {
    jobs: [{ state: 'completed', runner: 'Builder' }, {}, { state: 'in_progress', runner: 'GitHub Actions 1' }],
  });
  expect((await github.findRunningJob('octo/app', 'Builder', signal)).value).toBeNull();
});

test('is looked for in fifty runs at most, and not in one that is gone', async () => {
  const runs = Array.from({ length: 60 }, () => server.queueRun('octo/app', { jobs: [{}] }));
  server.misbehave({ match: { path: `/runs/${runs.at(-1)}/jobs` }, status: 404 });
  expect((await github.findRunningJob('octo/app', 'Builder', signal)).value).toBeNull();
  expect(server.requests.filter(({ path }) => path.includes('/jobs?'))).toHaveLength(50);
});
