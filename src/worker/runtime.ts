import { DefaultLogger, Runtime, type LogEntry, type LogLevel } from '@temporalio/worker';

/** A runtime that is installed keeps the process alive until it is shut down, whether it was used or not. */
export async function withRuntime<T>(level: LogLevel, use: () => Promise<T>): Promise<T> {
  installRuntime(level);
  try {
    return await use();
  } finally {
    await Runtime.instance().shutdown();
  }
}

/**
 * Prepares the SDK's runtime once, before anything else of it. Signals stay with the caller: the SDK's own handler unhooks itself
 * after the first signal, and a library that listens as well would end the process.
 * Log lines are JSON on standard error.
 */
export function installRuntime(level: LogLevel): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger(level, printJson),
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
  });
}

/** A host's queues carry activities only, which the SDK takes for a mistake. */
const EXPECTED = 'No workflows registered, not polling for workflow tasks';

/** All of some twenty polls say it again and again while Temporal is away. */
const RETRIED = /^gRPC call \w+ retried \d+ times$/;
const RETRIED_EVERY_MS = 30_000;
let retriedToldAt = -Infinity;

function printJson({ level, message, timestampNanos, meta }: LogEntry): void {
  if (message === EXPECTED || (RETRIED.test(message) && performance.now() - retriedToldAt < RETRIED_EVERY_MS)) {
    return;
  }
  if (RETRIED.test(message)) {
    retriedToldAt = performance.now();
  }
  const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
  process.stderr.write(`${JSON.stringify({ time, level, message, ...meta }, plainErrors)}\n`);
}

function plainErrors(_key: string, value: unknown): unknown {
  if (value instanceof Error) {
    return { name: value.name, message: value.message, stack: value.stack };
  }
  return typeof value === 'bigint' ? value.toString() : value;
}
