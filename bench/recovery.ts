// A recovery in the make-believe world, on Temporal's own server: what Runward itself adds to the commands of the guest and the answers of GitHub.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { NO_ALERTS } from '../src/activities/findings.ts';
import type { HealthReport } from '../src/domain/health-report.ts';
import { findingId, MAIN_QUEUE } from '../src/domain/names.ts';
import { DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../src/domain/queue/policy.ts';
import type { RecoveryReport } from '../src/domain/report.ts';
import type { RunnerTarget } from '../src/domain/runner.ts';
import { Secret } from '../src/domain/secret.ts';
import { createGitHub } from '../src/github/github.ts';
import { startTemporalServer } from '../src/cli/temporal-server.ts';
import { startGitHub, type SandboxGitHub } from '../src/sandbox/github/server.ts';
import { openHostPackages } from '../src/machine/host-packages.ts';
import { SandboxHost } from '../src/sandbox/machine/sandbox-host.ts';
import { SandboxMachine } from '../src/sandbox/machine/sandbox-machine.ts';
import { createDirectory } from '../src/worker/directory.ts';
import { runParts } from '../src/worker/run.ts';
import { connectClient } from '../src/worker/temporal-address.ts';
import { covered, type Series, type Span } from './statistics.ts';

const SCOPE = 'acme/kernel';
const PORT = 7_833;
/** A bench breaks its runner more often than checks would put up with. */
const BOUNDLESS = { recoveries: 1_000, withinMs: 1, failuresInARow: 1_000 };

export async function recoverySection(runs: number): Promise<readonly Series[]> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const server = await startTemporalServer({
    folder,
    namespace: 'default',
    port: PORT,
    env: process.env,
    interrupted: new AbortController().signal,
  });
  const gitHub = await startGitHub({ repositories: [SCOPE], pollMs: 500, offlineAfterMs: 200 });
  const machine = new SandboxMachine({ pace: 0, retryMs: 100 });
  const target = aTarget(gitHub);
  await machine.install(target, gitHub.addRunner(SCOPE, { name: target.runner }));
  const spans: Span[] = [];
  const token = new Secret(gitHub.token);
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const working = runParts(
    {
      temporal: { connectionOptions: { address: server.address }, namespace: server.namespace, source: 'the bench', uiUrl: server.uiUrl },
      main: {
        github: timed(createGitHub({ baseUrl: gitHub.url, token: () => token }), spans),
        directory: createDirectory({
          runners: [target],
          policy: { ...DEFAULT_RECOVERY_POLICY, budgets: BOUNDLESS },
          health: { ...DEFAULT_HEALTH_POLICY, budgets: BOUNDLESS },
          queue: DEFAULT_QUEUE_POLICY,
          mode: 'act',
          serverUrl: target.registrationUrl,
        }),
        alerts: NO_ALERTS,
      },
      runners: () => [target],
      host: {
        name: target.host,
        machine: timed(machine, spans),
        computer: new SandboxHost(),
        packages: openHostPackages({ folder: join(folder, 'packages') }),
      },
      home: folder,
      sealingKeyFile: join(folder, 'sealing.key'),
      ownedRetentionDays: null,
      logLevel: 'ERROR',
      onReady: () => ready.resolve(),
    },
    stop.signal,
  );
  await ready.promise;
  const connection = await connectClient({ address: server.address });
  const client = new Client({ connection });
  const results = { total: [] as number[], own: [] as number[], requests: [] as number[], events: [] as number[] };
  // The first one warms up, and is not counted.
  for (let run = 0; run <= runs; run += 1) {
    await machine.break('service', target);
    await until(() => gitHub.runners(SCOPE)[0]?.status !== 'online');
    spans.length = 0;
    const requests = gitHub.requests.length;
    const begun = performance.now();
    const handle = await client.workflow.start<() => Promise<RecoveryReport>>('recoverRunner', {
      workflowId: `bench-${run}`,
      taskQueue: MAIN_QUEUE,
      args: [{ runner: target.runner }] as never,
    });
    const { outcome, summary } = await handle.result();
    const total = performance.now() - begun;
    if (outcome !== 'recovered') {
      throw new Error(`run ${run}: ${outcome}: ${summary}`);
    }
    if (run === 0) {
      continue;
    }
    results.total.push(total);
    results.own.push(total - covered(spans));
    results.requests.push(gitHub.requests.slice(requests).filter(({ path }) => isOfTheApi(path)).length);
    results.events.push((await handle.fetchHistory()).events?.length ?? 0);
  }
  const checked = { finding: [] as number[], online: [] as number[] };
  for (let run = 0; run < runs; run += 1) {
    await machine.break('service', target);
    await until(() => gitHub.runners(SCOPE)[0]?.status !== 'online');
    const { toFindingMs, toOnlineMs } = await check(client, `bench-check-${run}`);
    checked.finding.push(toFindingMs);
    checked.online.push(toOnlineMs);
  }
  await connection.close();
  stop.abort();
  await working;
  await machine.close();
  await gitHub.close();
  await server.stop();
  rmSync(folder, { recursive: true });
  return [
    { name: 'recovery, all of it', unit: 'ms', values: results.total },
    { name: "recovery, Runward's own time", unit: 'ms', values: results.own },
    { name: 'requests to GitHub', unit: 'count', values: results.requests },
    { name: 'events in the history', unit: 'count', values: results.events },
    { name: 'a health check of a stopped service: to its finding', unit: 'ms', values: checked.finding },
    { name: 'a health check of a stopped service: to the runner online', unit: 'ms', values: checked.online },
  ];
}

/** One health check that cures: from its start until the finding is open, and until the cure has seen the runner online. */
async function check(client: Client, workflowId: string): Promise<{ readonly toFindingMs: number; readonly toOnlineMs: number }> {
  const begunAt = Date.now();
  const report = await client.workflow.execute<() => Promise<HealthReport>>('checkHealth', {
    workflowId,
    taskQueue: MAIN_QUEUE,
    args: [{ scope: SCOPE, wait: '1m' }] as never,
  });
  const toOnlineMs = Date.now() - begunAt;
  if (report.outcome !== 'cured') {
    throw new Error(`${workflowId}: ${report.outcome}: ${report.summary}`);
  }
  const [{ subject, code } = { subject: '', code: '' }] = report.findings;
  const finding = client.workflow.getHandle(findingId(subject, code));
  const { startTime } = await finding.describe();
  // The next check opens it anew, instead of finding it open.
  await finding.terminate('measured');
  return { toFindingMs: startTime.getTime() - begunAt, toOnlineMs };
}

function aTarget(gitHub: SandboxGitHub): RunnerTarget {
  return {
    scope: SCOPE,
    runner: 'bench-runner',
    labels: [],
    group: null,
    registrationUrl: `${gitHub.url}/${SCOPE}`,
    host: 'bench',
    machine: 'bench-vm',
    directory: '/opt/actions-runner',
    user: 'github-runner',
    neighbours: [],
  };
}

/** Notes the time of every call: that is the guest's and GitHub's time, and not Runward's. */
function timed<Port extends object>(port: Port, spans: Span[]): Port {
  return new Proxy(port, {
    get(_target, method) {
      const value: unknown = Reflect.get(port, method);
      if (typeof value !== 'function') {
        return value;
      }
      return async (...given: unknown[]) => {
        const from = performance.now();
        try {
          return await (value as (...given: unknown[]) => unknown).apply(port, given);
        } finally {
          spans.push({ from, to: performance.now() });
        }
      };
    },
  });
}

/** The runner's own traffic, and its registration, are the guest's. */
function isOfTheApi(path: string): boolean {
  return path.includes('/repos/');
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 30_000; !isSo(); await sleep(10)) {
    if (Date.now() > deadline) {
      throw new Error('waited in vain for GitHub');
    }
  }
}
