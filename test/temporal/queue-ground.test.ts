// What a pass over a queue rests on, how often it is read, and what it costs, on a real Temporal server, against the make-believe GitHub.

import { describe, expect, test } from 'vitest';
import { queueLedgerId } from '../../src/domain/names.ts';
import type { QueueMemory } from '../../src/domain/queue/memory.ts';
import type { QueuePolicy } from '../../src/domain/queue/policy.ts';
import type { QueueReport, ToldAct } from '../../src/domain/queue/report.ts';
import { startQueueWorld, type World } from '../kit/recovery-world.ts';
import { scheduledPass } from '../kit/scheduled-pass.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

type RunOptions = Parameters<World['github']['queueRun']>[1];

describe.concurrent('a plan that takes long', () => {
  test('is carried out to its end while pull requests press as before', async () => {
    await using world = await aWorld({ batchSize: 2, groundHoldsMs: 0 });
    press(world);
    const pushes = [1, 2, 3, 4, 5].map(() => push(world));
    const pass = await slowly(world);
    await world.until(() => isCancelled(world, pushes[0]), 'it is at work');
    world.github.advance(11 * MINUTE);
    expect(await pass.result()).toMatchObject({ outcome: 'done', counts: { parked: 5 }, queue: { parked: 5 } });
  });

  test('spares pushes once pull requests press no more', async () => {
    await using world = await aWorld({ batchSize: 2, groundHoldsMs: 0 });
    const relieve = press(world);
    const pushes = [1, 2, 3, 4].map(() => push(world));
    const pass = await slowly(world);
    await world.until(() => isCancelled(world, pushes[0]), 'it is at work');
    relieve();
    const report = await pass.result();
    for (const run of pushes.slice(2)) {
      expect(actOn(report, run)).toMatchObject({ end: 'spared', detail: 'pull requests do not wait for its runners any more' });
      expect(world.github.run(run!)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
    }
    expect(report.queue).toMatchObject({ parked: 2 });
  });

  test('spares pushes if GitHub does not say who waits', async () => {
    await using world = await aWorld({ batchSize: 2, groundHoldsMs: 0 });
    const pulls: number[] = [];
    press(world, pulls);
    const pushes = [1, 2, 3].map(() => push(world));
    const pass = await slowly(world);
    await world.until(() => isCancelled(world, pushes[0]), 'it is at work');
    // They have changed, so their jobs are to be read anew.
    world.github.advance(2_000);
    for (const pull of pulls) {
      world.github.completeRun(pull, 'failure');
      await rerun(world, pull);
    }
    world.github.misbehave({ match: { path: new RegExp(`/runs/(${pulls.join('|')})/jobs`) }, status: 502 });
    const report = await pass.result();
    expect(actOn(report, pushes[2])).toMatchObject({
      end: 'spared',
      detail: 'it is not known whether pull requests still wait for its runners',
    });
  });

  test('goes on, and spares pushes, if the queue can not be read anew', async () => {
    await using world = await aWorld({ batchSize: 2, groundHoldsMs: 0 });
    press(world);
    const pushes = [1, 2, 3].map(() => push(world));
    const pass = await slowly(world);
    await world.until(() => isCancelled(world, pushes[0]), 'it is at work');
    world.github.misbehave({ match: { method: 'GET', path: /\/actions\/runs$/ }, status: 502 });
    const report = await pass.result();
    expect(report).toMatchObject({ counts: { parked: 2, spared: 1 } });
    expect(world.github.run(pushes[2]!)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
  });

  test('ends no stale run once the last runner that could take it is offline', async () => {
    await using world = await aWorld({ batchSize: 1, groundHoldsMs: 0 });
    const runs = [6, 5].map((hours) => queue(world, { agoMs: hours * HOUR, jobs: [{ labels: ['self-hosted', 'gpu'] }] }));
    const pass = await slowly(world);
    await world.until(() => isCancelled(world, runs[0]), 'it is at work');
    world.github.showRunner(world.target.scope, 'gpu-1', { status: 'offline', busy: false });
    expect(actOn(await pass.result(), runs[1])).toMatchObject({ end: 'spared', detail: expect.stringContaining('is online') });
    expect(world.github.run(runs[1]!)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
  });
});

test.concurrent('what a pass sees of a dead runner while it acts is remembered', async () => {
  await using world = await aWorld({ batchSize: 1, groundHoldsMs: 0 });
  const { scope } = world.target;
  const runs = [7, 6, 5].map((hours) => queue(world, { agoMs: hours * HOUR, jobs: [{ labels: ['self-hosted', 'gpu'] }] }));
  world.github.misbehave({ match: { method: 'GET', path: `/runs/${runs[1]}/jobs` }, delayMs: 1_000 });
  const pass = await slowly(world);
  await world.until(() => isCancelled(world, runs[0]), 'it is at work');
  world.github.showRunner(scope, 'gpu-1', { status: 'offline', busy: false });
  const before = looksAtRunners(world);
  await world.until(() => looksAtRunners(world) > before, 'it has seen that nobody is online');
  world.github.advance(2 * MINUTE);
  world.github.showRunner(scope, 'gpu-1', { status: 'online', busy: false });
  await pass.result();
  const { silences = [] } = await memoryOf(world);
  const silence = silences.find(({ labels }) => labels.includes('gpu'));
  expect(silence?.until).toBeGreaterThanOrEqual((silence?.from ?? Infinity) + MINUTE);
});

test.concurrent("a schedule's pass that acts looks anew at runners that an earlier look has shown", async () => {
  await using world = await aWorld();
  queue(world, { agoMs: 5 * HOUR, jobs: [{ labels: ['self-hosted', 'gpu'] }] });
  await scheduledPass<QueueReport>(world.client, world.target.scope, 'queue');
  expect(looksAtRunners(world)).toBe(2);
});

test.concurrent('a push to what becomes the default branch while a plan is carried out is not ended', async () => {
  await using world = await aWorld({ batchSize: 1, groundHoldsMs: 0 });
  const [first, trunk] = [6, 5].map((hours) =>
    queue(world, { agoMs: hours * HOUR, event: 'push', branch: hours === 5 ? 'trunk' : 'topic' }),
  );
  const pass = await slowly(world);
  await world.until(() => isCancelled(world, first), 'it is at work');
  world.github.setDefaultBranch(world.target.scope, 'trunk');
  expect(actOn(await pass.result(), trunk)).toMatchObject({ end: 'spared', detail: 'trunk is protected' });
  expect(world.github.run(trunk!)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
});

test.concurrent('what was read a moment ago is not read anew', async () => {
  await using world = await aWorld({ batchSize: 2 });
  press(world);
  for (let count = 0; count < 5; count += 1) {
    push(world);
  }
  await care(world);
  const asked = world.github.requests.map(({ path }) => path);
  expect(asked.filter((path) => path.includes('status=queued'))).toHaveLength(1);
  expect(asked.filter((path) => path.includes('/actions/runners?'))).toHaveLength(1);
});

test.concurrent('a second plan over a queue that stands still asks nothing for jobs, also not for those that press', async () => {
  await using world = await aWorld();
  press(world);
  push(world);
  queue(world, { agoMs: 5 * HOUR });
  const plan = () => care(world, { dryRun: true });
  const first = await plan();
  const before = world.github.requests.length;
  expect((await plan()).acts).toEqual(first.acts);
  const asked = world.github.requests.slice(before);
  expect(asked.filter(({ path }) => path.includes('/jobs'))).toEqual([]);
  expect(asked.filter(({ status }) => status !== 304)).toEqual([]);
});

test.concurrent('an idle pass is two activities, and a scheduled one asks for no more than it needs', async () => {
  await using world = await aWorld();
  queue(world, { agoMs: MINUTE });
  const scheduled = await scheduledPass<QueueReport>(world.client, world.target.scope, 'queue');
  expect(scheduled).toMatchObject({
    outcome: 'nothing-to-do',
    queue: { queued: 1, inProgress: 0, waiting: null, pending: null, requested: null },
  });
  const asked = world.github.requests.flatMap(({ path }) => /status=(\w+)/.exec(path)?.[1] ?? []);
  expect(asked.toSorted()).toEqual(['in_progress', 'queued']);
  const pass = await world.maintain({ scope: world.target.scope });
  expect(await pass.result()).toMatchObject({ queue: { waiting: 0, pending: 0, requested: 0 } });
  const { events } = await pass.fetchHistory();
  const activities = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? []);
  expect(activities).toEqual(['resolveQueue', 'readQueue']);
});

function aWorld(queue: Partial<QueuePolicy> = {}): Promise<World> {
  return startQueueWorld({ queue });
}

let branches = 0;

function queue(world: World, options: Partial<RunOptions>): number {
  const jobs = [{ labels: ['self-hosted', ...world.target.labels] }];
  return world.github.queueRun(world.target.scope, { jobs, agoMs: MINUTE, branch: `b${(branches += 1)}`, ...options });
}

function push(world: World): number {
  return queue(world, { event: 'push' });
}

/** More pull requests wait than the threshold; what is returned ends that. */
function press(world: World, pulls: number[] = []): () => void {
  pulls.push(...Array.from({ length: 6 }, (_, index) => queue(world, { event: 'pull_request', pullRequests: [index + 1] })));
  return () => {
    for (const run of pulls) {
      world.github.completeRun(run, 'success');
    }
  };
}

/** Starts a pass whose every cancellation takes a while. */
function slowly(world: World): ReturnType<World['maintain']> {
  world.github.misbehave({ match: { method: 'POST', path: /\/cancel$/ }, delayMs: 300 });
  return world.maintain({ scope: world.target.scope });
}

async function rerun({ github, target }: World, run: number): Promise<void> {
  const address = `${github.url}/repos/${target.scope}/actions/runs/${run}/rerun`;
  const headers = { authorization: `Bearer ${github.token}`, 'user-agent': 'somebody else' };
  expect((await fetch(address, { method: 'POST', headers })).status).toBe(201);
}

async function care(world: World, input: object = {}): Promise<QueueReport> {
  return (await world.maintain({ scope: world.target.scope, ...input })).result();
}

function isCancelled({ github }: World, run: number | undefined): boolean {
  return run !== undefined && github.run(run).accepted.cancel === 1;
}

function looksAtRunners({ github }: World): number {
  return github.requests.filter(({ path }) => path.includes('/actions/runners?')).length;
}

async function memoryOf({ client, target }: World): Promise<QueueMemory> {
  const { memo } = await client.workflow.getHandle(queueLedgerId(target.scope)).describe();
  return memo?.['memory'] as QueueMemory;
}

function actOn(report: QueueReport, run: number | undefined): ToldAct | undefined {
  return report.acts.find((act) => act.run === run);
}
