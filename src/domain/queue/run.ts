// What queue care knows of GitHub's workflow runs. Times are epoch milliseconds by GitHub's clock.

/** A workflow run as lists show it, and as it shows itself. */
export interface Run {
  readonly id: number;
  readonly workflowId: number;
  /** Name of its workflow, for people: two workflows may share it. */
  readonly workflow: string;
  /** GitHub's word, such as `push` or `pull_request`. */
  readonly event: string;
  /** GitHub's word, such as `queued`, `waiting` or `completed`. */
  readonly status: string;
  /** GitHub's word once it is completed. */
  readonly conclusion: string | null;
  /** `null` where the repository that the change came from is deleted. */
  readonly headRepositoryId: number | null;
  /** Whether the change comes from another repository than the run's own; one that is deleted was another. */
  readonly isFromFork: boolean;
  /** Login of the user who caused it; `null` where GitHub does not say. */
  readonly actor: string | null;
  /** Name of a branch, or of a tag: GitHub does not say which. */
  readonly branch: string | null;
  /** Open pull requests whose head matches; none where the head is in a fork. */
  readonly pullRequests: readonly number[];
  /** The commit. */
  readonly sha: string;
  /** Counted from 1; a re-run has the same id and the next attempt. */
  readonly attempt: number;
  /** Never changes, whatever is re-run. */
  readonly createdAt: number;
  /** When the current attempt began to wait; `null` where GitHub does not say. */
  readonly startedAt: number | null;
  /** When it last changed; `null` where GitHub does not say. */
  readonly updatedAt: number | null;
}

/** Queued jobs that ask for the same labels. */
export interface JobGroup {
  /** Lower case, sorted. */
  readonly labels: readonly string[];
  readonly count: number;
}

/** The jobs of a run's current attempt, as far as rules ask for them. */
export interface RunJobs {
  readonly run: number;
  readonly attempt: number;
  readonly total: number;
  /** In progress, or over: a job that was skipped has never begun, and does not count. */
  readonly started: number;
  /** Held by an approval, a wait timer or a concurrency group. */
  readonly held: number;
  readonly queued: readonly JobGroup[];
  /** When the oldest queued one began to wait; `null` without any. */
  readonly oldestQueuedAt: number | null;
  /** What it does: a short code for the name of each job that was not skipped, sorted. */
  readonly work: readonly string[];
}

/** Labels of one kind of runner; lower case, sorted. */
export type LabelSet = readonly string[];

/** Which runs are Runward's business: those with a queued job that a known runner of the scope serves, or all. */
export type Reach = 'served' | 'repository';

/** Events of pull requests. */
export const PULL_REQUEST_EVENTS: readonly string[] = ['pull_request', 'pull_request_target'];

/** Whether a runner with these labels takes jobs that ask for the others; without labels nobody can say who does. */
export function isServedBy(offered: LabelSet, asked: readonly string[]): boolean {
  return asked.length > 0 && asked.every((label) => offered.includes(label));
}

/** Whether at least one queued job is in reach. What asks for `self-hosted` alone may wait for runners that nobody sees from here. */
export function isInReach({ queued }: RunJobs, offered: readonly LabelSet[], reach: Reach): boolean {
  return queued.some(({ labels }) => reach === 'repository' || offered.some((set) => isServedBy(set, labels)));
}

/** Labels as rules compare them. */
export function labelSetOf(labels: readonly string[]): LabelSet {
  return [...new Set(labels.map((label) => label.toLowerCase()))].toSorted();
}

/** Whether the run waits for a runner, and not a job of it has begun nor is held by something else; one whose jobs were all skipped waits for none. */
export function isUntouched(jobs: RunJobs): boolean {
  return jobs.started === 0 && jobs.held === 0 && jobs.queued.length > 0;
}

/** Queued runs, each once and by its newest attempt: lists move while their pages are read, and name runs that wait for something else by now. */
export function queuedOf(runs: readonly Run[]): readonly Run[] {
  const inOrder = runs.toSorted((one, other) => one.id - other.id || one.attempt - other.attempt);
  return inOrder.filter(({ id, status }, index) => inOrder[index + 1]?.id !== id && status === 'queued');
}
