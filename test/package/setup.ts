// Set-up of the package group: packs the npm package once.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { npm, ROOT } from './npm.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    tarball: string;
  }
}

export default function setUp(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'runward-package-'));
  const [packed] = JSON.parse(npm(ROOT, 'pack', '--json', '--pack-destination', folder)) as [{ filename: string }];
  project.provide('tarball', join(folder, packed.filename));
  return () => rmSync(folder, { recursive: true });
}
