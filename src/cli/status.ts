import { setTimeout as sleep } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import type { Finding } from '../domain/finding.ts';
import { unknown, valueOrNull, type Reading } from '../domain/reading.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import type { Checks, Work } from '../domain/next-step.ts';
import { runnerStatus, scopeStatus, type RunnerStatus, type ScopeAround } from '../domain/status.ts';
import type { QueueObservation } from '../domain/pass.ts';
import type { JobOnRunner } from '../domain/running-job.ts';
import { isRepository } from '../github/endpoints.ts';
import { healthPolicy, recoveryPolicy } from '../worker/policy.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { print, printJson, type Invocation } from './invocation.ts';
import { createPorts, isBlind, lookAtScope, lookOf, sayWhenSlow, type Ports, type ScopeSeen } from './look.ts';
import { believedMs, elsewhereStatus } from './elsewhere.ts';
import { readLoss } from './lost-history.ts';
import { scheduleStatus } from './schedule-text.ts';
import { scopeLines, type StatusDocument } from './status-text.ts';
import { readTemporalViews, type LastPass, type ScopeAsked, type TemporalView } from './temporal-view.ts';
import { chooseRunners, readOwnConfig, type RunnerRequest } from './terminal.ts';
import type { PassSchedule } from '../worker/schedules.ts';

/** `all` shows healthy runners on a terminal one by one, also if there are many. */
export interface StatusFlags extends RunnerRequest {
  readonly json: boolean;
  readonly watch: boolean;
  readonly config: ConfigFlags;
}

const WATCH_INTERVAL_MS = 5_000;

/** Reads both sides, and Temporal where it answers, and tells; starts nothing and changes nothing. */
export async function status(flags: StatusFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readOwnConfig(invocation, flags.config, '`status`');
  const scopes = chosenTargets(config, flags);
  const ports = createPorts(config, invocation.env);
  const draw = createLogUpdate(process.stdout);
  for (;;) {
    const looking = look(config, ports, scopes, invocation);
    const { statuses, seen } = await (flags.watch ? looking : sayWhenSlow(looking));
    if (invocation.interrupted.aborted) {
      return EXIT.interrupted;
    }
    const shape = { width: process.stdout.isTTY ? process.stdout.columns : null, all: flags.all === true };
    const text = (): string => statuses.map((each) => scopeLines(each, Date.now(), shape).join('\n')).join('\n\n');
    if (flags.json) {
      printJson(statuses.length === 1 ? statuses[0] : { scopes: statuses });
    } else if (flags.watch && process.stdout.isTTY) {
      draw(text());
    } else {
      print(text());
    }
    if (!flags.watch) {
      return exitCodeOf(seen, statuses);
    }
    await sleep(WATCH_INTERVAL_MS, undefined, { signal: invocation.interrupted }).catch(() => {});
    if (invocation.interrupted.aborted) {
      return EXIT.done;
    }
  }
}

function chosenTargets(config: Config, { names, scope: wanted }: StatusFlags): readonly ScopeAsked[] {
  const targets = chooseRunners(config.runners, { names, scope: wanted, all: false }, 'all');
  const scopes = [...new Set(targets.map(({ scope }) => scope))];
  return scopes.map((scope) => {
    const ofScope = targets.filter((target) => target.scope === scope);
    return { scope, targets: ofScope, runners: names.length === 0 ? null : ofScope.map(({ runner }) => runner) };
  });
}

async function look(
  config: Config,
  ports: Ports,
  scopes: readonly ScopeAsked[],
  invocation: Invocation,
): Promise<{ readonly statuses: readonly StatusDocument[]; readonly seen: readonly ScopeSeen[] }> {
  const setAside = new Map(scopes.map(({ scope }) => [scope, Promise.withResolvers<readonly number[]>()]));
  const setAsideOf = (scope: string): Promise<readonly number[]> => setAside.get(scope)?.promise ?? Promise.resolve([]);
  const [views, seen] = await Promise.all([
    readTemporalViews(invocation, scopes, recoveryPolicy(config).budgets, (scope, runs) => setAside.get(scope)?.resolve(runs)).finally(() =>
      setAside.forEach(({ resolve }) => resolve([])),
    ),
    Promise.all(scopes.map(({ scope, targets }) => lookAtScope(ports, scope, targets, invocation.interrupted, setAsideOf(scope)))),
  ]);
  const statuses = scopes.map(({ scope }, index) => documentOf(config, scope, seen[index] as ScopeSeen, views[index] as TemporalView));
  return { statuses, seen };
}

function documentOf(config: Config, scope: string, seen: ScopeSeen, view: TemporalView): StatusDocument {
  const queue: Reading<QueueObservation | null> = seen.github.known ? seen.github.value.queue : seen.github;
  const loss = findLoss(config.home);
  const ofScope = [...loss, ...findOtherTemporal(scope, view), ...findQueueCare(scope, view)];
  const { schedule, recentOperations, underWay, holds, budgets, openFindings } = view;
  const mode = loss.length > 0 ? 'watch' : (modeOfWorker(view, Date.now()) ?? config.mode);
  return {
    scope,
    observedAt: new Date().toISOString(),
    runners: runnersOf(config, scope, seen, { view, mode }).map((told) => ({ ...told, findings: [...told.findings, ...ofScope] })),
    queue: queueStatus(queue, seen.github.known ? seen.github.value.observedAt : null, view.queueCare),
    recentOperations:
      recentOperations?.map(({ workflowId, type, outcome, startedAt, durationMs }) => ({
        workflowId,
        type,
        outcome,
        startedAt,
        durationMs,
      })) ?? null,
    mode,
    schedule: schedule === null ? null : checksStatus(schedule.found, view.lastPass),
    underWay,
    holds,
    budgets,
    openFindings,
    drained: seen.runners.flatMap(({ target, machine }) => {
      const guest = machine.known ? valueOrNull(machine.value.guest) : null;
      return guest?.drain == null
        ? []
        : [{ runner: target.runner, since: new Date(guest.drain.since).toISOString(), reason: guest.drain.reason }];
    }),
  };
}

/** What the newest check, if it is of late, was told by its worker, which may have been started with `--watch-only`. */
function modeOfWorker({ lastPass, schedule }: TemporalView, now: number): Config['mode'] | null {
  const lastsMs = believedMs(schedule?.found ?? null);
  return lastPass !== null && now - Date.parse(lastPass.report.observedAt) < lastsMs ? lastPass.report.mode : null;
}

/** The schedule, with the newest check that ended, whoever started it. */
function checksStatus(found: PassSchedule | null, lastPass: LastPass | null): NonNullable<StatusDocument['schedule']> {
  const schedule = scheduleStatus(found);
  const { lastPassAt } = schedule;
  return lastPass !== null && (lastPassAt === null || Date.parse(lastPass.startedAt) > Date.parse(lastPassAt))
    ? { ...schedule, lastPassAt: lastPass.startedAt, lastPassId: lastPass.workflowId, lastPassIsManual: lastPass.isManual }
    : { ...schedule, lastPassIsManual: false };
}

/** When the next check is, as far as it is known. */
function checksOf({ schedule }: TemporalView): Checks {
  if (schedule === null) {
    return { kind: 'unknown' };
  }
  if (schedule.found === null) {
    return { kind: 'missing' };
  }
  const { isPaused, nextPassAt } = schedule.found;
  if (isPaused) {
    return { kind: 'paused' };
  }
  return nextPassAt === null ? { kind: 'some-time' } : { kind: 'scheduled', at: Date.parse(nextPassAt) };
}

/** The operation that works on the runner, or has its machine. */
function workOn({ runner, host, machine }: RunnerTarget, { underWay, holds }: TemporalView): Work | null {
  const own = underWay?.find((operation) => operation.runner === runner);
  if (own !== undefined) {
    return { workflowId: own.workflowId, type: own.type, since: Date.parse(own.startedAt) };
  }
  const holder = holds?.find((hold) => hold.host === host && hold.machine === machine)?.holder ?? null;
  return holder === null ? null : { workflowId: holder.workflowId, type: holder.type, since: Date.parse(holder.since) };
}

/** Each runner by the rules of the health check, with what concerns its whole scope; in the order of the look. */
function runnersOf(
  config: Config,
  scope: string,
  seen: ScopeSeen,
  { view, mode }: { readonly view: TemporalView; readonly mode: Config['mode'] },
): readonly RunnerStatus[] {
  const policy = healthPolicy(config);
  const at = Date.now();
  const around: ScopeAround = { mode, checks: checksOf(view), ledgers: view.ledgers, workOn: (target) => workOn(target, view) };
  const lastReport = view.lastPass?.report ?? null;
  const here = seen.runners.filter(({ target }) => target.host === config.host);
  const told = scopeStatus(
    { at, scope, github: seen.github, hosts: { [config.host]: seen.host }, damaged: unknown('not looked for'), runners: here },
    lastReport?.memory ?? null,
    policy,
    around,
  );
  return seen.runners.map((runner) => {
    const own =
      told.runners[here.indexOf(runner)] ??
      elsewhereStatus(
        runnerStatus(runner.target, lookOf(seen, runner), { at, around, running: runningJobs(seen) }),
        runner.target,
        lastReport,
        at,
        policy,
      );
    const codes = new Set(own.findings.map(({ code }) => code));
    return { ...own, findings: [...own.findings, ...told.findings.filter(({ code }) => !codes.has(code))] };
  });
}

function runningJobs({ github }: ScopeSeen): readonly JobOnRunner[] {
  const queue = github.known ? valueOrNull(github.value.queue) : null;
  return queue?.running ?? [];
}

/** `githubTime`: GitHub's clock at the look, epoch milliseconds. */
function queueStatus(
  reading: Reading<QueueObservation | null>,
  githubTime: number | null,
  care: TemporalView['queueCare'],
): StatusDocument['queue'] {
  const queue = valueOrNull(reading);
  const ours = queue?.waiting.filter(({ isServable }) => isServable) ?? null;
  const oldestAt = ours === null ? null : Math.min(...ours.map((group) => group.oldestAt));
  return {
    queued: queue?.queued ?? null,
    inProgress: queue?.inProgress ?? null,
    stale: queue?.stale ?? null,
    waitingForRunner: ours?.reduce((sum, { count }) => sum + count, 0) ?? null,
    oldestSeconds:
      oldestAt === null || githubTime === null
        ? null
        : oldestAt === Infinity
          ? 0
          : Math.max(0, Math.round((githubTime - oldestAt) / 1_000)),
    parked: care?.parked ?? null,
    setAside: care?.setAside ?? null,
    runsNotRead: queue?.runsNotRead ?? null,
  };
}

/** Why figures of queue maintenance are missing. */
function findQueueCare(scope: string, { queueCare, schedule }: TemporalView): Finding[] {
  if (!isRepository(scope) || (queueCare !== null && queueCare.parked !== null)) {
    return [];
  }
  const finding = { code: 'queue-care-unknown', severity: 'info' } as const;
  if (queueCare === null) {
    return [
      {
        ...finding,
        summary: `parked and quarantined runs of ${scope} are unknown; those that are quarantined count as queued`,
        evidence: schedule === null ? 'Temporal does not answer' : 'Temporal did not answer in time',
        advice: schedule === null ? 'start it with `runward up`' : 'look again',
      },
    ];
  }
  return [
    {
      ...finding,
      summary: `parked runs of ${scope} are unknown`,
      evidence: 'no worker answers',
      advice: 'start one with `runward up` or `runward worker`',
    },
  ];
}

/** Without it a person would be told to make schedules that are then refused. */
function findOtherTemporal(scope: string, { otherScopes }: TemporalView): Finding[] {
  return otherScopes.length === 0
    ? []
    : [
        {
          code: 'other-temporal',
          severity: 'warning',
          summary: `nobody at this Temporal looks after ${scope}`,
          evidence: `it has schedules of ${otherScopes.join(', ')}`,
          advice: `start \`runward up\` for ${scope}, or set TEMPORAL_ADDRESS to the Temporal that looks after it`,
        },
      ];
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
function exitCodeOf(seen: readonly ScopeSeen[], statuses: readonly StatusDocument[]): ExitCode {
  if (seen.every((scope) => scope.runners.every((runner) => isBlind(lookOf(scope, runner))))) {
    return EXIT.unreachable;
  }
  return statuses.every(({ runners }) => runners.every(({ verdict }) => verdict === 'healthy')) ? EXIT.done : EXIT.bad;
}
