import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { describeExecution } from '../activities/describe-execution.ts';
import { labelOf } from '../activities/labels.ts';
import type { FindingLife, FindingReport } from '../domain/finding-life.ts';
import type { HealthReport, StartedCure } from '../domain/health-report.ts';
import { FINDING_QUERY, PROGRESS_QUERY } from '../domain/names.ts';
import { CURE_NAMES } from '../domain/health-summary.ts';
import type { QueueReport } from '../domain/queue/report.ts';
import type { ConfigFlags } from '../config/load.ts';
import { readBeginning } from './beginning.ts';
import { formatDuration, wholeDurationMs } from '../domain/duration.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { explainRun, soughtRun } from './explain-run.ts';
import { childrenTexts, failingTasks, missingWorker } from './follow.ts';
import { print, printJson, workerStartingUntil, type Invocation } from './invocation.ts';
import type { ShownProgress } from './live-steps.ts';
import { findingOfMemo, type OpenFindingSummary } from './open-findings.ts';
import { operationDetails, operationStory, type Origin, type ToldReport } from './operation-text.ts';
import { FINDING_TYPE, isTellable, listOperations, listPasses, PASS_TYPE, QUEUE_TYPE, type OperationSummary } from './operations.ts';
import { countOf, findingLines, passDetails, passStory, runnerInPass } from './pass-text.ts';
import { queueDetails, queueStory } from './queue-text.ts';
import { storyLines, type Story } from './story.ts';
import { triggerText } from './trigger-text.ts';
import { executionLink } from '../worker/temporal-address.ts';
import { deepestCause, isLost, messageOf, nullWithoutWorker, withTemporal, type TemporalSession } from './temporal.ts';
import { scopesToRead } from './terminal.ts';

export interface ExplainFlags {
  /** A workflow id, or a runner's name, also as `scope/name`. */
  readonly subject: string | undefined;
  readonly last: boolean;
  /** A run of GitHub's, by id or address. */
  readonly run: string | undefined;
  readonly verbose: boolean;
  /** Whether the history is the demo's. */
  readonly demo: boolean;
  readonly json: boolean;
  readonly scope: string | undefined;
  readonly config: ConfigFlags;
}

/** Scopes whose history is meant; `null`: all. */
type Scopes = readonly string[] | null;

/** Tells an operation, a health check, a finding or a runner: what broke, why it was sure, what it did, what came of it, what is left to do. */
export async function explain(flags: ExplainFlags, invocation: Invocation): Promise<ExitCode> {
  refuseMisuse(flags);
  const scopes = scopesToRead(invocation, flags);
  return withTemporal(invocation, (session) => explainIn(session, flags, { scopes, startingUntil: workerStartingUntil(invocation) }));
}

/** What is known of the computer that asks. */
export interface Asking {
  readonly scopes: Scopes;
  /** Until when a worker was starting that may take the tasks, epoch milliseconds. */
  readonly startingUntil: number;
}

/** The same on a connection that is there already. */
export async function explainIn(
  { client, address }: TemporalSession,
  flags: ExplainFlags,
  { scopes, startingUntil }: Asking,
): Promise<ExitCode> {
  if (flags.run !== undefined) {
    return explainRun(client, soughtRun(flags.run), flags);
  }
  const { description, runner } = await subjectOf(client, flags, scopes);
  const end = description === null ? null : await endOf(client, description, startingUntil);
  const link = description === null || address.uiUrl === null ? null : executionLink(address.uiUrl, address.namespace, description);
  if (flags.json) {
    printJson({
      ...(description === null ? {} : { workflowId: description.workflowId, runId: description.runId, type: description.type }),
      ...(description === null ? {} : { status: description.status.name.toLowerCase() }),
      ...end,
      ...(runner === null ? {} : { lastPass: runner.lastPass }),
      ui: link,
    });
    return EXIT.done;
  }
  const told =
    description === null || end === null
      ? [`There is no operation of ${runner?.name ?? 'this runner'} yet.`]
      : [...storyLines(storyOf(description, end, link, flags)), ...(flags.verbose ? ['', ...detailsOf(end)] : [])];
  print([...told, ...(runner === null ? [] : runnerLines(runner))].join('\n'));
  return EXIT.done;
}

/** Exit code 2 before anything is asked. */
export function refuseMisuse({ subject, last, run }: ExplainFlags): void {
  if (run !== undefined) {
    soughtRun(run);
  } else if (subject === undefined && !last) {
    throw new CommandFailure(
      EXIT.usage,
      'explain needs an id of `runward history`, a runner, --last, or --run, such as `runward explain --last`',
    );
  }
}

// What is asked for

interface Subject {
  /** `null` where a runner has no operation yet. */
  readonly description: WorkflowExecutionDescription | null;
  /** Where a runner is asked for. */
  readonly runner: RunnerAsked | null;
}

interface RunnerAsked {
  readonly name: string;
  readonly lastPass: LastPass | null;
}

/** What the newest health check says of one runner. */
interface LastPass extends ReturnType<typeof runnerInPass> {
  readonly workflowId: string;
  /** ISO 8601. */
  readonly observedAt: string;
}

async function subjectOf(client: Client, { subject }: ExplainFlags, scopes: Scopes): Promise<Subject> {
  if (subject !== undefined) {
    const description = await describe(client, subject);
    return description === null ? runnerSubject(client, subject, scopes) : { description, runner: null };
  }
  const newest = await newestOf(scopes, (within) => listOperations(client, { ...within, passes: 'none', limit: 1 }));
  const found = newest ?? (await newestOf(scopes, (within) => listPasses(client, { ...within, limit: 1 })));
  if (found === undefined) {
    throw new CommandFailure(EXIT.bad, `There is no operation${scopes === null ? '' : ` of ${scopes.join(', ')}`} yet.`);
  }
  return { description: await describe(client, found.workflowId, found.runId), runner: null };
}

/** The newest of what the scopes have. */
async function newestOf(
  scopes: Scopes,
  list: (within: { readonly scope?: string }) => Promise<readonly OperationSummary[]>,
): Promise<OperationSummary | undefined> {
  const listed = await Promise.all(scopes === null ? [list({})] : scopes.map((scope) => list({ scope })));
  return listed.flat().toSorted((a, b) => b.startedAt.localeCompare(a.startedAt))[0];
}

async function runnerSubject(client: Client, subject: string, scopes: Scopes): Promise<Subject> {
  const slash = subject.lastIndexOf('/');
  const name = subject.slice(slash + 1);
  const [onlyScope, ...otherScopes] = scopes ?? [];
  const meantScope = otherScopes.length === 0 ? onlyScope : undefined;
  const scope = slash < 0 ? meantScope : subject.slice(0, slash);
  const within: Scopes = scope === undefined ? scopes : [scope];
  const newest = await newestOf(within, (each) => listOperations(client, { runner: name, ...each, passes: 'none', limit: 1 }));
  const isSure = slash >= 0 || newest !== undefined;
  const lastPass = await lastPassOf(client, name, { scope: scope ?? newest?.scope ?? undefined, isSure });
  if (newest === undefined && lastPass === null) {
    throw new CommandFailure(
      EXIT.bad,
      `There is no workflow "${subject}", no operation of a runner of this name, and no health check that found anything about it. See \`runward history\`.`,
    );
  }
  return {
    description: newest === undefined ? null : await describe(client, newest.workflowId, newest.runId),
    runner: { name, lastPass },
  };
}

/** Unless it is sure that the scope has such a runner, only a check that mentions it counts. */
async function lastPassOf(
  client: Client,
  name: string,
  { scope, isSure }: { readonly scope: string | undefined; readonly isSure: boolean },
): Promise<LastPass | null> {
  const passes = await listPasses(client, { scope, limit: scope === undefined ? PASSES_SEARCHED : 1 });
  const newestOfScopes = passes.filter((pass, index) => passes.findIndex((other) => other.scope === pass.scope) === index);
  for (const { workflowId, runId } of newestOfScopes) {
    const report = (await client.workflow.getHandle(workflowId, runId).result()) as HealthReport;
    const runner = `${report.scope}/${name}`;
    const seen = runnerInPass(report, runner);
    if ((scope !== undefined && isSure) || seen.findings.length > 0 || report.runners.some((other) => other.runner === runner)) {
      return { workflowId, observedAt: report.observedAt, ...seen };
    }
  }
  return null;
}

/** Some passes of each scope are among the newest ones. */
const PASSES_SEARCHED = 50;

/** `null` where there is no such workflow. */
async function describe(client: Client, workflowId: string, runId?: string): Promise<WorkflowExecutionDescription | null> {
  const description = await describeExecution(client, workflowId, runId);
  if (description !== null && !isTellable(description.type)) {
    const parent = description.parentExecution?.workflowId;
    const hint = parent === undefined ? 'See `runward history`.' : `It belongs to ${parent}: \`runward explain ${parent}\`.`;
    throw new CommandFailure(EXIT.usage, `${workflowId} is a ${description.type}, which is no operation of its own. ${hint}`);
  }
  return description;
}

// How it ended, or stands

type End =
  | { readonly kind: 'report'; readonly report: ToldReport }
  | { readonly kind: 'pass'; readonly report: HealthReport }
  /** `startedBy`: the client that asked for it; `null` where its history is gone. */
  | { readonly kind: 'queue'; readonly report: QueueReport; readonly startedBy: string | null; readonly reason: string | null }
  /** `report` is what the finding's workflow ended with; `null` while it is open. */
  | {
      readonly kind: 'finding';
      readonly finding: OpenFindingSummary | null;
      readonly state: FindingLife | null;
      readonly report: FindingReport | null;
    }
  | { readonly kind: 'failure'; readonly failure: string; readonly status: string }
  | {
      readonly kind: 'running';
      readonly progress: ShownProgress | null;
      readonly waitsFor: string | null;
      readonly failing: readonly string[];
      /** What its children do. */
      readonly children: readonly string[];
    };

async function endOf(client: Client, description: WorkflowExecutionDescription, startingUntil: number): Promise<End> {
  const { workflowId, runId, type, memo } = description;
  const isRunning = description.status.name === 'RUNNING';
  if (isRunning && type !== FINDING_TYPE) {
    const [progress, children] = await Promise.all([
      ask<ShownProgress>(client, description, PROGRESS_QUERY),
      childrenTexts(client, description, startingUntil),
    ]);
    const waitsFor = missingWorker(description, startingUntil);
    return { kind: 'running', progress, waitsFor, failing: failingTasks(description), children };
  }
  try {
    const report: unknown = isRunning ? null : await client.workflow.getHandle(workflowId, runId).result();
    switch (type) {
      case FINDING_TYPE: {
        const state = isRunning ? await ask<FindingLife>(client, description, FINDING_QUERY) : null;
        return { kind: 'finding', finding: findingOfMemo(workflowId, memo), state, report: report as FindingReport | null };
      }
      case PASS_TYPE:
        return { kind: 'pass', report: await withEnds(client, workflowId, report as HealthReport) };
      case QUEUE_TYPE: {
        const beginning = await readBeginning(client, description);
        const [input] = (beginning?.input ?? []) as readonly ({ readonly reason?: string } | undefined)[];
        return { kind: 'queue', report: report as QueueReport, startedBy: beginning?.identity ?? null, reason: input?.reason ?? null };
      }
      default:
        return { kind: 'report', report: report as ToldReport };
    }
  } catch (error) {
    if (isLost(error)) {
      throw error;
    }
    const status = description.status.name.toLowerCase().replaceAll('_', ' ');
    return { kind: 'failure', failure: messageOf(deepestCause(error)), status };
  }
}

const QUERY_TIMEOUT_MS = 2_000;

/** A pass ends before the cures that it has started: what came of them since. */
async function withEnds(client: Client, passId: string, report: HealthReport): Promise<HealthReport> {
  return { ...report, started: await Promise.all(report.started.map((cure) => withEnd(client, passId, cure))) };
}

async function withEnd(client: Client, passId: string, cure: StartedCure): Promise<StartedCure> {
  if (cure.outcome !== null) {
    return cure;
  }
  try {
    const handle = client.workflow.getHandle(cure.workflowId);
    const { parentExecution, status } = await handle.describe();
    // A later pass may have started the next cure under the same id.
    if (parentExecution?.workflowId !== passId || status.name === 'RUNNING') {
      return cure;
    }
    const { outcome, summary } = (await handle.result()) as ToldReport;
    return { ...cure, outcome, summary };
  } catch (error) {
    if (isLost(error)) {
      throw error;
    }
    return { ...cure, outcome: 'failed', summary: messageOf(deepestCause(error)) };
  }
}

/** `null` where no worker answers. */
function ask<T>(client: Client, { workflowId, runId }: WorkflowExecutionDescription, query: string): Promise<T | null> {
  return client.connection
    .withDeadline(Date.now() + QUERY_TIMEOUT_MS, () => client.workflow.getHandle(workflowId, runId).query<T>(query))
    .catch(nullWithoutWorker);
}

// For people

function storyOf(description: WorkflowExecutionDescription, end: End, link: string | null, { verbose, demo }: ExplainFlags): Story {
  const command = `runward explain ${description.workflowId} --verbose${demo ? ' --demo' : ''}`;
  const more = [verbose ? null : command, link].filter((part) => part !== null).join('  ');
  const trigger = labelOf(description, 'trigger') ?? '';
  const tookMs = wholeDurationMs(description, end.kind === 'report' ? end.report.steps : []);
  const told = tellEnd(end, { type: description.type, isByCheck: trigger === 'check', tookMs });
  const left = demo && end.kind === 'failure' ? { left: 'nothing: it was a demo; `runward demo` plays another one' } : {};
  return { ...NOTHING_TOLD, ...told, ...left, when: whenText(description, trigger, end), more };
}

const NOTHING_TOLD = { broke: null, sure: null, did: null, cameOfIt: null, left: null } as const;

function tellEnd(end: End, origin: Origin): Pick<Story, 'headline'> & Partial<Story> {
  switch (end.kind) {
    case 'report':
      return operationStory(end.report, origin);
    case 'pass':
      return passStory(end.report);
    case 'queue':
      return queueStory(end.report);
    case 'finding':
      return { ...findingStory(end.finding, end.report === null), sure: end.state?.finding.evidence ?? null };
    case 'failure':
      // Temporal's own word, such as `terminated`: nobody was asked to leave things in order.
      return { headline: `${end.status}: ${end.failure}`, left: 'look with `runward status` how things stand' };
    case 'running':
      return {
        headline:
          end.waitsFor ?? [`at work: ${end.progress?.doing ?? 'unknown, no worker answers'}`, ...end.children, ...end.failing].join('; '),
      };
  }
}

function findingStory(finding: OpenFindingSummary | null, isOpen: boolean): Pick<Story, 'headline'> & Partial<Story> {
  if (finding === null) {
    return { headline: isOpen ? 'open' : 'fixed' };
  }
  const { severity, summary, subject, code, advice, since, acknowledgedBy, snoozedUntil } = finding;
  return {
    headline: `${isOpen ? `open since ${since}` : 'fixed'}: ${summary}`,
    broke: `${subject}: ${code}, ${severity}`,
    cameOfIt: [
      acknowledgedBy === null ? null : `acknowledged by ${acknowledgedBy}`,
      snoozedUntil === null ? null : `snoozed until ${snoozedUntil}`,
    ]
      .filter((part) => part !== null)
      .join('; '),
    left: isOpen ? advice : 'nothing',
  };
}

/** How often it was seen, and what became of its messages. */
function lifeLines(life: FindingLife | null, report: FindingReport | null): string[] {
  if (life === null) {
    return report === null
      ? ['No worker answers, so no more is known.']
      : [
          `Open from ${report.since} to ${report.clearedAt}, seen by ${countOf(report.sightings, 'health check')}, ${countOf(report.messages, 'message')}`,
          ...(report.undelivered === null ? [] : [`Not delivered: ${report.undelivered}`]),
        ];
  }
  const { sightings, seenAt, goodPasses, messages, pending, undelivered, acknowledged, snoozedUntil } = life;
  const clock = (at: number): string => new Date(at).toISOString();
  return [
    `Seen by ${countOf(sightings, 'health check')}, last at ${clock(seenAt)}; ${goodPasses} without it since`,
    `Messages: ${messages}`,
    ...(pending === null ? [] : [`On its way since ${clock(pending.begunAt)}: ${pending.message.text}`]),
    ...(undelivered === null ? [] : [`Not delivered (${undelivered.state}): ${undelivered.why}`]),
    ...(acknowledged === null
      ? []
      : [`Acknowledged by ${acknowledged.by} at ${clock(acknowledged.at)}${acknowledged.note === '' ? '' : `: ${acknowledged.note}`}`]),
    ...(snoozedUntil === null ? [] : [`Snoozed until ${clock(snoozedUntil)}`]),
  ];
}

function detailsOf(end: End): string[] {
  switch (end.kind) {
    case 'report':
      return operationDetails(end.report);
    case 'pass':
      return passDetails(end.report);
    case 'queue':
      return queueDetails(end.report);
    case 'finding':
      return lifeLines(end.state, end.report);
    case 'failure':
      return [];
    case 'running':
      return (end.progress?.steps ?? []).map(({ name, status, detail }) => `${status.padEnd(8)} ${name.padEnd(19)} ${detail}`.trimEnd());
  }
}

/** A check's reason is what broke. */
function reasonOf(trigger: string, end: End): string | null {
  switch (end.kind) {
    case 'queue':
      return end.reason;
    case 'report':
      return trigger === 'check' ? null : end.report.reason;
    case 'pass':
    case 'finding':
    case 'failure':
    case 'running':
      return null;
  }
}

function whenText(description: WorkflowExecutionDescription, trigger: string, end: End): string {
  const { type, startTime, closeTime, status } = description;
  const [runner, scope] = (['runner', 'scope'] as const).map((name) => labelOf(description, name));
  const of = [scope, runner].filter((part) => part !== null).join('/');
  const by = triggerText(trigger, end.kind === 'queue' ? end.startedBy : null, reasonOf(trigger, end));
  const took =
    closeTime === undefined
      ? `for ${formatDuration(Date.now() - startTime.getTime())} so far`
      : `took ${formatDuration(closeTime.getTime() - startTime.getTime())}`;
  return `${type}${of === '' ? '' : ` of ${of}`} started ${startTime.toISOString()}${by === '' ? '' : ` ${by}`}, ${took}, ${status.name.toLowerCase()}`;
}

function runnerLines({ name, lastPass }: RunnerAsked): string[] {
  if (lastPass === null) {
    return ['', `No health check has looked at ${name} yet.`];
  }
  const { findings, started, withheld, observedAt, workflowId } = lastPass;
  const ago = formatDuration(Math.max(0, Date.now() - Date.parse(observedAt)));
  return [
    '',
    findings.length === 0
      ? `The last health check, ${ago} ago, found nothing wrong with ${name}.`
      : `The last health check, ${ago} ago (${workflowId}), saw:`,
    ...findings.flatMap((finding) => {
      const skipped = withheld.find(({ because }) => because === finding.code);
      // With a reason the next steps say it.
      const isToBeSaid = skipped !== undefined && skipped.reason === undefined && skipped.why !== finding.evidence;
      return [...findingLines(finding, finding.isProven), ...(isToBeSaid ? [`${' '.repeat(8)}  skipped: ${skipped.why}`] : [])].map(
        (line) => `  ${line}`,
      );
    }),
    ...started.map((cure) => `  started the ${CURE_NAMES[cure.cure]}: ${cure.workflowId}`),
  ];
}
