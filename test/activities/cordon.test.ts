import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { NO_ALERTS } from '../../src/activities/findings.ts';
import { createMainActivities } from '../../src/activities/main.ts';
import { createSealing, SEALING_KEY_BYTES } from '../../src/activities/sealing.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import { github, target } from '../kit/observations.ts';

const NOT_ASKED = { problem: 'not asked for here' };

test.each([
  ['RUNNING', 'taken-away', [7]],
  ['TERMINATED', 'gone', []],
])('labels are taken away only for an operation that still goes on: %s', async (status, kind, removed) => {
  const runner = github().runner!;
  const asked: number[] = [];
  const port = {
    getRunner: async () => ({ value: runner }),
    removeCustomLabels: async (_scope: string, id: number) => {
      asked.push(id);
      return { value: [] };
    },
  } as unknown as GitHubPort;
  const activities = createMainActivities({
    github: port,
    sealing: createSealing(Buffer.alloc(SEALING_KEY_BYTES)),
    directory: { listRunners: () => [], resolveRunner: () => NOT_ASKED, resolveScope: () => NOT_ASKED, resolveQueue: () => NOT_ASKED },
    alerts: NO_ALERTS,
    searchAttributes: [],
  });
  const client = {
    withAbortSignal: <T>(_signal: AbortSignal, ask: () => Promise<T>) => ask(),
    workflow: { getHandle: () => ({ describe: async () => ({ status: { name: status } }) }) },
  } as unknown as Client;
  const environment = new MockActivityEnvironment({ workflowExecution: { workflowId: 'drain', runId: 'first' } }, { client });
  const answer: unknown = await environment.run(() =>
    activities.takeLabelsAway({ target: target(), id: 7, remembered: runner.customLabels ?? [] }),
  );
  expect(answer).toMatchObject({ value: { kind } });
  expect(asked).toEqual(removed);
});
