// What histories cost.

import type { Client } from '@temporalio/client';

type History = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>;
type Page = Awaited<ReturnType<Client['workflowService']['getWorkflowExecutionHistory']>>;
export type HistoryEvent = NonNullable<History['events']>[number];

/** `temporal.api.enums.v1.EventType`: what Temporal Cloud bills besides starts, by https://docs.temporal.io/cloud/actions. */
const ACTIONS: Readonly<Record<number, number>> = {
  // An activity, a timer.
  10: 1,
  17: 1,
  // A child.
  29: 2,
  // A signal to another execution.
  37: 1,
  // Search attributes, memo.
  40: 1,
  46: 1,
};

/** A start by a schedule is two for the schedule and one for the workflow; one that goes on as a new run, or was started by a client, is one. */
export const SCHEDULED_START = 3;
export const START = 1;

/** @param start what the execution's own start costs; none for a child, which its parent's history counts */
export function actionsOf(history: readonly HistoryEvent[], start: number): number {
  return history.reduce((sum, { eventType }) => sum + (ACTIONS[eventType ?? 0] ?? 0), start);
}

/** One run of an execution. */
export interface MeasuredRun {
  readonly events: readonly HistoryEvent[];
  readonly bytes: number;
}

/** All runs of an execution from this one on, each of which went on as the next. */
export async function measureChain(client: Client, workflowId: string, firstRunId: string): Promise<readonly MeasuredRun[]> {
  const runs: MeasuredRun[] = [];
  for (let runId: string | null | undefined = firstRunId; runId != null && runId !== '';) {
    const { historySize = 0 } = await client.workflow.getHandle(workflowId, runId).describe();
    const events = await readEvents(client, workflowId, runId);
    runs.push({ events, bytes: historySize });
    runId = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return runs;
}

/** An answer of gRPC may have 4 MB, and a thousand events, which is what the SDK asks for at once, may have more. */
const EVENTS_AT_ONCE = 10;

async function readEvents(client: Client, workflowId: string, runId: string): Promise<readonly HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let nextPageToken: Uint8Array | null | undefined;
  do {
    const page: Page = await client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: { workflowId, runId },
      maximumPageSize: EVENTS_AT_ONCE,
      ...(nextPageToken == null ? {} : { nextPageToken }),
    });
    events.push(...(page.history?.events ?? []));
    ({ nextPageToken } = page);
  } while (nextPageToken != null && nextPageToken.length > 0);
  return events;
}
