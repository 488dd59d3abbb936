import { DefaultLogger, Runtime, type LogEntry, type LogLevel } from '@temporalio/worker';

/** `json` for whatever collects logs, `plain` for a person at a terminal. */
export type LogStyle = 'json' | 'plain';

/** What becomes of a line; without it standard error has it. */
export type LogTo = (entry: LogEntry) => void;

/** A runtime that is installed keeps the process alive until it is shut down, whether it was used or not. */
export async function withRuntime<T>(level: LogLevel, to: LogTo, use: () => Promise<T>): Promise<T> {
  installRuntime(level, to);
  try {
    return await use();
  } finally {
    await Runtime.instance().shutdown();
  }
}

/**
 * Prepares the SDK's runtime once, before anything else of it. Signals stay with the caller: the SDK's own handler unhooks itself
 * after the first signal, and a library that listens as well would end the process.
 * Log lines go to standard error.
 */
export function installRuntime(level: LogLevel, to: LogTo = logTo('json')): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger(level, (entry) => (isNoise(entry) ? undefined : to(entry))),
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
  });
}

/** A host's queues carry activities only, which the SDK takes for a mistake. */
const EXPECTED = 'No workflows registered, not polling for workflow tasks';

/** All of some twenty polls say it again and again while Temporal is away. */
const RETRIED = /^gRPC call \w+ retried \d+ times$/;
const RETRIED_EVERY_MS = 30_000;
let retriedToldAt = -Infinity;

/** The ledger's memo outgrows what the SDK warns at; the server's own limit is 2 MB. */
const MEMO_SIZE = /Attempted to upload memo with size that exceeded the warning limit/;

function isNoise({ message }: LogEntry): boolean {
  if (message === EXPECTED || MEMO_SIZE.test(message) || (RETRIED.test(message) && performance.now() - retriedToldAt < RETRIED_EVERY_MS)) {
    return true;
  }
  if (RETRIED.test(message)) {
    retriedToldAt = performance.now();
  }
  return false;
}

/** To standard error. */
export function logTo(style: LogStyle): LogTo {
  return (entry) => void process.stderr.write(`${style === 'json' ? jsonLine(entry) : plainLine(entry)}\n`);
}

function jsonLine({ level, message, timestampNanos, meta }: LogEntry): string {
  return logLine(level, message, { ...meta }, timeOf(timestampNanos));
}

/** A line of `worker`'s log. */
export function logLine(
  level: LogLevel,
  message: string,
  details: Readonly<Record<string, unknown>>,
  time = new Date().toISOString(),
): string {
  return JSON.stringify({ time, level, message, ...details }, plainErrors);
}

/** What Runward itself warns of beside its workflows. */
export function logWarning(message: string): void {
  Runtime.instance().logger.warn(message, OWN);
}

const OWN = { component: 'runward' } as const;

/** Whether it is Runward's own word: what else the SDK warns of, Temporal tries again, and the history has it. */
export function isOwnWord({ meta }: LogEntry): boolean {
  return meta?.['sdkComponent'] === 'workflow' || meta?.['component'] === OWN.component;
}

/** What was said, and of what; the rest stands in Temporal's history. */
export function plainLine(entry: LogEntry): string {
  return `${timeOf(entry.timestampNanos)} ${timelessLine(entry)}`;
}

export function timelessLine({ level, message, meta = {} }: LogEntry): string {
  const { error, workflowId, activityType, attempt } = meta as Readonly<Record<string, unknown>>;
  const what = [activityType, workflowId, typeof attempt === 'number' && attempt > 1 ? `attempt ${attempt}` : null];
  const of = what.filter((part) => typeof part === 'string').join(', ');
  const why = error instanceof Error ? `: ${error.message}` : '';
  return `${level.toLowerCase()}: ${message}${why}${of === '' ? '' : ` (${of})`}`;
}

function timeOf(nanoseconds: bigint): string {
  return new Date(Number(nanoseconds / 1_000_000n)).toISOString();
}

function plainErrors(_key: string, value: unknown): unknown {
  if (value instanceof Error) {
    return { name: value.name, message: value.message, stack: value.stack };
  }
  return typeof value === 'bigint' ? value.toString() : value;
}
