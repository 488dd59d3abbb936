// The REST API: which endpoints there are, what permission each needs, and what it answers.

import { verify } from 'node:crypto';
import { notFound, paginate, refuse, refuseAsInvalid } from './answer.ts';
import type { Answer, Limit } from './answer.ts';
import { downloadsJson, iso, jobJson, repositoryJson, rootJson, runJson, runnerGroupJson, runnerJson } from './shapes.ts';
import type { ApiToken, App, Run, Runner, Scope, World } from './world.ts';

export interface RestRequest {
  readonly method: string;
  /** Without the prefix of the API and without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Credentials of the `Authorization` header, without its scheme. */
  readonly credentials: string | null;
  readonly apiVersion: string;
  /** Address of the API as the client wrote it, without a slash at the end. */
  readonly base: string;
}

export const API_VERSIONS = ['2022-11-28', '2026-03-10'] as const;
const ANONYMOUS_LIMIT = 60;
/** Lists of runs with a filter end after so many. */
const MOST_FILTERED = 1000;
const INSTALLATION_TOKEN_LIFETIME_MS = 3_600_000;

/** What an endpoint below a repository or an organisation is asked with. */
interface Asked {
  readonly world: World;
  readonly request: RestRequest;
  readonly scope: Scope;
  /** The path below the scope. */
  readonly rest: string;
  /** The number in the path, where it has one. */
  readonly id: number;
  /** The word at the same place. */
  readonly word: string;
}

interface Endpoint {
  readonly method: string;
  readonly path: RegExp;
  readonly kinds: readonly Scope['kind'][];
  /** GitHub's name of the permission; `runners` stands for the one that runners of the scope's kind need. */
  readonly needs: readonly [permission: string, level: 'read' | 'write'];
  readonly answer: (asked: Asked) => Answer;
}

const BOTH = ['repository', 'organization'] as const;
const REPOSITORY = ['repository'] as const;

const ENDPOINTS: readonly Endpoint[] = [
  {
    method: 'GET',
    path: /^$/,
    kinds: REPOSITORY,
    needs: ['metadata', 'read'],
    answer: showRepository,
  },
  {
    method: 'GET',
    path: /^\/actions\/runners$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: listRunners,
  },
  {
    method: 'GET',
    path: /^\/actions\/runners\/(\d+)$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: getRunner,
  },
  {
    method: 'GET',
    path: /^\/actions\/runners\/downloads$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: ({ world }) => ({ status: 200, body: downloadsJson(world.newestRunnerVersion) }),
  },
  {
    method: 'GET',
    path: /^\/actions\/runners\/deprecations\/([^/]+)$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: showDeprecation,
  },
  {
    method: 'GET',
    path: /^\/actions\/runner-groups$/,
    kinds: ['organization'],
    needs: ['runners', 'read'],
    answer: listRunnerGroups,
  },
  {
    method: 'DELETE',
    path: /^\/actions\/runners\/(\d+)$/,
    kinds: BOTH,
    needs: ['runners', 'write'],
    answer: deleteRunner,
  },
  {
    method: 'POST',
    path: /^\/actions\/runners\/registration-token$/,
    kinds: BOTH,
    needs: ['runners', 'write'],
    answer: createRegistrationToken,
  },
  {
    method: 'POST',
    path: /^\/actions\/runners\/remove-token$/,
    kinds: BOTH,
    needs: ['runners', 'write'],
    answer: createRegistrationToken,
  },
  {
    method: 'GET',
    path: /^\/actions\/runs$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: listRuns,
  },
  {
    method: 'GET',
    path: /^\/actions\/runs\/(\d+)$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: getRun,
  },
  {
    method: 'GET',
    path: /^\/actions\/runs\/(\d+)\/jobs$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: listJobs,
  },
  {
    method: 'GET',
    path: /^\/actions\/jobs\/(\d+)$/,
    kinds: REPOSITORY,
    needs: ['actions', 'read'],
    answer: getJob,
  },
  {
    method: 'POST',
    path: /^\/actions\/runs\/(\d+)\/cancel$/,
    kinds: REPOSITORY,
    needs: ['actions', 'write'],
    answer: cancelRun,
  },
];

/** @param token the API token that the request came with; `null` without or with an App's JWT */
export function answerRest(world: World, request: RestRequest, token: ApiToken | null): Answer {
  if (!(API_VERSIONS as readonly string[]).includes(request.apiVersion)) {
    return refuse(400, `Invalid API version: ${request.apiVersion}.`);
  }
  const installation = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(request.path);
  if (installation && request.method === 'POST') return createInstallationToken(world, request, Number(installation[1]));
  if (request.credentials !== null && token === null) return refuse(401, 'Bad credentials');
  const { method, path } = request;
  if (method === 'GET' && path === '/') return { status: 200, headers: oauthScopes(token), body: rootJson(request.base) };
  if (method === 'GET' && path === '/versions') return { status: 200, body: API_VERSIONS };
  if (method === 'GET' && path === '/rate_limit') return { status: 200, body: rateLimitJson(world, token, request.apiVersion) };
  return answerBelowScope(world, request, token);
}

/** Numbers of the primary rate limit as the headers tell them. */
export function rateOf(world: World, token: ApiToken | null): { limit: number; remaining: number; used: number; reset: number } {
  if (token === null)
    return {
      limit: ANONYMOUS_LIMIT,
      remaining: ANONYMOUS_LIMIT,
      used: 0,
      reset: Math.ceil(world.now() / 1000) + 3600,
    };
  world.startRateWindow(token);
  return {
    limit: token.limit,
    remaining: Math.max(0, token.limit - token.used),
    used: token.used,
    reset: token.resetsAt,
  };
}

/** The limit that refuses the token's requests at present. */
export function limitOf(world: World, token: ApiToken): Limit | null {
  if (token.limited && token.limited.until > world.now()) return token.limited;
  const { remaining, reset } = rateOf(world, token);
  return remaining === 0 ? { kind: 'primary', status: 403, until: reset * 1000, namesEnd: true } : null;
}

function answerBelowScope(world: World, request: RestRequest, token: ApiToken | null): Answer {
  const located = locateScope(world, request.path);
  if (located === null) return notFound();
  if (token === null) return refuse(401, 'Requires authentication');
  const { scope, rest, moved } = located;
  if (token.sees !== null && !token.sees.includes(scope.name)) return notFound();
  if (moved) return moveTo(request, scope, rest);
  for (const endpoint of ENDPOINTS) {
    const match = endpoint.path.exec(rest);
    if (!match || endpoint.method !== request.method || !endpoint.kinds.includes(scope.kind)) continue;
    const missing = missingPermission(endpoint, scope, token);
    if (missing !== null) return refusePermission(token, missing);
    return endpoint.answer({ world, request, scope, rest, id: Number(match[1]), word: decodeURIComponent(match[1] ?? '') });
  }
  return notFound();
}

interface Located {
  readonly scope: Scope;
  /** The path below the scope. */
  readonly rest: string;
  /** The scope was asked for by a former name. */
  readonly moved: boolean;
}

function locateScope(world: World, path: string): Located | null {
  const byName = /^\/(?:repos\/([^/]+\/[^/]+)|orgs\/([^/]+))(.*)$/.exec(path);
  if (byName) {
    const name = decodeURIComponent(byName[1] ?? byName[2] ?? '');
    const kind = byName[1] === undefined ? 'organization' : 'repository';
    const scope = world.findScope(name);
    if (scope) return scope.kind === kind ? { scope, rest: byName[3] ?? '', moved: false } : null;
    const renamed = world.scopes.find((candidate) => candidate.kind === kind && candidate.formerNames.includes(name));
    return renamed ? { scope: renamed, rest: byName[3] ?? '', moved: true } : null;
  }
  const byId = /^\/(repositories|organizations)\/(\d+)(.*)$/.exec(path);
  const scope = byId && world.scopes.find(({ id, kind }) => id === Number(byId[2]) && pathKind(kind) === byId[1]);
  return scope ? { scope, rest: byId[3] ?? '', moved: false } : null;
}

function pathKind(kind: Scope['kind']): string {
  return kind === 'repository' ? 'repositories' : 'organizations';
}

/** Reads move for good; writes are asked to be repeated with the same method. */
function moveTo(request: RestRequest, scope: Scope, rest: string): Answer {
  const url = urlById(request, scope, rest).href;
  const [status, message] = request.method === 'GET' ? [301, 'Moved Permanently'] : [307, 'Temporary Redirect'];
  return {
    status,
    headers: { Location: url },
    body: { message, url, documentation_url: 'https://docs.github.com/rest' },
  };
}

function missingPermission({ needs }: Endpoint, scope: Scope, token: ApiToken): string | null {
  const [asked, level] = needs;
  if (asked === 'metadata') return null;
  const permission = asked !== 'runners' ? asked : scope.kind === 'repository' ? 'administration' : 'organization_self_hosted_runners';
  const held = token.permissions[permission];
  return held === 'write' || held === level ? null : `${permission}=${level}`;
}

function refusePermission(token: ApiToken, missing: string): Answer {
  const who = token.kind === 'installation' ? 'integration' : 'personal access token';
  return refuse(403, `Resource not accessible by ${who}`, {
    'X-Accepted-GitHub-Permissions': missing,
  });
}

function oauthScopes(token: ApiToken | null): Record<string, string> {
  return token?.kind === 'personal' ? { 'X-OAuth-Scopes': 'read:org, repo' } : {};
}

function rateLimitJson(world: World, token: ApiToken | null, apiVersion: string): object {
  const core = rateOf(world, token);
  const search = { limit: 30, remaining: 30, used: 0, reset: core.reset };
  return { resources: { core, search }, ...(apiVersion === '2022-11-28' ? { rate: core } : {}) };
}

function showRepository({ scope, request }: Asked): Answer {
  return { status: 200, body: repositoryJson(scope, request.base) };
}

function listRunners({ world, request, scope, rest }: Asked): Answer {
  const name = world.ignoresNames ? undefined : request.query.get('name')?.toLowerCase();
  const runners = world.runnersOf(scope).filter((runner) => name === undefined || runner.name.toLowerCase() === name);
  const { page, headers } = paginate(runners, request.query, urlById(request, scope, rest));
  return {
    status: 200,
    headers,
    body: { total_count: runners.length, runners: page.map((runner) => toJson(world, runner)) },
  };
}

function getRunner({ world, scope, id }: Asked): Answer {
  const runner = runnerOf(world, scope, id);
  return runner ? { status: 200, body: toJson(world, runner) } : notFound();
}

function deleteRunner({ world, scope, id }: Asked): Answer {
  const runner = runnerOf(world, scope, id);
  if (!runner) return notFound();
  if (world.busyShown(runner)) return refuseAsInvalid(`Runner "${runner.name}" is currently running a job and cannot be deleted.`);
  world.deleteRunner(runner);
  return { status: 204 };
}

/** Tokens for removal look and expire the same. */
function createRegistrationToken({ world, scope }: Asked): Answer {
  const { token, expiresAt } = world.createRegistrationToken(scope);
  return {
    status: 201,
    body: { token, expires_at: `${new Date(expiresAt).toISOString().slice(0, -1)}+00:00` },
  };
}

/** As measured: a version without a date has `null`, the date of registering is left out where there is none, and others are not found. */
function showDeprecation({ world, word: version }: Asked): Answer {
  if (compareVersions(version, world.newestRunnerVersion) > 0) return notFound();
  const { runsUntil, registersUntil } = world.deprecations.get(version) ?? {};
  return {
    status: 200,
    body: {
      runner_version: version,
      runtime_deprecates_at: runsUntil === undefined ? null : iso(runsUntil),
      ...(registersUntil === undefined ? {} : { registration_deprecates_at: iso(registersUntil) }),
    },
  };
}

function compareVersions(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}

function listRunnerGroups({ request, scope, rest }: Asked): Answer {
  const { page, headers } = paginate(scope.groups, request.query, urlById(request, scope, rest));
  const groups = page.map((group) => runnerGroupJson(group, scope, request.base));
  return { status: 200, headers, body: { total_count: scope.groups.length, runner_groups: groups } };
}

function listRuns({ request, scope, rest }: Asked): Answer {
  const status = request.query.get('status');
  const runs = scope.runs
    .filter((run) => status === null || statusListed(run) === status || run.conclusion === status)
    .toSorted((one, other) => other.createdAt - one.createdAt || other.id - one.id);
  const reachable = status === null ? runs : runs.slice(0, MOST_FILTERED);
  const { page, headers } = paginate(reachable, request.query, urlById(request, scope, rest));
  return {
    status: 200,
    headers,
    body: {
      total_count: runs.length,
      workflow_runs: page.map((run) => runJson(run, statusListed(run), scope, request.base)),
    },
  };
}

function statusListed({ shown, status }: Run): string {
  return shown.status ?? status;
}

function getRun({ request, scope, id }: Asked): Answer {
  const run = runOf(scope, id);
  return run ? { status: 200, body: runJson(run, run.status, scope, request.base) } : notFound();
}

function listJobs({ request, scope, rest, id }: Asked): Answer {
  const run = runOf(scope, id);
  if (!run) return notFound();
  const { page, headers } = paginate(run.jobs, request.query, urlById(request, scope, rest));
  const jobs = page.map((job) => jobJson(job, run, scope, request.base));
  return { status: 200, headers, body: { total_count: run.jobs.length, jobs } };
}

function getJob({ world, request, scope, id }: Asked): Answer {
  const job = world.jobs.get(id);
  const run = job && scope.runs.find((candidate) => candidate === job.run);
  return run ? { status: 200, body: jobJson(job, run, scope, request.base) } : notFound();
}

function cancelRun({ world, scope, id }: Asked): Answer {
  const run = runOf(scope, id);
  if (!run) return notFound();
  if (run.status === 'completed') return refuse(409, 'Cannot cancel a workflow run that is completed.');
  world.cancelRun(run);
  return { status: 202, body: {} };
}

function createInstallationToken(world: World, request: RestRequest, installationId: number): Answer {
  const app = request.credentials === null ? null : appOfJwt(world, request.credentials);
  if (typeof app === 'string') return refuse(401, app);
  if (!app) return refuse(401, 'A JSON web token could not be decoded');
  if (app.installationId !== installationId) return notFound();
  const { permissions, sees } = app;
  const added = world.addApiToken({
    kind: 'installation',
    permissions,
    sees,
    lifetimeMs: INSTALLATION_TOKEN_LIFETIME_MS,
    limit: 5000,
  });
  return {
    status: 201,
    body: {
      token: added.token,
      expires_at: iso(added.expiresAt ?? 0),
      permissions: { metadata: 'read', ...permissions },
      repository_selection: sees === null ? 'all' : 'selected',
    },
  };
}

/** The App that signed it, GitHub's refusal of its times, or `null` where nobody did. */
function appOfJwt(world: World, jwt: string): App | string | null {
  const [header = '', payload = '', signature = ''] = jwt.split('.');
  let claims: { iss?: unknown; iat?: unknown; exp?: unknown };
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as typeof claims;
  } catch {
    return null;
  }
  const app = world.apps.find(({ appId }) => String(claims.iss) === String(appId));
  const signed = Buffer.from(`${header}.${payload}`);
  if (!app || !verify('RSA-SHA256', signed, app.publicKey, Buffer.from(signature, 'base64url'))) return null;
  const now = Math.floor(world.now() / 1000);
  if (!isWhole(claims.iat) || claims.iat > now) {
    return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
  }
  if (!isWhole(claims.exp) || claims.exp <= now) {
    return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
  }
  if (claims.exp > now + 600) return "'Expiration time' claim ('exp') is too far in the future";
  return app;
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value);
}

function toJson(world: World, runner: Runner): object {
  return runnerJson(runner, world.statusShown(runner), world.busyShown(runner));
}

function runnerOf(world: World, scope: Scope, id: number): Runner | undefined {
  const runner = world.runners.get(id);
  return runner?.scopeId === scope.id ? runner : undefined;
}

function runOf(scope: Scope, id: number): Run | undefined {
  return scope.runs.find((run) => run.id === id);
}

/** GitHub's links name scopes by id. */
function urlById({ base, query }: RestRequest, scope: Scope, rest: string): URL {
  const url = new URL(`${base}/${pathKind(scope.kind)}/${scope.id}${rest}`);
  url.search = query.toString();
  return url;
}
