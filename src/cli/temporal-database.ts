import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { CommandFailure, EXIT } from './exit.ts';
import { writeLoss, type Loss } from './lost-history.ts';

/** What SQLite keeps beside a database: https://www.sqlite.org/tempfiles.html */
const COMPANIONS = ['-journal', '-wal', '-shm'] as const;
/** `SQLITE_CORRUPT` and `SQLITE_NOTADB`, the only errors that speak of the content: https://www.sqlite.org/rescode.html */
const DAMAGE: readonly number[] = [11, 26];
const COPIES_KEPT = 2;

/** Who last opened the database; written beside it. */
const recordSchema = z.object({
  /** Version of the Temporal CLI. */
  cli: z.string(),
  /** `false` from before the first start until its server answered. */
  opened: z.boolean(),
  /** The version that the database was already copied for. */
  copiedFor: z.string().optional(),
});
type DatabaseRecord = z.output<typeof recordSchema>;

export interface Preparation {
  /** Version of the Temporal CLI that is about to open the database. */
  readonly version: string;
  /** Whether a database that is no use is set aside, or an error. */
  readonly onLoss: 'set-aside' | 'fail';
  readonly say: (line: string) => void;
}

export function databaseFile(folder: string): string {
  return join(folder, 'temporal.db');
}

/** Whether a server has ever begun to keep something in the folder. */
export function hasDatabase(folder: string): boolean {
  return existsSync(databaseFile(folder));
}

/**
 * Looks after the database before a server opens it, while none has it open: a damaged one is set aside, and one that another version
 * of the CLI worked with is copied. Answers what was lost.
 */
export function prepareDatabase(folder: string, { version, onLoss, say }: Preparation): Loss | null {
  const record = readRecord(folder);
  if (record !== null && !record.opened) {
    // A first start was cut off: nothing ever worked with what it left, and on half a schema Temporal's server may never start.
    for (const file of filesOf(databaseFile(folder))) {
      rmSync(file);
    }
  }
  const hadData = record === null ? existsSync(databaseFile(folder)) : record.opened;
  const damage = hadData ? findDamage(folder) : null;
  if (damage !== null && onLoss === 'fail') {
    throw new CommandFailure(
      EXIT.bad,
      `Temporal's database ${databaseFile(folder)} was damaged while Runward ran (${damage}).\nStart \`runward up\` again: it sets the file aside, and only watches until you confirm.`,
    );
  }
  const loss = damage === null ? null : setAside(folder, damage);
  const isNew = !hadData || loss !== null;
  if (!isNew && record?.cli !== version && record?.copiedFor !== version) {
    copyForAnotherVersion(folder, record, version, say);
  }
  if (isNew) {
    writeRecord(folder, { cli: version, opened: false });
  }
  return loss;
}

/** To be called once the server of this version answered. */
export function recordOpened(folder: string, version: string): void {
  writeRecord(folder, { cli: version, opened: true });
}

/**
 * Why the database is no use; `null` where it is whole. Opening it also brings in what a killed server left in its journal, so that the
 * one file is all afterwards. `quick_check` reads the whole file, about 1 s for 1 GB where `integrity_check` took 3 s.
 */
function findDamage(folder: string): string | null {
  const file = databaseFile(folder);
  if (!existsSync(file)) {
    return 'the file is missing';
  }
  try {
    return inDatabase(file, (database) => {
      const answer = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0];
      if (answer !== 'ok') {
        return String(answer);
      }
      return database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined ? 'the file is empty' : null;
    });
  } catch (error) {
    const { errcode = 0, message } = error as { errcode?: number; message: string };
    // The lowest byte is the primary code.
    if (DAMAGE.includes(errcode & 0xff)) {
      return message;
    }
    throw new CommandFailure(EXIT.bad, `Temporal's database ${file} can't be looked at: ${message}. It was left as it is.`, error);
  }
}

function inDatabase<T>(file: string, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(file, { timeout: 5_000 });
  try {
    return use(database);
  } finally {
    database.close();
  }
}

/** The loss is written down first and the database moved last, so that a cut-off anywhere leaves a start that only watches. */
function setAside(folder: string, why: string): Loss {
  const file = databaseFile(folder);
  const since = new Date().toISOString();
  const aside = existsSync(file) ? `${file}.damaged-${since.replace(/\.\d+Z$/, 'Z').replaceAll(':', '-')}` : null;
  const loss: Loss = { since, why, aside };
  writeLoss(folder, loss);
  for (const each of filesOf(file)) {
    // A journal that stays would be played into the next database.
    renameSync(each, `${aside ?? `${file}.lost`}${each.slice(file.length)}`);
  }
  return loss;
}

/** A newer version may migrate what an older one can't read any more. */
function copyForAnotherVersion(folder: string, record: DatabaseRecord | null, version: string, say: (line: string) => void): void {
  const file = databaseFile(folder);
  const copy = `${file}.before-${version}`;
  const partial = `${file}.partial-copy`;
  try {
    copyFileSync(file, partial);
    renameSync(partial, copy);
  } catch (error) {
    rmSync(partial, { force: true, recursive: true });
    const size = Math.ceil(statSync(file).size / 1_000_000);
    throw new CommandFailure(
      EXIT.bad,
      `Temporal's database could not be copied to ${copy} before version ${version} of the Temporal CLI opens it: ${(error as Error).message}\nNothing was opened. Make room (it takes ${size} MB) and start again.`,
      error,
    );
  }
  writeRecord(folder, { cli: record?.cli ?? 'unknown', opened: true, copiedFor: version });
  forgetOldCopies(folder);
  say(`The Temporal CLI is ${version} now, and was ${record?.cli ?? 'of an unknown version'}: the database before it is kept as ${copy}.`);
}

function forgetOldCopies(folder: string): void {
  const copies = readdirSync(folder)
    .filter((name) => name.startsWith('temporal.db.before-'))
    .map((name) => ({ path: join(folder, name), madeAt: statSync(join(folder, name)).mtimeMs }))
    .toSorted((a, b) => b.madeAt - a.madeAt);
  for (const { path } of copies.slice(COPIES_KEPT)) {
    rmSync(path);
  }
}

/** The files of a database that are there, the database itself last. */
function filesOf(file: string): readonly string[] {
  return [...COMPANIONS.map((companion) => `${file}${companion}`), file].filter((each) => existsSync(each));
}

function recordFile(folder: string): string {
  return join(folder, 'temporal.db.json');
}

function readRecord(folder: string): DatabaseRecord | null {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(recordFile(folder), 'utf8')));
  } catch {
    return null;
  }
}

function writeRecord(folder: string, record: DatabaseRecord): void {
  const partial = `${recordFile(folder)}.partial`;
  writeFileSync(partial, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(partial, recordFile(folder));
}
