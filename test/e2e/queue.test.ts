// The care for a repository's queue, by the command.

import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { github, SCOPE, variables } from '../kit/one-runner.ts';
import { run, start, type Started } from '../kit/product.ts';

const HOUR = 3_600_000;
const NAMESPACE = 'test-4';

let worker: Started;

const environment = (): Record<string, string> => ({
  ...variables(),
  TEMPORAL_ADDRESS: inject('temporalAddress'),
  TEMPORAL_NAMESPACE: NAMESPACE,
});

beforeAll(async () => {
  worker = start(['worker'], environment());
  await worker.says(/polls/);
});

afterAll(async () => {
  worker.kill('SIGTERM');
  expect((await worker.ended).exitCode).toBe(0);
});

test('try', async () => {
  const stale = github.queueRun(SCOPE, { jobs: [{ labels: ['self-hosted'] }], agoMs: 6 * HOUR });
  const planned = await run(['queue', 'plan'], environment());
  console.log(planned);
  console.log(await run(['queue', 'optimize', '--yes', '--reason', 'trial'], environment()));
  console.log(await run(['explain', '--last'], environment()));
  console.log(await run(['history'], environment()));
  console.log(await run(['queue', 'parked', '--json'], environment()));
  console.log(await run(['queue', 'parked'], environment()));
  console.log(github.run(stale));
});
