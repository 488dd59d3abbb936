import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE, machineLedgerId, machineLockId } from '../../src/domain/names.ts';
import type { DrainReport, Progress, ResumeReport } from '../../src/domain/report.ts';
import type { GuestObservation } from '../../src/domain/runner.ts';
import { known } from '../../src/domain/reading.ts';
import { withoutTime } from '../kit/observations.ts';
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

const drain = (world: World, input?: object): Promise<Handle<DrainReport>> => begin(world, 'drainRunner', input);
const resume = (world: World, input?: object): Promise<Handle<ResumeReport>> => begin(world, 'resumeRunner', input);

async function look(world: World): Promise<GuestObservation> {
  const { guest } = await world.machine.observe(world.target, CALL);
  if (!guest.known) {
    throw new Error(guest.why);
  }
  return guest.value;
}

const giveJob = (world: World, seconds: number): number => world.github.giveJob(world.target.scope, world.target.runner, { seconds });
/** It lasts until the test ends it. */
const giveLongJob = (world: World): number => giveJob(world, 3_600);
const isBusy = (world: World): boolean => world.github.runners(world.target.scope)[0]?.busy === true;
const doing = async (handle: Handle<unknown>): Promise<string> => (await handle.query<Progress>('progress')).doing;

async function drained(world: World, handle: Handle<DrainReport>): Promise<DrainReport> {
  const report = await handle.result();
  expect(report.outcome, report.summary).toBe('drained');
  expect(await look(world)).toMatchObject({
    service: { state: 'inactive' },
    listeners: 0,
    workers: 0,
    drain: { reason: expect.any(String) },
  });
  return report;
}

describe.concurrent('a drain', () => {
  test('of an idle runner stops it, over a restart of its machine, until it is resumed', async () => {
    // So often GitHub also answers the listener while it is paused.
    await using world = await startWorld({ pollMs: 100 });
    const handle = await drain(world, { reason: 'new\ndisk' });
    const report = await drained(world, handle);
    expect(report.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'mark-drained done',
      'cordon done',
      'wait-until-idle done',
      'stop-service done',
    ]);
    expect((await look(world)).drain?.reason).toBe('new disk');
    expect((await (await drain(world)).result()).outcome).toBe('already-drained');
    await world.until(() => world.shown() === 'offline', 'GitHub shows it offline');

    world.machine.stop(world.target.machine, 'stopped');
    const stopped = await (await drain(world)).result();
    expect(stopped).toMatchObject({
      outcome: 'noted',
      summary: expect.stringMatching(/is stopped, so .* takes no jobs: checks do not start it/),
    });
    await world.machine.start(world.target.machine, CALL);
    expect(await look(world)).toMatchObject({ service: { state: 'inactive' }, listeners: 0 });

    for (const force of [false, true]) {
      const refused = await (await world.recover({ runner: world.target.runner, force })).result();
      expect(refused).toMatchObject({ outcome: 'refused-drained', summary: expect.stringMatching(/new disk.*runward runner resume/) });
    }

    const resumed = await (await resume(world)).result();
    expect(resumed.outcome, resumed.summary).toBe('resumed');
    expect(resumed.steps.every(({ status }) => status === 'done')).toBe(true);
    expect(await look(world)).toMatchObject({ service: { state: 'active' }, drain: null });
    expect((await (await resume(world)).result()).outcome).toBe('already-resumed');
    const job = giveJob(world, 0);
    await world.until(() => world.github.job(job).result === 'Succeeded', 'it takes jobs');

    const { host, machine } = world.target;
    const ledger = await world.client.workflow.getHandle(machineLedgerId(host, machine)).describe();
    expect(ledger.memo?.['entries']).toMatchObject([
      { type: 'drainRunner', outcome: 'drained', workflowId: handle.workflowId },
      { type: 'drainRunner', outcome: 'noted' },
      { type: 'resumeRunner', outcome: 'resumed' },
      // The one that found nothing to do: a drain that is noted somewhere holds no more.
      { type: 'resumeRunner', outcome: 'resumed' },
    ]);
  });

  test('lets a running job end, and holds no lock meanwhile', async () => {
    await using world = await startWorld();
    const job = giveLongJob(world);
    await world.until(() => isBusy(world), 'the job runs');
    const handle = await drain(world);
    await world.until(async () => /waiting for the job to end: .*Runner\.Worker/.test(await doing(handle)), 'it waits for the job');
    expect((await look(world)).drain).not.toBeNull();
    const { host, machine } = world.target;
    await world.until(
      async () => (await world.client.workflow.getHandle(machineLockId(host, machine)).describe()).status.name !== 'RUNNING',
      'the lock is free',
    );
    await world.machine.endJob(world.target);
    await drained(world, handle);
    expect(world.github.job(job).result).toBe('Succeeded');
  });

  test.each(['before GitHub is asked', 'before the stop'] as const)(
    'does not cut a job that arrives between the second idle check and the stop (%s)',
    async (when) => {
      await using world = await startWorld();
      let job = 0;
      const giveOnce = async (): Promise<void> => {
        if (job === 0) {
          job = giveJob(world, 0.3);
          await world.until(() => isBusy(world), 'GitHub has given the job');
          await sleep(50);
        }
      };
      const pause = world.machine.pause.bind(world.machine);
      const stop = world.machine.stopService.bind(world.machine);
      world.machine.pause = async (...given) => {
        const answer = await pause(...given);
        if (when === 'before GitHub is asked' && answer.kind === 'paused') await giveOnce();
        return answer;
      };
      world.machine.stopService = async (...given) => {
        if (when === 'before the stop') await giveOnce();
        return stop(...given);
      };
      await drained(world, await drain(world));
      expect(job).not.toBe(0);
      await world.until(() => world.github.job(job).result === 'Succeeded', 'GitHub has heard of its end');
    },
  );

  test('of a long job begins a new history from time to time', async () => {
    await using world = await startWorld({ policy: { drainHistoryMs: 500 } });
    const job = giveLongJob(world);
    await world.until(() => isBusy(world), 'the job runs');
    const handle = await drain(world);
    const { runId } = await handle.describe();
    const first = world.client.workflow.getHandle(handle.workflowId, runId);
    await world.until(async () => (await first.describe()).status.name === 'CONTINUED_AS_NEW', 'a new history begins');
    await world.machine.endJob(world.target);
    await drained(world, handle);
    expect(world.github.job(job).result).toBe('Succeeded');
    const { host, machine } = world.target;
    const ledger = await world.client.workflow.getHandle(machineLedgerId(host, machine)).describe();
    expect(ledger.memo?.['entries']).toMatchObject([{ outcome: 'drained', runId }]);
  });

  test('is undone by a resume while it waits', async () => {
    await using world = await startWorld();
    const job = giveLongJob(world);
    await world.until(() => isBusy(world), 'the job runs');
    const handle = await drain(world);
    await world.until(async () => /waiting for the job/.test(await doing(handle)), 'it waits for the job');
    expect((await (await resume(world)).result()).outcome).toBe('resumed');
    expect(await handle.result()).toMatchObject({ outcome: 'undone' });
    await world.machine.endJob(world.target);
    await world.until(() => world.github.job(job).result === 'Succeeded', 'the job goes on');
    expect(await look(world)).toMatchObject({ service: { state: 'active' }, drain: null });
  });

  test('waits as long as GitHub is not to be read', async () => {
    await using world = await startWorld({ policy: { busyAnswerMaxAgeMs: 1_000 } });
    const job = giveLongJob(world);
    await world.until(() => isBusy(world), 'the job runs');
    const handle = await drain(world);
    await world.until(async () => /waiting for the job/.test(await doing(handle)), 'it waits for the job');
    const endAgain = world.github.misbehave({ match: { path: '/actions/runners' }, status: 503 });
    await world.machine.endJob(world.target);
    await world.until(() => world.github.job(job).result === 'Succeeded', 'the job ends');
    await world.until(async () => /GitHub could not be read/.test(await doing(handle)), 'it cannot read GitHub');
    expect(await look(world)).toMatchObject({ service: { state: 'active' } });
    endAgain();
    await drained(world, handle);
  });

  test('of a runner that GitHub calls busy for ever without a worker ends on the word of its guest', async () => {
    await using world = await startWorld({ policy: { jobLostAfterMs: 3_000 } });
    world.github.showRunner(world.target.scope, world.target.runner, { busy: true });
    const { steps } = await drained(world, await drain(world));
    expect(steps.find(({ name }) => name === 'wait-until-idle')?.detail).toContain('idle in its guest for long');
  });

  test('that is cancelled leaves the runner at work and marked, and the next one goes on', async () => {
    await using world = await startWorld();
    world.machine.stopService = (_target, _act, _stopping, { signal, heartbeat }) => {
      void handle.cancel();
      const beating = setInterval(() => heartbeat('stopping'), 100);
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          clearInterval(beating);
          reject(signal.reason as Error);
        });
      });
    };
    const handle = await drain(world);
    await expect(handle.result()).rejects.toThrow('cancelled');
    Reflect.deleteProperty(world.machine, 'stopService');
    expect(await look(world)).toMatchObject({ service: { state: 'active' }, listeners: 1, drain: { reason: 'by hand' } });
    const job = giveJob(world, 0);
    await world.until(() => world.github.job(job).result === 'Succeeded', 'it is let go');
    await drained(world, await drain(world));
  });
});

test.concurrent('who only watches writes nothing', async () => {
  await using world = await startWorld({ mode: 'watch' });
  const before = withoutTime(known(await look(world)));
  expect((await (await drain(world)).result()).outcome).toBe('refused-watching');
  expect((await (await resume(world)).result()).outcome).toBe('already-resumed');
  expect(withoutTime(known(await look(world)))).toEqual(before);
});

test.concurrent('whatever a person types is checked', async () => {
  await using world = await startWorld();
  const handle = await drain(world, { force: true });
  await expect(handle.result()).rejects.toMatchObject({
    cause: { message: 'drainRunner does not know force: allowed are runner, reason, wait' },
  });
});

// Alone, since it ends the workers of all worlds.
test('a worker that goes away in each of its acts changes nothing', async () => {
  await using world = await startWorld({ pace: 0.1 });
  const restarts: Promise<void>[] = [];
  for (const step of ['markDrained', 'pause', 'stopService', 'unmarkDrained', 'startService'] as const) {
    const original = (world.machine[step] as (...given: unknown[]) => Promise<never>).bind(world.machine);
    let isFirst = true;
    (world.machine as Record<typeof step, unknown>)[step] = (...given: unknown[]) => {
      if (isFirst) {
        isFirst = false;
        restarts.push(world.restartWorkers());
      }
      return original(...given);
    };
  }
  const outcomeOf = async ({ workflowId }: Handle<unknown>, restarted: number): Promise<unknown> => {
    await world.until(() => restarts.length === restarted, 'the worker went away');
    await Promise.all(restarts);
    return world.client.workflow.getHandle(workflowId).result();
  };
  expect(await outcomeOf(await drain(world), 3)).toMatchObject({ outcome: 'drained' });
  expect(await look(world)).toMatchObject({ service: { state: 'inactive' }, listeners: 0 });
  expect(await outcomeOf(await resume(world), 5)).toMatchObject({ outcome: 'resumed' });
});
