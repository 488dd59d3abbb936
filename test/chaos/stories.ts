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
  {
    name: 'a busy that was of before a restart was taken for a job that was lost',
    seed: 2053,
    hours: 20,
    site: { layout: 'one runner of a repository', everyMinutes: 30, rival: 'checks too' },
    events: [
      { at: 36205282, event: { kind: 'person', does: 'recover', on: 8, isRival: false } },
      { at: 50886860, event: { kind: 'fault', fault: 'GitHub calls a runner busy', on: 4, minutes: 396, size: 94 } },
      { at: 54000006, event: { kind: 'runs', of: 'push', count: 1, minutes: 2, on: 5 } },
    ],
  },
  {
    name: 'a resume that had waited undid a drain that was said after it',
    seed: 2039,
    hours: 28,
    site: { layout: 'three runners of a repository, each on a machine', everyMinutes: 30, rival: 'none' },
    events: [
      { at: 82822266, event: { kind: 'fault', fault: "GitHub's limit is reached", on: 11, minutes: 42, size: 47 } },
      { at: 82893060, event: { kind: 'person', does: 'stop a machine and drain its runner', on: 8, isRival: false } },
      { at: 83046540, event: { kind: 'person', does: 'stop a machine', on: 6, isRival: false } },
      { at: 83170459, event: { kind: 'person', does: 'stop a machine and drain its runner', on: 7, isRival: true } },
      { at: 83357467, event: { kind: 'person', does: 'resume', on: 1, isRival: false } },
      { at: 83545294, event: { kind: 'person', does: 'drain', on: 7, isRival: true } },
      { at: 84642249, event: { kind: 'runs', of: 'push', count: 1, minutes: 1, on: 5 } },
    ],
  },
  {
    name: 'a runner was believed drained after a resume that could not start it',
    seed: 2039,
    hours: 38,
    site: { layout: 'three runners of a repository, each on a machine', everyMinutes: 30, rival: 'none' },
    events: [
      { at: 29047434, event: { kind: 'person', does: 'drain', on: 8, isRival: true } },
      { at: 32459308, event: { kind: 'fault', fault: 'GitHub forgets a registration', on: 2, minutes: 0, size: 17 } },
      { at: 82893060, event: { kind: 'person', does: 'stop a machine and drain its runner', on: 8, isRival: false } },
      { at: 117230154, event: { kind: 'person', does: 'start a machine', on: 8, isRival: false } },
      { at: 118800009, event: { kind: 'person', does: 'resume', on: 5, isRival: true } },
    ],
  },
  {
    name: "disk upkeep waited for GitHub's limit with the machine held",
    seed: 2133,
    hours: 97,
    site: { layout: 'three runners of a repository, each on a machine', everyMinutes: 30, rival: 'none' },
    events: [
      { at: 306000003, event: { kind: 'fault', fault: 'the disk fills', on: 5, minutes: 0, size: 3 } },
      { at: 331200018, event: { kind: 'fault', fault: "GitHub's limit is reached", on: 9, minutes: 3, size: 84 } },
      { at: 331430853, event: { kind: 'fault', fault: "GitHub's limit is reached", on: 3, minutes: 61, size: 99 } },
    ],
  },
  {
    name: "a resume waited for GitHub's limit with the machine held",
    seed: 324,
    hours: 25,
    site: { layout: 'a repository and an organization on one machine', everyMinutes: 30, rival: 'none' },
    events: [
      { at: 53999985, event: { kind: 'person', does: 'drain', on: 1, isRival: false } },
      { at: 64800011, event: { kind: 'fault', fault: 'GitHub forgets a registration', on: 1, minutes: 0, size: 95 } },
      { at: 72145959, event: { kind: 'person', does: 'resume', on: 11, isRival: false } },
      { at: 72295534, event: { kind: 'fault', fault: "GitHub's limit is reached", on: 5, minutes: 55, size: 14 } },
    ],
  },
];

/** Small enough for depth 2, which takes minutes for each. */
export const SERVED_STORIES: readonly Story[] = [
  {
    seed: 2,
    hours: 1,
    site: { layout: 'a repository and an organization on one machine', everyMinutes: 30, rival: 'none' },
    events: [
      { at: 11, event: { kind: 'person', does: 'cancel an operation', on: 11, isRival: true } },
      { at: 258622, event: { kind: 'runs', of: 'push', count: 2, minutes: 7, on: 8 } },
    ],
  },
  {
    seed: 30,
    hours: 1,
    site: { layout: 'one runner of a repository', everyMinutes: 5, rival: 'none' },
    events: [
      { at: 702865, event: { kind: 'fault', fault: 'the worker is killed', on: 8, minutes: 4, size: 48 } },
      { at: 703369, event: { kind: 'runs', of: 'push', count: 2, minutes: 12, on: 3 } },
      { at: 2335122, event: { kind: 'runs', of: 'pull_request', count: 1, minutes: 9, on: 2 } },
      { at: 2575113, event: { kind: 'fault', fault: 'the disk fills', on: 5, minutes: 0, size: 2 } },
    ],
  },
];
