import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CallContext, MachineError } from '../../../src/machine/port.ts';
import { MultipassTransport } from '../../../src/machine/transports/multipass.ts';
import { deadSsh, type FakeMultipass, type FakeRule, fakeMultipass } from '../../kit/fake-multipass.ts';

/** Nothing has ended the operation meanwhile. */
const MAY = async (): Promise<boolean> => true;
const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };
const TIMING = { listMs: 5_000, startMs: 5_000, unknownMs: 1_000, stopMs: 1_000, probeMs: 2_000, pauseMs: 10 };
const SPINNER = '\u001B[2K\u001B[0A\u001B[0EStarting t1  \b-\b\\\b|\u001B[2K\u001B[0A\u001B[0E';

let fake: FakeMultipass;
let transport: MultipassTransport;
beforeEach(() => {
  fake = fakeMultipass([]);
  transport = new MultipassTransport({ multipass: fake.path, environment: { PATH: '/usr/bin:/bin', HOME: '/home/me' }, timing: TIMING });
});
afterEach(() => fake.close());

const listed = (...instances: readonly (readonly [name: string, state: string])[]): FakeRule => ({
  args: ['list'],
  stdout: JSON.stringify({ list: instances.map(([name, state]) => ({ name, state, ipv4: [], release: 'Ubuntu 24.04 LTS' })) }),
});
const answering = (exitCode: number, stdout = ''): FakeRule => ({ args: ['exec'], stdout, stderr: `\nrunward-exit ${exitCode}\n` });
const commands = () => fake.calls().map(({ args }) => args[0]);
const exec = (argv: readonly string[] = ['id', '-un']) => transport.exec('t1', { step: 'try', argv, deadlineMs: 2_000 }, CALL);

async function failure(call: Promise<unknown>): Promise<MachineError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof MachineError)) throw new Error(`expected a MachineError, got ${String(error)}`);
  return error;
}

describe('state', () => {
  it.each([
    ['Running', 'running'],
    ['Stopped', 'stopped'],
    ['Suspended', 'suspended'],
    ['Suspending', 'suspending'],
    ['Starting', 'starting'],
    ['Restarting', 'restarting'],
    ['Delayed Shutdown', 'delayed shutdown'],
    ['Unavailable', 'unavailable'],
    ['Deleted', 'deleted'],
    ['Unknown', 'unknown'],
    ['Something New', 'unknown'],
    ['Missing', 'unknown'],
  ])('reads %s as %s', async (theirs, ours) => {
    fake.script([listed(['other', 'Stopped'], ['t1', theirs])]);
    expect(await transport.state('t1', CALL)).toBe(ours);
  });

  it('reads an instance that is not listed as missing', async () => {
    fake.script([listed(['t10', 'Running'])]);
    expect(await transport.state('t1', CALL)).toBe('missing');
  });

  it('reads the states of many by one list', async () => {
    fake.script([listed(['t1', 'Running'], ['t2', 'Suspended'])]);
    expect(await transport.states(['t2', 't3', 't1'], CALL)).toEqual(
      new Map([
        ['t2', 'suspended'],
        ['t3', 'missing'],
        ['t1', 'running'],
      ]),
    );
    expect(commands()).toEqual(['list']);
  });

  it('asks nothing but the list, in the given environment', async () => {
    fake.script([listed(['t1', 'Running'])]);
    await transport.state('t1', CALL);
    const [call, ...more] = fake.calls();
    expect(more).toEqual([]);
    expect(call?.args).toEqual(['list', '--no-ipv4', '--format', 'json']);
    expect(call?.env['HOME']).toBe('/home/me');
    expect(call?.env['USER']).toBeUndefined();
  });

  it('says that the daemon is down', async () => {
    fake.script([{ args: ['list'], exitCode: 2, stderr: 'list failed: cannot connect to the multipass socket\n' }]);
    expect(await failure(transport.state('t1', CALL))).toMatchObject({
      kind: 'provider-unavailable',
      message: 'list instances: multipass exited 2; is its daemon running?',
      evidence: 'list failed: cannot connect to the multipass socket',
    });
  });

  it('says that the daemon hangs, and most likely why', async () => {
    fake.script([{ args: ['list'], hangsDaemon: true }]);
    const slow = new MultipassTransport({ multipass: fake.path, environment: { PATH: '/usr/bin:/bin' }, timing: { listMs: 700 } });
    for (const call of [() => slow.state('t1', CALL), () => slow.start('t1', CALL), () => slow.restart('t1', MAY, CALL)]) {
      expect(await failure(call())).toMatchObject({
        kind: 'provider-hangs',
        message: "list instances: Multipass's daemon hangs (no answer within 0.7 s), most likely on a guest whose SSH is dead",
      });
    }
  });

  it('hangs no daemon by a look at a guest whose SSH is dead', async () => {
    fake.script([...deadSsh('t1'), listed(['t1', 'Running'], ['t2', 'Running'])]);
    expect(await transport.state('t1', CALL)).toBe('running');
    expect((await failure(exec())).kind).toBe('unreachable');
    expect(await transport.state('t2', CALL)).toBe('running');
  });

  it('says that multipass is not installed, and what to do', async () => {
    const without = new MultipassTransport({ multipass: 'no-such-multipass', environment: { PATH: '/usr/bin:/bin' } });
    const { kind, message } = await failure(without.state('t1', CALL));
    expect(kind).toBe('tool-missing');
    expect(message).toContain('install Multipass, or say by MULTIPASS where it is');
  });

  it.each(['', 'no JSON', '{}', '{"list": {}}', '{"list": [{"name": "t1"}]}'])('does not guess at %j', async (stdout) => {
    fake.script([{ args: ['list'], stdout }]);
    expect((await failure(transport.state('t1', CALL))).kind).toBe('protocol');
  });
});

describe('exec', () => {
  it('runs the command without directory mapping, past a `--`, with an end to its input', async () => {
    fake.script([listed(['t1', 'Running']), answering(0, 'ubuntu\n')]);
    expect(await exec()).toEqual({ exitCode: 0, stdout: 'ubuntu\n', stderr: '' });
    const { args, stdin } = fake.calls()[1] ?? { args: [], stdin: null };
    expect(args.slice(0, 6)).toEqual(['exec', '-n', 't1', '--', 'sh', '-c']);
    expect(args.slice(-2)).toEqual(['id', '-un']);
    expect(stdin).toBe('');
  });

  it.each(['Stopped', 'Suspended', 'Starting', 'Restarting', 'Suspending', 'Delayed Shutdown', 'Deleted', 'Unknown'])(
    'never runs on an instance that is %s, which it would start',
    async (state) => {
      fake.script([listed(['t1', state]), answering(0)]);
      const { kind, message } = await failure(exec());
      expect(kind).toBe('not-running');
      expect(message).toBe(`try: t1 is ${state.toLowerCase()}`);
      expect(commands()).toEqual(['list']);
    },
  );

  it.each([
    { exitCode: 2, stderr: "exec failed: ssh connection failed: 'Timeout connecting to 10.0.0.2'\n" },
    { exitCode: 255, stderr: '' },
    { exitCode: 0, stderr: '' },
    { exitCode: 0, stderr: 'runward-exit 0 and more\n' },
  ])('takes no exit code of the client for one of the command: %o', async (rule) => {
    fake.script([listed(['t1', 'Running']), { args: ['exec'], ...rule }]);
    expect((await failure(exec())).kind).toBe('unreachable');
  });

  it('keeps what the command printed on standard error apart from its exit code', async () => {
    fake.script([listed(['t1', 'Running']), { args: ['exec'], stderr: 'a\nrunward-exit 9\nb\n\nrunward-exit 3\n' }]);
    expect(await exec()).toEqual({ exitCode: 3, stdout: '', stderr: 'a\nrunward-exit 9\nb\n' });
  });

  it('gives up a client that hangs', async () => {
    fake.script([listed(['t1', 'Running']), { args: ['exec'], hangs: true }]);
    const { kind, message } = await failure(exec());
    expect(kind).toBe('unreachable');
    expect(message).toContain('did not end within 2 s');
  });
});

describe('a machine that was seen running a moment ago', () => {
  const trusting = () => transport.exec('t1', { step: 'try', argv: ['true'], deadlineMs: 2_000, trustRunningMs: 60_000 }, CALL);

  it('is not asked for its state again', async () => {
    fake.script([listed(['t1', 'Running']), answering(0)]);
    await trusting();
    await trusting();
    expect(commands()).toEqual(['list', 'exec', 'exec']);
  });

  it('is asked by whoever does not trust that, and after a command that did not come through', async () => {
    fake.script([listed(['t1', 'Running']), { args: ['exec'], exitCode: 2, stderr: 'ssh connection failed', times: 1 }, answering(0)]);
    await failure(trusting());
    await trusting();
    await exec();
    expect(commands()).toEqual(['list', 'exec', 'list', 'exec', 'list', 'exec']);
  });
});

describe('restart', () => {
  const acts = () =>
    fake
      .calls()
      .map(({ args }) => args.join(' '))
      .filter((call) => !call.startsWith('list'));

  it('leaves a machine that answers by now as it is', async () => {
    fake.script([listed(['t1', 'Running']), answering(0)]);
    await transport.restart('t1', MAY, CALL);
    expect(commands()).toEqual(['list', 'list', 'exec']);
  });

  /** Is seen `Stopped` so many times after these answers, and answers after its start. */
  const comesBack = (stopped: number, ...rules: readonly FakeRule[]) =>
    fake.script([
      ...rules,
      { ...listed(['t1', 'Stopped']), times: stopped },
      listed(['t1', 'Running']),
      { args: ['stop', '--force', 't1'] },
      { args: ['start', 't1'] },
      answering(0),
    ]);
  const writes = () => acts().filter((call) => !call.startsWith('exec') || call.includes('poweroff'));

  it('cuts the power of one whose SSH is dead at once, and hangs no daemon by it', async () => {
    comesBack(1, { ...listed(['t1', 'Running']), args: ['list', '--no-ipv4'], times: 2 }, ...deadSsh('t1', { execs: 1 }));
    await transport.restart('t1', MAY, CALL);
    expect(writes()).toEqual(['stop --force t1', 'start t1']);
  });

  it.each([
    { what: 'whose commands fail', rule: { args: ['exec'], exitCode: 0, stderr: 'fork failed\n\nrunward-exit 254\n' } },
    { what: 'whose shell is broken', rule: { args: ['exec'], exitCode: 126, stderr: 'bash: cannot execute\n' } },
  ])('lets one with SSH $what end itself', async ({ rule }) => {
    comesBack(2, { ...listed(['t1', 'Running']), times: 3 }, { ...rule, times: 1 });
    await transport.restart('t1', MAY, CALL);
    expect(writes()).toEqual([expect.stringMatching(/^exec -n t1 -- sh -c .* sudo systemctl poweroff$/s), 'start t1']);
  });

  it('cuts the power of one that does not end itself in time', async () => {
    const cut: FakeRule = { args: ['stop', '--force', 't1'] };
    fake.script([
      listed(['t1', 'Running']),
      { args: ['exec'], exitCode: 126, times: 1 },
      { args: ['exec'], hangs: true, times: 1 },
      cut,
      answering(0),
    ]);
    await transport.restart('t1', MAY, CALL);
    expect(writes().at(-1)).toBe('stop --force t1');
  });

  it('leaves one alone whose operation has ended meanwhile, also once it was told to end itself', async () => {
    const may = [true, false];
    fake.script([
      listed(['t1', 'Running']),
      { args: ['exec'], exitCode: 126, times: 1 },
      { args: ['exec'], hangs: true, times: 1 },
      { args: ['exec'], hangs: true },
    ]);
    const told = await transport.restart('t1', async () => may.shift() ?? false, CALL);
    expect(told).toEqual({ kind: 'given-up', evidence: 't1 was told to shut down, and its power was not cut' });
    const left = await transport.restart('t1', async () => false, CALL);
    expect(left).toEqual({ kind: 'given-up', evidence: 't1 was not stopped' });
    expect(writes()).toEqual([expect.stringContaining('poweroff')]);
  });

  it('probes once for a caller that has to ask GitHub anew, so that the stop comes on its fresh word', async () => {
    fake.script([listed(['t1', 'Running']), { args: ['exec'], exitCode: 2, times: 1 }, { args: ['stop', '--force', 't1'] }, answering(0)]);
    const probes = (): number => commands().filter((verb) => verb === 'exec').length;
    expect(await transport.restart('t1', async () => false, CALL)).toMatchObject({ kind: 'given-up' });
    expect(await transport.restart('t1', async () => probes() === 1, CALL)).toEqual({ kind: 'running', hasCutPower: true });
  });

  it('does not tell one to end itself again that has just not done so, and stops it on one fresh word', async () => {
    fake.script([
      listed(['t1', 'Running']),
      { args: ['exec'], exitCode: 126, times: 1 },
      { args: ['exec'], hangs: true, times: 1 },
      { args: ['exec'], exitCode: 126, times: 1 },
      { args: ['stop', '--force', 't1'] },
      answering(0),
    ]);
    const may = [true, false];
    expect(await transport.restart('t1', async () => may.shift() ?? false, CALL)).toMatchObject({ kind: 'given-up' });
    let asked = 0;
    const mayOnce = async (): Promise<boolean> => (asked += 1) === 1;
    expect(await transport.restart('t1', mayOnce, CALL)).toEqual({ kind: 'running', hasCutPower: true });
    expect(writes()).toEqual([expect.stringContaining('poweroff'), 'stop --force t1']);
  });

  it('cuts the power of one whose state is unknown, and starts it', async () => {
    comesBack(1, { ...listed(['t1', 'Unknown']), times: 1 });
    await transport.restart('t1', MAY, CALL);
    expect(writes()).toEqual(['stop --force t1', 'start t1']);
  });

  it('says at once that its power can not be cut, and waits for no guest then', async () => {
    const refused: FakeRule = { args: ['stop', '--force'], exitCode: 2, stderr: 'stop failed: instance is busy\n' };
    fake.script([listed(['t1', 'Running']), refused, ...deadSsh('t1')]);
    expect(await failure(transport.restart('t1', MAY, CALL))).toMatchObject({
      kind: 'unreachable',
      message: '`multipass stop --force t1` exited 2',
      evidence: 'stop failed: instance is busy',
    });
    expect(commands()).toEqual(['list', 'list', 'exec', 'stop', 'list']);
  });

  it('starts one that was down already as its power was to be cut', async () => {
    comesBack(
      2,
      { args: ['stop', '--force', 't1'], exitCode: 2, stderr: 'stop failed: not running\n' },
      { ...listed(['t1', 'Running']), times: 2 },
      ...deadSsh('t1', { execs: 1 }).filter(({ args }) => args[0] === 'exec'),
    );
    await transport.restart('t1', MAY, CALL);
    expect(writes()).toEqual(['stop --force t1', 'start t1']);
  });

  it('only starts one that somebody stops meanwhile', async () => {
    comesBack(2, { ...listed(['t1', 'Running']), times: 1 });
    await transport.restart('t1', MAY, CALL);
    expect(writes()).toEqual(['start t1']);
  });

  it('only starts one that stands still', async () => {
    fake.script([{ ...listed(['t1', 'Stopped']), times: 2 }, listed(['t1', 'Running']), { args: ['start', 't1'] }, answering(0)]);
    await transport.restart('t1', MAY, CALL);
    expect(commands()).not.toContain('stop');
  });
});

describe('start', () => {
  it.each(['Stopped', 'Suspended', 'Delayed Shutdown'])('starts an instance that is %s and waits for its guest', async (state) => {
    fake.script([
      { ...listed(['t1', state]), times: 1 },
      { ...listed(['t1', 'Starting']), times: 1 },
      listed(['t1', 'Running']),
      { args: ['start', 't1'], stdout: SPINNER },
      { args: ['exec'], exitCode: 2, stderr: 'exec failed: ssh connection failed\n', times: 1 },
      answering(0),
    ]);
    await transport.start('t1', CALL);
    expect(commands().filter((command) => command !== 'list')).toEqual(['start', 'exec', 'exec']);
  });

  it('leaves a running instance as it is', async () => {
    fake.script([listed(['t1', 'Running']), answering(0)]);
    await transport.start('t1', CALL);
    expect(commands()).not.toContain('start');
  });

  it('waits for one that is starting already', async () => {
    fake.script([{ ...listed(['t1', 'Starting']), times: 2 }, listed(['t1', 'Running']), answering(0)]);
    await transport.start('t1', CALL);
    expect(commands()).not.toContain('start');
  });

  it.each([
    ['Deleted', 'machine-missing', 'multipass recover t1'],
    ['Unavailable', 'provider-unavailable', 'zone'],
  ])('says what to do about an instance that is %s, and does nothing', async (state, kind, advice) => {
    fake.script([listed(['t1', state])]);
    const error = await failure(transport.start('t1', CALL));
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(advice);
    expect(commands()).toEqual(['list']);
  });

  it('waits for one whose state is unknown, as it is during a first boot', async () => {
    fake.script([
      { ...listed(['t1', 'Unknown']), times: 3 },
      { ...listed(['t1', 'Starting']), times: 1 },
      listed(['t1', 'Running']),
      answering(0),
    ]);
    await transport.start('t1', CALL);
    expect(commands().filter((command) => command !== 'list')).toEqual(['exec']);
  });

  it('waits for it with a limit, and leaves it to its caller to cut the power', async () => {
    fake.script([listed(['t1', 'Unknown'])]);
    const { kind, message } = await failure(transport.start('t1', CALL));
    expect(kind).toBe('unreachable');
    expect(message).toContain('`multipass stop --force t1` and `multipass start t1`');
    expect(new Set(commands())).toEqual(new Set(['list']));
  });

  it('says that there is no such instance', async () => {
    fake.script([listed(['other', 'Running'])]);
    expect(await failure(transport.start('t1', CALL))).toMatchObject({ kind: 'machine-missing' });
  });

  it("tells Multipass's own words without its spinner", async () => {
    fake.script([
      listed(['t1', 'Stopped']),
      { args: ['start'], exitCode: 2, stdout: SPINNER, stderr: `${SPINNER}start failed: cannot start\n` },
    ]);
    const error = await failure(transport.start('t1', CALL));
    expect(error.kind).toBe('unreachable');
    expect(error.evidence.endsWith('start failed: cannot start')).toBe(true);
    expect(error.evidence).not.toContain('\u001B');
  });

  it('ends at its deadline where the guest never answers, with the last reason', async () => {
    fake.script([listed(['t1', 'Running']), { args: ['exec'], exitCode: 2, stderr: 'exec failed: ssh connection failed\n' }]);
    const hasty = new MultipassTransport({
      multipass: fake.path,
      environment: { PATH: '/usr/bin:/bin' },
      timing: { ...TIMING, startMs: 2_000 },
    });
    const { kind, message, evidence } = await failure(hasty.start('t1', CALL));
    expect(kind).toBe('unreachable');
    expect(message).toBe('start t1: its guest did not answer within 2 s');
    expect(evidence).toContain('ssh connection failed');
  });

  it('rejects with the reason of an aborted signal', async () => {
    fake.script([listed(['t1', 'Starting'])]);
    const reason = new Error('because');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 300);
    await expect(transport.start('t1', { ...CALL, signal: controller.signal })).rejects.toBe(reason);
  });
});
