import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError, type Client, type WorkflowExecutionDescription, type WorkflowHandle } from '@temporalio/client';
import { PROGRESS_QUERY } from '../domain/names.ts';
import { CommandFailure, EXIT } from './exit.ts';
import type { ShownProgress } from './live-steps.ts';
import { isTellable, QUEUE_ACTS_TYPE } from './operations.ts';
import { deepestCause, isLost, messageOf } from './temporal.ts';

/** A task that nobody takes within this is said to wait; the list of pollers lags by 50 s and is no proof. */
const UNTAKEN_AFTER_MS = 5_000;
const POLL_MS = 300;
const QUERY_TIMEOUT_MS = 2_000;
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
  /** Until when a worker was starting that may take the tasks, epoch milliseconds; `Infinity` if nobody else is to be started. */
  readonly startingUntil: () => number;
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
export async function followUntil<T>(following: Following, deadline: number): Promise<Followed<T> | null> {
  try {
    return await watchUntil(following, deadline);
  } catch (error) {
    // Who interrupts while Temporal is away hears of the interruption.
    throw isLost(error) ? (following.interrupted.aborted ? interruption(following) : loss(following, error)) : error;
  }
}

async function watchUntil<T>(
  { client, handle, show, interrupted, comeBack, startingUntil }: Following,
  deadline: number,
): Promise<Followed<T> | null> {
  for (;;) {
    await pause(interrupted);
    // Asked again and again: a request for the result would wait at the server, and be repeated after its connection is closed.
    const description = await handle.describe();
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
      throw interruption({ comeBack });
    }
    const untaken = untakenTask(description, Date.now());
    if (untaken !== null && isStarting(startingUntil())) {
      show({ doing: 'waiting for the worker, which has not taken the task yet' });
    } else if (untaken !== null) {
      const text = comeBack === null ? untaken : `${untaken}\nThe operation waits for it. ${comeBack}`;
      throw new CommandFailure(EXIT.unreachable, text, undefined, 'no-worker');
    }
    // A query is answered by a worker, so none is asked before one has taken the first task.
    if (description.raw.pendingWorkflowTask?.state !== SCHEDULED) {
      await showPicture(client, handle, description, show, startingUntil());
    }
  }
}

function interruption({ comeBack }: Pick<Following, 'comeBack'>): CommandFailure {
  const what = comeBack === null ? 'nothing was changed.' : `the operation goes on. ${comeBack}`;
  return new CommandFailure(EXIT.interrupted, `Interrupted: ${what}`);
}

function loss({ comeBack }: Following, error: unknown): CommandFailure {
  const what = comeBack === null ? 'Try again once it runs.' : `The operation goes on once Temporal is back. ${comeBack}`;
  const text = `Temporal does not answer any more. ${what}`;
  return new CommandFailure(EXIT.unreachable, text, error, 'temporal-unreachable');
}

/** Those who follow operations for one command: the first one that fails ends the others, and none outlives the command's connection. */
export class Followers {
  readonly #over = new AbortController();
  readonly #interrupted: AbortSignal;
  readonly #all: Promise<unknown>[] = [];

  constructor(interrupted: AbortSignal) {
    this.#interrupted = AbortSignal.any([interrupted, this.#over.signal]);
  }

  join<T>(follow: (interrupted: AbortSignal) => Promise<T>): Promise<T> {
    const follower = follow(this.#interrupted);
    this.#all.push(follower);
    return follower;
  }

  async end(): Promise<void> {
    this.#over.abort();
    await Promise.allSettled(this.#all);
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
  startingUntil: number,
): Promise<void> {
  const [own, ofChildren] = await Promise.all([askProgress(client, handle), childrenTexts(client, description, startingUntil)]);
  if (own !== null) {
    show({ ...own, doing: [own.doing, ...ofChildren, ...failingTasks(description)].join('; ') });
  }
}

/** What its children do at this moment, such as a check's cures, or the batches of queue care. */
export async function childrenTexts(
  client: Client,
  { raw }: WorkflowExecutionDescription,
  startingUntil: number,
): Promise<readonly string[]> {
  const children = (raw.pendingChildren ?? []).filter(
    ({ workflowTypeName }) => isTellable(workflowTypeName ?? '') || workflowTypeName === QUEUE_ACTS_TYPE,
  );
  const texts = await Promise.all(
    children
      .slice(0, CHILDREN_SHOWN)
      .map(({ workflowId, workflowTypeName }) =>
        childText(client, workflowId ?? '', { tellsByDetails: workflowTypeName === QUEUE_ACTS_TYPE, startingUntil }),
      ),
  );
  return texts.filter((text) => text !== null);
}

/** With what keeps it waiting; `null` where nobody tells. */
async function childText(
  client: Client,
  workflowId: string,
  { tellsByDetails, startingUntil }: { readonly tellsByDetails: boolean; readonly startingUntil: number },
): Promise<string | null> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    const [description, told] = await Promise.all([
      handle.describe(),
      tellsByDetails ? askDetails(client, handle) : askProgress(client, handle).then((progress) => progress?.doing ?? null),
    ]);
    const doing = missingWorker(description, startingUntil) ?? told;
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

/** Which worker is missing, or `null`: nobody is while one of this computer is starting. */
export function missingWorker(description: WorkflowExecutionDescription, startingUntil: number): string | null {
  return isStarting(startingUntil) ? null : untakenTask(description, Date.now());
}

/** Whether a worker is starting, or has just begun to poll and not taken yet what waited for it. */
export function isStarting(startingUntil: number): boolean {
  return Date.now() - startingUntil <= UNTAKEN_AFTER_MS;
}

/** What waits for a worker longer than a worker takes, or `null`. */
function untakenTask(description: WorkflowExecutionDescription, now: number): string | null {
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
