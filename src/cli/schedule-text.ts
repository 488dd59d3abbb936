import type { PassSchedule, ScheduleChange } from '../worker/schedules.ts';
import { formatDuration } from './durations.ts';
import { tableLines } from './table.ts';

// The schedules of health checks, as JSON and for people. `now` is epoch milliseconds.

/** A scope's schedule in JSON; all else is `null` where none exists. */
export interface ScheduleStatus {
  readonly exists: boolean;
  readonly everySeconds: number | null;
  readonly paused: boolean | null;
  /** Whoever paused or resumed it last may have said why. */
  readonly note: string | null;
  /** ISO 8601. */
  readonly lastPassAt: string | null;
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
  const { exists, paused, note, lastPassAt, nextPassAt } = schedule;
  if (!exists) {
    return 'no schedule: make it with `runward schedule apply`';
  }
  const last = lastPassAt === null ? 'none yet' : `last ${agoText(lastPassAt, now)}`;
  const next = paused === true ? pausedText(note) : nextPassAt === null ? 'no next one' : `next ${inText(nextPassAt, now)}`;
  return `${last}, ${next}`;
}

/** When checks will be, for whoever starts Runward. */
export function nextChecksText(schedules: readonly (ScheduleStatus & { readonly scope: string })[], now: number): string {
  const [next] = schedules.flatMap(({ nextPassAt }) => (nextPassAt === null ? [] : [nextPassAt])).toSorted();
  const every = schedules.find(({ exists }) => exists);
  return [
    ...(next === undefined || every === undefined ? [] : [`Health checks every ${everyText(every)}, the next one ${inText(next, now)}.`]),
    ...schedules
      .filter(({ paused }) => paused)
      .map(({ scope, note }) => `Health checks of ${scope} are ${pausedText(note)}: go on with \`runward schedule resume\`.`),
  ].join('\n');
}

/** What `apply` did about one schedule. */
export function changeText(change: ScheduleChange, schedule: ScheduleStatus, now: number): string {
  const { scope } = change;
  if (change.kind === 'removed') {
    return `${scope} is not configured any more: its schedule was removed`;
  }
  const done = {
    created: 'made',
    updated: `changed (${change.kind === 'updated' ? change.changed.join(', ') : ''})`,
    unchanged: 'nothing to change',
  };
  return `${scope}: ${done[change.kind]}; a health check every ${everyText(schedule)}, ${passesText(schedule, now)}`;
}

export function scheduleLines(schedules: readonly (ScheduleStatus & { readonly scope: string })[], now: number): string[] {
  return tableLines(
    ['SCOPE', 'EVERY', 'LAST', 'NEXT', 'STATE'],
    schedules.map((schedule) => {
      const { scope, exists, paused, note, lastPassAt, nextPassAt } = schedule;
      return exists
        ? [
            scope,
            everyText(schedule),
            lastPassAt === null ? 'never' : agoText(lastPassAt, now),
            nextPassAt === null ? '-' : inText(nextPassAt, now),
            paused === true ? pausedText(note) : 'active',
          ]
        : [scope, '-', '-', '-', 'no schedule: `runward schedule apply` makes it'];
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
