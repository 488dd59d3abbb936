import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import { type Act, type CallContext, CallGivenUp, MachineError } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import type { RemoteCommand, RemoteResult, Transport } from '../../src/machine/transport.ts';
import { UNPAUSED } from '../kit/paused.ts';

const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };
const ACT: Act = { key: 'op:1:configure', fence: 3, deadlineMs: 20_000 };
const TARGET: RunnerTarget = {
  scope: 'o/r',
  runner: 'builder',
  labels: ['a', 'b'],
  group: null,
  registrationUrl: 'https://github.com/o/r',
  host: 'local',
  machine: 'vm',
  directory: '/opt/actions-runner',
  user: 'github-runner',
  neighbours: [],
};

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const runnerFile = (content: object): string => base64(`\uFEFF${JSON.stringify(content)}`);

const OBSERVED: Readonly<Record<string, string>> = {
  bootId: 'a-boot',
  uptimeMs: '3600120',
  timeSync: 'timesyncd',
  timeSyncState: 'active',
  runningAct: '',
  workersOnMachine: '1',
  unit: 'actions.runner.o-r.builder.service',
  serviceState: 'active',
  startedAgo: '60',
  journal64: base64('Starting Runner listener\n2026-11-24 22:06:39Z: Listening for Jobs'),
  workers: '0',
  listeners: '1',
  runner64: runnerFile({ agentId: 7, agentName: 'builder', gitHubUrl: 'https://github.com/o/r' }),
  version: '2.336.0',
  disk: '81% 123456 7',
  work: '9000 4',
  cache: '5000 3 1',
};

const lines = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
const answered = (values: Readonly<Record<string, string | number>>): string =>
  `runward-answer\n${lines({ ...values, elapsedMs: 0, clockMs: Date.now() })}runward-end\n`;
const done = (record: string, output: Readonly<Record<string, string | number>> = {}, errors = ''): string =>
  answered({ kind: 'done', record, output64: base64(lines(output)), errors64: base64(errors) });
const seen = (changes: Readonly<Record<string, string>> = {}): string =>
  answered({ kind: 'done', output64: base64(lines({ ...OBSERVED, ...changes })) });

/** A transport that answers as it is told. */
class ScriptedTransport implements Transport {
  current: Awaited<ReturnType<Transport['state']>> = 'running';
  readonly commands: RemoteCommand[] = [];
  answer: (command: RemoteCommand, call: CallContext) => string | RemoteResult | Promise<string | RemoteResult> = () => '';

  async state() {
    return this.current;
  }

  async states(machines: readonly string[]) {
    return new Map(machines.map((each) => [each, this.current]));
  }

  async start() {}

  async restart() {
    return { kind: 'running' as const };
  }

  async exec(_machine: string, command: RemoteCommand, call: CallContext): Promise<RemoteResult> {
    this.commands.push(command);
    const answer = await this.answer(command, call);
    return typeof answer === 'string' ? { exitCode: 0, stdout: answer, stderr: '' } : answer;
  }
}

let transport: ScriptedTransport;
let machine: ShellMachine;
beforeEach(() => {
  transport = new ScriptedTransport();
  machine = new ShellMachine(transport);
});

async function failureOf(call: Promise<unknown>): Promise<MachineError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof MachineError)) throw new Error(`expected a MachineError, got ${String(error)}`);
  return error;
}

describe('observe', () => {
  const guestOf = async () => (await machine.observe(TARGET, CALL)).guest;

  it('reads what the guest says', async () => {
    transport.answer = () => seen();
    expect(await machine.observe(TARGET, CALL)).toEqual({
      observedAt: expect.any(Number),
      state: 'running',
      guest: {
        known: true,
        value: {
          bootId: 'a-boot',
          uptimeMs: 3_600_120,
          clockOffsetMs: 0,
          service: { unit: 'actions.runner.o-r.builder.service', state: 'active' },
          log: { startedAgoMs: 60_000, exitCode: null, relaunches: 0, signs: [] },
          timeSync: { service: 'timesyncd', isActive: true },
          drain: null,
          workers: 0,
          workersOnMachine: 1,
          listeners: 1,
          registration: { agentId: 7, agentName: 'builder', url: 'https://github.com/o/r' },
          installedVersion: '2.336.0',
          missingProgram: null,
          cleanedAgoMs: null,
          disk: { usedPercent: 81, freeBytes: 123_456, inodesUsedPercent: 7 },
          work: { bytes: 9_000, entries: 4 },
          cache: { bytes: 5_000, entries: 3, damaged: 1 },
          runningAct: null,
        },
      },
    });
  });

  it('gives null for what could not be read, and guesses nothing', async () => {
    const { work: _work, cache: _cache, journal64: _journal, startedAgo: _startedAgo, runner64: _runner, ...unread } = OBSERVED;
    const answer = { ...unread, version: '', unit: '', serviceState: 'missing', timeSync: '', disk: '81% 123456 ', runningAct: 'op:1:x' };
    transport.answer = () => answered({ kind: 'done', output64: base64(lines(answer)) });
    expect(await guestOf()).toMatchObject({
      value: {
        work: null,
        cache: null,
        installedVersion: null,
        service: { unit: null, state: 'missing' },
        log: { startedAgoMs: null, exitCode: null, relaunches: 0, signs: [] },
        timeSync: { service: null },
        disk: { inodesUsedPercent: null },
        registration: null,
        runningAct: 'op:1:x',
      },
    });
  });

  it('reads what the service said since its start, without what looks like a token', async () => {
    const journal = [
      '2026-11-24 22:06:39Z: Listening for Jobs',
      '2026-11-24 22:07:39Z: Runner connect error: refused with ghs_0123456789abcdefghij0123. Retrying until reconnected.',
      'Runner listener exited with error code 2',
      'Runner listener exit with retryable error, re-launch runner in 5 seconds.',
    ].join('\n');
    transport.answer = () => seen({ journal64: base64(journal), startedAgo: '7' });
    expect(await guestOf()).toMatchObject({
      value: {
        log: {
          startedAgoMs: 7_000,
          exitCode: 2,
          relaunches: 1,
          signs: [{ code: 'connect-error', line: expect.stringContaining('refused with [secret].') }],
        },
      },
    });
  });

  it.each([
    ['1764021600\nperson\nwe move the office', { since: 1_764_021_600_000, by: 'person', reason: 'we move the office' }],
    [`1764021600\nroom\n${'long '.repeat(100)}`, { since: 1_764_021_600_000, by: 'room', reason: 'long '.repeat(10) }],
    ['1764021600', { since: 1_764_021_600_000, by: 'person', reason: '' }],
    ['half a mark', { since: 0, by: 'person', reason: '' }],
  ])('takes every mark of root for a drain: %j', async (mark, drain) => {
    transport.answer = () => seen({ drain64: base64(mark) });
    expect(await guestOf()).toMatchObject({ value: { drain } });
  });

  it('reads what passes for a listener of the runner beside it', async () => {
    transport.answer = () => seen({ workers: '2', strays: '2 1 4711' });
    expect(await guestOf()).toMatchObject({ value: { listeners: 1, workers: 2, strays: { listeners: 2, workers: 1, process: 4_711 } } });
  });

  it('does not ask again for a state that it was told', async () => {
    transport.answer = () => seen();
    transport.current = 'stopped';
    expect(await machine.observe(TARGET, CALL, 'running')).toMatchObject({ state: 'running', guest: { known: true } });
    transport.current = 'running';
    expect(await machine.observe(TARGET, CALL, 'stopped')).toMatchObject({ state: 'stopped', guest: { known: false } });
    expect(transport.commands).toHaveLength(1);
  });

  it('stays below 1 KB, also for a drained runner in all sorts of trouble', async () => {
    const times = Array.from({ length: 40 }, (_, at) => `2026-11-24 22:06:${10 + at}Z: `);
    const journal = times.flatMap((time) => [
      `${time}Runner connect error: ${'Name or service not known (pipelines.actions.githubusercontent.com:443) '.repeat(3)}`,
      `${time}A session for this runner already exists. ${'And that for a long time. '.repeat(9)}`,
      `An error occurred: ${"The local machine's clock may be out of sync with the server time by more than five minutes. ".repeat(3)}`,
      'Runner listener exit with retryable error, re-launch runner in 5 seconds.',
    ]);
    transport.answer = () =>
      seen({
        bootId: 'ea098ca3-b4ec-470e-bb2a-f116b6ca9ef3',
        unit: 'actions.runner.example-enterprise-assay.assay-bpf-runner-01.service',
        runner64: runnerFile({
          agentId: 123_456,
          agentName: 'assay-bpf-runner-01',
          gitHubUrl: 'https://github.com/example-enterprise/assay',
        }),
        disk: '100% 123456789012 100',
        work: '123456789012 1234',
        cache: '123456789012 1234 12',
        journal64: base64(journal.join('\n')),
        cleaner64: base64(`/etc/cron.daily/${'clean-'.repeat(900)}:12`),
        drain64: base64(`1764021600\nperson\n${'maintenance '.repeat(20)}`),
      });
    const observed = await machine.observe(TARGET, CALL);
    expect(observed).toMatchObject({
      guest: {
        value: { log: { relaunches: 40, signs: [{ code: 'clock-skew' }, { code: 'session-conflict' }, { code: 'connect-error' }] } },
      },
    });
    expect(JSON.stringify(observed).length).toBeLessThan(1_024);
  });

  it.each(['no JSON', '{"agentName":"builder"}', '[]'])('takes a damaged .runner for no registration: %s', async (text) => {
    transport.answer = () => seen({ runner64: base64(text) });
    expect(await guestOf()).toMatchObject({ value: { registration: null } });
  });

  it.each(['stopped', 'suspended', 'missing', 'unknown', 'starting'] as const)('asks nothing of a machine that is %s', async (state) => {
    transport.current = state;
    expect(await machine.observe(TARGET, CALL)).toMatchObject({ state, guest: { known: false, why: `vm is ${state}` } });
    expect(transport.commands).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['an answer that was cut off', 'runward-answer\nkind=done\noutput64=abc'],
    ['other words', 'hello'],
    ['numbers that are none', seen({ workers: 'many' })],
    ['a state that systemd does not have', seen({ serviceState: 'dancing' })],
    ['a disk without a size', seen({ disk: '' })],
    ['a cache that was half counted', seen({ cache: ' 3 0' })],
  ])('takes %s for unknown, with the reason', async (_, stdout) => {
    transport.answer = () => stdout;
    expect(await guestOf()).toEqual({ known: false, why: expect.stringMatching(/^observe: /) });
  });

  it('finds the answer behind what a client printed ahead of it', async () => {
    transport.answer = () => `\u001B[2K\u001B[0A\u001B[0EStarting vm  \b-\b\\\n${seen()}`;
    expect((await guestOf()).known).toBe(true);
  });

  it('takes a guest that does not answer for unknown, but not a missing tool', async () => {
    transport.answer = () => Promise.reject(new MachineError('unreachable', 'observe: no answer', { evidence: 'ssh' }));
    expect(await guestOf()).toEqual({ known: false, why: 'observe: no answer: ssh' });
    transport.answer = () => Promise.reject(new MachineError('tool-missing', 'no multipass'));
    expect((await failureOf(machine.observe(TARGET, CALL))).kind).toBe('tool-missing');
  });

  it.each([7_200_000, -7_200_000])('tells a clock that is off by %d ms', async (aheadMs) => {
    transport.answer = () => seen().replace(/clockMs=.*/, `clockMs=${Date.now() + aheadMs}`);
    const begun = Date.now();
    const guest = await guestOf();
    const tookMs = Date.now() - begun;
    const offset = guest.known ? guest.value.clockOffsetMs : Number.NaN;
    expect(Math.abs(offset - aheadMs)).toBeLessThanOrEqual(tookMs);
  });

  it('takes no slow way for a wrong clock', async () => {
    transport.answer = async () => {
      const early = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return seen().replace(/clockMs=.*/, `clockMs=${early + 5}`);
    };
    expect(await guestOf()).toMatchObject({ value: { clockOffsetMs: 0 } });
  });
});

describe('acts', () => {
  const configure = (act = ACT, call = CALL) => machine.configure(TARGET, act, new Secret('THE-TOKEN'), call);
  const start = () => machine.startService(TARGET, ACT, CALL);

  it('hand a secret over by standard input alone', async () => {
    transport.answer = () => done('success exited 0', { kind: 'configured', agentId: 7 });
    expect(await configure()).toEqual({ kind: 'configured', agentId: 7 });
    const [command] = transport.commands;
    expect(command?.argv.join(' ')).toMatch(/^sudo -n \/bin\/bash -s -- act op:1:configure 3 20 [0-9a-f-]{36}( \d+){5}$/);
    expect(Buffer.from(command?.input ?? []).toString()).toContain('THE-TOKEN');
    expect(command?.input?.length).toBeLessThan(2 * 1024 * 1024);
    expect(command?.deadlineMs).toBeGreaterThan(ACT.deadlineMs);
  });

  it.each(['', 'a b', 'ü', '$x', 'a/b', 'x'.repeat(121)])('refuse %j as a key before anything is run', async (key) => {
    expect((await failureOf(configure({ ...ACT, key }))).kind).toBe('protocol');
    expect(transport.commands).toEqual([]);
  });

  it.each([
    [answered({ kind: 'refused-late', holder64: base64('op 2') }), { kind: 'refused-late', holder: 'op 2' }],
    [answered({ kind: 'refused-in-progress', holder64: base64('op 2') }), { kind: 'refused-in-progress', holder: 'op 2' }],
    [done('success exited 75', { kind: 'refused-busy', evidence64: base64('a job') }), { kind: 'refused-busy', evidence: 'a job' }],
    [
      done('success exited 75', { exitCode: 1, kind: 'not-configured', evidence64: base64('NotFound') }),
      { kind: 'not-configured', exitCode: 1, evidence: 'NotFound', reason: 'other' },
    ],
    [
      done('success exited 75', { exitCode: 1, kind: 'not-configured', evidence64: base64('NotFound'), reason: 'token-refused' }),
      { kind: 'not-configured', exitCode: 1, evidence: 'NotFound', reason: 'token-refused' },
    ],
    [
      done('success exited 75', { kind: 'refused-no-package', evidence64: base64('there is none') }),
      { kind: 'refused-unfit', evidence: 'there is none' },
    ],
  ])('give refusals as values', async (stdout, value) => {
    transport.answer = () => stdout;
    expect(await configure()).toEqual(value);
  });

  it('say in which state a service stayed', async () => {
    transport.answer = () => done('success exited 75', { unit: '', state: 'missing', kind: 'not-started', evidence64: base64('why') });
    expect(await start()).toEqual({ kind: 'not-started', unit: null, state: 'missing', evidence: 'why' });
  });

  it.each([
    ['timeout killed TERM', 'configure on vm did not end within 20 s'],
    ['success killed TERM', 'configure on vm ended with success killed TERM'],
    ['exit-code exited 1', 'configure on vm ended with exit-code exited 1'],
    ['signal killed KILL', 'configure on vm ended with signal killed KILL'],
  ])('take %s for no success', async (record, message) => {
    transport.answer = () => done(record, { kind: 'configured', agentId: 7 }, 'last words with ghs_0123456789abcdefghij0123\n');
    expect(await failureOf(configure())).toMatchObject({ kind: 'act-failed', message, evidence: 'last words with [secret]' });
  });

  it('take a guest without an answer for unreachable, and tell its last words', async () => {
    transport.answer = () => ({ exitCode: 1, stdout: '', stderr: 'runward: received 3 of the 5 bytes of lib.sh: nothing was done\n' });
    expect(await failureOf(configure())).toMatchObject({
      kind: 'unreachable',
      message: 'configure: the guest of vm gave no answer (exit code 1)',
      evidence: 'runward: received 3 of the 5 bytes of lib.sh: nothing was done',
    });
  });

  it.each([
    ['of another step', { kind: 'discarded', files64: '' }],
    ['without its number', { kind: 'configured' }],
    ['without anything', {}],
  ])('do not guess at an answer %s', async (_, output) => {
    transport.answer = () => done('success exited 0', output);
    expect((await failureOf(configure())).kind).toBe('protocol');
  });

  it('are cancelled in the guest, by their key and this very attempt, when the call is aborted', async () => {
    const controller = new AbortController();
    const reason = new Error('because');
    transport.answer = (command, { signal }) => {
      if (command.step === 'cancel') return answered({ kind: 'cancelled' });
      controller.abort(reason);
      return Promise.reject(signal.reason);
    };
    await expect(configure(ACT, { ...CALL, signal: controller.signal })).rejects.toBe(reason);
    const [act, cancel] = transport.commands.map(({ argv }) => argv);
    expect(cancel?.slice(5)).toEqual(['cancel', ACT.key, act?.[9]]);
  });

  it('reject with the reason of the signal also where they cannot be cancelled', async () => {
    const controller = new AbortController();
    const reason = new Error('because');
    transport.answer = (command, { signal }) => {
      controller.abort(reason);
      return Promise.reject(command.step === 'cancel' ? new MachineError('unreachable', 'gone') : signal.reason);
    };
    await expect(configure(ACT, { ...CALL, signal: controller.signal })).rejects.toBe(reason);
  });

  it('go on in the guest where their call is only given up', async () => {
    const controller = new AbortController();
    const reason = new CallGivenUp('the worker shuts down');
    transport.answer = () => {
      controller.abort(reason);
      return Promise.reject(reason);
    };
    await expect(configure(ACT, { ...CALL, signal: controller.signal })).rejects.toBe(reason);
    expect(transport.commands.map(({ step }) => step)).toEqual(['configure']);
  });

  it('are left alone in the guest where only their client is lost', async () => {
    transport.answer = () => Promise.reject(new MachineError('unreachable', 'lost'));
    await failureOf(configure());
    expect(transport.commands.map(({ step }) => step)).toEqual(['configure']);
  });
});

describe('caches and disks', () => {
  const records = (...texts: readonly string[]): string => base64(texts.map((text) => `${text}\0`).join(''));
  const looked = (output: Readonly<Record<string, string | number>>): string => answered({ kind: 'done', output64: base64(lines(output)) });
  const given = (): string => Buffer.from(transport.commands[0]?.input ?? []).toString();

  const LISTED = {
    bytes: 900,
    entries: 4,
    foundBytes: 800,
    foundEntries: 3,
    found64: records('500 60 o/a/v1', '200 - o/b/a\n b ', '100 0 -'),
    damage64: records('empty root 700 no o/a/v1'),
  };
  const REMOVED = {
    kind: 'removed',
    isAll: 'no',
    entries: 2,
    bytes: 700,
    unmeasured: 1,
    names64: records('o/a/v1', ' o/b'),
    damage64: records('unreadable root 700 yes o/a/v1', 'missing - - no  o/b/v 1'),
    freeBytes: 5_000,
    freeInodes: 70,
  };
  const ROOM = { kind: 'made', bytes: 300, items: 2, disk: '81% 123456 7' };
  const list = () => machine.listCache(TARGET, { kind: 'all' }, CALL);
  const remove = () => machine.removeFromCache(TARGET, ACT, { kind: 'all' }, UNPAUSED, CALL);
  const makeRoom = () => machine.makeRoom(TARGET, ACT, { source: 'journal', unusedForMs: 1_500, journalBytes: 9_000 }, UNPAUSED, CALL);
  const listWorkspaces = () => machine.listWorkspaces(TARGET, CALL);

  it('are asked in whole seconds, and by paths that may hold anything', async () => {
    transport.answer = () => looked(LISTED);
    await machine.listCache(
      TARGET,
      {
        kind: 'damaged',
        named: [
          { path: 'o/a/v1', lacks: 'entry' },
          { path: 'a\n=b', lacks: 'file' },
        ],
      },
      CALL,
    );
    expect(given()).toMatch(/\nkind=damaged\nnamed64=[A-Za-z0-9\\+/]+\n/);
    expect(given()).toContain(base64('entry o/a/v1\0file a\n=b\0').replaceAll('=', '\\x3d'));
    transport.commands.length = 0;
    await machine.listCache(TARGET, { kind: 'unused', forMs: 1_001 }, CALL);
    expect(given()).toContain('kind=unused\nunused_seconds=2\n');
    transport.commands.length = 0;
    transport.answer = () => done('success exited 0', ROOM);
    await makeRoom();
    expect(given()).toContain('source=journal\nunused_seconds=2\njournal_bytes=9000\n');
  });

  it('are listed by the very names, and null where nobody knows', async () => {
    transport.answer = () => looked(LISTED);
    expect(await list()).toEqual({
      bytes: 900,
      entries: 4,
      foundBytes: 800,
      foundEntries: 3,
      found: [
        { path: 'o/a/v1', bytes: 500, unusedMs: 60_000 },
        { path: 'o/b/a\uFFFD b ', bytes: 200, unusedMs: null },
        { path: '-', bytes: 100, unusedMs: 0 },
      ],
      damage: [{ path: 'o/a/v1', state: 'empty', owner: 'root', mode: '700', isImmutable: false }],
    });
    transport.answer = () => looked({ workspaces64: records('70 wid gets', '0 x', '- -') });
    expect(await listWorkspaces()).toEqual([
      { name: 'wid gets', bytes: 70 },
      { name: 'x', bytes: 0 },
      { name: '-', bytes: null },
    ]);
    transport.answer = () => looked({ workspaces64: '' });
    expect(await listWorkspaces()).toEqual([]);
  });

  it('tell what was removed, and what it looked like', async () => {
    transport.answer = () => done('success exited 0', REMOVED);
    expect(await remove()).toEqual({
      kind: 'removed',
      isAll: false,
      entries: 2,
      bytes: 700,
      unmeasured: 1,
      names: ['o/a/v1', ' o/b'],
      damage: [
        { path: 'o/a/v1', state: 'unreadable', owner: 'root', mode: '700', isImmutable: true },
        { path: ' o/b/v 1', state: 'missing', owner: null, mode: null, isImmutable: false },
      ],
      freeBytes: 5_000,
      freeInodes: 70,
    });
    transport.answer = () => done('success exited 0', { ...REMOVED, isAll: 'yes', freeInodes: '', names64: '', damage64: '' });
    expect(await remove()).toMatchObject({ isAll: true, freeInodes: null, names: [], damage: [] });
  });

  it('tell what room was made, less than none too, or why there is none', async () => {
    const disk = { usedPercent: 81, freeBytes: 123_456, inodesUsedPercent: 7 };
    transport.answer = () => done('success exited 0', { ...ROOM, bytes: -300 });
    expect(await makeRoom()).toEqual({ kind: 'made', bytes: -300, items: 2, disk });
    transport.answer = () => done('success exited 0', { kind: 'nothing', why64: base64('no journal here'), disk: '81% 123456 ' });
    expect(await makeRoom()).toEqual({ kind: 'nothing', why: 'no journal here', disk: { ...disk, inodesUsedPercent: null } });
    transport.answer = () => done('success exited 75', { kind: 'refused-busy', evidence64: base64('a job') });
    expect(await makeRoom()).toEqual({ kind: 'refused-busy', evidence: 'a job' });
  });

  it('take of a list that was cut what is whole of it', async () => {
    transport.answer = () => looked({ ...LISTED, found64: base64('500 60 o/a/v1\u0000200 - o/b') });
    expect(await list()).toMatchObject({ foundEntries: 3, found: [{ path: 'o/a/v1' }] });
    transport.answer = () => done('success exited 0', { ...REMOVED, names64: base64('o/a/v1\0 o/') });
    expect(await remove()).toMatchObject({ entries: 2, names: ['o/a/v1'] });
  });

  it.each([
    ['of a list without its figures', list, looked({ found64: LISTED.found64 })],
    ['of a list that was cut off at its head', list, looked({ foundEntries: 3, found64: LISTED.found64 })],
    ['of a list with a size that is none', list, looked({ ...LISTED, found64: records('many 60 o/a/v1') })],
    ['of a list with a record of other fields', list, looked({ ...LISTED, found64: records('o/a/v1') })],
    ['of workspaces without their list', listWorkspaces, looked({})],
    ['of workspaces with a negative size', listWorkspaces, looked({ workspaces64: records('-1 x') })],
    [
      'of damage in words of another version',
      remove,
      done('success exited 0', { ...REMOVED, damage64: records('melted root 700 no o/a') }),
    ],
    ['of a removal that does not say whether all went', remove, done('success exited 0', { ...REMOVED, isAll: '' })],
    ['of room without the disk', makeRoom, done('success exited 0', { ...ROOM, disk: '' })],
    ['of another act', makeRoom, done('success exited 0', REMOVED)],
  ])('do not guess at an answer %s', async (_, call, stdout) => {
    transport.answer = () => stdout;
    expect((await failureOf(call())).kind).toBe('protocol');
  });
});

describe('takeFence', () => {
  it('tells the holder in plain letters', async () => {
    transport.answer = () => answered({ kind: 'taken', fence: 4 });
    expect(await machine.takeFence(TARGET, 'recover/ö\n$(x)', { isRecovery: false }, CALL)).toEqual({ kind: 'taken', fence: 4 });
    const input = Buffer.from(transport.commands[0]?.input ?? []).toString();
    expect(input.endsWith('recover/??$(x)')).toBe(true);
  });

  it('names who holds it', async () => {
    transport.answer = () => answered({ kind: 'refused-in-progress', holder64: base64('op 1') });
    expect(await machine.takeFence(TARGET, 'op 2', { isRecovery: false }, CALL)).toEqual({ kind: 'refused-in-progress', holder: 'op 1' });
  });
});

describe('packages', () => {
  const BYTES = 1_500_000;
  const archive = randomBytes(BYTES);
  const WANTED = { version: '2.337.0', filename: 'f', address: 'https://github.com/f', sha256: 'a'.repeat(64), leastFreeBytes: 5 };
  let folder: string;
  let stored: Buffer;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'runward-archive-'));
    writeFileSync(join(folder, 'archive'), archive);
    stored = Buffer.alloc(0);
    // A guest that takes what is the next piece.
    transport.answer = ({ argv, input = new Uint8Array() }) => {
      const text = Buffer.from(input).toString('latin1');
      const parameter = (name: string) => Number(new RegExp(`^${name}=(\\d+)$`, 'm').exec(text)?.[1]);
      const length = Number(argv.at(-1));
      const piece = Buffer.from(length === 0 ? '' : text.slice(-length), 'base64');
      expect(piece.length).toBe(parameter('piece_bytes'));
      if (parameter('offset') === stored.length) stored = Buffer.concat([stored, piece]);
      return stored.length === BYTES
        ? done('success exited 0', { kind: 'fetched', version: '2.337.0' })
        : done('success exited 75', { kind: 'more', have: stored.length });
    };
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const pass = () => machine.passPackage(TARGET, ACT, WANTED, { path: join(folder, 'archive'), bytes: BYTES }, CALL);

  it.each([0, 1, 720_896, 1_400_000])('go to the guest in pieces below 1 MiB, from %i bytes on that are there', async (there) => {
    stored = Buffer.from(archive.subarray(0, there));
    expect(await pass()).toEqual({ kind: 'fetched', version: '2.337.0' });
    expect(stored.equals(archive)).toBe(true);
    expect(transport.commands.every(({ input }) => (input?.length ?? 0) < 1024 * 1024)).toBe(true);
    const keys = transport.commands.map(({ argv }) => argv[6]);
    expect(new Set(keys).size).toBe(keys.length);
    expect(transport.commands).toHaveLength(1 + Math.ceil((BYTES - there) / 720_896));
  });

  it('end where the guest takes none, or refuses', async () => {
    transport.answer = () => done('success exited 75', { kind: 'more', have: 0 });
    expect(await failureOf(pass())).toMatchObject({ kind: 'protocol', message: 'store-piece: vm takes no piece' });
    transport.answer = () => done('success exited 75', { kind: 'not-fetched', reason: 'no-room', evidence64: base64('1 MiB is free') });
    expect(await pass()).toEqual({ kind: 'not-fetched', reason: 'no-room', evidence: '1 MiB is free' });
    transport.answer = () => answered({ kind: 'refused-late', holder64: base64('op 2') });
    expect(await pass()).toEqual({ kind: 'refused-late', holder: 'op 2' });
  });

  it.each([null, 'http://github.com/f', 'http://127.0.0.1/f', 'ftp://github.com/f', 'file:///etc/shadow', '-o/etc/shadow'])(
    'are not asked of a guest from %s',
    async (address) => {
      expect(await machine.fetchPackage(TARGET, ACT, { ...WANTED, address }, CALL)).toMatchObject({
        kind: 'not-fetched',
        reason: 'no-way',
      });
      expect(transport.commands).toEqual([]);
    },
  );

  it('are asked of a guest over https, and over http from where it is registered', async () => {
    transport.answer = () => done('success exited 0', { kind: 'kept', version: '2.337.0' });
    expect(await machine.fetchPackage(TARGET, ACT, WANTED, CALL)).toEqual({ kind: 'kept', version: '2.337.0' });
    const lab = { ...TARGET, registrationUrl: 'http://10.0.2.2:1/o/r' };
    expect(await machine.fetchPackage(lab, ACT, { ...WANTED, address: 'http://10.0.2.2:1/f' }, CALL)).toMatchObject({ kind: 'kept' });
    expect(await machine.fetchPackage(lab, ACT, { ...WANTED, address: 'http://10.0.2.2:2/f' }, CALL)).toMatchObject({
      kind: 'not-fetched',
    });
  });
});
