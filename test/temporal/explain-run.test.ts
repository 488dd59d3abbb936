import { expect, test, vi } from 'vitest';
import { explainRun } from '../../src/cli/explain-run.ts';
import { parkedId } from '../../src/domain/names.ts';
import { QUICK_QUEUE, startQueueWorld, startWorld, type World } from '../kit/recovery-world.ts';
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

test('a run whose cancellation was accepted is told what came of it, also after the pass has ended', async () => {
  const following = { ...QUICK_QUEUE.following, forceAfterMs: 4_000, giveUpAfterMs: 1_000 };
  await using world = await startQueueWorld({ queue: { following } });
  const { scope } = world.target;
  const run = world.github.queueRun(scope, {
    jobs: [{ labels: ['self-hosted', 'gpu'] }],
    branch: 'b',
    agoMs: 5 * 3_600_000,
    zombie: 'deaf',
  });
  const pass = await world.maintain({ scope });
  await world.until(() => world.github.run(run).accepted.cancel === 1, 'it is cancelled');
  await told(world, run, 'came of it: not over yet, GitHub has accepted it');
  const follower = world.client.workflow.getHandle(`${pass.workflowId}/following`);
  await world.until(
    () =>
      follower.describe().then(
        () => true,
        () => false,
      ),
    'it is followed',
  );
  await pass.terminate();
  const words = await told(world, run, 'It is set aside until');
  expect(words).toMatch(
    new RegExp(
      `^Runward has asked GitHub in vain to cancel run ${run} of ${scope} at [^]*came of it: given up, it was cancelled and forced, and is still queued`,
    ),
  );
});

test('a parked run whose keeper was ended is told so: the next pass takes it up, or it is lost', async () => {
  await using world = await startQueueWorld();
  const { client, target, github } = world;
  const jobs = [{ labels: ['self-hosted', ...target.labels] }];
  for (let number = 1; number <= 6; number += 1) {
    github.queueRun(target.scope, { jobs, event: 'pull_request', branch: `p${number}`, pullRequests: [number], agoMs: 60_000 });
  }
  const run = github.queueRun(target.scope, { jobs, branch: 'topic', agoMs: 30_000 });
  const care = async (): Promise<unknown> => (await world.maintain({ scope: target.scope })).result();
  await care();
  await told(world, run, 'It waits to be re-run, parked since');
  const keeper = client.workflow.getHandle(parkedId(target.scope));
  await keeper.terminate('what is this?');
  await told(world, run, `What remembered it, ${keeper.workflowId}, was ended: the next pass takes it up.`);
  await care();
  await told(world, run, 'It waits to be re-run, parked since');
  await client.workflowService.deleteWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: { workflowId: keeper.workflowId },
  });
  await told(world, run, `nobody re-runs it: ${keeper.workflowId} was ended, and Temporal has forgotten it.`);
});

/** What is told of the run once it says so. */
async function told(world: World, run: number, words: string): Promise<string> {
  const printed: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  try {
    await world.until(async () => {
      printed.length = 0;
      await explainRun(world.client, { run, scope: world.target.scope }, { json: false });
      return printed.join('').includes(words);
    }, `it says: ${words}`);
  } finally {
    write.mockRestore();
  }
  return printed.join('');
}
