import { describe, expect, test } from 'vitest';
import { chooseRunner } from '../../src/domain/choose-runner.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';

function target(scope: string, runner: string): RunnerTarget {
  return {
    scope,
    runner,
    labels: [],
    group: null,
    registrationUrl: `https://github.com/${scope}`,
    host: 'local',
    machine: runner,
    directory: '/opt/actions-runner',
    user: 'github-runner',
    neighbours: [],
  };
}

const widgets = target('octo-org/widgets', 'builder');
const gadgets = target('octo-org/gadgets', 'builder');
const tester = target('octo-org', 'tester');
const all = [widgets, gadgets, tester];

describe('chooseRunner', () => {
  test.each([
    ['tester', tester],
    ['Tester', tester],
    ['octo-org/tester', tester],
    ['octo-org/widgets/builder', widgets],
    ['OCTO-ORG/Gadgets/builder', gadgets],
  ])('%s is found', (wanted, found) => {
    expect(chooseRunner(all, wanted)).toEqual({ kind: 'chosen', target: found });
  });

  test('a name that two scopes have is ambiguous, and the choices are full names', () => {
    expect(chooseRunner(all, 'builder')).toEqual({
      kind: 'ambiguous',
      choices: ['octo-org/widgets/builder', 'octo-org/gadgets/builder'],
      message: 'several runners are called "builder"; choose one of octo-org/widgets/builder, octo-org/gadgets/builder',
    });
  });

  test.each(['bilder', '', 'octo-org/widgets', 'octo-org/widgets/tester'])('%j is unknown, and every choice is listed', (wanted) => {
    expect(chooseRunner(all, wanted)).toMatchObject({
      kind: 'unknown',
      choices: ['octo-org/widgets/builder', 'octo-org/gadgets/builder', 'tester'],
      message: expect.stringContaining(JSON.stringify(wanted)),
    });
  });

  test('no name is enough for a single runner, and ambiguous for several', () => {
    expect(chooseRunner([tester], null)).toEqual({ kind: 'chosen', target: tester });
    expect(chooseRunner([widgets, tester], null)).toMatchObject({ kind: 'ambiguous', choices: ['builder', 'tester'] });
  });
});
