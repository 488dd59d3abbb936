// A recorded queue once more: the same runs come in, the same runners take their jobs in order, and every five minutes Runward passes, or nobody does.

import fc from 'fast-check';
import { intendedActs } from '../../src/domain/queue/intended.ts';
import { forgetOver, NOTHING_REMEMBERED, noteParked, noteRerun, type QueueMemory } from '../../src/domain/queue/memory.ts';
import {
  dueRuns,
  isPressedOn,
  judgeParked,
  park,
  parkedOf,
  pressureIn,
  settle,
  unsureRuns,
  type ParkedRun,
  type SettledRun,
} from '../../src/domain/queue/parked.ts';
import { modesOf, planQueue, type QueuePlan } from '../../src/domain/queue/plan.ts';
import type { QueuePolicy } from '../../src/domain/queue/policy.ts';
import { isServedBy, labelSetOf, type LabelSet, type Run, type RunJobs } from '../../src/domain/queue/run.ts';
import { noteSilences } from '../../src/domain/queue/silence.ts';
import type { PlannedAct, QueueView } from '../../src/domain/queue/verdict.ts';
import { aRun, DAY, HOUR, MINUTE, NOW, OURS } from './queue.ts';

const GPU = labelSetOf(['self-hosted', 'gpu']);
/** What any of the runners takes. */
const ANY = labelSetOf(['self-hosted']);

/** What comes in at a minute: a run of these jobs. */
export interface Arrival {
  readonly minute: number;
  readonly run: Pick<Run, 'event' | 'branch' | 'workflowId' | 'pullRequests' | 'headRepositoryId' | 'actor'>;
  /** One after another if `inTurn`: the second is there once the first is over. */
  readonly jobs: readonly { readonly name: string; readonly labels: LabelSet; readonly minutes: number }[];
  readonly inTurn: boolean;
}

export interface Recording {
  readonly arrivals: readonly Arrival[];
  readonly runners: readonly LabelSet[];
  readonly offline: readonly { readonly runner: number; readonly from: number; readonly minutes: number }[];
}

/** What came of a recorded queue. */
export interface Replayed {
  /** Runs by id, which is their place among the arrivals, as they ended. */
  readonly runs: readonly Run[];
  /** What Runward did, each `act` with the run's event and branch. */
  readonly did: readonly { readonly what: string; readonly run: Run }[];
}

interface Job {
  readonly name: string;
  readonly labels: LabelSet;
  readonly minutes: number;
  state: 'later' | 'queued' | 'running' | 'over';
  queuedAt: number;
}

interface Live {
  readonly arrival: Arrival;
  run: Run;
  jobs: Job[];
}

const TAG = 'v1';
const START = NOW - DAY;
/** GitHub cancels what has been queued for a day. */
const GIVEN_UP_MS = DAY;
const PASS_MINUTES = 5;
const LONGEST_MINUTES = (5 * DAY) / MINUTE;

/** Until all that came in is over. `policy`: Runward's; `null` without Runward. */
export function replay(recording: Recording, policy: QueuePolicy | null): Replayed {
  const world = new World(recording);
  const care = policy === null ? null : new Care(world, policy);
  for (let minute = 0; minute < LONGEST_MINUTES; minute += 1) {
    world.tick(minute);
    if (care !== null && minute % PASS_MINUTES === 0) {
      care.pass();
    }
    if (world.isOver && (care === null || care.isIdle)) {
      return { runs: world.all.map(({ run }) => run), did: care?.did ?? [] };
    }
  }
  throw new Error('the queue is not over after days');
}

/** GitHub and the runners. */
class World {
  readonly all: Live[] = [];
  readonly offered: readonly LabelSet[];
  silent: readonly LabelSet[] = [];
  at = START;
  readonly #recording: Recording;
  readonly #busy = new Map<number, { readonly live: Live; readonly job: Job; readonly until: number }>();

  constructor(recording: Recording) {
    this.#recording = recording;
    this.offered = recording.runners.filter((labels, index) => recording.runners.indexOf(labels) === index);
  }

  get isOver(): boolean {
    return this.all.length === this.#recording.arrivals.length && this.all.every(({ run }) => run.status === 'completed');
  }

  tick(minute: number): void {
    const { arrivals, runners, offline } = this.#recording;
    this.at = START + minute * MINUTE;
    for (const arrival of arrivals) {
      if (arrival.minute === minute) {
        this.#receive(arrival);
      }
    }
    for (const [runner, { live, job, until }] of this.#busy) {
      if (until <= this.at) {
        this.#busy.delete(runner);
        this.#end(live, job);
      }
    }
    this.#giveUp();
    const isOnline = (index: number) =>
      !offline.some(({ runner, from, minutes }) => runner === index && from <= minute && minute < from + minutes);
    const online = runners.filter((_, index) => isOnline(index));
    this.silent = this.offered.filter((labels) => !online.includes(labels));
    for (const [index, labels] of runners.entries()) {
      if (isOnline(index) && !this.#busy.has(index)) {
        this.#take(index, labels);
      }
    }
  }

  #receive(arrival: Arrival): void {
    const id = this.all.length + 1;
    const isFromFork = arrival.run.headRepositoryId !== 100;
    const run = aRun({ ...arrival.run, isFromFork, id, createdAt: this.at, updatedAt: this.at });
    const live: Live = { arrival, run, jobs: [] };
    this.all.push(live);
    this.#enqueue(live);
  }

  #enqueue(live: Live): void {
    const { jobs, inTurn } = live.arrival;
    live.jobs = jobs.map((job, index) => ({ ...job, state: inTurn && index > 0 ? 'later' : 'queued', queuedAt: this.at }));
  }

  #take(runner: number, labels: LabelSet): void {
    const waiting = this.all.flatMap((live) => live.jobs.map((job) => ({ live, job }))).filter(({ job }) => job.state === 'queued');
    const [first] = waiting
      .filter(({ job }) => isServedBy(labels, job.labels))
      .toSorted((one, other) => one.job.queuedAt - other.job.queuedAt || one.live.run.id - other.live.run.id);
    if (first !== undefined) {
      first.job.state = 'running';
      first.live.run = { ...first.live.run, status: 'in_progress', updatedAt: this.at };
      this.#busy.set(runner, { ...first, until: this.at + first.job.minutes * MINUTE });
    }
  }

  #end(live: Live, job: Job): void {
    job.state = 'over';
    const next = live.jobs.find(({ state }) => state === 'later');
    if (next !== undefined) {
      next.state = 'queued';
      next.queuedAt = this.at;
    }
    const is = (state: Job['state']): boolean => live.jobs.some((each) => each.state === state);
    const status = is('running') ? 'in_progress' : is('queued') ? 'queued' : 'completed';
    live.run = { ...live.run, status, conclusion: status === 'completed' ? 'success' : null, updatedAt: this.at };
  }

  #giveUp(): void {
    for (const live of this.all) {
      if (live.jobs.some(({ state, queuedAt }) => state === 'queued' && this.at - queuedAt > GIVEN_UP_MS)) {
        this.cancel(live.run.id);
      }
    }
  }

  of(id: number): Live {
    const live = this.all[id - 1];
    if (live === undefined) {
      throw new Error(`no run ${id}`);
    }
    return live;
  }

  /** Only of what no job has started yet: a runner that works is not stopped here. */
  cancel(id: number): void {
    const live = this.of(id);
    live.jobs = live.jobs.filter(({ state }) => state !== 'queued' && state !== 'later');
    if (!live.jobs.some(({ state }) => state === 'running')) {
      live.run = { ...live.run, status: 'completed', conclusion: 'cancelled', updatedAt: this.at };
    }
  }

  rerun(id: number): void {
    const live = this.of(id);
    live.run = {
      ...live.run,
      attempt: live.run.attempt + 1,
      status: 'queued',
      conclusion: null,
      startedAt: this.at,
      updatedAt: this.at,
    };
    this.#enqueue(live);
  }

  jobsOf({ run, jobs }: Live): RunJobs {
    const there = jobs.filter(({ state }) => state !== 'later');
    const queued = there.filter(({ state }) => state === 'queued');
    return {
      run: run.id,
      attempt: run.attempt,
      total: there.length,
      started: there.length - queued.length,
      held: 0,
      queued: queued.map(({ labels }) => ({ labels, count: 1 })),
      oldestQueuedAt: queued.length === 0 ? null : Math.min(...queued.map(({ queuedAt }) => queuedAt)),
      work: there.map(({ name }) => name).toSorted(),
    };
  }

  newestLike({ id, workflowId, event, branch }: Run): Run | null {
    const like = this.all.filter(({ run }) => run.workflowId === workflowId && run.event === event && run.branch === branch);
    const newest = like.at(-1)?.run ?? null;
    return newest === null || newest.id === id ? null : newest;
  }
}

/** Passes of queue care, in the order in which they do things; all that they ask GitHub is known at once. */
class Care {
  readonly did: Replayed['did'][number][] = [];
  readonly #world: World;
  readonly #policy: QueuePolicy;
  #memory: QueueMemory = NOTHING_REMEMBERED;
  #parked: { readonly parked: readonly ParkedRun[]; readonly settled: readonly SettledRun[] } = { parked: [], settled: [] };

  constructor(world: World, policy: QueuePolicy) {
    this.#world = world;
    this.#policy = policy;
  }

  get isIdle(): boolean {
    return this.#parked.parked.length === 0;
  }

  pass(): void {
    const { parking, rules, maxPerPass } = this.#policy;
    const view = this.#look();
    if (view.runs.length === 0 && this.isIdle && view.silent.length === 0) {
      return;
    }
    const plan = planQueue(view, this.#policy, modesOf(this.#policy, null), maxPerPass);
    const { parked } = this.#parked;
    const { acts } = intendedActs(plan, { memory: this.#memory, parked }, view.at, parking);
    const due = dueRuns(parked, pressureIn(view, plan.pressed, rules.superseded), parking);
    this.#remember(view);
    for (const each of new Set([...due, ...unsureRuns(parked)])) {
      this.#lookAfter(each, due.includes(each), plan, view.at);
    }
    for (const act of acts.slice(0, maxPerPass)) {
      this.#act(act, view);
    }
    this.#memory = noteParked(
      this.#memory,
      this.#parked.parked.map(({ run }) => run.id),
    );
  }

  #look(): QueueView {
    const { all, at, offered, silent } = this.#world;
    const queued = all.filter(({ run }) => run.status === 'queued');
    return {
      at,
      runs: queued.map(({ run }) => run),
      offered,
      ours: offered,
      silent,
      defaultBranch: 'main',
      jobs: new Map(queued.map((live) => [live.run.id, this.#world.jobsOf(live)])),
      tags: new Map(all.flatMap(({ run: { branch } }) => (branch === null ? [] : [[branch, branch === TAG]]))),
      memory: this.#memory,
    };
  }

  #remember({ runs, at, offered, silent }: QueueView): void {
    const since = Math.min(at, ...runs.map(({ createdAt }) => createdAt));
    const kept = forgetOver(this.#memory, new Set(runs.map(({ id }) => id)), at, this.#policy.parking.oldestMs);
    this.#memory = { ...kept, silences: noteSilences(kept.silences ?? [], { offered, silent }, { at, since, begins: at }) };
  }

  #lookAfter(parked: ParkedRun, isDue: boolean, plan: QueuePlan, at: number): void {
    const { parking, rules } = this.#policy;
    const { run } = this.#world.of(parked.run.id);
    const newest = this.#world.newestLike(run);
    const found = {
      run,
      newest: newest === null ? null : { run: newest, jobs: this.#world.jobsOf(this.#world.of(newest.id)) },
      hasRef: true,
      isTag: run.branch === TAG,
      isGroupTaken: false,
      isOneJobCancelled: false,
      at,
      isDue,
    };
    const verdict = judgeParked(parked, found, { parking, superseded: rules.superseded, defaultBranch: 'main' });
    if (verdict.kind === 're-run') {
      this.#world.rerun(run.id);
      const times = isPressedOn(parked, plan.pressed) ? parking.times : parked.times;
      this.#memory = noteRerun(this.#memory, { run: run.id, at, parked: times });
      this.#settle(run, { end: 're-run', at });
    } else if (verdict.kind === 'settled') {
      this.#settle(run, { end: verdict.end, at });
    }
  }

  #settle(run: Run, { end, at }: Pick<SettledRun, 'end' | 'at'>): void {
    this.did.push({ what: end, run });
    this.#parked = settle(this.#parked, { cancelled: [], settled: [{ run: run.id, end, detail: '', at }] });
  }

  #act({ does, run: id, rule, evidence }: PlannedAct, { at }: QueueView): void {
    const live = this.#world.of(id);
    this.did.push({ what: `${does} ${rule}`, run: live.run });
    if (does === 'park') {
      const before = this.#memory.reruns.find(({ run }) => run === id)?.parked ?? 0;
      const parked = park(
        this.#parked.parked,
        [parkedOf({ run: live.run, jobs: this.#world.jobsOf(live), evidence }, before, at)],
        'replay',
      );
      this.#parked = { ...this.#parked, parked };
    }
    this.#world.cancel(id);
    if (does === 'park') {
      this.#parked = settle(this.#parked, { cancelled: [id], settled: [] });
    }
  }
}

const anyPush = fc.record({
  event: fc.constant('push'),
  branch: fc.constantFrom('main', 'main', 'topic', 'topic', 'release/1', TAG),
  pullRequests: fc.constant<readonly number[]>([]),
  headRepositoryId: fc.constant(100),
});

const anyPullRequest = fc.nat(9).map((number) => ({
  event: 'pull_request',
  branch: `patch-${number}`,
  pullRequests: number < 7 ? [number] : [],
  headRepositoryId: number < 7 ? 100 : 200 + number,
}));

const anyOther = fc.constantFrom('schedule', 'merge_group', 'workflow_dispatch').map((event) => ({
  event,
  branch: 'main',
  pullRequests: [],
  headRepositoryId: 100,
}));

const anyJob = fc.record({
  labels: fc.constantFrom(labelSetOf(['self-hosted', 'bpf-lsm']), ANY, GPU),
  minutes: fc.integer({ min: 3, max: 40 }),
});

/** Some hours of a busy repository with one or two runners that are offline now and then. */
export const anyRecording: fc.Arbitrary<Recording> = fc
  .record({
    arrivals: fc
      .array(
        fc.record({
          minute: fc.integer({ min: 0, max: (5 * HOUR) / MINUTE }),
          what: fc.oneof({ weight: 3, arbitrary: anyPush }, { weight: 5, arbitrary: anyPullRequest }, { weight: 1, arbitrary: anyOther }),
          workflowId: fc.constantFrom(10, 10, 11),
          actor: fc.constantFrom('ada', 'bob', 'eve'),
          jobs: fc.array(anyJob, { minLength: 1, maxLength: 2, size: 'max' }),
          first: fc.constantFrom(0, 0, 0, 0, 0, 1),
          inTurn: fc.boolean(),
        }),
        { minLength: 20, maxLength: 60, size: 'max' },
      )
      .map((each) =>
        each
          .toSorted((one, other) => one.minute - other.minute)
          .map(({ minute, what, workflowId, actor, jobs, first, inTurn }): Arrival => {
            const named = jobs.map((job, index) => ({ ...job, name: ['build', 'test', 'docs'][first + index] ?? 'docs' }));
            return { minute, run: { ...what, workflowId, actor }, jobs: named, inTurn };
          }),
      ),
    runners: fc.constantFrom([OURS], [OURS, OURS], [OURS, GPU]),
    offline: fc.array(
      fc.record({
        runner: fc.nat(1),
        from: fc.integer({ min: 0, max: (8 * HOUR) / MINUTE }),
        minutes: fc.constantFrom(3, 20, 90, 300, 600),
      }),
      { maxLength: 4, size: 'max' },
    ),
  })
  // What nobody takes waits for a day, and that is long.
  .map(({ arrivals, runners, offline }) => {
    const labelsOf = (labels: LabelSet): LabelSet => (runners.some((runner) => isServedBy(runner, labels)) ? labels : ANY);
    const takeable = arrivals.map((each) => ({ ...each, jobs: each.jobs.map((job) => ({ ...job, labels: labelsOf(job.labels) })) }));
    return { arrivals: takeable, runners, offline };
  });
