// How often one asks that waits for a machine which another operation holds, on virtual time.

import './temporal/sandbox.ts';
import { expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import { DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';
import { holdMachine, lockMachine } from '../../src/workflows/lock.ts';
import { createVirtualClock, createVirtualTemporal } from './temporal/index.ts';

const HOUR = 3_600_000;
const MACHINE = { host: 'local', machine: 'builder' };
const HOLDER = { workflowId: 'other', runId: 'r', type: 'recoverRunner', reason: null, since: '2026-11-29T10:00:00Z' };

test.each([
  { heldMs: 24 * HOUR, polls: 125, end: 'held' },
  // Whoever waits for a short act hears of its end soon.
  { heldMs: 5_000, polls: 3, end: 'locked' },
  // And after a long one as soon as people look.
  { heldMs: HOUR - 31_000, polls: 125, end: 'locked' },
])('a wait of an hour for a lock that is held for $heldMs ms asks at most $polls times', async ({ heldMs, polls, end }) => {
  const clock = createVirtualClock(Date.UTC(2026, 10, 29, 10));
  try {
    let asked = 0;
    const told = new Set<unknown>();
    const temporal = createVirtualTemporal({
      clock,
      random: () => 0.5,
      workflowQueue: MAIN_QUEUE,
      workflows: { holdMachine, waiting },
      activities: {
        [MAIN_QUEUE]: {
          inspectLock: async () => {
            asked += 1;
            return temporal.describe('machine/local/builder')?.status === 'RUNNING' ? { kind: 'held', holder: HOLDER } : { kind: 'free' };
          },
        },
      },
    });
    async function waiting(): Promise<string> {
      const { lockPollMs: pollMs, lockPollLongestMs: longestPollMs } = DEFAULT_RECOVERY_POLICY;
      return (
        await lockMachine(MACHINE, { reason: null, waitMs: HOUR, pollMs, longestPollMs, onWait: (holder) => told.add(holder?.workflowId) })
      ).kind;
    }
    temporal.start('holdMachine', { workflowId: 'machine/local/builder' });
    clock.schedule(clock.now() + heldMs, () => void temporal.signal('machine/local/builder', 'release'));
    temporal.start('waiting', { workflowId: 'waiting' });
    await clock.runUntil(clock.now() + HOUR + 60_000);
    expect(temporal.outcome('waiting')).toMatchObject({ result: end });
    expect(told).toEqual(new Set(['other']));
    expect(asked).toBeLessThanOrEqual(polls);
    const describing = temporal.client.workflow.getHandle('waiting').describe();
    await clock.runUntil(clock.now() + 1_000);
    const { historyLength } = await describing;
    expect(historyLength).toBeLessThanOrEqual(20 + 12 * polls);
  } finally {
    clock.uninstall();
  }
});
