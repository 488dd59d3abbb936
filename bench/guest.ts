// Recoveries of a real Linux in the test guest, by Runward and by a straight shell script. Needs what the test group `guest` needs.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { NO_ALERTS } from '../src/activities/findings.ts';
import { startTemporalServer } from '../src/cli/temporal-server.ts';
import { MAIN_QUEUE } from '../src/domain/names.ts';
import { DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../src/domain/queue/policy.ts';
import type { RecoveryReport } from '../src/domain/report.ts';
import type { RunnerTarget } from '../src/domain/runner.ts';
import { Secret } from '../src/domain/secret.ts';
import { createGitHub } from '../src/github/github.ts';
import { ShellMachine } from '../src/machine/shell-machine.ts';
import { MultipassTransport } from '../src/machine/transports/multipass.ts';
import { startGitHub, type SandboxGitHub } from '../src/sandbox/github/server.ts';
import { openHostPackages } from '../src/machine/host-packages.ts';
import { SandboxHost } from '../src/sandbox/machine/sandbox-host.ts';
import { createDirectory } from '../src/worker/directory.ts';
import { runParts } from '../src/worker/run.ts';
import { connectClient } from '../src/worker/temporal-address.ts';
import { startGuest, type Guest } from '../test/kit/guest/index.ts';
import { covered, type Series, type Span } from './statistics.ts';

const SCOPE = 'acme/kernel';
const RUNNER = 'bench-runner';
const DIRECTORY = '/opt/actions-runner';
const PORT = 7_863;
const SCRIPT = fileURLToPath(new URL('six-steps.sh', import.meta.url));

export async function guestSection(runs: number): Promise<readonly Series[]> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const gitHub = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  const guest = await startGuest({ github: gitHub });
  const client = countingClient(folder, guest.env['MULTIPASS'] ?? '');
  await guest.installRunner({ scope: SCOPE, name: RUNNER, directory: DIRECTORY });
  try {
    const ours = await byRunward({ folder, gitHub, guest, client }, runs);
    const theirs = await byScript({ gitHub, guest, client }, runs);
    return [...ours, ...theirs];
  } finally {
    await guest.close();
    await gitHub.close();
    rmSync(folder, { recursive: true });
  }
}

interface Stage {
  readonly folder: string;
  readonly gitHub: SandboxGitHub;
  readonly guest: Guest;
  readonly client: CountingClient;
}

async function byRunward({ folder, gitHub, guest, client }: Stage, runs: number): Promise<readonly Series[]> {
  const interrupted = new AbortController();
  const server = await startTemporalServer({ folder, namespace: 'default', port: PORT, env: process.env, interrupted: interrupted.signal });
  const target = aTarget(guest);
  const token = new Secret(gitHub.token);
  const environment = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/root' };
  const ready = Promise.withResolvers<void>();
  const working = runParts(
    {
      temporal: { connectionOptions: { address: server.address }, namespace: 'default', source: 'the bench', uiUrl: server.uiUrl },
      main: {
        github: createGitHub({ baseUrl: gitHub.url, token: () => token }),
        directory: createDirectory({
          runners: [target],
          policy: DEFAULT_RECOVERY_POLICY,
          health: DEFAULT_HEALTH_POLICY,
          queue: DEFAULT_QUEUE_POLICY,
          mode: 'act',
          serverUrl: target.registrationUrl,
        }),
        alerts: NO_ALERTS,
      },
      runners: () => [target],
      host: {
        name: target.host,
        machine: new ShellMachine(new MultipassTransport({ multipass: client.path, environment })),
        computer: new SandboxHost(),
        packages: openHostPackages({ folder: join(folder, 'packages') }),
      },
      home: folder,
      sealingKeyFile: join(folder, 'sealing.key'),
      ownedRetentionDays: null,
      logLevel: 'ERROR',
      onReady: () => ready.resolve(),
    },
    interrupted.signal,
  );
  await ready.promise;
  const connection = await connectClient({ address: server.address });
  const temporal = new Client({ connection });
  const total: number[] = [];
  const own: number[] = [];
  const calls: number[] = [];
  const requests: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    await stopService(guest, gitHub);
    client.forget();
    const asked = gitHub.requests.length;
    const begun = performance.now();
    const handle = await temporal.workflow.start<() => Promise<RecoveryReport>>('recoverRunner', {
      workflowId: `bench-${run}`,
      taskQueue: MAIN_QUEUE,
      args: [{ runner: RUNNER }] as never,
    });
    const { outcome, summary } = await handle.result();
    const took = performance.now() - begun;
    if (outcome !== 'recovered') {
      throw new Error(`run ${run}: ${outcome}: ${summary}`);
    }
    total.push(took / 1_000);
    own.push((took - covered(client.spans())) / 1_000);
    calls.push(client.spans().length);
    requests.push(gitHub.requests.slice(asked).filter(({ path }) => path.includes('/repos/')).length);
    process.stderr.write('.');
  }
  await connection.close();
  interrupted.abort();
  await working;
  await server.stop();
  return [
    { name: 'Runward: all of it', unit: 's', values: total },
    { name: 'Runward: outside of Multipass calls', unit: 's', values: own },
    { name: 'Runward: Multipass calls', unit: 'count', values: calls },
    { name: 'Runward: requests to GitHub', unit: 'count', values: requests },
  ];
}

async function byScript({ gitHub, guest, client }: Omit<Stage, 'folder'>, runs: number): Promise<readonly Series[]> {
  const total: number[] = [];
  const own: number[] = [];
  const calls: number[] = [];
  let failures = 0;
  for (let run = 0; run < runs; run += 1) {
    await stopService(guest, gitHub);
    client.forget();
    const begun = performance.now();
    const args = [client.path, guest.name, gitHub.url, guest.githubUrl ?? '', SCOPE, RUNNER, DIRECTORY];
    // Asynchronous, since GitHub answers from this very process.
    const exitCode = await runProgram(SCRIPT, args, { ...process.env, GH_TOKEN: gitHub.token });
    const took = performance.now() - begun;
    failures += exitCode === 0 ? 0 : 1;
    total.push(took / 1_000);
    own.push((took - covered(client.spans())) / 1_000);
    calls.push(client.spans().length);
    process.stderr.write('.');
  }
  return [
    { name: 'script: all of it', unit: 's', values: total },
    { name: 'script: outside of Multipass calls', unit: 's', values: own },
    { name: 'script: Multipass calls', unit: 'count', values: calls },
    { name: 'script: runs that ended with a runner not online', unit: 'count', values: [failures] },
  ];
}

async function stopService(guest: Guest, gitHub: SandboxGitHub): Promise<void> {
  await guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
  for (const deadline = Date.now() + 60_000; gitHub.runners(SCOPE)[0]?.status !== 'offline'; await sleep(50)) {
    if (Date.now() > deadline) {
      throw new Error('waited in vain until GitHub shows the runner offline');
    }
  }
}

async function runProgram(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number | null> {
  const [code] = (await once(spawn(file, args, { env, stdio: 'ignore' }), 'exit')) as [number | null];
  return code;
}

interface CountingClient {
  readonly path: string;
  forget(): void;
  /** One for each call since. */
  spans(): readonly Span[];
}

/** Notes begin and end of each call, by the wall clock. */
function countingClient(folder: string, multipass: string): CountingClient {
  const path = join(folder, 'multipass');
  const log = join(folder, 'multipass.log');
  writeFileSync(
    path,
    `#!/bin/bash\nfrom=$EPOCHREALTIME\nstatus=0\n'${multipass}' "$@" || status=$?\necho "$from $EPOCHREALTIME" >>'${log}'\nexit "$status"\n`,
    { mode: 0o755 },
  );
  return {
    path,
    forget: () => rmSync(log, { force: true }),
    spans: () =>
      (existsSync(log) ? readFileSync(log, 'utf8') : '').split('\n').flatMap((line) => {
        const [from, to] = line.split(' ').map((seconds) => Number(seconds) * 1_000);
        return from === undefined || to === undefined ? [] : [{ from, to }];
      }),
  };
}

function aTarget(guest: Guest): RunnerTarget {
  return {
    scope: SCOPE,
    runner: RUNNER,
    labels: [],
    group: null,
    registrationUrl: `${guest.githubUrl}/${SCOPE}`,
    host: 'bench',
    machine: guest.name,
    directory: DIRECTORY,
    user: 'github-runner',
    neighbours: [],
  };
}
