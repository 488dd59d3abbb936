import { CancellationScope, log, proxyActivities, startChild } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { enter, type LedgerEntry } from '../domain/ledger.ts';
import { machineLedgerId } from '../domain/names.ts';
import type { HeldLock } from './lock.ts';
import { temporalOptions } from './options.ts';

/** Ends at once: its memo, given at start, is the ledger. Memos given at start are consistent; upserted ones and visibility are not. */
export async function machineLedger(): Promise<void> {}

interface Machine {
  readonly host: string;
  readonly machine: string;
}

/** What a ledger says, and whether the lock still stands under which it is read: in a run that a reset made, it may be a memory of the history alone. */
export async function readLedger(
  machine: Machine,
  { lockId, lockRunId }: HeldLock,
): Promise<{ readonly isHeld: boolean; readonly entries: readonly LedgerEntry[] }> {
  const temporal = proxyActivities<MainActivities>(temporalOptions('read the ledger'));
  const { entries, isHeld } = await temporal.readLedger({
    ledgerId: machineLedgerId(machine.host, machine.machine),
    lock: { lockId, lockRunId },
  });
  return { entries, isHeld: isHeld === true };
}

/** The entry of one operation in the ledger of its machine, while it holds the machine's lock: that makes read and write one step. */
export class OpenEntry {
  readonly #machine: Machine;
  readonly #others: readonly LedgerEntry[];
  #entry: LedgerEntry;

  constructor(machine: Machine, others: readonly LedgerEntry[], entry: LedgerEntry) {
    this.#machine = machine;
    this.#others = others;
    this.#entry = entry;
  }

  get entry(): LedgerEntry {
    return this.#entry;
  }

  /** Writes it as it is now. */
  async write(changes: Partial<LedgerEntry> = {}): Promise<void> {
    this.#entry = { ...this.#entry, ...changes };
    await writeLedger(this.#machine, enter(this.#others, this.#entry), this.#entry);
  }

  /** What was done is done: an entry that stays open counts as cut off, and does not change the outcome. */
  async close(changes: Partial<LedgerEntry> & { readonly outcome: string }): Promise<void> {
    try {
      await this.write(changes);
    } catch (error) {
      log.warn(`the ledger of ${this.#machine.machine} could not be written: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Once it is started it can be read; it takes the place of one that has not ended yet. */
async function writeLedger({ host, machine }: Machine, entries: readonly LedgerEntry[], entry: LedgerEntry): Promise<void> {
  await CancellationScope.nonCancellable(() =>
    startChild(machineLedger, {
      workflowId: machineLedgerId(host, machine),
      workflowIdReusePolicy: 'TERMINATE_IF_RUNNING',
      parentClosePolicy: 'ABANDON',
      memo: { entries },
      staticSummary: `${entry.type} of ${entry.runner}: ${entry.outcome ?? 'begun'}`,
    }),
  );
}
