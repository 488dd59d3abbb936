// Histories that were saved once replay with the workflows of today: what runs while Runward is upgraded goes on.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { sinksOf } from '../../src/worker/workers.ts';

const FOLDER = join(import.meta.dirname, 'histories');

interface Saved {
  readonly workflowId: string;
  readonly history: unknown;
}

function readHistory(name: string, change: (json: string) => string = (json) => json): Saved {
  const history = JSON.parse(change(readFileSync(join(FOLDER, name), 'utf8')));
  // Children are named by it.
  return { workflowId: history.events[0].workflowExecutionStartedEventAttributes.workflowId, history };
}

/** What was told of as if it had just happened. */
const heard: unknown[] = [];

/** What became of each, in their order: `null` where it replays. One worker replays them all. */
async function replay(histories: readonly Saved[]): Promise<readonly (Error | null)[]> {
  const ends: (Error | null)[] = [];
  const worker = { workflowBundle: { codePath: inject('workflowBundle') }, sinks: sinksOf((event) => heard.push(event)) };
  for await (const { error } of Worker.runReplayHistories(worker, histories)) {
    ends.push(error ?? null);
  }
  return ends;
}

describe('a saved history replays', () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  let ends: readonly (Error | null)[];

  beforeAll(async () => {
    ends = await replay(names.map((name) => readHistory(name)));
  });

  test('of each kind of end', () => {
    expect(names.map((name) => name.split('-').slice(0, 2).join('-')).toSorted()).toEqual(
      expect.arrayContaining([
        'carryOutQueuePlan-continued',
        'carryOutQueuePlan-ended',
        'carryOutQueuePlan-limited',
        'checkHealth-blind',
        'checkHealth-cured',
        'checkHealth-damaged',
        'checkHealth-healthy',
        'cleanActionsCache-cleaned',
        'drainRunner-again',
        'drainRunner-idle',
        'drainRunner-job',
        'finding-cleared',
        'finding-continued',
        'finding-refused',
        'followRuns-forced',
        'followRuns-told',
        'healActionsCache-rerun',
        'maintainQueue-cancelled',
        'maintainQueue-idle',
        'maintainQueue-parked',
        'maintainQueue-planned',
        'maintainQueue-released',
        'maintainQueue-told',
        'makeRoom-drained',
        'makeRoom-resumed',
        'parkedRuns-continued',
        'parkedRuns-settled',
        'recoverRunner-clock',
        'recoverRunner-failed',
        'recoverRunner-healthy',
        'recoverRunner-ladder',
        'recoverRunner-limited',
        'recoverRunner-paused',
        'recoverRunner-service',
        'recoverRunner-vm',
        'rerunFailedJobs-once',
        'resumeRunner-drained',
        'syncClock-synced',
      ]),
    );
  });

  test.each(names)('%s', (name) => {
    expect(ends[names.indexOf(name)]).toBeNull();
  });

  test('and tells of nothing that happened before', () => {
    expect(heard).toEqual([]);
  });
});

test('a history that other code made is refused', async () => {
  const [name] = readdirSync(FOLDER).filter((each) => each.startsWith('recoverRunner-service'));
  const sound = readHistory(name as string);
  const changed = readHistory(name as string, (json) => json.replaceAll('"setConfigurationAside"', '"wipeConfiguration"'));
  const [refused, next] = await replay([changed, sound]);
  expect(refused?.message).toMatch(/[Nn]on-?determinis/);
  expect(next).toBeNull();
});
