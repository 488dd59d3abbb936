// Depth 2 of the adversary: a few hours on a real server and by real workers, which die in the middle.

import { expect, inject, test } from 'vitest';
import { storyOf } from '../scenario.ts';
import { tell } from '../story.ts';
import { playSkipped } from './play.ts';

/** Each of another site. */
const SEEDS = [1, 2, 3, 4];

test.for(SEEDS)('an hour of seed %i harms nobody, although the worker dies', async (seed) => {
  const story = storyOf(seed, 1);
  const played = await playSkipped(story, { workflowBundle: inject('workflowBundle'), callsPerDeath: 40 });
  const { violation } = played;
  expect(violation === null ? null : tell(story, played.facts, violation, `seed ${seed} at depth 2`)).toBeNull();
  expect(played.kills).toBeGreaterThan(0);
  expect(played.harmed).toBe(0);
});
