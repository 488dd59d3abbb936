import { describe, expect, test } from 'vitest';
import { DEFAULT_UPKEEP_POLICY } from '../../src/domain/policy.ts';
import { bytesText, diskText, floorReason, hasRoom, lacksRoom, resumeObstacle, type Disk } from '../../src/domain/room.ts';

const POLICY = DEFAULT_UPKEEP_POLICY.room;
const MIB = 1024 * 1024;
const disk = (usedPercent: number, inodesUsedPercent: number | null = 10, freeBytes = 4096 * MIB): Disk => ({
  usedPercent,
  inodesUsedPercent,
  freeBytes,
});

describe('a disk', () => {
  test.each<[Disk, lacks: boolean, has: boolean]>([
    [disk(85), false, true],
    [disk(86), false, false],
    [disk(89), false, false],
    [disk(90), true, false],
    [disk(50, 90), true, false],
    [disk(50, 86), false, false],
    [disk(50, null), false, true],
  ])('%j', (seen, lacks, has) => {
    expect([lacksRoom(seen, POLICY), hasRoom(seen, POLICY)]).toEqual([lacks, has]);
  });

  test('is below the floor by bytes or by inodes, and says by which', () => {
    expect(floorReason(disk(95, 10, 512 * MIB), POLICY)).toBeNull();
    expect(floorReason(disk(95, 10, 512 * MIB - 1), POLICY)).toBe('512 MiB free, below 512 MiB');
    expect(floorReason(disk(95, 10, 100 * MIB), POLICY)).toBe('100 MiB free, below 512 MiB');
    expect(floorReason(disk(40, 98), POLICY)).toBe('98 % of the inodes used');
    expect(floorReason(disk(40, null), POLICY)).toBeNull();
  });

  test.each<[Disk, string | null]>([
    [disk(97, 10, 512 * MIB), 'until 1.5 GiB are free, or 85 % are used at most'],
    [disk(97, 10, 1536 * MIB - 1), 'until 1.5 GiB are free, or 85 % are used at most'],
    [disk(97, 10, 1536 * MIB), null],
    [disk(85, 10, 512 * MIB), null],
    [disk(85, 10, 512 * MIB - 1), 'until 1.5 GiB are free, or 85 % are used at most'],
    [disk(40, 97), 'until 93 % of the inodes are used at most'],
    [disk(40, 93), null],
    [disk(40, null), null],
  ])('%j lets a runner that was drained for it take jobs again, or not: %s', (seen, obstacle) => {
    expect(resumeObstacle(seen, POLICY)).toBe(obstacle);
  });

  test('reads as a person would say it', () => {
    expect(diskText(disk(82))).toBe('82 % used, 4 GiB free, 10 % of the inodes used');
    expect([0, 1, 1023, 1024, 1536, 10 * MIB, -3 * MIB, 1e15].map(bytesText)).toEqual([
      '0 B',
      '1 B',
      '1023 B',
      '1 KiB',
      '1.5 KiB',
      '10 MiB',
      '-3 MiB',
      '909 TiB',
    ]);
  });
});
