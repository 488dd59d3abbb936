// Runs whose cancellation GitHub accepts and that do not end, on a real Temporal server, against the make-believe GitHub.

import { expect, test } from 'vitest';
import { MAIN_QUEUE, parkedId, queueLedgerId, queueLockId, PARKED_QUERY, RELEASE_SIGNAL } from '../../src/domain/names.ts';
import type { QueueMemory } from '../../src/domain/queue/memory.ts';
import type { ParkedRun } from '../../src/domain/queue/parked.ts';
import type { QueuePolicy } from '../../src/domain/queue/policy.ts';
import type { QueueReport, ToldAct } from '../../src/domain/queue/report.ts';
import { QUICK_QUEUE, startQueueWorld, type World } from '../kit/recovery-world.ts';
import { scheduledPass } from '../kit/scheduled-pass.ts';

const HOUR = 3_600_000;
/** It is forced and given up at once, as GitHub's clock tells whole seconds. */
const HASTY = { ...QUICK_QUEUE.following, forceAfterMs: 1_000, giveUpAfterMs: 1_000 };
/** Nobody forces it nor gives it up within a test. */
const PATIENT = { ...QUICK_QUEUE.following, forceAfterMs: 120_000, giveUpAfterMs: 120_000 };

type RunOptions = Parameters<World['github']['queueRun']>[1];

test.concurrent('a run that never ends holds no lock: other passes act on other runs, and leave it alone', async () => {
  await using world = await aWorld({ following: PATIENT });
  const [deaf, old] = [stale(world, { zombie: 'deaf' }), stale(world)];
  const first = await world.maintain();
  await world.until(() => cancels(world, deaf, old) === 2, 'both are cancelled');
  await lockIsFree(world);
  expect((await first.describe()).status.name).toBe('RUNNING');
  const other = stale(world);
  const second = await care(world);
  expect(second).toMatchObject({ outcome: 'done', counts: { cancelled: 1 }, queue: { queued: 0, stale: 0 } });
  expect(actOn(second, other)).toMatchObject({ end: 'cancelled' });
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do', queue: { queued: 0 } });
  expect(world.github.run(deaf).accepted).toMatchObject({ cancel: 1, forceCancel: 0 });
});

test.concurrent('a run that never ends is set aside once it is given up, and for longer the next time', async () => {
  await using world = await aWorld({ following: HASTY });
  const deaf = stale(world, { zombie: 'deaf' });
  const report = await care(world);
  expect(actOn(report, deaf)).toMatchObject({ end: 'not-over', detail: expect.stringContaining('still queued') });
  expect(report).toMatchObject({ outcome: 'partly', queue: { queued: 0, setAside: 1 } });
  const [aside] = (await memoryOf(world)).setAside;
  expect(aside).toMatchObject({ run: deaf, attempt: 1, tries: 1 });
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do', queue: { queued: 0, setAside: 1 } });
  expect(world.github.run(deaf).accepted).toMatchObject({ cancel: 1, forceCancel: 1 });
  world.github.advance(HOUR);
  await care(world);
  const [again] = (await memoryOf(world)).setAside;
  expect(again).toMatchObject({ run: deaf, tries: 2 });
  expect(again!.retryAt - aside!.retryAt).toBeGreaterThanOrEqual(2 * HOUR - 60_000);
  expect(world.github.run(deaf).accepted).toMatchObject({ cancel: 2, forceCancel: 2 });
});

test.concurrent('a scheduled pass tells what is over, and what is on its way, and does not wait for it', async () => {
  await using world = await aWorld({ following: { ...PATIENT, tellAfterMs: 500 } });
  const [deaf, old] = [stale(world, { zombie: 'deaf' }), stale(world)];
  const report = await scheduled(world);
  expect(report).toMatchObject({ outcome: 'done', counts: { accepted: 1, cancelled: 1 }, queue: { queued: 0, stale: 0 } });
  expect(actOn(report, deaf)).toMatchObject({ end: 'accepted' });
  expect(actOn(report, old)).toMatchObject({ end: 'cancelled' });
  expect(await scheduled(world)).toMatchObject({ outcome: 'nothing-to-do' });
  expect(world.github.run(deaf).accepted).toMatchObject({ cancel: 1 });
});

test.concurrent('following goes on where the pass is terminated or cancelled, and what it finds is remembered', async () => {
  await using world = await aWorld({ following: HASTY });
  for (const end of ['terminate', 'cancel'] as const) {
    const deaf = stale(world, { zombie: 'deaf' });
    const pass = await world.maintain();
    await world.until(async () => (await memoryOf(world)).ending?.some(({ run }) => run === deaf) === true, 'it is remembered');
    await lockIsFree(world);
    await pass[end]();
    await expect(pass.result()).rejects.toThrow(/terminated|cancelled/);
    await world.until(async () => (await memoryOf(world)).setAside.some(({ run }) => run === deaf), `it is set aside after ${end}`);
    expect((await memoryOf(world)).ending ?? []).toEqual([]);
    expect(world.github.run(deaf).accepted).toMatchObject({ cancel: 1, forceCancel: 1 });
  }
});

test.concurrent('where what follows is terminated, nothing is blocked, and the run is taken up once its time is over', async () => {
  await using world = await aWorld({ following: { ...QUICK_QUEUE.following, forceAfterMs: 60_000, marginMs: 1_000 } });
  const deaf = stale(world, { zombie: 'deaf' });
  const pass = await world.maintain();
  const follower = world.client.workflow.getHandle(`${pass.workflowId}/following`);
  await world.until(() => cancels(world, deaf) === 1, 'it is cancelled');
  await lockIsFree(world);
  await follower.terminate('what is this?');
  const report = await pass.result();
  expect(actOn(report, deaf)).toMatchObject({ end: 'accepted' });
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do' });
  world.github.advance(120_000);
  const next = await world.maintain();
  await world.until(() => cancels(world, deaf) === 2, 'it is taken up');
  await next.terminate();
});

test.concurrent('a pass that is terminated while it acts leaves what it has done to the next one', async () => {
  await using world = await aWorld({ following: PATIENT });
  const runs = [stale(world), stale(world, { cancelTakesMs: 1_000 }), stale(world)];
  world.github.misbehave({ match: { method: 'POST', path: `/runs/${runs[2]}/cancel` }, delayMs: 2_000, times: 1 });
  const pass = await world.maintain();
  await world.until(() => cancels(world, ...runs.slice(0, 2)) === 2, 'two are cancelled');
  await pass.terminate();
  await lockIsFree(world);
  await world.until(() => world.github.run(runs[2]!).status === 'completed', 'what was sent is heard');
  world.github.advance(2_000);
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do' });
  expect(runs.map((run) => world.github.run(run).accepted.cancel)).toEqual([1, 1, 1]);
});

test.concurrent('what made way and does not end at once is remembered as parked, and is re-run once', async () => {
  await using world = await aWorld({ following: { ...PATIENT, tellAfterMs: 300 } });
  const { push, pulls } = parkable(world);
  const report = await scheduled(world);
  expect(actOn(report, push)).toMatchObject({ end: 'accepted', rule: 'prioritizePullRequests' });
  for (const pull of pulls) {
    world.github.completeRun(pull, 'success');
  }
  // It is not over yet, so it can't be re-run.
  expect(await care(world)).toMatchObject({ queue: { parked: 1 } });
  world.github.advance(61_000);
  const keeper = world.client.workflow.getHandle(parkedId(world.target.scope));
  await world.until(
    async () => (await keeper.query<readonly ParkedRun[]>(PARKED_QUERY)).every(({ isCancelled }) => isCancelled),
    'it is seen to be over',
  );
  expect(actOn(await care(world), push)).toMatchObject({ end: 're-run' });
  expect(world.github.run(push)).toMatchObject({ status: 'queued', attempt: 2, accepted: { cancel: 1, rerun: 1 } });
});

test.concurrent('what made way comes back although a job that always runs ends it as failed before anybody looks', async () => {
  await using world = await aWorld({ following: { ...PATIENT, firstMs: 60_000, longestMs: 60_000, tellAfterMs: 300 } });
  const { push, pulls } = parkable(world);
  expect(actOn(await scheduled(world), push)).toMatchObject({ end: 'accepted' });
  const keeper = world.client.workflow.getHandle(parkedId(world.target.scope));
  expect(await keeper.query<readonly ParkedRun[]>(PARKED_QUERY)).toMatchObject([{ run: { id: push }, isCancelled: true }]);
  world.github.completeRun(push, 'failure');
  expect(await care(world)).toMatchObject({ acts: [], queue: { parked: 1 } });
  for (const pull of pulls) {
    world.github.completeRun(pull, 'success');
  }
  expect(actOn(await care(world), push)).toMatchObject({ end: 're-run' });
  expect(world.github.run(push)).toMatchObject({ attempt: 2, accepted: { cancel: 1, rerun: 1 } });
});

test.concurrent('what made way and never ends is forgotten as parked once it is given up', async () => {
  await using world = await aWorld({ following: HASTY });
  const { push } = parkable(world, { zombie: 'deaf', cancelTakesMs: 0 });
  expect(actOn(await care(world), push)).toMatchObject({ end: 'not-over' });
  expect(await care(world)).toMatchObject({ queue: { parked: 0, setAside: 1 } });
});

test.concurrent('a cancellation that nobody answered is cleared up under the lock, and sent once more where it was not heard', async () => {
  await using world = await aWorld({ following: PATIENT });
  const old = stale(world);
  world.github.misbehave({ match: { method: 'POST', path: '/cancel' }, fault: { kind: 'cut' }, times: 1 });
  const report = await care(world);
  expect(actOn(report, old)).toMatchObject({ end: 'cancelled' });
  expect(world.github.run(old).accepted.cancel).toBe(1);
});

test.concurrent('what follows waits for whoever has the queue, and writes then what it found', async () => {
  await using world = await aWorld();
  const deaf = stale(world, { zombie: 'deaf' });
  const first = await world.maintain();
  await world.until(() => cancels(world, deaf) === 1, 'it is cancelled');
  await lockIsFree(world);
  // Another pass has the lock for longer than the first one follows.
  for (let count = 0; count < 6; count += 1) {
    stale(world);
  }
  world.github.misbehave({ match: { method: 'POST', path: /\/cancel$/ }, delayMs: 1_500 });
  const second = await world.maintain();
  await world.until(() => world.github.run(deaf).accepted.forceCancel === 1, 'it is forced');
  expect((await second.describe()).status.name).toBe('RUNNING');
  expect(await second.result()).toMatchObject({ counts: { cancelled: 6 } });
  expect(actOn(await first.result(), deaf)).toMatchObject({ end: 'not-over' });
  const memory = await memoryOf(world);
  expect(memory).toMatchObject({ setAside: [{ run: deaf }] });
  expect((memory.ending ?? []).map(({ run }) => run)).not.toContain(deaf);
});

test.concurrent.each([
  { type: 'followRuns', outcome: 'done' },
  { type: 'maintainQueue', outcome: 'refused-in-progress' },
])('a pass that finds the queue locked by $type ends as $outcome', async ({ type, outcome }) => {
  await using world = await aWorld();
  stale(world);
  const { client, target } = world;
  const holder = await client.workflow.start('holdQueue', { workflowId: `holder-${target.scope}`, taskQueue: MAIN_QUEUE, args: [] });
  const lock = await client.workflow.start('holdQueue', {
    workflowId: queueLockId(target.scope),
    taskQueue: MAIN_QUEUE,
    args: [],
    memo: { holder: { workflowId: holder.workflowId, runId: holder.firstExecutionRunId, type, reason: null, since: '' } },
  });
  const pass = await world.maintain();
  const asked = (): Promise<boolean> => pass.fetchHistory().then(({ events }) => JSON.stringify(events).includes('"inspectLock"'));
  await world.until(asked, 'it asks who has the lock');
  await lock.signal(RELEASE_SIGNAL);
  expect(await pass.result()).toMatchObject({ outcome });
  await holder.terminate();
});

function aWorld(queue: Partial<QueuePolicy> = {}): Promise<World> {
  return startQueueWorld({ queue });
}

let branches = 0;

function stale(world: World, options: Partial<RunOptions> = {}): number {
  const jobs = [{ labels: ['self-hosted', 'gpu'] }];
  return world.github.queueRun(world.target.scope, { jobs, agoMs: 5 * HOUR, branch: `b${(branches += 1)}`, ...options });
}

/** A push that takes a minute to end once it is cancelled, and pull requests that it makes way for. */
function parkable(world: World, options: Partial<RunOptions> = {}): { readonly push: number; readonly pulls: readonly number[] } {
  const jobs = [{ labels: ['self-hosted', ...world.target.labels] }];
  const pulls = Array.from({ length: 6 }, (_, index) =>
    stale(world, { event: 'pull_request', branch: `p${index}`, pullRequests: [index + 1], agoMs: 60_000, jobs }),
  );
  return { push: stale(world, { agoMs: 30_000, branch: 'topic', jobs, cancelTakesMs: 60_000, ...options }), pulls };
}

async function care(world: World, input: object = {}): Promise<QueueReport> {
  return (await world.maintain({ scope: world.target.scope, ...input })).result();
}

async function scheduled(world: World): Promise<QueueReport> {
  return scheduledPass<QueueReport>(world.client, world.target.scope, 'queue');
}

function cancels(world: World, ...runs: readonly number[]): number {
  return runs.reduce((sum, run) => sum + world.github.run(run).accepted.cancel, 0);
}

async function lockIsFree(world: World): Promise<void> {
  await world.until(
    async () => (await world.client.workflow.getHandle(queueLockId(world.target.scope)).describe()).status.name !== 'RUNNING',
    'the lock is free',
  );
}

async function memoryOf(world: World): Promise<QueueMemory> {
  const described = await world.client.workflow
    .getHandle(queueLedgerId(world.target.scope))
    .describe()
    .catch(() => null);
  return (described?.memo?.['memory'] as QueueMemory | undefined) ?? { setAside: [], reruns: [] };
}

function actOn(report: QueueReport, run: number): ToldAct | undefined {
  return report.acts.find((act) => act.run === run);
}
