// Histories as queue care leaves them, made by hand.

import { defaultPayloadConverter } from '@temporalio/common';
import type { BatchCancelled } from '../../src/activities/contract.ts';
import type { CancelAttempt, FollowedRun } from '../../src/domain/queue/attempt.ts';
import type { History } from '../../src/cli/run-acts.ts';
import { DEFAULT_QUEUE_POLICY } from '../../src/domain/queue/policy.ts';
import type { WorkItem } from '../../src/domain/queue/work.ts';

type HistoryEvent = NonNullable<History['events']>[number];

const payloadOf = (value: unknown) => ({ payloads: [defaultPayloadConverter.toPayload(value)] });
const at = (seconds: number) => ({ seconds, nanos: 0 }) as unknown as NonNullable<HistoryEvent['eventTime']>;
const long = (id: number) => id as unknown as NonNullable<HistoryEvent['eventId']>;

/** One activity: what it was given, and what it answered; `null` for one that did not end. */
export interface HeldActivity {
  readonly name: string;
  readonly input: unknown;
  readonly result: unknown;
  /** Epoch seconds of its end. */
  readonly at?: number;
}

export function historyOf(activities: readonly HeldActivity[], started: unknown = {}): History {
  const events: HistoryEvent[] = [
    { eventId: long(1), eventTime: at(0), workflowExecutionStartedEventAttributes: { input: payloadOf(started) } },
  ];
  for (const { name, input, result, at: ended = 1_000 } of activities) {
    const scheduled = events.length + 1;
    events.push({
      eventId: long(scheduled),
      eventTime: at(ended - 10),
      activityTaskScheduledEventAttributes: { activityType: { name }, input: payloadOf(input) },
    });
    if (result !== null) {
      events.push({
        eventId: long(scheduled + 1),
        eventTime: at(ended),
        activityTaskCompletedEventAttributes: { scheduledEventId: long(scheduled), result: payloadOf(result) },
      });
    }
  }
  return { events } as History;
}

export function signalled(history: History, signalName: string, value: unknown): History {
  const events = history.events ?? [];
  const event = {
    eventId: long(events.length + 1),
    eventTime: at(2_000),
    workflowExecutionSignaledEventAttributes: { signalName, input: payloadOf(value) },
  };
  return { events: [...events, event] } as History;
}

export function workItem(replaced: Partial<WorkItem> = {}): WorkItem {
  return { run: 34_000_000_001, attempt: 1, rule: 'stale', does: 'cancel', newer: null, tries: 0, ...replaced };
}

export function cancelling(items: readonly WorkItem[], attempts: readonly CancelAttempt[] | null, when = 1_000): HeldActivity {
  const result: BatchCancelled | null = attempts === null ? null : { attempts, rest: [], mayBeDone: false, limited: null };
  return {
    name: 'cancelBatch',
    input: { scope: 'acme/kernel', items, offered: [], reruns: [], policy: DEFAULT_QUEUE_POLICY },
    result,
    at: when,
  };
}

export function attempted(item: WorkItem, result: CancelAttempt['result']): CancelAttempt {
  return {
    item,
    about: { workflow: 'CI', event: 'push', branch: 'main', createdAt: 0 },
    isFirst: true,
    evidence: 'queued for 5 h',
    result,
  };
}

export function followed({ run, attempt }: WorkItem, replaced: Partial<FollowedRun> = {}): FollowedRun {
  return { run, attempt, createdAt: 0, acceptedAt: 990_000, isSure: true, forcedAt: null, ...replaced };
}
