import { CancellationScope, executeChild, proxyActivities } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { enter, type LedgerEntry } from '../domain/ledger.ts';
import { machineLedgerId } from '../domain/names.ts';
import { temporalOptions } from './options.ts';

/** Ends at once: its memo, given at start, is the ledger. Memos given at start are consistent; upserted ones and visibility are not. */
export async function machineLedger(): Promise<void> {}

/** Read only while the machine's lock is held. */
export async function readLedger(machine: { readonly host: string; readonly machine: string }): Promise<readonly LedgerEntry[]> {
  const temporal = proxyActivities<MainActivities>(temporalOptions('read the ledger'));
  const { entries } = await temporal.readLedger({ ledgerId: machineLedgerId(machine.host, machine.machine) });
  return entries;
}

/** Written only while the machine's lock is held, which is what makes read and write one step. */
export async function writeLedger(
  machine: { readonly host: string; readonly machine: string },
  entries: readonly LedgerEntry[],
  entry: LedgerEntry,
): Promise<readonly LedgerEntry[]> {
  const next = enter(entries, entry);
  await CancellationScope.nonCancellable(() =>
    executeChild(machineLedger, {
      workflowId: machineLedgerId(machine.host, machine.machine),
      memo: { entries: next },
      staticSummary: `${entry.type} of ${entry.runner}: ${entry.outcome ?? 'begun'}`,
    }),
  );
  return next;
}
