import { describe, expect, test } from 'vitest';
import { scopeLines, sentenceOf, type StatusDocument } from '../../src/cli/status-text.ts';
import type { UnderWay } from '../../src/cli/temporal-view.ts';
import { runnerStatus, type RunnerStatus } from '../../src/domain/status.ts';
import { look, target } from '../kit/observations.ts';

const NOW = Date.parse('2026-11-24T10:00:00Z');
const minutesAgo = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();

function runner(name: string, verdict: RunnerStatus['verdict']): RunnerStatus {
  return { ...runnerStatus(target(), look()), name, verdict };
}

function drained(name: string): RunnerStatus {
  const finding = { code: 'drained', severity: 'info', summary: `${name} is drained`, evidence: 'new disk', advice: 'resume it' } as const;
  return { ...runner(name, 'down'), findings: [finding] };
}

const RECOVERY: UnderWay = {
  workflowId: 'cure/acme/kernel/r1',
  type: 'recoverRunner',
  runner: 'r1',
  startedAt: minutesAgo(1),
  doing: 'reconfigure',
  step: { number: 4, of: 6, name: 'reconfigure' },
};

const STATUS: StatusDocument = {
  scope: 'acme/kernel',
  observedAt: minutesAgo(0),
  runners: [runner('r1', 'healthy'), runner('r2', 'healthy'), runner('r3', 'healthy')],
  queue: {
    queued: 0,
    inProgress: 0,
    stale: null,
    waitingForRunner: 0,
    oldestSeconds: 0,
    parked: null,
    setAside: null,
    runsNotRead: 0,
  },
  recentOperations: [],
  mode: 'act',
  schedule: {
    exists: true,
    everySeconds: 300,
    paused: false,
    note: null,
    lastPassAt: minutesAgo(2),
    lastPassId: 'check-health/acme/kernel-2026-11-24T09:58:00Z',
    nextPassAt: minutesAgo(-3),
  },
  underWay: [],
  holds: [],
  budgets: [{ runner: 'r1', recoveriesLeft: 3, of: 3, withinMs: 21_600_000, refusal: null }],
  openFindings: [],
  drained: [],
};

const textOf = (replaced: Partial<StatusDocument>): string => scopeLines({ ...STATUS, ...replaced }, NOW).join('\n');

describe('the first line', () => {
  test.each([
    [STATUS.runners, [], 'all 3 healthy'],
    [[runner('r1', 'down'), runner('r2', 'healthy'), runner('r3', 'healthy')], [RECOVERY], '1 of 3 down, being recovered, step 4 of 6'],
    [[runner('r1', 'down')], [{ ...RECOVERY, step: null, doing: 'looking' }], 'r1 is down, being recovered, looking'],
    [[runner('r1', 'down'), runner('r2', 'down')], [RECOVERY], '2 of 2 down, r1 being recovered, step 4 of 6'],
    [[runner('r1', 'down'), runner('r2', 'down')], [RECOVERY, { ...RECOVERY, runner: 'r2' }], '2 of 2 down, 2 operations at work'],
    [[runner('r1', 'down')], null, 'r1 is down'],
    [[runner('r1', 'unknown')], [], 'the state of r1 is unknown'],
    [[drained('r1')], [], 'r1 is drained'],
    [[drained('r1'), runner('r2', 'down'), runner('r3', 'healthy')], [], '1 of 3 down, 1 of 3 drained'],
  ])('%#: %3$s', (runners, underWay, sentence) => {
    expect(sentenceOf({ runners, underWay })).toBe(sentence);
  });
});

describe('the rest', () => {
  test('of a healthy scope is its runners, its queue, and the last and next check', () => {
    expect(textOf({})).toMatch(
      /^all 3 healthy\n\nRUNNER +STATE[^]*r3 +healthy +online +active +none +m1 running +0 s +40 % +2\.336\.0 +0 B in 0 +10 %\n\nQueue of acme\/kernel: 0 queued, 0 in progress; no job waits for our runners\nHealth checks: last 2 min ago, next in 3 min; mode: act$/,
    );
  });

  test('fits a narrow terminal, as far as the machine', () => {
    const head = (width: number): string | undefined => scopeLines(STATUS, NOW, width)[2]?.replaceAll(/ +/g, ' ');
    expect(head(80)).toBe('RUNNER STATE GITHUB SERVICE JOB MACHINE CLOCK DISK VERSION');
    expect(head(70)).toBe('RUNNER STATE GITHUB SERVICE JOB MACHINE CLOCK DISK');
    expect(head(20)).toBe('RUNNER STATE GITHUB SERVICE JOB MACHINE');
  });

  test('tells a finding that runners share once, with what to do', () => {
    const finding = { code: 'queue-unknown', severity: 'warning', summary: 'no queue', evidence: '502', advice: 'look at GitHub' } as const;
    const text = textOf({ runners: STATUS.runners.map((each) => ({ ...each, findings: [finding] })) });
    expect(text.match(/no queue \(502\)\n +→ look at GitHub/g)).toHaveLength(1);
  });

  test('tells who has a machine, and whose budget is touched', () => {
    const text = textOf({
      holds: [
        {
          host: 'local',
          machine: 'm1',
          holder: {
            workflowId: 'cure/acme/kernel/r1',
            runId: 'x',
            type: 'recoverRunner',
            reason: 'the service of r1 is failed',
            since: minutesAgo(3),
          },
        },
      ],
      budgets: [
        { runner: 'r1', recoveriesLeft: 1, of: 3, withinMs: 21_600_000, refusal: null },
        {
          runner: 'r3',
          recoveriesLeft: 1,
          of: 3,
          withinMs: 21_600_000,
          refusal: 'the last 2 recoveries of r3 failed: waiting for a person',
        },
      ],
    });
    expect(text).toMatch(/m1 is in the hands of recoverRunner cure\/acme\/kernel\/r1 for 3 min \(the service of r1 is failed\)/);
    expect(text).toMatch(/r1: checks have 1 of 3 recoveries in 6 h left/);
    expect(text).toMatch(/r3: checks would not recover it now: the last 2 recoveries of r3 failed/);
  });

  const open = {
    workflowId: 'finding/acme/kernel/r3/disk-low',
    subject: 'acme/kernel/r3',
    code: 'disk-low',
    severity: 'warning',
    summary: 'the disk of m3 is nearly full',
    advice: 'make room',
    since: minutesAgo(30),
    acknowledgedBy: null,
    snoozedUntil: null,
  } as const;
  const finding = {
    code: open.code,
    severity: open.severity,
    summary: open.summary,
    evidence: '93 % used',
    advice: 'make room between jobs',
  };
  const r3Shows = (...findings: RunnerStatus['findings']) => [...STATUS.runners.slice(0, 2), { ...runner('r3', 'down'), findings }];

  test('tells what to do about an open finding once', () => {
    const text = textOf({ runners: r3Shows(finding), openFindings: [{ ...open, acknowledgedBy: 'ada' }] });
    expect(text).toMatch(
      /Waits for a person:\n {2}warning {3}the disk of m3 is nearly full, for 30 min, acknowledged by ada \(finding\/acme\/kernel\/r3\/disk-low\)/,
    );
    expect(text.match(/make room/g)).toHaveLength(1);
  });

  test('keeps a used-up budget waiting for a person as long as its runner is in trouble', () => {
    const budget = { ...open, code: 'budget-used-up', summary: 'checks leave r3 alone', advice: 'look why it does not last' };
    expect(textOf({ runners: r3Shows(finding), openFindings: [budget] })).toMatch(
      /Waits for a person:\n {2}warning {3}checks leave r3 alone, for 30 min \(.*\)\n +→ look why it does not last/,
    );
  });

  test('asks nobody for what is being cured', () => {
    const stopped = { ...finding, advice: 'run `runward recover --runner r3`' };
    const text = textOf({ runners: r3Shows(stopped), openFindings: [open], underWay: [{ ...RECOVERY, runner: 'r3' }] });
    expect(text).toContain('→ nothing yet: it is being recovered; if that was not enough, run `runward recover --runner r3`');
    expect(text).toMatch(/Waits for the cure under way:\n {2}warning {3}the disk of m3/);
    expect(text).not.toContain('Waits for a person');
  });

  test('sends nobody after a finding that is not there any more, nor after what needs nobody', () => {
    const text = textOf({ openFindings: [open, { ...open, code: 'drained', severity: 'info', summary: 'r3 is drained' }] });
    expect(text).toMatch(/Not seen just now, and over after three health checks without it:\n {2}warning {3}the disk of m3 is nearly full/);
    expect(text).not.toMatch(/Waits for a person|make room|r3 is drained/);
  });

  test('says why GitHub could not be asked once, for its queue as well', () => {
    const github = { code: 'github-unknown', severity: 'warning', summary: 'no GitHub', evidence: '502', advice: 'wait' } as const;
    const text = textOf({ runners: r3Shows(github, { ...github, code: 'queue-unknown', severity: 'info', summary: 'no queue' }) });
    expect(text).toContain('no GitHub (502)');
    expect(text).not.toContain('no queue');
  });

  test('counts jobs that wait, and says where that is the least', () => {
    const queue = { ...STATUS.queue, queued: 40, waitingForRunner: 2, oldestSeconds: 240, runsNotRead: 10 };
    expect(textOf({ queue })).toContain('40 queued, 0 in progress; at least 2 jobs wait for our runners, the oldest for 4 min');
  });

  test('tells runs that are stale, parked or set aside, where there are any', () => {
    const queue = { ...STATUS.queue, queued: 40, stale: 3, parked: 2, setAside: 1 };
    expect(textOf({ queue })).toContain('Queue of acme/kernel: 40 queued, 0 in progress, 3 stale, 2 parked, 1 set aside; no job waits');
    expect(textOf({ queue: { ...queue, stale: 0, parked: null, setAside: 0 } })).toContain('40 queued, 0 in progress; no job waits');
  });

  test('says what is not known where Temporal does not answer', () => {
    const silent = { schedule: null, recentOperations: null, underWay: null, holds: null, budgets: null, openFindings: null } as const;
    expect(textOf(silent)).toMatch(/Health checks: unknown, Temporal does not answer \(start it with `runward up`\); mode: act$/);
  });

  test('tells a pause and its reason, and a schedule that is missing', () => {
    const paused = { ...STATUS.schedule, paused: true, note: 'the rack is being moved', nextPassAt: null } as StatusDocument['schedule'];
    expect(textOf({ schedule: paused })).toContain('Health checks: last 2 min ago, paused (the rack is being moved); mode: act');
    const missing = { ...STATUS.schedule, exists: false } as StatusDocument['schedule'];
    expect(textOf({ schedule: missing })).toContain('Health checks: no schedule: make it with `runward schedule apply`');
  });
});
