// The simulated GitHub behind the product's own port.

import { activityInfo } from '@temporalio/activity';
import type { ScopeObservation, WaitingJobs } from '../../../src/domain/pass.ts';
import { known, unknown } from '../../../src/domain/reading.ts';
import { isServedBy, labelSetOf, type Run, type RunJobs } from '../../../src/domain/queue/run.ts';
import type { Absence, RegisteredRunner } from '../../../src/domain/runner.ts';
import { Secret } from '../../../src/domain/secret.ts';
import {
  GitHubError,
  type Dated,
  type GitHubPort,
  type JobsEnd,
  type RunnersFound,
  type RunnersWanted,
  type RunWritten,
  type ScopeLook,
} from '../../../src/github/port.ts';
import { callerOf } from './caller.ts';
import { HOUR, MINUTE, SECOND } from './time.ts';
import { VERSION, type Job, type Registration, type Scope, type WorkflowRun, type World } from './world.ts';

/** The client gives a request up after so long. */
const PATIENCE_MS = 15 * SECOND;
/** Labels that a registration has by itself. */
const ADDED: readonly string[] = ['self-hosted', 'linux', 'x64'];
/** GitHub takes no condition with a cancel: no program can know of a job that begins once the answer about it has left. */
const BEGAN_MEANWHILE = 'a job of it began while it was asked for and cancelled';
const FRESH_MS = 5 * SECOND;
/** Queue care calls a run stale that has waited for so long. */
const STALE_MS = 4 * HOUR;

export function createGitHubPort(world: World, installation: string): GitHubPort {
  return new SimulatedGitHub(world, installation);
}

class SimulatedGitHub implements GitHubPort {
  readonly #world: World;
  readonly #installation: string;

  constructor(world: World, installation: string) {
    this.#world = world;
    this.#installation = installation;
  }

  // Runners

  findRunner(scope: string, name: string, signal: AbortSignal): Promise<Dated<RegisteredRunner | null>> {
    return this.#ask(scope, signal, name, (at) => {
      const found = registrationsOf(at).find((registration) => registration.name.toLowerCase() === name.toLowerCase());
      return found !== undefined && this.#world.isListed(found) ? this.#shown(found) : null;
    });
  }

  getRunner(scope: string, id: number, signal: AbortSignal): Promise<Dated<RegisteredRunner | null>> {
    const name = this.#scope(scope).registrations.get(id)?.name ?? null;
    return this.#ask(scope, signal, name, (at) => {
      const found = at.registrations.get(id);
      return found === undefined ? null : this.#shown(found);
    });
  }

  #shown(registration: Registration): RegisteredRunner {
    const { id, name, labels } = registration;
    const customLabels = customOf(labels);
    return {
      id,
      name,
      status: this.#world.statusShown(registration),
      busy: this.#world.isBusyShown(registration),
      labels,
      ...(customLabels.length === 0 ? {} : { customLabels }),
      version: VERSION,
      group: null,
    };
  }

  async findRunners(scope: string, { names, lastId }: RunnersWanted, signal: AbortSignal): Promise<Dated<RunnersFound>> {
    const { value: runners, githubTime } = await this.#ask(scope, signal, '*', (at) => this.#listed(at, names));
    const found = await this.#askForMissing(scope, { names, runners, lastId }, signal);
    return { value: found, githubTime };
  }

  #listed(scope: Scope, names: readonly string[]): RegisteredRunner[] {
    const wanted = new Set(names.map((name) => name.toLowerCase()));
    const listed = registrationsOf(scope).filter((each) => wanted.has(each.name.toLowerCase()) && this.#world.isListed(each));
    return listed.map((each) => this.#shown(each));
  }

  /** Whom a list lacks is asked for by the id that it had. */
  async #askForMissing(
    scope: string,
    { names, runners, lastId }: RunnersWanted & { readonly runners: readonly RegisteredRunner[] },
    signal: AbortSignal,
  ): Promise<RunnersFound> {
    const found = [...runners];
    const absent: Record<string, Absence> = {};
    for (const name of names.filter((each) => !runners.some((runner) => runner.name.toLowerCase() === each.toLowerCase()))) {
      const id = await lastId(name);
      if (id === null) {
        absent[name] = { kind: 'unlisted' };
        continue;
      }
      try {
        const { value: there } = await this.getRunner(scope, id, signal);
        if (there === null) absent[name] = { kind: 'gone', id };
        else found.push(there);
      } catch (error) {
        if (!(error instanceof GitHubError) || error.kind === 'limited') throw error;
        absent[name] = { kind: 'unknown', why: error.message };
      }
    }
    return { runners: found, absent };
  }

  removeCustomLabels(scope: string, id: number, signal: AbortSignal): Promise<Dated<readonly string[] | null>> {
    return this.#relabel(scope, id, signal, (labels) => labels.filter((label) => !isCustom(label)));
  }

  addCustomLabels(scope: string, id: number, added: readonly string[], signal: AbortSignal): Promise<Dated<readonly string[] | null>> {
    return this.#relabel(scope, id, signal, (labels) => [...new Set([...labels, ...added])]);
  }

  /** Answers with the custom ones. */
  #relabel(
    scope: string,
    id: number,
    signal: AbortSignal,
    change: (labels: readonly string[]) => readonly string[],
  ): Promise<Dated<readonly string[] | null>> {
    const world = this.#world;
    const cause = callerOf(world, this.#installation, 'change labels');
    return this.#ask(scope, signal, null, (at) => {
      const found = at.registrations.get(id);
      if (found === undefined) return null;
      found.labels = change(found.labels);
      const custom = customOf(found.labels);
      world.changed(custom.length === 0 ? 'labels-taken-away' : 'labels-given-back', found.runner, cause);
      world.dispatch(at);
      return custom;
    });
  }

  async createRegistrationToken(scope: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => ({
      token: new Secret(`token-${scope}-${this.#world.newId()}`),
      expiresAt: this.#world.now + HOUR,
    }));
  }

  async findPackage(scope: string, _wanted: unknown, signal: AbortSignal) {
    const filename = `actions-runner-linux-x64-${VERSION}.tar.gz`;
    const offer = { version: VERSION, filename, address: `https://example.invalid/${filename}`, sha256: '0'.repeat(64) };
    return this.#ask(scope, signal, null, () => ({ kind: 'found' as const, offer }));
  }

  async observeScope(scope: string, wanted: ScopeLook, signal: AbortSignal): Promise<ScopeObservation> {
    const { value: listed, githubTime } = await this.#ask(scope, signal, '*', (at) => this.#listed(at, wanted.runners));
    const { lastId = async () => null } = wanted;
    const { runners, absent } = await this.#askForMissing(scope, { names: wanted.runners, runners: listed, lastId }, signal);
    const at = this.#scope(scope);
    const isRead = this.#world.github.slowUntil <= this.#world.now || this.#world.chance.isSo('the queue is read', 0.5);
    return {
      observedAt: githubTime,
      runners,
      absent,
      queue: !at.isRepository
        ? known(null)
        : isRead
          ? known(this.#queue(at, runners, { ...wanted, setAside: await wanted.setAside }))
          : unknown('GitHub did not answer in time'),
      versions: known({ latest: VERSION, retirements: [] }),
      tokenExpiresAt: null,
      requests: { sent: 4, unchanged: 2 },
    };
  }

  #queue(
    scope: Scope,
    listed: readonly RegisteredRunner[],
    { runners, customLabels = [], runsRead, setAside }: ScopeLook & { readonly setAside: readonly number[] },
  ) {
    const names = new Set(runners.map((name) => name.toLowerCase()));
    const offered = [...listed.map(({ labels }) => labels), ...customLabels.map((own) => [...own, ...ADDED])].map(labelSetOf);
    const open = scope.runs.filter(({ id, conclusion }) => conclusion === null && !setAside.includes(id));
    const read = open.slice(0, runsRead);
    const groups = new Map<string, WaitingJobs>();
    const running = [];
    for (const { id: runId, jobs } of read) {
      for (const job of jobs) {
        if (isQueued(job)) {
          const key = job.labels.join();
          const isServable = offered.some((set) => isServedBy(set, labelSetOf(job.labels)));
          const group = groups.get(key) ?? { labels: job.labels, count: 0, oldestAt: job.createdAt, runId, isServable };
          groups.set(key, { ...group, count: group.count + 1 });
        } else if (job.state !== 'over' && job.runner !== null && names.has(job.runner.target.runner.toLowerCase())) {
          running.push({ runner: job.runner.target.runner, name: `job ${job.id}`, run: runId, startedAt: job.startedAt, url: null });
        }
      }
    }
    const queued = open.filter((run) => statusOf(run) === 'queued').length;
    return { queued, inProgress: open.length - queued, waiting: [...groups.values()], running, runsNotRead: open.length - read.length };
  }

  async countRuns(scope: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, (at) => {
      const open = at.runs.filter(({ conclusion }) => conclusion === null);
      const queued = open.filter((run) => statusOf(run) === 'queued').length;
      return at.isRepository ? { queued, inProgress: open.length - queued } : null;
    });
  }

  async findRunningJob(scope: string, runner: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, (at) => {
      const job = at.runs.flatMap(({ jobs }) => jobs).find((each) => each.runner?.target.runner === runner && each.state === 'works');
      return job === undefined ? null : { name: `job ${job.id}`, run: job.run.id, startedAt: job.startedAt, url: null };
    });
  }

  // The queue

  async listRuns(
    scope: string,
    wanted: { readonly status: string; readonly createdUntil: number | null; readonly createdFrom: number | null },
    signal: AbortSignal,
  ) {
    return this.#ask(scope, signal, null, (at) => {
      const runs = at.runs
        .filter((run) => statusOf(run) === wanted.status || run.conclusion === wanted.status)
        .filter(({ createdAt }) => createdAt >= (wanted.createdFrom ?? 0) && createdAt <= (wanted.createdUntil ?? Infinity))
        .slice(-300)
        .toReversed()
        .map(runOf);
      return { total: runs.length, runs, isCut: false };
    });
  }

  async countRunsOf(scope: string, status: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, (at) => at.runs.filter((run) => statusOf(run) === status).length);
  }

  async listLabelSets(scope: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, (at) =>
      registrationsOf(at)
        .filter((each) => this.#world.isListed(each))
        .map((each) => {
          const { name, status, busy, labels } = this.#shown(each);
          return { labels: labelSetOf(labels), runners: [{ name, status, busy }] };
        }),
    );
  }

  async listRunnersFor(organisation: string, _repository: string, signal: AbortSignal) {
    return this.#ask(organisation, signal, null, () => ({ alike: [], groups: [], elsewhere: [] }));
  }

  async readRun(scope: string, run: number, signal: AbortSignal): Promise<Dated<Run | null>> {
    return this.#ask(scope, signal, null, (at) => {
      const found = at.runs.find(({ id }) => id === run);
      return found === undefined ? null : runOf(found);
    });
  }

  async readRunJobs(scope: string, run: number, signal: AbortSignal): Promise<Dated<RunJobs | null>> {
    return this.#ask(scope, signal, null, (at) => {
      const found = at.runs.find(({ id }) => id === run);
      return found === undefined ? null : jobsOf(found);
    });
  }

  async readJobsEnd(scope: string, run: number, signal: AbortSignal): Promise<Dated<JobsEnd | null>> {
    return this.#ask(scope, signal, null, (at) => {
      const found = at.runs.find(({ id }) => id === run);
      if (found === undefined) return null;
      const { attempt, jobs } = found;
      const isOneCancelled = jobs.some(({ conclusion }) => conclusion === 'cancelled');
      return { attempt, areOver: jobs.every(({ conclusion }) => conclusion !== null), isOneCancelled };
    });
  }

  async areTags(scope: string, names: readonly string[], signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => new Map(names.map((name) => [name, false])));
  }

  async hasRef(scope: string, _name: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => true);
  }

  async readDefaultBranch(scope: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => 'main');
  }

  async readConcurrencyGroups(scope: string, _run: number, signal: AbortSignal) {
    return this.#ask(scope, signal, null, (): readonly string[] => []);
  }

  async listActiveGroups(scope: string, signal: AbortSignal) {
    return this.#ask(scope, signal, null, (): readonly string[] => []);
  }

  async findNewestRun(
    scope: string,
    like: { readonly workflowId: number; readonly event: string; readonly branch: string },
    signal: AbortSignal,
  ) {
    return this.#ask(scope, signal, null, (at) => {
      const found = at.runs.findLast(
        ({ workflowId, event, branch }) => workflowId === like.workflowId && event === like.event && branch === like.branch,
      );
      return found === undefined ? null : runOf(found);
    });
  }

  inTurn<T>(_scope: string, work: (turn: { skip(): void }) => Promise<T>): Promise<T> {
    return work({ skip: () => {} });
  }

  async cancelRun(scope: string, run: number, _how: { readonly force: boolean }, signal: AbortSignal): Promise<Dated<RunWritten>> {
    const cause = callerOf(this.#world, this.#installation, 'cancel a run');
    const sentAt = this.#world.now;
    return this.#write(scope, run, signal, (found) => {
      if (found.conclusion !== null) return { kind: 'refused', status: 409, why: 'Cannot cancel a workflow run that is completed.' };
      const why = whyCancelled(found, this.#world.now, sentAt);
      found.shallComeBack = why === 'it made way';
      // Another rule may name a push that makes way as well.
      found.mayComeBack = why === BEGAN_MEANWHILE || found.event === 'push';
      this.#world.facts.note({ kind: 'run', run, scope, what: 'cancelled', cause, why });
      this.#world.cancelRun(found, cause, { couldBeKnown: why !== BEGAN_MEANWHILE });
      return { kind: 'accepted' };
    });
  }

  async rerunRun(scope: string, run: number, signal: AbortSignal): Promise<Dated<RunWritten>> {
    const cause = callerOf(this.#world, this.#installation, 're-run a run');
    return this.#write(scope, run, signal, (found) => {
      if (found.conclusion === null) return { kind: 'refused', status: 403, why: 'This workflow run cannot be re-run while it runs.' };
      this.#world.facts.note({ kind: 'run', run, scope, what: 're-run', cause, why: `attempt ${found.attempt + 1}` });
      this.#world.rerun(found);
      return { kind: 'accepted' };
    });
  }

  /** Its answer may be lost. */
  async #write(scope: string, run: number, signal: AbortSignal, write: (found: WorkflowRun) => RunWritten): Promise<Dated<RunWritten>> {
    const world = this.#world;
    const { value, githubTime } = await this.#ask(scope, signal, null, (at) => {
      const found = at.runs.find(({ id }) => id === run);
      return found === undefined ? ({ kind: 'refused', status: 404, why: 'Not Found' } as const) : write(found);
    });
    const isLost = world.github.slowUntil > world.now && world.chance.isSo('an answer is lost', 0.2);
    return { value: isLost ? { kind: 'unanswered', why: 'the connection was reset' } : value, githubTime };
  }

  // Failed runs: none of this world's fail because of a cache.

  async readFailedJobs(scope: string, _run: number, signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => null);
  }

  async readFailureAnnotationsOf(scope: string, _jobs: readonly object[], signal: AbortSignal) {
    return this.#ask(scope, signal, null, (): ReadonlyMap<number, readonly string[]> => new Map());
  }

  async readFailureAnnotations(scope: string, _checkRun: number, signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => []);
  }

  async readJobLog(scope: string, _job: number, _how: unknown, signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => ({ kind: 'missing' as const, bytes: 0, isCut: false }));
  }

  async findPart(scope: string, _part: unknown, signal: AbortSignal) {
    return this.#ask(scope, signal, null, () => 'unclear' as const);
  }

  async rerunFailedJobs(scope: string, _run: number, signal: AbortSignal): Promise<Dated<RunWritten>> {
    return this.#ask(scope, signal, null, () => ({ kind: 'refused', status: 403, why: 'nothing failed' }));
  }

  rerunJob(scope: string, job: number, signal: AbortSignal): Promise<Dated<RunWritten>> {
    return this.rerunFailedJobs(scope, job, signal);
  }

  identifyToken(): Promise<never> {
    throw new Error('nobody asks the simulated GitHub whose token it is');
  }

  probeAccess(): Promise<never> {
    throw new Error('nobody asks the simulated GitHub what a token may do');
  }

  // Requests

  #scope(name: string): Scope {
    const scope = this.#world.scopes.get(name);
    if (scope === undefined) throw new GitHubError('rejected', `${name}: Not Found`, { status: 404 });
    return scope;
  }

  /** One request. `about`: the runner that the answer tells of; `*`: all of the scope. */
  async #ask<T>(scopeName: string, signal: AbortSignal, about: string | null, read: (scope: Scope) => T): Promise<Dated<T>> {
    const world = this.#world;
    world.advance();
    const scope = this.#scope(scopeName);
    const sentAt = world.now;
    const asking = `${this.#installation} ${activityInfo().workflowExecution?.runId}`;
    const { github, chance } = world;
    if (github.limitedUntil > sentAt) {
      this.#note(scopeName, about, false);
      throw new GitHubError('limited', 'API rate limit exceeded', { retryAt: github.limitedUntil, status: 403 });
    }
    const isSlow = github.slowUntil > sentAt;
    const takesMs = isSlow
      ? chance.isSo('never back', github.lostShare)
        ? 60_000
        : chance.between('slow', 1_000 + 8_000 * github.slowness, 4_000 + 10_500 * github.slowness)
      : chance.skewed('request', 80, 1_500);
    if (isSlow) {
      await world.pass(Math.min(takesMs, PATIENCE_MS) / 2);
      signal.throwIfAborted();
    }
    const isDown = github.downUntil > world.now;
    const value = takesMs > PATIENCE_MS || isDown ? null : isSlow ? { read: read(scope) } : null;
    await world.pass(isSlow ? Math.min(takesMs, PATIENCE_MS) / 2 : takesMs);
    signal.throwIfAborted();
    if (isDown || takesMs > PATIENCE_MS) {
      this.#note(scopeName, about, false);
      throw new GitHubError('unavailable', isDown ? 'GitHub answered 503' : `GitHub gave no answer within ${PATIENCE_MS / SECOND} s`);
    }
    const answer = value === null ? read(scope) : value.read;
    this.#note(scopeName, about, true);
    if (about !== null) {
      for (const runner of world.runners) {
        if (runner.scope === scope && (about === '*' || about === runner.target.runner)) runner.askedAt.set(asking, sentAt);
      }
    }
    return { value: answer, githubTime: world.now };
  }

  #note(scope: string, runner: string | null, isAnswered: boolean): void {
    if (runner === null || runner === '*' || isAnswered) return;
    this.#world.facts.note({ kind: 'asked-github', scope, runner, installation: this.#installation, isAnswered });
  }
}

function registrationsOf({ registrations }: Scope): Registration[] {
  return [...registrations.values()];
}

function isCustom(label: string): boolean {
  return !ADDED.includes(label.toLowerCase());
}

function customOf(labels: readonly string[]): readonly string[] {
  return labels.filter(isCustom);
}

function isQueued({ state }: Job): boolean {
  return state === 'queued' || state === 'offered';
}

function statusOf({ conclusion, jobs }: WorkflowRun): string {
  if (conclusion !== null) return 'completed';
  return jobs.every(isQueued) ? 'queued' : 'in_progress';
}

function runOf(run: WorkflowRun): Run {
  const { id, workflowId, event, branch, pullRequest, sha, createdAt, startedAt, attempt, conclusion } = run;
  return {
    id,
    workflowId,
    workflow: `workflow ${workflowId}`,
    event,
    status: statusOf(run),
    conclusion,
    headRepositoryId: 1,
    isFromFork: false,
    actor: null,
    branch,
    pullRequests: pullRequest === null ? [] : [pullRequest],
    sha,
    attempt,
    createdAt,
    startedAt,
    updatedAt: null,
  };
}

function jobsOf({ id, attempt, jobs }: WorkflowRun): RunJobs {
  const queued = jobs.filter(isQueued);
  const groups = Map.groupBy(queued, ({ labels }) => labelSetOf(labels).join());
  return {
    run: id,
    attempt,
    total: jobs.length,
    started: jobs.filter((job) => !isQueued(job) && job.startedAt !== null).length,
    held: 0,
    queued: [...groups.values()].map((group) => ({ labels: labelSetOf(group[0]!.labels), count: group.length })),
    oldestQueuedAt: queued.length === 0 ? null : Math.min(...queued.map(({ createdAt }) => createdAt)),
    work: ['job'],
  };
}

/** By the truth, and not by what queue care says. */
function whyCancelled(run: WorkflowRun, now: number, sentAt: number): string {
  const begun = run.jobs.flatMap((job) => (isQueued(job) || job.startedAt === null ? [] : [job.startedAt]));
  if (begun.length > 0) return begun.every((at) => at > sentAt - FRESH_MS) ? BEGAN_MEANWHILE : 'a job of it had started';
  if (now - run.startedAt >= STALE_MS - MINUTE) return 'stale';
  const newer = run.scope.runs.find(
    (other) =>
      other.id > run.id &&
      other.workflowId === run.workflowId &&
      other.event === run.event &&
      other.branch === run.branch &&
      other.pullRequest === run.pullRequest,
  );
  if (newer !== undefined) return `superseded by run ${newer.id}`;
  return run.event === 'push' ? 'it made way' : 'no rule names it';
}
