import type { ClockSynced } from '../activities/contract.ts';
import { busyMachineReason, describeOffset } from '../domain/recovery.ts';
import type { GitHubObservation, GuestObservation } from '../domain/runner.ts';
import { actWhenIdle, mayListen } from './pause.ts';
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
  const { machine, neighbours } = site.target;
  const { driftThresholdMs, deadlines, hostSilentAfterMs } = site.policy;
  const { github, guest } = await see();
  const before = guest.clockOffsetMs;
  if (Math.abs(before) < driftThresholdMs) {
    return { before, after: before, by: null };
  }
  const busyReason = (seen: GitHubObservation): string | null => (force ? null : busyMachineReason(seen, guest));
  const busy = busyReason(github);
  if (busy !== null) {
    throw new Ended('refused-busy', busyText(machine, busy));
  }
  const act = await actWhenIdle<ClockSynced>(site, {
    step,
    summary: `set the clock of ${machine}, ${describeOffset(before)}`,
    deadlineMs: deadlines.timeSyncMs,
    pause: { purpose: 'sync-clock' },
    force,
    busyWhat: machine,
    mayListen: neighbours.length > 0 || mayListen(guest),
    busyReason,
    patienceMs: hostSilentAfterMs,
    ...(guest.drain === null ? {} : { drainSeen: guest.drain.by }),
    start: (acts, input) => acts.syncClock(input),
  });
  if (Math.abs(act.offsetMs) >= driftThresholdMs) {
    throw new Ended('failed', `the clock of ${machine} is still ${describeOffset(act.offsetMs)} after a sync: check its time servers`);
  }
  return { before, after: act.offsetMs, by: act.source === 'ntp' ? 'its time server' : "the host's clock" };
}
