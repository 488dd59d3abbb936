// Depth 1 of the adversary: stories of many seeds in virtual time, in processes side by side.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');

/** Simulated ones: CI's share. */
const HOURS = process.env['RUNWARD_CHAOS_HOURS'] ?? '100000';

/** It is the work that is fixed, and not its time: this ends what hangs. */
const HANGS_MS = 30 * 60_000;

test(`${HOURS} hours in which everything goes wrong that may break no invariant`, { timeout: HANGS_MS }, async () => {
  const command = [MAIN, '--seed', '1', '--hours', HOURS];
  const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 2 ** 26 }).catch(
    (error: { readonly stdout: string; readonly stderr: string }) => ({ stdout: `${error.stdout}${error.stderr}` }),
  );
  console.log(stdout.trim().split('\n').slice(-2).join('\n'));
  expect(stdout).toContain('All invariants held.');
});
