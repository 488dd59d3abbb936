import { expect, test } from 'vitest';
import { changeText, doneText, missingLines, scheduleLines, scheduleStatus } from '../../src/cli/schedule-text.ts';
import { schedulesOf, type PassSchedule, type ScheduleName } from '../../src/worker/schedules.ts';

const NOW = Date.parse('2026-11-24T10:00:00Z');
const minutesAgo = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();
const [HEALTH, QUEUE] = schedulesOf('acme/kernel') as [ScheduleName, ScheduleName];

function made(name: ScheduleName): PassSchedule {
  const lastPass = { at: minutesAgo(2), workflowId: `${name.scheduleId}-2026-11-24T09:58:00Z`, runId: 'r' };
  return { ...name, everyMs: 300_000, isPaused: false, note: null, lastPass, nextPassAt: minutesAgo(-3) };
}

test('the list tells both of a repository apart, and which of them is missing', () => {
  const lines = scheduleLines(
    [
      { ...HEALTH, ...scheduleStatus(made(HEALTH)) },
      { ...QUEUE, ...scheduleStatus(null) },
    ],
    NOW,
  );
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
    ['SCOPE', 'WHAT', 'EVERY', 'LAST', 'NEXT', 'STATE'],
    ['acme/kernel', 'health check', '5 min', '2 min ago', 'in 3 min', 'active'],
    ['acme/kernel', 'queue maintenance', '-', '-', '-', 'no schedule: `runward schedule apply` makes it'],
  ]);
});

test('what was applied is told for each', () => {
  const text = (change: Parameters<typeof changeText>[0]): string => changeText(change, scheduleStatus(made(change)), NOW);
  expect(text({ ...HEALTH, kind: 'unchanged' })).toBe(
    'acme/kernel: nothing to change; a health check every 5 min, last 2 min ago, next in 3 min',
  );
  expect(text({ ...QUEUE, kind: 'updated', changed: ['times', 'timeouts'] })).toBe(
    'acme/kernel: changed (times, timeouts); queue maintenance every 5 min, last 2 min ago, next in 3 min',
  );
  expect(text({ ...HEALTH, kind: 'removed', hasParked: false })).toBe(
    'acme/kernel is not configured any more: the schedule of its health check was removed',
  );
  expect(text({ ...QUEUE, kind: 'removed', hasParked: false })).toBe(
    'acme/kernel is not configured any more: the schedule of its queue maintenance was removed',
  );
});

test('what was done to each is told', () => {
  expect(doneText('resume', HEALTH)).toBe('Resumed: acme/kernel is checked again.');
  expect(doneText('resume', QUEUE)).toBe('Resumed: the queue of acme/kernel is maintained again.');
  expect(doneText('trigger', HEALTH)).toMatch(/acme\/kernel is checked now, .*To wait for one, use `runward check`\.$/);
  expect(doneText('trigger', QUEUE)).toBe('Triggered: the queue of acme/kernel is maintained now, unless that is under way already.');
});

test('a worker tells those that are missing in one line for each kind', () => {
  expect(missingLines([HEALTH, QUEUE, ...schedulesOf('acme')])).toEqual([
    'warning: no schedule checks the health of acme/kernel, acme: make it with `runward schedule apply`.',
    'warning: no schedule maintains the queue of acme/kernel: make it with `runward schedule apply`.',
  ]);
  expect(missingLines([])).toEqual([]);
});
