import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask, relations } from './ask.ts';
import { signJwt } from './jwt.ts';

interface RunnerList {
  readonly total_count: number;
  readonly runners: readonly { readonly id: number; readonly name: string; readonly status: string; readonly version: string | null }[];
}

const RUNNERS = '/repos/octo/fleet/actions/runners';
let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app', 'octo/fleet', 'octo/first'], organizations: ['octo'] });
  github.queueRun('octo/app', { jobs: [] });
  for (let number = 1; number <= 120; number += 1) github.addRunner('octo/fleet', { name: `runner-${number}` });
});
afterAll(() => github.close());

describe('a list', () => {
  test('comes in pages of 30, at most 100, linked by the id of the repository', async () => {
    const plain = await ask<RunnerList>(github, `GET ${RUNNERS}`);
    expect(plain.body).toMatchObject({ total_count: 120 });
    expect(plain.body.runners).toHaveLength(30);
    const greedy = await ask<RunnerList>(github, `GET ${RUNNERS}?per_page=1000`);
    expect(greedy.body.runners).toHaveLength(100);
    expect(relations(greedy.headers)).toEqual(['next', 'last']);
    expect(greedy.headers.get('link')).toMatch(/<http:[^>]+\/repositories\/\d+\/actions\/runners\?per_page=1000&page=2>; rel="next"/);
  });

  test('is complete when its links are followed', async () => {
    const names: string[] = [];
    const seen: string[][] = [];
    let path: string | undefined = `/api/v3${RUNNERS}?per_page=50`;
    while (path !== undefined) {
      const { body, headers }: Awaited<ReturnType<typeof ask<RunnerList>>> = await ask<RunnerList>(github, `GET ${path}`);
      names.push(...body.runners.map(({ name }) => name));
      seen.push(relations(headers));
      path = /<http:\/\/[^/]+([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    }
    expect(new Set(names).size).toBe(120);
    expect(seen).toEqual([
      ['next', 'last'],
      ['prev', 'next', 'last', 'first'],
      ['prev', 'first'],
    ]);
  });

  test('has no links where all fits on one page, and none beyond it', async () => {
    const found = await ask<RunnerList>(github, `GET ${RUNNERS}?name=runner-77`);
    expect(found.body).toMatchObject({ total_count: 1, runners: [{ name: 'runner-77' }] });
    expect(found.headers.get('link')).toBeNull();
    expect((await ask<RunnerList>(github, `GET ${RUNNERS}?page=9&per_page=100`)).body.runners).toEqual([]);
  });
});

describe('permissions', () => {
  const cases = [
    ['GET', '/repos/octo/app/actions/runners', { administration: 'read' }, 'administration=read'],
    ['POST', '/repos/octo/app/actions/runners/registration-token', { administration: 'write' }, 'administration=write'],
    ['GET', '/orgs/octo/actions/runners', { organization_self_hosted_runners: 'read' }, 'organization_self_hosted_runners=read'],
    ['GET', '/repos/octo/app/actions/runs', { actions: 'read' }, 'actions=read'],
    ['GET', '/repos/octo/app/actions/workflows/1/runs', { actions: 'read' }, 'actions=read'],
    ['GET', '/repos/octo/app/actions/concurrency_groups', { actions: 'read' }, 'actions=read'],
    ['GET', '/repos/octo/app/git/matching-refs/tags/v1', { contents: 'read' }, 'contents=read'],
    ['GET', '/repos/octo/app/contents', { contents: 'read' }, 'contents=read'],
    ['GET', '/repos/octo/app/actions/runners/downloads', { administration: 'read' }, 'administration=read'],
    ['GET', '/repos/octo/app/actions/runners/deprecations/2.336.0', { administration: 'read' }, 'administration=read'],
    ['GET', '/orgs/octo/actions/runner-groups', { organization_self_hosted_runners: 'read' }, 'organization_self_hosted_runners=read'],
  ] as const;

  test.each(cases)('%s %s needs %o and says so', async (method, path, enough, named) => {
    const refused = await ask(github, `${method} ${path}`, { token: github.addToken({ permissions: {} }) });
    expect(refused).toMatchObject({ status: 403, body: { message: 'Resource not accessible by personal access token' } });
    expect(refused.headers.get('x-accepted-github-permissions')).toBe(named);
    expect((await ask(github, `${method} ${path}`, { token: github.addToken({ permissions: enough }) })).status).toBeLessThan(300);
  });

  test.each(['cancel', 'force-cancel', 'rerun'])('to read do not allow to %s', async (verb) => {
    const id = github.queueRun('octo/app', { jobs: verb === 'rerun' ? [{ state: 'completed' }] : [{}] });
    const request = `POST /repos/octo/app/actions/runs/${id}/${verb}`;
    const refused = await ask(github, request, { token: github.addToken({ permissions: { actions: 'read' } }) });
    expect([refused.status, refused.headers.get('x-accepted-github-permissions')]).toEqual([403, 'actions=write']);
    const done = await ask(github, request, { token: github.addToken({ permissions: { actions: 'write' } }) });
    expect(done.status).toBeLessThan(300);
  });

  test('to read do not allow writing', async () => {
    const token = github.addToken({ permissions: { administration: 'read' } });
    expect((await ask(github, 'POST /repos/octo/app/actions/runners/registration-token', { token })).status).toBe(403);
  });

  test('are not even mentioned where the token does not see the repository', async () => {
    const refused = await ask(github, 'GET /repos/octo/app/actions/runners', { token: github.addToken({ sees: ['octo/fleet'] }) });
    expect(refused).toMatchObject({ status: 404, body: { message: 'Not Found' } });
    expect(refused.headers.get('x-accepted-github-permissions')).toBeNull();
  });
});

test('a renamed repository answers under its id, with the method kept for writes', async () => {
  github.renameRepository('octo/first', 'octo/second');
  const read = await ask<{ url: string }>(github, 'GET /api/v3/repos/octo/first/actions/runners?name=x');
  expect(read.status).toBe(301);
  expect(read.headers.get('location')).toMatch(/\/api\/v3\/repositories\/\d+\/actions\/runners\?name=x$/);
  expect(read.body.url).toBe(read.headers.get('location'));
  const written = await ask(github, 'POST /repos/octo/first/actions/runners/registration-token');
  expect(written.status).toBe(307);
  const { pathname } = new URL(written.headers.get('location') ?? '');
  expect((await ask(github, `POST ${pathname}`)).status).toBe(201);
});

test.each([
  'GET /repos/octo/app/',
  'GET /repos/octo/app/actions/runners/',
  'GET /nowhere',
  'PUT /repos/octo/app/actions/runners',
  'GET /repos/octo',
  'GET /orgs/octo/actions/runs',
  'GET /repos/octo/app/actions/runner-groups',
  'GET /repos/octo/app/actions/runs/1/jobs',
  'GET /repos/octo/app/actions/jobs/1',
  'POST /repos/octo/app/actions/runs/1/rerun',
  'GET /repos/octo/app/actions/workflows/2/runs',
  'GET /repos/octo/app/git/matching-refs',
  'GET /orgs/octo/git/matching-refs/tags',
  'GET /repos/octo/app/actions/runners/deprecations/9.9.9',
  'GET /repositories/1',
])('%s is not found', async (request) => {
  expect((await ask(github, request)).status).toBe(404);
});

describe('a GitHub App', () => {
  test('gets a token with its permissions, for an hour', async () => {
    const app = github.addApp({ permissions: { administration: 'read' }, sees: ['octo/app'] });
    const { status, body } = await ask<{ token: string; expires_at: string }>(
      github,
      `POST /app/installations/${app.installationId}/access_tokens`,
      {
        token: signJwt({ iss: String(app.appId), iat: now() - 60, exp: now() + 60 }, app.privateKey),
      },
    );
    expect(status).toBe(201);
    expect(Math.abs(Date.parse(body.expires_at) - Date.now() - 3_600_000)).toBeLessThan(5000);
    const asked = async (request: string): Promise<number> => (await ask(github, request, { token: body.token })).status;
    expect(await asked('GET /repos/octo/app/actions/runners')).toBe(200);
    expect(await asked('POST /repos/octo/app/actions/runners/registration-token')).toBe(403);
    expect(await asked(`GET ${RUNNERS}`)).toBe(404);
    github.clockOffsetMs = 3_600_001;
    const later = await asked('GET /repos/octo/app/actions/runners');
    github.clockOffsetMs = 0;
    expect(later).toBe(401);
  });

  test('is refused with times or a signature that are wrong', async () => {
    const app = github.addApp();
    const other = github.addApp();
    const times = { iat: now() - 60, exp: now() + 60 };
    const refused = [
      signJwt({ iss: app.appId, ...times, iat: now() + 120 }, app.privateKey),
      signJwt({ iss: app.appId, ...times, exp: now() - 1 }, app.privateKey),
      signJwt({ iss: app.appId, ...times, exp: now() + 700 }, app.privateKey),
      signJwt({ iss: app.appId, ...times }, other.privateKey),
      signJwt({ iss: 1, ...times }, app.privateKey),
      'no.jwt.atall',
      'nothing',
    ];
    for (const token of refused) {
      expect((await ask(github, `POST /app/installations/${app.installationId}/access_tokens`, { token })).status).toBe(401);
    }
  });
});

function now(): number {
  return Math.floor(Date.now() / 1000);
}
