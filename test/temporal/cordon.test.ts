// A drain takes the runner's custom labels away at GitHub, so that nothing more is given to it, and a resume puts them back.

import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE, machineLockId } from '../../src/domain/names.ts';
import type { DrainReport, Progress, ResumeReport } from '../../src/domain/report.ts';
import type { DrainMark } from '../../src/domain/runner.ts';
import { MachineError } from '../../src/machine/port.ts';
import { startWorld, type World } from '../kit/recovery-world.ts';

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
const resume = (world: World): Promise<Handle<ResumeReport>> => begin(world, 'resumeRunner', { wait: '30s' });

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

const taken = (world: World): Promise<void> => world.until(() => labels(world).length === 0, 'its labels are gone');
const isWaiting = (world: World, handle: Handle<unknown>): Promise<void> =>
  world.until(async () => /waiting for the job/.test((await handle.query<Progress>('progress')).doing), 'it waits for the job');

async function drained(handle: Handle<DrainReport>): Promise<DrainReport> {
  const report = await handle.result();
  expect(report.outcome, report.summary).toBe('drained');
  return report;
}

async function resumed(world: World): Promise<ResumeReport> {
  const report = await (await resume(world)).result();
  expect(report.outcome, report.summary).toBe('resumed');
  expect(labels(world)).toEqual(['bpf-lsm']);
  expect(await mark(world)).toBeNull();
  return report;
}

/** Somebody else gives it a label, as `config.sh --replace` does. */
const giveLabels = (world: World, given: readonly string[]): Promise<void> =>
  changeLabels(world, { method: 'POST', body: JSON.stringify({ labels: given }) });

async function changeLabels(world: World, request: RequestInit): Promise<void> {
  const { url, token } = world.github;
  const { id } = world.github.runners(world.target.scope)[0]!;
  const response = await fetch(`${url}/repos/${world.target.scope}/actions/runners/${id}/labels`, {
    headers: { authorization: `Bearer ${token}` },
    ...request,
  });
  expect(response.status).toBe(200);
}

describe.concurrent('a drain with twelve jobs queued behind a running one', () => {
  test('lets none of them come once it has said so, and a resume all', async () => {
    await using world = await startWorld();
    await work(world);
    const begun = queueTwelve(world, ['self-hosted', 'bpf-lsm']);
    const handle = await drain(world);
    await promised(world, handle);
    expect((await stepOf(handle, 'cordon'))?.detail).toBe('takes no further job');
    expect(await mark(world)).toMatchObject({ labels: ['bpf-lsm'], reason: 'by hand' });
    await world.machine.endJob(world.target);
    await drained(handle);
    expect(begun()).toBe(0);
    const { steps } = await resumed(world);
    expect(steps[0]).toMatchObject({ name: 'restore-labels', status: 'done', detail: 'bpf-lsm' });
    await world.until(() => begun() === 12, 'they come');
  });

  test('says how many may still come that ask for no label of its own, and lets its guest keep them away', async () => {
    await using world = await startWorld();
    await work(world);
    const begun = queueTwelve(world, ['self-hosted', 'linux']);
    const handle = await drain(world);
    await promised(world, handle);
    expect((await stepOf(handle, 'cordon'))?.detail).toBe(
      'takes no further job that asks for bpf-lsm, but 12 jobs wait for no label of its own and may still come',
    );
    await isWaiting(world, handle);
    await world.machine.endJob(world.target);
    await drained(handle);
    expect(begun()).toBe(0);
  });
});

describe.concurrent('the labels of a drained runner', () => {
  test('are taken away once GitHub can be reached, and until then jobs may come', async () => {
    await using world = await startWorld({ policy: { busyAnswerMaxAgeMs: 1_000 } });
    await work(world);
    const end = world.github.misbehave({ match: { path: '/actions/runners' }, status: 503 });
    const handle = await drain(world);
    await world.until(async () => (await mark(world)) !== null, 'it is marked');
    await world.until(
      async () => (await handle.query<Progress>('progress')).doing.startsWith('jobs may still come, since it could not be cordoned'),
      'it says that jobs may come',
    );
    expect((await stepOf(handle, 'cordon'))?.status).not.toBe('done');
    end();
    await promised(world, handle);
    expect(labels(world)).toEqual([]);
    await world.machine.endJob(world.target);
    await drained(handle);
    await resumed(world);
  });

  test('are never taken away before its mark remembers them, and an answer that is lost changes nothing', async () => {
    await using world = await startWorld();
    await work(world);
    const markDrained = world.machine.markDrained.bind(world.machine);
    const shownAt: (readonly string[])[] = [];
    world.machine.markDrained = async (...given) => {
      shownAt.push(labels(world));
      return markDrained(...given);
    };
    world.github.misbehave({ match: { method: 'DELETE', path: /labels$/ }, fault: { kind: 'lost' }, times: 1 });
    const handle = await drain(world);
    await promised(world, handle);
    expect(shownAt).toEqual([['bpf-lsm'], ['bpf-lsm']]);
    await world.machine.endJob(world.target);
    await drained(handle);
    await resumed(world);
  });

  test('are taken away again, and given back, where somebody gives it more meanwhile', async () => {
    await using world = await startWorld();
    await work(world);
    const handle = await drain(world);
    await promised(world, handle);
    await giveLabels(world, ['bpf-lsm', 'gpu']);
    await taken(world);
    expect(await mark(world)).toMatchObject({ labels: ['bpf-lsm', 'gpu'] });
    await world.machine.endJob(world.target);
    await drained(handle);
    expect((await (await resume(world)).result()).outcome).toBe('resumed');
    expect(labels(world)).toEqual(['bpf-lsm', 'gpu']);
  });

  test('are seen again before a resume ends well, and again by the next one', async () => {
    await using world = await startWorld();
    await drained(await drain(world));
    const startService = world.machine.startService.bind(world.machine);
    world.machine.startService = async (...given) => {
      await changeLabels(world, { method: 'DELETE' });
      return startService(...given);
    };
    const report = await (await resume(world)).result();
    const { runner } = world.target;
    expect(report).toMatchObject({
      outcome: 'failed',
      summary: `${runner} is online and not drained any more, but GitHub shows it without bpf-lsm, so no job comes that asks for it: set it on GitHub, or run \`runward runner resume --runner ${runner}\` if it has no other label of its own`,
    });
    expect(report.steps.at(-1)).toMatchObject({ name: 'verify-online', status: 'failed' });
    expect((await (await resume(world)).result()).outcome).toBe('resumed');
    expect(labels(world)).toEqual(['bpf-lsm']);
  });

  test('that are configured and were not there before are told by a resume', async () => {
    await using world = await startWorld({ labels: ['bpf-lsm', 'gpu'] });
    await changeLabels(world, { method: 'PUT', body: JSON.stringify({ labels: ['bpf-lsm'] }) });
    await drained(await drain(world));
    const { runner } = world.target;
    expect(await (await resume(world)).result()).toMatchObject({
      outcome: 'resumed',
      summary: `${runner} is online and takes jobs again, but none that ask for gpu, which GitHub does not show: set it on GitHub, or change the configured labels`,
    });
  });

  test('stay away after a drain was ended by force, and come back after a resume was cut off', async () => {
    await using world = await startWorld();
    await work(world);
    const handle = await drain(world);
    await promised(world, handle);
    await handle.terminate('by hand');
    world.machine.unmarkDrained = async () => {
      throw new Error('its host is gone');
    };
    const cut = await resume(world);
    await world.until(() => labels(world).length > 0, 'its labels are back');
    await cut.terminate('by hand');
    Reflect.deleteProperty(world.machine, 'unmarkDrained');
    expect(await mark(world)).toMatchObject({ labels: ['bpf-lsm'] });
    // It is to be drained still, which the next check sees to.
    await (await world.check()).result();
    await taken(world);
    await resumed(world);
  });
});

describe.concurrent('the guard in the guest', () => {
  const PLAIN = ['self-hosted', 'linux'];

  test.each([
    { kind: 'waiting' },
    { kind: 'not-waiting', evidence: 'the guest has no perl' },
    new MachineError('unreachable', 'its guest gave no answer'),
  ])('is set up anew, if the last one may be gone (%o)', async (first) => {
    const guardAgainMs = 1_500;
    await using world = await startWorld({ policy: { guardAgainMs, guardWithinMs: 2_000, drainPollMs: 200 } });
    await work(world);
    const begun = queueTwelve(world, PLAIN);
    const pauseAfterJob = world.machine.pauseAfterJob.bind(world.machine);
    let keys = new Set<string>();
    world.machine.pauseAfterJob = async (...given) => {
      keys = keys.add(given[1].key);
      if (keys.size > 1) return pauseAfterJob(...given);
      if (first instanceof Error) throw first;
      return first as never;
    };
    const handle = await drain(world);
    await world.until(() => keys.size > 1, 'it is set up anew');
    await isWaiting(world, handle);
    const locks = await lockedAt(world, handle);
    locks.slice(1).forEach((at, index) => expect(at - locks[index]!).toBeGreaterThanOrEqual(guardAgainMs));
    await world.machine.endJob(world.target);
    await drained(handle);
    expect(begun()).toBe(0);
  });

  test('holds the machine for no more than a moment, if the guest does not answer', async () => {
    await using world = await startWorld({ policy: { guardAgainMs: 3_600_000, guardWithinMs: 500 } });
    await work(world);
    let calls = 0;
    world.machine.pauseAfterJob = async () => {
      calls += 1;
      throw new MachineError('unreachable', 'its guest gave no answer');
    };
    const handle = await drain(world);
    await world.until(() => calls > 0, 'the guest is asked');
    await world.until(async () => !(await isLocked(world)), 'the lock is free');
    await world.until(
      async () => (await handle.query<Progress>('progress')).doing.includes('its guest does not wait for the end of the job'),
      'it says so',
    );
    await isWaiting(world, handle);
    await world.machine.endJob(world.target);
    await drained(handle);
  });

  test('is given up, if a person cancels the drain meanwhile', async () => {
    await using world = await startWorld();
    await work(world);
    let calls = 0;
    world.machine.pauseAfterJob = async () => {
      calls += 1;
      throw new MachineError('unreachable', 'its guest gave no answer');
    };
    const handle = await drain(world);
    await world.until(() => calls > 0, 'the guest is asked');
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow('cancelled');
    await world.until(async () => !(await isLocked(world)), 'the lock is free');
  });
});

async function isLocked(world: World): Promise<boolean> {
  const { host, machine } = world.target;
  return (await world.client.workflow.getHandle(machineLockId(host, machine)).describe()).status.name === 'RUNNING';
}

/** When it took the machine's lock. */
async function lockedAt(world: World, handle: Handle<unknown>): Promise<readonly number[]> {
  const { host, machine } = world.target;
  const { events } = await handle.fetchHistory();
  return (events ?? [])
    .filter(
      ({ childWorkflowExecutionStartedEventAttributes: started }) =>
        started?.workflowExecution?.workflowId === machineLockId(host, machine),
    )
    .map(({ eventTime }) => Number(eventTime?.seconds) * 1_000 + Number(eventTime?.nanos) / 1e6);
}
