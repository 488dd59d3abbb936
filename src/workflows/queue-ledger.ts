import { CancellationScope, executeChild } from '@temporalio/workflow';
import { queueLedgerId } from '../domain/names.ts';
import type { QueueMemory } from '../domain/queue/memory.ts';

/** Ends at once: its memo, given at start, is what queue care remembers. Memos given at start are consistent. */
export async function queueLedger(): Promise<void> {}

/** Written only while the queue's lock is held, which is what makes read and write one step. */
export async function writeQueueMemory(scope: string, memory: QueueMemory): Promise<void> {
  const { setAside, reruns } = memory;
  await CancellationScope.nonCancellable(() =>
    executeChild(queueLedger, {
      workflowId: queueLedgerId(scope),
      memo: { memory },
      staticSummary: `${setAside.length} runs are set aside, ${reruns.length} were re-run`,
    }),
  );
}
