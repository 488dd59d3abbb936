import type { CacheEntry } from '../domain/cache.ts';
import { bytesText } from '../domain/room.ts';
import { formatDuration } from './durations.ts';
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

/** Cares for a runner's actions cache between two jobs; a dry run is an operation as well, since only a worker reaches the machine. */
export function cache(verb: CacheVerb, flags: CacheFlags, invocation: Invocation): Promise<ExitCode> {
  return startOperations({ ...VERBS[verb], input: { force: flags.force, dryRun: flags.dryRun }, details: entryLines }, flags, invocation);
}

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
