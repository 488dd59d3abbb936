// A run's jobs, counted by what rules may do about them.

import { createHash } from 'node:crypto';
import type { JobGroup, RunJobs } from '../domain/queue/run.ts';
import { labelSetOf } from '../domain/queue/run.ts';
import type { Job } from './answers.ts';

type JobState = 'queued' | 'started' | 'skipped' | 'held';

/** @param total how many GitHub says that the current attempt has */
export function countJobs(run: number, listed: readonly Job[], total: number): RunJobs {
  const { attempt, jobs } = ofLatestAttempt(listed);
  const inState = (state: JobState): readonly Job[] => jobs.filter((job) => stateOf(job) === state);
  const queued = inState('queued');
  // A job that no page held may be in any state.
  const unseen = Math.max(0, total - jobs.length);
  return {
    run,
    attempt,
    total: jobs.length + unseen,
    started: inState('started').length,
    held: inState('held').length + unseen,
    queued: groupByLabels(queued),
    oldestQueuedAt: queued.length === 0 ? null : Math.min(...queued.map(({ createdAt }) => createdAt)),
    work: [...new Set(jobs.filter((job) => stateOf(job) !== 'skipped').map(({ name }) => codeOf(name)))].toSorted(),
  };
}

/** A matrix may have hundreds of long names. */
function codeOf(name: string): string {
  return createHash('sha256').update(name).digest('base64url').slice(0, 8);
}

/** Each once: a list that moves while its pages are read may hold one twice. */
export function ofLatestAttempt(listed: readonly Job[]): { readonly attempt: number; readonly jobs: readonly Job[] } {
  const attempt = listed.reduce((highest, job) => Math.max(highest, job.attempt), 1);
  const jobs = [...new Map(listed.map((job) => [job.id, job])).values()].filter((job) => job.attempt === attempt);
  return { attempt, jobs };
}

/** A status that is none of GitHub's counts as held, so that nothing is done about it. */
function stateOf({ status, conclusion }: Job): JobState {
  switch (status) {
    case 'queued':
      return 'queued';
    case 'in_progress':
      return 'started';
    case 'completed':
      return conclusion === 'skipped' ? 'skipped' : 'started';
    default:
      return 'held';
  }
}

/** Of a matrix whose every job asks for other labels these are enough to know whom it waits for, and Temporal's payloads stay small. */
const MOST_GROUPS = 20;

function groupByLabels(jobs: readonly Job[]): readonly JobGroup[] {
  const groups = new Map<string, JobGroup>();
  for (const job of jobs) {
    const labels = labelSetOf(job.labels);
    const key = JSON.stringify(labels);
    groups.set(key, { labels, count: (groups.get(key)?.count ?? 0) + 1 });
  }
  return [...groups.values()].slice(0, MOST_GROUPS);
}
