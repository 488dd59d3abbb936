// Room on the disk of a runner's machine, made on a real Temporal server, against the make-believe GitHub and machine.

import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import { DEFAULT_UPKEEP_POLICY } from '../../src/domain/policy.ts';
import { ROOM_SOURCES, type RoomWanted } from '../../src/domain/room.ts';
import type { RoomReport } from '../../src/domain/upkeep.ts';
import { startWorld, type World, type WorldOptions } from '../kit/recovery-world.ts';
import { beginJob, DAY_MS, GIB, isHeld, ledgerOf, look, run, writesAt } from '../kit/upkeep.ts';

const MIB = 1024 * 1024;
/** Of the make-believe disk. */
const PERCENT = 400_400_000;
const LOW = { usedPercent: 93, freeBytes: 2.6 * GIB };
const BELOW_FLOOR = { usedPercent: 99, freeBytes: 300 * MIB };

/** What each source was asked for, in this order. */
function asked({ machine }: World): readonly RoomWanted[] {
  const wants: RoomWanted[] = [];
  const makeRoom = machine.makeRoom.bind(machine);
  machine.makeRoom = (target, act, wanted, ...rest) => {
    wants.push(wanted);
    return makeRoom(target, act, wanted, ...rest);
  };
  return wants;
}

const { room } = DEFAULT_UPKEEP_POLICY;

/** The sources that are asked, all others being left alone. */
function sources(unusedForMs: Partial<typeof room.unusedForMs>): NonNullable<WorldOptions['policy']> {
  const none = Object.fromEntries(ROOM_SOURCES.map((source) => [source, null])) as unknown as typeof room.unusedForMs;
  return { upkeep: { ...DEFAULT_UPKEEP_POLICY, room: { ...room, unusedForMs: { ...none, ...unusedForMs } } } };
}

const DOCKER = { policy: sources({ docker: DAY_MS }) };

/** A world whose disk is like this. */
async function startFull(disk: Parameters<World['machine']['setDisk']>[1], options: WorldOptions = DOCKER): Promise<World> {
  const world = await startWorld(options);
  world.machine.setDisk(world.target.machine, disk);
  return world;
}

function step({ steps }: RoomReport, name: string): RoomReport['steps'][number] | undefined {
  return steps.find((each) => each.name === name);
}

async function drain({ client, target }: World, reason: string): Promise<void> {
  const workflowId = `drain-${target.runner}-${Math.random()}`;
  const args = [{ runner: target.runner, reason, wait: '10s' }];
  expect(await (await client.workflow.start('drainRunner', { workflowId, taskQueue: MAIN_QUEUE, args })).result()).toMatchObject({
    outcome: 'drained',
  });
}

async function untilDrained(world: World): Promise<void> {
  await world.until(async () => (await look(world)).service.state === 'inactive', 'it is drained');
}

async function untilTakenUp(world: World): Promise<void> {
  await world.until(async () => (await look(world)).drain === null && world.shown() === 'online', 'it takes jobs again');
}

describe.concurrent('room is made', () => {
  test('from one source after the other, each measured, until there is enough', async () => {
    await using world = await startFull(LOW, {});
    const wants = asked(world);
    for (const source of ['diagnostic-logs', 'update-leftovers', 'tool-caches', 'docker', 'journal'] as const) {
      world.machine.setRoom(world.target, source, { bytes: 2 * PERCENT, items: 3 });
    }
    world.machine.setRoom(world.target, 'temporary-files', { nothing: 'no file is so old' });
    const planned = await run(world, 'makeRoom', { dryRun: true });
    expect(planned).toMatchObject({
      outcome: 'planned',
      summary: expect.stringMatching(/93 % used.*from runner-package, diagnostic-logs, .*, apt, until/),
      freed: [],
    });
    expect([wants, await ledgerOf(world)]).toEqual([[], []]);

    const report = await run(world, 'makeRoom');
    expect(report).toMatchObject({ outcome: 'room-made', summary: expect.stringMatching(/93 % used.*before, 85 % used.*now/) });
    expect(wants.map(({ source }) => source)).toEqual(ROOM_SOURCES.slice(0, 6));
    expect(wants[4]).toMatchObject({ unusedForMs: room.unusedForMs['tool-caches'] });
    expect(report.freed).toEqual(
      ['diagnostic-logs', 'update-leftovers', 'tool-caches', 'docker'].map((source) => ({ source, bytes: 2 * PERCENT })),
    );
    expect(step(report, 'diagnostic-logs')).toMatchObject({
      status: 'done',
      detail: expect.stringMatching(/^764 MiB freed by 3 items; 91 %/),
    });
    expect(step(report, 'temporary-files')).toMatchObject({ status: 'skipped', detail: 'no file is so old' });
    expect(step(report, 'journal')).toMatchObject({ status: 'skipped', detail: 'not reached' });
    expect((await look(world)).disk.usedPercent).toBe(85);
    expect(await ledgerOf(world)).toMatchObject([{ type: 'makeRoom', outcome: 'room-made', trigger: 'manual' }]);
  });

  test('never from workspaces that nobody has named: their size is told', async () => {
    await using world = await startFull(LOW);
    const wants = asked(world);
    world.machine.setWorkspaces(world.target, [
      { name: 'gadgets', bytes: 128 * MIB },
      { name: 'widgets', bytes: 30 * GIB },
    ]);
    world.machine.setRoom(world.target, 'workspaces', { bytes: 30 * GIB, items: 1 });
    const report = await run(world, 'makeRoom');
    expect(report).toMatchObject({ outcome: 'some-room', freed: [] });
    expect(wants.map(({ source }) => source)).toEqual(['docker']);
    expect(step(report, 'workspaces')).toMatchObject({
      status: 'skipped',
      detail: expect.stringMatching(/stay \(`disk\.workspacesDays`\): widgets 30 GiB; gadgets 128 MiB/),
    });
    expect((await look(world)).drain).toBeNull();
  });

  test('from the other sources where one fails, or is in use by the job of a neighbour; from workspaces last, where they are named', async () => {
    await using world = await startFull(LOW, { policy: sources({ docker: DAY_MS, journal: 0, workspaces: 14 * DAY_MS }) });
    const makeRoom = world.machine.makeRoom.bind(world.machine);
    world.machine.makeRoom = async (target, act, wanted, ...rest) =>
      wanted.source === 'journal' ? { kind: 'refused-busy', evidence: 'Runner.Worker of r2' } : makeRoom(target, act, wanted, ...rest);
    const wants = asked(world);
    world.machine.setRoom(world.target, 'docker', { fails: 'docker system prune: the daemon is wedged' });
    world.machine.setRoom(world.target, 'workspaces', { bytes: 9 * PERCENT, items: 1 });
    const report = await run(world, 'makeRoom');
    expect(report, report.summary).toMatchObject({ outcome: 'room-made', freed: [{ source: 'workspaces' }] });
    expect(step(report, 'docker')).toMatchObject({ status: 'failed', detail: expect.stringContaining('the daemon is wedged') });
    expect(step(report, 'journal')).toMatchObject({ status: 'skipped', detail: expect.stringContaining('Runner.Worker of r2') });
    expect(wants).toMatchObject([{ source: 'docker' }, { source: 'journal' }, { source: 'workspaces', unusedForMs: 14 * DAY_MS }]);
  });

  test('not at all where Runward only watches', async () => {
    await using world = await startFull(BELOW_FLOOR, { mode: 'watch' });
    const wants = asked(world);
    expect(await run(world, 'makeRoom')).toMatchObject({ outcome: 'refused-watching', freed: [] });
    await beginJob(world);
    expect(await run(world, 'makeRoom')).toMatchObject({ outcome: 'refused-busy' });
    expect([wants, writesAt(world), await ledgerOf(world), (await look(world)).drain]).toEqual([[], [], [], null]);
  });
});

describe.concurrent('below the floor', () => {
  test('with nothing left that may go, the runner is drained, and taken up again once room was made', async () => {
    await using world = await startFull(BELOW_FLOOR);
    const report = await run(world, 'makeRoom');
    expect(report).toMatchObject({
      outcome: 'no-room',
      summary: expect.stringMatching(/is drained; make room, then run `runward runner resume/),
    });
    expect(step(report, 'drain')).toMatchObject({ status: 'done' });
    await untilDrained(world);
    expect((await look(world)).drain?.reason).toBe('no room on the disk (300 MiB free, below 512 MiB)');

    world.machine.setRoom(world.target, 'docker', { bytes: 20 * PERCENT, items: 7 });
    expect(await run(world, 'makeRoom', { wait: '10s' })).toMatchObject({ outcome: 'room-made' });
    await untilTakenUp(world);
    const acts = (await ledgerOf(world)).filter(({ type }) => type !== 'makeRoom');
    expect(acts).toMatchObject([
      { type: 'drainRunner', outcome: 'drained', trigger: 'check' },
      { type: 'resumeRunner', trigger: 'check' },
    ]);
  });

  test("a person's drain that comes right before it is taken up stays", async () => {
    await using world = await startFull(BELOW_FLOOR);
    expect(await run(world, 'makeRoom')).toMatchObject({ outcome: 'no-room' });
    await untilDrained(world);
    const unmark = world.machine.unmarkDrained.bind(world.machine);
    world.machine.unmarkDrained = async (target, act, call) => {
      await world.machine.markDrained(target, { ...act, key: `${act.key}-rival` }, { by: 'person', reason: 'new disk' }, call);
      return unmark(target, act, call);
    };
    world.machine.setRoom(world.target, 'docker', { bytes: 20 * PERCENT, items: 7 });
    expect(await run(world, 'makeRoom', { wait: '10s' })).toMatchObject({ outcome: 'room-made' });
    const resumed = async () => (await ledgerOf(world)).filter(({ type }) => type === 'resumeRunner');
    await world.until(async () => typeof (await resumed())[0]?.outcome === 'string', 'it was to be taken up');
    expect((await look(world)).drain).toMatchObject({ by: 'person', reason: 'new disk' });
  });

  test('a little more than the floor does not resume it', async () => {
    await using world = await startFull(BELOW_FLOOR);
    expect(await run(world, 'makeRoom')).toMatchObject({ outcome: 'no-room' });
    await untilDrained(world);
    world.machine.setDisk(world.target.machine, { ...BELOW_FLOOR, freeBytes: 540 * 1024 * 1024 });
    expect(await run(world, 'makeRoom', { wait: '10s' })).toMatchObject({
      outcome: 'some-room',
      summary: expect.stringContaining('stays drained until 1.5 GiB are free, or 85 % are used at most'),
    });
    expect((await look(world)).drain).toMatchObject({ by: 'room' });
    expect((await ledgerOf(world)).filter(({ type }) => type === 'resumeRunner')).toEqual([]);
  });

  test('the job that runs goes on, and no other follows it', async () => {
    await using world = await startFull(BELOW_FLOOR);
    const wants = asked(world);
    const job = await beginJob(world);
    const report = await run(world, 'makeRoom');
    expect(report).toMatchObject({
      outcome: 'refused-busy',
      summary: expect.stringContaining('with 300 MiB free, below 512 MiB it takes no job after this one'),
    });
    expect([wants, await isHeld(world)]).toEqual([[], expect.any(Boolean)]);
    await world.until(async () => (await look(world)).drain !== null, 'it is marked');
    expect(await run(world, 'makeRoom')).toMatchObject({ outcome: 'refused-busy' });
    expect((await look(world)).workers).toBe(1);
    await world.machine.endJob(world.target);
    await untilDrained(world);
    expect(world.github.job(job).result).toBe('Succeeded');
  });

  test("a person's drain stays when there is room, also where Runward had drained the runner before", async () => {
    await using world = await startFull(BELOW_FLOOR);
    expect(await run(world, 'makeRoom')).toMatchObject({ outcome: 'no-room' });
    await untilDrained(world);
    await drain(world, 'new disk');
    world.machine.setRoom(world.target, 'docker', { bytes: 20 * PERCENT, items: 7 });
    expect(await run(world, 'makeRoom')).toMatchObject({ outcome: 'room-made' });
    expect(await look(world)).toMatchObject({ drain: { reason: 'new disk' }, service: { state: 'inactive' } });
    expect((await ledgerOf(world)).some(({ type }) => type === 'resumeRunner')).toBe(false);
  });
});

test.concurrent('what jobs of all runners use is left alone while GitHub calls a neighbour busy', async () => {
  await using world = await startFull(LOW, { ...DOCKER, runners: 2, sharesMachine: true });
  const [, neighbour] = world.targets;
  world.machine.setRoom(world.target, 'docker', { bytes: 5 * GIB, items: 3 });
  // Its job has no worker yet.
  world.github.showRunner(neighbour!.scope, neighbour!.runner, { busy: true });
  const report = (await run(world, 'makeRoom')) as RoomReport;
  expect(report.freed).toEqual([]);
  expect(report.steps).toContainEqual(
    expect.objectContaining({ name: 'docker', status: 'skipped', detail: expect.stringContaining('busy') }),
  );
});
