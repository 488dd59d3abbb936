// Tokens of the REST API, and the limits that their requests are counted against.

import { randomBytes } from 'node:crypto';
import type { Limit } from './answer.ts';

/** Permissions of fine-grained tokens and Apps, by GitHub's names: `administration`, `actions`, `organization_self_hosted_runners`, … */
export type Permissions = Readonly<Record<string, 'read' | 'write'>>;

/** What the user of a token may do on every scope, whatever the token may. */
export type Role = 'admin' | 'write' | 'read';

export interface ApiToken {
  readonly token: string;
  /** `classic` and `fine-grained` are personal access tokens. */
  readonly kind: 'classic' | 'fine-grained' | 'installation';
  /** Its user's; that of an installation has none. */
  readonly login: string;
  readonly role: Role;
  /** Of a classic token, such as `repo` and `admin:org`. */
  readonly oauthScopes: readonly string[];
  readonly permissions: Permissions;
  /** Names of the scopes that it sees; `null`: all. */
  readonly sees: readonly string[] | null;
  /** Epoch milliseconds by GitHub's clock; `null`: never. */
  readonly expiresAt: number | null;
  /** Requests per hour. */
  readonly limit: number;
  used: number;
  /** Likewise of GraphQL, which has as many requests of its own. */
  usedOfGraphql: number;
  /** Epoch seconds at which both start anew. */
  resetsAt: number;
  /** The limit that was reached last. */
  limited: Limit | null;
  /** What its requests of the last minute cost by the secondary limit, oldest first. */
  costs: { readonly at: number; readonly points: number }[];
}

export interface SecondaryLimit {
  readonly pointsPerMinute: number;
  /** Length of the minute. */
  readonly minuteMs: number;
  /** How long all requests are refused once it is exceeded. */
  readonly lastsMs: number;
  /** Whether refusals have a `retry-after`. */
  readonly namesEnd: boolean;
}

/** Numbers of the primary limit as the headers tell them; `reset` is in epoch seconds. */
export interface Rate {
  readonly limit: number;
  readonly remaining: number;
  readonly used: number;
  readonly reset: number;
}

export interface LimitOptions {
  /** Length of the primary limit's window. */
  readonly hourMs: number;
  readonly secondary: SecondaryLimit | null;
}

/** What is counted by itself. */
export type Api = 'core' | 'graphql';

const PREFIXES = { classic: 'ghp', 'fine-grained': 'github_pat', installation: 'ghs' } as const satisfies Record<ApiToken['kind'], string>;
const ANONYMOUS_LIMIT = 60;
const POINTS_OF_READING = 1;
const POINTS_OF_WRITING = 5;

export class ApiTokens {
  readonly #now: () => number;
  readonly #options: LimitOptions;
  readonly #tokens = new Map<string, ApiToken>();

  /** @param now GitHub's clock */
  constructor(now: () => number, options: LimitOptions) {
    this.#now = now;
    this.#options = options;
  }

  /** Without a text of its own it gets one by chance. */
  add({
    lifetimeMs,
    token = null,
    ...described
  }: Pick<ApiToken, 'kind' | 'login' | 'role' | 'oauthScopes' | 'permissions' | 'sees' | 'limit'> & {
    readonly lifetimeMs: number | null;
    readonly token?: string | null;
  }): ApiToken {
    const added: ApiToken = {
      ...described,
      token: token ?? `${PREFIXES[described.kind]}_${randomBytes(18).toString('hex')}`,
      expiresAt: lifetimeMs === null ? null : this.#now() + lifetimeMs,
      used: 0,
      usedOfGraphql: 0,
      resetsAt: 0,
      limited: null,
      costs: [],
    };
    this.#tokens.set(added.token, added);
    return added;
  }

  /** `undefined` for an unknown, revoked or expired one. */
  find(text: string): ApiToken | undefined {
    const token = this.#tokens.get(text);
    return token && (token.expiresAt === null || token.expiresAt > this.#now()) ? token : undefined;
  }

  revoke(text: string): void {
    this.#tokens.delete(text);
  }

  rateOf(token: ApiToken | null, api: Api = 'core'): Rate {
    if (token === null) return { limit: ANONYMOUS_LIMIT, remaining: ANONYMOUS_LIMIT, used: 0, reset: this.#nextReset() };
    this.#startWindow(token);
    const { limit, resetsAt } = token;
    const used = api === 'core' ? token.used : token.usedOfGraphql;
    return { limit, remaining: Math.max(0, limit - used), used, reset: resetsAt };
  }

  /** The limit that refuses the token's requests at present; a primary one is of the REST API alone. */
  limitOf(token: ApiToken, api: Api = 'core'): Limit | null {
    const isLimited = token.limited !== null && token.limited.until > this.#now();
    if (api === 'graphql') return isLimited && token.limited?.kind === 'secondary' ? token.limited : null;
    if (isLimited) return token.limited;
    const { remaining, reset } = this.rateOf(token);
    token.limited = remaining > 0 ? null : { kind: 'primary', status: 403, until: reset * 1000, namesEnd: true, toldAt: null };
    return token.limited;
  }

  /** Counts a request against the primary limit. */
  count(token: ApiToken, api: Api = 'core'): void {
    this.#startWindow(token);
    if (api === 'core') token.used += 1;
    else token.usedOfGraphql += 1;
  }

  /** Counts a request against the secondary limit, which may thereby be reached; what a limit refuses costs nothing. */
  meter(token: ApiToken, method: string): void {
    const { secondary } = this.#options;
    if (secondary === null || this.limitOf(token)) return;
    const now = this.#now();
    const isReading = ['GET', 'HEAD', 'OPTIONS'].includes(method);
    token.costs = token.costs.filter(({ at }) => at > now - secondary.minuteMs);
    token.costs.push({ at: now, points: isReading ? POINTS_OF_READING : POINTS_OF_WRITING });
    if (token.costs.reduce((sum, { points }) => sum + points, 0) <= secondary.pointsPerMinute) return;
    token.costs = [];
    token.limited = { kind: 'secondary', status: 403, until: now + secondary.lastsMs, namesEnd: secondary.namesEnd, toldAt: null };
  }

  #startWindow(token: ApiToken): void {
    if (token.resetsAt * 1000 > this.#now()) return;
    token.used = 0;
    token.usedOfGraphql = 0;
    token.resetsAt = this.#nextReset();
  }

  #nextReset(): number {
    return Math.ceil((this.#now() + this.#options.hourMs) / 1000);
  }
}
