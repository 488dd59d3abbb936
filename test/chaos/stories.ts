// Stories that broke an invariant once, as few events of a seed; they are played by the tests.

import type { SiteShape } from './scenario.ts';

export interface KeptStory {
  /** What broke then. */
  readonly name: string;
  readonly seed: number;
  /** Which of the seed's events. */
  readonly events: readonly number[];
  /** Of the site as it was then. */
  readonly everyMinutes: number;
  readonly rival: SiteShape['rival'];
}

export const KEPT_STORIES: readonly KeptStory[] = [
  { name: 'a runner that a list lacked was registered anew although it was well', seed: 1, events: [4], everyMinutes: 5, rival: 'none' },
  { name: 'the same of an organization, beside another Runward', seed: 1223, events: [56], everyMinutes: 10, rival: 'by hand' },
  { name: 'a machine that was stopped and drained was started for a job', seed: 3, events: [12, 28, 33], everyMinutes: 5, rival: 'none' },
  {
    name: 'a memory of the time in which the clock was ahead kept a deaf runner from its cure',
    seed: 1173,
    events: [3, 7],
    everyMinutes: 5,
    rival: 'none',
  },
  {
    name: 'whoever was taken over left a runner without its configuration',
    seed: 1222,
    events: [52, 53],
    everyMinutes: 5,
    rival: 'by hand',
  },
  { name: 'the clock was set in the gap between a job and its worker', seed: 1298, events: [7, 8, 9], everyMinutes: 10, rival: 'by hand' },
];
