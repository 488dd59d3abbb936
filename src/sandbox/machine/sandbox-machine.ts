// The make-believe machine: the machine port without a shell, steps by name, with a listener that is really online at the make-believe GitHub.
// May import: the machine port, domain types, zod, node; only tests and the demo import it.

import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CacheListed, CacheRemoved, CacheWanted } from '../../domain/cache.ts';
import type { PackageStored, PackageWanted } from '../../domain/package.ts';
import type { RoomMade, RoomSource, RoomWanted, Workspace } from '../../domain/room.ts';
import type { DrainMark, ForeignCleaner, GuestObservation, MachineObservation, MachineState, RunnerTarget } from '../../domain/runner.ts';
import type { Secret } from '../../domain/secret.ts';
import {
  type Act,
  type ActRefusal,
  type Archive,
  type CallContext,
  type ClockSynced,
  type Configured,
  type Discarded,
  type FenceTaken,
  type Heard,
  type LetGo,
  MachineError,
  type MachinePort,
  type MachineRestarted,
  type MarkedDrained,
  type NotPaused,
  type Paused,
  type PauseFor,
  type PauseWanted,
  type Restored,
  type ServiceStarted,
  type SetAside,
  type Stopped,
  type Stopping,
  type UnmarkedDrained,
  type WaitsForEnd,
} from '../../machine/port.ts';
import { type ActClock, ActFence } from './act-fence.ts';
import type { Break } from './breaks.ts';
import {
  type CacheAndDisk,
  concernsMachine,
  healthyCacheAndDisk,
  listCache,
  lookAt,
  makeRoom,
  parseEntries,
  removeFromCache,
  type SandboxCacheEntry,
  type SandboxRoomSource,
} from './cache-and-disk.ts';
import {
  HEALTHY_DISK,
  HEALTHY_TIME_SYNC,
  KEPT_PACKAGE,
  type InstalledRunner,
  type Machine,
  type Machines,
  readMachines,
  type ServiceLog,
  writeMachines,
} from './guest-state.ts';
import { Listener, type ListenerExit } from './listener.ts';
import { type JobMessage, RunnerApi, RUNNER_VERSION } from './runner-api.ts';

export interface SandboxMachineOptions {
  /** Remembers the machines, so that they outlive the process. One process at a time has it open. */
  readonly file?: string;
  /** Length of steps: 1, the default, is long enough to watch (a second or so each), 0 is no wait at all. */
  readonly pace?: number;
  /** Wait between two tries of a listener to connect. Default 1,000; the real one waits 30 s. */
  readonly retryMs?: number;
  /** Deletes a runner's registration at the make-believe GitHub; `registration` breaks by it. */
  readonly removeRegistration?: (scope: string, runner: string) => void | Promise<void>;
}

/** How long steps take at pace 1, milliseconds. Scaled down from what a real guest needs, so that a demo stays short. */
const STEP_MS = {
  observe: 200,
  boot: 2_000,
  syncClock: 1_200,
  stopService: 900,
  setAside: 500,
  configure: 1_500,
  startService: 1_000,
  restore: 500,
  discard: 300,
  drain: 400,
  pause: 300,
  listCache: 300,
  removeFromCache: 900,
  makeRoom: 900,
  listWorkspaces: 300,
  fetchPackage: 900,
} as const;

/** A machine that is new here has run for so long; one that booted a moment ago is still settling. */
const AN_HOUR_MS = 3_600_000;
const TWO_HOURS_MS = 2 * AN_HOUR_MS;

/** As in src/machine/shell-machine.ts. */
const PAUSE_MS = 120_000;
/** The same of one that was held at the end of its job, since nobody may come. */
const PAUSE_AFTER_JOB_MS = 45_000;

/** Runners whose listeners are held together; `end` lets them go. */
interface Pause {
  readonly purpose: PauseFor;
  readonly runners: readonly InstalledRunner[];
  readonly timer: NodeJS.Timeout;
}

/** All make-believe machines of a host. */
export class SandboxMachine implements MachinePort {
  readonly #options: SandboxMachineOptions;
  readonly #machines: Machines;
  readonly #fences = new Map<string, ActFence>();
  /** Listener processes, by the runner they belong to. */
  readonly #listeners = new Map<InstalledRunner, Listener>();
  readonly #jobTimers = new Map<InstalledRunner, NodeJS.Timeout>();
  /** Machines whose guests let every look hang. */
  readonly #hangs = new Map<string, { readonly end: PromiseWithResolvers<void>; readonly despiteAbort: boolean }>();
  /** Whose listeners are held when their job ends. */
  readonly #waiting = new Set<InstalledRunner>();
  readonly #pauses = new Set<Pause>();
  readonly #closed = new AbortController();

  /** Machines that a file remembers go on as they were; services that were active listen again. */
  constructor(options: SandboxMachineOptions = {}) {
    this.#options = options;
    this.#machines = options.file === undefined ? {} : readMachines(options.file);
    for (const machine of Object.values(this.#machines)) {
      if (machine.state === 'starting') {
        finishBoot(machine);
      }
      // One that was cut off stays so, whoever plays it.
      if (machine.state === 'running' && machine.isReachable) {
        this.#listenAgain(machine);
      }
    }
  }

  // Controls

  isInstalled(target: RunnerTarget): boolean {
    return this.#machines[target.machine]?.runners[target.directory] !== undefined;
  }

  /** Whether a recovery has left files set aside. */
  isAside(target: RunnerTarget): boolean {
    return this.#find(target).runner.aside !== null;
  }

  /** Adds a runner to its machine, which is made and runs. With a registration it is configured and its service runs. */
  async install(target: RunnerTarget, registration: { readonly id: number; readonly credential: string } | null): Promise<void> {
    const machine = (this.#machines[target.machine] ??= newMachine());
    const runner: InstalledRunner = {
      configuration: null,
      aside: null,
      unfinished: null,
      unit: null,
      drain: null,
      missingProgram: null,
      log: newLog(null),
      job: null,
      held: healthyCacheAndDisk(),
    };
    machine.runners[target.directory] = runner;
    if (registration !== null) {
      const { id, credential } = registration;
      runner.configuration = { agentId: id, agentName: target.runner, url: target.registrationUrl, credential };
      runner.unit = { name: unitName(target), state: 'active', startsAtBoot: true };
      runner.log = newLog(machine.bootedAt);
      await this.#listen(machine, runner);
    }
    this.#save();
  }

  /** Breaks a runner that works; GitHub shows it offline after its usual lag. */
  async break(how: Break, target: RunnerTarget): Promise<void> {
    const { machine, runner } = this.#find(target);
    switch (how) {
      case 'service':
        await this.#endService(runner);
        break;
      case 'registration':
        await this.#removeRegistration(target);
        break;
      case 'clock':
        await this.setClock(target.machine, TWO_HOURS_MS);
        break;
      case 'vm':
        this.stop(target.machine, 'stopped');
        break;
      case 'config':
        if (runner.configuration !== null) {
          runner.configuration = { ...runner.configuration, credential: 'damaged' };
        }
        await this.#restartListener(machine, runner);
        break;
      case 'listener':
        // A process that hangs: its unit is active, and GitHub hears nothing.
        this.#listeners.get(runner)?.kill();
        break;
    }
    this.#save();
  }

  /** Makes the guest's clock wrong by so much. Its listeners have to connect anew, which a clock five minutes off does not let them. */
  async setClock(name: string, offsetMs: number): Promise<void> {
    const machine = this.#running(name);
    machine.clockOffsetMs = offsetMs;
    this.#save();
    for (const runner of Object.values(machine.runners)) {
      await this.#restartListener(machine, runner);
    }
  }

  /** Takes the guest's network away: no command comes in, GitHub hears nothing, and only a restart helps. */
  cutOff(name: string): void {
    const machine = this.#running(name);
    machine.isReachable = false;
    for (const runner of Object.values(machine.runners)) {
      this.#killListener(runner);
    }
    this.#save();
  }

  /** Gives the network back; the listeners connect by themselves. */
  reconnect(name: string): void {
    const machine = this.#running(name);
    machine.isReachable = true;
    this.#listenAgain(machine);
    this.#save();
  }

  setDisk(name: string, changes: Partial<Machine['disk']>): void {
    const machine = this.#known(name);
    machine.disk = { ...machine.disk, ...changes };
    this.#save();
  }

  setTimeSync(name: string, changes: Partial<Machine['timeSync']>): void {
    const machine = this.#known(name);
    machine.timeSync = { ...machine.timeSync, ...changes };
    this.#save();
  }

  setCache(target: RunnerTarget, entries: readonly SandboxCacheEntry[]): void {
    this.#change(target, { entries: parseEntries(entries) });
  }

  /** When its cache was last cleaned of what is unused; `null`: never. */
  setCleanedAgo(target: RunnerTarget, agoMs: number | null): void {
    this.#change(target, { cleanedAt: agoMs === null ? null : Date.now() - agoMs });
  }

  /** Something else in the guest that removes things below the runner's directory. */
  setForeignCleaner(target: RunnerTarget, foreignCleaner: ForeignCleaner | null): void {
    this.#change(target, { foreignCleaner });
  }

  /** What a source gives the next time that it is asked for room: 400 MB are a percent of the disk. */
  setRoom(target: RunnerTarget, source: RoomSource, gives: SandboxRoomSource): void {
    this.#change(target, { sources: { ...this.#find(target).runner.held.sources, [source]: gives } });
  }

  setWorkspaces(target: RunnerTarget, workspaces: readonly Workspace[]): void {
    this.#change(target, { workspaces: [...workspaces] });
  }

  /** Takes the runner's package away, or puts another in its place. */
  setPackage(name: string, version: string | null): void {
    this.#known(name).packageVersion = version;
    this.#save();
  }

  /** Takes the guest's way to where packages are, or gives it back. */
  setWayOut(name: string, hasWayOut: boolean): void {
    this.#known(name).hasWayOut = hasWayOut;
    this.#save();
  }

  /** Puts words into the journal of a runner's service, until its listener says something else. */
  setLog(target: RunnerTarget, changes: Partial<ServiceLog>): void {
    const { runner } = this.#find(target);
    runner.log = { ...runner.log, ...changes };
    this.#save();
  }

  /** Lets every look into the guest hang; with `despiteAbort` also after its caller has given it up. */
  hang(name: string, { despiteAbort = false }: { readonly despiteAbort?: boolean } = {}): void {
    this.#hangs.set(name, { end: Promise.withResolvers<void>(), despiteAbort });
  }

  /** The looks that hang end, and later ones do as well. */
  unhang(name: string): void {
    this.#hangs.get(name)?.end.resolve();
    this.#hangs.delete(name);
  }

  /** The job that runs succeeds now, however long it would take. */
  async endJob(target: RunnerTarget): Promise<void> {
    const { runner } = this.#find(target);
    if (runner.job === null) {
      throw new Error(`${target.runner} runs no job`);
    }
    await this.#endJob(runner, 'Succeeded');
  }

  /** Takes a program away from a runner, whose processes go on, or puts it back with `null`. */
  setMissingProgram(target: RunnerTarget, missing: string | null): void {
    this.#find(target).runner.missingProgram = missing;
    this.#save();
  }

  /** As a power cut or a closed lid does it: nobody says goodbye, and an act in the middle leaves no record. */
  stop(name: string, state: 'stopped' | 'suspended'): void {
    const machine = this.#running(name);
    machine.state = state;
    this.#fenceOf(name).cut();
    for (const runner of Object.values(machine.runners)) {
      this.#killListener(runner);
      this.#forgetJob(runner);
    }
    this.#save();
  }

  /** Ends every process of the machines, which stay as they are for the next one that opens the file. */
  async close(): Promise<void> {
    this.#save();
    this.#closed.abort(new MachineError('unreachable', 'the make-believe machine was closed'));
    for (const fence of this.#fences.values()) {
      fence.cut();
    }
    for (const timer of [...this.#jobTimers.values(), ...[...this.#pauses].map((pause) => pause.timer)]) {
      clearTimeout(timer);
    }
    await Promise.all([...this.#listeners.values()].map((listener) => listener.stop()));
  }

  // The port

  async state(name: string, _call: CallContext): Promise<MachineState> {
    return this.#machines[name]?.state ?? 'missing';
  }

  async states(names: readonly string[], _call: CallContext): Promise<ReadonlyMap<string, MachineState>> {
    return new Map(names.map((name) => [name, this.#machines[name]?.state ?? 'missing']));
  }

  async observe(target: RunnerTarget, call: CallContext, told?: MachineState): Promise<MachineObservation> {
    const state = told ?? (await this.state(target.machine, call));
    const observedAt = Date.now();
    if (state !== 'running') {
      return { observedAt, state, guest: { known: false, why: `the machine is ${state}` } };
    }
    await this.#pause('observe', call);
    await this.#endOfHang(target.machine, call.signal);
    const machine = this.#running(target.machine);
    if (!machine.isReachable) {
      return { observedAt: Date.now(), state, guest: { known: false, why: 'the guest does not answer' } };
    }
    return { observedAt: Date.now(), state, guest: { known: true, value: this.#look(target, machine) } };
  }

  async start(name: string, call: CallContext): Promise<void> {
    const machine = this.#known(name);
    if (machine.state === 'running') {
      return;
    }
    const isResumed = machine.state === 'suspended';
    machine.state = 'starting';
    this.#save();
    await this.#pause('boot', call);
    if (machine.state !== 'starting') {
      return;
    }
    if (isResumed) {
      machine.state = 'running';
    } else {
      finishBoot(machine);
    }
    this.#listenAgain(machine);
    this.#save();
  }

  async restart(name: string, mayStop: () => Promise<boolean>, call: CallContext): Promise<MachineRestarted> {
    const machine = this.#known(name);
    if (machine.state === 'running' && !machine.isReachable) {
      if (!(await mayStop())) {
        return { kind: 'given-up', evidence: `${name} was not stopped` };
      }
      this.stop(name, 'stopped');
      await this.start(name, call);
      return { kind: 'running', hasCutPower: true };
    }
    await this.start(name, call);
    return { kind: 'running' };
  }

  async takeFence(
    { machine: name, directory }: RunnerTarget,
    holder: string,
    { isRecovery }: { readonly isRecovery: boolean },
    _call: CallContext,
  ): Promise<FenceTaken> {
    const taken = this.#fenceOf(name).take(this.#reachable(name), holder, isRecovery ? directory : null);
    this.#save();
    return taken;
  }

  async pause(target: RunnerTarget, act: Act, wanted: PauseWanted, call: CallContext): Promise<Paused | ActRefusal> {
    return this.#act<Paused>(target, act, call, async (clock, { machine, runner }) => {
      const { purpose } = wanted;
      const runners = concerned(wanted, machine, runner);
      const earlier = [...this.#pauses].filter((pause) => pause.runners.some((each) => runners.includes(each)));
      const refused = (): NotPaused | ActRefusal | null =>
        refusedForPause(purpose, runner, act) ?? refusedByJob(runners) ?? (purpose === 'config-cleanup' ? refusedByProgram(runner) : null);
      const before = refused();
      if (before !== null) {
        this.#letGoOf(runners);
        return before;
      }
      await this.#work('pause', clock);
      const after = refused();
      if (after !== null) {
        this.#letGoOf(runners);
        return after;
      }
      const living = this.#hold(purpose, runners, PAUSE_MS);
      for (const pause of earlier) {
        this.#end(pause, runners);
      }
      return { kind: 'paused', unread: unreadOf(living) };
    });
  }

  async letGo(target: RunnerTarget, act: Act, _purpose: PauseFor, call: CallContext): Promise<LetGo | ActRefusal> {
    return this.#act<LetGo>(target, act, call, async (_clock, { runner }) => {
      this.#letGoOf([runner]);
      return { kind: 'let-go' };
    });
  }

  async syncClock(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<ClockSynced | Heard | NotPaused | ActRefusal> {
    return this.#act<ClockSynced | Heard | NotPaused>(target, act, call, (clock, { machine, runner }) =>
      this.#whilePaused<ClockSynced>({ purpose: 'sync-clock' }, { act, stopping, machine, runner }, async () => {
        await this.#work('syncClock', clock);
        machine.clockOffsetMs = 0;
        machine.timeSync = { service: machine.timeSync.service ?? 'timesyncd', isActive: true };
        return { kind: 'synced', offsetMs: 0, source: 'ntp' };
      }),
    );
  }

  async setConfigurationAside(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<SetAside | Heard | NotPaused | ActRefusal> {
    return this.#act<SetAside | Heard | NotPaused>(target, act, call, (clock, { machine, runner }) =>
      this.#whilePaused<SetAside>({ purpose: 'config-cleanup' }, { act, stopping, machine, runner }, async () => {
        runner.unfinished = { holder: machine.fence.holder, since: Date.now() };
        await this.#endService(runner);
        this.#save();
        await this.#work('stopService', clock);
        await this.#work('setAside', clock);
        if (runner.configuration !== null || runner.aside === null) {
          runner.aside = { configuration: runner.configuration };
        }
        runner.configuration = null;
        if (runner.unit !== null) {
          runner.unit.startsAtBoot = false;
        }
        return { kind: 'set-aside', agentId: runner.aside.configuration?.agentId ?? null, files: filesAside(runner) };
      }),
    );
  }

  async configure(
    target: RunnerTarget,
    act: Act,
    token: Secret,
    call: CallContext,
    labels: readonly string[] = target.labels,
  ): Promise<Configured | ActRefusal> {
    return this.#act<Configured>(target, act, call, async (clock, { machine, runner }) => {
      const marked = refusedByMark(runner, act);
      if (marked !== null) {
        return marked;
      }
      if (runner.aside !== null && runner.configuration?.agentName === target.runner) {
        return { kind: 'configured', agentId: runner.configuration.agentId };
      }
      if (machine.packageVersion === null && target.registration !== 'from-runner-directory') {
        return { kind: 'refused-unfit', evidence: 'no package of the runner is kept in the guest' };
      }
      await this.#work('configure', clock);
      if (runner.configuration !== null) {
        const evidence = 'Cannot configure the runner because it is already configured.';
        return { kind: 'not-configured', exitCode: 1, evidence, reason: 'other' };
      }
      const api = new RunnerApi(target.registrationUrl);
      const wanted = runner.drain === null ? labels : [];
      const answer = await api.register(token.reveal(), { name: target.runner, labels: wanted }, clock.signal);
      if (answer.kind === 'refused') {
        const reason = answer.isForToken ? 'token-refused' : 'other';
        return { kind: 'not-configured', exitCode: 1, evidence: answer.evidence, reason };
      }
      const { agentId, credential } = answer;
      runner.configuration = { agentId, agentName: target.runner, url: target.registrationUrl, credential };
      return { kind: 'configured', agentId };
    });
  }

  async startService(target: RunnerTarget, act: Act, call: CallContext): Promise<ServiceStarted | NotPaused | ActRefusal> {
    return this.#act<ServiceStarted>(
      target,
      act,
      call,
      async (clock, { machine, runner }) => refusedByMark(runner, act) ?? this.#bringUp(target, clock, machine, runner),
    );
  }

  async restartService(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<ServiceStarted | Heard | NotPaused | ActRefusal> {
    return this.#act<ServiceStarted | Heard | NotPaused>(
      target,
      act,
      call,
      async (clock, { machine, runner }): Promise<ServiceStarted | Heard | NotPaused | ActRefusal> => {
        if (runner.unit === null) {
          this.#letGoOf([runner]);
          return { kind: 'not-started', unit: null, state: 'missing', evidence: 'no unit of this runner is loaded' };
        }
        return this.#whilePaused<ServiceStarted>({ purpose: 'restart-service' }, { act, stopping, machine, runner }, async () => {
          await this.#endService(runner);
          this.#save();
          await this.#work('stopService', clock);
          return this.#bringUp(target, clock, machine, runner);
        });
      },
    );
  }

  async restoreConfiguration(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<Restored | Heard | NotPaused | ActRefusal> {
    return this.#act<Restored | Heard | NotPaused>(
      target,
      act,
      call,
      async (clock, { machine, runner }): Promise<Restored | Heard | NotPaused | ActRefusal> => {
        const { aside } = runner;
        if (aside === null) {
          this.#letGoOf([runner]);
          return { kind: 'restored', files: [] };
        }
        return this.#whilePaused<Restored>({ purpose: 'restore' }, { act, stopping, machine, runner }, async () => {
          await this.#endService(runner);
          await this.#work('restore', clock);
          const files = filesAside(runner);
          runner.configuration = aside.configuration;
          runner.aside = null;
          runner.unfinished = null;
          return { kind: 'restored', files };
        });
      },
    );
  }

  async discardAside(target: RunnerTarget, act: Act, call: CallContext): Promise<Discarded | ActRefusal> {
    return this.#act<Discarded>(target, act, call, async (clock, { runner }) => {
      await this.#work('discard', clock);
      const files = filesAside(runner);
      runner.aside = null;
      runner.unfinished = null;
      return { kind: 'discarded', files };
    });
  }

  async markDrained(
    target: RunnerTarget,
    act: Act,
    mark: Omit<DrainMark, 'since'>,
    call: CallContext,
  ): Promise<MarkedDrained | ActRefusal> {
    return this.#act<MarkedDrained>(target, act, call, async (clock, { machine, runner }) => {
      await this.#work('drain', clock);
      const { drain } = runner;
      if (drain === null && mark.labels !== undefined) {
        return { kind: 'refused-unfit', evidence: 'the runner is not marked as drained any more' };
      }
      const { by, reason, labels = drain?.labels } = mark;
      const words = drain !== null && drain.by !== 'room' ? drain : { since: Date.now() + machine.clockOffsetMs, by, reason };
      runner.drain = { ...words, ...(labels === undefined ? {} : { labels }) };
      if (runner.unit !== null) {
        runner.unit.startsAtBoot = false;
      }
      return { kind: 'marked' };
    });
  }

  async stopService(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<Stopped | Heard | NotPaused | ActRefusal> {
    return this.#act<Stopped | Heard | NotPaused>(target, act, call, (clock, { machine, runner }) =>
      this.#whilePaused<Stopped>({ purpose: 'drain' }, { act, stopping, machine, runner }, async () => {
        await this.#work('stopService', clock);
        await this.#endService(runner);
        return { kind: 'stopped' };
      }),
    );
  }

  async pauseAfterJob(target: RunnerTarget, act: Act, call: CallContext): Promise<WaitsForEnd | ActRefusal> {
    return this.#act<WaitsForEnd>(target, act, call, async (clock, { runner }) => {
      await this.#work('drain', clock);
      if (runner.drain === null) {
        return { kind: 'not-waiting', evidence: 'the runner is not marked as drained any more' };
      }
      this.#waiting.add(runner);
      return { kind: 'waiting' };
    });
  }

  async unmarkDrained(target: RunnerTarget, act: Act, call: CallContext): Promise<UnmarkedDrained | ActRefusal> {
    return this.#act<UnmarkedDrained>(target, act, call, async (clock, { runner }) => {
      const refused = refusedByMark(runner, act);
      if (refused !== null) {
        return refused;
      }
      await this.#work('drain', clock);
      this.#letGoOf([runner]);
      if (runner.unit !== null) {
        runner.unit.startsAtBoot = true;
      }
      runner.drain = null;
      this.#waiting.delete(runner);
      return { kind: 'unmarked' };
    });
  }

  async listCache(target: RunnerTarget, wanted: CacheWanted, call: CallContext): Promise<CacheListed> {
    return listCache(await this.#read('listCache', target, call), wanted, target.user);
  }

  async removeFromCache(
    target: RunnerTarget,
    act: Act,
    wanted: CacheWanted,
    stopping: Stopping,
    call: CallContext,
  ): Promise<CacheRemoved | Heard | NotPaused | ActRefusal> {
    return this.#act<CacheRemoved | Heard | NotPaused>(target, act, call, (clock, { machine, runner }) =>
      this.#whilePaused<CacheRemoved>({ purpose: 'remove-from-cache', wanted }, { act, stopping, machine, runner }, async () => {
        await this.#work('removeFromCache', clock);
        const { removed, disk } = removeFromCache(runner.held, machine.disk, wanted, target.user);
        machine.disk = disk;
        return removed;
      }),
    );
  }

  async makeRoom(
    target: RunnerTarget,
    act: Act,
    wanted: RoomWanted,
    stopping: Stopping,
    call: CallContext,
  ): Promise<RoomMade | Heard | NotPaused | ActRefusal> {
    return this.#act<RoomMade | Heard | NotPaused>(target, act, call, (clock, { machine, runner }) =>
      this.#whilePaused<RoomMade>({ purpose: 'make-room', wanted }, { act, stopping, machine, runner }, async () => {
        await this.#work('makeRoom', clock);
        const made = makeRoom(runner.held, machine.disk, wanted);
        if (wanted.source === 'runner-package' && made.kind === 'made') {
          machine.packageVersion = null;
        }
        machine.disk = made.disk;
        return made;
      }),
    );
  }

  async fetchPackage(target: RunnerTarget, act: Act, wanted: PackageWanted, call: CallContext): Promise<PackageStored | ActRefusal> {
    return this.#act<PackageStored>(target, act, call, async (clock, { machine }) => {
      const { address, version } = wanted;
      if (machine.packageVersion === version) {
        return { kind: 'kept', version };
      }
      await this.#work('fetchPackage', clock);
      if (!machine.hasWayOut || address === null) {
        return { kind: 'not-fetched', reason: 'no-way', evidence: `${address ?? wanted.filename} could not be downloaded in the guest` };
      }
      const response = await fetch(address, { signal: clock.signal });
      return response.ok
        ? storePackage(machine, wanted, Buffer.from(await response.arrayBuffer()))
        : { kind: 'not-fetched', reason: 'no-way', evidence: `${address} answered ${response.status}` };
    });
  }

  async passPackage(
    target: RunnerTarget,
    act: Act,
    wanted: PackageWanted,
    archive: Archive,
    call: CallContext,
  ): Promise<PackageStored | ActRefusal> {
    return this.#act<PackageStored>(target, act, call, async (clock, { machine }) => {
      await this.#work('fetchPackage', clock);
      return storePackage(machine, wanted, await readFile(archive.path));
    });
  }

  async listWorkspaces(target: RunnerTarget, call: CallContext): Promise<readonly Workspace[]> {
    const { workspaces } = await this.#read('listWorkspaces', target, call);
    return workspaces.toSorted((one, other) => (other.bytes ?? 0) - (one.bytes ?? 0)).slice(0, 20);
  }

  /** What the runner's disk holds, as a look of its own that takes its time. */
  async #read(step: keyof typeof STEP_MS, target: RunnerTarget, call: CallContext): Promise<CacheAndDisk> {
    this.#reachable(target.machine);
    await this.#pause(step, call);
    this.#reachable(target.machine);
    return this.#find(target).runner.held;
  }

  // Acts

  /** Acts while nothing can take a job; whatever comes of it lets go, unless GitHub has sent something. By force it does not look. */
  async #whilePaused<T extends { readonly kind: string }>(
    wanted: PauseWanted,
    { act, stopping, machine, runner }: { act: Act; stopping: Stopping; machine: Machine; runner: InstalledRunner },
    work: () => Promise<T | ActRefusal>,
  ): Promise<T | Heard | NotPaused | ActRefusal> {
    const { purpose } = wanted;
    const runners = concerned(wanted, machine, runner);
    const refused =
      refusedForPause(purpose, runner, act) ??
      (stopping.force
        ? null
        : (refusedByJob(runners) ?? (isNeedless(wanted, runner) ? null : this.#refusedStop(purpose, runners, stopping)))) ??
      (purpose === 'config-cleanup' || purpose === 'restart-service' ? refusedByProgram(runner) : null);
    if (refused?.kind === 'heard') {
      return refused;
    }
    try {
      return refused ?? (await work());
    } finally {
      this.#letGoOf(runners);
    }
  }

  /** Why listeners that live are not to be stopped, or `null`. */
  #refusedStop(purpose: PauseFor, runners: readonly InstalledRunner[], { pause }: Stopping): NotPaused | Heard | null {
    const living = this.#living(runners);
    if (living.length === 0) {
      return null;
    }
    if (pause === null) {
      return { kind: 'not-paused', evidence: 'a listener lives' };
    }
    const isHeld = [...this.#pauses].some((each) => each.purpose === purpose && runners.every((runner) => each.runners.includes(runner)));
    if (!isHeld || !living.every((listener) => listener.isFrozen)) {
      return { kind: 'not-paused', evidence: 'the listener was let go meanwhile' };
    }
    const unread = unreadOf(living);
    return unread === pause.unread ? null : { kind: 'heard', unread };
  }

  async #act<T extends { readonly kind: string }>(
    target: RunnerTarget,
    act: Act,
    call: CallContext,
    body: (clock: ActClock, found: { machine: Machine; runner: InstalledRunner }) => Promise<T | ActRefusal>,
  ): Promise<T | ActRefusal> {
    const machine = this.#reachable(target.machine);
    try {
      return await this.#fenceOf(target.machine).run<T>(machine, act, call, (clock) => body(clock, this.#find(target)));
    } finally {
      this.#save();
    }
  }

  async #bringUp(target: RunnerTarget, clock: ActClock, machine: Machine, runner: InstalledRunner): Promise<ServiceStarted | ActRefusal> {
    if (runner.missingProgram !== null && runner.unit?.state !== 'active') {
      return unfit(runner.missingProgram);
    }
    runner.unit ??= { name: unitName(target), state: 'inactive', startsAtBoot: true };
    const { unit } = runner;
    this.#save();
    if (unit.state !== 'active') {
      await this.#work('startService', clock);
      unit.state = 'active';
      unit.startsAtBoot = true;
      runner.log = newLog(Date.now());
      await this.#listen(machine, runner);
    }
    runner.unfinished = null;
    // The listener may have ended it meanwhile.
    const { state } = unit as { readonly state: string };
    return state === 'active'
      ? { kind: 'started', unit: unit.name }
      : { kind: 'not-started', unit: unit.name, state, evidence: lastWords(runner) };
  }

  async #endService(runner: InstalledRunner): Promise<void> {
    if (runner.unit !== null) {
      runner.unit.state = 'inactive';
    }
    await this.#cancelJob(runner);
    const listener = this.#listeners.get(runner);
    this.#listeners.delete(runner);
    await listener?.stop();
  }

  // Listeners and jobs

  /** Starts the service's listener and waits until its first try to connect is answered. */
  async #listen(machine: Machine, runner: InstalledRunner): Promise<void> {
    const { configuration } = runner;
    if (configuration === null) {
      this.#exited(runner, {
        code: 1,
        sign: { code: 'not-configured', line: 'An error occurred: Not configured. Run config.(sh/cmd) to configure the runner.' },
        isDeregistered: false,
      });
      return;
    }
    const listener: Listener = new Listener({
      configuration,
      now: () => Date.now() + machine.clockOffsetMs,
      retryMs: this.#options.retryMs ?? 1_000,
      onJob: (job) => this.#beginJob(runner, job),
      isBusy: () => runner.job !== null,
      onSign: (sign) => {
        if (this.#listeners.get(runner) === listener) {
          runner.log = { ...runner.log, ...(sign === null ? { exitCode: null, relaunches: 0, signs: [] } : { signs: [sign] }) };
          this.#save();
        }
      },
      onExit: (exit) => {
        if (this.#listeners.get(runner) === listener) {
          this.#exited(runner, exit);
        }
      },
    });
    this.#listeners.set(runner, listener);
    await listener.settled;
  }

  /** A listener that ends by itself leaves its unit inactive, also after an error. */
  #exited(runner: InstalledRunner, { code, sign, isDeregistered }: ListenerExit): void {
    this.#listeners.delete(runner);
    runner.log = { ...runner.log, exitCode: code, signs: [sign] };
    if (runner.unit !== null) {
      runner.unit.state = 'inactive';
    }
    if (isDeregistered) {
      runner.configuration = null;
    }
    this.#save();
  }

  /** As systemd does at boot: installed units are enabled, and start. */
  #listenAgain(machine: Machine): void {
    for (const runner of Object.values(machine.runners)) {
      if (runner.unit?.state === 'active') {
        void this.#listen(machine, runner);
      }
      if (runner.job !== null) {
        this.#awaitJob(runner, runner.job.endsAt - Date.now());
      }
    }
  }

  #living(runners: readonly InstalledRunner[]): readonly Listener[] {
    return runners.flatMap((runner) => this.#listeners.get(runner) ?? []);
  }

  #hold(purpose: PauseFor, runners: readonly InstalledRunner[], forMs: number): readonly Listener[] {
    const living = this.#living(runners);
    for (const listener of living) {
      listener.freeze();
    }
    if (living.length > 0) {
      const pause: Pause = { purpose, runners, timer: setTimeout(() => this.#end(pause), forMs).unref() };
      this.#pauses.add(pause);
    }
    return living;
  }

  /** Ends each pause that holds one of them. */
  #letGoOf(runners: readonly InstalledRunner[]): void {
    for (const pause of this.#pauses) {
      if (pause.runners.some((runner) => runners.includes(runner))) {
        this.#end(pause);
      }
    }
  }

  /** @param takenOver who is held by another pause from now on */
  #end(pause: Pause, takenOver: readonly InstalledRunner[] = []): void {
    clearTimeout(pause.timer);
    this.#pauses.delete(pause);
    for (const listener of this.#living(pause.runners.filter((runner) => !takenOver.includes(runner)))) {
      listener.thaw();
    }
  }

  #killListener(runner: InstalledRunner): void {
    this.#listeners.get(runner)?.kill();
    this.#listeners.delete(runner);
  }

  async #restartListener(machine: Machine, runner: InstalledRunner): Promise<void> {
    const listener = this.#listeners.get(runner);
    if (listener !== undefined) {
      this.#listeners.delete(runner);
      await listener.stop();
      await this.#listen(machine, runner);
    }
  }

  #beginJob(runner: InstalledRunner, { jobId, name, seconds }: JobMessage): void {
    this.#letGoOf([runner]);
    runner.job = { id: jobId, name, endsAt: Date.now() + seconds * 1_000 };
    this.#awaitJob(runner, seconds * 1_000);
    this.#save();
  }

  #awaitJob(runner: InstalledRunner, milliseconds: number): void {
    const timer = setTimeout(() => void this.#endJob(runner, 'Succeeded'), Math.max(0, milliseconds));
    this.#jobTimers.set(runner, timer);
  }

  /** What stopping the service does to a running job. */
  async #cancelJob(runner: InstalledRunner): Promise<void> {
    if (runner.job !== null) {
      await this.#endJob(runner, 'Canceled');
    }
  }

  async #endJob(runner: InstalledRunner, result: 'Succeeded' | 'Canceled'): Promise<void> {
    const { job, configuration } = runner;
    this.#forgetJob(runner);
    this.#save();
    if (job !== null && configuration !== null) {
      await new RunnerApi(configuration.url).finishJob(job.id, result, AbortSignal.timeout(2_000)).catch(() => undefined);
    }
    if (this.#waiting.has(runner) && runner.drain !== null) {
      this.#hold('drain', [runner], PAUSE_AFTER_JOB_MS);
    }
    this.#listeners.get(runner)?.jobEnded();
  }

  #forgetJob(runner: InstalledRunner): void {
    clearTimeout(this.#jobTimers.get(runner));
    this.#jobTimers.delete(runner);
    runner.job = null;
  }

  async #removeRegistration({ scope, runner }: RunnerTarget): Promise<void> {
    if (this.#options.removeRegistration === undefined) {
      throw new Error('breaking the registration needs the option removeRegistration');
    }
    await this.#options.removeRegistration(scope, runner);
  }

  #change(target: RunnerTarget, changes: Partial<CacheAndDisk>): void {
    const { runner } = this.#find(target);
    runner.held = { ...runner.held, ...changes };
    this.#save();
  }

  // Looking up

  #look(target: RunnerTarget, machine: Machine): GuestObservation {
    const runner = machine.runners[target.directory];
    const all = Object.values(machine.runners);
    const { configuration, unit } = runner ?? { configuration: null, unit: null };
    return {
      bootId: machine.bootId,
      clockOffsetMs: machine.clockOffsetMs,
      service: { unit: unit?.name ?? null, state: unit?.state ?? 'missing' },
      workers: countJobs(runner === undefined ? [] : [runner]),
      workersOnMachine: countJobs(all),
      listeners: runner !== undefined && this.#listeners.has(runner) ? 1 : 0,
      registration: configuration && { agentId: configuration.agentId, agentName: configuration.agentName, url: configuration.url },
      installedVersion: runner === undefined ? null : RUNNER_VERSION,
      missingProgram: runner?.missingProgram ?? null,
      uptimeMs: Math.max(0, Date.now() - machine.bootedAt),
      log: logOf(runner),
      timeSync: machine.timeSync,
      drain: runner?.drain ?? null,
      packageVersion: machine.packageVersion,
      architecture: 'x86_64',
      disk: machine.disk,
      ...lookAt(runner?.held ?? healthyCacheAndDisk()),
      runningAct: this.#fenceOf(target.machine).runningKey,
    };
  }

  async #endOfHang(name: string, signal: AbortSignal): Promise<void> {
    const hang = this.#hangs.get(name);
    if (hang === undefined) {
      return;
    }
    const given = Promise.withResolvers<never>();
    if (!hang.despiteAbort) {
      signal.addEventListener('abort', () => given.reject(signal.reason), { once: true });
      signal.throwIfAborted();
    }
    await Promise.race([hang.end.promise, given.promise]);
  }

  #find(target: RunnerTarget): { machine: Machine; runner: InstalledRunner } {
    const machine = this.#running(target.machine);
    const runner = machine.runners[target.directory];
    if (runner === undefined) {
      throw new MachineError('act-failed', `${target.machine}: there is no runner in ${target.directory}`);
    }
    return { machine, runner };
  }

  #running(name: string): Machine {
    const machine = this.#known(name);
    if (machine.state !== 'running') {
      throw new MachineError('not-running', `machine ${name} is ${machine.state}`);
    }
    return machine;
  }

  #reachable(name: string): Machine {
    const machine = this.#running(name);
    if (!machine.isReachable) {
      throw new MachineError('unreachable', `the guest of ${name} does not answer`);
    }
    return machine;
  }

  #known(name: string): Machine {
    const machine = this.#machines[name];
    if (machine === undefined) {
      throw new MachineError('machine-missing', `there is no machine ${name}`);
    }
    return machine;
  }

  #fenceOf(name: string): ActFence {
    const fence = this.#fences.get(name) ?? new ActFence();
    this.#fences.set(name, fence);
    return fence;
  }

  #save(): void {
    if (this.#options.file !== undefined && !this.#closed.signal.aborted) {
      writeMachines(this.#options.file, this.#machines);
    }
  }

  // Time

  async #work(step: keyof typeof STEP_MS, clock: ActClock): Promise<void> {
    await clock.wait(this.#lengthOf(step));
  }

  async #pause(step: keyof typeof STEP_MS, { signal, heartbeat }: CallContext): Promise<void> {
    const lengthMs = this.#lengthOf(step);
    if (lengthMs > 0) {
      heartbeat(step);
    }
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    await sleep(lengthMs, undefined, { signal: ended }).catch(() => ended.throwIfAborted());
  }

  #lengthOf(step: keyof typeof STEP_MS): number {
    return STEP_MS[step] * (this.#options.pace ?? 1);
  }
}

function newMachine(): Machine {
  return {
    state: 'running',
    bootId: randomUUID(),
    bootedAt: Date.now() - AN_HOUR_MS,
    isReachable: true,
    clockOffsetMs: 0,
    timeSync: HEALTHY_TIME_SYNC,
    disk: HEALTHY_DISK,
    packageVersion: KEPT_PACKAGE,
    hasWayOut: true,
    fence: { number: 0, holder: 'nobody' },
    records: {},
    runners: {},
  };
}

function storePackage(machine: Machine, { version, sha256, leastFreeBytes }: PackageWanted, archive: Buffer): PackageStored {
  if (machine.disk.freeBytes < leastFreeBytes) {
    return { kind: 'not-fetched', reason: 'no-room', evidence: `${machine.disk.freeBytes} bytes are free, and ${leastFreeBytes} must be` };
  }
  const sum = createHash('sha256').update(archive).digest('hex');
  if (sum !== sha256) {
    return { kind: 'not-fetched', reason: 'wrong-checksum', evidence: `its SHA-256 is ${sum}, and must be ${sha256}` };
  }
  machine.packageVersion = version;
  return { kind: 'fetched', version };
}

/** The hardware clock is right, and enabled units start. */
function finishBoot(machine: Machine): void {
  machine.state = 'running';
  machine.bootId = randomUUID();
  machine.bootedAt = Date.now();
  machine.isReachable = true;
  machine.clockOffsetMs = 0;
  for (const runner of Object.values(machine.runners)) {
    const { unit } = runner;
    if (unit !== null) {
      unit.state = unit.startsAtBoot ? 'active' : 'inactive';
      runner.log = newLog(unit.startsAtBoot ? machine.bootedAt : null);
    }
  }
}

function newLog(startedAt: number | null): ServiceLog {
  return { startedAt, exitCode: null, relaunches: 0, signs: [] };
}

/** What a look says of it. */
function logOf(runner: InstalledRunner | undefined): GuestObservation['log'] {
  const { startedAt, ...said } = runner === undefined || runner.unit === null ? newLog(null) : runner.log;
  return { startedAgoMs: startedAt === null ? null : Math.max(0, Date.now() - startedAt), ...said };
}

function lastWords({ log: { signs, exitCode } }: InstalledRunner): string {
  return `${signs[0]?.line ?? ''} Runner listener exited with error code ${exitCode}`;
}

/** https://github.com/actions/runner: ServiceControlManager.cs */
function unitName({ scope, runner }: RunnerTarget): string {
  return `actions.runner.${scope.replace(/[^0-9a-zA-Z._-]/g, '-')}.${runner.replaceAll(' ', '_')}.service`;
}

/** Names of the set-aside files. */
function filesAside({ aside }: InstalledRunner): readonly string[] {
  return aside?.configuration ? ['.credentials', '.credentials_rsaparams', '.runner'] : [];
}

function countJobs(runners: readonly InstalledRunner[]): number {
  return runners.filter(({ job }) => job !== null).length;
}

/** Runners whose listeners are held for it. */
function concerned(wanted: PauseWanted, machine: Machine, runner: InstalledRunner): readonly InstalledRunner[] {
  const isShared = wanted.purpose === 'sync-clock' || (wanted.purpose === 'make-room' && concernsMachine(wanted.wanted.source));
  return isShared ? Object.values(machine.runners) : [runner];
}

/** Whether nothing would be taken from under a job. */
function isNeedless(wanted: PauseWanted, { held }: InstalledRunner): boolean {
  switch (wanted.purpose) {
    case 'remove-from-cache':
      return listCache(held, wanted.wanted, '').foundEntries === 0;
    case 'make-room':
      return wanted.wanted.source === 'runner-package' || !('bytes' in (held.sources[wanted.wanted.source] ?? {}));
    default:
      return false;
  }
}

/** Why what a pause is for is not done on a runner that is drained, or is not; `null` if it may be. */
function refusedForPause(purpose: PauseFor, runner: InstalledRunner, act: Act): NotPaused | ActRefusal | null {
  if (purpose === 'drain') {
    return runner.drain === null ? { kind: 'not-paused', evidence: 'the runner is not marked as drained any more' } : null;
  }
  // Its configuration is not kept from a runner that is to stay drained, and a clock is the machine's.
  return purpose === 'restore' || purpose === 'sync-clock' ? null : refusedByMark(runner, act);
}

/** Why an act is not done that was not told of the mark of a drained runner, or `null`. */
function refusedByMark({ drain }: InstalledRunner, { drainSeen }: Act): ActRefusal | null {
  const isSeen = drain === null || drainSeen === 'person' || drainSeen === drain.by;
  return isSeen ? null : { kind: 'refused-drained', evidence: 'the runner is drained' };
}

function refusedByJob(runners: readonly InstalledRunner[]): ActRefusal | null {
  const busy = runners.filter(({ job }) => job !== null);
  return busy.length === 0 ? null : { kind: 'refused-busy', evidence: busy.map(describeJob).join('; ') };
}

function refusedByProgram({ missingProgram }: InstalledRunner): ActRefusal | null {
  return missingProgram === null ? null : unfit(missingProgram);
}

function unreadOf(listeners: readonly Listener[]): string {
  return listeners
    .map(({ unread }) => unread)
    .filter((unread) => unread !== '')
    .join(' ');
}

function unfit(missing: string): ActRefusal {
  return { kind: 'refused-unfit', evidence: `the runner's programs are broken: ${missing}. Unpack the runner's package again` };
}

function describeJob({ job }: InstalledRunner): string {
  return job === null ? 'idle' : `Runner.Worker runs job ${job.name}`;
}
