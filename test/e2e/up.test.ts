// `up` as one owner of its folder and one process tree, also when its server, its database or itself comes to harm.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import { folder, github, multipass, program, variables } from '../kit/one-runner.ts';
import { heldWorker } from '../kit/held-worker.ts';
import { run, start, type Started } from '../kit/product.ts';
import { processesOf, serverProcesses } from '../kit/server-process.ts';

describe('up', () => {
  test('owns its folder, takes a free port, and ends in order', async () => {
    const occupant = createServer();
    occupant.listen(7233, '127.0.0.1');
    await once(occupant, 'listening').catch(() => {});
    const first = start(['up'], variables());
    try {
      await first.says(/✔ GitHub: octocat, classic token from GH_TOKEN; may do all that Runward needs at acme\/kernel/);
      await first.says(/✗ assay-bpf-runner down: /);
      await first.says(
        /✔ Schedules: health check every 5 min, next \d\d:\d\d:\d\d; queue maintenance every 5 min, next \d[^]*✔ Temporal's UI: http:[^]*looks after 1 runner/,
      );
      // By the first check, which runs at once.
      await first.says(/^\d\d:\d\d:\d\d assay-bpf-runner critical: .* is missing → .* · runward explain finding\//m);
      const second = await run(['up'], variables());
      expect(second.exitCode).toBe(1);
      expect(second.stderr).toMatch(new RegExp(`Another Runward owns ${folder}/home\\. It runs as process ${first.pid}`));

      const status = await run(['status', '--json'], variables());
      expect(JSON.parse(status.stdout).recentOperations, status.stdout + status.stderr).toEqual([]);

      const recovery = await run(['recover', '--json'], variables());
      expect(recovery.exitCode).toBe(1);
      expect(JSON.parse(recovery.stdout)).toMatchObject({
        outcome: 'failed',
        summary: expect.stringContaining('there is no machine named assay-bpf-runner'),
      });
      const explained = await run(['explain', '--last'], variables());
      expect(explained.stdout).toMatch(
        /failed in [\d.]+ s: there is no machine named assay-bpf-runner[^]*Evidence .*machine: missing[^]*Next steps/,
      );
      expect((await run(['explain', 'assay-bpf-runner', '--json'], variables())).stdout).toContain('"kind": "report"');
      expect((await run(['history', '--json'], variables())).stdout).toContain('"outcome": "failed"');
      expect((await run(['explain', 'acme/none/nobody'], variables())).stderr).toMatch(/no workflow "acme\/none\/nobody"/);
      expect((await run(['explain', 'nobody'], variables())).stderr).toMatch(/no workflow "nobody"/);

      const checked = await run(['check', '--json'], variables());
      expect(checked.exitCode, checked.stderr).toBe(1);
      const { workflowId, outcome, findings } = JSON.parse(checked.stdout);
      expect({ workflowId, outcome }).toEqual({
        workflowId: expect.stringMatching(/^check-health\/acme\/kernel\/by-hand\//),
        outcome: 'unhealthy',
      });
      expect(findings).toContainEqual(expect.objectContaining({ code: 'machine-missing', subject: 'acme/kernel/assay-bpf-runner' }));
      expect((await run(['explain', workflowId], variables())).stdout).toMatch(/^unhealthy: [^]*What broke [^]*Next steps /);
      expect((await run(['explain', 'assay-bpf-runner'], variables())).stdout).toMatch(/The last health check, .* saw:\n {2}critical {2}/);
      await expect(startByHand(serverOf(join(folder, 'home')).address, 'nobody')).rejects.toThrow(/failed/);
    } finally {
      first.kill('SIGINT');
      occupant.close();
    }
    const { exitCode, stderr } = await first.ended;
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/^\d\d:\d\d:\d\d Stopping …\n[^]*Stopped\.\n$/m);
    const log = readFileSync(join(folder, 'home', 'runward.log'), 'utf8');
    const recovery =
      /^(\S+) assay-bpf-runner: manual recovery → .*there is no machine named assay-bpf-runner.* · runward explain recover\/\S+$/gm;
    expect([...stderr.matchAll(recovery)].map(([, at]) => at)).toEqual([expect.stringMatching(/^\d\d:\d\d:\d\d$/)]);
    expect([...log.matchAll(recovery)].map(([, at]) => at)).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)]);
    // What somebody mistyped is theirs, and not for whoever looks at this terminal.
    expect(log).toMatch(/Activity failed: .*"nobody"/);
    expect(stderr).not.toContain('Activity failed');
    expect(log).toMatch(/Stopped\.\n$/);
    const { exitCode: later } = await run(['recover'], variables({ TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(later).toBe(3);
  });

  test('two that start at once, each in its own folder, have a server each', async () => {
    const homes = ['one', 'two'].map((name) => join(folder, name));
    const both = homes.map((home) => start(['up'], variables({ RUNWARD_HOME: home, MULTIPASS: '/nowhere/multipass' })));
    await Promise.all(both.map((each) => each.says(/looks after 1 runner/)));
    const addresses = homes.map((home) => serverOf(home).address);
    expect(new Set(addresses).size).toBe(2);
    await both[0]?.says(/✗ Multipass: \/nowhere\/multipass is no program\. Install it \(https:\/\/multipass\.run\), or set MULTIPASS\./);
    both.forEach((each) => each.kill('SIGTERM'));
    expect((await Promise.all(both.map((each) => each.ended))).map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  });

  test('that is interrupted while its worker starts says so at once, and begins nothing more', async () => {
    const hold = join(folder, 'hold the worker');
    writeFileSync(hold, '');
    const up = start(['up'], { ...variables({ RUNWARD_HOME: join(folder, 'cut short') }), ...heldWorker(hold) });
    await up.says(/Starting the worker …/);
    up.kill('SIGINT');
    await up.says(/Stopping …/);
    rmSync(hold);
    const { exitCode, stderr } = await up.ended;
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/Stopping …\n[^]*Stopped\.\n$/);
    expect(stderr).not.toMatch(/Schedules|looks after/);
  });

  test('does not start where it can never ask GitHub, and says what to do', async () => {
    const { GH_TOKEN: _token, ...without } = variables({ PATH: '/nowhere', RUNWARD_HOME: join(folder, 'hopeless') });
    const none = await run(['up'], without);
    expect(none).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringMatching(/^✗ GitHub: no token\. Set GH_TOKEN .*gh auth login/),
    });
    const wrong = await run(['up'], { ...without, GH_TOKEN: 'ghp_wrong' });
    expect(wrong).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^✗ GitHub refuses the token of GH_TOKEN: .*Set a valid one/),
    });
  });

  test('only watches while its token may not write, says so, and acts once it may', async () => {
    const home = join(folder, 'read-only');
    const [calls, tokenFile] = [join(folder, 'calls'), join(folder, 'token')];
    // One that is gone once it was started: its recovery ends.
    const stopped = multipass(
      'recorded',
      `echo "$*" >>'${calls}'\ngrep -q start '${calls}' && echo '{"list":[]}' || echo '{"list":[{"name":"assay-bpf-runner","state":"Stopped"}]}'`,
    );
    const permissions = { administration: 'read', actions: 'read', contents: 'read', checks: 'read' } as const;
    writeFileSync(tokenFile, github.addToken({ permissions }), { mode: 0o600 });
    const { GH_TOKEN: token = '', ...rest } = variables({ RUNWARD_HOME: home, MULTIPASS: stopped, GH_TOKEN_FILE: tokenFile });
    const up = start(['up'], rest);
    try {
      await up.says(/! GitHub: octocat, fine-grained token from .*token; lacks what follows/);
      await up.says(
        /! Token cannot register runners at acme\/kernel \(needs Administration: read and write\); Runward only watches them\./,
      );
      await up.says(/! Token cannot cancel and re-run workflow runs at acme\/kernel \(needs Actions: read and write\)/);
      await up.says(/looks after 1 runner/);
      const recovery = await run(['recover', '--json'], rest);
      expect(JSON.parse(recovery.stdout)).toMatchObject({
        outcome: 'refused-watching',
        summary: expect.stringMatching(/only watches \(GitHub's token lacks "Administration: read and write" for acme\/kernel/),
      });
      expect(readFileSync(calls, 'utf8')).not.toContain('start');

      writeFileSync(tokenFile, token);
      await up.says(/✔ GitHub: octocat, classic token from .*; may do all that Runward needs/);
      await run(['recover', '--json'], rest);
      expect(readFileSync(calls, 'utf8')).toContain('start assay-bpf-runner');
    } finally {
      up.kill('SIGTERM');
    }
    expect((await up.ended).exitCode, up.stderr).toBe(0);
  });

  test('takes its server with it when it is killed', async () => {
    const home = join(folder, 'killed');
    const first = start(['up'], variables({ RUNWARD_HOME: home }));
    await first.says(/looks after 1 runner/);
    const { address } = serverOf(home);
    first.kill('SIGKILL');
    await first.ended;
    await expect.poll(() => answers(address), { timeout: 10_000 }).toBe(false);
    const second = start(['up'], variables({ RUNWARD_HOME: home }));
    await second.says(/looks after 1 runner/);
    second.kill('SIGTERM');
    expect((await second.ended).exitCode).toBe(0);
  });
});

// In this file, since an `up` that starts elsewhere may take the port of a server that is down.
describe('on bad days', () => {
  test('a server that dies is started again where it was, and the recovery under way goes on', async () => {
    const home = join(folder, 'dies');
    const [asked, hold] = [join(folder, 'asked'), join(folder, 'hold')];
    writeFileSync(hold, '');
    const slow = multipass('slow', `: >'${asked}'; while [ -e '${hold}' ]; do sleep 0.1; done; echo '{"list":[]}'`);
    const here = variables({ RUNWARD_HOME: home, MULTIPASS: slow });
    const up = start(['up'], here);
    try {
      await up.says(/looks after 1 runner/);
      const { address } = serverOf(home);
      await run(['recover', '--no-wait'], here);
      await expect.poll(() => existsSync(asked), { timeout: 10_000 }).toBe(true);

      kill(serverProcesses(home)?.server);
      await up.says(/ended by itself \(exit code 137\): see .*\/dies\/temporal\.log\. It is started again in 0\.5 s/);
      await up.says(/is back at /);
      expect(serverOf(home).address).toBe(address);
      rmSync(hold);
      await expect.poll(async () => (await run(['history', '--json'], here)).stdout, { timeout: 20_000 }).toContain('"outcome": "failed"');
      expect((await run(['explain', '--last'], here)).stdout).toMatch(/failed in [\d.]+ s: there is no machine named assay-bpf-runner/);

      const { leash = 0, server } = serverProcesses(home) ?? {};
      kill(leash);
      await up.says(/It is started again in 1\.0 s/);
      await up.says(/is back at [^]*is back at /);
      expect(processesOf(home).map(({ pid }) => pid)).not.toContain(server);

      kill(serverProcesses(home)?.server);
      await up.says(/It is started again in 2\.0 s/);
      up.kill('SIGINT');
      expect(await up.ended).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/Stopped\.\n$/) });
      expect(up.stderr.match(/is back at/g)).toHaveLength(2);
    } finally {
      up.kill('SIGKILL');
    }
    await expect.poll(() => orphans(home), { timeout: 10_000 }).toEqual([]);
  });

  test('`up` that is killed while it starts its server again leaves no process behind', async () => {
    const home = join(folder, 'killed twice');
    const up = start(['up'], variables({ RUNWARD_HOME: home }));
    await up.says(/looks after 1 runner/);
    const first = serverProcesses(home)?.server;
    kill(first);
    await expect.poll(() => serverProcesses(home)?.server ?? first, { timeout: 10_000, interval: 10 }).not.toBe(first);
    up.kill('SIGKILL');
    await up.ended;
    expect(up.stderr).not.toContain('is back at');
    await expect.poll(() => orphans(home), { timeout: 10_000 }).toEqual([]);
  });

  test('ends in order, server and all, although the shell that would have ended the server was killed', async () => {
    const home = join(folder, 'unwatched');
    await upOnce(variables({ RUNWARD_HOME: home }), async () => {
      const watcher = processesOf(home).findLast(({ args }) => args.includes('leash.sh'));
      expect(watcher?.pid).not.toBe(serverProcesses(home)?.leash);
      kill(watcher?.pid);
    });
    expect(orphans(home)).toEqual([]);
  });

  test('a stranger that takes the port while the server is down is left alone, and said', async () => {
    const home = join(folder, 'taken');
    const up = start(['up'], variables({ RUNWARD_HOME: home }));
    await up.says(/looks after 1 runner/);
    const port = Number(serverOf(home).address.split(':')[1]);
    const stranger = createServer((socket) => socket.destroy());
    try {
      up.kill('SIGSTOP');
      kill(serverProcesses(home)?.server);
      await expect.poll(() => listens(stranger, port), { timeout: 10_000 }).toBe(true);
      up.kill('SIGCONT');
      const { exitCode, stderr } = await up.ended;
      expect(exitCode).toBe(3);
      expect(stderr).toMatch(new RegExp(`Another program took port ${port} of 127\\.0\\.0\\.1 .*start \`runward up\` again`));
      expect(stranger.listening).toBe(true);
    } finally {
      stranger.close();
      up.kill('SIGKILL');
    }
  });

  test('a damaged database is set aside, and Runward only watches until a person confirms', async () => {
    const home = join(folder, 'damaged');
    const stopped = multipass('stopped', `echo '{"list":[{"name":"assay-bpf-runner","state":"Stopped"}]}'`);
    const here = variables({ RUNWARD_HOME: home, MULTIPASS: stopped });
    mkdirSync(home);
    writeFileSync(join(home, 'temporal.db'), 'no database at all');

    const lost =
      /database was lost on \S+: file is not a database\. It is kept as \S*.*temporal\.db\.damaged-[^]*only watches[^]*`runward up --yes`/;
    await upOnce(
      here,
      async (up) => {
        expect(up.stderr).toMatch(lost);
        const recovery = await run(['recover', '--json'], here);
        expect(recovery.exitCode, recovery.stderr).toBe(1);
        expect(JSON.parse(recovery.stdout)).toMatchObject({
          outcome: 'refused-watching',
          summary: expect.stringMatching(/only watches \(Temporal's database was lost on .* start it with --yes\)/),
        });
      },
      // Given before the loss was told, it confirms nothing.
      ['--yes'],
    );
    const status = await run(['status', '--json'], here);
    expect(JSON.parse(status.stdout).runners[0].findings).toContainEqual(
      expect.objectContaining({ code: 'history-lost', advice: expect.stringContaining('--yes') }),
    );

    const newer = program(
      'temporal-1.99',
      `[ "$1" != --version ] || { echo temporal version 1.99.0; exit; }; exec '${process.env['RUNWARD_TEMPORAL_CLI']}' "$@"`,
    );
    const later = { ...here, RUNWARD_TEMPORAL_CLI: newer };
    await upOnce(later, async (up) => {
      expect(up.stderr).toMatch(/The Temporal CLI is 1\.99\.0 now, and was 1\..*is kept as .*temporal\.db\.before-1\.99\.0\./);
      expect(up.stderr).toMatch(lost);
    });
    await upOnce(
      later,
      async (up) => {
        expect(up.stderr).toMatch(/^Confirmed: /m);
        expect(up.stderr).not.toMatch(/was lost on|is kept as/);
      },
      ['--yes'],
    );
    expect(existsSync(join(home, 'lost-history.json'))).toBe(false);
    expect(readdirSync(home).filter((name) => name.includes('.damaged-'))).toHaveLength(1);
  });
});

/** Runs `up` until it is ready, then `use`, then ends it. */
async function upOnce(here: Record<string, string>, use: (up: Started) => Promise<void>, flags: readonly string[] = []): Promise<void> {
  const up = start(['up', ...flags], here);
  try {
    await up.says(/looks after 1 runner/);
    await use(up);
  } finally {
    up.kill('SIGTERM');
  }
  expect((await up.ended).exitCode, up.stderr).toBe(0);
}

/** As somebody may by Temporal's own command. */
async function startByHand(address: string, runner: string): Promise<unknown> {
  const connection = await Connection.connect({ address });
  try {
    const operation = { workflowId: `by-hand-${runner}`, taskQueue: MAIN_QUEUE, args: [{ runner }] };
    return await new Client({ connection }).workflow.execute('recoverRunner', operation);
  } finally {
    await connection.close();
  }
}

function kill(pid: number | undefined): void {
  process.kill(pid ?? Number.NaN, 'SIGKILL');
}

function orphans(home: string): readonly string[] {
  return processesOf(home).map(({ args }) => args);
}

async function listens(server: ReturnType<typeof createServer>, port: number): Promise<boolean> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening').catch(() => {});
  return server.listening;
}

function serverOf(home: string): { address: string } {
  return JSON.parse(readFileSync(join(home, 'server.json'), 'utf8')) as { address: string };
}

async function answers(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 500 });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}
