// Logs of jobs, and the signed addresses at which they may be read for a minute.

import { randomBytes } from 'node:crypto';
import type { Job } from './run.ts';

const ADDRESS_LIFETIME_MS = 60_000;
const BYTE_ORDER_MARK = '\uFEFF';

export class Logs {
  /** Where they are served, such as `http://127.0.0.1:1234`. */
  origin = '';
  readonly #now: () => number;
  readonly #signed = new Map<string, { readonly job: Job; readonly expiresAt: number }>();

  /** @param now GitHub's clock */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A new one each time. */
  addressOf(job: Job): string {
    const signature = randomBytes(16).toString('hex');
    const expiresAt = this.#now() + ADDRESS_LIFETIME_MS;
    this.#signed.set(signature, { job, expiresAt });
    const query = new URLSearchParams({ se: new Date(expiresAt).toISOString(), sig: signature });
    return `${this.origin}/logs/${job.id}.txt?${query.toString()}`;
  }

  /** `undefined` where nothing was signed so, or the minute is over. */
  find(address: URL): Job | undefined {
    const found = this.#signed.get(address.searchParams.get('sig') ?? '');
    return found && found.expiresAt > this.#now() && address.pathname === `/logs/${found.job.id}.txt` ? found.job : undefined;
  }
}

/** The log piece by piece; `null` where it is lost. */
export function piecesOf({ name, completedAt, output }: Job): Iterable<string> | null {
  const { log = `Complete job name: ${name}`, logIs = 'there' } = output;
  if (logIs !== 'there') return null;
  if (typeof log === 'function') return log();
  // GitHub counts in tenths of microseconds.
  const stamp = new Date(completedAt ?? 0).toISOString().replace('Z', '0000Z');
  return [
    `${BYTE_ORDER_MARK}${log
      .split('\n')
      .map((line) => `${stamp} ${line}\n`)
      .join('')}`,
  ];
}
