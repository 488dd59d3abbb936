// What a test starts does not outlive the tests, however they end: by a signal, or because a worker of vitest's is killed.

import { spawn, type ChildProcess } from 'node:child_process';

/** Reads until its starter has gone. */
const END_WITH_STARTER = 'read -r _; kill "$1" 2>/dev/null';

export function endWithTests({ pid }: ChildProcess, ended: Promise<unknown>): void {
  if (pid === undefined) {
    return;
  }
  // In a process group of its own: a Ctrl-C that ends the tests leaves it.
  const watch = spawn('/bin/sh', ['-c', END_WITH_STARTER, 'sh', String(pid)], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  watch.unref();
  const release = (): void => void watch.kill('SIGKILL');
  ended.then(release, release);
}
