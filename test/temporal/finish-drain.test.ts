import { expect, test } from 'vitest';
import { cureId } from '../../src/domain/names.ts';
import { known } from '../../src/domain/reading.ts';
import { startWorld, type World } from '../kit/recovery-world.ts';

/** The next look of a pass sees a mark that a person takes away right after it. */
function showMarkOnce(world: World): void {
  const observe = world.machine.observe.bind(world.machine);
  world.machine.observe = async (...given) => {
    Reflect.deleteProperty(world.machine, 'observe');
    const seen = await observe(...given);
    return seen.guest.known ? { ...seen, guest: known({ ...seen.guest.value, drain: { since: 0, reason: 'by hand' } }) } : seen;
  };
}

test('a runner that was resumed since the pass saw its drain is not drained again by the check', async () => {
  await using world = await startWorld();
  showMarkOnce(world);
  expect(await world.pass()).toMatchObject({ started: [{ cure: 'finish-drain', because: 'drain-unfinished' }] });
  const { scope, runner } = world.target;
  expect(await world.client.workflow.getHandle(cureId(`${scope}/${runner}`)).result()).toMatchObject({ outcome: 'undone' });
  expect(await world.pass()).toMatchObject({ outcome: 'healthy', findings: [] });
  expect(world.shown()).toBe('online');
});
