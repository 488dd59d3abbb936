// Temporal's server is killed in the middle of each act of a recovery, and started again on its database.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { expectHealed, seamAt, undergo } from '../kit/resilience/ordeal.ts';
import { RECOVERY } from '../kit/resilience/seam.ts';
import { startTemporalProcess, type TemporalProcess } from '../kit/resilience/temporal-process.ts';

const NAMESPACE = 'only';

const folder = mkdtempSync(join(tmpdir(), 'runward-server-'));
let temporal: TemporalProcess;

beforeAll(async () => {
  temporal = await startTemporalProcess(folder, [NAMESPACE]);
});

afterAll(async () => {
  await temporal.stop();
  rmSync(folder, { recursive: true });
});

test.each(RECOVERY.slice(RECOVERY.indexOf('takeFence 1')))('killed during %s', async (seam) => {
  const aftermath = await undergo(
    { how: 'service', seam: seamAt(seam, 'during'), victim: 'server' },
    temporal,
    NAMESPACE,
    inject('workflowBundle'),
  );
  expect(aftermath.wasReached).toBe(true);
  expectHealed(aftermath);
});
