// What the make-believe guest holds on its disk that may go: the actions cache, workspaces, and room to be made.

import { z } from 'zod';
import type { CacheDamage, CacheEntry, CacheListed, CacheRemoved, CacheWanted, NamedDamage } from '../../domain/cache.ts';
import type { Disk, RoomMade, RoomSource, RoomWanted } from '../../domain/room.ts';
import type { GuestObservation } from '../../domain/runner.ts';
import { MachineError } from '../../machine/port.ts';

const damage = z.object({
  state: z.enum(['missing', 'empty', 'no-manifest', 'unreadable', 'whole']),
  owner: z.string().nullable(),
  mode: z.string().nullable(),
  isImmutable: z.boolean(),
});

const cacheEntry = z.object({
  path: z.string(),
  bytes: z.number(),
  unusedMs: z.number().nullable(),
  /** `null`: it is whole. */
  damage: damage.nullable().default(null),
});

/** What a source gives once it is asked: room, nothing, or an act that fails. */
const source = z.union([
  z.object({ bytes: z.number(), items: z.number() }),
  z.object({ nothing: z.string() }),
  z.object({ fails: z.string() }),
]);

export const cacheAndDisk = z.object({
  entries: z.array(cacheEntry),
  /** When the cache was last cleaned of what is unused, epoch milliseconds by the host's clock; `null`: never. */
  cleanedAt: z.number().nullable(),
  foreignCleaner: z.object({ file: z.string(), line: z.number().nullable() }).nullable(),
  /** What each source would give; nothing where it is not named. */
  sources: z.partialRecord(
    z.custom<RoomSource>((name) => typeof name === 'string'),
    source,
  ),
  workspaces: z.array(z.object({ name: z.string(), bytes: z.number().nullable() })),
});

export type CacheAndDisk = z.infer<typeof cacheAndDisk>;
export type SandboxCacheEntry = z.input<typeof cacheEntry>;
export type SandboxRoomSource = z.infer<typeof source>;

const AN_HOUR_MS = 3_600_000;
const ACTIONS = ['checkout', 'setup-node', 'setup-go', 'setup-python', 'cache', 'upload-artifact', 'download-artifact'];
const ACTION_BYTES = 26_843_545;

/** Of the disk that a machine has. */
const DISK_BYTES = 40_037_830_720;

export function healthyCacheAndDisk(): CacheAndDisk {
  return {
    entries: ACTIONS.map((name) => ({ path: `actions/${name}/v4`, bytes: ACTION_BYTES, unusedMs: AN_HOUR_MS, damage: null })),
    cleanedAt: Date.now() - AN_HOUR_MS,
    foreignCleaner: null,
    sources: {},
    workspaces: [
      { name: 'widgets', bytes: 1_288_490_188 },
      { name: 'gadgets', bytes: 134_217_728 },
    ],
  };
}

export function parseEntries(entries: readonly SandboxCacheEntry[]): CacheAndDisk['entries'] {
  return z.array(cacheEntry).parse(entries);
}

/** What a look says of it. */
export function lookAt(held: CacheAndDisk): Pick<GuestObservation, 'work' | 'cache' | 'cleanedAgoMs' | 'foreignCleaner'> {
  const bytes = sum(held.entries);
  return {
    work: { bytes: sum(held.workspaces) + bytes, entries: held.workspaces.length + 2 },
    cache: { bytes, entries: held.entries.length, damaged: held.entries.filter(isSeenDamaged).length },
    cleanedAgoMs: held.cleanedAt === null ? null : Math.max(0, Date.now() - held.cleanedAt),
    ...(held.foreignCleaner === null ? {} : { foreignCleaner: held.foreignCleaner }),
  };
}

/** @param owner user that the runner runs as */
export function listCache({ entries }: CacheAndDisk, wanted: CacheWanted, owner: string): CacheListed {
  const found = largestFirst(toGo(entries, wanted));
  return {
    bytes: sum(entries),
    entries: entries.length,
    found: found.slice(0, 100).map(({ path, bytes, unusedMs }): CacheEntry => ({ path, bytes, unusedMs })),
    foundBytes: sum(found),
    foundEntries: found.length,
    damage: damageNamed(entries, wanted, owner),
  };
}

/** @param owner user that the runner runs as */
export function removeFromCache(held: CacheAndDisk, disk: Disk, wanted: CacheWanted, owner: string): { removed: CacheRemoved; disk: Disk } {
  const gone = largestFirst(toGo(held.entries, wanted));
  const bytes = sum(gone);
  const removed: CacheRemoved = {
    kind: 'removed',
    isAll: wanted.kind === 'all',
    entries: gone.length,
    bytes,
    unmeasured: 0,
    names: gone.slice(0, 50).map(({ path }) => path),
    damage: damageNamed(held.entries, wanted, owner),
    freeBytes: disk.freeBytes,
    freeInodes: disk.inodesUsedPercent === null ? null : Math.round(((100 - disk.inodesUsedPercent) * DISK_BYTES) / 100 / 16_384),
  };
  held.entries = held.entries.filter((entry) => !gone.includes(entry));
  if (wanted.kind === 'unused') {
    held.cleanedAt = Date.now();
  }
  return { removed, disk: withRoom(disk, bytes) };
}

export function makeRoom(held: CacheAndDisk, disk: Disk, { source: name }: RoomWanted): RoomMade {
  const given = held.sources[name] ?? { nothing: `there is nothing of ${name}` };
  if ('fails' in given) {
    throw new MachineError('act-failed', `make-room ended with exit-code exited 1`, { evidence: given.fails });
  }
  if ('nothing' in given) {
    return { kind: 'nothing', why: given.nothing, disk };
  }
  delete held.sources[name];
  return { kind: 'made', ...given, disk: withRoom(disk, given.bytes) };
}

/** What all runners of the machine share, so that all of them must be idle. */
export function concernsMachine(name: RoomSource): boolean {
  return name === 'docker' || name === 'journal' || name === 'apt';
}

function toGo(entries: CacheAndDisk['entries'], wanted: CacheWanted): CacheAndDisk['entries'] {
  switch (wanted.kind) {
    case 'all':
      return entries;
    case 'unused':
      return entries.filter(({ unusedMs }) => unusedMs !== null && unusedMs >= wanted.forMs);
    case 'damaged': {
      if (wanted.named.length === 0) {
        return entries.filter(isSeenDamaged);
      }
      const damaged = wanted.named.filter((named) => damageAt(entries, named, '').state !== 'whole');
      const found = damaged.map(({ path }) => entryAt(entries, path));
      return entries.filter((entry) => found.includes(entry));
    }
  }
}

function damageNamed(entries: CacheAndDisk['entries'], wanted: CacheWanted, owner: string): readonly CacheDamage[] {
  if (wanted.kind !== 'damaged') {
    return [];
  }
  const seen = entries.filter(isSeenDamaged).map(({ path }) => ({ path, lacks: 'entry' as const }));
  return (wanted.named.length === 0 ? seen : wanted.named).map((named) => damageAt(entries, named, owner));
}

function entryAt(entries: CacheAndDisk['entries'], path: string): CacheAndDisk['entries'][number] | undefined {
  return entries.find((entry) => path === entry.path || path.startsWith(`${entry.path}/`));
}

/** An entry that is whole holds its manifest and nothing else. */
function damageAt(entries: CacheAndDisk['entries'], { path, lacks }: NamedDamage, owner: string): CacheDamage {
  const entry = entryAt(entries, path);
  const missing = { path, state: 'missing', owner: null, mode: null, isImmutable: false } as const;
  if (entry === undefined) {
    return missing;
  }
  if (entry.damage !== null) {
    return { path, ...entry.damage };
  }
  return lacks !== 'entry' && path !== entry.path ? missing : { path, state: 'whole', owner, mode: '755', isImmutable: false };
}

/** What a look sees of damage: that an entry which counts as whole is empty or gone. */
function isSeenDamaged({ damage: found }: CacheAndDisk['entries'][number]): boolean {
  return found?.state === 'empty' || found?.state === 'missing';
}

function withRoom(disk: Disk, bytes: number): Disk {
  const percent = Math.floor((100 * bytes) / DISK_BYTES);
  return { ...disk, freeBytes: disk.freeBytes + bytes, usedPercent: Math.max(0, disk.usedPercent - percent) };
}

function largestFirst<T extends { readonly bytes: number }>(things: readonly T[]): T[] {
  return things.toSorted((one, other) => other.bytes - one.bytes);
}

function sum(things: readonly { readonly bytes: number | null }[]): number {
  return things.reduce((bytes, thing) => bytes + (thing.bytes ?? 0), 0);
}
