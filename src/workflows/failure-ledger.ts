import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, executeChild, proxyActivities, sleep } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { rememberInspected, type Attempt, type FailureMemory } from '../domain/damaged-run.ts';
import { failureLedgerId } from '../domain/names.ts';
import { temporalOptions } from './options.ts';

/** Ends at once: its memo, given at start, is which failed runs need not be looked at again. */
export async function failureLedger(): Promise<void> {}

/** A writer that finds another one at work waits so long. */
const WRITTEN_WITHIN_MS = 500;

/**
 * Adds what has been settled to what is remembered by now. What another writer adds between reading and writing is lost, and those runs are
 * looked at twice: nothing is re-run twice by that.
 */
export async function settleFailures(scope: string, settled: readonly Attempt[]): Promise<void> {
  const temporal = proxyActivities<MainActivities>(temporalOptions('which failed runs were inspected?'));
  while (!(await isWritten(scope, rememberInspected(await temporal.recallFailures({ scope }), settled)))) {
    await sleep(WRITTEN_WITHIN_MS, { summary: 'another writer is at work' });
  }
}

async function isWritten(scope: string, memory: FailureMemory): Promise<boolean> {
  try {
    await CancellationScope.nonCancellable(() =>
      executeChild(failureLedger, {
        workflowId: failureLedgerId(scope),
        memo: { memory },
        staticSummary: `${memory.inspected.length} failed runs were inspected`,
      }),
    );
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return false;
    }
    throw error;
  }
}
