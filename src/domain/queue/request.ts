import { plain } from '../plain.ts';
import { readFields } from '../request-fields.ts';
import { RULES, type RuleName } from './policy.ts';

/** Input of `maintainQueue`, as a person types it: everything may be left out. */
export interface QueueRequest {
  /** Looked up in configuration by an activity, so it may still be anything. */
  readonly scope: unknown;
  /** Rules that are meant, whatever configuration says of them; `null` for those of the configuration. */
  readonly rules: readonly RuleName[] | null;
  /** Acts, at most; `null` for the limit of scheduled passes. */
  readonly max: number | null;
  readonly dryRun: boolean;
  /** Whether parked runs are re-run although pull requests press. */
  readonly release: boolean;
  readonly reason: string | null;
}

const EXAMPLE = '{"scope":"owner/name"}';
const KEYS = ['scope', 'rules', 'max', 'dryRun', 'release', 'reason'];
/** The rule that has no decision yet. */
const CHOOSABLE = RULES.filter((rule) => rule !== 'paths');

/** The request, or what is wrong with it and how it should look. */
export function readQueueRequest(given: readonly unknown[]): QueueRequest | { readonly problem: string } {
  const read = readFields('maintainQueue', given, { keys: KEYS, example: EXAMPLE });
  if ('problem' in read) {
    return read;
  }
  const { scope, rules = null, max = null, dryRun = false, release = false, reason = null } = read.fields;
  if (rules !== null && !isRules(rules)) {
    return { problem: `rules must be a list of ${CHOOSABLE.join(', ')}, but is ${JSON.stringify(rules)}` };
  }
  if (max !== null && !(Number.isInteger(max) && Number(max) >= 0)) {
    return { problem: `max must be a whole number from 0, but is ${JSON.stringify(max)}` };
  }
  if (typeof dryRun !== 'boolean') {
    return { problem: `dryRun must be true or false, but is ${JSON.stringify(dryRun)}` };
  }
  if (typeof release !== 'boolean') {
    return { problem: `release must be true or false, but is ${JSON.stringify(release)}` };
  }
  if (reason !== null && typeof reason !== 'string') {
    return { problem: `reason must be text, but is ${JSON.stringify(reason)}` };
  }
  return { scope, rules, max: max === null ? null : Number(max), dryRun, release, reason: reason && plain(reason) };
}

function isRules(value: unknown): value is readonly RuleName[] {
  return Array.isArray(value) && value.every((name) => (CHOOSABLE as readonly unknown[]).includes(name));
}
