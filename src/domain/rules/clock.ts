import { describeOffset } from '../recovery.ts';
import { driftOf, hasDrifted, hostOffsetOf, type Situation } from '../situation.ts';
import { recoverAdvice, type Rule } from './rule.ts';

/** The host's clock is wrong as well, and the guest follows it. */
function followsHost({ guest, host, policy }: Situation): boolean {
  return guest !== null && hostOffsetOf(host, policy) !== null && Math.abs(guest.clockOffsetMs) < policy.driftThresholdMs;
}

/** Its clock is all that is wrong. */
function isElseWell({ standing, guest }: Situation): boolean {
  return standing === 'online' && guest?.service.state === 'active' && guest.listeners === 1;
}

export const CLOCK_RULES: readonly Rule<Situation>[] = [
  {
    code: 'clock-drift',
    severity: 'critical',
    when: (seen) =>
      hasDrifted(seen) && !followsHost(seen)
        ? hostOffsetOf(seen.host, seen.policy) === null
          ? 'guest compared with host'
          : "guest compared with GitHub, since the host's clock is wrong"
        : null,
    summary: (seen) => `the clock of ${seen.target.machine} is ${describeOffset(driftOf(seen) ?? 0)}`,
    advice: recoverAdvice,
    cure: (seen) => (isElseWell(seen) ? 'sync-clock' : 'recover'),
  },
];
