import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dueRuns,
  judgeParked,
  park,
  parkedOf,
  pressureIn,
  settle,
  unsureRuns,
  type ParkedEnd,
  type ParkedFound,
  type ParkedRules,
  type ParkedRun,
  type Pressure,
  type SettledRun,
} from '../../../src/domain/queue/parked.ts';
import { labelSetOf, type Run } from '../../../src/domain/queue/run.ts';
import { aPolicy, aRun, asking, byRun, DAY, HOUR, jobsOfRun, MINUTE, NOW, OURS } from '../../kit/queue.ts';

const { parking } = aPolicy();
const OTHERS = labelSetOf(['self-hosted', 'gpu']);

function aParked(replaced: Partial<Run> = {}, flags: Partial<ParkedRun> = {}): ParkedRun {
  const run = aRun(replaced);
  return {
    ...parkedOf({ run, jobs: jobsOfRun(run), evidence: '6 pull-request runs wait' }, 0, NOW - 59 * MINUTE),
    isCancelled: true,
    ...flags,
  };
}

const RULES: ParkedRules = { parking, superseded: aPolicy().rules.superseded, defaultBranch: 'main' };

/** What is known if nothing stands in the way. */
const FOUND: Omit<ParkedFound, 'run' | 'isDue'> = {
  newest: null,
  hasRef: true,
  isTag: false,
  isGroupTaken: false,
  isOneJobCancelled: false,
  at: NOW,
};

function newestOf(run: Run | null): ParkedFound['newest'] {
  return run === null ? null : { run, jobs: jobsOfRun(run) };
}

function cancelled(replaced: Partial<Run> = {}): Run {
  return aRun({ status: 'completed', conclusion: 'cancelled', ...replaced });
}

/** Six pull-request runs wait for our runners, and nothing of what was parked. */
function pressure(pressed: Pressure['pressed'], replaced: Partial<Pressure> = {}): Pressure {
  return { at: NOW, pressed, waiting: () => 6, inTurn: () => 0, isProtected: ({ branch }) => branch === 'main', ...replaced };
}

describe('a parked run is due', () => {
  const parked = aParked();

  test('when nothing presses on its runners', () => {
    expect(dueRuns([parked], pressure([]), parking)).toEqual([parked]);
    expect(dueRuns([parked], pressure([OTHERS]), parking)).toEqual([parked]);
  });

  test('not while pull requests press, nor while nobody knows whether they do', () => {
    expect(dueRuns([parked], pressure([OURS]), parking)).toEqual([]);
    expect(dueRuns([parked], pressure(null), parking)).toEqual([]);
  });

  test('before GitHub would re-run it no more, whatever presses', () => {
    const old = aParked({ createdAt: NOW - 29 * DAY });
    expect(dueRuns([old], pressure(null), parking)).toEqual([old]);
  });

  test('after an hour if its ref is protected, whatever presses', () => {
    const main = aParked({ branch: 'main' }, { parkedAt: NOW - HOUR });
    const later = aParked({ branch: 'main' }, { parkedAt: NOW - HOUR + 1 });
    expect(dueRuns([main, later], pressure([OURS]), parking)).toEqual([main]);
    expect(dueRuns([main, later], pressure(null), parking)).toEqual([main]);
  });
});

describe('while pull requests press on, what is parked has its turn', () => {
  const many = [1, 2, 3, 4].map((id) => aParked({ id, createdAt: NOW - 5 * HOUR - id }, { parkedAt: NOW - HOUR }));
  const turns = (replaced: Partial<Pressure>, parked = many) =>
    dueRuns(parked, pressure([OURS], replaced), parking).map(({ run }) => run.id);

  test('the oldest first, one for every five pull-request runs that wait, and one at least', () => {
    expect(turns({ waiting: () => 6 })).toEqual([4]);
    expect(turns({ waiting: () => 10 })).toEqual([3, 4]);
    expect(turns({ waiting: () => 1 })).toEqual([4]);
  });

  test('once what had its turn before waits no more', () => {
    expect(turns({ inTurn: () => 1 })).toEqual([]);
    expect(turns({ waiting: () => 11, inTurn: () => 1 })).toEqual([4]);
  });

  test('an hour after it was parked, and not before', () => {
    expect(turns({}, [aParked({}, { parkedAt: NOW - HOUR + 1 })])).toEqual([]);
    expect(turns({}, [aParked({}, { parkedAt: NOW - HOUR })])).toEqual([1]);
  });

  test('one after the other while nobody knows whether they press', () => {
    const due = (inTurn: number) => dueRuns(many, pressure(null, { inTurn: () => inTurn }), parking).map(({ run }) => run.id);
    expect([due(0), due(1)]).toEqual([[4], []]);
  });

  test('so that each comes back however long they press', () => {
    let left = many;
    for (let pass = 0; pass < 4; pass += 1) {
      const due = dueRuns(left, pressure([OURS]), parking);
      expect(due).toHaveLength(1);
      left = left.filter((each) => !due.includes(each));
    }
    expect(left).toEqual([]);
  });

  test('counted by what waits in the queue', () => {
    const waiting = [11, 12, 13].map((id) => aRun({ id, event: 'pull_request' }));
    const backAgain = aRun({ id: 9, attempt: 2 });
    const runs = [...waiting, backAgain, aRun({ id: 10 })];
    const jobs = byRun(...runs.map((run) => jobsOfRun(run)));
    const memory = { setAside: [], reruns: [{ run: 9, at: NOW, parked: 2 }] };
    const seen = pressureIn({ at: NOW, runs, jobs, memory, defaultBranch: 'main' }, [OURS], aPolicy().rules.superseded);
    expect([seen.waiting(OURS), seen.inTurn(OURS), seen.waiting(OTHERS)]).toEqual([3, 1, 0]);
    expect([seen.isProtected(aRun({ branch: 'main' })), seen.isProtected(aRun())]).toEqual([true, false]);
    const blind = pressureIn({ at: NOW, runs, jobs, memory, defaultBranch: null }, [OURS], aPolicy().rules.superseded);
    expect(blind.isProtected(aRun())).toBe(true);
  });
});

describe('what is due', () => {
  const judge = (run: Run | null, newest: Run | null = null, parked = aParked(), found: Partial<ParkedFound> = {}, rules = RULES) =>
    judgeParked(parked, { ...FOUND, run, newest: newestOf(newest), isDue: true, ...found }, rules);

  test('is re-run', () => {
    expect(judge(cancelled())).toEqual({ kind: 're-run' });
    expect(judge(cancelled(), cancelled())).toEqual({ kind: 're-run' });
    expect(judge(cancelled(), aRun({ id: 2, createdAt: NOW, workflowId: 11 }))).toEqual({ kind: 're-run' });
  });

  test('is re-run as well where a job that always runs has ended it otherwise', () => {
    expect(judge(cancelled({ conclusion: 'failure' }))).toEqual({ kind: 're-run' });
  });

  test.each<{ readonly when: string; readonly run: Run | null; readonly newest?: Run; readonly end: ParkedEnd }>([
    { when: 'something newer of the same branch is there', run: cancelled(), newest: aRun({ id: 2, createdAt: NOW }), end: 'replaced' },
    { when: 'GitHub does not know it any more', run: null, end: 'forgotten' },
    { when: 'somebody has re-run it', run: aRun({ attempt: 2 }), end: 're-run' },
    { when: 'it has ended before', run: cancelled({ conclusion: 'success' }), end: 'forgotten' },
    { when: 'it has been re-run fifty times', run: cancelled({ attempt: 51 }), end: 'expired' },
  ])('ends as $end where $when', ({ run, newest = null, end }) => {
    const parked = aParked({ attempt: run?.attempt === 51 ? 51 : 1 });
    expect(judge(run, newest, parked)).toMatchObject({ kind: 'settled', end });
  });

  describe('and has a newer one, is re-run all the same', () => {
    const newer = (replaced: Partial<Run> = {}) => aRun({ id: 2, createdAt: NOW, ...replaced });
    const rules = (superseded: Partial<ParkedRules['superseded']>): ParkedRules => ({
      ...RULES,
      superseded: { ...RULES.superseded, ...superseded },
    });
    const over = (conclusion: string) => newer({ status: 'completed', conclusion });

    test.each(['skipped', 'cancelled', 'startup_failure', 'action_required', 'stale'])('if that one ended as %s', (conclusion) => {
      expect(judge(cancelled(), over(conclusion))).toEqual({ kind: 're-run' });
    });

    test.each(['waiting', 'pending', 'requested', 'action_required'])('if that one is %s: it may never run', (status) => {
      expect(judge(cancelled(), newer({ status }))).toEqual({ kind: 're-run' });
    });

    test.each(['success', 'failure', 'neutral', 'timed_out'])('but not if that one has its verdict: %s', (conclusion) => {
      expect(judge(cancelled(), over(conclusion))).toMatchObject({ end: 'replaced' });
    });

    test.each<{ readonly when: string; readonly run?: Partial<Run>; readonly found?: Partial<ParkedFound>; readonly rules?: ParkedRules }>([
      { when: 'its branch is the default one', run: { branch: 'main' } },
      { when: 'the default branch is not known', rules: { ...RULES, defaultBranch: null } },
      { when: 'its branch is protected', run: { branch: 'release/1' } },
      { when: 'it is for a tag', run: { branch: 'v1' }, found: { isTag: true } },
      { when: 'nobody knows whether it is for a tag', found: { isTag: null } },
      { when: 'the rule for superseded runs is off', rules: rules({ mode: 'off' }) },
      { when: 'that rule only plans', rules: rules({ mode: 'plan' }) },
      { when: 'that rule does not name its event', rules: rules({ events: { only: ['pull_request'] } }) },
      { when: 'the newer one does not do its work', found: { newest: { run: newer(), jobs: jobsOfRun(newer(), { work: ['docs'] }) } } },
      { when: 'the jobs of the newer one are not known', found: { newest: { run: newer(), jobs: null } } },
    ])('if $when', ({ run, found, rules: by }) => {
      const parked = aParked(run);
      expect(judge(cancelled(run), newer(run), parked, found, by)).toEqual({ kind: 're-run' });
    });

    test('of which nobody asks for the same work if the configuration says so', () => {
      const found = { newest: { run: newer(), jobs: jobsOfRun(newer(), { work: ['docs'] }) } };
      expect(judge(cancelled(), null, aParked(), found, rules({ sameWork: 'off' }))).toMatchObject({ end: 'replaced' });
    });
  });

  test('is not re-run if its branch is deleted', () => {
    expect(judge(cancelled(), null, aParked(), { hasRef: false })).toMatchObject({ kind: 'settled', end: 'branch-deleted' });
    expect(judge(cancelled(), null, aParked(), { hasRef: null })).toEqual({ kind: 're-run' });
  });

  test('waits while another run is in its concurrency group', () => {
    expect(judge(cancelled(), null, aParked(), { isGroupTaken: true })).toEqual({
      kind: 'wait',
      why: expect.stringContaining('in its concurrency group'),
    });
    expect(judge(cancelled(), null, aParked(), { isGroupTaken: null })).toEqual({ kind: 're-run' });
  });

  test('is waited for while its cancellation is on its way', () => {
    expect(judge(aRun())).toEqual({ kind: 'wait', why: 'its cancellation is on its way, and it is queued' });
  });
});

describe('what was remembered, and of which nobody knows whether it was cancelled', () => {
  const judge = (run: Run | null, agoMs: number) =>
    judgeParked(aParked({}, { isCancelled: false, parkedAt: NOW - agoMs }), { ...FOUND, run, isDue: false }, RULES);

  test('is parked once it turns out to be cancelled', () => {
    expect(judge(cancelled(), HOUR)).toEqual({ kind: 'cancelled' });
  });

  test('is left to whoever follows it', () => {
    const [followed, other] = [1, 2].map((id) => aParked({ id }, { isCancelled: false })) as [ParkedRun, ParkedRun];
    const ending = [{ run: 1, attempt: 1, rule: 'prioritizePullRequests' as const, acceptedAt: NOW, until: NOW }];
    expect(unsureRuns([followed, other, aParked({ id: 3 }, { isCancelled: true })], ending)).toEqual([other]);
  });

  test('is waited for, and forgotten where the cancellation never came', () => {
    expect(judge(aRun(), 10 * MINUTE)).toEqual({ kind: 'wait', why: 'its cancellation is on its way, and it is queued' });
    expect(judge(aRun(), HOUR)).toMatchObject({ kind: 'settled', end: 'forgotten' });
  });

  test('is parked also if a job that always runs has ended it otherwise', () => {
    const run = cancelled({ conclusion: 'failure' });
    const unsure = aParked({}, { isCancelled: false });
    expect(judgeParked(unsure, { ...FOUND, run, isDue: false, isOneJobCancelled: true }, RULES)).toEqual({ kind: 'cancelled' });
    expect(judgeParked(unsure, { ...FOUND, run, isDue: true, isOneJobCancelled: true }, RULES)).toEqual({ kind: 're-run' });
  });

  test('is forgotten where it ended by itself', () => {
    expect(judge(cancelled({ conclusion: 'failure' }), MINUTE)).toMatchObject({ kind: 'settled', end: 'forgotten' });
  });
});

test('what is parked twice is remembered once, as it was first', () => {
  const first = park([], [aParked()], 'one');
  expect(park(first, [aParked({}, { evidence: 'again' }), aParked({ id: 2 })], 'two')).toMatchObject([
    { run: { id: 1 }, by: 'one', evidence: '6 pull-request runs wait' },
    { run: { id: 2 }, by: 'two' },
  ]);
});

test('what is settled is remembered no more, but what became of it is', () => {
  const parked = [aParked({}, { isCancelled: false }), aParked({ id: 2 })];
  const end = { run: 2, end: 're-run' as const, detail: 'attempt 2', at: NOW + MINUTE };
  expect(settle({ parked, settled: [] }, { cancelled: [1], settled: [end] })).toMatchObject({
    parked: [{ run: { id: 1 }, isCancelled: true }],
    settled: [end],
  });
});

test('jobs of several kinds are due once none of them is pressed', () => {
  const run = aRun();
  const both = { ...aParked(), jobs: jobsOfRun(run, { queued: [asking(['self-hosted', 'bpf-lsm']), asking(['self-hosted', 'gpu'])] }) };
  expect(dueRuns([both], pressure([OTHERS], { inTurn: () => 1 }), parking)).toEqual([]);
});

describe('whatever happens meanwhile', () => {
  /** What becomes of a repository between two passes. */
  const happening = fc.constantFrom(
    'pressed',
    'unknown',
    'calm',
    'newer',
    'somebody re-runs it',
    'it ends',
    'GitHub forgets it',
    'days pass',
  );

  test('every parked run ends once, by being re-run, by being replaced, or because there is nothing left to re-run', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), fc.boolean(), (happenings, wasCancelled) => {
        let run: Run | null = wasCancelled ? cancelled() : aRun();
        let newest: Run | null = null;
        let at = NOW;
        let state = settle(
          { parked: park([], [aParked({}, { isCancelled: wasCancelled })], 'one'), settled: [] },
          { cancelled: [], settled: [] },
        );
        // In the end the pressure is gone.
        for (const event of [...happenings, 'calm'] as const) {
          if (event === 'newer') {
            newest = aRun({ id: 2, createdAt: NOW + MINUTE });
          } else if (event === 'somebody re-runs it' && run?.status === 'completed') {
            run = { ...run, attempt: 2, status: 'queued', conclusion: null };
          } else if (event === 'it ends' && run !== null && run.status !== 'completed') {
            run = { ...run, status: 'completed', conclusion: 'success' };
          } else if (event === 'GitHub forgets it') {
            run = null;
          } else if (event === 'days pass') {
            at += 10 * DAY;
          }
          const pressed = event === 'unknown' ? null : event === 'calm' ? [] : [OURS];
          const due = new Set(dueRuns(state.parked, pressure(pressed, { at, inTurn: () => 2 }), parking));
          const settled: SettledRun[] = [];
          const isCancelled: number[] = [];
          for (const parked of new Set([...due, ...unsureRuns(state.parked)])) {
            const id = parked.run.id;
            const judged = judgeParked(parked, { ...FOUND, run, newest: newestOf(newest), at, isDue: due.has(parked) }, RULES);
            if (judged.kind === 'settled') {
              settled.push({ run: id, end: judged.end, detail: judged.why, at });
            } else if (judged.kind === 're-run') {
              settled.push({ run: id, end: 're-run', detail: '', at });
            } else if (judged.kind === 'cancelled') {
              isCancelled.push(id);
            }
          }
          state = settle(state, { cancelled: isCancelled, settled });
        }
        expect(state.parked).toEqual([]);
        expect(state.settled).toHaveLength(1);
        const end = state.settled[0]?.end;
        const isLeft = wasCancelled && run !== null && run.conclusion === 'cancelled' && newest === null;
        expect(isLeft ? ['re-run', 'expired'] : ['re-run', 'replaced', 'expired', 'forgotten']).toContain(end);
      }),
      { numRuns: 2_000 },
    );
  });
});
