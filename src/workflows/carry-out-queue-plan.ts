import { ApplicationFailure } from '@temporalio/common';
import { continueAsNew, isCancellation, log, proxyActivities, setCurrentDetails, sleep, workflowInfo } from '@temporalio/workflow';
import type { BatchCancelled, CarriedOut, CarryOutInput, FollowingRun, MainActivities, QueueGround } from '../activities/contract.ts';
import { againOrNoted, outcomeOfAttempt, type CancelAttempt } from '../domain/queue/attempt.ts';
import { modesOf } from '../domain/queue/plan.ts';
import { countsText, runsText } from '../domain/queue/report.ts';
import { noteSilences } from '../domain/queue/silence.ts';
import { pack, unpack, type WorkItem } from '../domain/queue/work.ts';
import { Following, nextWaitMs } from './following.ts';
import { queueWriteOptions, temporalOptions } from './options.ts';
import { groundOf, groundOfRunners, lookAtQueue, planSeen, readRunners } from './queue-look.ts';
import { reasonOf } from './site.ts';

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

/** What acts rest on, and when it was read. */
type Known = Pick<CarryOutInput, 'ground' | 'silences' | 'pressed' | 'lookedAt'>;

function isPush({ rule }: WorkItem): boolean {
  return rule === 'prioritizePullRequests';
}

function isParkedForSure({ item, result }: CancelAttempt): boolean {
  return item.does === 'park' && result.kind === 'accepted' && result.isSure;
}

class CarryingOut {
  readonly #input: CarryOutInput;
  readonly #following: Following;
  #work: WorkItem[];
  #known: Known;

  constructor(input: CarryOutInput) {
    this.#input = input;
    this.#work = [...unpack(input.work)];
    const { ground, silences, pressed, lookedAt } = input;
    this.#known = { ground, silences, pressed, lookedAt };
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
    return { tally: this.#following.tally, following: this.#following.runs, silences: this.#known.silences };
  }

  /** Whether GitHub may not have heard of it; one that can't be read is left to whoever follows it. */
  #isInDoubt({ followed: { isSure }, unreadSince }: FollowingRun): boolean {
    return !isSure && (unreadSince === null || Date.now() - unreadSince < this.#input.policy.following.doubtMs);
  }

  async #goOn(): Promise<never> {
    return continueAsNew<typeof carryOutQueuePlan>({
      ...this.#input,
      ...this.#known,
      work: pack(this.#work),
      following: this.#following.runs,
      tally: this.#following.tally,
    });
  }

  async #cancelBatch(): Promise<void> {
    const { scope, policy, reruns } = this.#input;
    let items: readonly WorkItem[] = this.#work.splice(0, policy.batchSize);
    let mayBeDone = false;
    while (items.length > 0) {
      await this.#lookAnew(items);
      this.#say(`cancelling ${runsText(items.length)}, ${this.#work.length} are left after that`);
      const { cancelBatch } = proxyActivities<MainActivities>(queueWriteOptions(policy, `cancel ${runsText(items.length)} of ${scope}`));
      const ids = new Set(items.map(({ run }) => run));
      const ofBatch = reruns.filter(([run]) => ids.has(run));
      const { ground, silences, pressed } = this.#known;
      const { offered, silent, defaultBranch } = ground;
      const restsOn = { offered, silent, defaultBranch, silences, pressed, reruns: ofBatch, policy };
      const done: BatchCancelled = await cancelBatch({ scope, items, mayBeDone, ...restsOn });
      for (const attempt of done.attempts) {
        this.#take(attempt);
      }
      await this.#tellParked(done);
      items = done.rest;
      ({ mayBeDone } = done);
      await this.#following.waitFor(done.limited);
    }
  }

  /** What GitHub has accepted comes to pass, whoever sees it, and whatever the jobs that always run make of it. */
  async #tellParked({ attempts }: BatchCancelled): Promise<void> {
    const { scope } = this.#input;
    const cancelled = attempts.filter(isParkedForSure).map(({ item }) => item.run);
    if (cancelled.length > 0) {
      const temporal = proxyActivities<MainActivities>(temporalOptions(`${runsText(cancelled.length)} are parked for sure`));
      await temporal.settleParked({ scope, cancelled, settled: [] });
    }
  }

  // What acts rest on

  /** A plan may take hours: who waits, and what runners there are, is read anew before a batch, unless that was a moment ago. */
  async #lookAnew(items: readonly WorkItem[]): Promise<void> {
    const { groundHoldsMs } = this.#input.policy;
    const { runners, demand } = this.#known.lookedAt;
    const now = Date.now();
    try {
      if (items.some(isPush) && now - demand >= groundHoldsMs) {
        await this.#readDemand(items, now);
      } else if (now - runners >= groundHoldsMs) {
        await this.#readRunners(now);
      }
    } catch (error) {
      if (isCancellation(error)) {
        throw error;
      }
      log.warn(`the queue of ${this.#input.scope} could not be looked at anew: ${reasonOf(error, { host: 'local' })}`);
      const ground = { ...this.#known.ground, defaultBranch: null };
      this.#known = { ...this.#known, ground, pressed: null, lookedAt: { runners: now, demand } };
    }
  }

  async #readRunners(now: number): Promise<void> {
    const read = await readRunners(this.#lookedAfter(), this.#teller());
    const { at, areAll, defaultBranch } = read;
    this.#noteGround(areAll ? groundOfRunners(read) : { ...this.#known.ground, defaultBranch }, areAll ? at : null);
    this.#known = { ...this.#known, lookedAt: { ...this.#known.lookedAt, runners: now } };
  }

  /** None of the silences is forgotten here: the pass knows since when runs wait. */
  #noteGround(ground: QueueGround, at: number | null): void {
    const { silences } = this.#known;
    this.#known = {
      ...this.#known,
      ground,
      silences: at === null ? silences : noteSilences(silences, ground, { at, since: 0, begins: at }),
    };
  }

  /** As a plan sees it, without the runs that are cancelled or about to be. */
  async #readDemand(items: readonly WorkItem[], now: number): Promise<void> {
    const { scope, policy } = this.#input;
    const { at, runs, surroundings } = await lookAtQueue(this.#lookedAfter(), [], this.#teller());
    const { recallQueue } = proxyActivities<MainActivities>(temporalOptions('what is remembered of the queue?'));
    const { memory } = await recallQueue({ scope });
    const others = [...items, ...this.#work].filter((item) => !isPush(item));
    const taken = new Set([...others, ...this.#following.runs.map(({ item }) => item)].map(({ run }) => run));
    const { areRunnersKnown, defaultBranch } = surroundings;
    this.#noteGround(areRunnersKnown ? groundOf(surroundings) : { ...this.#known.ground, defaultBranch }, areRunnersKnown ? at : null);
    const seen = { at, runs: runs.filter(({ id }) => !taken.has(id)), surroundings: this.#known.ground };
    const planning = { resolved: this.#input, modes: modesOf(policy, ['prioritizePullRequests']), most: Infinity };
    const { pressed } = (await planSeen(seen, memory, planning, this.#teller())).plan;
    const { demand } = this.#known.lookedAt;
    this.#known = { ...this.#known, pressed, lookedAt: { runners: now, demand: pressed === null ? demand : now } };
  }

  /** Others wait for the lock meanwhile. */
  #lookedAfter(): CarryOutInput {
    const { policy } = this.#input;
    const { limits } = policy;
    return { ...this.#input, policy: { ...policy, limits: { ...limits, list: limits.anew } } };
  }

  #teller(): Parameters<typeof lookAtQueue>[2] {
    return { say: (doing) => this.#say(doing), waitFor: (limited) => this.#following.waitFor(limited) };
  }

  // Noting

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
