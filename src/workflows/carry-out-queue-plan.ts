import { ApplicationFailure } from '@temporalio/common';
import { continueAsNew, proxyActivities, setCurrentDetails, sleep, workflowInfo } from '@temporalio/workflow';
import type { BatchCancelled, CarryOutInput, FollowedBatch, FollowingRun, Limited, MainActivities } from '../activities/contract.ts';
import { againOrNoted, outcomeOfAttempt, outcomeOfFollowing, type CancelAttempt, type Outcome } from '../domain/queue/attempt.ts';
import { countsText, runsText } from '../domain/queue/report.ts';
import { note, type Noted, type Tally } from '../domain/queue/tally.ts';
import { pack, unpack, type WorkItem } from '../domain/queue/work.ts';
import { queueWriteOptions } from './options.ts';
import { waitOutLimit } from './told.ts';

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
      await this.#follow();
      await this.#goOn();
    }
    const { firstMs, longestMs } = this.#input.policy.following;
    for (let waitMs = firstMs; this.#following.length > 0; waitMs = Math.min(Math.max(waitMs * 2, LEAST_WAIT_MS), longestMs)) {
      if (waitMs > 0) {
        await sleep(waitMs, { summary: `wait for the end of ${runsText(this.#following.length)}` });
      }
      await this.#follow();
      if (this.#work.length > 0 || workflowInfo().continueAsNewSuggested) {
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

  // Cancelling

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
      await this.#waitFor(done.limited);
    }
  }

  #take(attempt: CancelAttempt): void {
    const { item, about, evidence, result } = attempt;
    const told = { workflow: about?.workflow ?? '', event: about?.event ?? '', branch: about?.branch ?? null, evidence };
    const outcome = outcomeOfAttempt(attempt);
    if (outcome.kind !== 'follow' || result.kind !== 'accepted') {
      this.#end(item, told, outcome);
      return;
    }
    const { run, attempt: number } = item;
    const { at, isSure } = result;
    const followed = { run, attempt: number, createdAt: about?.createdAt ?? at, acceptedAt: at, isSure, forcedAt: null };
    this.#following.push({ followed, item, told, unreadSince: null });
  }

  // Following

  /** One look at all whose cancellation is on its way, a batch at a time. */
  async #follow(): Promise<void> {
    const { scope, policy } = this.#input;
    const following = this.#following;
    this.#following = [];
    for (let first = 0; first < following.length; first += policy.batchSize) {
      const batch = following.slice(first, first + policy.batchSize);
      this.#say(`waiting for the end of ${runsText(following.length)}`);
      const { followBatch } = proxyActivities<MainActivities>(queueWriteOptions(policy, `what has become of ${runsText(batch.length)}?`));
      const { ends, limited } = await followBatch({ scope, runs: batch.map(({ followed }) => followed), policy });
      for (const [index, each] of batch.entries()) {
        this.#takeEnd(each, ends[index]);
      }
      await this.#waitFor(limited);
    }
  }

  #takeEnd(following: FollowingRun, end: FollowedBatch['ends'][number] | undefined): void {
    const { followed, item, told } = following;
    const { giveUpAfterMs } = this.#input.policy.following;
    const unreadSince = end?.kind === 'unread' ? (following.unreadSince ?? Date.now()) : null;
    if (end?.kind === 'unread' && unreadSince !== null && Date.now() - unreadSince >= giveUpAfterMs) {
      this.#note(item, told, { end: 'not-over', detail: `it was cancelled, and GitHub does not say whether it is over: ${end.why}` });
      return;
    }
    const outcome: Outcome = end === undefined ? { kind: 'follow' } : outcomeOfFollowing(end, followed, item);
    if (outcome.kind === 'follow') {
      const forcedAt = end?.kind === 'pending' ? end.forcedAt : followed.forcedAt;
      this.#following.push({ ...following, followed: { ...followed, forcedAt }, unreadSince });
    } else {
      this.#end(item, told, outcome);
    }
  }

  // Noting

  #end(item: WorkItem, told: FollowingRun['told'], outcome: Outcome): void {
    if (outcome.kind === 'noted') {
      this.#note(item, told, outcome);
    } else if (outcome.kind === 'again') {
      const next = againOrNoted(item, outcome.why, this.#input.policy.tries);
      if ('end' in next) {
        this.#note(item, told, next);
      } else {
        this.#work.push(next);
      }
    }
  }

  #note(item: WorkItem, told: FollowingRun['told'], noted: Noted): void {
    this.#tally = note(this.#tally, item, told, noted);
  }

  async #waitFor(limited: Limited | null): Promise<void> {
    if (limited !== null) {
      await waitOutLimit(limited, (doing) => this.#say(doing));
    }
  }

  #say(doing: string): void {
    const done = countsText(this.#tally.counts);
    setCurrentDetails([doing, ...(done === '' ? [] : [`so far ${done}`])].join('; '));
  }
}
