// The gate of a credential: while GitHub's limit lasts nothing is sent, whichever process of this data folder was told of it.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LONGEST_LIMIT_MS, UNNAMED_LIMIT_MS } from './refusals.ts';

/** `account` names whose limits are meant. Times are epoch milliseconds by the own clock. */
export interface Gate {
  /** When the limit ends; `null` where there is none. */
  closedUntil(account: string): number | null;
  /** How long to wait after a limit that names no end: a minute, and twice as long with each limit in a row. Milliseconds. */
  unnamedWaitMs(account: string): number;
  close(account: string, until: number): void;
  /** GitHub answers again: the next limit is the first in a row. */
  answered(account: string): void;
}

export interface GateOptions {
  /** Where the state is kept, one file of mode 0600 for each account; `null` keeps it in memory alone. */
  readonly folder: string | null;
  /** Told what is wrong with the files; the gate goes on without them. */
  readonly warn: (message: string) => void;
}

const state = z.object({
  /** When the gate was closed, and until when. */
  from: z.number(),
  until: z.number(),
  /** Limits in a row. */
  inARow: z.int().min(1),
});
type State = z.infer<typeof state>;

/** A clock may be set back by so much without being suspicious. */
const CLOCK_TOLERANCE_MS = 60_000;

/** @param now epoch milliseconds */
export function createGate({ folder, warn }: GateOptions, now: () => number = Date.now): Gate {
  const shelf = createShelf(folder, warn);
  const closedUntil = (account: string): number | null => {
    const last = lastLimit(shelf.read(account), now());
    return last !== null && now() < last.until ? last.until : null;
  };
  const limitsInARow = (account: string): number => lastLimit(shelf.read(account), now())?.inARow ?? 0;

  return {
    closedUntil,
    unnamedWaitMs(account) {
      const before = limitsInARow(account) - (closedUntil(account) === null ? 0 : 1);
      return Math.min(UNNAMED_LIMIT_MS * 2 ** before, LONGEST_LIMIT_MS);
    },
    close(account, until) {
      const earlierUntil = closedUntil(account);
      // Requests that were on their way together are refused together: that is one limit.
      const inARow = limitsInARow(account) + (earlierUntil === null ? 1 : 0);
      const last = Math.min(Math.max(until, earlierUntil ?? 0), now() + LONGEST_LIMIT_MS);
      shelf.write(account, { from: now(), until: last, inARow });
    },
    answered(account) {
      if (limitsInARow(account) > 0 && closedUntil(account) === null) {
        shelf.remove(account);
      }
    },
  };
}

/** `null` for a state that is long over, or from the future of a clock that was set back: it says nothing any more. */
function lastLimit(found: State | null, now: number): State | null {
  if (found === null || found.until - found.from > LONGEST_LIMIT_MS) return null;
  return found.from - CLOCK_TOLERANCE_MS <= now && now < found.until + LONGEST_LIMIT_MS ? found : null;
}

interface Shelf {
  read(account: string): State | null;
  write(account: string, state: State): void;
  remove(account: string): void;
}

/** Files are the truth, so that processes share them; memory stands in for one that cannot be written. */
function createShelf(folder: string | null, warn: GateOptions['warn']): Shelf {
  const unsaved = new Map<string, State>();
  const told = new Set<string>();
  const tell = (message: string): void => {
    if (!told.has(message)) warn(message);
    told.add(message);
  };
  const fileOf = (account: string): string | null => (folder === null ? null : join(folder, `github-limit-${nameOf(account)}.json`));

  return {
    read(account) {
      const file = fileOf(account);
      return unsaved.get(account) ?? (file === null ? null : readState(file, tell));
    },
    write(account, written) {
      unsaved.set(account, written);
      const file = fileOf(account);
      if (file === null) return;
      try {
        replaceFile(file, JSON.stringify(written));
        unsaved.delete(account);
      } catch (error) {
        tell(`GitHub's limit is remembered by this process alone: ${file} cannot be written (${reasonOf(error)})`);
      }
    },
    remove(account) {
      unsaved.delete(account);
      const file = fileOf(account);
      if (file === null) return;
      try {
        rmSync(file, { force: true });
      } catch (error) {
        tell(`${file} cannot be removed (${reasonOf(error)}); remove it by hand`);
      }
    },
  };
}

function readState(file: string, tell: (message: string) => void): State | null {
  try {
    return state.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      tell(`${file} cannot be read, so GitHub is asked as if there were no limit (${reasonOf(error)})`);
    }
    return null;
  }
}

/** In one stroke: a process that is killed never leaves half of it, and one that reads never sees half. */
function replaceFile(file: string, text: string): void {
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
}

/** No account can be read from it. */
function nameOf(account: string): string {
  return createHash('sha256').update(account).digest('hex').slice(0, 16);
}

function reasonOf(error: unknown): string {
  return error instanceof z.ZodError || error instanceof SyntaxError
    ? 'it is damaged'
    : error instanceof Error
      ? error.message
      : String(error);
}
