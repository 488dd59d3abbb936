// Set-up of the Temporal group: one real server with a namespace for each test process, and the workflows bundled once.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { startTemporalProcess, type TemporalProcess } from './temporal-process.ts';

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

/** One in which no other worker sends anything, so that what is sent can be counted. */
export const COUNTED_NAMESPACE = 'counted';

export function namespaceOf(process: number): string {
  return `test-${process}`;
}

/** `temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD`. */
const KEYWORD = 2;

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const [server, workflowBundle] = await Promise.all([startServer(), bundle()]);
  project.provide('temporalAddress', server.address);
  project.provide('workflowBundle', workflowBundle);
  return () => server.stop();
}

async function startServer(): Promise<TemporalProcess> {
  const prepared = Array.from({ length: NAMESPACES }, (_, index) => namespaceOf(index + 1));
  const server = await startTemporalProcess(null, [...prepared, COUNTED_NAMESPACE], [BARE_NAMESPACE, HALF_NAMESPACE]);
  const connection = await Connection.connect({ address: server.address });
  const searchAttributes = { RunwardScope: KEYWORD, RunwardOutcome: KEYWORD };
  await connection.operatorService.addSearchAttributes({ namespace: HALF_NAMESPACE, searchAttributes });
  await connection.close();
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
  // Another test run may be reading it.
  writeFileSync(`${file}.${process.pid}`, code);
  renameSync(`${file}.${process.pid}`, file);
  return file;
}
