import type { Payload } from '@temporalio/common';
import type { ActivityTask } from './activity-task.ts';
import type { QueuedEvent } from './event-queue.ts';
import { fromFields, type Failure, type Fields } from './payloads.ts';
import type { ClosedStatus, Described, Started } from './port.ts';
import type { Job, WorkflowRuntime } from './workflow-runtime.ts';

export interface Parent extends Started {
  readonly seq: number;
  readonly closePolicy: 'TERMINATE' | 'ABANDON' | 'REQUEST_CANCEL';
}

export interface ChildState {
  readonly workflowId: string;
  /** Its first run, once it was started. */
  runId: string | null;
}

/** Jobs of one workflow task that was done, for a reset. */
export interface DoneTask {
  readonly at: number;
  readonly jobs: readonly Job[];
  readonly historyLength: number;
  readonly beganActivity: boolean;
}

export interface Close {
  readonly status: ClosedStatus;
  readonly result?: Payload | null | undefined;
  readonly failure?: Failure;
  readonly newRunId?: string;
}

export interface ExecutionSettings {
  readonly workflowId: string;
  readonly runId: string;
  readonly firstRunId: string;
  readonly type: string;
  readonly args: readonly Payload[];
  readonly memo: Fields;
  readonly searchAttributes: Fields;
  readonly parent: Parent | null;
  readonly startedAt: number;
  readonly runTimeoutMs: number | null;
  readonly continuedFrom: string | null;
}

/** One run. */
export class Execution {
  readonly settings: ExecutionSettings;
  runtime: WorkflowRuntime | null = null;
  memo: Fields;
  searchAttributes: Fields;
  closed: Close | null = null;
  closedAt: number | null = null;
  /** Waiting for the next workflow task. */
  jobs: Job[] = [];
  isTaskScheduled = false;
  /** Nothing goes on after the code threw what is no failure of Temporal. */
  isStuck = false;
  /** Whether the worker that knew it was killed: its next task waits for it in vain for a while. */
  isUncached = false;
  historyLength = 2;
  readonly timers = new Map<number, QueuedEvent>();
  /** When they are due. */
  readonly timersDue = new Map<number, number>();
  readonly activities = new Map<number, ActivityTask>();
  readonly children = new Map<number, ChildState>();
  readonly done: DoneTask[] = [];
  /** That the code has asked for. */
  readonly patches: string[] = [];
  readonly waiters: ((execution: Execution) => void)[] = [];
  /** What lists show of it, which lags. */
  listed: { readonly isOpen: boolean; readonly memo: Fields; readonly searchAttributes: Fields } | null = null;
  runTimeout: QueuedEvent | null = null;

  constructor(settings: ExecutionSettings) {
    this.settings = settings;
    this.memo = settings.memo;
    this.searchAttributes = settings.searchAttributes;
  }

  get workflowId(): string {
    return this.settings.workflowId;
  }

  get runId(): string {
    return this.settings.runId;
  }

  get type(): string {
    return this.settings.type;
  }

  get isOpen(): boolean {
    return this.closed === null;
  }

  get name(): Started {
    return { workflowId: this.workflowId, runId: this.runId };
  }

  describe(): Described {
    const { parent, startedAt } = this.settings;
    return {
      ...this.name,
      type: this.type,
      status: this.closed?.status ?? 'RUNNING',
      memo: fromFields(this.memo),
      startedAt,
      closedAt: this.closedAt,
      parent: parent === null ? null : { workflowId: parent.workflowId, runId: parent.runId },
      pending: [
        ...[...this.activities.values()].map(({ type, attempt }) => `${type} (attempt ${attempt})`),
        ...[...this.timers.keys()].map(() => 'timer'),
        ...[...this.children.values()].map(({ workflowId }) => workflowId),
      ],
    };
  }
}
