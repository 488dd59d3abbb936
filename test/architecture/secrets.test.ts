import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** Where a secret leaves the process, or is sealed, on purpose. */
const REVEALING = [
  'activities/sealing.ts',
  'alerts/webhook-signature.ts',
  'github/authorized-fetch.ts',
  'machine/shell-machine.ts',
  'sandbox/machine/sandbox-machine.ts',
];

test('secrets are revealed in the listed files and nowhere else', () => {
  const sources = globSync('**/*.ts', { cwd: join(root, 'src') }).filter((file) => file !== 'domain/secret.ts');
  const revealing = sources.filter((file) => /\.reveal\b/.test(readFileSync(join(root, 'src', file), 'utf8')));
  expect(revealing.toSorted()).toEqual(REVEALING);
});
