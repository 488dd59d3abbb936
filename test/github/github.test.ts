// The GitHub port against the make-believe GitHub.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RegisteredRunner } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort, RunnersWanted } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
let server: SandboxGitHub;
let github: GitHubPort;

beforeAll(async () => {
  server = await startGitHub({ repositories: ['octo/app', 'octo/fleet', 'octo/old'], organizations: ['octo'] });
  for (let number = 1; number <= 250; number += 1) server.addRunner('octo/fleet', { name: `runner-${number}`, labels: ['bpf'] });
  github = portOf(server.token);
});
afterAll(() => server.close());

describe('findRunners', () => {
  test('finds one among hundreds by one request', async () => {
    const before = server.requests.length;
    const found = await find('octo/fleet', 'runner-199');
    expect(found).toMatchObject({ name: 'runner-199', status: 'offline', busy: false, version: null });
    expect(found?.labels).toEqual(['self-hosted', 'Linux', 'X64', 'bpf']);
    expect(server.requests.slice(before)).toMatchObject([
      { method: 'GET', path: '/repos/octo/fleet/actions/runners?per_page=100&name=runner-199', status: 200 },
    ]);
  });

  test('compares names without regard to case, and takes no other', async () => {
    expect((await find('octo/fleet', 'RUNNER-7'))?.name).toBe('runner-7');
    expect(await find('octo/fleet', 'runner')).toBeNull();
  });

  test('looks through all pages of a server that ignores the name', async () => {
    const deaf = portOf(server.token, (input, init) => fetch(addressOf(input).replace(/&name=[^&]*/, ''), init));
    const before = server.requests.length;
    expect((await find('octo/fleet', 'runner-249', deaf))?.name).toBe('runner-249');
    expect(await find('octo/fleet', 'runner-251', deaf)).toBeNull();
    // Whom a list lacks is sought once more.
    expect(server.requests.length - before).toBe(3 + 6);
  });

  test('asks for a name as text, whatever is in it', async () => {
    server.addRunner('octo/app', { name: 'a&b=c/../d?e#f' });
    expect((await find('octo/app', 'a&b=c/../d?e#f'))?.name).toBe('a&b=c/../d?e#f');
  });

  test('finds the runners of an organisation', async () => {
    server.addRunner('octo', { name: 'shared', shown: { status: 'online', busy: true } });
    expect(await find('octo', 'shared')).toMatchObject({ status: 'online', busy: true, version: '2.336.0' });
  });

  test('follows a renamed repository', async () => {
    server.addRunner('octo/old', { name: 'mover' });
    server.renameRepository('octo/old', 'octo/new');
    expect((await find('octo/old', 'mover'))?.name).toBe('mover');
  });

  test("passes on a status that is not one of GitHub's two", async () => {
    server.addRunner('octo/app', { name: 'odd', shown: { status: 'hibernating' } });
    expect((await find('octo/app', 'odd'))?.status).toBe('hibernating');
  });
});

describe('custom labels', () => {
  test.each(['octo/app', 'octo'])('of a runner of %s are taken away and added, and GitHub keeps its own', async (scope) => {
    const { id } = server.addRunner(scope, { name: 'labelled', labels: ['bpf', 'gpu'] });
    expect((await github.getRunner(scope, id, signal)).value).toMatchObject({ customLabels: ['bpf', 'gpu'] });
    for (let round = 0; round < 2; round += 1) expect((await github.removeCustomLabels(scope, id, signal)).value).toEqual([]);
    const { value } = await github.getRunner(scope, id, signal);
    expect(value?.labels).toEqual(['self-hosted', 'Linux', 'X64']);
    expect(value).not.toHaveProperty('customLabels');
    for (let round = 0; round < 2; round += 1) {
      expect((await github.addCustomLabels(scope, id, ['GPU', 'linux'], signal)).value).toEqual(['GPU']);
    }
    expect((await github.addCustomLabels(scope, id, ['bpf'], signal)).value).toEqual(['GPU', 'bpf']);
  });

  test('of a runner that is gone are not there, and a scope that the token may not see or write is an error', async () => {
    const { id } = server.addRunner('octo/app', { name: 'short-lived', labels: ['bpf'] });
    const reader = portOf(server.addToken({ permissions: { administration: 'read' } }));
    expect(await failureOf(reader.removeCustomLabels('octo/app', id, signal))).toMatchObject({
      kind: 'rejected',
      message: expect.stringContaining('administration=write'),
    });
    expect(await failureOf(portOf(server.addToken({ sees: [] })).removeCustomLabels('octo/app', id, signal))).toMatchObject({
      status: 404,
    });
    server.removeRunner('octo/app', 'short-lived');
    expect((await github.removeCustomLabels('octo/app', id, signal)).value).toBeNull();
    expect((await github.addCustomLabels('octo/app', id, ['bpf'], signal)).value).toBeNull();
  });
});

describe('getRunner', () => {
  test('gives the runner, and null once its registration is gone', async () => {
    const { id } = server.addRunner('octo/app', { name: 'mortal' });
    expect((await github.getRunner('octo/app', id, signal)).value).toMatchObject({ id, name: 'mortal' });
    server.removeRunner('octo/app', 'mortal');
    expect((await github.getRunner('octo/app', id, signal)).value).toBeNull();
  });

  test.each([500, 401, 403])('does not call a runner gone because GitHub answers %i', async (status) => {
    const { id } = server.addRunner('octo/app', { name: `answered-${status}` });
    server.misbehave({ match: { path: new RegExp(`/runners/${id}$`) }, status, times: 1 });
    expect((await failureOf(github.getRunner('octo/app', id, signal))).status).toBe(status);
  });

  test('does not call a runner gone because the token does not see its repository', async () => {
    const { id } = server.addRunner('octo/app', { name: 'hidden' });
    const blind = portOf(server.addToken({ sees: ['octo/fleet'] }));
    expect(await failureOf(blind.getRunner('octo/app', id, signal))).toMatchObject({
      kind: 'rejected',
      status: 404,
      message:
        'GitHub refused GET /repos/octo/app/actions/runners (404): octo/app does not exist, or the token may not see it; check the name, and that the token has "Administration: read"',
    });
  });
});

describe('createRegistrationToken', () => {
  test.each(['octo/app', 'octo/old', 'octo'])('gives %s a token of one hour that registers', async (scope) => {
    const { value, githubTime } = await github.createRegistrationToken(scope, signal);
    expect(value.token).toBeInstanceOf(Secret);
    expect(Math.abs(value.expiresAt - githubTime - 3_600_000)).toBeLessThan(2000);
  });

  test('names the permission that is missing', async () => {
    const weak = portOf(server.addToken({ permissions: { administration: 'read', organization_self_hosted_runners: 'read' } }));
    expect(await failureOf(weak.createRegistrationToken('octo/app', signal))).toMatchObject({
      kind: 'rejected',
      status: 403,
      message:
        'GitHub refused POST /repos/octo/app/actions/runners/registration-token (403): the token lacks permission administration=write; give it "Administration: read and write" for octo/app',
    });
    expect(await failureOf(weak.createRegistrationToken('octo', signal))).toMatchObject({
      message: expect.stringContaining(
        'organization_self_hosted_runners=write; give it "Self-hosted runners (organisation): read and write" for octo',
      ),
    });
  });

  test('is sent once, also when GitHub fails', async () => {
    const before = server.requests.length;
    const end = server.misbehave({ match: { method: 'POST' }, status: 502 });
    const failure = await failureOf(github.createRegistrationToken('octo/app', signal));
    end();
    expect(failure).toMatchObject({ kind: 'unavailable', status: 502 });
    expect(server.requests.slice(before)).toHaveLength(1);
  });
});

describe('countRuns', () => {
  test('reads the totals and not the pages', async () => {
    server.setRuns('octo/app', { queued: 81, in_progress: 3, completed: 5 });
    expect((await github.countRuns('octo/app', signal)).value).toEqual({ queued: 81, inProgress: 3 });
  });

  test('asks nothing for an organisation', async () => {
    const before = server.requests.length;
    expect((await github.countRuns('octo', signal)).value).toBeNull();
    expect(server.requests.length).toBe(before);
  });
});

test("every answer carries GitHub's own clock", async () => {
  server.clockOffsetMs = -7_200_000;
  const { id } = server.addRunner('octo/app', { name: 'timely' });
  const times = [
    (await github.findRunners('octo/app', wanted('timely'), signal)).githubTime,
    (await github.getRunner('octo/app', id, signal)).githubTime,
    (await github.createRegistrationToken('octo/app', signal)).githubTime,
    (await github.countRuns('octo/app', signal)).githubTime,
  ];
  server.clockOffsetMs = 0;
  for (const time of times) expect(Math.abs(time - Date.now() + 7_200_000)).toBeLessThan(5000);
});

test("an hourly limit says when it ends, by one's own clock", async () => {
  server.clockOffsetMs = 7_200_000;
  const port = portOf(server.addToken({ limit: 0 }));
  const failure = await failureOf(port.getRunner('octo/app', 1_000, signal));
  server.clockOffsetMs = 0;
  expect(failure).toMatchObject({ kind: 'limited', status: 403 });
  expect(Math.abs((failure.retryAt ?? 0) - Date.now() - 3_600_000)).toBeLessThan(5000);
});

test('a token that is wrong is final, and the next request asks for a new one', async () => {
  const asked: boolean[] = [];
  const { id } = server.addRunner('octo/app', { name: 'asked-for' });
  const port = createGitHub({
    baseUrl: server.url,
    token({ renew }) {
      asked.push(renew);
      return new Secret(renew ? server.token : 'ghp_stale');
    },
  });
  expect(await failureOf(port.getRunner('octo/app', id, signal))).toMatchObject({
    kind: 'rejected',
    status: 401,
    message: `GitHub refused GET /repos/octo/app/actions/runners/${id} (401): the token is wrong, expired or revoked (Bad credentials); give a valid one`,
  });
  expect((await port.getRunner('octo/app', id, signal)).value?.name).toBe('asked-for');
  expect((await failureOf(port.getRunner('octo/app', id, signal))).status).toBe(401);
  expect(asked).toEqual([false, true, false]);
});

test.each(['', '/', '/api/v3', '/api/v3/'])('the address of the API may end in %o', async (end) => {
  const port = createGitHub({ baseUrl: server.url + end, token: () => new Secret(server.token) });
  expect((await find('octo/fleet', 'runner-1', port))?.name).toBe('runner-1');
});

const wanted = (name: string): RunnersWanted => ({ names: [name], lastId: async () => null });

async function find(scope: string, name: string, port = github): Promise<RegisteredRunner | null> {
  return (await port.findRunners(scope, wanted(name), signal)).value.runners[0] ?? null;
}

function portOf(token: string, fetch?: typeof globalThis.fetch): GitHubPort {
  return createGitHub({ baseUrl: server.url, token: () => new Secret(token), ...(fetch && { fetch }) });
}

function addressOf(input: string | URL | Request): string {
  return input instanceof Request ? input.url : String(input);
}
