import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
let checkout: string;

/** A checkout whose vitest passes three tests of `unit` and fails one of two of `temporal`, passes two of `commands` and one each of `resilience`, `chaos` and `package`, and whose guest wants a system package that nobody has. */
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'run-tests-'));
  cpSync(join(root, 'scripts/launcher'), join(checkout, 'scripts/launcher'), { recursive: true });
  put('package.json', '{"type":"module","scripts":{"check":"echo checking"}}');
  put('test/kit/guest/packages.txt', 'no-such-package\n');
  put('test/package/packages.txt', '');
  put('bin/dpkg-query', '#!/bin/sh\nexit 1\n');
  put('bin/apt-get', '#!/bin/sh\necho "E: Unable to locate package no-such-package" >&2\nexit 100\n');
  put(
    'node_modules/vitest/vitest.mjs',
    `import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
const project = process.argv[process.argv.indexOf('--project') + 1];
const file = process.argv.at(-1).replace('--outputFile.json=', '');
mkdirSync(dirname(file), { recursive: true });
const [passed, failed] = { unit: [3, 0], temporal: [1, 1], commands: [2, 0], resilience: [1, 0], chaos: [1, 0], package: [1, 0] }[project];
const assertionResults = [{ status: 'failed', fullName: 'holds', failureMessages: ['Error: broken'] }];
const testResults = failed === 0 ? [] : [{ name: 'a.test.ts', status: 'failed', message: '', assertionResults }];
writeFileSync(file, JSON.stringify({ numPassedTests: passed, numFailedTests: failed, numPendingTests: 0, numTodoTests: 0, testResults }));
process.exitCode = failed;
`,
  );
});

afterEach(() => rmSync(checkout, { recursive: true, force: true }));

test('all groups run in order whatever becomes of one, and the last line adds up', () => {
  const { status, lines } = runTests([]);
  expect(lines.filter((line) => line.startsWith('=== '))).toEqual([
    '=== check',
    expect.stringMatching(/^=== check: 1 passed, 0 failed, 0 skipped \(\d+\.\d s\)$/),
    '=== unit',
    expect.stringMatching(/^=== unit: 3 passed, 0 failed, 0 skipped \(\d+\.\d s\)$/),
    '=== temporal',
    expect.stringMatching(/^=== temporal: 1 passed, 1 failed, 0 skipped \(\d+\.\d s\)$/),
    '=== commands',
    expect.stringMatching(/^=== commands: 2 passed, 0 failed, 0 skipped \(\d+\.\d s\)$/),
    '=== resilience',
    expect.stringMatching(/^=== resilience: 1 passed, 0 failed, 0 skipped \(\d+\.\d s\)$/),
    '=== chaos',
    expect.stringMatching(/^=== chaos: 1 passed, 0 failed, 0 skipped \(\d+\.\d s\)$/),
    '=== package',
    expect.stringMatching(/^=== package: 1 passed, 0 failed, 0 skipped \(\d+\.\d s\)$/),
    '=== guest',
    expect.stringMatching(/^=== guest: skipped: .*no-such-package.* \(\d+\.\d s\)$/),
  ]);
  expect(lines.slice(-4)).toEqual(['failed: temporal', '', '10 passed, 1 failed, 1 skipped', '']);
  expect(lines).toContain('temporal: a.test.ts: holds: Error: broken');
  expect(status).toBe(1);
});

test('groups can be chosen', () => {
  const { status, lines } = runTests(['unit', 'check']);
  expect(lines.at(-2)).toBe('4 passed, 0 failed, 0 skipped');
  expect(status).toBe(0);
});

test('a failed check is a failure', () => {
  put('package.json', '{"scripts":{"check":"exit 9"}}');
  expect(runTests(['check'])).toMatchObject({ status: 1, lines: expect.arrayContaining(['0 passed, 1 failed, 0 skipped']) });
});

test('a group that cannot run is skipped by a person’s computer, and fails in CI by name', () => {
  const atHome = runTests(['guest']);
  expect(atHome.lines.at(-2)).toBe('0 passed, 0 failed, 1 skipped');
  expect(atHome.status).toBe(0);
  const inCI = runTests(['guest'], { CI: 'true' });
  expect(inCI.lines).toContainEqual(expect.stringMatching(/^=== guest: failed, could not run: .*no-such-package/));
  expect(inCI.lines.slice(-4)).toEqual(['failed: guest', '', '0 passed, 1 failed, 0 skipped', '']);
  expect(inCI.status).toBe(1);
});

test.each([
  [['nonsense'], 'no such group: nonsense'],
  [['--force'], "Unknown option '--force'"],
])('%j is refused', (words, mistake) => {
  const { status, stderr } = runTests(words);
  expect(status).toBe(2);
  expect(stderr).toContain(mistake);
  expect(stderr).toContain('Usage: ./runward test');
});

// A terminal sends Ctrl-C to the whole group; whoever sends it to this process alone means the tests as well.
test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends what runs, and nothing more is run', async (signal) => {
  put(
    'node_modules/vitest/vitest.mjs',
    `process.on('${signal}', () => { console.log('told'); process.exit(); });
setInterval(() => {}, 1_000);
console.log('runs');
`,
  );
  const tests = spawn(process.execPath, [join(checkout, 'scripts/launcher/run-tests.ts'), 'unit', 'temporal'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  tests.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (text.includes('runs')) tests.kill(signal);
  });
  const [exitCode] = (await once(tests, 'close')) as [number | null];
  expect(said).toBe('\n=== unit\nruns\ntold\n');
  expect(exitCode).toBe(128 + constants.signals[signal]);
});

function put(file: string, content: string): void {
  const path = join(checkout, file);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, 0o755);
}

function runTests(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkout, 'scripts/launcher/run-tests.ts'), ...words], {
    encoding: 'utf8',
    env: { PATH: `${join(checkout, 'bin')}:${process.env['PATH']}`, ...env },
  });
  return { status, stderr, lines: stdout.split('\n') };
}
