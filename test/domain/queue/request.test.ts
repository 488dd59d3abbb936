import { expect, test } from 'vitest';
import { readQueueRequest } from '../../../src/domain/queue/request.ts';

test('everything may be left out', () => {
  const nothing = { rules: null, max: null, dryRun: false, release: false, reason: null };
  for (const given of [[], [null], [{}]]) {
    expect(readQueueRequest(given)).toMatchObject(nothing);
  }
  expect(readQueueRequest([{ scope: 'acme/kernel', rules: ['stale'], max: 3, dryRun: true }])).toEqual({
    ...nothing,
    scope: 'acme/kernel',
    rules: ['stale'],
    max: 3,
    dryRun: true,
  });
});

test.each<readonly [given: readonly unknown[], problem: string]>([
  [[{}, {}], 'takes one input'],
  [['acme/kernel'], 'takes an object'],
  [[[]], 'takes an object'],
  [[{ repo: 'acme/kernel' }], 'does not know repo'],
  [[{ rules: 'stale' }], 'rules must be a list of stale, superseded, prioritizePullRequests'],
  [[{ rules: ['paths'] }], 'rules must be a list'],
  [[{ max: -1 }], 'max must be a whole number from 0'],
  [[{ max: '5' }], 'max must be a whole number'],
  [[{ dryRun: 'yes' }], 'dryRun must be true or false'],
  [[{ release: 1 }], 'release must be true or false'],
  [[{ reason: 7 }], 'reason must be text'],
])('%j is refused in words', (given, problem) => {
  expect(readQueueRequest(given)).toEqual({ problem: expect.stringContaining(problem) });
});
