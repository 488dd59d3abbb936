import { rmSync, writeFileSync } from 'node:fs';
import type { ConfigFlags } from '../config/load.ts';
import { runWorkerProcess } from '../worker/run.ts';
import { serverFile, type ServerFile, type TemporalAddress } from '../worker/temporal-address.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { readConfig, say, type Invocation } from './invocation.ts';
import { ownFolder } from './owned-folder.ts';
import { startTemporalServer, type TemporalServer } from './temporal-server.ts';

/** Temporal's well-known port. */
const PORT = 7233;
const NAMESPACE = 'default';
const DAY_MS = 86_400_000;

/** Temporal's server, its UI and a worker in one process tree, until interrupted. */
export async function up(flags: { readonly config: ConfigFlags }, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  const owned = ownFolder(config.home);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  invocation.interrupted.addEventListener('abort', interrupt, { once: true });
  try {
    say("Starting Temporal's server …");
    const server = await startTemporalServer({
      folder: config.home,
      namespace: NAMESPACE,
      port: PORT,
      env: invocation.env,
      interrupted: invocation.interrupted,
    });
    try {
      writeServerFile(config.home, { address: server.address, namespace: NAMESPACE, uiUrl: server.uiUrl, pid: process.pid });
      const died = serverDeath(server, stop);
      say('Starting the worker …');
      await runWorkerProcess(
        {
          temporal: addressOf(server),
          config,
          role: 'all',
          logLevel: 'WARN',
          ownedRetentionDays: Math.max(1, Math.round(config.retentionMs / DAY_MS)),
          onReady: () => say(readyText(server, config.runners.length)),
        },
        stop.signal,
      );
      if (died() !== null) {
        throw new CommandFailure(
          EXIT.unreachable,
          `Temporal's server ended by itself (exit code ${died()}): see ${config.home}/temporal.log, then start \`runward up\` again.`,
        );
      }
      say('Stopped.');
      return EXIT.done;
    } finally {
      rmSync(serverFile(config.home), { force: true });
      await server.stop();
    }
  } finally {
    owned.release();
  }
}

/** Stops the worker when the server ends before it was told to; tells its exit code. */
function serverDeath(server: TemporalServer, stop: AbortController): () => number | null {
  let code: number | null = null;
  void server.ended.then((exitCode) => {
    if (!stop.signal.aborted) {
      code = exitCode ?? -1;
      stop.abort();
    }
  });
  return () => code;
}

function addressOf(server: TemporalServer): TemporalAddress {
  return { connectionOptions: { address: server.address }, namespace: server.namespace, source: 'this process', uiUrl: server.uiUrl };
}

function writeServerFile(home: string, content: ServerFile): void {
  writeFileSync(serverFile(home), `${JSON.stringify(content)}\n`, { mode: 0o600 });
}

function readyText(server: TemporalServer, runners: number): string {
  return [
    `Runward looks after ${runners} runner${runners === 1 ? '' : 's'}. Temporal's UI: ${server.uiUrl}`,
    'Recover one with `runward recover`; look with `runward status`. Ctrl-C stops all.',
  ].join('\n');
}
