// Temporal's own server with its data on disk, as a process that can be killed and started again.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { prepareNamespace } from '../../../src/worker/namespace.ts';

export interface TemporalProcess {
  readonly address: string;
  /** As a crash does it; resolves once it answers again on the same port and database. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

export async function startTemporalProcess(folder: string, namespaces: readonly string[]): Promise<TemporalProcess> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const args = [
    ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'never'],
    ...['--db-filename', `${folder}/temporal.db`, ...namespaces.flatMap((name) => ['--namespace', name])],
  ];
  let server = launch(args);
  await untilItAnswers(address, namespaces);
  const connection = await Connection.connect({ address });
  for (const namespace of namespaces) {
    await prepareNamespace(connection, namespace, null);
  }
  await connection.close();
  const end = async (): Promise<void> => {
    server.kill('SIGKILL');
    await once(server, 'exit');
  };
  return {
    address,
    crash: async () => {
      await end();
      server = launch(args);
      await untilItAnswers(address, namespaces);
    },
    stop: end,
  };
}

function launch(args: readonly string[]): ChildProcess {
  return spawn(process.env['RUNWARD_TEMPORAL_CLI'] ?? 'temporal', args, { stdio: 'ignore' });
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
