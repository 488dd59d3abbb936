// Depth 1 of the adversary: stories of many seeds in virtual time, in processes side by side.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');

/** Simulated ones: CI's share. */
const HOURS = process.env['RUNWARD_CHAOS_HOURS'] ?? '3360';

/** Those by which somebody is harmed. docs/chaos.md names what of the others is still found. */
const HARM = [
  'job-disturbed',
  'healthy-re-registered',
  'living-guest-cut',
  'two-acts',
  'drain-broken',
  'wrong-run-ended',
  'parked-run-lost',
];

test(`${HOURS} hours in which everything goes wrong that may harm nobody`, async () => {
  const command = ['--seed', '301', '--hours', HOURS, '--only', `^(${HARM.join('|')})`];
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...command], { maxBuffer: 2 ** 26 }).catch(
    (error: { readonly stdout: string; readonly stderr: string }) => ({ stdout: `${error.stdout}${error.stderr}` }),
  );
  expect(stdout).toContain('All invariants held.');
});
