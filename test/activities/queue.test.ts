// What queue care does at GitHub, an activity at a time, against the make-believe GitHub.

import { DefaultLogger } from '@temporalio/worker';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type {
  BatchCancelled,
  BatchRerun,
  FollowedBatch,
  JobsOfRuns,
  OtherStatus,
  QueueHomes,
  QueuePart,
  QueueSurroundings,
} from '../../src/activities/contract.ts';
import { createQueueActivities } from '../../src/activities/queue.ts';
import type { FollowedRun } from '../../src/domain/queue/attempt.ts';
import { labelSetOf } from '../../src/domain/queue/run.ts';
import { parkedOf, WOULD_PUSH_OUT } from '../../src/domain/queue/parked.ts';
import type { WorkItem } from '../../src/domain/queue/work.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import { createPace } from '../../src/github/pace.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { aPolicy, jobsOf } from '../kit/queue.ts';

const HOUR = 3_600_000;
const SCOPE = 'octo/app';
const JOB = { labels: ['self-hosted', 'bpf'] };
const ORGANISATION = 'octo';
const OFFERED = [labelSetOf(['self-hosted', 'linux', 'bpf'])];
const POLICY = {
  ...aPolicy(),
  following: { firstMs: 0, longestMs: 1_000, forceAfterMs: 60_000, giveUpAfterMs: 120_000, doubtMs: 200, tellAfterMs: 0, marginMs: 60_000 },
};
const GROUND = {
  offered: OFFERED,
  silent: [],
  defaultBranch: 'trunk',
  silences: [],
  pressed: OFFERED,
  reruns: [],
  mayBeDone: false,
  policy: POLICY,
};

let server: SandboxGitHub;
const servers: SandboxGitHub[] = [];

beforeEach(async () => {
  server = await startGitHub({ repositories: [SCOPE], organizations: [ORGANISATION] });
  servers.push(server);
});

afterAll(() => Promise.all(servers.map((each) => each.close())));

describe('a batch', () => {
  test('cancels what still may be, by three requests for each', async () => {
    const runs = [5, 6].map((hours) => stale({ agoMs: hours * HOUR }));
    const { attempts } = await cancel(runs);
    expect(attempts.map(({ result }) => result)).toMatchObject([
      { kind: 'accepted', isSure: true },
      { kind: 'accepted', isSure: true },
    ]);
    expect(sent().map((line) => line.replace(/\d{5,}/, 'N'))).toEqual(
      [0, 1].flatMap(() => ['GET /runs/N', 'GET /runs/N/jobs', 'POST /runs/N/cancel']),
    );
  });

  test('whose answer is lost is in doubt, and is not sent twice', async () => {
    const run = stale();
    server.misbehave({ match: { method: 'POST', path: '/cancel' }, fault: { kind: 'lost' }, times: 1 });
    const { attempts } = await cancel([run]);
    expect(attempts[0]?.result).toMatchObject({ kind: 'accepted', isSure: false });
    expect(server.run(run)).toMatchObject({ conclusion: 'cancelled', accepted: { cancel: 1 } });
  });

  test('takes a run that has ended in the last moment as over', async () => {
    const run = stale();
    server.misbehave({
      match: { method: 'POST', path: '/cancel' },
      status: 409,
      body: { message: 'Cannot cancel a workflow run that is completed.' },
      delayMs: 100,
      times: 1,
    });
    const cancelling = cancel([run]);
    await expect.poll(() => sent().length).toBeGreaterThanOrEqual(2);
    server.completeRun(run, 'success');
    expect((await cancelling).attempts[0]?.result).toMatchObject({ kind: 'over', conclusion: 'success', isOurs: false });
  });

  test.each([
    ['not-queued', 'has not been queued yet'],
    ['failing', 'Failed to cancel'],
  ] as const)('sets a zombie aside: %s', async (zombie, words) => {
    const { attempts } = await cancel([stale({ zombie })]);
    expect(attempts[0]?.result).toMatchObject({ kind: 'set-aside', why: expect.stringContaining(words) });
  });

  test.each([500, 503])('tries again later where GitHub only has a bad day: %i', async (status) => {
    const run = stale();
    server.misbehave({ match: { method: 'POST', path: '/cancel' }, status, times: 1 });
    expect((await cancel([run])).attempts[0]?.result.kind).toBe('again');
    expect((await cancel([run])).attempts[0]?.result.kind).toBe('accepted');
  });

  test('goes on where GitHub fails at one run, or does not know it any more', async () => {
    const [failing, gone, good] = [stale(), stale(), stale()];
    server.misbehave({ match: { path: `/runs/${failing}/jobs` }, status: 502 });
    server.misbehave({ match: { path: `/runs/${gone}` }, status: 404 });
    const { attempts } = await cancel([failing!, gone!, good!]);
    expect(attempts.map(({ result }) => result.kind)).toEqual(['again', 'spared', 'accepted']);
  });

  test('ends at a limit and says what it left undone', async () => {
    const runs = [stale(), stale(), stale()];
    server.misbehave({
      from: { path: `/runs/${runs[1]}/jobs` },
      match: { path: '/actions/runs' },
      fault: { kind: 'secondary-limit', lastsMs: 60_000, namesEnd: true },
      times: 1,
    });
    const { attempts, rest, limited } = await cancel(runs);
    expect(attempts).toHaveLength(1);
    expect(rest.map(({ run }) => run)).toEqual(runs.slice(1));
    expect(limited).toMatchObject({ kind: 'limited', waitMs: expect.any(Number) });
    expect(limited!.waitMs).toBeGreaterThan(50_000);
  });

  test('goes on behind what an attempt before has noted, and finds what that has not', async () => {
    const [noted, unnoted, left] = [stale(), stale(), stale()];
    const done = (await cancel([noted!])).attempts;
    await cancel([unnoted!]);
    const before = sent().length;
    const { attempts } = await cancel([noted!, unnoted!, left!], { attempt: 2, heartbeatDetails: { attempts: done } });
    expect(attempts.map(({ result }) => result)).toMatchObject([
      { kind: 'accepted' },
      { kind: 'over', conclusion: 'cancelled', isOurs: true },
      { kind: 'accepted' },
    ]);
    expect(
      sent()
        .slice(before)
        .filter((line) => line.startsWith('POST')),
    ).toHaveLength(1);
    expect(server.runs(SCOPE).map(({ accepted }) => accepted.cancel)).toEqual([1, 1, 1]);
  });

  test('that a limit cuts off knows afterwards what an attempt before it may have done', async () => {
    const [unnoted, other] = [stale(), stale()];
    await cancel([unnoted!]);
    server.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 100, namesEnd: true }, times: 1 });
    const { rest, mayBeDone } = await cancel([unnoted!, other!], { attempt: 2 });
    expect({ rest: rest.length, mayBeDone }).toEqual({ rest: 2, mayBeDone: true });
    server.advance(1_000);
    const { attempts } = await cancelItems(rest, {}, server.token, mayBeDone);
    expect(attempts.map(({ result }) => result)).toMatchObject([{ kind: 'over', isOurs: true }, { kind: 'accepted' }]);
    // Without such a doubt somebody else has cancelled it.
    expect((await cancelItems(rest)).attempts[0]?.result).toMatchObject({ kind: 'over', isOurs: false });
  });

  test('that tries once more, and comes too late, has done it the first time', async () => {
    const run = stale({ cancelTakesMs: 150 });
    await cancel([run]);
    server.misbehave({
      match: { method: 'POST', path: '/cancel' },
      status: 409,
      body: { message: 'Cannot cancel a workflow run that is completed.' },
      delayMs: 300,
      times: 1,
    });
    const { attempts } = await cancelItems([anItem(run, { tries: 1 })]);
    expect(attempts[0]?.result).toMatchObject({ kind: 'over', conclusion: 'cancelled', isOurs: true });
  });

  test('looks once at a run that replaces several', async () => {
    const older = [3, 2].map((minutes) => stale({ agoMs: minutes * 60_000 }));
    const newest = stale({ agoMs: 60_000 });
    const items = older.map((run) => anItem(run, { rule: 'superseded', newer: newest }));
    expect((await cancelItems(items)).attempts.map(({ result }) => result.kind)).toEqual(['accepted', 'accepted']);
    expect(sent().filter((line) => line === `GET /runs/${newest}`)).toHaveLength(1);
  });

  test('is not heard where the token may not cancel: the third refusal is the last that is asked for', async () => {
    const token = server.addToken({ permissions: { actions: 'read' } });
    const { attempts } = await cancel(
      Array.from({ length: 5 }, () => stale()),
      {},
      token,
    );
    expect(attempts.map(({ result }) => result)).toMatchObject(Array.from({ length: 5 }, () => ({ kind: 'refused', status: 403 })));
    expect(sent().filter((line) => line.startsWith('POST'))).toHaveLength(3);
  });
});

describe('runs that are followed', () => {
  test('are found in one list, where there are many', async () => {
    const runs = Array.from({ length: 50 }, (_, index) => stale({ agoMs: (5 * 60 + index) * 60_000 }));
    await cancel(runs);
    const before = sent().length;
    const { ends } = await follow(runs);
    expect(ends).toEqual(runs.map(() => ({ kind: 'over', conclusion: 'cancelled' })));
    expect(sent().slice(before)).toHaveLength(1);
  });

  test('are forced once they do not react, and given up in the end', async () => {
    const run = stale({ cancelTakesMs: Infinity });
    await cancel([run]);
    const [followed] = followedOf([run]) as [FollowedRun];
    expect((await follow([run])).ends).toEqual([{ kind: 'pending', forcedAt: null }]);
    server.misbehave({ match: { path: '/force-cancel' }, status: 500 });
    server.advance(61_000);
    const [forced] = (await follow([], [followed])).ends;
    expect(forced).toEqual({ kind: 'pending', forcedAt: expect.any(Number) });
    const forcedAt = forced?.kind === 'pending' ? forced.forcedAt : null;
    expect((await follow([], [{ ...followed, forcedAt }])).ends).toEqual([{ kind: 'pending', forcedAt }]);
    server.advance(121_000);
    expect((await follow([], [{ ...followed, forcedAt }])).ends).toEqual([
      { kind: 'not-over', why: expect.stringContaining('still queued') },
    ]);
  });

  test('are not forced while a job of them runs after all', async () => {
    const run = stale({ cancelTakesMs: Infinity, jobs: [{ labels: ['self-hosted', 'bpf'] }, { labels: ['self-hosted', 'bpf'] }] });
    await cancel([run]);
    server.startJob(server.run(run).jobs[0]!.id);
    server.advance(61_000);
    expect((await follow([run])).ends).toEqual([{ kind: 'pending', forcedAt: null }]);
    server.advance(121_000);
    expect((await follow([run])).ends).toEqual([{ kind: 'not-over', why: expect.stringContaining('runs all the same') }]);
    expect(server.run(run).accepted.forceCancel).toBe(0);
  });

  test('that GitHub says nothing of are unread', async () => {
    const run = stale();
    server.misbehave({ match: { path: `/runs/${run}/jobs` }, status: 502 });
    expect((await follow([run])).ends).toEqual([{ kind: 'unread', why: expect.stringContaining('502') }]);
  });

  test('whose cancellation was never heard are tried again', async () => {
    const run = stale();
    const [followed] = followedOf([run]);
    // GitHub tells whole seconds: of one second nothing may be left.
    server.advance(2_000);
    expect((await follow([], [{ ...followed!, isSure: false }])).ends).toEqual([{ kind: 'again' }]);
  });

  test('may have ended by themselves', async () => {
    const run = stale();
    server.completeRun(run, 'success');
    expect((await follow([run])).ends).toEqual([{ kind: 'over', conclusion: 'success' }]);
  });
});

test('between the last look at a run and its cancellation there is no wait, however slow the pace', async () => {
  const waits: (() => void)[] = [];
  const sleep = (): Promise<void> => new Promise((resolve) => waits.push(resolve));
  const pace = createPace({ writesPerMinute: 1, sleep });
  const github = createGitHub({ baseUrl: server.url, token: () => new Secret(server.token), pace });
  const [first, second] = [stale(), stale()];
  const items = [anItem(first), anItem(second)];
  const cancelling = run(() => createQueueActivities(github).cancelBatch({ scope: SCOPE, items, ...GROUND }));
  await expect.poll(() => waits.length).toBe(1);
  // The turn of the second has not come, and its job starts.
  server.startJob(server.run(second).jobs[0]!.id);
  waits[0]?.();
  expect((await cancelling).attempts.map(({ result }) => result.kind)).toEqual(['accepted', 'spared']);
  expect(server.run(second).accepted.cancel).toBe(0);
});

test('a word that no job runs which took GitHub long is no ground for a cancellation', async () => {
  const id = stale();
  let lateMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => Date.now() + lateMs);
  const github = createGitHub({
    baseUrl: server.url,
    token: () => new Secret(server.token),
    fetch: async (input, init) => {
      const answer = await fetch(input, init);
      lateMs = new Request(input).url.includes('/jobs') ? 14_000 : lateMs;
      return answer;
    },
  });
  const { attempts } = await run(() => createQueueActivities(github).cancelBatch({ scope: SCOPE, items: [anItem(id)], ...GROUND }));
  clock.mockRestore();
  expect(attempts[0]?.result).toMatchObject({ kind: 'again', why: expect.stringContaining('took 14 s') });
  expect(server.run(id).accepted.cancel).toBe(0);
});

test('a run that a person re-runs while its turn to be forced is waited for is not forced', async () => {
  const waits: (() => void)[] = [];
  const pace = createPace({ writesPerMinute: 1, sleep: () => new Promise<void>((resolve) => waits.push(resolve)) });
  const github = createGitHub({ baseUrl: server.url, token: () => new Secret(server.token), pace });
  const { signal } = new AbortController();
  const id = stale();
  const followed = followedOf([id]);
  server.advance(61_000);
  await github.inTurn(SCOPE, async () => {}, signal);
  const following = run(() => createQueueActivities(github).followBatch({ scope: SCOPE, runs: followed, policy: POLICY }));
  await expect.poll(() => waits.length).toBe(1);
  server.completeRun(id, 'cancelled');
  await github.rerunRun(SCOPE, id, signal);
  waits[0]?.();
  expect((await following).ends).toEqual([{ kind: 'pending', forcedAt: null }]);
  expect(server.run(id)).toMatchObject({ status: 'queued', accepted: { forceCancel: 0 } });
  expect((await follow([], followed)).ends).toEqual([{ kind: 'over', conclusion: 'cancelled' }]);
});

describe('jobs', () => {
  test('are not asked for again while the list shows the run unchanged', async () => {
    const [first, second] = [stale(), stale()];
    const activities = create();
    const read = async (): Promise<JobsOfRuns> => {
      const { runs } = await readPart(activities);
      return run(() =>
        activities.readJobsOfRuns({ scope: SCOPE, runs: runs.map(({ id, attempt, updatedAt }) => [id, attempt, updatedAt]) }),
      );
    };
    expect(await read()).toMatchObject({ requests: 2, unread: [] });
    expect(await read()).toMatchObject({ requests: 0, jobs: expect.arrayContaining([expect.objectContaining({ run: first })]) });
    server.advance(2_000);
    server.completeRun(second, 'cancelled');
    await createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) }).rerunRun(
      SCOPE,
      second,
      new AbortController().signal,
    );
    expect(await read()).toMatchObject({
      requests: 1,
      jobs: expect.arrayContaining([expect.objectContaining({ run: second, attempt: 2 })]),
    });
  });

  test('are asked for again if GitHub does not say when the run last changed', async () => {
    const id = stale();
    const activities = create();
    const read = () => run<JobsOfRuns>(() => activities.readJobsOfRuns({ scope: SCOPE, runs: [[id, 1, null]] }));
    expect([await read(), await read()]).toMatchObject([{ requests: 1 }, { requests: 1 }]);
  });

  test('of a run that GitHub fails at are unread, and the others are read', async () => {
    const [bad, good] = [stale(), stale()];
    server.misbehave({ match: { path: `/runs/${bad}/jobs` }, status: 500 });
    const activities = create();
    const read = await run<JobsOfRuns>(() =>
      activities.readJobsOfRuns({ scope: SCOPE, runs: [bad, good].map((id) => [id, 1, 0] as const) }),
    );
    expect(read).toMatchObject({ unread: [bad], jobs: [{ run: good }], limited: null });
  });
});

describe('what a plan has read', () => {
  const at = { branch: 'topic', event: 'push' };

  test.each<{ readonly rule: WorkItem['rule']; readonly does: WorkItem['does']; readonly options: RunOptions }>([
    { rule: 'stale', does: 'cancel', options: {} },
    { rule: 'superseded', does: 'cancel', options: at },
    { rule: 'prioritizePullRequests', does: 'park', options: {} },
  ])('is not paid for again: an act by $rule costs two requests of the hour in all', async ({ rule, does, options }) => {
    const runs = [7, 6, 5].map((hours) => stale({ agoMs: hours * HOUR, ...options }));
    const newest = stale({ agoMs: 1_000, ...at });
    const newer = rule === 'superseded' ? newest : null;
    const activities = await planned();
    const items = runs.map((id) => anItem(id, { rule, does, newer }));
    const { attempts } = await run<BatchCancelled>(() => activities.cancelBatch({ scope: SCOPE, items, ...GROUND }));
    expect(attempts.map(({ result }) => result.kind)).toEqual(['accepted', 'accepted', 'accepted']);
    for (const id of runs) {
      expect(answered(id)).toEqual(['GET /jobs 200', 'GET /jobs 304', 'POST /cancel 202']);
    }
    expect(answered(newest)).toEqual(['GET /jobs 200', ...(newer === null ? [] : ['GET /jobs 304'])]);
  });

  test('serves whoever follows as well: a run that takes a moment to end costs one request of the hour more', async () => {
    const id = stale({ cancelTakesMs: 2_000 });
    const activities = await planned();
    await run(() => activities.cancelBatch({ scope: SCOPE, items: [anItem(id)], ...GROUND }));
    const look = () => run<FollowedBatch>(() => activities.followBatch({ scope: SCOPE, runs: followedOf([id]), policy: POLICY }));
    expect((await look()).ends).toEqual([{ kind: 'pending', forcedAt: null }]);
    server.advance(2_000);
    expect((await look()).ends).toEqual([{ kind: 'over', conclusion: 'cancelled' }]);
    expect(answered(id).slice(3)).toEqual(['GET /jobs 304', 'GET /jobs 200']);
  });

  test('is not believed of a job that has begun, a re-run or a run that is over', async () => {
    const [begun, rerun, over, gone, good] = [stale({ jobs: [JOB, JOB] }), stale(), stale(), stale(), stale()] as const;
    const activities = await planned();
    server.startJob(server.run(begun).jobs[0]!.id);
    for (const id of [rerun, over]) {
      server.completeRun(id, 'cancelled');
    }
    await createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) }).rerunRun(SCOPE, rerun, new AbortController().signal);
    server.misbehave({ match: { path: `/runs/${gone}` }, status: 404 });
    const items = [begun, rerun, over, gone, good].map((id) => anItem(id));
    const { attempts } = await run<BatchCancelled>(() => activities.cancelBatch({ scope: SCOPE, items, ...GROUND }));
    expect(attempts.map(({ result }) => result)).toMatchObject([
      { kind: 'spared', why: '1 of its jobs has started meanwhile' },
      { kind: 'spared', why: 'it was re-run meanwhile' },
      { kind: 'over', conclusion: 'cancelled', isOurs: false },
      { kind: 'spared', why: 'it is gone' },
      { kind: 'accepted' },
    ]);
    expect([begun, rerun, over, gone].map((id) => server.run(id).accepted.cancel)).toEqual([0, 0, 0, 0]);
  });

  test('is not believed of a newer run that has begun, or is over', async () => {
    for (const end of ['begins', 'is over'] as const) {
      const [older, newest] = [stale({ agoMs: 60_000, ...at, branch: end }), stale({ agoMs: 1_000, ...at, branch: end })];
      const activities = await planned();
      if (end === 'begins') {
        server.startJob(server.run(newest).jobs[0]!.id);
      } else {
        server.completeRun(newest, 'success');
      }
      const items = [anItem(older, { rule: 'superseded', newer: newest })];
      const { attempts } = await run<BatchCancelled>(() => activities.cancelBatch({ scope: SCOPE, items, ...GROUND }));
      expect(attempts[0]?.result).toMatchObject({ kind: 'spared', why: 'the run that was to replace it does not wait any more' });
    }
  });

  test('is read anew by a worker that has not read it', async () => {
    const id = stale();
    await planned();
    const before = answered(id).length;
    await cancel([id]);
    expect(answered(id).slice(before)).toEqual(['GET  200', 'GET /jobs 200', 'POST /cancel 202']);
  });

  /** Activities of a worker that has read the queue and the jobs of its runs. */
  async function planned(): Promise<ReturnType<typeof create>> {
    const activities = create();
    const { runs } = await readPart(activities);
    const asked = runs.map(({ id, attempt, updatedAt }) => [id, attempt, updatedAt] as const);
    await run(() => activities.readJobsOfRuns({ scope: SCOPE, runs: asked }));
    return activities;
  }

  /** What was asked about a run, in order, and GitHub's status. */
  function answered(id: number): readonly string[] {
    return server.requests
      .filter(({ path }) => path.includes(`/runs/${id}`))
      .map(({ method, path, status }) => `${method} ${path.replace(/^.*\/runs\/\d+/, '').replace(/\?.*$/, '')} ${status}`);
  }
});

describe('what surrounds the queue', () => {
  const configured = [
    { name: 'Builder', labels: labelSetOf(['self-hosted', 'linux', 'x64', 'bpf']) },
    { name: 'gone', labels: labelSetOf(['self-hosted', 'linux', 'kvm']) },
  ];

  test('is counted, and whose runners there are is told apart', async () => {
    server.addRunner(SCOPE, { name: 'builder', labels: ['bpf'] });
    server.addRunner(SCOPE, { name: 'theirs', labels: ['gpu'] });
    stale({ status: 'waiting' });
    const activities = create();
    const seen = await run(() => readAround({ scope: SCOPE, configured, organisation: null }, activities));
    const ours = [labelSetOf(['self-hosted', 'linux', 'x64', 'bpf']), labelSetOf(['self-hosted', 'linux', 'kvm'])];
    expect(seen).toMatchObject({ waiting: 1, pending: 0, inProgress: 0, requested: 0, ours, notes: [] });
    expect(seen).toMatchObject({ offered: expect.arrayContaining([...ours, labelSetOf(['self-hosted', 'linux', 'x64', 'gpu'])]) });
  });

  test('is asked for as far as it is wanted', async () => {
    stale();
    const seen = await run(() => readAround({ scope: SCOPE, configured, organisation: null }, create(), ['in_progress']));
    expect(seen).toMatchObject({ inProgress: 0, waiting: null, pending: null, requested: null, notes: [] });
    expect(server.requests.filter(({ path }) => path.includes('status='))).toHaveLength(2);
  });

  test('is unknown where GitHub refuses it, and the rest is not', async () => {
    server.misbehave({ match: { path: '/actions/runners' }, status: 403 });
    const activities = create();
    const seen = await run(() => readAround({ scope: SCOPE, configured, organisation: null }, activities));
    expect(seen).toMatchObject({ inProgress: 0, notes: [expect.stringContaining("the scope's runners are not known")] });
  });
});

test('a runner that is cordoned counts by the labels that it has by configuration, in whatever case', async () => {
  const labels = labelSetOf(['self-hosted', 'linux', 'x64', 'bpf']);
  server.addRunner(SCOPE, { name: 'builder' });
  server.addRunner(SCOPE, { name: 'theirs' });
  const configured = [{ name: 'Builder', labels: labelSetOf([...labels, 'arm64']) }];
  const activities = create();
  expect(await run(() => activities.readQueueRunners({ scope: SCOPE, configured, organisation: null }))).toMatchObject({
    runners: [
      { name: 'builder', labels },
      { name: 'theirs', labels: labelSetOf(['self-hosted', 'linux', 'x64']) },
    ],
  });
  const surroundings = await run(() => readAround({ scope: SCOPE, configured, organisation: null }, activities));
  expect(surroundings).toMatchObject({ ours: [labels], offered: expect.arrayContaining([labels]) });
});

describe("runners of the repository's organisation", () => {
  const ours = (name: string, label: string, group: string | null = null) => ({
    name,
    labels: labelSetOf(['self-hosted', 'linux', 'x64', label]),
    group,
  });
  const organisation = { scope: ORGANISATION, configured: [ours('shared', 'bpf', 'builders'), ours('aside', 'gpu', 'secret')] };
  const asked = { scope: SCOPE, configured: [], organisation };
  const labels = (label: string) => labelSetOf(['self-hosted', 'linux', 'x64', label]);

  beforeEach(() => {
    server.addRunner(ORGANISATION, { name: 'shared', labels: ['bpf'], group: 'builders' });
    server.addRunner(ORGANISATION, { name: 'theirs', labels: ['kvm'], group: 'builders' });
    server.addRunner(ORGANISATION, { name: 'aside', labels: ['gpu'], group: 'secret' });
    server.setGroup(ORGANISATION, 'builders', { repositories: [SCOPE] });
    server.setGroup(ORGANISATION, 'secret', { repositories: [] });
  });

  test('count if the repository may use their group', async () => {
    const activities = create();
    const seen = await run(() => readAround(asked, activities));
    expect(seen).toMatchObject({ ours: [labels('bpf')], offered: [labels('bpf'), labels('kvm')], notes: [] });
    expect(await run(() => activities.readQueueRunners(asked))).toMatchObject({
      runners: [
        { name: 'shared', isOurs: true },
        { name: 'theirs', isOurs: false },
      ],
      areAll: true,
    });
  });

  test('do not count if the group is for some workflows alone', async () => {
    server.setGroup(ORGANISATION, 'builders', { isRestricted: true });
    expect(await run(() => readAround(asked))).toMatchObject({ ours: [], offered: [] });
  });

  test('count by configuration while they are not registered', async () => {
    const configured = [ours('gone', 'sgx', 'builders'), ours('gone too', 'tpm', 'secret'), ours('gone three', 'usb')];
    const seen = await run(() => readAround({ ...asked, organisation: { ...organisation, configured } }));
    expect(seen).toMatchObject({ ours: [labels('sgx'), labels('usb')] });
  });

  test('are not known to be ours if GitHub does not tell their groups, and that is told', async () => {
    server.misbehave({ match: { path: '/runner-groups' }, status: 403 });
    const activities = create();
    const notes = [
      expect.stringContaining('which runners of octo may work for octo/app is not known, so what waits for them is left alone'),
    ];
    expect(await run(() => readAround(asked, activities))).toMatchObject({ ours: [], offered: [], notes });
    expect(await run(() => activities.readQueueRunners(asked))).toMatchObject({ runners: [], areAll: false, notes });
  });

  test('are not asked for if Runward looks after none of them', async () => {
    await run(() => readAround({ ...asked, organisation: null }));
    expect(server.requests.filter(({ path }) => path.startsWith('/orgs'))).toEqual([]);
  });
});

describe('the runners of a repository', () => {
  const labels = labelSetOf(['self-hosted', 'linux', 'x64', 'bpf']);
  const configured = ['Builder', 'gone'].map((name) => ({ name, labels }));

  test('are those that are registered, with what each does, and those that are only configured', async () => {
    server.addRunner(SCOPE, { name: 'builder', labels: ['bpf'] });
    server.showRunner(SCOPE, 'builder', { status: 'online', busy: true });
    server.addRunner(SCOPE, { name: 'theirs', labels: ['bpf'] });
    const activities = create();
    expect(await run(() => activities.readQueueRunners({ scope: SCOPE, configured, organisation: null }))).toEqual({
      kind: 'read',
      at: expect.any(Number),
      areAll: true,
      defaultBranch: 'main',
      notes: [],
      runners: [
        { name: 'builder', labels, state: 'online', busy: true, isOurs: true },
        { name: 'theirs', labels, state: 'offline', busy: false, isOurs: false },
        { name: 'gone', labels, state: 'unregistered', busy: false, isOurs: true },
      ],
    });
    // The default branch is asked for once in four minutes.
    await run(() => activities.readQueueRunners({ scope: SCOPE, configured, organisation: null }));
    expect(server.requests.map(({ path }) => path)).toEqual([
      `/repos/${SCOPE}`,
      ...Array(2).fill(`/repos/${SCOPE}/actions/runners?per_page=100`),
    ]);
  });

  test('are only those that are configured where GitHub refuses to list them', async () => {
    server.misbehave({ match: { path: '/actions/runners' }, status: 403 });
    const activities = create();
    expect(await run(() => activities.readQueueRunners({ scope: SCOPE, configured, organisation: null }))).toMatchObject({
      areAll: false,
      runners: configured.map(({ name }) => ({ name, state: 'unknown', isOurs: true })),
      notes: [expect.stringContaining("the scope's runners are not known")],
    });
  });
});

test('the default branch is asked for once something is queued', async () => {
  const activities = create();
  const asked = { scope: SCOPE, configured: [], organisation: null };
  expect(await run(() => readAround(asked, activities))).toMatchObject({ defaultBranch: null, notes: [] });
  expect(server.requests.map(({ path }) => path)).not.toContain(`/repos/${SCOPE}`);
  stale();
  expect(await run(() => readAround(asked, activities))).toMatchObject({ defaultBranch: 'main', notes: [] });
});

test('a queue is read in parts, each from where the one before ended', async () => {
  const runs = Array.from({ length: 250 }, (_, index) => stale({ agoMs: (index + 1) * 1_000 }));
  const activities = create();
  const seen = new Set<number>();
  let from: number | null = null;
  let parts = 0;
  do {
    const part = await run<Awaited<ReturnType<typeof activities.readQueuePart>>>(() =>
      activities.readQueuePart({ scope: SCOPE, from, pages: 1 }),
    );
    if (part.kind !== 'read') {
      throw new Error(part.why);
    }
    for (const { id } of part.runs) {
      seen.add(id);
    }
    from = part.next;
    parts += 1;
  } while (from !== null);
  expect(seen).toEqual(new Set(runs));
  expect(parts).toBeLessThanOrEqual(4);
});

async function readPart(activities: ReturnType<typeof create>): Promise<QueuePart> {
  const part = await run(() => activities.readQueuePart({ scope: SCOPE, from: null, pages: 1 }));
  if (part.kind !== 'read') {
    throw new Error(part.why);
  }
  return part;
}

async function readAround(
  homes: QueueHomes,
  activities = create(),
  counted: readonly OtherStatus[] = ['in_progress', 'waiting', 'pending', 'requested'],
): Promise<QueueSurroundings> {
  const seen = await activities.readQueue({ ...homes, pages: 1, counted });
  if (seen.kind !== 'read') {
    throw new Error(seen.why);
  }
  return seen.surroundings;
}

type RunOptions = Partial<Parameters<SandboxGitHub['queueRun']>[1]>;

function stale(options: RunOptions = {}): number {
  return server.queueRun(SCOPE, { jobs: [{ labels: ['self-hosted', 'bpf'] }], agoMs: 5 * HOUR, ...options });
}

function anItem(id: number, replaced: Partial<WorkItem> = {}): WorkItem {
  return { run: id, attempt: 1, rule: 'stale', does: 'cancel', newer: null, tries: 0, ...replaced };
}

function cancel(runs: readonly number[], info: object = {}, token?: string): Promise<BatchCancelled> {
  return cancelItems(
    runs.map((id) => anItem(id)),
    info,
    token,
  );
}

function cancelItems(items: readonly WorkItem[], info: object = {}, token?: string, mayBeDone = false): Promise<BatchCancelled> {
  return run(() => create(token).cancelBatch({ scope: SCOPE, items, ...GROUND, mayBeDone }), info);
}

function follow(runs: readonly number[], followed: readonly FollowedRun[] = followedOf(runs)): Promise<FollowedBatch> {
  return run(() => create().followBatch({ scope: SCOPE, runs: followed, policy: POLICY }));
}

/** As they were accepted when the test began, by GitHub's clock. */
function followedOf(runs: readonly number[]): readonly FollowedRun[] {
  const listed = new Map(server.runs(SCOPE).map((each) => [each.id, each]));
  return runs.map((id) => ({
    run: id,
    attempt: 1,
    // As GitHub tells it.
    createdAt: Math.floor((listed.get(id)?.runStartedAt ?? 0) / 1_000) * 1_000,
    acceptedAt: Date.now(),
    isSure: true,
    forcedAt: null,
  }));
}

function create(token = server.token): ReturnType<typeof createQueueActivities> {
  return createQueueActivities(createGitHub({ baseUrl: server.url, token: () => new Secret(token) }));
}

function run<T>(work: () => Promise<T>, info: object = {}): Promise<T> {
  return new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') }).run(work);
}

/** Requests about runs, in their order, without the repository and the query. */
function sent(): readonly string[] {
  return server.requests
    .filter(({ path }) => path.includes('/actions/runs'))
    .map(({ method, path }) => `${method} ${path.replace(/^.*\/actions/, '').replace(/\?.*$/, '')}`);
}

describe('a run that was to be parked, and of which nobody could say whether it was cancelled', () => {
  const parkedOnly = async (jobs: Parameters<SandboxGitHub['queueRun']>[1]['jobs']): Promise<BatchRerun> => {
    const id = server.queueRun(SCOPE, { jobs, branch: 'topic' });
    const { value: seen } = await createGitHub({ baseUrl: server.url, token: () => new Secret(server.token) }).readRun(
      SCOPE,
      id,
      new AbortController().signal,
    );
    const parked = { ...parkedOf({ run: seen!, jobs: jobsOf({ run: id }), evidence: '' }, 0, Date.now()), by: 'pass' };
    const rules = { parking: POLICY.parking, superseded: POLICY.rules.superseded };
    return run(() => create().rerunBatch({ scope: SCOPE, runs: [parked], due: [], rules }));
  };

  test('is parked if a job that always runs has ended it as failed', async () => {
    const jobs = [
      { state: 'completed', conclusion: 'cancelled' },
      { state: 'completed', conclusion: 'failure' },
    ] as const;
    expect(await parkedOnly(jobs)).toMatchObject({ cancelled: [expect.any(Number)], settled: [] });
  });

  test('has ended by itself if no job of it was cancelled', async () => {
    const jobs = [{ state: 'completed', conclusion: 'failure' }] as const;
    expect(await parkedOnly(jobs)).toMatchObject({ cancelled: [], settled: [{ end: 'forgotten' }] });
  });
});

test('a run is not parked before one that is pending in its group, also by a worker that has not listed it', async () => {
  const options = { jobs: [{ labels: ['self-hosted', 'bpf'] }], concurrencyGroup: 'deploy' };
  const [id] = ['topic', 'next'].map((branch) => server.queueRun(SCOPE, { ...options, branch })) as [number, number];
  const { attempts } = await cancelItems([anItem(id, { rule: 'prioritizePullRequests', does: 'park' })]);
  expect(attempts[0]?.result).toEqual({ kind: 'spared', why: WOULD_PUSH_OUT });
  expect(server.run(id).accepted.cancel).toBe(0);
});
