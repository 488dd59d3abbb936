import type { ResolvedQueue } from '../activities/contract.ts';
import { intendedActs } from '../domain/queue/intended.ts';
import { inListOrder, listedRun, readQueueListRequest, type QueueList, type QueueListRequest } from '../domain/queue/list.ts';
import { Forecast } from '../domain/queue/outlook.ts';
import { modesOf } from '../domain/queue/plan.ts';
import { groundOfRunners, planSeen, readRunners, readWholeQueue, withJobsOf } from './queue-look.ts';
import { operateOnScope } from './scope-operation.ts';
import type { Told } from './told.ts';

/** The queue of a repository run by run, and what queue maintenance would do with each. Writes nothing, and takes no lock. */
export async function listQueue(...given: unknown[]): Promise<QueueList> {
  return operateOnScope(readQueueListRequest(given), {
    kind: 'the repository',
    resolve: (configuration, scope) => configuration.resolveQueue({ scope }),
    run: list,
  });
}

async function list(resolved: ResolvedQueue, { max }: QueueListRequest, told: Told): Promise<QueueList> {
  const { scope, policy, mode, remembered, serverUrl = '' } = resolved;
  const { memory, parked } = remembered;
  const { at, runs } = await readWholeQueue(resolved, told);
  const read = await readRunners(resolved, told);
  const { runners, areAll, notes } = read;
  const surroundings = groundOfRunners(read);
  const modes = modesOf(policy, null);
  const planning = { resolved, modes, most: Infinity };
  const planned = await planSeen({ at, runs, surroundings }, memory, planning, told);
  const inOrder = inListOrder(runs);
  const shown = inOrder.slice(0, max);
  const { plan, jobs, tags, notes: unread } = await withJobsOf(shown, planned, resolved);
  const view = { at, runs, ...surroundings, jobs, tags, memory };
  const { acts: intended, homeless } = intendedActs(plan, remembered, at, policy.parking);
  const known = new Set(parked.map(({ run }) => run.id));
  const forecast = new Forecast({ view, plan, policy, modes, intended, homeless, parked: known });
  return {
    outcome: 'listed',
    scope,
    observedAt: new Date(at).toISOString(),
    mode,
    rules: modes,
    serverUrl,
    queued: inOrder.length,
    runs: shown.map((run) => listedRun(run, view, forecast)),
    runners,
    areAll,
    parked,
    notes: [...notes, ...plan.notes, ...unread],
  };
}
