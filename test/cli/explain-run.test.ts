import { describe, expect, test } from 'vitest';
import { runLines, soughtRun } from '../../src/cli/explain-run.ts';
import type { DoneToRun } from '../../src/cli/run-search.ts';

test.each([
  ['34000001004', 34_000_001_004, null],
  [' 34000001004 ', 34_000_001_004, null],
  ['https://github.com/acme/kernel/actions/runs/34000001004', 34_000_001_004, 'acme/kernel'],
  ['https://ghe.example.com/acme/kernel/actions/runs/34000001004/job/5?pr=6', 34_000_001_004, 'acme/kernel'],
])('%s is run %i of %s', (text, run, scope) => {
  expect(soughtRun(text)).toEqual({ run, scope });
});

test.each(['', 'run', 'https://github.com/acme/kernel', '12a', '-5'])('"%s" is no run', (text) => {
  expect(() => soughtRun(text)).toThrow(/--run takes the id of a run or its address on GitHub/);
});

const RUN = 34_000_001_004;
const NOTHING: Parameters<typeof runLines>[1] = {
  scope: 'acme/kernel',
  done: [],
  reruns: [],
  plan: null,
  parked: null,
  setAside: null,
  searched: { operations: 12, histories: 0, isCut: false },
};
const DONE: DoneToRun = {
  at: '2026-11-24T10:05:12.000Z',
  attempt: 1,
  rule: 'stale',
  does: 'cancel',
  evidence: 'queued for 5 h 12 min, 1 job waits for [bpf-lsm, self-hosted], none started',
  end: 'cancelled',
  detail: 'cancelled',
  workflowId: 'queue/by-hand/acme/kernel/2026-11-24T10:05:00.000Z-85b5',
  scope: 'acme/kernel',
  startedBy: { trigger: 'manual', identity: 'runward:anna@laptop', reason: 'new rack' },
};

const textOf = (found: Partial<typeof NOTHING>, ...mentions: Parameters<typeof runLines>[2]): string =>
  runLines(RUN, { ...NOTHING, ...found }, mentions).join('\n');

describe('who cancelled a run, and why', () => {
  test('is told first, then by which rule, on what evidence, what came of it, and who started that', () => {
    expect(textOf({ done: [DONE] })).toBe(
      [
        'Runward cancelled run 34000001004 of acme/kernel at 2026-11-24T10:05:12.000Z, by the rule stale.',
        '2026-11-24T10:05:12.000Z: cancel, by the rule stale',
        '  why: queued for 5 h 12 min, 1 job waits for [bpf-lsm, self-hosted], none started',
        '  came of it: cancelled',
        '  operation: queue/by-hand/acme/kernel/2026-11-24T10:05:00.000Z-85b5, started by hand (runward:anna@laptop: new rack)',
        'No health check of late has spoken of it.',
      ].join('\n'),
    );
  });

  test.each<[DoneToRun['end'], string, RegExp]>([
    ['parked', 'cancelled', /^Runward cancelled, to re-run it later, run 34000001004/],
    ['accepted', 'GitHub has accepted it', /^Runward has asked GitHub to cancel run [^]*came of it: not over yet, GitHub has accepted it/],
    ['unknown', 'its batch has not said what came of it', /^Runward has begun to cancel [^]*came of it: not known, its batch/],
    ['spared', 'it is in_progress meanwhile', /^Runward has not cancelled run .*: spared, it is in_progress meanwhile\.\n/],
    ['refused', 'Resource not accessible', /^Runward has not cancelled run .*: refused, Resource not accessible\.\n/],
  ])('%s', (end, detail, words) => {
    expect(textOf({ done: [{ ...DONE, end, detail }] })).toMatch(words);
  });

  test('tells the newest acts of many', () => {
    const done = Array.from({ length: 20 }, () => ({ ...DONE, end: 'refused', detail: 'no' }) as const);
    expect(textOf({ done }).match(/came of it: refused, no/g)).toHaveLength(5);
    expect(textOf({ done })).toContain('… and 15 earlier ones, which `--json` has');
  });

  test('by the schedule needs no name of its client', () => {
    const startedBy = { trigger: 'schedule', identity: 'temporal-scheduler', reason: null };
    expect(textOf({ done: [{ ...DONE, startedBy }] })).toMatch(/operation: \S+, started by the schedule$/m);
  });

  test('nobody is said plainly, with why it was left alone', () => {
    const plan = {
      workflowId: 'maintain-queue/x',
      at: '2026-11-24T10:00:00.000Z',
      says: 'left-alone',
      rule: null,
      why: '1 of its 2 jobs has started',
    } as const;
    expect(textOf({ plan })).toBe(
      [
        'Runward has done nothing to run 34000001004 of acme/kernel: none of its 12 operations on queues has touched it.',
        'The plan of 2026-11-24T10:00:00.000Z leaves it alone: 1 of its 2 jobs has started (maintain-queue/x)',
        'No health check of late has spoken of it.',
      ].join('\n'),
    );
    expect(textOf({ plan: { ...plan, says: 'would-park', rule: 'prioritizePullRequests' } })).toContain(
      'would park it as pull requests first:',
    );
    expect(textOf({ searched: { operations: 0, histories: 0, isCut: false } })).toContain(': it has done nothing to any run there.');
    expect(textOf({ searched: { operations: 1_000, histories: 0, isCut: true } })).toContain(
      'none of its newest 1,000 operations on queues has touched it',
    );
  });

  test('says what waits for it', () => {
    const parked = {
      state: 'waiting',
      run: RUN,
      attempt: 1,
      workflow: 'CI',
      event: 'push',
      branch: 'main',
      since: '2026-11-24T09:00:00.000Z',
      why: '6 pull-request runs wait',
      times: 2,
      isCancelled: true,
      by: 'maintain-queue/x',
    } as const;
    expect(textOf({ parked })).toContain(
      'It waits to be re-run, parked since 2026-11-24T09:00:00.000Z for the 2. time: 6 pull-request runs wait',
    );
    const at = '2026-11-24T11:00:00.000Z';
    expect(textOf({ parked: { state: 're-run', detail: 'attempt 2', at } })).toContain(`It was parked, and re-run at ${at}: attempt 2`);
    expect(textOf({ parked: { state: 'replaced', detail: 'run 5 is newer', at } })).toContain(
      `is no more since ${at}: replaced, run 5 is newer`,
    );
    const setAside = { attempt: 1, why: 'Failed to cancel', tries: 2, since: at, retryAt: '2026-11-24T13:00:00.000Z' };
    expect(textOf({ setAside })).toContain(`It is set aside until 2026-11-24T13:00:00.000Z, tried 2 times since ${at}: Failed to cancel`);
  });

  test('ends with what health checks have said', () => {
    const finding = { code: 'deaf', summary: 'r1 takes no job', evidence: `run ${RUN} waits`, advice: 'restart it' };
    expect(textOf({}, { workflowId: 'check-health/x', observedAt: '2026-11-24T10:00:00.000Z', finding })).toMatch(
      /Health checks have said:\n {2}2026-11-24T10:00:00\.000Z: r1 takes no job \(run 34000001004 waits\); restart it$/,
    );
  });
});
