// A process and all that it started, as Linux tells it in /proc.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The process ids of a process and of all that descend from it. */
export function treeOf(root: number): readonly number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const parents = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  const tree = [root];
  for (const pid of tree) {
    tree.push(...parents.filter(([, parent]) => parent === pid).map(([child]) => child as number));
  }
  return tree;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
}

/** Where the processes take TCP connections over IPv4. */
export function listenersOf(pids: readonly number[]): readonly Listener[] {
  const sockets = new Set(pids.flatMap(socketsOf));
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode = '']) => state === LISTENS && sockets.has(inode))
    .map(([, local = '']) => ({
      host: [6, 4, 2, 0].map((at) => Number.parseInt(local.slice(at, at + 2), 16)).join('.'),
      port: Number.parseInt(local.slice(9), 16),
    }));
}

/** `TCP_LISTEN` in the kernel's include/net/tcp_states.h. */
const LISTENS = '0A';

function socketsOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((descriptor) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${descriptor}`))?.[1] ?? [];
    } catch {
      // It was closed meanwhile.
      return [];
    }
  });
}
