import { describe, expect, test } from 'vitest';
import type { StartedCure } from '../../src/domain/health-report.ts';
import { healthOutcome, healthSentence, tellCures } from '../../src/domain/health-summary.ts';
import { pass } from '../kit/observations.ts';
import { diagnosed } from '../kit/health-report.ts';

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
