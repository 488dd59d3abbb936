// Looks at a repository with a queue: what a health check and `status` send, the first time and once its jobs are read.

import { DEFAULT_HEALTH_POLICY } from '../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../src/domain/queue/policy.ts';
import { Secret } from '../src/domain/secret.ts';
import { createGitHub } from '../src/github/github.ts';
import { createNotesShelf } from '../src/github/scope-notes.ts';
import { startGitHub } from '../src/sandbox/github/server.ts';
import { sentAndCounted } from './requests.ts';
import type { Series } from './statistics.ts';

const SCOPE = 'acme/looked-at';
const SIZES = [10, 100, 1_000, 10_000] as const;
/** Of a `status`. */
const RUNS_READ = 30;
/** More than it takes to read the thousand runs that GitHub lists. */
const CHECKS = 5;
const MINUTE_MS = 60_000;
const BOUNDLESS = 1_000_000;

export async function looksSection(): Promise<readonly Series[]> {
  const series: Series[] = [];
  for (const size of SIZES) {
    series.push(...(await looksAt(size)));
  }
  return series;
}

async function looksAt(size: number): Promise<readonly Series[]> {
  const gitHub = await startGitHub({ repositories: [SCOPE] });
  gitHub.capsTotals = true;
  gitHub.addRunner(SCOPE, { name: 'bench-runner', labels: ['bpf-lsm'], shown: { status: 'online' } });
  for (let number = 0; number < size; number += 1) {
    gitHub.queueRun(SCOPE, { jobs: [{ labels: ['self-hosted', 'bpf-lsm'] }], agoMs: number * MINUTE_MS });
  }
  const token = new Secret(gitHub.addToken({ limit: BOUNDLESS }));
  // The worker and each command are processes of their own, which share a folder; here they share the notes in memory.
  const notes = createNotesShelf(null);
  const process = (): ReturnType<typeof createGitHub> => createGitHub({ baseUrl: gitHub.url, token: () => token, notes });
  const wanted = { runners: ['bench-runner'], readsGroups: false, setAside: [] };
  const { signal } = new AbortController();
  const measured = async (name: string, look: () => Promise<unknown>): Promise<readonly Series[]> => {
    const before = gitHub.requests.length;
    await look();
    return sentAndCounted(`${size} runs: ${name}`, gitHub.requests.slice(before));
  };
  const staleAfterMs = DEFAULT_QUEUE_POLICY.rules.stale.afterMs;
  const status = (): Promise<unknown> =>
    process().observeScope(SCOPE, { ...wanted, runsRead: RUNS_READ, forPeople: { staleAfterMs } }, signal);
  const worker = process();
  const check = (): Promise<unknown> => worker.observeScope(SCOPE, { ...wanted, runsRead: DEFAULT_HEALTH_POLICY.runsRead }, signal);
  const series = [...(await measured('first status', status)), ...(await measured('second status', status))];
  series.push(...(await measured('first health check', check)));
  for (let number = 2; number <= CHECKS; number += 1) await check();
  series.push(...(await measured('health check once all is read', check)), ...(await measured('status once all is read', status)));
  await gitHub.close();
  return series;
}
