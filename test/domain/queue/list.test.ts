import { expect, test } from 'vitest';
import { inListOrder, LABEL_SETS_LISTED, LISTED, LISTED_AT_MOST, listedRun, readQueueListRequest } from '../../../src/domain/queue/list.ts';
import { Forecast } from '../../../src/domain/queue/outlook.ts';
import { modesOf, planQueue } from '../../../src/domain/queue/plan.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import { aPolicy, aRun, asking, aView, byRun, DAY, HOUR, jobsOfRun, MINUTE, NOW } from '../../kit/queue.ts';

function forecastOf(view: QueueView): Forecast {
  const [policy, modes] = [aPolicy(), modesOf(aPolicy(), null)];
  return new Forecast({ view, plan: planQueue(view, policy, modes), policy, modes, intended: [], homeless: [], parked: new Set() });
}

test('queued runs are listed from the one that has waited longest, each once', () => {
  const rerun = aRun({ id: 1, createdAt: NOW - 9 * DAY, startedAt: NOW - MINUTE, attempt: 2 });
  const [old, young] = [aRun({ id: 3, createdAt: NOW - 2 * HOUR }), aRun({ id: 2, createdAt: NOW - HOUR })];
  const others = [aRun({ id: 4, status: 'in_progress' }), { ...rerun, attempt: 1 }];
  expect(inListOrder([rerun, young, old, ...others])).toEqual([old, young, rerun]);
});

test('a run is told with its age, its labels, and what would be done', () => {
  const run = aRun({ id: 7, event: 'pull_request', branch: 'patch-1', pullRequests: [12], createdAt: NOW - 2 * HOUR });
  const queued = [asking(['self-hosted', 'bpf-lsm'], 2), asking(['gpu'])];
  const view = aView({ runs: [run], jobs: byRun(jobsOfRun(run, { queued, oldestQueuedAt: NOW - HOUR })) });
  expect(listedRun(run, view, forecastOf(view))).toMatchObject({
    run: 7,
    attempt: 1,
    workflow: 'CI',
    event: 'pull_request',
    branch: 'patch-1',
    pullRequests: [12],
    queuedSince: new Date(NOW - HOUR).toISOString(),
    jobs: queued,
    outlook: { action: 'cancel', code: 'stale', at: new Date(NOW + 3 * HOUR).toISOString() },
  });
});

test('a run of many sets of labels is told with the first ones, and how many more there are', () => {
  const run = aRun();
  const queued = Array.from({ length: LABEL_SETS_LISTED + 3 }, (_, index) => asking(['self-hosted', `unique-${index}`]));
  const view = aView({ runs: [run], jobs: byRun(jobsOfRun(run, { queued })) });
  expect(listedRun(run, view, forecastOf(view))).toMatchObject({ jobs: queued.slice(0, LABEL_SETS_LISTED), moreLabelSets: 3 });
});

test('a run whose jobs are not known waits since its attempt began', () => {
  const run = aRun({ createdAt: NOW - DAY, startedAt: NOW - HOUR, attempt: 2 });
  const view = aView({ runs: [run] });
  expect(listedRun(run, view, forecastOf(view))).toMatchObject({
    queuedSince: new Date(NOW - HOUR).toISOString(),
    jobs: null,
    outlook: { code: 'unknown' },
  });
});

test.each([
  [[], { scope: undefined, max: LISTED }],
  [[{ scope: 'octo-org/widgets' }], { scope: 'octo-org/widgets', max: LISTED }],
  [[{ max: 7 }], { max: 7 }],
  [[{ max: 1_000_000 }], { max: LISTED_AT_MOST }],
  [[{ max: 0 }], { problem: 'max must be a whole number from 1, but is 0' }],
  [[{ max: 'all' }], { problem: 'max must be a whole number from 1, but is "all"' }],
  [[{ rules: [] }], { problem: expect.stringContaining('rules') }],
])('is asked for by %j', (given, expected) => {
  expect(readQueueListRequest(given)).toMatchObject(expected);
});
