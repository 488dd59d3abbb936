import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keptBundle, versionOf } from '../../src/worker/workflow-bundle.ts';

let root: string;
let folder: string;
let builds: number;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'runward-bundle-'));
  folder = join(root, '.tools/workflows');
  builds = 0;
  write('src/workflows/recover.ts', 'one');
  write('src/domain/names.ts', 'names');
  write('package-lock.json', '{}');
});

afterEach(() => rmSync(root, { recursive: true }));

function write(file: string, content: string): void {
  mkdirSync(join(root, file, '..'), { recursive: true });
  writeFileSync(join(root, file), content);
}

/** The bundle of a checkout whose bundle is its one workflow. */
function bundle(build = async (): Promise<string> => readFileSync(join(root, 'src/workflows/recover.ts'), 'utf8')): Promise<string> {
  return keptBundle({
    folder,
    version: () => versionOf(root),
    build: () => {
      builds += 1;
      return build();
    },
  });
}

test('it is built once', async () => {
  expect([await bundle(), await bundle(), await bundle()]).toEqual(['one', 'one', 'one']);
  expect(builds).toBe(1);
});

describe('whatever goes into it makes another one', () => {
  test.each([
    'src/workflows/recover.ts',
    'src/workflows/new.ts',
    'src/domain/rules/new.ts',
    'package-lock.json',
    'node_modules/.package-lock.json',
  ])('%s', async (file) => {
    await bundle();
    write(file, 'two');
    const again = await bundle();
    expect(again).toBe(file === 'src/workflows/recover.ts' ? 'two' : 'one');
    expect(builds).toBe(2);
  });

  test('what does not go into it does not', async () => {
    await bundle();
    write('src/cli/main.ts', 'two');
    await bundle();
    expect(builds).toBe(1);
  });

  test('the one of an earlier commit is found again, and only a few are kept', async () => {
    for (const content of ['one', 'two', 'three', 'four', 'five']) {
      write('src/workflows/recover.ts', content);
      await bundle();
      // Files may be written within one tick of the clock.
      const age = 10 - builds;
      for (const name of readdirSync(folder)) {
        if (readFileSync(join(folder, name), 'utf8') === content) {
          utimesSync(join(folder, name), age === 0 ? 1 : Date.now() / 1_000 - age, Date.now() / 1_000 - age);
        }
      }
    }
    expect(readdirSync(folder)).toHaveLength(4);
    write('src/workflows/recover.ts', 'four');
    expect(await bundle()).toBe('four');
    expect(builds).toBe(5);
    write('src/workflows/recover.ts', 'one');
    expect(await bundle()).toBe('one');
    expect(builds).toBe(6);
  });

  test('one whose sources changed while it was built is not kept', async () => {
    const first = await bundle(async () => {
      write('src/workflows/recover.ts', 'two');
      return 'half one, half two';
    });
    expect(first).toBe('half one, half two');
    expect(await bundle()).toBe('two');
    write('src/workflows/recover.ts', 'one');
    expect(await bundle()).toBe('one');
  });
});

test('a damaged one is built again', async () => {
  await bundle();
  const [name = ''] = readdirSync(folder);
  for (const damage of ['', 'on', 'oneone']) {
    writeFileSync(join(folder, name), damage);
    expect(await bundle()).toBe('one');
  }
  expect(builds).toBe(4);
  expect(readdirSync(folder)).toEqual([name]);
  expect(await bundle()).toBe('one');
  expect(builds).toBe(4);
});

test('two at once do not harm each other', async () => {
  const both = Promise.withResolvers<void>();
  const together = async (): Promise<string> => {
    if (builds === 2) both.resolve();
    await both.promise;
    return 'one';
  };
  expect(await Promise.all([bundle(together), bundle(together)])).toEqual(['one', 'one']);
  expect(readdirSync(folder)).toHaveLength(1);
  expect(await bundle()).toBe('one');
  expect(builds).toBe(2);
});

test('one that can not be kept is built all the same', async () => {
  write('.tools/workflows', 'a file in the place of the folder');
  expect([await bundle(), await bundle()]).toEqual(['one', 'one']);
  expect(builds).toBe(2);
});

test('what a killed process has left goes', async () => {
  write('.tools/workflows/abc.1-2.part', 'half');
  utimesSync(join(folder, 'abc.1-2.part'), 1, 1);
  write('.tools/workflows/def.3-4.part', 'being written');
  await bundle();
  expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual(['def.3-4.part']);
});
