// The make-believe GitHub: what it knows (scopes, runners, sessions, jobs, runs, tokens) and its own clock; no HTTP.
// May import: domain types, zod, node. Only tests and the demo import this room.

import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import type { Limit } from './answer.ts';

/** Permissions of fine-grained tokens and Apps, by GitHub's names: `administration`, `actions`, `organization_self_hosted_runners`, … */
export type Permissions = Readonly<Record<string, 'read' | 'write'>>;

export interface Scope {
  readonly id: number;
  readonly kind: 'repository' | 'organization';
  /** `owner/name`, or `owner` for an organisation. */
  name: string;
  readonly formerNames: string[];
  readonly createdAt: number;
  runs: Run[];
  /** Runner groups; organisations alone have more than GitHub's default one. */
  readonly groups: RunnerGroup[];
}

export interface RunnerGroup {
  readonly id: number;
  readonly name: string;
}

export interface ApiToken {
  readonly token: string;
  readonly kind: 'personal' | 'installation';
  readonly permissions: Permissions;
  /** Names of the scopes that it sees; `null`: all. */
  readonly sees: readonly string[] | null;
  /** Epoch milliseconds by GitHub's clock; `null`: never. */
  readonly expiresAt: number | null;
  /** Requests per hour. */
  readonly limit: number;
  used: number;
  /** Epoch seconds at which `used` starts anew. */
  resetsAt: number;
  /** A limit besides the hourly one that is counted here. */
  limited: Limit | null;
}

export interface App {
  readonly appId: number;
  readonly installationId: number;
  /** PEM text. */
  readonly publicKey: string;
  readonly permissions: Permissions;
  readonly sees: readonly string[] | null;
}

export interface Runner {
  readonly id: number;
  readonly scopeId: number;
  readonly name: string;
  readonly group: RunnerGroup;
  os: string;
  architecture: string;
  labels: readonly string[];
  version: string | null;
  credential: string;
  session: Session | null;
  /** When it was last heard of, by the monotonic clock in milliseconds; `null`: it never connected. */
  lastHeardAt: number | null;
  /** What the API shows instead of the truth. */
  shown: { readonly status?: string; readonly busy?: boolean };
}

export interface Session {
  readonly id: string;
  readonly runner: Runner;
  /** The credential that it was started with. */
  readonly credential: string;
  openPolls: number;
  /** Each wakes a poll that waits, so that it looks again. */
  readonly wakers: Set<() => void>;
  /** Monotonic clock, milliseconds. */
  readonly startedAt: number;
  /** Likewise. */
  usedAt: number;
  /** It polls and is given no job, as the session of a deaf listener. */
  isDeaf: boolean;
}

export type JobResult = 'Succeeded' | 'Failed' | 'Canceled';

export interface Job {
  readonly id: number;
  /** `null` for a job that was given to a runner by hand. */
  readonly run: Run | null;
  readonly name: string;
  /** What its runner must have. */
  readonly labels: readonly string[];
  readonly seconds: number;
  readonly createdAt: number;
  startedAt: number | null;
  completedAt: number | null;
  /** Who has it, or who alone may take it. */
  runner: Runner | null;
  state: JobState;
  result: JobResult | null;
}

export type JobState = 'queued' | 'in_progress' | 'completed';

export interface Run {
  readonly id: number;
  readonly number: number;
  /** None where nobody asks for them. */
  readonly jobs: Job[];
  /** Follows its jobs. */
  status: string;
  conclusion: string | null;
  readonly createdAt: number;
  updatedAt: number;
  /** What lists show instead of the truth. */
  shown: { readonly status?: string };
}

/** A job of a run that is begun. */
export interface JobOptions {
  readonly name?: string;
  /** Default `self-hosted` alone. */
  readonly labels?: readonly string[];
  /** How long it works. Default 1. */
  readonly seconds?: number;
  /** `in_progress` and `completed` are for jobs of others, such as GitHub's own runners. Default `queued`. */
  readonly state?: JobState;
}

/** When GitHub gives a version of the runner up, epoch milliseconds by its clock. */
export interface Deprecation {
  readonly runsUntil?: number;
  readonly registersUntil?: number;
}

interface ScopedToken {
  readonly scopeId: number;
  readonly expiresAt: number;
}

export interface WorldOptions {
  readonly clockOffsetMs: number;
  readonly offlineAfterMs: number;
  readonly registrationTokenLifetimeMs: number;
}

const HOUR_MS = 3_600_000;

export class World {
  readonly scopes: Scope[] = [];
  readonly runners = new Map<number, Runner>();
  readonly jobs = new Map<number, Job>();
  readonly apps: App[] = [];
  /** By version; the others have no date. */
  readonly deprecations = new Map<string, Deprecation>();
  newestRunnerVersion = '2.337.0';
  /** GitHub's clock minus this computer's, milliseconds. */
  clockOffsetMs: number;
  /** How long a runner that has connected is still shown offline. */
  onlineLagMs = 0;
  /** Lists of runners take no notice of `name`, as those of older servers. */
  ignoresNames = false;
  readonly #apiTokens = new Map<string, ApiToken>();
  readonly #registrationTokens = new Map<string, ScopedToken>();
  readonly #serviceTokens = new Map<string, ScopedToken>();
  readonly #sessions = new Map<string, Session>();
  readonly #options: WorldOptions;
  #lastId = 1000;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.clockOffsetMs = options.clockOffsetMs;
  }

  /** GitHub's clock, epoch milliseconds. */
  now(): number {
    return Date.now() + this.clockOffsetMs;
  }

  addScope(kind: Scope['kind'], name: string): Scope {
    const scope: Scope = {
      id: this.#nextId(),
      kind,
      name,
      formerNames: [],
      createdAt: this.now(),
      runs: [],
      groups: [{ id: 1, name: 'Default' }],
    };
    this.scopes.push(scope);
    return scope;
  }

  findScope(name: string): Scope | undefined {
    return this.scopes.find((scope) => sameName(scope.name, name));
  }

  renameScope(scope: Scope, name: string): void {
    scope.formerNames.push(scope.name);
    scope.name = name;
  }

  addApiToken(token: {
    readonly kind: ApiToken['kind'];
    readonly permissions: Permissions;
    readonly sees: readonly string[] | null;
    readonly lifetimeMs: number | null;
    readonly limit: number;
  }): ApiToken {
    const { kind, permissions, sees, lifetimeMs, limit } = token;
    const text = kind === 'installation' ? `ghs_${randomBytes(18).toString('hex')}` : `ghp_${randomBytes(18).toString('hex')}`;
    const added: ApiToken = {
      token: text,
      kind,
      permissions,
      sees,
      expiresAt: lifetimeMs === null ? null : this.now() + lifetimeMs,
      limit,
      used: 0,
      resetsAt: 0,
      limited: null,
    };
    this.#apiTokens.set(text, added);
    return added;
  }

  /** `undefined` for an unknown, revoked or expired one. */
  findApiToken(token: string): ApiToken | undefined {
    const found = this.#apiTokens.get(token);
    return found && (found.expiresAt === null || found.expiresAt > this.now()) ? found : undefined;
  }

  revokeApiToken(token: string): void {
    this.#apiTokens.delete(token);
  }

  /** Counts one request against the hourly limit. */
  countRequest(token: ApiToken): void {
    this.startRateWindow(token);
    token.used += 1;
  }

  startRateWindow(token: ApiToken): void {
    const now = this.now();
    if (token.resetsAt * 1000 <= now) {
      token.used = 0;
      token.resetsAt = Math.ceil((now + HOUR_MS) / 1000);
    }
  }

  addApp(permissions: Permissions, sees: readonly string[] | null): App & { readonly privateKey: string } {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const app: App = {
      appId: this.#nextId(),
      installationId: this.#nextId(),
      publicKey,
      permissions,
      sees,
    };
    this.apps.push(app);
    return { ...app, privateKey };
  }

  createRegistrationToken(scope: Scope): { readonly token: string; readonly expiresAt: number } {
    const token = `A${randomBytes(14).toString('hex').toUpperCase()}`;
    const expiresAt = this.now() + this.#options.registrationTokenLifetimeMs;
    this.#registrationTokens.set(token, { scopeId: scope.id, expiresAt });
    return { token, expiresAt };
  }

  /** Every registration token that was handed out, for tests that search for traces of them. */
  get registrationTokens(): readonly string[] {
    return [...this.#registrationTokens.keys()];
  }

  /** The scope's token for the service side, or `undefined` where the registration token is not valid for it. */
  exchangeRegistrationToken(token: string, scope: Scope): string | undefined {
    const found = this.#registrationTokens.get(token);
    if (!found || found.scopeId !== scope.id || found.expiresAt <= this.now()) return undefined;
    const serviceToken = randomBytes(24).toString('base64url');
    this.#serviceTokens.set(serviceToken, { scopeId: scope.id, expiresAt: this.now() + HOUR_MS });
    return serviceToken;
  }

  scopeOfServiceToken(token: string): Scope | undefined {
    const found = this.#serviceTokens.get(token);
    if (!found || found.expiresAt <= this.now()) return undefined;
    return this.scopes.find(({ id }) => id === found.scopeId);
  }

  runnersOf(scope: Scope): Runner[] {
    return [...this.runners.values()].filter(({ scopeId }) => scopeId === scope.id);
  }

  findRunner(scope: Scope, name: string): Runner | undefined {
    return this.runnersOf(scope).find((runner) => sameName(runner.name, name));
  }

  addRunner(
    scope: Scope,
    {
      group = 'Default',
      ...described
    }: Pick<Runner, 'name' | 'labels' | 'os' | 'architecture' | 'version'> & {
      readonly group?: string;
      readonly shown?: Runner['shown'];
    },
  ): Runner {
    const runner: Runner = {
      id: this.#nextId(),
      group: this.#groupOf(scope, group),
      scopeId: scope.id,
      credential: randomUUID(),
      session: null,
      lastHeardAt: null,
      shown: {},
      ...described,
    };
    this.runners.set(runner.id, runner);
    return runner;
  }

  /** Keeps the id, makes a new credential; the old one and its session die. */
  replaceRunner(runner: Runner, described: Pick<Runner, 'labels' | 'os' | 'architecture' | 'version'>): void {
    Object.assign(runner, described, { credential: randomUUID() });
    this.#abandonJob(runner);
    this.endSession(runner);
  }

  deleteRunner(runner: Runner): void {
    this.runners.delete(runner.id);
    this.#abandonJob(runner);
    this.endSession(runner);
  }

  isOnline(runner: Runner): boolean {
    if (runner.session && performance.now() - runner.session.startedAt < this.onlineLagMs) return false;
    if (runner.session && runner.session.openPolls > 0) return true;
    return runner.lastHeardAt !== null && performance.now() - runner.lastHeardAt < this.#options.offlineAfterMs;
  }

  isBusy(runner: Runner): boolean {
    return this.#jobOf(runner, 'in_progress') !== undefined;
  }

  statusShown(runner: Runner): string {
    return runner.shown.status ?? (this.isOnline(runner) ? 'online' : 'offline');
  }

  busyShown(runner: Runner): boolean {
    return runner.shown.busy ?? this.isBusy(runner);
  }

  /** `undefined` where another session was used lately. */
  startSession(runner: Runner): Session | undefined {
    const other = runner.session;
    if (other && (other.openPolls > 0 || performance.now() - other.usedAt < this.#options.offlineAfterMs)) return undefined;
    const session: Session = {
      id: randomUUID(),
      runner,
      credential: runner.credential,
      openPolls: 0,
      wakers: new Set(),
      startedAt: performance.now(),
      usedAt: performance.now(),
      isDeaf: false,
    };
    this.endSession(runner);
    runner.session = session;
    this.#sessions.set(session.id, session);
    return session;
  }

  findSession(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  endSession(runner: Runner): void {
    const session = runner.session;
    runner.session = null;
    if (session) this.wake(session);
  }

  wake(session: Session): void {
    for (const wake of session.wakers) wake();
  }

  beginPoll(session: Session): void {
    session.openPolls += 1;
    this.#heard(session);
  }

  endPoll(session: Session): void {
    session.openPolls -= 1;
    this.#heard(session);
  }

  giveJob(runner: Runner, name: string, seconds: number): Job {
    const job = this.#addJob(null, { name, seconds, labels: [] }, this.now());
    job.runner = runner;
    if (runner.session) this.wake(runner.session);
    return job;
  }

  /** The next queued job that the runner may have, now in progress; `undefined` where there is none or one runs already. */
  takeJob(runner: Runner): Job | undefined {
    if (this.isBusy(runner)) return undefined;
    const job = this.#jobOf(runner, 'queued') ?? [...this.jobs.values()].find((candidate) => this.#isFor(candidate, runner));
    if (job) {
      job.runner = runner;
      job.state = 'in_progress';
      job.startedAt = this.now();
      this.#follow(job.run);
    }
    return job;
  }

  finishJob(job: Job, result: JobResult): void {
    job.state = 'completed';
    job.result = result;
    job.completedAt = this.now();
    this.#follow(job.run);
  }

  /** @param agoMs how long it has been there already */
  queueRun(scope: Scope, jobs: readonly JobOptions[], agoMs: number): Run {
    const run = this.#newRun('queued', this.now() - agoMs);
    for (const described of jobs) run.jobs.push(this.#addJob(run, described, run.createdAt));
    scope.runs.push(run);
    this.#follow(run);
    for (const { session } of this.runners.values()) if (session) this.wake(session);
    return run;
  }

  /** Ends its jobs as well; a runner that works on one hears of it when it says that it is done. */
  cancelRun(run: Run): void {
    for (const job of run.jobs) if (job.state !== 'completed') this.finishJob(job, 'Canceled');
    run.status = 'completed';
    run.conclusion = 'cancelled';
    run.updatedAt = this.now();
  }

  /** Runs without jobs. */
  setRuns(scope: Scope, counts: Readonly<Record<string, number>>): void {
    for (const { id } of scope.runs.flatMap(({ jobs }) => jobs)) this.jobs.delete(id);
    const now = this.now();
    scope.runs = Object.entries(counts).flatMap(([status, count]) => Array.from({ length: count }, () => this.#newRun(status, now)));
  }

  findRun(id: number): Run | undefined {
    return this.scopes.flatMap(({ runs }) => runs).find((run) => run.id === id);
  }

  #newRun(status: string, createdAt: number): Run {
    return {
      id: 34_000_000_000 + this.#nextId(),
      number: this.#lastId,
      jobs: [],
      status,
      conclusion: status === 'completed' ? 'success' : null,
      createdAt,
      updatedAt: createdAt,
      shown: {},
    };
  }

  #addJob(
    run: Run | null,
    { name = 'build', labels = ['self-hosted'], seconds = 1, state = 'queued' }: JobOptions,
    createdAt: number,
  ): Job {
    const job: Job = {
      id: this.#nextId(),
      run,
      name,
      labels,
      seconds,
      createdAt,
      startedAt: state === 'queued' ? null : createdAt,
      completedAt: state === 'completed' ? createdAt : null,
      runner: null,
      state,
      result: state === 'completed' ? 'Succeeded' : null,
    };
    this.jobs.set(job.id, job);
    return job;
  }

  /** A run reads as far as its least advanced job has come. https://github.com/cli/cli/issues/13972 */
  #follow(run: Run | null): void {
    if (run === null || run.jobs.length === 0) return;
    const states = run.jobs.map(({ state }) => state);
    run.status = (['queued', 'in_progress'] as const).find((state) => states.includes(state)) ?? 'completed';
    run.updatedAt = this.now();
    if (run.status !== 'completed') return;
    const worst = (['Failed', 'Canceled'] as const).find((result) => run.jobs.some((job) => job.result === result));
    run.conclusion = conclusionOf(worst ?? 'Succeeded');
  }

  /** Whether it waits for any runner that has its labels, in the repository or in the organisation that owns it. */
  #isFor({ run, runner: taker, state, labels }: Job, runner: Runner): boolean {
    if (run === null || taker !== null || state !== 'queued') return false;
    const scope = this.scopes.find(({ runs }) => runs.includes(run));
    const home = this.scopes.find(({ id }) => id === runner.scopeId);
    if (scope === undefined || home === undefined) return false;
    if (scope !== home && !(home.kind === 'organization' && sameName(scope.name.split('/')[0] ?? '', home.name))) return false;
    const offered = new Set(allLabels(runner).map((label) => label.toLowerCase()));
    return labels.every((label) => offered.has(label.toLowerCase()));
  }

  #groupOf(scope: Scope, name: string): RunnerGroup {
    const found = scope.groups.find((group) => group.name === name);
    if (found) return found;
    const group = { id: this.#nextId(), name };
    scope.groups.push(group);
    return group;
  }

  #heard(session: Session): void {
    session.usedAt = performance.now();
    session.runner.lastHeardAt = session.usedAt;
  }

  /** A job whose runner is gone fails. */
  #abandonJob(runner: Runner): void {
    const job = this.#jobOf(runner, 'in_progress');
    if (job) this.finishJob(job, 'Failed');
  }

  #jobOf(runner: Runner, state: Job['state']): Job | undefined {
    return [...this.jobs.values()].find((job) => job.runner === runner && job.state === state);
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** With the labels that GitHub gives by itself. */
function allLabels({ os, architecture, labels }: Runner): readonly string[] {
  return [...readOnlyLabels({ os, architecture }), ...labels];
}

export function readOnlyLabels({ os, architecture }: Pick<Runner, 'os' | 'architecture'>): readonly string[] {
  return ['self-hosted', os, architecture];
}

/** GitHub's word in jobs and runs for what a runner reported. */
export function conclusionOf(result: JobResult): 'success' | 'failure' | 'cancelled' {
  return ({ Succeeded: 'success', Failed: 'failure', Canceled: 'cancelled' } as const)[result];
}
