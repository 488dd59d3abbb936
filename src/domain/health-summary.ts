import type { Diagnosed } from './finding.ts';
import type { HealthOutcome, PassFigures, RunnerHealth, StartedCure, Withheld } from './health-report.ts';
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
  const parts = started.map((cure) => `${cure.cure} of ${cure.runner}: ${cure.summary ?? 'at work'}`);
  const worst = findings.find(({ severity }) => severity === 'critical') ?? findings.find(({ severity }) => severity === 'warning');
  const tail = parts.length > 0 ? parts : worst === undefined ? [] : [worst.summary];
  return [stands, ...tail].join('; ');
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
