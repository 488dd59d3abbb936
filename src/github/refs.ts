// Branches and tags of a repository: which of them there are, and which branch is the default one.

import { z } from 'zod';
import { isAltered } from '../domain/plain.ts';
import { DefaultBranch, Refs } from './answers.ts';
import { below, pagesOf } from './endpoints.ts';
import type { Graphql } from './graphql.ts';
import { GitHubError } from './port.ts';
import type { Dated } from './port.ts';
import type { Asking } from './run-reads.ts';

const READS_REFS = 'contents=read';

interface AboutRefs {
  areTags(asking: Asking, names: readonly string[]): Promise<Dated<ReadonlyMap<string, boolean>>>;
  readDefaultBranch(asking: Asking): Promise<Dated<string | null>>;
}

/** With the minute for which an act's ground holds, no act rests on one that is older than five. */
const DEFAULT_BRANCH_BELIEVED_MS = 4 * 60_000;
/** GitHub answers so many at a time with ease. */
const NAMES_AT_ONCE = 100;
/** Failures in a row, after which the other names are not asked for. */
const FAILURES_BELIEVED = 3;

/** @param now epoch milliseconds */
export function createRefs(graphql: Graphql, now: () => number = Date.now): AboutRefs {
  return {
    async areTags(asking, names) {
      const tags = new Map<string, boolean>();
      const plain = names.filter((name) => !isAltered(name));
      let answeredAt: number | null = null;
      for (let first = 0; first < plain.length; first += NAMES_AT_ONCE) {
        const asked = plain.slice(first, first + NAMES_AT_ONCE);
        const { value, githubTime } = (await askTogether(graphql, asking, asked)) ?? (await askOneByOne(asking, asked));
        answeredAt ??= githubTime;
        for (const [name, isTag] of value) tags.set(name, isTag);
      }
      return { value: tags, githubTime: answeredAt ?? now() };
    },

    async readDefaultBranch({ client, scope, signal }) {
      const call = below(scope, 'GET', '', 'metadata=read');
      const { value, githubTime } = await client.request({
        ...call,
        answer: DefaultBranch,
        signal,
        believedMs: DEFAULT_BRANCH_BELIEVED_MS,
      });
      return { value, githubTime };
    },
  };
}

/** Branch or tag. */
export async function hasRef(asking: Asking, name: string): Promise<Dated<boolean>> {
  const branch = await isRef(asking, 'heads', name);
  return branch.value ? branch : isRef(asking, 'tags', name);
}

/** `null` if GitHub does not answer for all of them. */
async function askTogether(
  graphql: Graphql,
  { scope, signal }: Asking,
  names: readonly string[],
): Promise<Dated<ReadonlyMap<string, boolean>> | null> {
  const [owner = '', repository = ''] = scope.split('/');
  const wanted = names.flatMap((name, index) => [
    [`t${index}`, `refs/tags/${name}`],
    [`h${index}`, `refs/heads/${name}`],
  ]);
  const parameters = wanted.map(([alias]) => `, $${alias}: String!`).join('');
  const refs = wanted.map(([alias]) => `${alias}: ref(qualifiedName: $${alias}) { id }`).join(' ');
  // A token that sees no refs at all is told of none: it sees no default branch either.
  const query = `query ($owner: String!, $name: String!${parameters}) {
    repository(owner: $owner, name: $name) { defaultBranchRef { id } ${refs} }
  }`;
  const variables = { owner, name: repository, ...Object.fromEntries(wanted) };
  const answer = await graphql.ask({ scope, needs: READS_REFS, signal, query, variables, data: RefsByAlias });
  if (answer === null) return null;
  const { repository: found } = answer.value;
  const isThere = (alias: string): boolean | null => {
    const ref = found[alias];
    return ref === undefined ? null : ref !== null;
  };
  const told = names.map((name, index) => [name, kindOf(isThere(`t${index}`), isThere(`h${index}`))] as const);
  return { value: known(told), githubTime: answer.githubTime };
}

/** Whether it is a tag: only if one of both is there. A run of what is deleted may have been for either. */
function kindOf(isTag: boolean | null, isBranch: boolean | null): boolean | null {
  return isTag === null || isBranch === null || isTag === isBranch ? null : isTag;
}

function known(told: readonly (readonly [name: string, isTag: boolean | null])[]): ReadonlyMap<string, boolean> {
  return new Map(told.flatMap(([name, isTag]) => (isTag === null ? [] : [[name, isTag] as const])));
}

const Ref = z.object({ id: z.string() });
const RefsByAlias = z.object({ repository: z.object({ defaultBranchRef: Ref }).catchall(Ref.nullable()) });

/** A name that GitHub fails at is left out, and so is whatever follows after a few of them; a limit rejects. */
async function askOneByOne(asking: Asking, names: readonly string[]): Promise<Dated<ReadonlyMap<string, boolean>>> {
  const told: (readonly [name: string, isTag: boolean | null])[] = [];
  let [answeredAt, failures]: [number | null, number] = [null, 0];
  for (const name of names) {
    if (failures === FAILURES_BELIEVED) break;
    try {
      const { value: isTag, githubTime } = await isRef(asking, 'tags', name);
      const { value: isBranch } = await isRef(asking, 'heads', name);
      told.push([name, kindOf(isTag, isBranch)]);
      answeredAt ??= githubTime;
      failures = 0;
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind === 'limited') throw error;
      failures += 1;
    }
  }
  return { value: known(told), githubTime: answeredAt ?? Date.now() };
}

/** GitHub gives all refs that begin so, in the order of their names. */
async function isRef({ client, scope, signal }: Asking, kind: 'heads' | 'tags', name: string): Promise<Dated<boolean>> {
  if (isAltered(name))
    throw new GitHubError('rejected', `GitHub was not asked for the ref ${name}: its name is too long or holds odd characters`);
  const path = name.split('/').map(encodeURIComponent).join('/');
  const call = below(scope, 'GET', `/git/matching-refs/${kind}/${path}`, READS_REFS);
  let answeredAt: number | null = null;
  for await (const { value, githubTime } of pagesOf(client, { ...call, answer: Refs, signal })) {
    answeredAt ??= githubTime;
    if (value.includes(`refs/${kind}/${name}`)) return { value: true, githubTime };
  }
  return { value: false, githubTime: answeredAt ?? Date.now() };
}
