import { activityInfo, cancellationSignal, Context, heartbeat } from '@temporalio/activity';
import { isGrpcServiceError, ServiceError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { AlertChannel } from '../alerts/port.ts';
import { alertText, asSummary, type FindingPlace } from '../domain/alert.ts';
import type { Diagnosed } from '../domain/finding.ts';
import { isOver, type FindingLife } from '../domain/finding-life.ts';
import { FINDING_QUERY, FINDING_SIGNALS, findingId, MAIN_QUEUE, type SearchAttribute } from '../domain/names.ts';
import type { OpenFinding } from '../domain/pass.ts';
import { DEFAULT_FINDING_POLICY, type FindingPolicy } from '../domain/policy.ts';
import type { FindingInput, FindingsReported, MainActivities } from './contract.ts';
import { describeExecution } from './describe-execution.ts';
import { invalidInput, withAlertFailures } from './failures.ts';
import { recallCutOff, terminationReason } from './recall-cut-off.ts';
import { labelIs, labelOf, listLabelled, type LabelledQuery } from './labels.ts';

/** What people are told by, and what only a worker knows about a finding. */
export interface Alerts {
  readonly channels: readonly AlertChannel[];
  readonly policy: FindingPolicy;
  /** Configured name of the host that a runner's machine belongs to; `null` where the runner is not configured. */
  readonly hostOf: (scope: string, runner: string) => string | null;
  /** An execution in Temporal's UI; `null` where its address is not known. */
  readonly linkTo: (execution: { readonly workflowId: string; readonly runId: string }) => string | null;
}

/** Nobody is told. */
export const NO_ALERTS: Alerts = { channels: [], policy: DEFAULT_FINDING_POLICY, hostOf: () => null, linkTo: () => null };

/** A scope with more findings than this has one cause that is found apart. */
const LISTED = 500;

/** Signals that are sent at the same time. */
const AT_ONCE = 10;

export function createFindingActivities(
  alerts: Alerts,
  searchAttributes: readonly SearchAttribute[],
): Pick<MainActivities, 'reportFindings' | 'alertChannels' | 'deliverAlert'> {
  return {
    async reportFindings(reported) {
      const { client } = Context.current();
      const words = [
        ...reported.seen.map((finding) => () => saySeen(client, reported, finding, { alerts, searchAttributes })),
        ...reported.good.map((finding) => () => sayGood(client, reported, finding, { alerts, searchAttributes })),
      ];
      const opened: boolean[] = [];
      for (let first = 0; first < words.length; first += AT_ONCE) {
        heartbeat(first);
        opened.push(...(await Promise.all(words.slice(first, first + AT_ONCE).map((say) => say()))));
      }
      return { opened: opened.filter((isOpened) => isOpened).length };
    },

    async alertChannels() {
      return { channels: alerts.channels.map(({ name }) => name) };
    },

    async deliverAlert({ channel, message }) {
      const found = alerts.channels.find(({ name }) => name === channel);
      if (found === undefined) {
        throw invalidInput(`alerts.${channel} is not configured any more`);
      }
      const execution = activityInfo().workflowExecution;
      const link = execution === undefined ? null : alerts.linkTo(execution);
      await withAlertFailures(() => found.deliver({ ...message, link }, cancellationSignal()));
    },
  };
}

/**
 * The findings that visibility shows as open, up to {@link LISTED}; it lags by seconds, and may be away, so it only adds to what passes
 * remember.
 */
export async function listOpenFindings(client: Client, scope: string): Promise<readonly OpenFinding[]> {
  const withoutAttributes = `WorkflowType = "finding" AND ExecutionStatus = "Running"`;
  const query: LabelledQuery = {
    withAttributes: `${withoutAttributes} AND ${labelIs('scope', scope)}`,
    withoutAttributes,
    matches: (info) => labelOf(info, 'scope') === scope && labelOf(info, 'outcome') !== 'cleared',
  };
  const listed: OpenFinding[] = [];
  try {
    for await (const { memo } of listLabelled(client, query, { pageSize: LISTED })) {
      const { subject, code, since } = (memo?.['finding'] ?? {}) as Partial<OpenFinding>;
      if (subject !== undefined && code !== undefined && since !== undefined) {
        listed.push({ subject, code, since, goodPasses: 0 });
      }
      if (listed.length >= LISTED) {
        break;
      }
    }
  } catch (error) {
    if (!(error instanceof ServiceError) && !isGrpcServiceError(error)) {
      throw error;
    }
  }
  return listed;
}

interface Parts {
  readonly alerts: Alerts;
  readonly searchAttributes: readonly SearchAttribute[];
}

/** Whether that opened it. Without proof nothing is opened. */
async function saySeen(client: Client, reported: FindingsReported, finding: Diagnosed, parts: Parts): Promise<boolean> {
  const { subject, code } = finding;
  const workflowId = findingId(subject, code);
  const word = { finding, at: reported.at };
  if ((await signal(client, workflowId, FINDING_SIGNALS.seen, word)) || !finding.isProven) {
    return false;
  }
  const life = await lifeOfEnded(client, workflowId);
  const summary = asSummary(alertText('opened', subject, finding, 0));
  await start(client, reported, { subject, code, life, signal: FINDING_SIGNALS.seen, word, summary }, parts);
  return true;
}

/** One that a person ended while it was open is told that it is over as well, since people were told that it is open. */
async function sayGood(
  client: Client,
  reported: FindingsReported,
  { subject, code }: FindingsReported['good'][number],
  parts: Parts,
): Promise<false> {
  const workflowId = findingId(subject, code);
  const word = { at: reported.at };
  if (await signal(client, workflowId, FINDING_SIGNALS.good, word)) {
    return false;
  }
  const life = await lifeOfEnded(client, workflowId);
  if (life !== null) {
    const summary = asSummary(alertText('opened', subject, life.finding, 0));
    await start(client, reported, { subject, code, life, signal: FINDING_SIGNALS.good, word, summary }, parts);
  }
  return false;
}

/** What a finding knew that a person ended before its time, to go on with: what people were told, and said. `null` of any other. */
async function lifeOfEnded(client: Client, workflowId: string): Promise<FindingLife | null> {
  const ended = await describeExecution(client, workflowId);
  const cutOff = await recallCutOff<FindingLife | null>(client, ended, FINDING_QUERY);
  if (ended === null || cutOff.kind !== 'held' || cutOff.state === null || isOver(cutOff.state)) {
    return null;
  }
  return (await terminationReason(client, ended))?.endsWith(NOT_CONFIGURED) === true ? null : cutOff.state;
}

/** Ends the reason for which findings of a scope are ended that is taken out of the configuration: they do not go on. */
export const NOT_CONFIGURED = 'is not configured any more';

interface Starting {
  readonly subject: string;
  readonly code: string;
  readonly life: FindingLife | null;
  readonly signal: string;
  readonly word: object;
  readonly summary: string;
}

/** Two passes may start it at the same time: the second one's signal reaches the workflow that the first one started. */
async function start(
  client: Client,
  { scope, goodPasses }: FindingsReported,
  { subject, code, life, signal: name, word, summary }: Starting,
  { alerts, searchAttributes }: Parts,
): Promise<void> {
  const input: FindingInput = {
    version: 1,
    code,
    place: placeOf(scope, subject, alerts),
    policy: { ...alerts.policy, goodPasses },
    searchAttributes,
    life,
  };
  await client.workflow.signalWithStart('finding', {
    workflowId: findingId(subject, code),
    taskQueue: MAIN_QUEUE,
    args: [input],
    signal: name,
    signalArgs: [word],
    staticSummary: summary,
  });
}

/** Whether the finding is open; one that is gone has nothing to be told. */
async function signal(client: Client, workflowId: string, name: string, word: object): Promise<boolean> {
  try {
    await client.workflow.getHandle(workflowId).signal(name, word);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      return false;
    }
    throw error;
  }
}

function placeOf(scope: string, subject: string, { hostOf }: Alerts): FindingPlace {
  if (subject === scope) {
    return { subject, scope, runner: null, host: null };
  }
  if (subject.startsWith(`${scope}/`)) {
    const runner = subject.slice(scope.length + 1);
    return { subject, scope, runner, host: hostOf(scope, runner) };
  }
  return { subject, scope, runner: null, host: subject.replace(/^host\//, '') };
}
