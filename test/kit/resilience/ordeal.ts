// One operation during which the worker, or Temporal's server, is killed at one seam and started again.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { expect } from 'vitest';
import { SEALING_KEY_BYTES } from '../../../src/activities/sealing.ts';
import type { LedgerEntry } from '../../../src/domain/ledger.ts';
import { MAIN_QUEUE, machineLedgerId, machineLockId } from '../../../src/domain/names.ts';
import { DEFAULT_RECOVERY_POLICY, DEFAULT_UPKEEP_POLICY, type ActivityLimits, type RecoveryPolicy } from '../../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../../../src/domain/queue/policy.ts';
import type { OperationReport } from '../../../src/domain/report.ts';
import type { RunnerTarget } from '../../../src/domain/runner.ts';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import type { Break } from '../../../src/sandbox/machine/breaks.ts';
import { SandboxMachine } from '../../../src/sandbox/machine/sandbox-machine.ts';
import { target as aTarget } from '../observations.ts';
import { keepWorker, outlasting, until } from './crew.ts';
import type { TemporalProcess } from '../temporal-process.ts';
import type { Seam, WorkerOrder } from './seam.ts';

/** A silent attempt is given up after the heartbeat; what is left of the product's time-outs is far longer than a restart. */
const limits = (product: ActivityLimits): ActivityLimits => ({ ...product, heartbeat: '2s', retryInitial: '100ms' });

const { failures, room } = DEFAULT_UPKEEP_POLICY;

const POLICY: RecoveryPolicy = {
  ...DEFAULT_RECOVERY_POLICY,
  guestAnswersWithinMs: 1_000,
  guestPollMs: 100,
  goneShownWithinMs: 60_000,
  onlinePollMs: 100,
  lockPollMs: 100,
  lockPollLongestMs: 1_000,
  drainPollMs: 100,
  limits: {
    look: limits(DEFAULT_RECOVERY_POLICY.limits.look),
    github: limits(DEFAULT_RECOVERY_POLICY.limits.github),
    verify: limits(DEFAULT_RECOVERY_POLICY.limits.verify),
    startMachine: limits(DEFAULT_RECOVERY_POLICY.limits.startMachine),
    act: limits(DEFAULT_RECOVERY_POLICY.limits.act),
  },
  upkeep: {
    ...DEFAULT_UPKEEP_POLICY,
    failures: {
      ...failures,
      doubtMs: 100,
      limits: { inspect: limits(failures.limits.inspect), rerun: limits(failures.limits.rerun) },
    },
    room: { ...room, unusedForMs: { ...room.unusedForMs, 'temporary-files': null, 'update-leftovers': null, 'tool-caches': null } },
  },
};

export interface Ordeal {
  /** `recoverRunner` without it. */
  readonly operation?: 'recoverRunner' | 'drainRunner' | Care;
  /** How the runner is broken before; `healthy` leaves it online. */
  readonly how: Break | 'unreachable' | 'healthy';
  readonly seam: Seam | null;
  readonly victim?: WorkerOrder['victim'];
  /** `config.sh` is refused by GitHub, so that the old configuration is put back. */
  readonly refused?: boolean;
}

export interface Aftermath {
  readonly report: OperationReport;
  /** Activities in the order in which they were begun, such as `observeGitHub 1`. */
  readonly begun: readonly string[];
  readonly wasReached: boolean;
  /** GitHub's word for each registration. */
  readonly shown: readonly string[];
  readonly isAside: boolean;
  readonly ledger: readonly LedgerEntry[];
  /** What has become of the runner in need of care; `null` where none was needed. */
  readonly cared: Cared | null;
}

interface Cared {
  /** Of the actions cache. */
  readonly entries: readonly string[];
  readonly usedPercent: number;
  /** Requests for a re-run that GitHub has had. */
  readonly reruns: number;
  /** Of the run that the cache let fail. */
  readonly attempt: number;
}

/** Operations between two jobs. */
export type Care = 'cleanActionsCache' | 'healActionsCache' | 'makeRoom';

/** One registration, online, nothing left aside, and one act in the ledger. */
export function expectHealed({ report, shown, isAside, ledger }: Aftermath, outcome = 'recovered'): void {
  expect(report.outcome, report.summary).toBe(outcome);
  expect(shown).toEqual(['online']);
  expect(isAside).toBe(false);
  expect(ledger.map((entry) => entry.outcome)).toEqual([outcome]);
}

/** One registration, offline, and one act in the ledger. */
export function expectDrained({ report, shown, ledger }: Aftermath): void {
  expect(report.outcome, report.summary).toBe('drained');
  expect(shown).toEqual(['offline']);
  expect(ledger.map(({ outcome }) => outcome)).toEqual(['drained']);
}

/** An entry of the actions cache that all jobs use, one that none does, and one that has let a run fail. */
const USED = 'actions/cache/v4';
const UNUSED = 'acme/legacy/v1';
const DAMAGED = 'actions/checkout/v4';
const FOUR_PERCENT = 1_602_000_000;

/** What each has removed or re-run, once; nothing of what the others would. */
const CARED: Readonly<Record<Care, { readonly report: object; readonly cared: Cared; readonly outcome: string }>> = {
  cleanActionsCache: {
    outcome: 'cleaned',
    report: { removed: { names: [UNUSED] } },
    cared: { entries: [USED, DAMAGED], usedPercent: 93, reruns: 0, attempt: 1 },
  },
  healActionsCache: {
    outcome: 'healed',
    report: { removed: { names: [DAMAGED] }, reran: [{ outcome: 're-run' }] },
    cared: { entries: [USED, UNUSED], usedPercent: 93, reruns: 1, attempt: 2 },
  },
  makeRoom: {
    outcome: 'room-made',
    report: { freed: ['diagnostic-logs', 'docker'].map((source) => ({ source, bytes: FOUR_PERCENT })) },
    cared: { entries: [USED, UNUSED, DAMAGED], usedPercent: 85, reruns: 0, attempt: 1 },
  },
};

/** A runner that is online and has done a job since, a machine that nobody holds, and one act in the ledger. */
export function expectCared({ report, shown, ledger, cared }: Aftermath, operation: Care): void {
  const expected = CARED[operation];
  expect(report, report.summary).toMatchObject({ outcome: expected.outcome, ...expected.report });
  expect(shown).toEqual(['online']);
  expect(ledger.map(({ outcome }) => outcome)).toEqual([expected.outcome]);
  expect(cared).toEqual(expected.cared);
}

/** The seam at an activity such as `observeGitHub 2`. */
export function seamAt(name: string, phase: Seam['phase']): Seam {
  const [activity = '', nth = ''] = name.split(' ');
  return { activity, nth: Number(nth), phase };
}

export async function undergo(ordeal: Ordeal, temporal: TemporalProcess, namespace: string, workflowBundle: string): Promise<Aftermath> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-ordeal-'));
  // What is remembered of failed runs is of a scope, and ordeals share namespaces.
  const scope = `acme/kernel-${randomBytes(4).toString('hex')}`;
  const github = await startGitHub({ repositories: [scope], pollMs: 100, offlineAfterMs: 300 });
  const target = aTarget({ scope, machine: `m-${randomBytes(4).toString('hex')}`, registrationUrl: `${github.url}/${scope}` });
  const machineFile = join(folder, 'machines.json');
  const order: WorkerOrder = {
    address: temporal.address,
    namespace,
    workflowBundle,
    sealingKey: randomBytes(SEALING_KEY_BYTES).toString('hex'),
    gitHub: { url: github.url, token: github.token },
    target,
    policy: POLICY,
    queue: DEFAULT_QUEUE_POLICY,
    home: folder,
    machineFile,
    logFile: join(folder, 'begun'),
    seam: ordeal.seam,
    reachedFile: join(folder, 'reached'),
    victim: ordeal.victim ?? 'worker',
  };
  const { operation = 'recoverRunner' } = ordeal;
  const isCare = operation in CARED;
  await breakRunner(ordeal, { target, machineFile }, github);
  const failedRun = isCare ? failByCache(github, target) : null;
  const crew = keepWorker(order);
  const avenger = order.victim === 'server' ? crashOnce(order.reachedFile, temporal) : Promise.resolve();
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const client = new Client({ connection, namespace });
    const handle = await client.workflow.start<() => Promise<OperationReport>>(operation, {
      workflowId: `ordeal-${randomBytes(4).toString('hex')}`,
      taskQueue: MAIN_QUEUE,
      args: [{ runner: target.runner }] as never,
    });
    const report = await outlasting(() => handle.result());
    await avenger;
    const expected = operation === 'drainRunner' ? 'offline' : 'online';
    await until(() => github.runners(scope).every(({ status }) => status === expected));
    const shown = github.runners(scope).map(({ status }) => status);
    const ledger = await client.workflow.getHandle(machineLedgerId(target.host, target.machine)).describe();
    if (isCare) {
      const job = github.giveJob(scope, target.runner, { seconds: 0 });
      await until(() => github.job(job).result === 'Succeeded');
    }
    const lock = client.workflow.getHandle(machineLockId(target.host, target.machine));
    // It is given back by a signal, which its own worker hears a moment after the operation's end.
    if (isCare) await until(async () => (await lock.describe()).status.name !== 'RUNNING');
    await crew.stop();
    const machine = new SandboxMachine({ file: machineFile, pace: 0 });
    const isAside = machine.isAside(target);
    const cared = failedRun === null ? null : { ...(await caredFor(machine, target)), ...rerunOf(github, failedRun) };
    await machine.close();
    return {
      report,
      cared,
      begun: readFileSync(order.logFile, 'utf8').trim().split('\n'),
      wasReached: existsSync(order.reachedFile),
      shown,
      isAside,
      ledger: (ledger.memo?.['entries'] ?? []) as LedgerEntry[],
    };
  } finally {
    await crew.stop();
    await connection.close();
    await github.close();
    rmSync(folder, { recursive: true });
  }
}

/** Installs the runner, sees it online, and breaks it. The worker's process opens the machine from its file afterwards. */
async function breakRunner(
  { how, refused, operation = 'recoverRunner' }: Ordeal,
  { target, machineFile }: { readonly target: RunnerTarget; readonly machineFile: string },
  github: SandboxGitHub,
): Promise<void> {
  const machine = new SandboxMachine({
    file: machineFile,
    pace: 0,
    retryMs: 100,
    removeRegistration: (scope, name) => github.removeRunner(scope, name),
  });
  await machine.install(target, github.addRunner(target.scope, { name: target.runner }));
  const shown = (): string | undefined => github.runners(target.scope)[0]?.status;
  await until(() => shown() === 'online');
  if (operation in CARED) {
    neglect(machine, target);
  }
  if (how === 'healthy') {
    await machine.close();
    return;
  }
  if (how === 'unreachable') {
    machine.cutOff(target.machine);
  } else {
    await machine.break(how, target);
  }
  await until(() => shown() !== 'online');
  await machine.close();
  if (refused === true) {
    github.misbehave({ match: { path: '/actions/runner-registration' }, status: 404 });
  }
}

async function crashOnce(reachedFile: string, temporal: TemporalProcess): Promise<void> {
  await until(() => existsSync(reachedFile));
  await temporal.crash();
}

/** A run that the damaged entry has let fail; nobody runs it again by the end of the ordeal. */
function failByCache(github: SandboxGitHub, { scope, runner, directory }: RunnerTarget): number {
  const message = `Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '${directory}/_work/_actions/${DAMAGED}'.`;
  return github.queueRun(scope, {
    jobs: [{ labels: ['gpu'], state: 'completed', conclusion: 'failure', runner, annotations: [{ level: 'failure', message }] }],
  });
}

function neglect(machine: SandboxMachine, target: RunnerTarget): void {
  const anHourMs = 3_600_000;
  machine.setCache(target, [
    { path: USED, bytes: 2, unusedMs: anHourMs },
    { path: UNUSED, bytes: 1, unusedMs: 9 * 24 * anHourMs },
    { path: DAMAGED, bytes: 0, unusedMs: anHourMs, damage: { state: 'empty', owner: 'root', mode: '755', isImmutable: false } },
  ]);
  machine.setDisk(target.machine, { usedPercent: 93 });
  machine.setRoom(target, 'diagnostic-logs', { bytes: FOUR_PERCENT, items: 1 });
  machine.setRoom(target, 'docker', { bytes: FOUR_PERCENT, items: 1 });
}

async function caredFor(machine: SandboxMachine, target: RunnerTarget): Promise<Pick<Cared, 'entries' | 'usedPercent'>> {
  const call = { signal: new AbortController().signal, heartbeat: () => {} };
  const { found } = await machine.listCache(target, { kind: 'all' }, call);
  const { guest } = await machine.observe(target, call);
  return { entries: found.map(({ path }) => path), usedPercent: guest.known ? guest.value.disk.usedPercent : Number.NaN };
}

function rerunOf(github: SandboxGitHub, run: number): Pick<Cared, 'reruns' | 'attempt'> {
  const asked = github.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/rerun-failed-jobs'));
  return { reruns: asked.length, attempt: github.run(run).attempt };
}
