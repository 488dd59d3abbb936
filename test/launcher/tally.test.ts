import { expect, test } from 'vitest';

import { describe as asLine, sum, tallyOf, type VitestReport } from '../../scripts/launcher/tally.ts';

const GREEN: VitestReport = {
  numPassedTests: 7,
  numFailedTests: 0,
  numPendingTests: 2,
  numTodoTests: 1,
  testResults: [{ status: 'passed', assertionResults: [{}] }],
};

test.each([
  ['a good run', GREEN, 0, '7 passed, 0 failed, 3 skipped'],
  ['failed tests', { ...GREEN, numFailedTests: 4 }, 1, '7 passed, 4 failed, 3 skipped'],
  ['a file that did not load', { ...GREEN, testResults: [{ status: 'failed', assertionResults: [] }] }, 1, '7 passed, 1 failed, 3 skipped'],
  ['an error outside all tests', GREEN, 1, '7 passed, 1 failed, 3 skipped'],
  ['no report at all', null, 1, '0 passed, 1 failed, 0 skipped'],
  ['no report, yet exit code 0', null, 0, '0 passed, 1 failed, 0 skipped'],
] as const)('%s', (_, report, exitCode, line) => {
  expect(asLine(tallyOf(report, exitCode))).toBe(line);
});

test('groups are added up', () => {
  expect(asLine(sum([tallyOf(GREEN, 0), tallyOf(null, 1), tallyOf(GREEN, 0)]))).toBe('14 passed, 1 failed, 6 skipped');
});
