import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { modesOf, planQueue, type RuleModes } from '../../../src/domain/queue/plan.ts';
import { DEFAULT_QUEUE_POLICY, type QueuePolicy } from '../../../src/domain/queue/policy.ts';
import type { Run, RunJobs } from '../../../src/domain/queue/run.ts';
import { identityOf } from '../../../src/domain/queue/superseded.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import {
  actsOf,
  anyQueue,
  aPolicy,
  aRun,
  asking,
  aView,
  byRun,
  DAY,
  HOUR,
  jobsOfRun,
  knownView,
  NOW,
  OURS,
  planOf,
  toldAll,
} from '../../kit/queue.ts';

describe('modes', () => {
  test('by configuration, and `paths` is off whatever it says', () => {
    const policy = aPolicy({ stale: { mode: 'plan' }, superseded: { mode: 'off' } });
    expect(modesOf(policy, null)).toEqual({ stale: 'plan', superseded: 'off', prioritizePullRequests: 'on', paths: 'off' });
  });

  test('rules that a person names are on, and no others', () => {
    const off = aPolicy({ stale: { mode: 'off' }, superseded: { mode: 'plan' } });
    expect(modesOf(off, ['stale', 'superseded'])).toEqual({ stale: 'on', superseded: 'on', prioritizePullRequests: 'off', paths: 'off' });
    expect(modesOf(off, ['paths'])).toEqual({ stale: 'off', superseded: 'off', prioritizePullRequests: 'off', paths: 'off' });
    expect(modesOf(off, [])).toEqual({ stale: 'off', superseded: 'off', prioritizePullRequests: 'off', paths: 'off' });
  });

  // Run 1 is stale, superseded by run 2, and makes way for pull requests; run 2 makes way alone.
  const contested = [
    aRun({ id: 1, createdAt: NOW - 5 * HOUR }),
    aRun({ id: 2, createdAt: NOW - HOUR }),
    aRun({ id: 3, event: 'pull_request', branch: 'patch-1' }),
    aRun({ id: 4, event: 'pull_request', branch: 'patch-2' }),
  ];
  const STALE = 'cancel 1 stale';
  const SUPERSEDED = 'cancel 1 superseded';
  const FIRST = 'park 1 prioritizePullRequests';
  const SECOND = 'park 2 prioritizePullRequests';

  test.each([
    { modes: ['on', 'on', 'on'], acts: [STALE, SECOND], wouldBe: [], why: 'what an earlier rule takes, a later one leaves alone' },
    { modes: ['off', 'on', 'on'], acts: [SUPERSEDED, SECOND], wouldBe: [], why: 'a rule that is off takes nothing' },
    { modes: ['off', 'off', 'on'], acts: [FIRST, SECOND], wouldBe: [], why: 'only one is on' },
    { modes: ['plan', 'plan', 'plan'], acts: [], wouldBe: [STALE, SECOND], why: 'each run is planned once, by the first' },
    { modes: ['plan', 'on', 'on'], acts: [SUPERSEDED, SECOND], wouldBe: [], why: 'a rule that plans takes nothing from one that is on' },
    { modes: ['on', 'plan', 'plan'], acts: [STALE], wouldBe: [SECOND], why: 'what is taken is not planned again' },
    { modes: ['off', 'plan', 'off'], acts: [], wouldBe: [SUPERSEDED], why: 'one plans' },
    { modes: ['plan', 'off', 'on'], acts: [FIRST, SECOND], wouldBe: [], why: 'what a later rule takes is not planned by an earlier one' },
    { modes: ['off', 'off', 'off'], acts: [], wouldBe: [], why: 'all are off' },
  ] as const)('$modes: $why', ({ modes: [stale, superseded, prioritizePullRequests], acts, wouldBe }) => {
    const modes: RuleModes = { stale, superseded, prioritizePullRequests, paths: 'off' };
    const plan = planQueue(knownView(contested), aPolicy({ prioritizePullRequests: { threshold: 1 } }), modes);
    expect(actsOf(plan)).toEqual(acts);
    expect(actsOf({ acts: plan.wouldBe })).toEqual(wouldBe);
  });

  test.each([
    { superseded: 'on', parks: [] },
    { superseded: 'plan', parks: [FIRST, SECOND] },
  ] as const)('a later rule waits for what one that is $superseded still asks', ({ superseded, parks }) => {
    const policy = aPolicy({ stale: { mode: 'off' }, superseded: { mode: superseded }, prioritizePullRequests: { threshold: 1 } });
    const ofAnother = [5, 6].map((id) => aRun({ id, event: 'pull_request', branch: 'patch-3', workflowId: 12 }));
    const settled = knownView([...contested, ...ofAnother]);
    const open = { ...settled, jobs: new Map([...settled.jobs].filter(([run]) => run !== 6)) };
    const { acts, wantsJobs } = planOf(open, null, policy);
    expect(wantsJobs).toContain(6);
    expect(actsOf({ acts: acts.filter(({ does }) => does === 'park') })).toEqual(parks);
    expect(actsOf(planOf(settled, null, policy))).toContain(SECOND);
  });

  test('a rule that is off asks for nothing, and presses on nobody', () => {
    const off: RuleModes = { stale: 'off', superseded: 'off', prioritizePullRequests: 'off', paths: 'off' };
    expect(planQueue(aView({ runs: contested }), aPolicy({ prioritizePullRequests: { threshold: 1 } }), off)).toMatchObject({
      wantsJobs: [],
      wantsTags: [],
      pressed: [],
      overdue: 1,
    });
  });

  test('the pressure is known where the rule only plans', () => {
    const policy = aPolicy({ prioritizePullRequests: { threshold: 1, mode: 'plan' } });
    expect(planOf(knownView(contested), null, policy).pressed).toEqual([OURS]);
    expect(planOf(aView({ runs: contested }), null, policy).pressed).toBeNull();
  });
});

describe('what is queued', () => {
  const old = aRun({ createdAt: NOW - 5 * HOUR });

  test('a run that two pages show counts once, by its newest attempt', () => {
    expect(actsOf(planOf(knownView([old, old])))).toEqual(['cancel 1 stale']);
    const rerun = { ...old, attempt: 2, startedAt: NOW };
    for (const runs of [
      [old, rerun],
      [rerun, old],
    ]) {
      expect(planOf(knownView(runs, { jobs: byRun(jobsOfRun(old)) }))).toMatchObject({ acts: [], overdue: 0, setAside: 0 });
    }
    const started = { ...old, attempt: 2, status: 'in_progress' };
    expect(planOf(knownView([started, old], { jobs: byRun(jobsOfRun(old)) }))).toMatchObject({ acts: [], overdue: 0 });
    const pullRequests = [1, 1, 2, 2, 3, 3].map((id) => aRun({ id, event: 'pull_request' }));
    expect(planOf(knownView([...pullRequests, aRun({ id: 4 })])).pressed).toEqual([]);
  });

  test('overdue are all that wait for longer than stale ones may, set aside are the others that count no more', () => {
    const aside = (run: number, retryAt: number) => ({ run, attempt: 1, why: '409', since: 0, tries: 1, retryAt });
    const runs = [1, 2, 3, 4, 5].map((id) => ({ ...old, id, branch: `branch-${id}` }));
    const jobs = byRun(
      jobsOfRun(runs[0]!, { started: 1 }),
      jobsOfRun(runs[1]!, { queued: [asking(['ubuntu-latest'])] }),
      jobsOfRun(runs[2]!, { total: 0, queued: [] }),
    );
    const view = knownView([...runs, aRun({ id: 6 }), { ...old, id: 7, status: 'pending' }], {
      jobs,
      memory: { setAside: [aside(4, NOW + 1), aside(5, NOW), aside(99, NOW + 1)], reruns: [] },
    });
    expect(planOf(knownView([aRun({ createdAt: NOW - 4 * HOUR })])).overdue).toBe(0);
    expect(planOf(view)).toMatchObject({ overdue: 3, setAside: 2, zombies: [{ run: 3, attempt: 1 }], wantsJobs: [5] });
  });

  test('a zombie neither replaces another run nor counts as demand', () => {
    const runs = [aRun({ id: 1, createdAt: NOW - 6 * HOUR, startedAt: NOW - HOUR }), { ...old, id: 2 }];
    const jobs = byRun(jobsOfRun(runs[0]!), jobsOfRun(runs[1]!, { total: 0, queued: [] }));
    expect(planOf(knownView(runs, { jobs }))).toMatchObject({ acts: [], zombies: [{ run: 2 }] });
  });
});

function untouchedJobs(view: QueueView, { id, attempt }: Run): boolean {
  const jobs = view.jobs.get(id);
  return jobs != null && jobs.attempt === attempt && jobs.started === 0 && jobs.held === 0 && jobs.queued.length > 0;
}

/** The queue without what was done. */
function applied(view: QueueView, acts: readonly { readonly run: number }[]): QueueView {
  const gone = new Set(acts.map(({ run }) => run));
  return { ...view, runs: view.runs.filter(({ id }) => !gone.has(id)) };
}

describe('whatever is queued', () => {
  test('only runs that wait and of which no job has begun are acted on, each once, as the policy allows', () => {
    let acts = 0;
    fc.assert(
      fc.property(anyQueue(), ({ view, policy, modes }) => {
        const plan = planQueue(view, policy, modes);
        const all = [...plan.acts, ...plan.wouldBe];
        expect(new Set(all.map(({ run }) => run)).size).toBe(all.length);
        for (const act of all) {
          acts += 1;
          const run = view.runs.find(({ id }) => id === act.run)!;
          expect(run).toMatchObject({ status: 'queued', attempt: act.attempt, event: act.event, branch: act.branch });
          expect(untouchedJobs(view, run)).toBe(true);
          expect(modes[act.rule]).toBe(plan.acts.includes(act) ? 'on' : 'plan');
          expect(view.memory.setAside.some((entry) => entry.run === run.id && entry.attempt === run.attempt && entry.retryAt > NOW)).toBe(
            false,
          );
          expect(plan.zombies.some((zombie) => zombie.run === run.id)).toBe(false);
          expect(plan.left.some((left) => left.run === run.id) && plan.acts.includes(act)).toBe(false);
          expectAllowed(act, run, view, policy);
        }
      }),
      { numRuns: 1_500 },
    );
    expect(acts).toBeGreaterThan(500);
  });

  function expectAllowed(act: ReturnType<typeof planQueue>['acts'][number], run: Run, view: QueueView, policy: QueuePolicy): void {
    const rerun = view.memory.reruns.find((known) => known.run === run.id);
    switch (act.rule) {
      case 'stale':
        expect(act.does).toBe('cancel');
        expect(NOW - Math.max(run.startedAt ?? run.createdAt, rerun?.at ?? 0)).toBeGreaterThan(4 * HOUR);
        expect(run.event === 'push' && isProtected(run, view, policy)).toBe(false);
        if (policy.rules.stale.events === DEFAULT_QUEUE_POLICY.rules.stale.events) {
          expect(['release', 'deployment', 'merge_group']).not.toContain(run.event);
          expect(run.event === 'push' && view.tags.get(run.branch ?? '') !== false).toBe(false);
        }
        break;
      case 'superseded': {
        const newer = view.runs.find(({ id }) => id === act.newer)!;
        expect(act.does).toBe('cancel');
        if (policy.rules.superseded.events === DEFAULT_QUEUE_POLICY.rules.superseded.events) {
          expect(['push', 'pull_request', 'pull_request_target']).toContain(run.event);
          expect(run.event === 'push' && view.tags.get(run.branch ?? '') !== false).toBe(false);
        }
        expect(newer.createdAt).toBeGreaterThanOrEqual(run.createdAt);
        expect(untouchedJobs(view, newer)).toBe(true);
        expect([newer.workflowId, newer.headRepositoryId, newer.event]).toEqual([run.workflowId, run.headRepositoryId, run.event]);
        expect(isProtected(run, view, policy)).toBe(false);
        break;
      }
      case 'prioritizePullRequests':
        expect(run.event).toBe('push');
        expect(act.does).toBe(policy.rules.prioritizePullRequests.then);
        expect(view.runs.filter(({ event }) => event.startsWith('pull_request')).length).toBeGreaterThan(
          policy.rules.prioritizePullRequests.threshold,
        );
        expect(act.does === 'cancel' ? view.tags.get(run.branch ?? '') : false).toBe(false);
        expect(act.does === 'park' && (NOW - run.createdAt >= 29 * DAY || run.attempt > 50 || (rerun?.parked ?? 0) >= 2)).toBe(false);
        break;
      case 'paths':
        expect.fail('the rule is off');
    }
  }

  /** By what the queues of {@link anyQueue} protect. */
  function isProtected({ event, branch, isFromFork }: Run, { defaultBranch }: QueueView, { rules }: QueuePolicy): boolean {
    const { defaultBranch: isDefaultMeant, patterns } = rules.superseded.protect;
    const mayBeDefault =
      isDefaultMeant && (!isFromFork || event === 'push') && branch !== null && (defaultBranch === null || branch === defaultBranch);
    return mayBeDefault || (patterns.length > 0 && branch === 'main');
  }

  test('where no jobs are known, nothing is done', () => {
    fc.assert(
      fc.property(anyQueue(), fc.boolean(), ({ view, policy, modes }, areRead) => {
        const jobs: QueueView['jobs'] = new Map(areRead ? view.runs.map(({ id }) => [id, null]) : []);
        const plan = planQueue({ ...view, jobs }, policy, modes);
        expect([...plan.acts, ...plan.wouldBe, ...plan.zombies, ...plan.left]).toEqual([]);
        expect(plan.wantsTags).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('what is not known of a run keeps it, whatever is known of others', () => {
    fc.assert(
      fc.property(anyQueue(), fc.nat(), ({ view, policy, modes }, which) => {
        const run = view.runs[which % Math.max(view.runs.length, 1)];
        fc.pre(run !== undefined);
        const plan = planQueue({ ...view, jobs: new Map([...view.jobs, [run.id, null]]) }, policy, modes);
        expect([...plan.acts, ...plan.wouldBe].filter((act) => act.run === run.id || act.newer === run.id)).toEqual([]);
      }),
      { numRuns: 600 },
    );
  });

  test('the newest run that waits survives superseded, of each workflow, head repository, event and branch or pull request', () => {
    let groups = 0;
    fc.assert(
      fc.property(anyQueue(), ({ view, policy }) => {
        const { acts } = planOf(view, ['superseded'], policy);
        for (const group of Map.groupBy(
          view.runs.filter((run) => run.status === 'queued' && untouchedJobs(view, run)),
          identityOf,
        ).values()) {
          const [newest] = group.toSorted((one, other) => other.createdAt - one.createdAt || other.id - one.id);
          expect(acts.find(({ run }) => run === newest?.id)).toBeUndefined();
          groups += group.length > 1 ? 1 : 0;
        }
        for (const { newer } of acts) {
          expect(view.runs.some(({ id }) => id === newer)).toBe(true);
        }
      }),
      { numRuns: 600 },
    );
    expect(groups).toBeGreaterThan(100);
  });

  test('a run that superseded takes is replaced by one that stays, or by what replaces that', () => {
    fc.assert(
      fc.property(anyQueue(), ({ view, policy }) => {
        const { acts } = planOf(view, ['superseded'], policy);
        for (const act of acts) {
          let { newer } = act;
          for (let next = newer; next !== null; next = acts.find(({ run }) => run === next)?.newer ?? null) {
            newer = next;
          }
          expect(acts.some(({ run }) => run === newer)).toBe(false);
          expect(
            untouchedJobs(
              view,
              view.runs.find(({ id }) => id === newer)!,
            ),
          ).toBe(true);
        }
      }),
      { numRuns: 600 },
    );
  });

  test('once it is done, nothing is left to do', () => {
    fc.assert(
      fc.property(anyQueue(), (queue) => {
        const plan = (view: QueueView) => planQueue(view, queue.policy, queue.modes);
        const { view } = toldAll(queue.view, queue.truth, plan);
        expect(plan(applied(view, plan(view).acts)).acts).toEqual([]);
      }),
      { numRuns: 600 },
    );
  });

  test('it asks for what is queued and not yet told, and no more once that is given', () => {
    fc.assert(
      fc.property(anyQueue(), (queue) => {
        let told = { jobs: queue.view.jobs, tags: queue.view.tags };
        const { plans } = toldAll(queue.view, queue.truth, (view) => {
          told = view;
          const next = planQueue(view, queue.policy, queue.modes);
          expect(new Set(next.wantsJobs).size).toBe(next.wantsJobs.length);
          for (const run of next.wantsJobs) {
            expect(told.jobs.has(run)).toBe(false);
            expect(queue.view.runs.some(({ id, status }) => id === run && status === 'queued')).toBe(true);
          }
          for (const name of next.wantsTags) {
            expect(told.tags.has(name)).toBe(false);
            expect(queue.view.runs.some(({ branch, event }) => branch === name && event === 'push')).toBe(true);
          }
          return next;
        });
        expect(plans.length).toBeLessThanOrEqual(queue.view.runs.length + 3);
      }),
      { numRuns: 600 },
    );
  });

  test('more knowledge never leads to an act on a run that has started', () => {
    fc.assert(
      fc.property(anyQueue(), (queue) => {
        const nothing = { ...queue.view, jobs: new Map(), tags: new Map() };
        const { plans, view } = toldAll(nothing, queue.truth, (told) => planQueue(told, queue.policy, queue.modes));
        const truth = { ...view, jobs: queue.truth.jobs };
        for (const { acts, wouldBe } of plans) {
          for (const act of [...acts, ...wouldBe]) {
            expect(
              untouchedJobs(
                truth,
                view.runs.find(({ id }) => id === act.run)!,
              ),
            ).toBe(true);
          }
        }
      }),
      { numRuns: 600 },
    );
  });

  test('what is asked for is enough: knowing all besides changes no act', () => {
    fc.assert(
      fc.property(anyQueue(), (queue) => {
        const plan = (view: QueueView) => planQueue(view, queue.policy, queue.modes);
        const { view } = toldAll({ ...queue.view, jobs: new Map(), tags: new Map() }, queue.truth, plan);
        const all = plan({ ...view, jobs: queue.truth.jobs, tags: queue.truth.tags });
        // A zombie is found where its jobs are read, and these are not read for that.
        fc.pre(all.zombies.length === plan(view).zombies.length);
        expect(plan(view).acts).toEqual(all.acts);
      }),
      { numRuns: 600 },
    );
  });

  test('a plan that wants only so many acts asks until it has them, and says whether there may be more', () => {
    let cut = 0;
    fc.assert(
      fc.property(anyQueue(), fc.integer({ min: 1, max: 4 }), (queue, most) => {
        const nothing = { ...queue.view, jobs: new Map(), tags: new Map() };
        const all = toldAll(nothing, queue.truth, (view) => planQueue(view, queue.policy, queue.modes)).plans.at(-1)!;
        // One at a time, as where there are far more than one batch reads.
        const some = toldAll(nothing, queue.truth, (view) => {
          const plan = planQueue(view, queue.policy, queue.modes, most);
          expect(plan.acts.length >= most && plan.wantsJobs.length > 0).toBe(false);
          return { ...plan, wantsJobs: plan.wantsJobs.slice(0, 1) };
        }).plans.at(-1)!;
        fc.pre(all.zombies.length === some.zombies.length);
        expect(some.acts.length).toBeGreaterThanOrEqual(Math.min(most, all.acts.length));
        expect(actsOf(all)).toEqual(expect.arrayContaining([...actsOf(some)]));
        if (all.acts.length > most) {
          expect(some.isCut).toBe(true);
          cut += 1;
        } else if (!some.isCut) {
          expect(actsOf(some)).toEqual(actsOf(all));
        }
        expect(all.isCut).toBe(false);
      }),
      { numRuns: 600 },
    );
    expect(cut).toBeGreaterThan(10);
  });

  test('the order in which runs are listed, and whether pages show one twice, changes nothing', () => {
    const shuffled = anyQueue().chain((queue) =>
      fc.record({
        queue: fc.constant(queue),
        runs: fc.shuffledSubarray([...queue.view.runs], { minLength: queue.view.runs.length }),
        again: fc.subarray([...queue.view.runs]),
        before: fc.subarray(queue.view.runs.map((run) => ({ ...run, attempt: run.attempt - 1, status: 'queued', startedAt: null }))),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ queue: { view, policy, modes }, runs, again, before }) => {
        expect(planQueue({ ...view, runs: [...before, ...runs, ...again] }, policy, modes)).toEqual(planQueue(view, policy, modes));
      }),
      { numRuns: 600 },
    );
  });
});

describe('ten thousand runs', () => {
  const MANY = 10_000;
  const runsOf = (each: (index: number) => Partial<Run>): readonly Run[] =>
    Array.from({ length: MANY }, (_, index) =>
      aRun({ id: index + 1, branch: `branch-${index % 500}`, createdAt: NOW - index * 1_000, ...each(index) }),
    );
  const planAll = aPolicy({ stale: { mode: 'plan' }, superseded: { mode: 'plan' }, prioritizePullRequests: { mode: 'plan' } });

  /** What a plan reads of each run at most: a rule that compares runs with all others reads thousands of times as much. */
  const READS_OF_EACH = 150;

  let reads = 0;
  const counted = (runs: readonly Run[]): readonly Run[] =>
    runs.map(
      (run) =>
        new Proxy(run, {
          get(of, name) {
            reads += 1;
            return Reflect.get(of, name) as unknown;
          },
        }),
    );

  function readsOf(work: () => void): number {
    reads = 0;
    work();
    return reads / MANY;
  }

  test.each([
    { what: 'all stale', each: () => ({ createdAt: NOW - DAY }), policy: aPolicy(), acts: MANY },
    { what: 'a mixture', each: (index: number) => ({ event: index % 3 === 0 ? 'push' : 'pull_request' }), policy: aPolicy(), acts: 9_500 },
    { what: 'one branch', each: () => ({ branch: 'topic', createdAt: NOW - HOUR }), policy: aPolicy(), acts: MANY - 1 },
    {
      what: 'one commit of a fork',
      each: () => ({ event: 'pull_request', branch: 'main', sha: 'same', createdAt: NOW - HOUR }),
      policy: aPolicy(),
      acts: 0,
    },
    {
      what: 'pushes that make way',
      each: (index: number) => ({ event: index < 10 ? 'pull_request' : 'push', branch: `b-${index}`, createdAt: NOW - HOUR }),
      policy: aPolicy(),
      acts: MANY - 10,
    },
    { what: 'all stale, and only planned', each: () => ({ createdAt: NOW - DAY }), policy: planAll, acts: MANY },
  ])('$what: the plan reads each run a few times', ({ each, policy, acts }) => {
    const offered = Array.from({ length: 20 }, (_, index) => [...OURS, `runner-${index}`]);
    const memory = { setAside: [], reruns: Array.from({ length: 1_000 }, (_, index) => ({ run: -index, at: NOW, parked: 1 })) };
    const view = knownView(counted(runsOf(each)), { offered, memory });
    const readsOfEach = readsOf(() => {
      const plan = planOf(view, null, policy);
      expect(plan.acts.length + plan.wouldBe.length).toBe(acts);
    });
    expect(readsOfEach).toBeLessThan(READS_OF_EACH);
  });

  test('jobs of stale ones are read by the hundred, and each plan on the way is short', () => {
    const truth = knownView(runsOf(() => ({ createdAt: NOW - DAY })));
    const countedRuns = counted(truth.runs);
    let plans = 0;
    const jobs = new Map<number, RunJobs | null>();
    for (;;) {
      const { wantsJobs } = planOf({ ...truth, jobs });
      // Counting takes its time.
      if (plans % 50 === 0) {
        expect(readsOf(() => planOf({ ...truth, runs: countedRuns, jobs }))).toBeLessThan(READS_OF_EACH);
      }
      plans += 1;
      if (wantsJobs.length === 0) {
        break;
      }
      for (const run of wantsJobs.slice(0, 100)) {
        jobs.set(run, truth.jobs.get(run) ?? null);
      }
    }
    expect(plans).toBe(101);
  });
});
