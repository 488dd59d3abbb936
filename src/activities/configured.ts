// The one gate before all activities. Whoever reaches Temporal can give them any input, and they have GitHub's token and root in the guests: what
// is not in the configuration of their own worker is refused.

import { fewOf } from '../domain/few-of.ts';
import { machineLockId, qualifiedName, queueLockId } from '../domain/names.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { invalidInput } from './failures.ts';

/** Those that a worker may work on. */
export type ConfiguredRunners = () => readonly RunnerTarget[];

/** They look up what a person typed, and say what there is. */
const LOOK_UPS: ReadonlySet<string> = new Set(['resolveRunner', 'resolveScope', 'resolveQueue']);

/** The same activities, each called only with what is configured. */
export function onlyConfigured<Activities extends object>(activities: Activities, runners: ConfiguredRunners): Activities {
  const guarded = Object.entries(activities).map(([name, activity]) => [
    name,
    LOOK_UPS.has(name) ? activity : async (input: unknown) => activity(checked(input, runners())),
  ]);
  return Object.fromEntries(guarded) as Activities;
}

type Input = Readonly<Record<string, unknown>>;

type Check = (value: unknown, input: Input, runners: readonly RunnerTarget[]) => unknown;

/** What becomes of each field that names something. */
const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['scope', (value, _input, runners) => configuredScope(value, runners)],
  ['target', (value, _input, runners) => configuredTarget(value, runners)],
  ['targets', (value, _input, runners) => listOf(value).map((each) => configuredTarget(each, runners))],
  ['runners', (value, { scope }, runners) => listOf(value).map((each) => configuredName(each, scope, runners))],
  ['configured', (value, { scope }, runners) => listOf(value).map((each) => configuredName(each, scope, runners))],
  ['organisation', (value, _input, runners) => (value == null ? null : configuredOrganisation(partsOf(value), runners))],
  ['message', (value, _input, runners) => ({ ...partsOf(value), scope: configuredScope(partsOf(value)['scope'], runners) })],
  ['lockId', (value, _input, runners) => configuredLock(value, runners)],
  ['serverUrl', (value, _input, runners) => configuredServer(value, runners)],
]);

function checked(input: unknown, runners: readonly RunnerTarget[]): unknown {
  if (input === undefined) {
    return input;
  }
  const given = partsOf(input);
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, CHECKS.get(name)?.(value, given, runners) ?? value]));
}

function configuredScope(wanted: unknown, runners: readonly RunnerTarget[]): string {
  const found = runners.find(({ scope }) => scope === wanted);
  if (found === undefined) {
    throw notConfigured('scope', wanted, [...new Set(runners.map(({ scope }) => scope))]);
  }
  return found.scope;
}

/** What says where something is done, and as whom. The rest of a target may have been configured anew since an operation began. */
const PLACE = ['host', 'machine', 'directory', 'user', 'registrationUrl'] as const;

/** As it is configured here. */
function configuredTarget(wanted: unknown, runners: readonly RunnerTarget[]): RunnerTarget {
  const given = partsOf(wanted) as Partial<RunnerTarget>;
  const found = runners.find(({ scope, runner }) => scope === given.scope && runner === given.runner);
  if (found === undefined) {
    throw notConfigured('runner', `${String(given.scope)}/${String(given.runner)}`, runners.map(qualifiedName));
  }
  const other = PLACE.find((name) => found[name] !== given[name]);
  if (other !== undefined) {
    throw invalidInput(
      `${other} ${shown(given[other])} of ${qualifiedName(found)} is not configured on this worker, which has ${shown(found[other])}: give all workers the same configuration`,
    );
  }
  return found;
}

/** A runner of the scope, as its name or as a part of its target. */
function configuredName(wanted: unknown, scope: unknown, runners: readonly RunnerTarget[]): unknown {
  const ofScope = runners.filter((target) => target.scope === scope);
  const given = typeof wanted === 'string' ? { runner: wanted } : partsOf(wanted);
  const name = given['runner'] ?? given['name'];
  const found = ofScope.find(({ runner }) => runner === name);
  if (found === undefined) {
    throw notConfigured(
      'runner',
      name,
      ofScope.map(({ runner }) => runner),
    );
  }
  if ('directory' in given && given['directory'] !== found.directory) {
    throw notConfigured(`directory of ${found.runner}`, given['directory'], [found.directory]);
  }
  return wanted;
}

function configuredOrganisation(wanted: Input, runners: readonly RunnerTarget[]): unknown {
  const scope = configuredScope(wanted['scope'], runners);
  return { scope, configured: listOf(wanted['configured']).map((each) => configuredName(each, scope, runners)) };
}

function configuredLock(wanted: unknown, runners: readonly RunnerTarget[]): unknown {
  const locks = runners.flatMap(({ host, machine, scope }) => [machineLockId(host, machine), queueLockId(scope)]);
  if (!locks.some((lock) => lock === wanted)) {
    throw notConfigured('lock', wanted, locks);
  }
  return wanted;
}

/** GitHub's web address, which the registration's begins with. */
function configuredServer(wanted: unknown, runners: readonly RunnerTarget[]): unknown {
  const servers = [...new Set(runners.map(({ registrationUrl }) => originOf(registrationUrl)))];
  if (!servers.includes(originOf(wanted))) {
    throw notConfigured('server', wanted, servers.map(String));
  }
  return wanted;
}

function originOf(address: unknown): string | null {
  return typeof address === 'string' && URL.canParse(address) ? new URL(address).origin : null;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) {
    throw invalidInput(`a list of what is configured was expected, but ${shown(value)} was given`);
  }
  return value;
}

function partsOf(value: unknown): Input {
  if (typeof value !== 'object' || value === null) {
    throw invalidInput(`what is to be done, and where, was expected, but ${shown(value)} was given`);
  }
  return value as Input;
}

/** Names that could not be meant are shown in part. */
const SHOWN_LENGTH = 200;

function shown(value: unknown): string {
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')).slice(0, SHOWN_LENGTH);
}

function notConfigured(what: string, wanted: unknown, choices: readonly string[]): Error {
  return invalidInput(`${what} ${shown(wanted)} is not configured on this worker, which knows ${fewOf(choices) ?? 'none'}`);
}
