import type { QueueList, ListedRun } from '../domain/queue/list.ts';
import { takersOf, type QueueRunner } from '../domain/queue/takers.ts';
import { parkedSummary, type ParkedSummary } from './queue-text.ts';
import type { ScheduleStatus } from './schedule-text.ts';

// `queue list --json`. Times are ISO 8601.

/** Queued jobs that ask for the same labels, and who could take them. */
export interface WaitingJobs {
  readonly labels: readonly string[];
  readonly count: number;
  readonly takers: ReturnType<typeof takersOf>['kind'];
  /** Those that could begin first come first. */
  readonly runners: readonly Pick<QueueRunner, 'name' | 'state' | 'busy'>[];
  /** Labels that no runner of the repository has; only if nobody could take the jobs. */
  readonly missingLabels: readonly string[];
}

export interface QueuedRun extends Omit<ListedRun, 'jobs' | 'outlook'> {
  readonly url: string;
  readonly queuedSeconds: number;
  /** `null` if they could not be read. */
  readonly jobs: readonly WaitingJobs[] | null;
  /** What queue maintenance would do with it. */
  readonly maintenance: ListedRun['outlook'];
}

export interface QueueListDocument extends Pick<QueueList, 'scope' | 'observedAt' | 'mode' | 'rules' | 'queued' | 'notes'> {
  /** Of queue maintenance. */
  readonly schedule: ScheduleStatus;
  /** Queued runs that are not listed. */
  readonly more: number;
  readonly runs: readonly QueuedRun[];
  /** Runs that wait to be re-run. */
  readonly parked: readonly (ParkedSummary & { readonly url: string })[];
}

export function queueListDocument(list: QueueList, schedule: ScheduleStatus): QueueListDocument {
  const { scope, observedAt, mode, rules, serverUrl, queued, runs, parked, notes } = list;
  const urlOf = (run: number): string => `${serverUrl}/${scope}/actions/runs/${run}`;
  return {
    scope,
    observedAt,
    mode,
    rules,
    schedule,
    queued,
    more: queued - runs.length,
    runs: runs.map(({ jobs, outlook, ...run }) => ({
      ...run,
      url: urlOf(run.run),
      queuedSeconds: Math.max(0, Math.round((Date.parse(observedAt) - Date.parse(run.queuedSince)) / 1_000)),
      jobs: jobs?.map(({ labels, count }) => ({ labels, count, ...whoTakes(labels, list) })) ?? null,
      maintenance: outlook,
    })),
    parked: parked.map((each) => ({ ...parkedSummary(each), url: urlOf(each.run.id) })),
    notes,
  };
}

function whoTakes(labels: readonly string[], list: QueueList): Pick<WaitingJobs, 'takers' | 'runners' | 'missingLabels'> {
  const takers = takersOf(labels, list);
  return {
    takers: takers.kind,
    runners: takers.kind === 'runners' ? takers.runners.map(({ name, state, busy }) => ({ name, state, busy })) : [],
    missingLabels: takers.kind === 'nobody' ? takers.missingLabels : [],
  };
}
