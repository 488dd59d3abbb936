// Set-up of the Temporal group: one real server with a namespace for each test process, and the workflows bundled once.

import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { prepareNamespace } from '../../src/worker/namespace.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    temporalAddress: string;
    workflowBundle: string;
  }
}

/** Test files run side by side, each in the namespace of its process: two workers on one queue would take each other's tasks. */
export const NAMESPACES = 8;

/** Namespaces in which nobody made Runward's search attributes, and in which some are missing. */
export const BARE_NAMESPACE = 'bare';
export const HALF_NAMESPACE = 'half';

export function namespaceOf(process: number): string {
  return `test-${process}`;
}

/** `temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD`. */
const KEYWORD = 2;

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const path = process.env['RUNWARD_TEMPORAL_CLI'];
  if (path === undefined) {
    throw new Error('RUNWARD_TEMPORAL_CLI is not set: run `./runward test` once, which brings the Temporal CLI');
  }
  const [server, workflowBundle] = await Promise.all([startServer(path), bundle()]);
  project.provide('temporalAddress', server.address);
  project.provide('workflowBundle', workflowBundle);
  return () => server.teardown();
}

async function startServer(path: string): Promise<TestWorkflowEnvironment> {
  const [first, ...others] = Array.from({ length: NAMESPACES }, (_, index) => namespaceOf(index + 1)) as [string, ...string[]];
  const server = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path },
      namespace: first,
      extraArgs: [...others, BARE_NAMESPACE, HALF_NAMESPACE].flatMap((name) => ['--namespace', name]),
      log: { format: 'pretty', level: 'error' },
    },
  });
  // One after the other: the server refuses what it is told of two namespaces at once, and the client tries again.
  for (const name of [first, ...others]) {
    await prepareNamespace(server.connection, name, null);
  }
  const searchAttributes = { RunwardScope: KEYWORD, RunwardOutcome: KEYWORD };
  await server.connection.operatorService.addSearchAttributes({ namespace: HALF_NAMESPACE, searchAttributes });
  return server;
}

async function bundle(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../src/workflows', import.meta.url)),
    logger: new DefaultLogger('ERROR'),
  });
  const folder = fileURLToPath(new URL('../../build/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const file = `${folder}test-workflows.js`;
  writeFileSync(file, code);
  return file;
}
