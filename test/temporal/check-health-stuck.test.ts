import { expect, test } from 'vitest';
import { cureId } from '../../src/domain/names.ts';
import { roomDrainId } from '../../src/domain/upkeep.ts';
import { breakRunner, startWorld } from '../kit/recovery-world.ts';
import { beginJob } from '../kit/upkeep.ts';

test('a cure that does not end is a finding of its own in every pass, until it is ended', async () => {
  await using world = await startWorld({ health: { cureStuckAfterMs: 500 }, policy: { strangerActWithinMs: 600_000 } });
  await breakRunner(world, 'service');
  const { machine, client, target } = world;
  const takeFence = machine.takeFence.bind(machine);
  let isHanging = true;
  machine.takeFence = async (...given) =>
    isHanging ? { kind: 'refused-in-progress', holder: 'a stranger', evidence: 'an act runs' } : takeFence(...given);
  const begun = await world.pass();
  expect(begun).toMatchObject({ started: [{ because: 'service-inactive' }], memory: { cures: [`${target.scope}/${target.runner}`] } });
  const cure = client.workflow.getHandle(cureId(`${target.scope}/${target.runner}`));
  await world.until(async () => Date.now() - (await cure.describe()).startTime.getTime() > 500, 'the cure is late');
  for (let pass = 0; pass < 2; pass += 1) {
    const { findings } = await world.pass();
    expect(findings.find(({ code }) => code === 'cure-stuck')).toMatchObject({
      severity: 'critical',
      evidence: expect.stringContaining(`cure/${target.scope}/${target.runner}`),
      advice: expect.stringContaining('workflow cancel'),
    });
    const ill = findings.find(({ code }) => code === 'service-inactive');
    expect(ill?.advice).not.toMatch(/nothing/);
    expect(ill?.isBeingCured).toBeUndefined();
  }
  await cure.cancel();
  await expect(cure.result()).rejects.toThrow('cancelled');
  isHanging = false;
  const after = await world.pass();
  expect(after.findings.map(({ code }) => code)).not.toContain('cure-stuck');
  expect(await client.workflow.getHandle(after.started[0]!.workflowId).result()).toMatchObject({ outcome: 'recovered' });
  const { memory } = await world.pass();
  expect(memory.cures).toEqual([]);
});

test('a drain for want of room that waits for what is no job is told', async () => {
  await using world = await startWorld({ health: { cureStuckAfterMs: 500 } });
  const { machine, github, client, target } = world;
  machine.setDisk(target.machine, { usedPercent: 99, freeBytes: 300 * 1024 * 1024 });
  await beginJob(world);
  const { started } = await world.pass();
  expect(started).toMatchObject([{ cure: 'make-room', because: 'disk-below-floor' }]);
  expect(await client.workflow.getHandle(started[0]!.workflowId).result()).toMatchObject({ outcome: 'refused-busy' });
  await machine.endJob(target);
  github.misbehave({ match: { path: /\/actions\/runners/ }, status: 502 });
  const room = client.workflow.getHandle(roomDrainId(`${target.scope}/${target.runner}`));
  await world.until(async () => Date.now() - (await room.describe()).startTime.getTime() > 1_000, 'it is late');
  const { findings } = await world.pass();
  expect(findings.find(({ code }) => code === 'cure-stuck')).toMatchObject({ evidence: expect.stringContaining(room.workflowId) });
  await room.cancel();
  await expect(room.result()).rejects.toThrow('cancelled');
});

test('an operation of a person that holds the machine and does not end is told, not the cures that wait for it', async () => {
  await using world = await startWorld({ health: { cureStuckAfterMs: 500 }, policy: { strangerActWithinMs: 600_000 } });
  await breakRunner(world, 'service');
  const { machine, client, target } = world;
  let isAsked = false;
  machine.takeFence = async () => {
    isAsked = true;
    return { kind: 'refused-in-progress', holder: 'a stranger', evidence: 'an act runs' };
  };
  const byHand = await world.recover({ runner: target.runner });
  await world.until(() => isAsked, 'it holds the machine');
  await world.pass();
  await world.until(async () => Date.now() - (await byHand.describe()).startTime.getTime() > 1_000, 'it is late');
  const { findings, memory } = await world.pass();
  expect(findings.find(({ code }) => code === 'cure-stuck')).toMatchObject({
    summary: expect.stringContaining('that holds the machine of'),
    evidence: expect.stringContaining(byHand.workflowId),
  });
  expect(findings.find(({ code }) => code === 'service-inactive')?.advice).toContain(`waits for ${byHand.workflowId}`);
  expect(memory.cures).toEqual([`${target.scope}/${target.runner}`]);
  for (const handle of [byHand, client.workflow.getHandle(cureId(`${target.scope}/${target.runner}`))]) {
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow('cancelled');
  }
});
