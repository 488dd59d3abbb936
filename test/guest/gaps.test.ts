// Jobs that begin in any gap between the proof that none runs and the act that would end one, against the scripts alone: real processes with the
// runner's names, in a namespace of their own, and a systemd that is played by stubs.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
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
      .replace(/^(ROOTS|STATE)=\/var\/lib\/runward\b/m, `$1=${root}/roots`)
      .replace(/^RUN=\/run\/runward\b/m, `RUN=${root}/run`)
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
  for (const folder of ['bin/forged', 'externals/node20/bin', '_diag', '_work/_temp', '_work/_actions/octo/lint/v1']) {
    mkdirSync(path.join(directory, folder), { recursive: true });
  }
  const files = ['RunnerService.js', 'systemd.svc.sh.template', 'actions.runner.service.template'].map((name) => `bin/${name}`);
  for (const name of [...files, 'externals/node20/bin/node', 'config.sh']) program(name, 'exit 0');
  program('bin/Runner.Worker', `trap 'echo "the job was ended" >>${root}/harm; exit' TERM INT\nread -r -t 60 <>${root}/nothing`);
  // Begins a job in a process of its own, which becomes the worker after so many seconds.
  program(
    'bin/Runner.Listener',
    `if [ "$1" = --version ]; then
      if [ -e ${root}/boot ]; then mv ${root}/boot ${root}/booted; systemctl start ${UNIT}; fi
      ${gap('proof')}
      exit 0
    fi
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

/** Starts a listener that no unit has started, from outside of any. */
const stray = (): string => `( cd ${directory}; setsid env --default-signal=INT ./bin/Runner.Listener run >/dev/null 2>&1 </dev/null & )`;

function stub(name: string, script: string): void {
  writeFileSync(path.join(root, 'bin', name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
}

function playSystem(): void {
  stub('runuser', 'shift 3; exec "$@"');
  stub('chattr', 'exit 0');
  stub('timedatectl', gap('act'));
  stub('journalctl', "echo 'Started running service'");
  stub('date', `if [ "$1" = -s ]; then echo "$2" >>${root}/clock; ${harms('the clock is set')}; else exec /bin/date "$@"; fi`);
  stub('mv', `case " $* " in *' -t '*)\n${gap('act')}\n${harms('files are moved away')} ;; esac\nexec /bin/mv "$@"`);
  stub(
    'systemctl',
    `for unit; do :; done
    unit=\${unit%.service}
    is_there() { [ -e ${root}/main ] && kill -0 "$(<${root}/main)" 2>/dev/null; }
    case " $* " in
      *' show '*runward-act*) echo LoadState=not-found ;;
      *' show '*)
        active=inactive main=0
        if is_there; then active=active main=$(<${root}/main); fi
        printf '%s\\n' LoadState=$(cat ${root}/load 2>/dev/null || echo loaded) ActiveState=$active WorkingDirectory=${directory} FragmentPath=${root}/system/${UNIT} User=$(cat ${root}/user 2>/dev/null || echo root) MainPID=$main \\
          ExecMainPID=$main InvocationID=1 'ExecStart={ path=${directory}/runsvc.sh ; }' ActiveEnterTimestampMonotonic=1 ExecMainStartTimestampMonotonic=1 ;;
      *' stop '*)
        case $unit in
          runward-pause-*)
            kill -TERM "$(cat ${root}/units/$unit 2>/dev/null)" 2>/dev/null
            while [ -e ${root}/units/$unit ]; do sleep 0.02; done ;;
          actions.runner.*)
            if [ -e ${root}/on.stop ]; then rm ${root}/on.stop; ${stray()}; fi
            ${gap('act')}
            ${harms('the service is stopped')}
            is_there && kill -TERM "$(<${root}/main)"
            case " $* " in *' --no-block '*) exit 0 ;; esac
            for try in {1..100}; do is_there || exit 0; sleep 0.05; done
            exit 1 ;;
        esac ;;
      *' restart '*) ${harms('the clock is set')} ;;
      *' is-active '*) [ -e ${root}/units/$unit ]; exit ;;
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

const byPurpose = (purpose: string): Act => ACTS.find((each) => each.purpose === purpose)!;

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

  it('of a person who gives room as the reason is a person’s', async () => {
    writeFileSync(path.join(state, 'drained'), '1\nperson\nroom\n["gpu"]\n');
    expect(await pause(byPurpose('restart-service'), { drain_seen: 'room' })).toMatchObject({ kind: 'refused-drained' });
  });

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
    ['a listener outside of it', null, 'not-paused', 0, {}],
    ['one that has been given a job', 0, 'refused-busy', 1, {}],
    ['one whose job counts as none, since GitHub would have told of it', 0, 'refused-busy', 1, { strays: 'ignored' }],
  ] as const)('leaves alone %s', async (_what, seconds, kind, workers, given) => {
    inNamespace(['bash', '-c', stray()], 'ignore');
    await until(() => named('Runner.Listener').length === 1, 'the stray lives');
    const [orphan] = named('Runner.Listener');
    if (seconds !== null) letJobBegin('job', seconds);
    await until(() => named('Runner.Worker').length === workers, 'the job runs');
    expect(await run('start-service', given)).toMatchObject({ kind, evidence64: expect.any(String) });
    expect(processes().filter((each) => each.state === 'T')).toEqual([]);
    expect(readHarm()).toBe('');
    expect(named('Runner.Listener')).toMatchObject([{ pid: orphan?.pid }]);
    if (workers > 0) return;
    expect(await pauseAskAct(byPurpose('restart-service'))).toMatchObject({ kind: 'started' });
    expect(named('Runner.Listener')).toHaveLength(1);
    expect(named('Runner.Listener')[0]?.pid).not.toBe(orphan?.pid);
  });

  it('says what it is about where a person has masked it', async () => {
    writeFileSync(path.join(root, 'load'), 'masked');
    expect(await run('start-service', {})).toMatchObject({ kind: 'not-started', unit: UNIT, state: 'inactive' });
  });

  it('is none while the listener stands still', async () => {
    await start();
    const [listener] = named('Runner.Listener');
    process.kill(listener!.pid, 'SIGSTOP');
    expect(await run('start-service', { start_seconds: '1' })).toMatchObject({ kind: 'not-started' });
    process.kill(listener!.pid, 'SIGCONT');
    expect(await run('start-service', {})).toMatchObject({ kind: 'started' });
  });
});

describe('a service that runs as another user', () => {
  const foreign = { user: 'nobody' };

  it.each(['config-cleanup', 'restart-service', 'restore', 'drain'])('is held for %s as any other', async (purpose) => {
    const how = byPurpose(purpose);
    how.prepare?.();
    await start();
    const paused = await pause(how, foreign);
    expect(paused).toMatchObject({ kind: 'paused' });
    expect(['runsvc.sh', 'Runner.Listener'].flatMap(named)).toMatchObject([{ state: 'T' }, { state: 'T' }]);
    expect(await run('let-go', { ...foreign, purpose })).toMatchObject({ kind: 'let-go' });
    expect(processes().filter((each) => each.state === 'T')).toEqual([]);
    letJobBegin('job', 0);
    await until(() => named('Runner.Worker').length === 1, 'the job runs');
    const given = { ...foreign, paused: 'yes', unread: unreadOf(paused) };
    expect(await act(how, given)).toMatchObject({ kind: expect.stringMatching(/refused-busy|not-paused/) });
    await expectUnharmed();
  });

  it('is stopped whole', async () => {
    mark('person');
    await start();
    const how = byPurpose('drain');
    const paused = await pause(how, foreign);
    expect(await act(how, { ...foreign, paused: 'yes', unread: unreadOf(paused) })).toEqual({ kind: 'stopped' });
    expect(['runsvc.sh', 'Runner.Listener'].flatMap(named)).toEqual([]);
  });

  it('is left alone where its user is not known', async () => {
    await start();
    expect(await pause(byPurpose('restart-service'), { user: 'nobody-of-that-name' })).toMatchObject({ kind: 'refused-unfit' });
    const given = { paused: 'yes', user: 'nobody-of-that-name' };
    expect(await act(byPurpose('restart-service'), given)).toMatchObject({ kind: 'refused-unfit' });
    expect(named('Runner.Listener')).toHaveLength(1);
  });

  it('is not believed to be one where a job says so', async () => {
    await start();
    program('bin/forged/Runner.Listener', `read -r -t 60 <&0`);
    const forge = `cd ${directory}; exec setpriv --reuid=65534 --clear-groups ./bin/forged/Runner.Listener < <(sleep 60)`;
    inNamespace(['bash', '-c', forge], 'ignore');
    await until(() => named('Runner.Listener').length === 2, 'it pretends');
    expect(await pauseAskAct(byPurpose('restart-service'))).toMatchObject({ kind: 'started' });
    expect(named('Runner.Listener')).toHaveLength(2);
  });
});

describe('a service that does not run', () => {
  it.each(['config-cleanup', 'restart-service'])('is no word for it after the slow proof of %s', async (purpose) => {
    const how = byPurpose(purpose);
    const paused = await pause(how);
    expect(paused).toMatchObject({ kind: 'paused' });
    writeFileSync(path.join(root, 'boot'), '');
    letJobBegin('gap.proof', 0);
    expect(await act(how, { paused: 'yes', unread: unreadOf(paused) })).toMatchObject({
      kind: expect.stringMatching(/refused-busy|not-paused/),
    });
    await expectUnharmed();
  });
});

describe('what is held', () => {
  const folders = (): readonly string[] => readdirSync(path.join(root, 'run')).filter((name) => name.startsWith('runward-pause-'));
  beforeEach(start);

  it('goes on without the help of its user', async () => {
    await pause(byPurpose('restart-service'));
    stub('runuser', 'exit 1');
    expect(await run('let-go', { purpose: 'restart-service' })).toMatchObject({ kind: 'let-go' });
    expect(processes().filter((each) => each.state === 'T')).toEqual([]);
    expect(folders()).toEqual([]);
  });

  it('stays so while another pause holds it', async () => {
    await pause(byPurpose('restart-service'));
    const [folder = ''] = folders();
    const other = 'runward-pause-other-1';
    mkdirSync(path.join(root, 'run', other));
    writeFileSync(path.join(root, 'run', other, 'held'), readFileSync(path.join(root, 'run', folder, 'held')));
    writeFileSync(path.join(root, 'units', other), '0');
    await run('let-go', { purpose: 'restart-service' });
    expect(named('Runner.Listener')).toMatchObject([{ state: 'T' }]);
    expect(folders()).toEqual([other]);
    rmSync(path.join(root, 'units', other)); // as one that was cut off
    await pause(byPurpose('restart-service'));
    await run('let-go', { purpose: 'restart-service' });
    expect(named('Runner.Listener')).toMatchObject([{ state: expect.not.stringMatching('T') }]);
  });
});

describe('an act that has stopped the service', () => {
  it.each(['config-cleanup', 'restart-service'])('does not say of %s that it touched nothing', async (purpose) => {
    await start();
    writeFileSync(path.join(root, 'on.stop'), '');
    await expect(pauseAskAct(byPurpose(purpose))).rejects.toThrow('was stopped, and then');
    expect(await pauseAskAct(byPurpose(purpose))).toMatchObject({ kind: expect.stringMatching(/^(set-aside|started)$/) });
  });
});

describe('the note of an unfinished recovery', () => {
  const note = () => path.join(state, 'unfinished');
  const takeFence = async (): Promise<string> => {
    const driver = path.join(root, 'scripts/driver.sh');
    const child = inNamespace(['bash', '-c', `printf 'op/elsewhere' | bash ${driver} fence-take 2 10`], ['ignore', 'pipe', 'pipe']);
    return /kind=(.*)/.exec(await text(child.stdout!))?.[1] ?? '';
  };
  const leaveUnfinished = (): void =>
    writeFileSync(note(), ['op', directory, readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), '999999999', ''].join('\n'));

  it('goes with the restore', async () => {
    await act(byPurpose('config-cleanup'), { paused: '' });
    expect(existsSync(note())).toBe(true);
    expect(await takeFence()).toBe('refused-unfinished');
    expect(await run('restore', { force: 'no', paused: '' })).toMatchObject({ kind: 'restored' });
    expect(existsSync(note())).toBe(false);
    expect(await takeFence()).toBe('taken');
  });

  it('counts only while a configuration lies aside, and for a day', async () => {
    leaveUnfinished();
    expect(await takeFence()).toBe('taken');
    setAside();
    expect(await takeFence()).toBe('refused-unfinished');
    const yesterday = Date.now() / 1_000 - 25 * 3_600;
    utimesSync(note(), yesterday, yesterday);
    expect(await takeFence()).toBe('taken');
  });
});

describe('the wait for the end of a job', () => {
  const waiter = (): readonly string[] => readdirSync(path.join(root, 'units')).filter((name) => name.startsWith('runward-wait-'));

  it('is not blinded by a pause that was cut off as it began', async () => {
    mark('person');
    await start();
    await pause(byPurpose('drain'));
    const [name = ''] = readdirSync(path.join(root, 'run'));
    await run('let-go', { purpose: 'drain' });
    mkdirSync(path.join(root, 'run', name));
    expect(await run('wait-for-end', {})).toMatchObject({ kind: 'waiting' });
    letJobBegin('job', 0);
    await until(() => named('Runner.Worker').length === 1, 'the job runs');
    await until(() => named('perl').length === 1, 'the end of its job is waited for');
    await sleep(500);
    process.kill(named('Runner.Worker')[0]!.pid, 'SIGKILL');
    await until(() => named('Runner.Listener')[0]?.state === 'T', 'its listener is held');
  });

  it('leaves nothing paused after the mark was taken away', async () => {
    mark('person');
    await start();
    stub('rm', `case " $* " in *' ${state}/drained '*) bash ${root}/scripts/pause-now.sh ;; esac\nexec /bin/rm "$@"`);
    const folder = path.join(root, 'step/now');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'parameters'), `directory=${directory}\nuser=root\nname=r\nurl=http://localhost/o/r\npurpose=drain\n`);
    for (const script of ['lib', 'pause'])
      writeFileSync(path.join(folder, `${script}.sh`), readFileSync(path.join(root, 'scripts', `${script}.sh`)));
    writeFileSync(path.join(root, 'scripts/pause-now.sh'), `bash ${folder}/pause.sh ${folder} >${root}/paused\n`);
    expect(await run('unmark-drained', { drain_seen: 'person' })).toMatchObject({ kind: 'unmarked' });
    expect(readFileSync(path.join(root, 'paused'), 'utf8')).toContain('kind=paused');
    expect(waiter()).toEqual([]);
    expect(processes().filter((each) => each.state === 'T')).toEqual([]);
  });
});

describe('the clock of a guest with chrony', () => {
  const how: Act = { ...byPurpose('sync-clock'), more: { ntp_seconds: '1' } };
  /** What chrony was told, each with whether the listener was held. */
  const told = (): readonly string[] =>
    (existsSync(path.join(root, 'chrony')) ? readFileSync(path.join(root, 'chrony'), 'utf8').split('\n') : []).filter(
      (line) => line !== '' && !line.startsWith('-c tracking'),
    );

  beforeEach(async () => {
    writeFileSync(path.join(root, 'units/chrony'), '');
    stub(
      'chronyc',
      `held=free
      if grep -qs '(Runner.Listener) T' /proc/[0-9]*/stat; then held=held; fi
      echo "$* $held" >>${root}/chrony
      case $* in
        '-c tracking') echo "A29FC801,192.0.2.1,3,$(cat ${root}/reference 2>/dev/null || echo 1700000000).$RANDOM,0.1" ;;
        'burst 2/4')
          ${gap('proof')}
          if [ ! -e ${root}/no-answer ]; then echo 1700000100 >${root}/reference; fi ;;
        makestep)
          ${gap('act')}
          ${harms('the clock is set')}
          if [ -e ${root}/no-step ]; then exit 1; fi ;;
      esac`,
    );
    await start();
  });

  it('is measured before the listener is held, and set while it is', async () => {
    expect(await pauseAskAct(how)).toEqual({ kind: 'synced', source: 'ntp' });
    expect(told()).toEqual(['online free', 'burst 2/4 free', 'makestep held']);
    expect(existsSync(path.join(root, 'clock'))).toBe(false);
    expect(processes().filter((each) => each.state === 'T')).toEqual([]);
  });

  it('is the host’s, if chrony has measured nothing new', async () => {
    writeFileSync(path.join(root, 'no-answer'), '');
    expect(await pauseAskAct(how)).toEqual({ kind: 'synced', source: 'host' });
    expect(told()).toEqual(['online free', 'burst 2/4 free']);
    expect(readFileSync(path.join(root, 'clock'), 'utf8')).toMatch(/^@\d+\.\d{3}\n$/);
  });

  it('is the host’s, if chrony does not set it', async () => {
    writeFileSync(path.join(root, 'no-step'), '');
    expect(await pauseAskAct(how)).toEqual({ kind: 'synced', source: 'host' });
    expect(readFileSync(path.join(root, 'clock'), 'utf8')).toMatch(/^@\d+\.\d{3}\n$/);
  });

  it('is measured and set at once, if a person’s force goes past a job', async () => {
    expect(await act(how, { force: 'yes' })).toEqual({ kind: 'synced', source: 'ntp' });
    expect(told()).toEqual(['online free', 'burst 2/4 free', 'makestep free']);
  });

  it('is left, if a job begins while it is measured', async () => {
    letJobBegin('gap.proof', 0);
    expect(await pauseAskAct(how)).toMatchObject({ kind: expect.stringMatching(/refused-busy|not-paused/) });
    expect(told()).toEqual(['online free', 'burst 2/4 free']);
    await expectUnharmed();
  });

  it('is set while no job can begin', async () => {
    letJobBegin('gap.act', 0);
    expect(await pauseAskAct(how)).toEqual({ kind: 'synced', source: 'ntp' });
    expect(readHarm()).toBe('');
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
