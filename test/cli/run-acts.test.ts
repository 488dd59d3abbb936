import { describe, expect, test } from 'vitest';
import { defaultPayloadConverter } from '@temporalio/common';
import type { CancelAttempt, FollowedEnd, FollowedRun } from '../../src/domain/queue/attempt.ts';
import { actInHeartbeat, actOfReport, actsOn, batchesOf, parkedIn, type RunAct } from '../../src/cli/run-acts.ts';
import { PARKED_SIGNALS } from '../../src/domain/names.ts';
import type { ParkedRun } from '../../src/domain/queue/parked.ts';
import { aRun, jobsOf } from '../kit/queue.ts';
import { attempted, cancelling, followed, historyOf, signalled, workItem, type HeldActivity } from '../kit/queue-histories.ts';
import { toldAct } from '../kit/queue-report.ts';

const RUN = 34_000_000_001;
const OTHER = workItem({ run: 34_000_000_002 });
const ACCEPTED = { kind: 'accepted', isSure: true, at: 990_000 } as const;

function following(runs: readonly FollowedRun[], ends: readonly FollowedEnd[] | null): HeldActivity {
  return { name: 'followBatch', input: { scope: 'acme/kernel', runs }, result: ends === null ? null : { ends, limited: null }, at: 1_010 };
}

function actsIn(...histories: readonly (readonly HeldActivity[])[]): readonly RunAct[] {
  return actsOn(
    RUN,
    histories.flatMap((activities) => batchesOf(historyOf(activities), RUN)),
  );
}

describe('a cancellation', () => {
  const item = workItem();

  test('is told by the batch that sent it and the one that saw its end, in whatever histories they are', () => {
    const others = [OTHER, item];
    expect(
      actsIn(
        [cancelling(others, [attempted(OTHER, ACCEPTED), attempted(item, ACCEPTED)])],
        [
          following(
            [followed(OTHER), followed(item)],
            [
              { kind: 'over', conclusion: 'cancelled' },
              { kind: 'pending', forcedAt: null },
            ],
          ),
          following([followed(item)], [{ kind: 'over', conclusion: 'cancelled' }]),
        ],
      ),
    ).toEqual([
      {
        at: '1970-01-01T00:16:30.000Z',
        attempt: 1,
        rule: 'stale',
        does: 'cancel',
        evidence: 'queued for 5 h',
        end: 'cancelled',
        detail: 'cancelled',
      },
    ]);
  });

  test.each<[string, CancelAttempt['result'], Partial<RunAct>]>([
    ['accepted', ACCEPTED, { end: 'accepted', detail: 'GitHub has accepted it' }],
    ['not answered', { ...ACCEPTED, isSure: false }, { end: 'accepted', detail: "GitHub's answer was lost" }],
    ['over by an attempt before', { kind: 'over', conclusion: 'cancelled', isOurs: true }, { end: 'cancelled' }],
    ['over by somebody else', { kind: 'over', conclusion: 'cancelled', isOurs: false }, { end: 'spared' }],
    [
      'over by itself',
      { kind: 'over', conclusion: 'success', isOurs: false },
      { end: 'ended-otherwise', detail: 'it was over before: success' },
    ],
    ['spared', { kind: 'spared', why: 'it is in_progress meanwhile' }, { end: 'spared', detail: 'it is in_progress meanwhile' }],
    ['set aside', { kind: 'set-aside', why: 'Failed to cancel' }, { end: 'set-aside', detail: 'Failed to cancel' }],
    ['refused', { kind: 'refused', status: 403, why: 'no' }, { end: 'refused', detail: 'no' }],
    ['failed at', { kind: 'again', why: '502' }, { end: 'again', detail: '502' }],
  ])('%s', (_name, result, act) => {
    expect(actsIn([cancelling([item], [attempted(item, result)])])).toMatchObject([act]);
  });

  test.each<[FollowedEnd, Partial<FollowedRun>, Partial<RunAct>]>([
    [{ kind: 'over', conclusion: 'cancelled' }, { forcedAt: 1 }, { end: 'cancelled', detail: 'cancelled, forced' }],
    [{ kind: 'over', conclusion: 'success' }, {}, { end: 'ended-otherwise', detail: 'success' }],
    [{ kind: 'pending', forcedAt: null }, {}, { end: 'accepted', detail: 'GitHub has accepted it' }],
    [{ kind: 'pending', forcedAt: 1_000_000 }, {}, { end: 'accepted', detail: expect.stringMatching(/forced at 1970-01-01T00:16:40/) }],
    [{ kind: 'not-over', why: 'it is still queued' }, {}, { end: 'not-over', detail: 'it is still queued' }],
    [{ kind: 'again' }, {}, { end: 'again', detail: 'GitHub has not heard of the cancellation' }],
  ])('that was followed to %j', (end, replaced, act) => {
    expect(actsIn([cancelling([item], [attempted(item, ACCEPTED)]), following([followed(item, replaced)], [end])])).toMatchObject([act]);
  });

  test('that was tried in vain for the last time is left to the next pass', () => {
    const last = workItem({ tries: 2 });
    expect(actsIn([cancelling([last], [attempted(last, { kind: 'again', why: '502' })])])).toMatchObject([
      { end: 'again', detail: 'tried 3 times: 502' },
    ]);
  });

  test('that was tried once more is told by the last try', () => {
    const second = workItem({ tries: 1 });
    expect(
      actsIn([cancelling([item], [attempted(item, { kind: 'again', why: '502' })])], [cancelling([second], [attempted(second, ACCEPTED)])]),
    ).toMatchObject([{ end: 'accepted' }]);
  });

  test('whose batch has not ended is not known', () => {
    expect(actsIn([cancelling([OTHER, item], null)])).toMatchObject([{ end: 'unknown', rule: 'stale', evidence: '' }]);
  });

  test('in a batch that is at work is told by its heartbeat', () => {
    const heartbeat = defaultPayloadConverter.toPayload({ attempts: [attempted(OTHER, ACCEPTED), attempted(item, ACCEPTED)] });
    expect(actInHeartbeat(RUN, heartbeat, '')).toMatchObject({ end: 'accepted', evidence: 'queued for 5 h' });
    expect(actInHeartbeat(5, heartbeat, '')).toBeNull();
  });

  test('to re-run it later is a parking', () => {
    const parking = workItem({ rule: 'prioritizePullRequests', does: 'park' });
    expect(
      actsIn([
        cancelling([parking], [attempted(parking, ACCEPTED)]),
        following([followed(parking)], [{ kind: 'over', conclusion: 'cancelled' }]),
      ]),
    ).toMatchObject([{ does: 'park', end: 'parked' }]);
  });
});

test('another run, or one whose number is a part of another, has no acts', () => {
  const longer = workItem({ run: Number(`${RUN}9`) });
  expect(actsIn([cancelling([longer], [attempted(longer, ACCEPTED)]), following([followed(longer)], [{ kind: 'again' }])])).toEqual([]);
  expect(actsIn([])).toEqual([]);
});

test('activities of other kinds are passed over', () => {
  expect(actsIn([{ name: 'readJobsOfRuns', input: { runs: [[RUN, 1]] }, result: { jobs: [] } }])).toEqual([]);
});

describe('a parked run', () => {
  const parked: ParkedRun = {
    run: aRun({ id: RUN }),
    jobs: jobsOf({ run: RUN }),
    parkedAt: 900_000,
    times: 1,
    isCancelled: true,
    evidence: '6 pull-request runs wait',
    by: 'queue/by-hand/x',
  };

  test('that was re-run is told with when', () => {
    const rerun = {
      name: 'rerunBatch',
      input: { scope: 'acme/kernel', runs: [parked], policy: {} },
      result: { settled: [{ run: RUN, end: 're-run', detail: 'attempt 2', at: 995_000 }], limited: null },
    };
    expect(actsIn([rerun])).toEqual([
      {
        at: '1970-01-01T00:16:35.000Z',
        attempt: 1,
        rule: 'prioritizePullRequests',
        does: 're-run',
        evidence: 'parked before: 6 pull-request runs wait',
        end: 're-run',
        detail: 'attempt 2',
      },
    ]);
    expect(actsIn([{ ...rerun, result: { settled: [], limited: null } }])).toEqual([]);
  });

  test('is known by the history of what remembers it', () => {
    const begun = historyOf([], { version: 1, scope: 'acme/kernel', policy: {}, parked: [], settled: [] });
    const parking = signalled(begun, PARKED_SIGNALS.park, { runs: [{ ...parked, isCancelled: false, by: '' }], by: 'queue/by-hand/x' });
    const cancelled = signalled(parking, PARKED_SIGNALS.settle, { cancelled: [RUN], settled: [] });
    const over = signalled(cancelled, PARKED_SIGNALS.settle, {
      cancelled: [],
      settled: [{ run: RUN, end: 're-run', detail: 'attempt 2', at: 1 }],
    });
    expect(parkedIn(begun)).toEqual({ parked: [], settled: [] });
    expect(parkedIn(cancelled)).toEqual({ parked: [parked], settled: [] });
    expect(parkedIn(over)).toEqual({ parked: [], settled: [expect.objectContaining({ run: RUN, end: 're-run' })] });
  });
});

test('what a report tells is an act at its time', () => {
  const at = '2026-11-24T10:00:00.000Z';
  expect(actOfReport(toldAct(), at)).toMatchObject({ at, does: 'cancel', end: 'cancelled', rule: 'stale' });
  expect(actOfReport(toldAct({ end: 'parked' }), at).does).toBe('park');
  expect(actOfReport(toldAct({ end: 'refused', evidence: 'parked before: 6 wait' }), at).does).toBe('re-run');
});
