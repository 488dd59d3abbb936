// What only several passes in a row can show, and what a pass must not believe.

import { describe, expect, test } from 'vitest';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { cureId } from '../../src/domain/names.ts';
import { unknown } from '../../src/domain/reading.ts';
import type { RecoveryReport } from '../../src/domain/report.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

/** Passes until one has started something. */
async function passes(world: World): Promise<HealthReport> {
  let report = await world.pass();
  for (const end = Date.now() + 10_000; report.started.length === 0 && Date.now() < end;) {
    report = await world.pass();
  }
  return report;
}

async function cureOf(world: World): Promise<RecoveryReport> {
  const { scope, runner } = world.target;
  return (await world.client.workflow.getHandle(cureId(`${scope}/${runner}`)).result()) as RecoveryReport;
}

describe.concurrent('passes in a row', () => {
  test('[5] a deaf listener, online and idle while a job waits for it, is restarted, and the queue moves', async () => {
    await using world = await startWorld({ health: { deafAfterMs: 1_000 } });
    const { scope, runner, labels } = world.target;
    world.github.deafen(scope, runner);
    const run = world.github.queueRun(scope, { jobs: [{ name: 'kernel', labels: ['self-hosted', ...labels], seconds: 0.1 }] });
    expect((await world.pass()).started).toEqual([]);
    expect((await passes(world)).started).toMatchObject([{ because: 'deaf-listener' }]);
    expect(await cureOf(world)).toMatchObject({ outcome: 'recovered', rungs: [{ name: 'restart-service', status: 'done' }] });
    await world.until(() => world.github.run(run).conclusion === 'success', 'the job has ended well');
  });

  test('[4] a runner that GitHub calls busy without a job in its guest is restarted, and registered anew where that is not enough', async () => {
    await using world = await startWorld({
      health: { stuckBusyAfterMs: 1_000 },
      policy: { onlineWithinMs: 1_500, drainPollMs: 200, jobBeginsWithinMs: 600 },
    });
    const { scope, runner } = world.target;
    world.github.showRunner(scope, runner, { busy: true });
    expect((await world.pass()).started).toEqual([]);
    expect((await passes(world)).started).toMatchObject([{ because: 'stuck-busy' }]);
    await world.until(() => world.github.registrationTokens().length > 0, 'a token was asked for');
    world.github.showRunner(scope, runner, {});
    expect((await cureOf(world)).rungs.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'restart-service done',
      're-register done',
    ]);
  });

  test('[4] a job that begins while the recovery looks whether the runner is stuck is no reason to restart it', async () => {
    await using world = await startWorld({ health: { stuckBusyAfterMs: 1_000 }, policy: { jobBeginsWithinMs: 4_000 } });
    const { scope, runner } = world.target;
    world.github.showRunner(scope, runner, { busy: true });
    await world.pass();
    expect((await passes(world)).started).toMatchObject([{ because: 'stuck-busy' }]);
    const job = world.github.giveJob(scope, runner, { seconds: 3_600 });
    expect(await cureOf(world)).toMatchObject({ outcome: 'refused-busy', rungs: [] });
    expect(world.github.job(job).state).toBe('in_progress');
  });

  test('[1, 3] a job that runs is left alone, although GitHub calls the runner offline and hosted jobs queue for hours', async () => {
    await using world = await startWorld();
    const { scope, runner } = world.target;
    const job = world.github.giveJob(scope, runner, { seconds: 3_600 });
    await world.until(() => world.github.job(job).state === 'in_progress', 'the job runs');
    world.github.showRunner(scope, runner, { status: 'offline', busy: false });
    for (let queued = 0; queued < 30; queued += 1) {
      world.github.queueRun(scope, { jobs: [{ name: 'lint', labels: ['ubuntu-latest'], seconds: 1 }], agoMs: 3_600_000 });
    }
    for (let pass = 0; pass < 3; pass += 1) {
      const report = await world.pass();
      expect(report.started).toEqual([]);
      expect(report.withheld).toContainEqual(expect.objectContaining({ why: expect.stringMatching(/busy: .*Runner\.Worker/) }));
    }
    await world.machine.endJob(world.target);
    await world.until(() => world.github.job(job).state === 'completed', 'the job has ended');
    expect(world.github.job(job).result).toBe('Succeeded');
  });

  test('[7] a version that GitHub calls retired although it offers no newer one is an outage, and is waited for', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.machine.setLog(world.target, {
      exitCode: 1,
      signs: [{ code: 'version-retired', line: 'An error occurred: Runner version v2.336.0 is deprecated and cannot receive messages.' }],
    });
    world.github.newestRunnerVersion = '2.336.0';
    const report = await world.pass();
    expect(report.findings.map(({ code }) => code)).toContain('github-outage');
    expect(report.started).toEqual([]);
  });

  test('a machine whose state is unknown is restarted once two passes have missed its runner', async () => {
    await using world = await startWorld();
    const { machine } = world;
    const states = machine.states.bind(machine);
    const observe = machine.observe.bind(machine);
    const restart = machine.restart.bind(machine);
    machine.cutOff(world.target.machine);
    machine.states = async (names, call) => new Map([...(await states(names, call))].map(([name]) => [name, 'unknown']));
    machine.observe = async (target, call) => ({
      ...(await observe(target, call)),
      state: 'unknown',
      guest: unknown('lost'),
    });
    machine.restart = async (...given) => {
      Object.assign(machine, { states, observe });
      return restart(...given);
    };
    await world.until(() => world.shown() !== 'online', 'GitHub shows it offline');
    expect((await world.pass()).started).toEqual([]);
    expect((await passes(world)).started).toMatchObject([{ because: 'machine-state-unknown' }]);
    expect(await cureOf(world)).toMatchObject({ outcome: 'recovered', rungs: [{ name: 'start-machine', status: 'done' }] });
  });

  test('[19] a guest out of reach is restarted once two passes have missed it', async () => {
    await using world = await startWorld();
    world.machine.cutOff(world.target.machine);
    await world.until(() => world.shown() !== 'online', 'GitHub shows it offline');
    expect((await world.pass()).started).toEqual([]);
    expect((await passes(world)).started).toMatchObject([{ because: 'guest-unreachable' }]);
    expect(await cureOf(world)).toMatchObject({ outcome: 'recovered', rungs: [{ name: 'start-machine', status: 'done' }] });
  });
});
