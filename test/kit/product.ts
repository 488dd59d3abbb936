// Runward as its user runs it: processes of `src/cli/main.ts`.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { endWithTests } from './ends-with-tests.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ended: Promise<Ended>;
  /** Resolves once standard error matches; rejects when the process ends before. */
  says(text: RegExp): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** The environment of a product process: nothing of the developer's own but what Node and the tools need. */
function cleanEnvironment(variables: Readonly<Record<string, string>>): Record<string, string> {
  const { PATH = '', RUNWARD_TEMPORAL_CLI = '' } = process.env;
  return { PATH, RUNWARD_TEMPORAL_CLI, HOME: tmpdir(), ...variables };
}

export function start(args: readonly string[], variables: Readonly<Record<string, string>>, cwd = tmpdir()): Started {
  return startCommand([process.execPath, MAIN, ...args], variables, cwd);
}

/** The same for a Runward that is installed somewhere. */
export function startCommand(command: readonly [string, ...string[]], variables: Readonly<Record<string, string>>, cwd: string): Started {
  const [file, ...args] = command;
  const child = spawn(file, args, { env: cleanEnvironment(variables), cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const read = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (read[name] += text));
  }
  const ended = once(child, 'close').then(([exitCode]): Ended => ({ exitCode: exitCode as number | null, ...read }));
  endWithTests(child, ended);
  return {
    pid: child.pid ?? 0,
    get stdout() {
      return read.stdout;
    },
    get stderr() {
      return read.stderr;
    },
    ended,
    says: (text) => says(child, () => read.stderr, text, ended),
    kill: (signal) => void child.kill(signal),
  };
}

async function says(child: ChildProcess, said: () => string, text: RegExp, ended: Promise<Ended>): Promise<void> {
  while (!text.test(said())) {
    const end = await Promise.race([ended, once(child.stderr as NodeJS.ReadableStream, 'data').then(() => null)]);
    if (end !== null && !text.test(end.stderr)) {
      throw new Error(`ended with ${end.exitCode} before it said ${text}:\n${end.stderr}`);
    }
  }
}

export function run(args: readonly string[], variables: Readonly<Record<string, string>> = {}, cwd?: string): Promise<Ended> {
  return start(args, variables, cwd).ended;
}
