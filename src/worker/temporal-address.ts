import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, isGrpcServiceError, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { z } from 'zod';
import { describeFound } from '../config/mistake.ts';
import { repeatingCalls, type CallPolicy } from './temporal-calls.ts';

/** Where Temporal is, and who said so. */
export interface TemporalAddress {
  readonly connectionOptions: NativeConnectionOptions & { readonly address: string };
  readonly namespace: string;
  /** For messages: what to look at where nobody answers. */
  readonly source: string;
  /** Of Temporal's web UI, where Runward started it. */
  readonly uiUrl: string | null;
  /** The process of the `up` that keeps the server, and starts it again if it ends; not there for any other server. */
  readonly upPid?: number;
  /** Whether the environment or a profile names the namespace. */
  readonly isNamespaceGiven?: boolean;
}

/** What `up` writes into its data folder for the other verbs. */
export const serverFileSchema = z.object({
  address: z.string(),
  namespace: z.string(),
  uiUrl: z.string(),
  pid: z.number().int().positive(),
});
export type ServerFile = z.output<typeof serverFileSchema>;

const DEFAULT_TEMPORAL_ADDRESS = '127.0.0.1:7233';

/** How a connection is made, and how it asks once it stands. */
export interface ConnectSettings extends Partial<Omit<CallPolicy, 'end'>> {
  /** How long a host that says nothing is waited for; one that refuses is known at once. */
  readonly connectTimeoutMs?: number;
  /** Told once where it has said nothing for a second. */
  readonly onWait?: () => void;
  readonly end?: AbortSignal;
}

const CONNECT_TIMEOUT_MS = 10_000;
const NOTABLE_WAIT_MS = 1_000;
/** A server that is started again, or a frontend that leaves its load balancer. */
const PATIENCE_MS = 10_000;

/** Connects, or fails at once where the address refuses. What gets no answer later is asked again for a while. */
export async function connectClient(
  options: ConnectionOptions & { readonly address: string },
  { connectTimeoutMs = CONNECT_TIMEOUT_MS, onWait, end, patienceMs = PATIENCE_MS, ...settings }: ConnectSettings = {},
): Promise<Connection> {
  // A proxy of the environment is for the way out; gRPC would take it for this computer's own addresses as well.
  const isLocal = /^(?:127\.|localhost|\[::1\])/.test(options.address);
  const channelArgs = { 'grpc.max_reconnect_backoff_ms': LONGEST_BACK_OFF_MS, ...(isLocal ? { 'grpc.enable_http_proxy': 0 } : {}) };
  const connection = Connection.lazy({ ...options, channelArgs, interceptors: [] });
  const closed = new AbortController();
  try {
    await firstAnswer(connection, connectTimeoutMs, onWait);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const repeating = repeatingCalls(connection, {
    ...settings,
    patienceMs,
    end: end === undefined ? closed.signal : AbortSignal.any([end, closed.signal]),
  });
  return Object.defineProperty(repeating, 'close', {
    value: async () => {
      closed.abort();
      await connection.close();
    },
  });
}

/** gRPC's own is two minutes, after which a server that was started again would be noticed. */
const LONGEST_BACK_OFF_MS = 1_000;

async function firstAnswer(connection: Connection, timeoutMs: number, onWait: (() => void) | undefined): Promise<void> {
  const answered = new AbortController();
  void sleep(NOTABLE_WAIT_MS, undefined, { signal: answered.signal }).then(onWait, () => {});
  try {
    await connection.withDeadline(Date.now() + timeoutMs, () => connection.workflowService.getSystemInfo({}));
  } catch (error) {
    // Old servers do not know the question, and an authorizer may not allow it; both have answered.
    if (!isGrpcServiceError(error) || ![PERMISSION_DENIED, UNIMPLEMENTED].includes(error.code)) {
      throw error;
    }
  } finally {
    answered.abort();
  }
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;

/** Where Temporal's UI shows an execution. */
export function executionLink(uiUrl: string, namespace: string, { workflowId, runId }: { workflowId: string; runId: string }): string {
  return `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`;
}

export function serverFile(home: string): string {
  return join(home, 'server.json');
}

/**
 * Temporal's own environment configuration first, then a running `up`, then the default address. A namespace of the environment counts with each.
 * Throws where a profile is wrong, and an {@link AddressMistake}.
 */
export function findTemporal(env: Readonly<Record<string, string | undefined>>, home: string): TemporalAddress {
  const variables = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars: variables, configFileStrict: true });
  const { address } = connectionOptions;
  const isNamespaceGiven = namespace !== undefined;
  if (address !== undefined) {
    const source = variables[ADDRESS_VARIABLE] === address ? ADDRESS_VARIABLE : "Temporal's profile";
    refuseWrongAddress(address, source);
    return {
      connectionOptions: { ...connectionOptions, address },
      namespace: namespace ?? 'default',
      source,
      uiUrl: null,
      isNamespaceGiven,
    };
  }
  const up = readServerFile(home);
  if (up !== null) {
    return {
      // Its server has neither TLS nor keys, whatever the environment has for another one.
      connectionOptions: { address: up.address },
      namespace: namespace ?? up.namespace,
      source: serverFile(home),
      uiUrl: up.uiUrl,
      upPid: up.pid,
      isNamespaceGiven,
    };
  }
  return {
    connectionOptions: { ...connectionOptions, address: DEFAULT_TEMPORAL_ADDRESS },
    namespace: namespace ?? 'default',
    source: 'the default address',
    uiUrl: null,
    isNamespaceGiven,
  };
}

/** What is given as Temporal's address is none; the message says where, what was found and what is allowed. */
export class AddressMistake extends Error {
  override readonly name = 'AddressMistake';
}

const ADDRESS_VARIABLE = 'TEMPORAL_ADDRESS';

/** `host:port`, the host perhaps an IPv6 address in brackets. */
const ADDRESS = /^(?:\[[\da-f:.%]+\]|[^\s:/[\]@]+):(\d{1,5})$/i;

function refuseWrongAddress(address: string, source: string): void {
  const port = Number(ADDRESS.exec(address)?.[1] ?? 0);
  if (port < 1 || port > 65_535) {
    throw new AddressMistake(`${source}: found ${describeFound(address)}; allowed: host:port, such as ${DEFAULT_TEMPORAL_ADDRESS}`);
  }
}

/** The `up` that runs on this data folder; `null` where none does, or its file can't be read. */
export function readServerFile(home: string): ServerFile | null {
  try {
    const parsed = serverFileSchema.safeParse(JSON.parse(readFileSync(serverFile(home), 'utf8')));
    return parsed.success && isAlive(parsed.data.pid) ? parsed.data : null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
