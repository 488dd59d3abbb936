import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { BREAKS, type Break } from '../sandbox/machine/breaks.ts';
import { readServerFile } from '../worker/temporal-address.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import type { ExplainFlags } from './explain.ts';
import { dataFolder, say, sayWhenInterrupted, type Invocation } from './invocation.ts';
import { confirmLoss } from './lost-history.ts';
import { ownFolder, ownFolderIfFree, publishServer, type OwnedFolder } from './owned-folder.ts';
import { hasDatabase } from './temporal-database.ts';
import { startTemporalServer, type TemporalServer } from './temporal-server.ts';
import { withTemporalAt, type TemporalSession } from './temporal.ts';

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
  const owned = ownFolder(folder);
  sayWhenInterrupted(invocation);
  return withDemoServer(folder, owned, invocation, {
    load: () => import('./demo/show.ts'),
    use: async (server, { show }) => {
      const withdraw = publishServer(folder, server);
      try {
        return await show({ ...flags, how, server, folder, interrupted: invocation.interrupted });
      } finally {
        withdraw();
      }
    },
  });
}

function chosenBreak(wanted: string | undefined): Break {
  const how = wanted === undefined ? BREAKS[randomInt(BREAKS.length)] : BREAKS.find((each) => each === wanted);
  if (how === undefined) {
    throw new CommandFailure(EXIT.usage, `--break takes one of ${BREAKS.join(', ')}, not "${wanted}"`);
  }
  return how;
}

/** Tells an operation of the demo that runs, or of an earlier one, from the data that it left on disk. */
export async function explainDemo(flags: ExplainFlags, invocation: Invocation): Promise<ExitCode> {
  const { explainIn, refuseMisuse } = await import('./explain.ts');
  refuseMisuse(flags);
  const folder = join(dataFolder(invocation), 'demo');
  if (!hasDatabase(folder)) {
    throw noDemoYet();
  }
  const tell: Tell = (session) => explainIn(session, flags, { scopes: null, startingUntil: Infinity });
  const owned = ownFolderIfFree(folder);
  try {
    return await (owned === null ? besideDemo(folder, invocation, tell) : afterDemo(folder, owned, invocation, tell));
  } catch (error) {
    if (error instanceof CommandFailure && error.code === 'no-worker') {
      throw owned === null ? demoNotReady(folder, error) : noDemoYet(error);
    }
    throw error;
  }
}

function noDemoYet(cause?: CommandFailure): CommandFailure {
  return new CommandFailure(EXIT.bad, 'No demo has run here yet: `runward demo` shows one.', cause);
}

function demoNotReady(folder: string, cause?: CommandFailure): CommandFailure {
  return new CommandFailure(EXIT.bad, `The demo in ${folder} is just starting or stopping: try again in a few seconds.`, cause);
}

type Tell = (session: TemporalSession) => Promise<ExitCode>;

/** While a demo runs, whose server answers. */
async function besideDemo(folder: string, invocation: Invocation, tell: Tell): Promise<ExitCode> {
  const running = readServerFile(folder);
  if (running === null) {
    throw demoNotReady(folder);
  }
  const { addressOf } = await import('./demo/session.ts');
  return withTemporalAt(addressOf(running), invocation, tell);
}

/** With a server for this command alone, whose UI ends with it. */
function afterDemo(folder: string, owned: OwnedFolder, invocation: Invocation, tell: Tell): Promise<ExitCode> {
  return withDemoServer(folder, owned, invocation, {
    load: () => import('./demo/session.ts'),
    use: (server, { withSession }) =>
      withSession(server, invocation.interrupted, (session) => tell({ ...session, address: { ...session.address, uiUrl: null } })),
  });
}

interface Use<Loaded> {
  /** What is imported while the server starts. */
  readonly load: () => Promise<Loaded>;
  readonly use: (server: TemporalServer, loaded: Loaded) => Promise<ExitCode>;
}

/** With the server of all demos of this data folder, which is released at the end. */
async function withDemoServer<Loaded>(
  folder: string,
  owned: OwnedFolder,
  { env, interrupted }: Invocation,
  { load, use }: Use<Loaded>,
): Promise<ExitCode> {
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
