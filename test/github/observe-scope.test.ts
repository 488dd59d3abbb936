// A look at a scope against the make-believe GitHub.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { QueueObservation, ScopeObservation } from '../../src/domain/pass.ts';
import type { Reading } from '../../src/domain/reading.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { ClientOptions } from '../../src/github/client.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort, ScopeLook } from '../../src/github/port.ts';
import { createNotesShelf } from '../../src/github/scope-notes.ts';
import { startGitHub, type SandboxGitHub, type TokenOptions } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const ONLINE = { status: 'online', busy: false };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let server: SandboxGitHub;
let github: GitHubPort;

beforeEach(async () => {
  server = await startGitHub({ repositories: ['octo/app'], organizations: ['octo'] });
  github = portOf(server.token);
});
afterEach(() => server.close());

describe('runners', () => {
  test('number 36 of a repository is found among its neighbours, and only configured ones are told', async () => {
    for (let number = 1; number <= 40; number += 1) server.addRunner('octo/app', { name: `Runner-${number}`, shown: ONLINE });
    const { runners } = await look({ runners: ['runner-36', 'RUNNER-2', 'runner-41'] });
    expect(runners).toMatchObject([
      { name: 'Runner-2', status: 'online', busy: false, version: '2.336.0', group: null },
      { name: 'Runner-36', labels: ['self-hosted', 'Linux', 'X64'] },
    ]);
  });

  test('number 136 of an organisation is on the second page', async () => {
    for (let number = 1; number <= 140; number += 1) server.addRunner('octo', { name: `runner-${number}` });
    const { runners } = await look({ runners: ['runner-136'] }, 'octo');
    expect(runners.map(({ name }) => name)).toEqual(['runner-136']);
    expect(asked(/\/actions\/runners\?/)).toHaveLength(2);
  });

  test('that move to a page that was read before, as others are deleted, are asked for by name', async () => {
    for (let number = 1; number <= 101; number += 1) server.addRunner('octo/app', { name: `runner-${number}` });
    const shifting = portOf(server.token, { fetch: justBefore('page=2', () => server.removeRunner('octo/app', 'runner-1')) });
    const { runners } = await look({ runners: ['runner-101', 'runner-102'] }, 'octo/app', shifting);
    expect(runners.map(({ name }) => name)).toEqual(['runner-101']);
  });

  test('that a list lacks are asked for by their last id, and are there if GitHub shows them so', async () => {
    const { id } = server.addRunner('octo/app', { name: 'builder', shown: { ...ONLINE, isUnlisted: true } });
    const seen = await look({ lastId: async () => id });
    expect(seen).toMatchObject({ runners: [{ id, name: 'builder', status: 'online' }], absent: {} });
    expect(asked(/\/actions\/runners[/?](?!downloads|deprecations)/)).toHaveLength(2);
  });

  test('that a list lacks are gone once GitHub knows neither their last id nor their name, while its list answers', async () => {
    const { id } = server.addRunner('octo/app', { name: 'builder' });
    server.removeRunner('octo/app', 'builder');
    expect(await look({ lastId: async () => id })).toMatchObject({ runners: [], absent: { builder: { kind: 'gone', id } } });
    server.misbehave({ from: { path: `/runners/${id}` }, match: { path: /\/actions\/runners$/ }, status: 404, times: 1 });
    expect((await look({ lastId: async () => id })).absent).toMatchObject({ builder: { kind: 'unknown' } });
    server.misbehave({ match: { path: `/runners/${id}` }, status: 502, times: 1 });
    expect((await look({ lastId: async () => id })).absent).toMatchObject({
      builder: { kind: 'unknown', why: expect.stringContaining('502') },
    });
  });

  test('that a list lacks and that were never seen are not proven to be gone', async () => {
    server.addRunner('octo/app', { name: 'builder', shown: { isUnlisted: true } });
    expect(await look()).toMatchObject({ runners: [], absent: { builder: { kind: 'unlisted' } } });
  });

  test('that were registered anew while a list lags are found by their name', async () => {
    const { id } = server.addRunner('octo/app', { name: 'builder' });
    server.removeRunner('octo/app', 'builder');
    const lagging = portOf(server.token, {
      fetch: justBefore('name=builder', () => void server.addRunner('octo/app', { name: 'builder', shown: ONLINE })),
    });
    expect(await look({ lastId: async () => id }, 'octo/app', lagging)).toMatchObject({ runners: [{ name: 'builder' }], absent: {} });
  });

  test('that a list lacks by the hundred are asked for in a bounded number, and the others are unknown', async () => {
    const names = Array.from({ length: 30 }, (_, number) => `builder-${number}`);
    const { absent = {} } = await look({ runners: names });
    expect(Map.groupBy(Object.values(absent), ({ kind }) => kind)).toMatchObject(
      new Map([
        ['unlisted', { length: 20 }],
        ['unknown', { length: 10 }],
      ]),
    );
    expect(asked(/name=builder/)).toHaveLength(20);
  });

  test('of an organisation have their groups, where somebody asks', async () => {
    server.addRunner('octo', { name: 'plain' });
    server.addRunner('octo', { name: 'special', group: 'builders' });
    const wanted = { runners: ['plain', 'special'] };
    expect((await look({ ...wanted, readsGroups: true }, 'octo')).runners.map(({ group }) => group)).toEqual(['Default', 'builders']);
    expect(asked(/runner-groups/)).toHaveLength(1);
    expect((await look(wanted, 'octo')).runners.map(({ group }) => group)).toEqual([null, null]);
    expect(asked(/runner-groups/)).toHaveLength(1);
  });

  test.each([
    ['GitHub fails', { status: 502 }, 'unavailable', 'GitHub failed at GET /repos/octo/app/actions/runners (502)'],
    ['the token lacks the permission', { status: 403 }, 'rejected', 'give it "Administration: read" for octo/app'],
  ] as const)('that cannot be listed since %s end the look', async (_, { status }, kind, message) => {
    server.misbehave({ match: { path: /\/actions\/runners$/ }, status });
    const failure = await failureOf(look());
    expect(failure.kind).toBe(kind);
    expect(failure.message).toContain(message);
    expect(server.requests).toHaveLength(1);
  });
});

describe('jobs that wait', () => {
  beforeEach(() => {
    server.addRunner('octo/app', { name: 'builder', labels: ['bpf'], shown: ONLINE });
  });

  test('are counted by their labels, oldest first, and those of hosted runners are not', async () => {
    server.queueRun('octo/app', { jobs: [{ labels: ['ubuntu-latest'] }], agoMs: 9 * MINUTE_MS });
    const oldest = server.queueRun('octo/app', { jobs: [{ labels: ['self-hosted', 'BPF'] }], agoMs: 7 * MINUTE_MS });
    server.queueRun('octo/app', { jobs: [{ labels: ['x64', 'bpf'] }], agoMs: 8 * MINUTE_MS });
    server.queueRun('octo/app', { jobs: [{ labels: ['bpf', 'self-hosted'] }, { labels: ['bpf', 'self-hosted'] }] });
    const { observedAt, queue } = await look();
    const { queued, inProgress, waiting, runsNotRead } = valueOf(queue);
    expect({ queued, inProgress, runsNotRead }).toEqual({ queued: 4, inProgress: 0, runsNotRead: 0 });
    expect(waiting).toMatchObject([
      { labels: ['x64', 'bpf'], count: 1, isServable: true },
      { labels: ['self-hosted', 'BPF'], count: 3, isServable: true, runId: oldest },
    ]);
    expect(waiting.map(({ oldestAt }) => Math.round((observedAt - oldestAt) / MINUTE_MS))).toEqual([8, 7]);
  });

  test('are seen if a runner that lacks the labels by now has them by configuration', async () => {
    server.queueRun('octo/app', { jobs: [{ labels: ['gpu'] }, { labels: ['x64', 'kvm'] }] });
    const customLabels = [['gpu', 'cuda'], []];
    expect(valueOf((await look({ customLabels })).queue).waiting).toMatchObject([{ labels: ['gpu'], isServable: true }]);
    expect(valueOf((await look()).queue).waiting).toEqual([]);
  });

  test('inside a run that has started are seen, and its other jobs are not', async () => {
    const run = server.queueRun('octo/app', {
      jobs: [
        { state: 'completed', labels: ['ubuntu-latest'] },
        { state: 'in_progress', labels: ['self-hosted'] },
        { labels: ['self-hosted', 'bpf'] },
      ],
    });
    server.showRun(run, { status: 'in_progress' });
    const { queued, inProgress, waiting } = valueOf((await look()).queue);
    expect({ queued, inProgress }).toEqual({ queued: 0, inProgress: 1 });
    expect(waiting).toMatchObject([{ labels: ['self-hosted', 'bpf'], count: 1, runId: run }]);
  });

  test('and those that run are told for the configured runners, without a request more', async () => {
    server.addRunner('octo/app', { name: 'other', shown: ONLINE });
    const run = server.queueRun('octo/app', {
      jobs: [
        { name: 'kernel 6.6', state: 'in_progress', runner: 'builder' },
        { name: 'kernel 6.1', state: 'in_progress', runner: 'other' },
        { name: 'docs', state: 'in_progress', runner: 'GitHub Actions 12' },
        { name: 'bpf', labels: ['bpf'] },
      ],
    });
    const { observedAt, queue } = await look({ runners: ['BUILDER'] });
    const [job, ...others] = valueOf(queue).running;
    expect(job).toMatchObject({
      runner: 'builder',
      name: 'kernel 6.6',
      run,
      url: expect.stringContaining(`/octo/app/actions/runs/${run}/job/`),
    });
    expect(Math.abs((job?.startedAt ?? 0) - observedAt)).toBeLessThan(MINUTE_MS);
    expect(others).toEqual([]);
    expect(asked(/\/jobs\?/)).toHaveLength(1);
  });

  test('for labels that no runner has, such as a typo, are told as unservable; offline runners may come', async () => {
    server.addRunner('octo/app', { name: 'sleeper', labels: ['gpu'] });
    for (const label of ['bfp', 'gpu']) server.queueRun('octo/app', { jobs: [{ labels: ['self-hosted', label] }] });
    server.queueRun('octo/app', { jobs: [{ labels: [] }, { labels: ['ubuntu-lates'] }] });
    const { waiting } = valueOf((await look()).queue);
    expect(waiting.map(({ labels, isServable }) => [labels[1], isServable])).toEqual([
      ['bfp', false],
      ['gpu', true],
    ]);
  });

  test('are told in twenty groups at most', async () => {
    server.queueRun('octo/app', { jobs: Array.from({ length: 150 }, (_, number) => ({ labels: ['self-hosted', `l${number % 25}`] })) });
    const { waiting } = valueOf((await look()).queue);
    expect(waiting).toHaveLength(20);
    expect(waiting.every(({ count }) => count === 6)).toBe(true);
    expect(asked(/\/jobs\?/)).toHaveLength(2);
  });

  test('are not in runs that a list calls queued though they have ended, are gone or are in the other list too', async () => {
    const ended = server.queueRun('octo/app', { jobs: [{ state: 'completed' }] });
    server.showRun(ended, { status: 'queued' });
    const endedInProgress = server.queueRun('octo/app', { jobs: [{ state: 'completed' }] });
    server.showRun(endedInProgress, { status: 'in_progress' });
    const gone = server.queueRun('octo/app', { jobs: [{}] });
    server.misbehave({ match: { path: `/runs/${gone}/jobs` }, status: 404 });
    const starting = server.queueRun('octo/app', { jobs: [{}] });
    const start = (): void => server.showRun(starting, { status: 'in_progress' });
    const moving = portOf(server.token, { fetch: justBefore('status=in_progress', start) });
    const { queued, inProgress, waiting, runsNotRead } = valueOf((await look({}, 'octo/app', moving)).queue);
    expect({ queued, inProgress, runsNotRead }).toEqual({ queued: 0, inProgress: 1, runsNotRead: 0 });
    expect(waiting).toMatchObject([{ count: 1, runId: starting }]);
  });

  test('are read in the oldest runs of both lists', async () => {
    const runs = Array.from({ length: 223 }, (_, number) => server.queueRun('octo/app', { jobs: [{}], agoMs: (999 - number) * MINUTE_MS }));
    for (const run of runs.slice(0, 20)) server.showRun(run, { status: 'in_progress' });
    const { queued, inProgress, waiting, runsNotRead } = valueOf((await look({ runsRead: 10 })).queue);
    expect({ queued, inProgress, runsNotRead }).toEqual({ queued: 203, inProgress: 20, runsNotRead: 213 });
    expect(waiting).toMatchObject([{ count: 10, runId: runs[0] }]);
    const read = asked(/\/jobs\?/).map(({ path }) => Number(/runs\/(\d+)/.exec(path)?.[1]));
    expect(new Set(read)).toEqual(new Set([...runs.slice(0, 5), ...runs.slice(20, 25)]));
  });

  test('are not those of runs that queue care has set aside, which count as no queue', async () => {
    const zombies = [9, 8].map((hours) => server.queueRun('octo/app', { jobs: [{}], agoMs: hours * 60 * MINUTE_MS }));
    const real = server.queueRun('octo/app', { jobs: [{}] });
    const { queued, waiting, runsNotRead } = valueOf((await look({ runsRead: 1, setAside: zombies })).queue);
    expect({ queued, runsNotRead }).toEqual({ queued: 1, runsNotRead: 0 });
    expect(waiting).toMatchObject([{ count: 1, runId: real }]);
  });

  test('beyond the thousand that GitHub lists are counted all the same', async () => {
    server.setRuns('octo/app', { queued: 1200 });
    expect(valueOf((await look({ runsRead: 3 })).queue)).toMatchObject({ queued: 1200, runsNotRead: 1197 });
    expect(asked(/\/runs\?/).map(({ path }) => /&page=(\d+)$/.exec(path)?.[1])).toEqual([undefined, '10', undefined]);
  });

  test('are not known where the list of runs fails, and the rest of the look is', async () => {
    server.misbehave({ match: { path: '/actions/runs' }, status: 502 });
    const { runners, queue, versions } = await look();
    expect(queue).toEqual({ known: false, why: 'GitHub failed at GET /repos/octo/app/actions/runs (502)' });
    expect(runners).toHaveLength(1);
    expect(versions.known).toBe(true);
  });

  test('are not known without the permission, and its name is told', async () => {
    const { queue } = await look({}, 'octo/app', portOf(server.addToken({ permissions: { administration: 'read' } })));
    expect(queue).toEqual({
      known: false,
      why: 'GitHub refused GET /repos/octo/app/actions/runs (403): the token lacks permission actions=read; give it "Actions: read" for octo/app',
    });
  });

  test('are read on where GitHub fails at a run or two, and not on a bad day', async () => {
    const runs = Array.from({ length: 4 }, () => server.queueRun('octo/app', { jobs: [{}] }));
    const fail = (run?: number) => server.misbehave({ match: { path: `/runs/${run}/jobs` }, status: 500 });
    fail(runs[0]);
    fail(runs[1]);
    expect(valueOf((await look()).queue)).toMatchObject({ queued: 4, waiting: [{ count: 2 }], runsNotRead: 2 });
    fail(runs[2]);
    expect((await look()).queue).toMatchObject({ known: false, why: expect.stringContaining('(500') });
  });

  test('are not waited for again where GitHub gave no answer', async () => {
    for (let number = 1; number <= 3; number += 1) server.queueRun('octo/app', { jobs: [{}] });
    server.misbehave({ match: { path: '/jobs' }, delayMs: 5000 });
    const { queue } = await look({}, 'octo/app', portOf(server.token, { timeoutMs: 300 }));
    expect(queue).toMatchObject({ known: false, why: expect.stringContaining('no answer within 0.3 s') });
    await expect.poll(() => asked(/\/jobs\?/)).toHaveLength(1);
  });

  test('are read no longer than half a minute, where GitHub is slow', async () => {
    for (let number = 1; number <= 5; number += 1) server.queueRun('octo/app', { jobs: [{}] });
    vi.useFakeTimers({ toFake: ['performance'] });
    const slow = portOf(server.token, { fetch: justBefore('/jobs', () => vi.advanceTimersByTime(12_000)) });
    const { queue } = await look({}, 'octo/app', slow);
    vi.useRealTimers();
    expect(valueOf(queue)).toMatchObject({ waiting: [{ count: 3 }], runsNotRead: 2 });
  });

  test('are none of an organisation', async () => {
    expect((await look({}, 'octo')).queue).toEqual({ known: true, value: null });
    expect(asked(/\/runs/)).toHaveLength(0);
  });
});

describe('a queue that is longer than one look', () => {
  const wanted = { runsRead: 10 };
  let runs: number[];
  beforeEach(() => {
    server.addRunner('octo/app', { name: 'builder', labels: ['bpf'], shown: ONLINE });
    runs = Array.from({ length: 25 }, (_, number) => server.queueRun('octo/app', { jobs: [{}], agoMs: (99 - number) * MINUTE_MS }));
  });

  test('is read on by the next look, oldest first, until all is read', async () => {
    const looks: [number, number | undefined, number][] = [];
    for (let number = 1; number <= 4; number += 1) {
      const before = server.requests.length;
      const { waiting, runsNotRead } = valueOf((await look(wanted)).queue);
      looks.push([runsNotRead, waiting[0]?.count, jobsRead(before).filter((run) => run !== runs[0]).length]);
    }
    expect(looks).toEqual([
      [15, 10, 9],
      [5, 20, 10],
      [0, 25, 5],
      [0, 25, 0],
    ]);
  });

  test('is read so also by another process of the same data folder, and not by another token, API or scope', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'runward-look-'));
    const [one, other] = [server.token, server.addToken()].map((token) =>
      createGitHub({ baseUrl: server.url, token: () => new Secret(token), notes: createNotesShelf(folder) }),
    );
    const again = createGitHub({ baseUrl: server.url, token: () => new Secret(server.token), notes: createNotesShelf(folder) });
    expect(valueOf((await look(wanted, 'octo/app', one)).queue).runsNotRead).toBe(15);
    expect(valueOf((await look(wanted, 'octo/app', again)).queue).runsNotRead).toBe(5);
    expect(valueOf((await look(wanted, 'octo/app', other)).queue).runsNotRead).toBe(15);
    const [file = '', ...others] = readdirSync(folder);
    expect(others).toHaveLength(1);
    expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, file), 'utf8')).not.toContain(server.token);
    rmSync(folder, { recursive: true });
  });

  test('is read anew where a run has changed or is re-run, and where a check decides by it', async () => {
    await look({ runsRead: 30 });
    server.startJob(server.run(runs[3] as number).jobs[0]?.id as number);
    const before = server.requests.length;
    const { waiting } = valueOf((await look({ runsRead: 30 })).queue);
    expect(waiting).toMatchObject([{ count: 24, runId: runs[0] }]);
    expect(new Set(jobsRead(before))).toEqual(new Set([runs[0], runs[3]]));
  });

  test('leaves the hour to health checks: a backlog is not read from the last fifth of it', async () => {
    for (let number = 1; number <= 60; number += 1) server.queueRun('octo/app', { jobs: [{}] });
    const port = portOf(server.addToken({ limit: 50 }));
    const { runsNotRead } = valueOf((await look({ runsRead: 80 }, 'octo/app', port)).queue);
    expect(85 - runsNotRead).toBeGreaterThanOrEqual(30);
    expect(85 - runsNotRead).toBeLessThan(40);
  });

  function jobsRead(from: number): readonly number[] {
    return server.requests.slice(from).flatMap(({ path }) => (path.includes('/jobs?') ? [Number(/runs\/(\d+)/.exec(path)?.[1])] : []));
  }
});

describe('a look for people', () => {
  const HOURS = 60 * MINUTE_MS;
  const forPeople = { staleAfterMs: 4 * HOURS };

  test('at a thousand queued runs sends five requests at most from the second on, with what was read before', async () => {
    for (let number = 0; number < 1_000; number += 1) server.queueRun('octo/app', { jobs: [{}], agoMs: number * MINUTE_MS });
    const first = await look({ forPeople });
    expect(first.requests.sent).toBeLessThanOrEqual(37);
    const second = await look({ forPeople });
    expect(second.requests.sent).toBeLessThanOrEqual(5);
    expect(valueOf(second.queue)).toMatchObject({ queued: 1_000, stale: 760, runsNotRead: 970, waiting: [{ count: 30 }] });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + MINUTE_MS });
    expect(valueOf((await look({ forPeople })).queue)).toMatchObject({ runsNotRead: 940, waiting: [{ count: 60 }] });
    vi.useRealTimers();
  });

  test('takes up what health checks have read, also of pages that it does not read', async () => {
    for (let number = 0; number < 330; number += 1) server.queueRun('octo/app', { jobs: [{}], agoMs: number * MINUTE_MS });
    for (let pass = 1; pass <= 2; pass += 1) await look({ runsRead: 200 });
    const { queue, requests } = await look({ forPeople });
    expect(requests.sent).toBeLessThanOrEqual(5);
    expect(valueOf(queue)).toMatchObject({ queued: 330, stale: 90, runsNotRead: 0, waiting: [{ count: 330 }] });
  });

  test('counts as stale what has waited for too long in its current attempt, by one request at most', async () => {
    for (let number = 0; number < 240; number += 1) server.queueRun('octo/app', { jobs: [{}], agoMs: 2 * number * MINUTE_MS });
    const [rerun, aside] = [{ startedAgoMs: MINUTE_MS, attempt: 2 }, {}].map((more) =>
      server.queueRun('octo/app', { jobs: [{}], agoMs: 30 * HOURS, ...more }),
    );
    const { stale, queued } = valueOf((await look({ forPeople, setAside: Promise.resolve([aside as number]) })).queue);
    expect({ stale, queued }).toEqual({ stale: 120, queued: 241 });
    expect(asked(/created=/)).toHaveLength(1);
    server.completeRun(rerun as number, 'success');
    expect(valueOf((await look({ forPeople, setAside: [aside as number] })).queue)).toMatchObject({ stale: 120, queued: 240 });
  });

  test('counts them without a request where one page lists the queue', async () => {
    for (const agoMs of [5, 4.5, 3]) server.queueRun('octo/app', { jobs: [{}], agoMs: agoMs * HOURS });
    expect(valueOf((await look({ forPeople })).queue)).toMatchObject({ stale: 2 });
    expect(asked(/\/runs\?/)).toHaveLength(2);
  });
});

describe('versions', () => {
  test('are the newest, and when those that run here are given up', async () => {
    server.addRunner('octo/app', { name: 'builder', shown: ONLINE });
    server.addRunner('octo/app', { name: 'other', shown: ONLINE, version: '2.330.0' });
    server.addRunner('octo/app', { name: 'stranger', shown: ONLINE, version: '2.329.0' });
    server.retireRunnerVersion('2.336.0', { runsUntil: Date.parse('2026-12-24T00:00:00Z') });
    server.retireRunnerVersion('2.330.0', { runsUntil: 0, registersUntil: 1000 });
    const { versions } = await look({ runners: ['builder', 'other'] });
    expect(versions).toEqual({
      known: true,
      value: {
        latest: '2.337.0',
        retirements: [
          { version: '2.336.0', runsUntil: Date.parse('2026-12-24T00:00:00Z'), registersUntil: null },
          { version: '2.330.0', runsUntil: 0, registersUntil: 1000 },
        ],
      },
    });
  });

  test.each([403, 404])('have no date where GitHub answers %i', async (status) => {
    server.addRunner('octo/app', { name: 'builder', shown: ONLINE });
    server.misbehave({ match: { path: '/deprecations/' }, status });
    expect((await look()).versions).toEqual({ known: true, value: { latest: '2.337.0', retirements: [] } });
  });

  test.each(['/downloads', '/deprecations/'])('are not known where GitHub fails at %s', async (path) => {
    server.addRunner('octo/app', { name: 'builder', shown: ONLINE });
    server.misbehave({ match: { path }, status: 502 });
    const { versions, queue } = await look();
    expect(versions).toMatchObject({ known: false, why: expect.stringContaining(`${path}`) });
    expect(queue.known).toBe(true);
  });
});

describe('requests', () => {
  test('of an idle pass are three, and from the second pass on none costs anything; versions are asked for once in hours', async () => {
    server.addRunner('octo/app', { name: 'builder', shown: ONLINE });
    const first = await look();
    expect(first.requests).toEqual({ sent: 5, unchanged: 0 });
    const second = await look();
    expect(second).toEqual({ ...first, observedAt: second.observedAt, requests: { sent: 3, unchanged: 3 } });
    expect(server.requests.slice(5).map(({ status }) => status)).toEqual([304, 304, 304]);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5 * 60 * MINUTE_MS });
    expect(await look()).toMatchObject({ versions: first.versions, requests: { sent: 5, unchanged: 5 } });
    vi.useRealTimers();
  });

  test('of all pages are conditional, and jobs of runs that have not changed are not asked for again, but for the one that waits longest', async () => {
    for (let number = 1; number <= 101; number += 1) server.addRunner('octo/app', { name: `runner-${number}`, shown: ONLINE });
    for (let number = 1; number <= 30; number += 1) server.queueRun('octo/app', { jobs: [{}] });
    const wanted = { runners: ['runner-101'] };
    expect((await look(wanted)).requests).toEqual({ sent: 36, unchanged: 0 });
    expect((await look(wanted)).requests).toEqual({ sent: 5, unchanged: 5 });
    server.showRunner('octo/app', 'runner-101', { status: 'offline' });
    const third = await look(wanted);
    expect(third.runners).toMatchObject([{ status: 'offline' }]);
    expect(third.requests).toEqual({ sent: 5, unchanged: 4 });
  });

  test('carry a time of GitHub that goes on, also when nothing has changed', async () => {
    const before = (await look()).observedAt;
    server.clockOffsetMs = 5 * MINUTE_MS;
    const after = await look();
    expect(after.requests.unchanged).toBe(after.requests.sent);
    expect(after.observedAt - before).toBeGreaterThan(4.9 * MINUTE_MS);
  });

  test("begin anew with an App's next token, and are free again from the one after", async () => {
    server.addRunner('octo/app', { name: 'builder', shown: ONLINE });
    let token = server.addToken();
    const port = createGitHub({ baseUrl: server.url, token: () => new Secret(token), account: 'app 1' });
    await look({}, 'octo/app', port);
    token = server.addToken();
    const counts = [await look({}, 'octo/app', port), await look({}, 'octo/app', port)].map(({ requests }) => requests.unchanged);
    expect(counts).toEqual([0, 3]);
  });

  test('that lack a permission do not make an App log in again and again', async () => {
    const renewals: boolean[] = [];
    const weak: TokenOptions = { permissions: { administration: 'read' } };
    let token = server.addToken(weak);
    const port = createGitHub({
      baseUrl: server.url,
      token({ renew }) {
        renewals.push(renew);
        if (renew) token = server.addToken(weak);
        return new Secret(token);
      },
    });
    for (let pass = 1; pass <= 4; pass += 1) await look({}, 'octo/app', port);
    expect(renewals).not.toContain(true);
  });

  test('meet a limit together: the look ends, and says until when', async () => {
    server.misbehave({ match: { path: '/actions/runs' }, fault: { kind: 'secondary-limit', lastsMs: 90_000, namesEnd: true } });
    const failure = await failureOf(look());
    expect(failure.kind).toBe('limited');
    expect((failure.retryAt ?? 0) - Date.now()).toBeGreaterThan(80_000);
    expect(asked(/downloads/)).toHaveLength(0);
  });

  test('that are answered late are waited for, and one without an answer is a part that is not known', async () => {
    server.misbehave({ match: { path: '/downloads' }, delayMs: 100, times: 1 });
    server.misbehave({ match: { path: '/actions/runs' }, delayMs: 5000 });
    const { queue, versions } = await look({}, 'octo/app', portOf(server.token, { timeoutMs: 400 }));
    expect(queue).toEqual({ known: false, why: 'GitHub could not be asked for GET /repos/octo/app/actions/runs: no answer within 0.4 s' });
    expect(versions.known).toBe(true);
  });

  test('stop where the caller leaves', async () => {
    const leaving = new AbortController();
    server.misbehave({ match: { path: '/actions/runs' }, delayMs: 5000 });
    setTimeout(() => leaving.abort(new Error('cancelled')), 50);
    await expect(github.observeScope('octo/app', wantedOf({}), leaving.signal)).rejects.toThrow('cancelled');
  });
});

describe("the token's end", () => {
  test('is told where GitHub tells it, also when nothing else has changed', async () => {
    const port = portOf(server.addToken({ lifetimeMs: 5 * DAY_MS }));
    for (const _ of ['first', 'second']) {
      const { tokenExpiresAt } = await look({}, 'octo/app', port);
      expect(Math.abs((tokenExpiresAt ?? 0) - Date.now() - 5 * DAY_MS)).toBeLessThan(5000);
    }
    expect((await look()).tokenExpiresAt).toBeNull();
  });

  test('is none of a token that is renewed by itself', async () => {
    const token = server.addToken({ lifetimeMs: 60 * MINUTE_MS });
    expect((await look({}, 'octo/app', portOf(token, { account: 'app 1' }))).tokenExpiresAt).toBeNull();
  });
});

function look(wanted: Partial<ScopeLook> = {}, scope = 'octo/app', port = github): Promise<ScopeObservation> {
  return port.observeScope(scope, wantedOf(wanted), new AbortController().signal);
}

function wantedOf(wanted: Partial<ScopeLook>): ScopeLook {
  return { runners: ['builder'], readsGroups: false, runsRead: 30, setAside: [], ...wanted };
}

function portOf(token: string, options: Partial<ClientOptions> = {}): GitHubPort {
  return createGitHub({ baseUrl: server.url, token: () => new Secret(token), ...options });
}

/** Something happens at GitHub just before a request whose address has this text. */
function justBefore(text: string, happen: () => void): typeof globalThis.fetch {
  return (input, init) => {
    if ((input instanceof Request ? input.url : String(input)).includes(text)) happen();
    return fetch(input, init);
  };
}

function asked(path: RegExp): SandboxGitHub['requests'] {
  return server.requests.filter((request) => path.test(request.path));
}

function valueOf(queue: Reading<QueueObservation | null>): QueueObservation {
  if (!queue.known || queue.value === null) throw new Error(`the queue is not known: ${JSON.stringify(queue)}`);
  return queue.value;
}
