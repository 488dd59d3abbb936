import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { scopeLines, sentenceOf, type Shape, type StatusDocument } from '../../src/cli/status-text.ts';
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
  budgets: [{ runner: 'r1', recoveriesLeft: 3, of: 3, withinMs: 21_600_000, refusal: null, until: null }],
  openFindings: [],
  drained: [],
};

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
      /^all 3 healthy\n\nRUNNER +STATE[^]*r3 +healthy +online +active +none +m1 running +0 s +40 % +2\.336\.0 +empty +10 %\n\nQueue of acme\/kernel: 0 queued, 0 in progress; no job waits for our runners\nHealth checks: last 2 min ago, next in 3 min; mode: act$/,
    );
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
        { runner: 'r1', recoveriesLeft: 1, of: 3, withinMs: 21_600_000, refusal: null, until: null },
        {
          runner: 'r3',
          recoveriesLeft: 1,
          of: 3,
          withinMs: 21_600_000,
          refusal: 'the last 2 recoveries of r3 failed: waiting for a person',
          until: '2026-11-24T14:12:00Z',
        },
      ],
    });
    expect(text).toMatch(/m1 is locked by recoverRunner cure\/acme\/kernel\/r1 for 3 min \(the service of r1 is failed\)/);
    expect(text).toMatch(/^r1: automatic recoveries left: 1 of 3 \(per 6 h\)$/m);
    expect(text).toMatch(
      /^r3: automatic recoveries left: 1 of 3 \(per 6 h\), but the last 2 recoveries of r3 failed: waiting for a person; checks recover it again from 14:12 UTC on; now: `runward recover --runner r3`$/m,
    );
  });

  test('tells what to do about an open finding once', () => {
    const text = textOf({ runners: r3Shows(finding), openFindings: [{ ...open, acknowledgedBy: 'ada' }] });
    expect(text).toMatch(
      /Needs you:\n {2}warning {3}the disk of m3 is nearly full, for 30 min, acknowledged by ada \(finding\/acme\/kernel\/r3\/disk-low\)/,
    );
    expect(text.match(/make room/g)).toHaveLength(1);
  });

  test('keeps a used-up budget waiting for a person as long as its runner is in trouble', () => {
    const budget = { ...open, code: 'budget-used-up', summary: 'checks leave r3 alone', advice: 'look why it does not last' };
    expect(textOf({ runners: r3Shows(finding), openFindings: [budget] })).toMatch(
      /Needs you:\n {2}warning {3}checks leave r3 alone, for 30 min \(.*\)\n +→ look why it does not last/,
    );
  });

  test('asks nobody for what is being cured, and says who is at work there', () => {
    const text = textOf({
      runners: r3Shows({ ...finding, handledBy: 'operation' }),
      openFindings: [open],
      underWay: [{ ...RECOVERY, runner: 'r3' }],
    });
    expect(text).toContain('r3: being recovered for 60 s (cure/acme/kernel/r1), step 4 of 6');
    expect(text).toMatch(/Left to the operation at work:\n {2}warning {3}the disk of m3/);
    expect(text).not.toMatch(/Needs you|93 % used|make room/);
  });

  test('asks nobody for what the next check sees to', () => {
    const advice = 'the next check in 32 s starts it; now: `runward recover --runner r3`';
    const text = textOf({ runners: r3Shows({ ...finding, advice, handledBy: 'check' }), openFindings: [open] });
    expect(text).toMatch(/93 % used\)\n +→ the next check in 32 s starts it[^]*Left to the next check:\n {2}warning {3}the disk of m3/);
    expect(text).not.toContain('Needs you');
  });

  test('sends nobody after a finding that is not there any more, nor after what needs nobody', () => {
    const text = textOf({ openFindings: [open, { ...open, code: 'drained', severity: 'info', summary: 'r3 is drained' }] });
    expect(text).toMatch(/Recently fixed \(closes after 3 clean checks\):\n {2}warning {3}the disk of m3 is nearly full/);
    expect(text).not.toMatch(/Needs you|make room|r3 is drained/);
  });

  test('says why GitHub could not be asked once, for its queue as well', () => {
    const github = { code: 'github-unknown', severity: 'warning', summary: 'no GitHub', evidence: '502', advice: 'wait' } as const;
    const text = textOf({ runners: r3Shows(github, { ...github, code: 'queue-unknown', severity: 'info', summary: 'no queue' }) });
    expect(text).toContain('no GitHub (502)');
    expect(text).not.toContain('no queue');
  });

  test('counts jobs that wait, and says where that is the least', () => {
    const queue = { ...STATUS.queue, queued: 40, waitingForRunner: 2, oldestSeconds: 240, runsNotRead: 10 };
    expect(textOf({ queue })).toContain(
      '40 queued, 0 in progress; at least 2 jobs wait for our runners, the oldest for 4 min; jobs of 10 runs are not read yet, the next look goes on',
    );
    expect(textOf({ queue: { ...queue, waitingForRunner: 0 } })).toContain(
      'no job of those that were read waits for our runners; jobs of 10 runs',
    );
  });

  test('tells runs that are stale, parked or quarantined, if there are any', () => {
    const queue = { ...STATUS.queue, queued: 40, stale: 3, parked: 2, setAside: 1 };
    expect(textOf({ queue })).toContain('Queue of acme/kernel: 40 queued, 0 in progress, 3 stale, 2 parked, 1 quarantined; no job waits');
    expect(textOf({ queue: { ...queue, stale: 0, parked: null, setAside: 0 } })).toContain('40 queued, 0 in progress; no job waits');
  });

  test('says what is not known where Temporal does not answer', () => {
    const silent = { schedule: null, recentOperations: null, underWay: null, holds: null, budgets: null, openFindings: null } as const;
    expect(textOf(silent)).toMatch(/Health checks: unknown, Temporal does not answer \(start it with `runward up`\); mode: act$/);
  });

  test('tells a pause and its reason, and a schedule that is missing', () => {
    const paused = { ...STATUS.schedule, paused: true, note: 'the rack is being moved', nextPassAt: null } as StatusDocument['schedule'];
    expect(textOf({ schedule: paused })).toContain('Health checks: last 2 min ago, paused (the rack is being moved); mode: act');
    const manual = { ...STATUS.schedule, lastPassIsManual: true } as StatusDocument['schedule'];
    expect(textOf({ schedule: manual })).toContain('Health checks: last 2 min ago (manual), next in 3 min');
    const missing = { ...STATUS.schedule, exists: false } as StatusDocument['schedule'];
    expect(textOf({ schedule: missing })).toContain('Health checks: last 2 min ago, no schedule: make it with `runward schedule apply`');
  });
});

describe('on a terminal', () => {
  const lines = (replaced: Partial<StatusDocument>, shape: Partial<Shape> = {}): string[] =>
    scopeLines({ ...STATUS, ...replaced }, NOW, { width: 80, all: false, ...shape });
  const fleet = Array.from({ length: 30 }, (_, index): RunnerStatus => {
    const name = `assay-bpf-runner-${String(index + 1).padStart(2, '0')}`;
    const verdict = index % 10 === 3 ? 'down' : index % 10 === 7 ? 'degraded' : 'healthy';
    const seen = runner(name, verdict);
    return {
      ...seen,
      vm: { name, state: verdict === 'down' ? 'suspended' : 'running' },
      github: { ...seen.github, busy: index % 3 === 0, status: verdict === 'down' ? 'unregistered' : 'online' },
      service: { unit: null, state: verdict === 'down' ? 'deactivating' : 'active' },
      job: {
        running: index % 3 === 0,
        name: index % 3 === 0 ? 'kernel 6.6 (bpf-lsm, x86_64)' : null,
        run: 34_000_001_010,
        startedAt: minutesAgo(12),
        url: null,
      },
      clock: { driftSeconds: index % 7 === 0 ? -7_213 : 0 },
      findings:
        verdict === 'healthy'
          ? []
          : [
              {
                code: 'service-inactive',
                severity: 'critical',
                summary: `the service of ${name} is inactive`,
                evidence: `actions.runner.octo-org-widgets.${name}.service`,
                advice: `the next check in 32 s starts it; now: \`runward recover --runner ${name}\``,
                handledBy: 'check',
              },
            ],
    };
  });
  const ids = fleet.slice(0, 3).map(({ name }) => `recover/${name}/2026-11-29T02:36:20.709Z-9bae`);
  const busy: Partial<StatusDocument> = {
    scope: 'octo-org/widgets',
    runners: fleet,
    recentOperations: ids.map((workflowId) => ({
      workflowId,
      type: 'cleanActionsCache',
      outcome: 'already-healthy',
      startedAt: minutesAgo(200),
      durationMs: 4_900,
    })),
    underWay: [{ ...RECOVERY, workflowId: ids[0] as string, runner: 'assay-bpf-runner-04' }],
    budgets: [
      { runner: 'assay-bpf-runner-04', recoveriesLeft: 0, of: 3, withinMs: 21_600_000, refusal: 'used up', until: minutesAgo(-90) },
    ],
    openFindings: fleet.flatMap(({ name, findings }) =>
      findings.map(({ code, severity, summary, advice }) => ({
        workflowId: `finding/octo-org/widgets/${name}/${code}`,
        subject: `octo-org/widgets/${name}`,
        code,
        severity,
        summary,
        advice,
        since: minutesAgo(30),
        acknowledgedBy: 'ada@example.org',
        snoozedUntil: '2026-11-24T12:00:00.000Z',
      })),
    ),
  };

  test.each([80, 100, 132])('no line of thirty runners is wider than %i columns', (width) => {
    for (const all of [false, true]) {
      for (const line of lines(busy, { width, all })) {
        expect(stripVTControlCharacters(line).length, line).toBeLessThanOrEqual(width);
      }
    }
  });

  test('every column that matters stands in 80 columns', () => {
    expect(lines(busy)[2]?.split(/ +/)).toEqual(['RUNNER', 'STATE', 'GITHUB', 'SERVICE', 'JOB', 'MACHINE', 'CLOCK', 'DISK', 'VERSION']);
    expect(lines(busy, { width: 200 })[2]).toMatch(/VERSION +CACHE +INODES$/);
  });

  test('the worst come first, and healthy ones are counted', () => {
    const rows = lines(busy).slice(3, lines(busy).indexOf('', 3));
    expect(rows.map((row) => row.split(/ +/)[1])).toEqual(['down', 'down', 'down', 'degraded', 'degraded', 'degraded', 'healthy']);
    expect(rows.at(-1)).toBe('24 healthy (--all shows them)');
    const all = lines(busy, { all: true }).slice(3, lines(busy, { all: true }).indexOf('', 3));
    expect(all).toHaveLength(30);
    expect(all.at(-1)).toMatch(/^assay-.*30 +healthy/);
  });

  test('a few healthy ones are all shown, and many are not', () => {
    expect(lines({}).filter((line) => line.startsWith('r'))).toHaveLength(3);
    const many = fleet.filter(({ verdict }) => verdict === 'healthy');
    expect(lines({ runners: many }).slice(0, 4)).toEqual(['all 24 healthy', '', '24 healthy (--all shows them)', '']);
    expect(lines({ runners: [runner('r1', 'down'), runner('r2', 'healthy')] })).toContain('1 healthy (--all shows it)');
  });

  test('a healthy one about which there is something to say keeps its row', () => {
    const text = lines({
      runners: [
        ...fleet.slice(0, 12),
        ...r3Shows(finding)
          .slice(2)
          .map((each) => ({ ...each, verdict: 'healthy' as const })),
      ],
    });
    expect(text.some((line) => /^r3 +healthy/.test(line))).toBe(true);
  });

  test('a cache or inodes about which something is wrong keep their column', () => {
    const ill = r3Shows({ ...finding, code: 'inodes-low' }, { ...finding, code: 'cache-damaged' });
    expect(lines({ runners: ill })[2]).toMatch(/DISK +CACHE +INODES/);
  });

  test('findings beyond twenty are counted', () => {
    const ill = fleet.map((each) => ({ ...each, findings: [{ ...finding, summary: `the disk of ${each.name} is nearly full` }] }));
    expect(lines({ runners: ill })).toContain('and 10 more findings (--all shows them)');
    expect(lines({ runners: ill }, { all: true }).filter((line) => line.startsWith('warning'))).toHaveLength(30);
  });

  test('a job that GitHub names is told also if the guest does not answer', () => {
    const job = { running: null, name: 'kernel 6.6', run: 42, startedAt: null, url: null };
    expect(lines({ runners: [{ ...runner('r1', 'unknown'), job }] })).toContain('Job      kernel 6.6 of run 42');
  });

  test('one runner is a block, with its job', () => {
    const job = { running: true, name: 'kernel 6.6', run: 34_000_001_010, startedAt: minutesAgo(12), url: 'https://github.com/x' };
    const block = lines({ runners: [{ ...runner('r1', 'healthy'), job }] }).slice(2, 12);
    expect(block).toEqual([
      'Runner   r1',
      'State    healthy',
      'GitHub   online',
      'Service  active',
      'Job      kernel 6.6 of run 34000001010, for 12 min',
      'Machine  m1 running',
      'Clock    0 s',
      'Disk     40 % used, 954 MiB free, 10 % of the inodes used',
      'Cache    empty',
      'Version  2.336.0',
    ]);
  });

  test('without one there are all rows and columns', () => {
    const text = scopeLines({ ...STATUS, ...busy }, NOW);
    expect(text.filter((line) => line.startsWith('assay-bpf-runner-')).length).toBeGreaterThanOrEqual(30);
    expect(text[2]).toMatch(/VERSION +CACHE +INODES$/);
    expect(text.join('\n')).toContain('kernel 6.6 (bpf-lsm, x86_64)');
    expect(text.join('\n')).toContain(ids[2]);
  });

  test('ids of operations give way, and it is said where they are', () => {
    expect(lines(busy)).toContain('Recent operations (ids: `runward history`):');
    expect(lines(busy, { width: 160 })).toContain('Recent operations:');
  });
});
