import { isGood } from '../../src/cli/operation-text.ts';
import { describe, expect, test } from 'vitest';
import { diagnose } from '../../src/domain/diagnose.ts';
import type { StartedCure } from '../../src/domain/health-report.ts';
import { healthOutcome, healthSentence, listed, withNextSteps } from '../../src/domain/health-summary.ts';
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
  expect(prescriptions).toHaveLength(1);
  expect(withheld.length).toBeGreaterThanOrEqual(COUNT - 1);
  const started = diagnosis.runners.map(({ runner }) => ({
    ...prescriptions[0]!,
    runner,
    workflowId: `cure/${runner}`,
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
  expect(healthSentence({ scope: 'acme-engineering/kernel-testing', runners, findings, started, outcome: 'cured' }).length).toBeLessThan(
    300,
  );
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
  });
}

describe('a pass ends', () => {
  test('healthy only where all runners are', () => {
    expect(outcome([], 'healthy')).toBe('healthy');
    expect(outcome([DRAINED], 'down')).toBe('left-alone');
    expect(outcome([diagnosed()], 'down')).toBe('unhealthy');
    expect(outcome([diagnosed()], 'down', [CURE])).toBe('cured');
    expect(outcome([diagnosed()], 'down', [{ ...CURE, outcome: null }])).toBe('curing');
    for (const ended of ['undone', 'some-room']) {
      expect(outcome([diagnosed()], 'down', [{ ...CURE, outcome: ended }])).toBe('cured');
      expect(isGood({ outcome: ended })).toBe(true);
    }
  });
});

describe('its sentence', () => {
  const one = [{ runner: R1, verdict: 'down' }] as const;
  const fleet = (down: number, of: number) =>
    Array.from({ length: of }, (_, index) => ({
      runner: `acme/kernel/b-${index}`,
      verdict: index < down ? ('down' as const) : ('healthy' as const),
    }));
  const cureOf = (index: number, replaced: Partial<StartedCure> = {}): StartedCure => ({
    ...CURE,
    runner: `acme/kernel/b-${index}`,
    ...replaced,
  });
  test.each([
    ['unhealthy', one, [diagnosed()], [], 'r1 is down; the service of r1 is failed'],
    ['left-alone', one, [DRAINED], [], 'r1 is drained'],
    ['curing', one, [diagnosed()], [{ ...CURE, outcome: null, summary: null }], 'r1 is down; recovery of r1: at work'],
    ['cured', one, [diagnosed()], [CURE], 'r1 is healthy; recovery of r1: r1 is online again'],
    ['not-cured', one, [diagnosed()], [{ ...CURE, outcome: 'failed', summary: 'no answer' }], 'r1 is down; recovery of r1: no answer'],
    [
      'cured',
      [...one, { runner: 'acme/kernel/r2', verdict: 'healthy' }],
      [diagnosed()],
      [CURE],
      'all 2 healthy; recovery of r1: r1 is online again',
    ],
    ['unhealthy', fleet(5, 30), [], [], '5 of 30 down: b-0, b-1 and 3 more'],
    ['cured', fleet(5, 30), [], [0, 1, 2, 3, 4].map((index) => cureOf(index)), 'all 30 healthy; recovery of b-0, b-1 and 3 more: done'],
    [
      'not-cured',
      fleet(3, 30),
      [],
      [cureOf(0), cureOf(1), cureOf(2, { outcome: 'failed', summary: 'no answer' })],
      '1 of 30 down: b-2; recovery of b-0, b-1: done; recovery of b-2: no answer',
    ],
  ] as const)('%s: %5$s', (ended, runners, findings, started, sentence) => {
    expect(healthSentence({ scope: 'acme/kernel', runners, findings, started, outcome: ended })).toBe(sentence);
  });
});

describe('what is left to do is told', () => {
  const decided = { scope: 'acme/kernel', at: Date.UTC(2026, 10, 24, 2, 50), mode: 'act', begun: [], withheld: [] } as const;

  test('of what a cure has begun to do only if it does not last', () => {
    const found = [diagnosed(), diagnosed({ code: 'runner-elsewhere', cure: null }), diagnosed({ code: 'labels-differ', cure: null })];
    const [curable, elsewhere, labels] = withNextSteps(found, {
      ...decided,
      begun: [{ runner: R1, cure: 'recover' }],
    });
    expect(curable?.advice).toBe(
      'the recovery has begun; nothing to do unless it is still so at 03:20 UTC: run `runward recover --runner r1`',
    );
    expect(elsewhere?.advice).toBe(curable?.advice);
    expect(labels?.advice).toBe(diagnosed().advice);
  });

  test('of what a cure is at work about only until the time that it was given at its begin is over', () => {
    const cure = (since: number) => ({ runner: R1, workflowId: 'cure/acme/kernel/r1', type: 'recoverRunner', since, waitsFor: 'x' });
    const told = (since: number) =>
      withNextSteps([diagnosed()], { ...decided, begun: [{ runner: R1, cure: 'recover' }], cures: [cure(since)] })[0];
    expect(told(decided.at - 20 * 60_000)).toMatchObject({
      isBeingCured: true,
      advice: expect.stringContaining('nothing to do unless it is still so at 03:00 UTC'),
    });
    const late = told(decided.at - 30 * 60_000);
    expect(late?.isBeingCured).toBeUndefined();
    expect(late?.advice).toBe('its recovery has not ended since 02:20 UTC: run `runward recover --runner r1`');
  });

  test('of what somebody else is at work on, not at all', () => {
    const [curable, labels] = withNextSteps([diagnosed(), diagnosed({ code: 'labels-differ', cure: null })], {
      ...decided,
      withheld: [{ runner: R1, because: 'service-failed', why: 'a dry run', reason: 'watch' }],
      atWork: new Map([[R1, { workflowId: 'by-hand', type: 'recoverRunner', since: decided.at - 4_600 }]]),
    });
    expect(curable?.advice).toBe('nothing yet: being recovered for 4.6 s (by-hand)');
    expect(labels?.advice).toBe(diagnosed().advice);
  });

  test('of what was left as it is by the reason', () => {
    const why = 'seen once: the next scheduled check confirms before acting';
    const [waiting] = withNextSteps([diagnosed()], {
      ...decided,
      withheld: [{ runner: R1, because: 'service-failed', why, reason: 'not-proven' }],
    });
    expect(waiting?.advice).toBe('waiting: the next check confirms before acting; now: `runward recover --runner r1`');
  });
});
