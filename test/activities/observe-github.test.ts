import { afterEach, beforeEach, expect, test } from 'vitest';
import { observeGitHub } from '../../src/activities/observe-github.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubObservation } from '../../src/domain/runner.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { target } from '../kit/observations.ts';

const SCOPE = 'octo/app';
const ONLINE = { status: 'online', busy: false };

let server: SandboxGitHub;
let lastIds: Record<string, number>;

beforeEach(async () => {
  server = await startGitHub({ repositories: [SCOPE, 'octo/tools'], organizations: ['octo'] });
  lastIds = {};
});
afterEach(() => server.close());

function look(neighbours: readonly { readonly scope: string; readonly runner: string }[] = []): Promise<GitHubObservation> {
  const github = createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) });
  const lastId = async ({ scope, runner }: { scope: string; runner: string }) => lastIds[`${scope}/${runner}`] ?? null;
  return observeGitHub(github, target({ scope: SCOPE, neighbours }), lastId, new AbortController().signal);
}

test('a runner that is listed costs one request', async () => {
  server.addRunner(SCOPE, { name: 'r1', shown: ONLINE });
  expect(await look()).toMatchObject({ runner: { status: 'online' }, neighbours: [], busyNeighbours: [] });
  expect(server.requests).toHaveLength(1);
});

test('one that the list lacks is found by its last id, and gone only if that id and its name are', async () => {
  lastIds = { 'octo/app/r1': server.addRunner(SCOPE, { name: 'r1', shown: { ...ONLINE, isUnlisted: true } }).id };
  expect(await look()).toMatchObject({ runner: { status: 'online' } });
  server.removeRunner(SCOPE, 'r1');
  expect(await look()).toMatchObject({ runner: null, absence: { kind: 'gone', id: lastIds['octo/app/r1'] } });
  lastIds = {};
  expect(await look()).toMatchObject({ runner: null, absence: { kind: 'unlisted' } });
});

test('one that could not be asked for by its id makes the look fail, so that it is tried again', async () => {
  lastIds = { 'octo/app/r1': 4_711 };
  server.misbehave({ match: { path: '/runners/4711' }, status: 502 });
  await expect(look()).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('whether it is gone is unknown') });
});

test('neighbours of every scope have their standing, by one list for each scope', async () => {
  server.addRunner(SCOPE, { name: 'r1', shown: ONLINE });
  server.addRunner(SCOPE, { name: 'r2', shown: { status: 'online', busy: true } });
  server.addRunner(SCOPE, { name: 'r3', shown: { status: 'offline', busy: true } });
  server.addRunner('octo/tools', { name: 'r4', shown: { status: 'hibernating' } });
  server.addRunner('octo', { name: 'r6', shown: { ...ONLINE, isUnlisted: true } });
  lastIds = { 'octo/tools/r5': 4_711 };
  const neighbours = [
    { scope: SCOPE, runner: 'r2' },
    { scope: SCOPE, runner: 'R3' },
    { scope: 'octo/tools', runner: 'r4' },
    { scope: 'octo/tools', runner: 'r5' },
    { scope: 'octo', runner: 'r6' },
  ];
  expect(await look(neighbours)).toMatchObject({
    neighbours: [
      { name: 'octo/app/r2', standing: 'online', busy: true },
      { name: 'octo/app/R3', standing: 'offline', busy: true },
      { name: 'octo/tools/r4', standing: 'unknown', busy: false },
      { name: 'octo/tools/r5', standing: 'gone', busy: false },
      { name: 'octo/r6', standing: 'unknown', busy: false },
    ],
    busyNeighbours: [
      { name: 'octo/app/r2', status: 'online' },
      { name: 'octo/app/R3', status: 'offline' },
    ],
  });
  // One for each scope, two more about r5 and one more about r6.
  expect(server.requests).toHaveLength(6);
});
