// Observations with what is found in them, and what is done about it. Numbers in brackets are those of the incident catalogue.

import { describe, expect, test } from 'vitest';
import type { DamagedRun } from '../../src/domain/damaged-run.ts';
import type { DrainWord } from '../../src/domain/ledger.ts';
import { diagnose } from '../../src/domain/diagnose.ts';
import type { LogSignCode } from '../../src/domain/log-signs.ts';
import {
  STILL_HANGS,
  type HostObservation,
  type PassMemory,
  type RunnerMemory,
  type RunnersMemory,
  type PassObservation,
  type ScopeObservation,
  type WaitingJobs,
} from '../../src/domain/pass.ts';
import { DEFAULT_HEALTH_POLICY, type HealthPolicy } from '../../src/domain/policy.ts';
import { prescribe } from '../../src/domain/prescribe.ts';
import { providerHangsReason } from '../../src/domain/provider.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import type { GuestObservation, MachineState, RegisteredRunner, RunnerTarget } from '../../src/domain/runner.ts';
import type { Verdict } from '../../src/domain/finding.ts';
import { sortRefusal } from '../../src/github/refusals.ts';
import { guest, host, jobs, machine, memory, NOW, pass, queue, registered, remembered, scope, target } from '../kit/observations.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FILLED = { bytes: 26_214_400, entries: 1, damaged: 0 };
const OFFLINE: Partial<RegisteredRunner> = { status: 'offline' };
const BUSY: Partial<RegisteredRunner> = { busy: true };
const INACTIVE: Partial<GuestObservation> = { service: { unit: 'unit', state: 'inactive' }, listeners: 0 };
/** Five minutes ago. */
const LAST_PASS = NOW - 5 * MINUTE;

interface Case {
  /** `null`: not registered; a text: why GitHub could not be read. */
  readonly github?: Partial<RegisteredRunner> | null | string;
  readonly of?: Partial<ScopeObservation>;
  readonly jobs?: readonly Partial<WaitingJobs>[];
  /** A state of a machine that does not run, or why it could not be asked. */
  readonly machine?: MachineState | { readonly why: string };
  /** A text: why it does not answer. */
  readonly guest?: Partial<GuestObservation> | string;
  /** A text: why it is silent. */
  readonly host?: Partial<HostObservation> | string;
  /** Runs that failed by the cache; a text: why that could not be looked for. */
  readonly damaged?: readonly Partial<DamagedRun>[] | string;
  readonly target?: Partial<RunnerTarget>;
  readonly policy?: Partial<HealthPolicy>;
  /** What the last pass left. */
  readonly before?: Partial<RunnerMemory>;
  /** `severity code`, with `?` where it is not proven, and its cure. */
  readonly finds: readonly string[];
  /** A cure, or why there is none. */
  readonly does?: string;
  readonly verdict: Verdict;
}

function sign(code: LogSignCode, replaced: Partial<GuestObservation['log']> = {}): Pick<GuestObservation, 'log'> {
  return { log: { startedAgoMs: HOUR, exitCode: null, relaunches: 0, signs: [{ code, line: `a line of ${code}` }], ...replaced } };
}

function versions(latest: string | null, runsUntil: number | null = null, registersUntil: number | null = null): Partial<ScopeObservation> {
  return { versions: known({ latest, retirements: [{ version: '2.336.0', runsUntil, registersUntil }] }) };
}

function drained(replaced: Partial<GuestObservation> = {}): Partial<GuestObservation> {
  return { drain: { since: NOW - HOUR, by: 'person', reason: 'by hand' }, ...replaced };
}

const DAMAGED: DamagedRun = {
  runner: 'r1',
  run: 41,
  attempt: 1,
  workflow: 'CI',
  branch: 'main',
  jobs: [{ id: 5, name: 'build', path: 'actions/checkout/v4', lacks: 'entry', line: "Can't find 'action.yml'", isInLog: true }],
  otherJobs: 0,
};
const ROOMY = DEFAULT_HEALTH_POLICY.upkeep.room;

const WAITING: Partial<WaitingJobs> = { oldestAt: NOW - 6 * MINUTE };
const GONE: Partial<ScopeObservation> = { absent: { r1: { kind: 'gone', id: 7 } } };
const SEEN_BROKEN: Partial<RunnerMemory> = { ranAt: LAST_PASS, brokenSince: LAST_PASS };
const SEEN_OFFLINE: Partial<RunnerMemory> = { offlineSince: LAST_PASS };

const CASES: Readonly<Record<string, Readonly<Record<string, Case>>>> = {
  'a runner that is well': {
    idle: { finds: [], verdict: 'healthy' },
    'at work': { github: BUSY, guest: { workers: 1, workersOnMachine: 1 }, finds: [], verdict: 'healthy' },
    'a job has waited for a moment': { jobs: [{}], finds: [], verdict: 'healthy' },
    'queue of an organisation, which has none': { of: { queue: known(null) }, finds: [], verdict: 'healthy' },
    'labels that differ in case': { github: { labels: ['SELF-HOSTED', 'BPF-LSM'] }, finds: [], verdict: 'healthy' },
    'a version that is not the newest': { of: versions('2.340.0'), finds: [], verdict: 'healthy' },
  },
  'the machine': {
    'stopped, and nothing waits': {
      github: OFFLINE,
      machine: 'stopped',
      finds: ['info machine-stopped'],
      does: 'machine-stopped: stopped on purpose? no job waits for it',
      verdict: 'down',
    },
    'stopped, and a job waits for its labels': {
      github: OFFLINE,
      machine: 'stopped',
      jobs: [WAITING],
      finds: ['critical machine-stopped → recover'],
      does: 'recover, urgent',
      verdict: 'down',
    },
    'stopped, and a job waits for others': {
      github: OFFLINE,
      machine: 'stopped',
      jobs: [{ ...WAITING, labels: ['self-hosted', 'gpu'] }],
      finds: ['info machine-stopped'],
      does: 'machine-stopped: stopped on purpose? no job waits for it',
      verdict: 'down',
    },
    'stopped, removed from GitHub, and a job waits': {
      github: null,
      machine: 'stopped',
      jobs: [{ ...WAITING, labels: ['self-hosted', 'Linux', 'X64', 'bpf-lsm'], isServable: false }],
      finds: ['critical runner-unregistered?', 'critical machine-stopped → recover'],
      does: 'recover, urgent',
      verdict: 'down',
    },
    'stopped by a boot of the host': {
      github: OFFLINE,
      machine: 'stopped',
      host: { bootedAt: NOW - 3 * MINUTE },
      before: { ranAt: LAST_PASS },
      finds: ['critical machine-stopped → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'stopped before the host booted': {
      github: OFFLINE,
      machine: 'stopped',
      host: { bootedAt: NOW - HOUR },
      before: { ranAt: LAST_PASS },
      finds: ['info machine-stopped'],
      does: 'machine-stopped: stopped on purpose? no job waits for it',
      verdict: 'down',
    },
    'stopped, to run always': {
      github: OFFLINE,
      machine: 'stopped',
      policy: { autostart: 'always' },
      finds: ['critical machine-stopped → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'stopped, never to be started': {
      github: OFFLINE,
      machine: 'stopped',
      jobs: [WAITING],
      policy: { autostart: 'never' },
      finds: ['info machine-stopped'],
      does: 'machine-stopped: a check never starts it, as configured',
      verdict: 'down',
    },
    'stopped, and there are more runs than one pass reads': {
      github: OFFLINE,
      of: { queue: known({ ...queue(), queued: 900, runsNotRead: 870 }) },
      machine: 'stopped',
      finds: ['info machine-stopped'],
      does: 'machine-stopped: stopped on purpose? whether a job waits for it is unknown',
      verdict: 'down',
    },
    'stopped, and the queue is unknown': {
      github: OFFLINE,
      of: { queue: unknown('GitHub failed at GET (502)') },
      machine: 'stopped',
      finds: ['info acme/kernel: queue-unknown', 'info machine-stopped'],
      does: 'machine-stopped: stopped on purpose? whether a job waits for it is unknown',
      verdict: 'down',
    },
    'stopped while drained': {
      github: OFFLINE,
      machine: 'stopped',
      jobs: [WAITING],
      before: { drainedSince: NOW - DAY },
      finds: ['info machine-stopped', 'info drained'],
      does: 'machine-stopped: stopped on purpose? a drain holds',
      verdict: 'down',
    },
    'stopped, and GitHub is late': {
      machine: 'stopped',
      jobs: [WAITING],
      finds: ['critical runner-elsewhere?', 'critical machine-stopped? → recover'],
      does: 'machine-stopped: not proven yet: GitHub shows it online',
      verdict: 'down',
    },
    'stopped with a job that GitHub still counts': {
      github: { ...OFFLINE, ...BUSY },
      machine: 'stopped',
      jobs: [WAITING],
      finds: ['critical machine-stopped → recover'],
      does: 'recover, urgent',
      verdict: 'down',
    },
    'suspended, and a job waits': {
      github: OFFLINE,
      machine: 'suspended',
      jobs: [WAITING],
      finds: ['critical machine-suspended → recover'],
      does: 'recover, urgent',
      verdict: 'down',
    },
    missing: { github: OFFLINE, machine: 'missing', finds: ['critical machine-missing'], verdict: 'down' },
    deleted: { github: OFFLINE, machine: 'deleted', finds: ['critical machine-deleted'], verdict: 'down' },
    'unavailable, twice': {
      github: OFFLINE,
      machine: 'unavailable',
      before: SEEN_BROKEN,
      finds: ['critical machine-unavailable'],
      verdict: 'unknown',
    },
    'in an unknown state, as during a first boot': {
      github: OFFLINE,
      machine: 'unknown',
      before: SEEN_OFFLINE,
      finds: ['critical machine-state-unknown? → recover'],
      does: 'machine-state-unknown: seen once: the next scheduled check confirms before acting',
      verdict: 'unknown',
    },
    'in an unknown state twice, and offline twice': {
      github: OFFLINE,
      machine: 'unknown',
      before: { ...SEEN_OFFLINE, ...SEEN_BROKEN },
      finds: ['critical machine-state-unknown → recover'],
      does: 'recover',
      verdict: 'unknown',
    },
    'in an unknown state twice, where a job may run': {
      github: { ...OFFLINE, busy: true },
      machine: 'unknown',
      before: { ...SEEN_OFFLINE, ...SEEN_BROKEN },
      finds: ['critical machine-state-unknown → recover'],
      does: 'machine-state-unknown: busy: GitHub calls it busy',
      verdict: 'unknown',
    },
    'in an unknown state twice, and online': {
      machine: 'unknown',
      before: SEEN_BROKEN,
      finds: ['critical machine-state-unknown?'],
      verdict: 'unknown',
    },
    starting: { github: OFFLINE, machine: 'starting', finds: ['warning machine-starting?'], verdict: 'unknown' },
    'starting still': {
      github: OFFLINE,
      machine: 'starting',
      before: SEEN_BROKEN,
      finds: ['warning machine-starting'],
      verdict: 'unknown',
    },
    'its provider does not answer': {
      machine: { why: 'multipass is not installed' },
      finds: ['warning machine-unknown?'],
      verdict: 'unknown',
    },
    'its provider does not answer, offline, twice': {
      github: OFFLINE,
      machine: { why: 'multipass is not installed' },
      before: { ...SEEN_OFFLINE, silentSince: LAST_PASS },
      finds: ['critical runner-offline? → recover', 'critical machine-unknown'],
      does: 'runner-offline: unknown: machine m1 could not be asked',
      verdict: 'unknown',
    },
    'its provider hangs': {
      machine: { why: `list instances: ${providerHangsReason(15)}` },
      finds: ['warning machine-unknown?'],
      verdict: 'unknown',
    },
    'skipped since it hangs': { machine: { why: `${STILL_HANGS}: 6 min` }, finds: ['warning machine-hangs'], verdict: 'unknown' },
    'running, out of reach for one reading [19]': {
      github: OFFLINE,
      guest: 'no answer within 45 s',
      before: SEEN_OFFLINE,
      finds: ['critical guest-unreachable? → recover'],
      does: 'guest-unreachable: seen once: the next scheduled check confirms before acting',
      verdict: 'unknown',
    },
    'running, out of reach twice, and offline twice [19]': {
      github: OFFLINE,
      guest: 'no answer within 45 s',
      before: { ...SEEN_OFFLINE, silentSince: LAST_PASS },
      finds: ['critical guest-unreachable → recover'],
      does: 'recover',
      verdict: 'unknown',
    },
    'out of reach twice, but a neighbour on it is online [19]': {
      of: { runners: [registered({ name: 'r1', ...OFFLINE }), registered({ id: 8, name: 'r2' })] },
      target: { neighbours: [{ scope: 'acme/kernel', runner: 'r2' }] },
      guest: 'no answer within 45 s',
      before: { ...SEEN_OFFLINE, silentSince: LAST_PASS },
      finds: ['critical guest-unreachable'],
      verdict: 'unknown',
    },
    'out of reach, and GitHub calls it busy [19]': {
      github: { ...OFFLINE, ...BUSY },
      guest: 'no answer within 45 s',
      before: { ...SEEN_OFFLINE, silentSince: LAST_PASS },
      finds: ['critical guest-unreachable → recover'],
      does: 'guest-unreachable: busy: GitHub calls it busy',
      verdict: 'unknown',
    },
    'out of reach for us, and online': {
      guest: 'no answer within 45 s',
      before: { silentSince: LAST_PASS },
      finds: ['warning guest-unreachable'],
      verdict: 'unknown',
    },
    'disk nearly full': {
      guest: { disk: { usedPercent: 93, freeBytes: 1e9, inodesUsedPercent: 10 } },
      finds: ['warning disk-low → make-room'],
      does: 'make-room',
      verdict: 'healthy',
    },
    'inodes nearly used up': {
      guest: { disk: { usedPercent: 40, freeBytes: 1e9, inodesUsedPercent: 97 } },
      finds: ['warning inodes-low → make-room'],
      does: 'make-room',
      verdict: 'healthy',
    },
    'disk full': {
      guest: { disk: { usedPercent: 100, freeBytes: 4096, inodesUsedPercent: 10 } },
      finds: ['critical disk-full → make-room'],
      does: 'make-room',
      verdict: 'degraded',
    },
    'disk full, service ended': {
      github: OFFLINE,
      guest: { ...INACTIVE, disk: { usedPercent: 100, freeBytes: 4096, inodesUsedPercent: 10 } },
      finds: ['critical disk-full → make-room', 'critical service-inactive → recover'],
      does: 'make-room',
      verdict: 'down',
    },
    'nothing keeps its time': {
      guest: { timeSync: { service: null, isActive: false } },
      finds: ['warning time-sync-off'],
      verdict: 'healthy',
    },
    'chrony is stopped': {
      guest: { timeSync: { service: 'chrony', isActive: false } },
      finds: ['warning time-sync-off'],
      verdict: 'healthy',
    },
  },
  'the service': {
    'inactive, GitHub agrees': {
      github: OFFLINE,
      guest: INACTIVE,
      finds: ['critical service-inactive → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'inactive with a job waiting': {
      github: OFFLINE,
      guest: INACTIVE,
      jobs: [WAITING],
      finds: ['critical service-inactive → recover'],
      does: 'recover, urgent',
      verdict: 'down',
    },
    failed: {
      github: OFFLINE,
      guest: { service: { unit: 'unit', state: 'failed' }, listeners: 0 },
      finds: ['critical service-failed → recover'],
      does: 'recover',
      verdict: 'down',
    },
    missing: {
      github: OFFLINE,
      guest: { service: { unit: null, state: 'missing' }, listeners: 0 },
      finds: ['critical service-missing → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'inactive, GitHub unknown': {
      github: 'GitHub failed at GET /runners (502)',
      guest: INACTIVE,
      jobs: [WAITING],
      finds: ['warning acme/kernel: github-unknown', 'critical service-inactive? → recover'],
      does: 'service-inactive: unknown: GitHub could not be read',
      verdict: 'unknown',
    },
    'inactive in a guest that boots': {
      github: OFFLINE,
      guest: { ...INACTIVE, uptimeMs: 20_000 },
      finds: ['critical service-inactive? → recover'],
      does: 'service-inactive: seen once: the next scheduled check confirms before acting',
      verdict: 'down',
    },
    'inactive in a guest that boots after its machine was stopped for long': {
      github: OFFLINE,
      guest: { ...INACTIVE, uptimeMs: 20_000 },
      before: { ranAt: NOW - DAY, brokenSince: NOW - DAY + 5 * MINUTE, offlineSince: NOW - DAY + 5 * MINUTE },
      finds: ['critical service-inactive? → recover'],
      does: 'service-inactive: seen once: the next scheduled check confirms before acting',
      verdict: 'down',
    },
    'inactive, and GitHub shows it online: late, or alive elsewhere': {
      guest: INACTIVE,
      finds: ['critical runner-elsewhere?'],
      verdict: 'degraded',
    },
    'inactive, and online for two passes': {
      guest: INACTIVE,
      before: SEEN_BROKEN,
      finds: ['critical runner-elsewhere'],
      verdict: 'degraded',
    },
    'inactive, with a left-over listener at work [1]': {
      github: { ...OFFLINE, ...BUSY },
      guest: { service: { unit: 'unit', state: 'failed' }, workers: 1, workersOnMachine: 1 },
      before: { ...SEEN_BROKEN, ...SEEN_OFFLINE },
      finds: ['critical service-failed → recover'],
      does: 'service-failed: busy: a Runner.Worker runs in the guest; GitHub calls it busy',
      verdict: 'degraded',
    },
    'inactive while an act runs there': {
      github: OFFLINE,
      guest: { ...INACTIVE, runningAct: 'r-1.start' },
      finds: ['critical service-inactive → recover'],
      does: 'service-inactive: busy: act r-1.start runs in the guest',
      verdict: 'down',
    },
    activating: {
      github: OFFLINE,
      guest: { service: { unit: 'unit', state: 'activating' }, listeners: 0, uptimeMs: MINUTE },
      finds: ['critical service-activating? → recover'],
      does: 'service-activating: seen once: the next scheduled check confirms before acting',
      verdict: 'down',
    },
    'looping [22]': {
      github: OFFLINE,
      guest: sign('connect-error', { relaunches: 40, exitCode: 2 }),
      finds: ['critical service-looping → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'active without a listener': {
      github: OFFLINE,
      guest: { listeners: 0 },
      finds: ['critical listener-missing → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'two listeners, seen twice [6, 22]': {
      guest: { listeners: 2 },
      before: SEEN_BROKEN,
      finds: ['critical session-conflict → recover'],
      does: 'recover',
      verdict: 'degraded',
    },
    'two listeners, seen once [6, 22]': {
      guest: { listeners: 2 },
      finds: ['critical session-conflict? → recover'],
      does: 'session-conflict: seen once: the next scheduled check confirms before acting',
      verdict: 'degraded',
    },
    'ended by a session conflict [6]': {
      github: OFFLINE,
      guest: { ...INACTIVE, ...sign('session-conflict', { exitCode: 5 }) },
      finds: ['critical session-conflict → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'refused, since a clone is online [6]': {
      guest: { ...INACTIVE, ...sign('session-conflict', { exitCode: 5 }) },
      before: SEEN_BROKEN,
      finds: ['critical runner-elsewhere'],
      verdict: 'degraded',
    },
    'waiting for the session of a predecessor [6]': {
      github: OFFLINE,
      guest: sign('session-conflict'),
      finds: ['critical session-conflict? → recover'],
      does: 'session-conflict: seen once: the next scheduled check confirms before acting',
      verdict: 'down',
    },
    'its work folder is broken [25]': {
      github: OFFLINE,
      guest: { ...INACTIVE, ...sign('work-folder-broken', { exitCode: 1 }) },
      finds: ['critical work-folder-broken'],
      verdict: 'down',
    },
    'a unit that was altered': {
      guest: { service: { unit: 'u', state: 'active', altered: 'u runs as root and not as runner' } },
      finds: ['critical unit-altered → recover'],
      does: 'recover',
      verdict: 'degraded',
    },
    'a unit that was altered while a job runs': {
      guest: { service: { unit: 'u', state: 'active', altered: 'u runs as root and not as runner' }, workers: 1 },
      finds: ['critical unit-altered → recover'],
      does: 'unit-altered: busy: a Runner.Worker runs in the guest',
      verdict: 'degraded',
    },
    'half an update [8]': {
      github: OFFLINE,
      guest: { missingProgram: 'bin is missing', listeners: 0, ...sign('program-missing', { relaunches: 30 }) },
      finds: ['critical installation-broken → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'an update under way [8]': {
      github: OFFLINE,
      guest: { missingProgram: 'bin is missing', listeners: 0, ...sign('updating') },
      finds: ['critical installation-broken → recover'],
      does: 'installation-broken: busy: the runner updates itself',
      verdict: 'down',
    },
    'an update that failed': { guest: sign('update-failed'), finds: ['warning update-failed'], verdict: 'healthy' },
    'a directory that holds another runner': {
      github: OFFLINE,
      guest: { ...INACTIVE, registration: { agentId: 9, agentName: 'r9', url: 'https://github.com/acme/other' } },
      finds: ['critical directory-taken'],
      verdict: 'down',
    },
  },
  'the registration': {
    'offline, one reading [3]': {
      github: OFFLINE,
      finds: ['critical runner-offline? → recover'],
      does: 'runner-offline: seen once: the next scheduled check confirms before acting',
      verdict: 'down',
    },
    'offline, two readings': {
      github: OFFLINE,
      before: SEEN_OFFLINE,
      finds: ['critical runner-offline → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'offline while its machine was stopped, and booting now': {
      github: OFFLINE,
      guest: { uptimeMs: 20_000 },
      before: { ranAt: NOW - DAY, brokenSince: NOW - HOUR, offlineSince: NOW - HOUR },
      finds: ['critical runner-offline? → recover'],
      does: 'runner-offline: seen once: the next scheduled check confirms before acting',
      verdict: 'down',
    },
    'offline, two readings, a job waits': {
      github: OFFLINE,
      jobs: [WAITING],
      before: SEEN_OFFLINE,
      finds: ['critical runner-offline → recover'],
      does: 'recover, urgent',
      verdict: 'down',
    },
    'offline for hours while a job runs [1, 3]': {
      github: OFFLINE,
      guest: { workers: 1, workersOnMachine: 1 },
      jobs: [WAITING],
      before: { offlineSince: NOW - 3 * HOUR },
      finds: ['critical runner-offline → recover'],
      does: 'runner-offline: busy: a Runner.Worker runs in the guest',
      verdict: 'degraded',
    },
    'a word that is neither online nor offline': {
      github: { status: 'dormant' },
      before: SEEN_OFFLINE,
      finds: ['warning runner-status-unknown'],
      verdict: 'unknown',
    },
    'gone by its id, one reading': {
      github: null,
      of: GONE,
      finds: ['critical runner-unregistered? → recover'],
      does: 'runner-unregistered: seen once: the next scheduled check confirms before acting',
      verdict: 'down',
    },
    'gone by its id, in two passes': {
      github: null,
      of: GONE,
      before: SEEN_OFFLINE,
      finds: ['critical runner-unregistered → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'gone by its id, while its listener works under another one that the list may lack yet': {
      github: null,
      of: GONE,
      guest: { registration: { agentId: 8, agentName: 'r1', url: '' } },
      before: SEEN_OFFLINE,
      finds: ['warning runner-unlisted?'],
      verdict: 'unknown',
    },
    'missing in the list alone, in two passes, while its listener lives': {
      github: null,
      before: { ...SEEN_OFFLINE, unlistedSince: LAST_PASS },
      finds: ['warning runner-unlisted'],
      verdict: 'unknown',
    },
    'missing in the list alone, one reading, and its service is stopped': {
      github: null,
      guest: INACTIVE,
      finds: ['warning runner-unlisted?', 'critical service-inactive? → recover'],
      does: "service-inactive: unknown: GitHub's list lacks r1, and no id of it is known to ask by",
      verdict: 'unknown',
    },
    'missing in the list alone, in two passes, and its service is stopped': {
      github: null,
      guest: INACTIVE,
      before: { unlistedSince: LAST_PASS },
      finds: ['critical runner-unregistered → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'missing in the list, and GitHub failed at its id': {
      github: null,
      of: { absent: { r1: { kind: 'unknown', why: 'GitHub failed (502)' } } },
      guest: INACTIVE,
      before: { ...SEEN_OFFLINE, ...SEEN_BROKEN },
      finds: ['warning runner-unlisted?', 'critical service-inactive? → recover'],
      does: "service-inactive: unknown: GitHub's list lacks r1, and whether it is gone is unknown: GitHub failed (502)",
      verdict: 'unknown',
    },
    'missing in the list alone, and its guest does not answer': {
      github: null,
      guest: 'timed out',
      before: { ...SEEN_OFFLINE, silentSince: LAST_PASS },
      finds: ['warning runner-unlisted?', 'critical guest-unreachable? → recover'],
      does: "guest-unreachable: unknown: GitHub's list lacks r1, and its guest could not be asked",
      verdict: 'unknown',
    },
    'unregistered and not configured': {
      github: null,
      guest: { ...INACTIVE, registration: null },
      finds: ['critical runner-unregistered → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'deleted on GitHub, as its log says [11]': {
      github: null,
      guest: { ...INACTIVE, ...sign('registration-deleted', { exitCode: 1 }) },
      finds: ['critical registration-deleted → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'deleted by its log, contradicted by the clock [2]': {
      github: OFFLINE,
      guest: { ...INACTIVE, ...sign('registration-deleted', { exitCode: 1 }), clockOffsetMs: -2 * HOUR },
      finds: ['critical service-inactive → recover', 'critical clock-drift → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'deleted by its log, contradicted by GitHub [2]': {
      github: OFFLINE,
      guest: { ...INACTIVE, ...sign('registration-deleted', { exitCode: 1 }) },
      finds: ['warning registration-contradicted', 'critical service-inactive → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'configuration deleted by the runner itself [10]': {
      github: OFFLINE,
      guest: { ...INACTIVE, registration: null },
      finds: ['critical configuration-missing → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'another id than in the machine, offline': {
      github: { ...OFFLINE, id: 8 },
      finds: ['critical registration-mismatch → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'another id than in the machine, online [6]': { github: { id: 8 }, finds: ['critical registration-mismatch'], verdict: 'degraded' },
    'other labels': { github: { labels: ['self-hosted', 'bpf'] }, finds: ['warning labels-differ'], verdict: 'healthy' },
    'cordoned: its labels are those that it has once it is resumed': {
      github: { ...OFFLINE, labels: ['self-hosted', 'Linux', 'X64'] },
      guest: { ...INACTIVE, drain: { since: NOW, by: 'person', reason: 'r', labels: ['BPF-lsm'] } },
      finds: ['info drained'],
      verdict: 'down',
    },
    'cordoned, its machine stopped': {
      github: { ...OFFLINE, labels: ['self-hosted', 'Linux', 'X64'] },
      machine: 'stopped',
      before: { drainedSince: NOW - DAY, cordoned: ['bpf-lsm'] },
      finds: ['info machine-stopped', 'info drained'],
      does: 'machine-stopped: stopped on purpose? a drain holds',
      verdict: 'down',
    },
    'drained no more, and without the labels that its drain took away': {
      github: { labels: ['self-hosted', 'Linux', 'X64'] },
      before: { cordoned: ['bpf-lsm', 'gpu'] },
      finds: ['critical labels-lost'],
      verdict: 'degraded',
    },
    'another group': { github: { group: 'Default' }, target: { group: 'kernel' }, finds: ['warning group-differs'], verdict: 'healthy' },
    'a group that could not be read': { target: { group: 'kernel' }, finds: [], verdict: 'healthy' },
    'offline for eleven days, its machine stopped [12]': {
      github: OFFLINE,
      machine: 'stopped',
      before: { offlineSince: NOW - 11 * DAY },
      finds: ['warning removal-coming', 'info machine-stopped'],
      does: 'machine-stopped: stopped on purpose? no job waits for it',
      verdict: 'down',
    },
  },
  'the version': {
    'retired by date [7]': {
      github: OFFLINE,
      guest: INACTIVE,
      of: versions('2.340.0', NOW - DAY),
      finds: ['critical version-retired'],
      verdict: 'down',
    },
    'retired by its log [7]': {
      github: OFFLINE,
      guest: { ...INACTIVE, ...sign('version-retired', { exitCode: 1 }) },
      of: versions('2.340.0'),
      finds: ['critical version-retired'],
      verdict: 'down',
    },
    'retired, and the newest of all: an outage [7]': {
      github: OFFLINE,
      guest: { ...INACTIVE, ...sign('version-retired', { exitCode: 1 }) },
      of: versions('2.336.0'),
      finds: ['critical acme/kernel: github-outage'],
      verdict: 'down',
    },
    'the same an hour later: tried again [7]': {
      github: OFFLINE,
      guest: { ...INACTIVE, ...sign('version-retired', { exitCode: 1 }) },
      of: versions('2.336.0'),
      before: { ranAt: LAST_PASS, brokenSince: NOW - HOUR },
      finds: ['critical service-inactive → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'retired soon [7]': { of: versions('2.340.0', NOW + 10 * DAY), finds: ['warning version-retiring'], verdict: 'healthy' },
    'not to be registered any more [7]': {
      of: versions('2.340.0', null, NOW - DAY),
      finds: ['warning version-retiring'],
      verdict: 'healthy',
    },
  },
  upkeep: {
    'a run that failed by the cache': {
      damaged: [{}],
      finds: ['warning cache-damaged → heal-cache'],
      does: 'heal-cache',
      verdict: 'healthy',
    },
    'the same on another runner': { damaged: [{ runner: 'r2' }], finds: [], verdict: 'healthy' },
    'the same while a job runs': {
      github: BUSY,
      guest: { workers: 1, workersOnMachine: 1 },
      damaged: [{}],
      finds: ['warning cache-damaged → heal-cache'],
      does: 'cache-damaged: busy: a Runner.Worker runs in the guest; GitHub calls it busy',
      verdict: 'healthy',
    },
    'failed runs that could not be looked at': { damaged: 'no answer', finds: [], verdict: 'healthy' },
    'a cache that was cleaned a day ago': {
      guest: { cleanedAgoMs: DAY, cache: FILLED },
      finds: ['info cleaning-due → clean-cache'],
      does: 'clean-cache',
      verdict: 'healthy',
    },
    'a cache that was cleaned less than a day ago': { guest: { cleanedAgoMs: DAY - 1, cache: FILLED }, finds: [], verdict: 'healthy' },
    'an empty cache that was never cleaned': { guest: { cleanedAgoMs: null }, finds: [], verdict: 'healthy' },
    'a cache that was never cleaned': {
      guest: { cleanedAgoMs: null, cache: FILLED },
      finds: ['info cleaning-due → clean-cache'],
      does: 'clean-cache',
      verdict: 'healthy',
    },
    'a cleaning that finds no moment': {
      github: BUSY,
      guest: { cleanedAgoMs: 2 * DAY, cache: FILLED, workers: 1, workersOnMachine: 1 },
      finds: ['warning cleaning-due → clean-cache'],
      does: 'cleaning-due: busy: a Runner.Worker runs in the guest; GitHub calls it busy',
      verdict: 'healthy',
    },
    'a first cleaning that finds no moment': {
      guest: { cleanedAgoMs: null, cache: FILLED, workers: 1, workersOnMachine: 1 },
      github: BUSY,
      before: { uncleanedSince: NOW - DAY },
      finds: ['warning cleaning-due → clean-cache'],
      does: 'cleaning-due: busy: a Runner.Worker runs in the guest; GitHub calls it busy',
      verdict: 'healthy',
    },
    'a cleaning of a drained runner': {
      github: OFFLINE,
      guest: drained({ ...INACTIVE, cleanedAgoMs: 9 * DAY, cache: FILLED }),
      finds: ['info cleaning-due → clean-cache', 'info drained'],
      does: 'cleaning-due: skipped: it is drained',
      verdict: 'down',
    },
    'somebody else cleans': {
      guest: { foreignCleaner: { file: '/etc/cron.d/clean', line: 12 } },
      finds: ['warning foreign-cleaner'],
      verdict: 'healthy',
    },
    'a disk below the floor': {
      guest: { disk: { usedPercent: 98, freeBytes: ROOMY.floorBytes - 1, inodesUsedPercent: 10 } },
      finds: ['critical disk-below-floor → make-room'],
      does: 'make-room',
      verdict: 'degraded',
    },
    'inodes below the floor': {
      guest: { disk: { usedPercent: 40, freeBytes: 1e9, inodesUsedPercent: 98 } },
      finds: ['critical disk-below-floor → make-room'],
      does: 'make-room',
      verdict: 'degraded',
    },
    'a disk below the floor while a job runs, which no other shall follow': {
      github: BUSY,
      guest: { disk: { usedPercent: 98, freeBytes: 1e8, inodesUsedPercent: 10 }, workers: 1, workersOnMachine: 1 },
      finds: ['critical disk-below-floor → make-room'],
      does: 'make-room',
      verdict: 'degraded',
    },
    'a runner that was drained for want of room': {
      github: OFFLINE,
      guest: {
        ...INACTIVE,
        drain: { since: NOW - HOUR, by: 'room', reason: 'no room on the disk (95 MiB free' },
        disk: { usedPercent: 98, freeBytes: 1e8, inodesUsedPercent: 10 },
      },
      finds: ['critical disk-below-floor → make-room', 'info drained'],
      does: 'make-room',
      verdict: 'down',
    },
    'room before all, a damaged cache before a cleaning': {
      guest: { cleanedAgoMs: 3 * DAY, cache: FILLED, disk: { usedPercent: 91, freeBytes: 1e9, inodesUsedPercent: 10 } },
      damaged: [{}],
      finds: ['warning cache-damaged → heal-cache', 'warning cleaning-due → clean-cache', 'warning disk-low → make-room'],
      does: 'make-room',
      verdict: 'healthy',
    },
  },
  jobs: {
    'a damaged cache [9]': {
      guest: { cache: { bytes: 9_000, entries: 7, damaged: 2 } },
      finds: ['warning cache-damaged → heal-cache'],
      does: 'heal-cache',
      verdict: 'healthy',
    },
    'a cache that a job is filling [9]': {
      github: BUSY,
      guest: { cache: { bytes: 9_000, entries: 7, damaged: 2 }, workers: 1, workersOnMachine: 1 },
      finds: [],
      verdict: 'healthy',
    },
    'deaf, two readings [5]': {
      jobs: [WAITING],
      before: { idleDespiteDemandSince: LAST_PASS },
      finds: ['critical deaf-listener → recover'],
      does: 'recover, urgent, deaf-listener',
      verdict: 'degraded',
    },
    'deaf, one reading [5]': {
      jobs: [WAITING],
      finds: ['critical deaf-listener? → recover'],
      does: 'deaf-listener: seen once: the next scheduled check confirms before acting',
      verdict: 'healthy',
    },
    'a listener that came up a moment ago [5]': {
      jobs: [WAITING],
      guest: { log: { startedAgoMs: MINUTE, exitCode: null, relaunches: 0, signs: [] } },
      before: { idleDespiteDemandSince: LAST_PASS },
      finds: [],
      verdict: 'healthy',
    },
    'a job for other labels waits [1]': {
      jobs: [{ ...WAITING, labels: ['ubuntu-latest'] }],
      before: { idleDespiteDemandSince: LAST_PASS },
      finds: [],
      verdict: 'healthy',
    },
    'stuck busy for twenty minutes [4]': {
      github: BUSY,
      before: { busyAloneSince: NOW - 20 * MINUTE },
      finds: ['critical stuck-busy → recover'],
      does: 'recover, stuck-busy',
      verdict: 'degraded',
    },
    'a copy that a job left running, with a worker of its own': {
      guest: { workers: 1, strays: { listeners: 2, workers: 1, process: 4_711 } },
      finds: ['warning stray-listener'],
      verdict: 'healthy',
    },
    'such a copy in the place of the listener': {
      guest: { listeners: 0, workers: 1, strays: { listeners: 1, workers: 1, process: 4_711 } },
      before: { ...SEEN_BROKEN, straySince: NOW - 10 * MINUTE },
      finds: ['critical listener-missing → recover', 'warning stray-listener'],
      does: 'listener-missing: busy: a Runner.Worker runs in the guest',
      verdict: 'degraded',
    },
    'the same, and GitHub has called it idle for twenty minutes': {
      guest: { listeners: 0, workers: 1, strays: { listeners: 1, workers: 1, process: 4_711 } },
      before: { ...SEEN_BROKEN, straySince: NOW - 20 * MINUTE },
      finds: ['critical listener-missing → recover', 'warning stray-listener'],
      does: 'recover, stray-listener',
      verdict: 'degraded',
    },
    'the same, and GitHub calls it busy': {
      github: BUSY,
      guest: { listeners: 0, workers: 1, strays: { listeners: 1, workers: 1, process: 4_711 } },
      before: { ...SEEN_BROKEN, straySince: NOW - HOUR },
      finds: ['critical listener-missing → recover', 'warning stray-listener'],
      does: 'listener-missing: busy: a Runner.Worker runs in the guest; GitHub calls it busy',
      verdict: 'degraded',
    },
    'busy without a worker for ten minutes [4]': {
      github: BUSY,
      before: { busyAloneSince: NOW - 10 * MINUTE },
      finds: [],
      verdict: 'healthy',
    },
    'busy for long on another machine under its name [4, 6]': {
      github: { ...BUSY, id: 8 },
      before: { busyAloneSince: NOW - HOUR },
      finds: ['critical registration-mismatch'],
      verdict: 'degraded',
    },
    'busy for long on a clone that has its session [4, 6]': {
      github: BUSY,
      guest: { ...INACTIVE, ...sign('session-conflict', { exitCode: 5 }) },
      before: { ...SEEN_BROKEN, busyAloneSince: NOW - HOUR },
      finds: ['critical runner-elsewhere'],
      verdict: 'degraded',
    },
    'busy and offline after a crash, and stuck [4]': {
      github: { ...OFFLINE, ...BUSY },
      guest: INACTIVE,
      before: { ...SEEN_OFFLINE, ...SEEN_BROKEN, busyAloneSince: NOW - 25 * MINUTE },
      finds: ['critical service-inactive → recover', 'critical stuck-busy → recover'],
      does: 'recover, stuck-busy',
      verdict: 'down',
    },
    'busy and offline after a crash, the lease still lives [4]': {
      github: { ...OFFLINE, ...BUSY },
      guest: INACTIVE,
      before: { ...SEEN_OFFLINE, ...SEEN_BROKEN, busyAloneSince: NOW - 5 * MINUTE },
      finds: ['critical service-inactive → recover'],
      does: 'service-inactive: busy: GitHub calls it busy',
      verdict: 'down',
    },
    'labels that no runner has': {
      jobs: [{ labels: ['self-hosted', 'bfp-lsm'], oldestAt: NOW - HOUR, isServable: false }],
      finds: ['warning acme/kernel: jobs-unservable'],
      verdict: 'healthy',
    },
    'labels that a runner will have once it is registered': {
      github: null,
      guest: { ...INACTIVE, registration: null },
      jobs: [{ labels: ['self-hosted', 'linux', 'arm64', 'bpf-lsm'], oldestAt: NOW - HOUR, isServable: false }],
      finds: ['critical runner-unregistered → recover'],
      does: 'recover, urgent',
      verdict: 'down',
    },
  },
  clocks: {
    'the guest drifts': {
      guest: { clockOffsetMs: -90_000 },
      finds: ['critical clock-drift → sync-clock'],
      does: 'sync-clock',
      verdict: 'degraded',
    },
    'the guest drifts below the threshold': { guest: { clockOffsetMs: 59_000 }, finds: [], verdict: 'healthy' },
    'the guest drifts, and a job runs': {
      github: BUSY,
      guest: { clockOffsetMs: -90_000, workers: 1, workersOnMachine: 1 },
      finds: ['critical clock-drift → sync-clock'],
      does: 'clock-drift: busy: a Runner.Worker runs in the guest; GitHub calls it busy',
      verdict: 'degraded',
    },
    'the guest drifts, and a neighbour works': {
      guest: { clockOffsetMs: -90_000, workersOnMachine: 1 },
      finds: ['critical clock-drift → sync-clock'],
      does: 'clock-drift: busy: a Runner.Worker of a neighbour runs in the guest',
      verdict: 'degraded',
    },
    'the guest drifts and GitHub misses it, but a neighbour works': {
      github: OFFLINE,
      guest: { clockOffsetMs: 2 * HOUR, workersOnMachine: 1 },
      finds: ['critical clock-drift → recover'],
      does: 'clock-drift: busy: a Runner.Worker of a neighbour runs in the guest',
      verdict: 'down',
    },
    'the guest drifts, and GitHub misses it [2]': {
      github: OFFLINE,
      guest: { clockOffsetMs: 2 * HOUR },
      finds: ['critical clock-drift → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'the host is wrong, the guest right [20]': {
      guest: { clockOffsetMs: -2 * HOUR },
      host: { githubOffsetMs: known(2 * HOUR) },
      finds: ['critical host/local: host-clock-wrong'],
      verdict: 'healthy',
    },
    'the host is wrong, and the guest follows it': {
      host: { githubOffsetMs: known(10 * MINUTE) },
      finds: ['critical host/local: host-clock-wrong'],
      verdict: 'degraded',
    },
    'host and guest are wrong, each in its own way [20]': {
      guest: { clockOffsetMs: HOUR },
      host: { githubOffsetMs: known(10 * MINUTE) },
      finds: ['critical host/local: host-clock-wrong', 'critical clock-drift → sync-clock'],
      does: 'clock-drift: the clock of host local is wrong: set it first',
      verdict: 'degraded',
    },
    'the host is wrong, and the service of a right guest ended': {
      github: OFFLINE,
      guest: { ...INACTIVE, clockOffsetMs: 10 * MINUTE },
      host: { githubOffsetMs: known(-10 * MINUTE) },
      finds: ['critical host/local: host-clock-wrong', 'critical service-inactive → recover'],
      does: 'service-inactive: the clock of host local is wrong: set it first',
      verdict: 'down',
    },
  },
  'GitHub, the token and the host': {
    'GitHub is down [24]': {
      github: 'GitHub failed at GET /runners (502)',
      finds: ['warning acme/kernel: github-unknown'],
      verdict: 'unknown',
    },
    'GitHub is down while a job waited and the service is dead': {
      github: 'GitHub failed at GET /runners (502)',
      guest: INACTIVE,
      before: { ...SEEN_OFFLINE, ...SEEN_BROKEN },
      finds: ['warning acme/kernel: github-unknown', 'critical service-inactive? → recover'],
      does: 'service-inactive: unknown: GitHub could not be read',
      verdict: 'unknown',
    },
    'GitHub limits': {
      github: "GitHub's rate limit refused GET /runners (403): nothing more before 2026-11-24T12:40:00Z",
      finds: ['warning acme/kernel: github-limited'],
      verdict: 'unknown',
    },
    'a permission lacks': {
      of: { queue: unknown('GitHub refused GET /runs (403): the token lacks permission actions=read; give it Actions: read') },
      finds: ['warning acme/kernel: permission-missing'],
      verdict: 'healthy',
    },
    'the queue could not be read': {
      of: { queue: unknown('GitHub failed at GET /runs (502)') },
      finds: ['info acme/kernel: queue-unknown'],
      verdict: 'healthy',
    },
    'the token expires in three days': {
      of: { tokenExpiresAt: NOW + 3 * DAY },
      finds: ['warning acme/kernel: token-expiring'],
      verdict: 'healthy',
    },
    'the host is silent': {
      github: OFFLINE,
      host: 'no worker took the look within 60 s',
      before: SEEN_OFFLINE,
      finds: ['critical host/local: host-silent'],
      verdict: 'unknown',
    },
    'the host is silent, its runners online [24]': {
      host: 'no worker took the look within 60 s',
      finds: ['warning host/local: host-silent'],
      verdict: 'unknown',
    },
    'the host just woke, and its runner is offline [3, 20]': {
      github: OFFLINE,
      guest: INACTIVE,
      host: { wokeAt: NOW - MINUTE },
      before: SEEN_OFFLINE,
      finds: ['info host/local: just-woke?'],
      verdict: 'unknown',
    },
    'the host just woke, and the clock of the guest stood still [20]': {
      guest: { clockOffsetMs: -3 * HOUR },
      host: { wokeAt: NOW - MINUTE },
      finds: ['info host/local: just-woke?', 'critical clock-drift → sync-clock'],
      does: 'sync-clock',
      verdict: 'unknown',
    },
    'the host woke a while ago': {
      github: OFFLINE,
      guest: INACTIVE,
      host: { wokeAt: NOW - 10 * MINUTE },
      finds: ['critical service-inactive → recover'],
      does: 'recover',
      verdict: 'down',
    },
    'the old cron job still runs [1]': {
      host: { oldCronJob: known('*/5 * * * * /srv/health_check.sh') },
      finds: ['warning host/local: old-cron-job'],
      verdict: 'healthy',
    },
  },
  'a drain': {
    done: { github: OFFLINE, guest: drained(INACTIVE), finds: ['info drained'], verdict: 'down' },
    'done, and a job waits': {
      github: OFFLINE,
      guest: drained(INACTIVE),
      jobs: [WAITING],
      before: SEEN_OFFLINE,
      finds: ['info drained'],
      verdict: 'down',
    },
    'not finished, idle on both sides': {
      guest: drained(),
      finds: ['info drain-unfinished → finish-drain'],
      does: 'finish-drain',
      verdict: 'healthy',
    },
    'not finished, a listener outside of the stopped service': {
      guest: drained({ ...INACTIVE, strays: { listeners: 1, workers: 0, process: 4_711 } }),
      finds: ['info drain-unfinished → finish-drain', 'warning stray-listener'],
      does: 'finish-drain',
      verdict: 'degraded',
    },
    'not finished for long, and one job after the other runs: it lets each end': {
      github: BUSY,
      guest: drained({ workers: 1, workersOnMachine: 1 }),
      finds: ['info drain-unfinished → finish-drain'],
      does: 'finish-drain',
      verdict: 'healthy',
    },
    'not finished, a job runs': {
      github: BUSY,
      guest: { workers: 1, workersOnMachine: 1, drain: { since: NOW - 5 * MINUTE, by: 'person', reason: 'by hand' } },
      finds: ['info drain-unfinished → finish-drain'],
      does: 'drain-unfinished: busy: a Runner.Worker runs in the guest; GitHub calls it busy',
      verdict: 'healthy',
    },
    'not finished, GitHub unknown': {
      github: 'GitHub failed at GET /runners (502)',
      guest: drained(),
      finds: ['warning acme/kernel: github-unknown', 'info drain-unfinished? → finish-drain'],
      does: 'drain-unfinished: unknown: GitHub could not be read',
      verdict: 'unknown',
    },
    'done, and the clock drifts': {
      github: OFFLINE,
      guest: drained({ ...INACTIVE, clockOffsetMs: HOUR }),
      finds: ['info drained', 'critical clock-drift → recover'],
      does: 'clock-drift: skipped: it is drained',
      verdict: 'down',
    },
  },
};

function lookOf(given: Case) {
  const { github = {}, machine: at = 'running', guest: inside = {}, host: owner = {} } = given;
  const read = scope({
    runners: github === null ? [] : [registered(typeof github === 'string' ? {} : github)],
    queue: known(queue(...(given.jobs ?? []).map((each) => jobs(each)))),
    ...given.of,
  });
  return pass({
    github: typeof github === 'string' ? unknown(github) : known(read),
    hosts: { local: typeof owner === 'string' ? unknown(owner) : known(host(owner)) },
    damaged:
      typeof given.damaged === 'string' ? unknown(given.damaged) : known((given.damaged ?? []).map((run) => ({ ...DAMAGED, ...run }))),
    runners: [
      {
        target: target(given.target),
        machine:
          typeof at === 'object'
            ? unknown(at.why)
            : known(
                machine({
                  state: at,
                  guest: typeof inside === 'string' ? unknown(inside) : at === 'running' ? known(guest(inside)) : unknown(at),
                }),
              ),
      },
    ],
  });
}

function before(given: Partial<RunnerMemory> | undefined): PassMemory | null {
  return given === undefined ? null : memory(LAST_PASS, { 'acme/kernel/r1': remembered(given) });
}

describe.each(Object.entries(CASES))('%s', (_about, cases) => {
  test.each(Object.entries(cases))('%s', (_name, given) => {
    const policy = { ...DEFAULT_HEALTH_POLICY, ...given.policy };
    const seen = lookOf(given);
    const diagnosis = diagnose(seen, before(given.before), policy);
    expect(
      diagnosis.findings.map(
        ({ severity, subject, code, isProven, cure }) =>
          `${severity} ${subject === 'acme/kernel/r1' ? '' : `${subject}: `}${code}${isProven ? '' : '?'}${cure === null ? '' : ` → ${cure}`}`,
      ),
    ).toEqual(given.finds);
    expect(diagnosis.runners).toEqual([{ runner: 'acme/kernel/r1', verdict: given.verdict }]);
    const { prescriptions, withheld } = prescribe(diagnosis, seen, { ledgers: {}, policy });
    const [cure] = prescriptions;
    expect(
      cure === undefined
        ? withheld[0] && `${withheld[0].because}: ${withheld[0].why}`
        : `${cure.cure}${cure.isUrgent ? ', urgent' : ''}${cure.suspicion === null ? '' : `, ${cure.suspicion}`}`,
    ).toBe(given.does);
  });
});

describe('a drain that is noted, since its machine did not run', () => {
  const wanted = { github: OFFLINE, jobs: [WAITING], finds: [], verdict: 'down' } as const;
  const looked = (given: Partial<Case>, drainWord?: DrainWord): PassObservation => {
    const seen = lookOf({ ...wanted, ...given });
    const [runner] = seen.runners;
    return { ...seen, runners: [{ ...runner!, ...(drainWord === undefined ? {} : { drainWord }) }] };
  };
  const NOTED: DrainWord = { isDrained: true, isNoted: true, at: NOW - HOUR };

  test('keeps it from being started for a job, also once the ledger has forgotten it', () => {
    const first = diagnose(looked({ machine: 'stopped' }, NOTED), null, DEFAULT_HEALTH_POLICY);
    const later = { ...looked({ machine: 'stopped' }), at: NOW + 5 * MINUTE };
    for (const { findings } of [first, diagnose(later, first.memory, DEFAULT_HEALTH_POLICY)]) {
      expect(findings.find(({ code }) => code === 'machine-stopped')).toMatchObject({ severity: 'info', cure: null });
    }
    const resumed = looked({ machine: 'stopped' }, { isDrained: false, isNoted: false, at: NOW });
    const [stopped] = diagnose(resumed, first.memory, DEFAULT_HEALTH_POLICY).findings.filter(({ code }) => code === 'machine-stopped');
    expect(stopped).toMatchObject({ severity: 'critical', cure: 'recover' });
  });

  test('holds no more than what its guest has shown since', () => {
    const marked = looked({ guest: { ...INACTIVE, ...drained() }, jobs: [] });
    const { memory } = diagnose(marked, null, DEFAULT_HEALTH_POLICY);
    // Also if a clock was ahead then.
    for (const at of [NOW - HOUR, NOW + 7 * DAY]) {
      const resumedBefore: DrainWord = { isDrained: false, isNoted: false, at };
      const later = { ...looked({ machine: 'stopped' }, resumedBefore), at: NOW + 5 * MINUTE };
      const { findings } = diagnose(later, memory, DEFAULT_HEALTH_POLICY);
      expect(findings.find(({ code }) => code === 'machine-stopped')).toMatchObject({ severity: 'info', cure: null });
    }
  });

  test('is not undone with a drain for want of room that its guest is marked by', () => {
    const { memory: left } = diagnose(looked({ machine: 'stopped' }, NOTED), null, DEFAULT_HEALTH_POLICY);
    const forRoom = { ...INACTIVE, drain: { since: NOW - DAY, by: 'room', reason: 'with 300 MiB free' } } as const;
    let memory: RunnersMemory = left;
    for (let minute = 1; minute < 12; minute += 5) {
      const seen = { ...looked({ guest: forRoom, jobs: [] }, NOTED), at: NOW + minute * MINUTE };
      const diagnosis = diagnose(seen, memory, DEFAULT_HEALTH_POLICY);
      const { prescriptions } = prescribe(diagnosis, seen, { ledgers: {}, policy: DEFAULT_HEALTH_POLICY });
      expect(prescriptions.filter(({ cure }) => cure === 'make-room')).toEqual([]);
      ({ memory } = diagnosis);
    }
  });

  test('of a neighbour keeps their machine from being started for a job, and that is told', () => {
    const shared = { ...looked({ machine: 'stopped' }) };
    const seen = { ...shared, runners: shared.runners.map((runner) => ({ ...runner, notedNeighbours: ['r2'] })) };
    const diagnosis = diagnose(seen, null, DEFAULT_HEALTH_POLICY);
    expect(diagnosis.findings.find(({ code }) => code === 'machine-stopped')).toMatchObject({
      severity: 'critical',
      cure: null,
      evidence: 'run 77 waits for it, but r2 was drained while m1 did not run, and would take jobs if it was started',
      advice: 'run `runward runner resume --runner r2`, or start m1 yourself: the next check drains r2 then',
    });
    expect(prescribe(diagnosis, seen, { ledgers: {}, policy: DEFAULT_HEALTH_POLICY }).prescriptions).toEqual([]);
    const unwanted = { ...seen, github: looked({ machine: 'stopped', jobs: [] }).github };
    const [stopped] = diagnose(unwanted, null, DEFAULT_HEALTH_POLICY).findings;
    expect(stopped).toMatchObject({ code: 'machine-stopped', severity: 'info' });
  });

  test('is finished once its machine runs, and then the mark holds', () => {
    const { memory: left } = diagnose(looked({ machine: 'stopped' }, NOTED), null, DEFAULT_HEALTH_POLICY);
    const started = diagnose({ ...looked({ github: {}, jobs: [] }, NOTED), at: NOW + MINUTE }, left, DEFAULT_HEALTH_POLICY);
    expect(started.findings).toMatchObject([{ code: 'drain-unfinished', cure: 'finish-drain' }]);
    const marked = looked({ guest: { ...INACTIVE, ...drained() }, jobs: [] });
    const after = diagnose({ ...marked, at: NOW + 6 * MINUTE }, started.memory, DEFAULT_HEALTH_POLICY);
    expect(after.memory.runners['acme/kernel/r1']?.notedSince).toBeUndefined();
    expect(after.findings).toMatchObject([{ code: 'drained' }]);
  });
});

test('what was remembered while the clock was ahead is as old as this pass, and counts from the next one on', () => {
  const ahead = NOW + 365 * 24 * HOUR;
  const seen = lookOf({ github: OFFLINE, finds: [], verdict: 'down' });
  const first = diagnose(seen, memory(ahead, { 'acme/kernel/r1': remembered({ offlineSince: ahead }) }), DEFAULT_HEALTH_POLICY);
  expect(first.findings).toMatchObject([{ code: 'runner-offline', isProven: false }]);
  const second = diagnose({ ...seen, at: NOW + 5 * MINUTE }, first.memory, DEFAULT_HEALTH_POLICY);
  expect(second.findings).toMatchObject([{ code: 'runner-offline', isProven: true }]);
});

test('a provider that hangs is told with its likely cause and how its daemon is restarted, for one machine and for several', () => {
  const why = `list instances: ${providerHangsReason(15)}`;
  const one = lookOf({ machine: { why }, finds: [], verdict: 'unknown' });
  const [runner] = one.runners;
  const two = { ...one, runners: [runner!, { ...runner!, target: target({ runner: 'r2', machine: 'm2' }) }] };
  for (const [seen, code] of [
    [one, 'machine-unknown'],
    [two, 'provider-silent'],
  ] as const) {
    expect(diagnose(seen, null, DEFAULT_HEALTH_POLICY).findings[0]).toMatchObject({
      code,
      evidence: expect.stringContaining('most likely on a guest whose SSH is dead'),
      advice: expect.stringMatching(/snap restart multipass.*launchctl kickstart.*systemctl restart multipassd/),
    });
  }
});

const ASKED = { what: 'GET /runners', scope: 'acme/kernel', needs: 'administration=read' };

test.each([
  [
    'a name that GitHub does not know',
    sortRefusal(ASKED, { status: 404, headers: {}, data: { message: 'Not Found' } }, 0).message,
    'check the name acme/kernel',
  ],
  [
    'a wrong token',
    sortRefusal(ASKED, { status: 401, headers: {}, data: { message: 'Bad credentials' } }, 0).message,
    'set GH_TOKEN to a token',
  ],
  ['no token at all', '`gh` is not installed, and no GH_TOKEN is set; set GH_TOKEN', 'set GH_TOKEN to a token'],
  ['a silent GitHub', 'GitHub failed at GET /runners (502)', 'wait, and look at githubstatus.com'],
])('%s is told with what helps against that', (_name, why, advice) => {
  const [told] = diagnose(lookOf({ github: why, finds: [], verdict: 'unknown' }), null, DEFAULT_HEALTH_POLICY).findings;
  expect(told?.advice.startsWith(advice), told?.advice).toBe(true);
});

test('no advice names a command that hangs the daemon: a plain list, info or stop', () => {
  const cases = Object.values(CASES).flatMap((each) => Object.values(each));
  const advice = cases.flatMap((given) =>
    diagnose(lookOf(given), before(given.before), DEFAULT_HEALTH_POLICY).findings.map((each) => each.advice),
  );
  expect(advice.filter((text) => /multipass (list(?! --no-ipv4)|info|stop(?! --force))/.test(text))).toEqual([]);
});
