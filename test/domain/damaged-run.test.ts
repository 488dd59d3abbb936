import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CacheDamage } from '../../src/domain/cache.ts';
import {
  FAILURES_REMEMBERED,
  isInspected,
  NO_FAILURES,
  planRerun,
  rememberInspected,
  rerunObstacle,
  rerunsAllowed,
  type Attempt,
  type DamagedJob,
} from '../../src/domain/damaged-run.ts';

const DAY = 86_400_000;
const job = (id: number): DamagedJob => ({ id, name: `job ${id}`, path: 'a/b/c', lacks: 'entry', line: 'gone', isInLog: false });

describe('what the guest sees of what jobs name', () => {
  const look = (path: string, state: CacheDamage['state']): CacheDamage => ({ path, state, owner: null, mode: null, isImmutable: false });
  const [annotated, proven] = [job(1), { ...job(2), isInLog: true }];

  test.each<[what: string, jobs: readonly DamagedJob[], seen: readonly CacheDamage[], reruns: number]>([
    ['damage', [annotated], [look('a/b/c', 'empty')], 2],
    ['damage of one of them', [annotated, { ...annotated, path: 'a/b/d' }], [look('a/b/d', 'whole'), look('a/b/c', 'missing')], 2],
    ['nothing, although the log says so', [proven], [look('a/b/c', 'whole')], 1],
    ['nothing, and an annotation alone says so', [annotated], [look('a/b/c', 'whole')], 0],
    ['nothing, and an annotation alone says so of one', [proven, annotated], [look('a/b/c', 'whole')], 0],
    ['nothing, since no entry is named', [{ ...annotated, path: '' }], [look('o/x/v1', 'empty')], 0],
    ['nothing, since no entry is named, although the log says so', [{ ...proven, path: '' }], [], 1],
    ['nothing of a run that is told no more', [], [], 0],
  ])('%s', (_what, jobs, seen, reruns) => {
    expect(rerunsAllowed({ jobs }, seen, 2)).toBe(reruns);
    expect(rerunsAllowed({ jobs }, seen, 0)).toBe(0);
  });
});

describe('the re-run of a damaged run', () => {
  test('is of all failed jobs where the cache let all of them fail', () => {
    expect(planRerun({ jobs: [job(1)], otherJobs: 0 })).toEqual({ kind: 'failed-jobs' });
    expect(planRerun({ jobs: [job(1), job(2)], otherJobs: 0 })).toEqual({ kind: 'failed-jobs' });
  });

  test('is of the one job beside others that failed by themselves', () => {
    expect(planRerun({ jobs: [job(7)], otherJobs: 2 })).toEqual({ kind: 'one-job', job: 7 });
  });

  test('is of all failed jobs where the caches of several runners let them fail', () => {
    expect(planRerun({ jobs: [job(1)], neighbours: [{ runner: 'r2', jobs: 1 }], otherJobs: 0 })).toEqual({ kind: 'failed-jobs' });
    expect(planRerun({ jobs: [job(1)], neighbours: [{ runner: 'r2', jobs: 1 }], otherJobs: 1 })).toEqual({
      kind: 'none',
      why: expect.stringMatching(/^2 of its jobs failed by the cache and 1 otherwise/),
    });
  });

  test('is left to a person where GitHub would run the mistakes of others again', () => {
    expect(planRerun({ jobs: [job(1), job(2)], otherJobs: 1 })).toEqual({
      kind: 'none',
      why: expect.stringContaining('either one or all'),
    });
  });

  const run = { attempt: 2, status: 'completed', conclusion: 'failure', createdAt: 0 };
  test.each<[obstacle: string, run: Parameters<typeof rerunObstacle>[0], at: number]>([
    ['the run is gone', null, 0],
    ['it was re-run already: attempt 3 is the newest', { ...run, attempt: 3 }, 0],
    ['it is queued', { ...run, status: 'queued', conclusion: null }, 0],
    ['it ended with cancelled', { ...run, conclusion: 'cancelled' }, 0],
    ['it was created more than 30 days ago, and GitHub does not re-run it any more', run, 30 * DAY + 1],
  ])('is not to be where %s', (obstacle, seen, at) => {
    expect(rerunObstacle(seen, { attempt: 2, at })).toBe(obstacle);
  });

  test('is not to be after so many as GitHub allows', () => {
    expect(rerunObstacle({ ...run, attempt: 50 }, { attempt: 50, at: 0 })).toMatch(/50 attempts/);
  });

  test('has nothing against it otherwise', () => {
    expect(rerunObstacle(run, { attempt: 2, at: 30 * DAY })).toBeNull();
  });
});

describe('what is remembered of failures', () => {
  const attempts = fc.array(fc.tuple(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 3 })), { maxLength: 900 });

  test('holds each attempt once, and the newest runs where there are too many', () => {
    fc.assert(
      fc.property(attempts, attempts, (first, second) => {
        const { inspected } = rememberInspected(rememberInspected(NO_FAILURES, first), second);
        const keys = inspected.map(String);
        expect(new Set(keys).size).toBe(keys.length);
        expect(inspected.length).toBeLessThanOrEqual(FAILURES_REMEMBERED);
        const all = new Set([...first, ...second].map(String));
        expect(keys.every((key) => all.has(key))).toBe(true);
        if (all.size > FAILURES_REMEMBERED) {
          const oldest = (inspected.at(-1) as Attempt)[0];
          expect(second.filter(([run]) => run > oldest).every((attempt) => keys.includes(String(attempt)))).toBe(true);
        } else {
          expect(keys).toHaveLength(all.size);
        }
      }),
    );
  });

  test('knows the part of a runner, until the attempt is known', () => {
    const parts = rememberInspected(NO_FAILURES, [[7, 1, 'r1']]);
    expect([isInspected(parts, [7, 1, 'r1']), isInspected(parts, [7, 1, 'r2']), isInspected(parts, [7, 1])]).toEqual([true, false, false]);
    const both = rememberInspected(parts, [[7, 1, 'r2']]);
    expect(both.inspected).toHaveLength(2);
    const whole = rememberInspected(both, [[7, 1]]);
    expect(whole).toEqual({ inspected: [[7, 1]] });
    expect([isInspected(whole, [7, 1, 'r1']), isInspected(whole, [7, 1]), isInspected(whole, [7, 2, 'r1'])]).toEqual([true, true, false]);
    expect(rememberInspected(whole, [[7, 1, 'r1']])).toEqual(whole);
  });

  test('is small enough for a memo', () => {
    const many = Array.from({ length: 2_000 }, (_, n): Attempt => [34_000_000_000 + n, 50]);
    expect(JSON.stringify(rememberInspected(NO_FAILURES, many)).length).toBeLessThan(10_000);
  });
});
