import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Connection, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { z } from 'zod';

/** Where Temporal is, and who said so. */
export interface TemporalAddress {
  readonly connectionOptions: NativeConnectionOptions & { readonly address: string };
  readonly namespace: string;
  /** For messages: what to look at where nobody answers. */
  readonly source: string;
  /** Of Temporal's web UI, where Runward started it. */
  readonly uiUrl: string | null;
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

/** A proxy of the environment is for the way out; gRPC would take it for this computer's own addresses as well. */
export function connectClient(options: ConnectionOptions & { readonly address: string }): Promise<Connection> {
  const isLocal = /^(?:127\.|localhost|\[::1\])/.test(options.address);
  return Connection.connect(isLocal ? { ...options, channelArgs: { 'grpc.enable_http_proxy': 0 } } : options);
}

/** Where Temporal's UI shows an execution. */
export function executionLink(uiUrl: string, namespace: string, { workflowId, runId }: { workflowId: string; runId: string }): string {
  return `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`;
}

export function serverFile(home: string): string {
  return join(home, 'server.json');
}

/** Temporal's own environment configuration first, then a running `up`, then the default address. Throws where a profile is wrong. */
export function findTemporal(env: Readonly<Record<string, string | undefined>>, home: string): TemporalAddress {
  const variables = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({ overrideEnvVars: variables, configFileStrict: true });
  if (connectionOptions.address !== undefined) {
    return {
      connectionOptions: { ...connectionOptions, address: connectionOptions.address },
      namespace,
      source: 'TEMPORAL_ADDRESS or a Temporal profile',
      uiUrl: null,
    };
  }
  const up = readServerFile(home);
  if (up !== null) {
    return {
      connectionOptions: { ...connectionOptions, address: up.address },
      namespace: up.namespace,
      source: serverFile(home),
      uiUrl: up.uiUrl,
    };
  }
  return {
    connectionOptions: { ...connectionOptions, address: DEFAULT_TEMPORAL_ADDRESS },
    namespace,
    source: 'the default address',
    uiUrl: null,
  };
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
