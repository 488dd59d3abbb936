// A recovery, a drain, or care for a cache or a disk is killed before, during and after every activity. Whatever is killed where: it ends in the same place.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { BREAKS } from '../../src/sandbox/machine/breaks.ts';
import {
  expectCared,
  expectDrained,
  expectHealed,
  seamAt,
  undergo,
  type Aftermath,
  type Care,
  type Ordeal,
} from '../kit/resilience/ordeal.ts';
import { startTemporalProcess, type TemporalProcess } from '../kit/temporal-process.ts';
import { Pool } from '../kit/resilience/pool.ts';
import { CARE, DRAIN, PHASES, RECOVERY } from '../kit/resilience/seam.ts';

/** Those that only another breakage leads to. */
const ELSEWHERE: readonly (Omit<Ordeal, 'seam'> & { readonly seam: string })[] = [
  { how: 'vm', seam: 'startMachine 1' },
  { how: 'unreachable', seam: 'restartMachine 1' },
  { how: 'clock', seam: 'syncClock 1' },
  { how: 'service', seam: 'findRegistration 1', refused: true },
  { how: 'service', seam: 'restoreConfiguration 1', refused: true },
];

/** As many at once as the two cores of a small machine carry; each has a namespace, and so a lock and queues, of its own. */
const AT_ONCE = 5;
const namespaces = Array.from({ length: AT_ONCE }, (_, index) => `slot-${index}`);
const slots = new Pool(namespaces);
const isLong = process.env['RUNWARD_TEST_LONG'] === 'yes';

const folder = mkdtempSync(join(tmpdir(), 'runward-seams-'));
let temporal: TemporalProcess;

beforeAll(async () => {
  temporal = await startTemporalProcess(folder, namespaces);
});

afterAll(async () => {
  await temporal.stop();
  rmSync(folder, { recursive: true });
});

describe('a recovery', () => {
  test('that nobody kills has these activities', async () => {
    const aftermath = await inSlot({ how: 'service', seam: null });
    expect([...aftermath.begun].toSorted()).toEqual([...RECOVERY].toSorted());
    expectHealed(aftermath);
  });

  describe.concurrent("whose worker's process is killed", () => {
    const phases = PHASES.flatMap((phase) => RECOVERY.map((seam) => ({ phase, seam })));
    test.each(phases)('$phase $seam', async ({ phase, seam }) => {
      const aftermath = await inSlot({ how: 'service', seam: seamAt(seam, phase) });
      expect(aftermath.wasReached, JSON.stringify(aftermath.report)).toBe(true);
      expectHealed(aftermath);
    });

    const others = PHASES.flatMap((phase) => ELSEWHERE.map((ordeal) => ({ phase, ...ordeal })));
    test.each(others)('$phase $seam ($how)', async ({ phase, seam, ...ordeal }) => {
      const aftermath = await inSlot({ ...ordeal, seam: seamAt(seam, phase) });
      expect(aftermath.wasReached, JSON.stringify(aftermath.report)).toBe(true);
      expectHealed(aftermath, ordeal.refused === true ? 'failed' : 'recovered');
    });

    const long = isLong ? BREAKS.filter((how) => how !== 'service').flatMap((how) => phases.map((each) => ({ how, ...each }))) : [];
    test.each(long)('$phase $seam ($how)', async ({ how, phase, seam }) => {
      expectHealed(await inSlot({ how, seam: seamAt(seam, phase) }));
    });
  });
});

describe.concurrent("a drain whose worker's process is killed", () => {
  test.each(PHASES.flatMap((phase) => DRAIN.map((seam) => ({ phase, seam }))))('$phase $seam', async ({ phase, seam }) => {
    const aftermath = await inSlot({ operation: 'drainRunner', how: 'healthy', seam: seamAt(seam, phase) });
    expect(aftermath.wasReached, JSON.stringify(aftermath.report)).toBe(true);
    expectDrained(aftermath);
  });
});

describe.concurrent("care for a cache or a disk whose worker's process is killed", () => {
  const seams = Object.entries(CARE).flatMap(([operation, names]) => names.map((seam) => ({ operation: operation as Care, seam })));
  // Before an act nothing of it was done, as of any other.
  const phases = PHASES.filter((phase) => phase !== 'before');
  test.each(phases.flatMap((phase) => seams.map((each) => ({ phase, ...each }))))('$phase $seam ($operation)', async (care) => {
    const { operation, phase, seam } = care;
    const aftermath = await inSlot({ operation, how: 'healthy', seam: seamAt(seam, phase) });
    expect(aftermath.wasReached, JSON.stringify(aftermath.report)).toBe(true);
    expectCared(aftermath, operation);
  });
});

function inSlot(ordeal: Ordeal): Promise<Aftermath> {
  return slots.with((slot) => undergo(ordeal, temporal, slot, inject('workflowBundle')));
}
