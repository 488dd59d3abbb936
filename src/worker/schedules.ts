import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  WorkflowNotFoundError,
  type Client,
  type ScheduleDescription,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import { defineSearchAttributeKey, type Workflow } from '@temporalio/common';
import { describeExecution } from '../activities/describe-execution.ts';
import { listOpenFindings, NOT_CONFIGURED } from '../activities/findings.ts';
import { isSameName } from '../domain/choose-runner.ts';
import {
  findingId,
  healthScheduleId,
  MAIN_QUEUE,
  parkedId,
  queueScheduleId,
  SEARCH_ATTRIBUTES,
  type SearchAttribute,
} from '../domain/names.ts';
import { isRepository } from '../github/endpoints.ts';
import { readSearchAttributes } from './search-attributes.ts';

/** What a schedule of Runward sees to: the runners of a scope, or its queue of workflow runs. */
export type Care = 'health' | 'queue';

/** What a schedule does where schedules differ, by the scope that it is for. */
interface Kind {
  readonly isFor: (scope: string) => boolean;
  readonly idOf: (scope: string) => string;
  readonly workflowType: string;
  /** A pass that hangs blocks the next ones no longer than this. */
  readonly runTimeoutMs: number;
  readonly summaryOf: (scope: string) => string;
  /** How long after the scope's place within the interval it begins: another number moves the schedules that exist. In seconds. */
  readonly afterSeconds: number;
}

const KINDS: Readonly<Record<Care, Kind>> = {
  health: {
    isFor: () => true,
    idOf: healthScheduleId,
    workflowType: 'checkHealth',
    runTimeoutMs: 15 * 60_000,
    summaryOf: (scope) => `check the health of ${scope}`,
    afterSeconds: 0,
  },
  queue: {
    // An organisation has no list of runs.
    isFor: isRepository,
    idOf: queueScheduleId,
    workflowType: 'maintainQueue',
    // GitHub's limits may have to be waited out.
    runTimeoutMs: 6 * 3_600_000,
    summaryOf: (scope) => `maintain the queue of ${scope}`,
    // It plans by what the health check has just read, and so asks GitHub for less.
    afterSeconds: 45,
  },
};
const CARES = Object.keys(KINDS) as Care[];

/** Passes that nobody could start in time are worth nothing later; Temporal's default is a year. */
const CATCHUP_WINDOW_MS = 2 * 60_000;

/** Which schedule. */
export interface ScheduleName {
  readonly scope: string;
  readonly care: Care;
  readonly scheduleId: string;
}

/** A schedule as Temporal has it. */
export interface PassSchedule extends ScheduleName {
  readonly everyMs: number | null;
  readonly isPaused: boolean;
  /** Whoever paused or resumed it last may have said why. */
  readonly note: string | null;
  /** The newest pass that it started; `at` is ISO 8601. */
  readonly lastPass: { readonly at: string; readonly workflowId: string; readonly runId: string } | null;
  /** ISO 8601; `null` while it is paused. */
  readonly nextPassAt: string | null;
}

/** What was done about one schedule. */
export type ScheduleChange = ScheduleName &
  (
    | { readonly kind: 'created' | 'unchanged' }
    /** `changed` names what was different. */
    | { readonly kind: 'updated'; readonly changed: readonly string[] }
    /** The scope is not configured any more. `hasParked`: runs of it that made way for pull requests are left without anybody to re-run them. */
    | { readonly kind: 'removed'; readonly hasParked: boolean }
  );

export interface ScheduleSettings {
  readonly everyMs: number;
}

/** The schedules that a scope is to have. */
export function schedulesOf(scope: string): readonly ScheduleName[] {
  return CARES.filter((care) => KINDS[care].isFor(scope)).map((care) => nameOf(scope, care));
}

/**
 * Makes Runward's schedules what they should be for these scopes, writing only what differs; an operator's pause and note stay, and those of
 * scopes that nobody looks after are removed.
 * @param lookedAfter scopes of whatever works at this Temporal, beside `scopes`
 */
export async function applySchedules(
  client: Client,
  scopes: readonly string[],
  settings: ScheduleSettings,
  lookedAfter: readonly string[] = [],
): Promise<readonly ScheduleChange[]> {
  const kept = [...scopes, ...lookedAfter];
  const others = (await listSchedules(client)).filter(({ scope }) => !kept.some((each) => isSameName(each, scope)));
  const changes = await Promise.all([
    ...scopes.flatMap(schedulesOf).map(({ scope, care }) => applySchedule(client, scope, settings, care)),
    ...others.map((name) => removeSchedule(client, name)),
  ]);
  await Promise.all([...new Set(others.map(({ scope }) => scope))].map((scope) => endFindings(client, scope)));
  return changes;
}

/** The same for one schedule, leaving all others alone. */
export async function applySchedule(
  client: Client,
  scope: string,
  settings: ScheduleSettings,
  care: Care = 'health',
): Promise<ScheduleChange> {
  const name = nameOf(scope, care);
  const { there } = await readSearchAttributes(client.connection, client.options.namespace);
  const desired = desiredSchedule(name, settings, there);
  const description = await describeSchedule(client, name);
  if (description === null) {
    try {
      await client.schedule.create(desired);
      return { ...name, kind: 'created' };
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning) {
        // Somebody else made it a moment ago.
        return applySchedule(client, scope, settings, care);
      }
      throw error;
    }
  }
  const changed = differences(traitsOf(desired), traitsOf(description));
  if (changed.length === 0) {
    return { ...name, kind: 'unchanged' };
  }
  const { spec, policies = {}, action } = desired;
  await client.schedule.getHandle(desired.scheduleId).update(({ state }) => ({ spec, policies, action, state }));
  return { ...name, kind: 'updated', changed };
}

async function removeSchedule(client: Client, name: ScheduleName): Promise<ScheduleChange> {
  await deleteSchedule(client, name.scope, name.care);
  const parked = name.care === 'queue' ? await describeExecution(client, parkedId(name.scope)) : null;
  return { ...name, kind: 'removed', hasParked: parked?.status.name === 'RUNNING' };
}

/** No pass will ever say that they are over. */
async function endFindings(client: Client, scope: string): Promise<void> {
  for (const { subject, code } of await listOpenFindings(client, scope)) {
    // It may have ended meanwhile.
    await client.workflow
      .getHandle(findingId(subject, code))
      .terminate(`${scope} ${NOT_CONFIGURED}`)
      .catch((error: unknown) => {
        if (!(error instanceof WorkflowNotFoundError)) {
          throw error;
        }
      });
  }
}

/** Runward's schedules, by scope. The list lags by a second or so behind what was just made or deleted. */
export async function listSchedules(client: Client): Promise<readonly ScheduleName[]> {
  const names: ScheduleName[] = [];
  for await (const { scheduleId, action } of client.schedule.list()) {
    const care = CARES.find((each) => scheduleId.startsWith(KINDS[each].idOf('')) && action?.workflowType === KINDS[each].workflowType);
    if (care !== undefined) {
      names.push(nameOf(scheduleId.slice(KINDS[care].idOf('').length), care));
    }
  }
  return names.toSorted((a, b) => a.scope.localeCompare(b.scope) || a.care.localeCompare(b.care));
}

/** `null` where the scope has no such schedule. */
export async function readSchedule(client: Client, scope: string, care: Care = 'health'): Promise<PassSchedule | null> {
  const name = nameOf(scope, care);
  const description = await describeSchedule(client, name);
  return description === null ? null : pictureOf(name, description);
}

/** Whether there was one. */
export async function deleteSchedule(client: Client, scope: string, care: Care = 'health'): Promise<boolean> {
  try {
    await client.schedule.getHandle(nameOf(scope, care).scheduleId).delete();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) {
      return false;
    }
    throw error;
  }
}

function nameOf(scope: string, care: Care): ScheduleName {
  return { scope, care, scheduleId: KINDS[care].idOf(scope) };
}

type DesiredSchedule = ScheduleOptions<ScheduleOptionsStartWorkflowAction<Workflow>>;

/** The schedule of a scope, as data. */
function desiredSchedule(
  { scope, care, scheduleId }: ScheduleName,
  { everyMs }: ScheduleSettings,
  there: readonly SearchAttribute[],
): DesiredSchedule {
  const { workflowType, runTimeoutMs, summaryOf, afterSeconds } = KINDS[care];
  return {
    scheduleId,
    spec: { intervals: [{ every: everyMs, offset: offsetOf(scope, afterSeconds, everyMs) }] },
    policies: { overlap: 'SKIP', catchupWindow: CATCHUP_WINDOW_MS, pauseOnFailure: false },
    action: {
      type: 'startWorkflow',
      workflowType,
      // Temporal puts the time behind it.
      workflowId: scheduleId,
      taskQueue: MAIN_QUEUE,
      args: [{ scope }],
      workflowRunTimeout: runTimeoutMs,
      // A pass that is started without them labels itself.
      typedSearchAttributes: Object.entries({ scope, trigger: 'schedule' } as const)
        .filter(([name]) => there.includes(name as SearchAttribute))
        .map(([name, value]) => ({ key: defineSearchAttributeKey(SEARCH_ATTRIBUTES[name as SearchAttribute], 'KEYWORD'), value })),
      staticSummary: summaryOf(scope),
    },
  };
}

/** Spreads scopes over the interval, in whole seconds, each always at the same place. */
function offsetOf(scope: string, afterSeconds: number, everyMs: number): number {
  return ((createHash('sha256').update(scope).digest().readUInt32BE() + afterSeconds) % Math.floor(everyMs / 1_000)) * 1_000;
}

async function describeSchedule(client: Client, { scheduleId }: ScheduleName): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(scheduleId).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) {
      return null;
    }
    throw error;
  }
}

/** All that Runward decides about a schedule, in the same form for what is wanted and for what Temporal has. */
function traitsOf({ spec, policies, action }: Pick<DesiredSchedule | ScheduleDescription, 'spec' | 'policies' | 'action'>) {
  const { typedSearchAttributes: attributes = [] } = action;
  const pairs = Array.isArray(attributes) ? attributes : attributes.getAll();
  return {
    times: {
      intervals: spec.intervals ?? [],
      calendars: spec.calendars ?? [],
      skip: spec.skip ?? [],
      jitter: spec.jitter ?? 0,
      startAt: spec.startAt ?? null,
      endAt: spec.endAt ?? null,
    },
    policies: {
      overlap: policies?.overlap ?? null,
      catchupWindow: policies?.catchupWindow ?? null,
      pauseOnFailure: policies?.pauseOnFailure ?? false,
    },
    workflow: {
      type: action.workflowType,
      id: action.workflowId ?? null,
      taskQueue: action.taskQueue,
      args: action.args ?? [],
    },
    timeouts: { run: action.workflowRunTimeout ?? 0, execution: action.workflowExecutionTimeout ?? 0 },
    labels: {
      attributes: Object.fromEntries(pairs.map(({ key, value }) => [key.name, value])),
      summary: action.staticSummary ?? null,
    },
  };
}

function differences(wanted: ReturnType<typeof traitsOf>, found: ReturnType<typeof traitsOf>): readonly string[] {
  return (Object.keys(wanted) as (keyof typeof wanted)[]).filter((trait) => !isDeepStrictEqual(wanted[trait], found[trait]));
}

function pictureOf(name: ScheduleName, { spec, state, info }: ScheduleDescription): PassSchedule {
  const last = info.recentActions.toSorted((a, b) => a.takenAt.getTime() - b.takenAt.getTime()).at(-1);
  const [next] = info.nextActionTimes;
  return {
    ...name,
    everyMs: spec.intervals?.[0]?.every ?? null,
    isPaused: state.paused,
    note: state.note ?? null,
    lastPass:
      last === undefined
        ? null
        : {
            at: last.takenAt.toISOString(),
            workflowId: last.action.workflow.workflowId,
            runId: last.action.workflow.firstExecutionRunId,
          },
    nextPassAt: state.paused || next === undefined ? null : next.toISOString(),
  };
}
