import { describe, expect, test } from 'vitest';
import { diagnose } from '../../src/domain/diagnose.ts';
import { architectureNamed, hasRoomForPackage, isNewer, packageNamed } from '../../src/domain/package.ts';
import { DEFAULT_HEALTH_POLICY, type HealthPolicy } from '../../src/domain/policy.ts';
import { prescribe } from '../../src/domain/prescribe.ts';
import { known } from '../../src/domain/reading.ts';
import type { GuestObservation, RegisteredRunner, RunnerTarget } from '../../src/domain/runner.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { guest, host, jobs, machine, NOW, pass, queue, registered, remembered, scope, target } from '../kit/observations.ts';

const GIB = 1024 ** 3;
const HOUR = 3_600_000;
const ROOM = { usedPercent: 40, freeBytes: 20 * GIB, inodesUsedPercent: 10 };
const policy = DEFAULT_HEALTH_POLICY;

interface Case {
  readonly guest?: Partial<GuestObservation>;
  readonly github?: Partial<RegisteredRunner>;
  readonly scope?: Parameters<typeof scope>[0];
  readonly target?: Partial<RunnerTarget>;
  readonly hour?: number;
  readonly ledger?: readonly LedgerEntry[];
  readonly policy?: HealthPolicy;
}

function check(seen: Case) {
  const observedAt = Date.UTC(2026, 10, 29, seen.hour ?? 12);
  const observation = pass({
    github: known(scope({ runners: [registered(seen.github)], ...seen.scope })),
    hosts: { local: known(host({ observedAt, utcOffsetMinutes: 0 })) },
    runners: [{ target: target(seen.target), machine: known(machine({ guest: known(guest({ disk: ROOM, ...seen.guest })) })) }],
  });
  const diagnosis = diagnose(observation, null, seen.policy ?? policy);
  const plan = prescribe(diagnosis, observation, { ledgers: { 'acme/kernel/r1': seen.ledger ?? [] }, policy: seen.policy ?? policy });
  return { diagnosed: diagnosis, found: diagnosis.findings, ...plan };
}

function failed(replaced: Partial<LedgerEntry> = {}): LedgerEntry {
  const who = { scope: 'acme/kernel', runner: 'r1', trigger: 'check' as const, workflowId: 'w', runId: 'r' };
  return { at: NOW - HOUR, type: 'fetchPackage', ...who, outcome: 'not-fetched', why: 'no way out', ...replaced };
}

describe('a package that is missing', () => {
  const missing = { packageVersion: null };

  test('is only told, and fetched at once', () => {
    expect(check({ guest: missing })).toMatchObject({
      found: [{ code: 'package-missing', severity: 'info' }],
      prescriptions: [{ cure: 'fetch-package', because: 'package-missing', isUrgent: false }],
      findings: [],
    });
  });

  test('is not fetched while a job runs or waits', () => {
    expect(check({ guest: { ...missing, workers: 1 }, github: { busy: true } })).toMatchObject({
      prescriptions: [],
      withheld: [{ reason: 'job' }],
    });
    expect(check({ guest: missing, scope: { queue: known(queue(jobs())) } })).toMatchObject({
      prescriptions: [],
      withheld: [{ reason: 'busy', why: 'busy: a job waits for it' }],
    });
  });

  test('is warned of with the reason once it could not be fetched, whichever runner of the machine it was for', () => {
    const told = {
      code: 'package-missing',
      severity: 'warning',
      evidence: 'no way out',
      advice: expect.stringContaining('package.mirror'),
    };
    const early = check({ guest: missing, ledger: [failed({ runner: 'r2' })] });
    expect(early).toMatchObject({ findings: [told], prescriptions: [], withheld: [{ reason: 'budget' }] });
    const late = check({ guest: missing, ledger: [failed({ at: NOW - 6 * HOUR })] });
    expect(late).toMatchObject({ findings: [told], prescriptions: [{ cure: 'fetch-package' }] });
    expect(check({ guest: { ...missing, workers: 1 }, github: { busy: true }, ledger: [failed()] }).findings).toMatchObject([told]);
    expect(check({ guest: missing, ledger: [failed(), failed({ outcome: 'fetched' })] })).toMatchObject({ findings: [], withheld: [] });
  });

  test('is not fetched onto a disk that it would fill', () => {
    expect(check({ guest: { ...missing, disk: { ...ROOM, usedPercent: 88, freeBytes: 2 * GIB } } })).toMatchObject({
      found: [{ code: 'package-missing', severity: 'warning', evidence: expect.stringContaining('no room for it') }],
      prescriptions: [],
    });
  });

  test('is nothing to a runner that its own programs register, of which checks warn as long as it is so', () => {
    expect(check({ guest: missing, target: { registration: 'from-runner-directory' } })).toMatchObject({
      found: [{ code: 'registration-from-directory', severity: 'warning', cure: null }],
      prescriptions: [],
    });
  });
});

describe('a package that is old', () => {
  const old = { packageVersion: '2.9.1' };

  test.each([
    [0, 0],
    [1, 1],
    [4, 1],
    [5, 0],
    [12, 0],
  ])('at %i o’clock at the host is fetched %i times', (hour, times) => {
    expect(check({ guest: old, hour }).prescriptions).toHaveLength(times);
  });

  test('is fetched by no hour if none is quiet', () => {
    const never = { ...policy, upkeep: { ...policy.upkeep, package: { ...policy.upkeep.package, quietHours: null } } };
    expect(check({ guest: old, hour: 2, policy: never }).prescriptions).toEqual([]);
  });
});

test('a runner that is ephemeral is told, and left alone', () => {
  const gone = { service: { unit: 'unit', state: 'inactive' as const }, listeners: 0 };
  const { diagnosed, found, prescriptions, withheld } = check({ guest: gone, github: { status: 'offline', isEphemeral: true } });
  expect(found.map(({ code }) => code)).toContain('ephemeral-runner');
  expect(prescriptions).toEqual([]);
  expect(diagnosed.memory.runners['acme/kernel/r1']).toMatchObject({ isEphemeral: true });
  expect(withheld).toContainEqual(expect.objectContaining({ reason: 'meant-so', why: expect.stringContaining('by design') }));
});

test('a runner that was ephemeral and is gone is not brought back', () => {
  const seen = pass({ github: known(scope({ runners: [] })) });
  const memory = { at: NOW - 300_000, runners: { 'acme/kernel/r1': { ...remembered(), isEphemeral: true as const } } };
  const diagnosis = diagnose(seen, memory, policy);
  expect(diagnosis.findings.map(({ code }) => code)).toContain('ephemeral-runner');
  expect(prescribe(diagnosis, seen, { ledgers: {}, policy })).toMatchObject({ prescriptions: [] });
  expect(diagnosis.memory.runners['acme/kernel/r1']).toMatchObject({ isEphemeral: true });
});

test('names, versions and architectures are GitHub’s', () => {
  expect(packageNamed('actions-runner-linux-arm64-2.337.0.tar.gz')).toEqual({ architecture: 'arm64', version: '2.337.0' });
  for (const name of [
    'actions-runner-osx-x64-2.337.0.tar.gz',
    'actions-runner-linux-x64-2.337.0.zip',
    'actions-runner-linux-x64-2.tar.gz',
    '/x',
  ]) {
    expect(packageNamed(name)).toBeNull();
  }
  expect([isNewer('2.100.0', '2.99.9'), isNewer('2.99.9', '2.100.0'), isNewer('2.1.0', '2.1.0')]).toEqual([true, false, false]);
  expect(['x86_64', 'aarch64', 'armv7l', 'riscv64'].map(architectureNamed)).toEqual(['x64', 'arm64', 'arm', null]);
});

test('a disk has room for a package that does not make it nearly full', () => {
  const limit = { usedPercent: 90, floorBytes: GIB / 2 };
  const disk = (usedPercent: number, freeGiB: number) => ({ usedPercent, freeBytes: freeGiB * GIB, inodesUsedPercent: null });
  expect(hasRoomForPackage(disk(50, 10), limit)).toBe(true);
  expect(hasRoomForPackage(disk(50, 0.9), limit)).toBe(false);
  expect(hasRoomForPackage(disk(89, 3), limit)).toBe(false);
  expect(hasRoomForPackage(disk(89, 100), limit)).toBe(true);
});
