import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dueRuns,
  judgeParked,
  park,
  parkedOf,
  settle,
  unsureRuns,
  type ParkedEnd,
  type ParkedRun,
  type SettledRun,
} from '../../../src/domain/queue/parked.ts';
import { labelSetOf, type Run } from '../../../src/domain/queue/run.ts';
import { aPolicy, aRun, asking, DAY, HOUR, jobsOfRun, MINUTE, NOW, OURS } from '../../kit/queue.ts';

const { parking } = aPolicy();
const OTHERS = labelSetOf(['self-hosted', 'gpu']);

function aParked(replaced: Partial<Run> = {}, flags: Partial<ParkedRun> = {}): ParkedRun {
  const run = aRun(replaced);
  return { ...parkedOf({ run, jobs: jobsOfRun(run), evidence: '6 pull-request runs wait' }, 0, NOW - HOUR), isCancelled: true, ...flags };
}

function cancelled(replaced: Partial<Run> = {}): Run {
  return aRun({ status: 'completed', conclusion: 'cancelled', ...replaced });
}

describe('a parked run is due', () => {
  const parked = aParked();

  test('when nothing presses on its runners', () => {
    expect(dueRuns([parked], [], NOW, parking)).toEqual([parked]);
    expect(dueRuns([parked], [OTHERS], NOW, parking)).toEqual([parked]);
  });

  test('not while pull requests press, nor while nobody knows whether they do', () => {
    expect(dueRuns([parked], [OURS], NOW, parking)).toEqual([]);
    expect(dueRuns([parked], null, NOW, parking)).toEqual([]);
  });

  test('before GitHub would re-run it no more, whatever presses', () => {
    const old = aParked({ createdAt: NOW - 29 * DAY });
    expect(dueRuns([old], null, NOW, parking)).toEqual([old]);
  });
});

describe('what is due', () => {
  const judge = (run: Run | null, newest: Run | null = null, parked = aParked()) =>
    judgeParked(parked, { run, newest, at: NOW, isDue: true }, parking);

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

  test('is waited for while its cancellation is on its way', () => {
    expect(judge(aRun())).toEqual({ kind: 'wait' });
  });
});

describe('what was remembered, and of which nobody knows whether it was cancelled', () => {
  const judge = (run: Run | null, agoMs: number) =>
    judgeParked(aParked({}, { isCancelled: false, parkedAt: NOW - agoMs }), { run, newest: null, at: NOW, isDue: false }, parking);

  test('is parked once it turns out to be cancelled', () => {
    expect(judge(cancelled(), HOUR)).toEqual({ kind: 'cancelled' });
  });

  test('is waited for, and forgotten where the cancellation never came', () => {
    expect(judge(aRun(), 10 * MINUTE)).toEqual({ kind: 'wait' });
    expect(judge(aRun(), HOUR)).toMatchObject({ kind: 'settled', end: 'forgotten' });
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
  expect(dueRuns([both], [OTHERS], NOW, parking)).toEqual([]);
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
          const due = new Set(dueRuns(state.parked, pressed, at, parking));
          const settled: SettledRun[] = [];
          const isCancelled: number[] = [];
          for (const parked of new Set([...due, ...unsureRuns(state.parked)])) {
            const id = parked.run.id;
            const judged = judgeParked(parked, { run, newest, at, isDue: due.has(parked) }, parking);
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
