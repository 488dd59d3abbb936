// One attempt of an activity in a worker, with the SDK's own context: what core and the activity's runner do.

import { asyncLocalStorage, Context } from '@temporalio/activity';
import { CancelledFailure, defaultFailureConverter, ensureApplicationFailure } from '@temporalio/common';
import type { ActivityResult, ActivityTask } from './activity-task.ts';
import { currentProcess, type SimulatedProcess } from './clock.ts';
import type { QueuedEvent } from './event-queue.ts';
import { payloads, toFailure } from './payloads.ts';
import type { AnyActivity, AttemptName } from './port.ts';
import type { Server } from './server.ts';

type ContextOptions = ConstructorParameters<typeof Context>;

/** Core sends heartbeats no more often than at this part of their time-out. */
const THROTTLED_TO = 0.8;
const THROTTLED_AT_MOST_MS = 60_000;
const THROTTLED_WITHOUT_TIMEOUT_MS = 30_000;

/** Core ends an attempt by itself so long after its time is over. */
const OWN_TIMEOUT_AFTER_MS = 5_000;

type CancelReason = 'CANCELLED' | 'NOT_FOUND' | 'TIMED_OUT';

export class Attempt {
  readonly task: ActivityTask;
  readonly process: SimulatedProcess;
  readonly name: AttemptName;
  readonly #server: Server;
  readonly #controller = new AbortController();
  readonly #throttleMs: number;
  #reject: (error: Error) => void = () => {};
  #cancelReason: CancelReason | null = null;
  #isOver = false;
  #sentAt = Number.NEGATIVE_INFINITY;
  #unsent: QueuedEvent | null = null;
  #details: unknown = undefined;
  #ownTimeout: QueuedEvent | null = null;

  constructor(server: Server, task: ActivityTask, skewMs: number) {
    this.#server = server;
    this.task = task;
    this.process = { isAlive: true, skewMs };
    const { workflowId, runId } = task.execution;
    this.name = { workflowId, runId, activity: task.type, taskQueue: task.taskQueue, attempt: task.attempt };
    this.#throttleMs =
      task.heartbeatMs === null ? THROTTLED_WITHOUT_TIMEOUT_MS : Math.min(THROTTLED_TO * task.heartbeatMs, THROTTLED_AT_MOST_MS);
  }

  begin(activity: AnyActivity): void {
    const { task } = this;
    const server = this.#server;
    task.begin(this);
    server.hear({ kind: 'attempt-began', attempt: this.name });
    this.#ownTimeout = server.clock.add(server.clock.now() + task.startToCloseMs + OWN_TIMEOUT_AFTER_MS, () => this.#cancel('TIMED_OUT'));
    const context = this.#context();
    const args = task.args.map((each) => payloads.fromPayload(each)) as never[];
    void currentProcess
      .run(this.process, () => asyncLocalStorage.run(context, async () => activity(...args)))
      .then(
        (result) => this.#ended({ completed: { result: payloads.toPayload(result) } }),
        (error: unknown) => this.#ended(this.#failed(error)),
      );
  }

  /** The worker is no more. */
  die(): void {
    this.process.isAlive = false;
    this.#isOver = true;
    this.#dropTimers();
  }

  #context(): Context {
    const cancelled = new Promise<never>((_resolve, reject) => {
      this.#reject = reject;
    });
    cancelled.catch(() => {});
    const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
    return new Context(
      this.#info(),
      cancelled,
      this.#controller.signal,
      (details: unknown) => this.#beat(details),
      this.#server.client,
      silent as unknown as ContextOptions[5],
      undefined as unknown as ContextOptions[6],
      {} as ContextOptions[7],
    );
  }

  #info(): ContextOptions[0] {
    const { task } = this;
    const { workflowId, runId, type } = task.execution;
    return {
      taskToken: new Uint8Array(),
      taskQueue: task.taskQueue,
      base64TaskToken: '',
      activityId: `${task.seq}`,
      workflowExecution: { workflowId, runId },
      attempt: task.attempt,
      isLocal: false,
      activityType: task.type,
      workflowType: type,
      ...(task.heartbeatMs === null ? {} : { heartbeatTimeoutMs: task.heartbeatMs }),
      heartbeatDetails: task.heartbeatDetails,
      activityNamespace: 'default',
      workflowNamespace: 'default',
      scheduledTimestampMs: task.scheduledAt,
      startToCloseTimeoutMs: task.startToCloseMs,
      scheduleToCloseTimeoutMs: task.scheduleToCloseMs ?? 0,
      currentAttemptScheduledTimestampMs: task.attemptScheduledAt,
      namespace: 'default',
      inWorkflow: true,
    } as unknown as ContextOptions[0];
  }

  #beat(details: unknown): void {
    if (this.#isOver) {
      return;
    }
    this.#details = details;
    const { clock } = this.#server;
    const mayAt = this.#sentAt + this.#throttleMs;
    if (clock.now() >= mayAt) {
      this.#send();
    } else {
      this.#unsent ??= clock.add(mayAt, () => this.#send());
    }
  }

  #send(): void {
    this.#unsent = null;
    if (this.#isOver) {
      return;
    }
    this.#sentAt = this.#server.clock.now();
    this.#server.receive(() => {
      const answer = this.#isOver ? 'go on' : this.task.hearHeartbeat(this, this.#details);
      if (answer !== 'go on') {
        this.#cancel(answer);
      }
    });
  }

  #cancel(reason: CancelReason): void {
    if (this.#isOver || this.#cancelReason !== null) {
      return;
    }
    this.#cancelReason = reason;
    const error = new CancelledFailure(reason);
    this.#reject(error);
    this.#controller.abort(error);
  }

  #failed(error: unknown): ActivityResult {
    if (this.#cancelReason !== null && (error instanceof CancelledFailure || (error instanceof Error && error.name === 'AbortError'))) {
      return { cancelled: { failure: toFailure(error) } };
    }
    return { failed: { failure: defaultFailureConverter.errorToFailure(ensureApplicationFailure(error), payloads) } };
  }

  /** Core does not report what the server has told it is of no use. */
  #ended(result: ActivityResult): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    this.#dropTimers();
    this.#server.attemptLeft(this);
    this.#server.receive(() => {
      const isHeard = this.task.hearEnd(this, result);
      const how = 'completed' in result ? 'completed' : 'cancelled' in result ? 'cancelled' : 'failed';
      this.#server.hear({ kind: 'attempt-ended', attempt: this.name, how: isHeard ? how : 'unheard' });
    });
  }

  #dropTimers(): void {
    for (const timer of [this.#unsent, this.#ownTimeout]) {
      if (timer !== null) {
        timer.action = null;
      }
    }
  }
}
