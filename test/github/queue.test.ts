// What queue care asks of GitHub, against the make-believe one.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub, type GitHubOptions } from '../../src/github/github.ts';
import type { GitHubPort, RunsWanted } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
const REPO = 'octo/app';
const HOUR_MS = 3_600_000;
const JOBS = [{ labels: ['self-hosted'] }];

let server: SandboxGitHub;
let github: GitHubPort;

beforeEach(async () => {
  server = await startGitHub({ repositories: [REPO, 'octo/other'], organizations: ['octo'] });
  github = portOf(server.token);
});
afterEach(() => server.close());

describe('a run', () => {
  test('is told as GitHub shows it', async () => {
    const id = server.queueRun(REPO, {
      jobs: JOBS,
      workflow: { id: 77, name: 'Kernel CI', path: '.github/workflows/kernel.yml' },
      event: 'pull_request',
      branch: 'feature/fast',
      sha: 'a'.repeat(40),
      headRepository: 'somebody/app',
      pullRequests: [12, 13],
      attempt: 3,
      agoMs: 5 * HOUR_MS,
      startedAgoMs: HOUR_MS,
    });
    const { value, githubTime } = await github.readRun(REPO, id, signal);
    expect(value).toEqual({
      id,
      workflowId: 77,
      workflow: 'Kernel CI',
      event: 'pull_request',
      status: 'queued',
      conclusion: null,
      headRepositoryId: expect.any(Number),
      isFromFork: true,
      actor: 'octocat',
      branch: 'feature/fast',
      pullRequests: [12, 13],
      sha: 'a'.repeat(40),
      attempt: 3,
      createdAt: expect.any(Number),
      startedAt: expect.any(Number),
      updatedAt: expect.any(Number),
    });
    expect(hoursBefore(githubTime, value?.createdAt)).toBeCloseTo(5, 2);
    expect(hoursBefore(githubTime, value?.startedAt)).toBeCloseTo(1, 2);
  });

  test('of a deleted fork, without a branch, that is completed', async () => {
    const id = server.queueRun(REPO, { jobs: JOBS, headRepository: null, branch: null });
    server.completeRun(id, 'startup_failure');
    expect((await github.readRun(REPO, id, signal)).value).toMatchObject({
      headRepositoryId: null,
      branch: null,
      pullRequests: [],
      status: 'completed',
      conclusion: 'startup_failure',
    });
  });

  test('with nothing but what GitHub promises', async () => {
    const bare = {
      id: 1,
      workflow_id: 2,
      name: null,
      path: '.github/workflows/nightly.yml@main',
      event: 'schedule',
      status: null,
      conclusion: null,
      head_repository: null,
      head_branch: null,
      head_sha: 'b'.repeat(40),
      pull_requests: null,
      created_at: '2026-11-24T12:00:00Z',
    };
    expect((await answering(() => Response.json(bare)).readRun(REPO, 1, signal)).value).toEqual({
      id: 1,
      workflowId: 2,
      workflow: 'nightly.yml',
      event: 'schedule',
      status: 'unknown',
      conclusion: null,
      headRepositoryId: null,
      isFromFork: true,
      actor: null,
      branch: null,
      pullRequests: [],
      sha: 'b'.repeat(40),
      attempt: 1,
      createdAt: Date.parse('2026-11-24T12:00:00Z'),
      startedAt: null,
      updatedAt: null,
    });
  });

  test.each(['readRun', 'readRunJobs'] as const)('that is gone is null to %s', async (method) => {
    expect((await github[method](REPO, 404, signal)).value).toBeNull();
  });

  test.each(['readRun', 'readRunJobs'] as const)('is not gone to %s because the token does not see its repository', async (method) => {
    const id = server.queueRun(REPO, { jobs: JOBS });
    const blind = portOf(server.addToken({ sees: ['octo/other'] }));
    expect(await failureOf(blind[method](REPO, id, signal))).toMatchObject({ kind: 'rejected', status: 404 });
  });

  test.each([500, 502, 403])('is not gone because GitHub answers %i', async (status) => {
    const id = server.queueRun(REPO, { jobs: JOBS });
    server.misbehave({ match: { path: `/runs/${id}` }, status });
    expect((await failureOf(github.readRun(REPO, id, signal))).status).toBe(status);
  });

  test('is not gone because a login is refused with 404', async () => {
    const github404 = createGitHub({
      baseUrl: server.url,
      token: async () => {
        await createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) }).hasRef('octo/none', 'v1', signal);
        return new Secret(server.token);
      },
    });
    expect(await failureOf(github404.readRun(REPO, 1, signal))).toMatchObject({ kind: 'rejected', status: null });
    expect(await failureOf(github404.cancelRun(REPO, 1, { force: false }, signal))).toMatchObject({ kind: 'rejected', status: null });
  });
});

describe('a list of runs', () => {
  test('holds those of the status, newest first, with their pull requests', async () => {
    const old = server.queueRun(REPO, { jobs: JOBS, agoMs: 2 * HOUR_MS });
    const recent = server.queueRun(REPO, { jobs: JOBS, pullRequests: [7] });
    server.queueRun(REPO, { jobs: JOBS, status: 'pending' });
    const { value } = await list();
    expect(value.runs.map(({ id, pullRequests }) => [id, pullRequests])).toEqual([
      [recent, [7]],
      [old, []],
    ]);
    expect(value).toMatchObject({ total: 2, isCut: false });
    expect((await list({ status: 'pending' })).value.total).toBe(1);
    expect(asked().every((path) => !path.includes('exclude_pull_requests'))).toBe(true);
  });

  test('is read for as many pages as wanted, and says that there are more', async () => {
    server.setRuns(REPO, { queued: 250 });
    const [two, all] = [await list({ pages: 2 }), await list({ pages: 3 })];
    expect([two.value.runs.length, two.value.total, two.value.isCut]).toEqual([200, 250, true]);
    expect([all.value.runs.length, all.value.total, all.value.isCut]).toEqual([250, 250, false]);
    expect(asked()).toHaveLength(5);
  });

  test.each([false, true])('ends at a thousand, and says so (totals end there, too: %s)', async (capsTotals) => {
    server.capsTotals = capsTotals;
    server.setRuns(REPO, { queued: 1_001 });
    const { value } = await list();
    expect([value.runs.length, value.total, value.isCut]).toEqual([1_000, capsTotals ? 1_000 : 1_001, true]);
  });

  test('beyond a thousand is read by windows, whose ends are included', async () => {
    const ids = [4, 3, 2, 1].map((hours) => server.queueRun(REPO, { jobs: JOBS, agoMs: hours * HOUR_MS }));
    const { value: all } = await list();
    const [one, two, three, four] = all.runs.map(({ createdAt }) => createdAt) as [number, number, number, number];
    const idsWithin = async (wanted: Partial<RunsWanted>): Promise<readonly number[]> =>
      (await list(wanted)).value.runs.map(({ id }) => id);
    const newestFirst = ids.toReversed();
    expect(await idsWithin({ createdUntil: two })).toEqual(newestFirst.slice(1));
    expect(await idsWithin({ createdFrom: two })).toEqual(newestFirst.slice(0, 2));
    expect(await idsWithin({ createdFrom: three, createdUntil: two })).toEqual(newestFirst.slice(1, 3));
    expect(await idsWithin({ createdUntil: four - 1 })).toEqual([]);
    expect(await idsWithin({ createdFrom: one + 1 })).toEqual([]);
  });

  test("is asked for in whole seconds of GitHub's search syntax", async () => {
    const [from, until] = [Date.parse('2026-11-24T10:00:00Z'), Date.parse('2026-11-24T12:00:00.999Z')];
    await list({ createdFrom: from, createdUntil: until });
    await list({ createdFrom: from });
    await list({ createdUntil: until });
    await list();
    expect(asked().map((path) => new URL(path, server.url).searchParams.get('created'))).toEqual([
      '2026-11-24T10:00:00Z..2026-11-24T12:00:00Z',
      '>=2026-11-24T10:00:00Z',
      '<=2026-11-24T12:00:00Z',
      null,
    ]);
  });

  test('that moves while it is read has each run once, and says that one may be missing', async () => {
    server.setRuns(REPO, { queued: 101 });
    const newer = portOf(server.token, {
      fetch: justBefore('page=2', () => void server.queueRun(REPO, { jobs: JOBS })),
    });
    const { value } = await list({}, newer);
    expect([new Set(value.runs.map(({ id }) => id)).size, value.runs.length, value.isCut]).toEqual([101, 101, true]);
  });

  test('that becomes shorter while it is read says that one may be missing', async () => {
    server.setRuns(REPO, { queued: 101 });
    const newest = (await list({ pages: 1 })).value.runs[0]?.id ?? 0;
    const shifting = portOf(server.token, { fetch: justBefore('page=2', () => server.completeRun(newest, 'cancelled')) });
    const { value } = await list({}, shifting);
    expect([value.runs.length, value.isCut]).toEqual([100, true]);
  });

  test('that has another page is cut, whatever its total says', async () => {
    const link = '<https://api.test/x?page=2>; rel="next"';
    const port = answering(() => Response.json({ total_count: 0, workflow_runs: [] }, { headers: { link } }));
    expect((await list({ pages: 1 }, port)).value).toEqual({ total: 0, runs: [], isCut: true });
  });

  test('is dated by its first page', async () => {
    server.setRuns(REPO, { queued: 101 });
    const moving = portOf(server.token, { fetch: justBefore('page=2', () => (server.clockOffsetMs = HOUR_MS)) });
    expect(Math.abs((await list({}, moving)).githubTime - Date.now())).toBeLessThan(HOUR_MS / 2);
  });
});

describe('countRunsOf', () => {
  test.each(['queued', 'waiting', 'pending', 'requested', 'in_progress'])('counts the %s ones by one request', async (status) => {
    server.setRuns(REPO, { [status]: 143, completed: 7 });
    expect((await github.countRunsOf(REPO, status, signal)).value).toBe(143);
    expect(asked()).toHaveLength(1);
  });
});

describe('listLabelSets', () => {
  const idle = (name: string) => ({ name, status: 'offline', busy: false });

  test('tells each set once, with who has it, of all pages, in lower case', async () => {
    for (let number = 1; number <= 101; number += 1) server.addRunner(REPO, { name: `r-${number}`, labels: ['BPF', 'kvm'] });
    server.addRunner(REPO, { name: 'arm', labels: ['kvm'], architecture: 'ARM64' });
    expect((await github.listLabelSets(REPO, signal)).value).toEqual([
      { labels: ['bpf', 'kvm', 'linux', 'self-hosted', 'x64'], runners: Array.from({ length: 101 }, (_, index) => idle(`r-${index + 1}`)) },
      { labels: ['arm64', 'kvm', 'linux', 'self-hosted'], runners: [idle('arm')] },
    ]);
  });

  test('tells none where there is no runner', async () => {
    expect((await github.listLabelSets(REPO, signal)).value).toEqual([]);
  });
});

describe('the jobs of a run', () => {
  test('are those of its current attempt, of all pages', async () => {
    const id = server.queueRun(REPO, { jobs: Array.from({ length: 130 }, () => ({ labels: ['self-hosted', 'BPF'] })) });
    server.completeRun(id, 'cancelled');
    await github.rerunRun(REPO, id, signal);
    const { value } = await github.readRunJobs(REPO, id, signal);
    expect(value).toEqual({
      run: id,
      attempt: 2,
      total: 130,
      started: 0,
      held: 0,
      queued: [{ labels: ['bpf', 'self-hosted'], count: 130 }],
      oldestQueuedAt: expect.any(Number),
      work: [expect.any(String)],
    });
    expect(asked(/\/jobs\?/).every((path) => path.includes('filter=latest'))).toBe(true);
  });

  test('of a matrix that is half started', async () => {
    const id = server.queueRun(REPO, { jobs: [{ state: 'in_progress' }, { state: 'completed' }, {}, {}] });
    expect((await github.readRun(REPO, id, signal)).value?.status).toBe('queued');
    expect((await github.readRunJobs(REPO, id, signal)).value).toMatchObject({
      total: 4,
      started: 2,
      held: 0,
      queued: [{ labels: ['self-hosted'], count: 2 }],
    });
  });

  test('that were skipped have not begun', async () => {
    const id = server.queueRun(REPO, { jobs: [{ state: 'completed', conclusion: 'skipped' }, {}] });
    expect((await github.readRunJobs(REPO, id, signal)).value).toMatchObject({ total: 2, started: 0, held: 0, queued: [{ count: 1 }] });
  });

  test.each(['waiting', 'pending', 'requested'] as const)('that are %s are held', async (status) => {
    const id = server.queueRun(REPO, { jobs: [{}, {}], status });
    expect((await github.readRunJobs(REPO, id, signal)).value).toMatchObject({ held: 2, queued: [], oldestQueuedAt: null });
  });

  test('are none of a run that has none', async () => {
    const id = server.queueRun(REPO, { jobs: [], zombie: 'not-queued' });
    expect((await github.readRunJobs(REPO, id, signal)).value).toEqual({
      run: id,
      attempt: 1,
      total: 0,
      started: 0,
      held: 0,
      queued: [],
      oldestQueuedAt: null,
      work: [],
    });
  });
});

describe('areTags', () => {
  const NAMES = [
    'v1',
    'release/2026.1',
    'odd {name}:%#?&+ä',
    'v2',
    'v',
    'release',
    'main',
    '") { id } x: ref(qualifiedName: "refs/tags/v1',
  ];
  const TAGS = new Map([...NAMES.slice(0, 3).map((name) => [name, true] as const), ['main', false]]);

  beforeEach(() => {
    for (const name of ['v1', 'release/2026.1', 'odd {name}:%#?&+ä', 'v2.0']) server.addTag(REPO, name);
  });

  test('are told by one request for all of them', async () => {
    expect((await github.areTags(REPO, NAMES, signal)).value).toEqual(TAGS);
    expect(asked()).toEqual(['/graphql']);
  });

  test('of an Enterprise Server likewise, beside its REST API', async () => {
    const port = portOf(server.token, { baseUrl: `${server.url}/api/v3` });
    expect((await port.areTags(REPO, NAMES, signal)).value).toEqual(TAGS);
    expect(asked()).toEqual(['/api/graphql']);
  });

  test('takes a request for each hundred', async () => {
    const names = Array.from({ length: 250 }, (_, index) => `n${index}`);
    server.addTag(REPO, 'n249');
    const { value } = await github.areTags(REPO, names, signal);
    expect(value).toEqual(new Map([['n249', true]]));
    expect(asked()).toHaveLength(3);
  });

  test.each([true, false])('are unknown once they are deleted, and of a branch of the same name; GraphQL: %s', async (hasGraphql) => {
    server.hasGraphql = hasGraphql;
    server.queueRun(REPO, { jobs: JOBS, branch: 'topic' });
    server.queueRun(REPO, { jobs: JOBS, branch: 'both' });
    server.addTag(REPO, 'both');
    expect((await github.areTags(REPO, ['topic', 'both', 'gone'], signal)).value).toEqual(new Map([['topic', false]]));
    server.deleteBranch(REPO, 'topic');
    expect((await github.areTags(REPO, ['topic'], signal)).value).toEqual(new Map());
  });

  test.each([
    ['h0', { t0: null }],
    ['t0', { h0: { id: 'R' } }],
    ['both', {}],
  ])('are unknown where GitHub leaves out %s', async (_what, refs) => {
    const port = answering(() => Response.json({ data: { repository: { defaultBranchRef: { id: 'R' }, ...refs } } }));
    expect((await port.areTags(REPO, ['v1'], signal)).value).toEqual(new Map());
  });

  test('asks nothing for nothing', async () => {
    expect((await github.areTags(REPO, [], signal)).value).toEqual(new Map());
    expect(asked()).toEqual([]);
  });

  describe('where GraphQL is not to be had, asks one by one', () => {
    test('and does not try GraphQL each time', async () => {
      server.hasGraphql = false;
      expect((await github.areTags(REPO, NAMES, signal)).value).toEqual(TAGS);
      expect((await github.areTags(REPO, NAMES, signal)).value).toEqual(TAGS);
      expect(asked(/graphql/)).toHaveLength(1);
      expect(asked(/matching-refs/)).toHaveLength(2 * 2 * NAMES.length);
    });

    test.each([
      ['errors', { data: { repository: { defaultBranchRef: { id: 'R' }, t0: null, h0: null } }, errors: [{ message: 'no' }] }],
      ['no repository', { data: { repository: null } }],
      ['no refs at all, which a token may not see', { data: { repository: { defaultBranchRef: null, t0: null, h0: null } } }],
      ['something else', 'hello'],
    ])('after %s', async (_what, body) => {
      const port = answering((url) => Response.json(url.endsWith('/graphql') ? body : [{ ref: 'refs/tags/v1' }]));
      expect((await port.areTags(REPO, ['v1'], signal)).value).toEqual(new Map([['v1', true]]));
    });

    test('while its hour is used up, and leaves the REST API open', async () => {
      let asks = 0;
      const limited = { errors: [{ type: 'RATE_LIMITED', message: 'API rate limit exceeded for user ID 1.' }] };
      const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + 1800) };
      const port = answering((url) => {
        if (!url.endsWith('/graphql')) return Response.json(url.includes('/heads/') ? [{ ref: 'refs/heads/v1' }] : []);
        asks += 1;
        return Response.json(limited, { headers: { ...headers, 'x-ratelimit-resource': 'graphql' } });
      });
      for (const _ of ['once', 'twice']) expect((await port.areTags(REPO, ['v1'], signal)).value).toEqual(new Map([['v1', false]]));
      expect(asks).toBe(1);
    });

    test('but for a limit of all requests together', async () => {
      const message = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';
      const port = answering(() => Response.json({ errors: [{ message }] }, { headers: { 'retry-after': '60' } }));
      expect(await failureOf(port.areTags(REPO, ['v1'], signal))).toMatchObject({ kind: 'limited' });
      expect(await failureOf(port.readRun(REPO, 1, signal))).toMatchObject({ kind: 'limited' });
    });

    test('leaves slashes, and nothing else, as they are', async () => {
      server.hasGraphql = false;
      await github.areTags(REPO, ['release/a b?c'], signal);
      expect(asked(/matching/)).toEqual(['tags', 'heads'].map((kind) => `/repos/octo/app/git/matching-refs/${kind}/release/a%20b%3Fc`));
    });

    test('finds the tag on a later page', async () => {
      const port = answering((url) =>
        url.includes('/heads/')
          ? Response.json([])
          : url.includes('page=2')
            ? Response.json([{ ref: 'refs/tags/v1' }])
            : Response.json([{ ref: 'refs/tags/v1-rc' }], { headers: { link: '<https://api.test/x?page=2>; rel="next"' } }),
      );
      expect((await port.areTags(REPO, ['v1'], signal)).value).toEqual(new Map([['v1', true]]));
    });

    test('leaves out what GitHub does not tell, and soon gives up', async () => {
      const weak = portOf(server.addToken({ permissions: { actions: 'read' } }));
      expect((await weak.areTags(REPO, NAMES, signal)).value).toEqual(new Map());
      expect(asked(/matching-refs/)).toHaveLength(3);
    });
  });
});

describe('hasRef', () => {
  beforeEach(() => {
    server.addTag(REPO, 'v1.0');
    server.queueRun(REPO, { jobs: JOBS, branch: 'feature/x' });
  });

  test.each([
    ['main', true],
    ['feature/x', true],
    ['v1.0', true],
    ['feature', false],
    ['v1', false],
    ['Main', false],
  ])('%s: %s', async (name, is) => {
    expect((await github.hasRef(REPO, name, signal)).value).toBe(is);
  });

  test('of a branch that was deleted', async () => {
    server.deleteBranch(REPO, 'feature/x');
    expect((await github.hasRef(REPO, 'feature/x', signal)).value).toBe(false);
  });

  test('is unknown where GitHub shows no refs', async () => {
    const weak = portOf(server.addToken({ permissions: { actions: 'read' } }));
    const failure = await failureOf(weak.hasRef(REPO, 'v1', signal));
    expect(failure).toMatchObject({ kind: 'rejected', status: 403, message: expect.stringContaining('contents=read') });
    const blind = answering(() => Response.json({ message: 'Not Found' }, { status: 404 }));
    expect(await failureOf(blind.hasRef(REPO, 'v1', signal))).toMatchObject({ kind: 'rejected', status: 404 });
  });
});

describe('readDefaultBranch', () => {
  test('is asked for once in a while', async () => {
    server.setDefaultBranch(REPO, 'trunk');
    const first = await github.readDefaultBranch(REPO, signal);
    const second = await github.readDefaultBranch(REPO, signal);
    expect([first.value, second.value]).toEqual(['trunk', 'trunk']);
    expect(second.githubTime).toBeGreaterThanOrEqual(first.githubTime);
    expect((await github.readDefaultBranch('octo/other', signal)).value).toBe('main');
    expect(asked()).toEqual(['/repos/octo/app', '/repos/octo/other']);
  });

  test('is asked for again after a failure', async () => {
    server.misbehave({ status: 500, times: 1 });
    expect(await failureOf(github.readDefaultBranch(REPO, signal))).toMatchObject({ kind: 'unavailable' });
    expect((await github.readDefaultBranch(REPO, signal)).value).toBe('main');
  });

  test('is asked for again after four minutes, which costs nothing of the hour unless it has changed', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(0);
    try {
      for (const minutes of [0, 4, 8]) {
        now.mockReturnValue(minutes * 60_000);
        if (minutes === 8) server.setDefaultBranch(REPO, 'trunk');
        expect((await github.readDefaultBranch(REPO, signal)).value).toBe(minutes === 8 ? 'trunk' : 'main');
      }
      expect(server.requests.map(({ status }) => status)).toEqual([200, 304, 200]);
    } finally {
      now.mockRestore();
    }
  });

  test('may be none', async () => {
    expect((await answering(() => Response.json({ id: 1 })).readDefaultBranch(REPO, signal)).value).toBeNull();
  });
});

describe('concurrency groups', () => {
  test('of a run by its configuration, also once it is over', async () => {
    const id = server.queueRun(REPO, { jobs: JOBS, concurrencyGroup: 'deploy main' });
    expect((await github.readConcurrencyGroups(REPO, id, signal)).value).toEqual(['deploy main']);
    server.completeRun(id, 'cancelled');
    expect((await github.readConcurrencyGroups(REPO, id, signal)).value).toEqual(['deploy main']);
    expect((await github.readConcurrencyGroups(REPO, server.queueRun(REPO, { jobs: JOBS }), signal)).value).toEqual([]);
  });

  test('that are active are those that a run holds or waits for', async () => {
    expect((await github.listActiveGroups(REPO, signal)).value).toEqual([]);
    const [first] = ['deploy', 'deploy', 'CI-refs/heads/main'].map((concurrencyGroup) =>
      server.queueRun(REPO, { jobs: JOBS, concurrencyGroup }),
    ) as [number];
    expect((await github.listActiveGroups(REPO, signal)).value).toEqual(['CI-refs/heads/main', 'deploy']);
    server.completeRun(first, 'success');
    expect((await github.listActiveGroups(REPO, signal)).value).toContain('deploy');
  });

  test('that are active may take several pages', async () => {
    for (let index = 0; index < 101; index += 1) server.queueRun(REPO, { jobs: JOBS, concurrencyGroup: `group ${index}` });
    expect((await github.listActiveGroups(REPO, signal)).value).toHaveLength(101);
    expect(asked(/concurrency_groups/)).toHaveLength(2);
  });

  test('are unknown where the server does not know them', async () => {
    const id = server.queueRun(REPO, { jobs: JOBS, concurrencyGroup: 'deploy' });
    server.knowsConcurrencyGroups = false;
    expect((await github.listActiveGroups(REPO, signal)).value).toBeNull();
    expect((await github.readConcurrencyGroups(REPO, id, signal)).value).toBeNull();
  });
});

describe('listRunnersFor', () => {
  test('tells runners whose group the repository may use from the others', async () => {
    server.addRunner('octo', { name: 'shared', labels: ['bpf'], group: 'builders' });
    server.addRunner('octo', { name: 'secret', group: 'vault' });
    server.setGroup('octo', 'vault', { repositories: ['octo/other'] });
    expect((await github.listRunnersFor('octo', REPO, signal)).value).toEqual({
      alike: [{ labels: ['bpf', 'linux', 'self-hosted', 'x64'], runners: [{ name: 'shared', status: 'offline', busy: false }] }],
      groups: [
        { name: 'Default', isDefault: true },
        { name: 'builders', isDefault: false },
      ],
      elsewhere: ['secret'],
    });
    const { value } = await github.listRunnersFor('octo', 'octo/other', signal);
    expect(value.elsewhere).toEqual([]);
  });

  test('takes all pages of both lists', async () => {
    for (let number = 0; number < 101; number += 1) server.addRunner('octo', { name: `r${number}`, group: `g${number}` });
    const { value } = await github.listRunnersFor('octo', REPO, signal);
    expect([value.groups.length, value.alike[0]?.runners.length]).toEqual([102, 101]);
    expect(asked()).toHaveLength(4);
  });
});

describe('findNewestRun', () => {
  const LIKE = { workflowId: 5, event: 'push', branch: 'feature/a+b' };

  test('is the newest of workflow, event and branch, by one request', async () => {
    const workflow = { id: 5, name: 'CI' };
    const like = { jobs: JOBS, workflow, event: 'push', branch: 'feature/a+b' };
    server.queueRun(REPO, { ...like, agoMs: HOUR_MS });
    const newest = server.queueRun(REPO, like);
    server.queueRun(REPO, { ...like, branch: 'main' });
    server.queueRun(REPO, { ...like, event: 'pull_request' });
    server.queueRun(REPO, { ...like, workflow: { id: 6, name: 'CI' } });
    expect((await github.findNewestRun(REPO, LIKE, signal)).value?.id).toBe(newest);
    expect(asked()).toHaveLength(1);
    expect(asked()[0]).toContain('per_page=1');
  });

  test('is null where there is none', async () => {
    server.queueRun(REPO, { jobs: JOBS, workflow: { id: 5, name: 'CI' } });
    expect((await github.findNewestRun(REPO, LIKE, signal)).value).toBeNull();
  });

  test('is not null where the workflow cannot be seen', async () => {
    expect(await failureOf(github.findNewestRun(REPO, LIKE, signal))).toMatchObject({ kind: 'rejected', status: 404 });
  });
});

describe('the requests of an hour', () => {
  test('are not used by a second plan over the same queue, nor by one after a health check', async () => {
    for (let number = 1; number <= 120; number += 1) server.queueRun(REPO, { jobs: JOBS, agoMs: number * 1_000 });
    server.addRunner(REPO, { name: 'builder' });
    await github.observeScope(REPO, { runners: ['builder'], readsGroups: false, runsRead: 120, setAside: [] }, signal);
    const before = server.requests.length;
    await plan();
    const statuses = server.requests.slice(before).map(({ path, status }) => [path.replace(/\?.*/, '').split('/').at(-1), status]);
    expect(statuses.filter(([what]) => what === 'jobs').every(([, status]) => status === 304)).toBe(true);
    const afterOne = server.requests.length;
    await plan();
    const second = server.requests.slice(afterOne);
    expect(second.length).toBe(2 + 1 + 120 * 2);
    expect(second.filter(({ status }) => status !== 304)).toEqual([]);
  });

  test('nor any at all for what a health check has read shortly before, which keeps its time, until something is written', async () => {
    const id = server.queueRun(REPO, { jobs: JOBS });
    server.addRunner(REPO, { name: 'builder' });
    const wanted = { runners: ['builder'], readsGroups: false, runsRead: 30, setAside: [] };
    await github.observeScope(REPO, wanted, signal);
    await github.observeScope(REPO, wanted, signal);
    const { githubTime: readAt } = await list({ believedMs: 120_000 });
    server.clockOffsetMs = 90_000;
    const [before, { believedMs }] = [server.requests.length, { believedMs: 120_000 }];
    expect(await list({ believedMs })).toMatchObject({ githubTime: readAt, value: { total: 1, runs: [{ id }], isCut: false } });
    expect(await github.countRunsOf(REPO, 'in_progress', signal, believedMs)).toMatchObject({ value: 0 });
    expect((await github.listLabelSets(REPO, signal, believedMs)).value).toHaveLength(1);
    expect(server.requests.length).toBe(before);
    expect((await list()).githubTime).toBeGreaterThan(readAt + 80_000);
    vi.useFakeTimers({ toFake: ['performance'] });
    vi.advanceTimersByTime(3 * 120_000);
    await list({ believedMs });
    expect(server.requests.length).toBe(before + 2);
    await github.cancelRun(REPO, id, { force: false }, signal);
    expect((await list({ believedMs })).value.runs).toEqual([]);
    vi.useRealTimers();
  });

  async function plan(): Promise<void> {
    const { value } = await list();
    await github.listLabelSets(REPO, signal);
    for (const { id } of value.runs) {
      await github.readRun(REPO, id, signal);
      await github.readRunJobs(REPO, id, signal);
    }
  }

  test('are left to health checks where a fifth is left', async () => {
    const port = portOf(server.addToken({ limit: 10 }));
    const id = server.queueRun(REPO, { jobs: JOBS });
    for (let request = 1; request <= 8; request += 1) await list({ createdFrom: request * 1_000 }, port);
    const before = server.requests.length;
    const refused = [
      await failureOf(list({}, port)),
      await failureOf(port.readRun(REPO, id, signal)),
      await failureOf(port.cancelRun(REPO, id, { force: false }, signal)),
    ];
    expect(server.requests.length).toBe(before);
    for (const { kind, status, retryAt } of refused) {
      expect([kind, status]).toEqual(['limited', null]);
      expect(Math.abs((retryAt ?? 0) - Date.now() - HOUR_MS)).toBeLessThan(5_000);
    }
    expect(refused[2]?.message).toBe(
      `2 of 10 requests of the hour are left, which are kept for health checks, so POST /repos/octo/app/actions/runs/${id}/cancel is not sent before ${new Date(refused[2]?.retryAt ?? 0).toISOString()}`,
    );
    expect((await port.getRunner(REPO, server.addRunner(REPO, { name: 'asked-for' }).id, signal)).value?.name).toBe('asked-for');
    expect(server.run(id).accepted.cancel).toBe(0);
  });
});

test('an organisation has no runs', async () => {
  expect(await failureOf(github.countRunsOf('octo', 'queued', signal))).toMatchObject({ kind: 'rejected', status: 404 });
});

test('a refusal makes no App log in again and again', async () => {
  const renewals: boolean[] = [];
  const token = server.addToken({ permissions: { actions: 'read' } });
  const port = createGitHub({
    baseUrl: server.url,
    token({ renew }) {
      renewals.push(renew);
      return new Secret(token);
    },
  });
  const id = server.queueRun(REPO, { jobs: JOBS });
  await port.areTags(REPO, ['v1'], signal);
  await port.cancelRun(REPO, id, { force: false }, signal);
  await port.rerunRun(REPO, id, signal);
  await port.readRun(REPO, id, signal);
  expect(renewals).toEqual(renewals.map(() => false));
});

test('nothing is sent for a caller that has left', async () => {
  const fetch = vi.fn<typeof globalThis.fetch>();
  const port = portOf(server.token, { fetch });
  const reason = new Error('the activity was cancelled');
  await expect(port.listRuns(REPO, wantedOf({}), AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(port.readRunJobs(REPO, 1, AbortSignal.abort(reason))).rejects.toBe(reason);
  expect(fetch).not.toHaveBeenCalled();
});

function list(wanted: Partial<RunsWanted> = {}, port = github): ReturnType<GitHubPort['listRuns']> {
  return port.listRuns(REPO, wantedOf(wanted), signal);
}

function wantedOf(wanted: Partial<RunsWanted>): RunsWanted {
  return { status: 'queued', createdFrom: null, createdUntil: null, pages: 10, ...wanted };
}

function portOf(token: string, options: Partial<GitHubOptions> = {}): GitHubPort {
  return createGitHub({ baseUrl: server.url, token: () => new Secret(token), ...options });
}

/** A port whose GitHub answers so. */
function answering(respond: (url: string) => Response): GitHubPort {
  return portOf('ghp_x', { baseUrl: 'https://api.test', fetch: async (input) => respond(addressOf(input)) });
}

/** Something happens at GitHub just before the first request whose address has this text. */
function justBefore(text: string, happen: () => void): typeof globalThis.fetch {
  let hasHappened = false;
  return (input, init) => {
    if (!hasHappened && addressOf(input).includes(text)) {
      hasHappened = true;
      happen();
    }
    return fetch(input, init);
  };
}

function addressOf(input: string | URL | Request): string {
  return input instanceof Request ? input.url : String(input);
}

function asked(path = /./): readonly string[] {
  return server.requests.map((request) => request.path).filter((each) => path.test(each));
}

function hoursBefore(githubTime: number, time: number | null | undefined): number {
  return (githubTime - (time ?? 0)) / HOUR_MS;
}
