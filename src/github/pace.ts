// The pace of a credential's writes: one at a time, and so many a minute.

import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Turn } from './port.ts';

/** Of one credential. */
export interface Pace {
  /** Runs `write` in its turn. Rejects with the signal's reason where the signal aborts before. */
  inTurn<T>(write: (turn: Turn) => Promise<T>, signal: AbortSignal): Promise<T>;
}

export interface PaceOptions {
  readonly writesPerMinute: number;
  /** Milliseconds, never set back. */
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** Turns are in the order of asking; two writes begin a minute's part apart, however long the first one took. */
export function createPace({ writesPerMinute, now = () => performance.now(), sleep = sleepUntilAborted }: PaceOptions): Pace {
  const intervalMs = 60_000 / writesPerMinute;
  let lastTurn: Promise<unknown> = Promise.resolve();
  let mayBeginAt = -Infinity;
  return {
    async inTurn(write, signal) {
      const turn = Promise.withResolvers<void>();
      const turnBefore = lastTurn;
      // Also after one that left the queue: the one before it may still be writing.
      lastTurn = turnBefore.then(() => turn.promise);
      try {
        await orAborted(turnBefore, signal);
        await waitUntil(mayBeginAt, signal);
        const before = mayBeginAt;
        mayBeginAt = now() + intervalMs;
        return await write({
          skip: () => {
            mayBeginAt = before;
          },
        });
      } finally {
        turn.resolve();
      }
    },
  };

  async function waitUntil(time: number, signal: AbortSignal): Promise<void> {
    const waitMs = time - now();
    try {
      if (waitMs > 0) await sleep(waitMs, signal);
    } finally {
      signal.throwIfAborted();
    }
  }
}

function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<unknown> {
  // A timer leaves out fractions.
  return sleepFor(Math.ceil(ms), undefined, { signal });
}

async function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
