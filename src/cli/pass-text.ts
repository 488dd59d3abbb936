import { bySeverity } from '../domain/alert.ts';
import { fewOf } from '../domain/few-of.ts';
import type { Diagnosed, Finding } from '../domain/finding.ts';
import type { HealthOutcome, HealthReport, StartedCure, Withheld } from '../domain/health-report.ts';
import { CURE_NAMES } from '../domain/health-summary.ts';
import { formatDuration } from '../domain/duration.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { styled } from './invocation.ts';
import { section, type Story } from './story.ts';

// What a health check saw and did, for people.

const OUTCOME_STYLES = {
  healthy: 'green',
  'left-alone': 'green',
  cured: 'green',
  curing: 'yellow',
  'not-cured': 'red',
  unhealthy: 'red',
  unknown: 'magenta',
} as const satisfies Record<HealthOutcome, string>;

export const SEVERITY_STYLES = { critical: 'red', warning: 'yellow', info: 'dim' } as const satisfies Record<Diagnosed['severity'], string>;

/** Findings that `check` prints; `explain --verbose` has them all. */
const FINDINGS_SHOWN = 20;

/** How it stands; then what to do about each finding, what was started, and what was not. */
export function reportLines(report: HealthReport): string[] {
  const left = bySeverity(report.findings).filter((finding) => cureOf(report, finding) === undefined);
  const more = left.length - FINDINGS_SHOWN;
  return [
    styled(OUTCOME_STYLES[report.outcome], report.summary),
    ...left.slice(0, FINDINGS_SHOWN).flatMap((finding) => findingLines(finding, finding.isProven)),
    ...(more > 0 ? [`and ${more} more ${more === 1 ? 'finding' : 'findings'}`] : []),
    ...report.started.map((cure) => `started   ${startedText(report, cure)}: ${endText(cure)}`),
    ...report.withheld.filter((withheld) => !isSaid(report, withheld)).map((withheld) => `skipped   ${withheldText(report, withheld)}`),
    ...(report.mode === 'watch' ? [`${report.isDryRun === true ? 'Dry run' : 'Watch mode'}: no changes were made`] : []),
  ];
}

/** 0 if nothing is left to do, 3 if a side could not be read; what is known to be bad outweighs what is not known. */
export function checkExitCode(reports: readonly Pick<HealthReport, 'outcome' | 'findings'>[]): ExitCode {
  if (reports.some(isKnownBad)) {
    return EXIT.bad;
  }
  return reports.some(isPartlyUnread) ? EXIT.unreachable : EXIT.done;
}

function isKnownBad({ outcome, findings }: Pick<HealthReport, 'outcome' | 'findings'>): boolean {
  switch (outcome) {
    case 'curing':
    case 'not-cured':
      return true;
    case 'unhealthy':
      return findings.some(({ severity, code }) => severity !== 'info' && !SIDE_UNREAD.has(code));
    case 'healthy':
    case 'left-alone':
    case 'cured':
    case 'unknown':
      return false;
  }
}

function isPartlyUnread({ outcome, findings }: Pick<HealthReport, 'outcome' | 'findings'>): boolean {
  return outcome === 'unknown' || findings.some(({ code }) => SIDE_UNREAD.has(code));
}

/** Codes of findings by which a side could not be read. */
const SIDE_UNREAD: ReadonlySet<string> = new Set([
  'github-unknown',
  'github-limited',
  'host-silent',
  'provider-silent',
  'machine-unknown',
  'machine-state-unknown',
  'machine-hangs',
  'guest-unreachable',
]);

/** What is wrong, why that is sure, and under it what to do. */
export function findingLines({ severity, summary, evidence, advice }: Finding, isProven = true): string[] {
  return [
    `${styled(SEVERITY_STYLES[severity], severity.padEnd(8))}  ${summary} (${evidence}${isProven ? '' : '; seen once'})`,
    `${' '.repeat(8)}  → ${advice}`,
  ];
}

export function passStory(report: HealthReport): Pick<Story, 'headline' | 'broke' | 'sure' | 'did' | 'cameOfIt' | 'left'> {
  const findings = bySeverity(report.findings);
  const notDone = report.withheld.filter((withheld) => !isSaid(report, withheld)).map((withheld) => withheldText(report, withheld));
  const left = findings.filter((finding) => finding.severity !== 'info' && cureOf(report, finding) === undefined);
  return {
    headline: `${styled(OUTCOME_STYLES[report.outcome], report.outcome)}: ${report.summary}`,
    broke: fewOf(findings.map(({ summary }) => summary)) ?? 'nothing',
    sure: fewOf(findings.map(({ evidence }) => evidence)),
    did:
      [
        fewOf(report.started.map((cure) => `started the ${startedText(report, cure)}`)),
        notDone.length === 0 ? null : `skipped ${fewOf(notDone)}`,
      ]
        .filter((part) => part !== null)
        .join('; ') || (report.mode === 'watch' ? `nothing: ${report.isDryRun === true ? 'a dry run' : 'watch mode'}` : 'nothing'),
    cameOfIt: fewOf(report.started.map((cure) => `${cure.runner}: ${endText(cure)}`)),
    left: fewOf(left.map(({ advice }) => advice)) ?? (report.outcome === 'curing' ? 'nothing yet' : 'nothing'),
  };
}

/** Everything that the pass saw and did. */
export function passDetails(report: HealthReport): string[] {
  const { figures } = report;
  return [
    ...section(
      'Findings:',
      bySeverity(report.findings).flatMap((finding) => [
        `${finding.severity} ${finding.subject} ${finding.code}: ${finding.summary}${finding.isProven ? '' : ' (seen once)'}`,
        `  evidence: ${finding.evidence}`,
        `  next steps: ${finding.advice}`,
      ]),
    ),
    ...section(
      'Started:',
      report.started.map((cure) => `${startedText(report, cure)}: ${endText(cure)}, ${cure.workflowId}`),
    ),
    ...section(
      'Skipped, and why:',
      report.withheld.map((withheld) => withheldText(report, withheld)),
    ),
    `Runners: ${figures.runners}: ${figures.healthy} healthy, ${figures.degraded} degraded, ${figures.down} down, ${figures.unknown} unknown`,
    `The look took ${formatDuration(figures.lookMs)}: ${countOf(figures.githubRequests, 'request')} to GitHub (${figures.githubUnchanged} unchanged), ${countOf(figures.machineCalls, 'call')} of the provider's client; mode: ${report.mode}`,
  ];
}

/** What the pass says of one runner (`scope/name`): its findings, what was started, and why nothing was done about the rest. */
export function runnerInPass(
  report: HealthReport,
  runner: string,
): { readonly findings: readonly Diagnosed[]; readonly started: readonly StartedCure[]; readonly withheld: readonly Withheld[] } {
  return {
    findings: bySeverity(report.findings.filter(({ subject }) => subject === runner)),
    started: report.started.filter((cure) => cure.runner === runner),
    withheld: report.withheld.filter((withheld) => withheld.runner === runner),
  };
}

/** The cure that was started for a finding. */
function cureOf({ started }: HealthReport, { subject, code }: Diagnosed): StartedCure | undefined {
  return started.find(({ runner, because }) => runner === subject && because === code);
}

function startedText(report: HealthReport, { runner, cure, because }: StartedCure): string {
  return `${CURE_NAMES[cure]} of ${runner} (${summaryOf(report, runner, because)})`;
}

function endText({ outcome, summary }: StartedCure): string {
  return outcome === null ? 'still at work when the check ended' : `${outcome}${summary === null ? '' : `: ${summary}`}`;
}

function withheldText(report: HealthReport, { runner, because, why }: Withheld): string {
  return `${runner} (${summaryOf(report, runner, because)}): ${why}`;
}

/** Whether the finding says it already: by its next steps, or as of a machine that is stopped on purpose by its evidence. */
function isSaid({ findings }: HealthReport, { runner, because, why, reason }: Withheld): boolean {
  return findings.some(
    ({ subject, code, evidence }) => subject === runner && code === because && (reason !== undefined || evidence === why),
  );
}

/** Such as `1 request`, `2 requests`. */
export function countOf(count: number, what: string): string {
  return `${count} ${count === 1 ? what : `${what}s`}`;
}

function summaryOf({ findings }: HealthReport, runner: string, code: string): string {
  return findings.find((finding) => finding.subject === runner && finding.code === code)?.summary ?? code;
}
