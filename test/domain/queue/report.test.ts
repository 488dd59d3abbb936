import { describe, expect, test } from 'vitest';
import { agingText, findingsOf, isOfQueue, NO_TROUBLE, waitingTrouble } from '../../../src/domain/queue/findings.ts';
import { parkedOf } from '../../../src/domain/queue/parked.ts';
import { DEFAULT_QUEUE_POLICY } from '../../../src/domain/queue/policy.ts';
import { agingOf, outcomeOf, queueSentence, type QueueFigures } from '../../../src/domain/queue/report.ts';
import { aRun, HOUR, jobsOfRun, MINUTE, NOW } from '../../kit/queue.ts';

const FIGURES: QueueFigures = { queued: 7, inProgress: 1, waiting: 0, pending: 0, requested: 0, stale: 2, parked: 0, setAside: 0 };

describe('a pass ends', () => {
  const outcome = (told: Partial<Parameters<typeof outcomeOf>[0]>) =>
    outcomeOf({ counts: {}, isCut: false, isDry: false, planned: 1, ...told });

  test.each([
    ['nothing-to-do', { planned: 0 }],
    ['planned', { isDry: true }],
    ['done', { counts: { cancelled: 4, spared: 1, 'set-aside': 1 } }],
    ['partly', { counts: { cancelled: 4, refused: 1 } }],
    ['partly', { counts: { 'not-over': 1 }, isCut: true }],
    ['cut', { counts: { cancelled: 4 }, isCut: true }],
  ] as const)('%s', (word, told) => {
    expect(outcome(told)).toBe(word);
  });

  test('with one sentence', () => {
    expect(queueSentence('acme/kernel', 'nothing-to-do', {}, FIGURES)).toBe('7 runs queued in acme/kernel: nothing to do');
    expect(queueSentence('acme/kernel', 'done', { cancelled: 2, 'set-aside': 1 }, { ...FIGURES, queued: 1 })).toBe(
      '1 run queued in acme/kernel: 2 cancelled, 1 set aside',
    );
    expect(queueSentence('acme/kernel', 'cut', { cancelled: 2 }, FIGURES)).toContain('2 cancelled; there is more to do');
  });
});

test('what will be stale is told with its times', () => {
  const at = (staleAt: number) => ({ run: 1, staleAt, labels: [] });
  const [one, two] = [Date.parse('2026-11-24T21:58:00Z'), Date.parse('2026-11-24T22:40:00Z')];
  expect(agingText([])).toBeNull();
  expect(agingText([at(one)])).toBe('1 run will be ended as stale at 2026-11-24 21:58 UTC');
  expect(agingText([at(two), at(one)])).toBe(
    '2 runs will be ended as stale, the first at 2026-11-24 21:58 UTC, the last at 2026-11-24 22:40 UTC',
  );
  expect(agingOf([at(two), at(one)])).toEqual({ runs: 2, firstAt: '2026-11-24T21:58:00.000Z', lastAt: '2026-11-24T22:40:00.000Z' });
});

test('a parked run is told of after an hour, the oldest first', () => {
  const { parking } = DEFAULT_QUEUE_POLICY;
  const parked = [10, 61, 60, 59].map((minutes, index) => {
    const run = aRun({ id: index + 1 });
    return parkedOf({ run, jobs: jobsOfRun(run), evidence: '' }, 0, NOW - minutes * MINUTE);
  });
  expect(waitingTrouble([], parked, NOW, parking).longParked.map(({ run }) => run.id)).toEqual([2, 3]);
});

describe('people are told', () => {
  test('where a pass may not do all, and where GitHub refuses', () => {
    const refusals = [
      { status: 404, why: 'gone', count: 1 },
      { status: 403, why: 'the token lacks permission actions=write', count: 3 },
    ];
    const lost = [{ run: 7, workflow: 'CI', branch: 'main', detail: 'GitHub refused it' }];
    const forgotten = { runs: [7, 8], why: 'parked/acme/kernel is gone' };
    const aging = [
      { run: 8, staleAt: NOW + 2 * HOUR, labels: [['bpf-lsm']] },
      { run: 9, staleAt: NOW + HOUR, labels: [['bpf-lsm'], ['gpu']] },
    ];
    const run = aRun({ id: 9 });
    const longParked = [parkedOf({ run, jobs: jobsOfRun(run), evidence: '6 pull requests wait' }, 0, NOW)];
    const found = findingsOf('acme/kernel', { limit: 200, refusals, failure: '404', lost, forgotten, aging, longParked });
    expect(found.map(({ code, evidence }) => [code, evidence])).toEqual([
      ['queue-care-failed', '404'],
      ['queue-limit-hit', expect.stringContaining('200 runs')],
      ['queue-refused', expect.stringContaining('3 of its acts: the token lacks permission actions=write')],
      ['queue-aging', expect.stringContaining('[bpf-lsm]; [gpu]')],
      ['parked', expect.stringContaining('run 9 of CI (topic), since')],
      ['parked-runs-lost', 'runs 7; 8: parked/acme/kernel is gone'],
      ['queue-not-re-run', expect.stringContaining('run 7 of CI (main): GitHub refused it')],
    ]);
    expect(found.every(isOfQueue)).toBe(true);
  });

  test('of nothing where all is well', () => {
    expect(findingsOf('acme/kernel', NO_TROUBLE)).toEqual([]);
  });
});
