// A GitHub whose every text is an attack: job names, branches, titles and messages are strangers', and a server may be too.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { attacked, expectPlain, filled } from '../kit/strangers.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
const REPO = 'octo/app';
const FAILED = { state: 'completed', conclusion: 'failure' } as const;
/** No name is longer than a path, nor a message than a line of a log. */
const LONGEST = 2_000;

let server: SandboxGitHub;
let run: number;
let job: number;
/** Another run, which is written on. */
let other: number;
let runner: number;

beforeAll(async () => {
  server = await startGitHub({ repositories: [REPO], organizations: ['octo'] });
  ({ id: runner } = server.addRunner(REPO, { name: 'builder', labels: ['bpf'], shown: { status: 'online', busy: true } }));
  server.addRunner('octo', { name: 'builder', labels: ['bpf'] });
  const annotations = [{ level: 'failure', message: 'said' }] as const;
  run = server.queueRun(REPO, { branch: 'main', jobs: [{ ...FAILED, runner: 'builder', annotations, log: 'a line\n' }] });
  job = server.run(run).jobs[0]!.id;
  other = server.queueRun(REPO, { jobs: [FAILED] });
  server.queueRun(REPO, { branch: 'main', jobs: [{ state: 'in_progress', runner: 'builder' }, {}] });
});
afterAll(() => server.close());

/** Times and addresses have a form of their own. */
const FORMED = /T\d\d:\d\d:\d\d|^https?:/;
/** Without a word that is looked for, little is handed out. */
const SOUGHT = /T\d\d:\d\d:\d\d|^(builder|completed|failure|in_progress|queued|online|refs\/tags\/v1)$/;
const NOTHING = /^$/;

/** A GitHub that attacks by every text, but for those that stay. */
function attackingBut(stays: RegExp): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const text = await response.text();
    const headers = new Headers(response.headers);
    headers.delete('content-length');
    if (headers.has('x-oauth-scopes')) headers.set('x-oauth-scopes', 'repo\u009B31m, admin:org\u0085x');
    const isJson = headers.get('content-type')?.includes('json') === true;
    const body = isJson ? JSON.stringify(filled(JSON.parse(text), (each) => (stays.test(each) ? each : attacked(each)))) : attacked(text);
    return new Response(text === '' ? null : body, { status: response.status, headers });
  };
}

function portOf(fetch: typeof globalThis.fetch): GitHubPort {
  return createGitHub({ baseUrl: server.url, token: () => new Secret(server.token), fetch });
}

const LOOK = { runners: ['builder'], readsGroups: true, runsRead: 10, setAside: [] };
const WANTED = { status: 'queued', createdFrom: null, createdUntil: null, pages: 1 };
const LIKE = { workflowId: 1, event: 'push', branch: 'main' };
const PART = { repository: REPO, ref: 'main', folder: '', names: ['action.yml'] };

/** Every method; a new one is missed by the compiler until it stands here. */
const CALLS: { readonly [Method in keyof GitHubPort]: (github: GitHubPort, told: string[]) => Promise<unknown> } = {
  findRunners: (github) => github.findRunners(REPO, { names: ['builder', 'gone'], lastId: async () => runner }, signal),
  getRunner: (github) => github.getRunner(REPO, runner, signal),
  findRunningJob: (github) => github.findRunningJob(REPO, 'builder', signal),
  removeCustomLabels: (github) => github.removeCustomLabels(REPO, runner, signal),
  addCustomLabels: (github) => github.addCustomLabels(REPO, runner, ['l'], signal),
  createRegistrationToken: (github) => github.createRegistrationToken(REPO, signal),
  findPackage: (github) => github.findPackage(REPO, { architecture: 'x86_64', source: { kind: 'github' } }, signal),
  observeScope: async (github) => [await github.observeScope(REPO, LOOK, signal), await github.observeScope('octo', LOOK, signal)],
  countRuns: (github) => github.countRuns(REPO, signal),
  listRuns: (github) => github.listRuns(REPO, WANTED, signal),
  countRunsOf: (github) => github.countRunsOf(REPO, 'queued', signal),
  listLabelSets: (github) => github.listLabelSets(REPO, signal),
  listRunnersFor: (github) => github.listRunnersFor('octo', REPO, signal),
  readRun: (github) => github.readRun(REPO, run, signal),
  readRunJobs: (github) => github.readRunJobs(REPO, run, signal),
  readJobsEnd: (github) => github.readJobsEnd(REPO, run, signal),
  areTags: async (github) => [...(await github.areTags(REPO, ['v1'], signal)).value],
  hasRef: (github) => github.hasRef(REPO, 'v1', signal),
  readDefaultBranch: (github) => github.readDefaultBranch(REPO, signal),
  readConcurrencyGroups: (github) => github.readConcurrencyGroups(REPO, run, signal),
  listActiveGroups: (github) => github.listActiveGroups(REPO, signal),
  findNewestRun: (github) => github.findNewestRun(REPO, LIKE, signal),
  inTurn: (github) => github.inTurn(REPO, async () => 'done', signal),
  cancelRun: (github) => github.cancelRun(REPO, other, { force: false }, signal),
  rerunRun: (github) => github.rerunRun(REPO, other, signal),
  readFailedJobs: (github) => github.readFailedJobs(REPO, run, signal),
  readFailureAnnotations: (github) => github.readFailureAnnotations(REPO, job, signal),
  readFailureAnnotationsOf: async (github) => {
    const { value } = await github.readFailedJobs(REPO, run, signal);
    return [...(await github.readFailureAnnotationsOf(REPO, value?.jobs ?? [], signal)).value];
  },
  readJobLog: (github, told) =>
    github.readJobLog(REPO, job, { mostBytes: 1_000_000, onLine: (line) => (told.push(line.slice(0, LONGEST)), 'more') }, signal),
  findPart: (github) => github.findPart(REPO, PART, signal),
  rerunFailedJobs: (github) => github.rerunFailedJobs(REPO, other, signal),
  rerunJob: (github) => github.rerunJob(REPO, server.run(other).jobs[0]!.id, signal),
  identifyToken: (github) => github.identifyToken(signal),
  probeAccess: async (github) => github.probeAccess(REPO, { kind: 'fine-grained', login: 'l', oauthScopes: [], expiresAt: null }, signal),
};
const methods = Object.keys(CALLS) as (keyof GitHubPort)[];

describe('hands out nothing but plain text:', () => {
  test.each(methods)('%s', async (method) => {
    for (const stays of [FORMED, SOUGHT, NOTHING]) {
      const told: string[] = [];
      const handedOut = await CALLS[method](portOf(attackingBut(stays)), told).catch((error: unknown) => messageOf(error));
      expectPlain({ handedOut, told }, LONGEST, method);
    }
  });

  test.each(methods.filter((method) => method !== 'inTurn'))('%s that is refused', async (method) => {
    for (const status of [401, 403, 404, 409, 422, 429, 500]) {
      const headers = {
        'content-type': 'application/json',
        'x-github-sso': 'required; url=https://x/\u009B31m',
        'x-accepted-github-permissions': 'actions=\u009B31m',
        'github-authentication-token-expiration': '\u009B31m',
      };
      const messages = [attacked('said'), `Resource not accessible by integration${attacked('')}`];
      for (const message of messages) {
        const respond = async (): Promise<Response> => new Response(JSON.stringify({ message }), { status, headers });
        const handedOut = await CALLS[method](portOf(respond), []).catch((error: unknown) => messageOf(error));
        expectPlain(handedOut, LONGEST, `${method} ${status}`);
      }
    }
  });

  test('a failure on the way', async () => {
    const broken = portOf(() => Promise.reject(new TypeError(attacked('fetch failed'))));
    expectPlain(messageOf(await failureOf(broken.readRun(REPO, run, signal))), LONGEST, 'failure');
  });
});

test('a branch that only looks like another one is another one', async () => {
  const looksLike: typeof globalThis.fetch = async (input, init) => {
    const text = await (await fetch(input, init)).text();
    return new Response(text.replaceAll('"main"', JSON.stringify('main\u202E')), { headers: { 'content-type': 'application/json' } });
  };
  const github = portOf(looksLike);
  const branch = (await github.readRun(REPO, run, signal)).value?.branch ?? '';
  expect(branch).toBe('main\uFFFD');
  expect((await github.areTags(REPO, [branch], signal)).value.has(branch)).toBe(false);
  expect(await failureOf(github.hasRef(REPO, branch, signal))).toMatchObject({ kind: 'rejected' });
});

function messageOf(error: unknown): unknown {
  const { message, said } = error as { readonly message: string; readonly said?: unknown };
  expect(message).toContain('GitHub');
  return { message, said };
}
