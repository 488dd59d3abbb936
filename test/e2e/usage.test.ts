// Bad input to the command.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { folder, program, variables } from '../kit/one-runner.ts';
import { run } from '../kit/product.ts';

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
    for (const verb of [
      'up',
      'demo',
      'worker',
      'schedule',
      'check',
      'status',
      'recover',
      'runner',
      'cache',
      'queue',
      'history',
      'explain',
      'temporal',
      'completion',
    ]) {
      expect(help.stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'));
    }
    expect(await run(['--version'])).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  test.each([
    [[], /REPO: found nothing[^]*No worker at [^]* says which runners are meant: nothing was started/],
    [['schedule', 'apply'], /REPO: found nothing/],
    [['nonsense', '--help'], /unknown command 'nonsense'[^]*Run `runward --help` for its verbs/],
    [['queue', 'plann'], /Did you mean plan\?[^]*Run `runward queue --help`/],
    [['status', '--runner'], /argument missing[^]*Run `runward status --help` for its flags/],
    [['recover', 'r1', '--all'], /--all means all runners/],
    [['--heal-cache', '--wait', 'soon'], /Use a duration such as/],
    [['cache', 'sweep'], /unknown command 'sweep'/],
    [['cache', 'clean', '--max', '3'], /unknown option '--max'/],
    [['doctor'], /`runward doctor` is planned but not in/],
    [['queue', 'stop'], /unknown command 'stop'/],
    [['queue', 'optimize'], /There is no terminal to ask on: give --yes, or --dry-run/],
    [['queue', 'optimize', '--json'], /With --json nobody is asked: give --yes, or --dry-run/],
    [['queue', 'parked', '--release'], /give --yes, or --dry-run/],
    [['queue', 'plan', '--release'], /unknown option '--release'/],
    [['queue', 'plan', '--max', '0'], /whole number from 1/],
    [['queue', 'list', '--max', '0'], /whole number from 1/],
    [['queue', 'list', '--no-wait'], /unknown option '--no-wait'/],
    [['runner', 'upgrade', '--runner', 'r1'], /`runward runner upgrade` is planned but not in/],
    [['runner', 'drain', '--wait', 'soon'], /Use a duration such as/],
    [['recovr'], /unknown command 'recovr'/],
    [['recover', '--wait', 'soon'], /Use a duration such as/],
    [['demo', '--break', 'everything'], /--break <how>.* Allowed choices are service, registration, clock, vm, config, listener\./],
    [['schedule', 'stop'], /unknown command 'stop'/],
    [['explain', '--run', 'mine'], /--run takes the id of a run or its address on GitHub, not "mine"/],
    [['explain'], /needs an id of `runward history`, a runner, --last, or --run/],
    [['history', '--since', 'ever'], /--since takes a duration/],
  ])('%j is a mistake of use, exit code 2', async (args, message) => {
    const { exitCode, stderr } = await run(args, { TEMPORAL_ADDRESS: inject('temporalAddress') });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
  });

  test('a scope that is not configured is a mistake of use that names the choices', async () => {
    const { exitCode, stderr } = await run(['check', '--scope', 'acme/nothing'], variables());
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: 'no scope "acme/nothing" is configured; the only one is acme/kernel\n' });
  });
});

describe("Temporal's own command", () => {
  const temporal = () => program('temporal', `printf '<%s>' "$@"; echo " $TEMPORAL_ADDRESS $TEMPORAL_NAMESPACE"; exit 7`);

  test.each([
    [['--help']],
    [['help', 'workflow']],
    [['workflow', 'list', '--query', "RunwardTrigger = 'manual' AND a != b", '--json', '--config', 'x', '-v', '--', '']],
    [['--version']],
  ])('gets %j as it was typed, the address and the namespace, and its exit code counts', async (words) => {
    const { exitCode, stdout } = await run(['temporal', ...words], {
      RUNWARD_TEMPORAL_CLI: temporal(),
      TEMPORAL_ADDRESS: '127.0.0.1:9',
      TEMPORAL_NAMESPACE: 'attic',
    });
    expect(stdout).toBe(`${words.map((word) => `<${word}>`).join('')} 127.0.0.1:9 attic\n`);
    expect(exitCode).toBe(7);
  });

  test('that is missing is told with how to install it, and exit code 3', async () => {
    const { exitCode, stdout, stderr } = await run(['temporal', 'workflow', 'list'], { RUNWARD_TEMPORAL_CLI: '/nowhere/temporal' });
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
    expect(stderr).toMatch(/RUNWARD_TEMPORAL_CLI names no program: \/nowhere\/temporal[^]*Install it/);
  });
});

test("the checkout's tests are named in help, and Node sends whoever starts them to the launcher", async () => {
  expect((await run(['--help'])).stdout).toMatch(/^ {2}test\b.*`\.\/runward test --help`/m);
  const { exitCode, stderr } = await run(['test', '--yes', 'unit']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining('`./runward test`') });
});
