// Composition root of the worker process, and its set-up as data. May import everything; only cli imports it.

import { isGrpcServiceError, type Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { makeSearchAttributes, type KnownAttributes } from './search-attributes.ts';

/** What the namespace was found to be after the set-up. */
export interface NamespaceState {
  /** `null` where it may not be read. */
  readonly retentionDays: number | null;
  readonly isRetentionRefused: boolean;
  readonly searchAttributes: KnownAttributes;
}

/**
 * Makes what every worker needs before it polls, as far as it may. Retention is set only where Runward owns the server (`ownedRetentionDays`), and
 * read elsewhere.
 */
export async function prepareNamespace(
  connection: Connection,
  namespace: string,
  ownedRetentionDays: number | null,
): Promise<NamespaceState> {
  const searchAttributes = await makeSearchAttributes(connection, namespace);
  const config = ownedRetentionDays === null ? null : { workflowExecutionRetentionTtl: msToTs(ownedRetentionDays * 86_400_000) };
  const isRetentionRefused =
    config !== null &&
    (await unlessRefused(connection.workflowService.updateNamespace({ namespace, config }), [PERMISSION_DENIED, UNIMPLEMENTED])) === null;
  // A worker of the SDK asks it as well, and bears no other refusal.
  const described = await unlessRefused(connection.workflowService.describeNamespace({ namespace }), [UNIMPLEMENTED]);
  const seconds = described?.config?.workflowExecutionRetentionTtl?.seconds;
  const retentionDays = seconds === undefined || seconds === null ? null : Number(seconds) / 86_400;
  return { retentionDays, isRetentionRefused, searchAttributes };
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;

/** `null` where the server does not do it, or one of these codes says that it does not for this client. */
async function unlessRefused<T>(asked: Promise<T>, codes: readonly number[]): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (isGrpcServiceError(error) && codes.includes(error.code)) {
      return null;
    }
    throw error;
  }
}
