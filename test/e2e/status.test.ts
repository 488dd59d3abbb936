// `status` where one side or the other can not be read.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { folder, github, multipass, SCOPE, variables } from '../kit/one-runner.ts';
import { run } from '../kit/product.ts';

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
    expect(runner.findings.map(({ code }: { code: string }) => code)).toEqual(['runner-unlisted', 'machine-unknown', 'queue-care-unknown']);
  });

  test('neither side readable is exit code 3', async () => {
    const { exitCode, stdout } = await run(
      ['status', '--json'],
      variables({ MULTIPASS: '/nowhere/multipass', GITHUB_API_URL: 'http://127.0.0.1:9', TEMPORAL_ADDRESS: '127.0.0.1:9' }),
    );
    expect(exitCode).toBe(3);
    const { runners, queue } = JSON.parse(stdout);
    expect(runners[0]).toMatchObject({
      verdict: 'unknown',
      findings: expect.arrayContaining([expect.objectContaining({ code: 'queue-unknown' })]),
    });
    expect(queue.queued).toBeNull();
  });

  test('a thousand queued runs are five requests at most from the second look on, stale ones are counted by it, and it says what is unread', async () => {
    const [home, repository] = [join(folder, 'queued'), 'acme/queued'];
    mkdirSync(home);
    github.addRepository(repository);
    for (let number = 0; number < 1_000; number += 1) {
      github.queueRun(repository, { jobs: [{ labels: ['self-hosted'] }], agoMs: number * 60_000 });
    }
    const environment = variables({ RUNWARD_HOME: home, TEMPORAL_ADDRESS: '127.0.0.1:9', REPO: repository });
    await run(['status', '--json'], environment);
    const before = github.requests.length;
    const { stdout } = await run(['status', '--json'], environment);
    const asked = github.requests.slice(before).filter(({ path }) => path.includes(repository));
    expect(JSON.parse(stdout).queue).toMatchObject({ queued: 1_000, stale: 760, runsNotRead: 970, parked: null });
    expect(asked.length).toBeLessThanOrEqual(5);
    expect((await run(['status'], environment)).stdout).toMatch(/760 stale; .*jobs of 970 runs are not read yet, the next look goes on/);
  });

  test("GitHub's limit is told, and kept by the next command of the same data folder", async () => {
    const home = join(folder, 'limited');
    const token = github.addToken();
    const limited = variables({ GH_TOKEN: token, RUNWARD_HOME: home, TEMPORAL_ADDRESS: '127.0.0.1:9' });
    github.misbehave({ match: { path: /^\/repos\// }, fault: { kind: 'primary-limit', resetMs: 50 * 60_000 }, times: 1 });
    expect((await run(['status', '--json'], limited)).stdout).toMatch(/GitHub's rate limit .*(nothing more|is not sent) before \d{4}-/);
    // The look at the host's clock asks GitHub's web address, and not its API.
    const asked = (): number => github.requests.filter(({ path }) => path.startsWith('/repos/')).length;
    const sent = asked();
    expect((await run(['status', '--json'], limited)).stdout).toMatch(
      /GitHub's rate limit was reached before, so GET .* is not sent before/,
    );
    expect(asked()).toBe(sent);
    const [file = ''] = readdirSync(home).filter((name) => name.startsWith('github-limit'));
    writeFileSync(join(home, file), 'damaged');
    expect((await run(['status'], limited)).stderr).toMatch(
      /warning: .*github-limit-.* cannot be read, so GitHub is asked as if there were no limit/,
    );
    expect(asked()).toBeGreaterThan(sent);
  });

  test('a plan of a recovery ends like it: 1 if it would refuse, 3 if a side can not be read', async () => {
    const missing = await run(['recover', '--dry-run', '--json'], variables());
    expect(missing.exitCode).toBe(1);
    expect(JSON.parse(missing.stdout)).toMatchObject({ dryRun: true, plans: [{ decision: 'impossible' }] });
    for (const unread of [{ MULTIPASS: '/nowhere/multipass' }, { GITHUB_API_URL: 'http://127.0.0.1:9' }]) {
      const { exitCode, stdout } = await run(['recover', '--dry-run'], variables(unread));
      expect(exitCode).toBe(3);
      expect(stdout).toContain('could not be read, so nothing was touched');
    }
  });

  test('asks the machine nothing but its state while that is not running', async () => {
    const log = join(folder, 'asked');
    const stopped = multipass(
      'stopped',
      `echo "$*" >>'${log}'\necho '{"list":[{"name":"assay-bpf-runner","state":"Stopped","ipv4":[],"release":""}]}'`,
    );
    const { stdout } = await run(['status', '--json'], variables({ MULTIPASS: stopped, TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(JSON.parse(stdout).runners[0].vm.state).toBe('stopped');
    expect(readFileSync(log, 'utf8')).toMatch(/^list --no-ipv4 --format json\n$/);
  });
});
