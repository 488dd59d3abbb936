// Endpoints of a repository itself, of its branches, tags and files.

import type { Answer } from './answer.ts';
import type { ApiToken } from './api-tokens.ts';
import { answerContents } from './contents.ts';
import { REPOSITORY } from './endpoint.ts';
import type { Asked, Endpoint } from './endpoint.ts';
import { refJson, repositoryJson } from './shapes.ts';

export const REPOSITORY_ENDPOINTS: readonly Endpoint[] = [
  {
    method: 'GET',
    path: /^$/,
    kinds: REPOSITORY,
    needs: ['metadata', 'read'],
    answer: ({ scope, request, token }) => ({
      status: 200,
      body: { ...repositoryJson(scope, request.base), permissions: rightsOf(token) },
    }),
  },
  {
    method: 'GET',
    path: /^\/git\/matching-refs\/(.+)$/,
    kinds: REPOSITORY,
    needs: ['contents', 'read'],
    answer: listMatchingRefs,
  },
  {
    method: 'GET',
    path: /^\/contents(?:\/(.*))?$/,
    kinds: REPOSITORY,
    needs: ['contents', 'read'],
    answer: ({ world, request, scope, word }) => answerContents(world, request, scope.name, word),
  },
  {
    method: 'GET',
    path: /^\/commits\/([^/]+)\/check-runs$/,
    kinds: REPOSITORY,
    needs: ['checks', 'read'],
    answer: () => ({ status: 200, body: { total_count: 0, check_runs: [] } }),
  },
];

/** What the token's user may do here; GitHub says nothing so of an installation. */
function rightsOf({ kind, role }: ApiToken): object {
  const isAdmin = kind !== 'installation' && role === 'admin';
  const mayPush = kind !== 'installation' && role !== 'read';
  return { admin: isAdmin, maintain: isAdmin, push: mayPush, triage: mayPush, pull: true };
}

/** All refs that begin so, not in pages. */
function listMatchingRefs({ scope, word, request }: Asked): Answer {
  const all = [...[...scope.branches].map((name) => `heads/${name}`), ...scope.tags.map((name) => `tags/${name}`)];
  const refs = all.filter((ref) => ref.startsWith(word));
  return { status: 200, body: refs.toSorted().map((ref) => refJson(`refs/${ref}`, scope, request.base)) };
}
