// Room on a machine's disk: what may go between jobs, and in which order.

/** From what is worth least up. https://docs.docker.com/reference/cli/docker/system/prune/ */
export const ROOM_SOURCES = [
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

/** What is asked of one source. */
export interface RoomWanted {
  readonly source: RoomSource;
  /** What was used or written since is kept; means nothing to `temporary-files`, `update-leftovers`, `journal` and `apt`. */
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
  readonly bytes: number;
}
