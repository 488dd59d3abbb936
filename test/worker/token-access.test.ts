import { expect, test } from 'vitest';
import { GitHubError, type Permission, type ScopeAccess, type TokenIdentity } from '../../src/github/port.ts';
import { createTokenAccess, type TokenAccess, type TokenNews } from '../../src/worker/token-access.ts';

const TOKEN: TokenIdentity = { kind: 'fine-grained', login: 'octocat', oauthScopes: [], expiresAt: null };
const DOWN = new GitHubError('unavailable', 'GitHub is away');
const GONE = new GitHubError('rejected', 'no such repository', { status: 404 });

type Answer = readonly Permission[] | GitHubError;

/** Asks until nothing is left to be asked; the last answer of each scope stays. */
async function askThrough(
  answers: Readonly<Record<string, readonly Answer[]>>,
  most = 20,
): Promise<{
  readonly access: TokenAccess;
  readonly news: readonly TokenNews[];
  readonly waits: readonly number[];
}> {
  const asked = new Map<string, number>();
  const news: TokenNews[] = [];
  const waits: number[] = [];
  const stop = new AbortController();
  const ended = Promise.withResolvers<void>();
  const access = createTokenAccess({
    scopes: Object.keys(answers),
    github: {
      identifyToken: async () => TOKEN,
      async probeAccess(scope): Promise<ScopeAccess> {
        const time = asked.get(scope) ?? 0;
        asked.set(scope, time + 1);
        const answer = answers[scope]?.[time] ?? answers[scope]?.at(-1) ?? [];
        if (answer instanceof GitHubError) throw answer;
        return { scope, missing: answer.map((permission) => ({ permission, why: 'refused' })) };
      },
    },
    onNews: (item) => {
      news.push(item);
      if (item.kind === 'answered' && item.scopes.every(({ missing }) => missing.length === 0)) ended.resolve();
    },
    wait: async (ms) => {
      waits.push(ms);
      if (waits.length >= most) {
        stop.abort();
        ended.resolve();
      }
    },
  });
  await access.begin(stop.signal);
  await ended.promise;
  return { access, news, waits };
}

test('a token that may all is asked about once', async () => {
  const { access, news, waits } = await askThrough({ 'acme/kernel': [[]] });
  expect(news).toEqual([{ kind: 'answered', token: TOKEN, scopes: [{ scope: 'acme/kernel', missing: [] }] }]);
  expect(waits).toEqual([]);
  expect(access.hindrance('acme/kernel', 'runners')).toBeNull();
});

test('what it may not write is hindered by scope and kind of work, until it may', async () => {
  const lacking: readonly Answer[] = [['administration=write', 'checks=read']];
  const { access, news } = await askThrough(
    { 'acme/kernel': lacking, 'acme/tools': [['actions=write']], acme: [['organization_self_hosted_runners=write']] },
    3,
  );
  expect(access.hindrance('acme/kernel', 'runners')).toMatch(/lacks "Administration: read and write" for acme\/kernel/);
  expect(access.hindrance('acme/kernel', 'queue')).toBeNull();
  expect(access.hindrance('acme/tools', 'runners')).toBeNull();
  expect(access.hindrance('acme/tools', 'queue')).toMatch(/lacks "Actions: read and write"/);
  expect(access.hindrance('acme', 'runners')).toMatch(/Self-hosted runners/);
  expect(news).toHaveLength(1);
  const mended = await askThrough({ 'acme/kernel': [...lacking, ...lacking, []] });
  expect(mended.news.map((item) => item.kind === 'answered' && item.scopes[0]?.missing.length)).toEqual([2, 0]);
  expect(mended.access.hindrance('acme/kernel', 'runners')).toBeNull();
});

test('GitHub that does not answer is asked with growing waits, and told once', async () => {
  const { access, news, waits } = await askThrough({ 'acme/kernel': [DOWN, DOWN, DOWN, ['administration=write']] }, 9);
  expect(waits).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  expect(news).toMatchObject([{ kind: 'unanswered', why: 'GitHub is away', isFinal: false }, { kind: 'answered' }]);
  expect(access.hindrance('acme/kernel', 'runners')).not.toBeNull();
});

test('a scope that is not there keeps nothing from the others', async () => {
  const { access, news } = await askThrough({ 'acme/gone': [GONE], 'acme/kernel': [['administration=write']] }, 2);
  expect(news).toMatchObject([{ kind: 'unanswered', status: 404, isFinal: true }]);
  expect(access.hindrance('acme/kernel', 'runners')).not.toBeNull();
  expect(access.hindrance('acme/gone', 'runners')).toBeNull();
});
