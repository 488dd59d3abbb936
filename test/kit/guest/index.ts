// The guest test kit: a real Linux with a real systemd, as a clone that is up in about a second.
//
//   const guest = await startGuest({ github: { port } });
//   await guest.must('systemctl is-active systemd-timesyncd');
//   await guest.close();

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, daemonThreadIn, runCommand } from './control.ts';
import type { Command } from './exec-agent.ts';
import { overlayDisk, prepareImage } from './image.ts';
import type { InstanceState, Sshd } from './instance.ts';
import { launchInstance, newInstancesFolder } from './launch.ts';
import type { RunnerPackage } from './package.ts';
import { HOST_ADDRESS } from './qemu.ts';
import { relay } from './relay.ts';
import { type InstalledRunner, type RunnerOptions, installRunner, keepPackage, unpackRunner } from './runner.ts';

export interface GuestOptions {
  /** The instance's name; `runner-vm` without it. */
  readonly name?: string;
  /** A server on the host's loopback that the guest reaches as `http://10.0.2.2:<port>`; its API token serves `installRunner`. */
  readonly github?: GitHub;
  /** Another guest that is to stand in the same `multipass list`. */
  readonly beside?: Guest;
}

export interface ExecOptions {
  readonly input?: string | Buffer;
  /** `root` without it. */
  readonly user?: Command['user'];
}

export interface ExecResult {
  /** 255 where a signal ended the script. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface GitHub {
  readonly port: number;
  readonly token?: string;
}

export interface Guest {
  readonly name: string;
  /** Folder of the instances: what RUNWARD_TEST_GUESTS of the `multipass`-shaped command is. */
  readonly instances: string;
  /** `http://10.0.2.2:<port>`: the make-believe GitHub as the guest sees it; `null` without one. */
  readonly githubUrl: string | null;
  /** For Runward's environment: `MULTIPASS`, `VM_NAME`, and with a GitHub `GITHUB_API_URL` (host's view) and `GITHUB_SERVER_URL` (guest's view). */
  readonly env: Readonly<Record<string, string>>;
  /** Process id of the process that owns the guest's qemu. */
  readonly pid: number;

  /** Runs a bash script in the running guest, past Multipass; rejects where the guest is lost meanwhile. */
  exec(script: string, options?: ExecOptions): Promise<ExecResult>;
  /** As `exec`; rejects unless the script exits 0. Returns its trimmed standard output. */
  must(script: string, options?: ExecOptions): Promise<string>;
  /** Runs the `multipass`-shaped command. */
  multipass(args: readonly string[], input?: string): Promise<ExecResult>;

  state(): Promise<InstanceState>;
  /** Starts or resumes; cold, and 10 to 20 s long, after a stop or a power cut. */
  start(): Promise<void>;
  stop(): Promise<void>;
  powerCut(): Promise<void>;
  reboot(): Promise<void>;
  /** Suspended for Multipass; the clock stands still. `start` resumes. */
  suspend(): Promise<void>;
  /** Still `Running` for Multipass, but nothing answers; the clock stands still until `thaw`. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Its kernel panics: still `Running` for Multipass, and nothing answers ever again. */
  panic(): Promise<void>;
  /** What becomes of its SSH server, for Multipass; the guest itself, and `exec` here, go on. A start mends it. */
  sshd(is: Sshd): Promise<void>;
  /** Begins to boot a stopped guest as a new instance does: its state is `Unknown` until it has an address. */
  firstBoot(): Promise<void>;
  /** Lets Multipass's daemon wait for this guest on its one thread, as a plain `list` does; for ever if its SSH is dead. */
  keepDaemonWaiting(): Promise<void>;
  /** Ends and starts Multipass's daemon; instances go on. */
  restartDaemon(): Promise<void>;

  /** Stops the guest's NTP client, and sets its clock to the host's time plus this. */
  setClock(offsetSeconds: number): Promise<void>;
  /** Guest's clock minus host's clock, in seconds. */
  clockOffset(): Promise<number>;
  readonly ntp: {
    /** The time server answers, and is this far ahead of the host. */
    setOffset(seconds: number): Promise<void>;
    /** The time server's port is closed. */
    stop(): Promise<void>;
  };

  /** Lays out the runner's programs in the guest, not configured, and keeps their package. */
  unpackRunner(options?: Pick<RunnerOptions, 'directory' | 'user' | 'times'>): Promise<void>;
  /** A healthy runner: unpacked, registered at the make-believe GitHub, its service installed, and listening for jobs. */
  installRunner(options: RunnerOptions): Promise<InstalledRunner>;
  /** Puts a package where Runward keeps it, in the place of every other; by default the one of the stand-ins. */
  keepPackage(kept?: RunnerPackage): Promise<void>;

  /** Command lines of all processes at this moment. */
  processList(): Promise<string[]>;
  /** Watches all command lines from now on; `stop` returns each one that was seen. */
  sampleProcesses(): Promise<{ stop(): Promise<string[]> }>;

  /** Ends the guest and all its processes. */
  close(): Promise<void>;
}

const ENVIRONMENT = { LANG: 'C.UTF-8', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/** A clone of the saved guest: running, its clock right, its system up. Prepares image and saved state where they are missing. */
export async function startGuest(options: GuestOptions = {}): Promise<Guest> {
  const name = options.name ?? 'runner-vm';
  const image = await prepareImage();
  const instances = options.beside?.instances ?? newInstancesFolder();
  const folder = path.join(instances, name);
  const disk = path.join(folder, 'disk.qcow2');
  mkdirSync(folder);
  overlayDisk(disk, image.disk, 'qcow2');
  const port = options.github?.port ?? null;
  const instance = await launchInstance({ folder, disk, image: image.folder, savedState: image.state, hostPort: port });
  const toHost = port === null ? null : await relay({ path: path.join(folder, 'host.sock') }, { host: '127.0.0.1', port });
  const close = async (): Promise<void> => {
    toHost?.close();
    await instance.close();
  };
  try {
    await ask(folder, 'start');
  } catch (error) {
    await close();
    throw error;
  }

  const multipass = writeMultipass(instances);
  const exec: Guest['exec'] = (script, { input = '', user = 'root' } = {}) => execIn(folder, script, input, user);
  const must: Guest['must'] = async (script, options_) => {
    const { exitCode, stdout, stderr } = await exec(script, options_);
    if (exitCode !== 0) throw new Error(`in the guest, exit code ${exitCode}: ${script}\n${stdout}${stderr}`);
    return stdout.trim();
  };

  return {
    name,
    instances,
    githubUrl: port === null ? null : `http://${HOST_ADDRESS}:${port}`,
    env: {
      MULTIPASS: multipass,
      VM_NAME: name,
      ...(port !== null && {
        GITHUB_API_URL: `http://127.0.0.1:${port}`,
        GITHUB_SERVER_URL: `http://${HOST_ADDRESS}:${port}`,
        RUNWARD_LAB_HTTP_HOST: HOST_ADDRESS,
      }),
    },
    pid: instance.pid,
    exec,
    must,
    multipass: (args, input = '') => runProgram(multipass, args, input),

    state: () => ask(folder, 'state'),
    start: () => ask(folder, 'start'),
    stop: () => ask(folder, 'stop'),
    powerCut: () => ask(folder, 'kill'),
    reboot: () => ask(folder, 'reboot'),
    suspend: () => ask(folder, 'suspend'),
    freeze: () => ask(folder, 'freeze'),
    thaw: () => ask(folder, 'thaw'),
    panic: () => ask(folder, 'panic'),
    sshd: (is) => ask(folder, 'sshd', { is }),
    firstBoot: () => ask(folder, 'first-boot'),
    keepDaemonWaiting: async () => {
      ask(folder, 'over-session', { limitMs: 5_000 }).catch(() => {});
      while (!existsSync(daemonThreadIn(instances))) await sleep(20);
    },
    restartDaemon: () => ask(folder, 'restart-daemon'),

    setClock: async (offsetSeconds) =>
      void (await must(`systemctl stop systemd-timesyncd && date --set @${Date.now() / 1000 + offsetSeconds}`)),
    clockOffset: async () => {
      const before = Date.now();
      const guest = Number(await must('date +%s.%N'));
      return guest - (before + Date.now()) / 2000;
    },
    ntp: {
      setOffset: (offsetSeconds) => ask(folder, 'time-server', { answers: true, offsetSeconds }),
      stop: () => ask(folder, 'time-server', { answers: false, offsetSeconds: 0 }),
    },

    unpackRunner: (unpacked) => unpackRunner(must, unpacked),
    installRunner: (wanted) => installRunner(must, options.github, wanted),
    keepPackage: (kept) => keepPackage(must, kept),

    processList: async () => (await must('ps -e -ww -o args=')).split('\n'),
    sampleProcesses: () => sampleProcesses(folder),

    close,
  };
}

async function execIn(folder: string, script: string, input: string | Buffer, user: Command['user']): Promise<ExecResult> {
  const cwd = user === 'root' ? '/root' : `/home/${user}`;
  const { ended, output } = startIn(
    folder,
    { argv: ['/bin/bash', '-c', script], user, cwd, env: { ...ENVIRONMENT, HOME: cwd, USER: user } },
    input,
  );
  return { exitCode: await ended, ...output() };
}

/** Watches by one process of its own in the guest; a process that lives shorter than its pause may be missed. */
async function sampleProcesses(folder: string): Promise<{ stop(): Promise<string[]> }> {
  const program = readFileSync(path.join(import.meta.dirname, 'sample-processes.cjs'), 'utf8');
  const watcher = startIn(folder, { argv: ['node', '-e', program], user: 'root', cwd: '/', env: ENVIRONMENT }, null);
  await watcher.firstOutput;
  return {
    stop: async () => {
      watcher.endInput();
      await watcher.ended;
      return watcher
        .output()
        .stdout.split('\n')
        .filter((line) => line !== '');
    },
  };
}

/** Input `null` leaves the standard input open. */
function startIn(folder: string, command: Command, input: string | Buffer | null) {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const { promise: firstOutput, resolve: haveOutput } = Promise.withResolvers<void>();
  const out = (bytes: Buffer): void => {
    stdout.push(bytes);
    haveOutput();
  };
  const remote = runCommand(folder, command, { out, err: (bytes) => void stderr.push(bytes) });
  if (input !== null) {
    remote.input(Buffer.from(input));
    remote.endInput();
  }
  return {
    firstOutput,
    endInput: () => remote.endInput(),
    output: () => ({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }),
    ended: remote.ended.then((ending) => {
      if (ending.kind === 'exited') return ending.code ?? 255;
      throw new Error(ending.kind === 'lost' ? 'the guest was lost while a command ran in it' : ending.message);
    }),
  };
}

/** The command with its surroundings written in, so that it works whatever environment it is called with. */
function writeMultipass(instances: string): string {
  const file = path.join(instances, 'multipass');
  const program = path.join(import.meta.dirname, 'multipass');
  const script = `#!/bin/sh\nRUNWARD_TEST_GUESTS='${instances}' RUNWARD_TEST_NODE='${process.execPath}' exec '${program}' "$@"\n`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}

function runProgram(program: string, args: readonly string[], input: string): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args);
    const read = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (read[name] += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? 255, ...read }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
