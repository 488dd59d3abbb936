// Passes of the health check over healthy, idle runners: what they ask for, what they cost, and how that grows.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { startTemporalServer } from '../src/cli/temporal-server.ts';
import type { HealthReport } from '../src/domain/health-report.ts';
import { healthScheduleId } from '../src/domain/names.ts';
import { startGitHub } from '../src/sandbox/github/server.ts';
import { applySchedule, readSchedule } from '../src/worker/schedules.ts';
import { connectClient } from '../src/worker/temporal-address.ts';
import { actionsOf, SCHEDULED_START, type HistoryEvent } from './history.ts';
import { TemporalProxy } from '../test/kit/temporal-proxy.ts';
import { ofTheHour } from './requests.ts';
import type { Series } from './statistics.ts';
import { bundleWorkflows, residentMegabytes, startWorker } from './worker.ts';
import type { WorkerOrder } from './worker-program.ts';

const SCOPE = 'acme/kernel';
const PORT = 7_873;
const SIZES = [1, 10, 100, 1_000] as const;
const NEVER_MS = 24 * 3_600_000;
/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html; 100 ticks a second on every Linux that Node runs on. */
const TICK_MS = 10;

export async function passSection(runs: number): Promise<readonly Series[]> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const bundle = await bundleWorkflows(folder);
  const series: Series[] = [];
  for (const size of SIZES) {
    series.push(...(await passesOver(size, runs, join(folder, String(size)), bundle)));
  }
  rmSync(folder, { recursive: true });
  return series;
}

async function passesOver(size: number, runs: number, folder: string, bundle: string): Promise<readonly Series[]> {
  const server = await startTemporalServer({
    folder,
    namespace: 'default',
    port: PORT,
    env: process.env,
    interrupted: new AbortController().signal,
  });
  const gitHub = await startGitHub({ repositories: [SCOPE] });
  const runners = Array.from({ length: size }, (_, index) => addRunner(gitHub, `bench-${index}`));
  // Counts what the worker sends.
  const proxy = await TemporalProxy.start(server.address);
  const order: WorkerOrder = { address: proxy.address, folder, bundle, gitHub: { url: gitHub.url, token: gitHub.token }, runners };
  const worker = await startWorker(order);
  const connection = await connectClient({ address: server.address });
  const client = new Client({ connection });
  await applySchedule(client, SCOPE, { everyMs: NEVER_MS });
  const seen = { ms: [] as number[], cpu: [] as number[], ofTheHour: [] as number[], sent: [] as number[], actions: [] as number[] };
  const events: number[] = [];
  const kilobytes: number[] = [];
  // The first one warms up: it fills the store of GitHub's answers.
  for (let run = 0; run <= runs; run += 1) {
    const cpuBefore = cpuMs(worker.pid ?? 0);
    await proxy.cutAt(null);
    const asked = gitHub.requests.length;
    const { report, tookMs, history, historyBytes } = await pass(client);
    const requests = gitHub.requests.slice(asked);
    const heartbeats = proxy.calls.filter((method) => method === 'RecordActivityTaskHeartbeat').length;
    if (report.outcome !== 'healthy') {
      throw new Error(`${size} runners, pass ${run}: ${report.outcome}: ${JSON.stringify(report.findings.slice(0, 3))}`);
    }
    if (run > 0) {
      seen.ms.push(tookMs);
      seen.cpu.push(cpuMs(worker.pid ?? 0) - cpuBefore);
      seen.sent.push(requests.length);
      seen.ofTheHour.push(ofTheHour(requests));
      seen.actions.push(actionsOf(history, SCHEDULED_START) + heartbeats);
      events.push(history.length);
      kilobytes.push(historyBytes / 1_024);
    }
  }
  const megabytes = residentMegabytes(worker.pid ?? 0);
  worker.kill('SIGTERM');
  await once(worker, 'exit');
  await connection.close();
  await gitHub.close();
  proxy.cut();
  await server.stop();
  const of = `a pass over ${size} runner${size === 1 ? '' : 's'}`;
  return [
    { name: `${of}: from trigger to result`, unit: 'ms', values: seen.ms },
    { name: `${of}: the worker's CPU`, unit: 'ms', values: seen.cpu },
    { name: `${of}: requests sent to GitHub`, unit: 'count', values: seen.sent },
    { name: `${of}: requests of the hour`, unit: 'count', values: seen.ofTheHour },
    { name: `${of}: Temporal actions with heartbeats`, unit: 'count', values: seen.actions },
    { name: `${of}: events`, unit: 'count', values: events },
    { name: `${of}: history`, unit: 'KB', values: kilobytes },
    { name: `${of}: the worker's memory after them`, unit: 'MB', values: [megabytes] },
  ];
}

type SandboxGitHub = Awaited<ReturnType<typeof startGitHub>>;

function addRunner(gitHub: SandboxGitHub, runner: string): WorkerOrder['runners'][number] {
  const { id } = gitHub.addRunner(SCOPE, { name: runner, labels: ['bpf-lsm'], shown: { status: 'online' } });
  return {
    id,
    target: {
      scope: SCOPE,
      runner,
      labels: ['bpf-lsm'],
      group: null,
      registrationUrl: `${gitHub.url}/${SCOPE}`,
      host: 'bench',
      machine: `vm-${runner}`,
      directory: '/opt/actions-runner',
      user: 'github-runner',
      neighbours: [],
    },
  };
}

interface Passed {
  readonly report: HealthReport;
  readonly tookMs: number;
  readonly history: readonly HistoryEvent[];
  readonly historyBytes: number;
}

async function pass(client: Client): Promise<Passed> {
  const before = (await readSchedule(client, SCOPE))?.lastPass?.runId;
  const begun = performance.now();
  await client.schedule.getHandle(healthScheduleId(SCOPE)).trigger('SKIP');
  for (;;) {
    const last = (await readSchedule(client, SCOPE))?.lastPass;
    if (last !== null && last !== undefined && last.runId !== before) {
      const handle = client.workflow.getHandle(last.workflowId, last.runId);
      const report = (await handle.result()) as HealthReport;
      const tookMs = performance.now() - begun;
      const { historySize = 0 } = await handle.describe();
      return { report, tookMs, history: (await handle.fetchHistory()).events ?? [], historyBytes: historySize };
    }
  }
}

/** User and system time of a process so far. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
