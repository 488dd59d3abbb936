import { expect, test } from 'vitest';
import { formatDuration } from '../../src/domain/duration.ts';

test.each([
  [0, '0.0 s'],
  [9_949, '9.9 s'],
  [9_960, '10 s'],
  [119_400, '119 s'],
  [120_000, '2 min'],
  [179_700, '3 min'],
  [185_000, '3 min 5 s'],
  [7_800_000, '2 h 10 min'],
  [172_799_000, '47 h 59 min'],
  [442_800_000, '5 d 3 h'],
])('%i ms are %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
