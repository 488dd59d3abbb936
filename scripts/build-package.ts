// Makes dist/, what the npm package runs: src as JavaScript, since Node strips no types under node_modules. `npm pack` starts it.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

const ROOT = join(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');
const DIST = join(ROOT, 'dist');

process.chdir(ROOT);
rmSync(DIST, { recursive: true, force: true });
emitJavaScript();
copyScripts();
await bundleWorkflows();

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
async function bundleWorkflows(): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(SRC, 'workflows'),
    logger: new DefaultLogger('WARN'),
    // Files are named by their place in the repository, so that nothing of this computer gets into the package.
    webpackConfigHook: (config) => ({
      ...config,
      devtool: 'inline-nosources-source-map',
      output: {
        ...config.output,
        devtoolModuleFilenameTemplate: ({ absoluteResourcePath }: { absoluteResourcePath: string }) =>
          absoluteResourcePath.replaceAll(`${ROOT}/`, ''),
      },
    }),
  });
  writeFileSync(join(DIST, 'workflow-bundle.js'), code);
}
