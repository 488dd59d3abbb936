// Builders of a queue: every field has a value with which no rule does anything, and a test replaces what matters to it.

import { NOTHING_REMEMBERED } from '../../src/domain/queue/memory.ts';
import { labelSetOf, type JobGroup, type Run, type RunJobs } from '../../src/domain/queue/run.ts';
import type { QueueView } from '../../src/domain/queue/verdict.ts';
import { NOW } from './observations.ts';

export { NOW };
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Labels of the only kind of runner that {@link aView} offers. */
export const OURS = labelSetOf(['self-hosted', 'Linux', 'X64', 'bpf-lsm']);

/** A push to `main` ten minutes ago. */
export function aRun(replaced: Partial<Run> = {}): Run {
  const createdAt = replaced.createdAt ?? NOW - 10 * MINUTE;
  return {
    id: 1,
    workflowId: 10,
    workflow: 'CI',
    event: 'push',
    status: 'queued',
    conclusion: null,
    headRepositoryId: 100,
    branch: 'main',
    pullRequests: [],
    sha: `sha-of-${replaced.id ?? 1}`,
    attempt: 1,
    createdAt,
    startedAt: createdAt,
    ...replaced,
  };
}

/** Queued jobs with these labels. */
export function asking(labels: readonly string[], count = 1): JobGroup {
  return { labels: labelSetOf(labels), count };
}

/** One queued job that {@link OURS} serve; the total is the sum of what is named. */
export function jobsOf(replaced: Partial<RunJobs> = {}): RunJobs {
  const { started = 0, held = 0, queued = [asking(['self-hosted', 'bpf-lsm'])] } = replaced;
  const waiting = queued.reduce((sum, { count }) => sum + count, 0);
  return {
    run: 1,
    attempt: 1,
    total: started + held + waiting,
    started,
    held,
    queued,
    oldestQueuedAt: waiting === 0 ? null : NOW - 10 * MINUTE,
    ...replaced,
  };
}

/** Jobs as they belong to the run: of its attempt, and queued since that began. */
export function jobsOfRun(run: Run, replaced: Partial<RunJobs> = {}): RunJobs {
  const { oldestQueuedAt } = jobsOf(replaced);
  return jobsOf({
    run: run.id,
    attempt: run.attempt,
    oldestQueuedAt: oldestQueuedAt === null ? null : (run.startedAt ?? run.createdAt),
    ...replaced,
  });
}

/** As {@link QueueView} has them. */
export function byRun(...jobs: readonly RunJobs[]): ReadonlyMap<number, RunJobs | null> {
  return new Map(jobs.map((each) => [each.run, each]));
}

/** A queue without runs, with one kind of runner; nothing is known, nor remembered. */
export function aView(replaced: Partial<QueueView> = {}): QueueView {
  return { at: NOW, runs: [], offered: [OURS], jobs: new Map(), tags: new Map(), memory: NOTHING_REMEMBERED, ...replaced };
}

/** A view of these runs in which all their jobs are as {@link jobsOfRun} has them, and no name is a tag's. */
export function knownView(runs: readonly Run[], replaced: Partial<QueueView> = {}): QueueView {
  return aView({
    runs,
    jobs: byRun(...runs.map((run) => jobsOfRun(run))),
    tags: new Map(runs.flatMap(({ branch }) => (branch === null ? [] : [[branch, false]]))),
    ...replaced,
  });
}
