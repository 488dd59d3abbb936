import { Client, Connection } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test, vi } from 'vitest';
import { createActActivities, createLookActivities } from '../../src/activities/machine.ts';
import { createSealing } from '../../src/activities/sealing.ts';
import type { HostLook } from '../../src/domain/pass.ts';
import type { MachinePort, ObserveAll } from '../../src/machine/port.ts';
import { target } from '../kit/observations.ts';

/** Of no server: it is asked after a cancellation alone. */
const client = new Client({ connection: Connection.lazy({ address: '127.0.0.1:9' }) });
const SCHEDULED_AT = 1_000_000;
const restartService = vi.fn<MachinePort['restartService']>(async () => ({ kind: 'started', unit: 'u' }));
const machine = {
  restartService,
  restoreConfiguration: async () => ({ kind: 'restored', files: [] }),
  restart: async (_name: string, mayStop: () => Promise<boolean>) =>
    (await mayStop()) ? { kind: 'running' } : { kind: 'given-up', evidence: 'e' },
} as unknown as MachinePort;
const acts = createActActivities(machine, createSealing(Buffer.alloc(32)), { archiveOf: async () => ({ path: '/nowhere', bytes: 0 }) });

const restart = (busyAskedAt: number, force = false) =>
  new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: SCHEDULED_AT }, { client }).run(acts.restartService.bind(acts), {
    target: target(),
    key: 'k',
    fence: 1,
    deadlineMs: 10_000,
    pause: null,
    force,
    busyAskedAt,
    busyAnswerMaxAgeMs: 30_000,
  });

test("a service is not restarted on an old word of GitHub's, unless by force", async () => {
  expect(await restart(SCHEDULED_AT - 30_001)).toMatchObject({ value: { kind: 'ask-again' } });
  expect(restartService).not.toHaveBeenCalled();
  expect(await restart(SCHEDULED_AT - 30_000)).toMatchObject({ value: { kind: 'started' } });
  expect(await restart(0, true)).toMatchObject({ value: { kind: 'started' } });
  expect(restartService.mock.calls).toMatchObject([
    [target(), { key: 'k', fence: 1 }, { pause: null, force: false }, {}],
    [target(), { key: 'k', fence: 1 }, { pause: null, force: true }, {}],
  ]);
});

test('no act that stops something hangs on an old word of GitHub, but for putting a configuration back where no listener lives', async () => {
  const old = { busyAskedAt: SCHEDULED_AT - 30_001, busyAnswerMaxAgeMs: 30_000 };
  const input = { target: target(), key: 'k', fence: 1, deadlineMs: 10_000, pause: { unread: '' }, force: false, ...old };
  const token = { keyId: 'k', nonce: 'n', sealed: 's' };
  const more = { token, wanted: { kind: 'all', source: 'apt', unusedForMs: 0, journalBytes: 0 } as never };
  const STOPPING = [
    'syncClock',
    'setConfigurationAside',
    'restartService',
    'restoreConfiguration',
    'stopRunner',
    'removeFromCache',
    'makeRoom',
  ] as const;
  const environment = () => new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: SCHEDULED_AT }, { client });
  for (const act of STOPPING) {
    const ended: unknown = await environment().run(acts[act].bind(acts) as (given: object) => Promise<unknown>, { ...input, ...more });
    expect(ended, act).toMatchObject({ value: { kind: 'ask-again' } });
  }
  expect(await environment().run(acts.restartMachine.bind(acts), { target: target(), ...old })).toMatchObject({
    value: { kind: 'ask-again' },
  });
  expect(await environment().run(acts.restoreConfiguration.bind(acts), { ...input, pause: null })).toMatchObject({
    value: { kind: 'restored' },
  });
});

test('power is not cut for an operation whose end can not be ruled out', async () => {
  const fresh = { target: target(), busyAskedAt: SCHEDULED_AT, busyAnswerMaxAgeMs: 30_000, lockId: 'lock', lockRunId: 'run' };
  const asked: unknown[] = [];
  const environment = (statusOf: (workflowId: string) => string) =>
    new MockActivityEnvironment(
      { currentAttemptScheduledTimestampMs: SCHEDULED_AT, workflowExecution: { workflowId: 'operation', runId: 'first' } },
      {
        client: {
          withAbortSignal: <T>(_signal: AbortSignal, ask: () => Promise<T>) => ask(),
          workflow: {
            getHandle: (workflowId: string, runId: string) => ({
              describe: async () => {
                asked.push([workflowId, runId]);
                return { status: { name: statusOf(workflowId) }, raw: {} };
              },
            }),
          },
        } as unknown as Client,
      },
    );
  const restartMachine = acts.restartMachine.bind(acts);
  expect(await environment(() => 'RUNNING').run(restartMachine, fresh)).toMatchObject({ value: { kind: 'running' } });
  expect(asked).toEqual([
    ['operation', 'first'],
    ['lock', 'run'],
  ]);
  for (const ended of ['operation', 'lock']) {
    const statusOf = (workflowId: string) => (workflowId === ended ? 'TERMINATED' : 'RUNNING');
    expect(await environment(statusOf).run(restartMachine, fresh)).toMatchObject({ value: { kind: 'given-up' } });
  }
  const unknown = environment(() => {
    throw new Error('Temporal does not answer');
  });
  expect(await unknown.run(restartMachine, fresh)).toMatchObject({ value: { kind: 'ask-again' } });
});

test("power is cut on a fresh word of GitHub's at each stop, however long the attempt waited or worked before it", async () => {
  const ACTIVITY = 'restart-1';
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const fresh = { target: target(), busyAskedAt: SCHEDULED_AT, busyAnswerMaxAgeMs: 30_000 };
  /** Stops that come so long after the start of the attempt, which had waited for so long. */
  const stops = async (waitedMs: number, ...afterMs: readonly number[]): Promise<unknown> => {
    const startedAt = SCHEDULED_AT + waitedMs;
    const pendingActivities = [
      { activityId: 'another', lastStartedTime: { seconds: 9_999_999, nanos: 0 } },
      { activityId: ACTIVITY, lastStartedTime: { seconds: Math.floor(startedAt / 1_000), nanos: (startedAt % 1_000) * 1_000_000 } },
    ];
    const description = { status: { name: 'RUNNING' }, raw: { pendingActivities } };
    const environment = new MockActivityEnvironment(
      { activityId: ACTIVITY, currentAttemptScheduledTimestampMs: SCHEDULED_AT, workflowExecution: { workflowId: 'o', runId: 'r' } },
      {
        client: {
          withAbortSignal: <T>(_signal: AbortSignal, ask: () => Promise<T>) => ask(),
          workflow: { getHandle: () => ({ describe: async () => description }) },
        } as unknown as Client,
      },
    );
    const stopping = {
      restart: async (_name: string, mayStop: () => Promise<boolean>) => {
        const begunAt = now;
        for (const after of afterMs) {
          now = begunAt + after;
          if (!(await mayStop())) {
            return { kind: 'given-up', evidence: 'e' };
          }
        }
        return { kind: 'running' };
      },
    } as unknown as MachinePort;
    const own = createActActivities(stopping, createSealing(Buffer.alloc(32)), { archiveOf: async () => ({ path: '/nowhere', bytes: 0 }) });
    const ended: Awaited<ReturnType<typeof own.restartMachine>> = await environment.run(own.restartMachine.bind(own), fresh);
    return ended.value;
  };
  try {
    expect(await stops(0, 10_000)).toEqual({ kind: 'running' });
    expect(await stops(0, 10_001)).toEqual({ kind: 'ask-again' });
    expect(await stops(4_500, 5_500)).toEqual({ kind: 'running' });
    expect(await stops(4_500, 5_501)).toEqual({ kind: 'ask-again' });
    // Told to shut down on a fresh word, and not stopped by force on an old one.
    expect(await stops(0, 9_000, 80_000)).toEqual({ kind: 'ask-again', mayBeDown: true });
  } finally {
    vi.restoreAllMocks();
  }
});

test('a look at all machines of a host is handed on as it is', async () => {
  const look = { machines: [], calls: 1 } as unknown as HostLook;
  const observeAll = vi.fn<ObserveAll>(async () => look);
  const wanted = { targets: [target()], machineLookMs: 45_000, serverUrl: 'https://github.com' };
  const looks = createLookActivities(machine, observeAll);
  expect(await new MockActivityEnvironment({ attempt: 2 }, { client }).run(looks.observeMachines.bind(looks), wanted)).toEqual({
    attempt: 2,
    value: look,
  });
  expect(observeAll).toHaveBeenCalledWith(wanted, { signal: expect.any(AbortSignal), heartbeat: expect.any(Function) });
});
