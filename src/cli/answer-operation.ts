import type { Client, WorkflowHandle } from '@temporalio/client';
import { EXIT, type ExitCode } from './exit.ts';
import { followOperation, type Following } from './follow.ts';
import { print, printJson, say } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { headline, isGood, type ToldReport } from './operation-text.ts';

/** An operation on one runner that a command has started. */
export interface Started {
  readonly runner: string;
  readonly handle: WorkflowHandle;
  /** How to come back to it. */
  readonly comeBack: string;
}

export interface Answering {
  readonly client: Client;
  readonly interrupted: AbortSignal;
  readonly startingUntil: Following['startingUntil'];
  readonly title: string;
  readonly json: boolean;
  readonly waits: boolean;
  /** What people are shown besides the first line. */
  readonly details?: (report: ToldReport) => readonly string[];
}

/** Shows the steps of the operations that were started, and answers with their results; without waiting, with their ids alone. */
export async function answerOperations(started: readonly Started[], answering: Answering): Promise<ExitCode> {
  if (!answering.waits) {
    tellStarted(started, answering);
    return EXIT.done;
  }
  const reports = await followAll(started, answering);
  const documents = started.map(({ handle: { workflowId } }, index) => ({ workflowId, ...(reports[index] as ToldReport) }));
  if (answering.json) {
    printOne(documents);
  } else {
    print(documents.map((document) => answerLines(document, answering).join('\n')).join('\n\n'));
  }
  return reports.every(isGood) ? EXIT.done : EXIT.bad;
}

async function followAll(
  started: readonly Started[],
  { title, client, interrupted, startingUntil }: Answering,
): Promise<readonly ToldReport[]> {
  const steps = createLiveSteps();
  try {
    return await Promise.all(
      started.map(({ runner, handle, comeBack }) => {
        say(`${title} ${handle.workflowId}`);
        const of = started.length === 1 ? '' : runner;
        return followOperation<ToldReport>({
          client,
          handle,
          interrupted,
          comeBack,
          startingUntil,
          show: (progress) => steps.show(progress, of),
        });
      }),
    );
  } finally {
    steps.end();
  }
}

function tellStarted(started: readonly Started[], { json }: Answering): void {
  if (json) {
    printOne(started.map(({ handle: { workflowId } }) => ({ workflowId })));
    return;
  }
  for (const { handle, comeBack } of started) {
    print(`Started ${handle.workflowId}. ${comeBack}`);
  }
}

/** One document, whatever the number of operations. */
function printOne(documents: readonly object[]): void {
  printJson(documents.length === 1 ? documents[0] : { operations: documents });
}

function answerLines(report: ToldReport & { readonly workflowId: string }, { details = () => [] }: Answering): readonly string[] {
  return [headline(report), ...details(report), `More: runward explain ${report.workflowId}`];
}
