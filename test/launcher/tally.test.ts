import { expect, test } from 'vitest';

import { describe as asLine, failuresIn, sum, tallyOf, type VitestReport } from '../../scripts/launcher/tally.ts';

const GREEN: VitestReport = {
  numPassedTests: 7,
  numFailedTests: 0,
  numPendingTests: 2,
  numTodoTests: 1,
  testResults: [
    { name: 'a.test.ts', status: 'passed', message: '', assertionResults: [{ status: 'passed', fullName: 'works', failureMessages: [] }] },
  ],
};
const UNLOADED = { name: 'b.test.ts', status: 'failed', message: 'SyntaxError: no\n  at b.test.ts:1', assertionResults: [] };

test.each([
  ['a good run', GREEN, 0, '7 passed, 0 failed, 3 skipped'],
  ['failed tests', { ...GREEN, numFailedTests: 4 }, 1, '7 passed, 4 failed, 3 skipped'],
  ['a file that did not load', { ...GREEN, testResults: [UNLOADED] }, 1, '7 passed, 1 failed, 3 skipped'],
  ['an error outside all tests', GREEN, 1, '7 passed, 1 failed, 3 skipped'],
  ['no report at all', null, 1, '0 passed, 1 failed, 0 skipped'],
  ['no report, yet exit code 0', null, 0, '0 passed, 1 failed, 0 skipped'],
] as const)('%s', (_, report, exitCode, line) => {
  expect(asLine(tallyOf(report, exitCode))).toBe(line);
});

test('groups are added up', () => {
  expect(asLine(sum([tallyOf(GREEN, 0), tallyOf(null, 1), tallyOf(GREEN, 0)]))).toBe('14 passed, 1 failed, 6 skipped');
});

test('each failure has a line', () => {
  const failed = { status: 'failed', fullName: 'the queue ends', failureMessages: [`Error: ${'x'.repeat(1_000)}\n  at c.test.ts:1`] };
  const testResults = [...GREEN.testResults, UNLOADED, { name: 'c.test.ts', status: 'failed', message: '', assertionResults: [failed] }];
  expect(failuresIn({ ...GREEN, testResults })).toEqual([
    'b.test.ts: SyntaxError: no',
    expect.stringMatching(/^c\.test\.ts: the queue ends: Error: x{293}$/),
  ]);
});
