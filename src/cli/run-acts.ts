import type { WorkflowHandle } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import type { BatchCancelled, BatchRerun, FollowedBatch, ParkedInput, ParkSignal, SettleSignal } from '../activities/contract.ts';
import { PARKED_SIGNALS } from '../domain/names.ts';
import {
  againOrNoted,
  outcomeOfAttempt,
  outcomeOfFollowing,
  type CancelAttempt,
  type FollowedEnd,
  type FollowedRun,
  type Outcome,
} from '../domain/queue/attempt.ts';
import { park, settle, type ParkedRun, type SettledRun } from '../domain/queue/parked.ts';
import type { QueuePolicy, RuleName } from '../domain/queue/policy.ts';
import type { ActEnd, ToldAct } from '../domain/queue/report.ts';
import type { WorkItem } from '../domain/queue/work.ts';
import { valueOf } from './beginning.ts';

// What histories hold of one run of GitHub's: pure, from events to acts.

export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];

/** One act on a run. */
export interface RunAct {
  /** ISO 8601; of the answer that it had. */
  readonly at: string;
  readonly attempt: number;
  readonly rule: RuleName;
  readonly does: 'cancel' | 'park' | 're-run';
  readonly evidence: string;
  /** `unknown`: it began, and its end is not known. */
  readonly end: ActEnd | 'unknown';
  readonly detail: string;
}

/** What was told of it by the report of the operation, whose time is all that is known then. */
export function actOfReport({ attempt, rule, evidence, end, detail }: ToldAct, at: string): RunAct {
  return { at, attempt, rule, does: verbOf(end, evidence), evidence, end, detail };
}

function verbOf(end: ActEnd, evidence: string): RunAct['does'] {
  if (evidence.startsWith('parked before: ')) {
    return 're-run';
  }
  return end === 'parked' || end === 'would-park' ? 'park' : 'cancel';
}

/** What the batches of one operation, oldest first, have done to the run; each attempt of it once. */
export function actsOn(run: number, batches: readonly Batch[]): readonly RunAct[] {
  const acts = new Map<number, Folded>();
  for (const { activity, input, result, at } of batches) {
    switch (activity) {
      case 'cancelBatch':
        takeCancelled(acts, run, { input: input as CancelInput, result: result as BatchCancelled | null, at });
        break;
      case 'followBatch':
        takeFollowed(acts, run, input as FollowInput, result as FollowedBatch | null);
        break;
      case 'rerunBatch':
        takeRerun(acts, run, input as RerunInput, result as BatchRerun | null);
        break;
    }
  }
  return [...acts.values()].map(({ act }) => act);
}

interface CancelInput {
  readonly items: readonly WorkItem[];
  readonly policy: QueuePolicy;
}

interface FollowInput {
  readonly runs: readonly FollowedRun[];
}

interface RerunInput {
  readonly runs: readonly ParkedRun[];
}

/** An act, and what its later steps must know. */
interface Folded {
  readonly act: RunAct;
  readonly item: WorkItem | null;
  /** Times that a run may be tried. */
  readonly mostTries: number;
}

function takeCancelled(
  acts: Map<number, Folded>,
  run: number,
  { input, result, at }: { readonly input: CancelInput; readonly result: BatchCancelled | null; readonly at: string },
): void {
  const mostTries = input.policy.tries;
  if (result === null) {
    const item = input.items.find((each) => each.run === run);
    if (item !== undefined) {
      const { rule, does, attempt } = item;
      acts.set(attempt, { item, mostTries, act: { at, attempt, rule, does, evidence: '', end: 'unknown', detail: CUT_OFF } });
    }
    return;
  }
  for (const cancelled of result.attempts.filter(({ item }) => item.run === run)) {
    acts.set(cancelled.item.attempt, { item: cancelled.item, mostTries, act: actOfAttempt(cancelled, mostTries, at) });
  }
}

function actOfAttempt(cancelled: CancelAttempt, mostTries: number, at: string): RunAct {
  const { item, evidence } = cancelled;
  const { attempt, rule, does } = item;
  return { at: timeOf(cancelled) ?? at, attempt, rule, does, evidence, ...endOfAttempt(cancelled, mostTries) };
}

/** What a batch that is at work has done to the run, by its heartbeat; `null` where it has not come so far. */
export function actInHeartbeat(run: number, heartbeat: Payload, at: string): RunAct | null {
  const { attempts = [] } = (valueOf(heartbeat) ?? {}) as Partial<BatchCancelled>;
  const found = attempts.findLast(({ item }) => item.run === run);
  return found === undefined ? null : actOfAttempt(found, Infinity, at);
}

const CUT_OFF = 'its batch has not said what came of it';

function timeOf({ result }: CancelAttempt): string | null {
  return result.kind === 'accepted' ? new Date(result.at).toISOString() : null;
}

function endOfAttempt(attempt: CancelAttempt, mostTries: number): Pick<RunAct, 'end' | 'detail'> {
  const { item, result } = attempt;
  const isAnswered = result.kind === 'accepted' && result.isSure;
  const accepted = { end: 'accepted', detail: isAnswered ? 'GitHub has accepted it' : "GitHub's answer was lost" } as const;
  return endOf(outcomeOfAttempt(attempt), item, mostTries) ?? accepted;
}

/** As the operation's own tally takes it; `null` while it is followed. */
function endOf(outcome: Outcome, item: WorkItem, mostTries: number): Pick<RunAct, 'end' | 'detail'> | null {
  switch (outcome.kind) {
    case 'noted':
      return { end: item.does === 'park' && outcome.end === 'cancelled' ? 'parked' : outcome.end, detail: outcome.detail };
    case 'again': {
      const next = againOrNoted(item, outcome.why, mostTries);
      return { end: 'again', detail: 'end' in next ? next.detail : outcome.why };
    }
    case 'follow':
      return null;
  }
}

function takeFollowed(acts: Map<number, Folded>, run: number, { runs }: FollowInput, result: FollowedBatch | null): void {
  for (const [index, followed] of runs.entries()) {
    const folded = acts.get(followed.attempt);
    const end = result?.ends[index];
    if (followed.run === run && folded !== undefined && end !== undefined) {
      acts.set(followed.attempt, { ...folded, act: { ...folded.act, ...endOfFollowing(end, followed, folded) } });
    }
  }
}

function endOfFollowing(end: FollowedEnd, followed: FollowedRun, { item, mostTries }: Folded): Partial<RunAct> {
  if (end.kind === 'pending' && end.forcedAt !== null) {
    return { detail: `GitHub has accepted it; it was forced at ${new Date(end.forcedAt).toISOString()}` };
  }
  return item === null ? {} : (endOf(outcomeOfFollowing(end, followed, item), item, mostTries) ?? {});
}

function takeRerun(acts: Map<number, Folded>, run: number, { runs }: RerunInput, result: BatchRerun | null): void {
  const parked = runs.find((each) => each.run.id === run);
  const settled = result?.settled.find((each) => each.run === run);
  if (parked === undefined || settled === undefined) {
    return;
  }
  const { attempt } = parked.run;
  const act: RunAct = {
    at: new Date(settled.at).toISOString(),
    attempt,
    rule: 'prioritizePullRequests',
    does: 're-run',
    evidence: `parked before: ${parked.evidence}`,
    end: settled.end,
    detail: settled.detail,
  };
  acts.set(attempt, { act, item: null, mostTries: 0 });
}

// Reading events

/** A batch in which the run may be, by its activity's events. */
export interface Batch {
  readonly activity: string;
  readonly input: unknown;
  /** `null` where it did not come to an end. */
  readonly result: unknown;
  /** ISO 8601: when it ended, or was scheduled. */
  readonly at: string;
}

const BATCHES: ReadonlySet<string> = new Set(['cancelBatch', 'followBatch', 'rerunBatch']);

/** In the order in which they were begun. Only what names the run is decoded: a batch holds a hundred runs, and an operation a hundred batches. */
export function batchesOf({ events }: History, run: number): readonly Batch[] {
  const ended = new Map<string, HistoryEvent>();
  for (const event of events ?? []) {
    const scheduled = event.activityTaskCompletedEventAttributes?.scheduledEventId;
    if (scheduled != null) {
      ended.set(String(scheduled), event);
    }
  }
  return (events ?? []).flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    const [input] = scheduled?.input?.payloads ?? [];
    const activity = scheduled?.activityType?.name ?? '';
    if (input === undefined || !BATCHES.has(activity) || !names(input, run)) {
      return [];
    }
    const end = ended.get(String(event.eventId));
    const [result] = end?.activityTaskCompletedEventAttributes?.result?.payloads ?? [];
    return [
      { activity, input: valueOf(input), result: result === undefined ? null : valueOf(result), at: isoOf((end ?? event).eventTime) },
    ];
  });
}

/** Whether a payload, which is JSON, has the number in it: it may be a part of another one. */
export function names({ data }: Payload, run: number): boolean {
  return data != null && Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(String(run));
}

function isoOf(time: HistoryEvent['eventTime']): string {
  return new Date(Number(time?.seconds ?? 0) * 1_000 + (time?.nanos ?? 0) / 1_000_000).toISOString();
}

/** What the workflow that remembers parked runs knows, by its history: so it needs no worker, and tells what became of others as well. */
export function parkedIn({ events }: History): { readonly parked: readonly ParkedRun[]; readonly settled: readonly SettledRun[] } {
  let state: { readonly parked: readonly ParkedRun[]; readonly settled: readonly SettledRun[] } = { parked: [], settled: [] };
  for (const event of events ?? []) {
    const started = event.workflowExecutionStartedEventAttributes;
    const signal = event.workflowExecutionSignaledEventAttributes;
    const [payload] = (started ?? signal)?.input?.payloads ?? [];
    if (payload === undefined) {
      continue;
    }
    const value = valueOf(payload);
    if (started != null) {
      const { parked, settled } = value as ParkedInput;
      state = { parked, settled };
    } else if (signal?.signalName === PARKED_SIGNALS.park) {
      const { runs, by } = value as ParkSignal;
      state = { ...state, parked: park(state.parked, runs, by) };
    } else if (signal?.signalName === PARKED_SIGNALS.settle) {
      state = settle(state, value as SettleSignal);
    }
  }
  return state;
}
