import { describe, expect, test } from 'vitest';
import { eventText, isTrouble } from '../../src/cli/event-text.ts';
import type { FindingChanged, OperationEnded, QueueMaintained } from '../../src/domain/event.ts';

function ended(replaced: Partial<OperationEnded> = {}): OperationEnded {
  return {
    kind: 'operation-ended',
    workflowId: 'cure/acme/kernel/r1',
    type: 'recoverRunner',
    runner: 'r1',
    scope: 'acme/kernel',
    trigger: 'check',
    cause: { code: 'service-inactive', summary: 'the service of r1 is inactive' },
    outcome: 'recovered',
    summary: 'r1 is online again after start-service',
    reason: 'the service of r1 is inactive',
    durationMs: 3_000,
    ...replaced,
  };
}

function changed(replaced: Partial<FindingChanged> = {}): FindingChanged {
  return {
    kind: 'finding-opened',
    workflowId: 'finding/acme/kernel/r1/disk-low',
    subject: 'acme/kernel/r1',
    scope: 'acme/kernel',
    runner: 'r1',
    code: 'disk-low',
    severity: 'warning',
    summary: 'the disk of m1 is nearly full',
    advice: 'make room',
    since: '2026-11-24T10:00:00.000Z',
    durationMs: 0,
    ...replaced,
  };
}

const queue: QueueMaintained = {
  kind: 'queue-maintained',
  workflowId: 'maintain-queue/acme/kernel-2026-11-24T10:00:00Z',
  scope: 'acme/kernel',
  trigger: 'schedule',
  outcome: 'done',
  counts: { cancelled: 3, spared: 1 },
  summary: '4 runs queued',
  durationMs: 900,
};

describe('a line says what broke, what came of it, and where more stands', () => {
  test.each<readonly [Partial<OperationEnded>, string]>([
    [{}, 'r1 down: service inactive → online again after 3.0 s'],
    [{ cause: { code: 'machine-stopped', summary: 'machine m1 is stopped' } }, 'r1 down: machine stopped → online again after 3.0 s'],
    [
      { cause: { code: 'runner-offline', summary: 'GitHub shows r1 offline' } },
      'r1 down: GitHub shows it offline → online again after 3.0 s',
    ],
    [{ cause: { code: 'new-code', summary: 'something of r1 broke' } }, 'r1 down: something of r1 broke → online again after 3.0 s'],
    [
      { outcome: 'failed', summary: 'config.sh exited 1', durationMs: 12_000 },
      'r1 down: service inactive → recovery failed after 12 s: config.sh exited 1',
    ],
    [{ outcome: 'refused-busy', summary: 'a job runs' }, 'r1 down: service inactive → not done: a job runs'],
    [{ outcome: 'cancelled', summary: 'cancelled' }, 'r1 down: service inactive → cancelled after 3.0 s'],
    [
      { type: 'makeRoom', outcome: 'room-made', cause: { code: 'disk-low', summary: 'the disk of m1 is nearly full' } },
      'r1: disk nearly full → disk space freed after 3.0 s',
    ],
    [
      { type: 'fetchPackage', outcome: 'fetched', cause: { code: 'package-missing', summary: 'no package of the runner is there' } },
      'r1: no package of the runner kept → package of the runner stored after 3.0 s',
    ],
    [
      {
        type: 'fetchPackage',
        outcome: 'not-fetched',
        summary: 'no way out',
        cause: { code: 'package-outdated', summary: 'there is a newer one' },
      },
      'r1: package of the runner outdated → fetching of its package not-fetched after 3.0 s: no way out',
    ],
    [{ cause: null, trigger: 'manual', reason: null }, 'r1: manual recovery → online again after 3.0 s'],
    [
      { cause: null, trigger: 'manual', type: 'drainRunner', outcome: 'drained', reason: 'new disk' },
      'r1: manual drain (new disk) → drained after 3.0 s',
    ],
    [{ cause: null, trigger: 'check', type: 'resumeRunner', outcome: 'resumed', reason: null }, 'r1: resume → resumed after 3.0 s'],
  ])('%j', (replaced, text) => {
    expect(eventText(ended(replaced))).toBe(`${text} · runward explain cure/acme/kernel/r1`);
  });

  test('an operation that is under way', () => {
    const { outcome: _outcome, summary: _summary, reason: _reason, durationMs: _durationMs, ...begun } = ended();
    expect(eventText({ ...begun, kind: 'operation-began' })).toBe(
      'r1 down: service inactive → under way · runward explain cure/acme/kernel/r1',
    );
  });

  test('a finding', () => {
    const explain = '· runward explain finding/acme/kernel/r1/disk-low';
    expect(eventText(changed())).toBe(`r1 warning: the disk of m1 is nearly full → make room ${explain}`);
    expect(eventText(changed({ kind: 'finding-worse', severity: 'critical' }))).toBe(
      `r1 now critical: the disk of m1 is nearly full → make room ${explain}`,
    );
    expect(eventText(changed({ kind: 'finding-over', durationMs: 25 * 60_000 }))).toBe(
      `r1 over after 25 min: the disk of m1 is nearly full ${explain}`,
    );
    expect(eventText(changed({ runner: null, subject: 'host/mini' }))).toMatch(/^host\/mini warning: /);
  });

  test('the queue', () => {
    const explain = '· runward explain maintain-queue/acme/kernel-2026-11-24T10:00:00Z';
    expect(eventText(queue)).toBe(`acme/kernel queue: 3 cancelled, 1 spared ${explain}`);
    expect(eventText({ ...queue, outcome: 'failed', counts: {}, summary: 'GitHub was silent' })).toBe(
      `acme/kernel queue maintenance failed: GitHub was silent ${explain}`,
    );
  });

  test('stays one line, whatever strangers wrote', () => {
    expect(eventText(ended({ outcome: 'failed', summary: 'one\ntwo\u001B[31m' }))).toContain(': one two [31m ·');
  });
});

test('somebody should look at what did not work out, and at what opened', () => {
  expect([ended(), changed({ kind: 'finding-over' }), queue].map(isTrouble)).toEqual([false, false, false]);
  expect([ended({ outcome: 'failed' }), changed(), { ...queue, outcome: 'partly' as const }].map(isTrouble)).toEqual([true, true, true]);
});
