import { createHash, randomBytes } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowBundleOption } from '@temporalio/worker';

/** Only a package has it (scripts/build-package.ts); a checkout has the workflows' sources in its place. */
const PREBUILT = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

/** Where a checkout keeps its bundles. */
export const BUNDLE_FOLDER = join(CHECKOUT, '.tools/workflows');

/** All that goes into a bundle, by path in the checkout; npm writes down what it has installed in the last one. */
const SOURCES = [
  'src/workflows/**/*.ts',
  'src/domain/**/*.ts',
  'src/worker/workflow-bundle.ts',
  'package-lock.json',
  'node_modules/.package-lock.json',
];

/** Whoever goes back to an earlier commit finds its bundle again. */
const BUNDLES_KEPT = 4;

/** A bundle that is being written is older than this only if its process was killed. */
const WRITTEN_WITHIN_MS = 10 * 60_000;

/** The code that the workflows of this installation run as: a package's own bundle, or the one that a checkout keeps of its sources. */
export async function workflowBundle(): Promise<WorkflowBundleOption> {
  if (existsSync(PREBUILT)) {
    return { codePath: PREBUILT };
  }
  const code = await keptBundle({
    folder: BUNDLE_FOLDER,
    version: () => versionOf(CHECKOUT),
    build: () => bundleWorkflows(CHECKOUT),
  });
  return { code };
}

/** Bundles the workflows of a checkout. Files are named by their place in it, so that nothing of this computer gets into a bundle. */
export async function bundleWorkflows(checkout: string): Promise<string> {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const root = join(checkout, '/');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(checkout, 'src/workflows'),
    logger: new DefaultLogger('WARN'),
    webpackConfigHook: (config) => ({
      ...config,
      devtool: 'inline-nosources-source-map',
      output: {
        ...config.output,
        devtoolModuleFilenameTemplate: ({ absoluteResourcePath }: { absoluteResourcePath: string }) =>
          absoluteResourcePath.replaceAll(root, ''),
      },
    }),
  });
  return code;
}

/** A hash of all that goes into a checkout's bundle, the SDK that runs it included. */
export function versionOf(checkout: string): string {
  const hash = createHash('sha256');
  for (const file of SOURCES.flatMap((pattern) => globSync(pattern, { cwd: checkout }).toSorted())) {
    const content = readFileSync(join(checkout, file));
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex').slice(0, 32);
}

export interface BundleShelf {
  readonly folder: string;
  /** Of the sources as they are now. */
  readonly version: () => string;
  readonly build: () => Promise<string>;
}

/** The bundle of the sources' version. It is built if none is kept that is whole, and then kept if the folder can be written. */
export async function keptBundle({ folder, version, build }: BundleShelf): Promise<string> {
  const wanted = version();
  const kept = await readBundle(folder, wanted);
  if (kept !== null) {
    return kept;
  }
  const code = await build();
  // Sources that changed meanwhile may be in the bundle or not.
  if (version() === wanted) {
    await keep(folder, wanted, code).catch(() => {});
  }
  return code;
}

/** A bundle's name ends in the hash of its content, so that a damaged one is known. */
async function readBundle(folder: string, version: string): Promise<string | null> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(`${version}-`) && each.endsWith('.js'))) {
    const code = await readFile(join(folder, name), 'utf8').catch(() => null);
    if (code !== null && name === nameOf(version, code)) {
      return code;
    }
    await rm(join(folder, name), { force: true }).catch(() => {});
  }
  return null;
}

function nameOf(version: string, code: string): string {
  return `${version}-${createHash('sha256').update(code).digest('hex').slice(0, 32)}.js`;
}

/** In place by one rename: whoever reads or keeps the same at this moment finds a whole file. */
async function keep(folder: string, version: string, code: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const unfinished = join(folder, `${version}.${process.pid}-${randomBytes(4).toString('hex')}.part`);
  try {
    await writeFile(unfinished, code);
    await rename(unfinished, join(folder, nameOf(version, code)));
  } finally {
    await rm(unfinished, { force: true });
  }
  await removeOlder(folder);
}

async function removeOlder(folder: string): Promise<void> {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => ({ name, writtenAt: (await stat(join(folder, name))).mtimeMs })),
  );
  const older = files
    .filter(({ name }) => name.endsWith('.js'))
    .toSorted((a, b) => b.writtenAt - a.writtenAt)
    .slice(BUNDLES_KEPT);
  const leftOver = files.filter(({ name, writtenAt }) => name.endsWith('.part') && Date.now() - writtenAt > WRITTEN_WITHIN_MS);
  await Promise.all([...older, ...leftOver].map(({ name }) => rm(join(folder, name), { force: true })));
}
