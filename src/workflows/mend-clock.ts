import { busyMachineReason, describeOffset } from '../domain/recovery.ts';
import type { GitHubObservation, GuestObservation } from '../domain/runner.ts';
import { freshActOptions } from './options.ts';
import { busyText, Ended, type Site } from './site.ts';

export interface MendedClock {
  /** Guest minus host, milliseconds, before and after. */
  readonly before: number;
  readonly after: number;
  /** What it was set by, such as `its time server`; `null` where nothing was done. */
  readonly by: string | null;
}

/** Sets a guest's clock that is off by the threshold or more; an act on the whole machine, so all its runners must be idle unless forced. */
export async function mendClock(
  site: Site,
  {
    step,
    force,
    see,
  }: {
    readonly step: string;
    readonly force: boolean;
    /** Looks, and ends the operation where what is seen forbids the act. */
    readonly see: () => Promise<{ readonly github: GitHubObservation; readonly guest: GuestObservation }>;
  },
): Promise<MendedClock> {
  const { machine } = site.target;
  const { driftThresholdMs, deadlines, busyAnswerMaxAgeMs } = site.policy;
  let before = 0;
  const act = await site.whileFresh(async () => {
    const { github, guest } = await see();
    before = guest.clockOffsetMs;
    if (Math.abs(before) < driftThresholdMs) {
      return null;
    }
    const busy = force ? null : busyMachineReason(github, guest);
    if (busy !== null) {
      throw new Ended('refused-busy', busyText(machine, busy));
    }
    return site.stoppingAct(
      step,
      `set the clock of ${machine}, ${describeOffset(before)}`,
      deadlines.timeSyncMs,
      { purpose: 'sync-clock' },
      { force, busyAskedAt: site.lookedAt, busyAnswerMaxAgeMs },
      (acts, input) => acts.syncClock(input),
      { options: freshActOptions },
    );
  });
  if (act === null) {
    return { before, after: before, by: null };
  }
  if (Math.abs(act.offsetMs) >= driftThresholdMs) {
    throw new Ended('failed', `the clock of ${machine} is still ${describeOffset(act.offsetMs)} after a sync: check its time servers`);
  }
  return { before, after: act.offsetMs, by: act.source === 'ntp' ? 'its time server' : "the host's clock" };
}
