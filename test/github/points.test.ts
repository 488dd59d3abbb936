// Virtual time: whoever waits sleeps until the clock gets there, which moves on once nothing else is to be done.

import { setImmediate as settled } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createGate } from '../../src/github/gate.ts';
import { createGitHub } from '../../src/github/github.ts';
import { createPace } from '../../src/github/pace.ts';
import { createPoints, type Points } from '../../src/github/points.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import { ApiTokens } from '../../src/sandbox/github/api-tokens.ts';
import { failureOf } from './failure-of.ts';

const { signal: never } = new AbortController();
const MINUTE = 60_000;

let clock: number;
let sleepers: { readonly at: number; readonly wake: () => void }[];

beforeEach(() => {
  clock = 1_000_000;
  sleepers = [];
});

describe('points of a minute', () => {
  let points: Points;
  /** Whom a place was given, and when. */
  let served: [who: string, at: number][];

  beforeEach(() => {
    points = createPoints({ now: () => clock, sleep });
    served = [];
  });

  test('are given at once while there are some, and then as the minute moves on', async () => {
    await untilDone(Promise.all([ask('a', 300), ask('b', 300), ask('c', 1)]));
    expect(served).toEqual([
      ['a', 1_000_000],
      ['b', 1_000_000],
      ['c', 1_000_000 + MINUTE],
    ]);
  });

  test('go by scopes, and not by who asks for most', async () => {
    await ask('z', 600);
    const many = Array.from({ length: 4 }, () => ask('a', 150));
    await untilDone(Promise.all([...many, ask('b', 150), ask('b', 150), ask('c', 150)]));
    expect(served.map(([who]) => who).join('')).toBe('zabcabaa');
  });

  test('are kept for health checks, which never wait', async () => {
    await ask('a', 600);
    points.charge('token', 250);
    await untilDone(ask('a', 100));
    expect(served.at(-1)).toEqual(['a', 1_000_000 + MINUTE]);
    clock += 1_000;
    points.charge('token', 750);
    await untilDone(ask('a', 100));
    expect(served.at(-1)).toEqual(['a', 1_000_000 + 2 * MINUTE]);
  });

  test('are each token’s own', async () => {
    await ask('a', 600);
    await points.reserve({ account: 'another', scope: 'a', cost: 600 }, never);
    expect(clock).toBe(1_000_000);
  });

  test('that an act did not need are given back', async () => {
    const reservation = await points.reserve({ account: 'token', scope: 'a', cost: 600 }, never);
    reservation.spend(100);
    const next = ask('b', 400);
    await settled();
    expect(served).toEqual([]);
    reservation.end();
    reservation.end();
    await next;
    expect(served).toEqual([['b', 1_000_000]]);
  });

  test('that an act needs beyond are charged', async () => {
    const reservation = await points.reserve({ account: 'token', scope: 'a', cost: 7 }, never);
    reservation.spend(590);
    await untilDone(ask('b', 11));
    expect(served).toEqual([['b', 1_000_000 + MINUTE]]);
  });

  test('are not waited for by who has left, and the others keep their turn', async () => {
    await ask('z', 600);
    const leaving = new AbortController();
    const reason = new Error('the activity was cancelled');
    const left = points.reserve({ account: 'token', scope: 'a', cost: 1 }, leaving.signal);
    const others = [ask('b', 1), ask('a', 1), ask('c', 1)];
    await settled();
    leaving.abort(reason);
    await expect(left).rejects.toBe(reason);
    await untilDone(Promise.all(others));
    expect(served.map(([who]) => who).join('')).toBe('zabc');
    await expect(points.reserve({ account: 'token', scope: 'a', cost: 1 }, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('leave no timer behind once nobody waits', async () => {
    await ask('z', 600);
    const leaving = new AbortController();
    const left = points.reserve({ account: 'token', scope: 'a', cost: 1 }, leaving.signal);
    await settled();
    expect(sleepers).toHaveLength(1);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    expect(sleepers).toHaveLength(0);
  });

  async function ask(scope: string, cost: number): Promise<void> {
    const reservation = await points.reserve({ account: 'token', scope, cost }, never);
    served.push([scope, clock]);
    reservation.spend(cost);
  }
});

describe('five repositories with one token and 1,250 stale runs', () => {
  const SCOPES = ['a', 'b', 'c', 'd', 'e'].map((name) => `octo/${name}`);
  const RUNS = 250;
  /** Of each request, both ways. */
  const LATENCY = 20;

  test('never meet the secondary limit, leave health checks their room, and get on alike', async () => {
    const sent: { readonly at: number; readonly cost: number }[] = [];
    const github = portOf(sent, createPoints({ now: () => clock, sleep }));
    const done = new Map(SCOPES.map((scope) => [scope, 0]));
    let apart = 0;
    const stopChecks = new AbortController();
    const checks = checkHealth(github, stopChecks.signal);
    await untilDone(
      Promise.all(
        SCOPES.map((scope) =>
          care(github, scope, () => {
            done.set(scope, (done.get(scope) ?? 0) + 1);
            const all = [...done.values()];
            apart = Math.max(apart, Math.max(...all) - Math.min(...all));
          }),
        ),
      ),
    );
    stopChecks.abort();
    await checks;
    expect([...done.values()]).toEqual(SCOPES.map(() => 2 * RUNS));
    expect(apart).toBeLessThanOrEqual(5);
    expect(mostInAMinute(sent)).toBeLessThanOrEqual(900);
    // Reading all jobs, and three requests for each act, at no less than the pace that is allowed.
    expect(clock - 1_000_000).toBeLessThan(((RUNS + RUNS * 7) * SCOPES.length * MINUTE) / 600 + 2 * MINUTE);
  }, 60_000);

  /** As the plan does, and what it leads to. */
  async function care(github: GitHubPort, scope: string, progress: () => void): Promise<void> {
    for (let run = 1; run <= RUNS; run += 1) {
      await github.readRunJobs(scope, run, never);
      progress();
    }
    for (let run = 1; run <= RUNS; run += 1) {
      await github.inTurn(
        scope,
        async () => {
          const begunAt = clock;
          await github.readRun(scope, run, never);
          await github.readRunJobs(scope, run, never);
          expect(clock - begunAt).toBe(2 * LATENCY);
          expect((await github.cancelRun(scope, run, { force: false }, never)).value).toEqual({ kind: 'accepted' });
        },
        never,
      );
      progress();
    }
  }

  /** Each sends its requests at once, whatever else is going on. */
  async function checkHealth(github: GitHubPort, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      for (let request = 0; request < 20; request += 1) {
        const askedAt = clock;
        await github.getRunner('octo/a', request, never);
        expect(clock - askedAt).toBe(LATENCY);
      }
      await sleep(10_000, stop).catch(() => {});
    }
  }

  function portOf(sent: { readonly at: number; readonly cost: number }[], points: Points): GitHubPort {
    const secondary = { pointsPerMinute: 900, minuteMs: MINUTE, lastsMs: MINUTE, namesEnd: true };
    const tokens = new ApiTokens(() => clock, { hourMs: 60 * MINUTE, secondary });
    const described = { kind: 'classic', login: 'l', role: 'admin', oauthScopes: [], permissions: {}, sees: null } as const;
    const token = tokens.add({ ...described, lifetimeMs: null, limit: 1_000_000 });
    return createGitHub({
      baseUrl: 'https://api.test',
      token: () => new Secret(token.token),
      gate: createGate({ folder: null, warn: () => {} }, () => clock),
      pace: createPace({ writesPerMinute: 120, now: () => clock, sleep }),
      points,
      async fetch(input, init) {
        const { url, method } = new Request(input, init);
        await sleep(LATENCY / 2);
        sent.push({ at: clock, cost: method === 'GET' ? 1 : 5 });
        tokens.meter(token, method);
        const isLimited = tokens.limitOf(token) !== null;
        await sleep(LATENCY / 2);
        if (isLimited)
          return Response.json({ message: 'You have exceeded a secondary rate limit.' }, { status: 403, headers: { 'retry-after': '60' } });
        return answerTo(method, url);
      },
    });
  }

  function answerTo(method: string, url: string): Response {
    if (method === 'POST') return Response.json({}, { status: 202 });
    if (url.includes('/jobs')) return Response.json({ total_count: 0, jobs: [] });
    if (url.includes('/runners/')) return Response.json({ id: 1, name: 'r', status: 'online', busy: false, labels: [] });
    const run = { id: 1, workflow_id: 1, path: 'ci.yml', event: 'push', status: 'queued', head_branch: 'main', head_sha: 'a' };
    return Response.json({ ...run, created_at: new Date(clock).toISOString() });
  }

  function mostInAMinute(sent: readonly { readonly at: number; readonly cost: number }[]): number {
    let [most, sum, first] = [0, 0, 0];
    for (const { at, cost } of sent) {
      sum += cost;
      for (; (sent[first]?.at ?? at) <= at - MINUTE; first += 1) sum -= sent[first]?.cost ?? 0;
      most = Math.max(most, sum);
    }
    return most;
  }
});

test('a request that waited is not sent into a limit that was met meanwhile', async () => {
  const points = createPoints({ now: () => clock, sleep });
  const gate = createGate({ folder: null, warn: () => {} }, () => clock);
  const sent: string[] = [];
  const github = createGitHub({
    baseUrl: 'https://api.test',
    token: () => new Secret('ghp_x'),
    account: 'one',
    gate,
    points,
    async fetch(input, init) {
      sent.push(new Request(input, init).url);
      return Response.json({ total_count: 0, jobs: [] });
    },
  });
  (await points.reserve({ account: 'https://api.test one', scope: 'octo/a', cost: 600 }, never)).spend(600);
  const waiting = failureOf(github.readRunJobs('octo/a', 1, never));
  await settled();
  gate.close('https://api.test one', clock + 2 * MINUTE);
  await untilDone(waiting);
  expect(await waiting).toMatchObject({ kind: 'limited' });
  expect(sent).toEqual([]);
});

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const sleeper = { at: clock + ms, wake: resolve };
    sleepers.push(sleeper);
    signal?.addEventListener('abort', () => {
      sleepers = sleepers.filter((each) => each !== sleeper);
      reject(signal.reason as Error);
    });
  });
}

/** Moves the clock on to the next who sleeps, each time nothing else is left to do. */
async function untilDone(work: Promise<unknown>): Promise<void> {
  let isDone = false;
  const end = work.finally(() => {
    isDone = true;
  });
  end.catch(() => {});
  while (!isDone) {
    await settled();
    const next = sleepers.toSorted((one, other) => one.at - other.at)[0];
    if (next === undefined || isDone) continue;
    sleepers = sleepers.filter((each) => each !== next);
    clock = Math.max(clock, next.at);
    next.wake();
  }
  await end;
}
