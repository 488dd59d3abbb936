// What a look says of a real system, in trouble that only a real system has.

import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GuestObservation, RunnerTarget } from '../../src/domain/runner.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { type SandboxGitHub, startGitHub } from '../../src/sandbox/github/server.ts';
import { type Guest, startGuest } from '../kit/guest/index.ts';
import { CALL, SCOPE, targetIn, transportTo } from './shell-machine.ts';

const DIRECTORY = '/opt/actions-runner';

let github: SandboxGitHub;
let guest: Guest;
let machine: ShellMachine;
let target: RunnerTarget;
let unit: string;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  guest = await startGuest({ github });
  ({ unit } = await guest.installRunner({ scope: SCOPE, name: 'builder', directory: DIRECTORY, times: { RELAUNCH: 0.2 } }));
  machine = new ShellMachine(transportTo(guest));
  target = targetIn(guest, 'builder', DIRECTORY);
});
afterAll(async () => {
  await guest.close();
  await github.close();
});

async function look(at = target, by = machine): Promise<GuestObservation> {
  const seen = await by.observe(at, CALL);
  if (!seen.guest.known) throw new Error(seen.guest.why);
  expect(JSON.stringify(seen).length).toBeLessThan(1_024);
  return seen.guest.value;
}

/** Ends once the service's journal, since its start, says this so many times. */
const said = (words: string, times = 1): Promise<string> =>
  guest.must(`for try in $(seq 150); do
      said=$(journalctl -q -o cat "_SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value ${unit})" | grep -c -- '${words}')
      if [ "$said" -ge ${times} ]; then exit 0; fi
      sleep 0.2
    done
    exit 1`);
const stopService = (): Promise<string> => guest.must(`systemctl stop ${unit}`);
const startService = async (): Promise<void> => {
  await guest.must(`systemctl reset-failed ${unit}; systemctl start ${unit}`);
  await said('Listening for Jobs');
};

it('a healthy runner has nothing to tell, and numbers that df and du give', async () => {
  await guest.must(`cd ${DIRECTORY}/_work && mkdir -p repo .hidden _actions/o/a/v1 _actions/o/b/v2 _actions/o/b/v3 && touch _actions/o/a/v1.completed _actions/o/b/v3.completed _actions/o/b/gone.completed
    head -c 300000 /dev/zero >repo/file; head -c 200000 /dev/zero >_actions/o/a/v1/file`);
  const seen = await look();
  const [disk = '', inodes = '', free = ''] = (
    await guest.must(
      `cd ${DIRECTORY}; df --output=pcent . | tail -n 1; df --output=ipcent . | tail -n 1; df -B 1 --output=avail . | tail -n 1`,
    )
  ).split('\n');
  expect(seen).toMatchObject({
    service: { unit, state: 'active' },
    log: { exitCode: null, relaunches: 0, signs: [] },
    timeSync: { service: 'timesyncd', isActive: true },
    drain: null,
    workers: 0,
    listeners: 1,
    installedVersion: '2.336.0',
    packageVersion: '2.336.0',
    architecture: 'x86_64',
    missingProgram: null,
    disk: { usedPercent: Number.parseInt(disk), inodesUsedPercent: Number.parseInt(inodes) },
    work: { bytes: Number(await guest.must(`du -s -B 1 ${DIRECTORY}/_work | cut -f 1`)), entries: 3 },
    cache: { bytes: Number(await guest.must(`du -s -B 1 ${DIRECTORY}/_work/_actions | cut -f 1`)), entries: 3, damaged: 2 },
  });
  expect(Math.abs(seen.disk.freeBytes - Number(free))).toBeLessThan(1_000_000);
  expect(seen.uptimeMs).toBeGreaterThan(seen.log.startedAgoMs ?? Number.NaN);
  expect(Math.abs(seen.uptimeMs - Number(await guest.must('cut -d " " -f 1 /proc/uptime')) * 1_000)).toBeLessThan(10_000);
});

it('writes nothing, and leaves no process', async () => {
  await look(); // the driver makes its folders once
  const state = `find / -xdev -newer /run/before -not -path '/var/log/journal/*' -not -path '${DIRECTORY}/_diag*' 2>/dev/null; ls -A /run/runward /var/lib/runward; pgrep -c -f runward; true`;
  await guest.must('touch /run/before');
  const before = await guest.must(state);
  await look();
  expect(await guest.must(state)).toBe(before);
});

it('a work folder too large to count in time is unknown, and the cache in it is not', async () => {
  await guest.must(
    `cd ${DIRECTORY}/_work && mkdir many && cd many && for folder in $(seq 60); do mkdir $folder && (cd $folder && seq 500 | xargs touch); done`,
  );
  const { work, cache } = await look(target, new ShellMachine(transportTo(guest), { cacheSeconds: 0.05 }));
  expect(work).toBeNull();
  expect(cache).toMatchObject({ entries: 3 });
  await guest.must(`rm -r ${DIRECTORY}/_work/many`);
});

it('names the service that keeps the clock, and whether it runs', async () => {
  await guest.must('systemctl stop systemd-timesyncd');
  expect((await look()).timeSync).toEqual({ service: 'timesyncd', isActive: false });
  await guest.must(`printf '[Unit]\\nDescription=stand-in\\n[Service]\\nExecStart=/bin/sleep infinity\\n' >/run/systemd/system/chrony.service
    systemctl daemon-reload && systemctl start chrony`);
  expect((await look()).timeSync).toEqual({ service: 'chrony', isActive: true });
  await guest.must(
    `systemctl stop chrony && rm /run/systemd/system/chrony.service && systemctl daemon-reload && systemctl start systemd-timesyncd`,
  );
  expect((await look()).timeSync).toEqual({ service: 'timesyncd', isActive: true });
});

it('a drain is what root has noted where nobody else can write', async () => {
  const folder = `/var/lib/runward/runner.${DIRECTORY.replaceAll('/', '%2F')}`;
  const mark = (at: string): string => `printf '1764021600\\nperson\\nthe office moves\\n' >${at}`;
  await guest.must(`cd ${DIRECTORY} && ${mark('drained')} && ${mark('.runward-drained')} && chown github-runner: drained .runward-drained`);
  expect((await look()).drain).toBeNull();
  // Nor a file of root's there, which a user may have moved from elsewhere.
  await guest.must(`chown root ${DIRECTORY}/drained ${DIRECTORY}/.runward-drained`);
  expect((await look()).drain).toBeNull();
  await guest.must(`mkdir -p -m 700 '${folder}' && ${mark(`'${folder}/drained'`)}`);
  expect((await look()).drain).toEqual({ since: 1_764_021_600_000, by: 'person', reason: 'the office moves' });
  await guest.must(`rm '${folder}/drained' ${DIRECTORY}/drained ${DIRECTORY}/.runward-drained`);
});

it("what a job writes to syslog is not the runner's word", async () => {
  await guest.must(`cgroup=/sys/fs/cgroup$(systemctl show -p ControlGroup --value ${unit})
    bash -c 'echo $$ >'"$cgroup"'/cgroup.procs; logger "The runner no longer exists on the server"'
    journalctl --sync && journalctl -q -n 50 -o cat -u ${unit} | grep -q 'no longer exists'`);
  expect((await look()).log.signs).toEqual([]);
});

it('a service whose listener ends again and again is seen to loop', async () => {
  await stopService();
  await guest.must(`cd ${DIRECTORY} && cp -p .credentials_rsaparams /root/key && : >.credentials_rsaparams && systemctl start ${unit}`);
  await said('re-launch runner in 5 seconds', 3);
  const { service, log } = await look();
  expect(service.state).toBe('active');
  expect(log).toMatchObject({ exitCode: 2, signs: [] });
  expect(log.relaunches).toBeGreaterThanOrEqual(3);
  await stopService();
  await guest.must(`cp -p /root/key ${DIRECTORY}/.credentials_rsaparams`);
});

it('what was before the current start is over', async () => {
  await startService();
  expect((await look()).log).toMatchObject({ exitCode: null, relaunches: 0, signs: [] });
});

it('a program that is gone is named by the journal and by the files', async () => {
  await stopService();
  await guest.must(
    `cd ${DIRECTORY} && mv runsvc.sh away && { systemctl start ${unit} || true; } && until systemctl -q is-failed ${unit}; do sleep 0.1; done`,
  );
  expect(await look()).toMatchObject({ service: { state: 'failed' }, log: { signs: [{ code: 'program-missing' }] } });
  await guest.must(`cd ${DIRECTORY} && mv away runsvc.sh`);
  await startService();
});

it('a registration that was deleted is told while the service stands still', async () => {
  await stopService();
  github.removeRunner(SCOPE, 'builder');
  await guest.must(`systemctl start ${unit}`);
  await said('stop the service');
  await guest.must(`until [ "$(systemctl is-active ${unit})" = inactive ]; do sleep 0.1; done`);
  const { service, log, listeners } = await look();
  expect(service.state).toBe('inactive');
  expect(listeners).toBe(0);
  expect(log).toMatchObject({ startedAgoMs: expect.any(Number), exitCode: 1, signs: [{ code: 'registration-deleted' }] });
});

it('a directory that is not there says what the machine says', async () => {
  const seen = await look({ ...target, directory: '/opt/nowhere' });
  expect(seen).toMatchObject({ service: { unit: null, state: 'missing' }, registration: null, work: null, cache: null });
  expect(seen.disk.freeBytes).toBeGreaterThan(0);
});
