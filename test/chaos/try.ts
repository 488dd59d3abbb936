import { play } from './play.ts';
import { storyOf } from './scenario.ts';
import { tell } from './story.ts';
const [from, to, hours] = process.argv.slice(2).map(Number) as [number, number, number];
const t0 = process.hrtime.bigint();
let h = 0;
const counts: Record<string, number> = {};
for (let seed = from; seed < to; seed += 1) {
  const story = storyOf(seed, hours);
  const played = await play(story);
  h += played.hours;
  if (played.violation) { counts[played.violation.invariant] = (counts[played.violation.invariant] ?? 0) + 1;
  console.log(seed, played.hours.toFixed(1), 'jobs', played.jobs, played.violation.invariant, played.violation.what);
  if (process.argv[5] === 'tell') console.log(tell(story, played.facts, played.violation, `seed ${seed}`)); }
  else console.log(seed, played.hours.toFixed(1), 'jobs', played.jobs, 'facts', played.facts.length, 'held');
}
const ms = Number(process.hrtime.bigint() - t0) / 1e6;
console.log(`${h.toFixed(0)} hours in ${(ms/1000).toFixed(1)} s: ${(ms / h).toFixed(1)} ms an hour`, counts);
