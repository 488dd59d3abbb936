import { describe, expect, test } from 'vitest';
import { known, unknown } from '../../src/domain/reading.ts';
import { runnerStatus, scopeStatus } from '../../src/domain/status.ts';
import { guest, host, look, machine, NOW, pass, target } from '../kit/observations.ts';

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
      expect.stringMatching(/^disk-full: the disk of m1 is full; free disk space/),
    ]);
  });
});

describe('a scope', () => {
  test('tells what concerns all its runners once, and of each runner its own', () => {
    const seen = pass({
      hosts: { local: known(host({ githubOffsetMs: known(600_000) })) },
      runners: [
        { target: target(), machine: known(machine({ guest: known(guest({ timeSync: { service: 'chrony', isActive: false } })) })) },
      ],
    });
    const { runners, findings: shared } = scopeStatus(seen, null);
    expect(shared.map(({ code }) => code)).toEqual(['host-clock-wrong']);
    expect(runners).toMatchObject([{ name: 'r1', version: { installed: '2.336.0', latest: '2.337.0' } }]);
    expect(runners[0]?.findings.map((finding) => Object.keys(finding))).toEqual([['code', 'severity', 'summary', 'evidence', 'advice']]);
  });

  test('explains every figure that is null', () => {
    const { runners, findings: shared } = scopeStatus(pass({ github: unknown('GitHub failed (502)'), at: NOW }), null);
    expect(shared.map(({ code, evidence }) => `${code}: ${evidence}`)).toEqual([
      'github-unknown: GitHub failed (502)',
      'queue-unknown: GitHub failed (502)',
    ]);
    expect(runners).toMatchObject([{ verdict: 'unknown', github: { status: null }, service: { state: 'active' } }]);
  });

  test('a runner alone is told what concerns its scope as well', () => {
    const { verdict, findings: all } = runnerStatus(
      target(),
      look({ github: unknown('GitHub failed (502)'), machine: unknown('no client') }),
    );
    expect(verdict).toBe('unknown');
    expect(all.map(({ code }) => code)).toEqual(['github-unknown', 'machine-unknown']);
  });
});
