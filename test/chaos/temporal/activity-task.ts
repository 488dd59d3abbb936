// One activity as the server sees it: its attempts, and the four times in which it must be taken, answered and done.

import type { Payload } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time.js';
import type { Attempt } from './attempt.ts';
import type { QueuedEvent } from './event-queue.ts';
import type { Execution } from './execution.ts';
import { activityCancelled, activityFailure, timeoutFailure, type RetryState } from './failures.ts';
import type { Failure } from './payloads.ts';
import type { TimeoutName } from './port.ts';
import type { Server } from './server.ts';
import type { Command } from './workflow-runtime.ts';

type Scheduled = NonNullable<Command['scheduleActivity']>;
export type ActivityResult = Readonly<
  { completed: { result: Payload | null | undefined } } | { failed: { failure: Failure } } | { cancelled: { failure: Failure } }
>;

interface Retries {
  readonly initialMs: number;
  readonly coefficient: number;
  readonly maximumMs: number;
  /** 0 for as many as it takes. */
  readonly attempts: number;
  readonly nonRetryable: readonly string[];
}

/** `temporal.api.workflowservice`: `ACTIVITY_CANCELLATION_TYPE_WAIT_CANCELLATION_COMPLETED`. */
const WAIT_CANCELLATION_COMPLETED = 1;

export class ActivityTask {
  readonly execution: Execution;
  readonly seq: number;
  readonly type: string;
  readonly args: readonly Payload[];
  readonly taskQueue: string;
  readonly scheduledAt: number;
  readonly startToCloseMs: number;
  readonly scheduleToCloseMs: number | null;
  readonly heartbeatMs: number | null;
  attempt = 1;
  /** When the attempt that is due or under way was scheduled. */
  attemptScheduledAt: number;
  /** Whether it waits to be taken by a worker. */
  isDispatched = false;
  /** The attempt that the server knows of. */
  current: Attempt | null = null;
  isCancelRequested = false;
  isOver = false;
  heartbeatDetails: unknown = undefined;
  lastHeardAt = 0;
  readonly #server: Server;
  readonly #scheduled: Scheduled;
  readonly #retries: Retries;
  readonly #scheduleToStartMs: number | null;
  #lastFailure: Failure | null = null;
  #scheduleToClose: QueuedEvent | null = null;
  #scheduleToStart: QueuedEvent | null = null;
  #startToClose: QueuedEvent | null = null;
  #heartbeat: QueuedEvent | null = null;
  #due: QueuedEvent | null = null;

  constructor(server: Server, execution: Execution, scheduled: Scheduled, isRetried = false) {
    if (scheduled.cancellationType !== WAIT_CANCELLATION_COMPLETED && !isRetried) {
      throw new Error(`activity ${scheduled.activityType}: the virtual Temporal knows WAIT_CANCELLATION_COMPLETED alone`);
    }
    this.#server = server;
    this.#scheduled = scheduled;
    this.execution = execution;
    this.seq = scheduled.seq as number;
    this.type = scheduled.activityType as string;
    this.args = scheduled.arguments ?? [];
    this.taskQueue = scheduled.taskQueue as string;
    this.scheduledAt = server.clock.now();
    this.attemptScheduledAt = this.scheduledAt;
    const { retryPolicy: retry } = scheduled;
    this.scheduleToCloseMs = msOf(scheduled.scheduleToCloseTimeout);
    this.startToCloseMs = msOf(scheduled.startToCloseTimeout) ?? this.scheduleToCloseMs ?? Number.POSITIVE_INFINITY;
    this.heartbeatMs = msOf(scheduled.heartbeatTimeout);
    this.#scheduleToStartMs = msOf(scheduled.scheduleToStartTimeout);
    const initialMs = msOf(retry?.initialInterval) ?? 1_000;
    this.#retries = {
      initialMs,
      coefficient: retry?.backoffCoefficient ?? 2,
      maximumMs: msOf(retry?.maximumInterval) ?? 100 * initialMs,
      attempts: retry?.maximumAttempts ?? 0,
      nonRetryable: retry?.nonRetryableErrorTypes ?? [],
    };
  }

  /** The same activity in a run that a reset made. */
  again(execution: Execution): ActivityTask {
    return new ActivityTask(this.#server, execution, this.#scheduled, true);
  }

  schedule(): void {
    if (this.scheduleToCloseMs !== null) {
      this.#scheduleToClose = this.#server.timer(this.scheduledAt + this.scheduleToCloseMs, () => this.#timeOut('SCHEDULE_TO_CLOSE'));
    }
    this.#dispatch();
  }

  /** Asked for by the workflow. What no worker has taken is over at once; who works on it hears of it by its next heartbeat. */
  requestCancel(): void {
    if (this.isOver || this.isCancelRequested) {
      return;
    }
    this.isCancelRequested = true;
    if (this.current === null) {
      this.#end({ cancelled: { failure: activityCancelled(this) } });
    }
  }

  /** Taken by a worker. */
  begin(attempt: Attempt): void {
    const now = this.#server.clock.now();
    this.current = attempt;
    this.isDispatched = false;
    this.lastHeardAt = now;
    drop(this.#scheduleToStart);
    this.#startToClose = this.#server.timer(now + this.startToCloseMs, () => this.#timeOut('START_TO_CLOSE'));
    if (this.heartbeatMs !== null) {
      this.#watchHeartbeat(this.heartbeatMs);
    }
  }

  /** Answers with what the worker hears in return. */
  hearHeartbeat(attempt: Attempt, details: unknown): 'go on' | 'CANCELLED' | 'NOT_FOUND' {
    if (this.current !== attempt) {
      return 'NOT_FOUND';
    }
    this.lastHeardAt = this.#server.clock.now();
    this.heartbeatDetails = details;
    return this.isCancelRequested ? 'CANCELLED' : 'go on';
  }

  /** Whether the server still waited for that. */
  hearEnd(attempt: Attempt, result: ActivityResult): boolean {
    if (this.current !== attempt) {
      return false;
    }
    if ('failed' in result) {
      this.#fail(result.failed.failure);
    } else {
      this.#end('cancelled' in result ? { cancelled: { failure: activityCancelled(this) } } : result);
    }
    return true;
  }

  /** The run has ended. */
  abandon(): void {
    this.isOver = true;
    this.current = null;
    this.#dropTimers();
  }

  #dispatch(): void {
    this.attemptScheduledAt = this.#server.clock.now();
    this.isDispatched = true;
    if (this.#scheduleToStartMs !== null) {
      this.#scheduleToStart = this.#server.timer(this.attemptScheduledAt + this.#scheduleToStartMs, () =>
        this.#timeOut('SCHEDULE_TO_START'),
      );
    }
    this.#server.offer(this);
  }

  #watchHeartbeat(heartbeatMs: number): void {
    const dueAt = this.lastHeardAt + heartbeatMs;
    this.#heartbeat = this.#server.timer(dueAt, () => {
      if (this.lastHeardAt + heartbeatMs > this.#server.clock.now()) {
        this.#watchHeartbeat(heartbeatMs);
      } else {
        this.#timeOut('HEARTBEAT');
      }
    });
  }

  #timeOut(timeout: TimeoutName): void {
    if (this.isOver) {
      return;
    }
    const { workflowId, runId } = this.execution;
    const attempt = { workflowId, runId, activity: this.type, taskQueue: this.taskQueue, attempt: this.attempt };
    this.#server.hear({ kind: 'activity-timed-out', attempt, timeout });
    const failure = timeoutFailure(timeout, timeout === 'SCHEDULE_TO_CLOSE' ? this.#lastFailure : null);
    if (timeout === 'SCHEDULE_TO_START' || timeout === 'SCHEDULE_TO_CLOSE') {
      this.#end({ failed: { failure: activityFailure(this, failure, 'TIMEOUT') } });
      return;
    }
    const end = this.#retry(failure);
    if (end !== null) {
      const told = end === 'TIMEOUT' ? timeoutFailure('SCHEDULE_TO_CLOSE', failure) : failure;
      this.#end({ failed: { failure: activityFailure(this, told, end) } });
    }
  }

  #fail(failure: Failure): void {
    const end = this.#retry(failure);
    if (end !== null) {
      this.#end({ failed: { failure: activityFailure(this, failure, end) } });
    }
  }

  /** `null` if it is tried again, else why not. */
  #retry(failure: Failure): RetryState | null {
    if (this.isCancelRequested) {
      return 'CANCEL_REQUESTED';
    }
    const { applicationFailureInfo: application, canceledFailureInfo, terminatedFailureInfo } = failure;
    const { initialMs, coefficient, maximumMs, attempts, nonRetryable } = this.#retries;
    const isFinal =
      canceledFailureInfo != null ||
      terminatedFailureInfo != null ||
      (application != null && (application.nonRetryable === true || nonRetryable.includes(application.type ?? '')));
    if (isFinal) {
      return 'NON_RETRYABLE_FAILURE';
    }
    if (attempts > 0 && this.attempt >= attempts) {
      return 'MAXIMUM_ATTEMPTS_REACHED';
    }
    const waitMs = msOf(application?.nextRetryDelay) ?? Math.min(initialMs * coefficient ** (this.attempt - 1), maximumMs);
    const next = this.#server.clock.now() + waitMs;
    if (this.scheduleToCloseMs !== null && next > this.scheduledAt + this.scheduleToCloseMs) {
      return 'TIMEOUT';
    }
    this.#lastFailure = failure;
    this.current = null;
    this.attempt += 1;
    drop(this.#startToClose);
    drop(this.#heartbeat);
    this.#due = this.#server.timer(next, () => this.#dispatch());
    return null;
  }

  #end(result: ActivityResult): void {
    this.abandon();
    this.#server.activityEnded(this, result);
  }

  #dropTimers(): void {
    for (const timer of [this.#scheduleToClose, this.#scheduleToStart, this.#startToClose, this.#heartbeat, this.#due]) {
      drop(timer);
    }
  }
}

/** `null` for none, which protobuf may tell as 0. */
function msOf(time: Parameters<typeof tsToMs>[0]): number | null {
  return time == null ? null : tsToMs(time);
}

function drop(event: QueuedEvent | null): void {
  if (event !== null) {
    event.action = null;
  }
}
