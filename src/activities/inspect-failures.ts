import { activityInfo, cancellationSignal, Context, sleep } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { createLogReader, judgeAnnotations, missingPart, type ActionPart, type CacheSign } from '../domain/cache-failure.ts';
import {
  isInspected,
  NO_FAILURES,
  rerunObstacle,
  type Attempt,
  type DamagedJob,
  type DamagedRun,
  type FailureMemory,
  type LeftRun,
} from '../domain/damaged-run.ts';
import { failureLedgerId } from '../domain/names.ts';
import type { FailurePolicy } from '../domain/policy.ts';
import type { Run } from '../domain/queue/run.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import {
  GitHubError,
  type FailedJob,
  type FailedJobs,
  type FailurePort,
  type PartFound,
  type QueuePort,
  type RunWritten,
} from '../github/port.ts';
import { attempting, beating } from './attempting.ts';
import type { FailureActivities, FailuresInspected, RerunDone } from './contract.ts';
import { describeExecution } from './describe-execution.ts';
import { withGitHubFailures } from './failures.ts';

type GitHub = QueuePort & FailurePort;

/** The list is asked for by whole days, so that GitHub knows the request again and answers `304` where nothing has changed. */
const DAY_MS = 24 * 3_600_000;
/** A glance holds up the look at a scope no longer. */
const GLANCE_MS = 5_000;

interface FoundSign extends CacheSign {
  /** Whether the log says so, and not annotations alone. */
  readonly isInLog: boolean;
}

type Installed = Pick<RunnerTarget, 'runner' | 'directory'>;

export function createFailureActivities(github: GitHub): FailureActivities {
  return {
    async inspectFailures({ scope, runners, known, provesByLog = false, policy }) {
      // Only a repository has a list of runs.
      if (!scope.includes('/')) {
        const notes = [`${scope} is an organisation, and only a repository has a list of runs: name its repositories`];
        return { kind: 'inspected', damaged: [], settled: [], left: 0, logBytes: 0, notes };
      }
      const memory = await recallFailures(Context.current().client, scope);
      return beating(`looking at failed runs of ${scope}`, () =>
        withGitHubFailures(() => new Inspection(github, scope, runners, { ...policy, provesByLog }).inspect(memory, known)),
      );
    },

    recallFailures: ({ scope }) => recallFailures(Context.current().client, scope),

    rerunJobs: (asked) => beating(`re-running failed jobs of run ${asked.run}`, () => withGitHubFailures(() => rerun(github, asked))),

    async readReservation({ workflowId }) {
      const reservation = await describeExecution(Context.current().client, workflowId);
      const attempt = reservation?.memo?.['attempt'];
      const isCutOff = reservation !== null && !['RUNNING', 'COMPLETED'].includes(reservation.status.name);
      return { attempt: typeof attempt === 'number' ? attempt : null, isCutOff };
    },
  };
}

/** What is left of failed runs, if the list tells nothing new; `null` if it does, or can't be read: whoever looks into them tells why. */
export async function glanceAtFailures(
  github: GitHub,
  client: Client,
  scope: string,
  policy: FailurePolicy,
): Promise<readonly DamagedRun[] | null> {
  // Only a repository has a list of runs.
  if (!scope.includes('/')) {
    return [];
  }
  const memory = await recallFailures(client, scope);
  const tooLong = AbortSignal.timeout(GLANCE_MS);
  try {
    return await new Inspection(github, scope, [], { ...policy, provesByLog: false }).glance(memory, tooLong);
  } catch (error) {
    if (!(error instanceof GitHubError) && !tooLong.aborted) {
      throw error;
    }
    return null;
  }
}

/** Consistent, as visibility is not. */
async function recallFailures(client: Client, scope: string): Promise<FailureMemory> {
  const ledger = await describeExecution(client, failureLedgerId(scope));
  return (ledger?.memo?.['memory'] as FailureMemory | undefined) ?? NO_FAILURES;
}

/** Runs whose jobs are read before any of them is judged. */
const READ_AHEAD = 25;

const TOO_SLOW = 'GitHub took long to answer: the rest is for the next look';

/** One look at the failed runs of a repository, newest first. */
class Inspection {
  readonly #github: GitHub;
  readonly #scope: string;
  /** By name, lower case. */
  readonly #runners: ReadonlyMap<string, Installed>;
  readonly #policy: FailurePolicy & { readonly provesByLog: boolean };
  readonly #notes = new Set<string>();
  readonly #begunAt = performance.now();
  /** Runs that need no more of this look. */
  #looked = 0;
  /** What GitHub said of parts of actions that were not found, by the part. */
  readonly #found = new Map<string, PartFound>();
  #logBytes = 0;
  /** Failed jobs of runs, as far as they were asked for. */
  readonly #jobs = new Map<number, Promise<FailedJobs | null>>();
  /** Annotations that were read together, by check run. */
  readonly #messages = new Map<number, readonly string[]>();
  /** Once GitHub has refused annotations, it refuses all: the token may not read checks. */
  #readsAnnotations = true;

  constructor(github: GitHub, scope: string, runners: readonly Installed[], policy: FailurePolicy & { readonly provesByLog: boolean }) {
    this.#github = github;
    this.#scope = scope;
    this.#runners = new Map(runners.map((runner) => [runner.runner.toLowerCase(), runner]));
    this.#policy = policy;
  }

  /** What is left of the runs in the list, if all of them were looked at; `null` if there is one to look at. */
  async glance(memory: FailureMemory, tooLong: AbortSignal): Promise<readonly DamagedRun[] | null> {
    const failed = await this.#list(AbortSignal.any([cancellationSignal(), tooLong]));
    return failed.every(({ id, attempt }) => isInspected(memory, [id, attempt])) ? stillLeft(memory, failed) : null;
  }

  async inspect(memory: FailureMemory, alsoKnown: readonly Attempt[]): Promise<FailuresInspected> {
    const { runsAtOnce } = this.#policy;
    const known: FailureMemory = { inspected: [...memory.inspected, ...alsoKnown] };
    const failed = await this.#list(cancellationSignal());
    const fresh = failed.filter(({ id, attempt }) => !isInspected(known, [id, attempt]));
    const damaged = [...stillLeft(memory, failed)];
    const settled: Attempt[] = [];
    for (const [index, run] of fresh.slice(0, runsAtOnce).entries()) {
      if (this.#looked > 0 && this.#isOver()) {
        this.#notes.add(TOO_SLOW);
        break;
      }
      if (index % READ_AHEAD === 0) {
        await this.#readAhead(fresh.slice(index, Math.min(index + READ_AHEAD, runsAtOnce)));
      }
      const seen = await attempting(() => this.#lookAt(run));
      if (seen.kind === 'limited') {
        this.#notes.add(seen.why);
        break;
      }
      if (seen.kind === 'failed') {
        this.#notes.add(seen.error.message);
      } else if (seen.value === 'unread') {
        this.#notes.add(this.#isOver() ? TOO_SLOW : 'there are more logs than one look reads: the rest is for the next one');
        continue;
      } else {
        const unsettled = seen.value.filter(({ runner }) => !isInspected(known, [run.id, run.attempt, runner]));
        damaged.push(...unsettled);
        if (unsettled.length === 0) {
          settled.push([run.id, run.attempt]);
        }
      }
      this.#looked += 1;
    }
    return {
      kind: 'inspected',
      damaged,
      settled,
      left: fresh.length - this.#looked,
      logBytes: this.#logBytes,
      notes: [...this.#notes],
    };
  }

  #isOver(part = 1): boolean {
    return performance.now() - this.#begunAt > part * this.#policy.lookMs;
  }

  /** The jobs of the next runs, and then the annotations of all of them together; whatever fails is asked for again where it matters. */
  async #readAhead(runs: readonly Run[]): Promise<void> {
    const jobs: FailedJob[] = [];
    for (const run of runs) {
      // The rest of the look is for judging what is read.
      if (this.#isOver(1 / 2)) {
        break;
      }
      const read = await attempting(() => this.#failedJobs(run));
      if (read.kind === 'limited') {
        return;
      }
      if (read.kind === 'done' && read.value?.attempt === run.attempt) {
        jobs.push(...this.#ours(run, read.value).map(({ job }) => job));
      }
    }
    if (jobs.length < 2) {
      return;
    }
    const read = await attempting(() => this.#github.readFailureAnnotationsOf(this.#scope, jobs, cancellationSignal()));
    for (const [checkRun, messages] of read.kind === 'done' ? read.value.value : []) {
      this.#messages.set(checkRun, messages);
    }
  }

  #failedJobs({ id }: Run): Promise<FailedJobs | null> {
    const known = this.#jobs.get(id);
    const read = known ?? this.#github.readFailedJobs(this.#scope, id, cancellationSignal()).then(({ value }) => value);
    this.#jobs.set(id, read);
    return read;
  }

  /** Jobs that a runner of ours had in this attempt. */
  #ours({ startedAt }: Run, { jobs }: FailedJobs): readonly { readonly job: FailedJob; readonly runner: Installed }[] {
    return jobs.flatMap((job) => {
      const runner = this.#runners.get(job.runner?.toLowerCase() ?? '');
      return runner === undefined || isCarriedOver(job, startedAt) ? [] : [{ job, runner }];
    });
  }

  /** Failed runs whose attempt began lately. */
  async #list(signal: AbortSignal): Promise<readonly Run[]> {
    const { listedMs, withinMs, pages } = this.#policy;
    const createdFrom = Math.floor((Date.now() - listedMs) / DAY_MS) * DAY_MS;
    const wanted = { status: 'failure', createdFrom, createdUntil: null, pages };
    const { value, githubTime } = await this.#github.listRuns(this.#scope, wanted, signal);
    return value.runs.filter((run) => githubTime - (run.startedAt ?? run.createdAt) <= withinMs);
  }

  /** What each runner's cache has to do with it; nothing of all for most runs. `unread`: it is for the next look. */
  async #lookAt(run: Run): Promise<readonly DamagedRun[] | 'unread'> {
    const { id, attempt, workflow, branch } = run;
    const failed = await this.#failedJobs(run);
    if (failed === null || failed.attempt !== attempt) {
      return [];
    }
    const byRunner = new Map<string, DamagedJob[]>();
    const isFirstWithLogs = this.#logBytes === 0;
    let judged = 0;
    for (const { job, runner } of this.#ours(run, failed)) {
      const sign = judged > 0 && this.#isOver() ? 'unread' : await this.#signOf(job, runner.directory);
      judged += 1;
      if (sign === 'unread') {
        // The first one would be so each time.
        if (this.#isOver() ? this.#looked > 0 : !isFirstWithLogs) {
          return sign;
        }
        const what = this.#isOver() ? 'takes longer than one look' : 'has more logs than one look reads';
        this.#notes.add(`run ${id} ${what}: the rest of it counts as somebody's own mistake`);
        break;
      }
      const lacks = sign === null ? 'nothing' : await this.#lackOf(sign);
      if (sign !== null && lacks !== 'nothing') {
        const jobs = byRunner.get(runner.runner) ?? [];
        const { path, line, isInLog } = sign;
        byRunner.set(runner.runner, [...jobs, { id: job.id, name: job.name, path, lacks, line, isInLog }]);
      }
    }
    const parts = [...byRunner].map(([runner, jobs]) => ({ runner, jobs: jobs.length }));
    const otherJobs = failed.jobs.length - parts.reduce((sum, { jobs }) => sum + jobs, 0);
    return [...byRunner].map(([runner, jobs]) => {
      const neighbours = parts.filter((part) => part.runner !== runner);
      return { runner, run: id, attempt, workflow, branch, jobs, ...(neighbours.length > 0 && { neighbours }), otherJobs };
    });
  }

  /** What the cache lacks; `nothing` where the action itself lacks it. What GitHub does not clearly hold says nothing but that it is about the entry. */
  async #lackOf(sign: CacheSign): Promise<DamagedJob['lacks'] | 'nothing'> {
    const part = missingPart(sign);
    if (part === null) {
      return 'entry';
    }
    const { repository, ref, folder, names } = part;
    switch (await this.#findPart(part)) {
      case 'there':
        return names.length > 1 ? 'manifest' : 'file';
      case 'unclear':
        return 'entry';
      case 'absent': {
        const place = [repository, ...(folder === '' ? [] : [folder])].join('/');
        this.#notes.add(`${place}@${ref} itself has no ${names[0]}: that is the mistake of its author, or of who uses it, and no damage`);
        return 'nothing';
      }
    }
  }

  /** Where GitHub gives no answer, it is not clear. */
  async #findPart(part: ActionPart): Promise<PartFound> {
    const key = JSON.stringify(part);
    const known = this.#found.get(key);
    if (known !== undefined) {
      return known;
    }
    const asked = await attempting(() => this.#github.findPart(this.#scope, part, cancellationSignal()));
    const found = asked.kind === 'done' ? asked.value.value : 'unclear';
    this.#found.set(key, found);
    return found;
  }

  /** By annotations where they are enough, and by the log where they are not, or are to be proved. */
  async #signOf(job: FailedJob, directory: string): Promise<FoundSign | null | 'unread'> {
    const messages = await this.#annotationsOf(job);
    const verdict = messages === null ? { kind: 'unclear' as const } : judgeAnnotations(messages, directory);
    if (verdict.kind === 'other') {
      return null;
    }
    if (verdict.kind === 'damaged' && !this.#policy.provesByLog) {
      return { ...verdict.sign, isInLog: false };
    }
    const inLog = await this.#signInLog(job, directory);
    if (verdict.kind === 'unclear') {
      return inLog === null || inLog === 'unread' ? inLog : { ...inLog, isInLog: true };
    }
    return { ...verdict.sign, isInLog: inLog !== null && inLog !== 'unread' && inLog.path === verdict.sign.path };
  }

  /** `null` where the token may not read them, or GitHub names none. */
  async #annotationsOf({ checkRun }: FailedJob): Promise<readonly string[] | null> {
    const read = this.#messages.get(checkRun ?? 0);
    if (read !== undefined) {
      return read;
    }
    if (checkRun === null || !this.#readsAnnotations) {
      return null;
    }
    try {
      return (await this.#github.readFailureAnnotations(this.#scope, checkRun, cancellationSignal())).value;
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind !== 'rejected') {
        throw error;
      }
      this.#readsAnnotations = false;
      this.#notes.add(`logs were read instead of annotations: ${error.message}`);
      return null;
    }
  }

  async #signInLog({ id }: FailedJob, directory: string): Promise<CacheSign | null | 'unread'> {
    const left = this.#policy.logBytesAtOnce - this.#logBytes;
    if (left <= 0) {
      return 'unread';
    }
    const reader = createLogReader(directory);
    const onLine = (line: string): 'more' | 'enough' => (this.#isOver() ? 'enough' : reader.onLine(line));
    const how = { mostBytes: Math.min(left, this.#policy.logBytes), onLine };
    const { value: read } = await this.#github.readJobLog(this.#scope, id, how, cancellationSignal());
    this.#logBytes += read.bytes;
    const sign = reader.verdict();
    const isCutByOthers = read.isCut && how.mostBytes < this.#policy.logBytes;
    return sign === null && (isCutByOthers || this.#isOver()) ? 'unread' : sign;
  }
}

/** Runs that were left to people, and that nobody has run again since. */
function stillLeft({ left = [] }: FailureMemory, failed: readonly Run[]): readonly DamagedRun[] {
  const isFailed = ({ run, attempt }: LeftRun): boolean => failed.some((each) => each.id === run && each.attempt === attempt);
  return left.filter(isFailed).map((each) => ({ ...each, jobs: [], otherJobs: 0 }));
}

/** A re-run of other jobs lists a job that was not run again as one of its own attempt. https://github.com/PostHog/posthog/pull/65573 */
function isCarriedOver(job: FailedJob, attemptStartedAt: number | null): boolean {
  return job.startedAt !== null && attemptStartedAt !== null && job.startedAt < attemptStartedAt;
}

type Asked = Parameters<FailureActivities['rerunJobs']>[0];

/** Sent once, in its turn, after a look at the run as it is. */
function rerun(github: GitHub, asked: Asked): Promise<RerunDone> {
  const { scope, run, attempt, plan } = asked;
  return github.inTurn(
    scope,
    async (turn) => {
      const { value: found, githubTime } = await github.readRun(scope, run, cancellationSignal());
      // An attempt before this one has reached GitHub, and could not say so.
      if (activityInfo().attempt > 1 && found !== null && found.attempt === attempt + 1) {
        turn.skip();
        return { kind: 're-run' };
      }
      const obstacle = rerunObstacle(found, { attempt, at: githubTime });
      if (obstacle !== null) {
        turn.skip();
        return { kind: 'left', why: obstacle };
      }
      const { value: written } =
        plan.kind === 'failed-jobs'
          ? await github.rerunFailedJobs(scope, run, cancellationSignal())
          : await github.rerunJob(scope, plan.job, cancellationSignal());
      return settle(github, asked, written);
    },
    cancellationSignal(),
  );
}

async function settle(github: GitHub, { scope, run, attempt, doubtMs }: Asked, written: RunWritten): Promise<RerunDone> {
  switch (written.kind) {
    case 'accepted':
      return { kind: 're-run' };
    case 'refused':
      return { kind: 'refused', why: written.why };
    case 'unanswered': {
      await sleep(doubtMs);
      const { value: found } = await github.readRun(scope, run, cancellationSignal());
      if (found !== null && found.attempt > attempt) {
        return { kind: 're-run' };
      }
      throw new Error(`GitHub did not answer the re-run of run ${run}: ${written.why}`);
    }
  }
}
