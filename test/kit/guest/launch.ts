// Starts an instance's process in a network namespace of its own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { InstanceSettings } from './instance.ts';

export interface Instance {
  /** Process id of the instance's process, which outlives its qemu and never its starter. */
  readonly pid: number;
  /** Ends the process and all that it started, and removes its folder. */
  close(): Promise<void>;
}

/** A folder for instances, removed with the last of them. */
export function newInstancesFolder(): string {
  return mkdtempSync(path.join(tmpdir(), 'runward-guests-'));
}

/** Resolves once its control socket answers. The instance ends with this process, however that ends. */
export async function launchInstance(settings: InstanceSettings): Promise<Instance> {
  const program = path.join(import.meta.dirname, 'instance.ts');
  // In a process group of its own: a Ctrl-C on the terminal is for the tests, and they close the instance.
  const child = spawn('unshare', ['--net', process.execPath, program, JSON.stringify(settings)], { detached: true });
  let errors = '';
  child.stderr.on('data', (text) => (errors = `${errors}${text}`.slice(-2000)));
  const exited = once(child, 'exit');
  const answered = await Promise.race([once(child.stdout, 'data').then(() => true), exited.then(() => false)]);
  if (!answered || child.pid === undefined) throw new Error(`the guest's process ended at its start: ${errors}`);
  return {
    pid: child.pid,
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
