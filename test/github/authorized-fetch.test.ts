import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createAuthorizedFetch } from '../../src/github/authorized-fetch.ts';

const ORIGIN = 'https://api.github.test';
const BEARER = 'Bearer ghp_x';

interface Sent {
  readonly url: string;
  readonly method: string | undefined;
  readonly authorization: string | null;
  /** How the underlying `fetch` treats redirects: by itself it would turn a POST into a GET. */
  readonly redirect: string | undefined;
  readonly body: unknown;
}

describe('a redirect', () => {
  test.each([301, 302, 307, 308])('of status %i keeps method and body', async (status) => {
    const { response, sent } = await send(`${ORIGIN}/a`, { '/a': moved(status, '/b?x=1') });
    expect(await response.text()).toBe('arrived');
    expect(sent).toEqual([
      { url: `${ORIGIN}/a`, method: 'POST', authorization: BEARER, redirect: 'manual', body: '{}' },
      { url: `${ORIGIN}/b?x=1`, method: 'POST', authorization: BEARER, redirect: 'manual', body: '{}' },
    ]);
  });

  test.each(['https://logs.blob.test/b', 'http://api.github.test/b', 'https://api.github.test:8443/b', '//evil.test/b'])(
    'to %s goes without the token',
    async (location) => {
      const { sent } = await send(`${ORIGIN}/a`, { '/a': moved(302, location) });
      expect(sent.map(({ authorization }) => authorization)).toEqual([BEARER, null]);
    },
  );

  test('back home carries the token again', async () => {
    const { sent } = await send(`${ORIGIN}/a`, { '/a': moved(302, 'https://elsewhere.test/b'), '/b': moved(302, `${ORIGIN}/c`) });
    expect(sent.map(({ authorization }) => authorization)).toEqual([BEARER, null, BEARER]);
  });

  test('that is not to be followed is the answer, and where it leads is not asked', async () => {
    const { response, sent } = await send(`${ORIGIN}/a`, { '/a': moved(301, '/b'), '/b': moved(302, 'https://logs.blob.test/c') }, (url) =>
      url.startsWith(ORIGIN),
    );
    expect([response.status, response.headers.get('location')]).toEqual([302, 'https://logs.blob.test/c']);
    expect(sent.map(({ url }) => url)).toEqual([`${ORIGIN}/a`, `${ORIGIN}/b`]);
  });

  test('without end is given up', async () => {
    await expect(send(`${ORIGIN}/a`, { '/a': moved(301, '/a') })).rejects.toThrow('more than 5 redirects');
  });
});

test('an address of another host, such as of a next page, is asked without the token', async () => {
  const { sent } = await send('https://evil.test/a', {});
  expect(sent).toMatchObject([{ authorization: null }]);
});

test('no other file of the room reveals a secret', async () => {
  const room = new URL('../../src/github/', import.meta.url);
  const revealing: string[] = [];
  for (const file of await readdir(room)) {
    if ((await readFile(new URL(file, room), 'utf8')).includes('.reveal(')) revealing.push(file);
  }
  expect(revealing).toEqual(['authorized-fetch.ts']);
});

function moved(status: number, location: string): () => Response {
  return () => new Response('moved', { status, headers: { location } });
}

/** Posts to a web of redirects by path; any other path is where one arrives. */
async function send(
  url: string,
  redirects: Record<string, () => Response>,
  follows?: (url: string) => boolean,
): Promise<{ readonly response: Response; readonly sent: readonly Sent[] }> {
  const sent: Sent[] = [];
  const authorized = createAuthorizedFetch(
    async (input, init) => {
      const address = new URL(input instanceof Request ? input.url : input);
      const { method, redirect, body, headers } = init ?? {};
      sent.push({ url: address.href, method, authorization: new Headers(headers).get('authorization'), redirect, body });
      return redirects[address.pathname]?.() ?? new Response('arrived');
    },
    ORIGIN,
    new Secret('ghp_x'),
    follows,
  );
  return { response: await authorized(url, { method: 'POST', body: '{}' }), sent };
}
