import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type Client,
  type ScheduleDescription,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import { defineSearchAttributeKey, type Workflow } from '@temporalio/common';
import { listOpenFindings } from '../activities/findings.ts';
import { findingId, healthScheduleId, MAIN_QUEUE, SEARCH_ATTRIBUTES } from '../domain/names.ts';

const PASS_TYPE = 'checkHealth';
const SCHEDULE_PREFIX = healthScheduleId('');
/** Passes that nobody could start in time are worth nothing later; Temporal's default is a year. */
const CATCHUP_WINDOW_MS = 2 * 60_000;
/** A pass that hangs blocks the next ones no longer than this. */
const PASS_TIMEOUT_MS = 15 * 60_000;

const SCOPE_KEY = defineSearchAttributeKey(SEARCH_ATTRIBUTES.scope, 'KEYWORD');
const TRIGGER_KEY = defineSearchAttributeKey(SEARCH_ATTRIBUTES.trigger, 'KEYWORD');

/** A scope's schedule as Temporal has it. */
export interface PassSchedule {
  readonly scope: string;
  readonly scheduleId: string;
  readonly everyMs: number | null;
  readonly isPaused: boolean;
  /** Whoever paused or resumed it last may have said why. */
  readonly note: string | null;
  /** The newest pass that it started; `at` is ISO 8601. */
  readonly lastPass: { readonly at: string; readonly workflowId: string; readonly runId: string } | null;
  /** ISO 8601; `null` while it is paused. */
  readonly nextPassAt: string | null;
}

/** What was done about one scope's schedule. */
export type ScheduleChange =
  | { readonly kind: 'created' | 'unchanged'; readonly scope: string }
  /** `changed` names what was different. */
  | { readonly kind: 'updated'; readonly scope: string; readonly changed: readonly string[] }
  /** The scope is not configured any more. */
  | { readonly kind: 'removed'; readonly scope: string };

export interface ScheduleSettings {
  readonly everyMs: number;
}

/**
 * Makes Runward's schedules what they should be for exactly these scopes, writing only what differs; an operator's pause and note stay,
 * and those of other scopes are removed.
 */
export async function applySchedules(
  client: Client,
  scopes: readonly string[],
  settings: ScheduleSettings,
): Promise<readonly ScheduleChange[]> {
  const others = (await listScheduledScopes(client)).filter((scope) => !scopes.includes(scope));
  return Promise.all([
    ...scopes.map((scope) => applySchedule(client, scope, settings)),
    ...others.map((scope) => removeSchedule(client, scope)),
  ]);
}

/** The same for one scope, leaving all others alone. */
export async function applySchedule(client: Client, scope: string, settings: ScheduleSettings): Promise<ScheduleChange> {
  const desired = desiredSchedule(scope, settings);
  const description = await describeSchedule(client, scope);
  if (description === null) {
    try {
      await client.schedule.create(desired);
      return { kind: 'created', scope };
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning) {
        // Somebody else made it a moment ago.
        return applySchedule(client, scope, settings);
      }
      throw error;
    }
  }
  const changed = differences(traitsOf(desired), traitsOf(description));
  if (changed.length === 0) {
    return { kind: 'unchanged', scope };
  }
  const { spec, policies = {}, action } = desired;
  await client.schedule.getHandle(desired.scheduleId).update(({ state }) => ({ spec, policies, action, state }));
  return { kind: 'updated', scope, changed };
}

async function removeSchedule(client: Client, scope: string): Promise<ScheduleChange> {
  await deleteSchedule(client, scope);
  // No pass will ever say that they are over.
  for (const { subject, code } of await listOpenFindings(client, scope)) {
    await client.workflow.getHandle(findingId(subject, code)).terminate(`${scope} is not configured any more`);
  }
  return { kind: 'removed', scope };
}

/** Scopes that have a schedule. The list lags by a second or so behind what was just made or deleted. */
export async function listScheduledScopes(client: Client): Promise<readonly string[]> {
  const scopes: string[] = [];
  for await (const summary of client.schedule.list()) {
    if (summary.scheduleId.startsWith(SCHEDULE_PREFIX) && summary.action?.workflowType === PASS_TYPE) {
      scopes.push(summary.scheduleId.slice(SCHEDULE_PREFIX.length));
    }
  }
  return scopes.toSorted();
}

/** `null` where the scope has no schedule. */
export async function readSchedule(client: Client, scope: string): Promise<PassSchedule | null> {
  const description = await describeSchedule(client, scope);
  return description === null ? null : pictureOf(scope, description);
}

/** Whether there was one. */
export async function deleteSchedule(client: Client, scope: string): Promise<boolean> {
  try {
    await client.schedule.getHandle(healthScheduleId(scope)).delete();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) {
      return false;
    }
    throw error;
  }
}

type DesiredSchedule = ScheduleOptions<ScheduleOptionsStartWorkflowAction<Workflow>>;

/** The schedule of a scope, as data. */
function desiredSchedule(scope: string, { everyMs }: ScheduleSettings): DesiredSchedule {
  const id = healthScheduleId(scope);
  return {
    scheduleId: id,
    spec: { intervals: [{ every: everyMs, offset: offsetOf(scope, everyMs) }] },
    policies: { overlap: 'SKIP', catchupWindow: CATCHUP_WINDOW_MS, pauseOnFailure: false },
    action: {
      type: 'startWorkflow',
      workflowType: PASS_TYPE,
      // Temporal puts the time behind it.
      workflowId: id,
      taskQueue: MAIN_QUEUE,
      args: [{ scope }],
      workflowRunTimeout: PASS_TIMEOUT_MS,
      typedSearchAttributes: [
        { key: SCOPE_KEY, value: scope },
        { key: TRIGGER_KEY, value: 'schedule' },
      ],
      staticSummary: `check the health of ${scope}`,
    },
  };
}

/** Spreads scopes over the interval, in whole seconds, always the same for the same scope. */
function offsetOf(scope: string, everyMs: number): number {
  return (createHash('sha256').update(scope).digest().readUInt32BE() % Math.floor(everyMs / 1_000)) * 1_000;
}

async function describeSchedule(client: Client, scope: string): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(healthScheduleId(scope)).describe();
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

function pictureOf(scope: string, { scheduleId: id, spec, state, info }: ScheduleDescription): PassSchedule {
  const last = info.recentActions.toSorted((a, b) => a.takenAt.getTime() - b.takenAt.getTime()).at(-1);
  const [next] = info.nextActionTimes;
  return {
    scope,
    scheduleId: id,
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
