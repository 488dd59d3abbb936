// The package of the runner that GitHub offers, and its checksum, against the make-believe GitHub.

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PackageSource } from '../../src/domain/package.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
const FILENAME = 'actions-runner-linux-x64-2.337.0.tar.gz';
const GITHUB: PackageSource = { kind: 'github' };
let server: SandboxGitHub;
let github: GitHubPort;

beforeEach(async () => {
  server = await startGitHub({ repositories: ['octo/app'], organizations: ['octo'] });
  const token = new Secret(server.token);
  github = createGitHub({ baseUrl: server.url, token: () => token });
});
afterEach(() => server.close());

const find = async (source: PackageSource = GITHUB, architecture = 'x64', scope = 'octo/app') =>
  (await github.findPackage(scope, { architecture, source }, signal)).value;
const asked = (): readonly string[] => server.requests.map(({ path }) => path);

test.each(['octo/app', 'octo'])('is the newest for the guest that %s may download, with its checksum, by one request', async (scope) => {
  const address = `${server.url}/actions/runner/releases/download/v2.337.0/${FILENAME}`;
  const offer = { version: '2.337.0', filename: FILENAME, address, sha256: server.packages.sha256Of(FILENAME) };
  expect(await find(GITHUB, 'x64', scope)).toEqual({ kind: 'found', offer });
  expect(asked()).toEqual([`/${scope === 'octo' ? 'orgs' : 'repos'}/${scope}/actions/runners/downloads`]);
});

test.each(['x64', 'arm64', 'arm'])('is of the architecture %s', async (architecture) => {
  expect(await find(GITHUB, architecture)).toMatchObject({ offer: { filename: `actions-runner-linux-${architecture}-2.337.0.tar.gz` } });
});

test('has the digest of the asset if the list has no checksum', async () => {
  server.packages.hasChecksums = false;
  expect(await find()).toMatchObject({ kind: 'found', offer: { sha256: server.packages.sha256Of(FILENAME) } });
  expect(asked().at(-1)).toBe('/repos/actions/runner/releases/tags/v2.337.0');
});

test('is refused if GitHub names neither', async () => {
  server.packages.hasChecksums = false;
  server.packages.hasDigests = false;
  const why = `GitHub names no SHA-256 of ${FILENAME}, neither in its list of downloads nor of the release's asset`;
  expect(await find()).toEqual({ kind: 'not-found', why });
  const end = server.misbehave({ match: { path: '/releases/tags/' }, status: 404 });
  expect(await find()).toEqual({ kind: 'not-found', why });
  end();
  server.misbehave({ match: { path: '/releases/tags/' }, status: 502 });
  expect(await failureOf(find())).toMatchObject({ kind: 'unavailable' });
});

test('comes from a mirror with the checksum of GitHub', async () => {
  expect(await find({ kind: 'mirror', address: 'https://mirror.example.com/runner' })).toMatchObject({
    offer: { address: `https://mirror.example.com/runner/${FILENAME}`, sha256: server.packages.sha256Of(FILENAME) },
  });
});

test('is a file of the host, whose checksum configuration or GitHub has', async () => {
  const old = 'actions-runner-linux-x64-2.330.0.tar.gz';
  const file = { kind: 'file', path: `/srv/${old}`, sha256: null } as const;
  expect(await find(file)).toEqual({
    kind: 'found',
    offer: { version: '2.330.0', filename: old, address: null, sha256: server.packages.sha256Of(old) },
  });
  expect(asked().at(-1)).toBe('/repos/actions/runner/releases/tags/v2.330.0');
  expect(await find({ ...file, sha256: 'f'.repeat(64) })).toMatchObject({ offer: { sha256: 'f'.repeat(64) } });
  expect(await find(file, 'arm64')).toEqual({ kind: 'not-found', why: `${old} is for x64, and the guest is arm64` });
});

test.each(['../../etc/actions-runner.tar.gz', 'actions-runner-linux-x64-2.337.0.tar.gz/../x', 'actions-runner-linux-x64-.tar.gz', ''])(
  'has no other name than one of a package, such as %j',
  async (filename) => {
    server.misbehave({
      match: { path: '/downloads' },
      status: 200,
      body: [{ os: 'linux', architecture: 'x64', filename, download_url: 'https://example.com/x', sha256_checksum: '0'.repeat(64) }],
    });
    expect(await find()).toMatchObject({ kind: 'not-found' });
  },
);
