import type { ConfigFlags } from '../config/load.ts';
import { runWorkerProcess } from '../worker/run.ts';
import { readSchedule, schedulesOf } from '../worker/schedules.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { readConfig, say, type Invocation } from './invocation.ts';
import { chosenScopes } from './runners.ts';
import { missingLines } from './schedule-text.ts';
import { connectionFailure, messageOf, temporalAddress, withTemporal } from './temporal.ts';

/** A worker alone, until interrupted; with `host` it looks after that host's machines and nothing else. */
export async function worker(flags: { readonly config: ConfigFlags }, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  const temporal = temporalAddress(invocation);
  try {
    await runWorkerProcess(
      {
        temporal,
        config,
        role: flags.config.host === undefined ? 'all' : 'host',
        ownedRetentionDays: null,
        logLevel: 'INFO',
        onReady: (retentionDays) => {
          say(`Worker of host ${config.host} polls ${temporal.connectionOptions.address}, namespace ${temporal.namespace}.`);
          warnAboutRetention(retentionDays, temporal.namespace);
          if (flags.config.host === undefined) {
            void warnAboutSchedules(chosenScopes(config, undefined), invocation);
          }
        },
      },
      invocation.interrupted,
    );
  } catch (error) {
    throw connectionFailure(temporal, error);
  }
  say('Stopped.');
  return EXIT.done;
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
