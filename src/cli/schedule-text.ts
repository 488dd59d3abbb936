import { parkedId } from '../domain/names.ts';
import type { Care, PassSchedule, ScheduleChange, ScheduleName } from '../worker/schedules.ts';
import { formatDuration } from '../domain/duration.ts';
import { tableLines } from './table.ts';

// The schedules, as JSON and for people. `now` is epoch milliseconds.

/** What people read of a schedule where schedules differ. */
interface Words {
  readonly name: string;
  /** Goes before its interval. */
  readonly each: string;
  readonly paused: (scope: string) => string;
  readonly resumed: (scope: string) => string;
  readonly triggered: (scope: string) => string;
  readonly missing: (scopes: string) => string;
}

const WORDS: Readonly<Record<Care, Words>> = {
  health: {
    name: 'health check',
    each: 'a health check',
    paused: (scope) => `${scope} is not checked`,
    resumed: (scope) => `${scope} is checked again`,
    triggered: (scope) => `${scope} is checked now, unless a check of it runs already. To wait for one, use \`runward check\``,
    missing: (scopes) => `no schedule checks the health of ${scopes}`,
  },
  queue: {
    name: 'queue maintenance',
    each: 'queue maintenance',
    paused: (scope) => `the queue of ${scope} is not maintained`,
    resumed: (scope) => `the queue of ${scope} is maintained again`,
    triggered: (scope) => `the queue of ${scope} is maintained now, unless that is under way already`,
    missing: (scopes) => `no schedule maintains the queue of ${scopes}`,
  },
};

/** A schedule in JSON; all else is `null` where it does not exist. */
export interface ScheduleStatus {
  readonly exists: boolean;
  readonly everySeconds: number | null;
  readonly paused: boolean | null;
  /** Whoever paused or resumed it last may have said why. */
  readonly note: string | null;
  /** ISO 8601. */
  readonly lastPassAt: string | null;
  /** Whether a person's command started it; absent if only passes of the schedule are told. */
  readonly lastPassIsManual?: boolean;
  readonly lastPassId: string | null;
  /** `null` while it is paused. */
  readonly nextPassAt: string | null;
}

export function scheduleStatus(found: PassSchedule | null): ScheduleStatus {
  return {
    exists: found !== null,
    everySeconds: found?.everyMs == null ? null : found.everyMs / 1_000,
    paused: found?.isPaused ?? null,
    note: found === null || found.note === '' ? null : found.note,
    lastPassAt: found?.lastPass?.at ?? null,
    lastPassId: found?.lastPass?.workflowId ?? null,
    nextPassAt: found?.nextPassAt ?? null,
  };
}

/** When a scope was checked last, and will be next, in half a sentence. */
export function passesText(schedule: ScheduleStatus, now: number): string {
  const { exists, lastPassAt, lastPassIsManual } = schedule;
  const last = lastPassAt === null ? 'none yet' : `last ${agoText(lastPassAt, now)}${lastPassIsManual === true ? ' (manual)' : ''}`;
  return [...(!exists && lastPassAt === null ? [] : [last]), nextPassText(schedule, now)].join(', ');
}

/** When it will be next. */
export function nextPassText({ exists, paused, note, nextPassAt }: ScheduleStatus, now: number): string {
  if (!exists) {
    return 'no schedule: make it with `runward schedule apply`';
  }
  if (paused === true) {
    return pausedText(note);
  }
  return nextPassAt === null ? 'no next one' : `next ${inText(nextPassAt, now)}`;
}

/** What `apply` did about one schedule. */
export function changeText(change: ScheduleChange, schedule: ScheduleStatus, now: number): string {
  const { scope, care } = change;
  if (change.kind === 'removed') {
    return [`${scope} is not configured any more: the schedule of its ${WORDS[care].name} was removed`, ...parkedText(change)].join('; ');
  }
  const done = {
    created: 'made',
    updated: `changed (${change.kind === 'updated' ? change.changed.join(', ') : ''})`,
    unchanged: 'nothing to change',
  };
  return `${scope}: ${done[change.kind]}; ${WORDS[care].each} every ${everyText(schedule)}, ${passesText(schedule, now)}`;
}

/** What a person has to know of the runs that nobody re-runs any more. */
export function parkedText(change: ScheduleChange): readonly string[] {
  return change.kind === 'removed' && change.hasParked
    ? [`parked runs of ${change.scope} stay cancelled: configure it again, or re-run what ${parkedId(change.scope)} lists in Temporal's UI`]
    : [];
}

/** What was done to one schedule. */
export function doneText(verb: 'pause' | 'resume' | 'trigger', { scope, care }: ScheduleName): string {
  const { paused, resumed, triggered } = WORDS[care];
  switch (verb) {
    case 'pause':
      return `Paused: ${paused(scope)} until \`runward schedule resume\`. What runs goes on.`;
    case 'resume':
      return `Resumed: ${resumed(scope)}.`;
    case 'trigger':
      return `Triggered: ${triggered(scope)}.`;
  }
}

/** What `delete` did about one schedule. */
export function deletedText({ scope, care }: ScheduleName, deleted: boolean): string {
  const { name } = WORDS[care];
  return deleted
    ? `Deleted the schedule of ${scope}'s ${name}; \`runward schedule apply\` and \`runward up\` make it again.`
    : `${scope} has no schedule of its ${name}.`;
}

/** Which schedules are not there, for whoever starts a worker. */
export function missingLines(missing: readonly ScheduleName[]): string[] {
  return [...Map.groupBy(missing, ({ care }) => care)].map(([care, names]) => {
    const scopes = names.map(({ scope }) => scope).join(', ');
    return `warning: ${WORDS[care].missing(scopes)}: make it with \`runward schedule apply\`.`;
  });
}

export function scheduleLines(schedules: readonly (ScheduleStatus & ScheduleName)[], now: number): string[] {
  return tableLines(
    ['SCOPE', 'WHAT', 'EVERY', 'LAST', 'NEXT', 'STATE'],
    schedules.map((schedule) => {
      const { scope, care, exists, paused, note, lastPassAt, nextPassAt } = schedule;
      const { name } = WORDS[care];
      return exists
        ? [
            scope,
            name,
            everyText(schedule),
            lastPassAt === null ? 'never' : agoText(lastPassAt, now),
            nextPassAt === null ? '-' : inText(nextPassAt, now),
            paused === true ? pausedText(note) : 'active',
          ]
        : [scope, name, '-', '-', '-', 'no schedule: `runward schedule apply` makes it'];
    }),
  );
}

function pausedText(note: string | null): string {
  return `paused${note === null ? '' : ` (${note})`}`;
}

function everyText({ everySeconds }: ScheduleStatus): string {
  if (everySeconds === null) {
    return '?';
  }
  return everySeconds === 60 ? '1 min' : formatDuration(everySeconds * 1_000);
}

export function agoText(at: string, now: number): string {
  return `${spanText(at, now)} ago`;
}

/** How long it is since `at`. */
export function spanText(at: string, now: number): string {
  return formatDuration(Math.max(0, now - Date.parse(at)));
}

function inText(at: string, now: number): string {
  return `in ${formatDuration(Math.max(0, Date.parse(at) - now))}`;
}
