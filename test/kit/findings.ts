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
