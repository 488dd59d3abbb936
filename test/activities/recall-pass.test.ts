import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { expect, test } from 'vitest';
import { recallPass } from '../../src/activities/recall-pass.ts';
import { memory, NOW } from '../kit/observations.ts';

/** A schedule whose passes, oldest first, ended so; `null`: Temporal keeps it no more. */
function clientOf(...statuses: readonly ('COMPLETED' | 'TIMED_OUT' | 'RUNNING' | null)[]): Client {
  const recentActions = statuses.map((_status, index) => ({
    action: { type: 'startWorkflow', workflow: { workflowId: `pass-${index}`, firstExecutionRunId: `run-${index}` } },
  }));
  return {
    schedule: { getHandle: () => ({ describe: async () => ({ info: { recentActions } }) }) },
    workflow: {
      getHandle: (workflowId: string) => {
        const index = Number(workflowId.replace('pass-', ''));
        return {
          describe: async () => {
            const status = statuses[index] ?? null;
            if (status === null) {
              throw new WorkflowNotFoundError('not found', workflowId, undefined);
            }
            return { status: { name: status } };
          },
          result: async () => ({ memory: memory(NOW + index) }),
        };
      },
    },
  } as unknown as Client;
}

test.each([
  ['the newest that ended well', ['COMPLETED', 'COMPLETED', 'TIMED_OUT', 'RUNNING'], NOW + 1],
  ['nothing of none', [], null],
  ['nothing where the schedule was paused for longer than Temporal keeps passes', [null, null, 'TIMED_OUT', 'RUNNING'], null],
] as const)('a pass remembers %s', async (_what, statuses, at) => {
  expect((await recallPass(clientOf(...statuses), 'acme/kernel'))?.at ?? null).toBe(at);
});
