import { describe, expect, test } from 'vitest';
import type { CureKind } from '../../src/domain/finding.ts';
import type { Withheld, WithheldReason } from '../../src/domain/health-report.ts';
import { nextStep, type Around, type Told } from '../../src/domain/next-step.ts';

const NOW = Date.UTC(2026, 10, 24, 2, 50);
const RECOVER = 'run `runward recover --runner r1`';

function told(code: string, cure: CureKind | null = 'recover', advice = RECOVER): Told {
  return { code, severity: 'critical', summary: 'it is bad', evidence: 'seen', advice, cure, runner: 'r1' };
}

const CHECKED: Around = {
  now: NOW,
  mode: 'act',
  checks: { kind: 'scheduled', at: NOW + 32_000 },
  atWork: null,
  job: null,
  withheld: null,
};

function without(reason: WithheldReason, more: Partial<Withheld> = {}): Around {
  return { ...CHECKED, withheld: { runner: 'acme/kernel/r1', because: 'x', why: 'the reason', reason, ...more } };
}

const RECOVERY = { workflowId: 'cure/acme/kernel/r1', type: 'recoverRunner', since: NOW - 4_600 };

test('an operation that should be over is no comfort, but for a drain', () => {
  const since = NOW - 30 * 60_000;
  expect(nextStep(told('service-inactive'), { ...CHECKED, atWork: { ...RECOVERY, since } })).toEqual({
    handledBy: null,
    advice:
      'it should be over: being recovered for 30 min (cure/acme/kernel/r1); `runward explain cure/acme/kernel/r1` shows what it waits for',
  });
  expect(nextStep(told('service-inactive'), { ...CHECKED, atWork: { ...RECOVERY, since: since + 1 } }).handledBy).toBe('operation');
  expect(nextStep(told('service-inactive'), { ...CHECKED, atWork: { workflowId: 'd', type: 'drainRunner', since } }).handledBy).toBe(
    'operation',
  );
});

describe('what to do next', () => {
  test.each<[name: string, Told, Around, advice: string, handledBy: 'check' | 'operation' | null]>([
    [
      'a service that the next check starts',
      told('service-inactive'),
      CHECKED,
      'the next check in 32 s starts it; now: `runward recover --runner r1`',
      'check',
    ],
    [
      'a machine that the next check starts',
      told('machine-stopped'),
      CHECKED,
      'the next check in 32 s starts it; now: `runward recover --runner r1`',
      'check',
    ],
    [
      'a runner that the next check recovers, and nobody says when',
      told('runner-offline'),
      { ...CHECKED, checks: { kind: 'some-time' } },
      'the next check recovers it; now: `runward recover --runner r1`',
      'check',
    ],
    [
      'advice of more than a command',
      told('session-conflict', 'recover', `look for a clone; then ${RECOVER}`),
      CHECKED,
      'the next check in 32 s recovers it; now: look for a clone; then run `runward recover --runner r1`',
      'check',
    ],
    ['a clock', told('clock-drift', 'sync-clock'), CHECKED, 'the next check in 32 s sets it; now: `runward recover --runner r1`', 'check'],
    [
      'a disk',
      told('disk-low', 'make-room', 'remove things'),
      CHECKED,
      'the next check in 32 s frees disk space; now: remove things',
      'check',
    ],
    [
      'a recovery at work',
      told('runner-elsewhere', null, 'look for another machine'),
      { ...CHECKED, atWork: RECOVERY },
      'nothing yet: being recovered for 4.6 s (cure/acme/kernel/r1)',
      'operation',
    ],
    [
      'a recovery at work, and labels that it does not set',
      told('labels-differ', null, 'set the labels'),
      { ...CHECKED, atWork: RECOVERY },
      'set the labels',
      null,
    ],
    [
      'a recovery at work, and a disk that it does not free',
      told('disk-low', 'make-room', 'remove things'),
      { ...CHECKED, atWork: RECOVERY },
      'the next check in 32 s frees disk space; now: remove things',
      'check',
    ],
    [
      'upkeep at work',
      told('disk-low', 'make-room', 'remove things'),
      { ...CHECKED, atWork: { ...RECOVERY, type: 'makeRoom', since: null } },
      'nothing yet: disk space being freed (cure/acme/kernel/r1)',
      'operation',
    ],
    [
      'a recovery at work, and a finding of the whole scope',
      { ...told('github-unknown', null, 'wait'), runner: null },
      { ...CHECKED, atWork: RECOVERY },
      'wait',
      null,
    ],
    [
      'a busy runner that is shown offline',
      told('runner-offline'),
      without('job'),
      'a job runs: wait for it (`runward recover --runner r1 --force` cuts it)',
      'check',
    ],
    [
      'the same with a job that has a name',
      told('runner-offline'),
      { ...without('job'), job: { name: 'kernel 6.6', run: 42 } },
      'the job "kernel 6.6" of run 42 runs: wait for it (`runward recover --runner r1 --force` cuts it)',
      'check',
    ],
    ['a busy runner whose disk is low', told('disk-low', 'make-room', 'remove things'), without('job'), 'a job runs: wait for it', 'check'],
    [
      'an update',
      told('service-inactive'),
      without('busy', { why: 'busy: the runner updates itself' }),
      'busy: the runner updates itself; wait for it',
      'check',
    ],
    [
      'one reading',
      told('runner-offline'),
      without('not-proven'),
      'waiting: the next check in 32 s confirms before acting; now: `runward recover --runner r1`',
      'check',
    ],
    [
      'one reading without a schedule',
      told('runner-offline'),
      { ...without('not-proven'), checks: { kind: 'missing' } },
      'no schedule checks it: `runward schedule apply`; now: `runward recover --runner r1`',
      null,
    ],
    [
      'a budget that is used up',
      told('runner-offline'),
      without('budget', { limit: '3 per 6 h', until: '2026-11-24T08:12:00Z' }),
      'checks recover it again from 08:12 UTC on (3 per 6 h); now: `runward recover --runner r1`',
      null,
    ],
    [
      'a budget that lasts until another day',
      told('runner-offline'),
      without('budget', { limit: 'the last 2 failed', until: '2026-11-25T08:12:00Z' }),
      'checks recover it again from 2026-11-25 08:12 UTC on (the last 2 failed); now: `runward recover --runner r1`',
      null,
    ],
    [
      'a drained runner',
      told('clock-drift'),
      without('drained'),
      'nothing while it is drained; `runward runner resume --runner r1` brings it back',
      null,
    ],
    [
      'a side that is unknown',
      told('runner-offline'),
      without('unknown'),
      'run `runward recover --runner r1`; checks change nothing while a side is unknown',
      null,
    ],
    [
      'a host that woke',
      told('clock-drift'),
      without('just-woke'),
      'nothing yet: its host just woke, and the next check in 32 s looks again',
      'check',
    ],
    [
      'a full disk in the way',
      told('runner-offline'),
      without('disk-full'),
      'free disk space first, since the disk is full; then the next check in 32 s recovers it',
      null,
    ],
    [
      'a cure of a neighbour',
      told('clock-drift', 'sync-clock'),
      without('sharing', { why: 'the cure of r2 concerns its machine as well' }),
      'nothing yet: the cure of r2 concerns its machine as well',
      'check',
    ],
    [
      'watch mode',
      told('service-failed'),
      { ...CHECKED, mode: 'watch' },
      'nothing is changed in watch mode; with `mode: act` a check starts it',
      null,
    ],
    [
      'paused checks',
      told('service-failed'),
      { ...CHECKED, checks: { kind: 'paused' } },
      'checks are paused: `runward schedule resume`; now: `runward recover --runner r1`',
      null,
    ],
    ['nothing known of checks', told('service-failed'), { ...CHECKED, checks: { kind: 'unknown' } }, RECOVER, null],
    ['what no check can mend', told('machine-missing', null, 'make it anew'), CHECKED, 'make it anew', null],
    [
      'a cleaning for which there was no moment',
      { ...told('cleaning-due', 'clean-cache', 'drain it'), severity: 'warning' },
      without('job'),
      'drain it',
      null,
    ],
    [
      'what is only worth knowing',
      { ...told('cleaning-due', 'clean-cache', 'nothing: each check tries it'), severity: 'info' },
      CHECKED,
      'nothing: each check tries it',
      null,
    ],
  ])('%s', (_, finding, around, advice, handledBy) => {
    expect(nextStep(finding, around)).toEqual({ advice, handledBy });
  });
});
