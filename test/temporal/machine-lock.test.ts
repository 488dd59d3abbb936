import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import { CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { machineLedgerId, machineLockId } from '../../src/domain/names.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import type { Progress, RecoveryReport } from '../../src/domain/report.ts';
import type { CallContext } from '../../src/machine/port.ts';
import { breakRunner, startRival, startWorld, type World } from '../kit/recovery-world.ts';

const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };

describe.concurrent('operations on one machine', () => {
  test('of twenty started at once one makes the repair, and the others say who', async () => {
    await using world = await startWorld({ pace: 0.3 });
    await breakRunner(world, 'service');
    const reports = await Promise.all(Array.from({ length: 20 }, async () => (await world.recover()).result()));
    expect(outcomes(reports)).toEqual({ recovered: 1, 'refused-in-progress': 19 });
    const refused = reports.find(({ outcome }) => outcome === 'refused-in-progress');
    expect(refused?.summary).toMatch(/is in the hands of recoverRunner by-hand-/);
    expect(await repairs(world)).toBe(1);
    expect(await ledger(world)).toHaveLength(1);
  });

  test('wait for each other when they may, and find nothing left to do', async () => {
    await using world = await startWorld({ pace: 0.2 });
    await breakRunner(world, 'service');
    const input = { runner: world.target.runner, wait: '30s' };
    const reports = await Promise.all(Array.from({ length: 4 }, async () => (await world.recover(input)).result()));
    expect(outcomes(reports)).toEqual({ recovered: 1, 'already-healthy': 3 });
    expect(await repairs(world)).toBe(1);
  });
});

describe.concurrent('an operation that is', () => {
  test('terminated leaves no lock, and the next one ends the repair', async () => {
    await using world = await startWorld({ pace: 0.5 });
    await breakRunner(world, 'service');
    const first = await world.recover();
    await reached(world, first, 'reconfigure');
    await first.terminate('by a test');
    await expect(first.result()).rejects.toSatisfy((error) => (error as WorkflowFailedError).cause instanceof TerminatedFailure);
    await world.until(async () => !(await isLocked(world)), 'the lock is gone');
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
    await world.until(() => world.shown() === 'online', 'the runner is online');
  });

  test("kept from the guest by somebody else's act waits for its end", async () => {
    await using world = await startWorld({ pace: 1 });
    await breakRunner(world, 'service');
    const takeFence = world.machine.takeFence.bind(world.machine);
    const taken = await takeFence(world.target, 'another Runward', { isRecovery: false }, CALL);
    const act = { key: 'of-another', fence: taken.kind === 'taken' ? taken.fence : 0, deadlineMs: 10_000 };
    const acted: unknown[] = [];
    let isActing = false;
    world.machine.takeFence = async (...given) => {
      if (!isActing) {
        isActing = true;
        void world.machine.syncClock(world.target, act, { pause: null, force: true }, CALL).then((answer) => acted.push(answer));
      }
      await sleep(50);
      return takeFence(...given);
    };
    const handle = await world.recover();
    await world.until(
      async () => /waiting for an act of another Runward/.test((await handle.query<Progress>('progress')).doing),
      'it waits for the act',
    );
    const report = await handle.result();
    expect(acted).toMatchObject([{ kind: 'synced' }]);
    expect(report.outcome, report.summary).toBe('recovered');
  });

  test('at work on a machine that another Runward, with a Temporal of its own, recovers too: the guest lets one of them through', async () => {
    await using world = await startWorld({ pace: 0.3 });
    await breakRunner(world, 'service');
    await using rival = await startRival();
    const input = { runner: world.target.runner, wait: '30s' };
    const theirs = await rival.client.workflow.start('recoverRunner', { workflowId: 'theirs', taskQueue: 'runward', args: [input] });
    const ours = await world.recover(input, 'ours');
    const reports: RecoveryReport[] = await Promise.all([ours.result(), theirs.result() as Promise<RecoveryReport>]);
    const loser = reports.find(({ outcome }) => outcome !== 'recovered');
    expect(reports.filter(({ outcome }) => outcome === 'recovered')).toHaveLength(1);
    expect(['refused-in-progress', 'already-healthy']).toContain(loser?.outcome);
    if (loser?.outcome === 'refused-in-progress') {
      expect(loser.summary).toMatch(/was taken over by (ours|theirs)/);
    }
    await world.until(() => world.shown() === 'online', 'the runner is online');
    expect(world.github.runners(world.target.scope)).toHaveLength(1);
    expect(world.machine.isAside(world.target)).toBe(false);
  });

  test('reset goes on alone: its lock is respected until it ends, and ended by the next one', async () => {
    await using world = await startWorld({ pace: 0.5 });
    await breakRunner(world, 'service');
    const first = await world.recover();
    await reached(world, first, 'reconfigure');
    await reset(world, first);
    const second = await (await world.recover()).result();
    expect(second.outcome, second.summary).toBe('refused-in-progress');
    const again = world.client.workflow.getHandle<() => Promise<RecoveryReport>>(first.workflowId);
    const report = await again.result();
    expect(report.outcome, report.summary).toBe('recovered');
    await world.until(async () => !(await isLocked(world)), 'the lock is gone');
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'already-healthy' });
  });

  test('reset to before its lock finds the orphan and ends it', async () => {
    await using world = await startWorld({ pace: 0.5 });
    await breakRunner(world, 'service');
    const first = await world.recover();
    await reached(world, first, 'config-cleanup');
    await reset(world, first, 'first');
    const report = await world.client.workflow.getHandle<() => Promise<RecoveryReport>>(first.workflowId).result();
    expect(report.outcome, report.summary).toBe('recovered');
    await world.until(async () => !(await isLocked(world)), 'the lock is gone');
  });

  test('cancelled after the clean-up puts things back before it frees the lock', async () => {
    await using world = await startWorld({ pace: 0.5 });
    await breakRunner(world, 'service');
    const first = await world.recover();
    await reached(world, first, 'reconfigure');
    await first.cancel();
    await expect(first.result()).rejects.toSatisfy((error) => (error as WorkflowFailedError).cause instanceof CancelledFailure);
    await world.until(async () => !(await isLocked(world)), 'the lock is gone');
    await world.until(() => world.shown() === 'online', 'the old registration is online again');
    expect(await ledger(world)).toMatchObject([{ outcome: 'cancelled' }]);
    expect((await look(world)).registration).not.toBeNull();
  });

  test('cancelled while it cleans up leaves a runner that works', async () => {
    await using world = await startWorld({ pace: 0.5 });
    const first = await world.recover({ runner: world.target.runner, force: true });
    await reached(world, first, 'config-cleanup');
    await first.cancel();
    await expect(first.result()).rejects.toSatisfy((error) => (error as WorkflowFailedError).cause instanceof CancelledFailure);
    await world.until(() => world.shown() === 'online', 'the runner is online');
    expect((await look(world)).registration).not.toBeNull();
  });

  test('reset after it ended does nothing without the lock', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    const first = await world.recover();
    expect(await first.result()).toMatchObject({ outcome: 'recovered' });
    await breakRunner(world, 'service');
    await reset(world, first, 'locked');
    const report = await world.client.workflow.getHandle<() => Promise<RecoveryReport>>(first.workflowId).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('start the recovery anew') });
  });

  test('robbed of its lock by hand does no harm', async () => {
    await using world = await startWorld({ pace: 0.5 });
    await breakRunner(world, 'service');
    const first = await world.recover();
    await reached(world, first, 'config-cleanup');
    await lock(world).terminate('by a test');
    const second = await world.recover({ runner: world.target.runner, wait: '20s' });
    const ends = await Promise.all([first.result(), second.result()]);
    expect(ends.map(({ outcome }) => outcome)).toContain('recovered');
    await world.until(() => world.shown() === 'online', 'the runner is online');
    expect(world.github.runners(world.target.scope)).toHaveLength(1);
  });
});

test.concurrent('a lock without a memo has an unknown holder, and is respected', async () => {
  await using world = await startWorld();
  await breakRunner(world, 'service');
  const { host, machine } = world.target;
  const handle = await world.client.workflow.start('holdMachine', { workflowId: machineLockId(host, machine), taskQueue: 'runward' });
  expect(await (await world.recover()).result()).toMatchObject({
    outcome: 'refused-in-progress',
    summary: expect.stringContaining('an unknown holder'),
  });
  await handle.signal('release');
  await handle.result();
  expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
});

function outcomes(reports: readonly RecoveryReport[]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(reports, ({ outcome }) => outcome)).map(([outcome, group]) => [outcome, group?.length ?? 0]),
  );
}

/** Registrations that GitHub was asked for. */
async function repairs(world: World): Promise<number> {
  return world.github.requests.filter(({ path }) => path.endsWith('/_service/runners')).length;
}

async function ledger(world: World): Promise<readonly LedgerEntry[]> {
  const { host, machine } = world.target;
  const { memo } = await world.client.workflow.getHandle(machineLedgerId(host, machine)).describe();
  return memo?.['entries'] as LedgerEntry[];
}

function lock(world: World): WorkflowHandle {
  const { host, machine } = world.target;
  return world.client.workflow.getHandle(machineLockId(host, machine));
}

async function isLocked(world: World): Promise<boolean> {
  return (await lock(world).describe()).status.name === 'RUNNING';
}

async function look(world: World) {
  const { guest } = await world.machine.observe(world.target, { signal: new AbortController().signal, heartbeat: () => {} });
  if (!guest.known) {
    throw new Error(guest.why);
  }
  return guest.value;
}

async function reached(world: World, handle: WorkflowHandle, step: string): Promise<void> {
  await world.until(async () => {
    const progress = await handle.query<Progress>('progress');
    return progress.steps.some(({ name, status }) => name === step && status === 'running');
  }, `${step} is reached`);
}

/** `temporal workflow reset` to the last workflow task that ended, to the first one, or to the one after the lock was taken. */
async function reset(world: World, handle: WorkflowHandle, to: 'last' | 'first' | 'locked' = 'last'): Promise<void> {
  const { events } = await handle.fetchHistory();
  const ends = (events ?? []).filter(({ workflowTaskCompletedEventAttributes }) => workflowTaskCompletedEventAttributes != null);
  const locked = (events ?? []).find(
    ({ childWorkflowExecutionStartedEventAttributes }) => childWorkflowExecutionStartedEventAttributes != null,
  );
  const afterLock = ends.find(({ eventId }) => locked !== undefined && Number(eventId) > Number(locked.eventId));
  const chosen = { last: ends.at(-1), first: ends[0], locked: afterLock }[to];
  const { runId } = await handle.describe();
  await world.client.workflowService.resetWorkflowExecution({
    namespace: world.client.options.namespace,
    workflowExecution: { workflowId: handle.workflowId, runId },
    reason: 'by a test',
    requestId: `${Math.random()}`,
    workflowTaskFinishEventId: chosen?.eventId ?? null,
  });
}
