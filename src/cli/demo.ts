import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { NO_ALERTS } from '../activities/findings.ts';
import { MAIN_QUEUE } from '../domain/names.ts';
import { DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../domain/queue/policy.ts';
import type { RecoveryReport } from '../domain/report.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { Secret } from '../domain/secret.ts';
import { createGitHub } from '../github/github.ts';
import { startGitHub, type SandboxGitHub } from '../sandbox/github/server.ts';
import { BREAKS, type Break } from '../sandbox/machine/breaks.ts';
import { SandboxHost } from '../sandbox/machine/sandbox-host.ts';
import { SandboxMachine } from '../sandbox/machine/sandbox-machine.ts';
import { createDirectory } from '../worker/directory.ts';
import { runParts } from '../worker/run.ts';
import { connectClient, executionLink, type TemporalAddress } from '../worker/temporal-address.ts';
import { formatDuration, wholeDurationMs } from './durations.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { explainIn, refuseMisuse, type ExplainFlags } from './explain.ts';
import { followToEnd } from './follow.ts';
import { dataFolder, print, printJson, say, type Invocation } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { confirmLoss } from './lost-history.ts';
import { ownFolder } from './owned-folder.ts';
import { headline, isGood } from './operation-text.ts';
import { startTemporalServer, type TemporalServer } from './temporal-server.ts';

export interface DemoFlags {
  /** One of {@link BREAKS}; at random without it. */
  readonly break: string | undefined;
  readonly keep: boolean;
  readonly json: boolean;
}

/** Apart from `up`'s port, so that both can run. */
const PORT = 7333;
const NAMESPACE = 'runward-demo';
const SCOPE = 'make-believe/kernel';
/** Each step of the play, such as coming online or being seen offline, is a matter of seconds. */
const PATIENCE_MS = 30_000;

/** What was done to the runner, for people. */
const STORIES: Readonly<Record<Break, string>> = {
  service: 'its systemd service was stopped',
  registration: 'its registration was deleted on GitHub',
  clock: 'the clock of its machine jumped two hours ahead',
  vm: 'its machine was switched off',
  config: 'its credentials file was damaged',
  listener: 'its listener hangs while the service looks active',
};

/** Breaks a make-believe runner and shows how Temporal, the worker and the workflow of every day bring it back. */
export async function demo(flags: DemoFlags, invocation: Invocation): Promise<ExitCode> {
  const how = chosenBreak(flags.break);
  return withDemoServer(invocation, async (server) => {
    const stage = await setStage();
    const stop = new AbortController();
    const worker = runWorker(server, stage, invocation, stop.signal);
    try {
      // A worker that fails ends the play; one that is stopped at the end does not.
      const exitCode = await Promise.race([play(how, flags, server, stage, invocation), worker.failed]);
      if (flags.keep) {
        say(`All goes on: Temporal's UI is at ${server.uiUrl}. Ctrl-C stops it.`);
        await interruption(invocation.interrupted);
      }
      return exitCode;
    } finally {
      stop.abort();
      await worker.ended;
      await stage.machine.close();
      await stage.github.close();
    }
  });
}

function chosenBreak(wanted: string | undefined): Break {
  const how = wanted === undefined ? BREAKS[randomInt(BREAKS.length)] : BREAKS.find((each) => each === wanted);
  if (how === undefined) {
    throw new CommandFailure(EXIT.usage, `--break takes one of ${BREAKS.join(', ')}, not "${wanted}"`);
  }
  return how;
}

/** Tells an operation of an earlier demo, from the data that it left on disk. */
export async function explainDemo(flags: ExplainFlags, invocation: Invocation): Promise<ExitCode> {
  refuseMisuse(flags);
  return withDemoServer(invocation, async (server) => {
    const connection = await connectClient({ address: server.address });
    try {
      return await explainIn(
        { client: new Client({ connection, namespace: NAMESPACE }), connection, address: { ...addressOf(server), uiUrl: null } },
        flags,
        null,
      );
    } finally {
      await connection.close();
    }
  });
}

async function withDemoServer(invocation: Invocation, use: (server: TemporalServer) => Promise<ExitCode>): Promise<ExitCode> {
  const folder = demoFolder(invocation);
  const owned = ownFolder(folder);
  try {
    say("Starting Temporal's server …");
    const server = await startTemporalServer({
      folder,
      namespace: NAMESPACE,
      port: PORT,
      env: invocation.env,
      interrupted: invocation.interrupted,
    });
    if (server.loss !== null) {
      say(`The database of earlier demos was of no use (${server.loss.why}) and was set aside: this is a new one.`);
      confirmLoss(folder);
    }
    try {
      return await use(server);
    } finally {
      await server.stop();
    }
  } finally {
    owned.release();
  }
}

function demoFolder(invocation: Invocation): string {
  return join(dataFolder(invocation), 'demo');
}

interface Stage {
  readonly github: SandboxGitHub;
  readonly machine: SandboxMachine;
  readonly target: RunnerTarget;
}

/** A make-believe GitHub and a machine with one runner that works. */
async function setStage(): Promise<Stage> {
  const github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  const machine = new SandboxMachine({ removeRegistration: (scope, runner) => github.removeRunner(scope, runner) });
  const target: RunnerTarget = {
    scope: SCOPE,
    runner: 'demo-runner',
    labels: ['bpf-lsm'],
    group: null,
    registrationUrl: `${github.url}/${SCOPE}`,
    host: 'demo',
    machine: 'demo-vm',
    directory: '/opt/actions-runner',
    user: 'github-runner',
    neighbours: [],
  };
  await machine.install(target, github.addRunner(SCOPE, { name: target.runner, labels: target.labels }));
  return { github, machine, target };
}

function runWorker(server: TemporalServer, { github, machine, target }: Stage, invocation: Invocation, stop: AbortSignal) {
  const running = runParts(
    {
      temporal: addressOf(server),
      main: {
        github: createGitHub({ baseUrl: github.url, token: () => new Secret(github.token), fetch: loopbackOnly }),
        directory: createDirectory({
          runners: [target],
          policy: DEFAULT_RECOVERY_POLICY,
          queue: DEFAULT_QUEUE_POLICY,
          health: DEFAULT_HEALTH_POLICY,
          mode: 'act',
          serverUrl: github.url,
        }),
        alerts: NO_ALERTS,
      },
      host: { name: target.host, machine, computer: new SandboxHost() },
      sealingKeyFile: join(demoFolder(invocation), 'sealing.key'),
      ownedRetentionDays: 90,
      logLevel: 'ERROR',
      logStyle: 'plain',
      onReady: () => {},
    },
    stop,
  );
  const ended = running.catch(() => {});
  const failed = running.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  return { ended, failed };
}

/** The demo talks to its own make-believe GitHub and to nobody else. */
const loopbackOnly: typeof globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (url.hostname !== '127.0.0.1') {
    throw new Error(`the demo refuses to talk to ${url.hostname}`);
  }
  return fetch(input, init);
};

async function play(
  how: Break,
  flags: DemoFlags,
  server: TemporalServer,
  { github, machine, target }: Stage,
  { interrupted }: Invocation,
): Promise<ExitCode> {
  say(`A make-believe GitHub and a make-believe machine with one runner, ${target.runner}.`);
  const shown = (): string => github.runners(SCOPE).find((runner) => runner.name === target.runner)?.status ?? 'unregistered';
  await until('the runner is online', () => shown() === 'online', interrupted);
  say(`GitHub shows it ${shown()}. Now ${STORIES[how]} …`);
  await machine.break(how, target);
  await until('GitHub sees it', () => shown() !== 'online', interrupted);
  say(`GitHub shows it ${shown()}. Runward recovers it:`);

  const connection = await connectClient({ address: server.address });
  const steps = createLiveSteps();
  try {
    const client = new Client({ connection, namespace: NAMESPACE });
    const handle = await client.workflow.start('recoverRunner', {
      workflowId: `recover/${target.runner}/${new Date().toISOString()}`,
      taskQueue: MAIN_QUEUE,
      staticSummary: `recover ${target.runner}: ${STORIES[how]}`,
      args: [{ runner: target.runner, reason: `demo: ${STORIES[how]}`, wait: '1m' }],
    });
    const { result: report, description } = await followToEnd<RecoveryReport>({
      client,
      handle,
      show: (progress) => steps.show(progress),
      interrupted,
      comeBack: 'It ends with the demo.',
    });
    steps.end();
    const link = executionLink(server.uiUrl, NAMESPACE, { workflowId: handle.workflowId, runId: handle.firstExecutionRunId });
    if (flags.json) {
      printJson({ broken: how, workflowId: handle.workflowId, ...report, ui: link });
    } else {
      tell(how, report, wholeDurationMs(description, report.steps), shown(), link, flags.keep);
    }
    return isGood(report) ? EXIT.done : EXIT.bad;
  } finally {
    steps.end();
    await connection.close();
  }
}

function tell(how: Break, report: RecoveryReport, tookMs: number | null, shown: string, link: string, keep: boolean): void {
  print('');
  print(headline(report, tookMs));
  print(`  What happened: ${STORIES[how]}; GitHub shows the runner ${shown} now.`);
  for (const { name, status, durationMs, detail } of report.steps) {
    print(`  ${name.padEnd(18)} ${status === 'skipped' ? 'skipped'.padEnd(8) : formatDuration(durationMs).padEnd(8)} ${detail}`);
  }
  print('');
  print('The history, to look at:');
  print('  runward explain --last --demo');
  print(keep ? `  ${link}` : `  runward demo --keep, which leaves Temporal's UI open at links such as\n  ${link}`);
}

async function until(what: string, isSo: () => boolean, interrupted: AbortSignal): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!isSo()) {
    if (interrupted.aborted) {
      throw new CommandFailure(EXIT.interrupted, 'Interrupted: the demo is stopped, and nothing of it runs on.');
    }
    if (Date.now() > deadline) {
      throw new CommandFailure(
        EXIT.bad,
        `The demo waited ${PATIENCE_MS / 1_000} s in vain until ${what}. Run it again; if it stays so, please report it.`,
      );
    }
    await sleep(100);
  }
}

async function interruption(interrupted: AbortSignal): Promise<void> {
  while (!interrupted.aborted) {
    await sleep(60_000, undefined, { signal: interrupted }).catch(() => {});
  }
}

function addressOf(server: TemporalServer): TemporalAddress {
  return { connectionOptions: { address: server.address }, namespace: server.namespace, source: "the demo's server", uiUrl: server.uiUrl };
}
