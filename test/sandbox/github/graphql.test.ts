// The GraphQL API of the make-believe GitHub, by GitHub's own words for what it does not give.

import { afterAll, expect, test } from 'vitest';
import { startGitHub } from '../../../src/sandbox/github/server.ts';
import { ask, type Answered, type AskOptions } from './ask.ts';

const github = await startGitHub({ repositories: ['octo/app'] });
afterAll(() => github.close());

github.addTag('octo/app', 'v1');
const run = github.queueRun('octo/app', {
  jobs: [
    {
      state: 'completed',
      conclusion: 'failure',
      annotations: [
        { level: 'failure', message: 'It broke.' },
        { level: 'warning', message: 'It creaked.' },
      ],
    },
    { state: 'completed' },
  ],
});
const jobs = await ask<{ jobs: { node_id: string }[] }>(github, `GET /repos/octo/app/actions/runs/${run}/jobs`);
const [broken = '', fine = ''] = jobs.body.jobs.map(({ node_id }) => node_id);

const REFS =
  'query ($o: String!, $t: String!) { repository(owner: $o, name: "app") { defaultBranchRef { name prefix } ref(qualifiedName: $t) { name } } }';
const NOTES =
  'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on CheckRun { id annotations(first: 1) { nodes { annotationLevel message } } } } }';

test('refs of a repository, by their whole names', async () => {
  const main = { name: 'main', prefix: 'refs/heads/' };
  const there = await query(REFS, { o: 'octo', t: 'refs/tags/v1' });
  expect([there.status, there.body]).toEqual([200, { data: { repository: { defaultBranchRef: main, ref: { name: 'v1' } } } }]);
  for (const t of ['refs/tags/v', 'v1', 'refs/heads/v1']) {
    expect((await query(REFS, { o: 'octo', t })).body).toEqual({ data: { repository: { defaultBranchRef: main, ref: null } } });
  }
});

test('annotations of several check runs, whose node ids are their jobs', async () => {
  expect((await query(NOTES, { ids: [broken, fine] })).body).toEqual({
    data: {
      nodes: [
        { id: broken, annotations: { nodes: [{ annotationLevel: 'FAILURE', message: 'It broke.' }] } },
        { id: fine, annotations: { nodes: [] } },
      ],
    },
  });
});

test('an Enterprise Server has it beside the REST API', async () => {
  const asked = await ask(github, 'POST /api/graphql', { body: { query: REFS, variables: { o: 'octo', t: 'refs/tags/v1' } } });
  expect(asked.body).toMatchObject({ data: { repository: { ref: { name: 'v1' } } } });
});

test('is counted by itself', async () => {
  const token = github.addToken();
  const told = await query(NOTES, { ids: [fine] }, { token });
  expect([told.headers.get('x-ratelimit-resource'), told.headers.get('x-ratelimit-used')]).toEqual(['graphql', '1']);
  expect((await ask(github, 'GET /repos/octo/app', { token })).headers.get('x-ratelimit-used')).toBe('1');
});

test('what the token may not read is null, and told', async () => {
  const token = github.addToken({ permissions: { actions: 'read' } });
  const message = 'Resource not accessible by personal access token';
  expect((await query(NOTES, { ids: [broken] }, { token })).body).toEqual({
    data: { nodes: [null] },
    errors: [{ type: 'FORBIDDEN', path: ['nodes', '0'], message }],
  });
  expect((await query(REFS, { o: 'octo', t: 'refs/tags/v1' }, { token })).body).toMatchObject({
    data: { repository: { defaultBranchRef: null, ref: null } },
    errors: [
      { type: 'FORBIDDEN', path: ['repository', 'defaultBranchRef'] },
      { type: 'FORBIDDEN', path: ['repository', 'ref'] },
    ],
  });
});

test('what is not there is null, and told', async () => {
  expect((await query(REFS, { o: 'eve', t: 'x' })).body).toMatchObject({ data: { repository: null }, errors: [{ type: 'NOT_FOUND' }] });
  expect((await query(NOTES, { ids: ['CR_x'] })).body).toMatchObject({ data: { nodes: [null] }, errors: [{ type: 'NOT_FOUND' }] });
  const blind = { token: github.addToken({ sees: [] }) };
  expect((await query(NOTES, { ids: [broken] }, blind)).body).toMatchObject({ data: { nodes: [null] }, errors: [{ type: 'NOT_FOUND' }] });
});

test.each([
  [
    'a field that does not exist',
    'query { repository(owner: "octo", name: "app") { colour } }',
    "Field 'colour' doesn't exist on type 'Repository'",
  ],
  ['a variable that is missing', 'query ($t: String!) { repository(owner: "octo", name: $x) { id } }', 'Variable $x'],
  ['what does not end', 'query { repository(owner: "octo", name: "app") {', 'Unexpected end'],
  ['two in one', 'query { nodes(ids: "x") { id } } query', 'Unexpected query'],
])('a query with %s is answered by an error', async (_what, text, message) => {
  const answered = await query(text, {});
  expect([answered.status, answered.body]).toMatchObject([200, { errors: [{ message: expect.stringContaining(message) }] }]);
});

test('nobody is answered without a token', async () => {
  expect((await query(REFS, { o: 'octo', t: 'x' }, { token: null })).status).toBe(401);
});

function query(text: string, variables: object, options: AskOptions = {}): Promise<Answered<unknown>> {
  return ask<unknown>(github, 'POST /graphql', { ...options, body: { query: text, variables } });
}
