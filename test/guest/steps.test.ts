// The steps on runners that are broken in ways which only a real system shows.

import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GuestObservation, RunnerTarget } from '../../src/domain/runner.ts';
import { type Act, MachineError } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { type SandboxGitHub, startGitHub } from '../../src/sandbox/github/server.ts';
import { type Guest, startGuest } from '../kit/guest/index.ts';
import { CALL, registrationToken, SCOPE, targetIn, transportTo } from './shell-machine.ts';
import { pausing } from '../kit/paused.ts';

const DIRECTORY = '/opt/actions-runner';
const UNFORCED = { force: false };

let github: SandboxGitHub;
let guest: Guest;
let machine: ShellMachine;
let target: RunnerTarget;
let unit: string;
let fence: number;
let acts = 0;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE], pollMs: 20_000, offlineAfterMs: 2_000 });
  guest = await startGuest({ github });
  ({ unit } = await guest.installRunner({ scope: SCOPE, name: 'builder', directory: DIRECTORY }));
  machine = new ShellMachine(transportTo(guest), { settleSeconds: 2, ntpSeconds: 4 });
  target = targetIn(guest, 'builder', DIRECTORY);
  const taken = await machine.takeFence(target, 'steps', { isRecovery: true }, CALL);
  fence = taken.kind === 'taken' ? taken.fence : 0;
});
afterAll(async () => {
  await guest.close();
  await github.close();
});

const anAct = (): Act => ({ key: `steps:${(acts += 1)}`, fence, deadlineMs: 120_000 });
const start = () => machine.startService(target, anAct(), CALL);
const setAside = (of = target) => pausing(machine).setConfigurationAside(of, anAct(), UNFORCED, CALL);
const listener = () => guest.must('pgrep -x Runner.Listener');

async function look(): Promise<GuestObservation> {
  const seen = await machine.observe(target, CALL);
  if (!seen.guest.known) throw new Error(seen.guest.why);
  return seen.guest.value;
}

async function failureOf(call: Promise<unknown>): Promise<MachineError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof MachineError)) throw new Error(`expected a MachineError, got ${String(error)}`);
  return error;
}

it('a service whose main program was killed is started with one listener, not two', async () => {
  const before = await listener();
  await guest.must(`systemctl kill --kill-whom=main --signal=KILL ${unit}
    for try in $(seq 50); do systemctl -q is-failed ${unit} && exit 0; sleep 0.1; done; exit 1`);
  expect(await look()).toMatchObject({ service: { state: 'failed' }, listeners: 0, strays: { listeners: 1, workers: 0 } });
  expect(await start()).toMatchObject({ kind: 'not-paused', evidence: expect.stringContaining(`outside of ${unit}`) });
  expect(await listener()).toBe(before);
  expect(await pausing(machine).restartService(target, anAct(), UNFORCED, CALL)).toEqual({ kind: 'started', unit });
  expect(await look()).toMatchObject({ service: { state: 'active' }, listeners: 1 });
  expect(await listener()).not.toBe(before);
});

it('a service that systemd starts no more, since it was started too often, is started', async () => {
  // systemd counts five starts in ten seconds from the first of a row, which an earlier test may have begun.
  await guest.must(`for try in $(seq 12); do
      systemctl kill --signal=KILL ${unit}
      until systemctl -q is-failed ${unit}; do sleep 0.1; done
      systemctl start ${unit} || exit 0
    done
    exit 1`);
  expect(await guest.must(`journalctl -o cat -n 20 -u ${unit}`)).toContain('Start request repeated too quickly');
  expect(await start()).toEqual({ kind: 'started', unit });
});

it('a service is stopped only once it can hear that it is to stop', async () => {
  // Until its program has started, a stop would last for systemd's five minutes.
  const invocation =
    await guest.must(`sed -i '/^SERVICE_START=/d' /etc/runner-stand-in.env && echo SERVICE_START=6 >>/etc/runner-stand-in.env
    systemctl restart ${unit} && systemctl show --value -p InvocationID ${unit}`);
  expect(await pausing(machine).restartService(target, anAct(), UNFORCED, CALL)).toEqual({ kind: 'started', unit });
  expect(await guest.must(`journalctl -o cat _SYSTEMD_INVOCATION_ID=${invocation} + INVOCATION_ID=${invocation}`)).toMatch(
    /Started running service[^]*Deactivated successfully/,
  );
  await guest.must(`sed -i 's/^SERVICE_START=.*/SERVICE_START=0.1/' /etc/runner-stand-in.env`);
});

it('a copied directory does not lend its .service to a stranger', async () => {
  await guest.must(`cp -a ${DIRECTORY} /opt/copy`);
  const before = await listener();
  const error = await failureOf(setAside(targetIn(guest, 'builder', '/opt/copy')));
  expect(error.kind).toBe('act-failed');
  expect(error.evidence).toContain(`${unit} works in ${DIRECTORY} and not in /opt/copy`);
  expect(await listener()).toBe(before);
  await guest.must('test -f /opt/copy/.runner && rm -r /opt/copy');
});

it('a unit without .service is found by the name that GitHub gives it, and stopped and disabled when its configuration is set aside', async () => {
  await guest.must(`rm ${DIRECTORY}/.service ${DIRECTORY}/svc.sh`);
  expect((await look()).service).toEqual({ unit, state: 'active' });
  expect((await setAside()).kind).toBe('set-aside');
  expect((await look()).service).toEqual({ unit, state: 'inactive' });
  await guest.must(`! systemctl -q is-enabled ${unit} && ! pgrep -x Runner.Listener`);
});

it('configuring says what the user cannot write and whose it is not, and takes nothing from its owner', async () => {
  await guest.must(`cd ${DIRECTORY} && mkdir -p _work && chown root: _work`);
  const refused = await machine.configure(target, anAct(), await registrationToken(github), CALL);
  expect(refused).toMatchObject({ kind: 'refused-unfit', evidence: expect.stringContaining(`${DIRECTORY}/_work`) });
  expect(refused).toMatchObject({ evidence: expect.stringContaining(`chown -R github-runner: ${DIRECTORY}`) });
  expect(await guest.must(`cd ${DIRECTORY} && stat -c %U _work && chown github-runner: _work`)).toBe('root');
});

it('configuring keeps the PATH of jobs, and files that somebody else left become the user’s own copies', async () => {
  await guest.must(`cd ${DIRECTORY} && mkdir -p _work/deep && touch _work/deep/file && echo /opt/tools/bin:/usr/bin:/bin >.path
    chown root: .env .path _diag _work/deep/file && chmod 644 .env .path`);
  expect((await machine.configure(target, anAct(), await registrationToken(github), CALL)).kind).toBe('configured');
  expect(
    await guest.must(`cd ${DIRECTORY} && cat .path && stat -c %U .env .path _diag .runner .credentials _work/deep/file | tr '\\n' ' '`),
  ).toBe(`/opt/tools/bin:/usr/bin:/bin\n${'github-runner '.repeat(5)}root`);
});

it('a .service without its unit is installed anew', async () => {
  await guest.must(`rm /etc/systemd/system/${unit} && systemctl daemon-reload && echo ${unit} >${DIRECTORY}/.service`);
  expect(await start()).toEqual({ kind: 'started', unit });
  expect(await guest.must(`systemctl is-enabled ${unit} && systemctl show --value -p User ${unit}`)).toBe('enabled\ngithub-runner');
});

it('a listener that gives up at once is not taken for a started service', async () => {
  await guest.must(`systemctl stop ${unit} && mv ${DIRECTORY}/.runner /root/`);
  const answer = await start();
  expect(answer).toMatchObject({ kind: 'not-started', unit, state: 'inactive' });
  expect(answer.kind === 'not-started' && answer.evidence).toContain('Not configured');
  await guest.must(`mv /root/.runner ${DIRECTORY}/`);
});

it('a job that goes on when its service is stopped by force is ended', async () => {
  await guest.must(`echo JOB_IGNORES_CANCEL=yes >>/etc/runner-stand-in.env`);
  expect((await start()).kind).toBe('started');
  github.giveJob(SCOPE, 'builder', { seconds: 900 });
  await guest.must('for try in $(seq 150); do pgrep -x Runner.Worker && exit 0; sleep 0.2; done; exit 1');
  expect((await pausing(machine).restartService(target, anAct(), { force: true }, CALL)).kind).toBe('started');
  expect(await guest.must('pgrep -c -x Runner.Worker || true')).toBe('0');
});

it("without a time server the guest gets the host's time", async () => {
  await guest.ntp.stop();
  await guest.setClock(7_200);
  const synced = await pausing(machine).syncClock(target, anAct(), { force: false }, CALL);
  expect(synced).toMatchObject({ kind: 'synced', source: 'host' });
  expect(Math.abs(await guest.clockOffset())).toBeLessThan(10);
});
