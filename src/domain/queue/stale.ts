import { spanOf } from '../situation.ts';
import type { QueuePolicy } from './policy.ts';
import { isNamed, protection, unknownDefaultNote, unknownTagNote, type Protection } from './refs.ts';
import { isInReach, isServedBy, isUntouched, type LabelSet, type Run, type RunJobs } from './run.ts';
import { isSilentNow, silentMs, type Runners, type Silence } from './silence.ts';
import type { AgingRun, LeftRun, PlannedAct, QueueView, RuleContext, RuleVerdict } from './verdict.ts';

/** Part of the time after which a run is stale: from then on people are told that it will be. */
const AGING_FROM = 0.75;

/** Runs of which no job has started, and whose current attempt has waited for too long for a runner in reach. */
export function stale(context: RuleContext): RuleVerdict {
  return new Stale(context).verdict();
}

class Stale {
  readonly #context: RuleContext;
  readonly #reruns: ReadonlyMap<number, number>;
  readonly #protection: (run: Run) => Protection;
  readonly #acts: PlannedAct[] = [];
  readonly #aging: AgingRun[] = [];
  readonly #wantsJobs: number[] = [];
  readonly #wantsTags = new Set<string>();
  readonly #left: LeftRun[] = [];
  readonly #notes = new Set<string>();

  constructor(context: RuleContext) {
    const { view, policy } = context;
    this.#context = context;
    this.#reruns = new Map(view.memory.reruns.map((rerun) => [rerun.run, rerun.at]));
    this.#protection = protection(policy.rules.superseded.protect, view.defaultBranch);
  }

  verdict(): RuleVerdict {
    const { runs, taken } = this.#context;
    for (const run of oldestFirst(runs)) {
      if (!taken.has(run.id)) {
        this.#judge(run);
      }
    }
    return {
      acts: this.#acts,
      aging: this.#aging,
      wantsJobs: this.#wantsJobs,
      wantsTags: [...this.#wantsTags],
      left: this.#left,
      notes: [...this.#notes],
    };
  }

  #judge(run: Run): void {
    const { view, policy } = this.#context;
    const rerunAt = this.#reruns.get(run.id) ?? null;
    const isOld = mayBeStale(run, rerunAt, view.at, policy);
    const isMeant = this.#isMeant(run);
    // One that is old may have no job at all, whatever else holds for it.
    if (!isOld && !(isMeant && hasWaited(run, rerunAt, view.at, AGING_FROM * policy.rules.stale.afterMs))) {
      return;
    }
    const jobs = view.jobs.get(run.id);
    if (jobs === undefined) {
      this.#wantsJobs.push(run.id);
    }
    if (jobs == null || !isMeant) {
      return;
    }
    const judged = judgeStale({ run, jobs, rerunAt }, { ...view, silences: view.memory.silences ?? [] }, policy);
    if (judged.isHalfStarted) {
      this.#left.push({ run: run.id, why: judged.evidence });
    } else if ((judged.isStale || judged.staleAt !== null) && this.#isNoTag(run)) {
      this.#say(run, jobs, judged);
    }
  }

  #say(run: Run, jobs: RunJobs, { isStale, staleAt, evidence }: StaleJudgement): void {
    const { view, policy } = this.#context;
    if (isStale) {
      this.#acts.push({ ...whatIs(run), rule: 'stale', does: 'cancel', evidence, newer: null });
    } else if (staleAt !== null && staleAt - view.at <= (1 - AGING_FROM) * policy.rules.stale.afterMs) {
      this.#aging.push({ run: run.id, staleAt, labels: jobs.queued.map(({ labels }) => labels) });
    }
  }

  /** Every commit of a protected ref is to get its verdict. */
  #isMeant(run: Run): boolean {
    const { view, policy } = this.#context;
    if (isNamed(policy.rules.stale.events, run, view.tags) === 'not-named') {
      return false;
    }
    const ref = run.event === 'push' ? this.#protection(run) : 'free';
    if (ref === 'unknown') {
      this.#notes.add(unknownDefaultNote('stale'));
    }
    return ref === 'free';
  }

  #isNoTag(run: Run): boolean {
    const { view, policy } = this.#context;
    const named = isNamed(policy.rules.stale.events, run, view.tags);
    if (named === 'unread') {
      this.#wantsTags.add(run.branch ?? '');
    } else if (named === 'unknown') {
      this.#notes.add(unknownTagNote('stale', run.branch ?? 'a push'));
    }
    return named === 'named';
  }
}

/** Why a run is never stale, however long it waits; `null` if it may become so. */
export function whyNeverStale(
  run: Run,
  { defaultBranch, tags }: Pick<QueueView, 'defaultBranch' | 'tags'>,
  { rules }: QueuePolicy,
): string | null {
  const ref = run.event === 'push' ? protection(rules.superseded.protect, defaultBranch)(run) : 'free';
  if (ref !== 'free') {
    return ref === 'protected' ? `${run.branch ?? 'its ref'} is protected` : 'the default branch, which is protected, is not known';
  }
  switch (isNamed(rules.stale.events, run, tags)) {
    case 'named':
    case 'unread':
      return null;
    case 'not-named':
      return run.event === 'push' ? `${run.branch} is a tag` : `it is a ${run.event}`;
    case 'unknown':
      return `GitHub does not say whether ${run.branch} is a tag`;
  }
}

/** When a run that waits is stale, if its clock does not stand still from now on; epoch milliseconds. */
export function staleAt(
  { run, jobs, rerunAt }: { readonly run: Run; readonly jobs: RunJobs; readonly rerunAt: number | null },
  ground: WaitingGround,
  policy: QueuePolicy,
): number {
  const since = waitsSince(run, jobs, rerunAt, ground.at);
  return since + policy.rules.stale.afterMs + stoodStillMs(jobs, ground, policy, since);
}

/** What a run's own words say. */
export interface StaleJudgement {
  readonly isStale: boolean;
  readonly isHalfStarted: boolean;
  /** When it will be stale if its clock does not stand still meanwhile, epoch milliseconds; `null` if it is, or never will be. */
  readonly staleAt: number | null;
  readonly evidence: string;
}

/** What waiting is judged by. */
export interface WaitingGround extends Runners {
  readonly at: number;
  readonly silences: readonly Silence[];
}

/** Whether a run is stale by what it says of itself. */
export function judgeStale(
  { run, jobs, rerunAt }: { readonly run: Run; readonly jobs: RunJobs; readonly rerunAt: number | null },
  ground: WaitingGround,
  policy: QueuePolicy,
): StaleJudgement {
  const { at, offered } = ground;
  const { afterMs } = policy.rules.stale;
  const since = waitsSince(run, jobs, rerunAt, at);
  const stillMs = stoodStillMs(jobs, ground, policy, since);
  const waitedMs = at - since - stillMs;
  const span = `${spanOf(at - since)}${stillMs < MINUTE ? '' : `, ${spanOf(stillMs)} of it while no runner for it was online`}`;
  const no = (evidence: string, more: Partial<StaleJudgement> = {}): StaleJudgement => ({
    isStale: false,
    isHalfStarted: false,
    staleAt: null,
    evidence,
    ...more,
  });
  if (run.status !== 'queued') {
    return no(`it is ${run.status}`);
  }
  if (jobs.attempt !== run.attempt) {
    return no('it was re-run meanwhile');
  }
  if (jobs.started > 0 && waitedMs > afterMs) {
    return no(
      `${jobs.started} of its ${jobs.total} jobs ${jobs.started === 1 ? 'has' : 'have'} started, the others have waited for ${span}`,
      { isHalfStarted: isInReach(jobs, offered, policy.reach) },
    );
  }
  const isWaiting = isUntouched(jobs) && isInReach(jobs, offered, policy.reach);
  if (waitedMs <= afterMs) {
    return no(`it has waited for ${span} only`, { staleAt: isWaiting && !isSilent(jobs, ground, policy) ? at + afterMs - waitedMs : null });
  }
  if (jobs.held > 0) {
    return no(`${jobs.held} of its jobs are held: by an approval, a wait timer or a concurrency group`);
  }
  if (!isWaiting) {
    return no('no runner of the scope serves its jobs');
  }
  if (isSilent(jobs, ground, policy)) {
    return no(`it has waited for ${span}, and no runner that could take it is online`);
  }
  return { isStale: true, isHalfStarted: false, staleAt: null, evidence: `queued for ${span}, ${queuedText(jobs)}, none started` };
}

const MINUTE = 60_000;

/** For how long nobody was online for any of its jobs that a runner in reach could take. */
function stoodStillMs(jobs: RunJobs, { offered, silences, at }: WaitingGround, { rules }: QueuePolicy, since: number): number {
  const served = servedGroups(jobs, offered);
  if (rules.stale.clock === 'wall' || served.length === 0) {
    return 0;
  }
  return Math.min(...served.map((labels) => silentMs(labels, { offered }, silences, since, at)));
}

/** Whether its clock stands still at this moment. */
export function isSilent(jobs: RunJobs, runners: Runners, { rules }: Pick<QueuePolicy, 'rules'>): boolean {
  const served = servedGroups(jobs, runners.offered);
  return rules.stale.clock === 'online' && served.length > 0 && served.every((labels) => isSilentNow(labels, runners));
}

/** Labels of its waiting jobs that a runner of the scope could take. */
function servedGroups({ queued }: RunJobs, offered: readonly LabelSet[]): readonly LabelSet[] {
  return queued.map(({ labels }) => labels).filter((labels) => offered.some((set) => isServedBy(set, labels)));
}

/**
 * Since when the attempt waits for runners. Jobs of a run that a concurrency group held, or that come after others, are younger than the attempt;
 * what Runward itself re-ran is spared from then on. Never since the run was created.
 */
export function waitsSince(run: Run, jobs: RunJobs, rerunAt: number | null, now: number): number {
  return Math.max(run.startedAt ?? jobs.oldestQueuedAt ?? now, jobs.oldestQueuedAt ?? 0, rerunAt ?? 0);
}

/** What the run itself tells rules most out: an attempt can't have begun before its run was created. */
export function mayBeStale(run: Run, rerunAt: number | null, at: number, { rules }: QueuePolicy): boolean {
  return hasWaited(run, rerunAt, at, rules.stale.afterMs);
}

function hasWaited({ startedAt, createdAt }: Run, rerunAt: number | null, at: number, ms: number): boolean {
  return at - Math.max(startedAt ?? createdAt, rerunAt ?? 0) > ms;
}

export function oldestFirst(runs: readonly Run[]): readonly Run[] {
  return runs.toSorted((one, other) => (one.startedAt ?? one.createdAt) - (other.startedAt ?? other.createdAt) || one.id - other.id);
}

/** Such as `3 jobs wait for [bpf, self-hosted]`. */
export function queuedText({ queued }: RunJobs): string {
  const [first] = queued;
  const count = queued.reduce((sum, group) => sum + group.count, 0);
  const more = queued.length > 1 ? ` and ${queued.length - 1} other set${queued.length === 2 ? '' : 's'} of labels` : '';
  return `${count} job${count === 1 ? ' waits' : 's wait'} for [${first?.labels.join(', ') ?? ''}]${more}`;
}

/** What is told of a run with each act. */
export function whatIs({
  id,
  attempt,
  workflow,
  event,
  branch,
}: Run): Pick<PlannedAct, 'run' | 'attempt' | 'workflow' | 'event' | 'branch'> {
  return { run: id, attempt, workflow, event, branch };
}
