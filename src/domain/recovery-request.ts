import { plain } from './plain.ts';
import { readFields } from './request-fields.ts';

/**
 * What passes in a row have shown of a runner that looks healthy, or busy, at one look.
 * - `deaf-listener`: online and idle while a job waits for it: it is restarted, and nothing more
 * - `stuck-busy`: GitHub calls it busy, and no worker has run in its guest for longer than a lost job's lease lives
 */
export const SUSPICIONS = ['deaf-listener', 'stuck-busy', 'stray-listener'] as const;
export type Suspicion = (typeof SUSPICIONS)[number];

/** Input of `recoverRunner`, or of another operation on one runner, as a person types it: everything but the runner may be left out. */
export interface RecoveryRequest {
  /** Looked up in configuration by an activity, so it may still be anything. */
  readonly runner: unknown;
  readonly reason: string | null;
  readonly force: boolean;
  /** How long to wait for another operation on the same machine. */
  readonly waitMs: number;
  readonly suspicion: Suspicion | null;
  /** Whether a machine that does not run is started: a check says no unless it has seen it so, since a person may have stopped it meanwhile. */
  readonly mayStart: boolean;
  /** Whether it is only told what would be done. */
  readonly dryRun: boolean;
}

const EXAMPLE = '{"runner":"NAME"}';
/** `scope/name`: GitHub's owners have up to 39 characters, repositories 100, runners 64. */
const MAX_RUNNER_LENGTH = 220;
const KEYS = {
  recoverRunner: ['runner', 'reason', 'force', 'wait', 'suspicion', 'mayStart'],
  syncClock: ['runner', 'reason', 'force', 'wait'],
  drainRunner: ['runner', 'reason', 'wait'],
  resumeRunner: ['runner', 'reason', 'wait'],
  cleanActionsCache: ['runner', 'dryRun', 'reason', 'force', 'wait'],
  clearActionsCache: ['runner', 'dryRun', 'reason', 'force', 'wait'],
  healActionsCache: ['runner', 'dryRun', 'reason', 'force', 'wait'],
  fetchPackage: ['runner', 'reason', 'wait'],
  makeRoom: ['runner', 'dryRun', 'reason', 'wait'],
} as const;

/** Workflow types of operations on one runner. */
export type RunnerOperation = keyof typeof KEYS;

/** The request of an operation on one runner, or what is wrong with it and how it should look; what `type` does not know has its default. */
export function readRecoveryRequest(
  given: readonly unknown[],
  type: RunnerOperation = 'recoverRunner',
): RecoveryRequest | { readonly problem: string } {
  const read = readFields(type, given, { keys: KEYS[type], example: EXAMPLE });
  if ('problem' in read) {
    return read;
  }
  // Where no runner is named, the look-up answers with the choices.
  const { fields } = read;
  if (typeof fields['runner'] === 'string' && fields['runner'].length > MAX_RUNNER_LENGTH) {
    return { problem: `runner has ${fields['runner'].length} characters: a name has at most ${MAX_RUNNER_LENGTH}` };
  }
  const { reason = null, force = false, wait = 0, suspicion = null, mayStart = true, dryRun = false } = fields;
  if (reason !== null && typeof reason !== 'string') {
    return { problem: `reason must be text, but is ${JSON.stringify(reason)}` };
  }
  if (typeof force !== 'boolean') {
    return { problem: `force must be true or false, but is ${JSON.stringify(force)}` };
  }
  if (typeof mayStart !== 'boolean') {
    return { problem: `mayStart must be true or false, but is ${JSON.stringify(mayStart)}` };
  }
  if (typeof dryRun !== 'boolean') {
    return { problem: `dryRun must be true or false, but is ${JSON.stringify(dryRun)}` };
  }
  const waitMs = readDuration(wait);
  if (waitMs === null) {
    return { problem: `wait must be a duration such as "10m", or a number of seconds, but is ${JSON.stringify(wait)}` };
  }
  if (suspicion !== null && !isSuspicion(suspicion)) {
    return { problem: `suspicion must be one of ${SUSPICIONS.join(', ')}, but is ${JSON.stringify(suspicion)}` };
  }
  return { runner: fields['runner'], reason: reason && plain(reason), force, waitMs, suspicion, mayStart, dryRun };
}

function isSuspicion(value: unknown): value is Suspicion {
  return (SUSPICIONS as readonly unknown[]).includes(value);
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `500ms`, `90s`, `10m`, `1.5h`, `30d`, or a number of seconds, in milliseconds; `null` for anything else. */
export function readDuration(wait: unknown): number | null {
  if (typeof wait === 'number') {
    return Number.isFinite(wait) && wait >= 0 ? wait * 1_000 : null;
  }
  if (typeof wait !== 'string') {
    return null;
  }
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(wait.trim());
  return match === null ? null : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}
