// What a token may do, asked of the make-believe GitHub.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createTokenSource } from '../../src/github/credentials.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort, ScopeAccess } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub, type TokenOptions } from '../../src/sandbox/github/server.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failureOf } from './failure-of.ts';

const REPOSITORY = 'octo/app';
const ORGANIZATION = 'octo';
/** All that Runward needs. */
const ALL = {
  administration: 'write',
  actions: 'write',
  contents: 'read',
  checks: 'read',
  organization_self_hosted_runners: 'write',
} as const;
const { signal } = new AbortController();
let server: SandboxGitHub;

beforeAll(async () => {
  server = await startGitHub({ repositories: [REPOSITORY], organizations: [ORGANIZATION] });
});
afterAll(() => server.close());

describe('whose token it is', () => {
  test('a classic one has scopes', async () => {
    expect(await portOf().identifyToken(signal)).toEqual({
      kind: 'classic',
      login: 'octocat',
      oauthScopes: ['admin:org', 'repo'],
      expiresAt: null,
    });
    expect(await portOf({ oauthScopes: [] }).identifyToken(signal)).toMatchObject({ kind: 'classic', oauthScopes: [] });
  });

  test('a fine-grained one has none, and may end', async () => {
    const { kind, login, expiresAt } = await portOf({ permissions: {}, lifetimeMs: 3_600_000 }).identifyToken(signal);
    expect({ kind, login }).toEqual({ kind: 'fine-grained', login: 'octocat' });
    expect(Math.abs((expiresAt ?? 0) - Date.now() - 3_600_000)).toBeLessThan(60_000);
  });

  test("an App's has no user", async () => {
    expect(await appPort({}).identifyToken(signal)).toMatchObject({ kind: 'installation', login: null });
  });

  test('a wrong one has nobody', async () => {
    const wrong = createGitHub({ baseUrl: server.url, token: () => new Secret('ghp_wrong') });
    expect(await failureOf(wrong.identifyToken(signal))).toMatchObject({ kind: 'rejected', status: 401 });
  });
});

describe('what it may, by name', () => {
  test('all that is needed', async () => {
    for (const port of [portOf(), portOf({ permissions: ALL }), appPort(ALL)]) {
      expect(await missing(port, REPOSITORY)).toEqual([]);
      expect(await missing(port, ORGANIZATION)).toEqual([]);
    }
  });

  test.each([
    ['administration', ['administration=write']],
    ['actions', ['actions=write', 'actions=read']],
    ['contents', ['contents=read']],
    ['checks', ['checks=read']],
  ] as const)('without %s', async (name, lacks) => {
    const { [name]: _without, ...permissions } = ALL;
    expect(await missing(portOf({ permissions }), REPOSITORY)).toEqual(lacks);
    expect(await missing(appPort(permissions), REPOSITORY)).toEqual(lacks);
  });

  test('reading alone is no writing', async () => {
    const permissions = { ...ALL, administration: 'read', actions: 'read', organization_self_hosted_runners: 'read' } as const;
    expect(await missing(portOf({ permissions }), REPOSITORY)).toEqual(['administration=write', 'actions=write']);
    expect(await missing(portOf({ permissions }), ORGANIZATION)).toEqual(['organization_self_hosted_runners=write']);
  });

  test('no token may more than its user', async () => {
    expect(await missing(portOf({ role: 'write' }), REPOSITORY)).toEqual(['administration=write']);
    expect(await missing(portOf({ role: 'read' }), REPOSITORY)).toEqual(['administration=write', 'actions=write']);
    expect(await missing(portOf({ permissions: ALL, role: 'read' }), REPOSITORY)).toEqual(['administration=write', 'actions=write']);
  });

  test('a classic token names the scope that it lacks', async () => {
    const port = portOf({ oauthScopes: ['read:org'] });
    expect(await access(port, REPOSITORY)).toMatchObject({
      missing: [{ permission: 'administration=write', why: 'the classic token lacks the scope `repo`' }, { permission: 'actions=write' }],
    });
    expect(await access(port, ORGANIZATION)).toMatchObject({
      missing: [{ permission: 'organization_self_hosted_runners=write', why: 'the classic token lacks the scope `admin:org`' }],
    });
  });

  test('a repository that is not there is a failure, and no lack', async () => {
    expect(await failureOf(access(portOf(), 'octo/nowhere'))).toMatchObject({ kind: 'rejected', status: 404 });
    expect(await failureOf(access(portOf({ permissions: ALL, sees: [] }), REPOSITORY))).toMatchObject({ status: 404 });
  });

  test.each([500, 401])('GitHub that answers %i to a probe has not said that something is missing', async (status) => {
    const port = portOf({ permissions: ALL });
    const token = await port.identifyToken(signal);
    const end = server.misbehave({ status, match: { path: /cancel/ } });
    expect(await failureOf(port.probeAccess(REPOSITORY, token, signal))).toMatchObject({ status });
    end();
  });
});

test('it takes few requests, and changes nothing', async () => {
  const run = server.queueRun(REPOSITORY, { jobs: [] });
  const requests = async (port: GitHubPort, scope: string): Promise<readonly string[]> => {
    const before = server.requests.length;
    await access(port, scope);
    return server.requests.slice(before).map(({ method, path }) => `${method} ${path}`);
  };
  expect(await requests(portOf(), REPOSITORY)).toHaveLength(3);
  expect(await requests(portOf(), ORGANIZATION)).toHaveLength(2);
  expect(await requests(portOf({ permissions: ALL }), REPOSITORY)).toEqual([
    'GET /user',
    'GET /repos/octo/app',
    'POST /repos/octo/app/actions/runners/registration-token',
    'POST /repos/octo/app/actions/runs/0/cancel',
    'GET /repos/octo/app/git/matching-refs/tags/runward-asks-what-its-token-may',
    'GET /repos/octo/app/commits/HEAD/check-runs?per_page=1',
  ]);
  expect(server.run(run)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
  expect(server.runners(REPOSITORY)).toEqual([]);
});

function portOf(options?: TokenOptions): GitHubPort {
  const token = new Secret(server.addToken(options));
  return createGitHub({ baseUrl: server.url, token: () => token });
}

function appPort(permissions: NonNullable<TokenOptions['permissions']>): GitHubPort {
  const { appId, installationId, privateKey } = server.addApp({ permissions });
  const folder = mkdtempSync(join(tmpdir(), 'runward-app-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const privateKeyFile = join(folder, 'key.pem');
  writeFileSync(privateKeyFile, privateKey, { mode: 0o600 });
  const http = { baseUrl: server.url };
  return createGitHub({ ...http, token: createTokenSource({ kind: 'app', appId: String(appId), installationId, privateKeyFile }, http) });
}

async function access(port: GitHubPort, scope: string): Promise<ScopeAccess> {
  return port.probeAccess(scope, await port.identifyToken(signal), signal);
}

async function missing(port: GitHubPort, scope: string): Promise<readonly string[]> {
  return (await access(port, scope)).missing.map(({ permission }) => permission);
}
