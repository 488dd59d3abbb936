import { describe, expect, test } from 'vitest';
import { review, type FreshLook, type ReviewGround } from '../../../src/domain/queue/review.ts';
import { labelSetOf } from '../../../src/domain/queue/run.ts';
import type { WorkItem } from '../../../src/domain/queue/work.ts';
import { aPolicy, aRun, asking, HOUR, jobsOf, jobsOfRun, MINUTE, NOW, OURS } from '../../kit/queue.ts';

const OLD = aRun({ createdAt: NOW - 5 * HOUR });
const NEWER = aRun({ id: 2, createdAt: NOW - MINUTE });

function anItem(replaced: Partial<WorkItem> = {}): WorkItem {
  return { run: 1, attempt: 1, rule: 'stale', does: 'cancel', newer: null, tries: 0, ...replaced };
}

function aLook(replaced: Partial<FreshLook> = {}): FreshLook {
  return { at: NOW, run: OLD, jobs: jobsOfRun(OLD), newer: null, ...replaced };
}

const GROUND: ReviewGround = {
  policy: aPolicy(),
  offered: [OURS],
  silent: [],
  silences: [],
  pressed: [OURS],
  rerunAt: null,
  defaultBranch: 'main',
};

describe('right before the act', () => {
  test('what still holds is done, with fresh evidence', () => {
    expect(review(anItem(), aLook(), GROUND)).toEqual({ kind: 'go', evidence: expect.stringContaining('queued for 5 h') });
  });

  test.each<{ readonly when: string; readonly look: Partial<FreshLook>; readonly ground?: Partial<ReviewGround>; readonly why: string }>([
    { when: 'the run is gone', look: { run: null }, why: 'it is gone' },
    { when: 'its jobs are gone', look: { jobs: null }, why: 'it is gone' },
    { when: 'it was re-run', look: { run: { ...OLD, attempt: 2 } }, why: 'it was re-run meanwhile' },
    { when: 'its jobs are of another attempt', look: { jobs: jobsOfRun(OLD, { attempt: 2 }) }, why: 'it was re-run meanwhile' },
    { when: 'it runs', look: { run: { ...OLD, status: 'in_progress' } }, why: 'it is in_progress meanwhile' },
    { when: 'it waits for an approval', look: { run: { ...OLD, status: 'waiting' } }, why: 'it is waiting meanwhile' },
    { when: 'a job of it has started', look: { jobs: jobsOfRun(OLD, { started: 1 }) }, why: '1 of its jobs has started meanwhile' },
    { when: 'a job of it is held', look: { jobs: jobsOfRun(OLD, { held: 1 }) }, why: 'its jobs do not wait for a runner' },
    { when: 'no job of it is queued', look: { jobs: jobsOfRun(OLD, { queued: [] }) }, why: 'its jobs do not wait for a runner' },
    {
      when: 'nobody here serves it',
      look: { jobs: jobsOfRun(OLD, { queued: [asking(['ubuntu-latest'])] }) },
      why: 'no runner of the scope serves its jobs',
    },
    {
      when: 'the last runner that could take it went offline',
      look: {},
      ground: { silent: [OURS] },
      why: 'it has waited for 5 h, and no runner that could take it is online',
    },
    { when: 'Runward re-ran it of late', look: {}, ground: { rerunAt: NOW - HOUR }, why: 'it has waited for 60 min only' },
  ])('it is spared where $when', ({ look, ground = {}, why }) => {
    expect(review(anItem(), aLook(look), { ...GROUND, ...ground })).toEqual({ kind: 'spare', why });
  });

  test('a run that is over says how it ended', () => {
    const run = { ...OLD, status: 'completed', conclusion: 'cancelled' };
    expect(review(anItem(), aLook({ run }), GROUND)).toEqual({ kind: 'over', conclusion: 'cancelled' });
  });
});

describe('a superseded run', () => {
  const item = anItem({ rule: 'superseded', newer: 2 });
  const waiting = { run: NEWER, jobs: jobsOfRun(NEWER) };

  test('goes while the newer one waits', () => {
    expect(review(item, aLook({ newer: waiting }), GROUND)).toEqual({
      kind: 'go',
      evidence: expect.stringContaining('run 2 of the same workflow'),
    });
  });

  test.each<{ readonly when: string; readonly newer: FreshLook['newer'] }>([
    { when: 'is gone', newer: null },
    { when: 'was cancelled', newer: { ...waiting, run: { ...NEWER, status: 'completed', conclusion: 'cancelled' } } },
    { when: 'has started', newer: { ...waiting, jobs: jobsOfRun(NEWER, { started: 1 }) } },
    { when: 'skips a job of it by now', newer: { ...waiting, jobs: jobsOfRun(NEWER, { work: [] }) } },
    { when: 'is of another branch by now', newer: { ...waiting, run: { ...NEWER, branch: 'other' } } },
  ])('stays where the newer one $when', ({ newer }) => {
    expect(review(item, aLook({ newer }), GROUND)).toMatchObject({ kind: 'spare' });
  });
});

describe('a run of what is the default branch by now', () => {
  const run = aRun({ event: 'push', branch: 'trunk', createdAt: NOW - 5 * HOUR });
  const newer = aRun({ id: 2, event: 'push', branch: 'trunk', createdAt: NOW - MINUTE });
  const look = aLook({ run, jobs: jobsOfRun(run), newer: { run: newer, jobs: jobsOfRun(newer) } });

  test.each([
    ['stale', 'cancel'],
    ['superseded', 'cancel'],
    ['prioritizePullRequests', 'cancel'],
  ] as const)('is not ended as %s', (rule, does) => {
    const item = anItem({ rule, does, newer: 2 });
    expect(review(item, look, GROUND)).toMatchObject({ kind: 'go' });
    expect(review(item, look, { ...GROUND, defaultBranch: 'trunk' })).toEqual({ kind: 'spare', why: 'trunk is protected' });
    expect(review(item, look, { ...GROUND, defaultBranch: null })).toEqual({
      kind: 'spare',
      why: 'it is not known which is the default branch, whose runs are protected',
    });
  });

  test('may be parked, and a pull request from it ends as stale', () => {
    const ground = { ...GROUND, defaultBranch: 'trunk' };
    expect(review(anItem({ rule: 'prioritizePullRequests', does: 'park' }), look, ground)).toMatchObject({ kind: 'go' });
    expect(review(anItem(), { ...look, run: { ...run, event: 'pull_request' } }, ground)).toMatchObject({ kind: 'go' });
  });
});

test('a push is parked only while pull requests are known to press for its labels', () => {
  const item = anItem({ rule: 'prioritizePullRequests', does: 'park' });
  const elsewhere = aLook({ jobs: jobsOf({ queued: [asking(['self-hosted', 'gpu'])] }) });
  expect(review(item, aLook(), GROUND)).toMatchObject({ kind: 'go' });
  const pressesNoMore = { kind: 'spare', why: 'pull requests do not wait for its runners any more' };
  expect(review(item, aLook(), { ...GROUND, pressed: [] })).toEqual(pressesNoMore);
  expect(review(item, aLook(), { ...GROUND, pressed: null })).toEqual({
    kind: 'spare',
    why: 'it is not known whether pull requests still wait for its runners',
  });
  const offered = [...GROUND.offered, labelSetOf(['self-hosted', 'gpu'])];
  expect(review(item, elsewhere, { ...GROUND, offered })).toEqual(pressesNoMore);
  expect(review(item, elsewhere, GROUND)).toEqual({ kind: 'spare', why: 'no runner of the scope serves its jobs' });
});
