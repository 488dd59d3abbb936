import { bySeverity } from '../domain/alert.ts';
import type { Finding } from '../domain/finding.ts';
import { clockText, formatDuration } from '../domain/duration.ts';
import { doingText, workText, type Handler } from '../domain/next-step.ts';
import { bytesText, diskText } from '../domain/room.ts';
import { standingOf, statusSentence, type RunnerStatus, type Standing } from '../domain/status.ts';
import { styled } from './invocation.ts';
import type { OpenFindingSummary } from './open-findings.ts';
import type { OperationSummary } from './operations.ts';
import { findingLines, SEVERITY_STYLES } from './pass-text.ts';
import { agoText, passesText, spanText, type ScheduleStatus } from './schedule-text.ts';
import { section } from './story.ts';
import { fittingTable, wrapLine, type Column } from './table.ts';
import type { Budget, Hold, UnderWay } from './temporal-view.ts';

/** `status --json` of one scope; what can't be read is `null`. */
export interface StatusDocument {
  readonly scope: string;
  readonly observedAt: string;
  readonly runners: readonly RunnerStatus[];
  readonly queue: {
    /** Without quarantined ones. */
    readonly queued: number | null;
    readonly inProgress: number | null;
    /** Queued runs whose current attempt has waited for too long. */
    readonly stale: number | null;
    /** Jobs that wait for a runner of the scope; at least so many where runs were not read. */
    readonly waitingForRunner: number | null;
    /** Of those the one that waits longest; 0 where none does. */
    readonly oldestSeconds: number | null;
    /** Runs that were deferred for pull requests, and wait to be re-run. */
    readonly parked: number | null;
    /** Quarantined runs: they refuse to end. */
    readonly setAside: number | null;
    /** Runs whose jobs are not read yet: the next look goes on. */
    readonly runsNotRead: number | null;
  };
  readonly recentOperations: readonly Pick<OperationSummary, 'workflowId' | 'type' | 'outcome' | 'startedAt' | 'durationMs'>[] | null;
  readonly mode: 'act' | 'watch';
  readonly schedule: ScheduleStatus | null;
  readonly underWay: readonly UnderWay[] | null;
  /** Machines that an operation has locked. */
  readonly holds: readonly Hold[] | null;
  readonly budgets: readonly Budget[] | null;
  /** Findings that are open. */
  readonly openFindings: readonly OpenFindingSummary[] | null;
  readonly drained: readonly { readonly runner: string; readonly since: string; readonly reason: string }[];
}

const STANDING_STYLES = {
  healthy: 'green',
  degraded: 'yellow',
  down: 'red',
  unknown: 'magenta',
  drained: 'dim',
  stopped: 'dim',
  suspended: 'dim',
} as const satisfies Record<Standing, string>;

/** How the answer is to be drawn. */
export interface Shape {
  /** Columns of the terminal; `null` if there is none: then nothing is cut, folded or left out. */
  readonly width: number | null;
  /** Every runner in its own row. */
  readonly all: boolean;
}

const WHOLE: Shape = { width: null, all: true };

/** One sentence, the runners, and what else there is to know; `now` is epoch milliseconds. */
export function scopeLines(status: StatusDocument, now: number, shape: Shape = WHOLE): string[] {
  const lines = [
    sentenceOf(status),
    '',
    ...runnerLines(status, now, shape),
    ...spaced(findingsLines(status.runners, shape)),
    ...spaced(careLines(status, now)),
    '',
    queueText(status),
    checksText(status, now),
    ...operationLines(status, now, shape.width),
  ];
  const { width } = shape;
  return width === null ? lines : lines.flatMap((line) => wrapLine(line, width));
}

/** Such as "1 of 3 down, being recovered, step 4 of 6". */
export function sentenceOf({ runners, underWay }: Pick<StatusDocument, 'runners' | 'underWay'>): string {
  const stands = statusSentence(runners.map((runner) => ({ name: runner.name, standing: standingOfRunner(runner) })));
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

function standingOfRunner({ verdict, findings }: RunnerStatus): Standing {
  return standingOf(verdict, findings);
}

function stepText({ step, doing }: UnderWay): string[] {
  if (step !== null) {
    return [`step ${step.number} of ${step.of}`];
  }
  return doing === null ? [] : [doing];
}

// The runners

/** With more of them, healthy ones are counted and not listed. */
const HEALTHY_LISTED = 10;

const WORST_FIRST: readonly Standing[] = ['down', 'degraded', 'unknown', 'suspended', 'stopped', 'drained', 'healthy'];

/** On a terminal a block of one runner, and a table of several; the worst come first. */
function runnerLines({ runners }: Pick<StatusDocument, 'runners'>, now: number, { width, all }: Shape): string[] {
  if (width === null) {
    return fittingTable(columnsOf(runners, { isWide: true }), runners, Infinity);
  }
  const [only] = runners;
  if (only !== undefined && runners.length === 1) {
    return blockLines(only, now);
  }
  const rank = (runner: RunnerStatus): number => WORST_FIRST.indexOf(standingOfRunner(runner));
  const ordered = runners.toSorted((one, other) => rank(one) - rank(other));
  const quiet = ordered.filter(isQuiet);
  const isFolded = !all && quiet.length > 0 && (runners.length > HEALTHY_LISTED || quiet.length < runners.length);
  const listed = isFolded ? ordered.filter((runner) => !isQuiet(runner)) : ordered;
  return [
    ...(listed.length === 0 ? [] : fittingTable(columnsOf(listed, { isWide: false }), listed, width)),
    ...(isFolded ? [`${quiet.length} healthy (--all shows ${quiet.length === 1 ? 'it' : 'them'})`] : []),
  ];
}

/** Whether there is nothing to be said of it. */
function isQuiet(runner: RunnerStatus): boolean {
  return runner.verdict === 'healthy' && runner.findings.every(({ severity }) => severity === 'info');
}

/** @param isWide all columns, and what they hold in full */
function columnsOf(runners: readonly RunnerStatus[], { isWide }: { readonly isWide: boolean }): readonly Column<RunnerStatus>[] {
  const cache: Column<RunnerStatus> = { name: 'CACHE', cell: (runner) => cacheText(runner.cache), least: 7 };
  const inodes: Column<RunnerStatus> = { name: 'INODES', cell: ({ disk }) => percentText(disk.inodesUsedPercent) };
  const isWrong = (codes: readonly string[]): boolean =>
    !isWide && runners.some(({ findings }) => findings.some(({ code }) => codes.includes(code)));
  // What is wrong matters more than the version.
  const isWrongIn = new Map([
    [cache, isWrong(['cache-damaged'])],
    [inodes, isWrong(['inodes-low', 'disk-below-floor'])],
  ]);
  return [
    { name: 'RUNNER', cell: ({ name }) => name, least: 12 },
    { name: 'STATE', cell: (runner) => styled(STANDING_STYLES[standingOfRunner(runner)], standingOfRunner(runner)) },
    { name: 'GITHUB', cell: ({ github }) => (isWide ? githubText(github) : shortGithubText(github)), least: 7 },
    { name: 'SERVICE', cell: ({ service }) => service.state ?? '?', least: 7 },
    { name: 'JOB', cell: ({ job }) => jobText(job), least: 5 },
    { name: 'MACHINE', cell: (runner) => machineText(runner), least: 7 },
    { name: 'CLOCK', cell: ({ clock }) => driftText(clock.driftSeconds) },
    { name: 'DISK', cell: ({ disk }) => percentText(disk.usedPercent) },
    ...[...isWrongIn].flatMap(([column, isIt]) => (isIt ? [column] : [])),
    { name: 'VERSION', cell: ({ version }) => version.installed ?? '?' },
    ...[...isWrongIn].flatMap(([column, isIt]) => (isIt ? [] : [{ ...column, isSpare: !isWide }])),
  ];
}

function blockLines(runner: RunnerStatus, now: number): string[] {
  const { name, github, service, job, clock, disk, cache, version } = runner;
  const standing = standingOfRunner(runner);
  const rows: readonly (readonly [key: string, value: string])[] = [
    ['Runner', name],
    ['State', styled(STANDING_STYLES[standing], standing)],
    ['GitHub', githubText(github)],
    ['Service', service.state ?? '?'],
    ['Job', jobSentence(job, now)],
    ['Machine', machineText(runner)],
    ['Clock', driftText(clock.driftSeconds)],
    ['Disk', diskSentence(disk)],
    ['Cache', cacheText(cache)],
    [
      'Version',
      `${version.installed ?? '?'}${version.latest === null || version.latest === version.installed ? '' : ` (latest ${version.latest})`}`,
    ],
  ];
  return rows.map(([key, value]) => `${styled('dim', key.padEnd(7))}  ${value}`);
}

function githubText({ status, busy }: RunnerStatus['github']): string {
  return `${status ?? '?'}${busy === true ? ', busy' : ''}`;
}

/** Whoever is busy is online. */
function shortGithubText(github: RunnerStatus['github']): string {
  return github.status === 'online' && github.busy === true ? 'busy' : githubText(github);
}

/** The machine's name is shown only if it differs from the runner's. */
function machineText({ name, vm }: RunnerStatus): string {
  return vm.name === name ? (vm.state ?? '?') : `${vm.name} ${vm.state ?? '?'}`;
}

/** Such as `kernel 6.6`. */
function jobText({ running, name }: RunnerStatus['job']): string {
  switch (running) {
    case true:
      return name ?? 'running';
    case false:
      return 'none';
    case null:
      return name ?? '?';
  }
}

/** Such as `kernel 6.6 of run 34000001010, for 12 min`. */
function jobSentence(job: RunnerStatus['job'], now: number): string {
  const run = job.running !== false && job.run !== null ? ` of run ${job.run}` : '';
  const since = job.running !== false && job.startedAt !== null ? `, for ${spanText(job.startedAt, now)}` : '';
  return `${jobText(job)}${run}${since}`;
}

/** A drift of hours is told in hours. */
function driftText(seconds: number | null): string {
  if (seconds === null) {
    return '?';
  }
  const span = Math.abs(seconds);
  const sign = seconds < 0 ? '-' : '';
  return span < 120 ? `${seconds} s` : `${sign}${span < 7_200 ? `${Math.floor(span / 60)} min` : `${Math.floor(span / 3_600)} h`}`;
}

function percentText(percent: number | null): string {
  return percent === null ? '?' : `${percent} %`;
}

function diskSentence({ usedPercent, freeBytes, inodesUsedPercent }: RunnerStatus['disk']): string {
  return usedPercent === null || freeBytes === null ? '?' : diskText({ usedPercent, freeBytes, inodesUsedPercent });
}

/** Such as `179 MiB (7 actions)`. */
function cacheText({ bytes, entries, health }: RunnerStatus['cache']): string {
  if (bytes === null || entries === null) {
    return '?';
  }
  const size = entries === 0 ? 'empty' : `${bytesText(bytes)} (${entries} ${entries === 1 ? 'action' : 'actions'})`;
  return `${size}${health === 'damaged' ? ', damaged' : ''}`;
}

// What is wrong, and who sees to it

/** On a terminal so many are told, the worst of them. */
const FINDINGS_SHOWN = 20;

function findingsLines(runners: StatusDocument['runners'], { width, all }: Shape): string[] {
  const findings = sharedFindings(runners);
  const shown = width === null || all ? findings : findings.slice(0, FINDINGS_SHOWN);
  const more = findings.length - shown.length;
  return [
    ...shown.flatMap((finding) => findingLines(finding)),
    ...(more > 0 ? [`and ${more} more ${more === 1 ? 'finding' : 'findings'} (--all shows them)`] : []),
  ];
}

/**
 * A finding that several runners share is told once; why GitHub could not be asked explains its queue as well. What an operation at work
 * may be the cause of is not told: the operation is.
 */
function sharedFindings(runners: StatusDocument['runners']): readonly Finding[] {
  const told = runners.flatMap(({ findings }) => findings.filter(({ handledBy }) => handledBy !== 'operation'));
  const distinct = [...new Map(told.map((finding) => [JSON.stringify(finding), finding])).values()];
  const isExplained = ({ code, evidence }: Finding): boolean =>
    code === 'queue-unknown' && distinct.some((other) => other.code !== code && other.evidence === evidence);
  return bySeverity(distinct.filter((finding) => !isExplained(finding)));
}

/** Who works on what, whose budget is touched, and which findings are open. */
function careLines({ scope, runners, holds, budgets, openFindings, underWay }: StatusDocument, now: number): string[] {
  const operations = (underWay ?? []).filter(({ runner }) => runners.some(({ name }) => name === runner));
  const shownIds = new Set(operations.map(({ workflowId }) => workflowId));
  return [
    ...operations.map((operation) => `${operation.runner}: ${atWorkText(operation, now)}`),
    ...(holds ?? []).filter(({ holder }) => holder === null || !shownIds.has(holder.workflowId)).map((hold) => holdText(hold, now)),
    ...(budgets ?? []).filter(isTouched).map((budget) => budgetText(budget, now)),
    ...openSections({ scope, runners, openFindings }, now),
  ];
}

function atWorkText(operation: UnderWay, now: number): string {
  const { workflowId, type, startedAt } = operation;
  return [workText({ workflowId, type, since: Date.parse(startedAt) }, now), ...stepText(operation)].join(', ');
}

function holdText({ machine, holder }: Hold, now: number): string {
  return holder === null
    ? `${machine} is locked, and its lock does not say by what`
    : `${machine} is locked by ${holder.type} ${holder.workflowId} for ${spanText(holder.since, now)}${holder.reason === null ? '' : ` (${holder.reason})`}`;
}

/** Open findings by who sees to them; what the look does not show any more is nearly over. */
function openSections({ scope, runners, openFindings }: Pick<StatusDocument, 'scope' | 'runners' | 'openFindings'>, now: number): string[] {
  // What is no more than worth knowing needs nobody.
  const open = bySeverity((openFindings ?? []).filter(({ severity }) => severity !== 'info')).map((finding) => ({
    finding,
    ...lookOn(finding, scope, runners),
  }));
  const shown = runners.flatMap(({ findings }) => findings);
  const seenBy = (handler: Handler | null): readonly OpenFindingSummary[] =>
    open.filter(({ isSeen, handledBy }) => isSeen && handledBy === handler).map(({ finding }) => finding);
  const gone = open.filter(({ isSeen }) => !isSeen).map(({ finding }) => finding);
  return [
    ...section('Needs you:', openLines(seenBy(null), shown, now)),
    // What is to be done about them is known, or nothing is.
    ...section('Left to the operation at work:', openLines(seenBy('operation'), seenBy('operation'), now)),
    ...section('Left to the next check:', openLines(seenBy('check'), shown, now)),
    ...section('Recently fixed (closes after 3 clean checks):', openLines(gone, gone, now)),
  ];
}

/** Whether the look of this moment shows it as well, or what it comes from, and who sees to it. */
function lookOn(
  { subject, code }: OpenFindingSummary,
  scope: string,
  runners: readonly RunnerStatus[],
): { readonly isSeen: boolean; readonly handledBy: Handler | null } {
  const own = runners.filter(({ name }) => `${scope}/${name}` === subject);
  const findings = (own.length === 0 ? runners : own).flatMap((runner) => runner.findings);
  const found =
    findings.find((finding) => finding.code === code) ?? findings.find(({ severity }) => code === 'budget-used-up' && severity !== 'info');
  return { isSeen: found !== undefined, handledBy: found?.handledBy ?? null };
}

/** What to do about it stands with the finding of the look, where there is one. */
function openLines(open: readonly OpenFindingSummary[], shown: readonly Pick<Finding, 'code'>[], now: number): string[] {
  return open.flatMap(({ severity, code, summary, advice, since, acknowledgedBy, snoozedUntil, workflowId }) => {
    const words = [
      `${summary}, for ${spanText(since, now)}`,
      acknowledgedBy === null ? null : `acknowledged by ${acknowledgedBy}`,
      snoozedUntil === null ? null : `snoozed until ${snoozedUntil}`,
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

function budgetText({ runner, recoveriesLeft, of, withinMs, refusal, until }: Budget, now: number): string {
  const left = `${runner}: automatic recoveries left: ${recoveriesLeft} of ${of} (per ${withinMs / 3_600_000} h)`;
  if (refusal === null) {
    return left;
  }
  const again = until === null ? '' : `; checks recover it again from ${clockText(Date.parse(until), now)} on`;
  return `${recoveriesLeft === 0 ? left : `${left}, but ${refusal}`}${again}; now: \`runward recover --runner ${runner}\``;
}

function queueText({ scope, queue }: StatusDocument): string {
  const { queued, inProgress, stale, parked, setAside, waitingForRunner, oldestSeconds, runsNotRead } = queue;
  const atLeast = runsNotRead === null || runsNotRead === 0 ? '' : 'at least ';
  const waiting =
    waitingForRunner === null
      ? 'unknown how many jobs wait for our runners'
      : waitingForRunner === 0
        ? atLeast === ''
          ? 'no job waits for our runners'
          : 'no job of those that were read waits for our runners'
        : `${atLeast}${waitingForRunner} ${waitingForRunner === 1 ? 'job waits' : 'jobs wait'} for our runners, the oldest for ${formatDuration((oldestSeconds ?? 0) * 1_000)}`;
  const counts = [
    `${queued ?? 'unknown'} queued`,
    `${inProgress ?? 'unknown'} in progress`,
    ...countTexts([
      [stale, 'stale'],
      [parked, 'parked'],
      [setAside, 'quarantined'],
    ]),
  ];
  const unread = runsNotRead === null || runsNotRead === 0 ? '' : `; jobs of ${runsNotRead} runs are not read yet, the next look goes on`;
  return `Queue of ${scope}: ${counts.join(', ')}; ${waiting}${unread}`;
}

/** What there is none of, and what is not known, needs no word: a finding says why. */
function countTexts(counts: readonly (readonly [count: number | null, what: string])[]): readonly string[] {
  return counts.flatMap(([count, what]) => (count === null || count === 0 ? [] : [`${count} ${what}`]));
}

function checksText({ schedule, mode }: StatusDocument, now: number): string {
  const passes = schedule === null ? 'unknown, Temporal does not answer (start it with `runward up`)' : passesText(schedule, now);
  return `Health checks: ${passes}; mode: ${mode}`;
}

/** On a narrow terminal ids stand in `runward history` alone. */
function operationLines({ recentOperations, schedule }: StatusDocument, now: number, width: number | null): string[] {
  if (recentOperations === null) {
    return schedule === null ? [] : ['Recent operations: unknown'];
  }
  if (recentOperations.length === 0) {
    return [];
  }
  type Operation = (typeof recentOperations)[number];
  const columns: readonly Column<Operation>[] = [
    { name: 'STARTED', cell: ({ startedAt }) => agoText(startedAt, now) },
    { name: 'WHAT', cell: ({ type }) => type },
    { name: 'RESULT', cell: ({ outcome }) => outcome },
    { name: 'TOOK', cell: ({ durationMs }) => formatDuration(durationMs) },
    { name: 'ID', cell: ({ workflowId }) => workflowId, isSpare: true },
  ];
  const indent = 2;
  const lines = fittingTable(columns, recentOperations, width === null ? Infinity : width - indent);
  const hasIds = lines[0]?.endsWith('ID') === true;
  return section(`Recent operations${hasIds ? '' : ' (ids: `runward history`)'}:`, lines);
}

function spaced(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', ...lines];
}
