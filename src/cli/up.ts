import { rmSync, writeFileSync } from 'node:fs';
import type { ConfigFlags } from '../config/load.ts';
import type { Config } from '../config/config.ts';
import { runWorkerProcess } from '../worker/run.ts';
import { serverFile, type ServerFile, type TemporalAddress } from '../worker/temporal-address.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { readConfig, say, type Invocation } from './invocation.ts';
import { BACK_OFF, keepServer } from './kept-server.ts';
import { confirmLoss, lossNotice, readLoss, watchReason } from './lost-history.ts';
import { ownFolder } from './owned-folder.ts';
import { connectionFailure } from './temporal.ts';
import { holdPorts, logFileOf, startTemporalServer, type TemporalServer, type TemporalServerOptions } from './temporal-server.ts';

/** Temporal's well-known port. */
const PORT = 7233;
const NAMESPACE = 'default';
const DAY_MS = 86_400_000;

export interface UpFlags {
  /** Confirms that the history was lost, of which an earlier start told. */
  readonly yes: boolean;
  readonly config: ConfigFlags;
}

/** Temporal's server, its UI and a worker in one process tree, until interrupted. */
export async function up(flags: UpFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  const owned = ownFolder(config.home);
  try {
    if (flags.yes && readLoss(config.home) !== null) {
      confirmLoss(config.home);
      say('Confirmed: Runward knows nothing of what it did before its database was lost, and acts again.');
    }
    say("Starting Temporal's server …");
    const options: TemporalServerOptions = {
      folder: config.home,
      namespace: NAMESPACE,
      port: PORT,
      env: invocation.env,
      interrupted: invocation.interrupted,
    };
    const server = await startTemporalServer(options);
    await work(server, options, config, invocation);
    say('Stopped.');
    return EXIT.done;
  } finally {
    owned.release();
  }
}

/** Works until interrupted, and starts the server again whenever it ends by itself. */
async function work(server: TemporalServer, options: TemporalServerOptions, config: Config, invocation: Invocation): Promise<void> {
  const givenUp = new AbortController();
  const kept = keepServer(server, {
    start: (interrupted) => startTemporalServer({ ...options, port: server.port, whereTaken: 'fail', onLoss: 'fail', interrupted }),
    holdPorts: () => holdPorts(server.port),
    interrupted: invocation.interrupted,
    backOff: BACK_OFF,
    logFile: logFileOf(config.home),
    say,
  });
  void kept.ended.then(() => {
    if (kept.failure() !== null) {
      // A worker without its server may take half a minute to end.
      say("Temporal's server is given up. Stopping the worker …");
    }
    givenUp.abort();
  });
  try {
    writeServerFile(config.home, { address: server.address, namespace: NAMESPACE, uiUrl: server.uiUrl, pid: process.pid });
    await runWorker(server, config, AbortSignal.any([invocation.interrupted, givenUp.signal]));
  } catch (error) {
    throw kept.failure() ?? connectionFailure(addressOf(server), error);
  } finally {
    rmSync(serverFile(config.home), { force: true });
    await kept.stop();
  }
  const failure = kept.failure();
  if (failure !== null) {
    throw failure;
  }
}

async function runWorker(server: TemporalServer, config: Config, stop: AbortSignal): Promise<void> {
  const loss = readLoss(config.home);
  if (loss !== null) {
    say(lossNotice(loss));
  }
  say('Starting the worker …');
  await runWorkerProcess(
    {
      temporal: addressOf(server),
      config: loss === null ? config : { ...config, mode: 'watch' },
      ...(loss === null ? {} : { watchReason: watchReason(loss) }),
      role: 'all',
      logLevel: 'WARN',
      ownedRetentionDays: Math.max(1, Math.round(config.retentionMs / DAY_MS)),
      onReady: () => say(readyText(server, config.runners.length)),
    },
    stop,
  );
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
