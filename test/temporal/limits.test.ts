import { describe, expect, test } from 'vitest';
import { machineLedgerId, machineLockId } from '../../src/domain/names.ts';
import type { Progress } from '../../src/domain/report.ts';
import { breakRunner, QUICK_POLICY, startWorld, type World } from '../kit/recovery-world.ts';

const { limits } = QUICK_POLICY;

/** A limit that ends after this is no matter of retries, but of the workflow. */
const LIMIT_MS = 4_000;
const PATIENT = { limits: { ...limits, github: { ...limits.github, scheduleToClose: '2s' } } } as const;

async function isLocked({ client, target }: World): Promise<boolean> {
  const lock = client.workflow.getHandle(machineLockId(target.host, target.machine));
  return (await lock.describe()).status.name === 'RUNNING';
}

describe.concurrent("a limit of GitHub that lasts, met before anything was done, is waited for without the machine's lock:", () => {
  test.each(['/actions/runners', 'registration-token'])('at a recovery (%s), which is one attempt all the same', async (path) => {
    await using world = await startWorld({ policy: PATIENT });
    await breakRunner(world, 'service');
    const fault = { kind: 'primary-limit', resetMs: LIMIT_MS, status: 403 } as const;
    world.github.misbehave({ match: { path }, fault, times: 1 });
    const handle = await world.recover();
    const isWaiting = async (): Promise<boolean> => (await handle.query<Progress>('progress')).doing.startsWith("GitHub's limit");
    await world.until(isWaiting, 'it waits for the limit');
    await world.until(async () => !(await isLocked(world)), 'the machine is free');
    expect(await isWaiting()).toBe(true);
    const report = await handle.result();
    expect(report.outcome, report.summary).toBe('recovered');
    const ledger = await world.client.workflow.getHandle(machineLedgerId(world.target.host, world.target.machine)).describe();
    expect(ledger.memo?.['entries']).toMatchObject([{ outcome: 'recovered' }]);
  });

  test("or once a check's recovery has started the service, and only GitHub's word is left", async () => {
    await using world = await startWorld({ policy: PATIENT });
    await breakRunner(world, 'service');
    const { machine, github, target, client } = world;
    const startService = machine.startService.bind(machine);
    machine.startService = async (...given) => {
      const fault = { kind: 'primary-limit', resetMs: LIMIT_MS, status: 403 } as const;
      github.misbehave({ match: { path: '/actions/runners' }, fault, times: 1 });
      return startService(...given);
    };
    const { started } = await world.pass();
    const handle = client.workflow.getHandle(started[0]!.workflowId);
    const isWaiting = async (): Promise<boolean> => (await handle.query<Progress>('progress')).doing.startsWith("GitHub's limit");
    await world.until(async () => (await isWaiting()) && !(await isLocked(world)), 'it waits for the limit, and the machine is free');
    expect(await handle.result()).toMatchObject({ outcome: 'recovered', rungs: [{ name: 'start-service', status: 'done' }] });
    const ledger = await client.workflow.getHandle(machineLedgerId(target.host, target.machine)).describe();
    expect(ledger.memo?.['entries']).toMatchObject([{ outcome: 'recovered' }]);
  });

  test('at a recovery that a person cancels meanwhile, which is no failure', async () => {
    await using world = await startWorld({ policy: PATIENT });
    await breakRunner(world, 'service');
    const fault = { kind: 'primary-limit', resetMs: 60_000, status: 403 } as const;
    world.github.misbehave({ match: { path: 'registration-token' }, fault, times: 1 });
    const handle = await world.recover();
    await world.until(
      async () => (await handle.query<Progress>('progress')).doing.startsWith("GitHub's limit") && !(await isLocked(world)),
      'it waits for the limit, and the machine is free',
    );
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow('cancelled');
    const ledger = await world.client.workflow.getHandle(machineLedgerId(world.target.host, world.target.machine)).describe();
    expect(ledger.memo?.['entries']).toMatchObject([{ outcome: 'limited' }]);
  });
});
