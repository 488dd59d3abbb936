import { expect, test } from 'vitest';
import { play } from './play.ts';
import { storyOf } from './scenario.ts';
import { KEPT_STORIES } from './stories.ts';
import { tell } from './story.ts';

for (const story of KEPT_STORIES) {
  test(`not again: ${story.name}`, async () => {
    const { facts, violation } = await play(story);
    expect(violation, violation === null ? '' : tell(story, facts, violation, 'npx vitest run test/chaos/stories.test.ts')).toBeNull();
  });
}

test('a story is the same each time that it is played', async () => {
  const story = storyOf(7, 6);
  const [one, other] = [await play(story, { endsAt: () => false }), await play(story, { endsAt: () => false })];
  expect(other.facts).toStrictEqual(one.facts);
});

test('each hour of a story has a fault, a job or a command in it', () => {
  const { events, hours } = storyOf(11);
  const withEvents = new Set(events.map(({ at }) => Math.floor(at / 3_600_000)));
  for (let hour = 0; hour < hours; hour += 1) expect(withEvents).toContain(hour);
});
