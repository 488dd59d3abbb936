import type { Client } from '@temporalio/client';
import { expect, test } from 'vitest';
import { recallPass } from '../../src/activities/recall-pass.ts';
import { startWorld } from '../kit/recovery-world.ts';

test('a pass remembers what was before a time without a worker, in which each pass that the schedule remembers has timed out', async () => {
  await using world = await startWorld();
  const { client, target } = world;
  const { memory } = await world.pass();
  const missed = Array.from({ length: 10 }, (_, index) => ({
    action: { type: 'startWorkflow', workflow: { workflowId: `missed-${index}`, firstExecutionRunId: 'r' } },
  }));
  const later = {
    schedule: { getHandle: () => ({ describe: async () => ({ info: { recentActions: missed } }) }) },
    workflow: {
      list: client.workflow.list.bind(client.workflow),
      getHandle: (workflowId: string, runId?: string) =>
        workflowId.startsWith('missed-')
          ? { describe: async () => ({ status: { name: 'TIMED_OUT' } }) }
          : client.workflow.getHandle(workflowId, runId),
    },
  } as unknown as Client;
  await expect.poll(() => recallPass(later, target.scope), { timeout: 20_000 }).toEqual(memory);
});
