import { proxyActivities } from '@temporalio/workflow';
import type {
  Limited,
  MainActivities,
  OtherStatus,
  QueueGround,
  QueueHomes,
  QueuePart,
  QueueSurroundings,
  ResolvedQueue,
  RunnersOfQueue,
} from '../activities/contract.ts';
import type { QueueMemory } from '../domain/queue/memory.ts';
import { planQueue, type QueuePlan, type RuleModes } from '../domain/queue/plan.ts';
import type { Run, RunJobs } from '../domain/queue/run.ts';
import { labelSetsOf, silentSetsOf } from '../domain/queue/takers.ts';
import { queueListOptions, queueReadOptions } from './options.ts';
import type { Told } from './told.ts';

/** Parts of the list of queued runs: 500 runs each, so more than any queue has. */
const MOST_PARTS = 200;

/** Names of which one activity asks whether they are tags. */
const TAGS_AT_ONCE = 100;

/** A queue as GitHub lists it. */
export interface ListedQueue {
  /** GitHub's clock, epoch milliseconds. */
  readonly at: number;
  readonly runs: readonly Run[];
}

/** With what is around it. */
export interface SeenQueue extends ListedQueue {
  readonly surroundings: QueueSurroundings;
}

/** What is to be done about it, and what that rests on. */
export interface PlannedQueue {
  readonly plan: QueuePlan;
  readonly jobs: ReadonlyMap<number, RunJobs | null>;
  /** Whether names of pushes are tags', as far as that was read. */
  readonly tags: ReadonlyMap<string, boolean | null>;
  /** Runs that a rule asked about, and whose jobs are not known. */
  readonly unread: number;
  /** Why not all was read; none where it was. */
  readonly notes: readonly string[];
}

/** Whose queue is looked at. */
type LookedAfter = QueueHomes & Pick<ResolvedQueue, 'policy'>;

/** Hears how far it is, and waits out limits. */
type Teller = Pick<Told, 'say' | 'waitFor'>;

/** The queue to its last run, a part at a time, with what is around it; limits are waited out. */
export async function lookAtQueue(of: LookedAfter, counted: readonly OtherStatus[], told: Teller): Promise<SeenQueue> {
  const { scope, policy } = of;
  told.say(`reading the queue of ${scope}`);
  const { readQueue } = proxyActivities<MainActivities>(queueListOptions(policy, `read the queue of ${scope}`));
  const first = await withinLimits(told, () => readQueue({ ...homesOf(of), pages: policy.pagesAtOnce, counted }));
  return { ...(await readOn(of, first, told)), surroundings: first.surroundings };
}

/** The same without what is around it. */
export async function readWholeQueue(of: LookedAfter, told: Teller): Promise<ListedQueue> {
  told.say(`reading the queue of ${of.scope}`);
  return readOn(of, await readPart(of, null, told), told);
}

async function readOn(of: LookedAfter, first: QueuePart, told: Teller): Promise<ListedQueue> {
  const runs = new Map(first.runs.map((run) => [run.id, run]));
  let { at, next } = first;
  for (let part = 2; next !== null && part <= MOST_PARTS; part += 1) {
    told.say(`reading the queue of ${of.scope}: ${runs.size} runs so far`);
    const read = await readPart(of, next, told);
    for (const run of read.runs) {
      runs.set(run.id, run);
    }
    ({ at, next } = read);
  }
  return { at, runs: [...runs.values()] };
}

function readPart({ scope, policy }: LookedAfter, from: number | null, told: Teller): Promise<QueuePart> {
  const { readQueuePart } = proxyActivities<MainActivities>(queueListOptions(policy, `read the queue of ${scope}`));
  return withinLimits(told, () => readQueuePart({ scope, from, pages: policy.pagesAtOnce }));
}

/** The repository's runners, one by one. */
export async function readRunners(of: LookedAfter, told: Teller): Promise<RunnersOfQueue> {
  const { readQueueRunners } = proxyActivities<MainActivities>(queueListOptions(of.policy, `read the runners of ${of.scope}`));
  return withinLimits(told, () => readQueueRunners(homesOf(of)));
}

function homesOf({ scope, configured, organisation }: QueueHomes): QueueHomes {
  return { scope, configured, organisation };
}

/** What rules know of these runners. */
export function groundOfRunners({ runners, defaultBranch }: Pick<RunnersOfQueue, 'runners' | 'defaultBranch'>): QueueGround {
  return {
    offered: labelSetsOf(runners),
    ours: labelSetsOf(runners.filter(({ isOurs }) => isOurs)),
    silent: silentSetsOf(runners),
    defaultBranch,
  };
}

async function withinLimits<T extends { readonly kind: 'read' }>(told: Teller, ask: () => Promise<T | Limited>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer.kind === 'read') {
      return answer as T;
    }
    await told.waitFor(answer as Limited);
  }
}

/** How a queue is planned. */
export interface Planning {
  readonly resolved: LookedAfter;
  readonly modes: RuleModes;
  /** Acts that are wanted, at most. */
  readonly most: number;
}

export function groundOf({ offered, ours, silent, defaultBranch }: QueueGround): QueueGround {
  return { offered, ours, silent, defaultBranch };
}

/**
 * Plans with what is known, and reads what the rules ask for, until they ask for nothing more or have found enough. A limit ends the reading: what
 * is not known leads to no act.
 */
export async function planSeen(
  seen: ListedQueue & { readonly surroundings: QueueGround },
  memory: QueueMemory,
  planning: Planning,
  told: Pick<Told, 'say'>,
): Promise<PlannedQueue> {
  const { resolved, modes, most } = planning;
  const { at, runs, surroundings } = seen;
  const jobs = new Map<number, RunJobs | null>();
  const tags = new Map<string, boolean | null>();
  let limited: Limited | null = null;
  for (;;) {
    const plan = planQueue({ at, runs, ...groundOf(surroundings), jobs, tags, memory }, resolved.policy, modes, most);
    const names: readonly string[] = plan.wantsTags.slice(0, TAGS_AT_ONCE);
    const wanted: readonly number[] = plan.wantsJobs.slice(0, resolved.policy.batchSize);
    if (limited !== null || (names.length === 0 && wanted.length === 0)) {
      const unread = plan.wantsJobs.length + [...jobs.values()].filter((read) => read === null).length;
      return { plan, jobs, tags, unread, notes: limited === null ? [] : [unreadJobs(limited)] };
    }
    told.say(`${runs.length} runs are queued, jobs of ${jobs.size} of them are read: ${plan.acts.length} to act on so far`);
    limited = (await readTags(resolved, withPushes(names, runs), tags)) ?? (await readJobs(resolved, { runs, wanted }, jobs));
  }
}

/** Each with its newest push. */
function withPushes(names: readonly string[], runs: readonly Run[]): readonly Push[] {
  const pushedAt = new Map<string | null, number>();
  for (const { event, branch, createdAt } of runs) {
    pushedAt.set(branch, Math.max(pushedAt.get(branch) ?? 0, event === 'push' ? createdAt : 0));
  }
  return names.map((name) => ({ name, pushedAt: pushedAt.get(name) ?? Infinity }));
}

interface Push {
  readonly name: string;
  readonly pushedAt: number;
}

async function readTags(
  { scope, policy }: LookedAfter,
  names: readonly Push[],
  tags: Map<string, boolean | null>,
): Promise<Limited | null> {
  if (names.length === 0) {
    return null;
  }
  const github = proxyActivities<MainActivities>(queueReadOptions(policy, `are ${names.length} names tags?`));
  const read = await github.readTags({ scope, names });
  if (read.kind === 'limited') {
    return read;
  }
  for (const [name, isTag] of read.tags) {
    tags.set(name, isTag);
  }
  return null;
}

/** What is planned, with the jobs of these runs as well, of which no rule may have asked; a limit ends the reading. */
export async function withJobsOf(shown: readonly Run[], planned: PlannedQueue, resolved: ResolvedQueue): Promise<PlannedQueue> {
  const jobs = new Map(planned.jobs);
  for (;;) {
    const wanted = shown.map(({ id }) => id).filter((id) => !jobs.has(id));
    if (wanted.length === 0) {
      return { ...planned, jobs };
    }
    const batch = { runs: shown, wanted: wanted.slice(0, resolved.policy.batchSize) };
    const limited = await readJobs(resolved, batch, jobs);
    if (limited !== null) {
      return { ...planned, jobs, notes: [...planned.notes, unreadJobs(limited)] };
    }
  }
}

function unreadJobs({ why }: Limited): string {
  return `not all jobs could be read: ${why}`;
}

async function readJobs(
  { scope, policy }: LookedAfter,
  { runs, wanted }: { readonly runs: readonly Run[]; readonly wanted: readonly number[] },
  jobs: Map<number, RunJobs | null>,
): Promise<Limited | null> {
  if (wanted.length === 0) {
    return null;
  }
  const listed = new Map(runs.map((run) => [run.id, run]));
  const asked = wanted.map((run) => [run, listed.get(run)?.attempt ?? 1, listed.get(run)?.updatedAt ?? null] as const);
  const { readJobsOfRuns } = proxyActivities<MainActivities>(queueReadOptions(policy, `read the jobs of ${wanted.length} runs`));
  const read = await readJobsOfRuns({ scope, runs: asked });
  for (const each of read.jobs) {
    jobs.set(each.run, each);
  }
  for (const run of read.unread) {
    jobs.set(run, null);
  }
  return read.limited;
}
