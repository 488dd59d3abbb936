// Room on a machine's disk: what may go between jobs, and in which order.

import type { RoomPolicy } from './policy.ts';

/** From what is worth least up. https://docs.docker.com/reference/cli/docker/system/prune/ */
export const ROOM_SOURCES = [
  'runner-package',
  'diagnostic-logs',
  'temporary-files',
  'update-leftovers',
  'tool-caches',
  'docker',
  'journal',
  'apt',
  'workspaces',
] as const;
export type RoomSource = (typeof ROOM_SOURCES)[number];

/** What all runners of a machine share, or may share, so that none of them may have a job. */
export const SHARED_SOURCES: ReadonlySet<RoomSource> = new Set(['tool-caches', 'docker', 'journal', 'apt']);

/** What is asked of one source. */
export interface RoomWanted {
  readonly source: RoomSource;
  /** What was used or written since is kept; means nothing to `runner-package`, `temporary-files`, `update-leftovers`, `journal` and `apt`. */
  readonly unusedForMs: number;
  /** What a journal may keep. */
  readonly journalBytes: number;
}

/** The disk that the runner's directory is on. */
export interface Disk {
  readonly usedPercent: number;
  readonly freeBytes: number;
  /** `null` where the file system has no fixed number of inodes. */
  readonly inodesUsedPercent: number | null;
}

/** What came of one source. */
export type RoomMade =
  | {
      readonly kind: 'made';
      /** By the disk itself; negative where something else grew meanwhile. */
      readonly bytes: number;
      readonly items: number;
      readonly disk: Disk;
    }
  /** `why`: such as `no docker here`, or `a container runs`. */
  | { readonly kind: 'nothing'; readonly why: string; readonly disk: Disk };

/** The folder of a repository in `_work`, which belongs to its jobs. */
export interface Workspace {
  readonly name: string;
  /** `null` where it was too large to be counted in time. */
  readonly bytes: number | null;
}

/** Whether room is to be made. */
export function lacksRoom(
  { usedPercent, inodesUsedPercent }: Disk,
  policy: Pick<RoomPolicy, 'usedPercent' | 'inodesUsedPercent'>,
): boolean {
  return usedPercent >= policy.usedPercent || (inodesUsedPercent ?? 0) >= policy.inodesUsedPercent;
}

/** Whether what was made is enough. */
export function hasRoom({ usedPercent, inodesUsedPercent }: Disk, { enoughPercent }: Pick<RoomPolicy, 'enoughPercent'>): boolean {
  return usedPercent <= enoughPercent && (inodesUsedPercent ?? 0) <= enoughPercent;
}

/** Why a job may not end well with what is left, in a few words; `null` where there is enough. */
export function floorReason(
  { freeBytes, inodesUsedPercent }: Disk,
  { floorBytes, floorInodesPercent }: Pick<RoomPolicy, 'floorBytes' | 'floorInodesPercent'>,
): string | null {
  if (freeBytes < floorBytes) {
    return `${bytesText(freeBytes)} free, below ${bytesText(floorBytes)}`;
  }
  return inodesUsedPercent !== null && inodesUsedPercent >= floorInodesPercent ? `${inodesUsedPercent} % of the inodes used` : null;
}

/** Above the floor, in bytes: a disk that hovers there shall not drain and resume its runner with each check. */
const CLEAR_OF_FLOOR_BYTES = 1024 ** 3;
/** Below the floor of inodes, in percent of all. */
const CLEAR_OF_FLOOR_PERCENT = 5;

/** What a runner that was drained for lack of disk space still waits for, in a few words; `null` once it may take jobs again. */
export function resumeObstacle(disk: Disk, policy: Pick<RoomPolicy, 'floorBytes' | 'floorInodesPercent' | 'enoughPercent'>): string | null {
  const { usedPercent, freeBytes, inodesUsedPercent } = disk;
  const { floorBytes, floorInodesPercent, enoughPercent } = policy;
  const wantedBytes = floorBytes + CLEAR_OF_FLOOR_BYTES;
  if (freeBytes < floorBytes || (freeBytes < wantedBytes && usedPercent > enoughPercent)) {
    return `until ${bytesText(wantedBytes)} are free, or ${enoughPercent} % are used at most`;
  }
  const mostInodes = Math.max(enoughPercent, floorInodesPercent - CLEAR_OF_FLOOR_PERCENT);
  return inodesUsedPercent !== null && inodesUsedPercent > mostInodes ? `until ${mostInodes} % of the inodes are used at most` : null;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `512 MiB`, `1.5 GiB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10));
  const amount = bytes / 1024 ** power;
  return `${power > 0 && Math.abs(amount) < 10 ? Number(amount.toFixed(1)) : Math.round(amount)} ${UNITS[power]}`;
}

/** `82 % used, 3.1 GiB free`. */
export function diskText({ usedPercent, freeBytes, inodesUsedPercent }: Disk): string {
  const inodes = inodesUsedPercent === null ? '' : `, ${inodesUsedPercent} % of the inodes used`;
  return `${usedPercent} % used, ${bytesText(freeBytes)} free${inodes}`;
}
