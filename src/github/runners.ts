// Runners that are registered at a scope. A list that lacks one says little: GitHub's lists lag, and have bad hours.

import type { Absence, RegisteredRunner } from '../domain/runner.ts';
import { Runner, RunnerList, Runners, type ListedRunner } from './answers.ts';
import type { Client } from './client.ts';
import { below, pagesOf, runnersPermission } from './endpoints.ts';
import { GitHubError, type Dated, type RunnersFound, type RunnersWanted } from './port.ts';

export interface Asking {
  readonly client: Client;
  readonly scope: string;
  readonly signal: AbortSignal;
}

/** GitHub's most. */
const PER_PAGE = 100;
/** In a bad hour a list lacks many: who is asked for one by one is bounded, and the rest is unknown. */
const ASKED_FOR = 20;
/** They leave time for the rest of the look. */
const ASKED_WITHIN_MS = 15_000;

interface RunnersRead {
  /** All of the scope. */
  readonly listed: readonly ListedRunner[];
  readonly wanted: readonly ListedRunner[];
  /** Of the wanted ones that were not found, by name. */
  readonly absent: Readonly<Record<string, Absence>>;
  /** Epoch milliseconds by GitHub's clock. */
  readonly observedAt: number;
  readonly tokenExpiresAt: number | null;
}

/** All of the scope. Whom the list lacks is asked for by the last id, and by the name. */
export async function readAllRunners(asking: Asking, wanted: RunnersWanted): Promise<RunnersRead> {
  const { listed, observedAt, tokenExpiresAt } = await listRunners(asking);
  return { ...(await withUnlisted(asking, listed, wanted)), observedAt, tokenExpiresAt };
}

/** These of the scope, by one list; where one is wanted alone, GitHub's search for its name is enough. */
export async function findRunners(asking: Asking, { names, lastId }: RunnersWanted): Promise<Dated<RunnersFound>> {
  const { listed, observedAt } = await listRunners(asking, names.length === 1 ? names[0] : undefined);
  const { wanted, absent } = await withUnlisted(asking, listed, { names, lastId });
  return { value: { runners: wanted.map(({ runner }) => runner), absent }, githubTime: observedAt };
}

async function withUnlisted(
  asking: Asking,
  listed: ReadonlyMap<number, ListedRunner>,
  { names, lastId }: RunnersWanted,
): Promise<Pick<RunnersRead, 'listed' | 'wanted' | 'absent'>> {
  const all = new Map(listed);
  const seen = new Set([...listed.values()].map(nameOf));
  const absent: Record<string, Absence> = {};
  const begun = performance.now();
  let isAnswering = true;
  const unlisted = names.filter((candidate) => !seen.has(candidate.toLowerCase()));
  for (const [index, name] of unlisted.entries()) {
    if (!isAnswering || index >= ASKED_FOR || performance.now() - begun > ASKED_WITHIN_MS) {
      absent[name] = { kind: 'unknown', why: `GitHub's list lacks ${unlisted.length} runners at once, and not all could be asked for` };
      continue;
    }
    try {
      const found = await seek(asking, name, await lastId(name));
      if ('runner' in found) all.set(found.runner.id, found);
      else absent[name] = found;
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind === 'limited') throw error;
      absent[name] = { kind: 'unknown', why: error.message };
      isAnswering = error.status !== null;
    }
  }
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const found = [...all.values()];
  return { listed: found, wanted: found.filter((runner) => wanted.has(nameOf(runner))), absent };
}

/** GitHub answers 404 also for a scope that the token may not see any more, so the list has to answer after that. */
async function seek(asking: Asking, name: string, lastId: number | null): Promise<ListedRunner | Absence> {
  const known = lastId === null ? null : await runnerOf(asking, lastId);
  if (known !== null) {
    return known.value.name.toLowerCase() === name.toLowerCase()
      ? { runner: known.value, groupId: null }
      : { kind: 'unknown', why: `GitHub calls id ${lastId} ${known.value.name}` };
  }
  const { listed } = await listRunners(asking, name);
  const named = [...listed.values()].find((runner) => nameOf(runner) === name.toLowerCase());
  return named ?? (lastId === null ? { kind: 'unlisted' } : { kind: 'gone', id: lastId });
}

function nameOf({ runner }: ListedRunner): string {
  return runner.name.toLowerCase();
}

interface RunnersListed extends Pick<RunnersRead, 'observedAt' | 'tokenExpiresAt'> {
  /** By id. */
  readonly listed: ReadonlyMap<number, ListedRunner>;
}

/** All of the scope, or what GitHub finds by a name: it does not say how it compares, and older servers ignore the name, so more may come. */
async function listRunners({ client, scope, signal }: Asking, name?: string): Promise<RunnersListed> {
  const parameters = { per_page: PER_PAGE, ...(name === undefined ? {} : { name }) };
  const call = below(scope, 'GET', '/actions/runners', runnersPermission(scope, 'read'), parameters);
  const listed = new Map<number, ListedRunner>();
  let observedAt = 0;
  let tokenExpiresAt: number | null = null;
  for await (const page of pagesOf(client, { ...call, answer: RunnerList, signal })) {
    for (const found of page.value.listed) listed.set(found.runner.id, found);
    ({ githubTime: observedAt, tokenExpiresAt } = page);
  }
  return { listed, observedAt, tokenExpiresAt };
}

/** `null` where GitHub answers 404. */
async function runnerOf({ client, scope, signal }: Asking, id: number): Promise<Dated<RegisteredRunner> | null> {
  const call = below(scope, 'GET', '/actions/runners/{runner_id}', runnersPermission(scope, 'read'), { runner_id: id });
  try {
    const { value, githubTime } = await client.request({ ...call, answer: Runner, signal });
    return { value, githubTime };
  } catch (error) {
    if (error instanceof GitHubError && error.status === 404) return null;
    throw error;
  }
}

/** GitHub answers 404 for a runner that is gone and for a scope that the token may not see; the list tells which. */
export async function getRunner(asking: Asking, id: number): Promise<Dated<RegisteredRunner | null>> {
  const found = await runnerOf(asking, id);
  if (found !== null) return found;
  const { client, scope, signal } = asking;
  const list = below(scope, 'GET', '/actions/runners', runnersPermission(scope, 'read'), { per_page: 1 });
  const { githubTime } = await client.request({ ...list, answer: Runners, signal });
  return { value: null, githubTime };
}
