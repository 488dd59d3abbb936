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
    await expect.poll(() => github.requests.at(-1)).toEqual({ method: 'GET', path: '/versions', status: null });
  });
});

test('the log of requests tells method, path and status, and no token', async () => {
  const quiet = await startGitHub({ repositories: ['octo/app'] });
  await ask(quiet, 'GET /api/v3/rate_limit');
  await ask(quiet, `POST ${RUNNERS}/registration-token`);
  await quiet.close();
  expect(quiet.requests).toEqual([
    { method: 'GET', path: '/api/v3/rate_limit', status: 200 },
    { method: 'POST', path: `${RUNNERS}/registration-token`, status: 201 },
  ]);
});

test('a port that is taken is said', async () => {
  await expect(startGitHub({ port: github.port })).rejects.toThrow('EADDRINUSE');
});
