import { Client, Connection } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_FINDING_POLICY, DEFAULT_UPKEEP_POLICY } from '../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../../src/domain/queue/policy.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import type { ActActivities, ActInput, LookActivities, MainActivities } from '../../src/activities/contract.ts';
import { createSealing } from '../../src/activities/sealing.ts';
import { activitiesOf, type WorkerParts } from '../../src/worker/workers.ts';
import { target } from '../kit/observations.ts';

type All = MainActivities & LookActivities & ActActivities;

/** What names nothing that could be configured: it is looked up by the activity itself, or is nobody's. */
type Unguarded = 'resolveQueue' | 'resolveRunner' | 'resolveScope' | 'listRunners' | 'alertChannels' | 'readReservation' | 'readLedger';
const UNGUARDED: readonly Unguarded[] = [
  'resolveQueue',
  'resolveRunner',
  'resolveScope',
  'listRunners',
  'alertChannels',
  'readReservation',
  'readLedger',
];
type Guarded = Exclude<keyof All, Unguarded>;
type Inputs = { readonly [Name in Guarded]: Parameters<All[Name]>[0] };

const OURS = target();
const { failures } = DEFAULT_UPKEEP_POLICY;
const policy = DEFAULT_QUEUE_POLICY;

/** Every activity that is given a scope, a runner or a target; a new one is missed by the compiler until it stands here. */
function inputs(at: RunnerTarget): Inputs {
  const { scope, runner } = at;
  const act: ActInput = { target: at, key: 'k', fence: 1, deadlineMs: 1_000 };
  const token = { keyId: 'k', nonce: 'n', sealed: 's' };
  const busy = { pause: null, force: true, busyAskedAt: 0, busyAnswerMaxAgeMs: 0 };
  const registered = { id: 1, name: runner, status: 'online', busy: false, labels: [], version: null, group: null };
  const configured = [{ name: runner, labels: ['self-hosted'] }];
  const organisation = { scope, configured: [{ name: runner, labels: ['self-hosted'], group: null }] };
  const reported = { scope, at: 0, seen: [], good: [], goodPasses: 3 };
  const packageWanted = { version: '2.337.0', filename: 'f', address: null, sha256: '', leastFreeBytes: 0 };
  const cacheWanted = { kind: 'all' } as const;
  return {
    observeGitHub: { target: at },
    requestRegistrationToken: { target: at },
    takeLabelsAway: { target: at, id: 1, remembered: [] },
    giveLabelsBack: { target: at, id: 1, labels: ['l'] },
    countPlainJobs: { target: at, runner: registered },
    findRegistration: { target: at, agentId: 1 },
    awaitOnline: { target: at, agentId: 1, deadline: 0, pollMs: 1 },
    isLockHeld: { lockId: `machine/${at.host}/${at.machine}`, lockRunId: 'r' },
    inspectLock: { lockId: `machine/${at.host}/${at.machine}`, asking: { workflowId: 'w', runId: 'r' } },
    inspectCures: { targets: [at] },
    observeScope: { scope, runners: [runner], readsGroups: false, runsRead: 1, setAside: [] },
    reportFindings: reported,
    deliverAlert: {
      channel: 'webhook',
      message: {
        id: 'm',
        state: 'opened',
        text: 't',
        since: 's',
        at: 'a',
        code: 'service-down',
        severity: 'critical',
        summary: 's',
        evidence: 'e',
        advice: 'a',
        subject: scope,
        scope,
        runner: null,
        host: null,
      },
    },
    readQueuePart: { scope, from: null, pages: 1 },
    readQueue: { scope, configured, organisation, pages: 1, counted: [] },
    readQueueRunners: { scope, configured, organisation },
    readJobsOfRuns: { scope, runs: [[1, 1, null]] },
    readTags: { scope, names: [{ name: 'v1', pushedAt: 0 }] },
    cancelBatch: {
      scope,
      items: [],
      offered: [],
      silent: [],
      defaultBranch: null,
      silences: [],
      pressed: [],
      reruns: [],
      mayBeDone: false,
      policy,
    },
    followBatch: { scope, runs: [], policy },
    rerunBatch: {
      scope,
      runs: [],
      due: [],
      rules: { parking: policy.parking, superseded: policy.rules.superseded },
    },
    recallQueue: { scope },
    rememberParked: { scope, runs: [], policy: policy.parking },
    settleParked: { scope, cancelled: [], settled: [] },
    inspectFailures: { scope, runners: [{ runner, directory: at.directory }], known: [], policy: failures },
    recallFailures: { scope },
    rerunJobs: { scope, run: 1, attempt: 1, plan: { kind: 'failed-jobs' }, doubtMs: 1 },
    observeMachine: { target: at },
    observeMachines: { targets: [at], machineLookMs: 1, serverUrl: 'https://github.com' },
    listCache: { target: at, wanted: cacheWanted },
    listWorkspaces: { target: at },
    startMachine: { target: at },
    restartMachine: { target: at, ...busy },
    takeFence: { target: at, holder: 'h', isRecovery: true },
    pauseRunner: { ...act, purpose: 'drain' },
    letGo: { ...act, purpose: 'drain' },
    syncClock: { ...act, ...busy },
    setConfigurationAside: { ...act, ...busy, token },
    configureRunner: { ...act, token, shownLabels: [] },
    startService: act,
    restartService: { ...act, ...busy },
    restoreConfiguration: { ...act, ...busy },
    discardAside: act,
    markDrained: { ...act, reason: 'r', by: 'person' },
    pauseAfterJob: act,
    stopRunner: { ...act, ...busy },
    unmarkDrained: act,
    removeFromCache: { ...act, wanted: cacheWanted, ...busy },
    makeRoom: { ...act, ...busy, wanted: { source: 'apt', unusedForMs: 0, journalBytes: 0 } },
    findPackage: { target: at, architecture: 'x64' },
    fetchPackage: { ...act, wanted: packageWanted },
    passPackage: { ...act, wanted: packageWanted },
  };
}

/** What the activities asked for beside their input. */
const asked: string[] = [];

/** Answers every method with nothing, and notes that it was asked. */
function recording<Port extends object>(what: string): Port {
  return new Proxy({} as Port, { get: (_port, method) => () => asked.push(`${what}.${String(method)}`) });
}

const machine = recording<NonNullable<WorkerParts['host']>['machine']>('machine');
const activities = activitiesOf({
  main: {
    github: recording('github'),
    directory: recording('directory'),
    alerts: {
      channels: [{ name: 'webhook', deliver: async () => void asked.push('webhook') }],
      policy: DEFAULT_FINDING_POLICY,
      hostOf: () => null,
      linkTo: () => null,
    },
  },
  host: { name: OURS.host, machine, computer: recording('computer'), packages: recording('packages') },
  sealing: { seal: () => ({ keyId: '', nonce: '', sealed: '' }), open: () => asked.push('sealing') as never },
  runners: () => [OURS, target({ scope: 'acme', runner: 'r2', machine: 'm2', directory: '/opt/r2' })],
});
const all = { ...activities.main, ...activities.host?.looks, ...activities.host?.acts } as unknown as Record<
  string,
  (input: unknown) => Promise<unknown>
>;
const guarded = Object.keys(inputs(OURS)) as Guarded[];

const SILENT = new DefaultLogger('ERROR', () => {});

/** Of no server. */
const client = new Client({ connection: Connection.lazy({ address: '127.0.0.1:9' }) });

function call(name: string, input: unknown): Promise<unknown> {
  return new MockActivityEnvironment({ attempt: 1 }, { client, logger: SILENT }).run(async () => all[name]!(input));
}

function changed(name: Guarded, replaced: Partial<RunnerTarget>): unknown {
  return inputs({ ...OURS, ...replaced })[name];
}

beforeEach(() => {
  asked.length = 0;
});

test('each activity is here, or names nothing', () => {
  expect(Object.keys(all).toSorted()).toEqual([...guarded, ...UNGUARDED].toSorted());
});

describe('what is not configured is refused before anybody is asked', () => {
  const foreign = { scope: 'victim/other-repo', runner: 'r9', machine: 'm9', directory: '/etc' };

  test.each(guarded)('%s', async (name) => {
    await expect(call(name, changed(name, foreign))).rejects.toMatchObject({
      type: 'InvalidInput',
      nonRetryable: true,
      message: expect.stringMatching(/(victim\/other-repo|m9).* not configured/),
    });
    expect(asked).toEqual([]);
  });

  const targeted = guarded.filter((name) => /"directory":"\/opt\/actions-runner","user"/.test(JSON.stringify(inputs(OURS)[name])));

  test.each<[string, Partial<RunnerTarget>]>([
    ['directory', { directory: '/etc' }],
    ['user', { user: 'root' }],
    ['machine', { machine: 'm2' }],
    ['host', { host: 'attic' }],
    ['registrationUrl', { registrationUrl: 'https://github.com/victim/other-repo' }],
  ])('a configured runner with another %s', async (field, replaced) => {
    expect(targeted.length).toBeGreaterThan(20);
    for (const name of targeted) {
      await expect(call(name, changed(name, replaced)), name).rejects.toMatchObject({
        type: 'InvalidInput',
        message: expect.stringContaining(`${field} `),
      });
    }
    expect(asked).toEqual([]);
  });

  test('a scope with what is no name, and an input that is none', async () => {
    for (const scope of [null, undefined, 7, ['acme/kernel'], { toString: () => 'acme/kernel' }]) {
      await expect(call('recallQueue', { scope })).rejects.toMatchObject({ type: 'InvalidInput' });
    }
    await expect(call('observeMachine', { target: null })).rejects.toMatchObject({ type: 'InvalidInput' });
    await expect(call('observeMachine', null)).rejects.toMatchObject({ type: 'InvalidInput' });
    await expect(call('observeMachine', { target: 'acme/kernel/r1' })).rejects.toMatchObject({ type: 'InvalidInput' });
    await expect(call('observeMachines', { targets: 'all' })).rejects.toMatchObject({ type: 'InvalidInput' });
    expect(asked).toEqual([]);
  });

  test("another host's machine, another server, and another runner's cache", async () => {
    await expect(call('startService', { ...inputs(OURS).startService, target: target({ host: 'attic' }) })).rejects.toThrow('attic');
    const elsewhere = { ...inputs(OURS).observeMachines, serverUrl: 'http://169.254.169.254/latest' };
    await expect(call('observeMachines', elsewhere)).rejects.toThrow('169.254.169.254');
    const cache = { ...inputs(OURS).inspectFailures, runners: [{ runner: 'r1', directory: '/etc' }] };
    await expect(call('inspectFailures', cache)).rejects.toThrow('/etc');
    await expect(call('observeScope', { ...inputs(OURS).observeScope, runners: ['r2'] })).rejects.toThrow('r2');
    expect(asked).toEqual([]);
  });
});

test('a target is the one of the configuration, whatever labels, group and neighbours its caller names', async () => {
  const seen: unknown[] = [];
  const { host } = activitiesOf({
    main: null,
    host: {
      name: OURS.host,
      machine: { startService: async (...given: unknown[]) => void seen.push(given[0]) } as never,
      computer: recording('computer'),
      packages: recording('packages'),
    },
    sealing: createSealing(Buffer.alloc(32)),
    runners: () => [OURS],
  });
  const claimed = { ...OURS, labels: ['deploy-prod'], group: 'prod', neighbours: [{ scope: 'victim/other-repo', runner: 'r9' }] };
  const input = { ...inputs(OURS).startService, target: claimed };
  await new MockActivityEnvironment({ attempt: 1 }, { client, logger: SILENT }).run(async () => host!.acts.startService(input));
  expect(seen).toEqual([OURS]);
});
