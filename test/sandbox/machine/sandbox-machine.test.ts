import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GuestObservation, MachineState, RunnerTarget } from '../../../src/domain/runner.ts';
import { Secret } from '../../../src/domain/secret.ts';
import type { SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { type Break, BREAKS } from '../../../src/sandbox/machine/breaks.ts';
import { SandboxMachine, type SandboxMachineOptions } from '../../../src/sandbox/machine/sandbox-machine.ts';
import { anAct, call, requestToken, SCOPE, settles, startFastGitHub, statusBecomes, targetAt } from './kit.ts';
import { BY_FORCE, pausing } from '../../kit/paused.ts';

let github: SandboxGitHub;
let target: RunnerTarget;
let folder: string;
const opened: SandboxMachine[] = [];

beforeEach(async () => {
  github = await startFastGitHub();
  target = targetAt(github);
  folder = mkdtempSync(join(tmpdir(), 'runward-machine-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((machine) => machine.close()));
  await github.close();
  rmSync(folder, { recursive: true });
});

function open(options: SandboxMachineOptions = {}): SandboxMachine {
  const machine = new SandboxMachine({
    pace: 0,
    retryMs: 50,
    removeRegistration: (scope, runner) => github.removeRunner(scope, runner),
    ...options,
  });
  opened.push(machine);
  return machine;
}

/** A machine with one runner that is registered, listens, and is online. */
async function openHealthy(options: SandboxMachineOptions = {}): Promise<SandboxMachine> {
  const machine = open(options);
  await machine.install(target, github.addRunner(SCOPE, { name: target.runner, labels: target.labels }));
  expect(await statusBecomes(github, 'online')).toBe('online');
  return machine;
}

async function look(machine: SandboxMachine, at = target): Promise<GuestObservation> {
  const { guest } = await machine.observe(at, call);
  if (!guest.known) {
    throw new Error(guest.why);
  }
  return guest.value;
}

async function takeFence(machine: SandboxMachine, holder = 'operation'): Promise<number> {
  const taken = await machine.takeFence(target, holder, { isRecovery: true }, call);
  if (taken.kind !== 'taken') {
    throw new Error(`the fence was not given: ${JSON.stringify(taken)}`);
  }
  return taken.fence;
}

/** The six steps, as a recovery takes them, each of which must succeed. */
async function recover(machine: SandboxMachine): Promise<void> {
  await machine.start(target.machine, call);
  const fence = await takeFence(machine);
  expect(await pausing(machine).syncClock(target, anAct(fence), { force: false }, call)).toMatchObject({ kind: 'synced' });
  const token = await requestToken(github);
  expect(await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call)).toMatchObject({ kind: 'set-aside' });
  expect(await machine.configure(target, anAct(fence), token, call)).toMatchObject({ kind: 'configured' });
  expect(await machine.startService(target, anAct(fence), call)).toMatchObject({ kind: 'started' });
  expect(await statusBecomes(github, 'online')).toBe('online');
  await machine.discardAside(target, anAct(fence), call);
}

describe('a healthy runner', () => {
  test('is seen alike by both sides', async () => {
    const machine = await openHealthy();
    const registered = github.runners(SCOPE)[0];
    expect(await machine.observe(target, call)).toMatchObject({ state: 'running' });
    expect(await look(machine)).toMatchObject({
      clockOffsetMs: 0,
      service: { unit: 'actions.runner.octo-org-widgets.builder.service', state: 'active' },
      workers: 0,
      listeners: 1,
      registration: { agentId: registered?.id, agentName: 'builder', url: target.registrationUrl },
      installedVersion: '2.336.0',
      runningAct: null,
    });
  });

  test('takes a job, is busy on both sides, and finishes it', async () => {
    const machine = await openHealthy();
    const job = github.giveJob(SCOPE, 'builder', { seconds: 0.2 });
    expect(await settles(async () => (await look(machine)).workers, 1)).toBe(1);
    expect(github.job(job).state).toBe('in_progress');
    expect(await settles(() => github.job(job).result, 'Succeeded')).toBe('Succeeded');
    expect(await look(machine)).toMatchObject({ workers: 0 });
  });
});

describe('broken and recovered', () => {
  /** How GitHub shows it, and the machine. */
  const seen: Record<Break, { status: string | undefined; state: MachineState; guest: object }> = {
    service: { status: 'offline', state: 'running', guest: { value: { service: { state: 'inactive' }, listeners: 0 } } },
    registration: {
      status: undefined,
      state: 'running',
      guest: { value: { registration: null, service: { state: 'inactive' }, listeners: 0 } },
    },
    clock: {
      status: 'offline',
      state: 'running',
      guest: { value: { clockOffsetMs: 7_200_000, service: { state: 'active' }, listeners: 1 } },
    },
    vm: { status: 'offline', state: 'stopped', guest: { known: false } },
    config: { status: 'offline', state: 'running', guest: { value: { service: { state: 'inactive' }, listeners: 0 } } },
    listener: { status: 'offline', state: 'running', guest: { value: { service: { state: 'active' }, listeners: 1 } } },
  };

  test.each(BREAKS)('%s', async (how) => {
    const machine = await openHealthy();
    await machine.break(how, target);
    const { status, ...machineShows } = seen[how];
    await expect.poll(() => github.runners(SCOPE)[0]?.status, { timeout: 5_000 }).toBe(status);
    await expect.poll(() => machine.observe(target, call), { timeout: 5_000 }).toMatchObject(machineShows);
    await recover(machine);
    expect(await look(machine)).toMatchObject({
      service: { state: 'active' },
      listeners: 1,
      registration: { agentId: github.runners(SCOPE)[0]?.id },
    });
  });

  test('a clock that is right again lets the waiting listener connect', async () => {
    const machine = await openHealthy();
    await machine.break('clock', target);
    expect(await statusBecomes(github, 'offline')).toBe('offline');
    await pausing(machine).syncClock(target, anAct(await takeFence(machine)), { force: false }, call);
    expect(await statusBecomes(github, 'online')).toBe('online');
  });

  test('a registration cannot be broken without a GitHub that deletes it', async () => {
    const machine = new SandboxMachine({ pace: 0 });
    await machine.install(target, null);
    await expect(machine.break('registration', target)).rejects.toThrow('removeRegistration');
  });
});

describe('the machine', () => {
  test('one that is not there is missing, and cannot be started', async () => {
    const machine = open();
    expect(await machine.observe(target, call)).toMatchObject({ state: 'missing', guest: { known: false } });
    await expect(machine.start('vm', call)).rejects.toMatchObject({ name: 'MachineError', kind: 'machine-missing' });
    await expect(machine.takeFence(target, 'operation', { isRecovery: true }, call)).rejects.toMatchObject({ kind: 'machine-missing' });
  });

  test('a stopped one boots with a right clock and its service; a suspended one goes on', async () => {
    const machine = await openHealthy();
    const { bootId } = await look(machine);
    await machine.break('clock', target);
    machine.stop('vm', 'suspended');
    await expect(pausing(machine).syncClock(target, anAct(1), { force: false }, call)).rejects.toMatchObject({ kind: 'not-running' });
    await machine.start('vm', call);
    expect(await look(machine)).toMatchObject({ bootId, clockOffsetMs: 7_200_000, listeners: 1 });
    machine.stop('vm', 'stopped');
    await machine.start('vm', call);
    expect(await statusBecomes(github, 'online')).toBe('online');
    const after = await look(machine);
    expect(after).toMatchObject({ clockOffsetMs: 0, listeners: 1 });
    expect(after.bootId).not.toBe(bootId);
  });
});

describe('the steps', () => {
  test('a running job refuses them, and `force` cancels it', async () => {
    const machine = await openHealthy();
    const fence = await takeFence(machine);
    const job = github.giveJob(SCOPE, 'builder', { name: 'deploy', seconds: 60 });
    expect(await settles(async () => (await look(machine)).workers, 1)).toBe(1);

    const refused = { kind: 'refused-busy', evidence: 'Runner.Worker runs job deploy' };
    expect(await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call)).toEqual(refused);
    expect(await pausing(machine).restartService(target, anAct(fence), { force: false }, call)).toEqual(refused);
    expect(await pausing(machine).syncClock(target, anAct(fence), { force: false }, call)).toEqual(refused);
    expect(github.job(job).state).toBe('in_progress');

    expect(await pausing(machine).restartService(target, anAct(fence), { force: true }, call)).toMatchObject({ kind: 'started' });
    expect(await settles(() => github.job(job).result, 'Canceled')).toBe('Canceled');
  });

  test('what concerns one runner leaves its neighbour alone; the clock needs both idle', async () => {
    const machine = await openHealthy();
    const neighbour = targetAt(github, { runner: 'neighbour', directory: '/opt/neighbour' });
    await machine.install(neighbour, github.addRunner(SCOPE, { name: 'neighbour' }));
    expect(await statusBecomes(github, 'online', 'neighbour')).toBe('online');
    github.giveJob(SCOPE, 'neighbour', { seconds: 60 });
    expect(await settles(async () => (await look(machine)).workersOnMachine, 1)).toBe(1);
    expect(await look(machine)).toMatchObject({ workers: 0 });

    const fence = await takeFence(machine);
    expect(await pausing(machine).syncClock(target, anAct(fence), { force: false }, call)).toMatchObject({ kind: 'refused-busy' });
    expect(await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call)).toMatchObject({ kind: 'set-aside' });
    expect(await look(machine, neighbour)).toMatchObject({ workers: 1, listeners: 1, service: { state: 'active' } });
  });

  test('a wrong token is refused by GitHub and leaves nothing configured', async () => {
    const machine = await openHealthy();
    const fence = await takeFence(machine);
    await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call);
    expect(await machine.configure(target, anAct(fence), new Secret('WRONG'), call)).toEqual({
      kind: 'not-configured',
      exitCode: 1,
      evidence: expect.stringContaining('Http response code: 404'),
      reason: 'token-refused',
    });
    expect(await look(machine)).toMatchObject({ registration: null });
  });

  test('a configuration is put back, and works', async () => {
    const machine = await openHealthy();
    const fence = await takeFence(machine);
    const files = ['.credentials', '.credentials_rsaparams', '.runner'];
    const { agentId } = (await look(machine)).registration ?? { agentId: 0 };
    expect(await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call)).toEqual({
      kind: 'set-aside',
      agentId,
      files,
    });
    expect(await look(machine)).toMatchObject({
      registration: null,
      service: { unit: 'actions.runner.octo-org-widgets.builder.service', state: 'inactive' },
    });
    expect(await pausing(machine).restoreConfiguration(target, anAct(fence), call)).toEqual({ kind: 'restored', files });
    expect(await pausing(machine).restoreConfiguration(target, anAct(fence), call)).toEqual({ kind: 'restored', files: [] });
    expect(await machine.startService(target, anAct(fence), call)).toMatchObject({ kind: 'started' });
    expect(await statusBecomes(github, 'online')).toBe('online');
  });

  test('setting aside twice keeps the first set; configuring twice keeps the first registration', async () => {
    const machine = await openHealthy();
    const fence = await takeFence(machine);
    const first = await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call);
    const second = await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call);
    expect(second).toEqual(first);
    const configured = await machine.configure(target, anAct(fence), await requestToken(github), call);
    expect(await machine.configure(target, anAct(fence), new Secret('USED'), call)).toEqual(configured);
  });

  test('without a configuration the service does not stay', async () => {
    const machine = await openHealthy();
    const fence = await takeFence(machine);
    await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call);
    expect(await pausing(machine).restartService(target, anAct(fence), { force: false }, call)).toMatchObject({
      kind: 'not-started',
      state: 'inactive',
    });
    expect(await machine.startService(target, anAct(fence), call)).toEqual({
      kind: 'not-started',
      unit: 'actions.runner.octo-org-widgets.builder.service',
      state: 'inactive',
      evidence: expect.stringContaining('Not configured'),
    });
  });
});

describe('a package of the runner', () => {
  const FILENAME = 'actions-runner-linux-x64-2.400.0.tar.gz';
  const wanted = () => ({
    version: '2.400.0',
    filename: FILENAME,
    address: github.packages.addressOf(FILENAME, '2.400.0'),
    sha256: github.packages.sha256Of(FILENAME),
    leastFreeBytes: 1,
  });

  test('is kept once it is downloaded, with the right bytes and enough room', async () => {
    const machine = await openHealthy();
    machine.setPackage(target.machine, null);
    const fence = await takeFence(machine);
    const fetch = (changes: object = {}) => machine.fetchPackage(target, anAct(fence), { ...wanted(), ...changes }, call);
    expect(await fetch({ sha256: '0'.repeat(64) })).toMatchObject({ kind: 'not-fetched', reason: 'wrong-checksum' });
    expect(await fetch({ leastFreeBytes: Number.MAX_SAFE_INTEGER })).toMatchObject({ kind: 'not-fetched', reason: 'no-room' });
    expect(await look(machine)).toMatchObject({ packageVersion: null });
    expect(await fetch()).toEqual({ kind: 'fetched', version: '2.400.0' });
    expect(await fetch()).toEqual({ kind: 'kept', version: '2.400.0' });
    expect(await look(machine)).toMatchObject({ packageVersion: '2.400.0' });
  });

  test('comes through the host if there is no way out, and without one nothing is registered', async () => {
    const machine = await openHealthy();
    machine.setPackage(target.machine, null);
    machine.setWayOut(target.machine, false);
    const fence = await takeFence(machine);
    expect(await machine.fetchPackage(target, anAct(fence), wanted(), call)).toMatchObject({ kind: 'not-fetched', reason: 'no-way' });
    await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call);
    expect(await machine.configure(target, anAct(fence), await requestToken(github), call)).toMatchObject({ kind: 'refused-unfit' });
    const path = join(folder, FILENAME);
    const bytes = github.packages.archiveOf(FILENAME);
    writeFileSync(path, bytes);
    expect(await machine.passPackage(target, anAct(fence), wanted(), { path, bytes: bytes.length }, call)).toMatchObject({
      kind: 'fetched',
    });
    expect(await machine.configure(target, anAct(fence), await requestToken(github), call)).toMatchObject({ kind: 'configured' });
  });
});

describe('a drained runner', () => {
  test('takes no job while it is paused, and the one that was given to it once it is let go', async () => {
    const machine = await openHealthy();
    const fence = await takeFence(machine);
    await machine.markDrained(target, anAct(fence), { by: 'person', reason: 'new disk' }, call);
    expect(await machine.pause(target, anAct(fence), { purpose: 'drain' }, call)).toEqual({ kind: 'paused', unread: '' });
    const job = github.giveJob(SCOPE, 'builder', { seconds: 0 });
    await expect.poll(() => github.runners(SCOPE)[0]?.busy).toBe(true);
    expect(await look(machine)).toMatchObject({ workers: 0, listeners: 1 });
    const stop = (unread: string) => machine.stopService(target, anAct(fence), { pause: { unread }, force: false }, call);
    await expect.poll(() => stop('nothing')).toEqual({ kind: 'heard', unread: 'answer' });
    await machine.letGo(target, anAct(fence), 'drain', call);
    expect(await stop('')).toMatchObject({ kind: expect.stringMatching(/not-paused|refused-busy/) });
    expect(await settles(() => github.job(job).result, 'Succeeded')).toBe('Succeeded');
  });

  test('stays drained when its machine, or its process, starts again', async () => {
    const file = join(folder, 'machines.json');
    const machine = await openHealthy({ file });
    const fence = await takeFence(machine);
    await machine.markDrained(target, anAct(fence), { by: 'person', reason: 'new disk' }, call);
    expect(await pausing(machine).stopService(target, anAct(fence), call)).toEqual({ kind: 'stopped' });
    machine.stop('vm', 'stopped');
    await machine.close();
    const again = open({ file });
    await again.start('vm', call);
    expect(await look(again)).toMatchObject({ drain: { reason: 'new disk' }, service: { state: 'inactive' }, listeners: 0 });
  });
});

describe('the fence', () => {
  test('a record answers a retry, without running anything', async () => {
    const machine = await openHealthy();
    const act = anAct(await takeFence(machine));
    const first = await pausing(machine).setConfigurationAside(target, act, { force: false }, call);
    await pausing(machine).restoreConfiguration(target, anAct(act.fence), call);
    expect(await pausing(machine).setConfigurationAside(target, act, { force: false }, call)).toEqual(first);
    expect(await look(machine)).toMatchObject({ registration: { agentName: 'builder' } });
  });

  test('a lower number is late', async () => {
    const machine = await openHealthy();
    const old = await takeFence(machine, 'first');
    expect(await takeFence(machine, 'second')).toBe(old + 1);
    expect(await machine.discardAside(target, anAct(old), call)).toEqual({ kind: 'refused-late', holder: 'second' });
  });

  test('while an act runs its retry waits for it, and a stranger is refused by name', async () => {
    const machine = await openHealthy({ pace: 0.2 });
    const act = anAct(await takeFence(machine, 'first'));
    const running = machine.syncClock(target, act, BY_FORCE, call);
    const retry = machine.syncClock(target, act, BY_FORCE, call);
    expect(await look(machine)).toMatchObject({ runningAct: act.key });
    expect(await machine.takeFence(target, 'second', { isRecovery: true }, call)).toEqual({ kind: 'refused-in-progress', holder: 'first' });
    expect(await pausing(machine).syncClock(target, anAct(act.fence + 1), { force: false }, call)).toEqual({
      kind: 'refused-in-progress',
      holder: 'first',
    });
    expect(await retry).toEqual(await running);
  });

  test('ten at once: one runs', async () => {
    const machine = await openHealthy({ pace: 0.05 });
    const { fence } = anAct(await takeFence(machine));
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => pausing(machine).syncClock(target, anAct(fence + index), { force: false }, call)),
    );
    expect(answers.filter(({ kind }) => kind === 'synced')).toHaveLength(1);
  });

  test('a deadline ends an act, and a retry runs it again', async () => {
    const machine = await openHealthy({ pace: 0.5 });
    const act = anAct(await takeFence(machine), { deadlineMs: 100 });
    await machine.break('clock', target);
    await expect(pausing(machine).syncClock(target, act, { force: false }, call)).rejects.toMatchObject({
      kind: 'act-failed',
      message: expect.stringContaining('deadline'),
    });
    expect(await look(machine)).toMatchObject({ clockOffsetMs: 7_200_000, runningAct: null });
    expect(await pausing(machine).syncClock(target, { ...act, deadlineMs: 5_000 }, { force: false }, call)).toMatchObject({
      kind: 'synced',
    });
  });

  test('a caller that goes away takes its act with it', async () => {
    const machine = await openHealthy({ pace: 1 });
    const going = new AbortController();
    const act = anAct(await takeFence(machine));
    const waiting = pausing(machine).syncClock(target, act, { force: false }, { ...call, signal: going.signal });
    setTimeout(() => going.abort(new Error('cancelled')), 50);
    await expect(waiting).rejects.toThrow('cancelled');
    expect(await look(machine)).toMatchObject({ runningAct: null });
  });

  test('a power cut ends an act without a record', async () => {
    const machine = await openHealthy({ pace: 0.3 });
    const act = anAct(await takeFence(machine));
    const cut = machine.setConfigurationAside(target, act, BY_FORCE, call);
    setTimeout(() => machine.stop('vm', 'stopped'), 100);
    await expect(cut).rejects.toMatchObject({ kind: 'unreachable' });
    await machine.start('vm', call);
    expect(await machine.setConfigurationAside(target, act, BY_FORCE, call)).toMatchObject({
      kind: 'set-aside',
      agentId: expect.any(Number),
    });
  });
});

describe('a look', () => {
  test('says why the listener has ended, until the service is started again', async () => {
    const machine = await openHealthy();
    expect((await look(machine)).log).toEqual({ startedAgoMs: expect.any(Number), exitCode: null, relaunches: 0, signs: [] });
    await machine.break('registration', target);
    expect(await settles(async () => (await look(machine)).service.state, 'inactive')).toBe('inactive');
    expect((await look(machine)).log).toMatchObject({ exitCode: 0, signs: [{ code: 'registration-deleted' }] });
    const act = anAct(await takeFence(machine));
    await machine.startService(target, act, call);
    expect((await look(machine)).log).toMatchObject({ exitCode: 1, signs: [{ code: 'not-configured' }] });
  });

  test('tells a clock that GitHub refuses, and no more of it once it is right', async () => {
    const machine = await openHealthy();
    await machine.break('clock', target);
    expect((await look(machine)).log.signs).toEqual([{ code: 'clock-skew', line: expect.stringContaining('Current server time is') }]);
    const act = anAct(await takeFence(machine));
    await pausing(machine).syncClock(target, act, { force: false }, call);
    expect(await settles(async () => (await look(machine)).log.signs.length, 0)).toBe(0);
  });

  test('tells disk, clock service and journal as they were set', async () => {
    const machine = await openHealthy();
    machine.setDisk(target.machine, { inodesUsedPercent: 99 });
    machine.setTimeSync(target.machine, { isActive: false });
    machine.setLog(target, { relaunches: 7, exitCode: 2 });
    expect(await look(machine)).toMatchObject({
      disk: { usedPercent: 41, inodesUsedPercent: 99 },
      timeSync: { service: 'timesyncd', isActive: false },
      log: { relaunches: 7, exitCode: 2 },
    });
  });

  test.each([false, true])('hangs where it is told to (despite an abort: %s)', async (despiteAbort) => {
    const machine = await openHealthy();
    machine.hang(target.machine, { despiteAbort });
    const caller = new AbortController();
    let ended = '';
    const hanging = machine.observe(target, { ...call, signal: caller.signal }).then(
      () => (ended = 'seen'),
      () => (ended = 'aborted'),
    );
    caller.abort(new Error('given up'));
    expect(await settles(() => ended, despiteAbort ? '' : 'aborted')).toBe(despiteAbort ? '' : 'aborted');
    machine.unhang(target.machine);
    await hanging;
    expect((await look(machine)).listeners).toBe(1);
  });
});

describe('the file', () => {
  test('carries machine, fence, records and listener over a restart of the process', async () => {
    const file = join(folder, 'state', 'machines.json');
    const before = await openHealthy({ file });
    const act = anAct(await takeFence(before, 'first'));
    const first = await pausing(before).syncClock(target, act, { force: false }, call);
    const seen = await look(before);
    await before.close();
    expect(await statusBecomes(github, 'offline')).toBe('offline');

    const after = open({ file });
    expect(after.isInstalled(target)).toBe(true);
    expect(await statusBecomes(github, 'online')).toBe('online');
    const again = await look(after);
    expect(again).toEqual({
      ...seen,
      uptimeMs: again.uptimeMs,
      cleanedAgoMs: again.cleanedAgoMs,
      log: { ...seen.log, startedAgoMs: again.log.startedAgoMs },
    });
    expect(again.uptimeMs).toBeGreaterThanOrEqual(seen.uptimeMs);
    expect(again.log.startedAgoMs).toBeGreaterThanOrEqual(seen.log.startedAgoMs ?? Number.NaN);
    expect(await pausing(after).syncClock(target, act, { force: false }, call)).toEqual(first);
    expect(await takeFence(after, 'second')).toBe(act.fence + 1);
  });

  test('may come from before machines had a clock service, a disk or a journal', async () => {
    const file = join(folder, 'machines.json');
    const before = await openHealthy({ file });
    await before.close();
    const written = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, unknown>>;
    const vm = written[target.machine] as {
      bootedAt?: unknown;
      timeSync?: unknown;
      disk?: unknown;
      runners: Record<string, { log?: unknown }>;
    };
    delete vm.bootedAt;
    delete vm.timeSync;
    delete vm.disk;
    delete vm.runners[target.directory]?.log;
    writeFileSync(file, JSON.stringify(written));
    expect(await look(open({ file }))).toMatchObject({
      service: { state: 'active' },
      log: { startedAgoMs: null, exitCode: null, relaunches: 0, signs: [] },
      timeSync: { service: 'timesyncd', isActive: true },
      disk: { usedPercent: 41, inodesUsedPercent: 12 },
    });
  });

  test('carries a running job', async () => {
    const file = join(folder, 'machines.json');
    const before = await openHealthy({ file });
    const job = github.giveJob(SCOPE, 'builder', { seconds: 0.5 });
    expect(await settles(async () => (await look(before)).workers, 1)).toBe(1);
    await before.close();
    const after = open({ file });
    expect(await look(after)).toMatchObject({ workers: 1 });
    expect(await settles(() => github.job(job).result, 'Succeeded')).toBe('Succeeded');
  });

  test('goes on from a step that was cut off in the middle', async () => {
    const file = join(folder, 'machines.json');
    const before = await openHealthy({ file, pace: 0.3 });
    const act = anAct(await takeFence(before));
    const cut = pausing(before).setConfigurationAside(target, act, { force: false }, call);
    setTimeout(() => void before.close(), 100);
    await expect(cut).rejects.toThrow('went down');
    await recover(open({ file }));
  });

  test('goes on from a boot that was cut off in the middle', async () => {
    const file = join(folder, 'machines.json');
    const before = await openHealthy({ file, pace: 0.5 });
    await before.break('vm', target);
    const cut = before.start('vm', call);
    setTimeout(() => void before.close(), 50);
    await expect(cut).rejects.toThrow('was closed');
    const after = open({ file });
    expect(await after.observe(target, call)).toMatchObject({ state: 'running' });
    expect(await statusBecomes(github, 'online')).toBe('online');
  });

  test('is readable by its owner alone, and holds no registration token', async () => {
    const file = join(folder, 'machines.json');
    const machine = await openHealthy({ file });
    const fence = await takeFence(machine);
    const token = await requestToken(github);
    await pausing(machine).setConfigurationAside(target, anAct(fence), { force: false }, call);
    await machine.configure(target, anAct(fence), token, call);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).not.toContain(token.reveal());
  });
});
