// Which failed runs a damaged actions cache is to blame for, and their re-run, against the make-believe GitHub.

import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { FailuresInspected, Limited, RerunDone } from '../../src/activities/contract.ts';
import { createFailureActivities } from '../../src/activities/inspect-failures.ts';
import { rememberInspected, type FailureMemory, type RerunPlan } from '../../src/domain/damaged-run.ts';
import { DEFAULT_UPKEEP_POLICY, type FailurePolicy } from '../../src/domain/policy.ts';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { JobOptions, RunOptions } from '../../src/sandbox/github/run.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';

const SCOPE = 'octo/app';
const DIRECTORY = '/opt/actions-runner';
const RUNNERS = [
  { runner: 'r1', directory: DIRECTORY },
  { runner: 'r2', directory: '/srv/runner-2' },
];
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const POLICY = DEFAULT_UPKEEP_POLICY.failures;

const GONE = `Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '${DIRECTORY}/_work/_actions/actions/checkout/v4'. Did you forget to run actions/checkout before running your local action?`;
const CACHE = `${DIRECTORY}/_work/_actions`;
const noManifest = (path: string): string => GONE.replace(`${CACHE}/actions/checkout/v4`, `${CACHE}/${path}`);
const noFile = (path: string): string => `File not found: '${CACHE}/${path}'`;
const OWN_MISTAKE = `Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '${DIRECTORY}/_work/app/app/.github/actions/build'. Did you forget to run actions/checkout before running your local action?`;
const SCRIPT_FAILED = 'Process completed with exit code 1.';
const failure = (message: string) => ({ level: 'failure' as const, message });

let server: SandboxGitHub;
let memory: FailureMemory;
const servers: SandboxGitHub[] = [];

beforeEach(async () => {
  server = await startGitHub({ repositories: [SCOPE] });
  servers.push(server);
  for (const name of ['r1', 'r2', 'other']) {
    server.addRunner(SCOPE, { name });
  }
  memory = { inspected: [] };
});

afterAll(() => Promise.all(servers.map((each) => each.close())));

/** Temporal as far as the ledger goes. */
const client = {
  withAbortSignal: <T>(_signal: AbortSignal, work: () => Promise<T>) => work(),
  workflow: {
    getHandle: () => ({
      describe: async () => {
        if (memory.inspected.length === 0) {
          throw new WorkflowNotFoundError('none', 'w', undefined);
        }
        return { memo: { memory } };
      },
    }),
  },
} as unknown as Client;

function activities(token = server.token) {
  return createFailureActivities(createGitHub({ baseUrl: server.url, token: () => new Secret(token) }));
}

let kept: { readonly server: SandboxGitHub; readonly acts: ReturnType<typeof createFailureActivities> } | null = null;

async function inspect(
  policy: Partial<FailurePolicy> = {},
  known: FailuresInspected['settled'] = [],
  scope = SCOPE,
  provesByLog = false,
): Promise<FailuresInspected> {
  if (kept?.server !== server) {
    kept = { server, acts: activities() };
  }
  const environment = new MockActivityEnvironment({}, { client, logger: new DefaultLogger('ERROR') });
  const input = { scope, runners: RUNNERS, known, provesByLog, policy: { ...POLICY, ...policy } };
  const found = (await environment.run(kept.acts.inspectFailures.bind(kept.acts), input)) as FailuresInspected | Limited;
  if (found.kind !== 'inspected') {
    throw new Error(found.why);
  }
  return found;
}

/** As a pass does. */
function remember({ settled }: FailuresInspected): void {
  memory = rememberInspected(memory, settled);
}

function failed(jobs: readonly Partial<JobOptions>[], more: Partial<RunOptions> = {}): number {
  return server.queueRun(SCOPE, {
    jobs: jobs.map((job) => ({ state: 'completed', conclusion: 'failure', runner: 'r1', ...job })),
    ...more,
  });
}

const damagedJob: Partial<JobOptions> = { annotations: [failure(GONE)] };
const sent = (): string[] =>
  server.requests.map(
    ({ method, path }) =>
      `${method} ${path
        .replace(/.*\/repos\/octo\/app/, '')
        .replace(/\?.*/, '')
        .replaceAll(/\d{4,}/g, 'N')}`,
  );
/** What GitHub was asked about actions. */
const contentsAsked = (): string[] => server.requests.map(({ path }) => path).filter((path) => path.includes('/contents'));
/** Those that count against the hour's limit. */
const paid = (): number => server.requests.filter(({ status }) => status !== 304).length;

test('20 failed runs of our runner take 23 requests: the list, the jobs of each, annotations of all, and what the action holds', async () => {
  const runs = Array.from({ length: 20 }, (_, n) => failed([{ annotations: [failure(n === 7 ? GONE : SCRIPT_FAILED)] }]));
  const found = await inspect();
  expect(found).toMatchObject({ damaged: [{ run: runs[7] }], left: 0, notes: [] });
  expect(paid()).toBe(23);
});

test('20 failed runs of our runner take 43 requests without GraphQL, one of which finds that out', async () => {
  server.hasGraphql = false;
  const runs = Array.from({ length: 20 }, (_, n) => failed([{ annotations: [failure(n === 7 ? GONE : SCRIPT_FAILED)] }]));
  expect(await inspect()).toMatchObject({ damaged: [{ run: runs[7] }], left: 0, notes: [] });
  expect(paid()).toBe(43);
});

describe('the cache is to blame', () => {
  test('where the annotations say so, and then no log is read', async () => {
    const run = failed([{ name: 'build', ...damagedJob }], { branch: 'main', workflow: { id: 3, name: 'Kernel' } });
    const found = await inspect();
    expect(found).toMatchObject({ settled: [], left: 0, logBytes: 0, notes: [] });
    expect(found.damaged).toEqual([
      {
        runner: 'r1',
        run,
        attempt: 1,
        workflow: 'Kernel',
        branch: 'main',
        jobs: [
          {
            id: server.run(run).jobs[0]!.id,
            name: 'build',
            path: 'actions/checkout/v4',
            lacks: 'manifest',
            line: GONE.slice(0, 200),
            isInLog: false,
          },
        ],
        otherJobs: 0,
      },
    ]);
    expect(sent()).toEqual([
      'GET /actions/runs',
      'GET /actions/runs/N/jobs',
      'GET /check-runs/N/annotations',
      'GET /repos/actions/checkout/contents',
    ]);
    expect(server.logRequests).toEqual([]);
  });

  test.each<[says: string, log: string, isInLog: boolean]>([
    ['the same', `##[error]${GONE}\nPost job cleanup.`, true],
    ['the same of another action', `##[error]${noManifest('actions/cache/v4')}\n`, false],
    ['the same by a script that failed', `##[group]Run make\n##[error]${GONE}\n##[error]${SCRIPT_FAILED}\n`, false],
    ['something else', 'all is well\n', false],
  ])('which the log proves or does not, where it is to: it says %s', async (_says, log, isInLog) => {
    failed([{ ...damagedJob, log }]);
    const found = await inspect({}, [], SCOPE, true);
    expect(found.damaged).toMatchObject([{ jobs: [{ path: 'actions/checkout/v4', isInLog }] }]);
    expect(server.logRequests).toHaveLength(1);
  });

  test('of more than the entry only where GitHub holds what is missing', async () => {
    server.addAction('acme/tool', 'v1', ['action.yml', 'save/action.yml', 'dist/index.js']);
    server.addAction('acme/unseen', 'v2', ['action.yml']);
    const named = async (words: string): Promise<unknown> => {
      const run = failed([{ runner: 'r1', annotations: [failure(words)] }]);
      const { damaged } = await inspect();
      return damaged.find((each) => each.run === run)?.jobs.map(({ path, lacks }) => [lacks, path]);
    };
    expect(await named(noManifest('acme/tool/v1'))).toEqual([['manifest', 'acme/tool/v1']]);
    expect(await named(noManifest('acme/tool/v1/save'))).toEqual([['manifest', 'acme/tool/v1/save']]);
    expect(await named(noFile('acme/tool/v1/dist/index.js'))).toEqual([['file', 'acme/tool/v1/dist/index.js']]);
    expect(await named(noFile('acme/unseen/v1/dist/index.js'))).toEqual([['entry', 'acme/unseen/v1/dist/index.js']]);
    expect(await named(noManifest('acme/unseen/v1/save'))).toEqual([['entry', 'acme/unseen/v1/save']]);
    expect(await named(`Access to the path '${CACHE}/acme/tool/v1/nothing' is denied.`)).toEqual([['entry', 'acme/tool/v1/nothing']]);
    expect(await named(noFile('acme/tool/v1/nothing.js'))).toBeUndefined();
  });

  test('where only the log says so, hundreds of lines in', async () => {
    const before = Array.from({ length: 300 }, (_, n) => `make: line ${n}`);
    const log = ['##[group]Run make', 'make', '##[endgroup]', ...before, `##[error]${GONE}`, 'Post job cleanup.', ...before].join('\n');
    const run = failed([{ log }]);
    const found = await inspect();
    expect(found.damaged.map((each) => each.run)).toEqual([run]);
    expect(found.logBytes).toBeGreaterThan(0);
    expect(server.logRequests).toMatchObject([{ status: 200, isAuthorized: false }]);
  });

  test('of the twelfth newest failed run as well', async () => {
    const old = failed([damagedJob], { agoMs: 5 * HOUR });
    for (let hours = 1; hours <= 11; hours += 1) {
      failed([{ annotations: [failure(SCRIPT_FAILED)] }], { agoMs: (12 - hours) * 1_000 });
    }
    expect((await inspect()).damaged.map(({ run }) => run)).toEqual([old]);
  });

  test('by each runner of its own, and jobs of others are counted', async () => {
    failed([
      damagedJob,
      { runner: 'r2', annotations: [failure(`Access to the path '/srv/runner-2/_work/_actions/a/b/c' is denied.`)] },
      { runner: 'other', annotations: [failure(GONE)] },
      { annotations: [failure(SCRIPT_FAILED)] },
      { conclusion: 'success' },
    ]);
    expect(
      (await inspect()).damaged.map(({ runner, jobs, otherJobs, neighbours }) => [runner, jobs.length, otherJobs, neighbours]),
    ).toEqual([
      ['r1', 1, 2, [{ runner: 'r2', jobs: 1 }]],
      ['r2', 1, 2, [{ runner: 'r1', jobs: 1 }]],
    ]);
  });

  test('also where the token may not read annotations: then logs tell, and no annotation is asked for twice', async () => {
    server.misbehave({
      match: { path: /annotations|graphql/ },
      status: 403,
      body: { message: 'Resource not accessible by personal access token' },
    });
    for (let n = 0; n < 3; n += 1) {
      failed([{ log: `##[error]${n === 0 ? GONE : SCRIPT_FAILED}\n`, annotations: [] }]);
    }
    const found = await inspect();
    expect(found.damaged).toHaveLength(1);
    expect(found.settled).toHaveLength(2);
    expect(found.notes).toEqual([expect.stringMatching(/logs were read instead of annotations.*checks/i)]);
    expect(sent().filter((line) => line.includes('annotations'))).toHaveLength(1);
  });
});

describe('somebody else is to blame', () => {
  test.each<[string, Partial<JobOptions>]>([
    ["the author's local action", { annotations: [failure(OWN_MISTAKE)] }],
    ['a hosted runner', { runner: 'GitHub Actions 12', annotations: [failure(GONE)] }],
    ["somebody else's runner", { runner: 'other', annotations: [failure(GONE)] }],
    [
      'text that a script has echoed',
      { annotations: [failure(SCRIPT_FAILED)], log: `##[group]Run cat log\n##[endgroup]\n${GONE}\n##[error]${SCRIPT_FAILED}\n` },
    ],
    [
      'an error that a script has made up',
      {
        annotations: [failure(GONE), failure(SCRIPT_FAILED)],
        log: `##[group]Run cat log\n##[endgroup]\n##[error]${GONE}\n##[error]${SCRIPT_FAILED}\n`,
      },
    ],
    ['a log that is gone', { annotations: [], logIs: 'expired' }],
  ])('%s', async (_what, job) => {
    const run = failed([job]);
    expect(await inspect()).toMatchObject({ damaged: [], settled: [[run, 1]] });
  });

  test.each<[what: string, words: string, note: RegExp]>([
    ['a folder that the action does not have', noManifest('acme/tool/v1/saev'), /acme\/tool\/saev@v1 itself has no action\.yml/],
    ['a ref without a manifest', noManifest('acme/tool/v0'), /acme\/tool@v0 itself has no action\.yml/],
    ['a script that was never committed', noFile('acme/tool/v1/./dist/index.js'), /acme\/tool\/dist@v1 itself has no index\.js/],
  ])('who asks for %s', async (_what, words, note) => {
    server.addAction('acme/tool', 'v1', ['action.yml', 'save/action.yml']);
    server.addAction('acme/tool', 'v0', ['README.md']);
    const run = failed([{ annotations: [failure(words)] }, { annotations: [], log: `##[error]${words}\n` }]);
    expect(await inspect()).toMatchObject({ damaged: [], settled: [[run, 1]], notes: [expect.stringMatching(note)] });
    expect(new Set(contentsAsked()).size).toBe(contentsAsked().length);
  });

  test('and such a job of a damaged run is one of its other jobs', async () => {
    server.addAction('acme/tool', 'v1', ['action.yml']);
    failed([damagedJob, { annotations: [failure(noManifest('acme/tool/v1/saev'))] }]);
    expect((await inspect()).damaged).toMatchObject([{ jobs: [{ path: 'actions/checkout/v4' }], otherJobs: 1 }]);
  });

  test('and runs that failed more than a day ago are not looked at', async () => {
    failed([damagedJob], { agoMs: 25 * HOUR });
    expect(await inspect()).toMatchObject({ damaged: [], settled: [] });
    expect(sent()).toEqual(['GET /actions/runs']);
  });

  test('but an old run that was re-run lately is', async () => {
    failed([damagedJob], { agoMs: 5 * DAY, startedAgoMs: HOUR, attempt: 2 });
    expect((await inspect()).damaged).toMatchObject([{ attempt: 2 }]);
  });
});

describe('the cache is to blame for all of which GitHub does not say clearly that its action lacks it', () => {
  const words = noManifest('acme/tool/v1/save');

  test.each<[what: string, arrange: () => void]>([
    ['an action that has it', () => server.addAction('acme/tool', 'v1', ['save/action.yml'])],
    ['an action that has a Dockerfile there', () => server.addAction('acme/tool', 'v1', ['save/Dockerfile'])],
    ['an action that may not be seen', () => void server.misbehave({ match: { path: '/repos/acme/tool' }, status: 404 })],
    ['a ref that is gone', () => server.addAction('acme/tool', 'v2', ['README.md'])],
    ['a refusal', () => void server.misbehave({ match: { path: '/repos/acme/tool' }, status: 403 })],
    ['a failure of GitHub', () => void server.misbehave({ match: { path: '/repos/acme/tool' }, status: 502 })],
  ])('%s', async (_what, arrange) => {
    arrange();
    const run = failed([{ annotations: [failure(words)] }, { annotations: [failure(words)] }]);
    expect((await inspect()).damaged).toMatchObject([{ run, jobs: [{ path: 'acme/tool/v1/save' }, { path: 'acme/tool/v1/save' }] }]);
    expect(new Set(contentsAsked()).size).toBe(contentsAsked().length);
  });

  test('a limit, which ends the look after that', async () => {
    const fault = { kind: 'secondary-limit', lastsMs: 60_000, namesEnd: true } as const;
    server.misbehave({ match: { path: '/repos/acme/tool' }, fault });
    failed([{ log: SCRIPT_FAILED, annotations: [] }], { agoMs: HOUR });
    const run = failed([{ annotations: [failure(words)] }]);
    expect(await inspect()).toMatchObject({ damaged: [{ run }], settled: [], left: 1, notes: [expect.stringMatching(/limit/)] });
  });

  test('a ref with slashes', async () => {
    server.addAction('acme/tool', 'releases/v1', ['action.yml']);
    failed([{ annotations: [failure(noManifest('acme/tool/releases/v1'))] }]);
    expect((await inspect()).damaged).toHaveLength(1);
  });

  test('a cut archive and a folder that may not be read, of which GitHub is not asked', async () => {
    const cut = `Can't use 'tar -xzf' extract archive file: ${CACHE}/_temp_0b/6f.tar.gz (SHA256 'ab', size '12' bytes). Action being checked out: acme/tool@v1. return code: 2.`;
    failed([{ annotations: [failure(cut)] }, { annotations: [failure(`Access to the path '${CACHE}/acme/tool/v1' is denied.`)] }]);
    expect((await inspect()).damaged).toMatchObject([{ jobs: [{ path: 'acme/tool/v1' }, { path: 'acme/tool/v1' }] }]);
    expect(contentsAsked()).toEqual([]);
  });
});

describe('each attempt is looked at once', () => {
  test('and a second look reads nothing anew', async () => {
    for (let n = 0; n < 20; n += 1) {
      failed([{ annotations: [failure(SCRIPT_FAILED)], runner: n % 5 === 0 ? 'r1' : 'GitHub Actions 3' }]);
    }
    remember(await inspect());
    expect(paid()).toBeLessThanOrEqual(25);
    const [before, logs] = [server.requests.length, server.logRequests.length];
    const second = await inspect();
    expect(second).toMatchObject({ damaged: [], settled: [], logBytes: 0 });
    expect(server.requests.slice(before).map(({ status }) => status)).toEqual([304]);
    expect(server.logRequests).toHaveLength(logs);
  });

  test('but a damaged one until it is settled, which costs nothing of the limit', async () => {
    const run = failed([damagedJob]);
    remember(await inspect());
    const before = server.requests.length;
    const second = await inspect();
    expect(second.damaged).toHaveLength(1);
    expect(server.requests.slice(before).every(({ status }) => status === 304)).toBe(true);
    memory = rememberInspected(memory, [[run, 1]]);
    expect((await inspect()).damaged).toEqual([]);
  });

  test('and by each runner, until all of its parts are settled', async () => {
    const onOther = { runner: 'r2', annotations: [failure(`Access to the path '/srv/runner-2/_work/_actions/a/b/c' is denied.`)] };
    const run = failed([damagedJob, onOther]);
    memory = rememberInspected(memory, [[run, 1, 'r1']]);
    expect(await inspect()).toMatchObject({
      damaged: [{ runner: 'r2', otherJobs: 0, neighbours: [{ runner: 'r1', jobs: 1 }] }],
      settled: [],
    });
    memory = rememberInspected(memory, [[run, 1, 'r2']]);
    const found = await inspect();
    expect(found).toMatchObject({ damaged: [], settled: [[run, 1]] });
    expect(rememberInspected(memory, found.settled)).toEqual({ inspected: [[run, 1]] });
  });

  test('and one that was left to people is told, without a question, until somebody runs it again', async () => {
    const run = failed([damagedJob]);
    const left = { runner: 'r1', run, attempt: 1, workflow: 'CI', branch: 'main', left: 'GitHub refused' };
    memory = rememberInspected(memory, [[run, 1]], [left]);
    expect(await inspect()).toMatchObject({ damaged: [{ ...left, jobs: [] }], settled: [] });
    expect(sent()).toEqual(['GET /actions/runs']);
    await rerun(run, 1);
    expect((await inspect()).damaged).toEqual([]);
  });

  test('in parts, where there are many', async () => {
    const runs = Array.from({ length: 5 }, () => failed([{ annotations: [failure(SCRIPT_FAILED)] }]));
    const first = await inspect({ runsAtOnce: 2 });
    expect(first).toMatchObject({ left: 3 });
    remember(first);
    expect((await inspect({ runsAtOnce: 2 }, [[runs[0]!, 1]])).left).toBe(0);
  });

  test('and logs are read no farther than is allowed', async () => {
    const line = `${'x'.repeat(1_000)}\n`;
    const log = () => Array.from({ length: 500 }, () => line);
    for (let n = 0; n < 3; n += 1) {
      failed([{ log: () => log(), annotations: [] }]);
    }
    const found = await inspect({ logBytes: 100_000, logBytesAtOnce: 150_000 });
    expect(found.logBytes).toBeLessThanOrEqual(160_000);
    expect(found.notes).toEqual([expect.stringMatching(/more logs than one look reads/)]);
    // The second log was cut for want of room, and not for its own length: what stands behind it is not known.
    expect(found.settled).toHaveLength(1);
    expect(found.left).toBe(2);
  });

  test('and a run with more logs than a look may read does not come back for ever', async () => {
    const log = `${'x'.repeat(1_000)}\n`.repeat(200);
    const run = failed(Array.from({ length: 3 }, () => ({ log, annotations: [] })));
    const found = await inspect({ logBytes: 100_000, logBytesAtOnce: 150_000 });
    expect(found).toMatchObject({ settled: [[run, 1]], left: 0, notes: [expect.stringContaining(`run ${run} has more logs`)] });
  });
});

describe('a slow GitHub', () => {
  const slowAt = (path: string, delayMs: number): void => void server.misbehave({ match: { path }, delayMs });
  const mistake: Partial<JobOptions> = { annotations: [failure(SCRIPT_FAILED)] };

  test('is asked for a while, and each look goes on where the last one ended', async () => {
    const runs = Array.from({ length: 6 }, () => failed([mistake]));
    slowAt('/jobs', 100);
    const first = await inspect({ lookMs: 250 });
    expect(first.settled.length).toBeGreaterThan(0);
    expect(first).toMatchObject({ left: 6 - first.settled.length, notes: [expect.stringMatching(/GitHub took long/)] });
    expect(first.left).toBeGreaterThan(0);
    let looks = 1;
    for (let found = first; found.left > 0; looks += 1) {
      remember(found);
      found = await inspect({ lookMs: 250 });
      expect(found.settled.length).toBeGreaterThan(0);
      remember(found);
    }
    expect(new Set(memory.inspected.map(([run]) => run))).toEqual(new Set(runs));
    expect(looks).toBeLessThanOrEqual(6);
  });

  test('leaves a run whose jobs take too long to the next look', async () => {
    const big = failed([mistake, mistake, mistake, damagedJob], { agoMs: 1_000 });
    const small = failed([{ ...mistake, runner: 'GitHub Actions 7' }]);
    server.hasGraphql = false;
    slowAt('/annotations', 150);
    const found = await inspect({ lookMs: 200 });
    expect(found).toMatchObject({ damaged: [], settled: [[small, 1]], left: 1, notes: [expect.stringMatching(/GitHub took long/)] });
    remember(found);
    expect((await inspect()).damaged).toMatchObject([{ run: big, otherJobs: 3 }]);
  });

  test('does not let the first run come back for ever', async () => {
    const run = failed([mistake, mistake, damagedJob]);
    const note = `run ${run} takes longer than one look: the rest of it counts as somebody's own mistake`;
    expect(await inspect({ lookMs: 0 })).toMatchObject({ damaged: [], settled: [[run, 1]], left: 0, notes: [note] });
  });

  test('has its logs read as long as there is time', async () => {
    const log = function* (): Iterable<string> {
      for (let n = 0; n < 1_000; n += 1) {
        yield `${'x'.repeat(1_000)}\n`;
      }
      yield `##[error]${GONE}\n`;
    };
    failed([{ log, annotations: [] }], { agoMs: 1_000 });
    failed([{ ...mistake, runner: 'GitHub Actions 7' }]);
    slowAt('/logs', 200);
    expect(await inspect({ lookMs: 100 })).toMatchObject({ damaged: [], settled: [[expect.any(Number), 1]], left: 1 });
    expect((await inspect()).damaged).toHaveLength(1);
  });
});

test('an organisation has no list of runs, and it is said so', async () => {
  expect(await inspect({}, [], 'octo')).toMatchObject({
    damaged: [],
    left: 0,
    notes: ['octo is an organisation, and only a repository has a list of runs: name its repositories'],
  });
  expect(sent()).toEqual([]);
});

describe('on bad days', () => {
  test('a run that GitHub fails at is looked at the next time', async () => {
    const runs = [failed([damagedJob]), failed([{ annotations: [failure(SCRIPT_FAILED)] }])];
    const end = server.misbehave({ match: { path: `/runs/${runs[0]}/jobs` }, status: 502 });
    const first = await inspect();
    expect(first).toMatchObject({ damaged: [], settled: [[runs[1], 1]] });
    expect(first.notes).toHaveLength(1);
    remember(first);
    end();
    expect((await inspect()).damaged).toMatchObject([{ run: runs[0] }]);
  });

  test('a failed job that a re-run has carried over is no failure of the new attempt', async () => {
    const run = failed([damagedJob, { name: 'lint', annotations: [failure(SCRIPT_FAILED)] }]);
    const { jobs } = server.run(run);
    expect(await rerun(run, 1, { kind: 'one-job', job: jobs[0]!.id })).toEqual({ kind: 're-run' });
    const again = server.run(run).jobs.find(({ state }) => state === 'queued');
    expect(again).toBeDefined();
    server.startJob(again!.id);
    server.completeRun(run, 'failure');
    const { damaged, settled } = await inspect();
    expect({ damaged, settled }).toEqual({ damaged: [], settled: [[run, 2]] });
  });
});

function rerun(
  run: number,
  attempt: number,
  plan: Exclude<RerunPlan, { kind: 'none' }> = { kind: 'failed-jobs' },
  tries = 1,
): Promise<RerunDone | Limited> {
  const environment = new MockActivityEnvironment({ attempt: tries }, { client, logger: new DefaultLogger('ERROR') });
  const acts = activities();
  return environment.run(acts.rerunJobs.bind(acts), { scope: SCOPE, run, attempt, plan, doubtMs: 50 });
}

describe('a re-run', () => {
  test('is of the failed jobs, once', async () => {
    const run = failed([damagedJob, { conclusion: 'success' }]);
    expect(await rerun(run, 1)).toEqual({ kind: 're-run' });
    expect(server.run(run)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 1 } });
    // Cut off before it could say so, and tried again.
    expect(await rerun(run, 1, { kind: 'failed-jobs' }, 2)).toEqual({ kind: 're-run' });
    expect(await rerun(run, 1)).toEqual({ kind: 'left', why: expect.stringMatching(/attempt 2 is the newest/) });
    expect(server.run(run)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 1 } });
  });

  test('whose answer is lost is seen by the run itself', async () => {
    const run = failed([damagedJob]);
    server.misbehave({ match: { method: 'POST', path: '/rerun-failed-jobs' }, fault: { kind: 'lost' }, times: 1 });
    expect(await rerun(run, 1)).toEqual({ kind: 're-run' });
    expect(server.run(run)).toMatchObject({ attempt: 2, accepted: { rerunFailed: 1 } });
  });

  test.each<[string, Partial<RunOptions>, RegExp]>([
    ['too old', { agoMs: 31 * DAY, startedAgoMs: HOUR }, /30 days/],
    ['tried too often', { attempt: 50 }, /50 attempts/],
  ])('of a run that is %s is not asked for', async (_what, more, why) => {
    const run = failed([damagedJob], more);
    expect(await rerun(run, more.attempt ?? 1)).toEqual({ kind: 'left', why: expect.stringMatching(why) });
    expect(sent().some((line) => line.startsWith('POST'))).toBe(false);
  });

  test('that GitHub refuses is told in its words', async () => {
    const run = failed([damagedJob]);
    server.misbehave({ match: { method: 'POST' }, status: 403, body: { message: 'This workflow run cannot be retried' } });
    expect(await rerun(run, 1)).toEqual({ kind: 'refused', why: expect.stringMatching(/cannot be retried/) });
  });
});
