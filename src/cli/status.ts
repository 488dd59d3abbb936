import { setTimeout as sleep } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import type { Finding } from '../domain/finding.ts';
import { valueOrNull } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import { findQueue, runnerStatus, statusSentence, type RunnerStatus, type Verdict } from '../domain/status.ts';
import type { RunCounts } from '../github/port.ts';
import { formatDuration } from './durations.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { print, printJson, readConfig, styled, type Invocation } from './invocation.ts';
import { createPorts, isBlind, lookAtRunner, reading, type Ports } from './look.ts';
import { readLoss } from './lost-history.ts';
import { listOperations, type OperationSummary } from './operations.ts';
import { chosenRunners } from './runners.ts';
import { withTemporal } from './temporal.ts';

export interface StatusFlags {
  readonly runner: string | undefined;
  readonly scope: string | undefined;
  readonly json: boolean;
  readonly watch: boolean;
  readonly config: ConfigFlags;
}

const WATCH_INTERVAL_MS = 5_000;
const RECENT_OPERATIONS = 5;
const RUN_COUNT_TIMEOUT_MS = 15_000;
/** Operations are an extra: a Temporal that is away must not hold up the rest. */
const TEMPORAL_TIMEOUT_MS = 1_500;

/** `status --json` of one scope. */
interface ScopeStatus {
  readonly scope: string;
  readonly observedAt: string;
  readonly runners: readonly RunnerStatus[];
  readonly queue: {
    readonly queued: number | null;
    readonly inProgress: number | null;
    readonly stale: null;
    readonly waitingForRunner: null;
    readonly oldestSeconds: null;
    readonly parked: null;
    readonly setAside: null;
  };
  readonly recentOperations: readonly Pick<OperationSummary, 'workflowId' | 'type' | 'outcome' | 'startedAt' | 'durationMs'>[] | null;
}

/** Reads both sides and tells; starts nothing and changes nothing. */
export async function status(flags: StatusFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  const scopes = chosenScopes(config, flags);
  const ports = createPorts(config, invocation.env);
  const draw = createLogUpdate(process.stdout);
  for (;;) {
    const seen = await Promise.all(scopes.map((scope) => scopeStatus(config, ports, scope, flags, invocation)));
    if (invocation.interrupted.aborted) {
      return EXIT.interrupted;
    }
    const statuses = seen.map(({ status }) => status);
    if (flags.json) {
      printJson(statuses.length === 1 ? statuses[0] : { scopes: statuses });
    } else if (flags.watch && process.stdout.isTTY) {
      draw(statuses.map(describeScope).join('\n\n'));
    } else {
      print(statuses.map(describeScope).join('\n\n'));
    }
    if (!flags.watch) {
      return exitCodeOf(
        seen.flatMap(({ looks }) => looks),
        statuses,
      );
    }
    await sleep(WATCH_INTERVAL_MS, undefined, { signal: invocation.interrupted }).catch(() => {});
    if (invocation.interrupted.aborted) {
      return EXIT.done;
    }
  }
}

function chosenScopes(config: Config, flags: StatusFlags): readonly string[] {
  const scopes = [...new Set(chosenRunners(config, flags.runner, { single: false }).map((target) => target.scope))];
  if (flags.scope === undefined) {
    return scopes;
  }
  if (!scopes.includes(flags.scope)) {
    throw new CommandFailure(EXIT.usage, `no scope "${flags.scope}" is configured; choose one of ${scopes.join(', ')}`);
  }
  return [flags.scope];
}

async function scopeStatus(
  config: Config,
  ports: Ports,
  scope: string,
  flags: StatusFlags,
  invocation: Invocation,
): Promise<{ status: ScopeStatus; looks: readonly Look[] }> {
  const targets = chosenRunners(config, flags.runner, { single: false }).filter((target) => target.scope === scope);
  const signal = AbortSignal.any([invocation.interrupted, AbortSignal.timeout(RUN_COUNT_TIMEOUT_MS)]);
  const [looks, runs, operations] = await Promise.all([
    Promise.all(targets.map((target) => lookAtRunner(ports, target, invocation.interrupted))),
    reading(() => ports.github.countRuns(scope, signal)),
    reading(() =>
      withTemporal(invocation, ({ client }) => listOperations(client, { scope, limit: RECENT_OPERATIONS }), TEMPORAL_TIMEOUT_MS),
    ),
  ]);
  const counts: RunCounts | null = valueOrNull(runs)?.value ?? null;
  return {
    looks,
    status: {
      scope,
      observedAt: new Date().toISOString(),
      runners: targets.map((target, index) => {
        const seen = runnerStatus(target, looks[index] as Look);
        return { ...seen, findings: [...seen.findings, ...findQueue(scope, runs), ...findLoss(config.home)] };
      }),
      queue: {
        queued: counts?.queued ?? null,
        inProgress: counts?.inProgress ?? null,
        stale: null,
        waitingForRunner: null,
        oldestSeconds: null,
        parked: null,
        setAside: null,
      },
      recentOperations:
        valueOrNull(operations)?.map(({ workflowId, type, outcome, startedAt, durationMs }) => ({
          workflowId,
          type,
          outcome,
          startedAt,
          durationMs,
        })) ?? null,
    },
  };
}

/** A loss that no person has confirmed: a recovery of `up` would be refused. */
function findLoss(home: string): Finding[] {
  const loss = readLoss(home);
  return loss === null
    ? []
    : [
        {
          code: 'history-lost',
          severity: 'warning',
          summary: "`runward up` only watches, since Temporal's database was lost with the histories, locks and budgets",
          evidence: `${loss.since}: ${loss.why}${loss.aside === null ? '' : `; kept as ${loss.aside}`}`,
          advice: 'look whether a recovery was cut off on the machine; then stop `runward up` and start it with --yes',
        },
      ];
}

/** 3 only when neither side of any runner could be read; 1 unless all are healthy. */
function exitCodeOf(looks: readonly Look[], statuses: readonly ScopeStatus[]): ExitCode {
  if (looks.every(isBlind)) {
    return EXIT.unreachable;
  }
  return statuses.every(({ runners }) => runners.every(({ verdict }) => verdict === 'healthy')) ? EXIT.done : EXIT.bad;
}

const VERDICT_STYLES = { healthy: 'green', degraded: 'yellow', down: 'red', unknown: 'magenta' } as const satisfies Record<Verdict, string>;

function describeScope({ scope, runners, queue, recentOperations }: ScopeStatus): string {
  const operations =
    recentOperations === null
      ? ['recent operations: unknown, Temporal does not answer (start it with `runward up`)']
      : recentOperations.map(
          ({ type, outcome, startedAt, durationMs }) => `  ${startedAt} ${type}: ${outcome}, ${formatDuration(durationMs)}`,
        );
  return [
    statusSentence(runners),
    '',
    ...runners.flatMap(describeRunner),
    '',
    `queue of ${scope}: ${queue.queued ?? 'unknown'} queued, ${queue.inProgress ?? 'unknown'} in progress`,
    ...(recentOperations !== null && operations.length > 0 ? ['recent operations:'] : []),
    ...operations,
  ].join('\n');
}

function describeRunner(runner: RunnerStatus): string[] {
  const { vm, github, service, job, clock, disk, version } = runner;
  const drift = clock.driftSeconds === null ? 'unknown' : `${clock.driftSeconds} s`;
  return [
    `${styled(VERDICT_STYLES[runner.verdict], runner.verdict)} ${runner.name}`,
    `  vm ${vm.name}: ${vm.state ?? 'unknown'}`,
    `  GitHub: ${github.status ?? 'unknown'}${github.busy === true ? ', busy' : ''}`,
    `  service: ${service.state ?? 'unknown'}${service.unit === null ? '' : ` (${service.unit})`}`,
    `  job: ${job.running === null ? 'unknown' : job.running ? 'running' : 'none'}, clock drift: ${drift}, disk: ${disk.usedPercent === null ? 'unknown' : `${disk.usedPercent} % used`}, version: ${version.installed ?? 'unknown'}`,
    ...runner.findings.flatMap((finding) => [`  ${finding.severity}: ${finding.summary} (${finding.evidence})`, `    ${finding.advice}`]),
  ];
}
