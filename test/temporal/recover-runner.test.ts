import { WorkflowFailedError } from '@temporalio/client';
import { afterEach, describe, expect, test } from 'vitest';
import { machineLedgerId, machineLockId } from '../../src/domain/names.ts';
import { RECOVERY_STEPS, type Progress } from '../../src/domain/report.ts';
import { breakRunner, startWorld, type World, type WorldOptions } from '../kit/recovery-world.ts';

let world: World;

async function open(options?: WorldOptions): Promise<World> {
  world = await startWorld(options);
  return world;
}

afterEach(() => world.close());

describe('a broken runner', () => {
  test.each(['service', 'registration', 'clock', 'vm', 'config', 'listener'] as const)(
    '(%s) is online again after the six steps',
    async (how) => {
      await open();
      await breakRunner(world, how);
      const report = await (await world.recover()).result();
      expect(report.outcome, report.summary).toBe('recovered');
      expect(report.steps.map(({ name }) => name)).toEqual(RECOVERY_STEPS);
      const skipped = how === 'clock' || how === 'vm' ? [] : ['time-sync'];
      expect(report.steps.filter(({ status }) => status === 'skipped').map(({ name }) => name)).toEqual(skipped);
      expect(report.rungs).toEqual([]);
      await world.until(() => world.shown() === 'online', 'the runner is online');

      const again = await (await world.recover()).result();
      expect(again.outcome).toBe('already-healthy');
      expect(again.steps.every(({ status, attempts }) => status === 'skipped' && attempts === 0)).toBe(true);
    },
  );

  test('leaves an audit: search attributes, ledger, lock gone', async () => {
    await open();
    await breakRunner(world, 'service');
    const handle = await world.recover({ runner: world.target.runner, reason: 'morning' });
    await handle.result();
    const { typedSearchAttributes } = await handle.describe();
    expect(Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]))).toMatchObject({
      RunwardRunner: world.target.runner,
      RunwardScope: world.target.scope,
      RunwardOutcome: 'recovered',
      RunwardTrigger: 'manual',
    });
    const { host, machine } = world.target;
    const ledger = await world.client.workflow.getHandle(machineLedgerId(host, machine)).describe();
    expect(ledger.memo?.['entries']).toMatchObject([
      { type: 'recoverRunner', trigger: 'manual', outcome: 'recovered', workflowId: handle.workflowId },
    ]);
    const lock = await world.client.workflow.getHandle(machineLockId(host, machine)).describe();
    expect(lock.status.name).not.toBe('RUNNING');
  });

  test('shows its progress while it works', async () => {
    await open({ pace: 0.5 });
    await breakRunner(world, 'service');
    const handle = await world.recover();
    await world.until(
      async () => (await handle.query<Progress>('progress')).steps.some(({ status }) => status === 'running'),
      'a step is running',
    );
    const progress = await handle.query<Progress>('progress');
    expect(progress).toMatchObject({ runner: world.target.runner, outcome: null });
    expect(progress.steps.map(({ name }) => name)).toEqual(RECOVERY_STEPS);
    await handle.result();
    expect(await handle.query<Progress>('progress')).toMatchObject({ outcome: 'recovered' });
  });
});

describe('what is refused leaves the runner as it was', () => {
  test('a job that runs', async () => {
    await open();
    world.github.giveJob(world.target.scope, world.target.runner, { seconds: 60 });
    await world.until(() => world.github.runners(world.target.scope)[0]?.busy === true, 'the job runs');
    const report = await (await world.recover({ runner: world.target.runner, force: false })).result();
    // The runner is healthy and busy; what counts is that neither is touched.
    expect(report.outcome).toBe('already-healthy');
    world.github.showRunner(world.target.scope, world.target.runner, { status: 'offline', busy: false });
    const refused = await (await world.recover()).result();
    expect(refused).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('Runner.Worker') });
    world.github.showRunner(world.target.scope, world.target.runner, {});
    expect(world.shown()).toBe('online');
  });

  test('a job that GitHub alone knows of', async () => {
    await open();
    await breakRunner(world, 'service');
    world.github.showRunner(world.target.scope, world.target.runner, { busy: true });
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'refused-busy',
      summary: expect.stringContaining('GitHub calls the runner busy'),
    });
    expect(await (await world.recover({ runner: world.target.runner, force: true })).result()).toMatchObject({ outcome: 'recovered' });
  });

  test('a token without the permission to register', async () => {
    await open({ token: { permissions: { administration: 'read' } } });
    await breakRunner(world, 'service');
    const before = await observe();
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('administration=write') });
    expect(report.steps.find(({ name }) => name === 'registration-token')?.status).toBe('failed');
    expect(report.steps.find(({ name }) => name === 'config-cleanup')).toMatchObject({ status: 'skipped', detail: 'not reached' });
    expect(await observe()).toEqual(before);
  });

  test('GitHub out of order', async () => {
    await open();
    await breakRunner(world, 'service');
    world.github.misbehave({ match: { path: '/actions/runners' }, status: 503 });
    const before = await observe();
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'failed',
      summary: expect.stringContaining('nothing was touched'),
    });
    expect(await observe()).toEqual(before);
  });

  test('an operator who only watches', async () => {
    await open({ mode: 'watch' });
    await breakRunner(world, 'service');
    const before = await observe();
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'refused-watching' });
    expect(await observe()).toEqual(before);
  });

  async function observe(): Promise<unknown> {
    const { guest } = await world.machine.observe(world.target, { signal: new AbortController().signal, heartbeat: () => {} });
    return guest;
  }
});

describe('a failure on the way', () => {
  test('after the clean-up puts the old configuration back while its registration stands', async () => {
    await open();
    await breakRunner(world, 'service');
    world.github.misbehave({ match: { path: '/actions/runner-registration' }, status: 404 });
    const report = await (await world.recover()).result();
    expect(report.outcome).toBe('failed');
    expect(report.summary).toMatch(/3 tokens tried.*The old configuration was put back/);
    expect(report.steps.find(({ name }) => name === 'reconfigure')?.status).toBe('failed');
    await world.until(() => world.shown() === 'online', 'the old registration is online again');
  });

  test('asks for another token when one is refused', async () => {
    await open();
    await breakRunner(world, 'registration');
    world.github.misbehave({ match: { path: '/actions/runner-registration' }, status: 404, times: 2 });
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
    expect(world.github.requests.filter(({ path }) => path.includes('registration-token'))).toHaveLength(3);
  });

  test('GitHub limited for a while only makes it wait', async () => {
    await open();
    await breakRunner(world, 'service');
    world.github.misbehave({ match: { path: 'registration-token' }, status: 429, times: 1, headers: { 'retry-after': '2' } });
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
  });
});

describe('whatever a person types', () => {
  test.each([
    ['an unknown runner', { runner: 'nobody' }, /no runner "nobody" is configured; choose one of r[\d-]+/],
    ['text', 'r1', /takes an object such as/],
    ['a strange field', { runner: 'r1', wiat: '1m' }, /does not know wiat/],
  ])('%s fails within seconds and says what is allowed', async (_name, input, message) => {
    await open();
    const begun = Date.now();
    const handle = await world.recover(input);
    const failure = await handle.result().then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    expect(messages(failure as Error)).toMatch(message);
    expect(Date.now() - begun).toBeLessThan(5_000);
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['an empty object', {}],
  ])('%s means the only runner that is configured', async (_name, input) => {
    await open();
    const handle = await world.client.workflow.start('recoverRunner', {
      workflowId: `typed-${Math.random()}`,
      taskQueue: 'runward',
      args: input === undefined ? [] : [input],
    });
    expect(await handle.result()).toMatchObject({ outcome: 'already-healthy', runner: world.target.runner });
  });
});

function messages(error: Error): string {
  return error.cause instanceof Error ? `${error.message} | ${messages(error.cause)}` : error.message;
}
