// A scripted `multipass` for unit tests, without any guest: answers by rule, and records what it was given.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What the fake does when its arguments begin with `args`; of several that fit, the first with `times` left answers. */
export interface FakeRule {
  /** First arguments that the call must have, such as `['info', 't1']`; `[]` fits every call. */
  readonly args: readonly string[];
  /** How many calls this rule answers; without it, all. */
  readonly times?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
  /** Never ends by itself. */
  readonly hangs?: boolean;
  /** The same, and no later call is answered either: the daemon has one thread. */
  readonly hangsDaemon?: boolean;
}

export interface FakeCall {
  readonly args: readonly string[];
  /** What the call read from standard input up to its end; read for `exec` and `transfer` only, as the real client does. */
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface FakeMultipass {
  /** Path of the executable, to be given as `MULTIPASS`. */
  readonly path: string;
  /** The calls so far whose standard input has ended, in that order. */
  calls(): FakeCall[];
  /** Replaces the rules, and restarts the daemon. */
  script(rules: readonly FakeRule[]): void;
  /** Removes its files. */
  close(): void;
}

/**
 * How the real one answers for an instance whose SSH is dead: what goes over the daemon's own SSH session, which has no time limit, is never
 * answered, and nothing after it. After so many `execs` it answers again.
 */
export function deadSsh(instance: string, { execs = Infinity } = {}): readonly FakeRule[] {
  return [
    { args: ['list', '--format'], hangsDaemon: true },
    { args: ['info'], hangsDaemon: true },
    { args: ['stop', instance], hangsDaemon: true },
    { args: ['restart'], hangsDaemon: true },
    {
      args: ['exec'],
      exitCode: 2,
      stderr: "exec failed: ssh connection failed: 'Timeout connecting to 10.0.2.15'\n",
      ...(execs < Infinity ? { times: execs } : {}),
    },
  ];
}

/** Between the parts of a record; none of them has it. */
const END = '\u0001';

export function fakeMultipass(rules: readonly FakeRule[]): FakeMultipass {
  const folder = mkdtempSync(path.join(tmpdir(), 'fake-multipass-'));
  const executable = path.join(folder, 'multipass');
  const records = path.join(folder, 'calls');
  mkdirSync(records);

  let scripts = 0;
  const script = (next: readonly FakeRule[]) => {
    rmSync(path.join(folder, 'hung'), { force: true });
    writeFileSync(executable, program(folder, (scripts += 1), next));
    chmodSync(executable, 0o755);
  };
  script(rules);

  return {
    path: executable,
    calls: () =>
      readdirSync(records)
        .map((name) => path.join(records, name))
        .map((file) => ({ text: readFileSync(file, 'utf8'), writtenAt: statSync(file, { bigint: true }).mtimeNs }))
        .filter(({ text }) => text.endsWith(END))
        .toSorted((one, other) => Number(one.writtenAt - other.writtenAt))
        .map(({ text }) => readRecord(text)),
    script,
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** In shell, which starts in a tenth of the time that a program for Node needs. */
function program(folder: string, id: number, rules: readonly FakeRule[]): string {
  return `#!/bin/sh
folder=${quoted(folder)}
{
  printf '%s\\000' "$@"
  printf '\\001'
  case $1 in exec | transfer) cat ;; esac
  printf '\\001'
  env
  printf '\\001'
} >"$folder/calls/$$"

[ ! -e "$folder/hung" ] || exec sleep 600

# Each use claims a folder of its own, so that calls at the same time never share one.
has_times_left() {
  use=0
  while [ "$use" -lt "$2" ]; do
    mkdir "$folder/used.${id}.$1.$use" 2>/dev/null && return 0
    use=$((use + 1))
  done
  return 1
}

${rules.map(answer).join('\n')}
printf 'fake multipass: no rule fits: %s\\n' "$*" >&2
exit 2
`;
}

function answer(rule: FakeRule, index: number): string {
  const { args, times, stdout = '', stderr = '', exitCode = 0, hangs = false, hangsDaemon = false } = rule;
  const fits = [
    ...args.map((word, place) => `[ "\${${place + 1}-}" = ${quoted(word)} ]`),
    ...(times === undefined ? [] : [`has_times_left ${index} ${times}`]),
  ];
  return `if ${fits.join(' && ') || 'true'}; then
  printf '%s' ${quoted(stdout)}
  printf '%s' ${quoted(stderr)} >&2
  ${hangsDaemon ? ': >"$folder/hung"' : ''}
  ${hangs || hangsDaemon ? 'exec sleep 600' : `exit ${exitCode}`}
fi`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function readRecord(text: string): FakeCall {
  const [args = '', stdin = '', env = ''] = text.split(END);
  return {
    args: args.split('\0').slice(0, -1),
    stdin,
    env: Object.fromEntries(
      env
        .trimEnd()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    ),
  };
}
