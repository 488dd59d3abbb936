// The world that README's commands are typed in: a fresh clone on a computer with one Node, a make-believe GitHub, and a Multipass that has one
// instance, in which a runner works.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { isProgram } from '../../src/cli/programs.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { startCommand, type Started } from '../kit/product.ts';
import { ROOT } from './npm.ts';

const REPOSITORY = 'owner/name';
const RUNNER = 'assay-bpf-runner';
/** README's. */
const TOKEN = 'github_pat_example';

/** Programs that the computer has not, whatever this one has. */
const LEFT_OUT: ReadonlySet<string> = new Set(['node', 'temporal', 'shellcheck', 'multipass', 'gh', 'runward']);

/** What the clients of package registries have in a home folder. */
const OF_REGISTRIES = ['.npmrc', '.npm', '.config/pip', '.pip', '.cache/pip'];

/** Variables of whoever runs the tests that would change what the commands do. */
const NOT_PASSED_ON =
  /^(npm_|NODE_(?!EXTRA_CA_CERTS)|INIT_CWD$|VITEST|RUNWARD_|TEMPORAL_|GH_|GITHUB_|REPO$|VM_NAME$|RUNNER_|MULTIPASS$|XDG_|PATH$|HOME$|CI$)/;

export class ReadmeWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'runward-readme-'));
  readonly clone = join(this.folder, 'runward');
  readonly #github: SandboxGitHub;
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(node: string, github: SandboxGitHub) {
    this.#github = github;
    const programs = join(this.folder, 'bin');
    const home = join(this.folder, 'home');
    const global = join(this.folder, 'global');
    mkdirSync(programs);
    linkPrograms(programs);
    symlinkSync(node, join(programs, 'node'));
    writeFileSync(join(programs, 'multipass'), multipassOf(github));
    chmodSync(join(programs, 'multipass'), 0o755);
    for (const path of OF_REGISTRIES) {
      mkdirSync(join(home, path, '..'), { recursive: true });
      if (existsSync(join(homedir(), path))) symlinkSync(join(homedir(), path), join(home, path));
    }
    this.#environment = {
      ...Object.fromEntries(Object.entries(process.env).flatMap(([name, value = '']) => (NOT_PASSED_ON.test(name) ? [] : [[name, value]]))),
      RUNWARD_TEMPORAL_CLI: '',
      PATH: [join(global, 'bin'), programs].join(delimiter),
      HOME: home,
      npm_config_prefix: global,
      GITHUB_API_URL: github.url,
      GITHUB_SERVER_URL: github.url,
    };
  }

  /** @param node the only Node on `PATH` */
  static async make(node: string): Promise<ReadmeWorld> {
    const github = await startGitHub({ repositories: [REPOSITORY], token: TOKEN });
    const world = new ReadmeWorld(node, github);
    execFileSync('git', ['clone', '--quiet', ROOT, world.clone], { stdio: 'pipe' });
    return world;
  }

  /** Has the dependencies of this checkout, and its Temporal CLI on `PATH`. */
  share(): void {
    symlinkSync(join(ROOT, 'node_modules'), join(this.clone, 'node_modules'));
    symlinkSync(process.env['RUNWARD_TEMPORAL_CLI'] ?? '', join(this.folder, 'bin/temporal'));
  }

  /** The Node that the launcher has chosen. */
  chosenNode(): string {
    const [fetched] = globSync('.tools/node-*/bin/node', { cwd: this.clone });
    const [found] = existsSync(join(this.clone, '.tools/found-node'))
      ? readFileSync(join(this.clone, '.tools/found-node'), 'utf8').split('\n')
      : [];
    return found ?? fetched ?? 'none';
  }

  /** Types a command below those of its terminal that have set variables. */
  type(terminal: readonly string[], command: string): Started {
    // An interactive shell outlives the Ctrl-C that ends its command.
    const script = ['trap : INT', ...terminal, command, 'exit $?'].join('\n');
    return startCommand(['setsid', 'bash', '-c', script], this.#environment, this.clone);
  }

  /** Reaches all that runs in the terminal, as Ctrl-C does with SIGINT; nothing if all has ended. */
  signal({ pid }: Started, signal: NodeJS.Signals): void {
    try {
      process.kill(-pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  async close(): Promise<void> {
    await this.#github.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** All programs of this computer, the first of each name, but for those that are left out. */
function linkPrograms(folder: string): void {
  const seen = new Set(LEFT_OUT);
  for (const place of (process.env['PATH'] ?? '').split(delimiter).filter((each) => existsSync(each) && !each.includes('node_modules'))) {
    for (const name of readdirSync(place)) {
      if (!seen.has(name) && isProgram(join(place, name), {})) {
        seen.add(name);
        symlinkSync(join(place, name), join(folder, name));
      }
    }
  }
}

/** A Multipass with one instance that runs, whose guest answers every look with a runner that is online. */
function multipassOf(github: SandboxGitHub): string {
  const { id } = github.addRunner(REPOSITORY, { name: RUNNER, labels: ['bpf-lsm', RUNNER] });
  github.showRunner(REPOSITORY, RUNNER, { status: 'online' });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const seen = {
    bootId: 'a-boot',
    uptimeMs: '3600120',
    timeSync: 'timesyncd',
    timeSyncState: 'active',
    runningAct: '',
    workersOnMachine: '0',
    unit: `actions.runner.${REPOSITORY.replace('/', '-')}.${RUNNER}.service`,
    serviceState: 'active',
    startedAgo: '3600',
    journal64: base64('2026-11-24 22:06:39Z: Listening for Jobs'),
    workers: '0',
    listeners: '1',
    runner64: base64(JSON.stringify({ agentId: id, agentName: RUNNER, gitHubUrl: `${github.url}/${REPOSITORY}` })),
    version: '2.336.0',
    disk: '41% 23622320128 12',
    work: '9000 4',
    cache: '0 0 0',
    cleanedAgo: '3600',
  };
  const output = Object.entries(seen).map(([name, value]) => `${name}=${value}\n`);
  return `#!/bin/sh
case $1 in
  list) echo '{"list":[{"name":"${RUNNER}","state":"Running"}]}' ;;
  info) echo '{"errors":[],"info":{"${RUNNER}":{"state":"Running"}}}' ;;
  exec)
    cat >/dev/null
    printf '%s\\n' runward-answer kind=done 'output64=${base64(output.join(''))}' errors64= elapsedMs=0 "clockMs=$(date +%s)500" runward-end
    printf '\\nrunward-exit 0\\n' >&2 ;;
  *) exit 2 ;;
esac
`;
}
