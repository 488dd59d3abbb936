// The GraphQL API, as far as it is used: refs of a repository, and annotations of check runs.

import { z } from 'zod';
import { refuse } from './answer.ts';
import type { Answer } from './answer.ts';
import type { ApiToken } from './api-tokens.ts';
import { parseQuery, QueryError, select } from './graphql-query.ts';
import type { Node } from './graphql-query.ts';
import type { Job } from './run.ts';
import type { Scope } from './scope.ts';
import { nodeId } from './shapes.ts';
import type { World } from './world.ts';

/** GitHub has it below its root, an Enterprise Server beside the REST API. */
export function isGraphql({ method, path }: { readonly method: string; readonly path: string }): boolean {
  return method === 'POST' && (path === '/graphql' || path === '/api/graphql');
}

const ASKED = z.object({ query: z.string(), variables: z.record(z.string(), z.unknown()).default({}) });

/** Whatever is wrong with a query is told in an answer with status 200. */
export function answerGraphql(world: World, body: unknown, token: ApiToken | null): Answer {
  if (token === null) return refuse(401, 'This endpoint requires you to be authenticated.');
  const asked = ASKED.safeParse(body);
  if (!asked.success) return refuse(400, 'A query attribute must be specified and must be a string.');
  const errors: object[] = [];
  try {
    const selected = parseQuery(asked.data.query, asked.data.variables);
    const data = select(queryNode(world, token), selected, ({ type, message }, path) => errors.push({ type, path, message }));
    return { status: 200, body: errors.length === 0 ? { data } : { data, errors } };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return { status: 200, body: { errors: [{ message: error.message }] } };
  }
}

function queryNode(world: World, token: ApiToken): Node {
  const seen = (scope: Scope | undefined): scope is Scope =>
    scope?.kind === 'repository' && (token.sees === null || token.sees.includes(scope.name));
  return {
    type: 'Query',
    fields: {
      repository: ({ owner, name }) => {
        const scope = world.findScope(`${String(owner)}/${String(name)}`);
        if (seen(scope)) return repositoryNode(scope, token);
        throw new QueryError(`Could not resolve to a Repository with the name '${String(owner)}/${String(name)}'.`, 'NOT_FOUND');
      },
      nodes: ({ ids }) => (Array.isArray(ids) ? ids : [ids]).map((id) => () => checkRunNode(world, String(id), { token, seen })),
    },
  };
}

function repositoryNode(scope: Scope, token: ApiToken): Node {
  const refNode = (path: string): Node | null => {
    demand(token, 'contents');
    const [, kind, name = ''] = /^refs\/(heads|tags)\/(.+)$/.exec(path) ?? [];
    const isThere = kind === 'heads' ? scope.branches.has(name) : scope.tags.includes(name);
    if (!isThere) return null;
    return { type: 'Ref', fields: { id: () => nodeId('REF', `${scope.id}:${path}`), name: () => name, prefix: () => `refs/${kind}/` } };
  };
  return {
    type: 'Repository',
    fields: {
      defaultBranchRef: () => refNode(`refs/heads/${scope.defaultBranch}`),
      ref: ({ qualifiedName }) => refNode(String(qualifiedName)),
    },
  };
}

function checkRunNode(
  world: World,
  id: string,
  { token, seen }: { readonly token: ApiToken; readonly seen: (scope: Scope | undefined) => boolean },
): Node {
  const number = Number(Buffer.from(id.replace(/^CR_/, ''), 'base64url').toString());
  const job = world.runs.findJob(number);
  if (job?.run == null || !seen(job.run.scope))
    throw new QueryError(`Could not resolve to a node with the global id of '${id}'`, 'NOT_FOUND');
  demand(token, 'checks');
  return {
    type: 'CheckRun',
    fields: { id: () => id, databaseId: () => job.id, annotations: ({ first }) => annotationsNode(job, Number(first)) },
  };
}

function annotationsNode({ output }: Job, first: number): Node {
  const nodes = (output.annotations ?? []).slice(0, first).map(({ level, message }) => (): Node => ({
    type: 'CheckAnnotation',
    fields: { annotationLevel: () => level.toUpperCase(), message: () => message },
  }));
  return { type: 'CheckAnnotationConnection', fields: { nodes: () => nodes } };
}

function demand({ kind, permissions }: ApiToken, permission: string): void {
  if (permissions[permission] !== undefined) return;
  throw new QueryError(`Resource not accessible by ${kind === 'installation' ? 'integration' : 'personal access token'}`, 'FORBIDDEN');
}
