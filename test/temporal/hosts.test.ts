import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SEALING_KEY_BYTES } from '../../src/activities/sealing.ts';
import { MAIN_QUEUE, PROGRESS_QUERY } from '../../src/domain/names.ts';
import type { Progress } from '../../src/domain/report.ts';
import { breakRunner, startHost, startWorld } from '../kit/recovery-world.ts';

describe.concurrent('a host with a worker of its own', () => {
  test('recovers its machine without knowing GitHub', async () => {
    await using world = await startWorld({ host: 'attic' });
    await using _host = await startHost('attic');
    await breakRunner(world, 'service');
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
  });

  test('is refused before anything is taken away where it has another sealing key', async () => {
    await using world = await startWorld({ host: 'shed' });
    await using _host = await startHost('shed', randomBytes(SEALING_KEY_BYTES));
    await breakRunner(world, 'service');
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('RUNWARD_SEALING_KEY_FILE') });
    const { guest } = await world.machine.observe(world.target, { signal: new AbortController().signal, heartbeat: () => {} });
    expect(guest).toMatchObject({ known: true, value: { registration: { agentName: world.target.runner } } });
  });

  test('is given up while nothing was changed', async () => {
    await using world = await startWorld({ host: 'nowhere', policy: { hostSilentAfterMs: 1_000 } });
    await breakRunner(world, 'service');
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({
      outcome: 'failed',
      unreachable: 'machine',
      summary: expect.stringContaining('no worker of host nowhere takes tasks: start it with `runward worker --host nowhere`'),
    });
    expect(report.steps.every(({ status }) => status === 'skipped')).toBe(true);
  });

  test('that goes before anything was set aside is not waited for to put it back', async () => {
    await using world = await startWorld({ host: 'attic', policy: { hostSilentAfterMs: 1_000, busyAnswerMaxAgeMs: 3_000 } });
    await breakRunner(world, 'service');
    const leaving = await startHost('attic');
    // Its worker is gone before the answer, so that it can't have begun anything.
    world.github.misbehave({ match: { path: 'registration-token' }, delayMs: 4_000 });
    const handle = await world.recover();
    try {
      await world.until(() => world.github.requests.some(({ path }) => path.endsWith('registration-token')), 'a token is asked for');
    } finally {
      await leaving.stop();
    }
    const report = await handle.result();
    expect(report).toMatchObject({
      outcome: 'failed',
      unreachable: 'machine',
      summary: expect.stringContaining('no worker of host attic'),
    });
    expect(report.summary).not.toMatch(/set aside|kept in|put back|in order/);
  });

  test('is waited for once something was changed, and the operation goes on when it is back', async () => {
    await using world = await startWorld({ host: 'cellar', pace: 0.5, policy: { hostSilentAfterMs: 1_000 } });
    await breakRunner(world, 'service');
    const leaving = await startHost('cellar');
    const handle = await world.recover();
    try {
      await doing(async (progress) => progress.steps.some(({ name, status }) => name === 'reconfigure' && status === 'running'));
    } finally {
      await leaving.stop();
    }
    await doing(async (progress) => /waiting for host cellar.*runward worker --host cellar/.test(progress.doing));
    await using _host = await startHost('cellar');
    const report = await handle.result();
    expect(report.outcome, report.summary).toBe('recovered');
    await world.until(() => world.shown() === 'online', 'the runner is online');
    expect(world.github.requests.filter(({ path }) => path.endsWith('/_service/runners'))).toHaveLength(1);

    function doing(isSo: (progress: Progress) => Promise<boolean>): Promise<void> {
      return world.until(async () => isSo(await handle.query<Progress>('progress')), 'it does so');
    }
  });
});

test("a drain whose host falls silent once it has marked waits for the host, and the machine is nobody's meanwhile", async () => {
  await using world = await startWorld({ host: 'barn', policy: { hostSilentAfterMs: 1_000, drainPollMs: 300, busyAnswerMaxAgeMs: 3_000 } });
  const leaving = await startHost('barn');
  const { client, machine, github, target } = world;
  github.giveJob(target.scope, target.runner, { seconds: 3_600 });
  await world.until(() => github.runners(target.scope)[0]?.busy === true, 'it works');
  const mark = machine.markDrained.bind(machine);
  let marks = 0;
  machine.markDrained = async (...given) => {
    const answer = await mark(...given);
    marks += 1;
    if (marks === 1) void leaving.stop();
    return answer;
  };
  const args = [{ runner: target.runner }];
  const handle = await client.workflow.start('drainRunner', { workflowId: `drain-${target.runner}`, taskQueue: MAIN_QUEUE, args });
  const doing = async (): Promise<string> => (await handle.query<Progress>(PROGRESS_QUERY)).doing;
  await world.until(async () => /worker of host barn takes no tasks|could not be read/.test(await doing()), 'it says what it waits for');
  await using _back = await startHost('barn');
  await machine.endJob(target);
  expect(await handle.result()).toMatchObject({ outcome: 'drained' });
});
