import { expect, test } from 'vitest';
import { MAIN_QUEUE, machineLockId } from '../../src/domain/names.ts';
import { startWorld } from '../kit/recovery-world.ts';

test('a runner that cannot be stopped just now is not paused again at once', async () => {
  const drainPollMs = 1_000;
  await using world = await startWorld({ policy: { drainPollMs } });
  const { client, machine, target } = world;
  const pausedAt: number[] = [];
  const pause = machine.pause.bind(machine);
  machine.pause = async (...given) => {
    pausedAt.push(performance.now());
    return pausedAt.length < 3 ? { kind: 'not-paused', evidence: 'the runner started or ended a process meanwhile' } : pause(...given);
  };
  const workflowId = `drain-${target.runner}`;
  await client.workflow.start('drainRunner', { workflowId, taskQueue: MAIN_QUEUE, args: [{ runner: target.runner }] });
  expect(await client.workflow.getHandle(workflowId).result()).toMatchObject({ outcome: 'drained' });
  const [first = 0, second = 0, third = 0] = pausedAt;
  expect(Math.min(second - first, third - second)).toBeGreaterThan(drainPollMs);
});

test('a runner that is idle in one look and busy in the next is not held again at once', async () => {
  await using world = await startWorld({ policy: { drainPollMs: 200 } });
  const { client, machine, target } = world;
  const workflowId = `drain-${target.runner}`;
  const lock = client.workflow.getHandle(machineLockId(target.host, target.machine));
  const isHeld = async (): Promise<boolean> => (await lock.describe().catch(() => null))?.status.name === 'RUNNING';
  const observe = machine.observe.bind(machine);
  const BUSY_LOOKS = 6;
  let busyLooks = 0;
  machine.observe = async (...given) => {
    const seen = await observe(...given);
    const { guest } = seen;
    if (!guest.known || guest.value.drain === null || busyLooks >= BUSY_LOOKS || !(await isHeld())) return seen;
    busyLooks += 1;
    return { ...seen, guest: { ...guest, value: { ...guest.value, workers: 1 } } };
  };
  await client.workflow.start('drainRunner', { workflowId, taskQueue: MAIN_QUEUE, args: [{ runner: target.runner }] });
  const handle = client.workflow.getHandle(workflowId);
  expect(await handle.result()).toMatchObject({ outcome: 'drained' });
  expect(busyLooks).toBe(BUSY_LOOKS);
  const { events } = await handle.fetchHistory();
  const course = (events ?? []).flatMap((event) => {
    if (event.timerFiredEventAttributes != null) return ['waits'];
    return event.childWorkflowExecutionStartedEventAttributes?.workflowExecution?.workflowId === lock.workflowId ? ['locks'] : [];
  });
  expect(course.filter((event) => event === 'locks').length).toBeGreaterThan(2);
  expect(course.join(' ')).not.toContain('locks locks');
});
