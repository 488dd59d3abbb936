// Queue care over thousands of runs while GitHub fails, limits are met, and the worker or Temporal's server is killed.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { QueueReport } from '../../src/domain/queue/report.ts';
import { randomFrom } from '../../src/sandbox/github/bad-days.ts';
import type { SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { queueMany, type LongQueue } from '../kit/resilience/long-queue.ts';
import { atQueueSite, type QueueSite, type SiteOptions } from '../kit/resilience/queue-site.ts';
import { startTemporalProcess, type TemporalProcess } from '../kit/resilience/temporal-process.ts';

const GREAT = 'great';

const folder = mkdtempSync(join(tmpdir(), 'runward-queue-test-'));
let temporal: TemporalProcess;

beforeAll(async () => {
  temporal = await startTemporalProcess(folder, [GREAT]);
});

afterAll(async () => {
  await temporal.stop();
  rmSync(folder, { recursive: true });
});

const RUNS = 10_000;
const KILLS = 10;

test('10,000 runs on a very bad day: each stale one is cancelled once, and no other', { timeout: 240_000 }, async () => {
  const options: SiteOptions = {
    ...on(GREAT),
    // GitHub fails at one run again and again now and then, by chance.
    policy: { tries: 6 },
    github: { hourMs: 15_000, secondary: { pointsPerMinute: 6_000, minuteMs: 6_000, lastsMs: 2_000, namesEnd: true } },
    token: { limit: 4_000 },
  };
  await atQueueSite(options, async (site) => {
    const { github, scope } = site;
    github.capsTotals = true;
    const queue = queueMany(github, scope, RUNS, 1);
    haveBadDays(github);
    const killing = killOften(site, 7);
    const reports = await untilNothingIsLeft(site);
    const kills = killing.end();
    console.log(JSON.stringify(reports.map(({ acts: _, left: __, ...report }) => report), null, 1), kills, github.requests.length);
    expect(kills).toBe(KILLS);
    expectCared(site, queue);
    expect(github.requests.filter(({ isLimited }) => isLimited)).toEqual([]);
    expectTold(reports, queue);
  });
});

function on(namespace: string): Pick<SiteOptions, 'temporal' | 'namespace' | 'workflowBundle'> {
  return { temporal, namespace, workflowBundle: inject('workflowBundle') };
}

/** Two requests in a hundred go wrong by chance, one cancel in a hundred is done and its answer lost, and all limits are met. */
function haveBadDays(github: SandboxGitHub): void {
  github.misbehave({ match: { method: 'POST' }, fault: { kind: 'lost' }, chance: 0.01, seed: 1 });
  github.misbehave({ status: 500, chance: 0.005, seed: 2 });
  github.misbehave({ fault: { kind: 'page', status: 502 }, chance: 0.005, seed: 3 });
  github.misbehave({ fault: { kind: 'cut' }, chance: 0.005, seed: 4 });
  github.misbehave({ fault: { kind: 'lost' }, chance: 0.005, seed: 5 });
  github.misbehave({ fault: { kind: 'primary-limit', resetMs: 3_000 }, chance: 0.0005, times: 2, seed: 6 });
  github.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 1_500, namesEnd: false }, chance: 0.0005, times: 3, seed: 7 });
  github.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 2_000, namesEnd: true }, chance: 0.0005, times: 3, seed: 8 });
}

/** Requests after which all kills are over: somewhat fewer than are sent. */
const KILLED_WITHIN = 18_000;
/** Not at an answer, but some time after it. */
const KILLED_LATER_MS = 1_000;

/** Kills the worker at moments that follow from the seed, most of them while it cancels. */
function killOften({ github, worker }: QueueSite, seed: number): { end(): number } {
  const random = randomFrom(seed);
  const moments = Array.from({ length: KILLS }, () => random() * KILLED_WITHIN).toSorted((one, other) => one - other);
  let [kills, isOver] = [0, false];
  void (async () => {
    for (const moment of moments) {
      while (github.requests.length < moment && !isOver) {
        await sleep(5);
      }
      await sleep(random() * KILLED_LATER_MS);
      if (isOver) {
        return;
      }
      worker.kill();
      console.log('killed', github.requests.length, new Date().toISOString());
      kills += 1;
    }
  })();
  return {
    end: () => {
      isOver = true;
      return kills;
    },
  };
}

const MOST_PASSES = 6;

async function untilNothingIsLeft({ care }: QueueSite): Promise<readonly QueueReport[]> {
  const reports: QueueReport[] = [];
  while (reports.length < MOST_PASSES && reports.at(-1)?.outcome !== 'nothing-to-do') {
    reports.push(await care({ max: 100_000 }));
  }
  return reports;
}

/** By GitHub. */
function expectCared({ github }: QueueSite, { stale, zombies, others }: LongQueue): void {
  const cancels = (runs: readonly number[]): Readonly<Record<string, number>> =>
    countBy(runs.map((run) => github.run(run)).map(({ conclusion, accepted }) => `${conclusion}, cancelled ${accepted.cancel} times`));
  expect(cancels(stale)).toEqual({ 'cancelled, cancelled 1 times': stale.length });
  expect(cancels([...zombies, ...others])).toEqual({ 'null, cancelled 0 times': zombies.length + others.length });
  const written = [...stale, ...zombies, ...others].map((run) => github.run(run).accepted);
  expect(written.filter(({ forceCancel, rerun }) => forceCancel + rerun > 0)).toEqual([]);
}

/** By the reports. */
function expectTold(reports: readonly QueueReport[], { stale, zombies, others }: LongQueue): void {
  const counts = reports.flatMap((report) => Object.entries(report.counts));
  const sums = Map.groupBy(counts, ([end]) => end);
  expect(Object.fromEntries([...sums].map(([end, each]) => [end, each.reduce((sum, [, count]) => sum + count, 0)]))).toEqual({
    cancelled: stale.length,
    'set-aside': zombies.length,
  });
  expect(reports.at(-1)).toMatchObject({
    outcome: 'nothing-to-do',
    queue: { queued: others.length, setAside: zombies.length },
    unread: 0,
  });
}

function countBy(words: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries([...Map.groupBy(words, (word) => word)].map(([word, all]) => [word, all.length]));
}
