import { NO_VERDICT, type LeftRun, type PlannedAct, type RuleContext, type RuleVerdict } from './verdict.ts';
import type { ParkingPolicy } from './policy.ts';
import { protection, type Protection } from './refs.ts';
import { isServedBy, isUntouched, PULL_REQUEST_EVENTS, type LabelSet, type Run, type RunJobs } from './run.ts';
import { queuedText, whatIs } from './stale.ts';

/** The rule's verdict, and for which labels pull requests are pressed; `null` where that could not be known. */
export interface PullRequestsFirst extends RuleVerdict {
  readonly pressed: readonly LabelSet[] | null;
}

/** Push runs make way where more pull-request runs than the threshold wait for the same runners. */
export function pullRequestsFirst({ view, runs, policy, taken }: RuleContext): PullRequestsFirst {
  const { threshold, then, count } = policy.rules.prioritizePullRequests;
  const protectionOf = protection(policy.rules.superseded.protect, view.defaultBranch);
  const waiting = runs.filter(({ id }) => !taken.has(id)).toSorted((one, other) => one.createdAt - other.createdAt || one.id - other.id);
  const pullRequests = waiting.filter(({ event }) => PULL_REQUEST_EVENTS.includes(event));
  const pushes = waiting.filter(({ event }) => event === 'push');
  if (countOf(pullRequests, count) <= threshold) {
    return { ...NO_VERDICT, pressed: [] };
  }
  const asked = pullRequests.slice(0, policy.demandReads);
  const unread = asked.filter(({ id }) => !view.jobs.has(id)).map(({ id }) => id);
  const jobsOf = ({ id, attempt }: Run): RunJobs | null => {
    const jobs = view.jobs.get(id);
    return jobs?.attempt === attempt ? jobs : null;
  };
  const demand = new Map(
    view.ours.map((set) => [
      set,
      countOf(
        asked.filter((run) => asksFor(jobsOf(run), set)),
        count,
      ),
    ]),
  );
  const pressed = view.ours.filter((set) => (demand.get(set) ?? 0) > threshold);
  const isKnown = asked.length === pullRequests.length && asked.every((run) => jobsOf(run) !== null);
  if (pressed.length === 0) {
    // Those of which nothing is known may all press.
    const mayPress = (set: LabelSet): boolean => {
      const perhaps = pullRequests.filter((run, index) => index >= asked.length || jobsOf(run) === null || asksFor(jobsOf(run), set));
      return countOf(perhaps, count) > threshold;
    };
    return {
      ...NO_VERDICT,
      wantsJobs: unread,
      notes: isKnown ? notesOf([...demand.values()], pushes.length) : [],
      pressed: view.ours.some(mayPress) ? null : [],
    };
  }
  // A run that may be for a protected ref comes back to stay.
  const timesOf = (run: Run): number => (protectionOf(run) === 'free' ? policy.parking.times : 1);
  const acts: PlannedAct[] = [];
  const left: LeftRun[] = [];
  const wantsTags = new Set<string>();
  for (const run of pushes) {
    const jobs = jobsOf(run);
    const set = jobs === null || !isUntouched(jobs) ? undefined : pressed.find((each) => asksFor(jobs, each));
    if (jobs === null || set === undefined) {
      continue;
    }
    const obstacle =
      then === 'park'
        ? whyNotParked(run, view.memory.reruns, view.at, { ...policy.parking, times: timesOf(run) })
        : whyNotCancelled(run, protectionOf(run), view.tags, wantsTags);
    if (obstacle !== null) {
      left.push({ run: run.id, why: obstacle });
    } else {
      const evidence = `${demand.get(set)} ${COUNTED[count]} wait for [${set.join(', ')}], more than ${threshold}; ${queuedText(jobs)}`;
      acts.push({ ...whatIs(run), rule: 'prioritizePullRequests', does: then, evidence, newer: null });
    }
  }
  const wantsJobs = pushes.filter(({ id }) => !view.jobs.has(id)).map(({ id }) => id);
  return {
    acts,
    wantsJobs: [...(pressed.length < view.ours.length ? unread : []), ...wantsJobs],
    wantsTags: [...wantsTags],
    left,
    notes: [],
    pressed,
  };
}

const COUNTED = { pullRequests: 'pull requests', runs: 'pull-request runs' } as const;

/** How many press: a pull request with three workflows is one, and so are all pull requests of one author's forks. */
export function countOf(runs: readonly Run[], count: 'pullRequests' | 'runs'): number {
  return count === 'runs' ? runs.length : new Set(runs.map(whoPresses)).size;
}

/** GitHub does not tell pull requests of forks. */
function whoPresses({ id, isFromFork, actor, headRepositoryId, pullRequests, branch }: Run): string {
  if (isFromFork) {
    return actor === null && headRepositoryId === null ? `run ${id}` : `author ${actor ?? headRepositoryId}`;
  }
  return pullRequests.length === 1 ? `pull request ${pullRequests[0]}` : `branch ${branch}`;
}

/** Whether a queued job of it waits for a runner with these labels. */
export function asksFor(jobs: RunJobs | null | undefined, set: LabelSet): boolean {
  return jobs?.queued.some(({ labels }) => isServedBy(set, labels)) === true;
}

function notesOf(demand: readonly number[], pushes: number): readonly string[] {
  return pushes > 0 && demand.every((count) => count === 0)
    ? ['pull requests first: no waiting pull-request job can use the labels of our runners, so push runs stay where they are']
    : [];
}

/** Why it can't be parked, or `null`: what GitHub would not re-run is not taken away. */
export function whyNotParked(
  { id, createdAt, attempt }: Run,
  reruns: readonly { readonly run: number; readonly parked: number }[],
  at: number,
  { times, oldestMs, mostReruns }: ParkingPolicy,
): string | null {
  const parked = reruns.find(({ run }) => run === id)?.parked ?? 0;
  if (parked >= times) {
    return 'it has been parked as often as a run may be, and keeps its place';
  }
  if (at - createdAt >= oldestMs) {
    return 'GitHub would not re-run it: it is a month old';
  }
  return attempt > mostReruns ? `GitHub would not re-run it: it has been re-run ${attempt - 1} times` : null;
}

/** Why it can't be cancelled for good, or `null`: every commit of a protected ref is to get its verdict, and so is a release. */
function whyNotCancelled(
  { branch }: Run,
  protection: Protection,
  tags: ReadonlyMap<string, boolean | null>,
  wanted: Set<string>,
): string | null {
  if (branch === null) {
    return 'GitHub does not say for which ref it is';
  }
  switch (protection) {
    case 'protected':
      return `${branch} is protected`;
    case 'unknown':
      return 'GitHub does not say which is the default branch, which is protected';
    case 'free':
      return obstacleOfTag(branch, tags, wanted);
  }
}

function obstacleOfTag(branch: string, tags: ReadonlyMap<string, boolean | null>, wanted: Set<string>): string | null {
  const isTag = tags.get(branch);
  if (isTag === undefined) {
    wanted.add(branch);
  }
  if (isTag === false) {
    return null;
  }
  return isTag === true ? `${branch} is a tag` : `GitHub does not say whether ${branch} is a tag`;
}
