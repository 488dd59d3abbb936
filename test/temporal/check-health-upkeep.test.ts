// Care for caches and disks as passes of a health check begin it by themselves.

import { WorkflowNotFoundError } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { listOpenFindings } from '../../src/activities/findings.ts';
import type { Alert } from '../../src/domain/alert.ts';
import type { Diagnosed } from '../../src/domain/finding.ts';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { failureLedgerId } from '../../src/domain/names.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { startWorld, type World } from '../kit/recovery-world.ts';
import { beginJob, cached, DAY_MS, failedRun, failuresRead, failure, GIB, gone, look, rerunsAsked } from '../kit/upkeep.ts';

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const LOW = { usedPercent: 93, freeBytes: 2.6 * GIB };
const BELOW_FLOOR = { usedPercent: 99, freeBytes: 300 * MIB };
const TEN_PERCENT = { bytes: 4_004_000_000, items: 9 };

async function check(world: World): Promise<HealthReport> {
  return (await world.check({ scope: world.target.scope, wait: '20s' })).result();
}

const findingOf = ({ findings }: HealthReport, code: string): Diagnosed | undefined => findings.find((each) => each.code === code);

async function endJob(world: World): Promise<void> {
  await world.machine.endJob(world.target);
  await world.until(() => world.github.runners(world.target.scope)[0]?.busy === false, 'GitHub shows the runner idle');
}

describe.concurrent('a pass', () => {
  test('heals the caches that have let a run fail, and runs all its failed jobs again, once', async () => {
    await using world = await startWorld({ runners: 2 });
    const damage = { state: 'empty', owner: 'root', mode: '755', isImmutable: false } as const;
    world.targets.forEach((target) => world.machine.setCache(target, [{ path: 'actions/checkout/v4', bytes: MIB, unusedMs: 0, damage }]));
    const annotations = [failure(gone(world))];
    const id = failedRun(
      world,
      world.targets.map(({ runner }) => ({ runner, annotations })),
    );
    const report = await check(world);
    const healed = { cure: 'heal-cache', because: 'cache-damaged', outcome: 'healed' };
    expect(report, JSON.stringify(report.started)).toMatchObject({ outcome: 'cured', started: [healed, healed] });
    expect(findingOf(report, 'cache-damaged')).toMatchObject({
      severity: 'warning',
      evidence: expect.stringContaining(`run ${id}: Can't find`),
    });
    for (const target of world.targets) {
      expect(await cached(world, target)).not.toContain('actions/checkout/v4');
    }
    // Where one has overwritten what the other has settled, the next pass heals it once more.
    if (rerunsAsked(world) === 0) {
      await check(world);
    }
    expect(rerunsAsked(world)).toBe(1);
    await world.until(() => world.github.run(id).jobs.every(({ state }) => state === 'in_progress'), 'all of it is run again');
    expect(await check(world)).toMatchObject({ outcome: 'healthy', findings: [], started: [] });
    expect([world.github.run(id).attempt, rerunsAsked(world)]).toEqual([2, 1]);
  });

  test('that is a dry run changes nothing and remembers nothing; one of a named runner repairs that one alone', async () => {
    await using world = await startWorld({ runners: 2 });
    const { scope } = world.target;
    failedRun(world, [{ log: '##[error]Process completed with exit code 1.', annotations: [] }]);
    await Promise.all(world.targets.map((target) => world.machine.break('service', target)));
    await world.until(() => world.targets.every((target) => world.shown(target) === 'offline'), 'GitHub shows them offline');
    const dry = await (await world.check({ scope, dryRun: true, wait: '20s' })).result();
    expect(dry).toMatchObject({ mode: 'watch', started: [] });
    expect(new Set(dry.withheld.map(({ reason }) => reason))).toEqual(new Set(['watch', 'one-at-a-time']));
    expect(dry.withheld.find(({ reason }) => reason === 'watch')?.why).toContain('dry run');
    await expect(world.client.workflow.getHandle(failureLedgerId(scope)).describe()).rejects.toThrow(WorkflowNotFoundError);
    expect(await listOpenFindings(world.client, scope)).toEqual([]);

    const [, named] = world.targets as readonly RunnerTarget[];
    const report = await (await world.check({ scope, runners: [named?.runner], wait: '20s' })).result();
    expect(report.started.map(({ runner }) => runner)).toEqual([`${scope}/${named?.runner}`]);
    expect(report.runners.map(({ runner }) => runner)).not.toContain(`${scope}/${world.target.runner}`);
    expect(world.shown()).toBe('offline');
    await expect((await world.check({ scope, runners: ['nobody'] })).result()).rejects.toMatchObject({
      cause: { message: expect.stringContaining('no runner "nobody" is configured') },
    });
  });

  test('reads the jobs, logs and annotations of a failed run once, and tells of a foreign cleaner', async () => {
    await using world = await startWorld();
    for (let runs = 0; runs < 5; runs += 1) {
      failedRun(world, [{ log: '##[error]Process completed with exit code 1.', annotations: [] }, { runner: 'GitHub Actions 3' }]);
    }
    world.machine.setForeignCleaner(world.target, { file: '/etc/cron.d/clean', line: 12 });
    expect((await world.pass()).findings).toMatchObject([
      {
        code: 'foreign-cleaner',
        severity: 'warning',
        evidence: '/etc/cron.d/clean, line 12, removes what is below /opt/actions-runner',
        cure: null,
      },
    ]);
    const [read, logs] = [failuresRead(world), world.github.logRequests.length];
    expect([read, logs]).toEqual([10, 5]);
    await world.pass();
    expect([failuresRead(world), world.github.logRequests.length]).toEqual([read, logs]);
  });

  test('cleans when no job runs, tries it again each time, and tells people once it is overdue', async () => {
    const told: Alert[] = [];
    await using world = await startWorld({ tell: async (alert) => void told.push(alert) });
    world.machine.setCache(world.target, [{ path: 'acme/legacy/v1', bytes: MIB, unusedMs: 9 * DAY_MS }]);
    world.machine.setCleanedAgo(world.target, 25 * HOUR_MS);
    await beginJob(world);
    const first = await world.pass();
    expect(first).toMatchObject({
      outcome: 'healthy',
      started: [],
      withheld: [{ because: 'cleaning-due', why: expect.stringContaining('busy') }],
    });
    const { severity, dueSince } = findingOf(first, 'cleaning-due') ?? {};
    expect([severity, Math.round((Date.now() - Date.parse(dueSince ?? '')) / 60_000)]).toEqual(['info', 60]);
    expect(told).toEqual([]);

    world.machine.setCleanedAgo(world.target, 49 * HOUR_MS);
    const second = await world.pass();
    expect(second).toMatchObject({ started: [], withheld: [{ because: 'cleaning-due' }] });
    expect(findingOf(second, 'cleaning-due')).toMatchObject({ severity: 'warning', advice: expect.stringContaining('runner drain') });
    await world.until(() => told.length === 1, 'people are told');
    expect(told).toMatchObject([{ code: 'cleaning-due', state: 'opened', severity: 'warning' }]);
    expect(await cached(world)).toHaveLength(1);

    await endJob(world);
    expect(await check(world)).toMatchObject({ started: [{ cure: 'clean-cache', outcome: 'cleaned' }] });
    expect(await cached(world)).toEqual([]);
    expect(findingOf(await world.pass(), 'cleaning-due')).toBeUndefined();
  });

  test('makes room before all else', async () => {
    await using world = await startWorld();
    world.machine.setDisk(world.target.machine, LOW);
    world.machine.setRoom(world.target, 'diagnostic-logs', TEN_PERCENT);
    world.machine.setCleanedAgo(world.target, null);
    expect((await check(world)).started).toMatchObject([{ cure: 'make-room', because: 'disk-low', outcome: 'room-made' }]);
  });

  test('asks a runner that takes a job at the last moment once, and the next pass tries again', async () => {
    await using world = await startWorld();
    world.machine.setCache(world.target, [{ path: 'acme/legacy/v1', bytes: MIB, unusedMs: 9 * DAY_MS }]);
    world.machine.setCleanedAgo(world.target, 25 * HOUR_MS);
    const remove = world.machine.removeFromCache.bind(world.machine);
    let tries = 0;
    world.machine.removeFromCache = async (...given) => {
      tries += 1;
      if (tries === 1) {
        const { github, target } = world;
        github.giveJob(target.scope, target.runner, { seconds: 3_600 });
        await world.until(() => github.runners(target.scope)[0]?.busy === true, 'GitHub has given the job');
      }
      return remove(...given);
    };
    expect((await check(world)).started).toMatchObject([{ cure: 'clean-cache', outcome: 'refused-busy' }]);
    expect([tries, await cached(world)]).toEqual([1, ['acme/legacy/v1']]);
    await world.until(async () => (await look(world)).workers === 1, 'the job runs');
    await endJob(world);
    expect((await check(world)).started).toMatchObject([{ cure: 'clean-cache', outcome: 'cleaned' }]);
    expect(await cached(world)).toEqual([]);
  });
});

test.concurrent('a disk below the floor lets its runner take no other job, until there is room again whoever made it', async () => {
  await using world = await startWorld();
  world.machine.setDisk(world.target.machine, BELOW_FLOOR);
  const job = await beginJob(world);
  expect((await check(world)).started).toMatchObject([{ cure: 'make-room', because: 'disk-below-floor', outcome: 'refused-busy' }]);
  await endJob(world);
  await world.until(async () => (await look(world)).service.state === 'inactive', 'it is drained');
  expect(world.github.job(job).result).toBe('Succeeded');
  world.machine.setDisk(world.target.machine, { usedPercent: 40, freeBytes: 20 * GIB });
  await world.until(async () => (await check(world)).started.some(({ because }) => because === 'drained'), 'a pass sees it');
  await world.until(async () => (await look(world)).drain === null && world.shown() === 'online', 'it takes jobs again');
});
