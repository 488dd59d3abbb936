// Whether an action holds what a runner has not found, against the make-believe GitHub.

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ActionPart } from '../../src/domain/cache-failure.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort, PartFound } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
const PART: ActionPart = { repository: 'acme/tool', ref: 'v1', folder: '', names: ['action.yml', 'action.yaml'] };

let server: SandboxGitHub;
let github: GitHubPort;

beforeEach(async () => {
  server = await startGitHub({ repositories: ['octo/app'] });
  server.addAction('acme/tool', 'v1', ['action.yaml', 'save/action.yml', 'src/lib/a b.js', 'link']);
  github = portOf(server.token);
});
afterEach(() => server.close());

function portOf(token: string): GitHubPort {
  return createGitHub({ baseUrl: server.url, token: () => new Secret(token) });
}

const find = async (part: Partial<ActionPart>): Promise<PartFound> =>
  (await github.findPart('octo/app', { ...PART, ...part }, signal)).value;
const asked = (): readonly string[] => server.requests.map(({ path }) => path);

test.each<[found: PartFound, part: Partial<ActionPart>, requests: number]>([
  ['there', {}, 1],
  ['there', { folder: 'save' }, 1],
  ['there', { folder: 'src/lib', names: ['a b.js'] }, 1],
  ['there', { folder: 'src', names: ['lib'] }, 1],
  ['absent', { names: ['index.js'] }, 1],
  ['absent', { names: ['Action.yml'] }, 1],
  ['absent', { folder: 'saev' }, 2],
  ['absent', { folder: 'dist', names: ['index.js'] }, 2],
  ['absent', { folder: 'save/dist/x', names: ['index.js'] }, 3],
  // What leads somewhere else may hold it.
  ['unclear', { folder: 'link' }, 1],
  ['unclear', { folder: 'link/dist', names: ['index.js'] }, 2],
  ['unclear', { ref: 'v2' }, 1],
  ['unclear', { ref: 'releases', folder: 'v1' }, 2],
])('%s: %j', async (found, part, requests) => {
  expect(await find(part)).toBe(found);
  expect(asked()).toHaveLength(requests);
});

test('a repository that is not seen is unclear', async () => {
  server.misbehave({ match: { path: '/repos/acme/tool/' }, status: 404 });
  expect(await find({ folder: 'saev' })).toBe('unclear');
});

test('a folder of which GitHub lists a part is unclear, but for what it lists', async () => {
  const files = Array.from({ length: 1_000 }, (_, n) => `dist/${n}.js`);
  server.addAction('acme/big', 'v1', files);
  expect(await find({ repository: 'acme/big', folder: 'dist', names: ['index.js'] })).toBe('unclear');
  expect(await find({ repository: 'acme/big', folder: 'dist', names: ['7.js'] })).toBe('there');
});

test('a public repository needs no permission', async () => {
  github = portOf(server.addToken({ permissions: {}, sees: ['octo/app'] }));
  expect(await find({ folder: 'saev' })).toBe('absent');
});

test('a refusal and a failure are no answers', async () => {
  const weak = portOf(server.addToken({ permissions: {} }));
  expect(await failureOf(weak.findPart('octo/app', { ...PART, repository: 'octo/app' }, signal))).toMatchObject({
    kind: 'rejected',
    status: 403,
  });
  server.misbehave({ match: { path: '/contents' }, status: 502 });
  expect(await failureOf(github.findPart('octo/app', PART, signal))).toMatchObject({ kind: 'unavailable' });
});

test('what is unchanged costs nothing of the hour', async () => {
  await find({});
  await find({});
  expect(server.requests.map(({ status }) => status)).toEqual([200, 304]);
});
