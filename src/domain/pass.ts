import type { DamagedRun } from './damaged-run.ts';
import type { DrainWord } from './ledger.ts';
import type { Reading } from './reading.ts';
import type { JobOnRunner } from './running-job.ts';
import type { Absence, MachineObservation, RegisteredRunner, RunnerTarget } from './runner.ts';

// What one pass of a health check sees of a scope, and what it remembers for the next one.

/** Jobs that wait with the same labels. */
export interface WaitingJobs {
  readonly labels: readonly string[];
  readonly count: number;
  /** When the oldest began to wait, epoch milliseconds by GitHub's clock. */
  readonly oldestAt: number;
  /** The run of the oldest. */
  readonly runId: number;
  /** Whether any runner of the scope has all the labels, online or not: by GitHub's list, or by configuration. */
  readonly isServable: boolean;
}

export interface QueueObservation {
  /** Runs by GitHub's status. */
  readonly queued: number;
  readonly inProgress: number;
  /** Queued jobs, also of runs that have started, that ask for `self-hosted` or that a registered runner serves; oldest first, 20 groups at most. */
  readonly waiting: readonly WaitingJobs[];
  /** Jobs in progress of the configured runners, as far as runs' jobs were read; older histories lack it. */
  readonly running: readonly JobOnRunner[];
  /** Runs whose jobs were not read yet: there are too many for one look, and the next one goes on. */
  readonly runsNotRead: number;
  /** Queued runs whose current attempt has waited for too long; counted for people alone. */
  readonly stale?: number;
}

/** When a version of the runner may not be used any more; epoch milliseconds, `null` where GitHub names no date. */
export interface Retirement {
  readonly version: string;
  /** It gets no jobs from then on. */
  readonly runsUntil: number | null;
  /** It can't be registered from then on. */
  readonly registersUntil: number | null;
}

export interface RunnerVersions {
  /** The newest one that GitHub offers for download. */
  readonly latest: string | null;
  readonly retirements: readonly Retirement[];
}

/** One look at a scope's lists on GitHub, for all its runners. */
export interface ScopeObservation {
  /** GitHub's own clock (`Date` header) at the look, epoch milliseconds. */
  readonly observedAt: number;
  /** Registered runners that are configured here. */
  readonly runners: readonly RegisteredRunner[];
  /** What is known of the configured ones that were not found, by name. */
  readonly absent?: Readonly<Record<string, Absence>>;
  /** `null` for an organisation, which has no list of runs. */
  readonly queue: Reading<QueueObservation | null>;
  readonly versions: Reading<RunnerVersions>;
  /** When the token expires, where GitHub says it (`github-authentication-token-expiration`); epoch milliseconds. */
  readonly tokenExpiresAt: number | null;
  readonly requests: { readonly sent: number; readonly unchanged: number };
}

/** The computer that owns machines, looked at together with them. */
export interface HostObservation {
  /** Host's clock at the look, epoch milliseconds. */
  readonly observedAt: number;
  /** Host's clock minus GitHub's. */
  readonly githubOffsetMs: Reading<number>;
  /** Epoch milliseconds by the host's clock. */
  readonly bootedAt: number;
  /** When it last woke from a sleep that this worker saw, epoch milliseconds by its own clock. */
  readonly wokeAt: number | null;
  /** Offset of the host's time zone at that moment; absent if it is not known. */
  readonly utcOffsetMinutes?: number;
  /** The line by which cron still runs the shell script that Runward replaces; `null` without one. */
  readonly oldCronJob: Reading<string | null>;
}

/** All machines of a host, partial where one did not answer; `machines` is in the order of the targets. */
export interface HostLook {
  readonly host: HostObservation;
  readonly machines: readonly Reading<MachineObservation>[];
  /** Calls of the provider's client that the look needed. */
  readonly calls: number;
}

/** Begins the reason of a reading that was not taken, since the last look at the same machine still hangs. */
export const STILL_HANGS = 'the last look at it still hangs';

/** What one pass saw of one runner. */
export interface RunnerLook {
  readonly target: RunnerTarget;
  readonly machine: Reading<MachineObservation>;
  /** When Runward began to stop it, by the ledger of a machine that is stopped, and has not seen it up again since; epoch milliseconds. */
  readonly leftStoppedAt?: number;
  /** What the ledger says of its drain, if that was read: see `isLedgerDue`. */
  readonly drainWord?: DrainWord;
  /** Neighbours on its machine, by name, whose drain is noted in the ledger; absent if there is none, or it was not read. */
  readonly notedNeighbours?: readonly string[];
}

/** What one pass saw. */
export interface PassObservation {
  /** Temporal's clock at the begin of the pass, epoch milliseconds. */
  readonly at: number;
  readonly scope: string;
  readonly github: Reading<ScopeObservation>;
  readonly hosts: Readonly<Record<string, Reading<HostObservation>>>;
  /** Runs that failed because of a runner's own actions cache, and are not settled yet. */
  readonly damaged: Reading<readonly DamagedRun[]>;
  readonly runners: readonly RunnerLook[];
}

/** What a pass remembers of a runner; times are epoch milliseconds by Temporal's clock, `null` where it is not so. */
export interface RunnerMemory {
  /** When its machine was last seen running. */
  readonly ranAt: number | null;
  /** Since when GitHub has called it offline, or not known it, without a pass that saw it online. */
  readonly offlineSince: number | null;
  /** Since when machine or guest have shown that the service does not run as it should. */
  readonly brokenSince: number | null;
  /** Since when the machine, or the guest of a running one, has not answered. */
  readonly silentSince: number | null;
  /** Since when it has been online and idle while a job waited that it serves. */
  readonly idleDespiteDemandSince: number | null;
  /** Since when GitHub has called it busy without a worker in its guest. */
  readonly busyAloneSince: number | null;
  /** Since when it is drained; remembered while its machine does not run, since the mark stands in the guest. */
  readonly drainedSince: number | null;
  /** When its guest last answered; absent if that is not known. */
  readonly answeredAt?: number;
  /** Since when its guest has shown that its actions cache was never cleaned; absent where it is not so. */
  readonly uncleanedSince?: number;
  /** Labels that a drain has taken away at GitHub, while it lacks one of them or the runner is drained; absent if there is none. */
  readonly cordoned?: readonly string[];
  /** Since when GitHub's list has lacked it without proof that it is gone; absent if that is not the case. */
  readonly unlistedSince?: number;
  /** Since when a drain is noted that could not be marked in its guest, whose machine did not run; absent if none is. */
  readonly notedSince?: number;
  /** GitHub's last word of it was that it goes after one job. */
  readonly isEphemeral?: true;
  /** Since when GitHub has called it idle although a stray listener has a worker; absent if that is not the case. */
  readonly straySince?: number;
}

/** A finding that is open, or was until lately. */
export interface OpenFinding {
  readonly subject: string;
  readonly code: string;
  readonly since: number;
  /** Good passes in a row; after three it is forgotten. */
  readonly goodPasses: number;
}

/** Who of several runners that show the same is recovered first. */
export interface Turn {
  /** `scope/name`. */
  readonly runner: string;
  readonly since: number;
}

/** What a pass remembers of the runners. */
export interface RunnersMemory {
  readonly at: number;
  /** By `scope/name`, without what is not so; a runner about which there is nothing to remember but that its machine ran at the pass is left out. */
  readonly runners: Readonly<Record<string, Partial<RunnerMemory>>>;
  /** The id that GitHub last gave for each runner, by `scope/name`. */
  readonly ids?: Readonly<Record<string, number>>;
  /** Runners (`scope/name`) on which a cure was at work when the pass ended. */
  readonly cures?: readonly string[];
  /** By the code of what they show. */
  readonly turns?: Readonly<Record<string, Turn>>;
  /** By the same: runners whose turn has ended by time. */
  readonly missed?: Readonly<Record<string, readonly string[]>>;
}

/** What one pass leaves for the next: comfort, never a reason to act without looking again. */
export interface PassMemory extends RunnersMemory {
  /** 2,000 at most, so that a result stays below Temporal's limit; visibility has them all. */
  readonly open: readonly OpenFinding[];
}
