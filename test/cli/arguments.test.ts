import { describe, expect, test } from 'vitest';
import { translateArguments } from '../../src/cli/arguments.ts';

function argumentsOf(...given: string[]): readonly string[] {
  const translation = translateArguments(given, { isTerminal: false });
  expect(translation).toMatchObject({ kind: 'arguments', say: null });
  return translation.kind === 'arguments' ? translation.arguments : [];
}

describe('translateArguments', () => {
  test.each([
    ['--status', 'status'],
    ['--recover', 'recover'],
    ['--cancel-stale', 'queue cancel-stale --yes'],
    ['--cancel-superseded', 'queue cancel-superseded --yes'],
    ['--prioritize-prs', 'queue prioritize-prs --yes'],
    ['--optimize-queue', 'queue optimize --yes'],
    ['--clean-cache', 'cache clean'],
    ['--clear-cache', 'cache clear --yes'],
    ['--heal-cache', 'cache heal'],
  ])('%s is %s', (flag, verb) => {
    expect(argumentsOf(flag)).toEqual(verb.split(' '));
  });

  test('no argument at all is check for scripts, and on a terminal the status with a hint', () => {
    expect(argumentsOf()).toEqual(['check']);
    expect(translateArguments([], { isTerminal: true })).toEqual({
      kind: 'arguments',
      arguments: ['status'],
      say: expect.stringContaining('runward --help'),
    });
  });

  test('--install-cron is schedule apply, and says so', () => {
    expect(translateArguments(['--install-cron'], { isTerminal: false })).toEqual({
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

  test.each([['--help'], ['-h'], ['--version'], ['-v', '--json']])('%s is left alone', (...given) => {
    expect(argumentsOf(...given)).toEqual(given);
  });

  test('version and help are words for the flags', () => {
    expect(argumentsOf('version')).toEqual(['--version']);
    expect(argumentsOf('help')).toEqual(['--help']);
    expect(argumentsOf('help', 'queue', 'plan')).toEqual(['queue', 'plan', '--help']);
  });

  test.each([['--json'], ['--scope', 'acme/kernel'], ['--constructor']])(
    'other options without a verb are those of check: %s',
    (...given) => {
      expect(argumentsOf(...given)).toEqual(['check', ...given]);
    },
  );

  test('several flags at once are a mistake that names the commands to run', () => {
    expect(translateArguments(['--cancel-stale', '--heal-cache'], { isTerminal: false })).toEqual({
      kind: 'mistake',
      message: expect.stringContaining('runward queue cancel-stale --yes; runward cache heal'),
    });
  });
});
