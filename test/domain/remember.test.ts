import { expect, test } from 'vitest';
import type { RunnerMemory } from '../../src/domain/pass.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import { isLedgerDue } from '../../src/domain/remember.ts';
import type { MachineObservation } from '../../src/domain/runner.ts';
import { guest, machine, memory, NOW, remembered, target } from '../kit/observations.ts';

const MINUTE = 60_000;
const LAST_PASS = NOW - 5 * MINUTE;

function isDue(seen: Partial<MachineObservation>, before: Partial<RunnerMemory> | null, now = NOW): boolean {
  const previous = memory(LAST_PASS, before === null ? {} : { 'acme/kernel/r1': before });
  return isLedgerDue({ target: target(), machine: known(machine(seen)) }, previous, now);
}

function up(minutes: number): Partial<MachineObservation> {
  return { guest: known(guest({ uptimeMs: minutes * MINUTE })) };
}

test('of a runner whose guest has not booted since it answered nothing new can stand in the ledger', () => {
  expect(isDue({}, null)).toBe(false);
  expect(isDue(up(6), null)).toBe(false);
  expect(isDue({}, remembered({ ranAt: LAST_PASS, answeredAt: LAST_PASS, offlineSince: LAST_PASS }))).toBe(false);
  expect(isDue({ guest: unknown('silent') }, null)).toBe(false);
});

test.each<readonly [string, Partial<MachineObservation>, Partial<RunnerMemory> | null]>([
  ['is stopped', { state: 'stopped' }, null],
  ['is suspended', { state: 'suspended' }, null],
  ['has booted since the last pass', up(3), null],
  ['has booted since a pass saw its guest, and was silent at the last one', up(7), { ranAt: LAST_PASS, answeredAt: NOW - 10 * MINUTE }],
  ['has a guest that no pass has seen', {}, { ranAt: LAST_PASS }],
  ['has a guest that answered while the clock was ahead', {}, { ranAt: LAST_PASS, answeredAt: NOW + 60 * MINUTE }],
  ['has a runner whose drain is remembered as noted', { guest: unknown('silent') }, { answeredAt: LAST_PASS, notedSince: LAST_PASS }],
])('the ledger is asked where the machine %s', (_what, seen, before) => {
  expect(isDue(seen, before)).toBe(true);
});

test('the ledger is asked by the first pass', () => {
  expect(isLedgerDue({ target: target(), machine: known(machine()) }, null, NOW)).toBe(true);
});

test('how long a look lasts hides no boot', () => {
  const bootedAt = LAST_PASS + MINUTE / 2;
  const lookedAt = NOW + MINUTE;
  expect(isDue({ guest: known(guest({ uptimeMs: lookedAt - bootedAt })) }, null, lookedAt)).toBe(true);
});
