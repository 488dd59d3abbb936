import { describe, expect, test } from 'vitest';
import { operationDetails, operationStory, type ToldReport } from '../../src/cli/operation-text.ts';
import { storyLines } from '../../src/cli/story.ts';

const STEP = { attempts: 1, startedAt: '2026-11-24T10:00:00.000Z', durationMs: 2_000, detail: 'as it should be' } as const;
const FAILED: ToldReport = {
  outcome: 'failed',
  runner: 'r1',
  scope: 'acme/kernel',
  summary: 'the service of r1 does not stay active',
  reason: 'health check: service-failed',
  evidence: ['GitHub: offline', 'machine: running', 'service: failed'],
  rungs: [{ name: 'restart-service', status: 'failed', detail: 'its listener did not show' }],
  steps: [
    { ...STEP, name: 'time-sync', status: 'skipped' },
    { ...STEP, name: 'start-service', status: 'failed', detail: 'exited 1', attempts: 3 },
  ],
};

describe('an operation', () => {
  test('is told in eight lines at most, with what is left to do', () => {
    const lines = storyLines({ ...operationStory(FAILED), when: 'recoverRunner started', more: 'runward explain x --verbose' });
    expect(lines.length).toBeLessThanOrEqual(8);
    expect(lines.join('\n')).toMatch(
      /^failed in 4\.0 s: the service[^]*What broke +runner r1 of acme\/kernel: health check[^]*Why sure +GitHub: offline; machine: running; service: failed\nWhat it did +restart-service \(failed\), start-service \(failed\)\nCame of it +restart-service failed: its listener did not show; start-service failed: exited 1\nLeft to you +mend/,
    );
  });

  test('that went well leaves nothing to do', () => {
    expect(operationStory({ ...FAILED, outcome: 'recovered', rungs: [], steps: [] })).toMatchObject({ left: 'nothing', cameOfIt: null });
  });

  test('is told with all evidence, rungs and steps', () => {
    const details = operationDetails(FAILED).join('\n');
    expect(details).toMatch(
      /What was seen:\n {2}GitHub: offline[^]*The ladder:\n {2}failed +restart-service[^]*What was done:[^]*exited 1, 3 calls/,
    );
  });

  test('without steps and evidence, as a clock that was set, is told as well', () => {
    const report = { outcome: 'synced', runner: 'r1', scope: 'acme/kernel', summary: 'the clock of m1 was 2 h ahead', reason: null };
    expect(operationStory(report)).toMatchObject({ headline: 'synced: the clock of m1 was 2 h ahead', left: 'nothing' });
    expect(operationDetails(report)).toEqual([]);
  });

  test('whose text is long is cut to one line', () => {
    const [, line = ''] = storyLines({ ...operationStory({ ...FAILED, reason: 'x\n'.repeat(400) }), when: null, more: null });
    expect(line.length).toBeLessThan(260);
    expect(line).toMatch(/…$/);
  });
});
