import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  defineSignal,
  executeChild,
  isCancellation,
  log,
  proxyActivities,
  setHandler,
  startChild,
  Trigger,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import type { BatchRerun, CarriedOut, FollowingRun, MainActivities, ResolvedQueue } from '../activities/contract.ts';
import { FOLLOWED_SIGNAL } from '../domain/names.ts';
import { advance } from '../domain/open-findings.ts';
import { agingText, findingsOf, NO_TROUBLE, waitingTrouble, type QueueTrouble } from '../domain/queue/findings.ts';
import { intendedActs, lostRuns, type Remembered } from '../domain/queue/intended.ts';
import {
  forgetOver,
  isParkedNews,
  noteEnding,
  noteParked,
  noteRerun,
  setAside,
  type Ending,
  type QueueMemory,
} from '../domain/queue/memory.ts';
import {
  dueRuns,
  forgottenAt,
  isPressedOn,
  parkedOf,
  pressureIn,
  unsureRuns,
  type ParkedRun,
  type Pressure,
} from '../domain/queue/parked.ts';
import { READING_BELIEVED_MS, type RuleName } from '../domain/queue/policy.ts';
import { modesOf, type RuleModes } from '../domain/queue/plan.ts';
import {
  ACTS_TOLD,
  countOf,
  LEFT_TOLD,
  outcomeOf,
  agingOf,
  queueSentence,
  runsText,
  toldAsParked,
  toldAsOnlyPlanned,
  toldAsPlanned,
  withRefusal,
  type QueueFigures,
  type QueueReport,
  type ToldAct,
} from '../domain/queue/report.ts';
import { readQueueRequest, type QueueRequest } from '../domain/queue/request.ts';
import { isSilenceNews, noteSilences, silenceBegins } from '../domain/queue/silence.ts';
import { addTally, NOTHING_DONE, type Tally } from '../domain/queue/tally.ts';
import type { LeftRun, PlannedAct } from '../domain/queue/verdict.ts';
import { pack, workOf } from '../domain/queue/work.ts';
import { changedQueue } from '../domain/event.ts';
import { carryOutQueuePlan } from './carry-out-queue-plan.ts';
import { durationMs, happened } from './events.ts';
import { followRuns, onTheirWay } from './follow-runs.ts';
import { lockQueue, type HeldLock } from './lock.ts';
import { queueWriteOptions, temporalOptions } from './options.ts';
import { writeQueueMemory } from './queue-ledger.ts';
import { groundOf, lookAtQueue, planSeen, type PlannedQueue, type SeenQueue } from './queue-look.ts';
import { label, trigger } from './search-attributes.ts';
import { holderText, reasonOf } from './site.ts';
import type { Told } from './told.ts';
import { operateOnScope } from './scope-operation.ts';

/** Passes in a row without it after which a finding is over. */
const GOOD_PASSES = 3;

const followed = defineSignal<[Tally]>(FOLLOWED_SIGNAL);

type Follower = ChildWorkflowHandle<typeof followRuns>;

/** What a person wants to know; a pass of the schedule asks for less. */
const EVERY_STATUS = ['in_progress', 'waiting', 'pending', 'requested'] as const;

/**
 * Care for the queue of a repository: cancels what is stale or superseded, parks pushes that pull requests wait behind, and re-runs them later.
 * Ends with a {@link QueueReport}, also where GitHub refuses; only bad input fails the execution itself.
 */
export async function maintainQueue(...given: unknown[]): Promise<QueueReport> {
  const report = await operateOnScope(readQueueRequest(given), {
    kind: 'the repository',
    resolve: (configuration, scope) => configuration.resolveQueue({ scope }),
    run: (resolved, request, told) => new QueueCare(resolved, request, told).run(),
  });
  tellWhatHappened(report);
  return report;
}

/** A look and a plan are none; what failed is, but for what the next pass finds undone. */
function tellWhatHappened({ outcome, scope, counts, summary, dryRun, mode }: QueueReport): void {
  if (!dryRun && mode === 'act' && (outcome === 'failed' || changedQueue(counts))) {
    const { workflowId } = workflowInfo();
    happened({ kind: 'queue-maintained', workflowId, scope, trigger: trigger(), outcome, counts, summary, durationMs: durationMs() });
  }
}

/** What one pass does. */
interface Intended {
  readonly acts: readonly PlannedAct[];
  /** Parked runs that are to be re-run. */
  readonly due: readonly ParkedRun[];
  /** Parked runs of which it is to be seen whether they are cancelled. */
  readonly unsure: readonly ParkedRun[];
  /** Acts that there is no room for, as things are. */
  readonly notes: readonly string[];
}

/** What has become of parked runs. */
interface Reran {
  readonly settled: readonly ToldAct[];
  readonly waiting: readonly LeftRun[];
  readonly memory: QueueMemory;
  readonly refusals: QueueReport['refusals'];
}

/** What has come of it. */
interface Done {
  readonly tally: Tally;
  readonly refusals: QueueReport['refusals'];
  /** Parked runs that are parked no more. */
  readonly settled: readonly ToldAct[];
  /** Parked runs that are due and wait on. */
  readonly waiting: readonly LeftRun[];
  readonly remembered: Remembered;
  /** What comes of the rest. */
  readonly ends: () => Promise<Tally>;
}

class QueueCare {
  readonly #resolved: ResolvedQueue;
  readonly #request: QueueRequest;
  readonly #told: Told;
  readonly #modes: RuleModes;
  readonly #most: number;
  readonly #begunAt = Date.now();
  /** What was over when it was time to tell. */
  readonly #followed = new Trigger<Tally>();

  constructor(resolved: ResolvedQueue, request: QueueRequest, told: Told) {
    this.#resolved = resolved;
    this.#request = request;
    this.#told = told;
    this.#modes = modesOf(resolved.policy, request.rules);
    this.#most = request.max ?? resolved.policy.maxPerPass;
    setHandler(followed, (tally) => this.#followed.resolve(tally));
  }

  async run(): Promise<QueueReport> {
    try {
      return await this.#care();
    } catch (error) {
      if (isCancellation(error)) {
        label(this.#resolved.searchAttributes, { outcome: 'cancelled' });
        throw error;
      }
      const summary = reasonOf(error, { host: 'local' });
      await this.#tellFailure(summary);
      return this.#report({ outcome: 'failed', summary });
    }
  }

  async #care(): Promise<QueueReport> {
    const { remembered } = this.#resolved;
    const seen = await lookAtQueue(this.#resolved, trigger() === 'schedule' ? ['in_progress'] : EVERY_STATUS, this.#told);
    const planning = { resolved: this.#resolved, modes: this.#modes, most: this.#most };
    const planned = await planSeen(seen, remembered.memory, planning, this.#told);
    const intended = this.#intend(seen, planned, remembered);
    if (this.#isDry) {
      return this.#reportPlan(seen, planned, remembered, intended);
    }
    if (intended.acts.length + intended.due.length + intended.unsure.length === 0 && !this.#isToRemember(seen, planned, remembered)) {
      await this.#tell({ ...NO_TROUBLE, ...this.#waiting(seen, planned, remembered) }, ['queue-refused']);
      return this.#reportPlan(seen, planned, remembered, intended);
    }
    const lock = await lockQueue(this.#resolved.scope, { reason: this.#request.reason });
    if (lock.kind === 'held') {
      const summary = `the queue of ${this.#resolved.scope} is in the hands of ${holderText(lock.holder)}`;
      return this.#report({ outcome: 'refused-in-progress', summary, queue: figuresOf(seen, planned, remembered) });
    }
    return this.#holding(lock, seen, planned);
  }

  async #holding(lock: HeldLock, seen: SeenQueue, planned: PlannedQueue): Promise<QueueReport> {
    const { intended, done } = await this.#underLock(lock, seen, planned);
    const tally = addTally(done.tally, await done.ends());
    return this.#reportDone(seen, planned, intended, { ...done, tally });
  }

  async #underLock(lock: HeldLock, seen: SeenQueue, planned: PlannedQueue): Promise<{ readonly intended: Intended; readonly done: Done }> {
    try {
      const [isHeld, remembered] = await Promise.all([lock.isHeld(), this.#recall()]);
      if (!isHeld) {
        throw ApplicationFailure.nonRetryable('the lock of the queue was given back before this run began to act: start it anew');
      }
      await this.#parkAnew(remembered);
      const intended = this.#intend(seen, planned, remembered);
      const done = await this.#act(seen, planned, intended, remembered);
      await this.#tell(
        {
          // A person who names a number knows it.
          limit: planned.plan.isCut && this.#request.max === null ? this.#most : null,
          refusals: done.refusals,
          failure: null,
          lost: done.settled.filter(({ end }) => end === 'refused' || end === 'expired'),
          forgotten: lostRuns(remembered),
          ...this.#waiting(seen, planned, done.remembered),
        },
        intended.acts.length > 0 ? [] : ['queue-refused'],
      );
      return { intended, done };
    } finally {
      await lock.release();
    }
  }

  #waiting({ at }: SeenQueue, { plan }: PlannedQueue, { parked }: Remembered): Pick<QueueTrouble, 'aging' | 'longParked'> {
    return waitingTrouble(plan.aging, parked, at, this.#resolved.policy.parking);
  }

  get #isDry(): boolean {
    return this.#request.dryRun || this.#resolved.mode === 'watch';
  }

  async #recall(): Promise<Remembered> {
    const temporal = proxyActivities<MainActivities>(temporalOptions('what is remembered of the queue?'));
    return temporal.recallQueue({ scope: this.#resolved.scope });
  }

  // Deciding

  #intend(seen: SeenQueue, { plan, jobs }: PlannedQueue, remembered: Remembered): Intended {
    const { at } = seen;
    const { parking } = this.#resolved.policy;
    const { parked } = remembered;
    const { acts, homeless } = intendedActs(plan, remembered, at, parking);
    return {
      acts: acts.slice(0, this.#most),
      due: this.#due(
        remembered,
        pressureIn(
          { ...seen, ...seen.surroundings, jobs, memory: remembered.memory },
          plan.pressed,
          this.#resolved.policy.rules.superseded,
        ),
      ),
      unsure: unsureRuns(parked, remembered.memory.ending),
      notes:
        homeless.length === 0
          ? []
          : [
              `${homeless.length} push runs stay where they are: ${parked.length} are parked already, and no more than ${parking.most} may be`,
            ],
    };
  }

  /** Parked runs whose time has come. A person who names other rules means those alone. */
  #due({ parked }: Remembered, pressure: Pressure): readonly ParkedRun[] {
    const { rules, release } = this.#request;
    if (release) {
      return parked;
    }
    return rules === null || rules.includes('prioritizePullRequests') ? dueRuns(parked, pressure, this.#resolved.policy.parking) : [];
  }

  /** Whether the memory changes although nothing is done. */
  #isToRemember(seen: SeenQueue, { plan }: PlannedQueue, { memory, parked, isCutOff = false }: Remembered): boolean {
    if (isCutOff || isParkedNews(memory, idsOf(parked))) {
      return true;
    }
    const next = this.#forget(memory, seen);
    return (
      plan.zombies.length > 0 || next.setAside.length < memory.setAside.length || isSilenceNews(memory.silences ?? [], next.silences ?? [])
    );
  }

  /** What this look has changed of it. */
  #forget(memory: QueueMemory, { runs, at, surroundings }: SeenQueue): QueueMemory {
    const next = forgetOver(memory, new Set(runs.map(({ id }) => id)), at, this.#resolved.policy.parking.oldestMs);
    const silences = memory.silences ?? [];
    const look = { at, since: oldestOf(runs, at), begins: silenceBeginsAt(at) };
    return { ...next, silences: surroundings.areRunnersKnown ? noteSilences(silences, surroundings, look) : silences };
  }

  // Acting

  /** A person ended the execution that remembered them; it is none that shall end before they are re-run. */
  async #parkAnew({ parked, isCutOff = false }: Pick<Remembered, 'parked' | 'isCutOff'>): Promise<void> {
    if (isCutOff) {
      const { scope, policy } = this.#resolved;
      const temporal = proxyActivities<MainActivities>(
        temporalOptions(`${parked.length} parked runs are taken over from an execution that was ended`),
      );
      await temporal.rememberParked({ scope, runs: parked, policy: policy.parking });
    }
  }

  /** What is remembered as parked, with those that a person has made it forget meanwhile. */
  async #heldOf(expected: readonly ParkedRun[], settled: readonly { readonly run: number }[]): Promise<readonly ParkedRun[]> {
    const { parked: held, isCutOff = false } = await this.#recall();
    const known = new Set(idsOf(held));
    const forgotten = withoutRuns(expected, settled).filter(({ run }) => !known.has(run.id));
    const parked = [...withoutRuns(held, settled), ...forgotten];
    await this.#parkAnew({ parked, isCutOff: isCutOff || forgotten.length > 0 });
    return parked;
  }

  #toPark(acts: readonly PlannedAct[], seen: SeenQueue, { jobs }: PlannedQueue, memory: QueueMemory): readonly ParkedRun[] {
    const parks = acts.filter(({ does }) => does === 'park');
    return parkedFrom(parks, seen, jobs, memory);
  }

  async #act(seen: SeenQueue, planned: PlannedQueue, { acts, due, unsure }: Intended, remembered: Remembered): Promise<Done> {
    const { scope, policy } = this.#resolved;
    const aheadMs = seen.at - this.#begunAt;
    const now = (): number => Date.now() + aheadMs;
    const aside = (memory: QueueMemory, run: Tally['setAside'][number]): QueueMemory => setAside(memory, run, now(), policy.setAside);
    let memory = planned.plan.zombies.reduce(aside, this.#forget(remembered.memory, seen));
    const rerun = await this.#rerun({ due, unsure }, planned, memory);
    ({ memory } = rerun);
    const parked = withoutRuns(remembered.parked, rerun.settled);
    const parking = this.#toPark(acts, seen, planned, memory);
    let done: Omit<Done, 'ends'>;
    let following: readonly FollowingRun[];
    try {
      const carriedOut = await this.#cancel(acts, [...parked, ...parking], seen, planned, memory);
      const { tally } = carriedOut;
      ({ following } = carriedOut);
      memory = carriedOut.silences.length === 0 ? memory : { ...memory, silences: carriedOut.silences };
      memory = noteEnding(tally.setAside.reduce(aside, memory), following.map(endingOf), policy.following);
      const refusals = rerun.refusals.reduce((all, { status, why, count }) => withRefusal(all, status, why, count), tally.refusals);
      const held = await this.#heldOf([...parked, ...parking], [...rerun.settled, ...tally.unparked]);
      memory = noteParked(memory, idsOf(held));
      done = { tally, refusals, settled: rerun.settled, waiting: rerun.waiting, remembered: { memory, parked: held } };
    } finally {
      await writeQueueMemory(scope, memory);
    }
    return { ...done, ends: await this.#follow(following, aheadMs) };
  }

  /** Starts an execution that follows the runs and outlives this pass. The function that it gives back waits for the ends, as long as this pass waits. */
  async #follow(following: readonly FollowingRun[], aheadMs: number): Promise<() => Promise<Tally>> {
    if (following.length === 0) {
      return async () => NOTHING_DONE;
    }
    const onTheWay = onTheirWay(following, NOTHING_DONE);
    try {
      const follower = await CancellationScope.nonCancellable(() => this.#startFollowing(following, aheadMs));
      return () => this.#endsOf(follower, onTheWay);
    } catch (error) {
      // In a run that a reset made they are followed already.
      if (error instanceof WorkflowExecutionAlreadyStartedError) {
        return async () => onTheWay;
      }
      throw error;
    }
  }

  #startFollowing(following: readonly FollowingRun[], aheadMs: number): Promise<Follower> {
    const { scope, policy } = this.#resolved;
    const { workflowId, runId } = workflowInfo();
    return startChild(followRuns, {
      workflowId: `${workflowId}/following`,
      parentClosePolicy: 'ABANDON',
      staticSummary: `follow ${runsText(following.length)} of ${scope} to their end`,
      args: [
        {
          version: 1,
          scope,
          policy,
          by: { workflowId, runId },
          tellAfterMs: trigger() === 'schedule' ? policy.following.tellAfterMs : null,
          aheadMs,
          asked: following.map(({ item: { run, attempt } }) => ({ run, attempt })),
          following,
          tally: NOTHING_DONE,
        },
      ],
    });
  }

  /** The schedule's pass is told after a while what is over by then. */
  async #endsOf(follower: Follower, onTheWay: Tally): Promise<Tally> {
    const scope = CancellationScope.current();
    this.#told.say(`waiting for the end of ${runsText(onTheWay.ended.all)} of ${this.#resolved.scope}`);
    try {
      return await Promise.race([follower.result(), this.#followed, scope.cancelRequested]);
    } catch (error) {
      if (scope.consideredCancelled) {
        throw error;
      }
      // A person ended it: the runs are left alone for as long as it would have worked.
      return onTheWay;
    }
  }

  /**
   * Remembers first what is to be parked, then cancels, then tells what need not be remembered. `parked`: with those that are parked already, since
   * a person may have ended what remembers them.
   */
  async #cancel(
    acts: readonly PlannedAct[],
    parked: readonly ParkedRun[],
    seen: SeenQueue,
    { plan }: PlannedQueue,
    memory: QueueMemory,
  ): Promise<CarriedOut> {
    if (acts.length === 0) {
      return { tally: NOTHING_DONE, following: [], silences: memory.silences ?? [] };
    }
    const { scope, configured, organisation, policy } = this.#resolved;
    // A schedule's pass is content with what a health check has read shortly before.
    const lookedAt = trigger() === 'schedule' ? this.#begunAt - READING_BELIEVED_MS : this.#begunAt;
    const parks = acts.filter(({ does }) => does === 'park');
    const temporal = proxyActivities<MainActivities>(temporalOptions(`${parks.length} runs are to be re-run later`));
    if (parks.length > 0) {
      await temporal.rememberParked({ scope, runs: parked, policy: policy.parking });
    }
    this.#told.say(`cancelling ${runsText(acts.length)} of ${scope}`);
    const ids = new Set(acts.map(({ run }) => run));
    const carriedOut = await executeChild(carryOutQueuePlan, {
      workflowId: `${workflowInfo().workflowId}/acts`,
      parentClosePolicy: 'TERMINATE',
      staticSummary: `cancel ${runsText(acts.length)} of ${scope}`,
      args: [
        {
          version: 1,
          scope,
          configured,
          organisation,
          policy,
          ground: groundOf(seen.surroundings),
          silences: memory.silences ?? [],
          pressed: plan.pressed,
          lookedAt: { runners: lookedAt, demand: lookedAt },
          reruns: memory.reruns.filter(({ run }) => ids.has(run)).map(({ run, at }) => [run, at] as const),
          work: pack(workOf(acts)),
          following: [],
          tally: NOTHING_DONE,
        },
      ],
    });
    const { parked: cancelled, unparked } = carriedOut.tally;
    if (cancelled.length + unparked.length > 0) {
      await temporal.settleParked({ scope, cancelled, settled: forgottenAt(unparked, seen.at) });
    }
    return carriedOut;
  }

  /** Looks after parked runs, a batch at a time. What was re-run is remembered before it is forgotten as parked. */
  async #rerun({ due, unsure }: Pick<Intended, 'due' | 'unsure'>, { plan }: PlannedQueue, before: QueueMemory): Promise<Reran> {
    const { scope, policy } = this.#resolved;
    const rules = { parking: policy.parking, superseded: policy.rules.superseded };
    const ids = new Set(due.map(({ run }) => run.id));
    const settled: ToldAct[] = [];
    const waiting: LeftRun[] = [];
    let memory = before;
    let refusals: QueueReport['refusals'] = [];
    let left = [...due, ...unsure.filter(({ run }) => !ids.has(run.id))];
    while (left.length > 0) {
      const batch = left.slice(0, policy.batchSize);
      this.#told.say(`looking after ${left.length} parked run${left.length === 1 ? '' : 's'} of ${scope}`);
      const { rerunBatch } = proxyActivities<MainActivities>(queueWriteOptions(policy, `look after ${batch.length} parked runs`));
      const isDue = batch.map(({ run }) => run.id).filter((id) => ids.has(id));
      const done: BatchRerun = await rerunBatch({ scope, runs: batch, due: isDue, rules });
      for (const { run, end, detail, at } of done.settled) {
        const parked = batch.find((each) => each.run.id === run);
        // Whoever has had its turn, or is released by a person, is not parked once more.
        const isToStay = this.#request.release || (parked !== undefined && isPressedOn(parked, plan.pressed));
        const times = isToStay ? policy.parking.times : (parked?.times ?? 1);
        memory = end === 're-run' ? noteRerun(memory, { run, at, parked: times }) : memory;
        settled.push(...(parked === undefined ? [] : [toldAsParked(parked, end, detail)]));
      }
      refusals = done.refusals.reduce((all, { status, why, count }) => withRefusal(all, status, why, count), refusals);
      waiting.push(...done.waiting);
      if (done.settled.length + done.cancelled.length > 0) {
        await writeQueueMemory(scope, memory);
        const temporal = proxyActivities<MainActivities>(temporalOptions(`${done.settled.length} runs are parked no more`));
        await temporal.settleParked({ scope, cancelled: done.cancelled, settled: done.settled });
      }
      left = done.limited === null ? left.slice(batch.length) : left.filter(({ run }) => !done.settled.some((each) => each.run === run.id));
      if (done.limited !== null) {
        await this.#told.waitFor(done.limited);
      }
    }
    return { settled, waiting, memory, refusals };
  }

  /** People are told by findings, each once. `unread`: codes of which this pass can say nothing. */
  async #tell(trouble: QueueTrouble, unread: readonly string[]): Promise<void> {
    const { scope, open } = this.#resolved;
    const at = Date.now();
    const findings = findingsOf(scope, trouble);
    const told = advance(open, { findings, unreadable: [], unread: unread.map((code) => ({ subject: scope, code })), at }, GOOD_PASSES);
    if (told.seen.length + told.good.length > 0) {
      const summary = `tell ${told.seen.length} findings, ${told.good.length} good ones`;
      const temporal = proxyActivities<MainActivities>(temporalOptions(summary));
      await temporal.reportFindings({ scope, at, seen: told.seen, good: told.good, goodPasses: GOOD_PASSES });
    }
  }

  async #tellFailure(failure: string): Promise<void> {
    if (this.#isDry) {
      return;
    }
    try {
      await this.#tell({ ...NO_TROUBLE, failure }, ['queue-limit-hit', 'queue-refused', 'queue-not-re-run', 'queue-aging', 'parked']);
    } catch (error) {
      log.warn(`nobody could be told that queue care failed: ${reasonOf(error, { host: 'local' })}`);
    }
  }

  // Telling

  #reportPlan(seen: SeenQueue, planned: PlannedQueue, remembered: Remembered, { acts, due, notes }: Intended): QueueReport {
    const { wouldBe } = planned.plan;
    const told = [
      ...due.map((parked) => toldAsParked(parked, 'would-re-run', '')),
      ...acts.map(toldAsPlanned),
      ...wouldBe.map(toldAsOnlyPlanned),
    ];
    const isDry = this.#isDry || wouldBe.length > 0;
    return this.#tellAll(seen, planned, remembered, {
      acts: told,
      counts: countOf(told),
      byRule: rulesOf([...acts, ...wouldBe]),
      isDry,
      waiting: [],
      refusals: [],
      notes,
      tally: NOTHING_DONE,
    });
  }

  #reportDone(
    seen: SeenQueue,
    planned: PlannedQueue,
    { acts: intended, notes }: Intended,
    { tally, refusals, settled, waiting, remembered }: Done,
  ): QueueReport {
    const onlyPlanned = planned.plan.wouldBe.map(toldAsOnlyPlanned);
    const counts = countOf([...settled, ...onlyPlanned], tally.counts);
    const acts = [...settled, ...tally.told, ...onlyPlanned];
    return this.#tellAll(seen, planned, remembered, {
      acts,
      counts,
      byRule: rulesOf([...intended, ...planned.plan.wouldBe]),
      isDry: false,
      waiting,
      refusals,
      notes,
      tally,
    });
  }

  #tellAll(
    seen: SeenQueue,
    planned: PlannedQueue,
    remembered: Remembered,
    told: Pick<QueueReport, 'acts' | 'counts' | 'byRule' | 'refusals' | 'notes'> & {
      readonly isDry: boolean;
      readonly tally: Tally;
      readonly waiting: readonly LeftRun[];
    },
  ): QueueReport {
    const { scope } = this.#resolved;
    const { counts, isDry } = told;
    const before = figuresOf(seen, planned, remembered);
    const aging = agingText(planned.plan.aging);
    const count = Object.values(counts).reduce((sum, each) => sum + each, 0);
    const outcome = outcomeOf({ counts, isCut: planned.plan.isCut, isDry, planned: count });
    return this.#report({
      outcome,
      summary: queueSentence(scope, outcome, counts, before),
      observedAt: new Date(seen.at).toISOString(),
      queue: afterwards(before, told.tally),
      counts,
      byRule: told.byRule,
      acts: told.acts.slice(0, ACTS_TOLD),
      left: [...told.waiting, ...planned.plan.left].slice(0, LEFT_TOLD),
      refusals: told.refusals,
      notes: [...seen.surroundings.notes, ...planned.plan.notes, ...planned.notes, ...told.notes, ...(aging === null ? [] : [aging])],
      aging: agingOf(planned.plan.aging),
      planned: count,
      isCut: planned.plan.isCut,
      unread: planned.unread,
    });
  }

  #report(told: Partial<QueueReport> & Pick<QueueReport, 'outcome' | 'summary'>): QueueReport {
    const { scope, mode } = this.#resolved;
    this.#told.say(told.summary);
    return {
      scope,
      observedAt: null,
      mode,
      dryRun: this.#request.dryRun,
      rules: this.#modes,
      queue: null,
      counts: {},
      byRule: {},
      acts: [],
      left: [],
      refusals: [],
      notes: [],
      aging: null,
      planned: 0,
      isCut: false,
      unread: 0,
      durationMs: Date.now() - this.#begunAt,
      ...told,
    };
  }
}

/** When the oldest of them was created. */
function oldestOf(runs: SeenQueue['runs'], at: number): number {
  return runs.reduce((oldest, { createdAt }) => Math.min(oldest, createdAt), at);
}

/** A schedule's passes know when the last one looked, by its result; a person's does not, and so no silence begins by it. */
function silenceBeginsAt(at: number): number | null {
  if (trigger() !== 'schedule') {
    return null;
  }
  const last = workflowInfo().lastResult as Partial<QueueReport> | undefined;
  // One that could not look tells no time, but that somebody was awake.
  const lookedBefore = last === undefined ? null : last.observedAt == null ? at : Date.parse(last.observedAt);
  return silenceBegins(at, lookedBefore);
}

function rulesOf(acts: readonly PlannedAct[]): QueueReport['byRule'] {
  return acts.reduce<Partial<Record<RuleName, number>>>((counts, { rule }) => ({ ...counts, [rule]: (counts[rule] ?? 0) + 1 }), {});
}

function figuresOf({ runs, surroundings }: SeenQueue, { plan }: PlannedQueue, { parked }: Remembered): QueueFigures {
  const { inProgress, waiting, pending, requested } = surroundings;
  return {
    queued: runs.length - plan.setAside - plan.ending,
    inProgress,
    waiting,
    pending,
    requested,
    stale: plan.overdue,
    parked: parked.length,
    setAside: plan.setAside,
  };
}

/** What the acts have left of it; lists lag, so it is not asked for again. */
function afterwards(figures: QueueFigures, { ended, setAside: aside }: Tally): QueueFigures {
  const { queued, stale, setAside: before } = figures;
  return { ...figures, queued: queued - ended.all, stale: Math.max(0, stale - ended.stale), setAside: before + aside.length };
}

function endingOf({ item, followed: { acceptedAt } }: FollowingRun): Omit<Ending, 'until'> {
  const { run, attempt, rule } = item;
  return { run, attempt, rule, acceptedAt };
}

function withoutRuns(parked: readonly ParkedRun[], others: readonly { readonly run: number }[]): readonly ParkedRun[] {
  const ids = new Set(others.map(({ run }) => run));
  return parked.filter(({ run }) => !ids.has(run.id));
}

function idsOf(parked: readonly ParkedRun[]): readonly number[] {
  return parked.map(({ run }) => run.id);
}

function parkedFrom(
  parks: readonly PlannedAct[],
  { runs, at }: SeenQueue,
  jobs: PlannedQueue['jobs'],
  memory: QueueMemory,
): readonly ParkedRun[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  return parks.flatMap(({ run: id, evidence }) => {
    const [run, jobsOfRun] = [byId.get(id), jobs.get(id)];
    const before = memory.reruns.find((rerun) => rerun.run === id)?.parked ?? 0;
    return run === undefined || jobsOfRun == null ? [] : [parkedOf({ run, jobs: jobsOfRun, evidence }, before, at)];
  });
}
