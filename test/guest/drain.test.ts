// Draining a runner of a real Linux with a real systemd: no new jobs, none cut, and none lost on the way.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuestObservation, RunnerTarget } from '../../src/domain/runner.ts';
import type { Act } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { type SandboxGitHub, startGitHub } from '../../src/sandbox/github/server.ts';
import { type Guest, startGuest } from '../kit/guest/index.ts';
import { CALL, SCOPE, targetIn, transportTo } from './shell-machine.ts';

const DIRECTORY = '/opt/actions-runner';
const RUNNER = 'builder';
const IMPATIENT = new URL('../kit/guest/runner/impatient-listener.pl', import.meta.url);
/** No poll ends by itself. */
const POLL_MS = 600_000;
/** Prints the connections of the guest that hold what nobody has read. */
const UNREAD = `ss -Htn | awk '$2 > 0'`;

let github: SandboxGitHub;
let guest: Guest;
let machine: ShellMachine;
/** The same, whose pauses last a second. */
let brief: ShellMachine;
let target: RunnerTarget;
let unit: string;
let fence: number;
let acts = 0;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE], pollMs: POLL_MS, offlineAfterMs: 5_000 });
  guest = await startGuest({ github });
  ({ unit } = await guest.installRunner({ scope: SCOPE, name: RUNNER, directory: DIRECTORY }));
  machine = new ShellMachine(transportTo(guest), { settleSeconds: 1 });
  brief = new ShellMachine(transportTo(guest), { pauseSeconds: 1 });
  target = targetIn(guest, RUNNER, DIRECTORY);
  await takeFence();
});
afterAll(async () => {
  await guest.close();
  await github.close();
});

async function takeFence(): Promise<void> {
  const taken = await machine.takeFence(target, 'drain', { isRecovery: true }, CALL);
  fence = taken.kind === 'taken' ? taken.fence : 0;
}

const anAct = (): Act => ({ key: `drain:${(acts += 1)}`, fence, deadlineMs: 120_000 });
const mark = () => machine.markDrained(target, anAct(), { by: 'person', reason: 'the disk is to be changed (ä)' }, CALL);
const unmark = () => machine.unmarkDrained(target, { ...anAct(), drainSeen: 'person' }, CALL);
const pause = () => machine.pause(target, anAct(), { purpose: 'drain' }, CALL);
const stop = (unread = '') => machine.stopService(target, anAct(), { pause: { unread }, force: false }, CALL);
const letGo = () => machine.letGo(target, anAct(), 'drain', CALL);
/** Units that watch over pauses. */
const watches = () =>
  guest.must(`systemctl list-units --plain --no-legend 'runward-pause-*' | cut -d' ' -f1; ls /run/runward | grep pause; true`);
const start = () => machine.startService(target, anAct(), CALL);
const pauseAfterJob = () => machine.pauseAfterJob(target, anAct(), CALL);
const isEnabled = () => guest.must(`systemctl is-enabled ${unit} || true`);
const giveJob = (seconds: number) => github.giveJob(SCOPE, RUNNER, { seconds });

async function look(): Promise<GuestObservation> {
  const seen = await machine.observe(target, CALL);
  if (!seen.guest.known) throw new Error(seen.guest.why);
  return seen.guest.value;
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await isSo()); await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
  }
}

/** The runner's stand-in tells of a job's end once its poll has ended. */
const succeeds = (job: number) =>
  until(() => {
    github.endPolls(SCOPE, RUNNER);
    return github.job(job).result === 'Succeeded';
  }, 'the job has succeeded');

/** GitHub calls it idle, and would give it a job at once. */
async function listens(): Promise<void> {
  await until(() => !github.runners(SCOPE)[0]!.busy, 'GitHub calls it idle');
  await until(() => github.isPolling(SCOPE, RUNNER), 'its long poll is open');
}

it('a job that runs is not touched, and the mark is there while it does', async () => {
  const job = giveJob(600);
  await until(async () => (await guest.exec('pgrep -x Runner.Worker')).exitCode === 0, 'the job runs');
  expect(await mark()).toEqual({ kind: 'marked' });
  expect(await pause()).toEqual({ kind: 'refused-busy', evidence: expect.stringContaining('Runner.Worker') });
  const { drain, service } = await look();
  expect(drain?.reason).toBe('the disk is to be changed (ä)');
  expect(Math.abs((drain?.since ?? 0) - Date.now())).toBeLessThan(60_000);
  expect(service.state).toBe('active');
  expect(await isEnabled()).toBe('disabled');
  expect(await guest.must(`stat -c '%U %a %F' '/var/lib/runward/runner.${DIRECTORY.replaceAll('/', '%2F')}/drained'`)).toBe(
    'root 600 regular file',
  );
  await guest.must('pkill -USR1 -x Runner.Worker');
  await succeeds(job);
});

it('a job that arrives between the second idle check and the stop ends well', async () => {
  await listens();
  const paused = await pause();
  expect(paused).toMatchObject({ kind: 'paused' });
  const job = giveJob(1);
  await until(() => github.runners(SCOPE)[0]!.busy, 'GitHub has given the job');
  expect(await look()).toMatchObject({ workers: 0, listeners: 1 });
  expect(await stop('unread' in paused ? paused.unread : '')).toEqual({ kind: 'heard', unread: expect.stringMatching(/:/) });
  expect(await letGo()).toEqual({ kind: 'let-go' });
  await succeeds(job);
  expect(await look()).toMatchObject({ service: { state: 'active' }, listeners: 1 });
});

it('a paused runner that nobody comes back to is let go by its guest in time, takes its job, and is not stopped then', async () => {
  await listens();
  expect(await brief.pause(target, anAct(), { purpose: 'drain' }, CALL)).toMatchObject({ kind: 'paused' });
  await succeeds(giveJob(1));
  await until(async () => (await watches()) === '', 'nothing watches over it any more');
  expect((await stop()).kind).toBe('not-paused');
});

it('a paused runner is let go at once when what watches over it is killed', async () => {
  await listens();
  expect(await pause()).toMatchObject({ kind: 'paused' });
  const [unit = '', folder = '', ...others] = (await watches()).split('\n');
  expect([unit.replace('.service', ''), others]).toEqual([folder, []]);
  expect(await guest.must(`systemctl show --value -p RuntimeMaxUSec ${unit}`)).toBe('2min 5s');
  await guest.must(`systemctl kill --signal=KILL ${unit}`);
  await succeeds(giveJob(1));
  expect((await stop()).kind).toBe('not-paused');
  expect(await watches()).toBe('');
});

it('a pause goes over into the next one, and no job can begin between', async () => {
  await listens();
  expect(await pause()).toMatchObject({ kind: 'paused' });
  const first = await watches();
  const job = giveJob(1);
  await until(async () => (await guest.must(UNREAD)) !== '', 'the job has come into the guest');
  const paused = await pause();
  expect(paused).toMatchObject({ kind: 'paused', unread: expect.stringMatching(/:/) });
  const second = await watches();
  expect(second).not.toBe(first);
  expect(second.split('\n')).toHaveLength(2);
  expect(await look()).toMatchObject({ workers: 0, listeners: 1 });
  expect(await letGo()).toEqual({ kind: 'let-go' });
  await succeeds(job);
});

it('an idle runner is drained: its session is over, and nothing of it runs', async () => {
  await listens();
  const paused = await pause();
  expect(paused).toMatchObject({ kind: 'paused' });
  // A poll that ends meanwhile is no job, as GitHub says once more; nothing can follow it.
  github.endPolls(SCOPE, RUNNER);
  await until(async () => (await guest.must(UNREAD)) !== '', "the poll's end has come into the guest");
  expect(github.runners(SCOPE)[0]!.busy).toBe(false);
  const heard = await stop('unread' in paused ? paused.unread : '');
  expect(heard).toEqual({ kind: 'heard', unread: expect.stringMatching(/:/) });
  expect(await stop('unread' in heard ? heard.unread : '')).toEqual({ kind: 'stopped' });
  expect(await look()).toMatchObject({ service: { unit, state: 'inactive' }, listeners: 0 });
  expect(await guest.must(`pgrep -f '[R]unnerService.js'; true`)).toBe('');
  expect(await watches()).toBe('');
  // A second drain finds nothing to do.
  expect([(await mark()).kind, (await pause()).kind, (await stop()).kind]).toEqual(['marked', 'paused', 'stopped']);
});

it('stays drained over a reboot, and takes jobs again once it is resumed', async () => {
  await guest.reboot();
  expect(await look()).toMatchObject({ drain: { reason: expect.stringContaining('disk') }, service: { state: 'inactive' }, listeners: 0 });
  expect(await unmark()).toEqual({ kind: 'unmarked' });
  expect(await start()).toEqual({ kind: 'started', unit });
  expect(await isEnabled()).toBe('enabled');
  expect((await look()).drain).toBeNull();
  expect(await pause()).toEqual({ kind: 'not-paused', evidence: expect.stringContaining('not marked') });
  await succeeds(giveJob(1));
});

describe('with twelve jobs queued behind a running one, and a listener that asks for the next in the same millisecond', () => {
  const QUEUE = '/var/tmp/queue';
  const asked = async (): Promise<number> => Number(await guest.must(`wc -l <${QUEUE}/asked`));
  const stateOfListener = () => guest.must(`sed -n 's/^State:\\t\\(.\\).*/\\1/p' /proc/$(pgrep -x Runner.Listener)/status`);
  const isPaused = async (): Promise<void> => {
    await until(async () => (await watches()) !== '', 'the listener is paused');
    expect(await stateOfListener()).toBe('T');
  };
  const endJob = () => guest.must(`touch ${QUEUE}/end`);
  /** Its program has a pidfd of the listener and one of the worker. */
  const waits = () =>
    until(
      async () => (await guest.must(`for p in $(pgrep -x perl); do ls -l /proc/$p/fd 2>/dev/null; done | grep -c pidfd || true`)) === '2',
      'the guest waits for the end of the job',
    );

  beforeAll(async () => {
    await guest.must(`systemctl stop ${unit}`);
    await guest.must('cat >/opt/impatient-listener.pl', { input: readFileSync(IMPATIENT) });
    await guest.must(`mkdir ${QUEUE} && echo 13 >${QUEUE}/jobs && touch ${QUEUE}/asked && chown -R github-runner: ${QUEUE}
      printf 'exec perl /opt/impatient-listener.pl ${QUEUE}\n' >${DIRECTORY}/bin/stand-in/Runner.Listener.sh
      systemctl start ${unit}`);
    await until(async () => (await asked()) === 1, 'the first job runs');
  });

  it('none of them begins before the drain has stopped it, but for one that it was let go for', async () => {
    expect(await pauseAfterJob()).toEqual({ kind: 'not-waiting', evidence: expect.stringContaining('not marked') });
    expect((await mark()).kind).toBe('marked');
    expect(await pauseAfterJob()).toEqual({ kind: 'waiting' });
    // A second drain finds it there.
    expect(await pauseAfterJob()).toEqual({ kind: 'waiting' });
    await waits();
    await endJob();
    await isPaused();
    expect(await asked()).toBe(1);
    expect(await letGo()).toEqual({ kind: 'let-go' });
    await until(async () => (await asked()) === 2, 'it was let go, and has the next job');
    await waits();
    await endJob();
    await isPaused();
    expect(await pause()).toEqual({ kind: 'paused', unread: '' });
    expect(await stop()).toEqual({ kind: 'stopped' });
    expect(await asked()).toBe(2);
    await until(
      async () => (await guest.must(`systemctl list-units --plain --no-legend 'runward-wait-*'`)) === '',
      'nothing waits any more',
    );
  });

  it('the wait ends with the drain, and lets go', async () => {
    expect((await unmark()).kind).toBe('unmarked');
    await guest.must(`: >${QUEUE}/asked && systemctl start ${unit}`);
    await until(async () => (await asked()) === 1, 'a job runs');
    expect([(await mark()).kind, (await pauseAfterJob()).kind]).toEqual(['marked', 'waiting']);
    await waits();
    expect((await unmark()).kind).toBe('unmarked');
    await endJob();
    await until(async () => (await asked()) === 2, 'it goes on to the next');
    await until(
      async () => (await guest.must(`systemctl list-units --plain --no-legend 'runward-wait-*'`)) === '',
      'nothing waits any more',
    );
    expect(await stateOfListener()).not.toBe('T');
  });
});
