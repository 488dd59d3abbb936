import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HEAD_SHA } from '../../../src/sandbox/github/scope.ts';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask, relations, type Answered } from './ask.ts';

interface RunList {
  readonly total_count: number;
  readonly workflow_runs: readonly { readonly id: number; readonly status: string }[];
}

const DAY_MS = 86_400_000;
let github: SandboxGitHub;
let scope: string;
let number = 0;

beforeAll(async () => {
  github = await startGitHub();
});
afterAll(() => github.close());
beforeEach(() => {
  number += 1;
  scope = `octo/app-${number}`;
  github.addRepository(scope);
});

describe('runs', () => {
  test('that failed are listed by when they were created', async () => {
    const failed = [3, 2, 1].map((hours) =>
      github.queueRun(scope, { jobs: [{ state: 'completed', conclusion: 'failure' }], agoMs: hours * 3_600_000 }),
    );
    github.queueRun(scope, { jobs: [{ state: 'completed' }], agoMs: 7_200_000 });
    const since = new Date(now() - 2.5 * 3_600_000).toISOString().slice(0, 19);
    expect(await listed(`status=failure&created=${encodeURIComponent(`>=${since}Z`)}`)).toEqual([failed[2], failed[1]]);
  });

  test('are counted by status, newest first', async () => {
    github.setRuns(scope, { queued: 3, in_progress: 1, completed: 2 });
    const { body } = await list('status=queued&per_page=2');
    expect(body.total_count).toBe(3);
    expect(body.workflow_runs).toHaveLength(2);
    expect(body.workflow_runs[0]?.id).toBeGreaterThan(body.workflow_runs[1]?.id ?? Infinity);
  });

  test('are in the order of their creation, in whatever order they were told of', async () => {
    const [middle, oldest, newest] = [5000, 9000, 1000].map((agoMs) => github.queueRun(scope, { jobs: [], agoMs }));
    expect(await listed('')).toEqual([newest, middle, oldest]);
    expect(github.runs(scope).map(({ id }) => id)).toEqual([oldest, middle, newest]);
  });

  test('are of a repository alone', async () => {
    const id = github.queueRun(scope, { jobs: [{}] });
    github.addRepository(`${scope}-other`);
    expect((await ask(github, `GET /repos/${scope}-other/actions/runs/${id}`)).status).toBe(404);
    expect((await ask(github, `POST /repos/${scope}-other/actions/runs/${id}/force-cancel`)).status).toBe(404);
    expect(github.run(id)).toMatchObject({ status: 'queued', refused: 0 });
  });
});

describe('a list of runs with a filter', () => {
  test('ends after a thousand, and counts all', async () => {
    github.setRuns(scope, { queued: 1001 });
    const last = await list('status=queued&per_page=100&page=10');
    expect(last.body.total_count).toBe(1001);
    expect(last.body.workflow_runs).toHaveLength(100);
    expect(relations(last.headers)).toEqual(['prev', 'first']);
    const beyond = await list('status=queued&per_page=100&page=11');
    expect(beyond.body).toMatchObject({ total_count: 1001, workflow_runs: [] });
  });

  test.each(['actor=octocat', 'branch=main', 'check_suite_id=1', 'created=*', `head_sha=${HEAD_SHA}`, 'event=push'])(
    'such as %s ends after a thousand, and no other list',
    async (filter) => {
      github.setRuns(scope, { queued: 1001 });
      const page = 'per_page=100&page=11';
      expect((await list(`${filter}&${page}`)).body).toEqual({ total_count: 1001, workflow_runs: [] });
      expect((await list(`exclude_pull_requests=true&${page}`)).body.workflow_runs).toHaveLength(1);
    },
  );

  test('counts a thousand at most where GitHub does so', async () => {
    github.setRuns(scope, { queued: 1001 });
    github.capsTotals = true;
    const [filtered, all] = [await list('status=queued'), await list('')];
    github.capsTotals = false;
    expect([filtered.body.total_count, all.body.total_count]).toEqual([1000, 1001]);
  });

  test('may lag behind, and the run itself does not', async () => {
    const id = github.queueRun(scope, { jobs: [{ state: 'completed' }] });
    github.showRun(id, { status: 'queued' });
    const lagging = await list('status=queued&per_page=1');
    expect(lagging.body.workflow_runs).toMatchObject([{ id, status: 'queued' }]);
    expect((await get(id)).body).toMatchObject({ status: 'completed', conclusion: 'success' });
  });
});

describe('runs of a workflow', () => {
  test('are found by its id and by the name of its file, with all filters', async () => {
    const ci = github.queueRun(scope, { jobs: [{}] });
    const deploy = github.queueRun(scope, { jobs: [{}], workflow: { id: 7, name: 'Deploy to Live' } });
    const other = github.queueRun(scope, { jobs: [], workflow: { id: 7, name: 'Deploy to Live' }, branch: 'next' });
    const of = async (workflow: string): Promise<unknown> =>
      ids((await ask<RunList>(github, `GET /repos/${scope}/actions/workflows/${workflow}`)).body);
    expect(await of('1/runs')).toEqual([ci]);
    expect(await of('7/runs')).toEqual([other, deploy]);
    expect(await of('deploy-to-live.yml/runs?branch=next')).toEqual([other]);
  });

  test('are not found of one that never ran, and are none of one that did', async () => {
    expect((await ask(github, `GET /repos/${scope}/actions/workflows/1/runs`)).status).toBe(404);
    github.queueRun(scope, { jobs: [] });
    github.setRuns(scope, {});
    expect((await ask(github, `GET /repos/${scope}/actions/workflows/ci.yml/runs`)).body).toEqual({ total_count: 0, workflow_runs: [] });
  });
});

describe('a run', () => {
  test('shows what it was told to be of, and so do its jobs', async () => {
    const sha = 'f'.repeat(40);
    const id = github.queueRun(scope, {
      jobs: [{ name: 'build' }],
      workflow: { id: 9, name: 'Nightly', path: '.github/workflows/night.yaml' },
      event: 'schedule',
      branch: 'next',
      sha,
      title: 'Every night',
      attempt: 3,
      agoMs: 10 * DAY_MS,
      startedAgoMs: DAY_MS,
    });
    const { body } = await get<{ created_at: string; run_started_at: string }>(id);
    expect(body).toMatchObject({
      name: 'Nightly',
      workflow_id: 9,
      path: '.github/workflows/night.yaml',
      event: 'schedule',
      head_branch: 'next',
      head_sha: sha,
      display_title: 'Every night',
      run_attempt: 3,
      head_repository: { full_name: scope, fork: false },
    });
    expect(Date.parse(body.run_started_at) - Date.parse(body.created_at)).toBe(9 * DAY_MS);
    expect(now() - github.run(id).runStartedAt - DAY_MS).toBeLessThan(5000);
    const { body: jobs } = await ask<{ jobs: { created_at: string }[] }>(github, `GET /repos/${scope}/actions/runs/${id}/jobs`);
    expect(jobs.jobs).toMatchObject([{ run_attempt: 3, workflow_name: 'Nightly', head_branch: 'next', head_sha: sha }]);
    expect(jobs.jobs[0]?.created_at).toBe(body.run_started_at);
  });

  test('is of a push to main where nothing is told', async () => {
    const { body } = await get(github.queueRun(scope, { jobs: [] }));
    expect(body).toMatchObject({
      name: 'CI',
      workflow_id: 1,
      path: '.github/workflows/ci.yml',
      event: 'push',
      head_branch: 'main',
      run_attempt: 1,
    });
  });

  test('may be of a fork, which has an id of its own, or of one that was deleted', async () => {
    const of = async (headRepository: string | null): Promise<{ id: number; fork: boolean } | null> =>
      (await get<{ head_repository: { id: number; fork: boolean } | null }>(github.queueRun(scope, { jobs: [], headRepository }))).body
        .head_repository;
    const [fork, again, other, own] = [await of('eve/app'), await of('Eve/app'), await of('mallory/app'), await of(scope)];
    expect(fork).toMatchObject({ full_name: 'eve/app', fork: true });
    expect(again).toEqual(fork);
    expect(new Set([fork?.id, other?.id, own?.id]).size).toBe(3);
    expect(own).toMatchObject({ full_name: scope, fork: false });
    expect(await of(null)).toBeNull();
    github.addRepository('eve/app');
    expect((await ask(github, 'GET /repos/eve/app')).body).toMatchObject({ id: fork?.id });
  });

  test('has no branch where there is none', async () => {
    expect((await get(github.queueRun(scope, { jobs: [], branch: null }))).body).toMatchObject({ head_branch: null });
  });

  test('shows its pull requests unless they are not asked for', async () => {
    const id = github.queueRun(scope, { jobs: [], branch: 'change', pullRequests: [12, 15] });
    expect((await get(id)).body).toMatchObject({
      pull_requests: [{ number: 12, head: { ref: 'change' }, base: { ref: 'main' } }, { number: 15 }],
    });
    expect((await list('')).body.workflow_runs).toMatchObject([{ pull_requests: [{ number: 12 }, { number: 15 }] }]);
    expect((await list('exclude_pull_requests=true')).body.workflow_runs).toMatchObject([{ pull_requests: [] }]);
    expect((await get(id, '?exclude_pull_requests=true')).body).toMatchObject({ pull_requests: [] });
  });
});

describe('the jobs of a run', () => {
  test('are shown with what they ask for, and the run is as far as the last of them', async () => {
    const id = github.queueRun(scope, {
      jobs: [
        { name: 'lint', labels: ['ubuntu-latest'], state: 'completed' },
        { name: 'build', labels: ['self-hosted', 'bpf'] },
      ],
      agoMs: 600_000,
    });
    const { body } = await ask<{ jobs: { id: number; created_at: string }[] }>(github, `GET /repos/${scope}/actions/runs/${id}/jobs`);
    expect(body).toMatchObject({
      total_count: 2,
      jobs: [
        { name: 'lint', run_id: id, status: 'completed', conclusion: 'success', labels: ['ubuntu-latest'] },
        { name: 'build', run_id: id, status: 'queued', conclusion: null, labels: ['self-hosted', 'bpf'], runner_id: null },
      ],
    });
    const [, build] = body.jobs;
    expect(Math.abs(Date.parse(build?.created_at ?? '') - now() + 600_000)).toBeLessThan(5000);
    expect(await ask(github, `GET /repos/${scope}/actions/jobs/${build?.id}`)).toMatchObject({ status: 200, body: { name: 'build' } });
    github.addRepository(`${scope}-other`);
    expect((await ask(github, `GET /repos/${scope}-other/actions/jobs/${build?.id}`)).status).toBe(404);
    expect((await get(id)).body).toMatchObject({ status: 'queued' });
  });

  test('end with it when it is cancelled', async () => {
    const id = github.queueRun(scope, { jobs: [{}] });
    await write(id, 'cancel');
    expect(github.run(id)).toMatchObject({
      status: 'completed',
      conclusion: 'cancelled',
      jobs: [{ state: 'completed', result: 'Canceled' }],
    });
  });

  test('are those of its attempt, or of all attempts', async () => {
    const id = github.queueRun(scope, { jobs: [{ name: 'build', labels: ['gpu'], state: 'completed' }] });
    await write(id, 'rerun');
    const jobs = async (query: string): Promise<unknown> => (await ask(github, `GET /repos/${scope}/actions/runs/${id}/jobs${query}`)).body;
    const latest = { total_count: 1, jobs: [{ name: 'build', labels: ['gpu'], run_attempt: 2, status: 'queued' }] };
    expect(await jobs('')).toMatchObject(latest);
    expect(await jobs('?filter=latest')).toMatchObject(latest);
    expect(await jobs('?filter=all')).toMatchObject({
      total_count: 2,
      jobs: [{ run_attempt: 1, conclusion: 'success' }, { run_attempt: 2 }],
    });
  });
});

describe('a cancel', () => {
  test('ends a run that is not completed, and is counted', async () => {
    const id = github.queueRun(scope, { jobs: [{}] });
    expect(await write(id, 'cancel')).toMatchObject({ status: 202, body: {} });
    expect((await get(id)).body).toMatchObject({ status: 'completed', conclusion: 'cancelled' });
    expect(await write(id, 'cancel')).toMatchObject({ status: 409, body: { message: 'Cannot cancel a workflow run that is completed.' } });
    expect(await write(id, 'force-cancel')).toMatchObject({
      status: 409,
      body: { message: 'Cannot cancel a workflow run that is completed.' },
    });
    expect(github.run(id)).toMatchObject({ accepted: { cancel: 1, forceCancel: 0, rerun: 0 }, refused: 2 });
  });

  test.each(['waiting', 'pending', 'requested'] as const)('ends a run that is %s', async (status) => {
    const id = github.queueRun(scope, { jobs: [{}], status });
    expect((await write(id, 'cancel')).status).toBe(202);
    expect(github.run(id)).toMatchObject({ status: 'completed', conclusion: 'cancelled' });
  });

  test('takes a while, in which the run is what it was and nobody takes its jobs', async () => {
    const id = github.queueRun(scope, { jobs: [{}], cancelTakesMs: 60_000 });
    expect((await write(id, 'cancel')).status).toBe(202);
    github.advance(59_000);
    expect((await write(id, 'cancel')).status).toBe(202);
    expect((await get(id)).body).toMatchObject({ status: 'queued', conclusion: null });
    github.advance(2000);
    expect(await listed('status=queued')).toEqual([]);
    expect((await get(id)).body).toMatchObject({ status: 'completed', conclusion: 'cancelled' });
    expect(github.run(id)).toMatchObject({ accepted: { cancel: 2 }, jobs: [{ result: 'Canceled' }] });
  });

  test('loses against jobs that end before it', async () => {
    const id = github.queueRun(scope, { jobs: [{ state: 'in_progress' }], cancelTakesMs: 60_000 });
    await write(id, 'cancel');
    github.completeRun(id, 'success');
    github.advance(61_000);
    expect(github.run(id)).toMatchObject({ status: 'completed', conclusion: 'success' });
  });

  test('may never end a run, and a forced one does so at once', async () => {
    const id = github.queueRun(scope, { jobs: [{ state: 'in_progress' }], cancelTakesMs: Infinity });
    expect((await write(id, 'cancel')).status).toBe(202);
    github.advance(DAY_MS);
    expect((await get(id)).body).toMatchObject({ status: 'in_progress' });
    expect((await write(id, 'force-cancel')).status).toBe(202);
    expect((await get(id)).body).toMatchObject({ status: 'completed', conclusion: 'cancelled' });
    expect(github.run(id).accepted).toEqual({ cancel: 1, forceCancel: 1, rerun: 0, rerunFailed: 0, rerunJob: 0 });
  });

  test('whose answer is lost took effect', async () => {
    const id = github.queueRun(scope, { jobs: [] });
    github.misbehave({ match: { path: '/cancel' }, fault: { kind: 'lost' }, times: 1 });
    await expect(write(id, 'cancel')).rejects.toThrow('fetch failed');
    expect(github.run(id)).toMatchObject({ conclusion: 'cancelled', accepted: { cancel: 1 } });
  });
});

describe('a zombie', () => {
  test.each([
    ['not-queued', 409, 'Cannot cancel a workflow run that has not been queued yet.'],
    ['failing', 500, 'Failed to cancel workflow run'],
  ] as const)('that is %s is ended by nothing', async (zombie, status, message) => {
    const id = github.queueRun(scope, { jobs: [], zombie, agoMs: 60 * DAY_MS });
    for (const verb of ['cancel', 'force-cancel']) expect(await write(id, verb)).toMatchObject({ status, body: { message } });
    expect(await write(id, 'rerun')).toMatchObject({ status: 403, body: { message: 'This workflow is already running' } });
    expect((await get(id)).body).toMatchObject({ status: 'queued', conclusion: null });
    expect(github.run(id)).toMatchObject({ accepted: { cancel: 0, forceCancel: 0, rerun: 0 }, refused: 3, jobs: [] });
  });
});

describe('a re-run', () => {
  test('is a new attempt of the same run, with jobs of its own', async () => {
    const id = github.queueRun(scope, {
      jobs: [
        { name: 'lint', labels: ['ubuntu-latest'], state: 'completed' },
        { name: 'build', labels: ['self-hosted', 'gpu'], state: 'completed', conclusion: 'failure' },
      ],
      agoMs: DAY_MS,
    });
    const before = (await get<{ created_at: string }>(id)).body;
    const jobs = github.run(id).jobs.map((job) => job.id);
    expect(await write(id, 'rerun')).toMatchObject({ status: 201, body: {} });
    const { body } = await get<{ created_at: string; run_started_at: string }>(id);
    expect(body).toMatchObject({ id, run_attempt: 2, status: 'queued', conclusion: null, created_at: before.created_at });
    expect(Math.abs(Date.parse(body.run_started_at) - Date.parse(before.created_at) - DAY_MS)).toBeLessThan(5000);
    const after = github.run(id);
    expect(after).toMatchObject({
      attempt: 2,
      accepted: { rerun: 1 },
      jobs: [
        { name: 'lint', state: 'queued', result: null },
        { name: 'build', state: 'queued', result: null },
      ],
    });
    expect(after.jobs.filter((job) => jobs.includes(job.id))).toEqual([]);
    expect(await ask(github, `GET /repos/${scope}/actions/jobs/${jobs[1]}`)).toMatchObject({
      body: { run_attempt: 1, conclusion: 'failure' },
    });
  });

  test('of one that was cancelled can be cancelled', async () => {
    const id = github.queueRun(scope, { jobs: [{}] });
    for (const verb of ['cancel', 'rerun', 'cancel']) expect((await write(id, verb)).status).toBeLessThan(300);
    expect(github.run(id)).toMatchObject({ attempt: 2, conclusion: 'cancelled', accepted: { cancel: 2, rerun: 1 } });
  });

  test('is refused while the run is not completed', async () => {
    const id = github.queueRun(scope, { jobs: [{}] });
    expect(await write(id, 'rerun')).toMatchObject({ status: 403, body: { message: 'This workflow is already running' } });
    expect(github.run(id)).toMatchObject({ attempt: 1, refused: 1 });
  });

  test('of what failed carries the rest over as it ended, under other ids', async () => {
    const id = github.queueRun(scope, {
      jobs: [
        { name: 'lint', state: 'completed', runner: 'GitHub Actions 12' },
        { name: 'build', labels: ['gpu'], state: 'completed', conclusion: 'failure', runner: 'GitHub Actions 13' },
        { name: 'test', state: 'completed', conclusion: 'cancelled' },
        { name: 'ship', state: 'completed', conclusion: 'skipped' },
      ],
      agoMs: 3_600_000,
    });
    const before = github.run(id).jobs.map((job) => job.id);
    expect(await write(id, 'rerun-failed-jobs')).toMatchObject({ status: 201, body: {} });
    const after = github.run(id);
    expect(after).toMatchObject({
      attempt: 2,
      status: 'queued',
      conclusion: null,
      accepted: { rerun: 0, rerunFailed: 1 },
      jobs: [
        { name: 'lint', state: 'completed', result: 'Succeeded', runner: 'GitHub Actions 12' },
        { name: 'build', state: 'queued', result: null, runner: null },
        { name: 'test', state: 'queued', result: null },
        { name: 'ship', state: 'completed', result: 'Skipped' },
      ],
    });
    expect(after.jobs.filter((job) => before.includes(job.id))).toEqual([]);
    interface Listed {
      readonly jobs: readonly { readonly run_attempt: number; readonly started_at: string }[];
    }
    const { jobs } = (await ask<Listed>(github, `GET /repos/${scope}/actions/runs/${id}/jobs`)).body;
    expect(jobs.map((job) => job.run_attempt)).toEqual([2, 2, 2, 2]);
    expect(Date.parse(jobs[1]?.started_at ?? '') - Date.parse(jobs[0]?.started_at ?? '')).toBeGreaterThan(3_500_000);
    expect((await ask<Listed>(github, `GET /repos/${scope}/actions/runs/${id}/jobs?filter=all`)).body.jobs).toHaveLength(8);
    github.completeRun(id, 'success');
    expect(github.run(id)).toMatchObject({ conclusion: 'success', jobs: [{}, { result: 'Succeeded' }, {}, {}] });
  });

  test('of what failed is refused where nothing did, or the run is not completed', async () => {
    const fine = github.queueRun(scope, { jobs: [{ state: 'completed' }] });
    const going = github.queueRun(scope, { jobs: [{ state: 'completed', conclusion: 'failure' }, { state: 'in_progress' }] });
    const old = github.queueRun(scope, { jobs: [{ state: 'completed', conclusion: 'failure' }], agoMs: 31 * DAY_MS });
    const answers = [fine, going, old].map(async (id) => write(id, 'rerun-failed-jobs'));
    expect(await Promise.all(answers)).toMatchObject([
      { status: 403, body: { message: 'This workflow run cannot be retried' } },
      { status: 403, body: { message: 'This workflow is already running' } },
      { status: 403, body: { message: 'Unable to retry this workflow run because it was created over a month ago' } },
    ]);
  });

  test('is refused a month after the run was created', async () => {
    const id = github.queueRun(scope, { jobs: [{ state: 'completed' }], agoMs: 30 * DAY_MS - 60_000, startedAgoMs: 0 });
    expect((await write(id, 'rerun')).status).toBe(201);
    github.completeRun(id, 'failure');
    github.advance(61_000);
    expect(await write(id, 'rerun')).toMatchObject({
      status: 403,
      body: { message: 'Unable to retry this workflow run because it was created over a month ago' },
    });
  });

  test('is refused after fifty of them', async () => {
    const id = github.queueRun(scope, { jobs: [{ state: 'completed' }], attempt: 50 });
    expect((await write(id, 'rerun')).status).toBe(201);
    github.completeRun(id, 'success');
    expect(await write(id, 'rerun')).toMatchObject({ status: 403, body: { message: 'This workflow run cannot be retried' } });
  });
});

function list(query: string): Promise<Answered<RunList>> {
  return ask(github, `GET /repos/${scope}/actions/runs?${query}`);
}

/** By GitHub's clock. */
function now(): number {
  return Date.now() + github.clockOffsetMs;
}

async function listed(query: string): Promise<readonly number[]> {
  return ids((await list(query)).body);
}

function ids({ workflow_runs: runs }: RunList): readonly number[] {
  return runs.map(({ id }) => id);
}

function get<Body = unknown>(id: number, query = ''): Promise<Answered<Body>> {
  return ask(github, `GET /repos/${scope}/actions/runs/${id}${query}`);
}

function write(id: number, verb: string): Promise<Answered<unknown>> {
  return ask(github, `POST /repos/${scope}/actions/runs/${id}/${verb}`);
}
