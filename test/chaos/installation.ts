// One Runward: its Temporal in virtual time, the product's own workflows and activities, and the simulated world behind their ports.

import './temporal/sandbox.ts';
import { createMainActivities } from '../../src/activities/main.ts';
import { createActActivities, createLookActivities } from '../../src/activities/machine.ts';
import { onlyConfigured } from '../../src/activities/configured.ts';
import { createSealing, SEALING_KEY_BYTES } from '../../src/activities/sealing.ts';
import {
  actQueue,
  ALL_SEARCH_ATTRIBUTES,
  healthScheduleId,
  lookQueue,
  MAIN_QUEUE,
  queueScheduleId,
  SEARCH_ATTRIBUTES,
} from '../../src/domain/names.ts';
import { DEFAULT_FINDING_POLICY, DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../../src/domain/queue/policy.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import type { MachinePort, PackagePort } from '../../src/machine/port.ts';
import { createDirectory } from '../../src/worker/directory.ts';
import { memoryLastsMs } from '../../src/worker/policy.ts';
import * as workflows from '../../src/workflows/index.ts';
import { createVirtualTemporal, type AnyActivity, type AnyWorkflow, type VirtualTemporal } from './temporal/index.ts';
import { createGitHubPort } from './world/github-port.ts';
import { SimulatedMachines } from './world/machine-port.ts';
import { ServerClock } from './server-clock.ts';
import { MINUTE } from './world/time.ts';
import type { World } from './world/world.ts';

/** Queue care comes no more often. */
const QUEUE_EVERY_MINUTES = 60;

const SEALING = createSealing(Buffer.alloc(SEALING_KEY_BYTES, 7));

export interface Installation {
  readonly name: string;
  readonly temporal: VirtualTemporal;
  readonly clock: ServerClock;
  /** One whose checks are by hand has none. */
  readonly hasSchedules: boolean;
  /** Of workers by queue: how many faults keep them away. */
  readonly away: Map<string, number>;
}

export interface InstallationSettings {
  readonly name: string;
  readonly targets: readonly RunnerTarget[];
  readonly everyMinutes: number;
  /** One whose checks are by hand has none. */
  readonly hasSchedules: boolean;
}

const NO_PACKAGES: PackagePort = {
  archiveOf: async () => ({ path: '/dev/null', bytes: 0 }),
};

export function install(
  world: World,
  base: ConstructorParameters<typeof ServerClock>[0],
  { name, targets, everyMinutes, hasSchedules }: InstallationSettings,
): Installation {
  const clock = new ServerClock(base);
  const machine = new SimulatedMachines(world, name);
  const ports = {
    github: createGitHubPort(world, name),
    machine,
    observeAll: machine.observeAll,
  };
  const dead = <Port extends object>(port: Port): Port => temporal.perishable(port);
  const directory = createDirectory({
    runners: targets,
    policy: DEFAULT_RECOVERY_POLICY,
    health: { ...DEFAULT_HEALTH_POLICY, memoryLastsMs: memoryLastsMs(everyMinutes * MINUTE) },
    queue: DEFAULT_QUEUE_POLICY,
    mode: 'act',
    serverUrl: 'https://github.com',
  });
  const lazily = <Port extends object>(port: () => Port): Port =>
    new Proxy({} as Port, { get: (_target, method) => Reflect.get(port(), method) as unknown });
  let perished: { readonly github: typeof ports.github; readonly machine: MachinePort } | null = null;
  const alive = () => (perished ??= { github: dead(ports.github), machine: dead(ports.machine) });
  const github = lazily(() => alive().github);
  const main = onlyConfigured(
    createMainActivities({
      github,
      sealing: SEALING,
      directory,
      alerts: {
        channels: [
          {
            name: 'people',
            deliver: async ({ subject, code, state, text }) => {
              world.advance();
              world.facts.note({ kind: 'told', installation: name, subject, code, state, text });
            },
          },
        ],
        policy: DEFAULT_FINDING_POLICY,
        hostOf: (scope, runner) => targets.find((target) => target.scope === scope && target.runner === runner)?.host ?? null,
        linkTo: () => null,
      },
      searchAttributes: ALL_SEARCH_ATTRIBUTES,
    }),
    () => targets,
  );
  const machines = lazily(() => alive().machine);
  const looks = onlyConfigured(createLookActivities(machines, machine.observeAll), () => targets);
  const acts = onlyConfigured(createActActivities(machines, SEALING, NO_PACKAGES), () => targets);
  const restless = new Restless();
  const hosts = [...new Set(targets.map(({ host }) => host))];
  const activities = (given: object) => given as unknown as Readonly<Record<string, AnyActivity>>;
  const temporal = createVirtualTemporal({
    clock,
    random: world.chance.about(`Temporal of ${name}`),
    workflows: workflows as unknown as Readonly<Record<string, AnyWorkflow>>,
    activities: {
      [MAIN_QUEUE]: activities(main),
      ...Object.fromEntries(
        hosts.flatMap((host) => [[lookQueue(host), activities(looks)] as const, [actQueue(host), activities(acts)] as const]),
      ),
    },
    workflowQueue: MAIN_QUEUE,
    hear: (happening) => {
      restless.hear(happening.at, happening);
      if (happening.kind === 'started') {
        const { workflowId, runId, type } = happening;
        world.advance();
        world.facts.note({ kind: 'operation', installation: name, workflowId, runId, type, what: 'began', outcome: '', summary: '' });
      } else if (happening.kind === 'closed') {
        const { workflowId, runId, type, status } = happening;
        world.advance();
        const ended = temporal.outcome(workflowId, runId);
        const { outcome = status, summary = '' } =
          (ended?.status === 'COMPLETED' ? (ended.result as { outcome?: string; summary?: string } | null) : null) ?? {};
        world.facts.note({ kind: 'operation', installation: name, workflowId, runId, type, what: 'ended', outcome, summary });
      } else if (happening.kind === 'task-failed') {
        throw new Error(`the code of ${happening.type} ${happening.workflowId} threw`, { cause: happening.error });
      }
    },
  });
  if (hasSchedules) {
    for (const scope of new Set(targets.map((target) => target.scope))) {
      addSchedule(temporal, {
        scheduleId: healthScheduleId(scope),
        scope,
        workflowType: 'checkHealth',
        everyMinutes,
        runTimeoutMs: 15 * MINUTE,
      });
      if (scope.includes('/')) {
        addSchedule(temporal, {
          scheduleId: queueScheduleId(scope),
          scope,
          workflowType: 'maintainQueue',
          everyMinutes: Math.max(everyMinutes, QUEUE_EVERY_MINUTES),
          runTimeoutMs: 360 * MINUTE,
        });
      }
    }
  }
  return { name, temporal, clock, hasSchedules, away: new Map() };
}

/** What goes on without end and without time passing is told, and not waited for. */
class Restless {
  static readonly #MOST = 20_000;
  #minute = 0;
  #heard = 0;

  hear(at: number, happening: unknown): void {
    const minute = Math.floor(at / MINUTE);
    this.#heard = minute === this.#minute ? this.#heard + 1 : 0;
    this.#minute = minute;
    if (this.#heard > Restless.#MOST) throw new Error(`something goes on without end: ${JSON.stringify(happening)}`);
  }
}

function addSchedule(
  temporal: VirtualTemporal,
  {
    scheduleId,
    scope,
    workflowType,
    everyMinutes,
    runTimeoutMs,
  }: {
    readonly scheduleId: string;
    readonly scope: string;
    readonly workflowType: string;
    readonly everyMinutes: number;
    readonly runTimeoutMs: number;
  },
): void {
  temporal.addSchedule({
    scheduleId,
    workflowType,
    args: [{ scope }],
    everyMs: everyMinutes * MINUTE,
    offsetMs: (scheduleId.length % 5) * 47_000,
    runTimeoutMs,
    catchupMs: 2 * MINUTE,
    labels: { [SEARCH_ATTRIBUTES.scope]: scope, [SEARCH_ATTRIBUTES.trigger]: 'schedule' },
  });
}
