import { describe, expect, test } from 'vitest';
import type { QueuePlan } from '../../../src/domain/queue/plan.ts';
import { countOf, whyNotParked } from '../../../src/domain/queue/pull-requests-first.ts';
import { labelSetOf, type Run, type RunJobs } from '../../../src/domain/queue/run.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import { actsOf, aPolicy, aRun, asking, aView, DAY, HOUR, jobsOfRun, knownView, MINUTE, NOW, OURS, planOf } from '../../kit/queue.ts';

const RULE = ['prioritizePullRequests'] as const;
const GPU = labelSetOf(['self-hosted', 'gpu']);
const HOSTED = { queued: [asking(['ubuntu-latest'])] };

interface Case {
  readonly when: string;
  /** Six unless told. */
  readonly pullRequests?: number;
  /** Of each pull-request run. */
  readonly pullRequest?: Partial<Run>;
  readonly pullRequestJobs?: Partial<RunJobs> | null;
  /** Of the first one alone. */
  readonly firstJobs?: Partial<RunJobs> | null;
  /** Of run 1, a push to `topic`; the others are pull requests 11, 12, … from forks. */
  readonly push?: Partial<Run>;
  readonly pushJobs?: Partial<RunJobs> | null;
  readonly view?: Partial<QueueView>;
}

function planFor(given: Omit<Case, 'when'>, policy = aPolicy()): QueuePlan {
  const { pullRequests = 6, pullRequest, pullRequestJobs, firstJobs, push, pushJobs, view } = given;
  const waiting = Array.from({ length: pullRequests }, (_, index) =>
    aRun({ id: 11 + index, event: 'pull_request', branch: `patch-${index}`, headRepositoryId: 200, ...pullRequest }),
  );
  const runs = [aRun({ id: 1, ...push }), ...waiting];
  const replacedOf = (index: number) => (index === 0 ? pushJobs : index === 1 && firstJobs !== undefined ? firstJobs : pullRequestJobs);
  const jobs = new Map(
    runs.map((run, index) => {
      const replaced = replacedOf(index);
      return [run.id, replaced === null ? null : jobsOfRun(run, replaced)];
    }),
  );
  return planOf(knownView(runs, { jobs, ...view }), RULE, policy);
}

const reruns = (parked: number, run = 1) => ({ memory: { setAside: [], reruns: [{ run, at: NOW - HOUR, parked }] } });

describe('the push makes way', () => {
  test.each<Case>([
    { when: 'six pull-request runs and a push wait for one runner' },
    { when: 'the pull-request runs are for pull_request_target', pullRequest: { event: 'pull_request_target' } },
    { when: 'they ask for fewer of its labels', pullRequestJobs: { queued: [asking(['self-hosted'])] } },
    { when: 'they ask for it in another case', pullRequestJobs: { queued: [asking(['SELF-HOSTED', 'Bpf-Lsm'])] } },
    { when: 'they have started, and a job of each still waits', pullRequestJobs: { started: 1 } },
    { when: 'they have a hosted job each besides', pullRequestJobs: { queued: [asking(['ubuntu-latest']), asking(['bpf-lsm'])] } },
    { when: 'the push has a hosted job besides', pushJobs: { queued: [asking(['ubuntu-latest']), asking(['bpf-lsm'])] } },
    { when: 'jobs of a seventh are unknown', pullRequests: 7, firstJobs: null },
    { when: 'the head repositories are deleted', pullRequest: { headRepositoryId: null, branch: null } },
    { when: 'the push is to a protected branch', push: { branch: 'release/1' } },
    { when: 'the push is for a tag', push: { branch: 'v1' }, view: { tags: new Map([['v1', true]]) } },
    { when: 'GitHub does not say for which branch', push: { branch: null } },
    { when: 'the push was parked once before', view: reruns(1) },
    { when: 'another push was parked twice before', view: reruns(2, 3) },
    { when: 'the push is 28 days old', push: { createdAt: NOW - 28 * DAY, startedAt: NOW - HOUR } },
    { when: 'the push was re-run 49 times', push: { attempt: 50 } },
    { when: 'another runner has nothing to do', view: { offered: [OURS, GPU] } },
  ])('$when', (given) => {
    const plan = planFor(given);
    expect(actsOf(plan)).toEqual(['park 1 prioritizePullRequests']);
    expect(plan).toMatchObject({ left: [], notes: [], pressed: [OURS], wantsTags: [] });
  });

  test('the act tells what it is, and why', () => {
    expect(planFor({ pushJobs: { queued: [asking(['bpf-lsm'], 2)] } }).acts).toEqual([
      {
        run: 1,
        attempt: 1,
        rule: 'prioritizePullRequests',
        does: 'park',
        workflow: 'CI',
        event: 'push',
        branch: 'topic',
        evidence: '6 pull requests wait for [bpf-lsm, linux, self-hosted, x64], more than 5; 2 jobs wait for [bpf-lsm]',
        newer: null,
      },
    ]);
  });

  test('every push that waits for the runner, oldest first', () => {
    const runs = [
      aRun({ id: 1, createdAt: NOW - MINUTE }),
      aRun({ id: 2, createdAt: NOW - HOUR, branch: 'other' }),
      ...[3, 4, 5].map((id) => aRun({ id, event: 'pull_request', branch: `patch-${id}` })),
    ];
    const policy = aPolicy({ prioritizePullRequests: { threshold: 2 } });
    expect(actsOf(planOf(knownView(runs), RULE, policy))).toEqual(['park 2 prioritizePullRequests', 'park 1 prioritizePullRequests']);
  });

  test('`then: cancel` cancels for good what is known to be no tag, and asks first', () => {
    const policy = aPolicy({ prioritizePullRequests: { then: 'cancel' } });
    expect(actsOf(planFor({}, policy))).toEqual(['cancel 1 prioritizePullRequests']);
    expect(actsOf(planFor({ view: reruns(2) }, policy))).toEqual(['cancel 1 prioritizePullRequests']);
    expect(planFor({ view: { tags: new Map() } }, policy)).toMatchObject({ acts: [], wantsTags: ['topic'] });
    const left = (push: Partial<Run>, tag: boolean | null) =>
      planFor({ push, view: { tags: new Map([['topic', tag]]) } }, policy).left.map(({ why }) => why);
    expect(left({}, true)).toEqual(['topic is a tag']);
    expect(left({}, null)).toEqual(['GitHub does not say whether topic is a tag']);
    expect(left({ branch: null }, false)).toEqual(['GitHub does not say for which ref it is']);
  });
});

describe('the push keeps its place', () => {
  test.each<Case & { readonly pressed?: QueuePlan['pressed'] }>([
    { when: 'five pull-request runs wait', pullRequests: 5, pressed: [] },
    { when: 'six wait, one of them for hosted runners', firstJobs: HOSTED, pressed: [] },
    { when: 'six wait, and the jobs of one are unknown', firstJobs: null, pressed: null },
    { when: 'six wait for hosted runners, and the jobs of one are unknown', pullRequestJobs: HOSTED, firstJobs: null, pressed: [] },
    { when: 'six wait, and the jobs of one are of the attempt before', firstJobs: { attempt: 2 }, pressed: null },
    { when: 'six wait, and the waiting jobs of one have started', firstJobs: { started: 1, queued: [] }, pressed: [] },
    { when: 'the pull-request runs await approval', pullRequest: { status: 'action_required' }, pressed: [] },
    { when: 'the pull-request runs are held by a concurrency group', pullRequest: { status: 'pending' }, pressed: [] },
    { when: 'the others are in the merge queue', pullRequest: { event: 'merge_group' }, pressed: [] },
    { when: 'the others are pushes as well', pullRequest: { event: 'push' }, pressed: [] },
    { when: 'it waits for hosted runners', pushJobs: HOSTED },
    { when: 'it waits for runners that nobody has', pushJobs: { queued: [asking(['self-hosted', 'arm64'])] } },
    { when: 'it waits for another of our runners', pushJobs: { queued: [asking(['gpu'])] }, view: { offered: [OURS, GPU] } },
    { when: 'a job of it has started', pushJobs: { started: 1 } },
    { when: 'a deployment of it awaits approval', pushJobs: { held: 1 } },
    { when: 'it is pending', push: { status: 'pending' } },
    { when: 'its jobs are unknown', pushJobs: null },
    { when: 'its jobs are of another attempt', pushJobs: { attempt: 2 } },
    { when: 'it is a schedule', push: { event: 'schedule' } },
    { when: 'it was dispatched', push: { event: 'workflow_dispatch' } },
    { when: 'it is a release', push: { event: 'release' } },
    {
      when: 'it is set aside',
      view: { memory: { setAside: [{ run: 1, attempt: 1, why: '409', since: 0, tries: 1, retryAt: NOW + 1 }], reruns: [] } },
    },
    {
      when: 'one of the six pull-request runs is set aside',
      view: { memory: { setAside: [{ run: 11, attempt: 1, why: '409', since: 0, tries: 1, retryAt: NOW + 1 }], reruns: [] } },
      pressed: [],
    },
  ])('$when', ({ pressed = [OURS], ...given }) => {
    const plan = planFor(given);
    expect(plan).toMatchObject({ acts: [], wouldBe: [], left: [], wantsJobs: [], wantsTags: [] });
    expect(plan.pressed).toEqual(pressed);
  });

  test.each<Case & { readonly why: string }>([
    { when: 'it was parked twice', view: reruns(2), why: 'it has been parked as often as a run may be, and keeps its place' },
    {
      when: 'it is for a protected ref and was parked before',
      push: { branch: 'release/1' },
      view: reruns(1),
      why: 'it has been parked as often as a run may be, and keeps its place',
    },
    {
      when: 'it may be for the default branch and was parked before',
      view: { ...reruns(1), defaultBranch: null },
      why: 'it has been parked as often as a run may be, and keeps its place',
    },
    { when: 'it was parked more often', view: reruns(3), why: 'it has been parked as often as a run may be, and keeps its place' },
    {
      when: 'it is 29 days old',
      push: { createdAt: NOW - 29 * DAY, startedAt: NOW - HOUR, attempt: 2 },
      why: 'GitHub would not re-run it: it is a month old',
    },
    { when: 'it was re-run 50 times', push: { attempt: 51 }, why: 'GitHub would not re-run it: it has been re-run 50 times' },
  ])('$when, and that is told', ({ why, ...given }) => {
    expect(planFor(given)).toMatchObject({ acts: [], left: [{ run: 1, why }] });
  });

  test('a run that another rule takes does not count', () => {
    const given = { pullRequest: { createdAt: NOW - HOUR }, push: { createdAt: NOW - MINUTE } };
    expect(planFor(given).acts).toHaveLength(1);
    const runs = [
      aRun({ id: 1 }),
      ...[11, 12, 13, 14, 15, 16].map((id) => aRun({ id, event: 'pull_request', createdAt: NOW - (id === 11 ? 5 * HOUR : HOUR) })),
    ].map((run) => ({ ...run, branch: `branch-${run.id}` }));
    expect(actsOf(planOf(knownView(runs)))).toEqual(['cancel 11 stale']);
  });
});

describe('what presses is counted', () => {
  const count = (runs: readonly Partial<Run>[], by: 'pullRequests' | 'runs' = 'pullRequests') =>
    countOf(
      runs.map((run, index) => aRun({ id: index + 1, event: 'pull_request', ...run })),
      by,
    );
  const OF_FORK = { headRepositoryId: 200, pullRequests: [] };

  test('once for each pull request, whatever workflows it has', () => {
    expect(count([{ pullRequests: [7] }, { pullRequests: [7], workflowId: 11 }, { pullRequests: [8] }])).toBe(2);
    expect(count([{ branch: 'a' }, { branch: 'a' }, { branch: 'b' }])).toBe(2);
  });

  test('once for each author of forks, since GitHub does not tell pull requests of forks', () => {
    const by = (actor: string | null, headRepositoryId: number | null = 200) => ({ ...OF_FORK, actor, headRepositoryId });
    expect(count([by('eve'), by('eve', 201), by('bob')])).toBe(2);
    expect(count([by(null), by(null), by(null, 201)])).toBe(2);
    expect(count([by(null, null), by(null, null)])).toBe(2);
  });

  test('run by run if the configuration says so', () => {
    expect(count([{ pullRequests: [7] }, { pullRequests: [7] }], 'runs')).toBe(2);
    const given = { pullRequest: { pullRequests: [7], headRepositoryId: 100 } };
    expect(planFor(given).acts).toEqual([]);
    expect(actsOf(planFor(given, aPolicy({ prioritizePullRequests: { count: 'runs' } })))).toEqual(['park 1 prioritizePullRequests']);
  });
});

describe('`then: cancel` leaves what is protected', () => {
  const policy = aPolicy({ prioritizePullRequests: { then: 'cancel' } });
  const leftOf = (push: Partial<Run>, view: Partial<QueueView> = {}) =>
    planFor({ push, view: { tags: new Map([[push.branch ?? 'topic', false]]), ...view } }, policy).left.map(({ why }) => why);

  test.each(['main', 'release/1'])('%s', (branch) => {
    expect(leftOf({ branch })).toEqual([`${branch} is protected`]);
  });

  test('if the default branch is not known, all of ours', () => {
    expect(leftOf({}, { defaultBranch: null })).toEqual([expect.stringContaining('does not say which is the default branch')]);
  });
});

describe('where no pull-request job can use our labels', () => {
  const note = 'pull requests first: no waiting pull-request job can use the labels of our runners, so push runs stay where they are';

  test.each<Case>([
    { when: 'all are hosted', pullRequestJobs: HOSTED },
    { when: 'all ask for a runner that nobody has', pullRequestJobs: { queued: [asking(['self-hosted', 'arm64'])] } },
    { when: 'there is no runner', view: { offered: [] } },
  ])('$when: nothing is done, and that is told', (given) => {
    expect(planFor(given)).toMatchObject({ acts: [], left: [], wantsJobs: [], notes: [note], pressed: [] });
  });

  test.each<Case>([
    { when: 'it is not known of all', pullRequestJobs: HOSTED, firstJobs: null },
    { when: 'one of them can', pullRequestJobs: HOSTED, firstJobs: {} },
    { when: 'no push waits', pullRequestJobs: HOSTED, push: { event: 'schedule' } },
    { when: 'they are too few to matter', pullRequests: 5, pullRequestJobs: HOSTED },
  ])('$when: that is not told', (given) => {
    expect(planFor(given)).toMatchObject({ acts: [], notes: [] });
  });

  test('only some of many were asked: it is not told either, and the pressure is not known', () => {
    const policy = aPolicy({ demandReads: 6 });
    const twelve = planFor({ pullRequests: 12, pullRequestJobs: HOSTED }, policy);
    expect(twelve).toMatchObject({ notes: [], wantsJobs: [], pressed: null });
    // One that was not asked can't press by itself.
    expect(planFor({ pullRequests: 7, pullRequestJobs: HOSTED }, policy)).toMatchObject({ notes: [], wantsJobs: [], pressed: [] });
    expect(planFor({ pullRequests: 6, pullRequestJobs: HOSTED }, policy)).toMatchObject({ notes: [note], wantsJobs: [], pressed: [] });
  });
});

describe('jobs are asked for', () => {
  const pullRequests = Array.from({ length: 6 }, (_, index) =>
    aRun({ id: 11 + index, event: 'pull_request', branch: `patch-${index}`, createdAt: NOW - index }),
  );
  const push = aRun({ id: 1 });

  test('of pull-request runs first, oldest first, as many as the demand needs', () => {
    const ask = (demandReads: number) => planOf(aView({ runs: [push, ...pullRequests] }), RULE, aPolicy({ demandReads }));
    expect(ask(200)).toMatchObject({ wantsJobs: [16, 15, 14, 13, 12, 11], notes: [], pressed: null });
    expect(ask(4).wantsJobs).toEqual([16, 15, 14, 13]);
  });

  test('of push runs once there is pressure', () => {
    const view = knownView(pullRequests);
    expect(planOf({ ...view, runs: [push, ...pullRequests] }, RULE)).toMatchObject({ acts: [], wantsJobs: [1] });
  });

  test('of more pull-request runs while they may press on another of our runners', () => {
    const runs = [push, aRun({ id: 20, event: 'pull_request' }), ...pullRequests];
    const view = { ...knownView([push, ...pullRequests]), runs };
    expect(planOf(view, RULE)).toMatchObject({ wantsJobs: [], pressed: [OURS] });
    expect(planOf({ ...view, ours: [OURS, GPU] }, RULE)).toMatchObject({ wantsJobs: [20], pressed: [OURS] });
  });

  test('of none where pull-request runs are few', () => {
    expect(planOf(aView({ runs: [push, ...pullRequests.slice(1)] }), RULE)).toMatchObject({ wantsJobs: [], pressed: [] });
  });
});

describe('what GitHub would re-run', () => {
  const parking = aPolicy().parking;

  test.each([
    { when: 'a fresh one', run: aRun(), is: null },
    { when: 'a millisecond younger than 29 days', run: aRun({ createdAt: NOW - 29 * DAY + 1 }), is: null },
    { when: '29 days old, whenever it was re-run', run: aRun({ createdAt: NOW - 29 * DAY, startedAt: NOW }), is: /a month old/ },
    { when: 're-run 49 times', run: aRun({ attempt: 50 }), is: null },
    { when: 're-run 50 times', run: aRun({ attempt: 51 }), is: /re-run 50 times/ },
  ])('$when', ({ run, is }) => {
    const why = whyNotParked(run, [], NOW, parking);
    expect(why).toEqual(is === null ? null : expect.stringMatching(is));
  });

  test('as often as it may be parked', () => {
    const why = (parked: number) => whyNotParked(aRun(), [{ run: 1, parked }], NOW, parking);
    expect([why(0), why(1)]).toEqual([null, null]);
    expect([why(2), why(3)]).toEqual([expect.stringContaining('as often as'), expect.stringContaining('as often as')]);
  });
});
