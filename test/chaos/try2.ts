import { play } from './play.ts';
import { storyOf } from './scenario.ts';
import { tell } from './story.ts';
import { shrunk } from './shrink.ts';
const [seed, hours] = process.argv.slice(2).map(Number) as [number, number];
const pattern = new RegExp(process.argv[4] ?? '.');
const story = storyOf(seed, hours);
const played = await play(story, { endsAt: ({ sort }) => pattern.test(sort) });
if (!played.violation) { console.log('held'); process.exit(); }
const small = await shrunk(story, played.violation);
const again = await play(small.story, { endsAt: ({ sort }) => sort === small.violation.sort });
console.log(`${story.events.length} events, ${small.story.events.length} left`);
console.log(small.story.events.map(({at, event}) => `${(at/3600000).toFixed(2)} ${JSON.stringify(event)}`).join("\n"));
console.log(tell(small.story, again.facts, again.violation!, `--seed ${seed}`));
