// What every implementation of the machine port must do: run against the real guest and against the make-believe machine.
// The tests of one world build on each other, in this order.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CacheWanted } from '../../src/domain/cache.ts';
import type { RoomSource, Workspace } from '../../src/domain/room.ts';
import type { GuestObservation, RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import { type Act, type CallContext, MachineError, type MachinePort, type PauseFor, type PauseWanted } from '../../src/machine/port.ts';
import { pausing, UNPAUSED } from '../kit/paused.ts';

/** A machine with two runners, and the ways past the port to disturb it. */
export interface MachineWorld {
  readonly machine: MachinePort;
  /** Registered, its service listening, idle; its machine runs. */
  readonly target: RunnerTarget;
  /** Another such runner on the same machine. */
  readonly neighbour: RunnerTarget;
  /** A registration token that the world's GitHub takes. */
  token(): Promise<Secret>;
  /** Gives the runner a job of many minutes, and resolves once the job runs. */
  startJob(runner: RunnerTarget): Promise<void>;
  /** Stops the runner's service as a person would, and resolves once its listener is gone. */
  stopService(runner: RunnerTarget): Promise<void>;
  /** Takes a program away that the runner needs, whose processes go on; and puts it back. */
  takeProgramAway(runner: RunnerTarget): Promise<void>;
  putProgramBack(runner: RunnerTarget): Promise<void>;
  /** Makes the guest's clock wrong by this much; its time servers are right. */
  setClock(offsetMs: number): Promise<void>;
  stopMachine(): Promise<void>;
  /** The runner's actions cache holds these and nothing else; all are noted as whole, and were used a moment ago. */
  setCache(runner: RunnerTarget, entries: readonly Cached[]): Promise<void>;
  /** Two temporary files of the runner's, {@link TEMPORARY_BYTES} together. */
  leaveTemporaryFiles(runner: RunnerTarget): Promise<void>;
  /** The runner has these workspaces and no other; sizes are rounded. */
  setWorkspaces(runner: RunnerTarget, workspaces: readonly Workspace[]): Promise<void>;
  close(): Promise<void>;
}

/** An entry of the actions cache. */
export interface Cached {
  readonly path: string;
  /** Rounded; 0: it is empty. */
  readonly bytes: number;
}

export const TEMPORARY_BYTES = 8_388_608;

const CACHED: readonly Cached[] = [
  { path: 'octo/lint/v1', bytes: 20_000 },
  { path: 'actions/checkout/v4', bytes: 200_000 },
  { path: 'octo/empty/v2', bytes: 0 },
];

const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };

/** How far off a clock may be read: a way into a guest takes its time. */
const CLOCK_TOLERANCE_MS = 10_000;

export function machineConformance(name: string, makeWorld: () => Promise<MachineWorld>): void {
  describe(`machine port: ${name}`, () => {
    let world: MachineWorld;
    let fence = 0;
    let acts = 0;

    beforeAll(async () => {
      world = await makeWorld();
      fence = await takeFence('conformance');
    });
    afterAll(() => world.close());

    const takeFence = async (holder: string): Promise<number> => {
      const taken = await world.machine.takeFence(world.target, holder, { isRecovery: true }, CALL);
      if (taken.kind !== 'taken') throw new Error(`the fence was not given: ${JSON.stringify(taken)}`);
      return taken.fence;
    };
    const anAct = (more: Partial<Act> = {}): Act => ({ key: `conformance:${(acts += 1)}`, fence, deadlineMs: 120_000, ...more });
    const look = async (runner = world.target): Promise<GuestObservation> => {
      const { state, guest } = await world.machine.observe(runner, CALL);
      if (!guest.known) throw new Error(`the guest is ${state}: ${guest.why}`);
      return guest.value;
    };
    const kindOf = async (call: Promise<unknown>): Promise<string> => {
      const error = await call.then(
        () => 'no error',
        (reason: unknown) => reason,
      );
      return error instanceof MachineError ? error.kind : String(error);
    };
    const restart = (runner = world.target, act = anAct(), call = CALL, force = false) =>
      pausing(world.machine).restartService(runner, act, { force }, call);
    const syncClock = (runner = world.target) => pausing(world.machine).syncClock(runner, anAct(), { force: false }, CALL);
    const start = () => world.machine.startService(world.target, anAct(), CALL);
    const setAside = (act = anAct()) => pausing(world.machine).setConfigurationAside(world.target, act, { force: false }, CALL);
    const restore = () => world.machine.restoreConfiguration(world.target, anAct(), UNPAUSED, CALL);
    const stop = () => pausing(world.machine).stopService(world.target, anAct(), CALL);
    const pause = (wanted: PauseWanted, runner = world.target) => world.machine.pause(runner, anAct(), wanted, CALL);
    const letGo = (purpose: PauseFor) => world.machine.letGo(world.target, anAct(), purpose, CALL);
    const discard = () => world.machine.discardAside(world.target, anAct(), CALL);
    const configure = (token: Secret) => world.machine.configure(world.target, anAct(), token, CALL);

    const listCache = (wanted: CacheWanted) => world.machine.listCache(world.target, wanted, CALL);
    const removeFromCache = (wanted: CacheWanted, act = anAct(), force = false) =>
      pausing(world.machine).removeFromCache(world.target, act, wanted, { force }, CALL);
    const makeRoom = (source: RoomSource, runner = world.target, act = anAct()) =>
      pausing(world.machine).makeRoom(runner, act, { source, unusedForMs: 3_600_000, journalBytes: 1_000_000_000 }, CALL);

    it('sees a healthy runner', async () => {
      expect(await world.machine.state(world.target.machine, CALL)).toBe('running');
      const seen = await look();
      expect(seen.uptimeMs).toBeGreaterThan(0);
      expect(seen.log).toEqual({ startedAgoMs: expect.any(Number), exitCode: null, relaunches: 0, signs: [] });
      expect(seen.timeSync).toEqual({ service: 'timesyncd', isActive: true });
      expect(seen.drain).toBeNull();
      expect(seen.disk.inodesUsedPercent).toBeGreaterThan(0);
      expect(seen.work).toEqual({ bytes: expect.any(Number), entries: expect.any(Number) });
      expect(seen.work?.bytes).toBeGreaterThanOrEqual(seen.cache?.bytes ?? Number.NaN);
      expect(seen).toMatchObject({
        service: { state: 'active' },
        workers: 0,
        workersOnMachine: 0,
        listeners: 1,
        registration: { agentName: world.target.runner, url: world.target.registrationUrl },
        installedVersion: '2.336.0',
        runningAct: null,
      });
      expect(seen.bootId).not.toBe('');
      expect(seen.service.unit).toMatch(/^actions\.runner\..*\.service$/);
      expect(Math.abs(seen.clockOffsetMs)).toBeLessThan(CLOCK_TOLERANCE_MS);
      expect(seen.disk.freeBytes).toBeGreaterThan(0);
      expect(seen.disk.usedPercent).toBeGreaterThan(0);
      expect(seen.cache).toEqual({ bytes: expect.any(Number), entries: expect.any(Number), damaged: 0 });
    });

    it('asks for the states of all machines at once, and believes the state that it is told', async () => {
      const { machine } = world.target;
      expect(await world.machine.states([machine, 'no-such-machine'], CALL)).toEqual(
        new Map([
          [machine, 'running'],
          ['no-such-machine', 'missing'],
        ]),
      );
      expect(await world.machine.observe(world.target, CALL, 'running')).toMatchObject({ state: 'running', guest: { known: true } });
      expect(await world.machine.observe(world.target, CALL, 'suspended')).toMatchObject({ state: 'suspended', guest: { known: false } });
    });

    it('knows no machine that is not there', async () => {
      const nowhere = { ...world.target, machine: 'no-such-machine' };
      expect(await world.machine.state(nowhere.machine, CALL)).toBe('missing');
      expect(await world.machine.observe(nowhere, CALL)).toMatchObject({ state: 'missing', guest: { known: false } });
      expect(await kindOf(world.machine.start(nowhere.machine, CALL))).toBe('machine-missing');
    });

    it('gives each operation a higher number, and refuses a lower one by the name of the holder', async () => {
      const first = await takeFence('first operation');
      const second = await takeFence('second operation (run 2)');
      expect(second).toBeGreaterThan(first);
      const late = await world.machine.discardAside(world.target, anAct({ fence: first }), CALL);
      expect(late).toEqual({ kind: 'refused-late', holder: 'second operation (run 2)' });
      fence = second;
    });

    it('answers the retry of a finished act by its record', async () => {
      const act = anAct();
      const first = await restart(world.target, act);
      expect(first.kind).toBe('started');
      await world.stopService(world.target);
      expect(await restart(world.target, act)).toEqual(first);
      expect((await look()).service.state).toBe('inactive');
    });

    it('starts a stopped service, and leaves one that runs as it is', async () => {
      const { service } = await look();
      expect(await start()).toEqual({ kind: 'started', unit: service.unit });
      expect(await start()).toEqual({ kind: 'started', unit: service.unit });
      const after = await look();
      expect(after).toMatchObject({ service: { unit: service.unit, state: 'active' }, listeners: 1 });
      expect(after.log.startedAgoMs).toBeLessThan(after.uptimeMs);
    });

    it('stops for a drain only what is marked as drained', async () => {
      const refused = { kind: 'not-paused', evidence: expect.stringContaining('not marked') };
      expect(await pause({ purpose: 'drain' })).toEqual(refused);
      expect(await stop()).toEqual(refused);
      expect(await look()).toMatchObject({ service: { state: 'active' }, listeners: 1, drain: null });
    });

    it('drains an idle runner, which keeps the first mark of a person, and lets it take jobs again', async () => {
      const marks = [
        { by: 'room', reason: 'no room on the disk (1 B free, below 2 B)' },
        { by: 'person', reason: 'no room on the disk' },
        { by: 'person', reason: 'another reason' },
        { by: 'room', reason: 'no room on the disk' },
      ] as const;
      expect(await world.machine.markDrained(world.target, anAct(), { ...marks[1], labels: ['bpf-lsm'] }, CALL)).toEqual({
        kind: 'refused-unfit',
        evidence: 'the runner is not marked as drained any more',
      });
      expect((await world.machine.pauseAfterJob(world.target, anAct(), CALL)).kind).toBe('not-waiting');
      for (const mark of marks) expect(await world.machine.markDrained(world.target, anAct(), mark, CALL)).toEqual({ kind: 'marked' });
      const { drain, service } = await look();
      expect(drain).toEqual({ since: expect.any(Number), by: 'person', reason: 'no room on the disk' });
      expect(service.state).toBe('active');
      for (const refused of [
        await setAside(),
        await restart(),
        await start(),
        await configure(await world.token()),
        await removeFromCache({ kind: 'all' }),
      ]) {
        expect(refused).toMatchObject({ kind: 'refused-drained', evidence: expect.stringContaining('drained') });
      }

      const labels = ['bpf-lsm', 'größer "als", 1'];
      for (const remembered of [{ labels }, {}]) {
        expect(await world.machine.markDrained(world.target, anAct(), { ...marks[3], ...remembered }, CALL)).toEqual({ kind: 'marked' });
        expect((await look()).drain).toEqual({ ...drain, labels });
      }
      expect(await world.machine.pauseAfterJob(world.target, anAct(), CALL)).toEqual({ kind: 'waiting' });

      expect(await pause({ purpose: 'drain' })).toMatchObject({ kind: 'paused' });
      expect(await letGo('drain')).toEqual({ kind: 'let-go' });
      expect((await pause({ purpose: 'drain' }, world.neighbour)).kind).toBe('not-paused');
      expect(await stop()).toEqual({ kind: 'stopped' });
      expect(await look()).toMatchObject({ drain: { ...drain, labels }, service: { unit: service.unit, state: 'inactive' }, listeners: 0 });
      expect(await look(world.neighbour)).toMatchObject({ drain: null, service: { state: 'active' }, listeners: 1 });

      expect(await world.machine.unmarkDrained(world.target, anAct({ drainSeen: 'person' }), CALL)).toEqual({ kind: 'unmarked' });
      expect(await start()).toEqual({ kind: 'started', unit: service.unit });
      expect(await look()).toMatchObject({ drain: null, service: { state: 'active' }, listeners: 1 });
    });

    it('lists what the actions cache holds, and what of it is to go, the largest first', async () => {
      await world.setCache(world.target, CACHED);
      const all = await listCache({ kind: 'all' });
      expect(all).toMatchObject({ entries: 3, foundEntries: 3, foundBytes: all.bytes });
      expect(all.bytes).toBeGreaterThanOrEqual(220_000);
      expect(all.found.map(({ path }) => path)).toEqual(['actions/checkout/v4', 'octo/lint/v1', 'octo/empty/v2']);
      expect(all.found[0]?.bytes).toBeGreaterThanOrEqual(200_000);

      const named = [
        { path: 'octo/lint/v1/rules', lacks: 'file' },
        { path: 'octo/lint/v1', lacks: 'entry' },
      ] as const;
      const damaged = await listCache({ kind: 'damaged', named });
      expect(damaged).toMatchObject({ entries: 3, bytes: all.bytes, foundEntries: 1, found: [{ path: 'octo/lint/v1' }] });
      expect(damaged.damage).toMatchObject([
        { path: 'octo/lint/v1/rules', state: 'missing' },
        { path: 'octo/lint/v1', state: 'whole' },
      ]);
      expect(damaged.foundBytes).toBe(damaged.found[0]?.bytes);
      const whole = ['octo/lint/v1', 'octo/lint/v1/rules', 'who/knows/v1'].map((path) => ({ path, lacks: 'entry' as const }));
      expect(await listCache({ kind: 'damaged', named: whole })).toMatchObject({ foundEntries: 0 });
      expect(await listCache({ kind: 'damaged', named: [] })).toMatchObject({ foundEntries: 1, found: [{ path: 'octo/empty/v2' }] });
      expect(await listCache({ kind: 'unused', forMs: 3_600_000 })).toMatchObject({
        entries: 3,
        found: [],
        foundBytes: 0,
        foundEntries: 0,
      });
      expect((await look()).cache).toMatchObject({ entries: 3, damaged: 1 });
    });

    it('removes from the actions cache what is named and damaged, as it looked, and nothing that is whole', async () => {
      const usual = { owner: world.target.user, mode: '755', isImmutable: false };
      const act = anAct();
      const named = [
        { path: 'octo/empty/v2', lacks: 'entry' },
        { path: 'octo/lint/v1/rules', lacks: 'file' },
      ] as const;
      const removed = await removeFromCache({ kind: 'damaged', named }, act);
      expect(removed).toMatchObject({ kind: 'removed', isAll: false, entries: 2, names: ['octo/lint/v1', 'octo/empty/v2'] });
      expect(removed).toMatchObject({ damage: [{ path: named[0].path, state: 'empty', ...usual }, { path: named[1].path }] });
      expect('bytes' in removed && removed.bytes).toBeGreaterThanOrEqual(20_000);
      expect('freeBytes' in removed && removed.freeBytes).toBeGreaterThan(0);
      expect(await look()).toMatchObject({ cache: { entries: 1, damaged: 0 }, service: { state: 'active' }, listeners: 1 });
      expect(await removeFromCache({ kind: 'damaged', named }, act)).toEqual(removed);

      const forged = ['octo/lint/v1', 'actions/checkout/v4', 'actions/checkout/v4/nothing'].map((path) => ({
        path,
        lacks: 'entry' as const,
      }));
      const rest = await removeFromCache({ kind: 'damaged', named: forged });
      const missing = { path: 'octo/lint/v1', state: 'missing', owner: null, mode: null, isImmutable: false };
      expect(rest).toMatchObject({ kind: 'removed', isAll: false, entries: 0, damage: [missing, { state: 'whole' }, { state: 'whole' }] });
    });

    it('removes what is unused, remembers that, and finds nothing in an empty cache', async () => {
      await world.setCache(world.target, CACHED);
      expect(await removeFromCache({ kind: 'unused', forMs: 0 })).toMatchObject({ isAll: false, entries: 3, damage: [] });
      expect(await look()).toMatchObject({ cache: { entries: 0, damaged: 0 }, cleanedAgoMs: expect.any(Number) });
      expect((await look()).cleanedAgoMs).toBeLessThan(60_000);
      expect(await listCache({ kind: 'all' })).toMatchObject({ entries: 0, found: [], foundBytes: 0 });
      expect(await removeFromCache({ kind: 'all' })).toMatchObject({ kind: 'removed', isAll: true, entries: 0, bytes: 0, names: [] });
    });

    it('makes room from what there is, and then finds nothing', async () => {
      await world.leaveTemporaryFiles(world.target);
      const { freeBytes } = (await look()).disk;
      const made = await makeRoom('temporary-files');
      expect(made).toMatchObject({ kind: 'made', items: 2 });
      expect('bytes' in made && made.bytes).toBeGreaterThan(TEMPORARY_BYTES * 0.9);
      expect('disk' in made && made.disk.freeBytes - freeBytes).toBeGreaterThan(TEMPORARY_BYTES * 0.9);
      const nothing = await makeRoom('temporary-files');
      expect(nothing).toMatchObject({ kind: 'nothing', why: expect.stringMatching(/./) });
      expect('disk' in nothing && nothing.disk.usedPercent).toBeGreaterThan(0);
      expect(await look()).toMatchObject({ service: { state: 'active' }, listeners: 1 });
    });

    it('lists workspaces, the largest first', async () => {
      await world.setWorkspaces(world.target, [
        { name: 'small', bytes: 20_000 },
        { name: 'large', bytes: 200_000 },
      ]);
      const workspaces = await world.machine.listWorkspaces(world.target, CALL);
      expect(workspaces.map(({ name }) => name)).toEqual(['large', 'small']);
      expect(workspaces[0]?.bytes).toBeGreaterThanOrEqual(200_000);
    });

    it('touches nothing while a job runs', async () => {
      const marked = (): Act => anAct({ drainSeen: 'person' });
      await world.setCache(world.target, CACHED);
      await world.startJob(world.target);
      const before = await look();
      expect(before).toMatchObject({ workers: 1, workersOnMachine: 1 });

      expect((await world.machine.markDrained(world.target, anAct(), { by: 'person', reason: 'new disk' }, CALL)).kind).toBe('marked');
      for (const refused of [
        await pause({ purpose: 'drain' }),
        await restart(world.target, marked()),
        await setAside(marked()),
        await syncClock(),
        await removeFromCache({ kind: 'all' }, marked()),
        await makeRoom('temporary-files', world.target, marked()),
      ]) {
        expect(refused).toEqual({ kind: 'refused-busy', evidence: expect.stringMatching(/./) });
      }
      expect(await look()).toMatchObject({
        workers: 1,
        listeners: 1,
        service: { state: 'active' },
        registration: before.registration,
        cache: { entries: 3 },
      });
      for (const unseen of [anAct(), anAct({ drainSeen: 'room' })]) {
        expect(await world.machine.unmarkDrained(world.target, unseen, CALL)).toMatchObject({ kind: 'refused-drained' });
      }
      expect((await world.machine.unmarkDrained(world.target, marked(), CALL)).kind).toBe('unmarked');
    });

    it("lets a neighbour's job stop what concerns the whole machine, and nothing else", async () => {
      expect(await look(world.neighbour)).toMatchObject({ workers: 0, workersOnMachine: 1 });
      expect((await syncClock(world.neighbour)).kind).toBe('refused-busy');
      expect((await makeRoom('journal', world.neighbour)).kind).toBe('refused-busy');
      expect((await makeRoom('temporary-files', world.neighbour)).kind).toBe('nothing');
      expect((await restart(world.neighbour)).kind).toBe('started');
    });

    it('removes from the actions cache under a job that goes on, where it is told to', async () => {
      expect(await removeFromCache({ kind: 'all' }, anAct(), true)).toMatchObject({ kind: 'removed', isAll: true, entries: 3 });
      expect(await look()).toMatchObject({ workers: 1, listeners: 1, cache: { entries: 0 } });
    });

    it('ends a job where it is told to', async () => {
      expect((await restart(world.target, anAct(), CALL, true)).kind).toBe('started');
      expect(await look()).toMatchObject({ workers: 0, workersOnMachine: 0, listeners: 1, service: { state: 'active' } });
    });

    it('refuses what it could not bring back, and touches nothing', async () => {
      expect((await look()).missingProgram).toBeNull();
      await world.takeProgramAway(world.target);
      const { registration, missingProgram } = await look();
      expect(missingProgram).toMatch(/./);
      for (const refused of [await restart(), await setAside()]) {
        expect(refused).toEqual({ kind: 'refused-unfit', evidence: expect.stringContaining(missingProgram ?? '') });
      }
      expect(await look()).toMatchObject({ registration, service: { state: 'active' }, listeners: 1 });
      await world.putProgramBack(world.target);
    });

    it('sets a configuration aside with its service, once', async () => {
      const { registration } = await look();
      const first = await setAside();
      expect(first).toMatchObject({ kind: 'set-aside', agentId: registration?.agentId });
      expect(first.kind === 'set-aside' && first.files).toContain('.runner');
      expect(await look()).toMatchObject({ registration: null, service: { state: 'inactive' }, listeners: 0 });
      expect(await setAside()).toEqual(first);
    });

    it('is kept for a recovery of the same runner while its configuration lies aside', async () => {
      const take = (target: RunnerTarget, isRecovery: boolean) => world.machine.takeFence(target, 'a rival', { isRecovery }, CALL);
      for (const refused of [await take(world.target, false), await take(world.neighbour, false), await take(world.neighbour, true)]) {
        expect(refused).toEqual({ kind: 'refused-unfinished', holder: expect.stringContaining('second operation (run 2)') });
      }
      const taken = await take(world.target, true);
      expect(taken.kind).toBe('taken');
      fence = taken.kind === 'taken' ? taken.fence : 0;
    });

    it('tells that a token was refused, and does not tell the token', async () => {
      const wrong = new Secret('AWRONGTOKENWRONGTOKENWRONGTOK');
      const answer = await configure(wrong);
      expect(answer).toMatchObject({ kind: 'not-configured', exitCode: 1 });
      expect(answer.kind === 'not-configured' && answer.evidence).toMatch(/./);
      expect(JSON.stringify(answer)).not.toContain(wrong.reveal());
      expect((await look()).registration).toBeNull();
    });

    it('puts the configuration back, and it works', async () => {
      const restored = await restore();
      expect(restored.kind === 'restored' && restored.files).toContain('.runner');
      expect((await look()).registration).toMatchObject({ agentName: world.target.runner });
      expect((await start()).kind).toBe('started');
      expect(await look()).toMatchObject({ service: { state: 'active' }, listeners: 1 });
    });

    it('registers anew under the same name, once', async () => {
      const before = (await look()).registration;
      await setAside();
      const configured = await configure(await world.token());
      expect(configured).toEqual({ kind: 'configured', agentId: before?.agentId });
      expect(await configure(new Secret('not used: it is configured'))).toEqual(configured);
      expect((await look()).registration).toEqual(before);
      expect((await start()).kind).toBe('started');
    });

    it('discards what was set aside, and then has nothing to put back', async () => {
      const discarded = await discard();
      expect(discarded.kind === 'discarded' && discarded.files).toContain('.runner');
      expect(await discard()).toEqual({ kind: 'discarded', files: [] });
      const { registration } = await look();
      expect(await restore()).toEqual({ kind: 'restored', files: [] });
      expect(await look()).toMatchObject({ registration, service: { state: 'active' }, listeners: 1 });
    });

    it('has left the neighbour alone', async () => {
      expect(await look(world.neighbour)).toMatchObject({
        registration: { agentName: world.neighbour.runner },
        service: { state: 'active' },
        listeners: 1,
      });
    });

    it('brings a clock right that is hours off', async () => {
      // Ahead: a clock that lies behind is moved by systemd-timesyncd without asking anybody.
      const offsetMs = 7_200_000;
      await world.setClock(offsetMs);
      expect(Math.abs((await look()).clockOffsetMs - offsetMs)).toBeLessThan(CLOCK_TOLERANCE_MS);
      const synced = await syncClock();
      expect(synced).toMatchObject({ kind: 'synced', source: 'ntp' });
      expect(Math.abs(synced.kind === 'synced' ? synced.offsetMs : Number.NaN)).toBeLessThan(CLOCK_TOLERANCE_MS);
      expect(Math.abs((await look()).clockOffsetMs)).toBeLessThan(CLOCK_TOLERANCE_MS);
    });

    it('rejects with the reason of an aborted signal, and leaves no act behind', async () => {
      const controller = new AbortController();
      const reason = new Error('because');
      const running = restart(world.target, anAct(), { ...CALL, signal: controller.signal });
      await sleep(50);
      controller.abort(reason);
      await expect(running).rejects.toBe(reason);
      expect((await look()).runningAct).toBeNull();
      expect((await start()).kind).toBe('started');
    });

    it('leaves a stopped machine stopped, whatever it is asked but to start it', async () => {
      await world.stopMachine();
      expect(await world.machine.state(world.target.machine, CALL)).toBe('stopped');
      expect(await world.machine.observe(world.target, CALL)).toMatchObject({ state: 'stopped', guest: { known: false } });
      expect(await kindOf(world.machine.takeFence(world.target, 'nobody', { isRecovery: true }, CALL))).toBe('not-running');
      expect(await kindOf(start())).toBe('not-running');
      expect(await kindOf(listCache({ kind: 'all' }))).toBe('not-running');
      expect(await kindOf(world.machine.listWorkspaces(world.target, CALL))).toBe('not-running');
      expect(await world.machine.state(world.target.machine, CALL)).toBe('stopped');
    });

    it('starts the machine, and its services are there again', async () => {
      await world.machine.start(world.target.machine, CALL);
      await world.machine.start(world.target.machine, CALL);
      expect((await start()).kind).toBe('started');
      expect(await look()).toMatchObject({ registration: { agentName: world.target.runner }, listeners: 1 });
    });

    it('goes on counting its fence after a stop', async () => {
      expect(await takeFence('after the stop')).toBeGreaterThan(fence);
    });
  });
}
