import { observeGitHub } from '../activities/observe-github.ts';
import type { Config } from '../config/config.ts';
import { known, unknown, type Reading } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import type { GitHubPort } from '../github/port.ts';
import type { MachinePort } from '../machine/port.ts';
import { createGitHubOf, createMachine } from '../worker/run.ts';
import { say } from './invocation.ts';
import { messageOf } from './temporal.ts';

/** A look from the command line gives up on a side after this. */
const LOOK_TIMEOUT_MS = 30_000;

export interface Ports {
  readonly github: GitHubPort;
  readonly machine: MachinePort;
}

export function createPorts(config: Config, environment: NodeJS.ProcessEnv): Ports {
  return { github: createGitHubOf(config, (message) => say(`warning: ${message}`)), machine: createMachine(config, environment) };
}

/** Reads both sides in parallel; what can't be read is unknown, with the reason. */
export async function lookAtRunner(ports: Ports, target: RunnerTarget, interrupted: AbortSignal): Promise<Look> {
  const signal = AbortSignal.any([interrupted, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
  const [github, machine] = await Promise.all([
    reading(() => observeGitHub(ports.github, target, signal)),
    reading(() => ports.machine.observe(target, { signal, heartbeat: () => {} })),
  ]);
  return { github, machine };
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
