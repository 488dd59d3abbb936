// Depth 2 of the adversary: an hour of a few seeds on a real server and by real workers, which die in the middle.

import { describe, expect, inject, test } from 'vitest';
import { storyOf } from '../scenario.ts';
import { tell } from '../story.ts';
import { playSkipped } from './play.ts';

const SEEDS = [2, 30];

describe.concurrent('an hour of each seed', () => {
  test.for(SEEDS)('%i harms nobody, although the worker dies in the middle', async (seed) => {
    const story = storyOf(seed, 1);
    const played = await playSkipped(story, { workflowBundle: inject('workflowBundle'), deaths: 1 });
    const { violation } = played;
    expect(violation && tell(story, played.facts, violation, `npm run chaos -- --depth 2 --seed ${seed} --hours 1`)).toBeNull();
    expect(played.kills).toBeGreaterThan(0);
    expect(played.harmed).toBe(0);
  });
});
