import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readServerFile } from '../worker/temporal-address.ts';
import { CommandFailure, EXIT } from './exit.ts';

/** `SQLITE_BUSY`: https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/**
 * Makes this process the only owner of a data folder until it ends, however it ends: two dev servers on one database both start and
 * mix their data. SQLite's exclusive lock is the operating system's own, so that none is left behind by a killed process.
 */
export function ownFolder(folder: string): { release(): void } {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(join(folder, 'owner.lock'), { timeout: 0 });
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) {
      throw error;
    }
    const first = readServerFile(folder);
    const where = first === null ? 'It is just starting or stopping.' : `It runs as process ${first.pid}, its UI is ${first.uiUrl}.`;
    throw new CommandFailure(EXIT.bad, `Another Runward owns ${folder}. ${where}\nUse that one, or set RUNWARD_HOME to another folder.`);
  }
  return { release: () => lock.close() };
}
