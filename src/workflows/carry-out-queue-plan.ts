import { ApplicationFailure } from '@temporalio/common';
import { continueAsNew, proxyActivities, setCurrentDetails, sleep, workflowInfo } from '@temporalio/workflow';
import type { BatchCancelled, CarriedOut, CarryOutInput, FollowingRun, MainActivities } from '../activities/contract.ts';
import { againOrNoted, outcomeOfAttempt, type CancelAttempt } from '../domain/queue/attempt.ts';
import { countsText, runsText } from '../domain/queue/report.ts';
import { pack, unpack, type WorkItem } from '../domain/queue/work.ts';
import { Following, nextWaitMs } from './following.ts';
import { queueWriteOptions } from './options.ts';

/**
 * Does what queue care has planned, a batch at a time, each in a history of its own; started by `maintainQueue`, which holds the queue's lock.
 * Ends once all is sent and nothing of it is in doubt: what GitHub has accepted, and is not over yet, is handed back to be followed.
 */
export async function carryOutQueuePlan(input: CarryOutInput): Promise<CarriedOut> {
  if ((input as CarryOutInput | undefined)?.version !== 1) {
    throw ApplicationFailure.nonRetryable('a plan is carried out by queue care, not by hand: start maintainQueue', 'InvalidInput');
  }
  return new CarryingOut(input).run();
}

class CarryingOut {
  readonly #input: CarryOutInput;
  readonly #following: Following;
  #work: WorkItem[];

  constructor(input: CarryOutInput) {
    this.#input = input;
    this.#work = [...unpack(input.work)];
    this.#following = new Following(input, input, (doing) => this.#say(doing));
  }

  async run(): Promise<CarriedOut> {
    await this.#cancelBatch();
    if (this.#work.length > 0) {
      await this.#look();
      await this.#goOn();
    }
    const { following } = this.#input.policy;
    for (let waitMs = following.firstMs; this.#following.runs.some((run) => this.#isInDoubt(run)); waitMs = nextWaitMs(waitMs, following)) {
      if (waitMs > 0) {
        await sleep(waitMs, { summary: `wait for the end of ${runsText(this.#following.runs.length)}` });
      }
      await this.#look();
      if (this.#work.length > 0 || workflowInfo().continueAsNewSuggested) {
        await this.#goOn();
      }
    }
    return { tally: this.#following.tally, following: this.#following.runs };
  }

  /** Whether GitHub may not have heard of it; one that can't be read is left to whoever follows it. */
  #isInDoubt({ followed: { isSure }, unreadSince }: FollowingRun): boolean {
    return !isSure && (unreadSince === null || Date.now() - unreadSince < this.#input.policy.following.doubtMs);
  }

  async #goOn(): Promise<never> {
    return continueAsNew<typeof carryOutQueuePlan>({
      ...this.#input,
      work: pack(this.#work),
      following: this.#following.runs,
      tally: this.#following.tally,
    });
  }

  async #cancelBatch(): Promise<void> {
    const { scope, policy, offered, ours, silent, silences, plannedAt, reruns } = this.#input;
    let items: readonly WorkItem[] = this.#work.splice(0, policy.batchSize);
    let mayBeDone = false;
    while (items.length > 0) {
      this.#say(`cancelling ${runsText(items.length)}, ${this.#work.length} are left after that`);
      const { cancelBatch } = proxyActivities<MainActivities>(queueWriteOptions(policy, `cancel ${runsText(items.length)} of ${scope}`));
      const ids = new Set(items.map(({ run }) => run));
      const ofBatch = reruns.filter(([run]) => ids.has(run));
      const ground = { offered, ours, silent, silences, plannedAt, reruns: ofBatch, policy };
      const done: BatchCancelled = await cancelBatch({ scope, items, mayBeDone, ...ground });
      for (const attempt of done.attempts) {
        this.#take(attempt);
      }
      items = done.rest;
      ({ mayBeDone } = done);
      await this.#following.waitFor(done.limited);
    }
  }

  #take(attempt: CancelAttempt): void {
    const { item, about, evidence, result } = attempt;
    const told = { workflow: about?.workflow ?? '', event: about?.event ?? '', branch: about?.branch ?? null, evidence };
    const outcome = outcomeOfAttempt(attempt);
    if (outcome.kind === 'noted') {
      this.#following.note({ item, told }, outcome);
    } else if (outcome.kind === 'again') {
      this.#tryAgain({ item, told, why: outcome.why });
    } else if (result.kind === 'accepted') {
      const { run, attempt: number } = item;
      const { at, isSure } = result;
      const followed = { run, attempt: number, createdAt: about?.createdAt ?? at, acceptedAt: at, isSure, forcedAt: null };
      this.#following.add({ followed, item, told, unreadSince: null });
    }
  }

  async #look(): Promise<void> {
    for (const unheard of await this.#following.look()) {
      this.#tryAgain(unheard);
    }
  }

  #tryAgain({ item, told, why }: Pick<FollowingRun, 'item' | 'told'> & { readonly why: string }): void {
    const next = againOrNoted(item, why, this.#input.policy.tries);
    if ('end' in next) {
      this.#following.note({ item, told }, next);
    } else {
      this.#work.push(next);
    }
  }

  #say(doing: string): void {
    const done = countsText(this.#following.tally.counts);
    setCurrentDetails([doing, ...(done === '' ? [] : [`so far ${done}`])].join('; '));
  }
}
