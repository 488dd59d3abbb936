import { readFields } from '../request-fields.ts';
import { jobsOf, rerunAt, type Forecast, type Outlook } from './outlook.ts';
import type { ParkedRun } from './parked.ts';
import type { RuleModes } from './plan.ts';
import { queuedOf, type JobGroup, type Run } from './run.ts';
import { oldestFirst, waitsSince } from './stale.ts';
import type { QueueRunners } from './takers.ts';
import type { QueueView } from './verdict.ts';

// The queue run by run, for people.

/** Input of `listQueue`, as a person types it: everything may be left out. */
export interface QueueListRequest {
  /** Looked up in configuration by an activity, so it may still be anything. */
  readonly scope: unknown;
  /** Runs that are listed, at most. */
  readonly max: number;
}

/** Runs that are listed unless more are asked for: the jobs of each are read. */
export const LISTED = 100;
/** Runs that are listed at most, so that the result stays far below Temporal's limits. */
export const LISTED_AT_MOST = 1_000;

/** Sets of labels that are listed of each run; few runs have more than two. */
export const LABEL_SETS_LISTED = 10;

/** The request, or what is wrong with it and how it should look. */
export function readQueueListRequest(given: readonly unknown[]): QueueListRequest | { readonly problem: string } {
  const read = readFields('listQueue', given, { keys: ['scope', 'max'], example: '{"scope":"owner/name"}' });
  if ('problem' in read) {
    return read;
  }
  const { scope, max = null } = read.fields;
  if (max !== null && !(Number.isInteger(max) && Number(max) >= 1)) {
    return { problem: `max must be a whole number from 1, but is ${JSON.stringify(max)}` };
  }
  return { scope, max: Math.min(max === null ? LISTED : Number(max), LISTED_AT_MOST) };
}

/** A queued run, and what would become of it. */
export interface ListedRun {
  readonly run: number;
  readonly attempt: number;
  readonly workflow: string;
  readonly event: string;
  readonly branch: string | null;
  readonly pullRequests: readonly number[];
  /** Since when its attempt waits, ISO 8601. */
  readonly queuedSince: string;
  /** Queued jobs by their labels, the first {@link LABEL_SETS_LISTED} sets; `null` if they could not be read. */
  readonly jobs: readonly JobGroup[] | null;
  /** Sets of labels that are not listed. */
  readonly moreLabelSets: number;
  readonly outlook: Outlook;
}

/** Result of `listQueue`. */
export interface QueueList extends QueueRunners {
  readonly outcome: 'listed';
  readonly scope: string;
  /** ISO 8601, by GitHub's clock. */
  readonly observedAt: string;
  readonly mode: 'act' | 'watch';
  readonly rules: RuleModes;
  /** GitHub's web address. */
  readonly serverUrl: string;
  /** All queued runs, also those that are not listed. */
  readonly queued: number;
  /** Those that have waited longest, the oldest first. */
  readonly runs: readonly ListedRun[];
  /** Runs that wait to be re-run. */
  readonly parked: readonly ParkedRun[];
  /** Why something is not known, in a sentence each. */
  readonly notes: readonly string[];
}

/** Queued runs in the order in which they are listed. */
export function inListOrder(runs: readonly Run[]): readonly Run[] {
  return oldestFirst(queuedOf(runs));
}

export function listedRun(run: Run, view: Pick<QueueView, 'at' | 'jobs' | 'memory'>, forecast: Forecast): ListedRun {
  const { id, attempt, workflow, event, branch, pullRequests, startedAt, createdAt } = run;
  const jobs = jobsOf(view, run);
  const since = jobs === null ? (startedAt ?? createdAt) : waitsSince(run, jobs, rerunAt(view.memory, run), view.at);
  return {
    run: id,
    attempt,
    workflow,
    event,
    branch,
    pullRequests,
    queuedSince: new Date(since).toISOString(),
    jobs: jobs?.queued.slice(0, LABEL_SETS_LISTED) ?? null,
    moreLabelSets: Math.max(0, (jobs?.queued.length ?? 0) - LABEL_SETS_LISTED),
    outlook: forecast.of(run),
  };
}
