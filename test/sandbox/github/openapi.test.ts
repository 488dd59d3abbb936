// Holds every kind of answer of the make-believe GitHub to GitHub's own OpenAPI description. The one exception is
// `GET …/actions/runners/deprecations/{version}`, which the description does not have; rest.test.ts says what was measured of it.

import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { afterAll, expect, test } from 'vitest';
import { startGitHub } from '../../../src/sandbox/github/server.ts';
import { ask, type Answered, type AskOptions } from './ask.ts';
import extract from './generated/openapi-extract.json' with { type: 'json' };
import { signJwt } from './jwt.ts';

type Endpoint = keyof typeof extract.answers;
type Case = readonly [endpoint: Endpoint, request: string, status: number, options?: AskOptions];

const github = await startGitHub({ repositories: ['octo/app', 'octo/old'], organizations: ['octo'] });
afterAll(() => github.close());

github.renameRepository('octo/old', 'octo/new');
github.setRuns('octo/app', { queued: 1, completed: 1 });
const app = github.addApp();
const now = Math.floor(Date.now() / 1000);
const jwt = signJwt({ iss: app.appId, iat: now - 60, exp: now + 60 }, app.privateKey);
const idle = github.addRunner('octo/app', { name: 'idle', labels: ['bpf'] }).id;
const busy = github.addRunner('octo/app', { name: 'busy', shown: { status: 'online', busy: true } }).id;
const idleOfOrganization = github.addRunner('octo', { name: 'idle', group: 'builders' }).id;
const busyOfOrganization = github.addRunner('octo', { name: 'busy', shown: { status: 'online', busy: true } }).id;
const runs = await ask<{ workflow_runs: { id: number }[] }>(github, 'GET /repos/octo/app/actions/runs');
const [completed, queued] = runs.body.workflow_runs.map(({ id }) => id);
const started = github.queueRun('octo/app', {
  jobs: [{ state: 'completed' }, { state: 'in_progress' }, { labels: ['self-hosted', 'bpf'] }],
});
const waitingJob = github.run(started).jobs[2]?.id;
const rich = github.queueRun('octo/app', {
  jobs: [{ state: 'waiting' }, { state: 'pending' }, { state: 'requested' }, { state: 'completed', conclusion: 'skipped' }],
  branch: null,
  pullRequests: [3],
  headRepository: 'eve/app',
  attempt: 2,
});
const forced = github.queueRun('octo/app', { jobs: [] });
const grouped = github.queueRun('octo/app', { jobs: [], concurrencyGroup: 'deploy' });
const zombie = github.queueRun('octo/app', { jobs: [], zombie: 'failing' });
const old = github.queueRun('octo/app', { jobs: [{ state: 'completed' }], agoMs: 31 * 86_400_000 });
const tired = github.queueRun('octo/app', { jobs: [{ state: 'completed' }], attempt: 51 });
const failing = {
  state: 'completed',
  conclusion: 'failure',
  runner: 'GitHub Actions 12',
  annotations: [{ level: 'failure', message: 'It broke.' }],
} as const;
const failed = github.queueRun('octo/app', { jobs: [failing, { state: 'completed' }] });
const failedToo = github.queueRun('octo/app', { jobs: [failing, { ...failing, logIs: 'expired' }] });
const [failedJob, expiredJob] = github.run(failedToo).jobs.map(({ id }) => id);
github.addTag('octo/app', 'v1.0');
github.addAction('acme/tool', 'v1', ['action.yml', 'dist/index.js']);

const labelsOf = (method: string, scope: string, id: number): string => `${method} /${scope}/actions/runners/${id}/labels`;

const CASES: readonly Case[] = [
  ['GET /', 'GET /', 200],
  ['GET /versions', 'GET /versions', 200, { token: null }],
  ['GET /rate_limit', 'GET /rate_limit', 200],
  ['GET /user', 'GET /user', 200],
  ['GET /user', 'GET /user', 401, { token: null }],
  ['GET /repos/{owner}/{repo}/commits/{ref}/check-runs', 'GET /repos/octo/app/commits/HEAD/check-runs', 200],
  ['GET /repos/{owner}/{repo}', 'GET /repos/octo/app', 200],
  ['GET /repos/{owner}/{repo}', 'GET /repos/octo/old', 301],
  ['GET /repos/{owner}/{repo}', 'GET /repos/octo/missing', 404],
  ['GET /repos/{owner}/{repo}/actions/runners', 'GET /repos/octo/app/actions/runners', 200],
  ['GET /repos/{owner}/{repo}/actions/runners/{runner_id}', `GET /repos/octo/app/actions/runners/${idle}`, 200],
  ['GET /repos/{owner}/{repo}/actions/runners/downloads', 'GET /repos/octo/app/actions/runners/downloads', 200],
  ['DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}', `DELETE /repos/octo/app/actions/runners/${busy}`, 422],
  [
    'POST /repos/{owner}/{repo}/actions/runners/{runner_id}/labels',
    labelsOf('POST', 'repos/octo/app', busy),
    200,
    { body: { labels: ['a'] } },
  ],
  [
    'POST /repos/{owner}/{repo}/actions/runners/{runner_id}/labels',
    labelsOf('POST', 'repos/octo/app', busy),
    422,
    { body: { labels: [] } },
  ],
  [
    'PUT /repos/{owner}/{repo}/actions/runners/{runner_id}/labels',
    labelsOf('PUT', 'repos/octo/app', busy),
    200,
    { body: { labels: ['b'] } },
  ],
  ['DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}/labels', labelsOf('DELETE', 'repos/octo/app', idle), 200],
  ['DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}/labels', labelsOf('DELETE', 'repos/octo/app', 1), 404],
  [
    'POST /orgs/{org}/actions/runners/{runner_id}/labels',
    labelsOf('POST', 'orgs/octo', busyOfOrganization),
    200,
    { body: { labels: ['a'] } },
  ],
  ['PUT /orgs/{org}/actions/runners/{runner_id}/labels', labelsOf('PUT', 'orgs/octo', busyOfOrganization), 200, { body: { labels: [] } }],
  ['DELETE /orgs/{org}/actions/runners/{runner_id}/labels', labelsOf('DELETE', 'orgs/octo', busyOfOrganization), 200],
  ['DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}', `DELETE /repos/octo/app/actions/runners/${idle}`, 204],
  ['POST /repos/{owner}/{repo}/actions/runners/registration-token', 'POST /repos/octo/app/actions/runners/registration-token', 201],
  ['POST /repos/{owner}/{repo}/actions/runners/remove-token', 'POST /repos/octo/app/actions/runners/remove-token', 201],
  ['GET /repos/{owner}/{repo}/actions/runs', 'GET /repos/octo/app/actions/runs?status=queued', 200],
  ['GET /repos/{owner}/{repo}/actions/runs/{run_id}', `GET /repos/octo/app/actions/runs/${queued}`, 200],
  ['GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs', `GET /repos/octo/app/actions/runs/${started}/jobs?filter=latest`, 200],
  [
    'GET /repos/{owner}/{repo}/actions/runs/{run_id}/concurrency_groups',
    `GET /repos/octo/app/actions/runs/${grouped}/concurrency_groups`,
    200,
  ],
  ['GET /repos/{owner}/{repo}/actions/runs/{run_id}/concurrency_groups', 'GET /repos/octo/app/actions/runs/1/concurrency_groups', 404],
  ['GET /repos/{owner}/{repo}/actions/concurrency_groups', 'GET /repos/octo/app/actions/concurrency_groups', 200],
  ['GET /repos/{owner}/{repo}/actions/jobs/{job_id}', `GET /repos/octo/app/actions/jobs/${waitingJob}`, 200],
  ['POST /repos/{owner}/{repo}/actions/runs/{run_id}/cancel', `POST /repos/octo/app/actions/runs/${queued}/cancel`, 202],
  ['POST /repos/{owner}/{repo}/actions/runs/{run_id}/cancel', `POST /repos/octo/app/actions/runs/${completed}/cancel`, 409],
  ['GET /repos/{owner}/{repo}/actions/runs/{run_id}', `GET /repos/octo/app/actions/runs/${rich}`, 200],
  ['GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs', `GET /repos/octo/app/actions/runs/${rich}/jobs?filter=all`, 200],
  ['GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs', 'GET /repos/octo/app/actions/workflows/1/runs?status=completed', 200],
  ['POST /repos/{owner}/{repo}/actions/runs/{run_id}/force-cancel', `POST /repos/octo/app/actions/runs/${forced}/force-cancel`, 202],
  ['POST /repos/{owner}/{repo}/actions/runs/{run_id}/force-cancel', `POST /repos/octo/app/actions/runs/${completed}/force-cancel`, 409],
  ['POST /repos/{owner}/{repo}/actions/runs/{run_id}/rerun', `POST /repos/octo/app/actions/runs/${completed}/rerun`, 201],
  ['GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs', `GET /repos/octo/app/actions/runs/${failed}/jobs`, 200],
  [
    'POST /repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs',
    `POST /repos/octo/app/actions/runs/${failed}/rerun-failed-jobs`,
    201,
  ],
  ['GET /repos/{owner}/{repo}/actions/jobs/{job_id}/logs', `GET /repos/octo/app/actions/jobs/${failedJob}/logs`, 302],
  ['GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations', `GET /repos/octo/app/check-runs/${failedJob}/annotations`, 200],
  ['POST /repos/{owner}/{repo}/actions/jobs/{job_id}/rerun', `POST /repos/octo/app/actions/jobs/${failedJob}/rerun`, 201],
  ['POST /repos/{owner}/{repo}/actions/jobs/{job_id}/rerun', `POST /repos/octo/app/actions/jobs/${failedJob}/rerun`, 403],
  ['GET /repos/{owner}/{repo}/git/matching-refs/{ref}', 'GET /repos/octo/app/git/matching-refs/tags/v1', 200],
  ['GET /repos/{owner}/{repo}/contents/{path}', 'GET /repos/acme/tool/contents?ref=v1', 200],
  ['GET /repos/{owner}/{repo}/contents/{path}', 'GET /repos/acme/tool/contents/dist/index.js?ref=v1', 200],
  ['GET /repos/{owner}/{repo}/contents/{path}', 'GET /repos/acme/tool/contents/src?ref=v1', 404],
  ['GET /repos/{owner}/{repo}/contents/{path}', 'GET /repos/octo/app/contents/src', 200],
  ['GET /orgs/{org}/actions/runners', 'GET /orgs/octo/actions/runners', 200],
  ['GET /orgs/{org}/actions/runners/{runner_id}', `GET /orgs/octo/actions/runners/${busyOfOrganization}`, 200],
  ['GET /orgs/{org}/actions/runners/downloads', 'GET /orgs/octo/actions/runners/downloads', 200],
  ['GET /orgs/{org}/actions/runner-groups', 'GET /orgs/octo/actions/runner-groups', 200],
  ['GET /orgs/{org}/actions/runner-groups', 'GET /orgs/octo/actions/runner-groups?visible_to_repository=app', 200],
  ['DELETE /orgs/{org}/actions/runners/{runner_id}', `DELETE /orgs/octo/actions/runners/${busyOfOrganization}`, 422],
  ['DELETE /orgs/{org}/actions/runners/{runner_id}', `DELETE /orgs/octo/actions/runners/${idleOfOrganization}`, 204],
  ['POST /orgs/{org}/actions/runners/registration-token', 'POST /orgs/octo/actions/runners/registration-token', 201],
  ['POST /orgs/{org}/actions/runners/remove-token', 'POST /orgs/octo/actions/runners/remove-token', 201],
  [
    'POST /app/installations/{installation_id}/access_tokens',
    `POST /app/installations/${app.installationId}/access_tokens`,
    201,
    { token: jwt },
  ],
  ['POST /app/installations/{installation_id}/access_tokens', `POST /app/installations/${app.installationId}/access_tokens`, 401],
  ['POST /app/installations/{installation_id}/access_tokens', 'POST /app/installations/1/access_tokens', 404, { token: jwt }],
];

const BASIC_ERROR = { $ref: '#/definitions/basic-error' };

/** Refusals that GitHub may give at any endpoint, and does not describe at each. */
const REFUSALS: readonly (readonly [request: string, status: number, options?: AskOptions])[] = [
  ['GET /repos/octo/app/actions/runners', 400, { headers: { 'x-github-api-version': '2020-01-01' } }],
  ['GET /repos/octo/app/actions/runners', 401, { token: null }],
  ['GET /repos/octo/app/actions/runners', 401, { token: 'wrong' }],
  ['GET /repos/octo/app/actions/runners', 403, { token: github.addToken({ permissions: {} }) }],
  ['GET /repos/octo/app/actions/runners', 403, { token: github.addToken({ limit: 0 }) }],
  ['GET /repos/octo/app/actions/runners', 404, { token: github.addToken({ sees: [] }) }],
  ['GET /repos/octo/app/actions/runners/1', 404],
  ['GET /repos/octo/app/', 404],
  ['GET /repos/octo/app/actions/runs?created=yesterday', 422],
  [`POST /repos/octo/app/actions/runs/${zombie}/cancel`, 500],
  [`POST /repos/octo/app/actions/runs/${zombie}/rerun`, 403],
  [`POST /repos/octo/app/actions/runs/${old}/rerun`, 403],
  [`POST /repos/octo/app/actions/runs/${tired}/rerun`, 403],
  [`POST /repos/octo/app/actions/runs/${tired}/rerun-failed-jobs`, 403],
  [`GET /repos/octo/app/actions/jobs/${waitingJob}/logs`, 404],
  [`GET /repos/octo/app/actions/jobs/${expiredJob}/logs`, 410],
];

test('every endpoint of the description is asked', () => {
  expect(new Set(CASES.map(([endpoint]) => endpoint))).toEqual(new Set(Object.keys(extract.answers)));
});

for (const [endpoint, request, status, options] of CASES) {
  test(`${request} answers ${status} as described`, async () => {
    const described: Readonly<Record<string, object | null>> = extract.answers[endpoint];
    expect(Object.keys(described)).toContain(String(status));
    const answered = await ask(github, request, options);
    expect(answered.status).toBe(status);
    expect(deviations(described[status] ?? null, answered)).toEqual([]);
  });
}

for (const [request, status, options] of REFUSALS) {
  test(`${request} answers ${status} as any endpoint may`, async () => {
    const answered = await ask(github, request, options);
    expect(answered.status).toBe(status);
    expect(deviations(BASIC_ERROR, answered)).toEqual([]);
  });
}

test('a run whose fork was deleted differs from the description in that alone', async () => {
  const orphan = github.queueRun('octo/app', { jobs: [], headRepository: null });
  const answered = await ask(github, `GET /repos/octo/app/actions/runs/${orphan}`);
  const described = extract.answers['GET /repos/{owner}/{repo}/actions/runs/{run_id}'][200];
  expect(deviations(described, answered)).toMatchObject([{ instancePath: '/head_repository', params: { type: 'object' } }]);
});

test.each([401, 403, 404, 429, 500, 503])('on a bad day %i is answered as described', async (status) => {
  const end = github.misbehave({ status });
  const answered = await ask(github, 'GET /rate_limit');
  end();
  expect(answered.status).toBe(status);
  expect(deviations(BASIC_ERROR, answered)).toEqual([]);
});

test.each([
  { kind: 'primary-limit', resetMs: 60_000, status: 403 },
  { kind: 'primary-limit', resetMs: 60_000, status: 429 },
  { kind: 'secondary-limit', lastsMs: 60_000, namesEnd: true, status: 403 },
  { kind: 'secondary-limit', lastsMs: 60_000, namesEnd: false, status: 429 },
] as const)('a limit is answered as described: $kind $status', async (fault) => {
  const token = github.addToken();
  github.misbehave({ fault, times: 1 });
  for (const _ of ['the first', 'the next']) {
    const answered = await ask(github, 'GET /repos/octo/app/actions/runners', { token });
    expect(answered.status).toBe(fault.status);
    expect(deviations(BASIC_ERROR, answered)).toEqual([]);
  }
});

test('what GitHub does not describe is found', () => {
  const label = { $ref: '#/definitions/runner-label' };
  expect(deviations(label, { text: '{}', body: { name: 'bpf', type: 'custom' } })).toEqual([]);
  expect(deviations(label, { text: '{}', body: { name: 'bpf', colour: 'red' } })).toMatchObject([
    { params: { additionalProperty: 'colour' } },
  ]);
  expect(deviations(label, { text: '{}', body: { type: 'custom' } })).toMatchObject([{ params: { missingProperty: 'name' } }]);
  expect(deviations(label, { text: '', body: undefined })).toHaveLength(1);
  expect(deviations(null, { text: '{}', body: {} })).toHaveLength(1);
});

/** @param schema `null`: no content */
function deviations(schema: object | null, { body, text }: Pick<Answered<unknown>, 'body' | 'text'>): readonly unknown[] {
  if (schema === null) return text === '' ? [] : [`content where none is described: ${text}`];
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
  addFormats.default(ajv);
  const validate = ajv.compile(closed({ ...schema, definitions: extract.definitions }) as object);
  return validate(body) ? [] : (validate.errors ?? []);
}

/** The same schema without room for fields that it does not name. */
function closed(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(closed);
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in schema && 'type' in schema && !('additionalProperties' in schema)
    ? { ...inner, additionalProperties: false }
    : inner;
}
