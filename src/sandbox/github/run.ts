// A run and its jobs.

import type { Runner } from './runner.ts';
import type { Scope } from './scope.ts';

/** What a run or a job waits in before it is queued: just created, held by a concurrency group, by an approval. */
export type HeldStatus = 'requested' | 'pending' | 'waiting';

export type JobState = HeldStatus | 'queued' | 'in_progress' | 'completed';

/** The runner's words. */
export type JobResult = 'Succeeded' | 'Failed' | 'Canceled' | 'Skipped';

export type JobConclusion = 'success' | 'failure' | 'cancelled' | 'skipped';

export type RunConclusion = JobConclusion | 'neutral' | 'timed_out' | 'action_required' | 'stale' | 'startup_failure';

/**
 * Runs that nothing ends. `not-queued`: a cancel is refused since the run `has not been queued yet` (https://github.com/actions/runner/issues/3872).
 * `failing`: GitHub fails at it (https://github.com/actions/runner/issues/3329). `deaf`: GitHub accepts a cancel and a force-cancel, and nothing happens.
 */
export type Zombie = 'not-queued' | 'failing' | 'deaf';

export interface Workflow {
  readonly id: number;
  readonly name: string;
  readonly path: string;
}

export interface Run {
  readonly id: number;
  readonly number: number;
  readonly scope: Scope;
  readonly workflow: Workflow;
  readonly title: string;
  readonly event: string;
  readonly branch: string | null;
  readonly sha: string;
  /** Where its commit comes from; `null` where that repository was deleted. */
  readonly headRepository: Pick<Scope, 'id' | 'name'> | null;
  /** Login of the user who caused it. */
  readonly actor: string;
  /** Their numbers. */
  readonly pullRequests: readonly number[];
  readonly createdAt: number;
  attempt: number;
  /** When the attempt began. */
  startedAt: number;
  updatedAt: number;
  /** Of the attempt; none where nobody asks for them. */
  jobs: Job[];
  /** Jobs of the attempts before. */
  earlierJobs: readonly Job[];
  /** Follows its jobs, unless it is held. */
  status: string;
  conclusion: RunConclusion | null;
  held: HeldStatus | null;
  readonly zombie: Zombie | null;
  /** Name of the one that it enters with each attempt. */
  readonly concurrencyGroup: string | null;
  readonly cancelTakesMs: number;
  /** When an accepted cancel ends it, by GitHub's clock. */
  endsAt: number | null;
  /** What lists show instead of the truth. */
  shown: { readonly status?: string };
  /** Requests that took effect. */
  readonly accepted: { cancel: number; forceCancel: number; rerun: number; rerunFailed: number; rerunJob: number };
  /** Such requests that were refused by its state. */
  refused: number;
}

export interface Job {
  readonly id: number;
  /** `null` for a job that was given to a runner by hand. */
  readonly run: Run | null;
  readonly attempt: number;
  readonly name: string;
  /** What its runner must have. */
  readonly labels: readonly string[];
  readonly seconds: number;
  readonly createdAt: number;
  startedAt: number | null;
  completedAt: number | null;
  /** Who has it, or who alone may take it. */
  runner: Runner | null;
  /** One of GitHub's own runners that has it. */
  readonly hostedRunner: string | null;
  readonly output: JobOutput;
  state: JobState;
  result: JobResult | null;
}

/** What a job leaves behind once it is completed. */
export interface JobOutput {
  /**
   * Lines of its log, which get their time stamps, or a function that gives the log piece by piece just as it is sent, so that
   * a big one takes no memory. Default: one line.
   */
  readonly log?: string | (() => Iterable<string>);
  /** `expired`: GitHub says that it is gone. `lost`: where GitHub sends one there is none. */
  readonly logIs?: 'there' | 'expired' | 'lost';
  readonly annotations?: readonly Annotation[];
}

export interface Annotation {
  readonly level: 'notice' | 'warning' | 'failure';
  readonly message: string;
}

/** A run to begin. */
export interface RunOptions {
  /** May be none. */
  readonly jobs: readonly JobOptions[];
  /** How long it has been there already. Default 0. */
  readonly agoMs?: number;
  /** How long ago its attempt began. Default `agoMs`. */
  readonly startedAgoMs?: number;
  /** Default 1. */
  readonly attempt?: number;
  /** Default `CI` with id 1. The path follows from the name where it is left out. */
  readonly workflow?: Pick<Workflow, 'id' | 'name'> & Partial<Workflow>;
  /** Default `push`. */
  readonly event?: string;
  /** Default `main`. */
  readonly branch?: string | null;
  readonly sha?: string;
  readonly title?: string;
  /** Full name of a fork, or `null` where it was deleted. Default: the run's own repository. */
  readonly headRepository?: string | null;
  readonly pullRequests?: readonly number[];
  /** Login of the user who caused it. Default `octocat`. */
  readonly actor?: string;
  /** It stays so until it is told otherwise, and so do its jobs that say nothing else. */
  readonly status?: HeldStatus;
  readonly zombie?: Zombie;
  /** Name of the concurrency group that it enters with each attempt, unless it has a `status` of its own at first. Default: none. */
  readonly concurrencyGroup?: string;
  /** How long after an accepted cancel it is over, by GitHub's clock; until then it keeps its status. `Infinity`: force-cancel alone ends it. Default 0. */
  readonly cancelTakesMs?: number;
}

/** A job of a run that is begun. */
export interface JobOptions extends JobOutput {
  readonly name?: string;
  /** Default `self-hosted` alone. */
  readonly labels?: readonly string[];
  /** How long it works. Default 1. */
  readonly seconds?: number;
  /** `in_progress` and `completed` are for jobs of others, such as GitHub's own runners. Default `queued`, or what the run is held in. */
  readonly state?: JobState;
  /** Of a completed job. Default `success`. */
  readonly conclusion?: JobConclusion;
  /** Who has it: a registered runner, or one of GitHub's own, such as `GitHub Actions 12`. Only of one that is begun. */
  readonly runner?: string;
}

/** Least advanced first. */
const STATES: readonly JobState[] = ['requested', 'pending', 'waiting', 'queued', 'in_progress', 'completed'];

/** Whether no runner has begun it. */
export function isYetToBegin({ state }: Job): boolean {
  return STATES.indexOf(state) <= STATES.indexOf('queued');
}

/** A run reads as far as its least advanced job has come. https://github.com/cli/cli/issues/13972 */
export function leastAdvanced(jobs: readonly Job[]): JobState {
  return STATES.find((state) => jobs.some((job) => job.state === state)) ?? 'completed';
}

/** How a run ended whose jobs are all completed. */
export function conclusionOfAll(jobs: readonly Job[]): JobConclusion {
  const worst = (['Failed', 'Canceled', 'Succeeded'] as const).find((result) => jobs.some((job) => job.result === result));
  return conclusionOf(worst ?? 'Skipped');
}

const CONCLUSIONS = { Succeeded: 'success', Failed: 'failure', Canceled: 'cancelled', Skipped: 'skipped' } as const;
const RESULTS: Readonly<Record<RunConclusion, JobResult>> = {
  success: 'Succeeded',
  neutral: 'Succeeded',
  skipped: 'Skipped',
  failure: 'Failed',
  timed_out: 'Failed',
  startup_failure: 'Failed',
  action_required: 'Canceled',
  cancelled: 'Canceled',
  stale: 'Canceled',
};

/** GitHub's word in jobs and runs for what a runner reported. */
export function conclusionOf(result: JobResult): JobConclusion {
  return CONCLUSIONS[result];
}

/** What becomes of the jobs of a run that ends so before them. */
export function resultOf(conclusion: RunConclusion): JobResult {
  return RESULTS[conclusion];
}
