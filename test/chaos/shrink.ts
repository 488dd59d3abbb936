import type { Violation } from './invariants.ts';
import { play } from './play.ts';
import type { Story, Timed } from './scenario.ts';

/** The same story with as few events as still break the same invariant, and no longer than needed. */
export async function shrunk(
  story: Story,
  violation: Violation,
  { most = 400 }: { readonly most?: number } = {},
): Promise<{ readonly story: Story; readonly violation: Violation }> {
  let plays = 0;
  let found = { story, violation };
  const tryWith = async (smaller: Story): Promise<boolean> => {
    plays += 1;
    const { violation: again } = await play(smaller, { endsAt: ({ sort }) => sort === violation.sort });
    if (again === null) return false;
    found = { story: smaller, violation: again };
    return true;
  };
  for (let size = Math.ceil(story.events.length / 2); size >= 1 && plays < most;) {
    let isSmaller = false;
    for (let first = 0; first < found.story.events.length && plays < most;) {
      const events = without(found.story.events, first, size);
      if (await tryWith({ ...found.story, events })) isSmaller = true;
      else first += size;
    }
    if (size === 1 && !isSmaller) break;
    size = size === 1 ? 1 : Math.max(1, Math.floor(size / 2));
  }
  return found;
}

function without(events: readonly Timed[], first: number, count: number): readonly Timed[] {
  return [...events.slice(0, first), ...events.slice(first + count)];
}
