// Temporal's own server as a process that ends with this one, and that can be killed and started again.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import { NO_HTTP_API } from '../../src/cli/temporal-server.ts';
import { prepareNamespace } from '../../src/worker/namespace.ts';

export interface TemporalProcess {
  readonly address: string;
  /** As a crash does it; resolves once it answers again on the same port and database. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param folder of its database; `null` keeps all in memory
 * @param bare namespaces that nobody prepares
 */
export async function startTemporalProcess(
  folder: string | null,
  namespaces: readonly string[],
  bare: readonly string[] = [],
): Promise<TemporalProcess> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const all = [...namespaces, ...bare];
  const args = [
    ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'never'],
    ...(folder === null ? [] : ['--db-filename', `${folder}/temporal.db`]),
    ...all.flatMap((name) => ['--namespace', name]),
    ...NO_HTTP_API,
  ];
  let server = launch(args);
  await untilItAnswers(address, all);
  const connection = await Connection.connect({ address });
  // One after the other: the server refuses what it is told of two namespaces at once, and the client tries again.
  for (const namespace of namespaces) {
    await prepareNamespace(connection, namespace, null);
  }
  await connection.close();
  const end = async (): Promise<void> => {
    process.kill(-(server.pid as number), 'SIGKILL');
    await once(server, 'exit');
  };
  return {
    address,
    crash: async () => {
      await end();
      server = launch(args);
      await untilItAnswers(address, all);
    },
    stop: end,
  };
}

const LEASH = fileURLToPath(new URL('../../src/cli/leash.sh', import.meta.url));

/** In a process group of its own, which the leash ends however this process ends. */
function launch(args: readonly string[]): ChildProcess {
  const command = [LEASH, process.env['RUNWARD_TEMPORAL_CLI'] ?? 'temporal', ...args];
  return spawn('/bin/sh', command, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
}

async function untilItAnswers(address: string, namespaces: readonly string[]): Promise<void> {
  for (const deadline = Date.now() + 30_000; ; await sleep(100)) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 1_000 });
      try {
        for (const namespace of namespaces) {
          await connection.workflowService.describeNamespace({ namespace });
        }
        return;
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (Date.now() > deadline) {
        throw error;
      }
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
