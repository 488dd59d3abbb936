import { describe, expect, test } from 'vitest';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

function lack(world: World, isUnlisted = true): void {
  for (const { scope, runner } of world.targets) {
    world.github.showRunner(scope, runner, { isUnlisted });
  }
}

function tokensOf({ github }: World): number {
  return github.registrationTokens().length;
}

/** What all cures that these passes have started came to. */
async function endsOf(world: World, reports: readonly HealthReport[]): Promise<readonly unknown[]> {
  const started = reports.flatMap((report) => report.started);
  return Promise.all(started.map(({ workflowId }) => world.client.workflow.getHandle(workflowId).result()));
}

describe.concurrent('a list of runners that lacks all of them', () => {
  test('says nothing of those that GitHub has under their ids, which costs one request each', async () => {
    await using world = await startWorld({ runners: 3 });
    await world.pass();
    // The first one has asked for the runner's versions as well.
    const { figures } = await world.pass();
    lack(world);
    const reports = [await world.pass(), await world.pass(), await world.pass()];
    expect(reports).toMatchObject(reports.map(() => ({ outcome: 'healthy', started: [], findings: [] })));
    expect(reports.map((report) => report.figures.githubRequests)).toEqual(reports.map(() => figures.githubRequests + 3));
  });

  test('says nothing of those that were never seen, while their listeners live: nothing is done, and people hear of it', async () => {
    await using world = await startWorld({ runners: 3 });
    lack(world);
    const reports = [await world.pass(), await world.pass(), await world.pass()];
    expect(reports.flatMap(({ started }) => started)).toEqual([]);
    expect(reports[2]?.findings.map(({ code }) => code)).toEqual(world.targets.map(() => 'runner-unlisted'));
    const byHand = await (await world.recover()).result();
    expect(byHand).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('lists lag') });
    expect(tokensOf(world)).toBe(0);
    lack(world, false);
    expect(await world.pass()).toMatchObject({ outcome: 'healthy' });
  });
});

describe.concurrent('a runner that was deleted', () => {
  test('is gone by its last id, and registered anew', async () => {
    await using world = await startWorld();
    await world.pass();
    await breakRunner(world, 'registration');
    const reports = [await world.pass(), await world.pass()];
    expect(await endsOf(world, reports)).toMatchObject([{ outcome: 'recovered' }]);
    expect(tokensOf(world)).toBe(1);
    expect(await world.pass()).toMatchObject({ outcome: 'healthy' });
  });
});

describe.concurrent('a check by hand right after a pass', () => {
  test('is no second reading', async () => {
    await using world = await startWorld({ health: { readingsApartMs: 120_000 } });
    await breakRunner(world, 'listener');
    expect(await world.pass()).toMatchObject({ started: [], withheld: [{ reason: 'not-proven' }] });
    const byHand = await (await world.check()).result();
    expect(byHand).toMatchObject({ started: [], withheld: [{ because: 'runner-offline', reason: 'not-proven' }] });
    expect(await world.pass()).toMatchObject({ started: [], withheld: [{ reason: 'not-proven' }] });
  });
});
