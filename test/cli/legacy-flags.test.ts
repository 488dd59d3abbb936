import { describe, expect, test } from 'vitest';
import { translateLegacyFlags } from '../../src/cli/legacy-flags.ts';

function argumentsOf(...given: string[]): readonly string[] {
  const translation = translateLegacyFlags(given);
  expect(translation).toMatchObject({ kind: 'arguments', say: null });
  return translation.kind === 'arguments' ? translation.arguments : [];
}

describe('translateLegacyFlags', () => {
  test.each([
    ['--status', 'status'],
    ['--recover', 'recover'],
    ['--cancel-stale', 'queue cancel-stale --yes'],
    ['--cancel-superseded', 'queue cancel-superseded --yes'],
    ['--prioritize-prs', 'queue prioritize-prs --yes'],
    ['--optimize-queue', 'queue optimize --yes'],
    ['--clean-cache', 'cache clean'],
    ['--clear-cache', 'cache clear'],
    ['--heal-cache', 'cache heal'],
  ])('%s is %s', (flag, verb) => {
    expect(argumentsOf(flag)).toEqual(verb.split(' '));
  });

  test('no argument at all is check', () => {
    expect(argumentsOf()).toEqual(['check']);
  });

  test('--install-cron is schedule apply, and says so', () => {
    expect(translateLegacyFlags(['--install-cron'])).toEqual({
      kind: 'arguments',
      arguments: ['schedule', 'apply'],
      say: expect.stringContaining('runward schedule apply'),
    });
  });

  test('other options keep their order behind the verb', () => {
    expect(argumentsOf('--runner', 'builder-1', '--recover', '--json')).toEqual(['recover', '--runner', 'builder-1', '--json']);
  });

  test('what cancels runs asks nobody, as the script did, and still only plans where that is wanted', () => {
    expect(argumentsOf('--dry-run', '--optimize-queue')).toEqual(['queue', 'optimize', '--yes', '--dry-run']);
  });

  test('a flag given twice is one flag', () => {
    expect(argumentsOf('--recover', '--recover')).toEqual(['recover']);
  });

  test('behind a verb nothing is translated', () => {
    expect(argumentsOf('history', '--status')).toEqual(['history', '--status']);
  });

  test('options without a flag of the script are left alone', () => {
    expect(argumentsOf('--help')).toEqual(['--help']);
    expect(argumentsOf('--constructor')).toEqual(['--constructor']);
  });

  test('several flags at once are a mistake that names the commands to run', () => {
    expect(translateLegacyFlags(['--cancel-stale', '--heal-cache'])).toEqual({
      kind: 'mistake',
      message: expect.stringContaining('runward queue cancel-stale --yes; runward cache heal'),
    });
  });
});
