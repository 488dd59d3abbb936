// The actions cache of a runner, cleaned, cleared and healed on a real Temporal server, against the make-believe GitHub and machine.

import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE, rerunId } from '../../src/domain/names.ts';
import { DEFAULT_UPKEEP_POLICY } from '../../src/domain/policy.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import type { HealReport } from '../../src/domain/upkeep.ts';
import { MachineError } from '../../src/machine/port.ts';
import type { SandboxCacheEntry } from '../../src/sandbox/machine/cache-and-disk.ts';
import { startWorld, type World } from '../kit/recovery-world.ts';
import {
  begin,
  beginJob,
  CALL,
  cached,
  DAY_MS,
  failAgain,
  failedRun,
  failure,
  gone,
  isHeld,
  ledgerOf,
  look,
  rerunsAsked,
  run,
  writesAt,
} from '../kit/upkeep.ts';

const MIB = 1024 * 1024;
const OLD = { path: 'acme/legacy/v1', bytes: 30 * MIB, unusedMs: 9 * DAY_MS };
const LEFTOVER = { path: '_temp_1234', bytes: 5 * MIB, unusedMs: 8 * DAY_MS };
const USED: readonly SandboxCacheEntry[] = [
  { path: 'actions/checkout/v4', bytes: MIB, unusedMs: 6 * DAY_MS },
  { path: 'actions/setup-go/v5', bytes: MIB, unusedMs: null },
];

const DAMAGE = { state: 'empty', owner: 'root', mode: '700', isImmutable: false } as const;
const SCRIPT_FAILED = 'Process completed with exit code 1.';

const BROKEN: SandboxCacheEntry = { path: 'actions/checkout/v4', bytes: MIB, unusedMs: 0, damage: DAMAGE };

/** A world whose runner's cache is damaged. */
async function startBroken(options: Parameters<typeof startWorld>[0] = {}): Promise<World> {
  const world = await startWorld(options);
  for (const target of world.targets) {
    world.machine.setCache(target, [BROKEN, ...USED.slice(1)]);
  }
  return world;
}

const damagedBy = (world: World, entry?: string): { annotations: ReturnType<typeof failure>[] } => ({
  annotations: [failure(gone(world, entry))],
});
const stepsOf = ({ steps }: HealReport): readonly string[] => steps.map(({ name, status }) => `${name} ${status}`);
const details = ({ steps }: HealReport, step: string): string => steps.find(({ name }) => name === step)?.detail ?? '';

test('who can start workflows has no reach beyond the configuration', async () => {
  await using world = await startWorld();
  const policy = DEFAULT_UPKEEP_POLICY.failures;
  const input = { version: 1, scope: 'victim/other-repo', run: 1, attempt: 1, plan: { kind: 'failed-jobs' }, policy };
  const done = await world.client.workflow.execute('rerunFailedJobs', { workflowId: 'by-hand', taskQueue: MAIN_QUEUE, args: [input] });
  const why = expect.stringContaining('scope victim/other-repo is not configured on this worker');
  expect(done).toEqual({ kind: 'refused', why });
});

describe.concurrent('a cleaning', () => {
  test('removes what nothing has used for long, and a dry run lists it before', async () => {
    await using world = await startWorld();
    world.machine.setCache(world.target, [...USED, OLD, LEFTOVER]);
    world.machine.setCleanedAgo(world.target, null);
    const planned = await run(world, 'cleanActionsCache', { dryRun: true });
    expect(planned).toMatchObject({
      outcome: 'planned',
      dryRun: true,
      summary: expect.stringContaining('would remove 35 MiB (2 actions)'),
      removed: { entries: 2, bytes: 35 * MIB, found: [OLD, LEFTOVER] },
    });
    expect(await cached(world)).toHaveLength(4);
    expect([await ledgerOf(world), (await look(world)).cleanedAgoMs]).toEqual([[], null]);

    const cleaned = await run(world, 'cleanActionsCache');
    expect(cleaned).toMatchObject({
      outcome: 'cleaned',
      dryRun: false,
      removed: { entries: 2, bytes: 35 * MIB, names: [OLD.path, LEFTOVER.path] },
      steps: [{ name: 'clean-cache', status: 'done' }],
    });
    expect(await cached(world)).toEqual(USED.map(({ path }) => path));
    expect((await look(world)).cleanedAgoMs).toBeLessThan(60_000);
    expect(await ledgerOf(world)).toMatchObject([{ type: 'cleanActionsCache', outcome: 'cleaned', trigger: 'manual' }]);
  });

  test('is refused while a job runs, touches nothing, and holds the machine no longer', async () => {
    await using world = await startWorld();
    world.machine.setCache(world.target, [...USED, OLD]);
    const job = await beginJob(world);
    const removed = await run(world, 'cleanActionsCache', { wait: '10m' });
    expect(removed).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('left alone'), removed: { entries: 0 } });
    expect(await isHeld(world)).toBe(false);
    const cleared = await run(world, 'clearActionsCache');
    expect(cleared).toMatchObject({ outcome: 'refused-busy', removed: { entries: 0 } });
    const healed = await run(world, 'healActionsCache');
    expect(healed).toMatchObject({ outcome: 'refused-busy', removed: { entries: 0 } });
    expect(await cached(world)).toHaveLength(3);
    expect(await ledgerOf(world)).toEqual([]);
    await world.machine.endJob(world.target);
    await world.until(() => world.github.job(job).result === 'Succeeded', 'the job goes on');
  });

  test('that fails in the guest is not tried again while it holds the machine', async () => {
    await using world = await startWorld();
    let tries = 0;
    world.machine.removeFromCache = async () => {
      tries += 1;
      throw new MachineError('act-failed', 'remove-from-cache ended with exit-code exited 1', { evidence: 'it is immutable' });
    };
    const report = await run(world, 'cleanActionsCache');
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('it is immutable'), removed: { entries: 0 } });
    expect([tries, await isHeld(world)]).toEqual([1, false]);
    expect(await ledgerOf(world)).toMatchObject([{ outcome: 'failed' }]);
  });

  test('lets a job that comes meanwhile begin afterwards, and is the only one at the machine', async () => {
    await using world = await startWorld({ pace: 0.5 });
    world.machine.setCache(world.target, [OLD]);
    const handle = await begin(world, 'cleanActionsCache');
    await world.until(async () => (await look(world)).runningAct?.endsWith('.clean-cache') === true, 'the act runs');
    const { scope, runner } = world.target;
    const job = world.github.giveJob(scope, runner, { seconds: 0 });
    const second = run(world, 'clearActionsCache');
    expect(await handle.result()).toMatchObject({ outcome: 'cleaned', removed: { names: [OLD.path] } });
    await world.until(() => world.github.job(job).result === 'Succeeded', 'the job runs');
    expect(await second).toMatchObject({
      outcome: 'refused-in-progress',
      summary: expect.stringContaining(`in the hands of cleanActionsCache ${handle.workflowId}`),
    });
  });
});

test.concurrent('a clearing removes all, whatever has used it', async () => {
  await using world = await startWorld();
  world.machine.setCache(world.target, [...USED, OLD]);
  expect(await run(world, 'clearActionsCache')).toMatchObject({ outcome: 'cleared', removed: { entries: 3, bytes: 32 * MIB } });
  expect(await cached(world)).toEqual([]);
  expect(await ledgerOf(world)).toMatchObject([{ type: 'clearActionsCache', outcome: 'cleared' }]);
});

test.concurrent('who only watches removes and re-runs nothing, and tells what would go', async () => {
  await using world = await startWorld({ mode: 'watch' });
  world.machine.setCache(world.target, [...USED, { ...OLD, damage: DAMAGE }]);
  failedRun(world, [damagedBy(world, OLD.path)]);
  for (const type of ['cleanActionsCache', 'clearActionsCache', 'healActionsCache'] as const) {
    expect(await run(world, type), type).toMatchObject({ outcome: 'refused-watching', summary: expect.stringContaining('would remove') });
  }
  expect(await cached(world)).toHaveLength(3);
  expect([await ledgerOf(world), writesAt(world)]).toEqual([[], []]);
});

describe.concurrent('a healing', () => {
  test('removes exactly what let a run fail, notes how it looked, and runs the failed jobs again once', async () => {
    await using world = await startWorld();
    world.machine.setCache(world.target, [...USED, { ...OLD, damage: DAMAGE }]);
    const id = failedRun(world, [damagedBy(world, `${OLD.path}/sub`)]);
    const planned = await run(world, 'healActionsCache', { dryRun: true });
    expect(planned).toMatchObject({ outcome: 'planned', removed: { names: [OLD.path] }, damaged: [{ run: id }], reran: [] });
    expect([await cached(world), writesAt(world)]).toEqual([expect.arrayContaining([OLD.path]), []]);

    const report = await run(world, 'healActionsCache');
    expect(report.outcome, report.summary).toBe('healed');
    expect(stepsOf(report)).toEqual(['inspect-failures done', 'clear-cache done', 'rerun-jobs done']);
    expect(report).toMatchObject({
      removed: { names: [OLD.path], damage: [{ path: `${OLD.path}/sub`, ...DAMAGE }] },
      damaged: [{ run: id, attempt: 1, jobs: [{ path: `${OLD.path}/sub` }] }],
      reran: [{ run: id, attempt: 1, outcome: 're-run' }],
    });
    expect(details(report, 'clear-cache')).toMatch(
      /seen: acme\/legacy\/v1\/sub empty of root, mode 700; \d+ bytes and \d+ inodes were free/,
    );
    expect(await cached(world)).toEqual(USED.map(({ path }) => path));
    expect(world.github.run(id)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 1, rerunJob: 0 } });
    expect(rerunsAsked(world)).toBe(1);
    expect(await ledgerOf(world)).toMatchObject([{ type: 'healActionsCache', outcome: 'healed' }]);
  });

  test('runs a run again twice, and tells people the third time', async () => {
    await using world = await startBroken();
    const id = failedRun(world, [damagedBy(world)]);
    const first = await run(world, 'healActionsCache');
    expect(first.reran, first.summary).toMatchObject([{ attempt: 1, outcome: 're-run' }]);
    await failAgain(world, id);
    const second = await run(world, 'healActionsCache');
    expect(second.reran, second.summary).toMatchObject([{ attempt: 2, outcome: 're-run' }]);
    await failAgain(world, id);
    const third = await run(world, 'healActionsCache');
    expect(third).toMatchObject({
      outcome: 'given-up',
      summary: expect.stringMatching(new RegExp(`run ${id} is left to you: .*2 re-runs`)),
      reran: [{ attempt: 3, outcome: 'given-up' }],
    });
    expect([world.github.run(id).accepted.rerunFailed, rerunsAsked(world)]).toEqual([2, 2]);
    expect(await run(world, 'healActionsCache')).toMatchObject({ outcome: 'nothing-damaged', damaged: [], reran: [] });
    const { findings, started } = await world.pass();
    expect(started).toEqual([]);
    expect(findings).toMatchObject([
      {
        code: 'run-left',
        severity: 'warning',
        evidence: expect.stringMatching(new RegExp(`run ${id}, attempt 3: .*2 re-runs`)),
        cure: null,
      },
    ]);
  });

  test('of an attempt that another one deals with at the same time runs nothing again', async () => {
    await using world = await startBroken();
    const id = failedRun(world, [damagedBy(world)]);
    const [one, other] = await Promise.all([
      run(world, 'healActionsCache', { wait: '10s' }),
      run(world, 'healActionsCache', { wait: '10s' }),
    ]);
    expect([one, other].flatMap(({ reran }) => reran.filter(({ outcome }) => outcome === 're-run'))).toHaveLength(1);
    expect([world.github.run(id).accepted.rerunFailed, rerunsAsked(world)]).toEqual([1, 1]);
  });

  const denied = (world: World, entry: string): string =>
    `Access to the path '${world.target.directory}/_work/_actions/${entry}' is denied.`;

  test.each<[what: string, words: (world: World) => string]>([
    ['name an entry that is whole', (world) => gone(world)],
    ['name what is not there of it', (world) => gone(world, 'actions/checkout/v4/nothing')],
    ['name a file that may not be read', (world) => denied(world, 'actions/checkout/v4/dist')],
    ['name no entry', (world) => denied(world, '_temp_1/x')],
  ])('removes nothing, holds nobody and runs nothing again for an annotation alone: its words %s', async (_what, words) => {
    await using world = await startWorld();
    world.machine.setCache(world.target, [...USED, OLD]);
    // GitHub does not know the ref, and so does not say what the action holds.
    world.github.addAction('actions/checkout', 'v3', ['action.yml']);
    failedRun(world, [{ annotations: [failure(words(world))], log: 'all is well' }]);
    const report = await run(world, 'healActionsCache');
    expect(report).toMatchObject({
      outcome: 'nothing-damaged',
      removed: { entries: 0 },
      reran: [{ outcome: 'left', detail: expect.stringContaining('its log does not prove') }],
    });
    expect(stepsOf(report)).toEqual(['inspect-failures done', 'clear-cache skipped', 'rerun-jobs done']);
    expect(await cached(world)).toHaveLength(3);
    expect([await ledgerOf(world), writesAt(world)]).toEqual([[], []]);
    expect(await run(world, 'healActionsCache')).toMatchObject({ outcome: 'nothing-damaged', damaged: [], reran: [] });
  });

  test('removes nothing that is whole by now, and runs the job again once whose log proves that it was not', async () => {
    await using world = await startWorld();
    world.machine.setCache(world.target, [...USED, OLD]);
    const id = failedRun(world, [{ ...damagedBy(world), log: `##[error]${gone(world)}\nPost job cleanup.` }]);
    expect(await run(world, 'healActionsCache')).toMatchObject({
      outcome: 'healed',
      removed: { entries: 0, damage: [{ state: 'whole' }] },
      reran: [{ run: id, outcome: 're-run', detail: 'for time 1 of 1' }],
    });
    expect([await cached(world), await ledgerOf(world)]).toMatchObject([{ length: 3 }, []]);
    await failAgain(world, id);
    expect(await run(world, 'healActionsCache')).toMatchObject({ reran: [{ run: id, attempt: 2, outcome: 'given-up' }] });
    expect([world.github.run(id).accepted.rerunFailed, rerunsAsked(world)]).toEqual([1, 1]);
  });

  test('leaves alone what others are to blame for', async () => {
    await using world = await startWorld();
    const { github, target } = world;
    github.addRunner(target.scope, { name: 'neighbour' });
    const own = gone(world).replace('_work/_actions/actions/checkout/v4', '_work/app/app/.github/actions/build');
    failedRun(world, [{ annotations: [failure(own)] }]);
    failedRun(world, [{ runner: 'GitHub Actions 12', ...damagedBy(world) }]);
    failedRun(world, [{ runner: 'neighbour', ...damagedBy(world) }]);
    failedRun(world, [
      {
        log: `##[group]Run cat old.log\n##[error]${gone(world)}\n##[error]${SCRIPT_FAILED}\nPost job cleanup.`,
        annotations: [failure(gone(world)), failure(SCRIPT_FAILED)],
      },
    ]);
    failedRun(world, [{ log: gone(world), annotations: [] }]);
    world.github.addAction('actions/cache', 'v4', ['action.yml', 'save/action.yml']);
    failedRun(world, [damagedBy(world, 'actions/cache/v4/saev')]);
    const before = await cached(world);
    const report = await run(world, 'healActionsCache');
    expect(report).toMatchObject({ outcome: 'nothing-damaged', damaged: [], reran: [], removed: { entries: 0 } });
    expect(await cached(world)).toEqual(before);
    expect([await ledgerOf(world), writesAt(world)]).toEqual([[], []]);
  });

  test('finds the damage in the twelfth newest of the failed runs, three hundred lines into its log', async () => {
    await using world = await startWorld();
    const lines = Array.from({ length: 300 }, (_, n) => `make: line ${n}`);
    const log = ['##[group]Run make', ...lines, '##[endgroup]', `##[error]${gone(world)}`, 'Post job cleanup.', ...lines].join('\n');
    const id = failedRun(world, [{ log }], { agoMs: 3_600_000 });
    for (let younger = 1; younger <= 11; younger += 1) {
      failedRun(world, [{ annotations: [failure(SCRIPT_FAILED)] }], { agoMs: younger * 1_000 });
    }
    const report = await run(world, 'healActionsCache');
    expect(report).toMatchObject({
      outcome: 'healed',
      damaged: [{ run: id, jobs: [{ path: 'actions/checkout/v4' }] }],
      reran: [{ run: id, outcome: 're-run' }],
    });
    expect(rerunsAsked(world)).toBe(1);
  });

  test('of what the guest alone shows runs nothing again', async () => {
    await using world = await startWorld();
    world.machine.setCache(world.target, [...USED, { ...OLD, damage: DAMAGE }]);
    expect((await look(world)).cache?.damaged).toBe(1);
    const report = await run(world, 'healActionsCache');
    expect(report).toMatchObject({ outcome: 'healed', damaged: [], reran: [] });
    expect((await look(world)).cache).toMatchObject({ damaged: 0 });
    expect(writesAt(world)).toEqual([]);
  });

  test('runs the one job again that the cache let fail, and none that failed otherwise', async () => {
    await using world = await startBroken();
    const id = failedRun(world, [
      { name: 'lint', annotations: [failure(SCRIPT_FAILED)] },
      { name: 'build', ...damagedBy(world) },
    ]);
    expect(await run(world, 'healActionsCache')).toMatchObject({ outcome: 'healed', reran: [{ run: id, outcome: 're-run' }] });
    expect(world.github.run(id)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 0, rerunJob: 1 } });
    expect(rerunsAsked(world)).toBe(1);
  });

  test('of a run that two caches let fail clears its own, and the last one runs it again', async () => {
    await using world = await startBroken({ runners: 2 });
    const [one, other] = world.targets as [RunnerTarget, RunnerTarget];
    const id = failedRun(world, [damagedBy(world), { runner: other.runner, ...damagedBy(world) }]);
    const heal = ({ runner }: RunnerTarget) => run(world, 'healActionsCache', { runner: `${one.scope}/${runner}` });
    const names = async (target: RunnerTarget): Promise<readonly string[]> => {
      const { found } = await world.machine.listCache(target, { kind: 'all' }, CALL);
      return found.map(({ path }) => path);
    };

    expect(await heal(one)).toMatchObject({
      outcome: 'healed',
      damaged: [{ runner: one.runner, run: id, otherJobs: 0 }],
      reran: [{ run: id, outcome: 'left', detail: expect.stringContaining(`the cache of ${other.runner} let it fail as well`) }],
    });
    expect([await names(one), await names(other)]).toEqual([['actions/setup-go/v5'], ['actions/checkout/v4', 'actions/setup-go/v5']]);
    expect(await heal(one)).toMatchObject({ outcome: 'nothing-damaged', damaged: [] });
    expect(rerunsAsked(world)).toBe(0);

    expect(await heal(other)).toMatchObject({
      outcome: 'healed',
      damaged: [{ runner: other.runner, run: id }],
      reran: [{ run: id, outcome: 're-run' }],
    });
    expect(await names(other)).toEqual(['actions/setup-go/v5']);
    expect(world.github.run(id)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 1, rerunJob: 0 } });
    expect(rerunsAsked(world)).toBe(1);
  });

  test('of a run that two caches let fail, by both at once, runs it again once', async () => {
    await using world = await startBroken({ runners: 2 });
    const [one, other] = world.targets as [RunnerTarget, RunnerTarget];
    const id = failedRun(world, [damagedBy(world), { runner: other.runner, ...damagedBy(world) }]);
    const heal = ({ runner }: RunnerTarget) => run(world, 'healActionsCache', { runner: `${one.scope}/${runner}` });
    const reports = await Promise.all([heal(one), heal(other)]);
    expect(reports).toMatchObject([{ outcome: 'healed' }, { outcome: 'healed' }]);
    // Where one has overwritten what the other has settled, it is healed once more.
    if (rerunsAsked(world) === 0) {
      await heal(one);
      await heal(other);
    }
    expect(world.github.run(id)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 1, rerunJob: 0 } });
    expect(rerunsAsked(world)).toBe(1);
  });

  test('runs it again once where the answer of GitHub is lost', async () => {
    await using world = await startBroken();
    const id = failedRun(world, [damagedBy(world)]);
    world.github.misbehave({ match: { method: 'POST', path: '/rerun-failed-jobs' }, fault: { kind: 'lost' }, times: 1 });
    const report = await run(world, 'healActionsCache');
    expect(report).toMatchObject({ outcome: 'healed', reran: [{ run: id, outcome: 're-run' }] });
    expect(world.github.run(id)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 1 }, refused: 0 });
    expect(rerunsAsked(world)).toBe(1);
  });

  test('tells where GitHub does not answer for too long, and asks it no second time', async () => {
    const { failures } = DEFAULT_UPKEEP_POLICY;
    const rerun = { ...failures.limits.rerun, scheduleToClose: '1s', retryInitial: '100ms' } as const;
    const upkeep = { ...DEFAULT_UPKEEP_POLICY, failures: { ...failures, doubtMs: 10, limits: { ...failures.limits, rerun } } };
    await using world = await startBroken({ policy: { upkeep } });
    const id = failedRun(world, [damagedBy(world)]);
    world.github.misbehave({ match: { method: 'POST', path: '/rerun-failed-jobs' }, fault: { kind: 'page', status: 502 } });
    expect(await run(world, 'healActionsCache')).toMatchObject({
      outcome: 'not-re-run',
      summary: expect.stringMatching(/was not re-run: .*(?:502|did not end in time)/),
      reran: [{ run: id, outcome: 'refused' }],
    });
    const asked = rerunsAsked(world);
    expect(await run(world, 'healActionsCache')).toMatchObject({ outcome: 'nothing-damaged' });
    expect([rerunsAsked(world), world.github.run(id).attempt]).toEqual([asked, 1]);
  });

  test('tells where GitHub refuses', async () => {
    await using world = await startBroken();
    const id = failedRun(world, [damagedBy(world)]);
    const body = { message: 'Resource not accessible by personal access token' };
    world.github.misbehave({ match: { method: 'POST', path: '/rerun-failed-jobs' }, status: 403, body });
    const report = await run(world, 'healActionsCache');
    expect(report).toMatchObject({
      outcome: 'not-re-run',
      summary: expect.stringMatching(new RegExp(`run ${id} was not re-run: .*actions=write`)),
      removed: { names: ['actions/checkout/v4'] },
      reran: [{ run: id, outcome: 'refused' }],
    });
    expect(stepsOf(report)).toContain('rerun-jobs failed');
    expect(rerunsAsked(world)).toBe(1);
    expect((await world.client.workflow.getHandle(rerunId(world.target.scope, id, 1)).describe()).memo).toEqual({ attempt: 1 });
  });
});
