import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startUiProxy, type UiProxy } from '../../src/cli/ui-proxy.ts';

/** Answers as what it was asked. */
const ui = createServer((asked, answer) => {
  let body = '';
  asked.setEncoding('utf8').on('data', (text: string) => (body += text));
  asked.on('end', () =>
    answer.writeHead(201, { 'set-cookie': ['a=1', 'b=2'] }).end(`${asked.method} ${asked.url} ${asked.headers.host} ${body}`),
  );
});
let port: number;
let uiPort: number;
let proxy: UiProxy;

beforeAll(async () => {
  uiPort = await listen();
  port = await freePort();
  proxy = await startUiProxy({ host: '127.0.0.1', port }, { host: '127.0.0.1', port: uiPort });
});

afterAll(async () => {
  await proxy.close();
  ui.close();
});

async function listen(): Promise<number> {
  ui.listen(0, '127.0.0.1');
  await once(ui, 'listening');
  return (ui.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address() as AddressInfo;
  server.close();
  return free;
}

interface Asked {
  readonly method?: string;
  readonly host?: string;
  readonly origin?: string;
  readonly body?: string;
  readonly at?: number;
}

async function ask({ method = 'GET', host = `127.0.0.1:${port}`, origin, body = '', at = port }: Asked) {
  const headers = { host, 'content-length': body.length, ...(origin === undefined ? {} : { origin }) };
  const asked = request({ host: '127.0.0.1', port: at, path: '/a?b=c', method, headers, agent: false });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const parts: Buffer[] = await answer.toArray();
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts).toString() };
}

test('what the UI’s own pages ask gets there whole, and the answer back', async () => {
  expect(await ask({})).toMatchObject({
    status: 201,
    headers: { 'set-cookie': ['a=1', 'b=2'] },
    body: `GET /a?b=c 127.0.0.1:${uiPort} `,
  });
  for (const host of [`localhost:${port}`, `[::1]:${port}`]) {
    expect((await ask({ host, method: 'POST', origin: `http://${host}`, body: 'x' })).body).toBe(`POST /a?b=c 127.0.0.1:${uiPort} x`);
  }
});

test.each([
  ['another name', { host: 'evil.example.com' }],
  ['another name with the right port', { host: 'evil.example.com:PORT' }],
  ['a name that only begins like it', { host: 'localhost.evil.example.com:PORT' }],
  ['another port', { host: 'localhost:1' }],
  ['no port', { host: 'localhost' }],
  ['a user in front', { host: 'localhost@evil.example.com:PORT' }],
  ['a foreign page that reads', { origin: 'http://evil.example.com' }],
  ['a foreign page that writes', { method: 'POST', origin: 'http://evil.example.com' }],
  ['a page of another port', { method: 'POST', origin: 'http://127.0.0.1:1' }],
  ['a page of the other own name', { method: 'POST', origin: 'http://localhost:PORT' }],
  ['a page without an origin', { method: 'POST', origin: 'null' }],
  ['who says no origin and writes', { method: 'POST' }],
  ['who says no origin and deletes', { method: 'DELETE' }],
  ['a preflight', { method: 'OPTIONS', origin: 'http://evil.example.com' }],
] as const)('%s is refused', async (_, asked: Asked) => {
  const withPort = Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, value.replace('PORT', String(port))]));
  expect(await ask(withPort)).toMatchObject({ status: 403, body: expect.stringMatching(/^(Temporal's UI answers as|Only a page) /) });
});

test('a UI that is away is said, and asked again', async () => {
  ui.closeAllConnections();
  ui.close();
  expect(await ask({})).toMatchObject({ status: 502, body: "Temporal's UI does not answer: try again in a few seconds.\n" });
  ui.listen(uiPort, '127.0.0.1');
  await once(ui, 'listening');
  expect((await ask({})).status).toBe(201);
});

test('as a program it does the same, and ends when it is told to', async () => {
  const own = await freePort();
  const program = join(import.meta.dirname, '../../src/cli/ui-proxy-program.ts');
  const child = spawn(process.execPath, [program, '0.0.0.0', String(own), String(uiPort)], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  const asked = { at: own, host: `localhost:${own}` };
  while ((await ask(asked).catch(() => null)) === null) {
    await sleep(20);
  }
  expect((await ask(asked)).status).toBe(201);
  expect((await ask({ at: own, host: 'evil.example.com' })).status).toBe(403);
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});
