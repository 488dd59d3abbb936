// The rules once more, straight from their text: every run is held against every other, and nothing of src is used but types.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planQueue } from '../../../src/domain/queue/plan.ts';
import type { Run, RunJobs } from '../../../src/domain/queue/run.ts';
import { anyQueue, type AnyQueue } from '../../kit/queue.ts';

type Said = `${'cancel' | 'park'} ${number} ${string}`;

/** What is done and what is only planned, of a queue of which everything is known. */
function referenceOf({ view, policy, modes }: AnyQueue): { readonly acts: readonly Said[]; readonly wouldBe: readonly Said[] } {
  const { at, memory, offered, tags } = view;
  const { rules, parking } = policy;

  const jobsOf = (run: Run): RunJobs | null => {
    const jobs = view.jobs.get(run.id) ?? null;
    return jobs !== null && jobs.attempt === run.attempt ? jobs : null;
  };
  const canTake = (runner: readonly string[], asked: readonly string[]) => {
    for (const label of asked) {
      if (!runner.includes(label)) {
        return false;
      }
    }
    return asked.length > 0;
  };
  const isPullRequest = (run: Run) => run.event === 'pull_request' || run.event === 'pull_request_target';

  const isSetAside = (run: Run) =>
    memory.setAside.some((entry) => entry.run === run.id && entry.attempt === run.attempt && entry.retryAt > at);
  const reRunByUs = (run: Run) => memory.reruns.find((rerun) => rerun.run === run.id);
  const isZombie = (run: Run) => {
    const began = run.startedAt ?? run.createdAt;
    const sparedUntil = (reRunByUs(run)?.at ?? -Infinity) + rules.stale.afterMs;
    return jobsOf(run)?.total === 0 && at > began + rules.stale.afterMs && at > sparedUntil;
  };
  const queue = view.runs.filter((run) => run.status === 'queued' && !isSetAside(run) && !isZombie(run));

  const isUnstarted = (run: Run) => {
    const jobs = jobsOf(run);
    return jobs !== null && jobs.started === 0 && jobs.held === 0 && jobs.queued.length > 0;
  };
  const isInReach = (run: Run) => {
    for (const { labels } of jobsOf(run)?.queued ?? []) {
      if (policy.reach === 'repository') {
        return true;
      }
      for (const runner of offered) {
        if (canTake(runner, labels)) {
          return true;
        }
      }
    }
    return false;
  };
  const mayBeTag = (run: Run) => run.event === 'push' && (run.branch === null || tags.get(run.branch) !== false);

  const isStale = (run: Run) => {
    const known = [run.startedAt, jobsOf(run)?.oldestQueuedAt ?? null].filter((moment) => moment !== null);
    const longEnough = (moment: number) => moment + rules.stale.afterMs < at;
    const isSpared = reRunByUs(run) !== undefined && !longEnough(reRunByUs(run)!.at);
    return isUnstarted(run) && isInReach(run) && known.length > 0 && known.every(longEnough) && !isSpared;
  };

  const isSuperseded = (run: Run, others: readonly Run[]) => {
    const { events, protect } = rules.superseded;
    // Protected in these queues is `mai?`, or nothing.
    const isProtected = ({ branch }: Run) => protect.length > 0 && branch?.length === 4 && branch.startsWith('mai');
    if (!events.includes(run.event) || isProtected(run) || mayBeTag(run) || !isUnstarted(run) || !isInReach(run)) {
      return false;
    }
    if (run.headRepositoryId === null || run.branch === null) {
      return false;
    }
    for (const other of others) {
      const isNewer = other.createdAt > run.createdAt || (other.createdAt === run.createdAt && other.id > run.id);
      const isLike = other.workflowId === run.workflowId && other.headRepositoryId === run.headRepositoryId && other.event === run.event;
      const isSureOfPullRequest = isPullRequest(run) && run.pullRequests.length === 1;
      const isOtherSureOfIt = isPullRequest(other) && other.pullRequests.length === 1;
      const isSamePullRequest = isSureOfPullRequest && isOtherSureOfIt && run.pullRequests[0] === other.pullRequests[0];
      const isSameRef = !isSureOfPullRequest && !isOtherSureOfIt && run.branch === other.branch;
      const isPerhapsOfAnother = isPullRequest(run) && !isSureOfPullRequest && run.sha === other.sha;
      const isInRule = isUnstarted(other) && other.branch !== null && !isProtected(other);
      if (isNewer && isLike && isInRule && (isSamePullRequest || (isSameRef && !isPerhapsOfAnother))) {
        return true;
      }
    }
    return false;
  };

  const makesWay = (run: Run, others: readonly Run[]) => {
    const { threshold, then } = rules.prioritizePullRequests;
    const waitsFor = (each: Run, runner: readonly string[]) => (jobsOf(each)?.queued ?? []).some(({ labels }) => canTake(runner, labels));
    const isPressed = offered.some(
      (runner) => waitsFor(run, runner) && others.filter((other) => isPullRequest(other) && waitsFor(other, runner)).length > threshold,
    );
    if (run.event !== 'push' || !isUnstarted(run) || !isPressed) {
      return false;
    }
    const isWithinLimits = run.createdAt + parking.oldestMs > at && run.attempt - 1 < parking.mostReruns;
    return then === 'cancel' ? !mayBeTag(run) : isWithinLimits && (reRunByUs(run)?.parked ?? 0) < parking.times;
  };

  const acts = new Map<number, Said>();
  const planned = new Map<number, Said>();
  const say = (rule: 'stale' | 'superseded' | 'prioritizePullRequests', does: 'cancel' | 'park', found: readonly Run[]) => {
    for (const { id } of found) {
      if (modes[rule] === 'on') {
        acts.set(id, `${does} ${id} ${rule}`);
      } else if (modes[rule] === 'plan' && !planned.has(id)) {
        planned.set(id, `${does} ${id} ${rule}`);
      }
    }
  };
  const left = () => queue.filter(({ id }) => !acts.has(id));
  say('stale', 'cancel', left().filter(isStale));
  say(
    'superseded',
    'cancel',
    left().filter((run, _, others) => isSuperseded(run, others)),
  );
  say(
    'prioritizePullRequests',
    rules.prioritizePullRequests.then,
    left().filter((run, _, others) => makesWay(run, others)),
  );
  return { acts: [...acts.values()], wouldBe: [...planned].filter(([id]) => !acts.has(id)).map(([, said]) => said) };
}

test('the plan of a queue that is known says what the text of the rules says', () => {
  const seen = { stale: 0, superseded: 0, park: 0, cancel: 0, planned: 0 };
  fc.assert(
    fc.property(anyQueue({ isAllKnown: true, most: 16 }), (queue) => {
      const { view, policy, modes } = queue;
      const plan = planQueue(view, policy, modes);
      const expected = referenceOf(queue);
      const said = (acts: typeof plan.acts) => acts.map(({ does, run, rule }) => `${does} ${run} ${rule}`).toSorted();
      expect(said(plan.acts)).toEqual(expected.acts.toSorted());
      expect(said(plan.wouldBe)).toEqual(expected.wouldBe.toSorted());
      expect(plan).toMatchObject({ wantsJobs: [], wantsTags: [] });
      for (const act of expected.acts) {
        seen.stale += act.endsWith(' stale') ? 1 : 0;
        seen.superseded += act.endsWith(' superseded') ? 1 : 0;
        seen.park += act.startsWith('park ') ? 1 : 0;
        seen.cancel += act.startsWith('cancel') && act.endsWith('Requests') ? 1 : 0;
      }
      seen.planned += expected.wouldBe.length;
    }),
    { numRuns: 4_000 },
  );
  // Queues in which nothing happens prove nothing.
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(100);
});
