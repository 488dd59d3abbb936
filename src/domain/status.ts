import { lacking } from './cordon.ts';
import { diagnose } from './diagnose.ts';
import type { Diagnosed, Finding, Verdict } from './finding.ts';
import type { PassObservation, RunnersMemory, ScopeObservation } from './pass.ts';
import { DEFAULT_HEALTH_POLICY, type HealthPolicy } from './policy.ts';
import { known, unknown, valueOrNull, type Reading } from './reading.ts';
import type { Look } from './recovery.ts';
import type { GitHubObservation, GuestObservation, RunnerTarget } from './runner.ts';
import { nextStep, type Checks, type Handler, type Work } from './next-step.ts';
import { prescribe, type PrescriptionContext } from './prescribe.ts';
import type { Withheld } from './health-report.ts';
import { runningJobOf, type JobOnRunner } from './running-job.ts';
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
  readonly findings: readonly StatusFinding[];
}

/** A finding as `status` tells it, with what to do as things are around it. */
export interface StatusFinding extends Finding {
  /** Who sees to it, so that nobody else has to; absent if a person is to, or nobody. */
  readonly handledBy?: Handler;
}

/** What is known around a scope, beyond what was seen of it. */
export interface ScopeAround {
  readonly mode: 'act' | 'watch';
  readonly checks: Checks;
  /** Acts on its machine by `scope/name`. */
  readonly ledgers: PrescriptionContext['ledgers'];
  readonly workOn: (target: RunnerTarget) => Work | null;
}

const NOTHING_AROUND: ScopeAround = { mode: 'act', checks: { kind: 'unknown' }, ledgers: {}, workOn: () => null };

/** A scope in `status`: its runners, and what concerns the scope or a host as a whole. */
export interface ScopeStatus {
  readonly runners: readonly RunnerStatus[];
  readonly findings: readonly StatusFinding[];
}

/** What a look at a scope says, by the rules of the health check; `previous`: what its last pass left. */
export function scopeStatus(
  seen: PassObservation,
  previous: RunnersMemory | null,
  policy: HealthPolicy = DEFAULT_HEALTH_POLICY,
  around: ScopeAround = NOTHING_AROUND,
): ScopeStatus {
  const diagnosis = diagnose(seen, previous, policy);
  const { runners, findings } = diagnosis;
  const { withheld } = prescribe(diagnosis, seen, { ledgers: around.ledgers, policy });
  const situations = situationsOf(seen, previous, policy);
  const bySubject = Map.groupBy(findings, ({ subject }) => subject);
  const names = new Set(situations.map(({ name }) => name));
  return {
    runners: situations.map((situation, index) => ({
      ...readingsOf(situation),
      verdict: runners[index]?.verdict ?? 'unknown',
      findings: (bySubject.get(situation.name) ?? []).map((finding) => withNextStep(finding, situation, { withheld, around })),
    })),
    findings: [
      ...findings.filter(({ subject }) => !names.has(subject)).map(shown),
      // Its figures are `null`, and every `null` is explained.
      ...(seen.github.known ? [] : findQueue(seen.scope, seen.github)),
    ],
  };
}

/** What is known of a runner that is looked at alone, besides the look; `at`: epoch milliseconds. */
export interface RunnerAround {
  readonly at?: number;
  readonly around?: ScopeAround;
  /** Jobs of the scope's runners. */
  readonly running?: readonly JobOnRunner[];
}

/** What a look at one runner alone says about it. */
export function runnerStatus(target: RunnerTarget, look: Look, { at = 0, around, running = [] }: RunnerAround = {}): RunnerStatus {
  const { runners, findings } = scopeStatus(passOf(target, look, { at, running }), null, DEFAULT_HEALTH_POLICY, around);
  const [runner] = runners as readonly [RunnerStatus];
  return { ...runner, findings: [...findings.filter(({ code }) => code !== 'queue-unknown'), ...runner.findings] };
}

/** A pass that saw one runner and nothing of its scope's queue, versions and host. */
function passOf(
  target: RunnerTarget,
  { github, machine }: Look,
  { at, running }: { readonly at: number; readonly running: readonly JobOnRunner[] },
): PassObservation {
  const scope = ({ observedAt, runner, absence }: GitHubObservation): ScopeObservation => ({
    observedAt,
    runners: runner === null ? [] : [runner],
    ...(absence === undefined ? {} : { absent: { [target.runner]: absence } }),
    queue: known({ queued: 0, inProgress: 0, waiting: [], running, runsNotRead: 0 }),
    versions: known({ latest: null, retirements: [] }),
    tokenExpiresAt: null,
    requests: { sent: 0, unchanged: 0 },
  });
  return {
    at,
    scope: target.scope,
    github: github.known ? known(scope(github.value)) : github,
    hosts: {
      [target.host]: known({ observedAt: 0, githubOffsetMs: unknown('not looked at'), bootedAt: 0, wokeAt: null, oldCronJob: known(null) }),
    },
    damaged: unknown('not looked for'),
    runners: [{ target, machine }],
  };
}

function readingsOf(situation: Situation): Omit<RunnerStatus, 'verdict' | 'findings'> {
  const { target, registered, cordoned, guest, machine, github } = situation;
  const versions = github.known ? valueOrNull(github.value.versions) : null;
  return {
    name: target.runner,
    vm: { name: target.machine, state: machine.known ? machine.value.state : null },
    github: {
      id: registered?.id ?? null,
      status: isUnlisted(situation) ? 'unregistered' : (registered?.status ?? null),
      busy: registered?.busy ?? null,
      labels: registered && [...registered.labels, ...lacking(registered.labels, cordoned)],
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

/** What GitHub shows; whether that is believed is another question, which findings answer. */
function isUnlisted({ target, registered, github }: Situation): boolean {
  return github.known && registered === null && github.value.absent?.[target.runner]?.kind !== 'unknown';
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

function withNextStep(
  finding: Diagnosed,
  situation: Situation,
  { withheld, around }: { readonly withheld: readonly Withheld[]; readonly around: ScopeAround },
): StatusFinding {
  const { target, name, at } = situation;
  const job = jobOf(situation);
  const { advice, handledBy } = nextStep(
    { ...finding, runner: target.runner },
    {
      now: at,
      mode: around.mode,
      checks: around.checks,
      atWork: around.workOn(target),
      job: job.name === null || job.run === null ? null : { name: job.name, run: job.run },
      withheld: withheld.find(({ runner, because }) => runner === name && because === finding.code) ?? null,
    },
  );
  return { ...shown(finding), advice, ...(handledBy === null ? {} : { handledBy }) };
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

/** The first line for people, such as "1 of 3 down"; `namesShown`: how many names of the troubled ones follow, none by default. */
export function statusSentence(
  runners: readonly { readonly name: string; readonly standing: Standing }[],
  { namesShown = 0 }: { readonly namesShown?: number } = {},
): string {
  const [only] = runners;
  if (only !== undefined && runners.length === 1) {
    return only.standing === 'unknown' ? `the state of ${only.name} is unknown` : `${only.name} is ${only.standing}`;
  }
  const parts = TROUBLED.flatMap((standing) => {
    const names = runners.filter((runner) => runner.standing === standing).map(({ name }) => name);
    const which = namesShown === 0 ? '' : `: ${namesText(names, namesShown)}`;
    return names.length === 0 ? [] : [`${names.length} of ${runners.length} ${standing}${which}`];
  });
  return parts.length === 0 ? `all ${runners.length} healthy` : parts.join(', ');
}

/** The first few names, and how many more there are, such as "builder-01, builder-02 and 3 more". */
export function namesText(names: readonly string[], shown: number): string {
  const more = names.length - shown;
  return more > 0 ? `${names.slice(0, shown).join(', ')} and ${more} more` : names.join(', ');
}
