// Makes dist/, what the npm package runs: src as JavaScript, since Node strips no types under node_modules; and the lockfile that the package
// brings along. `npm pack` starts it, and removes that lockfile afterwards.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
writeShrinkwrap();

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

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devDependencies?: unknown }>>;
}

/** The lockfile without what is for development: whoever installs the package gets the versions that it was tested with. */
function writeShrinkwrap(): void {
  const lockfile = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lockfile;
  const packages = Object.entries(lockfile.packages)
    .filter(([, { dev }]) => dev !== true)
    .map(([path, entry]) => [path, { ...entry, devDependencies: undefined }]);
  writeFileSync('npm-shrinkwrap.json', `${JSON.stringify({ ...lockfile, packages: Object.fromEntries(packages) }, null, 2)}\n`);
}
