// Temporal's server under `up`, seen from the operating system.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The shell that ends the server together with `up`, and the server itself. */
export interface ServerProcesses {
  readonly leash: number;
  readonly server: number;
}

/** The processes of the server that has this data folder; `null` while there is none. */
export function serverProcesses(home: string): ServerProcesses | null {
  const leash = leashOf(home);
  const server = processesOf(home).find(({ args, group }) => group === leash && !args.includes('leash.sh'));
  return leash === null || server === undefined ? null : { leash, server: server.pid };
}

/** All processes that name this data folder in their arguments. */
export function processesOf(home: string): readonly { readonly pid: number; readonly group: number; readonly args: string }[] {
  const { stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'pid=,pgid=,args='], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, pid, group, args = '']) => ({ pid: Number(pid), group: Number(group), args }))
    .filter(({ args }) => args.includes(home));
}

function leashOf(home: string): number | null {
  try {
    return Number(readFileSync(join(home, 'temporal.pid'), 'utf8'));
  } catch {
    return null;
  }
}
