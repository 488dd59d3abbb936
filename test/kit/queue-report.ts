// Builders of what queue care reports; every field has a value of a queue in good order that a test replaces.

import type { QueueReport, ToldAct } from '../../src/domain/queue/report.ts';

export function toldAct(replaced: Partial<ToldAct> = {}): ToldAct {
  return {
    run: 34_000_000_001,
    attempt: 1,
    rule: 'stale',
    workflow: 'CI',
    event: 'push',
    branch: 'main',
    evidence: 'queued for 5 h 12 min, 1 job waits for [bpf-lsm, self-hosted], none started',
    end: 'cancelled',
    detail: 'cancelled',
    ...replaced,
  };
}

export function queueReport(replaced: Partial<QueueReport> = {}): QueueReport {
  return {
    outcome: 'nothing-to-do',
    scope: 'acme/kernel',
    summary: '2 runs queued in acme/kernel: nothing to do',
    observedAt: '2026-11-24T10:00:00.000Z',
    mode: 'act',
    dryRun: false,
    rules: { stale: 'on', superseded: 'on', prioritizePullRequests: 'on', paths: 'off' },
    queue: { queued: 2, inProgress: 1, waiting: 0, pending: 0, requested: 0, stale: 0, parked: 0, setAside: 0 },
    counts: {},
    byRule: {},
    acts: [],
    left: [],
    refusals: [],
    notes: [],
    aging: null,
    planned: 0,
    isCut: false,
    unread: 0,
    durationMs: 1_200,
    ...replaced,
  };
}
