// What the care for the actions cache asks of GitHub, against the make-believe one. How logs are read is in job-log.test.ts.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub, type GitHubOptions } from '../../src/github/github.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import type { JobOptions } from '../../src/sandbox/github/run.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
const REPO = 'octo/app';
const HOUR_MS = 3_600_000;
const FAILED = { state: 'completed', conclusion: 'failure' } as const;

let server: SandboxGitHub;
let github: GitHubPort;

beforeEach(async () => {
  server = await startGitHub({ repositories: [REPO, 'octo/other'] });
  github = portOf(server.token);
});
afterEach(() => server.close());

describe('the failed jobs of a run', () => {
  test('are told with runner and check run', async () => {
    server.addRunner(REPO, { name: 'builder-1' });
    const run = server.queueRun(REPO, {
      jobs: [
        { ...FAILED, name: 'build (1)', runner: 'builder-1' },
        { ...FAILED, name: 'docs', runner: 'GitHub Actions 12' },
        { ...FAILED, name: 'nobody had it' },
        { state: 'completed' },
        { state: 'completed', conclusion: 'cancelled' },
        { state: 'completed', conclusion: 'skipped' },
        { state: 'in_progress' },
        {},
      ],
      agoMs: HOUR_MS,
    });
    const { value, githubTime } = await github.readFailedJobs(REPO, run, signal);
    const [one, two, three] = server.run(run).jobs.map(({ id }) => id);
    const startedAt = expect.any(Number);
    expect(value).toEqual({
      attempt: 1,
      jobs: [
        { id: one, name: 'build (1)', runner: 'builder-1', checkRun: one, nodeId: expect.stringMatching(/^CR_/), startedAt },
        { id: two, name: 'docs', runner: 'GitHub Actions 12', checkRun: two, nodeId: expect.stringMatching(/^CR_/), startedAt },
        { id: three, name: 'nobody had it', runner: null, checkRun: three, nodeId: expect.stringMatching(/^CR_/), startedAt },
      ],
    });
    expect((githubTime - (value?.jobs[0]?.startedAt ?? 0)) / HOUR_MS).toBeCloseTo(1, 2);
  });

  test('are those of all pages, each once', async () => {
    const run = server.queueRun(REPO, { jobs: Array.from({ length: 1_000 }, () => FAILED) });
    const { value } = await github.readFailedJobs(REPO, run, signal);
    expect(new Set(value?.jobs.map(({ id }) => id)).size).toBe(1_000);
    expect(value?.jobs).toHaveLength(1_000);
    expect(asked().every((path) => path.includes('filter=latest') && path.includes('per_page=100'))).toBe(true);
    expect(asked()).toHaveLength(10);
  });

  test('are those of the latest attempt', async () => {
    const run = server.queueRun(REPO, { jobs: [{ ...FAILED, name: 'one' }, { state: 'completed' }, { ...FAILED, name: 'other' }] });
    await github.rerunFailedJobs(REPO, run, signal);
    expect((await github.readFailedJobs(REPO, run, signal)).value).toEqual({ attempt: 2, jobs: [] });
    server.completeRun(run, 'failure');
    expect((await github.readFailedJobs(REPO, run, signal)).value).toMatchObject({
      attempt: 2,
      jobs: [{ name: 'one' }, { name: 'other' }],
    });
  });

  test('that were not run again started before their attempt', async () => {
    const run = server.queueRun(REPO, {
      jobs: [
        { ...FAILED, name: 'one' },
        { ...FAILED, name: 'other' },
      ],
      agoMs: HOUR_MS,
    });
    const again = server.run(run).jobs[0]?.id ?? 0;
    await github.rerunJob(REPO, again, signal);
    server.startJob(server.run(run).jobs[0]?.id ?? 0);
    server.completeRun(run, 'failure');
    const [jobs, { value: shown }] = [await github.readFailedJobs(REPO, run, signal), await github.readRun(REPO, run, signal)];
    const ran = jobs.value?.jobs.map(({ name, startedAt }) => [name, (startedAt ?? 0) >= (shown?.startedAt ?? 0)]);
    expect(jobs.value?.attempt).toBe(2);
    expect(ran).toEqual([
      ['one', true],
      ['other', false],
    ]);
  });

  test.each([
    ['empty words for none', { runner_name: '', check_run_url: '' }],
    ['null', { runner_name: null, check_run_url: null, started_at: null }],
    ['nothing', {}],
  ])('may come with %s', async (_, fields) => {
    const job = { id: 7, name: 'build', status: 'completed', conclusion: 'failure', labels: [], created_at: '2026-11-24T12:00:00Z' };
    const port = answering(() => Response.json({ total_count: 1, jobs: [{ ...job, ...fields }] }));
    expect((await port.readFailedJobs(REPO, 1, signal)).value).toEqual({
      attempt: 1,
      jobs: [{ id: 7, name: 'build', runner: null, checkRun: null, nodeId: null, startedAt: null }],
    });
  });

  test('are null where the run is gone, and not where its repository is not seen', async () => {
    expect((await github.readFailedJobs(REPO, 404, signal)).value).toBeNull();
    const run = server.queueRun(REPO, { jobs: [FAILED] });
    const blind = portOf(server.addToken({ sees: ['octo/other'] }));
    expect(await failureOf(blind.readFailedJobs(REPO, run, signal))).toMatchObject({ kind: 'rejected', status: 404 });
  });
});

test('failed runs are listed by when they were created', async () => {
  const ids = [4, 3, 2, 1].map((hours) => server.queueRun(REPO, { jobs: [FAILED], agoMs: hours * HOUR_MS }));
  server.queueRun(REPO, { jobs: [{ state: 'completed' }], agoMs: 2 * HOUR_MS });
  const now = Date.now();
  const wanted = { status: 'failure', createdFrom: now - 3.5 * HOUR_MS, createdUntil: now - 1.5 * HOUR_MS, pages: 10 };
  const { value } = await github.listRuns(REPO, wanted, signal);
  expect(value.runs.map(({ id, conclusion }) => [id, conclusion])).toEqual([
    [ids[2], 'failure'],
    [ids[1], 'failure'],
  ]);
});

describe('the annotations of a failure', () => {
  test('are the messages of their level, in their order', async () => {
    const check = checkRunOf({
      annotations: [
        { level: 'failure', message: 'Process completed with exit code 1.' },
        { level: 'warning', message: 'Node 20 is deprecated.' },
        { level: 'notice', message: 'Hello.' },
        { level: 'failure', message: 'Missing file.' },
      ],
    });
    expect((await github.readFailureAnnotations(REPO, check, signal)).value).toEqual([
      'Process completed with exit code 1.',
      'Missing file.',
    ]);
  });

  test('are none where there are none, and none of their words may be there', async () => {
    expect((await github.readFailureAnnotations(REPO, checkRunOf({}), signal)).value).toEqual([]);
    const port = answering(() => Response.json([{ annotation_level: 'failure', message: null }, { annotation_level: null }]));
    expect((await port.readFailureAnnotations(REPO, 1, signal)).value).toEqual(['']);
  });

  test('are a hundred at most, by one request', async () => {
    const annotations = Array.from({ length: 150 }, (_, index) => ({ level: 'failure' as const, message: `${index}` }));
    const { value } = await github.readFailureAnnotations(REPO, checkRunOf({ annotations }), signal);
    expect([value.length, value.at(-1), asked().length]).toEqual([100, '99', 1]);
  });

  test('need a permission, which is named', async () => {
    const weak = portOf(server.addToken({ permissions: { actions: 'write' } }));
    expect(await failureOf(weak.readFailureAnnotations(REPO, checkRunOf({}), signal))).toMatchObject({
      kind: 'rejected',
      status: 403,
      message: expect.stringContaining('the token lacks permission checks=read; give it "Checks: read" for octo/app'),
    });
    expect(await failureOf(github.readFailureAnnotations(REPO, 404, signal))).toMatchObject({ kind: 'rejected', status: 404 });
  });
});

describe('the annotations of many failures', () => {
  const broken = (message: string): JobOptions => ({
    ...FAILED,
    annotations: [
      { level: 'warning', message: 'Slow.' },
      { level: 'failure', message },
    ],
  });
  const failedJobs = async (jobs: readonly JobOptions[]) =>
    (await github.readFailedJobs(REPO, server.queueRun(REPO, { jobs }), signal)).value?.jobs ?? [];

  test('are told by one request', async () => {
    const jobs = await failedJobs([broken('one'), broken('two'), FAILED]);
    const before = server.requests.length;
    const { value } = await github.readFailureAnnotationsOf(REPO, jobs, signal);
    expect(jobs.map(({ checkRun }) => value.get(checkRun ?? 0))).toEqual([['one'], ['two'], []]);
    expect(asked().slice(before)).toEqual(['/graphql']);
  });

  test('are told by a request for each fifty', async () => {
    const jobs = await failedJobs(Array.from({ length: 60 }, (_, index) => broken(`${index}`)));
    const before = server.requests.length;
    const { value } = await github.readFailureAnnotationsOf(REPO, jobs, signal);
    expect(jobs.map(({ checkRun }) => value.get(checkRun ?? 0)?.[0])).toEqual(jobs.map((_, index) => `${index}`));
    expect(asked().slice(before)).toHaveLength(2);
  });

  test.each([
    ['a token that may not read them', () => portOf(server.addToken({ permissions: { actions: 'write' } }))],
    ['a server without GraphQL', () => ((server.hasGraphql = false), github)],
    ['an answer for fewer', () => answering(() => Response.json({ data: { nodes: [] } }))],
    ['a node that is none', () => answering(() => Response.json({ data: { nodes: [{}, {}] } }))],
  ])('are left to be asked for one by one: %s', async (_what, portTo) => {
    const jobs = await failedJobs([broken('one'), broken('two')]);
    expect((await portTo().readFailureAnnotationsOf(REPO, jobs, signal)).value).toEqual(new Map());
  });

  test('of jobs whose check run GitHub does not name are not asked for', async () => {
    const before = server.requests.length;
    expect((await github.readFailureAnnotationsOf(REPO, [{ checkRun: null, nodeId: null }], signal)).value).toEqual(new Map());
    expect(server.requests).toHaveLength(before);
  });
});

describe('the requests of the hour', () => {
  test('are not used by what is unchanged', async () => {
    const run = server.queueRun(REPO, { jobs: Array.from({ length: 250 }, () => FAILED) });
    const check = checkRunOf({ annotations: [{ level: 'failure', message: 'It broke.' }] });
    const read = async (): Promise<unknown> => [
      (await github.readFailedJobs(REPO, run, signal)).value,
      (await github.readFailureAnnotations(REPO, check, signal)).value,
    ];
    const first = await read();
    const before = server.requests.length;
    expect(await read()).toEqual(first);
    expect(server.requests.slice(before).map(({ status }) => status)).toEqual([304, 304, 304, 304]);
  });

  test('are left to health checks where a fifth is left', async () => {
    const run = server.queueRun(REPO, { jobs: [FAILED] });
    const job = server.run(run).jobs[0]?.id ?? 0;
    const port = portOf(server.addToken({ limit: 10 }));
    const { id } = server.addRunner(REPO, { name: 'asked-for' });
    for (let request = 1; request <= 8; request += 1) await port.getRunner(REPO, id, signal);
    for (let check = 1; check <= 8; check += 1) await port.readFailureAnnotations(REPO, check, signal).catch(() => {});
    const before = server.requests.length;
    for (const refused of [
      port.readFailedJobs(REPO, run, signal),
      port.readFailureAnnotations(REPO, job, signal),
      port.readJobLog(REPO, job, { mostBytes: 10, onLine: () => 'more' }, signal),
      port.rerunFailedJobs(REPO, run, signal),
      port.rerunJob(REPO, job, signal),
    ]) {
      expect(await failureOf(refused)).toMatchObject({
        kind: 'limited',
        status: null,
        message: expect.stringContaining('kept for health checks'),
      });
    }
    expect(server.requests.length).toBe(before);
  });
});

function portOf(token: string, options: Partial<GitHubOptions> = {}): GitHubPort {
  return createGitHub({ baseUrl: server.url, token: () => new Secret(token), ...options });
}

/** A port whose GitHub answers so. */
function answering(respond: () => Response): GitHubPort {
  return portOf('ghp_x', { baseUrl: 'https://api.test', fetch: async () => respond() });
}

function checkRunOf(job: JobOptions): number {
  return server.run(server.queueRun(REPO, { jobs: [{ ...FAILED, ...job }] })).jobs[0]?.id ?? 0;
}

function asked(): readonly string[] {
  return server.requests.map(({ path }) => path);
}
