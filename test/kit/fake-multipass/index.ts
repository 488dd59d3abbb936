// A scripted `multipass` for unit tests, without any guest: answers by rule, and records what it was given.

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What the fake does when its arguments begin with `args`; of several that fit, the first with `times` left answers. */
export interface FakeRule {
  /** First arguments that the call must have, such as `['info', 't1']`; `[]` fits every call. */
  readonly args: readonly string[];
  /** How many calls this rule answers; without it, all. */
  readonly times?: number;
  readonly delayMs?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
  /** Never ends by itself. */
  readonly hangs?: boolean;
  /** Ignores SIGTERM. */
  readonly ignoresTerm?: boolean;
}

export interface FakeCall {
  readonly args: readonly string[];
  /** What the call read from standard input up to its end; read for `exec` and `transfer` only, as the real client does. */
  readonly stdin: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface FakeMultipass {
  /** Path of the executable, to be given as `MULTIPASS`. */
  readonly path: string;
  /** The calls so far whose standard input has ended, in that order. */
  calls(): FakeCall[];
  /** Replaces the rules. */
  script(rules: readonly FakeRule[]): void;
  /** Removes its files. */
  close(): void;
}

/** Without it each call takes twice as long, most of that to make JavaScript of the program. */
const COMPILED = path.join(import.meta.dirname, '../../../build/compiled');

export const STANDARD_INPUT_COMMANDS: readonly string[] = ['exec', 'transfer'];

export function fakeMultipass(rules: readonly FakeRule[]): FakeMultipass {
  const folder = mkdtempSync(path.join(tmpdir(), 'fake-multipass-'));
  const executable = path.join(folder, 'multipass');
  const program = path.join(import.meta.dirname, 'main.ts');
  writeFileSync(executable, `#!/bin/sh\nNODE_COMPILE_CACHE='${COMPILED}' exec '${process.execPath}' '${program}' '${folder}' "$@"\n`);
  chmodSync(executable, 0o755);

  let scripts = 0;
  const script = (next: readonly FakeRule[]) =>
    writeFileSync(path.join(folder, 'script.json'), JSON.stringify({ id: (scripts += 1), rules: next }));
  script(rules);

  return {
    path: executable,
    calls: () => {
      const file = path.join(folder, 'calls.jsonl');
      if (!existsSync(file)) return [];
      return readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as FakeCall);
    },
    script,
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
