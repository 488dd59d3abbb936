// From the start of `up`, `worker` and `demo` in this checkout to their worker's first poll.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTemporalServer } from '../src/cli/temporal-server.ts';
import { startingUntil } from '../src/worker/starting.ts';
import { BUNDLE_FOLDER } from '../src/worker/workflow-bundle.ts';
import { CHECKOUT } from './install.ts';
import type { Series } from './statistics.ts';

const PORT = 7_863;
const POLL_MS = 5;
/** What was changed so long ago is changed no more. */
const SETTLED_MS = 50;

export async function startSection(runs: number): Promise<readonly Series[]> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const home = join(folder, 'home');
  // GitHub's port is closed, so that its refusal takes no time.
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    REPO: 'acme/kernel',
    GH_TOKEN: 'none',
    GITHUB_API_URL: 'http://127.0.0.1:9',
    GITHUB_SERVER_URL: 'http://127.0.0.1:9',
    MULTIPASS: '/bin/true',
    RUNWARD_HOME: home,
  };
  const server = await serverSeries(folder, runs);
  const alone = await startTemporalServer({ ...serverOptions(folder), interrupted: new AbortController().signal });
  const withServer = { ...env, TEMPORAL_ADDRESS: alone.address };
  const series: Series[] = [
    server,
    await verbSeries('up', env, home, runs),
    await verbSeries('demo', env, join(home, 'demo'), runs),
    await verbSeries('worker', withServer, home, runs),
  ];
  const firsts: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    rmSync(BUNDLE_FOLDER, { recursive: true, force: true });
    firsts.push(await startOnce('worker', withServer, home));
  }
  series.push({ name: 'worker polls after, at the first start of its version', unit: 'ms', values: firsts });
  await alone.stop();
  rmSync(folder, { recursive: true });
  return series;
}

function serverOptions(folder: string) {
  return { folder: join(folder, 'server'), namespace: 'default', port: PORT, env: process.env };
}

async function serverSeries(folder: string, runs: number): Promise<Series> {
  const values: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const begun = performance.now();
    const server = await startTemporalServer({ ...serverOptions(folder), interrupted: new AbortController().signal });
    values.push(performance.now() - begun);
    await server.stop();
  }
  return { name: "Temporal's server, alone", unit: 'ms', values };
}

async function verbSeries(verb: string, env: NodeJS.ProcessEnv, home: string, runs: number): Promise<Series> {
  // The first one makes what is kept: the bundle, the compiled sources, the database.
  await startOnce(verb, env, home);
  const values: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    values.push(await startOnce(verb, env, home));
  }
  return { name: `${verb} polls after`, unit: 'ms', values };
}

async function startOnce(verb: string, env: NodeJS.ProcessEnv, home: string): Promise<number> {
  const begun = Date.now();
  const child = spawn(join(CHECKOUT, 'runward'), [verb], { env, stdio: 'ignore' });
  const polls = await firstPoll(child, home, begun);
  child.kill('SIGINT');
  await once(child, 'exit');
  return polls - begun;
}

/** The mark that a start leaves in the data folder has the time of its end. */
async function firstPoll(child: ChildProcess, home: string, begun: number): Promise<number> {
  for (;;) {
    const until = startingUntil(home);
    if (until > begun && Date.now() - until > SETTLED_MS) {
      return until;
    }
    if (child.exitCode !== null) {
      throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode} before it polled`);
    }
    await sleep(POLL_MS);
  }
}
