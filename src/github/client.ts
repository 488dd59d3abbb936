// One request to GitHub: sent once, answered by a checked value or by one GitHubError.

import { AsyncLocalStorage } from 'node:async_hooks';
import { Octokit } from '@octokit/rest';
import { z } from 'zod';
import { nameOf } from '../domain/plain.ts';
import type { Secret } from '../domain/secret.ts';
import { createAnswerStore } from './answer-store.ts';
import { createAuthorizedFetch, fingerprintOf, isUsableToken } from './authorized-fetch.ts';
import { createBudget, keptForHealthChecks, rateOf, type Rate } from './budget.ts';
import { createGate, type Gate } from './gate.ts';
import { costOf, POINTS_OF_ACT } from './points.ts';
import type { Points, Reservation } from './points.ts';
import { GitHubError } from './port.ts';
import type { Dated } from './port.ts';
import { githubTimeOf, reasonOf, sortFailure, sortRefusal, stillLimited } from './refusals.ts';
import type { Asked, Refusal } from './refusals.ts';

/** Gives the token for the next request. `renew`: GitHub refused the last one, so a stored one is not good enough. */
export type TokenSource = (options: { readonly renew: boolean }) => Promise<Secret> | Secret;

export interface ClientOptions {
  /** Address of the REST API, such as `https://api.github.com` or `https://ghe.example.com/api/v3`. */
  readonly baseUrl: string;
  readonly token: TokenSource;
  /** Default `runward`. */
  readonly userAgent?: string;
  readonly fetch?: typeof globalThis.fetch;
  /** Default: one of its own, in memory. */
  readonly gate?: Gate;
  /** Whose limits the requests count against, where its tokens come and go by themselves. Default: the token's. */
  readonly account?: string;
  /** The minute's points, for which what is frugal waits. Default: nothing waits. */
  readonly points?: Points;
  /** Limit of each request, the answer's body included. Default 15,000: GitHub itself cuts off a request after 10 s. */
  readonly timeoutMs?: number;
}

export interface Call<T> extends Omit<Asked, 'what'> {
  /** Octokit's form, such as `GET /repos/{owner}/{repo}`, or `GET` and the address of a next page, or {@link GRAPHQL}. */
  readonly route: string;
  readonly parameters?: Readonly<Record<string, string | number | readonly string[] | Readonly<Record<string, unknown>>>>;
  readonly answer: z.ZodType<T>;
  readonly signal: AbortSignal;
  /** A missing permission is borne, and no reason to ask for a new token: with it GitHub's ETags would be void each time. */
  readonly isOptional?: boolean;
  /**
   * Not sent while little of the hour's requests is left: rejected as limited until the hour's end. If it reads and is none of a turn, it waits
   * for the minute's points.
   */
  readonly isFrugal?: boolean;
  /**
   * An answer that this process was given so long ago is good enough, with its own time, unless something was written since. In milliseconds;
   * 0 without it.
   */
  readonly believedMs?: number;
  /** GitHub refers to a place that is none of its API, which is not asked: the answer is `{ location }`. */
  readonly isReferral?: boolean;
}

export interface Answer<T> extends Dated<T> {
  /** Addresses of a list's other pages; `null` where there is none. */
  readonly nextPage: string | null;
  readonly previousPage: string | null;
  readonly lastPage: string | null;
  /** When the token expires, epoch milliseconds; `null` where GitHub does not say it, and for a token that is renewed by itself. */
  readonly tokenExpiresAt: number | null;
  /** Scopes of a classic token, such as `repo`; `null` for a token that has permissions instead. */
  readonly oauthScopes: readonly string[] | null;
  /** GitHub was asked, and said that its last answer still holds. */
  readonly isUnchanged: boolean;
  /** Of GitHub's answer; of one that is unchanged, of the one that still holds. */
  readonly status: number;
  /** The hour's requests of the credential as of this answer; `null` where GitHub does not say. */
  readonly rate: Rate | null;
}

export interface Client {
  /** Rejects with {@link GitHubError}, or with the signal's reason once the signal is aborted. */
  request<T>(call: Call<T>): Promise<Answer<T>>;
  /** Whose answers the last request brought: the API's address, with the account or a fingerprint of the token; no token can be read from it. */
  account(): string;
}

export interface WritingClient extends Client {
  /** Does what reads and then writes on what it read: it begins once the minute has points for all of it, and no request of it waits. */
  together<T>(scope: string, work: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

/** The one route of the GraphQL API, which GitHub counts by itself. */
export const GRAPHQL = 'POST /graphql';

/** Version of the REST API that the answers are read by; GitHub keeps it until March 2028 at least. */
const API_VERSION = '2022-11-28';
export const DEFAULT_TIMEOUT_MS = 15_000;

/** Octokit's default prints every refusal to the console. */
const SILENT = { debug: doNothing, info: doNothing, warn: doNothing, error: doNothing };

export function createClient(options: ClientOptions): WritingClient {
  const { token: tokenSource, userAgent = 'runward', fetch = globalThis.fetch, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const { gate = createGate({ folder: null, warn: doNothing }) } = options;
  const octokit = new Octokit({ baseUrl, userAgent, log: SILENT });
  const store = createAnswerStore();
  const budget = createBudget();
  const isOfApi = (address: string): boolean => `${address}/`.startsWith(`${new URL(baseUrl).href.replace(/\/$/, '')}/`);
  const turns = new AsyncLocalStorage<Reservation>();
  const { points } = options;
  const accountOf = (fingerprint: string): string => `${baseUrl} ${options.account ?? fingerprint}`;
  let renew = false;
  let lastAccount = baseUrl;
  let writtenAt = -Infinity;

  function refuseWhileLimited(asked: Asked, accounts: readonly string[]): void {
    const until = Math.max(...accounts.map((account) => gate.closedUntil(account) ?? 0));
    if (until > 0) throw stillLimited(asked, until);
  }

  /** Of the minute: by its turn, after a wait, or at once. */
  async function payPoints({ account, scope, method, isFrugal, signal }: Payment): Promise<void> {
    const cost = costOf(method);
    const turn = turns.getStore();
    if (turn !== undefined) turn.spend(cost);
    else if (!isFrugal || method !== 'GET') points?.charge(account, cost);
    else (await points?.reserve({ account, scope, cost }, signal))?.spend(cost);
  }

  return {
    account: () => lastAccount,
    async together(scope, work, signal) {
      if (points === undefined) return work();
      const account = accountOf(fingerprintOf(await tokenOf(tokenSource, false)));
      const reservation = await points.reserve({ account, scope, cost: POINTS_OF_ACT }, signal);
      try {
        return await turns.run(reservation, work);
      } finally {
        reservation.end();
      }
    },

    async request({
      route,
      parameters = {},
      answer,
      signal,
      isOptional = false,
      isFrugal = false,
      isReferral = false,
      believedMs = 0,
      ...call
    }) {
      signal.throwIfAborted();
      const isGraphql = route === GRAPHQL;
      const endpoint = isGraphql ? `POST ${graphqlAddress(baseUrl)}` : route;
      const { method, url, headers } = octokit.request.endpoint(endpoint, parameters);
      const asked: Asked = { ...call, what: nameOf(`${method} ${url.replace(baseUrl, '').replace(/\?.*/, '')}`, 300) };
      const token = await tokenOf(tokenSource, renew);
      renew = false;
      if (!isUsableToken(token)) {
        throw new GitHubError(
          'rejected',
          `${asked.what} was not sent: the GitHub token is empty or holds blanks or line breaks; give a clean one`,
        );
      }
      const fingerprint = fingerprintOf(token);
      const account = accountOf(fingerprint);
      lastAccount = account;
      const ownAccount = isGraphql ? `${account} graphql` : account;
      refuseWhileLimited(asked, [account, ownAccount]);
      const kept = isFrugal && !isGraphql ? budget.keptFor(account) : null;
      if (kept !== null) throw keptForHealthChecks(asked, kept);
      const key = `${fingerprint} ${headers.accept} ${url}`;
      const stored = method === 'GET' ? store.find(key) : undefined;
      const known = stored?.checkedBy === answer ? stored : null;
      const askedAt = performance.now();
      if (known !== null && askedAt - known.askedAt < believedMs && known.askedAt > writtenAt) {
        // Kept under the schema that made it.
        return { ...(known.answer as Answer<z.infer<typeof answer>>), isUnchanged: true };
      }
      if (!isGraphql) await payPoints({ account, scope: call.scope, method, isFrugal, signal });
      refuseWhileLimited(asked, [account, ownAccount]);
      const deadline = AbortSignal.timeout(timeoutMs);
      const unanswered = (failure: unknown): GitHubError =>
        sortFailure(asked, deadline.aborted ? `no answer within ${timeoutMs / 1000} s` : failure);
      const request = {
        fetch: wholly(createAuthorizedFetch(fetch, new URL(baseUrl).origin, token, isReferral ? isOfApi : undefined)),
        signal: AbortSignal.any([signal, deadline]),
        log: SILENT,
      };
      const conditions = { 'x-github-api-version': API_VERSION, ...(known && { 'if-none-match': known.etag }) };
      try {
        const response = await octokit.request(endpoint, { ...parameters, headers: conditions, request });
        const limited = isGraphql ? limitInside(response) : null;
        if (limited !== null) throw Object.assign(new Error('limited'), { response: limited });
        const told = tellings(response.headers, options.account !== undefined);
        if (!isGraphql) budget.note(account, told.rate);
        const { location } = response.headers;
        const value = answer.safeParse(isReferral && location !== undefined ? { location: new URL(location, url).href } : response.data);
        if (value.success) {
          gate.answered(account);
          if (isGraphql) gate.answered(ownAccount);
          const { etag } = response.headers;
          const answered = { ...told, status: response.status, value: value.data, isUnchanged: false };
          if (method === 'GET' && etag !== undefined && !isReferral) {
            store.keep(key, { etag, checkedBy: answer, answer: answered, askedAt });
          }
          return answered;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!isRefusal(error)) throw unanswered(error);
        const { status, headers: said } = error.response;
        const rate = rateOf(said, Date.now());
        if (!isGraphql) budget.note(account, rate);
        if (status === 304 && known !== null) {
          gate.answered(account);
          // Kept under the schema that made it.
          const last = known.answer as Answer<z.infer<typeof answer>>;
          const githubTime = githubTimeOf(said['date'], Date.now());
          store.confirm(key, { askedAt, githubTime });
          return { ...last, githubTime, rate, isUnchanged: true };
        }
        if (status < 400) throw unanswered(error);
        const refused = sortRefusal(asked, error.response, Date.now(), gate.unnamedWaitMs(account));
        if (refused.retryAt !== null) gate.close(isHourUsedUp(said) ? ownAccount : account, refused.retryAt);
        else if (refused.kind === 'rejected') gate.answered(account);
        renew = refused.kind === 'rejected' && (refused.status === 401 || (refused.status === 403 && !isOptional));
        throw refused;
      } finally {
        if (method !== 'GET' && !isGraphql) writtenAt = performance.now();
      }
      signal.throwIfAborted();
      throw unanswered(`the answer is not the JSON that GitHub sends; is ${baseUrl} the address of its REST API?`);
    },
  };
}

/** An Enterprise Server has it beside the REST API, GitHub itself below. https://docs.github.com/enterprise-server/graphql/guides/forming-calls-with-graphql */
function graphqlAddress(baseUrl: string): string {
  return `${baseUrl.replace(/\/api\/v3$/, '/api')}/graphql`;
}

/**
 * A limit of GraphQL's, which GitHub may tell by an answer with status 200: the refusal that REST would give.
 * https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#exceeding-the-rate-limit
 */
function limitInside({ headers, data }: { readonly headers: Refusal['headers']; readonly data: unknown }): Refusal | null {
  const { data: told } = GraphqlErrors.safeParse(data);
  const limit = told?.errors.find(({ type, message }) => type === 'RATE_LIMITED' || /rate limit/i.test(message ?? ''));
  return limit === undefined ? null : { status: 429, headers, data: { message: limit.message ?? '' } };
}

const GraphqlErrors = z.object({ errors: z.array(z.object({ type: z.string().nullish(), message: z.string().nullish() })) });

/** The hourly limit is each API's own; any other one is of all requests together. */
function isHourUsedUp(headers: Refusal['headers']): boolean {
  return headers['retry-after'] === undefined && String(headers['x-ratelimit-remaining']) === '0';
}

/** What a request costs, and whom. */
interface Payment extends Pick<Call<unknown>, 'scope' | 'signal'> {
  readonly account: string;
  readonly method: string;
  readonly isFrugal: boolean;
}

/** Leaves health checks their part of the hour's requests; that GitHub refuses something is no reason to ask for a new token. */
export function frugally<C extends Client>(client: C): C {
  return { ...client, request: (call) => client.request({ ...call, isFrugal: true, isOptional: true }) };
}

/** The status of a login is none of what was asked for: a 404 to it does not mean that a run is gone. */
async function tokenOf(source: TokenSource, renew: boolean): Promise<Secret> {
  try {
    return await source({ renew });
  } catch (error) {
    if (!(error instanceof GitHubError) || error.status === null) throw error;
    const { kind, message, retryAt } = error;
    throw new GitHubError(kind, message, { ...(retryAt !== null && { retryAt }), cause: error });
  }
}

/** Unpacked: the largest lists of GitHub's have some 3 MB, and a small answer may be packed that fills the memory. */
const MOST_BYTES = 32_000_000;

/** Reads each answer to its end, and no more than is allowed: Octokit takes one that breaks off for a whole one. */
function wholly(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const { status, statusText, headers } = response;
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let bytes = 0;
    try {
      for await (const chunk of response.body ?? []) {
        bytes += chunk.byteLength;
        if (bytes > MOST_BYTES) break;
        chunks.push(chunk);
      }
    } catch (error) {
      throw new Error(`the connection broke off in the middle of the answer (${reasonOf(error)})`);
    }
    if (bytes > MOST_BYTES)
      throw new Error(`the answer of ${response.url || addressOf(input)} is larger than ${MOST_BYTES / 1_000_000} MB`);
    return new Response(bytes === 0 ? null : Buffer.concat(chunks), { status, statusText, headers });
  };
}

function addressOf(input: string | URL | Request): string {
  return input instanceof Request ? input.url : String(input);
}

/** What headers tell. */
function tellings(headers: Refusal['headers'], renewsItself: boolean): Omit<Answer<unknown>, 'value' | 'status' | 'isUnchanged'> {
  const link = String(headers['link'] ?? '');
  return {
    githubTime: githubTimeOf(headers['date'], Date.now()),
    nextPage: pageOf(link, 'next'),
    previousPage: pageOf(link, 'prev'),
    lastPage: pageOf(link, 'last'),
    tokenExpiresAt: renewsItself ? null : expiryOf(headers),
    oauthScopes: oauthScopesOf(headers),
    rate: rateOf(headers, Date.now()),
  };
}

function pageOf(link: string, relation: 'next' | 'prev' | 'last'): string | null {
  return new RegExp(`<([^<>]+)>;\\s*rel="${relation}"`).exec(link)?.[1] ?? null;
}

/** Such as `2026-12-24 10:00:00 UTC`, or with an offset like `-0700`. */
function expiryOf(headers: Refusal['headers']): number | null {
  const time = Date.parse(String(headers['github-authentication-token-expiration'] ?? ''));
  return Number.isNaN(time) ? null : time;
}

/** Such as `repo, admin:org`; empty for a classic token without any. */
function oauthScopesOf(headers: Refusal['headers']): readonly string[] | null {
  const scopes = headers['x-oauth-scopes'];
  return scopes === undefined
    ? null
    : String(scopes)
        .split(',')
        .map((scope) => nameOf(scope.trim(), 64))
        .filter((scope) => scope !== '');
}

/** Octokit's error for an answer of status 304, or 400 and above; its other errors come without an answer. */
function isRefusal(error: unknown): error is { readonly response: Refusal } {
  return error instanceof Error && 'response' in error && error.response !== undefined;
}

function doNothing(): void {}
