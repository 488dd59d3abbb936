import { msToNumber } from '@temporalio/common/lib/time.js';
import { expect, test } from 'vitest';

test('a duration that Temporal cannot read is an error of types, as types/ms.d.ts has it', () => {
  expect(msToNumber('2 minutes')).toBe(120_000);
  // @ts-expect-error Without the declaration of `ms`, every text passes as a duration.
  expect(() => msToNumber('ten parsecs')).toThrow('Invalid duration string');
});
