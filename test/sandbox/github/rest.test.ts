import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';
import { signJwt } from './jwt.ts';

interface RunnerList {
  readonly total_count: number;
  readonly runners: readonly { readonly id: number; readonly name: string; readonly status: string; readonly version: string | null }[];
}

const RUNNERS = '/repos/octo/fleet/actions/runners';
let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app', 'octo/fleet', 'octo/first'], organizations: ['octo'] });
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
  'GET /repos/octo/app/actions/runners/deprecations/9.9.9',
  'GET /repositories/1',
])('%s is not found', async (request) => {
  expect((await ask(github, request)).status).toBe(404);
});

describe('a runner', () => {
  test('is deleted once, and never while it is busy', async () => {
    const { id } = github.addRunner('octo/app', { name: 'worker', shown: { busy: true } });
    const path = `/repos/octo/app/actions/runners/${id}`;
    expect(await ask(github, `DELETE ${path}`)).toMatchObject({
      status: 422,
      body: { message: 'Runner "worker" is currently running a job and cannot be deleted.' },
    });
    github.showRunner('octo/app', 'worker', {});
    const statuses = [await ask(github, `DELETE ${path}`), await ask(github, `DELETE ${path}`), await ask(github, `GET ${path}`)];
    expect(statuses.map(({ status }) => status)).toEqual([204, 404, 404]);
  });

  test('belongs to its scope alone', async () => {
    const { id } = github.addRunner('octo', { name: 'shared' });
    expect((await ask(github, `GET /repos/octo/app/actions/runners/${id}`)).status).toBe(404);
    expect(await ask(github, `GET /orgs/octo/actions/runners/${id}`)).toMatchObject({ status: 200, body: { name: 'shared' } });
  });

  test('that never connected is offline and has no version', async () => {
    const { id } = github.addRunner('octo/app', { name: 'unborn', labels: ['bpf'] });
    expect(await ask(github, `GET /repos/octo/app/actions/runners/${id}`)).toMatchObject({
      body: {
        status: 'offline',
        busy: false,
        version: null,
        labels: [
          { name: 'self-hosted', type: 'read-only' },
          { name: 'Linux', type: 'read-only' },
          { name: 'X64', type: 'read-only' },
          { name: 'bpf', type: 'custom' },
        ],
      },
    });
  });

  test('can be shown otherwise than it is', async () => {
    const { id } = github.addRunner('octo/app', { name: 'liar', shown: { status: 'online' } });
    expect(await ask(github, `GET /repos/octo/app/actions/runners/${id}`)).toMatchObject({
      body: { status: 'online', version: '2.336.0' },
    });
    expect(github.runners('octo/app').find(({ name }) => name === 'liar')).toEqual({
      id,
      name: 'liar',
      status: 'online',
      busy: false,
      labels: [],
    });
  });
});

describe('runs', () => {
  test('are counted by status, newest first', async () => {
    github.setRuns('octo/app', { queued: 3, in_progress: 1, completed: 2 });
    const { body } = await ask<{ total_count: number; workflow_runs: { id: number }[] }>(
      github,
      'GET /repos/octo/app/actions/runs?status=queued&per_page=2',
    );
    expect(body.total_count).toBe(3);
    expect(body.workflow_runs).toHaveLength(2);
    expect(body.workflow_runs[0]?.id).toBeGreaterThan(body.workflow_runs[1]?.id ?? Infinity);
  });

  test('are cancelled unless they are completed', async () => {
    github.setRuns('octo/app', { queued: 1 });
    const list = await ask<{ workflow_runs: { id: number }[] }>(github, 'GET /repos/octo/app/actions/runs');
    const path = `/repos/octo/app/actions/runs/${list.body.workflow_runs[0]?.id}`;
    expect((await ask(github, `POST ${path}/cancel`)).status).toBe(202);
    expect(await ask(github, `GET ${path}`)).toMatchObject({ body: { status: 'completed', conclusion: 'cancelled' } });
    expect((await ask(github, `POST ${path}/cancel`)).status).toBe(409);
  });
});

describe('a list of runs with a filter', () => {
  test('ends after a thousand, and counts all', async () => {
    github.setRuns('octo/app', { queued: 1001 });
    const last = await ask<{ total_count: number; workflow_runs: unknown[] }>(
      github,
      'GET /repos/octo/app/actions/runs?status=queued&per_page=100&page=10',
    );
    expect(last.body.total_count).toBe(1001);
    expect(last.body.workflow_runs).toHaveLength(100);
    expect(relations(last.headers)).toEqual(['prev', 'first']);
  });

  test('may lag behind, and the run itself does not', async () => {
    const id = github.queueRun('octo/app', { jobs: [{ state: 'completed' }] });
    github.showRun(id, { status: 'queued' });
    const list = await ask<{ workflow_runs: { id: number }[] }>(github, 'GET /repos/octo/app/actions/runs?status=queued&per_page=1');
    expect(list.body.workflow_runs).toMatchObject([{ id, status: 'queued' }]);
    expect(await ask(github, `GET /repos/octo/app/actions/runs/${id}`)).toMatchObject({
      body: { status: 'completed', conclusion: 'success' },
    });
  });
});

describe('the jobs of a run', () => {
  test('are shown with what they ask for, and the run is as far as the last of them', async () => {
    const id = github.queueRun('octo/app', {
      jobs: [
        { name: 'lint', labels: ['ubuntu-latest'], state: 'completed' },
        { name: 'build', labels: ['self-hosted', 'bpf'] },
      ],
      agoMs: 600_000,
    });
    const { body } = await ask<{ jobs: { id: number; created_at: string }[] }>(github, `GET /repos/octo/app/actions/runs/${id}/jobs`);
    expect(body).toMatchObject({
      total_count: 2,
      jobs: [
        { name: 'lint', run_id: id, status: 'completed', conclusion: 'success', labels: ['ubuntu-latest'] },
        { name: 'build', run_id: id, status: 'queued', conclusion: null, labels: ['self-hosted', 'bpf'], runner_id: null },
      ],
    });
    const [, build] = body.jobs;
    expect(Math.abs(Date.parse(build?.created_at ?? '') - Date.now() + 600_000)).toBeLessThan(5000);
    expect(await ask(github, `GET /repos/octo/app/actions/jobs/${build?.id}`)).toMatchObject({ status: 200, body: { name: 'build' } });
    expect((await ask(github, `GET /repos/octo/fleet/actions/jobs/${build?.id}`)).status).toBe(404);
    expect(await ask(github, `GET /repos/octo/app/actions/runs/${id}`)).toMatchObject({ body: { status: 'queued' } });
  });

  test('end with it when it is cancelled', async () => {
    const id = github.queueRun('octo/app', { jobs: [{}] });
    await ask(github, `POST /repos/octo/app/actions/runs/${id}/cancel`);
    expect(github.run(id)).toMatchObject({
      status: 'completed',
      conclusion: 'cancelled',
      jobs: [{ state: 'completed', result: 'Canceled' }],
    });
  });
});

describe('a version of the runner', () => {
  const deprecation = (version: string) => ask(github, `GET /orgs/octo/actions/runners/deprecations/${version}`);

  test('has dates where GitHub named them, and null until then', async () => {
    expect((await deprecation('2.337.0')).body).toEqual({ runner_version: '2.337.0', runtime_deprecates_at: null });
    github.retireRunnerVersion('2.329.0', { runsUntil: Date.parse('2026-01-23T17:10:35Z') });
    github.retireRunnerVersion('2.328.0', { runsUntil: 0, registersUntil: Date.parse('2026-09-28T00:00:00Z') });
    expect((await deprecation('2.329.0')).body).toEqual({ runner_version: '2.329.0', runtime_deprecates_at: '2026-01-23T17:10:35Z' });
    expect((await deprecation('2.328.0')).body).toMatchObject({ registration_deprecates_at: '2026-09-28T00:00:00Z' });
  });

  test('is the newest in the downloads, and known from then on', async () => {
    expect((await deprecation('2.400.0')).status).toBe(404);
    github.newestRunnerVersion = '2.400.0';
    const { body } = await ask<{ filename: string }[]>(github, 'GET /orgs/octo/actions/runners/downloads');
    expect(body.map(({ filename }) => filename)).toContain('actions-runner-linux-x64-2.400.0.tar.gz');
    expect((await deprecation('2.400.0')).status).toBe(200);
  });
});

test('runners of an organisation are in groups', async () => {
  github.addRunner('octo', { name: 'plain' });
  github.addRunner('octo', { name: 'special', group: 'builders' });
  const groups = await ask<{ runner_groups: { id: number; name: string }[] }>(github, 'GET /orgs/octo/actions/runner-groups');
  expect(groups.body.runner_groups.map(({ name }) => name)).toEqual(['Default', 'builders']);
  const { body } = await ask<{ runners: { runner_group_id: number }[] }>(github, 'GET /orgs/octo/actions/runners?name=special');
  expect(body.runners[0]?.runner_group_id).toBe(groups.body.runner_groups[1]?.id);
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

function relations(headers: Headers): string[] {
  return [...(headers.get('link') ?? '').matchAll(/rel="(\w+)"/g)].map(([, relation]) => relation ?? '');
}
