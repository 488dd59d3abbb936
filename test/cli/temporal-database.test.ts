import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readLoss } from '../../src/cli/lost-history.ts';
import { prepareDatabase, recordOpened } from '../../src/cli/temporal-database.ts';

let folder: string;
let database: string;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'temporal-database-'));
  database = join(folder, 'temporal.db');
  said = [];
});

afterEach(() => rmSync(folder, { recursive: true }));

const prepare = (version = '1.9.1', onLoss: 'set-aside' | 'fail' = 'set-aside') =>
  prepareDatabase(folder, { version, onLoss, say: (line) => said.push(line) });

/** What a server of this version left: a database with some pages. */
function worked(version: string): void {
  prepare(version);
  write(`CREATE TABLE IF NOT EXISTS histories (id INTEGER PRIMARY KEY, event TEXT)`);
  write(`INSERT INTO histories (event) SELECT hex(randomblob(500)) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10))`);
  recordOpened(folder, version);
  said = [];
}

function write(sql: string, file = database): void {
  const opened = new DatabaseSync(file);
  opened.exec(sql);
  opened.close();
}

function rows(file = database): number {
  const opened = new DatabaseSync(file, { readOnly: true });
  const found = opened.prepare('SELECT count(*) AS n FROM histories').get();
  opened.close();
  return Number(found?.['n']);
}

const others = () => readdirSync(folder).filter((name) => name !== 'temporal.db' && !name.endsWith('.json'));

describe('a damaged database', () => {
  test.each([
    ['garbage in its header', () => overwrite(0, Buffer.alloc(100, 'x')), /not a database/],
    ['garbage in a page', () => overwrite(4_096, Buffer.alloc(4_096, 'x')), /malformed|page/],
    ['half of it gone', () => truncateSync(database, statSync(database).size / 2), /malformed/],
    ['all of it gone', () => truncateSync(database, 0), /empty/],
    ['another file in its place', () => writeFileSync(database, 'no database at all'), /not a database/],
  ])('with %s is set aside whole, and the loss is remembered', (_, damage, why) => {
    worked('1.9.1');
    damage();
    const content = readFileSync(database);
    const loss = prepare();
    expect(loss).toMatchObject({ why: expect.stringMatching(why), aside: expect.stringMatching(/temporal\.db\.damaged-\d{4}-[\dT-]+Z$/) });
    expect(existsSync(database)).toBe(false);
    expect(readFileSync(loss?.aside ?? '')).toEqual(content);
    expect(readLoss(folder)).toEqual(loss);
  });

  test('of which nobody wrote down who opened it, counts as well', () => {
    writeFileSync(database, 'no database at all');
    expect(prepare()?.why).toContain('not a database');
  });

  test('that is missing is a loss, too, and its journal would be played into the next one', () => {
    worked('1.9.1');
    rmSync(database);
    writeFileSync(`${database}-journal`, 'of the old one');
    expect(prepare()).toMatchObject({ why: 'the file is missing', aside: null });
    expect(readLoss(folder)).not.toBeNull();
    expect(others()).toEqual(['temporal.db.lost-journal']);
  });

  test('is left where it is while Runward runs', () => {
    worked('1.9.1');
    overwrite(0, Buffer.alloc(100, 'x'));
    expect(() => prepare('1.9.1', 'fail')).toThrow(/was damaged while Runward ran .*not a database[^]*Start `runward up` again/);
    expect(others()).toEqual([]);
    expect(readLoss(folder)).toBeNull();
  });

  test('that only cannot be read is an error, and stays', () => {
    mkdirSync(database);
    expect(() => prepare()).toThrow(/can't be looked at: .* It was left as it is/);
    expect(others()).toEqual([]);
  });
});

describe('a whole database', () => {
  test('is opened by the same version without a word', () => {
    worked('1.9.1');
    expect(prepare()).toBeNull();
    expect(said).toEqual([]);
    expect(others()).toEqual([]);
  });

  test('with a log that a killed server left is whole', () => {
    worked('1.9.1');
    const running = new DatabaseSync(database);
    running.exec(`PRAGMA journal_mode = WAL; INSERT INTO histories (event) VALUES ('in the log alone')`);
    for (const file of ['', '-wal']) {
      copyFileSync(`${database}${file}`, join(folder, `killed${file}`));
    }
    running.close();
    for (const file of ['', '-wal']) {
      copyFileSync(join(folder, `killed${file}`), `${database}${file}`);
    }
    expect(prepare('1.10.0')).toBeNull();
    expect(rows(`${database}.before-1.10.0`)).toBe(11);
  });

  test('is copied before another version opens it, once however often that fails', () => {
    worked('1.9.1');
    expect(prepare('1.10.0')).toBeNull();
    expect(said).toEqual([`The Temporal CLI is 1.10.0 now, and was 1.9.1: the database before it is kept as ${database}.before-1.10.0.`]);
    write('DELETE FROM histories');
    expect(prepare('1.10.0')).toBeNull();
    expect(said).toHaveLength(1);
    expect(rows(`${database}.before-1.10.0`)).toBe(10);
  });

  test('of an unknown version is copied', () => {
    write('CREATE TABLE histories (id)');
    prepare('1.9.1');
    expect(others()).toEqual(['temporal.db.before-1.9.1']);
  });

  test('keeps the last two copies', async () => {
    for (const version of ['1.9.1', '1.10.0', '1.11.0', '1.9.1']) {
      worked(version);
      await sleep(5);
    }
    expect(others().toSorted()).toEqual(['temporal.db.before-1.11.0', 'temporal.db.before-1.9.1']);
  });

  test('that cannot be copied is not opened', () => {
    worked('1.9.1');
    mkdirSync(`${database}.partial-copy`);
    expect(() => prepare('1.10.0')).toThrow(/could not be copied to .*before-1\.10\.0[^]*Nothing was opened\. Make room \(it takes 1 MB\)/);
    expect(others()).toEqual([]);
    expect(prepare('1.9.1')).toBeNull();
    expect(said).toEqual([]);
  });
});

test('what a cut-off first start left is no loss, and makes room for the next', () => {
  expect(prepare()).toBeNull();
  write('CREATE TABLE half_a_schema (id)');
  expect(prepare()).toBeNull();
  expect(existsSync(database)).toBe(false);
  expect(readLoss(folder)).toBeNull();
});

test('a note of a loss that cannot be read is one all the same', () => {
  writeFileSync(join(folder, 'lost-history.json'), '');
  expect(readLoss(folder)?.why).toContain("can't be read");
});

function overwrite(at: number, content: Buffer): void {
  const whole = readFileSync(database);
  content.copy(whole, at);
  writeFileSync(database, whole);
}
