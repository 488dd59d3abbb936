import { activityInfo, Context } from '@temporalio/activity';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  MAIN_QUEUE,
  PARKED_QUERY,
  PARKED_SIGNALS,
  parkedId,
  queueLedgerId,
  SEARCH_ATTRIBUTES,
  type SearchAttribute,
} from '../domain/names.ts';
import { NOTHING_REMEMBERED, type QueueMemory } from '../domain/queue/memory.ts';
import type { Remembered } from '../domain/queue/intended.ts';
import type { ParkedRun } from '../domain/queue/parked.ts';
import type { ParkedInput, ParkSignal, QueueActivities, SettleSignal } from './contract.ts';
import { describeExecution } from './describe-execution.ts';
import { recallCutOff } from './recall-cut-off.ts';

const SCOPE_KEY = defineSearchAttributeKey(SEARCH_ATTRIBUTES.scope, 'KEYWORD');

// What Temporal remembers of a queue: the ledger's memo, and the workflow that knows the parked runs.

export function createQueueMemoryActivities(
  searchAttributes: readonly SearchAttribute[],
): Pick<QueueActivities, 'recallQueue' | 'rememberParked' | 'settleParked'> {
  return {
    recallQueue: ({ scope }) => recallAll(Context.current().client, scope),

    async rememberParked({ scope, runs, policy }) {
      const input: ParkedInput = { version: 1, scope, policy, parked: [], settled: [] };
      await Context.current().client.workflow.signalWithStart('parkedRuns', {
        workflowId: parkedId(scope),
        taskQueue: MAIN_QUEUE,
        staticSummary: `runs of ${scope} that made way for pull requests, to be re-run`,
        typedSearchAttributes: searchAttributes.includes('scope') ? [{ key: SCOPE_KEY, value: scope }] : [],
        args: [input],
        signal: PARKED_SIGNALS.park,
        signalArgs: [{ runs, by: activityInfo().workflowExecution?.workflowId ?? '' } satisfies ParkSignal],
      });
    },

    async settleParked({ scope, cancelled, settled }) {
      try {
        await Context.current()
          .client.workflow.getHandle(parkedId(scope))
          .signal(PARKED_SIGNALS.settle, { cancelled, settled } satisfies SettleSignal);
      } catch (error) {
        // It knows of no run any more.
        if (!(error instanceof WorkflowNotFoundError)) {
          throw error;
        }
      }
    },
  };
}

/** What the last pass has left, and which runs are parked. */
export async function recallAll(client: Client, scope: string): Promise<Remembered> {
  const memory = await recallQueueMemory(client, scope);
  return { memory, ...(await recallParked(client, scope, memory)) };
}

/** Of a keeper that a person ended the runs are read once more, to be parked anew. */
async function recallParked(client: Client, scope: string, memory: QueueMemory): Promise<Pick<Remembered, 'parked' | 'isCutOff' | 'lost'>> {
  const keeper = await describeExecution(client, parkedId(scope));
  if (keeper?.status.name === 'RUNNING') {
    return { parked: await client.workflow.getHandle(parkedId(scope)).query<readonly ParkedRun[]>(PARKED_QUERY) };
  }
  if (keeper === null) {
    return {
      parked: [],
      ...((memory.parked ?? []).length === 0 ? {} : { lost: `${parkedId(scope)} was ended, and Temporal has forgotten it` }),
    };
  }
  const cutOff = await recallCutOff<readonly ParkedRun[]>(client, keeper, PARKED_QUERY);
  switch (cutOff.kind) {
    case 'none':
      return { parked: [] };
    case 'held':
      return { parked: cutOff.state, ...(cutOff.state.length === 0 ? {} : { isCutOff: true }) };
    case 'lost':
      return { parked: [], lost: cutOff.why };
  }
}

/** Consistent, as visibility is not. */
export async function recallQueueMemory(client: Client, scope: string): Promise<QueueMemory> {
  const ledger = await describeExecution(client, queueLedgerId(scope));
  return (ledger?.memo?.['memory'] as QueueMemory | undefined) ?? NOTHING_REMEMBERED;
}
