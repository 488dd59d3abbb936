import { heartbeat } from '@temporalio/activity';
import { GitHubError } from '../github/port.ts';
import type { Limited } from './contract.ts';
import { asLimit } from './failures.ts';

/** Well below every heartbeat time-out. */
export const HEARTBEAT_MS = 5_000;

/** Does the work, and tells Temporal meanwhile that it is at it; of work that ends before the first heartbeat is due, none is sent: each is an action. */
export async function beating<T>(what: string, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat(what), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

export type Attempted<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: GitHubError }
  | Limited;

/** A limit ends a batch; whatever else GitHub refuses concerns one run. */
export async function attempting<T>(call: () => Promise<T>): Promise<Attempted<T>> {
  try {
    return { kind: 'done', value: await call() };
  } catch (error) {
    if (!(error instanceof GitHubError)) {
      throw error;
    }
    return error.kind === 'limited' ? asLimit(error) : { kind: 'failed', error };
  }
}
