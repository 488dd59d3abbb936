import { ApplicationFailure } from '@temporalio/common';
import {
  defineQuery,
  executeChild,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { Limited, LockHolder, MainActivities, QueueSurroundings, ResolvedQueue } from '../activities/contract.ts';
import { advance } from '../domain/open-findings.ts';
import { PROGRESS_QUERY } from '../domain/names.ts';
import { findingsOf } from '../domain/queue/findings.ts';
import { forgetOver, isSetAside, noteRerun, setAside, type QueueMemory } from '../domain/queue/memory.ts';
import { dueRuns, parkedOf, type ParkedRun, type SettledRun } from '../domain/queue/parked.ts';
import { modesOf, planQueue, type QueuePlan, type RuleModes } from '../domain/queue/plan.ts';
import {
  ACTS_TOLD,
  countOf,
  LEFT_TOLD,
  outcomeOf,
  queueSentence,
  toldAsParked,
  toldAsPlanned,
  type ActCounts,
  type QueueFigures,
  type QueueReport,
  type ToldAct,
} from '../domain/queue/report.ts';
import { readQueueRequest, type QueueRequest } from '../domain/queue/request.ts';
import type { Run, RunJobs } from '../domain/queue/run.ts';
import { NOTHING_DONE, type Tally } from '../domain/queue/tally.ts';
import type { PlannedAct } from '../domain/queue/verdict.ts';
import { pack, workOf } from '../domain/queue/work.ts';
import type { Progress } from '../domain/report.ts';
import { carryOutQueuePlan } from './carry-out-queue-plan.ts';
import { lockQueue, type HeldLock } from './lock.ts';
import { configurationOptions, queueListOptions, queueReadOptions, queueWriteOptions, temporalOptions } from './options.ts';
import { writeQueueMemory } from './queue-ledger.ts';
import { isLabelled, label, trigger } from './search-attributes.ts';
import { holderText, reasonOf } from './site.ts';

const progress = defineQuery<Progress>(PROGRESS_QUERY);

/** Parts of the list of queued runs: 500 runs each, so more than any queue has. */
const MOST_PARTS = 200;

/** Jobs of an attempt ask for the same labels for ever, and before an act they are read anew. */
const JOBS_FRESH_MS = 30 * 60_000;

/** Names of which one activity asks whether they are tags. */
const TAGS_AT_ONCE = 50;

/**
 * Care for the queue of a repository: cancels what is stale or superseded, parks pushes that pull requests wait behind, and re-runs them later.
 * Ends with a {@link QueueReport}, also where GitHub refuses; only bad input fails the execution itself.
 */
export async function maintainQueue(...given: unknown[]): Promise<QueueReport> {
  const request = readQueueRequest(given);
  const asked = 'problem' in request || typeof request.scope !== 'string' ? 'the repository' : request.scope;
  if (!isLabelled()) {
    label({ scope: asked, trigger: trigger() });
  }
  const told = new Told(asked);
  setHandler(progress, () => told.progress());
  if ('problem' in request) {
    throw ApplicationFailure.nonRetryable(request.problem, 'InvalidInput');
  }
  const configuration = proxyActivities<MainActivities>(configurationOptions(`look up ${asked} in the configuration`));
  const resolved = await configuration.resolveQueue({ scope: request.scope });
  if (resolved.scope !== asked) {
    label({ scope: resolved.scope });
  }
  const report = await new QueueCare(resolved, request, told).run();
  label({ outcome: report.outcome });
  upsertMemo({ queue: { ...report.queue, observedAt: report.observedAt, acts: report.planned } });
  return report;
}

/** What is told while it works. */
class Told {
  readonly #asked: string;
  #doing = 'looking';

  constructor(asked: string) {
    this.#asked = asked;
  }

  say(doing: string): void {
    this.#doing = doing;
    setCurrentDetails(doing);
  }

  progress(): Progress {
    return { runner: this.#asked, doing: this.#doing, steps: [], outcome: null };
  }
}

interface Seen {
  readonly at: number;
  readonly runs: readonly Run[];
  readonly surroundings: QueueSurroundings;
}

interface Planned {
  readonly plan: QueuePlan;
  readonly jobs: ReadonlyMap<number, RunJobs | null>;
  readonly unread: number;
  readonly notes: readonly string[];
}

interface Remembered {
  readonly memory: QueueMemory;
  readonly parked: readonly ParkedRun[];
}

/** What has come of a pass. */
interface Done {
  readonly tally: Tally;
  /** Parked runs that are parked no more. */
  readonly settled: readonly ToldAct[];
  readonly remembered: Remembered;
}

class QueueCare {
  readonly #resolved: ResolvedQueue;
  readonly #request: QueueRequest;
  readonly #told: Told;
  readonly #modes: RuleModes;
  readonly #max: number;
  readonly #begunAt = Date.now();

  constructor(resolved: ResolvedQueue, request: QueueRequest, told: Told) {
    this.#resolved = resolved;
    this.#request = request;
    this.#told = told;
    this.#modes = modesOf(resolved.policy, request.rules);
    this.#max = request.max ?? resolved.policy.maxPerPass;
  }

  async run(): Promise<QueueReport> {
    try {
      return await this.#care();
    } catch (error) {
      if (isCancellation(error)) {
        label({ outcome: 'cancelled' });
        throw error;
      }
      return this.#report({ outcome: 'failed', summary: reasonOf(error, { host: 'local' }) });
    }
  }

  async #care(): Promise<QueueReport> {
    const remembered = await this.#recall();
    const seen = await this.#look();
    const planned = await this.#plan(seen, remembered.memory);
    const due = this.#due(remembered, planned.plan, seen.at);
    const acts = this.#affordable(planned.plan.acts, remembered, seen.at);
    if (this.#request.dryRun || this.#resolved.mode === 'watch') {
      return this.#reportPlan(seen, planned, remembered, acts, due);
    }
    if (acts.length === 0 && due.length === 0 && !this.#isToRemember(seen, planned, remembered)) {
      await this.#tell(planned.plan, []);
      return this.#reportPlan(seen, planned, remembered, acts, due);
    }
    const lock = await lockQueue(this.#resolved.scope, {
      reason: this.#request.reason,
      waitMs: 0,
      pollMs: this.#resolved.policy.lockPollMs,
      onWait: (holder: LockHolder | null) => this.#told.say(`waiting for ${holderText(holder)}`),
    });
    if (lock.kind === 'held') {
      return this.#report({
        outcome: 'refused-in-progress',
        summary: `the queue of ${this.#resolved.scope} is in the hands of ${holderText(lock.holder)}`,
        queue: figuresOf(seen, planned, remembered),
      });
    }
    return this.#holding(lock, seen, planned);
  }

  async #holding(lock: HeldLock, seen: Seen, planned: Planned): Promise<QueueReport> {
    try {
      const [isHeld, remembered] = await Promise.all([lock.isHeld(), this.#recall()]);
      if (!isHeld) {
        throw ApplicationFailure.nonRetryable('the lock of the queue was given back before this run began to act: start it anew');
      }
      const acts = this.#affordable(planned.plan.acts, remembered, seen.at);
      const due = this.#due(remembered, planned.plan, seen.at);
      const done = await this.#act(seen, planned, { acts, due, remembered });
      await this.#tell(planned.plan, done.tally.refusals);
      return this.#reportDone(seen, planned, done);
    } finally {
      await lock.release();
    }
  }

  // Looking

  async #recall(): Promise<Remembered> {
    const temporal = proxyActivities<MainActivities>(temporalOptions('what is remembered of the queue?'));
    return temporal.recallQueue({ scope: this.#resolved.scope });
  }

  async #look(): Promise<Seen> {
    const { scope, policy } = this.#resolved;
    const runs = new Map<number, Run>();
    let [at, from]: [number, number | null] = [0, null];
    for (let part = 0; part < MOST_PARTS; part += 1) {
      this.#told.say(part === 0 ? `reading the queue of ${scope}` : `reading the queue of ${scope}: ${runs.size} runs so far`);
      const { readQueuePart } = proxyActivities<MainActivities>(queueListOptions(policy, `read the queue of ${scope}, part ${part + 1}`));
      const read = await this.#withinLimits(() => readQueuePart({ scope, from, pages: policy.pagesAtOnce }));
      for (const run of read.runs) {
        runs.set(run.id, run);
      }
      ({ at, next: from } = read);
      if (from === null) {
        break;
      }
    }
    const { readQueueSurroundings } = proxyActivities<MainActivities>(queueListOptions(policy, `count the other runs of ${scope}`));
    const surroundings = await this.#withinLimits(() => readQueueSurroundings({ scope }));
    return { at, runs: [...runs.values()], surroundings };
  }

  /** Plans with what is known, and reads what the rules ask for, until they ask for nothing more or have found enough. */
  async #plan({ at, runs, surroundings }: Seen, memory: QueueMemory): Promise<Planned> {
    const { policy } = this.#resolved;
    const jobs = new Map<number, RunJobs | null>();
    const tags = new Map<string, boolean | null>();
    let limited: Limited | null = null;
    for (;;) {
      const plan = planQueue({ at, runs, offered: surroundings.offered, jobs, tags, memory }, policy, this.#modes);
      const found = plan.acts.length + plan.wouldBe.length;
      const names: readonly string[] = limited === null ? plan.wantsTags.slice(0, TAGS_AT_ONCE) : [];
      const wanted: readonly number[] = limited !== null || found >= this.#max ? [] : plan.wantsJobs.slice(0, policy.batchSize);
      if (names.length === 0 && wanted.length === 0) {
        return {
          plan,
          jobs,
          unread: plan.wantsJobs.length + [...jobs.values()].filter((read) => read === null).length,
          notes: limited === null ? [] : [`not all jobs could be read: ${limited.why}`],
        };
      }
      this.#told.say(`${runs.length} runs are queued, ${jobs.size} of them read: ${found} to act on so far`);
      limited = names.length > 0 ? await this.#readTags(names, tags) : await this.#readJobs(wanted, runs, jobs);
    }
  }

  async #readTags(names: readonly string[], tags: Map<string, boolean | null>): Promise<Limited | null> {
    const { scope, policy } = this.#resolved;
    const { readTags } = proxyActivities<MainActivities>(queueReadOptions(policy, `are ${names.length} names tags?`));
    const read = await readTags({ scope, names });
    if (read.kind === 'limited') {
      return read;
    }
    for (const [name, isTag] of read.tags) {
      tags.set(name, isTag);
    }
    return null;
  }

  async #readJobs(wanted: readonly number[], runs: readonly Run[], jobs: Map<number, RunJobs | null>): Promise<Limited | null> {
    const { scope, policy } = this.#resolved;
    const attempts = new Map(runs.map(({ id, attempt }) => [id, attempt]));
    const { readJobsOfRuns } = proxyActivities<MainActivities>(queueReadOptions(policy, `read the jobs of ${wanted.length} runs`));
    const read = await readJobsOfRuns({ scope, runs: wanted.map((run) => [run, attempts.get(run) ?? 1]), freshnessMs: JOBS_FRESH_MS });
    for (const each of read.jobs) {
      jobs.set(each.run, each);
    }
    for (const run of read.unread) {
      jobs.set(run, null);
    }
    return read.limited;
  }

  // Deciding

  /** What one pass may do, without what cannot be remembered. */
  #affordable(acts: readonly PlannedAct[], { memory, parked }: Remembered, at: number): readonly PlannedAct[] {
    const { policy } = this.#resolved;
    const known = new Set(parked.map(({ run }) => run.id));
    const asides = new Map(memory.setAside.map((entry) => [entry.run, entry]));
    let room = policy.parking.most - parked.length;
    return acts
      .filter(({ run, attempt, does }) => {
        if (isSetAside(asides.get(run), attempt, at)) {
          return false;
        }
        room -= does === 'park' && !known.has(run) ? 1 : 0;
        return does !== 'park' || (room >= 0 && !known.has(run));
      })
      .slice(0, this.#max);
  }

  /** Parked runs whose time has come. A person who names other rules means those alone. */
  #due({ parked }: Remembered, { pressed }: QueuePlan, at: number): readonly ParkedRun[] {
    const { rules, release } = this.#request;
    if (release) {
      return parked;
    }
    return rules === null || rules.includes('prioritizePullRequests') ? dueRuns(parked, pressed, at, this.#resolved.policy.parking) : [];
  }

  /** Whether the memory changes although nothing is done. */
  #isToRemember(seen: Seen, { plan }: Planned, { memory }: Remembered): boolean {
    return plan.zombies.length > 0 || this.#forget(memory, seen).setAside.length < memory.setAside.length;
  }

  #forget(memory: QueueMemory, { runs, at }: Seen): QueueMemory {
    return forgetOver(memory, new Set(runs.map(({ id }) => id)), at, this.#resolved.policy.parking.oldestMs);
  }

  // Acting

  async #act(
    seen: Seen,
    planned: Planned,
    {
      acts,
      due,
      remembered,
    }: { readonly acts: readonly PlannedAct[]; readonly due: readonly ParkedRun[]; readonly remembered: Remembered },
  ): Promise<Done> {
    let memory = this.#forget(remembered.memory, seen);
    for (const zombie of planned.plan.zombies) {
      memory = setAside(memory, zombie, seen.at, this.#resolved.policy.setAside);
    }
    try {
      const settled = due.length === 0 ? [] : await this.#rerun(due);
      const told: ToldAct[] = [];
      for (const { run, end, detail, at } of settled) {
        const parked = due.find((each) => each.run.id === run);
        memory = end === 're-run' ? noteRerun(memory, { run, at, parked: parked?.times ?? 1 }) : memory;
        told.push(...(parked === undefined ? [] : [toldAsParked(parked, end, detail)]));
      }
      const tally = acts.length === 0 ? NOTHING_DONE : await this.#cancel(acts, seen, planned, memory);
      for (const refusal of tally.setAside) {
        memory = setAside(memory, refusal, seen.at, this.#resolved.policy.setAside);
      }
      return { tally, settled: told, remembered: { memory, parked: (await this.#recall()).parked } };
    } finally {
      await writeQueueMemory(this.#resolved.scope, memory);
    }
  }

  /** Remembers first what is to be parked, then cancels, then tells what need not be remembered. */
  async #cancel(acts: readonly PlannedAct[], { at, runs, surroundings }: Seen, { jobs }: Planned, memory: QueueMemory): Promise<Tally> {
    const { scope, policy } = this.#resolved;
    const parks = acts.filter(({ does }) => does === 'park');
    const temporal = proxyActivities<MainActivities>(temporalOptions(`${parks.length} runs are to be re-run later`));
    if (parks.length > 0) {
      await temporal.rememberParked({ scope, runs: parkedFrom(parks, runs, jobs, memory, at), policy: policy.parking });
    }
    this.#told.say(`cancelling ${acts.length} runs of ${scope}`);
    const tally = await executeChild(carryOutQueuePlan, {
      workflowId: `${workflowInfo().workflowId}/acts`,
      parentClosePolicy: 'TERMINATE',
      staticSummary: `cancel ${acts.length} runs of ${scope}`,
      args: [
        {
          version: 1,
          scope,
          policy,
          offered: surroundings.offered,
          reruns: memory.reruns.map(({ run, at: rerunAt }) => [run, rerunAt] as const),
          work: pack(workOf(acts)),
          following: [],
          tally: NOTHING_DONE,
        },
      ],
    });
    if (parks.length > 0) {
      const settled = tally.unparked.map(({ run, why }): SettledRun => ({ run, end: 'forgotten', detail: why, at }));
      await temporal.settleParked({ scope, cancelled: tally.parked, settled });
    }
    return tally;
  }

  async #rerun(due: readonly ParkedRun[]): Promise<readonly SettledRun[]> {
    const { scope, policy } = this.#resolved;
    const all: SettledRun[] = [];
    let left = due;
    for (;;) {
      this.#told.say(`re-running ${left.length} runs of ${scope} that made way for pull requests`);
      const { rerunBatch } = proxyActivities<MainActivities>(queueWriteOptions(policy, `re-run ${left.length} parked runs`));
      const { settled, limited } = await rerunBatch({ scope, runs: left, policy: policy.parking });
      const temporal = proxyActivities<MainActivities>(temporalOptions(`${settled.length} runs are parked no more`));
      await temporal.settleParked({ scope, cancelled: [], settled });
      all.push(...settled);
      if (limited === null) {
        return all;
      }
      const over = new Set(settled.map(({ run }) => run));
      left = left.filter(({ run }) => !over.has(run.id));
      await this.#waitFor(limited);
    }
  }

  /** People are told by findings, each once. */
  async #tell({ acts }: QueuePlan, refusals: QueueReport['refusals']): Promise<void> {
    const { scope, open } = this.#resolved;
    const planned = this.#request.max === null ? acts.length : 0;
    const findings = findingsOf(scope, { planned, max: this.#max, refusals });
    const at = Date.now();
    // A pass that does nothing is refused nothing, and says nothing about that.
    const unread = acts.length > 0 ? [] : [{ subject: scope, code: 'queue-refused' }];
    const told = advance(open, { findings, unreadable: [], unread, at }, GOOD_PASSES);
    if (told.seen.length + told.good.length > 0) {
      const temporal = proxyActivities<MainActivities>(temporalOptions(`tell ${told.seen.length} findings, ${told.good.length} good ones`));
      await temporal.reportFindings({ scope, at, seen: told.seen, good: told.good, goodPasses: GOOD_PASSES });
    }
  }

  // Waiting

  async #withinLimits<T extends { readonly kind: 'read' }>(ask: () => Promise<T | Limited>): Promise<T> {
    for (;;) {
      const answer = await ask();
      if (answer.kind === 'read') {
        return answer as T;
      }
      await this.#waitFor(answer as Limited);
    }
  }

  async #waitFor({ waitMs, why }: Limited): Promise<void> {
    this.#told.say(`GitHub's limit is reached until ${new Date(Date.now() + waitMs).toISOString()}: ${why}`);
    await sleep(waitMs, { summary: "wait for GitHub's limit" });
  }

  // Telling

  #reportPlan(seen: Seen, planned: Planned, remembered: Remembered, acts: readonly PlannedAct[], due: readonly ParkedRun[]): QueueReport {
    const isDry = this.#request.dryRun || this.#resolved.mode === 'watch';
    const told = [
      ...due.map((parked) => toldAsParked(parked, 'would-re-run', '')),
      ...acts.map((act) => toldAsPlanned(act)),
      ...planned.plan.wouldBe.map((act) => toldAsPlanned(act, 'the rule only plans')),
    ];
    return this.#tellAll(seen, planned, remembered, {
      counts: countOf(told),
      acts: told,
      planned: isDry ? told.length : 0,
      isDry: isDry || planned.plan.wouldBe.length > 0,
      total: planned.plan.acts.length,
      refusals: [],
    });
  }

  #reportDone(seen: Seen, planned: Planned, { tally, settled, remembered }: Done): QueueReport {
    const counts = countOf(settled, tally.counts);
    return this.#tellAll(seen, planned, remembered, {
      counts,
      acts: [...settled, ...tally.told],
      planned: Object.values(counts).reduce((sum, count) => sum + count, 0),
      isDry: false,
      total: planned.plan.acts.length,
      refusals: tally.refusals,
    });
  }

  #tellAll(
    seen: Seen,
    planned: Planned,
    remembered: Remembered,
    told: {
      readonly counts: ActCounts;
      readonly acts: readonly ToldAct[];
      readonly planned: number;
      readonly isDry: boolean;
      readonly total: number;
      readonly refusals: QueueReport['refusals'];
    },
  ): QueueReport {
    const { scope } = this.#resolved;
    const { counts, isDry, refusals, acts } = told;
    const queue = figuresOf(seen, planned, remembered);
    const outcome = outcomeOf({ counts, isCut: told.total > this.#max, isDry, planned: told.planned });
    return this.#report({
      outcome,
      summary: queueSentence(scope, outcome, counts, queue, Math.max(told.total, told.planned)),
      observedAt: new Date(seen.at).toISOString(),
      queue,
      counts,
      acts: acts.slice(0, ACTS_TOLD),
      left: planned.plan.left.slice(0, LEFT_TOLD),
      refusals,
      notes: [...planned.plan.notes, ...planned.notes],
      planned: told.planned,
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
      acts: [],
      left: [],
      refusals: [],
      notes: [],
      planned: 0,
      unread: 0,
      durationMs: Date.now() - this.#begunAt,
      ...told,
    };
  }
}

/** Passes in a row without it after which a finding is over. */
const GOOD_PASSES = 3;

function figuresOf({ runs, surroundings }: Seen, { plan }: Planned, { parked }: Remembered): QueueFigures {
  const { inProgress, waiting, pending, requested } = surroundings;
  return {
    queued: runs.length - plan.setAside,
    inProgress,
    waiting,
    pending,
    requested,
    stale: plan.overdue,
    parked: parked.length,
    setAside: plan.setAside,
  };
}

function parkedFrom(
  parks: readonly PlannedAct[],
  runs: readonly Run[],
  jobs: ReadonlyMap<number, RunJobs | null>,
  memory: QueueMemory,
  at: number,
): readonly ParkedRun[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  return parks.flatMap(({ run: id, evidence }) => {
    const [run, jobsOfRun] = [byId.get(id), jobs.get(id)];
    const before = memory.reruns.find((rerun) => rerun.run === id)?.parked ?? 0;
    return run === undefined || jobsOfRun == null ? [] : [parkedOf({ run, jobs: jobsOfRun, evidence }, before, at)];
  });
}
