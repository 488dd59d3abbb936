import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startGitHub, type GitHubOptions, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

const RUNS = '/repos/octo/app/actions/runs';
const MINUTE_MS = 60_000;
/** Longer than what is on its way when a refusal is sent. */
const LATER_MS = 150;
let github: SandboxGitHub;

afterEach(() => github.close());

async function start(options: GitHubOptions = {}): Promise<void> {
  github = await startGitHub({ repositories: ['octo/app'], ...options });
}

describe('the primary limit', () => {
  test('has a window of the length that was asked for, by a clock that can be moved', async () => {
    await start({ hourMs: 10 * MINUTE_MS });
    const token = github.addToken({ limit: 2 });
    const first = await ask(github, `GET ${RUNS}`, { token });
    const leftMs = Number(first.headers.get('x-ratelimit-reset')) * 1000 - Date.now();
    expect(leftMs).toBeGreaterThan(10 * MINUTE_MS - 5000);
    expect(leftMs).toBeLessThanOrEqual(10 * MINUTE_MS + 1000);
    expect(await statuses(token, 2)).toEqual([200, 403]);
    github.advance(9 * MINUTE_MS);
    expect(await statuses(token, 1)).toEqual([403]);
    github.advance(MINUTE_MS + 1000);
    expect(await statuses(token, 3)).toEqual([200, 200, 403]);
  });
});

test('a clock that is moved ends tokens', async () => {
  await start();
  const token = github.addToken({ lifetimeMs: MINUTE_MS });
  expect(await statuses(token, 1)).toEqual([200]);
  github.advance(MINUTE_MS);
  expect(await statuses(token, 1)).toEqual([401]);
  expect(github.clockOffsetMs).toBe(MINUTE_MS);
});

describe('the secondary limit', () => {
  const secondary = { pointsPerMinute: 10, minuteMs: MINUTE_MS, lastsMs: 30_000, namesEnd: true };

  test('counts 1 for a request that reads and 5 for one that writes, for each token', async () => {
    await start({ secondary });
    const token = github.addToken();
    const id = github.queueRun('octo/app', { jobs: [] });
    expect((await ask(github, `POST ${RUNS}/${id}/cancel`, { token })).status).toBe(202);
    expect(await statuses(token, 6)).toEqual([200, 200, 200, 200, 200, 403]);
    expect(await statuses(github.addToken(), 1)).toEqual([200]);
  });

  test('refuses a write that would exceed it, and nothing is done', async () => {
    await start({ secondary });
    const token = github.addToken();
    const id = github.queueRun('octo/app', { jobs: [] });
    await statuses(token, 6);
    const refused = await ask<{ message: string }>(github, `POST ${RUNS}/${id}/cancel`, { token });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toMatch(/^You have exceeded a secondary rate limit/);
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(github.run(id)).toMatchObject({ status: 'queued', accepted: { cancel: 0 }, refused: 0 });
  });

  test('lasts as long as it says, whatever is sent meanwhile, and then counts anew', async () => {
    await start({ secondary });
    const token = github.addToken();
    expect((await statuses(token, 11)).at(-1)).toBe(403);
    github.advance(29_000);
    expect(await statuses(token, 20)).toEqual(Array.from({ length: 20 }, () => 403));
    github.advance(1000);
    expect((await statuses(token, 11)).filter((status) => status === 200)).toHaveLength(10);
  });

  test('counts the last minute', async () => {
    await start({ secondary });
    const token = github.addToken();
    await statuses(token, 9);
    github.advance(MINUTE_MS / 2);
    await statuses(token, 1);
    github.advance(MINUTE_MS / 2);
    expect(await statuses(token, 10)).toEqual([...Array.from({ length: 9 }, () => 200), 403]);
  });

  test('may name no end', async () => {
    await start({ secondary: { ...secondary, pointsPerMinute: 0, namesEnd: false } });
    const { status, headers } = await ask(github, `GET ${RUNS}`);
    expect([status, headers.get('retry-after')]).toEqual([403, null]);
    expect(Number(headers.get('x-ratelimit-remaining'))).toBeGreaterThan(4000);
  });

  test('counts answers that are unchanged and that failed, and is never in the way of the numbers of limits', async () => {
    await start({ secondary });
    const token = github.addToken();
    const { headers } = await ask(github, `GET ${RUNS}`, { token });
    for (let count = 0; count < 5; count += 1)
      await ask(github, `GET ${RUNS}`, { token, headers: { 'if-none-match': headers.get('etag') ?? '' } });
    const end = github.misbehave({ status: 500 });
    await statuses(token, 4);
    end();
    expect(await statuses(token, 1)).toEqual([403]);
    expect((await ask(github, 'GET /rate_limit', { token })).status).toBe(200);
  });
});

describe('a request that should not have been sent', () => {
  test('comes after a refusal of the same token, while its limit lasts', async () => {
    await start();
    const [token, other] = [github.addToken({ limit: 1 }), github.addToken({ limit: 1 })];
    await statuses(token, 2);
    await sleep(LATER_MS);
    await statuses(other, 2);
    await statuses(token, 1);
    await ask(github, 'GET /rate_limit', { token });
    github.advance(60 * MINUTE_MS + 1000);
    await statuses(token, 2);
    expect(github.requests.map(({ isLimited }) => isLimited)).toEqual([false, false, false, false, true, false, false, false]);
  });

  test('is known after a fault, too', async () => {
    await start();
    github.misbehave({ fault: { kind: 'secondary-limit', lastsMs: MINUTE_MS, namesEnd: true }, times: 1 });
    await statuses(github.token, 1);
    await sleep(LATER_MS);
    await statuses(github.token, 1);
    expect(github.requests).toMatchObject([
      { status: 403, fault: 'secondary-limit', isLimited: false },
      { status: 403, isLimited: true },
    ]);
  });

  test('is none that was on its way already', async () => {
    await start();
    const token = github.addToken({ limit: 1 });
    // All have come before the first is refused, however slow the machine.
    github.misbehave({ delayMs: 500 });
    await Promise.all(Array.from({ length: 8 }, () => statuses(token, 1)));
    expect(github.requests.filter(({ status }) => status === 403)).toHaveLength(7);
    expect(github.requests.some(({ isLimited }) => isLimited)).toBe(false);
  });
});

test("the log has the times of GitHub's clock", async () => {
  await start();
  await statuses(github.token, 1);
  github.advance(60 * MINUTE_MS);
  await statuses(github.token, 1);
  const [first, second] = github.requests;
  expect(Math.abs((first?.at ?? 0) - Date.now())).toBeLessThan(5000);
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(60 * MINUTE_MS);
});

async function statuses(token: string, count: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (let number = 0; number < count; number += 1) found.push((await ask(github, `GET ${RUNS}`, { token })).status);
  return found;
}
