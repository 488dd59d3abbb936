import type { CacheEntry } from '../domain/cache.ts';
import { bytesText } from '../domain/room.ts';
import { warnOfCacheWork, type Victims, type Warning } from './ask-first.ts';
import { formatDuration } from '../domain/duration.ts';
import type { ExitCode } from './exit.ts';
import type { Invocation } from './invocation.ts';
import type { ToldReport } from './operation-text.ts';
import { startOperations, type OperationFlags, type Wanted } from './start-operation.ts';
import { tableLines } from './table.ts';

export interface CacheFlags extends OperationFlags {
  readonly force: boolean;
}

export type CacheVerb = 'clean' | 'clear' | 'heal';

const VERBS = {
  clean: { type: 'cleanActionsCache', act: 'clean', title: 'Cleaning', doing: 'Cleaning the actions cache of' },
  clear: { type: 'clearActionsCache', act: 'clear', title: 'Clearing', doing: 'Clearing the actions cache of' },
  heal: { type: 'healActionsCache', act: 'heal', title: 'Healing', doing: 'Healing the actions cache of' },
} as const satisfies Record<CacheVerb, Wanted>;

/**
 * Upkeep of runners' actions caches between two jobs; a dry run is an operation as well, since only a worker reaches the machine. What clears a cache,
 * or disturbs a job, is said and asked first.
 */
export function cache(verb: CacheVerb, flags: CacheFlags, invocation: Invocation): Promise<ExitCode> {
  const { force, dryRun } = flags;
  const asks = !dryRun && (force || verb === 'clear');
  const askFirst = (victims: Victims): Promise<Warning> => warnOfCacheWork(victims, { act: ACTS[verb], clears: verb === 'clear', force });
  return startOperations(
    { ...VERBS[verb], input: { force, dryRun }, details: entryLines, ...(asks ? { askFirst } : {}) },
    flags,
    invocation,
  );
}

/** As a question begins. */
const ACTS = { clean: 'Clean', clear: 'Clear', heal: 'Heal' } as const satisfies Record<CacheVerb, string>;

/** What would go, the largest first. */
function entryLines({ removed }: ToldReport): readonly string[] {
  const found = removed?.found ?? [];
  if (removed === undefined || found.length === 0) {
    return [];
  }
  const more = removed.entries - found.length;
  return [...tableLines(['ENTRY', 'SIZE', 'UNUSED FOR'], found.map(entryRow)), ...(more > 0 ? [`… and ${more} smaller ones`] : [])];
}

/** A name may hold anything, also what a terminal takes for an order. */
function entryRow({ path, bytes, unusedMs }: CacheEntry): readonly string[] {
  const name = /^[\w./@+ -]+$/.test(path) ? path : JSON.stringify(path);
  return [name, bytesText(bytes), unusedMs === null ? 'unknown' : formatDuration(unusedMs)];
}
