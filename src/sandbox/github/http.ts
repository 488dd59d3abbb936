// From an HTTP request to GitHub's answer on the wire: credentials, bad days, ETag, and the headers that every answer carries.

import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { pageForPeople, refuse, refuseByLimit, refuseByStatus } from './answer.ts';
import type { Answer, Fault } from './answer.ts';
import type { Api, ApiToken } from './api-tokens.ts';
import type { BadDays, Misbehaviour } from './bad-days.ts';
import { answerGraphql, isGraphql } from './graphql.ts';
import { API_VERSIONS, answerRest } from './rest.ts';
import { answerService } from './service.ts';
import type { World } from './world.ts';

export interface Site {
  readonly world: World;
  readonly pollMs: number;
  readonly badDays: BadDays;
}

/** What comes so soon after a refusal was sent at the same time as the request that was refused. */
const ON_THEIR_WAY_MS = 100;

/** A request as far as all answers need it. */
interface Received {
  readonly method: string;
  /** Without the prefix of the API and without the query. */
  readonly path: string;
  readonly url: URL;
  /** `/api/v3` or nothing. */
  readonly prefix: string;
  readonly scheme: string | null;
  readonly credentials: string | null;
  readonly token: ApiToken | null;
  /** Which API is asked. */
  readonly api: Api;
  /** A limit lasts of which an earlier refusal has told the token. */
  readonly isTold: boolean;
  /** Parsed JSON; `undefined` where it is none. */
  readonly body: unknown;
  readonly headers: IncomingMessage['headers'];
  readonly gone: AbortSignal;
}

/** How a request was answered. */
export interface Answered {
  /** `null` where the client had gone before. A status may be sent and not arrive. */
  readonly status: number | null;
  readonly fault?: Fault['kind'];
  /** It was refused by a limit of which an earlier refusal had told the same token: it should not have been sent. */
  readonly isLimited: boolean;
}

/** Answers one request. */
export async function answerHttp(site: Site, request: IncomingMessage, response: ServerResponse): Promise<Answered> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    const received = await receive(site.world, request, gone.signal);
    const answer = await decide(site, received);
    if (gone.signal.aborted) return { status: null, isLimited: false };
    const status = send(site.world, received, answer, response);
    const isLimited = answer.limit !== undefined && received.isTold;
    return { status, isLimited, ...(answer.fault === undefined ? {} : { fault: answer.fault }) };
  } catch {
    if (gone.signal.aborted) return { status: null, isLimited: false };
    response.writeHead(500).end();
    return { status: 500, isLimited: false };
  }
}

async function receive(world: World, request: IncomingMessage, gone: AbortSignal): Promise<Received> {
  const { headers, method = 'GET' } = request;
  const url = new URL(request.url ?? '/', `http://${headers.host ?? '127.0.0.1'}`);
  const prefix = /^\/api\/v3(?=\/|$)/.exec(url.pathname)?.[0] ?? '';
  const [scheme = null, credentials = null] = headers.authorization?.split(' ', 2) ?? [];
  const token = credentials === null ? null : (world.tokens.find(credentials) ?? null);
  const path = url.pathname.slice(prefix.length) || '/';
  const api = isGraphql({ method, path }) ? 'graphql' : 'core';
  const limited = token === null ? null : world.tokens.limitOf(token, api);
  return {
    method,
    path,
    api,
    url,
    prefix,
    scheme: scheme?.toLowerCase() ?? null,
    credentials,
    token,
    isTold: limited !== null && limited.toldAt !== null && performance.now() - limited.toldAt > ON_THEIR_WAY_MS,
    body: parseJson(await readText(request)),
    headers,
    gone,
  };
}

async function decide(site: Site, received: Received): Promise<Answer> {
  const { headers } = received;
  if (headers['user-agent'] === undefined) {
    return {
      status: 403,
      text: 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.\n',
    };
  }
  // GraphQL has 2,000 points of its own, which nobody comes near.
  if (received.token !== null && received.api === 'core') site.world.tokens.meter(received.token, received.method);
  const badDay = site.badDays.meet({ method: received.method, path: received.path, userAgent: headers['user-agent'] });
  if (badDay?.delayMs !== undefined) await sleep(badDay.delayMs, undefined, { signal: received.gone });
  if (badDay?.status !== undefined) return misbehaved(badDay, badDay.status);
  if (badDay?.fault === undefined) return answerAsEver(site, received);
  return { ...(await spoil(badDay.fault, site, received)), fault: badDay.fault.kind };
}

async function spoil(fault: Fault, site: Site, received: Received): Promise<Answer> {
  const { world } = site;
  switch (fault.kind) {
    case 'page':
      return pageForPeople(fault.status);
    case 'cut':
    case 'lost':
      return answerAsEver(site, received);
    case 'primary-limit':
    case 'secondary-limit': {
      const isPrimary = fault.kind === 'primary-limit';
      const limit = {
        kind: isPrimary ? ('primary' as const) : ('secondary' as const),
        status: fault.status ?? 403,
        until: world.now() + (isPrimary ? fault.resetMs : fault.lastsMs),
        namesEnd: isPrimary || fault.namesEnd,
        toldAt: null,
      };
      if (received.token !== null) received.token.limited = limit;
      return refuseByLimit(limit, world.now());
    }
    case 'date': {
      const answer = await answerAsEver(site, received);
      return { ...answer, headers: { ...answer.headers, Date: new Date(world.now() + fault.offByMs).toUTCString() } };
    }
  }
}

async function answerAsEver({ world, pollMs }: Site, received: Received): Promise<Answer> {
  const { method, path, url, prefix, headers, credentials, token, api, body } = received;
  if (body === undefined) return refuse(400, 'Problems parsing JSON');

  const serviced = await answerService(world, received, pollMs);
  if (serviced) return serviced;
  const limit = token === null || path === '/rate_limit' ? null : world.tokens.limitOf(token, api);
  if (limit) return refuseByLimit(limit, world.now());
  if (api === 'graphql' && world.hasGraphql) return answerGraphql(world, body, token);
  const apiVersion = String(headers['x-github-api-version'] ?? API_VERSIONS[0]);
  const rest = {
    method,
    path,
    query: url.searchParams,
    credentials,
    apiVersion,
    base: `${url.origin}${prefix}`,
    body,
  };
  const answer = answerRest(world, rest, token);
  return { ...answer, headers: { 'X-GitHub-Api-Version-Selected': apiVersion, ...answer.headers } };
}

function misbehaved({ headers = {}, body }: Misbehaviour, status: number): Answer {
  return body === undefined ? { ...refuseByStatus(status), headers } : { status, headers, body };
}

function send(
  world: World,
  { method, path, headers, token, api, credentials }: Received,
  answer: Answer,
  response: ServerResponse,
): number {
  const content = contentOf(answer);
  const etag = method === 'GET' && answer.status === 200 ? etagOf(content.text, credentials) : undefined;
  const unchanged = etag !== undefined && headers['if-none-match'] === etag;
  if (token !== null && !unchanged && path !== '/rate_limit') world.tokens.count(token, api);
  const rate = world.tokens.rateOf(token, api);
  const status = unchanged ? 304 : answer.status;
  if (answer.fault === 'lost') {
    response.socket?.resetAndDestroy();
    return status;
  }
  response.writeHead(status, {
    Server: 'github.com',
    Date: new Date(world.now()).toUTCString(),
    'X-GitHub-Request-Id': randomBytes(10)
      .toString('hex')
      .toUpperCase()
      .replace(/(.{4})(?=.)/g, '$1:'),
    'X-GitHub-Media-Type': 'github.v3; format=json',
    'X-RateLimit-Limit': rate.limit,
    'X-RateLimit-Remaining': rate.remaining,
    'X-RateLimit-Used': rate.used,
    'X-RateLimit-Reset': rate.reset,
    'X-RateLimit-Resource': api,
    ...expiryHeader(token),
    ...(token?.kind === 'classic' ? { 'X-OAuth-Scopes': token.oauthScopes.join(', ') } : {}),
    ...(etag === undefined ? {} : { ETag: etag }),
    ...(content.type === null || unchanged ? {} : { 'Content-Type': content.type }),
    ...answer.headers,
  });
  const text = unchanged || status === 204 ? '' : content.text;
  if (answer.limit && answer.fault !== 'cut') answer.limit.toldAt ??= performance.now();
  if (answer.fault === 'cut') response.write(text.slice(0, text.length / 2), () => response.destroy());
  else response.end(text);
  return status;
}

function expiryHeader(token: ApiToken | null): Record<string, string> {
  if (token === null || token.kind === 'installation' || token.expiresAt === null) return {};
  const time = new Date(token.expiresAt).toISOString().slice(0, 19).replace('T', ' ');
  return { 'GitHub-Authentication-Token-Expiration': `${time} UTC` };
}

function contentOf({ body, html, text }: Answer): {
  readonly type: string | null;
  readonly text: string;
} {
  if (html !== undefined) return { type: 'text/html; charset=utf-8', text: html };
  if (text !== undefined) return { type: 'text/plain; charset=utf-8', text };
  if (body !== undefined) return { type: 'application/json; charset=utf-8', text: JSON.stringify(body) };
  return { type: null, text: '' };
}

/** GitHub's ETags are weak and differ from token to token. */
function etagOf(text: string, credentials: string | null): string {
  return `W/"${createHash('sha256').update(`${credentials}\n${text}`).digest('hex')}"`;
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}

/** No text is an empty object. */
function parseJson(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
