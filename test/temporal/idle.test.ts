// What an idle five minutes of one repository cost, counted against what docs/performance.md says.

import { readFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { actionsOf, SCHEDULED_START } from '../../bench/history.ts';
import type { Care } from '../../src/worker/schedules.ts';
import { startLimitedCrew, startWorld, type Crew, type World } from '../kit/recovery-world.ts';
import { startedBySchedule } from '../kit/scheduled-pass.ts';
import { TemporalProxy } from '../kit/temporal-proxy.ts';
import { COUNTED_NAMESPACE } from '../kit/temporal-setup.ts';

const DOCUMENT = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8');

interface Costs {
  readonly requests: number;
  readonly unchanged: number;
  /** With heartbeats. */
  readonly actions: number;
  readonly events: number;
}

/** Scheduled, started, completed: activities that end together share one. */
const EVENTS_OF_A_WORKFLOW_TASK = 3;

let proxy: TemporalProxy;
let crew: Crew;
let world: World;
let client: Client;
const costs: Partial<Record<Care, Costs>> = {};

beforeAll(async () => {
  proxy = await TemporalProxy.start(inject('temporalAddress'));
  world = await startWorld();
  crew = await startLimitedCrew(COUNTED_NAMESPACE, { address: proxy.address });
  ({ client } = crew);
  const now = performance.now.bind(performance);
  let passedMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passedMs);
  // The first ones fill the store of GitHub's answers.
  for (const care of ['health', 'queue', 'health', 'queue'] as const) {
    passedMs += care === 'health' ? 300_000 : 45_000;
    costs[care] = await pass(care);
  }
  vi.restoreAllMocks();
});

afterAll(async () => {
  await crew.stop();
  await world.close();
  await proxy[Symbol.asyncDispose]();
});

test.each([
  ['health', 'the health check'],
  ['queue', 'the queue pass after it'],
] as const)('a %s pass costs what the document says', (care, name) => {
  expectDocumented(costs[care], documented(name));
});

test('both cost what the document says', () => {
  const { health, queue } = costs as Record<Care, Costs>;
  expectDocumented(
    {
      requests: health.requests + queue.requests,
      unchanged: health.unchanged + queue.unchanged,
      actions: health.actions + queue.actions,
      events: health.events + queue.events,
    },
    documented('both'),
  );
});

test('what the document says of a check over one runner is the same', () => {
  const [, , , , requests = '', actions, events] = rowOf('1').split('|');
  const { health } = costs as Record<Care, Costs>;
  expect(requests.trim()).toBe(`${health.requests}, 0`);
  expectDocumented(health, { ...health, actions: Number(actions), events: Number(events) });
});

function expectDocumented(measured: Costs | undefined, { events, ...rest }: Costs): void {
  expect(measured).toMatchObject(rest);
  const fewer = events - (measured?.events ?? 0);
  expect([0, 1, 2].map((shared) => shared * EVENTS_OF_A_WORKFLOW_TASK)).toContain(fewer);
}

async function pass(care: Care): Promise<Costs> {
  const { scope } = world.target;
  await proxy.cutAt(null);
  const before = world.github.requests.length;
  const handle = await startedBySchedule(client, scope, care);
  await handle.result();
  const requests = world.github.requests.slice(before).filter(({ path }) => path.startsWith(`/repos/${scope}/`) || path === '/graphql');
  const { events = [] } = await handle.fetchHistory();
  const heartbeats = proxy.calls.filter((method) => method === 'RecordActivityTaskHeartbeat').length;
  return {
    requests: requests.length,
    unchanged: requests.filter(({ status }) => status === 304).length,
    actions: actionsOf(events ?? [], SCHEDULED_START) + heartbeats,
    events: (events ?? []).length,
  };
}

/** By the table of an idle five minutes. */
function documented(name: string): Costs {
  const [requests = NaN, actions = NaN, events = NaN] = rowOf(name).split('|').slice(2).map(Number);
  return { requests, unchanged: requests, actions, events };
}

function rowOf(name: string): string {
  return DOCUMENT.split('\n').find((line) => line.startsWith(`| ${name} `)) ?? '';
}
