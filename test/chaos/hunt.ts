import { play } from './play.ts';
import { storyOf } from './scenario.ts';
const [from, to, hours] = process.argv.slice(2).map(Number) as [number, number, number];
const BEGUN = Date.UTC(2026, 0, 5, 8);
let h = 0;
const seen = new Map<string, { where: string; count: number }>();
for (let seed = from; seed < to; seed += 1) {
  let played;
  try { played = await play(storyOf(seed, hours), { endsAt: () => false }); } catch (error) { console.log(seed, 'THREW', error); continue; }
  for (const { at, sort } of played.violations) {
    const known = seen.get(sort);
    const hour = (at - BEGUN) / 3600000;
    if (known) known.count += 1; else seen.set(sort, { count: 1, where: `seed ${seed} at ${hour.toFixed(1)} h, after ${(h + hour).toFixed(0)} h` });
  }
  h += played.hours;
}
for (const [sort, { count, where }] of [...seen].toSorted()) console.log(`${count}x ${sort}\n      ${where}`);
console.log(`${h.toFixed(0)} hours`);
