import { describe, expect, test } from 'vitest';
import { known } from '../../src/domain/reading.ts';
import { runnerStatus } from '../../src/domain/status.ts';
import { guest, look, machine, target } from '../kit/observations.ts';

function findings(seen: Parameters<typeof guest>[0]): readonly string[] {
  return runnerStatus(target(), look({ machine: known(machine({ guest: known(guest(seen)) })) })).findings.map(
    ({ code, summary, advice }) => `${code}: ${summary}; ${advice}`,
  );
}

describe('what the guest shows becomes a finding that says what to do', () => {
  test('nothing where all is well', () => {
    expect(findings({})).toEqual([]);
  });

  test('a program of the runner that is missing', () => {
    expect(findings({ missingProgram: 'bin is missing' })).toEqual([
      expect.stringMatching(
        /^installation-broken: the programs of r1 are broken: bin is missing; run `runward recover --runner r1`.*unpack/,
      ),
    ]);
  });

  test('a disk that is full', () => {
    expect(findings({ disk: { usedPercent: 100, freeBytes: 4096, inodesUsedPercent: null } })).toEqual([
      expect.stringMatching(/^disk-full: the disk of m1 is full; make room/),
    ]);
  });
});
