import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type SandboxGitHub, startGitHub } from '../../src/sandbox/github/server.ts';
import { type ExecResult, type Guest, startGuest } from '../kit/guest/index.ts';

const SCOPE = 'octo/lab';
const VM = 'runner-vm';
const START_SPINNER = `\u001B[2K\u001B[0A\u001B[0EStarting ${VM}`;

let github: SandboxGitHub;
let guest: Guest;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE], pollMs: 1000, offlineAfterMs: 2000 });
  guest = await startGuest({ github });
});

afterAll(async () => {
  await guest?.close();
  await github?.close();
});

/** Waits for what comes by itself within seconds. */
async function eventually(check: () => Promise<boolean> | boolean): Promise<boolean> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await check()) return true;
    await sleep(200);
  }
  return false;
}

function statusOf(runner: string): string {
  return github.runners(SCOPE).find(({ name }) => name === runner)?.status ?? 'unregistered';
}

describe('a clone', () => {
  it('is a running system with a clock of its own that is right', async () => {
    expect(await guest.must('systemctl is-system-running')).toBe('running');
    expect(Math.abs(await guest.clockOffset())).toBeLessThan(2);
  });

  it('is up within seconds, beside another one', async () => {
    const begun = Date.now();
    const second = await startGuest({ name: 'second', beside: guest });
    const tookMs = Date.now() - begun;
    const listed = await guest.multipass(['list', '--format', 'json']);
    await second.close();
    // About a second on a quiet machine; a cold start takes ten times as long.
    expect(tookMs).toBeLessThan(8000);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      list: [
        { name: VM, state: 'Running' },
        { name: 'second', state: 'Running' },
      ],
    });
  });

  it('reaches the host where it was told to, and nothing else', async () => {
    const answer = await guest.exec(
      `curl -s -o /dev/null -w '%{http_code}' -A kit ${guest.githubUrl}/meta; curl -s -m 2 http://10.0.2.2:1/`,
    );
    expect(answer.stdout).toMatch(/^[2-4]\d\d$/);
    expect(answer.exitCode).toBe(7);
  });

  it('hands standard input and output through unchanged', async () => {
    const bytes = 'ä\0\n𝄞'.repeat(50_000);
    const { stdout, stderr, exitCode } = await guest.exec('cat; echo done >&2; exit 3', { input: bytes, user: 'ubuntu' });
    expect({ stdout: stdout === bytes, stderr, exitCode }).toEqual({ stdout: true, stderr: 'done\n', exitCode: 3 });
  });

  it('leaves no trace of standard input in its journal or its list of processes', async () => {
    const processes = await guest.sampleProcesses();
    await guest.exec('read -r word; sleep 2.2', { input: 'a-word-to-look-for\n' });
    const seen = await processes.stop();
    expect(seen.some((line) => line.includes('sleep 2.2'))).toBe(true);
    expect(seen.filter((line) => line.includes('a-word-to-look-for'))).toEqual([]);
    expect(await guest.processList()).toContain('ps -e -ww -o args=');
    expect((await guest.exec('journalctl -q | grep -c a-word-to-look-for; exit 0')).stdout).toBe('0\n');
  });
});

describe('the guest’s clock', () => {
  it('goes where a test sets it, and comes back by the time server', async () => {
    await guest.setClock(7200);
    expect(await guest.clockOffset()).toBeCloseTo(7200, -1);
    await guest.must('timedatectl set-ntp true; systemctl restart systemd-timesyncd');
    expect(await eventually(async () => Math.abs(await guest.clockOffset()) < 2)).toBe(true);
  });

  it('follows a time server that is wrong', async () => {
    await guest.ntp.setOffset(600);
    await guest.must('systemctl restart systemd-timesyncd');
    expect(await eventually(async () => Math.abs((await guest.clockOffset()) - 600) < 2)).toBe(true);
  });

  it('stays where it is without a time server', async () => {
    await guest.ntp.stop();
    await guest.must('systemctl restart systemd-timesyncd');
    await sleep(3000);
    expect(await guest.clockOffset()).toBeCloseTo(600, -1);
    await guest.ntp.setOffset(0);
    await guest.must('systemctl restart systemd-timesyncd');
    expect(await eventually(async () => Math.abs(await guest.clockOffset()) < 2)).toBe(true);
  });
});

describe('the multipass-shaped command', () => {
  interface Case {
    readonly what: string;
    readonly args: readonly string[];
    readonly input?: string;
    readonly exitCode: number;
    readonly stdout?: string;
    readonly stderr?: string | RegExp;
  }
  const inGuest = (...words: string[]): string[] => ['exec', '-n', VM, '--', ...words];
  const missing = 'exec failed: The following errors occurred:\ninstance "nope" does not exist\n';

  it.each<Case>([
    { what: 'runs as ubuntu in its home', args: inGuest('sh', '-c', 'id -un; pwd'), exitCode: 0, stdout: 'ubuntu\n/home/ubuntu\n' },
    { what: 'allows sudo without a password', args: inGuest('sudo', 'id', '-un'), exitCode: 0, stdout: 'root\n' },
    {
      what: 'feeds standard input',
      args: inGuest('sudo', '/bin/bash', '-s', '--', 'a b'),
      input: 'echo "$1"; exit 7',
      exitCode: 7,
      stdout: 'a b\n',
    },
    {
      what: 'hands words over unchanged',
      args: inGuest('printf', '[%s]', 'a  b', '$HOME', '`id`', '*', '~', 'x\ny', '', 'ä𝄞', "it's", '"', '\\', 'a;b|c&d<e>(f)', '#'),
      exitCode: 0,
      stdout: '[a  b][$HOME][`id`][*][~][x\ny][][ä𝄞][it\'s]["][\\][a;b|c&d<e>(f)][#]',
    },
    { what: 'takes a first word A=b as an assignment', args: inGuest('A=b', 'printenv', 'A'), exitCode: 0, stdout: 'b\n' },
    {
      what: 'takes one word for one command',
      args: inGuest('echo hi'),
      exitCode: 127,
      stderr: 'bash: line 1: echo hi: command not found\n',
    },
    { what: 'keeps the environment out', args: inGuest('printenv', 'RUNWARD_TEST_GUESTS'), exitCode: 1, stdout: '' },
    { what: 'says 255 for a death by signal', args: inGuest('sh', '-c', 'kill -KILL $$'), exitCode: 255, stderr: '' },
    { what: 'cuts standard input at 2 MiB', args: inGuest('wc', '-c'), input: 'x'.repeat(2_500_000), exitCode: 0, stdout: '2097152\n' },
    { what: 'keeps output apart', args: inGuest('sh', '-c', 'echo out; echo err >&2'), exitCode: 0, stdout: 'out\n', stderr: 'err\n' },
    { what: 'enters a directory', args: ['exec', VM, '-d', '/tmp', '--', 'pwd'], exitCode: 0, stdout: '/tmp\n' },
    {
      what: 'loses the quoting of sudo in a directory',
      args: ['exec', VM, '-d', '/', '--', 'sudo', 'sh', '-c', 'echo a; exit 9'],
      exitCode: 9,
      stdout: '\n',
    },
    { what: 'refuses a directory with -n', args: ['exec', '-n', VM, '-d', '/tmp', '--', 'pwd'], exitCode: 1 },
    { what: 'takes options without -- as its own', args: ['exec', VM, 'ls', '-l', '-a'], exitCode: 1, stderr: /^Unknown options: l, a\./ },
    { what: 'knows no missing instance', args: ['exec', '-n', 'nope', '--', 'true'], exitCode: 2, stderr: missing },
    { what: 'says so twice with directory mapping', args: ['exec', 'nope', '--', 'true'], exitCode: 2, stderr: missing + missing },
    {
      what: 'starts no missing instance',
      args: ['start', 'nope'],
      exitCode: 2,
      stderr: "start failed: instance(s) missing\nInstance 'nope' does not exist.\n",
    },
    { what: 'describes no missing instance', args: ['info', 'nope', '--format', 'json'], exitCode: 2, stdout: '' },
    { what: 'leaves a running instance', args: ['start', VM], exitCode: 0, stdout: '' },
    {
      what: 'knows no other command',
      args: ['frobnicate'],
      exitCode: 1,
      stdout: 'Error: Unknown Command: \'frobnicate\' (try "multipass help")\n',
    },
  ])('$what', async ({ args, input, exitCode, stdout, stderr }) => {
    const result = await guest.multipass(args, input);
    expect(result.exitCode).toBe(exitCode);
    if (stdout !== undefined) expect(result.stdout).toBe(stdout);
    if (stderr !== undefined) expect(result.stderr).toEqual(typeof stderr === 'string' ? stderr : expect.stringMatching(stderr));
  });

  it('runs six commands at once, each with its own output and exit code', async () => {
    const numbers = [1, 2, 3, 4, 5, 6];
    const results = await Promise.all(numbers.map((number) => guest.multipass(inGuest('sh', '-c', `echo ${number}; exit 1${number}`))));
    expect(results.map(({ exitCode, stdout }) => [stdout, exitCode])).toEqual(numbers.map((number) => [`${number}\n`, 10 + number]));
  });

  it('waits for whoever holds the output open', async () => {
    const begun = Date.now();
    await guest.multipass(inGuest('sh', '-c', 'sleep 3 & echo started'));
    expect(Date.now() - begun).toBeGreaterThan(3000);
  });

  it('describes its instances as the real one does', async () => {
    const version = JSON.parse((await guest.multipass(['version', '--format', 'json'])).stdout) as unknown;
    expect(version).toEqual({ multipass: '1.16.3', multipassd: '1.16.3' });
    const list = JSON.parse((await guest.multipass(['list', '--format', 'json'])).stdout) as unknown;
    expect(list).toEqual({ list: [{ name: VM, state: 'Running', ipv4: ['10.0.2.15'], release: 'Ubuntu 24.04 LTS' }] });
    const info = JSON.parse((await guest.multipass(['info', VM, '--format', 'json'])).stdout) as unknown;
    expect(info).toMatchObject({ errors: [], info: { [VM]: { state: 'Running', cpu_count: '2', mounts: {} } } });
  });

  it('runs a command that exits with 4 again and again', async () => {
    const client = start(inGuest('sh', '-c', 'echo run >>/tmp/four; exit 4'));
    expect(await eventually(async () => Number(await guest.must('cat /tmp/four 2>/dev/null | wc -l')) > 2)).toBe(true);
    client.kill('SIGKILL');
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('leaves the command running when its client is ended by %s', async (signal) => {
    const client = start(inGuest('sleep', '987'));
    const isRunning = async (): Promise<boolean> => (await guest.exec('pgrep -fx "sleep 987"')).exitCode === 0;
    expect(await eventually(isRunning)).toBe(true);
    client.kill(signal);
    await sleep(1000);
    expect(await isRunning()).toBe(true);
    await guest.must('pkill -fx "sleep 987"');
  });

  it('ends the standard input of a command whose client is killed', async () => {
    const client = start(inGuest('sh', '-c', 'cat >/tmp/half; echo ended >/tmp/half.end'));
    client.stdin.write('half a script');
    expect(await eventually(async () => (await guest.exec('grep -q half /tmp/half')).exitCode === 0)).toBe(true);
    client.kill('SIGKILL');
    expect(await eventually(async () => (await guest.exec('test -s /tmp/half.end')).exitCode === 0)).toBe(true);
    expect(await guest.must('cat /tmp/half')).toBe('half a script');
  });

  it('gives up on a guest that does not answer, which it still calls Running', async () => {
    await guest.freeze();
    const begun = Date.now();
    const result = await guest.multipass(inGuest('true'));
    const tookMs = Date.now() - begun;
    const state = await guest.state();
    await guest.thaw();
    expect(result).toMatchObject({ exitCode: 2, stderr: "exec failed: ssh connection failed: 'Timeout connecting to 10.0.2.15'\n" });
    expect(tookMs).toBeGreaterThanOrEqual(5000);
    expect(state).toBe('Running');
  });

  it('has one thread for all calls: one that waits for a guest without SSH hangs them all, until the daemon is restarted', async () => {
    const harmless = [
      ['list', '--no-ipv4', '--format', 'json'],
      ['info', VM, '--no-runtime-information', '--format', 'json'],
    ];
    for (const harm of [
      ['list', '--format', 'json'],
      ['info', VM, '--format', 'json'],
      ['stop', VM],
    ]) {
      await guest.sshd('frozen');
      for (const args of harmless) expect(await guest.multipass(args)).toMatchObject({ exitCode: 0 });
      const client = start(harm);
      expect(await eventually(() => existsSync(`${guest.instances}/daemon-thread`))).toBe(true);
      client.kill('SIGKILL');
      const hung = [['version', '--format', 'json'], ...harmless, ['stop', '--force', VM]].map(start);
      await sleep(1_000);
      expect(hung.map(({ exitCode }) => exitCode)).toEqual(hung.map(() => null));
      for (const each of hung) each.kill('SIGKILL');
      await guest.sshd('answers');
      await guest.restartDaemon();
      expect(await guest.multipass(['list', '--format', 'json'])).toMatchObject({ exitCode: 0 });
    }
    expect(await guest.state()).toBe('Running');
  });

  it('answers in its open session while the listener is frozen, and opens no other', async () => {
    await guest.sshd('listener-frozen');
    const list = JSON.parse((await guest.multipass(['list', '--format', 'json'])).stdout) as unknown;
    const { exitCode } = await guest.multipass(inGuest('true'));
    await guest.sshd('answers');
    expect(list).toMatchObject({ list: [{ ipv4: ['10.0.2.15'] }] });
    expect(exitCode).toBe(2);
  });

  it('suspends: refuses to stop, resumes at an exec, with the clock behind', async () => {
    expect(await guest.multipass(['suspend', VM])).toMatchObject({ exitCode: 0 });
    expect(await guest.multipass(['suspend', VM])).toMatchObject({ exitCode: 0 });
    expect(await guest.state()).toBe('Suspended');
    expect(await guest.multipass(['stop', VM])).toMatchObject({
      exitCode: 2,
      stderr: `stop failed: Cannot shut down suspended instance ${VM}.\nUse --force to power it off.\n`,
    });
    expect(await guest.multipass(['restart', VM])).toMatchObject({ exitCode: 2 });
    await sleep(3000);
    const result = await guest.multipass(inGuest('echo', 'hi'));
    expect(result.stdout).toMatch(/hi\n$/);
    expect(result.stdout.startsWith(START_SPINNER)).toBe(true);
    expect(await guest.clockOffset()).toBeLessThan(-2);
    await guest.must('systemctl restart systemd-timesyncd');
  });

  function start(args: readonly string[]) {
    return spawn(guest.env['MULTIPASS'] ?? '', args);
  }
});

describe('the runner’s stand-ins', () => {
  const directory = '/opt/actions-runner';
  const asRunner = (command: string): string => `cd ${directory} && runuser -u github-runner -- ${command}`;
  const inRunner = (command: string): Promise<ExecResult> => guest.exec(`cd ${directory} && ${command}`);
  const journal = async (unit: string): Promise<string> => (await guest.exec(`journalctl -q -o cat -u ${unit}`)).stdout;
  const url = (): string => `--url ${guest.githubUrl}/${SCOPE}`;
  let unit = '';

  // systemd refuses a sixth start within ten seconds.
  beforeEach(() => guest.exec("systemctl reset-failed 'actions.runner.*'"));

  it('refuse root, a bad token and half an answer', async () => {
    await guest.unpackRunner();
    expect(await inRunner('./config.sh --unattended')).toEqual({ exitCode: 1, stdout: 'Must not run with sudo\n', stderr: '' });
    const incomplete = await guest.exec(asRunner(`./config.sh --unattended ${url()}`));
    expect(incomplete).toMatchObject({
      exitCode: 1,
      stdout: 'Invalid configuration provided for token. Terminating unattended configuration.\n',
    });
    const wrong = await guest.exec(asRunner(`env ACTIONS_RUNNER_INPUT_TOKEN=wrong ./config.sh --unattended --frob ${url()}`));
    expect(wrong.exitCode).toBe(1);
    expect(wrong.stdout).toContain("Unrecognized command-line input arguments for command configure: '--frob'.");
    expect(wrong.stdout).toContain("Http response code: NotFound from 'POST ");
    expect(await guest.exec(asRunner('./config.sh remove --local'))).toMatchObject({ exitCode: 0 });
  });

  it('take the folder that their bin truly lies in for the runner’s, so that a link to another bin leads there', async () => {
    await guest.unpackRunner();
    await guest.must(`install -d -o github-runner /var/tmp/linked && ln -s ${directory}/bin /var/tmp/linked/bin
      runuser -u github-runner -- touch ${directory}/.runner /var/tmp/linked/.runner
      cd /var/tmp/linked && runuser -u github-runner -- ./bin/Runner.Listener remove --local`);
    expect(await guest.must(`ls -A /var/tmp/linked && test ! -e ${directory}/.runner && rm -r /var/tmp/linked`)).toBe('.runner\nbin');
  });

  it('come with a package as GitHub offers it, kept as Runward keeps it', async () => {
    await guest.unpackRunner();
    const seen = await guest.must(`cd /var/lib/runward/packages/2.336.0 && stat -c '%a %U' . .. && cat sha256 && sha256sum <package.tar.gz
      cd "$(mktemp -d)" && tar -x -z --no-same-owner -f /var/lib/runward/packages/2.336.0/package.tar.gz ./bin
      find . -maxdepth 2 -printf '%P %U\\n' | sort && bin/Runner.Listener --version`);
    const [own, above, kept = '', counted = '', ...rest] = seen.split('\n');
    expect([own, above]).toEqual(['700 root', '700 root']);
    expect(counted).toBe(`${kept}  -`);
    expect(rest).toEqual(expect.arrayContaining(['bin 0', 'bin/Runner.Listener 0', 'bin/runsvc.sh 0', '2.336.0']));
    expect(rest.at(-1)).toBe('2.336.0');
  });

  it('register, install a service, and are online', async () => {
    const runner = await guest.installRunner({ scope: SCOPE, labels: ['bpf-lsm', 'kit'] });
    unit = runner.unit;
    expect(unit).toBe('actions.runner.octo-lab.runner-1.service');
    expect(github.runners(SCOPE)).toMatchObject([
      { id: runner.agentId, name: 'runner-1', status: 'online', busy: false, labels: ['bpf-lsm', 'kit'] },
    ]);
    const modes = await guest.must(
      `cd ${directory} && stat -c '%a %U %n' .credentials_rsaparams .runner .service && head -c 3 .runner | od -An -tx1`,
    );
    expect(modes).toBe('600 github-runner .credentials_rsaparams\n644 github-runner .runner\n644 github-runner .service\n ef bb bf');
    expect((await guest.must(`systemctl show -p KillMode -p Restart -p User ${unit}`)).split('\n').toSorted()).toEqual([
      'KillMode=process',
      'Restart=no',
      'User=github-runner',
    ]);
    expect(await guest.must(`${directory}/bin/Runner.Listener --version`)).toBe('2.336.0');
  });

  it('show the listener under its name, its path and its place', async () => {
    expect(await guest.must('pgrep -cx Runner.Listener')).toBe('1');
    const listener = await guest.must('pgrep -xa Runner.Listener');
    expect(listener).toMatch(/^\d+ \/opt\/actions-runner\/bin\/Runner\.Listener .*run --startuptype service$/);
    expect(await guest.must('readlink /proc/$(pgrep -x Runner.Listener)/exe')).toMatch(/^\/opt\/actions-runner\/bin\//);
  });

  it('refuse a second configuration, and a taken name', async () => {
    const again = await guest.exec(asRunner(`./config.sh --unattended ${url()}`));
    expect(again.exitCode).toBe(1);
    expect(again.stdout).toContain('Cannot configure the runner because it is already configured.');
    await guest.unpackRunner({ directory: '/opt/second' });
    const taken = guest.installRunner({ scope: SCOPE, directory: '/opt/second' });
    await expect(taken).rejects.toThrow('A runner exists with the same name runner-1.');
  });

  it('run a job in a worker of the listener, and cancel it when stopped', async () => {
    const job = github.giveJob(SCOPE, 'runner-1', { seconds: 600, name: 'long one' });
    expect(await eventually(() => github.job(job).state === 'in_progress')).toBe(true);
    expect(await eventually(async () => (await guest.exec('pgrep -x Runner.Worker')).exitCode === 0)).toBe(true);
    expect(await guest.must('ps -o comm= -p $(ps -o ppid= -p $(pgrep -x Runner.Worker))')).toBe('Runner.Listener');
    expect(github.runners(SCOPE)).toMatchObject([{ busy: true }]);
    expect(await inRunner('./svc.sh stop')).toMatchObject({ exitCode: 0 });
    expect(github.job(job)).toMatchObject({ state: 'completed', result: 'Canceled' });
    expect(await journal(unit)).toContain('Job long one completed with result: Canceled');
    expect((await guest.exec('pgrep "Runner\\."')).exitCode).toBe(1);
    expect(await eventually(() => statusOf('runner-1') === 'offline')).toBe(true);
  });

  it.each([
    { command: './svc.sh stop', exitCode: 0, says: 'Active: inactive (dead)' },
    { command: './svc.sh start && ./svc.sh start', exitCode: 0, says: 'Active: active (running)' },
    {
      command: './svc.sh install github-runner',
      exitCode: 1,
      says: 'Failed: error: exists /etc/systemd/system/actions.runner.octo-lab.runner-1.service',
    },
    { command: './svc.sh uninstall', exitCode: 0, says: 'Active: inactive (dead)' },
    { command: './svc.sh uninstall', exitCode: 0, says: 'Service actions.runner.octo-lab.runner-1.service is not installed' },
    { command: './svc.sh status', exitCode: 1, says: '\nnot installed\n' },
    { command: './svc.sh start', exitCode: 1, says: 'Failed: failed to start actions.runner.octo-lab.runner-1.service' },
    { command: './svc.sh stop', exitCode: 1, says: 'Failed: failed to stop actions.runner.octo-lab.runner-1.service' },
    { command: './svc.sh install nobody-at-all', exitCode: 1, says: 'Failed: User does not exist' },
    { command: './svc.sh frob', exitCode: 0, says: 'Usage:' },
    { command: 'runuser -u github-runner -- ./svc.sh start', exitCode: 1, says: 'Must run as sudo' },
    {
      command: 'cd /tmp && /opt/actions-runner/svc.sh status',
      exitCode: 1,
      says: 'Failed: Must run from runner root or install is corrupt',
    },
    {
      command: './svc.sh install github-runner && systemctl is-enabled $(cat .service) && ! systemctl is-active $(cat .service)',
      exitCode: 0,
      says: 'enabled',
    },
  ])('svc.sh: $command says $exitCode', async ({ command, exitCode, says }) => {
    const result = await inRunner(command);
    expect(`${result.stdout}${result.stderr}`).toContain(says);
    expect(result.exitCode).toBe(exitCode);
  });

  it('end the service for good when the registration is deleted at start', async () => {
    const kept = await guest.must(
      `cd ${directory} && cp .credentials_rsaparams /tmp/key && sed -i 's/"d": "./"d": "x/' .credentials_rsaparams; cat .runner`,
    );
    expect(await inRunner('./svc.sh start')).toMatchObject({ exitCode: 0 });
    expect(await eventually(async () => (await journal(unit)).includes('Runner listener exited with error code 1'))).toBe(true);
    expect(await journal(unit)).toContain('The runner registration has been deleted from the server, please re-configure.');
    expect(await eventually(async () => (await guest.exec(`systemctl is-active ${unit}`)).stdout === 'inactive\n')).toBe(true);
    expect(await guest.must(`systemctl show -p Result --value ${unit}`)).toBe('success');
    expect(await guest.must(`cd ${directory} && cp /tmp/key .credentials_rsaparams; cat .runner`)).toBe(kept);
  });

  it('start a damaged configuration again and again', async () => {
    await guest.must(`cd ${directory} && mv .credentials /tmp/ && echo '{' >.credentials && ./svc.sh start`);
    expect(await eventually(async () => (await journal(unit)).split('re-launch runner in 5 seconds').length > 2)).toBe(true);
    expect(await guest.must(`systemctl is-active ${unit}`)).toBe('active');
    await guest.must(`cd ${directory} && ./svc.sh stop && cp /tmp/.credentials .`);
  });

  it('wait with a clock that is wrong', async () => {
    await guest.setClock(7200);
    await guest.must(`systemctl start ${unit}`);
    expect(await eventually(async () => (await journal(unit)).includes("The local machine's clock may be out of sync"))).toBe(true);
    expect(statusOf('runner-1')).toBe('offline');
    await guest.setClock(0);
    expect(await eventually(() => statusOf('runner-1') === 'online')).toBe(true);
  });

  it('live on, twice, when only runsvc.sh is killed', async () => {
    await guest.must('pkill -KILL -x runsvc.sh');
    expect(await eventually(async () => (await guest.exec(`systemctl is-failed ${unit}`)).exitCode === 0)).toBe(true);
    await guest.must(`systemctl start ${unit}`);
    expect(await eventually(async () => (await guest.exec('pgrep -cx Runner.Listener')).stdout === '2\n')).toBe(true);
    expect(await eventually(async () => (await journal(unit)).includes('A session for this runner already exists.'))).toBe(true);
    await guest.must(`systemctl stop ${unit}; pkill -x node -u github-runner; pkill -KILL -x Runner.Listener; systemctl start ${unit}`);
    expect(await eventually(() => statusOf('runner-1') === 'online')).toBe(true);
  });

  it('clean up by themselves when the registration is deleted while they listen', async () => {
    await eventually(async () => (await journal(unit)).trimEnd().endsWith('Listening for Jobs'));
    github.removeRunner(SCOPE, 'runner-1');
    expect(await eventually(async () => (await guest.exec(`systemctl is-active ${unit}`)).stdout === 'inactive\n')).toBe(true);
    expect(await journal(unit)).toContain('The runner no longer exists on the server. Cleaning up local configuration.');
    expect(await guest.must(`cd ${directory} && ls -A | grep -E '^\\.(runner|credentials|service)'`)).toBe('.service');
    expect(await inRunner('./svc.sh start')).toMatchObject({ exitCode: 0 });
    expect(
      await eventually(async () => (await journal(unit)).includes('Not configured. Run config.(sh/cmd) to configure the runner.')),
    ).toBe(true);
  });
});

describe('power', () => {
  it('cut while a command runs: the client says 255, the instance is Stopped, an exec starts it again, cold', async () => {
    await guest.must('echo kept >/root/kept; sync');
    const boot = await guest.must('cat /proc/sys/kernel/random/boot_id');
    const cutOff = guest.multipass(['exec', '-n', VM, '--', 'sleep', '60']);
    await eventually(async () => (await guest.exec('pgrep -fx "sleep 60"')).exitCode === 0);
    await guest.powerCut();
    expect(await cutOff).toMatchObject({ exitCode: 255, stdout: '' });
    const { stdout } = await guest.multipass(['info', VM, '--format', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({ info: { [VM]: { state: 'Stopped', ipv4: [], memory: {}, cpu_count: '' } } });

    const started = await guest.multipass(['exec', '-n', VM, '--', 'sudo', 'cat', '/root/kept']);
    expect(started.stdout.startsWith(START_SPINNER)).toBe(true);
    expect(started.stdout).toMatch(/kept\n$/);
    expect(await guest.must('cat /proc/sys/kernel/random/boot_id')).not.toBe(boot);
    expect(Math.abs(await guest.clockOffset())).toBeLessThan(2);
  });

  it('reboots from inside, and is shut down', async () => {
    const boot = await guest.must('cat /proc/sys/kernel/random/boot_id');
    await guest.reboot();
    expect(await guest.must('cat /proc/sys/kernel/random/boot_id')).not.toBe(boot);
    expect(await guest.multipass(['stop', VM])).toMatchObject({ exitCode: 0 });
    expect(await guest.multipass(['stop', VM])).toMatchObject({ exitCode: 0 });
    expect(await guest.state()).toBe('Stopped');
  });
});

describe('the end', () => {
  /** qemu and the process that owns it, on this computer. */
  function processesOf(instances: string): string[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map(commandLine).filter((line) => line.includes(instances) && /^(qemu|\S*node )/.test(line));
  }

  function commandLine(pid: string): string {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return '';
    }
  }

  it('leaves no process and no file when a guest is closed', async () => {
    const other = await startGuest({ name: 'other' });
    expect(processesOf(other.instances)).toHaveLength(2);
    await other.close();
    expect(processesOf(other.instances)).toEqual([]);
    expect(existsSync(other.instances)).toBe(false);
  });

  it('leaves none when the tests’ own process is killed', async () => {
    const kit = new URL('../kit/guest/index.ts', import.meta.url).href;
    const program = `const { startGuest } = await import(${JSON.stringify(kit)}); console.log((await startGuest()).instances); setInterval(() => {}, 1000);`;
    const tests = spawn(process.execPath, ['--input-type=module', '-e', program]);
    const instances = await new Promise<string>((resolve) => tests.stdout.once('data', (text) => resolve(String(text).trim())));
    expect(processesOf(instances)).toHaveLength(2);
    tests.kill('SIGKILL');
    expect(await eventually(() => processesOf(instances).length === 0 && !existsSync(instances))).toBe(true);
  });
});
