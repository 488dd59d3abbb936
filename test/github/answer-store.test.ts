import { expect, test } from 'vitest';
import { z } from 'zod';
import { Secret } from '../../src/domain/secret.ts';
import { createAnswerStore, type StoredAnswer } from '../../src/github/answer-store.ts';
import { createClient, type Answer, type Client } from '../../src/github/client.ts';
import { failureOf } from './failure-of.ts';

const ANY = z.unknown();

test('the answers that were not asked for longest are forgotten first', () => {
  const store = createAnswerStore(2);
  const answer = (etag: string): StoredAnswer => ({ etag, checkedBy: ANY, answer: {} as Answer<unknown>, askedAt: 0 });
  store.keep('a', answer('1'));
  store.keep('b', answer('2'));
  store.find('a');
  store.keep('c', answer('3'));
  expect(['a', 'b', 'c'].map((key) => store.find(key)?.etag)).toEqual(['1', undefined, '3']);
  store.keep('a', answer('4'));
  expect(['a', 'c'].map((key) => store.find(key)?.etag)).toEqual(['4', '3']);
});

test('a pass over a queue of 10,000 runs finds all of its answers again', () => {
  const store = createAnswerStore();
  const job = {
    id: 34_000_000_000,
    attempt: 1,
    status: 'queued',
    conclusion: null,
    labels: ['self-hosted', 'Linux', 'X64'],
    createdAt: 1e12,
  };
  const kept = (value: unknown): StoredAnswer => ({ etag: '1', checkedBy: ANY, answer: { value } as Answer<unknown>, askedAt: 0 });
  const keys = Array.from({ length: 20_100 }, (_, index) => String(index));
  for (const key of keys) store.keep(key, kept({ total: 5, jobs: Array.from({ length: 5 }, () => job) }));
  expect(keys.every((key) => store.find(key) !== undefined)).toBe(true);
});

test('large answers take the room of many small ones', () => {
  const store = createAnswerStore(100, 18_000);
  const kept = (value: unknown): StoredAnswer => ({ etag: '1', checkedBy: ANY, answer: { value } as Answer<unknown>, askedAt: 0 });
  for (const key of ['a', 'b', 'c']) store.keep(key, kept(key));
  store.keep('large', kept('x'.repeat(5_000)));
  expect(['a', 'b', 'c', 'large'].map((key) => store.find(key) !== undefined)).toEqual([false, true, true, true]);
  store.keep('large', kept('small now'));
  for (const key of ['d', 'e', 'f', 'g']) store.keep(key, kept(key));
  expect(['b', 'c', 'large', 'd', 'e', 'f', 'g'].filter((key) => store.find(key) === undefined)).toEqual([]);
});

test('an unchanged answer is the last one, with its pages, and the new time', async () => {
  const { client, conditions } = clientOf([
    new Response('{"name":"r"}', {
      headers: { ...JSON_TYPE, etag: 'W/"1"', date: dateAt(0), link: '<https://api.test/x?page=2>; rel="next"' },
    }),
    new Response(null, { status: 304, headers: { etag: 'W/"1"', date: dateAt(60) } }),
    new Response('{"name":"s"}', { headers: { ...JSON_TYPE, etag: 'W/"2"', date: dateAt(120) } }),
    new Response(null, { status: 304, headers: { date: dateAt(180) } }),
  ]);
  const answers = [await ask(client), await ask(client), await ask(client), await ask(client)];
  const NEXT = 'https://api.test/x?page=2';
  expect(answers.map(({ value, githubTime, nextPage, isUnchanged }) => [value, githubTime, nextPage, isUnchanged])).toEqual([
    [{ name: 'r' }, 0, NEXT, false],
    [{ name: 'r' }, 60_000, NEXT, true],
    [{ name: 's' }, 120_000, null, false],
    [{ name: 's' }, 180_000, null, true],
  ]);
  expect(conditions()).toEqual([null, 'W/"1"', 'W/"1"', 'W/"2"']);
});

test('what is read otherwise, by another method or without an ETag is asked for without a condition', async () => {
  const { client, conditions } = clientOf([answered('W/"1"'), answered(null), answered('W/"2"'), answered('W/"3"'), answered('W/"4"')]);
  await ask(client, 'GET /x');
  await ask(client, 'GET /y');
  await ask(client, 'GET /y');
  await ask(client, 'POST /x');
  await client.request({ ...CALL, route: 'GET /x', answer: ANY, signal: new AbortController().signal });
  expect(conditions()).toEqual([null, null, null, null, null]);
});

test('an ETag is sent with the token alone that it was given to', async () => {
  const { client, conditions } = clientOf([answered('W/"1"'), answered('W/"2"'), new Response(null, { status: 304 })], ['a', 'b', 'a']);
  for (const _ of ['a', 'b', 'a']) await ask(client);
  expect(conditions()).toEqual([null, null, 'W/"1"']);
});

test('an answer that nobody asked for by a condition is none', async () => {
  const { client } = clientOf([new Response(null, { status: 304 })]);
  expect(await failureOf(ask(client))).toMatchObject({
    kind: 'unavailable',
    message: 'GitHub could not be asked for GET /x: Not modified',
  });
});

test('after a failure the last good answer is asked for again', async () => {
  const { client, conditions } = clientOf([
    answered('W/"1"'),
    new Response('<html>', { status: 502 }),
    new Response(null, { status: 304 }),
  ]);
  await ask(client);
  expect((await failureOf(ask(client))).status).toBe(502);
  expect((await ask(client)).value).toEqual({ name: 'r' });
  expect(conditions()).toEqual([null, 'W/"1"', 'W/"1"']);
});

const JSON_TYPE = { 'content-type': 'application/json' };
const NAMED = z.object({ name: z.string() });
const CALL = { answer: NAMED, needs: '', scope: 'o/r' };

function ask(client: Client, route = 'GET /x'): Promise<Answer<{ name: string }>> {
  return client.request({ ...CALL, route, signal: new AbortController().signal });
}

function answered(etag: string | null): Response {
  return new Response('{"name":"r"}', { headers: { ...JSON_TYPE, ...(etag === null ? {} : { etag }) } });
}

function dateAt(seconds: number): string {
  return new Date(seconds * 1000).toUTCString();
}

/** A client that is answered by these, one after the other; `conditions` are the ETags that it sent. */
function clientOf(
  answers: readonly Response[],
  tokens: readonly string[] = [],
): { readonly client: Client; readonly conditions: () => readonly (string | null)[] } {
  const left = [...answers];
  const sent: (string | null)[] = [];
  const client = createClient({
    baseUrl: 'https://api.test',
    token: () => new Secret(tokens[sent.length] ?? 'ghp_x'),
    async fetch(_, init) {
      sent.push(new Headers(init?.headers).get('if-none-match'));
      return left.shift() ?? new Response(null, { status: 500 });
    },
  });
  return { client, conditions: () => sent };
}
