import { randomBytes } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { ConfigFlags } from '../config/load.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { MAIN_QUEUE, healthScheduleId } from '../domain/names.ts';
import type { QueueReport } from '../domain/queue/report.ts';
import { readDuration } from '../domain/recovery-request.ts';
import { isRepository } from '../github/endpoints.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { followOperation, followUntil, type Following } from './follow.ts';
import { print, printJson, readConfig, say, workerStartingUntil, type Invocation } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { checkExitCode, reportLines } from './pass-text.ts';
import { comeBackTo, startQueueCare } from './queue-care.ts';
import { isQueueBad, queueLines } from './queue-text.ts';
import { chosenScopes } from './runners.ts';
import { withTemporal } from './temporal.ts';

export interface CheckFlags {
  readonly scope: string | undefined;
  readonly json: boolean;
  /** How long a check waits for what it started, text such as `10m`; `null` starts the checks and returns. */
  readonly wait: string | null;
  readonly config: ConfigFlags;
}

interface StartedCheck {
  readonly scope: string;
  readonly health: WorkflowHandle;
  /** `null` for an organisation, which has no queue. */
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

/** Starts a health check of each scope and the care for its queue, shows what they do, and answers with what came of them. */
export async function check(flags: CheckFlags, invocation: Invocation): Promise<ExitCode> {
  const scopes = chosenScopes(readConfig(invocation, flags.config), flags.scope);
  return withTemporal(invocation, async ({ client }) => {
    const started = await Promise.all(scopes.map((scope) => startCheck(client, scope, flags.wait)));
    if (flags.wait === null) {
      return answerStarted(flags, started);
    }
    const checked = await followAll(client, started, { invocation, waitMs: readDuration(flags.wait) ?? 0 });
    if (flags.json) {
      const documents = checked.map(({ workflowId, report, queue }) => ({ workflowId, ...report, queue: queueDocument(queue) }));
      printJson(documents.length === 1 ? documents[0] : { scopes: documents });
    } else {
      print(checked.map(checkedText).join('\n\n'));
    }
    return exitCodeOf(checked);
  });
}

async function startCheck(client: Client, scope: string, wait: string | null): Promise<StartedCheck> {
  const [health, queue] = await Promise.all([
    client.workflow.start('checkHealth', {
      workflowId: `${healthScheduleId(scope)}/by-hand/${new Date().toISOString()}-${randomBytes(2).toString('hex')}`,
      taskQueue: MAIN_QUEUE,
      staticSummary: `check the health of ${scope}, started by hand`,
      args: [{ scope, wait: wait ?? '0s' }],
    }),
    isRepository(scope) ? startQueueCare(client, { scope }) : null,
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
  const following = (handle: WorkflowHandle, of: string): Following => ({
    client,
    handle,
    show: (progress) => steps.show(progress, of),
    interrupted: invocation.interrupted,
    comeBack: comeBackTo(handle),
    startingUntil: () => workerStartingUntil(invocation),
  });
  try {
    return await Promise.all(
      started.map(async ({ scope, health, queue }) => {
        say(`Check ${health.workflowId}`);
        const of = started.length === 1 ? '' : scope;
        const [report, cared] = await Promise.all([
          followOperation<HealthReport>(following(health, of)),
          queue === null ? null : followQueue(following(queue, `queue${of === '' ? '' : ` of ${of}`}`), deadline),
        ]);
        return { workflowId: health.workflowId, report, queue: cared };
      }),
    );
  } finally {
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

function checkedText({ workflowId, report, queue }: Checked): string {
  return [...reportLines(report), `More: runward explain ${workflowId}`, ...(queue === null ? [] : queueTexts(queue))].join('\n');
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
  return isBad ? EXIT.bad : checkExitCode(checked.map(({ report }) => report.outcome));
}
