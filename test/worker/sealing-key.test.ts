import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sealingKey } from '../../src/worker/sealing-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'runward-sealing-'));

afterAll(() => rmSync(folder, { recursive: true }));

test('a key is made once, for its owner alone, and refused once others can open it', () => {
  const file = join(folder, 'sealing.key');
  const key = sealingKey(file);
  expect(key).toHaveLength(32);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(sealingKey(file)).toEqual(key);
  chmodSync(file, 0o604);
  expect(() => sealingKey(file)).toThrow(
    `the sealing key ${file} must be a file that its owner alone can open; it has mode 0604: chmod 600 ${file}`,
  );
  chmodSync(file, 0o400);
  expect(sealingKey(file)).toEqual(key);
});
