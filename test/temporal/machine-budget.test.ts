import { describe, expect, test } from 'vitest';
import { cureId, machineLedgerId, MAIN_QUEUE } from '../../src/domain/names.ts';
import { known } from '../../src/domain/reading.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

const TWO_HOURS_MS = 7_200_000;

async function ledgerOf({ client, target }: World): Promise<unknown> {
  return (await client.workflow.getHandle(machineLedgerId(target.host, target.machine)).describe()).memo?.['entries'];
}

describe.concurrent('an act on a whole machine', () => {
  test('is charged to all its runners: a start', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'vm');
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
    expect(await ledgerOf(world)).toMatchObject([{ type: 'recoverRunner', outcome: 'recovered', concernsMachine: true }]);
    await breakRunner(world, 'service');
    await (await world.recover()).result();
    const entries = (await ledgerOf(world)) as readonly object[];
    expect(entries).toHaveLength(2);
    expect(entries[1]).not.toHaveProperty('concernsMachine');
  });

  test('is refused under the lock where no person asks and the budget is used up: its clock', async () => {
    await using world = await startWorld({ policy: { budgets: { recoveries: 1, withinMs: TWO_HOURS_MS, failuresInARow: 1 } } });
    const { client, machine, target } = world;
    const sync = { taskQueue: MAIN_QUEUE, args: [{ runner: target.runner }] };
    const byHand = async (): Promise<unknown> =>
      (await client.workflow.start('syncClock', { ...sync, workflowId: `clock-${target.runner}-${Math.random()}` })).result();
    await machine.setClock(target.machine, TWO_HOURS_MS);
    expect(await byHand()).toMatchObject({ outcome: 'synced' });
    expect(await ledgerOf(world)).toMatchObject([{ type: 'syncClock', concernsMachine: true }]);

    await machine.setClock(target.machine, TWO_HOURS_MS);
    const schedule = await client.schedule.create({
      scheduleId: `clock-${target.runner}`,
      spec: {},
      action: { type: 'startWorkflow', workflowType: 'syncClock', workflowId: `clock-${target.runner}`, ...sync },
    });
    await schedule.trigger();
    await world.until(async () => (await schedule.describe()).info.recentActions.length > 0, 'the schedule has started it');
    const [started] = (await schedule.describe()).info.recentActions;
    await schedule.delete();
    expect(await client.workflow.getHandle(started?.action.workflow.workflowId ?? '').result()).toMatchObject({
      outcome: 'refused-budget',
      summary: expect.stringContaining('budget is 1'),
    });
    expect(await byHand()).toMatchObject({ outcome: 'synced' });
  });
});

test.concurrent.each(['a guest that is not fit', 'a runner of somebody else'] as const)(
  'an attempt that ends before it touched anything costs budget, too: %s',
  async (what) => {
    await using world = await startWorld();
    const { client, machine, target } = world;
    await breakRunner(world, 'service');
    const observe = machine.observe.bind(machine);
    if (what === 'a guest that is not fit') {
      machine.takeFence = async () => ({ kind: 'refused-unfit', evidence: 'the disk is full: make room' });
    }
    const registration = { agentId: 1, agentName: 'real', url: target.registrationUrl };
    for (const failures of [1, 2]) {
      let looks = 0;
      if (what === 'a runner of somebody else') {
        machine.observe = async (...given) => {
          looks += 1;
          const seen = await observe(...given);
          // The first look is that of the pass.
          return seen.guest.known && looks > 1 ? { ...seen, guest: known({ ...seen.guest.value, registration }) } : seen;
        };
      }
      expect(await world.pass()).toMatchObject({ started: [{ because: 'service-inactive' }] });
      expect(await client.workflow.getHandle(cureId(`${target.scope}/${target.runner}`)).result()).toMatchObject({ outcome: 'failed' });
      machine.observe = observe;
      expect(await ledgerOf(world)).toHaveLength(failures);
    }
    expect(await world.pass()).toMatchObject({ started: [], withheld: [{ reason: 'budget' }] });
  },
);

test.concurrent('the turn of another runner, where the budget of the first is used up, is a matter of its own budget', async () => {
  const budgets = { recoveries: 1, withinMs: TWO_HOURS_MS, failuresInARow: 2 };
  await using world = await startWorld({ runners: 2, policy: { budgets }, health: { budgets, deafAfterMs: 0 } });
  const { github, target, targets } = world;
  for (const { runner } of targets) {
    expect(await (await world.recover({ runner, force: true })).result()).toMatchObject({ outcome: 'recovered' });
    github.deafen(target.scope, runner);
  }
  github.queueRun(target.scope, { jobs: [{ name: 'kernel', labels: ['self-hosted', ...target.labels], seconds: 0.1 }] });
  await world.pass();
  const report = await world.pass();
  expect(report.started, JSON.stringify(report.withheld)).toEqual([]);
  expect(report.findings.filter(({ code }) => code === 'budget-used-up').map(({ subject }) => subject)).toEqual(
    targets.map(({ scope, runner }) => `${scope}/${runner}`),
  );
});
