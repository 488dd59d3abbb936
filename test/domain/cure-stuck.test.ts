import { expect, test } from 'vitest';
import { findStuck, type CureAtWork } from '../../src/domain/cure-stuck.ts';
import { nextStep } from '../../src/domain/next-step.ts';
import { DEFAULT_HEALTH_POLICY as policy } from '../../src/domain/policy.ts';
import { known } from '../../src/domain/reading.ts';
import { situationsOf } from '../../src/domain/situation.ts';
import { guest, machine, NOW, pass, target } from '../kit/observations.ts';

const MINUTE = 60_000;
const CURE: CureAtWork = {
  runner: 'acme/kernel/r1',
  workflowId: 'cure/acme/kernel/r1',
  type: 'recoverRunner',
  since: NOW - 30 * MINUTE,
  waitsFor: 'it waits for startService, attempt 3: no answer',
};

function stuck(cure: Partial<CureAtWork>, workers = 0, others: readonly CureAtWork[] = []) {
  const seen = pass({ runners: [{ target: target(), machine: known(machine({ guest: known(guest({ workers })) })) }] });
  return findStuck([{ ...CURE, ...cure }, ...others], situationsOf(seen, null, policy), {
    at: NOW,
    cureStuckAfterMs: policy.cureStuckAfterMs,
  });
}

test('a cure that is at work for half an hour is told, with what it waits for and how to end it', () => {
  expect(stuck({})).toEqual([
    {
      code: 'cure-stuck',
      severity: 'critical',
      subject: 'acme/kernel/r1',
      summary: 'an operation on r1 has not ended for 30 min (being recovered)',
      evidence: 'cure/acme/kernel/r1, since 11:30 UTC: it waits for startService, attempt 3: no answer',
      advice: expect.stringContaining('`runward temporal workflow cancel -w cure/acme/kernel/r1`'),
      isProven: true,
      cure: null,
    },
  ]);
  expect(stuck({ since: NOW - 29 * MINUTE })).toEqual([]);
});

test('what holds its machine, such as the recovery of a person, is told the same', () => {
  const [finding] = stuck({ workflowId: 'recover/acme/kernel/r1', isInTheWay: true });
  expect(finding).toMatchObject({
    summary: 'an operation that holds the machine of r1 has not ended for 30 min (being recovered)',
    advice: expect.stringContaining('`runward temporal workflow cancel -w recover/acme/kernel/r1`'),
  });
  // Rather than the cure that waits for it.
  const both = stuck({ workflowId: 'recover/acme/kernel/r1', isInTheWay: true }, 0, [CURE]);
  expect(both).toEqual([finding]);
});

test('a drain lets a job end, however long that takes', () => {
  expect(stuck({ type: 'drainRunner' }, 1)).toEqual([]);
  expect(stuck({ type: 'drainRunner' })).toHaveLength(1);
  expect(stuck({}, 1)).toHaveLength(1);
});

test('no operation at work is said to see to it', () => {
  const [finding] = stuck({});
  const work = { workflowId: CURE.workflowId, type: 'recoverRunner', since: NOW };
  const around = { now: NOW, mode: 'act', checks: { kind: 'some-time' }, atWork: work, job: null, withheld: null } as const;
  expect(nextStep({ ...finding!, runner: 'r1' }, around).advice).toBe(finding?.advice);
});
