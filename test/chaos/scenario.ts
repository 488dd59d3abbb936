// What may happen in a story: faults, jobs, and what people do. General kinds with weights and times alone; nothing here knows what is to be found.

import fc from 'fast-check';
import { HOUR, MINUTE } from './world/time.ts';

/** A scope's runners by machine, as small sites have them. */
export const LAYOUTS = {
  'one runner of a repository': [{ scope: 'acme/kernel', machine: 'm1' }],
  'three runners of a repository, each on a machine': [
    { scope: 'acme/kernel', machine: 'm1' },
    { scope: 'acme/kernel', machine: 'm2' },
    { scope: 'acme/kernel', machine: 'm3' },
  ],
  'a repository and an organization on one machine': [
    { scope: 'acme/kernel', machine: 'm1' },
    { scope: 'acme', machine: 'm1' },
  ],
  'two runners of an organization': [
    { scope: 'acme', machine: 'm1' },
    { scope: 'acme', machine: 'm2' },
  ],
  'three runners on one machine': [
    { scope: 'acme/kernel', machine: 'm1' },
    { scope: 'acme', machine: 'm1' },
    { scope: 'acme/kernel', machine: 'm1' },
  ],
  'two runners on one machine and one beside': [
    { scope: 'acme/kernel', machine: 'm1' },
    { scope: 'acme/kernel', machine: 'm1' },
    { scope: 'acme/kernel', machine: 'm2' },
  ],
} as const;
export type Layout = keyof typeof LAYOUTS;

export interface SiteShape {
  readonly layout: Layout;
  readonly everyMinutes: number;
  /** Another Runward, with a Temporal of its own, has the same runners: people use it, or it also checks by itself. */
  readonly rival: 'none' | 'by hand' | 'checks too';
}

/** Which of several, by a number that is taken modulo how many there are. */
type Pick = number;

export type StoryEvent =
  | { readonly kind: 'fault'; readonly fault: FaultName; readonly on: Pick; readonly minutes: number; readonly size: number }
  | { readonly kind: 'runs'; readonly of: 'push' | 'pull_request'; readonly count: number; readonly minutes: number; readonly on: Pick }
  | { readonly kind: 'person'; readonly does: PersonDoes; readonly on: Pick; readonly isRival: boolean };

export interface Timed {
  /** Milliseconds since the story began. */
  readonly at: number;
  readonly event: StoryEvent;
}

export interface Story {
  readonly seed: number;
  readonly hours: number;
  readonly site: SiteShape;
  readonly events: readonly Timed[];
}

/** By name, how often and for how many minutes at most. */
const FAULTS = {
  'GitHub answers 503': { weight: 3, most: 40 },
  "GitHub's limit is reached": { weight: 3, most: 65 },
  'GitHub is slow': { weight: 4, most: 120 },
  'a list of GitHub lacks a runner': { weight: 3, most: 30 },
  'a list of GitHub lacks all runners': { weight: 3, most: 30 },
  'GitHub shows a runner online that is not': { weight: 1, most: 4 },
  'GitHub calls a runner busy': { weight: 3, most: 400 },
  'GitHub forgets a registration': { weight: 3, most: 0 },
  'multipass answers nobody': { weight: 2, most: 30 },
  'multipass starts nothing': { weight: 4, most: 90 },
  'the host is silent': { weight: 4, most: 90 },
  'the host sleeps': { weight: 2, most: 60 },
  'the worker is killed': { weight: 4, most: 8 },
  'Temporal is away': { weight: 1, most: 8 },
  "Temporal's clock is ahead": { weight: 3, most: 120 },
  'the guest is out of reach': { weight: 5, most: 45 },
  'the guest hangs': { weight: 8, most: 300 },
  'the network is gone': { weight: 4, most: 45 },
  'the clock drifts': { weight: 5, most: 0 },
  'the machine loses power': { weight: 3, most: 0 },
  'the machine reboots': { weight: 2, most: 0 },
  'the disk fills': { weight: 2, most: 0 },
  'the disk is nearly full for a while': { weight: 2, most: 240 },
  'the guest writes nothing': { weight: 2, most: 300 },
  'the package is gone': { weight: 1, most: 0 },
  'the service ends': { weight: 6, most: 0 },
  'the listener is deaf': { weight: 4, most: 0 },
  'a job writes into .runner': { weight: 1, most: 0 },
} as const satisfies Record<string, { readonly weight: number; readonly most: number }>;
export type FaultName = keyof typeof FAULTS;

const PERSON = {
  check: 4,
  recover: 6,
  'recover --force': 2,
  drain: 5,
  resume: 4,
  'cancel an operation': 3,
  'terminate an operation': 3,
  'terminate an operation and recover': 2,
  'terminate what Temporal remembers': 1,
  'reset an operation': 1,
  'stop a machine': 2,
  'stop a machine and drain its runner': 2,
  'start a machine': 2,
  'register a runner by hand': 1,
  'make room': 1,
} as const satisfies Record<string, number>;
export type PersonDoes = keyof typeof PERSON;

const pick = fc.nat({ max: 11 });

const fault: fc.Arbitrary<StoryEvent> = fc
  .oneof(
    ...Object.entries(FAULTS).map(([name, { weight, most }]) => ({ weight, arbitrary: fc.constant({ name: name as FaultName, most }) })),
  )
  .chain(({ name, most }) =>
    fc.record({
      kind: fc.constant('fault' as const),
      fault: fc.constant(name),
      on: pick,
      minutes: most === 0 ? fc.constant(0) : fc.integer({ min: 1, max: most }),
      size: fc.nat({ max: 100 }),
    }),
  );

const runs: fc.Arbitrary<StoryEvent> = fc.record({
  kind: fc.constant('runs' as const),
  of: fc.constantFrom('push' as const, 'push' as const, 'pull_request' as const),
  count: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 2 }) }, { weight: 1, arbitrary: fc.integer({ min: 3, max: 9 }) }),
  minutes: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 12 }) }, { weight: 1, arbitrary: fc.integer({ min: 13, max: 90 }) }),
  on: pick,
});

const person: fc.Arbitrary<StoryEvent> = fc.record({
  kind: fc.constant('person' as const),
  does: fc.oneof(...Object.entries(PERSON).map(([does, weight]) => ({ weight, arbitrary: fc.constant(does as PersonDoes) }))),
  on: pick,
  isRival: fc.boolean(),
});

const event = fc.oneof({ weight: 4, arbitrary: fault }, { weight: 5, arbitrary: runs }, { weight: 3, arbitrary: person });

/** How much happens in an hour: some 5 events, or 1.5. */
const PACES = {
  dense: { first: 4, followers: 2 },
  quiet: { first: 1, followers: 1 },
} as const;

/** Some follow so soon that they meet in the middle of what the one before began. */
const hour = (pace: keyof typeof PACES): fc.Arbitrary<readonly Timed[]> =>
  fc
    .array(
      fc.record({
        at: fc.nat({ max: HOUR - 1 }),
        event,
        followers: fc.array(fc.record({ after: fc.integer({ min: 500, max: 4 * MINUTE }), event }), { maxLength: PACES[pace].followers }),
      }),
      { minLength: 1, maxLength: PACES[pace].first },
    )
    .map((events) =>
      events.flatMap(({ at, event: first, followers }) => [
        { at, event: first },
        ...followers.map(({ after, event: next }) => ({ at: at + after, event: next })),
      ]),
    );

const of = (minutes: number, count: number): readonly number[] => Array.from({ length: count }, () => minutes);

const site: fc.Arbitrary<SiteShape> = fc.record({
  layout: fc.constantFrom(...(Object.keys(LAYOUTS) as Layout[])),
  everyMinutes: fc.constantFrom(5, 10, ...of(15, 4), ...of(30, 42)),
  rival: fc.oneof(
    { weight: 8, arbitrary: fc.constant('none' as const) },
    { weight: 3, arbitrary: fc.constant('by hand' as const) },
    { weight: 1, arbitrary: fc.constant('checks too' as const) },
  ),
});

/** Of each story. */
export const STORY_HOURS = 96;

/** Two of five stories are dense: more than half of the work. */
const pace = fc.constantFrom<(keyof typeof PACES)[]>('dense', 'dense', 'quiet', 'quiet', 'quiet');

const arbitrary = pace.chain((chosen) =>
  fc.record({ site, hours: fc.array(hour(chosen), { minLength: STORY_HOURS, maxLength: STORY_HOURS }) }),
);

/** The story of a seed, or its beginning; each of its hours has a fault, a job or a command in it. */
export function storyOf(seed: number, hours = STORY_HOURS): Story {
  const [story] = fc.sample(arbitrary, { seed, numRuns: 1 });
  if (story === undefined) throw new Error('fast-check gave no story');
  const events = story.hours
    .slice(0, Math.ceil(hours))
    .flatMap((ofHour, index) => ofHour.map(({ at, event: what }) => ({ at: index * HOUR + at, event: what })));
  return { seed, hours, site: story.site, events: events.toSorted((one, other) => one.at - other.at) };
}
