import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobOptions, RunOptions } from '../../../src/sandbox/github/run.ts';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

const SCOPE = 'octo/app';
let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE, 'octo/empty'] });
});
afterAll(() => github.close());

describe('a run reads as far as its least advanced job has come', () => {
  const cases: readonly (readonly [string, string | null, readonly JobOptions[]])[] = [
    ['queued', null, []],
    ['queued', null, [{}, { state: 'in_progress' }, { state: 'completed' }]],
    ['in_progress', null, [{ state: 'in_progress' }, { state: 'completed' }]],
    ['waiting', null, [{ state: 'waiting' }, { state: 'in_progress' }, {}]],
    ['pending', null, [{ state: 'pending' }, { state: 'waiting' }]],
    ['requested', null, [{ state: 'requested' }, { state: 'pending' }]],
    ['completed', 'success', [{ state: 'completed' }, { state: 'completed', conclusion: 'skipped' }]],
    ['completed', 'skipped', [{ state: 'completed', conclusion: 'skipped' }]],
    ['completed', 'cancelled', [{ state: 'completed', conclusion: 'cancelled' }, { state: 'completed' }]],
    [
      'completed',
      'failure',
      [
        { state: 'completed', conclusion: 'cancelled' },
        { state: 'completed', conclusion: 'failure' },
      ],
    ],
  ];

  test.each(cases)('%s %s', (status, conclusion, jobs) => {
    expect(github.run(github.queueRun(SCOPE, { jobs }))).toMatchObject({ status, conclusion });
  });
});

describe('a held run', () => {
  test('stays so, with its jobs, until it is told otherwise', () => {
    const id = github.queueRun(SCOPE, { jobs: [{}, { state: 'completed' }], status: 'waiting' });
    expect(github.run(id)).toMatchObject({ status: 'waiting', jobs: [{ state: 'waiting' }, { state: 'completed' }] });
    github.settle(id, 'pending');
    expect(github.run(id)).toMatchObject({ status: 'pending', jobs: [{ state: 'pending' }, { state: 'completed' }] });
    github.settle(id, 'queued');
    expect(github.run(id)).toMatchObject({ status: 'queued', jobs: [{ state: 'queued' }, { state: 'completed' }] });
  });

  test('may have jobs that are further, and does not follow them', () => {
    const id = github.queueRun(SCOPE, { jobs: [{ state: 'queued' }], status: 'requested' });
    const [job] = github.run(id).jobs;
    github.startJob(job!.id);
    expect(github.run(id)).toMatchObject({ status: 'requested', jobs: [{ state: 'in_progress' }] });
    github.settle(id, 'queued');
    expect(github.run(id)).toMatchObject({ status: 'in_progress' });
  });

  test('may have no jobs', () => {
    const id = github.queueRun(SCOPE, { jobs: [], status: 'pending' });
    expect(github.run(id)).toMatchObject({ status: 'pending', jobs: [] });
    github.settle(id, 'queued');
    expect(github.run(id).status).toBe('queued');
  });

  test('can be one that was queued', () => {
    const id = github.queueRun(SCOPE, { jobs: [{}] });
    github.settle(id, 'waiting');
    expect(github.run(id)).toMatchObject({ status: 'waiting', jobs: [{ state: 'waiting' }] });
  });

  test('is none that is completed', () => {
    const id = github.queueRun(SCOPE, { jobs: [{ state: 'completed' }] });
    expect(() => github.settle(id, 'queued')).toThrow(`run ${id} of the make-believe GitHub is completed`);
  });
});

describe("a job of somebody else's runner", () => {
  test('begins once', () => {
    const id = github.queueRun(SCOPE, { jobs: [{}] });
    const job = github.run(id).jobs[0]!.id;
    github.startJob(job);
    expect(github.run(id)).toMatchObject({ status: 'in_progress', jobs: [{ state: 'in_progress', runner: null }] });
    expect(() => github.startJob(job)).toThrow(`job ${job} of the make-believe GitHub is in_progress`);
  });
});

describe('a run that is completed', () => {
  test.each([
    ['success', 'Succeeded'],
    ['failure', 'Failed'],
    ['timed_out', 'Failed'],
    ['skipped', 'Skipped'],
    ['stale', 'Canceled'],
  ] as const)('with %s ends its jobs as %s', (conclusion, result) => {
    const id = github.queueRun(SCOPE, {
      jobs: [{}, { state: 'in_progress' }, { state: 'completed', conclusion: 'cancelled' }],
      status: 'waiting',
    });
    github.completeRun(id, conclusion);
    expect(github.run(id)).toMatchObject({ status: 'completed', conclusion, jobs: [{ result }, { result }, { result: 'Canceled' }] });
  });
});

test('all runs of a repository are shown as each of them', () => {
  expect(github.runs('octo/empty')).toEqual([]);
  const runs = github.runs(SCOPE);
  expect(runs.length).toBeGreaterThan(10);
  expect(runs).toEqual(runs.map(({ id }) => github.run(id)));
});

test('what is unknown is said', () => {
  expect(() => github.run(1)).toThrow('the make-believe GitHub knows no run 1');
  expect(() => github.startJob(1)).toThrow('the make-believe GitHub knows no job 1');
  expect(() => github.runs('octo/none')).toThrow('the make-believe GitHub knows no scope octo/none');
});

describe('a concurrency group', () => {
  let tests = 0;
  let group: string;
  beforeEach(() => {
    tests += 1;
    group = `deploy ${tests}`;
  });
  const grouped = (options: Partial<RunOptions> = {}): number =>
    github.queueRun(SCOPE, { jobs: [{}], concurrencyGroup: group, ...options });
  const states = (...ids: number[]): readonly string[] => ids.map((id) => github.run(id).conclusion ?? github.run(id).status);

  test('has one run that goes on and one that is pending: GitHub cancels the pending one for the next', () => {
    const [first, second, third] = [grouped(), grouped(), grouped()];
    expect(states(first, second, third)).toEqual(['queued', 'cancelled', 'pending']);
    expect(github.run(third).jobs.map(({ state }) => state)).toEqual(['pending']);
    github.completeRun(first, 'success');
    expect(states(first, second, third)).toEqual(['success', 'cancelled', 'queued']);
  });

  test('is entered anew by a re-run, which pushes the pending one out', async () => {
    const parked = grouped();
    github.completeRun(parked, 'cancelled');
    const [going, pending] = [grouped(), grouped()];
    await ask(github, `POST /repos/octo/app/actions/runs/${parked}/rerun`);
    expect(states(parked, going, pending)).toEqual(['pending', 'queued', 'cancelled']);
  });

  test('is free again once the one that goes on is cancelled', async () => {
    const [first, second] = [grouped(), grouped()];
    await ask(github, `POST /repos/octo/app/actions/runs/${first}/cancel`);
    expect(states(first, second)).toEqual(['cancelled', 'queued']);
  });

  test('is of its name and repository', () => {
    expect(states(grouped(), grouped({ concurrencyGroup: 'docs' }), github.queueRun(SCOPE, { jobs: [{}] }))).toEqual(
      Array(3).fill('queued'),
    );
  });

  test('tells who holds it and who waits', async () => {
    const [first, second] = [grouped(), grouped()];
    const membersOf = async (id: number): Promise<unknown> =>
      (await ask<{ concurrency_groups: object[] }>(github, `GET /repos/octo/app/actions/runs/${id}/concurrency_groups`)).body
        .concurrency_groups;
    expect(await membersOf(first)).toMatchObject([
      { group_name: group, group_members: [{ run_id: first, position: 0, status: 'in_progress' }] },
    ]);
    expect(await membersOf(second)).toMatchObject([{ group_members: [{ run_id: second, position: 1, status: 'pending' }] }]);
    github.completeRun(first, 'success');
    expect(await membersOf(first)).toMatchObject([{ group_name: group, group_members: [] }]);
  });
});
