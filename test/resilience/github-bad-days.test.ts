// Whatever GitHub answers on its bad days, a recovery ends well, and its limits are kept.

import { describe, expect, test } from 'vitest';
import type { Progress } from '../../src/domain/report.ts';
import type { Fault, Match } from '../../src/sandbox/github/server.ts';
import { withoutTime } from '../kit/observations.ts';
import { breakRunner, QUICK_POLICY, startHost, startWorld, type World, type WorldOptions } from '../kit/recovery-world.ts';

const LIST: Match = { method: 'GET', path: /\/actions\/runners$/ };
const ONE: Match = { method: 'GET', path: /\/actions\/runners\/\d+$/ };
const TOKEN: Match = { method: 'POST', path: '/registration-token' };
const EXCHANGE: Match = { method: 'POST', path: '/actions/runner-registration' };

const FAULTS: readonly Fault[] = [{ kind: 'page', status: 502 }, { kind: 'page', status: 200 }, { kind: 'cut' }, { kind: 'lost' }];

/** Every question of a recovery to GitHub, but the one that it asks on the way back. */
const QUESTIONS: readonly (readonly [string, { readonly match: Match; readonly from?: Match }])[] = [
  ['how GitHub sees the runner', { match: LIST }],
  ['for a token', { match: TOKEN }],
  ['whether the runner is busy, before it is taken down', { match: LIST, from: LIST }],
  ['whether config.sh may register', { match: EXCHANGE }],
  ['by config.sh, to register', { match: { method: 'POST', path: '/_service/runners' } }],
  ['whether the runner is online', { match: ONE }],
];

/** Limits are waited for by the workflow where the attempts of an activity do not outlast them. */
const WAITING_IN_THE_WORKFLOW: WorldOptions = {
  policy: { limits: { ...QUICK_POLICY.limits, verify: { ...QUICK_POLICY.limits.verify, scheduleToClose: '3s', startToClose: '3s' } } },
};
const LIMIT_MS = 5_000;

describe.concurrent('two bad answers', () => {
  for (const fault of FAULTS) {
    const kind = fault.kind === 'page' ? `page ${fault.status}` : fault.kind;
    test.each(QUESTIONS)(`(${kind}) to the question %s`, async (_, question) => {
      await inWorld({}, async (world) => {
        await breakRunner(world, 'service');
        world.github.misbehave({ ...question, fault, times: 2 });
        const report = await (await world.recover()).result();
        expect(report.outcome, report.summary).toBe('recovered');
        expect(faults(world)).toEqual([fault.kind, fault.kind]);
        await isWhole(world);
      });
    });

    test(`(${kind}) to the question whether the old registration stands`, async () => {
      await inWorld({}, async (world) => {
        await breakRunner(world, 'service');
        const end = world.github.misbehave({ match: EXCHANGE, status: 500 });
        world.github.misbehave({ match: LIST, from: EXCHANGE, fault, times: 2 });
        const report = await (await world.recover()).result();
        expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('The old configuration was put back') });
        expect(faults(world)).toEqual([fault.kind, fault.kind]);
        await isWhole(world);
        end();
        await breakRunner(world, 'service');
        expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
        await isWhole(world);
      });
    });
  }
});

describe.concurrent('a limit', () => {
  test.each([403, 429] as const)(
    'of the hour (%i), met after the clean-up, is waited for, and nothing is sent before its end',
    async (status) => {
      await inWorld(WAITING_IN_THE_WORKFLOW, async (world) => {
        await breakRunner(world, 'service');
        world.github.misbehave({ match: ONE, fault: { kind: 'primary-limit', resetMs: LIMIT_MS, status }, times: 1 });
        const handle = await world.recover();
        await world.until(async () => /limit/.test((await handle.query<Progress>('progress')).doing), 'it waits for the limit');
        const report = await handle.result();
        expect(report.outcome, report.summary).toBe('recovered');
        expect(refused(world)).toHaveLength(1);
        expect(await timers(world, handle.workflowId)).toContain("wait for GitHub's limit");
        await isWhole(world);
      });
    },
  );

  test('of the second kind without an end is waited for twice as long each time', async () => {
    await inWorld(WAITING_IN_THE_WORKFLOW, async (world) => {
      await breakRunner(world, 'service');
      world.github.misbehave({ match: ONE, fault: { kind: 'secondary-limit', lastsMs: LIMIT_MS, namesEnd: false }, times: 1 });
      const report = await (await world.recover()).result();
      expect(report.outcome, report.summary).toBe('recovered');
      // Two seconds, then four.
      expect(refused(world)).toHaveLength(2);
      await isWhole(world);
    });
  });

  test('makes nothing of what the machine said before it was waited for', async () => {
    await inWorld({}, async (world) => {
      const { github, machine, target } = world;
      machine.cutOff(target.machine);
      await world.until(() => world.shown() === 'offline', 'GitHub shows the runner offline');
      // Longer than a guest may be silent before its machine is restarted.
      github.misbehave({ match: LIST, fault: { kind: 'primary-limit', resetMs: 7_000 }, times: 1 });
      const handle = await world.recover();
      await world.until(() => refused(world).length > 0, 'the limit is met');
      machine.reconnect(target.machine);
      const before = await guest(world);
      const report = await handle.result();
      expect(report.outcome, report.summary).toBe('already-healthy');
      expect(await guest(world)).toEqual(before);
    });
  });

  test('that is short is waited for by the next attempt', async () => {
    await inWorld({}, async (world) => {
      await breakRunner(world, 'service');
      world.github.misbehave({ match: TOKEN, fault: { kind: 'secondary-limit', lastsMs: 2_000, namesEnd: true }, times: 1 });
      const handle = await world.recover();
      const report = await handle.result();
      expect(report.outcome, report.summary).toBe('recovered');
      // The token's, and GitHub's word that the runner is idle, which is asked for beside it and may meet the limit as well.
      expect(report.steps.find(({ name }) => name === 'registration-token')?.attempts).toBeGreaterThanOrEqual(3);
      expect(refused(world)).toHaveLength(1);
      expect(await timers(world, handle.workflowId)).toEqual([]);
    });
  });
});

describe.concurrent('a token', () => {
  test('that is refused leaves the runner as it was', async () => {
    await inWorld({}, async (world) => {
      await breakRunner(world, 'service');
      world.github.misbehave({ match: TOKEN, status: 403 });
      const before = await guest(world);
      const report = await (await world.recover()).result();
      expect(report).toMatchObject({
        outcome: 'failed',
        summary: expect.stringMatching(/registration-token \(403\).*"Administration: read and write"/),
      });
      expect(await guest(world)).toEqual(before);
      expect(world.machine.isAside(world.target)).toBe(false);
      expect(world.github.requests.filter(({ path }) => path.includes('registration-token'))).toHaveLength(1);
    });
  });

  test('that is refused when another is needed has the old configuration put back', async () => {
    await inWorld({}, async (world) => {
      await breakRunner(world, 'service');
      world.github.misbehave({ match: EXCHANGE, status: 404 });
      world.github.misbehave({ match: TOKEN, from: EXCHANGE, status: 403 });
      const report = await (await world.recover()).result();
      expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('The old configuration was put back') });
      await isWhole(world);
    });
  });

  test('that lives for seconds is used as long as it lives, and no other is asked for', async () => {
    await inWorld({ registrationTokenLifetimeMs: 30_000 }, async (world) => {
      await breakRunner(world, 'service');
      const report = await (await world.recover()).result();
      expect(report.outcome, report.summary).toBe('recovered');
      expect(world.github.registrationTokens()).toHaveLength(1);
      expect(world.github.requests.filter(({ path }) => path.endsWith('/runner-registration'))).toMatchObject([{ status: 200 }]);
      await isWhole(world);
    });
  });

  test('that expires while the host is down, before config.sh has used it, is replaced', async () => {
    await inWorld({ host: 'loft', pace: 0.5 }, async (world) => {
      let host = await startHost('loft');
      await breakRunner(world, 'service');
      const handle = await world.recover();
      await world.until(() => world.github.registrationTokens().length === 1, 'there is a token');
      world.github.clockOffsetMs = 65 * 60_000;
      await world.machine.setClock(world.target.machine, 65 * 60_000);
      await world.until(async () => isRunning(await handle.query<Progress>('progress'), 'reconfigure'), 'config.sh runs');
      await host.stop();
      host = await startHost('loft');
      const report = await handle.result();
      await host.stop();
      expect(report.outcome, report.summary).toBe('recovered');
      const exchanges = world.github.requests.filter(({ path }) => path.endsWith('/runner-registration'));
      expect(exchanges.map(({ status }) => status)).toEqual([404, 200]);
      await isWhole(world);
    });
  });
});

describe.concurrent('a recovery ends well', () => {
  test('where GitHub shows the runner online late', async () => {
    await inWorld({}, async (world) => {
      await breakRunner(world, 'service');
      world.github.onlineLagMs = 1_500;
      const begun = performance.now();
      const report = await (await world.recover()).result();
      expect(report.outcome, report.summary).toBe('recovered');
      expect(performance.now() - begun).toBeGreaterThan(1_500);
    });
  });

  test('where the runner is on the second page', async () => {
    await inWorld({}, async (world) => {
      const { github, target } = world;
      // Lists are by age, and the own runner is the oldest: it is registered anew behind all others.
      github.removeRunner(target.scope, target.runner);
      for (let number = 1; number <= 120; number += 1) github.addRunner(target.scope, { name: `neighbour-${number}` });
      await world.machine.install(target, github.addRunner(target.scope, { name: target.runner }));
      github.ignoresNames = true;
      await world.until(() => world.shown() === 'online', 'the runner is online');
      await breakRunner(world, 'service');
      const report = await (await world.recover()).result();
      expect(report.outcome, report.summary).toBe('recovered');
      expect(github.requests.some(({ path }) => path.includes('page=2'))).toBe(true);
      expect(github.runners(target.scope)).toHaveLength(121);
    });
  });

  test.each([2, -2])('where the Date of its answers is off by %i hours', async (hours) => {
    await inWorld({}, async (world) => {
      await breakRunner(world, 'service');
      world.github.misbehave({ fault: { kind: 'date', offByMs: hours * 3_600_000 } });
      const report = await (await world.recover()).result();
      expect(report.outcome, report.summary).toBe('recovered');
      // The machine's clock is right, and GitHub's Date does not make it wrong.
      expect(report.steps.find(({ name }) => name === 'time-sync')?.status).toBe('skipped');
      await isWhole(world);
    });
  });
});

test('a worker that is started anew keeps a limit that the last one met', async () => {
  await inWorld({}, async (world) => {
    await breakRunner(world, 'service');
    world.github.misbehave({ match: TOKEN, fault: { kind: 'primary-limit', resetMs: 2 * LIMIT_MS }, times: 1 });
    const { workflowId } = await world.recover();
    await world.until(() => refused(world).length > 0, 'the limit is met');
    await world.restartWorkers();
    // Its timer goes with it, so that only the gate is left to keep the limit.
    await world.client.workflow.getHandle(workflowId).terminate('by a test');
    const handle = await world.recover();
    await world.until(async () => /limit was reached before/.test((await handle.query<Progress>('progress')).doing), 'the limit is kept');
    const report = await handle.result();
    expect(report.outcome, report.summary).toBe('recovered');
    const [tokens, others] = [true, false].map((isToken) =>
      refused(world).filter(({ path }) => path.endsWith('/registration-token') === isToken),
    );
    expect(tokens).toHaveLength(1);
    // What is asked beside the token in the same moment may meet the limit as well.
    expect(others?.length).toBeLessThanOrEqual(1);
    await isWhole(world);
  });
});

async function inWorld(options: WorldOptions, use: (world: World) => Promise<void>): Promise<void> {
  const world = await startWorld(options);
  try {
    await use(world);
  } finally {
    await world.close();
  }
}

function isRunning({ steps }: Progress, step: string): boolean {
  return steps.some(({ name, status }) => name === step && status === 'running');
}

function faults({ github }: World): readonly string[] {
  return github.requests.flatMap(({ fault }) => fault ?? []);
}

/** Requests that met a limit. */
function refused({ github }: World): World['github']['requests'] {
  return github.requests.filter(({ status }) => status === 403 || status === 429);
}

/** Online under one registration, with nothing left aside. */
async function isWhole(world: World): Promise<void> {
  await world.until(() => world.shown() === 'online', 'the runner is online');
  expect(world.github.runners(world.target.scope)).toHaveLength(1);
  expect(world.machine.isAside(world.target)).toBe(false);
}

async function guest({ machine, target }: World): Promise<unknown> {
  return withoutTime((await machine.observe(target, { signal: new AbortController().signal, heartbeat: () => {} })).guest);
}

/** What a workflow's timers were for. */
async function timers({ client }: World, workflowId: string): Promise<readonly string[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const summaries = (events ?? []).filter(({ timerStartedEventAttributes }) => timerStartedEventAttributes != null);
  return summaries.map(({ userMetadata }) => JSON.parse(Buffer.from(userMetadata?.summary?.data ?? '""').toString()) as string);
}
