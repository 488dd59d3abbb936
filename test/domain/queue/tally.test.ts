import { expect, test } from 'vitest';
import { addTally, note, NOTHING_DONE, type Noted } from '../../../src/domain/queue/tally.ts';
import { pack, unpack, type WorkItem } from '../../../src/domain/queue/work.ts';

const ABOUT = { workflow: 'CI', event: 'push', branch: 'main', evidence: 'why' };

function anItem(run: number, replaced: Partial<WorkItem> = {}): WorkItem {
  return { run, attempt: 1, rule: 'stale', does: 'cancel', newer: null, tries: 0, ...replaced };
}

test('work survives being packed, in its order', () => {
  const items = [
    anItem(1),
    anItem(2, { attempt: 3, tries: 1 }),
    anItem(3, { rule: 'superseded', newer: 9 }),
    anItem(4, { rule: 'prioritizePullRequests', does: 'park' }),
    anItem(5),
  ];
  expect(unpack(pack(items))).toEqual(items);
});

test('five thousand runs are packed in fewer bytes than Temporal warns of', () => {
  const items = Array.from({ length: 5_000 }, (_, index) => anItem(34_000_000_000 + index));
  expect(JSON.stringify(pack(items)).length).toBeLessThan(128 * 1_024);
});

test('acts are counted by what came of them, and the first 200 are told', () => {
  let tally = NOTHING_DONE;
  for (let run = 1; run <= 250; run += 1) {
    tally = note(tally, anItem(run), ABOUT, { end: run % 2 === 0 ? 'cancelled' : 'spared', detail: 'what' });
  }
  expect(tally.counts).toEqual({ cancelled: 125, spared: 125 });
  expect(tally.told).toHaveLength(200);
});

test('a refusal is told once, and counted', () => {
  const refused = (run: number, status: number, why: string, tally = NOTHING_DONE) =>
    note(tally, anItem(run), ABOUT, { end: 'refused', detail: why, status });
  const tally = refused(3, 404, 'gone', refused(2, 403, 'no right on 2', refused(1, 403, 'no right on 1')));
  expect(tally.refusals).toEqual([
    { status: 403, why: 'no right on 1', count: 2 },
    { status: 404, why: 'gone', count: 1 },
  ]);
});

test('what was to be parked is parked once it is cancelled, and is not where that is sure', () => {
  const parking = (run: number) => anItem(run, { rule: 'prioritizePullRequests', does: 'park' });
  const ends: readonly Noted[] = [
    { end: 'cancelled', detail: 'over' },
    { end: 'spared', detail: 'it has started', isUntouched: true },
    { end: 'spared', detail: 'it has started, and may have been cancelled' },
    { end: 'not-over', detail: 'still queued' },
  ];
  const tally = ends.reduce((before, end, index) => note(before, parking(index + 1), ABOUT, end), NOTHING_DONE);
  expect(tally).toMatchObject({
    counts: { parked: 1, spared: 2, 'not-over': 1 },
    parked: [1],
    unparked: [{ run: 2, why: 'it has started' }],
  });
});

test('a run that is given up is set aside, and neither it nor one that is about to end is queue any more', () => {
  const ends: readonly Noted[] = [
    { end: 'not-over', detail: 'still queued' },
    { end: 'accepted', detail: 'GitHub has accepted it' },
    { end: 'again', detail: '502' },
  ];
  const tally = ends.reduce((before, end, index) => note(before, anItem(index + 1), ABOUT, end), NOTHING_DONE);
  expect(tally).toMatchObject({ setAside: [{ run: 1, attempt: 1, why: 'still queued' }], ended: { all: 2, stale: 2 } });
});

test('two tallies are one', () => {
  const first = note(note(NOTHING_DONE, anItem(1), ABOUT, { end: 'cancelled', detail: '' }), anItem(2), ABOUT, {
    end: 'refused',
    status: 403,
    detail: 'no',
  });
  const parked = anItem(3, { rule: 'prioritizePullRequests', does: 'park' });
  const other = note(note(NOTHING_DONE, parked, ABOUT, { end: 'cancelled', detail: '' }), anItem(4), ABOUT, {
    end: 'cancelled',
    detail: '',
  });
  expect(addTally(first, other)).toEqual({
    ...NOTHING_DONE,
    counts: { cancelled: 2, refused: 1, parked: 1 },
    told: [...first.told, ...other.told],
    refusals: first.refusals,
    ended: { all: 3, stale: 2 },
    parked: [3],
  });
  expect(addTally(first, NOTHING_DONE)).toEqual(first);
});
