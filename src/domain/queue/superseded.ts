import type { PlannedAct, QueueView, RuleContext, RuleVerdict } from './verdict.ts';
import type { EventFilter, RulePolicies } from './policy.ts';
import { isInReach, isUntouched, PULL_REQUEST_EVENTS, type Run } from './run.ts';
import { whatIs } from './stale.ts';

/** Runs that a newer one of the same workflow, head repository, pull request or ref, and event has replaced, before either has started. */
export function superseded(context: RuleContext): RuleVerdict {
  const { view, runs, policy, taken } = context;
  const isProtected = protection(policy.rules.superseded);
  const groups = groupsOf(
    runs.filter((run) => !taken.has(run.id) && !isProtected(run)),
    policy.rules.superseded,
  ).filter((group) => group.length > 1);
  const acts: PlannedAct[] = [];
  const wantsJobs: number[] = [];
  const wantsTags = new Set<string>();
  const unreadTags = new Set<string>();
  for (const group of groups) {
    wantsJobs.push(...group.filter(({ id }) => !view.jobs.has(id)).map(({ id }) => id));
    const found = replacedIn(group, context);
    const tag = found.length === 0 ? false : tagOf(group[0] as Run, view);
    if (tag === 'unread') {
      wantsTags.add(group[0]?.branch ?? '');
    } else if (tag === 'unknown') {
      unreadTags.add(group[0]?.branch ?? '');
    } else if (!tag) {
      acts.push(...found);
    }
  }
  const notes = [...unreadTags].map(
    (name) =>
      `superseded: runs for ${name} are left alone, since GitHub does not say whether it is a tag; give the token the permission "Contents: read"`,
  );
  return { acts: inOrder(acts), wantsJobs, wantsTags: [...wantsTags], left: [], notes };
}

/** Runs that a newer one would replace if their branch were not protected, or a tag; as far as their jobs are known. */
export function keptDespiteNewer(
  context: RuleContext,
): readonly { readonly run: number; readonly newer: number; readonly why: 'protected' | 'tag' }[] {
  const { view, runs, policy, taken } = context;
  const isProtected = protection(policy.rules.superseded);
  const groups = groupsOf(
    runs.filter(({ id }) => !taken.has(id)),
    policy.rules.superseded,
  );
  return groups.flatMap((group) => {
    const [newest] = group as readonly [Run];
    const why = isProtected(newest) ? 'protected' : tagOf(newest, view) === true ? 'tag' : null;
    const found = why === null ? [] : replacedIn(group, context);
    return found.flatMap(({ run, newer }) => (newer === null || why === null ? [] : [{ run, newer, why }]));
  });
}

/** Whether a run is for a branch whose runs are never superseded. */
function protection({ protect }: RulePolicies['superseded']): (run: Run) => boolean {
  const patterns = protect.patterns.map(({ pattern }) => new RegExp(`^(?:${pattern})$`));
  return ({ branch }) => branch !== null && patterns.some((pattern) => pattern.test(branch));
}

/** Whether runs of this event, `push:tags` for a tag's, are meant. */
export function isNamed(events: EventFilter, event: string): boolean {
  if (events === 'all') {
    return true;
  }
  return 'only' in events ? events.only.includes(event) : !events.except.includes(event);
}

/** All of one identity, newest first. A run whose identity is not known belongs to none. */
function groupsOf(runs: readonly Run[], { events }: RulePolicies['superseded']): readonly (readonly Run[])[] {
  const listed = runs.filter(({ event, branch }) => isNamed(events, event) && branch !== null);
  const groups = Map.groupBy(listed, identityOf);
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
 * Whether the newer run replaces the older one of the same identity. Where it is not known which pull request they are for, runs of one commit
 * may belong to two.
 */
export function replaces(newer: Run, older: Run): boolean {
  const isOrdered = newer.createdAt > older.createdAt || (newer.createdAt === older.createdAt && newer.id > older.id);
  const isSure = !PULL_REQUEST_EVENTS.includes(older.event) || onlyPullRequest(older) !== null || newer.sha !== older.sha;
  return isOrdered && isSure && identityOf(newer) !== null && identityOf(newer) === identityOf(older);
}

function replacedIn(group: readonly Run[], { view, policy }: RuleContext): readonly PlannedAct[] {
  const waiting = group.filter(({ id, attempt }) => {
    const jobs = view.jobs.get(id);
    return jobs != null && jobs.attempt === attempt && isUntouched(jobs);
  });
  // Of one identity, only the commit may keep the newest from replacing a run; then the newest of another commit may.
  const [newest] = waiting;
  const replacing = [newest, waiting.find(({ sha }) => sha !== newest?.sha)].filter((run) => run !== undefined);
  return waiting.flatMap((run) => {
    const newer = replacing.find((other) => replaces(other, run));
    const jobs = view.jobs.get(run.id);
    return newer === undefined || jobs == null || !isInReach(jobs, view.offered, policy.reach)
      ? []
      : [{ ...whatIs(run), rule: 'superseded' as const, does: 'cancel' as const, evidence: supersededText(run, newer), newer: newer.id }];
  });
}

export function supersededText(run: Run, newer: Run): string {
  const of = onlyPullRequest(run) ?? `${run.event} to ${run.branch}`;
  return `run ${newer.id} of the same workflow for ${of} is newer, and neither has started`;
}

/** A tag's runs are releases. */
function tagOf({ event, branch }: Run, { tags }: QueueView): boolean | 'unread' | 'unknown' {
  if (event !== 'push' || branch === null) {
    return false;
  }
  const isTag = tags.get(branch);
  return isTag === undefined ? 'unread' : (isTag ?? 'unknown');
}

function inOrder(acts: readonly PlannedAct[]): readonly PlannedAct[] {
  return acts.toSorted((one, other) => one.run - other.run);
}
