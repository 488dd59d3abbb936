// The rules once more, straight from their text: every run is held against every other, and nothing of src is used but types.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planQueue } from '../../../src/domain/queue/plan.ts';
import type { EventFilter } from '../../../src/domain/queue/policy.ts';
import type { Run, RunJobs } from '../../../src/domain/queue/run.ts';
import { anyQueue, type AnyQueue } from '../../kit/queue.ts';

type Said = `${'cancel' | 'park'} ${number} ${string}`;

/** What a reference may leave out, to see whether it matters. */
type Feature = 'tags' | 'protected refs' | 'silence' | 'aging in silence' | 'same work' | 're-run' | 'newer attempt' | 'count';

interface Reference {
  readonly acts: readonly Said[];
  readonly wouldBe: readonly Said[];
}

/** What is done and what is only planned, of a queue of which everything is known. */
function referenceOf({ view, policy, modes }: AnyQueue, without: Feature | null = null): Reference {
  const { at, memory, offered, ours, silent } = view;
  const { rules, parking } = policy;

  const jobsOf = (run: Run): RunJobs | null => {
    const jobs = view.jobs.get(run.id) ?? null;
    return jobs !== null && jobs.attempt === run.attempt ? jobs : null;
  };
  const labelsOf = (run: Run) => (jobsOf(run)?.queued ?? []).map(({ labels }) => labels);
  const takersOf = (asked: readonly string[]) =>
    offered.filter((runner) => asked.length > 0 && asked.every((label) => runner.includes(label)));
  const isPullRequest = (run: Run) => run.event === 'pull_request' || run.event === 'pull_request_target';

  const isSetAside = (run: Run) =>
    memory.setAside.some((entry) => entry.run === run.id && entry.attempt === run.attempt && entry.retryAt > at);
  const queue = view.runs.filter((run) => run.status === 'queued' && !isSetAside(run));
  const rerunOf = (run: Run) => memory.reruns.find((rerun) => rerun.run === run.id);

  const isUntouched = (run: Run) => {
    const jobs = jobsOf(run);
    return jobs !== null && jobs.started === 0 && jobs.held === 0 && jobs.queued.length > 0;
  };
  const isInReach = (run: Run) => policy.reach === 'repository' || labelsOf(run).some((labels) => takersOf(labels).length > 0);
  const mayBeActedOn = (run: Run) => isUntouched(run) && isInReach(run);

  /** `null` if GitHub does not say. */
  const isTag = (run: Run): boolean | null => {
    if (run.event !== 'push' || without === 'tags') {
      return false;
    }
    return run.branch === null ? null : (view.tags.get(run.branch) ?? null);
  };
  const isOfEvents = (run: Run, events: EventFilter): boolean => {
    const holds = (event: string) => {
      if (events === 'all') {
        return true;
      }
      return 'only' in events ? events.only.includes(event) : !events.except.includes(event);
    };
    const tellsTags = holds('push') !== holds('push:tags');
    if (run.event !== 'push') {
      return holds(run.event);
    }
    return isTag(run) === null ? !tellsTags && holds('push') : holds(isTag(run) === true ? 'push:tags' : 'push');
  };

  /** Also if it may be, for all that is known. */
  const isProtected = ({ event, isFromFork, branch }: Run): boolean => {
    const { defaultBranch, patterns } = rules.superseded.protect;
    const isOfFork = isFromFork && event !== 'push';
    const isDefault = defaultBranch && !isOfFork && (view.defaultBranch === null || branch === null || branch === view.defaultBranch);
    // The only glob of these queues is `mai?`.
    const isOfGlob = patterns.length > 0 && (branch === null || (branch.length === 4 && branch.startsWith('mai')));
    return without !== 'protected refs' && (isDefault || isOfGlob);
  };
  const isProtectedPush = (run: Run) => run.event === 'push' && isProtected(run);

  const isQuietAt = (runner: readonly string[], moment: number) =>
    (memory.silences ?? []).some(
      ({ labels, from, until }) => labels.join() === runner.join() && from <= moment && moment < (until ?? Infinity),
    );
  /** How long no runner that could take such a job was online: moments at which anything changes are looked at one by one. */
  const quietMs = (asked: readonly string[], since: number) => {
    const changes = (memory.silences ?? [])
      .flatMap(({ from, until }) => [from, until ?? at])
      .filter((moment) => moment > since && moment < at);
    const moments = [since, ...changes.toSorted((one, other) => one - other), at];
    let sum = 0;
    for (const [index, moment] of moments.slice(0, -1).entries()) {
      sum += takersOf(asked).every((runner) => isQuietAt(runner, moment)) ? moments[index + 1]! - moment : 0;
    }
    return sum;
  };

  const isStale = (run: Run) => {
    const known = [run.startedAt, jobsOf(run)?.oldestQueuedAt ?? null].filter((moment) => moment !== null);
    if (known.length === 0 || !mayBeActedOn(run) || !isOfEvents(run, rules.stale.events) || isProtectedPush(run)) {
      return false;
    }
    const reRunAt = without === 're-run' ? 0 : (rerunOf(run)?.at ?? 0);
    const since = Math.max(...known, reRunAt);
    const seen = labelsOf(run).filter((labels) => takersOf(labels).length > 0);
    if (rules.stale.clock === 'wall' || without === 'silence' || seen.length === 0) {
      return at - since > rules.stale.afterMs;
    }
    if (seen.every((labels) => takersOf(labels).every((runner) => silent.includes(runner)))) {
      return false;
    }
    const quiet = Math.min(...seen.map((labels) => quietMs(labels, since)));
    return at - since - quiet > rules.stale.afterMs && (quiet === 0 || without !== 'aging in silence');
  };

  const isSuperseded = (run: Run, others: readonly Run[]) => {
    const { events, sameWork } = rules.superseded;
    if (!mayBeActedOn(run) || !isOfEvents(run, events) || isProtected(run) || run.headRepositoryId === null || run.branch === null) {
      return false;
    }
    return others.some((other) => {
      const isCreatedAfter = other.createdAt > run.createdAt || (other.createdAt === run.createdAt && other.id > run.id);
      const began = ({ startedAt, createdAt, attempt }: Run) => startedAt ?? (attempt > 1 ? NaN : createdAt);
      const isNewer = isCreatedAfter && (began(other) >= began(run) || without === 'newer attempt');
      const isLike = other.workflowId === run.workflowId && other.headRepositoryId === run.headRepositoryId && other.event === run.event;
      const isSureOfPullRequest = isPullRequest(run) && run.pullRequests.length === 1;
      const isOtherSureOfIt = isPullRequest(other) && other.pullRequests.length === 1;
      const isSamePullRequest = isSureOfPullRequest && isOtherSureOfIt && run.pullRequests[0] === other.pullRequests[0];
      const isSameRef = !isSureOfPullRequest && !isOtherSureOfIt && run.branch === other.branch;
      const isPerhapsOfAnother = isPullRequest(run) && !isSureOfPullRequest && run.sha === other.sha;
      const jobs = jobsOf(other);
      const isOtherUntouched = isUntouched(other);
      const doesTheSame =
        sameWork === 'off' || without === 'same work' || (jobsOf(run)?.work ?? []).every((job) => jobs?.work.includes(job) === true);
      return isNewer && isLike && (isSamePullRequest || (isSameRef && !isPerhapsOfAnother)) && isOtherUntouched && doesTheSame;
    });
  };

  const makesWay = (run: Run, others: readonly Run[]) => {
    const { threshold, then, count } = rules.prioritizePullRequests;
    if (run.event !== 'push' || !mayBeActedOn(run)) {
      return false;
    }
    const pullRequestOf = ({ id, isFromFork, actor, headRepositoryId, branch, pullRequests }: Run) => {
      if (count === 'runs' || without === 'count') {
        return `run ${id}`;
      }
      if (isFromFork) {
        return actor === null ? `from ${headRepositoryId ?? `somewhere, run ${id}`}` : `by ${actor}`;
      }
      return pullRequests.length === 1 ? `#${pullRequests[0]}` : `of ${branch}`;
    };
    const waitsFor = (each: Run, runner: readonly string[]) => labelsOf(each).some((labels) => takersOf(labels).includes(runner));
    const isPressed = ours.some((runner) => {
      const waiting = others.filter((other) => isPullRequest(other) && waitsFor(other, runner));
      return waitsFor(run, runner) && new Set(waiting.map(pullRequestOf)).size > threshold;
    });
    if (then === 'cancel') {
      return isPressed && isTag(run) === false && !isProtected(run);
    }
    const isTooOld = run.createdAt + parking.oldestMs <= at || run.attempt - 1 >= parking.mostReruns;
    return isPressed && !isTooOld && (rerunOf(run)?.parked ?? 0) < (isProtected(run) ? 1 : parking.times);
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
  const mattered: Record<Feature, number> = {
    tags: 0,
    'protected refs': 0,
    silence: 0,
    'aging in silence': 0,
    'same work': 0,
    're-run': 0,
    'newer attempt': 0,
    count: 0,
  };
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
      for (const feature of Object.keys(mattered) as Feature[]) {
        mattered[feature] += JSON.stringify(referenceOf(queue, feature)) === JSON.stringify(expected) ? 0 : 1;
      }
    }),
    { numRuns: 5_000 },
  );
  // Queues in which nothing happens prove nothing.
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(100);
  expect(Math.min(...Object.values(mattered)), JSON.stringify(mattered)).toBeGreaterThan(50);
});
