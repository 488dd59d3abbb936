import { leftAlone, type QueueMemory, type SetAside } from './memory.ts';
import type { QueuePlan, RuleModes } from './plan.ts';
import type { QueuePolicy } from './policy.ts';
import { asksFor, countOf } from './pull-requests-first.ts';
import { isInReach, PULL_REQUEST_EVENTS, queuedOf, type LabelSet, type Run, type RunJobs } from './run.ts';
import { isSilent, staleAt, whyNeverStale } from './stale.ts';
import { keptDespiteNewer } from './superseded.ts';
import type { PlannedAct, QueueView } from './verdict.ts';

// What queue maintenance would do with each queued run, and when.

/**
 * Why something would be done, or why nothing. `no-jobs`: GitHub calls it queued, and it has no job. `waits`: for a runner, and no rule would end
 * that. `held`: by an approval, a wait timer or a concurrency group. `out-of-reach`: no runner of the scope serves it (`queue.reach`).
 * `parking`: it is being parked. `cancelling`: GitHub has accepted its cancellation. `unknown`: its jobs could not be read.
 */
export type OutlookCode =
  | PlannedAct['rule']
  | 'no-jobs'
  | 'quarantined'
  | 'parking'
  | 'cancelling'
  | 'started'
  | 'held'
  | 'out-of-reach'
  | 'waits'
  | 'unknown';

export interface Outlook {
  readonly action: PlannedAct['does'] | 'quarantine' | 'none';
  readonly code: OutlookCode;
  /** When it is due, or the quarantine ends, ISO 8601; `null` if nothing is. */
  readonly at: string | null;
  /** Which maintenance from now does it, counted from 1; `null` if it is not due yet, or its rule only plans. */
  readonly inMaintenance: number | null;
  /** Whether its rule only plans. */
  readonly isOnlyPlanned: boolean;
  /** The run that replaces it. */
  readonly newer: number | null;
  /** Pull-request runs that it makes way for. */
  readonly pullRequests: number | null;
  /** What else there is to say, in GitHub's or a rule's own words. */
  readonly detail: string | null;
  /** What a rule would do if nothing forbade it. */
  readonly kept: Kept | null;
}

/** `protected`, `tag`: it is not superseded by the newer run. `not-parked`: it keeps its place before pull requests. */
export type Kept =
  | { readonly code: 'protected' | 'tag'; readonly newer: number }
  | { readonly code: 'not-parked'; readonly detail: string };

/** What the outlook rests on. */
export interface OutlookGround {
  readonly view: QueueView;
  readonly plan: QueuePlan;
  readonly policy: QueuePolicy;
  readonly modes: RuleModes;
  /** What would be done, in its order. */
  readonly intended: readonly PlannedAct[];
  /** Acts that there is no room for. */
  readonly homeless: readonly PlannedAct[];
  /** Runs that are parked, by id: they may be listed as queued until their cancellation has come to pass. */
  readonly parked: ReadonlySet<number>;
}

const NOTHING: Outlook = {
  action: 'none',
  code: 'waits',
  at: null,
  inMaintenance: null,
  isOnlyPlanned: false,
  newer: null,
  pullRequests: null,
  detail: null,
  kept: null,
};

type Told = Partial<Outlook> & Pick<Outlook, 'code'>;

/** Says of each run of one queue what would become of it. */
export class Forecast {
  readonly #ground: OutlookGround;
  readonly #alone: ReturnType<typeof leftAlone>;
  readonly #asides: ReadonlyMap<number, SetAside>;
  readonly #zombies: ReadonlyMap<number, string>;
  /** With its place in the order of what is done. */
  readonly #acts: ReadonlyMap<number, readonly [act: PlannedAct, place: number]>;
  readonly #onlyPlanned: ReadonlyMap<number, PlannedAct>;
  readonly #pressure: ReadonlyMap<LabelSet, number>;
  readonly #kept: ReadonlyMap<number, Kept>;

  constructor(ground: OutlookGround) {
    const { view, plan, intended } = ground;
    this.#ground = ground;
    this.#alone = leftAlone(view.memory, view.at);
    this.#asides = new Map(view.memory.setAside.map((entry) => [entry.run, entry]));
    this.#zombies = new Map(plan.zombies.map(({ run, why }) => [run, why]));
    this.#acts = new Map(intended.map((act, place) => [act.run, [act, place]]));
    this.#onlyPlanned = new Map(plan.wouldBe.map((act) => [act.run, act]));
    this.#pressure = pressureOf(ground);
    this.#kept = keptOf(ground);
  }

  of(run: Run): Outlook {
    const told = this.#refusing(run) ?? this.#actedOn(run) ?? this.#waiting(run);
    return { ...NOTHING, kept: this.#kept.get(run.id) ?? null, ...told };
  }

  /** A run that no rule looks at: it is on its way out already, or does not end. */
  #refusing(run: Run): Told | null {
    const { id } = run;
    const { at } = this.#ground.view;
    if (this.#ground.parked.has(id)) {
      return { code: 'parking' };
    }
    const [alone, aside] = [this.#alone(run), this.#asides.get(id)];
    if (alone === 'ending') {
      return { code: 'cancelling' };
    }
    if (alone === 'set-aside' && aside !== undefined) {
      return { code: 'quarantined', at: isoOf(aside.retryAt), detail: aside.why };
    }
    const zombie = this.#zombies.get(id);
    return zombie === undefined ? null : { action: 'quarantine', code: 'no-jobs', at: isoOf(at), inMaintenance: 1, detail: zombie };
  }

  #actedOn(run: Run): Told | null {
    const [act, place] = this.#acts.get(run.id) ?? [];
    if (act !== undefined && place !== undefined) {
      return { ...this.#told(act, run), inMaintenance: Math.floor(place / this.#ground.policy.maxPerPass) + 1 };
    }
    const planned = this.#onlyPlanned.get(run.id);
    return planned === undefined ? null : { ...this.#told(planned, run), isOnlyPlanned: true };
  }

  #told({ does, rule, newer }: PlannedAct, run: Run): Told {
    const { view } = this.#ground;
    const jobs = jobsOf(view, run);
    const isStale = rule === 'stale' && jobs !== null;
    return {
      action: does,
      code: rule,
      at: isoOf(isStale ? this.#staleAt(run, jobs) : view.at),
      newer,
      pullRequests: rule === 'prioritizePullRequests' ? this.#before(jobs) : null,
    };
  }

  /** Pull-request runs that go first. */
  #before(jobs: RunJobs | null): number {
    return [...this.#pressure].find(([set]) => asksFor(jobs, set))?.[1] ?? 0;
  }

  /** Sooner or later it is stale, unless something forbids that. */
  #waiting(run: Run): Told {
    const { view, policy, modes } = this.#ground;
    const jobs = jobsOf(view, run);
    if (jobs === null) {
      return { code: 'unknown' };
    }
    const obstacle = obstacleOf(jobs, view, policy);
    const never = modes.stale === 'off' ? null : whyNeverStale(run, view, policy);
    if (obstacle !== null || modes.stale === 'off' || never !== null) {
      return obstacle ?? { code: 'waits', detail: never === null ? null : `never stale, since ${never}` };
    }
    if (isSilent(jobs, view, policy)) {
      return { code: 'waits', detail: 'its time stands still while no runner that could take it is online' };
    }
    return { action: 'cancel', code: 'stale', at: isoOf(this.#staleAt(run, jobs)), isOnlyPlanned: modes.stale === 'plan' };
  }

  #staleAt(run: Run, jobs: RunJobs): number {
    const { view, policy } = this.#ground;
    const ground = { ...view, silences: view.memory.silences ?? [] };
    return staleAt({ run, jobs, rerunAt: rerunAt(view.memory, run) }, ground, policy);
  }
}

/** Why no rule would touch it, however long it waits. */
function obstacleOf(jobs: RunJobs, { offered }: QueueView, { reach }: QueuePolicy): Told | null {
  const { started, held, total, queued } = jobs;
  if (started > 0) {
    return { code: 'started', detail: `${started} of its ${total} jobs ${started === 1 ? 'has' : 'have'} started` };
  }
  if (held > 0) {
    return { code: 'held', detail: `${held} of its ${total} jobs ${held === 1 ? 'is' : 'are'} held` };
  }
  if (queued.length === 0) {
    return { code: 'held', detail: 'none of its jobs waits for a runner' };
  }
  return isInReach(jobs, offered, reach) ? null : { code: 'out-of-reach' };
}

/** By run. */
function keptOf({ view, plan, policy, modes, homeless, intended }: OutlookGround): ReadonlyMap<number, Kept> {
  const alone = leftAlone(view.memory, view.at);
  const runs = queuedOf(view.runs).filter((run) => alone(run) === null);
  const pushes = new Set(runs.filter((run) => run.event === 'push' && jobsOf(view, run)?.started === 0).map(({ id }) => id));
  const places = [
    ...plan.left.filter(({ run }) => pushes.has(run)),
    ...homeless.map(({ run }) => ({ run, why: 'as many runs are deferred already as may be' })),
  ];
  const taken = new Set(intended.map(({ run }) => run));
  const named = modes.superseded === 'off' ? [] : keptDespiteNewer({ view, runs, policy, taken });
  return new Map<number, Kept>([
    ...places.map(({ run, why }) => [run, { code: 'not-parked', detail: why }] as const),
    ...named.map(({ run, newer, why }) => [run, { code: why, newer }] as const),
  ]);
}

/** How many pull-request runs wait for each kind of runner that they are pressed for. */
function pressureOf({ view, plan, intended, policy }: OutlookGround): ReadonlyMap<LabelSet, number> {
  const taken = new Set(intended.filter(({ rule }) => rule !== 'prioritizePullRequests').map(({ run }) => run));
  const waiting = queuedOf(view.runs).filter(({ id, event }) => PULL_REQUEST_EVENTS.includes(event) && !taken.has(id));
  const { count } = policy.rules.prioritizePullRequests;
  return new Map(
    (plan.pressed ?? []).map((set) => [
      set,
      countOf(
        waiting.filter((run) => asksFor(jobsOf(view, run), set)),
        count,
      ),
    ]),
  );
}

/** `null` if they are not known, or those of another attempt. */
export function jobsOf({ jobs }: Pick<QueueView, 'jobs'>, { id, attempt }: Run): RunJobs | null {
  const known = jobs.get(id);
  return known?.attempt === attempt ? known : null;
}

/** When Runward re-ran it; `null` if it did not. */
export function rerunAt({ reruns }: QueueMemory, { id }: Run): number | null {
  return reruns.find(({ run }) => run === id)?.at ?? null;
}

function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
