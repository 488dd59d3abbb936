import { readDuration } from './recovery-request.ts';

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
  if (given.length > 1) {
    return { problem: `checkHealth takes one input, ${EXAMPLE}, but got ${given.length}` };
  }
  const input = given[0] ?? {};
  if (typeof input !== 'object' || Array.isArray(input)) {
    return { problem: `checkHealth takes an object such as ${EXAMPLE}, but got ${JSON.stringify(input)}` };
  }
  const fields = input as Readonly<Record<string, unknown>>;
  const strange = Object.keys(fields).filter((key) => !KEYS.includes(key));
  if (strange.length > 0) {
    return { problem: `checkHealth does not know ${strange.join(', ')}: allowed are ${KEYS.join(', ')}` };
  }
  const waitMs = readDuration(fields['wait'] ?? 0);
  if (waitMs === null) {
    return { problem: `wait must be a duration such as "10m", or a number of seconds, but is ${JSON.stringify(fields['wait'])}` };
  }
  return { scope: fields['scope'], waitMs };
}
