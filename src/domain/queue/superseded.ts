import type { RulePolicies } from './policy.ts';
import { isNamed, protection, unknownDefaultNote, unknownTagNote } from './refs.ts';
import { isInReach, isUntouched, PULL_REQUEST_EVENTS, type Run, type RunJobs } from './run.ts';
import { whatIs } from './stale.ts';
import type { PlannedAct, RuleContext, RuleVerdict } from './verdict.ts';

/** Runs that a newer one of the same workflow, head repository, pull request or ref, and event has replaced, before either has started. */
export function superseded(context: RuleContext): RuleVerdict {
  const { view, runs, policy, taken } = context;
  const { protect, events } = policy.rules.superseded;
  const protectionOf = protection(protect, view.defaultBranch);
  const groups = groupsOf(
    runs.filter((run) => !taken.has(run.id) && protectionOf(run) !== 'protected' && isNamed(events, run, view.tags) !== 'not-named'),
  ).filter((group) => group.length > 1);
  const acts: PlannedAct[] = [];
  const wantsJobs: number[] = [];
  const wantsTags = new Set<string>();
  const notes = new Set<string>();
  for (const group of groups) {
    const [newest] = group as readonly [Run];
    if (protectionOf(newest) === 'unknown') {
      notes.add(unknownDefaultNote('superseded'));
      continue;
    }
    wantsJobs.push(...group.filter(({ id }) => !view.jobs.has(id)).map(({ id }) => id));
    const found = replacedIn(group, context);
    const named = found.length === 0 ? 'not-named' : isNamed(events, newest, view.tags);
    if (named === 'unread') {
      wantsTags.add(newest.branch ?? '');
    } else if (named === 'unknown') {
      notes.add(unknownTagNote('superseded', newest.branch ?? 'a push'));
    } else if (named === 'named') {
      acts.push(...found);
    }
  }
  return { acts: inOrder(acts), wantsJobs, wantsTags: [...wantsTags], left: [], notes: [...notes] };
}

/** Runs that a newer one would replace if their branch were not protected, or a tag; as far as their jobs are known. */
export function keptDespiteNewer(
  context: RuleContext,
): readonly { readonly run: number; readonly newer: number; readonly why: 'protected' | 'tag' }[] {
  const { view, runs, policy, taken } = context;
  const { protect, events } = policy.rules.superseded;
  const protectionOf = protection(protect, view.defaultBranch);
  const groups = groupsOf(runs.filter(({ id }) => !taken.has(id)));
  return groups.flatMap((group) => {
    const [newest] = group as readonly [Run];
    const isTag = newest.event === 'push' && newest.branch !== null && view.tags.get(newest.branch) === true;
    const isUsual = isNamed(events, { ...newest, event: isTag ? 'push:tags' : newest.event }, new Map()) === 'named';
    const why = protectionOf(newest) !== 'free' ? 'protected' : isTag && !isUsual ? 'tag' : null;
    const isMeant = isTag || isNamed(events, newest, view.tags) !== 'not-named';
    const found = why === null || !isMeant ? [] : replacedIn(group, context);
    return found.flatMap(({ run, newer }) => (newer === null || why === null ? [] : [{ run, newer, why }]));
  });
}

/** All of one identity, newest first. A run whose identity is not known belongs to none. */
function groupsOf(runs: readonly Run[]): readonly (readonly Run[])[] {
  const groups = Map.groupBy(runs, identityOf);
  groups.delete(null);
  return [...groups.values()].map((group) => group.toSorted((one, other) => other.createdAt - one.createdAt || other.id - one.id));
}

/** `null` where a part of it is unknown, as the repository of a deleted fork. */
export function identityOf(run: Run): string | null {
  const { workflowId, headRepositoryId, branch, event } = run;
  if (headRepositoryId === null || branch === null) {
    return null;
  }
  const of = onlyPullRequest(run) ?? `ref ${branch}`;
  return JSON.stringify([workflowId, headRepositoryId, of, event]);
}

/** GitHub lists all open pull requests of the head, and none of a fork's: with exactly one it is that. */
function onlyPullRequest({ event, pullRequests }: Run): string | null {
  return PULL_REQUEST_EVENTS.includes(event) && pullRequests.length === 1 ? `pull request ${pullRequests[0]}` : null;
}

/**
 * Whether the newer run replaces the older one of the same identity. A person's re-run is new, so it is replaced only by what began after it;
 * and it replaces nothing that was created after its run. If it is not known which pull request they are for, runs of one commit may belong to two.
 */
export function replaces(newer: Run, older: Run): boolean {
  return follows(newer, older) && identityOf(newer) !== null && identityOf(newer) === identityOf(older);
}

/** Of two runs of one identity. */
function follows(newer: Run, older: Run): boolean {
  const isCreatedLater = newer.createdAt > older.createdAt || (newer.createdAt === older.createdAt && newer.id > older.id);
  const [newerAt, olderAt] = [begunAt(newer), begunAt(older)];
  const isOrdered = isCreatedLater && newerAt !== null && olderAt !== null && newerAt >= olderAt;
  const isSure = !PULL_REQUEST_EVENTS.includes(older.event) || onlyPullRequest(older) !== null || newer.sha !== older.sha;
  return isOrdered && isSure;
}

/** Of its attempt; `null` if GitHub does not say when a re-run began. */
function begunAt({ startedAt, createdAt, attempt }: Run): number | null {
  return startedAt ?? (attempt === 1 ? createdAt : null);
}

/** Whether each job of the older run that was not skipped has its counterpart in the newer one, by name: label events and conditions skip jobs. */
function doesSameWork(newer: Pick<RunJobs, 'work'>, older: Pick<RunJobs, 'work'>): boolean {
  const work = new Set(newer.work);
  return older.work.every((job) => work.has(job));
}

/** Of thousands that all do something else, the newest are enough to look at. */
const MOST_CANDIDATES = 50;

function replacedIn(group: readonly Run[], { view, policy }: RuleContext): readonly PlannedAct[] {
  const waiting = group.flatMap((run) => {
    const jobs = view.jobs.get(run.id);
    return jobs != null && jobs.attempt === run.attempt && isUntouched(jobs) ? [{ run, jobs }] : [];
  });
  return waiting.flatMap(({ run, jobs }, index) => {
    if (!isInReach(jobs, view.offered, policy.reach)) {
      return [];
    }
    const candidates = waiting.slice(0, Math.min(index, MOST_CANDIDATES));
    const newer = candidates.find((other) => follows(other.run, run) && isEnough(other.jobs, jobs, policy));
    return newer === undefined
      ? []
      : [
          {
            ...whatIs(run),
            rule: 'superseded' as const,
            does: 'cancel' as const,
            evidence: supersededText(run, newer.run),
            newer: newer.run.id,
          },
        ];
  });
}

/** Whether what the newer one does is enough. */
export function isEnough(
  newer: Pick<RunJobs, 'work'>,
  older: Pick<RunJobs, 'work'>,
  { rules }: { readonly rules: Pick<RulePolicies, 'superseded'> },
): boolean {
  return rules.superseded.sameWork === 'off' || doesSameWork(newer, older);
}

export function supersededText(run: Run, newer: Run): string {
  const of = onlyPullRequest(run) ?? `${run.event} to ${run.branch}`;
  return `run ${newer.id} of the same workflow for ${of} is newer, and neither has started`;
}

function inOrder(acts: readonly PlannedAct[]): readonly PlannedAct[] {
  return acts.toSorted((one, other) => one.run - other.run);
}
