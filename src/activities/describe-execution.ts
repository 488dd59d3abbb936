import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';

/** Consistent, as visibility is not; `null` where there is no such execution, or its retention is over. Without `runId` the newest run. */
export async function describeExecution(client: Client, workflowId: string, runId?: string): Promise<WorkflowExecutionDescription | null> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      return null;
    }
    throw error;
  }
}
