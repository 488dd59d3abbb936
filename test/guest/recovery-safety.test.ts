// What a recovery of a real Linux must never do: act twice, act on a running job, act without a right, leave a secret, stop half-way.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  DIRECTORY,
  expectHealed,
  fingerprint,
  histories,
  offline,
  online,
  outcomeIn,
  recover,
  recovered,
  repairs,
  RUNNER,
  SCOPE,
  temporalCli,
  untilSo,
  world,
} from '../kit/guest-product.ts';
import { run, start } from '../kit/product.ts';

let guestProcesses: readonly string[] = [];

/** The registration takes so long after GitHub has made it, in seconds, that a test sees it running. */
const SEEN_S = 10;

describe('recovered in a real guest', () => {
  afterEach(expectHealed);

  test('a machine that was stopped', async () => {
    await world.guest.must('sync');
    await world.guest.stop();
    await offline();
    const report = await recovered();
    expect(report.steps[0]).toMatchObject({ name: 'time-sync', status: 'done', detail: expect.stringContaining('machine started') });
  });

  test('by hand through Temporal, under any id, by two at once and the command besides: one repair', async () => {
    const inGuest = await world.guest.sampleProcesses();
    await world.guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
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
    world.github.giveJob(SCOPE, RUNNER, { seconds: 20 });
    await world.guest.must('for try in $(seq 100); do pgrep -x Runner.Worker && exit 0; sleep 0.1; done; exit 1');
    world.github.showRunner(SCOPE, RUNNER, { status: 'offline', busy: false });
    const before = await fingerprint();
    const { exitCode, stdout } = await run(['recover', '--json'], world.environment);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('Runner.Worker') });
    world.github.showRunner(SCOPE, RUNNER, {});
    expect(await fingerprint()).toBe(before);
    expect(await world.guest.must('pgrep -cx Runner.Worker')).toBe('1');
    await world.guest.must('for try in $(seq 300); do pgrep -x Runner.Worker || exit 0; sleep 0.1; done; exit 1');
  });

  test('with a token that may not register: nothing is touched', async () => {
    await world.guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
    await offline();
    const before = await fingerprint();
    const weak = {
      ...world.environment,
      GH_TOKEN: world.github.addToken({ permissions: { administration: 'read' } }),
      RUNWARD_HOME: mkdtempSync(join(tmpdir(), 'runward-weak-')),
    };
    const other = start(['up'], weak);
    await other.says(/looks after 1 runner/);
    const { exitCode, stdout } = await run(['recover', '--json'], weak);
    other.kill('SIGTERM');
    expect((await other.ended).exitCode).toBe(0);
    rmSync(weak.RUNWARD_HOME, { recursive: true });
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      outcome: 'refused-watching',
      summary: expect.stringContaining('"Administration: read and write"'),
    });
    expect(await fingerprint()).toBe(before);
    await world.guest.must(`cd ${DIRECTORY} && ./svc.sh start`);
    await untilSo(online);
  });
});

test('no token is left in any history, log, process list or file of the guest', async () => {
  const secrets = [world.github.token, ...world.github.registrationTokens()];
  expect(secrets.length).toBeGreaterThan(3);

  const places: Record<string, string> = {
    'histories of Temporal': await histories(),
    "up's output": world.up.stdout + world.up.stderr,
    'process lists of the host': [...world.hostProcesses].join('\n'),
    'process lists of the guest': guestProcesses.join('\n'),
    'logs in the data folder': readdirSync(world.home)
      .filter((name) => name.endsWith('.log'))
      .map((name) => readFileSync(join(world.home, name), 'utf8'))
      .join('\n'),
  };
  for (const [place, text] of Object.entries(places)) {
    expect(
      secrets.filter((secret) => text.includes(secret)),
      place,
    ).toEqual([]);
  }
  expect(places['process lists of the guest']).toContain('configure --unattended');
  expect(places['process lists of the host']).toContain('multipass');
  expect(places['histories of Temporal']).toContain('config-cleanup');

  const found = await world.guest.must(
    `cat >/run/secrets-to-find
     journalctl --no-pager -o cat >/run/whole-journal
     grep --recursive --files-with-matches --fixed-strings --file=/run/secrets-to-find --exclude=secrets-to-find --devices=skip \
       /etc /home /opt /root /run /srv /tmp /usr/local /var 2>/dev/null || true
     rm /run/secrets-to-find /run/whole-journal`,
    { input: world.github.registrationTokens().join('\n') },
  );
  expect(found).toBe('');
});

test('a worker that is told to end in the middle of a step ends in order, and the step is finished by the next one', async () => {
  world.up.kill('SIGTERM');
  expect((await world.up.ended).exitCode).toBe(0);
  world.up = start(['up'], world.environment);
  await world.up.says(/looks after 1 runner/);
  await world.guest.must(`cd ${DIRECTORY} && ./svc.sh stop && echo CONFIGURE=${SEEN_S} >>/etc/runner-stand-in.env`);
  await offline();
  const following = run(['recover', '--json'], world.environment);
  await untilSo(async () => (await world.guest.exec('pgrep -f "[c]onfigure --unattended"')).exitCode === 0);
  world.up.kill('SIGTERM');
  expect((await world.up.ended).exitCode).toBe(0);
  await following;
  await world.guest.must(`sed -i '/^CONFIGURE=/d' /etc/runner-stand-in.env`);
  world.up = start(['up'], world.environment);
  await world.up.says(/looks after 1 runner/);
  const { exitCode, stderr } = await run(['recover', '--json', '--wait', '5m'], world.environment);
  expect(exitCode, stderr).toBe(0);
  await untilSo(online);
  expect(world.github.runners(SCOPE)).toHaveLength(1);
});
