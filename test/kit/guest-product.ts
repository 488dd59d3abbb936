// The whole product against a real Linux with a real systemd: `runward up`, `runward recover`, and a guest behind Multipass's command line.
// Importing it sets the stage for a test file: one guest with one healthy runner, and a Runward that looks after it.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, expect } from 'vitest';
import type { RecoveryReport } from '../../src/domain/report.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { startGuest, type Guest } from './guest/index.ts';
import { runnerPackage } from './guest/package.ts';
import { run, start, type Started } from './product.ts';

export const SCOPE = 'acme/kernel';
export const RUNNER = 'assay-bpf-runner';
export const DIRECTORY = '/opt/actions-runner';

interface GuestWorld {
  github: SandboxGitHub;
  guest: Guest;
  /** The running `runward up`; a test that ends it starts another. */
  up: Started;
  environment: Record<string, string>;
  temporal: { readonly address: string };
  unit: string;
  readonly home: string;
  /** Command lines of this computer's processes, all that were seen. */
  readonly hostProcesses: Set<string>;
}

export const world = { home: mkdtempSync(join(tmpdir(), 'runward-guest-')), hostProcesses: new Set<string>() } as GuestWorld;
let watching: ReturnType<typeof setInterval>;

beforeAll(async () => {
  world.github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  world.guest = await startGuest({ github: world.github });
  ({ unit: world.unit } = await world.guest.installRunner({ scope: SCOPE, name: RUNNER, labels: ['bpf-lsm'] }));
  // As new as the newest, so that no check replaces it by the hour.
  await world.guest.keepPackage(runnerPackage({ version: world.github.newestRunnerVersion }));
  const file = join(world.home, 'runward.yaml');
  // A test file breaks its runner more often than checks would put up with.
  writeFileSync(file, 'budgets: { recoveries: { max: 40 } }\n');
  world.environment = {
    ...world.guest.env,
    RUNWARD_CONFIG: file,
    REPO: SCOPE,
    GH_TOKEN: world.github.token,
    RUNWARD_HOME: world.home,
    RUNNER_LABELS: 'bpf-lsm',
  };
  world.up = start(['up'], world.environment);
  await world.up.says(/looks after 1 runner/);
  // Passes come where a test asks for one.
  const paused = await run(['schedule', 'pause', '--reason', 'tests'], world.environment);
  expect(paused.exitCode, paused.stderr).toBe(0);
  world.temporal = JSON.parse(readFileSync(join(world.home, 'server.json'), 'utf8'));
  watching = setInterval(watchHost, 50);
});

afterAll(async () => {
  clearInterval(watching);
  world.up.kill('SIGTERM');
  const { exitCode, stderr } = await world.up.ended;
  await world.guest.close();
  await world.github.close();
  rmSync(world.home, { recursive: true });
  expect(exitCode, stderr).toBe(0);
});

/** After a recovery: online, one listener, an active unit, and nothing of the recovery left. */
export async function expectHealed(): Promise<void> {
  expect(await online()).toBe(true);
  expect(await world.guest.must(`systemctl is-active ${world.unit}`)).toBe('active');
  expect(await world.guest.must('pgrep -cx Runner.Listener')).toBe('1');
  expect(await leftovers()).toBe('');
}

export async function recover(): Promise<RecoveryReport> {
  const { exitCode, stdout, stderr } = await run(['recover', '--json', '--wait', '5m'], world.environment);
  expect(stdout, `${exitCode}: ${stderr}`).not.toBe('');
  return JSON.parse(stdout) as RecoveryReport;
}

export async function recovered(): Promise<RecoveryReport> {
  const report = await recover();
  expect(report.outcome, JSON.stringify(report, null, 2)).toBe('recovered');
  expect(report.steps.slice(1).map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done', 'done']);
  return report;
}

export async function online(): Promise<boolean> {
  return world.github.runners(SCOPE).some(({ name, status }) => name === RUNNER && status === 'online');
}

export async function offline(): Promise<void> {
  await untilSo(async () => !(await online()));
}

export async function untilSo(isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await isSo()); await sleep(100)) {
    if (Date.now() > deadline) {
      throw new Error('waited in vain');
    }
  }
}

/** What a refused recovery must not change: files of the runner, its unit, its processes. */
export function fingerprint(): Promise<string> {
  return world.guest.must(
    `cd ${DIRECTORY}; sha256sum .runner .credentials .service /etc/systemd/system/${world.unit}; stat -c '%n %i %Y' .runner .credentials; systemctl show -p ActiveState,MainPID ${world.unit}; pgrep -x Runner.Listener; true`,
  );
}

/** Nothing of a recovery may stay: files set aside, secrets, running acts. */
function leftovers(): Promise<string> {
  return world.guest.must(
    `find /var/lib/runward/runner.* /var/lib/runward/registering /run/runward/act.* -type f ! -name unit 2>/dev/null; find ${DIRECTORY} -maxdepth 1 -name '.runward*'
      systemctl list-units --no-legend 'runward-act*' 'runward-register*'; true`,
  );
}

export function repairs(): number {
  return world.github.requests.filter(({ path }) => path.endsWith('/_service/runners')).length;
}

export async function temporalCli(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.env['RUNWARD_TEMPORAL_CLI'] ?? 'temporal', [
    ...args,
    '--address',
    world.temporal.address,
  ]);
  return stdout;
}

export function outcomeIn(output: string): string {
  return (JSON.parse(output) as { result: RecoveryReport }).result.outcome;
}

/** Every history of the namespace, as text with payloads decoded. */
export async function histories(): Promise<string> {
  const connection = await Connection.connect({ address: world.temporal.address });
  try {
    const client = new Client({ connection });
    const texts: string[] = [];
    for await (const { workflowId, runId } of client.workflow.list()) {
      const json = historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory()) as string;
      texts.push(json, ...[...json.matchAll(/"data":\s*"([^"]+)"/g)].map(([, data]) => Buffer.from(data as string, 'base64').toString()));
    }
    return texts.join('\n');
  } finally {
    await connection.close();
  }
}

/** Command lines of this computer's processes; `/proc` tells them on Linux. */
function watchHost(): void {
  for (const pid of readdirSync('/proc')) {
    if (/^\d+$/.test(pid)) {
      try {
        world.hostProcesses.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended meanwhile.
      }
    }
  }
}
