// Builders of what is seen; every field has a healthy value that a test replaces.

import fc from 'fast-check';
import type {
  HostObservation,
  PassMemory,
  PassObservation,
  RunnerMemory,
  QueueObservation,
  ScopeObservation,
  WaitingJobs,
} from '../../src/domain/pass.ts';
import { LOG_SIGN_CODES } from '../../src/domain/log-signs.ts';
import { known, unknown, type Reading } from '../../src/domain/reading.ts';
import type { Look } from '../../src/domain/recovery.ts';
import {
  MACHINE_STATES,
  type Absence,
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
    cache: { bytes: 0, entries: 0, damaged: 0 },
    cleanedAgoMs: 3_600_000,
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
  return { queued: waiting.length, inProgress: 0, waiting, running: [], runsNotRead: 0 };
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

/** What a pass has left of a runner of which there is something to remember. */
export function remembered(replaced: Partial<RunnerMemory> = {}): RunnerMemory {
  return {
    ranAt: null,
    offlineSince: null,
    brokenSince: null,
    silentSince: null,
    idleDespiteDemandSince: null,
    busyAloneSince: null,
    drainedSince: null,
    ...replaced,
  };
}

export function memory(at: number, runners: PassMemory['runners'] = {}): PassMemory {
  return { at, runners, open: [] };
}

/** One healthy runner. */
export function pass(replaced: Partial<PassObservation> = {}): PassObservation {
  return {
    at: NOW,
    scope: 'acme/kernel',
    github: known(scope()),
    hosts: { local: known(host()) },
    damaged: known([]),
    runners: [{ target: target(), machine: known(machine()) }],
    ...replaced,
  };
}

/** What a guest says, but for what the time moves by itself. */
export function withoutTime(seen: Reading<GuestObservation>): unknown {
  if (!seen.known) {
    return seen;
  }
  const { uptimeMs: _uptime, cleanedAgoMs: _cleanedAgo, log, ...rest } = seen.value;
  return { ...rest, log: { ...log, startedAgoMs: null } };
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

const ANY_GUEST = {
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
  log: fc.record({
    startedAgoMs: fc.constantFrom(null, 10_000, 3_600_000),
    exitCode: fc.constantFrom(null, 1, 5),
    relaunches: fc.constantFrom(0, 5),
    signs: fc.uniqueArray(fc.constantFrom(...LOG_SIGN_CODES), { maxLength: 2 }).map((codes) => codes.map((code) => ({ code, line: code }))),
  }),
  timeSync: fc.constant({ service: 'timesyncd' as const, isActive: true }),
  drain: fc.option(fc.constant({ since: 0, by: 'person', reason: 'by hand' })),
  disk: fc.constant({ usedPercent: 1, freeBytes: 1e9, inodesUsedPercent: null }),
  work: fc.constant(null),
  cache: fc.constant(null),
  cleanedAgoMs: fc.constant(3_600_000),
  runningAct: fc.constantFrom(null, null, 'act-1'),
};

const anyGuest: fc.Arbitrary<GuestObservation> = fc
  .tuple(fc.record(ANY_GUEST), fc.option(fc.constantFrom(0, 1)))
  .map(([seen, workers]) =>
    workers === null || workers > seen.workers ? seen : { ...seen, strays: { listeners: 1, workers, process: 4_711 } },
  );

/** Every combination of readings, unknown ones among them. */
export const anyLook: fc.Arbitrary<Look> = fc.record({
  github: readingOf(anyGitHub),
  machine: readingOf(fc.record({ observedAt: fc.constant(0), state: fc.constantFrom(...MACHINE_STATES), guest: readingOf(anyGuest) })),
});

const anyMoment: fc.Arbitrary<number | null> = fc.constantFrom(null, NOW - 5 * 60_000, NOW - 60 * 60_000, NOW - 12 * 86_400_000);

export const anyMemory: fc.Arbitrary<PassMemory | null> = fc.option(
  fc.record({
    at: fc.constantFrom(NOW - 5 * 60_000, NOW - 60 * 60_000),
    runners: fc.dictionary(
      fc.constantFrom('acme/kernel/r1', 'acme/kernel/r2'),
      fc
        .record({
          ranAt: anyMoment,
          offlineSince: anyMoment,
          brokenSince: anyMoment,
          silentSince: anyMoment,
          idleDespiteDemandSince: anyMoment,
          busyAloneSince: anyMoment,
          drainedSince: anyMoment,
          straySince: anyMoment,
        })
        .map(({ straySince, ...rest }) => (straySince === null ? rest : { ...rest, straySince })),
    ),
    open: fc.constant([]),
  }),
);

function ofSecond(looked: Reading<MachineObservation>): Reading<MachineObservation> {
  if (!looked.known || !looked.value.guest.known || looked.value.guest.value.registration === null) {
    return looked;
  }
  const inside = looked.value.guest.value;
  return known({
    ...looked.value,
    guest: known({ ...inside, registration: { agentId: 1, url: '', ...inside.registration, agentName: 'r2' } }),
  });
}

/** A look of which most is well, so that what is wrong stands alone often enough. */
const mostlyWell: fc.Arbitrary<Look> = fc
  .record({
    look: anyLook,
    runs: fc.constantFrom(true, true, true, false),
    isTaken: fc.constantFrom(false, false, false, true),
    isDrained: fc.constantFrom(false, false, false, true),
    isOwn: fc.constantFrom(true, true, true, false),
    saysLittle: fc.constantFrom(true, true, false),
  })
  .map(({ look, runs, isTaken, isDrained, isOwn, saysLittle }) => {
    if (!look.machine.known) {
      return look;
    }
    const { guest: inside } = look.machine.value;
    const tamed = inside.known && {
      ...inside.value,
      ...(isTaken ? {} : { workers: 0, workersOnMachine: 0, runningAct: null }),
      ...(isDrained ? {} : { drain: null }),
      ...(saysLittle ? { log: guest().log } : {}),
      ...(isOwn && look.github.known
        ? { registration: { agentId: look.github.value.runner?.id ?? 1, agentName: 'r1', url: 'https://github.com/acme/kernel' } }
        : {}),
    };
    return {
      ...look,
      machine: known({
        ...look.machine.value,
        ...(runs ? { state: 'running' as const } : {}),
        guest: tamed === false ? inside : known(tamed),
      }),
    };
  });

const anyAbsence: fc.Arbitrary<Absence> = fc.constantFrom(
  { kind: 'unlisted' },
  { kind: 'gone', id: 1 },
  { kind: 'unknown', why: 'GitHub failed (502)' },
);

/** Two runners of one scope, on one machine or on two, seen in every combination of readings. */
export const anyPass: fc.Arbitrary<PassObservation> = fc
  .record({
    looks: fc.tuple(mostlyWell, mostlyWell),
    absence: anyAbsence,
    isShared: fc.boolean(),
    isDown: fc.constantFrom(false, false, false, true),
    queue: readingOf(
      fc.option(
        fc
          .array(
            fc.record({
              labels: fc.constantFrom(['self-hosted'], ['self-hosted', 'bpf-lsm'], ['gpu']),
              count: fc.constant(1),
              oldestAt: fc.constantFrom(NOW - 1_000, NOW - 3_600_000),
              runId: fc.constant(77),
              isServable: fc.boolean(),
            }),
            { maxLength: 2 },
          )
          .map((waiting) => queue(...waiting)),
      ),
    ),
    versions: readingOf(
      fc.record({
        latest: fc.constantFrom(null, '2.336.0', '2.340.0'),
        retirements: fc.constantFrom([], [{ version: '2.336.0', runsUntil: NOW - 1_000, registersUntil: null }]),
      }),
    ),
    host: readingOf(
      fc.record({
        observedAt: fc.constant(NOW),
        githubOffsetMs: readingOf(fc.constantFrom(0, 0, 0, 7_200_000)),
        bootedAt: fc.constantFrom(NOW - 60_000, NOW - 86_400_000),
        wokeAt: fc.constantFrom(null, null, null, NOW - 60_000),
        oldCronJob: readingOf(fc.constant(null)),
      }),
    ),
  })
  .map(({ looks, absence, isShared, isDown, queue, versions, host }) => {
    const names = ['r1', 'r2'] as const;
    const runners = looks.flatMap(({ github }, index) =>
      github.known && github.value.runner !== null
        ? [{ ...github.value.runner, name: names[index]!, labels: ['self-hosted', 'bpf-lsm'] }]
        : [],
    );
    return pass({
      github: isDown ? unknown('GitHub failed') : known(scope({ runners, absent: { r1: absence, r2: absence }, queue, versions })),
      hosts: { local: host },
      runners: looks.map(({ machine }, index) => ({
        target: target({
          runner: names[index]!,
          machine: isShared ? 'm1' : `m${index}`,
          neighbours: isShared ? [{ scope: 'acme/kernel', runner: names[1 - index]! }] : [],
        }),
        machine: index === 0 ? machine : ofSecond(machine),
      })),
    });
  });
