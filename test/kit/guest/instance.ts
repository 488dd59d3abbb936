// One guest: the process that owns its qemu, its time server and its way to the host. Started in a network namespace of
// its own with a pipe as standard input; it ends, with all that it started, when that pipe ends.
//
// instance.ts SETTINGS     (JSON, see `InstanceSettings`)
// Prints "ready" once its control socket answers; control.ts speaks to it.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonThreadIn } from './control.ts';
import { type Command, type Ending, ExecAgent } from './exec-agent.ts';
import { type Message, readMessages, writeMessage } from './messages.ts';
import { QEMU, execSocket, qemuArguments, qmpSocket } from './qemu.ts';
import { type Qmp, connectQmp } from './qmp.ts';
import { relay } from './relay.ts';
import { timeServer } from './sntp.ts';

export interface InstanceSettings {
  /** Folder of the instance, in a folder of instances; short enough for sockets in it. Removed when the instance ends, the last one with its parent. */
  readonly folder: string;
  /** The guest's own qcow2 disk. */
  readonly disk: string;
  /** Folder of kernel and initrd. */
  readonly image: string;
  /** Running state that the disk belongs to; `null` for a disk that is started cold. */
  readonly savedState: string | null;
  /** TCP port at which the guest finds what listens on the unix socket `host.sock` in the folder. */
  readonly hostPort: number | null;
}

/** Multipass's own words for an instance's state. */
export type InstanceState = 'Running' | 'Stopped' | 'Suspended' | 'Starting' | 'Restarting' | 'Unknown';

/** The guest's SSH server as Multipass meets it: a frozen listener answers in the sessions that are open, and opens no other. */
export type Sshd = 'answers' | 'listener-frozen' | 'frozen';

// An emulated guest on a busy machine takes ten times as long as on a quiet one.
const QEMU_START_LIMIT_MS = 30_000;
const RESUME_LIMIT_MS = 60_000;
const BOOT_LIMIT_MS = 180_000;
const POWER_OFF_LIMIT_MS = 60_000;
const PANIC_LIMIT_MS = 60_000;
const SESSION_POLL_MS = 500;
const ROOT = { user: 'root', cwd: '/', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } } as const;

const settings = JSON.parse(process.argv[2] ?? '') as InstanceSettings;

interface Machine {
  readonly process: ChildProcess;
  readonly qmp: Qmp;
  readonly agent: ExecAgent;
}

let state: InstanceState = 'Stopped';
let sshd: Sshd = 'answers';
/** Whether Multipass's daemon has an open SSH session, which it made when the guest was up. */
let hasSession = false;
/** There while the daemon's thread is in use: no call is answered meanwhile. */
const daemonThread = daemonThreadIn(path.dirname(settings.folder));
/** Counts the daemon's restarts. */
let daemon = 0;
let machine: Machine | null = null;
/** Whether somebody was told that its state is unknown. */
let wasSeen = false;
/** The start or restart that is under way; others wait for it. */
let starting: Promise<void> | null = null;
let savedState = settings.savedState;
const clock = timeServer();

process.stdin.on('end', () => void close()).resume();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void close());

execFileSync('ip', ['link', 'set', 'lo', 'up']);
await clock.start();
if (settings.hostPort !== null)
  await relay({ host: '127.0.0.1', port: settings.hostPort }, { path: path.join(settings.folder, 'host.sock') });
const control = createServer(serve);
control.listen(path.join(settings.folder, 'control.sock'));
await once(control, 'listening');
process.stdout.write('ready\n');

/** The first message of a connection says what is wanted; an exec goes on with its standard input. */
function serve(client: Socket): void {
  client.on('error', () => client.destroy());
  let first = true;
  let receive = (_message: Message): void => {};
  readMessages(client, (message) => {
    if (!first) return receive(message);
    first = false;
    if (message['request'] === 'exec') receive = exec(client, message['command'] as Command);
    else void answer(client, message);
  });
}

async function answer(client: Socket, message: Message): Promise<void> {
  try {
    writeMessage(client, { answer: (await perform(message)) ?? null });
  } catch (error) {
    writeMessage(client, { error: (error as Error).message });
  }
  client.end();
}

async function perform(message: Message): Promise<unknown> {
  switch (message['request']) {
    case 'state':
      wasSeen ||= state === 'Unknown';
      return state;
    case 'connects':
      return await connects(Number(message['limitMs']));
    case 'over-session':
      return await overSession(Number(message['limitMs']));
    case 'start':
      return await start();
    case 'first-boot':
      return firstBoot();
    case 'sshd':
      sshd = message['is'] as Sshd;
      return;
    case 'panic':
      return await panic();
    case 'restart-daemon':
      return restartDaemon();
    case 'stop':
      return await stop();
    case 'kill':
      return await kill();
    case 'reboot':
      return await reboot();
    case 'suspend':
      return await suspend();
    case 'freeze':
      return await machine?.qmp.execute('stop');
    case 'thaw':
      return await machine?.qmp.execute('cont');
    case 'time-server':
      clock.offsetSeconds = Number(message['offsetSeconds']);
      return await (message['answers'] === true ? clock.start() : clock.stop());
    case 'save':
      return await save(String(message['file']));
    default:
      throw new Error(`unknown request ${String(message['request'])}`);
  }
}

/** Starts or resumes; a running instance is left as it is. */
async function start(): Promise<void> {
  if (state === 'Running') return;
  if (state === 'Suspended' && machine !== null) {
    await machine.qmp.execute('cont');
    isUp();
    return;
  }
  starting ??= (savedState === null ? boot() : resume(savedState)).finally(() => (starting = null));
  try {
    await starting;
  } catch (error) {
    await kill();
    throw error;
  }
}

function isUp(): void {
  state = 'Running';
  sshd = 'answers';
  hasSession = true;
}

async function boot(before: 'Starting' | 'Unknown' = 'Starting'): Promise<void> {
  state = before;
  const { agent } = await launch([]);
  await agent.greet(BOOT_LIMIT_MS);
  while (before === 'Unknown' && !wasSeen) await sleep(50);
  state = 'Starting';
  await awaitSystem(agent);
  isUp();
}

/** Begins to boot as a new instance does, whose state is unknown until it has an address; somebody sees it so, however fast it is. */
function firstBoot(): void {
  if (machine !== null || starting !== null) throw new Error('it is not stopped');
  wasSeen = false;
  savedState = null;
  state = 'Unknown';
  starting = boot('Unknown').finally(() => (starting = null));
  starting.catch(() => {});
}

/** The saved state fits the disk only once: from then on the guest is started cold. */
async function resume(file: string): Promise<void> {
  state = 'Starting';
  savedState = null;
  const { qmp, agent } = await launch(['-incoming', `exec:cat ${file}`]);
  await qmp.awaitStatus('query-status', (status) => status !== 'inmigrate', RESUME_LIMIT_MS);
  await qmp.execute('cont');
  await agent.greet(RESUME_LIMIT_MS);
  await run(agent, ['date', '--set', `@${Date.now() / 1000}`]);
  isUp();
}

async function launch(more: readonly string[]): Promise<Machine> {
  const { folder, image, disk } = settings;
  for (const socket of [qmpSocket(folder), execSocket(folder)]) rmSync(socket, { force: true });
  const log = openSync(path.join(folder, 'qemu.log'), 'a');
  const arguments_ = [...qemuArguments({ image, disk, folder }), ...more];
  // Should this process be killed, the kernel ends qemu.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', QEMU, ...arguments_], { stdio: ['ignore', log, log] });
  const ended = once(child, 'exit').then(() => {
    throw new Error(`qemu ended: ${readFileSync(path.join(folder, 'qemu.log'), 'utf8').slice(-1000)}`);
  });
  ended.catch(() => {});
  const connected = Promise.all([
    connectQmp(qmpSocket(folder), QEMU_START_LIMIT_MS, onEvent),
    ExecAgent.connect(execSocket(folder), QEMU_START_LIMIT_MS),
  ]);
  const [qmp, agent] = await Promise.race([connected, ended]);
  machine = { process: child, qmp, agent };
  child.on('exit', () => {
    agent.lose();
    if (machine?.process === child) machine = null;
    state = 'Stopped';
    hasSession = false;
  });
  return machine;
}

/** A reset means that the guest reboots, by whomever. */
function onEvent(event: string): void {
  if (event !== 'RESET' || machine === null || starting !== null) return;
  const { agent } = machine;
  state = 'Restarting';
  agent.lose();
  starting = agent
    .greet(BOOT_LIMIT_MS)
    .then(() => awaitSystem(agent))
    .then(isUp)
    .finally(() => (starting = null));
  starting.catch(() => {});
}

async function awaitSystem(agent: ExecAgent): Promise<void> {
  await run(agent, ['systemctl', 'is-system-running', '--wait']);
}

async function reboot(): Promise<void> {
  if (machine === null) throw new Error('not running');
  const before = state;
  await run(machine.agent, ['systemctl', 'reboot']);
  const deadline = Date.now() + POWER_OFF_LIMIT_MS;
  while (state === before && starting === null) {
    if (Date.now() > deadline) throw new Error('the guest did not reboot');
    await sleep(50);
  }
  await starting;
}

/** Shuts the guest down in order. */
async function stop(): Promise<void> {
  const current = machine;
  if (current === null) return;
  const exited = once(current.process, 'exit');
  current.agent.run({ argv: ['systemctl', 'poweroff'], ...ROOT }, { out() {}, err() {}, ended() {} });
  await Promise.race([exited, sleep(POWER_OFF_LIMIT_MS, null, { ref: false })]);
  if (machine === current) throw new Error(`the guest did not power off within ${POWER_OFF_LIMIT_MS} ms`);
}

/** Cuts the power. */
async function kill(): Promise<void> {
  const current = machine;
  if (current === null) return;
  const exited = once(current.process, 'exit');
  current.process.kill('SIGKILL');
  await exited;
}

async function suspend(): Promise<void> {
  if (machine === null || state !== 'Running') return;
  await machine.qmp.execute('stop');
  state = 'Suspended';
  hasSession = false;
}

/** A kernel that has panicked only keeps a core of the host busy, so it is held. */
async function panic(): Promise<void> {
  if (machine === null) throw new Error('not running');
  const { agent, qmp } = machine;
  agent.run({ argv: ['sh', '-c', 'sync; echo c >/proc/sysrq-trigger'], ...ROOT }, { out() {}, err() {}, ended() {} });
  const deadline = Date.now() + PANIC_LIMIT_MS;
  while (!readFileSync(path.join(settings.folder, 'console.log'), 'latin1').includes('Kernel panic')) {
    if (Date.now() > deadline) throw new Error('the guest did not panic');
    await sleep(100);
  }
  await qmp.execute('stop');
}

// SSH, as Multipass uses it

/** Whether a new session could be opened. */
async function connects(limitMs: number): Promise<boolean> {
  if (sshd === 'answers') return (await machine?.agent.answers(limitMs)) ?? false;
  await sleep(limitMs);
  return false;
}

/**
 * Runs something over the daemon's own session, on the daemon's only thread. To open a session has a limit; in an open one the thread waits
 * until the guest answers, whatever became of the client that asked, or until the daemon is restarted.
 */
async function overSession(limitMs: number): Promise<boolean> {
  const ownDaemon = daemon;
  while (existsSync(daemonThread)) await sleep(SESSION_POLL_MS);
  writeFileSync(daemonThread, settings.folder);
  hasSession ||= await connects(limitMs);
  const isOpen = hasSession;
  const answered = async (): Promise<boolean> => sshd !== 'frozen' && ((await machine?.agent.answers(SESSION_POLL_MS)) ?? false);
  while (isOpen && daemon === ownDaemon && !(await answered())) await sleep(SESSION_POLL_MS);
  if (daemon === ownDaemon) rmSync(daemonThread, { force: true });
  return isOpen;
}

function restartDaemon(): void {
  daemon += 1;
  hasSession = false;
  rmSync(daemonThread, { force: true });
}

/** Writes the running state to a file, and ends qemu. */
async function save(file: string): Promise<void> {
  if (machine === null) throw new Error('not running');
  const { qmp, process: child } = machine;
  const exited = once(child, 'exit');
  await qmp.execute('stop');
  await qmp.execute('migrate', { uri: `exec:cat > ${file}` });
  await qmp.awaitStatus('query-migrate', (status) => status === 'completed', RESUME_LIMIT_MS);
  await qmp.execute('quit');
  await exited;
}

/** Runs a command in the guest for the instance's own ends; its ending says whether it came through. */
function run(agent: ExecAgent, argv: readonly string[]): Promise<Ending> {
  return new Promise((resolve) => {
    agent.run({ argv, ...ROOT }, { out() {}, err() {}, ended: resolve }).endInput();
  });
}

function exec(client: Socket, command: Command): (message: Message) => void {
  if (machine === null) {
    writeMessage(client, { ending: { kind: 'lost' } });
    client.end();
    return () => {};
  }
  const session = machine.agent.run(command, {
    out: (base64) => writeMessage(client, { out: base64 }),
    err: (base64) => writeMessage(client, { err: base64 }),
    ended: (ending) => {
      writeMessage(client, { ending });
      client.end();
    },
  });
  client.on('close', () => session.drop());
  return (message) => {
    if (typeof message['in'] === 'string') session.input(Buffer.from(message['in'], 'base64'));
    if (message['end'] === true) session.endInput();
  };
}

async function close(): Promise<void> {
  await kill();
  rmSync(settings.folder, { recursive: true, force: true });
  const instances = path.dirname(settings.folder);
  const isLast = readdirSync(instances, { withFileTypes: true }).every((entry) => !entry.isDirectory());
  if (isLast) rmSync(instances, { recursive: true });
  process.exit();
}
