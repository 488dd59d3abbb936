// Writes on runs: what each answer of GitHub's becomes, and that nothing is sent twice.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub, type GitHubOptions } from '../../src/github/github.ts';
import { createPace } from '../../src/github/pace.ts';
import type { GitHubPort, RunWritten } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const REPO = 'octo/app';
const JSON_TYPE = { 'content-type': 'application/json' };

type Write = (port: GitHubPort, run: number, signal?: AbortSignal) => ReturnType<GitHubPort['rerunRun']>;

const cancel: Write = (port, run, signal = new AbortController().signal) => port.cancelRun(REPO, run, { force: false }, signal);
const forceCancel: Write = (port, run, signal = new AbortController().signal) => port.cancelRun(REPO, run, { force: true }, signal);
const rerunFailed: Write = (port, run, signal = new AbortController().signal) => port.rerunFailedJobs(REPO, run, signal);
const rerunJob: Write = (port, job, signal = new AbortController().signal) => port.rerunJob(REPO, job, signal);
const rerun: Write = (port, run, signal = new AbortController().signal) => port.rerunRun(REPO, run, signal);

describe('at GitHub', () => {
  let server: SandboxGitHub;
  let github: GitHubPort;

  beforeEach(async () => {
    server = await startGitHub({ repositories: [REPO] });
    github = portOf({ baseUrl: server.url, token: () => new Secret(server.token) });
  });
  afterEach(() => server.close());

  test('each has its own effect', async () => {
    const id = server.queueRun(REPO, { jobs: [{}], cancelTakesMs: Infinity });
    expect((await cancel(github, id)).value).toEqual({ kind: 'accepted' });
    expect(server.run(id)).toMatchObject({ status: 'queued', accepted: { cancel: 1, forceCancel: 0, rerun: 0 } });
    expect((await forceCancel(github, id)).value).toEqual({ kind: 'accepted' });
    expect(server.run(id)).toMatchObject({ conclusion: 'cancelled', accepted: { cancel: 1, forceCancel: 1, rerun: 0 } });
    expect((await rerun(github, id)).value).toEqual({ kind: 'accepted' });
    expect(server.run(id)).toMatchObject({ status: 'queued', attempt: 2, accepted: { cancel: 1, forceCancel: 1, rerun: 1 } });
  });

  test('what failed is run again, and one job by itself', async () => {
    const failed = { state: 'completed', conclusion: 'failure' } as const;
    const id = server.queueRun(REPO, { jobs: [failed, { state: 'completed' }, failed] });
    expect((await rerunFailed(github, id)).value).toEqual({ kind: 'accepted' });
    expect(server.run(id)).toMatchObject({ accepted: { rerun: 0, rerunFailed: 1 } });
    expect(server.run(id).jobs.map(({ state }) => state)).toEqual(['queued', 'completed', 'queued']);
    server.completeRun(id, 'failure');
    expect((await rerunJob(github, server.run(id).jobs[2]?.id ?? 0)).value).toEqual({ kind: 'accepted' });
    expect(server.run(id)).toMatchObject({ attempt: 3, accepted: { rerunFailed: 1, rerunJob: 1 } });
    expect(server.run(id).jobs.map(({ state }) => state)).toEqual(['completed', 'completed', 'queued']);
  });

  test('what cannot be run again is refused in the words of GitHub', async () => {
    const failed = { state: 'completed', conclusion: 'failure' } as const;
    const refusedWith = async (write: Write, id: number): Promise<unknown> => (await write(github, id)).value;
    const going = server.queueRun(REPO, { jobs: [failed, {}] });
    const old = server.queueRun(REPO, { jobs: [failed], agoMs: 31 * 86_400_000 });
    const tired = server.queueRun(REPO, { jobs: [failed], attempt: 51 });
    const fine = server.queueRun(REPO, { jobs: [{ state: 'completed' }] });
    const refusal = (what: string, words: string): object => ({
      kind: 'refused',
      status: 403,
      why: `GitHub refused POST ${what} (403): ${words}`,
    });
    const runs = '/repos/octo/app/actions/runs';
    const jobs = '/repos/octo/app/actions/jobs';
    const jobOf = (run: number): number => server.run(run).jobs[0]?.id ?? 0;
    for (const [id, words] of [
      [going, 'This workflow is already running'],
      [old, 'Unable to retry this workflow run because it was created over a month ago'],
      [tired, 'This workflow run cannot be retried'],
      [fine, 'This workflow run cannot be retried'],
    ] as const) {
      expect(await refusedWith(rerunFailed, id)).toEqual(refusal(`${runs}/${id}/rerun-failed-jobs`, words));
    }
    for (const [id, words] of [
      [going, 'The workflow run containing this job is already running'],
      [old, 'Unable to retry this workflow run because it was created over a month ago'],
      [tired, 'This workflow run cannot be retried'],
    ] as const) {
      expect(await refusedWith(rerunJob, jobOf(id))).toEqual(refusal(`${jobs}/${jobOf(id)}/rerun`, words));
    }
    const first = server.queueRun(REPO, { jobs: [failed] });
    const before = jobOf(first);
    await rerun(github, first);
    server.completeRun(first, 'failure');
    expect(await refusedWith(rerunJob, before)).toEqual(
      refusal(`${jobs}/${before}/rerun`, 'Only jobs from the current attempt can be re-run'),
    );
    expect((await rerunJob(github, 404)).value).toMatchObject({ kind: 'refused', status: 404 });
  });

  test('a renamed repository is followed, and written to once', async () => {
    const id = server.queueRun(REPO, { jobs: [{}] });
    server.renameRepository(REPO, 'octo/new');
    expect((await cancel(github, id)).value).toEqual({ kind: 'accepted' });
    expect(server.run(id).accepted.cancel).toBe(1);
  });

  test('the run of another state is refused in the words of GitHub', async () => {
    const over = server.queueRun(REPO, { jobs: [{}] });
    server.completeRun(over, 'success');
    expect((await cancel(github, over)).value).toEqual({
      kind: 'refused',
      status: 409,
      why: `GitHub refused POST /repos/octo/app/actions/runs/${over}/cancel (409): Cannot cancel a workflow run that is completed.`,
    });
    const waiting = server.queueRun(REPO, { jobs: [{}] });
    expect((await rerun(github, waiting)).value).toEqual({
      kind: 'refused',
      status: 403,
      why: `GitHub refused POST /repos/octo/app/actions/runs/${waiting}/rerun (403): This workflow is already running`,
    });
    expect((await rerun(github, 404)).value).toMatchObject({ kind: 'refused', status: 404 });
  });

  test.each([
    ['not-queued', 409, 'Cannot cancel a workflow run that has not been queued yet.'],
    ['failing', 500, 'Failed to cancel workflow run'],
  ] as const)('a zombie (%s) is refused with %i', async (zombie, status, words) => {
    const id = server.queueRun(REPO, { jobs: [], zombie });
    for (const write of [cancel, forceCancel]) {
      expect((await write(github, id)).value).toMatchObject({ kind: 'refused', status, why: expect.stringContaining(words) });
    }
  });

  test('a missing permission is refused, and named', async () => {
    const weak = portOf({ baseUrl: server.url, token: () => new Secret(server.addToken({ permissions: { actions: 'read' } })) });
    const { value } = await cancel(weak, server.queueRun(REPO, { jobs: [{}] }));
    expect(value).toMatchObject({ kind: 'refused', status: 403, why: expect.stringContaining('the token lacks permission actions=write') });
  });

  test.each(['cut', 'lost'] as const)('an answer that is %s leaves it open, though it was done', async (kind) => {
    const id = server.queueRun(REPO, { jobs: [{}] });
    server.misbehave({ match: { method: 'POST' }, fault: { kind } });
    const { value } = await cancel(github, id);
    expect(value).toMatchObject({ kind: 'unanswered', why: expect.stringContaining('GitHub could not be asked for POST') });
    expect(server.run(id).accepted.cancel).toBe(1);
    expect(server.requests).toHaveLength(1);
  });

  test('an answer that is late leaves it open', async () => {
    const id = server.queueRun(REPO, { jobs: [{}] });
    server.misbehave({ delayMs: 10_000 });
    const hasty = portOf({ baseUrl: server.url, token: () => new Secret(server.token), timeoutMs: 100 });
    expect((await rerun(hasty, id)).value).toEqual({
      kind: 'unanswered',
      why: `GitHub could not be asked for POST /repos/octo/app/actions/runs/${id}/rerun: no answer within 0.1 s`,
    });
  });

  test('a caller that leaves is told nothing else', async () => {
    const id = server.queueRun(REPO, { jobs: [{}] });
    server.misbehave({ delayMs: 10_000 });
    const leaving = new AbortController();
    const reason = new Error('the activity was cancelled');
    setTimeout(() => leaving.abort(reason), 50);
    await expect(cancel(github, id, leaving.signal)).rejects.toBe(reason);
  });

  test.each([
    { kind: 'primary-limit', resetMs: 60_000 },
    { kind: 'primary-limit', resetMs: 60_000, status: 429 },
    { kind: 'secondary-limit', lastsMs: 60_000, namesEnd: true },
    { kind: 'secondary-limit', lastsMs: 60_000, namesEnd: false },
  ] as const)('a limit is none of the run: %o', async (fault) => {
    const id = server.queueRun(REPO, { jobs: [{}] });
    server.misbehave({ times: 1, fault });
    expect(await failureOf(cancel(github, id))).toMatchObject({ kind: 'limited' });
    expect(await failureOf(rerun(github, id))).toMatchObject({ kind: 'limited', status: null });
    expect(server.requests).toHaveLength(1);
  });

  test("each is dated by GitHub's clock, also a refusal", async () => {
    server.clockOffsetMs = -7_200_000;
    const id = server.queueRun(REPO, { jobs: [{}] });
    for (const { githubTime } of [await cancel(github, id), await cancel(github, id)]) {
      expect(Math.abs(githubTime - Date.now() + 7_200_000)).toBeLessThan(5_000);
    }
  });

  test('they keep the pace, one at a time, and reads do not wait for it', async () => {
    const waits: number[] = [];
    const pace = createPace({
      writesPerMinute: 60,
      now: () => 0,
      async sleep(ms) {
        waits.push(ms);
      },
    });
    const paced = portOf({ baseUrl: server.url, token: () => new Secret(server.token), pace });
    const ids = Array.from({ length: 3 }, () => server.queueRun(REPO, { jobs: [{}] }));
    server.misbehave({ match: { path: `${ids[0]}/cancel` }, delayMs: 300 });
    const writes = ids.map((id) => paced.inTurn(REPO, () => cancel(paced, id), new AbortController().signal));
    await paced.readRun(REPO, ids[0] ?? 0, new AbortController().signal);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET']);
    await Promise.all(writes);
    expect(server.requests.filter(({ method }) => method === 'POST').map(({ path }) => Number(path.split('/').at(-2)))).toEqual(ids);
    expect(waits).toHaveLength(2);
  });
});

describe('an answer', () => {
  const accepted: RunWritten = { kind: 'accepted' };
  const refused = (status: number): object => ({ kind: 'refused', status });
  const unanswered = { kind: 'unanswered' };
  const words = (message: string): string => JSON.stringify({ message });
  const page = { headers: { 'content-type': 'text/html' } };

  const answers: readonly (readonly [string, () => Response, object])[] = [
    ['202 and {}', () => new Response('{}', { status: 202, headers: JSON_TYPE }), accepted],
    ['202 and null', () => new Response('null', { status: 202, headers: JSON_TYPE }), accepted],
    ['202 and nothing', () => new Response(null, { status: 202 }), accepted],
    ['202 and no JSON', () => new Response('{"', { status: 202, headers: JSON_TYPE }), accepted],
    ['202 and a page', () => new Response('<html>', { status: 202, ...page }), accepted],
    ['201 and {}', () => new Response('{}', { status: 201, headers: JSON_TYPE }), accepted],
    ['200 and a page to sign in', () => new Response('<html>', { status: 200, ...page }), unanswered],
    ['204', () => new Response(null, { status: 204 }), unanswered],
    ['a redirect to nowhere', () => new Response(null, { status: 302 }), unanswered],
    ['401', () => new Response(words('Bad credentials'), { status: 401, headers: JSON_TYPE }), refused(401)],
    ['403 that is no limit', () => new Response(words('Must have admin rights'), { status: 403, headers: JSON_TYPE }), refused(403)],
    ['404', () => new Response(words('Not Found'), { status: 404, headers: JSON_TYPE }), refused(404)],
    ['409', () => new Response(words('Cannot cancel'), { status: 409, headers: JSON_TYPE }), refused(409)],
    ['410', () => new Response(words('Gone'), { status: 410, headers: JSON_TYPE }), refused(410)],
    ['422', () => new Response(words('Validation Failed'), { status: 422, headers: JSON_TYPE }), refused(422)],
    ['500 with words', () => new Response(words('Failed to cancel workflow run'), { status: 500, headers: JSON_TYPE }), refused(500)],
    ['503 with words', () => new Response(words('Service Unavailable'), { status: 503, headers: JSON_TYPE }), refused(503)],
    ['500 as a page', () => new Response('<html>', { status: 500, ...page }), unanswered],
    ['502 as a page', () => new Response('<html>', { status: 502, ...page }), unanswered],
    ['500 and cut JSON', () => new Response('{"message":"Fai', { status: 500, headers: JSON_TYPE }), unanswered],
    ['500 and JSON of somebody else', () => new Response('{"error":1}', { status: 500, headers: JSON_TYPE }), unanswered],
    ['500 and nothing', () => new Response(null, { status: 500 }), unanswered],
  ];

  describe.each([
    ['runs', 'cancel', cancel],
    ['runs', 'force-cancel', forceCancel],
    ['runs', 'rerun', rerun],
    ['runs', 'rerun-failed-jobs', rerunFailed],
    ['jobs', 'rerun', rerunJob],
  ])('at %s to %s', (what, name, write) => {
    test.each(answers)('%s', async (_, respond, expected) => {
      const sent: string[] = [];
      const port = portOf({
        async fetch(input, init) {
          sent.push(`${init?.method} ${input instanceof Request ? input.url : String(input)}`);
          return respond();
        },
      });
      expect((await write(port, 7)).value).toMatchObject(expected);
      expect(sent).toEqual([`POST https://api.test/repos/octo/app/actions/${what}/7/${name}`]);
    });

    test('that never comes', async () => {
      const port = portOf({
        fetch: () => Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:1') })),
      });
      expect((await write(port, 7)).value).toEqual({
        kind: 'unanswered',
        why: `GitHub could not be asked for POST /repos/octo/app/actions/${what}/7/${name}: connect ECONNREFUSED 127.0.0.1:1`,
      });
    });
  });

  test('of 403 is a limit by its words or headers alone', async () => {
    const limits = [
      new Response(words('You have exceeded a secondary rate limit.'), { status: 403, headers: JSON_TYPE }),
      new Response(words('no'), { status: 403, headers: { ...JSON_TYPE, 'retry-after': '3' } }),
      new Response(null, { status: 429 }),
    ];
    for (const response of limits) expect((await failureOf(cancel(portOf({ fetch: async () => response }), 7))).kind).toBe('limited');
  });
});

test.each([
  'Unable to retry this workflow run because it was created over a month ago',
  'This workflow run cannot be retried',
  'The workflow run containing this job is already running',
])('%s: it is the run, and not the right', async (message) => {
  const port = portOf({ fetch: async () => Response.json({ message }, { status: 403 }) });
  expect((await rerun(port, 7)).value).toEqual({
    kind: 'refused',
    status: 403,
    why: `GitHub refused POST /repos/octo/app/actions/runs/7/rerun (403): ${message}`,
  });
});

test('without a token nothing is sent, and nothing is a value', async () => {
  const problem = new Error('no token today');
  await expect(cancel(portOf({ token: () => Promise.reject(problem) }), 7)).rejects.toBe(problem);
  expect(await failureOf(cancel(portOf({ token: () => new Secret('') }), 7))).toMatchObject({ kind: 'rejected', status: null });
});

function portOf(options: Partial<GitHubOptions>): GitHubPort {
  return createGitHub({ baseUrl: 'https://api.test', token: () => new Secret('ghp_x'), ...options });
}
