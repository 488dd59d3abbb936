// Queue care over thousands of runs while GitHub fails, limits are met, and the worker or Temporal's server is killed.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { QueueReport } from '../../src/domain/queue/report.ts';
import { randomFrom } from '../../src/sandbox/github/bad-days.ts';
import type { SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { target as aTarget } from '../kit/observations.ts';
import { queueMany, type LongQueue } from '../kit/resilience/long-queue.ts';
import { atQueueSite, FOLLOWING, type QueueSite, type SiteOptions } from '../kit/resilience/queue-site.ts';
import { until } from '../kit/resilience/crew.ts';
import { seamAt } from '../kit/resilience/ordeal.ts';
import { Pool } from '../kit/resilience/pool.ts';
import type { Phase } from '../kit/resilience/seam.ts';
import { startTemporalProcess, type TemporalProcess } from '../kit/temporal-process.ts';

const GREAT = 'great';
/** Cases at once, as many as two cores carry beside the great one; each has a namespace, and so queues of tasks, of its own. */
const namespaces = Array.from({ length: 5 }, (_, index) => `slot-${index}`);
const slots = new Pool(namespaces);

const folder = mkdtempSync(join(tmpdir(), 'runward-queue-test-'));
let temporal: TemporalProcess;

beforeAll(async () => {
  temporal = await startTemporalProcess(folder, [GREAT, ...namespaces]);
});

afterAll(async () => {
  await temporal.stop();
  rmSync(folder, { recursive: true });
});

const RUNS = 10_000;
const KILLS = 10;
/** Alone on two cores it takes less than half of that. */
const GREAT_TAKES_MS = 600_000;

describe.concurrent('queue care', { timeout: 240_000 }, () => {
  test('10,000 runs on a very bad day: each stale one is cancelled once, and no other', { timeout: GREAT_TAKES_MS }, async () => {
    const options: SiteOptions = {
      ...on(GREAT),
      // With three tries chance alone would set a run aside now and then.
      policy: { tries: 6, batchSize: 200 },
      // As fast as it can it comes to the reserve of the hour within seconds, and over the points of a minute.
      github: { hourMs: 8_000, secondary: { pointsPerMinute: 3_000, minuteMs: 6_000, lastsMs: 1_000, namesEnd: true } },
      token: { limit: 2_000 },
    };
    await atQueueSite(options, async (site) => {
      const { github, scope } = site;
      github.capsTotals = true;
      const queue = queueMany(github, scope, RUNS, 1);
      const days = haveBadDays(github);
      const killing = killOften(site, 7);
      const reports = await untilNothingIsLeft(site);
      expect(killing.end()).toBe(KILLS);
      days.end();
      // What could not be read on a bad day is read now.
      reports.push(...(await untilNothingIsLeft(site)));
      expectCared(site, queue);
      expectLimitsKept(site);
      expectTold(reports, queue);
    });
  });

  test("goes on where Temporal's server is killed meanwhile", async () => {
    const own = await startTemporalProcess(mkdtempSync(join(folder, 'crashed-')), [GREAT]);
    try {
      await atQueueSite({ ...on(GREAT), temporal: own }, async (site) => {
        const queue = queueMany(site.github, site.scope, 400, 2);
        const caring = untilNothingIsLeft(site);
        // The jobs are read, and part of the cancels are sent.
        await until(() => site.github.requests.filter(({ method }) => method === 'POST').length > 50);
        await own.crash();
        const reports = await caring;
        expectCared(site, queue);
        expectTold(reports, queue);
      });
    } finally {
      await own.stop();
    }
  });

  const SEAMS = [
    ...[
      'after rememberParked',
      'before cancelBatch',
      'during cancelBatch',
      'after cancelBatch',
      'before settleParked',
      'after settleParked',
    ],
    ...['before rerunBatch', 'during rerunBatch', 'after rerunBatch'],
  ];
  test.each(SEAMS)('parks and re-runs each run once where the worker is killed %s', async (name) => {
    const [phase = '', activity = ''] = name.split(' ');
    const seam = seamAt(`${activity} 1`, phase as Phase);
    await slots.with((slot) =>
      atQueueSite({ ...on(slot), seam }, async (site) => {
        const { pushes, release } = press(site);
        expect(await site.care()).toMatchObject({ counts: { parked: pushes.length }, queue: { parked: pushes.length } });
        release();
        expect(await site.care()).toMatchObject({ counts: { 're-run': pushes.length - 1, replaced: 1 }, queue: { parked: 0 } });
        expect(site.wasReached()).toBe(true);
        expectRerun(site, pushes);
      }),
    );
  });

  const FOLLOWING_SEAMS = ['after cancelBatch', 'during followBatch', 'before settleParked 2', 'after settleParked 2'];
  test.each(FOLLOWING_SEAMS)('follows each run to its end, and gives up one that has none, where the worker is killed %s', async (name) => {
    const [phase = '', activity = '', count = '1'] = name.split(' ');
    const seam = seamAt(`${activity} ${count}`, phase as Phase);
    const policy = { following: { ...FOLLOWING, forceAfterMs: 3_000, giveUpAfterMs: 3_000 } };
    await slots.with((slot) =>
      atQueueSite({ ...on(slot), seam, policy }, async (site) => {
        const { pushes, release } = press(site, { cancelTakesMs: 1_500 });
        const deaf = site.github.queueRun(site.scope, { jobs: ourJobs(), branch: 'deaf', agoMs: 18_000_000, zombie: 'deaf' });
        expect(await site.care()).toMatchObject({
          counts: { parked: pushes.length, 'not-over': 1 },
          queue: { parked: pushes.length, setAside: 1 },
        });
        release();
        expect(await site.care()).toMatchObject({
          counts: { 're-run': pushes.length - 1, replaced: 1 },
          queue: { parked: 0, setAside: 1 },
        });
        expect(site.wasReached()).toBe(true);
        expectRerun(site, pushes);
        const { cancel, forceCancel } = site.github.run(deaf).accepted;
        expect(cancel).toBe(1);
        // On a slow machine it is time to force it in the first look already, which is killed after that and before it is noted: then it is forced once more.
        expect(forceCancel).toBeGreaterThanOrEqual(1);
        expect(forceCancel).toBeLessThanOrEqual(name === 'during followBatch' ? 2 : 1);
      }),
    );
  });

  test('re-runs each parked run whose cancel was not noted by a worker that was killed, also after a limit', async () => {
    await slots.with((slot) =>
      atQueueSite({ ...on(slot), seam: seamAt('cancelBatch 1', 'during') }, async (site) => {
        const { pushes, release } = press(site);
        const parking = site.care();
        await until(() => site.wasReached());
        site.github.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 2_000, namesEnd: true }, times: 1 });
        expect(await parking).toMatchObject({ counts: { parked: pushes.length }, queue: { parked: pushes.length } });
        release();
        expect(await site.care()).toMatchObject({ counts: { 're-run': pushes.length - 1, replaced: 1 }, queue: { parked: 0 } });
        expectRerun(site, pushes);
      }),
    );
  });
});

/** For the only runner. */
function ourJobs(): { readonly labels: readonly string[] }[] {
  return [{ labels: ['self-hosted', ...aTarget().labels] }];
}

/** Runs that are parked in these tests. */
const PUSHES = 8;

/** Pull requests press on the only runner's labels, and pushes are to make way. `release` ends the pressure, and replaces the first push. */
function press(
  { github, scope }: QueueSite,
  options: Partial<Parameters<SandboxGitHub['queueRun']>[1]> = {},
): { readonly pushes: readonly number[]; readonly release: () => void } {
  const { runner: name, labels } = aTarget();
  const jobs = ourJobs();
  github.addRunner(scope, { name, labels });
  github.showRunner(scope, name, { status: 'online', busy: true });
  // Each takes a moment, so that a kill in the middle of a batch is one in the middle of its writes.
  github.misbehave({ match: { method: 'POST' }, delayMs: 20 });
  const pulls = Array.from({ length: 6 }, (_, index) =>
    github.queueRun(scope, { jobs, event: 'pull_request', branch: `p${index}`, pullRequests: [index + 1], agoMs: 60_000 }),
  );
  const push = (branch: string, agoMs: number): number => github.queueRun(scope, { jobs, event: 'push', branch, agoMs, ...options });
  const pushes = Array.from({ length: PUSHES }, (_, index) => push(`b${index}`, 30_000));
  return {
    pushes,
    release: () => {
      for (const pull of pulls) {
        github.completeRun(pull, 'success');
      }
      push('b0', 1_000);
    },
  };
}

/** All but the first, which was replaced. */
function expectRerun({ github }: QueueSite, pushes: readonly number[]): void {
  const shown = pushes.map((run) => github.run(run)).map(({ status, attempt, accepted }) => ({ status, attempt, ...accepted }));
  const [replaced, ...rerun] = shown;
  const asked = { cancel: 1, forceCancel: 0, rerunFailed: 0, rerunJob: 0 };
  expect(replaced).toEqual({ status: 'completed', attempt: 1, ...asked, rerun: 0 });
  expect(rerun).toEqual(rerun.map(() => ({ status: 'queued', attempt: 2, ...asked, rerun: 1 })));
}

function on(namespace: string): Pick<SiteOptions, 'temporal' | 'namespace' | 'workflowBundle'> {
  return { temporal, namespace, workflowBundle: inject('workflowBundle') };
}

/** Two requests in a hundred go wrong by chance, one cancel in a hundred is done and its answer lost, and all limits are met. */
function haveBadDays(github: SandboxGitHub): { end(): void } {
  const ends = [
    github.misbehave({ match: { method: 'POST' }, fault: { kind: 'lost' }, chance: 0.01, seed: 1 }),
    github.misbehave({ status: 500, chance: 0.005, seed: 2 }),
    github.misbehave({ fault: { kind: 'page', status: 502 }, chance: 0.005, seed: 3 }),
    github.misbehave({ fault: { kind: 'cut' }, chance: 0.005, seed: 4 }),
    github.misbehave({ fault: { kind: 'lost' }, chance: 0.005, seed: 5 }),
    github.misbehave({ fault: { kind: 'primary-limit', resetMs: 2_000 }, chance: 0.0005, times: LIMITS, seed: 6 }),
    // Shorter than what is waited for where no end is named.
    github.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 1_500, namesEnd: false }, chance: 0.0005, times: LIMITS, seed: 7 }),
    github.misbehave({ fault: { kind: 'secondary-limit', lastsMs: 2_000, namesEnd: true }, chance: 0.0005, times: LIMITS, seed: 8 }),
  ];
  return {
    end: () => {
      for (const end of ends) {
        end();
      }
    },
  };
}

/** Of each kind, besides those that are reached by themselves. */
const LIMITS = 3;

/** All that were to be met were, and not a request was sent before one's end. */
function expectLimitsKept({ github }: QueueSite): void {
  const limits = github.requests.flatMap(({ fault }) => (fault?.endsWith('-limit') === true ? [fault] : []));
  expect(countBy(limits)).toEqual({ 'primary-limit': LIMITS, 'secondary-limit': 2 * LIMITS });
  expect(github.requests.filter(({ isLimited }) => isLimited)).toEqual([]);
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

const MOST_PASSES = 10;

async function untilNothingIsLeft(site: QueueSite): Promise<QueueReport[]> {
  const reports: QueueReport[] = [];
  while (reports.length < MOST_PASSES && reports.at(-1)?.outcome !== 'nothing-to-do') {
    reports.push(await site.care({ max: 100_000 }));
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
