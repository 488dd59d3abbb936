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
}

/** Entries that a ledger keeps; the memo of one workflow holds them. */
export const LEDGER_CAPACITY = 40;

/** Adds an entry, or replaces the one of the same run; the oldest give way. */
export function enter(entries: readonly LedgerEntry[], entry: LedgerEntry): readonly LedgerEntry[] {
  const others = entries.filter((other) => other.runId !== entry.runId);
  return [...others, entry].slice(-LEDGER_CAPACITY);
}

/** Acts that have a budget, by the type of their operation, and their name. */
const COUNTED_ACTS = { recoverRunner: 'recoveries', syncClock: 'clock syncs' } as const;
export type CountedAct = keyof typeof COUNTED_ACTS;

/** Why a check may not recover this runner now, or set its clock, or `null`. A person's command is never asked. */
export function budgetRefusal(
  entries: readonly LedgerEntry[],
  asked: { readonly scope: string; readonly runner: string; readonly now: number },
  budget: BudgetPolicy,
  type: CountedAct = 'recoverRunner',
): string | null {
  const ofRunner = entries.filter((entry) => entry.scope === asked.scope && entry.runner === asked.runner && entry.type === type);
  const recent = ofRunner.filter((entry) => asked.now - entry.at < budget.withinMs);
  if (recent.length >= budget.recoveries) {
    return `${recent.length} ${COUNTED_ACTS[type]} of ${asked.runner} within ${budget.withinMs / 3_600_000} h: the budget is ${budget.recoveries}`;
  }
  const lastOutcomes = recent.slice(-budget.failuresInARow);
  if (
    lastOutcomes.length === budget.failuresInARow &&
    lastOutcomes.every((entry) => entry.outcome === 'failed' || entry.outcome === null)
  ) {
    return `the last ${budget.failuresInARow} ${COUNTED_ACTS[type]} of ${asked.runner} failed: waiting for a person`;
  }
  return null;
}

/** Recoveries of this runner that are left to checks at this moment, if nothing else holds them back. */
export function recoveriesLeft(
  entries: readonly LedgerEntry[],
  asked: { readonly scope: string; readonly runner: string; readonly now: number },
  budget: BudgetPolicy,
): number {
  const recent = entries.filter(
    (entry) =>
      entry.type === 'recoverRunner' &&
      entry.scope === asked.scope &&
      entry.runner === asked.runner &&
      asked.now - entry.at < budget.withinMs,
  );
  return Math.max(0, budget.recoveries - recent.length);
}
