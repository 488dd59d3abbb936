import { describe, expect, test } from 'vitest';
import { fileSchema } from '../../src/config/schema.ts';
import { DEFAULT_UPKEEP_POLICY } from '../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY, type RefPattern } from '../../src/domain/queue/policy.ts';
import { healthPolicy, queuePolicy, recoveryPolicy } from '../../src/worker/policy.ts';

const SETTINGS = fileSchema.parse({});
const { queue: QUEUE } = SETTINGS;

const MINUTE = 60_000;

test.each([
  [1, 15],
  [5, 15],
  [60, 180],
])('passes every %i minutes are remembered for %i minutes, so that one may be missed', (every, remembered) => {
  const policy = healthPolicy({
    budgets: { recoveries: { max: 3, perMs: 6 * 60 * MINUTE }, breakerAfter: 2 },
    cache: SETTINGS.cache,
    disk: SETTINGS.disk,
    health: { everyMs: every * MINUTE },
    recovery: { timeoutsMs: {} },
    vm: { autostart: 'wanted' },
  });
  expect(policy.memoryLastsMs).toBe(remembered * MINUTE);
});

test('upkeep goes by the file, and its acts have time in what surrounds them', () => {
  const budgets = { recoveries: { max: 3, perMs: 6 * 60 * MINUTE }, breakerAfter: 2 };
  const given = (disk: Partial<typeof SETTINGS.disk>) =>
    recoveryPolicy({ budgets, recovery: { timeoutsMs: {} }, cache: { maxAgeDays: 0.5 }, disk: { ...SETTINGS.disk, ...disk } });
  expect(given({}).upkeep).toEqual({ ...DEFAULT_UPKEEP_POLICY, cacheUnusedMs: 12 * 60 * MINUTE });
  const { upkeep, limits } = given({ usedPercent: 80, inodesPercent: 3, floorMiB: 2048, toolsDays: 2, dockerDays: 1, workspacesDays: 9 });
  const day = 24 * 60 * MINUTE;
  expect(upkeep.room).toMatchObject({
    usedPercent: 80,
    inodesUsedPercent: 3,
    enoughPercent: 0,
    floorBytes: 2 ** 31,
    unusedForMs: { 'tool-caches': 2 * day, docker: day, workspaces: 9 * day },
  });
  expect(Number.parseInt(limits.act.startToClose, 10)).toBeGreaterThan(upkeep.deadlineMs);
});

describe('refs that are protected by', () => {
  const protects = (glob: string, ref: string): boolean => {
    const queue = { ...QUEUE, superseded: { ...QUEUE.superseded, protect: [glob] } };
    const { patterns, defaultBranch } = queuePolicy({ queue }).rules.superseded.protect;
    expect(defaultBranch).toBe(false);
    const [{ pattern }] = patterns as [RefPattern];
    return new RegExp(pattern).test(ref);
  };

  test.each([
    ['main', 'main', true],
    ['main', 'main-2', false],
    ['main', 'not/main', false],
    ['release/*', 'release/1.2', true],
    ['release/*', 'release/1.2/hotfix', false],
    ['release/**', 'release/1.2/hotfix', true],
    ['v[0-9]*', 'v12', true],
    ['*', '.hidden', true],
    ['a.b', 'axb', false],
  ])('%s: %s %s', (glob, ref, isProtected) => {
    expect(protects(glob, ref)).toBe(isProtected);
  });
});

test('hours and modes of the file reach the rules', () => {
  const { rules, maxPerPass, reach } = queuePolicy({
    queue: { ...QUEUE, stale: { ...QUEUE.stale, mode: 'plan', hours: 2.5 }, maxPerPass: 9, reach: 'repository' },
  });
  expect({ maxPerPass, reach }).toEqual({ maxPerPass: 9, reach: 'repository' });
  expect(rules).toMatchObject({
    stale: { mode: 'plan', afterMs: 150 * MINUTE },
    superseded: { mode: 'on', events: { only: ['push', 'pull_request', 'pull_request_target'] }, sameWork: 'on' },
    prioritizePullRequests: { mode: 'on', threshold: 5, then: 'park' },
    paths: { mode: 'off' },
  });
});

test('without a word in the file, rules are those of the default policy', () => {
  expect(queuePolicy({ queue: QUEUE }).rules).toEqual(DEFAULT_QUEUE_POLICY.rules);
});

test.each([
  ['release/1.x', true],
  ['release/1/2', true],
  ['release', true],
  ['releases', false],
])('by default %s is protected: %s', (ref, isProtected) => {
  const [{ glob, pattern }] = DEFAULT_QUEUE_POLICY.rules.superseded.protect.patterns as [RefPattern];
  const [byGlob] = queuePolicy({ queue: { ...QUEUE, superseded: { ...QUEUE.superseded, protect: [glob] } } }).rules.superseded.protect
    .patterns;
  expect([pattern, byGlob?.pattern].map((each) => new RegExp(`^(?:${each})$`).test(ref))).toEqual([isProtected, isProtected]);
});
