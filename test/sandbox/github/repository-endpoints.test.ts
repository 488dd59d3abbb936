import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app', 'octo/bare'] });
  for (const name of ['v1.0', 'v1.10', 'release/2', 'v2.0']) github.addTag('octo/app', name);
});
afterAll(() => github.close());

test.each([
  ['tags/v1', ['refs/tags/v1.0', 'refs/tags/v1.10']],
  ['tags/v1.1', ['refs/tags/v1.10']],
  ['tags%2Frelease%2F2', ['refs/tags/release/2']],
  ['tags/release/', ['refs/tags/release/2']],
  ['tags/', ['refs/tags/release/2', 'refs/tags/v1.0', 'refs/tags/v1.10', 'refs/tags/v2.0']],
  ['tags/V1', []],
  ['heads/v1', []],
])('refs that begin with %s', async (ref, refs) => {
  const { body } = await ask<{ ref: string }[]>(github, `GET /repos/octo/app/git/matching-refs/${ref}`);
  expect(body.map((found) => found.ref)).toEqual(refs);
});

test('tags are of one repository', async () => {
  expect((await ask(github, 'GET /repos/octo/bare/git/matching-refs/tags/v1')).body).toEqual([]);
});
