import type { Finding } from '../domain/finding.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { qualifiedName } from '../domain/names.ts';
import { DEFAULT_HEALTH_POLICY, type HealthPolicy } from '../domain/policy.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import type { RunnerStatus } from '../domain/status.ts';
import type { PassSchedule } from '../worker/schedules.ts';
import { runnerInPass } from './pass-text.ts';
import { agoText } from './schedule-text.ts';

/** An older word of a pass says nothing about now: three passes of the default interval, or of the schedule's own if that is longer. */
export function believedMs(schedule: Pick<PassSchedule, 'everyMs'> | null): number {
  return Math.max(DEFAULT_HEALTH_POLICY.memoryLastsMs, PASSES_BELIEVED * (schedule?.everyMs ?? 0));
}

const PASSES_BELIEVED = 3;

/**
 * A runner whose machine can't be asked from this computer: what the last health check found, as long as GitHub still shows it online.
 * @param told what GitHub alone says
 * @param now epoch milliseconds
 */
export function elsewhereStatus(
  told: RunnerStatus,
  target: RunnerTarget,
  report: HealthReport | null,
  now: number,
  { memoryLastsMs }: Pick<HealthPolicy, 'memoryLastsMs'>,
): RunnerStatus {
  const isFresh = report !== null && now - Date.parse(report.observedAt) <= memoryLastsMs;
  if (!isFresh || told.github.status !== 'online') {
    return told;
  }
  const name = qualifiedName(target);
  const verdict = report.runners.find(({ runner }) => runner === name)?.verdict ?? 'healthy';
  const findings = runnerInPass(report, name).findings.map(({ code, severity, summary, evidence, advice }): Finding => ({
    code,
    severity,
    summary,
    evidence,
    advice,
  }));
  return { ...told, verdict, findings: [...findings, notAsked(target, agoText(report.observedAt, now), verdict)] };
}

/** Why the machine's readings are missing. */
function notAsked({ machine, host }: RunnerTarget, ago: string, verdict: string): Finding {
  return {
    code: 'machine-elsewhere',
    severity: 'info',
    summary: `${machine} belongs to host ${host}, and only a command on that computer can ask it`,
    evidence: `the health check ${ago} called its runner ${verdict}`,
    advice: `nothing; to look anew, run \`runward check\`, or \`runward status\` on ${host}`,
  };
}
