import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { markStarting, startingUntil } from '../../src/worker/starting.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runward-starting-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test('nobody starts where nobody does', () => {
  expect(startingUntil(folder)).toBe(0);
  expect(startingUntil(join(folder, 'missing'))).toBe(0);
});

test('a start lasts until its worker polls, and when that was is known', () => {
  const end = markStarting(join(folder, 'home'));
  const asked = Date.now();
  expect(startingUntil(join(folder, 'home'))).toBeGreaterThanOrEqual(asked);
  end();
  const until = startingUntil(join(folder, 'home'));
  const ended = Date.now();
  // A file's time may be kept in coarser ticks than the clock's.
  expect(until).toBeGreaterThanOrEqual(asked - 1_000);
  expect(until).toBeLessThanOrEqual(ended);
  end();
  expect(startingUntil(join(folder, 'home'))).toBe(until);
});

test('a process that was killed starts nothing any more', async () => {
  const program = `import { markStarting } from ${JSON.stringify(new URL('../../src/worker/starting.ts', import.meta.url).href)};
    globalThis.end = markStarting(${JSON.stringify(folder)}); console.log('marked'); setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const [name = ''] = readdirSync(folder);
  utimesSync(join(folder, name), 1, 1);
  expect(startingUntil(folder)).toBeGreaterThan(1_000);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(startingUntil(folder)).toBe(1_000);
  markStarting(folder)();
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/\.\d+$/)]);
  expect(readdirSync(folder)).not.toContain(name);
});

test('a folder that can not be written gets no mark', () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  markStarting(file)();
  expect(startingUntil(file)).toBe(0);
});
