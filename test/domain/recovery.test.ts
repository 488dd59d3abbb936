import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_RECOVERY_POLICY as policy } from '../../src/domain/policy.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import {
  busyMachineReason,
  busyReason,
  decideRecovery,
  describeOffset,
  isHealthy,
  planLadder,
  workersAtJobs,
  type Look,
} from '../../src/domain/recovery.ts';
import type { Suspicion } from '../../src/domain/recovery-request.ts';
import { RUNGS } from '../../src/domain/report.ts';
import type { GuestObservation, Neighbour } from '../../src/domain/runner.ts';
import { anyLook, github, guest, look, machine, target } from '../kit/observations.ts';

const offline = { ...github().runner!, status: 'offline' };

describe('what a recovery decides', () => {
  type Case = readonly [name: string, look: Look, force: boolean, kind: string, why: RegExp];
  const cases: readonly Case[] = [
    ['healthy on both sides', look(), false, 'already-healthy', /^/],
    ['healthy, but forced', look(), true, 'recover', /^/],
    [
      'offline, service stopped',
      look({
        github: known(github({ runner: offline })),
        machine: known(machine({ guest: known(guest({ service: { unit: 'u', state: 'inactive' }, listeners: 0 })) })),
      }),
      false,
      'recover',
      /^/,
    ],
    ['gone by its id', look({ github: known(github({ runner: null, absence: { kind: 'gone', id: 7 } })) }), false, 'recover', /^/],
    [
      'not registered, and nothing lives in its guest',
      look({
        github: known(github({ runner: null })),
        machine: known(machine({ guest: known(guest({ service: { unit: 'u', state: 'inactive' }, listeners: 0 })) })),
      }),
      false,
      'recover',
      /^/,
    ],
    [
      'missing in the list alone, while its listener lives',
      look({ github: known(github({ runner: null })) }),
      false,
      'look-again',
      /GitHub's list lacks r1, but its listener works under id 7: lists lag/,
    ],
    ...[{ listeners: 0, strays: { listeners: 1, workers: 0, process: 4_711 } }, { listeners: 1 }].map((living): Case => [
      `missing in the list alone, while a listener lives beside its stopped service: ${JSON.stringify(living)}`,
      look({
        github: known(github({ runner: null })),
        machine: known(machine({ guest: known(guest({ service: { unit: 'u', state: 'inactive' }, ...living })) })),
      }),
      false,
      'look-again',
      /under id 7: lists lag/,
    ]),
    ['missing in the list alone, and forced', look({ github: known(github({ runner: null })) }), true, 'recover', /^/],
    [
      'gone by its last id, while its listener works under a newer one',
      look({ github: known(github({ runner: null, absence: { kind: 'gone', id: 6 } })) }),
      false,
      'look-again',
      /under id 7: lists lag/,
    ],
    [
      'online under another registration',
      look({ machine: known(machine({ guest: known(guest({ registration: { agentId: 8, agentName: 'r1', url: '' } })) })) }),
      false,
      'look-again',
      /online as id 7, but m1 is configured as id 8; GitHub may be late/,
    ],
    [
      'another runner in the directory, forced',
      look({ machine: known(machine({ guest: known(guest({ registration: { agentId: 7, agentName: 'other', url: '' } })) })) }),
      true,
      'impossible',
      /holds runner other of .*, not r1 of .*check RUNNER_NAME, RUNNER_DIR/,
    ],
    [
      'the runner of another repository',
      look({
        machine: known(
          machine({ guest: known(guest({ registration: { agentId: 7, agentName: 'r1', url: 'https://github.com/acme/other' } })) }),
        ),
      }),
      false,
      'impossible',
      /of https:\/\/github\.com\/acme\/other, not r1/,
    ],
    [
      'a status that GitHub never had',
      look({ github: known(github({ runner: { ...offline, status: 'maintenance' } })) }),
      true,
      'impossible',
      /neither online nor offline/,
    ],
    ['two listeners', look({ machine: known(machine({ guest: known(guest({ listeners: 2 })) })) }), false, 'recover', /^/],
    [
      'clock two hours off',
      look({ machine: known(machine({ guest: known(guest({ clockOffsetMs: 7_200_000 })) })) }),
      false,
      'recover',
      /^/,
    ],
    [
      'a job in the guest',
      look({ github: known(github({ runner: offline })), machine: known(machine({ guest: known(guest({ workers: 1 })) })) }),
      false,
      'refused-busy',
      /1 Runner\.Worker process in the guest/,
    ],
    [
      'a job by GitHub alone',
      look({ github: known(github({ runner: { ...offline, busy: true } })) }),
      false,
      'refused-busy',
      /GitHub calls the runner busy/,
    ],
    ['a job, but forced', look({ github: known(github({ runner: { ...offline, busy: true } })) }), true, 'recover', /^/],
    [
      'drained, forced',
      look({
        github: known(github({ runner: offline })),
        machine: known(machine({ guest: known(guest({ drain: { since: 0, by: 'person', reason: 'new disk' }, listeners: 0 })) })),
      }),
      true,
      'refused-drained',
      /drained \(since 1970-01-01T00:00:00\.000Z, new disk\).*`runward runner resume`/,
    ],
    ['GitHub unknown', look({ github: unknown('503') }), false, 'impossible', /nothing was touched: 503/],
    ['GitHub unknown, forced', look({ github: unknown('503') }), true, 'impossible', /503/],
    ['machine unknown', look({ machine: unknown('no daemon') }), true, 'impossible', /no daemon/],
    [
      'machine missing',
      look({ machine: known(machine({ state: 'missing', guest: unknown('not running') })) }),
      false,
      'impossible',
      /no machine named m1/,
    ],
    [
      'machine deleted',
      look({ machine: known(machine({ state: 'deleted', guest: unknown('not running') })) }),
      false,
      'impossible',
      /multipass recover m1/,
    ],
    [
      'machine stopped',
      look({ machine: known(machine({ state: 'stopped', guest: unknown('not running') })) }),
      false,
      'start-machine',
      /^/,
    ],
    [
      'machine suspended',
      look({ machine: known(machine({ state: 'suspended', guest: unknown('not running') })) }),
      false,
      'start-machine',
      /^/,
    ],
    [
      'machine starting',
      look({ machine: known(machine({ state: 'starting', guest: unknown('not running') })) }),
      false,
      'look-again',
      /m1 is starting/,
    ],
    [
      'machine in an unknown state',
      look({ machine: known(machine({ state: 'unknown', guest: unknown('not running') })) }),
      false,
      'look-again',
      /does not know the state of machine m1/,
    ],
    [
      'machine in a zone that is disabled',
      look({ machine: known(machine({ state: 'unavailable', guest: unknown('not running') })) }),
      false,
      'impossible',
      /enable it first/,
    ],
    ['guest silent', look({ machine: known(machine({ guest: unknown('time-out') })) }), true, 'look-again', /does not answer: time-out/],
  ];

  test.each(cases)('%s', (_name, seen, force, kind, why) => {
    const decision = decideRecovery(target(), seen, policy, { force, lookedForMs: 0 });
    expect(decision.kind).toBe(kind);
    expect('why' in decision ? decision.why : '').toMatch(why);
    expect(decision.evidence.length).toBeGreaterThan(0);
  });

  const silent = known(machine({ guest: unknown('time-out') }));
  const stateless = known(machine({ state: 'unknown', guest: unknown('not running') }));
  const idle = { ...github().runner!, busy: false };
  const neighbour = { name: 'acme/kernel/r2', status: 'online' };
  const { guestAnswersWithinMs, jobLostAfterMs, goneShownWithinMs } = policy;
  const later: readonly [name: string, look: Look, force: boolean, lookedForMs: number, kind: string, why: RegExp][] = [
    [
      'a silent guest whose runner is offline',
      look({ github: known(github({ runner: offline })), machine: silent }),
      false,
      guestAnswersWithinMs,
      'restart-machine',
      /does not answer/,
    ],
    [
      'a silent guest whose runner GitHub may show online too long',
      look({ github: known(github({ runner: idle })), machine: silent }),
      false,
      guestAnswersWithinMs,
      'look-again',
      /GitHub shows r1 online, and may be late/,
    ],
    [
      'a silent guest whose runner is online and idle',
      look({ github: known(github({ runner: idle })), machine: silent }),
      false,
      goneShownWithinMs,
      'refused-online',
      /GitHub shows r1 online; .*does not answer/,
    ],
    [
      'the same, forced',
      look({ github: known(github({ runner: idle })), machine: silent }),
      true,
      guestAnswersWithinMs,
      'restart-machine',
      /^/,
    ],
    [
      'a silent guest whose runner GitHub does not list',
      look({ github: known(github({ runner: null })), machine: silent }),
      false,
      jobLostAfterMs,
      'refused-online',
      /does not list r1, which does not prove that it is gone/,
    ],
    [
      'a silent guest whose runner is gone from GitHub',
      look({ github: known(github({ runner: null, absence: { kind: 'gone', id: 7 } })), machine: silent }),
      false,
      guestAnswersWithinMs,
      'restart-machine',
      /^/,
    ],
    [
      'a silent guest whose job goes on',
      look({ github: known(github({ runner: { ...idle, busy: true } })), machine: silent }),
      false,
      jobLostAfterMs,
      'refused-busy',
      /online and busy/,
    ],
    [
      'the same, forced',
      look({ github: known(github({ runner: { ...idle, busy: true } })), machine: silent }),
      true,
      guestAnswersWithinMs,
      'restart-machine',
      /^/,
    ],
    [
      'a silent guest whose job may be lost',
      look({ github: known(github({ runner: { ...offline, busy: true } })), machine: silent }),
      false,
      guestAnswersWithinMs,
      'look-again',
      /still knows of a job/,
    ],
    [
      'a silent guest whose job is lost',
      look({ github: known(github({ runner: { ...offline, busy: true } })), machine: silent }),
      false,
      jobLostAfterMs,
      'restart-machine',
      /^/,
    ],
    [
      'a silent guest with a neighbour at work',
      look({ github: known(github({ runner: offline, busyNeighbours: [neighbour] })), machine: silent }),
      false,
      jobLostAfterMs,
      'refused-busy',
      /r2 online and busy/,
    ],
    [
      'a machine in an unknown state, which may be its first boot',
      look({ github: known(github({ runner: null })), machine: stateless }),
      false,
      2 * guestAnswersWithinMs - 1,
      'look-again',
      /first time/,
    ],
    [
      'a machine in an unknown state for long',
      look({ github: known(github({ runner: offline })), machine: stateless }),
      false,
      2 * guestAnswersWithinMs,
      'restart-machine',
      /does not know the state of machine m1/,
    ],
    [
      'a machine in an unknown state whose job goes on',
      look({ github: known(github({ runner: { ...idle, busy: true } })), machine: stateless }),
      false,
      jobLostAfterMs,
      'refused-busy',
      /online and busy/,
    ],
    ['a silent guest, and GitHub unknown', look({ github: unknown('503'), machine: silent }), true, jobLostAfterMs, 'impossible', /503/],
    [
      'a machine that starts for ever',
      look({ machine: known(machine({ state: 'starting', guest: unknown('') })) }),
      false,
      guestAnswersWithinMs,
      'impossible',
      /is starting for 120 s/,
    ],
    [
      'a name that is alive elsewhere, forced',
      look({
        machine: known(machine({ guest: known(guest({ registration: null, service: { unit: null, state: 'missing' }, listeners: 0 })) })),
      }),
      true,
      goneShownWithinMs,
      'impossible',
      /no listener of it runs in m1: it is alive on another machine/,
    ],
  ];

  test.each(later)('in time: %s', (_name, seen, force, lookedForMs, kind, why) => {
    const decision = decideRecovery(target(), seen, policy, { force, lookedForMs });
    expect(decision.kind).toBe(kind);
    expect('why' in decision ? decision.why : '').toMatch(why);
  });

  test.each<readonly [standing: Neighbour['standing'] | null, kind: string]>([
    ['offline', 'restart-machine'],
    ['gone', 'restart-machine'],
    ['online', 'refused-online'],
    ['unknown', 'refused-online'],
    [null, 'refused-online'],
  ])('a silent guest with a neighbour of another scope that is %s', (standing, kind) => {
    const shared = target({ neighbours: [{ scope: 'acme/other', runner: 'r2' }] });
    const neighbours = standing === null ? {} : { neighbours: [{ name: 'acme/other/r2', standing, busy: false }] };
    const seen = look({ github: known(github({ runner: offline, ...neighbours })), machine: silent });
    expect(decideRecovery(shared, seen, policy, { force: false, lookedForMs: jobLostAfterMs }).kind).toBe(kind);
  });

  test('a machine is never restarted while GitHub calls one of its runners online, or is not known', () => {
    fc.assert(
      fc.property(anyLook, fc.nat({ max: 3_600_000 }), (seen, lookedForMs) => {
        if (decideRecovery(target(), seen, policy, { force: false, lookedForMs }).kind !== 'restart-machine') {
          return true;
        }
        const { github: gitHub } = seen;
        return (
          gitHub.known &&
          lookedForMs >= guestAnswersWithinMs &&
          (gitHub.value.runner === null ? gitHub.value.absence?.kind === 'gone' : gitHub.value.runner.status === 'offline') &&
          gitHub.value.busyNeighbours.every(({ status }) => status === 'offline')
        );
      }),
    );
  });

  test('unknown never leads to an act, whatever else is seen and forced', () => {
    fc.assert(
      fc.property(anyLook, fc.boolean(), (seen, force) => {
        const { kind } = decideRecovery(target(), seen, policy, { force, lookedForMs: 0 });
        if (kind === 'recover') {
          return (
            seen.github.known &&
            ['online', 'offline', undefined].includes(seen.github.value.runner?.status) &&
            seen.machine.known &&
            seen.machine.value.guest.known &&
            seen.machine.value.state === 'running'
          );
        }
        return (
          kind !== 'start-machine' ||
          (seen.github.known && seen.machine.known && ['stopped', 'suspended'].includes(seen.machine.value.state))
        );
      }),
    );
  });

  test('a busy runner is never recovered without force', () => {
    fc.assert(
      fc.property(anyLook, (seen) => {
        const { kind } = decideRecovery(target(), seen, policy, { force: false, lookedForMs: 0 });
        if (kind !== 'recover' || !seen.github.known || !seen.machine.known || !seen.machine.value.guest.known) {
          return true;
        }
        return seen.github.value.runner?.busy !== true && seen.machine.value.guest.value.workers === 0;
      }),
    );
  });

  test('a healthy runner is left alone without force, and only a healthy one', () => {
    fc.assert(
      fc.property(anyLook, (seen) => {
        const { kind } = decideRecovery(target(), seen, policy, { force: false, lookedForMs: 0 });
        const healthy =
          seen.github.known &&
          seen.machine.known &&
          seen.machine.value.state === 'running' &&
          seen.machine.value.guest.known &&
          seen.machine.value.guest.value.drain === null &&
          isHealthy(seen.github.value, seen.machine.value.guest.value, policy);
        return (kind === 'already-healthy') === healthy;
      }),
      {
        examples: [[look({ machine: known(machine({ guest: known(guest({ drain: { since: 0, by: 'person', reason: 'by hand' } })) })) })]],
      },
    );
  });
});

describe('what passes in a row have shown', () => {
  const busy = { ...github().runner!, busy: true };
  const strayed = (changes: Partial<GuestObservation> = {}): Look['machine'] =>
    known(machine({ guest: known(guest({ listeners: 0, workers: 1, strays: { listeners: 1, workers: 1, process: 7 }, ...changes })) }));
  const STRAYED = look({ machine: strayed() });
  const decide = (suspicion: Suspicion | null, seen: Look): string =>
    decideRecovery(target(), seen, policy, { force: false, lookedForMs: 0, suspicion }).kind;

  test.each<[name: string, suspicion: Suspicion | null, seen: Look, kind: string]>([
    ['deaf: it looks healthy, and is recovered', 'deaf-listener', look(), 'recover'],
    ['deaf, but a job has come', 'deaf-listener', look({ github: known(github({ runner: busy })) }), 'refused-busy'],
    [
      'deaf, but its worker runs',
      'deaf-listener',
      look({ machine: known(machine({ guest: known(guest({ workers: 1 })) })) }),
      'refused-busy',
    ],
    ['stuck busy: GitHub is not believed', 'stuck-busy', look({ github: known(github({ runner: busy })) }), 'recover'],
    ['stuck busy, and idle by now', 'stuck-busy', look(), 'already-healthy'],
    [
      'stuck busy, but a worker runs',
      'stuck-busy',
      look({ github: known(github({ runner: busy })), machine: known(machine({ guest: known(guest({ workers: 1 })) })) }),
      'refused-busy',
    ],
    ['deaf, but GitHub is not known', 'deaf-listener', look({ github: unknown('502') }), 'impossible'],
    ['a worker of a stray, in a runner without a listener', null, STRAYED, 'refused-busy'],
    ['the same, known to be at no job', 'stray-listener', STRAYED, 'recover'],
    ['a worker of its own beside that of a stray', 'stray-listener', look({ machine: strayed({ workers: 2 }) }), 'refused-busy'],
    ['a stray beside a healthy runner', 'stray-listener', look({ machine: strayed({ listeners: 1 }) }), 'already-healthy'],
  ])('%s', (_name, suspicion, seen, kind) => {
    expect(decide(suspicion, seen)).toBe(kind);
  });

  test('never lead to an act while a worker runs', () => {
    fc.assert(
      fc.property(
        anyLook,
        fc.constantFrom('deaf-listener' as const, 'stuck-busy' as const, 'stray-listener' as const),
        (seen, suspicion) => {
          const inside = seen.machine.known && seen.machine.value.guest.known ? seen.machine.value.guest.value : null;
          const isAtWork = inside !== null && workersAtJobs(inside, suspicion === 'stray-listener') > 0;
          const isUp = seen.machine.known && seen.machine.value.state === 'running';
          return !(isAtWork && isUp) || decide(suspicion, seen) !== 'recover';
        },
      ),
    );
  });
});

test('who is busy is told by both sides', () => {
  expect(busyReason(github(), guest())).toBeNull();
  expect(busyReason(github({ runner: { ...offline, busy: true } }), guest({ workers: 2 }))).toBe(
    '2 Runner.Worker processes in the guest; GitHub calls the runner busy',
  );
  expect(busyReason(github({ busyNeighbours: [{ name: 'acme/kernel/r2', status: 'online' }] }), guest({ workersOnMachine: 1 }))).toBeNull();
  expect(
    busyMachineReason(github({ busyNeighbours: [{ name: 'acme/kernel/r2', status: 'online' }] }), guest({ workersOnMachine: 1 })),
  ).toBe('1 Runner.Worker process on the machine; GitHub calls a neighbour busy: acme/kernel/r2');
});

describe('the ladder', () => {
  const rungsFor = (replaced: Parameters<typeof guest>[0], registered = true): readonly string[] =>
    planLadder({ github: github(registered ? {} : { runner: null }), machine: machine({ guest: known(guest(replaced)) }) }, policy);

  test('climbs from the cheapest cure', () => {
    expect(rungsFor({ service: { unit: 'u', state: 'inactive' } })).toEqual(['start-service', 'restart-service', 're-register']);
    expect(rungsFor({ service: { unit: 'u', state: 'active' } })).toEqual(['restart-service', 're-register']);
    expect(rungsFor({ clockOffsetMs: -7_200_000 })).toEqual(['fix-clock', 'restart-service', 're-register']);
    expect(rungsFor({ service: { unit: null, state: 'missing' } })).toEqual(['re-register']);
    expect(rungsFor({}, false)).toEqual(['re-register']);
    expect(planLadder({ github: github(), machine: machine({ state: 'stopped', guest: unknown('not running') }) }, policy)).toEqual(RUNGS);
    expect(planLadder({ github: github(), machine: machine({ guest: unknown('time-out') }) }, policy)).toEqual(['re-register']);
  });

  test('has one rung for a unit that was altered, since a restart puts it right', () => {
    const altered = 'u runs as root and not as runner';
    expect(rungsFor({ service: { unit: 'u', state: 'active', altered } })).toEqual(['restart-service']);
    expect(rungsFor({ service: { unit: 'u', state: 'inactive', altered } })).toEqual(['start-service', 'restart-service', 're-register']);
    expect(isHealthy(github(), guest({ service: { unit: 'u', state: 'active', altered } }), policy)).toBe(false);
  });

  test('has one rung for a deaf listener', () => {
    expect(planLadder({ github: github(), machine: machine() }, policy, 'deaf-listener')).toEqual(['restart-service']);
    expect(planLadder({ github: github(), machine: machine() }, policy, 'stuck-busy')).toEqual(['restart-service', 're-register']);
  });

  test('keeps its order, repeats no rung and ends with the six steps', () => {
    fc.assert(
      fc.property(anyLook, (seen) => {
        if (!seen.github.known || !seen.machine.known) {
          return true;
        }
        const rungs = planLadder({ github: seen.github.value, machine: seen.machine.value }, policy);
        const places = rungs.map((rung) => RUNGS.indexOf(rung));
        return rungs.at(-1) === 're-register' && places.every((place, index) => index === 0 || place > places[index - 1]!);
      }),
    );
  });
});

test.each([
  [0, 'right'],
  [1_400, 'right'],
  [13_000, '13 s ahead'],
  [-13_000, '13 s behind'],
  [7_200_000, '2 h 0 min ahead'],
  [-300_000, '5 min behind'],
])('an offset of %i ms reads "%s"', (offset, text) => {
  expect(describeOffset(offset)).toBe(text);
});
