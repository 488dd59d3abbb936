import { homedir } from 'node:os';
import { styleText } from 'node:util';
import type { Config } from '../config/config.ts';
import { loadConfig, type ConfigFlags } from '../config/load.ts';
import { ConfigError } from '../config/mistake.ts';
import { findHome, type Surroundings } from '../config/paths.ts';
import { startingUntil } from '../worker/starting.ts';
import { CommandFailure, EXIT } from './exit.ts';

/** What every verb is given: where it runs, and how it speaks. */
export interface Invocation extends Surroundings {
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly interrupted: AbortSignal;
  /** How long to wait for a Temporal that does not answer, if not the usual time. */
  readonly temporalPatienceMs?: number;
}

export function invocationOf(interrupted: AbortSignal): Invocation {
  return { env: takeEnvironment(), cwd: process.cwd(), platform: process.platform, homedir: homedir(), interrupted };
}

/** What a verb reads. The tokens leave the process's own environment, so that nothing that is started without thought has them. */
function takeEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  for (const variable of ['GH_TOKEN', 'GITHUB_TOKEN']) {
    delete process.env[variable];
  }
  return environment;
}

/** The configuration with its warnings told, or every mistake at once and exit code 2. */
export function readConfig(invocation: Invocation, flags: ConfigFlags): Config {
  try {
    const config = loadConfig({ ...invocation, flags });
    for (const warning of config.warnings) {
      say(`warning: ${warning}`);
    }
    return config;
  } catch (error) {
    if (error instanceof ConfigError) {
      throw new CommandFailure(EXIT.usage, error.message, error, 'configuration');
    }
    throw error;
  }
}

/** The data folder, which also verbs that need no configuration read. */
export function dataFolder(invocation: Invocation): string {
  return findHome(invocation);
}

/** Until when a worker of the data folder was starting, epoch milliseconds; 0 if nobody knows of any. */
export function workerStartingUntil(invocation: Invocation): number {
  return startingUntil(dataFolder(invocation));
}

let write: (text: string) => void = writeToTerminal;

/** Progress and remarks go to standard error. */
export function say(text: string): void {
  write(text);
}

/** Says at once that an interruption was heard: to end in order takes seconds. */
export function sayWhenInterrupted({ interrupted }: Invocation): void {
  interrupted.addEventListener('abort', () => say('Stopping …'), { once: true });
}

/** Has what is said written by `writer` from now on, as a log does. */
export function sayBy(writer: (text: string) => void): void {
  write = writer;
}

export function writeToTerminal(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The answer goes to standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

type Style = Parameters<typeof styleText>[0];

/** Colour on a terminal only; `NO_COLOR` is honoured. */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream });
}
