import type { RecoveryPolicy } from './policy.ts';
import { busyMachineReason, describeOffset, evidenceOf, type Look } from './recovery.ts';
import type { GitHubObservation, GuestObservation, RunnerTarget } from './runner.ts';

/** What both sides say of a guest's clock and of the jobs that setting it could disturb, or why one of them is not known. */
export type ClockReading =
  | { readonly kind: 'read'; readonly github: GitHubObservation; readonly guest: GuestObservation }
  | { readonly kind: 'unread'; readonly why: string };

export function readClock({ machine: name }: RunnerTarget, { github, machine }: Look): ClockReading {
  if (!github.known) {
    return { kind: 'unread', why: `GitHub could not be read, so nothing was touched: ${github.why}` };
  }
  if (!machine.known) {
    return { kind: 'unread', why: `machine ${name} could not be read: ${machine.why}` };
  }
  const { guest, state } = machine.value;
  if (!guest.known) {
    return {
      kind: 'unread',
      why: state === 'running' ? `the clock of ${name} could not be read: ${guest.why}` : `machine ${name} is ${state}`,
    };
  }
  return { kind: 'read', github: github.value, guest: guest.value };
}

/** What setting the clock would do after a look. */
export type ClockDecision = { readonly evidence: readonly string[] } & (
  | { readonly kind: 'sync' | 'already-right'; readonly offset: string }
  | { readonly kind: 'refused-busy' | 'impossible'; readonly why: string }
);

/** `force` sets it beside a running job, too. */
export function decideClock(
  target: RunnerTarget,
  look: Look,
  { driftThresholdMs }: Pick<RecoveryPolicy, 'driftThresholdMs'>,
  force = false,
): ClockDecision {
  const evidence = evidenceOf(look);
  const reading = readClock(target, look);
  if (reading.kind === 'unread') {
    return { kind: 'impossible', why: reading.why, evidence };
  }
  const { clockOffsetMs } = reading.guest;
  if (Math.abs(clockOffsetMs) < driftThresholdMs) {
    return { kind: 'already-right', offset: describeOffset(clockOffsetMs), evidence };
  }
  const busy = force ? null : busyMachineReason(reading.github, reading.guest);
  return busy === null ? { kind: 'sync', offset: describeOffset(clockOffsetMs), evidence } : { kind: 'refused-busy', why: busy, evidence };
}
