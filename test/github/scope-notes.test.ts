// Notes of what looks have read, in files of the data folder.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createNotesShelf, type RunNote, type ScopeNotes } from '../../src/github/scope-notes.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const API = 'https://api.github.com token-1';

let folder: string;
let now: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runward-notes-'));
  now = Date.now();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(account = API, scope = 'octo/app'): ScopeNotes {
  return createNotesShelf(folder, () => now).open(account, scope);
}

function save(runs: readonly RunNote[], scope = 'octo/app'): void {
  const notes = { ...open(), runs: new Map(runs.map((note) => [note.run, note])) };
  createNotesShelf(folder, () => now).save(API, scope, notes);
}

function note(run: number, more: Partial<RunNote> = {}): RunNote {
  const times = { createdAt: now, startedAt: now, updatedAt: now, listedAt: now, readAt: now };
  const jobs = { queued: [{ labels: ['bpf'], count: 2, oldestAt: now }], running: [] };
  return { run, isQueued: true, attempt: 1, ...times, hadRested: true, jobs, ...more };
}

test('are found by another process, under the same API, token and scope alone', () => {
  save([note(1), note(2)]);
  expect([...open().runs.values()]).toEqual([note(1), note(2)]);
  expect(
    [open('https://api.github.com token-2'), open(API, 'octo/other'), open('https://ghe.example token-1')].map(({ runs }) => runs.size),
  ).toEqual([0, 0, 0]);
  const [file = ''] = readdirSync(folder);
  expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  expect(file + readFileSync(join(folder, file), 'utf8')).not.toMatch(/token|octo/);
});

test.each(['', '{', '[]', '{"runs":[{"run":"1"}],"versions":null,"readForPeople":{"since":0,"runs":0}}'])(
  'of a damaged file (%s) are none, and it is written anew',
  (text) => {
    save([note(1)]);
    const [file = ''] = readdirSync(folder);
    writeFileSync(join(folder, file), text);
    expect(open()).toEqual({ runs: new Map(), versions: null, readForPeople: { since: 0, runs: 0 } });
    save([note(3)]);
    expect([...open().runs.keys()]).toEqual([3]);
  },
);

test('of a file that is larger than any that was written are none', () => {
  save([note(1)]);
  const [file = ''] = readdirSync(folder);
  writeFileSync(join(folder, file), readFileSync(join(folder, file), 'utf8').padEnd(9_000_000));
  expect(open().runs.size).toBe(0);
});

test('are bounded in number, size and age, and by a clock that was set back', () => {
  const large = { queued: Array.from({ length: 60 }, (_, index) => ({ labels: [`l${index}`], count: 1, oldestAt: now })), running: [] };
  save([
    ...Array.from({ length: 2_500 }, (_, index) => note(index + 1, { listedAt: now - index })),
    note(9_001, { jobs: large }),
    note(9_002, { listedAt: now - 2 * HOUR_MS }),
    note(9_003, { listedAt: now + HOUR_MS }),
  ]);
  const { runs } = open();
  expect([runs.size, runs.has(1), runs.has(2_400), ...[9_001, 9_002, 9_003].map((run) => runs.has(run))]).toEqual([
    2_000,
    true,
    false,
    false,
    false,
    false,
  ]);
  now += 2 * HOUR_MS;
  expect(open().runs.size).toBe(0);
});

test("of what is out of use are removed after a day, and nobody else's files are", () => {
  save([note(1)], 'octo/old');
  const [old = ''] = readdirSync(folder);
  writeFileSync(join(folder, 'github-limit-1.json'), '{}');
  const longAgo = new Date(now - 25 * HOUR_MS);
  for (const file of [old, 'github-limit-1.json']) utimesSync(join(folder, file), longAgo, longAgo);
  save([note(2)]);
  expect(readdirSync(folder)).toHaveLength(2);
  expect(readdirSync(folder)).not.toContain(old);
});

test('are kept in memory where the folder is none, or can not be written', () => {
  for (const shelf of [createNotesShelf(null), createNotesShelf(join(folder, 'missing'))]) {
    shelf.save(API, 'octo/app', { ...open(), runs: new Map([[1, note(1)]]) });
    expect([...shelf.open(API, 'octo/app').runs.keys()]).toEqual([1]);
  }
});
