import { ApplicationFailure } from '@temporalio/common';
import { continueAsNew, proxyActivities, setCurrentDetails, sleep } from '@temporalio/workflow';
import type { BatchCancelled, CancelAttempt, CarryOutInput, FollowedRun, FollowingRun, Limited, MainActivities } from '../activities/contract.ts';
import { countsText, type ActEnd, type ToldAct } from '../domain/queue/report.ts';
import { note, type Tally } from '../domain/queue/tally.ts';
import { pack, unpack, type WorkItem } from '../domain/queue/work.ts';
import { queueReadOptions, queueWriteOptions } from './options.ts';

/**
 * Does what queue care has planned, a batch at a time, each in a history of its own; started by `maintainQueue`, which holds the queue's lock.
 * Ends once every run is really over, or is told why it is not.
 */
export async function carryOutQueuePlan(input: CarryOutInput): Promise<Tally> {
  if ((input as CarryOutInput | undefined)?.version !== 1) {
    throw ApplicationFailure.nonRetryable('a plan is carried out by queue care, not by hand: start maintainQueue', 'InvalidInput');
  }
  return new CarryingOut(input).run();
}

/** Between two looks; the first may be at once. */
const LEAST_WAIT_MS = 1_000;

class CarryingOut {
  readonly #input: CarryOutInput;
  #tally: Tally;
  #work: WorkItem[];
  #following: FollowingRun[];

  constructor(input: CarryOutInput) {
    this.#input = input;
    this.#tally = input.tally;
    this.#work = [...unpack(input.work)];
    this.#following = [...input.following];
  }

  async run(): Promise<Tally> {
    await this.#cancelBatch();
    if (this.#work.length > 0) {
      await this.#followOnce();
      await this.#goOn();
    }
    const { firstMs, longestMs } = this.#input.policy.following;
    for (let waitMs = firstMs; this.#following.length > 0; waitMs = Math.min(Math.max(waitMs * 2, LEAST_WAIT_MS), longestMs)) {
      if (waitMs > 0) {
        await sleep(waitMs, { summary: `wait until ${this.#following.length} cancelled runs are over` });
      }
      await this.#followOnce();
      if (this.#work.length > 0) {
        await this.#goOn();
      }
    }
    return this.#tally;
  }

  async #goOn(): Promise<never> {
    return continueAsNew<typeof carryOutQueuePlan>({
      ...this.#input,
      work: pack(this.#work),
      following: this.#following,
      tally: this.#tally,
    });
  }

  async #cancelBatch(): Promise<void> {
    const { scope, policy, offered, reruns } = this.#input;
    let items: readonly WorkItem[] = this.#work.splice(0, policy.batchSize);
    let mayBeDone = false;
    while (items.length > 0) {
      this.#say(`cancelling ${items.length} runs, ${this.#work.length} are left`);
      const { cancelBatch } = proxyActivities<MainActivities>(queueWriteOptions(policy, `cancel ${items.length} runs of ${scope}`));
      const ids = new Set(items.map(({ run }) => run));
      const ofBatch = reruns.filter(([run]) => ids.has(run));
      const done: BatchCancelled = await cancelBatch({ scope, items, offered, reruns: ofBatch, mayBeDone, policy });
      for (const attempt of done.attempts) {
        this.#take(attempt);
      }
      items = done.rest;
      ({ mayBeDone } = done);
      await this.#waitFor(done.limited);
    }
  }

  #take({ item, about, evidence, result }: CancelAttempt): void {
    const told = { workflow: about?.workflow ?? '', event: about?.event ?? '', branch: about?.branch ?? null, evidence };
    switch (result.kind) {
      case 'accepted': {
        const followed: FollowedRun = {
          run: item.run,
          attempt: item.attempt,
          createdAt: about?.createdAt ?? result.at,
          acceptedAt: result.at,
          isSure: result.isSure,
          forcedAt: null,
        };
        this.#following.push({ followed, item, told });
        return;
      }
      case 'over':
        this.#note(item, told, result.isOurs ? 'cancelled' : result.conclusion === 'cancelled' ? 'spared' : 'ended-otherwise', {
          detail: result.isOurs ? 'its answer was lost, and the run is over' : `it was over before: ${result.conclusion}`,
        });
        return;
      case 'spared':
        this.#note(item, told, 'spared', { detail: result.why });
        return;
      case 'set-aside':
        this.#note(item, told, 'set-aside', { detail: result.why });
        return;
      case 'refused':
        this.#note(item, told, 'refused', { detail: result.why, status: result.status });
        return;
      case 'again':
        this.#tryAgain(item, told, result.why);
    }
  }

  /** What GitHub fails at again and again is left for later passes. */
  #tryAgain(item: WorkItem, told: FollowingRun['told'], why: string): void {
    const tries = item.tries + 1;
    if (tries < this.#input.policy.tries) {
      this.#work.push({ ...item, tries });
    } else {
      this.#note(item, told, 'set-aside', { detail: `tried ${tries} times: ${why}` });
    }
  }

  async #followOnce(): Promise<void> {
    if (this.#following.length === 0) {
      return;
    }
    const { scope, policy } = this.#input;
    const following = this.#following;
    this.#say(`waiting until ${following.length} cancelled runs are over`);
    const { followBatch } = proxyActivities<MainActivities>(queueReadOptions(policy, `are ${following.length} cancelled runs over?`));
    const { ends, limited } = await followBatch({ scope, runs: following.map(({ followed }) => followed), policy });
    this.#following = [];
    for (const [index, { followed, item, told }] of following.entries()) {
      const end = ends[index];
      switch (end?.kind) {
        case 'over': {
          const isCancelled = end.conclusion === 'cancelled';
          const how = followed.forcedAt === null ? '' : ', forced';
          this.#note(item, told, isCancelled ? 'cancelled' : 'ended-otherwise', { detail: `${end.conclusion}${how}` });
          break;
        }
        case 'again':
          this.#tryAgain(item, told, 'GitHub has not heard of the cancellation');
          break;
        case 'not-over':
          this.#note(item, told, 'not-over', { detail: `its cancellation was accepted and forced, and it is still ${end.status}` });
          break;
        case 'pending':
        case undefined:
          this.#following.push({ followed: { ...followed, forcedAt: end?.forcedAt ?? followed.forcedAt }, item, told });
      }
    }
    await this.#waitFor(limited);
  }

  #note(
    item: WorkItem,
    told: Omit<ToldAct, 'run' | 'attempt' | 'rule' | 'end' | 'detail'>,
    end: ActEnd,
    { detail, status = 0 }: { readonly detail: string; readonly status?: number },
  ): void {
    this.#tally = note(this.#tally, item, { ...told, detail }, end, status);
  }

  async #waitFor(limited: Limited | null): Promise<void> {
    if (limited !== null) {
      this.#say(`GitHub's limit is reached until ${new Date(Date.now() + limited.waitMs).toISOString()}: ${limited.why}`);
      await sleep(limited.waitMs, { summary: "wait for GitHub's limit" });
    }
  }

  #say(doing: string): void {
    const done = countsText(this.#tally.counts);
    setCurrentDetails([doing, ...(done === '' ? [] : [`so far ${done}`])].join('; '));
  }
}
