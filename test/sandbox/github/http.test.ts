import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

const RUNNERS = '/repos/octo/app/actions/runners';
let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app'] });
});
afterAll(() => github.close());

describe('headers', () => {
  test('of the rate limit come with success, error and 304, and only a 304 is free', async () => {
    const token = github.addToken({ limit: 10 });
    const first = await ask(github, `GET ${RUNNERS}`, { token });
    const failed = await ask(github, `GET ${RUNNERS}/1`, { token });
    const unchanged = await ask(github, `GET ${RUNNERS}`, { token, headers: { 'if-none-match': first.headers.get('etag') ?? '' } });
    expect([first.status, failed.status, unchanged.status]).toEqual([200, 404, 304]);
    expect(unchanged.text).toBe('');
    const remaining = [first, failed, unchanged].map(({ headers }) => headers.get('x-ratelimit-remaining'));
    expect(remaining).toEqual(['9', '8', '8']);
    const reset = Number(first.headers.get('x-ratelimit-reset')) * 1000;
    expect(reset).toBeGreaterThan(Date.now() + 3_500_000);
    expect(reset).toBeLessThanOrEqual(Date.now() + 3_601_000);
  });

  test('name a request id that is not used twice', async () => {
    const ids = [await ask(github, 'GET /'), await ask(github, 'GET /')].map(({ headers }) => headers.get('x-github-request-id'));
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toMatch(/^[0-9A-F]{4}(:[0-9A-F]{4}){4}$/);
  });

  test('tell when the token expires, if it does', async () => {
    const expiry = async (token: string): Promise<string | null> =>
      (await ask(github, 'GET /', { token })).headers.get('github-authentication-token-expiration');
    expect(await expiry(github.token)).toBeNull();
    const told = await expiry(github.addToken({ lifetimeMs: 86_400_000 }));
    expect(told).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    expect(Math.abs(Date.parse(told ?? '') - Date.now() - 86_400_000)).toBeLessThan(5000);
  });

  test('tell its own clock, which may be off', async () => {
    github.clockOffsetMs = -7_200_000;
    const date = Date.parse((await ask(github, 'GET /')).headers.get('date') ?? '');
    github.clockOffsetMs = 0;
    expect(date - Date.now()).toBeGreaterThan(-7_205_000);
    expect(date - Date.now()).toBeLessThan(-7_195_000);
  });
});

test('an ETag is weak, of one token, and changes with the answer', async () => {
  const etag = async (token: string): Promise<string | null> => (await ask(github, `GET ${RUNNERS}`, { token })).headers.get('etag');
  const [one, other] = [github.addToken(), github.addToken()];
  const before = await etag(one);
  expect(before).toMatch(/^W\/"[0-9a-f]+"$/);
  expect(await etag(one)).toBe(before);
  expect(await etag(other)).not.toBe(before);
  github.addRunner('octo/app', { name: 'newcomer' });
  expect(await etag(one)).not.toBe(before);
});

describe('refused', () => {
  test('is a request without User-Agent, in plain text', async () => {
    const { status, type } = await new Promise<{ status: number | undefined; type: string | undefined }>((resolve, reject) => {
      httpRequest(`${github.url}/rate_limit`, (response) => {
        response.resume();
        resolve({ status: response.statusCode, type: response.headers['content-type'] });
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
    expect(type).toMatch(/^text\/plain/);
  });

  test('are a wrong, a revoked and an expired token', async () => {
    const [revoked, expired] = [github.addToken(), github.addToken({ lifetimeMs: 0 })];
    github.revokeToken(revoked);
    for (const token of ['wrong', revoked, expired]) {
      expect(await ask(github, 'GET /rate_limit', { token })).toMatchObject({
        status: 401,
        body: { message: 'Bad credentials', status: '401' },
      });
    }
  });

  test('is a body that is not JSON', async () => {
    const response = await fetch(`${github.url}${RUNNERS}/registration-token`, {
      method: 'POST',
      body: '{',
      headers: { 'user-agent': 'test' },
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ message: 'Problems parsing JSON' });
  });

  test('is what goes beyond the hourly limit, until its window ends', async () => {
    const token = github.addToken({ limit: 1 });
    await ask(github, 'GET /', { token });
    const refused = await ask<{ message: string }>(github, 'GET /', { token });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toMatch(/^API rate limit exceeded for/);
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');
    expect((await ask(github, 'GET /rate_limit', { token })).status).toBe(200);
    github.clockOffsetMs = 3_700_000;
    const later = await ask(github, 'GET /', { token });
    github.clockOffsetMs = 0;
    expect(later.status).toBe(200);
  });
});

describe('a bad day', () => {
  test('meets what it matches, so often, and no more', async () => {
    github.misbehave({ match: { method: 'GET', path: /runners$/ }, status: 500, times: 2 });
    const statuses: number[] = [];
    for (const path of ['/rate_limit', RUNNERS, RUNNERS, RUNNERS]) statuses.push((await ask(github, `GET ${path}`)).status);
    expect(statuses).toEqual([200, 500, 500, 200]);
  });

  test('can meet the list of runners alone', async () => {
    const end = github.misbehave({ match: { method: 'GET', path: /\/actions\/runners$/ }, status: 502 });
    const statuses: number[] = [];
    for (const path of [RUNNERS, `${RUNNERS}?per_page=100`, `${RUNNERS}/downloads`, '/repos/octo/app/actions/runs']) {
      statuses.push((await ask(github, `GET ${path}`)).status);
    }
    end();
    expect(statuses).toEqual([502, 502, 200, 200]);
  });

  test('answers a bad gateway with a page for people', async () => {
    const end = github.misbehave({ match: { path: '/rate_limit' }, status: 502 });
    const { status, headers, text } = await ask(github, 'GET /rate_limit');
    end();
    expect(status).toBe(502);
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    expect(text).toContain('<html>');
  });

  test('can answer with headers and a body of its own', async () => {
    const end = github.misbehave({ status: 403, headers: { 'Retry-After': '7' }, body: { message: 'Slow down' } });
    const { headers, body } = await ask(github, 'GET /');
    end();
    expect(headers.get('retry-after')).toBe('7');
    expect(body).toEqual({ message: 'Slow down' });
  });

  test('can be slow, and forgets a client that has gone', async () => {
    const end = github.misbehave({ match: { path: '/versions' }, delayMs: 200 });
    const start = performance.now();
    expect((await ask(github, 'GET /versions')).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThanOrEqual(195);
    await expect(fetch(`${github.url}/versions`, { headers: { 'user-agent': 'test' }, signal: AbortSignal.timeout(50) })).rejects.toThrow(
      'timeout',
    );
    end();
    await expect.poll(() => github.requests.at(-1)).toMatchObject({ method: 'GET', path: '/versions', status: null });
  });
});

describe('a fault', () => {
  test.each([200, 502, 503] as const)('gives a page for people with %i', async (status) => {
    github.misbehave({ fault: { kind: 'page', status }, times: 1 });
    const answered = await ask(github, `GET ${RUNNERS}`);
    expect(answered.status).toBe(status);
    expect(answered.headers.get('content-type')).toMatch(/^text\/html/);
    expect(answered.text).toMatch(/^<!DOCTYPE html>/);
  });

  test.each([
    ['cut', 'terminated'],
    ['lost', 'fetch failed'],
  ] as const)('gives an answer that is %s, and the deed is done', async (kind, failure) => {
    const before = github.registrationTokens().length;
    github.misbehave({ match: { method: 'POST' }, fault: { kind }, times: 1 });
    await expect(ask(github, `POST ${RUNNERS}/registration-token`)).rejects.toThrow(failure);
    expect(github.registrationTokens()).toHaveLength(before + 1);
    expect(github.requests.at(-1)).toMatchObject({ method: 'POST', status: 201 });
  });

  test('gives a primary limit: all requests of the token, and none of another, are refused until the reset', async () => {
    const token = github.addToken();
    github.misbehave({ match: { path: RUNNERS }, fault: { kind: 'primary-limit', resetMs: 600_000 }, times: 1 });
    const first = await ask<{ message: string }>(github, `GET ${RUNNERS}`, { token });
    const next = await ask(github, 'GET /', { token });
    expect([first.status, next.status, (await ask(github, 'GET /')).status]).toEqual([403, 403, 200]);
    expect(first.body.message).toMatch(/^API rate limit exceeded for/);
    for (const { headers } of [first, next]) {
      expect(headers.get('x-ratelimit-remaining')).toBe('0');
      expect(Number(headers.get('x-ratelimit-reset')) * 1000 - Date.now()).toBeGreaterThan(590_000);
    }
    github.clockOffsetMs = 601_000;
    const later = await ask(github, 'GET /', { token });
    github.clockOffsetMs = 0;
    expect(later.status).toBe(200);
  });

  test.each([true, false])('gives a secondary limit, which leaves requests over; it names its end: %s', async (namesEnd) => {
    const token = github.addToken();
    github.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 90_000, namesEnd, status: 429 }, times: 1 });
    const first = await ask<{ message: string }>(github, 'GET /', { token });
    const next = await ask(github, `GET ${RUNNERS}`, { token });
    for (const { status, headers } of [first, next]) {
      expect(status).toBe(429);
      expect(headers.get('retry-after')).toBe(namesEnd ? '90' : null);
      expect(Number(headers.get('x-ratelimit-remaining'))).toBeGreaterThan(4000);
    }
    expect(first.body.message).toMatch(/^You have exceeded a secondary rate limit/);
  });

  test('gives a wrong Date, and the rest of the answer as ever', async () => {
    github.misbehave({ fault: { kind: 'date', offByMs: 7_200_000 }, times: 1 });
    const { status, headers } = await ask(github, 'GET /');
    expect(status).toBe(200);
    expect(Date.parse(headers.get('date') ?? '') - Date.now()).toBeGreaterThan(7_190_000);
  });

  test('begins after another request, and is in the log', async () => {
    const before = github.requests.length;
    github.misbehave({ from: { path: '/versions' }, fault: { kind: 'page', status: 502 }, times: 1 });
    const statuses: number[] = [];
    for (const path of ['/rate_limit', '/versions', '/rate_limit', '/versions']) statuses.push((await ask(github, `GET ${path}`)).status);
    expect(statuses).toEqual([200, 200, 502, 200]);
    expect(github.requests.slice(before).map(({ fault }) => fault)).toEqual([undefined, undefined, 'page', undefined]);
  });
});

test('an older server takes no notice of the name of a runner', async () => {
  const old = await startGitHub({ repositories: ['octo/app'] });
  old.ignoresNames = true;
  for (const name of ['a', 'b']) old.addRunner('octo/app', { name });
  const { body } = await ask<{ total_count: number }>(old, `GET ${RUNNERS}?name=b`);
  await old.close();
  expect(body.total_count).toBe(2);
});

test('the log of requests tells when each came, method, path and status, and no token', async () => {
  const quiet = await startGitHub({ repositories: ['octo/app'] });
  await ask(quiet, 'GET /api/v3/rate_limit');
  await ask(quiet, `POST ${RUNNERS}/registration-token`);
  await quiet.close();
  expect(quiet.requests).toEqual([
    { at: expect.any(Number), method: 'GET', path: '/api/v3/rate_limit', status: 200, isLimited: false },
    { at: expect.any(Number), method: 'POST', path: `${RUNNERS}/registration-token`, status: 201, isLimited: false },
  ]);
});

test('a port that is taken is said', async () => {
  await expect(startGitHub({ port: github.port })).rejects.toThrow('EADDRINUSE');
});
