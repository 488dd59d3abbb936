import { setTimeout as sleep } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import type { Finding } from '../domain/finding.ts';
import { unknown, valueOrNull, type Reading } from '../domain/reading.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { runnerStatus, scopeStatus, type RunnerStatus } from '../domain/status.ts';
import type { QueueObservation } from '../domain/pass.ts';
import { isRepository } from '../github/endpoints.ts';
import { healthPolicy, recoveryPolicy } from '../worker/policy.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { print, printJson, readConfig, type Invocation } from './invocation.ts';
import { createPorts, isBlind, lookAtScope, lookOf, sayWhenSlow, type Ports, type ScopeSeen } from './look.ts';
import { BELIEVED_MS, elsewhereStatus } from './elsewhere.ts';
import { readLoss } from './lost-history.ts';
import { passesText, scheduleStatus } from './schedule-text.ts';
import { scopeLines, type StatusDocument } from './status-text.ts';
import { readTemporalViews, type TemporalView } from './temporal-view.ts';
import { chooseRunners, type RunnerRequest } from './terminal.ts';

/** `all`: healthy runners one by one, too. */
export interface StatusFlags extends RunnerRequest {
  readonly json: boolean;
  readonly watch: boolean;
  readonly config: ConfigFlags;
}

const WATCH_INTERVAL_MS = 5_000;

interface ScopeTargets {
  readonly scope: string;
  readonly targets: readonly RunnerTarget[];
}

/** Reads both sides, and Temporal where it answers, and tells; starts nothing and changes nothing. */
export async function status(flags: StatusFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  const scopes = chosenTargets(config, flags);
  const ports = createPorts(config, invocation.env);
  const draw = createLogUpdate(process.stdout);
  for (;;) {
    const looking = look(config, ports, scopes, invocation);
    const { statuses, seen } = await (flags.watch ? looking : sayWhenSlow(looking));
    if (invocation.interrupted.aborted) {
      return EXIT.interrupted;
    }
    const text = (): string => statuses.map((each) => scopeLines(each, Date.now(), process.stdout.columns).join('\n')).join('\n\n');
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

function chosenTargets(config: Config, { names, scope: wanted }: StatusFlags): readonly ScopeTargets[] {
  const targets = chooseRunners(config.runners, { names, scope: wanted, all: false }, 'all');
  const scopes = [...new Set(targets.map(({ scope }) => scope))];
  return scopes.map((scope) => ({ scope, targets: targets.filter((target) => target.scope === scope) }));
}

async function look(
  config: Config,
  ports: Ports,
  scopes: readonly ScopeTargets[],
  invocation: Invocation,
): Promise<{ readonly statuses: readonly StatusDocument[]; readonly seen: readonly ScopeSeen[] }> {
  const [views, seen] = await Promise.all([
    readTemporalViews(invocation, scopes, recoveryPolicy(config).budgets),
    Promise.all(scopes.map(({ scope, targets }) => lookAtScope(ports, scope, targets, invocation.interrupted))),
  ]);
  const statuses = scopes.map(({ scope }, index) => documentOf(config, scope, seen[index] as ScopeSeen, views[index] as TemporalView));
  return { statuses, seen };
}

function documentOf(config: Config, scope: string, seen: ScopeSeen, view: TemporalView): StatusDocument {
  const queue: Reading<QueueObservation | null> = seen.github.known ? seen.github.value.queue : seen.github;
  const loss = findLoss(config.home);
  const ofScope = [...loss, ...findQueueCare(scope, view, Date.now())];
  const { schedule, recentOperations, underWay, holds, budgets, openFindings } = view;
  return {
    scope,
    observedAt: new Date().toISOString(),
    runners: runnersOf(config, scope, seen, view).map((told) => ({ ...told, findings: [...told.findings, ...ofScope] })),
    queue: queueStatus(queue, seen.github.known ? seen.github.value.observedAt : null, view.queueCare),
    recentOperations:
      recentOperations?.map(({ workflowId, type, outcome, startedAt, durationMs }) => ({
        workflowId,
        type,
        outcome,
        startedAt,
        durationMs,
      })) ?? null,
    mode: loss.length > 0 ? 'watch' : (modeOfWorker(view, Date.now()) ?? config.mode),
    schedule: schedule === null ? null : scheduleStatus(schedule.found),
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
function modeOfWorker({ lastReport }: TemporalView, now: number): Config['mode'] | null {
  return lastReport !== null && now - Date.parse(lastReport.observedAt) < BELIEVED_MS ? lastReport.mode : null;
}

/** Each runner by the rules of the health check, with what concerns its whole scope; in the order of the look. */
function runnersOf(config: Config, scope: string, seen: ScopeSeen, { lastReport }: TemporalView): readonly RunnerStatus[] {
  const policy = healthPolicy(config);
  const here = seen.runners.filter(({ target }) => target.host === config.host);
  const told = scopeStatus(
    { at: Date.now(), scope, github: seen.github, hosts: { [config.host]: seen.host }, damaged: unknown('not looked for'), runners: here },
    lastReport?.memory ?? null,
    policy,
  );
  return seen.runners.map((runner) => {
    const own =
      told.runners[here.indexOf(runner)] ??
      elsewhereStatus(runnerStatus(runner.target, lookOf(seen, runner)), runner.target, lastReport, Date.now(), policy);
    const codes = new Set(own.findings.map(({ code }) => code));
    return { ...own, findings: [...own.findings, ...told.findings.filter(({ code }) => !codes.has(code))] };
  });
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
    // GitHub's lists count what is set aside as queued.
    queued: queue == null ? null : Math.max(0, queue.queued - (care?.setAside ?? 0)),
    inProgress: queue?.inProgress ?? null,
    stale: care?.stale ?? null,
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

/** Why figures of queue care are missing, where they are. */
function findQueueCare(scope: string, { queueCare, schedule }: TemporalView, now: number): Finding[] {
  if (!isRepository(scope) || (queueCare !== null && queueCare.stale !== null && queueCare.parked !== null)) {
    return [];
  }
  const finding = { code: 'queue-care-unknown', severity: 'info' } as const;
  if (queueCare === null) {
    return [
      {
        ...finding,
        summary: `nobody says how many runs of ${scope} are stale, parked or set aside`,
        evidence: schedule === null ? 'Temporal does not answer' : 'Temporal did not answer in time',
        advice: schedule === null ? 'start it with `runward up`' : 'look again',
      },
    ];
  }
  const passes = scheduleStatus(queueCare.schedule);
  return queueCare.stale === null
    ? [
        {
          ...finding,
          summary: `no queue care of ${scope} ended in the last 15 minutes, so that nobody says how many of its runs are stale`,
          evidence: passes.exists ? passesText(passes, now) : 'it has no schedule',
          advice:
            passes.paused === true
              ? 'go on with `runward schedule resume`, or look once with `runward queue plan`'
              : 'make its schedule with `runward schedule apply`, or look once with `runward queue plan`',
        },
      ]
    : [
        {
          ...finding,
          summary: `nobody says how many runs of ${scope} are parked`,
          evidence: 'no worker answers',
          advice: 'start one with `runward up` or `runward worker`',
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
