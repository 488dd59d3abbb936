import { isNewer, hasRoomForPackage, PACKAGE_ADVICE } from '../package.ts';
import { valueOrNull } from '../reading.ts';
import { diskText } from '../room.ts';
import { isGuestRead, type Situation } from '../situation.ts';
import type { Rule } from './rule.ts';

// The package of the runner that a registration takes its programs from.

function isWanted({ target }: Situation): boolean {
  return target.registration !== 'from-runner-directory';
}

function hasRoom({ guest, policy }: Situation): boolean {
  return guest !== null && hasRoomForPackage(guest.disk, policy.upkeep.room);
}

/** A newer one than is kept, by GitHub's list. */
function newerVersion({ guest, github }: Situation): string | null {
  const kept = guest?.packageVersion ?? null;
  const latest = github.known ? (valueOrNull(github.value.versions)?.latest ?? null) : null;
  return kept !== null && latest !== null && isNewer(latest, kept) ? latest : null;
}

/** Whether it is one of the hours at the host in which few people wait for anything. */
function isQuietHour({ host, policy }: Situation): boolean {
  const { quietHours } = policy.upkeep.package;
  if (!host.known || host.value.utcOffsetMinutes === undefined || quietHours === null) {
    return false;
  }
  const hour = new Date(host.value.observedAt + host.value.utcOffsetMinutes * 60_000).getUTCHours();
  return hour >= quietHours.from && hour < quietHours.until;
}

export const PACKAGE_RULES: readonly Rule<Situation>[] = [
  {
    code: 'registration-from-directory',
    severity: 'warning',
    when: (seen) => (isWanted(seen) ? null : 'registration: from-runner-directory'),
    summary: ({ target }) => `a recovery gives a registration token to programs that jobs of ${target.runner} can change`,
    advice: () => 'take `registration` out of the file once a package of the runner can be had: `runward explain` names what is in the way',
  },
  {
    code: 'package-missing',
    severity: (seen) => (hasRoom(seen) ? 'info' : 'warning'),
    when: (seen) => {
      const { guest } = seen;
      if (guest === null || guest.packageVersion !== null || !isWanted(seen)) {
        return null;
      }
      return hasRoom(seen)
        ? 'none is kept in its guest'
        : `none is kept in its guest, and there is no room for it: ${diskText(guest.disk)}`;
    },
    summary: ({ target }) => `no package of the runner is there to register ${target.runner} anew`,
    advice: (seen) => (hasRoom(seen) ? 'nothing: a check fetches it' : 'free disk space in the guest; a check fetches it then'),
    cure: (seen) => (hasRoom(seen) ? 'fetch-package' : null),
    isRead: isGuestRead,
  },
  {
    code: 'package-outdated',
    severity: 'info',
    when: (seen) => {
      const newer = newerVersion(seen);
      return newer !== null && isWanted(seen) && hasRoom(seen) && isQuietHour(seen)
        ? `${seen.guest?.packageVersion} is kept, ${newer} is the newest`
        : null;
    },
    summary: ({ target }) => `there is a newer package of the runner than is kept for ${target.runner}`,
    advice: () => 'nothing: a check fetches it',
    cure: 'fetch-package',
    isRead: isGuestRead,
  },
];

/** What is told once a check could not fetch it. */
export function unfetchedPackage({ name, target }: Situation, why: string) {
  return {
    code: 'package-missing',
    severity: 'warning' as const,
    summary: `no package of the runner is there to register ${target.runner} anew`,
    evidence: why,
    advice: PACKAGE_ADVICE,
    subject: name,
    isProven: true,
    cure: null,
  };
}
