// What becomes of runs that made way for pull requests, on a real Temporal server, against the make-believe GitHub.

import { expect, test } from 'vitest';
import type { FindingLife } from '../../src/domain/finding-life.ts';
import { findingId, PARKED_QUERY, parkedId } from '../../src/domain/names.ts';
import type { ParkedRun } from '../../src/domain/queue/parked.ts';
import type { QueuePolicy } from '../../src/domain/queue/policy.ts';
import type { QueueReport, ToldAct } from '../../src/domain/queue/report.ts';
import { QUICK_QUEUE, startQueueWorld, type World } from '../kit/recovery-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WOULD_PUSH_OUT = 'a run is pending in its concurrency group, which its re-run would push out';

type RunOptions = Parameters<World['github']['queueRun']>[1];

test.concurrent('a run is parked twice at most, and then keeps its place', async () => {
  await using world = await aWorld();
  const run = push(world);
  for (const attempt of [2, 3]) {
    const relieve = press(world);
    expect(actOn(await care(world), run)).toMatchObject({ end: 'parked' });
    relieve();
    expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
    expect(world.github.run(run)).toMatchObject({ status: 'queued', attempt });
  }
  press(world);
  const report = await care(world);
  expect(report).toMatchObject({
    outcome: 'nothing-to-do',
    left: [{ run, why: 'it has been parked as often as a run may be, and keeps its place' }],
  });
  expect(world.github.run(run)).toMatchObject({ status: 'queued', attempt: 3, accepted: { cancel: 2, rerun: 2 } });
});

test.concurrent('a run that something newer has replaced is not re-run', async () => {
  await using world = await aWorld();
  const [old, other] = [push(world, { branch: 'topic' }), push(world, { branch: 'next' })];
  const relieve = press(world);
  await care(world);
  const newer = push(world, { branch: 'topic', agoMs: 0 });
  relieve();
  const report = await care(world);
  expect(actOn(report, old)).toMatchObject({ end: 'replaced', detail: expect.stringContaining(`run ${newer} `) });
  expect(actOn(report, other)).toMatchObject({ end: 're-run' });
  expect(world.github.run(old)).toMatchObject({ conclusion: 'cancelled', attempt: 1, accepted: { rerun: 0 } });
  expect(report.queue).toMatchObject({ parked: 0 });
});

test.concurrent('a run that GitHub would soon not re-run is not parked, and one that is parked comes back in time', async () => {
  await using world = await aWorld();
  const lately = { attempt: 2, startedAgoMs: MINUTE };
  const [tooOld, nearly] = [30 * DAY - HOUR, 29 * DAY - 30 * MINUTE].map((agoMs) => push(world, { agoMs, ...lately }));
  press(world);
  const report = await care(world);
  expect(report.left).toEqual([{ run: tooOld, why: 'GitHub would not re-run it: it is a month old' }]);
  expect(actOn(report, nearly)).toMatchObject({ end: 'parked' });
  expect(world.github.run(tooOld!)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
  world.github.advance(HOUR);
  // The pull requests press as before.
  expect(actOn(await care(world), nearly)).toMatchObject({ end: 're-run' });
  expect(world.github.run(nearly!)).toMatchObject({ status: 'queued', attempt: 3, accepted: { cancel: 1, rerun: 1 } });
});

test.concurrent('a re-run whose answer is lost is done once', async () => {
  await using world = await aWorld();
  const run = push(world);
  const relieve = press(world);
  await care(world);
  relieve();
  world.github.misbehave({ match: { method: 'POST', path: '/rerun' }, fault: { kind: 'lost' }, times: 1 });
  expect(await care(world)).toMatchObject({ queue: { parked: 1 } });
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run', detail: 'attempt 2 is there already' });
  expect(world.github.run(run)).toMatchObject({ status: 'queued', attempt: 2, accepted: { rerun: 1 } });
});

test.concurrent('a run that somebody else has re-run is left to them', async () => {
  await using world = await aWorld();
  const run = push(world);
  const relieve = press(world);
  await care(world);
  await rerunByHand(world, run);
  relieve();
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run', detail: 'attempt 2 is there already' });
  expect(world.github.run(run)).toMatchObject({ attempt: 2, refused: 0, accepted: { rerun: 1 } });
});

test.concurrent('a run that somebody else re-runs in the same moment is re-run once', async () => {
  await using world = await aWorld();
  const run = push(world);
  const relieve = press(world);
  await care(world);
  relieve();
  // Runward's own is on its way for so long that somebody else's comes first.
  world.github.misbehave({ match: { path: `/runs/${run}/rerun`, userAgent: 'runward' }, delayMs: 2_000, times: 1 });
  const asked = requestsFor(world, `/runs/${run}`);
  const handle = await world.maintain({ scope: world.target.scope });
  await world.until(() => requestsFor(world, `/runs/${run}`) > asked, 'the pass has seen that it is cancelled');
  await rerunByHand(world, run);
  expect(await handle.result()).toMatchObject({ refusals: [], queue: { parked: 1 } });
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
  expect(world.github.run(run)).toMatchObject({ attempt: 2, refused: 1, accepted: { rerun: 1 } });
});

test.concurrent('no more runs are parked than there is room for', async () => {
  await using world = await aWorld({ parking: { ...QUICK_QUEUE.parking, most: 2 } });
  const runs = [3, 2, 1].map((minutes) => push(world, { agoMs: minutes * MINUTE }));
  const relieve = press(world);
  const report = await care(world);
  expect(report).toMatchObject({ counts: { parked: 2 }, queue: { parked: 2 }, notes: [expect.stringContaining('1 push runs stay')] });
  expect(runs.map((run) => world.github.run(run).status)).toEqual(['completed', 'completed', 'queued']);
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do', queue: { parked: 2 } });
  relieve();
  expect(await care(world)).toMatchObject({ counts: { 're-run': 2 }, queue: { parked: 0 } });
});

test.concurrent('where they are to be cancelled for good, nothing is parked, and a release is left alone', async () => {
  await using world = await aWorld({ rules: ruled({ then: 'cancel' }) });
  world.github.addTag(world.target.scope, 'v1');
  const [run, release] = [push(world), push(world, { branch: 'v1' })];
  press(world);
  const report = await care(world);
  expect(report).toMatchObject({ counts: { cancelled: 1 }, queue: { parked: 0 }, left: [{ run: release, why: 'v1 is a tag' }] });
  expect(world.github.run(run)).toMatchObject({ conclusion: 'cancelled', accepted: { cancel: 1 } });
  expect(world.github.run(release)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
});

test.concurrent('a push to the default branch comes back after an hour, whatever presses and whatever is newer, and stays', async () => {
  await using world = await aWorld();
  const [older, other] = [push(world, { branch: 'main' }), push(world)];
  press(world);
  await care(world);
  const newer = push(world, { branch: 'main', agoMs: 0 });
  world.github.advance(HOUR + MINUTE);
  const report = await care(world);
  // The other one has its turn in the next pass, after which one of them waits among the pull requests already.
  expect([older, other].map((run) => actOn(report, run)?.end)).toEqual(['re-run', 're-run']);
  expect(actOn(report, newer)).toMatchObject({ end: 'parked' });
  const next = await care(world);
  expect(next.acts).toEqual([]);
  expect(new Set(next.left.map(({ run }) => run))).toEqual(new Set([older, other]));
  world.github.advance(HOUR + MINUTE);
  expect(actOn(await care(world), newer)).toMatchObject({ end: 're-run' });
});

test.concurrent('while pull requests press on, what is parked has its turn, the oldest first', async () => {
  await using world = await aWorld();
  const parked = [1, 2, 3].map((age) => push(world, { agoMs: age * MINUTE }));
  press(world);
  await care(world);
  expect((await care(world)).acts).toEqual([]);
  world.github.advance(HOUR + MINUTE);
  for (const run of parked.toReversed()) {
    expect((await care(world)).acts).toMatchObject([{ run, end: 're-run' }]);
    // One waits among six pull requests.
    expect((await care(world)).acts).toEqual([]);
    world.github.completeRun(run, 'success');
  }
});

test.concurrent('people are told what is parked for an hour', async () => {
  await using world = await aWorld();
  push(world);
  push(world);
  press(world);
  await care(world);
  const finding = world.client.workflow.getHandle(findingId(world.target.scope, 'parked'));
  await expect(finding.query('state')).rejects.toThrow('not found');
  world.github.advance(HOUR + MINUTE);
  const report = await care(world);
  expect(report.queue).toMatchObject({ parked: 1 });
  expect(await finding.query<FindingLife>('state')).toMatchObject({
    finding: { severity: 'info', summary: expect.stringContaining('1 run of'), evidence: expect.stringContaining('6 pull requests wait') },
  });
});

test.concurrent('a run whose branch is deleted is not re-run', async () => {
  await using world = await aWorld();
  const run = push(world, { branch: 'gone' });
  const relieve = press(world);
  await care(world);
  world.github.deleteBranch(world.target.scope, 'gone');
  relieve();
  expect(actOn(await care(world), run)).toMatchObject({ end: 'branch-deleted', detail: 'gone is not there any more' });
  expect(world.github.run(run)).toMatchObject({ attempt: 1, accepted: { rerun: 0 } });
});

test.concurrent('a run waits while its re-run would push a pending run out of its concurrency group', async () => {
  await using world = await aWorld();
  const concurrencyGroup = 'deploy';
  const run = push(world, { concurrencyGroup });
  const relieve = press(world);
  await care(world);
  const [running, pending] = [1, 2].map(() =>
    queue(world, { event: 'workflow_dispatch', workflow: { id: 9, name: 'Deploy' }, agoMs: 0, concurrencyGroup }),
  ) as [number, number];
  expect(world.github.run(pending)).toMatchObject({ status: 'pending' });
  relieve();
  expect(await care(world)).toMatchObject({
    acts: [],
    queue: { parked: 1 },
    left: [{ run, why: 'another run is in its concurrency group, which its re-run might end' }],
  });
  expect(world.github.run(pending)).toMatchObject({ status: 'pending' });
  world.github.completeRun(running, 'success');
  expect(world.github.run(pending)).toMatchObject({ status: 'queued' });
  expect(await care(world)).toMatchObject({ acts: [], queue: { parked: 1 } });
  world.github.completeRun(pending, 'success');
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
});

test.concurrent('a run is not parked while another one is pending in its concurrency group', async () => {
  await using world = await aWorld();
  const concurrencyGroup = 'deploy';
  const run = push(world, { concurrencyGroup });
  const pending = queue(world, { event: 'workflow_dispatch', workflow: { id: 9, name: 'Deploy' }, agoMs: 0, concurrencyGroup });
  expect(world.github.run(pending)).toMatchObject({ status: 'pending' });
  press(world);
  expect(actOn(await care(world), run)).toMatchObject({ end: 'spared', detail: WOULD_PUSH_OUT });
  expect(world.github.run(run)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });
});

test.concurrent.each([
  { which: 'its concurrency group', concurrencyGroup: 'CI-refs/heads/main', isKnown: true },
  { which: 'groups that GitHub does not tell', isKnown: false },
])('a run waits while a newer one works in $which, which its re-run might end', async ({ concurrencyGroup, isKnown }) => {
  await using world = await aWorld();
  world.github.knowsConcurrencyGroups = isKnown;
  const options = { branch: 'main', ...(concurrencyGroup === undefined ? {} : { concurrencyGroup }) };
  const run = push(world, options);
  const relieve = press(world);
  await care(world);
  expect(world.github.run(run)).toMatchObject({ conclusion: 'cancelled' });
  const newer = push(world, { ...options, agoMs: 0, jobs: [{ state: 'in_progress' }] });
  relieve();
  expect(await care(world)).toMatchObject({ acts: [], queue: { parked: 1 } });
  expect(world.github.run(run)).toMatchObject({ attempt: 1, accepted: { rerun: 0 } });
  world.github.completeRun(newer, 'success');
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
});

test.concurrent('a run that is in no concurrency group waits for no other', async () => {
  await using world = await aWorld();
  const run = push(world, { branch: 'main' });
  const relieve = press(world);
  await care(world);
  push(world, { branch: 'main', agoMs: 0, jobs: [{ state: 'in_progress' }], concurrencyGroup: 'other' });
  relieve();
  const before = world.github.requests.length;
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
  expect(world.github.requests.slice(before).filter(({ path }) => path.includes('/actions/concurrency_groups'))).toEqual([]);
});

test.concurrent('a person who names other rules releases nothing', async () => {
  await using world = await aWorld();
  const run = push(world);
  const relieve = press(world);
  await care(world);
  relieve();
  expect(await care(world, { rules: ['stale'] })).toMatchObject({ outcome: 'nothing-to-do', queue: { parked: 1 } });
  expect(world.github.run(run)).toMatchObject({ status: 'completed', accepted: { rerun: 0 } });
  expect(actOn(await care(world, { rules: ['prioritizePullRequests'] }), run)).toMatchObject({ end: 're-run' });
});

test.concurrent('a person releases what is parked although pull requests wait, and it stays', async () => {
  await using world = await aWorld();
  const run = push(world);
  press(world);
  await care(world);
  expect(actOn(await care(world, { release: true }), run)).toMatchObject({ end: 're-run' });
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do', left: [{ run }], queue: { parked: 0 } });
  expect(world.github.run(run)).toMatchObject({ status: 'queued', attempt: 2, accepted: { cancel: 1, rerun: 1 } });
});

test.concurrent('what is parked is remembered from one history to the next', async () => {
  await using world = await aWorld({ parking: { ...QUICK_QUEUE.parking, continueAfterMs: 300 } });
  const run = push(world);
  const relieve = press(world);
  await care(world);
  const keeper = world.client.workflow.getHandle(parkedId(world.target.scope));
  const { runId } = await keeper.describe();
  await world.until(async () => (await keeper.describe()).runId !== runId, 'it goes on in another history');
  expect(await keeper.query<readonly ParkedRun[]>(PARKED_QUERY)).toMatchObject([{ run: { id: run }, times: 1, isCancelled: true }]);
  relieve();
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
  await world.until(async () => (await keeper.describe()).status.name === 'COMPLETED', 'nothing is parked any more');
});

test.concurrent('what is parked comes back although a person ends what remembers it', async () => {
  await using world = await aWorld();
  const run = push(world);
  const relieve = press(world);
  await care(world);
  const keeper = world.client.workflow.getHandle(parkedId(world.target.scope));
  await keeper.terminate('what is this?');
  expect(await care(world)).toMatchObject({ queue: { parked: 1 } });
  expect(await keeper.query<readonly ParkedRun[]>(PARKED_QUERY)).toMatchObject([{ run: { id: run }, isCancelled: true }]);
  await keeper.terminate('and this?');
  relieve();
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
  expect(world.github.run(run)).toMatchObject({ status: 'queued', attempt: 2, accepted: { cancel: 1, rerun: 1 } });
});

test.concurrent.each(['parks another', 'parks none'])(
  'what is parked comes back although a person ends what remembers it while a pass %s',
  async (does) => {
    await using world = await aWorld();
    const { client, target, github } = world;
    const [older, other] = [push(world, { agoMs: 2 * MINUTE }), push(world)];
    const relieve = press(world);
    await care(world);
    github.advance(HOUR + MINUTE);
    const next = does === 'parks another' ? push(world, { agoMs: 0 }) : null;
    github.misbehave({ match: { method: 'POST', path: `/runs/${older}/rerun` }, delayMs: 2_000, times: 1 });
    const asked = requestsFor(world, `/runs/${older}`);
    const pass = await world.maintain({ scope: target.scope });
    await world.until(() => requestsFor(world, `/runs/${older}`) > asked, 'the pass has recalled what is parked');
    const keeper = client.workflow.getHandle(parkedId(target.scope));
    await keeper.terminate('what is this?');
    expect(actOn(await pass.result(), older)).toMatchObject({ end: 're-run' });
    const held = await client.workflow.getHandle(parkedId(target.scope)).query<readonly ParkedRun[]>(PARKED_QUERY);
    expect(held.map(({ run }) => run.id)).toEqual(next === null ? [other] : [other, next]);
    relieve();
    expect(actOn(await care(world), other)).toMatchObject({ end: 're-run' });
  },
);

test.concurrent('what is parked is told as lost once Temporal has forgotten what remembered it', async () => {
  await using world = await aWorld();
  const run = push(world);
  press(world);
  await care(world);
  const { client, target } = world;
  const { namespace } = client.options;
  const keeper = client.workflow.getHandle(parkedId(target.scope));
  await client.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId: keeper.workflowId } });
  await world.until(
    () =>
      keeper.describe().then(
        () => false,
        () => true,
      ),
    'it is forgotten',
  );
  await care(world);
  const finding = client.workflow.getHandle(findingId(target.scope, 'parked-runs-lost'));
  await world.until(
    () =>
      finding.describe().then(
        () => true,
        () => false,
      ),
    'it is told',
  );
  expect(await finding.query<FindingLife>('state')).toMatchObject({
    finding: { evidence: expect.stringContaining(`run ${run}: parked/${target.scope} was ended, and Temporal has forgotten it`) },
  });
  expect(await care(world)).toMatchObject({ outcome: 'nothing-to-do' });
});

test.concurrent('what was parked comes back where the rule is turned off', async () => {
  const rule = { mode: 'on' as 'on' | 'off', threshold: 5, then: 'park' as const, count: 'pullRequests' as const };
  await using world = await aWorld({ rules: ruled(rule, rule) });
  const run = push(world);
  press(world);
  await care(world);
  rule.mode = 'off';
  expect(actOn(await care(world), run)).toMatchObject({ end: 're-run' });
});

test.concurrent('a run that Runward re-ran a moment ago is not stale, whatever GitHub says of its age', async () => {
  await using world = await aWorld();
  const run = push(world);
  const relieve = press(world);
  await care(world);
  relieve();
  await care(world);
  const other = push(world);
  const says = async (path: string): Promise<object> =>
    (await fetch(`${world.github.url}/repos/${world.target.scope}${path}`, { headers: headers(world) })).json() as Promise<object>;
  for (const path of ['/actions/runs', ...[run, other].flatMap((id) => [`/actions/runs/${id}`, `/actions/runs/${id}/jobs`])]) {
    const body: unknown = JSON.parse(JSON.stringify(await says(`${path}?status=queued`)), (key, value: unknown) =>
      ['created_at', 'run_started_at', 'started_at'].includes(key) ? new Date(Date.now() - 5 * HOUR).toISOString() : value,
    );
    world.github.misbehave({ match: { method: 'GET', path: new RegExp(`${path}$`) }, status: 200, body });
  }
  // The other one is as old, and nobody knows better.
  const plan = await care(world, { rules: ['stale'], dryRun: true });
  expect(plan.acts.map((act) => act.run)).toEqual([other]);
});

function aWorld(queue: Partial<QueuePolicy> = {}): Promise<World> {
  return startQueueWorld({ queue });
}

type Prioritizing = QueuePolicy['rules']['prioritizePullRequests'];

/** `rule` itself stands in the policy where it is given, so that it may change. */
function ruled(
  replaced: Partial<Prioritizing>,
  rule: Prioritizing = { ...QUICK_QUEUE.rules.prioritizePullRequests, ...replaced },
): QueuePolicy['rules'] {
  return { ...QUICK_QUEUE.rules, prioritizePullRequests: rule };
}

let branches = 0;

/** A run for the world's runner, which never comes to it; of a branch of its own unless one is named. */
function queue(world: World, options: Partial<RunOptions>): number {
  const jobs = [{ labels: ['self-hosted', ...world.target.labels] }];
  return world.github.queueRun(world.target.scope, { jobs, agoMs: MINUTE, branch: `b${(branches += 1)}`, ...options });
}

function push(world: World, options: Partial<RunOptions> = {}): number {
  return queue(world, { event: 'push', ...options });
}

/** More pull requests wait than the threshold; what is returned ends that. */
function press(world: World): () => void {
  const waiting = Array.from({ length: 6 }, (_, index) => queue(world, { event: 'pull_request', pullRequests: [index + 1] }));
  return () => {
    for (const run of waiting) {
      world.github.completeRun(run, 'success');
    }
  };
}

async function care(world: World, input: object = {}): Promise<QueueReport> {
  return (await world.maintain({ scope: world.target.scope, ...input })).result();
}

function actOn(report: QueueReport, run: number | undefined): ToldAct | undefined {
  return report.acts.find((act) => act.run === run);
}

function headers({ github }: World): Record<string, string> {
  return { authorization: `Bearer ${github.token}`, 'user-agent': 'somebody else' };
}

async function rerunByHand(world: World, run: number): Promise<void> {
  const address = `${world.github.url}/repos/${world.target.scope}/actions/runs/${run}/rerun`;
  expect((await fetch(address, { method: 'POST', headers: headers(world) })).status).toBe(201);
}

/** Reads of it so far. */
function requestsFor({ github }: World, path: string): number {
  return github.requests.filter((request) => request.method === 'GET' && request.path.endsWith(path)).length;
}
