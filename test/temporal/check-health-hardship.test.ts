import { defineSearchAttributeKey } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { AlertError } from '../../src/alerts/port.ts';
import type { Alert } from '../../src/domain/alert.ts';
import type { HealthReport } from '../../src/domain/health-report.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { cureId, findingId, machineLedgerId } from '../../src/domain/names.ts';
import { breakRunner, startHost, startWorld, type World } from '../kit/recovery-world.ts';

function codesOf({ findings }: HealthReport): readonly string[] {
  return findings.map(({ code }) => code);
}

/** `scope/name` of the first runner. */
function subject(world: World): string {
  return `${world.target.scope}/${world.target.runner}`;
}

async function statusOf(world: World, workflowId: string): Promise<string> {
  return (await world.client.workflow.getHandle(workflowId).describe()).status.name;
}

function writesAtGitHub(world: World): readonly string[] {
  return world.github.requests
    .filter(({ method, path }) => !['GET', 'HEAD'].includes(method) && path.includes('/repos/'))
    .map(({ path }) => path);
}

describe.concurrent('a side that fails', () => {
  test('a hundred machines of which one hangs: the other ninety-nine on time, and the next pass skips it', async () => {
    await using world = await startWorld({ runners: 100 });
    const stuck = world.targets[42]!;
    world.machine.hang(stuck.machine, { despiteAbort: true });
    const asked = new Map<string, number>();
    const observe = world.machine.observe.bind(world.machine);
    world.machine.observe = (target, ...given) => {
      asked.set(target.machine, (asked.get(target.machine) ?? 0) + 1);
      return observe(target, ...given);
    };
    const first = await world.pass();
    expect(first.figures).toMatchObject({ healthy: 99, unknown: 1 });
    const second = await world.pass();
    expect(second.figures).toMatchObject({ healthy: 99, unknown: 1 });
    // A second look at all would have waited for it anew.
    expect(asked.get(stuck.machine)).toBe(1);
    expect([...asked.values()].filter((times) => times === 2)).toHaveLength(99);
    expect(second.findings).toMatchObject([{ code: 'machine-hangs', subject: `${stuck.scope}/${stuck.runner}` }]);
    expect([...first.started, ...second.started]).toEqual([]);
    world.machine.unhang(stuck.machine);
    expect((await world.pass()).figures).toMatchObject({ healthy: 100 });
  });

  test('GitHub gives no runners while a job waits for a stopped machine: nothing is written, and it is started afterwards', async () => {
    await using world = await startWorld();
    await world.pass();
    await breakRunner(world, 'vm');
    world.github.queueRun(world.target.scope, {
      jobs: [{ name: 'kernel', labels: ['self-hosted', ...world.target.labels], seconds: 0.1 }],
    });
    const end = world.github.misbehave({ match: { path: /\/actions\/runners$/ }, status: 502 });
    for (let pass = 0; pass < 2; pass += 1) {
      const report = await world.pass();
      expect(report).toMatchObject({ started: [] });
      expect(codesOf(report)).toContain('github-unknown');
    }
    end();
    expect(writesAtGitHub(world)).toEqual([]);
    expect(await world.machine.state(world.target.machine, { signal: AbortSignal.timeout(1_000), heartbeat: () => {} })).toBe('stopped');
    const report = await world.pass();
    expect(report.started, JSON.stringify(report)).toHaveLength(1);
    await world.client.workflow.getHandle(cureId(subject(world))).result();
    expect(world.shown()).toBe('online');
  });

  test('a host without a worker is one finding, and nothing is done about its runners', async () => {
    await using world = await startWorld({ runners: 3, host: 'attic' });
    const report = await world.pass();
    expect(report).toMatchObject({ started: [], figures: { unknown: 3 } });
    expect(report.findings).toMatchObject([
      { code: 'host-silent', subject: 'host/attic', advice: expect.stringContaining('runward worker --host attic') },
    ]);
    await using _attic = await startHost('attic');
    expect((await world.pass()).figures).toMatchObject({ healthy: 3 });
  });
});

describe.concurrent('a runner that flaps', () => {
  test('is recovered as often as the budget allows, is one finding, and is taken up again after the cool-down', async () => {
    // An hour, until a pass has been refused: then it is over in a second.
    const budgets = { recoveries: 2, withinMs: 3_600_000, failuresInARow: 2 };
    await using world = await startWorld({ policy: { budgets }, health: { budgets } });
    const begun = async (): Promise<readonly number[]> => {
      const { memo } = await world.client.workflow.getHandle(machineLedgerId(world.target.host, world.target.machine)).describe();
      return ((memo?.['entries'] ?? []) as readonly LedgerEntry[]).map(({ at }) => at);
    };
    let cures = 0;
    let refused = 0;
    for (const end = Date.now() + 60_000; cures <= budgets.recoveries && Date.now() < end;) {
      if (world.shown() === 'online') {
        await breakRunner(world, 'service');
      }
      const report = await world.pass();
      for (const { workflowId } of report.started) {
        expect(await world.client.workflow.getHandle(workflowId).result()).toMatchObject({ outcome: 'recovered' });
        cures += 1;
      }
      if (codesOf(report).includes('budget-used-up')) {
        refused += 1;
        expect(report.withheld).toContainEqual(
          expect.objectContaining({ because: 'service-inactive', why: expect.stringContaining('budget is 2') }),
        );
        expect(await statusOf(world, findingId(subject(world), 'budget-used-up'))).toBe('RUNNING');
        if (refused === 1) {
          const [first = 0] = await begun();
          budgets.withinMs = Date.now() + 1_000 - first;
        }
      }
    }
    const all = await begun();
    expect(all).toHaveLength(budgets.recoveries + 1);
    expect((all.at(-1) as number) - (all[0] as number)).toBeGreaterThanOrEqual(budgets.withinMs);
    expect(refused).toBeGreaterThan(0);
    expect(await statusOf(world, findingId(subject(world), 'service-inactive'))).toBe('RUNNING');
  }, 90_000);
});

describe.concurrent('people', () => {
  test('are told once, however long the receiver is away, and no pass waits for that', async () => {
    const told: Alert[] = [];
    let isAway = true;
    let attempts = 0;
    await using world = await startWorld({
      mode: 'watch',
      tell: async (alert) => {
        attempts += 1;
        if (isAway) {
          throw new AlertError('unavailable', 'the receiver is away');
        }
        told.push(alert);
      },
    });
    await breakRunner(world, 'service');
    for (let pass = 0; pass < 12; pass += 1) {
      expect((await world.pass()).outcome).toBe('unhealthy');
      // It has ended, and the message has not arrived.
      expect(told).toEqual([]);
    }
    await world.until(() => attempts > 5, 'it was tried again and again');
    isAway = false;
    await world.until(() => told.length > 0, 'the message arrives');
    await world.pass();
    expect(told).toMatchObject([{ code: 'service-inactive', state: 'opened', subject: subject(world) }]);
  });

  test('see passes by scope, trigger and outcome, and their figures in the report', async () => {
    await using world = await startWorld();
    await world.pass();
    const handle = await world.check();
    const report = await handle.result();
    const { typedSearchAttributes: attributes, memo } = await handle.describe();
    const of = (name: string): unknown => attributes.get(defineSearchAttributeKey(name, 'KEYWORD'));
    expect([of('RunwardScope'), of('RunwardTrigger'), of('RunwardOutcome')]).toEqual([world.target.scope, 'manual', 'healthy']);
    expect(memo).toEqual({});
    expect(report.figures).toMatchObject({ runners: 1, healthy: 1, githubRequests: 3, githubUnchanged: 3, machineCalls: 2 });
    expect(JSON.stringify(report).length).toBeLessThan(1_000);
  });

  test.each([
    [{ scope: 'no/where' }, /no scope no\/where/],
    [{ scop: 'typo' }, /does not know scop: allowed are scope, runners, dryRun, wait/],
    [{ wait: 'soon' }, /wait must be a duration/],
    ['acme/kernel', /takes an object such as \{"scope":"owner\/name"\}/],
  ])('who type %j are told what is allowed', async (input, message) => {
    await using world = await startWorld();
    const failure = await (await world.check(input as object)).result().catch((error: { cause: Error }) => error.cause);
    expect(String((failure as { cause?: Error }).cause?.message ?? (failure as Error).message)).toMatch(message);
  });
});

test.concurrent('a cure at work is not started a second time, and outlives the pass that started it', async () => {
  await using world = await startWorld();
  await breakRunner(world, 'service');
  const passesOver = Promise.withResolvers<void>();
  const start = world.machine.startService.bind(world.machine);
  world.machine.startService = async (target, act, call) => {
    const beating = setInterval(() => call.heartbeat('start-service'), 100);
    await passesOver.promise;
    clearInterval(beating);
    return start(target, act, call);
  };
  const first = await world.pass();
  expect(first.started).toMatchObject([{ workflowId: cureId(subject(world)), outcome: null }]);
  const second = await world.pass();
  expect(second.started).toEqual([]);
  expect(second.withheld).toContainEqual(
    expect.objectContaining({ why: expect.stringMatching(/earlier cure is still at work|busy: act/) }),
  );
  passesOver.resolve();
  expect(await world.client.workflow.getHandle(cureId(subject(world))).result()).toMatchObject({ outcome: 'recovered' });
});
