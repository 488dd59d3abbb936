import { ScheduleNotFoundError, type Client } from '@temporalio/client';
import type { HealthReport } from '../domain/health-report.ts';
import { healthScheduleId } from '../domain/names.ts';
import type { PassMemory } from '../domain/pass.ts';

/**
 * What the newest scheduled pass of a scope that ended well has left; `null` where there is none. The schedule's own list of its recent
 * actions is consistent, as visibility is not; passes that a person started are not in it.
 */
export async function recallPass(client: Client, scope: string): Promise<PassMemory | null> {
  for (const { workflowId, firstExecutionRunId } of (await recentPasses(client, scope)).reverse()) {
    const pass = client.workflow.getHandle(workflowId, firstExecutionRunId);
    if ((await pass.describe()).status.name === 'COMPLETED') {
      return ((await pass.result()) as HealthReport).memory;
    }
  }
  return null;
}

async function recentPasses(client: Client, scope: string) {
  try {
    const { info } = await client.schedule.getHandle(healthScheduleId(scope)).describe();
    return info.recentActions.flatMap(({ action }) => (action.type === 'startWorkflow' ? [action.workflow] : []));
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) {
      return [];
    }
    throw error;
  }
}
