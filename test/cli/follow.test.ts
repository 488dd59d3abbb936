import type { Client, WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import { EXIT } from '../../src/cli/exit.ts';
import { followOperation, missingWorker } from '../../src/cli/follow.ts';

/** Its first task was scheduled so long ago, and nobody has taken it. */
function untaken(ageMs: number) {
  return {
    status: { name: 'RUNNING' },
    taskQueue: 'runward',
    raw: { pendingWorkflowTask: { state: 1, scheduledTime: { seconds: Math.floor((Date.now() - ageMs) / 1_000) } }, pendingActivities: [] },
  };
}

const description = (ageMs: number) => untaken(ageMs) as unknown as Parameters<typeof missingWorker>[0];

test('a task that nobody takes for long means that no worker is there, unless one is starting or has just begun', () => {
  expect(missingWorker(description(60_000), 0)).toMatch(/No worker takes tasks from the queue runward/);
  expect(missingWorker(description(60_000), Date.now() - 60_000)).toMatch(/No worker takes tasks/);
  expect(missingWorker(description(60_000), Date.now())).toBeNull();
  expect(missingWorker(description(60_000), Infinity)).toBeNull();
  expect(missingWorker(description(0), 0)).toBeNull();
});

function follow(descriptions: readonly object[], startingUntil: () => number) {
  const shown: string[] = [];
  const left = [...descriptions];
  const client = { connection: { withDeadline: (_deadline: number, ask: () => unknown) => ask() } } as unknown as Client;
  const handle = {
    describe: async () => left.shift(),
    query: async () => Promise.reject(new Error('no worker')),
    result: async () => 'done',
  } as unknown as WorkflowHandle;
  const result = followOperation<string>({
    client,
    handle,
    show: ({ doing }) => shown.push(doing),
    interrupted: new AbortController().signal,
    comeBack: 'Come back.',
    startingUntil,
  });
  return { result, shown };
}

test('an operation is followed while a worker is starting, and a word is shown', async () => {
  const { result, shown } = follow([untaken(60_000), untaken(60_000), { ...untaken(0), status: { name: 'COMPLETED' } }], () => Date.now());
  expect(await result).toBe('done');
  expect(shown).toEqual(Array(2).fill('waiting for the worker, which has not taken the task yet'));
});

test('it is given up once no worker is starting any more', async () => {
  let until = Date.now();
  const { result, shown } = follow([untaken(60_000), untaken(60_000)], () => {
    const answer = until;
    until = 0;
    return answer;
  });
  await expect(result).rejects.toMatchObject({
    exitCode: EXIT.unreachable,
    message: expect.stringMatching(/No worker takes[^]*Come back\./),
  });
  expect(shown).toHaveLength(1);
});
