// What GitHub's refusals and silences mean: try again, wait until, or final; and what a person can do about it.

import { lineOf } from '../domain/plain.ts';
import { GitHubError } from './port.ts';

/** What was asked, for the message. */
export interface Asked {
  /** Method and path, such as `GET /repos/o/r/actions/runners`. */
  readonly what: string;
  /** Repository or organisation. */
  readonly scope: string;
  /** The permission that it needs in GitHub's notation `name=level`, said where GitHub does not name one. */
  readonly needs: string;
}

/** An answer with a status of 400 and above. */
export interface Refusal {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | number | undefined>>;
  readonly data: unknown;
}

/**
 * Least wait after a secondary limit that names no end; GitHub asks for longer ones from time to time.
 * https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
export const UNNAMED_LIMIT_MS = 60_000;

/**
 * No limit is waited for any longer, whatever clocks and headers say: the same page counts primary limits by the hour, and five
 * minutes are a reserve. Afterwards one request finds out.
 */
export const LONGEST_LIMIT_MS = 65 * 60_000;

/** GitHub's own names for its permissions, as its settings page shows them. */
const PERMISSION_NAMES: Readonly<Record<string, string>> = {
  administration: 'Administration',
  actions: 'Actions',
  checks: 'Checks',
  contents: 'Contents',
  organization_self_hosted_runners: 'Self-hosted runners (organisation)',
};

/** Words of a 403 that is about a run, and not about rights. https://github.com/cli/cli/issues/9221 */
const ABOUT_A_RUN = /already running|cannot be retried|unable to retry|can be re-run/i;

/** GitHub's clock by its `Date` header (whole seconds), or the own one. Epoch milliseconds. */
export function githubTimeOf(date: unknown, now: number): number {
  const time = typeof date === 'string' ? Date.parse(date) : NaN;
  return Number.isNaN(time) ? now : time;
}

/** No answer, or none that can be read. */
export function sortFailure({ what }: Pick<Asked, 'what'>, failure: unknown): GitHubError {
  return new GitHubError('unavailable', `GitHub could not be asked for ${what}: ${lineOf(reasonOf(failure), SAID_LENGTH)}`, {
    cause: failure,
  });
}

/**
 * @param now own clock, epoch milliseconds
 * @param unnamedWaitMs how long a limit lasts that names no end
 */
export function sortRefusal(asked: Asked, refusal: Refusal, now: number, unnamedWaitMs = UNNAMED_LIMIT_MS): GitHubError {
  const { status } = refusal;
  const said = wordsOf(refusal.data);
  const answer = { status, said, githubTime: githubTimeOf(refusal.headers['date'], now) };
  if (status >= 500 || status === 408) {
    return new GitHubError('unavailable', `GitHub failed at ${asked.what} (${status}${said === null ? '' : `: ${said}`})`, answer);
  }
  const waitMs = limitOf(refusal, said ?? '', now, unnamedWaitMs);
  if (waitMs !== null) {
    const retryAt = now + Math.min(waitMs, LONGEST_LIMIT_MS);
    const until = new Date(retryAt).toISOString();
    return new GitHubError('limited', `GitHub's rate limit refused ${asked.what} (${status}): nothing more before ${until}`, {
      ...answer,
      retryAt,
    });
  }
  return new GitHubError('rejected', `GitHub refused ${asked.what} (${status}): ${adviceOn(asked, refusal, said)}`, answer);
}

/** A request that was not sent, since a limit is known to last. */
export function stillLimited({ what }: Asked, retryAt: number): GitHubError {
  const until = new Date(retryAt).toISOString();
  return new GitHubError('limited', `GitHub's rate limit was reached before, so ${what} is not sent before ${until}`, { retryAt });
}

/** Until the hour of a primary limit ends, by the headers of an answer. */
export function msUntilReset(headers: Refusal['headers'], now: number): number {
  const reset = Number(headers['x-ratelimit-reset']) * 1000;
  const byGitHub = reset - githubTimeOf(headers['date'], now);
  // A `Date` after the reset is a wrong one, unless the own clock says the same.
  return byGitHub > 0 ? byGitHub : Math.max(0, reset - now);
}

/** How long the limit lasts, or `null` where the refusal is no rate limit. Milliseconds. */
function limitOf({ status, headers }: Refusal, said: string, now: number, unnamedWaitMs: number): number | null {
  if (status !== 403 && status !== 429) return null;
  const retryAfter = Number(headers['retry-after']);
  if (retryAfter > 0) return retryAfter * 1000;
  if (String(headers['x-ratelimit-remaining']) === '0' && Number(headers['x-ratelimit-reset']) > 0) return msUntilReset(headers, now);
  return status === 429 || /rate limit|abuse detection/i.test(said) ? unnamedWaitMs : null;
}

function adviceOn(asked: Asked, { status, headers }: Refusal, said: string | null): string {
  const quoted = said === null ? '' : ` (${said})`;
  if (status === 401) return `the token is wrong, expired or revoked${quoted}; give a valid one`;
  if (status === 404) {
    return said === null
      ? 'the answer is not in the form of GitHub; check the address of its REST API'
      : `${asked.scope} does not exist, or the token may not see it; check the name, and that the token has ${explained(asked.needs)}`;
  }
  if (status !== 403 || ABOUT_A_RUN.test(said ?? '')) return said ?? 'no reason given';
  const sso = /url=(\S+)/.exec(lineOf(String(headers['x-github-sso'] ?? ''), SAID_LENGTH))?.[1];
  if (sso !== undefined) return `the token is not authorised for the organisation's single sign-on; do so at ${sso}`;
  if (/^Resource not accessible by/i.test(said ?? '')) {
    const accepted = lineOf(String(headers['x-accepted-github-permissions'] ?? asked.needs), SAID_LENGTH);
    return `the token lacks permission ${accepted}; give it ${explained(accepted)} for ${asked.scope}`;
  }
  return `the token, or its owner, has not the right to do this on ${asked.scope}${quoted}; it needs ${explained(asked.needs)}`;
}

/** `a=read,b=write; c=write` in the words of GitHub's settings page. */
function explained(permissions: string): string {
  return permissions
    .split(';')
    .map((alternative) => alternative.split(',').map(explainedOne).join(' and '))
    .join(', or ');
}

function explainedOne(permission: string): string {
  return `"${permissionName(permission.trim())}"`;
}

/** `administration=write` as GitHub's settings page has it: `Administration: read and write`. */
export function permissionName(permission: string): string {
  const [name = '', level = ''] = permission.split('=');
  return `${PERMISSION_NAMES[name] ?? name}: ${level === 'write' ? 'read and write' : level}`;
}

/** Of what GitHub says, in characters. */
const SAID_LENGTH = 300;

/** GitHub's message, short and on one line; `null` where the answer has none. */
function wordsOf(data: unknown): string | null {
  if (typeof data !== 'object' || data === null || !('message' in data) || typeof data.message !== 'string') return null;
  return lineOf(data.message, SAID_LENGTH);
}

/** The deepest cause: `fetch` itself says only that it failed. */
export function reasonOf(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  if (failure.cause instanceof Error) return reasonOf(failure.cause);
  return failure.message || ('code' in failure ? String(failure.code) : failure.name);
}
