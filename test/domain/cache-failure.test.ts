import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLogReader, judgeAnnotations, missingPart, signIn, type ActionPart, type CacheSign } from '../../src/domain/cache-failure.ts';

const DIRECTORY = '/opt/actions-runner';
const CACHE = `${DIRECTORY}/_work/_actions`;
const SHA = '11bd71901bbe5b1630ceea73d27597364c9af683';
const missing = (path: string): string =>
  `Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '${path}'. Did you forget to run actions/checkout before running your local action?`;

describe('words of the runner about its cache', () => {
  test.each<[what: string, message: string, path: string]>([
    ['a manifest that is missing', missing(`${CACHE}/actions/checkout/${SHA}`), `actions/checkout/${SHA}`],
    ['the same of an older runner', `Can't find 'action.yml' or 'Dockerfile' under '${CACHE}/actions/cache/v4'.`, 'actions/cache/v4'],
    ['the same as GitHub shows it', `Error: ${missing(`${CACHE}/actions/cache/v4/save`)}`, 'actions/cache/v4/save'],
    ['a ref with slashes', missing(`${CACHE}/acme/tool/releases/v1`), 'acme/tool/releases/v1'],
    [
      'an archive that was cut off',
      `Can't use 'tar -xzf' extract archive file: ${CACHE}/_temp_0b/6f.tar.gz (SHA256 'ab', size '12' bytes, tar outputs 'STDERR: gzip: stdin: unexpected end of file'). Action being checked out: actions/checkout@v4. return code: 2.`,
      'actions/checkout/v4',
    ],
    ['the same of an older runner', `Can't use 'tar -xzf' extract archive file: ${CACHE}/_temp_0b/6f.tar.gz. return code: 2.`, ''],
    ['an archive of something else', `'${CACHE}/_temp_0b/6f.tar.gz' contains '0' directories`, ''],
    ['a folder that may not be read', `Access to the path '${CACHE}/actions/checkout/v4/dist' is denied.`, 'actions/checkout/v4/dist'],
    ['a script that is gone', `File not found: '${CACHE}/actions/checkout/v4/dist/index.js'`, 'actions/checkout/v4/dist/index.js'],
    ['a file that is gone', `Could not find file '${CACHE}/a/b/c/action.yml'.`, 'a/b/c/action.yml'],
    ['a folder that is gone', `Could not find a part of the path '${CACHE}/a/b/c.completed'.`, 'a/b/c.completed'],
    ['the cache itself', `Access to the path '${CACHE}' is denied.`, ''],
    ['a script as its manifest names it', `File not found: '${CACHE}/a/b/c/./dist/index.js'`, 'a/b/c/dist/index.js'],
    ['a script beside the folder of its action', `File not found: '${CACHE}/a/b/c/save/../dist/x.js'`, 'a/b/c/dist/x.js'],
    ['a path that leads out', missing(`${CACHE}/a/b/../../../../../etc`), ''],
  ])('%s', (_what, message, path) => {
    expect(signIn(message, DIRECTORY)).toEqual({ path, line: message.replace(/^Error: /, '').slice(0, 200) });
    expect(signIn(message, `${DIRECTORY}/`)).not.toBeNull();
  });

  test.each<[what: string, message: string]>([
    ['a local action', missing(`${DIRECTORY}/_work/app/app/.github/actions/build`)],
    ['a local action of that name', missing(`${DIRECTORY}/_work/app/app/_work/_actions/a/b/c`)],
    ["a hosted runner's cache", missing('/home/runner/work/_actions/actions/checkout/v4')],
    ["a neighbour's cache", missing('/opt/actions-runner-2/_work/_actions/actions/checkout/v4')],
    ['a folder that only begins like it', missing(`${CACHE}-old/a/b/c`)],
    ['words about it', `the log said: ${missing(`${CACHE}/a/b/c`)}`],
    ['a failure of the action itself', `ENOENT: no such file or directory, open '${DIRECTORY}/_work/app/app/package.json'`],
    ['a script that failed', 'Process completed with exit code 1.'],
    ['nothing', ''],
  ])('%s is none', (_what, message) => {
    expect(signIn(message, DIRECTORY)).toBeNull();
  });
});

describe('what the action itself may lack', () => {
  const MANIFESTS = ['action.yml', 'action.yaml', 'Dockerfile', 'dockerfile'];
  const part = (message: string): ActionPart | null => missingPart(signIn(message, DIRECTORY) as CacheSign);

  test.each<[what: string, message: string, folder: string, names: readonly string[]]>([
    ['its manifest', missing(`${CACHE}/acme/tool/v4`), '', MANIFESTS],
    ['that of an older runner', `Can't find 'action.yml' or 'Dockerfile' under '${CACHE}/acme/tool/v4'.`, '', MANIFESTS],
    ['that of a folder of it', missing(`${CACHE}/acme/tool/v4/a/saev`), 'a/saev', MANIFESTS],
    ['a script', `File not found: '${CACHE}/acme/tool/v4/./dist/index.js'`, 'dist', ['index.js']],
    ['a script beside its manifest', `File not found: '${CACHE}/acme/tool/v4/main.js'`, '', ['main.js']],
    ['a file', `Could not find file '${CACHE}/acme/tool/v4/action.yml'.`, '', ['action.yml']],
    ['a folder', `Could not find a part of the path '${CACHE}/acme/tool/v4/src/lib'.`, 'src', ['lib']],
  ])('is %s', (_what, message, folder, names) => {
    expect(part(message)).toEqual({ repository: 'acme/tool', ref: 'v4', folder, names });
  });

  test('is found by the first part of a ref that has slashes', () => {
    expect(part(missing(`${CACHE}/acme/tool/releases/v1`))).toMatchObject({ ref: 'releases', folder: 'v1' });
  });

  test.each<[what: string, message: string]>([
    ['a folder that may not be read', `Access to the path '${CACHE}/acme/tool/v4/dist' is denied.`],
    [
      'an archive that was cut off',
      `Can't use 'tar -xzf' extract archive file: ${CACHE}/_temp_0b/6f.tar.gz (SHA256 'ab', size '12' bytes). Action being checked out: actions/checkout@v4. return code: 2.`,
    ],
    ["the runner's own mark of a download", `Could not find a part of the path '${CACHE}/acme/tool/v4.completed'.`],
    ['a folder above', missing(`${CACHE}/acme/tool`)],
    ['a path that leads out', missing(`${CACHE}/a/b/../../../../../etc`)],
    ['a path of no end', missing(`${CACHE}/acme/tool/v4${'/x'.repeat(11)}`)],
  ])('is not %s', (_what, message) => {
    expect(part(message)).toBeNull();
  });
});

describe('annotations', () => {
  const sign: CacheSign = { path: 'a/b/c', line: expect.any(String) as string };

  test('that say so alone are enough', () => {
    expect(judgeAnnotations([missing(`${CACHE}/a/b/c`)], DIRECTORY)).toEqual({ kind: 'damaged', sign });
    expect(judgeAnnotations(['something else', missing(`${CACHE}/a/b/c`)], DIRECTORY)).toEqual({ kind: 'damaged', sign });
  });

  test('that say something else are enough', () => {
    expect(judgeAnnotations(['Process completed with exit code 1.'], DIRECTORY)).toEqual({ kind: 'other' });
    expect(judgeAnnotations([missing(`${DIRECTORY}/_work/app/app/x`)], DIRECTORY)).toEqual({ kind: 'other' });
  });

  test.each<[why: string, messages: readonly string[]]>([
    ['it failed without an annotation', []],
    ['there are more annotations than GitHub keeps', Array.from({ length: 10 }, () => 'lint')],
    ['a script may have said so', [missing(`${CACHE}/a/b/c`), 'Process completed with exit code 3.']],
  ])('where %s, the log tells', (why, messages) => {
    expect(judgeAnnotations(messages, DIRECTORY)).toEqual({ kind: 'unclear', why });
  });
});

describe('a log', () => {
  const SETUP = ['Current runner version: 2.336.0', '##[group]Operating System', 'Ubuntu', '##[endgroup]', 'Prepare all required actions'];
  const script = (...output: readonly string[]): readonly string[] => [
    '##[group]Run make test',
    'make test',
    'shell: /usr/bin/bash -e {0}',
    '##[endgroup]',
    ...output,
  ];
  const said = `##[error]${missing(`${CACHE}/actions/cache/v4`)}`;

  function read(lines: readonly string[]): { readonly sign: CacheSign | null; readonly readLines: number } {
    const reader = createLogReader(DIRECTORY);
    let readLines = 0;
    for (const line of lines) {
      readLines += 1;
      if (reader.onLine(line) === 'enough') {
        break;
      }
    }
    return { sign: reader.verdict(), readLines };
  }

  test('says so in its set-up, or hundreds of lines later', () => {
    expect(read([...SETUP, said]).sign?.path).toBe('actions/cache/v4');
    const late = [...SETUP, ...script(...Array.from({ length: 300 }, (_, n) => `line ${n}`)), said];
    expect(read(late).sign?.path).toBe('actions/cache/v4');
  });

  test('is read no farther than is needed', () => {
    const rest = Array.from({ length: 1_000 }, () => 'more');
    expect(read([...SETUP, said, 'Post job cleanup.', ...rest])).toMatchObject({ readLines: SETUP.length + 2 });
  });

  test('only repeats what a script has printed', () => {
    expect(read([...SETUP, ...script(missing(`${CACHE}/a/b/c`), '##[error]Process completed with exit code 1.')]).sign).toBeNull();
    expect(read([...SETUP, ...script(said, '##[error]Process completed with exit code 1.'), 'Post job cleanup.']).sign).toBeNull();
  });

  test('is no sign, whatever a script prints without the prefix of an error', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constant(missing(`${CACHE}/a/b/c`)), fc.constant(` ${said}`))), (lines) => {
        expect(read([...SETUP, ...script(...lines.filter((line) => !line.startsWith('##[error]')))]).sign).toBeNull();
      }),
    );
  });
});
