import { describe, expect, test } from 'vitest';
import type { Run, RunJobs } from '../../../src/domain/queue/run.ts';
import { identityOf, replaces, supersededText } from '../../../src/domain/queue/superseded.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import { actsOf, aPolicy, aRun, asking, aView, byRun, DAY, HOUR, jobsOfRun, knownView, MINUTE, NOW, planOf } from '../../kit/queue.ts';

interface Case {
  readonly when: string;
  /** Of both runs. */
  readonly both?: Partial<Run>;
  readonly older?: Partial<Run>;
  readonly newer?: Partial<Run>;
  readonly olderJobs?: Partial<RunJobs> | null;
  readonly newerJobs?: Partial<RunJobs> | null;
  readonly view?: Partial<QueueView>;
}

const PULL_REQUEST: Partial<Run> = { event: 'pull_request', branch: 'patch-1', pullRequests: [7] };
/** GitHub lists no pull request of a fork. */
const OF_FORK: Partial<Run> = { event: 'pull_request', branch: 'patch-1', pullRequests: [], headRepositoryId: 200 };

/** Run 1 is ten minutes older than run 2; both wait for a runner of ours, and everything is known. */
function planFor({ both, older, newer, olderJobs, newerJobs, view }: Omit<Case, 'when'>, policy = aPolicy()) {
  const runs = [
    aRun({ id: 1, createdAt: NOW - 20 * MINUTE, ...both, ...older }),
    aRun({ id: 2, createdAt: NOW - 10 * MINUTE, ...both, ...newer }),
  ];
  const jobs = new Map(
    [olderJobs, newerJobs].map((replaced, index) => [index + 1, replaced === null ? null : jobsOfRun(runs[index]!, replaced)]),
  );
  return planOf(knownView(runs, { jobs, ...view }), ['superseded'], policy);
}

describe('the older one is cancelled', () => {
  test.each<Case>([
    { when: 'two pushes to one branch' },
    { when: 'two pushes to one branch of a fork', both: { headRepositoryId: 200 } },
    { when: 'two runs of one pull request', both: PULL_REQUEST },
    { when: 'two runs of one pull request and commit', both: { ...PULL_REQUEST, sha: 'same' } },
    { when: 'two runs of one pull request whose head branch got another name', both: PULL_REQUEST, newer: { branch: 'patch-2' } },
    { when: 'two runs of one pull request, for pull_request_target', both: { ...PULL_REQUEST, event: 'pull_request_target' } },
    { when: 'a fork pushed two commits to its pull request', both: OF_FORK },
    { when: 'two commits of a head branch with two pull requests', both: { ...PULL_REQUEST, pullRequests: [7, 8] } },
    { when: 'the newer one is hosted', newerJobs: { queued: [asking(['ubuntu-latest'])] } },
    { when: 'the newer one does more', newerJobs: { work: ['build', 'docs'] } },
    { when: 'both were re-run, the newer one later', older: { attempt: 2, startedAt: NOW - 2 }, newer: { attempt: 2, startedAt: NOW - 1 } },
    { when: 'the workflow got another name', newer: { workflow: 'Checks' } },
    { when: 'both were created in one second', both: { createdAt: NOW - 10 * MINUTE } },
    { when: 'run_started_at is missing', both: { startedAt: null } },
    { when: 'the tags are unknown, and it is no push', both: PULL_REQUEST, view: { tags: new Map() } },
  ])('$when', (given) => {
    const plan = planFor(given);
    expect(actsOf(plan)).toEqual(['cancel 1 superseded']);
    expect(plan).toMatchObject({ acts: [{ newer: 2 }], wantsJobs: [], wantsTags: [], left: [], notes: [] });
  });

  test('the act tells what replaces it', () => {
    expect(planFor({ both: PULL_REQUEST }).acts).toEqual([
      {
        run: 1,
        attempt: 1,
        rule: 'superseded',
        does: 'cancel',
        workflow: 'CI',
        event: 'pull_request',
        branch: 'patch-1',
        evidence: 'run 2 of the same workflow for pull request 7 is newer, and neither has started',
        newer: 2,
      },
    ]);
    expect(supersededText(aRun(), aRun({ id: 2 }))).toBe('run 2 of the same workflow for push to topic is newer, and neither has started');
  });

  test('hosted runs, where the reach is the repository', () => {
    const given = { olderJobs: { queued: [asking(['ubuntu-latest'])] } };
    expect(actsOf(planFor(given, aPolicy({ reach: 'repository' })))).toEqual(['cancel 1 superseded']);
  });

  test('all but the newest of several, each by the newest', () => {
    const runs = [3, 1, 4, 2].map((id) => aRun({ id, createdAt: NOW - HOUR + id }));
    expect(planOf(knownView(runs), ['superseded']).acts.map(({ run, newer }) => ({ run, newer }))).toEqual([
      { run: 1, newer: 4 },
      { run: 2, newer: 4 },
      { run: 3, newer: 4 },
    ]);
  });

  test('a fork went back to an earlier commit: what lies between replaces the first, and is replaced itself', () => {
    const runs = ['a', 'b', 'a'].map((sha, index) => aRun({ ...OF_FORK, id: index + 1, sha, createdAt: NOW - HOUR + index }));
    expect(planOf(knownView(runs), ['superseded']).acts.map(({ run, newer }) => ({ run, newer }))).toEqual([
      { run: 1, newer: 2 },
      { run: 2, newer: 3 },
    ]);
  });

  test('two pull requests of one head branch of a fork, and two commits: both runs of the newer commit stay', () => {
    const runs = ['a', 'a', 'b', 'b'].map((sha, index) => aRun({ ...OF_FORK, id: index + 1, sha, createdAt: NOW - HOUR + index }));
    expect(actsOf(planOf(knownView(runs), ['superseded']))).toEqual(['cancel 1 superseded', 'cancel 2 superseded']);
  });

  test('the newest has started: the newest that waits stays, those before it do not', () => {
    const runs = [1, 2, 3].map((id) => aRun({ id, createdAt: NOW - HOUR + id }));
    const jobs = byRun(...runs.map((run) => jobsOfRun(run, run.id === 3 ? { started: 1 } : {})));
    expect(planOf(knownView(runs, { jobs }), ['superseded']).acts).toMatchObject([{ run: 1, newer: 2 }]);
  });
});

describe('both are left alone', () => {
  test.each<Case>([
    { when: 'one entry of the merge queue, twice', both: { event: 'merge_group', branch: 'gh-readonly-queue/main/pr-7-a' } },
    { when: 'a person has just re-run the older one', older: { createdAt: NOW - 9 * DAY, startedAt: NOW - MINUTE, attempt: 2 } },
    { when: 'the older one was re-run, and GitHub does not say when', older: { attempt: 2, startedAt: null } },
    { when: 'a job of the newer one was skipped', newerJobs: { total: 2, work: ['docs'] } },
    { when: 'the newer one does something else', newerJobs: { work: ['bench'] } },
    { when: 'two pushes to the default branch', both: { branch: 'main' }, view: { tags: new Map([['main', false]]) } },
    { when: 'two pushes to a release branch', both: { branch: 'release/1.x' } },
    { when: 'two forks have one branch name', both: OF_FORK, newer: { headRepositoryId: 201 } },
    { when: 'a branch of a fork has the name of ours', newer: { headRepositoryId: 200 } },
    { when: 'the head repository is deleted', both: { ...OF_FORK, headRepositoryId: null } },
    { when: 'the head repository of a known pull request is deleted', both: { ...PULL_REQUEST, headRepositoryId: null } },
    { when: 'GitHub names no branch', both: { branch: null } },
    { when: 'GitHub names no branch of a known pull request', both: { ...PULL_REQUEST, branch: null } },
    { when: 'two branches', newer: { branch: 'patch-1' } },
    { when: 'branches that differ in case', newer: { branch: 'Topic' } },
    { when: 'two workflows with one name', newer: { workflowId: 11 } },
    { when: 'two events', both: PULL_REQUEST, newer: { event: 'pull_request_target' } },
    { when: 'a push and a pull request of one branch', both: { branch: 'patch-1' }, newer: PULL_REQUEST },
    { when: 'two pull requests', both: PULL_REQUEST, newer: { pullRequests: [8] } },
    { when: 'two pull requests from one head branch, one commit', both: { ...PULL_REQUEST, pullRequests: [7, 8], sha: 'same' } },
    { when: 'perhaps two pull requests from one branch of a fork, one commit', both: { ...OF_FORK, sha: 'same' } },
    { when: 'one of them may be of another pull request', both: PULL_REQUEST, newer: { pullRequests: [7, 8] } },
    { when: 'one of them names no pull request', both: PULL_REQUEST, newer: { pullRequests: [] } },
    {
      when: 'two entries of the merge queue',
      both: { event: 'merge_group', branch: 'gh-readonly-queue/main/pr-7-a' },
      newer: { branch: 'gh-readonly-queue/main/pr-8-b' },
    },
    { when: 'dispatched twice, as with different inputs', both: { event: 'workflow_dispatch' } },
    { when: 'dispatched by another repository', both: { event: 'repository_dispatch' } },
    { when: 'started by a schedule', both: { event: 'schedule' } },
    { when: 'releases', both: { event: 'release', branch: 'v1' }, view: { tags: new Map([['v1', true]]) } },
    { when: 'comments', both: { event: 'issue_comment' } },
    { when: 'a moved tag', both: { branch: 'v1' }, view: { tags: new Map([['v1', true]]) } },
    { when: 'the older one has started', olderJobs: { started: 1 } },
    { when: 'the newer one has started', newerJobs: { started: 1 } },
    { when: 'half of the matrix of the older one has started', olderJobs: { started: 2, queued: [asking(['bpf-lsm'], 2)] } },
    { when: 'a deployment of the older one awaits approval', olderJobs: { held: 1 } },
    { when: 'a deployment of the newer one awaits approval', newerJobs: { held: 1 } },
    { when: 'the older one is pending', older: { status: 'pending' } },
    { when: 'the newer one is pending', newer: { status: 'pending' } },
    { when: 'the newer one is waiting', newer: { status: 'waiting' } },
    { when: 'the newer one is over', newer: { status: 'completed', conclusion: 'success' } },
    { when: 'the older one is hosted', olderJobs: { queued: [asking(['ubuntu-latest'])] } },
    { when: 'GitHub did not give the jobs of the older one', olderJobs: null },
    { when: 'GitHub did not give the jobs of the newer one', newerJobs: null },
    { when: 'the jobs of the older one are of the attempt before', older: { attempt: 2 }, olderJobs: { attempt: 1 } },
    { when: 'the jobs of the newer one are of the attempt before', newer: { attempt: 2 }, newerJobs: { attempt: 1 } },
    { when: 'the newer one has no job yet', newerJobs: { total: 0, queued: [] } },
    { when: 'all jobs of the newer one were skipped', newerJobs: { total: 3, queued: [] } },
    {
      when: 'the newer one is set aside',
      view: { memory: { setAside: [{ run: 2, attempt: 1, why: '409', since: 0, tries: 1, retryAt: NOW + 1 }], reruns: [] } },
    },
    {
      when: 'the older one is set aside',
      view: { memory: { setAside: [{ run: 1, attempt: 1, why: '409', since: 0, tries: 1, retryAt: NOW + 1 }], reruns: [] } },
    },
  ])('$when', (given) => {
    expect(planFor(given)).toMatchObject({ acts: [], wouldBe: [], wantsJobs: [], wantsTags: [], notes: [] });
  });

  test('a protected glob', () => {
    const policy = aPolicy({
      superseded: {
        protect: {
          defaultBranch: false,
          patterns: [
            { glob: 'release/*', pattern: '^release/[^/]*$' },
            { glob: 'main', pattern: '^main$' },
          ],
        },
      },
    });
    expect(planFor({ both: { branch: 'main' } }, policy).acts).toEqual([]);
    expect(planFor({ both: { branch: 'release/1' } }, policy).acts).toEqual([]);
    expect(planFor({ both: { ...OF_FORK, branch: 'main' } }, policy).acts).toEqual([]);
    expect(planFor({ both: { branch: 'release/1/fix' } }, policy).acts).toHaveLength(1);
    expect(planFor({ both: { branch: 'maintenance' } }, policy).acts).toHaveLength(1);
  });

  test('a pattern without anchors is for the whole name as well', () => {
    const policy = aPolicy({
      superseded: { protect: { defaultBranch: false, patterns: [{ glob: '{main,next}', pattern: 'main|next' }] } },
    });
    expect(planFor({ both: { branch: 'main' } }, policy).acts).toEqual([]);
    expect(planFor({ both: { branch: 'next-steps' } }, policy).acts).toHaveLength(1);
    expect(planFor({ both: { branch: 'domain' } }, policy).acts).toHaveLength(1);
  });

  test('events that are not listed', () => {
    const policy = aPolicy({ superseded: { events: { only: ['pull_request'] } } });
    expect(planFor({}, policy).acts).toEqual([]);
    expect(planFor({ both: PULL_REQUEST }, policy).acts).toHaveLength(1);
  });
});

describe('tags', () => {
  test('are asked for once it matters, each name once', () => {
    const runs = ['v1', 'v1', 'v1', 'main', 'other'].map((branch, index) => aRun({ id: index + 1, branch, createdAt: NOW - HOUR + index }));
    const ask = (view: Partial<QueueView>) => planOf(knownView(runs, { tags: new Map(), ...view }), ['superseded']);
    expect(ask({})).toMatchObject({ acts: [], wantsTags: ['v1'], notes: [] });
    expect(ask({ tags: new Map([['v1', false]]) })).toMatchObject({ acts: [{ run: 1 }, { run: 2 }], wantsTags: [] });
    expect(ask({ jobs: byRun() })).toMatchObject({ acts: [], wantsJobs: [3, 2, 1], wantsTags: [] });
    expect(ask({ jobs: byRun(...runs.map((run) => jobsOfRun(run, { started: 1 }))) })).toMatchObject({ acts: [], wantsTags: [] });
  });

  test('where GitHub does not say, nothing is done, and that is told', () => {
    expect(planFor({ view: { tags: new Map([['topic', null]]) } })).toMatchObject({
      acts: [],
      wantsTags: [],
      notes: [
        'superseded: runs for topic are left alone, since GitHub does not say whether it is a tag: its ref is deleted, or the token lacks the permission "Contents: read"',
      ],
    });
  });
});

describe('jobs are asked for', () => {
  const wanted = (runs: readonly Run[], policy = aPolicy()) => planOf(aView({ runs }), ['superseded'], policy).wantsJobs;

  test('of runs that may replace each other, and of no others', () => {
    expect(wanted([aRun({ id: 1 }), aRun({ id: 2 }), aRun({ id: 3, branch: 'other' }), aRun({ id: 4, event: 'schedule' })])).toEqual([
      2, 1,
    ]);
  });

  test('of none that is alone, protected or of unknown identity', () => {
    const policy = aPolicy({ superseded: { protect: { defaultBranch: false, patterns: [{ glob: 'main', pattern: '^main$' }] } } });
    expect(wanted([aRun({ id: 1, branch: 'main' }), aRun({ id: 2, branch: 'main' })], policy)).toEqual([]);
    expect(wanted([aRun({ id: 1, branch: null }), aRun({ id: 2, branch: null })])).toEqual([]);
    expect(wanted([aRun({ id: 1 })])).toEqual([]);
  });

  test('the same, in whatever order runs are listed', () => {
    const runs = [aRun({ id: 1, branch: 'b' }), aRun({ id: 2, branch: 'a' }), aRun({ id: 3, branch: 'b' }), aRun({ id: 4, branch: 'a' })];
    expect(wanted(runs.toReversed())).toEqual(wanted(runs));
  });
});

describe('work', () => {
  const skipping = { newerJobs: { work: ['docs'] } };

  test('need not be the same if the configuration says so', () => {
    expect(planFor(skipping, aPolicy({ superseded: { sameWork: 'off' } })).acts).toHaveLength(1);
  });

  test('is that of the newest run that does it', () => {
    const runs = [1, 2, 3].map((id) => aRun({ id, createdAt: NOW - HOUR + id }));
    const jobs = byRun(...runs.map((run) => jobsOfRun(run, run.id === 3 ? { work: ['docs'] } : {})));
    expect(planOf(knownView(runs, { jobs }), ['superseded']).acts).toMatchObject([{ run: 1, newer: 2 }]);
  });
});

describe('all events', () => {
  test.each(['schedule', 'workflow_dispatch', 'merge_group', 'release'])('%s', (event) => {
    expect(planFor({ both: { event } }, aPolicy({ superseded: { events: 'all' } })).acts).toHaveLength(1);
  });

  test('and tags, of which nobody is asked then', () => {
    const plan = planFor({ both: { branch: 'v1' }, view: { tags: new Map() } }, aPolicy({ superseded: { events: 'all' } }));
    expect(plan).toMatchObject({ acts: [{ run: 1 }], wantsTags: [] });
  });
});

describe('the default branch', () => {
  test('if GitHub does not say which it is, no run of ours is ended, and that is told', () => {
    const view = { defaultBranch: null };
    expect(planFor({ view })).toMatchObject({ acts: [], wantsJobs: [], notes: [expect.stringContaining('the default branch')] });
    expect(planFor({ both: OF_FORK, view }).acts).toHaveLength(1);
  });

  test('of a fork is none of ours', () => {
    expect(planFor({ both: { ...OF_FORK, branch: 'main' } }).acts).toHaveLength(1);
  });

  test('ends like others if nothing is protected', () => {
    const policy = aPolicy({ superseded: { protect: { defaultBranch: false, patterns: [] } } });
    expect(planFor({ both: { branch: 'main' } }, policy).acts).toHaveLength(1);
  });
});

describe('of two runs', () => {
  test('the later one replaces the other, and never itself nor what is later', () => {
    const older = aRun({ id: 1, createdAt: NOW - 2 });
    const newer = aRun({ id: 2, createdAt: NOW - 1 });
    expect(replaces(newer, older)).toBe(true);
    expect(replaces(older, newer)).toBe(false);
    expect(replaces(older, older)).toBe(false);
    expect(replaces({ ...newer, branch: null }, { ...older, branch: null })).toBe(false);
  });

  test('a name can not be taken for another part of an identity', () => {
    expect(identityOf(aRun({ ...PULL_REQUEST }))).not.toBe(
      identityOf(aRun({ ...PULL_REQUEST, pullRequests: [], branch: 'pull request 7' })),
    );
    expect(identityOf(aRun({ branch: 'a","b' }))).not.toBe(identityOf(aRun({ branch: 'a' })));
  });
});
