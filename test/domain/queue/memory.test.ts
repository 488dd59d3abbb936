import { describe, expect, test } from 'vitest';
import {
  forgetOver,
  leftAlone,
  noteEnded,
  noteEnding,
  noteRerun,
  NOTHING_REMEMBERED,
  runsLeftAlone,
  setAside,
  type QueueMemory,
} from '../../../src/domain/queue/memory.ts';
import { aPolicy, DAY, HOUR, NOW } from '../../kit/queue.ts';

const policy = aPolicy();
const refusal = { run: 7, attempt: 1, why: '409' };

function refusedAt(...moments: readonly number[]): QueueMemory {
  return moments.reduce((memory, at) => setAside(memory, refusal, at, policy.setAside), NOTHING_REMEMBERED);
}

describe('runs that are set aside', () => {
  test('wait for twice as long after each refusal, a day at most', () => {
    const waits: number[] = [];
    let memory = NOTHING_REMEMBERED;
    let at = NOW;
    for (let index = 0; index < 1_100; index += 1) {
      memory = setAside(memory, refusal, at, policy.setAside);
      const entry = memory.setAside[0]!;
      waits.push((entry.retryAt - at) / HOUR);
      at = entry.retryAt;
    }
    expect(waits.slice(0, 7)).toEqual([1, 2, 4, 8, 16, 24, 24]);
    expect(Math.max(...waits)).toBe(24);
    expect(memory.setAside).toMatchObject([{ since: NOW, tries: 1_100 }]);
  });

  test.each([
    { when: 'before its time', attempt: 1, at: NOW + HOUR - 1, isLeft: true },
    { when: 'at its time', attempt: 1, at: NOW + HOUR, isLeft: false },
    { when: 'when it was re-run', attempt: 2, at: NOW + 1, isLeft: false },
  ])('$when: left alone $isLeft', ({ attempt, at, isLeft }) => {
    expect(leftAlone(refusedAt(NOW), at)({ id: 7, attempt }) === 'set-aside').toBe(isLeft);
  });

  test('one that nobody set aside is not left alone', () => {
    expect(leftAlone(refusedAt(NOW), NOW)({ id: 8, attempt: 1 })).toBeNull();
  });

  test('a re-run of it begins anew, and takes its place', () => {
    const memory = setAside(refusedAt(NOW, NOW + HOUR), { ...refusal, attempt: 2 }, NOW + DAY, policy.setAside);
    expect(memory.setAside).toEqual([{ ...refusal, attempt: 2, since: NOW + DAY, tries: 1, retryAt: NOW + DAY + HOUR }]);
  });

  test('the last words of GitHub stay', () => {
    expect(setAside(refusedAt(NOW), { ...refusal, why: '500' }, NOW + HOUR, policy.setAside).setAside).toMatchObject([{ why: '500' }]);
  });

  test('one refusal leaves the others as they are', () => {
    const memory = setAside(refusedAt(NOW), { ...refusal, run: 8 }, NOW, policy.setAside);
    expect(memory.setAside.map(({ run, tries }) => ({ run, tries }))).toEqual([
      { run: 7, tries: 1 },
      { run: 8, tries: 1 },
    ]);
  });

  test('are forgotten once they are not queued any more', () => {
    const memory = setAside(refusedAt(NOW), { ...refusal, run: 8 }, NOW, policy.setAside);
    expect(forgetOver(memory, new Set([8, 9]), NOW, DAY).setAside.map(({ run }) => run)).toEqual([8]);
  });
});

describe('runs whose cancellation was accepted', () => {
  const { following } = policy;
  const accepted = (run: number, acceptedAt = NOW) => ({ run, attempt: 1, rule: 'stale' as const, acceptedAt });
  const until = NOW + following.forceAfterMs + following.giveUpAfterMs + following.marginMs;
  const memory = noteEnding(NOTHING_REMEMBERED, [accepted(7), accepted(8)], following);

  test.each([
    { when: 'while they are followed', id: 7, attempt: 1, at: until - 1, isLeft: true },
    { when: 'once nobody can follow them any more', id: 7, attempt: 1, at: until, isLeft: false },
    { when: 'when they were re-run', id: 7, attempt: 2, at: NOW, isLeft: false },
    { when: 'others', id: 9, attempt: 1, at: NOW, isLeft: false },
  ])('$when: left alone $isLeft', ({ id, attempt, at, isLeft }) => {
    expect(leftAlone(memory, at)({ id, attempt }) === 'ending').toBe(isLeft);
  });

  test('are forgotten once they are over, not queued any more, or their time is', () => {
    expect(noteEnded(memory, [{ run: 7, attempt: 1 }]).ending).toMatchObject([{ run: 8 }]);
    expect(noteEnded(memory, [{ run: 7, attempt: 2 }]).ending).toHaveLength(2);
    expect(noteEnded(memory, [accepted(7), accepted(8)])).toEqual(NOTHING_REMEMBERED);
    expect(forgetOver(memory, new Set([8]), NOW, DAY).ending).toMatchObject([{ run: 8 }]);
    expect(forgetOver(memory, new Set([7, 8]), until, DAY)).toEqual(NOTHING_REMEMBERED);
  });

  test('are followed anew where they are cancelled anew', () => {
    expect(noteEnding(memory, [accepted(7, NOW + HOUR)], following).ending).toEqual([
      { ...accepted(8), until },
      { ...accepted(7, NOW + HOUR), until: until + HOUR },
    ]);
  });

  test('are no demand while they are left alone, nor are those that are set aside', () => {
    const both = setAside(memory, { ...refusal, run: 9 }, NOW, policy.setAside);
    expect(runsLeftAlone(both, NOW)).toEqual([9, 7, 8]);
    expect(runsLeftAlone(both, Math.max(until, NOW + HOUR))).toEqual([]);
  });

  test('that are set aside as well are told as that', () => {
    expect(leftAlone(setAside(memory, refusal, NOW, policy.setAside), NOW)({ id: 7, attempt: 1 })).toBe('set-aside');
  });
});

describe('re-runs', () => {
  test('the last one of a run counts', () => {
    const memory = noteRerun(noteRerun(NOTHING_REMEMBERED, { run: 7, at: NOW, parked: 1 }), { run: 7, at: NOW + HOUR, parked: 2 });
    expect(memory.reruns).toEqual([{ run: 7, at: NOW + HOUR, parked: 2 }]);
  });

  test('are kept while GitHub would re-run the run once more, queued or not', () => {
    const memory = noteRerun(NOTHING_REMEMBERED, { run: 7, at: NOW, parked: 1 });
    expect(forgetOver(memory, new Set(), NOW + DAY - 1, DAY).reruns).toHaveLength(1);
    expect(forgetOver(memory, new Set(), NOW + DAY, DAY).reruns).toHaveLength(0);
  });
});

test('of more than a thousand the oldest are forgotten, of each kind by itself', () => {
  let memory = NOTHING_REMEMBERED;
  for (let run = 0; run < 1_002; run += 1) {
    memory = noteRerun(setAside(memory, { ...refusal, run }, NOW + run, policy.setAside), { run, at: NOW + run, parked: 1 });
  }
  expect(memory.setAside).toHaveLength(1_000);
  expect(memory.reruns).toHaveLength(1_000);
  expect([memory.setAside[0]?.run, memory.reruns[0]?.run]).toEqual([2, 2]);
});
