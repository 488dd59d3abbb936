// Plays a story: the world and one or two Runwards go on by themselves, faults come and go, and people do what they do.

import { actQueue, lookQueue, MAIN_QUEUE } from '../../src/domain/names.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { install, type Installation, type InstallationSettings } from './installation.ts';
import { graceMsOf, Watch, type Violation } from './invariants.ts';
import { LAYOUTS, type FaultName, type PersonDoes, type Story, type StoryEvent } from './scenario.ts';
import { createVirtualClock, type VirtualClock } from './temporal/index.ts';
import type { Clock } from './temporal/clock.ts';
import { FAULT, PERSON, type Fact } from './world/facts.ts';
import { HOUR, MINUTE, SECOND, type Time } from './world/time.ts';
import { GIB, World, type Machine, type Runner } from './world/world.ts';

export const BEGUN_AT = Date.UTC(2026, 0, 5, 8);

export interface Played {
  readonly facts: readonly Fact[];
  /** The one that ended the story; `null` without one. */
  readonly violation: Violation | null;
  /** All that were broken, one of each kind. */
  readonly violations: readonly Violation[];
  /** In which something happened: the calm at the end is none of them. */
  readonly hours: number;
  readonly jobs: number;
  readonly harmed: number;
}

/** After the last event all has time to become well, and so long beside it. */
const CALM_MS = 40 * MINUTE;
/** Invariants on how things stand are looked at so often. */
const LOOK_EVERY_MS = 5 * MINUTE;

export interface PlayOptions {
  /** Which violation ends the story; any without it. */
  readonly endsAt?: (violation: Violation) => boolean;
}

/** What a story is played on. */
export interface Stage {
  readonly begunAt: number;
  readonly clock: VirtualClock;
  readonly install: (world: World, settings: InstallationSettings) => Installation;
}

export async function play(story: Story, options: PlayOptions = {}): Promise<Played> {
  const clock = createVirtualClock(BEGUN_AT) as Clock;
  try {
    return await playOn({ begunAt: BEGUN_AT, clock, install: (world, settings) => install(world, clock, settings) }, story, options);
  } finally {
    clock.uninstall();
  }
}

export async function playOn(stage: Stage, story: Story, options: PlayOptions = {}): Promise<Played> {
  return new Play(story, stage, options).run();
}

class Play {
  readonly #story: Story;
  readonly #endsAt: NonNullable<PlayOptions['endsAt']>;
  readonly #begunAt: number;
  readonly #clock: VirtualClock;
  readonly #world: World;
  readonly #installations: readonly Installation[];
  readonly #watch: Watch;
  #ids = 0;

  constructor(story: Story, { begunAt, clock, install: installOn }: Stage, { endsAt = () => true }: PlayOptions) {
    this.#story = story;
    this.#endsAt = endsAt;
    this.#begunAt = begunAt;
    this.#clock = clock;
    const targets = targetsOf(story);
    const world = new World(timeOf(clock), story.seed, { targets });
    this.#world = world;
    const { everyMinutes, rival } = story.site;
    this.#installations = [
      installOn(world, { name: 'Runward', targets, everyMinutes, hasSchedules: true }),
      ...(rival === 'none'
        ? []
        : [installOn(world, { name: 'another Runward', targets, everyMinutes, hasSchedules: rival === 'checks too' })]),
    ];
    this.#watch = new Watch(world, this.#installations, everyMinutes);
  }

  async run(): Promise<Played> {
    const { events, hours } = this.#story;
    for (const { at, event } of events) this.#clock.schedule(this.#begunAt + at, () => this.#happens(event));
    const end = this.#begunAt + hours * HOUR + graceMsOf(this.#story.site.everyMinutes) + CALM_MS;
    for (let at = this.#begunAt + LOOK_EVERY_MS; at <= end && !this.#watch.violations.some(this.#endsAt); at += LOOK_EVERY_MS) {
      await this.#clock.runUntil(at);
      this.#world.advance();
      this.#watch.look();
    }
    const { all } = this.#world.facts;
    return {
      facts: all,
      violation: this.#watch.violations.find(this.#endsAt) ?? null,
      violations: this.#watch.violations,
      hours: Math.min(hours, (this.#clock.now() - this.#begunAt) / HOUR),
      jobs: all.filter((fact) => fact.kind === 'job' && fact.what === 'assigned').length,
      harmed: all.filter(
        (fact) => fact.kind === 'job-disturbed' && fact.couldBeKnown && fact.cause.by === 'runward' && !fact.cause.isForced,
      ).length,
    };
  }

  #happens(event: StoryEvent): void | Promise<unknown> {
    this.#world.advance();
    switch (event.kind) {
      case 'fault':
        this.#fault(event);
        break;
      case 'runs':
        this.#runs(event);
        break;
      case 'person':
        return this.#person(event);
    }
  }

  // Jobs

  #runs({ of, count, minutes, on }: Extract<StoryEvent, { kind: 'runs' }>): void {
    const world = this.#world;
    const scope = pickOf([...world.scopes.values()], on);
    const asksForMore = on >= 6 && world.runners.some((runner) => runner.scope === scope && runner.target.labels.includes(CUSTOM_LABEL));
    const labels = ['self-hosted', ...(asksForMore ? [CUSTOM_LABEL] : [])];
    for (let made = 0; made < count; made += 1) {
      const number = (this.#ids += 1);
      const about =
        of === 'push'
          ? { workflowId: 1 + (on % 3), event: of, branch: `branch-${number % 5}`, pullRequest: null, sha: `sha-${number}` }
          : { workflowId: 1 + (on % 3), event: of, branch: `change-${number}`, pullRequest: number, sha: `sha-${number}` };
      world.addRun(scope, about, [{ labels, lastsMs: minutes * MINUTE }]);
    }
  }

  // Faults

  #fault({ fault, on, minutes, size }: Extract<StoryEvent, { kind: 'fault' }>): void {
    const world = this.#world;
    const { github, now } = world;
    const runner = pickOf(world.runners, on);
    const { machine, scope } = runner;
    const { host } = machine;
    const ms = minutes * MINUTE;
    const until = now + ms;
    const [first] = this.#installations as [Installation];
    const touches = this.#touchedBy(fault, runner);
    world.facts.note({ kind: 'fault', what: `${fault}${textOf(fault, runner, minutes)}`, touches, until });
    switch (fault) {
      case 'GitHub answers 503':
        github.downUntil = Math.max(github.downUntil, until);
        break;
      case "GitHub's limit is reached":
        github.limitedUntil = Math.max(github.limitedUntil, until);
        break;
      case 'GitHub is slow':
        github.slowUntil = Math.max(github.slowUntil, until);
        github.lostShare = (size % 10) / 15;
        github.slowness = size / 100;
        break;
      case 'a list of GitHub lacks a runner':
        scope.unlisted.set(runner.target.runner, until);
        break;
      case 'a list of GitHub lacks all runners':
        scope.unlisted.set('*', until);
        break;
      case 'GitHub shows a runner online that is not': {
        const registration = world.registrationOf(runner);
        if (registration !== null) scope.staleStatusUntil.set(registration.id, { status: 'online', until });
        break;
      }
      case 'GitHub calls a runner busy': {
        const registration = world.registrationOf(runner);
        if (registration !== null) registration.busyUntil = Math.max(registration.busyUntil, until);
        world.judge(runner);
        break;
      }
      case 'GitHub forgets a registration':
        world.deregister(runner);
        break;
      case 'multipass answers nobody':
        host.hangsUntil = Math.max(host.hangsUntil, until);
        break;
      case 'multipass starts nothing':
        host.startsNothingUntil = Math.max(host.startsNothingUntil, until);
        break;
      case 'the host is silent':
        for (const { temporal, away } of this.#installations) {
          for (const queue of [actQueue(host.name), lookQueue(host.name)]) this.#takeAway(temporal, away, queue, ms);
        }
        break;
      case 'the host sleeps':
        this.#sleep(machine, ms);
        break;
      case 'the worker is killed':
        this.#takeAway(first.temporal, first.away, MAIN_QUEUE, Math.max(20 * SECOND, ms / 8));
        for (const queue of [actQueue(host.name), lookQueue(host.name)])
          this.#takeAway(first.temporal, first.away, queue, Math.max(20 * SECOND, ms / 8));
        break;
      case 'Temporal is away':
        first.temporal.stopServer();
        this.#clock.schedule(until, () => first.temporal.startServer());
        break;
      case "Temporal's clock is ahead": {
        const { clock } = first;
        if (clock.skewMs !== 0) break;
        clock.skewMs = (1 + size) * 7 * HOUR;
        this.#clock.schedule(until, () => {
          clock.skewMs = 0;
        });
        break;
      }
      case 'the guest is out of reach':
        world.hide(machine, ms);
        break;
      case 'the guest hangs':
        world.freezeGuest(machine, size < 50 ? Math.min(ms, 40 * MINUTE) / 4 : ms);
        break;
      case 'the network is gone':
        world.cutNetwork(machine, ms);
        break;
      case 'the clock drifts':
        world.driftClock(machine, (size % 2 === 0 ? 1 : -1) * (size + 1) * 70 * SECOND);
        break;
      case 'the machine loses power':
        world.cutPower(machine, FAULT);
        break;
      case 'the machine reboots':
        this.#reboot(machine);
        break;
      case 'the disk fills':
        machine.diskFreeBytes = ((1 + size) / 40) * GIB;
        machine.roomLeft = (size % 7) * GIB;
        break;
      case 'the disk is nearly full for a while':
        this.#hover(machine, until);
        break;
      case 'the guest writes nothing':
        machine.readOnlyUntil = Math.max(machine.readOnlyUntil, until);
        break;
      case 'the package is gone':
        machine.packageVersion = null;
        break;
      case 'the service ends':
        world.killService(runner);
        break;
      case 'the listener is deaf':
        world.deafen(runner);
        break;
      case 'a job writes into .runner':
        if (runner.job?.state === 'works') runner.writtenAgentId = 1 + size;
        break;
    }
  }

  /** Names of runners; none for a fault that touches all. */
  #touchedBy(fault: FaultName, { name, machine, scope }: Runner): readonly string[] {
    const all = this.#world.runners.map((runner) => runner.name);
    if (
      [
        'GitHub answers 503',
        "GitHub's limit is reached",
        'GitHub is slow',
        'Temporal is away',
        "Temporal's clock is ahead",
        'the worker is killed',
      ].includes(fault)
    )
      return all;
    if (fault === 'a list of GitHub lacks all runners')
      return this.#world.runners.filter((runner) => runner.scope === scope).map((runner) => runner.name);
    if (fault.startsWith('multipass') || fault.includes('host'))
      return this.#world.runners.filter((runner) => runner.machine.host === machine.host).map((runner) => runner.name);
    // What is to be done with a whole machine waits for each of its runners.
    if (fault === 'GitHub calls a runner busy') return machine.runners.map((runner) => runner.name);
    return fault.startsWith('the ') && !['the service ends', 'the listener is deaf'].includes(fault)
      ? machine.runners.map((runner) => runner.name)
      : [name];
  }

  #takeAway(temporal: Installation['temporal'], away: Map<string, number>, queue: string, ms: number): void {
    away.set(queue, (away.get(queue) ?? 0) + 1);
    if (temporal.isWorkerAlive(queue)) temporal.killWorker(queue);
    this.#clock.schedule(this.#clock.now() + ms, () => {
      const left = (away.get(queue) ?? 1) - 1;
      away.set(queue, left);
      if (left === 0 && !temporal.isWorkerAlive(queue)) temporal.startWorker(queue);
    });
  }

  /** Nothing of the host moves; the guests' clocks stay behind. */
  #sleep({ host }: Machine, ms: number): void {
    const world = this.#world;
    const machines = [...world.machines.values()].filter((machine) => machine.host === host && machine.state === 'running');
    for (const { temporal, away } of this.#installations) {
      for (const queue of [actQueue(host.name), lookQueue(host.name)]) this.#takeAway(temporal, away, queue, ms);
    }
    for (const machine of machines) {
      const { era } = machine;
      world.freezeGuest(machine, ms);
      world.timeline.after(ms, () => {
        if (machine.era === era && world.chance.isSo('the clock stays behind', 0.6)) world.driftClock(machine, -ms);
      });
    }
    world.timeline.after(ms, () => {
      host.wokeAt = world.now;
    });
  }

  #reboot(machine: Machine): void {
    const world = this.#world;
    if (machine.state !== 'running') return;
    world.cutPower(machine, FAULT);
    machine.state = 'restarting';
    const { era } = machine;
    world.timeline.after(30 * SECOND, () => {
      if (machine.era === era) world.boot(machine, FAULT);
    });
  }

  #hover(machine: Machine, until: number): void {
    const world = this.#world;
    machine.diskFreeBytes = world.chance.between('hover', 470, 560) * 1024 * 1024;
    if (world.now < until) world.timeline.after(world.chance.between('hover', 4, 12) * MINUTE, () => this.#hover(machine, until));
    else machine.diskFreeBytes = 20 * GIB;
  }

  // People

  #person({ does, on, isRival }: Extract<StoryEvent, { kind: 'person' }>): void | Promise<unknown> {
    const world = this.#world;
    const installation = (isRival ? this.#installations[1] : undefined) ?? (this.#installations[0] as Installation);
    const runner = pickOf(world.runners, on);
    const { machine } = runner;
    const say = (what: string, touches: readonly string[] = [runner.name]): void =>
      world.facts.note({ kind: 'person', what: `${what}${installation.name === 'Runward' ? '' : ', of another Runward'}`, touches });
    const ofMachine = machine.runners.map(({ name }) => name);
    switch (does) {
      case 'check':
        say(`\`runward check ${runner.scope.name}\``, []);
        installation.temporal.start('checkHealth', {
          workflowId: `by-hand-check-${(this.#ids += 1)}`,
          args: [{ scope: runner.scope.name }],
        });
        break;
      case 'recover':
      case 'recover --force': {
        const isForced = does !== 'recover';
        say(`\`runward recover --runner ${runner.name}${isForced ? ' --force' : ''}\``, ofMachine);
        this.#start(installation, 'recoverRunner', { runner: runner.name, ...(isForced ? { force: true } : {}), wait: '2m' }, isForced);
        break;
      }
      case 'drain':
        say(`\`runward runner drain --runner ${runner.name}\``);
        this.#start(installation, 'drainRunner', { runner: runner.name, reason: 'I look after it', wait: '10m' }, false);
        break;
      case 'resume':
        say(`\`runward runner resume --runner ${runner.name}\``);
        this.#start(installation, 'resumeRunner', { runner: runner.name, wait: '10m' }, false);
        break;
      case 'make room':
        say(`\`runward disk clean --runner ${runner.name}\``, ofMachine);
        this.#start(installation, 'makeRoom', { runner: runner.name, wait: '2m' }, false);
        break;
      case 'cancel an operation':
      case 'terminate an operation':
      case 'terminate an operation and recover':
      case 'reset an operation':
      case 'terminate what Temporal remembers':
        return this.#toExecution(installation, does, on, say);
      case 'stop a machine':
        say(`\`multipass stop ${machine.name}\``, ofMachine);
        world.cutPower(machine, PERSON);
        break;
      case 'stop a machine and drain its runner':
        say(`\`multipass stop ${machine.name}\`, then \`runward runner drain --runner ${runner.name}\``, ofMachine);
        world.cutPower(machine, PERSON);
        this.#start(installation, 'drainRunner', { runner: runner.name, reason: 'it stays off' }, false);
        break;
      case 'start a machine':
        if (machine.state !== 'stopped') break;
        say(`\`multipass start ${machine.name}\``, ofMachine);
        world.beginStart(machine, PERSON);
        {
          const { era } = machine;
          world.timeline.after(20 * SECOND, () => {
            if (machine.era === era) world.boot(machine, PERSON);
          });
        }
        break;
      case 'register a runner by hand':
        if (machine.state !== 'running' || runner.job !== null || machine.act !== null || runner.wish !== null || runner.drain !== null)
          break;
        say(`\`config.sh remove\` and \`config.sh\` for ${runner.name} in ${machine.name}`);
        world.stopListener(runner, PERSON);
        runner.agentId = world.register(runner).id;
        runner.writtenAgentId = null;
        runner.aside = null;
        world.startListener(runner, PERSON);
        runner.startsAtBoot = true;
        break;
    }
  }

  #start(
    { name, temporal }: Installation,
    type: string,
    input: { readonly runner: string } & Readonly<Record<string, unknown>>,
    isForced: boolean,
  ): void {
    const workflowId = `by-hand-${type}-${(this.#ids += 1)}`;
    const runner = this.#world.runnerNamed(input.runner);
    this.#world.byHand.set(workflowId, { isForced, runner: input.runner, ...(type === 'resumeRunner' ? { undoes: runner.wish } : {}) });
    if (type === 'drainRunner' || type === 'resumeRunner') runner.lastWord = workflowId;
    if (type === 'drainRunner') runner.wish = { workflowId, toldTo: name, before: runner.wish };
    if (type === 'resumeRunner') runner.wish = null;
    temporal.start(type, { workflowId, args: [input] });
  }

  #toExecution(
    installation: Installation,
    does: PersonDoes,
    on: number,
    say: (what: string, touches?: readonly string[]) => void,
  ): void | Promise<unknown> {
    const { temporal } = installation;
    const open = temporal.open();
    const all = this.#world.runners.map(({ name }) => name);
    if (does === 'terminate what Temporal remembers') {
      const remembered = open.filter(({ type }) => ['parkedRuns', 'finding'].includes(type));
      if (remembered.length === 0) return;
      const { workflowId } = pickOf(remembered, on);
      say(`\`temporal workflow terminate --workflow-id ${workflowId}\``, all);
      temporal.terminate(workflowId, 'by hand');
      return;
    }
    const operations = open.filter(({ type }) => OPERATIONS.has(type)).toReversed();
    if (operations.length === 0) return;
    const { workflowId, type } = pickOf(operations, on);
    const verb = does.split(' ')[0] as 'cancel' | 'terminate' | 'reset';
    say(`\`temporal workflow ${verb} --workflow-id ${workflowId}\` (${type})`, all);
    if (verb === 'cancel') temporal.cancel(workflowId);
    else if (verb === 'terminate') temporal.terminate(workflowId, 'by hand');
    else return temporal.reset(workflowId);
    if (does === 'terminate an operation and recover') {
      const { name } = pickOf(this.#world.runners, on);
      say(`\`runward recover --runner ${name}\``);
      this.#start(installation, 'recoverRunner', { runner: name, wait: '2m' }, false);
    }
  }
}

const CUSTOM_LABEL = 'kvm';

const OPERATIONS: ReadonlySet<string> = new Set([
  'recoverRunner',
  'drainRunner',
  'resumeRunner',
  'syncClock',
  'makeRoom',
  'checkHealth',
  'maintainQueue',
  'cleanActionsCache',
]);

function pickOf<T>(list: readonly T[], number: number): T {
  return list[number % list.length] as T;
}

function textOf(fault: FaultName, { name, machine }: Runner, minutes: number): string {
  const about =
    fault.startsWith('GitHub') ||
    fault.startsWith('a list') ||
    fault.startsWith('a job') ||
    fault.includes('service') ||
    fault.includes('listener')
      ? name
      : machine.name;
  return ` (${about}${minutes === 0 ? '' : `, ${minutes} min`})`;
}

function targetsOf({ site: { layout } }: Story): readonly RunnerTarget[] {
  const places = LAYOUTS[layout].map(({ scope, machine }, index) => ({ scope, machine, runner: `r${index + 1}` }));
  return places.map(({ scope, machine, runner }) => ({
    scope,
    runner,
    // The second one of a site has GitHub's own labels alone.
    labels: runner === 'r2' ? [] : [CUSTOM_LABEL],
    group: null,
    registrationUrl: `https://github.com/${scope}`,
    host: 'host',
    machine,
    directory: `/opt/${runner}`,
    user: 'runner',
    neighbours: places
      .filter((other) => other.machine === machine && other.runner !== runner)
      .map(({ scope: at, runner: other }) => ({ scope: at, runner: other })),
  }));
}

/** Of the world: it goes on whatever becomes of a worker. */
function timeOf(clock: VirtualClock): Time {
  return {
    now: () => clock.now(),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const take = clock.schedule(clock.now() + ms, () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        });
        const abort = (): void => {
          take();
          reject(signal?.reason as Error);
        };
        signal?.addEventListener('abort', abort, { once: true });
      }),
  };
}
