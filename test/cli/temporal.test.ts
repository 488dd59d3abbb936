// A Temporal that is not there, or says nothing.

import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import type { CommandFailure } from '../../src/cli/exit.ts';
import type { Invocation } from '../../src/cli/invocation.ts';
import { withTemporal } from '../../src/cli/temporal.ts';

afterEach(() => vi.restoreAllMocks());

function invocation(address: string): Invocation {
  const env = { TEMPORAL_ADDRESS: address };
  return { env, cwd: '/', platform: 'linux', homedir: '/nowhere', interrupted: new AbortController().signal };
}

/** How it failed, and what was said before. */
async function fail(address: string, connectTimeoutMs: number): Promise<{ readonly failure: CommandFailure; readonly said: string }> {
  let said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  const failure: unknown = await withTemporal(invocation(address), () => Promise.reject(new Error('was used')), { connectTimeoutMs }).catch(
    (error: unknown) => error,
  );
  return { failure: failure as CommandFailure, said };
}

const FAR_LONGER_THAN_A_TEST_MS = 3_600_000;

test('a port that refuses is known at once, whatever the time for a connection', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  expect(await fail(`127.0.0.1:${port}`, FAR_LONGER_THAN_A_TEST_MS)).toMatchObject({
    failure: {
      exitCode: 3,
      code: 'temporal-unreachable',
      message: `Temporal does not answer at 127.0.0.1:${port} (from TEMPORAL_ADDRESS): start it with \`runward up\`, or set TEMPORAL_ADDRESS.`,
    },
    said: '',
  });
});

test('a name that nobody knows is told', async () => {
  const { failure } = await fail('temporal.invalid:7233', FAR_LONGER_THAN_A_TEST_MS);
  expect(failure).toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(/\(from TEMPORAL_ADDRESS\), name resolution failed: start it/),
  });
});

test('a host that says nothing is said to be waited for, and given up', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const { failure, said } = await fail(`127.0.0.1:${port}`, 1_500);
  expect(failure).toMatchObject({ exitCode: 3, code: 'temporal-unreachable' });
  expect(said).toBe(`Waiting for Temporal at 127.0.0.1:${port} (from TEMPORAL_ADDRESS) …\n`);
  sockets.forEach((socket) => socket.destroy());
  silent.close();
});

test('an address that is none is a mistake of use', async () => {
  const { failure } = await fail('http://127.0.0.1:8233', FAR_LONGER_THAN_A_TEST_MS);
  expect(failure).toMatchObject({
    exitCode: 2,
    code: 'configuration',
    message: 'TEMPORAL_ADDRESS: found "http://127.0.0.1:8233"; allowed: host:port, such as 127.0.0.1:7233',
  });
});
