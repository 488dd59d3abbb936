import { busyAloneMs, isIdleDespiteDemand, spanOf, waitedMs, wasSeenBefore, type Situation } from '../situation.ts';
import { MACHINE_AWAY } from './machine.ts';
import type { Rule } from './rule.ts';

// What a runner does with jobs, where both sides look well by themselves.

/** It listens for long enough to have been offered the job. */
function deafEvidence(seen: Situation): string | null {
  const { demand, github, guest, policy } = seen;
  const [job] = demand ?? [];
  if (job === undefined || !github.known || isIdleDespiteDemand(seen) !== true) {
    return null;
  }
  const waited = waitedMs(job, github.value);
  const listensMs = guest?.log.startedAgoMs ?? waited;
  return Math.min(waited, listensMs) >= policy.deafAfterMs ? `a job of run ${job.runId} has waited for ${spanOf(waited)}` : null;
}

export const JOB_RULES: readonly Rule<Situation>[] = [
  {
    code: 'deaf-listener',
    severity: 'critical',
    when: deafEvidence,
    summary: ({ target }) => `${target.runner} is online and idle, and does not take a job that waits for it`,
    advice: ({ target }) =>
      `run \`runward recover --runner ${target.runner} --force\`; if the queue does not move then, look at githubstatus.com`,
    cure: 'recover',
    isProven: (seen) => wasSeenBefore(seen, seen.earlier.idleDespiteDemandSince),
    isRead: ({ demand }) => demand !== null,
  },
  {
    code: 'stuck-busy',
    severity: 'critical',
    when: (seen) => {
      const aloneMs = busyAloneMs(seen);
      return aloneMs === null || aloneMs < seen.policy.stuckBusyAfterMs ? null : `no Runner.Worker in its guest for ${spanOf(aloneMs)}`;
    },
    summary: ({ target }) => `GitHub calls ${target.runner} busy, and no job runs there`,
    advice: ({ target }) => `run \`runward recover --runner ${target.runner} --force\``,
    cure: 'recover',
    explainedBy: [...MACHINE_AWAY, 'drained', 'drain-unfinished', 'directory-taken'],
  },
];
