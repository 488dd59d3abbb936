import { bySeverity } from './alert.ts';
import type { CureAtWork } from './cure-stuck.ts';
import { isGoodOutcome } from './good-outcomes.ts';
import { clockText } from './duration.ts';
import type { CureKind, Diagnosed } from './finding.ts';
import type { HealthOutcome, HealthReport, PassFigures, RunnerHealth, StartedCure, Withheld } from './health-report.ts';
import type { PassObservation } from './pass.ts';
import { CURE_STUCK_AFTER_MS } from './policy.ts';
import { isInMotion, nextStep, type Work } from './next-step.ts';
import { namesText, standingOf, statusSentence, type Verdict } from './status.ts';

/** What the looks of a pass cost. */
export interface LookCosts {
  readonly githubRequests: number;
  readonly githubUnchanged: number;
  readonly machineCalls: number;
  readonly lookMs: number;
}

/** Cures by name, for people. */
export const CURE_NAMES = {
  recover: 'recovery',
  'sync-clock': 'clock sync',
  'finish-drain': 'drain',
  'make-room': 'disk upkeep',
  'heal-cache': 'repair of the actions cache',
  'clean-cache': 'cleaning of the actions cache',
  'fetch-package': "fetching of the runner's package",
} as const satisfies Record<CureKind, string>;

/** Workflow type of each cure. */
export const CURE_TYPES = {
  recover: 'recoverRunner',
  'sync-clock': 'syncClock',
  'finish-drain': 'drainRunner',
  'make-room': 'makeRoom',
  'heal-cache': 'healActionsCache',
  'clean-cache': 'cleanActionsCache',
  'fetch-package': 'fetchPackage',
} as const satisfies Record<CureKind, string>;

/** What has been decided about the findings of a pass; `at`: epoch milliseconds. */
export interface Decided {
  readonly scope: string;
  readonly at: number;
  readonly mode: 'act' | 'watch';
  /** Cures that have begun, or were at work. */
  readonly begun: readonly { readonly runner: string; readonly cure: CureKind }[];
  /** Those that were at work before. */
  readonly cures?: readonly CureAtWork[];
  /** After so long they are no comfort any more. */
  readonly cureStuckAfterMs?: number;
  readonly withheld: readonly Withheld[];
  /** Operations of others on runners (`scope/name`) or their machines, as far as that was asked. */
  readonly atWork?: ReadonlyMap<string, Work>;
}

/** The findings as people are to read them: what is left to do once the pass has done its part. */
export function withNextSteps(
  findings: readonly Diagnosed[],
  { scope, at, mode, begun, withheld, atWork, cures = [], cureStuckAfterMs = CURE_STUCK_AFTER_MS }: Decided,
): readonly Diagnosed[] {
  const cureOf = new Map(begun.map(({ runner, cure }) => [runner, cure]));
  // Of the cure itself and what holds the machine that of which the runner has waited longer.
  const workOf = new Map(cures.toSorted((one, other) => other.since - one.since).map((work) => [work.runner, work]));
  return findings.map((finding) => {
    const { subject, code } = finding;
    const cure = cureOf.get(subject);
    if (finding.severity === 'info') {
      return finding;
    }
    const working = workOf.get(subject);
    const until = (working?.since ?? at) + cureStuckAfterMs;
    if (cure !== undefined && isInMotion(finding, CURE_TYPES[cure])) {
      if (at >= until) {
        const lasting = `has not ended since ${clockText(until - cureStuckAfterMs, at)}`;
        const what = working?.isInTheWay === true ? `waits for ${working.workflowId}, which ${lasting}` : lasting;
        return { ...finding, advice: `its ${CURE_NAMES[cure]} ${what}: ${finding.advice}` };
      }
      return {
        ...finding,
        isBeingCured: true,
        advice: `the ${CURE_NAMES[cure]} has begun; nothing to do unless it is still so at ${clockText(until, at)}: ${finding.advice}`,
      };
    }
    const found = withheld.find(({ runner, because }) => runner === subject && because === code) ?? null;
    const runner = subject.startsWith(`${scope}/`) ? subject.slice(scope.length + 1) : null;
    const work = atWork?.get(subject) ?? null;
    const around = { now: at, mode, checks: { kind: 'some-time' } as const, atWork: work, job: null, withheld: found };
    return { ...finding, advice: nextStep({ ...finding, runner }, around).advice };
  });
}

/** How a pass ended, in one word. Findings of severity `info` leave nothing to do. */
export function healthOutcome({
  observation,
  runners,
  findings,
  started,
}: {
  readonly observation: Pick<PassObservation, 'github' | 'runners'>;
  readonly runners: readonly RunnerHealth[];
  readonly findings: readonly Diagnosed[];
  readonly started: readonly StartedCure[];
}): HealthOutcome {
  if (!observation.github.known && observation.runners.every(({ machine }) => !machine.known)) {
    return 'unknown';
  }
  if (started.some((cure) => cure.outcome !== null && !isGoodOutcome(cure.outcome))) {
    return 'not-cured';
  }
  if (started.some(({ outcome }) => outcome === null)) {
    return 'curing';
  }
  const cured = new Set(started.map(({ runner }) => runner));
  const isLeft = findings.some(({ severity, subject }) => severity !== 'info' && !cured.has(subject));
  if (isLeft) {
    return 'unhealthy';
  }
  if (started.length > 0) {
    return 'cured';
  }
  return runners.every(({ verdict }) => verdict === 'healthy') ? 'healthy' : 'left-alone';
}

/** How it stands after what was done, and what that was, in one sentence. */
export function healthSentence({
  scope,
  runners,
  findings,
  started,
  outcome,
}: {
  readonly scope: string;
  readonly runners: readonly RunnerHealth[];
  readonly findings: readonly Diagnosed[];
  readonly started: readonly StartedCure[];
  readonly outcome: HealthOutcome;
}): string {
  if (outcome === 'unknown') {
    return 'neither GitHub nor any machine could be read, so nothing is known and nothing was touched';
  }
  const bySubject = Map.groupBy(findings, ({ subject }) => subject);
  const nameOf = (runner: string): string => (runner.startsWith(`${scope}/`) ? runner.slice(scope.length + 1) : runner);
  const isHealed = (runner: string): boolean => started.some((cure) => cure.runner === runner && HEALING.has(cure.cure) && isGood(cure));
  const stands = statusSentence(
    runners.map(({ runner, verdict }) => ({
      name: nameOf(runner),
      standing: isHealed(runner) ? 'healthy' : standingOf(verdict, bySubject.get(runner) ?? []),
    })),
    { namesShown: NAMES_SHOWN },
  );
  const worst = findings.find(({ severity }) => severity === 'critical') ?? findings.find(({ severity }) => severity === 'warning');
  const cures = curesTexts(started, nameOf);
  return [stands, ...(cures.length > 0 ? cures : [worst?.summary])].filter((part) => part !== undefined).join('; ');
}

function isGood({ outcome }: StartedCure): boolean {
  return outcome !== null && isGoodOutcome(outcome);
}

/** Cures after which a runner is well. */
const HEALING: ReadonlySet<CureKind> = new Set(['recover', 'sync-clock']);

/** Names in a headline. */
const NAMES_SHOWN = 2;

/** What was done, each kind once: a single cure with its words, several by the names of their runners. */
function curesTexts(started: readonly StartedCure[], nameOf: (runner: string) => string): string[] {
  const stateOf = (cure: StartedCure): string => (cure.outcome === null ? 'at work' : isGood(cure) ? 'done' : (cure.outcome ?? ''));
  return [...Map.groupBy(started, (cure) => `${CURE_NAMES[cure.cure]}\n${stateOf(cure)}`).values()].flatMap((alike) => {
    const [first] = alike;
    if (first === undefined) {
      return [];
    }
    const of = `${CURE_NAMES[first.cure]} of ${namesText(
      alike.map(({ runner }) => nameOf(runner)),
      NAMES_SHOWN,
    )}`;
    return [`${of}: ${alike.length === 1 ? (first.summary ?? stateOf(first)) : stateOf(first)}`];
  });
}

/** Findings, cures, and reasons why there are none, each, that a report lists: Temporal takes results of up to 2 MB. */
const LISTED = 500;

/** What a report lists of all that a pass has found and done, the worst first; its figures count all. */
export function listed({
  findings,
  started,
  withheld,
}: Pick<HealthReport, 'findings' | 'started' | 'withheld'>): Pick<HealthReport, 'findings' | 'started' | 'withheld'> {
  return {
    findings: findings.length <= LISTED ? findings : bySeverity(findings).slice(0, LISTED),
    started: started.slice(0, LISTED),
    withheld: withheld.slice(0, LISTED),
  };
}

/** The figures of a pass. */
export function passFigures({
  runners,
  findings,
  started,
  withheld,
  costs,
}: {
  readonly runners: readonly RunnerHealth[];
  readonly findings: readonly Diagnosed[];
  readonly started: readonly StartedCure[];
  readonly withheld: readonly Withheld[];
  readonly costs: LookCosts;
}): PassFigures {
  const count = (wanted: Verdict): number => runners.filter(({ verdict }) => verdict === wanted).length;
  return {
    runners: runners.length,
    healthy: count('healthy'),
    degraded: count('degraded'),
    down: count('down'),
    unknown: count('unknown'),
    findings: findings.length,
    started: started.length,
    withheld: withheld.length,
    ...costs,
  };
}
