// The computer that owns the machines: its clock against GitHub's, its boot, its sleeps, and what still runs on it beside Runward.

import { uptime } from 'node:os';
import type { HostObservation } from '../domain/pass.ts';
import { known, type Reading, unknown } from '../domain/reading.ts';
import { CommandError, runCommand } from './command.ts';
import type { CallContext, HostPort } from './port.ts';
import { lineOf } from '../domain/plain.ts';

/** GitHub answers within a second; a clock that was not compared now is compared in the next pass. */
const GITHUB_MS = 5_000;
const CRONTAB_MS = 5_000;

/** The shell script that Runward replaces. */
const OLD_SCRIPT = /health_check\.sh/;
const CRON_LINE_LENGTH = 160;

export interface HostOptions {
  /** Of the programs that are run; `PATH` and `HOME` among it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Name or path of the program that shows this user's cron jobs. */
  readonly crontab?: string;
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
  readonly sleepWatch?: SleepWatch;
}

/** Also watches the computer's sleeps from now on, as long as the process lives. */
export function openHost(options: HostOptions): HostPort {
  const { environment, crontab = 'crontab', fetch = globalThis.fetch, now = Date.now } = options;
  const sleeps = options.sleepWatch ?? watchSleeps();
  return {
    async observe(serverUrl, call): Promise<HostObservation> {
      const observedAt = now();
      const wokeAt = sleeps.wokeAt();
      const bootedAt = Math.round(observedAt - uptime() * 1_000);
      const [githubOffsetMs, oldCronJob] = await Promise.all([
        readGitHubOffset(serverUrl, fetch, now, call.signal),
        readOldCronJob(crontab, environment, call),
      ]);
      call.signal.throwIfAborted();
      const utcOffsetMinutes = -new Date(observedAt).getTimezoneOffset();
      return { observedAt, githubOffsetMs, bootedAt, wokeAt, utcOffsetMinutes, oldCronJob };
    },
  };
}

// --- the clock ---------------------------------------------------------------------------------------------------------------------------

async function readGitHubOffset(
  serverUrl: string,
  fetch: typeof globalThis.fetch,
  now: () => number,
  signal: AbortSignal,
): Promise<Reading<number>> {
  const { origin, host } = new URL(serverUrl);
  const before = now();
  try {
    const response = await fetch(origin, {
      method: 'HEAD',
      redirect: 'manual',
      headers: { 'cache-control': 'no-cache' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(GITHUB_MS)]),
    });
    const after = now();
    const date = Date.parse(response.headers.get('date') ?? '');
    return Number.isNaN(date) ? unknown(`${host} answered without a date`) : known(offset(date, before, after));
  } catch (error) {
    return unknown(`${host} did not answer: ${lineOf(reasonOf(error), 200)}`);
  }
}

/** Host's clock minus GitHub's, whose date has whole seconds; only what lies outside of the request is certainly the clock's fault. */
function offset(date: number, before: number, after: number): number {
  const latest = date + 999;
  if (before > latest) {
    return before - latest;
  }
  return after < date ? after - date : 0;
}

/** `fetch` hides the reason in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message : message;
}

// --- cron --------------------------------------------------------------------------------------------------------------------------------

async function readOldCronJob(
  crontab: string,
  environment: Readonly<Record<string, string>>,
  call: CallContext,
): Promise<Reading<string | null>> {
  const command = { step: 'read the cron jobs', file: crontab, args: ['-l'], environment: { ...environment, LC_ALL: 'C' } };
  try {
    const { exitCode, stdout, stderr } = await runCommand({ ...command, deadlineMs: CRONTAB_MS }, call);
    if (exitCode === 0) {
      return known(oldCronJobIn(stdout));
    }
    return /no crontab for/i.test(stderr) ? known(null) : unknown(`crontab -l exited ${exitCode}: ${lineOf(stderr, 200)}`);
  } catch (error) {
    if (error instanceof CommandError && error.reason === 'tool-missing') {
      return known(null);
    }
    return unknown((error as Error).message);
  }
}

/** Without the values of its variables, of which one may be a token. */
function oldCronJobIn(jobs: string): string | null {
  const line = jobs.split('\n').find((job) => OLD_SCRIPT.test(job) && !job.trimStart().startsWith('#'));
  return line === undefined ? null : lineOf(line.replace(/\b(\w+)=(?:"[^"]*"|'[^']*'|\S+)/g, '$1=…'), CRON_LINE_LENGTH);
}

// --- sleep -------------------------------------------------------------------------------------------------------------------------------

/** Epoch milliseconds, and milliseconds that no change of the clock moves. */
export interface Clocks {
  readonly wall: () => number;
  readonly monotonic: () => number;
}

export interface SleepWatch {
  /** When the computer last woke from a sleep, by its own clock as it is now; `null` before the first one. */
  wokeAt(): number | null;
}

const WATCH_EVERY_MS = 5_000;
/** No busy computer keeps a timer waiting for so long. */
const SLEEP_MS = 60_000;

/** Compares the clocks every few seconds, without keeping the process alive. */
export function watchSleeps(clocks: Clocks = { wall: Date.now, monotonic: () => performance.now() }): SleepWatch {
  let last = { wall: clocks.wall(), monotonic: clocks.monotonic() };
  let wokeAt: number | null = null;
  const compare = (): typeof last => {
    const now = { wall: clocks.wall(), monotonic: clocks.monotonic() };
    const passed = now.monotonic - last.monotonic;
    // Where the monotonic clock stands still in a sleep the wall clock runs ahead of it; where it does not (macOS) the timer comes late.
    if (now.wall - last.wall - passed > SLEEP_MS || passed - WATCH_EVERY_MS > SLEEP_MS) {
      wokeAt = now.monotonic;
    }
    last = now;
    return now;
  };
  setInterval(compare, WATCH_EVERY_MS).unref();
  return {
    wokeAt: () => {
      const now = compare();
      return wokeAt === null ? null : now.wall - (now.monotonic - wokeAt);
    },
  };
}
