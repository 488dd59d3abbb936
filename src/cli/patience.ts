import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../domain/duration.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { say } from './invocation.ts';
import { deepestCause, messageOf } from './temporal.ts';

const POLL_MS = 100;
const WORD_EVERY_MS = 5_000;
const RETRY_MS = 1_000;

/** Tells at intervals that `what` lasts, such as "The worker is still starting"; to be called again and again while it does. */
export function createWord(what: string): () => void {
  const begunAt = performance.now();
  let toldAt = begunAt;
  return () => {
    const now = performance.now();
    if (now - toldAt >= WORD_EVERY_MS) {
      toldAt = now;
      say(`${what} (${formatDuration(now - begunAt)}) …`);
    }
  };
}

/** Waits as long as it takes, with a word at intervals. Fails only if interrupted. */
export async function untilSo(what: string, isSo: () => boolean, interrupted: AbortSignal): Promise<void> {
  const tellWait = createWord(what);
  while (!isSo()) {
    refuseInterrupted(interrupted);
    tellWait();
    await sleep(POLL_MS, undefined, { signal: interrupted }).catch(() => {});
  }
}

export function refuseInterrupted(interrupted: AbortSignal): void {
  if (interrupted.aborted) {
    throw new CommandFailure(EXIT.interrupted, 'Interrupted: the demo is stopped, and nothing of it runs on.');
  }
}

/** Asks a server of this process's own again for as long as it is too busy to answer in time, unless interrupted. */
export async function patiently<T>(interrupted: AbortSignal, ask: () => Promise<T>): Promise<T> {
  const tellWait = createWord("Temporal's server is still too busy to answer");
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (interrupted.aborted || !isLate(error)) {
        throw error;
      }
      tellWait();
      await sleep(RETRY_MS, undefined, { signal: interrupted }).catch(() => {});
    }
  }
}

/** Whether the server, or the way to it, took longer than a client waits. */
function isLate(error: unknown): boolean {
  return /deadline|unavailable|failed to connect/i.test(`${messageOf(error)} ${messageOf(deepestCause(error))}`);
}
