// One look at a scope: its lists, read once for all its runners, one request after the other as GitHub advises.

import type { Retirement, RunnerVersions, ScopeObservation } from '../domain/pass.ts';
import { known, unknown, valueOrNull, type Reading } from '../domain/reading.ts';
import { Deprecation, NewestVersion, RunnerGroups } from './answers.ts';
import type { ListedRunner } from './answers.ts';
import type { Client } from './client.ts';
import { below, isRepository, pagesOf, runnersPermission } from './endpoints.ts';
import { observeQueue } from './observe-queue.ts';
import { GitHubError, type ScopeLook } from './port.ts';
import { readAllRunners, type Asking } from './runners.ts';
import { isWithin, type NotesShelf, type ScopeNotes } from './scope-notes.ts';

/** GitHub's most. */
const PER_PAGE = 100;
/** Versions change monthly. */
const VERSIONS_BELIEVED_MS = 4 * 60 * 60_000;

/** Rejects where the list of runners cannot be read, or a limit is met; every other part may be unknown. */
export async function observeScope(
  client: Client,
  shelf: NotesShelf,
  scope: string,
  wanted: ScopeLook,
  signal: AbortSignal,
): Promise<ScopeObservation> {
  const requests = { sent: 0, unchanged: 0 };
  const asking = (isOptional: boolean): Asking => ({ client: countedBy(requests, client, isOptional), scope, signal });
  const asked = { names: wanted.runners, lastId: wanted.lastId ?? (async () => null) };
  const { listed, wanted: configured, absent, observedAt, tokenExpiresAt } = await readAllRunners(asking(false), asked);
  const account = client.account();
  const notes = shelf.open(account, scope);
  const keep = (): void => shelf.save(account, scope, notes);
  const look = { ...wanted, listed, notes, githubTime: observedAt };
  const queue = isRepository(scope) ? await part(() => observeQueue(asking(true), look)).finally(keep) : known(null);
  const versions = await part(() => readVersions(asking(true), configured, notes)).finally(keep);
  const groups = wanted.readsGroups && !isRepository(scope) ? valueOrNull(await part(() => readGroups(asking(true)))) : null;
  const runners = configured.map(({ runner, groupId }) => ({ ...runner, group: groups?.get(groupId) ?? null }));
  return { observedAt, runners, absent, queue, versions, tokenExpiresAt, requests };
}

/** A part that GitHub does not give is unknown; a limit is none of a part alone. */
async function part<T>(read: () => Promise<T>): Promise<Reading<T>> {
  try {
    return known(await read());
  } catch (error) {
    if (!(error instanceof GitHubError) || error.kind === 'limited') throw error;
    return unknown(error.message);
  }
}

function countedBy(requests: { sent: number; unchanged: number }, client: Client, isOptional: boolean): Client {
  return {
    ...client,
    async request(call) {
      requests.sent += 1;
      const answer = await client.request({ ...call, isOptional });
      if (answer.isUnchanged) requests.unchanged += 1;
      return answer;
    },
  };
}

/** Asked once in a while, and for a version that is new here. */
async function readVersions(
  { client, scope, signal }: Asking,
  configured: readonly ListedRunner[],
  notes: ScopeNotes,
): Promise<RunnerVersions> {
  const asked = [...new Set(configured.map(({ runner }) => runner.version).filter((candidate) => candidate !== null))];
  const last = notes.versions;
  if (last !== null && isWithin(last.at, VERSIONS_BELIEVED_MS, Date.now()) && asked.every((version) => last.asked.includes(version))) {
    return { latest: last.latest, retirements: last.retirements.filter(({ version }) => asked.includes(version)) };
  }
  const needs = runnersPermission(scope, 'read');
  const downloads = await client.request({ ...below(scope, 'GET', '/actions/runners/downloads', needs), answer: NewestVersion, signal });
  const retirements: Retirement[] = [];
  for (const version of asked) {
    try {
      const call = below(scope, 'GET', '/actions/runners/deprecations/{version}', needs, { version });
      const { value } = await client.request({ ...call, answer: Deprecation, signal });
      retirements.push({ version, ...value });
    } catch (error) {
      // GitHub Enterprise Server has no such endpoint, and no server knows every version.
      if (!(error instanceof GitHubError) || error.kind !== 'rejected') throw error;
    }
  }
  notes.versions = { at: Date.now(), asked, latest: downloads.value, retirements };
  return { latest: downloads.value, retirements };
}

async function readGroups({ client, scope, signal }: Asking): Promise<ReadonlyMap<number | null, string>> {
  const call = below(scope, 'GET', '/actions/runner-groups', runnersPermission(scope, 'read'), { per_page: PER_PAGE });
  const names = new Map<number | null, string>();
  for await (const { value } of pagesOf(client, { ...call, answer: RunnerGroups, signal })) {
    for (const { id, name } of value.groups) names.set(id, name);
  }
  return names;
}
