import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { lineOf } from '../../domain/plain.ts';
import { providerHangsReason } from '../../domain/provider.ts';
import { MACHINE_STATES, type MachineState } from '../../domain/runner.ts';
import { CommandError, type CommandResult, runCommand } from '../command.ts';
import { type CallContext, MachineError, type MachineErrorKind, type MachineRestarted } from '../port.ts';
import { evidenceOf } from '../text.ts';
import type { RemoteCommand, RemoteResult, Transport } from '../transport.ts';

export interface MultipassTiming {
  /** The daemon answers from its memory: who waits for longer waits for a daemon that hangs. */
  readonly listMs: number;
  /** All of a start but its last probe. The daemon itself allows 5 minutes for SSH and 5 for initialization. */
  readonly startMs: number;
  /** All that a start may spend in state `unknown`, in which an instance is until it has an address. */
  readonly unknownMs: number;
  /** An orderly end, after which the power is cut; and the cut itself. */
  readonly stopMs: number;
  /** One try whether the guest answers. */
  readonly probeMs: number;
  /** Between two looks at a machine that is starting. */
  readonly pauseMs: number;
}

const TIMING: MultipassTiming = {
  listMs: 15_000,
  startMs: 10 * 60_000,
  unknownMs: 4 * 60_000,
  stopMs: 60_000,
  probeMs: 20_000,
  pauseMs: 1_000,
};

/** For so many times what an orderly end may take, a machine that was told to shut down is not told again. */
const TOLD_TIMES = 3;

/** What `exec` takes from standard input before it loses the rest without a word. */
const INPUT_LIMIT = 2 * 1024 * 1024;

/**
 * Runs its arguments and prints their exit code as the last line of standard error.
 * The client's own codes can't be told from a command's, and a client of 1.16 runs a command that exits with 4 again for ever.
 */
const PRINT_EXIT_CODE = '"$@"; printf \'\\nrunward-exit %s\\n\' "$?" >&2';
const EXIT_CODE = /\nrunward-exit (\d{1,3})\s*$/;
/** In this end of standard error. */
const EXIT_CODE_LENGTH = 64;

/**
 * A plain `list` asks each running instance for its addresses over the daemon's own SSH session, without a time limit and on the daemon's only
 * thread: one guest whose SSH is dead hangs the daemon for all instances. The flag keeps it from that; it is hidden, and there since 1.7.0.
 */
const LIST = ['list', '--no-ipv4', '--format', 'json'];

/** A plain `stop` uses the same session. */
const POWER_OFF = ['stop', '--force'];

/** What the client exits with when it has not reached a guest's SSH, and (255, also in place of 2) when the connection broke. */
const NO_SSH: readonly number[] = [2, 255];

const INSTANCES = z.object({ list: z.array(z.object({ name: z.string(), state: z.string() })) });

/** Machines that are Multipass instances, through the `multipass` command. */
export class MultipassTransport implements Transport {
  readonly #multipass: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #timing: MultipassTiming;
  /** By machine, with the monotonic clock's milliseconds: guests that did not answer and were not stopped. */
  readonly #probed = new Map<string, { readonly at: number; readonly probe: Probe }>();
  /** When each machine was last known to run, by the monotonic clock. */
  readonly #seenRunning = new Map<string, number>();
  /** When each machine that did not end by it was told to shut down, by the monotonic clock. */
  readonly #toldToEnd = new Map<string, number>();

  constructor(options: {
    /** Name or path of the client. */
    readonly multipass: string;
    /** The client's whole environment; its certificate is found through `HOME`. */
    readonly environment: Readonly<Record<string, string>>;
    readonly timing?: Partial<MultipassTiming>;
  }) {
    this.#multipass = options.multipass;
    this.#environment = options.environment;
    this.#timing = { ...TIMING, ...options.timing };
  }

  async state(machine: string, call: CallContext): Promise<MachineState> {
    return (await this.states([machine], call)).get(machine) ?? 'missing';
  }

  async states(machines: readonly string[], call: CallContext): Promise<ReadonlyMap<string, MachineState>> {
    const step = 'list instances';
    const { exitCode, stdout, stderr } = await this.#run({ step, args: LIST, deadlineMs: this.#timing.listMs }, call);
    if (exitCode !== 0) {
      throw new MachineError('provider-unavailable', `${step}: multipass exited ${exitCode}; is its daemon running?`, {
        evidence: evidenceOf(stderr),
      });
    }
    const instances = INSTANCES.safeParse(parseJson(stdout));
    if (!instances.success) {
      throw new MachineError(
        'protocol',
        `${step}: multipass printed another JSON than expected: ${lineOf(z.prettifyError(instances.error), 300)}`,
      );
    }
    const listed = new Map(instances.data.list.map(({ name, state }) => [name, stateNamed(state)]));
    return new Map(
      machines.map((machine) => {
        const state = listed.get(machine) ?? 'missing';
        this.#note(machine, state === 'running');
        return [machine, state];
      }),
    );
  }

  async start(machine: string, call: CallContext): Promise<void> {
    const deadline = performance.now() + this.#timing.startMs;
    const unknownDeadline = performance.now() + this.#timing.unknownMs;
    const left = () => Math.max(1, Math.round(deadline - performance.now()));

    for (let evidence = ''; ; await pause(this.#timing.pauseMs, call.signal)) {
      if (performance.now() >= deadline) {
        throw new MachineError('unreachable', `start ${machine}: its guest did not answer within ${this.#timing.startMs / 1_000} s`, {
          evidence,
        });
      }
      call.heartbeat(`start ${machine}`);
      switch (await this.state(machine, call)) {
        case 'running': {
          const probe = await this.#probe(machine, call);
          if (probe.kind === 'well') return;
          evidence = probe.evidence;
          break;
        }
        case 'unknown':
          // Whoever calls this decides whether the power may be cut: a job may run in there.
          if (performance.now() >= unknownDeadline) {
            throw new MachineError(
              'unreachable',
              `start ${machine}: multipass has called its state unknown for ${this.#timing.unknownMs / 1_000} s; \`multipass stop --force ${machine}\` and \`multipass start ${machine}\` bring it back`,
            );
          }
          break;
        case 'starting':
        case 'restarting':
        case 'suspending':
          break;
        case 'missing':
          throw new MachineError(
            'machine-missing',
            `start ${machine}: there is no such instance; \`multipass list --no-ipv4\` shows those that there are`,
          );
        case 'deleted':
          throw new MachineError(
            'machine-missing',
            `start ${machine}: the instance was deleted; \`multipass recover ${machine}\` brings it back`,
          );
        case 'unavailable':
          throw new MachineError('provider-unavailable', `start ${machine}: the instance's availability zone is disabled; enable it first`);
        case 'stopped':
        case 'suspended':
        case 'delayed shutdown': {
          const { exitCode, stderr } = await this.#run({ step: `start ${machine}`, args: ['start', machine], deadlineMs: left() }, call);
          if (exitCode !== 0) {
            throw new MachineError('unreachable', `start ${machine}: multipass exited ${exitCode}`, { evidence: evidenceOf(stderr) });
          }
        }
      }
    }
  }

  async restart(machine: string, mayStop: () => Promise<boolean>, call: CallContext): Promise<MachineRestarted> {
    const state = await this.state(machine, call);
    let hasCutPower = false;
    if (state === 'running' || state === 'unknown') {
      const probe = state === 'unknown' ? SILENT : (this.#takeProbe(machine) ?? (await this.#probe(machine, call)));
      if (probe.kind === 'well') return { kind: 'running' };
      if (probe.kind !== 'off') {
        if (!(await mayStop())) {
          this.#probed.set(machine, { at: performance.now(), probe });
          return { kind: 'given-up', evidence: `${machine} was not stopped` };
        }
        const canEnd = probe.kind === 'ill' && !this.#wasToldToEnd(machine);
        const isOff = canEnd && (await this.#endsFromInside(machine, call));
        if (!isOff && canEnd && !(await mayStop())) {
          return { kind: 'given-up', evidence: `${machine} was told to shut down, and its power was not cut` };
        }
        if (!isOff) await this.#cutPower(machine, call);
        hasCutPower = !isOff;
      }
    }
    await this.start(machine, call);
    return { kind: 'running', ...(hasCutPower ? { hasCutPower } : {}) };
  }

  async exec(machine: string, command: RemoteCommand, call: CallContext): Promise<RemoteResult> {
    if ((command.input?.length ?? 0) >= INPUT_LIMIT) {
      throw new MachineError(
        'protocol',
        `${command.step}: ${command.input?.length} bytes are too much for the standard input of multipass exec`,
      );
    }
    if (!this.#wasSeenRunning(machine, command.trustRunningMs ?? 0)) {
      const state = await this.state(machine, call);
      if (state === 'missing') throw new MachineError('machine-missing', `${command.step}: there is no instance ${machine}`);
      if (state !== 'running') throw new MachineError('not-running', `${command.step}: ${machine} is ${state}`);
    }
    const args = ['exec', '-n', machine, '--', 'sh', '-c', PRINT_EXIT_CODE, 'sh', ...command.argv];
    const { exitCode, stdout, stderr } = await this.#run({ ...command, args }, call);
    const ending = stderr.slice(-EXIT_CODE_LENGTH);
    const own = EXIT_CODE.exec(ending);
    this.#note(machine, own !== null);
    if (own === null) {
      const evidence = evidenceOf(stderr);
      throw new CutOff(`${command.step}: ${machine} did not run the command to its end (multipass exited ${exitCode})`, exitCode, evidence);
    }
    return { exitCode: Number(own[1]), stdout, stderr: stderr.slice(0, stderr.length - ending.length + own.index) };
  }

  #note(machine: string, isRunning: boolean): void {
    if (isRunning) this.#seenRunning.set(machine, performance.now());
    else this.#seenRunning.delete(machine);
  }

  #wasSeenRunning(machine: string, withinMs: number): boolean {
    const seenAt = this.#seenRunning.get(machine);
    return seenAt !== undefined && performance.now() - seenAt < withinMs;
  }

  /** An orderly end takes longer than the right to cut the power holds, so the next try does not begin with it again. */
  #wasToldToEnd(machine: string): boolean {
    const toldAt = this.#toldToEnd.get(machine);
    return toldAt !== undefined && performance.now() - toldAt < TOLD_TIMES * this.#timing.stopMs;
  }

  /** Whether a guest that has SSH could be told to shut itself down, and did so in time. */
  async #endsFromInside(machine: string, call: CallContext): Promise<boolean> {
    const deadline = performance.now() + this.#timing.stopMs;
    const powerOff = { step: `power ${machine} off`, argv: ['sudo', 'systemctl', 'poweroff'], deadlineMs: this.#timing.stopMs };
    await this.exec(machine, powerOff, call).catch(whereUnreached);
    for (;;) {
      if ((await this.state(machine, call)) === 'stopped') return true;
      if (performance.now() >= deadline) {
        this.#toldToEnd.set(machine, performance.now());
        return false;
      }
      call.heartbeat(`power ${machine} off`);
      await pause(this.#timing.pauseMs, call.signal);
    }
  }

  /** One that was not stopped in time is told by its next state. */
  async #cutPower(machine: string, call: CallContext): Promise<void> {
    this.#note(machine, false);
    this.#toldToEnd.delete(machine);
    call.heartbeat(`stop ${machine}`);
    const stop = { step: `stop ${machine}`, args: [...POWER_OFF, machine], deadlineMs: this.#timing.stopMs };
    const result = await this.#run(stop, call).catch(whereUnreached);
    if (result === undefined || result.exitCode === 0) return;
    // It may have been down already.
    const state = await this.state(machine, call);
    if (state === 'running' || state === 'unknown') {
      const command = ['multipass', ...POWER_OFF, machine].join(' ');
      throw new MachineError('unreachable', `\`${command}\` exited ${result.exitCode}`, { evidence: evidenceOf(result.stderr) });
    }
  }

  /** What a probe has shown a moment ago: who was to ask GitHub anew since then shall not lose that time again. */
  #takeProbe(machine: string): Probe | null {
    const probed = this.#probed.get(machine);
    this.#probed.delete(machine);
    return probed !== undefined && performance.now() - probed.at < this.#timing.probeMs ? probed.probe : null;
  }

  /** Whether the guest answers. */
  async #probe(machine: string, call: CallContext): Promise<Probe> {
    try {
      const probe = { step: `reach ${machine}`, argv: ['true'], deadlineMs: this.#timing.probeMs };
      const { exitCode, stderr } = await this.exec(machine, probe, call);
      return exitCode === 0 ? { kind: 'well' } : { kind: 'ill', evidence: `true exited ${exitCode}: ${evidenceOf(stderr)}` };
    } catch (error) {
      if (!(error instanceof MachineError) || (error.kind !== 'unreachable' && error.kind !== 'not-running')) throw error;
      const evidence = evidenceOf(`${error.message}\n${error.evidence}`);
      if (error.kind === 'not-running') return { kind: 'off', evidence };
      return { kind: error instanceof CutOff && !NO_SSH.includes(error.exitCode) ? 'ill' : 'silent', evidence };
    }
  }

  async #run(
    command: { readonly step: string; readonly args: readonly string[]; readonly input?: Uint8Array; readonly deadlineMs: number },
    call: CallContext,
  ): Promise<CommandResult> {
    const { step, args, input, deadlineMs } = command;
    try {
      return await runCommand(
        { step, file: this.#multipass, args, environment: this.#environment, deadlineMs, ...(input === undefined ? {} : { input }) },
        call,
      );
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (error.reason === 'tool-missing') {
        throw new MachineError('tool-missing', `${error.message}; install Multipass, or say by MULTIPASS where it is`, { cause: error });
      }
      if (args[0] === 'list' && error.reason === 'timed-out') {
        throw new MachineError('provider-hangs', `${step}: ${providerHangsReason(deadlineMs / 1_000)}`, { cause: error });
      }
      const kind: MachineErrorKind = ['exec', 'start', 'stop'].includes(args[0] ?? '') ? 'unreachable' : 'provider-unavailable';
      throw new MachineError(kind, error.message, { evidence: error.evidence, cause: error });
    }
  }
}

/** Whether a guest answers: `ill` is one with SSH, in which commands fail; `off` is one whose machine does not run any more. */
type Probe = { readonly kind: 'well' } | { readonly kind: 'ill' | 'silent' | 'off'; readonly evidence: string };
const SILENT: Probe = { kind: 'silent', evidence: '' };

/** A command in a guest of which the client tells another end than its own. */
class CutOff extends MachineError {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, evidence: string) {
    super('unreachable', message, { evidence });
    this.exitCode = exitCode;
  }
}

/** What was not heard in time is seen by the next look at the machine's state. */
function whereUnreached(error: unknown): void {
  if (!(error instanceof MachineError) || (error.kind !== 'unreachable' && error.kind !== 'not-running')) throw error;
}

function stateNamed(name: string): MachineState {
  const lower = name.toLowerCase();
  return MACHINE_STATES.find((state) => state === lower && state !== 'missing') ?? 'unknown';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Rejects with the signal's reason once that is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
