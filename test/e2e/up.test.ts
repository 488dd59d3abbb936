// `up` as one owner of its folder and one process tree.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { folder, variables } from '../kit/one-runner.ts';
import { run, start } from '../kit/product.ts';

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

  test('two that start at once, each in its own folder, have a server each', async () => {
    const homes = ['one', 'two'].map((name) => join(folder, name));
    const both = homes.map((home) => start(['up'], variables({ RUNWARD_HOME: home })));
    await Promise.all(both.map((each) => each.says(/looks after 1 runner/)));
    const addresses = homes.map((home) => serverOf(home).address);
    expect(new Set(addresses).size).toBe(2);
    both.forEach((each) => each.kill('SIGTERM'));
    expect((await Promise.all(both.map((each) => each.ended))).map(({ exitCode }) => exitCode)).toEqual([0, 0]);
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
