import picomatch from 'picomatch';
import type { Config } from '../config/config.ts';
import {
  DEFAULT_HEALTH_POLICY,
  DEFAULT_RECOVERY_POLICY,
  DEFAULT_UPKEEP_POLICY,
  type ActivityLimits,
  type HealthPolicy,
  type RecoveryPolicy,
  type UpkeepPolicy,
} from '../domain/policy.ts';
import { DEFAULT_QUEUE_POLICY, type EventFilter, type QueuePolicy, type RefPattern } from '../domain/queue/policy.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MIB = 1024 * 1024;

/** What an attempt needs beyond the guest's deadline: two commands to the machine, and their slack. */
const SLACK_MS = 2 * 60_000;

/** The policy of every recovery: the default, with what configuration replaces; outer time-outs grow with inner ones. */
export function recoveryPolicy(config: Pick<Config, 'budgets' | 'cache' | 'disk' | 'recovery'>): RecoveryPolicy {
  const base = DEFAULT_RECOVERY_POLICY;
  const { timeoutsMs } = config.recovery;
  const deadlines: RecoveryPolicy['deadlines'] = {
    timeSyncMs: timeoutsMs['time-sync'] ?? base.deadlines.timeSyncMs,
    setAsideMs: timeoutsMs['config-cleanup'] ?? base.deadlines.setAsideMs,
    configureMs: timeoutsMs.reconfigure ?? base.deadlines.configureMs,
    startServiceMs: timeoutsMs['start-service'] ?? base.deadlines.startServiceMs,
    restartServiceMs: base.deadlines.restartServiceMs,
    restoreMs: base.deadlines.restoreMs,
    drainMs: base.deadlines.drainMs,
  };
  const onlineWithinMs = timeoutsMs['verify-online'] ?? base.onlineWithinMs;
  const longestActMs = Math.max(base.upkeep.deadlineMs, ...Object.values(deadlines));
  return {
    ...base,
    deadlines,
    onlineWithinMs,
    limits: {
      ...base.limits,
      github:
        timeoutsMs['registration-token'] === undefined
          ? base.limits.github
          : { ...base.limits.github, scheduleToClose: `${timeoutsMs['registration-token']}ms` },
      act: roomFor(base.limits.act, longestActMs),
      verify: roomFor(base.limits.verify, onlineWithinMs),
    },
    budgets: {
      recoveries: config.budgets.recoveries.max,
      withinMs: config.budgets.recoveries.perMs,
      failuresInARow: config.budgets.breakerAfter,
    },
    upkeep: upkeepPolicy(config),
  };
}

/** Of a disk that is nearly full so much less is to be used, in percent points, that it is not nearly full again at once. */
const ENOUGH_BELOW = 5;

/** The policy of the care for caches and disks: the default, with what configuration replaces. */
function upkeepPolicy({ cache, disk }: Pick<Config, 'cache' | 'disk'>): UpkeepPolicy {
  const base = DEFAULT_UPKEEP_POLICY;
  return {
    ...base,
    cacheUnusedMs: cache.maxAgeDays * DAY_MS,
    room: {
      ...base.room,
      usedPercent: disk.usedPercent,
      inodesUsedPercent: disk.inodesPercent,
      enoughPercent: Math.max(0, Math.min(disk.usedPercent, disk.inodesPercent) - ENOUGH_BELOW),
      floorBytes: disk.floorMiB * MIB,
      unusedForMs: {
        ...base.room.unusedForMs,
        'tool-caches': disk.toolsDays * DAY_MS,
        docker: disk.dockerDays * DAY_MS,
        workspaces: disk.workspacesDays === undefined ? null : disk.workspacesDays * DAY_MS,
      },
    },
  };
}

/** What passes so far apart have seen is believed for so long. */
export function memoryLastsMs(everyMs: number): number {
  return Math.max(DEFAULT_HEALTH_POLICY.memoryLastsMs, PASSES_REMEMBERED * everyMs);
}

/** The policy of every health check: the default, with what configuration replaces. */
export function healthPolicy(config: Pick<Config, 'budgets' | 'cache' | 'disk' | 'health' | 'recovery' | 'vm'>): HealthPolicy {
  const base = DEFAULT_HEALTH_POLICY;
  return {
    ...base,
    autostart: config.vm.autostart,
    memoryLastsMs: memoryLastsMs(config.health.everyMs),
    budgets: recoveryPolicy(config).budgets,
    upkeep: upkeepPolicy(config),
  };
}

/** The policy of the care for every queue: the default, with what configuration replaces. */
export function queuePolicy({ queue }: Pick<Config, 'queue'>): QueuePolicy {
  const base = DEFAULT_QUEUE_POLICY;
  const { stale, superseded, prioritizePullRequests, reach, maxPerPass } = queue;
  return {
    ...base,
    reach,
    maxPerPass,
    // As many as can tell whether there are more than that.
    demandReads: Math.max(base.demandReads, prioritizePullRequests.threshold + 1),
    rules: {
      ...base.rules,
      stale: {
        mode: stale.mode,
        afterMs: stale.hours * HOUR_MS,
        events: stale.events === undefined ? base.rules.stale.events : filterOf(stale.events),
        clock: stale.clock,
      },
      superseded: {
        ...superseded,
        events: filterOf(superseded.events),
        protect:
          superseded.protect === undefined
            ? base.rules.superseded.protect
            : { defaultBranch: false, patterns: superseded.protect.map(patternOf) },
      },
      prioritizePullRequests,
    },
  };
}

function filterOf(events: 'all' | readonly string[]): EventFilter {
  return events === 'all' ? events : { only: events };
}

/** As GitHub's own filters have it, `*` stops at a slash and `**` does not: workflows know no library, but regular expressions. */
function patternOf(glob: string): RefPattern {
  return { glob, pattern: picomatch.makeRe(glob, { dot: true, nobrace: true }).source };
}

/** As by default. */
const PASSES_REMEMBERED = 3;

/** One attempt has room for the deadline, all attempts for three of them. */
function roomFor(limits: ActivityLimits, deadlineMs: number): ActivityLimits {
  const attemptMs = deadlineMs + SLACK_MS;
  return { ...limits, startToClose: `${attemptMs}ms`, scheduleToClose: `${3 * attemptMs}ms` };
}
