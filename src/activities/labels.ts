import { isGrpcServiceError, type Client, type WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES, type SearchAttribute } from '../domain/names.ts';

/** What is listed, by labels: search attributes, or what stands in the memo in their place. */
export interface LabelledQuery {
  /** With conditions on search attributes, which must let through what does not have them: its labels may stand in the memo. */
  readonly withAttributes: string;
  /** The same without those conditions, for a namespace that lacks search attributes. */
  readonly withoutAttributes: string;
  /** Whether the labels are as wanted. */
  readonly matches: (info: WorkflowExecutionInfo) => boolean;
}

export interface ListSettings {
  readonly pageSize?: number;
  /** Told when the namespace lacks search attributes; what it throws ends the list. */
  readonly onMissing?: () => Promise<void>;
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
    for await (const info of client.workflow.list({ ...page, query: withAttributes })) {
      if (matches(info)) {
        yield info;
      }
    }
    return;
  } catch (error) {
    if (!isAboutAttributes(error)) {
      throw error;
    }
    await onMissing?.();
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

/** Condition of a query: https://docs.temporal.io/list-filter */
export function labelIs(name: SearchAttribute, value: string): string {
  const attribute = SEARCH_ATTRIBUTES[name];
  return `(${attribute} = ${quote(value)} OR ${attribute} IS NULL)`;
}

/** A value inside a query. */
export function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
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
