import { fewOf } from '../few-of.ts';
import { STILL_HANGS } from '../pass.ts';
import { isProviderHung, RESTART_PROVIDER } from '../provider.ts';
import { valueOrNull, type Reading } from '../reading.ts';
import type { MachineState } from '../runner.ts';
import {
  hasSettled,
  isBrokenTwice,
  isDrained,
  isGuestRead,
  isOfflineTwice,
  isSilentTwice,
  LEFT_STOPPED,
  shortened,
  startReason,
  wantedReason,
  type Situation,
} from '../situation.ts';
import type { Rule } from './rule.ts';

// The machine that a runner lives on, and what keeps its time.

function isMissedByGitHub({ standing }: Situation): boolean {
  return standing === 'offline' || standing === 'unregistered';
}

/** Stopped by Runward itself, which is nobody's wish; a drain is. */
function isLeftStopped(seen: Situation): boolean {
  return seen.isLeftStopped && !isDrained(seen);
}

/** Why a machine that should run is started for nobody, or `null`. */
function heldReason(seen: Situation): string | null {
  const { target, notedNeighbours } = seen;
  const wanted = wantedReason(seen);
  return wanted === null || notedNeighbours.length === 0
    ? null
    : `${wanted}, but ${fewOf(notedNeighbours)} was drained while ${target.machine} did not run, and would take jobs if it was started`;
}

function meantSo(seen: Situation): string {
  const { policy, demand } = seen;
  if (policy.autostart === 'never' && isLeftStopped(seen)) {
    return `${LEFT_STOPPED}: a check never starts it, as configured`;
  }
  if (policy.autostart === 'never') {
    return 'a check never starts it, as configured';
  }
  if (isDrained(seen)) {
    return 'stopped on purpose? a drain holds';
  }
  return `stopped on purpose? ${demand === null || !isQueueRead(seen) ? 'whether a job waits for it is unknown' : 'no job waits for it'}`;
}

/** Where there are too many runs for one pass, jobs of the rest may wait unseen. */
function isQueueRead({ github }: Situation): boolean {
  const queue = github.known ? valueOrNull(github.value.queue) : null;
  return queue === null || queue.runsNotRead === 0;
}

/** A machine that does not run may be meant so: only one that is wanted is bad. */
function stoppedRule(state: 'stopped' | 'suspended'): Rule<Situation> {
  return {
    code: `machine-${state}`,
    severity: (seen) => (wantedReason(seen) === null && !isLeftStopped(seen) ? 'info' : 'critical'),
    when: (seen) => (seen.state === state ? (heldReason(seen) ?? startReason(seen) ?? meantSo(seen)) : null),
    summary: ({ target }) => `machine ${target.machine} is ${state}`,
    advice: (seen) => {
      const command = `\`runward recover --runner ${seen.target.runner}\``;
      if (heldReason(seen) !== null) {
        const [neighbour] = seen.notedNeighbours;
        return `run \`runward runner resume --runner ${neighbour}\`, or start ${seen.target.machine} yourself: the next check drains ${neighbour} then`;
      }
      return startReason(seen) === null && !isLeftStopped(seen)
        ? `nothing, if that is meant so; else start it with \`multipass start ${seen.target.machine}\`, or ${command}`
        : `run ${command}`;
    },
    cure: (seen) => (startReason(seen) === null ? null : 'recover'),
    isProven: (seen) => wantedReason(seen) === null || isMissedByGitHub(seen),
  };
}

function goneRule(state: 'missing' | 'deleted'): Rule<Situation> {
  return {
    code: `machine-${state}`,
    severity: 'critical',
    when: (seen) =>
      seen.state !== state
        ? null
        : state === 'missing'
          ? `host ${seen.target.host} lists no instance of this name`
          : 'its host still lists it, as deleted',
    summary: ({ target }) => `machine ${target.machine} is ${state}`,
    advice: ({ target }) =>
      state === 'missing'
        ? `check VM_NAME or the file's \`vm\`, or make ${target.machine} anew`
        : `bring it back with \`multipass recover ${target.machine}\``,
  };
}

const PASSING_STATES = ['starting', 'restarting', 'suspending', 'delayed shutdown'] as const;

/** On its way: bad where it stays so. */
function passingRule(state: (typeof PASSING_STATES)[number]): Rule<Situation> {
  return {
    code: `machine-${state.replaceAll(' ', '-')}`,
    severity: 'warning',
    when: (seen) => (seen.state === state ? `so says host ${seen.target.host}` : null),
    summary: ({ target }) => `machine ${target.machine} is ${state}`,
    advice: () => 'wait; if it stays so, look with `multipass list --no-ipv4`',
    isProven: isBrokenTwice,
  };
}

/** How a person restarts a machine whose guest is dead: a plain `stop` would hang Multipass's daemon. */
function restartText({ target }: Situation): string {
  return `run \`runward recover --runner ${target.runner}\`, which restarts the machine if no job can run there; or by hand, once its runners are idle: \`multipass stop --force ${target.machine}\` and \`multipass start ${target.machine}\``;
}

/** By its own stop Runward has not mended what it was stopped for. */
function isNotLeftStopped(seen: Situation): boolean {
  return !isLeftStopped(seen);
}

/** Whoever is online lives in that guest: its power is not cut. */
function restartCure({ standing, onlineNeighbours }: Situation): 'recover' | null {
  return standing === 'online' || onlineNeighbours.length > 0 ? null : 'recover';
}

function whyOf(reading: Reading<unknown>): string | null {
  return reading.known ? null : reading.why;
}

/** Why machine or guest were not looked at, where the last look still hangs. */
function hangsReason({ machine }: Situation): string | null {
  const why = machine.known ? whyOf(machine.value.guest) : machine.why;
  return why !== null && why.startsWith(STILL_HANGS) ? why : null;
}

export const MACHINE_RULES: readonly Rule<Situation>[] = [
  {
    code: 'machine-hangs',
    severity: (seen) => (isMissedByGitHub(seen) ? 'critical' : 'warning'),
    when: (seen) => {
      const why = hangsReason(seen);
      return why === null ? null : shortened(why);
    },
    summary: ({ target }) => `machine ${target.machine} was skipped, since the last look at it still hangs`,
    advice: restartText,
  },
  {
    code: 'machine-unknown',
    severity: (seen) => (isMissedByGitHub(seen) ? 'critical' : 'warning'),
    when: ({ machine }) => (machine.known ? null : shortened(machine.why)),
    summary: ({ target }) => `machine ${target.machine} could not be asked`,
    advice: ({ machine, target }) =>
      !machine.known && isProviderHung(machine.why)
        ? RESTART_PROVIDER
        : `see to it that \`multipass list --no-ipv4\` answers on host ${target.host} and shows ${target.machine}; nothing is changed while it is unknown`,
    isProven: isSilentTwice,
    explainedBy: ['machine-hangs'],
  },
  stoppedRule('stopped'),
  stoppedRule('suspended'),
  goneRule('missing'),
  goneRule('deleted'),
  ...PASSING_STATES.map(passingRule),
  {
    code: 'machine-unavailable',
    severity: 'critical',
    when: ({ state, target }) => (state === 'unavailable' ? `so says host ${target.host}` : null),
    summary: ({ target }) => `machine ${target.machine} is unavailable`,
    advice: () => 'enable its availability zone',
    isProven: isBrokenTwice,
  },
  {
    code: 'machine-state-unknown',
    severity: 'critical',
    when: ({ state, target }) => (state === 'unknown' ? `so says host ${target.host}` : null),
    summary: ({ target }) => `machine ${target.machine} is in state unknown`,
    advice: (seen) => `wait if it boots for the first time; else ${restartText(seen)}`,
    cure: restartCure,
    isProven: (seen) => isBrokenTwice(seen) && isOfflineTwice(seen),
    isRead: isNotLeftStopped,
  },
  {
    code: 'guest-unreachable',
    severity: ({ standing }) => (standing === 'online' ? 'warning' : 'critical'),
    when: ({ machine }) =>
      machine.known && machine.value.state === 'running' && !machine.value.guest.known ? shortened(machine.value.guest.why) : null,
    summary: ({ target }) => `the guest of ${target.machine} does not answer`,
    advice: restartText,
    cure: restartCure,
    isProven: (seen) => isSilentTwice(seen) && (seen.standing === 'online' || isOfflineTwice(seen)),
    explainedBy: ['machine-hangs'],
    isRead: isNotLeftStopped,
  },
  {
    code: 'time-sync-off',
    severity: 'warning',
    when: ({ guest }) =>
      guest === null || guest.timeSync.isActive
        ? null
        : guest.timeSync.service === null
          ? 'neither systemd-timesyncd nor chrony is installed'
          : `${guest.timeSync.service} is not active`,
    summary: ({ target }) => `nothing keeps the clock of ${target.machine} right`,
    advice: ({ guest }) =>
      guest?.timeSync.service === 'chrony'
        ? 'run `sudo systemctl enable --now chrony` in the guest'
        : 'run `sudo timedatectl set-ntp true` in the guest',
    isProven: ({ guest }) => guest !== null && hasSettled(guest),
    isRead: isGuestRead,
  },
];

/** Codes by which a runner's machine is not there for it. */
export const MACHINE_AWAY: readonly string[] = [
  'guest-unreachable',
  'machine-hangs',
  'machine-state-unknown',
  ...(['stopped', 'suspended', 'missing', 'deleted', 'unavailable', ...PASSING_STATES] satisfies MachineState[]).map(
    (state) => `machine-${state.replaceAll(' ', '-')}`,
  ),
];
