import type { QueueMemory } from './memory.ts';
import { asksFor } from './pull-requests-first.ts';
import type { ParkingPolicy, RulePolicies } from './policy.ts';
import { isNamed, protection } from './refs.ts';
import { PULL_REQUEST_EVENTS, queuedOf, type LabelSet, type Run, type RunJobs } from './run.ts';
import { isEnough, replaces } from './superseded.ts';
import type { Tally } from './tally.ts';
import type { QueueView } from './verdict.ts';

// Runs that made way for pull requests, and are re-run when the pressure is gone. Times are epoch milliseconds by GitHub's clock.

export interface ParkedRun {
  /** As it was right before it was cancelled. */
  readonly run: Run;
  readonly jobs: RunJobs;
  readonly parkedAt: number;
  /** Times that it has been parked, this one counted. */
  readonly times: number;
  /** Whether GitHub has accepted its cancellation. */
  readonly isCancelled: boolean;
  readonly evidence: string;
  /** The operation that parked it. */
  readonly by: string;
}

/**
 * What became of a parked run. `expired`: GitHub would not re-run it any more. `branch-deleted`: nobody needs its verdict. `forgotten`: it was never
 * cancelled, or somebody saw to it.
 */
export type ParkedEnd = 're-run' | 'replaced' | 'branch-deleted' | 'expired' | 'refused' | 'forgotten';

export interface SettledRun {
  readonly run: number;
  readonly end: ParkedEnd;
  readonly detail: string;
  readonly at: number;
}

/** What says whose time has come. */
export interface Pressure {
  readonly at: number;
  /** Labels for which pull requests press; `null` if it is not known, which keeps all but those whose time is up. */
  readonly pressed: readonly LabelSet[] | null;
  /** Pull-request runs that wait for runners with these labels. */
  readonly waiting: (set: LabelSet) => number;
  /** Runs that were parked and wait again for such runners, or for any. */
  readonly inTurn: (set: LabelSet | null) => number;
  /** Also if it is not known. */
  readonly isProtected: (run: Run) => boolean;
}

/** By what is known of the queue. */
export function pressureIn(
  { at, runs, jobs, memory, defaultBranch }: Pick<QueueView, 'at' | 'runs' | 'jobs' | 'memory' | 'defaultBranch'>,
  pressed: readonly LabelSet[] | null,
  { protect }: RulePolicies['superseded'],
): Pressure {
  const reruns = new Set(memory.reruns.map(({ run }) => run));
  const protectionOf = protection(protect, defaultBranch);
  const asking = (set: LabelSet | null, isMeant: (run: Run) => boolean): number =>
    queuedOf(runs).filter((run) => isMeant(run) && (set === null || asksFor(jobs.get(run.id), set))).length;
  return {
    at,
    pressed,
    waiting: (set) => asking(set, ({ event }) => PULL_REQUEST_EVENTS.includes(event)),
    inTurn: (set) => asking(set, ({ id }) => reruns.has(id)),
    isProtected: (run) => protectionOf(run) !== 'free',
  };
}

/**
 * Those that are due: nothing presses on their runners, or their time is up. While pull requests press on, the oldest have their turn: one of
 * them waits among so many pull-request runs.
 */
export function dueRuns(
  parked: readonly ParkedRun[],
  { at, pressed, waiting, inTurn, isProtected }: Pressure,
  { oldestMs, protectedMs, turnAfterMs, pullRequestsPerTurn }: ParkingPolicy,
): readonly ParkedRun[] {
  const pressOn = ({ jobs }: ParkedRun): LabelSet | undefined => pressed?.find((set) => asksFor(jobs, set));
  const isUp = ({ run, parkedAt }: ParkedRun): boolean =>
    at - run.createdAt >= oldestMs || (isProtected(run) && at - parkedAt >= protectedMs);
  const due = new Set(parked.filter((each) => isUp(each) || (pressed !== null && pressOn(each) === undefined)));
  const given = new Map<LabelSet | null, number>();
  for (const each of parked.toSorted((one, other) => one.run.createdAt - other.run.createdAt || one.run.id - other.run.id)) {
    if (due.has(each) || at - each.parkedAt < turnAfterMs) {
      continue;
    }
    // While nobody knows who presses, one has its turn after the other.
    const set = pressed === null ? null : (pressOn(each) ?? null);
    const turns = set === null ? 1 : Math.max(1, Math.floor(waiting(set) / pullRequestsPerTurn));
    const taken = inTurn(set) + (given.get(set) ?? 0);
    if (taken < turns) {
      due.add(each);
      given.set(set, (given.get(set) ?? 0) + 1);
    }
  }
  return parked.filter((each) => due.has(each));
}

/** Whether pull requests still press on its runners, so that it keeps its place once it is re-run. */
export function isPressedOn({ jobs }: ParkedRun, pressed: readonly LabelSet[] | null): boolean {
  return pressed === null || pressed.some((set) => asksFor(jobs, set));
}

/**
 * Parked runs of which nobody knows whether their cancellation comes to pass: each pass looks at them. Those that are followed are left to whoever
 * follows them.
 */
export function unsureRuns(parked: readonly ParkedRun[], ending: QueueMemory['ending'] = []): readonly ParkedRun[] {
  const followed = new Set(ending.map(({ run }) => run));
  return parked.filter(({ run, isCancelled }) => !isCancelled && !followed.has(run.id));
}

/** Why a run is not parked. */
export const WOULD_PUSH_OUT = 'a run is pending in its concurrency group, which its re-run would push out';

/** What is to be done about a parked run. `cancelled`: it waits until it is due. `wait`: nobody knows yet. */
export type ParkedVerdict =
  | { readonly kind: 're-run' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'settled'; readonly end: ParkedEnd; readonly why: string };

/** What GitHub says of a parked run, and around it. */
export interface ParkedFound {
  /** `null` if GitHub does not know it any more. */
  readonly run: Run | null;
  /** The newest run of its workflow, event and branch, and its jobs; `null` if there is none, or it was not asked for. */
  readonly newest: { readonly run: Run; readonly jobs: RunJobs | null } | null;
  /** Whether a branch or tag of its name is there; `null` if GitHub does not say. */
  readonly hasRef: boolean | null;
  /** Whether its ref is a tag, if that matters; `null` if GitHub does not say. */
  readonly isTag: boolean | null;
  /** Whether a concurrency group that it would enter has another run, which its re-run might end; `null` if that was not asked for. */
  readonly isGroupTaken: boolean | null;
  /** Whether a job of it was cancelled, if that matters: one that always runs may end the run otherwise. */
  readonly isOneJobCancelled: boolean;
  readonly at: number;
  readonly isDue: boolean;
}

/** What a parked run is judged by. */
export interface ParkedRules {
  readonly parking: ParkingPolicy;
  readonly superseded: RulePolicies['superseded'];
  /** `null` if GitHub does not say. */
  readonly defaultBranch: string | null;
}

/** By what GitHub says of it, and by the same rules as any other run. */
export function judgeParked(parked: ParkedRun, found: ParkedFound, rules: ParkedRules): ParkedVerdict {
  const { run, newest, at, isDue, hasRef, isGroupTaken } = found;
  const { mostReruns, doubtMs, oldestMs } = rules.parking;
  if (run === null) {
    return { kind: 'settled', end: 'forgotten', why: 'GitHub does not know it any more' };
  }
  if (run.attempt > parked.run.attempt) {
    return { kind: 'settled', end: 're-run', why: `attempt ${run.attempt} is there already` };
  }
  if (run.status !== 'completed') {
    // A cancellation may take its time, and one that nobody heard of never comes.
    return at - parked.parkedAt < doubtMs || (parked.isCancelled && at - run.createdAt < oldestMs)
      ? { kind: 'wait', why: `its cancellation is on its way, and it is ${run.status}` }
      : { kind: 'settled', end: 'forgotten', why: `it ${parked.isCancelled ? 'does not end' : 'was not cancelled'}, and is ${run.status}` };
  }
  if (run.conclusion === 'success' || (!parked.isCancelled && run.conclusion !== 'cancelled' && !found.isOneJobCancelled)) {
    return { kind: 'settled', end: 'forgotten', why: `it ended by itself: ${run.conclusion ?? 'completed'}` };
  }
  if (!isDue) {
    return { kind: 'cancelled' };
  }
  if (hasRef === false) {
    return { kind: 'settled', end: 'branch-deleted', why: `${run.branch} is not there any more` };
  }
  if (newest !== null && isReplacedBy(newest, parked, found, rules)) {
    return { kind: 'settled', end: 'replaced', why: `run ${newest.run.id} of the same workflow for ${run.branch} is newer` };
  }
  if (run.attempt > mostReruns) {
    return { kind: 'settled', end: 'expired', why: `it has been re-run ${run.attempt - 1} times, and GitHub allows no more` };
  }
  return isGroupTaken === true && at - run.createdAt < oldestMs
    ? { kind: 'wait', why: 'another run is in its concurrency group, which its re-run might end' }
    : { kind: 're-run' };
}

/** By the rule for superseded runs, so that nothing is lost that the rule does not name, or that the newer run did not do. */
function isReplacedBy(
  newest: NonNullable<ParkedFound['newest']>,
  parked: ParkedRun,
  { isTag }: ParkedFound,
  { superseded, defaultBranch }: ParkedRules,
): boolean {
  const { run } = parked;
  const named = isNamed(superseded.events, run, new Map(run.branch === null ? [] : [[run.branch, isTag]]));
  return (
    superseded.mode === 'on' &&
    named === 'named' &&
    protection(superseded.protect, defaultBranch)(run) === 'free' &&
    replaces(newest.run, run) &&
    isWanted(newest.run) &&
    newest.jobs !== null &&
    isEnough(newest.jobs, parked.jobs, { rules: { superseded } })
  );
}

/** Whether it has given a verdict, or is about to: what was skipped, held back or ended by somebody has tested nothing, and may never. */
function isWanted({ status, conclusion }: Run): boolean {
  return status === 'completed' ? VERDICTS.includes(conclusion ?? '') : ['queued', 'in_progress'].includes(status);
}

const VERDICTS: readonly string[] = ['success', 'failure', 'neutral', 'timed_out'];

/** What became of others is remembered so long. */
const SETTLED_KEPT = 500;

/** Remembers more of them; one that is remembered already stays as it was, and so does who parked one that is parked anew. */
export function park(parked: readonly ParkedRun[], runs: readonly ParkedRun[], by: string): readonly ParkedRun[] {
  const known = new Set(parked.map(({ run }) => run.id));
  return [...parked, ...runs.filter(({ run }) => !known.has(run.id)).map((run) => ({ ...run, by: run.by || by }))];
}

/** Notes that runs are cancelled, and forgets those of which something has become. */
export function settle(
  { parked, settled }: { readonly parked: readonly ParkedRun[]; readonly settled: readonly SettledRun[] },
  told: { readonly cancelled: readonly number[]; readonly settled: readonly SettledRun[] },
): { readonly parked: readonly ParkedRun[]; readonly settled: readonly SettledRun[] } {
  const cancelled = new Set(told.cancelled);
  const over = new Set(told.settled.map(({ run }) => run));
  return {
    parked: parked
      .filter(({ run }) => !over.has(run.id))
      .map((each) => (cancelled.has(each.run.id) ? { ...each, isCancelled: true } : each)),
    settled: [...settled, ...told.settled].slice(-SETTLED_KEPT),
  };
}

/** What became of runs that were to be parked and are not. */
export function forgottenAt(unparked: Tally['unparked'], at: number): readonly SettledRun[] {
  return unparked.map(({ run, why }) => ({ run, end: 'forgotten', detail: why, at }));
}

/** A run that is to be parked, as it is remembered. */
export function parkedOf(
  { run, jobs, evidence }: Pick<ParkedRun, 'run' | 'jobs' | 'evidence'>,
  parkedBefore: number,
  at: number,
): ParkedRun {
  return { run, jobs, evidence, parkedAt: at, times: parkedBefore + 1, isCancelled: false, by: '' };
}
