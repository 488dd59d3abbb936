import { fewOf } from '../domain/few-of.ts';
import type { ParkedRun } from '../domain/queue/parked.ts';
import type { RuleMode, RuleName } from '../domain/queue/policy.ts';
import type { ActCounts, ActEnd, QueueFigures, QueueOutcome, QueueReport, ToldAct } from '../domain/queue/report.ts';
import type { LeftRun } from '../domain/queue/verdict.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { styled } from './invocation.ts';
import { agoText } from './schedule-text.ts';
import { section, type Story } from './story.ts';
import { fittingTable, tableLines, type Column as TableColumn } from './table.ts';

// What the care for a queue means to do, and has done, for people.

const OUTCOME_STYLES = {
  'nothing-to-do': 'green',
  planned: 'cyan',
  done: 'green',
  cut: 'yellow',
  partly: 'red',
  'refused-in-progress': 'yellow',
  failed: 'red',
} as const satisfies Record<QueueOutcome, string>;

const RULE_WORDS = {
  stale: 'stale',
  superseded: 'superseded',
  prioritizePullRequests: 'pull requests first',
  paths: 'paths',
} as const satisfies Record<RuleName, string>;

/** In the column `WOULD BE DONE` where nothing has happened yet, else in `CAME OF IT`. */
const END_WORDS = {
  'would-cancel': 'cancel',
  'would-park': 'park',
  'would-re-run': 're-run',
  'only-planned': 'nothing',
  cancelled: 'cancelled',
  parked: 'parked',
  'ended-otherwise': 'ended by itself',
  spared: 'spared',
  'set-aside': 'set aside',
  refused: 'refused',
  accepted: 'not over yet',
  'not-over': 'given up',
  again: 'to be tried again',
  're-run': 're-run',
  replaced: 'replaced',
  'branch-deleted': 'branch deleted',
  expired: 'expired',
  forgotten: 'left as it is',
} as const satisfies Record<ActEnd, string>;

/** Where what came of an act tells more than why it was begun. */
const TOLD_BY_DETAIL: ReadonlySet<ActEnd> = new Set([
  'only-planned',
  'ended-otherwise',
  'spared',
  'set-aside',
  'refused',
  'not-over',
  'again',
  'replaced',
  'branch-deleted',
  'expired',
  'forgotten',
]);

/** Runs that are told as left alone; `explain --verbose` has them all. */
const LEFT_SHOWN = 10;

export function isPlan({ end }: Pick<ToldAct, 'end'>): boolean {
  return end.startsWith('would-');
}

export function ruleText(rule: RuleName): string {
  return RULE_WORDS[rule];
}

export function endText(end: ActEnd): string {
  return END_WORDS[end];
}

/** Why an act was begun, or what became of it where that says more. Names in it come from GitHub. */
function whyText({ end, evidence, detail }: Pick<ToldAct, 'end' | 'evidence' | 'detail'>): string {
  if (detail !== '' && TOLD_BY_DETAIL.has(end)) {
    return detail;
  }
  return isPlan({ end }) && detail !== '' ? `${detail}: ${evidence}` : evidence;
}

/** One sentence, the acts in a table, and what else there is to know; `width`: the terminal's columns. */
export function queueLines(report: QueueReport, width = Infinity): string[] {
  const { isCut, outcome } = report;
  const left = leftToYou(report);
  return [
    styled(OUTCOME_STYLES[outcome], report.summary),
    ...actLines(report, width),
    ...modeLines(report.rules),
    ...report.notes.map((note) => `Note: ${note}`),
    ...leftLines(report.left, LEFT_SHOWN),
    ...refusalLines(report),
    ...unreadLines(report),
    ...(isCut && outcome === 'planned' ? ['There may be more to do: the plan ends where its limit is.'] : []),
    ...(report.mode === 'watch' ? ['Runward only watches: nothing was written (mode: watch)'] : []),
    ...(left === null ? [] : [`→ ${left}`]),
  ];
}

/** 0 where nothing is left to a person, 1 where GitHub refused some of it, or it was not done at all. */
export function queueExitCode(outcomes: readonly QueueOutcome[]): ExitCode {
  return outcomes.some((outcome) => ['partly', 'failed', 'refused-in-progress'].includes(outcome)) ? EXIT.bad : EXIT.done;
}

/** The same for a health check: that somebody else cares for the queue just now is no bad news. */
export function isQueueBad(outcome: QueueOutcome): boolean {
  return outcome === 'partly' || outcome === 'failed';
}

// The acts

interface Column {
  readonly head: string;
  /** Longest text of a cell on a terminal. */
  readonly atMost: number;
  readonly of: (act: ToldAct) => string;
}

const ID_COLUMN: Column = { head: 'RUN', atMost: Infinity, of: ({ run }) => String(run) };
const WORKFLOW_COLUMN: Column = { head: 'WORKFLOW', atMost: 24, of: ({ workflow }) => workflow };
const BRANCH_COLUMN: Column = { head: 'BRANCH', atMost: 32, of: ({ branch }) => branch ?? '?' };
const EVENT_COLUMN: Column = { head: 'EVENT', atMost: Infinity, of: ({ event }) => event };
const RULE_COLUMN: Column = { head: 'RULE', atMost: Infinity, of: ({ rule }) => ruleText(rule) };
const WHY_COLUMN: Column = { head: 'WHY', atMost: Infinity, of: whyText };

/** What a reason needs at least, before other columns give way to it. */
const WHY_LEAST = 32;

function actLines(report: QueueReport, width: number): string[] {
  const { acts } = report;
  const more = countOfAll(report.counts) - acts.length;
  return acts.length === 0 ? [] : ['', ...actTable(acts, width), ...(more > 0 ? [`… and ${numberText(more)} more`] : []), ''];
}

/** On a narrow terminal the event gives way first, then the workflow, then the rule. */
function actTable(acts: readonly ToldAct[], width: number): string[] {
  const isAllPlanned = acts.every(isPlan);
  const end: Column = {
    head: isAllPlanned ? 'WOULD BE DONE' : 'CAME OF IT',
    atMost: Infinity,
    // A rule that only plans does so beside others that act.
    of: (act) => (!isAllPlanned && isPlan(act) ? `would ${endText(act.end)}` : endText(act.end)),
  };
  const all = [ID_COLUMN, WORKFLOW_COLUMN, BRANCH_COLUMN, EVENT_COLUMN, RULE_COLUMN, end];
  for (const dropped of [[], [EVENT_COLUMN], [EVENT_COLUMN, WORKFLOW_COLUMN], [EVENT_COLUMN, WORKFLOW_COLUMN, RULE_COLUMN]]) {
    const columns = all.filter((column) => !dropped.includes(column));
    const left = width - columns.reduce((sum, column) => sum + widthOf(column, acts, width) + 2, 0);
    if (left >= WHY_LEAST || dropped.length === 3) {
      return tableLines(
        [...columns, WHY_COLUMN].map((column) => column.head),
        acts.map((act) => [
          ...columns.map(({ of, atMost }) => cutTo(of(act), width === Infinity ? Infinity : atMost)),
          cutTo(WHY_COLUMN.of(act), Math.max(left, WHY_LEAST / 2)),
        ]),
      );
    }
  }
  return [];
}

function widthOf({ head, atMost, of }: Column, acts: readonly ToldAct[], width: number): number {
  const longest = acts.reduce((most, act) => Math.max(most, of(act).length), head.length);
  return width === Infinity ? longest : Math.min(longest, Math.max(atMost, head.length));
}

function countOfAll(counts: ActCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function modeLines(rules: QueueReport['rules']): string[] {
  return rules === null
    ? []
    : [`Rules: ${(Object.entries(rules) as [RuleName, RuleMode][]).map(([rule, mode]) => `${ruleText(rule)}: ${mode}`).join(', ')}`];
}

function leftLines(left: readonly LeftRun[], shown: number): string[] {
  const more = left.length - shown;
  return section('Left alone:', [
    ...left.slice(0, shown).map(({ run, why }) => `run ${run}: ${why}`),
    ...(more > 0 ? [`… and ${more} more`] : []),
  ]);
}

function refusalLines({ refusals }: QueueReport): string[] {
  return refusals.map(({ count, why }) => `GitHub refused ${countText(count, 'act')}: ${why}`);
}

function unreadLines({ unread }: QueueReport): string[] {
  return unread === 0 ? [] : [`The jobs of ${countText(unread, 'queued run')} could not be read; nothing is done about those.`];
}

// What a person is asked

/** Acts of a plan that a person is asked for. */
export interface AskedActs {
  readonly cancel: number;
  readonly park: number;
  readonly rerun: number;
}

/** What would be done by rules that are on. */
export function askedActs({ counts }: Pick<QueueReport, 'counts'>): AskedActs {
  return { cancel: counts['would-cancel'] ?? 0, park: counts['would-park'] ?? 0, rerun: counts['would-re-run'] ?? 0 };
}

/** `Cancel 12 runs and park 3 of acme/kernel?` */
export function questionText(scope: string, { cancel, park, rerun }: AskedActs): string {
  const parts = [['cancel', cancel] as const, ['park', park] as const, ['re-run', rerun] as const].filter(([, count]) => count > 0);
  const words = parts.map(([verb, count], index) => `${verb} ${index === 0 ? countText(count, 'run') : numberText(count)}`);
  const text = [words.slice(0, -1).join(', '), words.at(-1) ?? 'do nothing'].filter((part) => part !== '').join(' and ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)} of ${scope}?`;
}

// What is told afterwards

export function queueStory(report: QueueReport): Pick<Story, 'headline' | 'broke' | 'sure' | 'did' | 'cameOfIt' | 'left'> {
  const { acts, outcome } = report;
  return {
    headline: `${styled(OUTCOME_STYLES[outcome], outcome)}: ${report.summary}`,
    broke: brokeText(report),
    sure: fewOf(acts.map(({ run, evidence }) => `run ${run}: ${evidence}`)),
    did: didText(report),
    cameOfIt: fewOf(acts.filter(({ end }) => TOLD_BY_DETAIL.has(end)).map((act) => `run ${act.run} ${endText(act.end)}: ${whyText(act)}`)),
    left: leftToYou(report) ?? 'nothing',
  };
}

/** All acts that the report lists, and what else it holds. */
export function queueDetails(report: QueueReport): string[] {
  const { queue } = report;
  return [
    ...actLines(report, Infinity),
    ...modeLines(report.rules),
    ...section('Notes:', report.notes),
    ...leftLines(report.left, Infinity),
    ...refusalLines(report),
    ...unreadLines(report),
    ...(queue === null ? [] : [figuresText(queue)]),
  ];
}

function figuresText({ queued, stale, setAside, inProgress, waiting, pending, requested, parked }: QueueFigures): string {
  const others: readonly (readonly [count: number | null, words: string])[] = [
    [inProgress, 'in progress'],
    [waiting, 'waiting for an approval'],
    [pending, 'for a concurrency group'],
    [requested, 'just requested'],
  ];
  const known = others.filter(([count]) => count !== null).map(([count, words]) => `, ${count} ${words}`);
  return `The queue: ${queued} queued (${stale} for too long, ${setAside} more set aside)${known.join('')}; ${parked} parked`;
}

const BROKE_WORDS = {
  stale: 'stale',
  superseded: 'superseded',
  prioritizePullRequests: 'in the way of pull requests',
  paths: 'needless by their paths',
} as const satisfies Record<RuleName, string>;

/** `14 runs were stale, 3 superseded`. */
function brokeText({ acts, byRule }: QueueReport): string {
  const rules = (Object.keys(BROKE_WORDS) as RuleName[]).flatMap((rule) =>
    byRule[rule] === undefined ? [] : [[rule, byRule[rule]] as const],
  );
  const words = rules.map(([rule, count], index) =>
    index === 0 ? `${countText(count, 'run')} ${count === 1 ? 'was' : 'were'} ${BROKE_WORDS[rule]}` : `${count} ${BROKE_WORDS[rule]}`,
  );
  const parked = acts.filter(isOfParked).length;
  const due = parked === 0 ? [] : [`${countText(parked, 'parked run')} ${parked === 1 ? 'was' : 'were'} due`];
  return [...words, ...due].join(', ') || 'nothing';
}

/** Whether it is about a run that was parked before. */
function isOfParked({ evidence }: ToldAct): boolean {
  return evidence.startsWith('parked before: ');
}

function didText({ counts, dryRun, mode }: QueueReport): string {
  const done = (['cancelled', 'parked', 're-run'] as const).flatMap((end) =>
    (counts[end] ?? 0) === 0 ? [] : [`${end === 're-run' ? 're-ran' : end} ${countText(counts[end] ?? 0, 'run')}`],
  );
  if (done.length > 0) {
    return done.join(', ');
  }
  return dryRun ? 'nothing: it was a plan' : mode === 'watch' ? 'nothing: it only watches' : 'nothing';
}

/** What is left to a person; `null` where that is nothing. */
function leftToYou(report: QueueReport): string | null {
  const { outcome, scope, counts, refusals } = report;
  const words = [
    ...(outcome === 'failed' ? ['mend what the first line says, then run it again'] : []),
    ...(outcome === 'refused-in-progress' ? ['wait until the other has ended, then look again'] : []),
    ...(refusals.some(({ status }) => status === 403)
      ? ['give the token the permission "Actions: read and write"; with a classic token, the scope `repo`']
      : []),
    ...((counts['not-over'] ?? 0) > 0
      ? ['look on GitHub at what was given up: its cancellation was accepted, and forced, and it is set aside']
      : []),
    ...((counts.expired ?? 0) > 0 ? ['run anew what expired, where it is still needed: GitHub would not re-run it'] : []),
    ...(outcome === 'cut' ? [`nothing: the next pass goes on; \`runward queue optimize --scope ${scope}\` does the rest now`] : []),
  ];
  return words.length === 0 ? null : words.join('; ');
}

// Parked runs

/** A run that waits to be re-run, as `queue parked` tells it. */
export interface ParkedSummary {
  readonly run: number;
  readonly attempt: number;
  readonly workflow: string;
  readonly event: string;
  readonly branch: string | null;
  /** ISO 8601. */
  readonly since: string;
  readonly why: string;
  /** Times that it has been parked, this one counted. */
  readonly times: number;
  /** Whether its cancellation has come to pass. */
  readonly isCancelled: boolean;
  /** The operation that parked it. */
  readonly by: string;
}

export function parkedSummary({ run, parkedAt, times, isCancelled, evidence, by }: ParkedRun): ParkedSummary {
  const { id, attempt, workflow, event, branch } = run;
  return { run: id, attempt, workflow, event, branch, since: new Date(parkedAt).toISOString(), why: evidence, times, isCancelled, by };
}

/** `now`: epoch milliseconds. */
export function parkedLines(scope: string, parked: readonly ParkedSummary[], now: number, width = Infinity): string[] {
  if (parked.length === 0) {
    return [`No run of ${scope} waits to be re-run.`];
  }
  const columns: readonly TableColumn<ParkedSummary>[] = [
    { name: 'RUN', cell: ({ run }) => String(run) },
    { name: 'WORKFLOW', cell: ({ workflow }) => workflow, least: 8 },
    { name: 'BRANCH', cell: ({ branch }) => branch ?? '?', least: 8 },
    { name: 'SINCE', cell: ({ since }) => agoText(since, now) },
    { name: 'PARKED', cell: ({ times }) => (times === 1 ? 'once' : `${times} times`) },
    { name: 'WHY', cell: ({ why }) => why, least: WHY_LEAST / 2 },
  ];
  return [
    `${countText(parked.length, 'run')} of ${scope} ${parked.length === 1 ? 'waits' : 'wait'} to be re-run:`,
    ...fittingTable(columns, parked, width),
  ];
}

// Words

/** `1 run`, `4,800 runs`. */
export function countText(count: number, what: string): string {
  return `${numberText(count)} ${what}${count === 1 ? '' : 's'}`;
}

export function numberText(count: number): string {
  return count.toLocaleString('en-US');
}

function cutTo(text: string, length: number): string {
  const letters = Array.from(text);
  return letters.length > length ? `${letters.slice(0, Math.max(0, length - 1)).join('')}…` : text;
}
