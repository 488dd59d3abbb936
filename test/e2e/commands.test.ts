// Commands as their users run them, on a real Temporal server: bad input, things that are missing, two at once.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { run, start } from '../kit/product.ts';

const SCOPE = 'acme/kernel';
const folder = mkdtempSync(join(tmpdir(), 'runward commands-'));
let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE] });
});

afterAll(async () => {
  await github.close();
  rmSync(folder, { recursive: true });
});

/** One runner by environment alone, on a Multipass that has no instance unless a test gives another. */
function variables(replaced: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    REPO: SCOPE,
    GH_TOKEN: github.token,
    GITHUB_API_URL: github.url,
    GITHUB_SERVER_URL: github.url,
    MULTIPASS: multipass('empty', `echo '{"list":[]}'`),
    RUNWARD_HOME: join(folder, 'home'),
    ...replaced,
  };
}

/** A client that answers whatever it is asked by one shell script. */
function multipass(name: string, script: string): string {
  const file = join(folder, `multipass-${name}`);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('configuration is refused before anything starts, with exit code 2', () => {
  test.each([
    ['no repository', { REPO: '' }, /REPO/],
    ['a repository that is none', { REPO: 'kernel' }, /REPO: found "kernel"/],
    ['a relative directory', { RUNNER_DIR: 'actions-runner' }, /RUNNER_DIR: found "actions-runner"/],
    ['hours that are no number', { STALE_JOB_HOURS: 'four' }, /STALE_JOB_HOURS: found "four"/],
    ['an App by halves', { GH_TOKEN: '', GITHUB_APP_ID: '12' }, /GITHUB_APP_INSTALLATION_ID/],
    ['a file that is not there', { RUNWARD_CONFIG: '/nowhere/runward.yaml' }, /RUNWARD_CONFIG.*does not exist/],
  ])('%s', async (_name, replaced, message) => {
    const { exitCode, stdout, stderr } = await run(['up'], variables(replaced));
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('several mistakes at once, with file and line', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'mode: atc\nscopes:\n  - repo: acme/kernel\n    runers: []\n');
    const { exitCode, stderr } = await run(['status', '--config', file], variables());
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/wrong\.yaml:1 mode: found "atc"/);
    expect(stderr).toMatch(/wrong\.yaml:4 .*runers/);
  });
});

describe('usage', () => {
  test('help and version are answers', async () => {
    const help = await run(['--help']);
    expect(help.exitCode).toBe(0);
    for (const verb of ['up', 'demo', 'worker', 'status', 'recover', 'history', 'explain']) {
      expect(help.stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'));
    }
    expect(await run(['--version'])).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  test.each([
    [[], /check/],
    [['--cancel-stale'], /`runward queue` is not there yet/],
    [['queue', 'plan', '--json'], /`runward queue` is not there yet/],
    [['recovr'], /unknown command 'recovr'/],
    [['recover', '--wait', 'soon'], /Use a duration such as/],
    [['explain'], /needs a workflow id, a runner, or --last/],
    [['history', '--since', 'ever'], /--since takes a duration/],
  ])('%j is a mistake of use, exit code 2', async (args, message) => {
    const { exitCode, stderr } = await run(args, { TEMPORAL_ADDRESS: inject('temporalAddress') });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe('status reads only', () => {
  test('a machine that is missing is told, exit code 1', async () => {
    const { exitCode, stdout } = await run(['status', '--json'], variables({ TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      scope: SCOPE,
      runners: [{ name: 'assay-bpf-runner', verdict: 'down', vm: { state: 'missing' }, github: { status: 'unregistered' } }],
      recentOperations: null,
    });
  });

  test('Multipass missing leaves GitHub to be told', async () => {
    const { exitCode, stdout } = await run(
      ['status', '--json'],
      variables({ MULTIPASS: '/nowhere/multipass', TEMPORAL_ADDRESS: '127.0.0.1:9' }),
    );
    expect(exitCode).toBe(1);
    const [runner] = JSON.parse(stdout).runners;
    expect(runner).toMatchObject({ verdict: 'unknown', vm: { state: null }, github: { status: 'unregistered' } });
    expect(runner.findings.map(({ code }: { code: string }) => code)).toEqual(['runner-unregistered', 'machine-unknown']);
  });

  test('neither side readable is exit code 3', async () => {
    const { exitCode, stdout } = await run(
      ['status', '--json'],
      variables({ MULTIPASS: '/nowhere/multipass', GITHUB_API_URL: 'http://127.0.0.1:9', TEMPORAL_ADDRESS: '127.0.0.1:9' }),
    );
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout).runners[0]).toMatchObject({ verdict: 'unknown' });
  });

  test('asks the machine nothing but its state while that is not running', async () => {
    const log = join(folder, 'asked');
    const stopped = multipass(
      'stopped',
      `echo "$*" >>'${log}'\necho '{"list":[{"name":"assay-bpf-runner","state":"Stopped","ipv4":[],"release":""}]}'`,
    );
    const { stdout } = await run(['status', '--json'], variables({ MULTIPASS: stopped, TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(JSON.parse(stdout).runners[0].vm.state).toBe('stopped');
    expect(readFileSync(log, 'utf8')).toMatch(/^list --format json\n$/);
  });
});

describe('what is needed and missing is said within seconds, with exit code 3', () => {
  test('no Temporal', async () => {
    const { exitCode, stderr } = await run(['recover'], variables({ TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/Temporal does not answer at 127\.0\.0\.1:9[^]*runward up/);
  });

  test('no worker', async () => {
    const { exitCode, stderr } = await run(['recover', '--runner', 'r1'], {
      ...variables(),
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TEMPORAL_NAMESPACE: 'test-8',
    });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/No worker takes tasks from the queue runward: start one with `runward up`/);
    expect(stderr).toMatch(/Look at it with `runward explain recover\/r1\//);
  });

  test("no Temporal CLI for `up`'s server", async () => {
    const { exitCode, stderr } = await run(
      ['up'],
      variables({ RUNWARD_TEMPORAL_CLI: '/nowhere/temporal', RUNWARD_HOME: join(folder, 'without-cli') }),
    );
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/Temporal's server \(\/nowhere\/temporal\) ended at once[^]*temporal\.log/);
  });
});

describe('up', () => {
  test('owns its folder, takes a free port, and ends in order', async () => {
    const occupant = createServer();
    occupant.listen(7233, '127.0.0.1');
    await once(occupant, 'listening').catch(() => {});
    const first = start(['up'], variables());
    try {
      await first.says(/looks after 1 runner/);
      const second = await run(['up'], variables());
      expect(second.exitCode).toBe(1);
      expect(second.stderr).toMatch(new RegExp(`Another Runward owns ${folder}/home\\. It runs as process ${first.pid}`));

      const status = await run(['status', '--json'], variables());
      expect(JSON.parse(status.stdout).recentOperations).toEqual([]);

      const recovery = await run(['recover', '--json'], variables());
      expect(recovery.exitCode).toBe(1);
      expect(JSON.parse(recovery.stdout)).toMatchObject({
        outcome: 'failed',
        summary: expect.stringContaining('there is no machine named assay-bpf-runner'),
      });
      const explained = await run(['explain', '--last'], variables());
      expect(explained.stdout).toMatch(/failed: there is no machine named assay-bpf-runner[^]*What was seen:[^]*machine: missing/);
      expect((await run(['explain', 'assay-bpf-runner', '--json'], variables())).stdout).toContain('"kind": "report"');
      expect((await run(['history', '--json'], variables())).stdout).toContain('"outcome": "failed"');
      expect((await run(['explain', 'nobody'], variables())).stderr).toMatch(/no workflow "nobody"/);
    } finally {
      first.kill('SIGINT');
      occupant.close();
    }
    const { exitCode, stderr } = await first.ended;
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/Stopped\.\n$/);
    const { exitCode: later } = await run(['recover'], variables({ TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(later).toBe(3);
  });

  test('takes its server with it when it is killed', async () => {
    const home = join(folder, 'killed');
    const first = start(['up'], variables({ RUNWARD_HOME: home }));
    await first.says(/looks after 1 runner/);
    const { address } = JSON.parse(readFileSync(join(home, 'server.json'), 'utf8')) as { address: string };
    first.kill('SIGKILL');
    await first.ended;
    await expect.poll(() => answers(address), { timeout: 10_000 }).toBe(false);
    const second = start(['up'], variables({ RUNWARD_HOME: home }));
    await second.says(/looks after 1 runner/);
    second.kill('SIGTERM');
    expect((await second.ended).exitCode).toBe(0);
  });
});

test('a worker alone serves another Temporal, and ends in order', async () => {
  const environment = { ...variables(), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'test-7' };
  const worker = start(['worker'], environment);
  await worker.says(/Worker of host local polls/);
  expect((await run(['recover', '--json'], environment)).stdout).toContain('there is no machine named assay-bpf-runner');

  const begun = start(['recover', '--no-wait', '--json'], environment);
  const { workflowId } = JSON.parse((await begun.ended).stdout) as { workflowId: string };
  worker.kill('SIGTERM');
  expect((await worker.ended).exitCode).toBe(0);
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const { status } = await new Client({ connection, namespace: 'test-7' }).workflow.getHandle(workflowId).describe();
  await connection.close();
  expect(['RUNNING', 'COMPLETED']).toContain(status.name);
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
  const workflowId = /runward explain (\S+?)`/.exec(stderr)?.[1] ?? '';
  await expect
    .poll(async () => (await run(['explain', workflowId, '--json'], environment)).stdout, { timeout: 20_000, interval: 500 })
    .toContain('"status": "completed"');
  worker.kill('SIGTERM');
  expect((await worker.ended).exitCode).toBe(0);
});

async function answers(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 500 });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}
