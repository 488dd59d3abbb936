// What a terminal means: the runners and scopes that its flags, its environment and its file name. A command acts on nothing else.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Config } from '../config/config.ts';
import { isConfigured, type ConfigFlags } from '../config/load.ts';
import { chooseRunner, isSameName, type NamedRunner } from '../domain/choose-runner.ts';
import { MAIN_QUEUE, qualifiedName } from '../domain/names.ts';
import { listSchedules } from '../worker/schedules.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { missingWorker } from './follow.ts';
import { readConfig, say, workerStartingUntil, type Invocation } from './invocation.ts';
import { createWord } from './patience.ts';
import { pickScopes } from './runners.ts';
import { withTemporal, type SessionSettings, type TemporalSession } from './temporal.ts';

/** Which runners the words of a command name. */
export interface RunnerRequest {
  /** Each as `NAME` or `SCOPE/NAME`. */
  readonly names: readonly string[];
  readonly scope: string | undefined;
  /** Whether all are meant. */
  readonly all: boolean;
}

/** What is meant if no runner is named: all, or the only one that there is. */
type Unnamed = 'all' | 'only';

/** The terminal's configuration; `null` if nothing says what it looks after. Exit code 2 for a mistake in it. */
function readTerminal(invocation: Invocation, flags: ConfigFlags): Config | null {
  return isConfigured(invocation, flags) ? readConfig(invocation, flags) : null;
}

/**
 * Runs `use` with a client and the terminal's configuration; `null` stands for none. Exit code 2 if there is neither configuration nor a Temporal
 * that could say what it looks after.
 * @param refuse throws for what the configuration does not know, before Temporal is asked
 */
export async function withTerminal<T>(
  invocation: Invocation,
  { config, refuse, ...settings }: { readonly config: ConfigFlags; readonly refuse?: (terminal: Config) => unknown } & SessionSettings,
  use: (session: TemporalSession, terminal: Config | null) => Promise<T>,
): Promise<T> {
  const terminal = readTerminal(invocation, config);
  if (terminal !== null) {
    refuse?.(terminal);
  }
  let hasConnected = false;
  try {
    return await withTemporal(
      invocation,
      (session) => {
        hasConnected = true;
        return use(session, terminal);
      },
      settings,
    );
  } catch (error) {
    throw terminal === null && !hasConnected && error instanceof CommandFailure ? unconfigured(invocation, error.message) : error;
  }
}

/** The configuration of a verb that looks by itself, from this computer; without one it says why it asks nobody else. */
export function readOwnConfig(invocation: Invocation, flags: ConfigFlags, verb: string): Config {
  const terminal = readTerminal(invocation, flags);
  if (terminal === null) {
    throw unconfigured(
      invocation,
      `${verb} looks at GitHub and Multipass from this computer, so that it needs to know which runners are meant.`,
    );
  }
  return terminal;
}

/** Why nothing can be done without configuration: the mistake itself, and why nobody could be asked instead. */
export function unconfigured(invocation: Invocation, unanswered: string): CommandFailure {
  try {
    readConfig(invocation, {});
  } catch (error) {
    if (error instanceof CommandFailure) {
      return new CommandFailure(EXIT.usage, `${error.message}\n${unanswered}`);
    }
    throw error;
  }
  throw new Error('a terminal without configuration has a whole one');
}

/** Scopes that a verb reads the history of: one that is named, or the configured ones; `null`: all, since nothing is configured. */
export function scopesToRead(
  invocation: Invocation,
  { scope, config }: { readonly scope: string | undefined; readonly config: ConfigFlags },
): readonly string[] | null {
  const terminal = readTerminal(invocation, config);
  return scope === undefined ? terminal && scopesOf(terminal.runners) : [scope];
}

/**
 * Scopes that this Temporal has schedules of, if none is of ours: it looks after something else, which explains why there is nothing to read. For
 * words alone: what acts asks the workers.
 */
export async function otherScopes(client: Client, ours: readonly string[]): Promise<readonly string[]> {
  const scheduled = [...new Set((await listSchedules(client)).map(({ scope }) => scope))];
  return scheduled.some((scope) => ours.some((own) => isSameName(own, scope))) ? [] : scheduled;
}

/** What a person is told of it; nothing if it is not so. */
export function otherScopesText(others: readonly string[], ours: readonly string[]): string {
  return others.length === 0
    ? ''
    : `The Temporal that was asked looks after ${few(others)}, not ${few(ours)}: set TEMPORAL_ADDRESS to the one that does.`;
}

/** Of these runners those that are named. Exit code 2 says what was probably meant, or what there is. */
export function chooseRunners<T extends NamedRunner>(
  runners: readonly T[],
  { names, scope, all }: RunnerRequest,
  unnamed: Unnamed,
): readonly T[] {
  const [inScope] = scope === undefined ? [undefined] : pickScopes(scopesOf(runners), scope);
  const candidates = inScope === undefined ? runners : runners.filter((each) => each.scope === inScope);
  if (names.length === 0 && (all || unnamed === 'all')) {
    return candidates;
  }
  return [...new Set((names.length === 0 ? [null] : names).map((name) => chosen(candidates, name)))];
}

function chosen<T extends NamedRunner>(candidates: readonly T[], name: string | null): T {
  const choice = chooseRunner(candidates, name);
  if (choice.kind === 'chosen') {
    return choice.target;
  }
  throw new CommandFailure(EXIT.usage, name === null ? `Which runner? ${choice.message}, or give --all.` : choice.message);
}

/** Runners that a verb acts on. */
export interface Settled {
  readonly runners: readonly NamedRunner[];
  /** What the workers look after, those among them; `null` if none answered. */
  readonly lookedAfter: readonly NamedRunner[] | null;
}

/**
 * The runners that a verb acts on: those that the terminal means, as long as the workers of this Temporal look after them. Without
 * configuration it says which it has chosen. Exit code 2 if they don't, before anything is started.
 */
export async function settleRunners(
  session: TemporalSession,
  terminal: Config | null,
  request: RunnerRequest,
  { unnamed, doing, invocation, actsOn }: Settling & { readonly unnamed: Unnamed },
): Promise<Settled> {
  const meant = terminal === null ? null : chooseRunners(terminal.runners, request, unnamed);
  const lookedAfter = await askRunners(session, invocation);
  if (meant !== null) {
    refuseOthers(session, meant, lookedAfter, actsOn);
    return { runners: meant.map((target) => asLookedAfter(target, lookedAfter)), lookedAfter };
  }
  const runners = choiceWithout(session, lookedAfter, withVariable(request, invocation), { unnamed, doing, invocation });
  return { runners, lookedAfter };
}

interface Settling {
  /** Whether each runner must be looked after, or their scopes. */
  readonly actsOn: 'runners' | 'scopes';
  /** The first words without configuration, such as `Recovering`. */
  readonly doing: string;
  readonly invocation: Invocation;
}

/** The same for verbs that act on whole scopes. */
export async function settleScopes(
  session: TemporalSession,
  terminal: Config | null,
  wanted: string | undefined,
  settling: Omit<Settling, 'actsOn'>,
): Promise<{ readonly scopes: readonly string[]; readonly lookedAfter: readonly string[] | null }> {
  const request = { names: [], scope: wanted, all: true };
  const { runners, lookedAfter } = await settleRunners(session, terminal, request, { ...settling, unnamed: 'all', actsOn: 'scopes' });
  return { scopes: scopesOf(runners), lookedAfter: lookedAfter && scopesOf(lookedAfter) };
}

/** Ids hang on the spelling of the scope, which GitHub does not care about. */
function asLookedAfter(target: NamedRunner, lookedAfter: readonly NamedRunner[] | null): NamedRunner {
  const scope = lookedAfter?.find((known) => isSameName(known.scope, target.scope))?.scope ?? target.scope;
  return { scope, runner: target.runner };
}

/** A worker that looks after something else refuses; one that does not answer is no reason: the operation names its runner, and waits for a worker. */
function refuseOthers(
  session: TemporalSession,
  meant: readonly NamedRunner[],
  lookedAfter: readonly NamedRunner[] | null,
  actsOn: Settling['actsOn'],
): void {
  if (lookedAfter === null) {
    return;
  }
  const theirScopes = scopesOf(lookedAfter);
  const strangeScopes = scopesOf(meant).filter((scope) => !theirScopes.some((known) => isSameName(known, scope)));
  const strangers = actsOn === 'scopes' ? [] : meant.filter((target) => !lookedAfter.some((known) => isSame(known, target)));
  if (strangeScopes.length > 0) {
    throw otherTemporal(session, theirScopes, strangeScopes);
  }
  if (strangers.length > 0) {
    throw otherTemporal(session, lookedAfter.map(qualifiedName), strangers.map(qualifiedName));
  }
}

function otherTemporal(session: TemporalSession, theirs: readonly string[], ours: readonly string[]): CommandFailure {
  const { address, namespace, source } = placeOf(session);
  return new CommandFailure(
    EXIT.usage,
    [
      `The Temporal at ${address}, namespace ${namespace} (from ${source}), looks after ${few(theirs)}, not ${few(ours)}: nothing was started.`,
      'Start `runward up` with this configuration, or set TEMPORAL_ADDRESS to the Temporal that looks after it.',
    ].join('\n'),
  );
}

function choiceWithout(
  session: TemporalSession,
  lookedAfter: readonly NamedRunner[] | null,
  request: RunnerRequest,
  { unnamed, doing, invocation }: Omit<Settling, 'actsOn'> & { readonly unnamed: Unnamed },
): readonly NamedRunner[] {
  const { address, source } = placeOf(session);
  if (lookedAfter === null) {
    throw unconfigured(invocation, `No worker at ${address} (from ${source}) says which runners are meant: nothing was started.`);
  }
  const targets = chooseRunners(lookedAfter, request, unnamed);
  const why =
    targets.length === lookedAfter.length
      ? `all that the Temporal at ${address} looks after`
      : `of those that the Temporal at ${address} looks after`;
  const only = lookedAfter.length === 1 ? `the only runner that the Temporal at ${address} looks after` : why;
  say(`${doing} ${few(targets.map(qualifiedName))}: ${only} (no repository is configured here).`);
  return targets;
}

/** `RUNNER_NAME` alone is no configuration, and yet it names a runner. */
function withVariable(request: RunnerRequest, { env }: Invocation): RunnerRequest {
  const name = env['RUNNER_NAME']?.trim() ?? '';
  return request.names.length === 0 && !request.all && name !== '' ? { ...request, names: [name] } : request;
}

/** A worker answers within milliseconds once it has started; what it does not take is ended by Temporal. */
const ANSWER_TIMEOUT = '10m';
const POLL_MS = 50;

/** What the workers of this Temporal look after; `null` if none answers. */
async function askRunners({ client }: TemporalSession, invocation: Invocation): Promise<readonly NamedRunner[] | null> {
  const handle = await client.workflow.start('listRunners', {
    workflowId: `runners/${randomUUID()}`,
    taskQueue: MAIN_QUEUE,
    staticSummary: 'which runners are looked after? asked by a command',
    workflowExecutionTimeout: ANSWER_TIMEOUT,
  });
  try {
    const isAnswered = await untilAnswered(handle, invocation);
    if (isAnswered) {
      return (await handle.result()) as readonly NamedRunner[];
    }
  } catch (error) {
    await end(handle);
    throw error;
  }
  await end(handle);
  return null;
}

/** Nobody waits for the answer any more. */
async function end(handle: WorkflowHandle): Promise<void> {
  await handle.terminate('nobody waits for the answer').catch(() => {});
}

/** `false` if no worker takes the question. */
async function untilAnswered(handle: WorkflowHandle, invocation: Invocation): Promise<boolean> {
  const tellWait = createWord('The worker has not answered yet');
  for (;;) {
    await sleep(POLL_MS, undefined, { signal: invocation.interrupted }).catch(() => {
      throw new CommandFailure(EXIT.interrupted, 'Interrupted: nothing was started.');
    });
    const description = await handle.describe();
    if (description.status.name === 'COMPLETED') {
      return true;
    }
    // A worker of an older version does not know the question, and fails its task again and again.
    if (description.status.name !== 'RUNNING' || missingWorker(description, workerStartingUntil(invocation)) !== null) {
      return false;
    }
    tellWait();
  }
}

function placeOf({ address: { connectionOptions, namespace, source } }: TemporalSession) {
  return { address: connectionOptions.address, namespace, source };
}

function scopesOf(runners: readonly NamedRunner[]): readonly string[] {
  return [...new Set(runners.map(({ scope }) => scope))];
}

function isSame(a: NamedRunner, b: NamedRunner): boolean {
  return isSameName(qualifiedName(a), qualifiedName(b));
}

/** More than these are counted. */
const NAMES_SHOWN = 5;

function few(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return more > 0 ? `${names.slice(0, NAMES_SHOWN).join(', ')} and ${more} more` : names.join(', ');
}
