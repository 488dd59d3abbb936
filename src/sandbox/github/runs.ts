// All runs and jobs: how they begin, who works on them, and how they end.

import { JobQueue } from './job-queue.ts';
import { conclusionOfAll, isYetToBegin, leastAdvanced, resultOf } from './run.ts';
import type { HeldStatus, Job, JobOptions, JobResult, Run, RunConclusion, RunOptions, Workflow } from './run.ts';
import type { Runner } from './runner.ts';
import { HEAD_SHA } from './scope.ts';
import type { Scope } from './scope.ts';

/** What runs need of the world around them. */
export interface Surroundings {
  /** GitHub's clock, epoch milliseconds. */
  now(): number;
  nextId(): number;
  /** The repository of this name, known or not; its id is always the same. */
  repositoryNamed(name: string): Pick<Scope, 'id' | 'name'>;
  /** The registered runner of this name that may work for the scope. */
  runnerNamed(scope: Scope, name: string): Runner | undefined;
  /** Runners that wait for a job look again. */
  wakeRunners(): void;
}

const CI = { id: 1, name: 'CI' };

export class Runs {
  readonly #surroundings: Surroundings;
  readonly #byId = new Map<number, Run>();
  /** Oldest first. */
  readonly #byScope = new Map<Scope, Run[]>();
  readonly #workflows = new Map<Scope, Map<number, Workflow>>();
  readonly #jobs = new Map<number, Job>();
  readonly #queue = new JobQueue();
  readonly #working = new Map<Runner, Job>();
  /** Runs with an accepted cancel that has not ended them yet. */
  readonly #ending = new Set<Run>();
  /** When the first of those ends. */
  #nextEnd = Infinity;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  find(id: number): Run | undefined {
    this.#endCancelled();
    return this.#byId.get(id);
  }

  findJob(id: number): Job | undefined {
    this.#endCancelled();
    return this.#jobs.get(id);
  }

  /** Oldest first. */
  of(scope: Scope): readonly Run[] {
    this.#endCancelled();
    return this.#byScope.get(scope) ?? [];
  }

  /** @param idOrFile its id, or the name of its file */
  findWorkflow(scope: Scope, idOrFile: string): Workflow | undefined {
    const workflows = [...(this.#workflows.get(scope)?.values() ?? [])];
    return workflows.find(({ id, path }) => String(id) === idOrFile || path.endsWith(`/${idOrFile}`));
  }

  /** The job that the runner works on. */
  workOf(runner: Runner): Job | undefined {
    this.#endCancelled();
    return this.#working.get(runner);
  }

  queue(scope: Scope, options: RunOptions): Run {
    const run = this.#newRun(scope, options);
    if (run.branch !== null && run.headRepository?.id === scope.id && !scope.tags.includes(run.branch)) scope.branches.add(run.branch);
    for (const described of options.jobs) run.jobs.push(this.#addJob(run, { state: run.held ?? 'queued', ...described }));
    this.#insert(run);
    this.#follow(run);
    if (options.status === undefined) this.#enterGroup(run);
    this.#surroundings.wakeRunners();
    return run;
  }

  /** Replaces all of the scope's runs by so many of each status, without jobs. */
  replace(scope: Scope, counts: Readonly<Record<string, number>>): void {
    for (const run of this.#byScope.get(scope) ?? []) this.#forget(run);
    this.#byScope.delete(scope);
    for (const [status, count] of Object.entries(counts)) {
      for (let number = 0; number < count; number += 1) {
        const run = this.#newRun(scope, { jobs: [] });
        run.status = status;
        if (status === 'completed') run.conclusion = 'success';
        this.#insert(run);
      }
    }
  }

  give(runner: Runner, name: string, seconds: number): Job {
    const job = this.#addJob(null, { name, seconds, labels: [] }, runner);
    this.#surroundings.wakeRunners();
    return job;
  }

  /** The next queued job that the runner may have, now in progress; `undefined` where there is none or one runs already. */
  take(runner: Runner): Job | undefined {
    this.#endCancelled();
    if (this.#working.has(runner)) return undefined;
    const job = this.#queue.firstFor(runner);
    if (!job) return undefined;
    this.start(job);
    job.runner = runner;
    this.#working.set(runner, job);
    return job;
  }

  /** By whomever. */
  start(job: Job): void {
    this.#queue.delete(job);
    job.state = 'in_progress';
    job.startedAt = this.#surroundings.now();
    if (job.run) this.#follow(job.run);
  }

  /** Its runner is given the next one at once. */
  finish(job: Job, result: JobResult): void {
    this.#end(job, result, this.#surroundings.now());
    if (job.run) this.#follow(job.run);
    this.#surroundings.wakeRunners();
  }

  /** A job whose runner is gone fails. */
  abandonWorkOf(runner: Runner): void {
    const job = this.#working.get(runner);
    if (job) this.finish(job, 'Failed');
  }

  /** Ends the run at once or after a while, in which no runner takes a job of it. */
  cancel(run: Run): void {
    if (run.endsAt !== null) return;
    run.endsAt = this.#surroundings.now() + run.cancelTakesMs;
    for (const job of run.jobs) this.#queue.delete(job);
    if (run.endsAt === Infinity) return;
    this.#ending.add(run);
    this.#nextEnd = Math.min(this.#nextEnd, run.endsAt);
    this.#endCancelled();
  }

  /** Ends its jobs as well; a runner that works on one hears of it when it says that it is done. */
  complete(run: Run, conclusion: RunConclusion): void {
    this.#completeAt(run, conclusion, this.#surroundings.now());
  }

  /** A new attempt of a completed run, in which these of its jobs begin anew. The others are shown in it as they ended, under other ids. */
  rerun(run: Run, isRepeated: (job: Job) => boolean = () => true): void {
    const now = this.#surroundings.now();
    const { jobs } = run;
    run.attempt += 1;
    run.startedAt = now;
    run.updatedAt = now;
    run.status = 'queued';
    run.conclusion = null;
    run.endsAt = null;
    run.earlierJobs = [...run.earlierJobs, ...jobs];
    run.jobs = jobs.map((job) => (isRepeated(job) ? this.#addJob(run, againOf(job)) : this.#carryOver(job)));
    this.#enterGroup(run);
    this.#surroundings.wakeRunners();
  }

  /** Holds a run that is not completed, or lets it go; its jobs that are yet to begin go with it. */
  settle(run: Run, status: HeldStatus | 'queued'): void {
    for (const job of run.jobs.filter(isYetToBegin)) {
      job.state = status;
      if (status === 'queued' && run.endsAt === null) this.#queue.add(job);
      else this.#queue.delete(job);
    }
    run.held = status === 'queued' ? null : status;
    run.status = status;
    this.#follow(run);
    this.#surroundings.wakeRunners();
  }

  #newRun(scope: Scope, options: RunOptions): Run {
    const { agoMs = 0, startedAgoMs = agoMs, attempt = 1, event = 'push', branch = 'main', sha = HEAD_SHA } = options;
    const { headRepository = scope.name, pullRequests = [], actor = 'octocat', status = null, zombie = null, cancelTakesMs = 0 } = options;
    const { concurrencyGroup = null } = options;
    const now = this.#surroundings.now();
    const number = this.#surroundings.nextId();
    return {
      id: 34_000_000_000 + number,
      number,
      scope,
      workflow: this.#workflowOf(scope, options.workflow ?? CI),
      title: options.title ?? `Change ${number}`,
      event,
      branch,
      sha,
      headRepository: headRepository === null ? null : this.#surroundings.repositoryNamed(headRepository),
      pullRequests,
      actor,
      createdAt: now - agoMs,
      attempt,
      startedAt: now - startedAgoMs,
      updatedAt: now - startedAgoMs,
      jobs: [],
      earlierJobs: [],
      status: status ?? 'queued',
      conclusion: null,
      held: status,
      zombie,
      concurrencyGroup,
      cancelTakesMs,
      endsAt: null,
      shown: {},
      accepted: { cancel: 0, forceCancel: 0, rerun: 0, rerunFailed: 0, rerunJob: 0 },
      refused: 0,
    };
  }

  /** The workflow as it was named last. */
  #workflowOf(scope: Scope, { id, name, path }: NonNullable<RunOptions['workflow']>): Workflow {
    const workflows = this.#workflows.get(scope) ?? new Map<number, Workflow>();
    this.#workflows.set(scope, workflows);
    const workflow = { id, name, path: path ?? `.github/workflows/${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.yml` };
    workflows.set(id, workflow);
    return workflow;
  }

  #addJob(
    run: Run | null,
    {
      name = 'build',
      labels = ['self-hosted'],
      seconds = 1,
      state = 'queued',
      conclusion = 'success',
      runner: named,
      ...output
    }: JobOptions,
    givenTo: Runner | null = null,
  ): Job {
    const createdAt = run?.startedAt ?? this.#surroundings.now();
    const isCompleted = state === 'completed';
    const isBegun = isCompleted || state === 'in_progress';
    const registered = run && isBegun && named !== undefined ? this.#surroundings.runnerNamed(run.scope, named) : undefined;
    const job: Job = {
      id: this.#surroundings.nextId(),
      run,
      attempt: run?.attempt ?? 1,
      name,
      labels,
      seconds,
      createdAt,
      startedAt: isBegun ? createdAt : null,
      completedAt: isCompleted ? createdAt : null,
      runner: registered ?? givenTo,
      hostedRunner: isBegun && !registered ? (named ?? null) : null,
      output,
      state,
      result: isCompleted ? resultOf(conclusion) : null,
    };
    this.#jobs.set(job.id, job);
    if (state === 'queued') this.#queue.add(job);
    return job;
  }

  #carryOver(job: Job): Job {
    const carried = { ...job, id: this.#surroundings.nextId(), attempt: job.attempt + 1 };
    this.#jobs.set(carried.id, carried);
    return carried;
  }

  /** Keeps the scope's runs in the order of their creation. */
  #insert(run: Run): void {
    this.#byId.set(run.id, run);
    const runs = this.#byScope.get(run.scope) ?? [];
    this.#byScope.set(run.scope, runs);
    runs.splice(placeOf(run, runs), 0, run);
  }

  #forget(run: Run): void {
    this.#byId.delete(run.id);
    this.#ending.delete(run);
    for (const job of [...run.jobs, ...run.earlierJobs]) {
      this.#queue.delete(job);
      this.#jobs.delete(job.id);
      if (job.runner && this.#working.get(job.runner) === job) this.#working.delete(job.runner);
    }
  }

  #completeAt(run: Run, conclusion: RunConclusion, now: number): void {
    for (const job of run.jobs) if (job.state !== 'completed') this.#end(job, resultOf(conclusion), now);
    run.status = 'completed';
    run.conclusion = conclusion;
    run.held = null;
    run.updatedAt = now;
    this.#ending.delete(run);
    this.#leaveGroup(run);
  }

  #end(job: Job, result: JobResult, now: number): void {
    this.#queue.delete(job);
    if (job.runner && this.#working.get(job.runner) === job) this.#working.delete(job.runner);
    job.state = 'completed';
    job.result = result;
    job.completedAt = now;
  }

  #follow(run: Run): void {
    if (run.jobs.length === 0) return;
    run.status = run.held ?? leastAdvanced(run.jobs);
    run.updatedAt = this.#surroundings.now();
    if (run.status !== 'completed') return;
    run.conclusion = conclusionOfAll(run.jobs);
    this.#ending.delete(run);
    this.#leaveGroup(run);
  }

  /** One run of a group goes on and one is pending: another one that enters takes the place of the pending one, which GitHub cancels. */
  #enterGroup(run: Run): void {
    const others = this.#groupOf(run).filter((other) => other !== run);
    if (run.status === 'completed' || !others.some(holdsGroup)) return;
    for (const other of others.filter(isPending)) this.complete(other, 'cancelled');
    this.settle(run, 'pending');
  }

  #leaveGroup(run: Run): void {
    const group = this.#groupOf(run);
    const pending = group.find(isPending);
    if (pending && !group.some(holdsGroup)) this.settle(pending, 'queued');
  }

  /** Oldest first; those that are over are in it no more. */
  #groupOf({ scope, concurrencyGroup }: Run): readonly Run[] {
    if (concurrencyGroup === null) return [];
    return (this.#byScope.get(scope) ?? []).filter((run) => run.concurrencyGroup === concurrencyGroup && run.status !== 'completed');
  }

  #endCancelled(): void {
    const now = this.#surroundings.now();
    if (now < this.#nextEnd) return;
    const due = [...this.#ending].filter(({ endsAt }) => endsAt !== null && endsAt <= now);
    for (const run of due) this.#completeAt(run, 'cancelled', run.endsAt ?? now);
    this.#nextEnd = [...this.#ending].reduce((next, { endsAt }) => Math.min(next, endsAt ?? next), Infinity);
  }
}

function isPending({ held }: Run): boolean {
  return held === 'pending';
}

/** Whether it has begun, or waits for nothing but a runner. */
function holdsGroup(run: Run): boolean {
  return !isPending(run);
}

/** The same job, to begin anew: nobody has it, and what it leaves behind is the same. */
function againOf({ name, labels, seconds, output }: Job): JobOptions {
  return { name, labels, seconds, ...output };
}

/** Where the run belongs among the others, which are sorted by creation. */
function placeOf(run: Run, runs: readonly Run[]): number {
  let [from, to] = [0, runs.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (isOlder(run, runs[middle])) to = middle;
    else from = middle + 1;
  }
  return from;
}

function isOlder(one: Run, other: Run | undefined): boolean {
  return other !== undefined && (one.createdAt - other.createdAt || one.id - other.id) < 0;
}
