import { lacking } from '../cordon.ts';
import { allListeners } from '../recovery.ts';
import {
  hasSettled,
  isBrokenTwice,
  isEphemeral,
  isGuestRead,
  isOfflineTwice,
  mayRun,
  shortened,
  spanOf,
  wasSeenBefore,
  type Situation,
} from '../situation.ts';
import { MACHINE_AWAY } from './machine.ts';
import { recoverAdvice, type Rule } from './rule.ts';

// What GitHub's list shows of a runner, and where the guest contradicts it.

/** GitHub has missed it twice, or the guest shows why it would; while the guest boots neither says anything. */
function isMissedForSure(seen: Situation): boolean {
  const { guest } = seen;
  if (guest === null) {
    return isOfflineTwice(seen);
  }
  const agrees = guest.service.state !== 'active' || guest.listeners === 0 || guest.registration === null;
  return hasSettled(guest) && (agrees || isOfflineTwice(seen));
}

/** A machine that does not run is a matter of its own. */
function cureOfMissed({ state }: Situation): 'recover' | null {
  return state === null || state === 'running' ? 'recover' : null;
}

/** Nothing can be done in a machine that is not there, or does not answer. */
function adviceOfMissed(seen: Situation): string {
  const isAway = seen.state === null || seen.state === 'missing' || seen.state === 'deleted';
  return isAway ? `see to its machine first; then ${recoverAdvice(seen)}` : recoverAdvice(seen);
}

function missingLabels({ target, registered, cordoned }: Situation): readonly string[] {
  return registered === null ? [] : lacking([...registered.labels, ...cordoned], target.labels);
}

/** Labels that a drain took away at GitHub, of a runner that is drained no more. */
function lostLabels({ registered, guest, earlier }: Situation): readonly string[] {
  return registered === null || guest === null || guest.drain !== null ? [] : lacking(registered.labels, earlier.cordoned ?? []);
}

const SERVICE_DOWN = ['inactive', 'failed', 'missing', 'activating', 'deactivating', 'reloading', 'looping'].map(
  (state) => `service-${state}`,
);

export const REGISTRATION_RULES: readonly Rule<Situation>[] = [
  {
    code: 'runner-unregistered',
    severity: 'critical',
    when: ({ standing }) => (standing === 'unregistered' ? 'GitHub lists no runner of this name' : null),
    summary: ({ target }) => `${target.runner} is not registered at ${target.scope}`,
    advice: adviceOfMissed,
    cure: cureOfMissed,
    isProven: isMissedForSure,
    explainedBy: ['registration-deleted', 'directory-taken'],
  },
  {
    code: 'runner-offline',
    severity: 'critical',
    when: ({ standing, registered, demand }) =>
      standing === 'offline'
        ? `runner id ${registered?.id}${(demand ?? []).length > 0 ? `, run ${demand?.[0]?.runId} waits for it` : ''}`
        : null,
    summary: ({ target }) => `GitHub shows ${target.runner} offline`,
    advice: adviceOfMissed,
    cure: cureOfMissed,
    isProven: isMissedForSure,
    explainedBy: [
      ...MACHINE_AWAY,
      ...SERVICE_DOWN,
      'listener-missing',
      'configuration-missing',
      'installation-broken',
      'work-folder-broken',
      'session-conflict',
      'directory-taken',
      'registration-mismatch',
      'version-retired',
      'github-outage',
      'clock-drift',
      'stuck-busy',
      'drained',
    ],
  },
  {
    code: 'runner-status-unknown',
    severity: 'warning',
    when: ({ standing, registered }) => (standing === 'unknown' && registered !== null ? `GitHub's word: ${registered.status}` : null),
    summary: ({ target }) => `GitHub shows ${target.runner} neither online nor offline`,
    advice: () => 'see the runner on GitHub; nothing is changed while it is unknown',
  },
  {
    code: 'runner-unlisted',
    severity: 'warning',
    when: ({ unproven }) => (unproven === null ? null : shortened(unproven)),
    summary: ({ target }) => `GitHub's list lacks ${target.runner}, which may be registered all the same`,
    advice: ({ target }) =>
      `see the runner on GitHub; nothing is changed while it is unknown. If it is gone there, run \`runward recover --runner ${target.runner} --force\``,
    isProven: (seen) => wasSeenBefore(seen, seen.earlier.unlistedSince),
  },
  {
    code: 'runner-elsewhere',
    severity: 'critical',
    when: ({ standing, state, guest }) => {
      if (standing !== 'online' || state === null) {
        return null;
      }
      const isAbsent = guest === null ? !mayRun(state) : allListeners(guest) === 0;
      return isAbsent ? `GitHub: online; ${guest === null ? `its machine is ${state}` : 'no listener in its machine'}` : null;
    },
    summary: ({ target }) => `${target.runner} is online, but not in ${target.machine}`,
    advice: () => 'look for another machine that uses this name, and give one of them another; if there is none, GitHub is late',
    // GitHub shows a runner that is gone as online for a minute or more, and an operation at work in the guest may have stopped it.
    isProven: (seen) => isBrokenTwice(seen) && (seen.guest === null || seen.guest.runningAct === null),
    explainedBy: ['drained'],
  },
  {
    code: 'registration-mismatch',
    severity: 'critical',
    when: ({ registered, guest }) => {
      const inGuest = guest?.registration?.agentId;
      return registered === null || inGuest === undefined || registered.id === inGuest
        ? null
        : `GitHub: id ${registered.id}, machine: id ${inGuest}`;
    },
    summary: ({ target }) => `${target.runner} is configured under another registration than GitHub shows`,
    advice: (seen) => `look for a second machine that uses this name; then ${recoverAdvice(seen)}`,
    cure: ({ standing }) => (standing === 'offline' ? 'recover' : null),
    explainedBy: ['directory-taken', 'runner-elsewhere'],
  },
  {
    code: 'labels-lost',
    severity: 'critical',
    when: (seen) => (lostLabels(seen).length > 0 ? `GitHub lacks ${lostLabels(seen).join(', ')}` : null),
    summary: ({ target }) => `${target.runner} is drained no more, and lacks labels that its drain took away`,
    advice: ({ target }) =>
      `give them back on GitHub; \`runward runner resume --runner ${target.runner}\` does it for the configured ones if it has none`,
    // The list may have been read before the last act of a resume, and its guest after it.
    isProven: ({ earlier }) => earlier.drainedSince === null,
    isRead: (seen) => seen.standing !== 'unknown' && isGuestRead(seen),
  },
  {
    code: 'labels-differ',
    severity: 'warning',
    when: (seen) => (missingLabels(seen).length > 0 ? `GitHub lacks ${missingLabels(seen).join(', ')}` : null),
    summary: ({ target }) => `${target.runner} is registered under other labels than configured`,
    advice: (seen) =>
      `set the labels on GitHub, or change RUNNER_LABELS or the file's \`labels\`; \`runward recover --runner ${seen.target.runner} --force\` registers it anew`,
    explainedBy: ['labels-lost'],
  },
  {
    code: 'group-differs',
    severity: 'warning',
    when: ({ target, registered }) => {
      const shown = registered?.group ?? null;
      return target.group === null || shown === null || shown.toLowerCase() === target.group.toLowerCase()
        ? null
        : `GitHub: group ${shown}`;
    },
    summary: ({ target }) => `${target.runner} is not in group ${target.group}`,
    advice: () => "move it to its group on GitHub, or change the file's `group`",
    isRead: ({ target, registered }) => target.group === null || registered === null || registered.group !== null,
  },
  {
    code: 'ephemeral-runner',
    severity: 'warning',
    when: (seen) =>
      isEphemeral(seen) ? (seen.registered === null ? 'it was ephemeral' : `runner id ${seen.registered.id} is ephemeral`) : null,
    summary: ({ target }) => `${target.runner} goes after one job, by design, so it is not brought back`,
    advice: ({ target }) => `take ${target.runner} out of the configuration, or register it without \`--ephemeral\``,
    isRead: ({ standing }) => standing !== 'unknown',
  },
  {
    code: 'removal-coming',
    severity: 'warning',
    when: ({ standing, earlier, at, policy }) => {
      if (standing !== 'offline' || earlier.offlineSince === null) {
        return null;
      }
      const leftMs = earlier.offlineSince + policy.removedAfterMs - at;
      return leftMs <= policy.removalWarningMs
        ? `offline for ${spanOf(at - earlier.offlineSince)}, ${spanOf(Math.max(0, leftMs))} left`
        : null;
    },
    summary: ({ target, policy }) => `GitHub removes ${target.runner} after ${spanOf(policy.removedAfterMs)} offline`,
    advice: ({ target }) => `bring it online for a moment: \`runward recover --runner ${target.runner}\``,
  },
];
