// The queue of a repository as a look at it finds it: how many runs there are, and what their jobs wait for.

import type { QueueObservation, WaitingJobs } from '../domain/pass.ts';
import type { Run } from '../domain/queue/run.ts';
import { ADDED_LABELS } from '../domain/situation.ts';
import { Jobs } from './answers.ts';
import type { Job, ListedRunner } from './answers.ts';
import { isScarce, type Rate } from './budget.ts';
import { below, pagesOf, pageAt } from './endpoints.ts';
import { GitHubError, type ScopeLook } from './port.ts';
import { createdWithin, PER_PAGE, READS_RUNS, runsCall } from './run-reads.ts';
import type { Asking } from './run-reads.ts';
import { jobsOnRunners } from './running-job.ts';
import { isWithin, type JobsSeen, type RunNote, type ScopeNotes } from './scope-notes.ts';

/** Of a status. https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository */
const MOST_LISTED = 1_000;
/** What is told of waiting jobs stays small, whatever waits. */
const MOST_GROUPS = 20;
/** Where GitHub is slow, runs' jobs leave time for the rest of the look. */
const JOBS_WITHIN_MS = 30_000;
/** GitHub may fail at a run for good; at more of them it has a bad day. */
const RUNS_THAT_MAY_FAIL = 2;
/** So many runs are read whatever is left of the hour's requests; a backlog can wait. */
const READ_IN_ANY_CASE = 30;

/** Jobs that only wait, of a run that GitHub says has not changed since they were read, are believed for so long. */
const WAITING_BELIEVED_MS = 30 * 60_000;
/** Those of a run that had just changed, and for people jobs that run: less than lies between two checks. */
const BRIEFLY_BELIEVED_MS = 4 * 60_000;
/** For people a run is in the queue that was so long ago, if the page that has it is not read. */
const LISTED_BELIEVED_MS = 10 * 60_000;
/** A look for people is quick: so many pages beyond a list's first one. */
const MOST_PAGES_FOR_PEOPLE = 2;
/** They may look every few seconds: the bound of a look is that of a minute. */
const PACE_MS = 60_000;
const RESTED_AFTER_MS = 2_000;

/** What a look at the queue goes by. */
export interface QueueLook extends Pick<ScopeLook, 'runners' | 'customLabels' | 'runsRead' | 'setAside' | 'forPeople'> {
  readonly listed: readonly ListedRunner[];
  /** What earlier looks have read; this one writes into them. */
  readonly notes: ScopeNotes;
  /** GitHub's clock, epoch milliseconds. */
  readonly githubTime: number;
}

export async function observeQueue(asking: Asking, look: QueueLook): Promise<QueueObservation> {
  const reader = new QueueReader(asking, look);
  return reader.read();
}

/** A list of runs, oldest first, as far as it was read. */
interface Listed {
  /** With more than 1,000 GitHub may say 1,000. */
  readonly total: number;
  readonly runs: readonly Run[];
  /** Whether these are all there are. */
  readonly isWhole: boolean;
}

class QueueReader {
  readonly #asking: Asking;
  readonly #look: QueueLook;
  readonly #notes: ScopeNotes;
  readonly #now = Date.now();
  readonly #begun = performance.now();
  /** Jobs by run, of this look and of earlier ones. */
  readonly #jobs = new Map<number, JobsSeen>();
  /** Runs whose jobs are an earlier look's. */
  readonly #kept = new Set<number>();
  /** Runs that were listed, and have ended or are gone: lists lag. */
  readonly #over = new Set<number>();
  #failures = 0;
  #rate: Rate | null = null;

  constructor(asking: Asking, look: QueueLook) {
    this.#asking = asking;
    this.#look = look;
    this.#notes = look.notes;
  }

  async read(): Promise<QueueObservation> {
    const { setAside, forPeople } = this.#look;
    // In this order: a run that starts in between is in both lists rather than in none.
    const queued = await this.#list('queued', await setAside);
    const inProgress = await this.#list('in_progress', []);
    const aside = new Set(await setAside);
    const real = queued.runs.filter(({ id }) => !aside.has(id));
    const started = new Set(inProgress.runs.map(({ id }) => id));
    const waiting = real.filter(({ id }) => !started.has(id));
    const listed = [...waiting, ...inProgress.runs];
    const unlisted = this.#unlisted(queued, inProgress);

    this.#recall(listed, started);
    await this.#readJobs(alternately(waiting, inProgress.runs), started);
    for (const { run, jobs } of unlisted) this.#jobs.set(run, jobs);
    const groups = await this.#group(listed, started);

    const over = (runs: readonly Run[]): number => runs.filter(({ id }) => this.#over.has(id)).length;
    // One that was not among the oldest is taken to be queued still, as queue care has last seen it.
    const queuedNow = Math.max(0, queued.total - aside.size - (real.length - waiting.length) - over(waiting));
    const inProgressNow = Math.max(0, inProgress.total - over(inProgress.runs));
    const ours = new Set(this.#look.runners.map((name) => name.toLowerCase()));
    return {
      queued: queuedNow,
      inProgress: inProgressNow,
      waiting: groups,
      running: [...this.#jobs.values()].flatMap(({ running }) => running).filter(({ runner }) => ours.has(runner.toLowerCase())),
      runsNotRead: Math.max(0, queuedNow + inProgressNow - this.#jobs.size),
      ...(forPeople === undefined ? {} : { stale: await this.#countStale(queued, unlisted, aside, forPeople.staleAfterMs) }),
    };
  }

  /** How many runs may be read. */
  get #most(): number {
    const { runsRead, forPeople } = this.#look;
    if (forPeople === undefined) return runsRead;
    const { since, runs } = this.#notes.readForPeople;
    return isWithin(since, PACE_MS, this.#now) ? Math.max(0, runsRead - runs) : runsRead;
  }

  // Lists

  /**
   * GitHub lists the newest first and stops at 1,000, so the oldest it gives are on the last page. It is read back until it has as many unread runs
   * as may be read; for people from where unread ones begin, and no further than a few pages.
   */
  async #list(status: 'queued' | 'in_progress', aside: readonly number[]): Promise<Listed> {
    const call = runsCall(this.#asking, { status });
    const first = await this.#asking.client.request(call);
    const { total, runs } = first.value;
    if (first.lastPage === null) return { total, runs: runs.toSorted(byAge), isWhole: true };
    const found = new Map(runs.map((run) => [run.id, run]));
    const isDue = (run: Run): boolean => !aside.includes(run.id) && !this.#isKnown(run, status === 'in_progress');
    const pages = this.#pagesOf(status, { lastPage: first.lastPage, onFirst: new Set(found.keys()), total: total - aside.length });
    let unread = 0;
    for (let page = pages.from; page > 1 && page >= pages.to && unread < this.#most; page -= 1) {
      const { value } = await this.#asking.client.request(pageAt(pageNumbered(first.lastPage, page), call));
      for (const run of value.runs) found.set(run.id, run);
      unread += value.runs.filter(isDue).length;
    }
    return { total, runs: [...found.values()].toSorted(byAge), isWhole: found.size >= total && total < MOST_LISTED };
  }

  /** Which of a list's pages beyond the first are read, beginning with the last of them. */
  #pagesOf(
    status: 'queued' | 'in_progress',
    { lastPage, onFirst, total }: { readonly lastPage: string; readonly onFirst: ReadonlySet<number>; readonly total: number },
  ): { readonly from: number; readonly to: number } {
    const last = pageNumberOf(lastPage);
    if (this.#look.forPeople === undefined) return { from: last, to: 2 };
    const notes = [...this.#notes.runs.values()].filter((note) => this.#isListedLately(note) && note.isQueued === (status === 'queued'));
    const known = notes.filter(({ run }) => !onFirst.has(run)).length;
    const from = onFirst.size + known >= total ? 1 : last - Math.floor(known / PER_PAGE);
    return { from, to: from - MOST_PAGES_FOR_PEOPLE + 1 };
  }

  /** Runs that an earlier look has found in a list, and that are on none of the pages read now; none where a check is to decide. */
  #unlisted(queued: Listed, inProgress: Listed): readonly RunNote[] {
    if (this.#look.forPeople === undefined) return [];
    const listed = new Set([...queued.runs, ...inProgress.runs].map(({ id }) => id));
    const notes = [...this.#notes.runs.values()].filter((note) => !listed.has(note.run) && this.#isListedLately(note));
    return [
      ...notes.filter(({ isQueued }) => isQueued).slice(0, queued.isWhole ? 0 : Math.max(0, queued.total - queued.runs.length)),
      ...notes
        .filter(({ isQueued }) => !isQueued)
        .slice(0, inProgress.isWhole ? 0 : Math.max(0, inProgress.total - inProgress.runs.length)),
    ];
  }

  #isListedLately({ listedAt, readAt }: RunNote): boolean {
    return isWithin(listedAt, LISTED_BELIEVED_MS, this.#now) && isWithin(readAt, WAITING_BELIEVED_MS, this.#now);
  }

  /** Whether its jobs, as an earlier look has read them, are believed. */
  #isKnown({ id, attempt, updatedAt }: Run, isStarted: boolean): boolean {
    const note = this.#notes.runs.get(id);
    if (note === undefined || note.attempt !== attempt || note.updatedAt !== updatedAt) return false;
    const onlyWaits = !isStarted && note.jobs.running.length === 0;
    if (!onlyWaits && this.#look.forPeople === undefined) return false;
    return isWithin(note.readAt, onlyWaits && note.hadRested ? WAITING_BELIEVED_MS : BRIEFLY_BELIEVED_MS, this.#now);
  }

  // Jobs

  /** What earlier looks have read of these runs. */
  #recall(listed: readonly Run[], started: ReadonlySet<number>): void {
    for (const run of listed) {
      const note = this.#notes.runs.get(run.id);
      if (note === undefined || !this.#isKnown(run, started.has(run.id))) continue;
      this.#jobs.set(run.id, note.jobs);
      this.#kept.add(run.id);
      this.#notes.runs.set(run.id, { ...note, isQueued: !started.has(run.id), listedAt: this.#now });
    }
  }

  async #readJobs(runs: readonly Run[], started: ReadonlySet<number>): Promise<void> {
    const due = runs.filter(({ id }) => !this.#kept.has(id)).slice(0, this.#most);
    let read = 0;
    for (const run of due) {
      const mayWait = read >= READ_IN_ANY_CASE && this.#rate !== null && isScarce(this.#rate);
      if (mayWait || !this.#hasTime) break;
      await this.#readJobsOf(run, started);
      read += 1;
    }
    if (this.#look.forPeople !== undefined && read > 0) {
      const { since, runs: before } = this.#notes.readForPeople;
      const isSameMinute = isWithin(since, PACE_MS, this.#now);
      this.#notes.readForPeople = { since: isSameMinute ? since : this.#now, runs: (isSameMinute ? before : 0) + read };
    }
  }

  get #hasTime(): boolean {
    return performance.now() - this.#begun <= JOBS_WITHIN_MS;
  }

  async #readJobsOf(run: Run, started: ReadonlySet<number>): Promise<void> {
    try {
      const { jobs, githubTime } = await this.#jobsOf(run.id);
      this.#jobs.delete(run.id);
      this.#notes.runs.delete(run.id);
      if (jobs.length > 0 && jobs.every(({ status }) => status === 'completed')) {
        this.#over.add(run.id);
        return;
      }
      const seen: JobsSeen = { queued: queuedGroups(jobs), running: [...jobsOnRunners(run.id, jobs)] };
      this.#jobs.set(run.id, seen);
      if (run.updatedAt !== null) this.#note(run, run.updatedAt, seen, { isQueued: !started.has(run.id), githubTime });
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind === 'limited') throw error;
      this.#jobs.delete(run.id);
      if (error.status === 404) {
        this.#over.add(run.id);
        return;
      }
      this.#failures += 1;
      if (error.status === null || this.#failures > RUNS_THAT_MAY_FAIL) throw error;
    }
  }

  #note(
    { id, attempt, createdAt, startedAt }: Run,
    updatedAt: number,
    jobs: JobsSeen,
    { isQueued, githubTime }: { readonly isQueued: boolean; readonly githubTime: number },
  ): void {
    const hadRested = githubTime - updatedAt >= RESTED_AFTER_MS;
    const [listedAt, readAt] = [this.#now, this.#now];
    this.#notes.runs.set(id, { run: id, isQueued, attempt, createdAt, startedAt, updatedAt, listedAt, readAt, hadRested, jobs });
  }

  async #jobsOf(run: number): Promise<{ readonly jobs: readonly Job[]; readonly githubTime: number }> {
    const { client, scope, signal } = this.#asking;
    const parameters = { run_id: run, filter: 'latest', per_page: PER_PAGE };
    const call = below(scope, 'GET', '/actions/runs/{run_id}/jobs', READS_RUNS, parameters);
    const jobs: Job[] = [];
    let answeredAt: number | null = null;
    for await (const { value, githubTime, rate } of pagesOf(client, { ...call, answer: Jobs, signal })) {
      jobs.push(...value.jobs);
      answeredAt ??= githubTime;
      this.#rate = rate;
    }
    return { jobs, githubTime: answeredAt ?? 0 };
  }

  // What they wait for

  /** A check may decide by the run that waits longest for the same labels: its jobs are read anew, if they are an earlier look's. */
  async #group(listed: readonly Run[], started: ReadonlySet<number>): Promise<readonly WaitingJobs[]> {
    const { listed: registered, customLabels = [], forPeople } = this.#look;
    const offered = [...registered.map(({ runner }) => runner.labels), ...customLabels.map((own) => [...own, ...ADDED_LABELS])];
    const byId = new Map(listed.map((run) => [run.id, run]));
    for (let readAnew = 0; ;) {
      const groups = groupJobs(this.#jobs, offered);
      const doubted = groups.flatMap(({ runId }) => (this.#kept.has(runId) ? [byId.get(runId)] : [])).filter((run) => run !== undefined);
      if (forPeople !== undefined || doubted.length === 0) return groups;
      for (const run of new Set(doubted)) {
        if (readAnew >= MOST_GROUPS || !this.#hasTime) return groupJobs(this.#jobs, offered);
        this.#kept.delete(run.id);
        await this.#readJobsOf(run, started);
        readAnew += 1;
      }
    }
  }

  /**
   * Queued runs whose current attempt has waited for longer. GitHub counts by creation; a re-run, whose attempt began later, is told apart as far as
   * it is on a page that was read, now or by an earlier look: beyond them a run counts by its creation. No request where the first page has all.
   */
  async #countStale(queued: Listed, unlisted: readonly RunNote[], aside: ReadonlySet<number>, afterMs: number): Promise<number> {
    const until = this.#look.githubTime - afterMs;
    const hasWaited = ({ createdAt, startedAt }: Pick<Run, 'createdAt' | 'startedAt'>): boolean => (startedAt ?? createdAt) <= until;
    const isOut = (id: number): boolean => aside.has(id) || this.#over.has(id);
    if (queued.isWhole) return queued.runs.filter((run) => hasWaited(run) && !isOut(run.id)).length;
    const call = runsCall(this.#asking, { status: 'queued', ...createdWithin({ createdFrom: null, createdUntil: until }) });
    const { value } = await this.#asking.client.request(call);
    const known = new Map<number, Pick<Run, 'createdAt' | 'startedAt'>>([
      ...unlisted.map((note) => [note.run, note] as const),
      ...[...queued.runs, ...value.runs].map((run) => [run.id, run] as const),
    ]);
    const counted = [...known].filter(([, { createdAt }]) => createdAt <= until);
    const apart = counted.filter(([id, run]) => isOut(id) || !hasWaited(run)).length;
    const newest = Math.max(0, ...value.runs.map(({ id }) => id));
    const unseen = [...aside].filter((id) => !known.has(id) && id < newest).length;
    return Math.max(0, value.total - apart - unseen);
  }
}

function byAge(one: Run, other: Run): number {
  return one.createdAt - other.createdAt || one.id - other.id;
}

/** So that a long list keeps no run of the other one from being read. */
function alternately<T>(one: readonly T[], other: readonly T[]): T[] {
  return Array.from({ length: Math.max(one.length, other.length) }, (_, index) => [one[index], other[index]])
    .flat()
    .filter((each) => each !== undefined);
}

function pageNumberOf(address: string): number {
  return Number(new URL(address).searchParams.get('page') ?? 1);
}

/** GitHub's own address of a page, with another number. */
function pageNumbered(address: string, page: number): string {
  return address.replace(/([?&]page=)\d+/, `$1${page}`);
}

function queuedGroups(jobs: readonly Job[]): JobsSeen['queued'] {
  const groups = new Map<string, JobsSeen['queued'][number]>();
  const queued = jobs.filter(({ status }) => status === 'queued').toSorted((one, other) => one.createdAt - other.createdAt);
  for (const { labels, createdAt } of queued) {
    const key = keyOf(labels);
    const group = groups.get(key) ?? { labels: [...labels], count: 0, oldestAt: createdAt };
    groups.set(key, { ...group, count: group.count + 1 });
  }
  return [...groups.values()];
}

function keyOf(labels: readonly string[]): string {
  return JSON.stringify(labels.map((label) => label.toLowerCase()).toSorted());
}

/** Jobs of GitHub's own runners are left out; of a job without labels nobody can say who serves it. */
function groupJobs(jobsOfRuns: ReadonlyMap<number, JobsSeen>, labelsOfRunners: readonly (readonly string[])[]): WaitingJobs[] {
  const offered = labelsOfRunners.map((own) => new Set(own.map((label) => label.toLowerCase())));
  const waiting = [...jobsOfRuns].flatMap(([runId, { queued }]) => queued.map((group) => ({ ...group, runId })));
  const groups = new Map<string, WaitingJobs>();
  for (const { labels, count, oldestAt, runId } of waiting.toSorted(
    (one, other) => one.oldestAt - other.oldestAt || one.runId - other.runId,
  )) {
    const asked = labels.map((label) => label.toLowerCase());
    const isServable = asked.length > 0 && offered.some((labelsOfRunner) => asked.every((label) => labelsOfRunner.has(label)));
    if (!isServable && !asked.includes('self-hosted')) continue;
    const key = keyOf(labels);
    const group = groups.get(key) ?? { labels, count: 0, oldestAt, runId, isServable };
    groups.set(key, { ...group, count: group.count + count });
  }
  return [...groups.values()].slice(0, MOST_GROUPS);
}
