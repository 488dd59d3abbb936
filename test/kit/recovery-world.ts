// A whole make-believe world on a real Temporal server: GitHub, a machine with one runner, and the product's own workers.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { inject } from 'vitest';
import { NO_ALERTS, type Alerts } from '../../src/activities/findings.ts';
import { createSealing, SEALING_KEY_BYTES } from '../../src/activities/sealing.ts';
import type { Alert } from '../../src/domain/alert.ts';
import { chooseRunner } from '../../src/domain/choose-runner.ts';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { MAIN_QUEUE, type SearchAttribute } from '../../src/domain/names.ts';
import {
  DEFAULT_FINDING_POLICY,
  DEFAULT_HEALTH_POLICY,
  DEFAULT_RECOVERY_POLICY,
  DEFAULT_UPKEEP_POLICY,
  type FindingPolicy,
  type HealthPolicy,
  type RecoveryPolicy,
  type UpkeepPolicy,
} from '../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY, type QueuePolicy } from '../../src/domain/queue/policy.ts';
import type { QueueReport } from '../../src/domain/queue/report.ts';
import type { RegistrationWay } from '../../src/domain/package.ts';
import type { RecoveryReport } from '../../src/domain/report.ts';
import type { RunwardEvent } from '../../src/domain/event.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import { openHostPackages } from '../../src/machine/host-packages.ts';
import type { MachinePort } from '../../src/machine/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { SandboxHost } from '../../src/sandbox/machine/sandbox-host.ts';
import { SandboxMachine } from '../../src/sandbox/machine/sandbox-machine.ts';
import { createDirectory, type RunnerDirectory } from '../../src/worker/directory.ts';
import { deleteSchedule } from '../../src/worker/schedules.ts';
import { installRuntime } from '../../src/worker/runtime.ts';
import { createWorkers, runWorkers, type WorkerParts } from '../../src/worker/workers.ts';
import { quickGate } from './quick-gate.ts';
import { scheduledPass } from './scheduled-pass.ts';
import { target as aTarget } from './observations.ts';
import { namespaceOf, NAMESPACES } from './temporal-setup.ts';

const { failures } = DEFAULT_UPKEEP_POLICY;

const QUICK_UPKEEP: UpkeepPolicy = {
  ...DEFAULT_UPKEEP_POLICY,
  failures: { ...failures, doubtMs: 200, limits: { ...failures.limits, rerun: { ...failures.limits.rerun, retryInitial: '100ms' } } },
};

/** The product's policy with the waits of a test. */
export const QUICK_POLICY: RecoveryPolicy = {
  ...DEFAULT_RECOVERY_POLICY,
  guestAnswersWithinMs: 3_000,
  guestPollMs: 300,
  lookGapMs: 2_000,
  serviceSettlesWithinMs: 1_000,
  jobLostAfterMs: 5_000,
  goneShownWithinMs: 2_000,
  strangerActWithinMs: 10_000,
  onlineWithinMs: 5_000,
  onlinePollMs: 100,
  hostSilentAfterMs: 2_000,
  lockPollMs: 400,
  lockPollLongestMs: 1_000,
  drainPollMs: 1_000,
  limits: {
    ...DEFAULT_RECOVERY_POLICY.limits,
    look: { ...DEFAULT_RECOVERY_POLICY.limits.look, heartbeat: '3s', scheduleToClose: '5s', retryInitial: '100ms' },
    github: { ...DEFAULT_RECOVERY_POLICY.limits.github, scheduleToClose: '5s', retryInitial: '100ms', retryMaximum: '500ms' },
    act: { ...DEFAULT_RECOVERY_POLICY.limits.act, heartbeat: '3s', scheduleToClose: '20s', retryInitial: '100ms' },
  },
  upkeep: QUICK_UPKEEP,
};

/** The same for passes. */
export const QUICK_HEALTH: HealthPolicy = {
  ...DEFAULT_HEALTH_POLICY,
  machineLookMs: 2_000,
  readingsApartMs: 0,
  hostSilentAfterMs: 2_000,
  limits: {
    look: { ...DEFAULT_HEALTH_POLICY.limits.look, heartbeat: '3s', scheduleToClose: '5s', retryInitial: '100ms' },
    github: { ...DEFAULT_HEALTH_POLICY.limits.github, scheduleToClose: '2s', retryInitial: '100ms', retryMaximum: '500ms' },
  },
};

/** The same for queue care. */
export const QUICK_QUEUE: QueuePolicy = {
  ...DEFAULT_QUEUE_POLICY,
  following: { firstMs: 0, longestMs: 1_000, forceAfterMs: 2_000, giveUpAfterMs: 5_000, doubtMs: 500, tellAfterMs: 1_000, marginMs: 5_000 },
  limits: {
    list: { ...DEFAULT_QUEUE_POLICY.limits.list, heartbeat: '3s', retryInitial: '50ms', retryMaximum: '500ms' },
    anew: { ...DEFAULT_QUEUE_POLICY.limits.anew, heartbeat: '3s', scheduleToClose: '2s', retryInitial: '50ms', retryMaximum: '500ms' },
    read: { ...DEFAULT_QUEUE_POLICY.limits.read, heartbeat: '3s', retryInitial: '50ms', retryMaximum: '500ms' },
    write: { ...DEFAULT_QUEUE_POLICY.limits.write, heartbeat: '3s', retryInitial: '50ms', retryMaximum: '500ms' },
  },
};

/** The same for findings. */
const QUICK_FINDINGS: FindingPolicy = {
  ...DEFAULT_FINDING_POLICY,
  readingsApartMs: 0,
  delivery: { startToClose: '5s', heartbeat: '5s', retryInitial: '50ms', retryMaximum: '200ms' },
};

export interface World extends AsyncDisposable {
  readonly github: SandboxGitHub;
  readonly machine: SandboxMachine;
  /** The host; all worlds of a process share it. */
  readonly computer: SandboxHost;
  /** The first of `targets`. */
  readonly target: RunnerTarget;
  readonly targets: readonly RunnerTarget[];
  readonly client: Client;
  /** What its workflows told that has happened, oldest first. */
  readonly events: readonly RunwardEvent[];
  /** Ends the workers, of all worlds, and starts others that know nothing but what is in files and in Temporal. */
  restartWorkers(options?: { readonly afterMs: number }): Promise<void>;
  /** Starts a recovery under an id of its own. */
  recover(input?: unknown, workflowId?: string): Promise<WorkflowHandle<() => Promise<RecoveryReport>>>;
  /** Starts a health check of the scope under an id of its own. */
  check(input?: object): Promise<WorkflowHandle<() => Promise<HealthReport>>>;
  /** Starts queue care under an id of its own. */
  maintain(input?: object): Promise<WorkflowHandle<() => Promise<QueueReport>>>;
  /** Lets the scope's schedule, which keeps no time of its own here, start a pass; passes know what the last one left. */
  pass(): Promise<HealthReport>;
  /** GitHub's word for a runner, the first unless another is named. */
  shown(target?: RunnerTarget): string;
  until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly policy?: Partial<RecoveryPolicy>;
  /** Length of a listener's poll; by default longer than a test, since GitHub answers at once where there is something to say. */
  readonly pollMs?: number;
  /** Length of the machine's steps; 0 is no wait. */
  readonly pace?: number;
  readonly health?: Partial<HealthPolicy>;
  readonly queue?: Partial<QueuePolicy>;
  readonly mode?: 'act' | 'watch';
  /** Whether the runners are there to take jobs, as by default; else they are registered, and offline. */
  readonly isListening?: boolean;
  /** Runners of the scope, each on a machine of its own; one by default. */
  readonly runners?: number;
  /** Whether they share one machine. */
  readonly sharesMachine?: boolean;
  /** The API token; by default it may do everything. */
  readonly token?: Parameters<SandboxGitHub['addToken']>[0];
  /** What becomes of the messages of its findings. */
  readonly tell?: (alert: Alert) => Promise<void>;
  /** Another host than the one whose queues the workers of this process serve. */
  readonly host?: string;
  /** Default one hour, as at GitHub. */
  readonly registrationTokenLifetimeMs?: number;
  /** What registers the runners, by configuration. */
  readonly registration?: RegistrationWay;
  /** Labels that are configured. */
  readonly labels?: readonly string[];
  /** Whether GitHub calls the runners ephemeral. */
  readonly isEphemeral?: boolean;
}

/** What one world's names resolve to; the workers of a process serve all its worlds. */
interface Resident {
  readonly targets: readonly RunnerTarget[];
  readonly directory: RunnerDirectory;
  readonly github: GitHubPort;
  /** What a new process makes of the same credential and data folder. */
  readonly openGitHub: () => GitHubPort;
  readonly machine: MachinePort;
  readonly tell: (alert: Alert) => Promise<void>;
  readonly events: RunwardEvent[];
}

/** Workers of one process. */
export interface Crew extends AsyncDisposable {
  readonly client: Client;
  stop(): Promise<void>;
}

installRuntime('ERROR');

/** All hosts share it. */
const SEALING_KEY = randomBytes(SEALING_KEY_BYTES);

const computer = new SandboxHost();

/** By scope. */
const residents = new Map<string, Resident>();
/** Started with the first world. Later test files of the process go on with it, and it ends with the process. */
let crew: Promise<Crew> | null = null;
let worlds = 0;

/** A world for its queue alone: GitHub shows its runner, and another one with the label `gpu`, as online and busy for as long as it lasts. */
export async function startQueueWorld(options: WorldOptions = {}): Promise<World> {
  const world = await startWorld({ ...options, isListening: false });
  const { github, target } = world;
  github.addRunner(target.scope, { name: 'gpu-1', labels: ['gpu'] });
  for (const runner of [target.runner, 'gpu-1']) {
    github.showRunner(target.scope, runner, { status: 'online', busy: true });
  }
  return world;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const number = ++worlds;
  let { client } = await (crew ??= startCrew());
  const name = `r${process.pid}-${number}`;
  // Test files share a server, which remembers what was done.
  const scope = `acme/kernel-${process.pid}-${number}`;
  const { runners = 1, pollMs = 120_000, registrationTokenLifetimeMs = 3_600_000 } = options;
  const github = await startGitHub({ repositories: [scope], pollMs, offlineAfterMs: 300, registrationTokenLifetimeMs });
  const machine = new SandboxMachine({
    pace: options.pace ?? 0,
    retryMs: 100,
    removeRegistration: (at, runner) => github.removeRunner(at, runner),
  });
  const names = Array.from({ length: runners }, (_, index) => (index === 0 ? name : `${name}-${index}`));
  const targets = names.map((runner, index) => {
    const host = options.host ?? 'local';
    const { registration, labels } = options;
    return aTarget({
      scope,
      runner,
      ...(options.sharesMachine === true
        ? {
            machine: `m-${name}`,
            directory: `/opt/actions-runner-${index}`,
            neighbours: names.filter((other) => other !== runner).map((other) => ({ scope, runner: other })),
          }
        : { machine: `m-${runner}` }),
      registrationUrl: `${github.url}/${scope}`,
      host,
      ...(registration === undefined ? {} : { registration }),
      ...(labels === undefined ? {} : { labels }),
    });
  });
  const [target] = targets as [RunnerTarget];
  const { isListening = true, isEphemeral = false } = options;
  const registered = targets.map((each) => github.addRunner(scope, { name: each.runner, labels: each.labels, isEphemeral }));
  if (isListening) {
    await Promise.all(targets.map((each, index) => machine.install(each, registered[index]!)));
  }
  const token = new Secret(options.token === undefined ? github.token : github.addToken(options.token));
  const home = mkdtempSync(join(tmpdir(), 'runward-world-'));
  const openGitHub = (): GitHubPort => createGitHub({ baseUrl: github.url, token: () => token, gate: quickGate(home) });
  const directory = createDirectory({
    runners: targets,
    policy: { ...QUICK_POLICY, ...options.policy },
    health: { ...QUICK_HEALTH, ...options.health },
    queue: { ...QUICK_QUEUE, ...options.queue },
    mode: options.mode ?? 'act',
    serverUrl: github.url,
  });
  const events: RunwardEvent[] = [];
  residents.set(scope, { targets, directory, github: openGitHub(), openGitHub, machine, tell: options.tell ?? (async () => {}), events });

  const world: World = {
    github,
    machine,
    computer,
    target,
    targets,
    events,
    get client() {
      return client;
    },
    restartWorkers: async ({ afterMs } = { afterMs: 0 }) => {
      ({ client } = await restartCrew(afterMs));
    },
    recover: (input = { runner: name }, workflowId = `by-hand-${name}-${Math.random()}`) =>
      client.workflow.start('recoverRunner', { workflowId, taskQueue: MAIN_QUEUE, args: [input] }) as never,
    check: (input = { scope }) =>
      client.workflow.start('checkHealth', { workflowId: `check-${name}-${Math.random()}`, taskQueue: MAIN_QUEUE, args: [input] }) as never,
    maintain: (input = { scope }) =>
      client.workflow.start('maintainQueue', {
        workflowId: `queue-${name}-${Math.random()}`,
        taskQueue: MAIN_QUEUE,
        args: [input],
      }) as never,
    pass: () => scheduledPass(client, scope),
    shown: ({ runner } = target) => github.runners(scope).find((each) => each.name === runner)?.status ?? 'unregistered',
    until,
    close: async () => {
      residents.delete(scope);
      await deleteSchedule(client, scope);
      await deleteSchedule(client, scope, 'queue');
      await machine.close();
      await github.close();
      rmSync(home, { recursive: true });
    },
    [Symbol.asyncDispose]: () => world.close(),
  };
  await world.until(() => !isListening || targets.every((each) => world.shown(each) === 'online'), 'all runners are online');
  return world;
}

async function stopCrew(): Promise<void> {
  const ending = crew;
  crew = null;
  await (await ending)?.stop();
}

async function restartCrew(afterMs: number): Promise<Crew> {
  await stopCrew();
  await sleep(afterMs);
  for (const [scope, resident] of residents) {
    residents.set(scope, { ...resident, github: resident.openGitHub() });
  }
  return (crew = startCrew());
}

/** Before the test's own time-out, which would not say what was waited for. */
const PATIENCE_MS = 50_000;

/** What takes long is asked for less often. */
async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let pauseMs = 10; !(await isSo()); pauseMs = Math.min(100, 2 * pauseMs)) {
    if (Date.now() > deadline) {
      throw new Error(`waited in vain until ${what}`);
    }
    await sleep(pauseMs);
  }
}

/** The product's own workers, whose ports lead to the world that a task is for. */
function startCrew(): Promise<Crew> {
  return startWorkers(allResidents(), 'local', SEALING_KEY, ownNamespace());
}

/** The same in their place, with somebody to tell, and a runner in each of these scopes. */
export async function startTellingCrew(alerts: Alerts, scopes: () => readonly string[]): Promise<Crew> {
  await stopCrew();
  const main = { ...(allResidents() as NonNullable<WorkerParts['main']>), alerts };
  return startWorkers(main, 'local', SEALING_KEY, ownNamespace(), undefined, () => scopes().map((scope) => aTarget({ scope })));
}

/** Another Runward for the same worlds: a namespace shares no lock with any other, as if it were a server of its own. */
export function startRival(): Promise<Crew> {
  return startWorkers(allResidents(), 'local', randomBytes(SEALING_KEY_BYTES), namespaceOf(NAMESPACES));
}

/** The same on a Temporal that may be reached another way, and lacks search attributes. */
export function startLimitedCrew(namespace: string, limits: Limits): Promise<Crew> {
  return startWorkers(allResidents(), 'local', SEALING_KEY, namespace, limits);
}

interface Limits {
  readonly address: string;
  readonly searchAttributes?: readonly SearchAttribute[];
}

function allResidents(): WorkerParts['main'] {
  return {
    github: routed<GitHubPort>((scope) => residents.get(scope as string)?.github),
    directory: {
      listRunners: () => [...residents.values()].flatMap(({ targets }) => targets),
      resolveRunner: (wanted) => {
        const all = [...residents.values()].flatMap(({ targets }) => targets);
        const choice = chooseRunner(all, typeof wanted === 'string' ? wanted : null);
        if (choice.kind !== 'chosen') {
          return { problem: choice.message };
        }
        const { scope, runner } = choice.target;
        return (residents.get(scope) as Resident).directory.resolveRunner(`${scope}/${runner}`);
      },
      resolveScope: (wanted) =>
        residents.get(wanted as string)?.directory.resolveScope(wanted) ?? { problem: `no scope ${String(wanted)}` },
      resolveQueue: (wanted) =>
        residents.get(wanted as string)?.directory.resolveQueue(wanted) ?? { problem: `no scope ${String(wanted)}` },
    },
    alerts: {
      ...NO_ALERTS,
      channels: [{ name: 'test', deliver: async (alert) => residents.get(alert.scope)?.tell(alert) }],
      policy: QUICK_FINDINGS,
    },
  };
}

/** The worker of one host, which knows no GitHub. */
export function startHost(name: string, sealingKey: Buffer = SEALING_KEY): Promise<Crew> {
  return startWorkers(null, name, sealingKey, ownNamespace());
}

/** That of this test process. */
function ownNamespace(): string {
  return namespaceOf(Number(process.env['VITEST_POOL_ID'] ?? 1));
}

async function startWorkers(
  main: WorkerParts['main'],
  host: string,
  sealingKey: Buffer,
  namespace: string,
  { address, ...limits }: Limits = { address: inject('temporalAddress') },
  others: () => readonly RunnerTarget[] = () => [],
): Promise<Crew> {
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const machine = routed<MachinePort>((at) => {
    const one = Array.isArray(at) ? at[0] : at;
    const name = typeof one === 'string' ? one : (one as RunnerTarget).machine;
    return [...residents.values()].find(({ targets }) => targets.some(({ machine: each }) => each === name))?.machine;
  });
  const workers = await createWorkers({
    connection: native,
    namespace,
    ...limits,
    workflowBundle: { codePath: inject('workflowBundle') },
    sealing: createSealing(sealingKey),
    main,
    host: { name: host, machine, computer, packages: openHostPackages({ folder: join(tmpdir(), `runward-packages-${process.pid}`) }) },
    runners: () => [...[...residents.values()].flatMap(({ targets }) => targets), ...others()],
    onEvent: (event) => residents.get(event.scope)?.events.push(event),
  });
  const end = new AbortController();
  const running = runWorkers(workers, end.signal);
  const stop = async (): Promise<void> => {
    end.abort();
    await running;
    await native.close();
    await connection.close();
  };
  return { client: new Client({ connection, namespace }), stop, [Symbol.asyncDispose]: stop };
}

/** A port whose every method goes to the one that its first argument leads to. */
function routed<Port extends object>(find: (first: unknown) => Port | undefined): Port {
  return new Proxy({} as Port, {
    get:
      (_target, method) =>
      async (first: unknown, ...rest: unknown[]) => {
        const port = find(first);
        if (port === undefined) {
          throw new Error(`no world of this test has ${JSON.stringify(first)}`);
        }
        return (Reflect.get(port, method) as (...given: unknown[]) => unknown).call(port, first, ...rest);
      },
  });
}

/** Breaks the runner and waits until GitHub has seen it. */
export async function breakRunner(world: World, how: Parameters<SandboxMachine['break']>[0]): Promise<void> {
  await world.machine.break(how, world.target);
  await world.until(() => world.shown() !== 'online', 'GitHub shows the runner offline');
}
