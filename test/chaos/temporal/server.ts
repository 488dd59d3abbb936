// The server's part: executions, their tasks and timers, and the queues that workers take them from.

import type { Payload } from '@temporalio/common';
import { decodeTypedSearchAttributes } from '@temporalio/common/lib/converter/payload-search-attributes.js';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time.js';
import type { Client } from '@temporalio/client';
import { ActivityTask, type ActivityResult } from './activity-task.ts';
import { Attempt } from './attempt.ts';
import { type Clock, currentProcess, never } from './clock.ts';
import type { QueuedEvent } from './event-queue.ts';
import { Execution, type Close, type ExecutionSettings, type Parent } from './execution.ts';
import { CANCELLED, childFailure, notFound, RUN_TIMED_OUT, TERMINATED } from './failures.ts';
import { fromFailure, payloads, type Fields } from './payloads.ts';
import type { Happening, Outcome, VirtualTemporalOptions } from './port.ts';
import { WorkflowRuntime, type Command, type Job } from './workflow-runtime.ts';

/** The server suggests a new history after so many events, and ends the run at the second number. */
const SUGGESTED_AFTER_EVENTS = 4_096;
const MOST_EVENTS = 51_200;

/** A task waits so long for a killed worker that knew the execution, as `MISSED_AFTER` of the product's workers. */
const MISSED_AFTER_MS = 3_000;

/** Closed executions that can still be queried. */
const QUERIED_AFTER_CLOSE = 20;

/** The real server's timers are late by up to this. */
const TIMERS_LATE_MS = 1_000;

const DAY_MS = 24 * 3_600_000;

type Told = Happening extends infer Each ? (Each extends Happening ? Omit<Each, 'at'> : never) : never;

interface TaskQueue {
  readonly name: string;
  isAlive: boolean;
  readonly waiting: ActivityTask[];
  readonly attempts: Set<Attempt>;
}

export interface NewRun {
  readonly type: string;
  readonly workflowId: string;
  readonly args: readonly Payload[];
  readonly memo?: Fields;
  readonly searchAttributes?: Fields;
  readonly parent?: Parent;
  readonly runTimeoutMs?: number | null;
  /** The run that it continues. */
  readonly continued?: Execution;
  /** Jobs beside the first. */
  readonly jobs?: readonly Job[];
}

export class Server {
  readonly clock: Clock;
  /** That of the workers. */
  client: Client | undefined;
  isUp = true;
  readonly #options: VirtualTemporalOptions;
  /** By workflow id, the newest last. */
  readonly #runs = new Map<string, Execution[]>();
  readonly #open = new Set<Execution>();
  readonly #ofType = new Map<string, Set<Execution>>();
  readonly #queues = new Map<string, TaskQueue>();
  /** What happens as soon as the server is back. */
  readonly #held: (() => void | Promise<void>)[] = [];
  /** Workflow tasks that wait for a worker. */
  readonly #waiting: Execution[] = [];
  readonly #queryable: Execution[] = [];
  #runCount = 0;

  constructor(options: VirtualTemporalOptions) {
    this.#options = options;
    this.clock = options.clock as Clock;
    for (const name of new Set([options.workflowQueue, ...Object.keys(options.activities)])) {
      this.#queues.set(name, { name, isAlive: true, waiting: [], attempts: new Set() });
    }
  }

  hear(told: Told): void {
    this.#options.hear?.({ at: this.clock.now(), ...told } as Happening);
  }

  // Time

  /** Of a call, or of the server's own work. */
  latency(): number {
    return 1 + Math.floor(this.#options.random() * 12);
  }

  /** A timer of the server, which keeps them to the second. */
  timer(at: number, action: () => void): QueuedEvent {
    return this.#onceUp(at + Math.floor(this.#options.random() * TIMERS_LATE_MS), action);
  }

  /** What is due while the server is away happens when it is back. */
  #onceUp(at: number, action: () => void): QueuedEvent {
    const event = this.clock.add(at, () => {
      if (this.isUp) {
        action();
      } else {
        event.action = action;
        this.#held.push(() => {
          if (event.action !== null) {
            action();
          }
        });
      }
    });
    return event;
  }

  /** What a client or worker sends, which keeps sending it until the server is there. */
  receive(action: () => void): void {
    this.#onceUp(this.clock.now() + this.latency(), action);
  }

  /** A call that is answered; of a process that was killed meanwhile neither the answer comes nor, if it had not left, the call. */
  async call<T>(action: () => T | Promise<T>): Promise<T> {
    const process = currentProcess.getStore();
    if (process?.isAlive === false) {
      return never();
    }
    return new Promise<T>((resolve, reject) => {
      const answer = (tell: () => void): void => {
        if (process?.isAlive !== false) {
          tell();
        }
      };
      this.receive(() => {
        void (async () => action())().then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error as Error)),
        );
      });
    });
  }

  stop(): void {
    this.isUp = false;
  }

  startAgain(): void {
    this.isUp = true;
    for (const action of this.#held.splice(0)) {
      this.clock.add(this.clock.now() + this.latency(), action);
    }
    this.#takeWaiting(0);
    for (const queue of this.#queues.values()) {
      this.#poll(queue);
    }
  }

  // Executions

  find(workflowId: string, runId?: string): Execution | null {
    const runs = this.#runs.get(workflowId);
    return (runId === undefined || runId === '' ? runs?.at(-1) : runs?.find((run) => run.runId === runId)) ?? null;
  }

  findOpen(workflowId: string, runId?: string): Execution | null {
    const found = this.find(workflowId, runId);
    return found?.isOpen === true ? found : null;
  }

  get open(): Iterable<Execution> {
    return this.#open;
  }

  /** As lists show them, newest first; of all types for `null`. */
  listed(type: string | null, { isRunning }: { readonly isRunning: boolean }): readonly Execution[] {
    const all = type === null ? [...this.#ofType.values()] : [this.#ofType.get(type) ?? []];
    const found: Execution[] = [];
    for (const each of all) {
      for (const execution of each) {
        if (execution.listed !== null && (!isRunning || execution.listed.isOpen)) {
          found.push(execution);
        }
      }
    }
    return found.toSorted((one, other) => other.settings.startedAt - one.settings.startedAt);
  }

  start({
    type,
    workflowId,
    args,
    memo = {},
    searchAttributes = {},
    parent,
    runTimeoutMs = null,
    continued,
    jobs = [],
  }: NewRun): Execution {
    const workflow = this.#options.workflows[type];
    if (workflow === undefined) {
      throw new Error(`there is no workflow ${type}`);
    }
    if (this.findOpen(workflowId) !== null) {
      throw new WorkflowExecutionAlreadyStartedError('Workflow execution already started', workflowId, type);
    }
    const runId = this.#newRunId();
    const execution = this.#register({
      workflowId,
      runId,
      firstRunId: continued?.settings.firstRunId ?? runId,
      type,
      args,
      memo,
      searchAttributes,
      parent: parent ?? null,
      startedAt: this.clock.now(),
      runTimeoutMs,
      continuedFrom: continued?.runId ?? null,
    });
    this.hear({ kind: 'started', ...execution.name, type });
    this.#give(execution, initializeJob(execution));
    for (const job of jobs) {
      this.#give(execution, job);
    }
    return execution;
  }

  signal(execution: Execution, name: string, args: readonly Payload[]): void {
    execution.historyLength += 1;
    this.#give(execution, { variant: 'signalWorkflow', signalWorkflow: { signalName: name, input: [...args], identity: '', headers: {} } });
  }

  cancel(execution: Execution): void {
    execution.historyLength += 1;
    this.#give(execution, { variant: 'cancelWorkflow', cancelWorkflow: { reason: '' } });
  }

  terminate(execution: Execution): void {
    this.#close(execution, { status: 'TERMINATED', failure: TERMINATED });
  }

  async query(execution: Execution, name: string, args: readonly unknown[]): Promise<unknown> {
    const { runtime } = execution;
    if (runtime === null) {
      throw new Error(`${execution.workflowId} has not begun, or is closed for too long to be queried`);
    }
    const queue = this.#queueOf(this.#options.workflowQueue);
    while (!queue.isAlive || !this.isUp) {
      await this.clock.sleep(1_000);
    }
    // Not beside a workflow task: both use the one place that the SDK keeps for the run at work.
    return new Promise((resolve, reject) => {
      this.clock.add(this.clock.now() + 1, async () => {
        try {
          const { respondToQuery: answer } = await runtime.query('query', name, args);
          if (answer?.succeeded != null) {
            resolve(payloads.fromPayload(answer.succeeded.response as Payload));
          } else {
            reject(fromFailure(answer?.failed as Parameters<typeof fromFailure>[0]));
          }
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  /** Resolves once the run has ended, by what it and those that continue it ended with. */
  async ended(execution: Execution): Promise<Execution> {
    const last =
      execution.closed === null
        ? await new Promise<Execution>((resolve) => {
            execution.waiters.push(resolve);
          })
        : execution;
    const { newRunId } = last.closed as Close;
    const next = newRunId === undefined ? null : this.find(last.workflowId, newRunId);
    return next === null ? last : this.ended(next);
  }

  outcome({ closed }: Execution): Outcome | null {
    if (closed === null) {
      return null;
    }
    const { status, result, failure } = closed;
    return status === 'COMPLETED'
      ? { status, result: result == null ? undefined : payloads.fromPayload(result) }
      : { status, error: failure === undefined ? new Error(status) : fromFailure(failure) };
  }

  /** As `temporal workflow reset` does: signals that came later are sent anew, activities that had not ended by then begin anew. */
  async reset(base: Execution, before: 'any' | 'last'): Promise<Execution | null> {
    const points = base.done.flatMap(({ beganActivity }, index) => (beganActivity ? [index] : []));
    const point = before === 'last' ? points.at(-1) : points[Math.floor(this.#options.random() * points.length)];
    if (point === undefined || base.runtime === null) {
      return null;
    }
    if (base.isOpen) {
      this.#close(base, { status: 'TERMINATED', failure: TERMINATED }, { endsChildren: false });
    }
    const runId = this.#newRunId();
    const execution = this.#register({ ...base.settings, runId, startedAt: this.clock.now() });
    this.hear({ kind: 'started', ...execution.name, type: execution.type });
    execution.runtime = this.#runtimeOf(execution);
    execution.runtime.knowPatches(base.patches);
    execution.patches.push(...base.patches);
    await this.#replay(execution, base, point);
    for (const job of (base.done[point] as Execution['done'][number]).jobs) {
      this.#give(execution, job);
    }
    for (const { jobs } of base.done.slice(point + 1)) {
      for (const job of jobs.filter(({ variant }) => variant === 'signalWorkflow')) {
        this.#give(execution, job);
      }
    }
    return execution;
  }

  async #replay(execution: Execution, base: Execution, until: number): Promise<void> {
    const runtime = execution.runtime as WorkflowRuntime;
    const begun = new Map<number, Command>();
    for (const { at, jobs, historyLength } of base.done.slice(0, until)) {
      for (const { resolveActivity, fireTimer, resolveChildWorkflowExecutionStart, resolveChildWorkflowExecution } of jobs) {
        begun.delete(resolveActivity?.seq ?? -1);
        execution.timersDue.delete(fireTimer?.seq ?? -1);
        if (resolveChildWorkflowExecution != null) {
          execution.children.delete(resolveChildWorkflowExecution.seq as number);
        }
        const child = execution.children.get(resolveChildWorkflowExecutionStart?.seq ?? -1);
        if (child !== undefined) {
          child.runId = resolveChildWorkflowExecutionStart?.succeeded?.runId ?? null;
        }
      }
      const time = { at, historyLength, continueAsNewSuggested: false, isReplaying: true };
      const { commands } = await this.clock.at(at, () => runtime.activate(jobs, time));
      execution.done.push({ at, jobs, historyLength, beganActivity: false });
      execution.historyLength = historyLength;
      for (const command of commands) {
        const { scheduleActivity, startTimer, cancelTimer, startChildWorkflowExecution, requestCancelActivity } = command;
        if (scheduleActivity != null) {
          begun.set(scheduleActivity.seq as number, command);
        } else if (startTimer != null) {
          execution.timersDue.set(startTimer.seq as number, at + tsToMs(startTimer.startToFireTimeout));
        } else if (cancelTimer != null) {
          execution.timersDue.delete(cancelTimer.seq as number);
        } else if (startChildWorkflowExecution != null) {
          const { seq, workflowId } = startChildWorkflowExecution;
          execution.children.set(seq as number, { workflowId: workflowId as string, runId: null });
        } else if (requestCancelActivity != null) {
          begun.delete(requestCancelActivity.seq as number);
        } else if (
          command.modifyWorkflowProperties != null ||
          command.upsertWorkflowSearchAttributes != null ||
          command.setPatchMarker != null
        ) {
          this.#describeAnew(execution, command);
        }
      }
    }
    const inJobs = new Set(base.done[until]?.jobs.map(({ resolveActivity }) => resolveActivity?.seq));
    for (const { scheduleActivity } of begun.values()) {
      if (scheduleActivity != null && !inJobs.has(scheduleActivity.seq)) {
        this.#scheduleActivity(execution, scheduleActivity);
      }
    }
    for (const [seq, dueAt] of execution.timersDue) {
      this.#startTimer(execution, seq, dueAt);
    }
  }

  #newRunId(): string {
    this.#runCount += 1;
    return `00000000-0000-4000-8000-${this.#runCount.toString(16).padStart(12, '0')}`;
  }

  #register(settings: ExecutionSettings): Execution {
    const execution = new Execution(settings);
    const runs = this.#runs.get(settings.workflowId);
    if (runs === undefined) {
      this.#runs.set(settings.workflowId, [execution]);
    } else {
      runs.push(execution);
    }
    this.#open.add(execution);
    const alike = this.#ofType.get(settings.type) ?? new Set();
    this.#ofType.set(settings.type, alike.add(execution));
    this.#showLater(execution);
    if (settings.runTimeoutMs !== null) {
      execution.runTimeout = this.timer(settings.startedAt + settings.runTimeoutMs, () =>
        this.#close(execution, { status: 'TIMED_OUT', failure: RUN_TIMED_OUT }),
      );
    }
    return execution;
  }

  #close(execution: Execution, close: Close, { endsChildren = true } = {}): void {
    if (!execution.isOpen) {
      return;
    }
    execution.closed = close;
    execution.closedAt = this.clock.now();
    execution.jobs = [];
    this.#open.delete(execution);
    for (const timer of [...execution.timers.values(), execution.runTimeout]) {
      if (timer !== null) {
        timer.action = null;
      }
    }
    execution.timers.clear();
    execution.timersDue.clear();
    for (const activity of execution.activities.values()) {
      activity.abandon();
    }
    execution.activities.clear();
    this.hear({ kind: 'closed', ...execution.name, type: execution.type, status: close.status });
    if (close.newRunId === undefined) {
      this.#tellParent(execution, close);
      if (endsChildren) {
        this.#endChildren(execution);
      }
    }
    for (const wait of execution.waiters.splice(0)) {
      wait(execution);
    }
    this.#showLater(execution);
    this.#forgetLater(execution);
  }

  #forgetLater(execution: Execution): void {
    if (execution.runtime !== null) {
      this.#queryable.push(execution);
      if (this.#queryable.length > QUERIED_AFTER_CLOSE) {
        const oldest = this.#queryable.shift() as Execution;
        oldest.runtime = null;
        oldest.done.length = 0;
      }
    }
    this.clock.add(this.clock.now() + (this.#options.retentionMs ?? 3 * DAY_MS), () => {
      this.#ofType.get(execution.type)?.delete(execution);
      const runs = this.#runs.get(execution.workflowId)?.filter((run) => run !== execution) ?? [];
      if (runs.length === 0) {
        this.#runs.delete(execution.workflowId);
      } else {
        this.#runs.set(execution.workflowId, runs);
      }
    });
  }

  /** Lists lag, and show changes in their order. */
  #showLater(execution: Execution): void {
    const { isOpen, memo, searchAttributes } = execution;
    const lagMs = Math.floor(this.#options.random() * (this.#options.visibilityLagMs ?? 2_000));
    this.#onceUp(this.clock.now() + lagMs, () => {
      if (execution.listed === null || execution.listed.isOpen) {
        execution.listed = { isOpen: isOpen && execution.isOpen, memo, searchAttributes };
      }
    });
  }

  // Workflow tasks

  #give(execution: Execution, job: Job): void {
    if (!execution.isOpen) {
      return;
    }
    execution.jobs.push(job);
    if (!execution.isTaskScheduled && !execution.isStuck) {
      execution.isTaskScheduled = true;
      this.clock.add(this.clock.now() + this.latency(), () => this.#offerTask(execution));
    }
  }

  #offerTask(execution: Execution): void | Promise<void> {
    if (this.isUp && this.#queueOf(this.#options.workflowQueue).isAlive) {
      return this.#work(execution);
    }
    this.#waiting.push(execution);
  }

  async #work(execution: Execution): Promise<void> {
    execution.isTaskScheduled = false;
    if (!execution.isOpen || execution.isStuck) {
      return;
    }
    execution.isUncached = false;
    execution.runtime ??= this.#runtimeOf(execution);
    const jobs = inOrder(execution.jobs);
    execution.jobs = [];
    execution.historyLength += 3;
    const { historyLength } = execution;
    const at = this.clock.now();
    const continueAsNewSuggested = historyLength > SUGGESTED_AFTER_EVENTS;
    try {
      const { commands, sinkCalls } = await execution.runtime.activate(jobs, {
        at,
        historyLength,
        continueAsNewSuggested,
        isReplaying: false,
      });
      execution.done.push({ at, jobs, historyLength, beganActivity: commands.some(({ scheduleActivity }) => scheduleActivity != null) });
      for (const { ifaceName: sink, fnName: method, args } of sinkCalls) {
        this.hear({ kind: 'sink', workflowId: execution.workflowId, sink, method, args });
      }
      for (const command of commands) {
        this.#apply(execution, command);
      }
    } catch (error) {
      execution.isStuck = true;
      this.hear({ kind: 'task-failed', ...execution.name, type: execution.type, error });
    }
    if (execution.historyLength > MOST_EVENTS) {
      this.terminate(execution);
    }
  }

  #runtimeOf({ settings, type }: Execution): WorkflowRuntime {
    const { workflowId, runId, firstRunId, continuedFrom, parent, startedAt, runTimeoutMs } = settings;
    const startTime = new Date(startedAt);
    return new WorkflowRuntime(
      this.#options.workflows[type] as NonNullable<VirtualTemporalOptions['workflows'][string]>,
      {
        workflowId,
        runId,
        workflowType: type,
        taskQueue: this.#options.workflowQueue,
        namespace: 'default',
        firstExecutionRunId: firstRunId,
        originalExecutionRunId: runId,
        ...(continuedFrom === null ? {} : { continuedFromExecutionRunId: continuedFrom }),
        ...(parent === null ? {} : { parent: { workflowId: parent.workflowId, runId: parent.runId, namespace: 'default' } }),
        startTime,
        runStartTime: startTime,
        ...(runTimeoutMs === null ? {} : { executionRunTimeoutMs: runTimeoutMs }),
        taskTimeoutMs: 10_000,
        attempt: 1,
        historyLength: 0,
        historySize: 0,
        continueAsNewSuggested: false,
        targetWorkerDeploymentVersionChanged: false,
      } as unknown as ConstructorParameters<typeof WorkflowRuntime>[1],
      [this.#runCount & 255, (this.#runCount >> 8) & 255, (this.#runCount >> 16) & 255],
    );
  }

  // Commands

  #apply(execution: Execution, command: Command): void {
    if (!execution.isOpen) {
      return;
    }
    const { startTimer, cancelTimer, scheduleActivity, requestCancelActivity, startChildWorkflowExecution } = command;
    if (startTimer != null) {
      execution.historyLength += 1;
      this.#startTimer(execution, startTimer.seq as number, this.clock.now() + tsToMs(startTimer.startToFireTimeout));
    } else if (cancelTimer != null) {
      this.#cancelTimer(execution, cancelTimer.seq as number);
    } else if (scheduleActivity != null) {
      execution.historyLength += 1;
      this.#scheduleActivity(execution, scheduleActivity);
    } else if (requestCancelActivity != null) {
      execution.historyLength += 1;
      execution.activities.get(requestCancelActivity.seq as number)?.requestCancel();
    } else if (startChildWorkflowExecution != null) {
      this.#startChild(execution, startChildWorkflowExecution);
    } else if (!this.#applyToOthers(execution, command) && !this.#applyEnd(execution, command)) {
      this.#describeAnew(execution, command);
    }
  }

  #applyToOthers(execution: Execution, command: Command): boolean {
    const {
      signalExternalWorkflowExecution: signal,
      requestCancelExternalWorkflowExecution: cancel,
      cancelChildWorkflowExecution,
    } = command;
    if (signal != null) {
      execution.historyLength += 2;
      const { seq, signalName, args } = signal;
      const { workflowId, runId } = signal.workflowExecution ?? { workflowId: signal.childWorkflowId, runId: '' };
      this.receive(() => {
        const target = this.findOpen(workflowId as string, runId ?? '');
        if (target !== null) {
          this.signal(target, signalName as string, args ?? []);
        }
        const failure = target === null ? { failure: notFound('Unable to signal external workflow because it was not found') } : {};
        this.#give(execution, {
          variant: 'resolveSignalExternalWorkflow',
          resolveSignalExternalWorkflow: { seq: seq as number, ...failure },
        });
      });
      return true;
    }
    if (cancel != null) {
      execution.historyLength += 2;
      const { workflowId, runId } = cancel.workflowExecution ?? {};
      this.receive(() => {
        const target = this.findOpen(workflowId as string, runId ?? '');
        if (target !== null) {
          this.cancel(target);
        }
        const failure = target === null ? { failure: notFound('Unable to cancel external workflow because it was not found') } : {};
        this.#give(execution, {
          variant: 'resolveRequestCancelExternalWorkflow',
          resolveRequestCancelExternalWorkflow: { seq: cancel.seq as number, ...failure },
        });
      });
      return true;
    }
    if (cancelChildWorkflowExecution != null) {
      const child = execution.children.get(cancelChildWorkflowExecution.childWorkflowSeq as number);
      this.receive(() => {
        const target = child?.runId == null ? null : this.findOpen(child.workflowId, child.runId);
        if (target !== null) {
          this.cancel(target);
        }
      });
      return true;
    }
    return false;
  }

  #applyEnd(execution: Execution, command: Command): boolean {
    const { completeWorkflowExecution, failWorkflowExecution, cancelWorkflowExecution, continueAsNewWorkflowExecution } = command;
    if (completeWorkflowExecution != null) {
      this.#close(execution, { status: 'COMPLETED', result: completeWorkflowExecution.result });
      return true;
    }
    if (failWorkflowExecution != null) {
      this.#close(execution, {
        status: 'FAILED',
        ...(failWorkflowExecution.failure == null ? {} : { failure: failWorkflowExecution.failure }),
      });
      return true;
    }
    if (cancelWorkflowExecution != null) {
      this.#close(execution, { status: 'CANCELLED', failure: CANCELLED });
      return true;
    }
    if (continueAsNewWorkflowExecution != null) {
      this.#continueAsNew(execution, continueAsNewWorkflowExecution);
      return true;
    }
    return false;
  }

  #continueAsNew(
    execution: Execution,
    { workflowType, arguments: args, memo, searchAttributes }: NonNullable<Command['continueAsNewWorkflowExecution']>,
  ): void {
    // What the run has upserted is lost.
    const { parent, runTimeoutMs, memo: firstMemo } = execution.settings;
    const { searchAttributes: ownAttributes } = execution;
    const isLast = this.find(execution.workflowId) === execution;
    this.#close(execution, { status: 'CONTINUED_AS_NEW', newRunId: isLast ? this.#nextRunId() : '' });
    this.start({
      type: workflowType === '' || workflowType == null ? execution.type : workflowType,
      workflowId: execution.workflowId,
      args: args ?? [],
      memo: (memo as Fields | null | undefined) ?? firstMemo,
      searchAttributes: (searchAttributes?.indexedFields as Fields | null | undefined) ?? ownAttributes,
      ...(parent === null ? {} : { parent }),
      runTimeoutMs,
      continued: execution,
    });
  }

  #nextRunId(): string {
    return `00000000-0000-4000-8000-${(this.#runCount + 1).toString(16).padStart(12, '0')}`;
  }

  #describeAnew(execution: Execution, command: Command): void {
    const { modifyWorkflowProperties, upsertWorkflowSearchAttributes, setPatchMarker, cancelSignalWorkflow } = command;
    if (modifyWorkflowProperties != null) {
      execution.historyLength += 1;
      execution.memo = merged(execution.memo, modifyWorkflowProperties.upsertedMemo?.fields);
      this.#showLater(execution);
    } else if (upsertWorkflowSearchAttributes != null) {
      execution.historyLength += 1;
      execution.searchAttributes = merged(execution.searchAttributes, upsertWorkflowSearchAttributes.searchAttributes?.indexedFields);
      this.#showLater(execution);
    } else if (setPatchMarker != null) {
      execution.historyLength += 2;
      execution.patches.push(setPatchMarker.patchId as string);
    } else if (cancelSignalWorkflow == null) {
      throw new Error(`the virtual Temporal does not know command ${JSON.stringify(command)}`);
    }
  }

  #startTimer(execution: Execution, seq: number, dueAt: number): void {
    execution.timersDue.set(seq, dueAt);
    execution.timers.set(
      seq,
      this.timer(dueAt, () => {
        execution.timers.delete(seq);
        execution.timersDue.delete(seq);
        execution.historyLength += 1;
        this.#give(execution, { variant: 'fireTimer', fireTimer: { seq } });
      }),
    );
  }

  #cancelTimer(execution: Execution, seq: number): void {
    const timer = execution.timers.get(seq);
    if (timer !== undefined) {
      timer.action = null;
    }
    execution.timers.delete(seq);
    execution.timersDue.delete(seq);
    execution.historyLength += 1;
  }

  // Children

  #startChild(execution: Execution, asked: NonNullable<Command['startChildWorkflowExecution']>): void {
    const { workflowType, input, memo, searchAttributes, workflowRunTimeout } = asked;
    const seq = asked.seq as number;
    const workflowId = asked.workflowId as string;
    const closePolicy = (['TERMINATE', 'TERMINATE', 'ABANDON', 'REQUEST_CANCEL'] as const)[asked.parentClosePolicy ?? 0] ?? 'TERMINATE';
    const state = { workflowId, runId: null as string | null };
    execution.children.set(seq, state);
    execution.historyLength += 2;
    this.receive(() => {
      if (!execution.isOpen && closePolicy !== 'ABANDON') {
        return;
      }
      const open = this.findOpen(workflowId);
      if (open !== null) {
        execution.children.delete(seq);
        this.#give(execution, {
          variant: 'resolveChildWorkflowExecutionStart',
          resolveChildWorkflowExecutionStart: { seq, failed: { workflowId, workflowType: workflowType as string, cause: 1 } },
        });
        return;
      }
      const child = this.start({
        type: workflowType as string,
        workflowId,
        args: input ?? [],
        memo: (memo as Fields | null | undefined) ?? {},
        searchAttributes: (searchAttributes?.indexedFields as Fields | null | undefined) ?? {},
        parent: { ...execution.name, seq, closePolicy },
        runTimeoutMs: workflowRunTimeout == null ? null : tsToMs(workflowRunTimeout),
      });
      state.runId = child.runId;
      this.#give(execution, {
        variant: 'resolveChildWorkflowExecutionStart',
        resolveChildWorkflowExecutionStart: { seq, succeeded: { runId: child.runId } },
      });
    });
  }

  /** A run that a reset made hears of the children of the run before. */
  #tellParent(child: Execution, { status, result, failure }: Close): void {
    const { parent } = child.settings;
    if (parent === null) {
      return;
    }
    this.receive(() => {
      const execution = this.findOpen(parent.workflowId, parent.runId) ?? this.findOpen(parent.workflowId);
      if (execution === null || execution.children.get(parent.seq)?.workflowId !== child.workflowId) {
        return;
      }
      execution.children.delete(parent.seq);
      execution.historyLength += 1;
      const failed = childFailure({ ...child.name, type: child.type }, failure ?? TERMINATED);
      const told =
        status === 'COMPLETED'
          ? { completed: { result: result ?? null } }
          : status === 'CANCELLED'
            ? { cancelled: { failure: failed } }
            : { failed: { failure: failed } };
      this.#give(execution, {
        variant: 'resolveChildWorkflowExecution',
        resolveChildWorkflowExecution: { seq: parent.seq, result: told },
      });
    });
  }

  #endChildren({ children }: Execution): void {
    for (const { workflowId, runId } of children.values()) {
      this.receive(() => {
        const child = runId === null ? null : this.#lastOf(workflowId, runId);
        const policy = child?.settings.parent?.closePolicy;
        if (child === null || policy === 'ABANDON') {
          return;
        }
        if (policy === 'REQUEST_CANCEL') {
          this.cancel(child);
        } else {
          this.terminate(child);
        }
      });
    }
  }

  /** The open run of a child whose first run is known. */
  #lastOf(workflowId: string, firstRunId: string): Execution | null {
    const open = this.findOpen(workflowId);
    return open !== null && open.settings.firstRunId === firstRunId ? open : null;
  }

  // Activities

  #scheduleActivity(execution: Execution, asked: NonNullable<Command['scheduleActivity']>): void {
    const task = new ActivityTask(this, execution, asked);
    execution.activities.set(task.seq, task);
    task.schedule();
  }

  activityEnded(task: ActivityTask, result: ActivityResult): void {
    const { execution, seq } = task;
    execution.activities.delete(seq);
    execution.historyLength += 2;
    this.#give(execution, { variant: 'resolveActivity', resolveActivity: { seq, result } as NonNullable<Job['resolveActivity']> });
  }

  /** To the workers of its queue. */
  offer(task: ActivityTask): void {
    const queue = this.#queueOf(task.taskQueue);
    this.receive(() => {
      queue.waiting.push(task);
      this.#poll(queue);
    });
  }

  attemptLeft(attempt: Attempt): void {
    const queue = this.#queueOf(attempt.task.taskQueue);
    queue.attempts.delete(attempt);
    if (queue.waiting.length > 0) {
      this.#poll(queue);
    }
  }

  #poll(queue: TaskQueue): void {
    const slots = this.#options.slots?.(queue.name) ?? 100;
    while (queue.isAlive && this.isUp && queue.attempts.size < slots && queue.waiting.length > 0) {
      const task = queue.waiting.shift() as ActivityTask;
      if (!task.isOver && task.isDispatched) {
        const attempt = new Attempt(this, task, this.#options.skewMs?.(queue.name) ?? 0);
        queue.attempts.add(attempt);
        const activity = this.#options.activities[queue.name]?.[task.type];
        attempt.begin(activity ?? unknownActivity(task.type, queue.name));
      }
    }
  }

  // Workers

  #queueOf(name: string): TaskQueue {
    const found = this.#queues.get(name);
    if (found !== undefined) {
      return found;
    }
    // A queue that nobody serves.
    const queue = { name, isAlive: false, waiting: [], attempts: new Set<Attempt>() };
    this.#queues.set(name, queue);
    return queue;
  }

  isWorkerAlive(name: string): boolean {
    return this.#queueOf(name).isAlive;
  }

  killWorker(name: string): void {
    const queue = this.#queueOf(name);
    if (!queue.isAlive) {
      return;
    }
    queue.isAlive = false;
    for (const attempt of queue.attempts) {
      attempt.die();
    }
    queue.attempts.clear();
    if (name === this.#options.workflowQueue) {
      for (const execution of this.#open) {
        execution.isUncached = true;
      }
    }
    this.hear({ kind: 'worker-killed', taskQueue: name });
  }

  startWorker(name: string): void {
    const queue = this.#queueOf(name);
    if (queue.isAlive) {
      return;
    }
    queue.isAlive = true;
    this.hear({ kind: 'worker-started', taskQueue: name });
    this.#poll(queue);
    if (name === this.#options.workflowQueue) {
      this.#takeWaiting(MISSED_AFTER_MS);
    }
  }

  #takeWaiting(missedMs: number): void {
    for (const execution of this.#waiting.splice(0)) {
      const waitMs = this.latency() + (execution.isUncached ? missedMs : 0);
      this.clock.add(this.clock.now() + waitMs, () => this.#offerTask(execution));
    }
  }
}

function initializeJob({ settings, memo, searchAttributes, type }: Execution): Job {
  return {
    variant: 'initializeWorkflow',
    initializeWorkflow: {
      workflowType: type,
      workflowId: settings.workflowId,
      arguments: [...settings.args],
      memo: { fields: { ...memo } },
      searchAttributes: { indexedFields: { ...searchAttributes } },
      headers: {},
    },
  };
}

/** As core hands them out: the beginning, then signals, then the rest. */
function inOrder(jobs: readonly Job[]): readonly Job[] {
  const rank = ({ variant }: Job): number => (variant === 'initializeWorkflow' ? 0 : variant === 'signalWorkflow' ? 1 : 2);
  return jobs.toSorted((one, other) => rank(one) - rank(other));
}

function merged(fields: Fields, changes: Readonly<Record<string, Payload | null>> | null | undefined): Fields {
  const next: Record<string, Payload> = { ...fields };
  for (const [key, value] of Object.entries(changes ?? {})) {
    if (value === null) {
      delete next[key];
    } else {
      next[key] = value;
    }
  }
  return next;
}

function unknownActivity(type: string, queue: string): () => Promise<never> {
  return async () => {
    throw new Error(`worker of ${queue} has no activity ${type}`);
  };
}

export function attributesOf(execution: { readonly searchAttributes: Fields }): ReturnType<typeof decodeTypedSearchAttributes> {
  return decodeTypedSearchAttributes({ ...execution.searchAttributes });
}
