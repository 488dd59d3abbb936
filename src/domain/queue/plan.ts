import { leftAlone } from './memory.ts';
import { RULES, type QueuePolicy, type RuleMode, type RuleName } from './policy.ts';
import { pullRequestsFirst } from './pull-requests-first.ts';
import { queuedOf, type LabelSet, type Run } from './run.ts';
import { mayBeStale, stale } from './stale.ts';
import { superseded } from './superseded.ts';
import { NO_VERDICT, type AgingRun, type PlannedAct, type QueueView, type RuleContext, type RuleVerdict } from './verdict.ts';

/** What all rules say. */
export interface QueuePlan extends RuleVerdict {
  /** Of the rules that only plan. */
  readonly wouldBe: readonly PlannedAct[];
  /** Runs that have waited for so long without a job that they are no real ones. */
  readonly zombies: readonly { readonly run: number; readonly attempt: number; readonly why: string }[];
  /** Label sets for which more pull-request runs wait than the threshold; `null` where that could not be known. */
  readonly pressed: readonly LabelSet[] | null;
  /** Queued runs that have waited for longer than stale ones may, whatever else holds for them; without those set aside. */
  readonly overdue: number;
  /** Runs that will be stale before long; none if nothing would end them. */
  readonly aging: readonly AgingRun[];
  /** Queued runs that are set aside. */
  readonly setAside: number;
  /** Runs that lists call queued, and whose cancellation is on its way. */
  readonly ending: number;
  /** Whether there may be more to act on than was asked for. */
  readonly isCut: boolean;
}

/** Modes of the rules for one pass. */
export type RuleModes = Readonly<Record<RuleName, RuleMode>>;

/** Modes by configuration, or for a person who names rules: exactly those, whatever configuration says of them. */
export function modesOf({ rules }: QueuePolicy, named: readonly RuleName[] | null): RuleModes {
  const modeOf = (rule: RuleName): RuleMode => (named === null ? rules[rule].mode : named.includes(rule) ? 'on' : 'off');
  return {
    stale: modeOf('stale'),
    superseded: modeOf('superseded'),
    prioritizePullRequests: modeOf('prioritizePullRequests'),
    paths: 'off',
  };
}

/**
 * What is to be done about a queue, of what is known so far: it may ask for jobs and tags, and says more once they are there. Each run has one act
 * at most, by the first rule that takes it; while a rule that is on asks, later ones do nothing. The same view gives the same plan.
 * @param most acts that are wanted: a rule that has found so many asks for nothing more
 */
export function planQueue(view: QueueView, policy: QueuePolicy, modes: RuleModes, most = Infinity): QueuePlan {
  const alone = leftAlone(view.memory, view.at);
  const reruns = new Map(view.memory.reruns.map((rerun) => [rerun.run, rerun.at]));
  const queued = queuedOf(view.runs);
  const runs = queued.filter((run) => alone(run) === null);
  const ending = queued.filter((run) => alone(run) === 'ending').length;
  const zombies = runs.flatMap((run) => zombieOf(run, reruns.get(run.id) ?? null, view, policy));
  const odd = new Set(zombies.map(({ run }) => run));
  const real = runs.filter(({ id }) => !odd.has(id));

  const taken = new Set<number>();
  const acts: PlannedAct[] = [];
  const wouldBe = new Map<number, PlannedAct>();
  const verdicts: ReturnType<typeof judge>[] = [];
  // What a rule may yet take is no later one's: the runs, and whom they keep waiting.
  let isSettled = true;
  for (const rule of RULES) {
    if (modes[rule] === 'off') {
      continue;
    }
    const context: RuleContext = { view, runs: real, policy, taken };
    const verdict = judge(rule, context);
    verdicts.push(verdict);
    for (const act of verdict.acts) {
      if (modes[rule] === 'on') {
        acts.push(...(isSettled ? [act] : []));
        taken.add(act.run);
      } else if (!wouldBe.has(act.run)) {
        wouldBe.set(act.run, act);
      }
    }
    isSettled &&= modes[rule] === 'plan' || (verdict.wantsJobs.length === 0 && verdict.wantsTags.length === 0);
  }
  const asking = verdicts.filter((verdict) => verdict.acts.length < most);
  return {
    acts,
    isCut: acts.length > most || (acts.length === most && verdicts.some(({ wantsJobs }) => wantsJobs.length > 0)),
    wouldBe: [...wouldBe.values()].filter(({ run }) => !taken.has(run)),
    wantsJobs: acts.length >= most ? [] : [...new Set(asking.flatMap(({ wantsJobs }) => wantsJobs))],
    wantsTags: [...new Set(verdicts.flatMap(({ wantsTags }) => wantsTags))],
    left: verdicts.flatMap(({ left }) => left),
    notes: [...new Set(verdicts.flatMap(({ notes }) => notes))],
    zombies,
    pressed: modes.prioritizePullRequests === 'off' ? [] : (verdicts.find(({ pressed }) => pressed !== undefined)?.pressed ?? null),
    aging:
      modes.stale === 'on' ? (verdicts.find(({ aging }) => aging !== undefined)?.aging ?? []).filter(({ run }) => !taken.has(run)) : [],
    overdue: real.filter((run) => isOverdue(run, view.at, policy)).length,
    setAside: queued.length - real.length - ending,
    ending,
  };
}

function judge(rule: RuleName, context: RuleContext): RuleVerdict & { readonly pressed?: QueuePlan['pressed'] } {
  switch (rule) {
    case 'stale':
      return stale(context);
    case 'superseded':
      return superseded(context);
    case 'prioritizePullRequests':
      return pullRequestsFirst(context);
    case 'paths':
      return NO_VERDICT;
  }
}

/** Where GitHub does not say when the attempt began, the jobs do; so it is no more than likely. */
function isOverdue({ startedAt, createdAt }: Run, at: number, { rules }: QueuePolicy): boolean {
  return at - (startedAt ?? createdAt) > rules.stale.afterMs;
}

/** A real run has jobs within seconds; without any, nobody can tell of which attempt they are not. https://github.com/actions/runner/issues/3872 */
function zombieOf(run: Run, rerunAt: number | null, { jobs, at }: QueueView, policy: QueuePolicy): QueuePlan['zombies'] {
  return jobs.get(run.id)?.total === 0 && mayBeStale(run, rerunAt, at, policy)
    ? [{ run: run.id, attempt: run.attempt, why: `GitHub calls it queued, and it has no job` }]
    : [];
}
