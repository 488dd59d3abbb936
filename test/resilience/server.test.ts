// Temporal's server is killed before, during and after each activity of a recovery, and started again on its database.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { expectHealed, seamAt, undergo } from '../kit/resilience/ordeal.ts';
import { Pool } from '../kit/resilience/pool.ts';
import { PHASES, RECOVERY } from '../kit/resilience/seam.ts';
import { startTemporalProcess, type TemporalProcess } from '../kit/temporal-process.ts';

const NAMESPACE = 'only';
/** Who kills a server needs one for himself. */
const SERVERS = 3;

const folder = mkdtempSync(join(tmpdir(), 'runward-server-'));
let servers: readonly TemporalProcess[];
let pool: Pool<TemporalProcess>;

beforeAll(async () => {
  servers = await Promise.all(
    Array.from({ length: SERVERS }, () => startTemporalProcess(mkdtempSync(join(folder, 'server-')), [NAMESPACE])),
  );
  pool = new Pool(servers);
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(folder, { recursive: true });
});

describe.concurrent("Temporal's server is killed", () => {
  test.each(PHASES.flatMap((phase) => RECOVERY.map((seam) => ({ phase, seam }))))('$phase $seam', async ({ phase, seam }) => {
    await pool.with(async (temporal) => {
      const ordeal = { how: 'service', seam: seamAt(seam, phase), victim: 'server' } as const;
      const aftermath = await undergo(ordeal, temporal, NAMESPACE, inject('workflowBundle'));
      expect(aftermath.wasReached, JSON.stringify(aftermath.report)).toBe(true);
      expectHealed(aftermath);
    });
  });
});
