import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SEALING_KEY_BYTES } from '../activities/sealing.ts';
import { opennessOf } from '../domain/private-file.ts';

/** The key in `file` (base64); a missing one is made, with mode 0600. Throws if others can open the file, or it holds no key of the right length. */
export function sealingKey(file: string): Buffer {
  const found = readKey(file) ?? makeKey(file);
  const openness = opennessOf(file, statSync(file).mode);
  if (openness !== null) {
    throw new Error(`the sealing key ${file} must be ${openness}`);
  }
  const key = Buffer.from(found.trim(), 'base64');
  if (key.length !== SEALING_KEY_BYTES) {
    throw new Error(
      `${file} holds no sealing key (${SEALING_KEY_BYTES} bytes in base64): copy it from another host, or delete it to have a new one made`,
    );
  }
  return key;
}

function readKey(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return null;
    }
    throw error;
  }
}

/** Linked into place, so that of two processes that start together both read the same key. */
function makeKey(file: string): string {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(SEALING_KEY_BYTES).toString('base64')}\n`, { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  } finally {
    rmSync(draft);
  }
  return readFileSync(file, 'utf8');
}
