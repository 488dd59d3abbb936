import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diagnose } from '../../src/domain/diagnose.ts';
import { enter, type LedgerEntry } from '../../src/domain/ledger.ts';
import type { RunnersMemory, PassObservation } from '../../src/domain/pass.ts';
import { DEFAULT_HEALTH_POLICY } from '../../src/domain/policy.ts';
import { prescribe, type Prescribed } from '../../src/domain/prescribe.ts';
import { known, unknown, valueOrNull } from '../../src/domain/reading.ts';
import type { GuestObservation, RegisteredRunner } from '../../src/domain/runner.ts';
import {
  anyMemory,
  anyPass,
  guest,
  host,
  jobs,
  machine,
  memory,
  NOW,
  pass,
  queue,
  registered,
  remembered,
  scope,
  target,
} from '../kit/observations.ts';

const policy = DEFAULT_HEALTH_POLICY;
const MINUTE = 60_000;
const EVERY = 5 * MINUTE;
const HOUR = 60 * MINUTE;
const INACTIVE: Partial<GuestObservation> = { service: { unit: 'unit', state: 'inactive' }, listeners: 0 };

function check(
  seen: PassObservation,
  previous: RunnersMemory | null = null,
  ledgers: Readonly<Record<string, readonly LedgerEntry[]>> = {},
) {
  const diagnosis = diagnose(seen, previous, policy);
  const prescribed = prescribe(diagnosis, seen, { ledgers, policy });
  return {
    ...diagnosis,
    ...prescribed,
    memory: { ...diagnosis.memory, turns: prescribed.turns, missed: prescribed.missed },
    found: diagnosis.findings,
  };
}

function codes(findings: readonly { readonly code: string; readonly subject: string }[]): readonly string[] {
  return findings.map(({ code, subject }) => `${subject}: ${code}`);
}

function act(replaced: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    at: NOW - HOUR,
    type: 'recoverRunner',
    scope: 'acme/kernel',
    runner: 'r1',
    trigger: 'check',
    workflowId: 'w',
    runId: 'r',
    outcome: 'recovered',
    ...replaced,
  };
}

/** Runners of one scope; each on a machine of its own unless it names one. */
function fleet(
  each: readonly { readonly github?: Partial<RegisteredRunner>; readonly guest?: Partial<GuestObservation>; readonly machine?: string }[],
  replaced: Parameters<typeof scope>[0] = {},
): PassObservation {
  const name = (index: number): string => `r${index + 1}`;
  return pass({
    github: known(
      scope({ runners: each.map(({ github }, index) => registered({ id: index, name: name(index), ...github })), ...replaced }),
    ),
    runners: each.map((one, index) => ({
      target: target({ runner: name(index), machine: one.machine ?? `m${index + 1}` }),
      machine: known(
        machine({
          guest: known(
            guest({ registration: { agentId: index, agentName: name(index), url: 'https://github.com/acme/kernel' }, ...one.guest }),
          ),
        }),
      ),
    })),
  });
}

describe('whatever is seen', () => {
  test('nothing is done where anything that it needs is unknown', () => {
    fc.assert(
      fc.property(anyPass, anyMemory, (seen, previous) => {
        for (const { runner, because } of check(seen, previous).prescriptions) {
          const look = seen.runners.find(({ target: { scope: of, runner: name } }) => `${of}/${name}` === runner)!;
          const github = valueOrNull(seen.github);
          expect(github).not.toBeNull();
          expect(['online', 'offline', undefined]).toContain(github?.runners.find(({ name }) => name === look.target.runner)?.status);
          const isMissing = github?.runners.every(({ name }) => name !== look.target.runner);
          expect(isMissing === true && github?.absent?.[look.target.runner]?.kind === 'unknown').toBe(false);
          expect(seen.hosts['local']?.known).toBe(true);
          const at = valueOrNull(look.machine);
          expect(at).not.toBeNull();
          expect(at?.state !== 'running' || at.guest.known || because === 'guest-unreachable').toBe(true);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test('nothing is done to a listener that lives, on the word of a list that lacks it', () => {
    fc.assert(
      fc.property(anyPass, anyMemory, (seen, previous) => {
        for (const { runner } of check(seen, previous).prescriptions) {
          const look = seen.runners.find(({ target: { scope: of, runner: name } }) => `${of}/${name}` === runner)!;
          const github = valueOrNull(seen.github)!;
          const at = valueOrNull(look.machine)!;
          const inside = at.state === 'running' ? valueOrNull(at.guest) : null;
          const absence = github.absent?.[look.target.runner];
          const isMissing = github.runners.every(({ name }) => name !== look.target.runner);
          const lives = inside !== null && inside.service.state === 'active' && inside.listeners > 0 && inside.registration !== null;
          expect(isMissing && lives && !(absence?.kind === 'gone' && absence.id === inside.registration?.agentId)).toBe(false);
          expect(isMissing && absence?.kind !== 'gone' && at.state === 'running' && inside === null).toBe(false);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test('nothing is done while a job runs, unless GitHub alone has said so for too long', () => {
    fc.assert(
      fc.property(anyPass, anyMemory, (seen, previous) => {
        for (const { runner, cure, suspicion, because } of check(seen, previous).prescriptions) {
          const look = seen.runners.find(({ target: { scope: of, runner: name } }) => `${of}/${name}` === runner)!;
          const at = valueOrNull(look.machine)!;
          const inside = at.state === 'running' ? valueOrNull(at.guest) : null;
          const isBusy = valueOrNull(seen.github)?.runners.find(({ name }) => name === look.target.runner)?.busy === true;
          const idle = suspicion === 'stray-listener' ? (inside?.strays?.workers ?? 0) : 0;
          expect(inside?.runningAct ?? null).toBeNull();
          // A drain lets the job end.
          if (cure === 'finish-drain') continue;
          expect((inside?.workers ?? 0) - idle).toBe(0);
          expect(isBusy && at.state === 'running' && suspicion !== 'stuck-busy').toBe(false);
          expect(inside?.drain ?? null).toBeNull();
          expect(because === 'clock-drift' && (inside?.workersOnMachine ?? 0) - (cure === 'recover' ? idle : 0) > 0).toBe(false);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test('every finding says what, why and what to do, in few words', () => {
    fc.assert(
      fc.property(anyPass, anyMemory, (seen, previous) => {
        const { found, findings } = check(seen, previous);
        for (const { summary, evidence, advice } of [...found, ...findings]) {
          for (const text of [summary, evidence, advice]) {
            expect(text).not.toMatch(/undefined|null|NaN|\[object/);
            expect(text.length).toBeGreaterThan(0);
            expect(text.length).toBeLessThanOrEqual(250);
          }
        }
      }),
    );
  });

  test('each finding of a runner that has a cure is cured, or it is said why not', () => {
    fc.assert(
      fc.property(anyPass, anyMemory, (seen, previous) => {
        const { found, prescriptions, withheld } = check(seen, previous);
        for (const { subject, code, cure } of found.filter((finding) => finding.cure !== null)) {
          const isCured = prescriptions.some(({ runner }) => runner === subject);
          const reasons = withheld.filter(({ runner, because }) => runner === subject && because === code);
          expect(isCured || reasons.length === 1, `${code} → ${cure}`).toBe(true);
          expect(reasons.every(({ why }) => why.length > 0)).toBe(true);
        }
        expect(new Set(prescriptions.map(({ runner }) => runner)).size).toBe(prescriptions.length);
        for (const { runner, because, cure } of prescriptions) {
          expect(found.find(({ subject, code }) => subject === runner && code === because)).toMatchObject({ cure, isProven: true });
        }
      }),
    );
  });

  test('the same is found again, once for each subject', () => {
    fc.assert(
      fc.property(anyPass, anyMemory, (seen, previous) => {
        const once = check(seen, previous);
        expect(check(structuredClone(seen), structuredClone(previous))).toEqual(once);
        expect(new Set(codes(once.found)).size).toBe(once.found.length);
      }),
    );
  });

  test('what is remembered of a runner is small', () => {
    fc.assert(
      fc.property(anyPass, anyMemory, (seen, previous) => {
        for (const remembrance of Object.values(check(seen, previous).memory.runners)) {
          expect(JSON.stringify(remembrance).length).toBeLessThan(200);
        }
      }),
    );
  });
});

test('a drain of an impossible date is told as well', () => {
  const { found } = check(
    fleet([{ github: { status: 'offline' }, guest: { ...INACTIVE, drain: { since: Number.NaN, by: 'person', reason: 'by hand' } } }]),
  );
  expect(found).toMatchObject([{ code: 'drained', evidence: 'since an unknown time: by hand' }]);
});

describe('a scope of many', () => {
  test('five of a hundred, broken in different ways', () => {
    const broken = new Map<number, Parameters<typeof fleet>[0][number]>([
      [3, { github: { status: 'offline' }, guest: INACTIVE }],
      [20, { guest: { clockOffsetMs: 2 * HOUR } }],
      [35, { github: { status: 'offline' } }],
      [60, { guest: { disk: { usedPercent: 95, freeBytes: 1e9, inodesUsedPercent: null } } }],
      [99, { github: { status: 'offline' }, guest: { registration: null } }],
    ]);
    const seen = fleet(Array.from({ length: 100 }, (_, index) => broken.get(index) ?? {}));
    const {
      found,
      prescriptions,
      runners,
      memory: left,
    } = check(seen, memory(NOW - EVERY, { 'acme/kernel/r36': remembered({ offlineSince: NOW - EVERY }) }));
    expect(codes(found)).toEqual([
      'acme/kernel/r4: service-inactive',
      'acme/kernel/r21: clock-drift',
      'acme/kernel/r36: runner-offline',
      'acme/kernel/r61: disk-low',
      'acme/kernel/r100: configuration-missing',
    ]);
    expect(prescriptions.map(({ runner, cure }) => `${runner} ${cure}`)).toEqual([
      'acme/kernel/r4 recover',
      'acme/kernel/r21 sync-clock',
      'acme/kernel/r36 recover',
      'acme/kernel/r61 make-room',
      'acme/kernel/r100 recover',
    ]);
    expect(runners.filter(({ verdict }) => verdict === 'healthy')).toHaveLength(96);
    expect(Object.keys(left.runners)).toEqual(['acme/kernel/r4', 'acme/kernel/r36', 'acme/kernel/r100']);
  });

  test('runners on a disk without room are drained one after the other, and taken up so', () => {
    const below = { ...guest().disk, freeBytes: 100_000_000, usedPercent: 97 };
    const isOwn = {
      drain: { since: NOW - HOUR, by: 'room' as const, reason: 'no room on the disk (95 MiB free, below 512 MiB)' },
      ...INACTIVE,
    };
    const cures = (disk: GuestObservation['disk'], drained: readonly boolean[]): readonly string[] =>
      check(
        fleet(
          drained.map((is) => ({
            machine: 'shared',
            github: is ? { status: 'offline' } : {},
            guest: { disk, ...(is ? isOwn : {}) },
          })),
        ),
      ).prescriptions.map(({ runner, cure }) => `${runner} ${cure}`);
    expect(cures(below, [false, false])).toEqual(['acme/kernel/r1 make-room']);
    expect(cures(below, [true, false])).toEqual(['acme/kernel/r2 make-room']);
    expect(cures(guest().disk, [true, true])).toEqual(['acme/kernel/r1 make-room']);
    expect(cures(guest().disk, [false, true])).toEqual(['acme/kernel/r2 make-room']);
  });

  test('a disk that hovers at the floor drains its runner once, and says so while it stays drained', () => {
    const seen = (freeBytes: number, isDrained: boolean) =>
      fleet([
        {
          github: isDrained ? { status: 'offline' } : {},
          guest: {
            disk: { usedPercent: 97, freeBytes, inodesUsedPercent: 10 },
            ...(isDrained ? { ...INACTIVE, drain: { since: NOW, by: 'room' as const, reason: 'no room on the disk' } } : {}),
          },
        },
      ]);
    const MIB = 1024 * 1024;
    expect(check(seen(500 * MIB, false)).prescriptions).toMatchObject([{ because: 'disk-below-floor' }]);
    // Removing more is tried as often as the budget allows.
    const used = [5, 3, 1].map((hours) => act({ type: 'makeRoom', at: NOW - hours * HOUR, runId: `${hours}` }));
    for (const freeBytes of [540 * MIB, 500 * MIB, 540 * MIB]) {
      expect(check(seen(freeBytes, true), null, { 'acme/kernel/r1': used }).prescriptions).toEqual([]);
    }
    expect(codes(check(seen(540 * MIB, true)).found.filter(({ severity }) => severity === 'warning'))).toContain('acme/kernel/r1: drained');
    expect(check(seen(1_600 * MIB, true), null, { 'acme/kernel/r1': used }).prescriptions).toMatchObject([{ cure: 'make-room' }]);
  });

  test('a runner that was drained for want of room again and again stays drained, and a finding says why', () => {
    const seen = fleet([
      { github: { status: 'offline' }, guest: { ...INACTIVE, drain: { since: NOW, by: 'room' as const, reason: 'no room on the disk' } } },
    ]);
    const drains = (workflowId: string) =>
      [5, 3, 1].map((hours) => act({ type: 'drainRunner', workflowId, at: NOW - hours * HOUR, runId: `${hours}`, outcome: 'drained' }));
    const own = check(seen, null, { 'acme/kernel/r1': drains('drain/acme/kernel/r1/room') });
    expect(own).toMatchObject({
      prescriptions: [],
      withheld: [{ because: 'drained', reason: 'budget', why: expect.stringContaining('3 drains of r1 within 6 h: the budget is 3') }],
      findings: [{ code: 'budget-used-up', advice: expect.stringContaining('`runward runner resume --runner r1`') }],
    });
    expect(check(seen, null, { 'acme/kernel/r1': drains('by-hand') }).prescriptions).toMatchObject([{ because: 'drained' }]);
  });

  test("a person's drain stays, whatever they say it is for", () => {
    const reason = 'no room on the disk: I clean it up by hand, hands off';
    const drain = (by: 'person' | 'room') =>
      check(fleet([{ github: { status: 'offline' }, guest: { ...INACTIVE, drain: { since: NOW, by, reason } } }]));
    expect(drain('person').prescriptions).toEqual([]);
    expect(drain('room').prescriptions).toMatchObject([{ cure: 'make-room' }]);
  });

  test('a silent host is one finding, and nothing is said of its runners', () => {
    const seen = { ...fleet([{ github: { status: 'offline' } }, {}, {}]), hosts: { local: unknown('no worker polls') } };
    const { found, runners, unreadable } = check(seen);
    expect(codes(found)).toEqual(['host/local: host-silent']);
    expect(runners.map(({ verdict }) => verdict)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(unreadable).toEqual(['host/local', 'acme/kernel/r1', 'acme/kernel/r2', 'acme/kernel/r3']);
  });

  test('a host that was not looked at is silent', () => {
    expect(codes(check({ ...fleet([{}]), hosts: {} }).found)).toEqual(['host/local: host-silent']);
  });

  test('a provider that answers for no machine is one finding of its host', () => {
    const seen = fleet([{}, {}]);
    const { found, unreadable } = check({
      ...seen,
      runners: seen.runners.map(({ target: of }) => ({ target: of, machine: unknown('no daemon') })),
    });
    expect(codes(found)).toEqual(['host/local: provider-silent']);
    expect(unreadable).toEqual(['acme/kernel/r1', 'acme/kernel/r2']);
  });

  test('GitHub out of reach is one finding of the scope', () => {
    const { found, unreadable } = check({ ...fleet([{}, {}]), github: unknown('GitHub failed (502)') });
    expect(codes(found)).toEqual(['acme/kernel: github-unknown']);
    expect(unreadable).toEqual(['acme/kernel', 'acme/kernel/r1', 'acme/kernel/r2']);
  });

  test('a part that could not be read is told, by what it keeps from being found', () => {
    const seen = fleet([{}], { queue: unknown('502'), versions: unknown('502') });
    const hosts = { local: known(host({ githubOffsetMs: unknown('no answer'), oldCronJob: unknown('denied') })) };
    expect(check({ ...seen, hosts }).unread.map(({ subject, code }) => `${subject}: ${code}`)).toEqual([
      'acme/kernel: permission-missing',
      'acme/kernel: jobs-unservable',
      'host/local: host-clock-wrong',
      'host/local: old-cron-job',
      'acme/kernel/r1: version-retired',
      'acme/kernel/r1: version-retiring',
      'acme/kernel: github-outage',
      'acme/kernel/r1: deaf-listener',
    ]);
    expect(check(fleet([{}])).unread).toEqual([]);
    const stopped = (state: 'stopped' | 'missing') =>
      check({ ...seen, runners: [{ target: target(), machine: known(machine({ state })) }] });
    expect(stopped('stopped').unread.map(({ code }) => code)).toContain('disk-full');
    expect(stopped('missing').unread.map(({ code }) => code)).not.toContain('disk-full');
  });

  test('an outage that several runners show is one finding of the scope', () => {
    const refused = {
      github: { status: 'offline' },
      guest: {
        ...INACTIVE,
        log: { startedAgoMs: null, exitCode: 1, relaunches: 0, signs: [{ code: 'version-retired' as const, line: 'deprecated' }] },
      },
    };
    const { found, prescriptions } = check(fleet([refused, refused], { versions: known({ latest: '2.336.0', retirements: [] }) }));
    expect(codes(found)).toEqual(['acme/kernel: github-outage']);
    expect(prescriptions).toEqual([]);
  });

  test('what a job waits for comes first', () => {
    const dead = { github: { status: 'offline', labels: ['self-hosted'] }, guest: INACTIVE };
    const wanted = { github: { status: 'offline', labels: ['self-hosted', 'gpu'] }, guest: INACTIVE };
    const { prescriptions } = check(fleet([dead, wanted], { queue: known(queue(jobs({ labels: ['GPU'] }))) }));
    expect(prescriptions).toMatchObject([{ runner: 'acme/kernel/r2', isUrgent: true }]);
    const drifting = { guest: { clockOffsetMs: HOUR } };
    const clocks = fleet([drifting, { ...drifting, github: { labels: ['gpu'] } }], { queue: known(queue(jobs({ labels: ['GPU'] }))) });
    expect(check(clocks).prescriptions.map(({ runner, isUrgent }) => ({ runner, isUrgent }))).toEqual([
      { runner: 'acme/kernel/r2', isUrgent: true },
      { runner: 'acme/kernel/r1', isUrgent: false },
    ]);
  });

  test('the clock of a machine is set once for all its runners', () => {
    const drifting = { guest: { clockOffsetMs: HOUR }, machine: 'm1' };
    const { prescriptions, withheld } = check(fleet([drifting, drifting]));
    expect(prescriptions.map(({ runner }) => runner)).toEqual(['acme/kernel/r1']);
    expect(withheld).toEqual([
      { runner: 'acme/kernel/r2', because: 'clock-drift', reason: 'sharing', why: 'the cure of r1 concerns its machine as well' },
    ]);
  });

  test('a runner that alone is meant gives way to no neighbour that is not', () => {
    const drifting = { guest: { clockOffsetMs: HOUR }, machine: 'm1' };
    const seen = fleet([drifting, drifting]);
    const isMeant = (runner: string): boolean => runner === 'acme/kernel/r2';
    const { prescriptions, withheld } = prescribe(diagnose(seen, null, policy), seen, { ledgers: {}, policy, isMeant });
    expect(prescriptions.map(({ runner }) => runner)).toEqual(['acme/kernel/r2']);
    expect(withheld).toEqual([]);
  });

  test('of several deaf listeners one is restarted, to see whether the queue moves', () => {
    const since = remembered({ idleDespiteDemandSince: NOW - EVERY });
    const seen = fleet([{}, {}], { queue: known(queue(jobs({ oldestAt: NOW - HOUR }))) });
    const { prescriptions, withheld } = check(seen, memory(NOW - EVERY, { 'acme/kernel/r1': since, 'acme/kernel/r2': since }));
    expect(prescriptions).toMatchObject([{ runner: 'acme/kernel/r1', suspicion: 'deaf-listener' }]);
    expect(withheld).toMatchObject([
      {
        runner: 'acme/kernel/r2',
        reason: 'one-at-a-time',
        why: '2 of 2 machines show the same: acme/kernel/r1 goes first, and is not well yet',
      },
    ]);
  });
});

describe('budgets', () => {
  const broken = fleet([{ github: { status: 'offline' }, guest: INACTIVE }]);

  test('used up: refused, said in a finding, and until when', () => {
    const ledgers = { 'acme/kernel/r1': [5, 3, 1].map((hours) => act({ at: NOW - hours * HOUR, runId: `${hours}` })) };
    const { prescriptions, withheld, findings } = check(broken, null, ledgers);
    expect(prescriptions).toEqual([]);
    expect(withheld).toEqual([
      {
        runner: 'acme/kernel/r1',
        because: 'service-inactive',
        why: '3 recoveries of r1 within 6 h: the budget is 3; until 2026-11-24 13:00 UTC',
        reason: 'budget',
        limit: '3 per 6 h',
        until: '2026-11-24T13:00:00.000Z',
      },
    ]);
    expect(findings).toMatchObject([
      {
        code: 'budget-used-up',
        severity: 'critical',
        subject: 'acme/kernel/r1',
        isProven: true,
        cure: null,
        advice: expect.stringContaining('after 2026-11-24 13:00 UTC'),
      },
    ]);
  });

  test('two failures in a row wait for a person or the cool-down', () => {
    const ledgers = {
      'acme/kernel/r1': [act({ at: NOW - 2 * HOUR, outcome: 'failed' }), act({ at: NOW - HOUR, runId: '2', outcome: 'failed' })],
    };
    const { prescriptions, findings } = check(broken, null, ledgers);
    expect(prescriptions).toEqual([]);
    expect(findings).toMatchObject([
      { evidence: expect.stringContaining('the last 2 recoveries of r1 failed'), advice: expect.stringContaining('2026-11-24 16:00') },
    ]);
  });

  test('a clock that does not stay right is set three times', () => {
    const drifting = fleet([{ guest: { clockOffsetMs: HOUR } }]);
    const ledgers = { 'acme/kernel/r1': ['1', '2', '3'].map((runId) => act({ type: 'syncClock', runId })) };
    expect(check(drifting, null, ledgers).withheld[0]?.why).toMatch(/3 clock syncs of r1 within 6 h/);
  });

  test('a neighbour is not charged', () => {
    const ledgers = { 'acme/kernel/r1': ['1', '2', '3'].map((runId) => act({ runner: 'r2', runId })) };
    expect(check(broken, null, ledgers).prescriptions).toHaveLength(1);
  });
});

/** Passes every five minutes, each with what the one before left; `world` shows what is there and is told what was prescribed. */
function passes(
  count: number,
  world: {
    readonly see: (index: number, at: number) => PassObservation;
    readonly outcome?: (index: number) => string;
    /** Passes whose memory is not there yet. */
    readonly lag?: number;
  },
) {
  const memories: RunnersMemory[] = [];
  let ledger: readonly LedgerEntry[] = [];
  const acts: number[] = [];
  const done: Prescribed[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = NOW + index * EVERY;
    const seen = world.see(index, at);
    const previous = memories[index - 1 - (world.lag ?? 0)] ?? null;
    const result = check(seen, previous, { 'acme/kernel/r1': ledger });
    memories.push(result.memory);
    done.push(result);
    if (result.prescriptions.length > 0) {
      acts.push(at);
      ledger = enter(ledger, act({ at, runId: `${index}`, outcome: world.outcome?.(index) ?? 'recovered' }));
    }
  }
  return { acts, done };
}

function at(moment: number, github: Partial<RegisteredRunner>, inside: Partial<GuestObservation>): PassObservation {
  return {
    ...fleet([{ github, guest: inside }], { observedAt: moment }),
    at: moment,
    hosts: { local: known(host({ observedAt: moment })) },
  };
}

describe('a day of passes', () => {
  const DEAD: Partial<RegisteredRunner> = { status: 'offline' };

  function mostWithin(acts: readonly number[], span: number): number {
    return Math.max(...acts.map((begin) => acts.filter((moment) => moment >= begin && moment < begin + span).length));
  }

  test('a runner that flaps all day is recovered within the budget', () => {
    const { acts, done } = passes(288, {
      see: (index, moment) => at(moment, index % 2 === 0 ? DEAD : {}, index % 2 === 0 ? INACTIVE : {}),
    });
    expect(mostWithin(acts, policy.budgets.withinMs)).toBe(policy.budgets.recoveries);
    expect(acts.length).toBeLessThanOrEqual(12);
    expect(done.filter(({ findings }) => findings.some(({ code }) => code === 'budget-used-up')).length).toBeGreaterThan(100);
  });

  test('a runner whose recoveries fail is left to a person after two, four times a day', () => {
    const { acts } = passes(288, { see: (_, moment) => at(moment, DEAD, INACTIVE), outcome: () => 'failed' });
    expect(mostWithin(acts, policy.budgets.withinMs)).toBe(policy.budgets.failuresInARow);
    expect(acts).toHaveLength(8);
  });

  test('a healed runner is left alone', () => {
    const { acts } = passes(288, { see: (index, moment) => at(moment, index === 0 ? DEAD : {}, index === 0 ? INACTIVE : {}) });
    expect(acts).toEqual([NOW]);
  });

  test('what the last pass left comes late: the same is done, a pass later', () => {
    const see = (_: number, moment: number): PassObservation => at(moment, DEAD, {});
    expect(passes(3, { see }).acts[0]).toBe(NOW + EVERY);
    expect(passes(3, { see, lag: 1 }).acts[0]).toBe(NOW + 2 * EVERY);
    const agreed = (_: number, moment: number): PassObservation => at(moment, DEAD, INACTIVE);
    expect(passes(3, { see: agreed, lag: 1 }).acts).toEqual(passes(3, { see: agreed }).acts);
  });

  test('GitHub is down for an hour: nothing is done until it returns', () => {
    const { acts } = passes(14, {
      see: (index, moment) => ({ ...at(moment, DEAD, INACTIVE), ...(index < 12 ? { github: unknown('GitHub failed (502)') } : {}) }),
      outcome: () => 'recovered',
    });
    expect(acts[0]).toBe(NOW + 12 * EVERY);
  });

  test('a machine stopped by hand stays so until a job waits for it', () => {
    const { acts } = passes(10, {
      see: (index, moment) => {
        const seen = at(moment, index === 0 ? {} : DEAD, {});
        const github = known({ ...valueOrNull(seen.github)!, queue: known(index < 8 ? queue() : queue(jobs({ oldestAt: moment }))) });
        const off = known(machine({ state: 'stopped', guest: unknown('stopped') }));
        return {
          ...seen,
          github,
          runners: index === 0 ? seen.runners : seen.runners.map(({ target: of }) => ({ target: of, machine: off })),
        };
      },
    });
    expect(acts[0]).toBe(NOW + 8 * EVERY);
  });

  test('busy without a worker is believed for twenty minutes without a gap', () => {
    const stuck = (gap: number | null) =>
      passes(12, {
        see: (index, moment) => {
          const seen = at(moment, { busy: true }, {});
          return index === gap
            ? { ...seen, runners: seen.runners.map(({ target: of }) => ({ target: of, machine: unknown('no answer') })) }
            : seen;
        },
      }).acts[0];
    expect(stuck(null)).toBe(NOW + 4 * EVERY);
    expect(stuck(2)).toBe(NOW + 7 * EVERY);
  });

  test('two readings that lie hours apart are not two in a row', () => {
    const first = check(at(NOW, {}, { listeners: 2 }));
    const later = NOW + 5 * HOUR;
    expect(check(at(later, {}, { listeners: 2 }), first.memory).prescriptions).toEqual([]);
    const missed = check(at(NOW, { status: 'offline' }, {}));
    expect(check(at(later, { status: 'offline' }, {}), missed.memory).prescriptions).toEqual([]);
    expect(check(at(NOW + EVERY, { status: 'offline' }, {}), missed.memory).prescriptions).toHaveLength(1);
  });
});

describe('a disk below the floor', () => {
  const MIB = 1024 ** 2;
  const diskWith = (freeBytes: number, usedPercent = 98) => ({ disk: { usedPercent, freeBytes, inodesUsedPercent: null } });
  const drainedForRoom = { since: NOW - HOUR, by: 'room' as const, reason: 'no room on the disk (300 MiB free, below 512 MiB)' };
  const idleAndDrained: Partial<GuestObservation> = { ...INACTIVE, drain: drainedForRoom };
  const used = (runner = 'r1') =>
    [10, 20, 30].map((minutes) => act({ at: NOW - minutes * MINUTE, type: 'makeRoom', runner, outcome: 'some-room' }));
  const cures = (seen: PassObservation, ledgers: Parameters<typeof check>[2] = {}) =>
    check(seen, null, ledgers).prescriptions.map(({ runner, cure, because }) => `${runner} ${cure}: ${because}`);

  test.each([
    ['has no room for jobs', 300 * MIB, 'disk-below-floor'],
    ['is full', 10 * MIB, 'disk-full'],
  ])('that %s: the runner is drained, also while a job runs', (_what, freeBytes, code) => {
    const busy = fleet([{ github: { busy: true }, guest: { ...diskWith(freeBytes), workers: 1, workersOnMachine: 1 } }]);
    expect(cures(busy)).toEqual([`acme/kernel/r1 make-room: ${code}`]);
  });

  test('but not again while the job of a runner that is drained already ends', () => {
    const busy = fleet([
      { github: { busy: true }, guest: { ...diskWith(300 * MIB), workers: 1, workersOnMachine: 1, drain: drainedForRoom } },
    ]);
    expect(cures(busy)).toEqual([]);
  });

  test('whatever room was made before: the budget is for what is removed', () => {
    expect(cures(fleet([{ guest: diskWith(300 * MIB) }]), { 'acme/kernel/r1': used() })).toEqual([
      'acme/kernel/r1 make-room: disk-below-floor',
    ]);
    expect(cures(fleet([{ guest: diskWith(3_000 * MIB, 92) }]), { 'acme/kernel/r1': used() })).toEqual([]);
  });

  test('and a runner that was drained for it is taken up as soon as there is room for jobs, whatever its budget', () => {
    const roomy = fleet([{ github: { status: 'offline' }, guest: { ...idleAndDrained, ...diskWith(3_000 * MIB, 92) } }]);
    expect(cures(roomy, { 'acme/kernel/r1': used() })).toHaveLength(1);
    const full = fleet([{ github: { status: 'offline' }, guest: { ...idleAndDrained, ...diskWith(300 * MIB) } }]);
    expect(cures(full, { 'acme/kernel/r1': used() })).toEqual([]);
  });
});

test('a cleaning that fails again and again is told as what it is', () => {
  const failed = [10, 20].map((minutes) => act({ at: NOW - minutes * MINUTE, type: 'cleanActionsCache', outcome: 'failed' }));
  const { findings, prescriptions } = check(
    fleet([{ guest: { cleanedAgoMs: 30 * HOUR, cache: { bytes: 9, entries: 1, damaged: 0 } } }]),
    null,
    { 'acme/kernel/r1': failed },
  );
  expect(prescriptions).toEqual([]);
  expect(findings).toMatchObject([
    { code: 'budget-used-up', evidence: expect.stringContaining('cleanings'), advice: expect.stringContaining('`runward cache clean') },
  ]);
});
