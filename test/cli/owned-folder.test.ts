import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownFolder } from '../../src/cli/owned-folder.ts';

const base = mkdtempSync(join(tmpdir(), 'runward-owned-'));
const umask = process.umask(0o022);

beforeAll(() => {
  chmodSync(base, 0o755);
});

afterAll(() => {
  process.umask(umask);
  rmSync(base, { recursive: true });
});

function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

function put(path: string, mode: number): string {
  writeFileSync(path, '');
  chmodSync(path, mode);
  return path;
}

test('a data folder that others could read is closed to them, with all that Runward has in it', () => {
  process.umask(0o022);
  const home = join(base, 'home');
  mkdirSync(home);
  chmodSync(home, 0o775);
  const own = ['temporal.db', 'temporal.db-wal', 'temporal.db.before-1.0.0', 'temporal.log', 'runward.log.1', 'server.json'].map((name) =>
    put(join(home, name), 0o664),
  );
  const [notes, elsewhere] = [put(join(home, 'notes.txt'), 0o644), put(join(base, 'elsewhere'), 0o644)];
  symlinkSync(elsewhere, join(home, 'temporal.pid'));
  const owned = ownFolder(home);
  try {
    expect(modeOf(home)).toBe('700');
    expect(own.map(modeOf)).toEqual(own.map(() => '600'));
    expect([notes, elsewhere].map(modeOf)).toEqual(['644', '644']);
    writeFileSync(join(home, 'later'), '');
    expect(modeOf(join(home, 'later'))).toBe('600');
  } finally {
    owned.release();
  }
});

test('a folder that all share is no data folder', () => {
  const shared = join(base, 'shared');
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  expect(() => ownFolder(shared)).toThrow(/shared is open to every account of this computer: set RUNWARD_HOME to a folder of your own/);
  expect(modeOf(shared)).toBe('1777');
});
