import { setTimeout as sleep } from 'node:timers/promises';
import { CommandFailure, EXIT } from './exit.ts';
import { formatDuration } from '../domain/duration.ts';
import type { TemporalServer } from './temporal-server.ts';

export interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A server that ran this long was well: the next wait is the first again. */
  readonly wellAfterMs: number;
  /** Without a start that succeeds for this long, it is given up. */
  readonly giveUpAfterMs: number;
}

/** The first wait lets a computer under pressure breathe, the longest is a person's patience; a full disk may be cleared within minutes. */
export const BACK_OFF: BackOff = { firstMs: 500, maxMs: 30_000, wellAfterMs: 60_000, giveUpAfterMs: 5 * 60_000 };

/** The wait before the start that follows so many deaths and vain starts without a well time in between. */
export function waitBefore(troubles: number, { firstMs, maxMs }: Pick<BackOff, 'firstMs' | 'maxMs'>): number {
  return Math.min(maxMs, firstMs * 2 ** (troubles - 1));
}

export interface Keeping {
  /** Starts it where it was before. A `CommandFailure` with exit code 3 is tried again; anything else is the end. */
  readonly start: (interrupted: AbortSignal) => Promise<TemporalServer>;
  /** Keeps its ports free for it, until what this answers is called; fails where somebody else took one. */
  readonly holdPorts: () => Promise<() => Promise<void>>;
  readonly interrupted: AbortSignal;
  readonly backOff: BackOff;
  readonly logFile: string;
  readonly say: (line: string) => void;
}

export interface KeptServer {
  /** Resolves once the server was stopped or given up. */
  readonly ended: Promise<void>;
  /** Why it was given up. */
  failure(): Error | null;
  stop(): Promise<void>;
}

/** Starts the server again whenever it ends by itself, until `interrupted` or told to stop. */
export function keepServer(first: TemporalServer, keeping: Keeping): KeptServer {
  const stopping = new AbortController();
  const over = AbortSignal.any([stopping.signal, keeping.interrupted]);
  let current: TemporalServer | null = first;
  let failure: Error | null = null;
  const keep = async (): Promise<void> => {
    let troubles = 0;
    while (current !== null) {
      const startedAt = performance.now();
      const code: number | null = await current.ended;
      if (over.aborted) {
        break;
      }
      troubles = performance.now() - startedAt >= keeping.backOff.wellAfterMs ? 0 : troubles;
      await current.stop();
      const again = await startAgain(
        `Temporal's server ended by itself (exit code ${code ?? 'unknown'}): see ${keeping.logFile}.`,
        troubles,
        keeping,
        over,
      );
      current = again.server;
      troubles = again.troubles;
      if (stopping.signal.aborted) {
        await current?.stop();
      }
    }
  };
  const ended = keep().catch((error: unknown) => {
    current = null;
    failure = error instanceof Error ? error : new Error(String(error));
  });
  return {
    ended,
    failure: () => failure,
    stop: async () => {
      stopping.abort();
      await current?.stop();
      await ended;
    },
  };
}

/** `server` is `null` where it was interrupted. */
async function startAgain(
  cause: string,
  before: number,
  { start, holdPorts, backOff, logFile, say }: Keeping,
  over: AbortSignal,
): Promise<{ server: TemporalServer | null; troubles: number }> {
  // Time that the computer sleeps does not count.
  const since = performance.now();
  for (let troubles = before + 1, why = cause; !over.aborted; troubles += 1) {
    const waitMs = waitBefore(troubles, backOff);
    const releasePorts = await holdPorts();
    say(`${why} It is started again in ${formatDuration(waitMs)}; what runs goes on then.`);
    await sleep(waitMs, undefined, { signal: over }).catch(() => {});
    await releasePorts();
    try {
      const server = over.aborted ? null : await start(over);
      if (server !== null) {
        say(`Temporal's server is back at ${server.address}.`);
      }
      return { server, troubles };
    } catch (error) {
      if (over.aborted) {
        break;
      }
      if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.unreachable) {
        throw error;
      }
      const downMs = performance.now() - since;
      if (downMs >= backOff.giveUpAfterMs) {
        throw new CommandFailure(
          EXIT.unreachable,
          `Temporal's server ended by itself and could not be started again for ${formatDuration(downMs)}: see ${logFile}, mend that, and start \`runward up\` again. What was running goes on then.`,
          error,
        );
      }
      why = error.message.split('\n', 1)[0] ?? '';
    }
  }
  return { server: null, troubles: before };
}
