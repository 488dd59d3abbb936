import { DefaultLogger, Runtime, type LogEntry, type LogLevel } from '@temporalio/worker';

/** `json` for whatever collects logs, `plain` for a person at a terminal. */
export type LogStyle = 'json' | 'plain';

/** A runtime that is installed keeps the process alive until it is shut down, whether it was used or not. */
export async function withRuntime<T>(level: LogLevel, style: LogStyle, use: () => Promise<T>): Promise<T> {
  installRuntime(level, style);
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
export function installRuntime(level: LogLevel, style: LogStyle = 'json'): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger(level, (entry) => print(entry, style)),
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

function print(entry: LogEntry, style: LogStyle): void {
  const { message } = entry;
  if (message === EXPECTED || MEMO_SIZE.test(message) || (RETRIED.test(message) && performance.now() - retriedToldAt < RETRIED_EVERY_MS)) {
    return;
  }
  if (RETRIED.test(message)) {
    retriedToldAt = performance.now();
  }
  process.stderr.write(`${style === 'json' ? jsonLine(entry) : plainLine(entry)}\n`);
}

function jsonLine({ level, message, timestampNanos, meta }: LogEntry): string {
  return JSON.stringify({ time: timeOf(timestampNanos), level, message, ...meta }, plainErrors);
}

/** What was said, and of what; the rest stands in Temporal's history. */
export function plainLine({ level, message, timestampNanos, meta = {} }: LogEntry): string {
  const { error, workflowId, activityType, attempt } = meta as Readonly<Record<string, unknown>>;
  const what = [activityType, workflowId, typeof attempt === 'number' && attempt > 1 ? `attempt ${attempt}` : null];
  const of = what.filter((part) => typeof part === 'string').join(', ');
  const why = error instanceof Error ? `: ${error.message}` : '';
  return `${timeOf(timestampNanos)} ${level.toLowerCase()}: ${message}${why}${of === '' ? '' : ` (${of})`}`;
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
