// Queue care on a real Temporal server, against the make-believe GitHub.

import { describe, expect, test } from 'vitest';
import type { Alert } from '../../src/domain/alert.ts';
import { MAIN_QUEUE, queueLockId } from '../../src/domain/names.ts';
import type { QueueList } from '../../src/domain/queue/list.ts';
import type { QueueReport, ToldAct } from '../../src/domain/queue/report.ts';
import { scheduledPass } from '../kit/scheduled-pass.ts';
import { QUICK_QUEUE, startQueueWorld, type World } from '../kit/recovery-world.ts';

const HOUR = 3_600_000;
/** Its runner is busy, so it waits. */
const JOB = { labels: ['self-hosted', 'gpu'] };

type RunOptions = Parameters<World['github']['queueRun']>[1];

test.concurrent('a stale run is cancelled, and one that waits for less is not', async () => {
  await using world = await startQueueWorld();
  const [old, young] = [queue(world, { agoMs: 5 * HOUR }), queue(world, { agoMs: 3 * HOUR, event: 'workflow_dispatch' })];
  const report = await care(world);
  expect(report).toMatchObject({ outcome: 'done', counts: { cancelled: 1 }, queue: { queued: 1, stale: 0 } });
  expect(actOn(report, old)).toMatchObject({ rule: 'stale', end: 'cancelled', evidence: expect.stringContaining('queued for 5 h') });
  expect(world.github.run(old)).toMatchObject({ status: 'completed', conclusion: 'cancelled', accepted: { cancel: 1 } });
  expect(world.github.run(young)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
});

test.concurrent('a plan shows what would be done, and writes nothing', async () => {
  await using world = await startQueueWorld();
  const old = queue(world, { agoMs: 5 * HOUR });
  const before = world.github.requests.length;
  const report = await care(world, { dryRun: true });
  expect(report).toMatchObject({ outcome: 'planned', dryRun: true, planned: 1, counts: { 'would-cancel': 1 } });
  expect(actOn(report, old)).toMatchObject({ end: 'would-cancel' });
  expect(world.github.requests.slice(before).filter(({ method, path }) => method !== 'GET' && path.includes('/actions/'))).toEqual([]);
});

describe.concurrent('a list', () => {
  test('tells each run with what would be done, by the jobs that a plan has read, and costs nothing of the hour where nothing has changed', async () => {
    await using world = await startQueueWorld();
    const old = queue(world, { agoMs: 5 * HOUR, branch: 'old' });
    const young = queue(world, { agoMs: HOUR, branch: 'young' });
    await care(world, { dryRun: true });
    const asked = askedSince(world);
    const told = await list(world);
    expect(told).toMatchObject({
      outcome: 'listed',
      queued: 2,
      areAll: true,
      runs: [
        { run: old, outlook: { action: 'cancel', code: 'stale', inMaintenance: 1 } },
        { run: young, jobs: [{ labels: ['gpu', 'self-hosted'], count: 1 }], outlook: { code: 'stale', inMaintenance: null } },
      ],
    });
    // No rule has asked for the jobs of the young one.
    expect(asked()).toEqual(['GET runs 304', 'GET runners 304', 'GET jobs 200']);
    const askedAgain = askedSince(world);
    expect(await list(world)).toMatchObject({ queued: 2 });
    expect(askedAgain()).toEqual(['GET runs 304', 'GET runners 304']);
    expect(world.github.run(old)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
  });

  test('reads the jobs of no more runs than it tells, the oldest first', async () => {
    await using world = await startQueueWorld();
    const [oldest] = [3, 2, 1].map((hours) => queue(world, { agoMs: hours * HOUR, branch: `b-${hours}` }));
    const asked = askedSince(world);
    expect(await list(world, { max: 1 })).toMatchObject({ queued: 3, runs: [{ run: oldest }] });
    expect(asked().filter((line) => line.includes('jobs'))).toHaveLength(1);
  });

  test('tells what is remembered: runs that are quarantined, and runs that are parked', async () => {
    await using world = await startQueueWorld();
    const job = { labels: ['self-hosted', ...world.target.labels] };
    for (let number = 1; number <= 6; number += 1) {
      queue(world, { event: 'pull_request', branch: `p${number}`, pullRequests: [number], jobs: [job] });
    }
    const push = queue(world, { event: 'push', branch: 'main', jobs: [job] });
    const refusing = queue(world, { agoMs: 9 * HOUR, zombie: 'not-queued' });
    expect(await list(world)).toMatchObject({
      parked: [],
      runs: expect.arrayContaining([
        expect.objectContaining({
          run: push,
          outlook: expect.objectContaining({ action: 'park', code: 'prioritizePullRequests', pullRequests: 6 }),
        }),
      ]),
    });
    await care(world);
    const { runs, parked } = await list(world);
    expect(parked).toMatchObject([{ run: { id: push }, isCancelled: true }]);
    expect(runs[0]).toMatchObject({ run: refusing, outlook: { action: 'none', code: 'quarantined', at: expect.any(String) } });
    expect(runs).toHaveLength(7);
  });

  test('knows of configured runners alone where GitHub does not list them', async () => {
    await using world = await startQueueWorld();
    queue(world, {});
    world.github.misbehave({ match: { path: '/actions/runners' }, status: 403 });
    expect(await list(world)).toMatchObject({
      areAll: false,
      runners: [{ name: world.target.runner, state: 'unknown', isOurs: true }],
      notes: [expect.stringContaining("the scope's runners are not known")],
    });
  });

  test('refuses bad input', async () => {
    await using world = await startQueueWorld();
    await expect(list(world, { max: 0 })).rejects.toMatchObject({ cause: { message: expect.stringContaining('max must be') } });
  });
});

test.concurrent('the second pass has nothing to do', async () => {
  await using world = await startQueueWorld();
  queue(world, { agoMs: 5 * HOUR });
  await care(world);
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do', acts: [], queue: { queued: 0 } });
});

describe.concurrent('a night without a runner ends nothing', () => {
  test('and what comes after it counts as before', async () => {
    await using world = await startQueueWorld();
    const { github, target } = world;
    const pass = (): Promise<QueueReport> => scheduledCare(world);
    const old = queue(world, { agoMs: 2.5 * HOUR });
    await pass();
    github.showRunner(target.scope, 'gpu-1', { status: 'offline', busy: false });
    expect(await pass()).toMatchObject({ outcome: 'nothing-to-do', aging: null });
    github.advance(9 * HOUR);
    expect(await pass()).toMatchObject({ outcome: 'nothing-to-do' });
    github.showRunner(target.scope, 'gpu-1', { status: 'online', busy: true });
    expect(await pass()).toMatchObject({ outcome: 'nothing-to-do', notes: [], aging: null });
    github.advance(HOUR);
    expect(await pass()).toMatchObject({
      outcome: 'nothing-to-do',
      aging: { runs: 1 },
      notes: [expect.stringMatching(/^1 run will be ended as stale at /)],
    });
    github.advance(HOUR);
    const evidence = expect.stringContaining('9 h of it while no runner for it was online');
    expect(actOn(await pass(), old)).toMatchObject({ rule: 'stale', evidence });
  });

  test('nor one in which nobody looked, whoever looks first', async () => {
    await using world = await startQueueWorld();
    const { github, target } = world;
    const pass = (): Promise<QueueReport> => scheduledCare(world);
    await pass();
    queue(world, {});
    github.advance(9 * HOUR);
    // The computer wakes up, and its runner a moment after it.
    github.showRunner(target.scope, 'gpu-1', { status: 'offline', busy: false });
    expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do' });
    expect(await pass()).toMatchObject({ outcome: 'nothing-to-do' });
    github.showRunner(target.scope, 'gpu-1', { status: 'online', busy: true });
    expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do' });
    expect(await pass()).toMatchObject({ outcome: 'nothing-to-do', queue: { queued: 1 } });
  });
});

test.concurrent('what a person still wants is not ended: tags, releases, the default branch, a re-run', async () => {
  await using world = await startQueueWorld();
  const { github, target } = world;
  github.addTag(target.scope, 'v1');
  const agoMs = 5 * HOUR;
  const kept = [
    queue(world, { agoMs, branch: 'v1' }),
    queue(world, { agoMs, branch: 'main' }),
    queue(world, { agoMs, branch: 'release/1.x' }),
    queue(world, { agoMs, event: 'release', branch: 'v1' }),
    queue(world, { agoMs, event: 'deployment' }),
    queue(world, { agoMs, attempt: 2, startedAgoMs: 60_000, event: 'workflow_dispatch' }),
  ];
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do', queue: { queued: kept.length } });
});

test.concurrent('the newest of a branch survives; a tag, and what another fork calls the same, are left alone', async () => {
  await using world = await startQueueWorld();
  world.github.addTag(world.target.scope, 'nightly');
  const push = { event: 'push', branch: 'topic' };
  const [oldest, older, newest] = [3, 2, 1].map((minutes) => queue(world, { ...push, agoMs: minutes * 60_000 }));
  const tags = [2, 1].map((minutes) => queue(world, { event: 'push', branch: 'nightly', agoMs: minutes * 60_000 }));
  const forks = ['ada/kernel', 'bob/kernel'].map((fork) =>
    queue(world, { event: 'pull_request', branch: 'topic', headRepository: fork, agoMs: 60_000 }),
  );
  const report = await care(world);
  expect(report.counts).toEqual({ cancelled: 2 });
  expect([oldest, older].map((run) => actOn(report, run!)?.evidence)).toEqual([
    expect.stringContaining(`run ${newest} `),
    expect.stringContaining(`run ${newest} `),
  ]);
  for (const run of [newest!, ...tags, ...forks]) {
    expect(world.github.run(run)).toMatchObject({ status: 'queued' });
  }
});

test.concurrent('pushes make way for pull requests, and come back when the pressure is gone', async () => {
  await using world = await startQueueWorld();
  const job = { labels: ['self-hosted', ...world.target.labels] };
  const pulls = Array.from({ length: 6 }, (_, index) =>
    queue(world, { event: 'pull_request', branch: `p${index}`, pullRequests: [index + 1], agoMs: 60_000, jobs: [job] }),
  );
  const push = queue(world, { event: 'push', branch: 'main', agoMs: 30_000, jobs: [job] });
  const parked = await care(world);
  expect(actOn(parked, push)).toMatchObject({
    rule: 'prioritizePullRequests',
    end: 'parked',
    evidence: expect.stringContaining('pull requests go first'),
  });
  expect(parked.queue).toMatchObject({ parked: 1 });
  expect(world.github.run(push)).toMatchObject({ status: 'completed', conclusion: 'cancelled' });

  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do', queue: { parked: 1 } });
  for (const run of pulls.slice(0, 3)) {
    world.github.completeRun(run, 'success');
  }
  const back = await care(world);
  expect(actOn(back, push)).toMatchObject({ end: 're-run' });
  expect(back.queue).toMatchObject({ parked: 0 });
  expect(world.github.run(push)).toMatchObject({ status: 'queued', attempt: 2, accepted: { rerun: 1 } });
});

test.concurrent('zombies are set aside, do not count, and end nothing', async () => {
  await using world = await startQueueWorld();
  const refusing = queue(world, { agoMs: 9 * HOUR, zombie: 'not-queued' });
  const failing = queue(world, { agoMs: 8 * HOUR, zombie: 'failing' });
  const empty = queue(world, { agoMs: 7 * HOUR, jobs: [] });
  const old = queue(world, { agoMs: 5 * HOUR });
  const report = await care(world);
  expect(report.counts).toEqual({ 'set-aside': 2, cancelled: 1 });
  expect(actOn(report, refusing)?.detail).toContain('has not been queued yet');
  expect(world.github.run(old)).toMatchObject({ conclusion: 'cancelled' });
  const next = await care(world);
  expect(next).toMatchObject({ outcome: 'nothing-to-do', queue: { queued: 0, setAside: 3, stale: 0 } });
  expect([refusing, failing, empty].map((run) => world.github.run(run).refused)).toEqual([1, 1, 0]);
});

test.concurrent('a run that does not react is forced, and told', async () => {
  await using world = await startQueueWorld();
  const stubborn = queue(world, { agoMs: 5 * HOUR, cancelTakesMs: Infinity });
  const report = await care(world);
  expect(actOn(report, stubborn)).toMatchObject({ end: 'cancelled', detail: 'cancelled, forced' });
  expect(world.github.run(stubborn)).toMatchObject({ accepted: { cancel: 1, forceCancel: 1 } });
});

test.concurrent('a run that GitHub fails at once, a while after it was cancelled, is followed on', async () => {
  await using world = await startQueueWorld({ queue: { following: { ...QUICK_QUEUE.following, giveUpAfterMs: 600 } } });
  const old = queue(world, { agoMs: 5 * HOUR });
  const looks = { from: { method: 'POST', path: '/cancel' }, match: { method: 'GET', path: new RegExp(`/runs/${old}/jobs$`) }, times: 1 };
  world.github.misbehave({ ...looks, fault: { kind: 'secondary-limit', lastsMs: 1_000, namesEnd: true } });
  world.github.misbehave({ ...looks, status: 502 });
  const report = await care(world);
  expect(actOn(report, old)).toMatchObject({ end: 'cancelled' });
  expect(world.github.requests.filter(({ status }) => status === 403 || status === 502)).toHaveLength(2);
});

test.concurrent('a run that begins between plan and act is spared', async () => {
  await using world = await startQueueWorld();
  const old = queue(world, { agoMs: 5 * HOUR, jobs: [JOB, JOB] });
  const [job] = world.github.run(old).jobs;
  world.github.misbehave({ match: { path: `/runs/${old}/jobs` }, delayMs: 1_000, times: 1 });
  const handle = await world.maintain({ scope: world.target.scope });
  // The plan has read that nothing has started; the act reads once more.
  await world.until(
    () => world.github.requests.filter(({ path }) => path.includes(`/runs/${old}/jobs`)).length === 1,
    'the plan has read its jobs',
  );
  world.github.startJob(job!.id);
  const report = await handle.result();
  expect(actOn(report, old)).toMatchObject({ end: 'spared', detail: expect.stringContaining('started') });
  expect(world.github.run(old)).toMatchObject({ accepted: { cancel: 0 } });
});

test.concurrent('a token that may not cancel is told once', async () => {
  await using world = await startQueueWorld({
    token: { permissions: { administration: 'write', actions: 'read', contents: 'read' } },
  });
  const runs = Array.from({ length: 6 }, (_, index) => queue(world, { agoMs: (5 + index) * HOUR }));
  const report = await care(world);
  expect(report).toMatchObject({ outcome: 'partly', counts: { refused: 6 }, refusals: [{ status: 403, count: 6 }] });
  expect(report.refusals[0]?.why).toContain('actions=write');
  // After three in a row nothing more is sent.
  expect(runs.reduce((sum, run) => sum + world.github.run(run).refused, 0)).toBeLessThanOrEqual(3);
});

test.concurrent('a pass does no more than it may', async () => {
  await using world = await startQueueWorld({ queue: { maxPerPass: 2 } });
  for (const hours of [5, 6, 7]) {
    queue(world, { agoMs: hours * HOUR });
  }
  expect(await care(world)).toMatchObject({ outcome: 'cut', counts: { cancelled: 2 } });
  expect(await care(world)).toMatchObject({ outcome: 'done', counts: { cancelled: 1 } });
});

test.concurrent('whoever only watches writes nothing', async () => {
  await using world = await startQueueWorld({ mode: 'watch' });
  const old = queue(world, { agoMs: 5 * HOUR });
  expect(await care(world)).toMatchObject({ outcome: 'planned', mode: 'watch' });
  expect(world.github.run(old)).toMatchObject({ status: 'queued' });
});

test.concurrent('bad input lists what is allowed', async () => {
  await using world = await startQueueWorld();
  const handle = await world.maintain({ scope: world.target.scope, rules: ['stail'] });
  await expect(handle.result()).rejects.toMatchObject({
    cause: { message: expect.stringContaining('stale, superseded, prioritizePullRequests') },
  });
});

test.concurrent('two at once are one after the other: the second says who has the queue', async () => {
  await using world = await startQueueWorld();
  queue(world, { agoMs: 5 * HOUR });
  world.github.misbehave({ match: { method: 'POST', path: '/cancel' }, delayMs: 2_000 });
  const first = await world.maintain();
  const jobsRead = (): number => world.github.requests.filter(({ path }) => path.includes('/jobs?')).length;
  await world.until(() => jobsRead() >= 2, 'the first has planned, and is about to act');
  const second = await care(world);
  expect(second).toMatchObject({ outcome: 'refused-in-progress', summary: expect.stringContaining(first.workflowId) });
  expect(await first.result()).toMatchObject({ outcome: 'done' });
});

test.concurrent('people are told where a pass may not do all that it would', async () => {
  const alerts: Alert[] = [];
  await using world = await startQueueWorld({ queue: { maxPerPass: 1 }, tell: async (alert) => void alerts.push(alert) });
  for (const hours of [5, 6]) {
    queue(world, { agoMs: hours * HOUR });
  }
  expect(await care(world)).toMatchObject({ outcome: 'cut', isCut: true });
  await world.until(() => alerts.length === 1, 'people are told');
  expect(alerts[0]).toMatchObject({ code: 'queue-limit-hit', subject: world.target.scope, state: 'opened' });
  // A health check says nothing about it, however often it looks.
  expect((await world.pass()).memory.open.map(({ code }) => code)).not.toContain('queue-limit-hit');
});

test.concurrent('a limit in the middle is waited for, and nothing is sent before it is over', async () => {
  await using world = await startQueueWorld();
  const runs = [5, 6, 7].map((hours) => queue(world, { agoMs: hours * HOUR }));
  world.github.misbehave({
    from: { method: 'POST', path: '/cancel' },
    match: { path: '/actions/runs' },
    fault: { kind: 'secondary-limit', lastsMs: 2_000, namesEnd: true },
    times: 1,
  });
  expect(await care(world)).toMatchObject({ outcome: 'done', counts: { cancelled: 3 } });
  expect(runs.map((run) => world.github.run(run).accepted.cancel)).toEqual([1, 1, 1]);
  expect(world.github.requests.filter(({ isLimited }) => isLimited)).toEqual([]);
});

test.concurrent('the queue is cared for while no runner is there', async () => {
  await using world = await startQueueWorld();
  world.github.removeRunner(world.target.scope, world.target.runner);
  const old = queue(world, { agoMs: 5 * HOUR });
  expect(await care(world)).toMatchObject({ outcome: 'done', counts: { cancelled: 1 } });
  expect(world.github.run(old)).toMatchObject({ conclusion: 'cancelled' });
});

test.concurrent('what is cancelled in the middle leaves no lock behind', async () => {
  await using world = await startQueueWorld();
  for (const hours of [5, 6]) {
    queue(world, { agoMs: hours * HOUR });
  }
  world.github.misbehave({ match: { method: 'POST', path: '/cancel' }, delayMs: 2_000 });
  const handle = await world.maintain();
  const acts = world.client.workflow.getHandle(`${handle.workflowId}/acts`);
  const isActing = (): Promise<boolean> =>
    acts.describe().then(
      ({ raw }) => raw.pendingActivities?.length === 1,
      () => false,
    );
  await world.until(isActing, 'it acts');
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow('cancelled');
  await world.until(
    async () => (await world.client.workflow.getHandle(queueLockId(world.target.scope)).describe()).status.name !== 'RUNNING',
    'the lock is free',
  );
  expect((await world.client.workflow.getHandle(`${handle.workflowId}/acts`).describe()).status.name).toBe('CANCELLED');
});

function queue(world: World, options: Partial<RunOptions>): number {
  return world.github.queueRun(world.target.scope, { jobs: [JOB], branch: 'topic', ...options });
}

async function care(world: World, input: object = {}): Promise<QueueReport> {
  return (await world.maintain({ scope: world.target.scope, ...input })).result();
}

/** A schedule's pass that believes nothing of before. */
async function scheduledCare(world: World): Promise<QueueReport> {
  await care(world, { dryRun: true });
  return scheduledPass<QueueReport>(world.client, world.target.scope, 'queue');
}

async function list(world: World, input: object = {}): Promise<QueueList> {
  const { scope } = world.target;
  const handle = await world.client.workflow.start('listQueue', {
    workflowId: `list-${scope}-${Math.random()}`,
    taskQueue: MAIN_QUEUE,
    args: [{ scope, ...input }],
  });
  return (await handle.result()) as QueueList;
}

/** What GitHub is asked from now on, in short. */
function askedSince({ github }: World): () => readonly string[] {
  const before = github.requests.length;
  return () =>
    github.requests.slice(before).map(({ method, path, status }) => `${method} ${path.replace(/\?.*/, '').split('/').at(-1)} ${status}`);
}

function actOn(report: QueueReport, run: number): ToldAct | undefined {
  return report.acts.find((act) => act.run === run);
}
