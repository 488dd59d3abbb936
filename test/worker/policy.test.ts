import { expect, test } from 'vitest';
import { healthPolicy } from '../../src/worker/policy.ts';

const MINUTE = 60_000;

test.each([
  [1, 15],
  [5, 15],
  [60, 180],
])('passes every %i minutes are remembered for %i minutes, so that one may be missed', (every, remembered) => {
  const policy = healthPolicy({
    budgets: { recoveries: { max: 3, perMs: 6 * 60 * MINUTE }, breakerAfter: 2 },
    health: { everyMs: every * MINUTE },
    recovery: { timeoutsMs: {} },
    vm: { autostart: 'wanted' },
  });
  expect(policy.memoryLastsMs).toBe(remembered * MINUTE);
});
