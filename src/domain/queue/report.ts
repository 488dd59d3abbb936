import type { RuleModes } from './plan.ts';
import type { RuleName } from './policy.ts';
import type { ParkedEnd, ParkedRun } from './parked.ts';
import type { AgingRun, LeftRun, PlannedAct } from './verdict.ts';

/**
 * What came of an act. `would-cancel`, `would-park`, `would-re-run`: a dry run's. `only-planned`: by a rule that only plans. `ended-otherwise`: the run ended by itself before the cancellation reached it.
 * `accepted`: GitHub was asked and has accepted it, and it is not over yet. `not-over`: the same for so long that it is given up. `again`: GitHub failed at it; the next pass tries it once more.
 */
export type ActEnd =
  | 'would-cancel'
  | 'would-park'
  | 'would-re-run'
  | 'only-planned'
  | 'cancelled'
  | 'parked'
  | 'ended-otherwise'
  | 'spared'
  | 'set-aside'
  | 'refused'
  | 'accepted'
  | 'not-over'
  | 'again'
  | ParkedEnd;

/** One act as it is told: what, by which rule, on what evidence, and what came of it. */
export interface ToldAct {
  readonly run: number;
  readonly attempt: number;
  readonly rule: RuleName;
  readonly workflow: string;
  readonly event: string;
  readonly branch: string | null;
  readonly evidence: string;
  readonly end: ActEnd;
  readonly detail: string;
}

/** Refusals of one kind: told once, however many runs they concern. */
export interface Refusal {
  readonly status: number;
  readonly why: string;
  readonly count: number;
}

/** Acts by what came of them. */
export type ActCounts = Readonly<Partial<Record<ActEnd, number>>>;

/**
 * `done`: all that was to be done, or was spared for a reason. `partly`: GitHub refused some of it, or some is not over. `planned`: a dry run, or Runward only watches.
 * `cut`: there was more to do than one pass may.
 */
export type QueueOutcome = 'nothing-to-do' | 'planned' | 'done' | 'partly' | 'cut' | 'refused-in-progress' | 'failed';

/**
 * Runs of the repository by GitHub's status, zombies and runs that are about to end apart; `null` if GitHub did not say, or was not asked: a
 * scheduled pass does not ask who waits for an approval, for a concurrency group, or is just requested.
 */
export interface QueueFigures {
  readonly queued: number;
  readonly inProgress: number | null;
  readonly waiting: number | null;
  readonly pending: number | null;
  readonly requested: number | null;
  /** Queued for longer than allowed, whatever a rule does about it. */
  readonly stale: number;
  readonly parked: number;
  readonly setAside: number;
}

/** Result of `maintainQueue`. */
export interface QueueReport {
  readonly outcome: QueueOutcome;
  readonly scope: string;
  /** One sentence. */
  readonly summary: string;
  /** ISO 8601, by GitHub's clock; `null` where GitHub was not asked. */
  readonly observedAt: string | null;
  readonly mode: 'act' | 'watch';
  readonly dryRun: boolean;
  readonly rules: RuleModes | null;
  readonly queue: QueueFigures | null;
  readonly counts: ActCounts;
  /** All acts by rule; what was parked before is not among them. */
  readonly byRule: Readonly<Partial<Record<RuleName, number>>>;
  /** The first 200; the rest stands in the executions of `carryOutQueuePlan`, where `runward explain --run` finds it. */
  readonly acts: readonly ToldAct[];
  /** Runs that are told and left alone, such as half-started ones: the first 50. */
  readonly left: readonly LeftRun[];
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
  /** Runs that will be stale before long; `null` for none. Times are ISO 8601. */
  readonly aging: { readonly runs: number; readonly firstAt: string; readonly lastAt: string } | null;
  /** All acts, also those that are not listed. */
  readonly planned: number;
  /** Whether there may be more to do than this pass was allowed. */
  readonly isCut: boolean;
  /** Queued runs that a rule asked about, and whose jobs could not be read. */
  readonly unread: number;
  readonly durationMs: number;
}

export function agingOf(aging: readonly AgingRun[]): QueueReport['aging'] {
  const times = aging.map(({ staleAt }) => staleAt).toSorted((one, other) => one - other);
  const [first, last] = [times[0], times.at(-1)];
  return first === undefined || last === undefined
    ? null
    : { runs: times.length, firstAt: new Date(first).toISOString(), lastAt: new Date(last).toISOString() };
}

/** Acts that a report lists. */
export const ACTS_TOLD = 200;
/** Runs that a report tells as left alone. */
export const LEFT_TOLD = 50;

/** A planned act as it is told before anything happens. */
export function toldAsPlanned({ run, attempt, rule, workflow, event, branch, evidence, does }: PlannedAct): ToldAct {
  return { run, attempt, rule, workflow, event, branch, evidence, end: does === 'park' ? 'would-park' : 'would-cancel', detail: '' };
}

/** An act of a rule that only plans. */
export function toldAsOnlyPlanned(act: PlannedAct): ToldAct {
  const detail = `it would be ${act.does === 'park' ? 'parked' : 'cancelled'}, but the rule only plans`;
  return { ...toldAsPlanned(act), end: 'only-planned', detail };
}

/** What became of a parked run, or would. */
export function toldAsParked({ run, evidence }: ParkedRun, end: ActEnd, detail: string): ToldAct {
  const { id, attempt, workflow, event, branch } = run;
  return { run: id, attempt, rule: 'prioritizePullRequests', workflow, event, branch, evidence: `parked before: ${evidence}`, end, detail };
}

/** Acts by what came of them. */
export function countOf(acts: readonly Pick<ToldAct, 'end'>[], before: ActCounts = {}): ActCounts {
  return acts.reduce<ActCounts>((counts, { end }) => ({ ...counts, [end]: (counts[end] ?? 0) + 1 }), before);
}

/** Kinds of refusals that are told. */
const REFUSALS_TOLD = 10;

/** Words differ by the run that they name; the status tells kinds apart. */
export function withRefusal(refusals: readonly Refusal[], status: number, why: string, count = 1): readonly Refusal[] {
  const known = refusals.find((refusal) => refusal.status === status);
  return known === undefined
    ? [...refusals, { status, why, count }].slice(0, REFUSALS_TOLD)
    : refusals.map((refusal) => (refusal === known ? { ...known, count: known.count + count } : refusal));
}

/** What went wrong of it, so that a person has to know. */
const TROUBLE: readonly ActEnd[] = ['refused', 'not-over', 'again', 'expired'];

export function outcomeOf({
  counts,
  isCut,
  isDry,
  planned,
}: {
  readonly counts: ActCounts;
  readonly isCut: boolean;
  readonly isDry: boolean;
  readonly planned: number;
}): QueueOutcome {
  if (planned === 0) {
    return 'nothing-to-do';
  }
  if (isDry) {
    return 'planned';
  }
  if (TROUBLE.some((end) => (counts[end] ?? 0) > 0)) {
    return 'partly';
  }
  return isCut ? 'cut' : 'done';
}

/** `1 run`, `5 runs`. */
export function runsText(count: number): string {
  return `${count} run${count === 1 ? '' : 's'}`;
}

/** Such as `4 cancelled, 1 spared of 5 in the queue of acme/kernel`. */
export function countsText(counts: ActCounts): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([end, count]) => `${count} ${end.replaceAll(/-(?!run$)/g, ' ')}`)
    .join(', ');
}

export function queueSentence(scope: string, outcome: QueueOutcome, counts: ActCounts, queue: QueueFigures | null): string {
  const queued = queue === null ? '' : `${runsText(queue.queued)} queued`;
  switch (outcome) {
    case 'nothing-to-do':
      return `${queued} in ${scope}: nothing to do`;
    case 'cut':
      return `${queued} in ${scope}: ${countsText(counts)}; there is more to do than one pass may`;
    case 'planned':
    case 'done':
    case 'partly':
    case 'refused-in-progress':
    case 'failed':
      return `${queued} in ${scope}: ${countsText(counts)}`;
  }
}
