import { bySeverity } from './alert.ts';
import { fewOf } from './few-of.ts';
import type { Diagnosed } from './finding.ts';
import type { HealthOutcome, HealthReport, PassFigures, RunnerHealth, StartedCure, Withheld } from './health-report.ts';
import type { PassObservation } from './pass.ts';
import { statusSentence, type Verdict } from './status.ts';

/** What the looks of a pass cost. */
export interface LookCosts {
  readonly githubRequests: number;
  readonly githubUnchanged: number;
  readonly machineCalls: number;
  readonly lookMs: number;
}

/** How a pass ended, in one word. Findings of severity `info` leave nothing to do. */
export function healthOutcome({
  observation,
  findings,
  started,
  goodOutcomes,
}: {
  readonly observation: Pick<PassObservation, 'github' | 'runners'>;
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
  return started.length > 0 ? 'cured' : 'healthy';
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
  const stands = statusSentence(runners.map(({ runner, verdict }) => ({ name: runner, verdict })));
  const cures = fewOf(started.map((cure) => `${cure.cure} of ${cure.runner}: ${cure.summary ?? 'at work'}`));
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
