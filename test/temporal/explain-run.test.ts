import { expect, test, vi } from 'vitest';
import { explainRun } from '../../src/cli/explain-run.ts';
import { startWorld } from '../kit/recovery-world.ts';
import { failedRun, failure, gone, run as carryOut } from '../kit/upkeep.ts';

test('a run is told what health checks have said of it, and that nothing was done to it', async () => {
  await using world = await startWorld({ mode: 'watch' });
  const { scope, machine, labels } = world.target;
  await world.pass();
  world.machine.stop(machine, 'stopped');
  await world.until(() => world.shown() !== 'online', 'GitHub shows it offline');
  const run = world.github.queueRun(scope, { jobs: [{ name: 'kernel', labels: ['self-hosted', ...labels], seconds: 1 }] });
  await world.pass();
  const printed: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  await world.until(async () => {
    printed.length = 0;
    await explainRun(world.client, { run, scope }, { json: false });
    return printed.join('').includes(`machine ${machine} is stopped`);
  }, 'the list has the pass');
  await explainRun(world.client, { run: 5, scope: null }, { json: true });
  write.mockRestore();
  expect(printed.join('')).toMatch(
    new RegExp(
      `^Runward has done nothing to run ${run} of ${scope}: [^]*machine ${machine} is stopped \\(run ${run} waits for it\\); nothing is changed in watch mode; with \`mode: act\` a check starts it`,
    ),
  );
  expect(JSON.parse(printed.at(-1) as string)).toMatchObject({
    run: 5,
    done: [],
    parked: null,
    setAside: null,
    plan: null,
    mentions: [],
  });
});

test('a run is told that its failed jobs were run again for a damaged cache, by which healing and on what evidence', async () => {
  await using world = await startWorld();
  const { scope } = world.target;
  const damage = { state: 'empty', owner: 'root', mode: '755', isImmutable: false } as const;
  world.machine.setCache(world.target, [{ path: 'actions/checkout/v4', bytes: 1_000, unusedMs: 0, damage }]);
  const run = failedRun(world, [{ name: 'build', annotations: [failure(gone(world))] }]);
  expect(await carryOut(world, 'healActionsCache')).toMatchObject({ outcome: 'healed' });
  const printed: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  await world.until(async () => {
    printed.length = 0;
    await explainRun(world.client, { run, scope }, { json: false });
    return printed.join('').includes('came of it: re-run');
  }, 'the list has the re-run');
  await explainRun(world.client, { run, scope: null }, { json: true });
  write.mockRestore();
  expect(printed.join('')).toMatch(
    new RegExp(
      `^Runward re-ran failed jobs of run ${run} of ${scope} at [^]*re-run of failed jobs of attempt 1, for a damaged actions cache\n  why: job build: Can't find 'action.yml'[^]*operation: healActionsCache-`,
    ),
  );
  // Worlds of other files, which share the namespace, give their runs the same ids.
  const told = JSON.parse(printed.at(-1) as string) as Record<'done' | 'reruns', { readonly scope: string }[]>;
  const here = (key: keyof typeof told) => told[key].filter((each) => each.scope === scope);
  expect({ done: here('done'), reruns: here('reruns') }).toMatchObject({ done: [], reruns: [{ scope, attempt: 1, end: 're-run' }] });
});
