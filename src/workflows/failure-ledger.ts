import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, executeChild, proxyActivities, sleep } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { rememberInspected, type Attempt, type FailureMemory, type LeftRun } from '../domain/damaged-run.ts';
import { failureLedgerId } from '../domain/names.ts';
import { temporalOptions } from './options.ts';

/**
 * Ends at once: its memo, given at start, is which failed runs need not be looked at again. Two that read at the same time and write one after
 * the other lose what the first has written, and then a run is looked at twice: it is not re-run twice.
 */
export async function failureLedger(): Promise<void> {}

/** Adds what has been settled to what is remembered by then, and answers with all of it. */
export async function settleFailures(scope: string, settled: readonly Attempt[], left: readonly LeftRun[] = []): Promise<FailureMemory> {
  const temporal = proxyActivities<MainActivities>(temporalOptions('which failed runs were inspected?'));
  for (let triesLeft = 5; ; triesLeft -= 1) {
    const memory = rememberInspected(await temporal.recallFailures({ scope }), settled, left);
    try {
      await write(scope, memory);
      return memory;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError) || triesLeft === 0) {
        throw error;
      }
      await sleep('1s');
    }
  }
}

async function write(scope: string, memory: FailureMemory): Promise<void> {
  await CancellationScope.nonCancellable(() =>
    executeChild(failureLedger, {
      workflowId: failureLedgerId(scope),
      memo: { memory },
      staticSummary: `${memory.inspected.length} failed runs were inspected`,
    }),
  );
}
