import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError, type Client, type WorkflowExecutionDescription, type WorkflowHandle } from '@temporalio/client';
import { PROGRESS_QUERY } from '../domain/names.ts';
import { CommandFailure, EXIT } from './exit.ts';
import type { ShownProgress } from './live-steps.ts';
import { deepestCause, messageOf } from './temporal.ts';

/** A task that nobody takes within this is said to wait; the list of pollers lags by 50 s and is no proof. */
const UNTAKEN_AFTER_MS = 5_000;
const POLL_MS = 300;
const QUERY_TIMEOUT_MS = 2_000;

/** `temporal.api.enums.v1.PendingActivityState` and `PendingWorkflowTaskState`. */
const SCHEDULED = 1;

export interface Following {
  readonly client: Client;
  readonly handle: WorkflowHandle;
  readonly show: (progress: ShownProgress) => void;
  readonly interrupted: AbortSignal;
  /** How to come back to an operation that goes on. */
  readonly comeBack: string;
}

/** The operation's result. Fails with exit code 3 where nobody works on a queue that it needs, and 130 where the person interrupts. */
export async function followOperation<T>(following: Following): Promise<T> {
  const left = new AbortController();
  try {
    return await follow<T>(following, endOf(following, left.signal));
  } finally {
    // The request for the result waits for it at the server, and would keep the command from ending.
    left.abort();
  }
}

type End = { readonly kind: 'result'; readonly value: unknown } | { readonly kind: 'failure'; readonly error: unknown };

function endOf({ client, handle }: Following, left: AbortSignal): Promise<End> {
  return client.connection
    .withAbortSignal(left, () => handle.result())
    .then(
      (value: unknown) => ({ kind: 'result', value }),
      (error: unknown) => ({ kind: 'failure', error }),
    );
}

async function follow<T>({ client, handle, show, interrupted, comeBack }: Following, ended: Promise<End>): Promise<T> {
  for (;;) {
    const end = await Promise.race([ended, pause(interrupted)]);
    if (end !== null) {
      await showLast(client, handle, show);
      if (end.kind === 'failure') {
        throw operationFailure(end.error);
      }
      return end.value as T;
    }
    if (interrupted.aborted) {
      throw new CommandFailure(EXIT.interrupted, `Interrupted: the operation goes on. ${comeBack}`);
    }
    const description = await handle.describe();
    const untaken = untakenTask(description, Date.now());
    if (untaken !== null) {
      throw new CommandFailure(EXIT.unreachable, `${untaken}\nThe operation waits for it. ${comeBack}`);
    }
    // A query is answered by a worker, so none is asked before one has taken the first task.
    if (description.raw.pendingWorkflowTask?.state !== SCHEDULED) {
      await showLast(client, handle, show);
    }
  }
}

async function pause(interrupted: AbortSignal): Promise<null> {
  try {
    await sleep(POLL_MS, undefined, { signal: interrupted });
  } catch {
    // The interruption is seen by the caller.
  }
  return null;
}

/** The query needs a worker; without one the picture stays as it is. */
async function showLast(client: Client, handle: WorkflowHandle, show: (progress: ShownProgress) => void): Promise<void> {
  try {
    show(await client.connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () => handle.query<ShownProgress>(PROGRESS_QUERY)));
  } catch {
    // No picture this time.
  }
}

/** What waits for a worker longer than a worker takes, or `null`. */
export function untakenTask(description: WorkflowExecutionDescription, now: number): string | null {
  const { pendingWorkflowTask, pendingActivities } = description.raw;
  if (pendingWorkflowTask?.state === SCHEDULED && isOverdue(pendingWorkflowTask.scheduledTime, now)) {
    return `No worker takes tasks from the queue ${description.taskQueue}: start one with \`runward up\` or \`runward worker\`.`;
  }
  for (const activity of pendingActivities ?? []) {
    if (activity.state === SCHEDULED && isOverdue(activity.scheduledTime, now)) {
      const queue = activity.activityOptions?.taskQueue?.name ?? 'of its host';
      return `No worker takes ${activity.activityType?.name ?? 'a task'} from the queue ${queue}: start \`runward worker\` on that host.`;
    }
  }
  return null;
}

function isOverdue(scheduled: { seconds?: unknown; nanos?: number | null } | null | undefined, now: number): boolean {
  if (scheduled?.seconds === undefined || scheduled.seconds === null) {
    return false;
  }
  return now - Number(scheduled.seconds) * 1_000 > UNTAKEN_AFTER_MS;
}

function operationFailure(error: unknown): unknown {
  if (error instanceof WorkflowFailedError) {
    return new CommandFailure(EXIT.bad, `The operation failed: ${messageOf(deepestCause(error))}`, error);
  }
  return error;
}
