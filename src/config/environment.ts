import type { z } from 'zod';
import { describeFound } from './mistake.ts';
import type { Mistake } from './mistake.ts';
import {
  cacheDays,
  machineName,
  organisation,
  repository,
  runnerDirectory,
  runnerLabels,
  runnerName,
  runnerUser,
  staleHours,
  webAddress,
} from './schema.ts';

/** Variables of a process. An empty one counts as not set, as `docker compose` passes on what is not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Settings by variable; credentials and paths are looked at where they are used. */
const VARIABLES = {
  REPO: { schema: repository, parse: asWritten },
  GITHUB_ORG: { schema: organisation, parse: asWritten },
  VM_NAME: { schema: machineName, parse: asWritten },
  RUNNER_NAME: { schema: runnerName, parse: asWritten },
  RUNNER_DIR: { schema: runnerDirectory, parse: asWritten },
  RUNNER_USER: { schema: runnerUser, parse: asWritten },
  RUNNER_LABELS: { schema: runnerLabels, parse: splitAtCommas },
  STALE_JOB_HOURS: { schema: staleHours, parse: asNumber },
  ACTIONS_CACHE_MAX_AGE_DAYS: { schema: cacheDays, parse: asNumber },
  GITHUB_API_URL: { schema: webAddress, parse: asWritten },
  GITHUB_SERVER_URL: { schema: webAddress, parse: asWritten },
} as const;

type Variable = keyof typeof VARIABLES;
export type EnvironmentSettings = {
  readonly [V in Variable]?: z.output<(typeof VARIABLES)[V]['schema']>;
};

/** The settings that the environment gives, and what is wrong with the others. */
export function readEnvironment(env: Environment): {
  settings: EnvironmentSettings;
  mistakes: Mistake[];
  warnings: string[];
} {
  const settings: Record<string, unknown> = {};
  const mistakes: Mistake[] = [];
  const warnings: string[] = [];
  for (const [variable, { schema, parse }] of Object.entries(VARIABLES)) {
    const written = read(env, variable);
    if (written === undefined) {
      continue;
    }
    if (variable === 'GITHUB_SERVER_URL' && isOfLab(written, read(env, LAB_HOST))) {
      settings[variable] = withoutSlash(written);
      warnings.push(`${LAB_HOST}: registrations at ${withoutSlash(written)} cross the network in clear; this is for tests alone.`);
      continue;
    }
    const checked = schema.safeParse(parse(written));
    if (checked.success) {
      settings[variable] = checked.data;
    } else {
      mistakes.push(variableMistake(variable, written, `${checked.error.issues[0]?.message}${hint(variable, written)}`));
    }
  }
  if (settings['REPO'] !== undefined && settings['GITHUB_ORG'] !== undefined) {
    mistakes.push(variableMistake('GITHUB_ORG', settings['GITHUB_ORG'], 'either REPO or GITHUB_ORG, not both'));
  }
  return { settings, mistakes, warnings };
}

/** A host that http is allowed to, as the address that runners register at: a test's guest sees this computer under another address. */
const LAB_HOST = 'RUNWARD_LAB_HTTP_HOST';

function isOfLab(address: string, host: string | undefined): boolean {
  const [, written] = /^http:\/\/([^\s/?#@:]+)(?::\d{1,5})?\/?$/.exec(address) ?? [];
  return host !== undefined && written === host;
}

function withoutSlash(address: string): string {
  return address.replace(/\/$/, '');
}

/** A variable's value without blanks around it; `undefined` where it is not set or empty. */
export function read(env: Environment, variable: string): string | undefined {
  const value = env[variable]?.trim();
  return value === '' ? undefined : value;
}

export function variableMistake(variable: string, value: unknown, allowed: string): Mistake {
  return { place: { kind: 'variable', variable }, key: '', found: describeFound(value), allowed };
}

/** Decimal notation alone: `0x10` and `1e3` are mistakes. */
function asNumber(written: string): number | string {
  return /^\d+(\.\d+)?$/.test(written) ? Number(written) : written;
}

function asWritten(written: string): string {
  return written;
}

function splitAtCommas(written: string): string[] {
  return written
    .split(',')
    .map((label) => label.trim())
    .filter((label) => label !== '');
}

function hint(variable: string, written: string): string {
  const address = /^(?:https?:\/\/|git@)[^/:]+[/:]([^/]+\/[^/]+?)(?:\.git)?\/?$/.exec(written)?.[1];
  return variable === 'REPO' && address !== undefined ? `. Did you mean ${address}?` : '';
}
