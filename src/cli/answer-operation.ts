import type { Client, WorkflowHandle } from '@temporalio/client';
import { EXIT, type ExitCode } from './exit.ts';
import { wholeDurationMs } from '../domain/duration.ts';
import { Followers, followToEnd, type Followed, type Following } from './follow.ts';
import { print, printJson, say } from './invocation.ts';
import { createLiveSteps, type ShownProgress } from './live-steps.ts';
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
  const ended = await followAll(started, answering);
  const reports = ended.map(({ result }) => result);
  if (answering.json) {
    printOne(started.map(({ handle: { workflowId } }, index) => ({ workflowId, ...(reports[index] as ToldReport) })));
  } else {
    print(ended.map((each) => answerLines(each, answering).join('\n')).join('\n\n'));
  }
  return exitCodeOf(reports);
}

/** What was not reached is unknown, so one that is known to be bad says more. */
function exitCodeOf(reports: readonly ToldReport[]): ExitCode {
  const bad = reports.filter((report) => !isGood(report));
  if (bad.length === 0) {
    return EXIT.done;
  }
  return bad.every(({ unreachable }) => unreachable !== undefined) ? EXIT.unreachable : EXIT.bad;
}

async function followAll(
  started: readonly Started[],
  { title, client, interrupted, startingUntil }: Answering,
): Promise<readonly Followed<ToldReport>[]> {
  const steps = createLiveSteps();
  const followers = new Followers(interrupted);
  try {
    return await Promise.all(
      started.map(({ runner, handle, comeBack }) => {
        say(`${title} ${handle.workflowId}`);
        const of = started.length === 1 ? '' : runner;
        const show = (progress: ShownProgress): void => steps.show(progress, of);
        return followers.join((orOver) => followToEnd<ToldReport>({ client, handle, interrupted: orOver, comeBack, startingUntil, show }));
      }),
    );
  } finally {
    await followers.end();
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

function answerLines({ result, description }: Followed<ToldReport>, { details = () => [] }: Answering): readonly string[] {
  const tookMs = wholeDurationMs(description, result.steps);
  return [headline(result, tookMs), ...details(result), `More: runward explain ${description.workflowId}`];
}
