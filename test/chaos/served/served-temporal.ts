// What plays and invariants use of Temporal, on a real server: what they ask for at once was looked up a moment ago.

import { Client, WorkflowNotFoundError, type Connection, type WorkflowExecutionDescription } from '@temporalio/client';
import { healthScheduleId, machineLedgerId, machineLockId, MAIN_QUEUE, queueScheduleId } from '../../../src/domain/names.ts';
import type { Alert } from '../../../src/domain/alert.ts';
import type { InstallationSettings } from '../installation.ts';
import type { ClosedStatus, Described, Outcome, VirtualClock } from '../temporal/index.ts';
import { createGitHubPort } from '../world/github-port.ts';
import { SimulatedMachines } from '../world/machine-port.ts';
import { MINUTE, SECOND } from '../world/time.ts';
import type { World } from '../world/world.ts';
import { WorkerProcess } from './worker-process.ts';
import type { Execution } from './wire.ts';

/** The server that workers and people go to. */
export interface Served {
  readonly address: string;
  readonly namespace: string;
  readonly connection: Connection;
  /** Whether its time is not the computer's. */
  readonly isSkipped: boolean;
  /** Kills it; resolves once it answers again. */
  readonly crash: () => Promise<void>;
}

export interface ServedClock extends VirtualClock {
  /** Somebody has just done something. */
  noteWork(): void;
}

/** Executions are looked at so often while one is at work. */
const LOOK_MS = 2 * SECOND;
/** What the test server does not skip is time in which a workflow's task waits for a worker, so a killed one is started again at once. */
const AWAY_MS = 100;

interface Known {
  readonly described: Described;
  readonly isTold: boolean;
}

export class ServedTemporal {
  readonly worker: WorkerProcess;
  readonly #client: Client;
  readonly #served: Served;
  readonly #clock: ServedClock;
  readonly #world: World;
  readonly #settings: InstallationSettings;
  /** The newest run that is known, by workflow id. */
  readonly #known = new Map<string, Known>();
  readonly #ledgers = new Map<string, Described>();
  readonly #recent = new Map<string, { readonly at: number; readonly workflowId: string; readonly runId: string }[]>();
  #sent: Promise<unknown>[] = [];
  /** Calls that are the last of their process, by number. */
  readonly #deaths: ReadonlySet<number>;
  #calls = 0;
  #lookedAt = 0;
  #isClosed = false;

  constructor(
    served: Served,
    clock: ServedClock,
    world: World,
    settings: InstallationSettings & { readonly workflowBundle: string; readonly deaths: number },
  ) {
    const { connection, namespace, address, isSkipped } = served;
    this.#client = new Client({ connection, namespace });
    this.#served = served;
    this.#clock = clock;
    this.#world = world;
    this.#settings = settings;
    const { name, targets, workflowBundle, deaths } = settings;
    this.#deaths = new Set(Array.from({ length: deaths }, (_, index) => world.chance.between(`death ${index}`, 3, 3 + 60 * deaths)));
    const machines = new SimulatedMachines(world, name);
    this.worker = new WorkerProcess(() => ({ address, namespace, isSkipped, workflowBundle, targets, now: clock.now() }), {
      ports: {
        github: createGitHubPort(world, name),
        machine: machines,
        looks: { observeAll: machines.observeAll },
        people: { tell: async (alert: Alert) => this.#tell(alert) },
        schedules: { describe: async (scheduleId: string) => this.#describeSchedule(scheduleId) },
      },
      hear: (execution) => this.#hear(execution),
      dies: () => this.#dies(),
      died: () => this.#startSoon(),
    });
    this.#send(() => this.worker.start());
    if (settings.hasSchedules) {
      for (const scope of new Set(targets.map((target) => target.scope))) {
        this.#keepSchedule(healthScheduleId(scope), 'checkHealth', scope, 15 * MINUTE);
        if (scope.includes('/')) {
          this.#keepSchedule(queueScheduleId(scope), 'maintainQueue', scope, 360 * MINUTE);
        }
      }
    }
  }

  // What people do

  start(type: string, { workflowId, args = [] }: { readonly workflowId: string; readonly args?: readonly unknown[] }) {
    this.#send(async () => {
      const { firstExecutionRunId: runId } = await this.#client.workflow.start(type, {
        workflowId,
        taskQueue: MAIN_QUEUE,
        args: [...args],
      });
      this.#hear({ workflowId, runId, workflowType: type });
    });
    return { workflowId, runId: '' };
  }

  cancel(workflowId: string): boolean {
    this.#send(() => this.#client.workflow.getHandle(workflowId).cancel());
    return true;
  }

  terminate(workflowId: string): boolean {
    this.#send(() => this.#client.workflow.getHandle(workflowId).terminate('by hand'));
    return true;
  }

  /** The test server can't. */
  async reset(): Promise<null> {
    return null;
  }

  open(): readonly Described[] {
    return [...this.#known.values()].map(({ described }) => described).filter(({ status }) => status === 'RUNNING');
  }

  describe(workflowId: string): Described | null {
    return this.#ledgers.get(workflowId) ?? this.#known.get(workflowId)?.described ?? null;
  }

  // Workers

  /** All queues have one process. */
  killWorker(): void {
    this.worker.kill();
  }

  /** A server of one's own starts again at once. */
  stopServer(): void {
    this.#send(() => this.#served.crash());
  }

  startServer(): void {}

  startWorker(): void {}

  isWorkerAlive(): boolean {
    return this.worker.isAlive;
  }

  /** By the number of the call. */
  #dies(): 'before' | 'after' | null {
    const { facts, runners, chance } = this.#world;
    this.#calls += 1;
    if (!this.#deaths.has(this.#calls)) {
      return null;
    }
    const touches = runners.map(({ name }) => name);
    facts.note({ kind: 'fault', what: 'the worker is killed in the middle of a call', touches, until: this.#clock.now() });
    return chance.isSo('before the call', 0.5) ? 'before' : 'after';
  }

  #startSoon(): void {
    this.#clock.schedule(this.#clock.now() + AWAY_MS, () => this.#send(() => this.worker.start()));
  }

  // Schedules

  #keepSchedule(scheduleId: string, type: string, scope: string, runTimeoutMs: number): void {
    const everyMs = this.#settings.everyMinutes * MINUTE;
    this.#recent.set(scheduleId, []);
    const wait = (at: number): void => {
      this.#clock.schedule(at, () => {
        wait(at + everyMs);
        const [last] = this.#recent.get(scheduleId)?.slice(-1) ?? [];
        if (last !== undefined && this.#known.get(last.workflowId)?.described.status === 'RUNNING') {
          return;
        }
        const workflowId = `${scheduleId}-${new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')}`;
        this.#send(async () => {
          const options = { workflowId, taskQueue: MAIN_QUEUE, args: [{ scope }], workflowRunTimeout: runTimeoutMs };
          const { firstExecutionRunId: runId } = await this.#client.workflow.start(type, options);
          this.#recent.get(scheduleId)?.push({ at, workflowId, runId });
          this.#hear({ workflowId, runId, workflowType: type });
        });
      });
    };
    wait(this.#clock.now() + (scheduleId.length % 5) * 47 * SECOND);
  }

  #describeSchedule(scheduleId: string) {
    const recent = this.#recent.get(scheduleId)?.slice(-10) ?? [];
    return {
      info: {
        recentActions: recent.map(({ at, workflowId, runId }) => ({
          takenAt: new Date(at),
          action: { type: 'startWorkflow', workflow: { workflowId, firstExecutionRunId: runId } },
        })),
      },
    };
  }

  // What becomes of executions

  #hear({ workflowId, runId, workflowType: type }: Execution): void {
    this.#clock.noteWork();
    const known = this.#known.get(workflowId);
    if (known?.described.runId === runId) {
      return;
    }
    const described = {
      workflowId,
      runId,
      type,
      status: 'RUNNING',
      memo: {},
      startedAt: this.#clock.now(),
      closedAt: null,
      parent: null,
      pending: [],
    } as const;
    this.#known.set(workflowId, { described, isTold: true });
    this.#note({ workflowId, runId, type, what: 'began', outcome: '', summary: '' });
  }

  async look(): Promise<void> {
    if (this.#clock.now() - this.#lookedAt < LOOK_MS) {
      return;
    }
    this.#lookedAt = this.#clock.now();
    const { targets } = this.#settings;
    const locks = [...new Set(targets.map(({ host, machine }) => machineLockId(host, machine)))];
    await Promise.all([...locks.map((id) => this.#lookAtLock(id)), ...[...this.#known.values()].map((known) => this.#lookAt(known))]);
  }

  async #lookAtLock(workflowId: string): Promise<void> {
    const found = await this.#find(workflowId);
    if (found !== null) {
      this.#known.set(workflowId, { described: describedOf(found), isTold: false });
    }
  }

  async #lookAt({ described: { workflowId, runId, status }, isTold }: Known): Promise<void> {
    if (status !== 'RUNNING' || !isTold) {
      return;
    }
    const found = await this.#find(workflowId, runId);
    if (found === null || found.status.name === 'RUNNING') {
      return;
    }
    const described = describedOf(found);
    if (this.#known.get(workflowId)?.described.runId === runId) {
      this.#known.set(workflowId, { described, isTold });
    }
    await this.#readLedgers();
    const ended = await this.#outcomeOf(workflowId, runId, described.status as ClosedStatus);
    const { outcome = described.status, summary = '' } =
      (ended.status === 'COMPLETED' ? (ended.result as { outcome?: string; summary?: string } | null) : null) ?? {};
    this.#note({ workflowId, runId, type: described.type, what: 'ended', outcome, summary });
  }

  async #readLedgers(): Promise<void> {
    for (const { host, machine } of this.#settings.targets) {
      const id = machineLedgerId(host, machine);
      const found = await this.#find(id);
      if (found !== null) {
        this.#ledgers.set(id, describedOf(found));
      }
    }
  }

  async #outcomeOf(workflowId: string, runId: string, status: ClosedStatus): Promise<Outcome> {
    if (status !== 'COMPLETED') {
      return { status, error: new Error(status) };
    }
    return { status, result: await this.#client.workflow.getHandle(workflowId, runId, { followRuns: false }).result() };
  }

  async #find(workflowId: string, runId?: string): Promise<WorkflowExecutionDescription | null> {
    try {
      return await this.#client.workflow.getHandle(workflowId, runId).describe();
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        return null;
      }
      throw error;
    }
  }

  #tell({ subject, code, state, text }: Alert): void {
    this.#world.advance();
    this.#world.facts.note({ kind: 'told', installation: this.#settings.name, subject, code, state, text });
  }

  #note(about: {
    readonly workflowId: string;
    readonly runId: string;
    readonly type: string;
    readonly what: 'began' | 'ended';
    readonly outcome: string;
    readonly summary: string;
  }): void {
    this.#world.advance();
    this.#world.facts.note({ kind: 'operation', installation: this.#settings.name, ...about });
  }

  // Calls on their way

  #send(call: () => Promise<unknown>): void {
    this.#sent.push(
      call().catch((error: unknown) => {
        // Ended meanwhile, or begun by another.
        if (!this.#isClosed && !['WorkflowNotFoundError', 'WorkflowExecutionAlreadyStartedError'].includes((error as Error).name)) {
          throw error;
        }
      }),
    );
  }

  async sent(): Promise<void> {
    await Promise.all(this.#sent.splice(0));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.worker.end();
    await this.sent();
  }
}

function describedOf({
  workflowId,
  runId,
  type,
  status,
  memo,
  startTime,
  closeTime,
  parentExecution,
}: WorkflowExecutionDescription): Described {
  const { workflowId: parentId, runId: parentRun } = parentExecution ?? {};
  return {
    workflowId,
    runId,
    type,
    status: status.name as Described['status'],
    memo: memo ?? {},
    startedAt: startTime.getTime(),
    closedAt: closeTime?.getTime() ?? null,
    parent: parentId == null ? null : { workflowId: parentId, runId: parentRun ?? '' },
    pending: [],
  };
}
