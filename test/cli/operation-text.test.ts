import { describe, expect, test } from 'vitest';
import { operationDetails, operationStory, type ToldReport } from '../../src/cli/operation-text.ts';
import { storyLines } from '../../src/cli/story.ts';

const STEP = { attempts: 1, startedAt: '2026-11-24T10:00:00.000Z', durationMs: 2_000, detail: 'as it should be' } as const;
const FAILED: ToldReport = {
  outcome: 'failed',
  runner: 'r1',
  scope: 'acme/kernel',
  summary: 'the service of r1 does not stay active',
  reason: 'the service of r1 is failed',
  evidence: ['GitHub: offline, idle, id 7', 'machine: running', 'service: failed (r1.service)', 'clock: right'],
  rungs: [{ name: 'restart-service', status: 'failed', detail: 'its listener did not show' }],
  steps: [
    { ...STEP, name: 'time-sync', status: 'skipped' },
    { ...STEP, name: 'start-service', status: 'failed', detail: 'exited 1', attempts: 3 },
  ],
};

const BY_CHECK = { type: 'recoverRunner', isByCheck: true, tookMs: 6_000 } as const;
const BY_HAND = { type: 'recoverRunner', isByCheck: false, tookMs: 6_000 } as const;

describe('an operation', () => {
  test('is told in eight lines at most, with what is left to do', () => {
    const lines = storyLines({ ...operationStory(FAILED, BY_CHECK), when: 'recoverRunner started', more: 'runward explain x --verbose' });
    expect(lines.length).toBeLessThanOrEqual(8);
    expect(lines.join('\n')).toMatch(
      /^failed in 6\.0 s: the service[^]*What broke +the service of r1 is failed\nEvidence +GitHub: offline, idle, id 7; machine: running; service: failed \(r1\.service\); clock: right\nAction +restart-service \(failed\), start-service \(failed\)\nResult +restart-service failed: its listener did not show; start-service failed: exited 1\nNext steps +mend/,
    );
  });

  test('that went well leaves nothing to do', () => {
    expect(operationStory({ ...FAILED, outcome: 'recovered', rungs: [], steps: [] }, BY_CHECK)).toMatchObject({
      left: 'nothing',
      cameOfIt: null,
    });
  });

  test('of a person tells what broke by what was seen', () => {
    expect(operationStory(FAILED, BY_HAND).broke).toBe('GitHub: offline, idle, id 7; service: failed (r1.service)');
    expect(operationStory({ ...FAILED, outcome: 'already-healthy' }, BY_HAND).broke).toBe('nothing');
  });

  test('that a cheap cure was enough for says so, and leaves out the steps that were not taken', () => {
    const cured: ToldReport = {
      ...FAILED,
      outcome: 'recovered',
      rungs: [{ name: 'start-service', status: 'done', detail: '' }],
      steps: [{ ...STEP, name: 'time-sync', status: 'skipped', detail: 'not reached' }],
    };
    expect(operationStory(cured, BY_CHECK)).toMatchObject({ did: 'start-service', cameOfIt: 'start-service was enough', left: 'nothing' });
    expect(operationDetails(cured).join('\n')).not.toContain('not reached');
  });

  test('that drains breaks nothing, and is to be run again where it failed', () => {
    const story = operationStory({ ...FAILED, rungs: [], reason: 'new kernel' }, { type: 'drainRunner', isByCheck: false, tookMs: 6_000 });
    expect(story).toMatchObject({ broke: null, left: expect.stringContaining('`runward runner drain --runner r1`') });
  });

  test('is told with all evidence, rungs and steps', () => {
    const details = operationDetails(FAILED).join('\n');
    expect(details).toMatch(
      /What was seen:\n {2}GitHub: offline[^]*The ladder:\n {2}failed +restart-service[^]*What was done:[^]*exited 1, 3 calls/,
    );
  });

  test('without steps and evidence, as a clock that was set, is told as well', () => {
    const report = { outcome: 'synced', runner: 'r1', scope: 'acme/kernel', summary: 'the clock of m1 was 2 h ahead', reason: null };
    expect(operationStory(report, { type: 'syncClock', isByCheck: false, tookMs: 6_000 })).toMatchObject({
      headline: 'synced in 6.0 s: the clock of m1 was 2 h ahead',
      left: 'nothing',
    });
    expect(operationDetails(report)).toEqual([]);
  });

  test('whose text is long is cut to one line', () => {
    const [, line = ''] = storyLines({ ...operationStory({ ...FAILED, reason: 'x\n'.repeat(400) }, BY_CHECK), when: null, more: null });
    expect(line.length).toBeLessThan(260);
    expect(line).toMatch(/…$/);
  });
});

describe('the care for a cache', () => {
  const HEALED: ToldReport = {
    ...FAILED,
    outcome: 'healed',
    summary: 'removed 25 MiB (1 action) from the actions cache of r1; run 7 was re-run',
    rungs: [],
    steps: [{ ...STEP, name: 'clear-cache', status: 'done', detail: 'removed 25 MiB (1 action), and seen to be gone' }],
    damaged: [
      {
        runner: 'r1',
        run: 7,
        attempt: 1,
        workflow: 'CI',
        branch: 'main',
        jobs: [{ id: 8, name: 'build', path: 'actions/checkout/v4', lacks: 'entry', line: "Can't find 'action.yml'", isInLog: true }],
        otherJobs: 0,
      },
    ],
    removed: {
      entries: 1,
      bytes: 26_214_400,
      names: ['actions/checkout/v4'],
      damage: [{ path: 'actions/checkout/v4', state: 'empty', owner: 'root', mode: '700', isImmutable: true }],
    },
    reran: [{ run: 7, attempt: 1, workflow: 'CI', outcome: 're-run', detail: 'for time 1 of 2' }],
  };
  const of = (type: string) => ({ type, isByCheck: false, tookMs: 6_000 });

  test('tells what the damage let fail, what it looked like, what has gone and what was run again', () => {
    expect(operationStory(HEALED, of('healActionsCache'))).toMatchObject({
      broke: "run 7 failed because of the cache: Can't find 'action.yml'",
      left: 'nothing',
    });
    expect(operationDetails(HEALED).join('\n')).toMatch(
      /What the cache let fail:\n {2}run 7, attempt 1 of CI, job build: Can't find 'action\.yml'\nWhat the damage looked like:\n {2}"actions\/checkout\/v4": empty, root, 700, immutable\nWhat has gone:\n {2}"actions\/checkout\/v4"\nWhat was run again:\n {2}run 7, attempt 1: re-run, for time 1 of 2$/,
    );
  });

  test('says of a plan what would go', () => {
    expect(operationDetails({ ...HEALED, outcome: 'planned' }).join('\n')).toContain('What would go:');
    expect(operationStory({ ...HEALED, outcome: 'planned' }, of('healActionsCache')).left).toBe('nothing');
  });

  test.each([
    ['cleanActionsCache', 'refused-busy', /wait until the job is over, or override it with --force/],
    ['cleanActionsCache', 'failed', /`runward cache clean --runner r1`/],
    ['clearActionsCache', 'cancelled', /`runward cache clear --runner r1`/],
    ['healActionsCache', 'not-re-run', /actions=write/],
    ['healActionsCache', 'given-up', /what damages the cache again and again/],
    ['healActionsCache', 'refused-budget', /`runward cache heal --runner r1`, which no budget refuses/],
    ['makeRoom', 'no-room', /`runward runner resume --runner r1`/],
    ['makeRoom', 'some-room', /`disk` in the configuration/],
    ['makeRoom', 'refused-busy', /each health check tries it again/],
    ['makeRoom', 'failed', /then run `runward check`/],
  ])('%s that ended %s says what to do next', (type, outcome, left) => {
    expect(operationStory({ ...HEALED, outcome }, of(type)).left).toMatch(left);
  });

  test('tells how much room each source has made', () => {
    const report: ToldReport = {
      ...FAILED,
      outcome: 'room-made',
      rungs: [],
      steps: [],
      freed: [{ source: 'journal', bytes: 3_221_225_472 }],
    };
    expect(operationDetails(report).join('\n')).toContain('What has made room:\n  journal: 3 GiB');
  });
});
