import { ApplicationFailure } from '@temporalio/common';
import {
  continueAsNew,
  defineSignal,
  getExternalWorkflowHandle,
  log,
  proxyActivities,
  setCurrentDetails,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { FollowInput, FollowingRun, MainActivities } from '../activities/contract.ts';
import { FOLLOWED_SIGNAL } from '../domain/names.ts';
import { noteEnded, setAside } from '../domain/queue/memory.ts';
import { forgottenAt } from '../domain/queue/parked.ts';
import { runsText } from '../domain/queue/report.ts';
import { note, type Tally } from '../domain/queue/tally.ts';
import { Following, nextWaitMs } from './following.ts';
import { lockQueueForAMoment } from './lock.ts';
import { temporalOptions } from './options.ts';
import { writeQueueMemory } from './queue-ledger.ts';

const followed = defineSignal<[Tally]>(FOLLOWED_SIGNAL);

/**
 * Follows runs whose cancellation GitHub has accepted until they are over, forces those that do not react, and gives up in the end. Started by
 * `maintainQueue`, which it outlives; it holds no lock but for the moment in which it writes what it has found.
 */
export async function followRuns(input: FollowInput): Promise<Tally> {
  if ((input as FollowInput | undefined)?.version !== 1) {
    throw ApplicationFailure.nonRetryable('runs are followed by queue care, not by hand: start maintainQueue', 'InvalidInput');
  }
  return new FollowingRuns(input).run();
}

/** What is told of runs that are followed still. */
export function onTheirWay(runs: readonly FollowingRun[], tally: Tally): Tally {
  return runs.reduce(
    (sum, { item, told, followed: { isSure } }) =>
      note(sum, item, told, { end: 'accepted', detail: isSure ? 'GitHub has accepted it' : "GitHub's answer was lost" }),
    tally,
  );
}

class FollowingRuns {
  readonly #input: FollowInput;
  readonly #following: Following;
  #isTold: boolean;

  constructor(input: FollowInput) {
    this.#input = input;
    this.#following = new Following(input, input, setCurrentDetails);
    this.#isTold = input.tellAfterMs === null;
  }

  async run(): Promise<Tally> {
    void this.#tellLater();
    const { following } = this.#input.policy;
    for (let waitMs = following.firstMs; this.#following.runs.length > 0; waitMs = nextWaitMs(waitMs, following)) {
      if (waitMs > 0) {
        await sleep(waitMs, { summary: `wait for the end of ${runsText(this.#following.runs.length)}` });
      }
      for (const unheard of await this.#following.look()) {
        this.#following.note(unheard, { end: 'again', detail: unheard.why });
      }
      if (workflowInfo().continueAsNewSuggested) {
        await this.#goOn();
      }
    }
    await this.#remember();
    return this.#following.tally;
  }

  async #goOn(): Promise<never> {
    return continueAsNew<typeof followRuns>({
      ...this.#input,
      following: this.#following.runs,
      tally: this.#following.tally,
      tellAfterMs: this.#isTold ? null : this.#input.tellAfterMs,
    });
  }

  /** The pass that started this waits no longer, and tells the rest as it is by then. */
  async #tellLater(): Promise<void> {
    const { tellAfterMs, by } = this.#input;
    if (tellAfterMs === null) {
      return;
    }
    try {
      await sleep(tellAfterMs, { summary: 'tell the pass what is over by then' });
      this.#isTold = true;
      await getExternalWorkflowHandle(by.workflowId, by.runId).signal(followed, onTheirWay(this.#following.runs, this.#following.tally));
    } catch {
      // It was ended, and nobody waits.
    }
  }

  /** What is over needs no word: it is not queued any more. */
  async #remember(): Promise<void> {
    const { scope, policy, asked, aheadMs } = this.#input;
    const { counts, parked, unparked, setAside: given } = this.#following.tally;
    if (parked.length + unparked.length + given.length + (counts.again ?? 0) === 0) {
      return;
    }
    setCurrentDetails('waiting for the lock of the queue, to write what was found');
    const lock = await lockQueueForAMoment(scope, { reason: null });
    if (lock.kind === 'held') {
      log.warn(`what became of ${runsText(asked.length)} of ${scope} could not be written: the queue is locked`);
      return;
    }
    try {
      const temporal = proxyActivities<MainActivities>(temporalOptions(`what became of ${runsText(asked.length)}`));
      const remembered = await temporal.recallQueue({ scope });
      const attempts = new Map(asked.map(({ run, attempt }) => [run, attempt]));
      // One that was re-run and is parked anew is another matter.
      const known = new Set(remembered.parked.filter(({ run }) => attempts.get(run.id) === run.attempt).map(({ run }) => run.id));
      const cancelled = parked.filter((run) => known.has(run));
      const settled = forgottenAt(unparked, Date.now() + aheadMs).filter(({ run }) => known.has(run));
      if (cancelled.length + settled.length > 0) {
        await temporal.settleParked({ scope, cancelled, settled });
      }
      if (given.length + (counts.again ?? 0) > 0) {
        const memory = noteEnded(remembered.memory, asked);
        const at = Date.now() + aheadMs;
        await writeQueueMemory(
          scope,
          given.reduce((all, run) => setAside(all, run, at, policy.setAside), memory),
        );
      }
    } finally {
      await lock.release();
    }
  }
}
