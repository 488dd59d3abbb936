import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import { PROGRESS_QUERY } from '../domain/names.ts';
import type { OperationReport, Progress, StepReport } from '../domain/report.ts';
import { formatDuration } from './durations.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { untakenTask } from './follow.ts';
import { print, printJson, type Invocation } from './invocation.ts';
import { isOperation, listOperations } from './operations.ts';
import { headline } from './recover.ts';
import { deepestCause, messageOf, withTemporal, type TemporalSession } from './temporal.ts';

export interface ExplainFlags {
  /** A workflow id, or a runner's name for its newest operation. */
  readonly subject: string | undefined;
  readonly last: boolean;
  readonly json: boolean;
}

/** Tells one operation: what broke, why it was sure, what it did, what came of it, what is left to do. */
export async function explain(flags: ExplainFlags, invocation: Invocation): Promise<ExitCode> {
  return withTemporal(invocation, (session) => explainIn(session, flags));
}

/** The same on a connection that is there already. */
export async function explainIn({ client, address }: TemporalSession, flags: ExplainFlags): Promise<ExitCode> {
  const workflowId = await subjectOf(client, flags);
  const description = await describe(client, workflowId);
  const end = await endOf(client, description);
  const uiLink = address.uiUrl === null ? null : executionLink(address.uiUrl, address.namespace, description);
  if (flags.json) {
    printJson({
      workflowId,
      runId: description.runId,
      type: description.type,
      status: description.status.name.toLowerCase(),
      ...end,
      ui: uiLink,
    });
  } else {
    print([...tellStart(description), ...tellEnd(end), ...(uiLink === null ? [] : ['', `History: ${uiLink}`])].join('\n'));
  }
  return EXIT.done;
}

/** Where Temporal's UI shows an execution. */
export function executionLink(uiUrl: string, namespace: string, { workflowId, runId }: { workflowId: string; runId: string }): string {
  return `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`;
}

async function subjectOf(client: Client, { subject, last }: ExplainFlags): Promise<string> {
  if (subject === undefined && !last) {
    throw new CommandFailure(EXIT.usage, 'explain needs a workflow id, a runner, or --last');
  }
  if (subject !== undefined && (await exists(client, subject))) {
    return subject;
  }
  const [newest] = await listOperations(client, { runner: subject, limit: 1 });
  if (newest === undefined) {
    throw new CommandFailure(
      EXIT.bad,
      subject === undefined
        ? 'There is no operation yet.'
        : `There is no workflow "${subject}", and no operation of a runner of this name. See \`runward history\`.`,
    );
  }
  return newest.workflowId;
}

async function exists(client: Client, workflowId: string): Promise<boolean> {
  try {
    await client.workflow.getHandle(workflowId).describe();
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      return false;
    }
    throw error;
  }
}

async function describe(client: Client, workflowId: string): Promise<WorkflowExecutionDescription> {
  const description = await client.workflow.getHandle(workflowId).describe();
  if (!isOperation(description.type)) {
    throw new CommandFailure(EXIT.usage, `${workflowId} is a ${description.type}, which is no operation. See \`runward history\`.`);
  }
  return description;
}

type End =
  | { readonly kind: 'report'; readonly report: OperationReport }
  | { readonly kind: 'failure'; readonly failure: string }
  | { readonly kind: 'running'; readonly progress: Progress | null; readonly waitsFor: string | null };

async function endOf(client: Client, description: WorkflowExecutionDescription): Promise<End> {
  const handle = client.workflow.getHandle(description.workflowId, description.runId);
  if (description.status.name === 'RUNNING') {
    const progress = await client.connection
      .withDeadline(Date.now() + 2_000, () => handle.query<Progress>(PROGRESS_QUERY))
      .catch(() => null);
    return { kind: 'running', progress, waitsFor: untakenTask(description, Date.now()) };
  }
  try {
    return { kind: 'report', report: (await handle.result()) as OperationReport };
  } catch (error) {
    return { kind: 'failure', failure: messageOf(deepestCause(error)) };
  }
}

function tellStart({ workflowId, type, startTime, closeTime, status }: WorkflowExecutionDescription): string[] {
  const took = closeTime === undefined ? 'still running' : `took ${formatDuration(closeTime.getTime() - startTime.getTime())}`;
  return [`${type} ${workflowId}`, `started ${startTime.toISOString()}, ${took} (${status.name.toLowerCase()})`, ''];
}

function tellEnd(end: End): string[] {
  switch (end.kind) {
    case 'report':
      return tellReport(end.report);
    case 'failure':
      return [`It failed: ${end.failure}`];
    case 'running':
      return [end.waitsFor ?? `It is at: ${end.progress?.doing ?? 'unknown, no worker answers'}`];
  }
}

function tellReport(report: OperationReport): string[] {
  return [
    headline(report),
    '',
    `Runner ${report.runner} of ${report.scope}${report.reason === null ? '' : `, ${report.reason}`}`,
    'What was seen:',
    ...report.evidence.map((line) => `  ${line}`),
    'What was done:',
    ...report.steps.map(tellStep),
  ];
}

function tellStep({ name, status, durationMs, attempts, detail }: StepReport): string {
  const time = status === 'skipped' ? '' : formatDuration(durationMs);
  const tries = attempts > 1 ? `, ${attempts} calls` : '';
  return `  ${status.padEnd(8)} ${name.padEnd(19)} ${time.padEnd(8)} ${detail}${status === 'skipped' ? '' : tries}`.trimEnd();
}
