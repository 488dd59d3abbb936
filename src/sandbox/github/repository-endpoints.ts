// Endpoints of a repository itself, of its tags and its files.

import type { Answer } from './answer.ts';
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
    answer: ({ scope, request }) => ({ status: 200, body: repositoryJson(scope, request.base) }),
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
];

/** All refs that begin so, not in pages. */
function listMatchingRefs({ scope, word, request }: Asked): Answer {
  const refs = scope.tags.map((name) => `tags/${name}`).filter((ref) => ref.startsWith(word));
  return { status: 200, body: refs.toSorted().map((ref) => refJson(`refs/${ref}`, scope, request.base)) };
}
