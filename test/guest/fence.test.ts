// The guest's own fence, by a step that the test can watch: `configure`, over a config.sh that writes down when it began and ended.

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import * as scripts from '../../src/machine/guest-scripts.ts';
import { type Act, MachineError } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import type { MultipassTransport } from '../../src/machine/transports/multipass.ts';
import { type Guest, startGuest } from '../kit/guest/index.ts';
import { CALL, targetIn, transportTo } from './shell-machine.ts';

const DIRECTORY = '/opt/fenced';
const TOKEN = 'AFENCEFENCEFENCEFENCEFENCE123';

/** Goes on once /var/tmp/go is there; each run leaves `began` and `ended` in /var/tmp/runs. */
const CONFIG = `#!/bin/bash
echo began >>/var/tmp/runs
until [ -e /var/tmp/go ]; do sleep 0.2; done
printf '{ "agentId": 7, "agentName": "fenced" }' >.runner
echo credentials >.credentials
echo ended >>/var/tmp/runs
`;
const CONFIGURED = { kind: 'configured', agentId: 7 };

let guest: Guest;
let target: RunnerTarget;
let machine: ShellMachine;
let transport: MultipassTransport;
let acts = 0;

beforeAll(async () => {
  guest = await startGuest();
  transport = transportTo(guest);
  machine = new ShellMachine(transport);
  target = { ...targetIn(guest, 'fenced', DIRECTORY), registration: 'from-runner-directory' };
  await guest.must(
    `mkdir ${DIRECTORY} && cat >${DIRECTORY}/config.sh && chmod 755 ${DIRECTORY}/config.sh && chown -R github-runner: ${DIRECTORY}`,
    {
      input: CONFIG,
    },
  );
});
afterAll(() => guest.close());

beforeEach(() =>
  guest.must(
    `cd ${DIRECTORY} && rm -rf .runner .credentials /var/lib/runward/runner.* && install -m 666 /dev/null /var/tmp/runs && touch /var/tmp/go`,
  ),
);

async function takeFence(holder: string): Promise<number> {
  const taken = await machine.takeFence(target, holder, { isRecovery: true }, CALL);
  if (taken.kind !== 'taken') throw new Error(`the fence was not given: ${JSON.stringify(taken)}`);
  return taken.fence;
}

const anAct = (fence: number, more: Partial<Act> = {}): Act => ({ key: `fence:${(acts += 1)}`, fence, deadlineMs: 120_000, ...more });
const configure = (act: Act, call = CALL) => machine.configure(target, act, new Secret(TOKEN), call);
/** config.sh stays in its middle until it is let go. */
const hold = () => guest.must('rm /var/tmp/go');
const letGo = () => guest.must('touch /var/tmp/go');
const runs = async () => (await guest.must('cat /var/tmp/runs')).split('\n').filter((word) => word !== '');

async function runsBecome(count: number): Promise<void> {
  await guest.must(`for try in $(seq 300); do [ "$(wc -l </var/tmp/runs)" -ge ${count} ] && exit 0; sleep 0.2; done; exit 1`);
}

async function failureOf(call: Promise<unknown>): Promise<MachineError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof MachineError)) throw new Error(`expected a MachineError, got ${String(error)}`);
  return error;
}

const runningUnit = () =>
  guest.must('systemctl show --value -p Description runward-act.service; systemctl show --value -p LoadState runward-act.service');
const record = ({ key }: Act) => guest.must(`cat '/var/lib/runward/act.${key}/record'`);
const configProcesses = () => guest.must(`pgrep -c -x config.sh || true`);

/** Starts an act by a client of its own, for a test that ends the client. */
function configureByClient(act: Act) {
  const request = scripts.act(
    'configure',
    { key: act.key, fence: act.fence, seconds: act.deadlineMs / 1_000, attempt: `client-${act.key}` },
    {
      directory: DIRECTORY,
      user: 'github-runner',
      url: target.registrationUrl,
      name: 'fenced',
      labels: '',
      group: '',
      registration: 'from-runner-directory',
    },
    TOKEN,
  );
  const client = spawn(guest.env['MULTIPASS'] ?? '', ['exec', '-n', guest.name, '--', ...request.argv], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  client.stdin.on('error', () => {});
  client.stdin.end(request.input);
  const ended = new Promise<void>((resolve) => void client.on('exit', () => resolve()));
  return { kill: () => client.kill('SIGKILL'), ended };
}

describe('one at a time', () => {
  it('ten starts of one act at once: one runs, and all have its answer', async () => {
    await hold();
    const act = anAct(await takeFence('ten starts'));
    const answers = Promise.all(Array.from({ length: 10 }, () => configure(act)));
    await guest.must('for try in $(seq 600); do [ "$(find /run/runward -name secret | wc -l)" = 10 ] && exit 0; sleep 0.2; done; exit 1');
    await letGo();
    expect(await answers).toEqual(Array.from({ length: 10 }, () => CONFIGURED));
    expect(await runs()).toEqual(['began', 'ended']);
  });

  it('ten operations at once: the newest runs, the others are late and told by whom', async () => {
    const holders = Array.from({ length: 10 }, (_, index) => `operation ${index} (run ${index})`);
    const fences = await Promise.all(holders.map((holder) => takeFence(holder)));
    expect(new Set(fences).size).toBe(10);
    const newest = fences.indexOf(Math.max(...fences));
    const answers = await Promise.all(fences.map((fence) => configure(anAct(fence))));
    for (const [index, answer] of answers.entries()) {
      expect(answer).toEqual(index === newest ? CONFIGURED : { kind: 'refused-late', holder: holders[newest] });
    }
    expect(await runs()).toEqual(['began', 'ended']);
  });

  it('an act waits for an earlier one of its own operation', async () => {
    await hold();
    const fence = await takeFence('one operation');
    const first = configure(anAct(fence));
    await runsBecome(1);
    const second = machine.discardAside(target, anAct(fence), CALL).then(async (answer) => ({ answer, before: await runs() }));
    await sleep(3_000);
    await letGo();
    expect(await second).toEqual({ answer: { kind: 'discarded', files: [] }, before: ['began', 'ended'] });
    expect(await first).toEqual(CONFIGURED);
  });

  it('a number that is higher than the guest knows is taken over, as after a snapshot was restored', async () => {
    const fence = await takeFence('before');
    expect(await configure(anAct(fence + 3))).toEqual(CONFIGURED);
    expect((await configure(anAct(fence))).kind).toBe('refused-late');
    expect(await takeFence('after')).toBe(fence + 4);
  });
});

describe('an act outlives its client', () => {
  it('which is killed: strangers are refused by name, and the retry waits for it and has its answer', async () => {
    await hold();
    const act = anAct(await takeFence('the holder (run 1)'));
    const client = configureByClient(act);
    await runsBecome(1);
    client.kill();
    await client.ended;

    const retry = configure(act);
    const refused = { kind: 'refused-in-progress', holder: 'the holder (run 1)' };
    expect(await machine.takeFence(target, 'stranger', { isRecovery: true }, CALL)).toEqual(refused);
    expect(await machine.discardAside(target, anAct(act.fence + 5), CALL)).toEqual(refused);
    expect(await machine.observe(target, CALL)).toMatchObject({ guest: { known: true, value: { runningAct: act.key } } });
    expect(await runs()).toEqual(['began']);

    await letGo();
    expect(await retry).toEqual(CONFIGURED);
    expect(await runs()).toEqual(['began', 'ended']);
    expect(await record(act)).toBe('success exited 0');
    expect(await takeFence('stranger')).toBe(act.fence + 1);
  });

  it('the retry after its end reads the record, and runs nothing', async () => {
    const act = anAct(await takeFence('record'));
    expect(await configure(act)).toEqual(CONFIGURED);
    await guest.must(`rm ${DIRECTORY}/.runner`);
    expect(await configure(act)).toEqual(CONFIGURED);
    expect(await runs()).toEqual(['began', 'ended']);
  });

  it('a reboot in the middle reads like success and is none: the retry runs it again', async () => {
    await hold();
    const act = anAct(await takeFence('reboot'));
    const cut = configureByClient(act);
    await runsBecome(1);
    await guest.reboot();
    await cut.ended;
    expect(await record(act)).toBe('success killed TERM');
    await letGo();
    expect(await configure(act)).toEqual(CONFIGURED);
    expect(await runs()).toEqual(['began', 'began', 'ended']);
  });

  it('a power cut in the middle leaves no record: the retry runs it again', async () => {
    await hold();
    const act = anAct(await takeFence('power cut'));
    const cut = configureByClient(act);
    await runsBecome(1);
    await guest.must('sync');
    await guest.powerCut();
    await cut.ended;
    await guest.start();
    await expect(record(act)).rejects.toThrow('No such file');
    await letGo();
    expect(await configure(act)).toEqual(CONFIGURED);
    expect(await runs()).toEqual(['began', 'began', 'ended']);
    expect(await takeFence('after the power cut')).toBe(act.fence + 1);
  });
});

describe('an act ends', () => {
  it('at its deadline, whatever its client does', async () => {
    await hold();
    const act = anAct(await takeFence('deadline'), { deadlineMs: 4_000 });
    const error = await failureOf(configure(act));
    expect(error).toMatchObject({ kind: 'act-failed', message: `configure on ${guest.name} did not end within 4 s` });
    expect(await runs()).toEqual(['began']);
    expect(await configProcesses()).toBe('0');
  });

  it('when its call is aborted, and a retry runs it anew', async () => {
    await hold();
    const act = anAct(await takeFence('abort'));
    const controller = new AbortController();
    const reason = new Error('because');
    const running = configure(act, { ...CALL, signal: controller.signal });
    await runsBecome(1);
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(await runningUnit()).toContain('not-found');
    expect(await configProcesses()).toBe('0');
    await letGo();
    expect(await configure(act)).toEqual(CONFIGURED);
    expect(await runs()).toEqual(['began', 'began', 'ended']);
  });

  it('before it began, where its call is aborted while it waits for its turn', async () => {
    await hold();
    const act = anAct(await takeFence('abort early'));
    // Held until this test has seen the act wait for it.
    const held = guest.must('flock /run/runward/lock sh -c "until [ -e /run/let-go ]; do sleep 0.1; done"; rm /run/let-go');
    await guest.must('for try in $(seq 100); do pgrep -x flock && exit 0; sleep 0.1; done; exit 1');
    const controller = new AbortController();
    const running = configure(act, { ...CALL, signal: controller.signal });
    await guest.must('for try in $(seq 100); do [ "$(pgrep -c -x flock)" -ge 2 ] && exit 0; sleep 0.1; done; exit 1');
    controller.abort();
    const rejected = running.catch((error: unknown) => error);
    await guest.must('touch /run/let-go');
    expect(await rejected).toBe(controller.signal.reason);
    await held;
    await sleep(2_000);
    expect(await runningUnit()).toContain('not-found');
    expect(await configProcesses()).toBe('0');
  });

  it('with what it printed where it fails', async () => {
    const act = anAct(await takeFence('fails'));
    const error = await failureOf(machine.configure({ ...target, user: 'nobody-here' }, act, new Secret(TOKEN), CALL));
    expect(error).toMatchObject({ kind: 'act-failed', message: `configure on ${guest.name} ended with exit-code exited 1` });
    expect(error.evidence).toContain('no user nobody-here in the guest');
    expect(await record(act)).toBe('exit-code exited 1');
    expect(await configure(act)).toEqual(CONFIGURED);
  });
});

describe('what arrives', () => {
  it('in part does nothing, wherever it was cut', async () => {
    const act = anAct(await takeFence('cut'));
    const parameters = { directory: DIRECTORY, user: 'github-runner', url: 'http://x', name: 'fenced', labels: '', group: '' };
    const { argv, input } = scripts.act('configure', { key: act.key, fence: act.fence, seconds: 60, attempt: 'cut' }, parameters, TOKEN);
    const driver = input.indexOf('\nexit\n}\n') + '\nexit\n}\n'.length;
    const before = await guest.must('find /var/lib/runward /run/runward | sort');

    const even = Array.from({ length: 6 }, (_, index) => Math.floor((input.length * index) / 6));
    const borders = [
      1,
      2,
      driver - 8,
      driver - 3,
      driver - 2,
      driver - 1,
      driver,
      driver + 1,
      input.length - TOKEN.length,
      input.length - 1,
    ];
    for (const length of [...even, ...borders]) {
      const { exitCode, stdout } = await transport.exec(
        guest.name,
        { step: 'cut', argv, input: input.subarray(0, length), deadlineMs: 60_000 },
        CALL,
      );
      expect([length, stdout]).toEqual([length, '']);
      // Nothing at all is a script without a command.
      if (length > 1) expect([length, exitCode]).not.toEqual([length, 0]);
    }
    expect(await runs()).toEqual([]);
    expect(await runningUnit()).toContain('not-found');
    expect(await guest.must('find /var/lib/runward /run/runward | sort')).toBe(before);

    expect(await configure(act)).toEqual(CONFIGURED);
  });

  it('leaves no secret: not in a process list, not in the journal, not in a file', async () => {
    const samples = await guest.sampleProcesses();
    await hold(); // long enough to be seen
    const configuring = configure(anAct(await takeFence('secret')));
    await runsBecome(1);
    await letGo();
    expect(await configuring).toEqual(CONFIGURED);
    const seen = await samples.stop();
    expect(seen.some((line) => line.includes('config.sh'))).toBe(true);
    expect(seen.filter((line) => line.includes(TOKEN))).toEqual([]);
    // The pattern's own brackets keep it from finding this search.
    const traces = `journalctl --no-pager | grep -c 'AFENCE[F]ENCE' || true
      grep -rlI 'AFENCE[F]ENCE' /run /var /etc /opt /tmp /home /root 2>/dev/null || true`;
    expect(await guest.must(traces)).toBe('0');
  });

  it('in names is data, never text of a shell', async () => {
    const odd = `it's $(touch /var/tmp/pwned) "q" \`id\` ; * \\ ü`;
    const act = anAct(await takeFence(odd));
    const answer = await machine.configure({ ...target, runner: odd, labels: [odd] }, act, new Secret(TOKEN), CALL);
    expect(answer).toMatchObject({ kind: 'not-configured', exitCode: 0 });
    expect(await guest.must('ls /var/tmp')).not.toContain('pwned');
    const late = await configure(anAct(act.fence - 1));
    expect(late).toEqual({ kind: 'refused-late', holder: odd.replace('ü', '?') });
  });
});
