import { ApplicationFailure } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ParkedInput, ParkSignal, SettleSignal } from '../activities/contract.ts';
import { PARKED_QUERY, PARKED_SIGNALS } from '../domain/names.ts';
import { park, settle, type ParkedRun, type SettledRun } from '../domain/queue/parked.ts';

const parkSignal = defineSignal<[ParkSignal]>(PARKED_SIGNALS.park);
const settleSignal = defineSignal<[SettleSignal]>(PARKED_SIGNALS.settle);
const state = defineQuery<readonly ParkedRun[]>(PARKED_QUERY);

/** Result of `parkedRuns`. */
export interface ParkedReport {
  /** What became of the runs, newest last: the last 500. */
  readonly settled: readonly SettledRun[];
}

/**
 * Remembers the runs of a repository that made way for pull requests, for as long as there are any. Queue care, which holds the queue's lock, says
 * which are parked and what became of them; it re-runs them by itself.
 */
export async function parkedRuns(input: ParkedInput): Promise<ParkedReport> {
  if ((input as ParkedInput | undefined)?.version !== 1) {
    throw ApplicationFailure.nonRetryable('runs are parked by queue care, not by hand: start maintainQueue', 'InvalidInput');
  }
  let { parked, settled } = input;
  let isTold = parked.length > 0;
  const show = (): void =>
    setCurrentDetails(parked.map(({ run, evidence }) => `- run ${run.id} of ${run.workflow} (${run.branch}): ${evidence}`).join('\n'));
  setHandler(state, () => parked);
  setHandler(parkSignal, ({ runs, by }) => {
    isTold = true;
    parked = park(parked, runs, by);
    show();
  });
  setHandler(settleSignal, (told) => {
    ({ parked, settled } = settle({ parked, settled }, told));
    show();
  });
  // Nobody else knows of them: a cancellation does not end it.
  await CancellationScope.nonCancellable(() =>
    condition(() => (isTold && parked.length === 0) || workflowInfo().continueAsNewSuggested, input.policy.continueAfterMs),
  );
  if (parked.length === 0) {
    return { settled };
  }
  return continueAsNew<typeof parkedRuns>({ ...input, parked, settled });
}
