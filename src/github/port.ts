// GitHub in domain words. May import: domain, Octokit; not Temporal, not machine.

import type { ActionPart } from '../domain/cache-failure.ts';
import type { PackageFound, PackageSource } from '../domain/package.ts';
import type { ScopeObservation } from '../domain/pass.ts';
import type { LabelSet, Run, RunJobs } from '../domain/queue/run.ts';
import type { Absence, RegisteredRunner } from '../domain/runner.ts';
import type { RunningJob } from '../domain/running-job.ts';
import type { Secret } from '../domain/secret.ts';

/** A value from GitHub together with GitHub's own clock (`Date` header, epoch milliseconds). */
export interface Dated<T> {
  readonly value: T;
  readonly githubTime: number;
}

export interface RegistrationToken {
  readonly token: Secret;
  /** Epoch milliseconds by GitHub's clock. */
  readonly expiresAt: number;
}

/** Runners of a scope that are asked for together. */
export interface RunnersWanted {
  readonly names: readonly string[];
  /** The id that GitHub last gave for a name; `null` where none is known. Asked only for whom the list lacks. */
  readonly lastId: (name: string) => Promise<number | null>;
}

export interface RunnersFound {
  readonly runners: readonly RegisteredRunner[];
  /** Why the others were not found, by name. */
  readonly absent: Readonly<Record<string, Absence>>;
}

/** Numbers of workflow runs by GitHub's status. */
export interface RunCounts {
  readonly queued: number;
  readonly inProgress: number;
}

/** What a look at a scope is to bring. */
export interface ScopeLook extends Partial<Pick<RunnersWanted, 'lastId'>> {
  /** Names of the configured runners. */
  readonly runners: readonly string[];
  /** Sets of custom labels that they have by configuration, or had before a drain: jobs that ask for them wait for one of these runners. */
  readonly customLabels?: readonly (readonly string[])[];
  /** Whether runners' groups matter: one request more, and only at an organisation. */
  readonly readsGroups: boolean;
  /** Runs whose jobs are read, at most. */
  readonly runsRead: number;
  /** Queued runs that queue care has set aside: GitHub can't end them, and they are no demand. */
  readonly setAside: readonly number[] | Promise<readonly number[]>;
  /** What is told to people alone: it is quick, believes what earlier looks have read of runs that have not changed, and counts stale runs. */
  readonly forPeople?: {
    /** A queued run whose current attempt has waited for longer is stale. */
    readonly staleAfterMs: number;
  };
}

/** Which part of a list of runs is wanted. Times are epoch milliseconds by GitHub's clock. */
export interface RunsWanted {
  /** A status or a conclusion, in GitHub's words; GitHub takes one. */
  readonly status: string;
  /** Runs that were created then or earlier; `null` for all. */
  readonly createdUntil: number | null;
  /** Runs that were created then or later; `null` for all. */
  readonly createdFrom: number | null;
  /** Pages of 100 that are read, 10 at most: GitHub gives no more. */
  readonly pages: number;
  /** A first page that this process has read so long ago is good enough, unless something was written since; 0 milliseconds without it. */
  readonly believedMs?: number;
}

/** A part of a list of runs, newest first; each run once. */
export interface RunsListed {
  /** How many GitHub says there are; with more than 1,000 it may say 1,000. */
  readonly total: number;
  readonly runs: readonly Run[];
  /** Whether there is more that these pages did not hold. */
  readonly isCut: boolean;
}

/** What became of a write on a run: what GitHub says is a value; whether it has come to pass, the run itself tells. */
export type RunWritten =
  | { readonly kind: 'accepted' }
  /** `status` and words of GitHub: 403, 404, 409, 410, 422, or a 5xx that may be meant. */
  | { readonly kind: 'refused'; readonly status: number; readonly why: string }
  /** No answer, or a broken one: it may have been done. */
  | { readonly kind: 'unanswered'; readonly why: string };

/** Runners with the same labels. */
export interface RunnersAlike {
  readonly labels: LabelSet;
  readonly runners: readonly Pick<RegisteredRunner, 'name' | 'status' | 'busy'>[];
}

/** Runners of an organisation, by whether their group lets them work for one of its repositories. */
export interface RunnersForRepository {
  readonly alike: readonly RunnersAlike[];
  /** Groups that the repository may use, whatever the workflow. */
  readonly groups: readonly { readonly name: string; readonly isDefault: boolean }[];
  /** Names of runners in other groups. */
  readonly elsewhere: readonly string[];
}

/** The turn of a write. */
export interface Turn {
  /** Nothing is written after all: the next one need not wait for that. */
  skip(): void;
}

/**
 * What queue care asks of GitHub, at repositories alone. While little of the hour's requests is left, reads and writes reject as `limited`,
 * so that health checks go on.
 */
/** Whether the jobs of a run are over. */
export interface JobsEnd {
  readonly attempt: number;
  /** None is left to begin or to end; GitHub may add some once those that they need are over. */
  readonly areOver: boolean;
  readonly isOneCancelled: boolean;
}

export interface QueuePort {
  listRuns(scope: string, wanted: RunsWanted, signal: AbortSignal): Promise<Dated<RunsListed>>;
  /** How many runs have this status, by GitHub; `believedMs` as of {@link RunsWanted}. */
  countRunsOf(scope: string, status: string, signal: AbortSignal, believedMs?: number): Promise<Dated<number>>;
  /** Runners that are registered at the scope, by the labels that they have; `believedMs` as of {@link RunsWanted}. */
  listLabelSets(scope: string, signal: AbortSignal, believedMs?: number): Promise<Dated<readonly RunnersAlike[]>>;
  /** Who of an organisation's runners may work for one of its repositories. Needs `organization_self_hosted_runners=read`. */
  listRunnersFor(organisation: string, repository: string, signal: AbortSignal): Promise<Dated<RunnersForRepository>>;
  /** `null` where there is no such run any more. */
  readRun(scope: string, run: number, signal: AbortSignal): Promise<Dated<Run | null>>;
  /** Jobs of the current attempt; `null` where there is no such run any more. */
  readRunJobs(scope: string, run: number, signal: AbortSignal): Promise<Dated<RunJobs | null>>;
  /** How far these jobs are, by the same request. */
  readJobsEnd(scope: string, run: number, signal: AbortSignal): Promise<Dated<JobsEnd | null>>;
  /**
   * Which of these names are tags, and which are branches, by one request for a hundred of them if GitHub answers GraphQL, otherwise by two
   * for each. A name that is not in the answer is unknown, such as one that is neither any more. Needs the permission `contents=read`.
   */
  areTags(scope: string, names: readonly string[], signal: AbortSignal): Promise<Dated<ReadonlyMap<string, boolean>>>;
  /** Whether a branch or a tag of exactly this name exists. Needs the permission `contents=read`. */
  hasRef(scope: string, name: string, signal: AbortSignal): Promise<Dated<boolean>>;
  /** Up to four minutes old, unless something was written since; `null` if GitHub names none. */
  readDefaultBranch(scope: string, signal: AbortSignal): Promise<Dated<string | null>>;
  /** Names of the concurrency groups that a run, or a job of it, enters by its configuration; `null` if GitHub does not tell. */
  readConcurrencyGroups(scope: string, run: number, signal: AbortSignal): Promise<Dated<readonly string[] | null>>;
  /** Names of the concurrency groups that a run or a job holds or waits for at present; `null` if GitHub does not tell. */
  listActiveGroups(scope: string, signal: AbortSignal): Promise<Dated<readonly string[] | null>>;
  /** The newest run of a workflow by event and branch; `null` where there is none. */
  findNewestRun(
    scope: string,
    like: { readonly workflowId: number; readonly event: string; readonly branch: string },
    signal: AbortSignal,
  ): Promise<Dated<Run | null>>;
  /**
   * Waits for the turn of a write: one at a time, and so many a minute. What the write rests on is to be read within it.
   * Rejects with what `work` rejects with, or where `signal` aborts.
   */
  inTurn<T>(scope: string, work: (turn: Turn) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Sent at once, so in a turn. Rejects only where a limit is met or `signal` aborts. */
  cancelRun(scope: string, run: number, how: { readonly force: boolean }, signal: AbortSignal): Promise<Dated<RunWritten>>;
  /** Runs all jobs again. In a turn likewise. */
  rerunRun(scope: string, run: number, signal: AbortSignal): Promise<Dated<RunWritten>>;
}

/** A job of a run's latest attempt that ended as `failure`. */
export interface FailedJob {
  readonly id: number;
  readonly name: string;
  /** The runner that had it, by its name on GitHub; `null` where none had. */
  readonly runner: string | null;
  /** Its check run, which has its annotations; `null` where GitHub names none. */
  readonly checkRun: number | null;
  /** Name of that check run in GraphQL; `null` likewise. */
  readonly nodeId: string | null;
  /**
   * Epoch milliseconds by GitHub's clock. Of a job that was not run again it is before the run's own `startedAt`: a re-run carries it
   * over, with the number of the new attempt.
   */
  readonly startedAt: number | null;
}

export interface FailedJobs {
  readonly attempt: number;
  readonly jobs: readonly FailedJob[];
}

/** How a log was read: `missing` where GitHub has it no more, or not yet. */
export interface LogRead {
  readonly kind: 'read' | 'missing';
  /** That came over the wire, decoded. */
  readonly bytes: number;
  /** Whether it was given up at the most that was allowed, before its end and before `onLine` had enough. */
  readonly isCut: boolean;
}

/** Whether an action holds a part. `unclear`: its repository, or the ref, is not there or not seen, or GitHub does not list all of it. */
export type PartFound = 'there' | 'absent' | 'unclear';

/**
 * What the care for the actions cache asks of GitHub, at repositories alone; with {@link QueuePort.listRuns} and {@link QueuePort.readRun}.
 * Like queue care it leaves health checks their part of the hour's requests.
 */
export interface FailurePort {
  /** `null` where there is no such run any more. */
  readFailedJobs(scope: string, run: number, signal: AbortSignal): Promise<Dated<FailedJobs | null>>;
  /** Messages of the check run's annotations of level `failure`, in their order, 100 at most. Needs the permission `checks=read`. */
  readFailureAnnotations(scope: string, checkRun: number, signal: AbortSignal): Promise<Dated<readonly string[]>>;
  /** Those of many jobs, by check run, and by one request for fifty of them. What is not in the answer is to be asked for by itself. */
  readFailureAnnotationsOf(
    scope: string,
    jobs: readonly Pick<FailedJob, 'checkRun' | 'nodeId'>[],
    signal: AbortSignal,
  ): Promise<Dated<ReadonlyMap<number, readonly string[]>>>;
  /**
   * Reads a job's log line by line without its time stamps, as a stream, until its end, `mostBytes`, or `onLine` answers `enough`. GitHub's
   * token goes to GitHub alone, and not to where its answer leads.
   */
  readJobLog(
    scope: string,
    job: number,
    how: { readonly mostBytes: number; readonly onLine: (line: string) => 'more' | 'enough' },
    signal: AbortSignal,
  ): Promise<Dated<LogRead>>;
  /** Asked as for the scope. Needs no permission for a public repository, and `contents=read` for any other. */
  findPart(scope: string, part: ActionPart, signal: AbortSignal): Promise<Dated<PartFound>>;
  /** Runs the failed jobs of a run again, and those that need them. Sent at once, so in a turn ({@link QueuePort.inTurn}). */
  rerunFailedJobs(scope: string, run: number, signal: AbortSignal): Promise<Dated<RunWritten>>;
  /** Runs one job again, and those that need it. In a turn likewise. */
  rerunJob(scope: string, job: number, signal: AbortSignal): Promise<Dated<RunWritten>>;
}

/** Whose token it is, and of what kind: a classic one has OAuth scopes, the others have permissions. */
export interface TokenIdentity {
  readonly kind: 'classic' | 'fine-grained' | 'installation';
  /** Its user; `null` for a GitHub App's installation, which is none. */
  readonly login: string | null;
  /** Of a classic token; of others empty. */
  readonly oauthScopes: readonly string[];
  /** Epoch milliseconds; `null` where GitHub does not say it, and for a token that is renewed by itself. */
  readonly expiresAt: number | null;
}

/** What Runward needs, in GitHub's notation. */
export type Permission =
  | 'administration=write'
  | 'organization_self_hosted_runners=write'
  | 'actions=write'
  | 'actions=read'
  | 'contents=read'
  | 'checks=read';

export interface MissingPermission {
  readonly permission: Permission;
  /** GitHub's refusal, or what a classic token lacks. */
  readonly why: string;
}

/** What the token may do on a scope, of what Runward needs there. */
export interface ScopeAccess {
  readonly scope: string;
  readonly missing: readonly MissingPermission[];
}

/** What a token may do: asked by requests that change nothing. */
export interface PermissionPort {
  identifyToken(signal: AbortSignal): Promise<TokenIdentity>;
  /** Rejects where the scope can't be seen at all. */
  probeAccess(scope: string, token: TokenIdentity, signal: AbortSignal): Promise<ScopeAccess>;
}

/** Every method rejects with {@link GitHubError} where GitHub could not be asked; "not there" is a value. */
export interface GitHubPort extends QueuePort, FailurePort, PermissionPort {
  /** All of these by one list, names compared without regard to case, and whom it lacks by the last id and the name. */
  findRunners(scope: string, wanted: RunnersWanted, signal: AbortSignal): Promise<Dated<RunnersFound>>;
  /** The runner of this id; `null` once its registration is gone. */
  getRunner(scope: string, id: number, signal: AbortSignal): Promise<Dated<RegisteredRunner | null>>;
  /**
   * The job that a runner works on; `null` if no run that was read has it: the newest 50 are. A repository's alone, and worth its requests only for
   * a runner that is busy.
   */
  findRunningJob(scope: string, runner: string, signal: AbortSignal): Promise<Dated<RunningJob | null>>;
  /** Takes all custom labels of the runner of this id away. Answers with those that are left; `null` once its registration is gone. */
  removeCustomLabels(scope: string, id: number, signal: AbortSignal): Promise<Dated<readonly string[] | null>>;
  /** Gives the runner of this id custom labels besides those that it has. Answers with all of them; `null` once its registration is gone. */
  addCustomLabels(scope: string, id: number, labels: readonly string[], signal: AbortSignal): Promise<Dated<readonly string[] | null>>;
  createRegistrationToken(scope: string, signal: AbortSignal): Promise<Dated<RegistrationToken>>;
  /**
   * The newest package of the runner that GitHub names for Linux on this architecture (`x64`, `arm64`, `arm`), or the one that `source` is, with a
   * checksum by GitHub or by configuration.
   */
  findPackage(
    scope: string,
    wanted: { readonly architecture: string; readonly source: PackageSource },
    signal: AbortSignal,
  ): Promise<Dated<PackageFound>>;
  /** A scope's lists, read once for all its runners, by conditional requests; parts that GitHub refuses are unknown. */
  observeScope(scope: string, wanted: ScopeLook, signal: AbortSignal): Promise<ScopeObservation>;
  /** `null` for an organisation, which has no list of runs. */
  countRuns(scope: string, signal: AbortSignal): Promise<Dated<RunCounts | null>>;
}

/**
 * Why GitHub could not be asked.
 * - `unavailable`: network, time-out, 5xx, an answer that is not JSON: try again
 * - `limited`: a rate limit; `retryAt` says when (epoch milliseconds, own clock)
 * - `rejected`: 401, 403, 404, 410, 422: final; `message` names a missing permission where GitHub names it
 */
export type GitHubErrorKind = 'unavailable' | 'limited' | 'rejected';

export interface GitHubErrorDetails {
  readonly status?: number;
  readonly retryAt?: number;
  readonly said?: string | null;
  readonly githubTime?: number;
  readonly cause?: unknown;
}

export class GitHubError extends Error {
  override readonly name = 'GitHubError';
  readonly kind: GitHubErrorKind;
  readonly status: number | null;
  readonly retryAt: number | null;
  /** GitHub's words in its answer; `null` without an answer, and for one that is not in the form of GitHub. */
  readonly said: string | null;
  /** GitHub's own clock in its answer; `null` without one. */
  readonly githubTime: number | null;

  constructor(kind: GitHubErrorKind, message: string, details: GitHubErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.status = details.status ?? null;
    this.retryAt = details.retryAt ?? null;
    this.said = details.said ?? null;
    this.githubTime = details.githubTime ?? null;
  }
}
