import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { describeExecution } from '../../activities/describe-execution.ts';
import type { LockHolder } from '../../activities/contract.ts';
import { machineLockId } from '../../domain/names.ts';

const REASON = 'the demo that it belonged to has ended';

/** An execution of Temporal's; without a run id the newest one. */
interface Execution {
  readonly workflowId: string;
  readonly runId?: string;
}

/** Ends what an earlier demo left under way: the worker of the next one would take it up, and without one it would wait for ever. */
export async function endLeftovers(client: Client, machine: { readonly host: string; readonly machine: string }): Promise<void> {
  const leftovers = await Promise.all([listed(client), lockAndHolder(client, machine)]);
  for (const execution of leftovers.flat()) {
    await end(client, execution);
  }
}

async function listed(client: Client): Promise<readonly Execution[]> {
  const executions: Execution[] = [];
  for await (const { workflowId, runId } of client.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
    executions.push({ workflowId, runId });
  }
  return executions;
}

/** The list may lag behind a demo that was killed; the lock does not. */
async function lockAndHolder(
  client: Client,
  { host, machine }: { readonly host: string; readonly machine: string },
): Promise<readonly Execution[]> {
  const lock = await describeExecution(client, machineLockId(host, machine));
  if (lock?.status.name !== 'RUNNING') {
    return [];
  }
  const holder = lock.memo?.['holder'] as LockHolder | undefined;
  return [...(holder === undefined ? [] : [{ workflowId: holder.workflowId, runId: holder.runId }]), { workflowId: lock.workflowId }];
}

async function end(client: Client, { workflowId, runId }: Execution): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId, runId).terminate(REASON);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) {
      throw error;
    }
  }
}
