import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { HostObservation } from '../../src/domain/pass.ts';
import { type HostOptions, openHost, watchSleeps } from '../../src/machine/host.ts';
import type { CallContext } from '../../src/machine/port.ts';

const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };
const ENVIRONMENT = { PATH: '/usr/bin:/bin' };
const NOW = Date.UTC(2026, 10, 24, 22, 0, 0);

const answering =
  (date: string | null): typeof fetch =>
  async () =>
    new Response(null, { status: 200, headers: date === null ? {} : { date } });
const utc = (ms: number): string => new Date(ms).toUTCString();
const look = (options: Partial<HostOptions> = {}): Promise<HostObservation> =>
  openHost({
    environment: ENVIRONMENT,
    crontab: 'no-such-program',
    fetch: answering(utc(NOW)),
    sleepWatch: { wokeAt: () => null },
    ...options,
  }).observe('https://github.example/some/path', CALL);

it('tells its own clock, and when the computer booted', async () => {
  const before = { at: Date.now(), bootedAt: Date.now() - uptime() * 1_000 };
  const seen = await look();
  expect(seen.observedAt).toBeGreaterThanOrEqual(before.at);
  expect(seen.observedAt).toBeLessThanOrEqual(Date.now());
  // However long it took, the boot stays where it was.
  expect(Math.abs(seen.bootedAt - before.bootedAt)).toBeLessThan(1_000);
  expect(seen.wokeAt).toBeNull();
});

describe("the clock against GitHub's", () => {
  it.each([
    ['the same second', 0, 0],
    ['the last moment of that second', 999, 0],
    ['a little later', 1_500, 501],
    ['hours later', 7_200_000, 7_199_001],
    ['hours earlier', -7_200_000, -7_200_000],
  ])('%s', async (_, hostMs, offset) => {
    expect((await look({ now: () => NOW + hostMs })).githubOffsetMs).toEqual({ known: true, value: offset });
  });

  it('takes no slow answer for a wrong clock', async () => {
    let now = NOW - 8_000;
    const slow: typeof fetch = async () => {
      now = NOW + 2_000;
      return new Response(null, { headers: { date: utc(NOW) } });
    };
    expect((await look({ now: () => now, fetch: slow })).githubOffsetMs).toEqual({ known: true, value: 0 });
  });

  it.each([
    ['no date', answering(null), 'github.example answered without a date'],
    ['a strange date', answering('yesterday'), 'github.example answered without a date'],
    [
      'no answer',
      () => Promise.reject(new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND github.example') })),
      'github.example did not answer: getaddrinfo ENOTFOUND github.example',
    ],
  ] as const)('is unknown with %s', async (_, fetch, why) => {
    expect((await look({ fetch: fetch as typeof globalThis.fetch })).githubOffsetMs).toEqual({ known: false, why });
  });

  describe('over the network', () => {
    const requests: string[] = [];
    let server: Server;
    beforeAll(async () => {
      server = createServer((request, response) => {
        requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? 'without credentials'}`);
        response.writeHead(302, { location: 'https://elsewhere.example' }).end();
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
    });
    afterAll(() => server.close());

    it('asks for nothing but the head of the first page, without credentials, and follows no redirect', async () => {
      const host = openHost({ environment: ENVIRONMENT, crontab: 'no-such-program', sleepWatch: { wokeAt: () => null } });
      const { port } = server.address() as AddressInfo;
      expect((await host.observe(`http://127.0.0.1:${port}`, CALL)).githubOffsetMs).toEqual({ known: true, value: 0 });
      expect(requests).toEqual(['HEAD / without credentials']);
    });
  });

  it('ends with the reason of its caller', async () => {
    const caller = new AbortController();
    const host = openHost({
      environment: ENVIRONMENT,
      crontab: 'no-such-program',
      sleepWatch: { wokeAt: () => null },
      fetch: (_url, init) => new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))),
    });
    const looking = host.observe('https://github.example', { ...CALL, signal: caller.signal });
    caller.abort(new Error('given up'));
    await expect(looking).rejects.toThrow('given up');
  });
});

describe('the old cron job', () => {
  const folder = mkdtempSync(join(tmpdir(), 'runward-cron-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const crontabThat = (script: string): string => {
    const file = join(folder, `crontab-${Math.random()}`);
    writeFileSync(file, `#!/bin/sh\n[ "$1" = -l ] || exit 9\n${script}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const job = async (script: string) => (await look({ crontab: crontabThat(script) })).oldCronJob;
  const printing = (jobs: string): string => `cat <<'END'\n${jobs}\nEND`;

  it('is shown where one is active', async () => {
    expect(
      await job(printing('# m h\n0 1 * * * backup\n*/5 * * * * $HOME/assay/health_check.sh >> /tmp/assay-runner-health.log 2>&1')),
    ).toEqual({
      known: true,
      value: '*/5 * * * * $HOME/assay/health_check.sh >> /tmp/assay-runner-health.log 2>&1',
    });
  });

  it('is shown without the values of its variables', async () => {
    expect(await job(printing(`*/5 * * * * GH_TOKEN=abc123 NAME='a b' ./health_check.sh`))).toEqual({
      known: true,
      value: '*/5 * * * * GH_TOKEN=… NAME=… ./health_check.sh',
    });
  });

  it.each([
    ['is commented out', printing('#*/5 * * * * ./health_check.sh')],
    ['is another', printing('0 1 * * * backup')],
    ['no table is there', `echo 'no crontab for me' >&2; exit 1`],
  ])('is none where one %s', async (_, script) => {
    expect(await job(script)).toEqual({ known: true, value: null });
  });

  it('is none on a computer without cron', async () => {
    expect((await look()).oldCronJob).toEqual({ known: true, value: null });
  });

  it('is unknown where the table cannot be read', async () => {
    expect(await job(`echo 'You (me) are not allowed to use this program (crontab)' >&2; exit 1`)).toEqual({
      known: false,
      why: 'crontab -l exited 1: You (me) are not allowed to use this program (crontab)',
    });
  });
});

describe('the watch over sleeps', () => {
  const clock = { wall: NOW, monotonic: 0 };
  const pass = (wall: number, monotonic = wall): void => {
    clock.wall += wall;
    clock.monotonic += monotonic;
  };
  const aWatch = () => watchSleeps({ wall: () => clock.wall, monotonic: () => clock.monotonic });
  afterEach(() => vi.useRealTimers());

  it('sees none while both clocks go on', () => {
    const watch = aWatch();
    for (let turn = 0; turn < 100; turn += 1) {
      pass(5_000);
      expect(watch.wokeAt()).toBeNull();
    }
    pass(60_000);
    expect(watch.wokeAt()).toBeNull();
  });

  it('sees one where the monotonic clock stood still', () => {
    const watch = aWatch();
    pass(3_600_000, 3_000);
    const woke = clock.wall;
    expect(watch.wokeAt()).toBe(woke);
    pass(5_000);
    expect(watch.wokeAt()).toBe(woke);
  });

  it('sees one where the monotonic clock went on and no timer came', () => {
    const watch = aWatch();
    pass(3_600_000);
    expect(watch.wokeAt()).toBe(clock.wall);
  });

  it('takes no short gap for a sleep', () => {
    const watch = aWatch();
    pass(60_000, 1_000);
    expect(watch.wokeAt()).toBeNull();
  });

  it('tells the wake by the clock as it is after it was set right', () => {
    const watch = aWatch();
    pass(3_600_000, 3_000);
    watch.wokeAt();
    pass(10_000);
    expect(clock.wall - (watch.wokeAt() ?? 0)).toBe(10_000);
    clock.wall -= 7_200_000;
    expect(clock.wall - (watch.wokeAt() ?? 0)).toBe(10_000);
  });

  it('goes on by itself between the looks', () => {
    vi.useFakeTimers();
    const watch = aWatch();
    pass(3_600_000, 5_000);
    const woke = clock.wall;
    vi.advanceTimersByTime(5_000);
    for (let turn = 0; turn < 20; turn += 1) {
      pass(5_000);
      vi.advanceTimersByTime(5_000);
    }
    expect(watch.wokeAt()).toBe(woke);
  });
});
