import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readServerFile, serverFile, type ServerFile } from '../worker/temporal-address.ts';
import { CommandFailure, EXIT } from './exit.ts';
import type { TemporalServer } from './temporal-server.ts';

/** `SQLITE_BUSY`: https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

export interface OwnedFolder {
  release(): void;
}

/**
 * Makes this process the only owner of a data folder until it ends, however it ends: two dev servers on one database both start and
 * mix their data. SQLite's exclusive lock is the operating system's own, so that none is left behind by a killed process.
 */
export function ownFolder(folder: string): OwnedFolder {
  const owned = ownFolderIfFree(folder);
  if (owned !== null) {
    return owned;
  }
  const first = readServerFile(folder);
  const where = first === null ? 'It is just starting or stopping.' : `It runs as process ${first.pid}, its UI is ${first.uiUrl}.`;
  throw new CommandFailure(EXIT.bad, `Another Runward owns ${folder}. ${where}\nUse that one, or set RUNWARD_HOME to another folder.`);
}

/** The same; `null` if another process owns the folder. */
export function ownFolderIfFree(folder: string): OwnedFolder | null {
  makePrivate(folder);
  const lock = new DatabaseSync(join(folder, 'owner.lock'), { timeout: 0 });
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) {
      throw error;
    }
    return null;
  }
  return { release: () => lock.close() };
}

/** Histories name runners, repositories and what failed: whatever is in the folder, and comes into it, is for its owner alone. */
function makePrivate(folder: string): void {
  process.umask(0o077);
  mkdirSync(folder, { recursive: true });
  const { mode, uid } = statSync(folder);
  if ((mode & STICKY) !== 0) {
    throw new CommandFailure(EXIT.bad, `${folder} is open to every account of this computer: set RUNWARD_HOME to a folder of your own.`);
  }
  if (uid !== process.getuid?.()) {
    return;
  }
  if ((mode & OTHERS) !== 0) {
    chmodSync(folder, mode & 0o700);
  }
  readdirSync(folder)
    .filter((name) => KEPT.test(name))
    .forEach((name) => closeToOthers(join(folder, name)));
}

/** Set on folders such as /tmp. */
const STICKY = 0o1000;
const OTHERS = 0o077;
/** What `up` and the demo keep, but the sealing key: one that others could open is refused, since somebody may have it. */
const KEPT = /^(temporal\.|runward\.log|server\.json|owner\.lock|worker-starting\.|github-)/;

function closeToOthers(file: string): void {
  let descriptor: number;
  try {
    // A link that somebody put there leads out of the folder.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return;
  }
  const { mode, uid } = fstatSync(descriptor);
  if (uid === process.getuid?.() && (mode & OTHERS) !== 0) {
    fchmodSync(descriptor, mode & 0o700);
  }
  closeSync(descriptor);
}

/** Writes down for other commands where this process's server is, until the answer is called. */
export function publishServer(folder: string, { address, namespace, uiUrl }: TemporalServer): () => void {
  const content: ServerFile = { address, namespace, uiUrl, pid: process.pid };
  writeFileSync(serverFile(folder), `${JSON.stringify(content)}\n`, { mode: 0o600 });
  return () => rmSync(serverFile(folder), { force: true });
}
