// A drain takes the runner's custom labels away at GitHub, so that nothing more is given to it, and a resume puts them back.

import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import type { DrainReport, Progress, ResumeReport } from '../../src/domain/report.ts';
import type { DrainMark } from '../../src/domain/runner.ts';
import { QUICK_POLICY, startWorld, type World } from '../kit/recovery-world.ts';

const CALL = { signal: new AbortController().signal, heartbeat: () => {} };

type Handle<Report> = WorkflowHandle<() => Promise<Report>>;

function begin<Report>(world: World, type: string, input: object = {}): Promise<Handle<Report>> {
  return world.client.workflow.start(type, {
    workflowId: `${type}-${world.target.runner}-${Math.random()}`,
    taskQueue: MAIN_QUEUE,
    args: [{ runner: world.target.runner, ...input }],
  }) as never;
}

const drain = (world: World): Promise<Handle<DrainReport>> => begin(world, 'drainRunner');
const resume = (world: World): Promise<Handle<ResumeReport>> => begin(world, 'resumeRunner');

const labels = (world: World): readonly string[] => world.github.runners(world.target.scope)[0]?.labels ?? [];

async function mark(world: World): Promise<DrainMark | null> {
  const { guest } = await world.machine.observe(world.target, CALL);
  if (!guest.known) throw new Error(guest.why);
  return guest.value.drain;
}

const stepOf = async (handle: Handle<unknown>, name: string): Promise<Progress['steps'][number] | undefined> =>
  (await handle.query<Progress>('progress')).steps.find((step) => step.name === name);

/** A job that lasts until the test ends it runs on the runner. */
async function work(world: World): Promise<void> {
  world.github.giveJob(world.target.scope, world.target.runner, { seconds: 3_600 });
  await world.until(() => world.github.runners(world.target.scope)[0]?.busy === true, 'a job runs');
}

/** Twelve runs of one job each, which no other runner serves. */
function queueTwelve(world: World, labelsAsked: readonly string[]): () => number {
  const runs = Array.from({ length: 12 }, () => world.github.queueRun(world.target.scope, { jobs: [{ labels: labelsAsked, seconds: 0 }] }));
  return () => runs.filter((run) => world.github.run(run).jobs[0]?.state !== 'queued').length;
}

/** The command's first line about jobs: from then on none is to come. */
const promised = (world: World, handle: Handle<unknown>): Promise<void> =>
  world.until(async () => (await stepOf(handle, 'cordon'))?.status === 'done', 'it says that no further job comes');

describe.concurrent('a drain with twelve jobs queued behind a running one', () => {
  test('lets none of them come once it has said so', async () => {
    await using world = await startWorld();
    await work(world);
    const taken = queueTwelve(world, ['self-hosted', 'bpf-lsm']);
    const handle = await drain(world);
    await promised(world, handle);
    await world.machine.endJob(world.target);
    expect(await handle.result()).toMatchObject({ outcome: 'drained' });
    expect(taken()).toBe(0);
  });
});
