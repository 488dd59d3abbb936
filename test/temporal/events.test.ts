// What workflows tell the process that runs them: each thing that happened, once, and without an event in a history.

import { expect, test } from 'vitest';
import { eventText } from '../../src/cli/event-text.ts';
import type { RunwardEvent } from '../../src/domain/event.ts';
import { breakRunner, startQueueWorld, startWorld, type World } from '../kit/recovery-world.ts';

function told({ events }: World): readonly string[] {
  return events.filter(({ kind }) => kind !== 'operation-began').map(({ kind }) => kind);
}

function sentences({ events, target }: World): readonly string[] {
  return events
    .filter(({ kind }) => kind !== 'operation-began')
    .map((event) =>
      eventText(event)
        .replaceAll(target.scope, 'SCOPE')
        .replaceAll(target.runner, 'r1')
        .replaceAll(/after [\d.]+ s/g, 'after N s'),
    );
}

test.concurrent('a recovery that a check starts is one thing: what broke, and what came of it', async () => {
  await using world = await startWorld();
  await breakRunner(world, 'service');
  const report = await (await world.check({ scope: world.target.scope, wait: '20s' })).result();
  expect(report.outcome).toBe('cured');
  expect(sentences(world)).toEqual(['r1 down: service inactive → online again after N s · runward explain cure/SCOPE/r1']);
  expect(world.events.map(({ kind }) => kind)).toEqual(['operation-began', 'operation-ended']);
  expect(world.events[1]).toMatchObject({
    type: 'recoverRunner',
    scope: world.target.scope,
    trigger: 'check',
    cause: { code: 'service-inactive' },
    outcome: 'recovered',
  });
  await (await world.check()).result();
  expect(told(world)).toEqual(['operation-ended']);
});

test.concurrent("a person's operation is told with its reason, and a plan is not", async () => {
  await using world = await startWorld();
  await breakRunner(world, 'registration');
  await (await world.recover({ runner: world.target.runner, reason: 'it was late' })).result();
  expect(sentences(world)).toEqual([
    expect.stringMatching(/^r1: manual recovery \(it was late\) → online again after N s · runward explain by-hand-r1-/),
  ]);
  const { client, target } = world;
  const cleaning = { workflowId: `clean-${target.runner}`, taskQueue: 'runward', args: [{ runner: target.runner, dryRun: true }] };
  expect(await client.workflow.execute('clearActionsCache', cleaning)).toMatchObject({ outcome: 'planned' });
  expect(told(world)).toHaveLength(1);
});

test.concurrent('what nothing is done about is a finding that opened', async () => {
  await using world = await startWorld({ mode: 'watch' });
  await breakRunner(world, 'service');
  await (await world.check()).result();
  await world.until(() => told(world).length > 0, 'the finding is told');
  expect(world.events).toMatchObject([
    {
      kind: 'finding-opened',
      code: 'service-inactive',
      severity: 'critical',
      runner: world.target.runner,
      subject: `${world.target.scope}/${world.target.runner}`,
    },
  ] satisfies readonly Partial<RunwardEvent>[]);
});

test.concurrent('queue maintenance is told where it did something', async () => {
  await using world = await startQueueWorld();
  const care = async (input: object = {}): Promise<unknown> => (await world.maintain({ scope: world.target.scope, ...input })).result();
  await care();
  world.github.queueRun(world.target.scope, { jobs: [{ labels: ['self-hosted', 'gpu'] }], branch: 'topic', agoMs: 5 * 3_600_000 });
  await care({ dryRun: true });
  expect(told(world)).toEqual([]);
  await care();
  await care();
  expect(world.events).toMatchObject([{ kind: 'queue-maintained', outcome: 'done', counts: { cancelled: 1 } }]);
});

test('workers that start anew tell nothing a second time', async () => {
  await using world = await startWorld({ mode: 'watch' });
  await breakRunner(world, 'service');
  await (await world.check()).result();
  await world.until(() => told(world).length > 0, 'the finding is told');
  await world.restartWorkers();
  await (await world.check()).result();
  expect(told(world)).toEqual(['finding-opened']);
});
