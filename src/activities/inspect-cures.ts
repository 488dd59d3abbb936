import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { CureAtWork } from '../domain/cure-stuck.ts';
import { cureId, qualifiedName } from '../domain/names.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { plain } from '../domain/plain.ts';
import { roomDrainId } from '../domain/upkeep.ts';
import type { LockHolder } from './contract.ts';
import { describeExecution } from './describe-execution.ts';

/**
 * Which of these runners have a cure at work, or a machine that something else holds, and since when: asked of the executions themselves,
 * since lists of visibility lag.
 */
export async function inspectCures(
  targets: readonly RunnerTarget[],
  { client, holderOf }: { readonly client: Client; readonly holderOf: (target: RunnerTarget) => Promise<LockHolder | null> },
): Promise<readonly CureAtWork[]> {
  const cures = await Promise.all(
    targets.map(async (target) => {
      const runner = qualifiedName(target);
      const [holder, ...begun] = await Promise.all([holderOf(target), ...idsOf(runner).map((id) => describeExecution(client, id))]);
      const atWork = begun.filter((each) => each?.status.name === 'RUNNING') as readonly WorkflowExecutionDescription[];
      const own = await Promise.all(atWork.map(async (each) => ({ runner, ...(await told(client, each)) })));
      return holder === null || idsOf(runner).includes(holder.workflowId) ? own : [...own, { runner, ...(await inTheWay(client, holder)) }];
    }),
  );
  return cures.flat();
}

/** A drain for want of room outlives the cure that begins it. */
function idsOf(runner: string): readonly string[] {
  return [cureId(runner), roomDrainId(runner)];
}

async function inTheWay(client: Client, { workflowId, runId, type, since }: LockHolder): Promise<Omit<CureAtWork, 'runner'>> {
  const holder = await describeExecution(client, workflowId, runId);
  const waits = holder === null ? '' : plain(waitsFor(holder));
  return { workflowId, type, since: Date.parse(since), waitsFor: waits, isInTheWay: true };
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
