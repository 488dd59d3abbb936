// What is wanted is never taken away: what the configuration does not name, and what would have got its verdict without Runward.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planQueue } from '../../../src/domain/queue/plan.ts';
import { RULES, type EventFilter, type QueuePolicy, type RuleName } from '../../../src/domain/queue/policy.ts';
import type { Run } from '../../../src/domain/queue/run.ts';
import type { QueueView } from '../../../src/domain/queue/verdict.ts';
import { aPolicy, anyQueue, toldAll } from '../../kit/queue.ts';
import { anyRecording, replay, type Replayed } from '../../kit/queue-replay.ts';

describe('what the configuration does not name is never cancelled', () => {
  /** Events that a run may be of, for all that is known. */
  const eventsOf = ({ event, branch }: Run, tags: QueueView['tags']): readonly string[] => {
    const isTag = branch === null ? null : (tags.get(branch) ?? null);
    return event !== 'push' ? [event] : isTag === null ? ['push', 'push:tags'] : [isTag ? 'push:tags' : 'push'];
  };
  const isMeant = (events: EventFilter, event: string): boolean =>
    events === 'all' || ('only' in events ? events.only.includes(event) : !events.except.includes(event));
  const mayBeProtected = ({ event, branch, isFromFork }: Run, { defaultBranch }: QueueView, { rules }: QueuePolicy): boolean => {
    const { protect } = rules.superseded;
    const mayBe = (name: string | null) => branch === null || name === null || branch === name;
    return (
      (protect.defaultBranch && (!isFromFork || event === 'push') && mayBe(defaultBranch)) || protect.patterns.some(() => mayBe('main'))
    );
  };

  /** Why a run is none of the rule's business; `null` if it is. */
  const whyNot = (rule: RuleName, run: Run, view: QueueView, policy: QueuePolicy): string | null => {
    const { stale, superseded } = policy.rules;
    const events = { stale: stale.events, superseded: superseded.events, prioritizePullRequests: { only: ['push'] }, paths: { only: [] } };
    const isProtected = mayBeProtected(run, view, policy) && (run.event === 'push' || rule === 'superseded');
    const isOfOthers = eventsOf(run, view.tags).some((event) => !isMeant(events[rule], event));
    return isProtected ? 'its ref is protected' : isOfOthers ? 'its event is not meant' : null;
  };

  test('whatever the queue, and however little is known of it', () => {
    const seen = { stale: 0, superseded: 0, prioritizePullRequests: 0, paths: 0 };
    const kept: Record<string, number> = { 'its ref is protected': 0, 'its event is not meant': 0 };
    fc.assert(
      fc.property(anyQueue(), ({ view, truth, policy, modes }) => {
        const plan = (known: QueueView) => planQueue(known, policy, modes);
        for (const known of [view, toldAll(view, truth, plan).view]) {
          const { acts, wouldBe } = plan(known);
          const runs = new Map(known.runs.map((run) => [run.id, run]));
          for (const { rule, run } of [...acts, ...wouldBe].filter(({ does }) => does === 'cancel')) {
            expect(whyNot(rule, runs.get(run) as Run, known, policy), `${rule} ${run}`).toBeNull();
            seen[rule] += 1;
          }
          for (const why of known.runs.flatMap((run) => RULES.map((rule) => whyNot(rule, run, known, policy)))) {
            kept[why ?? ''] = (kept[why ?? ''] ?? 0) + 1;
          }
        }
      }),
      { numRuns: 2_000 },
    );
    // Queues in which nothing happens prove nothing.
    const { paths, ...counts } = seen;
    expect(paths).toBe(0);
    expect(Math.min(...Object.values(counts), ...Object.values(kept)), JSON.stringify({ seen, kept })).toBeGreaterThan(50);
  });
});

describe('a recorded queue once more, with Runward and without', () => {
  const isWanted = ({ event, branch }: Run): boolean => event === 'push' && branch !== 'topic';
  const hasVerdict = ({ conclusion }: Run): boolean => conclusion === 'success';
  /** Pushes whose every commit is wanted, that get their verdict without Runward alone. */
  const lostIn = (off: Replayed, on: Replayed): readonly Run[] =>
    on.runs.filter((run, index) => isWanted(run) && !hasVerdict(run) && hasVerdict(off.runs[index] as Run));

  test('every push to the default branch, a release branch or of a tag gets the verdict that it would have got', () => {
    const seen = new Map<string, number>();
    let [parked, lost] = [0, 0];
    const unprotected = aPolicy({
      stale: { events: 'all' },
      superseded: { protect: { defaultBranch: false, patterns: [] }, sameWork: 'off' },
    });
    fc.assert(
      fc.property(anyRecording, (recording) => {
        const off = replay(recording, null);
        const on = replay(recording, aPolicy());
        expect(lostIn(off, on)).toEqual([]);
        for (const { what, run } of on.did) {
          seen.set(what, (seen.get(what) ?? 0) + 1);
          parked += what.startsWith('park') && isWanted(run) ? 1 : 0;
        }
        lost += lostIn(off, replay(recording, unprotected)).length;
      }),
      { numRuns: 80 },
    );
    // Queues in which nothing happens prove nothing, and neither do those in which nothing could be lost.
    const counts = ['cancel stale', 'cancel superseded', 'park prioritizePullRequests', 're-run'].map((what) => seen.get(what) ?? 0);
    expect(Math.min(...counts, parked, lost), JSON.stringify({ counts, parked, lost })).toBeGreaterThan(50);
  });
});
