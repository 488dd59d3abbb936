// The schedules of the health checks and of the care for queues, by the command.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { folder, SCOPE, variables } from '../kit/one-runner.ts';
import { run } from '../kit/product.ts';
import { BARE_NAMESPACE } from '../kit/temporal-setup.ts';

test('schedules are made, shown, paused, resumed, triggered and deleted, those of runners and queue alike', async () => {
  const config = join(folder, 'hourly.yaml');
  // So that no check comes due by itself while the test runs.
  writeFileSync(config, 'health: { every: 1h }\n');
  const environment = {
    ...variables({ RUNWARD_CONFIG: config }),
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_NAMESPACE: 'test-3',
  };
  const schedules = async (...args: readonly string[]): Promise<readonly Record<string, unknown>[]> => {
    const { stdout, exitCode, stderr } = await run(['schedule', ...args, '--json'], environment);
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout).schedules as readonly Record<string, unknown>[];
  };

  const made = await run(['--install-cron'], environment);
  expect(made.stderr).toMatch(/No cron job is installed/);
  expect(made.stdout).toMatch(
    /^acme\/kernel: made; a health check every 60 min, none yet, next in \d.*\nacme\/kernel: made; queue maintenance every 60 min, none yet, next in \d/,
  );
  expect(await schedules('apply')).toMatchObject(both({ done: 'unchanged', everySeconds: 3600, paused: false }));
  expect(await schedules('apply', '--scope', SCOPE)).toMatchObject(both({ done: 'unchanged' }));

  const paused = await run(['schedule', 'pause', '--reason', 'the rack is being moved'], environment);
  expect(paused.stdout).toMatch(
    /^Paused: acme\/kernel is not checked until `runward schedule resume`\..*\nPaused: the queue of acme\/kernel is not maintained until `runward schedule resume`\./,
  );
  const note = 'the rack is being moved';
  expect(await schedules('list')).toMatchObject(both({ exists: true, paused: true, note, nextPassAt: null }));
  expect((await run(['schedule', 'list'], environment)).stdout).toMatch(
    /^SCOPE +WHAT .*\nacme\/kernel +health check +60 min +never +- +paused \(the rack is being moved\)\nacme\/kernel +queue maintenance +60 min +never +- +paused/,
  );
  expect(await schedules('resume')).toMatchObject(both({ paused: false, nextPassAt: expect.stringMatching(/^\d{4}-/) }));
  await schedules('trigger');
  await expect
    .poll(async () => (await schedules('list')).map(({ lastPassId }) => lastPassId), { timeout: 10_000 })
    .toEqual([expect.stringMatching(/^check-health\/acme\/kernel-/), expect.stringMatching(/^maintain-queue\/acme\/kernel-/)]);

  expect((await run(['schedule', 'delete'], environment)).stdout).toMatch(
    /^Deleted the schedule of acme\/kernel's health check; .*\nDeleted the schedule of acme\/kernel's queue maintenance; /,
  );
  expect(await schedules('delete')).toEqual(both({ deleted: false }));
  const missing = await run(['schedule', 'pause'], environment);
  expect({ exitCode: missing.exitCode, stderr: missing.stderr }).toEqual({
    exitCode: 1,
    stderr: 'There is no schedule of acme/kernel: make it with `runward schedule apply`.\n',
  });
});

/** The documents of the scope's two schedules, alike but for what names them. */
function both(document: object): readonly object[] {
  return [
    { scope: SCOPE, care: 'health', scheduleId: 'check-health/acme/kernel', ...document },
    { scope: SCOPE, care: 'queue', scheduleId: 'maintain-queue/acme/kernel', ...document },
  ];
}

test.each([['schedule', 'apply'], ['explain', 'r1'], ['history']])(
  'a namespace in which no worker has run says so: %s',
  async (...verb) => {
    const environment = { ...variables(), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: BARE_NAMESPACE };
    expect(await run(verb, environment)).toMatchObject({
      exitCode: 3,
      stdout: '',
      stderr: expect.stringMatching(/No worker of Runward has ever run.*runward worker/),
    });
  },
);
