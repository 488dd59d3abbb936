import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import { providerHangsReason } from '../../src/domain/provider.ts';
import { MachineError } from '../../src/machine/port.ts';
import { withoutTime } from '../kit/observations.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

describe.concurrent('what is refused leaves the runner as it was', () => {
  test('a job that runs', async () => {
    await using world = await startWorld();
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
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.github.showRunner(world.target.scope, world.target.runner, { busy: true });
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'refused-busy',
      summary: expect.stringContaining('GitHub calls the runner busy'),
    });
    expect(await (await world.recover({ runner: world.target.runner, force: true })).result()).toMatchObject({ outcome: 'recovered' });
  });

  test('a token without the permission to register', async () => {
    await using world = await startWorld({ token: { permissions: { administration: 'read' } } });
    await breakRunner(world, 'service');
    const before = await observe(world);
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('administration=write') });
    expect(report.steps.find(({ name }) => name === 'registration-token')?.status).toBe('failed');
    expect(report.steps.find(({ name }) => name === 'config-cleanup')).toMatchObject({ status: 'skipped', detail: 'not reached' });
    expect(await observe(world)).toEqual(before);
  });

  test('GitHub out of order', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.github.misbehave({ match: { path: '/actions/runners' }, status: 503 });
    const before = await observe(world);
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'failed',
      unreachable: 'github',
      summary: expect.stringContaining('nothing was touched'),
    });
    expect(await observe(world)).toEqual(before);
  });

  test('a provider that hangs: asked twice, and told with its likely cause and how its daemon is restarted', async () => {
    await using world = await startWorld();
    let looks = 0;
    world.machine.observe = async () => {
      looks += 1;
      throw new MachineError('provider-hangs', `list instances: ${providerHangsReason(15)}`);
    };
    const report = await (await world.recover({ runner: world.target.runner, force: true })).result();
    expect(report).toMatchObject({
      outcome: 'failed',
      unreachable: 'machine',
      summary: expect.stringMatching(/nothing was touched.*guest whose SSH is dead.*snap restart multipass.*kickstart.*systemctl restart/),
    });
    expect(report.steps.every(({ status }) => status === 'skipped')).toBe(true);
    expect(looks).toBe(2);
  });

  test('a look that never ends', async () => {
    await using world = await startWorld();
    world.machine.observe = async (_target, { signal, heartbeat }) => {
      const beat = setInterval(() => heartbeat('list instances'), 100);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      clearInterval(beat);
      throw signal.reason;
    };
    const { outcome, unreachable, summary } = await (await world.recover()).result();
    expect({ outcome, unreachable }).toEqual({ outcome: 'failed', unreachable: 'machine' });
    expect(summary).toContain('the look at the machine did not end in time (list instances)');
  });

  test('another runner in the configured directory', async () => {
    await using world = await startWorld();
    const stranger = { ...world.target, runner: 'real' };
    await world.machine.install(stranger, world.github.addRunner(world.target.scope, { name: 'real' }));
    const before = await observe(world);
    const report = await (await world.recover({ runner: world.target.runner, force: true })).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('holds runner real of') });
    expect(await observe(world)).toEqual(before);
  });

  test('a machine out of reach where GitHub sees a job go on', async () => {
    await using world = await startWorld();
    const bootId = await bootOf(world);
    world.machine.cutOff(world.target.machine);
    world.github.showRunner(world.target.scope, world.target.runner, { status: 'online', busy: true });
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'refused-busy',
      summary: expect.stringContaining('online and busy'),
    });
    world.machine.reconnect(world.target.machine);
    expect(await bootOf(world)).toBe(bootId);
  });

  test('a name that is alive on another machine, even with force', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.github.showRunner(world.target.scope, world.target.runner, { status: 'online' });
    const before = await observe(world);
    const report = await (await world.recover({ runner: world.target.runner, force: true })).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('it is alive on another machine') });
    expect(await observe(world)).toEqual(before);
  });

  test.each(['takeFence', 'setConfigurationAside'] as const)(
    'a guest that is not fit for %s, at once and with what to do',
    async (step) => {
      await using world = await startWorld();
      await breakRunner(world, 'service');
      let asked = 0;
      world.machine[step] = async () => {
        asked += 1;
        return { kind: 'refused-unfit', evidence: 'the disk is full: make room' };
      };
      const before = await observe(world);
      const report = await (await world.recover()).result();
      expect(report).toMatchObject({ outcome: 'failed', summary: `${world.target.machine}: the disk is full: make room` });
      expect(asked).toBe(1);
      expect(await observe(world)).toEqual(before);
    },
  );

  test('an operator who only watches', async () => {
    await using world = await startWorld({ mode: 'watch' });
    await breakRunner(world, 'service');
    const before = await observe(world);
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'refused-watching' });
    expect(await observe(world)).toEqual(before);
  });
});

describe.concurrent('a failure on the way', () => {
  test('after the clean-up puts the old configuration back while its registration stands', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.github.misbehave({ match: { path: '/actions/runner-registration' }, status: 404 });
    const report = await (await world.recover()).result();
    expect(report.outcome).toBe('failed');
    expect(report.summary).toMatch(/Runner.Listener configure exited 1: Http response code: 404.*The old configuration was put back/);
    expect(report.steps.find(({ name }) => name === 'reconfigure')?.status).toBe('failed');
    await world.until(() => world.shown() === 'online', 'the old registration is online again');
  });

  test('a disk that is full by then puts the old configuration back without asking for more tokens', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.machine.configure = async () => ({ kind: 'refused-unfit', evidence: 'the disk is full: make room' });
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringMatching(/the disk is full: make room.*was put back/) });
    expect(world.github.requests.filter(({ path }) => path.includes('registration-token'))).toHaveLength(1);
    await world.until(() => world.shown() === 'online', 'the old registration is online again');
  });

  test('asks for no other token if one is refused that still lives, however often the programs in the guest say so', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'registration');
    world.github.misbehave({ match: { path: '/actions/runner-registration' }, status: 404 });
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'failed' });
    expect(world.github.registrationTokens()).toHaveLength(1);
  });

  test('asks for one more token if one is refused after its end, and for no third', async () => {
    const registrationTokenLifetimeMs = 1_500;
    await using world = await startWorld({ registrationTokenLifetimeMs });
    await breakRunner(world, 'registration');
    const { machine } = world;
    const configure = machine.configure.bind(machine);
    machine.configure = async (...given) => {
      await sleep(registrationTokenLifetimeMs + 1_000); // GitHub's own clock has whole seconds
      return configure(...given);
    };
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'failed',
      summary: expect.stringContaining('Runner.Listener configure exited 1'),
    });
    expect(world.github.registrationTokens()).toHaveLength(2);
  });

  test('asks for no other token if something else was refused, also after its end', async () => {
    const registrationTokenLifetimeMs = 1_500;
    await using world = await startWorld({ registrationTokenLifetimeMs });
    await breakRunner(world, 'service');
    world.machine.configure = async () => {
      await sleep(registrationTokenLifetimeMs + 1_000); // GitHub's own clock has whole seconds
      return { kind: 'not-configured', exitCode: 1, evidence: 'the token is bad, give me another', reason: 'other' };
    };
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'failed' });
    expect(world.github.registrationTokens()).toHaveLength(1);
  });

  test('does not go back once config.sh has registered, although its answer was lost', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    const { machine } = world;
    const configure = machine.configure.bind(machine);
    machine.configure = async (...given) => {
      await configure(...given);
      throw new MachineError('protocol', 'the answer is lost');
    };
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({
      outcome: 'failed',
      summary: expect.stringContaining('The runner is registered anew and its service was started'),
    });
    await world.until(() => world.shown() === 'online', 'the new registration is online');
  });

  test("somebody else's act in the middle, who has no right to what lies aside: the old configuration is put back", async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.machine.configure = async () => ({ kind: 'refused-in-progress', holder: 'another Runward' });
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({
      outcome: 'refused-in-progress',
      summary: expect.stringContaining('The old configuration was put back and its service started'),
    });
    expect(world.machine.isAside(world.target)).toBe(false);
    await world.until(() => world.shown() === 'online', 'the old registration is online');
  });

  test('GitHub limited for a while only makes it wait', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    world.github.misbehave({ match: { path: 'registration-token' }, status: 429, times: 1, headers: { 'retry-after': '2' } });
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
  });
});

async function bootOf(world: World): Promise<unknown> {
  return ((await observe(world)) as { bootId: string }).bootId;
}

async function observe(world: World): Promise<unknown> {
  const { guest } = await world.machine.observe(world.target, { signal: new AbortController().signal, heartbeat: () => {} });
  return withoutTime(guest);
}

test.each(['provisionRunner', 'registerRunner', 'upgradeRunner', 'retireRunner'])(
  '%s, which is not there yet, says so at once',
  async (type) => {
    await using world = await startWorld();
    const execution = world.client.workflow.execute(type, {
      workflowId: `${type}/${world.target.runner}`,
      taskQueue: MAIN_QUEUE,
      args: [{ runner: world.target.runner }],
    });
    await expect(execution).rejects.toMatchObject({ cause: { message: `${type} is planned, but not in this version of Runward` } });
  },
);
