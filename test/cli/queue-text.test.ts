import { describe, expect, test } from 'vitest';
import {
  askedActs,
  isQueueBad,
  parkedLines,
  parkedSummary,
  questionText,
  queueDetails,
  queueExitCode,
  queueLines,
  queueStory,
} from '../../src/cli/queue-text.ts';
import { storyLines } from '../../src/cli/story.ts';
import type { QueueOutcome } from '../../src/domain/queue/report.ts';
import { aRun, jobsOf, MINUTE, NOW } from '../kit/queue.ts';
import { queueReport, toldAct } from '../kit/queue-report.ts';

const PLANNED = queueReport({
  outcome: 'planned',
  summary: '40 runs queued in acme/kernel: 2 would cancel, 1 would park',
  dryRun: true,
  counts: { 'would-cancel': 2, 'would-park': 1 },
  byRule: { stale: 1, superseded: 1, prioritizePullRequests: 1 },
  acts: [
    toldAct({ run: 11, end: 'would-cancel', detail: '' }),
    toldAct({ run: 12, rule: 'superseded', end: 'would-cancel', detail: '', evidence: 'run 13 of the same workflow is newer' }),
    toldAct({ run: 14, rule: 'prioritizePullRequests', end: 'would-park', detail: '', evidence: '6 pull-request runs wait' }),
  ],
  planned: 3,
});

const textOf = (...given: Parameters<typeof queueLines>): string => queueLines(...given).join('\n');

describe('what the queue verbs print', () => {
  test('is two lines where nothing is to be done', () => {
    expect(queueLines(queueReport())).toEqual([
      '2 runs queued in acme/kernel: nothing to do',
      'Rules: stale: on, superseded: on, pull requests first: on, paths: off',
    ]);
  });

  test('says first how it stands, then what would be done about each run, and why', () => {
    expect(textOf(PLANNED)).toMatch(
      /^40 runs queued in acme\/kernel: 2 would cancel, 1 would park\n\nRUN +WORKFLOW +BRANCH +EVENT +RULE +WOULD BE DONE +WHY\n11 +CI +main +push +stale +cancel +queued for 5 h 12 min, .*\n12 +CI +main +push +superseded +cancel +run 13 of .*\n14 +CI +main +push +pull requests first +park +6 pull-request runs wait\n\nRules: /,
    );
  });

  test('tells what came of each act, by its reason where it went otherwise', () => {
    const report = queueReport({
      outcome: 'done',
      counts: { cancelled: 1, spared: 1 },
      acts: [toldAct({ run: 11 }), toldAct({ run: 12, end: 'spared', detail: 'it is in_progress meanwhile' })],
    });
    expect(textOf(report)).toMatch(/CAME OF IT +WHY\n11 .* cancelled +queued for 5 h.*\n12 .* spared +it is in_progress meanwhile$/m);
  });

  test('tells a rule that only plans beside others that act', () => {
    const acts = [
      toldAct({ run: 11 }),
      toldAct({ run: 12, rule: 'superseded', end: 'only-planned', detail: 'it would be cancelled, but the rule only plans' }),
    ];
    expect(textOf(queueReport({ outcome: 'done', counts: { cancelled: 1, 'only-planned': 1 }, acts }))).toMatch(
      /CAME OF IT +WHY\n11 .* cancelled +queued for .*\n12 .* nothing +it would be cancelled, but the rule only plans/,
    );
  });

  test('says that a plan was cut off', () => {
    expect(textOf({ ...PLANNED, isCut: true })).toContain('There may be more to do: the plan ends where its limit is.');
  });

  test('says how many acts are not listed', () => {
    const acts = Array.from({ length: 200 }, (_, run) => toldAct({ run }));
    expect(textOf(queueReport({ outcome: 'done', counts: { cancelled: 5_000 }, acts }))).toContain('\n… and 4,800 more\n');
  });

  test.each([
    [200, 'RUN WORKFLOW BRANCH EVENT RULE WOULD BE DONE WHY'],
    [120, 'RUN WORKFLOW BRANCH EVENT RULE WOULD BE DONE WHY'],
    [94, 'RUN WORKFLOW BRANCH RULE WOULD BE DONE WHY'],
    [84, 'RUN BRANCH RULE WOULD BE DONE WHY'],
    [60, 'RUN BRANCH WOULD BE DONE WHY'],
  ])('fits a terminal of %i columns', (width, head) => {
    const lines = queueLines(PLANNED, width);
    expect(lines[2]?.replaceAll(/ +/g, ' ')).toBe(head);
    expect(Math.max(...lines.slice(1, 7).map(({ length }) => length))).toBeLessThanOrEqual(width);
    expect(lines[3]).toMatch(width < 120 ? /…$/ : /^11 /);
  });

  test('cuts long names on a terminal, and nothing in a pipe', () => {
    const report = { ...PLANNED, acts: [toldAct({ workflow: 'w'.repeat(60), branch: 'b'.repeat(200), end: 'would-cancel', detail: '' })] };
    expect(textOf(report, 140)).toMatch(/ w{23}… +b{31}… /);
    expect(textOf(report)).toContain('b'.repeat(200));
  });

  test('tells rules that only plan, notes, what is left alone, and each refusal once', () => {
    const report = queueReport({
      outcome: 'partly',
      rules: { stale: 'on', superseded: 'plan', prioritizePullRequests: 'off', paths: 'off' },
      counts: { refused: 12 },
      acts: [toldAct({ end: 'refused', detail: 'Resource not accessible by personal access token' })],
      notes: ['not all jobs could be read: limit'],
      left: [{ run: 7, why: '1 of its 3 jobs have started, the others have waited for 6 h' }],
      refusals: [{ status: 403, why: 'Resource not accessible by personal access token', count: 12 }],
      unread: 3,
    });
    expect(textOf(report)).toMatch(
      /Rules: stale: on, superseded: plan, pull requests first: off, paths: off\nNote: not all jobs could be read: limit\nLeft alone:\n {2}run 7: 1 of its 3 jobs have started.*\nGitHub refused 12 acts: Resource not accessible.*\nThe jobs of 3 queued runs could not be read; nothing is done about those\.\n→ give the token the permission "Actions: read and write"/,
    );
  });

  test('says so where Runward only watches', () => {
    expect(textOf({ ...PLANNED, dryRun: false, mode: 'watch' })).toContain('Runward only watches: nothing was written');
  });

  test('says how to go on where one pass may do no more', () => {
    expect(textOf(queueReport({ outcome: 'cut', counts: { cancelled: 200 }, acts: [toldAct()] }))).toContain(
      '→ nothing: the next pass goes on; `runward queue optimize --scope acme/kernel` does the rest now',
    );
  });
});

describe('the exit code', () => {
  test.each<[readonly QueueOutcome[], number]>([
    [['nothing-to-do', 'planned', 'done', 'cut'], 0],
    [['done', 'partly'], 1],
    [['failed'], 1],
    [['refused-in-progress'], 1],
  ])('of %j is %i', (outcomes, code) => {
    expect(queueExitCode(outcomes)).toBe(code);
  });

  test('of a health check is not for somebody else who cares for the queue', () => {
    expect((['partly', 'failed', 'refused-in-progress', 'cut'] as const).map(isQueueBad)).toEqual([true, true, false, false]);
  });
});

describe('what a person is asked', () => {
  test.each([
    [{ cancel: 12, park: 3, rerun: 0 }, 'Cancel 12 runs and park 3 of acme/kernel?'],
    [{ cancel: 1, park: 0, rerun: 0 }, 'Cancel 1 run of acme/kernel?'],
    [{ cancel: 0, park: 0, rerun: 2 }, 'Re-run 2 runs of acme/kernel?'],
    [{ cancel: 4_800, park: 1, rerun: 2 }, 'Cancel 4,800 runs, park 1 and re-run 2 of acme/kernel?'],
  ])('%j is %s', (acts, question) => {
    expect(questionText('acme/kernel', acts)).toBe(question);
  });

  test('is what would be done by rules that are on, listed or not', () => {
    expect(askedActs(PLANNED)).toEqual({ cancel: 2, park: 1, rerun: 0 });
    expect(askedActs({ counts: { 'would-cancel': 5_000, 'only-planned': 300, 'would-re-run': 1 } })).toEqual({
      cancel: 5_000,
      park: 0,
      rerun: 1,
    });
  });
});

describe('what `explain` tells of it', () => {
  const DONE = queueReport({
    outcome: 'partly',
    summary: '40 runs queued in acme/kernel: 2 cancelled, 1 parked, 1 spared, 1 re-run',
    counts: { cancelled: 2, parked: 1, spared: 1, 're-run': 1 },
    byRule: { stale: 2, superseded: 1, prioritizePullRequests: 1 },
    acts: [
      toldAct({ run: 9, rule: 'prioritizePullRequests', evidence: 'parked before: 6 wait', end: 're-run', detail: 'attempt 2' }),
      toldAct({ run: 11 }),
      toldAct({ run: 12, rule: 'superseded' }),
      toldAct({ run: 13, end: 'spared', detail: 'it has started' }),
      toldAct({ run: 14, rule: 'prioritizePullRequests', end: 'parked', evidence: '6 pull-request runs wait' }),
    ],
    planned: 5,
  });

  test('stands in eight lines at most', () => {
    const lines = storyLines({ ...queueStory(DONE), when: 'maintainQueue started', more: 'runward explain x --verbose' });
    expect(lines.length).toBeLessThanOrEqual(8);
    expect(lines.join('\n')).toMatch(
      /^partly: 40 runs queued[^]*What broke +2 runs were stale, 1 superseded, 1 in the way of pull requests, 1 parked run was due\nEvidence +run 9: parked before: 6 wait; run 11: queued for 5 h[^]*and 2 more\nAction +cancelled 2 runs, parked 1 run, re-ran 1 run\nResult +run 13 spared: it has started\nNext steps +nothing/,
    );
  });

  test('says that nothing broke, was done or is left where nothing was to be done', () => {
    expect(queueStory(queueReport())).toMatchObject({ broke: 'nothing', did: 'nothing', sure: null, cameOfIt: null, left: 'nothing' });
  });

  test('counts all acts, also those that are not listed', () => {
    expect(queueStory({ ...DONE, byRule: { stale: 300 } }).broke).toMatch(/^300 runs were stale/);
  });

  test('calls a plan a plan', () => {
    expect(queueStory(PLANNED)).toMatchObject({
      did: 'nothing: it was a plan',
      broke: '1 run was stale, 1 superseded, 1 in the way of pull requests',
    });
  });

  test('has everything with --verbose', () => {
    const left = Array.from({ length: 50 }, (_, run) => ({ run, why: 'half started' }));
    const details = queueDetails({ ...DONE, left }).join('\n');
    expect(details).toMatch(/^\nRUN +WORKFLOW[^]*run 49: half started[^]*2 queued \(0 for too long, 0 more set aside\), 1 in progress/);
  });
});

describe('parked runs', () => {
  const parked = parkedSummary({
    run: aRun({ id: 21, workflow: 'Nightly' }),
    jobs: jobsOf({ run: 21 }),
    parkedAt: NOW - 30 * MINUTE,
    times: 1,
    isCancelled: true,
    evidence: '6 pull-request runs wait for [bpf-lsm, self-hosted], more than 5',
    by: 'maintain-queue/acme/kernel-2026-11-24T10:00:00Z',
  });

  test('are told with since when and why', () => {
    expect(parkedLines('acme/kernel', [parked, { ...parked, run: 22, times: 2 }], NOW).join('\n')).toMatch(
      /^2 runs of acme\/kernel wait to be re-run:\nRUN +WORKFLOW +BRANCH +SINCE +PARKED +WHY\n21 +Nightly +topic +30 min ago +once +6 pull-request runs wait.*\n22 .* 2 times /,
    );
  });

  test('are none where none are', () => {
    expect(parkedLines('acme/kernel', [], NOW)).toEqual(['No run of acme/kernel waits to be re-run.']);
  });

  test('fit a terminal', () => {
    expect(Math.max(...parkedLines('acme/kernel', [parked], NOW, 80).map(({ length }) => length))).toBeLessThanOrEqual(80);
  });
});

test('the details of a pass tell how many runs each other status has, as far as it asked', () => {
  const { queue } = queueReport();
  expect(queueDetails(queueReport()).at(-1)).toBe(
    'The queue: 2 queued (0 for too long, 0 more set aside), 1 in progress, 0 waiting for an approval, 0 for a concurrency group, 0 just requested; 0 parked',
  );
  const scheduled = { ...queue!, waiting: null, pending: null, requested: null };
  expect(queueDetails(queueReport({ queue: scheduled })).at(-1)).toBe(
    'The queue: 2 queued (0 for too long, 0 more set aside), 1 in progress; 0 parked',
  );
});

test('a run whose cancellation is on its way, and one that was given up, are told apart', () => {
  const acts = [
    toldAct({ run: 11, end: 'accepted', detail: 'GitHub has accepted it' }),
    toldAct({ run: 12, end: 'not-over', detail: 'it was cancelled and forced, and is still queued' }),
  ];
  const text = textOf(queueReport({ outcome: 'partly', counts: { accepted: 1, 'not-over': 1 }, acts, planned: 2 }));
  expect(text).toMatch(/^11 .* not over yet/m);
  expect(text).toMatch(/^12 .* given up .* it was cancelled and forced, and is still queued/m);
});
