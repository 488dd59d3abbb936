import { ScheduleNotFoundError, type Client } from '@temporalio/client';
import type { HealthReport } from '../domain/health-report.ts';
import { healthScheduleId, qualifiedName } from '../domain/names.ts';
import type { PassMemory } from '../domain/pass.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { describeExecution } from './describe-execution.ts';

/**
 * What the newest scheduled pass of a scope that ended well has left; `null` where there is none. The schedule's own list of its recent
 * actions is consistent, as visibility is not; passes that a person started are not in it.
 */
export async function recallPass(client: Client, scope: string): Promise<PassMemory | null> {
  const recent = (await recentPasses(client, scope)).reverse();
  for (const { workflowId, firstExecutionRunId } of recent) {
    const pass = await describeExecution(client, workflowId, firstExecutionRunId);
    if (pass === null) {
      // The schedule remembers passes for longer than Temporal keeps them, where it was paused; older ones are gone as well.
      return null;
    }
    if (pass.status.name === 'COMPLETED') {
      return memoryOf(client, workflowId, firstExecutionRunId);
    }
  }
  return recent.length < SCHEDULE_REMEMBERS ? null : recallOlder(client, scope);
}

/** Temporal's own figure (`recentActionCount` of its scheduler). */
const SCHEDULE_REMEMBERS = 10;

/** After a time without a worker, in which each pass that the schedule remembers has timed out. What is that old visibility knows. */
async function recallOlder(client: Client, scope: string): Promise<PassMemory | null> {
  const query = `TemporalScheduledById = '${healthScheduleId(scope)}' AND ExecutionStatus = 'Completed'`;
  for await (const { workflowId, runId } of client.workflow.list({ query, pageSize: 1 })) {
    return memoryOf(client, workflowId, runId);
  }
  return null;
}

async function memoryOf(client: Client, workflowId: string, runId: string): Promise<PassMemory> {
  return ((await client.workflow.getHandle(workflowId, runId).result()) as HealthReport).memory;
}

/** Looks the id that GitHub last gave for a runner up in what passes have left: never in the guest, where a job can write it. */
export function lastIdsIn(client: () => Client): (runner: Pick<RunnerTarget, 'scope' | 'runner'>) => Promise<number | null> {
  const passes = new Map<string, Promise<PassMemory | null>>();
  return async (runner) => {
    const pass = passes.get(runner.scope) ?? recallPass(client(), runner.scope);
    passes.set(runner.scope, pass);
    return (await pass)?.ids?.[qualifiedName(runner)] ?? null;
  };
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
