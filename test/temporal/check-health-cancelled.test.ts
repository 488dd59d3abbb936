import { expect, test } from 'vitest';
import { cureId, machineLockId } from '../../src/domain/names.ts';
import { breakRunner, startWorld } from '../kit/recovery-world.ts';

test('a pass that is cancelled while it waits leaves its cures at work, and no lock behind', async () => {
  await using world = await startWorld({ pace: 0.4 });
  const { client, target } = world;
  await breakRunner(world, 'service');
  const pass = await world.check({ scope: target.scope, wait: '60s' });
  const cure = client.workflow.getHandle(cureId(`${target.scope}/${target.runner}`));
  const isAtWork = async (): Promise<boolean> => cure.query<{ doing: string }>('progress').then(({ doing }) => doing !== 'looking');
  await world.until(() => isAtWork().catch(() => false), 'the cure is at work');
  await pass.cancel();
  await expect(pass.result()).rejects.toThrow('cancelled');
  expect((await cure.describe()).status.name).toBe('RUNNING');
  expect(await cure.result()).toMatchObject({ outcome: 'recovered' });
  const lock = client.workflow.getHandle(machineLockId(target.host, target.machine));
  await world.until(async () => (await lock.describe()).status.name !== 'RUNNING', 'the lock is free');
});

test('a pass that is cancelled while it starts cures starts no more', async () => {
  const runners = 40;
  await using world = await startWorld({ runners });
  const { client, machine, targets } = world;
  await Promise.all(targets.map((target) => machine.break('clock', target)));
  const pass = await world.check();
  const takeFence = machine.takeFence.bind(machine);
  machine.takeFence = async (...given) => {
    await pass.cancel();
    return takeFence(...given);
  };
  await expect(pass.result()).rejects.toThrow('cancelled');
  const { events } = await pass.fetchHistory();
  const started = (events ?? []).filter(({ childWorkflowExecutionStartedEventAttributes: child }) => child != null);
  expect(started.length).toBeGreaterThan(0);
  expect(started.length).toBeLessThan(runners);
  await Promise.all(
    started.map(({ childWorkflowExecutionStartedEventAttributes: child }) =>
      client.workflow.getHandle(child?.workflowExecution?.workflowId ?? '').result(),
    ),
  );
});
