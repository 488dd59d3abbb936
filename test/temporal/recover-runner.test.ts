import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { machineLedgerId, machineLockId } from '../../src/domain/names.ts';
import { DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';
import { unknown } from '../../src/domain/reading.ts';
import { RECOVERY_STEPS, type Progress, type RecoveryReport } from '../../src/domain/report.ts';
import { MachineError } from '../../src/machine/port.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

describe.concurrent('a broken runner', () => {
  test.each(['service', 'registration', 'clock', 'vm', 'config', 'listener'] as const)(
    '(%s) is online again after the six steps',
    async (how) => {
      await using world = await startWorld();
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

  test('(machine off) is back once its machine is started, where it takes a job at once', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'vm');
    const run = world.github.queueRun(world.target.scope, { jobs: [{ labels: ['self-hosted', 'bpf-lsm'], seconds: 3_600 }] });
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
    expect(report.steps[0]?.detail).toBe('machine started; the runner has taken a job');
    expect(report.steps.slice(1).every(({ status }) => status === 'skipped')).toBe(true);
    await world.machine.endJob(world.target);
    await world.until(() => world.github.run(run).conclusion === 'success', 'the job is over');
  });

  test('(machine out of reach) is restarted and online again', async () => {
    await using world = await startWorld();
    world.machine.cutOff(world.target.machine);
    await world.until(() => world.shown() !== 'online', 'GitHub shows the runner offline');
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
    expect(report.steps[0]).toMatchObject({
      name: 'time-sync',
      status: 'done',
      detail: expect.stringContaining('machine restarted; clock'),
    });
    expect(report.evidence.join()).toContain('guest: unknown');
  });

  test('(machine out of reach) is restarted also where each look lasts longer than a computer may have slept between two', async () => {
    await using world = await startWorld({ policy: { lookGapMs: 1_500 } });
    world.machine.cutOff(world.target.machine);
    await world.until(() => world.shown() !== 'online', 'GitHub shows the runner offline');
    const observe = world.machine.observe.bind(world.machine);
    world.machine.observe = async (...given) => {
      await sleep(1_600);
      return observe(...given);
    };
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
  });

  test('(machine that can not be restarted) is tried three times, each time told with why, and left to a person with what to do', async () => {
    await using world = await startWorld();
    const { machine, target } = world;
    machine.cutOff(target.machine);
    await world.until(() => world.shown() !== 'online', 'GitHub shows the runner offline');
    const stop = `multipass stop --force ${target.machine}`;
    const told: string[] = [];
    const handle = await world.recover();
    machine.restart = async () => {
      told.push((await handle.query<Progress>('progress')).doing);
      throw new MachineError('unreachable', `\`${stop}\` exited 2`, { evidence: 'stop failed: instance is busy' });
    };
    const why = `restart of machine ${target.machine} failed: \`${stop}\` exited 2: stop failed: instance is busy`;
    let between = '';
    await world.until(async () => {
      between = (await handle.query<Progress>('progress')).doing;
      return between.includes('trying again, time 2 of 3');
    }, 'the failure shows while it is looked again');
    expect(between.startsWith(`${why}; trying again, time 2 of 3; machine`), between).toBe(true);
    const report = await handle.result();
    expect(told).toEqual([
      `restarting machine ${target.machine}`,
      `${why}; restarting it, time 2 of 3`,
      `${why}; restarting it, time 3 of 3`,
    ]);
    expect(report.outcome).toBe('failed');
    expect(report.summary).toContain(`${why} (time 3 of 3); look with \`multipass list --no-ipv4\`, and try \`${stop}\``);
    expect(report.summary).toContain('snap restart multipass');
    expect(report.evidence.filter((line) => line.startsWith(why))).toEqual([1, 2, 3].map((time) => `${why} (time ${time} of 3)`));
  });

  test('(machine that starts into an unknown state) has its power cut, once no job can run there, and is online again', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'vm');
    const { machine } = world;
    let isLost = false;
    let lookedAt = 0;
    const observe = machine.observe.bind(machine);
    const restart = machine.restart.bind(machine);
    machine.start = async () => {
      isLost = true;
      throw new MachineError('unreachable', 'start m: multipass exited 2', { evidence: 'timed out waiting for response' });
    };
    machine.observe = async (...given) => {
      const seen = await observe(...given);
      lookedAt += isLost ? 1 : 0;
      return isLost ? { ...seen, state: 'unknown', guest: unknown('it is in state unknown') } : seen;
    };
    machine.restart = async (...given) => {
      expect(lookedAt).toBeGreaterThan(1);
      isLost = false;
      Reflect.deleteProperty(machine, 'start');
      return restart(...given);
    };
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
    expect(world.shown()).toBe('online');
  });

  test('leaves an audit: search attributes, ledger, lock gone', async () => {
    await using world = await startWorld();
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
    await using world = await startWorld({ pace: 0.5 });
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

describe.concurrent('whatever a person types', () => {
  test.each([
    ['an unknown runner', { runner: 'nobody' }, /no runner "nobody" is configured; choose one of r[\d-]+/],
    ['text', 'r1', /takes an object such as/],
    ['a strange field', { runner: 'r1', wiat: '1m' }, /does not know wiat/],
  ])('%s fails at the first try and says what is allowed', async (_name, input, message) => {
    await using world = await startWorld();
    const handle = await world.recover(input);
    const failure = await handle.result().then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    expect(messages(failure as Error)).toMatch(message);
    const { events } = await handle.fetchHistory();
    const tries = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? []);
    expect(tries.every((attempt) => attempt === 1)).toBe(true);
    expect((events ?? []).some(({ timerStartedEventAttributes: timer }) => timer != null)).toBe(false);
  });
});

// Alone, since other worlds have runners too.
describe('whatever a person types who has one runner', () => {
  test.each([
    ['nothing', undefined],
    ['null', null],
    ['an empty object', {}],
  ])('%s means the only runner that is configured', async (_name, input) => {
    await using world = await startWorld();
    const handle = await world.client.workflow.start('recoverRunner', {
      workflowId: `typed-${Math.random()}`,
      taskQueue: 'runward',
      args: input === undefined ? [] : [input],
    });
    expect(await handle.result()).toMatchObject({ outcome: 'already-healthy', runner: world.target.runner });
  });
});

// Alone, since it ends the workers of all worlds.
test('a broken runner (machine out of reach, and nobody there to look) is given its time anew', async () => {
  const look = { ...DEFAULT_RECOVERY_POLICY.limits.look, heartbeat: '3s' } as const;
  await using world = await startWorld({
    policy: { guestAnswersWithinMs: 4_000, hostSilentAfterMs: 20_000, limits: { ...DEFAULT_RECOVERY_POLICY.limits, look } },
  });
  const bootId = await bootOf(world);
  world.machine.cutOff(world.target.machine);
  await world.until(() => world.shown() !== 'online', 'GitHub shows the runner offline');
  const handle = await world.recover();
  await world.until(async () => /looking again/.test((await handle.query<Progress>('progress')).doing), 'it looks again');
  await world.restartWorkers({ afterMs: 5_000 });
  const again = world.client.workflow.getHandle<() => Promise<RecoveryReport>>(handle.workflowId);
  await world.until(async () => /looking again/.test((await again.query<Progress>('progress')).doing), 'it looks again');
  world.machine.reconnect(world.target.machine);
  // Whether GitHub shows the runner online by the next look is its own affair.
  const report = await again.result();
  expect(['already-healthy', 'recovered']).toContain(report.outcome);
  expect(report.steps[0]?.detail).not.toContain('restarted');
  expect(await bootOf(world)).toBe(bootId);
});

async function bootOf(world: World): Promise<string | null> {
  const { guest } = await world.machine.observe(world.target, { signal: new AbortController().signal, heartbeat: () => {} });
  return guest.known ? guest.value.bootId : null;
}

function messages(error: Error): string {
  return error.cause instanceof Error ? `${error.message} | ${messages(error.cause)}` : error.message;
}
