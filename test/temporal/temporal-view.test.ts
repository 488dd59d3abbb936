// What `status` reads from Temporal, while an operation works and after it.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, inject, test } from 'vitest';
import type { Invocation } from '../../src/cli/invocation.ts';
import { readTemporalViews } from '../../src/cli/temporal-view.ts';
import { DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';
import { applySchedule, deleteSchedule } from '../../src/worker/schedules.ts';
import { breakRunner, startWorld } from '../kit/recovery-world.ts';

const world = await startWorld({ pace: 0.3 });
const { scope, runner, machine } = world.target;

afterAll(async () => {
  await deleteSchedule(world.client, scope);
  await world.close();
});

async function view({
  address = inject('temporalAddress'),
  runners = null,
}: { readonly address?: string; readonly runners?: readonly string[] | null } = {}) {
  const env = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: world.client.options.namespace };
  const invocation: Invocation = {
    env,
    cwd: '/',
    platform: process.platform,
    homedir: '/nowhere',
    interrupted: new AbortController().signal,
  };
  const [seen] = await readTemporalViews(invocation, [{ scope, targets: [world.target], runners }], DEFAULT_RECOVERY_POLICY.budgets);
  if (seen === undefined) {
    throw new Error('no scope was read');
  }
  return seen;
}

test('a scope about which nothing was ever done has no schedule, no operation and its whole budget', async () => {
  expect(await view()).toEqual({
    schedule: { found: null },
    recentOperations: [],
    underWay: [],
    holds: [],
    budgets: [{ runner, recoveriesLeft: 3, of: 3, withinMs: 21_600_000, refusal: null, until: null }],
    openFindings: [],
    lastPass: null,
    ledgers: { [`${scope}/${runner}`]: [] },
    // Those of other test files, perhaps.
    otherScopes: expect.any(Array),
    queueCare: { parked: 0, setAside: 0 },
  });
});

test('an operation at work is told with its step, and whose machine it has; afterwards with what it took of the budget', async () => {
  await applySchedule(world.client, scope, { everyMs: 3_600_000 });
  await breakRunner(world, 'service');
  const recovery = await world.recover();
  await expect
    .poll(async () => (await view()).underWay, { timeout: 10_000 })
    .toEqual([expect.objectContaining({ workflowId: recovery.workflowId, runner, step: expect.objectContaining({ of: 6 }) })]);
  const during = await view();
  expect(during.holds).toMatchObject([{ machine, holder: { workflowId: recovery.workflowId, type: 'recoverRunner' } }]);
  expect(during.schedule?.found).toMatchObject({ everyMs: 3_600_000, isPaused: false });

  expect((await recovery.result()).outcome).toBe('recovered');
  await expect.poll(async () => (await view()).recentOperations?.[0]?.outcome, { timeout: 10_000 }).toBe('recovered');
  expect(await view()).toMatchObject({ underWay: [], holds: [], budgets: [{ recoveriesLeft: 2 }] });
});

test('a check that a person asked for counts, and of another runner nothing but that is told', async () => {
  const check = await world.check({ scope, wait: '0s' });
  expect((await check.result()).outcome).toBe('healthy');
  const newest = { workflowId: check.workflowId, type: 'checkHealth', outcome: 'healthy' };
  await expect.poll(async () => (await view()).recentOperations?.[0], { timeout: 10_000 }).toMatchObject(newest);
  expect(await view()).toMatchObject({
    lastPass: { workflowId: check.workflowId, isManual: true, report: { outcome: 'healthy' } },
    recentOperations: [newest, { type: 'recoverRunner' }],
  });
  expect((await view({ runners: ['another'] })).recentOperations).toMatchObject([newest]);
});

test('what status rests on is no dry run, and no check of named runners', async () => {
  const last = (await view()).lastPass?.workflowId;
  for (const how of [{ dryRun: true }, { runners: [runner] }]) {
    const check = await world.check({ scope, wait: '0s', ...how });
    expect((await check.result()).outcome).toBe('healthy');
    await expect.poll(async () => (await view()).recentOperations?.[0]?.workflowId, { timeout: 10_000 }).toBe(check.workflowId);
  }
  expect((await view()).lastPass?.workflowId).toBe(last);
});

test('nothing is known where Temporal does not answer, sooner than a slow one answers', async () => {
  const readWithinMs = 5_000;
  expect(await Promise.race([view({ address: '127.0.0.1:9' }), sleep(readWithinMs, 'late', { ref: false })])).toMatchObject({
    schedule: null,
    budgets: null,
    openFindings: null,
    lastPass: null,
    queueCare: null,
  });
});
