// Stories that broke an invariant once; they are played by the tests. Their events are kept as they were, whatever seeds give by now.

import type { Story } from './scenario.ts';

export interface KeptStory extends Story {
  /** What broke then. */
  readonly name: string;
}

export const KEPT_STORIES: readonly KeptStory[] = [
  {
    name: 'a runner that a list lacked was registered anew although it was well',
    seed: 1,
    hours: 24,
    site: { layout: 'three runners of a repository, each on a machine', everyMinutes: 5, rival: 'none' },
    events: [{ at: 4677414, event: { kind: 'fault', fault: 'a list of GitHub lacks a runner', on: 1, minutes: 27, size: 29 } }],
  },
  {
    name: 'the same of an organization, beside another Runward',
    seed: 1223,
    hours: 24,
    site: { layout: 'a repository and an organization on one machine', everyMinutes: 10, rival: 'by hand' },
    events: [{ at: 50827395, event: { kind: 'fault', fault: 'a list of GitHub lacks a runner', on: 11, minutes: 26, size: 100 } }],
  },
  {
    name: 'a machine that was stopped and drained was started for a job',
    seed: 3,
    hours: 24,
    site: { layout: 'a repository and an organization on one machine', everyMinutes: 5, rival: 'none' },
    events: [
      { at: 9658068, event: { kind: 'person', does: 'stop a machine and drain its runner', on: 1, isRival: false } },
      { at: 19350936, event: { kind: 'person', does: 'stop a machine and drain its runner', on: 10, isRival: true } },
      { at: 23369704, event: { kind: 'runs', of: 'push', count: 4, minutes: 9, on: 8 } },
    ],
  },
  {
    name: 'a memory of the time in which the clock was ahead kept a deaf runner from its cure',
    seed: 1173,
    hours: 24,
    site: { layout: 'three runners of a repository, each on a machine', everyMinutes: 5, rival: 'none' },
    events: [
      { at: 3624766, event: { kind: 'fault', fault: "Temporal's clock is ahead", on: 5, minutes: 114, size: 30 } },
      { at: 10130931, event: { kind: 'fault', fault: 'the listener is deaf', on: 4, minutes: 0, size: 35 } },
    ],
  },
  {
    name: 'whoever was taken over left a runner without its configuration',
    seed: 1222,
    hours: 24,
    site: { layout: 'a repository and an organization on one machine', everyMinutes: 5, rival: 'by hand' },
    events: [
      { at: 56582620, event: { kind: 'fault', fault: 'the network is gone', on: 4, minutes: 23, size: 80 } },
      { at: 57083054, event: { kind: 'person', does: 'recover --force', on: 11, isRival: true } },
    ],
  },
  {
    name: 'the clock was set in the gap between a job and its worker',
    seed: 1298,
    hours: 24,
    site: { layout: 'three runners of a repository, each on a machine', everyMinutes: 10, rival: 'by hand' },
    events: [
      { at: 9132068, event: { kind: 'fault', fault: 'GitHub is slow', on: 0, minutes: 64, size: 96 } },
      { at: 9138946, event: { kind: 'fault', fault: 'the clock drifts', on: 3, minutes: 0, size: 21 } },
      { at: 9255676, event: { kind: 'runs', of: 'push', count: 7, minutes: 7, on: 0 } },
    ],
  },
];
