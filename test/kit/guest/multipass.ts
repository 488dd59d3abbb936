// The client of the `multipass`-shaped command: command line, exit codes and output of Multipass 1.16, and its daemon's one thread.
// Instances are the sub-folders of RUNWARD_TEST_GUESTS, each with its instance's control socket.

import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, daemonThreadIn, runCommand } from './control.ts';
import type { InstanceState } from './instance.ts';
import { GUEST_ADDRESS } from './qemu.ts';

const VERSION = '1.16.3';
const FOLDER = process.env['RUNWARD_TEST_GUESTS'] ?? '';

/** What `exec` forwards of its standard input before it silently ends it. */
const STDIN_LIMIT_BYTES = 2_097_152;
const SSH_LIMIT_MS = 5000;
/** Exit code that makes the client of this line of versions run the command once more. */
const RETRY = 4;

const USER = 'ubuntu';
const SESSION = {
  user: USER,
  cwd: `/home/${USER}`,
  env: { HOME: `/home/${USER}`, USER, LOGNAME: USER, SHELL: '/bin/bash', LANG: 'C.UTF-8', PATH: '/usr/local/bin:/usr/bin:/bin:/usr/games' },
} as const;

/** Ends the client with an exit code and a line on standard error. */
class Failure extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

const [command = '', ...words] = process.argv.slice(2);
await daemonIsFree();
try {
  process.exitCode = await perform(command);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}

async function perform(name: string): Promise<number> {
  switch (name) {
    case 'version':
      return print({ multipass: VERSION, multipassd: VERSION });
    case 'list':
      return print({ list: await Promise.all(instances().map((name) => listed(name))) });
    case 'info':
      return await info();
    case 'exec':
      return await exec();
    case 'start':
      return await forEach('start', start);
    case 'stop':
      return await forEach('stop', stop);
    case 'suspend':
      return await forEach('suspend', (instance) => withSpinner(`Suspending ${instance}`, ask(folderOf(instance), 'suspend')));
    case 'restart':
      return await forEach('restart', restart);
    default:
      process.stdout.write(`Error: Unknown Command: '${name}' (try "multipass help")\n`);
      return 1;
  }
}

/** Every call is for the daemon, whose one thread may be in use, for ever as well. */
async function daemonIsFree(): Promise<void> {
  while (existsSync(daemonThreadIn(FOLDER))) await sleep(50);
}

/** Whether a command came through over the daemon's own session, which hangs the daemon if the guest is dead. */
function overSession(instance: string): Promise<boolean> {
  return ask<boolean>(folderOf(instance), 'over-session', { limitMs: SSH_LIMIT_MS });
}

function instances(): string[] {
  return existsSync(FOLDER) ? readdirSync(FOLDER).filter(exists).toSorted() : [];
}

function exists(instance: string): boolean {
  return existsSync(path.join(folderOf(instance), 'control.sock'));
}

function folderOf(instance: string): string {
  return path.join(FOLDER, instance);
}

function stateOf(instance: string): Promise<InstanceState> {
  return ask<InstanceState>(folderOf(instance), 'state');
}

// list and info ---------------------------------------------------------------------------------------------------------

function print(document: unknown): number {
  const asked = optionValue('--format');
  if (asked !== 'json') throw new Failure(1, `Invalid format type given: only json is played here, not ${asked ?? 'a table'}.`);
  process.stdout.write(`${JSON.stringify(document, null, 4)}\n`);
  return 0;
}

async function listed(name: string): Promise<object> {
  const state = await stateOf(name);
  const isAsked = state === 'Running' && !words.includes('--no-ipv4');
  return {
    ipv4: isAsked && (await overSession(name)) ? [GUEST_ADDRESS] : [],
    name,
    release: state === 'Running' ? 'Ubuntu 24.04 LTS' : 'Not Available',
    state,
  };
}

async function info(): Promise<number> {
  const names = words.filter((word, index) => !word.startsWith('-') && words[index - 1] !== '--format');
  const missing = names.filter((name) => !exists(name));
  if (missing.length > 0) throw new Failure(2, `info failed: ${missingText(missing)}`);
  const wanted = names.length === 0 ? instances() : names;
  const entries = await Promise.all(wanted.map(async (name) => [name, await describe(name)] as const));
  return print({ errors: [], info: Object.fromEntries(entries) });
}

async function describe(name: string): Promise<object> {
  const state = await stateOf(name);
  const isRunning = state === 'Running' && !words.includes('--no-runtime-information') && (await overSession(name));
  return {
    cpu_count: isRunning ? '2' : '',
    disks: { sda1: isRunning ? { total: '2040373248', used: '591601664' } : {} },
    image_hash: '2c0a0566c25f',
    image_release: '24.04 LTS',
    ipv4: isRunning ? [GUEST_ADDRESS] : [],
    load: isRunning ? [0.41, 0.2, 0.1] : [],
    memory: isRunning ? { total: 499_003_392, used: 137_150_208 } : {},
    mounts: {},
    release: isRunning ? 'Ubuntu 24.04 LTS' : '',
    snapshot_count: '0',
    state,
  };
}

// start, stop, suspend, restart -----------------------------------------------------------------------------------------

async function forEach(name: string, act: (instance: string) => Promise<void>): Promise<number> {
  const named = words.filter((word, index) => !word.startsWith('-') && words[index - 1] !== '--timeout');
  if (named.length === 0) throw new Failure(1, 'Name argument or --all is required');
  const missing = named.filter((instance) => !exists(instance));
  if (missing.length > 0 && name === 'start')
    throw new Failure(
      2,
      `start failed: instance(s) missing\n${missing.map((instance) => `Instance '${instance}' does not exist.`).join('\n')}`,
    );
  if (missing.length > 0) throw new Failure(2, `${name} failed: ${missingText(missing)}`);
  for (const instance of named) await act(instance);
  return 0;
}

function missingText(names: readonly string[]): string {
  return ['The following errors occurred:', ...names.map((name) => `instance "${name}" does not exist`)].join('\n');
}

async function start(instance: string): Promise<void> {
  const state = await stateOf(instance);
  if (state === 'Running') return;
  if (state === 'Unknown')
    throw new Failure(2, `start failed: Instance '${instance}' is already running, but in an unknown state.\nTry to stop it first.`);
  const started = ask(folderOf(instance), 'start');
  const limit = optionValue('--timeout');
  if (limit === null) return withSpinner(`Starting ${instance}`, started);
  const timeout = new Promise<never>((_, reject) => {
    const late = () => reject(new Failure(5, 'Timed out waiting for instance to start.'));
    setTimeout(late, Number(limit) * 1000).unref();
  });
  return withSpinner(`Starting ${instance}`, Promise.race([started, timeout]));
}

async function stop(instance: string): Promise<void> {
  if (words.includes('--force')) return withSpinner(`Stopping ${instance}`, ask(folderOf(instance), 'kill'));
  const state = await stateOf(instance);
  if (state === 'Suspended')
    throw new Failure(2, `stop failed: Cannot shut down suspended instance ${instance}.\nUse --force to power it off.`);
  // Those who are logged in are told first.
  if (state === 'Running') await overSession(instance);
  return withSpinner(`Stopping ${instance}`, ask(folderOf(instance), 'stop'));
}

async function restart(instance: string): Promise<void> {
  if ((await stateOf(instance)) !== 'Running') throw new Failure(2, `restart failed: Instance '${instance}' is not running.`);
  return withSpinner(`Restarting ${instance}`, ask(folderOf(instance), 'reboot'));
}

/** The real client draws its spinner on standard output even where that is a pipe. */
async function withSpinner(text: string, work: Promise<void>): Promise<void> {
  const clearLine = '\u001B[2K\u001B[0A\u001B[0E';
  const frames = ['-', '\\', '|', '/'];
  let drawn = 0;
  const draw = () => process.stdout.write(drawn++ === 0 ? `${clearLine}${text}  ` : `\b${frames[drawn % frames.length]}`);
  draw();
  const timer = setInterval(draw, 100);
  try {
    await work;
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(2, `${command} failed: ${(error as Error).message}`);
  } finally {
    clearInterval(timer);
    process.stdout.write(clearLine);
  }
}

// exec ------------------------------------------------------------------------------------------------------------------

async function exec(): Promise<number> {
  const { instance, directory, remote } = parseExec();
  if (!exists(instance)) {
    // With directory mapping, the instance is looked up once more before.
    const failed = `exec failed: ${missingText([instance])}`;
    throw new Failure(2, words.slice(0, words.indexOf('--')).some(isNoMapping) ? failed : `${failed}\n${failed}`);
  }
  const state = await stateOf(instance);
  if (state === 'Unknown') throw new Failure(2, 'exec failed: Cannot retrieve credentials in unknown state');
  if (state !== 'Running') await withSpinner(`Starting ${instance}`, ask(folderOf(instance), 'start'));
  if (!(await ask<boolean>(folderOf(instance), 'connects', { limitMs: SSH_LIMIT_MS })))
    throw new Failure(2, `exec failed: ssh connection failed: 'Timeout connecting to ${GUEST_ADDRESS}'`);

  const line = commandLine(directory, remote);
  for (;;) {
    const exitCode = await runOverSsh(instance, line);
    if (exitCode !== RETRY) return exitCode;
  }
}

function parseExec(): { instance: string; directory: string | null; remote: readonly string[] } {
  const separator = words.indexOf('--');
  const own = separator === -1 ? words : words.slice(0, separator);
  let directory: string | null = null;
  const rest: string[] = [];
  const unknown: string[] = [];
  for (let index = 0; index < own.length; index += 1) {
    const word = own[index] ?? '';
    if (word === '-d' || word === '--working-directory') directory = own[(index += 1)] ?? '';
    else if (word.startsWith('-') && !isNoMapping(word)) unknown.push(word.replace(/^-+/, ''));
    else if (!word.startsWith('-')) rest.push(word);
  }
  if (unknown.length > 0)
    throw new Failure(
      1,
      `Unknown options: ${unknown.join(', ')}.\nOptions to the inner command should come after "--", like this:\nmultipass exec <instance> -- <command> <arguments>`,
    );
  if (directory !== null && own.some(isNoMapping)) throw new Failure(1, 'Options --working-directory and --no-map-working-directory clash');
  const [instance, ...before] = rest;
  const remote = separator === -1 ? before : words.slice(separator + 1);
  if (instance === undefined || remote.length === 0) throw new Failure(1, 'Wrong number of arguments');
  return { instance, directory, remote };
}

function isNoMapping(word: string): boolean {
  return word === '-n' || word === '--no-map-working-directory';
}

/** With a directory and `sudo`, the real client loses the quoting of what follows. */
function commandLine(directory: string | null, remote: readonly string[]): string {
  if (directory === null) return remote.map(escapeForShell).join(' ');
  const moved = escapeForShell(directory);
  if (remote[0] !== 'sudo') return `cd ${moved} && ${remote.map(escapeForShell).join(' ')}`;
  return `sudo sh -c ${escapeForShell(`cd ${moved} && sudo -u ${USER} ${remote.slice(1).join(' ')}`)}`;
}

/** `=` stays bare, so that a first word `A=b` is an assignment to the remote shell. */
function escapeForShell(word: string): string {
  if (word === '') return "''";
  return word.replace(/[^A-Za-z0-9%+\-./:=@_\u0080-\uffff]/g, (character) => (character === '\n' ? '"\n"' : `\\${character}`));
}

async function runOverSsh(instance: string, line: string): Promise<number> {
  const remote = runCommand(
    folderOf(instance),
    { argv: ['bash', '-c', line], ...SESSION },
    {
      out: (bytes) => process.stdout.write(bytes),
      err: (bytes) => process.stderr.write(bytes),
    },
  );
  let left = STDIN_LIMIT_BYTES;
  const forward = (bytes: Buffer): void => {
    if (left === 0) return;
    remote.input(bytes.subarray(0, left));
    left -= Math.min(left, bytes.length);
    if (left === 0) remote.endInput();
  };
  if (process.stdin.destroyed) remote.endInput();
  else process.stdin.on('data', forward).on('end', () => remote.endInput());
  const ending = await remote.ended;
  process.stdin.destroy();
  switch (ending.kind) {
    case 'exited':
      return ending.code ?? 255;
    case 'not-started':
      throw new Failure(2, `exec failed: ${ending.message}`);
    case 'lost':
      return 255;
  }
}

function optionValue(name: string): string | null {
  const index = words.indexOf(name);
  const joined = words.find((word) => word.startsWith(`${name}=`));
  return joined === undefined ? (index === -1 ? null : (words[index + 1] ?? null)) : joined.slice(name.length + 1);
}
