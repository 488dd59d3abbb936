// Operations started from the command line, with and without what they need.

import { rmSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, inject, test } from 'vitest';
import { startingUntil } from '../../src/worker/starting.ts';
import { heldWorker } from '../kit/held-worker.ts';
import { folder, multipass, SCOPE, variables } from '../kit/one-runner.ts';
import { run, start } from '../kit/product.ts';

describe('what is needed and missing is said within seconds, with exit code 3', () => {
  test('no Temporal', async () => {
    const { exitCode, stderr } = await run(['recover'], variables({ TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/Temporal does not answer at 127\.0\.0\.1:9[^]*runward up/);
  });

  test('no worker', async () => {
    const { exitCode, stderr } = await run(['recover'], {
      ...variables(),
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TEMPORAL_NAMESPACE: 'test-8',
    });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/No worker takes tasks from the queue runward: start one with `runward up`/);
    expect(stderr).toMatch(/Look at it with `runward explain recover\/assay-bpf-runner\//);
  });

  test("no Temporal CLI for `up`'s server", async () => {
    const { exitCode, stderr } = await run(
      ['up'],
      variables({ RUNWARD_TEMPORAL_CLI: '/nowhere/temporal', RUNWARD_HOME: join(folder, 'without-cli') }),
    );
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/RUNWARD_TEMPORAL_CLI names no program: \/nowhere\/temporal[^]*Install it/);
  });
});

test('nobody is said to be missing while a worker of this computer is starting', async () => {
  const hold = join(folder, 'hold-worker');
  writeFileSync(hold, '');
  const environment = {
    ...variables({ RUNWARD_HOME: join(folder, 'starting') }),
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_NAMESPACE: 'test-2',
  };
  const worker = start(['worker'], { ...environment, ...heldWorker(hold) });
  await expect.poll(() => startingUntil(join(folder, 'starting')), { timeout: 20_000 }).toBeGreaterThan(0);
  const recovery = start(['recover'], environment);
  await recovery.says(/The worker has not answered yet \(/);
  rmSync(hold);
  const { exitCode, stdout, stderr } = await recovery.ended;
  worker.kill('SIGTERM');
  await worker.ended;
  expect(exitCode, stderr).toBe(1);
  expect(stdout).toContain('there is no machine named assay-bpf-runner');
  expect(stderr).not.toContain('No worker takes');
});

test('a worker alone serves another Temporal, and ends in order', async () => {
  const environment = { ...variables(), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'test-7' };
  const worker = start(['worker'], environment);
  await worker.says(
    /Worker of host local polls[^]*no schedule checks the health of acme\/kernel: make it with `runward schedule apply`[^]*no schedule maintains the queue of acme\/kernel: make it/,
  );
  expect((await run(['recover', '--json'], environment)).stdout).toContain('there is no machine named assay-bpf-runner');

  const drained = await run(['runner', 'drain', '--reason', 'new disk', '--json'], environment);
  expect(drained.exitCode).toBe(1);
  expect(JSON.parse(drained.stdout)).toMatchObject({
    workflowId: expect.stringMatching(/^drain\//),
    outcome: 'failed',
    summary: expect.stringContaining('there is no machine named assay-bpf-runner'),
    reason: 'new disk',
  });
  const { workflowId: drain } = JSON.parse(drained.stdout) as { workflowId: string };

  const cleared = await run(['--clear-cache', '--dry-run', '--json'], environment);
  expect(cleared.exitCode).toBe(1);
  expect(JSON.parse(cleared.stdout)).toMatchObject({
    workflowId: expect.stringMatching(/^clear\//),
    outcome: 'failed',
    summary: expect.stringContaining('machine assay-bpf-runner is missing'),
    dryRun: true,
    removed: { entries: 0 },
  });

  const begun = start(['recover', '--no-wait', '--json'], environment);
  const { workflowId } = JSON.parse((await begun.ended).stdout) as { workflowId: string };
  worker.kill('SIGTERM');
  const { exitCode, stderr, stdout } = await worker.ended;
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
  const lines = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  expect(lines.map(({ code }) => code)).toEqual(expect.arrayContaining(['token-answered', 'started', 'operation-ended', 'stopped']));
  expect(lines.every(({ time, level, message }) => [time, level, message].every((word) => typeof word === 'string'))).toBe(true);
  expect(lines.find(({ code }) => code === 'operation-ended')).toMatchObject({
    level: 'WARN',
    event: { type: 'recoverRunner', runner: 'assay-bpf-runner', scope: SCOPE, outcome: 'failed', durationMs: expect.any(Number) },
  });
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const { workflow } = new Client({ connection, namespace: 'test-7' });
  const { status } = await workflow.getHandle(workflowId).describe();
  const { memo } = await workflow.getHandle(drain).describe();
  await connection.close();
  expect(['RUNNING', 'COMPLETED']).toContain(status.name);
  expect(memo).toEqual({ actor: `${userInfo().username}@${hostname()}`, reason: 'new disk' });
});

test("why a worker can't work is a line of its log", async () => {
  const wrong = await run(['worker'], { ...variables({ GH_TOKEN: 'ghp_wrong' }), TEMPORAL_ADDRESS: '127.0.0.1:9' });
  expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
  expect(JSON.parse(wrong.stderr)).toMatchObject({ level: 'ERROR', code: 'failed', exitCode: 2 });
});

test('a plan of a drain writes nothing, needs no Temporal, and says what stands in the way', async () => {
  const { exitCode, stdout } = await run(['runner', 'drain', '--dry-run', '--json'], variables());
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ dryRun: true, plans: [{ decision: 'impossible', wouldDo: [] }] });
});

test("a host's worker looks after its machines without any credential of GitHub", async () => {
  const config = join(folder, 'two-hosts.yaml');
  writeFileSync(config, `scopes: [{ repo: ${SCOPE}, runners: [{ name: r1, host: attic, labels: [bpf] }, { name: r2, labels: [bpf] }] }]\n`);
  const { GH_TOKEN: token = '', ...shared } = variables({ RUNWARD_CONFIG: config });
  const withoutToken = { ...shared, TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'test-5' };
  const environment = { ...withoutToken, GH_TOKEN: token };
  const main = start(['worker'], { ...environment, MULTIPASS: '/nowhere/multipass' });
  const host = start(['worker', '--host', 'attic'], { ...withoutToken, MULTIPASS: multipass('attic', `echo '{"list":[]}'`) });
  await Promise.all([main.says(/Worker of host local polls/), host.says(/Worker of host attic polls/)]);
  const [missing, unreached] = await Promise.all(['r1', 'r2'].map((name) => run(['recover', '--runner', name, '--json'], environment)));
  expect(missing).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('there is no machine named r1') });
  expect(unreached?.exitCode).toBe(3);
  expect(JSON.parse(unreached?.stdout ?? '')).toMatchObject({ outcome: 'failed', unreachable: 'machine' });
  for (const worker of [main, host]) worker.kill('SIGTERM');
  expect((await Promise.all([main.ended, host.ended])).map(({ exitCode }) => exitCode)).toEqual([0, 0]);
});

test('interrupting a command leaves the operation running and says how to come back', async () => {
  const slow = multipass('slow', `sleep 2\necho '{"list":[]}'`);
  const environment = { ...variables({ MULTIPASS: slow }), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'test-6' };
  const worker = start(['worker'], environment);
  await worker.says(/polls/);
  const command = start(['recover'], environment);
  await command.says(/looking/);
  command.kill('SIGINT');
  const { exitCode, stderr } = await command.ended;
  expect(exitCode).toBe(130);
  const drain = start(['runner', 'drain'], environment);
  await drain.says(/looking/);
  drain.kill('SIGINT');
  expect(await drain.ended).toMatchObject({
    exitCode: 130,
    stderr: expect.stringMatching(
      /the operation goes on\. Look at it with `runward explain drain\/\S+`\. `runward runner resume` undoes it\./,
    ),
  });
  const workflowId = /runward explain (\S+?)`/.exec(stderr)?.[1] ?? '';
  await expect
    .poll(async () => (await run(['explain', workflowId, '--json'], environment)).stdout, { timeout: 20_000, interval: 500 })
    .toContain('"status": "completed"');
  worker.kill('SIGTERM');
  expect((await worker.ended).exitCode).toBe(0);
});
