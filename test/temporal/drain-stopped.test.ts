// A runner that a person drains while its machine does not run.

import { expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import type { DrainReport, ResumeReport } from '../../src/domain/report.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

const CALL = { signal: new AbortController().signal, heartbeat: () => {} };

async function run<Report>(world: World, type: 'drainRunner' | 'resumeRunner', { runner } = world.target): Promise<Report> {
  const options = { workflowId: `${type}-${Math.random()}`, taskQueue: MAIN_QUEUE, args: [{ runner }] };
  return (await world.client.workflow.execute(type, options)) as Report;
}

function queueJob(world: World): number {
  const labels = ['self-hosted', ...world.target.labels];
  return world.github.queueRun(world.target.scope, { jobs: [{ name: 'kernel', labels, seconds: 0.2 }] });
}

test('is not started for a job, by a check or by hand, until it is resumed', async () => {
  await using world = await startWorld();
  await world.pass();
  await breakRunner(world, 'vm');
  expect(await run<DrainReport>(world, 'drainRunner')).toMatchObject({ outcome: 'noted', summary: expect.stringContaining('is stopped') });
  const job = queueJob(world);
  for (let pass = 0; pass < 3; pass += 1) {
    expect(await world.pass()).toMatchObject({
      started: [],
      findings: [{ code: 'machine-stopped', severity: 'info' }, { code: 'drained' }],
    });
  }
  for (const force of [false, true]) {
    expect(await (await world.recover({ runner: world.target.runner, force })).result()).toMatchObject({ outcome: 'refused-drained' });
  }
  expect((await world.machine.observe(world.target, CALL)).state).toBe('stopped');

  expect(await run<ResumeReport>(world, 'resumeRunner')).toMatchObject({ outcome: 'resumed' });
  const { started } = await world.pass();
  expect(started).toMatchObject([{ because: 'machine-stopped' }]);
  await world.client.workflow.getHandle(started[0]!.workflowId).result();
  await world.until(() => world.github.run(job).conclusion === 'success', 'the job has ended well');
});

test('is drained by the next check where somebody else starts its machine', async () => {
  await using world = await startWorld();
  await world.pass();
  await breakRunner(world, 'vm');
  await run<DrainReport>(world, 'drainRunner');
  await world.pass();
  await world.machine.start(world.target.machine, CALL);
  await world.until(() => world.shown() === 'online', 'it is online');
  const { started } = await world.pass();
  expect(started).toMatchObject([{ cure: 'finish-drain' }]);
  expect(await world.client.workflow.getHandle(started[0]!.workflowId).result()).toMatchObject({ outcome: 'drained' });
  expect(await world.pass()).toMatchObject({ outcome: 'left-alone', started: [], findings: [{ code: 'drained' }] });
  expect(await run<ResumeReport>(world, 'resumeRunner')).toMatchObject({ outcome: 'resumed' });
  expect(await world.pass()).toMatchObject({ outcome: 'healthy', started: [] });
});

test('is drained by the next check where its machine is started before any check has seen it stopped', async () => {
  await using world = await startWorld();
  await world.pass();
  await breakRunner(world, 'vm');
  await run<DrainReport>(world, 'drainRunner');
  await world.machine.start(world.target.machine, CALL);
  await world.until(() => world.shown() === 'online', 'it is online');
  const { started } = await world.pass();
  expect(started).toMatchObject([{ cure: 'finish-drain' }]);
  expect(await world.client.workflow.getHandle(started[0]!.workflowId).result()).toMatchObject({ outcome: 'drained' });
});

test('is drained by a later check where the first one fails to', async () => {
  await using world = await startWorld();
  await world.pass();
  await breakRunner(world, 'vm');
  await run<DrainReport>(world, 'drainRunner');
  await world.pass();
  await world.machine.start(world.target.machine, CALL);
  await world.until(() => world.shown() === 'online', 'it is online');
  const { machine } = world;
  const mark = machine.markDrained.bind(machine);
  machine.markDrained = async () => ({ kind: 'refused-busy', evidence: 'a worker runs' });
  const [tried] = (await world.pass()).started;
  expect(await world.client.workflow.getHandle(tried!.workflowId).result()).toMatchObject({ outcome: 'failed' });
  machine.markDrained = mark;
  const [again] = (await world.pass()).started;
  expect(again).toMatchObject({ cure: 'finish-drain' });
  expect(await world.client.workflow.getHandle(again!.workflowId).result()).toMatchObject({ outcome: 'drained' });
});

test('is not drained where a person resumes it once its machine runs', async () => {
  await using world = await startWorld();
  await world.pass();
  await breakRunner(world, 'vm');
  await run<DrainReport>(world, 'drainRunner');
  await world.pass();
  await world.machine.start(world.target.machine, CALL);
  await world.until(() => world.shown() === 'online', 'it is online');
  expect(await run<ResumeReport>(world, 'resumeRunner')).toMatchObject({ outcome: 'resumed' });
  expect(await world.pass()).toMatchObject({ outcome: 'healthy', started: [] });
});

test('keeps the machine from being started for its neighbour, which would let it take jobs', async () => {
  await using world = await startWorld({ runners: 2, sharesMachine: true });
  const [one, other] = world.targets as [RunnerTarget, RunnerTarget];
  await world.pass();
  await breakRunner(world, 'vm');
  expect(await run<DrainReport>(world, 'drainRunner', other)).toMatchObject({ outcome: 'noted' });
  expect(await (await world.recover({ runner: one.runner })).result()).toMatchObject({
    outcome: 'refused-drained',
    summary: `${other.runner} was drained while ${one.machine} did not run, and would take jobs if ${one.machine} was started: run \`runward runner resume --runner ${other.runner}\` first, or recover ${one.runner} with \`--force\`, and the next check drains ${other.runner}`,
  });
  const waiting = queueJob(world);
  expect((await world.pass()).started).toEqual([]);
  expect((await world.machine.observe(one, CALL)).state).toBe('stopped');

  expect(await run<ResumeReport>(world, 'resumeRunner', other)).toMatchObject({ outcome: 'resumed' });
  // A runner that takes it before the recovery has looked would be busy.
  world.github.completeRun(waiting, 'cancelled');
  expect(await (await world.recover({ runner: one.runner })).result()).toMatchObject({ outcome: 'recovered' });
});

test('is drained by the next check if a person has its machine started for its neighbour by force', async () => {
  await using world = await startWorld({ runners: 2, sharesMachine: true });
  const [one, other] = world.targets as [RunnerTarget, RunnerTarget];
  await world.pass();
  await breakRunner(world, 'vm');
  expect(await run<DrainReport>(world, 'drainRunner', other)).toMatchObject({ outcome: 'noted' });
  expect(await (await world.recover({ runner: one.runner, force: true })).result()).toMatchObject({ outcome: 'recovered' });
  await world.until(() => world.shown(other) === 'online', 'its neighbour is online too');
  const { started } = await world.pass();
  expect(started).toMatchObject([{ cure: 'finish-drain', runner: `${other.scope}/${other.runner}` }]);
  expect(await world.client.workflow.getHandle(started[0]!.workflowId).result()).toMatchObject({ outcome: 'drained' });
});
