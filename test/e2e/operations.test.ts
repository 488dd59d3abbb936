// Operations started from the command line, with and without what they need.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, inject, test } from 'vitest';
import { startingUntil } from '../../src/worker/starting.ts';
import { startAlertReceiver } from '../kit/alert-receiver.ts';
import { heldWorker } from '../kit/held-worker.ts';
import { folder, github, multipass, SCOPE, variables } from '../kit/one-runner.ts';
import { run, start } from '../kit/product.ts';
import { ATTACK, ODD } from '../kit/strangers.ts';

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

describe('what strangers write', () => {
  const GUEST = {
    bootId: attackedShortly('a-boot'),
    uptimeMs: '3600120',
    timeSync: 'timesyncd',
    timeSyncState: attackedShortly('active'),
    runningAct: attackedShortly('act'),
    workersOnMachine: '0',
    unit: 'actions.runner.acme-kernel.assay-bpf-runner.service',
    serviceState: 'failed',
    startedAgo: '3600',
    journal64: inBase64(`A session for this runner already exists.${ATTACK}`),
    workers: '0',
    listeners: '0',
    runner64: inBase64(JSON.stringify({ agentId: 7, agentName: `other${ATTACK}`, gitHubUrl: `https://github.com/x${ATTACK}` })),
    version: attackedShortly('2.336.0'),
    missing64: inBase64(`bin is missing${ATTACK}`),
    drain64: inBase64(`1764021600\nperson\nnew disk${ATTACK}`),
    cleaner64: inBase64(`/etc/cron.d/clean${ATTACK}:12`),
    disk: '41% 23622320128 12',
    work: '9000 4',
    cache: '1000 1 0',
  };
  const output = inBase64(
    Object.entries(GUEST)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const HOSTILE = `case $1 in
  list) echo '{"list":[{"name":"assay-bpf-runner","state":"Running"}]}' ;;
  exec)
    cat >/dev/null
    printf '%s\\n' runward-answer kind=done 'output64=${output}' errors64= elapsedMs=0 "clockMs=$(date +%s)500" runward-end
    printf '\\033[2Koops\\nrunward-exit 0\\n' >&2 ;;
  *) exit 2 ;;
esac`;
  const cacheSign = "Can't find 'action.yml' under '/opt/actions-runner/_work/_actions/a/b/c'.";

  test('is plain text in every verb, log, alert and history', async () => {
    const home = join(folder, 'strangers');
    const receiver = await startAlertReceiver();
    const secretFile = join(folder, 'webhook-secret');
    writeFileSync(secretFile, `whsec_${Buffer.alloc(32, 1).toString('base64')}`, { mode: 0o600 });
    const config = join(folder, 'strangers.yaml');
    writeFileSync(
      config,
      `alerts: { webhook: { url: '${receiver.url}', secretFile: ${JSON.stringify(secretFile)} } }
scopes: [{ repo: ${SCOPE}, runners: [{ name: assay-bpf-runner, vm: assay-bpf-runner, labels: [bpf] }] }]
`,
    );
    const { REPO: _, ...shared } = variables({ RUNWARD_CONFIG: config, RUNWARD_HOME: home, MULTIPASS: multipass('hostile', HOSTILE) });
    const environment = { ...shared, TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'test-2' };
    github.addRunner(SCOPE, { name: 'assay-bpf-runner', labels: ['bpf', `label${ATTACK}`], shown: { status: 'online', busy: true } });
    const named = { branch: `branch${ATTACK}`, event: `event${ATTACK}`, workflow: { id: 9, name: `workflow${ATTACK}` } };
    const failed = { state: 'completed', conclusion: 'failure', runner: 'assay-bpf-runner' } as const;
    const annotations = [{ level: 'failure' as const, message: `${cacheSign}${ATTACK}` }];
    github.queueRun(SCOPE, { ...named, jobs: [{ ...failed, name: `job${ATTACK}`, annotations, log: `##[error]${cacheSign}${ATTACK}\n` }] });
    github.queueRun(SCOPE, { ...named, jobs: [{ name: `job${ATTACK}`, state: 'in_progress', runner: 'assay-bpf-runner' }] });
    github.queueRun(SCOPE, { ...named, agoMs: 6 * 3_600_000, jobs: [{ name: `job${ATTACK}`, labels: ['bpf', `label${ATTACK}`] }] });
    const worker = start(['worker'], environment);
    try {
      await worker.says(/polls/);
      const exported = join(folder, 'strangers-history.json');
      const see = async (...words: readonly string[]): Promise<string> => {
        const { stdout, stderr } = await run(words, environment);
        expectPrinted(stdout, words.join(' '));
        expectPrinted(stderr, words.join(' '));
        return stdout;
      };
      expect(await see('check')).toContain('evil');
      const seen = await Promise.all([
        see('status'),
        see('explain', '--last', '--verbose'),
        see('queue', 'list'),
        see('recover', '--dry-run'),
        see('history', '--all', '--export', exported),
      ]);
      expect(seen.filter((text) => /evil|\uFFFD/.test(text)).length).toBeGreaterThan(2);
      expectPrinted(readFileSync(exported, 'utf8'), 'exported');
      await expect.poll(() => receiver.accepted.length, { timeout: 20_000 }).toBeGreaterThan(0);
      receiver.received.forEach(({ body }) => expectPrinted(body, 'webhook'));
      expect(JSON.stringify(receiver.accepted)).toMatch(/evil|clean/);
      const connection = await Connection.connect({ address: environment.TEMPORAL_ADDRESS });
      const { workflow } = new Client({ connection, namespace: 'test-2' });
      let histories = 0;
      for await (const { workflowId, runId, memo, type } of workflow.list({ query: `ExecutionStatus IS NOT NULL` })) {
        const { events } = await workflow.getHandle(workflowId, runId).fetchHistory();
        const payloads = JSON.stringify(events, (_key, value: unknown) =>
          value instanceof Uint8Array ? Buffer.from(value).toString() : value,
        );
        histories += 1;
        expectPrinted(payloads, `${type} ${workflowId}`);
        expectPrinted(JSON.stringify(memo ?? {}), `memo of ${workflowId}`);
      }
      await connection.close();
      expect(histories).toBeGreaterThan(3);
    } finally {
      worker.kill('SIGTERM');
      expectPrinted((await worker.ended).stderr, 'log');
      await receiver.close();
    }
  });
});

function inBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** On one line, as the guest's answer has it. */
function attackedShortly(text: string): string {
  return `${text}${ATTACK}`.replaceAll(/[\r\n\0]/g, '');
}

/** Lines of text, or of JSON, in which an odd character may be escaped as often as it is nested. */
function expectPrinted(text: string, what: string): void {
  expect(text, what).not.toMatch(/^forged/m);
  expect(text.replaceAll('\n', ' '), what).not.toMatch(ODD);
  expect(text, what).not.toMatch(/\\+(u00[0189][0-9a-f]|u202[89a-e]|u206[6-9]|[rbf])/i);
}

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
