import { readDuration } from './recovery-request.ts';
import { readFields } from './request-fields.ts';

/** Input of `checkHealth`, as a person types it: everything may be left out. */
export interface CheckRequest {
  /** Looked up in configuration by an activity, so it may still be anything. */
  readonly scope: unknown;
  /** How long to wait for the cures that were started. */
  readonly waitMs: number;
}

const EXAMPLE = '{"scope":"owner/name"}';
const KEYS = ['scope', 'wait'];

/** The request, or what is wrong with it and how it should look. */
export function readCheckRequest(given: readonly unknown[]): CheckRequest | { readonly problem: string } {
  const read = readFields('checkHealth', given, { keys: KEYS, example: EXAMPLE });
  if ('problem' in read) {
    return read;
  }
  const { scope, wait } = read.fields;
  const waitMs = readDuration(wait ?? 0);
  if (waitMs === null) {
    return { problem: `wait must be a duration such as "10m", or a number of seconds, but is ${JSON.stringify(wait)}` };
  }
  return { scope, waitMs };
}
