import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GuestObservation, RunnerTarget } from '../../../src/domain/runner.ts';
import type { SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { SandboxMachine } from '../../../src/sandbox/machine/sandbox-machine.ts';
import { anAct, call, SCOPE, settles, startFastGitHub, statusBecomes, targetAt } from './kit.ts';
import { pausing } from '../../kit/paused.ts';

const DAY_MS = 86_400_000;
const ENTRIES = [
  { path: 'actions/checkout/v4', bytes: 1_000, unusedMs: 0 },
  {
    path: 'actions/cache/releases/v2',
    bytes: 3_000,
    unusedMs: 40 * DAY_MS,
    damage: { state: 'empty' as const, owner: 'root', mode: '700', isImmutable: true },
  },
  { path: '_temp_1', bytes: 2_000, unusedMs: null },
];

let github: SandboxGitHub;
let target: RunnerTarget;
let folder: string;
let machine: SandboxMachine;
let fence: number;

beforeEach(async () => {
  github = await startFastGitHub();
  target = targetAt(github);
  folder = mkdtempSync(join(tmpdir(), 'runward-cache-'));
  machine = new SandboxMachine({ pace: 0, retryMs: 50, file: join(folder, 'machines.json') });
  await machine.install(target, github.addRunner(SCOPE, { name: target.runner, labels: target.labels }));
  expect(await statusBecomes(github, 'online')).toBe('online');
  machine.setCache(target, ENTRIES);
  const taken = await machine.takeFence(target, 'test', { isRecovery: true }, call);
  fence = taken.kind === 'taken' ? taken.fence : 0;
});

afterEach(async () => {
  await machine.close();
  await github.close();
  rmSync(folder, { recursive: true });
});

async function look(): Promise<GuestObservation> {
  const { guest } = await machine.observe(target, call);
  if (!guest.known) {
    throw new Error(guest.why);
  }
  return guest.value;
}

test('damage is told and gone once it is removed', async () => {
  expect((await look()).cache).toEqual({ bytes: 6_000, entries: 3, damaged: 1 });
  const wanted = { kind: 'damaged', named: [{ path: 'actions/cache/releases/v2/dist', lacks: 'entry' }] } as const;
  expect(await machine.listCache(target, wanted, call)).toEqual({
    bytes: 6_000,
    entries: 3,
    found: [{ path: 'actions/cache/releases/v2', bytes: 3_000, unusedMs: 40 * DAY_MS }],
    foundBytes: 3_000,
    foundEntries: 1,
    damage: [{ path: 'actions/cache/releases/v2/dist', state: 'empty', owner: 'root', mode: '700', isImmutable: true }],
  });
  expect(await pausing(machine).removeFromCache(target, anAct(fence), wanted, { force: false }, call)).toMatchObject({
    kind: 'removed',
    isAll: false,
    entries: 1,
    bytes: 3_000,
    names: ['actions/cache/releases/v2'],
    damage: [{ path: 'actions/cache/releases/v2/dist', state: 'empty', owner: 'root', mode: '700', isImmutable: true }],
  });
  expect((await look()).cache).toEqual({ bytes: 3_000, entries: 2, damaged: 0 });
});

test('nothing goes that is whole, or that is not there', async () => {
  const named = [
    { path: 'actions/checkout/v4', lacks: 'entry' },
    { path: 'who/knows/v1', lacks: 'entry' },
  ] as const;
  const wanted = { kind: 'damaged', named } as const;
  expect(await pausing(machine).removeFromCache(target, anAct(fence), wanted, { force: false }, call)).toMatchObject({
    isAll: false,
    entries: 0,
    damage: [{ state: 'whole' }, { state: 'missing', owner: null }],
  });
});

test('what is unused goes, and the look tells since when', async () => {
  machine.setCleanedAgo(target, null);
  expect((await look()).cleanedAgoMs).toBeNull();
  const wanted = { kind: 'unused', forMs: 30 * DAY_MS } as const;
  expect(await pausing(machine).removeFromCache(target, anAct(fence), wanted, { force: false }, call)).toMatchObject({ entries: 1 });
  expect((await look()).cleanedAgoMs).toBeLessThan(10_000);
});

test('a job that runs is not disturbed but by force', async () => {
  github.giveJob(SCOPE, target.runner, { seconds: 60 });
  expect(await settles(async () => (await look()).workers, 1)).toBe(1);
  const remove = (force: boolean) => pausing(machine).removeFromCache(target, anAct(fence), { kind: 'all' }, { force }, call);
  const room = { source: 'docker', unusedForMs: 0, journalBytes: 0 } as const;
  expect((await remove(false)).kind).toBe('refused-busy');
  expect((await pausing(machine).makeRoom(target, anAct(fence), room, call)).kind).toBe('refused-busy');
  expect((await look()).cache?.entries).toBe(3);
  expect(await remove(true)).toMatchObject({ kind: 'removed', entries: 3 });
  expect((await look()).workers).toBe(1);
});

test('a source gives room once, nothing, or an act that fails', async () => {
  machine.setDisk(target.machine, { usedPercent: 95, freeBytes: 2e9 });
  machine.setRoom(target, 'tool-caches', { bytes: 4e9, items: 3 });
  machine.setRoom(target, 'docker', { nothing: 'a container runs' });
  machine.setRoom(target, 'apt', { fails: 'the lock is held' });
  const make = (source: 'tool-caches' | 'docker' | 'apt') =>
    pausing(machine).makeRoom(target, anAct(fence), { source, unusedForMs: 0, journalBytes: 0 }, call);
  const disk = { usedPercent: 86, freeBytes: 6e9, inodesUsedPercent: 12 };
  expect(await make('tool-caches')).toEqual({ kind: 'made', bytes: 4e9, items: 3, disk });
  expect(await make('tool-caches')).toEqual({ kind: 'nothing', why: 'there is nothing of tool-caches', disk });
  expect(await make('docker')).toEqual({ kind: 'nothing', why: 'a container runs', disk });
  await expect(make('apt')).rejects.toMatchObject({ kind: 'act-failed', evidence: 'the lock is held' });
});

test('the file carries all of it over a restart of the process', async () => {
  machine.setForeignCleaner(target, { file: '/etc/crontab', line: 3 });
  machine.setRoom(target, 'journal', { bytes: 4e8, items: 1 });
  machine.setWorkspaces(target, [
    { name: 'small', bytes: 1 },
    { name: 'large', bytes: 2 },
  ]);
  await machine.close();
  machine = new SandboxMachine({ pace: 0, retryMs: 50, file: join(folder, 'machines.json') });
  expect(await look()).toMatchObject({ cache: { entries: 3 }, foreignCleaner: { file: '/etc/crontab', line: 3 } });
  expect((await machine.listWorkspaces(target, call)).map(({ name }) => name)).toEqual(['large', 'small']);
  const made = await pausing(machine).makeRoom(target, anAct(fence), { source: 'journal', unusedForMs: 0, journalBytes: 0 }, call);
  expect(made).toMatchObject({ kind: 'made', bytes: 4e8 });
});
