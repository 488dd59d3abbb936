import { describe, expect, test } from 'vitest';
import { diagnose } from '../../src/domain/diagnose.ts';
import type { StartedCure } from '../../src/domain/health-report.ts';
import { healthOutcome, healthSentence, listed, tellCures } from '../../src/domain/health-summary.ts';
import { advance } from '../../src/domain/open-findings.ts';
import { DEFAULT_HEALTH_POLICY } from '../../src/domain/policy.ts';
import { prescribe } from '../../src/domain/prescribe.ts';
import { known } from '../../src/domain/reading.ts';
import { diagnosed } from '../kit/health-report.ts';
import { guest, machine, pass, registered, scope, target } from '../kit/observations.ts';

/** What Temporal refuses as an input or a result, bytes. */
const TEMPORAL_TAKES = 2_097_152;
const COUNT = 1_000;

test('a pass over a thousand runners that all have many findings stays below what Temporal takes', () => {
  const targets = Array.from({ length: COUNT }, (_, index) =>
    target({ scope: 'acme-engineering/kernel-testing', runner: `assay-bpf-runner-${index}`, machine: `vm-of-runner-${index}` }),
  );
  const ill = guest({
    service: { unit: 'actions.runner.acme-engineering-kernel-testing.assay-bpf-runner.service', state: 'failed' },
    listeners: 0,
    disk: { usedPercent: 95, freeBytes: 1e9, inodesUsedPercent: 95 },
    timeSync: { service: 'timesyncd', isActive: false },
    log: { startedAgoMs: 0, exitCode: 1, relaunches: 0, signs: [{ code: 'connect-error', line: 'x'.repeat(160) }] },
  });
  const observation = pass({
    scope: 'acme-engineering/kernel-testing',
    github: known(scope({ runners: targets.map(({ runner: name }) => registered({ name, status: 'offline', labels: [] })) })),
    runners: targets.map((each) => {
      const registration = { agentId: 7, agentName: each.runner, url: each.registrationUrl };
      return { target: each, machine: known(machine({ guest: known({ ...ill, registration }) })) };
    }),
  });

  const diagnosis = diagnose(observation, null, DEFAULT_HEALTH_POLICY);
  const { prescriptions, withheld } = prescribe(diagnosis, observation, { ledgers: {}, policy: DEFAULT_HEALTH_POLICY });
  const { findings, runners } = diagnosis;
  expect(findings.length).toBeGreaterThan(4 * COUNT);
  const started = prescriptions.map((cure) => ({
    ...cure,
    workflowId: `cure/${cure.runner}`,
    outcome: 'recovered',
    summary: 'x'.repeat(200),
  }));
  expect(started).toHaveLength(COUNT);

  const { open } = advance([], { at: observation.at, findings, unreadable: [], unread: [] }, 3);
  const told = listed({ findings, started, withheld });
  expect(told.findings.every(({ severity }) => severity === 'critical')).toBe(true);
  const report = { ...told, runners, memory: { ...diagnosis.memory, open } };
  expect(JSON.stringify(report).length).toBeLessThan(TEMPORAL_TAKES / 1.5);
  const resolved = { targets, previous: diagnosis.memory, open };
  expect(JSON.stringify(resolved).length).toBeLessThan(TEMPORAL_TAKES / 1.5);
  expect(healthSentence({ runners, findings, started, outcome: 'cured' }).length).toBeLessThan(1_000);
});

const R1 = 'acme/kernel/r1';
const DRAINED = diagnosed({ code: 'drained', severity: 'info', cure: null });
const CURE: StartedCure = {
  runner: R1,
  cure: 'recover',
  because: 'service-failed',
  workflowId: 'cure/acme/kernel/r1',
  outcome: 'recovered',
  summary: 'r1 is online again',
};

function outcome(
  findings: Parameters<typeof healthOutcome>[0]['findings'],
  verdict: 'healthy' | 'down',
  started: readonly StartedCure[] = [],
) {
  return healthOutcome({
    observation: pass({}),
    runners: [{ runner: R1, verdict }],
    findings,
    started,
    goodOutcomes: () => ['recovered'],
  });
}

describe('a pass ends', () => {
  test('healthy only where all runners are', () => {
    expect(outcome([], 'healthy')).toBe('healthy');
    expect(outcome([DRAINED], 'down')).toBe('left-alone');
    expect(outcome([diagnosed()], 'down')).toBe('unhealthy');
    expect(outcome([diagnosed()], 'down', [CURE])).toBe('cured');
    expect(outcome([diagnosed()], 'down', [{ ...CURE, outcome: null }])).toBe('curing');
  });
});

describe('its sentence', () => {
  const one = [{ runner: R1, verdict: 'down' }] as const;
  test.each([
    ['unhealthy', one, [diagnosed()], [], 'acme/kernel/r1 is down; the service of r1 is failed'],
    ['left-alone', one, [DRAINED], [], 'acme/kernel/r1 is drained'],
    ['curing', one, [diagnosed()], [{ ...CURE, summary: null }], 'acme/kernel/r1 is down; recovery of acme/kernel/r1: at work'],
    ['cured', one, [diagnosed()], [CURE], 'acme/kernel/r1 was down; recovery of acme/kernel/r1: r1 is online again'],
    [
      'cured',
      [...one, { runner: 'acme/kernel/r2', verdict: 'healthy' }],
      [diagnosed()],
      [CURE],
      '1 of 2 was down; recovery of acme/kernel/r1: r1 is online again',
    ],
  ] as const)('%s: %5$s', (ended, runners, findings, started, sentence) => {
    expect(healthSentence({ runners, findings, started, outcome: ended })).toBe(sentence);
  });
});

test('nobody is told to do what a cure has begun to do', () => {
  const [curable, disk, other] = tellCures(
    [diagnosed(), diagnosed({ code: 'disk-low', cure: null }), diagnosed({ subject: 'acme/kernel/r2' })],
    [{ runner: R1, cure: 'recover' }],
  );
  expect(curable?.advice).toBe(
    'nothing yet: the recovery has begun by itself; if this is not over in 30 min, run `runward recover --runner r1`',
  );
  expect([disk?.advice, other?.advice]).toEqual([diagnosed().advice, diagnosed().advice]);
});
