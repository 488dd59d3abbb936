import { observeGitHub } from '../activities/observe-github.ts';
import type { Config } from '../config/config.ts';
import type { HostLook, HostObservation, RunnerLook, ScopeObservation } from '../domain/pass.ts';
import { known, unknown, valueOrNull, type Reading } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import { qualifiedName } from '../domain/names.ts';
import type { Neighbour, RegisteredRunner, RunnerTarget } from '../domain/runner.ts';
import { NO_RUN_HAS_ITS_JOB, ORGANIZATION_HAS_NO_RUNS, type RunningJob } from '../domain/running-job.ts';
import { isRepository } from '../github/endpoints.ts';
import type { GitHubPort } from '../github/port.ts';
import { createObserveAll } from '../machine/observe-all.ts';
import type { CallContext, MachinePort, ObserveAll } from '../machine/port.ts';
import { queuePolicy } from '../worker/policy.ts';
import { createGitHubOf, createHost } from '../worker/run.ts';
import { say } from './invocation.ts';
import { messageOf } from './temporal.ts';

/** A look from the command line gives up on a side after this. */
const LOOK_TIMEOUT_MS = 30_000;
/** Below it, so that one machine that hangs leaves the others to be told. */
const MACHINE_TIMEOUT_MS = 20_000;
/** Runs whose jobs a look from the command line reads, so that it stays quick. */
const RUNS_READ = 30;
/** A look that is well takes one or two seconds. */
const SLOW_MS = 4_000;

export interface Ports {
  readonly github: GitHubPort;
  readonly machine: MachinePort;
  readonly observeAll: ObserveAll;
  /** GitHub's web address, whose clock is compared with this computer's. */
  readonly serverUrl: string;
  /** This computer's configured name: the machines of others can't be asked from here. */
  readonly host: string;
  /** How long a run may be queued. */
  readonly staleAfterMs: number;
}

/** What the command sees of a scope by itself. */
export interface ScopeSeen {
  readonly github: Reading<ScopeObservation>;
  /** This computer. */
  readonly host: Reading<HostObservation>;
  /** In the order of the targets; what belongs to another host is unknown. */
  readonly runners: readonly RunnerLook[];
}

export function createPorts(config: Config, environment: NodeJS.ProcessEnv): Ports {
  const { machine, computer, name } = createHost(config, environment);
  return {
    github: createGitHubOf(config, (message) => say(`warning: ${message}`)),
    machine,
    observeAll: createObserveAll(machine, computer),
    serverUrl: config.github.serverUrl,
    host: name,
    staleAfterMs: queuePolicy(config).rules.stale.afterMs,
  };
}

/** What the command sees of one runner. */
export interface RunnerSeen extends Look {
  /** The job that it works on; `null` if both sides call it idle. */
  readonly runningJob: Reading<RunningJob | null>;
}

/** Reads both sides in parallel, and of a busy one its job; what can't be read is unknown, with the reason. */
export async function lookAtRunner(ports: Ports, target: RunnerTarget, interrupted: AbortSignal): Promise<RunnerSeen> {
  const signal = lookSignal(interrupted);
  const [github, machine] = await Promise.all([
    reading('GitHub', () => observeGitHub(ports.github, target, async () => null, signal)),
    target.host === ports.host ? reading(PROVIDER, () => ports.machine.observe(target, callOf(signal))) : elsewhere(target),
  ]);
  return { github, machine, runningJob: await readRunningJob(ports, target, { github, machine }, signal) };
}

async function readRunningJob(
  ports: Ports,
  { scope, runner }: RunnerTarget,
  look: Look,
  signal: AbortSignal,
): Promise<RunnerSeen['runningJob']> {
  const { github, machine } = look;
  const guest = machine.known ? valueOrNull(machine.value.guest) : null;
  if (!github.known) {
    return github;
  }
  if (github.value.runner?.busy !== true && (guest === null || guest.workers === 0)) {
    return known(null);
  }
  if (!isRepository(scope)) {
    return unknown(ORGANIZATION_HAS_NO_RUNS);
  }
  const found = await reading('GitHub', () => ports.github.findRunningJob(scope, runner, signal));
  if (!found.known) {
    return found;
  }
  return found.value.value === null ? unknown(NO_RUN_HAS_ITS_JOB) : known(found.value.value);
}

/**
 * The same for all these runners of a scope: GitHub's lists once, and all machines of this computer at once.
 * @param setAside runs that queue care has set aside, as far as Temporal tells
 */
export async function lookAtScope(
  ports: Ports,
  scope: string,
  targets: readonly RunnerTarget[],
  interrupted: AbortSignal,
  setAside: Promise<readonly number[]> = Promise.resolve([]),
): Promise<ScopeSeen> {
  const signal = lookSignal(interrupted);
  const wanted = {
    runners: targets.map(({ runner }) => runner),
    customLabels: targets.map(({ labels }) => labels),
    readsGroups: targets.some(({ group }) => group !== null),
    runsRead: RUNS_READ,
    setAside,
    forPeople: { staleAfterMs: ports.staleAfterMs },
  };
  const here = targets.filter(({ host }) => host === ports.host);
  const [github, seen] = await Promise.all([
    reading('GitHub', () => ports.github.observeScope(scope, wanted, signal)),
    reading<HostLook>(PROVIDER, () =>
      ports.observeAll({ targets: here, machineLookMs: MACHINE_TIMEOUT_MS, serverUrl: ports.serverUrl }, callOf(signal)),
    ),
  ]);
  const runners = targets.map((target): RunnerLook => {
    const machine = seen.known ? (seen.value.machines[here.indexOf(target)] ?? elsewhere(target)) : seen;
    return { target, machine: target.host === ports.host ? machine : elsewhere(target) };
  });
  return { github, host: known(seen.known ? seen.value.host : UNREAD_HOST), runners };
}

/** This computer is there, whatever its machines answer. */
const UNREAD_HOST: HostObservation = {
  observedAt: 0,
  githubOffsetMs: unknown('not looked at'),
  bootedAt: 0,
  wokeAt: null,
  oldCronJob: known(null),
};

/** Says so where a look takes long, so that nobody takes it for dead. */
export async function sayWhenSlow<T>(looking: Promise<T>): Promise<T> {
  const slow = setTimeout(
    () => say(`Still looking: GitHub or Multipass takes its time, and is given up after ${LOOK_TIMEOUT_MS / 1_000} s …`),
    SLOW_MS,
  );
  try {
    return await looking;
  } finally {
    clearTimeout(slow);
  }
}

/** What both sides said of one runner of the scope. */
export function lookOf({ github }: ScopeSeen, { target, machine }: RunnerLook): Look {
  if (!github.known) {
    return { github, machine };
  }
  const { observedAt, runners, absent } = github.value;
  const listed = (name: string): RegisteredRunner | null =>
    runners.find((registered) => registered.name.toLowerCase() === name.toLowerCase()) ?? null;
  const absence = absent?.[target.runner];
  const neighbours = target.neighbours.map((neighbour): Neighbour => {
    const seen = neighbour.scope === target.scope ? listed(neighbour.runner) : null;
    const isOut = seen === null && neighbour.scope === target.scope && absent?.[neighbour.runner]?.kind === 'gone';
    const status = seen?.status === 'online' || seen?.status === 'offline' ? seen.status : null;
    return { name: qualifiedName(neighbour), standing: status ?? (isOut ? 'gone' : 'unknown'), busy: seen?.busy === true };
  });
  const runner = listed(target.runner);
  return {
    github: known({ observedAt, runner, ...(absence === undefined ? {} : { absence }), neighbours, busyNeighbours: [] }),
    machine,
  };
}

/** Whether both sides could be read, as whoever acts needs it; a guest that does not answer is a reading. */
export function isReadable({ github, machine }: Look): boolean {
  return github.known && machine.known;
}

/** Whether neither side could be read. */
export function isBlind({ github, machine }: Look): boolean {
  return !github.known && !machine.known;
}

const PROVIDER = 'Multipass';

/** A failure to look is a value. `who` is asked. */
async function reading<T>(who: string, look: () => Promise<T>): Promise<Reading<T>> {
  try {
    return known(await look());
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === 'TimeoutError';
    return unknown(isTimeout ? `${who} gave no answer within ${LOOK_TIMEOUT_MS / 1_000} s` : messageOf(error));
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
