import { readDuration } from './recovery-request.ts';
import { readFields } from './request-fields.ts';

/** Input of `checkHealth`, as a person types it: everything may be left out. */
export interface CheckRequest {
  /** Looked up in configuration by an activity, so it may still be anything. */
  readonly scope: unknown;
  /** How long to wait for the cures that were started. */
  readonly waitMs: number;
  /** Names of the runners that are meant, in this scope; `null`: all. */
  readonly runners: readonly string[] | null;
  /** Whether it is only told what would be done. */
  readonly dryRun: boolean;
}

const EXAMPLE = '{"scope":"owner/name"}';
const KEYS = ['scope', 'runners', 'dryRun', 'wait'];

/** The request, or what is wrong with it and how it should look. */
export function readCheckRequest(given: readonly unknown[]): CheckRequest | { readonly problem: string } {
  const read = readFields('checkHealth', given, { keys: KEYS, example: EXAMPLE });
  if ('problem' in read) {
    return read;
  }
  const { scope, wait, runners = null, dryRun = false } = read.fields;
  const waitMs = readDuration(wait ?? 0);
  if (waitMs === null) {
    return { problem: `wait must be a duration such as "10m", or a number of seconds, but is ${JSON.stringify(wait)}` };
  }
  if (runners !== null && !isNames(runners)) {
    return { problem: `runners must be a list of names, but is ${JSON.stringify(runners)}` };
  }
  if (typeof dryRun !== 'boolean') {
    return { problem: `dryRun must be true or false, but is ${JSON.stringify(dryRun)}` };
  }
  return { scope, waitMs, runners, dryRun };
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string');
}
