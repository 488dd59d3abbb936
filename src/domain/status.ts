import { diagnose } from './diagnose.ts';
import type { Diagnosed, Finding, Verdict } from './finding.ts';
import type { PassObservation, RunnersMemory, ScopeObservation } from './pass.ts';
import { DEFAULT_HEALTH_POLICY, type HealthPolicy } from './policy.ts';
import { known, unknown, valueOrNull, type Reading } from './reading.ts';
import type { Look } from './recovery.ts';
import type { GuestObservation, RunnerTarget } from './runner.ts';
import { runningJobOf } from './running-job.ts';
import { situationsOf, type Situation } from './situation.ts';

export type { Verdict };

/** One runner in `status --json`; a value that could not be read is `null`, and a finding says why. */
export interface RunnerStatus {
  readonly name: string;
  readonly verdict: Verdict;
  readonly vm: { readonly name: string; readonly state: string | null };
  readonly github: {
    readonly id: number | null;
    readonly status: string | null;
    readonly busy: boolean | null;
    readonly labels: readonly string[] | null;
  };
  readonly service: { readonly unit: string | null; readonly state: string | null };
  readonly job: {
    /** By the guest. */
    readonly running: boolean | null;
    /** By GitHub, as all that follows; `null` if no job runs, or it is not known which. */
    readonly name: string | null;
    readonly run: number | null;
    /** ISO 8601. */
    readonly startedAt: string | null;
    readonly url: string | null;
  };
  readonly clock: { readonly driftSeconds: number | null };
  readonly disk: { readonly usedPercent: number | null; readonly freeBytes: number | null; readonly inodesUsedPercent: number | null };
  readonly cache: { readonly bytes: number | null; readonly entries: number | null; readonly health: 'ok' | 'damaged' | 'unknown' };
  readonly version: { readonly installed: string | null; readonly latest: string | null };
  readonly findings: readonly Finding[];
}

/** A scope in `status`: its runners, and what concerns the scope or a host as a whole. */
export interface ScopeStatus {
  readonly runners: readonly RunnerStatus[];
  readonly findings: readonly Finding[];
}

/** What a look at a scope says, by the rules of the health check; `previous`: what its last pass left. */
export function scopeStatus(
  seen: PassObservation,
  previous: RunnersMemory | null,
  policy: HealthPolicy = DEFAULT_HEALTH_POLICY,
): ScopeStatus {
  const { runners, findings } = diagnose(seen, previous, policy);
  const situations = situationsOf(seen, previous, policy);
  const bySubject = Map.groupBy(findings, ({ subject }) => subject);
  const names = new Set(situations.map(({ name }) => name));
  return {
    runners: situations.map((situation, index) => ({
      ...readingsOf(situation),
      verdict: runners[index]?.verdict ?? 'unknown',
      findings: (bySubject.get(situation.name) ?? []).map(shown),
    })),
    findings: [
      ...findings.filter(({ subject }) => !names.has(subject)).map(shown),
      // Its figures are `null`, and every `null` is explained.
      ...(seen.github.known ? [] : findQueue(seen.scope, seen.github)),
    ],
  };
}

/** What a look at one runner alone says about it. */
export function runnerStatus(target: RunnerTarget, look: Look): RunnerStatus {
  const { runners, findings } = scopeStatus(passOf(target, look), null);
  const [runner] = runners as readonly [RunnerStatus];
  return { ...runner, findings: [...findings.filter(({ code }) => code !== 'queue-unknown'), ...runner.findings] };
}

/** A pass that saw one runner and nothing of its scope's queue, versions and host. */
function passOf(target: RunnerTarget, { github, machine }: Look): PassObservation {
  const scope = (observedAt: number, runners: ScopeObservation['runners']): ScopeObservation => ({
    observedAt,
    runners,
    queue: known(null),
    versions: known({ latest: null, retirements: [] }),
    tokenExpiresAt: null,
    requests: { sent: 0, unchanged: 0 },
  });
  return {
    at: 0,
    scope: target.scope,
    github: github.known ? known(scope(github.value.observedAt, github.value.runner === null ? [] : [github.value.runner])) : github,
    hosts: {
      [target.host]: known({ observedAt: 0, githubOffsetMs: unknown('not looked at'), bootedAt: 0, wokeAt: null, oldCronJob: known(null) }),
    },
    damaged: unknown('not looked for'),
    runners: [{ target, machine }],
  };
}

function readingsOf(situation: Situation): Omit<RunnerStatus, 'verdict' | 'findings'> {
  const { target, registered, standing, guest, machine, github } = situation;
  const versions = github.known ? valueOrNull(github.value.versions) : null;
  return {
    name: target.runner,
    vm: { name: target.machine, state: machine.known ? machine.value.state : null },
    github: {
      id: registered?.id ?? null,
      status: standing === 'unregistered' ? standing : (registered?.status ?? null),
      busy: registered?.busy ?? null,
      labels: registered?.labels ?? null,
    },
    service: { unit: guest?.service.unit ?? null, state: guest?.service.state ?? null },
    job: { running: guest === null ? null : guest.workers > 0, ...jobOf(situation) },
    clock: { driftSeconds: guest === null ? null : Math.round(guest.clockOffsetMs / 1_000) },
    disk: {
      usedPercent: guest?.disk.usedPercent ?? null,
      freeBytes: guest?.disk.freeBytes ?? null,
      inodesUsedPercent: guest?.disk.inodesUsedPercent ?? null,
    },
    cache: { bytes: guest?.cache?.bytes ?? null, entries: guest?.cache?.entries ?? null, health: cacheHealth(guest) },
    version: { installed: guest?.installedVersion ?? null, latest: versions?.latest ?? null },
  };
}

/** Which job runs, by GitHub. */
function jobOf({ target, registered, guest, github }: Situation): Pick<RunnerStatus['job'], 'name' | 'run' | 'startedAt' | 'url'> {
  const mayWork = registered?.busy === true || (guest !== null && guest.workers > 0);
  const job = valueOrNull(runningJobOf(github.known ? github.value.queue : github, { runner: target.runner, mayWork }));
  return {
    name: job?.name ?? null,
    run: job?.run ?? null,
    startedAt: job?.startedAt == null ? null : new Date(job.startedAt).toISOString(),
    url: job?.url ?? null,
  };
}

function shown({ code, severity, summary, evidence, advice, dueSince }: Diagnosed): Finding {
  return { code, severity, summary, evidence, advice, ...(dueSince === undefined ? {} : { dueSince }) };
}

/** Why the queue's figures are missing, where they are. */
function findQueue(scope: string, counts: Reading<unknown>): Finding[] {
  return counts.known
    ? []
    : [
        {
          code: 'queue-unknown',
          severity: 'info',
          summary: `the queue of ${scope} could not be counted`,
          evidence: counts.why,
          advice: 'see what GitHub answered',
        },
      ];
}

function cacheHealth(guest: GuestObservation | null): RunnerStatus['cache']['health'] {
  if (guest === null || guest.cache === null) {
    return 'unknown';
  }
  return guest.cache.damaged > 0 ? 'damaged' : 'ok';
}

/** How a runner stands in one word: that a person wants it so says more than that it is down. */
export type Standing = Verdict | 'drained' | 'stopped' | 'suspended';

const WANTED: readonly (readonly [code: string, Standing])[] = [
  ['drained', 'drained'],
  ['machine-stopped', 'stopped'],
  ['machine-suspended', 'suspended'],
];

/** `findings`: those of the runner. */
export function standingOf(verdict: Verdict, findings: readonly Pick<Finding, 'code' | 'severity'>[]): Standing {
  const wanted = WANTED.find(([code]) => findings.some((finding) => finding.code === code && finding.severity === 'info'));
  return verdict === 'down' && wanted !== undefined ? wanted[1] : verdict;
}

const TROUBLED = ['down', 'degraded', 'unknown', 'drained', 'stopped', 'suspended'] as const satisfies readonly Standing[];

/** The first line for people, such as "1 of 3 down"; `past` for what has changed since. */
export function statusSentence(
  runners: readonly { readonly name: string; readonly standing: Standing }[],
  { past = false }: { readonly past?: boolean } = {},
): string {
  const [only] = runners;
  if (only !== undefined && runners.length === 1) {
    const verb = past ? 'was' : 'is';
    return only.standing === 'unknown' ? `the state of ${only.name} ${verb} unknown` : `${only.name} ${verb} ${only.standing}`;
  }
  const parts = TROUBLED.flatMap((standing) => {
    const count = runners.filter((runner) => runner.standing === standing).length;
    const verb = count === 1 ? 'was ' : 'were ';
    return count === 0 ? [] : [`${count} of ${runners.length} ${past ? verb : ''}${standing}`];
  });
  return parts.length === 0 ? `all ${runners.length} healthy` : parts.join(', ');
}
