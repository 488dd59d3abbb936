// Simulated machines behind the product's own ports. What each step proves and writes, and in which order, is as in src/machine/guest/*.sh.

import type { CacheListed, CacheRemoved } from '../../../src/domain/cache.ts';
import type { PackageStored, PackageWanted } from '../../../src/domain/package.ts';
import { STILL_HANGS, type HostObservation } from '../../../src/domain/pass.ts';
import { known, unknown, type Reading } from '../../../src/domain/reading.ts';
import { SHARED_SOURCES, type Disk, type RoomMade, type RoomWanted, type Workspace } from '../../../src/domain/room.ts';
import type { DrainMark, GuestObservation, MachineObservation, MachineState, RunnerTarget } from '../../../src/domain/runner.ts';
import {
  CallGivenUp,
  MachineError,
  type Act,
  type ActRefusal,
  type CallContext,
  type ClockSynced,
  type Configured,
  type Discarded,
  type FenceTaken,
  type Heard,
  type LetGo,
  type MachinePort,
  type MachineRestarted,
  type MarkedDrained,
  type NotPaused,
  type ObserveAll,
  type Paused,
  type PauseWanted,
  type Restored,
  type ServiceStarted,
  type SetAside,
  type Stopped,
  type Stopping,
  type UnmarkedDrained,
  type WaitsForEnd,
} from '../../../src/machine/port.ts';
import { currentProcess } from '../temporal/clock.ts';
import { callerOf } from './caller.ts';
import type { Runwards } from './facts.ts';
import { HOUR, MINUTE, SECOND } from './time.ts';
import { GIB, VERSION, type Machine, type Runner, type RunningAct, type World } from './world.ts';

/** As `UNFINISHED_SECONDS` of src/machine/guest/driver.sh. */
const UNFINISHED_MS = 2 * HOUR;
/** Below every heartbeat time-out. */
const BEAT_MS = 10 * SECOND;

interface Answer {
  readonly kind: string;
}

/** One act as its step sees it. */
interface Doing {
  readonly cause: Runwards;
  /** Time passes; rejects where the act is ended. */
  readonly wait: (ms: number) => Promise<void>;
}

export class SimulatedMachines implements MachinePort {
  readonly #world: World;
  readonly #installation: string;
  /** When a guest that was not stopped then did not answer. */
  readonly #probedAt = new Map<string, number>();

  constructor(world: World, installation: string) {
    this.#world = world;
    this.#installation = installation;
  }

  // Looking

  async state(name: string, call: CallContext): Promise<MachineState> {
    await this.#askProvider(this.#world.machine(name), call);
    return this.#world.machine(name).state;
  }

  async states(names: readonly string[], call: CallContext): Promise<ReadonlyMap<string, MachineState>> {
    for (const name of names.slice(0, 1)) await this.#askProvider(this.#world.machine(name), call);
    return new Map(names.map((name) => [name, this.#world.machine(name).state]));
  }

  async observe(target: RunnerTarget, call: CallContext, told?: MachineState): Promise<MachineObservation> {
    const world = this.#world;
    const machine = world.machine(target.machine);
    const state = told ?? (await this.state(target.machine, call));
    if (state !== 'running') {
      return { observedAt: world.now, state, guest: unknown(`the machine is ${state}`) };
    }
    if (!(await this.#reaches(machine, 45 * SECOND, call))) {
      return { observedAt: world.now, state: machine.state, guest: unknown(`${machine.name} gave no answer within 45 s`) };
    }
    return { observedAt: world.now, state, guest: known(this.#see(target)) };
  }

  observeAll: ObserveAll = async ({ targets }, call) => {
    const world = this.#world;
    const machines = await this.#lookAtAll(targets, call);
    const host = world.hosts.get(targets[0]!.host)!;
    const seen: HostObservation = {
      observedAt: world.now,
      githubOffsetMs: known(0),
      bootedAt: host.bootedAt,
      wokeAt: host.wokeAt,
      oldCronJob: known(null),
    };
    return { host: seen, machines, calls: 1 + targets.length };
  };

  async #lookAtAll(targets: readonly RunnerTarget[], call: CallContext): Promise<readonly Reading<MachineObservation>[]> {
    const world = this.#world;
    try {
      await this.#askProvider(world.machine(targets[0]!.machine), call);
    } catch (error) {
      if (!(error instanceof MachineError)) throw error;
      return targets.map(() => unknown(error.message));
    }
    await world.pass(world.chance.skewed('looks', 500, 5_000));
    const areAllThere = targets.every(({ machine }) => isReachable(world.machine(machine)) || world.machine(machine).state !== 'running');
    if (!areAllThere) await this.#beating(40 * SECOND, call);
    return targets.map((target) => {
      const machine = world.machine(target.machine);
      const { state } = machine;
      if (state !== 'running') return known({ observedAt: world.now, state, guest: unknown(`the machine is ${state}`) });
      return known({
        observedAt: world.now,
        state,
        guest: isReachable(machine) ? known(this.#see(target)) : unknown(`${machine.name} gave no answer within 45 s, or ${STILL_HANGS}`),
      });
    });
  }

  #see(target: RunnerTarget): GuestObservation {
    const world = this.#world;
    const runner = world.runner(target);
    const { machine, listener, drain, unit, sign } = runner;
    const now = world.now;
    const isUpdating = (listener?.updatingUntil ?? 0) > now;
    return {
      bootId: machine.bootId,
      uptimeMs: now - machine.bootedAt,
      clockOffsetMs: machine.clockOffsetMs,
      service: { unit: unit === 'missing' ? null : unitName(runner), state: unit },
      log: {
        startedAgoMs: now - runner.serviceSince,
        exitCode: null,
        relaunches: 0,
        signs: sign === null || (sign === 'updating' && !isUpdating) ? [] : [{ code: sign, line: `the listener says: ${sign}` }],
      },
      timeSync: { service: 'timesyncd', isActive: true },
      drain: markOf(drain),
      workers: hasWorker(runner) ? 1 : 0,
      workersOnMachine: machine.runners.filter(hasWorker).length,
      listeners: listener === null || isUpdating ? 0 : 1,
      registration:
        runner.agentId === null
          ? null
          : { agentId: runner.writtenAgentId ?? runner.agentId, agentName: target.runner, url: target.registrationUrl },
      installedVersion: VERSION,
      packageVersion: machine.packageVersion,
      architecture: 'x86_64',
      missingProgram: null,
      disk: diskOf(machine),
      work: { bytes: GIB, entries: 100 },
      cache: { bytes: GIB, entries: 20, damaged: 0 },
      cleanedAgoMs: HOUR,
      runningAct: machine.act?.key ?? null,
    };
  }

  // Machines

  async start(name: string, call: CallContext): Promise<void> {
    const machine = this.#world.machine(name);
    const cause = callerOf(this.#world, this.#installation, 'start-machine');
    await this.#asPowerAct(machine, cause, () => this.#start(machine, cause, call));
  }

  async restart(name: string, mayStop: () => Promise<boolean>, call: CallContext): Promise<MachineRestarted> {
    const world = this.#world;
    const machine = world.machine(name);
    const cause = callerOf(world, this.#installation, 'restart-machine');
    const state = await this.state(name, call);
    if (state !== 'running') {
      await this.start(name, call);
      return { kind: 'running' };
    }
    const isProbed = world.now - (this.#probedAt.get(name) ?? -Infinity) < 20 * SECOND;
    this.#probedAt.delete(name);
    if (!isProbed && (await this.#reaches(machine, 20 * SECOND, call))) return { kind: 'running' };
    let givenUp = false;
    let hasCutPower = false;
    await this.#asPowerAct(machine, cause, async () => {
      // A guest that still hears of its end is given time for it.
      if (world.chance.isSo('an orderly end', 0.3)) await this.#beating(world.chance.between('an orderly end', 5, 60) * SECOND, call);
      if (isReachable(machine)) return;
      if (!(await this.#whileAlive(mayStop, call))) {
        this.#probedAt.set(name, world.now);
        givenUp = true;
        return;
      }
      // The daemon goes on with it whatever becomes of its client.
      let isDown = false;
      const { era } = machine;
      world.timeline.after(world.chance.between('stop --force', 300, 3_000), () => {
        isDown = true;
        if (machine.era === era) world.cutPower(machine, cause);
      });
      while (!isDown) await this.#beating(SECOND, call);
      for (const runner of machine.runners) world.changed('service-stopped', runner, cause);
      hasCutPower = true;
      await this.#start(machine, cause, call);
    });
    if (givenUp) return { kind: 'given-up', evidence: 'its caller may not any more' };
    return { kind: 'running', ...(hasCutPower ? { hasCutPower } : {}) };
  }

  /** What its worker asks for; with a worker that was killed there is no answer. */
  async #whileAlive(ask: () => Promise<boolean>, call: CallContext): Promise<boolean> {
    const process = currentProcess.getStore();
    let isAnswered = false;
    const answer = ask().finally(() => {
      isAnswered = true;
    });
    answer.catch(() => undefined);
    while (!isAnswered) {
      if (process?.isAlive === false) return false;
      await this.#beating(SECOND / 2, call);
    }
    return answer;
  }

  async #asPowerAct(machine: Machine, cause: Runwards, work: () => Promise<void>): Promise<void> {
    const { facts } = this.#world;
    const act = this.#world.newId();
    facts.note({ kind: 'act-began', machine: machine.name, runner: null, act, cause });
    let answer = 'running';
    try {
      await work();
    } catch (error) {
      answer = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      facts.note({ kind: 'act-ended', machine: machine.name, act, cause, answer });
    }
  }

  async #start(machine: Machine, cause: Runwards, call: CallContext): Promise<void> {
    const world = this.#world;
    const deadline = world.now + 5 * MINUTE;
    for (;;) {
      const state = await this.state(machine.name, call);
      if (state === 'running' && isReachable(machine)) return;
      if (world.now >= deadline) {
        throw new MachineError('unreachable', `start ${machine.name}: its guest did not answer within 300 s`);
      }
      if (state === 'stopped' || state === 'suspended') {
        await this.#beating(world.chance.between('start', 1, 4) * SECOND, call);
        if (machine.host.startsNothingUntil > world.now) {
          throw new MachineError('provider-unavailable', `start ${machine.name}: cannot allocate memory`);
        }
        if (machine.state === state) {
          world.beginStart(machine, cause);
          const { era } = machine;
          world.timeline.after(world.chance.skewed('boot', 8_000, 120_000), () => {
            if (machine.era === era) world.boot(machine, cause);
          });
        }
      }
      await this.#beating(5 * SECOND, call);
    }
  }

  // The fence

  async takeFence(
    target: RunnerTarget,
    holder: string,
    { isRecovery }: { readonly isRecovery: boolean },
    call: CallContext,
  ): Promise<FenceTaken> {
    const machine = this.#world.machine(target.machine);
    await this.#enter(machine, 30 * SECOND, call);
    const { act, fence, runners } = machine;
    if (act !== null) return { kind: 'refused-in-progress', holder: act.holder };
    const world = this.#world;
    const own = isRecovery ? world.runner(target) : null;
    const left = runners.find(
      (runner) => runner !== own && runner.unfinished !== null && world.now - runner.unfinished.since < UNFINISHED_MS,
    );
    if (left?.unfinished != null) return { kind: 'refused-unfinished', holder: left.unfinished.by };
    if (machine.readOnlyUntil > this.#world.now) return { kind: 'refused-unfit', evidence: 'the guest takes no file' };
    machine.fence = { number: fence.number + 1, holder };
    return { kind: 'taken', fence: machine.fence.number };
  }

  async #act<T extends Answer>(
    step: string,
    target: RunnerTarget,
    act: Act,
    call: CallContext,
    body: (doing: Doing, runner: Runner) => Promise<T | ActRefusal>,
  ): Promise<T | ActRefusal> {
    const world = this.#world;
    const machine = world.machine(target.machine);
    const cause = callerOf(world, this.#installation, step);
    await this.#enter(machine, act.deadlineMs, call);
    for (;;) {
      if (act.fence < machine.fence.number) return { kind: 'refused-late', holder: machine.fence.holder };
      const running = machine.act;
      if (running === null) {
        const record = machine.records.get(act.key);
        if (record !== undefined) return record as T;
        return (await this.#follow(
          this.#begin(machine, act, cause, (doing) => body(doing, world.runner(target)), world.runner(target)),
          call,
        )) as T;
      }
      if (running.key === act.key) return (await this.#follow(running, call)) as T;
      if (running.fence !== act.fence) return { kind: 'refused-in-progress', holder: running.holder };
      await this.#follow(running, call).catch(() => call.signal.throwIfAborted());
    }
  }

  #begin(machine: Machine, act: Act, cause: Runwards, body: (doing: Doing) => Promise<Answer>, runner: Runner): RunningAct {
    const world = this.#world;
    if (act.fence > machine.fence.number) machine.fence = { number: act.fence, holder: act.key };
    const ending = new AbortController();
    const asker = `${cause.installation} ${cause.runId}`;
    const id = world.newId();
    world.facts.note({ kind: 'act-began', machine: machine.name, runner: runner.name, act: id, cause });
    const late = (): void =>
      ending.abort(new MachineError('act-failed', `act ${act.key} was ended at its deadline of ${act.deadlineMs} ms`));
    world.timeline.after(act.deadlineMs, late);
    const wait = async (ms: number): Promise<void> => {
      await world.pass(ms, ending.signal);
      // What a frozen guest was at goes on when it does, as if no time had passed.
      const since = world.now;
      while (machine.isFrozen) await world.pass(5 * SECOND, ending.signal);
      for (const { askedAt } of machine.runners) {
        const asked = askedAt.get(asker);
        if (asked !== undefined && world.now > since) askedAt.set(asker, asked + world.now - since);
      }
      ending.signal.throwIfAborted();
    };
    const perform = async (): Promise<Answer> => {
      let answer: Answer = { kind: 'cut off' };
      try {
        if (machine.readOnlyUntil > world.now)
          throw new MachineError('act-failed', `${act.key} ended with exit code 1`, { evidence: 'Read-only file system' });
        answer = await body({ cause, wait });
        if (
          !['refused-', 'not-paused', 'paused', 'heard', 'let-go', 'not-started', 'not-configured'].some((word) =>
            answer.kind.startsWith(word),
          )
        )
          machine.records.set(act.key, answer);
        return answer;
      } finally {
        machine.act = null;
        world.facts.note({ kind: 'act-ended', machine: machine.name, act: id, cause, answer: answer.kind });
      }
    };
    // Not at once: it may end before it is noted that it runs.
    const result = Promise.resolve().then(perform);
    result.catch(() => undefined);
    const running: RunningAct = { id, key: act.key, fence: act.fence, holder: machine.fence.holder, ending, result };
    machine.act = running;
    return running;
  }

  /** Who goes away takes the act along, unless it only gives up the call. */
  async #follow({ ending, result, key }: RunningAct, { signal, heartbeat }: CallContext): Promise<Answer> {
    signal.throwIfAborted();
    const gone = Promise.withResolvers<never>();
    const end = (): void => {
      if (signal.reason instanceof CallGivenUp) gone.reject(signal.reason);
      else ending.abort(signal.reason);
    };
    signal.addEventListener('abort', end);
    heartbeat(`waiting for ${key}`);
    const beats = setInterval(() => heartbeat(`waiting for ${key}`), BEAT_MS);
    try {
      return await Promise.race([result, gone.promise]);
    } finally {
      clearInterval(beats);
      signal.removeEventListener('abort', end);
    }
  }

  // Pause, ask, act

  /** What is slow of the act comes first; then the listeners are held, and seen to have begun nothing meanwhile. */
  pause(target: RunnerTarget, act: Act, wanted: PauseWanted, call: CallContext): Promise<Paused | ActRefusal> {
    const world = this.#world;
    const { purpose } = wanted;
    return this.#act<Paused>(`pause for ${purpose}`, target, act, call, async ({ wait }, runner) => {
      const { chance } = world;
      const held = isAboutMachine(wanted) ? runner.machine.runners : [runner];
      await wait(chance.between('prove', 200, 1_000));
      if (purpose === 'drain' && runner.drain === null) return NOT_DRAINED;
      const isToldOfMark = purpose === 'drain' || purpose === 'restore' || purpose === 'sync-clock';
      const refused = (isToldOfMark ? null : drainedOf(runner, act)) ?? busyOf(held);
      if (refused !== null) return refused;
      await wait(chance.skewed(`slow before ${purpose}`, 300, 40_000));
      if (held.some((each) => world.now - each.serviceSince < MINUTE)) await wait(chance.between('young', 0, 30_000));
      const late = busyOf(held);
      if (late !== null) return late;
      for (const each of held) world.hold(each);
      await wait(chance.between('hold', 100, 1_000));
      const tooLate = busyOf(held);
      if (tooLate !== null) {
        for (const each of held) world.letGo(each);
        return tooLate;
      }
      return { kind: 'paused', unread: this.#unread(held) };
    });
  }

  letGo(target: RunnerTarget, act: Act, _purpose: string, call: CallContext): Promise<LetGo | ActRefusal> {
    return this.#act<LetGo>('let go', target, act, call, async ({ wait }, { machine }) => {
      await wait(200);
      for (const runner of machine.runners) this.#world.letGo(runner);
      return { kind: 'let-go' };
    });
  }

  #unread(runners: readonly Runner[]): string {
    return runners.map((runner) => this.#world.unread(runner)).join(';');
  }

  /** Why nothing may be stopped now; what refuses lets go, but for what was heard. */
  #beginStopping(runners: readonly Runner[], { pause, force }: Stopping): Heard | NotPaused | ActRefusal | null {
    if (force) return null;
    const world = this.#world;
    const unpaused = runners.find((runner) => runner.listener !== null && (pause === null || !world.isHeld(runner)));
    const refused =
      unpaused === undefined
        ? busyOf(runners)
        : ({ kind: 'not-paused', evidence: `a listener of ${unpaused.name} lives that is not paused` } as const);
    if (refused !== null) {
      if (pause !== null) for (const runner of runners) world.letGo(runner);
      return refused;
    }
    const unread = this.#unread(runners);
    return pause === null || pause.unread === unread ? null : { kind: 'heard', unread };
  }

  // Steps

  syncClock(target: RunnerTarget, act: Act, stopping: Stopping, call: CallContext): Promise<ClockSynced | Heard | NotPaused | ActRefusal> {
    const world = this.#world;
    return this.#act<ClockSynced | Heard | NotPaused>('sync-clock', target, act, call, async ({ cause, wait }, { machine }) => {
      await wait(world.chance.between('prove', 200, 1_000));
      const refused = this.#beginStopping(machine.runners, stopping);
      if (refused !== null) return refused;
      for (const runner of machine.runners) if (world.isHeld(runner)) world.hold(runner);
      await wait(world.chance.skewed('ntp', 1_000, 20_000));
      world.setClock(machine, cause);
      for (const runner of machine.runners) world.letGo(runner);
      return { kind: 'synced', offsetMs: 0, source: 'ntp' };
    });
  }

  setConfigurationAside(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<SetAside | Heard | NotPaused | ActRefusal> {
    const world = this.#world;
    return this.#act<SetAside | Heard | NotPaused>('config-cleanup', target, act, call, async ({ cause, wait }, runner) => {
      const { chance } = world;
      await wait(chance.between('prove', 200, 1_000));
      const refused = drainedOf(runner, act) ?? this.#beginStopping([runner], stopping);
      if (refused !== null) return refused;
      await this.#stop(runner, cause, wait);
      const noted = this.#setAside(runner, cause);
      await wait(chance.between('move', 100, 1_500));
      return { kind: 'set-aside', agentId: runner.aside?.agentId ?? null, files: noted };
    });
  }

  /** A paused listener hears of its end first, and takes nothing more. */
  async #stop(runner: Runner, cause: Runwards, wait: Doing['wait']): Promise<void> {
    const world = this.#world;
    world.stopListener(runner, cause);
    await wait(world.chance.skewed('stop', 200, 15_000));
  }

  #setAside(runner: Runner, cause: Runwards): readonly string[] {
    const world = this.#world;
    world.changed('set-aside', runner, cause);
    world.stopListener(runner, cause);
    runner.startsAtBoot = false;
    if (runner.agentId !== null || runner.aside === null) runner.aside = { agentId: runner.agentId };
    runner.unfinished = { by: runner.machine.fence.holder, since: world.now };
    runner.agentId = null;
    world.judge(runner);
    return runner.aside.agentId === null ? [] : ['.credentials', '.runner'];
  }

  configure(target: RunnerTarget, act: Act, _token: unknown, call: CallContext, labels = target.labels): Promise<Configured | ActRefusal> {
    const world = this.#world;
    return this.#act<Configured>('reconfigure', target, act, call, async ({ cause, wait }, runner) => {
      if (runner.aside !== null && runner.agentId !== null) return { kind: 'configured', agentId: runner.agentId };
      if (runner.machine.packageVersion === null) {
        return { kind: 'refused-unfit', evidence: 'no package of the runner is kept in the guest' };
      }
      await wait(world.chance.skewed('configure', 3_000, 40_000));
      if (world.github.downUntil > world.now || !runner.machine.hasNetwork) {
        return { kind: 'not-configured', exitCode: 1, evidence: 'GitHub answered 503', reason: 'other' };
      }
      runner.agentId = world.register(runner, labels).id;
      runner.writtenAgentId = null;
      world.changed('registered', runner, cause);
      return { kind: 'configured', agentId: runner.agentId };
    });
  }

  startService(target: RunnerTarget, act: Act, call: CallContext): Promise<ServiceStarted | ActRefusal> {
    return this.#act<ServiceStarted>('start-service', target, act, call, async ({ cause, wait }, runner) => {
      await wait(300);
      if (runner.drain !== null && runner.agentId !== null) runner.unfinished = null;
      return drainedOf(runner, act) ?? this.#bringUp(runner, cause, wait);
    });
  }

  restartService(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<ServiceStarted | Heard | NotPaused | ActRefusal> {
    return this.#act<ServiceStarted | Heard | NotPaused>('restart-service', target, act, call, async ({ cause, wait }, runner) => {
      await wait(this.#world.chance.between('prove', 200, 1_000));
      const drained = drainedOf(runner, act);
      if (drained !== null) return drained;
      if (runner.unit === 'missing') {
        return { kind: 'not-started', unit: null, state: 'missing', evidence: 'no unit of this runner is loaded' };
      }
      const refused = this.#beginStopping([runner], stopping);
      if (refused !== null) return refused;
      await this.#stop(runner, cause, wait);
      return this.#bringUp(runner, cause, wait);
    });
  }

  async #bringUp(runner: Runner, cause: Runwards, wait: Doing['wait']): Promise<ServiceStarted | ActRefusal> {
    const world = this.#world;
    if (runner.unit === 'missing') runner.unit = 'inactive';
    runner.startsAtBoot = true;
    world.startListener(runner, cause);
    await wait(world.chance.skewed('settle', 2_000, 20_000));
    const state = runner.unit as string;
    if (state !== 'active') return { kind: 'not-started', unit: unitName(runner), state, evidence: `the listener says: ${runner.sign}` };
    runner.unfinished = null;
    return { kind: 'started', unit: unitName(runner) };
  }

  restoreConfiguration(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<Restored | Heard | NotPaused | ActRefusal> {
    const world = this.#world;
    return this.#act<Restored | Heard | NotPaused>('restore', target, act, call, async ({ cause, wait }, runner) => {
      await wait(world.chance.between('prove', 200, 1_000));
      if (runner.aside === null) {
        runner.unfinished = null;
        return { kind: 'restored', files: [] };
      }
      const refused = this.#beginStopping([runner], stopping);
      if (refused !== null) return refused;
      await this.#stop(runner, cause, wait);
      runner.agentId = runner.aside.agentId;
      runner.aside = null;
      runner.unfinished = null;
      world.changed('restored', runner, cause);
      return { kind: 'restored', files: ['.credentials', '.runner'] };
    });
  }

  discardAside(target: RunnerTarget, act: Act, call: CallContext): Promise<Discarded | ActRefusal> {
    return this.#act<Discarded>('discard', target, act, call, async ({ wait }, runner) => {
      await wait(300);
      runner.aside = null;
      runner.unfinished = null;
      return { kind: 'discarded', files: [] };
    });
  }

  markDrained(target: RunnerTarget, act: Act, mark: Omit<DrainMark, 'since'>, call: CallContext): Promise<MarkedDrained | ActRefusal> {
    const world = this.#world;
    return this.#act<MarkedDrained>('mark-drained', target, act, call, async ({ cause, wait }, runner) => {
      await wait(world.chance.between('mark', 200, 1_500));
      const { drain, machine } = runner;
      const { by, reason } = mark;
      if (mark.labels !== undefined && drain === null) {
        return { kind: 'refused-unfit', evidence: 'the runner is not marked as drained any more' };
      }
      const words =
        drain === null || drain.by === 'room'
          ? { since: world.now + machine.clockOffsetMs, by, reason, installation: this.#installation }
          : drain;
      const labels = mark.labels ?? drain?.labels;
      runner.drain = { ...words, ...(labels === undefined ? {} : { labels }) };
      runner.startsAtBoot = false;
      world.changed('marked', runner, cause);
      return { kind: 'marked' };
    });
  }

  stopService(target: RunnerTarget, act: Act, stopping: Stopping, call: CallContext): Promise<Stopped | Heard | NotPaused | ActRefusal> {
    return this.#act<Stopped | Heard | NotPaused>('stop-service', target, act, call, async ({ cause, wait }, runner) => {
      await wait(this.#world.chance.between('prove', 200, 1_500));
      if (runner.drain === null) return NOT_DRAINED;
      const refused = this.#beginStopping([runner], stopping);
      if (refused !== null) return refused;
      await this.#stop(runner, cause, wait);
      return { kind: 'stopped' };
    });
  }

  pauseAfterJob(target: RunnerTarget, act: Act, call: CallContext): Promise<WaitsForEnd | ActRefusal> {
    const world = this.#world;
    return this.#act<WaitsForEnd>('wait-for-end', target, act, call, async ({ wait }, runner) => {
      await wait(world.chance.between('wait-for-end', 200, 1_500));
      if (runner.drain === null) return { kind: 'not-waiting', evidence: 'the runner is not marked as drained any more' };
      if (!runner.machine.hasPerl) return { kind: 'not-waiting', evidence: 'the guest has no perl' };
      runner.isWaitedFor = true;
      return { kind: 'waiting' };
    });
  }

  unmarkDrained(target: RunnerTarget, act: Act, call: CallContext): Promise<UnmarkedDrained | ActRefusal> {
    const world = this.#world;
    return this.#act<UnmarkedDrained>('unmark-drained', target, act, call, async ({ cause, wait }, runner) => {
      await wait(world.chance.between('mark', 200, 1_500));
      const refused = drainedOf(runner, act);
      if (refused !== null) return refused;
      world.letGo(runner);
      runner.startsAtBoot = true;
      world.changed('unmarked', runner, cause);
      runner.drain = null;
      runner.isWaitedFor = false;
      return { kind: 'unmarked' };
    });
  }

  // Caches and disks

  async listCache(_target: RunnerTarget, _wanted: unknown, call: CallContext): Promise<CacheListed> {
    await this.#beating(2 * SECOND, call);
    return { bytes: GIB, entries: 20, found: [], foundBytes: 0, foundEntries: 0, damage: [] };
  }

  async listWorkspaces(_target: RunnerTarget, call: CallContext): Promise<readonly Workspace[]> {
    await this.#beating(2 * SECOND, call);
    return [];
  }

  removeFromCache(
    target: RunnerTarget,
    act: Act,
    _wanted: unknown,
    stopping: Stopping,
    call: CallContext,
  ): Promise<CacheRemoved | Heard | NotPaused | ActRefusal> {
    const world = this.#world;
    return this.#act<CacheRemoved | Heard | NotPaused>('remove-from-cache', target, act, call, async ({ cause, wait }, runner) => {
      await wait(world.chance.between('prove', 200, 1_000));
      const refused = drainedOf(runner, act) ?? this.#beginStopping([runner], stopping);
      if (refused !== null) return refused;
      await wait(world.chance.skewed('remove', 300, 20_000));
      world.changed('removed-from-cache', runner, cause);
      world.letGo(runner);
      const removed: CacheRemoved = {
        kind: 'removed',
        isAll: true,
        entries: 0,
        bytes: 0,
        unmeasured: 0,
        names: [],
        damage: [],
        freeBytes: runner.machine.diskFreeBytes,
        freeInodes: null,
      };
      return removed;
    });
  }

  makeRoom(
    target: RunnerTarget,
    act: Act,
    wanted: RoomWanted,
    stopping: Stopping,
    call: CallContext,
  ): Promise<RoomMade | Heard | NotPaused | ActRefusal> {
    const world = this.#world;
    return this.#act<RoomMade | Heard | NotPaused>(
      `make room from ${wanted.source}`,
      target,
      act,
      call,
      async ({ cause, wait }, runner) => {
        const { machine } = runner;
        await wait(world.chance.between('prove', 200, 1_000));
        const held = isAboutMachine({ purpose: 'make-room', wanted }) ? machine.runners : [runner];
        const refused = drainedOf(runner, act) ?? (wanted.source === 'runner-package' ? null : this.#beginStopping(held, stopping));
        if (refused !== null) return refused;
        await wait(world.chance.skewed('remove', 300, 20_000));
        const bytes = machine.roomLeft;
        machine.roomLeft = 0;
        machine.diskFreeBytes += bytes;
        if (wanted.source !== 'runner-package') world.changed('room-made', runner, cause);
        for (const each of held) world.letGo(each);
        const disk = diskOf(machine);
        const made: RoomMade = bytes === 0 ? { kind: 'nothing', why: 'nothing to go', disk } : { kind: 'made', bytes, items: 1, disk };
        return made;
      },
    );
  }

  fetchPackage(target: RunnerTarget, act: Act, wanted: PackageWanted, call: CallContext): Promise<PackageStored | ActRefusal> {
    return this.#act<PackageStored>('fetch-package', target, act, call, async ({ wait }, { machine }) => {
      if (machine.packageVersion === wanted.version) return { kind: 'kept', version: wanted.version };
      await wait(this.#world.chance.between('download', 10, 90) * SECOND);
      machine.packageVersion = wanted.version;
      return { kind: 'fetched', version: wanted.version };
    });
  }

  passPackage(
    target: RunnerTarget,
    act: Act,
    wanted: PackageWanted,
    _archive: unknown,
    call: CallContext,
  ): Promise<PackageStored | ActRefusal> {
    return this.fetchPackage(target, act, wanted, call);
  }

  // The way in

  async #askProvider({ host }: Machine, call: CallContext): Promise<void> {
    const world = this.#world;
    world.advance();
    if (host.hangsUntil > world.now) {
      await this.#beating(30 * SECOND, call);
      if (host.hangsUntil > world.now) throw new MachineError('provider-hangs', '`multipass list` gave no answer within 30 s');
      return;
    }
    await world.pass(world.chance.skewed('list', 150, 3_000));
  }

  /** Whether the guest answers within so long. */
  async #reaches(machine: Machine, withinMs: number, call: CallContext): Promise<boolean> {
    const world = this.#world;
    await world.pass(world.chance.skewed('exec', 200, 4_000));
    for (const deadline = world.now + withinMs; !isReachable(machine);) {
      if (world.now >= deadline || machine.state !== 'running') return false;
      await this.#beating(Math.min(BEAT_MS, deadline - world.now), call);
    }
    return true;
  }

  async #enter(machine: Machine, withinMs: number, call: CallContext): Promise<void> {
    const state = await this.state(machine.name, call);
    if (state !== 'running') throw new MachineError('not-running', `${machine.name} is ${state}`);
    if (!(await this.#reaches(machine, withinMs, call))) {
      throw new MachineError('unreachable', `the guest of ${machine.name} gave no answer`);
    }
  }

  async #beating(ms: number, { signal, heartbeat }: CallContext): Promise<void> {
    for (let left = ms; left > 0; left -= BEAT_MS) {
      signal.throwIfAborted();
      heartbeat('waiting');
      await this.#world.pass(Math.min(left, BEAT_MS));
    }
    signal.throwIfAborted();
  }
}

function isReachable({ state, isOutOfReach, isFrozen }: Machine): boolean {
  return state === 'running' && !isOutOfReach && !isFrozen;
}

function markOf(drain: Runner['drain']): DrainMark | null {
  if (drain === null) return null;
  const { since, by, reason, labels } = drain;
  return { since, by, reason, ...(labels === undefined ? {} : { labels }) };
}

function hasWorker({ job }: Runner): boolean {
  return job?.state === 'works';
}

const NOT_DRAINED: NotPaused = { kind: 'not-paused', evidence: 'the runner is not marked as drained any more' };

function isAboutMachine(wanted: PauseWanted): boolean {
  return wanted.purpose === 'sync-clock' || (wanted.purpose === 'make-room' && SHARED_SOURCES.has(wanted.wanted.source));
}

function busyOf(runners: readonly Runner[]): ActRefusal | null {
  const busy = runners.find((runner) => hasWorker(runner) || runner.sign === 'updating');
  return busy === undefined ? null : { kind: 'refused-busy', evidence: `Runner.Worker of ${busy.name} runs, or it updates itself` };
}

/** A mark that the act was not told of. */
function drainedOf({ drain }: Runner, { drainSeen }: Act): ActRefusal | null {
  const isSeen = drain === null || drainSeen === 'person' || (drainSeen === 'room' && drain.by === 'room');
  return isSeen ? null : { kind: 'refused-drained', evidence: 'the runner is drained, and the act was not told so' };
}

function diskOf({ diskFreeBytes, diskBytes }: Machine): Disk {
  return { usedPercent: Math.round((100 * (diskBytes - diskFreeBytes)) / diskBytes), freeBytes: diskFreeBytes, inodesUsedPercent: 10 };
}

function unitName({ target }: Runner): string {
  return `actions.runner.${target.scope.replace('/', '-')}.${target.runner}.service`;
}
