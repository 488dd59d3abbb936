// The schedules of the health checks, by the command.

import { Connection } from '@temporalio/client';
import { expect, inject, test } from 'vitest';
import { SCOPE, variables } from '../kit/one-runner.ts';
import { run } from '../kit/product.ts';

test('a schedule is made, shown, paused, resumed, triggered and deleted', async () => {
  const environment = { ...variables(), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'test-4' };
  const schedule = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    const { stdout, exitCode, stderr } = await run(['schedule', ...args, '--json'], environment);
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout).schedules[0] as Record<string, unknown>;
  };

  const made = await run(['--install-cron'], environment);
  expect(made.stderr).toMatch(/No cron job is installed/);
  expect(made.stdout).toMatch(/^acme\/kernel: made; a health check every 5 min, none yet, next in \d/);
  expect(await schedule('apply')).toMatchObject({ scope: SCOPE, done: 'unchanged', everySeconds: 300, paused: false });

  expect(await schedule('pause', '--reason', 'the rack is being moved')).toMatchObject({
    paused: true,
    note: 'the rack is being moved',
    nextPassAt: null,
  });
  expect((await run(['schedule', 'list'], environment)).stdout).toMatch(
    /acme\/kernel +5 min +never +- +paused \(the rack is being moved\)/,
  );
  expect(await schedule('resume')).toMatchObject({ paused: false, nextPassAt: expect.stringMatching(/^\d{4}-/) });
  await schedule('trigger');
  await expect.poll(async () => (await schedule('list'))['lastPassId'], { timeout: 10_000 }).toMatch(/^check-health\/acme\/kernel-/);

  expect(await schedule('delete')).toMatchObject({ scope: SCOPE, deleted: true });
  const missing = await run(['schedule', 'pause'], environment);
  expect({ exitCode: missing.exitCode, stderr: missing.stderr }).toEqual({
    exitCode: 1,
    stderr: 'There is no schedule of acme/kernel: make it with `runward schedule apply`.\n',
  });
});

test('a namespace in which no worker has run says so', async () => {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const namespace = 'bare';
  await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds: 86_400 as never } });
  const environment = { ...variables(), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: namespace };
  for (const verb of [['schedule', 'apply'], ['explain', 'r1'], ['history']]) {
    // A new namespace is known everywhere after a second or ten.
    await expect
      .poll(() => run(verb, environment), { timeout: 30_000 })
      .toMatchObject({ exitCode: 3, stdout: '', stderr: expect.stringMatching(/No worker of Runward has ever run.*runward worker/) });
  }
  await connection.close();
});
