import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { historyLines } from '../../src/cli/history.ts';
import type { OperationSummary } from '../../src/cli/operations.ts';

const operation: OperationSummary = {
  workflowId: 'recover/assay-bpf-runner/2026-03-01T02:56:36.123Z-9bae',
  runId: '0',
  type: 'healActionsCache',
  runner: 'assay-bpf-runner',
  scope: 'octo-org/widgets',
  trigger: 'manual',
  actor: 'somebody@a-computer-with-a-long-name',
  outcome: 'refused-in-progress',
  isRunning: false,
  startedAt: '2026-03-01T02:56:36.123Z',
  durationMs: 4_900,
};

describe('the list of operations', () => {
  test('has a line each with the id last, without a terminal and on one that is wide', () => {
    for (const width of [null, 200]) {
      const [, line = '', ...more] = historyLines([operation], width);
      expect(line).toMatch(
        /^2026-03-01 02:56  healActionsCache  assay-bpf-runner  somebody@\S+ +refused-in-progress  4\.9 s  recover\/\S+$/,
      );
      expect(more).toEqual([]);
    }
  });

  test('fits 80 columns, with the id below', () => {
    const lines = historyLines([operation, { ...operation, outcome: 'recovered' }], 80).map((line) => stripVTControlCharacters(line));
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines).toHaveLength(5);
    expect(lines[2]).toBe(`  ${operation.workflowId}`);
    expect(lines[3]).toContain('recovered');
  });
});
