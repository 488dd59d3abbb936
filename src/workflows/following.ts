import { proxyActivities } from '@temporalio/workflow';
import type { FollowedBatch, FollowingRun, Limited, MainActivities } from '../activities/contract.ts';
import { outcomeOfFollowing, type Outcome } from '../domain/queue/attempt.ts';
import type { QueuePolicy } from '../domain/queue/policy.ts';
import { runsText } from '../domain/queue/report.ts';
import { note, type Noted, type Tally } from '../domain/queue/tally.ts';
import { queueWriteOptions } from './options.ts';
import { waitOutLimit } from './told.ts';

/** Between two looks; the first may be at once. */
const LEAST_WAIT_MS = 1_000;

/** The wait before the next look. */
export function nextWaitMs(waitMs: number, { longestMs }: QueuePolicy['following']): number {
  return Math.min(Math.max(waitMs * 2, LEAST_WAIT_MS), longestMs);
}

/** A run that GitHub was asked to cancel, and has not heard of it. */
export type Unheard = FollowingRun & { readonly why: string };

/** Runs whose cancellation is on its way, and what has come of all others so far. */
export class Following {
  readonly #care: { readonly scope: string; readonly policy: QueuePolicy };
  readonly #say: (doing: string) => void;
  readonly #runs: Map<number, FollowingRun>;
  #tally: Tally;

  constructor(
    care: { readonly scope: string; readonly policy: QueuePolicy },
    { following, tally }: { readonly following: readonly FollowingRun[]; readonly tally: Tally },
    say: (doing: string) => void,
  ) {
    this.#care = care;
    this.#runs = new Map(following.map((each) => [each.item.run, each]));
    this.#tally = tally;
    this.#say = say;
  }

  get runs(): readonly FollowingRun[] {
    return [...this.#runs.values()];
  }

  get tally(): Tally {
    return this.#tally;
  }

  add(following: FollowingRun): void {
    this.#runs.set(following.item.run, following);
  }

  note({ item, told }: Pick<FollowingRun, 'item' | 'told'>, noted: Noted): void {
    this.#runs.delete(item.run);
    this.#tally = note(this.#tally, item, told, noted);
  }

  /** One look at all of them, a batch at a time: notes what is over, and gives back what GitHub has never heard of. */
  async look(): Promise<readonly Unheard[]> {
    const { scope, policy } = this.#care;
    const following = this.runs;
    const unheard: Unheard[] = [];
    for (let first = 0; first < following.length; first += policy.batchSize) {
      const batch = following.slice(first, first + policy.batchSize);
      this.#say(`waiting for the end of ${runsText(following.length)}`);
      const { followBatch } = proxyActivities<MainActivities>(queueWriteOptions(policy, `what has become of ${runsText(batch.length)}?`));
      const { ends, limited } = await followBatch({ scope, runs: batch.map(({ followed }) => followed), policy });
      for (const [index, each] of batch.entries()) {
        unheard.push(...this.#take(each, ends[index]));
      }
      await this.waitFor(limited);
    }
    return unheard;
  }

  async waitFor(limited: Limited | null): Promise<void> {
    if (limited !== null) {
      await waitOutLimit(limited, this.#say);
    }
  }

  #take(following: FollowingRun, end: FollowedBatch['ends'][number] | undefined): readonly Unheard[] {
    const { followed, item } = following;
    const outcome: Outcome = end === undefined ? { kind: 'follow' } : outcomeOfFollowing(end, followed, item);
    switch (outcome.kind) {
      case 'noted':
        this.note(following, outcome);
        return [];
      case 'again':
        this.#runs.delete(item.run);
        return [{ ...following, why: outcome.why }];
      case 'follow':
        this.#goOn(following, end);
        return [];
    }
  }

  #goOn(following: FollowingRun, end: FollowedBatch['ends'][number] | undefined): void {
    const { followed } = following;
    const { giveUpAfterMs } = this.#care.policy.following;
    const unreadSince = end?.kind === 'unread' ? (following.unreadSince ?? Date.now()) : null;
    if (end?.kind === 'unread' && unreadSince !== null && Date.now() - unreadSince >= giveUpAfterMs) {
      this.note(following, { end: 'again', detail: `it was cancelled, and GitHub does not say whether it is over: ${end.why}` });
      return;
    }
    const forcedAt = end?.kind === 'pending' ? end.forcedAt : followed.forcedAt;
    this.add({ ...following, followed: { ...followed, forcedAt }, unreadSince });
  }
}
