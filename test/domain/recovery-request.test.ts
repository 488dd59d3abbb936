import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readRecoveryRequest, readDuration } from '../../src/domain/recovery-request.ts';

describe('the input of a recovery', () => {
  test('may leave out everything', () => {
    const bare = {
      runner: undefined,
      reason: null,
      force: false,
      waitMs: 0,
      suspicion: null,
      mayStart: true,
      dryRun: false,
    };
    expect(readRecoveryRequest([])).toEqual(bare);
    expect(readRecoveryRequest([null])).toEqual(bare);
    expect(readRecoveryRequest([{}])).toEqual(bare);
  });

  test('is read whole', () => {
    expect(readRecoveryRequest([{ runner: 'r1', reason: 'because', force: true, wait: '10m' }])).toEqual({
      runner: 'r1',
      reason: 'because',
      force: true,
      waitMs: 600_000,
      suspicion: null,
      mayStart: true,
      dryRun: false,
    });
    expect(readRecoveryRequest([{ runner: 'r1', wait: 90 }])).toMatchObject({ waitMs: 90_000 });
  });

  test.each([
    [['r1'], /takes an object such as \{"runner":"NAME"\}, but got "r1"/],
    [[['r1']], /takes an object/],
    [[{ runner: 'r1' }, { runner: 'r2' }], /one input.*but got 2/],
    [[{ runner: 'r1', wiat: '1m' }], /does not know wiat: allowed are runner, reason, force, wait, suspicion, mayStart/],
    [[{ runner: 'r1', force: 'yes' }], /force must be true or false, but is "yes"/],
    [[{ runner: 'r1', mayStart: 1 }], /mayStart must be true or false, but is 1/],
    [[{ runner: 'r1', wait: 'soon' }], /wait must be a duration.*but is "soon"/],
    [[{ runner: 'r1', wait: -1 }], /wait must be/],
    [[{ runner: 'r1', reason: 3 }], /reason must be text, but is 3/],
    [[{ runner: 'r1', suspicion: 'odd' }], /suspicion must be one of deaf-listener, stuck-busy, stray-listener, but is "odd"/],
    [[{ runner: 'r'.repeat(3_000) }], /runner has 3000 characters/],
  ])('%j is refused', (given, problem) => {
    const request = readRecoveryRequest(given);
    expect('problem' in request ? request.problem : '').toMatch(problem);
  });

  test('of a drain or a resume has no force', () => {
    for (const type of ['drainRunner', 'resumeRunner'] as const) {
      expect(readRecoveryRequest([{ runner: 'r1', reason: 'new disk', wait: '1m' }], type)).toMatchObject({ waitMs: 60_000 });
      expect(readRecoveryRequest([{ force: true }], type)).toEqual({
        problem: `${type} does not know force: allowed are runner, reason, wait`,
      });
    }
  });

  test('of upkeep may be a dry run', () => {
    for (const type of ['cleanActionsCache', 'clearActionsCache', 'healActionsCache', 'makeRoom'] as const) {
      expect(readRecoveryRequest([{ runner: 'r1', dryRun: true }], type)).toMatchObject({ runner: 'r1', dryRun: true });
      expect(readRecoveryRequest([{ dryRun: 'yes' }], type)).toEqual({ problem: 'dryRun must be true or false, but is "yes"' });
    }
    expect(readRecoveryRequest([{ force: true }], 'makeRoom')).toHaveProperty('problem');
  });

  test('never throws, whatever JSON is typed', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 2 }), (given) => {
        const request = readRecoveryRequest(given);
        return 'problem' in request ? request.problem.length > 0 : request.waitMs >= 0;
      }),
    );
  });
});

test.each([
  ['10m', 600_000],
  ['1.5 h', 5_400_000],
  ['500ms', 500],
  [0, 0],
  ['10', null],
  ['', null],
  [Number.NaN, null],
])('a wait of %j is %j ms', (wait, ms) => {
  expect(readDuration(wait)).toBe(ms);
});
