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
  let server = await launchUntilItAnswers(args, address, all);
  const connection = await Connection.connect({ address });
  // One after the other: the server refuses what it is told of two namespaces at once, and the client tries again.
  for (const namespace of namespaces) {
    await prepareNamespace(connection, namespace, null);
  }
  await connection.close();
  const end = async (): Promise<void> => {
    if (hasEnded(server)) return;
    process.kill(-(server.pid as number), 'SIGKILL');
    await once(server, 'exit');
  };
  return {
    address,
    crash: async () => {
      await end();
      server = await launchUntilItAnswers(args, address, all);
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

const LAUNCHES = 50;

/** Launches it again if it ends at once: the leash of one that was killed is gone before the server, which may hold the port for a moment more. */
async function launchUntilItAnswers(args: readonly string[], address: string, namespaces: readonly string[]): Promise<ChildProcess> {
  for (let tries = 1; tries <= LAUNCHES; tries += 1) {
    const server = launch(args);
    if (await answers(server, address, namespaces)) return server;
    await sleep(100);
  }
  throw new Error(`Temporal's server at ${address} ended ${LAUNCHES} times as soon as it was started`);
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Whether it does before it ends. */
async function answers(server: ChildProcess, address: string, namespaces: readonly string[]): Promise<boolean> {
  for (const deadline = Date.now() + 30_000; !hasEnded(server); await sleep(100)) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 1_000 });
      try {
        for (const namespace of namespaces) {
          await connection.workflowService.describeNamespace({ namespace });
        }
        return true;
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (Date.now() > deadline) {
        throw error;
      }
    }
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
