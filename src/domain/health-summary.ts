import { bySeverity } from './alert.ts';
import { fewOf } from './few-of.ts';
import type { CureKind, Diagnosed } from './finding.ts';
import type { HealthOutcome, HealthReport, PassFigures, RunnerHealth, StartedCure, Withheld } from './health-report.ts';
import type { PassObservation } from './pass.ts';
import { standingOf, statusSentence, type Verdict } from './status.ts';

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
  'sync-clock': 'setting of the clock',
  'finish-drain': 'end of the drain',
  'make-room': 'making of room',
  'heal-cache': 'healing of the actions cache',
  'clean-cache': 'cleaning of the actions cache',
} as const satisfies Record<CureKind, string>;

/** Those that a cure is at work about leave nothing to do yet: nobody is to be woken for what mends itself. */
export function tellCures(
  findings: readonly Diagnosed[],
  atWork: readonly { readonly runner: string; readonly cure: CureKind }[],
): readonly Diagnosed[] {
  const cures = new Map(atWork.map(({ runner, cure }) => [runner, cure]));
  return findings.map((finding) => {
    const cure = cures.get(finding.subject);
    return cure === undefined || finding.cure === null || finding.severity === 'info'
      ? finding
      : {
          ...finding,
          isBeingCured: true,
          advice: `nothing yet: the ${CURE_NAMES[cure]} has begun by itself; if this is not over in 30 min, ${finding.advice}`,
        };
  });
}

/** How a pass ended, in one word. Findings of severity `info` leave nothing to do. */
export function healthOutcome({
  observation,
  runners,
  findings,
  started,
  goodOutcomes,
}: {
  readonly observation: Pick<PassObservation, 'github' | 'runners'>;
  readonly runners: readonly RunnerHealth[];
  readonly findings: readonly Diagnosed[];
  readonly started: readonly StartedCure[];
  /** Outcomes of a cure that are as good as done. */
  readonly goodOutcomes: (cure: StartedCure) => readonly string[];
}): HealthOutcome {
  if (!observation.github.known && observation.runners.every(({ machine }) => !machine.known)) {
    return 'unknown';
  }
  if (started.some((cure) => cure.outcome !== null && !goodOutcomes(cure).includes(cure.outcome))) {
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

/** How it stands, and what was started, in one sentence. */
export function healthSentence({
  runners,
  findings,
  started,
  outcome,
}: {
  readonly runners: readonly RunnerHealth[];
  readonly findings: readonly Diagnosed[];
  readonly started: readonly StartedCure[];
  readonly outcome: HealthOutcome;
}): string {
  if (outcome === 'unknown') {
    return 'neither GitHub nor any machine could be read, so nothing is known and nothing was touched';
  }
  const bySubject = Map.groupBy(findings, ({ subject }) => subject);
  const stands = statusSentence(
    runners.map(({ runner, verdict }) => ({ name: runner, standing: standingOf(verdict, bySubject.get(runner) ?? []) })),
    { past: outcome === 'cured' },
  );
  const cures = fewOf(started.map((cure) => `${CURE_NAMES[cure.cure]} of ${cure.runner}: ${cure.summary ?? 'at work'}`));
  const worst = findings.find(({ severity }) => severity === 'critical') ?? findings.find(({ severity }) => severity === 'warning');
  return [stands, cures ?? worst?.summary].filter((part) => part !== undefined).join('; ');
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
