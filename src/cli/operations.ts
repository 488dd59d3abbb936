import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../domain/names.ts';

/** One past or running operation, as lists show it. */
export interface OperationSummary {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly runner: string | null;
  readonly scope: string | null;
  readonly trigger: string | null;
  /** The operation's own word; Temporal's where it ended without one. */
  readonly outcome: string;
  readonly startedAt: string;
  readonly durationMs: number;
}

/** Workflow types that are operations; locks and ledgers are not. */
const OPERATION_TYPES: readonly string[] = ['recoverRunner', 'drainRunner', 'resumeRunner'];

export function isOperation(type: string): boolean {
  return OPERATION_TYPES.includes(type);
}

export interface OperationFilter {
  readonly scope?: string | undefined;
  readonly runner?: string | undefined;
  readonly since?: Date | undefined;
  readonly limit: number;
}

/** Operations from Temporal's visibility, newest first; it lags a little and is for display only. */
export async function listOperations(
  client: Client,
  { scope, runner, since, limit }: OperationFilter,
): Promise<readonly OperationSummary[]> {
  const conditions = [`WorkflowType IN (${OPERATION_TYPES.map(quote).join(', ')})`];
  if (scope !== undefined) {
    conditions.push(`${SEARCH_ATTRIBUTES.scope} = ${quote(scope)}`);
  }
  if (runner !== undefined) {
    conditions.push(`${SEARCH_ATTRIBUTES.runner} = ${quote(runner)}`);
  }
  if (since !== undefined) {
    conditions.push(`StartTime > ${quote(since.toISOString())}`);
  }
  const found: OperationSummary[] = [];
  for await (const info of client.workflow.list({ query: conditions.join(' AND ') })) {
    found.push(summaryOf(info));
    if (found.length >= limit) {
      break;
    }
  }
  return found.toSorted((a, b) => b.startedAt.localeCompare(a.startedAt));
}

function summaryOf(info: WorkflowExecutionInfo): OperationSummary {
  const attribute = (name: string): string | null => {
    const pair = info.typedSearchAttributes.getAll().find(({ key }) => key.name === name);
    return typeof pair?.value === 'string' ? pair.value : null;
  };
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    type: info.type,
    runner: attribute(SEARCH_ATTRIBUTES.runner),
    scope: attribute(SEARCH_ATTRIBUTES.scope),
    trigger: attribute(SEARCH_ATTRIBUTES.trigger),
    outcome: attribute(SEARCH_ATTRIBUTES.outcome) ?? info.status.name.toLowerCase(),
    startedAt: info.startTime.toISOString(),
    durationMs: (info.closeTime ?? new Date()).getTime() - info.startTime.getTime(),
  };
}

/** A value inside a visibility query: https://docs.temporal.io/list-filter */
function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
