import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { LogSignCode } from '../../domain/log-signs.ts';
import { cacheAndDisk, healthyCacheAndDisk } from './cache-and-disk.ts';

/** The files `.runner` and `.credentials` that config.sh writes. */
const configuration = z.object({ agentId: z.int(), agentName: z.string(), url: z.string(), credential: z.string() });

/** What the service's journal says since its start; `startedAt` in epoch milliseconds by the host's clock. */
const serviceLog = z.object({
  startedAt: z.number().nullable(),
  exitCode: z.int().nullable(),
  relaunches: z.int(),
  signs: z.array(z.object({ code: z.custom<LogSignCode>((code) => typeof code === 'string'), line: z.string() })),
});

const installedRunner = z.object({
  configuration: configuration.nullable(),
  /** What a recovery has set aside, be it nothing; `null`: no recovery is under way. */
  aside: z.object({ configuration: configuration.nullable() }).nullable(),
  /** A recovery that has set it aside and not brought it to serve again: who holds it, and since when, by the host's clock. */
  unfinished: z.object({ holder: z.string(), since: z.number() }).nullable().default(null),
  /** The unit that svc.sh installed; `null` without one. */
  unit: z.object({ name: z.string(), state: z.enum(['active', 'inactive', 'failed']), startsAtBoot: z.boolean().default(true) }).nullable(),
  /** The mark of a drained runner; `since` in epoch milliseconds by the guest's clock. */
  drain: z
    .object({
      since: z.number(),
      by: z.enum(['person', 'room']),
      reason: z.string(),
      labels: z.array(z.string()).readonly().exactOptional(),
    })
    .nullable()
    .default(null),
  /** What the runner's programs lack to run; `null` where they are whole. */
  missingProgram: z.string().nullable().default(null),
  log: serviceLog.default({ startedAt: null, exitCode: null, relaunches: 0, signs: [] }),
  /** The job that runs; `endsAt` in epoch milliseconds by the host's clock. */
  job: z.object({ id: z.int(), name: z.string(), endsAt: z.number() }).nullable(),
  held: cacheAndDisk.default(healthyCacheAndDisk),
});

export const HEALTHY_TIME_SYNC = { service: 'timesyncd' as const, isActive: true };
export const HEALTHY_DISK = { usedPercent: 41, freeBytes: 23_622_320_128, inodesUsedPercent: 12 };

/** As new as the newest that the make-believe GitHub names. */
export const KEPT_PACKAGE = '2.337.0';

const machine = z.object({
  state: z.enum(['running', 'stopped', 'suspended', 'starting']),
  bootId: z.string(),
  /** Epoch milliseconds by the host's clock. */
  bootedAt: z.number().default(() => Date.now()),
  /** Whether commands reach the guest; a restart lets them again. */
  isReachable: z.boolean().default(true),
  /** Guest's clock minus host's clock. */
  clockOffsetMs: z.number(),
  timeSync: z.object({ service: z.enum(['timesyncd', 'chrony']).nullable(), isActive: z.boolean() }).default(HEALTHY_TIME_SYNC),
  disk: z.object({ usedPercent: z.number(), freeBytes: z.number(), inodesUsedPercent: z.number().nullable() }).default(HEALTHY_DISK),
  /** Version of the runner's package that it keeps; `null` for none. */
  packageVersion: z.string().nullable().default(KEPT_PACKAGE),
  /** Whether it has a way to where packages are. */
  hasWayOut: z.boolean().default(true),
  fence: z.object({ number: z.int(), holder: z.string() }),
  /** Results of acts that succeeded, by key. */
  records: z.record(z.string(), z.looseObject({ kind: z.string() })),
  /** By directory. */
  runners: z.record(z.string(), installedRunner),
});

const machines = z.record(z.string(), machine);

export type Configuration = z.infer<typeof configuration>;
export type ServiceLog = z.infer<typeof serviceLog>;
export type InstalledRunner = z.infer<typeof installedRunner>;
export type Machine = z.infer<typeof machine>;
export type Machines = z.infer<typeof machines>;

/** The machines that a file remembers; none where there is no file yet. */
export function readMachines(file: string): Machines {
  let written: string;
  try {
    written = readFileSync(file, 'utf8');
  } catch {
    return {};
  }
  return machines.parse(JSON.parse(written));
}

/** Replaces the file in one stroke, so that a process that is killed never leaves half of it. */
export function writeMachines(file: string, state: Machines): void {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.new`;
  writeFileSync(draft, JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(draft, file);
}
