import { describe, expect, test } from 'vitest';
import type { Run, RunJobs } from '../../../src/domain/queue/run.ts';
import { judgeStale, queuedText, stale } from '../../../src/domain/queue/stale.ts';
import type { QueuePlan } from '../../../src/domain/queue/plan.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import {
  actsOf,
  aPolicy,
  aRun,
  asking,
  aView,
  byRun,
  DAY,
  HOUR,
  jobsOf,
  jobsOfRun,
  knownView,
  MINUTE,
  NOW,
  OURS,
  planOf,
} from '../../kit/queue.ts';

const FIVE_HOURS_AGO = NOW - 5 * HOUR;

interface Case {
  readonly when: string;
  /** Of a run that was pushed five hours ago. */
  readonly run?: Partial<Run>;
  /** Of one job that was queued when the attempt began; `null` where GitHub did not give them. */
  readonly jobs?: Partial<RunJobs> | null;
  readonly view?: Partial<QueueView>;
}

function planFor({ run: replaced, jobs, view }: Omit<Case, 'when'>, policy = aPolicy()): QueuePlan {
  const run = aRun({ createdAt: FIVE_HOURS_AGO, ...replaced });
  return planOf(
    aView({ runs: [run], jobs: jobs === null ? new Map([[run.id, null]]) : byRun(jobsOfRun(run, jobs)), ...view }),
    ['stale'],
    policy,
  );
}

describe('cancelled as stale', () => {
  test.each<Case>([
    { when: 'a push waits for five hours' },
    { when: 'it waits for a millisecond longer than four hours', run: { createdAt: NOW - 4 * HOUR - 1 } },
    {
      when: 'it was created days ago, and re-run five hours ago',
      run: { createdAt: NOW - 9 * DAY, startedAt: FIVE_HOURS_AGO, attempt: 2 },
    },
    {
      when: 'run_started_at is missing, and its job was queued five hours ago',
      run: { startedAt: null },
      jobs: { oldestQueuedAt: FIVE_HOURS_AGO },
    },
    { when: 'run_started_at is five hours ago, and no job says when it was queued', jobs: { oldestQueuedAt: null } },
    { when: 'labels differ in case', jobs: { queued: [asking(['Self-Hosted', 'BPF-LSM'])] } },
    { when: 'a hosted job waits with one of ours', jobs: { queued: [asking(['ubuntu-latest']), asking(['bpf-lsm'])] } },
    { when: 'the other half of its matrix was skipped', jobs: { total: 4 } },
    { when: 'the head repository is deleted', run: { headRepositoryId: null } },
    { when: 'it is a pull request, and GitHub names no branch', run: { event: 'pull_request', branch: null } },
    { when: 'somebody dispatched it', run: { event: 'workflow_dispatch' } },
    { when: 'a schedule started it', run: { event: 'schedule' } },
    { when: 'a schedule started it on the default branch', run: { event: 'schedule', branch: 'main' } },
    { when: 'the default branch is unknown, and it is no push', run: { event: 'schedule' }, view: { defaultBranch: null } },
    { when: 'Runward re-ran it, five hours ago', view: { memory: { setAside: [], reruns: [{ run: 1, at: FIVE_HOURS_AGO, parked: 1 }] } } },
    { when: 'Runward has just re-run another one', view: { memory: { setAside: [], reruns: [{ run: 2, at: NOW, parked: 1 }] } } },
    {
      when: 'it was set aside, until now',
      view: { memory: { setAside: [{ run: 1, attempt: 1, why: '409', since: FIVE_HOURS_AGO, tries: 1, retryAt: NOW }], reruns: [] } },
    },
    {
      when: 'it was set aside, and re-run since',
      run: { attempt: 2 },
      view: { memory: { setAside: [{ run: 1, attempt: 1, why: '409', since: NOW - DAY, tries: 1, retryAt: NOW + DAY }], reruns: [] } },
    },
  ])('$when', (given) => {
    const plan = planFor(given);
    expect(actsOf(plan)).toEqual(['cancel 1 stale']);
    expect(plan).toMatchObject({ wantsJobs: [], wantsTags: [], left: [], wouldBe: [], zombies: [], overdue: 1, setAside: 0 });
  });

  test('the act tells what the run is, and why', () => {
    expect(planFor({ jobs: { queued: [asking(['bpf-lsm'], 2), asking(['gpu'])] } }).acts).toEqual([
      {
        run: 1,
        attempt: 1,
        rule: 'stale',
        does: 'cancel',
        workflow: 'CI',
        event: 'push',
        branch: 'topic',
        evidence: 'queued for 5 h, 3 jobs wait for [bpf-lsm] and 1 other set of labels, none started',
        newer: null,
      },
    ]);
  });

  test('a hosted-only run of six hours, where the reach is the repository', () => {
    const given = { run: { createdAt: NOW - 6 * HOUR }, jobs: { queued: [asking(['ubuntu-latest'])] } };
    expect(actsOf(planFor(given, aPolicy({ reach: 'repository' })))).toEqual(['cancel 1 stale']);
  });

  test('after the time that the policy names', () => {
    const policy = aPolicy({ stale: { afterMs: 9 * HOUR } });
    expect(planFor({ run: { createdAt: NOW - 9 * HOUR } }, policy).acts).toEqual([]);
    expect(planFor({ run: { createdAt: NOW - 9 * HOUR - 1 } }, policy).acts).toHaveLength(1);
  });

  test('oldest attempt first, whatever the order of the list', () => {
    const runs = [
      aRun({ id: 1, createdAt: NOW - 9 * DAY, startedAt: NOW - 6 * HOUR }),
      aRun({ id: 2, createdAt: NOW - 8 * HOUR }),
      aRun({ id: 3, createdAt: NOW - 6 * HOUR }),
    ];
    const jobs = byRun(...runs.map((run) => jobsOfRun(run)));
    for (const listed of [runs, runs.toReversed()]) {
      expect(planOf(aView({ runs: listed, jobs }), ['stale']).acts.map(({ run }) => run)).toEqual([2, 1, 3]);
    }
  });
});

describe('left alone', () => {
  test.each<Case>([
    { when: 'it waits for exactly four hours', run: { createdAt: NOW - 4 * HOUR } },
    { when: 'it was created days ago, and re-run minutes ago', run: { createdAt: NOW - 9 * DAY, startedAt: NOW - 3 * MINUTE, attempt: 2 } },
    {
      when: 'it is created days ago, and nobody says when the attempt began',
      run: { createdAt: NOW - 9 * DAY, startedAt: null },
      jobs: { oldestQueuedAt: null },
    },
    {
      when: 'run_started_at is missing, and its job was queued an hour ago',
      run: { startedAt: null },
      jobs: { oldestQueuedAt: NOW - HOUR },
    },
    {
      when: 'it was pending for nine hours, and its jobs were made a minute ago',
      run: { createdAt: NOW - 9 * HOUR },
      jobs: { oldestQueuedAt: NOW - MINUTE },
    },
    { when: 'a concurrency group holds it for nine hours: pending', run: { status: 'pending', createdAt: NOW - 9 * HOUR } },
    {
      when: 'a deployment awaits approval for three days: waiting',
      run: { status: 'waiting', createdAt: NOW - 3 * DAY },
      jobs: { held: 1, queued: [] },
    },
    { when: 'a first contribution awaits approval: action_required', run: { status: 'action_required', createdAt: NOW - 3 * DAY } },
    { when: 'it was just created, says GitHub: requested', run: { status: 'requested' } },
    { when: 'it is in progress', run: { status: 'in_progress' } },
    { when: 'it is over', run: { status: 'completed', conclusion: 'success' } },
    {
      when: 'it is called queued, and a deployment of it awaits approval for three days',
      run: { createdAt: NOW - 3 * DAY },
      jobs: { held: 1 },
    },
    { when: 'it is hosted only, for six hours', run: { createdAt: NOW - 6 * HOUR }, jobs: { queued: [asking(['ubuntu-latest'])] } },
    { when: 'it asks for a runner group, and for no label', jobs: { queued: [asking([])] } },
    { when: 'all of its jobs were skipped', jobs: { total: 2, queued: [] } },
    { when: 'it is for a tag', run: { branch: 'v1' }, view: { tags: new Map([['v1', true]]) } },
    { when: 'it is a release', run: { event: 'release', branch: 'v1' } },
    { when: 'it is a deployment', run: { event: 'deployment' } },
    { when: 'it is in the merge queue', run: { event: 'merge_group', branch: 'gh-readonly-queue/main/pr-7-a' } },
    { when: 'it is a push to the default branch', run: { branch: 'main' } },
    { when: 'it is a push to the default branch, and GitHub names no head repository', run: { branch: 'main', headRepositoryId: null } },
    { when: 'it is a push to a release branch', run: { branch: 'release/1.x' }, view: { tags: new Map([['release/1.x', false]]) } },
    { when: 'nobody who could take it is online', view: { silent: [OURS] } },
    {
      when: 'for two of its five hours nobody who could take it was online',
      view: { memory: { setAside: [], reruns: [], silences: [{ labels: OURS, from: NOW - 4 * HOUR, until: NOW - 2 * HOUR }] } },
    },
    { when: 'GitHub did not give its jobs', jobs: null },
    { when: 'its jobs are of the attempt before', run: { attempt: 2 }, jobs: { attempt: 1 } },
    { when: 'its jobs are of a later attempt', jobs: { attempt: 2 } },
    { when: 'all of its jobs have started', jobs: { started: 2, queued: [] } },
    {
      when: 'a job of it runs, and the other was queued when that was made possible, minutes ago',
      jobs: { started: 1, oldestQueuedAt: NOW - MINUTE },
    },
    { when: 'half of a hosted run has started', jobs: { started: 1, queued: [asking(['ubuntu-latest'])] } },
    {
      when: 'Runward re-ran it an hour ago',
      run: { startedAt: null },
      view: { memory: { setAside: [], reruns: [{ run: 1, at: NOW - HOUR, parked: 1 }] } },
    },
    {
      when: 'Runward re-ran it exactly four hours ago',
      view: { memory: { setAside: [], reruns: [{ run: 1, at: NOW - 4 * HOUR, parked: 1 }] } },
    },
    {
      when: 'it is set aside',
      view: { memory: { setAside: [{ run: 1, attempt: 1, why: '409', since: NOW - HOUR, tries: 1, retryAt: NOW + 1 }], reruns: [] } },
    },
  ])('$when', (given) => {
    expect(planFor(given)).toMatchObject({ acts: [], wouldBe: [], left: [], wantsJobs: [], wantsTags: [], zombies: [] });
  });

  test('half of a matrix has started: reported', () => {
    const plan = planFor({ jobs: { started: 2, queued: [asking(['bpf-lsm'], 2)] } });
    expect(plan).toMatchObject({
      acts: [],
      left: [{ run: 1, why: '2 of its 4 jobs have started, the others have waited for 5 h' }],
    });
  });

  test('a matrix that has half started and half awaits an approval is held: not reported either', () => {
    expect(planFor({ jobs: { started: 2, held: 2, queued: [] } })).toMatchObject({ acts: [], left: [] });
  });
});

describe('jobs are asked for', () => {
  const unread = (replaced: Partial<Run>, view: Partial<QueueView> = {}) =>
    planOf(aView({ runs: [aRun({ createdAt: FIVE_HOURS_AGO, ...replaced })], ...view }), ['stale']).wantsJobs;

  test.each<{ readonly when: string; readonly run: Partial<Run>; readonly wants: boolean; readonly view?: Partial<QueueView> }>([
    { when: 'its attempt began five hours ago', run: {}, wants: true },
    { when: 'run_started_at is missing, and it was created five hours ago', run: { startedAt: null }, wants: true },
    {
      when: 'run_started_at is missing, and it was created three hours ago',
      run: { startedAt: null, createdAt: NOW - 3 * HOUR },
      wants: false,
    },
    { when: 'it is old, and no rule ends it: it may have no job', run: { branch: 'main' }, wants: true },
    { when: 'no rule ends it, and it is not old', run: { branch: 'main', createdAt: NOW - 4 * HOUR }, wants: false },
    { when: 'it will be stale before long', run: { createdAt: NOW - 3 * HOUR - 1 }, wants: true },
    { when: 'that is far off', run: { createdAt: NOW - 3 * HOUR }, wants: false },
    { when: 'it was re-run minutes ago', run: { startedAt: NOW - MINUTE }, wants: false },
    { when: 'it is pending', run: { status: 'pending' }, wants: false },
    { when: 'GitHub did not give them', run: {}, wants: false, view: { jobs: new Map([[1, null]]) } },
    { when: 'Runward re-ran it', run: {}, wants: false, view: { memory: { setAside: [], reruns: [{ run: 1, at: NOW, parked: 1 }] } } },
  ])('$when: $wants', ({ run, wants, view }) => {
    expect(unread(run, view)).toEqual(wants ? [1] : []);
  });

  test('oldest first', () => {
    const runs = [aRun({ id: 1, createdAt: NOW - 5 * HOUR }), aRun({ id: 2, createdAt: NOW - 7 * HOUR })];
    expect(planOf(aView({ runs }), ['stale']).wantsJobs).toEqual([2, 1]);
  });
});

describe('tags', () => {
  const push = { run: { branch: 'v1' } };

  test('are asked for once it matters', () => {
    expect(planFor(push)).toMatchObject({ acts: [], wantsTags: ['v1'] });
    expect(planFor({ ...push, jobs: { started: 1 } })).toMatchObject({ wantsTags: [] });
    expect(planFor({ run: { branch: 'v1', event: 'pull_request' } })).toMatchObject({ wantsTags: [] });
    expect(planFor({ ...push, view: { tags: new Map([['v1', false]]) } }).acts).toHaveLength(1);
  });

  test('if GitHub does not say, nothing is done, and that is told', () => {
    expect(planFor({ ...push, view: { tags: new Map([['v1', null]]) } })).toMatchObject({
      acts: [],
      notes: [expect.stringMatching(/^stale: runs for v1 are left alone, .* "Contents: read"$/)],
    });
  });

  test('end like all others if the configuration names them', () => {
    const tags = { tags: new Map([['v1', true]]) };
    expect(planFor({ ...push, view: tags }, aPolicy({ stale: { events: { only: ['push:tags'] } } })).acts).toHaveLength(1);
    expect(planFor({ view: tags }, aPolicy({ stale: { events: { only: ['push:tags'] } } })).acts).toEqual([]);
    expect(planFor({ ...push, view: { tags: new Map() } }, aPolicy({ stale: { events: 'all' } })).acts).toHaveLength(1);
  });
});

describe('the default branch', () => {
  test('if GitHub does not say which it is, pushes are left alone, and that is told', () => {
    expect(planFor({ view: { defaultBranch: null } })).toMatchObject({ acts: [], notes: [expect.stringContaining('the default branch')] });
  });

  test('may be what a push is for whose branch GitHub does not say', () => {
    const all = { events: 'all' } as const;
    expect(planFor({ run: { branch: null } }, aPolicy({ stale: all })).acts).toEqual([]);
    const nothing = { protect: { defaultBranch: false, patterns: [] } };
    expect(planFor({ run: { branch: null } }, aPolicy({ stale: all, superseded: nothing })).acts).toHaveLength(1);
  });

  test('of a fork is none of ours', () => {
    expect(planFor({ run: { event: 'pull_request', branch: 'main', headRepositoryId: 200 } }).acts).toHaveLength(1);
  });

  test('ends like all others if nothing is protected', () => {
    const policy = aPolicy({ superseded: { protect: { defaultBranch: false, patterns: [] } } });
    expect(planFor({ run: { branch: 'main' }, view: { tags: new Map([['main', false]]) } }, policy).acts).toHaveLength(1);
  });
});

describe('the clock', () => {
  const silences = (...spans: readonly (readonly [from: number, until: number | null])[]) => ({
    memory: { setAside: [], reruns: [], silences: spans.map(([from, until]) => ({ labels: OURS, from, until })) },
  });

  test('goes on while somebody is online', () => {
    const plan = planFor({ view: silences([NOW - 2 * HOUR, NOW - 61 * MINUTE]) });
    expect(plan).toMatchObject({ acts: [{ evidence: expect.stringContaining('queued for 5 h') }] });
  });

  test('tells how long it stood still', () => {
    const plan = planFor({ run: { createdAt: NOW - 9 * HOUR }, view: silences([NOW - 8 * HOUR, NOW - 5 * HOUR]) });
    expect(plan.acts[0]?.evidence).toContain('queued for 9 h, 3 h of it while no runner for it was online, 1 job waits');
  });

  test('stands still until the look that finds somebody online', () => {
    expect(planFor({ view: silences([NOW - 2 * HOUR, null]) }).acts).toEqual([]);
  });

  test('goes on for a job that another kind of runner could take', () => {
    const other = [...OURS, 'gpu'].toSorted();
    expect(planFor({ view: { offered: [OURS, other], silent: [OURS] } }).acts).toHaveLength(1);
    expect(planFor({ view: { offered: [OURS, other], silent: [OURS, other] } }).acts).toEqual([]);
  });

  test('of the wall never stands still', () => {
    const policy = aPolicy({ stale: { clock: 'wall' } });
    expect(planFor({ view: { silent: [OURS] } }, policy).acts).toHaveLength(1);
    expect(planFor({ view: silences([NOW - 5 * HOUR, null]) }, policy).acts).toHaveLength(1);
  });
});

describe('what will be stale before long', () => {
  const agingOf = (given: Omit<Case, 'when'>) => planFor(given).aging.map(({ staleAt }) => staleAt);
  const anHourToGo = { createdAt: NOW - 3 * HOUR - MINUTE };

  test('is told from three quarters of the time on', () => {
    expect(agingOf({ run: anHourToGo })).toEqual([NOW + 59 * MINUTE]);
    expect(agingOf({ run: { createdAt: NOW - 3 * HOUR } })).toEqual([]);
    expect(agingOf({})).toEqual([]);
  });

  test.each<Case>([
    { when: 'nothing would end it', run: { ...anHourToGo, branch: 'main' } },
    { when: 'it has started', run: anHourToGo, jobs: { started: 1 } },
    { when: 'nobody serves it', run: anHourToGo, jobs: { queued: [asking(['ubuntu-latest'])] } },
    { when: 'its clock stands still', run: anHourToGo, view: { silent: [OURS] } },
  ])('is not told if $when', (given) => {
    expect(agingOf(given)).toEqual([]);
  });
});

describe('a zombie', () => {
  const empty = { total: 0, queued: [] };

  test('is a run without any job after the stale time, and no queue', () => {
    const plan = planFor({ jobs: empty });
    expect(plan).toMatchObject({ acts: [], left: [], overdue: 0, setAside: 1 });
    expect(plan.zombies).toEqual([{ run: 1, attempt: 1, why: 'GitHub calls it queued, and it has no job' }]);
  });

  test.each<Case>([
    { when: 'within the stale time', run: { createdAt: NOW - 4 * HOUR }, jobs: empty },
    { when: 'its jobs were skipped', jobs: { total: 1, queued: [] } },
    { when: 'GitHub did not give its jobs', jobs: null },
    { when: 'it is pending', run: { status: 'pending' }, jobs: empty },
    {
      when: 'Runward has just re-run it',
      run: { startedAt: null },
      jobs: empty,
      view: { memory: { setAside: [], reruns: [{ run: 1, at: NOW, parked: 1 }] } },
    },
    {
      when: 'it is set aside already',
      jobs: empty,
      view: { memory: { setAside: [{ run: 1, attempt: 1, why: '409', since: NOW, tries: 1, retryAt: NOW + HOUR }], reruns: [] } },
    },
  ])('is none: $when', (given) => {
    expect(planFor(given)).toMatchObject({ zombies: [], acts: [] });
  });
});

describe('what a run says of itself', () => {
  const judge = (run: Run, jobs: RunJobs) =>
    judgeStale({ run, jobs, rerunAt: null }, { at: NOW, offered: [OURS], silent: [], silences: [] }, aPolicy());
  const old = aRun({ createdAt: FIVE_HOURS_AGO });

  test.each([
    { why: 'it has waited for 10 min only', run: aRun(), jobs: jobsOf() },
    { why: 'it is waiting', run: { ...old, status: 'waiting' }, jobs: jobsOfRun(old) },
    { why: 'it was re-run meanwhile', run: old, jobs: jobsOfRun(old, { attempt: 2 }) },
    { why: '1 of its 2 jobs has started, the others have waited for 5 h', run: old, jobs: jobsOfRun(old, { started: 1 }) },
    { why: '1 of its jobs are held: by an approval, a wait timer or a concurrency group', run: old, jobs: jobsOfRun(old, { held: 1 }) },
    { why: 'no runner of the scope serves its jobs', run: old, jobs: jobsOfRun(old, { queued: [asking(['ubuntu-latest'])] }) },
  ])('$why', ({ why, run, jobs }) => {
    expect(judge(run, jobs)).toMatchObject({ isStale: false, evidence: why });
  });

  test('what Runward re-ran is spared from then on', () => {
    const judgeAt = (rerunAt: number) =>
      judgeStale({ run: old, jobs: jobsOfRun(old), rerunAt }, { at: NOW, offered: [OURS], silent: [], silences: [] }, aPolicy());
    expect(judgeAt(NOW - HOUR)).toMatchObject({ isStale: false, evidence: 'it has waited for 60 min only' });
    expect(judgeAt(NOW - 5 * HOUR)).toMatchObject({ isStale: true });
  });

  test('what is taken already is not judged', () => {
    const context = { view: knownView([old]), runs: [old], policy: aPolicy() };
    expect(stale({ ...context, taken: new Set() }).acts).toHaveLength(1);
    expect(stale({ ...context, taken: new Set([1]) }).acts).toHaveLength(0);
  });
});

test.each([
  { queued: [asking(['self-hosted', 'bpf-lsm'])], text: '1 job waits for [bpf-lsm, self-hosted]' },
  { queued: [asking(['bpf-lsm'], 3)], text: '3 jobs wait for [bpf-lsm]' },
  { queued: [asking(['a'], 2), asking(['b'])], text: '3 jobs wait for [a] and 1 other set of labels' },
  { queued: [asking(['a']), asking(['b']), asking(['c'])], text: '3 jobs wait for [a] and 2 other sets of labels' },
])('in words: $text', ({ queued, text }) => {
  expect(queuedText(jobsOf({ queued }))).toBe(text);
});
