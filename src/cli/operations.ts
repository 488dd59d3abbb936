import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { plain } from '../domain/plain.ts';
import { labelIs, labelOf, listLabelled, quote, type LabelledQuery } from '../activities/labels.ts';
import { SEARCH_ATTRIBUTES, type Trigger } from '../domain/names.ts';
import { tellMissing } from './missing-attributes.ts';

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
  'fetchPackage',
];
export const PASS_TYPE = 'checkHealth';
export const QUEUE_TYPE = 'maintainQueue';
/** What carries out its plans; it tells what it does by its current details. */
export const QUEUE_ACTS_TYPE = 'carryOutQueuePlan';
export const QUEUE_FOLLOWING_TYPE = 'followRuns';
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

/** Executions of some types, as a list wants them. */
interface Wanted {
  readonly types: readonly string[];
  /** Outcomes that are left out. What runs, or was cut off, has none. */
  readonly but?: readonly string[];
  readonly status?: 'completed' | 'closed';
  /** What started them. */
  readonly trigger?: Trigger;
}

/** Operations from Temporal's visibility, newest first; it lags a little and is for display only. */
export function listOperations(client: Client, filter: OperationFilter): Promise<readonly OperationSummary[]> {
  const operations: Wanted = { types: OPERATION_TYPES };
  switch (filter.passes) {
    case 'none': {
      const acted: Wanted = { types: [QUEUE_TYPE], but: ['nothing-to-do', 'planned'] };
      return list(client, [operations, filter.runningOnly === true ? acted : { ...acted, status: 'closed' }], filter);
    }
    case 'all':
      return list(client, [operations, { types: [PASS_TYPE, QUEUE_TYPE] }], filter);
    case 'unhealthy':
      return list(
        client,
        [operations, { types: [PASS_TYPE], but: ['healthy', 'left-alone'] }, { types: [QUEUE_TYPE], but: ['nothing-to-do'] }],
        filter,
      );
  }
}

/** Health checks alone that ended by themselves, newest first; `trigger`: those that this started. */
export function listPasses(
  client: Client,
  { trigger, ...filter }: Pick<OperationFilter, 'scope' | 'limit'> & { readonly trigger?: Trigger },
): Promise<readonly OperationSummary[]> {
  return list(client, [{ types: [PASS_TYPE], status: 'completed', ...(trigger === undefined ? {} : { trigger }) }], filter);
}

/** Outcomes of a queue's care that did nothing to any run. */
const HARMLESS = ['nothing-to-do', 'planned', 'refused-in-progress'];

/** Care for queues, newest first; `acted`: without what has surely done nothing. */
export function listQueueCare(
  client: Client,
  { acted, ...filter }: Pick<OperationFilter, 'scope' | 'limit'> & { readonly acted: boolean },
): Promise<readonly OperationSummary[]> {
  return list(client, [{ types: [QUEUE_TYPE], ...(acted ? { but: HARMLESS } : {}) }], filter);
}

/** Temporal lists what ended last first: so many that ended earlier may have started later. */
const OVERTAKEN = 20;

async function list(
  client: Client,
  wanted: readonly Wanted[],
  filter: Omit<OperationFilter, 'passes'>,
): Promise<readonly OperationSummary[]> {
  const { limit } = filter;
  const found: OperationSummary[] = [];
  for await (const info of listLabelled(client, queryOf(wanted, filter), { onMissing: () => tellMissing(client) })) {
    found.push(summaryOf(info));
    if (found.length >= limit + OVERTAKEN) {
      break;
    }
  }
  return found.toSorted((a, b) => b.startedAt.localeCompare(a.startedAt)).slice(0, limit);
}

function queryOf(wanted: readonly Wanted[], { scope, runner, since, runningOnly = false }: Omit<OperationFilter, 'passes'>): LabelledQuery {
  const always = [
    ...(since === undefined ? [] : [`StartTime > ${quote(since.toISOString())}`]),
    ...(runningOnly ? [`ExecutionStatus = 'Running'`] : []),
  ];
  const labels = [...(scope === undefined ? [] : [labelIs('scope', scope)]), ...(runner === undefined ? [] : [labelIs('runner', runner)])];
  return {
    withAttributes: [anyOf(wanted.map((each) => conditionOf(each, true))), ...labels, ...always].join(' AND '),
    withoutAttributes: [anyOf(wanted.map((each) => conditionOf(each, false))), ...always].join(' AND '),
    matches: (info) =>
      wanted.some((each) => isWanted(each, info)) &&
      (scope === undefined || labelOf(info, 'scope') === scope) &&
      (runner === undefined || labelOf(info, 'runner') === runner),
  };
}

function anyOf(conditions: readonly string[]): string {
  return `(${conditions.join(' OR ')})`;
}

const STATUS = { completed: `ExecutionStatus = 'Completed'`, closed: `ExecutionStatus != 'Running'` } as const;

function conditionOf({ types, but, status, trigger }: Wanted, hasAttributes: boolean): string {
  const conditions = [`WorkflowType IN (${types.map(quote).join(', ')})`];
  if (but !== undefined && hasAttributes) {
    const others = but.map((outcome) => `${SEARCH_ATTRIBUTES.outcome} != ${quote(outcome)}`).join(' AND ');
    conditions.push(`((${others}) OR ${SEARCH_ATTRIBUTES.outcome} IS NULL OR ExecutionStatus != 'Completed')`);
  }
  if (trigger !== undefined && hasAttributes) {
    conditions.push(labelIs('trigger', trigger));
  }
  if (status !== undefined) {
    conditions.push(STATUS[status]);
  }
  return `(${conditions.join(' AND ')})`;
}

function isWanted({ types, but = [], trigger }: Wanted, info: WorkflowExecutionInfo): boolean {
  return (
    types.includes(info.type) &&
    !(info.status.name === 'COMPLETED' && but.includes(labelOf(info, 'outcome') ?? '')) &&
    (trigger === undefined || labelOf(info, 'trigger') === trigger)
  );
}

function summaryOf(info: WorkflowExecutionInfo): OperationSummary {
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    type: info.type,
    runner: labelOf(info, 'runner'),
    scope: labelOf(info, 'scope'),
    trigger: labelOf(info, 'trigger'),
    // Whoever starts a workflow may call himself anything.
    actor: typeof info.memo?.['actor'] === 'string' ? plain(info.memo['actor']) : null,
    outcome: labelOf(info, 'outcome') ?? info.status.name.toLowerCase(),
    isRunning: info.status.name === 'RUNNING',
    startedAt: info.startTime.toISOString(),
    durationMs: (info.closeTime ?? new Date()).getTime() - info.startTime.getTime(),
  };
}
