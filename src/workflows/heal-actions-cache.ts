import { proxyActivities } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import type { CacheWanted } from '../domain/cache.ts';
import { isInspected, rerunsAllowed, type Attempt, type DamagedRun, type LeftRun, type RerunTold } from '../domain/damaged-run.ts';
import { fewOf } from '../domain/few-of.ts';
import type { GuestObservation, RunnerTarget } from '../domain/runner.ts';
import { HEAL_STEPS, NOTHING_REMOVED, type CacheFigures, type HealOutcome, type HealReport, type HealStep } from '../domain/upkeep.ts';
import { holdingForUpkeep, listForRemoval, lookForMoment, refusable, removeFromCache, watchReason } from './between-jobs.ts';
import { goneText, plannedRemovalText, removedFromText } from './clean-actions-cache.ts';
import { settleFailures } from './failure-ledger.ts';
import { operate, type End, type Operation } from './operation.ts';
import { configurationOptions, inspectOptions } from './options.ts';
import { rerunDamaged } from './rerun-failed-jobs.ts';
import { waitOutLimit } from './told.ts';

/** Each may take the guest seconds. */
const MOST_NAMED = 50;

/** Looks at failed runs, of which a scope may have more than one look reads. */
const MOST_LOOKS = 10;

/**
 * Finds runs that failed because of a runner's own actions cache, removes what is damaged between two jobs, and re-runs what it let fail.
 * Ends with a {@link HealReport}.
 */
export async function healActionsCache(...given: unknown[]): Promise<HealReport> {
  let healing: Healing | null = null;
  const report = await operate<HealOutcome, HealStep>('healActionsCache', HEAL_STEPS, given, (operation) => {
    healing = new Healing(operation);
    return refusable(operation, healing.run);
  });
  const { dryRun = false, removed = NOTHING_REMOVED, damaged = [], reran = [] } = (healing as Healing | null) ?? {};
  return { ...report, dryRun, removed, damaged, reran };
}

class Healing {
  readonly #operation: Operation<HealStep>;
  removed: CacheFigures = NOTHING_REMOVED;
  damaged: readonly DamagedRun[] = [];
  reran: readonly RerunTold[] = [];

  constructor(operation: Operation<HealStep>) {
    this.#operation = operation;
  }

  get dryRun(): boolean {
    return this.#operation.request.dryRun;
  }

  readonly run = async (): Promise<End<HealOutcome>> => {
    const { runner } = this.#operation.site.target;
    await this.#inspect();
    const guest = await lookForMoment(this.#operation);
    if (this.damaged.length === 0 && damagedEntries(guest) === 0) {
      return ['nothing-damaged', `no run failed because of the actions cache of ${runner}, and nothing in it is damaged`];
    }
    const watches = watchReason(this.#operation);
    if (this.dryRun || watches !== null) {
      this.removed = await listForRemoval(this.#operation, this.#wanted());
      const runs = `${this.damaged.length} ${this.damaged.length === 1 ? 'run' : 'runs'}`;
      const what = `${this.#damageText(guest)}; ${plannedRemovalText(this.removed)}, and would re-run ${runs}`;
      return this.dryRun ? ['planned', what] : ['refused-watching', `${what}, but Runward only watches (${watches})`];
    }
    await this.#clear();
    await this.#rerun();
    return this.#end();
  };

  /** Until all failed runs of the scope were looked at. */
  async #inspect(): Promise<void> {
    const { site, board } = this.#operation;
    const { scope, runner } = site.target;
    const { failures } = site.policy.upkeep;
    board.begin('inspect-failures');
    const runners = await runnersOf(scope);
    const notes = new Set<string>();
    const known: Attempt[] = [];
    const damaged: DamagedRun[] = [];
    for (let looks = 1, left = 1; looks <= MOST_LOOKS && left > 0;) {
      const { inspectFailures } = proxyActivities<MainActivities>(
        inspectOptions(failures, `did runs of ${scope} fail because of the cache?`),
      );
      const found = await inspectFailures({ scope, runners, known, provesByLog: true, policy: failures });
      if (found.kind === 'limited') {
        await waitOutLimit(found, (doing) => board.say(doing));
        continue;
      }
      known.push(...found.settled, ...found.damaged.map(({ run, attempt }) => [run, attempt] as const));
      damaged.push(...found.damaged);
      found.notes.forEach((note) => notes.add(note));
      looks += 1;
      ({ left } = found);
    }
    this.damaged = damaged.filter((each) => each.runner === runner && each.left === undefined);
    board.end('inspect-failures', 'done', [`${this.damaged.length} damaged`, ...notes].join('; '));
  }

  /** What its jobs name, so that the guest looks whether it is damaged; without a name, what the guest alone sees. */
  #wanted(): CacheWanted {
    const named = this.damaged.flatMap(({ jobs }) => jobs.map(({ path, lacks }) => ({ path, lacks }))).filter(({ path }) => path !== '');
    const once = new Map(named.map((each) => [`${each.lacks} ${each.path}`, each]));
    return { kind: 'damaged', named: [...once.values()].slice(0, MOST_NAMED) };
  }

  #damageText(guest: GuestObservation): string {
    const runs = this.damaged.map(({ run, jobs }) => `run ${run} failed: ${jobs[0]?.line ?? ''}`);
    return fewOf(runs) ?? `${damagedEntries(guest)} entries of the actions cache are empty, and noted as whole`;
  }

  /** Whoever can let a job fail could have the listener held, so nobody holds it for what is whole. */
  async #clear(): Promise<void> {
    const { board } = this.#operation;
    board.begin('clear-cache');
    this.removed = await listForRemoval(this.#operation, this.#wanted());
    if (this.removed.entries === 0) {
      board.end('clear-cache', 'skipped', `nothing in the cache is damaged${damageSeen(this.removed)}`);
      return;
    }
    await holdingForUpkeep(this.#operation, 'healActionsCache', async () => {
      const removed = await removeFromCache(this.#operation, 'clear-cache', this.#wanted());
      this.removed = removed;
      const room = `${removed.freeBytes} bytes${removed.freeInodes === null ? '' : ` and ${removed.freeInodes} inodes`} were free`;
      board.end('clear-cache', 'done', `${goneText(removed)}${damageSeen(removed)}; ${room}`);
      return 'healed';
    });
  }

  /** Without the machine: GitHub may let wait. Each attempt that was dealt with is remembered at once. */
  async #rerun(): Promise<void> {
    const { board } = this.#operation;
    if (this.damaged.length === 0) {
      return;
    }
    board.begin('rerun-jobs');
    for (const damaged of this.damaged) {
      board.say(`re-running run ${damaged.run}`);
      this.reran = [...this.reran, await this.#settle(damaged)];
    }
    const isBad = this.reran.some(({ outcome }) => outcome === 'refused' || outcome === 'given-up');
    board.end(
      'rerun-jobs',
      isBad ? 'failed' : 'done',
      fewOf(
        this.reran.map(({ run, outcome, detail }) => `run ${run} ${outcome}: ${detail}`),
        5,
      ) ?? '',
    );
  }

  /** A run that several caches let fail is run again by whoever heals the last of them: before that it would fail by another. */
  async #settle(damaged: DamagedRun): Promise<RerunTold> {
    const { target } = this.#operation.site;
    const { run, attempt, workflow, neighbours = [] } = damaged;
    const own: Attempt = [run, attempt, target.runner];
    if (neighbours.length === 0) {
      const told = await this.#rerunOne(damaged);
      await settleFailures(target.scope, [own], leftOf(damaged, told));
      return told;
    }
    // Before the others are asked for: of two healings at once, one sees both.
    const memory = await settleFailures(target.scope, [own]);
    const waitsFor = neighbours.map(({ runner }) => runner).filter((runner) => !isInspected(memory, [run, attempt, runner]));
    const others = fewOf(waitsFor);
    if (others !== null) {
      return { run, attempt, workflow, outcome: 'left', detail: `the cache of ${others} let it fail as well, and is to be healed first` };
    }
    const told = await this.#rerunOne(damaged);
    const left = leftOf(damaged, told);
    if (left.length > 0) {
      await settleFailures(target.scope, [], left);
    }
    return told;
  }

  async #rerunOne(damaged: DamagedRun): Promise<RerunTold> {
    const { target, policy } = this.#operation.site;
    const { failures } = policy.upkeep;
    const reruns = rerunsAllowed(damaged, this.removed.damage, failures.reruns);
    if (reruns === 0) {
      const { run, attempt, workflow } = damaged;
      return {
        run,
        attempt,
        workflow,
        outcome: 'left',
        detail: 'what it names is whole in the cache, and its log does not prove that it was damaged',
      };
    }
    return rerunDamaged(target.scope, damaged, { ...failures, reruns });
  }

  #end(): End<HealOutcome> {
    const { runner } = this.#operation.site.target;
    const gone = removedFromText(this.removed, runner);
    const of = (outcome: RerunTold['outcome']): readonly RerunTold[] => this.reran.filter((each) => each.outcome === outcome);
    const [refused] = of('refused');
    if (refused !== undefined) {
      return ['not-re-run', `${gone}, but run ${refused.run} was not re-run: ${refused.detail}`];
    }
    const [given] = of('given-up');
    if (given !== undefined) {
      return ['given-up', `${gone}, but run ${given.run} is left to you: ${given.detail}`];
    }
    const again = of('re-run').map(({ run }) => run);
    const left = of('left').map(({ run, detail }) => `run ${run} was left: ${detail}`);
    if (this.removed.entries === 0 && again.length === 0) {
      return ['nothing-damaged', [`nothing in the actions cache of ${runner} is damaged`, ...left].join('; ')];
    }
    return ['healed', [gone, ...(again.length === 0 ? [] : [`re-run: ${again.join(', ')}`]), ...left].join('; ')];
  }
}

async function runnersOf(scope: string): Promise<readonly Pick<RunnerTarget, 'runner' | 'directory'>[]> {
  const configuration = proxyActivities<MainActivities>(configurationOptions(`look up the runners of ${scope}`));
  const { targets } = await configuration.resolveScope({ scope });
  return targets.map(({ runner, directory }) => ({ runner, directory }));
}

/** What people have to see to. */
function leftOf({ runner, run, attempt, workflow, branch }: DamagedRun, { outcome, detail }: RerunTold): readonly LeftRun[] {
  return outcome === 'refused' || outcome === 'given-up' ? [{ runner, run, attempt, workflow, branch, left: detail }] : [];
}

function damagedEntries({ cache }: GuestObservation): number {
  return cache?.damaged ?? 0;
}

/** What it looked like, for whoever looks for the cause. */
function damageSeen({ damage }: Pick<CacheFigures, 'damage'>): string {
  const seen = fewOf(
    damage.map(({ path, state, owner, mode, isImmutable }) =>
      [path, state, ...(owner === null ? [] : [`of ${owner}, mode ${mode}`]), ...(isImmutable ? ['immutable'] : [])].join(' '),
    ),
    5,
  );
  return seen === null ? '' : `; seen: ${seen}`;
}
