import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { BREAKS, type Break } from '../sandbox/machine/breaks.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import type { ExplainFlags } from './explain.ts';
import { dataFolder, say, type Invocation } from './invocation.ts';
import { confirmLoss } from './lost-history.ts';
import { ownFolder } from './owned-folder.ts';
import { startTemporalServer, type TemporalServer } from './temporal-server.ts';

export interface DemoFlags {
  /** One of {@link BREAKS}; at random without it. */
  readonly break: string | undefined;
  readonly keep: boolean;
  readonly json: boolean;
}

/** Apart from `up`'s port, so that both can run. */
const PORT = 7333;
const NAMESPACE = 'runward-demo';

/** Breaks a make-believe runner and shows how Temporal, the worker and the workflow of every day bring it back. */
export async function demo(flags: DemoFlags, invocation: Invocation): Promise<ExitCode> {
  const how = chosenBreak(flags.break);
  const folder = join(dataFolder(invocation), 'demo');
  return withDemoServer(folder, invocation, {
    load: () => import('./demo/show.ts'),
    use: (server, { show }) => show({ ...flags, how, server, folder, interrupted: invocation.interrupted }),
  });
}

function chosenBreak(wanted: string | undefined): Break {
  const how = wanted === undefined ? BREAKS[randomInt(BREAKS.length)] : BREAKS.find((each) => each === wanted);
  if (how === undefined) {
    throw new CommandFailure(EXIT.usage, `--break takes one of ${BREAKS.join(', ')}, not "${wanted}"`);
  }
  return how;
}

/** Tells an operation of an earlier demo, from the data that it left on disk. */
export async function explainDemo(flags: ExplainFlags, invocation: Invocation): Promise<ExitCode> {
  const { explainIn, refuseMisuse } = await import('./explain.ts');
  refuseMisuse(flags);
  return withDemoServer(join(dataFolder(invocation), 'demo'), invocation, {
    load: () => import('./demo/session.ts'),
    use: (server, { withSession }) =>
      withSession(server, invocation.interrupted, (session) =>
        explainIn({ ...session, address: { ...session.address, uiUrl: null } }, flags, { scopes: null, startingUntil: Infinity }),
      ),
  });
}

interface Use<Loaded> {
  /** What is imported while the server starts. */
  readonly load: () => Promise<Loaded>;
  readonly use: (server: TemporalServer, loaded: Loaded) => Promise<ExitCode>;
}

/** With the server of all demos of this data folder. */
async function withDemoServer<Loaded>(folder: string, { env, interrupted }: Invocation, { load, use }: Use<Loaded>): Promise<ExitCode> {
  const owned = ownFolder(folder);
  try {
    say("Starting Temporal's server …");
    const server = await startTemporalServer({
      folder,
      namespace: NAMESPACE,
      port: PORT,
      startsWithinMs: Infinity,
      meanwhile: load,
      env,
      interrupted,
    });
    try {
      if (server.loss !== null) {
        say(`The database of earlier demos was of no use (${server.loss.why}) and was set aside: this is a new one.`);
        confirmLoss(folder);
      }
      return await use(server, await load());
    } finally {
      await server.stop();
    }
  } finally {
    owned.release();
  }
}
