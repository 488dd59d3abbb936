// Virtual time in place of the computer's own: `Date`, timers and `performance.now` of the whole process.

import { AsyncLocalStorage } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';
import { performance as realPerformance } from 'node:perf_hooks';
import timersPromises from 'node:timers/promises';
import { EventQueue, type QueuedEvent } from './event-queue.ts';
import type { VirtualClock } from './port.ts';

/** A process of which something may be running: its timers end with it, and its clock may be wrong. */
export interface SimulatedProcess {
  isAlive: boolean;
  /** Milliseconds. */
  skewMs: number;
}

/** The process whose code is running. */
export const currentProcess = new AsyncLocalStorage<SimulatedProcess>();

/** A promise that is never settled; one for all would keep all that ever waited for it. */
export function never(): Promise<never> {
  return new Promise(() => {});
}

const RealDate = globalThis.Date;
const real = {
  Date: RealDate,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
};
const realPerformanceNow = realPerformance.now.bind(realPerformance);
const realDelay = timersPromises.setTimeout;
const realImmediate = globalThis.setImmediate;

let installed: Clock | null = null;

export class Clock implements VirtualClock {
  events = 0;
  readonly #queue = new EventQueue();
  readonly #beganAt: number;
  #now: number;
  /** A time that a replay is at. */
  #replayed: number | null = null;

  constructor(at: number) {
    this.#now = at;
    this.#beganAt = at;
    install(this);
  }

  now(): number {
    return this.#replayed ?? this.#now;
  }

  get beganAt(): number {
    return this.#beganAt;
  }

  schedule(at: number, action: () => void | Promise<unknown>): () => void {
    const event = this.add(at, action);
    return () => {
      event.action = null;
    };
  }

  /** The same without what takes it back. */
  add(at: number, action: () => void | Promise<unknown>): QueuedEvent {
    return this.#queue.add(Math.max(at, this.#now), action);
  }

  sleep(ms: number): Promise<void> {
    const process = currentProcess.getStore();
    return new Promise((resolve) => {
      this.add(this.#now + ms, () => {
        if (process?.isAlive !== false) {
          resolve();
        }
      });
    });
  }

  async runUntil(at: number): Promise<void> {
    await drained();
    for (;;) {
      const event = this.#queue.takeUntil(at);
      if (event === null) {
        break;
      }
      this.#now = event.at;
      this.events += 1;
      const { action } = event;
      // What may take it back later has nothing left to take back.
      event.action = null;
      const ending = action?.();
      if (ending !== undefined) {
        await ending;
      }
      await drained();
    }
    this.#now = Math.max(at, this.#now);
  }

  /** Runs something as if it were another time. */
  async at<T>(time: number, work: () => Promise<T>): Promise<T> {
    this.#replayed = time;
    try {
      return await work();
    } finally {
      this.#replayed = null;
    }
  }

  uninstall(): void {
    uninstall(this);
  }
}

/** Turns that are taken before the process's own events, such as a signal, get one. */
const TURNS = 5_000;
let turns = 0;

/** Once all that hangs on promises alone has happened: Node takes the next tick only when no promise has anything left to do. */
export function drained(): Promise<void> {
  turns += 1;
  return new Promise((resolve) => {
    if (turns % TURNS === 0) {
      realImmediate(resolve);
    } else {
      process.nextTick(resolve);
    }
  });
}

function install(clock: Clock): void {
  if (installed !== null) {
    throw new Error('a process has one virtual clock at a time');
  }
  installed = clock;
  const skewed = (): number => clock.now() + (currentProcess.getStore()?.skewMs ?? 0);
  globalThis.Date = virtualDate(skewed);
  const timers = new VirtualTimers(clock);
  globalThis.setTimeout = ((callback: Callback, ms?: number, ...args: unknown[]) =>
    timers.set(callback, ms, args, null)) as unknown as typeof setTimeout;
  globalThis.setInterval = ((callback: Callback, ms?: number, ...args: unknown[]) =>
    timers.set(callback, ms, args, Math.max(1, ms ?? 1))) as unknown as typeof setInterval;
  globalThis.clearTimeout = ((timer?: VirtualTimer) => timer?.end()) as unknown as typeof clearTimeout;
  globalThis.clearInterval = globalThis.clearTimeout as unknown as typeof clearInterval;
  realPerformance.now = () => clock.now() - clock.beganAt;
  timersPromises.setTimeout = (async (ms?: number, value?: unknown) => {
    await clock.sleep(ms ?? 1);
    return value;
  }) as typeof timersPromises.setTimeout;
  syncBuiltinESMExports();
}

function uninstall(clock: Clock): void {
  if (installed !== clock) {
    return;
  }
  installed = null;
  Object.assign(globalThis, real);
  realPerformance.now = realPerformanceNow;
  timersPromises.setTimeout = realDelay;
  syncBuiltinESMExports();
}

function virtualDate(now: () => number): DateConstructor {
  class VirtualDate extends RealDate {
    constructor(...given: [] | [number]) {
      if (given.length === 0) {
        super(now());
      } else {
        super(...given);
      }
    }

    static override now(): number {
      return now();
    }
  }
  return VirtualDate as unknown as DateConstructor;
}

type Callback = (...args: unknown[]) => void;

class VirtualTimer {
  event: QueuedEvent | null = null;
  isOver = false;

  end(): void {
    this.isOver = true;
    if (this.event !== null) {
      this.event.action = null;
    }
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  [Symbol.toPrimitive](): number {
    return 0;
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

class VirtualTimers {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(callback: Callback, ms: number | undefined, args: readonly unknown[], everyMs: number | null): VirtualTimer {
    const process = currentProcess.getStore();
    const inContext = AsyncLocalStorage.snapshot();
    const timer = new VirtualTimer();
    const fire = (): void => {
      if (process?.isAlive === false || timer.isOver) {
        return;
      }
      if (everyMs !== null) {
        timer.event = this.#clock.add(this.#clock.now() + everyMs, fire);
      }
      inContext(() => callback(...args));
    };
    timer.event = this.#clock.add(this.#clock.now() + Math.max(1, ms ?? 1), fire);
    return timer;
  }
}
