import { describe, expect, test } from 'vitest';
import { cureId } from '../../src/domain/names.ts';
import type { HealthReport } from '../../src/domain/health-report.ts';
import type { RecoveryReport } from '../../src/domain/report.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

async function check(world: World): Promise<HealthReport> {
  return (await world.check({ scope: world.target.scope, wait: '20s' })).result();
}

/** Passes of the schedule until one has started what is to be started, and that has ended: GitHub alone is believed at the second reading. */
async function passes(world: World): Promise<HealthReport> {
  let report = await world.pass();
  for (let pass = 1; pass < 3 && report.started.length === 0; pass += 1) {
    report = await world.pass();
  }
  await Promise.all(report.started.map(({ workflowId }) => world.client.workflow.getHandle(workflowId).result()));
  return report;
}

/** What the recovery that a check started came to. */
async function cureOf(world: World): Promise<RecoveryReport> {
  const { scope, runner } = world.target;
  return (await world.client.workflow.getHandle(cureId(`${scope}/${runner}`)).result()) as RecoveryReport;
}

function codesOf({ findings }: HealthReport): readonly string[] {
  return findings.map(({ code }) => code);
}

/** Writes at GitHub and in the machine since the last question. */
function writes(world: World): readonly string[] {
  return world.github.requests
    .filter(({ method, path }) => method !== 'GET' && method !== 'HEAD' && path.includes('/repos/'))
    .map(({ path }) => path);
}

describe.concurrent('a pass over a broken runner', () => {
  test.each([
    ['service', 'start-service'],
    ['clock', 'fix-clock'],
    ['registration', 're-register'],
    ['config', 're-register'],
  ] as const)('(%s) starts the cheapest cure that is enough: %s', async (how, rung) => {
    await using world = await startWorld();
    await breakRunner(world, how);
    const report = await check(world);
    expect(report.outcome, JSON.stringify(report)).toBe('cured');
    expect(report.started).toMatchObject([
      { runner: `${world.target.scope}/${world.target.runner}`, outcome: expect.stringMatching(/recovered|synced/) },
    ]);
    if (how !== 'clock') {
      const cure = await cureOf(world);
      expect(cure.rungs.at(-1)).toMatchObject({ name: rung, status: 'done' });
      expect(cure.steps.every(({ status }) => status === 'skipped')).toBe(rung !== 're-register');
    }
    await world.until(() => world.shown() === 'online', 'the runner is online');
    expect(await check(world)).toMatchObject({ outcome: 'healthy', started: [], findings: [] });
  });

  test('(listener) is not cured by the word of GitHub alone, and at the second reading by a restart', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'listener');
    const first = await world.pass();
    expect(first).toMatchObject({
      outcome: 'unhealthy',
      started: [],
      withheld: [{ because: 'runner-offline', reason: 'not-proven', why: expect.stringContaining('seen once') }],
      findings: [{ advice: `waiting: the next check confirms before acting; now: \`runward recover --runner ${world.target.runner}\`` }],
    });
    const second = await world.pass();
    expect(second, JSON.stringify(second)).toMatchObject({ outcome: 'curing', started: [{ because: 'runner-offline' }] });
    expect(await cureOf(world)).toMatchObject({ outcome: 'recovered', rungs: [{ name: 'restart-service', status: 'done' }] });
    expect(await world.pass()).toMatchObject({ outcome: 'healthy' });
  });

  test('tells in a dry run that somebody is at work on it', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    const { machine, target } = world;
    const gate = Promise.withResolvers<void>();
    const takeFence = machine.takeFence.bind(machine);
    let isAtWork = false;
    machine.takeFence = async (...given) => {
      isAtWork = true;
      await gate.promise;
      return takeFence(...given);
    };
    const recovery = await world.recover();
    await world.until(() => isAtWork, 'a recovery has the machine');
    const dry = await (await world.check({ scope: target.scope, dryRun: true })).result();
    gate.resolve();
    const told = dry.findings.filter(({ severity }) => severity !== 'info').map(({ advice }) => advice);
    expect(told.length).toBeGreaterThan(0);
    for (const advice of told) {
      expect(advice).toMatch(new RegExp(`^nothing yet: being recovered for .* s \\(${recovery.workflowId}\\)$`));
    }
    expect((await recovery.result()).outcome).toBe('recovered');
    const after = await (await world.check({ scope: target.scope, dryRun: true })).result();
    expect(after.findings).toEqual([]);
  });

  test('tells what it saw and starts nothing where Runward only watches', async () => {
    await using world = await startWorld({ mode: 'watch' });
    await breakRunner(world, 'service');
    const report = await check(world);
    expect(report).toMatchObject({ outcome: 'unhealthy', mode: 'watch', started: [] });
    expect(report.withheld).toMatchObject([{ reason: 'watch', why: expect.stringContaining('only watches') }]);
    expect(codesOf(report)).toContain('service-inactive');
    expect(writes(world)).toEqual([]);
    expect(world.shown()).toBe('offline');
  });

  test('starts nothing where GitHub cannot be read, and cures when it can again', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    const end = world.github.misbehave({ match: {}, fault: { kind: 'status', status: 502 } } as never);
    for (let pass = 0; pass < 3; pass += 1) {
      const report = await world.pass();
      expect(report.started).toEqual([]);
      expect(codesOf(report)).toContain('github-unknown');
    }
    end();
    expect(writes(world)).toEqual([]);
    expect((await passes(world)).started).toHaveLength(1);
    expect((await cureOf(world)).outcome).toBe('recovered');
  });
});

describe.concurrent('a machine that somebody stopped', () => {
  test('is left alone while no job waits for it, and started when one does', async () => {
    await using world = await startWorld();
    expect((await world.pass()).outcome).toBe('healthy');
    await breakRunner(world, 'vm');
    for (let pass = 0; pass < 3; pass += 1) {
      const report = await world.pass();
      expect(report.started).toEqual([]);
      expect(report.findings).toMatchObject([{ code: 'machine-stopped', severity: 'info' }]);
    }
    const runId = world.github.queueRun(world.target.scope, {
      jobs: [{ name: 'kernel', labels: ['self-hosted', ...world.target.labels], seconds: 0.2 }],
    });
    const report = await world.pass();
    expect(report.started, JSON.stringify(report)).toHaveLength(1);
    const cure = await cureOf(world);
    expect(cure).toMatchObject({ outcome: 'recovered', rungs: [{ name: 'start-machine', status: 'done' }] });
    await world.until(() => world.github.run(runId).conclusion === 'success', 'the job has ended well');
  });

  test('is started also for a job that waits behind more runs than one pass reads', async () => {
    await using world = await startWorld({ health: { runsRead: 10 } });
    await world.pass();
    await breakRunner(world, 'vm');
    for (let ahead = 0; ahead < 25; ahead += 1) {
      world.github.queueRun(world.target.scope, { jobs: [{ labels: ['ubuntu-latest'] }], agoMs: (60 - ahead) * 60_000 });
    }
    world.github.queueRun(world.target.scope, { jobs: [{ labels: ['self-hosted', ...world.target.labels], seconds: 0.2 }] });
    const started: number[] = [];
    for (let pass = 0; pass < 3; pass += 1) {
      started.push((await world.pass()).started.length);
    }
    expect(started).toEqual([0, 0, 1]);
    expect((await cureOf(world)).outcome).toBe('recovered');
  });
});

describe.concurrent('many runners', () => {
  test('a hundred in one scope, five broken in different ways: five cures, those that look alike one by one, and one look at the lists', async () => {
    await using world = await startWorld({ runners: 100 });
    const [service, clock, listener, registration, config] = world.targets.slice(10, 15);
    const breaks = { service, clock, listener, registration, config } as const;
    for (const [how, target] of Object.entries(breaks)) {
      await world.machine.break(how as keyof typeof breaks, target!);
    }
    await world.until(() => Object.values(breaks).every((target) => world.shown(target) !== 'online'), 'GitHub shows the five offline');
    const reports = [await world.pass()];
    const asked = world.github.requests.length;
    reports.push(await world.pass());
    const lists = world.github.requests.slice(asked).filter(({ path }) => path.includes('/actions/runners?') && !path.includes('name='));
    const begun = (): HealthReport['started'] => reports.flatMap((report) => report.started);
    const endOfAll = (): Promise<unknown> =>
      Promise.all(begun().map(({ workflowId }) => world.client.workflow.getHandle(workflowId).result()));
    // A runner without its configuration shows an inactive service as well.
    expect(reports[0]?.withheld).toContainEqual(
      expect.objectContaining({ runner: `${config!.scope}/${config!.runner}`, reason: 'one-at-a-time' }),
    );
    await endOfAll();
    while (begun().length < 5 && reports.length < 4) {
      reports.push(await world.pass());
      await endOfAll();
    }
    const started = begun();
    expect(started.map(({ runner }) => runner).toSorted(), JSON.stringify(reports.map(({ withheld }) => withheld))).toEqual(
      Object.values(breaks)
        .map((target) => `${target!.scope}/${target!.runner}`)
        .toSorted(),
    );
    expect(reports[0]?.figures).toMatchObject({ runners: 100, healthy: 95 });
    // Those that name a runner are the cures' own.
    expect(lists).toHaveLength(1);
    expect(await check(world)).toMatchObject({ outcome: 'healthy', figures: { runners: 100, healthy: 100 } });
  });
});
