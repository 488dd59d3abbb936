// Real time, in which the world's events happen.

import { setTimeout as delay } from 'node:timers/promises';
import { EventQueue, type QueuedEvent } from '../temporal/event-queue.ts';
import type { VirtualClock } from '../temporal/index.ts';
import type { Progress } from './skipped-clock.ts';

/** Between two looks at what is due. */
const STEP_MS = 50;

export class WallClock implements VirtualClock {
  events = 0;
  readonly skewMs = 0;
  readonly #queue = new EventQueue();
  readonly #progress: Progress;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  now(): number {
    return Date.now();
  }

  schedule(at: number, action: () => void | Promise<unknown>): () => void {
    const event = this.add(at, action);
    return () => {
      event.action = null;
    };
  }

  add(at: number, action: () => void | Promise<unknown>): QueuedEvent {
    return this.#queue.add(at, action);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.add(this.now() + ms, resolve);
    });
  }

  noteWork(): void {}

  async runUntil(at: number): Promise<void> {
    while (this.now() < at) {
      for (let event = this.#queue.takeUntil(this.now()); event !== null; event = this.#queue.takeUntil(this.now())) {
        this.events += 1;
        await event.action?.();
      }
      // A server that was killed keeps people waiting, and the world goes on.
      void this.#progress.sent();
      void this.#progress.look().catch(() => {});
      await delay(Math.max(1, Math.min(STEP_MS, at - this.now())));
    }
  }

  uninstall(): void {}
}
