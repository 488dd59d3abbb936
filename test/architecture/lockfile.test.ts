import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly resolved?: string; readonly dev?: boolean }>>;
}

const { packages } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')) as Lockfile;

test('the lockfile names no registry, so that each user’s own is asked', () => {
  expect(Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
});

test('one protobufjs 8 is hoisted for all, also without development dependencies: several copies break the reading of saved histories', () => {
  expect(packages['node_modules/protobufjs']).toMatchObject({ version: expect.stringMatching(/^8\./) });
  expect(packages['node_modules/protobufjs']?.dev).toBeUndefined();
});
