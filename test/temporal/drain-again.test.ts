import { expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
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
