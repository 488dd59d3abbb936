import { join } from 'node:path';
import { NO_ALERTS } from '../../activities/findings.ts';
import { DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY, type ActivityLimits, type RecoveryPolicy } from '../../domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../../domain/queue/policy.ts';
import type { RunnerTarget } from '../../domain/runner.ts';
import { Secret } from '../../domain/secret.ts';
import { createGitHub } from '../../github/github.ts';
import { openHostPackages } from '../../machine/host-packages.ts';
import { startGitHub, type SandboxGitHub } from '../../sandbox/github/server.ts';
import type { Break } from '../../sandbox/machine/breaks.ts';
import { SandboxHost } from '../../sandbox/machine/sandbox-host.ts';
import { SandboxMachine } from '../../sandbox/machine/sandbox-machine.ts';
import { createDirectory } from '../../worker/directory.ts';
import type { PartsSettings } from '../../worker/run.ts';

const SCOPE = 'make-believe/kernel';
const HOUR_MS = 3_600_000;

/** The demo's machine, and the host that has it. */
export const MACHINE = { host: 'demo', machine: 'demo-vm' } as const;

/** Where the demo plays: a make-believe GitHub and a machine with one runner. */
export interface Stage {
  readonly target: RunnerTarget;
  /** What GitHub shows of the runner. */
  readonly shown: () => string;
  readonly breakRunner: (how: Break) => Promise<void>;
  /** What the demo's worker works with. */
  readonly parts: Pick<PartsSettings, 'main' | 'host' | 'runners'>;
  readonly close: () => Promise<void>;
}

/** A make-believe world with one runner that works. */
export async function setStage(folder: string): Promise<Stage> {
  const github = await startGitHub({ repositories: [SCOPE], offlineAfterMs: 2_000 });
  const machine = new SandboxMachine({ removeRegistration: (scope, runner) => github.removeRunner(scope, runner) });
  const target: RunnerTarget = {
    scope: SCOPE,
    runner: 'demo-runner',
    labels: ['bpf-lsm'],
    group: null,
    registrationUrl: `${github.url}/${SCOPE}`,
    ...MACHINE,
    directory: '/opt/actions-runner',
    user: 'github-runner',
    neighbours: [],
  };
  await machine.install(target, github.addRunner(SCOPE, { name: target.runner, labels: target.labels }));
  return {
    target,
    shown: () => github.runners(SCOPE).find((runner) => runner.name === target.runner)?.status ?? 'unregistered',
    breakRunner: (how) => machine.break(how, target),
    parts: {
      main: mainParts(github, target),
      host: { name: target.host, machine, computer: new SandboxHost(), packages: openHostPackages({ folder: join(folder, 'packages') }) },
      runners: () => [target],
    },
    close: async () => {
      await machine.close();
      await github.close();
    },
  };
}

function mainParts(github: SandboxGitHub, target: RunnerTarget): PartsSettings['main'] {
  return {
    github: createGitHub({ baseUrl: github.url, token: () => new Secret(github.token), fetch: loopbackOnly }),
    directory: createDirectory({
      runners: [target],
      policy: patientPolicy(),
      queue: DEFAULT_QUEUE_POLICY,
      health: DEFAULT_HEALTH_POLICY,
      mode: 'act',
      serverUrl: github.url,
    }),
    alerts: NO_ALERTS,
  };
}

/**
 * Everything of the make-believe world lives and ends with the demo's process, so what takes long there is a busy computer. A task whose
 * delivery got lost is missed by its heartbeats.
 */
function patientPolicy(): RecoveryPolicy {
  const patient: ActivityLimits = {
    startToClose: '1h',
    heartbeat: '2m',
    scheduleToClose: '6h',
    retryInitial: '1s',
    retryMaximum: '10s',
  };
  return {
    ...DEFAULT_RECOVERY_POLICY,
    busyAnswerMaxAgeMs: HOUR_MS,
    guestAnswersWithinMs: HOUR_MS,
    serviceSettlesWithinMs: HOUR_MS,
    goneShownWithinMs: HOUR_MS,
    strangerActWithinMs: HOUR_MS,
    onlineWithinMs: HOUR_MS,
    hostSilentAfterMs: HOUR_MS,
    limits: { look: patient, github: patient, verify: patient, startMachine: patient, act: patient },
    deadlines: {
      timeSyncMs: HOUR_MS,
      setAsideMs: HOUR_MS,
      configureMs: HOUR_MS,
      startServiceMs: HOUR_MS,
      restartServiceMs: HOUR_MS,
      restoreMs: HOUR_MS,
      drainMs: HOUR_MS,
    },
  };
}

/** The demo talks to its own make-believe GitHub and to nobody else. */
const loopbackOnly: typeof globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (url.hostname !== '127.0.0.1') {
    throw new Error(`the demo refuses to talk to ${url.hostname}`);
  }
  return fetch(input, init);
};
