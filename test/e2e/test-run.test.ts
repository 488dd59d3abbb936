// A run of these tests that a signal ends, as a developer's or CI's may be: no server of Temporal outlives it.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runward-test-run-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s to a test run also ends its servers', async (signal) => {
  // By its path the servers of this run are told from all others.
  const temporalCli = join(folder, signal);
  symlinkSync(process.env['RUNWARD_TEMPORAL_CLI'] ?? '', temporalCli);
  const { PATH = '', HOME = '' } = process.env;
  const testRun = spawn(
    process.execPath,
    [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'commands', 'test/e2e/up.test.ts'],
    { cwd: ROOT, env: { PATH, HOME, RUNWARD_TEMPORAL_CLI: temporalCli }, stdio: 'ignore' },
  );
  const ended = once(testRun, 'exit');
  try {
    await untilSo(() => {
      const commands = commandsWith(`${temporalCli} server start-dev`);
      return (
        commands.some((command) => command.includes('--namespace test-1')) &&
        commands.some((command) => command.includes('/home/temporal.db'))
      );
    });
    expect(testRun.exitCode).toBeNull();
  } finally {
    testRun.kill(signal);
    await ended;
  }
  await untilSo(() => commandsWith(temporalCli).length === 0);
});

function commandsWith(text: string): readonly string[] {
  const { stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'args='], { encoding: 'utf8' });
  return stdout.split('\n').filter((command) => command.includes(text));
}

async function untilSo(isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    await sleep(50);
  }
}
