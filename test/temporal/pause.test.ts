import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import type { ClockReport } from '../../src/domain/report.ts';
import { startWorld, type World, type WorldOptions } from '../kit/recovery-world.ts';

const CALL = { signal: new AbortController().signal, heartbeat: () => {} };
const TWO_HOURS_MS = 7_200_000;

/** A runner that GitHub calls offline although its listener lives, as one that connects again: it may get a job at any moment. */
async function reconnecting(options: WorldOptions = {}): Promise<World> {
  const world = await startWorld(options);
  world.github.showRunner(world.target.scope, world.target.runner, { status: 'offline' });
  return world;
}

/** GitHub gives the runner a job that lasts until the test ends it, and shows it busy from then on. */
async function giveJob(world: World): Promise<number> {
  const { github, target } = world;
  const job = github.giveJob(target.scope, target.runner, { seconds: 3_600 });
  await world.until(() => github.runners(target.scope)[0]?.busy === true, 'GitHub has given the job');
  // Until it has arrived, which a paused listener tells nobody.
  await sleep(200);
  return job;
}

async function isUntouched(world: World, job: number): Promise<void> {
  await world.until(async () => {
    const { guest } = await world.machine.observe(world.target, CALL);
    return guest.known && guest.value.workers === 1;
  }, 'its job runs');
  await world.machine.endJob(world.target);
  await world.until(() => world.github.job(job).result === 'Succeeded', 'its job succeeds');
  expect(world.machine.isAside(world.target)).toBe(false);
}

/** Counts what was asked of the machine. */
function callsOf({ machine }: World, ...steps: readonly ('pause' | 'letGo' | 'setConfigurationAside' | 'syncClock')[]): string[] {
  const calls: string[] = [];
  for (const step of steps) {
    const original = (machine[step] as (...given: unknown[]) => Promise<never>).bind(machine);
    (machine as unknown as Record<string, unknown>)[step] = (...given: unknown[]) => {
      calls.push(step);
      return original(...given);
    };
  }
  return calls;
}

describe.concurrent('a listener that lives is paused, GitHub is asked, and only then it is stopped:', () => {
  test('one that stays idle is set up anew; one that is dead costs no pause', async () => {
    await using world = await reconnecting();
    const calls = callsOf(world, 'pause', 'letGo', 'setConfigurationAside');
    const handle = await world.recover();
    await world.until(() => calls.includes('setConfigurationAside'), 'it is stopped');
    world.github.showRunner(world.target.scope, world.target.runner, {});
    expect(await handle.result()).toMatchObject({ outcome: 'recovered' });
    expect(calls).toEqual(['pause', 'setConfigurationAside']);

    await world.machine.break('service', world.target);
    await world.until(() => world.shown() === 'offline', 'GitHub shows it offline');
    calls.length = 0;
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
    expect(calls).toEqual(['setConfigurationAside']);
  });

  test.each(['pause', 'setConfigurationAside'] as const)('a job that is given to it right before %s is not cut', async (step) => {
    await using world = await reconnecting();
    const original = (world.machine[step] as (...given: unknown[]) => Promise<never>).bind(world.machine);
    let job = 0;
    (world.machine as unknown as Record<string, unknown>)[step] = async (...given: unknown[]) => {
      job ||= await giveJob(world);
      return original(...given);
    };
    const report = await (await world.recover()).result();
    expect(report, report.summary).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('wait for the job to end') });
    await isUntouched(world, job);
  });

  test('a job that is given to it while it is paused, before GitHub is asked, is not cut', async () => {
    await using world = await reconnecting();
    const pause = world.machine.pause.bind(world.machine);
    let job = 0;
    world.machine.pause = async (...given) => {
      const answer = await pause(...given);
      job = await giveJob(world);
      return answer;
    };
    const calls = callsOf(world, 'letGo', 'setConfigurationAside');
    const report = await (await world.recover()).result();
    expect(report, report.summary).toMatchObject({
      outcome: 'refused-busy',
      summary: expect.stringContaining('GitHub calls the runner busy'),
    });
    expect(calls).toEqual(['letGo']);
    await isUntouched(world, job);
  });

  test('it is let go at once where GitHub can not be asked meanwhile, and where a person cancels', async () => {
    await using world = await reconnecting({ policy: { busyAnswerMaxAgeMs: 1_000 } });
    const calls = callsOf(world, 'letGo', 'setConfigurationAside');
    const pause = world.machine.pause.bind(world.machine);
    let end = (): void => {};
    world.machine.pause = async (...given) => {
      const answer = await pause(...given);
      end = world.github.misbehave({ match: { path: '/actions/runners' }, status: 503 });
      return answer;
    };
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'failed',
      summary: expect.stringContaining('GitHub could not be asked'),
    });
    end();
    expect(calls).toEqual(['letGo']);

    world.machine.pause = async (...given) => {
      const answer = await pause(...given);
      await handle.cancel();
      return answer;
    };
    const handle = await world.recover();
    await expect(handle.result()).rejects.toThrow('cancelled');
    expect(calls).toEqual(['letGo', 'letGo']);
    await isUntouched(world, await giveJob(world));
  });

  test('one that stays paused while each word is too old is let go, and what is slow is told', async () => {
    await using world = await reconnecting();
    const calls = callsOf(world, 'letGo');
    let asked = 0;
    world.machine.setConfigurationAside = async () => {
      asked += 1;
      return { kind: 'ask-again' } as never;
    };
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'failed',
      summary: expect.stringMatching(/older than 30 s each time.*is slow/),
    });
    expect([asked, calls]).toEqual([3, ['letGo']]);
  });

  test('one that can not be paused just now is tried again', async () => {
    await using world = await reconnecting({ policy: { hostSilentAfterMs: 20_000 } });
    const pause = world.machine.pause.bind(world.machine);
    let tries = 0;
    world.machine.pause = async (...given) => {
      tries += 1;
      return tries < 3 ? { kind: 'not-paused', evidence: 'the runner started or ended a process meanwhile' } : pause(...given);
    };
    const set = world.machine.setConfigurationAside.bind(world.machine);
    world.machine.setConfigurationAside = async (...given) => {
      world.github.showRunner(world.target.scope, world.target.runner, {});
      return set(...given);
    };
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
    expect(tries).toBe(3);
  });

  test('a person who forces goes past all of it', async () => {
    await using world = await startWorld();
    world.github.giveJob(world.target.scope, world.target.runner, { seconds: 3_600 });
    await world.until(() => world.github.runners(world.target.scope)[0]?.busy === true, 'the job runs');
    const calls = callsOf(world, 'pause', 'letGo', 'setConfigurationAside');
    const report = await (await world.recover({ runner: world.target.runner, force: true })).result();
    expect(report.outcome, report.summary).toBe('recovered');
    expect(calls).toEqual(['setConfigurationAside']);
  });
});

describe.concurrent("GitHub's word has its age:", () => {
  test('one that is too old each time ends the operation, with what is slow, and the machine is free', async () => {
    await using world = await startWorld({ policy: { busyAnswerMaxAgeMs: 400, hostSilentAfterMs: 2_000 } });
    await world.machine.break('service', world.target);
    await world.until(() => world.shown() === 'offline', 'GitHub shows it offline');
    world.github.misbehave({ match: { path: '/actions/runners' }, delayMs: 600 });
    const calls = callsOf(world, 'setConfigurationAside');
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringMatching(/older than 0\.4 s each time.*GitHub.*is slow/) });
    expect(calls).toEqual([]);
    expect(world.machine.isAside(world.target)).toBe(false);
  });

  test('an attempt that follows a failed one does not act on the word that the first one had', async () => {
    await using world = await startWorld({ policy: { busyAnswerMaxAgeMs: 300, hostSilentAfterMs: 5_000 } });
    const { github, machine, target } = world;
    await machine.setClock(target.machine, TWO_HOURS_MS);
    await world.until(() => world.shown() === 'offline', 'GitHub shows it offline');
    const sync = machine.syncClock.bind(machine);
    const whileBusy: boolean[] = [];
    machine.syncClock = async (...given) => {
      whileBusy.push(github.runners(target.scope)[0]?.busy === true);
      if (whileBusy.length === 1) {
        github.showRunner(target.scope, target.runner, { busy: true });
        await sleep(400);
        throw new Error('the connection was lost');
      }
      return sync(...given);
    };
    const handle = await world.client.workflow.start<() => Promise<ClockReport>>('syncClock', {
      workflowId: `clock-${target.runner}`,
      taskQueue: MAIN_QUEUE,
      args: [{ runner: target.runner }] as never,
    });
    expect(await handle.result()).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('GitHub calls') });
    expect(whileBusy).toEqual([false]);
    const { guest } = await machine.observe(target, CALL);
    expect(guest).toMatchObject({ known: true, value: { clockOffsetMs: TWO_HOURS_MS } });
  });
});

describe.concurrent('a pause', () => {
  test('that was lost once and can not be made any more is tried with a wait between, until its deadline', async () => {
    await using world = await reconnecting({ policy: { hostSilentAfterMs: 3_000, guestPollMs: 500 } });
    const { machine } = world;
    const pause = machine.pause.bind(machine);
    let pauses = 0;
    machine.pause = async (...given) => {
      pauses += 1;
      return pauses === 1 ? pause(...given) : { kind: 'not-paused', evidence: 'what takes jobs does not stand still' };
    };
    machine.setConfigurationAside = async () => ({ kind: 'not-paused', evidence: 'it was let go' });
    const handle = await world.recover();
    expect(await handle.result()).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('could not be paused') });
    // The first, the one that replaces it, and one for each wait.
    expect(pauses).toBeLessThanOrEqual(2 + 3_000 / 500);
  });

  /** Once it is paused GitHub's list lacks the runner, which has a job without a worker yet, and nobody knows an id of it. */
  async function unlistedOncePaused(world: World): Promise<void> {
    const { machine, github, target } = world;
    const pause = machine.pause.bind(machine);
    machine.pause = async (...given) => {
      const answer = await pause(...given);
      github.showRunner(target.scope, target.runner, { busy: true, isUnlisted: true });
      return answer;
    };
  }

  test('is no moment to act in while GitHub lists no such runner: a drain waits', async () => {
    await using world = await startWorld({ policy: { drainPollMs: 200 } });
    await unlistedOncePaused(world);
    const pauses = callsOf(world, 'pause', 'letGo');
    const { client, target } = world;
    const args = [{ runner: target.runner }];
    const handle = await client.workflow.start('drainRunner', { workflowId: `drain-${target.runner}`, taskQueue: MAIN_QUEUE, args });
    await world.until(() => pauses.filter((call) => call === 'letGo').length > 1, 'it was paused and let go twice');
    const { guest } = await world.machine.observe(target, CALL);
    expect(guest.known && guest.value.service.state).toBe('active');
    await handle.terminate();
  });

  test('is no moment to act in while GitHub lists no such runner: a recovery leaves it alone', async () => {
    await using world = await reconnecting({ policy: { hostSilentAfterMs: 1_000 } });
    await unlistedOncePaused(world);
    const calls = callsOf(world, 'setConfigurationAside');
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('lists lag') });
    expect(calls).toEqual([]);
  });
});
