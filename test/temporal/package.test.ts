// The runner's package in the guest: fetched ahead of need by checks, and proved by a recovery before it takes anything away.

import { describe, expect, test } from 'vitest';
import type { Diagnosed } from '../../src/domain/finding.ts';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { DEFAULT_UPKEEP_POLICY } from '../../src/domain/policy.ts';
import type { MachinePort } from '../../src/machine/port.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';
import { beginJob, look, run } from '../kit/upkeep.ts';

const DOWNLOAD = { match: { path: '/releases/download/' }, status: 404 } as const;
const NEWEST = '2.337.0';

/** Names of acts as they reach the guest. */
function actsOf(world: World): readonly string[] {
  const seen: string[] = [];
  for (const act of ['fetchPackage', 'passPackage', 'setConfigurationAside', 'configure'] as const) {
    const own = world.machine[act].bind(world.machine) as (...given: never[]) => Promise<never>;
    (world.machine as Record<typeof act, MachinePort[typeof act]>)[act] = async (...given: unknown[]) => {
      seen.push(act);
      return own(...(given as never[]));
    };
  }
  return seen;
}

const tokensOf = ({ github }: World): number => github.registrationTokens().length;
const findingOf = ({ findings }: HealthReport, code: string): Diagnosed | undefined => findings.find((each) => each.code === code);

async function check(world: World): Promise<HealthReport> {
  return (await world.check({ scope: world.target.scope, wait: '20s' })).result();
}

describe.concurrent('a recovery', () => {
  test('takes nothing away and asks for no token if no package can be had, and says what to do', async () => {
    await using world = await startWorld();
    world.machine.setPackage(world.target.machine, null);
    world.github.newestRunnerVersion = '2.401.0'; // no other world has it on this host
    world.github.misbehave(DOWNLOAD);
    await breakRunner(world, 'config');
    const acts = actsOf(world);
    const before = (await look(world)).registration;
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('so nothing was touched') });
    expect(report.summary).toMatch(
      /could not be downloaded|answered 404.*through host local: .*answered 404.*`package\.mirror`.*from-runner-directory/,
    );
    expect([acts, tokensOf(world)]).toEqual([['fetchPackage'], 0]);
    expect((await look(world)).registration).toEqual(before);
    expect(report.steps.find(({ name }) => name === 'registration-token')?.status).toBe('failed');
  });

  test('fetches it before it takes anything away', async () => {
    await using world = await startWorld();
    world.machine.setPackage(world.target.machine, null);
    await breakRunner(world, 'config');
    const acts = actsOf(world);
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
    expect([acts, tokensOf(world)]).toEqual([['fetchPackage', 'setConfigurationAside', 'configure'], 1]);
    expect((await look(world)).packageVersion).toBe(NEWEST);
  });

  test('passes it through the host if the guest has no way to it', async () => {
    await using world = await startWorld();
    world.machine.setPackage(world.target.machine, null);
    world.machine.setWayOut(world.target.machine, false);
    await breakRunner(world, 'config');
    const acts = actsOf(world);
    const report = await (await world.recover()).result();
    expect(report.outcome, report.summary).toBe('recovered');
    expect(acts).toEqual(['fetchPackage', 'passPackage', 'setConfigurationAside', 'configure']);
    expect((await look(world)).packageVersion).toBe(NEWEST);
  });

  test('asks nobody for a package that is kept, nor for one if the own programs are to register the runner', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'config');
    const acts = actsOf(world);
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
    expect(acts).toEqual(['setConfigurationAside', 'configure']);
    expect(world.github.requests.filter(({ path }) => path.endsWith('/downloads'))).toEqual([]);

    await using own = await startWorld({ registration: 'from-runner-directory' });
    own.machine.setPackage(own.target.machine, null);
    await breakRunner(own, 'config');
    expect(await (await own.recover()).result()).toMatchObject({ outcome: 'recovered' });
    expect(await check(own)).toMatchObject({
      findings: [expect.objectContaining({ code: 'registration-from-directory', severity: 'warning' })],
    });
  });

  test('puts the old configuration back if the package is gone by then', async () => {
    await using world = await startWorld();
    await breakRunner(world, 'service');
    const setAside = world.machine.setConfigurationAside.bind(world.machine);
    world.machine.setConfigurationAside = async (...given) => {
      world.machine.setPackage(world.target.machine, null);
      return setAside(...given);
    };
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({
      outcome: 'failed',
      summary: expect.stringMatching(/no package of the runner is kept.*The old configuration was put back/),
    });
    await world.until(() => world.shown() === 'online', 'the old registration is online again');
  });

  test('registers under the labels that GitHub showed if none are configured', async () => {
    await using world = await startWorld({ labels: [] });
    const { github, target } = world;
    github.removeRunner(target.scope, target.runner);
    const registered = github.addRunner(target.scope, { name: target.runner, labels: ['bpf-lsm', 'big'] });
    await world.machine.install(target, registered);
    await world.until(() => world.shown() === 'online', 'it is online');
    await breakRunner(world, 'service');
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'recovered' });
    expect(github.runners(target.scope)[0]?.labels).toEqual(['bpf-lsm', 'big']);
  });

  test('leaves a runner alone that is ephemeral, also by force, and a check says so', async () => {
    await using world = await startWorld({ isEphemeral: true });
    await world.machine.break('service', world.target);
    await world.until(() => world.shown() === 'offline', 'it is offline');
    const acts = actsOf(world);
    const report = await (await world.recover({ runner: world.target.runner, force: true })).result();
    expect(report).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('is ephemeral') });
    const seen = await check(world);
    expect(findingOf(seen, 'ephemeral-runner')).toMatchObject({ severity: 'warning' });
    expect([seen.started, acts, tokensOf(world)]).toEqual([[], [], 0]);
  });
});

describe.concurrent('a check', () => {
  test('fetches the package at once if none is kept and no job runs', async () => {
    await using world = await startWorld();
    const { machine, target } = world;
    machine.setPackage(target.machine, null);
    await beginJob(world);
    const busy = await check(world);
    expect(findingOf(busy, 'package-missing')).toMatchObject({ severity: 'info' });
    expect(busy.started).toEqual([]);
    await machine.endJob(target);
    await world.until(() => world.github.runners(target.scope)[0]?.busy === false, 'GitHub shows the runner idle');
    expect(await check(world)).toMatchObject({ outcome: 'cured', started: [{ cure: 'fetch-package', outcome: 'fetched' }] });
    expect((await look(world)).packageVersion).toBe(NEWEST);
    expect(await check(world)).toMatchObject({ outcome: 'healthy', findings: [] });
  });

  test('warns with the reason if it could not, and leaves the next tries some hours', async () => {
    await using world = await startWorld();
    world.machine.setPackage(world.target.machine, null);
    world.github.newestRunnerVersion = '2.402.0';
    const end = world.github.misbehave(DOWNLOAD);
    const first = await check(world);
    expect(first).toMatchObject({ outcome: 'not-cured', started: [{ cure: 'fetch-package', outcome: 'not-fetched' }] });
    const acts = actsOf(world);
    const second = await check(world);
    expect(findingOf(second, 'package-missing')).toMatchObject({
      severity: 'warning',
      evidence: expect.stringContaining('answered 404'),
      advice: expect.stringContaining('`package.mirror`'),
    });
    expect(second.withheld).toMatchObject([{ because: 'package-missing', reason: 'budget' }]);
    expect([second.started, acts]).toEqual([[], []]);
    end();
    expect(await run(world, 'fetchPackage')).toMatchObject({ outcome: 'fetched' });
    expect(await check(world)).toMatchObject({ outcome: 'healthy', findings: [] });
  });

  test('replaces an old one in quiet hours alone', async () => {
    const upkeep = { ...DEFAULT_UPKEEP_POLICY, package: { ...DEFAULT_UPKEEP_POLICY.package, quietHours: { from: 0, until: 24 } } };
    await using loud = await startWorld({ health: { upkeep: { ...upkeep, package: { ...upkeep.package, quietHours: null } } } });
    loud.machine.setPackage(loud.target.machine, '2.330.0');
    expect(await check(loud)).toMatchObject({ outcome: 'healthy', findings: [], started: [] });

    await using quiet = await startWorld({ health: { upkeep } });
    quiet.machine.setPackage(quiet.target.machine, '2.330.0');
    expect(await check(quiet)).toMatchObject({ started: [{ cure: 'fetch-package', because: 'package-outdated', outcome: 'fetched' }] });
    expect((await look(quiet)).packageVersion).toBe(NEWEST);
  });

  test('does not fill a disk with it', async () => {
    await using world = await startWorld();
    world.machine.setPackage(world.target.machine, null);
    world.machine.setDisk(world.target.machine, { usedPercent: 88, freeBytes: 2_000_000_000 });
    const report = await check(world);
    expect(findingOf(report, 'package-missing')).toMatchObject({
      severity: 'warning',
      evidence: expect.stringContaining('no room for it'),
    });
    expect(report.started).toEqual([]);
  });
});
