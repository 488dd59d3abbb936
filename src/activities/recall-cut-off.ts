import { WorkflowFailedError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import { TerminatedFailure } from '@temporalio/common';

/** What an execution held that somebody ended before its time. `none`: it goes on, or came to its own end, or there is none. */
export type CutOff<State> =
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; readonly state: State }
  /** It can't be asked any more. */
  | { readonly kind: 'lost'; readonly why: string };

/** Endings that are nobody's accident. */
const OWN_ENDS: ReadonlySet<string> = new Set(['RUNNING', 'COMPLETED', 'CONTINUED_AS_NEW']);

/** Whether somebody ended it before its time. */
export function isCutOff({ status }: Pick<WorkflowExecutionDescription, 'status'>): boolean {
  return !OWN_ENDS.has(status.name);
}

/** Asks a closed execution what it held: Temporal answers queries of it for as long as it keeps its history. */
export async function recallCutOff<State>(
  client: Client,
  execution: WorkflowExecutionDescription | null,
  query: string,
): Promise<CutOff<State>> {
  if (execution === null || !isCutOff(execution)) {
    return { kind: 'none' };
  }
  const handle = client.workflow.getHandle(execution.workflowId, execution.runId);
  try {
    return { kind: 'held', state: await handle.query<State>(query) };
  } catch (error) {
    return {
      kind: 'lost',
      why: `${execution.workflowId} was ended and does not answer: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** The reason that was given for the termination of an execution; `null` if it was not terminated. */
export async function terminationReason(client: Client, { workflowId, runId }: WorkflowExecutionDescription): Promise<string | null> {
  try {
    await client.workflow.getHandle(workflowId, runId).result();
    return null;
  } catch (error) {
    if (error instanceof WorkflowFailedError) {
      return error.cause instanceof TerminatedFailure ? error.cause.message : null;
    }
    throw error;
  }
}
