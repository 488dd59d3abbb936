// What is left of the hour's requests, and the part of it that is kept for health checks.

import { GitHubError } from './port.ts';
import { LONGEST_LIMIT_MS, msUntilReset } from './refusals.ts';
import type { Asked, Refusal } from './refusals.ts';

/** The hour's requests of a credential, as GitHub counts them. */
export interface Rate {
  readonly limit: number;
  readonly remaining: number;
  /** Epoch milliseconds by the own clock. */
  readonly resetsAt: number;
}

/**
 * The part of the hour's requests that queue care leaves alone. Of 5,000, the least that GitHub gives a credential, it is 1,000: twelve
 * health checks an hour of some fifty lists each, were not one of them unchanged, and the recoveries between them.
 * https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
const KEPT_FOR_HEALTH_CHECKS = 0.2;

/** `account` names whose requests are counted. */
export interface Budget {
  note(account: string, rate: Rate | null): void;
  /** What is left, where that is no more than what is kept and the reset lies ahead; `null` otherwise. */
  keptFor(account: string): Rate | null;
}

/** Knows what the last answers told, and nothing of other processes. @param now epoch milliseconds */
export function createBudget(now: () => number = Date.now): Budget {
  const rates = new Map<string, Rate>();
  return {
    note(account, rate) {
      if (rate !== null) rates.set(account, rate);
    },
    keptFor(account) {
      const rate = rates.get(account);
      return rate === undefined || !isScarce(rate) || rate.resetsAt <= now() ? null : rate;
    },
  };
}

/** Whether no more is left than what is kept for health checks. */
export function isScarce({ remaining, limit }: Rate): boolean {
  return remaining <= limit * KEPT_FOR_HEALTH_CHECKS;
}

/** `null` where GitHub says nothing, or counts the request elsewhere, as it may those for registration tokens. @param now epoch milliseconds */
export function rateOf(headers: Refusal['headers'], now: number): Rate | null {
  const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) => Number(headers[`x-ratelimit-${name}`] ?? NaN)) as [
    number,
    number,
    number,
  ];
  if ([limit, remaining, reset].some(Number.isNaN) || (headers['x-ratelimit-resource'] ?? 'core') !== 'core') return null;
  return { limit, remaining, resetsAt: now + Math.min(msUntilReset(headers, now), LONGEST_LIMIT_MS) };
}

/** A request that was not sent, so that the last requests of the hour are left for health checks. */
export function keptForHealthChecks({ what }: Asked, { remaining, limit, resetsAt }: Rate): GitHubError {
  const until = new Date(resetsAt).toISOString();
  return new GitHubError(
    'limited',
    `${remaining} of ${limit} requests of the hour are left, which are kept for health checks, so ${what} is not sent before ${until}`,
    { retryAt: resetsAt },
  );
}
