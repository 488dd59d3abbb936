import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectClient } from '../worker/temporal-address.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { findTemporalCli } from './temporal-cli.ts';

export interface TemporalServer {
  readonly address: string;
  readonly uiUrl: string;
  readonly namespace: string;
  readonly pid: number;
  /** Resolves with the exit code once the server has ended, whoever ended it. */
  readonly ended: Promise<number | null>;
  stop(): Promise<void>;
}

export interface TemporalServerOptions {
  /** Folder of its database and log; made where it is missing. */
  readonly folder: string;
  readonly namespace: string;
  /** Tried first; the next free one is taken where somebody has it. */
  readonly port: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly interrupted: AbortSignal;
}

/** A cold start with a new database took 1 to 3 s; a busy machine needs more. */
const START_TIMEOUT_MS = 60_000;
const START_TRIES = 3;
/** Temporal's server ends within seconds of SIGTERM. */
const END_TIMEOUT_MS = 20_000;
/** Temporal's UI listens this far above the server's port, as `temporal server start-dev` has it. */
const UI_PORT_OFFSET = 1_000;
const PORTS_TRIED = 100;

/** Starts Temporal's own server with its data on disk. It ends with this process, also when that is killed. */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startOnce(options);
    } catch (error) {
      // Somebody may have taken the port between the look at it and the start; then the next free one is taken.
      if (tries === START_TRIES || options.interrupted.aborted || (await isFree(options.port))) {
        throw error;
      }
    }
  }
}

async function startOnce(options: TemporalServerOptions): Promise<TemporalServer> {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const pidFile = join(options.folder, 'temporal.pid');
  await untilPreviousEnded(pidFile);
  const { port, uiPort } = await freePorts(options.port);
  const command = findTemporalCli(options.env);
  const logFile = join(options.folder, 'temporal.log');
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  await once(log, 'open');
  const logged = statSync(logFile).size;
  // In a process group of its own, so that Ctrl-C reaches Runward alone, which ends the server last.
  const child = spawn(
    '/bin/sh',
    [fileURLToPath(new URL('leash.sh', import.meta.url)), command, ...serverArguments(options, port, uiPort)],
    {
      stdio: ['pipe', log, log],
      detached: true,
      env: serverEnvironment(options.env),
    },
  );
  writeFileSync(pidFile, `${child.pid}\n`);
  const ended = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : null));
  const server: TemporalServer = {
    address: `127.0.0.1:${port}`,
    uiUrl: `http://127.0.0.1:${uiPort}`,
    namespace: options.namespace,
    pid: child.pid ?? 0,
    ended,
    stop: async () => {
      child.stdin.end();
      await ended;
      log.end();
      rmSync(pidFile, { force: true });
    },
  };
  await untilReady(server, options, { logFile, logged, command });
  return server;
}

function serverArguments({ folder, namespace }: TemporalServerOptions, port: number, uiPort: number): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
    ...['--db-filename', join(folder, 'temporal.db'), '--namespace', namespace, '--log-level', 'warn', '--ui-disable-news-fetch'],
  ];
}

/** Variables of Temporal's clients would make the server's command talk to another server. */
function serverEnvironment(env: TemporalServerOptions['env']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('TEMPORAL_')),
  );
}

/** The server of an owner that was killed needs a moment to end, and two servers on one database mix their data. */
async function untilPreviousEnded(pidFile: string): Promise<void> {
  const pid = readPid(pidFile);
  for (const deadline = Date.now() + END_TIMEOUT_MS; pid !== null && isServerOf(dirname(pidFile), pid); await sleep(100)) {
    if (Date.now() > deadline) {
      throw new CommandFailure(
        EXIT.unreachable,
        `The Temporal server of an earlier run (process ${pid}) still has the database: end it, or delete ${pidFile} if that process is another.`,
      );
    }
  }
}

/** After a reboot the id may be any other process's; the server's command line names its folder. */
function isServerOf(folder: string, pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout.includes(folder);
}

function readPid(pidFile: string): number | null {
  try {
    return Number(readFileSync(pidFile, 'utf8')) || null;
  } catch {
    return null;
  }
}

interface Start {
  readonly logFile: string;
  /** Length of the log before this start. */
  readonly logged: number;
  readonly command: string;
}

async function untilReady(server: TemporalServer, options: TemporalServerOptions, { logFile, logged, command }: Start): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  let exited = false;
  void server.ended.then(() => {
    exited = true;
  });
  while (Date.now() < deadline && !exited) {
    if (options.interrupted.aborted) {
      await server.stop();
      throw new CommandFailure(EXIT.interrupted, 'Interrupted.');
    }
    if (hasStarted(logFile, logged) && (await answers(server))) {
      return;
    }
    await sleep(100);
  }
  if (!exited) {
    await server.stop();
  }
  throw new CommandFailure(
    EXIT.unreachable,
    `Temporal's server (${command}) ${exited ? 'ended at once' : `did not answer within ${START_TIMEOUT_MS / 1_000} s`}: see ${logFile}.\nIn a checkout, \`./runward\` brings the right one; elsewhere install the Temporal CLI, or set RUNWARD_TEMPORAL_CLI to it.`,
  );
}

/**
 * The server's own word, which it says once its ports are its own. Whoever answers at the address may be another server that
 * took the port at the same moment.
 */
function hasStarted(logFile: string, logged: number): boolean {
  return readFileSync(logFile).subarray(logged).includes('Temporal Server:');
}

async function answers({ address, namespace }: TemporalServer): Promise<boolean> {
  try {
    const connection = await connectClient({ address, connectTimeout: 1_000 });
    try {
      await connection.workflowService.describeNamespace({ namespace });
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}

/** The wanted port and its UI port, or the next pair of which both are free. */
async function freePorts(wanted: number): Promise<{ port: number; uiPort: number }> {
  for (let port = wanted; port < wanted + PORTS_TRIED; port += 1) {
    if ((await isFree(port)) && (await isFree(port + UI_PORT_OFFSET))) {
      return { port, uiPort: port + UI_PORT_OFFSET };
    }
  }
  throw new CommandFailure(EXIT.unreachable, `no free port between ${wanted} and ${wanted + PORTS_TRIED} on 127.0.0.1: end what uses them`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
