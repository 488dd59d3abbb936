import { expect, test } from 'vitest';
import { formatDuration, wholeDurationMs } from '../../src/domain/duration.ts';

test.each([
  [0, '0.0 s'],
  [9_949, '9.9 s'],
  [9_960, '10 s'],
  [119_400, '119 s'],
  [120_000, '2 min'],
  [179_700, '3 min'],
  [185_000, '3 min 5 s'],
  [7_800_000, '2 h 10 min'],
  [172_799_000, '47 h 59 min'],
  [442_800_000, '5 d 3 h'],
])('%i ms are %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

const second = (seconds: number): Date => new Date(Date.UTC(2026, 10, 24, 10, 0, seconds));

test.each([
  { what: 'its steps are a part of it', from: 0, to: 223, begins: [130], ms: 223_000 },
  { what: 'of several runs the last is described, and its first step began before', from: 100, to: 160, begins: [3, 120], ms: 157_000 },
  { what: 'it still works', from: 0, to: null, begins: [1], ms: null },
])('the whole time of an operation: $what', ({ from, to, begins, ms }) => {
  const steps = [{ startedAt: null }, ...begins.map((begin) => ({ startedAt: second(begin).toISOString() }))];
  const run = to === null ? { startTime: second(from) } : { startTime: second(from), closeTime: second(to) };
  expect(wholeDurationMs(run, steps)).toBe(ms);
});
