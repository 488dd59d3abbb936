import type { Client } from '@temporalio/client';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import { healthScheduleId } from '../domain/names.ts';
import {
  applySchedule,
  applySchedules,
  deleteSchedule,
  listScheduledScopes,
  readSchedule,
  type ScheduleChange,
} from '../worker/schedules.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { print, printJson, readConfig, type Invocation } from './invocation.ts';
import { chosenScopes, pickScopes } from './runners.ts';
import type { ScheduleVerb } from './schedule-verbs.ts';
import { changeText, scheduleLines, scheduleStatus, type ScheduleStatus } from './schedule-text.ts';
import { withTemporal } from './temporal.ts';

export interface ScheduleFlags {
  /** Without it all scopes. */
  readonly scope: string | undefined;
  /** Kept with a pause or a resumption. */
  readonly reason: string | undefined;
  readonly json: boolean;
  readonly config: ConfigFlags;
}

/** Makes, shows and stops the Temporal Schedules of the health checks. */
export async function schedule(verb: ScheduleVerb, flags: ScheduleFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  return withTemporal(invocation, async ({ client }) => {
    switch (verb) {
      case 'apply':
        return apply(client, config, flags);
      case 'list':
        return list(client, config, flags);
      case 'delete':
        return remove(client, config, flags);
      case 'pause':
      case 'resume':
      case 'trigger':
        return act(verb, client, config, flags);
    }
  });
}

async function apply(client: Client, config: Config, flags: ScheduleFlags): Promise<ExitCode> {
  const { everyMs } = config.health;
  const scopes = chosenScopes(config, flags.scope);
  const changes =
    flags.scope === undefined
      ? await applySchedules(client, scopes, { everyMs })
      : await Promise.all(scopes.map((scope) => applySchedule(client, scope, { everyMs })));
  const schedules = await readAll(
    client,
    changes.map(({ scope }) => scope),
  );
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

async function list(client: Client, config: Config, flags: ScheduleFlags): Promise<ExitCode> {
  const found = await readAll(client, await scheduledScopes(client, config, flags.scope));
  if (flags.json) {
    printJson({ schedules: found });
  } else {
    print(scheduleLines(found, Date.now()).join('\n'));
  }
  return EXIT.done;
}

async function remove(client: Client, config: Config, flags: ScheduleFlags): Promise<ExitCode> {
  const scopes = await scheduledScopes(client, config, flags.scope);
  const done = await Promise.all(scopes.map(async (scope) => ({ scope, deleted: await deleteSchedule(client, scope) })));
  if (flags.json) {
    printJson({ schedules: done.map(({ scope, deleted }) => ({ scope, scheduleId: healthScheduleId(scope), deleted })) });
    return EXIT.done;
  }
  for (const { scope, deleted } of done) {
    print(
      deleted
        ? `Deleted the schedule of ${scope}; \`runward schedule apply\` and \`runward up\` make it again.`
        : `${scope} has no schedule.`,
    );
  }
  return EXIT.done;
}

/** What needs a schedule that is there; exit code 1 names those that are not. */
async function act(verb: 'pause' | 'resume' | 'trigger', client: Client, config: Config, flags: ScheduleFlags): Promise<ExitCode> {
  const before = await readAll(client, await scheduledScopes(client, config, flags.scope));
  const there = before.filter(({ exists }) => exists).map(({ scope }) => scope);
  const missing = before.filter(({ exists }) => !exists).map(({ scope }) => scope);
  if (there.length === 0) {
    throw new CommandFailure(EXIT.bad, `There is no schedule of ${missing.join(', ')}: make it with \`runward schedule apply\`.`);
  }
  await Promise.all(there.map((scope) => actOn(verb, client, scope, flags.reason)));
  const after = await readAll(client, [...there, ...missing]);
  if (flags.json) {
    printJson({ schedules: after });
  } else {
    print([...there.map((scope) => doneText(verb, scope)), '', ...scheduleLines(after, Date.now())].join('\n'));
  }
  return missing.length === 0 ? EXIT.done : EXIT.bad;
}

async function actOn(verb: 'pause' | 'resume' | 'trigger', client: Client, scope: string, reason: string | undefined): Promise<void> {
  const handle = client.schedule.getHandle(healthScheduleId(scope));
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

function doneText(verb: 'pause' | 'resume' | 'trigger', scope: string): string {
  switch (verb) {
    case 'pause':
      return `Paused: ${scope} is not checked until \`runward schedule resume\`. What runs goes on.`;
    case 'resume':
      return `Resumed: ${scope} is checked again.`;
    case 'trigger':
      return `Triggered: ${scope} is checked now, unless a check of it runs already. To wait for one, use \`runward check\`.`;
  }
}

/** Configured scopes, and those that still have a schedule; exit code 2 names the choices. */
async function scheduledScopes(client: Client, config: Config, wanted: string | undefined): Promise<readonly string[]> {
  return pickScopes([...new Set([...chosenScopes(config, undefined), ...(await listScheduledScopes(client))])], wanted);
}

/** One schedule in `--json`. */
interface ScheduleDocument extends ScheduleStatus {
  readonly scope: string;
  readonly scheduleId: string;
}

function readAll(client: Client, scopes: readonly string[]): Promise<readonly ScheduleDocument[]> {
  return Promise.all(
    scopes.map(async (scope) => ({ scope, scheduleId: healthScheduleId(scope), ...scheduleStatus(await readSchedule(client, scope)) })),
  );
}
