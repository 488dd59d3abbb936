import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EventLog } from '../../src/cli/event-log.ts';
import type { OperationBegan, OperationEnded } from '../../src/domain/event.ts';

const operation = {
  workflowId: 'cure/acme/kernel/r1',
  type: 'recoverRunner',
  runner: 'r1',
  scope: 'acme/kernel',
  trigger: 'check',
  cause: { code: 'service-inactive', summary: 'the service of r1 is inactive' },
} as const;
const began: OperationBegan = { kind: 'operation-began', ...operation };

function ended(outcome: string, summary = ''): OperationEnded {
  return { kind: 'operation-ended', ...operation, outcome, summary, reason: null, durationMs: 1_000 };
}

let told: string[];
let log: EventLog;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  log = new EventLog(({ event }) => told.push('outcome' in event ? event.outcome : event.kind), 15_000);
});
afterEach(() => {
  vi.useRealTimers();
});

test('a short operation is told once, a long one also while it is under way', () => {
  log.hear(began);
  vi.advanceTimersByTime(14_999);
  log.hear(ended('recovered'));
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual(['recovered']);
  log.hear(began);
  vi.advanceTimersByTime(15_000);
  log.hear(ended('failed'));
  expect(told).toEqual(['recovered', 'operation-began', 'failed']);
});

test("what a check's operations are refused for is told once, until something else happens there", () => {
  const hear = (...events: readonly OperationEnded[]): readonly string[] => {
    told = [];
    events.forEach(log.hear);
    return told;
  };
  const busy = ended('refused-busy', 'a job runs');
  expect(hear(busy, busy, { ...busy, durationMs: 7 })).toEqual(['refused-busy']);
  expect(hear({ ...busy, summary: 'another job runs' })).toEqual(['refused-busy']);
  expect(hear(ended('recovered'), busy)).toEqual(['recovered', 'refused-busy']);
  expect(hear({ ...busy, runner: 'r2' }, busy)).toEqual(['refused-busy']);
  expect(hear({ ...busy, trigger: 'manual' }, { ...busy, trigger: 'manual' })).toHaveLength(2);
});

test('nothing is told of what was under way once it is closed', () => {
  log.hear(began);
  log.close();
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([]);
});
