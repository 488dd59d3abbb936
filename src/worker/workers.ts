import { hostname } from 'node:os';
import { Worker, type InjectedSinks, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { onlyConfigured, type ConfiguredRunners } from '../activities/configured.ts';
import type { ActActivities, LookActivities, MainActivities } from '../activities/contract.ts';
import { createActActivities, createLookActivities } from '../activities/machine.ts';
import { createMainActivities, type MainDependencies } from '../activities/main.ts';
import type { Sealing } from '../activities/sealing.ts';
import type { EventSinks, RunwardEvent } from '../domain/event.ts';
import { actQueue, ALL_SEARCH_ATTRIBUTES, lookQueue, MAIN_QUEUE, type SearchAttribute } from '../domain/names.ts';
import { createObserveAll } from '../machine/observe-all.ts';
import type { HostPort, MachinePort, PackagePort } from '../machine/port.ts';
import { workflowBundle } from './workflow-bundle.ts';

/** Looks never wait for acts, so each queue has slots of its own. */
const LOOKS_AT_ONCE = 20;
const ACTS_AT_ONCE = 8;

/** After a worker was killed, the server gives its workflows to the next one once this has passed; by default 10 s. */
const MISSED_AFTER = '3s';

/** A step in the guest is mostly done within this; one that is not goes on there, and its retry waits for it. */
const SHUTDOWN_GRACE = '20s';
const SHUTDOWN_FORCE = '40s';

export interface WorkerParts {
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** What works on the main queue; `null` on a host that only looks after its machines. */
  readonly main: Omit<MainDependencies, 'sealing' | 'searchAttributes'> | null;
  /** Which search attributes the namespace has; without it all of them. */
  readonly searchAttributes?: readonly SearchAttribute[];
  /** What activities work on; whatever else they are asked for is refused. */
  readonly runners: ConfiguredRunners;
  /** Name of the host whose machines this process looks after, its machines, the computer itself, and its packages; `null` for none. */
  readonly host: {
    readonly name: string;
    readonly machine: MachinePort;
    readonly computer: HostPort;
    readonly packages: PackagePort;
  } | null;
  readonly sealing: Sealing;
  /** Hears once of each thing that happens in the workflows of this process. */
  readonly onEvent?: (event: RunwardEvent) => void;
  /** Workflow code of the caller's; without it that of this installation. */
  readonly workflowBundle?: WorkerOptions['workflowBundle'];
  /** Around each activity, as tracing needs it. */
  readonly activityInterceptors?: NonNullable<WorkerOptions['interceptors']>['activity'];
}

/** The workers of one process: on one computer all three queues, elsewhere the main one or a host's two. */
export async function createWorkers(parts: WorkerParts): Promise<readonly Worker[]> {
  const { main, host } = activitiesOf(parts);
  const common = {
    connection: parts.connection,
    namespace: parts.namespace,
    identity: `runward@${parts.host?.name ?? hostname()}`,
    shutdownGraceTime: SHUTDOWN_GRACE,
    shutdownForceTime: SHUTDOWN_FORCE,
    ...(parts.activityInterceptors === undefined ? {} : { interceptors: { activity: parts.activityInterceptors } }),
  } as const;
  const creations: Promise<Worker>[] = [];
  if (main !== null) {
    creations.push(
      Worker.create({
        ...common,
        taskQueue: MAIN_QUEUE,
        workflowBundle: parts.workflowBundle ?? (await workflowBundle()),
        activities: { ...main },
        sinks: sinksOf(parts.onEvent ?? (() => {})),
        maxCachedWorkflows: 50,
        stickyQueueScheduleToStartTimeout: MISSED_AFTER,
      }),
    );
  }
  if (host !== null) {
    creations.push(
      Worker.create({
        ...common,
        taskQueue: lookQueue(host.name),
        activities: { ...host.looks },
        maxConcurrentActivityTaskExecutions: LOOKS_AT_ONCE,
      }),
      Worker.create({
        ...common,
        taskQueue: actQueue(host.name),
        activities: { ...host.acts },
        maxConcurrentActivityTaskExecutions: ACTS_AT_ONCE,
      }),
    );
  }
  return Promise.all(creations);
}

/** What the workers of one process do for workflows; `null` where they leave it to others. */
export interface Activities {
  readonly main: MainActivities | null;
  readonly host: { readonly name: string; readonly looks: LookActivities; readonly acts: ActActivities } | null;
}

/** All of them go through {@link onlyConfigured}. */
export function activitiesOf({
  main,
  host,
  sealing,
  runners,
  searchAttributes = ALL_SEARCH_ATTRIBUTES,
}: Pick<WorkerParts, 'main' | 'host' | 'sealing' | 'runners' | 'searchAttributes'>): Activities {
  return {
    main: main && onlyConfigured(createMainActivities({ ...main, sealing, searchAttributes }), runners),
    host: host && hostActivities(host, sealing, () => runners().filter((target) => target.host === host.name)),
  };
}

function hostActivities(
  { name, machine, computer, packages }: NonNullable<WorkerParts['host']>,
  sealing: Sealing,
  runners: ConfiguredRunners,
): Activities['host'] {
  return {
    name,
    looks: onlyConfigured(createLookActivities(machine, createObserveAll(machine, computer)), runners),
    acts: onlyConfigured(createActActivities(machine, sealing, packages), runners),
  };
}

/** By which workflows tell what happens; a replay tells nothing anew. */
export function sinksOf(onEvent: (event: RunwardEvent) => void): InjectedSinks<EventSinks> {
  const isNew = createMemory();
  return {
    runward: {
      happened: {
        callDuringReplay: false,
        fn({ runId }, event) {
          // A task that a message overtook is done once more, and later.
          if (isNew(JSON.stringify([runId, { ...event, durationMs: 0 }]))) {
            onEvent(event);
          }
        },
      },
    },
  };
}

/** A task is done again within seconds. */
const REMEMBERED = 500;

/** Whether a text is not among the newest ones, of which it then is one. */
function createMemory(): (text: string) => boolean {
  const seen = new Set<string>();
  return (text) => {
    if (seen.has(text)) {
      return false;
    }
    seen.add(text);
    if (seen.size > REMEMBERED) {
      seen.delete(seen.values().next().value ?? '');
    }
    return true;
  };
}

/** Runs until `stop` aborts or one of them fails; then all are shut down in order. */
export async function runWorkers(workers: readonly Worker[], stop: AbortSignal): Promise<void> {
  const shutDown = (): void => {
    for (const worker of workers) {
      if (worker.getState() === 'RUNNING') {
        worker.shutdown();
      }
    }
  };
  const running = workers.map(async (worker) => {
    try {
      await worker.run();
    } finally {
      shutDown();
    }
  });
  stop.addEventListener('abort', shutDown, { once: true });
  if (stop.aborted) {
    shutDown();
  }
  const ends = await Promise.allSettled(running);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
}
