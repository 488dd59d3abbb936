import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE, machineLedgerId } from '../../src/domain/names.ts';
import type { ClockReport } from '../../src/domain/report.ts';
import { startWorld, type World } from '../kit/recovery-world.ts';

const TWO_HOURS = 7_200;

async function syncClock(world: World, input: object = { runner: world.target.runner }): Promise<ClockReport> {
  const workflowId = `clock-${world.target.runner}-${Math.random()}`;
  const handle = await world.client.workflow.start('syncClock', { workflowId, taskQueue: MAIN_QUEUE, args: [input] });
  return (await handle.result()) as ClockReport;
}

async function wrongClock(world: World): Promise<void> {
  await world.machine.setClock(world.target.machine, TWO_HOURS * 1_000);
}

describe.concurrent("a guest's clock", () => {
  test('that is two hours ahead is set, and the runner comes back by itself', async () => {
    await using world = await startWorld();
    await wrongClock(world);
    expect(await syncClock(world)).toMatchObject({
      outcome: 'synced',
      driftSecondsBefore: TWO_HOURS,
      driftSecondsAfter: 0,
      steps: [{ name: 'sync-clock', status: 'done' }],
    });
    await world.until(() => world.shown() === 'online', 'the runner is online');
    const { memo } = await world.client.workflow.getHandle(machineLedgerId(world.target.host, world.target.machine)).describe();
    expect(memo).toMatchObject({ entries: [{ type: 'syncClock', outcome: 'synced', trigger: 'manual' }] });
  });

  test('that is right is left alone', async () => {
    await using world = await startWorld();
    expect(await syncClock(world)).toMatchObject({ outcome: 'already-right', driftSecondsBefore: 0, steps: [{ status: 'skipped' }] });
  });

  test('is not set while a job runs on the machine', async () => {
    await using world = await startWorld();
    world.github.giveJob(world.target.scope, world.target.runner, { seconds: 60 });
    await world.until(() => world.github.runners(world.target.scope)[0]?.busy === true, 'the job runs');
    await wrongClock(world);
    expect(await syncClock(world)).toMatchObject({ outcome: 'refused-busy', driftSecondsBefore: TWO_HOURS, driftSecondsAfter: TWO_HOURS });
  });

  test('is not set where Runward only watches', async () => {
    await using world = await startWorld({ mode: 'watch' });
    await wrongClock(world);
    expect(await syncClock(world)).toMatchObject({ outcome: 'refused-watching', driftSecondsBefore: TWO_HOURS });
  });

  test('is not known where the machine is stopped', async () => {
    await using world = await startWorld();
    world.machine.stop(world.target.machine, 'stopped');
    expect(await syncClock(world)).toMatchObject({
      outcome: 'failed',
      driftSecondsBefore: null,
      summary: expect.stringContaining('stopped'),
    });
  });
});
