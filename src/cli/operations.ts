import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES, type Trigger } from '../domain/names.ts';

/** One past or running operation or health check, as lists show it. */
export interface OperationSummary {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly runner: string | null;
  readonly scope: string | null;
  readonly trigger: string | null;
  /** Who asked for it by the command; `null` if nobody did. */
  readonly actor: string | null;
  /** The operation's own word; Temporal's where it ended without one, or runs. */
  readonly outcome: string;
  readonly isRunning: boolean;
  readonly startedAt: string;
  readonly durationMs: number;
}

/** Workflow types that change a machine; locks and ledgers are no operations of their own. */
const OPERATION_TYPES: readonly string[] = [
  'recoverRunner',
  'syncClock',
  'drainRunner',
  'resumeRunner',
  'cleanActionsCache',
  'clearActionsCache',
  'healActionsCache',
  'makeRoom',
];
export const PASS_TYPE = 'checkHealth';
export const QUEUE_TYPE = 'maintainQueue';
/** What carries out its plans; it tells what it does by its current details. */
export const QUEUE_ACTS_TYPE = 'carryOutQueuePlan';
export const FINDING_TYPE = 'finding';

/** Types that `explain` can tell. */
export function isTellable(type: string): boolean {
  return OPERATION_TYPES.includes(type) || [PASS_TYPE, QUEUE_TYPE, FINDING_TYPE].includes(type);
}

export interface OperationFilter {
  readonly scope?: string | undefined;
  readonly runner?: string | undefined;
  readonly since?: Date | undefined;
  readonly runningOnly?: boolean;
  readonly limit: number;
  /**
   * Passes among them: none but those of queue care that did something, or were to; those of both kinds that left something to do or did
   * something; or all.
   */
  readonly passes: 'none' | 'unhealthy' | 'all';
}

/** Operations from Temporal's visibility, newest first; it lags a little and is for display only. */
export function listOperations(client: Client, filter: OperationFilter): Promise<readonly OperationSummary[]> {
  const types = OPERATION_TYPES.map(quote).join(', ');
  switch (filter.passes) {
    case 'none': {
      const status = filter.runningOnly === true ? '' : ` AND ExecutionStatus != 'Running'`;
      return list(client, `(WorkflowType IN (${types}) OR (${endedOtherThan(QUEUE_TYPE, ['nothing-to-do', 'planned'])}${status}))`, filter);
    }
    case 'all':
      return list(client, `WorkflowType IN (${types}, ${quote(PASS_TYPE)}, ${quote(QUEUE_TYPE)})`, filter);
    case 'unhealthy': {
      const conditions = [
        `WorkflowType IN (${types})`,
        endedOtherThan(PASS_TYPE, ['healthy', 'left-alone']),
        endedOtherThan(QUEUE_TYPE, ['nothing-to-do']),
      ];
      return list(client, `(${conditions.join(' OR ')})`, filter);
    }
  }
}

/** A pass that runs, or was cut off, has no outcome. */
function endedOtherThan(type: string, outcomes: readonly string[]): string {
  const others = outcomes.map((outcome) => `${SEARCH_ATTRIBUTES.outcome} != ${quote(outcome)}`).join(' AND ');
  return `(WorkflowType = ${quote(type)} AND ((${others}) OR ExecutionStatus != 'Completed'))`;
}

/** Health checks alone that ended by themselves, newest first; `trigger`: those that this started. */
export function listPasses(
  client: Client,
  { trigger, ...filter }: Pick<OperationFilter, 'scope' | 'limit'> & { readonly trigger?: Trigger },
): Promise<readonly OperationSummary[]> {
  const started = trigger === undefined ? '' : ` AND ${SEARCH_ATTRIBUTES.trigger} = ${quote(trigger)}`;
  return list(client, `WorkflowType = ${quote(PASS_TYPE)} AND ExecutionStatus = 'Completed'${started}`, filter);
}

/** Outcomes of a queue's care that did nothing to any run. */
const HARMLESS = ['nothing-to-do', 'planned', 'refused-in-progress'];

/** Care for queues, newest first; `acted`: without what has surely done nothing. */
export function listQueueCare(
  client: Client,
  { acted, ...filter }: Pick<OperationFilter, 'scope' | 'limit'> & { readonly acted: boolean },
): Promise<readonly OperationSummary[]> {
  return list(client, acted ? endedOtherThan(QUEUE_TYPE, HARMLESS) : `WorkflowType = ${quote(QUEUE_TYPE)}`, filter);
}

/** Temporal lists what ended last first: so many that ended earlier may have started later. */
const OVERTAKEN = 20;

async function list(
  client: Client,
  condition: string,
  { scope, runner, since, runningOnly = false, limit }: Omit<OperationFilter, 'passes'>,
): Promise<readonly OperationSummary[]> {
  const conditions = [condition];
  if (scope !== undefined) {
    conditions.push(`${SEARCH_ATTRIBUTES.scope} = ${quote(scope)}`);
  }
  if (runner !== undefined) {
    conditions.push(`${SEARCH_ATTRIBUTES.runner} = ${quote(runner)}`);
  }
  if (since !== undefined) {
    conditions.push(`StartTime > ${quote(since.toISOString())}`);
  }
  if (runningOnly) {
    conditions.push(`ExecutionStatus = 'Running'`);
  }
  const found: OperationSummary[] = [];
  for await (const info of client.workflow.list({ query: conditions.join(' AND ') })) {
    found.push(summaryOf(info));
    if (found.length >= limit + OVERTAKEN) {
      break;
    }
  }
  return found.toSorted((a, b) => b.startedAt.localeCompare(a.startedAt)).slice(0, limit);
}

function summaryOf(info: WorkflowExecutionInfo): OperationSummary {
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    type: info.type,
    runner: attributeOf(info, SEARCH_ATTRIBUTES.runner),
    scope: attributeOf(info, SEARCH_ATTRIBUTES.scope),
    trigger: attributeOf(info, SEARCH_ATTRIBUTES.trigger),
    actor: typeof info.memo?.['actor'] === 'string' ? info.memo['actor'] : null,
    outcome: attributeOf(info, SEARCH_ATTRIBUTES.outcome) ?? info.status.name.toLowerCase(),
    isRunning: info.status.name === 'RUNNING',
    startedAt: info.startTime.toISOString(),
    durationMs: (info.closeTime ?? new Date()).getTime() - info.startTime.getTime(),
  };
}

/** A search attribute of Runward's; `null` where it is not set. */
export function attributeOf(info: Pick<WorkflowExecutionInfo, 'typedSearchAttributes'>, name: string): string | null {
  const pair = info.typedSearchAttributes.getAll().find(({ key }) => key.name === name);
  return typeof pair?.value === 'string' ? pair.value : null;
}

/** A value inside a visibility query: https://docs.temporal.io/list-filter */
export function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
