import { leftAlone, type QueueMemory } from './memory.ts';
import type { ParkedRun } from './parked.ts';
import type { QueuePlan } from './plan.ts';
import type { ParkingPolicy } from './policy.ts';
import type { PlannedAct } from './verdict.ts';

/** What Temporal remembers of a queue. */
export interface Remembered {
  readonly memory: QueueMemory;
  readonly parked: readonly ParkedRun[];
  /** A person ended what remembered them: they are to be parked anew. */
  readonly isCutOff?: boolean;
  /** Why runs that are noted as parked are not known any more. */
  readonly lost?: string;
}

/** Runs that made way and that nobody remembers any more but by their ids; `null` where there are none. */
export function lostRuns({ memory, parked, lost }: Remembered): { readonly runs: readonly number[]; readonly why: string } | null {
  const known = new Set(parked.map(({ run }) => run.id));
  const runs = (memory.parked ?? []).filter((run) => !known.has(run));
  return lost === undefined || runs.length === 0 ? null : { runs, why: lost };
}

/**
 * Of a plan's acts those that can be done, in their order, by what is remembered at this time: a run that is parked, set aside or cancelled since is left
 * out. `homeless`: runs that would be parked if there were room.
 */
export function intendedActs(
  { acts }: Pick<QueuePlan, 'acts'>,
  { memory, parked }: Remembered,
  at: number,
  { most }: ParkingPolicy,
): { readonly acts: readonly PlannedAct[]; readonly homeless: readonly PlannedAct[] } {
  const known = new Set(parked.map(({ run }) => run.id));
  const alone = leftAlone(memory, at);
  const possible = acts.filter(({ run, attempt }) => !known.has(run) && alone({ id: run, attempt }) === null);
  const homeless = possible.filter(({ does }) => does === 'park').slice(Math.max(0, most - parked.length));
  const without = new Set(homeless);
  return { acts: possible.filter((act) => !without.has(act)), homeless };
}
