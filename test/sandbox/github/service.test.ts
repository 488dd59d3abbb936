import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask, type Answered } from './ask.ts';

interface Registered {
  readonly agentId: number;
  readonly credential: string;
}

const POLL_MS = 150;
const OFFLINE_AFTER_MS = 400;
/** Long enough for a busy computer. */
const PATIENCE = { timeout: 5000 };
let github: SandboxGitHub;
let scope: string;
let number = 0;

beforeAll(async () => {
  github = await startGitHub({ pollMs: POLL_MS, offlineAfterMs: OFFLINE_AFTER_MS });
});
afterAll(() => github.close());
beforeEach(() => {
  number += 1;
  scope = `octo/app-${number}`;
  github.addRepository(scope);
});

describe('a registration token', () => {
  test('registers any number of runners of its scope', async () => {
    const token = await registrationToken();
    expect((await exchange(token)).status).toBe(200);
    expect((await exchange(token)).status).toBe(200);
  });

  test('is refused like one that never was: for another scope, expired, or by another scheme', async () => {
    const token = await registrationToken();
    github.addRepository(`${scope}-other`);
    expect((await exchange(token, `${scope}-other`)).status).toBe(404);
    expect((await exchange('wrong')).status).toBe(404);
    expect((await exchange(token, scope, 'Bearer')).status).toBe(404);
    github.clockOffsetMs = 3_600_001;
    const late = await exchange(token);
    github.clockOffsetMs = 0;
    expect(late).toMatchObject({ status: 404, body: { message: 'Not Found' } });
  });

  test('expires after the time that was asked for', async () => {
    const strict = await startGitHub({ repositories: ['octo/app'], registrationTokenLifetimeMs: 0 });
    const { body } = await ask<{ token: string; expires_at: string }>(strict, 'POST /repos/octo/app/actions/runners/registration-token');
    const refused = await ask(strict, 'POST /api/v3/actions/runner-registration', {
      token: null,
      headers: { authorization: `RemoteAuth ${body.token}` },
      body: { url: `${strict.url}/octo/app`, runner_event: 'register' },
    });
    await strict.close();
    expect(Date.parse(body.expires_at)).toBeLessThanOrEqual(Date.now());
    expect(refused.status).toBe(404);
  });
});

describe('registering', () => {
  test('makes an offline runner with its labels', async () => {
    const { agentId } = await register();
    expect(github.runners(scope)).toEqual([{ id: agentId, name: 'worker', status: 'offline', busy: false, labels: ['bpf'] }]);
  });

  test('a second time is refused, and with replace keeps the id and changes the credential', async () => {
    const first = await register();
    const token = await serviceToken();
    expect(await addRunner(token, false)).toMatchObject({ status: 409, body: { message: 'A runner exists with the same name worker.' } });
    const again = await addRunner(token, true);
    expect(again).toMatchObject({ status: 201, body: { agentId: first.agentId } });
    expect(again.body.credential).not.toBe(first.credential);
    expect((await startSession(first)).status).toBe(401);
    expect((await startSession(again.body)).status).toBe(201);
  });

  test('needs a token of the service and a complete description', async () => {
    expect((await addRunner('wrong', false)).status).toBe(401);
    const headers = { authorization: `Bearer ${await serviceToken()}` };
    expect((await ask(github, 'POST /api/v3/_service/runners', { token: null, headers, body: { name: 'worker' } })).status).toBe(400);
  });
});

describe('a session', () => {
  test('makes the runner online from its first poll until some time after the last', async () => {
    const session = await sessionOf(await register());
    expect(status()).toBe('offline');
    const polled = poll(session);
    await expect.poll(status, PATIENCE).toBe('online');
    expect(await polled).toMatchObject({ status: 200, body: { message: null } });
    expect(status()).toBe('online');
    await expect.poll(status, PATIENCE).toBe('offline');
    expect(await ask(github, `GET /repos/${scope}/actions/runners`)).toMatchObject({ body: { runners: [{ version: '2.336.0' }] } });
  });

  test('makes the runner online only after a while where GitHub is slow', async () => {
    github.onlineLagMs = 300;
    const session = await sessionOf(await register());
    const start = performance.now();
    const polled = poll(session);
    await expect.poll(() => github.runners(scope)[0]?.status, { timeout: 200 }).toBe('offline');
    while (status() !== 'online') {
      await poll(session);
    }
    github.onlineLagMs = 0;
    expect(performance.now() - start).toBeGreaterThan(250);
    await polled;
  });

  test('that ends leaves the runner online for a while', async () => {
    const session = await sessionOf(await register());
    await poll(session);
    expect((await ask(github, `DELETE /api/v3/_service/sessions/${session}`)).status).toBe(204);
    expect(status()).toBe('online');
    await expect.poll(status, PATIENCE).toBe('offline');
  });

  test('whose client vanishes makes the runner offline, and gives its place to another', async () => {
    const runner = await register();
    const session = await sessionOf(runner);
    const gone = new AbortController();
    const polled = fetch(`${github.url}/api/v3/_service/sessions/${session}/poll`, {
      method: 'POST',
      headers: { 'user-agent': 'test' },
      signal: gone.signal,
    });
    await expect.poll(status, PATIENCE).toBe('online');
    gone.abort();
    await expect(polled).rejects.toThrow('aborted');
    const conflict = await startSession(runner);
    expect(conflict).toMatchObject({ status: 409, body: { message: 'A session for this runner already exists.' } });
    await expect.poll(status, PATIENCE).toBe('offline');
    expect((await startSession(runner)).status).toBe(201);
    expect((await poll(session)).status).toBe(409);
  });

  test('can follow at once on one that was ended', async () => {
    const runner = await register();
    const session = await sessionOf(runner);
    await poll(session);
    await ask(github, `DELETE /api/v3/_service/sessions/${session}`);
    expect((await startSession(runner)).status).toBe(201);
  });

  test.each([
    ['ahead', 301_000, /^The bearer token is not valid until \S+ Current server time is \S+$/],
    ['behind', -301_000, /^The bearer token expired on \S+ Current server time is \S+$/],
  ])('is refused to a clock that is more than five minutes %s', async (_, offsetMs, words) => {
    const refused = await startSession(await register(), offsetMs);
    expect(refused.status).toBe(400);
    expect(refused.body.message).toMatch(words);
  });

  test('compares clocks with its own', async () => {
    const runner = await register();
    github.clockOffsetMs = 7_200_000;
    const [refused, accepted] = [await startSession(runner), await startSession(runner, 7_200_000)];
    github.clockOffsetMs = 0;
    expect([refused.status, accepted.status]).toEqual([400, 201]);
  });

  test('is refused to a runner that is not registered', async () => {
    const runner = await register();
    github.removeRunner(scope, 'worker');
    expect(await startSession(runner)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });

  test('unknown is refused', async () => {
    expect((await poll('nowhere')).status).toBe(401);
    expect((await ask(github, 'DELETE /api/v3/_service/sessions/nowhere')).status).toBe(404);
  });
});

describe('a long poll', () => {
  let brief: SandboxGitHub;
  beforeAll(async () => {
    brief = github;
    github = await startGitHub({ pollMs: 60_000 });
  });
  afterAll(async () => {
    await github.close();
    github = brief;
  });

  test('hears at once that its registration was deleted', async () => {
    const polled = poll(await sessionOf(await register()));
    await expect.poll(status, PATIENCE).toBe('online');
    github.removeRunner(scope, 'worker');
    expect((await polled).status).toBe(404);
  });

  test('hears at once that its credential was replaced', async () => {
    const polled = poll(await sessionOf(await register()));
    await expect.poll(status, PATIENCE).toBe('online');
    await addRunner(await serviceToken(), true);
    expect((await polled).status).toBe(401);
  });

  test('is told, and ended on demand, without a job', async () => {
    const session = await sessionOf(await register());
    expect(github.isPolling(scope, 'worker')).toBe(false);
    const polled = poll(session);
    await expect.poll(() => github.isPolling(scope, 'worker'), PATIENCE).toBe(true);
    github.endPolls(scope, 'worker');
    expect(await polled).toMatchObject({ status: 200, body: { message: null } });
    expect(github.isPolling(scope, 'worker')).toBe(false);
    const next = poll(session);
    await expect.poll(() => github.isPolling(scope, 'worker'), PATIENCE).toBe(true);
    github.giveJob(scope, 'worker');
    expect((await next).body.message).not.toBeNull();
  });
});

test('closing the server ends its long polls', async () => {
  const closing = await startGitHub({ pollMs: 60_000, repositories: ['octo/app'] });
  const { id, credential } = closing.addRunner('octo/app', { name: 'worker' });
  const session = await ask<{ sessionId: string }>(closing, 'POST /api/v3/_service/sessions', {
    body: { agentId: id, credential, clientTime: new Date().toISOString() },
  });
  const polled = ask(closing, `POST /api/v3/_service/sessions/${session.body.sessionId}/poll`);
  await expect.poll(() => closing.runners('octo/app'), PATIENCE).toMatchObject([{ status: 'online' }]);
  await Promise.all([closing.close(), expect(polled).rejects.toThrow('fetch failed')]);
});

describe('a job', () => {
  test('is handed out at once, one at a time, and the runner is busy until it is finished', async () => {
    const session = await sessionOf(await register());
    const polled = poll(session);
    await expect.poll(status, PATIENCE).toBe('online');
    const first = github.giveJob(scope, 'worker', { name: 'test', seconds: 3 });
    const second = github.giveJob(scope, 'worker');
    expect((await polled).body).toEqual({ message: { type: 'job', jobId: first, name: 'test', seconds: 3 } });
    expect(github.runners(scope)).toMatchObject([{ status: 'online', busy: true }]);
    expect((await poll(session)).body).toEqual({ message: null });
    expect((await finish(first, 'Succeeded')).status).toBe(204);
    expect(github.job(first)).toEqual({ state: 'completed', result: 'Succeeded' });
    expect((await poll(session)).body).toMatchObject({ message: { jobId: second } });
  });

  test('is lost with the registration of its runner', async () => {
    const session = await sessionOf(await register());
    const job = github.giveJob(scope, 'worker');
    await poll(session);
    await addRunner(await serviceToken(), true);
    expect(github.runners(scope)).toMatchObject([{ busy: false }]);
    expect(github.job(job)).toEqual({ state: 'completed', result: 'Failed' });
    expect((await finish(job, 'Succeeded')).status).toBe(404);
  });

  test('is not handed to a client that has gone', async () => {
    const runner = await register();
    const session = await sessionOf(runner);
    const signal = AbortSignal.timeout(50);
    await expect(
      fetch(`${github.url}/api/v3/_service/sessions/${session}/poll`, { method: 'POST', headers: { 'user-agent': 'test' }, signal }),
    ).rejects.toThrow('timeout');
    await expect.poll(() => github.requests.at(-1)?.status, PATIENCE).toBeNull();
    const job = github.giveJob(scope, 'worker');
    expect((await poll(session)).body).toMatchObject({ message: { jobId: job } });
  });

  test('ends only by a result that is known', async () => {
    const session = await sessionOf(await register());
    const job = github.giveJob(scope, 'worker');
    await poll(session);
    expect((await finish(job, 'Exploded')).status).toBe(400);
    expect(github.job(job).state).toBe('in_progress');
  });
});

describe('a job of a run', () => {
  test('waits for a runner that is online, idle and has all its labels, and the run follows', async () => {
    const run = github.queueRun(scope, { jobs: [{ name: 'test', labels: ['Self-Hosted', 'BPF'], seconds: 3 }, { labels: ['gpu'] }] });
    const [build, other] = github.run(run).jobs;
    const session = await sessionOf(await register());
    expect(github.job(build?.id ?? 0)).toEqual({ state: 'queued', result: null });
    expect((await poll(session)).body).toEqual({ message: { type: 'job', jobId: build?.id, name: 'test', seconds: 3 } });
    expect(github.runners(scope)).toMatchObject([{ busy: true }]);
    expect(github.run(run)).toMatchObject({ status: 'queued', jobs: [{ state: 'in_progress', runner: 'worker' }, { runner: null }] });
    await finish(build?.id ?? 0, 'Succeeded');
    expect((await poll(session)).body).toEqual({ message: null });
    expect(github.job(other?.id ?? 0).state).toBe('queued');
  });

  test('wakes a runner that polls, and ends the run with the last of its jobs', async () => {
    const session = await sessionOf(await register());
    const polled = poll(session);
    await expect.poll(status, PATIENCE).toBe('online');
    const run = github.queueRun(scope, { jobs: [{}, { labels: ['ubuntu-latest'], state: 'completed' }] });
    const { message } = (await polled).body as { message: { jobId: number } };
    expect(github.run(run)).toMatchObject({ status: 'in_progress', conclusion: null });
    await finish(message.jobId, 'Failed');
    expect(github.run(run)).toMatchObject({ status: 'completed', conclusion: 'failure' });
  });

  test('wakes a runner that polls when its run is let go, and when it is run again', async () => {
    const session = await sessionOf(await register());
    const run = github.queueRun(scope, { jobs: [{}], status: 'waiting' });
    expect((await poll(session)).body).toEqual({ message: null });
    const letGo = poll(session);
    github.settle(run, 'queued');
    const { message } = (await letGo).body as { message: { jobId: number } };
    await finish(message.jobId, 'Succeeded');
    const again = poll(session);
    await ask(github, `POST /repos/${scope}/actions/runs/${run}/rerun`);
    const { message: second } = (await again).body as { message: { jobId: number } };
    expect(second.jobId).not.toBe(message.jobId);
    expect(github.run(run)).toMatchObject({ attempt: 2, status: 'in_progress', jobs: [{ runner: 'worker' }] });
  });

  test('of a run that was cancelled is not there when its runner is done', async () => {
    const session = await sessionOf(await register());
    const run = github.queueRun(scope, { jobs: [{}] });
    const { message } = (await poll(session)).body as { message: { jobId: number } };
    await ask(github, `POST /repos/${scope}/actions/runs/${run}/cancel`);
    expect((await finish(message.jobId, 'Succeeded')).status).toBe(404);
    expect(github.run(run)).toMatchObject({ conclusion: 'cancelled', jobs: [{ result: 'Canceled' }] });
  });

  test('is taken by a runner of the organisation that owns the repository, and by none of another repository', async () => {
    const owner = `owner-${number}`;
    github.addOrganization(owner);
    github.addRepository(`${owner}/app`);
    const run = github.queueRun(`${owner}/app`, { jobs: [{}] });
    expect((await poll(await sessionOf(await register()))).body).toEqual({ message: null });
    const { id, credential } = github.addRunner(owner, { name: 'shared' });
    await poll(await sessionOf({ agentId: id, credential }));
    expect(github.run(run).jobs).toMatchObject([{ state: 'in_progress', runner: 'shared' }]);
  });
});

function status(): string | undefined {
  return github.runners(scope)[0]?.status;
}

async function registrationToken(): Promise<string> {
  return (await ask<{ token: string }>(github, `POST /repos/${scope}/actions/runners/registration-token`)).body.token;
}

function exchange(token: string, of = scope, scheme = 'RemoteAuth'): Promise<Answered<{ readonly token: string }>> {
  return ask(github, 'POST /api/v3/actions/runner-registration', {
    token: null,
    headers: { authorization: `${scheme} ${token}` },
    body: { url: `${github.url}/${of}`, runner_event: 'register' },
  });
}

async function serviceToken(): Promise<string> {
  return (await exchange(await registrationToken())).body.token;
}

function addRunner(token: string, replace: boolean): Promise<Answered<Registered>> {
  const body = { name: 'worker', labels: ['bpf'], os: 'Linux', architecture: 'X64', version: '2.336.0', replace };
  return ask(github, 'POST /api/v3/_service/runners', { token, body });
}

async function register(): Promise<Registered> {
  return (await addRunner(await serviceToken(), false)).body;
}

function startSession(runner: Registered, clockOffsetMs = 0): Promise<Answered<{ readonly sessionId: string; readonly message: string }>> {
  const clientTime = new Date(Date.now() + clockOffsetMs).toISOString();
  return ask(github, 'POST /api/v3/_service/sessions', { token: null, body: { ...runner, clientTime } });
}

async function sessionOf(runner: Registered): Promise<string> {
  return (await startSession(runner)).body.sessionId;
}

function poll(session: string): Promise<Answered<{ readonly message: unknown }>> {
  return ask(github, `POST /api/v3/_service/sessions/${session}/poll`, { token: null });
}

function finish(job: number, result: string): Promise<Answered<unknown>> {
  return ask(github, `POST /api/v3/_service/jobs/${job}/finish`, { token: null, body: { result } });
}
