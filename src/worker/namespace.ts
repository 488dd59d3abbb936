// Composition root of the worker process, and its set-up as data. May import everything; only cli imports it.

import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { SEARCH_ATTRIBUTES } from '../domain/names.ts';

/** `temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD`. */
const KEYWORD = 2;

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const GRPC_ALREADY_EXISTS = 6;

/** What the namespace was found to be after the set-up. */
export interface NamespaceState {
  readonly retentionDays: number | null;
}

/**
 * Makes what every worker needs before it polls: an unregistered search attribute leaves a workflow running for ever.
 * Retention is set only where Runward owns the server (`ownedRetentionDays`), and read elsewhere.
 */
export async function prepareNamespace(
  connection: Connection,
  namespace: string,
  ownedRetentionDays: number | null,
): Promise<NamespaceState> {
  await addSearchAttributes(connection, namespace);
  if (ownedRetentionDays !== null) {
    await connection.workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: msToTs(ownedRetentionDays * 86_400_000) },
    });
  }
  const described = await connection.workflowService.describeNamespace({ namespace });
  const seconds = described.config?.workflowExecutionRetentionTtl?.seconds;
  return { retentionDays: seconds === undefined || seconds === null ? null : Number(seconds) / 86_400 };
}

async function addSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const searchAttributes = Object.fromEntries(Object.values(SEARCH_ATTRIBUTES).map((name) => [name, KEYWORD]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    // Servers before 1.32 answer ALREADY_EXISTS where newer ones answer OK.
    if ((error as { code?: number }).code !== GRPC_ALREADY_EXISTS) {
      throw error;
    }
  }
}
