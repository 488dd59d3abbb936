import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Break } from '../../sandbox/machine/breaks.ts';
import { runParts } from '../../worker/run.ts';
import { CommandFailure, EXIT, type ExitCode } from '../exit.ts';
import { say } from '../invocation.ts';
import { patiently, untilSo } from '../patience.ts';
import { messageOf } from '../temporal.ts';
import { logFileOf, type TemporalServer } from '../temporal-server.ts';
import { play } from './play.ts';
import { addressOf, withSession } from './session.ts';
import { setStage, type Stage } from './stage.ts';

export interface Show {
  readonly how: Break;
  readonly keep: boolean;
  readonly json: boolean;
  readonly server: TemporalServer;
  /** The demo's data folder. */
  readonly folder: string;
  readonly interrupted: AbortSignal;
}

/** Sets the stage, starts the worker, and plays once it polls. */
export async function show(wanted: Show): Promise<ExitCode> {
  const { server, keep } = wanted;
  const over = new AbortController();
  const interrupted = AbortSignal.any([wanted.interrupted, over.signal]);
  return withSession(server, interrupted, async ({ client }) => {
    const stage = await setStage(wanted.folder);
    const worker = startWorker(stage, { ...wanted, interrupted });
    const perform = async (): Promise<ExitCode> => {
      await untilSo('The worker is still starting', worker.polls, interrupted);
      return play({ ...wanted, client, stage, interrupted });
    };
    try {
      // A worker or a server that fails ends the play; one that is stopped at the end does not.
      const performed = Promise.race([perform(), worker.failed, endOf(wanted)]);
      return keep ? await keepOpen(performed, wanted) : await performed;
    } finally {
      over.abort();
      await worker.ended;
      await stage.close();
    }
  });
}

function startWorker(stage: Stage, { server, folder, interrupted }: Show) {
  let polls = false;
  const running = patiently(interrupted, () =>
    runParts(
      {
        temporal: addressOf(server),
        ...stage.parts,
        home: folder,
        sealingKeyFile: join(folder, 'sealing.key'),
        ownedRetentionDays: 90,
        logLevel: 'ERROR',
        logStyle: 'plain',
        onReady: () => {
          polls = true;
        },
      },
      interrupted,
    ),
  );
  const ended = running.catch(() => {});
  const failed = running.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  return { polls: () => polls, ended, failed };
}

/** Fails once the server ends by itself. */
async function endOf({ server, folder }: Show): Promise<never> {
  const code = await server.ended;
  throw new CommandFailure(
    EXIT.unreachable,
    `Temporal's server ended by itself (exit code ${code ?? 'unknown'}): see ${logFileOf(folder)}.`,
  );
}

/** Leaves all open after the play, also if it failed, until interrupted; without a server nothing is left to look at. */
async function keepOpen(performed: Promise<ExitCode>, { server, interrupted }: Show): Promise<ExitCode> {
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

function hasEnded(server: TemporalServer): Promise<boolean> {
  return Promise.race([server.ended.then(() => true), Promise.resolve(false)]);
}
