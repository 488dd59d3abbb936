import { observeGitHub } from '../activities/observe-github.ts';
import type { Config } from '../config/config.ts';
import type { RunnerLook, ScopeObservation } from '../domain/pass.ts';
import { DEFAULT_HEALTH_POLICY } from '../domain/policy.ts';
import { known, unknown, type Reading } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import type { MachineObservation, MachineState, RunnerTarget } from '../domain/runner.ts';
import type { GitHubPort } from '../github/port.ts';
import type { CallContext, MachinePort } from '../machine/port.ts';
import { createGitHubOf, createMachine } from '../worker/run.ts';
import { say } from './invocation.ts';
import { messageOf } from './temporal.ts';

/** A look from the command line gives up on a side after this. */
const LOOK_TIMEOUT_MS = 30_000;

export interface Ports {
  readonly github: GitHubPort;
  readonly machine: MachinePort;
  /** This computer's configured name: the machines of others can't be asked from here. */
  readonly host: string;
}

/** What the command sees of a scope by itself. */
export interface ScopeSeen {
  readonly github: Reading<ScopeObservation>;
  /** In the order of the targets. */
  readonly runners: readonly RunnerLook[];
}

export function createPorts(config: Config, environment: NodeJS.ProcessEnv): Ports {
  return {
    github: createGitHubOf(config, (message) => say(`warning: ${message}`)),
    machine: createMachine(config, environment),
    host: config.host,
  };
}

/** Reads both sides in parallel; what can't be read is unknown, with the reason. */
export async function lookAtRunner(ports: Ports, target: RunnerTarget, interrupted: AbortSignal): Promise<Look> {
  const signal = lookSignal(interrupted);
  const [github, machine] = await Promise.all([
    reading(() => observeGitHub(ports.github, target, signal)),
    target.host === ports.host ? reading(() => ports.machine.observe(target, callOf(signal))) : elsewhere(target),
  ]);
  return { github, machine };
}

/** The same for all these runners of a scope: GitHub's lists are read once, and the machines' states as well. */
export async function lookAtScope(
  ports: Ports,
  scope: string,
  targets: readonly RunnerTarget[],
  interrupted: AbortSignal,
): Promise<ScopeSeen> {
  const signal = lookSignal(interrupted);
  const wanted = {
    runners: targets.map(({ runner }) => runner),
    readsGroups: targets.some(({ group }) => group !== null),
    runsRead: DEFAULT_HEALTH_POLICY.runsRead,
  };
  const [github, machines] = await Promise.all([
    reading(() => ports.github.observeScope(scope, wanted, signal)),
    lookAtMachines(ports, targets, callOf(signal)),
  ]);
  return {
    github,
    runners: targets.map((target, index) => ({ target, machine: machines[index] ?? unknown('it was not looked at') })),
  };
}

async function lookAtMachines(
  { machine, host }: Ports,
  targets: readonly RunnerTarget[],
  call: CallContext,
): Promise<readonly Reading<MachineObservation>[]> {
  const here = [...new Set(targets.filter((target) => target.host === host).map((target) => target.machine))];
  const states: Reading<ReadonlyMap<string, MachineState>> =
    here.length === 0 ? known(new Map()) : await reading(() => machine.states(here, call));
  return Promise.all(
    targets.map(async (target) => {
      if (target.host !== host) {
        return elsewhere(target);
      }
      return states.known ? reading(() => machine.observe(target, call, states.value.get(target.machine) ?? 'missing')) : states;
    }),
  );
}

/** What both sides said of one runner of the scope. */
export function lookOf({ github }: ScopeSeen, { target, machine }: RunnerLook): Look {
  if (!github.known) {
    return { github, machine };
  }
  const { observedAt, runners } = github.value;
  const name = target.runner.toLowerCase();
  const runner = runners.find((registered) => registered.name.toLowerCase() === name) ?? null;
  return { github: known({ observedAt, runner, busyNeighbours: [] }), machine };
}

/** Whether neither side could be read. */
export function isBlind({ github, machine }: Look): boolean {
  return !github.known && !machine.known;
}

/** A failure to look is a value. */
export async function reading<T>(look: () => Promise<T>): Promise<Reading<T>> {
  try {
    return known(await look());
  } catch (error) {
    return unknown(messageOf(error));
  }
}

function lookSignal(interrupted: AbortSignal): AbortSignal {
  return AbortSignal.any([interrupted, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
}

function callOf(signal: AbortSignal): CallContext {
  return { signal, heartbeat: () => {} };
}

function elsewhere({ machine, host }: RunnerTarget): Reading<never> {
  return unknown(`${machine} belongs to host ${host}, and only a command on that computer can ask it`);
}
