// Builders of what is seen; every field has a healthy value that a test replaces.

import fc from 'fast-check';
import type { HostObservation, PassObservation, QueueObservation, ScopeObservation, WaitingJobs } from '../../src/domain/pass.ts';
import { known, unknown, type Reading } from '../../src/domain/reading.ts';
import type { Look } from '../../src/domain/recovery.ts';
import {
  MACHINE_STATES,
  type GitHubObservation,
  type GuestObservation,
  type MachineObservation,
  type RegisteredRunner,
  type RunnerTarget,
} from '../../src/domain/runner.ts';

export function target(replaced: Partial<RunnerTarget> = {}): RunnerTarget {
  return {
    scope: 'acme/kernel',
    runner: 'r1',
    labels: ['bpf-lsm'],
    group: null,
    registrationUrl: 'https://github.com/acme/kernel',
    host: 'local',
    machine: 'm1',
    directory: '/opt/actions-runner',
    user: 'github-runner',
    neighbours: [],
    ...replaced,
  };
}

/** The runner of {@link target} as GitHub lists it. */
export function registered(replaced: Partial<RegisteredRunner> = {}): RegisteredRunner {
  return {
    id: 7,
    name: 'r1',
    status: 'online',
    busy: false,
    labels: ['self-hosted', 'Linux', 'X64', 'bpf-lsm'],
    version: '2.336.0',
    group: null,
    ...replaced,
  };
}

export function github(replaced: Partial<GitHubObservation> = {}): GitHubObservation {
  return {
    observedAt: 0,
    runner: registered(),
    busyNeighbours: [],
    ...replaced,
  };
}

export function guest(replaced: Partial<GuestObservation> = {}): GuestObservation {
  return {
    bootId: 'b1',
    clockOffsetMs: 0,
    service: { unit: 'actions.runner.acme-kernel.r1.service', state: 'active' },
    workers: 0,
    workersOnMachine: 0,
    listeners: 1,
    registration: { agentId: 7, agentName: 'r1', url: 'https://github.com/acme/kernel' },
    installedVersion: '2.336.0',
    missingProgram: null,
    uptimeMs: 3_600_000,
    log: { startedAgoMs: 3_500_000, exitCode: null, relaunches: 0, signs: [] },
    timeSync: { service: 'timesyncd', isActive: true },
    drain: null,
    disk: { usedPercent: 40, freeBytes: 1e9, inodesUsedPercent: 10 },
    work: { bytes: 0, entries: 0 },
    cache: { bytes: 0, entries: 0 },
    runningAct: null,
    ...replaced,
  };
}

export function machine(replaced: Partial<MachineObservation> = {}): MachineObservation {
  return { observedAt: 0, state: 'running', guest: known(guest()), ...replaced };
}

export function look(replaced: Partial<Look> = {}): Look {
  return { github: known(github()), machine: known(machine()), ...replaced };
}

/** When passes of these builders take place, epoch milliseconds by every clock. */
export const NOW = Date.UTC(2026, 10, 24, 12);

export function jobs(replaced: Partial<WaitingJobs> = {}): WaitingJobs {
  return { labels: ['self-hosted', 'bpf-lsm'], count: 1, oldestAt: NOW - 60_000, runId: 77, isServable: true, ...replaced };
}

export function queue(...waiting: readonly WaitingJobs[]): QueueObservation {
  return { queued: waiting.length, inProgress: 0, waiting, runsNotRead: 0 };
}

export function scope(replaced: Partial<ScopeObservation> = {}): ScopeObservation {
  return {
    observedAt: NOW,
    runners: [registered()],
    queue: known(queue()),
    versions: known({ latest: '2.337.0', retirements: [] }),
    tokenExpiresAt: null,
    requests: { sent: 4, unchanged: 4 },
    ...replaced,
  };
}

export function host(replaced: Partial<HostObservation> = {}): HostObservation {
  return { observedAt: NOW, githubOffsetMs: known(0), bootedAt: NOW - 30 * 86_400_000, wokeAt: null, oldCronJob: known(null), ...replaced };
}

/** One healthy runner. */
export function pass(replaced: Partial<PassObservation> = {}): PassObservation {
  return {
    at: NOW,
    scope: 'acme/kernel',
    github: known(scope()),
    hosts: { local: known(host()) },
    runners: [{ target: target(), machine: known(machine()) }],
    ...replaced,
  };
}

function readingOf<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Reading<T>> {
  return fc.oneof(
    { weight: 4, arbitrary: value.map((each) => known(each)) },
    { weight: 1, arbitrary: fc.constant(unknown('could not look')) },
  );
}

const anyGitHub: fc.Arbitrary<GitHubObservation> = fc.record({
  observedAt: fc.constant(0),
  runner: fc.option(
    fc.record({
      id: fc.integer({ min: 1, max: 3 }),
      name: fc.constant('r1'),
      status: fc.constantFrom('online', 'offline', 'strange'),
      busy: fc.boolean(),
      labels: fc.constant([]),
      version: fc.constant(null),
      group: fc.constant(null),
    }),
  ),
  busyNeighbours: fc.constantFrom([], [{ name: 'acme/kernel/r2', status: 'online' }]),
});

const anyGuest: fc.Arbitrary<GuestObservation> = fc.record({
  bootId: fc.constant('b1'),
  clockOffsetMs: fc.constantFrom(0, 59_000, -61_000, 7_200_000),
  service: fc.record({
    unit: fc.constantFrom(null, 'actions.runner.acme-kernel.r1.service'),
    state: fc.constantFrom('active' as const, 'inactive' as const, 'failed' as const, 'missing' as const, 'activating' as const),
  }),
  workers: fc.integer({ min: 0, max: 1 }),
  workersOnMachine: fc.integer({ min: 0, max: 2 }),
  listeners: fc.integer({ min: 0, max: 2 }),
  registration: fc.option(
    fc.record({
      agentId: fc.integer({ min: 1, max: 3 }),
      agentName: fc.constant('r1'),
      url: fc.constant('https://github.com/acme/kernel'),
    }),
  ),
  installedVersion: fc.constant(null),
  missingProgram: fc.constant(null),
  uptimeMs: fc.constant(3_600_000),
  log: fc.constant({ startedAgoMs: null, exitCode: null, relaunches: 0, signs: [] }),
  timeSync: fc.constant({ service: 'timesyncd' as const, isActive: true }),
  drain: fc.option(fc.constant({ since: 0, reason: 'by hand' })),
  disk: fc.constant({ usedPercent: 1, freeBytes: 1, inodesUsedPercent: null }),
  work: fc.constant(null),
  cache: fc.constant(null),
  runningAct: fc.constant(null),
});

/** Every combination of readings, unknown ones among them. */
export const anyLook: fc.Arbitrary<Look> = fc.record({
  github: readingOf(anyGitHub),
  machine: readingOf(fc.record({ observedAt: fc.constant(0), state: fc.constantFrom(...MACHINE_STATES), guest: readingOf(anyGuest) })),
});
