import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  createWriteStream,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '../domain/child-environment.ts';
import { connectClient } from '../worker/temporal-address.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { findTemporalCli } from './temporal-cli.ts';
import { say } from './invocation.ts';
import { createWord } from './patience.ts';
import type { Loss } from './lost-history.ts';
import { databaseFile, prepareDatabase, recordOpened, type Preparation } from './temporal-database.ts';
import { startUiProxy, type Endpoint, type UiProxy } from './ui-proxy.ts';

export interface TemporalServer {
  readonly address: string;
  readonly uiUrl: string;
  readonly namespace: string;
  readonly port: number;
  /** What its start found lost. */
  readonly loss: Loss | null;
  /** Resolves with the exit code once the server has ended, whoever ended it. */
  readonly ended: Promise<number | null>;
  stop(): Promise<void>;
}

export interface TemporalServerOptions {
  /** Folder of its database and log; made where it is missing. */
  readonly folder: string;
  readonly namespace: string;
  readonly port: number;
  /** Where somebody has the port: take the next free one, as is the default, or fail. */
  readonly whereTaken?: 'take-next' | 'fail';
  /** How long it may take to start; a minute by default. */
  readonly startsWithinMs?: number;
  /** Called as soon as its process runs: what takes this one's time passes best while the server starts. */
  readonly meanwhile?: () => unknown;
  /** What becomes of a database that is no use; it is set aside by default. */
  readonly onLoss?: Preparation['onLoss'];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly interrupted: AbortSignal;
}

/** A cold start with a new database took 1 to 3 s; a busy machine needs more. */
const START_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;
const START_TRIES = 3;
const READY_POLL_MS = 20;
/** Temporal's server ends within seconds of SIGTERM; on a busy computer it needs more. */
const END_TIMEOUT_MS = 120_000;
/** After it, a closed pipe has ended nothing. */
const LEASH_TIMEOUT_MS = 5_000;
/** Temporal's UI answers this far above the server's port, as `temporal server start-dev` has it. */
const UI_PORT_OFFSET = 1_000;
const PORTS_TRIED = 100;
const LOOPBACK = '127.0.0.1';

/** Closes the HTTP API, at which any web page could start workflows; it can't be left out, and answers 403 to every host now. */
export const NO_HTTP_API: readonly string[] = ['--dynamic-config-value', 'frontend.httpAllowedHosts=[]'];

/** Starts Temporal's own server with its data on disk. It ends with this process, also when that is killed. */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { folder, onLoss = 'set-aside' } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await untilPreviousEnded(folder);
  const version = cliVersion(options);
  const loss = version === null ? null : prepareDatabase(folder, { version, onLoss, say });
  const server = await startOnFreePort(options);
  if (version !== null) {
    recordOpened(folder, version);
  }
  return { ...server, loss };
}

/** Keeps the ports of a server for it while it is down, until the answer is called; fails where somebody else took one. */
export async function holdPorts(port: number): Promise<() => Promise<void>> {
  const held: Server[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(held.map((server) => new Promise((closed) => server.close(closed))));
  };
  for (const wanted of [port, port + UI_PORT_OFFSET]) {
    const server = await listenOn({ host: LOOPBACK, port: wanted }, (socket) => socket.destroy());
    if (server === null) {
      await release();
      throw new CommandFailure(
        EXIT.unreachable,
        `Another program took port ${wanted} of 127.0.0.1 while Temporal's server was down: start \`runward up\` again, which takes the next free port. What was running goes on then.`,
      );
    }
    held.push(server);
  }
  return release;
}

export function logFileOf(folder: string): string {
  return join(folder, 'temporal.log');
}

type StartedServer = Omit<TemporalServer, 'loss'>;

interface Ports {
  readonly port: number;
  readonly uiPort: number;
}

async function startOnFreePort(options: TemporalServerOptions): Promise<StartedServer> {
  for (let tries = 1; ; tries += 1) {
    const ports = await freePorts(options);
    try {
      return await startOnce(options, ports);
    } catch (error) {
      if (tries === START_TRIES || options.whereTaken === 'fail' || options.interrupted.aborted) {
        throw error;
      }
      // Somebody may have taken a port between the look at it and the start; then the next free ones are taken. It has others, of which nobody
      // is told: one that ended at once is started once more also if these are free.
      const mayBeInner = tries === 1 && error instanceof EndedAtOnce;
      if (!mayBeInner && (await areFree(ports))) {
        throw error;
      }
    }
  }
}

class EndedAtOnce extends CommandFailure {}

async function startOnce(options: TemporalServerOptions, { port, uiPort }: Ports): Promise<StartedServer> {
  const ui = await hiddenEndpoint();
  const proxy = await startUiProxy({ host: LOOPBACK, port: uiPort }, ui).catch((error: Error) => {
    throw new CommandFailure(EXIT.unreachable, `Port ${uiPort} of ${LOOPBACK}, for Temporal's UI, can't be had: ${error.message}`, error);
  });
  try {
    return await startBehind(proxy, options, { port, uiPort, ui });
  } catch (error) {
    await proxy.close();
    throw error;
  }
}

async function startBehind(
  proxy: UiProxy,
  options: TemporalServerOptions,
  { port, uiPort, ui }: Ports & { readonly ui: Endpoint },
): Promise<StartedServer> {
  const pidFile = pidFileOf(options.folder);
  const logFile = logFileOf(options.folder);
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  await once(log, 'open');
  const logged = statSync(logFile).size;
  // In a process group of its own, so that Ctrl-C reaches Runward alone, which ends the server last.
  const child = spawn(
    '/bin/sh',
    [fileURLToPath(new URL('leash.sh', import.meta.url)), findTemporalCli(options.env), ...serverArguments(options, port, ui)],
    {
      stdio: ['pipe', log, log],
      detached: true,
      env: childEnvironment(options.env),
    },
  );
  writeFileSync(pidFile, `${child.pid}\n`);
  options.meanwhile?.();
  const ended = once(child, 'exit').then(async ([code]) => {
    // Whoever starts it again finds the port free.
    await proxy.close();
    return typeof code === 'number' ? code : null;
  });
  const server: StartedServer = {
    address: `${LOOPBACK}:${port}`,
    uiUrl: `http://${LOOPBACK}:${uiPort}`,
    namespace: options.namespace,
    port,
    ended,
    stop: async () => {
      child.stdin.end();
      // Where the shell that watches the pipe was killed, its parent still hears a signal.
      const unheard = setTimeout(() => child.kill('SIGTERM'), LEASH_TIMEOUT_MS);
      await ended;
      clearTimeout(unheard);
      log.end();
      await untilPreviousEnded(options.folder);
      rmSync(pidFile, { force: true });
    },
  };
  await untilReady(server, options, { logFile, logged, command: findTemporalCli(options.env) });
  return server;
}

/**
 * Where the UI itself listens: at an address that no web page can guess, since it answers under any name. macOS has 127.0.0.1 alone, and
 * there a page would have to find the port.
 */
async function hiddenEndpoint(): Promise<Endpoint> {
  const host = `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
  const server = (await listenOn({ host, port: 0 }, () => {})) ?? (await listenOn({ host: LOOPBACK, port: 0 }, () => {}));
  if (server === null) {
    throw new CommandFailure(EXIT.unreachable, `no free port on ${LOOPBACK}: end what uses them`);
  }
  const { address, port } = server.address() as AddressInfo;
  server.close();
  return { host: address, port };
}

/** `null` where the command does not run; then its start says what to do. */
function cliVersion(options: TemporalServerOptions): string | null {
  const { stdout } = spawnSync(findTemporalCli(options.env), ['--version'], { encoding: 'utf8', env: childEnvironment(options.env) });
  return /^temporal version (\S+)/.exec(stdout ?? '')?.[1] ?? null;
}

function serverArguments({ folder, namespace }: TemporalServerOptions, port: number, ui: Endpoint): string[] {
  return [
    ...['server', 'start-dev', '--ip', LOOPBACK, '--port', String(port), '--ui-ip', ui.host, '--ui-port', String(ui.port)],
    ...['--db-filename', databaseFile(folder), '--namespace', namespace, '--log-level', 'warn', '--ui-disable-news-fetch'],
    ...NO_HTTP_API,
  ];
}

/**
 * The server of an owner that was killed needs a moment to end, as does one whose leash was killed, and two servers on one database mix
 * their data.
 */
async function untilPreviousEnded(folder: string): Promise<void> {
  const pid = readPid(pidFileOf(folder));
  const tellWait = createWord("Temporal's server of an earlier run is still ending");
  for (const deadline = Date.now() + END_TIMEOUT_MS; pid !== null && isServerOf(folder, pid); await sleep(100)) {
    tellWait();
    if (Date.now() > deadline) {
      throw new CommandFailure(
        EXIT.unreachable,
        `The Temporal server of an earlier run (process group ${pid}) still has the database: end it, or delete ${pidFileOf(folder)} if that is another program.`,
      );
    }
  }
}

/** Leash and server are one process group. After a reboot its id may be any other's; the server's command line names its folder. */
function isServerOf(folder: string, group: number): boolean {
  const { stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'pgid=,args='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1_024 * 1_024,
    env: childEnvironment(process.env),
  });
  return stdout.split('\n').some((line) => Number.parseInt(line, 10) === group && line.includes(folder));
}

function pidFileOf(folder: string): string {
  return join(folder, 'temporal.pid');
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

async function untilReady(server: StartedServer, options: TemporalServerOptions, { logFile, logged, command }: Start): Promise<void> {
  const { startsWithinMs = START_TIMEOUT_MS } = options;
  const deadline = Date.now() + startsWithinMs;
  const tellWait = createWord("Temporal's server is still starting");
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
    tellWait();
    await sleep(READY_POLL_MS);
  }
  if (!exited) {
    await server.stop();
  }
  const Failure = exited ? EndedAtOnce : CommandFailure;
  throw new Failure(
    EXIT.unreachable,
    `Temporal's server (${command}) ${exited ? 'ended at once' : `did not answer within ${startsWithinMs / 1_000} s`}: see ${logFile}.\nIn a checkout, \`./runward\` brings the right one; elsewhere install the Temporal CLI, or set RUNWARD_TEMPORAL_CLI to it.`,
  );
}

/**
 * The server's own word, which it says once its ports are its own. Whoever answers at the address may be another server that
 * took the port at the same moment.
 */
function hasStarted(logFile: string, logged: number): boolean {
  const log = openSync(logFile, 'r');
  try {
    const said = Buffer.alloc(Math.max(0, fstatSync(log).size - logged));
    readSync(log, said, 0, said.length, logged);
    return said.includes('Temporal Server:');
  } finally {
    closeSync(log);
  }
}

async function answers({ address, namespace }: StartedServer): Promise<boolean> {
  try {
    const connection = await connectClient({ address, connectTimeout: CONNECT_TIMEOUT_MS });
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
async function freePorts({ port: wanted, whereTaken }: TemporalServerOptions): Promise<Ports> {
  const last = whereTaken === 'fail' ? wanted : wanted + PORTS_TRIED - 1;
  for (let port = wanted; port <= last; port += 1) {
    const ports = { port, uiPort: port + UI_PORT_OFFSET };
    if (await areFree(ports)) {
      return ports;
    }
  }
  throw new CommandFailure(EXIT.unreachable, `no free port between ${wanted} and ${last} on 127.0.0.1: end what uses them`);
}

async function areFree({ port, uiPort }: Ports): Promise<boolean> {
  return (await isFree(port)) && (await isFree(uiPort));
}

async function isFree(port: number): Promise<boolean> {
  const server = await listenOn({ host: LOOPBACK, port }, () => {});
  server?.close();
  return server !== null;
}

/** `null` if somebody else listens there, or the computer has no such address. */
async function listenOn(endpoint: Endpoint, onConnection: (socket: Socket) => void): Promise<Server | null> {
  const server = createServer(onConnection);
  try {
    server.listen(endpoint);
    await once(server, 'listening');
    return server;
  } catch {
    return null;
  }
}
