import type { CacheRemoved, CacheWanted } from '../domain/cache.ts';
import type { CountedAct } from '../domain/ledger.ts';
import { bytesText } from '../domain/room.ts';
import {
  decideUpkeep,
  CLEAN_STEPS,
  CLEAR_STEPS,
  NOTHING_REMOVED,
  type CacheFigures,
  type CacheReport,
  type CleanOutcome,
  type CleanStep,
  type ClearOutcome,
  type ClearStep,
} from '../domain/upkeep.ts';
import { holdingForUpkeep, listForRemoval, lookForMoment, refusable, removeFromCache, watchReason } from './between-jobs.ts';
import { operate, type End, type Operation } from './operation.ts';

/** Removes what nothing has used for long from a runner's actions cache, between two jobs. Ends with a {@link CacheReport}. */
export async function cleanActionsCache(...given: unknown[]): Promise<CacheReport<CleanOutcome, CleanStep>> {
  const removal: Removal = { removed: NOTHING_REMOVED, dryRun: false };
  const report = await operate<CleanOutcome, CleanStep>('cleanActionsCache', CLEAN_STEPS, given, (operation) =>
    remove(operation, removal, {
      step: 'clean-cache',
      outcome: 'cleaned',
      counted: 'cleanActionsCache',
      wanted: { kind: 'unused', forMs: operation.site.policy.upkeep.cacheUnusedMs },
    }),
  );
  return { ...report, ...removal };
}

/** Removes all of a runner's actions cache, between two jobs; jobs download again what they need. Ends with a {@link CacheReport}. */
export async function clearActionsCache(...given: unknown[]): Promise<CacheReport<ClearOutcome, ClearStep>> {
  const removal: Removal = { removed: NOTHING_REMOVED, dryRun: false };
  const report = await operate<ClearOutcome, ClearStep>('clearActionsCache', CLEAR_STEPS, given, (operation) =>
    remove(operation, removal, { step: 'clear-cache', outcome: 'cleared', counted: null, wanted: { kind: 'all' } }),
  );
  return { ...report, ...removal };
}

interface Removal {
  removed: CacheFigures;
  dryRun: boolean;
}

async function remove<Outcome extends string, Step extends string>(
  operation: Operation<Step>,
  removal: Removal,
  how: { readonly step: Step; readonly outcome: Outcome; readonly counted: CountedAct | null; readonly wanted: CacheWanted },
): Promise<End<Outcome | 'planned' | 'refused-watching' | 'refused-busy' | 'refused-budget' | 'refused-in-progress' | 'failed'>> {
  const { site, board, request } = operation;
  const { runner } = site.target;
  const watches = watchReason(operation);
  removal.dryRun = request.dryRun;
  return refusable(operation, async (): Promise<End<Outcome | 'planned' | 'refused-watching'>> => {
    if (request.dryRun || watches !== null) {
      await lookForMoment(operation);
      removal.removed = await listForRemoval(operation, how.wanted);
      const what = `${plannedRemovalText(removal.removed)} from the actions cache of ${runner}`;
      const busy = decideUpkeep(site.target, await site.freshLook(), request.force);
      const now = busy.kind === 'busy' ? `; refused at this moment, since it is busy (${busy.why})` : '';
      return request.dryRun ? ['planned', `${what}${now}`] : ['refused-watching', `${what}, but Runward only watches (${watches})`];
    }
    await holdingForUpkeep(operation, how.counted, async () => {
      const removed = await removeFromCache(operation, how.step, how.wanted);
      removal.removed = removed;
      board.end(how.step, 'done', `${goneText(removed)}${unmeasuredText(removed)}`);
      return how.outcome;
    });
    return [how.outcome, removedFromText(removal.removed, runner)];
  });
}

function unmeasuredText({ unmeasured }: Pick<CacheRemoved, 'unmeasured'>): string {
  return unmeasured === 0 ? '' : `; ${unmeasured} could not be measured in time, so they stay, and checks try again`;
}

/** What would go. */
export function plannedRemovalText(planned: Pick<CacheFigures, 'entries' | 'bytes'>): string {
  return planned.entries === 0 ? 'nothing to remove' : `would remove ${removedText(planned)}`;
}

/** What went from the cache. */
export function removedFromText(removed: Pick<CacheFigures, 'entries' | 'bytes'>, runner: string): string {
  return removed.entries === 0
    ? `nothing to remove from the actions cache of ${runner}`
    : `removed ${removedText(removed)} from the actions cache of ${runner}`;
}

/** `179 MiB (7 actions)`. */
function removedText({ entries, bytes }: Pick<CacheFigures, 'entries' | 'bytes'>): string {
  return `${bytesText(bytes)} (${entries} ${entries === 1 ? 'action' : 'actions'})`;
}

/** The end of the step. */
export function goneText(removed: Pick<CacheFigures, 'entries' | 'bytes'>): string {
  return removed.entries === 0 ? 'nothing to remove' : `removed ${removedText(removed)}, and seen to be gone`;
}
