// What a token may do. GitHub lists the permissions of no fine-grained token, so each is asked for by a request that changes nothing; one
// that lacks it is answered with 403: https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api

import { z } from 'zod';
import { ExpiringToken, OwnUser, SeenRepository } from './answers.ts';
import type { Call, Client } from './client.ts';
import { below, isRepository, runnersPermission } from './endpoints.ts';
import { GitHubError } from './port.ts';
import type { MissingPermission, Permission, PermissionPort, ScopeAccess, TokenIdentity } from './port.ts';

/** No run has it: ids are counted from 1. */
const NO_RUN = 0;
/** No tag is expected to have it; whether one has does not matter. */
const SOME_TAG = 'runward-asks-what-its-token-may';

interface Asking {
  readonly client: Client;
  readonly scope: string;
  readonly signal: AbortSignal;
}

export function createPermissions(client: Client): PermissionPort {
  return {
    identifyToken: (signal) => identifyToken(client, signal),
    probeAccess: (scope, token, signal) => {
      const asking = { client, scope, signal };
      return isRepository(scope) ? probeRepository(asking, token) : probeOrganization(asking, token);
    },
  };
}

/** One request. */
async function identifyToken(client: Client, signal: AbortSignal): Promise<TokenIdentity> {
  const call = { route: 'GET /user', needs: 'metadata=read', scope: 'the user', answer: OwnUser, signal, isOptional: true };
  try {
    const { value, oauthScopes, tokenExpiresAt: expiresAt } = await client.request(call);
    const kind = oauthScopes === null ? 'fine-grained' : 'classic';
    return { kind, login: value.login, oauthScopes: oauthScopes ?? [], expiresAt };
  } catch (error) {
    // https://docs.github.com/rest/users/users#get-the-authenticated-user does not work with an installation's token.
    if (!(error instanceof GitHubError) || error.status !== 403 || !/by integration/i.test(error.said ?? '')) throw error;
    return { kind: 'installation', login: null, oauthScopes: [], expiresAt: null };
  }
}

/** One request. */
async function probeOrganization(asking: Asking, token: TokenIdentity): Promise<ScopeAccess> {
  const permission = 'organization_self_hosted_runners=write';
  return { scope: asking.scope, missing: await lacking([() => mayRegister(asking, permission, token)]) };
}

/** Two requests with a classic token, five or six with any other. */
async function probeRepository(asking: Asking, token: TokenIdentity): Promise<ScopeAccess> {
  const { scope } = asking;
  const repository = await seeRepository(asking, token);
  if (repository === null) {
    const why = classicScopeLack(scope, token) ?? '';
    return { scope, missing: (['administration=write', 'actions=write'] as const).map((permission) => ({ permission, why })) };
  }
  const ask = (method: string, path: string, permission: Permission) => (): Promise<MissingPermission | null> =>
    isGranted(asking, below(scope, method, path, permission), permission);
  const registers = (): Promise<MissingPermission | null> => mayRegister(asking, 'administration=write', token);
  if (token.kind === 'classic') {
    return { scope, missing: await lacking([registers, async () => classicLacks(token, repository)]) };
  }
  const isUserBelow = token.kind === 'fine-grained' && !repository.mayPush;
  const missing = await lacking([
    registers,
    isUserBelow
      ? async () => ({ permission: 'actions=write', why: `${token.login} may only read ${scope}` })
      : ask('POST', `/actions/runs/${NO_RUN}/cancel`, 'actions=write'),
    ask('GET', `/git/matching-refs/tags/${SOME_TAG}`, 'contents=read'),
    ask('GET', '/commits/HEAD/check-runs?per_page=1', 'checks=read'),
  ]);
  // Writing includes reading.
  const reads = missing.some(({ permission }) => permission === 'actions=write')
    ? await lacking([ask('GET', '/actions/runs?per_page=1', 'actions=read')])
    : [];
  return { scope, missing: [...missing, ...reads] };
}

/** `null` where a classic token lacks the scope to see it: GitHub answers as if it were not there. */
async function seeRepository({ client, scope, signal }: Asking, token: TokenIdentity): Promise<z.output<typeof SeenRepository> | null> {
  const call = below(scope, 'GET', '', 'metadata=read');
  try {
    return (await client.request({ ...call, answer: SeenRepository, signal, isOptional: true })).value;
  } catch (error) {
    if (isRefused(error, [403, 404]) && classicScopeLack(scope, token) !== null) return null;
    throw error;
  }
}

/** One after the other, as GitHub asks of whoever writes; what could not be asked is no answer, and ends it. */
async function lacking(probes: readonly (() => Promise<MissingPermission | null>)[]): Promise<readonly MissingPermission[]> {
  const missing: MissingPermission[] = [];
  for (const probe of probes) {
    const lack = await probe();
    if (lack !== null) missing.push(lack);
  }
  return missing;
}

/** Asks for a registration token, which is thrown away: it is what a recovery needs, and nothing is registered by it. */
async function mayRegister(
  { client, scope, signal }: Asking,
  permission: Permission,
  token: TokenIdentity,
): Promise<MissingPermission | null> {
  const call = below(scope, 'POST', '/actions/runners/registration-token', runnersPermission(scope, 'write'));
  try {
    await client.request({ ...call, answer: ExpiringToken, signal });
    return null;
  } catch (error) {
    // GitHub answers a token that may not see the settings with 404 as well.
    if (!isRefused(error, [403, 404])) throw error;
    return { permission, why: classicScopeLack(scope, token) ?? error.message };
  }
}

/** Any answer but a 403 comes from behind the gate, such as that there is no such run. */
async function isGranted(
  { client, signal }: Asking,
  call: Omit<Call<unknown>, 'answer' | 'signal'>,
  permission: Permission,
): Promise<MissingPermission | null> {
  try {
    await client.request({ ...call, answer: z.unknown(), signal, isOptional: true });
    return null;
  } catch (error) {
    if (isRefused(error, [403])) return { permission, why: error.message };
    if (!(error instanceof GitHubError) || error.kind !== 'rejected' || error.status === null || error.status === 401) throw error;
    return null;
  }
}

function isRefused(error: unknown, statuses: readonly number[]): error is GitHubError {
  return error instanceof GitHubError && error.kind === 'rejected' && error.status !== null && statuses.includes(error.status);
}

/** The rest of what Runward needs hangs on `repo`, and on what its user may do. */
function classicLacks(
  { oauthScopes, login }: TokenIdentity,
  { isPublic, mayPush }: z.output<typeof SeenRepository>,
): MissingPermission | null {
  const mayWrite = oauthScopes.includes('repo') || (isPublic && oauthScopes.includes('public_repo'));
  if (mayWrite && mayPush) return null;
  return {
    permission: 'actions=write',
    why: mayWrite ? `${login} may only read the repository` : 'the classic token lacks the scope `repo`',
  };
}

function classicScopeLack(scope: string, { kind, oauthScopes }: TokenIdentity): string | null {
  const needed = isRepository(scope) ? 'repo' : 'admin:org';
  return kind === 'classic' && !oauthScopes.includes(needed) ? `the classic token lacks the scope \`${needed}\`` : null;
}
