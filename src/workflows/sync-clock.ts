import { readClock } from '../domain/clock.ts';
import { describeOffset, type Look } from '../domain/recovery.ts';
import { CLOCK_STEPS, type ClockOutcome, type ClockReport, type ClockStep } from '../domain/report.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { mendClock, type MendedClock } from './mend-clock.ts';
import { type End, operate, type Operation } from './operation.ts';
import { Ended, type Site } from './site.ts';

/** Sets the clock of a runner's machine where it drifted, while all runners on it are idle. Ends with a {@link ClockReport}. */
export async function syncClock(...given: unknown[]): Promise<ClockReport> {
  const clock: Clock = { seen: null };
  const report = await operate<ClockOutcome, ClockStep>('syncClock', CLOCK_STEPS, given, (operation) => sync(operation, clock));
  const seconds = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms / 1_000));
  return { ...report, driftSecondsBefore: seconds(clock.seen?.before), driftSecondsAfter: seconds(clock.seen?.after) };
}

/** What was read of the guest's clock; `null` before it was. */
interface Clock {
  seen: MendedClock | null;
}

async function sync(operation: Operation<ClockStep>, clock: Clock): Promise<End<ClockOutcome>> {
  const { site, resolved } = operation;
  const { machine } = site.target;
  if (resolved.mode === 'watch') {
    const { offsetMs } = await lookAtClock(operation, clock);
    return isOff(site, offsetMs)
      ? [
          'refused-watching',
          `the clock of ${machine} is ${describeOffset(offsetMs)}, but Runward only watches (${resolved.watchReason ?? 'mode: watch'})`,
        ]
      : right(machine, offsetMs);
  }
  let end: End<ClockOutcome> = ['failed', ''];
  const held = await operation.holding(async () => {
    const { offsetMs } = await lookAtClock(operation, clock);
    end = isOff(site, offsetMs) ? await set(operation, clock) : right(machine, offsetMs);
    return end[0];
  });
  return held.kind === 'held' ? ['refused-in-progress', `${machine} is in the hands of ${held.by}`] : end;
}

async function set(operation: Operation<ClockStep>, clock: Clock): Promise<End<ClockOutcome>> {
  const { site, board, request } = operation;
  const { machine } = site.target;
  const refusal = operation.budgetRefusal('syncClock');
  if (refusal !== null) {
    return ['refused-budget', refusal];
  }
  if ((await operation.beginActs('machine')).waited) {
    site.forgetLook();
  }
  board.begin('sync-clock');
  try {
    clock.seen = await mendClock(site, {
      step: 'sync-clock',
      force: request.force,
      see: async () => seen(site.target, await site.freshLook()),
    });
  } catch (error) {
    if (error instanceof Ended && error.outcome === 'refused-busy') {
      board.end('sync-clock', 'failed', error.message);
      return ['refused-busy', error.message];
    }
    throw error;
  }
  const { before, after, by } = clock.seen;
  if (by === null) {
    board.end('sync-clock', 'skipped', `clock ${describeOffset(after)}`);
    return right(machine, after);
  }
  board.end('sync-clock', 'done', `by ${by}`);
  return ['synced', `the clock of ${machine} was ${describeOffset(before)}, and is ${describeOffset(after)} now (by ${by})`];
}

async function lookAtClock(operation: Operation<ClockStep>, clock: Clock): Promise<{ readonly offsetMs: number }> {
  const { offsetMs } = await operation.look((target, look) => {
    const { guest } = seen(target, look);
    return { offsetMs: guest.clockOffsetMs, evidence: [`clock: ${describeOffset(guest.clockOffsetMs)}`] };
  });
  clock.seen = { before: offsetMs, after: offsetMs, by: null };
  return { offsetMs };
}

/** Both sides, or the end if one can't be read. */
function seen(target: RunnerTarget, look: Look) {
  const reading = readClock(target, look);
  if (reading.kind === 'unread') {
    throw new Ended('failed', reading.why);
  }
  return reading;
}

function isOff({ policy }: Site, offsetMs: number): boolean {
  return Math.abs(offsetMs) >= policy.driftThresholdMs;
}

function right(machine: string, offsetMs: number): End<ClockOutcome> {
  return ['already-right', `the clock of ${machine} is ${describeOffset(offsetMs)}: nothing to do`];
}
