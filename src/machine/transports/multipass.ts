import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { MACHINE_STATES, type MachineState } from '../../domain/runner.ts';
import { CommandError, type CommandResult, runCommand } from '../command.ts';
import { type CallContext, MachineError, type MachineErrorKind } from '../port.ts';
import { evidenceOf } from '../text.ts';
import type { RemoteCommand, RemoteResult, Transport } from '../transport.ts';

export interface MultipassTiming {
  /** `list` asks each running instance for its addresses over SSH. */
  readonly listMs: number;
  /** All of a start but its last probe. The daemon itself allows 5 minutes for SSH and 5 for initialization. */
  readonly startMs: number;
  /** An orderly shutdown; after it the power is cut. */
  readonly stopMs: number;
  /** One try whether the guest answers. */
  readonly probeMs: number;
  /** Between two looks at a machine that is starting. */
  readonly pauseMs: number;
}

const TIMING: MultipassTiming = { listMs: 30_000, startMs: 10 * 60_000, stopMs: 60_000, probeMs: 20_000, pauseMs: 1_000 };

/** What `exec` takes from standard input before it loses the rest without a word. */
const INPUT_LIMIT = 2 * 1024 * 1024;

/**
 * Runs its arguments and prints their exit code as the last line of standard error.
 * The client's own codes can't be told from a command's, and a client of 1.16 runs a command that exits with 4 again for ever.
 */
const PRINT_EXIT_CODE = '"$@"; printf \'\\nrunward-exit %s\\n\' "$?" >&2';
const EXIT_CODE = /\nrunward-exit (\d{1,3})\s*$/;

const INSTANCES = z.object({ list: z.array(z.object({ name: z.string(), state: z.string() })) });

/** Machines that are Multipass instances, through the `multipass` command. */
export class MultipassTransport implements Transport {
  readonly #multipass: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #timing: MultipassTiming;
  /** When each machine was last known to run, by the monotonic clock. */
  readonly #seenRunning = new Map<string, number>();

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
    const { exitCode, stdout, stderr } = await this.#run(
      { step, args: ['list', '--format', 'json'], deadlineMs: this.#timing.listMs },
      call,
    );
    if (exitCode !== 0) {
      throw new MachineError('provider-unavailable', `${step}: multipass exited ${exitCode}; is its daemon running?`, {
        evidence: evidenceOf(stderr),
      });
    }
    const instances = INSTANCES.safeParse(parseJson(stdout));
    if (!instances.success) {
      throw new MachineError('protocol', `${step}: multipass printed another JSON than expected: ${z.prettifyError(instances.error)}`);
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
    const left = () => Math.max(1, Math.round(deadline - performance.now()));

    for (let evidence = ''; ; await pause(this.#timing.pauseMs, call.signal)) {
      if (performance.now() >= deadline) {
        throw new MachineError('unreachable', `start ${machine}: its guest did not answer within ${this.#timing.startMs / 1_000} s`, {
          evidence,
        });
      }
      call.heartbeat(`start ${machine}`);
      switch (await this.state(machine, call)) {
        case 'running':
          evidence = await this.#probe(machine, call);
          if (evidence === '') return;
          break;
        case 'starting':
        case 'restarting':
        case 'suspending':
          break;
        case 'missing':
          throw new MachineError(
            'machine-missing',
            `start ${machine}: there is no such instance; \`multipass list\` shows those that there are`,
          );
        case 'deleted':
          throw new MachineError(
            'machine-missing',
            `start ${machine}: the instance was deleted; \`multipass recover ${machine}\` brings it back`,
          );
        case 'unknown':
          throw new MachineError(
            'unreachable',
            `start ${machine}: multipass lost touch with the instance; \`multipass stop ${machine}\` and \`multipass start ${machine}\` bring it back`,
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

  async restart(machine: string, call: CallContext): Promise<void> {
    const state = await this.state(machine, call);
    if (state !== 'running') return this.start(machine, call);
    if ((await this.#probe(machine, call)) === '') return;
    // The client's own `restart` waits for a guest that does not listen; forced, a stop does not.
    if (!(await this.#stops(machine, [], this.#timing.stopMs, call))) {
      await this.#stops(machine, ['--force'], this.#timing.stopMs, call);
    }
    return this.start(machine, call);
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
    const own = EXIT_CODE.exec(stderr);
    this.#note(machine, own !== null);
    if (own === null) {
      const evidence = evidenceOf(stderr);
      throw new MachineError(
        'unreachable',
        `${command.step}: ${machine} did not run the command to its end (multipass exited ${exitCode})`,
        {
          evidence,
        },
      );
    }
    return { exitCode: Number(own[1]), stdout, stderr: stderr.slice(0, own.index) };
  }

  #note(machine: string, isRunning: boolean): void {
    if (isRunning) this.#seenRunning.set(machine, performance.now());
    else this.#seenRunning.delete(machine);
  }

  #wasSeenRunning(machine: string, withinMs: number): boolean {
    const seenAt = this.#seenRunning.get(machine);
    return seenAt !== undefined && performance.now() - seenAt < withinMs;
  }

  /** Whether the machine was stopped. One that was not in time goes on stopping, or ignores it. */
  async #stops(machine: string, options: readonly string[], deadlineMs: number, call: CallContext): Promise<boolean> {
    this.#note(machine, false);
    call.heartbeat(`stop ${machine}`);
    try {
      const { exitCode } = await this.#run({ step: `stop ${machine}`, args: ['stop', ...options, machine], deadlineMs }, call);
      return exitCode === 0;
    } catch (error) {
      if (error instanceof MachineError && error.kind === 'unreachable') return false;
      throw error;
    }
  }

  /** What went wrong, or nothing where the guest answers. */
  async #probe(machine: string, call: CallContext): Promise<string> {
    try {
      const probe = { step: `reach ${machine}`, argv: ['true'], deadlineMs: this.#timing.probeMs };
      const { exitCode, stderr } = await this.exec(machine, probe, call);
      return exitCode === 0 ? '' : `true exited ${exitCode}: ${evidenceOf(stderr)}`;
    } catch (error) {
      if (error instanceof MachineError && (error.kind === 'unreachable' || error.kind === 'not-running')) {
        return `${error.message}\n${error.evidence}`;
      }
      throw error;
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
      const kind: MachineErrorKind = ['exec', 'start', 'stop'].includes(args[0] ?? '') ? 'unreachable' : 'provider-unavailable';
      throw new MachineError(kind, error.message, { evidence: error.evidence, cause: error });
    }
  }
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
