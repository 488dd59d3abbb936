// Jobs that begin in any gap between the proof that none runs and the act that would end one, against the scripts alone: real processes with the
// runner's names, in a namespace of their own, and a systemd that is played by stubs.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const GUEST = path.join(import.meta.dirname, '../../src/machine/guest');
const UNIT = 'actions.runner.o-r.r.service';

let root: string;
let directory: string;
let state: string;
/** Its end is the end of all processes. */
let namespace: ChildProcess;
let first: string;

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'gaps-'));
  directory = path.join(root, 'runner');
  state = path.join(root, 'roots', `runner.${directory.replaceAll('/', '%2F')}`);
  for (const folder of ['step', 'bin', 'scripts', 'run', 'units', 'system']) mkdirSync(path.join(root, folder));
  mkdirSync(state, { recursive: true, mode: 0o700 });
  namespace = spawn('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', 'bash', '-c', 'sleep infinity & wait'], {
    stdio: 'ignore',
  });
  await until(() => (first = childOf(namespace)) !== '', 'the namespace is there');
  await once(inNamespace(['mkfifo', path.join(root, 'nothing')], 'ignore'), 'exit');
  for (const script of readdirSync(GUEST)) {
    const own = readFileSync(path.join(GUEST, script), 'utf8')
      .replace('ROOTS=/var/lib/runward\n', `ROOTS=${root}/roots\n`)
      .replace('RUN=/run/runward\n', `RUN=${root}/run\n`)
      .replaceAll('/etc/systemd/system', `${root}/system`)
      .replace(/^SYSTEM_PATH=.*$/m, `SYSTEM_PATH=${root}/bin:/usr/bin:/bin`);
    writeFileSync(path.join(root, 'scripts', script), own);
  }
  makeRunner();
  playSystem();
});

afterEach(async () => {
  namespace.kill('SIGKILL');
  await until(() => processes().length === 0, 'all has ended');
  rmSync(root, { recursive: true });
});

function childOf({ pid }: ChildProcess): string {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Runs a program in the namespace. */
function inNamespace(argv: readonly string[], stdio: 'ignore' | ['ignore', 'pipe', 'pipe']): ChildProcess {
  const env = { PATH: `${root}/bin:/usr/sbin:/usr/bin:/sbin:/bin` };
  return spawn('/usr/bin/nsenter', ['-t', first, '-p', '-m', '--', ...argv], { stdio, env, cwd: root });
}

// The runner

/** What a program does when a test has named this gap: lets a job begin, and waits until it has, or could have. */
const gap = (name: string): string =>
  `if [ -e ${root}/gap.${name} ]; then mv ${root}/gap.${name} ${root}/job; for try in {1..50}; do [ -e ${root}/begun ] && break; sleep 0.02; done; fi`;

/** Notes what would harm a job, if one runs. */
const harms = (what: string): string =>
  `if grep -qsx Runner.Worker /proc/[0-9]*/comm; then echo '${what} while a job runs' >>${root}/harm; fi`;

function makeRunner(): void {
  for (const folder of ['bin', 'externals/node20/bin', '_diag', '_work/_temp', '_work/_actions/octo/lint/v1']) {
    mkdirSync(path.join(directory, folder), { recursive: true });
  }
  const files = ['RunnerService.js', 'systemd.svc.sh.template', 'actions.runner.service.template'].map((name) => `bin/${name}`);
  for (const name of [...files, 'externals/node20/bin/node', 'config.sh']) program(name, 'exit 0');
  program('bin/Runner.Worker', `trap 'echo "the job was ended" >>${root}/harm; exit' TERM INT\nread -r -t 60 <>${root}/nothing`);
  // Begins a job in a process of its own, which becomes the worker after so many seconds.
  program(
    'bin/Runner.Listener',
    `if [ "$1" = --version ]; then ${gap('proof')}; exit 0; fi
    end() { ${harms('the listener is ended')}; exit 0; }
    trap end INT TERM
    while :; do
      if [ -e ${root}/job ]; then
        read -r late <${root}/job
        rm ${root}/job
        env --default-signal=INT bash -c 'read -r -t '$late' <>${root}/nothing; exec ./bin/Runner.Worker spawnclient 3 4' &
        : >${root}/begun
      fi
      read -r -t 0.05 <>${root}/nothing
    done`,
  );
  for (const name of ['runsvc.sh', 'bin/runsvc.sh']) {
    program(
      name,
      `trap 'kill -INT $listener' TERM INT\nenv --default-signal=INT ./bin/Runner.Listener run & listener=$!\nwait $listener\nwait $listener`,
    );
  }
  const contents = { '.runner': '{ "agentId": 7, "agentName": "r" }', '.credentials': 'secret', '.service': UNIT, '_work/_temp/file': '' };
  for (const [name, content] of Object.entries({ ...contents, '_work/_actions/octo/lint/v1.completed': '' })) {
    writeFileSync(path.join(directory, name), content);
  }
}

function program(name: string, script: string): void {
  writeFileSync(path.join(directory, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
}

/** Processes of this test's runner, and of its pauses. */
function processes(): readonly { readonly pid: number; readonly name: string; readonly state: string }[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const isOurs = readlinkSync(`/proc/${pid}/cwd`).startsWith(root) || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(root);
      const [, name = '', letter = ''] = /\((.*)\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      return isOurs && letter !== 'Z' ? [{ pid: Number(pid), name, state: letter }] : [];
    } catch {
      return [];
    }
  });
}

const named = (name: string) => processes().filter((each) => each.name === name);

// The system

function stub(name: string, script: string): void {
  writeFileSync(path.join(root, 'bin', name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
}

function playSystem(): void {
  stub('runuser', 'shift 3; exec "$@"');
  stub('chattr', 'exit 0');
  stub('timedatectl', gap('act'));
  stub('journalctl', "echo 'Started running service'");
  stub('date', `if [ "$1" = -s ]; then ${harms('the clock is set')}; else exec /bin/date "$@"; fi`);
  stub('mv', `case " $* " in *' -t '*)\n${gap('act')}\n${harms('files are moved away')} ;; esac\nexec /bin/mv "$@"`);
  stub(
    'systemctl',
    `for unit; do :; done
    unit=\${unit%.service}
    is_there() { [ -e ${root}/main ] && kill -0 "$(<${root}/main)" 2>/dev/null; }
    case " $* " in
      *' show '*)
        active=inactive main=0
        if is_there; then active=active main=$(<${root}/main); fi
        printf '%s\\n' LoadState=loaded ActiveState=$active WorkingDirectory=${directory} FragmentPath=${root}/system/${UNIT} User=root MainPID=$main \\
          ExecMainPID=$main InvocationID=1 'ExecStart={ path=${directory}/runsvc.sh ; }' ActiveEnterTimestampMonotonic=1 ExecMainStartTimestampMonotonic=1 ;;
      *' stop '*)
        case $unit in
          runward-pause-*)
            kill -TERM "$(cat ${root}/units/$unit 2>/dev/null)" 2>/dev/null
            while [ -e ${root}/units/$unit ]; do sleep 0.02; done ;;
          actions.runner.*)
            ${gap('act')}
            ${harms('the service is stopped')}
            is_there && kill -TERM "$(<${root}/main)"
            case " $* " in *' --no-block '*) exit 0 ;; esac
            for try in {1..100}; do is_there || exit 0; sleep 0.05; done
            exit 1 ;;
        esac ;;
      *' restart '*) ${harms('the clock is set')} ;;
      *' is-active '*) exit 1 ;;
      *' start '*) cd ${directory} && { setsid ./runsvc.sh >/dev/null 2>&1 </dev/null & echo $! >${root}/main; } ;;
    esac
    exit 0`,
  );
  // Runs a unit, and what systemd runs at its end, however that comes.
  stub(
    'systemd-run',
    `post=:
    while [ $# -gt 0 ]; do
      case $1 in
        --unit=*) unit=\${1#*=} ;;
        ExecStopPost=*) post=\${1#*=} ;;
        -*) ;;
        RuntimeMaxSec=* | TimeoutStopSec=*) ;;
        *) break ;;
      esac
      shift
    done
    ${gap('hold')}
    export unit post
    cd ${root}
    setsid bash -c '"$@" & echo $! >${root}/units/$unit; : >${root}/units/begun; wait $!; $post; rm ${root}/units/$unit' unit "$@" >/dev/null 2>&1 </dev/null &
    until [ -e ${root}/units/begun ]; do sleep 0.01; done
    rm ${root}/units/begun`,
  );
}

/** Starts the service as it is in a guest. */
async function start(): Promise<void> {
  inNamespace(['systemctl', 'start', UNIT], 'ignore');
  await until(() => named('Runner.Listener').length === 1, 'the listener lives');
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; !isSo(); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}: ${JSON.stringify(processes())}`);
  }
}

// The steps

type Answer = Readonly<Record<string, string>>;
interface Act {
  readonly purpose: string;
  readonly step: string;
  readonly more?: Answer;
  readonly prepare?: () => void;
}

const ACTS: readonly Act[] = [
  { purpose: 'config-cleanup', step: 'set-aside' },
  { purpose: 'restart-service', step: 'restart-service' },
  { purpose: 'restore', step: 'restore', prepare: setAside },
  { purpose: 'drain', step: 'stop-service', prepare: () => mark('person') },
  { purpose: 'sync-clock', step: 'sync-clock' },
  { purpose: 'remove-from-cache', step: 'remove-from-cache', more: { kind: 'all' } },
  { purpose: 'make-room', step: 'make-room', more: { source: 'temporary-files', unused_seconds: '0' } },
];
const DONE = new Set(['set-aside', 'started', 'restored', 'stopped', 'synced', 'removed', 'made']);

function setAside(): void {
  mkdirSync(path.join(state, 'aside'), { mode: 0o700 });
  writeFileSync(path.join(state, 'aside/.runner'), '{ "agentId": 6 }');
}

function mark(by: 'person' | 'room'): void {
  writeFileSync(path.join(state, 'drained'), `1\n${by}\nnew disk\n`);
}

/** Libraries as they travel. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  'remove-from-cache': ['lib', 'disk'],
  'make-room': ['lib', 'disk', 'room'],
  'sync-clock': ['lib', 'clock'],
};

async function run(step: string, more: Answer): Promise<Answer> {
  const folder = path.join(root, 'step', `${step}-${Math.random().toString(16).slice(2)}`);
  mkdirSync(folder);
  const parameters = {
    ...{ directory, user: 'root', name: 'r', url: 'http://localhost/o/r', registration: 'from-runner-directory', least_bytes: '0' },
    ...{ settle_seconds: '0.1', start_seconds: '5', ntp_seconds: '0', host_ms: String(Date.now() - 100_000) },
    ...more,
  };
  writeFileSync(
    path.join(folder, 'parameters'),
    Object.entries(parameters)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const names = LIBRARIES[step === 'pause' ? (more['purpose'] ?? '') : step] ?? ['lib'];
  writeFileSync(path.join(folder, 'lib.sh'), names.map((name) => readFileSync(path.join(root, 'scripts', `${name}.sh`), 'utf8')).join(''));
  writeFileSync(path.join(folder, 'step.sh'), readFileSync(path.join(root, 'scripts', `${step}.sh`)));
  writeFileSync(path.join(folder, 'received'), `${readFileSync('/proc/uptime', 'utf8').split(' ')[0]}\n`);
  const child = inNamespace(['bash', path.join(folder, 'step.sh'), folder], ['ignore', 'pipe', 'pipe']);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
  if (code !== 0 && code !== 75) throw new Error(`${step} ended with ${code}: ${stderr}`);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

const unreadOf = ({ unread64 = '' }: Answer): string => Buffer.from(unread64, 'base64').toString();
const pause = ({ purpose, more = {} }: Act, given: Answer = {}): Promise<Answer> => run('pause', { purpose, ...more, ...given });
const act = ({ step, more = {} }: Act, given: Answer): Promise<Answer> => run(step, { force: 'no', ...more, ...given });

/** As workflows do it: GitHub says idle whenever it is asked. */
async function pauseAskAct(how: Act, between: () => Promise<void> = async () => {}): Promise<Answer> {
  if (!existsSync(path.join(root, 'scripts/pause.sh'))) return act(how, {});
  const paused = await pause(how);
  if (paused['kind'] !== 'paused') return paused;
  await between();
  return act(how, { paused: 'yes', unread: unreadOf(paused) });
}

/** Lets a job begin in this gap, as a process that becomes a worker after so many seconds. */
function letJobBegin(where: string, seconds: number): void {
  writeFileSync(path.join(root, where), `${seconds}\n`);
}

const readHarm = (): string => (existsSync(path.join(root, 'harm')) ? readFileSync(path.join(root, 'harm'), 'utf8') : '');

/** The job goes on, and its listener with it. */
async function expectUnharmed(): Promise<void> {
  await until(() => named('Runner.Worker').length === 1, 'the job runs');
  await until(() => [...named('Runner.Listener'), ...named('runsvc.sh')].every((each) => each.state !== 'T'), 'its listener was let go');
  expect(readHarm()).toBe('');
  expect([named('Runner.Worker').length, named('Runner.Listener').length]).toEqual([1, 1]);
}

describe('the mark of a drained runner', () => {
  const byPurpose = (purpose: string): Act => ACTS.find((each) => each.purpose === purpose)!;
  beforeEach(start);

  it.each(['config-cleanup', 'restart-service', 'remove-from-cache', 'make-room'])(
    'ends %s, if it came after the look',
    async (purpose) => {
      const how = byPurpose(purpose);
      expect(await pauseAskAct(how, async () => mark('person'))).toMatchObject({ kind: 'refused-drained' });
      await until(() => processes().every((each) => each.state !== 'T'), 'it was let go');
      expect(await pause(how)).toMatchObject({ kind: 'refused-drained' });
      expect(named('Runner.Listener')).toHaveLength(1);
    },
  );

  it('of Runward’s own is no word of a person', async () => {
    mark('room');
    const how = byPurpose('make-room');
    const paused = await pause(how, { drain_seen: 'room' });
    expect(paused).toMatchObject({ kind: 'paused' });
    mark('person');
    const given = { paused: 'yes', unread: unreadOf(paused) };
    expect(await act(how, { ...given, drain_seen: 'room' })).toMatchObject({ kind: 'refused-drained' });
    mark('room');
    expect(await pause(how, { drain_seen: 'room' })).toMatchObject({ kind: 'paused' });
    expect(await act(how, { ...given, drain_seen: 'room' })).toMatchObject({ kind: 'made' });
  });

  it.each(['start-service', 'configure'])('ends %s', async (step) => {
    mark('person');
    expect(await run(step, {})).toMatchObject({ kind: 'refused-drained' });
  });

  it('does not keep a runner from its configuration', async () => {
    mark('person');
    setAside();
    expect(await pauseAskAct(byPurpose('restore'))).toMatchObject({ kind: 'restored' });
  });
});

describe('a start of the service', () => {
  it.each([
    ['ends a listener outside of it', null, 'started', 0],
    ['leaves one alone to which a job was just given', 1, 'refused-busy', 1],
  ] as const)('%s', async (_what, seconds, kind, workers) => {
    inNamespace(
      ['bash', '-c', `cd ${directory} && { setsid env --default-signal=INT ./bin/Runner.Listener run >/dev/null 2>&1 </dev/null & }`],
      'ignore',
    );
    await until(() => named('Runner.Listener').length === 1, 'the stray lives');
    const [stray] = named('Runner.Listener');
    if (seconds !== null) letJobBegin('gap.hold', seconds * 0.5);
    expect(await run('start-service', {})).toMatchObject({ kind });
    await until(() => named('Runner.Worker').length === workers, 'the job runs');
    await until(() => processes().every((each) => each.state !== 'T'), 'nothing is held');
    expect(readHarm()).toBe('');
    expect(named('Runner.Listener').some(({ pid }) => pid === stray?.pid)).toBe(workers === 1);
  });
});

describe.each(ACTS)('$purpose', (how) => {
  beforeEach(async () => {
    how.prepare?.();
    await start();
  });

  it('is done with a pause, and refused without one', async () => {
    expect(await act(how, { paused: '' })).toMatchObject({ kind: 'not-paused' });
    const answer = await pauseAskAct(how);
    expect(DONE, JSON.stringify(answer)).toContain(answer['kind']);
    await until(() => processes().every((each) => each.state !== 'T'), 'nothing is held');
    expect(readdirSync(path.join(root, 'run'))).toEqual([]);
  });

  it.each([
    ['while a slow proof runs', 'gap.proof', 0],
    ['before the listener is held', 'gap.hold', 0],
    ['after the listener is held', 'gap.hold', 1],
  ])('harms no job that begins %s', async (_when, where, seconds) => {
    letJobBegin(where, seconds);
    const answer = await pauseAskAct(how, async () => {
      if (existsSync(path.join(root, 'begun'))) await until(() => named('Runner.Worker').length === 1, 'the worker shows');
    });
    // Where nothing is slow, nothing was to begin.
    if (existsSync(path.join(root, where))) return;
    expect(['refused-busy', 'not-paused'], JSON.stringify(answer)).toContain(answer['kind']);
    await expectUnharmed();
  });

  it('is done while no job can begin', async () => {
    letJobBegin('gap.act', 0);
    const answer = await pauseAskAct(how);
    expect(DONE, JSON.stringify(answer)).toContain(answer['kind']);
    expect(readHarm()).toBe('');
  });
});
