import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const PREFIX = 'worker-starting.';

/** `SQLITE_BUSY`: https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/** What a start that ended so long ago has left says nothing any more; a mark that is being made is held sooner. */
const FORGOTTEN_AFTER_MS = 60_000;

/**
 * Marks in a data folder that a worker of this process is starting, until the answer is called as it begins to poll, or the process ends,
 * however it ends: SQLite's exclusive lock is the operating system's own. A folder that can't be written gets no mark.
 */
export function markStarting(folder: string): () => void {
  const file = join(folder, `${PREFIX}${process.pid}`);
  let lock: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    removeForgotten(folder);
    lock = new DatabaseSync(file);
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch {
    lock?.close();
    lock = undefined;
  }
  return () => {
    if (lock === undefined) {
      return;
    }
    const now = new Date();
    try {
      utimesSync(file, now, now);
    } catch {
      // Whoever removed the data folder asks for no mark.
    }
    lock.close();
    lock = undefined;
  };
}

/** Until when a worker of this data folder was starting, epoch milliseconds: now if one is, 0 if nobody knows of any. */
export function startingUntil(folder: string): number {
  return Math.max(0, ...marksIn(folder).map(({ file, changedAt }) => (isHeld(file) ? Date.now() : changedAt)));
}

/** A mark was changed last when its worker began to poll, or to start. */
function marksIn(folder: string): readonly { readonly file: string; readonly changedAt: number }[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => join(folder, name))
      .map((file) => ({ file, changedAt: statSync(file).mtimeMs }));
  } catch {
    return [];
  }
}

/** Whether its process is still at it. */
function isHeld(file: string): boolean {
  let mark: DatabaseSync | undefined;
  try {
    mark = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    mark.prepare('SELECT 1 FROM sqlite_schema').all();
    return false;
  } catch (error) {
    return (error as { errcode?: number }).errcode === SQLITE_BUSY;
  } finally {
    mark?.close();
  }
}

function removeForgotten(folder: string): void {
  for (const { file, changedAt } of marksIn(folder)) {
    if (Date.now() - changedAt > FORGOTTEN_AFTER_MS && !isHeld(file)) {
      rmSync(file, { force: true });
    }
  }
}
