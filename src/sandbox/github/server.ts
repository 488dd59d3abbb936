// The make-believe GitHub as a server on the loopback interface, and the controls of tests and the demo.

import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Fault } from './answer.ts';
import type { Permissions, Role, SecondaryLimit } from './api-tokens.ts';
import { BadDays } from './bad-days.ts';
import type { Match, Misbehaviour } from './bad-days.ts';
import { answerHttp } from './http.ts';
import type { Answered } from './http.ts';
import { answerForLog } from './log-host.ts';
import type { LogRequest } from './log-host.ts';
import { answerDownload, isDownload } from './packages.ts';
import type { PackageRequest, Packages } from './packages.ts';
import { isYetToBegin } from './run.ts';
import type { HeldStatus, Job, Run, RunConclusion, RunOptions } from './run.ts';
import type { Runner } from './runner.ts';
import type { RunnerGroup, Scope } from './scope.ts';
import { World } from './world.ts';
import type { Deprecation } from './world.ts';

export type { Fault, LogRequest, Match, Misbehaviour };

export interface GitHubOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly repositories?: readonly string[];
  readonly organizations?: readonly string[];
  /** The API token that is made at start; one by chance by default. */
  readonly token?: string;
  /** Length of a runner's long poll. Default 10,000. */
  readonly pollMs?: number;
  /** How long a runner is still `online` after it was last heard of. Default 10,000. */
  readonly offlineAfterMs?: number;
  /** Default one hour, as at GitHub. */
  readonly registrationTokenLifetimeMs?: number;
  /** GitHub's clock minus this computer's. Default 0. */
  readonly clockOffsetMs?: number;
  /** Length of the primary limit's window. Default one hour. */
  readonly hourMs?: number;
  /** Counts requests by points: 5 for each that writes, 1 for any other. Default: no such limit. */
  readonly secondary?: SecondaryLimit;
}

export interface TokenOptions {
  /** Makes it a fine-grained one, which may this and no more. */
  readonly permissions?: Permissions;
  /** Of a classic one. Default `repo` and `admin:org`, which may everything. */
  readonly oauthScopes?: readonly string[];
  /** What its user may do. Default `admin`. */
  readonly role?: Role;
  /** Scopes that it sees; all by default. */
  readonly sees?: readonly string[];
  /** Never expires by default. */
  readonly lifetimeMs?: number;
  /** Requests per hour. Default 5,000. */
  readonly limit?: number;
}

export interface RunnerOptions {
  readonly name: string;
  /** Custom labels. */
  readonly labels?: readonly string[];
  readonly os?: string;
  readonly architecture?: string;
  readonly version?: string;
  /** Name of its group; made where there is none. Default `Default`. */
  readonly group?: string;
  /** It goes after one job. */
  readonly isEphemeral?: boolean;
  /** What the API shows instead of the truth. */
  readonly shown?: Runner['shown'];
}

/** What the API shows of a runner. */
export interface ShownRunner {
  readonly id: number;
  readonly name: string;
  readonly status: string;
  readonly busy: boolean;
  /** Custom labels. */
  readonly labels: readonly string[];
}

/** A run as it is, whatever lists show. */
export interface ShownRun extends Pick<Run, 'id' | 'attempt' | 'status' | 'conclusion' | 'refused'> {
  /** When its attempt began, epoch milliseconds by GitHub's clock. */
  readonly runStartedAt: number;
  /** Of its attempt. */
  readonly jobs: readonly (Pick<Job, 'id' | 'name' | 'state' | 'result'> & { readonly runner: string | null })[];
  /** How many requests of each kind took effect. */
  readonly accepted: Readonly<Run['accepted']>;
}

/** Holds no token: those travel in headers and bodies. */
export interface LoggedRequest extends Answered {
  /** When it came in, epoch milliseconds by GitHub's clock. */
  readonly at: number;
  readonly method: string;
  /** With prefix and query. */
  readonly path: string;
}

export interface SandboxGitHub {
  /** Web address, `GITHUB_SERVER_URL`. The REST API answers here and below `/api/v3`. */
  readonly url: string;
  readonly port: number;
  /** An API token made at start that may do everything. */
  readonly token: string;
  /** Every request that was answered, oldest first. */
  readonly requests: readonly LoggedRequest[];
  /** Likewise at the other origin, which has the logs of jobs. */
  readonly logRequests: readonly LogRequest[];
  /** GitHub's clock minus this computer's, milliseconds; may be changed. */
  clockOffsetMs: number;
  /** Moves GitHub's clock: ages, limits, expiries, cancels that take a while. Sessions of runners know nothing of it. */
  advance(ms: number): void;
  /** How long a runner that has connected is still shown offline, milliseconds; 0 unless changed. */
  onlineLagMs: number;
  /** Whether lists of runners take no notice of `name`, as those of older servers; not unless changed. */
  ignoresNames: boolean;
  /** Whether the `total_count` of a list of runs with a filter ends at a thousand, too; not unless changed. */
  capsTotals: boolean;
  /** Whether its GraphQL API is there, as at GitHub unless changed. */
  hasGraphql: boolean;
  /** Whether it tells concurrency groups of a run, as GitHub since 2026 unless changed. */
  knowsConcurrencyGroups: boolean;
  /** Version of the runner that is offered for download; may be changed. */
  newestRunnerVersion: string;
  /** What it has for download; by default at this address, and with checksums. */
  readonly packages: Packages;
  /** Downloads of packages that were answered, oldest first. */
  readonly packageRequests: readonly PackageRequest[];
  /** Names dates for a version of the runner. */
  retireRunnerVersion(version: string, deprecation: Deprecation): void;
  addRepository(name: string): void;
  addOrganization(name: string): void;
  addTag(repository: string, name: string): void;
  /** Branches are there once a run is on one of them; `main` always is. */
  deleteBranch(repository: string, name: string): void;
  setDefaultBranch(repository: string, name: string): void;
  /**
   * What a repository with an action holds at a ref: these files and no others, and it has no other refs than those that are added.
   * One that nobody described has all refs, and `action.yml` and `index.js` in each folder. Repositories that are not scopes are public.
   */
  addAction(repository: string, ref: string, files: readonly string[]): void;
  renameRepository(from: string, to: string): void;
  addToken(options?: TokenOptions): string;
  revokeToken(token: string): void;
  /** A GitHub App with its one installation; the private key is PEM text. */
  addApp(options?: Pick<TokenOptions, 'permissions' | 'sees'>): {
    readonly appId: number;
    readonly installationId: number;
    readonly privateKey: string;
  };
  addRunner(scope: string, options: RunnerOptions): { readonly id: number; readonly credential: string };
  /** Which of an organisation's repositories may use a group, by their full names. Makes the group if it is not there. */
  setGroup(organization: string, group: string, visible: Partial<Pick<RunnerGroup, 'repositories' | 'isRestricted'>>): void;
  /** Makes the API show something else than the truth; `{}` ends that. */
  showRunner(scope: string, runner: string, shown: Runner['shown']): void;
  /** The runner's present session polls and is given no job any more; a new one hears again. */
  deafen(scope: string, runner: string): void;
  /** Whether a long poll of the runner's is open, so that a job is given at once. */
  isPolling(scope: string, runner: string): boolean;
  /** Ends the runner's open polls before their time; without a job, where none waits. */
  endPolls(scope: string, runner: string): void;
  /** Deletes the registration, busy or not. */
  removeRunner(scope: string, runner: string): void;
  runners(scope: string): readonly ShownRunner[];
  /** Every registration token that was handed out, for tests that search for traces of them. */
  registrationTokens(): readonly string[];
  /** Queues a job for the runner and returns its id. */
  giveJob(scope: string, runner: string, options?: { readonly name?: string; readonly seconds?: number }): number;
  job(id: number): Pick<Job, 'state' | 'result'>;
  /** Adds a run whose queued jobs are taken by idle runners that are online and have all their labels, and returns its id. */
  queueRun(repository: string, options: RunOptions): number;
  run(id: number): ShownRun;
  /** All of the repository's, oldest first. */
  runs(repository: string): readonly ShownRun[];
  /** Holds a run, or queues one that is held; its jobs that are yet to begin go with it. */
  settle(id: number, status: HeldStatus | 'queued'): void;
  /** Somebody else's runner begins a job. */
  startJob(id: number): void;
  /** Ends a run and its jobs. */
  completeRun(id: number, conclusion: RunConclusion): void;
  /** Makes lists of runs show something else than the truth, as they do for a while; `{}` ends that. */
  showRun(id: number, shown: Run['shown']): void;
  /** Replaces the repository's runs by so many of each status, without jobs. */
  setRuns(repository: string, counts: Readonly<Record<string, number>>): void;
  /** Returns a function that ends it. The earliest one that matches wins. Logs have paths like `/logs/1234.txt`. */
  misbehave(misbehaviour: Misbehaviour): () => void;
  close(): Promise<void>;
}

const EVERYTHING: Permissions = {
  administration: 'write',
  actions: 'write',
  checks: 'read',
  contents: 'read',
  organization_self_hosted_runners: 'write',
};

/** https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps */
function permissionsOf(oauthScopes: readonly string[]): Permissions {
  const { organization_self_hosted_runners: runners, ...ofRepositories } = EVERYTHING;
  return {
    ...(oauthScopes.includes('repo') ? ofRepositories : {}),
    ...(oauthScopes.includes('admin:org') && runners !== undefined ? { organization_self_hosted_runners: runners } : {}),
  };
}

/** Starts a make-believe GitHub on 127.0.0.1. */
export async function startGitHub(options: GitHubOptions = {}): Promise<SandboxGitHub> {
  const { port: wantedPort = 0, pollMs = 10_000, repositories = [], organizations = [] } = options;
  const world = new World({
    clockOffsetMs: options.clockOffsetMs ?? 0,
    offlineAfterMs: options.offlineAfterMs ?? 10_000,
    registrationTokenLifetimeMs: options.registrationTokenLifetimeMs ?? 3_600_000,
    hourMs: options.hourMs ?? 3_600_000,
    secondary: options.secondary ?? null,
  });
  for (const name of repositories) world.addScope('repository', name);
  for (const name of organizations) world.addScope('organization', name);
  const badDays = new BadDays();
  const requests: LoggedRequest[] = [];

  const packageRequests: PackageRequest[] = [];
  const server = createServer(PATIENT, (request, response) => {
    if (isDownload(request)) {
      void answerDownload({ packages: world.packages, badDays }, request, response).then((answered) => packageRequests.push(answered));
      return;
    }
    const at = world.now();
    void answerHttp({ world, pollMs, badDays }, request, response).then((answered) => {
      requests.push({ at, method: request.method ?? '', path: request.url ?? '', ...answered });
    });
  });
  const port = await listen(server, wantedPort);
  world.packages.origin = `http://127.0.0.1:${port}`;
  const logRequests: LogRequest[] = [];
  const logServer = createServer(PATIENT, (request, response) => {
    void answerForLog({ logs: world.logs, badDays }, request, response).then((answered) => logRequests.push(answered));
  });
  world.logs.origin = `http://127.0.0.1:${await listen(logServer, 0)}`;

  const scopeOf = (name: string): Scope => found(world.findScope(name), `scope ${name}`);
  const runnerOf = (scope: string, name: string): Runner => found(world.findRunner(scopeOf(scope), name), `runner ${name} of ${scope}`);
  const runOf = (id: number): Run => found(world.runs.find(id), `run ${id}`);
  const jobOf = (id: number): Job => found(world.runs.findJob(id), `job ${id}`);
  const addToken = (
    { permissions, oauthScopes = ['admin:org', 'repo'], role = 'admin', sees, lifetimeMs, limit = 5000 }: TokenOptions = {},
    token: string | null = null,
  ): string =>
    world.tokens.add({
      kind: permissions === undefined ? 'classic' : 'fine-grained',
      token,
      login: 'octocat',
      role,
      oauthScopes: permissions === undefined ? oauthScopes : [],
      permissions: permissions ?? permissionsOf(oauthScopes),
      sees: sees ?? null,
      lifetimeMs: lifetimeMs ?? null,
      limit,
    }).token;

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    token: addToken({}, options.token ?? null),
    requests,
    logRequests,
    get clockOffsetMs() {
      return world.clockOffsetMs;
    },
    set clockOffsetMs(offset) {
      world.clockOffsetMs = offset;
    },
    advance(ms) {
      world.clockOffsetMs += ms;
    },
    get onlineLagMs() {
      return world.onlineLagMs;
    },
    set onlineLagMs(lag) {
      world.onlineLagMs = lag;
    },
    get ignoresNames() {
      return world.ignoresNames;
    },
    set ignoresNames(ignores) {
      world.ignoresNames = ignores;
    },
    get capsTotals() {
      return world.capsTotals;
    },
    set capsTotals(caps) {
      world.capsTotals = caps;
    },
    get hasGraphql() {
      return world.hasGraphql;
    },
    set hasGraphql(has) {
      world.hasGraphql = has;
    },
    get knowsConcurrencyGroups() {
      return world.knowsConcurrencyGroups;
    },
    set knowsConcurrencyGroups(knows) {
      world.knowsConcurrencyGroups = knows;
    },
    get newestRunnerVersion() {
      return world.newestRunnerVersion;
    },
    set newestRunnerVersion(version) {
      world.newestRunnerVersion = version;
    },
    packages: world.packages,
    packageRequests,
    retireRunnerVersion: (version, deprecation) => void world.deprecations.set(version, deprecation),
    addRepository: (name) => void world.addScope('repository', name),
    addOrganization: (name) => void world.addScope('organization', name),
    addTag: (repository, name) => void scopeOf(repository).tags.push(name),
    deleteBranch: (repository, name) => void scopeOf(repository).branches.delete(name),
    setDefaultBranch(repository, name) {
      scopeOf(repository).branches.add(name);
      scopeOf(repository).defaultBranch = name;
    },
    addAction: (repository, ref, files) => world.addAction(repository, ref, files),
    renameRepository: (from, to) => world.renameScope(scopeOf(from), to),
    addToken: (token) => addToken(token),
    revokeToken: (token) => world.tokens.revoke(token),
    addApp({ permissions = EVERYTHING, sees } = {}) {
      const { appId, installationId, privateKey } = world.addApp(permissions, sees ?? null);
      return { appId, installationId, privateKey };
    },
    addRunner(scope, { labels = [], os = 'Linux', architecture = 'X64', version = '2.336.0', ...named }) {
      const { id, credential } = world.addRunner(scopeOf(scope), {
        labels,
        os,
        architecture,
        version,
        ...named,
      });
      return { id, credential };
    },
    setGroup: (organization, group, visible) => void Object.assign(world.groupOf(scopeOf(organization), group), visible),
    showRunner(scope, runner, shown) {
      runnerOf(scope, runner).shown = shown;
    },
    deafen(scope, runner) {
      const { session } = runnerOf(scope, runner);
      found(session ?? undefined, `session of ${runner}`).isDeaf = true;
    },
    isPolling: (scope, runner) => world.isPolling(runnerOf(scope, runner)),
    endPolls: (scope, runner) => world.endPolls(runnerOf(scope, runner)),
    removeRunner: (scope, runner) => world.deleteRunner(runnerOf(scope, runner)),
    runners: (scope) =>
      world.runnersOf(scopeOf(scope)).map((runner) => ({
        id: runner.id,
        name: runner.name,
        status: world.statusShown(runner),
        busy: world.busyShown(runner),
        labels: runner.labels,
      })),
    registrationTokens: () => world.registrationTokens,
    giveJob: (scope, runner, { name = 'build', seconds = 1 } = {}) => world.runs.give(runnerOf(scope, runner), name, seconds).id,
    job(id) {
      const { state, result } = jobOf(id);
      return { state, result };
    },
    queueRun: (repository, run) => world.runs.queue(scopeOf(repository), run).id,
    run: (id) => show(runOf(id)),
    runs: (repository) => world.runs.of(scopeOf(repository)).map(show),
    settle(id, status) {
      const run = runOf(id);
      if (run.status === 'completed') throw new Error(`run ${id} of the make-believe GitHub is completed`);
      world.runs.settle(run, status);
    },
    startJob(id) {
      const job = jobOf(id);
      if (!isYetToBegin(job)) throw new Error(`job ${id} of the make-believe GitHub is ${job.state}`);
      world.runs.start(job);
    },
    completeRun: (id, conclusion) => world.runs.complete(runOf(id), conclusion),
    showRun(id, shown) {
      runOf(id).shown = shown;
    },
    setRuns: (repository, counts) => world.runs.replace(scopeOf(repository), counts),
    misbehave: (what) => badDays.begin(what),
    close: async () => void (await Promise.all([end(server), end(logServer)])),
  };
}

/** On a slow machine a client may use a connection again that Node would have closed as idle: no failure that a test asked for. */
const PATIENT = { keepAliveTimeout: 0 };

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function show({ id, attempt, status, conclusion, startedAt, accepted, refused, jobs }: Run): ShownRun {
  return {
    id,
    attempt,
    status,
    conclusion,
    runStartedAt: startedAt,
    accepted: { ...accepted },
    refused,
    jobs: jobs.map((job) => ({
      id: job.id,
      name: job.name,
      state: job.state,
      result: job.result,
      runner: job.runner?.name ?? job.hostedRunner,
    })),
  };
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the make-believe GitHub knows no ${what}`);
  return value;
}
