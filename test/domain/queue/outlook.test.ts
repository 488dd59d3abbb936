import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { intendedActs } from '../../../src/domain/queue/intended.ts';
import { Forecast, type Outlook } from '../../../src/domain/queue/outlook.ts';
import { modesOf, planQueue } from '../../../src/domain/queue/plan.ts';
import type { ParkedRun } from '../../../src/domain/queue/parked.ts';
import type { QueuePolicy } from '../../../src/domain/queue/policy.ts';
import { queuedOf, type Run, type RunJobs } from '../../../src/domain/queue/run.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import { anyQueue, aPolicy, aRun, asking, byRun, DAY, HOUR, jobsOf, jobsOfRun, knownView, MINUTE, NOW, OURS } from '../../kit/queue.ts';

/** What would be done with each run of the view, by its id. */
function outlooks(view: QueueView, policy: QueuePolicy = aPolicy(), parked: readonly ParkedRun[] = []): Readonly<Record<number, Outlook>> {
  const modes = modesOf(policy, null);
  const plan = planQueue(view, policy, modes);
  const { acts: intended, homeless } = intendedActs(plan, { memory: view.memory, parked }, view.at, policy.parking);
  const known = new Set(parked.map(({ run }) => run.id));
  const forecast = new Forecast({ view, plan, policy, modes, intended, homeless, parked: known });
  return Object.fromEntries(queuedOf(view.runs).map((run) => [run.id, forecast.of(run)]));
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** The only run of a queue whose jobs are these. */
function outlookOf(run: Partial<Run>, jobs: Partial<RunJobs> | null = {}, policy?: QueuePolicy): Outlook | undefined {
  const only = aRun(run);
  return outlooks(knownView([only], { jobs: jobs === null ? new Map([[1, null]]) : byRun(jobsOfRun(only, jobs)) }), policy)[1];
}

function parked(run: Run): ParkedRun {
  return { run, jobs: jobsOfRun(run), parkedAt: NOW, times: 1, isCancelled: false, evidence: '', by: '' };
}

/** So many pull-request runs, before them run 1, a push. */
function pressed(count: number, push: Partial<Run> = {}): readonly Run[] {
  const pulls = Array.from({ length: count }, (_, index) =>
    aRun({ id: 10 + index, event: 'pull_request', branch: `change-${index}`, pullRequests: [index + 1] }),
  );
  return [aRun({ id: 1, createdAt: NOW - HOUR, ...push }), ...pulls];
}

describe('a run that waits', () => {
  test.each<[string, Partial<Run>, Partial<RunJobs>, number]>([
    ['from when its attempt began to wait', { createdAt: NOW - HOUR }, {}, NOW + 3 * HOUR],
    ['from its re-run, not from when it was created', { createdAt: NOW - 9 * DAY, startedAt: NOW - HOUR, attempt: 2 }, {}, NOW + 3 * HOUR],
    ['from when its oldest job began to wait', { createdAt: NOW - 3 * HOUR }, { oldestQueuedAt: NOW - MINUTE }, NOW + 4 * HOUR - MINUTE],
  ])('becomes stale, counted %s', (_from, run, jobs, at) => {
    expect(outlookOf(run, jobs)).toEqual({
      action: 'cancel',
      code: 'stale',
      at: iso(at),
      inMaintenance: null,
      isOnlyPlanned: false,
      newer: null,
      pullRequests: null,
      detail: null,
      kept: null,
    });
  });

  test('becomes stale later where Runward itself has re-run it', () => {
    const memory = { setAside: [], reruns: [{ run: 1, at: NOW - MINUTE, parked: 1 }] };
    const view = knownView([aRun({ createdAt: NOW - HOUR })], { memory });
    expect(outlooks(view)[1]).toMatchObject({ code: 'stale', at: iso(NOW - MINUTE + 4 * HOUR), inMaintenance: null });
  });

  test.each<[string, Partial<RunJobs>, Partial<Outlook>]>([
    ['a job has started', { started: 1 }, { code: 'started', detail: '1 of its 2 jobs has started' }],
    ['two jobs have started', { started: 2 }, { code: 'started', detail: '2 of its 3 jobs have started' }],
    ['a job is held', { held: 1 }, { code: 'held', detail: '1 of its 2 jobs is held' }],
    ['no job waits for a runner', { queued: [], total: 1 }, { code: 'held', detail: 'none of its jobs waits for a runner' }],
    ['no runner serves it', { queued: [asking(['gpu'])] }, { code: 'out-of-reach', detail: null }],
  ])('is left alone where %s, however long it waits', (_why, jobs, expected) => {
    for (const hours of [1, 9]) {
      expect(outlookOf({ createdAt: NOW - hours * HOUR }, jobs)).toMatchObject({
        action: 'none',
        at: null,
        inMaintenance: null,
        ...expected,
      });
    }
  });

  test('whose jobs are unknown, or of another attempt, is left alone', () => {
    expect(outlookOf({}, null)).toMatchObject({ action: 'none', code: 'unknown' });
    expect(outlookOf({ attempt: 2 }, { attempt: 1 })).toMatchObject({ action: 'none', code: 'unknown' });
  });

  test('never becomes stale where that rule is off, and is only told about where it only plans', () => {
    expect(outlookOf({}, {}, aPolicy({ stale: { mode: 'off' } }))).toMatchObject({ action: 'none', code: 'waits', at: null });
    expect(outlookOf({}, {}, aPolicy({ stale: { mode: 'plan' } }))).toMatchObject({ action: 'cancel', code: 'stale', isOnlyPlanned: true });
    const old = outlookOf({ createdAt: NOW - 5 * HOUR }, {}, aPolicy({ stale: { mode: 'plan' } }));
    expect(old).toMatchObject({ action: 'cancel', at: iso(NOW - HOUR), inMaintenance: null, isOnlyPlanned: true });
  });
});

describe('a run that a rule names', () => {
  test('is stale since then, and cancelled by the next maintenance, or by a later one if there are too many', () => {
    const runs = [9, 8, 7].map((hours, index) => aRun({ id: index + 1, branch: `b-${index}`, createdAt: NOW - hours * HOUR }));
    const told = outlooks(knownView(runs), aPolicy({ maxPerPass: 2 }));
    expect(told[1]).toMatchObject({ action: 'cancel', code: 'stale', at: iso(NOW - 5 * HOUR), inMaintenance: 1 });
    expect([told[1], told[2], told[3]].map((each) => each?.inMaintenance)).toEqual([1, 1, 2]);
  });

  test('is superseded by the newer one', () => {
    const told = outlooks(knownView([aRun({ id: 1, createdAt: NOW - HOUR }), aRun({ id: 2 })]));
    expect(told[1]).toMatchObject({ action: 'cancel', code: 'superseded', newer: 2, at: iso(NOW), inMaintenance: 1, kept: null });
    expect(told[2]).toMatchObject({ action: 'cancel', code: 'stale', inMaintenance: null });
  });

  test('makes way for the pull requests that are counted', () => {
    expect(outlooks(knownView(pressed(6)))[1]).toMatchObject({
      action: 'park',
      code: 'prioritizePullRequests',
      pullRequests: 6,
      at: iso(NOW),
      inMaintenance: 1,
    });
    expect(outlooks(knownView(pressed(5)))[1]).toMatchObject({ action: 'cancel', code: 'stale', inMaintenance: null });
  });

  test('keeps its place where it may not be parked, or where there is no room', () => {
    const memory = { setAside: [], reruns: [{ run: 1, at: NOW - HOUR, parked: 2 }] };
    const kept = { code: 'not-parked', detail: expect.stringContaining('keeps its place') };
    expect(outlooks(knownView(pressed(6), { memory }))[1]).toMatchObject({ code: 'stale', inMaintenance: null, kept });
    const full = aPolicy({ parking: { ...aPolicy().parking, most: 1 } });
    const told = outlooks(knownView(pressed(6)), full, [parked(aRun({ id: 99 }))]);
    expect(told[1]).toMatchObject({
      code: 'stale',
      kept: { code: 'not-parked', detail: expect.stringContaining('as many runs are deferred') },
    });
  });
});

describe('a run that a newer one would replace', () => {
  const two = (run: Partial<Run>) => [aRun({ id: 1, createdAt: NOW - HOUR, ...run }), aRun({ id: 2, ...run })];

  test('is kept where its branch is protected', () => {
    const protect = { defaultBranch: false, patterns: [{ glob: 'ma*', pattern: 'ma[^/]*' }] };
    const runs = two({ branch: 'master' });
    const told = outlooks(knownView(runs), aPolicy({ superseded: { protect } }));
    expect(told[1]).toMatchObject({ action: 'none', code: 'waits', inMaintenance: null, kept: { code: 'protected', newer: 2 } });
    expect(told[2]?.kept).toBeNull();
    expect(outlooks(knownView(runs), aPolicy({ superseded: { protect, mode: 'off' } }))[1]?.kept).toBeNull();
  });

  test('is kept where it is for a tag', () => {
    const told = outlooks(knownView(two({ branch: 'v1' }), { tags: new Map([['v1', true]]) }));
    expect(told[1]).toMatchObject({ code: 'waits', detail: 'never stale, since v1 is a tag', kept: { code: 'tag', newer: 2 } });
  });

  test('and one that never is stale says why', () => {
    const detailOf = (run: Partial<Run>, view: Partial<QueueView> = {}) => outlooks(knownView([aRun(run)], view))[1]?.detail;
    expect(detailOf({ branch: 'main' })).toBe('never stale, since main is protected');
    expect(detailOf({ event: 'release' })).toBe('never stale, since it is a release');
    expect(detailOf({}, { defaultBranch: null })).toBe('never stale, since the default branch, which is protected, is not known');
    expect(detailOf({}, { tags: new Map([['topic', null]]) })).toBe('never stale, since GitHub does not say whether topic is a tag');
    expect(detailOf({ event: 'schedule' })).toBeNull();
    expect(detailOf({}, { silent: [OURS] })).toContain('stands still');
  });
});

describe('a run that does not end', () => {
  const memory = { setAside: [{ run: 1, attempt: 1, why: 'it refuses', since: NOW - HOUR, tries: 1, retryAt: NOW + HOUR }], reruns: [] };

  test('is quarantined until it is tried again, unless it is re-run', () => {
    const old = { createdAt: NOW - 9 * HOUR };
    expect(outlooks(knownView([aRun(old)], { memory }))[1]).toMatchObject({
      action: 'none',
      code: 'quarantined',
      at: iso(NOW + HOUR),
      detail: 'it refuses',
    });
    expect(outlooks(knownView([aRun({ ...old, attempt: 2 })], { memory }))[1]).toMatchObject({ code: 'stale', inMaintenance: 1 });
  });

  test('is to be quarantined where it has no job', () => {
    const none = jobsOf({ queued: [], total: 0 });
    const told = outlooks(knownView([aRun({ createdAt: NOW - 9 * HOUR })], { jobs: byRun(none) }));
    expect(told[1]).toMatchObject({ action: 'quarantine', code: 'no-jobs', inMaintenance: 1 });
  });

  test('is being parked where that is remembered', () => {
    const [push] = pressed(0);
    expect(outlooks(knownView(pressed(6)), aPolicy(), [parked(push!)])[1]).toMatchObject({ action: 'none', code: 'parking' });
  });
});

test('what is due is what the plan does, whatever the queue', () => {
  fc.assert(
    fc.property(anyQueue(), ({ view, policy, modes }) => {
      const plan = planQueue(view, policy, modes);
      const { acts: intended, homeless } = intendedActs(plan, { memory: view.memory, parked: [] }, view.at, policy.parking);
      const forecast = new Forecast({ view, plan, policy, modes, intended, homeless, parked: new Set() });
      const due = queuedOf(view.runs)
        .map((run) => ({ run: run.id, ...forecast.of(run) }))
        .filter(({ inMaintenance, action }) => inMaintenance !== null && action !== 'quarantine');
      const inShort = (run: number, does: string, rule: string) => `${does} ${run} ${rule}`;
      expect(due.map(({ run, action, code }) => inShort(run, action, code)).toSorted()).toEqual(
        intended.map(({ run, does, rule }) => inShort(run, does, rule)).toSorted(),
      );
    }),
  );
});
