import type { Client, ScheduleHandle } from '@temporalio/client';
import type { Config } from '../config/config.ts';
import { isSameName } from '../domain/choose-runner.ts';
import type { ConfigFlags } from '../config/load.ts';
import {
  applySchedule,
  applySchedules,
  deleteSchedule,
  listSchedules,
  readSchedule,
  schedulesOf,
  type ScheduleChange,
  type ScheduleName,
} from '../worker/schedules.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { print, printJson, say, type Invocation } from './invocation.ts';
import { tellMissing } from './missing-attributes.ts';
import { chosenScopes, pickScopes } from './runners.ts';
import { changeText, deletedText, doneText, scheduleLines, scheduleStatus, type ScheduleStatus } from './schedule-text.ts';
import type { TemporalSession } from './temporal.ts';
import { otherScopes, otherScopesText, settleScopes, unconfigured, withTerminal } from './terminal.ts';

/** What `runward schedule` can do. */
export type ScheduleVerb = 'apply' | 'list' | 'pause' | 'resume' | 'trigger' | 'delete';

export interface ScheduleFlags {
  /** Without it all scopes. */
  readonly scope: string | undefined;
  /** Kept with a pause or a resumption. */
  readonly reason: string | undefined;
  readonly json: boolean;
  readonly config: ConfigFlags;
}

/** Makes, shows and stops the Temporal Schedules of health checks and queue maintenance. */
export async function schedule(verb: ScheduleVerb, flags: ScheduleFlags, invocation: Invocation): Promise<ExitCode> {
  return withTerminal(invocation, { config: flags.config }, async (session, terminal) => {
    const { client } = session;
    switch (verb) {
      case 'apply':
        if (terminal === null) {
          throw unconfigured(invocation, 'What is configured is what `schedule apply` makes.');
        }
        await tellMissing(client);
        return apply(session, terminal, flags, invocation);
      case 'list':
        return list(client, await everyName(client, terminal, flags.scope), flags);
      case 'delete':
        if (terminal === null && flags.scope === undefined) {
          throw unconfigured(invocation, 'Without configuration `schedule delete` needs --scope.');
        }
        return remove(client, await meantNames(client, terminal, flags.scope), flags);
      case 'pause':
      case 'resume':
      case 'trigger':
        return act(verb, client, await meantNames(client, terminal, flags.scope), flags);
    }
  });
}

/** Schedules of scopes that are not configured any more are removed only if a worker says that nobody looks after those. */
async function apply(session: TemporalSession, config: Config, flags: ScheduleFlags, invocation: Invocation): Promise<ExitCode> {
  const { client } = session;
  const { everyMs } = config.health;
  const settled = await settleScopes(session, config, flags.scope, { doing: 'Scheduling', invocation });
  const changes =
    flags.scope === undefined && settled.lookedAfter !== null
      ? await applySchedules(client, settled.scopes, { everyMs }, settled.lookedAfter)
      : await Promise.all(settled.scopes.flatMap(schedulesOf).map(({ scope, care }) => applySchedule(client, scope, { everyMs }, care)));
  const schedules = await readAll(client, changes);
  if (flags.json) {
    printJson({ schedules: changes.map((change, index) => ({ ...schedules[index], ...doneOf(change) })) });
  } else {
    print(changes.map((change, index) => changeText(change, schedules[index] ?? scheduleStatus(null), Date.now())).join('\n'));
  }
  return EXIT.done;
}

function doneOf(change: ScheduleChange): object {
  return { done: change.kind, ...(change.kind === 'updated' ? { changed: change.changed } : {}) };
}

async function list(client: Client, names: readonly ScheduleName[], flags: ScheduleFlags): Promise<ExitCode> {
  const found = await readAll(client, names);
  if (flags.json) {
    printJson({ schedules: found });
  } else {
    print(scheduleLines(found, Date.now()).join('\n'));
  }
  return EXIT.done;
}

async function remove(client: Client, names: readonly ScheduleName[], flags: ScheduleFlags): Promise<ExitCode> {
  const schedules = await Promise.all(
    names.map(async (name) => ({ ...name, deleted: await deleteSchedule(client, name.scope, name.care) })),
  );
  if (flags.json) {
    printJson({ schedules });
  } else {
    print(schedules.map((name) => deletedText(name, name.deleted)).join('\n'));
  }
  return EXIT.done;
}

/** What needs a schedule that is there; exit code 1 names those that are not. */
async function act(
  verb: 'pause' | 'resume' | 'trigger',
  client: Client,
  names: readonly ScheduleName[],
  flags: ScheduleFlags,
): Promise<ExitCode> {
  const before = await readAll(client, names);
  const there = before.filter(({ exists }) => exists);
  const missing = before.filter(({ exists }) => !exists);
  if (there.length === 0) {
    const scopes = [...new Set(missing.map(({ scope }) => scope))];
    const others = await otherScopes(client, scopes);
    throw others.length > 0
      ? new CommandFailure(EXIT.usage, otherScopesText(others, scopes))
      : new CommandFailure(EXIT.bad, `There is no schedule of ${scopes.join(', ')}: make it with \`runward schedule apply\`.`);
  }
  await Promise.all(there.map(({ scheduleId }) => actOn(verb, client.schedule.getHandle(scheduleId), flags.reason)));
  const after = await readAll(client, [...there, ...missing]);
  if (flags.json) {
    printJson({ schedules: after });
  } else {
    print([...there.map((name) => doneText(verb, name)), '', ...scheduleLines(after, Date.now())].join('\n'));
  }
  return missing.length === 0 ? EXIT.done : EXIT.bad;
}

async function actOn(verb: 'pause' | 'resume' | 'trigger', handle: ScheduleHandle, reason: string | undefined): Promise<void> {
  switch (verb) {
    case 'pause':
      return handle.pause(reason ?? 'paused by hand');
    case 'resume':
      return handle.unpause(reason ?? 'resumed by hand');
    case 'trigger':
      // The SDK's own default lets a second pass run beside the first.
      return handle.trigger('SKIP');
  }
}

/** Those of the configured scopes, and all others that there are; exit code 2 names the choices. */
async function everyName(client: Client, terminal: Config | null, wanted: string | undefined): Promise<readonly ScheduleName[]> {
  const configured = terminal === null ? [] : chosenScopes(terminal, undefined).flatMap(schedulesOf);
  const names = [...configured, ...(await listSchedules(client))];
  const scopes = pickScopes([...new Set(names.map(({ scope }) => scope))], wanted);
  return [...new Map(names.map((name) => [name.scheduleId, name])).values()].filter(({ scope }) => scopes.includes(scope));
}

/** What a verb acts on: the configured scopes, or one that is named; without configuration all that there are, and it says which. */
async function meantNames(client: Client, terminal: Config | null, wanted: string | undefined): Promise<readonly ScheduleName[]> {
  const names = await everyName(client, terminal, wanted);
  if (wanted !== undefined) {
    return names;
  }
  if (terminal === null) {
    say(
      `Acting on all schedules of this Temporal: ${[...new Set(names.map(({ scope }) => scope))].join(', ')} (no repository is configured here).`,
    );
    return names;
  }
  const configured = chosenScopes(terminal, undefined);
  return names.filter(({ scope }) => configured.some((each) => isSameName(each, scope)));
}

/** One schedule in `--json`. */
type ScheduleDocument = ScheduleName & ScheduleStatus;

function readAll(client: Client, names: readonly ScheduleName[]): Promise<readonly ScheduleDocument[]> {
  return Promise.all(
    names.map(async ({ scope, scheduleId, care }) => ({
      scope,
      scheduleId,
      care,
      ...scheduleStatus(await readSchedule(client, scope, care)),
    })),
  );
}
