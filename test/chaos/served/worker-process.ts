// The worker's process, which is killed without a word and started again; the world answers its calls.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { asyncLocalStorage, Context } from '@temporalio/activity';
import { CallGivenUp } from '../../../src/machine/port.ts';
import { pack, unpack, wireError, type Execution, type FromWorker, type PortName, type ToWorker, type WorkerOrder } from './wire.ts';

const PROGRAM = fileURLToPath(new URL('worker.ts', import.meta.url));

type FromCall = Extract<FromWorker, { kind: 'call' }>;

/**
 * The test server goes on handing tasks to polls of a process that is gone, and takes each back only once it has timed out, in real time. So a
 * process that dies asks for no more so many real milliseconds before, and nothing else of it is heard.
 */
const LAST_ASKED_MS = 500;

export interface Ports {
  /** Called in the place of the activity that asks. */
  readonly ports: Readonly<Record<PortName, object>>;
  /** An activity begins: its execution is at work. */
  readonly hear: (execution: Execution) => void;
  /** Whether the process is killed instead of hearing an answer, or before its call is heard. */
  readonly dies: () => 'before' | 'after' | null;
  /** It was killed, and nothing of it is heard any more. */
  readonly died: () => void;
}

export class WorkerProcess {
  readonly #order: () => WorkerOrder;
  readonly #ports: Ports;
  #child: ChildProcess | null = null;
  #isSkipped = false;
  readonly #calls = new Map<number, { readonly controller: AbortController; readonly of: ChildProcess }>();
  readonly #activities = new Map<ChildProcess, number>();
  #ticked: ((now: number) => void) | null = null;
  kills = 0;

  constructor(order: () => WorkerOrder, ports: Ports) {
    this.#order = order;
    this.#ports = ports;
  }

  get isAlive(): boolean {
    return this.#child !== null;
  }

  /** Whether activities are under way in it. */
  get isBusy(): boolean {
    return this.#child !== null && (this.#activities.get(this.#child) ?? 0) > 0;
  }

  async start(): Promise<void> {
    if (this.#child !== null) {
      return;
    }
    const order = this.#order();
    this.#isSkipped = order.isSkipped;
    const child = fork(PROGRAM, [JSON.stringify(order)], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    this.#activities.set(child, 0);
    const ready = new Promise<void>((resolve, reject) => {
      child.once('exit', (code, signal) => {
        this.#activities.delete(child);
        if (signal === 'SIGKILL') {
          resolve();
        } else {
          reject(new Error(`the worker's process ended with ${code ?? signal}`));
        }
      });
      child.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') {
          resolve();
        } else if (this.#child === child) {
          this.#receive(child, message);
        }
      });
    });
    await ready;
  }

  kill(): void {
    const child = this.#child;
    if (child === null) {
      return;
    }
    this.#child = null;
    this.kills += 1;
    if (this.#isSkipped && child.connected) {
      child.send({ kind: 'ask no more' } satisfies ToWorker);
      setTimeout(() => child.kill('SIGKILL'), LAST_ASKED_MS);
    } else {
      child.kill('SIGKILL');
    }
    this.#ticked?.(0);
    this.#ports.died();
  }

  async end(): Promise<void> {
    const child = this.#child;
    this.kill();
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      await once(child, 'exit');
    }
  }

  /** Lets its timers fire that are due by now. */
  async tick(now: number): Promise<void> {
    const child = this.#child;
    if (child === null) {
      await turn();
      return;
    }
    await new Promise<void>((resolve) => {
      this.#ticked = (at) => {
        if (at === now || at === 0) {
          this.#ticked = null;
          resolve();
        }
      };
      this.#send(child, { kind: 'tick', now });
    });
  }

  #send(child: ChildProcess, message: ToWorker): void {
    if (this.#child === child && child.connected) {
      child.send(message);
    }
  }

  #receive(child: ChildProcess, message: FromWorker): void {
    switch (message.kind) {
      case 'call':
        this.#serve(child, message);
        break;
      case 'abort': {
        const { name, message: text, kind } = message.reason;
        const reason = Object.assign(kind === 'given-up' ? new CallGivenUp(text) : new Error(text), { name });
        this.#calls.get(message.id)?.controller.abort(reason);
        break;
      }
      case 'activity':
        this.#activities.set(child, (this.#activities.get(child) ?? 0) + (message.what === 'begins' ? 1 : -1));
        if (message.what === 'begins') {
          this.#ports.hear(message.execution);
        }
        break;
      case 'ticked':
        this.#ticked?.(message.now);
        break;
      case 'ready':
        break;
    }
  }

  #serve(child: ChildProcess, { id, port, method, args, execution }: FromCall): void {
    const dies = port === 'people' || port === 'schedules' ? null : this.#ports.dies();
    if (dies === 'before') {
      this.kill();
      return;
    }
    const controller = new AbortController();
    this.#calls.set(id, { controller, of: child });
    const context = { signal: controller.signal, heartbeat: (doing: string) => this.#send(child, { kind: 'beat', id, doing }) };
    const target = this.#ports.ports[port];
    const ask = async (): Promise<unknown> =>
      (Reflect.get(target, method) as (...given: unknown[]) => unknown).apply(
        target,
        args.map((each) => unpack(each, context)),
      );
    void inPlaceOf(execution, ask)
      .then(
        (value) => ({ kind: 'answer' as const, id, value: pack(value) }),
        (error: unknown) => ({ kind: 'answer' as const, id, error: wireError(error) }),
      )
      .then((answer) => {
        this.#calls.delete(id);
        if (dies === 'after' && this.#child === child) {
          this.kill();
        }
        this.#send(child, answer);
      });
  }
}

/** The world asks on whose behalf it is called, as it would inside the activity. */
function inPlaceOf<T>(execution: Execution | null, work: () => Promise<T>): Promise<T> {
  if (execution === null) {
    return work();
  }
  const { workflowId, runId, workflowType } = execution;
  const context = Object.assign(Object.create(Context.prototype) as Context, {
    info: { workflowExecution: { workflowId, runId }, workflowType },
  });
  return asyncLocalStorage.run(context, work);
}
