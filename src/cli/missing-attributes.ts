import type { Client, Connection } from '@temporalio/client';
import { MAIN_QUEUE } from '../domain/names.ts';
import { missingText, readSearchAttributes } from '../worker/search-attributes.ts';
import { say } from './invocation.ts';

let isTold = false;

/** Says once which search attributes are missing. Where no worker has ever run there is nothing to list either, and `error` is passed on. */
export async function tellMissing(client: Client, error: unknown): Promise<void> {
  if (isTold) {
    return;
  }
  isTold = true;
  const { namespace } = client.options;
  const known = await readSearchAttributes(client.connection, namespace);
  if (known.there.length === 0 && !(await hasRunHere(client))) {
    throw error;
  }
  const { address } = (client.connection as Connection).options;
  const text = missingText(known, { address, namespace });
  if (text !== null) {
    say(`warning: ${text} Lists are made without them.`);
  }
}

async function hasRunHere(client: Client): Promise<boolean> {
  const { done } = await client.workflow
    .list({ query: `TaskQueue = '${MAIN_QUEUE}'`, pageSize: 1 })
    [Symbol.asyncIterator]()
    .next();
  return done !== true;
}
