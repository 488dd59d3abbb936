// Builders of what a health check reports; every field has a value of a scope in good health that a test replaces.

import type { Diagnosed } from '../../src/domain/finding.ts';
import type { HealthReport, PassFigures } from '../../src/domain/health-report.ts';

export function diagnosed(replaced: Partial<Diagnosed> = {}): Diagnosed {
  return {
    code: 'service-failed',
    severity: 'critical',
    subject: 'acme/kernel/r1',
    summary: 'the service of r1 is failed',
    evidence: 'actions.runner.acme-kernel.r1.service',
    advice: 'run `runward recover --runner r1`',
    isProven: true,
    cure: 'recover',
    ...replaced,
  };
}

function figures(replaced: Partial<PassFigures> = {}): PassFigures {
  return {
    runners: 2,
    healthy: 2,
    degraded: 0,
    down: 0,
    unknown: 0,
    findings: 0,
    started: 0,
    withheld: 0,
    githubRequests: 4,
    githubUnchanged: 4,
    machineCalls: 3,
    lookMs: 800,
    ...replaced,
  };
}

export function healthReport(replaced: Partial<HealthReport> = {}): HealthReport {
  return {
    outcome: 'healthy',
    scope: 'acme/kernel',
    summary: 'all 2 healthy',
    observedAt: '2026-11-24T10:00:00.000Z',
    mode: 'act',
    runners: [],
    findings: [],
    started: [],
    withheld: [],
    figures: figures(),
    memory: { at: 0, runners: {}, open: [] },
    ...replaced,
  };
}
