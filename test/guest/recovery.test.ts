// The whole product against a real Linux with a real systemd: `runward up`, `runward recover`, and a guest behind Multipass's command line.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RecoveryReport } from '../../src/domain/report.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { startGuest, type Guest } from '../kit/guest/index.ts';
import { run, start, type Started } from '../kit/product.ts';

const SCOPE = 'acme/kernel';
const RUNNER = 'assay-bpf-runner';
const DIRECTORY = '/opt/actions-runner';

const home = mkdtempSync(join(tmpdir(), 'runward-guest-'));
const hostProcesses = new Set<string>();
let guestProcesses: readonly string[] = [];
let github: SandboxGitHub;
let guest: Guest;
let up: Started;
let environment: Record<string, string>;
let temporal: { readonly address: string; readonly pid: number };
let unit: string;
let watching: ReturnType<typeof setInterval>;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  guest = await startGuest({ github });
  ({ unit } = await guest.installRunner({ scope: SCOPE, name: RUNNER, labels: ['bpf-lsm'] }));
  environment = { ...guest.env, REPO: SCOPE, GH_TOKEN: github.token, RUNWARD_HOME: home, RUNNER_LABELS: 'bpf-lsm' };
  up = start(['up'], environment);
  await up.says(/looks after 1 runner/);
  temporal = JSON.parse(readFileSync(join(home, 'server.json'), 'utf8'));
  watching = setInterval(watchHost, 50);
});

afterAll(async () => {
  clearInterval(watching);
  up.kill('SIGTERM');
  const { exitCode, stderr } = await up.ended;
  await guest.close();
  await github.close();
  rmSync(home, { recursive: true });
  expect(exitCode, stderr).toBe(0);
});

describe('recovered in a real guest', () => {
  afterEach(async () => {
    expect(await online()).toBe(true);
    expect(await guest.must(`systemctl is-active ${unit}`)).toBe('active');
    expect(await guest.must(`pgrep -cx Runner.Listener`)).toBe('1');
    expect(await leftovers()).toBe('');
  });

  test('a service that was stopped; a second recovery right after does nothing', async () => {
    await guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
    await offline();
    await recovered();
    const before = await fingerprint();
    const again = await recover();
    expect(again).toMatchObject({ outcome: 'already-healthy' });
    expect(again.steps.every(({ status }) => status === 'skipped')).toBe(true);
    expect(await fingerprint()).toBe(before);
  });

  test('a service that was killed, whose listener lives on', async () => {
    await guest.must(`systemctl kill --kill-who=main --signal=KILL ${unit} && sleep 1; systemctl is-failed ${unit}`);
    await recovered();
  });

  test('a registration that was deleted on GitHub', async () => {
    github.removeRunner(SCOPE, RUNNER);
    await offline();
    await guest.must(`for try in $(seq 50); do systemctl is-active -q ${unit} || exit 0; sleep 0.2; done; exit 1`);
    await recovered();
  });

  test('credentials that were damaged', async () => {
    await guest.must(`cd ${DIRECTORY} && echo '{"scheme":"OAuth"' >.credentials && systemctl restart ${unit}`);
    await offline();
    await recovered();
  });

  test('a clock two hours off', async () => {
    await guest.setClock(7_200);
    await guest.must(`systemctl restart ${unit}`);
    await offline();
    const report = await recovered();
    expect(report.steps[0]).toMatchObject({
      name: 'time-sync',
      status: 'done',
      detail: expect.stringMatching(/clock was 2 h 0 min ahead, now right/),
    });
    expect(Math.abs(await guest.clockOffset())).toBeLessThan(5);
  });

  test('a machine that was stopped', async () => {
    await guest.must('sync');
    await guest.stop();
    await offline();
    const report = await recovered();
    expect(report.steps[0]).toMatchObject({ name: 'time-sync', status: 'done', detail: expect.stringContaining('machine started') });
  });

  test('by hand through Temporal, under any id, by two at once and the command besides: one repair', async () => {
    const inGuest = await guest.sampleProcesses();
    await guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
    await offline();
    const registrations = repairs();
    const typed = JSON.stringify({ runner: RUNNER, wait: '5m' });
    const byHand = (id: string) =>
      temporalCli(
        'workflow',
        'execute',
        '--task-queue',
        'runward',
        '--type',
        'recoverRunner',
        '--workflow-id',
        id,
        '--input',
        typed,
        '--output',
        'json',
      );
    const [first, second, third] = await Promise.all([byHand(`a-${Math.random()}`), byHand(`b ${Math.random()}`), recover()]);
    const outcomes = [outcomeIn(first), outcomeIn(second), third.outcome].toSorted();
    expect(outcomes).toEqual(['already-healthy', 'already-healthy', 'recovered']);
    expect(repairs() - registrations).toBe(1);
    guestProcesses = await inGuest.stop();
  });
});

describe('refused', () => {
  test('while a job runs, whatever GitHub shows', async () => {
    github.giveJob(SCOPE, RUNNER, { seconds: 20 });
    await guest.must('for try in $(seq 100); do pgrep -x Runner.Worker && exit 0; sleep 0.1; done; exit 1');
    github.showRunner(SCOPE, RUNNER, { status: 'offline', busy: false });
    const before = await fingerprint();
    const { exitCode, stdout } = await run(['recover', '--json'], environment);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('Runner.Worker') });
    github.showRunner(SCOPE, RUNNER, {});
    expect(await fingerprint()).toBe(before);
    expect(await guest.must('pgrep -cx Runner.Worker')).toBe('1');
    await guest.must('for try in $(seq 300); do pgrep -x Runner.Worker || exit 0; sleep 0.1; done; exit 1');
  });

  test('with a token that may not register: nothing is touched', async () => {
    await guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
    await offline();
    const before = await fingerprint();
    const weak = {
      ...environment,
      GH_TOKEN: github.addToken({ permissions: { administration: 'read' } }),
      RUNWARD_HOME: mkdtempSync(join(tmpdir(), 'runward-weak-')),
    };
    const other = start(['up'], weak);
    await other.says(/looks after 1 runner/);
    const { exitCode, stdout } = await run(['recover', '--json'], weak);
    other.kill('SIGTERM');
    expect((await other.ended).exitCode).toBe(0);
    rmSync(weak.RUNWARD_HOME, { recursive: true });
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('administration=write') });
    expect(await fingerprint()).toBe(before);
    await guest.must(`cd ${DIRECTORY} && ./svc.sh start`);
    await untilSo(online);
  });
});

test('no token is left in any history, log, process list or file of the guest', async () => {
  const secrets = [github.token, ...github.registrationTokens()];
  expect(secrets.length).toBeGreaterThan(5);

  const places: Record<string, string> = {
    'histories of Temporal': await histories(),
    "up's output": up.stdout + up.stderr,
    'process lists of the host': [...hostProcesses].join('\n'),
    'process lists of the guest': guestProcesses.join('\n'),
    'logs in the data folder': readdirSync(home)
      .filter((name) => name.endsWith('.log'))
      .map((name) => readFileSync(join(home, name), 'utf8'))
      .join('\n'),
  };
  for (const [place, text] of Object.entries(places)) {
    expect(
      secrets.filter((secret) => text.includes(secret)),
      place,
    ).toEqual([]);
  }
  expect(places['process lists of the guest']).toContain('config.sh');
  expect(places['process lists of the host']).toContain('multipass');
  expect(places['histories of Temporal']).toContain('config-cleanup');

  const found = await guest.must(
    `cat >/run/secrets-to-find
     journalctl --no-pager -o cat >/run/whole-journal
     grep --recursive --files-with-matches --fixed-strings --file=/run/secrets-to-find --exclude=secrets-to-find --devices=skip \
       /etc /home /opt /root /run /srv /tmp /usr/local /var 2>/dev/null || true
     rm /run/secrets-to-find /run/whole-journal`,
    { input: github.registrationTokens().join('\n') },
  );
  expect(found).toBe('');
});

test('a worker that is told to end in the middle of a step ends in order, and the step is finished by the next one', async () => {
  const address = { ...environment, TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default' };
  up.kill('SIGTERM');
  expect((await up.ended).exitCode).toBe(0);
  up = start(['up'], environment);
  await up.says(/looks after 1 runner/);
  await guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
  await offline();
  const following = run(['recover', '--json'], environment);
  await untilSo(async () => (await guest.exec('pgrep -f "[c]onfig.sh --unattended"')).exitCode === 0);
  up.kill('SIGTERM');
  expect((await up.ended).exitCode).toBe(0);
  await following;
  up = start(['up'], environment);
  await up.says(/looks after 1 runner/);
  const { exitCode, stderr } = await run(['recover', '--json', '--wait', '5m'], environment);
  expect(exitCode, stderr).toBe(0);
  await untilSo(online);
  expect(github.runners(SCOPE)).toHaveLength(1);
  expect(address['TEMPORAL_ADDRESS']).toMatch(/^127\.0\.0\.1:/);
});

async function recover(): Promise<RecoveryReport> {
  const { exitCode, stdout, stderr } = await run(['recover', '--json', '--wait', '5m'], environment);
  expect(stdout, `${exitCode}: ${stderr}`).not.toBe('');
  return JSON.parse(stdout) as RecoveryReport;
}

async function recovered(): Promise<RecoveryReport> {
  const report = await recover();
  expect(report.outcome, JSON.stringify(report, null, 2)).toBe('recovered');
  expect(report.steps.slice(1).map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done', 'done']);
  return report;
}

async function online(): Promise<boolean> {
  return github.runners(SCOPE).some(({ name, status }) => name === RUNNER && status === 'online');
}

async function offline(): Promise<void> {
  await untilSo(async () => !(await online()));
}

async function untilSo(isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await isSo()); await sleep(100)) {
    if (Date.now() > deadline) {
      throw new Error('waited in vain');
    }
  }
}

/** What a refused recovery must not change: files of the runner, its unit, its processes. */
function fingerprint(): Promise<string> {
  return guest.must(
    `cd ${DIRECTORY}; sha256sum .runner .credentials .service /etc/systemd/system/${unit}; stat -c '%n %i %Y' .runner .credentials; systemctl show -p ActiveState,MainPID ${unit}; pgrep -x Runner.Listener; true`,
  );
}

/** Nothing of a recovery may stay: files set aside, secrets, running acts. */
function leftovers(): Promise<string> {
  return guest.must(
    `find ${DIRECTORY}/.runward-aside /run/runward/act.* -type f 2>/dev/null; systemctl list-units --no-legend 'runward-act*'; true`,
  );
}

function repairs(): number {
  return github.requests.filter(({ path }) => path.endsWith('/_service/runners')).length;
}

async function temporalCli(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.env['RUNWARD_TEMPORAL_CLI'] ?? 'temporal', [...args, '--address', temporal.address]);
  return stdout;
}

function outcomeIn(output: string): string {
  return (JSON.parse(output) as { result: RecoveryReport }).result.outcome;
}

/** Every history of the namespace, as text with payloads decoded. */
async function histories(): Promise<string> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const client = new Client({ connection });
    const texts: string[] = [];
    for await (const { workflowId, runId } of client.workflow.list()) {
      const json = historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory()) as string;
      texts.push(json, ...[...json.matchAll(/"data":\s*"([^"]+)"/g)].map(([, data]) => Buffer.from(data as string, 'base64').toString()));
    }
    return texts.join('\n');
  } finally {
    await connection.close();
  }
}

/** Command lines of this computer's processes; `/proc` tells them on Linux. */
function watchHost(): void {
  for (const pid of readdirSync('/proc')) {
    if (/^\d+$/.test(pid)) {
      try {
        hostProcesses.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended meanwhile.
      }
    }
  }
}
