// The make-believe GitHub: what it knows (scopes, runners, sessions, jobs, runs, tokens) and its own clock; no HTTP.
// May import: domain types, zod, node. Only tests and the demo import this room.

import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { ApiTokens } from './api-tokens.ts';
import type { LimitOptions, Permissions } from './api-tokens.ts';
import { Logs } from './logs.ts';
import { Packages } from './packages.ts';
import { sameName, serves } from './scope.ts';
import type { RunnerGroup, Scope } from './scope.ts';
import { readOnlyLabels } from './runner.ts';
import type { Runner, Session } from './runner.ts';
import { Runs } from './runs.ts';

export interface App {
  readonly appId: number;
  readonly installationId: number;
  /** PEM text. */
  readonly publicKey: string;
  readonly permissions: Permissions;
  readonly sees: readonly string[] | null;
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

export interface WorldOptions extends LimitOptions {
  readonly clockOffsetMs: number;
  readonly offlineAfterMs: number;
  readonly registrationTokenLifetimeMs: number;
}

const HOUR_MS = 3_600_000;

export class World {
  readonly scopes: Scope[] = [];
  readonly runners = new Map<number, Runner>();
  readonly runs = new Runs({
    now: () => this.now(),
    nextId: () => this.#nextId(),
    repositoryNamed: (name) => this.#repositoryNamed(name),
    runnerNamed: (scope, name) =>
      [...this.runners.values()].find((runner) => sameName(runner.name, name) && serves(runner.scope, runner.group, scope)),
    wakeRunners: () => this.#wakeRunners(),
  });
  readonly apps: App[] = [];
  readonly tokens: ApiTokens;
  readonly logs = new Logs(() => this.now());
  /** By version; the others have no date. */
  readonly deprecations = new Map<string, Deprecation>();
  /** Paths of all files of repositories with actions, by lower-case name and ref. */
  readonly actions = new Map<string, Map<string, readonly string[]>>();
  newestRunnerVersion = '2.337.0';
  readonly packages = new Packages();
  /** GitHub's clock minus this computer's, milliseconds. */
  clockOffsetMs: number;
  /** How long a runner that has connected is still shown offline. */
  onlineLagMs = 0;
  /** Lists of runners take no notice of `name`, as those of older servers. */
  ignoresNames = false;
  /** The total of a list of runs with a filter ends where the list ends. */
  capsTotals = false;
  /** Servers of before 2026 know them not. */
  knowsConcurrencyGroups = true;
  /** Its GraphQL API is there. */
  hasGraphql = true;
  readonly #registrationTokens = new Map<string, ScopedToken>();
  readonly #serviceTokens = new Map<string, ScopedToken>();
  readonly #sessions = new Map<string, Session>();
  readonly #forks = new Map<string, Pick<Scope, 'id' | 'name'>>();
  readonly #options: WorldOptions;
  #lastId = 1000;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.clockOffsetMs = options.clockOffsetMs;
    this.tokens = new ApiTokens(() => this.now(), options);
  }

  /** GitHub's clock, epoch milliseconds. */
  now(): number {
    return Date.now() + this.clockOffsetMs;
  }

  addScope(kind: Scope['kind'], name: string): Scope {
    const scope: Scope = {
      id: this.#forks.get(name.toLowerCase())?.id ?? this.#nextId(),
      kind,
      name,
      formerNames: [],
      createdAt: this.now(),
      groups: [{ id: 1, name: 'Default', repositories: 'all', isRestricted: false }],
      tags: [],
      branches: new Set(['main']),
      defaultBranch: 'main',
    };
    this.scopes.push(scope);
    return scope;
  }

  /** @param files their paths */
  addAction(repository: string, ref: string, files: readonly string[]): void {
    const refs = this.actions.get(repository.toLowerCase()) ?? new Map<string, readonly string[]>();
    this.actions.set(repository.toLowerCase(), refs.set(ref, files));
  }

  findScope(name: string): Scope | undefined {
    return this.scopes.find((scope) => sameName(scope.name, name));
  }

  renameScope(scope: Scope, name: string): void {
    scope.formerNames.push(scope.name);
    scope.name = name;
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
    return [...this.runners.values()].filter((runner) => runner.scope === scope);
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
      readonly isEphemeral?: boolean;
      readonly shown?: Runner['shown'];
    },
  ): Runner {
    const runner: Runner = {
      id: this.#nextId(),
      group: this.groupOf(scope, group),
      scope,
      credential: randomUUID(),
      session: null,
      lastHeardAt: null,
      shown: {},
      isEphemeral: false,
      ...described,
    };
    this.runners.set(runner.id, runner);
    return runner;
  }

  /** Keeps the id, makes a new credential; the old one and its session die. */
  replaceRunner(runner: Runner, described: Pick<Runner, 'labels' | 'os' | 'architecture' | 'version'>): void {
    Object.assign(runner, described, { credential: randomUUID() });
    this.runs.abandonWorkOf(runner);
    this.endSession(runner);
  }

  /** Its custom labels, each once; what GitHub gives by itself stays as it is. Jobs that wait for them are given to it at once. */
  relabel(runner: Runner, labels: readonly string[]): void {
    const readOnly = new Set(readOnlyLabels(runner).map((label) => label.toLowerCase()));
    const custom = new Map(labels.map((label) => [label.toLowerCase(), label]));
    runner.labels = [...custom].flatMap(([key, label]) => (readOnly.has(key) ? [] : [label]));
    this.#wakeRunners();
  }

  deleteRunner(runner: Runner): void {
    this.runners.delete(runner.id);
    this.runs.abandonWorkOf(runner);
    this.endSession(runner);
  }

  isOnline(runner: Runner): boolean {
    if (runner.session && performance.now() - runner.session.startedAt < this.onlineLagMs) return false;
    if (this.isPolling(runner)) return true;
    return runner.lastHeardAt !== null && performance.now() - runner.lastHeardAt < this.#options.offlineAfterMs;
  }

  isBusy(runner: Runner): boolean {
    return this.runs.workOf(runner) !== undefined;
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
      pollsEnded: 0,
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

  isPolling({ session }: Runner): boolean {
    return session !== null && session.openPolls > 0;
  }

  /** As a poll ends when its time is over. */
  endPolls({ session }: Runner): void {
    if (session === null) return;
    session.pollsEnded += 1;
    this.wake(session);
  }

  #wakeRunners(): void {
    for (const { session } of this.runners.values()) if (session) this.wake(session);
  }

  /** Forks that nobody added have an id, too. */
  #repositoryNamed(name: string): Pick<Scope, 'id' | 'name'> {
    const known = this.findScope(name) ?? this.#forks.get(name.toLowerCase());
    if (known) return known;
    const fork = { id: this.#nextId(), name };
    this.#forks.set(name.toLowerCase(), fork);
    return fork;
  }

  groupOf(scope: Scope, name: string): RunnerGroup {
    const found = scope.groups.find((group) => group.name === name);
    if (found) return found;
    const group: RunnerGroup = { id: this.#nextId(), name, repositories: 'all', isRestricted: false };
    scope.groups.push(group);
    return group;
  }

  #heard(session: Session): void {
    session.usedAt = performance.now();
    session.runner.lastHeardAt = session.usedAt;
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}
