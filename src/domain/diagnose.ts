import type { Diagnosed, Verdict } from './finding.ts';
import type { PassObservation, RunnersMemory } from './pass.ts';
import type { HealthPolicy } from './policy.ts';
import { isHealthy } from './recovery.ts';
import { remember, rememberIds } from './remember.ts';
import { CLOCK_RULES } from './rules/clock.ts';
import { HOST_RULES, hostSubject, isProviderSilent, type HostSituation } from './rules/host.ts';
import { JOB_RULES } from './rules/job.ts';
import { MACHINE_RULES } from './rules/machine.ts';
import { PACKAGE_RULES } from './rules/package.ts';
import { REGISTRATION_RULES } from './rules/registration.ts';
import { apply, unread, type FindingKey, type Rule } from './rules/rule.ts';
import { SCOPE_RULES } from './rules/scope.ts';
import { SERVICE_RULES } from './rules/service.ts';
import { UPKEEP_RULES } from './rules/upkeep.ts';
import { VERSION_RULES } from './rules/version.ts';
import { MANY_AT_ONCE, mayHideMany } from './turns.ts';
import { driftOf, situationsOf, type Situation } from './situation.ts';

/** What one pass makes of what it saw. */
export interface Diagnosis {
  /** In the order of the pass, by `scope/name`. */
  readonly runners: readonly { readonly runner: string; readonly verdict: Verdict }[];
  readonly findings: readonly Diagnosed[];
  /** Subjects about which the pass can say nothing, or not all: their open findings are neither seen nor good where it has not found them. */
  readonly unreadable: readonly string[];
  /** Single findings of which the same is true, since a part of the look is missing. */
  readonly unread: readonly FindingKey[];
  readonly memory: RunnersMemory;
}

const RUNNER_RULES: readonly Rule<Situation>[] = [
  ...REGISTRATION_RULES,
  ...MACHINE_RULES,
  ...UPKEEP_RULES,
  ...PACKAGE_RULES,
  ...SERVICE_RULES,
  ...CLOCK_RULES,
  ...VERSION_RULES,
  ...JOB_RULES,
];

/** What is wrong, how sure that is, and what can be done about it: by this pass and by what the last one left. */
export function diagnose(seen: PassObservation, previous: RunnersMemory | null, policy: HealthPolicy): Diagnosis {
  const situations = situationsOf(seen, previous, policy);
  const hosts = groupByHost(situations);
  const findings = distinct([
    ...apply(SCOPE_RULES, { seen, policy }, seen.scope),
    ...hosts.flatMap((runners) => apply(HOST_RULES, runners, hostSubject(runners[0].target.host))),
    ...hosts.flatMap(findRunners),
  ]);
  const unreadable = situations.filter(isUnreadable).map(({ name }) => name);
  return {
    runners: situations.map((situation) => ({ runner: situation.name, verdict: verdictOf(situation, findings) })),
    findings,
    unreadable: [
      ...(seen.github.known ? [] : [seen.scope]),
      ...hosts.filter(([{ host }]) => !host.known).map(([{ target }]) => hostSubject(target.host)),
      ...unreadable,
    ],
    unread: [
      ...unread(SCOPE_RULES, { seen, policy }, seen.scope),
      ...hosts.flatMap((runners) => unread(HOST_RULES, runners, hostSubject(runners[0].target.host))),
      ...situations.flatMap((situation) => unread(RUNNER_RULES, situation, situation.name)),
      ...(mayHideMany(situations, findings, unreadable) ? [{ subject: seen.scope, code: MANY_AT_ONCE }] : []),
    ],
    memory: {
      at: seen.at,
      runners: Object.fromEntries(
        situations.flatMap((situation) => {
          const remembered = remember(situation);
          return remembered === null ? [] : [[situation.name, remembered]];
        }),
      ),
      ids: rememberIds(situations, previous),
      turns: previous?.turns ?? {},
      missed: previous?.missed ?? {},
    },
  };
}

function groupByHost(situations: readonly Situation[]): readonly HostSituation[] {
  return [...Map.groupBy(situations, ({ target }) => target.host).values()] as unknown as readonly HostSituation[];
}

/** Findings of a host's runners, but for those that the host explains. */
function findRunners(runners: HostSituation): readonly Diagnosed[] {
  if (!runners[0].host.known) {
    return [];
  }
  const explained = isProviderSilent(runners) ? ['machine-unknown', 'machine-hangs'] : [];
  return runners.flatMap((situation) =>
    apply(RUNNER_RULES, situation, situation.name)
      .filter((finding) => !explained.includes(finding.code) && isBelieved(finding, situation))
      .map((finding) => ({ ...finding, isProven: finding.isProven && isReadFor(finding, situation) })),
  );
}

/** After a sleep of the host all that is bad is unknown, but for its clocks. */
function isBelieved({ code, severity }: Diagnosed, { isJustWoke }: Situation): boolean {
  return !isJustWoke || severity === 'info' || code === 'clock-drift';
}

/** What a cure needs to know was read from both sides. */
function isReadFor({ cure, code }: Diagnosed, { standing, state, guest }: Situation): boolean {
  return (
    cure === null || (standing !== 'unknown' && state !== null && (state !== 'running' || guest !== null || code === 'guest-unreachable'))
  );
}

/** A side that could not be read, or is not believed yet. */
function isUnreadable(situation: Situation): boolean {
  const { standing, host, state, guest, isJustWoke } = situation;
  const isUnread = !host.known || standing === 'unknown' || state === null || (state === 'running' && guest === null);
  return isUnread || (isJustWoke && !looksHealthy(situation));
}

function verdictOf(situation: Situation, findings: readonly Diagnosed[]): Verdict {
  const { host, state, standing, guest, isJustWoke, name } = situation;
  if (!host.known) {
    return 'unknown';
  }
  if (looksHealthy(situation)) {
    const isAtRisk = findings.some(({ subject, severity, isProven }) => subject === name && severity === 'critical' && isProven);
    return isAtRisk ? 'degraded' : 'healthy';
  }
  if (isJustWoke) {
    return 'unknown';
  }
  if (state !== null && ['stopped', 'suspended', 'missing', 'deleted'].includes(state)) {
    return 'down';
  }
  if (standing === 'unknown' || guest === null) {
    return 'unknown';
  }
  return standing === 'online' || guest.workers > 0 ? 'degraded' : 'down';
}

function looksHealthy(situation: Situation): boolean {
  const { registered, standing, guest, policy } = situation;
  const drift = driftOf(situation);
  return (
    standing === 'online' &&
    guest !== null &&
    drift !== null &&
    isHealthy({ observedAt: 0, runner: registered, busyNeighbours: [] }, { ...guest, clockOffsetMs: drift }, policy)
  );
}

/** One finding for a cause that several runners show. */
function distinct(findings: readonly Diagnosed[]): readonly Diagnosed[] {
  return [...new Map(findings.toReversed().map((finding) => [`${finding.subject} ${finding.code}`, finding])).values()].toReversed();
}
