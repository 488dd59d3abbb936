import { CancellationScope, executeChild, proxyActivities } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { rememberInspected, type Attempt, type FailureMemory } from '../domain/damaged-run.ts';
import { failureLedgerId } from '../domain/names.ts';
import { temporalOptions } from './options.ts';

/**
 * Ends at once: its memo, given at start, is which failed runs need not be looked at again. Two writers at once lose one of the entries, and
 * then a run is looked at twice: nothing is done twice by that.
 */
export async function failureLedger(): Promise<void> {}

/** Adds what has been settled to what is remembered by now, and answers with all of it. */
export async function settleFailures(scope: string, settled: readonly Attempt[]): Promise<FailureMemory> {
  const temporal = proxyActivities<MainActivities>(temporalOptions('which failed runs were inspected?'));
  const memory = rememberInspected(await temporal.recallFailures({ scope }), settled);
  await writeFailureMemory(scope, memory);
  return memory;
}

export async function writeFailureMemory(scope: string, memory: FailureMemory): Promise<void> {
  await CancellationScope.nonCancellable(() =>
    executeChild(failureLedger, {
      workflowId: failureLedgerId(scope),
      memo: { memory },
      staticSummary: `${memory.inspected.length} failed runs were inspected`,
    }),
  );
}
