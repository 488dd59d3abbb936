// Writes runward.schema.json from the schema that checks runward.yaml. With --check it only compares, and exits 1 where they differ.

import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { fileSchema } from '../src/config/schema.ts';

const path = new URL('../runward.schema.json', import.meta.url);
/** Draft 7 is what the YAML language server, and so most editors, understand best. */
const written = `${JSON.stringify(z.toJSONSchema(fileSchema, { io: 'input', target: 'draft-7' }), null, 2)}\n`;

if (!process.argv.includes('--check')) {
  writeFileSync(path, written);
} else if (readIfThere() !== written) {
  console.error('runward.schema.json is not what src/config/schema.ts gives: run node scripts/write-config-schema.ts');
  process.exitCode = 1;
}

function readIfThere(): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
