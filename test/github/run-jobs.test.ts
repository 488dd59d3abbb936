import { describe, expect, test } from 'vitest';
import { isUntouched } from '../../src/domain/queue/run.ts';
import type { Job } from '../../src/github/answers.ts';
import { countJobs } from '../../src/github/run-jobs.ts';

let ids = 0;

describe('a job', () => {
  test.each([
    ['in_progress', null, { started: 1, held: 0 }],
    ['completed', 'success', { started: 1, held: 0 }],
    ['completed', 'cancelled', { started: 1, held: 0 }],
    ['completed', null, { started: 1, held: 0 }],
    ['completed', 'skipped', { started: 0, held: 0 }],
    ['queued', null, { started: 0, held: 0 }],
    ['waiting', null, { started: 0, held: 1 }],
    ['pending', null, { started: 0, held: 1 }],
    ['requested', null, { started: 0, held: 1 }],
    ['action_required', null, { started: 0, held: 1 }],
    ['a word of next year', null, { started: 0, held: 1 }],
  ])('that is %s (%s) counts as %o', (status, conclusion, counted) => {
    expect(count([job({ status, conclusion })])).toMatchObject({ total: 1, ...counted });
  });

  test('that no page held counts as held', () => {
    const counted = countJobs(1, [job()], 3);
    expect(counted).toMatchObject({ total: 3, held: 2, queued: [{ count: 1 }] });
    expect(isUntouched(counted)).toBe(false);
  });

  test('that two pages held counts once', () => {
    const twice = job();
    expect(count([twice, twice]).queued).toEqual([{ labels: ['self-hosted'], count: 1 }]);
  });

  test('of an earlier attempt does not count', () => {
    const jobs = [job({ attempt: 1, status: 'completed', conclusion: 'cancelled' }), job({ attempt: 2 })];
    expect(countJobs(1, jobs, 1)).toMatchObject({ attempt: 2, total: 1, started: 0, held: 0 });
  });
});

describe('queued jobs', () => {
  test('are grouped by their labels, in any order and case', () => {
    const jobs = [job({ labels: ['Linux', 'bpf'] }), job({ labels: ['BPF', 'linux'] }), job({ labels: [] })];
    expect(count(jobs).queued).toEqual([
      { labels: ['bpf', 'linux'], count: 2 },
      { labels: [], count: 1 },
    ]);
  });

  test('tell since when the oldest of them waits', () => {
    const jobs = [job({ createdAt: 30 }), job({ createdAt: 20 }), job({ createdAt: 10, status: 'in_progress' })];
    expect(count(jobs).oldestQueuedAt).toBe(20);
  });
});

function count(jobs: readonly Job[]): ReturnType<typeof countJobs> {
  return countJobs(1, jobs, new Set(jobs).size);
}

function job(fields: Partial<Job> = {}): Job {
  ids += 1;
  const unused = { startedAt: null, name: 'build', runner: null, checkRun: null, nodeId: null, url: null };
  return { id: ids, attempt: 1, status: 'queued', conclusion: null, labels: ['self-hosted'], createdAt: 0, ...unused, ...fields };
}
