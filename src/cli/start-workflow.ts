import type { Client, WorkflowHandle, WorkflowStartOptions } from '@temporalio/client';
import { MAIN_QUEUE } from '../domain/names.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { isLost } from './temporal.ts';

/** Starts an execution on the main queue; where no answer comes it is not known whether it has started, and exit code 3 says how to look. */
export async function startWorkflow(
  client: Client,
  type: string,
  options: Omit<WorkflowStartOptions, 'taskQueue'>,
): Promise<WorkflowHandle> {
  try {
    return await client.workflow.start(type, { ...options, taskQueue: MAIN_QUEUE });
  } catch (error) {
    if (!isLost(error)) {
      throw error;
    }
    const { workflowId } = options;
    const text = `Temporal does not answer any more: it is not known whether ${workflowId} has started. Look with \`runward explain ${workflowId}\` once Temporal is back.`;
    throw new CommandFailure(EXIT.unreachable, text, error, 'temporal-unreachable');
  }
}
