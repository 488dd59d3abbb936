// The clock of one Temporal server, which may be wrong.

import { currentProcess } from './temporal/clock.ts';
import type { Clock } from './temporal/clock.ts';
import type { VirtualClock } from './temporal/index.ts';

type QueuedEvent = ReturnType<Clock['add']>;

export class ServerClock implements VirtualClock {
  readonly #base: Clock;
  readonly #server = { isAlive: true, skewMs: 0 };

  constructor(base: Clock) {
    this.#base = base;
  }

  /** By how much it is ahead. Milliseconds. */
  set skewMs(ms: number) {
    this.#server.skewMs = ms;
  }

  get skewMs(): number {
    return this.#server.skewMs;
  }

  get events(): number {
    return this.#base.events;
  }

  now(): number {
    return this.#base.now() + this.skewMs;
  }

  schedule(at: number, action: () => void): () => void {
    return this.#base.schedule(at - this.skewMs, action);
  }

  /** What the server does, its workflows included, happens by its clock. */
  add(at: number, action: () => void | Promise<unknown>): QueuedEvent {
    const { skewMs } = this;
    if (skewMs === 0) return this.#base.add(at, action);
    return this.#base.add(at - skewMs, () => currentProcess.run(this.#server, action));
  }

  sleep(ms: number): Promise<void> {
    return this.#base.sleep(ms);
  }

  runUntil(at: number): Promise<void> {
    return this.#base.runUntil(at - this.skewMs);
  }

  at<T>(time: number, work: () => Promise<T>): Promise<T> {
    return this.#base.at(time - this.skewMs, work);
  }

  uninstall(): void {
    this.#base.uninstall();
  }
}
