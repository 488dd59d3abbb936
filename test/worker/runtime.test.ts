import { expect, test } from 'vitest';
import { plainLine } from '../../src/worker/runtime.ts';

const AT = BigInt(Date.parse('2026-11-24T10:00:00Z')) * 1_000_000n;

test('a line of the log for people says what was said, why, and of what, and no more', () => {
  const entry = { level: 'WARN', message: 'Activity failed', timestampNanos: AT } as const;
  expect(
    plainLine({
      ...entry,
      meta: {
        activityType: 'deliverAlert',
        workflowId: 'finding/acme/kernel/r1/runner-offline',
        attempt: 2,
        taskToken: 'CiQw',
        error: new Error('the webhook at 127.0.0.1:8099 answered 500: it is asked again'),
      },
    }),
  ).toBe(
    '2026-11-24T10:00:00.000Z warn: Activity failed: the webhook at 127.0.0.1:8099 answered 500: it is asked again (deliverAlert, finding/acme/kernel/r1/runner-offline, attempt 2)',
  );
  expect(plainLine(entry)).toBe('2026-11-24T10:00:00.000Z warn: Activity failed');
});
