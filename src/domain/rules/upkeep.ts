import type { DamagedRun } from '../damaged-run.ts';
import { fewOf } from '../few-of.ts';
import { bytesText, diskText, floorReason, lacksRoom } from '../room.ts';
import { LEAST_FREE_BYTES, type ForeignCleaner, type RunnerTarget } from '../runner.ts';
import { isDrained, isGuestRead, momentOf, shortened, spanOf, type Situation } from '../situation.ts';
import type { Rule } from './rule.ts';

// The actions cache and the disk of a runner: damage, what is due between jobs, and who else cleans there.

/** Since when the cleaning of its actions cache has been due, by Temporal's clock; `null` where it is not due, such as of an empty one, or not known. */
function cleaningDueSince({ guest, earlier, at, policy }: Situation): number | null {
  if (guest === null || guest.cache?.entries === 0) {
    return null;
  }
  if (guest.cleanedAgoMs === null) {
    return earlier.uncleanedSince ?? at;
  }
  const overdueMs = guest.cleanedAgoMs - policy.upkeep.cleanEveryMs;
  return overdueMs >= 0 ? at - overdueMs : null;
}

function isOverdue(seen: Situation): boolean {
  const since = cleaningDueSince(seen);
  return since !== null && seen.at - since >= seen.policy.upkeep.overdueAfterMs;
}

function damagedText(damaged: readonly DamagedRun[]): string | null {
  return (
    fewOf(
      damaged.map(
        ({ run, attempt, jobs }) => `run ${run}${attempt > 1 ? `, attempt ${attempt}` : ''}: ${shortened(jobs[0]?.line ?? '', 120)}`,
      ),
    ) ?? null
  );
}

/** Entries that are empty and noted as whole; a job that begins empties the cache and fills it again. */
function damagedEntries({ guest, registered }: Situation): number {
  return guest === null || guest.workers > 0 || registered?.busy === true ? 0 : (guest.cache?.damaged ?? 0);
}

const MAKE_ROOM = 'free disk space in the guest, such as by `docker system prune` or `journalctl --vacuum-size=100M`';

export const UPKEEP_RULES: readonly Rule<Situation>[] = [
  {
    code: 'cache-damaged',
    severity: 'warning',
    when: (seen) => {
      const entries = damagedEntries(seen);
      return (
        damagedText(seen.damaged ?? []) ??
        (entries > 0 ? `${entries} of its actions ${entries === 1 ? 'is' : 'are'} empty, and noted as whole` : null)
      );
    },
    summary: ({ target, damaged }) =>
      (damaged ?? []).length > 0
        ? `jobs on ${target.runner} failed because of its actions cache`
        : `actions in the cache of ${target.runner} are damaged: jobs that use them fail with "Can't find 'action.yml'"`,
    advice: ({ target }) => `run \`runward cache heal --runner ${target.runner}\` once it is idle`,
    cure: 'heal-cache',
    isRead: (seen) => seen.damaged !== null && isGuestRead(seen),
  },
  {
    code: 'run-left',
    severity: 'warning',
    when: ({ leftRuns }) => fewOf((leftRuns ?? []).map(({ run, attempt, left }) => `run ${run}, attempt ${attempt}: ${left}`)) ?? null,
    summary: ({ target }) => `jobs that failed because of the actions cache of ${target.runner} were not run again`,
    advice: () => 're-run them on GitHub once the cause that the evidence names is mended',
    isRead: ({ leftRuns }) => leftRuns !== null,
  },
  {
    code: 'cleaning-due',
    severity: (seen) => (isOverdue(seen) && !isDrained(seen) ? 'warning' : 'info'),
    when: (seen) => {
      const since = cleaningDueSince(seen);
      return since === null ? null : `due since ${momentOf(since)}${isOverdue(seen) ? `, for ${spanOf(seen.at - since)}` : ''}`;
    },
    summary: (seen) =>
      isOverdue(seen)
        ? `the actions cache of ${seen.target.runner} is long due for cleaning: there was no moment without a job, or it fails`
        : `the actions cache of ${seen.target.runner} is to be cleaned between two jobs`,
    advice: (seen) =>
      isOverdue(seen)
        ? `give it such a moment: \`runward runner drain --runner ${seen.target.runner}\`, then \`runward cache clean --runner ${seen.target.runner}\` and \`runward runner resume --runner ${seen.target.runner}\``
        : 'nothing: each check tries it if no job runs',
    cure: 'clean-cache',
    dueSince: cleaningDueSince,
    isRead: isGuestRead,
  },
  {
    code: 'foreign-cleaner',
    severity: 'warning',
    when: ({ guest, target }) => (guest?.foreignCleaner === undefined ? null : cleanerText(guest.foreignCleaner, target)),
    summary: ({ target }) => `something else removes files of ${target.runner} on ${target.machine}`,
    advice: () =>
      'look at that line, and remove it: a cleaner that does not know of jobs is the likeliest cause of damaged actions caches, and Runward cleans between jobs',
    isRead: isGuestRead,
  },
  {
    code: 'disk-full',
    severity: 'critical',
    when: ({ guest }) =>
      guest !== null && guest.disk.freeBytes < LEAST_FREE_BYTES
        ? `${bytesText(guest.disk.freeBytes)} free, ${guest.disk.usedPercent} % used`
        : null,
    summary: ({ target }) => `the disk of ${target.machine} is full`,
    advice: () => MAKE_ROOM,
    cure: 'make-room',
    isRead: isGuestRead,
  },
  {
    code: 'disk-below-floor',
    severity: 'critical',
    when: ({ guest, policy }) => (guest === null ? null : floorReason(guest.disk, policy.upkeep.room)),
    summary: (seen) =>
      `the disk of ${seen.target.machine} has no space for jobs${isDrained(seen) ? `, so ${seen.target.runner} is drained` : ''}`,
    advice: (seen) =>
      `${MAKE_ROOM}${isDrained(seen) ? `; then run \`runward runner resume --runner ${seen.target.runner}\`` : '; with nothing left that may go, the runner is drained'}`,
    cure: 'make-room',
    isRead: isGuestRead,
    explainedBy: ['disk-full'],
  },
  {
    code: 'disk-low',
    severity: 'warning',
    when: ({ guest, policy }) =>
      guest !== null && lacksRoom({ ...guest.disk, inodesUsedPercent: null }, policy.upkeep.room) ? diskText(guest.disk) : null,
    summary: ({ target }) => `the disk of ${target.machine} is nearly full`,
    advice: () => `${MAKE_ROOM} between jobs`,
    cure: 'make-room',
    isRead: isGuestRead,
    explainedBy: ['disk-full', 'disk-below-floor'],
  },
  {
    code: 'inodes-low',
    severity: 'warning',
    when: ({ guest, policy }) =>
      guest !== null && guest.disk.inodesUsedPercent !== null && guest.disk.inodesUsedPercent >= policy.upkeep.room.inodesUsedPercent
        ? `${guest.disk.inodesUsedPercent} % of the inodes used`
        : null,
    summary: ({ target }) => `the disk of ${target.machine} has few inodes left`,
    advice: () => 'remove small files between jobs, such as by `docker system prune` in the guest',
    cure: 'make-room',
    isRead: isGuestRead,
    explainedBy: ['disk-below-floor'],
  },
];

function cleanerText({ file, line }: ForeignCleaner, { directory }: RunnerTarget): string {
  return `${file}${line === null ? '' : `, line ${line}`}, removes what is below ${directory}`;
}
