// The npm package as its users have it by npm's registry: global, without install scripts, development dependencies and TypeScript.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startCommand, type Ended } from '../kit/product.ts';
import { npmBeside, ROOT } from './npm.ts';
import { startRegistry } from './registry.ts';

const folder = mkdtempSync(join(tmpdir(), 'runward installed-'));
const installed = join(folder, 'lib/node_modules/runward');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

beforeAll(async () => {
  const registry = await startRegistry(inject('tarball'));
  await npmBeside(folder, 'install', '--global', '--prefix', folder, '--ignore-scripts', '--registry', registry.url, 'runward');
  registry.close();
});

afterAll(() => rmSync(folder, { recursive: true }));

function runward(
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
  options: readonly string[] = [],
): Promise<Ended> {
  const main = join(installed, 'dist/cli/main.js');
  return startCommand([process.execPath, ...options, main, ...args], { RUNWARD_HOME: join(folder, 'home'), ...variables }, folder).ended;
}

describe('the command', () => {
  test('is there under its name', () => {
    expect(spawnSync(join(folder, 'bin/runward'), ['--version'], { encoding: 'utf8' })).toMatchObject({ stdout: `${version}\n` });
  });

  test('has no tests, and does not name any', async () => {
    expect((await runward(['--help'])).stdout).not.toMatch(/^ {2}test\b/m);
    expect(await runward(['test'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("unknown command 'test'") });
  });

  test('heals a runner in the demo, and explains it', async () => {
    const demo = await runward(['demo', '--break', 'service', '--json']);
    expect(demo.exitCode, demo.stderr).toBe(0);
    expect(JSON.parse(demo.stdout)).toMatchObject({ broken: 'service', outcome: 'recovered' });
    const explained = await runward(['explain', '--last', '--demo']);
    expect(explained.exitCode, explained.stderr).toBe(0);
    expect(explained.stdout).toContain('demo: its systemd service was stopped');
  });

  test('says what to install where there is no Temporal CLI', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const missing = await runward(['demo'], { PATH: empty, RUNWARD_TEMPORAL_CLI: '' });
    expect(missing).toMatchObject({ exitCode: 3, stdout: '' });
    expect(missing.stderr).toMatch(/there is no `temporal` on PATH\.\nInstall it .*https:\/\/docs\.temporal\.io\/cli#install/);
    const wrong = await runward(['demo'], { RUNWARD_TEMPORAL_CLI: join(empty, 'temporal') });
    expect(wrong.exitCode).toBe(3);
    expect(wrong.stderr).toContain(`RUNWARD_TEMPORAL_CLI names no program: ${empty}/temporal`);
  });

  test('says which Node it needs', async () => {
    const older = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'22.23.0'})`;
    const { exitCode, stderr } = await runward(['--version'], {}, ['--import', older]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringMatching(/needs Node 24 or newer.*22\.23\.0/) });
  });
});

describe('the package', () => {
  test('holds what runs, and nothing else', () => {
    const files = globSync('**/*', { cwd: installed, withFileTypes: true, exclude: ['node_modules'] })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1));
    const scripts = globSync('**/*.sh', { cwd: join(ROOT, 'src') });
    expect(files).toEqual(expect.arrayContaining(scripts.map((file) => join('dist', file))));
    const others = files.filter((file) => !/^dist\/(workflow-bundle|[a-z]+\/.+)\.js$/.test(file) && !/^dist\/.+\.sh$/.test(file));
    expect(others.toSorted()).toEqual(
      [
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'npm-shrinkwrap.json',
        ...globSync('*', { cwd: join(ROOT, 'examples') }).map((file) => `examples/${file}`),
        'package.json',
        'runward.schema.json',
      ].toSorted(),
    );
  });

  test('brings the versions that the lockfile has, whatever is newer, and nothing for development', () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version: string; dev?: boolean; integrity?: string }>;
    };
    const found = globSync('**/node_modules/{*,@*/*}/package.json', { cwd: installed })
      .map((file) => file.replace('/package.json', ''))
      .filter((path) => path in packages);
    expect(found.length).toBeGreaterThan(100);
    for (const path of found) {
      const { version: has } = JSON.parse(readFileSync(join(installed, path, 'package.json'), 'utf8')) as { version: string };
      expect({ path, version: has, dev: packages[path]?.dev }).toEqual({ path, version: packages[path]?.version, dev: undefined });
    }
    const shrinkwrap = JSON.parse(readFileSync(join(installed, 'npm-shrinkwrap.json'), 'utf8')) as { packages: typeof packages };
    for (const [path, { integrity }] of Object.entries(shrinkwrap.packages)) {
      expect(integrity, path).toEqual(packages[path]?.integrity);
    }
    const wanted = Object.entries(packages).filter(([, { dev }]) => dev !== true);
    expect(Object.keys(shrinkwrap.packages)).toEqual(wanted.map(([path]) => path));
    expect(existsSync(join(ROOT, 'npm-shrinkwrap.json'))).toBe(false);
  });

  test('has the workflows as one bundle, and no path of the computer that built it', () => {
    expect(globSync('dist/workflows/**', { cwd: installed })).toEqual([]);
    const bundle = readFileSync(join(installed, 'dist/workflow-bundle.js'), 'utf8');
    const [, map = ''] = /sourceMappingURL=data:application\/json;charset=utf-8;base64,(\S+)/.exec(bundle) ?? [];
    const sourceMap = Buffer.from(map, 'base64').toString();
    expect((JSON.parse(sourceMap) as { sources: string[] }).sources).toContain('src/workflows/recover-runner.ts');
    expect(bundle + sourceMap).not.toContain(ROOT);
  });

  test('pins the SDK, since a bundle runs only with the version that made it', () => {
    const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
    const sdk = Object.entries(dependencies).filter(([name]) => name.startsWith('@temporalio/'));
    const { version: bundled } = JSON.parse(readFileSync(join(ROOT, 'node_modules/@temporalio/worker/package.json'), 'utf8'));
    expect(new Set(sdk.map(([, range]) => range))).toEqual(new Set([bundled]));
  });

  test.each([
    ['publint', ['run', '--strict'], 'All good!'],
    // A command without a library entry has no types to be wrong.
    ['attw', ['--profile', 'esm-only'], 'does not contain types'],
  ])('%s finds nothing', (tool, options, answer) => {
    const { status, stdout, stderr } = spawnSync(join(ROOT, 'node_modules/.bin', tool), [...options, inject('tarball')], {
      encoding: 'utf8',
    });
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toContain(answer);
  });
});
