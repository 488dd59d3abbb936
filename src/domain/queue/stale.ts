import { spanOf } from '../situation.ts';
import type { LeftRun, PlannedAct, RuleContext, RuleVerdict } from './verdict.ts';
import type { QueuePolicy } from './policy.ts';
import { isInReach, type LabelSet, type Run, type RunJobs } from './run.ts';

/** Runs of which no job has started, and whose current attempt has waited for too long for a runner in reach. */
export function stale({ view, runs, policy, taken }: RuleContext): RuleVerdict {
  const reruns = new Map(view.memory.reruns.map((rerun) => [rerun.run, rerun.at]));
  const acts: PlannedAct[] = [];
  const wantsJobs: number[] = [];
  const left: LeftRun[] = [];
  for (const run of oldestFirst(runs)) {
    if (taken.has(run.id) || !mayBeStale(run, reruns.get(run.id) ?? null, view.at, policy)) {
      continue;
    }
    const jobs = view.jobs.get(run.id);
    if (jobs === undefined) {
      wantsJobs.push(run.id);
    }
    const judged = jobs == null ? null : judgeStale({ run, jobs, rerunAt: reruns.get(run.id) ?? null }, view, policy);
    if (judged?.isStale === true) {
      acts.push({ ...whatIs(run), rule: 'stale', does: 'cancel', evidence: judged.evidence, newer: null });
    } else if (judged?.isHalfStarted === true) {
      left.push({ run: run.id, why: judged.evidence });
    }
  }
  return { acts, wantsJobs, wantsTags: [], left, notes: [] };
}

/** Whether a run is stale by what it says of itself. */
export function judgeStale(
  { run, jobs, rerunAt }: { readonly run: Run; readonly jobs: RunJobs; readonly rerunAt: number | null },
  { at, offered }: { readonly at: number; readonly offered: readonly LabelSet[] },
  policy: QueuePolicy,
): { readonly isStale: boolean; readonly isHalfStarted: boolean; readonly evidence: string } {
  const waitedMs = at - waitsSince(run, jobs, rerunAt, at);
  const span = spanOf(waitedMs);
  const no = (evidence: string, isHalfStarted = false) => ({ isStale: false, isHalfStarted, evidence });
  if (run.status !== 'queued') {
    return no(`it is ${run.status}`);
  }
  if (jobs.attempt !== run.attempt) {
    return no('it was re-run meanwhile');
  }
  if (waitedMs <= policy.rules.stale.afterMs) {
    return no(`it has waited for ${span} only`);
  }
  if (jobs.started > 0) {
    return no(
      `${jobs.started} of its ${jobs.total} jobs ${jobs.started === 1 ? 'has' : 'have'} started, the others have waited for ${span}`,
      isInReach(jobs, offered, policy.reach),
    );
  }
  if (jobs.held > 0) {
    return no(`${jobs.held} of its jobs are held: by an approval, a wait timer or a concurrency group`);
  }
  if (!isInReach(jobs, offered, policy.reach)) {
    return no('no runner of the scope serves its jobs');
  }
  return { isStale: true, isHalfStarted: false, evidence: `queued for ${span}, ${queuedText(jobs)}, none started` };
}

/**
 * Since when the attempt waits for runners. Jobs of a run that a concurrency group held, or that come after others, are younger than the attempt;
 * what Runward itself re-ran is spared from then on. Never since the run was created.
 */
export function waitsSince(run: Run, jobs: RunJobs, rerunAt: number | null, now: number): number {
  return Math.max(run.startedAt ?? jobs.oldestQueuedAt ?? now, jobs.oldestQueuedAt ?? 0, rerunAt ?? 0);
}

/** What the run itself tells rules most out: an attempt can't have begun before its run was created. */
export function mayBeStale({ startedAt, createdAt }: Run, rerunAt: number | null, at: number, { rules }: QueuePolicy): boolean {
  return at - Math.max(startedAt ?? createdAt, rerunAt ?? 0) > rules.stale.afterMs;
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
