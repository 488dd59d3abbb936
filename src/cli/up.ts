import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import type { ConfigFlags } from '../config/load.ts';
import type { Config } from '../config/config.ts';
import { runWorkerProcess } from '../worker/run.ts';
import { applySchedules, readSchedule } from '../worker/schedules.ts';
import { connectClient, serverFile, type ServerFile, type TemporalAddress } from '../worker/temporal-address.ts';
import { formatDuration } from './durations.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { readConfig, say, type Invocation } from './invocation.ts';
import { BACK_OFF, keepServer } from './kept-server.ts';
import { confirmLoss, lossNotice, readLoss, watchReason } from './lost-history.ts';
import { ownFolder } from './owned-folder.ts';
import { chosenScopes } from './runners.ts';
import { nextChecksText, scheduleStatus, parkedText } from './schedule-text.ts';
import { connectionFailure, messageOf } from './temporal.ts';
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
      logStyle: 'plain',
      ownedRetentionDays: Math.max(1, Math.round(config.retentionMs / DAY_MS)),
      onReady: () => {
        void announce(server, config, stop);
      },
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

/** Says that all is ready, once the schedules are what they should be; where they can't be made it says so, and tries again. */
async function announce(server: TemporalServer, config: Config, stop: AbortSignal): Promise<void> {
  let text = readyText(server, config);
  for (;;) {
    const schedules = await schedulesText(server, config);
    if (stop.aborted) {
      return;
    }
    say([text, schedules.text].filter((part) => part !== '').join('\n'));
    if (schedules.isDone) {
      return;
    }
    text = '';
    await sleep(SCHEDULES_RETRY_MS, undefined, { signal: stop }).catch(() => {});
  }
}

const SCHEDULES_RETRY_MS = 30_000;

async function schedulesText(server: TemporalServer, config: Config): Promise<{ readonly isDone: boolean; readonly text: string }> {
  const scopes = chosenScopes(config, undefined);
  try {
    const connection = await connectClient({ address: server.address });
    try {
      const client = new Client({ connection, namespace: server.namespace });
      const changes = await applySchedules(client, scopes, config.health);
      changes.flatMap(parkedText).forEach((line) => say(`warning: ${line}`));
      const schedules = await Promise.all(scopes.map(async (scope) => ({ scope, ...scheduleStatus(await readSchedule(client, scope)) })));
      return { isDone: true, text: nextChecksText(schedules, Date.now()) };
    } finally {
      await connection.close();
    }
  } catch (error) {
    const again = `It is tried again in ${formatDuration(SCHEDULES_RETRY_MS)}.`;
    return { isDone: false, text: `warning: the schedules could not be made: ${messageOf(error)}. ${again}` };
  }
}

function readyText(server: TemporalServer, { runners, mode }: Config): string {
  return [
    `Runward looks after ${runners.length} runner${runners.length === 1 ? '' : 's'}. Temporal's UI: ${server.uiUrl}`,
    ...(mode === 'watch' ? ['It only watches (mode: watch): it plans and tells, and writes nothing.'] : []),
    'Look with `runward status`, check now with `runward check`, recover with `runward recover`. Ctrl-C stops all.',
  ].join('\n');
}
