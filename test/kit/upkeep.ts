// Care for caches and disks in a make-believe world: its operations, and runs that a damaged actions cache let fail.

import type { WorkflowHandle } from '@temporalio/client';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { machineLedgerId, machineLockId, MAIN_QUEUE } from '../../src/domain/names.ts';
import type { PackageReport } from '../../src/domain/package.ts';
import type { GuestObservation } from '../../src/domain/runner.ts';
import type { CacheReport, CleanOutcome, ClearOutcome, HealReport, RoomReport } from '../../src/domain/upkeep.ts';
import type { JobOptions, RunOptions } from '../../src/sandbox/github/run.ts';
import type { World } from './recovery-world.ts';

export const CALL = { signal: new AbortController().signal, heartbeat: () => {} };

export const GIB = 1024 ** 3;
export const DAY_MS = 24 * 3_600_000;

interface Reports {
  readonly cleanActionsCache: CacheReport<CleanOutcome>;
  readonly clearActionsCache: CacheReport<ClearOutcome>;
  readonly healActionsCache: HealReport;
  readonly makeRoom: RoomReport;
  readonly fetchPackage: PackageReport;
}

/** Starts an operation on the world's runner by hand, under an id of its own. */
export function begin<Type extends keyof Reports>(
  world: World,
  type: Type,
  input: object = {},
): Promise<WorkflowHandle<() => Promise<Reports[Type]>>> {
  return world.client.workflow.start(type, {
    workflowId: `${type}-${world.target.runner}-${Math.random()}`,
    taskQueue: MAIN_QUEUE,
    args: [{ runner: world.target.runner, ...input }],
  }) as never;
}

export async function run<Type extends keyof Reports>(world: World, type: Type, input?: object): Promise<Reports[Type]> {
  return (await begin(world, type, input)).result();
}

export async function look(world: World): Promise<GuestObservation> {
  const { guest } = await world.machine.observe(world.target, CALL);
  if (!guest.known) {
    throw new Error(guest.why);
  }
  return guest.value;
}

/** Paths of all that the actions cache of a runner holds, the first unless another is named. */
export async function cached(world: World, target = world.target): Promise<readonly string[]> {
  return (await world.machine.listCache(target, { kind: 'all' }, CALL)).found.map(({ path }) => path).toSorted();
}

/** A job that lasts until the test ends it, once both sides know of it. */
export async function beginJob(world: World): Promise<number> {
  const { github, target } = world;
  const job = github.giveJob(target.scope, target.runner, { seconds: 3_600 });
  await world.until(async () => (await look(world)).workers === 1, 'the job runs');
  return job;
}

export async function ledgerOf({ client, target }: World): Promise<readonly LedgerEntry[]> {
  const ledger = client.workflow.getHandle(machineLedgerId(target.host, target.machine));
  const described = await ledger.describe().catch(() => null);
  return (described?.memo?.['entries'] ?? []) as readonly LedgerEntry[];
}

export async function isHeld({ client, target }: World): Promise<boolean> {
  const lock = client.workflow.getHandle(machineLockId(target.host, target.machine));
  return (await lock.describe().catch(() => null))?.status.name === 'RUNNING';
}

/** What the runner says about an action that it has downloaded and can't read. */
export function gone(world: World, entry = 'actions/checkout/v4'): string {
  const path = `${world.target.directory}/_work/_actions/${entry}`;
  return `Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '${path}'. Did you forget to run actions/checkout before running your local action?`;
}

export const failure = (message: string): NonNullable<JobOptions['annotations']>[number] => ({ level: 'failure', message });

/** A run that has failed; its jobs were the runner's, and last until the test ends them where they are run again. */
export function failedRun(world: World, jobs: readonly JobOptions[], more: Partial<RunOptions> = {}): number {
  const { github, target } = world;
  return github.queueRun(target.scope, {
    jobs: jobs.map((job) => ({ state: 'completed', conclusion: 'failure', runner: target.runner, seconds: 3_600, ...job })),
    ...more,
  });
}

/** The newest attempt of a run begins, and fails as the one before. */
export async function failAgain(world: World, id: number): Promise<void> {
  await world.until(async () => (await look(world)).workers === 1, 'the run is run again');
  world.github.completeRun(id, 'failure');
  await world.machine.endJob(world.target);
  await world.until(() => !world.github.runners(world.target.scope)[0]?.busy, 'GitHub shows the runner idle');
}

/** Requests for a re-run that GitHub has had, whatever it has answered. */
export function rerunsAsked({ github }: World): number {
  return github.requests.filter(({ method, path }) => method === 'POST' && /\/(?:rerun|rerun-failed-jobs)$/.test(path)).length;
}

/** Jobs, logs and annotations that GitHub was asked for. */
export function failuresRead({ github }: World): number {
  return github.requests.filter(({ path }) => /\/(?:runs\/\d+\/jobs|logs|annotations)(?:\?|$)/.test(path)).length;
}

/** Writes at GitHub, but for what listeners say. */
export function writesAt({ github }: World): readonly string[] {
  return github.requests
    .filter(({ method, path }) => !['GET', 'HEAD'].includes(method) && path.includes('/repos/'))
    .map(({ path }) => path);
}
