import { Client } from '@temporalio/client';
import { connectClient, type TemporalAddress } from '../../worker/temporal-address.ts';
import { patiently } from '../patience.ts';
import type { TemporalSession } from '../temporal.ts';
import type { TemporalServer } from '../temporal-server.ts';
import { endLeftovers } from './leftovers.ts';
import { MACHINE } from './stage.ts';

/** With a client of the demo's server, on which nothing of an earlier demo is under way any more. */
export async function withSession<T>(
  server: TemporalServer,
  interrupted: AbortSignal,
  use: (session: TemporalSession) => Promise<T>,
): Promise<T> {
  const connection = await patiently(interrupted, () => connectClient({ address: server.address }));
  try {
    const client = new Client({ connection, namespace: server.namespace });
    await patiently(interrupted, () => endLeftovers(client, MACHINE));
    return await use({ client, connection, address: addressOf(server) });
  } finally {
    await connection.close();
  }
}

/** Of a server of this process's own, or of a demo that runs. */
export function addressOf(server: Pick<TemporalServer, 'address' | 'namespace' | 'uiUrl'>): TemporalAddress {
  return { connectionOptions: { address: server.address }, namespace: server.namespace, source: "the demo's server", uiUrl: server.uiUrl };
}
