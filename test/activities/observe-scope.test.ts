import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NO_ALERTS } from '../../src/activities/findings.ts';
import { createMainActivities } from '../../src/activities/main.ts';
import { createSealing, SEALING_KEY_BYTES } from '../../src/activities/sealing.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';

let server: SandboxGitHub;
beforeAll(async () => {
  server = await startGitHub({ repositories: ['octo/app'] });
});
afterAll(() => server.close());

test('a look tells what it saw, and the attempt that did', async () => {
  server.addRunner('octo/app', { name: 'builder', shown: { status: 'online' } });
  expect(await observe()).toMatchObject({
    attempt: 1,
    value: { kind: 'seen', scope: { runners: [{ name: 'builder' }], queue: { known: true } }, damaged: null },
  });
});

test('a long limit is a value, for the workflow to tell', async () => {
  server.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 600_000, namesEnd: true }, times: 1 });
  expect(await observe()).toMatchObject({ value: { kind: 'limited', why: expect.stringContaining('octo/app') } });
});

test('a list of runners that fails is a failure, to be tried again', async () => {
  server.misbehave({ match: { path: /\/actions\/runners$/ }, status: 502, times: 1 });
  await expect(observe()).rejects.toMatchObject({ type: 'GitHubUnavailable', nonRetryable: false });
});

const NOT_ASKED = { problem: 'not asked for here' };

function observe(): Promise<unknown> {
  const activities = createMainActivities({
    github: createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) }),
    sealing: createSealing(Buffer.alloc(SEALING_KEY_BYTES)),
    directory: { listRunners: () => [], resolveRunner: () => NOT_ASKED, resolveScope: () => NOT_ASKED, resolveQueue: () => NOT_ASKED },
    alerts: NO_ALERTS,
    searchAttributes: [],
  });
  const info = { scheduleToCloseTimeoutMs: 180_000, currentAttemptScheduledTimestampMs: 0, scheduledTimestampMs: 0 };
  return new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') }).run(() =>
    activities.observeScope({ scope: 'octo/app', runners: ['builder'], readsGroups: false, runsRead: 30, setAside: [] }),
  );
}
