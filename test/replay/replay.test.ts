// Histories that were saved once replay with the workflows of today: what runs while Runward is upgraded goes on.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { describe, expect, inject, test } from 'vitest';

const FOLDER = join(import.meta.dirname, 'histories');

function history(name: string): Parameters<typeof Worker.runReplayHistory>[1] {
  return JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));
}

async function replay(name: string, change: (json: string) => string = (json) => json): Promise<void> {
  const changed = JSON.parse(change(JSON.stringify(history(name))));
  // Children are named by it.
  const { workflowId } = changed.events[0].workflowExecutionStartedEventAttributes;
  await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundle') } }, changed, workflowId);
}

describe('a saved history replays', () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

  test('of each kind of end', () => {
    expect(names.map((name) => name.split('-').slice(0, 2).join('-')).toSorted()).toEqual(
      expect.arrayContaining([
        'carryOutQueuePlan-continued',
        'carryOutQueuePlan-ended',
        'carryOutQueuePlan-forced',
        'carryOutQueuePlan-limited',
        'checkHealth-blind',
        'checkHealth-cured',
        'checkHealth-healthy',
        'drainRunner-again',
        'drainRunner-idle',
        'drainRunner-job',
        'finding-cleared',
        'finding-continued',
        'finding-refused',
        'maintainQueue-cancelled',
        'maintainQueue-idle',
        'maintainQueue-parked',
        'maintainQueue-planned',
        'maintainQueue-released',
        'parkedRuns-continued',
        'parkedRuns-settled',
        'recoverRunner-clock',
        'recoverRunner-failed',
        'recoverRunner-healthy',
        'recoverRunner-ladder',
        'recoverRunner-service',
        'recoverRunner-vm',
        'resumeRunner-drained',
        'syncClock-synced',
      ]),
    );
  });

  test.each(names)('%s', async (name) => {
    await expect(replay(name)).resolves.toBeUndefined();
  });
});

test('a history that other code made is refused', async () => {
  const [name] = readdirSync(FOLDER).filter((each) => each.startsWith('recoverRunner-service'));
  await expect(replay(name as string, (json) => json.replaceAll('"setConfigurationAside"', '"wipeConfiguration"'))).rejects.toThrow(
    /[Nn]on-?determinis/,
  );
});
