import { isAlive, strangerReason } from '../recovery.ts';
import { floorReason, resumeObstacle } from '../room.ts';
import type { GuestObservation, ServiceState } from '../runner.ts';
import {
  hasDrifted,
  hasSign,
  isBrokenForSure,
  isBrokenTwice,
  isDrained,
  isGuestRead,
  isLooping,
  isRefusedForSession,
  lastWords,
  momentOf,
  shortened,
  type Situation,
} from '../situation.ts';
import { isDrainedForRoom } from '../upkeep.ts';
import { isOutage } from './version.ts';
import { recoverAdvice, type Rule } from './rule.ts';

// What the guest shows of the runner's service, programs and configuration.

function registrationOf({ registration }: GuestObservation): string {
  return registration === null ? 'not configured' : `${registration.agentName} of ${registration.url}, id ${registration.agentId}`;
}

function drainEvidence({ guest, earlier }: Situation): string {
  const since = momentOf(guest?.drain?.since ?? earlier.drainedSince ?? 0);
  return shortened(guest?.drain == null ? `since ${since}, by an earlier look` : `since ${since}: ${guest.drain.reason}`);
}

function straysEvidence({ listeners, workers, process }: NonNullable<GuestObservation['strays']>): string {
  const others = listeners === 1 ? '' : ` and ${listeners - 1} more`;
  return `process ${process}${others}${workers === 0 ? '' : `, with ${workers} Runner.Worker`}`;
}

/** Causes that a start of the service does not mend, or that have a cure of their own. */
const DEEPER = [
  'drained',
  'directory-taken',
  'runner-elsewhere',
  'registration-deleted',
  'runner-unregistered',
  'configuration-missing',
  'installation-broken',
  'work-folder-broken',
  'version-retired',
];

function serviceRule(state: Exclude<ServiceState, 'active'>): Rule<Situation> {
  return {
    code: `service-${state}`,
    severity: 'critical',
    when: (seen) => {
      const { guest, target } = seen;
      if (guest === null || guest.service.state !== state || isOutage(seen)) {
        return null;
      }
      return shortened(`${guest.service.unit ?? `no .service file in ${target.directory}`}${lastWords(guest)}`);
    },
    summary: ({ target }) => `the service of ${target.runner} is ${state}`,
    advice: recoverAdvice,
    cure: 'recover',
    isProven: isBrokenForSure,
    explainedBy: [...DEEPER, 'drain-unfinished', 'session-conflict'],
  };
}

function isForRoom({ guest }: Situation): boolean {
  return guest !== null && isDrainedForRoom(guest);
}

/** Below the floor that is a finding of its own. */
function isAboveFloor({ guest, policy }: Situation): boolean {
  return guest !== null && floorReason(guest.disk, policy.upkeep.room) === null;
}

/** Nobody wished it so, and no other finding may tell of it. */
function waitsForRoom(seen: Situation): boolean {
  const { guest, policy } = seen;
  return guest !== null && isForRoom(seen) && isAboveFloor(seen) && resumeObstacle(guest.disk, policy.upkeep.room) !== null;
}

function obstacleText({ guest, policy }: Situation): string {
  const obstacle = guest === null ? null : resumeObstacle(guest.disk, policy.upkeep.room);
  return obstacle === null ? '' : ` ${obstacle}`;
}

export const SERVICE_RULES: readonly Rule<Situation>[] = [
  {
    code: 'drained',
    severity: (seen) => (waitsForRoom(seen) ? 'warning' : 'info'),
    when: (seen) => (isDrained(seen) && !(seen.guest !== null && isAlive(seen.guest)) ? drainEvidence(seen) : null),
    summary: (seen) =>
      isForRoom(seen)
        ? `${seen.target.runner} is drained for lack of disk space: it takes no jobs until there is enough`
        : `${seen.target.runner} is drained: it takes no jobs, and checks skip it`,
    advice: (seen) =>
      isForRoom(seen)
        ? `free disk space on ${seen.target.machine}${obstacleText(seen)}: the next check resumes it then`
        : `run \`runward runner resume --runner ${seen.target.runner}\` to bring it back`,
    // There may be room again by somebody else's doing.
    cure: (seen) => (isForRoom(seen) && isAboveFloor(seen) ? 'make-room' : null),
  },
  {
    code: 'drain-unfinished',
    severity: 'info',
    when: (seen) => (isDrained(seen) && seen.guest !== null && isAlive(seen.guest) ? drainEvidence(seen) : null),
    summary: ({ target, guest }) =>
      `${target.runner} is to be drained, and ${guest?.service.state === 'active' ? 'its service' : 'something of it'} still runs`,
    advice: ({ target }) => `nothing: it is stopped once no job runs; \`runward runner resume --runner ${target.runner}\` undoes it`,
    cure: 'finish-drain',
  },
  {
    code: 'unit-altered',
    severity: 'critical',
    when: ({ guest }) => (guest?.service.altered === undefined ? null : shortened(guest.service.altered)),
    summary: ({ target }) =>
      `the systemd unit of ${target.runner} is not as it should be, and decides what runs on ${target.machine} and as whom`,
    advice: ({ target }) =>
      `find out who changed it (\`systemctl cat 'actions.runner.*'\` in ${target.machine}); Runward writes it anew between two jobs. If ${target.user} is not the runner's user, set \`user\` instead`,
    cure: 'recover',
    explainedBy: ['drained', 'drain-unfinished', 'directory-taken'],
  },
  {
    code: 'directory-taken',
    severity: 'critical',
    when: ({ guest, target }) => (guest === null || strangerReason(target, guest) === null ? null : shortened(registrationOf(guest))),
    summary: ({ target }) => `${target.directory} on ${target.machine} holds another runner than ${target.runner}`,
    advice: () => 'check RUNNER_NAME, RUNNER_DIR and the repository; nothing is changed there',
    isRead: isGuestRead,
  },
  {
    code: 'registration-deleted',
    severity: 'critical',
    when: (seen) => {
      const line = seen.guest?.log.signs.find(({ code }) => code === 'registration-deleted')?.line;
      // The same words are printed where only the clock is wrong (https://github.com/actions/runner/issues/4648).
      return line !== undefined && seen.standing === 'unregistered' && !hasDrifted(seen)
        ? shortened(`GitHub lists it no more: ${line}`)
        : null;
    },
    summary: ({ target }) => `the registration of ${target.runner} was deleted on GitHub`,
    advice: recoverAdvice,
    cure: 'recover',
    explainedBy: ['directory-taken', 'drained'],
  },
  {
    code: 'registration-contradicted',
    severity: 'warning',
    when: (seen) => {
      const { guest, registered } = seen;
      return hasSign(guest, 'registration-deleted') &&
        registered !== null &&
        registered.id === guest?.registration?.agentId &&
        !hasDrifted(seen)
        ? `GitHub shows id ${registered.id}, ${registered.status}`
        : null;
    },
    summary: ({ target }) => `${target.runner} says that its registration was deleted, and GitHub still shows it`,
    advice: () => 'look whether its clock was wrong or GitHub had an outage; its service is started again as it is',
  },
  {
    code: 'configuration-missing',
    severity: 'critical',
    when: ({ guest, target }) => (guest !== null && guest.registration === null ? `no readable ${target.directory}/.runner` : null),
    summary: ({ target }) => `${target.runner} is not configured in ${target.machine}`,
    advice: recoverAdvice,
    cure: 'recover',
    isProven: isBrokenForSure,
    explainedBy: ['registration-deleted', 'runner-unregistered', 'runner-elsewhere', 'drained'],
  },
  {
    code: 'installation-broken',
    severity: 'critical',
    when: ({ guest, target }) => {
      if (guest === null) {
        return null;
      }
      const isLacking = guest.listeners === 0 && hasSign(guest, 'program-missing');
      return guest.missingProgram !== null || isLacking ? shortened(`files in ${target.directory}${lastWords(guest)}`) : null;
    },
    summary: ({ target, guest }) =>
      `the programs of ${target.runner} are broken: ${guest?.missingProgram ?? 'its listener does not start'}`,
    advice: (seen) =>
      `${recoverAdvice(seen)}, which mends what a self-update has left; else unpack the runner's package over ${seen.target.directory}`,
    isRead: isGuestRead,
    cure: 'recover',
    isProven: isBrokenForSure,
    explainedBy: ['directory-taken'],
  },
  {
    code: 'work-folder-broken',
    severity: 'critical',
    when: ({ guest }) =>
      guest !== null && guest.listeners === 0 && hasSign(guest, 'work-folder-broken')
        ? shortened(`the service's log${lastWords(guest)}`)
        : null,
    summary: ({ target }) => `${target.runner} can't use its work folder`,
    advice: (seen) =>
      `give ${seen.target.user} the folder _work in ${seen.target.directory} and look at the disk; then ${recoverAdvice(seen)}`,
    isRead: isGuestRead,
    explainedBy: ['directory-taken'],
  },
  ...(['inactive', 'failed', 'missing', 'activating', 'deactivating', 'reloading'] as const).map(serviceRule),
  {
    code: 'service-looping',
    severity: 'critical',
    when: (seen) =>
      seen.guest !== null && isLooping(seen.guest) && !isOutage(seen)
        ? shortened(`its listener ended ${seen.guest.log.relaunches} times in a row${lastWords(seen.guest)}`)
        : null,
    summary: ({ target }) => `the service of ${target.runner} starts its listener again and again`,
    advice: recoverAdvice,
    cure: 'recover',
    isProven: isBrokenForSure,
    explainedBy: [...DEEPER, 'session-conflict', 'disk-full'],
  },
  {
    code: 'listener-missing',
    severity: 'critical',
    when: ({ guest }) =>
      guest !== null && guest.service.state === 'active' && guest.listeners === 0 ? `no Runner.Listener process${lastWords(guest)}` : null,
    summary: ({ target }) => `the service of ${target.runner} is active without a listener`,
    advice: recoverAdvice,
    cure: 'recover',
    isProven: isBrokenForSure,
    explainedBy: [...DEEPER, 'service-looping', 'github-outage'],
  },
  {
    code: 'stray-listener',
    severity: 'warning',
    when: ({ guest }) => (guest?.strays === undefined || guest.runningAct !== null ? null : straysEvidence(guest.strays)),
    summary: ({ target }) => `a Runner.Listener in ${target.directory} does not belong to the service of ${target.runner}`,
    advice: ({ target, guest }) => `see what left it running, and end it: \`sudo kill ${guest?.strays?.process}\` on ${target.machine}`,
    isRead: isGuestRead,
  },
  {
    code: 'session-conflict',
    severity: 'critical',
    when: ({ guest }) => {
      if (guest === null) {
        return null;
      }
      if (guest.listeners > 1) {
        return `${guest.listeners} Runner.Listener processes`;
      }
      return isRefusedForSession(guest) ? shortened(`one listener at most runs here${lastWords(guest)}`) : null;
    },
    summary: ({ target, guest }) =>
      (guest?.listeners ?? 0) > 1
        ? `${guest?.listeners} listeners of ${target.runner} run at once`
        : `GitHub refused ${target.runner}, since a session of it already exists`,
    advice: (seen) =>
      (seen.guest?.listeners ?? 0) > 1
        ? recoverAdvice(seen)
        : `look for a clone of the machine that uses the same credentials; then ${recoverAdvice(seen)}`,
    // A session that GitHub shows online is somebody else's, where no listener here has it.
    cure: ({ guest, standing }) => ((guest?.listeners ?? 0) > 1 || standing !== 'online' ? 'recover' : null),
    // A listener waits for four minutes for another one's session to end.
    isProven: (seen) =>
      seen.guest?.listeners === 1 && seen.guest.service.state === 'active' ? isBrokenTwice(seen) : isBrokenForSure(seen),
    explainedBy: ['directory-taken', 'drained', 'runner-elsewhere'],
  },
  {
    code: 'update-failed',
    severity: 'warning',
    when: ({ guest }) => {
      const line = guest?.log.signs.find(({ code }) => code === 'update-failed')?.line;
      return line === undefined ? null : shortened(line);
    },
    summary: ({ target }) => `a self-update of ${target.runner} failed, and its old version goes on`,
    advice: () => 'look at the disk and the network of the guest; GitHub refuses versions that are too old',
    explainedBy: ['installation-broken', 'disk-full'],
  },
];
