// The worker's process that the bench starts, with the file of its order. Says `ready` once it polls.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_ALERTS } from '../src/activities/findings.ts';
import { createGitHub } from '../src/github/github.ts';
import { DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../src/domain/queue/policy.ts';
import { known } from '../src/domain/reading.ts';
import type { GuestObservation, RunnerTarget } from '../src/domain/runner.ts';
import { Secret } from '../src/domain/secret.ts';
import type { MachinePort } from '../src/machine/port.ts';
import { openHostPackages } from '../src/machine/host-packages.ts';
import { SandboxHost } from '../src/sandbox/machine/sandbox-host.ts';
import { createDirectory } from '../src/worker/directory.ts';
import { runParts } from '../src/worker/run.ts';

export interface WorkerOrder {
  /** Temporal's. */
  readonly address: string;
  readonly folder: string;
  /** A prebuilt bundle; without one that which the checkout keeps. */
  readonly bundle: string | null;
  readonly gitHub: { readonly url: string; readonly token: string };
  /** Each with the id that GitHub knows it by. */
  readonly runners: readonly { readonly target: RunnerTarget; readonly id: number }[];
}

/** What an `exec` takes on a real machine, with its login. */
const LOOK_MS = 500;

const { address, folder, bundle, gitHub, runners } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as WorkerOrder;
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
await runParts(
  {
    temporal: { connectionOptions: { address }, namespace: 'default', source: 'the bench', uiUrl: null },
    main: {
      github: createGitHub({ baseUrl: gitHub.url, token: () => new Secret(gitHub.token) }),
      directory: createDirectory({
        runners: runners.map(({ target }) => target),
        policy: DEFAULT_RECOVERY_POLICY,
        health: DEFAULT_HEALTH_POLICY,
        queue: DEFAULT_QUEUE_POLICY,
        mode: 'act',
        serverUrl: gitHub.url,
      }),
      alerts: NO_ALERTS,
    },
    runners: () => runners.map(({ target }) => target),
    host: {
      name: 'bench',
      machine: quietMachine(),
      computer: new SandboxHost(),
      packages: openHostPackages({ folder: join(folder, 'packages') }),
    },
    home: folder,
    sealingKeyFile: join(folder, 'sealing.key'),
    ownedRetentionDays: null,
    logLevel: 'ERROR',
    onReady: () => process.stdout.write('ready\n'),
    ...(bundle === null ? {} : { workflowBundle: { codePath: bundle } }),
  },
  stop.signal,
);
process.exit(0);

/** Machines that run and are well. */
function quietMachine(): MachinePort {
  const port: Pick<MachinePort, 'states' | 'observe'> = {
    states: async (machines) => new Map(machines.map((machine) => [machine, 'running'])),
    observe: async ({ machine }) => {
      await sleep(LOOK_MS);
      return { observedAt: Date.now(), state: 'running', guest: known(guestOf(machine)) };
    },
  };
  return port as MachinePort;
}

function guestOf(machine: string): GuestObservation {
  const { target, id } = runners.find((runner) => runner.target.machine === machine) ?? {};
  if (target === undefined || id === undefined) {
    throw new Error(`the bench has no machine ${machine}`);
  }
  return {
    bootId: '5f0c3c1e-8f55-4a63-9a7e-0a3a3f1c2d4e',
    uptimeMs: 86_400_000,
    clockOffsetMs: 0,
    service: { unit: `actions.runner.acme-kernel.${target.runner}.service`, state: 'active' },
    log: { startedAgoMs: 86_000_000, exitCode: null, relaunches: 0, signs: [] },
    timeSync: { service: 'timesyncd', isActive: true },
    drain: null,
    workers: 0,
    workersOnMachine: 0,
    listeners: 1,
    registration: { agentId: id, agentName: target.runner, url: target.registrationUrl },
    installedVersion: '2.336.0',
    missingProgram: null,
    disk: { usedPercent: 41, freeBytes: 23_622_320_128, inodesUsedPercent: 12 },
    work: { bytes: 1_610_612_736, entries: 90_000 },
    cache: { bytes: 187_904_819, entries: 7, damaged: 0 },
    cleanedAgoMs: 3_600_000,
    runningAct: null,
  };
}
