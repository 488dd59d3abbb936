// How a job's log is read: as a stream, from a host that is not GitHub's API, without GitHub's token.

import { createServer, type RequestListener } from 'node:http';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub, type GitHubOptions } from '../../src/github/github.ts';
import type { Dated, GitHubPort, LogRead } from '../../src/github/port.ts';
import type { JobOptions } from '../../src/sandbox/github/run.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const REPO = 'octo/app';
const STAMP = '2026-11-24T12:00:00.1234567Z';
const MB = 1_000_000;
const MISSING: LogRead = { kind: 'missing', bytes: 0, isCut: false };

let server: SandboxGitHub;

beforeEach(async () => {
  server = await startGitHub({ repositories: [REPO, 'octo/other'] });
});
afterEach(() => server.close());

describe("GitHub's token", () => {
  test('stays at GitHub', async () => {
    const sent: (readonly [string, string | null])[] = [];
    const port = portOf({
      fetch(input, init) {
        const url = input instanceof Request ? input.url : String(input);
        sent.push([new URL(url).origin, new Headers(init?.headers).get('authorization')]);
        return fetch(input, init);
      },
    });
    expect((await read({ log: 'hello' }, {}, port)).lines).toEqual(['hello']);
    expect(sent).toEqual([
      [server.url, `Bearer ${server.token}`],
      [expect.not.stringMatching(server.url), null],
    ]);
    expect(server.logRequests).toMatchObject([{ status: 200, isAuthorized: false }]);
  });

  test('stays at the API of a server that has its logs beside it', async () => {
    const sent: (readonly [string, string | null])[] = [];
    const port = portOf({
      baseUrl: 'https://ghe.test/api/v3',
      async fetch(input, init) {
        const url = input instanceof Request ? input.url : String(input);
        sent.push([url, new Headers(init?.headers).get('authorization')]);
        return url.includes('/api/')
          ? new Response(null, { status: 302, headers: { location: 'https://ghe.test/_services/logs/7' } })
          : new Response(`${STAMP} hello\n`);
      },
    });
    expect((await readJob(7, {}, port)).lines).toEqual(['hello']);
    expect(sent).toEqual([
      ['https://ghe.test/api/v3/repos/octo/app/actions/jobs/7/logs', `Bearer ${server.token}`],
      ['https://ghe.test/_services/logs/7', null],
    ]);
  });

  test('stays at GitHub where the repository was renamed', async () => {
    const job = jobOf({ log: 'hello' });
    server.renameRepository(REPO, 'octo/new');
    expect((await readJob(job)).lines).toEqual(['hello']);
    expect(server.logRequests).toMatchObject([{ isAuthorized: false }]);
  });

  test('and the address of the log are in no error', async () => {
    const host = await serve((_, response) => response.writeHead(500).end());
    const failure = await failureOf(readJob(7, {}, referringTo(`${host.url}/?sig=a-key`)));
    await host.close();
    const seen = [inspect(failure, { depth: 20, showHidden: true }), JSON.stringify(failure), failure.stack].join('\n');
    expect(seen).not.toContain(server.token);
    expect(seen).not.toContain('a-key');
  });
});

describe('lines', () => {
  const logs: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['are told without their time stamps', [`\uFEFF${STAMP} one\n`, `${STAMP}  two\n`], ['one', ' two']],
    ['may end in CRLF, also between two pieces', [`${STAMP} one\r\n${STAMP} two\r`, `\n${STAMP} three\r\n`], ['one', 'two', 'three']],
    ['come in pieces of any size', Array.from(`${STAMP} one\n${STAMP} zwölf\n`), ['one', 'zwölf']],
    ['may be empty', [`${STAMP} \n${STAMP}\n\n`], ['', '', '']],
    ['may come without time stamps', ['one\n\uFEFFtwo\n'], ['one', 'two']],
    ['may have others of their own', [`${STAMP} ${STAMP} began\n`], [`${STAMP} began`]],
    ['may end with the log', [`${STAMP} one\n${STAMP} two`], ['one', 'two']],
    ['may not be there', [], []],
    ['are not ended by a progress bar', [`${STAMP} 1%\r2%\r3%\n`], ['1% 2% 3%']],
  ];
  test.each(logs)('%s', async (_, pieces, lines) => {
    const bytes = Buffer.byteLength(pieces.join(''));
    const log = (): readonly string[] => pieces;
    expect(await read({ log })).toEqual({ lines, read: { kind: 'read', bytes, isCut: false } });
  });

  test('may have letters that are cut by a piece', async () => {
    const bytes = Buffer.from(`${STAMP} zwölf\n`);
    const cut = bytes.indexOf('ö') + 1;
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes.subarray(0, cut));
        controller.enqueue(bytes.subarray(cut));
        controller.close();
      },
    });
    expect(
      (
        await readJob(
          7,
          {},
          referringTo('https://logs.test/7', () => new Response(body)),
        )
      ).lines,
    ).toEqual(['zwölf']);
  });

  test('of monstrous length are cut, and told once, wherever their pieces end', async () => {
    const long = 'x'.repeat(8_192);
    const log = (): readonly string[] => [
      `${long}yyy\nshort\n${long}`,
      `\n${long.slice(1)}`,
      '\r\n',
      `${long}`,
      'y'.repeat(100_000),
      `y\nlast\n${long}z`,
    ];
    const { lines } = await read({ log });
    expect(lines.map((line) => (line.startsWith('x') ? line.length : line))).toEqual([8_192, 'short', 8_192, 8_191, 8_192, 'last', 8_192]);
  });

  test('of monstrous length are told by their beginning, without waiting for their end', async () => {
    const log = big(60, 'x'.repeat(100_000));
    const whole = await read({ log });
    expect([whole.lines.length, whole.lines[0]?.length, whole.read.bytes]).toEqual([1, 8_192, 60 * MB]);
    expect((await read({ log }, { onLine: () => 'enough' })).read.bytes).toBeLessThan(MB);
  });

  test('are decompressed', async () => {
    const host = await serve((request, response) => {
      expect(request.headers['accept-encoding']).toContain('gzip');
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(`${STAMP} one\n`.repeat(1_000)));
    });
    const { lines, read: log } = await readJob(7, {}, referringTo(host.url));
    await host.close();
    expect([lines.length, new Set(lines), log.bytes]).toEqual([1_000, new Set(['one']), 33_000]);
  });

  test('whose reader fails make that failure, and the rest is not read', async () => {
    const problem = new Error('a mistake in a pattern');
    const reading = readJob(jobOf({ log: big(100) }), {
      onLine() {
        throw problem;
      },
    });
    await expect(reading).rejects.toBe(problem);
    await expect.poll(() => server.logRequests).toHaveLength(1);
    expect(server.logRequests[0]?.bytes).toBeLessThan(20 * MB);
  });
});

describe('a big log', () => {
  test('is left once there is enough', async () => {
    let lines = 0;
    const { read: log } = await read(
      { log: big(100) },
      { mostBytes: 200 * MB, onLine: () => ((lines += 1) === 1_000 ? 'enough' : 'more') },
    );
    expect([lines, log.kind, log.isCut]).toEqual([1_000, 'read', false]);
    expect(log.bytes).toBeGreaterThanOrEqual(100_000);
    expect(log.bytes).toBeLessThan(MB);
    await expect.poll(() => server.logRequests).toHaveLength(1);
    expect(server.logRequests[0]?.bytes).toBeLessThan(20 * MB);
  });

  test('is left at the most that may be read, and the line that is cut there is not told', async () => {
    const { lines, read: log } = await read({ log: big(100) }, { mostBytes: 2 * MB + 50 });
    expect(log).toEqual({ kind: 'read', bytes: 2 * MB + 50, isCut: true });
    expect([lines.length, new Set(lines.map((line) => line.length))]).toEqual([20_000, new Set([99])]);
    await expect.poll(() => server.logRequests).toHaveLength(1);
    expect(server.logRequests[0]?.bytes).toBeLessThan(20 * MB);
  });

  test.each([
    [0, false],
    [1, true],
  ])('of the most that may be read and %i more is cut: %s', async (more, isCut) => {
    const log = (): readonly string[] => [`${'x'.repeat(999)}\n`.repeat(500), 'y'.repeat(more)];
    const { lines, read: seen } = await read({ log }, { mostBytes: 500_000 });
    expect([lines.length, seen]).toEqual([500, { kind: 'read', bytes: 500_000, isCut }]);
  });

  test('takes its time, so long as something comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const host = writable.getWriter();
      const reading = readJob(
        7,
        {},
        referringTo('https://logs.test/7', () => new Response(readable), 300),
      );
      for (let line = 0; line < 10; line += 1) {
        await vi.advanceTimersByTimeAsync(200);
        await host.write(Buffer.from(`${STAMP} line\n`));
      }
      await host.close();
      expect((await reading).lines).toHaveLength(10);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a log is missing', () => {
  test.each([
    ['before its job is completed', { state: 'in_progress' }],
    ['where it has expired', { logIs: 'expired' }],
    ['where GitHub refers to', { logIs: 'lost' }],
  ] as const)('%s', async (_, job) => {
    const { read: log, lines } = await read(job);
    expect([log, lines]).toEqual([MISSING, []]);
  });

  test('where there is no such job any more', async () => {
    expect((await readJob(404)).read).toEqual(MISSING);
  });

  test('410 where GitHub refers to', async () => {
    expect(
      (
        await readJob(
          7,
          {},
          referringTo('https://logs.test/7', () => new Response(null, { status: 410 })),
        )
      ).read,
    ).toEqual(MISSING);
  });

  test('and not because the token does not see its repository', async () => {
    const blind = portOf({ token: () => new Secret(server.addToken({ sees: ['octo/other'] })) });
    expect(await failureOf(readJob(jobOf({}), {}, blind))).toMatchObject({ kind: 'rejected', status: 404 });
  });

  test("dated by GitHub's clock, as one that is there", async () => {
    server.clockOffsetMs = -7_200_000;
    for (const job of [{}, { logIs: 'expired' }, { logIs: 'lost' }, { state: 'in_progress' }] as const) {
      const { githubTime } = await portOf().readJobLog(
        REPO,
        jobOf(job),
        { mostBytes: MB, onLine: () => 'more' },
        new AbortController().signal,
      );
      expect(Math.abs(githubTime - Date.now() + 7_200_000)).toBeLessThan(5_000);
    }
  });
});

describe('a log cannot be read', () => {
  const WHAT = 'GitHub could not be asked for GET /repos/octo/app/actions/jobs/7/logs: ';

  test.each([403, 400, 429, 500, 503])('where the host that GitHub refers to answers %i, which closes no gate', async (status) => {
    const port = referringTo('https://logs.test/7', () => new Response('<Error/>', { status, headers: { 'retry-after': '60' } }));
    expect(await failureOf(readJob(7, {}, port))).toMatchObject({
      kind: 'unavailable',
      status: null,
      message: `${WHAT}the host of its logs answered ${status}`,
    });
    expect((await failureOf(readJob(7, {}, port))).kind).toBe('unavailable');
  });

  test('where that host is not there', async () => {
    const host = await serve(() => {});
    await host.close();
    expect(await failureOf(readJob(7, {}, referringTo(host.url)))).toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining(`${WHAT}connect ECONNREFUSED`),
    });
  });

  test.each(['cut', 'lost'] as const)('where the stream is %s', async (kind) => {
    const job = jobOf({ log: 'one\n'.repeat(10_000) });
    server.misbehave({ match: { path: '/logs/' }, fault: { kind } });
    const lines: string[] = [];
    const onLine = (line: string): 'more' => {
      lines.push(line);
      return 'more';
    };
    expect(await failureOf(readJob(job, { onLine }))).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(
        kind === 'cut' ? /the connection broke off in the middle of the log \(other side closed\)/ : /ECONNRESET/,
      ),
    });
    expect(lines.length > 0).toBe(kind === 'cut');
  });

  test.each([
    ['from the beginning', (): void => {}],
    ['after the headers', (response: { flushHeaders(): void }): void => response.flushHeaders()],
    ['in the middle', (response: { write(text: string): void }): void => response.write(`${STAMP} one\n`)],
  ] as const)('where it hangs %s', async (_, begin) => {
    const host = await serve((__, response) => begin(response));
    const failure = await failureOf(readJob(7, {}, referringTo(host.url, undefined, 100)));
    await host.close();
    expect(failure).toMatchObject({ kind: 'unavailable', message: expect.stringContaining(`${WHAT}nothing came for 0.1 s`) });
  });

  test.each(['before', 'while'] as const)('by a caller that leaves %s it is read', async (when) => {
    const host = await serve((_, response) => void response.write(`${STAMP} one\n`));
    const leaving = new AbortController();
    const reason = new Error('the activity was cancelled');
    if (when === 'before') leaving.abort(reason);
    const onLine = (): 'more' => {
      leaving.abort(reason);
      return 'more';
    };
    await expect(referringTo(host.url).readJobLog(REPO, 7, { mostBytes: MB, onLine }, leaving.signal)).rejects.toBe(reason);
    await host.close();
  });

  test.each([
    { kind: 'primary-limit', resetMs: 60_000 },
    { kind: 'secondary-limit', lastsMs: 60_000, namesEnd: false },
  ] as const)('while a limit of GitHub lasts: %o', async (fault) => {
    const job = jobOf({});
    const port = portOf();
    server.misbehave({ times: 1, fault });
    expect(await failureOf(readJob(job, {}, port))).toMatchObject({ kind: 'limited', status: 403 });
    expect(await failureOf(readJob(job, {}, port))).toMatchObject({ kind: 'limited', status: null });
    expect([server.requests.length, server.logRequests.length]).toEqual([1, 0]);
  });

  test('without the permission, which is named', async () => {
    const weak = portOf({ token: () => new Secret(server.addToken({ permissions: { checks: 'read' } })) });
    expect(await failureOf(readJob(jobOf({}), {}, weak))).toMatchObject({
      kind: 'rejected',
      message: expect.stringContaining('the token lacks permission actions=read'),
    });
  });
});

test('each reading asks GitHub for an address, which is valid for a minute', async () => {
  const job = jobOf({ log: 'hello' });
  const port = portOf();
  await readJob(job, {}, port);
  server.advance(3_600_000);
  expect((await readJob(job, {}, port)).lines).toEqual(['hello']);
  expect(server.requests.map(({ status }) => status)).toEqual([302, 302]);
});

type How = Parameters<GitHubPort['readJobLog']>[2];

/** Reads the log of a job like this. */
function read(job: JobOptions, how: Partial<How> = {}, port = portOf()): ReturnType<typeof readJob> {
  return readJob(jobOf(job), how, port);
}

async function readJob(
  job: number,
  how: Partial<How> = {},
  port = portOf(),
): Promise<{ readonly lines: readonly string[]; readonly read: LogRead }> {
  const lines: string[] = [];
  const onLine = (line: string): 'more' => {
    lines.push(line);
    return 'more';
  };
  const dated: Dated<LogRead> = await port.readJobLog(REPO, job, { mostBytes: 1_000 * MB, onLine, ...how }, new AbortController().signal);
  return { lines, read: dated.value };
}

function jobOf(job: JobOptions): number {
  return server.run(server.queueRun(REPO, { jobs: [{ state: 'completed', conclusion: 'failure', ...job }] })).jobs[0]?.id ?? 0;
}

/** A log of so many megabytes, made while it is sent, of lines of a hundred bytes unless told otherwise. */
function big(megabytes: number, piece = `${'x'.repeat(99)}\n`.repeat(1_000)): () => Iterable<string> {
  return function* () {
    for (let sent = 0; sent < megabytes * MB; sent += piece.length) yield piece;
  };
}

function portOf(options: Partial<GitHubOptions> = {}): GitHubPort {
  return createGitHub({ baseUrl: server.url, token: () => new Secret(server.token), ...options });
}

/** A port whose GitHub refers to this address, where the answer is this, or the one that is really there. */
function referringTo(location: string, respond?: () => Response, timeoutMs?: number): GitHubPort {
  return portOf({
    baseUrl: 'https://api.test',
    ...(timeoutMs !== undefined && { timeoutMs }),
    async fetch(input, init) {
      const url = input instanceof Request ? input.url : String(input);
      if (url.startsWith('https://api.test')) return new Response(null, { status: 302, headers: { location } });
      return respond?.() ?? fetch(input, init);
    },
  });
}

async function serve(answer: RequestListener): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const host = createServer(answer);
  await new Promise<void>((resolve) => {
    host.listen(0, '127.0.0.1', resolve);
  });
  const address = host.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        host.close(() => resolve());
        host.closeAllConnections();
      }),
  };
}
