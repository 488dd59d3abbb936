import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app'] });
  github.addAction('acme/Tool', 'v1', ['action.yml', 'save/action.yml', 'save/dist/index.js', 'savings.md']);
});
afterAll(() => github.close());

const list = (path: string): ReturnType<typeof ask<readonly { name: string; type: string }[]>> => ask(github, `GET /repos/${path}`);

test.each<[path: string, entries: readonly string[]]>([
  ['acme/tool/contents?ref=v1', ['action.yml file', 'save dir', 'savings.md file']],
  ['acme/tool/contents/?ref=v1', ['action.yml file', 'save dir', 'savings.md file']],
  ['acme/tool/contents/save?ref=v1', ['action.yml file', 'dist dir']],
  ['acme/tool/contents/save%2Fdist?ref=v1', ['index.js file']],
  ['acme/nobody-described-it/contents/any/folder?ref=any', ['action.yml file', 'index.js file']],
  ['octo/app/contents', ['action.yml file', 'index.js file']],
])('the folder %s holds %j', async (path, entries) => {
  expect((await list(path)).body.map(({ name, type }) => `${name} ${type}`)).toEqual(entries);
});

test('a file is no folder', async () => {
  expect((await list('acme/tool/contents/savings.md?ref=v1')).body).toMatchObject({ type: 'file', path: 'savings.md' });
});

test.each([
  ['acme/tool/contents/sav?ref=v1', 'Not Found'],
  ['acme/tool/contents?ref=v2', 'No commit found for the ref v2'],
  ['acme/tool/contents', 'No commit found for the ref main'],
])('%s is not there', async (path, message) => {
  expect(await list(path)).toMatchObject({ status: 404, body: { message } });
});

test('what is unchanged is answered by 304', async () => {
  const etag = (await list('acme/tool/contents?ref=v1')).headers.get('etag') ?? '';
  expect((await ask(github, 'GET /repos/acme/tool/contents?ref=v1', { headers: { 'if-none-match': etag } })).status).toBe(304);
});
