import type { Client } from '@temporalio/client';
import { describeExecution } from '../activities/describe-execution.ts';
import { PARKED_QUERY, parkedId, queueLedgerId } from '../domain/names.ts';
import type { QueueMemory } from '../domain/queue/memory.ts';
import type { ParkedRun } from '../domain/queue/parked.ts';
import { nullWithoutWorker } from './temporal.ts';

// What Temporal knows of a repository's queue.

/** What queue care has left; a number that can't be known is `null`. */
export interface QueueCareView {
  readonly parked: number | null;
  readonly setAside: number;
}

const QUERY_TIMEOUT_MS = 5_000;

/**
 * @param now epoch milliseconds
 * @param tellSetAside is told the runs that are set aside as soon as they are known
 */
export async function readQueueCare(
  client: Client,
  scope: string,
  {
    now,
    queryTimeoutMs,
    tellSetAside,
  }: { readonly now: number; readonly queryTimeoutMs: number; readonly tellSetAside: (runs: readonly number[]) => void },
): Promise<QueueCareView> {
  const [parked, setAside] = await Promise.all([
    readParked(client, scope, queryTimeoutMs),
    readSetAside(client, scope, now).then((runs) => {
      tellSetAside(runs);
      return runs.length;
    }),
  ]);
  return { parked: parked?.length ?? null, setAside };
}

/** Runs that wait to be re-run; `null` where no worker answers. */
export async function readParked(
  client: Client,
  scope: string,
  timeoutMs: number = QUERY_TIMEOUT_MS,
): Promise<readonly ParkedRun[] | null> {
  const keeper = await describeExecution(client, parkedId(scope));
  if (keeper === null || keeper.status.name === 'COMPLETED') {
    return [];
  }
  // One that a person ended is asked as well: queue care takes its runs over.
  return client.connection
    .withDeadline(Date.now() + timeoutMs, () =>
      client.workflow.getHandle(parkedId(scope), keeper.runId).query<readonly ParkedRun[]>(PARKED_QUERY),
    )
    .catch(nullWithoutWorker);
}

/** Runs that are left alone at this time, by what queue care remembers. */
async function readSetAside(client: Client, scope: string, now: number): Promise<readonly number[]> {
  const ledger = await describeExecution(client, queueLedgerId(scope));
  const memory = ledger?.memo?.['memory'] as QueueMemory | undefined;
  return memory?.setAside.filter(({ retryAt }) => now < retryAt).map(({ run }) => run) ?? [];
}
