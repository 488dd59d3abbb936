// What must never be, and what must come to be: judged by what has truly happened and how things truly stand, and by nothing that Runward says of itself.

import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { machineLedgerId } from '../../src/domain/names.ts';
import type { Installation } from './installation.ts';
import type { Cause, Fact, Runwards } from './world/facts.ts';
import { HOUR, MINUTE, SECOND } from './world/time.ts';
import { wishWithout, type Runner, type World } from './world/world.ts';

export interface Violation {
  readonly at: number;
  readonly invariant: InvariantName;
  /** What was so, in a sentence. */
  readonly what: string;
  /** The same without names and numbers: two of one kind most likely have one cause. */
  readonly sort: string;
}

/** Each in a sentence, for stories and reports. */
export const INVARIANTS = {
  'job-disturbed': 'no job that ran, from its assignment on, is disturbed without a `--force` of a person',
  'healthy-re-registered': 'no healthy runner is registered anew',
  'two-acts': 'no two operations act on one machine at the same time',
  'old-word': 'nothing is stopped, moved or set on a word of GitHub that is older than three minutes, or without one',
  'living-guest-cut': 'the power of a machine is not cut while GitHub would show a runner of it online or at work',
  'drain-broken': 'what a person drained stays drained',
  'cordon-broken': 'a drained runner is offered no job that asks for a custom label once its drain has taken its labels away',
  'kept-down-started': 'a machine that a person stopped, and whose runner a person drained, is not started by a check',
  'drain-not-marked': 'a drain marks its runner within ten minutes, whatever GitHub says, if the guest can be reached',
  'done-twice': 'nothing is done twice',
  'wrong-run-ended': 'no run is ended that no rule names, and none of which a job has started',
  'parked-run-lost': 'a run that made way is run again once nothing presses, or told as lost',
  budget: 'checks disturb a runner, and try to, no more often than the budgets allow',
  'not-online': 'an hour after the last fault, or four checks if these take longer, everything that should be online is online',
  'not-started': 'what Runward stopped, Runward starts',
  'half-done': 'no operation leaves a runner without a configuration that it had',
  'stuck-in-silence':
    'nobody waits longer than 45 minutes, or three checks if these take longer, for what is no job without a word to people',
  'machine-held-idle': 'no machine is held for 30 minutes by an operation that does nothing in it',
  unexplained: 'each act is explained: by a report of its operation, and an entry in the ledger',
} as const;
export type InvariantName = keyof typeof INVARIANTS;

/** GitHub's word may be 30 s old when a task is taken; a slow guest is granted the rest. */
const OLDEST_WORD_MS = 3 * MINUTE;
const GRACE_MS = HOUR;
/** As many passes of queue care, which come hourly. */
const QUEUE_GRACE_MS = 4 * HOUR;
/** Findings and cures need up to so many checks, where these are far between. */
const GRACE_CHECKS = 4;
const SILENT_CHECKS = 3;
const BUDGET_WITHIN_MS = 6 * HOUR;
/** Stops of one runner's service by checks: three recoveries, each with a restart and a registration, and upkeep beside. */
const MOST_STOPS = 8;
/** Attempts to recover one runner that failed: the budget is three, and stops after two failures in a row. */
const MOST_FAILED_ATTEMPTS = 4;
const MARKED_WITHIN_MS = 10 * MINUTE;
const SILENT_AFTER_MS = 45 * MINUTE;
const HELD_IDLE_MS = 30 * MINUTE;

const CURES: ReadonlySet<string> = new Set([
  'recoverRunner',
  'drainRunner',
  'resumeRunner',
  'syncClock',
  'makeRoom',
  'healActionsCache',
  'cleanActionsCache',
]);
const NEEDS_WORD: ReadonlySet<string> = new Set(['service-stopped', 'set-aside', 'clock-set', 'removed-from-cache', 'room-made']);

const RESET = /temporal workflow reset --workflow-id (\S+?)`/;

/** Workflow id of what a check does about a runner. */
const CURE = /^cure\/(.+)$/;
/** The same for all that checks begin about one. */
const BY_CHECK = /^(?:cure|drain|resume)\/(.+?)(?:\/room)?$/;

interface OpenOperation {
  readonly installation: string;
  readonly workflowId: string;
  readonly type: string;
  readonly since: number;
  hasChanged: boolean;
  setAside: Runner | null;
}

/** How long all may take to become well after the last fault. */
export function graceMsOf(everyMinutes: number): number {
  return Math.max(GRACE_MS, GRACE_CHECKS * everyMinutes * MINUTE);
}

export class Watch {
  /** One of each kind and sort of act, oldest first. */
  readonly violations: Violation[] = [];
  readonly #seen = new Set<string>();
  readonly #world: World;
  readonly #installations: readonly Installation[];
  readonly #graceMs: number;
  readonly #silentAfterMs: number;
  /** By run id. */
  readonly #open = new Map<string, OpenOperation>();
  /** Since when a workflow id works, over its runs. */
  readonly #since = new Map<string, number>();
  readonly #acts = new Map<number, { readonly machine: string; readonly cause: Runwards }>();
  /** Workflow ids of operations that a person has reset. */
  readonly #reset = new Set<string>();
  readonly #lastActAt = new Map<string, number>();
  /** By runner: when something last went wrong with it, or a person meddled. */
  readonly #troubledAt = new Map<string, number>();
  #workerTroubleAt = 0;
  /** A budget is counted by that clock. */
  #clockAheadAt = 0;
  readonly #stops = new Map<string, number[]>();
  /** When checks began to cure something of a runner. */
  readonly #cures = new Map<string, number[]>();
  readonly #failures = new Map<string, number[]>();
  readonly #failuresByHand = new Map<string, number[]>();
  readonly #registered = new Set<string>();
  readonly #told: Extract<Fact, { kind: 'told' }>[] = [];
  /** What was told and is not cleared, by who told it, of what. */
  readonly #findings = new Map<string, Extract<Fact, { kind: 'told' }>>();
  readonly #drains = new Map<string, { readonly at: number; readonly by: string }>();
  /** Drains that have changed nothing. */
  readonly #voidDrains = new Set<string>();
  readonly #cordoned = new Set<string>();
  readonly #pressedAt = new Map<string, number>();
  readonly #offSince = new Map<string, number>();
  readonly #workedAt = new Map<string, number>();

  constructor(world: World, installations: readonly Installation[], everyMinutes: number) {
    this.#world = world;
    this.#graceMs = graceMsOf(everyMinutes);
    this.#silentAfterMs = Math.max(SILENT_AFTER_MS, SILENT_CHECKS * everyMinutes * MINUTE);
    this.#installations = installations;
    world.facts.hear((fact) => this.#hear(fact));
  }

  #break(invariant: InvariantName, what: string): void {
    const sort = `${invariant}: ${sortOf(what)}`;
    if (this.#seen.has(sort)) return;
    this.#seen.add(sort);
    this.violations.push({ at: this.#world.now, invariant, what, sort });
  }

  // As things happen

  #hear(fact: Fact): void {
    switch (fact.kind) {
      case 'fault':
        for (const runner of fact.touches) this.#trouble(runner, Math.max(fact.at, fact.until));
        if (fact.what.startsWith("Temporal's clock")) this.#clockAheadAt = fact.until;
        if (/worker|Temporal|host/.test(fact.what)) this.#workerTroubleAt = Math.max(this.#workerTroubleAt, fact.until);
        break;
      case 'person':
        for (const runner of fact.touches) this.#trouble(runner, fact.at);
        this.#reset.add(RESET.exec(fact.what)?.[1] ?? '');
        break;
      case 'job-disturbed':
        this.#workedAt.set(fact.runner, fact.at);
        if (fact.couldBeKnown && isUnforced(fact.cause))
          this.#break('job-disturbed', `job ${fact.job} of ${fact.runner}: ${fact.how} by ${nameOf(fact.cause)}`);
        break;
      case 'act-began':
        this.#actBegan(fact);
        break;
      case 'act-ended':
        this.#acts.delete(fact.act);
        this.#lastActAt.set(fact.machine, fact.at);
        break;
      case 'changed':
        this.#changed(fact);
        break;
      case 'power':
        this.#power(fact);
        break;
      case 'run':
        this.#run(fact);
        break;
      case 'operation':
        this.#operation(fact);
        break;
      case 'told':
        this.#told.push(fact);
        this.#noteFinding(fact);
        break;
      case 'job':
        if (fact.runner !== null) this.#workedAt.set(fact.runner, fact.at);
        if (fact.what === 'offered' && fact.custom.length > 0 && this.#cordoned.has(fact.runner ?? ''))
          this.#break('cordon-broken', `job ${fact.job} asks for ${fact.custom.join(', ')}, and was offered to ${fact.runner}`);
        break;
      case 'asked-github':
        break;
    }
  }

  #noteFinding(fact: Extract<Fact, { kind: 'told' }>): void {
    const key = `${fact.installation} ${fact.subject} ${fact.code}`;
    if (fact.state === 'cleared') this.#findings.delete(key);
    else this.#findings.set(key, fact);
  }

  /** A reset begins an operation anew beside its own act, which goes on in the guest. */
  #isReset({ workflowId }: Runwards, other: Runwards): boolean {
    return workflowId === other.workflowId && this.#reset.has(workflowId);
  }

  /** A start is no harm beside the act of an operation that is over, which would start the machine itself. */
  #bothStart({ step }: Runwards, other: Runwards): boolean {
    return step === 'start-machine' && other.step.endsWith('-machine') && !this.#open.has(`${other.installation} ${other.runId}`);
  }

  #trouble(runner: string, until: number): void {
    this.#troubledAt.set(runner, Math.max(this.#troubledAt.get(runner) ?? 0, until));
  }

  #actBegan({ act, machine, cause }: Extract<Fact, { kind: 'act-began' }>): void {
    if (cause.by !== 'runward') return;
    for (const other of this.#acts.values()) {
      // Two Runwards know nothing of each other but what the guest's fence says.
      if (
        other.machine === machine &&
        other.cause.installation === cause.installation &&
        other.cause.runId !== cause.runId &&
        !this.#isReset(cause, other.cause) &&
        !this.#bothStart(cause, other.cause)
      ) {
        this.#break('two-acts', `${nameOf(cause)} began in ${machine} while ${nameOf(other.cause)} was at it`);
      }
    }
    this.#acts.set(act, { machine, cause });
    this.#lastActAt.set(machine, this.#world.now);
  }

  #changed(fact: Extract<Fact, { kind: 'changed' }>): void {
    const { cause, runner, what, wordAgeMs } = fact;
    if (cause.by !== 'runward') return;
    const operation = this.#open.get(`${cause.installation} ${cause.runId}`);
    if (operation !== undefined) {
      // A label at GitHub is nothing in the machine, whose ledger it is.
      operation.hasChanged ||= !what.startsWith('labels');
      if (what === 'set-aside') operation.setAside = this.#world.runnerNamed(runner);
      if (what === 'restored' || what === 'registered') operation.setAside = null;
    }
    if (what === 'set-aside' && fact.wasHealthy && !cause.isForced) {
      this.#break('healthy-re-registered', `${runner} was well, and ${nameOf(cause)} set its configuration aside`);
    }
    if (what === 'registered') {
      const key = `${cause.installation} ${cause.runId} ${runner}`;
      if (this.#registered.has(key)) this.#break('done-twice', `${nameOf(cause)} registered ${runner} a second time`);
      this.#registered.add(key);
    }
    // Where nothing lives that could take a job, the guest's own proof is enough to make room.
    const needsWord = NEEDS_WORD.has(what) && (what !== 'room-made' || fact.livesThere);
    if (needsWord && !cause.isForced && (wordAgeMs === null || wordAgeMs > OLDEST_WORD_MS)) {
      this.#break(
        'old-word',
        `${what} of ${runner} by ${nameOf(cause)}: GitHub's last answer about it was ${wordAgeMs === null ? 'none' : `${Math.round(wordAgeMs / SECOND)} s old`}`,
      );
    }
    const isResume = cause.type === 'resumeRunner' && cause.isByHand;
    if (fact.isDrainedByPerson && !isResume && ['service-started', 'unmarked', 'registered'].includes(what)) {
      this.#break('drain-broken', `${runner} is drained by a person: ${what} by ${nameOf(cause)}`);
    }
    if (what === 'marked') this.#drains.delete(runner);
    if (what === 'labels-taken-away') this.#cordoned.add(runner);
    if (cause.type === 'resumeRunner' && (what === 'labels-given-back' || what === 'unmarked')) this.#cordoned.delete(runner);
    if (what === 'service-stopped' && !cause.isByHand)
      this.#count(this.#stops, `${runner} (${cause.installation})`, MOST_STOPS, 'its service was stopped');
  }

  #count(counts: Map<string, number[]>, of: string, most: number, what: string): void {
    const { now } = this.#world;
    const recent = [...(counts.get(of) ?? []).filter((at) => now - at < BUDGET_WITHIN_MS), now];
    counts.set(of, recent);
    if (recent.length > most && now - this.#clockAheadAt > BUDGET_WITHIN_MS)
      this.#break('budget', `${of}: ${what} by checks ${recent.length} times within ${BUDGET_WITHIN_MS / HOUR} h`);
  }

  #power({ what, machine, cause, living, isKeptDown }: Extract<Fact, { kind: 'power' }>): void {
    if (cause.by !== 'runward') return;
    if (what === 'cut' && living.length > 0 && !cause.isForced) {
      this.#break(
        'living-guest-cut',
        `the power of ${machine} was cut by ${nameOf(cause)} while GitHub would show ${living.join(', ')} online or at work`,
      );
    }
    if (what === 'started' && isKeptDown && !cause.isByHand) {
      this.#break('kept-down-started', `${machine} was started by ${nameOf(cause)}`);
    }
  }

  #run({ run, what, why, cause }: Extract<Fact, { kind: 'run' }>): void {
    if (cause.by !== 'runward') return;
    if (what === 'cancelled' && (why === 'no rule names it' || why === 'a job of it had started')) {
      this.#break('wrong-run-ended', `run ${run} was cancelled by ${nameOf(cause)}: ${why}`);
    }
    if (what === 're-run') {
      const found = [...this.#world.scopes.values()].flatMap(({ runs }) => runs).find(({ id }) => id === run);
      if (found?.mayComeBack !== true)
        this.#break('done-twice', `run ${run} was run again by ${nameOf(cause)}, although it had not made way`);
    }
  }

  #operation({ installation, workflowId, runId, type, what, outcome, summary }: Extract<Fact, { kind: 'operation' }>): void {
    const { now } = this.#world;
    const key = `${installation} ${runId}`;
    const id = `${installation} ${workflowId}`;
    if (what === 'began') {
      if (!this.#since.has(id)) this.#since.set(id, now);
      this.#open.set(key, { installation, workflowId, type, since: this.#since.get(id) ?? now, hasChanged: false, setAside: null });
      this.#drainBegan(installation, workflowId, type);
      const cured = CURE.exec(workflowId)?.[1] ?? this.#world.byHand.get(workflowId)?.runner;
      if (cured !== undefined && ['recoverRunner', 'syncClock'].includes(type))
        this.#cures.set(cured, [...(this.#cures.get(cured) ?? []), now]);
      return;
    }
    const operation = this.#open.get(key);
    this.#open.delete(key);
    if (outcome !== 'CONTINUED_AS_NEW') this.#since.delete(id);
    if (type === 'drainRunner' && outcome !== 'CONTINUED_AS_NEW') this.#drainEnded(workflowId, outcome, summary);
    if (operation === undefined) return;
    if (type === 'resumeRunner' && outcome === 'failed' && !operation.hasChanged) this.#resumeFailed(workflowId);
    this.#ended(operation, outcome, summary);
  }

  #ended(operation: OpenOperation, outcome: string, summary: string): void {
    const { installation, workflowId, type, hasChanged } = operation;
    const [, ofRunner] = CURE.exec(workflowId) ?? [];
    if (type === 'recoverRunner' && ofRunner !== undefined && outcome === 'failed') {
      this.#count(this.#failures, `${ofRunner} (${installation})`, MOST_FAILED_ATTEMPTS, 'a recovery failed');
    }
    const askedFor = this.#world.byHand.get(workflowId)?.runner;
    if (type === 'recoverRunner' && askedFor !== undefined && outcome === 'failed') {
      const of = `${askedFor} (${installation})`;
      this.#failuresByHand.set(of, [...(this.#failuresByHand.get(of) ?? []), this.#world.now]);
    }
    if (outcome === 'TERMINATED' || outcome === 'CONTINUED_AS_NEW') return;
    const { setAside: runner } = operation;
    if (
      runner !== null &&
      runner.agentId === null &&
      runner.aside?.agentId != null &&
      runner.scope.registrations.has(runner.aside.agentId)
    ) {
      const { machine } = runner;
      const isTakenOver = [...this.#open.values()].some(
        (other) => other.type === 'recoverRunner' && other.workflowId === machine.fence.holder,
      );
      const isReached =
        machine.state === 'running' &&
        !machine.isFrozen &&
        !machine.isOutOfReach &&
        machine.readOnlyUntil < this.#world.now - this.#graceMs;
      if (isReached && !isTakenOver) {
        this.#break('half-done', `${type} ${workflowId} ended as ${outcome} and left ${runner.name} without its configuration`);
      }
    }
    if (!hasChanged) return;
    if (outcome !== 'CANCELLED' && outcome !== 'FAILED' && summary === '')
      this.#break('unexplained', `${type} ${workflowId} ended without a report`);
    if (CURES.has(type) && !this.#isInLedger(operation)) this.#break('unexplained', `${type} ${workflowId} has no entry in a ledger`);
  }

  #isInLedger({ installation, workflowId, since }: OpenOperation): boolean {
    const { temporal } = this.#installations.find(({ name }) => name === installation) as Installation;
    return [...this.#world.machines.values()].some((machine) => {
      const entries = temporal.describe(machineLedgerId(machine.host.name, machine.name))?.memo['entries'] as
        | readonly LedgerEntry[]
        | undefined;
      return entries?.some((entry) => entry.workflowId === workflowId && entry.at >= since - HOUR) ?? false;
    });
  }

  /** A person's drain of a runner whose guest can be reached. */
  #drainBegan(installation: string, workflowId: string, type: string): void {
    const asked = this.#world.byHand.get(workflowId);
    if (type !== 'drainRunner' || asked === undefined) return;
    if (this.#world.runnerNamed(asked.runner).drain === null)
      this.#drains.set(asked.runner, { at: this.#world.now, by: `${installation} ${workflowId}` });
  }

  /**
   * A drain that has ended otherwise is no word that holds, but for one of a machine that is off: it is told to leave it so. One that finds
   * the runner drained by another Runward, or loses the machine to it, keeps nothing in mind.
   */
  #drainEnded(workflowId: string, outcome: string, summary: string): void {
    const asked = this.#world.byHand.get(workflowId);
    if (asked === undefined) return;
    const runner = this.#world.runnerNamed(asked.runner);
    const isOff = outcome === 'noted' || summary.includes('leave it stopped');
    const isOfOther =
      outcome === 'refused-in-progress' || (outcome === 'already-drained' && runner.drain?.installation !== runner.wish?.toldTo);
    const isMarked = runner.drain?.by === 'person' && outcome !== 'failed';
    if ((!isMarked && !isOff) || isOfOther) {
      this.#voidDrains.add(workflowId);
      runner.wish = wishWithout(runner.wish, workflowId);
    }
  }

  /** It is no word, if it has changed nothing; what it was to undo holds, but for drains that came to nothing meanwhile. */
  #resumeFailed(workflowId: string): void {
    const asked = this.#world.byHand.get(workflowId);
    if (asked?.undoes === undefined) return;
    const runner = this.#world.runnerNamed(asked.runner);
    if (runner.lastWord !== workflowId) return;
    runner.wish = [...this.#voidDrains].reduce(wishWithout, asked.undoes);
  }

  // As things stand

  look(): void {
    const world = this.#world;
    for (const runner of world.runners) {
      this.#lookAtDrain(runner);
      this.#lookWhetherOnline(runner);
    }
    this.#lookAtRuns();
    this.#lookAtOperations();
  }

  #lookAtDrain(runner: Runner): void {
    const { name, machine } = runner;
    const drain = this.#drains.get(name);
    if (drain === undefined) return;
    const { now } = this.#world;
    const isOpen = [...this.#open.values()].some(({ installation, workflowId }) => `${installation} ${workflowId}` === drain.by);
    const troubledAt = this.#troubleOfGuest(runner);
    if (!isOpen || runner.drain !== null || machine.state !== 'running' || machine.isFrozen || machine.isOutOfReach) {
      this.#drains.delete(name);
    } else if (
      now - drain.at > MARKED_WITHIN_MS &&
      machine.act === null &&
      troubledAt < drain.at &&
      !this.#isHeldByAnother(machine.name, drain.by)
    ) {
      this.#break('drain-not-marked', `a person drained ${name} ${Math.round((now - drain.at) / MINUTE)} minutes ago, and it takes jobs`);
    }
  }

  #troubleOfGuest({ machine }: Runner): number {
    const { host } = machine;
    return Math.max(this.#workerTroubleAt, host.hangsUntil, machine.bootedAt);
  }

  #isHeldByAnother(machine: string, by: string): boolean {
    return this.#installations.some(({ name, temporal }) =>
      temporal
        .open()
        .some(
          ({ type, workflowId, parent }) =>
            type === 'holdMachine' && workflowId.endsWith(`/${machine}`) && `${name} ${parent?.workflowId}` !== by,
        ),
    );
  }

  #lookWhetherOnline(runner: Runner): void {
    const world = this.#world;
    const { name, machine, drain, wish, listener } = runner;
    const { now } = world;
    const isKeptDown = machine.state === 'stopped' && machine.runners.some((each) => each.wish !== null);
    const isMeant = drain !== null || wish !== null || isKeptDown || (machine.stoppedBy !== null && machine.stoppedBy.by !== 'runward');
    const isOff = !isMeant && !world.isWell(runner) && machine.runners.every(({ job }) => job === null);
    const since = isOff ? (this.#offSince.get(name) ?? now) : null;
    if (since === null) {
      this.#offSince.delete(name);
      return;
    }
    this.#offSince.set(name, since);
    const troubledAt = Math.max(this.#troubledAt.get(name) ?? 0, this.#workerTroubleAt);
    const isQuietFor = now - Math.max(troubledAt, since);
    if (listener?.isDeaf === true && !this.#isMissed(runner)) return;
    if (isQuietFor < this.#graceMs || this.#isBudgetUsedUp(runner) || this.#waitsForCanary(runner)) return;
    if (machine.state === 'stopped' && machine.stoppedBy?.by === 'runward') {
      const { installation } = machine.stoppedBy;
      // Whoever never checks has told it to the person who asked.
      if (this.#installations.find((each) => each.name === installation)?.hasSchedules !== true) return;
      this.#break('not-started', `${machine.name} was stopped by ${nameOf(machine.stoppedBy)}, and is off an hour after the last fault`);
    } else {
      this.#break(
        'not-online',
        `${name} is not online ${Math.round(isQuietFor / MINUTE)} minutes after the last fault (${this.#stateOf(runner)})`,
      );
    }
  }

  /** What is true of many at once is cured on one of them first, and people are told so. */
  #waitsForCanary({ scope }: Runner): boolean {
    const isTold = this.#installations.some(({ name }) => this.#findings.has(`${name} ${scope.name} many-at-once`));
    return isTold && this.#world.runners.some((other) => other.scope === scope && this.#isBudgetUsedUp(other));
  }

  /** Whether GitHub shows that a listener is deaf: by its status, or by a job that waits for long. */
  #isMissed(runner: Runner): boolean {
    const registration = this.#world.registrationOf(runner);
    const hasWaited = runner.scope.waiting.some(
      ({ createdAt, labels }) =>
        this.#world.now - createdAt > this.#graceMs && labels.every((label) => registration?.labels.includes(label) === true),
    );
    return registration?.status !== 'online' || (runner.scope.isRepository && hasWaited);
  }

  #stateOf({ machine, unit, listener, agentId, aside, sign }: Runner): string {
    const parts = [
      `machine ${machine.state}`,
      `service ${unit}`,
      listener === null ? 'no listener' : listener.isDeaf ? 'a deaf listener' : listener.isConnected ? 'connected' : 'not connected',
      agentId === null ? (aside === null ? 'not configured' : 'its configuration is set aside') : 'configured',
      ...(sign === null ? [] : [sign]),
    ];
    return parts.join(', ');
  }

  /** By the truth: what checks have done within the budget's time. */
  #isBudgetUsedUp({ name, machine }: Runner): boolean {
    const { now } = this.#world;
    const tries = machine.runners
      .flatMap((runner) => this.#cures.get(runner.name) ?? [])
      .filter((at) => now - at < BUDGET_WITHIN_MS + this.#graceMs);
    const failures = this.#installations
      .flatMap((each) => [this.#failures, this.#failuresByHand].flatMap((failures) => failures.get(`${name} (${each.name})`) ?? []))
      .filter((at) => now - at < BUDGET_WITHIN_MS + this.#graceMs);
    return tries.length >= 3 || failures.length >= 2;
  }

  #lookAtRuns(): void {
    const { now, scopes } = this.#world;
    for (const scope of scopes.values()) {
      const waiting = scope.runs.filter(
        (run) => run.conclusion === null && run.event === 'pull_request' && run.jobs.every(({ state }) => state === 'queued'),
      );
      if (waiting.length > 5) this.#pressedAt.set(scope.name, now);
      const quietSince = Math.max(
        this.#pressedAt.get(scope.name) ?? 0,
        this.#workerTroubleAt,
        ...this.#world.runners.filter((runner) => runner.scope === scope).map(({ name }) => this.#troubledAt.get(name) ?? 0),
      );
      if (now - quietSince < QUEUE_GRACE_MS) continue;
      for (const run of scope.runs) {
        if (!run.shallComeBack || run.conclusion !== 'cancelled') continue;
        const newer = scope.runs.some(
          (other) => other.id > run.id && other.workflowId === run.workflowId && other.event === run.event && other.branch === run.branch,
        );
        const isTold = this.#told.some(({ code, at }) => code.startsWith('queue') && at > run.createdAt);
        if (!newer && !isTold) this.#break('parked-run-lost', `run ${run.id} of ${scope.name} made way, and nobody runs it again`);
      }
    }
  }

  #lookAtOperations(): void {
    const { now } = this.#world;
    for (const { name, temporal } of this.#installations) {
      for (const { type, workflowId, startedAt, parent } of temporal.open()) {
        if (type === 'holdMachine') this.#lookAtLock(workflowId, startedAt, parent?.workflowId ?? 'nobody');
        const since = this.#since.get(`${name} ${workflowId}`) ?? startedAt;
        if (CURES.has(type) && now - since > this.#silentAfterMs) this.#lookAtSilence(name, workflowId, since);
      }
    }
  }

  #lookAtLock(lock: string, startedAt: number, holder: string): void {
    const { now } = this.#world;
    const machine = lock.split('/').at(-1) ?? '';
    const { runners, isFrozen, isOutOfReach, hiddenUntil, host } = this.#world.machine(machine);
    const idleSince = Math.max(startedAt, this.#lastActAt.get(machine) ?? 0, hiddenUntil, host.hangsUntil, this.#workerTroubleAt);
    // Whose configuration lies aside is half done, and GitHub's word is all that is left to wait for.
    const isHalfDone = runners.some(({ aside }) => aside !== null);
    if (now - idleSince > HELD_IDLE_MS && !isHalfDone && !isFrozen && !isOutOfReach && !this.#reset.has(holder)) {
      this.#break(
        'machine-held-idle',
        `${holder} has held ${machine} for ${Math.round((now - startedAt) / MINUTE)} minutes, and done nothing in it for ${Math.round((now - idleSince) / MINUTE)} (${runners.length} runners)`,
      );
    }
  }

  /** Waits for what is no job. */
  #lookAtSilence(installation: string, workflowId: string, since: number): void {
    const { now, runners } = this.#world;
    const asked = this.#world.byHand.get(workflowId)?.runner;
    const runner = runners.find(({ name }) => name === asked || name === BY_CHECK.exec(workflowId)?.[1]);
    const concerned = runner === undefined ? runners.filter(({ wish }) => wish !== null) : [runner];
    const isAtWork = concerned.some(
      ({ name, job, machine }) =>
        job !== null || machine.runners.some((each) => each.job !== null) || now - (this.#workedAt.get(name) ?? 0) < this.#silentAfterMs,
    );
    if (isAtWork || this.#isWorkerAway()) return;
    // Who has begun it sees how it goes, and needs only to hear of the cause, or to have heard.
    const isByHand = this.#world.byHand.has(workflowId);
    const heard = [...this.#told.filter(({ at }) => at >= since), ...(isByHand ? this.#findings.values() : [])];
    // One operation on a runner at most is told as stuck at the same time: whoever sees to that one sees the others.
    const isToldAsStuck = [...this.#findings.values()].some(
      ({ code, subject }) => code === 'cure-stuck' && concerned.some(({ name }) => name === subject),
    );
    const isTold = heard.some(({ at, subject, code, text }) =>
      concerned.some(
        ({ name, machine, scope }) =>
          (subject === scope.name && (isByHand || code.startsWith('github-'))) ||
          subject.includes(machine.host.name) ||
          ((isByHand || at >= since + 20 * MINUTE) && (subject === name || text.includes(machine.name))),
      ),
    );
    if (!isTold && !isToldAsStuck)
      this.#break(
        'stuck-in-silence',
        `${workflowId} of ${installation} has been at it for ${Math.round((now - since) / MINUTE)} minutes, no job runs, and nobody was told`,
      );
  }

  /** The first Runward can tell nobody. */
  #isWorkerAway(): boolean {
    const [first] = this.#installations;
    return [...(first?.away.entries() ?? [])].some(([queue, count]) => queue === 'runward' && count > 0);
  }
}

function sortOf(what: string): string {
  return what
    .replaceAll(/by-hand-\w+-\d+/g, 'an operation by hand')
    .replaceAll(/\b(?:acme\/kernel|acme)\/r\d\b/g, 'RUNNER')
    .replaceAll(/\bm\d\b/g, 'MACHINE')
    .replaceAll(/\d+/g, 'N');
}

function isUnforced(cause: Cause): cause is Runwards {
  return cause.by === 'runward' && !cause.isForced;
}

export function nameOf(cause: Cause): string {
  return cause.by === 'runward' ? `${cause.step} of ${cause.workflowId} (${cause.installation})` : cause.by;
}
