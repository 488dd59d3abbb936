// Where the token comes from: given, a file, a GitHub App, or the login of GitHub's own command `gh`.

import { createPrivateKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { execa } from 'execa';
import { childEnvironment } from '../domain/child-environment.ts';
import { lineOf } from '../domain/plain.ts';
import { opennessOf } from '../domain/private-file.ts';
import { Secret } from '../domain/secret.ts';
import { ExpiringToken } from './answers.ts';
import { createClient } from './client.ts';
import type { ClientOptions, TokenSource } from './client.ts';
import { GitHubError } from './port.ts';

export type Credentials =
  | { readonly kind: 'token'; readonly token: Secret }
  /** Read anew for each request, so that whoever rotates the token only writes the file. */
  | { readonly kind: 'token-file'; readonly path: string }
  | { readonly kind: 'app'; readonly appId: string; readonly installationId: number; readonly privateKeyFile: string }
  /** The login of `gh` at this host. */
  | { readonly kind: 'gh'; readonly hostname: string };

type AppCredentials = Extract<Credentials, { kind: 'app' }>;

const MINUTE_MS = 60_000;
/** An App's token lives an hour and is replaced this long before its end. */
const RENEW_BEFORE_MS = 5 * MINUTE_MS;
/** GitHub allows ten minutes between now and `exp`, and advises an `iat` a minute in the past. */
const JWT_BACK_S = 60;
const JWT_AHEAD_S = 8 * 60;
/** A difference between clocks below this is no reason for a refused JWT. */
const CLOCK_TOLERANCE_MS = 30_000;
const GH_TIMEOUT_MS = 10_000;

/** @param http how the API is reached; used for a GitHub App alone */
export function createTokenSource(credentials: Credentials, http: Omit<ClientOptions, 'token'>): TokenSource {
  switch (credentials.kind) {
    case 'token':
      return () => credentials.token;
    case 'token-file':
      return async () => new Secret((await readText(credentials.path, 'token file')).trim());
    case 'gh':
      return stored(async () => ({ token: await askGh(credentials.hostname), renewAt: Infinity }));
    case 'app':
      return stored(createAppLogin(credentials, http));
  }
}

/** Whose limits requests with these credentials count against; `undefined`: those of the token itself. */
export function accountOf(credentials: Credentials): string | undefined {
  return credentials.kind === 'app' ? `app ${credentials.appId} installation ${credentials.installationId}` : undefined;
}

interface Lease {
  readonly token: Secret;
  /** Own clock, epoch milliseconds. */
  readonly renewAt: number;
}

/** Keeps a token until its time to renew or its refusal; requests at the same time share one login. */
function stored(logIn: () => Promise<Lease>): TokenSource {
  let lease: Lease | null = null;
  let pending: Promise<Lease> | null = null;
  return async ({ renew }) => {
    if (lease !== null && !renew && Date.now() < lease.renewAt) return lease.token;
    pending ??= logIn().finally(() => {
      pending = null;
    });
    lease = await pending;
    return lease.token;
  };
}

async function askGh(hostname: string): Promise<Secret> {
  const { stdout, stderr, failed, code, shortMessage } = await execa('gh', ['auth', 'token', '--hostname', hostname], {
    cleanup: false,
    env: childEnvironment(process.env, 'gh'),
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: GH_TIMEOUT_MS,
  });
  if (failed) {
    if (code === 'ENOENT') {
      throw new GitHubError(
        'rejected',
        '`gh` is not installed, and no GH_TOKEN is set; set GH_TOKEN, or install gh and log in by `gh auth login`',
      );
    }
    const why = lineOf((stderr || (shortMessage ?? '')).split('\n', 1).join(''), 300);
    throw new GitHubError('rejected', `gh auth token gave no token: ${why}; log in by gh auth login, or set GH_TOKEN`);
  }
  return new Secret(stdout.trim());
}

/** https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app */
function createAppLogin(
  { appId, installationId, privateKeyFile }: AppCredentials,
  http: Omit<ClientOptions, 'token'>,
): () => Promise<Lease> {
  const { fetch = globalThis.fetch } = http;
  /** GitHub's clock minus the own one, as far as its answers told. */
  let githubAheadMs = 0;
  const client = createClient({
    ...http,
    token: async () => signJwt(appId, await readPrivateKey(privateKeyFile), Date.now() + githubAheadMs),
    async fetch(input, init) {
      const response = await fetch(input, init);
      const date = Date.parse(response.headers.get('date') ?? '');
      if (!Number.isNaN(date)) githubAheadMs = date - Date.now();
      return response;
    },
  });
  const logIn = async (): Promise<Lease> => {
    const { value, githubTime } = await client.request({
      route: 'POST /app/installations/{installation_id}/access_tokens',
      parameters: { installation_id: installationId },
      answer: ExpiringToken,
      needs: 'metadata=read',
      scope: `installation ${installationId}`,
      signal: new AbortController().signal,
    });
    return { token: value.token, renewAt: Date.now() + (value.expiresAt - githubTime) - RENEW_BEFORE_MS };
  };
  return async () => {
    const assumedMs = githubAheadMs;
    try {
      return await logIn();
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind !== 'rejected' || error.status === null) throw error;
      if (error.status === 401 && Math.abs(githubAheadMs - assumedMs) > CLOCK_TOLERANCE_MS) return logIn();
      const advice = `check the App's ID, its installation's ID, and that ${privateKeyFile} is a private key of this App`;
      throw new GitHubError('rejected', `GitHub App ${appId} gets no token: ${error.message}; ${advice}`, {
        status: error.status,
        cause: error,
      });
    }
  };
}

function signJwt(appId: string, privateKey: KeyObject, now: number): Secret {
  const seconds = Math.floor(now / 1000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: appId, iat: seconds - JWT_BACK_S, exp: seconds + JWT_AHEAD_S };
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  return new Secret(`${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`);
}

async function readPrivateKey(path: string): Promise<KeyObject> {
  const text = await readText(path, 'private key file');
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new GitHubError('rejected', `${path} holds no private key in PEM form; download one from the GitHub App's settings`, {
      cause: error,
    });
  }
}

async function readText(path: string, what: string): Promise<string> {
  const { text, mode } = await readWithMode(path, what);
  const openness = opennessOf(path, mode);
  if (openness !== null) {
    throw new GitHubError('rejected', `the ${what} ${path} must be ${openness}`);
  }
  return text;
}

async function readWithMode(path: string, what: string): Promise<{ readonly text: string; readonly mode: number }> {
  try {
    await using file = await open(path);
    const { mode } = await file.stat();
    return { text: await file.readFile('utf8'), mode };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new GitHubError('rejected', `the ${what} ${path} cannot be read: ${why}`, { cause: error });
  }
}
