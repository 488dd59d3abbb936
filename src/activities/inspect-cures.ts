import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { CureAtWork } from '../domain/cure-stuck.ts';
import { cureId, qualifiedName } from '../domain/names.ts';
import { plain } from '../domain/plain.ts';
import { describeExecution } from './describe-execution.ts';

/** Which of these runners have a cure at work, and since when: asked of the executions themselves, since lists of visibility lag. */
export async function inspectCures(client: Client, scope: string, runners: readonly string[]): Promise<readonly CureAtWork[]> {
  const cures = await Promise.all(
    runners.map(async (name) => {
      const runner = qualifiedName({ scope, runner: name });
      const cure = await describeExecution(client, cureId(runner));
      return cure?.status.name === 'RUNNING' ? [{ runner, ...(await told(client, cure)) }] : [];
    }),
  );
  return cures.flat();
}

async function told(client: Client, cure: WorkflowExecutionDescription): Promise<Omit<CureAtWork, 'runner'>> {
  const { workflowId, runId, type, raw } = cure;
  const firstRunId = raw.workflowExecutionInfo?.firstRunId;
  const isFirst = firstRunId == null || firstRunId === '' || firstRunId === runId;
  const first = isFirst ? cure : await describeExecution(client, workflowId, firstRunId);
  return { workflowId, type, since: (first ?? cure).startTime.getTime(), waitsFor: plain(waitsFor(cure)) };
}

/** By Temporal alone, so that a workflow that fails at every task is told as well. */
function waitsFor({ raw: { pendingWorkflowTask, pendingActivities, pendingChildren } }: WorkflowExecutionDescription): string {
  const taskAttempt = pendingWorkflowTask?.attempt ?? 1;
  if (taskAttempt > 1) {
    return `its worker fails to go on with it, ${taskAttempt} times so far`;
  }
  const [activity] = pendingActivities ?? [];
  if (activity !== undefined) {
    const { attempt, lastFailure, activityType } = activity;
    const failure = lastFailure?.message ? `: ${lastFailure.message}` : '';
    return `it waits for ${activityType?.name ?? 'a step'}, attempt ${attempt ?? 1}${failure}`;
  }
  const child = (pendingChildren ?? []).find(({ workflowTypeName }) => workflowTypeName !== 'holdMachine');
  return child?.workflowId ? `it waits for ${child.workflowId}` : 'it waits for a time, or for another operation';
}
