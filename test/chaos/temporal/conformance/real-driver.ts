import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { installRuntime } from '../../../../src/worker/runtime.ts';
import { createSampleActivities, type Seen } from './activities.ts';
import type { Driver } from './scenarios.ts';

/** A worker for all scenarios on a real server. */
export async function realDriver(address: string, namespace: string): Promise<Driver & AsyncDisposable> {
  installRuntime('ERROR');
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const seen: Seen = new Map();
  const worker = await Worker.create({
    connection: native,
    namespace,
    taskQueue: 'sample',
    workflowsPath: fileURLToPath(new URL('workflows.ts', import.meta.url)),
    activities: { ...createSampleActivities(seen) },
  });
  const running = worker.run();
  const { workflow } = new Client({ connection, namespace });
  return {
    seen,
    start: async (type, workflowId, ...args) => {
      await workflow.start(type, { workflowId, taskQueue: 'sample', args });
    },
    signal: (workflowId, name, ...args) => workflow.getHandle(workflowId).signal(name, ...args),
    signalWithStart: async (type, workflowId, args, signal, ...signalArgs) => {
      await workflow.signalWithStart(type, { workflowId, taskQueue: 'sample', args, signal, signalArgs });
    },
    cancel: async (workflowId) => {
      await workflow.getHandle(workflowId).cancel();
    },
    terminate: async (workflowId) => {
      await workflow.getHandle(workflowId).terminate();
    },
    reset: async (workflowId) => {
      const { history } = await workflow
        .getHandle(workflowId)
        .fetchHistory()
        .then((fetched) => ({ history: fetched.events ?? [] }));
      const scheduled = history.findLast(({ activityTaskScheduledEventAttributes: scheduledNow }) => scheduledNow != null);
      const { runId } = await workflow.getHandle(workflowId).describe();
      await connection.workflowService.resetWorkflowExecution({
        namespace,
        workflowExecution: { workflowId, runId },
        reason: 'as asked',
        requestId: `${workflowId}-reset`,
        workflowTaskFinishEventId: scheduled?.activityTaskScheduledEventAttributes?.workflowTaskCompletedEventId ?? null,
      });
    },
    query: (workflowId, name) => workflow.getHandle(workflowId).query(name),
    status: async (workflowId) => (await workflow.getHandle(workflowId).describe()).status.name,
    memo: async (workflowId) => (await workflow.getHandle(workflowId).describe()).memo,
    end: async (workflowId) => {
      try {
        return `COMPLETED: ${String(await workflow.getHandle(workflowId).result())}`;
      } catch {
        return (await workflow.getHandle(workflowId).describe()).status.name;
      }
    },
    attempt: async (workflowId) => (await workflow.getHandle(workflowId).describe()).raw.pendingActivities?.[0]?.attempt ?? 0,
    until: async (isSo) => {
      while (!(await isSo())) {
        await delay(50);
      }
    },
    [Symbol.asyncDispose]: async () => {
      worker.shutdown();
      await running;
      await native.close();
      await connection.close();
    },
  };
}
