import { ACTS_TOLD, type ActCounts, type ActEnd, type Refusal, type ToldAct } from './report.ts';
import type { WorkItem } from './work.ts';

/** What has come of the acts of one pass so far, handed from history to history. */
export interface Tally {
  readonly counts: ActCounts;
  /** The first ones. */
  readonly told: readonly ToldAct[];
  readonly refusals: readonly Refusal[];
  /** Runs that can't be ended. */
  readonly setAside: readonly { readonly run: number; readonly attempt: number; readonly why: string }[];
  /** Runs that were to be parked and are cancelled, or will be. */
  readonly parked: readonly number[];
  /** Runs that were to be parked, and why they are not. */
  readonly unparked: readonly { readonly run: number; readonly why: string }[];
}

export const NOTHING_DONE: Tally = { counts: {}, told: [], refusals: [], setAside: [], parked: [], unparked: [] };

/** Kinds of refusals that are told. */
const REFUSALS_TOLD = 10;

/** Notes what came of one act. `status`: GitHub's, where it refused. */
export function note(
  tally: Tally,
  item: WorkItem,
  about: Omit<ToldAct, 'run' | 'attempt' | 'rule' | 'end'>,
  end: ActEnd,
  status = 0,
): Tally {
  const { run, attempt, rule } = item;
  const isParked = item.does === 'park' && end === 'cancelled';
  // GitHub has accepted it, and ends the run later.
  const isGone = isParked || (item.does === 'park' && end === 'not-over');
  const told: ToldAct = { run, attempt, rule, ...about, end: isParked ? 'parked' : end };
  return {
    counts: { ...tally.counts, [told.end]: (tally.counts[told.end] ?? 0) + 1 },
    told: tally.told.length < ACTS_TOLD ? [...tally.told, told] : tally.told,
    refusals: end === 'refused' ? withRefusal(tally.refusals, status, about.detail) : tally.refusals,
    setAside: end === 'set-aside' ? [...tally.setAside, { run, attempt, why: about.detail }] : tally.setAside,
    parked: isGone ? [...tally.parked, run] : tally.parked,
    unparked: item.does === 'park' && !isGone ? [...tally.unparked, { run, why: about.detail }] : tally.unparked,
  };
}

/** Words differ by the run that they name; the status tells kinds apart. */
function withRefusal(refusals: readonly Refusal[], status: number, why: string): readonly Refusal[] {
  const known = refusals.find((refusal) => refusal.status === status);
  return known === undefined
    ? [...refusals, { status, why, count: 1 }].slice(0, REFUSALS_TOLD)
    : refusals.map((refusal) => (refusal === known ? { ...known, count: known.count + 1 } : refusal));
}
