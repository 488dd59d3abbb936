import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogFile, logFileOfRunward } from '../../src/cli/log-file.ts';

const AT = new Date('2026-11-24T10:00:00Z');
let folder: string;
let failures: unknown[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runward-log-'));
  failures = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(mostBytes?: number): LogFile {
  return new LogFile(folder, (error) => failures.push(error), mostBytes);
}

test('each line has its full time and no color, and only its owner reads it', () => {
  open().write('\u001B[32m✔\u001B[39m GitHub: well', AT);
  open().write('two\nlines', AT);
  expect(readFileSync(logFileOfRunward(folder), 'utf8')).toBe(
    ['✔ GitHub: well', 'two', 'lines'].map((line) => `2026-11-24T10:00:00.000Z ${line}\n`).join(''),
  );
  expect(statSync(logFileOfRunward(folder)).mode & 0o777).toBe(0o600);
});

test('a full one is kept aside, and the one before it goes', () => {
  const log = open(58);
  for (const line of ['one', 'two', 'three', 'four', 'five']) log.write(line, AT);
  expect(readdirSync(folder).toSorted()).toEqual(['runward.log', 'runward.log.1']);
  const lines = (name: string): readonly string[] => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
  expect(lines('runward.log.1').map((line) => line.split(' ')[1])).toEqual(['three', 'four']);
  expect(lines('runward.log').map((line) => line.split(' ')[1])).toEqual(['five']);
});

test('one that can no longer be written is said once, and once more after it could', () => {
  const log = open();
  mkdirSync(logFileOfRunward(folder));
  log.write('one', AT);
  log.write('two', AT);
  expect(failures).toHaveLength(1);
  rmSync(logFileOfRunward(folder), { recursive: true });
  log.write('three', AT);
  rmSync(logFileOfRunward(folder));
  mkdirSync(logFileOfRunward(folder));
  log.write('four', AT);
  expect(failures).toHaveLength(2);
});
