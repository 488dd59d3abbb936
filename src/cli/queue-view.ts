import type { Client } from '@temporalio/client';
import { z } from 'zod';
import { describeExecution } from '../activities/describe-execution.ts';
import { labelIs, labelOf, listLabelled, quote, type LabelledQuery } from '../activities/labels.ts';
import { PARKED_QUERY, parkedId, queueLedgerId } from '../domain/names.ts';
import type { QueueMemory } from '../domain/queue/memory.ts';
import type { ParkedRun } from '../domain/queue/parked.ts';
import { readSchedule, type PassSchedule } from '../worker/schedules.ts';
import { believedMs } from './elsewhere.ts';
import { tellMissing } from './missing-attributes.ts';
import { QUEUE_TYPE } from './operations.ts';
import { nullWithoutWorker } from './temporal.ts';

// What Temporal knows of a repository's queue.

/** What queue care has left; a number that can't be known is `null`. */
export interface QueueCareView {
  /** Runs that had been queued for too long at the newest look of late. */
  readonly stale: number | null;
  readonly parked: number | null;
  readonly setAside: number | null;
  readonly schedule: PassSchedule | null;
}

/** Of looks of late, a person may have started many. */
const LOOKS_READ = 20;
const QUERY_TIMEOUT_MS = 5_000;

/** @param now epoch milliseconds */
export async function readQueueCare(client: Client, scope: string, now: number, queryTimeoutMs: number): Promise<QueueCareView> {
  const [[schedule, look], parked, setAside] = await Promise.all([
    readSchedule(client, scope, 'queue').then(
      async (found) => [found, await readLastLook(client, scope, now - believedMs(found))] as const,
    ),
    readParked(client, scope, queryTimeoutMs),
    readSetAside(client, scope, now),
  ]);
  return { stale: look?.stale ?? null, parked: parked?.length ?? look?.parked ?? null, setAside, schedule };
}

const lookSchema = z.object({
  queue: z.object({
    stale: z.number(),
    parked: z.number(),
    /** ISO 8601. */
    observedAt: z.string(),
  }),
});

/** The figures of the newest care, by the schedule or by hand, that has seen the queue of late. */
async function readLastLook(client: Client, scope: string, since: number): Promise<z.output<typeof lookSchema>['queue'] | null> {
  const withoutAttributes = [
    `WorkflowType = ${quote(QUEUE_TYPE)}`,
    `ExecutionStatus = 'Completed'`,
    `CloseTime > ${quote(new Date(since).toISOString())}`,
  ].join(' AND ');
  const query: LabelledQuery = {
    withAttributes: `${withoutAttributes} AND ${labelIs('scope', scope)}`,
    withoutAttributes,
    matches: (info) => labelOf(info, 'scope') === scope,
  };
  const looks: z.output<typeof lookSchema>['queue'][] = [];
  let read = 0;
  for await (const { memo } of listLabelled(client, query, { onMissing: () => tellMissing(client) })) {
    looks.push(...[lookSchema.safeParse(memo).data?.queue].filter((look) => look !== undefined));
    read += 1;
    if (read >= LOOKS_READ) {
      break;
    }
  }
  return looks.toSorted((one, other) => other.observedAt.localeCompare(one.observedAt))[0] ?? null;
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
async function readSetAside(client: Client, scope: string, now: number): Promise<number> {
  const ledger = await describeExecution(client, queueLedgerId(scope));
  const memory = ledger?.memo?.['memory'] as QueueMemory | undefined;
  return memory?.setAside.filter(({ retryAt }) => now < retryAt).length ?? 0;
}
