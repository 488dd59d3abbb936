// What the product uses of the SDK's client, on the virtual server.

import { ScheduleNotFoundError, WorkflowFailedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { SignalDefinition, QueryDefinition, SearchAttributePair, WorkflowResultType } from '@temporalio/common';
import { encodeUnifiedSearchAttributes } from '@temporalio/common/lib/converter/payload-search-attributes.js';
import type { Execution } from './execution.ts';
import { fromFields, payloads, toFields } from './payloads.ts';
import type { Schedules } from './schedules.ts';
import { attributesOf, type Server } from './server.ts';

interface Options {
  readonly workflowId: string;
  readonly args?: readonly unknown[];
  readonly memo?: Readonly<Record<string, unknown>>;
  readonly typedSearchAttributes?: SearchAttributePair[];
  readonly workflowRunTimeout?: number;
  readonly signal?: string | SignalDefinition;
  readonly signalArgs?: readonly unknown[];
}

type Named = string | { readonly name: string };

export function createClient(server: Server, schedules: Schedules): Client {
  const workflow = {
    getHandle: (workflowId: string, runId?: string) => handleOf(server, workflowId, runId),
    start: async (type: Named, options: Options) => {
      const { runId } = await server.call(() => startNew(server, type, options));
      return handleOf(server, options.workflowId, undefined, runId);
    },
    execute: async (type: Named, options: Options) => {
      const { runId } = await server.call(() => startNew(server, type, options));
      return handleOf(server, options.workflowId, runId).result();
    },
    signalWithStart: async (type: Named, options: Options) => {
      const { runId } = await server.call(() => {
        const execution = server.findOpen(options.workflowId) ?? startNew(server, type, options);
        server.signal(execution, nameOf(options.signal as Named), toPayloads(options.signalArgs));
        return execution;
      });
      return handleOf(server, options.workflowId, undefined, runId);
    },
    list: ({ query = '' }: { readonly query?: string } = {}) => listed(server, query),
  };
  const schedule = {
    getHandle: (scheduleId: string) => ({
      scheduleId,
      describe: () =>
        server.call(() => {
          const found = schedules.describe(scheduleId);
          if (found === null) {
            throw new ScheduleNotFoundError(`schedule not found: ${scheduleId}`, scheduleId);
          }
          return found;
        }),
    }),
  };
  return { workflow, schedule } as unknown as Client;
}

function handleOf(server: Server, workflowId: string, runId?: string, startedRunId?: string) {
  const found = (isOpen: boolean): Execution => {
    const execution = isOpen ? server.findOpen(workflowId, runId) : server.find(workflowId, runId);
    if (execution === null) {
      throw new WorkflowNotFoundError(`workflow not found for ID: ${workflowId}`, workflowId, runId);
    }
    return execution;
  };
  return {
    workflowId,
    ...(startedRunId === undefined ? {} : { firstExecutionRunId: startedRunId }),
    describe: () => server.call(() => descriptionOf(found(false))),
    signal: (name: Named, ...args: readonly unknown[]) => server.call(() => server.signal(found(true), nameOf(name), toPayloads(args))),
    query: (name: string | QueryDefinition<unknown>, ...args: readonly unknown[]) =>
      server.call(() => server.query(found(false), nameOf(name), args)),
    terminate: (_reason?: string) => server.call(() => server.terminate(found(true))),
    cancel: () => server.call(() => server.cancel(found(true))),
    result: async (): Promise<WorkflowResultType<never>> => {
      const outcome = await server.call(async () => server.outcome(await server.ended(found(false))));
      if (outcome?.status !== 'COMPLETED') {
        throw new WorkflowFailedError('Workflow execution failed', outcome?.error, undefined as never);
      }
      return outcome.result as never;
    },
  };
}

function startNew(server: Server, type: Named, { workflowId, args, memo, typedSearchAttributes, workflowRunTimeout }: Options): Execution {
  return server.start({
    type: nameOf(type),
    workflowId,
    args: toPayloads(args),
    memo: toFields(memo ?? {}),
    searchAttributes: encodeUnifiedSearchAttributes(undefined, typedSearchAttributes ?? []),
    runTimeoutMs: workflowRunTimeout ?? null,
  });
}

function nameOf(named: Named): string {
  return typeof named === 'string' ? named : named.name;
}

function toPayloads(values: readonly unknown[] = []) {
  return values.map((value) => payloads.toPayload(value));
}

function descriptionOf(execution: Execution) {
  const { type, workflowId, runId, settings, closedAt, historyLength, closed } = execution;
  const { parent, startedAt } = settings;
  return {
    type,
    workflowId,
    runId,
    status: { name: closed?.status ?? 'RUNNING', code: 0 },
    historyLength,
    startTime: new Date(startedAt),
    ...(closedAt === null ? {} : { closeTime: new Date(closedAt) }),
    memo: fromFields(execution.memo),
    typedSearchAttributes: attributesOf(execution),
    /** Made for those alone who ask for it. */
    get raw() {
      return {
        workflowExecutionInfo: { firstRunId: execution.settings.firstRunId },
        pendingActivities: [...execution.activities.values()].map(({ attempt, type: name }) => ({ attempt, activityType: { name } })),
        pendingChildren: [...execution.children.values()].map((child) => ({ workflowId: child.workflowId })),
      };
    },
    ...(parent === null ? {} : { parentExecution: { workflowId: parent.workflowId, runId: parent.runId } }),
  };
}

/** By type and whether it runs; conditions on labels are the caller's to check anew. https://docs.temporal.io/list-filter */
async function* listed(server: Server, query: string): AsyncGenerator<unknown> {
  const type = /WorkflowType = ["'](\w+)["']/.exec(query)?.[1] ?? null;
  const isRunning = /ExecutionStatus = ["']Running["']/.test(query);
  const id = /WorkflowId = ["']([^"']+)["']/.exec(query)?.[1] ?? null;
  const found = await server.call(() =>
    server.listed(type, { isRunning }).flatMap((execution) => {
      const { isOpen, memo, searchAttributes } = execution.listed as NonNullable<Execution['listed']>;
      if (id !== null && execution.workflowId !== id) {
        return [];
      }
      const status = { name: isOpen ? 'RUNNING' : (execution.closed?.status ?? 'RUNNING'), code: 0 };
      const labels = { memo: fromFields(memo), typedSearchAttributes: attributesOf({ searchAttributes }) };
      return [{ ...descriptionOf(execution), ...labels, status }];
    }),
  );
  yield* found;
}
