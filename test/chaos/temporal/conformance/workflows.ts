// Small workflows whose ends tell how Temporal behaves. Both run them: the real one and the virtual one.

import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  defineSearchAttributeKey,
  TimeoutFailure,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import {
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  proxyActivities,
  setHandler,
  sleep,
  startChild,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { SampleActivities } from './activities.ts';

/** What of the options is to be otherwise than usual. */
export type Asked = Partial<ActivityOptions> & { readonly behavior: Parameters<SampleActivities['behave']>[0] };

function behave({ behavior, ...options }: Asked): Promise<string> {
  const { behave: activity } = proxyActivities<SampleActivities>({
    startToCloseTimeout: '20s',
    heartbeatTimeout: '20s',
    scheduleToCloseTimeout: '1m',
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    ...options,
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '400ms', ...options.retry },
  });
  return activity(behavior);
}

/** An error and its causes in one line. */
function told(error: unknown): string {
  const words: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) {
    words.push(wordOf(each));
  }
  return words.join(' < ');
}

function wordOf(error: Error): string {
  if (error instanceof ActivityFailure) {
    return `ActivityFailure(${error.activityType} ${error.retryState})`;
  }
  if (error instanceof TimeoutFailure) {
    return `TimeoutFailure(${error.timeoutType})`;
  }
  if (error instanceof ApplicationFailure) {
    return `ApplicationFailure(${error.type ?? ''} ${error.message})`;
  }
  if (error instanceof ChildWorkflowFailure) {
    return `ChildWorkflowFailure(${error.workflowType})`;
  }
  return error.name;
}

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    return `done: ${String(await work)}`;
  } catch (error) {
    return `${isCancellation(error) ? 'cancelled' : 'failed'}: ${told(error)}`;
  }
}

/** Tells how the activity ended. */
export async function oneActivity(asked: Asked): Promise<string> {
  return outcomeOf(behave(asked));
}

/** The same, and goes on to clean up where it was cancelled. */
export async function cleaningUp(asked: Asked, cleanUp: Asked): Promise<string> {
  const first = await outcomeOf(behave(asked));
  const inside = await outcomeOf(behave(cleanUp));
  const outside = await CancellationScope.nonCancellable(() => outcomeOf(behave(cleanUp)));
  return [first, inside, outside].join('; ');
}

/** Cancels its own activity by a scope as soon as it is told to. */
export async function cancellingScope(asked: Asked): Promise<string> {
  const scope = new CancellationScope();
  setHandler(defineSignal('say'), () => scope.cancel());
  return scope.run(() => outcomeOf(behave(asked)));
}

export async function sleeping(ms: number): Promise<string> {
  return outcomeOf(sleep(ms));
}

/** Ends by itself, or by a signal that lets it. */
export async function waiting(ms: number): Promise<string> {
  let word: string | null = null;
  const heard: string[] = [];
  setHandler(defineSignal<[string]>('say'), (given) => {
    heard.push(given);
    word = given === 'end' ? given : word;
  });
  setHandler(defineQuery<readonly string[]>('heard'), () => heard);
  const isEnded = await condition(() => word !== null, ms);
  return `${String(isEnded)}: ${heard.join(' ')}`;
}

/** What a run hears of an order of signals and a cancellation that came while its worker was busy elsewhere. */
export async function untilCancelled(): Promise<string> {
  const heard: string[] = [];
  setHandler(defineSignal<[string]>('say'), (given) => {
    heard.push(`${given}${CancellationScope.current().consideredCancelled ? ' (cancelled)' : ''}`);
  });
  setHandler(defineQuery<readonly string[]>('heard'), () => heard);
  const end = await outcomeOf(condition(() => false));
  return `${heard.join(' ')}; ${end}`;
}

/** Starts the same child twice. */
export async function twins(childId: string): Promise<string> {
  const first = await startChild(waiting, { workflowId: childId, args: [60_000], memo: { mark: 'first' } });
  try {
    await startChild(waiting, { workflowId: childId, args: [60_000] });
    return 'started twice';
  } catch (error) {
    const isKnown = error instanceof WorkflowExecutionAlreadyStartedError;
    await getExternalWorkflowHandle(childId, first.firstExecutionRunId).signal('say', 'end');
    const end = await first.result();
    const again = await outcomeOf(executeChild(waiting, { workflowId: childId, args: [10] }));
    return `${String(isKnown)}; ${end}; ${again}`;
  }
}

/** Leaves two children behind. */
export async function leavingChildren(prefix: string): Promise<string> {
  await startChild(waiting, { workflowId: `${prefix}-terminated`, args: [60_000], parentClosePolicy: 'TERMINATE' });
  await startChild(waiting, { workflowId: `${prefix}-abandoned`, args: [60_000], parentClosePolicy: 'ABANDON' });
  await condition(() => false, 60_000);
  return 'over';
}

export async function quickParent(prefix: string): Promise<string> {
  await startChild(waiting, { workflowId: `${prefix}-terminated`, args: [60_000], parentClosePolicy: 'TERMINATE' });
  await startChild(waiting, { workflowId: `${prefix}-abandoned`, args: [60_000], parentClosePolicy: 'ABANDON' });
  return 'over';
}

/** Of a child that fails, one that is cancelled, and one that is not there. */
export async function childEnds(prefix: string): Promise<string> {
  const failing = await outcomeOf(executeChild(failingWorkflow, { workflowId: `${prefix}-failing` }));
  const scope = new CancellationScope();
  const child = await scope.run(() => startChild(sleepingBadly, { workflowId: `${prefix}-cancelled` }));
  scope.cancel();
  const cancelled = outcomeOf(child.result());
  const gone = await outcomeOf(getExternalWorkflowHandle(`${prefix}-nobody`).signal('say', 'end'));
  return [failing, await cancelled, gone].join('; ');
}

export async function failingWorkflow(): Promise<void> {
  throw ApplicationFailure.create({ type: 'Sample', message: 'as asked', nonRetryable: true });
}

export async function sleepingBadly(): Promise<void> {
  await sleep('1h');
}

const SCOPE = defineSearchAttributeKey('RunwardScope', 'KEYWORD');

/** Remembers in its memo, and goes on in a new run once. */
export async function continuing(round: number): Promise<string> {
  if (round > 0) {
    const { memo, firstExecutionRunId, runId, typedSearchAttributes } = workflowInfo();
    return `${JSON.stringify(memo)} ${String(typedSearchAttributes.get(SCOPE))} ${String(firstExecutionRunId !== runId)}`;
  }
  upsertMemo({ upserted: 'later' });
  upsertSearchAttributes([{ key: SCOPE, value: 'later' }]);
  await sleep(10);
  return continueAsNew<typeof continuing>(round + 1);
}

/** Whether code that was added later runs. */
export async function patching(): Promise<string> {
  return String(patched('sample'));
}

/** Two activities in a row, for a reset between them. */
export async function twoSteps(first: Asked, second: Asked): Promise<string> {
  return `${await outcomeOf(behave(first))}; ${await outcomeOf(behave(second))}`;
}
