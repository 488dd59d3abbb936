import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

const HOUR_MS = 3_600_000;
const SHA = 'a'.repeat(40);
let github: SandboxGitHub;
/** Ids of the runs, by name. */
let runs: Record<string, number>;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app'] });
  runs = {
    old: github.queueRun('octo/app', { jobs: [{}], agoMs: 50 * HOUR_MS }),
    scheduled: github.queueRun('octo/app', { jobs: [{}], agoMs: 40 * HOUR_MS, event: 'schedule' }),
    branched: github.queueRun('octo/app', { jobs: [{}], agoMs: 30 * HOUR_MS, branch: 'next', sha: SHA }),
    detached: github.queueRun('octo/app', { jobs: [], agoMs: 20 * HOUR_MS, branch: null }),
    waiting: github.queueRun('octo/app', { jobs: [{}], agoMs: 10 * HOUR_MS, status: 'waiting' }),
    skipped: github.queueRun('octo/app', { jobs: [{ state: 'completed', conclusion: 'skipped' }], agoMs: 5 * HOUR_MS }),
    failed: github.queueRun('octo/app', { jobs: [{ state: 'completed', conclusion: 'failure' }], agoMs: HOUR_MS }),
    working: github.queueRun('octo/app', { jobs: [{ state: 'in_progress' }] }),
  };
});
afterAll(() => github.close());

test.each([
  ['', ['working', 'failed', 'skipped', 'waiting', 'detached', 'branched', 'scheduled', 'old']],
  ['event=schedule', ['scheduled']],
  ['branch=next', ['branched']],
  [`head_sha=${SHA}`, ['branched']],
  ['status=queued', ['detached', 'branched', 'scheduled', 'old']],
  ['status=waiting', ['waiting']],
  ['status=pending', []],
  ['status=in_progress', ['working']],
  ['status=completed', ['failed', 'skipped']],
  ['status=skipped', ['skipped']],
  ['status=failure', ['failed']],
  ['status=queued&branch=main&event=push', ['old']],
])('runs with %o', async (query, names) => {
  expect(await found(query)).toEqual(names);
});

describe('created', () => {
  test.each([
    ['>=', ['working', 'failed', 'skipped', 'waiting', 'detached']],
    ['>', ['working', 'failed', 'skipped', 'waiting']],
    ['<=', ['detached', 'branched', 'scheduled', 'old']],
    ['<', ['branched', 'scheduled', 'old']],
    ['', ['detached']],
  ])('%o the second of one', async (sign, names) => {
    expect(await found(`created=${encodeURIComponent(sign + (await createdAt('detached')))}`)).toEqual(names);
  });

  test('from one to another, both included', async () => {
    const [from, to] = [await createdAt('scheduled'), await createdAt('detached')];
    expect(await found(`created=${from}..${to}`)).toEqual(['detached', 'branched', 'scheduled']);
    expect(await found(`created=${from}..*`)).toHaveLength(7);
    expect(await found(`created=*..${from}`)).toEqual(['scheduled', 'old']);
  });

  test('is the whole day where no time is told', async () => {
    const day = (await createdAt('old')).slice(0, 10);
    expect(await found(`created=${day}`)).toContain('old');
    expect(await found(`created=<${day}`)).toEqual([]);
    expect(await found(`created=>${day}`)).not.toContain('old');
  });

  test('that is no time is refused', async () => {
    expect((await ask(github, 'GET /repos/octo/app/actions/runs?created=yesterday')).status).toBe(422);
    expect((await ask(github, 'GET /repos/octo/app/actions/runs?created=')).status).toBe(422);
  });
});

/** Names of the runs that the list has. */
async function found(query: string): Promise<readonly (string | undefined)[]> {
  const { body } = await ask<{ total_count: number; workflow_runs: { id: number }[] }>(github, `GET /repos/octo/app/actions/runs?${query}`);
  expect(body.total_count).toBe(body.workflow_runs.length);
  return body.workflow_runs.map(({ id }) => Object.keys(runs).find((name) => runs[name] === id));
}

async function createdAt(name: string): Promise<string> {
  return (await ask<{ created_at: string }>(github, `GET /repos/octo/app/actions/runs/${runs[name]}`)).body.created_at;
}
