import { describe, expect, test } from 'vitest';
import { cureId } from '../../src/domain/names.ts';
import { known } from '../../src/domain/reading.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

/** The next look of a pass sees a mark that a person takes away right after it. */
function showMarkOnce(world: World): void {
  const observe = world.machine.observe.bind(world.machine);
  world.machine.observe = async (...given) => {
    Reflect.deleteProperty(world.machine, 'observe');
    const seen = await observe(...given);
    return seen.guest.known
      ? { ...seen, guest: known({ ...seen.guest.value, drain: { since: 0, by: 'person', reason: 'by hand' } }) }
      : seen;
  };
}

describe.concurrent('what a person does between a look and its cure holds:', () => {
  test('a runner that was resumed since the pass saw its drain is not drained again', async () => {
    await using world = await startWorld();
    showMarkOnce(world);
    expect(await world.pass()).toMatchObject({ started: [{ cure: 'finish-drain', because: 'drain-unfinished' }] });
    const { scope, runner } = world.target;
    expect(await world.client.workflow.getHandle(cureId(`${scope}/${runner}`)).result()).toMatchObject({ outcome: 'undone' });
    expect(await world.pass()).toMatchObject({ outcome: 'healthy', findings: [] });
    expect(world.shown()).toBe('online');
  });

  test('a machine that was stopped since the pass saw it run is not started', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    const take = world.machine.observe.bind(world.machine);
    let looks = 0;
    world.machine.observe = async (...given) => {
      if ((looks += 1) === 2) {
        world.machine.stop(world.target.machine, 'stopped');
      }
      return take(...given);
    };
    expect(await world.pass()).toMatchObject({ started: [{ cure: 'recover', because: 'service-inactive' }] });
    const { scope, runner } = world.target;
    expect(await world.client.workflow.getHandle(cureId(`${scope}/${runner}`)).result()).toMatchObject({
      outcome: 'failed',
      summary: expect.stringContaining('was stopped since the check looked'),
      rungs: [],
    });
    expect(await world.pass()).toMatchObject({ started: [], findings: [{ code: 'machine-stopped', severity: 'info' }] });
  });
});
