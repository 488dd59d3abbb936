// Packages on the computer that owns the machines.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PackageOffer } from '../../src/domain/package.ts';
import { openHostPackages } from '../../src/machine/host-packages.ts';
import { PackageError, type PackagePort } from '../../src/machine/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';

const FILENAME = 'actions-runner-linux-x64-2.337.0.tar.gz';
const CALL = { signal: new AbortController().signal, heartbeat: () => {} };
let server: SandboxGitHub;
let folder: string;
let packages: PackagePort;

beforeEach(async () => {
  server = await startGitHub();
  folder = join(mkdtempSync(join(tmpdir(), 'runward-host-packages-')), 'packages');
  packages = openHostPackages({ folder });
});
afterEach(async () => {
  await server.close();
  rmSync(join(folder, '..'), { recursive: true });
});

function offer(changes: Partial<PackageOffer> = {}): PackageOffer {
  const filename = changes.filename ?? FILENAME;
  const address = server.packages.addressOf(filename, '2.337.0');
  return { version: '2.337.0', filename, address, sha256: server.packages.sha256Of(filename), ...changes };
}

const failureOf = (wanted: PackageOffer, port = packages): Promise<unknown> =>
  port.archiveOf(wanted, CALL).then(
    () => 'none',
    (error: unknown) => (error instanceof PackageError ? error.message : error),
  );

test('are downloaded once, without credentials, and readable to nobody else', async () => {
  const [one, other] = await Promise.all([packages.archiveOf(offer(), CALL), packages.archiveOf(offer(), CALL)]);
  expect(one).toEqual({ path: join(folder, FILENAME), bytes: server.packages.archiveOf(FILENAME).length });
  expect(other).toEqual(one);
  expect(readFileSync(one.path)).toEqual(server.packages.archiveOf(FILENAME));
  expect([statSync(folder).mode & 0o777, statSync(one.path).mode & 0o777]).toEqual([0o700, 0o600]);
  expect(server.packageRequests).toEqual([expect.objectContaining({ status: 200, isAuthorized: false })]);
});

test('are downloaded anew if the file is not what it must be, and older ones of the same architecture go', async () => {
  for (const version of ['2.335.0', '2.336.0']) {
    await packages.archiveOf(offer({ version, filename: FILENAME.replace('2.337.0', version) }), CALL);
  }
  await packages.archiveOf(offer({ filename: FILENAME.replace('x64', 'arm64') }), CALL);
  await packages.archiveOf(offer(), CALL);
  expect(readdirSync(folder).toSorted()).toEqual([FILENAME.replace('x64', 'arm64'), FILENAME]);
  writeFileSync(join(folder, FILENAME), 'x');
  await packages.archiveOf(offer(), CALL);
  expect(readFileSync(join(folder, FILENAME))).toEqual(server.packages.archiveOf(FILENAME));
});

test('with other bytes are refused, and leave nothing', async () => {
  expect(await failureOf(offer({ sha256: '0'.repeat(64) }))).toMatch(/has the SHA-256 [0-9a-f]{64}, and must have 0{64}$/);
  expect(readdirSync(folder)).toEqual([]);
  server.misbehave({ match: { path: FILENAME }, status: 404, times: 1 });
  expect(await failureOf(offer())).toMatch(/answered 404$/);
  server.misbehave({ match: { path: FILENAME }, fault: { kind: 'cut' }, times: 3 });
  expect(await failureOf(offer())).toMatch(/terminated|closed|aborted/);
  expect(readdirSync(folder)).toEqual([]);
});

test('that are cut off are tried again', async () => {
  server.misbehave({ match: { path: FILENAME }, fault: { kind: 'cut' }, times: 2 });
  expect(await packages.archiveOf(offer(), CALL)).toMatchObject({ path: join(folder, FILENAME) });
});

test('come over https alone, but for this computer and the server that configuration names, also if an address leads on', async () => {
  const follows = (first: string, next: string): PackagePort =>
    openHostPackages({
      folder,
      trustedOrigin: 'http://ghe.test',
      fetch: async (url) =>
        url === first ? new Response(null, { status: 302, headers: { location: next } }) : new Response('x', { status: 404 }),
    });
  expect(await failureOf(offer({ address: 'http://example.com/x' }))).toBe('http://example.com is no https address');
  expect(await failureOf(offer({ address: 'file:///etc/shadow' }))).toMatch(/is no https address$/);
  const first = 'https://example.com/x';
  expect(await failureOf(offer({ address: first }), follows(first, 'http://example.org/x'))).toBe('http://example.org is no https address');
  expect(await failureOf(offer({ address: first }), follows(first, 'http://ghe.test/x'))).toMatch(/answered 404$/);
  expect(await failureOf(offer({ address: first }), follows(first, first))).toBe(`${first} leads on more than 5 times`);
});

test('of configuration are read where they are, and counted', async () => {
  const file = join(folder, '..', FILENAME);
  const own = openHostPackages({ folder, file });
  expect(await failureOf(offer({ address: null }), own)).toBe(`there is no file ${file} on this host`);
  writeFileSync(file, 'other');
  expect(await failureOf(offer({ address: null }), own)).toMatch(/has the SHA-256 .*, and must have/);
  writeFileSync(file, server.packages.archiveOf(FILENAME));
  expect(await own.archiveOf(offer({ address: null }), CALL)).toMatchObject({ path: file });
});

test.each(['../../etc/passwd', 'actions-runner-linux-x64-2.337.0.tar.gz/x', ''])('have no other name, such as %j', async (filename) => {
  expect(await failureOf({ ...offer(), filename })).toBe(`${filename} is no name of a package`);
});
