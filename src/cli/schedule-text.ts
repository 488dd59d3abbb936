import type { PassSchedule, ScheduleChange } from '../worker/schedules.ts';
import { formatDuration } from './durations.ts';
import { tableLines } from './table.ts';

/** When a scope was checked last and will be next, in half a sentence; `now` is epoch milliseconds. */
export function passesText(schedule: PassSchedule, now: number): string {
  const { lastPass, nextPassAt, isPaused, note } = schedule;
  const last = lastPass === null ? 'no check yet' : `last check ${agoText(lastPass.at, now)}`;
  const next = isPaused ? `paused${note === null ? '' : ` (${note})`}` : nextPassAt === null ? 'no next one' : `next ${inText(nextPassAt, now)}`;
  return `${last}, ${next}`;
}

/** When checks will be, for whoever starts Runward. */
export function nextChecksText(schedules: readonly PassSchedule[], now: number): string {
  const paused = schedules.filter(({ isPaused }) => isPaused);
  const [next] = schedules.flatMap(({ nextPassAt }) => (nextPassAt === null ? [] : [nextPassAt])).toSorted();
  return [
    ...(next === undefined ? [] : [`Health checks every ${everyText(schedules[0] ?? null)}, the next one ${inText(next, now)}.`]),
    ...paused.map(
      ({ scope, note }) => `Health checks of ${scope} are paused${note === null ? '' : ` (${note})`}: go on with \`runward schedule resume\`.`,
    ),
  ].join('\n');
}

/** What `apply` did about one schedule. */
export function changeText(change: ScheduleChange, schedule: PassSchedule | null, now: number): string {
  const tail = schedule === null ? '' : `: ${passesText(schedule, now)}`;
  switch (change.kind) {
    case 'created':
      return `${change.scope} is checked every ${everyText(schedule)}${tail}`;
    case 'updated':
      return `${change.scope}: changed ${change.changed.join(', ')}; it is checked every ${everyText(schedule)}${tail}`;
    case 'unchanged':
      return `${change.scope}: nothing to change; it is checked every ${everyText(schedule)}${tail}`;
    case 'removed':
      return `${change.scope} is not configured any more: its schedule was removed`;
  }
}

/** `null`: the scope has no schedule. */
export function scheduleLines(
  found: readonly { readonly scope: string; readonly schedule: PassSchedule | null }[],
  now: number,
): string[] {
  return tableLines(
    ['SCOPE', 'EVERY', 'LAST', 'NEXT', 'STATE'],
    found.map(({ scope, schedule }) =>
      schedule === null
        ? [scope, '-', '-', '-', 'no schedule: `runward schedule apply` makes it']
        : [
            scope,
            everyText(schedule),
            schedule.lastPass === null ? 'never' : agoText(schedule.lastPass.at, now),
            schedule.nextPassAt === null ? '-' : inText(schedule.nextPassAt, now),
            schedule.isPaused ? `paused${schedule.note === null ? '' : `: ${schedule.note}`}` : 'active',
          ],
    ),
  );
}

function everyText(schedule: PassSchedule | null): string {
  return schedule?.everyMs == null ? '?' : formatDuration(schedule.everyMs);
}

function agoText(at: string, now: number): string {
  return `${formatDuration(Math.max(0, now - Date.parse(at)))} ago`;
}

function inText(at: string, now: number): string {
  return `in ${formatDuration(Math.max(0, Date.parse(at) - now))}`;
}
