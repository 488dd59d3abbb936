// Temporal's list of executions lags. It only shows things to people, so a pass comes to the same whether it is fresh or half a minute old.

import { WorkflowClient } from '@temporalio/client';
import { afterEach, expect, test, vi } from 'vitest';
import { cureId, findingId } from '../../src/domain/names.ts';
import { breakRunner, startWorld } from '../kit/recovery-world.ts';

afterEach(() => vi.restoreAllMocks());

/** A runner that breaks, is cured, and is well for three passes: what each pass made of it, and what its finding came to. */
async function story(): Promise<unknown> {
  await using world = await startWorld();
  const runner = `${world.target.scope}/${world.target.runner}`;
  const passes = [];
  for (let pass = 0; pass < 5; pass += 1) {
    if (pass === 1) {
      await breakRunner(world, 'service');
    }
    const { outcome, findings, started, withheld, memory } = await world.pass();
    passes.push({
      outcome,
      findings: findings.map(({ code, isProven }) => ({ code, isProven })),
      started: started.map(({ because, cure }) => ({ because, cure })),
      withheld: withheld.length,
      open: memory.open.map(({ code, goodPasses }) => ({ code, goodPasses })),
    });
    if (started.length > 0) {
      await world.client.workflow.getHandle(cureId(runner)).result();
    }
  }
  const finding = world.client.workflow.getHandle(findingId(runner, 'service-inactive'));
  await world.until(async () => (await finding.describe()).status.name === 'COMPLETED', 'the finding is over');
  return passes;
}

test('passes come to the same while the list of executions shows nothing of the last half minute', async () => {
  const fresh = await story();
  expect(fresh).toMatchObject([
    { outcome: 'healthy' },
    { outcome: 'curing' },
    { outcome: 'healthy' },
    { outcome: 'healthy' },
    { outcome: 'healthy' },
  ]);
  vi.spyOn(WorkflowClient.prototype, 'list').mockReturnValue({ [Symbol.asyncIterator]: async function* () {} } as never);
  expect(await story()).toEqual(fresh);
});
