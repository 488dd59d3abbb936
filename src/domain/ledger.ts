import type { BudgetPolicy } from './policy.ts';
import type { Trigger } from './names.ts';

/** One act on a machine, as the ledger remembers it. */
export interface LedgerEntry {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: string;
  readonly scope: string;
  readonly runner: string;
  readonly trigger: Trigger;
  readonly workflowId: string;
  readonly runId: string;
  /** `null` while the operation works, and for ever where it was cut off. */
  readonly outcome: string | null;
  /** What the next check is to tell of it, in a sentence. */
  readonly why?: string;
  /** It was about the whole machine, such as its start or its clock: all runners there are charged with it. */
  readonly concernsMachine?: boolean;
  /** It stops the machine, or has found it stopped by such an act, and nobody has seen it up again since: it is Runward's to start. */
  readonly leavesStopped?: boolean;
  /** It ended before it touched anything. */
  readonly onlyLooked?: boolean;
}

/** Entries of one runner that a ledger keeps, so that no neighbour's acts hide them; the memo of one workflow holds all. */
export const LEDGER_CAPACITY = 40;

/** Adds an entry, or replaces the one of the same run; the oldest of its runner give way, but for the last word of its drain. */
export function enter(entries: readonly LedgerEntry[], entry: LedgerEntry): readonly LedgerEntry[] {
  const isNeighbours = isOfNeighbour(entry);
  const others = entries.filter((other) => other.runId !== entry.runId);
  const word = lastWord(others, entry);
  const own = others.filter((other) => !isNeighbours(other) && other !== word);
  const dropped = new Set(own.slice(0, Math.max(0, own.length + 1 - LEDGER_CAPACITY)));
  return [...others.filter((other) => !dropped.has(other)), entry];
}

/** Acts that have a budget, by the type of their operation, and their name. */
const COUNTED_ACTS = {
  recoverRunner: 'recoveries',
  syncClock: 'clock syncs',
  makeRoom: 'disk upkeeps',
  healActionsCache: 'repairs of the actions cache',
  cleanActionsCache: 'cleanings of the actions cache',
  drainRunner: 'drains',
} as const;
export type CountedAct = keyof typeof COUNTED_ACTS;

/** Whose budget is asked for, and when: epoch milliseconds. */
interface Asked {
  readonly scope: string;
  readonly runner: string;
  readonly now: number;
}

/** What a budget says against an act. */
export interface BudgetRefusal {
  readonly why: string;
  /** The limit that was met, such as `3 per 6 h`. */
  readonly limit: string;
  /** When the budget allows it again, epoch milliseconds. */
  readonly until: number;
}

/** Why a check may not do this now, and until when, or `null`. A person's command is never asked. */
export function refusedByBudget(
  entries: readonly LedgerEntry[],
  asked: Asked,
  budget: BudgetPolicy,
  type: CountedAct = 'recoverRunner',
): BudgetRefusal | null {
  const why = budgetRefusal(entries, asked, budget, type);
  if (why === null) {
    return null;
  }
  const cooled = entries.map(({ at }) => at + budget.withinMs).filter((moment) => moment > asked.now);
  const until = cooled.toSorted((a, b) => a - b).find((moment) => budgetRefusal(entries, { ...asked, now: moment }, budget, type) === null);
  const isUsedUp = chargedTo(entries, asked, budget, type).length >= budget.recoveries;
  return {
    why,
    limit: isUsedUp ? `${budget.recoveries} per ${budget.withinMs / 3_600_000} h` : `the last ${budget.failuresInARow} failed`,
    until: until ?? asked.now + budget.withinMs,
  };
}

/** Why a check may not recover this runner now, or set its clock, or `null`. */
export function budgetRefusal(
  entries: readonly LedgerEntry[],
  asked: Asked,
  budget: BudgetPolicy,
  type: CountedAct = 'recoverRunner',
): string | null {
  const recent = chargedTo(entries, asked, budget, type);
  const what = `${COUNTED_ACTS[type]} of ${asked.runner}${recent.some(isOfNeighbour(asked)) ? ' and its machine' : ''}`;
  if (recent.length >= budget.recoveries) {
    return `${recent.length} ${what} within ${budget.withinMs / 3_600_000} h: the budget is ${budget.recoveries}`;
  }
  const lastOutcomes = recent.slice(-budget.failuresInARow);
  if (
    lastOutcomes.length === budget.failuresInARow &&
    lastOutcomes.every((entry) => entry.outcome === 'failed' || entry.outcome === null)
  ) {
    return `the last ${budget.failuresInARow} ${what} failed: waiting for a person`;
  }
  return null;
}

/** Why the package of the runner, which all runners of a machine share, could not be fetched the last time, and when that was; `null` if it could. */
export function unfetched(entries: readonly LedgerEntry[]): { readonly at: number; readonly why: string } | null {
  const last = entries.findLast(({ type }) => type === 'fetchPackage');
  return last?.outcome === 'not-fetched' || last?.outcome === 'failed' ? { at: last.at, why: last.why ?? 'the last try failed' } : null;
}

/** When Runward began to stop a machine that it has not seen up again since, epoch milliseconds; `null` if it has not. */
export function leftStoppedAt(entries: readonly LedgerEntry[]): number | null {
  // Whatever has acted in the guest, or found it up, came after its start.
  const last = entries.findLast(({ onlyLooked }) => onlyLooked !== true);
  return last?.leavesStopped === true ? last.at : null;
}

/** What the ledger knows last of a runner's drain; `at`: epoch milliseconds. */
export interface DrainWord {
  readonly isDrained: boolean;
  /** Its machine did not run, so that nothing is marked in its guest. */
  readonly isNoted: boolean;
  readonly at: number;
}

/**
 * `null` where nothing is known, or what came last may have come to anything. A drain that is noted is nowhere else, so it holds until one is
 * carried out, or a resume.
 */
export function drainWord(entries: readonly LedgerEntry[], asked: Pick<Asked, 'scope' | 'runner'>): DrainWord | null {
  const isForeign = isOfNeighbour(asked);
  const word = lastWord(entries, asked);
  if (word === undefined) {
    return null;
  }
  const { outcome, at } = word;
  const isNoted = outcome === 'noted';
  const isLast = word === entries.findLast((entry) => !isForeign(entry) && DRAIN_TYPES.has(entry.type));
  return isNoted || isLast ? { isDrained: outcome !== 'resumed', isNoted, at } : null;
}

/**
 * What has been done since to drain a runner, or to resume it, as far as it came to anything; `null` if nothing. `since`: epoch milliseconds.
 * A time that lies ahead says nothing.
 */
export function drainSaidSince(
  entries: readonly LedgerEntry[],
  asked: Asked & { readonly type: 'drainRunner' | 'resumeRunner'; readonly since: number },
): LedgerEntry | null {
  const word = lastWord(entries, asked);
  return word?.type === asked.type && word.trigger !== 'check' && word.at > asked.since && word.at <= asked.now ? word : null;
}

/** Those of the runners, by name, whose drain is noted: a start of their machine would let them take jobs. */
export function notedAmong(
  entries: readonly LedgerEntry[],
  runners: readonly { readonly scope: string; readonly runner: string }[],
): readonly string[] {
  return runners.filter((asked) => drainWord(entries, asked)?.isNoted === true).map(({ runner }) => runner);
}

const DRAIN_TYPES: ReadonlySet<string> = new Set(['drainRunner', 'resumeRunner']);

/** Outcomes after which it is known whether a runner is drained. */
const WORDS: ReadonlySet<string | null> = new Set(['noted', 'drained', 'draining', 'resumed']);

function lastWord(entries: readonly LedgerEntry[], asked: Pick<Asked, 'scope' | 'runner'>): LedgerEntry | undefined {
  const isForeign = isOfNeighbour(asked);
  return entries.findLast((entry) => !isForeign(entry) && DRAIN_TYPES.has(entry.type) && WORDS.has(entry.outcome));
}

/** Recoveries of this runner that are left to checks at this moment, if nothing else holds them back. */
export function recoveriesLeft(entries: readonly LedgerEntry[], asked: Asked, budget: BudgetPolicy): number {
  return Math.max(0, budget.recoveries - chargedTo(entries, asked, budget, 'recoverRunner').length);
}

/**
 * Acts of one kind on this runner, or on its whole machine for whichever runner, that are not cooled down. The time of an act that lies far
 * ahead says nothing: a clock was wrong, and an act must not count until that time has come.
 */
function chargedTo(entries: readonly LedgerEntry[], asked: Asked, { withinMs }: BudgetPolicy, type: CountedAct): readonly LedgerEntry[] {
  const isForeign = isOfNeighbour(asked);
  return entries.filter(
    (entry) => entry.type === type && Math.abs(asked.now - entry.at) < withinMs && (entry.concernsMachine === true || !isForeign(entry)),
  );
}

function isOfNeighbour({ scope, runner }: Pick<Asked, 'scope' | 'runner'>): (entry: LedgerEntry) => boolean {
  return (entry) => entry.scope !== scope || entry.runner !== runner;
}
