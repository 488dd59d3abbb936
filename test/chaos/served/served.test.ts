// Depth 2 of the adversary: an hour of a few stories on a real server and by real workers, which die in the middle.

import { describe, expect, inject, test } from 'vitest';
import { SERVED_STORIES } from '../stories.ts';
import { tell } from '../story.ts';
import { playSkipped } from './play.ts';

describe.concurrent('an hour of each story', () => {
  test.for(SERVED_STORIES)('$seed harms nobody, although the worker dies in the middle', async (story) => {
    const played = await playSkipped(story, { workflowBundle: inject('workflowBundle'), deaths: 1 });
    const { violation } = played;
    expect(violation && tell(story, played.facts, violation, 'npx vitest run test/chaos/served/served.test.ts')).toBeNull();
    expect(played.kills).toBeGreaterThan(0);
    expect(played.harmed).toBe(0);
  });
});
