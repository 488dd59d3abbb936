import { randomBytes } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import type { NamedRunner } from '../domain/choose-runner.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { healthScheduleId } from '../domain/names.ts';
import type { QueueReport } from '../domain/queue/report.ts';
import { readDuration } from '../domain/recovery-request.ts';
import { isRepository } from '../github/endpoints.ts';
import { readSchedule } from '../worker/schedules.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { followOperation, Followers, followUntil, type Following } from './follow.ts';
import { print, printJson, say, workerStartingUntil, type Invocation } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { checkExitCode, reportLines } from './pass-text.ts';
import { comeBackTo, startQueueCare } from './queue-care.ts';
import { isQueueBad, queueLines } from './queue-text.ts';
import { nextPassText, scheduleStatus, type ScheduleStatus } from './schedule-text.ts';
import { startWorkflow } from './start-workflow.ts';
import { wrapLine } from './table.ts';
import { ownName } from './temporal.ts';
import { chooseRunners, settleRunners, withTerminal, type RunnerRequest } from './terminal.ts';

export interface CheckFlags extends RunnerRequest {
  readonly dryRun: boolean;
  readonly json: boolean;
  /** How long a check waits for what it started, text such as `10m`; `null` starts the checks and returns. */
  readonly wait: string | null;
  readonly config: ConfigFlags;
}

interface StartedCheck {
  readonly scope: string;
  readonly health: WorkflowHandle;
  /** `null` for an organization, which has no queue, and if single runners are meant. */
  readonly queue: WorkflowHandle | null;
}

/** A check that was followed to its end. */
interface Checked {
  readonly workflowId: string;
  readonly report: HealthReport;
  readonly queue: CaredQueue | null;
}

/** What came of a queue's care. */
type CaredQueue = { readonly workflowId: string } & (
  | { readonly kind: 'ended'; readonly report: QueueReport }
  /** It waits for longer than a person does, as for GitHub's limits. */
  | { readonly kind: 'at-work' }
  | { readonly kind: 'failed'; readonly why: string }
);

/** Starts a health check of each scope and its queue maintenance, shows what they do, and answers with what came of them. */
export async function check(flags: CheckFlags, invocation: Invocation): Promise<ExitCode> {
  const refuse = (configured: Config): unknown => chooseRunners(configured.runners, flags, 'all');
  return withTerminal(invocation, { config: flags.config, refuse, follows: true }, async (session, terminal) => {
    const { client } = session;
    const actsOn = flags.names.length === 0 ? 'scopes' : 'runners';
    const { runners } = await settleRunners(session, terminal, flags, { unnamed: 'all', actsOn, doing: 'Checking', invocation });
    const started = await Promise.all(asksByScope(runners, flags).map((ask) => startCheck(client, ask, flags)));
    if (flags.wait === null) {
      return answerStarted(flags, started);
    }
    const checked = await followAll(client, started, { invocation, waitMs: readDuration(flags.wait) ?? 0 });
    if (flags.json) {
      const documents = checked.map(({ workflowId, report, queue }) => ({ workflowId, ...report, queue: queueDocument(queue) }));
      printJson(documents.length === 1 ? documents[0] : { scopes: documents });
    } else {
      const schedules = await Promise.all(started.map(({ scope }) => readSchedule(client, scope).then(scheduleStatus, () => null)));
      print(checked.map((each, index) => checkedText(each, schedules[index] ?? null)).join('\n\n'));
    }
    return exitCodeOf(checked);
  });
}

/** What is asked about one scope; `runners` is `null` for all of them and their queue. */
interface ScopeAsk {
  readonly scope: string;
  readonly runners: readonly string[] | null;
}

function asksByScope(runners: readonly NamedRunner[], { names }: CheckFlags): readonly ScopeAsk[] {
  const scopes = [...new Set(runners.map(({ scope }) => scope))];
  return scopes.map((scope) => ({
    scope,
    runners: names.length === 0 ? null : runners.filter((each) => each.scope === scope).map(({ runner }) => runner),
  }));
}

async function startCheck(client: Client, { scope, runners }: ScopeAsk, { wait, dryRun }: CheckFlags): Promise<StartedCheck> {
  const [health, queue] = await Promise.all([
    startWorkflow(client, 'checkHealth', {
      workflowId: `${healthScheduleId(scope)}/by-hand/${new Date().toISOString()}-${randomBytes(2).toString('hex')}`,
      staticSummary: `check the health of ${scope}, started by ${ownName()}`,
      memo: { actor: ownName() },
      args: [{ scope, ...(runners === null ? {} : { runners }), ...(dryRun ? { dryRun } : {}), wait: wait ?? '0s' }],
    }),
    runners === null && isRepository(scope) ? startQueueCare(client, { scope, ...(dryRun ? { dryRun } : {}) }) : null,
  ]);
  return { scope, health, queue };
}

function answerStarted({ json }: CheckFlags, started: readonly StartedCheck[]): ExitCode {
  if (json) {
    const ids = started.map(({ health, queue }) => ({
      workflowId: health.workflowId,
      queue: queue === null ? null : { workflowId: queue.workflowId },
    }));
    printJson(ids.length === 1 ? ids[0] : { scopes: ids });
  } else {
    for (const handle of started.flatMap(({ health, queue }) => (queue === null ? [health] : [health, queue]))) {
      print(`Started ${handle.workflowId}. ${comeBackTo(handle)}`);
    }
  }
  return EXIT.done;
}

async function followAll(
  client: Client,
  started: readonly StartedCheck[],
  { invocation, waitMs }: { readonly invocation: Invocation; readonly waitMs: number },
): Promise<readonly Checked[]> {
  const steps = createLiveSteps();
  const deadline = performance.now() + waitMs;
  const followers = new Followers(invocation.interrupted);
  const following = (handle: WorkflowHandle, of: string, interrupted: AbortSignal): Following => ({
    client,
    handle,
    show: (progress) => steps.show(progress, of),
    interrupted,
    comeBack: comeBackTo(handle),
    startingUntil: () => workerStartingUntil(invocation),
  });
  try {
    return await Promise.all(
      started.map(async ({ scope, health, queue }) => {
        say(`Check ${health.workflowId}`);
        const of = started.length === 1 ? '' : scope;
        const ofQueue = `queue${of === '' ? '' : ` of ${of}`}`;
        const [report, cared] = await Promise.all([
          followers.join((orOver) => followOperation<HealthReport>(following(health, of, orOver))),
          queue === null ? null : followers.join((orOver) => followQueue(following(queue, ofQueue, orOver), deadline)),
        ]);
        return { workflowId: health.workflowId, report, queue: cared };
      }),
    );
  } finally {
    await followers.end();
    steps.end();
  }
}

/** Runners are told whatever became of the queue. */
async function followQueue(following: Following, deadline: number): Promise<CaredQueue> {
  const { workflowId } = following.handle;
  try {
    const ended = await followUntil<QueueReport>(following, deadline);
    return ended === null ? { workflowId, kind: 'at-work' } : { workflowId, kind: 'ended', report: ended.result };
  } catch (error) {
    if (error instanceof CommandFailure && error.exitCode === EXIT.bad) {
      return { workflowId, kind: 'failed', why: error.message };
    }
    throw error;
  }
}

function queueDocument(queue: CaredQueue | null): object | null {
  switch (queue?.kind) {
    case 'ended':
      return { workflowId: queue.workflowId, ...queue.report };
    case 'at-work':
      return { workflowId: queue.workflowId, outcome: null, summary: AT_WORK };
    case 'failed':
      return { workflowId: queue.workflowId, outcome: 'failed', summary: queue.why };
    case undefined:
      return null;
  }
}

const AT_WORK = "the queue's care is still at work";

function checkedText({ workflowId, report, queue }: Checked, schedule: ScheduleStatus | null): string {
  const width = process.stdout.isTTY ? process.stdout.columns : Infinity;
  const next = schedule === null ? [] : [`Health checks: ${nextPassText(schedule, Date.now())}`];
  const lines = [...reportLines(report), ...next].flatMap((line) => wrapLine(line, width));
  return [...lines, `More: runward explain ${workflowId}`, ...(queue === null ? [] : queueTexts(queue))].join('\n');
}

function queueTexts(queue: CaredQueue): string[] {
  const more = `More: runward explain ${queue.workflowId}`;
  switch (queue.kind) {
    case 'ended':
      return ['', ...queueLines(queue.report, process.stdout.columns), more];
    case 'at-work':
      return ['', AT_WORK, more];
    case 'failed':
      return ['', queue.why, more];
  }
}

/** What a queue's care was refused outweighs what is not known of runners. */
function exitCodeOf(checked: readonly Checked[]): ExitCode {
  const isBad = checked.some(({ queue }) => queue?.kind === 'failed' || (queue?.kind === 'ended' && isQueueBad(queue.report.outcome)));
  return isBad ? EXIT.bad : checkExitCode(checked.map(({ report }) => report));
}
