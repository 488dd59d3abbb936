import { valueOrNull } from '../reading.ts';
import type { RunnerVersions } from '../pass.ts';
import { hasSign, spanOf, type Situation } from '../situation.ts';
import type { Rule } from './rule.ts';

// Versions of the runner that GitHub retires, or calls retired by mistake.

/** After so long a service that ended in an outage of GitHub is tried again. */
const OUTAGE_RETRY_MS = 60 * 60_000;

function versionsOf({ github }: Situation): RunnerVersions | null {
  return github.known ? valueOrNull(github.value.versions) : null;
}

function areVersionsRead(seen: Situation): boolean {
  return versionsOf(seen) !== null;
}

function installedOf({ guest, registered }: Situation): string | null {
  return guest?.installedVersion ?? registered?.version ?? null;
}

function isNewest(seen: Situation): boolean {
  const latest = versionsOf(seen)?.latest ?? null;
  return latest !== null && installedOf(seen) === latest;
}

/** How long its version still runs, and can be registered; milliseconds, `null` where GitHub names no date. */
function leftOf(seen: Situation): { readonly runsMs: number | null; readonly registersMs: number | null } {
  const { github } = seen;
  const retirement = versionsOf(seen)?.retirements.find(({ version }) => version === installedOf(seen));
  const until = (moment: number | null | undefined): number | null =>
    github.known && moment != null ? moment - github.value.observedAt : null;
  return { runsMs: until(retirement?.runsUntil), registersMs: until(retirement?.registersUntil) };
}

/** What says that its version is retired; `null` where nothing does. */
function retiredEvidence(seen: Situation): string | null {
  const installed = installedOf(seen);
  const latest = versionsOf(seen)?.latest ?? null;
  const { runsMs } = leftOf(seen);
  if (runsMs !== null && runsMs <= 0) {
    return `${installed}, retired ${spanOf(-runsMs)} ago; newest: ${latest ?? 'unknown'}`;
  }
  return hasSign(seen.guest, 'version-retired')
    ? `${installed ?? 'its version'} is refused, by its log; newest: ${latest ?? 'unknown'}`
    : null;
}

/** The newest version of all is refused: an outage, so that nothing but waiting helps. */
export function isOutage(seen: Situation): boolean {
  const { standing, earlier, at, guest } = seen;
  const isRetryDue =
    guest !== null && guest.service.state !== 'active' && earlier.brokenSince !== null && at - earlier.brokenSince >= OUTAGE_RETRY_MS;
  return standing !== 'online' && isNewest(seen) && retiredEvidence(seen) !== null && !isRetryDue;
}

export const VERSION_RULES: readonly Rule<Situation>[] = [
  {
    code: 'version-retired',
    severity: 'critical',
    when: (seen) => (isNewest(seen) ? null : retiredEvidence(seen)),
    summary: ({ target }) => `GitHub gives ${target.runner} no more jobs, since its version is retired`,
    advice: (seen) =>
      `unpack version ${versionsOf(seen)?.latest ?? 'the newest'} over ${seen.target.directory} and start the service; a new registration does not help`,
    // Without the newest version it may as well be an outage.
    isProven: (seen) => (versionsOf(seen)?.latest ?? null) !== null || (leftOf(seen).runsMs ?? 1) <= 0,
    isRead: areVersionsRead,
  },
  {
    code: 'version-retiring',
    severity: 'warning',
    when: (seen) => {
      const { runsMs, registersMs } = leftOf(seen);
      const isSoon = (left: number | null): left is number => left !== null && left <= seen.policy.retirementWarningMs;
      if (isNewest(seen)) {
        return null;
      }
      if (isSoon(runsMs)) {
        return `${installedOf(seen)}, no jobs in ${spanOf(runsMs)}`;
      }
      return isSoon(registersMs)
        ? `${installedOf(seen)}, no registration ${registersMs <= 0 ? 'any more' : `in ${spanOf(registersMs)}`}`
        : null;
    },
    summary: ({ target }) => `the version of ${target.runner} is being retired`,
    advice: (seen) => `let it update itself, or unpack version ${versionsOf(seen)?.latest ?? 'the newest'} over ${seen.target.directory}`,
    explainedBy: ['version-retired'],
    isRead: areVersionsRead,
  },
  {
    code: 'github-outage',
    severity: 'critical',
    when: (seen) => (isOutage(seen) ? retiredEvidence(seen) : null),
    summary: () => 'GitHub refuses the newest version of the runner as too old',
    advice: () => 'wait, and look at githubstatus.com; a newer version does not exist, so nothing is installed or registered anew',
    subject: ({ target }) => target.scope,
    isRead: areVersionsRead,
  },
];
