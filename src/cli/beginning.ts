import type { Client } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';

/** How an execution came about, by the first event of its history. */
export interface Beginning {
  /** Who asked Temporal for it, in the words of that client; a schedule's is the server's own. */
  readonly identity: string;
  readonly input: readonly unknown[];
}

/** `null` where the history is gone. */
export async function readBeginning(
  client: Client,
  execution: { readonly workflowId: string; readonly runId: string },
): Promise<Beginning | null> {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution,
    maximumPageSize: 1,
  });
  const started = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
  return started == null ? null : { identity: started.identity ?? '', input: (started.input?.payloads ?? []).map(valueOf) };
}

/** What a payload of a history holds. */
export function valueOf(payload: Payload): unknown {
  return defaultPayloadConverter.fromPayload(payload);
}
