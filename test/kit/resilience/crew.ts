// A worker's process that is started again whenever it was killed, and clients that outlast what is killed.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { WorkerOrder } from './seam.ts';

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url));

export interface KeptWorker {
  /** Kills the process as `kill -9` does it; the next one is started at once. */
  kill(): void;
  stop(): Promise<void>;
}

export function keepWorker(order: WorkerOrder): KeptWorker {
  let isStopping = false;
  let child: ChildProcess;
  const keeping = (async () => {
    while (!isStopping) {
      child = spawn(process.execPath, [WORKER, JSON.stringify(order)], { stdio: ['pipe', 'inherit', 'inherit'] });
      const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
      if (!isStopping && signal !== 'SIGKILL') {
        throw new Error(`the worker's process ended with ${code ?? signal}`);
      }
    }
  })();
  keeping.catch(() => {});
  return {
    kill: () => void child.kill('SIGKILL'),
    stop: async () => {
      isStopping = true;
      child.kill('SIGTERM');
      await keeping;
    },
  };
}

/** A client that waits does not survive its server; the result does. */
export async function outlasting<T>(ask: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 60_000; ; await sleep(200)) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline || (error as Error).name !== 'ServiceError') {
        throw error;
      }
    }
  }
}

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await isSo()); await sleep(20)) {
    if (Date.now() > deadline) {
      throw new Error('waited in vain');
    }
  }
}
