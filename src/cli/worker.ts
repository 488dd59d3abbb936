import type { ConfigFlags } from '../config/load.ts';
import { runWorkerProcess } from '../worker/run.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { readConfig, say, type Invocation } from './invocation.ts';
import { connectionFailure, temporalAddress } from './temporal.ts';

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

/** Runward's history is its audit; a dev server keeps it for a day. */
function warnAboutRetention(retentionDays: number | null, namespace: string): void {
  if (retentionDays !== null && retentionDays < 30) {
    say(
      `warning: namespace ${namespace} forgets histories after ${retentionDays} days; give it 90 with \`temporal operator namespace update --retention 90d ${namespace}\`.`,
    );
  }
}
