// Makes dist/, what the npm package runs: src as JavaScript, since Node strips no types under node_modules. `npm pack` starts it.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflows } from '../src/worker/workflow-bundle.ts';

const ROOT = join(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');
const DIST = join(ROOT, 'dist');

process.chdir(ROOT);
rmSync(DIST, { recursive: true, force: true });
emitJavaScript();
copyScripts();
await bundle();

function emitJavaScript(): void {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '--project', 'tsconfig.package.json'], { stdio: 'inherit' });
  chmodSync(join(DIST, 'cli/main.js'), 0o755);
}

/** What src reads at run time is beside the file that reads it, and stays there. */
function copyScripts(): void {
  for (const file of globSync('**/*.sh', { cwd: SRC })) {
    cpSync(join(SRC, file), join(DIST, file));
  }
}

/** The SDK that runs the bundle must be the one that made it, so package.json names exact versions of it. */
async function bundle(): Promise<void> {
  writeFileSync(join(DIST, 'workflow-bundle.js'), await bundleWorkflows(ROOT));
}
