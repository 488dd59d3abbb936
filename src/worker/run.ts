import { join } from 'node:path';
import { NativeConnection, type LogLevel } from '@temporalio/worker';
import { createSealing } from '../activities/sealing.ts';
import type { Config } from '../config/config.ts';
import { childEnvironment } from '../domain/child-environment.ts';
import { createGitHub } from '../github/github.ts';
import { accountOf, createTokenSource } from '../github/credentials.ts';
import { createGate } from '../github/gate.ts';
import { createPace } from '../github/pace.ts';
import { createPoints } from '../github/points.ts';
import type { GitHubPort } from '../github/port.ts';
import { createNotesShelf } from '../github/scope-notes.ts';
import type { MachinePort } from '../machine/port.ts';
import { openHost } from '../machine/host.ts';
import { openHostPackages } from '../machine/host-packages.ts';
import { ShellMachine } from '../machine/shell-machine.ts';
import { MultipassTransport } from '../machine/transports/multipass.ts';
import { createAlerts } from './alerts.ts';
import { createDirectory, type DirectorySettings } from './directory.ts';
import { prepareNamespace, type NamespaceState } from './namespace.ts';
import { healthPolicy, queuePolicy, recoveryPolicy } from './policy.ts';
import { logTo, logWarning, withRuntime, type LogStyle, type LogTo } from './runtime.ts';
import { missingText } from './search-attributes.ts';
import { sealingKey } from './sealing-key.ts';
import { markStarting } from './starting.ts';
import { connectClient, type TemporalAddress } from './temporal-address.ts';
import { createWorkers, runWorkers, type WorkerParts } from './workers.ts';

export interface WorkerSettings extends Pick<PartsSettings, 'onEvent' | 'logTo' | 'before'> {
  readonly temporal: TemporalAddress;
  readonly config: Config;
  /** `null` for the machines of one host alone; else GitHub, and what its token is in the way of. */
  readonly main: (Pick<DirectorySettings, 'hindrance'> & { readonly github: GitHubPort }) | null;
  /** Why this process only watches, where that is not by configuration. */
  readonly watchReason?: string;
  /** Days that a server of Runward's own keeps histories; `null` leaves somebody else's server alone. */
  readonly ownedRetentionDays: number | null;
  /** What is printed of the SDK's log. */
  readonly logLevel: LogLevel;
  /** Called once all workers poll, unless they are to stop by then. */
  readonly onReady: (retentionDays: number | null) => void;
}

/** Runs the workers of this process until `stop` aborts. */
export async function runWorkerProcess(settings: WorkerSettings, stop: AbortSignal): Promise<void> {
  const { config, temporal, watchReason } = settings;
  const main =
    settings.main === null
      ? null
      : {
          github: settings.main.github,
          directory: createDirectory({
            runners: config.runners,
            policy: recoveryPolicy(config),
            health: healthPolicy(config),
            queue: queuePolicy(config),
            mode: config.mode,
            watchReason,
            hindrance: settings.main.hindrance,
            serverUrl: config.github.serverUrl,
          }),
          alerts: createAlerts(config, temporal),
          packageSource: config.package,
        };
  const host = main !== null && !ownsMachines(config) ? null : createHost(config, process.env);
  const runners = (): Config['runners'] => config.runners;
  await runParts({ ...settings, main, host, runners, home: config.home, sealingKeyFile: config.sealingKeyFile, temporal }, stop);
}

export interface PartsSettings extends Pick<WorkerParts, 'main' | 'host' | 'runners' | 'workflowBundle' | 'onEvent'> {
  readonly temporal: TemporalAddress;
  /** Data folder, in which verbs see that the worker is starting. */
  readonly home: string;
  readonly sealingKeyFile: string;
  readonly ownedRetentionDays: number | null;
  readonly logLevel: LogLevel;
  /** JSON without it. */
  readonly logStyle?: LogStyle;
  /** What is waited for before the first task is taken; the workers are made meanwhile. */
  readonly before?: Promise<unknown>;
  /** Where the log goes instead of standard error. */
  readonly logTo?: LogTo;
  readonly onReady: (retentionDays: number | null) => void;
}

/** The same for ports that are there already, as the demo's are. */
export async function runParts(settings: PartsSettings, stop: AbortSignal): Promise<void> {
  const endStart = markStarting(settings.home);
  try {
    await withRuntime(settings.logLevel, settings.logTo ?? logTo(settings.logStyle ?? 'json'), async () => {
      const namespace = await prepare(settings.temporal, settings.ownedRetentionDays);
      missingNotes(namespace, settings.temporal).forEach(logWarning);
      const onReady = (): void => {
        endStart();
        settings.onReady(namespace.retentionDays);
      };
      await pollQueues(settings, namespace, onReady, stop);
    });
  } finally {
    endStart();
  }
}

async function pollQueues(
  settings: PartsSettings,
  { searchAttributes }: NamespaceState,
  onReady: () => void,
  stop: AbortSignal,
): Promise<void> {
  const { temporal } = settings;
  const connection = await NativeConnection.connect(temporal.connectionOptions);
  try {
    const workers = await createWorkers({
      connection,
      namespace: temporal.namespace,
      main: settings.main,
      host: settings.host,
      runners: settings.runners,
      searchAttributes: searchAttributes.there,
      sealing: createSealing(sealingKey(settings.sealingKeyFile)),
      ...(settings.onEvent === undefined ? {} : { onEvent: settings.onEvent }),
      ...(settings.workflowBundle === undefined ? {} : { workflowBundle: settings.workflowBundle }),
    });
    await settings.before;
    const running = runWorkers(workers, stop);
    if (!stop.aborted) {
      onReady();
    }
    await running;
  } finally {
    await connection.close();
  }
}

/** A worker in a container works on the main queue and owns none: the computers that do run `worker --host`. */
function ownsMachines({ host, runners }: Config): boolean {
  return runners.some((target) => target.host === host);
}

async function prepare({ connectionOptions, namespace }: TemporalAddress, ownedRetentionDays: number | null): Promise<NamespaceState> {
  const connection = await connectClient(connectionOptions, {
    onSilence: () => logWarning(`Temporal at ${connectionOptions.address} does not answer; trying again …`),
  });
  try {
    return await prepareNamespace(connection, namespace, ownedRetentionDays);
  } finally {
    await connection.close();
  }
}

/** What this worker has to do without, and how it is made. */
function missingNotes(
  { searchAttributes, isRetentionRefused }: NamespaceState,
  { connectionOptions, namespace }: TemporalAddress,
): string[] {
  const missing = missingText(searchAttributes, { address: connectionOptions.address, namespace });
  return [
    ...(missing === null ? [] : [`${missing} Then start this worker again; until then it works with less to list.`]),
    ...(isRetentionRefused ? [`How long namespace ${namespace} keeps histories could not be set: Temporal refused it.`] : []),
  ];
}

/** This computer with its machines, for a worker or for a command that looks by itself. */
export function createHost(config: Config, environment: NodeJS.ProcessEnv): NonNullable<WorkerParts['host']> {
  return {
    name: config.host,
    machine: createMachine(config, environment),
    computer: openHost({ environment: childEnvironment(environment) }),
    packages: openHostPackages({
      folder: join(config.home, 'packages'),
      file: config.package.kind === 'file' ? config.package.path : null,
      trustedOrigin: new URL(config.github.serverUrl).origin,
    }),
  };
}

/** The Multipass client finds its certificate through `HOME`. */
function createMachine(config: Config, environment: NodeJS.ProcessEnv): MachinePort {
  return new ShellMachine(new MultipassTransport({ multipass: config.multipass, environment: childEnvironment(environment, 'multipass') }));
}

/** `warn` is told what is wrong with the files in which GitHub's limits are remembered. */
export function createGitHubOf({ github: { apiUrl, credentials }, queue, home }: Config, warn: (message: string) => void): GitHubPort {
  const account = accountOf(credentials);
  const http = { baseUrl: apiUrl, gate: createGate({ folder: home, warn }), ...(account === undefined ? {} : { account }) };
  const pace = createPace({ writesPerMinute: queue.writesPerMinute });
  const notes = createNotesShelf(home);
  return createGitHub({ ...http, token: createTokenSource(credentials, http), pace, points: createPoints(), notes });
}
