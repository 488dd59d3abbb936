import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import type { JobOptions } from '../../../src/sandbox/github/run.ts';
import { ask, type Answered } from './ask.ts';

let github: SandboxGitHub;
let scope: string;
let number = 0;

beforeAll(async () => {
  github = await startGitHub();
});
afterAll(() => github.close());
beforeEach(() => {
  number += 1;
  scope = `octo/app-${number}`;
  github.addRepository(scope);
});

describe('the log of a job', () => {
  test('is at another origin, with a time stamp in each line', async () => {
    const log = await logOf({ log: 'one\ntwo' });
    const address = new URL(log.headers.get('location') ?? '');
    expect([log.status, log.text, address.origin === github.url]).toEqual([302, '', false]);
    const answer = await fetch(address);
    expect([answer.status, new TextDecoder('utf-8', { ignoreBOM: true }).decode(await answer.arrayBuffer())]).toEqual([
      200,
      expect.stringMatching(/^\uFEFF\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z one\n\d{4}-[^ ]+Z two\n$/),
    ]);
  });

  test('is refused to whoever shows credentials, as at Azure', async () => {
    const address = (await logOf({})).headers.get('location') ?? '';
    const before = github.logRequests.length;
    const answer = await fetch(address, { headers: { authorization: `Bearer ${github.token}` } });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([403, 'application/xml']);
    expect(await answer.text()).toContain('<Code>AuthenticationFailed</Code>');
    expect(github.logRequests.slice(before)).toEqual([{ path: new URL(address).pathname, status: 403, isAuthorized: true, bytes: 0 }]);
  });

  test('is at its address for a minute', async () => {
    const address = (await logOf({})).headers.get('location') ?? '';
    github.advance(59_000);
    expect((await fetch(address)).status).toBe(200);
    github.advance(2_000);
    expect((await fetch(address)).status).toBe(403);
    expect((await fetch(address.replace(/sig=.*/, 'sig=guessed'))).status).toBe(403);
  });

  test.each([
    ['does not exist before the job is completed', { state: 'in_progress' }, 404],
    ['does not exist where the job was skipped', { conclusion: 'skipped' }, 404],
    ['may be expired', { logIs: 'expired' }, 410],
  ] as const)('%s', async (_, job, status) => {
    expect((await logOf(job)).status).toBe(status);
  });

  test('may be lost where the answer leads', async () => {
    const answer = await fetch((await logOf({ logIs: 'lost' })).headers.get('location') ?? '');
    expect([answer.status, await answer.text()]).toEqual([404, expect.stringContaining('<Code>BlobNotFound</Code>')]);
  });

  test('is made no faster than it is read', async () => {
    let made = 0;
    const log = function* (): Generator<string> {
      for (; made < 1_000; made += 1) yield 'x'.repeat(100_000);
    };
    const answer = await fetch((await logOf({ log })).headers.get('location') ?? '');
    const reader = answer.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await expect.poll(() => github.logRequests.at(-1)?.bytes ?? 0).toBeGreaterThan(0);
    expect(made).toBeLessThan(200);
  });

  test.each([
    ['cut', { kind: 'cut' }],
    ['lost', { kind: 'lost' }],
  ] as const)('is %s on a bad day', async (_, fault) => {
    const address = (await logOf({ log: 'one\n'.repeat(1_000) })).headers.get('location') ?? '';
    const end = github.misbehave({ match: { path: '/logs/' }, fault });
    await expect(fetch(address).then((answer) => answer.text())).rejects.toThrow(/fetch failed|terminated/);
    end();
  });
});

test('annotations are those of the job, in pages', async () => {
  const annotations = Array.from({ length: 3 }, (_, index) => ({ level: 'failure' as const, message: `problem ${index}` }));
  const job = jobOf(github.queueRun(scope, { jobs: [{ state: 'completed', conclusion: 'failure', annotations }] }));
  const { check_run_url } = (await ask<{ check_run_url: string }>(github, `GET /repos/${scope}/actions/jobs/${job}`)).body;
  expect(check_run_url).toBe(`${github.url}/repos/${scope}/check-runs/${job}`);
  const { body, headers } = await ask(github, `GET /repos/${scope}/check-runs/${job}/annotations?per_page=2`);
  expect(body).toMatchObject([
    { annotation_level: 'failure', message: 'problem 0' },
    { annotation_level: 'failure', message: 'problem 1' },
  ]);
  expect(headers.get('link')).toContain('rel="next"');
  const weak = github.addToken({ permissions: { actions: 'read' } });
  const refused = await ask(github, `GET /repos/${scope}/check-runs/${job}/annotations`, { token: weak });
  expect([refused.status, refused.headers.get('x-accepted-github-permissions')]).toEqual([403, 'checks=read']);
});

test('the runner of a job is a registered one, of the organisation as well, or one of GitHub', async () => {
  github.addOrganization('octo');
  const { id } = github.addRunner('octo', { name: 'Builder' });
  const run = github.queueRun(scope, {
    jobs: [{ state: 'completed', runner: 'builder' }, { state: 'in_progress', runner: 'GitHub Actions 12' }, { runner: 'builder' }],
  });
  const { body } = await ask(github, `GET /repos/${scope}/actions/runs/${run}/jobs`);
  expect(body).toMatchObject({
    jobs: [
      { runner_id: id, runner_name: 'Builder' },
      { runner_id: null, runner_name: 'GitHub Actions 12' },
      { runner_id: null, runner_name: null },
    ],
  });
  github.removeRunner('octo', 'Builder');
  expect((await ask(github, `GET /repos/${scope}/actions/runs/${run}/jobs`)).body).toMatchObject({
    jobs: [{ runner_name: 'Builder' }, {}, {}],
  });
});

describe('the re-run of a job', () => {
  test('leaves the others as they ended', async () => {
    const run = github.queueRun(scope, { jobs: ['one', 'other'].map((name) => ({ name, state: 'completed', conclusion: 'failure' })) });
    expect(await rerun(jobOf(run))).toMatchObject({ status: 201, body: {} });
    expect(github.run(run)).toMatchObject({
      attempt: 2,
      status: 'queued',
      accepted: { rerun: 0, rerunFailed: 0, rerunJob: 1 },
      jobs: [
        { name: 'one', state: 'queued' },
        { name: 'other', state: 'completed', result: 'Failed' },
      ],
    });
  });

  test('is refused while its run goes on, of an earlier attempt, and after a month', async () => {
    const run = github.queueRun(scope, { jobs: [{ state: 'completed', conclusion: 'failure' }] });
    const job = jobOf(run);
    await rerun(job);
    const message = async (id: number): Promise<unknown> => (await rerun(id)).body;
    expect(await message(job)).toMatchObject({ message: 'The workflow run containing this job is already running' });
    github.completeRun(run, 'failure');
    expect(await message(job)).toMatchObject({ message: 'Only jobs from the current attempt can be re-run' });
    const old = github.queueRun(scope, { jobs: [{ state: 'completed' }], agoMs: 31 * 86_400_000 });
    expect(await message(jobOf(old))).toMatchObject({ message: expect.stringContaining('created over a month ago') });
    expect(github.run(run)).toMatchObject({ refused: 2, accepted: { rerunJob: 1 } });
  });
});

function logOf(job: Partial<JobOptions>): Promise<Answered<unknown>> {
  const run = github.queueRun(scope, { jobs: [{ state: 'completed', conclusion: 'failure', ...job }] });
  return ask(github, `GET /repos/${scope}/actions/jobs/${jobOf(run)}/logs`);
}

/** The first job of the run. */
function jobOf(run: number): number {
  return github.run(run).jobs[0]?.id ?? 0;
}

function rerun(job: number): Promise<Answered<unknown>> {
  return ask(github, `POST /repos/${scope}/actions/jobs/${job}/rerun`);
}
