// Builders of a queue: every field has a value with which no rule does anything, and a test replaces what matters to it.

import fc from 'fast-check';
import { NOTHING_REMEMBERED, type QueueMemory } from '../../src/domain/queue/memory.ts';
import { modesOf, planQueue, type QueuePlan, type RuleModes } from '../../src/domain/queue/plan.ts';
import {
  DEFAULT_QUEUE_POLICY,
  type EventFilter,
  type QueuePolicy,
  type RuleMode,
  type RuleName,
  type RulePolicies,
} from '../../src/domain/queue/policy.ts';
import { labelSetOf, type JobGroup, type LabelSet, type Run, type RunJobs } from '../../src/domain/queue/run.ts';
import type { QueueView } from '../../src/domain/queue/verdict.ts';
import { NOW } from './observations.ts';

export { NOW };
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Labels of the only kind of runner that {@link aView} offers. */
export const OURS = labelSetOf(['self-hosted', 'Linux', 'X64', 'bpf-lsm']);

/** A push to a branch that nothing protects, ten minutes ago. */
export function aRun(replaced: Partial<Run> = {}): Run {
  const createdAt = replaced.createdAt ?? NOW - 10 * MINUTE;
  return {
    id: 1,
    workflowId: 10,
    workflow: 'CI',
    event: 'push',
    status: 'queued',
    conclusion: null,
    headRepositoryId: 100,
    isFromFork: (replaced.headRepositoryId === undefined ? 100 : replaced.headRepositoryId) !== 100,
    actor: `author-${replaced.id ?? 1}`,
    branch: 'topic',
    pullRequests: [],
    sha: `sha-of-${replaced.id ?? 1}`,
    attempt: 1,
    createdAt,
    startedAt: createdAt,
    updatedAt: replaced.startedAt ?? createdAt,
    ...replaced,
  };
}

/** Queued jobs with these labels. */
export function asking(labels: readonly string[], count = 1): JobGroup {
  return { labels: labelSetOf(labels), count };
}

/** One queued job that {@link OURS} serve; the total is the sum of what is named. */
export function jobsOf(replaced: Partial<RunJobs> = {}): RunJobs {
  const { started = 0, held = 0, queued = [asking(['self-hosted', 'bpf-lsm'])] } = replaced;
  const waiting = queued.reduce((sum, { count }) => sum + count, 0);
  return {
    run: 1,
    attempt: 1,
    total: started + held + waiting,
    started,
    held,
    queued,
    oldestQueuedAt: waiting === 0 ? null : NOW - 10 * MINUTE,
    work: ['build'],
    ...replaced,
  };
}

/** Jobs as they belong to the run: of its attempt, and queued since that began. */
export function jobsOfRun(run: Run, replaced: Partial<RunJobs> = {}): RunJobs {
  const { oldestQueuedAt } = jobsOf(replaced);
  return jobsOf({
    run: run.id,
    attempt: run.attempt,
    oldestQueuedAt: oldestQueuedAt === null ? null : (run.startedAt ?? run.createdAt),
    ...replaced,
  });
}

/** As {@link QueueView} has them. */
export function byRun(...jobs: readonly RunJobs[]): ReadonlyMap<number, RunJobs | null> {
  return new Map(jobs.map((each) => [each.run, each]));
}

/** A queue without runs, with one kind of runner that is online; nothing is remembered, and known is that `topic` is no tag. */
export function aView(replaced: Partial<QueueView> = {}): QueueView {
  return {
    at: NOW,
    runs: [],
    offered: [OURS],
    ours: replaced.offered ?? [OURS],
    silent: [],
    defaultBranch: 'main',
    jobs: new Map(),
    tags: new Map([['topic', false]]),
    memory: NOTHING_REMEMBERED,
    ...replaced,
  };
}

/** A view of these runs in which all their jobs are as {@link jobsOfRun} has them, and no name is a tag's. */
export function knownView(runs: readonly Run[], replaced: Partial<QueueView> = {}): QueueView {
  return aView({
    runs,
    jobs: byRun(...runs.map((run) => jobsOfRun(run))),
    tags: new Map(runs.flatMap(({ branch }) => (branch === null ? [] : [[branch, false]]))),
    ...replaced,
  });
}

/** The default policy, but for what is named. */
export function aPolicy(
  replaced: Partial<Omit<QueuePolicy, 'rules'>> & {
    readonly stale?: Partial<RulePolicies['stale']>;
    readonly superseded?: Partial<RulePolicies['superseded']>;
    readonly prioritizePullRequests?: Partial<RulePolicies['prioritizePullRequests']>;
  } = {},
): QueuePolicy {
  const { stale, superseded, prioritizePullRequests, ...rest } = replaced;
  const { rules } = DEFAULT_QUEUE_POLICY;
  return {
    ...DEFAULT_QUEUE_POLICY,
    rules: {
      ...rules,
      stale: { ...rules.stale, ...stale },
      superseded: { ...rules.superseded, ...superseded },
      prioritizePullRequests: { ...rules.prioritizePullRequests, ...prioritizePullRequests },
    },
    ...rest,
  };
}

/** What these rules say of the queue, or those that the policy turns on. */
export function planOf(view: QueueView, rules: readonly RuleName[] | null = null, policy: QueuePolicy = aPolicy()): QueuePlan {
  return planQueue(view, policy, modesOf(policy, rules));
}

/** Acts in short, such as `cancel 7 stale`. */
export function actsOf({ acts }: Pick<QueuePlan, 'acts'>): readonly string[] {
  return acts.map(({ does, run, rule }) => `${does} ${run} ${rule}`);
}

/** The view once all that is asked for is given, and what was asked on the way. A job that `truth` does not hold is unknown, and so is a tag. */
export function toldAll(
  view: QueueView,
  truth: Pick<QueueView, 'jobs' | 'tags'>,
  plan: (view: QueueView) => QueuePlan,
): { readonly view: QueueView; readonly plans: readonly QueuePlan[] } {
  const plans: QueuePlan[] = [];
  for (let told = view; ;) {
    const next = plan(told);
    plans.push(next);
    if (next.wantsJobs.length === 0 && next.wantsTags.length === 0) {
      return { view: told, plans };
    }
    if (plans.length > view.runs.length + 10) {
      throw new Error(`the plan still asks for jobs of [${next.wantsJobs.join(', ')}] and tags [${next.wantsTags.join(', ')}]`);
    }
    told = {
      ...told,
      jobs: new Map([...told.jobs, ...next.wantsJobs.map((run) => [run, truth.jobs.get(run) ?? null] as const)]),
      tags: new Map([...told.tags, ...next.wantsTags.map((name) => [name, truth.tags.get(name) ?? null] as const)]),
    };
  }
}

const OURS_TOO = labelSetOf(['self-hosted', 'gpu']);

/** Mostly the first, so that what is wrong stands alone often enough. */
function mostly<T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>, weight = 6): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: other });
}

const anyLabels = mostly<readonly string[]>(
  fc.constantFrom(['self-hosted', 'bpf-lsm'], ['self-hosted']),
  fc.constantFrom(['gpu'], ['self-hosted', 'gpu'], ['ubuntu-latest'], []),
  3,
);

/** Times on both sides of the limits: four hours, 29 days. */
const anyAge = mostly(
  fc.constantFrom(0, MINUTE, HOUR, 4 * HOUR),
  fc.constantFrom(4 * HOUR - 1, 4 * HOUR + 1, 9 * HOUR, 5 * DAY, 29 * DAY - 1, 29 * DAY, 40 * DAY),
  3,
);

const anyEvent = mostly(
  fc.constantFrom('push', 'pull_request'),
  fc.constantFrom('pull_request_target', 'merge_group', 'workflow_dispatch', 'schedule', 'release'),
);

/** What is random of a run and its jobs. */
const anyRunAndJobs = fc.record({
  run: fc.record({
    workflowId: mostly(fc.constant(10), fc.constant(11), 3),
    event: anyEvent,
    status: mostly(fc.constant('queued'), fc.constantFrom('waiting', 'pending', 'requested', 'action_required', 'in_progress'), 15),
    headRepositoryId: mostly(fc.constant<number | null>(100), fc.constantFrom(200, null)),
    branch: mostly(fc.constantFrom<string | null>('main', 'patch-1'), fc.constantFrom('v1', null)),
    pullRequests: fc.constantFrom([], [], [7], [7], [8], [7, 8]),
    sha: fc.constantFrom('a', 'b', 'c'),
    actor: fc.constantFrom<string | null>('ada', 'bob', null),
    attempt: mostly(fc.constant(1), fc.constantFrom(2, 50, 51)),
  }),
  createdAgo: anyAge,
  startedAgo: mostly<number | null | 'at once'>(fc.constant('at once'), mostly<number | null>(anyAge, fc.constant(null)), 1),
  jobs: fc.record({
    isOfOther: mostly(fc.constant(false), fc.constant(true), 15),
    started: mostly(fc.constant(0), fc.constant(1), 8),
    held: mostly(fc.constant(0), fc.constant(1), 8),
    skipped: mostly(fc.constant(0), fc.constant(1)),
    work: mostly<readonly string[]>(fc.constant(['build']), fc.constantFrom(['build', 'docs'], ['docs'], []), 4),
    queued: mostly<readonly JobGroup[]>(
      fc.array(fc.record({ labels: anyLabels.map((labels) => labelSetOf(labels)), count: fc.integer({ min: 1, max: 3 }) }), {
        minLength: 1,
        maxLength: 2,
      }),
      fc.constant([]),
      10,
    ),
  }),
  queuedAgo: mostly<number | null | 'at once'>(fc.constant('at once'), mostly<number | null>(anyAge, fc.constant(null)), 2),
  knowledge: mostly<'known' | 'unread' | 'unknown'>(fc.constant('known'), fc.constantFrom('unread', 'unknown'), 5),
});

export interface AnyQueue {
  readonly view: QueueView;
  /** What GitHub would say if it were asked for everything. */
  readonly truth: Pick<QueueView, 'jobs' | 'tags'>;
  readonly policy: QueuePolicy;
  readonly modes: RuleModes;
}

const anyMode = mostly<RuleMode>(fc.constant('on'), fc.constantFrom('plan', 'off'), 2);

/** As passes note them: of one kind of runner, one silence begins after another is over. */
function silencesOf(
  labels: LabelSet,
  each: readonly { readonly fromAgo: number; readonly forMs: number | null }[],
): NonNullable<QueueMemory['silences']> {
  const inOrder = each.toSorted((one, other) => other.fromAgo - one.fromAgo);
  return inOrder.flatMap(({ fromAgo, forMs }, index) => {
    const from = NOW - fromAgo;
    const until = forMs === null ? null : Math.min(NOW, from + forMs);
    const next = inOrder[index + 1];
    return next === undefined || (until !== null && until <= NOW - next.fromAgo) ? [{ labels, from, until }] : [];
  });
}

/** Queues in which runs collide: few workflows, repositories, branches, pull requests, labels, and times at the limits. */
export function anyQueue({
  isAllKnown = false,
  most = 14,
}: { readonly isAllKnown?: boolean; readonly most?: number } = {}): fc.Arbitrary<AnyQueue> {
  return fc
    .record({
      each: fc.oneof({ withCrossShrink: true }, fc.array(anyRunAndJobs, { maxLength: most, size: 'max' }), {
        weight: 3,
        arbitrary: fc.array(anyRunAndJobs, { minLength: most / 2, maxLength: most, size: 'max' }),
      }),
      idsFall: fc.boolean(),
      offered: fc.constantFrom([OURS], [OURS], [OURS, OURS_TOO], [OURS, OURS_TOO], [OURS_TOO], []),
      tags: fc.record({
        main: fc.constantFrom(false, false, false, true, null),
        'patch-1': fc.constant(false),
        v1: fc.constantFrom(true, true, null),
      }),
      tagsAreRead: mostly(fc.constant(true), fc.constant(false), 3),
      setAside: fc.array(fc.record({ run: fc.nat(most), attempt: fc.constantFrom(1, 2), retryIn: fc.constantFrom(-HOUR, 0, 1, HOUR) }), {
        maxLength: 3,
      }),
      reruns: fc.uniqueArray(fc.record({ run: fc.nat(most), ago: anyAge, parked: fc.nat(3) }), {
        maxLength: 5,
        selector: ({ run }) => run,
      }),
      threshold: fc.constantFrom(1, 1, 2, 3),
      then: fc.constantFrom('park' as const, 'cancel' as const),
      reach: fc.constantFrom('served' as const, 'served' as const, 'repository' as const),
      protect: fc.constantFrom(
        { defaultBranch: false, patterns: [] },
        { defaultBranch: true, patterns: [] },
        { defaultBranch: false, patterns: [{ glob: 'mai?', pattern: '^mai[^/]$' }] },
      ),
      events: fc.constantFrom<EventFilter>(
        DEFAULT_QUEUE_POLICY.rules.superseded.events,
        'all',
        { only: ['pull_request', 'push:tags'] },
        { except: ['push:tags'] },
      ),
      staleEvents: fc.constantFrom<EventFilter>(DEFAULT_QUEUE_POLICY.rules.stale.events, 'all', { only: ['push', 'schedule'] }),
      sameWork: fc.constantFrom('on' as const, 'on' as const, 'off' as const),
      clock: fc.constantFrom('online' as const, 'wall' as const),
      count: fc.constantFrom('pullRequests' as const, 'runs' as const),
      areAllOurs: mostly(fc.constant(true), fc.constant(false), 3),
      isSilent: mostly(fc.constant(false), fc.constant(true), 3),
      silences: fc.array(
        fc.record({ of: fc.nat(1), fromAgo: anyAge, forMs: fc.constantFrom<number | null>(MINUTE, HOUR, 5 * HOUR, null) }),
        {
          maxLength: 4,
        },
      ),
      defaultBranch: mostly<string | null>(fc.constantFrom('main', 'patch-1'), fc.constant(null)),
      demandReads: fc.constantFrom(200, 200, ...(isAllKnown ? [] : [2])),
      modes: fc.record({ stale: anyMode, superseded: anyMode, prioritizePullRequests: anyMode, paths: fc.constant('off' as const) }),
    })
    .map(
      ({
        each,
        idsFall,
        offered,
        tags,
        tagsAreRead,
        setAside,
        reruns,
        threshold,
        then,
        reach,
        protect,
        events,
        demandReads,
        modes,
        ...more
      }) => {
        const ago = (ms: number, createdAt = 0): number => Math.max(NOW - ms, createdAt);
        const known = each.map(({ run: replaced, createdAgo, startedAgo, queuedAgo, jobs, knowledge }, index) => {
          const createdAt = ago(createdAgo);
          const startedAt = startedAgo === null ? null : startedAgo === 'at once' ? createdAt : ago(startedAgo, createdAt);
          const [only, ...others] = replaced.pullRequests;
          // A pull request is of one branch.
          const branch = only === undefined || others.length > 0 ? replaced.branch : only === 7 ? 'patch-1' : 'main';
          const run = aRun({ ...replaced, branch, id: idsFall ? each.length - index : index + 1, createdAt, startedAt });
          const { isOfOther, skipped, ...counts } = jobs;
          const plain = jobsOf({ run: run.id, attempt: run.attempt + (isOfOther ? 1 : 0), ...counts });
          const queuedAt = queuedAgo === 'at once' ? (startedAt ?? createdAt) : queuedAgo === null ? null : ago(queuedAgo, createdAt);
          const oldestQueuedAt = plain.oldestQueuedAt === null ? null : queuedAt;
          return { run, knowledge: isAllKnown ? 'known' : knowledge, jobs: { ...plain, total: plain.total + skipped, oldestQueuedAt } };
        });
        const memory: QueueMemory = {
          setAside: [...new Map(setAside.map((entry) => [entry.run, entry])).values()].map(({ run, attempt, retryIn }) => ({
            run,
            attempt,
            why: 'it refuses',
            since: NOW - DAY,
            tries: 1,
            retryAt: NOW + retryIn,
          })),
          reruns: reruns.map(({ run, ago: rerunAgo, parked }) => ({ run, at: NOW - rerunAgo, parked })),
          silences: [OURS, OURS_TOO].flatMap((labels, kind) =>
            silencesOf(
              labels,
              more.silences.filter(({ of }) => of === kind),
            ),
          ),
        };
        const allTags = new Map<string, boolean | null>(Object.entries(tags));
        return {
          view: aView({
            runs: known.map(({ run }) => run),
            offered,
            ours: more.areAllOurs ? offered : offered.slice(0, 1),
            silent: more.isSilent ? offered.slice(0, 1) : [],
            defaultBranch: more.defaultBranch,
            jobs: new Map(
              known
                .filter(({ knowledge }) => knowledge !== 'unread')
                .map(({ run, knowledge, jobs }) => [run.id, knowledge === 'unknown' ? null : jobs]),
            ),
            tags: isAllKnown || tagsAreRead ? allTags : new Map(),
            memory,
          }),
          truth: { jobs: byRun(...known.map(({ jobs }) => jobs)), tags: allTags },
          policy: aPolicy({
            stale: { events: more.staleEvents, clock: more.clock },
            superseded: { protect, events, sameWork: more.sameWork },
            prioritizePullRequests: { threshold, then, count: more.count },
            reach,
            demandReads,
          }),
          modes,
        };
      },
    );
}
