import { expect, test } from 'vitest';
import { runIdOf } from '../../src/cli/explain-run.ts';

test.each([
  ['34000001004', 34_000_001_004],
  [' 34000001004 ', 34_000_001_004],
  ['https://github.com/acme/kernel/actions/runs/34000001004', 34_000_001_004],
  ['https://ghe.example.com/acme/kernel/actions/runs/34000001004/job/5?pr=6', 34_000_001_004],
])('%s is run %i', (text, id) => {
  expect(runIdOf(text)).toBe(id);
});

test.each(['', 'run', 'https://github.com/acme/kernel', '12a', '-5'])('"%s" is no run', (text) => {
  expect(() => runIdOf(text)).toThrow(/--run takes the id of a run or its address on GitHub/);
});
