// Questions of GraphQL: that they are in GitHub's own schema, and when they are asked again.

import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Secret } from '../../src/domain/secret.ts';
import { createClient } from '../../src/github/client.ts';
import { createGitHub } from '../../src/github/github.ts';
import { createGraphql, type Graphql, type Question } from '../../src/github/graphql.ts';
import { parseQuery, type Selected } from '../../src/sandbox/github/graphql-query.ts';
import { startGitHub } from '../../src/sandbox/github/server.ts';
import extract from '../sandbox/github/generated/graphql-extract.json' with { type: 'json' };

const { signal } = new AbortController();
const MINUTE = 60_000;

interface Type {
  readonly interfaces: readonly string[];
  readonly fields: Readonly<
    Record<string, { readonly type: string; readonly args: Readonly<Record<string, string>>; readonly required: readonly string[] }>
  >;
}
const TYPES: Readonly<Record<string, Type>> = extract.types;

const server = await startGitHub({ repositories: ['octo/app'] });
afterAll(() => server.close());

describe("GitHub's schema has", () => {
  test.each([
    ['tags', (github: ReturnType<typeof createGitHub>) => github.areTags('octo/app', ['v1', 'v2'], signal)],
    [
      'annotations',
      (github: ReturnType<typeof createGitHub>) => github.readFailureAnnotationsOf('octo/app', [{ checkRun: 1, nodeId: 'CR_1' }], signal),
    ],
  ])('all that is asked about %s, with its arguments', async (_what, ask) => {
    const asked: { readonly query: string; readonly variables: Readonly<Record<string, unknown>> }[] = [];
    const github = createGitHub({
      baseUrl: server.url,
      token: () => new Secret(server.token),
      async fetch(input, init) {
        const request = new Request(input, init);
        if (request.url.endsWith('/graphql')) asked.push((await request.clone().json()) as (typeof asked)[number]);
        return fetch(request);
      },
    });
    await ask(github);
    expect(asked).toHaveLength(1);
    for (const { query, variables } of asked) {
      const declared = Object.fromEntries([...query.matchAll(/\$(\w+): ([\w![\]]+)/g)].map(([, name = '', type = '']) => [name, type]));
      expect(Object.keys(variables).toSorted()).toEqual(Object.keys(declared).toSorted());
      // A variable stands for its type, and so does a number for `Int`.
      expect(deviations('Query', parseQuery(query, declared))).toEqual([]);
    }
  });

  test('not what it has not', () => {
    const refused = (query: string, variables = {}): readonly string[] => deviations('Query', parseQuery(query, variables));
    expect(refused('query { repository(owner: $o) { colour ref(name: $o) { id } } }', { o: 'String!' })).toEqual([
      'Query.repository lacks name',
      'Repository.colour',
      'Repository.ref has no name',
      'Repository.ref lacks qualifiedName',
    ]);
    expect(
      refused('query { nodes(ids: $i) { ... on CheckRun { id } ... on CheckAnnotation { path } colour } }', { i: '[String!]!' }),
    ).toEqual(['Query.nodes(ids) is [ID!]!', 'CheckAnnotation is no Node', 'Node.colour']);
  });

  function deviations(type: string, selected: readonly Selected[]): readonly string[] {
    return selected.flatMap((one) => {
      if ('onType' in one) {
        const isOne = TYPES[one.onType]?.interfaces.includes(type) === true;
        return isOne ? deviations(one.onType, one.inner) : [`${one.onType} is no ${type}`];
      }
      const field = TYPES[type]?.fields[one.name];
      const place = `${type}.${one.name}`;
      if (field === undefined) return [place];
      return [
        ...Object.entries(one.values).flatMap(([name, given]) => {
          const wanted = field.args[name];
          if (wanted === undefined) return [`${place} has no ${name}`];
          const isOfType = typeof given === 'number' ? wanted === 'Int' : given === wanted;
          return isOfType ? [] : [`${place}(${name}) is ${wanted}`];
        }),
        ...field.required.filter((name) => !(name in one.values)).map((name) => `${place} lacks ${name}`),
        ...deviations(field.type, one.inner),
      ];
    });
  }
});

describe('a question', () => {
  let clock: number;
  let sent: number;
  let answer: () => Response;
  let graphql: Graphql;
  const ask = (more: Partial<Question<object>> = {}) =>
    graphql.ask({
      scope: 'octo/app',
      needs: 'contents=read',
      signal,
      query: 'query { x }',
      variables: {},
      data: z.object({ x: z.int() }),
      ...more,
    });

  beforeEach(() => {
    clock = 1_000_000;
    sent = 0;
    answer = () => Response.json({ data: { x: 1 } });
    const client = createClient({
      baseUrl: 'https://api.test',
      token: () => new Secret('ghp_x'),
      async fetch() {
        sent += 1;
        return answer();
      },
    });
    graphql = createGraphql(client, () => clock);
  });

  test('is asked each time it is answered', async () => {
    expect([(await ask())?.value, (await ask())?.value, sent]).toEqual([{ x: 1 }, { x: 1 }, 2]);
  });

  test.each([
    ['GitHub refuses it', () => new Response('{"message":"Not Found"}', { status: 404 })],
    ['GitHub fails at it', () => new Response('<html>', { status: 502 })],
    ['a part is refused', () => Response.json({ data: { x: 1 }, errors: [{ type: 'FORBIDDEN', message: 'no' }] })],
    ['the answer lacks something', () => Response.json({ data: { y: 1 } })],
  ])('is asked again after ten minutes where %s, and others need not wait for that', async (_what, failing) => {
    answer = failing;
    expect([await ask(), await ask(), sent]).toEqual([null, null, 1]);
    await ask({ scope: 'octo/other' });
    await ask({ needs: 'checks=read' });
    expect(sent).toBe(3);
    clock += 10 * MINUTE;
    answer = () => Response.json({ data: { x: 1 } });
    expect((await ask())?.value).toEqual({ x: 1 });
  });

  test('of who has left is not answered', async () => {
    const reason = new Error('the activity was cancelled');
    await expect(ask({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
