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
const machine = { restartService } as unknown as MachinePort;
const acts = createActActivities(machine, createSealing(Buffer.alloc(32)), { archiveOf: async () => ({ path: '/nowhere', bytes: 0 }) });

const restart = (busyAskedAt: number, force = false) =>
  new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: SCHEDULED_AT }, { client }).run(acts.restartService.bind(acts), {
    target: target(),
    key: 'k',
    fence: 1,
    deadlineMs: 10_000,
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
    [target(), { key: 'k', fence: 1 }, { force: false }, {}],
    [target(), { key: 'k', fence: 1 }, { force: true }, {}],
  ]);
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
