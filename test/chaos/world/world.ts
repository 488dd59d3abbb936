// The ground truth: GitHub, hosts, machines, guests and jobs in virtual time. What happens by itself happens when somebody looks, in its order.

import type { LogSignCode } from '../../../src/domain/log-signs.ts';
import type { DrainMark, MachineState, RunnerTarget } from '../../../src/domain/runner.ts';
import { FAULT, Facts, NATURE, type Cause, type Change, type JobPhase } from './facts.ts';
import { Chance, HOUR, MINUTE, SECOND, Timeline, type Time } from './time.ts';

/** A runner's listener gives up connecting where its clock is farther from GitHub's. */
const CLOCK_TOLERATED_MS = 5 * MINUTE;
/** GitHub offers a job that nobody has taken anew after so long. */
const OFFERED_ANEW_MS = 60 * SECOND;
/** What the guest lets a held listener wait for at most, and one that it held itself when a job ended. */
const HELD_MS = 2 * MINUTE;
const HELD_AFTER_JOB_MS = 45 * SECOND;
/** A job whose runner is silent for so long is lost. */
const LEASE_MS = 10 * MINUTE;

export const VERSION = '2.337.0';

export interface Host {
  readonly name: string;
  bootedAt: number;
  wokeAt: number | null;
  /** Its `multipass` answers nobody until then. */
  hangsUntil: number;
  /** And starts nothing until then. */
  startsNothingUntil: number;
}

export interface Machine {
  readonly name: string;
  readonly host: Host;
  readonly runners: Runner[];
  state: MachineState;
  /** Counts what state it has been in, so that what was to happen in an earlier one does not. */
  era: number;
  bootId: string;
  bootedAt: number;
  /** Commands do not reach the guest, although it lives. */
  isOutOfReach: boolean;
  /** Nothing in it moves. */
  isFrozen: boolean;
  /** When commands got in again, after one or the other. */
  hiddenUntil: number;
  hasNetwork: boolean;
  clockOffsetMs: number;
  diskFreeBytes: number;
  /** Grows by what jobs leave, and by faults. */
  readonly diskBytes: number;
  /** What making room would still bring. */
  roomLeft: number;
  packageVersion: string | null;
  /** What waits for the end of a job needs it. */
  readonly hasPerl: boolean;
  fence: { number: number; holder: string };
  /** Its disk takes no file until then. */
  readOnlyUntil: number;
  readonly records: Map<string, { readonly kind: string }>;
  act: RunningAct | null;
  /** Who stopped it last, while it does not run. */
  stoppedBy: Cause | null;
}

export interface RunningAct {
  readonly id: number;
  readonly key: string;
  readonly fence: number;
  readonly holder: string;
  readonly ending: AbortController;
  readonly result: Promise<{ readonly kind: string }>;
}

export interface Runner {
  readonly name: string;
  readonly target: RunnerTarget;
  readonly machine: Machine;
  readonly scope: Scope;
  /** `.runner` and its credentials. */
  agentId: number | null;
  /** What a job has written into `.runner`. */
  writtenAgentId: number | null;
  /** What a recovery has set aside. */
  aside: { readonly agentId: number | null } | null;
  /** Who has set its configuration aside, until it serves again. */
  unfinished: { readonly by: string; since: number } | null;
  unit: 'active' | 'inactive' | 'missing';
  startsAtBoot: boolean;
  serviceSince: number;
  sign: LogSignCode | null;
  drain: (DrainMark & { readonly installation: string }) | null;
  /** Its guest holds the listener in the moment in which its job ends. */
  isWaitedFor: boolean;
  listener: Listener | null;
  job: Job | null;
  /** A person's last word, if that is that it shall take no jobs. */
  wish: Wish | null;
  /** The last drain or resume of a person. */
  lastWord: string | null;
  /** Since when it has been as it should be; `null` while it is not. */
  wellSince: number | null;
  /** By operation: when a question about it that GitHub answered left. */
  readonly askedAt: Map<string, number>;
}

/** That a runner shall take no jobs. */
export interface Wish {
  /** The drain that was begun for it. */
  readonly workflowId: string;
  /** Which Runward was told so: while its guest is off, no other can know. */
  readonly toldTo: string;
  /** An earlier one, which holds if this drain fails. */
  readonly before: Wish | null;
}

/** What a person asked for. */
export interface Asked {
  readonly runner: string;
  readonly isForced: boolean;
  /** The wish that a resume is to end. */
  readonly undoes?: Wish | null;
}

/** `Runner.Listener` of the service. */
export interface Listener {
  readonly runner: Runner;
  isConnected: boolean;
  /** Held by SIGSTOP until then; 0: not. */
  heldUntil: number;
  /** It lives, and hears nothing. */
  isDeaf: boolean;
  updatingUntil: number;
  /** Sent by GitHub, not read. */
  offer: Job | null;
  /** Polls that ended while it was held. */
  unread: number;
  isEnded: boolean;
}

export interface Registration {
  readonly id: number;
  readonly name: string;
  labels: readonly string[];
  readonly runner: Runner;
  status: 'online' | 'offline';
  /** GitHub goes on to call it busy. */
  busyUntil: number;
  /** Of a connection, so that an earlier one's end is none of a later one. */
  connection: number;
}

export interface Job {
  readonly id: number;
  readonly run: WorkflowRun;
  readonly labels: readonly string[];
  readonly lastsMs: number;
  readonly createdAt: number;
  startedAt: number | null;
  state: 'queued' | 'offered' | 'assigned' | 'works' | 'over';
  runner: Runner | null;
  conclusion: 'success' | 'cancelled' | null;
}

export interface WorkflowRun {
  readonly id: number;
  readonly scope: Scope;
  readonly workflowId: number;
  readonly event: 'push' | 'pull_request';
  readonly branch: string;
  readonly pullRequest: number | null;
  readonly sha: string;
  readonly createdAt: number;
  attempt: number;
  startedAt: number;
  jobs: Job[];
  conclusion: 'success' | 'cancelled' | null;
  /** Cancelled by Runward, for no reason that lets it stay so. */
  shallComeBack: boolean;
  /** It was stale and could have made way as well. */
  mayComeBack: boolean;
}

export interface Scope {
  readonly name: string;
  readonly isRepository: boolean;
  readonly registrations: Map<number, Registration>;
  readonly runs: WorkflowRun[];
  readonly waiting: Job[];
  /** Lists leave these out until then, by name; `*`: all. */
  readonly unlisted: Map<string, number>;
  readonly staleStatusUntil: Map<number, { readonly status: 'online' | 'offline'; readonly until: number }>;
}

export interface GitHubDays {
  downUntil: number;
  limitedUntil: number;
  slowUntil: number;
  /** Of requests in a slow hour that never come back. */
  lostShare: number;
  /** From 0 up to 1: how slow a slow hour is. */
  slowness: number;
}

export interface Site {
  readonly targets: readonly RunnerTarget[];
}

export class World {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly facts: Facts;
  readonly hosts = new Map<string, Host>();
  readonly machines = new Map<string, Machine>();
  readonly runners: Runner[] = [];
  readonly scopes = new Map<string, Scope>();
  readonly github: GitHubDays = { downUntil: 0, limitedUntil: 0, slowUntil: 0, lostShare: 0, slowness: 0 };
  /** By the ids of workflows that people started. */
  readonly byHand = new Map<string, Asked>();
  readonly #time: Time;
  #ids = 100;

  constructor(time: Time, seed: number, { targets }: Site) {
    this.#time = time;
    this.timeline = new Timeline(time.now());
    this.chance = new Chance(seed, this.timeline);
    this.facts = new Facts(this.timeline);
    for (const target of targets) this.#install(target);
  }

  get now(): number {
    return this.timeline.now;
  }

  /** Lets happen what has happened until now. */
  advance(): void {
    this.timeline.advanceTo(this.#time.now());
  }

  /** Time passes; it goes on where the caller has gone. */
  async pass(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#time.sleep(Math.max(1, Math.round(ms)), signal);
    this.advance();
  }

  newId(): number {
    return (this.#ids += 1);
  }

  runner(target: RunnerTarget): Runner {
    const found = this.runners.find(({ target: { scope, runner } }) => scope === target.scope && runner === target.runner);
    if (found === undefined) throw new Error(`the world has no runner ${target.scope}/${target.runner}`);
    return found;
  }

  runnerNamed(name: string): Runner {
    const found = this.runners.find((runner) => runner.name === name);
    if (found === undefined) throw new Error(`the world has no runner ${name}`);
    return found;
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`the world has no machine ${name}`);
    return machine;
  }

  #install(target: RunnerTarget): void {
    const now = this.now;
    const host = this.hosts.get(target.host) ?? {
      name: target.host,
      bootedAt: now - 30 * 24 * HOUR,
      wokeAt: null,
      hangsUntil: 0,
      startsNothingUntil: 0,
    };
    this.hosts.set(host.name, host);
    const machine: Machine = this.machines.get(target.machine) ?? {
      name: target.machine,
      host,
      runners: [],
      state: 'running',
      era: 0,
      bootId: `${target.machine}-boot-0`,
      bootedAt: now - 2 * HOUR,
      isOutOfReach: false,
      isFrozen: false,
      hiddenUntil: 0,
      hasNetwork: true,
      clockOffsetMs: 0,
      diskFreeBytes: 20 * GIB,
      diskBytes: 40 * GIB,
      roomLeft: 0,
      packageVersion: VERSION,
      hasPerl: this.chance.isSo(`perl in ${target.machine}`, 0.9),
      fence: { number: 0, holder: 'nobody' },
      readOnlyUntil: 0,
      records: new Map(),
      act: null,
      stoppedBy: null,
    };
    this.machines.set(machine.name, machine);
    const scope: Scope = this.scopes.get(target.scope) ?? {
      name: target.scope,
      isRepository: target.scope.includes('/'),
      registrations: new Map(),
      runs: [],
      waiting: [],
      unlisted: new Map(),
      staleStatusUntil: new Map(),
    };
    this.scopes.set(scope.name, scope);
    const runner: Runner = {
      name: `${target.scope}/${target.runner}`,
      target,
      machine,
      scope,
      agentId: null,
      writtenAgentId: null,
      aside: null,
      unfinished: null,
      unit: 'active',
      startsAtBoot: true,
      serviceSince: now - HOUR,
      sign: null,
      drain: null,
      isWaitedFor: false,
      listener: null,
      job: null,
      wish: null,
      lastWord: null,
      wellSince: null,
      askedAt: new Map(),
    };
    machine.runners.push(runner);
    this.runners.push(runner);
    runner.agentId = this.register(runner).id;
    runner.listener = newListener(runner);
    this.#connect(runner.listener);
    this.registrationOf(runner)!.status = 'online';
  }

  // Registrations

  register(runner: Runner, custom: readonly string[] = runner.target.labels): Registration {
    const { scope, target } = runner;
    // `config.sh --replace` takes the place of one of the same name.
    for (const [id, each] of scope.registrations) if (each.name === target.runner) scope.registrations.delete(id);
    const registration: Registration = {
      id: this.newId(),
      name: target.runner,
      labels: ['self-hosted', 'Linux', 'X64', ...custom],
      runner,
      status: 'offline',
      busyUntil: 0,
      connection: 0,
    };
    scope.registrations.set(registration.id, registration);
    return registration;
  }

  /** That of the configuration in the guest. */
  registrationOf(runner: Runner): Registration | null {
    return runner.agentId === null ? null : (runner.scope.registrations.get(runner.agentId) ?? null);
  }

  /** GitHub removes it: somebody clicked, or it was away for too long. */
  deregister(runner: Runner): void {
    const registration = this.registrationOf(runner);
    if (registration === null || runner.job !== null) return;
    runner.scope.registrations.delete(registration.id);
    const { listener } = runner;
    if (listener !== null && listener.isConnected) {
      listener.isConnected = false;
      this.timeline.after(this.chance.between('deregistered', 1, 30) * SECOND, () => this.#listenerEnds(listener, 'registration-deleted'));
    }
    this.judge(runner);
  }

  isBusyShown(registration: Registration): boolean {
    const { runner } = registration;
    return (
      (runner.job !== null && runner.agentId === registration.id) ||
      (runner.listener?.offer ?? null) !== null ||
      registration.busyUntil > this.now
    );
  }

  statusShown(registration: Registration): 'online' | 'offline' {
    const stale = registration.runner.scope.staleStatusUntil.get(registration.id);
    return stale !== undefined && stale.until > this.now ? stale.status : registration.status;
  }

  isListed({ name, runner: { scope } }: Registration): boolean {
    return Math.max(scope.unlisted.get('*') ?? 0, scope.unlisted.get(name) ?? 0) <= this.now;
  }

  // Listeners

  /** Whether guest and network let its processes do anything. */
  #moves({ machine }: Runner): boolean {
    return machine.state === 'running' && !machine.isFrozen;
  }

  #connectSoon(listener: Listener, fromMs: number, toMs: number): void {
    this.timeline.after(this.chance.between(`connect ${listener.runner.name}`, fromMs, toMs), () => this.#connect(listener));
  }

  #connect(listener: Listener): void {
    const { runner } = listener;
    const { machine } = runner;
    if (listener.isEnded || listener.isConnected || listener.isDeaf) return;
    const isHeld = listener.heldUntil > this.now;
    if (!this.#moves(runner) || !machine.hasNetwork || isHeld || listener.updatingUntil > this.now) {
      this.#connectSoon(listener, 20_000, 40_000);
      return;
    }
    if (Math.abs(machine.clockOffsetMs) >= CLOCK_TOLERATED_MS) {
      runner.sign = 'clock-skew';
      this.#connectSoon(listener, 25_000, 35_000);
      return;
    }
    const registration = this.registrationOf(runner);
    if (runner.agentId === null || registration === null) {
      this.#listenerEnds(listener, runner.agentId === null ? 'not-configured' : 'registration-deleted');
      return;
    }
    listener.isConnected = true;
    runner.sign = null;
    const connection = (registration.connection += 1);
    if (runner.job === null && registration.busyUntil > this.now && this.chance.isSo('busy ends with a new session', 0.5)) {
      registration.busyUntil = 0;
    }
    this.timeline.after(this.chance.skewed(`online ${runner.name}`, 1_500, 45_000), () => {
      if (registration.connection === connection) registration.status = 'online';
    });
    this.judge(runner);
    this.dispatch(runner.scope);
  }

  /** @param isSaid it says goodbye, so that GitHub knows soon */
  #disconnect(listener: Listener, isSaid: boolean): void {
    const { runner } = listener;
    const registration = this.registrationOf(runner);
    if (listener.isConnected && registration !== null) {
      const connection = (registration.connection += 1);
      const lag = isSaid ? this.chance.between('goodbye', 500, 5_000) : this.chance.between('silence', 60_000, 110_000);
      this.timeline.after(lag, () => {
        if (registration.connection === connection) registration.status = 'offline';
      });
    }
    listener.isConnected = false;
    const { offer } = listener;
    if (offer !== null) {
      listener.offer = null;
      this.timeline.after(OFFERED_ANEW_MS, () => this.#queueAgain(offer));
    }
    this.judge(runner);
  }

  /** It ends by itself. */
  #listenerEnds(listener: Listener, sign: LogSignCode): void {
    const { runner } = listener;
    if (listener.isEnded) return;
    if (!this.#moves(runner)) {
      this.timeline.after(30 * SECOND, () => this.#listenerEnds(listener, sign));
      return;
    }
    if (runner.job !== null) this.loseJob(runner, 'its registration is gone', NATURE);
    this.#disconnect(listener, true);
    listener.isEnded = true;
    runner.listener = null;
    runner.unit = 'inactive';
    runner.sign = sign;
    this.judge(runner);
  }

  startListener(runner: Runner, cause: Cause): void {
    if (runner.unit === 'active' && runner.listener !== null) return;
    runner.unit = 'active';
    runner.serviceSince = this.now;
    runner.sign = null;
    const listener = newListener(runner);
    runner.listener = listener;
    this.changed('service-started', runner, cause);
    if (runner.agentId === null) {
      this.timeline.after(2 * SECOND, () => this.#listenerEnds(listener, 'not-configured'));
    } else {
      this.#connectSoon(listener, 1_000, 8_000);
    }
  }

  /** As `systemctl stop` does it, or a kill. */
  stopListener(runner: Runner, cause: Cause, how = 'its service was stopped'): void {
    const { listener } = runner;
    if (listener !== null || runner.unit === 'active') this.changed('service-stopped', runner, cause);
    if (runner.job !== null) this.loseJob(runner, how, cause);
    if (listener !== null) {
      this.#disconnect(listener, true);
      listener.isEnded = true;
    }
    runner.listener = null;
    if (runner.unit === 'active') runner.unit = 'inactive';
    runner.isWaitedFor = false;
    this.judge(runner);
  }

  hold(runner: Runner, ms = HELD_MS): void {
    const { listener } = runner;
    if (listener === null) return;
    const until = this.now + ms;
    listener.heldUntil = until;
    if (listener.isConnected && this.chance.isSo('a poll ends while it is held', 0.3)) {
      this.timeline.after(this.chance.between('poll', 1_000, 50_000), () => {
        if (listener.heldUntil > this.now) listener.unread += 1;
      });
    }
    this.timeline.at(until, () => {
      if (listener.heldUntil === until) this.letGo(runner);
    });
  }

  isHeld(runner: Runner): boolean {
    return (runner.listener?.heldUntil ?? 0) > this.now;
  }

  letGo(runner: Runner): void {
    const { listener } = runner;
    if (listener === null || listener.heldUntil === 0) return;
    listener.heldUntil = 0;
    listener.unread = 0;
    if (listener.offer !== null) this.#takeSoon(listener, listener.offer);
    if (runner.job?.state === 'assigned') this.#beginSoon(runner, runner.job);
  }

  /** What GitHub has sent and nobody has read. */
  unread(runner: Runner): string {
    const { listener } = runner;
    if (listener === null || !this.isHeld(runner)) return '';
    return `${listener.unread}${listener.offer === null ? '' : ` job ${listener.offer.id}`}`;
  }

  // Jobs

  addRun(
    scope: Scope,
    about: Pick<WorkflowRun, 'workflowId' | 'event' | 'branch' | 'pullRequest' | 'sha'>,
    jobs: readonly Pick<Job, 'labels' | 'lastsMs'>[],
  ): WorkflowRun {
    const now = this.now;
    const run: WorkflowRun = {
      ...about,
      id: this.newId(),
      scope,
      createdAt: now,
      attempt: 1,
      startedAt: now,
      jobs: [],
      conclusion: null,
      shallComeBack: false,
      mayComeBack: false,
    };
    scope.runs.push(run);
    this.#queueJobs(run, jobs);
    this.facts.note({ kind: 'run', run: run.id, scope: scope.name, what: 'made', cause: NATURE, why: `${about.event} to ${about.branch}` });
    return run;
  }

  #queueJobs(run: WorkflowRun, jobs: readonly Pick<Job, 'labels' | 'lastsMs'>[]): void {
    run.jobs = jobs.map(({ labels, lastsMs }) => ({
      id: this.newId(),
      run,
      labels,
      lastsMs,
      createdAt: this.now,
      startedAt: null,
      state: 'queued',
      runner: null,
      conclusion: null,
    }));
    run.scope.waiting.push(...run.jobs);
    for (const job of run.jobs) this.#tell(job, null, 'waits');
    this.dispatch(run.scope);
  }

  #tell(job: Job, runner: Runner | null, what: JobPhase): void {
    const custom = job.labels.filter((label) => label !== 'self-hosted');
    this.facts.note({ kind: 'job', job: job.id, runner: runner?.name ?? null, what, custom });
  }

  rerun(run: WorkflowRun): void {
    run.attempt += 1;
    run.startedAt = this.now;
    run.conclusion = null;
    run.shallComeBack = false;
    run.mayComeBack = false;
    this.#queueJobs(run, run.jobs);
  }

  cancelRun(run: WorkflowRun, cause: Cause, { couldBeKnown }: { readonly couldBeKnown: boolean }): void {
    for (const job of run.jobs) {
      if (job.state === 'queued' || job.state === 'offered') {
        const { listener } = job.runner ?? {};
        if (listener?.offer === job) listener.offer = null;
        job.state = 'over';
        job.conclusion = 'cancelled';
      } else if (job.state !== 'over' && job.runner !== null) {
        this.loseJob(job.runner, 'its run was cancelled', cause, couldBeKnown);
      }
    }
    const waiting = run.scope.waiting.filter((job) => job.run !== run);
    run.scope.waiting.splice(0, run.scope.waiting.length, ...waiting);
    run.conclusion = 'cancelled';
  }

  /** GitHub gives what waits to whoever polls. */
  dispatch(scope: Scope): void {
    if (scope.waiting.length === 0) return;
    const left: Job[] = [];
    for (const job of scope.waiting) {
      const taker = this.#takerOf(scope, job);
      if (taker === null) left.push(job);
      else this.#offer(job, taker);
    }
    scope.waiting.splice(0, scope.waiting.length, ...left);
  }

  #takerOf(scope: Scope, job: Job): Runner | null {
    for (const registration of scope.registrations.values()) {
      const { runner } = registration;
      const { listener } = runner;
      const isFree =
        listener !== null &&
        listener.isConnected &&
        !listener.isDeaf &&
        listener.offer === null &&
        runner.job === null &&
        runner.agentId === registration.id &&
        registration.busyUntil <= this.now &&
        !(listener.heldUntil > this.now && listener.unread > 0);
      if (isFree && job.labels.every((label) => registration.labels.includes(label))) return runner;
    }
    return null;
  }

  #offer(job: Job, runner: Runner): void {
    const { listener } = runner;
    if (listener === null) return;
    job.state = 'offered';
    job.runner = runner;
    listener.offer = job;
    this.#tell(job, runner, 'offered');
    if (!this.isHeld(runner)) this.#takeSoon(listener, job);
    this.timeline.after(OFFERED_ANEW_MS, () => {
      if (listener.offer === job && job.state === 'offered' && !this.isHeld(runner)) {
        listener.offer = null;
        this.#queueAgain(job);
      }
    });
  }

  #takeSoon(listener: Listener, job: Job): void {
    const { runner } = listener;
    this.timeline.after(this.chance.between(`take ${runner.name}`, 100, 1_500), () => {
      const mayTake =
        listener.offer === job && !listener.isEnded && !this.isHeld(runner) && this.#moves(runner) && runner.machine.hasNetwork;
      if (!mayTake || job.state !== 'offered') return;
      listener.offer = null;
      job.state = 'assigned';
      job.startedAt = this.now;
      runner.job = job;
      this.#tell(job, runner, 'assigned');
      this.#beginSoon(runner, job);
    });
  }

  /** Between the assignment and the worker. */
  #beginSoon(runner: Runner, job: Job): void {
    const gap = this.chance.skewed(`begin ${runner.name}`, 500, 45_000);
    this.timeline.after(gap, () => {
      if (runner.job !== job || job.state !== 'assigned' || this.isHeld(runner)) return;
      if (!this.#moves(runner)) {
        this.timeline.after(30 * SECOND, () => this.#beginSoon(runner, job));
        return;
      }
      job.state = 'works';
      this.#tell(job, runner, 'works');
      this.#endAfter(runner, job, job.lastsMs);
    });
  }

  #endAfter(runner: Runner, job: Job, ms: number): void {
    this.timeline.after(ms, () => {
      if (runner.job !== job) return;
      if (!this.#moves(runner) || !runner.machine.hasNetwork) {
        this.#endAfter(runner, job, MINUTE);
        return;
      }
      runner.job = null;
      job.state = 'over';
      job.conclusion = 'success';
      this.#tell(job, runner, 'ended');
      this.#endRun(job.run);
      this.#updateItself(runner);
      if (runner.isWaitedFor && this.chance.isSo(`the listener of ${runner.name} has not asked yet`, 0.9))
        this.hold(runner, HELD_AFTER_JOB_MS);
      this.dispatch(runner.scope);
    });
  }

  #endRun(run: WorkflowRun): void {
    if (run.jobs.every(({ state }) => state === 'over')) {
      run.conclusion = run.jobs.every(({ conclusion }) => conclusion === 'success') ? 'success' : 'cancelled';
      this.facts.note({ kind: 'run', run: run.id, scope: run.scope.name, what: 'over', cause: NATURE, why: run.conclusion });
    }
  }

  #queueAgain(job: Job): void {
    if (job.state !== 'offered') return;
    job.state = 'queued';
    job.runner = null;
    job.run.scope.waiting.push(job);
    this.#tell(job, null, 'back in the queue');
    this.dispatch(job.run.scope);
  }

  /** A listener updates itself between two jobs now and then, and is away for a while. */
  #updateItself(runner: Runner): void {
    const { listener } = runner;
    if (listener === null || !this.chance.isSo(`update ${runner.name}`, 0.02)) return;
    this.#disconnect(listener, true);
    listener.isEnded = true;
    const ms = this.chance.between('update', 15_000, 60_000);
    const next = { ...newListener(runner), updatingUntil: this.now + ms };
    runner.listener = next;
    runner.sign = 'updating';
    this.#connectSoon(next, ms + 1_000, ms + 4_000);
  }

  /** A job that ran ends before its time. */
  loseJob(runner: Runner, how: string, cause: Cause, couldBeKnown = true): void {
    const { job } = runner;
    if (job === null) return;
    runner.job = null;
    job.state = 'over';
    job.conclusion = 'cancelled';
    this.facts.note({ kind: 'job-disturbed', job: job.id, runner: runner.name, how, cause, couldBeKnown });
    const registration = this.registrationOf(runner);
    if (registration !== null && runner.machine.state !== 'running') {
      registration.busyUntil = this.now + this.chance.between('lease', 10, 15) * MINUTE;
    }
    this.#endRun(job.run);
  }

  // Machines

  /** Nobody says goodbye. */
  cutPower(machine: Machine, cause: Cause, state: 'stopped' | 'suspended' = 'stopped'): void {
    if (machine.state === 'stopped' || machine.state === 'suspended') return;
    const living =
      machine.isFrozen || !machine.hasNetwork || machine.state !== 'running'
        ? []
        : machine.runners.filter((runner) => this.#livesForGitHub(runner));
    this.facts.note({
      kind: 'power',
      what: 'cut',
      machine: machine.name,
      cause,
      living: living.map(({ name }) => name),
      isKeptDown: false,
    });
    machine.state = state;
    machine.era += 1;
    machine.stoppedBy = cause;
    machine.act?.ending.abort(new Error('the machine went down in the middle of an act'));
    for (const runner of machine.runners) {
      if (runner.job !== null) this.loseJob(runner, 'the power of its machine was cut', cause);
      const { listener } = runner;
      if (listener !== null) {
        this.#disconnect(listener, false);
        listener.isEnded = true;
        runner.listener = null;
      }
      this.judge(runner);
    }
  }

  /** GitHub would say so if it were asked. */
  #livesForGitHub(runner: Runner): boolean {
    const registration = this.registrationOf(runner);
    return (
      runner.listener?.isConnected === true && registration !== null && (registration.status === 'online' || this.isBusyShown(registration))
    );
  }

  /** From `starting` on. */
  beginStart(machine: Machine, cause: Cause): void {
    const isToldSo = ({ wish }: Runner): boolean => wish !== null && cause.by === 'runward' && wish.toldTo === cause.installation;
    const isKeptDown = machine.stoppedBy?.by === 'person' && machine.runners.every(isToldSo);
    this.facts.note({ kind: 'power', what: 'started', machine: machine.name, cause, living: [], isKeptDown });
    machine.state = 'starting';
    machine.era += 1;
  }

  /** The hardware clock is right, and enabled units start. */
  boot(machine: Machine, cause: Cause): void {
    machine.state = 'running';
    machine.stoppedBy = null;
    machine.bootedAt = this.now;
    machine.bootId = `${machine.name}-boot-${machine.era}`;
    machine.isOutOfReach = false;
    machine.isFrozen = false;
    machine.hasNetwork = true;
    machine.readOnlyUntil = 0;
    for (const { unfinished } of machine.runners) if (unfinished !== null) unfinished.since = this.now;
    machine.clockOffsetMs = 0;
    this.facts.note({ kind: 'power', what: 'on', machine: machine.name, cause, living: [], isKeptDown: false });
    for (const runner of machine.runners) {
      runner.unit = runner.unit === 'missing' ? 'missing' : 'inactive';
      runner.isWaitedFor = false;
      if (runner.startsAtBoot && runner.unit === 'inactive') this.startListener(runner, NATURE);
      this.judge(runner);
    }
  }

  /** Nothing in the guest moves, nobody reaches it; it may come back by itself. */
  freezeGuest(machine: Machine, ms: number): void {
    if (machine.state !== 'running') return;
    machine.isFrozen = true;
    this.#silence(machine, ms, () => {
      machine.isFrozen = false;
      machine.hiddenUntil = this.now;
    });
  }

  /** The guest lives, and GitHub does not hear of it. */
  cutNetwork(machine: Machine, ms: number): void {
    if (machine.state !== 'running') return;
    machine.hasNetwork = false;
    this.#silence(machine, ms, () => {
      machine.hasNetwork = true;
    });
  }

  #silence(machine: Machine, ms: number, end: () => void): void {
    const { era } = machine;
    for (const runner of machine.runners) {
      const { listener, job } = runner;
      if (listener !== null) this.#disconnect(listener, false);
      this.timeline.after(Math.min(ms, LEASE_MS), () => {
        if (ms > LEASE_MS && machine.era === era && job !== null && runner.job === job)
          this.loseJob(runner, 'its runner was silent for too long', FAULT);
      });
    }
    this.timeline.after(ms, () => {
      if (machine.era !== era) return;
      end();
      for (const { listener } of machine.runners) if (listener !== null) this.#connectSoon(listener, 1_000, 40_000);
    });
  }

  /** Commands do not get in, while its jobs go on. */
  hide(machine: Machine, ms: number): void {
    if (machine.state !== 'running') return;
    const { era } = machine;
    machine.isOutOfReach = true;
    this.timeline.after(ms, () => {
      if (machine.era !== era) return;
      machine.isOutOfReach = false;
      machine.hiddenUntil = this.now;
    });
  }

  /** GitHub hears the listener no more, although it lives. */
  deafen(runner: Runner): void {
    const { listener } = runner;
    if (listener === null || runner.job !== null || listener.offer !== null) return;
    listener.isDeaf = true;
    // Offline in GitHub's eyes, or online and without jobs.
    if (this.chance.isSo('deaf and offline', 0.6)) this.#disconnect(listener, false);
    this.judge(runner);
  }

  driftClock(machine: Machine, ms: number): void {
    if (machine.state !== 'running') return;
    machine.clockOffsetMs += ms;
    if (Math.abs(machine.clockOffsetMs) < CLOCK_TOLERATED_MS) return;
    for (const { listener } of machine.runners) {
      // Its token is refused when it is next renewed.
      if (listener === null) continue;
      this.timeline.after(this.chance.between('token', 1, 20) * MINUTE, () => {
        if (
          Math.abs(machine.clockOffsetMs) < CLOCK_TOLERATED_MS ||
          listener.isEnded ||
          listener.runner.job !== null ||
          listener.offer !== null
        )
          return;
        this.#disconnect(listener, false);
        this.#connectSoon(listener, 1_000, 5_000);
      });
    }
  }

  setClock(machine: Machine, cause: Cause): void {
    const step = Math.abs(machine.clockOffsetMs);
    machine.clockOffsetMs = 0;
    for (const runner of machine.runners) {
      if (step >= MINUTE && runner.job !== null) {
        this.facts.note({
          kind: 'job-disturbed',
          job: runner.job.id,
          runner: runner.name,
          how: `the clock of its machine was set by ${Math.round(step / SECOND)} s`,
          cause,
          couldBeKnown: true,
        });
      }
      this.changed('clock-set', runner, cause);
    }
  }

  /** A listener that a fault ends. */
  killService(runner: Runner): void {
    if (runner.job === null && runner.unit === 'active' && this.#moves(runner)) this.stopListener(runner, FAULT);
  }

  // Truth

  changed(what: Change, runner: Runner, cause: Cause): void {
    const { machine } = runner;
    const askedAt = cause.by === 'runward' ? runner.askedAt.get(`${cause.installation} ${cause.runId}`) : undefined;
    this.facts.note({
      kind: 'changed',
      what,
      runner: runner.name,
      machine: machine.name,
      cause,
      wordAgeMs: askedAt === undefined ? null : this.now - askedAt,
      wasHealthy: runner.wellSince !== null && this.now - runner.wellSince >= 2 * MINUTE,
      livesThere: machine.runners.some(({ listener, job }) => listener !== null || job !== null),
      isDrainedByPerson: runner.drain?.by === 'person',
    });
  }

  /** Whether GitHub could give it a job. */
  isWell(runner: Runner): boolean {
    const { listener, machine } = runner;
    const registration = this.registrationOf(runner);
    return (
      listener !== null &&
      listener.isConnected &&
      !listener.isDeaf &&
      registration !== null &&
      registration.busyUntil <= this.now &&
      machine.state === 'running' &&
      !machine.isFrozen &&
      machine.hasNetwork
    );
  }

  /** Notes whether it is well from now on. */
  judge(runner: Runner): void {
    runner.wellSince = this.isWell(runner) ? (runner.wellSince ?? this.now) : null;
  }
}

export const GIB = 1024 ** 3;

/** What is left of a wish when the drain of it has failed. */
export function wishWithout(wish: Wish | null, workflowId: string): Wish | null {
  if (wish === null) return null;
  const before = wishWithout(wish.before, workflowId);
  return wish.workflowId === workflowId ? before : { ...wish, before };
}

function newListener(runner: Runner): Listener {
  return { runner, isConnected: false, heldUntil: 0, isDeaf: false, updatingUntil: 0, offer: null, unread: 0, isEnded: false };
}
