// Operations on a runner's actions cache and on its machine's disk: when they may begin, their steps, and what they end with.

import type { CacheDamage, CacheEntry } from './cache.ts';
import type { DamagedRun, RerunTold } from './damaged-run.ts';
import { valueOrNull } from './reading.ts';
import { busyReason, evidenceOf, strangerReason, type Look } from './recovery.ts';
import type { OperationReport } from './report.ts';
import { ROOM_SOURCES, type RoomSource } from './room.ts';
import type { GuestObservation, RunnerTarget } from './runner.ts';

/** What upkeep does after a look. Every answer carries its evidence, one reading a line. */
export type UpkeepDecision =
  /** Idle on both sides. */
  | { readonly kind: 'go'; readonly guest: GuestObservation; readonly evidence: readonly string[] }
  | { readonly kind: 'busy'; readonly why: string; readonly guest: GuestObservation; readonly evidence: readonly string[] }
  | { readonly kind: 'impossible'; readonly why: string; readonly evidence: readonly string[] };

/** Unknown is no reason to touch anything, and a machine that does not run is not started for upkeep. `force` overrides busy only. */
export function decideUpkeep(target: RunnerTarget, look: Look, force: boolean): UpkeepDecision {
  const evidence = evidenceOf(look);
  const impossible = (why: string): UpkeepDecision => ({ kind: 'impossible', why: `${why}, so nothing was touched`, evidence });
  if (!look.github.known) {
    return impossible(`GitHub could not be read: ${look.github.why}`);
  }
  const machine = valueOrNull(look.machine);
  if (machine === null || !look.machine.known) {
    return impossible(`machine ${target.machine} could not be read: ${look.machine.known ? '' : look.machine.why}`);
  }
  if (machine.state !== 'running') {
    return impossible(`machine ${target.machine} is ${machine.state}`);
  }
  if (!machine.guest.known) {
    return impossible(`the guest of ${target.machine} does not answer: ${machine.guest.why}`);
  }
  const guest = machine.guest.value;
  const stranger = strangerReason(target, guest);
  if (stranger !== null) {
    return { kind: 'impossible', why: stranger, evidence };
  }
  const busy = force ? null : busyReason(look.github.value, guest);
  return busy === null ? { kind: 'go', guest, evidence } : { kind: 'busy', why: busy, guest, evidence };
}

/** The one step of a cleaning. */
export const CLEAN_STEPS = ['clean-cache'] as const;
export type CleanStep = (typeof CLEAN_STEPS)[number];

/** The one step of a clearing. */
export const CLEAR_STEPS = ['clear-cache'] as const;
export type ClearStep = (typeof CLEAR_STEPS)[number];

/** The steps of a healing. */
export const HEAL_STEPS = ['inspect-failures', 'clear-cache', 'rerun-jobs'] as const;
export type HealStep = (typeof HEAL_STEPS)[number];

type Refused = 'refused-busy' | 'refused-in-progress' | 'refused-budget' | 'refused-watching' | 'failed' | 'cancelled';

/** `planned`: a dry run tells what would go. */
export type CleanOutcome = 'cleaned' | 'planned' | Refused;
export type ClearOutcome = 'cleared' | 'planned' | Refused;
/**
 * `healed`: what was damaged is gone, and what was to be re-run is. `not-re-run`: GitHub refused. `given-up`: a run fails again although it
 * was re-run as often as it may be.
 */
export type HealOutcome = 'healed' | 'nothing-damaged' | 'not-re-run' | 'given-up' | 'planned' | Refused;

/** What was removed from a cache, or would be. */
export interface CacheFigures {
  readonly entries: number;
  readonly bytes: number;
  /** The largest, 50 at most; 100 of a dry run. */
  readonly names: readonly string[];
  /** The same of a dry run, with size and age. */
  readonly found?: readonly CacheEntry[];
  /** What damaged entries looked like. */
  readonly damage: readonly CacheDamage[];
}

export const NOTHING_REMOVED: CacheFigures = { entries: 0, bytes: 0, names: [], damage: [] };

/** Result of `cleanActionsCache` and `clearActionsCache`. */
export interface CacheReport<Outcome extends string = CleanOutcome | ClearOutcome, Step extends string = string> extends OperationReport<
  Outcome,
  Step
> {
  readonly dryRun: boolean;
  readonly removed: CacheFigures;
}

/** Result of `healActionsCache`. */
export interface HealReport extends CacheReport<HealOutcome, HealStep> {
  /** Runs that failed because of the cache. */
  readonly damaged: readonly DamagedRun[];
  readonly reran: readonly RerunTold[];
}

/** The steps of making room: the sources in their order, and what is done where they do not bring enough. */
export const ROOM_STEPS = [...ROOM_SOURCES, 'drain'] as const;
export type RoomStep = RoomSource | 'drain';

/**
 * `room-made`: enough. `enough-room`: there was. `some-room`: less is used than before, and more than wished. `no-room`: so little is left
 * that the runner takes no more jobs.
 */
export type RoomOutcome = 'room-made' | 'enough-room' | 'some-room' | 'no-room' | 'planned' | Refused;

/** Result of `makeRoom`. */
export interface RoomReport extends OperationReport<RoomOutcome, RoomStep> {
  readonly dryRun: boolean;
  /** What each source has brought, by the disk itself. */
  readonly freed: readonly { readonly source: RoomSource; readonly bytes: number }[];
}

/** Whether Runward itself has drained the runner, for want of room. */
export function isDrainedForRoom({ drain }: Pick<GuestObservation, 'drain'>): boolean {
  return drain?.by === 'room';
}

/** Workflow id of the drain that `makeRoom` begins, by which it is told from a person's. */
export function roomDrainId(runner: string): string {
  return `drain/${runner}/room`;
}
