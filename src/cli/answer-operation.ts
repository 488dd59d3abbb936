import type { WorkflowHandle } from '@temporalio/client';
import { EXIT, type ExitCode } from './exit.ts';
import { wholeDurationMs } from './durations.ts';
import { followToEnd, type Followed, type Following } from './follow.ts';
import { print, printJson, say } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { headline, isGood, type ToldReport } from './operation-text.ts';

export interface Answering {
  readonly title: string;
  readonly json: boolean;
  readonly waits: boolean;
  /** What people are shown besides the first line. */
  readonly details?: (report: ToldReport) => readonly string[];
}

/** Shows the steps of an operation that was started, and answers with its result; without waiting, with its id alone. */
export async function answerOperation(
  following: Omit<Following, 'show'>,
  { title, json, waits, details = () => [] }: Answering,
): Promise<ExitCode> {
  const { handle, comeBack } = following;
  if (!waits) {
    answerStarted(handle, comeBack, json);
    return EXIT.done;
  }
  say(`${title} ${handle.workflowId}`);
  const steps = createLiveSteps();
  try {
    const ended = await followToEnd<ToldReport>({ ...following, show: (progress) => steps.show(progress) });
    steps.end();
    answer(handle, ended, { json, details });
    return exitCodeOf(ended.result);
  } finally {
    steps.end();
  }
}

function answerStarted({ workflowId }: WorkflowHandle, comeBack: string, json: boolean): void {
  if (json) {
    printJson({ workflowId });
  } else {
    print(`Started ${workflowId}. ${comeBack}`);
  }
}

/** Exit code of an operation that has ended. */
function exitCodeOf(report: ToldReport): ExitCode {
  if (isGood(report)) {
    return EXIT.done;
  }
  return report.unreachable === undefined ? EXIT.bad : EXIT.unreachable;
}

function answer(
  { workflowId }: WorkflowHandle,
  { result: report, description }: Followed<ToldReport>,
  { json, details }: Required<Pick<Answering, 'json' | 'details'>>,
): void {
  if (json) {
    printJson({ workflowId, ...report });
    return;
  }
  const tookMs = wholeDurationMs(description, report.steps);
  print([headline(report, tookMs), ...details(report)].join('\n'));
  print(`More: runward explain ${workflowId}`);
}
