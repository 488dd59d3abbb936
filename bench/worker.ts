// Start and memory of the worker: as it bundles the workflows of a new version, as it finds the kept bundle, and with a prebuilt one.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { startTemporalServer } from '../src/cli/temporal-server.ts';
import { BUNDLE_FOLDER } from '../src/worker/workflow-bundle.ts';
import type { Series } from './statistics.ts';
import type { WorkerOrder } from './worker-program.ts';

const PROGRAM = new URL('worker-program.ts', import.meta.url).pathname;
const PORT = 7_853;
/** Nobody asks it. */
const NO_GITHUB = { url: 'http://127.0.0.1:9', token: 'none' };
/** Memory is read once the garbage of the start had its time. */
const SETTLE_MS = 1_000;

export async function workerSection(runs: number): Promise<readonly Series[]> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const interrupted = new AbortController().signal;
  const server = await startTemporalServer({ folder, namespace: 'default', port: PORT, env: process.env, interrupted });
  const bundle = await bundleWorkflows(folder);
  const series = [];
  for (const { name, bundled, isFirst } of [
    { name: 'at the first start of its version', bundled: null, isFirst: true },
    { name: 'with the kept bundle', bundled: null, isFirst: false },
    { name: 'with a prebuilt bundle', bundled: bundle, isFirst: false },
  ]) {
    const starts: Start[] = [];
    for (let run = 0; run < runs; run += 1) {
      if (isFirst) {
        rmSync(BUNDLE_FOLDER, { recursive: true, force: true });
      }
      starts.push(await startOnce({ address: server.address, folder, bundle: bundled, gitHub: NO_GITHUB, runners: [] }));
    }
    series.push(
      { name: `worker ${name}: polls after`, unit: 'ms' as const, values: starts.map(({ ms }) => ms) },
      { name: `worker ${name}: memory`, unit: 'MB' as const, values: starts.map(({ megabytes }) => megabytes) },
    );
  }
  await server.stop();
  rmSync(folder, { recursive: true });
  return series;
}

/** Bundles the workflows once for all workers of a section; returns the bundle's path. */
export async function bundleWorkflows(folder: string): Promise<string> {
  const bundle = join(folder, 'workflows.js');
  const { code } = await bundleWorkflowCode({
    workflowsPath: new URL('../src/workflows', import.meta.url).pathname,
    logger: new DefaultLogger('ERROR'),
  });
  writeFileSync(bundle, code);
  return bundle;
}

interface Start {
  readonly ms: number;
  readonly megabytes: number;
}

async function startOnce(order: WorkerOrder): Promise<Start> {
  const begun = performance.now();
  const child = await startWorker(order);
  const ms = performance.now() - begun;
  await sleep(SETTLE_MS);
  const megabytes = residentMegabytes(child.pid ?? 0);
  child.kill('SIGTERM');
  await once(child, 'exit');
  return { ms, megabytes };
}

/** Resolves once it polls. */
export async function startWorker(order: WorkerOrder): Promise<ChildProcess> {
  // An argument may be 128 KiB long, and a thousand runners take more.
  const file = join(order.folder, 'order.json');
  writeFileSync(file, JSON.stringify(order));
  const child = spawn(process.execPath, [PROGRAM, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

export function residentMegabytes(pid: number): number {
  return statusOf(pid, 'VmRSS') / 1_024;
}

/** The most that it has had. */
export function peakMegabytes(pid: number): number {
  return statusOf(pid, 'VmHWM') / 1_024;
}

/** Kibibytes. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
function statusOf(pid: number, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
