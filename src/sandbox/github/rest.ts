// The REST API: its roads to endpoints, by versions, tokens, scopes and permissions.

import { verify } from 'node:crypto';
import { notFound, refuse } from './answer.ts';
import type { Answer } from './answer.ts';
import type { ApiToken } from './api-tokens.ts';
import { answerContents } from './contents.ts';
import { pathKind, urlById } from './endpoint.ts';
import type { Endpoint, RestRequest } from './endpoint.ts';
import { JOB_ENDPOINTS } from './job-endpoints.ts';
import { REPOSITORY_ENDPOINTS } from './repository-endpoints.ts';
import { RUN_ENDPOINTS } from './run-endpoints.ts';
import { RUNNER_ENDPOINTS } from './runner-endpoints.ts';
import type { Scope } from './scope.ts';
import { iso, ownUserJson, rootJson, runnerReleaseJson } from './shapes.ts';
import type { App, World } from './world.ts';

export const API_VERSIONS = ['2022-11-28', '2026-03-10'] as const;
const INSTALLATION_TOKEN_LIFETIME_MS = 3_600_000;

const ENDPOINTS: readonly Endpoint[] = [...REPOSITORY_ENDPOINTS, ...RUNNER_ENDPOINTS, ...RUN_ENDPOINTS, ...JOB_ENDPOINTS];

/** @param token the API token that the request came with; `null` without or with an App's JWT */
export function answerRest(world: World, request: RestRequest, token: ApiToken | null): Answer {
  if (!(API_VERSIONS as readonly string[]).includes(request.apiVersion)) {
    return refuse(400, `Invalid API version: ${request.apiVersion}.`);
  }
  const installation = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(request.path);
  if (installation && request.method === 'POST') return createInstallationToken(world, request, Number(installation[1]));
  if (request.credentials !== null && token === null) return refuse(401, 'Bad credentials');
  const { method, path } = request;
  if (method === 'GET' && path === '/') return { status: 200, body: rootJson(request.base) };
  if (method === 'GET' && path === '/user') return answerUser(request, token);
  if (method === 'GET' && path === '/versions') return { status: 200, body: API_VERSIONS };
  if (method === 'GET' && path === '/rate_limit') return { status: 200, body: rateLimitJson(world, token, request.apiVersion) };
  return answerBelowScope(world, request, token);
}

function answerBelowScope(world: World, request: RestRequest, token: ApiToken | null): Answer {
  const located = locateScope(world, request.path);
  if (located === null) return answerPublic(world, request);
  if (token === null) return refuse(401, 'Requires authentication');
  const { scope, rest, moved } = located;
  if (token.sees !== null && !token.sees.includes(scope.name)) return notFound();
  if (moved) return moveTo(request, scope, rest);
  for (const endpoint of ENDPOINTS) {
    const match = endpoint.path.exec(rest);
    if (!match || endpoint.method !== request.method || !endpoint.kinds.includes(scope.kind)) continue;
    const missing = missingPermission(endpoint, scope, token);
    if (missing !== null) return refusePermission(token, missing);
    if (lacksRole(endpoint, token)) return refuse(403, 'Must have admin rights to Repository.');
    return endpoint.answer({ world, request, token, scope, rest, id: Number(match[1]), word: decodeURIComponent(match[1] ?? '') });
  }
  return notFound();
}

/** Of a repository that is none of the scopes: those are private, all others are public. */
function answerPublic(world: World, request: RestRequest): Answer {
  const release = /^\/repos\/actions\/runner\/releases\/tags\/v([\d.]+)$/.exec(request.path);
  if (release !== null && request.method === 'GET') {
    return { status: 200, body: runnerReleaseJson(release[1] ?? '', world.packages) };
  }
  const contents = /^\/repos\/([^/]+\/[^/]+)\/contents(?:\/(.*))?$/.exec(request.path);
  if (contents === null || request.method !== 'GET') return notFound();
  const [, repository = '', path = ''] = contents;
  return answerContents(world, request, decodeURIComponent(repository), decodeURIComponent(path));
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

/** A classic token that lacks a scope sees nothing there: https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api */
function refusePermission(token: ApiToken, missing: string): Answer {
  if (token.kind === 'classic') return notFound();
  const who = token.kind === 'installation' ? 'integration' : 'personal access token';
  return refuse(403, `Resource not accessible by ${who}`, {
    'X-Accepted-GitHub-Permissions': missing,
  });
}

/** Of the user whose token it is; an installation is none. */
function answerUser({ base }: RestRequest, token: ApiToken | null): Answer {
  if (token === null) return refuse(401, 'Requires authentication');
  if (token.kind === 'installation') return refuse(403, 'Resource not accessible by integration');
  return { status: 200, body: ownUserJson(token.login, base) };
}

/** What the user may not do, no token of theirs may: captured wording. */
function lacksRole({ needs: [permission, level] }: Endpoint, { kind, role }: ApiToken): boolean {
  if (kind === 'installation' || role === 'admin') return false;
  return permission === 'runners' || permission === 'administration' || (level === 'write' && role === 'read');
}

function rateLimitJson(world: World, token: ApiToken | null, apiVersion: string): object {
  const core = world.tokens.rateOf(token);
  const search = { limit: 30, remaining: 30, used: 0, reset: core.reset };
  return { resources: { core, search }, ...(apiVersion === '2022-11-28' ? { rate: core } : {}) };
}

function createInstallationToken(world: World, request: RestRequest, installationId: number): Answer {
  const app = request.credentials === null ? null : appOfJwt(world, request.credentials);
  if (typeof app === 'string') return refuse(401, app);
  if (!app) return refuse(401, 'A JSON web token could not be decoded');
  if (app.installationId !== installationId) return notFound();
  const { permissions, sees } = app;
  const added = world.tokens.add({
    kind: 'installation',
    login: '',
    role: 'admin',
    oauthScopes: [],
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
