// The query that README gives for Temporal's UI: what people start and read of, and none of what helps.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cureId, MAIN_QUEUE } from '../../src/domain/names.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

const HOUR = 3_600_000;
const OPERATIONS = ['recoverRunner', 'syncClock', 'cleanActionsCache', 'drainRunner', 'resumeRunner'];
const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

test('lists operations, health checks and queue maintenance, and hides their helpers', async () => {
  const [, query = ''] = /temporal workflow list --query '([^']+)'/.exec(readme) ?? [];
  await using world = await startWorld();
  const { scope, runner } = world.target;
  await breakRunner(world, 'service');
  // The runner of others is online, so that what waits for it may become stale.
  world.github.addRunner(scope, { name: 'other', labels: world.target.labels });
  world.github.showRunner(scope, 'other', { status: 'online', busy: true });
  const job = { jobs: [{ labels: ['self-hosted', ...world.target.labels] }] };
  world.github.queueRun(scope, { ...job, branch: 'topic', agoMs: 6 * HOUR });
  world.github.queueRun(scope, { ...job, workflow: { id: 2, name: 'Nightly' } });
  for (let number = 1; number <= 6; number += 1) {
    world.github.queueRun(scope, { ...job, event: 'pull_request', branch: `change-${number}`, pullRequests: [number] });
  }
  expect((await (await world.maintain()).result()).counts).toMatchObject({ cancelled: 1, parked: 1 });
  await world.pass();
  await world.pass();
  const cure = world.client.workflow.getHandle(cureId(`${scope}/${runner}`));
  await cure.result();
  await (await world.check()).result();
  for (const type of OPERATIONS) {
    await world.client.workflow.execute(type, { workflowId: `${type}/${runner}`, taskQueue: MAIN_QUEUE, args: [{ runner }] });
  }

  // The list of executions lags.
  const shown = ['checkHealth', 'maintainQueue', ...OPERATIONS].toSorted(byAlphabet);
  const hidden = ['carryOutQueuePlan', 'finding', 'followRuns', 'holdMachine', 'holdQueue', 'machineLedger', 'parkedRuns', 'queueLedger'];
  await expect.poll(() => typesOf(world), { timeout: 20_000 }).toEqual([...shown, ...hidden].toSorted(byAlphabet));
  await expect.poll(() => typesOf(world, query), { timeout: 20_000 }).toEqual(shown);
  expect((await cure.describe()).memo).toMatchObject({
    actor: expect.stringMatching(new RegExp(`^check-health/${scope}`)),
    reason: expect.stringMatching(/service/),
  });
});

/** Types of the world's executions, each once, in the order of the alphabet. */
async function typesOf({ client, target }: World, query = ''): Promise<readonly string[]> {
  const own = new RegExp(`${target.scope}(?!\\d)|${target.runner}(?!\\d)`);
  const types = new Set<string>();
  for await (const { workflowId, type } of client.workflow.list({ query })) {
    if (own.test(workflowId)) types.add(type);
  }
  return [...types].toSorted(byAlphabet);
}

function byAlphabet(one: string, other: string): number {
  return one.localeCompare(other);
}
