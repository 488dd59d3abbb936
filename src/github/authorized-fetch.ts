// The one file of this room where a token is revealed: into the Authorization header, just before a request leaves, and into a hash.

import { createHash } from 'node:crypto';
import type { Secret } from '../domain/secret.ts';

type Fetch = typeof globalThis.fetch;

/** Statuses that send a request elsewhere; GitHub asks to repeat it there with the same method. */
const REDIRECTS: readonly number[] = [301, 302, 307, 308];
/** A renamed repository takes one, a transferred and renamed one two. */
const MAX_REDIRECTS = 5;
/** Visible ASCII. Anything else would make `fetch` quote the whole header in its error. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Whether the text can be a token at all. */
export function isUsableToken(token: Secret): boolean {
  return TOKEN.test(token.reveal());
}

/** Tells tokens apart, and nothing else about them. */
export function fingerprintOf(token: Secret): string {
  return createHash('sha256').update('runward token fingerprint').update(token.reveal()).digest('hex');
}

/**
 * A `fetch` that adds the token for `origin` and for no other host, and follows redirects with the method kept.
 * Octokit never sees the token, so none of its errors and logs can hold it.
 * @param follows whether an address is asked that a redirect leads to; otherwise the redirect is the answer
 */
export function createAuthorizedFetch(fetch: Fetch, origin: string, token: Secret, follows: (url: string) => boolean = always): Fetch {
  return async (input, init) => {
    let url = input instanceof Request ? input.url : String(input);
    for (let redirects = 0; ; redirects += 1) {
      const headers = new Headers(init?.headers);
      if (new URL(url).origin === origin) headers.set('authorization', `Bearer ${token.reveal()}`);
      const response = await fetch(url, { ...init, headers, redirect: 'manual' });
      const location = response.headers.get('location');
      if (!REDIRECTS.includes(response.status) || location === null) return response;
      const next = new URL(location, url).href;
      if (!follows(next)) return response;
      await response.body?.cancel();
      if (redirects === MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects`);
      url = next;
    }
  };
}

function always(): boolean {
  return true;
}
