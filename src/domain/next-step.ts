// What a person reads of a finding: whether it is theirs at all, and what to do next. The one place where findings meet what is going on
// around them, so that `status`, `check`, `explain` and messages never contradict each other.

import { clockText, formatDuration } from './duration.ts';
import type { CureKind, Finding } from './finding.ts';
import type { Withheld } from './health-report.ts';
import { CURE_STUCK_AFTER_MS } from './policy.ts';
import type { RunningJob } from './running-job.ts';

/** An operation at work on a runner or its machine. */
export interface Work {
  readonly workflowId: string;
  readonly type: string;
  /** Epoch milliseconds; `null` if it is not known. */
  readonly since: number | null;
}

/** What is known of the checks of a scope. */
export type Checks =
  /** `at`: epoch milliseconds. */
  | { readonly kind: 'scheduled'; readonly at: number }
  /** There is one to come, and nobody says when. */
  | { readonly kind: 'some-time' }
  | { readonly kind: 'paused' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unknown' };

/** What is going on around a finding. Times are epoch milliseconds. */
export interface Around {
  readonly now: number;
  readonly mode: 'act' | 'watch';
  readonly checks: Checks;
  readonly atWork: Work | null;
  /** The job that runs there; `null` if none does, or nobody can name it. */
  readonly job: Pick<RunningJob, 'name' | 'run'> | null;
  /** Why checks leave the finding as it is; `null` if they do not, or nobody can say. */
  readonly withheld: Withheld | null;
}

/** A finding that is about one runner, or about none. */
export interface Told extends Finding {
  readonly cure: CureKind | null;
  /** The runner's name; `null` for what concerns a scope or a host. */
  readonly runner: string | null;
}

/** Who sees to a finding, if it is no person: the next check, or the operation at work. */
export type Handler = 'check' | 'operation';

/** What is to be done about a finding, and by whom; `null`: by a person, or nothing is. */
export interface NextStep {
  readonly advice: string;
  readonly handledBy: Handler | null;
}

/** What to do about a finding, as things are around it. */
export function nextStep(finding: Told, around: Around): NextStep {
  const { atWork, now } = around;
  if (atWork !== null && finding.runner !== null && isInMotion(finding, atWork.type)) {
    if (isTooLong(atWork, now)) {
      return byPerson(`it should be over: ${workText(atWork, now)}; \`runward explain ${atWork.workflowId}\` shows what it waits for`);
    }
    return { handledBy: 'operation', advice: `nothing yet: ${workText(atWork, now)}` };
  }
  // What is only worth knowing says by itself that it needs nobody.
  return finding.cure === null || finding.severity === 'info' || MISSED_BY_CHECKS.has(finding.code)
    ? byPerson(finding.advice)
    : stepOfCurable({ ...finding, cure: finding.cure }, around);
}

/** A drain lets a job end, however long that lasts. */
function isTooLong({ type, since }: Work, now: number): boolean {
  return type !== 'drainRunner' && since !== null && now - since >= CURE_STUCK_AFTER_MS;
}

/** Checks have tried for long, so that it is a person's turn. */
const MISSED_BY_CHECKS: ReadonlySet<string> = new Set(['cleaning-due']);

function byPerson(advice: string): NextStep {
  return { advice, handledBy: null };
}

function byCheck(advice: string): NextStep {
  return { advice, handledBy: 'check' };
}

type Curable = Told & { readonly cure: CureKind };

function stepOfCurable(finding: Curable, around: Around): NextStep {
  const { withheld, checks, mode, now, job } = around;
  const next = nextCheck(checks, now);
  const isToBeChecked = mode === 'act' && (checks.kind === 'scheduled' || checks.kind === 'some-time');
  switch (withheld?.reason) {
    case 'job':
      return { advice: jobAdvice(finding, job), handledBy: isToBeChecked ? 'check' : null };
    case 'busy':
      return { advice: `${withheld.why}; wait for it`, handledBy: isToBeChecked ? 'check' : null };
    case 'not-proven':
      return isToBeChecked ? byCheck(`waiting: ${next} confirms before acting; now: ${commandOf(finding)}`) : plannedStep(finding, around);
    case 'budget': {
      const from = withheld.until === undefined ? 'later' : `from ${clockText(Date.parse(withheld.until), now)} on`;
      return byPerson(`checks ${INFINITIVE[finding.cure]} it again ${from} (${withheld.limit}); now: ${commandOf(finding)}`);
    }
    case 'drained':
      return byPerson(`nothing while it is drained; \`runward runner resume --runner ${finding.runner}\` brings it back`);
    case 'unknown':
      return byPerson(`${finding.advice}; checks change nothing while a side is unknown`);
    case 'just-woke':
      return byCheck(`nothing yet: its host just woke, and ${next} looks again`);
    case 'disk-full':
      return byPerson(`free disk space first, since the disk is full; then ${next} ${doesText(finding)}`);
    case 'host-clock':
      return byPerson(`${withheld.why}; then ${next} ${doesText(finding)}`);
    case 'one-at-a-time':
      return withheld.until === undefined
        ? byCheck(`nothing yet: ${withheld.why}`)
        : byPerson(
            `checks ${INFINITIVE[finding.cure]} it from ${clockText(Date.parse(withheld.until), now)} on (${withheld.why}); now: ${commandOf(finding)}`,
          );
    case 'sharing':
    case 'at-work':
      return byCheck(`nothing yet: ${withheld.why}`);
    case 'watch':
    case 'meant-so':
    case undefined:
      return plannedStep(finding, around);
  }
}

/** Nothing of the runner's own stands in the way of a check. */
function plannedStep(finding: Curable, { checks, mode, now }: Around): NextStep {
  if (mode === 'watch') {
    return byPerson(`nothing is changed in watch mode; with \`mode: act\` a check ${doesText(finding)}`);
  }
  const byHand = `now: ${commandOf(finding)}`;
  switch (checks.kind) {
    case 'scheduled':
    case 'some-time':
      return byCheck(`${nextCheck(checks, now)} ${doesText(finding)}; ${byHand}`);
    case 'paused':
      return byPerson(`checks are paused: \`runward schedule resume\`; ${byHand}`);
    case 'missing':
      return byPerson(`no schedule checks it: \`runward schedule apply\`; ${byHand}`);
    case 'unknown':
      return byPerson(finding.advice);
  }
}

/** A person's command is refused as well while a job runs, unless it is forced. */
function jobAdvice({ runner, cure }: Curable, job: Around['job']): string {
  const wait = `${job === null ? 'a job runs' : `the job "${job.name}" of run ${job.run} runs`}: wait for it`;
  return cure === 'recover' || cure === 'sync-clock' ? `${wait} (\`runward recover --runner ${runner} --force\` cuts it)` : wait;
}

function nextCheck(checks: Checks, now: number): string {
  return checks.kind === 'scheduled' ? `the next check in ${formatDuration(Math.max(0, checks.at - now))}` : 'the next check';
}

/** Codes of what is down rather than broken, so that it is started. */
const STARTED: ReadonlySet<string> = new Set(['service-inactive', 'service-failed', 'machine-stopped', 'machine-suspended']);

const DOES: Readonly<Record<CureKind, string>> = {
  recover: 'recovers it',
  'sync-clock': 'sets it',
  'finish-drain': 'ends the drain',
  'make-room': 'frees disk space',
  'heal-cache': 'heals it',
  'clean-cache': 'cleans it if no job runs',
  'fetch-package': 'fetches it if no job runs or waits',
};

const INFINITIVE: Readonly<Record<CureKind, string>> = {
  recover: 'recover',
  'sync-clock': 'set',
  'finish-drain': 'drain',
  'make-room': 'free disk space of',
  'heal-cache': 'heal',
  'clean-cache': 'clean',
  'fetch-package': 'fetch the package of',
};

function doesText({ code, cure }: Curable): string {
  return cure === 'recover' && STARTED.has(code) ? 'starts it' : DOES[cure];
}

/** After "now:" a command stands by itself. */
function commandOf({ advice }: Curable): string {
  return advice.replace(/^run (?=`)/, '');
}

/** What an operation on the runner does not touch: it stays a person's matter. */
const UNTOUCHED: ReadonlySet<string> = new Set([
  'directory-taken',
  'labels-differ',
  'labels-lost',
  'group-differs',
  'version-retired',
  'version-retiring',
  'update-failed',
  'foreign-cleaner',
  'time-sync-off',
  'run-left',
  'budget-used-up',
  'cure-stuck',
  'registration-from-directory',
  'ephemeral-runner',
]);

/** What upkeep alone mends. */
const UPKEEP_FINDINGS: ReadonlySet<string> = new Set([
  'disk-full',
  'disk-below-floor',
  'disk-low',
  'inodes-low',
  'cache-damaged',
  'cleaning-due',
  'package-missing',
  'package-outdated',
]);
const UPKEEP_TYPES: ReadonlySet<string> = new Set([
  'fetchPackage',
  'makeRoom',
  'cleanActionsCache',
  'clearActionsCache',
  'healActionsCache',
]);

/** Whether what is seen of a runner may be no more than the work of an operation of this type, or is what it mends. */
export function isInMotion({ code }: Pick<Finding, 'code'>, type: string): boolean {
  return !UNTOUCHED.has(code) && (!UPKEEP_FINDINGS.has(code) || UPKEEP_TYPES.has(type));
}

const DOING: Readonly<Record<string, string>> = {
  recoverRunner: 'being recovered',
  syncClock: 'its clock being set',
  drainRunner: 'being drained',
  resumeRunner: 'being resumed',
  cleanActionsCache: 'its actions cache being cleaned',
  clearActionsCache: 'its actions cache being cleared',
  healActionsCache: 'its actions cache being healed',
  makeRoom: 'disk space being freed',
  fetchPackage: 'its package being fetched',
};

/** What becomes of a runner by an operation of this type. */
export function doingText({ type }: Pick<Work, 'type'>): string {
  return DOING[type] ?? `locked by ${type}`;
}

/** Such as "being recovered for 4.6 s (cure/octo-org/widgets/builder-04)". */
export function workText(work: Work, now: number): string {
  const lasting = work.since === null ? '' : ` for ${formatDuration(Math.max(0, now - work.since))}`;
  return `${doingText(work)}${lasting} (${work.workflowId})`;
}
