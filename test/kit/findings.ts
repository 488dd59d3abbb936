import type { Alert } from '../../src/domain/alert.ts';
import type { Diagnosed } from '../../src/domain/finding.ts';

/** A finding about a runner that is proven and critical. */
export function aFinding(changes: Partial<Diagnosed> = {}): Diagnosed {
  return {
    code: 'vm-stopped',
    severity: 'critical',
    subject: 'acme/kernel/r1',
    summary: 'its machine m1 is stopped, and a job waits',
    evidence: 'Multipass: stopped. GitHub: offline. 1 job waits for 4 min',
    advice: 'Start it: multipass start m1',
    isProven: true,
    cure: null,
    ...changes,
  };
}

/** What a channel is given when {@link aFinding} opens. */
export function anAlert(changes: Partial<Alert> = {}): Alert {
  const { code, severity, summary, evidence, advice, subject } = aFinding();
  return {
    id: 'acme/kernel/r1/vm-stopped/1/1',
    state: 'opened',
    text: 'acme/kernel/r1: stopped (critical). Start it: multipass start m1',
    ...{ code, severity, summary, evidence, advice, subject },
    scope: 'acme/kernel',
    runner: 'r1',
    host: 'mini',
    since: '2026-11-24T12:00:00.000Z',
    at: '2026-11-24T12:00:01.000Z',
    link: null,
    ...changes,
  };
}
