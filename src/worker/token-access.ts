import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { isRepository } from '../github/endpoints.ts';
import { GitHubError, type GitHubPort, type Permission, type ScopeAccess, type TokenIdentity } from '../github/port.ts';
import { permissionName } from '../github/refusals.ts';
import type { Work } from './directory.ts';

/** What is known of GitHub's token. */
export type TokenNews =
  | { readonly kind: 'answered'; readonly token: TokenIdentity; readonly scopes: readonly ScopeAccess[] }
  /** `isFinal`: GitHub, or what gives the token, has refused, and says so again until somebody mends it. */
  | { readonly kind: 'unanswered'; readonly why: string; readonly status: number | null; readonly isFinal: boolean };

/** The first repeats come soon, since a network or GitHub may be back; what a person has to mend may take a while. */
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 5 * 60_000;
/** GitHub itself cuts a request off after 10 s. */
const FIRST_WITHIN_MS = 10_000;

export interface TokenAccess {
  /** Why work on a scope is only watched; `null` where the token may write there, or nobody knows yet. */
  readonly hindrance: (scope: string, work: Work) => string | null;
  /**
   * Asks until the token has all that is needed, with growing waits, and tells what has changed. Resolves with the first answer, or once
   * that takes too long: whoever begins to work then knows what is to be known.
   */
  readonly begin: (signal: AbortSignal) => Promise<void>;
}

export interface TokenAccessSettings {
  readonly github: Pick<GitHubPort, 'identifyToken' | 'probeAccess'>;
  readonly scopes: readonly string[];
  /** Hears of each answer that is not as the last one. */
  readonly onNews: (news: TokenNews) => void;
  /** Replaced by tests. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** Finds out what GitHub's token may do, so that what it may not is only watched, and said before the night of an outage. */
export function createTokenAccess({ github, scopes, onNews, wait = sleepUnlessAborted }: TokenAccessSettings): TokenAccess {
  let last: TokenNews | null = null;
  const known = new Map<string, ScopeAccess>();

  const ask = async (signal: AbortSignal): Promise<void> => {
    const news = await askGitHub(github, scopes, known, signal);
    if (!signal.aborted && !isDeepStrictEqual(news, last)) {
      last = news;
      onNews(news);
    }
  };
  return {
    hindrance: (scope, work) => hindranceOf(known.get(scope), scope, work),
    async begin(signal) {
      const first = ask(signal);
      void first.then(async () => {
        for (let waitMs = FIRST_WAIT_MS; !signal.aborted && !isEnough(last); waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
          await wait(waitMs, signal);
          if (!signal.aborted) {
            await ask(signal);
          }
        }
      });
      await Promise.race([first, sleep(FIRST_WITHIN_MS, undefined, { ref: false })]);
    },
  };
}

/** What was answered goes into `known`, also where other scopes could not be asked. */
async function askGitHub(
  github: TokenAccessSettings['github'],
  scopes: readonly string[],
  known: Map<string, ScopeAccess>,
  signal: AbortSignal,
): Promise<TokenNews> {
  try {
    const token = await github.identifyToken(signal);
    let refusal: GitHubError | null = null;
    for (const scope of scopes) {
      try {
        known.set(scope, await github.probeAccess(scope, token, signal));
      } catch (error) {
        // One scope that the token may not see says nothing about the others.
        if (!isFinal(error)) {
          throw error;
        }
        refusal ??= error;
      }
    }
    return refusal === null ? { kind: 'answered', token, scopes: scopes.flatMap((scope) => known.get(scope) ?? []) } : unanswered(refusal);
  } catch (error) {
    return unanswered(error);
  }
}

function unanswered(error: unknown): TokenNews {
  const why = error instanceof Error ? error.message : String(error);
  return { kind: 'unanswered', why, status: error instanceof GitHubError ? error.status : null, isFinal: isFinal(error) };
}

function isFinal(error: unknown): error is GitHubError {
  return error instanceof GitHubError && error.kind === 'rejected';
}

/** Permissions without which a kind of work can't be done. */
function writesOf(scope: string, work: Work): Permission {
  if (work === 'queue') {
    return 'actions=write';
  }
  return isRepository(scope) ? 'administration=write' : 'organization_self_hosted_runners=write';
}

function hindranceOf(access: ScopeAccess | undefined, scope: string, work: Work): string | null {
  const lack = access?.missing.find(({ permission }) => permission === writesOf(scope, work));
  return lack === undefined ? null : `GitHub's token lacks "${permissionName(lack.permission)}" for ${scope}: give it that permission`;
}

function isEnough(news: TokenNews | null): boolean {
  return news?.kind === 'answered' && news.scopes.every(({ missing }) => missing.length === 0);
}

function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<unknown> {
  return sleep(ms, undefined, { signal, ref: false }).catch(() => {});
}
