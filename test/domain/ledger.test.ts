import { describe, expect, test } from 'vitest';
import {
  budgetRefusal,
  drainSaidSince,
  drainWord,
  enter,
  LEDGER_CAPACITY,
  leftStoppedAt,
  notedAmong,
  type DrainWord,
  type LedgerEntry,
} from '../../src/domain/ledger.ts';
import { DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';

const { budgets } = DEFAULT_RECOVERY_POLICY;
const HOUR = 3_600_000;
const now = 100 * HOUR;

function entry(replaced: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    at: now - HOUR,
    type: 'recoverRunner',
    scope: 'acme/kernel',
    runner: 'r1',
    trigger: 'check',
    workflowId: 'w',
    runId: 'r',
    outcome: 'recovered',
    ...replaced,
  };
}

describe('a ledger', () => {
  test('replaces the entry of the same run and keeps the newest', () => {
    let entries: readonly LedgerEntry[] = [];
    for (let count = 0; count < LEDGER_CAPACITY + 5; count += 1) {
      entries = enter(entries, entry({ runId: `run-${count}`, outcome: null }));
      entries = enter(entries, entry({ runId: `run-${count}` }));
    }
    expect(entries).toHaveLength(LEDGER_CAPACITY);
    expect(entries.at(-1)?.runId).toBe(`run-${LEDGER_CAPACITY + 4}`);
    expect(entries.every(({ outcome }) => outcome === 'recovered')).toBe(true);
  });

  test.each<readonly [string, readonly LedgerEntry[], Omit<DrainWord, 'at'> | null]>([
    ['nothing was drained', [entry()], null],
    ['drained', [entry({ type: 'drainRunner', outcome: 'drained' })], { isDrained: true, isNoted: false }],
    ['noted', [entry({ type: 'drainRunner', outcome: 'noted' })], { isDrained: true, isNoted: true }],
    [
      'resumed since',
      [entry({ type: 'drainRunner', outcome: 'noted' }), entry({ type: 'resumeRunner', outcome: 'resumed' })],
      { isDrained: false, isNoted: false },
    ],
    [
      'a resume that failed, which may have come to anything',
      [entry({ type: 'drainRunner', outcome: 'drained' }), entry({ type: 'resumeRunner', outcome: 'failed' })],
      null,
    ],
    ["a neighbour's drain", [entry({ type: 'drainRunner', runner: 'r2', outcome: 'noted' })], null],
    ...(['failed', 'unchanged', 'cancelled', null] as const).flatMap((outcome) =>
      ['drainRunner', 'resumeRunner'].map(
        (type) =>
          [
            `noted, and a ${type} since that came to nothing (${outcome})`,
            [entry({ type: 'drainRunner', outcome: 'noted' }), entry({ type, outcome, runId: 'later' })],
            { isDrained: true, isNoted: true },
          ] as const,
      ),
    ),
    [
      'resumed, and a drain since that failed, which may have marked it',
      [entry({ type: 'resumeRunner', outcome: 'resumed' }), entry({ type: 'drainRunner', outcome: 'failed' })],
      null,
    ],
  ])('tells what a person said last of a drain: %s', (_what, entries, word) => {
    const told = drainWord(entries, { scope: 'acme/kernel', runner: 'r1' });
    expect(told === null ? null : { isDrained: told.isDrained, isNoted: told.isNoted }).toEqual(word);
  });

  test('tells what a person has said of a drain since, and no check', () => {
    const asked = { scope: 'acme/kernel', runner: 'r1', type: 'drainRunner', since: 1_000, now: 2_000 } as const;
    const drained = { type: 'drainRunner', outcome: 'noted', trigger: 'manual' } as const;
    const later = entry({ ...drained, at: 1_001, runId: 'later' });
    expect(drainSaidSince([entry({ ...drained, at: 999 }), later], asked)).toBe(later);
    expect(drainSaidSince([entry({ ...drained, at: 999 })], asked)).toBeNull();
    expect(drainSaidSince([entry({ ...drained, at: 1_001, trigger: 'check' })], asked)).toBeNull();
    expect(drainSaidSince([later, entry({ ...drained, type: 'resumeRunner', outcome: 'resumed', at: 1_002 })], asked)).toBeNull();
    expect(drainSaidSince([entry({ ...drained, at: 1_001, outcome: 'failed' })], asked)).toBeNull();
    expect(drainSaidSince([entry({ ...drained, at: 2_001 })], asked)).toBeNull();
  });

  test('tells which runners of its machine were drained while it did not run', () => {
    const runners = ['r1', 'r2', 'r3'].map((runner) => ({ scope: 'acme/kernel', runner }));
    const noted = ['r2', 'r3'].map((runner) => entry({ type: 'drainRunner', outcome: 'noted', runner, runId: runner }));
    const resumed = entry({ type: 'resumeRunner', outcome: 'resumed', runner: 'r3', runId: 'resumed' });
    expect(notedAmong([...noted, resumed], [...runners, { scope: 'acme/other', runner: 'r2' }])).toEqual(['r2']);
  });

  test('keeps the last word of a drain, however often it is tried since to carry it out', () => {
    let entries: readonly LedgerEntry[] = [entry({ type: 'drainRunner', outcome: 'noted', runId: 'noted' })];
    for (let count = 0; count < 2 * LEDGER_CAPACITY; count += 1) {
      entries = enter(entries, entry({ type: 'drainRunner', outcome: 'failed', runId: `run-${count}` }));
    }
    expect(drainWord(entries, { scope: 'acme/kernel', runner: 'r1' })).toMatchObject({ isNoted: true });
    entries = enter(entries, entry({ type: 'resumeRunner', outcome: 'resumed', runId: 'resumed' }));
    expect(entries.filter(({ outcome }) => outcome === 'noted' || outcome === 'resumed')).toHaveLength(2);
    expect(entries.length).toBeLessThanOrEqual(1 + LEDGER_CAPACITY);
  });

  test("keeps a runner's entries, whatever its neighbours do", () => {
    let entries: readonly LedgerEntry[] = [entry()];
    for (let count = 0; count < 2 * LEDGER_CAPACITY; count += 1) {
      entries = enter(entries, entry({ runner: 'r2', runId: `run-${count}` }));
    }
    expect(entries).toHaveLength(1 + LEDGER_CAPACITY);
    expect(entries[0]).toEqual(entry());
  });
});

describe('a machine that Runward has stopped', () => {
  test.each<readonly [string, readonly LedgerEntry[], number | null]>([
    ['never', [], null],
    ['and seen up again', [entry({ concernsMachine: true, leavesStopped: false })], null],
    ['and not seen up again', [entry({ concernsMachine: true, outcome: 'failed', leavesStopped: true })], now - HOUR],
    ['and not seen up again, cut off', [entry({ concernsMachine: true, outcome: null, leavesStopped: true })], now - HOUR],
    ['by an act before one that worked in its guest', [entry({ leavesStopped: true }), entry({ type: 'drainRunner', runner: 'r2' })], null],
    [
      'by an act before one that has only looked',
      [entry({ leavesStopped: true }), entry({ outcome: 'failed', onlyLooked: true, at: now })],
      now - HOUR,
    ],
  ])('%s', (_name, entries, at) => {
    expect(leftStoppedAt(entries)).toBe(at);
  });
});

describe('the budget of checks', () => {
  const asked = { scope: 'acme/kernel', runner: 'r1', now };
  const cases: readonly [string, readonly LedgerEntry[], RegExp | null][] = [
    ['nothing so far', [], null],
    ['two that worked', [entry(), entry()], null],
    ['three within six hours', [entry(), entry(), entry()], /3 recoveries of r1 within 6 h: the budget is 3/],
    ['three, one of them long ago', [entry({ at: now - 7 * HOUR }), entry(), entry()], null],
    ['three of a neighbour', [entry({ runner: 'r2' }), entry({ runner: 'r2' }), entry({ runner: 'r2' })], null],
    [
      'three of a neighbour that were starts of their machine',
      ['r2', 'r3', 'r2'].map((runner) => entry({ runner, concernsMachine: true })),
      /3 recoveries of r1 and its machine within 6 h: the budget is 3/,
    ],
    [
      'three of a namesake elsewhere',
      [entry({ scope: 'acme/other' }), entry({ scope: 'acme/other' }), entry({ scope: 'acme/other' })],
      null,
    ],
    ['two failures in a row', [entry({ outcome: 'failed' }), entry({ outcome: 'failed' })], /the last 2 recoveries of r1 failed/],
    ['one cut off, one failed', [entry({ outcome: null }), entry({ outcome: 'failed' })], /waiting for a person/],
    ['a failure, then a success', [entry({ outcome: 'failed' }), entry()], null],
    ['a success, then a failure', [entry(), entry({ outcome: 'failed' })], null],
    ['three from when a clock was a year ahead', [1, 2, 3].map(() => entry({ at: now + 365 * 24 * HOUR })), null],
    ['three from when a clock was an hour ahead', [1, 2, 3].map(() => entry({ at: now + HOUR })), /3 recoveries of r1 within 6 h/],
    [
      'failures that are cooled down',
      [entry({ outcome: 'failed', at: now - 7 * HOUR }), entry({ outcome: 'failed', at: now - 7 * HOUR })],
      null,
    ],
  ];
  test.each(cases)('%s', (_name, entries, refusal) => {
    const answer = budgetRefusal(entries, asked, budgets);
    if (refusal === null) {
      expect(answer).toBeNull();
    } else {
      expect(answer).toMatch(refusal);
    }
  });
});
