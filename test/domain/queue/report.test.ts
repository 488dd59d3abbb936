import { describe, expect, test } from 'vitest';
import { findingsOf, isOfQueue, NO_TROUBLE } from '../../../src/domain/queue/findings.ts';
import { outcomeOf, queueSentence, type QueueFigures } from '../../../src/domain/queue/report.ts';

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

describe('people are told', () => {
  test('where a pass may not do all, and where GitHub refuses', () => {
    const refusals = [
      { status: 404, why: 'gone', count: 1 },
      { status: 403, why: 'the token lacks permission actions=write', count: 3 },
    ];
    const lost = [{ run: 7, workflow: 'CI', branch: 'main', detail: 'GitHub refused it' }];
    const forgotten = { runs: [7, 8], why: 'parked/acme/kernel is gone' };
    const found = findingsOf('acme/kernel', { limit: 200, refusals, failure: '404', lost, forgotten });
    expect(found.map(({ code, evidence }) => [code, evidence])).toEqual([
      ['queue-care-failed', '404'],
      ['queue-limit-hit', expect.stringContaining('200 runs')],
      ['queue-refused', expect.stringContaining('3 of its acts: the token lacks permission actions=write')],
      ['parked-runs-lost', 'runs 7; 8: parked/acme/kernel is gone'],
      ['queue-not-re-run', expect.stringContaining('run 7 of CI (main): GitHub refused it')],
    ]);
    expect(found.every(isOfQueue)).toBe(true);
  });

  test('of nothing where all is well', () => {
    expect(findingsOf('acme/kernel', NO_TROUBLE)).toEqual([]);
  });
});
