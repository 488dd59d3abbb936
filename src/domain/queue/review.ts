import type { QueuePolicy } from './policy.ts';
import { asksFor } from './pull-requests-first.ts';
import { isInReach, isUntouched, type LabelSet, type Run, type RunJobs } from './run.ts';
import { judgeStale, queuedText } from './stale.ts';
import { protection } from './refs.ts';
import type { Silence } from './silence.ts';
import { isEnough, replaces, supersededText } from './superseded.ts';
import type { WorkItem } from './work.ts';

/** A run, and the one that replaces it, as they are right before the act. Times are epoch milliseconds by GitHub's clock. */
export interface FreshLook {
  readonly at: number;
  readonly run: Run | null;
  readonly jobs: RunJobs | null;
  /** `null` where the act names none, or it is gone. */
  readonly newer: { readonly run: Run; readonly jobs: RunJobs } | null;
}

/** What a run's act may rest on besides the run. */
export interface ReviewGround {
  readonly policy: QueuePolicy;
  readonly offered: readonly LabelSet[];
  readonly silent: readonly LabelSet[];
  /** `null` if GitHub does not say. */
  readonly defaultBranch: string | null;
  readonly silences: readonly Silence[];
  /** Labels of our runners for which more pull requests wait than the threshold, a moment ago; `null` if that could not be known. */
  readonly pressed: readonly LabelSet[] | null;
  /** When Runward re-ran it; `null` where it did not. */
  readonly rerunAt: number | null;
}

export type Review =
  | { readonly kind: 'go'; readonly evidence: string }
  | { readonly kind: 'over'; readonly conclusion: string }
  | { readonly kind: 'spare'; readonly why: string };

/** Decides once more, from the run itself: lists lag, and a plan is a moment old. */
export function review(item: WorkItem, look: FreshLook, ground: ReviewGround): Review {
  const { rule, attempt } = item;
  const { policy, offered, rerunAt } = ground;
  const { run, jobs } = look;
  if (run === null || jobs === null) {
    return { kind: 'spare', why: 'it is gone' };
  }
  if (run.attempt !== attempt || jobs.attempt !== attempt) {
    return { kind: 'spare', why: 'it was re-run meanwhile' };
  }
  if (run.status === 'completed') {
    return { kind: 'over', conclusion: run.conclusion ?? 'completed' };
  }
  if (run.status !== 'queued') {
    return { kind: 'spare', why: `it is ${run.status} meanwhile` };
  }
  if (!isUntouched(jobs) || jobs.queued.length === 0) {
    return {
      kind: 'spare',
      why:
        jobs.started > 0
          ? `${jobs.started} of its jobs ${jobs.started === 1 ? 'has' : 'have'} started meanwhile`
          : 'its jobs do not wait for a runner',
    };
  }
  if (!isInReach(jobs, offered, policy.reach)) {
    return { kind: 'spare', why: 'no runner of the scope serves its jobs' };
  }
  const protectedBy = whyProtected(item, run, ground);
  if (protectedBy !== null) {
    return { kind: 'spare', why: protectedBy };
  }
  switch (rule) {
    case 'stale': {
      const { isStale, evidence } = judgeStale({ run, jobs, rerunAt }, { ...ground, at: look.at }, policy);
      return isStale ? { kind: 'go', evidence } : { kind: 'spare', why: evidence };
    }
    case 'superseded':
      return reviewSuperseded({ run, jobs }, look.newer, policy);
    case 'prioritizePullRequests':
      return reviewPush(jobs, ground);
    case 'paths':
      return { kind: 'spare', why: 'the rule is off' };
  }
}

/** The default branch may be another one by now. What is parked comes back. */
function whyProtected({ rule, does }: WorkItem, run: Run, { policy, defaultBranch }: ReviewGround): string | null {
  if (does === 'park' || (rule === 'stale' && run.event !== 'push')) {
    return null;
  }
  switch (protection(policy.rules.superseded.protect, defaultBranch)(run)) {
    case 'free':
      return null;
    case 'protected':
      return `${run.branch ?? 'its ref'} is protected`;
    case 'unknown':
      return 'it is not known which is the default branch, whose runs are protected';
  }
}

function reviewPush(jobs: RunJobs, { pressed }: ReviewGround): Review {
  if (pressed === null) {
    return { kind: 'spare', why: 'it is not known whether pull requests still wait for its runners' };
  }
  return pressed.some((set) => asksFor(jobs, set))
    ? { kind: 'go', evidence: `pull requests go first; ${queuedText(jobs)}` }
    : { kind: 'spare', why: 'pull requests do not wait for its runners any more' };
}

/** If the newer one is gone, has started or does less by now, this one is the last that waits. */
function reviewSuperseded({ run, jobs }: NonNullable<FreshLook['newer']>, newer: FreshLook['newer'], policy: QueuePolicy): Review {
  return newer !== null &&
    newer.run.status === 'queued' &&
    isUntouched(newer.jobs) &&
    replaces(newer.run, run) &&
    isEnough(newer.jobs, jobs, policy)
    ? { kind: 'go', evidence: supersededText(run, newer.run) }
    : { kind: 'spare', why: 'the run that was to replace it does not wait any more' };
}
