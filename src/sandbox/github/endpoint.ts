// What an endpoint of the REST API is, below a repository or an organisation.

import type { Answer } from './answer.ts';
import type { ApiToken } from './api-tokens.ts';
import type { Scope } from './scope.ts';
import type { World } from './world.ts';

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
  /** JSON; `null` without any. */
  readonly body: unknown;
}

export interface Asked {
  readonly world: World;
  readonly request: RestRequest;
  readonly token: ApiToken;
  readonly scope: Scope;
  /** The path below the scope. */
  readonly rest: string;
  /** The number in the path, where it has one. */
  readonly id: number;
  /** The word at the same place. */
  readonly word: string;
}

export interface Endpoint {
  readonly method: string;
  /** Its one group is the number or the word. */
  readonly path: RegExp;
  readonly kinds: readonly Scope['kind'][];
  /** GitHub's name of the permission; `runners` stands for the one that runners of the scope's kind need. */
  readonly needs: readonly [permission: string, level: 'read' | 'write'];
  readonly answer: (asked: Asked) => Answer;
}

export const REPOSITORY: Endpoint['kinds'] = ['repository'];
export const ORGANIZATION: Endpoint['kinds'] = ['organization'];
export const BOTH: Endpoint['kinds'] = ['repository', 'organization'];

/** GitHub's links name scopes by id. */
export function urlById({ base, query }: RestRequest, scope: Scope, rest: string): URL {
  const url = new URL(`${base}/${pathKind(scope.kind)}/${scope.id}${rest}`);
  url.search = query.toString();
  return url;
}

export function pathKind(kind: Scope['kind']): string {
  return kind === 'repository' ? 'repositories' : 'organizations';
}
