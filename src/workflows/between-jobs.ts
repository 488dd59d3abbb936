import { proxyActivities } from '@temporalio/workflow';
import type { LookActivities } from '../activities/contract.ts';
import type { CacheRemoved, CacheWanted } from '../domain/cache.ts';
import type { CountedAct } from '../domain/ledger.ts';
import { busyMachineReason, busyReason, type Look } from '../domain/recovery.ts';
import type { GuestObservation } from '../domain/runner.ts';
import { decideUpkeep, type CacheFigures } from '../domain/upkeep.ts';
import { type End, type Operation } from './operation.ts';
import { listOptions, upkeepOptions } from './options.ts';
import { actWhenIdle, mayListen, type StoppingAct } from './pause.ts';
import { Ended } from './site.ts';

// Upkeep of a runner: done between two jobs or not at all, and nobody waits for such a moment while holding the machine.

export type UpkeepRefusal = 'refused-busy' | 'refused-budget' | 'refused-in-progress' | 'failed';

/** The end of the work, also where it was refused a moment. */
export async function refusable<Outcome extends string, Step extends string>(
  operation: Operation<Step>,
  work: () => Promise<End<Outcome>>,
): Promise<End<Outcome | UpkeepRefusal>> {
  try {
    return await work();
  } catch (error) {
    return refusalIn(operation, error);
  }
}

/** What was refused for a job or by the budget, with its step ended; throws whatever else it is. */
export function refusalIn<Step extends string>({ board }: Operation<Step>, error: unknown): End<'refused-busy' | 'refused-budget'> {
  if (!(error instanceof Ended) || (error.outcome !== 'refused-busy' && error.outcome !== 'refused-budget')) {
    throw error;
  }
  if (board.current !== null) {
    board.end(board.current, 'failed', error.message);
  }
  return [error.outcome, error.message];
}

/** Looks at both sides, and ends the operation where the runner is busy or something is not known. */
export async function lookForMoment<Step extends string>(operation: Operation<Step>): Promise<GuestObservation> {
  operation.site.forgetLook();
  return lookFreshly(operation);
}

async function lookFreshly<Step extends string>(operation: Operation<Step>): Promise<GuestObservation> {
  return momentIn(operation, await operation.site.freshLook());
}

function momentIn<Step extends string>(operation: Operation<Step>, look: Look): GuestObservation {
  const { site, request } = operation;
  // A plan disturbs no job.
  const decision = decideUpkeep(site.target, look, request.force || request.dryRun);
  operation.evidence = decision.evidence;
  switch (decision.kind) {
    case 'impossible':
      throw new Ended('failed', decision.why);
    case 'busy':
      throw new Ended(
        'refused-busy',
        `${site.target.runner} is busy (${decision.why}), so it was left alone: this is for the time between two jobs; checks try again`,
      );
    case 'go':
      return decision.guest;
  }
}

/** Takes the machine, looks again, and does the acts. What they answer with stands in the ledger. */
export async function holdingForUpkeep<Step extends string>(
  operation: Operation<Step>,
  counted: CountedAct | null,
  acts: (guest: GuestObservation) => Promise<string>,
): Promise<void> {
  const { machine } = operation.site.target;
  const held = await operation.holding(async () => {
    let guest = await lookForMoment(operation);
    const refusal = counted === null ? null : operation.budgetRefusal(counted);
    if (refusal !== null) {
      throw new Ended('refused-budget', refusal);
    }
    if ((await operation.beginActs()).waited) {
      guest = await lookForMoment(operation);
    }
    return acts(guest);
  });
  if (held.kind === 'held') {
    throw new Ended('refused-in-progress', `${machine} is in the hands of ${held.by}`);
  }
}

/** What may be disturbed: what jobs of all runners on the machine use, or the runner's own. */
type Reach = 'machine' | 'runner';

/** One act while both sides call what it reaches idle, with the listener paused; nobody waits for a better moment. */
export async function actBetweenJobs<T extends { readonly kind: string }, Step extends string>(
  operation: Operation<Step>,
  { step, summary, pause, reach = 'runner' }: Pick<StoppingAct<T>, 'step' | 'summary' | 'pause'> & { readonly reach?: Reach },
  start: StoppingAct<T>['start'],
): Promise<T> {
  const { site, request } = operation;
  const look = await site.freshLookNow();
  if (!look.github.known && !request.force) {
    const { runner } = site.target;
    throw new Ended('refused-busy', `whether ${runner} is idle is unknown (${look.github.why}), so it was left alone: checks try again`);
  }
  const guest = momentIn(operation, look);
  const { drain } = guest;
  return actWhenIdle<T>(site, {
    step,
    summary,
    pause,
    deadlineMs: site.policy.upkeep.deadlineMs,
    force: request.force,
    mayListen: mayListen(guest),
    busyReason: (github) => (request.force ? null : (reach === 'machine' ? busyMachineReason : busyReason)(github, guest)),
    patienceMs: 0,
    ...(drain === null ? {} : { drainSeen: drain.by }),
    start,
    options: upkeepOptions,
  });
}

/** Removes from the actions cache, and tells the step. */
export async function removeFromCache<Step extends string>(
  operation: Operation<Step>,
  step: Step,
  wanted: CacheWanted,
): Promise<CacheRemoved> {
  const { site, board } = operation;
  board.begin(step);
  return actBetweenJobs<CacheRemoved, Step>(
    operation,
    {
      step,
      summary: `${WORDS[wanted.kind]} from the actions cache of ${site.target.runner}`,
      pause: { purpose: 'remove-from-cache', wanted },
    },
    (acts, input) => acts.removeFromCache({ ...input, wanted }),
  );
}

const WORDS = { all: 'remove all', unused: 'remove what is unused', damaged: 'remove what is damaged' } as const;

/** What would be removed; writes nothing. */
export async function listForRemoval<Step extends string>({ site }: Operation<Step>, wanted: CacheWanted): Promise<CacheFigures> {
  const { host, runner } = site.target;
  const looks = proxyActivities<LookActivities>(listOptions(site.policy, host, `what would go from the actions cache of ${runner}?`));
  const listed = await site.answer(() => looks.listCache({ target: site.target, wanted }));
  const { found, foundEntries, foundBytes, damage } = listed;
  return { entries: foundEntries, bytes: foundBytes, names: found.map(({ path }) => path), found, damage };
}

/** Why nothing is to be written; `null` where it may be. */
export function watchReason<Step extends string>({ resolved }: Operation<Step>): string | null {
  return resolved.mode === 'watch' ? (resolved.watchReason ?? 'mode: watch') : null;
}
