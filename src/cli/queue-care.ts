import { randomBytes } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { RuleName } from '../domain/queue/policy.ts';
import { startWorkflow } from './start-workflow.ts';
import { ownName } from './temporal.ts';

/** Input of `maintainQueue`, as commands send it. */
export interface QueueCareInput {
  readonly scope: string;
  /** Without them those of the configuration. */
  readonly rules?: readonly RuleName[];
  /** Without it the limit of scheduled passes. */
  readonly max?: number;
  readonly dryRun?: boolean;
  readonly release?: boolean;
  readonly reason?: string;
}

/** Starts the care for a repository's queue, under an id that is not its lock's. */
export function startQueueCare(client: Client, input: QueueCareInput): Promise<WorkflowHandle> {
  const what = input.dryRun === true ? 'plan the care for' : 'care for';
  return startWorkflow(client, 'maintainQueue', {
    workflowId: `queue/by-hand/${input.scope}/${new Date().toISOString()}-${randomBytes(2).toString('hex')}`,
    staticSummary: `${what} the queue of ${input.scope}, started by ${ownName()}`,
    memo: { actor: ownName(), ...(input.reason === undefined ? {} : { reason: input.reason }) },
    args: [input],
  });
}

/** How to come back to it. */
export function comeBackTo({ workflowId }: Pick<WorkflowHandle, 'workflowId'>): string {
  return `Look at it with \`runward explain ${workflowId}\`.`;
}
