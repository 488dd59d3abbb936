// What the virtual Temporal offers to the world that is simulated around it. Nothing here waits for real time.

import type { Client } from '@temporalio/client';

/** Virtual time, and all that waits for it. One clock may carry several Temporals. */
export interface VirtualClock {
  /** Milliseconds since 1970, as `Date.now()` is while the clock is installed. */
  now(): number;
  /**
   * Runs the action at that time, or next if it is over; it belongs to the world and outlives every worker. Nothing else happens until a promise
   * of it is settled, so it must not wait for a later time. Answers with what takes it back.
   */
  schedule(at: number, action: () => void | Promise<unknown>): () => void;
  /** Resolves after that time; inside an activity whose worker is killed meanwhile, never. */
  sleep(ms: number): Promise<void>;
  /** Lets everything happen that happens until then, in the order of its time. Throws what an action throws. */
  runUntil(at: number): Promise<void>;
  /** How many events have happened. */
  readonly events: number;
  /** Puts the computer's own clock and timers back. */
  uninstall(): void;
}

/** Any workflow; its input is checked by itself. */
export type AnyWorkflow = (...given: never[]) => Promise<unknown>;

/** Any activity. */
export type AnyActivity = (...given: never[]) => Promise<unknown>;

export interface VirtualTemporalOptions {
  readonly clock: VirtualClock;
  /** Between 0 and 1; it decides how long Temporal itself takes. */
  readonly random: () => number;
  /** By name, as `src/workflows/index.ts` exports them. */
  readonly workflows: Readonly<Record<string, AnyWorkflow>>;
  /** Of each task queue; a worker for each is alive from the beginning. */
  readonly activities: Readonly<Record<string, Readonly<Record<string, AnyActivity>>>>;
  /** Queue on which workflows run. */
  readonly workflowQueue: string;
  /** Hears what happens, for the story. */
  readonly hear?: (happening: Happening) => void;
  /** By how much the clock of the computer that serves a queue is wrong, in milliseconds. */
  readonly skewMs?: (taskQueue: string) => number;
  /** Activities at the same time on a queue; 100 without it. */
  readonly slots?: (taskQueue: string) => number;
  /** Longest lag of lists of executions, in milliseconds. */
  readonly visibilityLagMs?: number;
  /** How long closed executions are kept, in milliseconds. */
  readonly retentionMs?: number;
}

/** What happens in Temporal and in its workers. */
export type Happening = { readonly at: number } & (
  | { readonly kind: 'started'; readonly workflowId: string; readonly runId: string; readonly type: string }
  | { readonly kind: 'closed'; readonly workflowId: string; readonly runId: string; readonly type: string; readonly status: ClosedStatus }
  | { readonly kind: 'attempt-began'; readonly attempt: AttemptName }
  | { readonly kind: 'attempt-ended'; readonly attempt: AttemptName; readonly how: 'completed' | 'failed' | 'cancelled' | 'unheard' }
  | { readonly kind: 'activity-timed-out'; readonly attempt: AttemptName; readonly timeout: TimeoutName }
  /** A workflow's code threw what is no failure of Temporal: the execution stands still for good. */
  | { readonly kind: 'task-failed'; readonly workflowId: string; readonly runId: string; readonly type: string; readonly error: unknown }
  /** A call of one of the workflows' sinks. */
  | {
      readonly kind: 'sink';
      readonly workflowId: string;
      readonly sink: string;
      readonly method: string;
      readonly args: readonly unknown[];
    }
  | { readonly kind: 'worker-killed' | 'worker-started'; readonly taskQueue: string }
);

export interface AttemptName {
  readonly workflowId: string;
  readonly runId: string;
  readonly activity: string;
  readonly taskQueue: string;
  readonly attempt: number;
}

export type TimeoutName = 'START_TO_CLOSE' | 'SCHEDULE_TO_START' | 'SCHEDULE_TO_CLOSE' | 'HEARTBEAT';

export type ClosedStatus = 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED' | 'CONTINUED_AS_NEW' | 'TIMED_OUT';

export interface Started {
  readonly workflowId: string;
  readonly runId: string;
}

/** An execution as it is, without the lag of lists. */
export interface Described {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly status: 'RUNNING' | ClosedStatus;
  readonly memo: Readonly<Record<string, unknown>>;
  readonly startedAt: number;
  readonly closedAt: number | null;
  readonly parent: Started | null;
  /** What it waits for: activities by name with their attempt, `timer`, children by their id. */
  readonly pending: readonly string[];
}

/** How an execution ended. */
export type Outcome =
  | { readonly status: 'COMPLETED'; readonly result: unknown }
  | { readonly status: Exclude<ClosedStatus, 'COMPLETED'>; readonly error: Error };

export interface StartOptions {
  readonly workflowId: string;
  readonly args?: readonly unknown[];
  readonly memo?: Readonly<Record<string, unknown>>;
  readonly runTimeoutMs?: number;
}

export interface ScheduleSettings {
  readonly scheduleId: string;
  readonly workflowType: string;
  readonly args: readonly unknown[];
  readonly everyMs: number;
  readonly offsetMs: number;
  readonly runTimeoutMs: number;
  /** What was missed for longer than this, since Temporal was away, is left out. */
  readonly catchupMs: number;
  /** Search attributes of what it starts. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A Temporal in virtual time: its server, and one worker for each queue. */
export interface VirtualTemporal {
  /** For what takes a client of the SDK: handles, start, signalWithStart, list, describe of schedules. */
  readonly client: Client;
  /** Throws `WorkflowExecutionAlreadyStartedError` while one with that id is open. */
  start(type: string, options: StartOptions): Started;
  /** Each answers whether there was an open execution. */
  signal(workflowId: string, name: string, ...args: readonly unknown[]): boolean;
  cancel(workflowId: string): boolean;
  terminate(workflowId: string, reason?: string): boolean;
  /** Ends the newest run and starts another that remembers only what was before one of its activities began, by chance or the last; `null` if it began none. */
  reset(workflowId: string, before?: 'any' | 'last'): Promise<Started | null>;
  /** The newest run, or that one; `null` for none, or where its retention is over. */
  describe(workflowId: string, runId?: string): Described | null;
  /** `null` while it runs. */
  outcome(workflowId: string, runId?: string): Outcome | null;
  /** Resolves as soon as the run, and those that continue it, have ended; somebody must let time pass. */
  result(workflowId: string, runId?: string): Promise<Outcome>;
  /** All that are open, oldest first. */
  open(): readonly Described[];
  addSchedule(settings: ScheduleSettings): void;
  pauseSchedule(scheduleId: string, isPaused: boolean): void;
  /** As by SIGKILL: what it was at is lost, and its time runs out at the server. */
  killWorker(taskQueue: string): void;
  startWorker(taskQueue: string): void;
  isWorkerAlive(taskQueue: string): boolean;
  /** The server is away: nothing begins, no time-out is heard, calls of clients and workers wait until it is back. */
  stopServer(): void;
  startServer(): void;
  /**
   * The same port, for use inside activities: what an attempt asks whose worker was killed is never asked, and an answer for it never comes.
   * What the port does in the world goes on all the same.
   */
  perishable<Port extends object>(port: Port): Port;
}
