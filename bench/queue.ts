// Care for the queue of a repository, half of whose runs are stale: what it asks for, how long it takes, what it keeps, and how that grows.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { NO_ALERTS } from '../src/activities/findings.ts';
import { startTemporalServer } from '../src/cli/temporal-server.ts';
import { MAIN_QUEUE } from '../src/domain/names.ts';
import { DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../src/domain/queue/policy.ts';
import type { QueueReport } from '../src/domain/queue/report.ts';
import type { RunnerTarget } from '../src/domain/runner.ts';
import { Secret } from '../src/domain/secret.ts';
import { createGitHub } from '../src/github/github.ts';
import { createPace } from '../src/github/pace.ts';
import { startGitHub, type LoggedRequest, type SandboxGitHub } from '../src/sandbox/github/server.ts';
import { createDirectory } from '../src/worker/directory.ts';
import { runParts } from '../src/worker/run.ts';
import { connectClient } from '../src/worker/temporal-address.ts';
import { actionsOf, measureChain, START, type MeasuredRun } from './history.ts';
import { ofTheHour, sentAndCounted } from './requests.ts';
import type { Series } from './statistics.ts';
import { bundleWorkflows, peakMegabytes, residentMegabytes, startWorker } from './worker.ts';

const PORT = 7_893;
const SIZES = [10, 100, 1_000, 10_000] as const;
const HOUR_MS = 3_600_000;
const WRITES_PER_MINUTE = 60;
/** What is measured is how much is asked for, and not how long the hour's limit makes it wait. */
const BOUNDLESS = 1_000_000;
const LABELS = ['self-hosted', 'bpf-lsm'];

/** Each size once: what is counted is the same every time. */
export async function queueSection(): Promise<readonly Series[]> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const bundle = await bundleWorkflows(folder);
  const server = await startTemporalServer({
    folder,
    namespace: 'default',
    port: PORT,
    env: process.env,
    interrupted: new AbortController().signal,
  });
  const series: Series[] = [];
  for (const size of SIZES) {
    const bench = { address: server.address, folder, bundle, size };
    series.push(...(await caredFor(bench)), ...(await atPace(bench)));
  }
  await server.stop();
  rmSync(folder, { recursive: true });
  return series;
}

interface Bench {
  /** Temporal's. */
  readonly address: string;
  readonly folder: string;
  readonly bundle: string;
  readonly size: number;
}

/** By a worker's process of its own, whose writes keep no pace: the plan, the same plan once more, and what was planned. */
async function caredFor(bench: Bench): Promise<readonly Series[]> {
  const { address, folder, bundle, size } = bench;
  const repository = await aRepository(size, 'at-once');
  const { gitHub, token, target } = repository;
  const worker = await startWorker({ address, folder, bundle, gitHub: { url: gitHub.url, token }, runners: [{ target, id: 1 }] });
  const connection = await connectClient({ address });
  const client = new Client({ connection });
  try {
    const idle = residentMegabytes(worker.pid ?? 0);
    const plan = await pass(client, repository, { dryRun: true });
    const again = await pass(client, repository, { dryRun: true });
    const care = await pass(client, repository, {});
    const acts = care.report.counts.cancelled ?? 0;
    if (care.report.outcome !== 'done' || acts !== size / 2) {
      throw new Error(`${size} runs: ${care.report.outcome}: ${care.report.summary}`);
    }
    const { list, jobs, run, cancel, other } = countOf(care.requests);
    const all = [...care.chain, ...care.following, ...care.own];
    const actions =
      care.own.reduce((sum, { events }) => sum + actionsOf(events, START), 0) +
      [care.chain, care.following]
        .flatMap((each) => each.map(({ events }, index) => actionsOf(events, index === 0 ? 0 : START)))
        .reduce((sum, actions) => sum + actions, 0);
    const of = `${size} runs`;
    return [
      counted(`${of}: plan, lists`, countOf(plan.requests).list),
      counted(`${of}: plan, jobs`, countOf(plan.requests).jobs),
      counted(`${of}: plan, other requests`, plan.requests.length - countOf(plan.requests).list - countOf(plan.requests).jobs),
      { name: `${of}: plan`, unit: 's', values: [plan.tookMs / 1_000] },
      ...sentAndCounted(`${of}: plan`, plan.requests),
      ...sentAndCounted(`${of}: second plan`, again.requests),
      { name: `${of}: second plan`, unit: 's', values: [again.tookMs / 1_000] },
      counted(`${of}: acts, lists`, list),
      counted(`${of}: acts, jobs`, jobs),
      counted(`${of}: acts, runs`, run),
      counted(`${of}: acts, cancels`, cancel),
      counted(`${of}: acts, other requests`, other),
      ...sentAndCounted(`${of}: acts`, care.requests),
      { name: `${of}: requests sent for an act`, unit: 'each', values: [care.requests.length / acts] },
      { name: `${of}: requests of the hour for an act`, unit: 'each', values: [ofTheHour(care.requests) / acts] },
      { name: `${of}: acts without pace`, unit: 's', values: [care.tookMs / 1_000] },
      { name: `${of}: worker before`, unit: 'MB', values: [idle] },
      { name: `${of}: worker after`, unit: 'MB', values: [residentMegabytes(worker.pid ?? 0)] },
      { name: `${of}: worker at most`, unit: 'MB', values: [peakMegabytes(worker.pid ?? 0)] },
      { name: `${of}: plan, history`, unit: 'KB', values: [kilobytes(plan.own)] },
      { name: `${of}: acts, all histories`, unit: 'KB', values: [kilobytes(all)] },
      { name: `${of}: acts, largest history`, unit: 'KB', values: [Math.max(...all.map(({ bytes }) => bytes / 1_024))] },
      counted(`${of}: acts, all events`, sumOf(all.map(({ events }) => events.length))),
      counted(`${of}: acts, events of the largest history`, Math.max(...all.map(({ events }) => events.length))),
      counted(`${of}: acts, runs of carryOutQueuePlan`, care.chain.length),
      counted(`${of}: acts, Temporal actions`, actions),
    ];
  } finally {
    worker.kill('SIGTERM');
    await once(worker, 'exit');
    await connection.close();
    await gitHub.close();
  }
}

/** With the pace of the product, by GitHub's clock: a wait for a turn moves that clock instead of sleeping. */
async function atPace({ address, folder, bundle, size }: Bench): Promise<readonly Series[]> {
  const repository = await aRepository(size, 'at-pace');
  const { gitHub, token, target } = repository;
  const now = (): number => Date.now() + gitHub.clockOffsetMs;
  const pace = createPace({ writesPerMinute: WRITES_PER_MINUTE, now, sleep: async (ms) => gitHub.advance(ms) });
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const working = runParts(
    {
      temporal: { connectionOptions: { address }, namespace: 'default', source: 'the bench', uiUrl: null },
      main: {
        github: createGitHub({ baseUrl: gitHub.url, token: () => new Secret(token), pace }),
        directory: createDirectory({
          runners: [target],
          policy: DEFAULT_RECOVERY_POLICY,
          health: DEFAULT_HEALTH_POLICY,
          queue: DEFAULT_QUEUE_POLICY,
          mode: 'act',
          serverUrl: gitHub.url,
        }),
        alerts: NO_ALERTS,
      },
      runners: () => [target],
      host: null,
      workflowBundle: { codePath: bundle },
      home: folder,
      sealingKeyFile: join(folder, 'sealing.key'),
      ownedRetentionDays: null,
      logLevel: 'ERROR',
      onReady: () => ready.resolve(),
    },
    stop.signal,
  );
  await ready.promise;
  const connection = await connectClient({ address });
  const begunAt = now();
  await pass(new Client({ connection }), repository, {});
  const tookMs = now() - begunAt;
  await connection.close();
  stop.abort();
  await working;
  await gitHub.close();
  return [
    { name: `${size} runs: plan and acts, ${WRITES_PER_MINUTE} writes a minute, by GitHub's clock`, unit: 's', values: [tookMs / 1_000] },
  ];
}

interface Repository {
  readonly gitHub: SandboxGitHub;
  readonly token: string;
  readonly target: RunnerTarget;
}

/** So many queued runs for its only runner, every second one stale; no other rule has anything to ask about them. */
async function aRepository(size: number, name: string): Promise<Repository> {
  const scope = `acme/${name}-${size}`;
  const gitHub = await startGitHub({ repositories: [scope] });
  gitHub.capsTotals = true;
  gitHub.addRunner(scope, { name: 'bench-runner', labels: ['bpf-lsm'], shown: { status: 'online' } });
  for (let number = 0; number < size; number += 1) {
    const ageMs = number % 2 === 0 ? (5 + (90 * number) / size) * HOUR_MS : ((number % 60) / 60) * HOUR_MS;
    gitHub.queueRun(scope, { jobs: [{ labels: LABELS }], event: 'schedule', branch: `b-${number}`, agoMs: ageMs });
  }
  const target: RunnerTarget = {
    scope,
    runner: 'bench-runner',
    labels: ['bpf-lsm'],
    group: null,
    registrationUrl: `${gitHub.url}/${scope}`,
    host: 'bench',
    machine: 'bench-vm',
    directory: '/opt/actions-runner',
    user: 'github-runner',
    neighbours: [],
  };
  return { gitHub, token: gitHub.addToken({ limit: BOUNDLESS }), target };
}

interface Passed {
  readonly report: QueueReport;
  readonly tookMs: number;
  readonly requests: readonly LoggedRequest[];
  /** Histories of the pass itself. */
  readonly own: readonly MeasuredRun[];
  /** Those of its acts. */
  readonly chain: readonly MeasuredRun[];
  /** Those of what follows the last ones to their end. */
  readonly following: readonly MeasuredRun[];
}

async function pass(client: Client, { gitHub, target: { scope } }: Repository, input: object): Promise<Passed> {
  const before = gitHub.requests.length;
  const begun = performance.now();
  const handle = await client.workflow.start<(given: object) => Promise<QueueReport>>('maintainQueue', {
    workflowId: `bench-${scope}-${before}`,
    taskQueue: MAIN_QUEUE,
    args: [{ scope, max: BOUNDLESS, ...input }],
  });
  const report = await handle.result();
  const tookMs = performance.now() - begun;
  const own = await measureChain(client, handle.workflowId, handle.firstExecutionRunId);
  const children = own.flatMap(({ events }) => events).map((event) => event.childWorkflowExecutionStartedEventAttributes);
  const chainOf = async (type: string): Promise<readonly MeasuredRun[]> => {
    const child = children.find((each) => each?.workflowType?.name === type)?.workflowExecution;
    return child == null ? [] : measureChain(client, child.workflowId ?? '', child.runId ?? '');
  };
  const [chain, following] = [await chainOf('carryOutQueuePlan'), await chainOf('followRuns')];
  return { report, tookMs, requests: gitHub.requests.slice(before), own, chain, following };
}

interface Counts {
  readonly list: number;
  readonly jobs: number;
  /** Of single runs, and of those that are cancelled. */
  readonly run: number;
  readonly cancel: number;
  readonly other: number;
}

function countOf(requests: readonly LoggedRequest[]): Counts {
  const counts = { list: 0, jobs: 0, run: 0, cancel: 0, other: 0 };
  for (const { path } of requests) {
    counts[kindOf(path)] += 1;
  }
  return counts;
}

function kindOf(path: string): keyof Counts {
  if (path.includes('/cancel')) return 'cancel';
  if (path.includes('/jobs')) return 'jobs';
  if (/\/actions\/runs\?.*status=queued&.*per_page=100/.test(path)) return 'list';
  return /\/actions\/runs\/\d+$/.test(path) || path.includes('status=cancelled') ? 'run' : 'other';
}

function kilobytes(runs: readonly MeasuredRun[]): number {
  return sumOf(runs.map(({ bytes }) => bytes / 1_024));
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function counted(name: string, value: number): Series {
  return { name, unit: 'count', values: [value] };
}
