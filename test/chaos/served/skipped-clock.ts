// The time of a server that skips what nothing happens in. The world's events happen by it.

import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { EventQueue, type QueuedEvent } from '../temporal/event-queue.ts';
import type { VirtualClock } from '../temporal/index.ts';
import type { WorkerProcess } from './worker-process.ts';

/** While somebody works, time passes in such steps, each of which leaves server and worker room to do what is due. */
const STEP_MS = 400;
/** While nobody does, in longer ones; what a workflow's timer begins meanwhile may begin so late. */
const LONG_STEP_MS = 12_000;
/** Somebody is at work for so long after an activity. */
const AT_WORK_MS = 8_000;

export interface Progress {
  /** The worker's process, once there is one. */
  readonly worker: () => WorkerProcess | null;
  /** Calls of the world's people, which are on their way. */
  readonly sent: () => Promise<unknown>;
  /** Looks what has become of executions. */
  readonly look: () => Promise<void>;
}

export class SkippedClock implements VirtualClock {
  events = 0;
  readonly skewMs = 0;
  readonly #queue = new EventQueue();
  readonly #server: Pick<TestWorkflowEnvironment, 'sleep' | 'currentTimeMs'>;
  readonly #progress: Progress;
  #now: number;
  #workedAt = 0;

  constructor(server: Pick<TestWorkflowEnvironment, 'sleep' | 'currentTimeMs'>, now: number, progress: Progress) {
    this.#server = server;
    this.#now = now;
    this.#progress = progress;
  }

  now(): number {
    return this.#now;
  }

  schedule(at: number, action: () => void | Promise<unknown>): () => void {
    const event = this.add(at, action);
    return () => {
      event.action = null;
    };
  }

  add(at: number, action: () => void | Promise<unknown>): QueuedEvent {
    return this.#queue.add(Math.max(at, this.#now), action);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.add(this.#now + ms, resolve);
    });
  }

  /** Somebody has just done something. */
  noteWork(): void {
    this.#workedAt = this.#now;
  }

  async runUntil(at: number): Promise<void> {
    while (this.#now < at) {
      await this.#happen();
      const step = this.#isAtWork() ? STEP_MS : LONG_STEP_MS;
      const next = Math.min(at, this.#queue.nextAt() ?? at, this.#now + step);
      await this.#pass(Math.max(1, next - this.#now));
    }
    await this.#happen();
  }

  uninstall(): void {}

  #isAtWork(): boolean {
    const worker = this.#progress.worker();
    return worker?.isBusy === true || this.#now - this.#workedAt < AT_WORK_MS;
  }

  /** All that is due. */
  async #happen(): Promise<void> {
    for (let event = this.#queue.takeUntil(this.#now); event !== null; event = this.#queue.takeUntil(this.#now)) {
      this.events += 1;
      await event.action?.();
    }
    await this.#progress.sent();
  }

  async #pass(ms: number): Promise<void> {
    await this.#server.sleep(ms);
    this.#now = Math.max(this.#now + ms, await this.#server.currentTimeMs());
    await this.#progress.worker()?.tick(this.#now);
    await this.#progress.look();
  }
}
