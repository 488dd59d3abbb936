import type { Client } from '@temporalio/client';
import { describeExecution } from '../activities/describe-execution.ts';
import { PARKED_QUERY, parkedId } from '../domain/names.ts';
import type { ParkedRun } from '../domain/queue/parked.ts';

// What Temporal knows of a repository's queue.

const QUERY_TIMEOUT_MS = 5_000;

/** Runs that wait to be re-run; `null` where no worker answers. */
export async function readParked(client: Client, scope: string): Promise<readonly ParkedRun[] | null> {
  const keeper = await describeExecution(client, parkedId(scope));
  if (keeper?.status.name !== 'RUNNING') {
    return [];
  }
  return client.connection
    .withDeadline(Date.now() + QUERY_TIMEOUT_MS, () => client.workflow.getHandle(parkedId(scope)).query<readonly ParkedRun[]>(PARKED_QUERY))
    .catch(() => null);
}
