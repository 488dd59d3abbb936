import type { Client, Connection } from '@temporalio/client';
import { MAIN_QUEUE } from '../domain/names.ts';
import { missingText, readSearchAttributes } from '../worker/search-attributes.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { say } from './invocation.ts';

let isTold = false;

/** Says once which search attributes are missing, and how they are made. Exit code 3 where no worker has ever run, which makes them. */
export async function tellMissing(client: Client): Promise<void> {
  if (isTold) {
    return;
  }
  isTold = true;
  const { namespace } = client.options;
  const { address } = (client.connection as Connection).options;
  const known = await readSearchAttributes(client.connection, namespace);
  if (known.there.length === 0 && !(await hasRunHere(client))) {
    throw new CommandFailure(
      EXIT.unreachable,
      `No worker of Runward has ever run at ${address} in namespace "${namespace}": start \`runward up\` or \`runward worker\` first.`,
      undefined,
      'no-worker',
    );
  }
  const text = missingText(known, { address, namespace });
  if (text !== null) {
    say(`warning: ${text} Until then there is less to list.`);
  }
}

async function hasRunHere(client: Client): Promise<boolean> {
  const { done } = await client.workflow
    .list({ query: `TaskQueue = '${MAIN_QUEUE}'`, pageSize: 1 })
    [Symbol.asyncIterator]()
    .next();
  return done !== true;
}
