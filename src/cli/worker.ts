import type { LogLevel } from '@temporalio/worker';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import { createGitHubOf, runWorkerProcess } from '../worker/run.ts';
import { logLine } from '../worker/runtime.ts';
import { readSchedule, schedulesOf } from '../worker/schedules.ts';
import { createTokenAccess, type TokenAccess, type TokenNews } from '../worker/token-access.ts';
import { EventLog } from './event-log.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { refuseHopeless } from './hopeless.ts';
import { readConfig, say, sayBy, writeToTerminal, type Invocation } from './invocation.ts';
import { chosenScopes } from './runners.ts';
import { missingLines } from './schedule-text.ts';
import { tokenLines } from './start-text.ts';
import { connectionFailure, messageOf, temporalAddress, withTemporal } from './temporal.ts';

/**
 * A worker alone, until interrupted; with `host` it looks after that host's machines and nothing else. Standard error holds JSON, a document
 * a line, and nothing else: also what is said elsewhere, and why it ends.
 */
export async function worker(flags: { readonly config: ConfigFlags }, invocation: Invocation): Promise<ExitCode> {
  sayBy((text) => {
    const [, warning] = /^warning: ([^]*)$/.exec(text) ?? [];
    log(warning === undefined ? 'INFO' : 'WARN', warning ?? text);
  });
  try {
    await work(flags.config, invocation);
    log('INFO', 'Stopped.', { code: 'stopped' });
    return EXIT.done;
  } catch (error) {
    const exitCode = error instanceof CommandFailure ? error.exitCode : EXIT.bad;
    log('ERROR', messageOf(error), { code: 'failed', exitCode, ...(error instanceof CommandFailure ? {} : { error }) });
    return exitCode;
  }
}

async function work(configFlags: ConfigFlags, invocation: Invocation): Promise<void> {
  const config = readConfig(invocation, configFlags);
  const temporal = temporalAddress(invocation);
  const ended = new AbortController();
  const stop = AbortSignal.any([invocation.interrupted, ended.signal]);
  const main = configFlags.host === undefined ? await beginMain(config, invocation, stop) : null;
  const events = new EventLog(({ event, text, isTrouble }) => log(isTrouble ? 'WARN' : 'INFO', text, { code: event.kind, event }));
  try {
    await runWorkerProcess(
      {
        temporal,
        config,
        main,
        before: main?.asked ?? Promise.resolve(),
        ownedRetentionDays: null,
        // At INFO the SDK tells of its bundler, and of parts that Runward does not use.
        logLevel: 'WARN',
        onEvent: events.hear,
        onReady: (retentionDays) => {
          const { address } = temporal.connectionOptions;
          log('INFO', `Worker of host ${config.host} polls ${address}, namespace ${temporal.namespace}.`, {
            code: 'started',
            host: config.host,
            address,
            namespace: temporal.namespace,
            runners: config.runners.length,
            mode: config.mode,
          });
          warnAboutRetention(retentionDays, temporal.namespace);
          if (main !== null) {
            void warnAboutSchedules(chosenScopes(config, undefined), invocation);
          }
        },
      },
      invocation.interrupted,
    );
  } catch (error) {
    throw connectionFailure(temporal, error);
  } finally {
    ended.abort();
    events.close();
  }
}

async function beginMain(
  config: Config,
  invocation: Invocation,
  stop: AbortSignal,
): Promise<Pick<TokenAccess, 'hindrance'> & { readonly github: ReturnType<typeof createGitHubOf>; readonly asked: Promise<void> }> {
  const { credentials } = config.github;
  const github = createGitHubOf(config, (message) => say(`warning: ${message}`));
  await refuseHopeless(credentials, invocation.env, github, invocation.interrupted);
  const access = createTokenAccess({
    github,
    scopes: chosenScopes(config, undefined),
    onNews: (news) => logToken(news, config),
  });
  return { github, hindrance: access.hindrance, asked: access.begin(stop) };
}

function logToken(news: TokenNews, { github }: Config): void {
  const details =
    news.kind === 'answered' ? { login: news.token.login, kind: news.token.kind, scopes: news.scopes } : { status: news.status };
  for (const { mark, text } of tokenLines(news, github.credentials)) {
    log(mark === 'fine' ? 'INFO' : 'WARN', text, { code: `token-${news.kind}`, token: details });
  }
}

function log(level: LogLevel, message: string, details: Readonly<Record<string, unknown>> = {}): void {
  writeToTerminal(logLine(level, message, details));
}

/** Several workers may run, with different versions of the configuration, so none of them makes schedules by itself. */
async function warnAboutSchedules(scopes: readonly string[], invocation: Invocation): Promise<void> {
  try {
    const names = scopes.flatMap(schedulesOf);
    const found = await withTemporal(invocation, ({ client }) =>
      Promise.all(names.map(({ scope, care }) => readSchedule(client, scope, care))),
    );
    missingLines(names.filter((_name, index) => found[index] === null)).forEach(say);
  } catch (error) {
    say(`warning: it is not known what is scheduled (see \`runward schedule list\`): ${messageOf(error)}`);
  }
}

/** Runward's history is its audit; a dev server keeps it for a day. */
function warnAboutRetention(retentionDays: number | null, namespace: string): void {
  if (retentionDays !== null && retentionDays < 30) {
    say(
      `warning: namespace ${namespace} forgets histories after ${retentionDays} days; give it 90 with \`temporal operator namespace update --retention 90d ${namespace}\`.`,
    );
  }
}
