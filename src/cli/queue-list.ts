import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { ConfigFlags } from '../config/load.ts';
import { MAIN_QUEUE } from '../domain/names.ts';
import type { QueueList } from '../domain/queue/list.ts';
import { readSchedule } from '../worker/schedules.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { followOperation } from './follow.ts';
import { print, printJson, say, workerStartingUntil, type Invocation } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { queueListDocument } from './queue-list-document.ts';
import { queueListLines } from './queue-list-text.ts';
import { withRepositories } from './queue-scopes.ts';
import { scheduleStatus } from './schedule-text.ts';
import { ownName } from './temporal.ts';

export interface QueueListFlags {
  /** Without it all repositories. */
  readonly scope: string | undefined;
  /** Runs of each repository, at most. */
  readonly max: number | undefined;
  readonly json: boolean;
  readonly config: ConfigFlags;
}

/** Shows queued runs one by one: how long each waits, for whom, and what queue maintenance would do with it. */
export async function listQueues(flags: QueueListFlags, invocation: Invocation): Promise<ExitCode> {
  return withRepositories(flags, invocation, async (client, { scopes, isConfirmed }) => {
    if (!isConfirmed) {
      throw new CommandFailure(
        EXIT.unreachable,
        `No worker of the queue ${MAIN_QUEUE} says which runs of ${scopes.join(' and ')} are queued: start one with \`runward up\` or \`runward worker\`.`,
      );
    }
    const answers: Answer[] = [];
    for (const [index, scope] of scopes.entries()) {
      if (index > 0 && !flags.json) {
        print('');
      }
      answers.push(await tellQueue(client, scope, flags, invocation).catch((error: unknown) => failure(scope, error)));
    }
    if (flags.json) {
      const documents = answers.map(({ document }) => document);
      printJson(documents.length === 1 ? documents[0] : { scopes: documents });
    }
    return answers.some(({ exitCode }) => exitCode === EXIT.bad) ? EXIT.bad : EXIT.done;
  });
}

/** What came of one repository; `document` is for `--json`. */
interface Answer {
  readonly exitCode: ExitCode;
  readonly document: object;
}

async function tellQueue(client: Client, scope: string, { max, json }: QueueListFlags, invocation: Invocation): Promise<Answer> {
  const list = await askForList(client, { scope, ...(max === undefined ? {} : { max }) }, invocation);
  const document = queueListDocument(list, scheduleStatus(await readSchedule(client, list.scope, 'queue')));
  if (!json) {
    print(queueListLines(document, Date.now(), process.stdout.columns).join('\n'));
  }
  return { exitCode: EXIT.done, document };
}

/** What cannot be read of one repository concerns that one alone. */
function failure(scope: string, error: unknown): Answer {
  if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.bad) {
    throw error;
  }
  say(error.message);
  return { exitCode: EXIT.bad, document: { scope, outcome: 'failed', summary: error.message } };
}

/** GitHub's limits may be waited for. */
const ANSWER_TIMEOUT = '2h';

/** Asked of a worker, which has the token and knows which jobs it has read; the question ends with the command. */
async function askForList(
  client: Client,
  input: { readonly scope: string; readonly max?: number },
  invocation: Invocation,
): Promise<QueueList> {
  const handle = await client.workflow.start('listQueue', {
    workflowId: `queue/list/${input.scope}/${randomUUID()}`,
    taskQueue: MAIN_QUEUE,
    staticSummary: `list the queue of ${input.scope}, asked by ${ownName()}`,
    workflowExecutionTimeout: ANSWER_TIMEOUT,
    args: [input],
  });
  const steps = createLiveSteps();
  try {
    return await followOperation<QueueList>({
      client,
      handle,
      interrupted: invocation.interrupted,
      comeBack: null,
      startingUntil: () => workerStartingUntil(invocation),
      show: (progress) => steps.show(progress),
    });
  } catch (error) {
    await handle.terminate('nobody waits for the answer').catch(() => {});
    throw error;
  } finally {
    steps.end();
  }
}
