import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { ROOMS } from '../../oxlint.config.ts';

const root = join(import.meta.dirname, '../..');

/** File below src, and one statement in it. */
type Planted = readonly [file: string, statement: string];

const FORBIDDEN: readonly Planted[] = [
  ['domain/a.ts', `import '../config/schema.ts'`],
  ['domain/a.ts', `import type { Z } from '../config/schema.ts'`],
  ['domain/a.ts', `import 'zod'`],
  ['domain/a.ts', `import 'node:fs'`],
  ['workflows/a.ts', `import '../github/port.ts'`],
  ['workflows/a.ts', `import type { Z } from '../machine/port.ts'`],
  ['workflows/a.ts', `import { Z } from '../activities/contract.ts'`],
  ['workflows/a.ts', `export * from '../activities/contract.ts'`],
  ['workflows/a.ts', `import type { Z } from '../activities/main.ts'`],
  ['workflows/a.ts', `import '@temporalio/client'`],
  ['workflows/a.ts', `import '@temporalio/workflow/lib/internals'`],
  ['workflows/a.ts', `import 'node:crypto'`],
  ['workflows/a.ts', `await import('../machine/port.ts')`],
  ['activities/a.ts', `import '../github/client.ts'`],
  ['activities/a.ts', `import '../machine/shell-machine.ts'`],
  ['activities/a.ts', `import '../workflows/options.ts'`],
  ['activities/a.ts', `import '../config/load.ts'`],
  ['activities/a.ts', `import '@temporalio/worker'`],
  ['activities/a.ts', `import 'execa'`],
  ['github/a.ts', `import '../machine/port.ts'`],
  ['github/a.ts', `import '../activities/contract.ts'`],
  ['github/a.ts', `import '@temporalio/activity'`],
  ['github/a.ts', `import '@temporalio/client'`],
  ['machine/a.ts', `import '../github/port.ts'`],
  ['machine/a.ts', `import '@temporalio/common'`],
  ['machine/transports/a.ts', `import '../../github/port.ts'`],
  ['machine/transports/a.ts', `import '@octokit/rest'`],
  ['machine/transports/a.ts', `import '../../../test/kit/a.ts'`],
  ['alerts/a.ts', `import '../github/port.ts'`],
  ['alerts/a.ts', `import '@temporalio/client'`],
  ['config/a.ts', `import '../github/port.ts'`],
  ['config/a.ts', `import 'execa'`],
  ['sandbox/a.ts', `import '../config/load.ts'`],
  ['sandbox/github/a.ts', `import '../../github/github.ts'`],
  ['sandbox/github/a.ts', `import '@temporalio/client'`],
  ['dashboard/a.ts', `import '../domain/names.ts'`],
  ['dashboard/a.ts', `import '../github/port.ts'`],
  ['dashboard/a.ts', `import '@temporalio/worker'`],
  ['worker/a.ts', `import '../cli/main.ts'`],
  ['worker/a.ts', `import '../sandbox/github/server.ts'`],
  ['cli/a.ts', `import '../sandbox/github/server.ts'`],
  ['cli/a.ts', `import '../../scripts/write-config-schema.ts'`],
  ['cli/a.ts', `import './../sandbox/github/server.ts'`],
];

const ALLOWED: readonly Planted[] = [
  ['domain/a.ts', `import './reading.ts'`],
  ['workflows/a.ts', `import '../domain/names.ts'`],
  ['workflows/a.ts', `import type { Z } from '../activities/contract.ts'`],
  ['workflows/a.ts', `import '@temporalio/workflow'`],
  ['workflows/a.ts', `import '@temporalio/common'`],
  ['activities/a.ts', `import '../machine/port.ts'`],
  ['activities/a.ts', `import '@temporalio/activity'`],
  ['github/a.ts', `import '@octokit/rest'`],
  ['machine/transports/a.ts', `import '../port.ts'`],
  ['machine/transports/a.ts', `import '../../domain/runner.ts'`],
  ['machine/transports/a.ts', `import 'execa'`],
  ['config/a.ts', `import 'yaml'`],
  ['sandbox/machine/a.ts', `import type { Z } from '../../domain/runner.ts'`],
  ['sandbox/machine/a.ts', `import '../github/server.ts'`],
  ['dashboard/a.ts', `import type { Z } from '../domain/report.ts'`],
  ['worker/a.ts', `import '../workflows/options.ts'`],
  ['worker/a.ts', `import 'anything'`],
  ['worker/main.ts', `import '../cli/main.ts'`],
  ['cli/a.ts', `import '../worker/run.ts'`],
  ['cli/demo.ts', `import '../sandbox/github/server.ts'`],
];

let folder: string;
let told: ReadonlySet<string>;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rooms-'));
  copyFileSync(join(root, 'oxlint.config.ts'), join(folder, 'oxlint.config.ts'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const planted of [...FORBIDDEN, ...ALLOWED]) plant(planted);
  told = toldFiles();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(FORBIDDEN)('src/%s may not say: %s', (...planted) => {
  expect(told).toContain(fileOf(planted));
});

test.each(ALLOWED)('src/%s may say: %s', (...planted) => {
  expect(told).not.toContain(fileOf(planted));
});

test('every room of src is in the table', () => {
  expect(Object.keys(ROOMS)).toEqual(expect.arrayContaining(readdirSync(join(root, 'src'))));
});

/** Each statement has a file of its own in the same folder, but for those whose name counts. */
function fileOf([file, statement]: Planted): string {
  if (!file.endsWith('/a.ts')) return join('src', file);
  const number = [...FORBIDDEN, ...ALLOWED].findIndex((planted) => planted[0] === file && planted[1] === statement);
  return join('src', dirname(file), `planted-${number}.ts`);
}

function plant(planted: Planted): void {
  const file = join(folder, fileOf(planted));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${planted[1]};\n`);
}

function toldFiles(): ReadonlySet<string> {
  const oxlint = spawnSync(process.execPath, [join(root, 'node_modules/oxlint/bin/oxlint'), '--format', 'json', 'src'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const { diagnostics } = JSON.parse(oxlint.stdout) as { diagnostics: { code: string; filename: string }[] };
  return new Set(diagnostics.filter(({ code }) => code === 'eslint(no-restricted-imports)').map(({ filename }) => filename));
}
