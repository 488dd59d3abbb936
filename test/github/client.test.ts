// One request, with answers that no well-behaved server gives.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { Secret } from '../../src/domain/secret.ts';
import { createClient, type Answer, type Client } from '../../src/github/client.ts';
import { GitHubError } from '../../src/github/port.ts';
import { startGitHub, type Misbehaviour } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const TOKEN = 'ghp_0123456789abcdefghijklmnopqrstuvwxyz';
const HOUR_MS = 3_600_000;
const NAMED = z.object({ name: z.string() });

describe('an answer', () => {
  test('is the checked part of the JSON, with the times and the other pages', async () => {
    const headers = {
      'content-type': 'application/json',
      date: 'Tue, 24 Nov 2026 12:00:00 GMT',
      'github-authentication-token-expiration': '2026-12-24 03:00:00 -0700',
      link: '<https://api.test/x?page=1>; rel="prev", <https://api.test/x?page=3>; rel="next", <https://api.test/x?page=5>; rel="last"',
    };
    expect(await ask(() => new Response('{"name":"r","other":1}', { headers }))).toEqual({
      value: { name: 'r' },
      githubTime: Date.parse('2026-11-24T12:00:00Z'),
      nextPage: 'https://api.test/x?page=3',
      previousPage: 'https://api.test/x?page=1',
      lastPage: 'https://api.test/x?page=5',
      tokenExpiresAt: Date.parse('2026-12-24T10:00:00Z'),
      oauthScopes: null,
      isUnchanged: false,
      status: 200,
      rate: null,
    });
  });

  test('to a classic token names its scopes, also where it has none', async () => {
    const scopesOf = async (scopes: string): Promise<unknown> =>
      (await ask(() => Response.json({ name: 'r' }, { headers: { 'x-oauth-scopes': scopes } }))).oauthScopes;
    expect(await scopesOf('repo, admin:org')).toEqual(['repo', 'admin:org']);
    expect(await scopesOf('')).toEqual([]);
  });

  test('without a Date is dated by the own clock', async () => {
    const { githubTime, nextPage } = await ask(() => Response.json({ name: 'r' }));
    expect(Math.abs(githubTime - Date.now())).toBeLessThan(5000);
    expect(nextPage).toBeNull();
  });

  test('that unpacks to more than any list is left, and named', async () => {
    const packed = gzipSync(Buffer.concat([Buffer.from('{"name":"'), Buffer.alloc(64_000_000, 'x'), Buffer.from('"}')]));
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const server = createServer((_request, response) => response.writeHead(200, headers).end(packed));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const address = `http://127.0.0.1:${port}`;
      const client = createClient({ baseUrl: address, token: () => new Secret(TOKEN) });
      expect(await failureOf(client.request({ ...CALL, signal: new AbortController().signal }))).toMatchObject({
        kind: 'unavailable',
        status: null,
        message: `GitHub could not be asked for GET /x: the answer of ${address}/x is larger than 32 MB`,
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  const unreadable: readonly (readonly [string, () => Response])[] = [
    ['a page for people', () => new Response('<html>Sign in</html>', { headers: { 'content-type': 'text/html' } })],
    ['cut JSON', () => new Response('{"name":"r', { headers: { 'content-type': 'application/json' } })],
    ['JSON of another shape', () => Response.json({ title: 'r' })],
    ['an empty body', () => new Response('')],
    ['bytes', () => new Response(new Uint8Array([1, 2]), { headers: { 'content-type': 'application/octet-stream' } })],
    ['an impossible content type', () => new Response('{}', { headers: { 'content-type': ';;;' } })],
    ['a redirect to nowhere', () => new Response(null, { status: 302 })],
  ];
  test.each(unreadable)('that is %s is tried again', async (_, respond) => {
    const failure = await failureOf(ask(respond));
    expect(failure.kind).toBe('unavailable');
    expect(failure.message).toMatch(/^GitHub could not be asked for GET \/x: /);
  });

  test('that is not of GitHub makes one check the address', async () => {
    expect((await failureOf(ask(() => Response.json('hello')))).message).toBe(
      'GitHub could not be asked for GET /x: the answer is not the JSON that GitHub sends; is https://api.test the address of its REST API?',
    );
  });
});

describe('no answer', () => {
  test('within the time is told with the time', async () => {
    const github = await startGitHub();
    github.misbehave({ delayMs: 10_000 });
    const client = createClient({ baseUrl: github.url, token: () => new Secret(TOKEN), timeoutMs: 100 });
    const failure = await failureOf(client.request({ ...CALL, signal: new AbortController().signal }));
    await github.close();
    expect(failure).toMatchObject({
      kind: 'unavailable',
      status: null,
      message: 'GitHub could not be asked for GET /x: no answer within 0.1 s',
    });
  });

  test('to the end within the time is told with the time', async () => {
    const stalled = await serveUnended('{"name":');
    const client = createClient({ baseUrl: stalled.url, token: () => new Secret(TOKEN), timeoutMs: 100 });
    const failure = await failureOf(client.request({ ...CALL, signal: new AbortController().signal }));
    await stalled.close();
    expect(failure).toMatchObject({ kind: 'unavailable', message: 'GitHub could not be asked for GET /x: no answer within 0.1 s' });
  });

  test('at a closed port is told with host and port', async () => {
    const github = await startGitHub();
    await github.close();
    const client = createClient({ baseUrl: github.url, token: () => new Secret(TOKEN) });
    const failure = await failureOf(client.request({ ...CALL, signal: new AbortController().signal }));
    expect(failure).toMatchObject({
      kind: 'unavailable',
      message: `GitHub could not be asked for GET /x: connect ECONNREFUSED 127.0.0.1:${github.port}`,
    });
  });

  test('is waited for no longer than the caller wants', async () => {
    const leaving = new AbortController();
    const reason = new Error('the activity was cancelled');
    let requests = 0;
    const silent = createServer(() => {
      requests += 1;
      leaving.abort(reason);
    });
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
    const { port } = silent.address() as AddressInfo;
    const client = createClient({ baseUrl: `http://127.0.0.1:${port}`, token: () => new Secret(TOKEN) });
    await expect(client.request({ ...CALL, signal: leaving.signal })).rejects.toBe(reason);
    await expect(client.request({ ...CALL, signal: leaving.signal })).rejects.toBe(reason);
    expect(requests).toBe(1);
    silent.closeAllConnections();
    silent.close();
  });
});

describe('a bad day of GitHub', () => {
  const days: readonly (readonly [Misbehaviour['fault'], string])[] = [
    [{ kind: 'page', status: 200 }, 'could not be asked for POST %: the answer is not the JSON that GitHub sends; is URL the address'],
    [{ kind: 'page', status: 502 }, 'failed at POST % (502)'],
    [{ kind: 'page', status: 503 }, 'failed at POST % (503)'],
    [{ kind: 'cut' }, 'could not be asked for POST %: the connection broke off in the middle of the answer (other side closed)'],
    [{ kind: 'lost' }, 'could not be asked for POST %: read ECONNRESET'],
  ];

  test.each(days)('(%o) is told, to be tried again by whoever asked, and not here', async (fault, message) => {
    const github = await startGitHub({ repositories: ['o/r'] });
    github.misbehave({ ...(fault && { fault }) });
    const client = createClient({ baseUrl: github.url, token: () => new Secret(github.token) });
    const route = 'POST /repos/o/r/actions/runners/registration-token';
    const failure = await failureOf(client.request({ ...CALL, route, signal: new AbortController().signal }));
    await github.close();
    expect(failure.kind).toBe('unavailable');
    expect(failure.message).toContain(message.replace('POST %', route).replace('URL', github.url));
    expect(github.requests).toHaveLength(1);
  });
});

describe('the requests of the hour', () => {
  const told = (remaining: number, resource = 'core'): Record<string, string> => ({
    'content-type': 'application/json',
    date: new Date(Date.now() - HOUR_MS).toUTCString(),
    'x-ratelimit-limit': '5000',
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) - 1_800),
    'x-ratelimit-resource': resource,
  });

  test('are told with each answer, also with one that is unchanged, by the own clock', async () => {
    const { client } = answeredBy(
      new Response('{"name":"r"}', { headers: { ...told(4_000), etag: 'W/"1"' } }),
      new Response(null, { status: 304, headers: told(3_999) }),
    );
    const rates = [await send(client), await send(client)].map(({ rate }) => rate);
    expect(rates).toMatchObject([
      { limit: 5_000, remaining: 4_000 },
      { limit: 5_000, remaining: 3_999 },
    ]);
    for (const rate of rates) expect(Math.abs((rate?.resetsAt ?? 0) - Date.now() - HOUR_MS / 2)).toBeLessThan(5_000);
  });

  const last: readonly (readonly [string, Response])[] = [
    ['an answer', new Response('{"name":"r"}', { headers: told(1_000) })],
    ['an answer of another shape', new Response('{"title":"r"}', { headers: told(1_000) })],
    ['a refusal', new Response('{"message":"Not Found"}', { status: 404, headers: told(1_000) })],
    ['a failure', new Response('{"message":"Server Error"}', { status: 500, headers: told(1_000) })],
  ];
  test.each(last)('are kept where %s told that a fifth is left, and others are sent on', async (_, response) => {
    const { client, sent } = answeredBy(response, new Response('{"name":"r"}', { headers: told(999) }));
    await send(client).catch(() => {});
    const failure = await failureOf(send(client, { isFrugal: true }));
    expect(failure).toMatchObject({
      kind: 'limited',
      status: null,
      message: `1000 of 5000 requests of the hour are left, which are kept for health checks, so GET /x is not sent before ${new Date(failure.retryAt ?? 0).toISOString()}`,
    });
    expect((await send(client)).value).toEqual({ name: 'r' });
    expect((await failureOf(send(client, { isFrugal: true }))).message).toMatch(/^999 of 5000/);
    expect(sent()).toBe(2);
  });

  test('of another kind are none of the hour', async () => {
    const { client } = answeredBy(
      new Response('{"name":"r"}', { headers: told(10, 'actions_runner_registration') }),
      new Response('{"name":"r"}', { headers: told(4_000) }),
    );
    expect((await send(client)).rate).toBeNull();
    expect((await send(client, { isFrugal: true })).rate?.remaining).toBe(4_000);
  });

  test('of another token are others', async () => {
    const { client } = answeredBy(
      new Response('{"name":"r"}', { headers: told(10) }),
      new Response('{"name":"r"}', { headers: told(4_000) }),
    );
    await send(client);
    await failureOf(send(client, { isFrugal: true }));
    token = 'ghp_another';
    expect((await send(client, { isFrugal: true })).rate?.remaining).toBe(4_000);
  });

  let token = TOKEN;

  function send(client: Client, options: { readonly isFrugal?: boolean } = {}): Promise<Answer<{ name: string }>> {
    return client.request({ ...CALL, ...options, signal: new AbortController().signal });
  }

  function answeredBy(...answers: readonly Response[]): { readonly client: Client; readonly sent: () => number } {
    const left = [...answers];
    token = TOKEN;
    const client = createClient({
      baseUrl: 'https://api.test',
      token: () => new Secret(token),
      fetch: async () => left.shift() ?? new Response(null, { status: 500 }),
    });
    return { client, sent: () => answers.length - left.length };
  }
});

describe('a referral', () => {
  const Referral = z.object({ location: z.string() });
  const to = (location: string, status = 302, headers = {}): Response => new Response(null, { status, headers: { location, ...headers } });

  const referrals: readonly (readonly [string, string, string, readonly Response[]])[] = [
    ['to another host', 'https://api.test', 'https://logs.test/1?sig=x', [to('https://logs.test/1?sig=x')]],
    ['of a renamed repository', 'https://api.test', 'https://logs.test/1', [to('https://api.test/y', 301), to('https://logs.test/1')]],
    ['to the same host, beside its API', 'https://ghe.test/api/v3/', 'https://ghe.test/_services/1', [to('https://ghe.test/_services/1')]],
    ['by path, beside its API', 'https://ghe.test/api/v3', 'https://ghe.test/api/v3000', [to('/api/v3/y'), to('/api/v3000')]],
    ['to the host in other letters', 'https://API.test:443', 'http://api.test/1', [to('https://api.test/y'), to('http://api.test/1')]],
  ];
  test.each(referrals)('%s is told, and not followed', async (_, baseUrl, location, answers) => {
    const { sent, request } = answering(baseUrl, answers);
    expect((await request()).value).toEqual({ location });
    expect(sent).toHaveLength(answers.length);
    expect(sent.every(({ authorization }) => authorization === `Bearer ${TOKEN}`)).toBe(true);
  });

  test('is asked for anew each time', async () => {
    const { sent, request } = answering('https://api.test', [
      to('https://logs.test/1', 302, { etag: 'W/"1"' }),
      to('https://logs.test/2', 302, { etag: 'W/"1"' }),
    ]);
    expect([await request(), await request()].map(({ value }) => value.location)).toEqual(['https://logs.test/1', 'https://logs.test/2']);
    expect(sent.map(({ condition }) => condition)).toEqual([null, null]);
  });

  test.each([
    ['an answer instead of it', Response.json({ name: 'r' })],
    ['a redirect to nowhere', new Response(null, { status: 302 })],
    ['an address that is none', to('https://:')],
  ])('%s is tried again', async (_, response) => {
    expect(await failureOf(answering('https://api.test', [response]).request())).toMatchObject({ kind: 'unavailable', status: null });
  });

  interface Sent {
    readonly authorization: string | null;
    readonly condition: string | null;
  }

  function answering(
    baseUrl: string,
    answers: readonly Response[],
  ): { readonly sent: readonly Sent[]; readonly request: () => Promise<Answer<{ location: string }>> } {
    const sent: Sent[] = [];
    const client = createClient({
      baseUrl,
      token: () => new Secret(TOKEN),
      async fetch(_, init) {
        const headers = new Headers(init?.headers);
        sent.push({ authorization: headers.get('authorization'), condition: headers.get('if-none-match') });
        return answers[sent.length - 1] ?? new Response(null, { status: 500 });
      },
    });
    const request = (): Promise<Answer<{ location: string }>> =>
      client.request({ ...CALL, answer: Referral, isReferral: true, signal: new AbortController().signal });
    return { sent, request };
  }
});

test('a login that fails at GitHub has no status of what was asked for', async () => {
  const login = new GitHubError('rejected', 'no such installation', { status: 404 });
  const client = createClient({ baseUrl: 'https://api.test', token: () => Promise.reject(login) });
  const failure = await failureOf(client.request({ ...CALL, signal: new AbortController().signal }));
  expect(failure).toMatchObject({ kind: 'rejected', status: null, message: 'no such installation', cause: login });
});

test('a login that meets a limit says when it ends', async () => {
  const login = new GitHubError('limited', 'wait', { status: 403, retryAt: 17 });
  const client = createClient({ baseUrl: 'https://api.test', token: () => Promise.reject(login) });
  expect(await failureOf(client.request({ ...CALL, signal: new AbortController().signal }))).toMatchObject({
    kind: 'limited',
    retryAt: 17,
  });
});

test('a token source that fails is told as it is, and nothing is sent', async () => {
  const sent = vi.fn<typeof globalThis.fetch>();
  const problem = new Error('no token today');
  const client = createClient({ baseUrl: 'https://api.test', token: () => Promise.reject(problem), fetch: sent });
  await expect(client.request({ ...CALL, signal: new AbortController().signal })).rejects.toBe(problem);
  expect(sent).not.toHaveBeenCalled();
});

describe('the token', () => {
  const refusing: readonly (readonly [string, string, () => Response | Promise<Response>])[] = [
    ['refused', TOKEN, () => Response.json({ message: 'Bad credentials' }, { status: 401 })],
    ['forbidden', TOKEN, () => Response.json({ message: 'Resource not accessible by integration' }, { status: 403 })],
    ['limited', TOKEN, () => Response.json({ message: 'secondary rate limit' }, { status: 429 })],
    ['failing', TOKEN, () => new Response('<html>', { status: 502 })],
    ['unreachable', TOKEN, () => Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }))],
    ['unreadable', TOKEN, () => new Response('{')],
    ['of two lines', `${TOKEN}\nsecond`, () => Response.json({ name: 'r' })],
    ['with a letter that no header holds', `${TOKEN}ł`, () => Response.json({ name: 'r' })],
    ['in a redirect without end', TOKEN, () => new Response(null, { status: 301, headers: { location: 'https://api.test/x' } })],
  ];
  test.each(refusing)('%s is in no error', async (_, token, respond) => {
    const failure = await failureOf(ask(respond, token));
    const seen = [inspect(failure, { depth: 20, showHidden: true }), JSON.stringify(failure), failure.stack, String(failure)].join('\n');
    expect(seen).toContain('GET /x');
    expect(seen).not.toContain(TOKEN);
  });

  test('in an answer that cannot be read is in no error', async () => {
    const failure = await failureOf(
      ask(() => new Response(`{"token":"${TOKEN}`, { status: 201, headers: { 'content-type': 'application/json' } }), 'ghp_x'),
    );
    expect(inspect(failure, { depth: 20, showHidden: true })).not.toContain(TOKEN);
  });

  test.each(['', 'two words'])('%o is not sent', async (token) => {
    const sent = vi.fn<typeof globalThis.fetch>();
    const client = createClient({ baseUrl: 'https://api.test', token: () => new Secret(token), fetch: sent });
    expect(await failureOf(client.request({ ...CALL, signal: new AbortController().signal }))).toMatchObject({
      kind: 'rejected',
      message: 'GET /x was not sent: the GitHub token is empty or holds blanks or line breaks; give a clean one',
    });
    expect(sent).not.toHaveBeenCalled();
  });
});

test('nothing is printed about a refusal', async () => {
  const script = `
    import { createClient } from '${new URL('../../src/github/client.ts', import.meta.url).href}';
    import { Secret } from '${new URL('../../src/domain/secret.ts', import.meta.url).href}';
    const fetch = async () => Response.json({ message: 'no' }, { status: 403, headers: { deprecation: 'true', sunset: 'soon' } });
    const client = createClient({ baseUrl: 'https://api.test', token: () => new Secret('${TOKEN}'), fetch });
    await client.request({ route: 'GET /x', needs: '', scope: '', signal: new AbortController().signal }).catch(() => process.exit(7));
  `;
  const { all, exitCode } = await execa(process.execPath, ['--input-type=module', '-e', script], { all: true, reject: false });
  expect({ all, exitCode }).toEqual({ all: '', exitCode: 7 });
});

test('every request names its sender, the version of the API and the form of the answer', async () => {
  const seen: Headers[] = [];
  const client = createClient({
    baseUrl: 'https://api.test',
    userAgent: 'runward/1.2.3',
    token: () => new Secret(TOKEN),
    async fetch(_, init) {
      seen.push(new Headers(init?.headers));
      return Response.json({ name: 'r' });
    },
  });
  await client.request({ ...CALL, signal: new AbortController().signal });
  expect(seen[0]?.get('user-agent')).toMatch(/^runward\/1\.2\.3 octokit/);
  expect(seen[0]?.get('x-github-api-version')).toBe('2022-11-28');
  expect(seen[0]?.get('accept')).toMatch(/^application\/vnd\.github\./);
  expect(seen[0]?.get('authorization')).toBe(`Bearer ${TOKEN}`);
});

const CALL = { route: 'GET /x', answer: NAMED, needs: 'administration=read', scope: 'o/r' } as const;

function ask(respond: () => Response | Promise<Response>, token = TOKEN): Promise<Answer<{ name: string }>> {
  const client = createClient({ baseUrl: 'https://api.test', token: () => new Secret(token), fetch: async () => respond() });
  return client.request({ ...CALL, signal: new AbortController().signal });
}

/** A server that begins an answer of JSON and never ends it. */
async function serveUnended(text: string): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(text);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
