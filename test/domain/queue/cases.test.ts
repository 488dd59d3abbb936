// What a maintainer wants of each queue that is known to go wrong: the verdict, and why.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { fileSchema } from '../../../src/config/schema.ts';
import type { QueuePolicy } from '../../../src/domain/queue/policy.ts';
import type { Run, RunJobs } from '../../../src/domain/queue/run.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import { queuePolicy } from '../../../src/worker/policy.ts';
import { actsOf, aPolicy, aRun, asking, byRun, HOUR, jobsOfRun, knownView, MINUTE, NOW, OURS, planOf } from '../../kit/queue.ts';

interface Waiting {
  readonly run?: Partial<Run>;
  readonly jobs?: Partial<RunJobs>;
}

interface Case {
  readonly what: string;
  readonly runs: readonly Waiting[];
  readonly view?: Partial<QueueView>;
  /** Runs that are ended, by their place in `runs`, counted from 1. */
  readonly ended: readonly number[];
  readonly why: string;
}

const FIVE_HOURS = { createdAt: NOW - 5 * HOUR };
const NINE_HOURS = { createdAt: NOW - 9 * HOUR };
const HOSTED = { queued: [asking(['ubuntu-latest'])] };
const GPU = { queued: [asking(['self-hosted', 'gpu'])] };
const PULL_REQUEST: Partial<Run> = { event: 'pull_request', branch: 'patch-1', pullRequests: [7] };
const OF_FORK: Partial<Run> = { event: 'pull_request', branch: 'patch-1', pullRequests: [], headRepositoryId: 200 };
const isTag = (name: string): Partial<QueueView> => ({ tags: new Map([[name, true]]) });

/** One run that has waited for so long. */
function old(run: Partial<Run> = {}, jobs: Partial<RunJobs> = {}): readonly Waiting[] {
  return [{ run: { ...FIVE_HOURS, ...run }, jobs }];
}

/** An older one and a newer one, of which both have this. */
function two(both: Partial<Run> = {}, older: Waiting = {}, newer: Waiting = {}): readonly Waiting[] {
  return [
    { ...older, run: { createdAt: NOW - 20 * MINUTE, ...both, ...older.run } },
    { ...newer, run: { createdAt: NOW - 10 * MINUTE, ...both, ...newer.run } },
  ];
}

const STALE: readonly Case[] = [
  { what: 'a push waits 5 h for our runner', runs: old(), ended: [1], why: 'the runner had five hours for it' },
  { what: '3 h 59 min', runs: old({ createdAt: NOW - 239 * MINUTE }), ended: [], why: 'its time is not up' },
  {
    what: 're-run of an old run',
    runs: old({ createdAt: NOW - 10 * HOUR, startedAt: NOW - 2 * MINUTE, attempt: 2 }),
    ended: [],
    why: 'a person has just asked for it',
  },
  { what: 'half-started', runs: old({}, { started: 1 }), ended: [], why: 'work that is done would be lost' },
  {
    what: 'one job is done on a hosted runner, ours waits',
    runs: old({}, { started: 1 }),
    ended: [],
    why: 'work that is done would be lost',
  },
  { what: 'one job was skipped, ours waits', runs: old({}, { total: 2 }), ended: [1], why: 'a skipped job is no work' },
  { what: 'it waits for an environment', runs: old({ status: 'waiting' }), ended: [], why: 'it waits for a person' },
  { what: 'it is queued, and a job of it waits for an approval', runs: old({}, { held: 1 }), ended: [], why: 'it waits for a person' },
  { what: 'it is pending in a concurrency group', runs: old({ status: 'pending' }), ended: [], why: 'it waits for another run' },
  { what: 'it is requested', runs: old({ status: 'requested' }), ended: [], why: 'GitHub has not queued it yet' },
  {
    what: 'a first contribution awaits approval',
    runs: old({ status: 'completed', conclusion: 'action_required' }),
    ended: [],
    why: 'it waits for a person',
  },
  { what: 'hosted labels only', runs: old(NINE_HOURS, HOSTED), ended: [], why: 'our runners have no part in it' },
  {
    what: 'the label of a larger runner',
    runs: old(NINE_HOURS, { queued: [asking(['big-16'])] }),
    ended: [],
    why: 'our runners have no part in it',
  },
  {
    what: 'a matrix of hosted jobs and ours, none started',
    runs: old({}, { queued: [asking(['ubuntu-latest']), asking(['bpf-lsm'])] }),
    ended: [1],
    why: 'our part of it waits in vain',
  },
  { what: 'a runner of another team', runs: old(NINE_HOURS, GPU), ended: [], why: 'it waits for somebody else’s runner' },
  {
    what: 'a runner of the organisation',
    runs: old(NINE_HOURS, { queued: [asking(['self-hosted', 'macOS', 'arm64'])] }),
    ended: [],
    why: 'it waits for somebody else’s runner',
  },
  { what: 'a push of a tag', runs: old({ branch: 'v1.2.3' }), view: isTag('v1.2.3'), ended: [], why: 'it is a release' },
  { what: 'a release', runs: old({ event: 'release', branch: 'v1' }), ended: [], why: 'nobody publishes it twice' },
  { what: 'a deployment', runs: old({ event: 'deployment' }), ended: [], why: 'somebody waits for it' },
  {
    what: 'dispatched by hand',
    runs: old({ event: 'workflow_dispatch' }),
    ended: [1],
    why: 'who dispatched it sees that, and may do it again',
  },
  { what: 'dispatched by another system', runs: old({ event: 'repository_dispatch' }), ended: [1], why: 'its moment is over' },
  { what: 'started by a schedule', runs: old({ event: 'schedule', branch: 'main' }), ended: [1], why: 'the next one comes by itself' },
  {
    what: 'in the merge queue',
    runs: old({ event: 'merge_group', branch: 'gh-readonly-queue/main/pr-7-a' }),
    ended: [],
    why: 'ending it throws a pull request out of the queue',
  },
  {
    what: 'the only run of the head of main',
    runs: old({ branch: 'main' }),
    ended: [],
    why: 'a lost verdict on main is what people remember',
  },
  { what: 'the only run of an open pull request', runs: old(PULL_REQUEST), ended: [1], why: 'its author sees that, and may re-run it' },
  { what: 'without any job', runs: old(NINE_HOURS, { total: 0, queued: [] }), ended: [], why: 'GitHub can not end it: it is set aside' },
  { what: 'started by another workflow', runs: old({ event: 'workflow_run' }), ended: [1], why: 'the next one comes by itself' },
  { what: 'started by GitHub itself', runs: old({ event: 'dynamic' }), ended: [1], why: 'the next one comes by itself' },
  {
    what: 'the runner is offline, one run for each of 30 branches',
    runs: Array.from({ length: 30 }, (_, index) => ({ run: { ...FIVE_HOURS, branch: `branch-${index}` } })),
    view: { silent: [OURS] },
    ended: [],
    why: 'the runner that comes back shall have something to build',
  },
  {
    what: 'the runner was offline for the night, and came back a minute ago',
    runs: Array.from({ length: 30 }, (_, index) => ({ run: { ...NINE_HOURS, branch: `branch-${index}` } })),
    view: { memory: { setAside: [], reruns: [], silences: [{ labels: OURS, from: NOW - 9 * HOUR, until: NOW - MINUTE }] } },
    ended: [],
    why: 'nobody could have built them',
  },
];

const SUPERSEDED: readonly Case[] = [
  { what: 'two commits of a pull request', runs: two(PULL_REQUEST), ended: [1], why: 'nobody merges the older commit' },
  {
    what: 'three pushes to a branch in a row',
    runs: [30, 20, 10].map((minutes) => ({ run: { createdAt: NOW - minutes * MINUTE } })),
    ended: [1, 2],
    why: 'the branch is at the newest',
  },
  {
    what: 'two forks, one branch name',
    runs: two(OF_FORK, {}, { run: { headRepositoryId: 201 } }),
    ended: [],
    why: 'they are two pull requests',
  },
  { what: 'one fork, one branch, two commits', runs: two(OF_FORK), ended: [1], why: 'nobody merges the older commit' },
  {
    what: 'one branch of a fork, one commit, two pull requests',
    runs: two({ ...OF_FORK, sha: 'same' }),
    ended: [],
    why: 'each pull request wants its verdict',
  },
  { what: 'a deleted fork', runs: two({ ...OF_FORK, headRepositoryId: null }), ended: [], why: 'nobody knows whether they are alike' },
  {
    what: 'one branch name, here and in a fork',
    runs: two({}, {}, { run: { headRepositoryId: 200 } }),
    ended: [],
    why: 'they are two branches',
  },
  { what: 'one workflow name in two files', runs: two({}, {}, { run: { workflowId: 11 } }), ended: [], why: 'they are two workflows' },
  {
    what: 'a push and a pull request of one commit',
    runs: two({ branch: 'patch-1' }, {}, { run: PULL_REQUEST }),
    ended: [],
    why: 'each has its verdict',
  },
  { what: 'the newer one runs already', runs: two({}, {}, { jobs: { started: 1 } }), ended: [], why: 'the older one may end first' },
  { what: 'the older one is half-started', runs: two({}, { jobs: { started: 1 } }), ended: [], why: 'work that is done would be lost' },
  { what: 'the newer one is pending', runs: two({}, {}, { run: { status: 'pending' } }), ended: [], why: 'it may never run' },
  { what: 'the newer one waits for an approval', runs: two({}, {}, { run: { status: 'waiting' } }), ended: [], why: 'it may never run' },
  { what: 'a tag that was moved', runs: two({ branch: 'v2' }), view: isTag('v2'), ended: [], why: 'it is a release' },
  {
    what: 'a tag like a release branch',
    runs: two({ branch: 'release/1.0' }),
    view: isTag('release/1.0'),
    ended: [],
    why: 'it is a release',
  },
  { what: 'dispatched twice by hand', runs: two({ event: 'workflow_dispatch' }), ended: [], why: 'inputs may differ' },
  { what: 'dispatched twice by another system', runs: two({ event: 'repository_dispatch' }), ended: [], why: 'payloads may differ' },
  { what: 'a schedule twice', runs: two({ event: 'schedule' }), ended: [], why: 'two schedules may share a workflow' },
  { what: 'deployed twice', runs: two({ event: 'deployment' }), ended: [], why: 'environments may differ' },
  {
    what: 'two entries of the merge queue',
    runs: two({ event: 'merge_group', branch: 'gh-readonly-queue/main/pr-7-a' }, {}, { run: { branch: 'gh-readonly-queue/main/pr-8-b' } }),
    ended: [],
    why: 'they are two merges',
  },
  {
    what: 'an entry of the merge queue, twice',
    runs: two({ event: 'merge_group', branch: 'gh-readonly-queue/main/pr-7-a' }),
    ended: [],
    why: 'GitHub ends what it does not wait for by itself',
  },
  { what: 'two commits of main', runs: two({ branch: 'main' }), ended: [], why: 'each commit of main wants its verdict' },
  { what: 'two commits of a release branch', runs: two({ branch: 'release/1.x' }), ended: [], why: 'each commit of it wants its verdict' },
  {
    what: 'two deploys by a push to main',
    runs: two({ branch: 'main', workflow: 'Deploy prod', workflowId: 12 }),
    ended: [],
    why: 'each is a record',
  },
  {
    what: 'the older one was re-run by a person a minute ago',
    runs: two({}, { run: { attempt: 2, startedAt: NOW - MINUTE } }),
    ended: [],
    why: 'a person has just asked for it',
  },
  {
    what: 'the newer one skips the job',
    runs: two({}, {}, { jobs: { work: [], total: 2 } }),
    ended: [],
    why: 'the work would be done by nobody',
  },
  {
    what: 'two labels of a pull request, one commit',
    runs: two({ ...PULL_REQUEST, sha: 'same' }, { jobs: { work: ['bench'] } }, { jobs: { work: ['docs'] } }),
    ended: [],
    why: 'each label asks for a job of its own',
  },
  {
    what: 'a pull request that was closed after a push',
    runs: two({ ...PULL_REQUEST, sha: 'same' }, {}, { run: { pullRequests: [] } }),
    ended: [],
    why: 'nobody knows whether it is the same pull request',
  },
  { what: 'the newer one is for hosted runners', runs: two({}, {}, { jobs: HOSTED }), ended: [1], why: 'the branch is at the newest' },
  {
    what: 'both are for hosted runners',
    runs: two({}, { jobs: HOSTED }, { jobs: HOSTED }),
    ended: [],
    why: 'our runners have no part in it',
  },
  {
    what: 'both are for a runner of the organisation',
    runs: two({}, { jobs: GPU }, { jobs: GPU }),
    ended: [],
    why: 'our runners have no part in it',
  },
  {
    what: 'a branch of dependabot was rebased',
    runs: two({ ...PULL_REQUEST, branch: 'dependabot/npm/x' }),
    ended: [1],
    why: 'nobody merges the older commit',
  },
  {
    what: 'a reusable workflow, two commits',
    runs: two({ ...PULL_REQUEST, workflow: 'reusable.yml' }),
    ended: [1],
    why: 'nobody merges the older commit',
  },
  {
    what: 'created in one second',
    runs: two({ ...PULL_REQUEST, createdAt: NOW - 10 * MINUTE, startedAt: NOW - 10 * MINUTE }),
    ended: [1],
    why: 'GitHub counts its runs upwards',
  },
  {
    what: 'two forks of which GitHub names the base',
    runs: two({ event: 'pull_request_target', branch: 'main', pullRequests: [] }),
    ended: [],
    why: 'nobody knows whether they are one pull request',
  },
  {
    what: 'two pull requests of one branch, one commit',
    runs: two({ ...PULL_REQUEST, pullRequests: [7, 8], sha: 'same' }),
    ended: [],
    why: 'each wants its verdict',
  },
  { what: 'the newer one has no job', runs: two({}, {}, { jobs: { total: 0, queued: [], work: [] } }), ended: [], why: 'it may never run' },
];

describe.each([
  { rule: 'stale' as const, cases: STALE },
  { rule: 'superseded' as const, cases: SUPERSEDED },
])('$rule', ({ rule, cases }) => {
  test.each(cases)('$what: $ended, since $why', ({ runs, view, ended }) => {
    expect(endedBy(rule, { runs, view }, aPolicy())).toEqual(ended);
  });
});

const OFFLINE: Partial<QueueView> = { silent: [OURS] };

/** Each switch of the operations document's rules, with a queue that it decides. */
const TO_THE_LETTER: readonly (Pick<Case, 'what' | 'runs'> & {
  readonly view?: Partial<QueueView>;
  readonly rule: 'stale' | 'superseded' | 'prioritizePullRequests';
  readonly by: string;
})[] = [
  { rule: 'stale', by: 'stale: { events: all }', what: 'a tag', runs: old({ branch: 'v1' }), view: isTag('v1') },
  { rule: 'stale', by: 'stale: { events: all }', what: 'a release', runs: old({ event: 'release' }) },
  { rule: 'stale', by: 'stale: { events: all }', what: 'a deployment', runs: old({ event: 'deployment' }) },
  { rule: 'stale', by: 'stale: { events: all }', what: 'an entry of the merge queue', runs: old({ event: 'merge_group' }) },
  { rule: 'stale', by: 'stale: { clock: wall }', what: 'a run of the night', runs: old(), view: OFFLINE },
  {
    rule: 'stale',
    by: 'superseded: { protect: [] }',
    what: 'a push to main',
    runs: old({ branch: 'main' }),
    view: { tags: new Map([['main', false]]) },
  },
  { rule: 'stale', by: 'reach: repository', what: 'a run that no runner of ours serves', runs: old({}, GPU) },
  { rule: 'superseded', by: 'superseded: { protect: [] }', what: 'a commit of main', runs: two({ branch: 'main' }) },
  { rule: 'superseded', by: 'superseded: { events: all }', what: 'a schedule', runs: two({ event: 'schedule' }) },
  { rule: 'superseded', by: 'superseded: { events: all }', what: 'a dispatch', runs: two({ event: 'workflow_dispatch' }) },
  { rule: 'superseded', by: 'superseded: { events: all }', what: 'a tag', runs: two({ branch: 'v1' }), view: isTag('v1') },
  {
    rule: 'superseded',
    by: 'superseded: { sameWork: off }',
    what: 'a run whose job the newer one skips',
    runs: two({}, {}, { jobs: { work: [] } }),
  },
  {
    rule: 'prioritizePullRequests',
    by: 'prioritizePullRequests: { count: runs }',
    what: 'a push before one pull request with six workflows',
    runs: [{}, ...Array.from({ length: 6 }, (_, index) => ({ run: { ...PULL_REQUEST, workflowId: 20 + index } }))],
  },
];

describe('to the letter of the operations document', () => {
  const queueOf = (yaml: string): QueuePolicy => queuePolicy(fileSchema.parse(parse(yaml)));
  const example = readFileSync(new URL('../../../examples/assay.yaml', import.meta.url), 'utf8');

  test.each(TO_THE_LETTER)('$by ends $what, which is kept by default', ({ rule, by, runs, view }) => {
    expect(endedBy(rule, { runs, view }, aPolicy())).toEqual([]);
    expect(endedBy(rule, { runs, view }, queueOf(`queue: { ${by} }`))).toEqual([1]);
    expect(endedBy(rule, { runs, view }, queueOf(example))).toEqual([1]);
  });

  test('a push that makes way is cancelled for good', () => {
    const runs = [{}, ...Array.from({ length: 6 }, (_, index) => ({ run: { ...PULL_REQUEST, pullRequests: [index] } }))];
    expect(actsFor('prioritizePullRequests', { runs }, aPolicy())).toEqual(['park 1 prioritizePullRequests']);
    expect(actsFor('prioritizePullRequests', { runs }, queueOf(example))).toEqual(['cancel 1 prioritizePullRequests']);
    expect(actsFor('prioritizePullRequests', { runs }, queueOf('queue: { prioritizePullRequests: { then: cancel } }'))).toEqual([
      'cancel 1 prioritizePullRequests',
    ]);
  });

  test('the example turns on nothing else', () => {
    const rules = [...new Set(TO_THE_LETTER.map(({ by }) => by)), 'prioritizePullRequests: { then: cancel }'];
    const { queue } = parse(example) as { readonly queue: Readonly<Record<string, object | string>> };
    const named = Object.entries(queue).flatMap(([rule, keys]) =>
      typeof keys === 'string'
        ? [`${rule}: ${keys}`]
        : Object.entries(keys).map(([key, value]) => `${rule}: { ${key}: ${Array.isArray(value) ? '[]' : value} }`),
    );
    expect(named.toSorted()).toEqual(rules.toSorted());
  });
});

type Given = { readonly runs: Case['runs']; readonly view?: Partial<QueueView> | undefined };

function actsFor(rule: 'stale' | 'superseded' | 'prioritizePullRequests', { runs, view }: Given, policy: QueuePolicy): readonly string[] {
  const all = runs.map(({ run, jobs }, index) => {
    const each = aRun({ id: index + 1, ...run });
    return { run: each, jobs: jobsOfRun(each, jobs) };
  });
  const known = knownView(
    all.map(({ run }) => run),
    { jobs: byRun(...all.map(({ jobs }) => jobs)) },
  );
  const tags = new Map([...known.tags, ...(view?.tags ?? [])]);
  return actsOf(planOf({ ...known, ...view, tags }, [rule], policy));
}

function endedBy(rule: 'stale' | 'superseded' | 'prioritizePullRequests', given: Given, policy: QueuePolicy): readonly number[] {
  return actsFor(rule, given, policy)
    .map((act) => Number(act.split(' ')[1]))
    .toSorted((one, other) => one - other);
}
