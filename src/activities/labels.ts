import { isGrpcServiceError, type Client, type WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES, type SearchAttribute } from '../domain/names.ts';

/** What is listed, by labels: search attributes, or what stands in the memo in their place. */
export interface LabelledQuery {
  readonly withAttributes: string;
  /** The same without conditions on search attributes of Runward. */
  readonly withoutAttributes: string;
  /** Those conditions. */
  readonly matches: (info: WorkflowExecutionInfo) => boolean;
}

export interface ListSettings {
  readonly pageSize?: number;
  /** Told when the namespace lacks search attributes; what it throws ends the list. */
  readonly onMissing?: (error: unknown) => Promise<void>;
}

/** Where labels are compared here, older executions than so many are not looked at. */
const COMPARED = 10_000;

/** By Temporal's visibility, newest first; it lags a little. Where search attributes are missing, labels are compared here. */
export async function* listLabelled(
  client: Client,
  { withAttributes, withoutAttributes, matches }: LabelledQuery,
  { pageSize, onMissing }: ListSettings = {},
): AsyncGenerator<WorkflowExecutionInfo> {
  const page = pageSize === undefined ? {} : { pageSize };
  try {
    yield* client.workflow.list({ ...page, query: withAttributes });
    return;
  } catch (error) {
    if (!isAboutAttributes(error)) {
      throw error;
    }
    await onMissing?.(error);
  }
  let compared = 0;
  for await (const info of client.workflow.list({ ...page, query: withoutAttributes })) {
    if (matches(info)) {
      yield info;
    }
    compared += 1;
    if (compared >= COMPARED) {
      return;
    }
  }
}

/** `null` where the execution has no such label. */
export function labelOf(
  { typedSearchAttributes, memo }: Pick<WorkflowExecutionInfo, 'typedSearchAttributes' | 'memo'>,
  name: SearchAttribute,
): string | null {
  const attribute = SEARCH_ATTRIBUTES[name];
  const value: unknown = typedSearchAttributes.getAll().find(({ key }) => key.name === attribute)?.value ?? memo?.[attribute];
  return typeof value === 'string' ? value : null;
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const INVALID_ARGUMENT = 3;

function isAboutAttributes(error: unknown): boolean {
  if (isGrpcServiceError(error)) {
    return error.code === INVALID_ARGUMENT && error.details.includes('Runward');
  }
  return error instanceof Error && isAboutAttributes(error.cause);
}
