import { stripVTControlCharacters } from 'node:util';
import { bySeverity } from '../domain/alert.ts';
import type { Finding } from '../domain/finding.ts';
import { bytesText } from '../domain/room.ts';
import { standingOf, statusSentence, type RunnerStatus, type Verdict } from '../domain/status.ts';
import { formatDuration } from './durations.ts';
import { styled } from './invocation.ts';
import type { OpenFindingSummary } from './open-findings.ts';
import type { OperationSummary } from './operations.ts';
import { findingLines, SEVERITY_STYLES } from './pass-text.ts';
import { agoText, passesText, spanText, type ScheduleStatus } from './schedule-text.ts';
import { section } from './story.ts';
import { tableLines } from './table.ts';
import type { Budget, Hold, UnderWay } from './temporal-view.ts';

/** `status --json` of one scope; what can't be read is `null`. */
export interface StatusDocument {
  readonly scope: string;
  readonly observedAt: string;
  readonly runners: readonly RunnerStatus[];
  readonly queue: {
    /** Without those that are set aside. */
    readonly queued: number | null;
    readonly inProgress: number | null;
    /** Queued for too long at the newest look of queue care within 15 minutes. */
    readonly stale: number | null;
    /** Jobs that wait for a runner of the scope; at least so many where runs were not read. */
    readonly waitingForRunner: number | null;
    /** Of those the one that waits longest; 0 where none does. */
    readonly oldestSeconds: number | null;
    /** Runs that made way for pull requests, and wait to be re-run. */
    readonly parked: number | null;
    /** Runs that refuse to end. */
    readonly setAside: number | null;
    /** Runs whose jobs were too many to be read. */
    readonly runsNotRead: number | null;
  };
  readonly recentOperations: readonly Pick<OperationSummary, 'workflowId' | 'type' | 'outcome' | 'startedAt' | 'durationMs'>[] | null;
  readonly mode: 'act' | 'watch';
  readonly schedule: ScheduleStatus | null;
  readonly underWay: readonly UnderWay[] | null;
  /** Machines that an operation has. */
  readonly holds: readonly Hold[] | null;
  readonly budgets: readonly Budget[] | null;
  /** What waits for a person. */
  readonly openFindings: readonly OpenFindingSummary[] | null;
  readonly drained: readonly { readonly runner: string; readonly since: string; readonly reason: string }[];
}

const VERDICT_STYLES = { healthy: 'green', degraded: 'yellow', down: 'red', unknown: 'magenta' } as const satisfies Record<Verdict, string>;

/** One sentence, the runners, and what else there is to know; `now` is epoch milliseconds, `width` the terminal's columns. */
export function scopeLines(status: StatusDocument, now: number, width = Infinity): string[] {
  return [
    sentenceOf(status),
    '',
    ...runnerTable(status.runners, width),
    ...spaced(sharedFindings(status).flatMap((finding) => findingLines(finding))),
    ...spaced(careLines(status, now)),
    '',
    queueText(status),
    checksText(status, now),
    ...operationLines(status, now),
  ];
}

/** Such as "1 of 3 down, being recovered, step 4 of 6". */
export function sentenceOf({ runners, underWay }: Pick<StatusDocument, 'runners' | 'underWay'>): string {
  const stands = statusSentence(runners.map(({ name, verdict, findings }) => ({ name, standing: standingOf(verdict, findings) })));
  const operations = (underWay ?? []).filter(({ runner }) => runners.some(({ name }) => name === runner));
  const [only] = operations;
  if (only === undefined) {
    return stands;
  }
  if (operations.length > 1) {
    return `${stands}, ${operations.length} operations at work`;
  }
  const troubled = runners.filter(({ verdict }) => verdict !== 'healthy');
  const isMeant = runners.length === 1 || (troubled.length === 1 && troubled[0]?.name === only.runner);
  return [stands, `${isMeant ? '' : `${only.runner} `}${doingText(only)}`, ...stepText(only)].join(', ');
}

const DOING: Readonly<Record<string, string>> = {
  recoverRunner: 'being recovered',
  syncClock: 'its clock being set',
  drainRunner: 'being drained',
  resumeRunner: 'being resumed',
  cleanActionsCache: 'its actions cache being cleaned',
  clearActionsCache: 'its actions cache being cleared',
  healActionsCache: 'its actions cache being healed',
  makeRoom: 'room being made on its disk',
};

function doingText({ type }: UnderWay): string {
  return DOING[type] ?? `in the hands of ${type}`;
}

function stepText({ step, doing }: UnderWay): string[] {
  if (step !== null) {
    return [`step ${step.number} of ${step.of}`];
  }
  return doing === null ? [] : [doing];
}

/** On a narrow terminal the last columns give way: what is wrong there is a finding as well. */
function runnerTable(runners: readonly RunnerStatus[], width: number): string[] {
  const head = ['RUNNER', 'STATE', 'GITHUB', 'SERVICE', 'JOB', 'MACHINE', 'CLOCK', 'DISK', 'VERSION', 'CACHE', 'INODES'];
  const rows = runners.map(({ name, verdict, github, service, job, vm, clock, disk, version, cache }) => [
    name,
    styled(VERDICT_STYLES[verdict], verdict),
    `${github.status ?? '?'}${github.busy === true ? ', busy' : ''}`,
    service.state ?? '?',
    job.running === null ? '?' : job.running ? 'running' : 'none',
    `${vm.name} ${vm.state ?? '?'}`,
    clock.driftSeconds === null ? '?' : `${clock.driftSeconds} s`,
    disk.usedPercent === null ? '?' : `${disk.usedPercent} %`,
    version.installed ?? '?',
    cacheText(cache),
    disk.inodesUsedPercent === null ? '?' : `${disk.inodesUsedPercent} %`,
  ]);
  for (let columns = head.length; ; columns -= 1) {
    const lines = tableLines(
      head.slice(0, columns),
      rows.map((row) => row.slice(0, columns)),
    );
    if (columns <= LEAST_COLUMNS || lines.every((line) => stripVTControlCharacters(line).length <= width)) {
      return lines;
    }
  }
}

/** Such as `179 MiB in 7`. */
function cacheText({ bytes, entries, health }: RunnerStatus['cache']): string {
  if (bytes === null || entries === null) {
    return '?';
  }
  return `${bytesText(bytes)} in ${entries}${health === 'damaged' ? ', damaged' : ''}`;
}

/** Up to the machine. */
const LEAST_COLUMNS = 6;

/** A finding that several runners share is told once; why GitHub could not be asked explains its queue as well. */
function sharedFindings({ runners, underWay }: StatusDocument): readonly Finding[] {
  const told = runners.flatMap(({ name, findings }) => (isBeingCured(underWay, name) ? findings.map(withPatience) : findings));
  const distinct = [...new Map(told.map((finding) => [JSON.stringify(finding), finding])).values()];
  const isExplained = ({ code, evidence }: Finding): boolean =>
    code === 'queue-unknown' && distinct.some((other) => other.code !== code && other.evidence === evidence);
  return bySeverity(distinct.filter((finding) => !isExplained(finding)));
}

/** A person's recovery would do the same as the one that is at work. */
function withPatience(finding: Finding): Finding {
  return finding.advice.includes('`runward recover')
    ? { ...finding, advice: `nothing yet: it is being recovered; if that was not enough, ${finding.advice}` }
    : finding;
}

function isBeingCured(underWay: StatusDocument['underWay'], runner: string): boolean {
  return (underWay ?? []).some((operation) => operation.runner === runner && CURING.has(operation.type));
}

const CURING: ReadonlySet<string> = new Set(['recoverRunner', 'syncClock']);

/** Who has a machine, whose budget is touched, and which findings are open. */
function careLines({ scope, runners, holds, budgets, openFindings, underWay }: StatusDocument, now: number): string[] {
  // What is no more than worth knowing needs nobody.
  const open = bySeverity((openFindings ?? []).filter(({ severity }) => severity !== 'info'));
  const seen = open.filter((finding) => isSeen(finding, scope, runners));
  const gone = open.filter((finding) => !seen.includes(finding));
  const isCuring = ({ subject }: OpenFindingSummary): boolean =>
    runners.some(({ name }) => subject === `${scope}/${name}` && isBeingCured(underWay, name));
  const [curing, waiting] = [seen.filter(isCuring), seen.filter((finding) => !isCuring(finding))];
  const shown = runners.flatMap(({ findings }) => findings);
  return [
    ...(holds ?? []).map(({ machine, holder }) =>
      holder === null
        ? `${machine} is held by a lock that does not say whose it is`
        : `${machine} is in the hands of ${holder.type} ${holder.workflowId} for ${spanText(holder.since, now)}${holder.reason === null ? '' : ` (${holder.reason})`}`,
    ),
    ...(budgets ?? []).filter(isTouched).map(budgetText),
    ...section('Waits for the cure under way:', openLines(curing, curing, now)),
    ...section('Waits for a person:', openLines(waiting, shown, now)),
    ...section(
      'Not seen just now, and over after three health checks without it:',
      // Nothing is to be done about what is not there.
      openLines(gone, gone, now),
    ),
  ];
}

/** Whether the look of this moment shows it as well, or what it comes from. */
function isSeen({ subject, code }: OpenFindingSummary, scope: string, runners: readonly RunnerStatus[]): boolean {
  const own = runners.filter(({ name }) => `${scope}/${name}` === subject);
  return (own.length === 0 ? runners : own).some(({ findings }) =>
    findings.some((finding) => finding.code === code || (code === 'budget-used-up' && finding.severity !== 'info')),
  );
}

/** What to do about it stands with the finding of the look, where there is one. */
function openLines(open: readonly OpenFindingSummary[], shown: readonly Pick<Finding, 'code'>[], now: number): string[] {
  return open.flatMap(({ severity, code, summary, advice, since, acknowledgedBy, snoozedUntil, workflowId }) => {
    const words = [
      `${summary}, for ${spanText(since, now)}`,
      acknowledgedBy === null ? null : `acknowledged by ${acknowledgedBy}`,
      snoozedUntil === null ? null : `nothing is told before ${snoozedUntil}`,
    ];
    return [
      `${styled(SEVERITY_STYLES[severity], severity.padEnd(8))}  ${words.filter((word) => word !== null).join(', ')} (${workflowId})`,
      ...(shown.some((finding) => finding.code === code) ? [] : [`${' '.repeat(8)}  → ${advice}`]),
    ];
  });
}

function isTouched({ recoveriesLeft, of, refusal }: Budget): boolean {
  return recoveriesLeft < of || refusal !== null;
}

function budgetText({ runner, recoveriesLeft, of, withinMs, refusal }: Budget): string {
  return refusal === null
    ? `${runner}: checks have ${recoveriesLeft} of ${of} recoveries in ${withinMs / 3_600_000} h left`
    : `${runner}: checks would not recover it now: ${refusal}`;
}

function queueText({ scope, queue }: StatusDocument): string {
  const { queued, inProgress, stale, parked, setAside, waitingForRunner, oldestSeconds, runsNotRead } = queue;
  const atLeast = runsNotRead === null || runsNotRead === 0 ? '' : 'at least ';
  const waiting =
    waitingForRunner === null
      ? 'unknown how many jobs wait for our runners'
      : waitingForRunner === 0
        ? 'no job waits for our runners'
        : `${atLeast}${waitingForRunner} ${waitingForRunner === 1 ? 'job waits' : 'jobs wait'} for our runners, the oldest for ${formatDuration((oldestSeconds ?? 0) * 1_000)}`;
  const counts = [
    `${queued ?? 'unknown'} queued`,
    `${inProgress ?? 'unknown'} in progress`,
    ...countTexts([
      [stale, 'stale'],
      [parked, 'parked'],
      [setAside, 'set aside'],
    ]),
  ];
  return `Queue of ${scope}: ${counts.join(', ')}; ${waiting}`;
}

/** What there is none of, and what is not known, needs no word: a finding says why. */
function countTexts(counts: readonly (readonly [count: number | null, what: string])[]): readonly string[] {
  return counts.flatMap(([count, what]) => (count === null || count === 0 ? [] : [`${count} ${what}`]));
}

function checksText({ schedule, mode }: StatusDocument, now: number): string {
  const passes = schedule === null ? 'unknown, Temporal does not answer (start it with `runward up`)' : passesText(schedule, now);
  return `Health checks: ${passes}; mode: ${mode}`;
}

function operationLines({ recentOperations, schedule }: StatusDocument, now: number): string[] {
  if (recentOperations === null) {
    return schedule === null ? [] : ['Recent operations: unknown'];
  }
  return section(
    'Recent operations:',
    tableLines(
      ['STARTED', 'WHAT', 'OUTCOME', 'TOOK', 'ID'],
      recentOperations.map(({ workflowId, type, outcome, startedAt, durationMs }) => [
        agoText(startedAt, now),
        type,
        outcome,
        formatDuration(durationMs),
        workflowId,
      ]),
    ).slice(recentOperations.length === 0 ? 1 : 0),
  );
}

function spaced(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', ...lines];
}
