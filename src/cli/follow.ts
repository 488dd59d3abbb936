import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError, type Client, type WorkflowExecutionDescription, type WorkflowHandle } from '@temporalio/client';
import { PROGRESS_QUERY } from '../domain/names.ts';
import { CommandFailure, EXIT } from './exit.ts';
import type { ShownProgress } from './live-steps.ts';
import { isTellable, QUEUE_ACTS_TYPE } from './operations.ts';
import { deepestCause, messageOf } from './temporal.ts';

/** A task that nobody takes within this is said to wait; the list of pollers lags by 50 s and is no proof. */
const UNTAKEN_AFTER_MS = 5_000;
const POLL_MS = 300;
const QUERY_TIMEOUT_MS = 2_000;
/** Longer than `up` takes to start a server again that has died. */
const DESCRIBE_TIMEOUT_MS = 15_000;
/** Children whose doings are shown; a check of many runners may have more. */
const CHILDREN_SHOWN = 3;

/** `temporal.api.enums.v1.PendingActivityState` and `PendingWorkflowTaskState`. */
const SCHEDULED = 1;

export interface Following {
  readonly client: Client;
  readonly handle: WorkflowHandle;
  readonly show: (progress: ShownProgress) => void;
  readonly interrupted: AbortSignal;
  /** How to come back to an operation that goes on; `null` for a question, which its caller ends. */
  readonly comeBack: string | null;
}

export interface Followed<T> {
  readonly result: T;
  readonly description: WorkflowExecutionDescription;
}

/** The operation's result. Fails with exit code 3 where nobody works on a queue that it needs, and 130 where the person interrupts. */
export async function followOperation<T>(following: Following): Promise<T> {
  return (await followToEnd<T>(following)).result;
}

/** The same with what Temporal says of it. */
export async function followToEnd<T>(following: Following): Promise<Followed<T>> {
  const ended = await followUntil<T>(following, Infinity);
  if (ended === null) {
    throw new Error('an operation is followed for ever');
  }
  return ended;
}

/** The same, but for one that still works at `deadline` (`performance.now()`): `null`. */
export async function followUntil<T>(
  { client, handle, show, interrupted, comeBack }: Following,
  deadline: number,
): Promise<Followed<T> | null> {
  for (;;) {
    await pause(interrupted);
    // Asked again and again: a request for the result would wait at the server, and be repeated after its connection is closed.
    const description = await client.connection.withDeadline(Date.now() + DESCRIBE_TIMEOUT_MS, () => handle.describe());
    if (description.status.name !== 'RUNNING') {
      const result = await resultOf<T>(handle);
      const last = await askProgress(client, handle);
      if (last !== null) {
        // What it did last is its result, which the command tells.
        show({ ...last, doing: '' });
      }
      return { result, description };
    }
    if (performance.now() > deadline) {
      return null;
    }
    if (interrupted.aborted) {
      const what = comeBack === null ? 'nothing was changed.' : `the operation goes on. ${comeBack}`;
      throw new CommandFailure(EXIT.interrupted, `Interrupted: ${what}`);
    }
    const untaken = untakenTask(description, Date.now());
    if (untaken !== null) {
      throw new CommandFailure(EXIT.unreachable, comeBack === null ? untaken : `${untaken}\nThe operation waits for it. ${comeBack}`);
    }
    // A query is answered by a worker, so none is asked before one has taken the first task.
    if (description.raw.pendingWorkflowTask?.state !== SCHEDULED) {
      await showPicture(client, handle, description, show);
    }
  }
}

async function pause(interrupted: AbortSignal): Promise<void> {
  // The interruption is seen by the caller.
  await sleep(POLL_MS, undefined, { signal: interrupted }).catch(() => {});
}

async function resultOf<T>(handle: WorkflowHandle): Promise<T> {
  try {
    return (await handle.result()) as T;
  } catch (error) {
    throw operationFailure(error);
  }
}

/** What it does, with what keeps it waiting; without a worker the picture stays as it is. */
async function showPicture(
  client: Client,
  handle: WorkflowHandle,
  description: WorkflowExecutionDescription,
  show: Following['show'],
): Promise<void> {
  const [own, ofChildren] = await Promise.all([askProgress(client, handle), childrenTexts(client, description)]);
  if (own !== null) {
    show({ ...own, doing: [own.doing, ...ofChildren, ...failingTasks(description)].join('; ') });
  }
}

/** What its children do at this moment, such as a check's cures, or the batches of queue care. */
export async function childrenTexts(client: Client, { raw }: WorkflowExecutionDescription): Promise<readonly string[]> {
  const children = (raw.pendingChildren ?? []).filter(
    ({ workflowTypeName }) => isTellable(workflowTypeName ?? '') || workflowTypeName === QUEUE_ACTS_TYPE,
  );
  const texts = await Promise.all(
    children
      .slice(0, CHILDREN_SHOWN)
      .map(({ workflowId, workflowTypeName }) => childText(client, workflowId ?? '', workflowTypeName === QUEUE_ACTS_TYPE)),
  );
  return texts.filter((text) => text !== null);
}

/** With what keeps it waiting; `null` where nobody tells. */
async function childText(client: Client, workflowId: string, tellsByDetails: boolean): Promise<string | null> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    const [description, told] = await Promise.all([
      handle.describe(),
      tellsByDetails ? askDetails(client, handle) : askProgress(client, handle).then((progress) => progress?.doing ?? null),
    ]);
    const doing = untakenTask(description, Date.now()) ?? told;
    return [doing, ...failingTasks(description)].filter((part) => part !== null).join('; ') || null;
  } catch {
    // It may have ended meanwhile.
    return null;
  }
}

/** The query needs a worker; `null` where none answers. */
function askProgress(client: Client, handle: WorkflowHandle): Promise<ShownProgress | null> {
  return ask<ShownProgress>(client, handle, PROGRESS_QUERY);
}

/** The line that Temporal's UI shows. */
async function askDetails(client: Client, handle: WorkflowHandle): Promise<string | null> {
  const metadata = await ask<{ readonly currentDetails?: string }>(client, handle, '__temporal_workflow_metadata');
  return metadata?.currentDetails ?? null;
}

async function ask<T>(client: Client, handle: WorkflowHandle, query: string): Promise<T | null> {
  try {
    return await client.connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () => handle.query<T>(query));
  } catch {
    return null;
  }
}

/** Tasks that are tried again and again, by what they failed with last. */
export function failingTasks({ raw }: WorkflowExecutionDescription): readonly string[] {
  const words = (raw.pendingActivities ?? []).flatMap(({ attempt, lastFailure }) =>
    (attempt ?? 1) > 1 && lastFailure?.message ? [`${lastFailure.message.replaceAll(/\s*\n\s*/g, ' ')}; trying again`] : [],
  );
  return [...new Set(words)];
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
