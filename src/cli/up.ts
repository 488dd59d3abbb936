import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import type { LogEntry } from '@temporalio/worker';
import type { ConfigFlags } from '../config/load.ts';
import type { Config } from '../config/config.ts';
import { runWorkerProcess } from '../worker/run.ts';
import { isOwnWord, timelessLine } from '../worker/runtime.ts';
import { applySchedules, readSchedule, schedulesOf } from '../worker/schedules.ts';
import { connectClient, type TemporalAddress } from '../worker/temporal-address.ts';
import { createTokenAccess, type TokenAccess } from '../worker/token-access.ts';
import { formatDuration } from '../domain/duration.ts';
import { EventLog } from './event-log.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { lookAtAll, lookLines } from './first-look.ts';
import { refuseHopeless } from './hopeless.ts';
import { readConfig, say, sayBy, sayWhenInterrupted, writeToTerminal, type Invocation } from './invocation.ts';
import { BACK_OFF, keepServer } from './kept-server.ts';
import { LogFile, logFileOfRunward } from './log-file.ts';
import { createPorts, type Ports } from './look.ts';
import { confirmLoss, lossNotice, readLoss, watchReason } from './lost-history.ts';
import { ownFolder, publishServer } from './owned-folder.ts';
import { chosenScopes } from './runners.ts';
import { scheduleStatus, parkedText } from './schedule-text.ts';
import { clockText, markedText, schedulesLine, tokenLines, type StartLine } from './start-text.ts';
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
  const voice = new UpVoice(config.home);
  sayBy(voice.say);
  sayWhenInterrupted(invocation);
  config.warnings.forEach((warning) => voice.write(`warning: ${warning}`));
  try {
    if (flags.yes && readLoss(config.home) !== null) {
      confirmLoss(config.home);
      say('Confirmed: Runward knows nothing of what it did before its database was lost, and acts again.');
    }
    const ports = createPorts(config, invocation.env);
    await refuseHopeless(config.github.credentials, invocation.env, ports.github, invocation.interrupted);
    say("Starting Temporal's server …");
    const options: TemporalServerOptions = {
      folder: config.home,
      namespace: NAMESPACE,
      port: PORT,
      env: invocation.env,
      interrupted: invocation.interrupted,
    };
    await work({ config, ports, options, voice, invocation });
    say('Stopped.');
    return EXIT.done;
  } finally {
    owned.release();
  }
}

interface Site {
  readonly config: Config;
  readonly ports: Ports;
  readonly options: TemporalServerOptions;
  readonly voice: UpVoice;
  readonly invocation: Invocation;
}

/** Works until interrupted, and starts the server again whenever it ends by itself. */
async function work(site: Site): Promise<void> {
  const { config, options, invocation } = site;
  const over = new AbortController();
  const stop = AbortSignal.any([invocation.interrupted, over.signal]);
  const starting = startTemporalServer(options);
  const access = createTokenAccess({
    github: site.ports.github,
    scopes: chosenScopes(config, undefined),
    onNews: (news) => tokenLines(news, config.github.credentials).forEach((line) => say(markedText(line))),
  });
  const looked = lookAround(site, access, stop);
  try {
    const server = await starting;
    await keepWorking(site, server, { access, looked, over, stop });
  } finally {
    over.abort();
  }
}

interface Working {
  readonly access: TokenAccess;
  /** Resolves once all is known that is waited for. */
  readonly looked: Promise<void>;
  /** Ends the worker. */
  readonly over: AbortController;
  readonly stop: AbortSignal;
}

async function keepWorking(site: Site, server: TemporalServer, { over, ...working }: Working): Promise<void> {
  const { config, options, invocation } = site;
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
    over.abort();
  });
  const withdraw = publishServer(config.home, server);
  try {
    await runWorker(site, server, working);
  } catch (error) {
    throw kept.failure() ?? connectionFailure(addressOf(server), error);
  } finally {
    withdraw();
    await kept.stop();
  }
  const failure = kept.failure();
  if (failure !== null) {
    throw failure;
  }
}

/** A machine that hangs delays nothing. */
const LOOK_WITHIN_MS = 5_000;

/**
 * Looks at everything while the server starts, and says what is there and what is not. Resolves once that is known, or takes too long: what
 * the token may not do is known before the worker does it, if GitHub answers in time.
 */
async function lookAround({ config, ports, invocation }: Site, access: TokenAccess, stop: AbortSignal): Promise<void> {
  const [seeing, asking] = [lookAtAll(config, ports, stop), access.begin(stop)];
  const told = Promise.all([seeing, asking]).then(
    ([scopes]) => {
      if (!stop.aborted) {
        lookLines(config, invocation.env, scopes, access.hindrance).forEach((line) => say(markedText(line)));
      }
    },
    (error: unknown) => say(`warning: the first look failed: ${messageOf(error)}`),
  );
  await asking;
  await Promise.race([told, sleep(LOOK_WITHIN_MS, undefined, { ref: false, signal: stop }).catch(() => {})]);
}

async function runWorker(site: Site, server: TemporalServer, { access, looked, stop }: Omit<Working, 'over'>): Promise<void> {
  const { config, ports, voice } = site;
  const loss = readLoss(config.home);
  if (loss !== null) {
    say(lossNotice(loss));
  }
  say('Starting the worker …');
  const events = new EventLog(({ text }) => say(text));
  try {
    await runWorkerProcess(
      {
        temporal: addressOf(server),
        config: loss === null ? config : { ...config, mode: 'watch' },
        ...(loss === null ? {} : { watchReason: watchReason(loss) }),
        main: { github: ports.github, hindrance: access.hindrance },
        before: looked,
        logLevel: 'WARN',
        logTo: voice.log,
        onEvent: events.hear,
        ownedRetentionDays: Math.max(1, Math.round(config.retentionMs / DAY_MS)),
        onReady: () => {
          void announce(site, server, stop);
        },
      },
      stop,
    );
  } finally {
    events.close();
  }
}

function addressOf(server: TemporalServer): TemporalAddress {
  return { connectionOptions: { address: server.address }, namespace: server.namespace, source: 'this process', uiUrl: server.uiUrl };
}

/** Says that all is ready, once the schedules are what they should be; where they can't be made it says so, and tries again. */
async function announce({ config, voice }: Site, server: TemporalServer, stop: AbortSignal): Promise<void> {
  for (let isReady = false; ;) {
    const schedules = await makeSchedules(server, config, stop);
    if (stop.aborted) {
      return;
    }
    say(markedText(schedules.line));
    if (!isReady) {
      readyLines(server, config).forEach(say);
      voice.isReady = true;
      isReady = true;
    }
    if (schedules.isDone) {
      return;
    }
    await sleep(SCHEDULES_RETRY_MS, undefined, { signal: stop }).catch(() => {});
  }
}

const SCHEDULES_RETRY_MS = 30_000;

async function makeSchedules(
  server: TemporalServer,
  config: Config,
  stop: AbortSignal,
): Promise<{ readonly isDone: boolean; readonly line: StartLine }> {
  const scopes = chosenScopes(config, undefined);
  try {
    const connection = await connectClient({ address: server.address }, { end: stop });
    try {
      const client = new Client({ connection, namespace: server.namespace });
      const changes = await applySchedules(client, scopes, config.health);
      changes.flatMap(parkedText).forEach((line) => say(`warning: ${line}`));
      const names = scopes.flatMap(schedulesOf);
      const schedules = await Promise.all(
        names.map(async (name) => ({ ...name, ...scheduleStatus(await readSchedule(client, name.scope, name.care)) })),
      );
      // What has happened while nobody looked is not left for another five minutes.
      const due = schedules.filter(({ care, paused }) => care === 'health' && paused !== true);
      await Promise.all(due.map(({ scheduleId }) => client.schedule.getHandle(scheduleId).trigger('SKIP')));
      return { isDone: true, line: schedulesLine(schedules) };
    } finally {
      await connection.close();
    }
  } catch (error) {
    const again = `It is tried again in ${formatDuration(SCHEDULES_RETRY_MS)}.`;
    return { isDone: false, line: { mark: 'broken', text: `Schedules could not be made: ${messageOf(error)}. ${again}` } };
  }
}

function readyLines(server: TemporalServer, { runners, mode, home }: Config): readonly string[] {
  return [
    markedText({ mark: 'fine', text: `Temporal's UI: ${server.uiUrl}` }),
    ...(mode === 'watch' ? [markedText({ mark: 'limited', text: 'Watch mode: Runward plans and tells, and changes nothing' })] : []),
    `Runward looks after ${runners.length} runner${runners.length === 1 ? '' : 's'}, and tells here and in ${logFileOfRunward(home)} what happens.`,
    'Look with `runward status`, check now with `runward check`, recover with `runward recover`. Ctrl-C stops all.',
  ];
}

/** What `up` says: on the terminal, from when it is ready with the time, and in Runward's log. */
class UpVoice {
  /** From then on what is said has happened just now. */
  isReady = false;
  readonly #file: LogFile;

  constructor(home: string) {
    this.#file = new LogFile(home, (error) => writeToTerminal(`warning: ${logFileOfRunward(home)} can't be written: ${messageOf(error)}`));
  }

  readonly say = (text: string): void => {
    writeToTerminal(this.isReady ? `${clockText(new Date())} ${text}` : text);
    this.write(text);
  };

  /** Only into the log. */
  write(text: string): void {
    this.#file.write(text);
  }

  /** Of the SDK's log a person reads what Runward itself says by it; the rest Temporal tries again, and the log has it. */
  readonly log = (entry: LogEntry): void => {
    if (isOwnWord(entry)) {
      this.say(timelessLine(entry));
    } else {
      this.write(timelessLine(entry));
    }
  };
}
