import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { BREAKS, type Break } from '../sandbox/machine/breaks.ts';
import { runParts } from '../worker/run.ts';
import { connectClient, type TemporalAddress } from '../worker/temporal-address.ts';
import { endLeftovers } from './demo/leftovers.ts';
import { play } from './demo/play.ts';
import { MACHINE, setStage, type Stage } from './demo/stage.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { explainIn, refuseMisuse, type ExplainFlags } from './explain.ts';
import { dataFolder, say, type Invocation } from './invocation.ts';
import { confirmLoss } from './lost-history.ts';
import { ownFolder } from './owned-folder.ts';
import { patiently, untilSo } from './patience.ts';
import { messageOf, type TemporalSession } from './temporal.ts';
import { logFileOf, startTemporalServer, type TemporalServer } from './temporal-server.ts';

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
  return withDemoServer(invocation, async (server, session) => {
    const stage = await setStage();
    const over = new AbortController();
    const interrupted = AbortSignal.any([invocation.interrupted, over.signal]);
    const worker = startWorker(server, stage, invocation, interrupted);
    const perform = async (): Promise<ExitCode> => {
      await untilSo('The worker is still starting', worker.polls, interrupted);
      return play({ ...flags, how, server, client: session.client, stage, interrupted });
    };
    try {
      // A worker that fails ends the play; one that is stopped at the end does not.
      const performed = Promise.race([perform(), worker.failed, endOf(server, invocation)]);
      return flags.keep ? await keepOpen(performed, server, invocation) : await performed;
    } finally {
      over.abort();
      await worker.ended;
      await stage.close();
    }
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
  refuseMisuse(flags);
  return withDemoServer(invocation, async (_server, session) =>
    explainIn({ ...session, address: { ...session.address, uiUrl: null } }, flags, { scopes: null, startingUntil: Infinity }),
  );
}

/** With the server of all demos on this computer, on which nothing is left under way. */
async function withDemoServer(
  invocation: Invocation,
  use: (server: TemporalServer, session: TemporalSession) => Promise<ExitCode>,
): Promise<ExitCode> {
  const folder = demoFolder(invocation);
  const owned = ownFolder(folder);
  try {
    say("Starting Temporal's server …");
    const server = await startTemporalServer({
      folder,
      namespace: NAMESPACE,
      port: PORT,
      startsWithinMs: Infinity,
      env: invocation.env,
      interrupted: invocation.interrupted,
    });
    if (server.loss !== null) {
      say(`The database of earlier demos was of no use (${server.loss.why}) and was set aside: this is a new one.`);
      confirmLoss(folder);
    }
    try {
      return await withSession(server, invocation, async (session) => {
        await patiently(invocation.interrupted, () => endLeftovers(session.client, MACHINE));
        return use(server, session);
      });
    } finally {
      await server.stop();
    }
  } finally {
    owned.release();
  }
}

async function withSession<T>(
  server: TemporalServer,
  { interrupted }: Invocation,
  use: (session: TemporalSession) => Promise<T>,
): Promise<T> {
  const connection = await patiently(interrupted, () => connectClient({ address: server.address }));
  try {
    return await use({ client: new Client({ connection, namespace: NAMESPACE }), connection, address: addressOf(server) });
  } finally {
    await connection.close();
  }
}

function demoFolder(invocation: Invocation): string {
  return join(dataFolder(invocation), 'demo');
}

function startWorker(server: TemporalServer, stage: Stage, invocation: Invocation, stop: AbortSignal) {
  const home = demoFolder(invocation);
  let polls = false;
  const running = patiently(stop, () =>
    runParts(
      {
        temporal: addressOf(server),
        ...stage.parts,
        home,
        sealingKeyFile: join(home, 'sealing.key'),
        ownedRetentionDays: 90,
        logLevel: 'ERROR',
        logStyle: 'plain',
        onReady: () => {
          polls = true;
        },
      },
      stop,
    ),
  );
  const ended = running.catch(() => {});
  const failed = running.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  return { polls: () => polls, ended, failed };
}

/** Fails once the server ends by itself. */
async function endOf(server: TemporalServer, invocation: Invocation): Promise<never> {
  const code = await server.ended;
  throw new CommandFailure(
    EXIT.unreachable,
    `Temporal's server ended by itself (exit code ${code ?? 'unknown'}): see ${logFileOf(demoFolder(invocation))}.`,
  );
}

/** Leaves all open after the play, also if it failed, until interrupted. */
async function keepOpen(performed: Promise<ExitCode>, server: TemporalServer, { interrupted }: Invocation): Promise<ExitCode> {
  let exitCode: ExitCode;
  try {
    exitCode = await performed;
  } catch (error) {
    if (interrupted.aborted || (await hasEnded(server))) {
      throw error;
    }
    say(messageOf(error));
    exitCode = error instanceof CommandFailure ? error.exitCode : EXIT.bad;
  }
  say(`All goes on: Temporal's UI is at ${server.uiUrl}. Ctrl-C stops it.`);
  while (!interrupted.aborted) {
    await sleep(60_000, undefined, { signal: interrupted }).catch(() => {});
  }
  return exitCode;
}

async function hasEnded(server: TemporalServer): Promise<boolean> {
  return Promise.race([server.ended.then(() => true), Promise.resolve(false)]);
}

function addressOf(server: TemporalServer): TemporalAddress {
  return { connectionOptions: { address: server.address }, namespace: server.namespace, source: "the demo's server", uiUrl: server.uiUrl };
}
