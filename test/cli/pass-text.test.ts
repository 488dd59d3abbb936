import { describe, expect, test } from 'vitest';
import { checkExitCode, passDetails, passStory, reportLines } from '../../src/cli/pass-text.ts';
import { storyLines } from '../../src/cli/story.ts';
import { diagnosed, healthReport } from '../kit/health-report.ts';

const CURE = {
  runner: 'acme/kernel/r1',
  cure: 'recover',
  because: 'service-failed',
  workflowId: 'cure/acme/kernel/r1',
  outcome: 'recovered',
  summary: 'r1 is online again',
} as const;
const DISK = diagnosed({
  code: 'disk-low',
  severity: 'warning',
  summary: 'the disk of m1 is 93 % full',
  evidence: '1.2 GB free',
  advice: 'make room in m1',
  cure: null,
});

describe('what `check` prints', () => {
  test('is one line where all is well', () => {
    expect(reportLines(healthReport())).toEqual(['all 2 healthy']);
  });

  test('says for each finding why it is sure, and what to do, the worst first', () => {
    const report = healthReport({ outcome: 'unhealthy', summary: '1 of 2 down', findings: [DISK, diagnosed()] });
    expect(reportLines(report)).toEqual([
      '1 of 2 down',
      'critical  the service of r1 is failed (actions.runner.acme-kernel.r1.service)',
      '          → run `runward recover --runner r1`',
      'warning   the disk of m1 is 93 % full (1.2 GB free)',
      '          → make room in m1',
    ]);
  });

  test('tells what came of a cure in the place of the advice that it made needless', () => {
    const report = healthReport({ outcome: 'cured', summary: 'r1 was down', findings: [diagnosed()], started: [CURE] });
    expect(reportLines(report)).toEqual([
      'r1 was down',
      'started   recovery of acme/kernel/r1 (the service of r1 is failed): recovered: r1 is online again',
    ]);
  });

  test('of an earlier version tells what was withheld, and why; its next steps say it since', () => {
    const withheld = { runner: 'acme/kernel/r1', because: 'service-failed', why: 'the budget is used up' };
    const report = healthReport({ outcome: 'unhealthy', summary: 'r1 is down', findings: [diagnosed()], withheld: [withheld] });
    expect(reportLines(report).at(-1)).toBe('skipped   acme/kernel/r1 (the service of r1 is failed): the budget is used up');
    expect(reportLines({ ...report, withheld: [{ ...withheld, reason: 'budget' }] }).at(-1)).toMatch(/^ +→ /);
  });

  test('does not say a second time why a machine that somebody stopped is left alone', () => {
    const stopped = diagnosed({
      code: 'machine-stopped',
      severity: 'info',
      evidence: 'stopped on purpose? no job waits for it',
      cure: null,
    });
    const withheld = [{ runner: stopped.subject, because: stopped.code, why: stopped.evidence }];
    const report = healthReport({ outcome: 'left-alone', summary: 'acme/kernel/r1 is stopped', findings: [stopped], withheld });
    expect(reportLines(report).filter((line) => line.includes('on purpose'))).toHaveLength(1);
    expect(passStory(report)).toMatchObject({ did: 'nothing', left: 'nothing' });
  });

  test('says so where Runward only watches', () => {
    expect(reportLines(healthReport({ mode: 'watch' })).at(-1)).toBe('Watch mode: no changes were made');
    expect(reportLines(healthReport({ mode: 'watch', isDryRun: true })).at(-1)).toBe('Dry run: no changes were made');
  });

  test('ends after twenty findings', () => {
    const findings = Array.from({ length: 50 }, (_, index) => diagnosed({ subject: `acme/kernel/r${index}` }));
    expect(reportLines(healthReport({ outcome: 'unhealthy', findings }))).toHaveLength(42);
  });

  test('marks what is not proven yet', () => {
    const [, line] = reportLines(healthReport({ findings: [diagnosed({ isProven: false })] }));
    expect(line).toMatch(/; seen once\)$/);
  });
});

describe('the exit code of `check`', () => {
  test.each([
    [['healthy', 'left-alone', 'cured'], [], 0],
    [['healthy', 'unhealthy'], ['service-failed'], 1],
    [['curing'], ['service-failed'], 1],
    [['not-cured', 'unknown'], [], 1],
    [['healthy', 'unknown'], [], 3],
    [['unhealthy'], ['github-unknown'], 3],
    [['unhealthy'], ['machine-unknown', 'provider-silent', 'host-silent'], 3],
    [['unhealthy'], ['machine-unknown', 'runner-offline'], 1],
    [['cured'], ['guest-unreachable'], 3],
  ] as const)('of %j with %j is %i', (outcomes, codes, exitCode) => {
    const findings = codes.map((code) => diagnosed({ code, severity: 'warning' }));
    expect(checkExitCode(outcomes.map((outcome) => ({ outcome, findings })))).toBe(exitCode);
  });
});

describe('what `explain` tells of a health check', () => {
  const report = healthReport({
    outcome: 'unhealthy',
    summary: '1 of 2 down; recover of acme/kernel/r1: r1 is online again',
    findings: [DISK, diagnosed(), diagnosed({ subject: 'acme/kernel/r2', code: 'machine-stopped', summary: 'machine m2 is stopped' })],
    started: [CURE],
    withheld: [{ runner: 'acme/kernel/r2', because: 'machine-stopped', why: 'no job waits for it' }],
  });

  test('stands in eight lines at most', () => {
    const lines = storyLines({ ...passStory(report), when: 'checkHealth started', more: 'runward explain x --verbose' });
    expect(lines.length).toBeLessThanOrEqual(8);
    expect(lines.join('\n')).toMatch(
      /^unhealthy: 1 of 2 down[^]*What broke +the service of r1 is failed; machine m2 is stopped; the disk[^]*Action +started the recovery of acme\/kernel\/r1 [^]*skipped acme\/kernel\/r2 \(machine m2 is stopped\): no job waits for it[^]*Result +acme\/kernel\/r1: recovered[^]*Next steps .*make room in m1/,
    );
  });

  test('says that nothing broke, was done or is left where all is well', () => {
    expect(passStory(healthReport())).toMatchObject({ broke: 'nothing', did: 'nothing', left: 'nothing', cameOfIt: null });
  });

  test('has all the evidence with --verbose', () => {
    const details = passDetails(report).join('\n');
    for (const { evidence, advice, code } of report.findings) {
      expect(details).toContain(evidence);
      expect(details).toContain(advice);
      expect(details).toContain(code);
    }
    expect(details).toMatch(/4 requests to GitHub \(4 unchanged\)/);
  });
});
