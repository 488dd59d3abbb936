import { activityInfo, cancellationSignal, heartbeat, sleep } from '@temporalio/activity';
import type { CancelAttempt, FollowedEnd, FollowedRun } from '../domain/queue/attempt.ts';
import {
  judgeParked,
  WOULD_PUSH_OUT,
  type ParkedFound,
  type ParkedRules,
  type ParkedRun,
  type SettledRun,
} from '../domain/queue/parked.ts';
import { READING_BELIEVED_MS, type FollowPolicy, type QueuePolicy } from '../domain/queue/policy.ts';
import { withRefusal, type Refusal } from '../domain/queue/report.ts';
import { review, type FreshLook } from '../domain/queue/review.ts';
import { isUntouched, labelSetOf, type LabelSet, type Run, type RunJobs } from '../domain/queue/run.ts';
import type { Silence } from '../domain/queue/silence.ts';
import { ADDED_LABELS } from '../domain/situation.ts';
import { labelSetsOf, silentSetsOf, type QueueRunner } from '../domain/queue/takers.ts';
import { queueScheduleId } from '../domain/names.ts';
import type { LeftRun } from '../domain/queue/verdict.ts';
import type { WorkItem } from '../domain/queue/work.ts';
import { GitHubError, type Dated, type QueuePort, type RunnersAlike, type RunWritten } from '../github/port.ts';
import type {
  BatchCancelled,
  BatchRerun,
  ConfiguredRunner,
  QueueSurroundings,
  FollowedBatch,
  Limited,
  OrganisationOfQueue,
  QueueActivities,
  QueueHomes,
  QueuePart,
  OtherStatus,
  RunnersOfQueue,
} from './contract.ts';
import { attempting, beating, HEARTBEAT_MS } from './attempting.ts';
import { withGitHubFailures } from './failures.ts';
import { createJobsShelf } from './jobs-shelf.ts';
import { Rivals } from './rivals.ts';
import { createRunsShelf, type RunsShelf } from './runs-shelf.ts';
import { createTagsShelf } from './tags-shelf.ts';

// What queue care does at GitHub. One run that GitHub fails at is told, and never ends a batch.

type GitHubQueueActivities = Omit<QueueActivities, 'resolveQueue' | 'recallQueue' | 'rememberParked' | 'settleParked'>;

/** Cancelled runs are looked for in a list where there are more of them than this. */
const FOLLOWED_ONE_BY_ONE = 3;
/** Pages of it; what is not there is asked for by itself. */
const PAGES_FOLLOWED = 3;

export function createQueueActivities(github: QueuePort): GitHubQueueActivities {
  const shelf = createJobsShelf();
  const listed = createRunsShelf();
  const tagsShelf = createTagsShelf();
  return {
    readQueue: ({ pages, counted, ...homes }) =>
      beating(`reading the queue of ${homes.scope}`, async () => {
        const first = await readPart(github, listed, { scope: homes.scope, from: null, pages });
        if (first.kind === 'limited') {
          return first;
        }
        const around = await lookAround(github, homes, { counted, isEmpty: first.runs.length === 0 });
        return around.kind === 'limited' ? around : { ...first, surroundings: around.surroundings };
      }),

    readQueuePart: (asked) => beating(`reading the queue of ${asked.scope}`, () => readPart(github, listed, asked)),

    readQueueRunners: (asked) =>
      beating(`reading the runners of ${asked.scope}`, () => readRunners(github, asked, { mostMs: 0, isBranchWanted: true })),

    async readJobsOfRuns({ scope, runs }) {
      return beating(`reading the jobs of ${runs.length} runs of ${scope}`, async () => {
        const jobs: RunJobs[] = [];
        const unread: number[] = [];
        let requests = 0;
        for (const [run, attempt, updatedAt] of runs) {
          const known = shelf.find(scope, { id: run, attempt, updatedAt });
          if (known !== null) {
            jobs.push(known);
            continue;
          }
          requests += 1;
          const read = await attempting(() => github.readRunJobs(scope, run, cancellationSignal()));
          if (read.kind === 'limited') {
            return { jobs, unread, requests, limited: read };
          }
          if (read.kind === 'failed' || read.value.value === null) {
            unread.push(run);
          } else {
            shelf.keep(scope, { id: run, attempt, updatedAt }, read.value.value);
            jobs.push(read.value.value);
          }
        }
        return { jobs, unread, requests, limited: null };
      });
    },

    async readTags({ scope, names }) {
      return beating(`looking for tags of ${scope}`, async () => {
        const known = new Map(names.map(({ name, pushedAt }) => [name, tagsShelf.find(scope, name, pushedAt)]));
        const unknown = names.map(({ name }) => name).filter((name) => known.get(name) === undefined);
        if (unknown.length > 0) {
          const read = await attempting(() => github.areTags(scope, unknown, cancellationSignal()));
          if (read.kind === 'limited') {
            return read;
          }
          const { value, githubTime } = read.kind === 'done' ? read.value : NO_TAGS;
          for (const [name, isTag] of value) {
            known.set(name, isTag);
            tagsShelf.keep(scope, name, isTag, githubTime);
          }
        }
        return { kind: 'read' as const, tags: names.map(({ name }) => [name, known.get(name) ?? null] as const) };
      });
    },

    cancelBatch: ({ items, reruns, ...settings }) => new Batch({ ...settings, github, listed, reruns: new Map(reruns) }).cancel(items),

    followBatch: ({ scope, runs, policy }) =>
      beating(`following ${runs.length} runs of ${scope}`, () => follow(github, scope, runs, policy)),

    rerunBatch: ({ scope, runs, due, rules }) =>
      beating(`looking after ${runs.length} parked runs of ${scope}`, () => rerun(github, scope, { runs, due: new Set(due), rules })),
  };
}

function readPart(
  github: QueuePort,
  listed: RunsShelf,
  { scope, from, pages }: { readonly scope: string; readonly from: number | null; readonly pages: number },
): Promise<QueuePart | Limited> {
  return withGitHubFailures(async () => {
    const wanted = { status: 'queued', createdFrom: null, createdUntil: from, pages, believedMs: believedMs(scope) };
    const { value, githubTime } = await github.listRuns(scope, wanted, cancellationSignal());
    listed.keep(scope, value.runs);
    return { kind: 'read', at: githubTime, runs: value.runs, next: value.isCut ? nextPart(value.runs, from) : null };
  });
}

/** What GitHub refuses of it is unknown. */
const NO_TAGS: Dated<ReadonlyMap<string, boolean>> = { value: new Map(), githubTime: 0 };

/**
 * A schedule's pass only plans by its first look, so what a health check of this worker has read shortly before is good enough for it. A
 * person's sees what is.
 */
function believedMs(scope: string): number {
  const { workflowType, workflowExecution } = activityInfo();
  // What carries a plan out looks anew.
  const isPass = workflowType === 'maintainQueue';
  const isScheduled = workflowExecution?.workflowId.startsWith(`${queueScheduleId(scope)}-`) === true;
  return isPass && isScheduled ? READING_BELIEVED_MS : 0;
}

/** Runs of one second may be more than one part holds: then the rest of that second is left to the next pass. */
function nextPart(runs: readonly Run[], from: number | null): number | null {
  const oldest = runs.at(-1)?.createdAt;
  if (oldest === undefined) {
    return null;
  }
  return oldest === from ? oldest - 1_000 : oldest;
}

/** What GitHub refuses of it is unknown; a limit is waited for. */
async function lookAround(
  github: QueuePort,
  homes: QueueHomes,
  { counted, isEmpty }: { readonly counted: readonly OtherStatus[]; readonly isEmpty: boolean },
): Promise<{ readonly kind: 'read'; readonly surroundings: QueueSurroundings } | Limited> {
  const counts = new Map<OtherStatus, number>();
  const notes: string[] = [];
  for (const status of counted) {
    const count = await attempting(() => github.countRunsOf(homes.scope, status, cancellationSignal(), believedMs(homes.scope)));
    if (count.kind === 'limited') {
      return count;
    }
    if (count.kind === 'done') {
      counts.set(status, count.value.value);
    } else {
      notes.push(count.error.message);
    }
  }
  const runners = await readRunners(github, homes, { mostMs: believedMs(homes.scope), isBranchWanted: !isEmpty });
  if (runners.kind === 'limited') {
    return runners;
  }
  const { areAll: areRunnersKnown, defaultBranch } = runners;
  const surroundings = {
    inProgress: counts.get('in_progress') ?? null,
    waiting: counts.get('waiting') ?? null,
    pending: counts.get('pending') ?? null,
    requested: counts.get('requested') ?? null,
    offered: labelSetsOf(runners.runners),
    ours: labelSetsOf(runners.runners.filter(({ isOurs }) => isOurs)),
    silent: silentSetsOf(runners.runners),
    areRunnersKnown,
    defaultBranch,
    notes: [...new Set([...notes, ...runners.notes])],
  };
  return { kind: 'read', surroundings };
}

/** What GitHub refuses of it is unknown; a limit is waited for. */
async function readRunners(
  github: QueuePort,
  { scope, configured, organisation }: QueueHomes,
  { mostMs, isBranchWanted }: { readonly mostMs: number; readonly isBranchWanted: boolean },
): Promise<RunnersOfQueue | Limited> {
  const branch = await attempting(async () =>
    isBranchWanted ? (await github.readDefaultBranch(scope, cancellationSignal())).value : null,
  );
  if (branch.kind === 'limited') {
    return branch;
  }
  const own = await attempting(() => github.listLabelSets(scope, cancellationSignal(), mostMs));
  if (own.kind === 'limited') {
    return own;
  }
  const ofScope =
    own.kind === 'done'
      ? [...registered(own.value.value, configured), ...unregistered(configured, own.value.value)]
      : unregistered(configured, []).map((runner) => ({ ...runner, state: 'unknown' as const }));
  const shared = organisation === null ? null : await readShared(github, scope, organisation);
  if (shared?.kind === 'limited') {
    return shared;
  }
  const unread = [...(own.kind === 'done' ? [] : [unknownRunners(own.error)]), ...(shared?.notes ?? [])];
  return {
    kind: 'read',
    runners: [...ofScope, ...(shared?.runners ?? [])],
    areAll: unread.length === 0,
    at: own.kind === 'done' ? own.value.githubTime : null,
    defaultBranch: branch.kind === 'done' ? branch.value : null,
    notes: [...(branch.kind === 'done' ? [] : [`the default branch is not known: ${branch.error.message}`]), ...unread],
  };
}

/** Runners of the organisation that may work for the repository; whether one may is by its group, so what GitHub refuses is none. */
async function readShared(
  github: QueuePort,
  scope: string,
  organisation: OrganisationOfQueue,
): Promise<Omit<RunnersOfQueue, 'at' | 'defaultBranch'> | Limited> {
  const read = await attempting(() => github.listRunnersFor(organisation.scope, scope, cancellationSignal()));
  switch (read.kind) {
    case 'limited':
      return read;
    case 'failed': {
      const why = `which runners of ${organisation.scope} may work for ${scope} is not known, so what waits for them is left alone: ${read.error.message}`;
      return { kind: 'read', runners: [], areAll: false, notes: [why] };
    }
    case 'done': {
      const { alike, groups, elsewhere } = read.value.value;
      const others = new Set(elsewhere.map((name) => name.toLowerCase()));
      const isUsable = (group: string | null): boolean =>
        groups.some(({ name, isDefault }) => (group === null ? isDefault : name === group));
      const usable = organisation.configured.filter(({ name, group }) => isUsable(group) && !others.has(name.toLowerCase()));
      const runners = [...registered(alike, organisation.configured), ...unregistered(usable, alike)];
      return { kind: 'read', runners, areAll: true, notes: [] };
    }
  }
}

function unknownRunners({ message }: GitHubError): string {
  return `the scope's runners are not known: ${message}`;
}

function registered(alike: readonly RunnersAlike[], configured: readonly ConfiguredRunner[]): readonly QueueRunner[] {
  const names = new Set(configured.map(({ name }) => name.toLowerCase()));
  return withLabelsBack(alike, configured).flatMap(({ labels, runners }) =>
    runners.map(({ name, status, busy }) => ({ name, labels, state: stateOf(status), busy, isOurs: names.has(name.toLowerCase()) })),
  );
}

function stateOf(status: string): QueueRunner['state'] {
  return status === 'online' || status === 'offline' ? status : 'unknown';
}

/** A configured runner without any custom label is cordoned: it counts by the labels that it has once it is resumed. */
function withLabelsBack(alike: readonly RunnersAlike[], configured: readonly ConfiguredRunner[]): readonly RunnersAlike[] {
  const own = new Map(configured.map(({ name, labels }) => [name.toLowerCase(), labels.filter((label) => !ADDED_LABELS.includes(label))]));
  return alike.flatMap(({ labels, runners }) => {
    if (labels.some((label) => !ADDED_LABELS.includes(label))) {
      return [{ labels, runners }];
    }
    return runners.map((runner) => ({ labels: labelSetOf([...labels, ...(own.get(runner.name.toLowerCase()) ?? [])]), runners: [runner] }));
  });
}

/** Configured ones that are not registered: they have their labels by configuration. */
function unregistered(configured: readonly ConfiguredRunner[], alike: readonly RunnersAlike[]): readonly QueueRunner[] {
  const names = new Set(alike.flatMap(({ runners }) => runners.map(({ name }) => name.toLowerCase())));
  return configured
    .filter(({ name }) => !names.has(name.toLowerCase()))
    .map(({ name, labels }) => ({ name, labels, state: 'unregistered', busy: false, isOurs: true }));
}

// Cancelling

interface BatchSettings {
  readonly github: QueuePort;
  readonly listed: RunsShelf;
  readonly scope: string;
  readonly offered: readonly LabelSet[];
  readonly silent: readonly LabelSet[];
  readonly defaultBranch: string | null;
  readonly silences: readonly Silence[];
  readonly pressed: readonly LabelSet[] | null;
  readonly policy: QueuePolicy;
  readonly reruns: ReadonlyMap<number, number>;
  readonly mayBeDone: boolean;
}

/** What a batch leaves for an attempt that goes on with it. */
interface BatchProgress {
  readonly attempts: readonly CancelAttempt[];
}

class Batch {
  readonly #settings: BatchSettings;
  readonly #rivals: Rivals;
  readonly #attempts: CancelAttempt[] = [];
  /** Whether runs may have been cancelled before by an attempt that could not say so. */
  #mayBeDone: boolean;
  /** Newer runs that were looked at, by id. */
  readonly #newer = new Map<number, { readonly at: number; readonly look: FreshLook['newer'] }>();

  constructor(settings: BatchSettings) {
    this.#settings = settings;
    this.#rivals = new Rivals(settings.github, settings.scope);
    this.#mayBeDone = settings.mayBeDone;
  }

  async cancel(items: readonly WorkItem[]): Promise<BatchCancelled> {
    const beats = setInterval(() => this.#beat(), HEARTBEAT_MS);
    try {
      await this.#resume();
      for (const [index, item] of items.entries()) {
        if (index < this.#attempts.length) {
          continue;
        }
        const attempt = await attempting(() => this.#hopeless(item) ?? this.#attempt(item));
        if (attempt.kind === 'limited') {
          return { attempts: this.#attempts, rest: items.slice(index), mayBeDone: this.#mayBeDone, limited: attempt };
        }
        this.#attempts.push(attempt.kind === 'done' ? attempt.value : failedAttempt(item, this.#isFirst(item), attempt.error));
        this.#beat();
      }
      return { attempts: this.#attempts, rest: [], mayBeDone: false, limited: null };
    } finally {
      clearInterval(beats);
    }
  }

  /** A token that may not cancel is refused at each run: after a few in a row the rest is not asked. */
  #hopeless(item: WorkItem): Promise<CancelAttempt> | null {
    const last = this.#attempts
      .slice(-REFUSALS_BELIEVED)
      .map(({ result }) => (result.kind === 'refused' && result.status === 403 ? result : null));
    const [refusal] = last;
    return last.length < REFUSALS_BELIEVED || refusal == null || last.includes(null)
      ? null
      : Promise.resolve({
          item,
          about: null,
          isFirst: this.#isFirst(item),
          evidence: 'not tried: the token was refused before',
          result: refusal,
        });
  }

  #beat(): void {
    heartbeat({ attempts: this.#attempts } satisfies BatchProgress);
  }

  /** What was sent and not noted shows in the runs themselves, after a moment. */
  async #resume(): Promise<void> {
    const { attempt, heartbeatDetails } = activityInfo();
    const progress = heartbeatDetails as BatchProgress | undefined;
    this.#attempts.push(...(progress?.attempts ?? []));
    if (attempt > 1) {
      this.#mayBeDone = true;
      this.#beat();
      await sleep(this.#settings.policy.following.doubtMs);
    }
  }

  /** What the cancellation rests on is read in its turn, right before it. */
  #attempt(item: WorkItem): Promise<CancelAttempt> {
    const { github, listed: _, scope, reruns, ...ground } = this.#settings;
    return github.inTurn(
      scope,
      async (turn) => {
        const wouldPushOut = await this.#wouldPushOut(item);
        const look = await this.#look(item);
        const judged = review(item, look, { ...ground, rerunAt: reruns.get(item.run) ?? null });
        const reviewed = judged.kind === 'go' && wouldPushOut !== null ? { kind: 'spare' as const, why: wouldPushOut } : judged;
        const seen = { item, about: aboutOf(look.run), isFirst: this.#isFirst(item) };
        if (reviewed.kind !== 'go') {
          turn.skip();
          return reviewed.kind === 'spare'
            ? { ...seen, evidence: reviewed.why, result: { kind: 'spared' as const, why: reviewed.why } }
            : { ...seen, evidence: `it is over: ${reviewed.conclusion}`, result: this.#over(item, reviewed.conclusion) };
        }
        if (look.jobsTookMs > JOBS_BELIEVED_MS) {
          turn.skip();
          const why = `GitHub took ${Math.round(look.jobsTookMs / 1_000)} s to say that none of its jobs runs, in which one may have begun`;
          return { ...seen, evidence: why, result: { kind: 'again' as const, why } };
        }
        const { value: written, githubTime } = await github.cancelRun(scope, item.run, { force: false }, cancellationSignal());
        return { ...seen, evidence: reviewed.evidence, result: await this.#resultOf(item, written, githubTime) };
      },
      cancellationSignal(),
    );
  }

  /** Whether nothing can have been sent about it before. */
  #isFirst({ tries }: WorkItem): boolean {
    return tries === 0 && !this.#mayBeDone;
  }

  /** Asked before the last look at the run: nothing is to come between that one and the cancellation. */
  async #wouldPushOut({ run, does }: WorkItem): Promise<string | null> {
    if (does !== 'park') {
      return null;
    }
    const { github, listed, scope } = this.#settings;
    try {
      const known = listed.find(scope, run) ?? (await github.readRun(scope, run, cancellationSignal())).value;
      return known !== null && (await this.#rivals.hasOne(known)) ? WOULD_PUSH_OUT : null;
    } catch (error) {
      if (error instanceof GitHubError && error.kind !== 'limited') {
        return `it is not known which runs are pending: ${error.message}`;
      }
      throw error;
    }
  }

  async #look({ run, newer }: WorkItem): Promise<FreshLook & { readonly jobsTookMs: number }> {
    const newerLook = newer === null ? null : await this.#lookAtNewer(newer);
    return { ...(await this.#lookAt(run)), newer: newerLook };
  }

  /**
   * While its jobs wait untouched, of the attempt that a list has shown, the run is as the list has it. Else it is read itself, and its jobs last:
   * a run reads as queued while some of its jobs run.
   */
  async #lookAt(run: number): Promise<Omit<FreshLook, 'newer'> & { readonly jobsTookMs: number }> {
    const { github, listed, scope } = this.#settings;
    const known = listed.find(scope, run);
    if (known?.status === 'queued') {
      const look = await this.#readJobs(run);
      if (look.jobs !== null && look.jobs.attempt === known.attempt && isUntouched(look.jobs)) {
        return { run: known, ...look };
      }
    }
    const { value } = await github.readRun(scope, run, cancellationSignal());
    return { run: value, ...(await this.#readJobs(run)) };
  }

  /** By a conditional request, which costs nothing of the hour while they are as the plan has read them. */
  async #readJobs(run: number): Promise<Pick<FreshLook, 'at' | 'jobs'> & { readonly jobsTookMs: number }> {
    const { github, scope } = this.#settings;
    const askedAt = performance.now();
    const { value: jobs, githubTime: at } = await github.readRunJobs(scope, run, cancellationSignal());
    return { at, jobs, jobsTookMs: performance.now() - askedAt };
  }

  /** One that replaces several is looked at once in a while. */
  async #lookAtNewer(id: number): Promise<FreshLook['newer']> {
    const known = this.#newer.get(id);
    if (known !== undefined && performance.now() - known.at < NEWER_BELIEVED_MS) {
      return known.look;
    }
    const { run, jobs } = await this.#lookAt(id);
    const look = run === null || jobs === null ? null : { run, jobs };
    this.#newer.set(id, { at: performance.now(), look });
    return look;
  }

  async #resultOf(item: WorkItem, written: RunWritten, at: number): Promise<CancelAttempt['result']> {
    switch (written.kind) {
      case 'accepted':
        return { kind: 'accepted', isSure: true, at };
      case 'unanswered':
        return { kind: 'accepted', isSure: false, at };
      case 'refused':
        return this.#refused(item, written, at);
    }
  }

  /** A run that is over refuses as well, and one that GitHub fails at may have been cancelled all the same. */
  async #refused(item: WorkItem, { status, why }: Extract<RunWritten, { kind: 'refused' }>, at: number): Promise<CancelAttempt['result']> {
    if (status !== 409 && status < 500) {
      return { kind: 'refused', status, why };
    }
    const { github, scope } = this.#settings;
    const read = await attempting(() => github.readRun(scope, item.run, cancellationSignal()));
    if (read.kind !== 'done') {
      // Whoever follows it sees what has become of it.
      return { kind: 'accepted', isSure: false, at };
    }
    const run = read.value.value;
    if (run === null || run.status === 'completed') {
      return this.#over(item, run?.conclusion ?? 'gone', status >= 500);
    }
    return status === 409 || CANT_CANCEL.test(why) ? { kind: 'set-aside', why } : { kind: 'again', why };
  }

  /** Who cancelled it, nobody says: where it was tried before, that has most likely done it. */
  #over(item: WorkItem, conclusion: string, isTried = false): CancelAttempt['result'] {
    return { kind: 'over', conclusion, isOurs: conclusion === 'cancelled' && (isTried || !this.#isFirst(item)) };
  }
}

/** Refusals in a row, by 403, after which nothing more is sent. */
const REFUSALS_BELIEVED = 3;

/** A job may begin while GitHub answers, and a cancel can't be made to hang on that none has: a slow answer is no ground for one. */
const JOBS_BELIEVED_MS = 5_000;

/** A newer run that waited a moment ago is taken to wait still. */
const NEWER_BELIEVED_MS = 5_000;

/** What GitHub says of a run that it can't cancel for weeks. https://github.com/actions/runner/issues/3329 */
const CANT_CANCEL = /failed to cancel/i;

function aboutOf(run: Run | null): CancelAttempt['about'] {
  return run === null ? null : { workflow: run.workflow, event: run.event, branch: run.branch, createdAt: run.createdAt };
}

function failedAttempt(item: WorkItem, isFirst: boolean, { kind, status, message }: GitHubError): CancelAttempt {
  const result =
    kind === 'rejected' ? { kind: 'refused' as const, status: status ?? 0, why: message } : { kind: 'again' as const, why: message };
  return { item, about: null, isFirst, evidence: message, result };
}

// Following

/** `202 Accepted` is not cancelled: only the run itself tells, or its jobs. */
async function follow(github: QueuePort, scope: string, runs: readonly FollowedRun[], policy: QueuePolicy): Promise<FollowedBatch> {
  const ends: FollowedEnd[] = [];
  const listed = await attempting(() => listCancelled(github, scope, runs));
  if (listed.kind === 'limited') {
    return { ends: runs.map(({ forcedAt }) => ({ kind: 'pending', forcedAt })), limited: listed };
  }
  const cancelled = listed.kind === 'done' ? listed.value : new Map<number, number>();
  for (const [index, followed] of runs.entries()) {
    if (cancelled.get(followed.run) === followed.attempt) {
      ends.push({ kind: 'over', conclusion: 'cancelled' });
      continue;
    }
    const end = await attempting(() => lookAfter(github, scope, followed, policy));
    if (end.kind === 'limited') {
      return { ends: [...ends, ...runs.slice(index).map(({ forcedAt }) => ({ kind: 'pending' as const, forcedAt }))], limited: end };
    }
    ends.push(end.kind === 'done' ? end.value : { kind: 'unread', why: end.error.message });
  }
  return { ends, limited: null };
}

/** Attempts of the runs that a list shows as cancelled: a few requests instead of one for each. */
async function listCancelled(github: QueuePort, scope: string, runs: readonly FollowedRun[]): Promise<ReadonlyMap<number, number>> {
  if (runs.length <= FOLLOWED_ONE_BY_ONE) {
    return new Map();
  }
  const created = runs.map(({ createdAt }) => createdAt);
  const wanted = { status: 'cancelled', createdFrom: Math.min(...created), createdUntil: Math.max(...created), pages: PAGES_FOLLOWED };
  const { value } = await github.listRuns(scope, wanted, cancellationSignal());
  return new Map(value.runs.filter(({ status }) => status === 'completed').map(({ id, attempt }) => [id, attempt]));
}

/** By its jobs first: until one of them changes that costs nothing of the hour, and the run itself need not be asked. */
async function lookAfter(github: QueuePort, scope: string, followed: FollowedRun, policy: QueuePolicy): Promise<FollowedEnd> {
  const { run, attempt, forcedAt } = followed;
  const { value: jobs, githubTime: at } = await github.readJobsEnd(scope, run, cancellationSignal());
  if (jobs?.attempt === attempt && jobs.areOver && jobs.isOneCancelled) {
    return { kind: 'over', conclusion: 'cancelled' };
  }
  return jobs?.attempt === attempt && !jobs.areOver && isTimeLeft(followed, at, policy)
    ? { kind: 'pending', forcedAt }
    : lookAtFollowed(github, scope, followed, policy);
}

function isTimeLeft({ acceptedAt, isSure, forcedAt }: FollowedRun, at: number, { following }: QueuePolicy): boolean {
  return forcedAt === null
    ? at - acceptedAt < (isSure ? following.forceAfterMs : following.doubtMs)
    : at - forcedAt < following.giveUpAfterMs;
}

async function lookAtFollowed(github: QueuePort, scope: string, followed: FollowedRun, { following }: QueuePolicy): Promise<FollowedEnd> {
  const { run: id, attempt, acceptedAt, isSure, forcedAt } = followed;
  const { value: run, githubTime: at } = await github.readRun(scope, id, cancellationSignal());
  if (run === null || run.attempt !== attempt || run.status === 'completed') {
    return { kind: 'over', conclusion: run === null ? 'gone' : run.attempt === attempt ? (run.conclusion ?? 'completed') : 'cancelled' };
  }
  if (forcedAt !== null) {
    return at - forcedAt < following.giveUpAfterMs
      ? { kind: 'pending', forcedAt }
      : { kind: 'not-over', why: `it was cancelled and forced, and is still ${run.status}` };
  }
  if (!isSure && at - acceptedAt >= following.doubtMs) {
    return { kind: 'again' };
  }
  return at - acceptedAt < following.forceAfterMs ? { kind: 'pending', forcedAt } : force(github, scope, followed, following);
}

/**
 * A job that runs after all, such as one that cleans up, is left to itself: GitHub ends it five minutes after the cancellation. A run that somebody
 * has re-run before the turn came is over, which the next look tells.
 */
function force(github: QueuePort, scope: string, { run, attempt, acceptedAt }: FollowedRun, following: FollowPolicy): Promise<FollowedEnd> {
  return github.inTurn(
    scope,
    async (turn) => {
      const { value: jobs, githubTime: at } = await github.readRunJobs(scope, run, cancellationSignal());
      if (jobs !== null && jobs.attempt !== attempt) {
        turn.skip();
        return { kind: 'pending', forcedAt: null };
      }
      if (jobs === null || jobs.started > 0) {
        turn.skip();
        return at - acceptedAt < following.forceAfterMs + following.giveUpAfterMs
          ? { kind: 'pending', forcedAt: null }
          : { kind: 'not-over', why: 'it was cancelled, a job of it runs all the same, and so it is not forced' };
      }
      const { githubTime } = await github.cancelRun(scope, run, { force: true }, cancellationSignal());
      return { kind: 'pending', forcedAt: githubTime };
    },
    cancellationSignal(),
  );
}

// Re-running

/** GitHub re-runs such a run no more, whoever asks. */
const NEVER_RERUN = /over a month ago|cannot be retried/i;
/** What is running needs no re-run. */
const RUNS_ALREADY = /already running/i;

interface Reruns {
  readonly runs: readonly ParkedRun[];
  readonly due: ReadonlySet<number>;
  readonly rules: Omit<ParkedRules, 'defaultBranch'>;
}

async function rerun(github: QueuePort, scope: string, { runs, due, rules: known }: Reruns): Promise<BatchRerun> {
  const settled: SettledRun[] = [];
  const cancelled: number[] = [];
  const waiting: LeftRun[] = [];
  const branch = await attempting(async () =>
    due.size === 0 ? null : (await github.readDefaultBranch(scope, cancellationSignal())).value,
  );
  if (branch.kind === 'limited') {
    return { settled, cancelled, waiting, refusals: [], limited: branch };
  }
  const rules = { ...known, defaultBranch: branch.kind === 'done' ? branch.value : null };
  const rivals = new Rivals(github, scope);
  let refusals: readonly Refusal[] = [];
  let inARow = 0;
  for (const parked of runs) {
    const isDue = due.has(parked.run.id);
    if (isDue && inARow >= REFUSALS_BELIEVED) {
      continue;
    }
    const done = await attempting(() => lookAfterParked(github, scope, parked, { isDue, rules, rivals }));
    if (done.kind === 'limited') {
      return { settled, cancelled, waiting, refusals, limited: done };
    }
    // One that GitHub fails at is looked at again by the next pass.
    const fate: ParkedFate = done.kind === 'done' ? done.value : { kind: 'wait', why: done.error.message };
    inARow = fate.kind === 'refused-now' ? inARow + 1 : 0;
    if (fate.kind === 'settled') {
      settled.push(fate.settled);
    } else if (fate.kind === 'cancelled') {
      cancelled.push(parked.run.id);
    } else if (fate.kind === 'wait' && isDue) {
      waiting.push({ run: parked.run.id, why: fate.why });
    } else if (fate.kind === 'refused-now') {
      refusals = withRefusal(refusals, fate.status, fate.why);
    }
  }
  return { settled, cancelled, waiting, refusals, limited: null };
}

type ParkedFate =
  | { readonly kind: 'settled'; readonly settled: SettledRun }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'wait'; readonly why: string }
  /** It stays parked. */
  | { readonly kind: 'refused-now'; readonly status: number; readonly why: string };

interface LookingAfter {
  readonly isDue: boolean;
  readonly rules: ParkedRules;
  readonly rivals: Rivals;
}

function lookAfterParked(github: QueuePort, scope: string, parked: ParkedRun, how: LookingAfter): Promise<ParkedFate> {
  const { id } = parked.run;
  return github.inTurn(
    scope,
    async (turn) => {
      const found = await lookAtParked(github, scope, parked, how);
      const verdict = judgeParked(parked, found, how.rules);
      if (verdict.kind === 're-run') {
        const { value: written, githubTime } = await github.rerunRun(scope, id, cancellationSignal());
        return fateOf(parked, written, githubTime);
      }
      turn.skip();
      return verdict.kind === 'settled'
        ? { kind: 'settled', settled: { run: id, end: verdict.end, detail: verdict.why, at: found.at } }
        : verdict;
    },
    cancellationSignal(),
  );
}

/** Only of one that is due more than the run itself is asked. */
async function lookAtParked(
  github: QueuePort,
  scope: string,
  parked: ParkedRun,
  { isDue, rules, rivals }: LookingAfter,
): Promise<ParkedFound> {
  const { id, branch, event } = parked.run;
  const { value: run, githubTime: at } = await github.readRun(scope, id, cancellationSignal());
  const found = {
    run,
    at,
    isDue,
    newest: null,
    hasRef: null,
    isTag: null,
    isGroupTaken: null,
    isOneJobCancelled: endedOtherwise(parked, run) && (await isOneJobCancelled(github, scope, id)),
  };
  if (!isDue || run === null || branch === null || judgeParked(parked, found, rules).kind !== 're-run') {
    return found;
  }
  const newest = await newestLike(github, scope, parked.run, branch);
  const isTag =
    newest === null || event !== 'push'
      ? null
      : ((await unlessRefused(github.areTags(scope, [branch], cancellationSignal())))?.get(branch) ?? null);
  const hasRef = run.isFromFork ? null : await unlessRefused(github.hasRef(scope, branch, cancellationSignal()));
  const around = { ...found, newest, isTag, hasRef };
  return judgeParked(parked, around, rules).kind === 're-run'
    ? { ...around, isGroupTaken: await rivals.wouldMeet(parked.run, newest?.run ?? null) }
    : around;
}

/** Nobody could tell that its cancellation has come to pass, and the run itself does not say so. */
function endedOtherwise({ isCancelled }: ParkedRun, run: Run | null): boolean {
  return !isCancelled && run?.status === 'completed' && run.conclusion !== 'success' && run.conclusion !== 'cancelled';
}

async function isOneJobCancelled(github: QueuePort, scope: string, run: number): Promise<boolean> {
  return (await github.readJobsEnd(scope, run, cancellationSignal())).value?.isOneCancelled === true;
}

/** Newer than the parked one alone: of that one nothing need be asked. */
async function newestLike(
  github: QueuePort,
  scope: string,
  { id, workflowId, event }: Run,
  branch: string,
): Promise<ParkedFound['newest']> {
  const { value: run } = await github.findNewestRun(scope, { workflowId, event, branch }, cancellationSignal());
  if (run === null || run.id === id) {
    return null;
  }
  const { value: jobs } = await github.readRunJobs(scope, run.id, cancellationSignal());
  return { run, jobs };
}

/** `null` if GitHub does not say, such as for want of a permission. */
async function unlessRefused<T>(asked: Promise<Dated<T>>): Promise<T | null> {
  try {
    return (await asked).value;
  } catch (error) {
    if (error instanceof GitHubError && error.kind === 'rejected') {
      return null;
    }
    throw error;
  }
}

function fateOf({ run: { id, attempt } }: ParkedRun, written: RunWritten, at: number): ParkedFate {
  switch (written.kind) {
    case 'accepted':
      return { kind: 'settled', settled: { run: id, end: 're-run', detail: `attempt ${attempt + 1}`, at } };
    case 'unanswered':
      return { kind: 'wait', why: "GitHub's answer to its re-run was lost" };
    case 'refused': {
      const { status, why } = written;
      if (NEVER_RERUN.test(why)) {
        return { kind: 'settled', settled: { run: id, end: 'refused', detail: why, at } };
      }
      return status >= 500 || RUNS_ALREADY.test(why) ? { kind: 'wait', why } : { kind: 'refused-now', status, why };
    }
  }
}
