import { NativeConnection, Runtime, type LogLevel } from '@temporalio/worker';
import { createSealing } from '../activities/sealing.ts';
import type { Config } from '../config/config.ts';
import { createGitHub } from '../github/github.ts';
import { accountOf, createTokenSource } from '../github/credentials.ts';
import { createGate } from '../github/gate.ts';
import { createPace } from '../github/pace.ts';
import type { GitHubPort } from '../github/port.ts';
import type { MachinePort } from '../machine/port.ts';
import { openHost } from '../machine/host.ts';
import { ShellMachine } from '../machine/shell-machine.ts';
import { MultipassTransport } from '../machine/transports/multipass.ts';
import { createAlerts } from './alerts.ts';
import { createDirectory } from './directory.ts';
import { prepareNamespace, type NamespaceState } from './namespace.ts';
import { healthPolicy, queuePolicy, recoveryPolicy } from './policy.ts';
import { withRuntime, type LogStyle } from './runtime.ts';
import { missingText } from './search-attributes.ts';
import { sealingKey } from './sealing-key.ts';
import { markStarting } from './starting.ts';
import { connectClient, type TemporalAddress } from './temporal-address.ts';
import { createWorkers, runWorkers, type WorkerParts } from './workers.ts';

/** What a worker process is there for: everything, or the machines of one host alone. */
export type WorkerRole = 'all' | 'host';

export interface WorkerSettings {
  readonly temporal: TemporalAddress;
  readonly config: Config;
  readonly role: WorkerRole;
  /** Why this process only watches, where that is not by configuration. */
  readonly watchReason?: string;
  /** Days that a server of Runward's own keeps histories; `null` leaves somebody else's server alone. */
  readonly ownedRetentionDays: number | null;
  /** What is printed of the SDK's log. */
  readonly logLevel: LogLevel;
  /** JSON without it. */
  readonly logStyle?: LogStyle;
  /** Called once all workers poll. */
  readonly onReady: (retentionDays: number | null) => void;
}

/** Runs the workers of this process until `stop` aborts. */
export async function runWorkerProcess(settings: WorkerSettings, stop: AbortSignal): Promise<void> {
  const { config, temporal, role, watchReason } = settings;
  const main =
    role === 'host'
      ? null
      : {
          github: createGitHubOf(config, logWarning),
          directory: createDirectory({
            runners: config.runners,
            policy: recoveryPolicy(config),
            health: healthPolicy(config),
            queue: queuePolicy(config),
            mode: config.mode,
            watchReason,
            serverUrl: config.github.serverUrl,
          }),
          alerts: createAlerts(config, temporal),
        };
  const host = main !== null && !ownsMachines(config) ? null : createHost(config, process.env);
  await runParts({ ...settings, main, host, home: config.home, sealingKeyFile: config.sealingKeyFile, temporal }, stop);
}

export interface PartsSettings extends Pick<WorkerParts, 'main' | 'host' | 'workflowBundle'> {
  readonly temporal: TemporalAddress;
  /** Data folder, in which verbs see that the worker is starting. */
  readonly home: string;
  readonly sealingKeyFile: string;
  readonly ownedRetentionDays: number | null;
  readonly logLevel: LogLevel;
  readonly logStyle?: LogStyle;
  readonly onReady: (retentionDays: number | null) => void;
}

/** The same for ports that are there already, as the demo's are. */
export async function runParts(settings: PartsSettings, stop: AbortSignal): Promise<void> {
  const endStart = markStarting(settings.home);
  try {
    await withRuntime(settings.logLevel, settings.logStyle ?? 'json', async () => {
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
      searchAttributes: searchAttributes.there,
      sealing: createSealing(sealingKey(settings.sealingKeyFile)),
      ...(settings.workflowBundle === undefined ? {} : { workflowBundle: settings.workflowBundle }),
    });
    const running = runWorkers(workers, stop);
    onReady();
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
  return { name: config.host, machine: createMachine(config, environment), computer: openHost({ environment: definedOnly(environment) }) };
}

/** `environment` is the Multipass client's; its certificate is found through `HOME`. */
function createMachine(config: Config, environment: NodeJS.ProcessEnv): MachinePort {
  return new ShellMachine(new MultipassTransport({ multipass: config.multipass, environment: definedOnly(environment) }));
}

/** `warn` is told what is wrong with the files in which GitHub's limits are remembered. */
export function createGitHubOf({ github: { apiUrl, credentials }, queue, home }: Config, warn: (message: string) => void): GitHubPort {
  const account = accountOf(credentials);
  const http = { baseUrl: apiUrl, gate: createGate({ folder: home, warn }), ...(account === undefined ? {} : { account }) };
  const pace = createPace({ writesPerMinute: queue.writesPerMinute });
  return createGitHub({ ...http, token: createTokenSource(credentials, http), pace });
}

function logWarning(message: string): void {
  Runtime.instance().logger.warn(message);
}

function definedOnly(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
