import { ACTS_TOLD, withRefusal, type ActCounts, type ActEnd, type Refusal, type ToldAct } from './report.ts';
import type { WorkItem } from './work.ts';

/** What has come of the acts of one pass so far, handed from history to history. */
export interface Tally {
  readonly counts: ActCounts;
  /** The first ones. */
  readonly told: readonly ToldAct[];
  readonly refusals: readonly Refusal[];
  /** Runs that are no queue any more, since they are over, about to be or set aside, and how many of them were stale. */
  readonly ended: { readonly all: number; readonly stale: number };
  /** Runs that can't be ended. */
  readonly setAside: readonly { readonly run: number; readonly attempt: number; readonly why: string }[];
  /** Runs that were to be parked and are cancelled. */
  readonly parked: readonly number[];
  /** Runs that were to be parked and are not, for sure, and why; of all others later passes see what becomes. */
  readonly unparked: readonly { readonly run: number; readonly why: string }[];
}

export const NOTHING_DONE: Tally = {
  counts: {},
  told: [],
  refusals: [],
  ended: { all: 0, stale: 0 },
  setAside: [],
  parked: [],
  unparked: [],
};

const SET_ASIDE: readonly ActEnd[] = ['set-aside', 'not-over'];
const ENDED: readonly ActEnd[] = ['cancelled', 'parked', 'ended-otherwise', 'accepted', ...SET_ASIDE];

/** What came of one act. */
export interface Noted {
  readonly end: ActEnd;
  readonly detail: string;
  /** GitHub's, where it refused. */
  readonly status?: number;
  /** Whether its cancellation can't come any more: a run that was to be parked need not be remembered then. */
  readonly isUntouched?: boolean;
}

export function note(
  tally: Tally,
  item: WorkItem,
  about: Pick<ToldAct, 'workflow' | 'event' | 'branch' | 'evidence'>,
  { end, detail, status = 0, isUntouched = false }: Noted,
): Tally {
  const { run, attempt, rule, does } = item;
  const isPark = does === 'park';
  const told: ToldAct = { run, attempt, rule, ...about, detail, end: isPark && end === 'cancelled' ? 'parked' : end };
  const isEnded = ENDED.includes(told.end);
  const { ended } = tally;
  return {
    ended: { all: ended.all + (isEnded ? 1 : 0), stale: ended.stale + (isEnded && rule === 'stale' ? 1 : 0) },
    counts: { ...tally.counts, [told.end]: (tally.counts[told.end] ?? 0) + 1 },
    told: tally.told.length < ACTS_TOLD ? [...tally.told, told] : tally.told,
    refusals: end === 'refused' ? withRefusal(tally.refusals, status, detail) : tally.refusals,
    setAside: SET_ASIDE.includes(end) ? [...tally.setAside, { run, attempt, why: detail }] : tally.setAside,
    parked: told.end === 'parked' ? [...tally.parked, run] : tally.parked,
    unparked: isPark && isUntouched ? [...tally.unparked, { run, why: detail }] : tally.unparked,
  };
}

/** Both. */
export function addTally(one: Tally, other: Tally): Tally {
  return {
    counts: Object.entries(other.counts).reduce<ActCounts>(
      (counts, [end, count]) => ({ ...counts, [end]: (counts[end as ActEnd] ?? 0) + count }),
      one.counts,
    ),
    told: [...one.told, ...other.told].slice(0, ACTS_TOLD),
    refusals: other.refusals.reduce((all, { status, why, count }) => withRefusal(all, status, why, count), one.refusals),
    ended: { all: one.ended.all + other.ended.all, stale: one.ended.stale + other.ended.stale },
    setAside: [...one.setAside, ...other.setAside],
    parked: [...one.parked, ...other.parked],
    unparked: [...one.unparked, ...other.unparked],
  };
}
