// A guest whose every text is an attack: a job can write most of what a look reads, and whoever is root there all of it.

import { afterEach, describe, expect, test, vi } from 'vitest';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { Act, CallContext, MachinePort } from '../../src/machine/port.ts';
import { MachineError } from '../../src/machine/port.ts';
import { createObserveAll } from '../../src/machine/observe-all.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import type { RemoteResult, Transport } from '../../src/machine/transport.ts';
import { MultipassTransport } from '../../src/machine/transports/multipass.ts';
import { fakeMultipass, type FakeMultipass } from '../kit/fake-multipass.ts';
import { target } from '../kit/observations.ts';
import { attacked, expectPlain } from '../kit/strangers.ts';
import { BY_FORCE } from '../kit/paused.ts';

const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };
const ACT: Act = { key: 'k', fence: 1, deadlineMs: 1_000 };
const TARGET: RunnerTarget = target({ machine: 'vm' });
/** The end of what a command printed, and an error's words before it. */
const LONGEST = 2_500;
const OBSERVATION = 1_020;

type Lines = Readonly<Record<string, string>>;

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const lines = (values: Lines): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
const answered = (values: Lines): string =>
  `runward-answer\n${lines({ ...values, elapsedMs: '0', clockMs: String(Date.now()) })}runward-end\n`;
const done = (output: Lines, record = 'success exited 0'): string =>
  answered({ kind: 'done', record, output64: base64(lines(output)), errors64: base64('one\ntwo') });
const runner = (changes: object = {}): string =>
  base64(JSON.stringify({ agentId: 7, agentName: 'r1', gitHubUrl: 'https://github.com/acme/kernel', ...changes }));

const OBSERVED: Lines = {
  bootId: 'ea098ca3-b4ec-470e-bb2a-f116b6ca9ef3',
  uptimeMs: '3600120',
  timeSync: 'timesyncd',
  timeSyncState: 'active',
  runningAct: '',
  workersOnMachine: '1',
  unit: 'actions.runner.acme-kernel.r1.service',
  serviceState: 'active',
  startedAgo: '60',
  journal64: base64('A session for this runner already exists.'),
  workers: '0',
  listeners: '1',
  runner64: runner(),
  version: '2.336.0',
  missing64: base64('bin is missing'),
  drain64: base64('1764021600\nperson\nmaintenance'),
  cleaner64: base64('/etc/cron.d/clean:12'),
  disk: '81% 123456 7',
  work: '9000 4',
  cache: '5000 3 1',
  cleanedAgo: '60',
  altered64: base64('it runs as root'),
  architecture: 'x64',
  packageVersion: '2.337.0',
};
const LISTED: Lines = {
  bytes: '1',
  entries: '1',
  foundBytes: '1',
  foundEntries: '1',
  found64: base64('500 60 o/a/v1\0'),
  damage64: base64('empty root 700 no o/a/v1\0'),
};
const REMOVED: Lines = {
  kind: 'removed',
  isAll: 'no',
  entries: '1',
  bytes: '1',
  unmeasured: '0',
  names64: base64('o/a/v1\0'),
  damage64: base64('unreadable root 700 yes o/a/v1\0'),
  freeBytes: '5',
  freeInodes: '7',
};
const NOT_STARTED: Lines = { kind: 'not-started', unit: 'u', state: 'failed', evidence64: base64('why') };
const PACKAGE = { version: '2.337.0', filename: 'f.tar.gz', address: 'https://x/f.tar.gz', sha256: 'aa', leastFreeBytes: 1 };
const PACKAGE_SAYS: readonly Lines[] = [
  { kind: 'fetched', version: '2.337.0' },
  { kind: 'not-fetched', reason: 'no-way', evidence64: base64('why') },
];
const FORCE = BY_FORCE;
const ALL = { kind: 'all' } as const;

interface Asked {
  readonly call: (machine: ShellMachine) => Promise<unknown>;
  /** What the step may say. */
  readonly says: readonly Lines[];
}

/** Every method that reads what a guest says; a new one is missed by the compiler until it stands here. */
const METHODS: { readonly [Method in Exclude<keyof MachinePort, 'state' | 'states' | 'start' | 'restart' | 'takeFence'>]: Asked } = {
  observe: { call: (machine) => machine.observe(TARGET, CALL), says: [OBSERVED] },
  syncClock: { call: (machine) => machine.syncClock(TARGET, ACT, FORCE, CALL), says: [{ kind: 'synced', source: 'ntp' }] },
  setConfigurationAside: {
    call: (machine) => machine.setConfigurationAside(TARGET, ACT, FORCE, CALL),
    says: [{ kind: 'set-aside', agentId: '7', files64: base64('.runner\n') }],
  },
  configure: {
    call: (machine) => machine.configure(TARGET, ACT, new Secret('t'), CALL),
    says: [
      { kind: 'configured', agentId: '7' },
      { kind: 'not-configured', exitCode: '1', evidence64: base64('why') },
    ],
  },
  startService: {
    call: (machine) => machine.startService(TARGET, ACT, CALL),
    says: [{ kind: 'started', unit: 'u' }, NOT_STARTED, { kind: 'not-paused', evidence64: base64('why') }],
  },
  restartService: {
    call: (machine) => machine.restartService(TARGET, ACT, FORCE, CALL),
    says: [{ kind: 'started', unit: 'u' }, NOT_STARTED],
  },
  restoreConfiguration: {
    call: (machine) => machine.restoreConfiguration(TARGET, ACT, FORCE, CALL),
    says: [{ kind: 'restored', files64: base64('.runner\n') }],
  },
  discardAside: { call: (machine) => machine.discardAside(TARGET, ACT, CALL), says: [{ kind: 'discarded', files64: base64('.runner\n') }] },
  markDrained: { call: (machine) => machine.markDrained(TARGET, ACT, { by: 'person', reason: 'r' }, CALL), says: [{ kind: 'marked' }] },
  pause: {
    call: (machine) => machine.pause(TARGET, ACT, { purpose: 'drain' }, CALL),
    says: [
      { kind: 'paused', unread64: base64('12:3 ') },
      { kind: 'not-paused', evidence64: base64('why') },
    ],
  },
  stopService: { call: (machine) => machine.stopService(TARGET, ACT, FORCE, CALL), says: [{ kind: 'heard', unread64: base64('12:3 ') }] },
  letGo: { call: (machine) => machine.letGo(TARGET, ACT, 'drain', CALL), says: [{ kind: 'let-go' }] },
  pauseAfterJob: {
    call: (machine) => machine.pauseAfterJob(TARGET, ACT, CALL),
    says: [{ kind: 'not-waiting', evidence64: base64('why') }],
  },
  unmarkDrained: { call: (machine) => machine.unmarkDrained(TARGET, ACT, CALL), says: [{ kind: 'unmarked' }] },
  fetchPackage: { call: (machine) => machine.fetchPackage(TARGET, ACT, PACKAGE, CALL), says: PACKAGE_SAYS },
  passPackage: { call: (machine) => machine.passPackage(TARGET, ACT, PACKAGE, { path: '/dev/null', bytes: 1 }, CALL), says: PACKAGE_SAYS },
  listCache: { call: (machine) => machine.listCache(TARGET, ALL, CALL), says: [LISTED] },
  removeFromCache: { call: (machine) => machine.removeFromCache(TARGET, ACT, ALL, FORCE, CALL), says: [REMOVED] },
  makeRoom: {
    call: (machine) => machine.makeRoom(TARGET, ACT, { source: 'apt', unusedForMs: 0, journalBytes: 0 }, FORCE, CALL),
    says: [{ kind: 'nothing', why64: base64('why'), disk: '81% 1 1' }],
  },
  listWorkspaces: { call: (machine) => machine.listWorkspaces(TARGET, CALL), says: [{ workspaces64: base64('70 widgets\0') }] },
};

/** What the driver may say to any act instead. */
const REFUSALS: readonly Lines[] = [
  { kind: 'refused-late', holder64: base64('op 1') },
  { kind: 'refused-in-progress', holder64: base64('op 1') },
  { kind: 'refused-unfit', evidence64: base64('why') },
];

/** The same with an attack in one of its texts, one after the other; a text inside of base64 may hold anything. */
function attacksOn(says: Lines): readonly (readonly [name: string, attacked: Lines])[] {
  return Object.entries(says).flatMap(([name, value]) => {
    const texts = name.endsWith('64') ? attacksOnText(Buffer.from(value, 'base64').toString()).map(base64) : [attacked(value)];
    return texts.map((text) => [name, { ...says, [name]: text }] as const);
  });
}

function attacksOnText(text: string): readonly string[] {
  const behind = attacked(text);
  const record = text.endsWith('\0') ? [`${attacked(text.slice(0, -1)).replaceAll('\0', '')}\0`.repeat(300)] : [];
  const names = ['agentName', 'gitHubUrl'].map((name) => runner({ [name]: attacked('r1') }));
  const registration = text.includes('agentName') ? names.map((name) => Buffer.from(name, 'base64').toString()) : [];
  return [behind, `${behind}\n${behind}`, ...record, ...registration];
}

function machineThatSays(answer: string | RemoteResult): ShellMachine {
  return new ShellMachine({
    state: async () => 'running',
    states: async (machines) => new Map(machines.map((machine) => [machine, 'running'])),
    start: async () => {},
    restart: async () => ({ kind: 'running' }),
    exec: async () => (typeof answer === 'string' ? { exitCode: 0, stdout: answer, stderr: attacked('said') } : answer),
  } satisfies Transport);
}

async function handedOut(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => {
    if (!(error instanceof MachineError)) throw error;
    return { message: error.message, evidence: error.evidence };
  });
}

describe('hands out nothing but plain text:', () => {
  test.each(Object.entries(METHODS))('%s', async (method, { call, says }) => {
    const bare = await handedOut(call(machineThatSays(done(says[0] ?? {}))));
    expect(bare, 'what is said without an attack is understood').not.toHaveProperty('message');
    for (const [name, output] of says.flatMap(attacksOn)) {
      const seen = await handedOut(call(machineThatSays(done(output))));
      expectPlain(seen, name === 'unread64' ? 4_096 : LONGEST, `${method} ${name}`);
      if (method === 'observe') expect(JSON.stringify(seen).length, name).toBeLessThanOrEqual(OBSERVATION);
    }
    for (const output of [{ kind: attacked('refused-busy') }, { kind: 'refused-busy', evidence64: base64(attacked('a job')) }]) {
      expectPlain(await handedOut(call(machineThatSays(done(output, 'success exited 75')))), LONGEST, `${method} refused`);
    }
    for (const [name, refusal] of REFUSALS.flatMap(attacksOn)) {
      expectPlain(await handedOut(call(machineThatSays(answered(refusal)))), LONGEST, `${method} ${name} of a refusal`);
    }
    const ended = { kind: 'done', record: attacked('failed'), output64: '', errors64: base64(attacked('errors')) };
    expectPlain(await handedOut(call(machineThatSays(answered(ended)))), LONGEST, `${method} that failed`);
    expectPlain(await handedOut(call(machineThatSays(attacked('no answer')))), LONGEST, `${method} without an answer`);
  });

  test('takeFence', async () => {
    const taken = { kind: 'taken', fence: '3' };
    for (const [name, answer] of [taken, { kind: 'refused-unfinished', holder64: base64('op 1') }, ...REFUSALS].flatMap(attacksOn)) {
      expectPlain(
        await handedOut(machineThatSays(answered(answer)).takeFence(TARGET, attacked('me'), { isRecovery: true }, CALL)),
        LONGEST,
        `takeFence ${name}`,
      );
    }
  });

  test('a look at a host', async () => {
    const host = { observe: async () => ({}) as never };
    for (const answer of [attacked('no answer'), done({ ...OBSERVED, unit: attacked('u') })]) {
      const observeAll = createObserveAll(machineThatSays(answer), host);
      const { machines } = await observeAll({ targets: [TARGET], machineLookMs: 5_000, serverUrl: '' }, CALL);
      expectPlain(machines, OBSERVATION, 'machines');
      expect(machines.map((each) => JSON.stringify(each.known ? each.value : each).length <= OBSERVATION)).toEqual([true]);
    }
  });
});

test('all that a job can write of a look at once leaves it small', async () => {
  const all = {
    ...OBSERVED,
    journal64: base64(Array.from({ length: 3 }, () => `A session for this runner already exists. ${'"'.repeat(4_000)}`).join('\n')),
    runner64: runner({ agentName: '"'.repeat(6_000), gitHubUrl: '\\'.repeat(6_000) }),
    drain64: base64(`1764021600\nperson\n${attacked('"')}`),
    missing64: base64('"'.repeat(6_000)),
    version: '"'.repeat(6_000),
    altered64: base64('"'.repeat(6_000)),
    cleaner64: base64(`${'"'.repeat(6_000)}:12`),
  };
  const seen = await machineThatSays(done(all)).observe(TARGET, CALL);
  expect(seen).toMatchObject({ guest: { known: true, value: { registration: { agentId: 7 } } } });
  expect(JSON.stringify(seen).length).toBeLessThanOrEqual(OBSERVATION);
});

describe('through the client of Multipass', () => {
  let client: FakeMultipass | null = null;
  afterEach(() => {
    vi.restoreAllMocks();
    client?.close();
    client = null;
  });

  const RUNNING = JSON.stringify({ list: [{ name: 'vm', state: 'Running' }] });

  /** The longest text that any pattern was given. */
  function watchPatterns(): () => number {
    let longest = 0;
    for (const name of [Symbol.replace, Symbol.split, Symbol.matchAll, 'exec', 'test'] as const) {
      const genuine = Reflect.get(RegExp.prototype, name) as (this: RegExp, text: string, ...rest: unknown[]) => unknown;
      vi.spyOn(RegExp.prototype, name as 'exec').mockImplementation(function (this: RegExp, text: string, ...rest: unknown[]) {
        longest = Math.max(longest, text.length);
        return genuine.call(this, text, ...rest) as never;
      });
    }
    return () => longest;
  }

  test.each(['\u001B]', 'runward-answer\n', '\nrunward-exit 1', 'ghs_', '\n'])('megabytes of %j keep no worker', async (beginning) => {
    const flood = beginning.repeat(1_500_000 / beginning.length);
    client = fakeMultipass([
      { args: ['list'], stdout: RUNNING },
      { args: ['exec'], stdout: flood, stderr: flood, exitCode: 0 },
    ]);
    const transport = new MultipassTransport({ multipass: client.path, environment: { PATH: process.env['PATH'] ?? '' } });
    const longestSeen = watchPatterns();
    const seen = await new ShellMachine(transport).observe(TARGET, CALL);
    expect(longestSeen()).toBeLessThanOrEqual(65_536);
    expectPlain(seen, LONGEST, 'seen');
  });

  test.each([
    ['a state', JSON.stringify({ list: [{ name: 'vm', state: attacked('Running') }] }), ''],
    ['another JSON', JSON.stringify({ list: [{ name: 7, state: attacked('Running') }], [attacked('list')]: 1 }), ''],
    ['none', attacked('oops'), attacked('oops')],
  ])('%s is told in plain text', async (_what, stdout, stderr) => {
    client = fakeMultipass([{ args: ['list'], stdout, stderr, exitCode: stderr === '' ? 0 : 1 }]);
    const transport = new MultipassTransport({
      multipass: client.path,
      environment: { PATH: process.env['PATH'] ?? '' },
      timing: { unknownMs: 1 },
    });
    expectPlain(await handedOut(new ShellMachine(transport).observe(TARGET, CALL)), LONGEST, 'list');
    expectPlain(await handedOut(transport.start('vm', CALL)), LONGEST, 'start');
  });
});
