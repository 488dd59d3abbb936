// `npm run chaos`: stories of seeds, one after the other and side by side, until one breaks an invariant.

import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { Violation } from './invariants.ts';
import { BEGUN_AT, play } from './play.ts';
import { storyOf, STORY_HOURS, type Story } from './scenario.ts';
import { shrunk } from './shrink.ts';
import { tell } from './story.ts';
import { HOUR } from './world/time.ts';

const HELP = `Usage: npm run chaos -- [--seed NUMBER] [--hours NUMBER] [--events LIST] [--only PATTERN] [--all] [--depth 1|2|3] [--guest]

Plays stories of ${STORY_HOURS} simulated hours each, in which everything goes wrong that may, and says whether an invariant was broken.

  --seed NUMBER    of the first story; the next ones have the next seeds (default 1)
  --hours NUMBER   simulated hours of all stories together (default 1000)
  --events LIST    plays the one story of --seed with these of its events alone, such as 3,17
  --only PATTERN   counts only violations that a regular expression meets, such as '^not-online'
  --all            goes on after a violation, and lists each sort of them with its seed and the hours it took
  --depth 1        workflows, activities and decisions in virtual time (default)
  --depth 2        the same on Temporal's test server, which skips time, by workers whose process is killed in the middle
  --depth 3        the same in real time, on a server that is killed too: --hours 2 takes two hours; --real is another word for it
  --guest          the product's own commands in real time, with one runner in a real Linux; the seed says what happens

Exit codes: 0 all invariants held, 1 one was broken, 2 bad arguments, 130 ended by Ctrl-C.`;

/** Most of what a story makes dies young, and errors are part of each: their stacks are read by nobody. */
const QUICKER = ['--max-semi-space-size=64', '--stack-trace-limit=0'];

/** Between two lines of progress. */
const TELL_EVERY_MS = 10_000;

interface Wanted {
  readonly seed: number;
  readonly hours: number;
  readonly depth: number;
  readonly guest: boolean;
  readonly events: readonly number[] | null;
  readonly only: string;
  readonly all: boolean;
}

/** What one process tells the one that began it. */
interface Told {
  readonly seed: number;
  readonly hours: number;
  readonly events: number;
  /** Seconds of a processor. */
  readonly worked: number;
  readonly jobs: number;
  readonly harmed: number;
  readonly violations: readonly Violation[];
}

function wantedOf(given: readonly string[]): Wanted | 'help' | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: [...given],
      options: {
        seed: { type: 'string' },
        hours: { type: 'string' },
        events: { type: 'string' },
        only: { type: 'string' },
        all: { type: 'boolean' },
        depth: { type: 'string' },
        real: { type: 'boolean' },
        guest: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return 'help';
    const { seed = '1', hours = '1000', events, only = '', all = false, real = false, guest = false, depth = real ? '3' : '1' } = values;
    if (!['1', '2', '3'].includes(depth)) return { problem: `--depth is to be 1, 2 or 3, but is ${depth}` };
    const problem = [isNumber('--seed', seed), isNumber('--hours', hours)].find((each) => each !== null);
    if (problem != null) return { problem };
    new RegExp(only);
    const indexes = events?.split(',').filter((each) => each !== '');
    return { seed: Number(seed), hours: Number(hours), depth: Number(depth), guest, events: indexes?.map(Number) ?? null, only, all };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function isNumber(name: string, text: string): string | null {
  return /^\d{1,9}$/.test(text) ? null : `${name} is to be a whole number, but is ${text}`;
}

function storyWanted({ seed, hours, events }: Wanted): Story {
  const story = storyOf(seed, Math.min(hours, STORY_HOURS));
  return events === null ? story : { ...story, events: events.flatMap((index) => story.events[index] ?? []) };
}

function commandOf(story: Story): string {
  const all = storyOf(story.seed).events;
  const left = story.events.map(({ at, event }) =>
    all.findIndex((each) => each.at === at && JSON.stringify(each.event) === JSON.stringify(event)),
  );
  return `npm run chaos -- --seed ${story.seed} --hours ${STORY_HOURS}${left.length === all.length ? '' : ` --events ${left.join(',')}`}`;
}

function endsAt({ only, all }: Wanted): (violation: Violation) => boolean {
  const pattern = new RegExp(only);
  return all ? () => false : ({ sort }) => pattern.test(sort);
}

async function tellWhy(story: Story, violation: Violation): Promise<void> {
  console.log(`\nSeed ${story.seed} breaks an invariant; looking for its shortest story …`);
  const small = await shrunk(story, violation);
  const { facts } = await play(small.story, { endsAt: ({ sort }) => sort === violation.sort });
  console.log(`\n${tell(small.story, facts, small.violation, commandOf(small.story))}`);
}

/** Plays every so-many-th story. */
async function playShare(wanted: Wanted, share: number, shares: number): Promise<void> {
  // The SDK copies by it what workflows log, and nobody reads that here.
  Reflect.deleteProperty(globalThis, 'structuredClone');
  const stories = Math.ceil(wanted.hours / STORY_HOURS);
  const isBroken = endsAt(wanted);
  for (let index = share; index < stories; index += shares) {
    const seed = wanted.seed + index;
    const begun = process.cpuUsage();
    const story = storyWanted({ ...wanted, seed });
    const { violation, violations, hours, jobs, harmed } = await play(story, { endsAt: isBroken });
    const { user, system } = process.cpuUsage(begun);
    const score = { hours, events: story.events.length, worked: (user + system) / 1e6, jobs, harmed };
    const told: Told = { seed, ...score, violations: wanted.all ? violations : violation === null ? [] : [violation] };
    await new Promise((resolve) => process.send?.(told, resolve));
    if (violation !== null) return;
  }
}

/** The stories of a command, in processes side by side. */
class Stories {
  readonly #wanted: Wanted;
  readonly #told: Told[] = [];
  readonly #children: ChildProcess[] = [];
  readonly #known = new Set<string>();
  #isEnded = false;
  #isShrinking = false;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  async play(): Promise<number> {
    const end = (): void => {
      this.#isEnded = true;
      this.#endAll();
      if (this.#isShrinking) process.exit(130);
    };
    process.once('SIGINT', end);
    process.once('SIGTERM', end);
    const telling = setInterval(() => console.log(this.#score()), TELL_EVERY_MS);
    const shares = Math.max(1, Math.min(availableParallelism(), Math.ceil(this.#wanted.hours / STORY_HOURS)));
    const codes = await Promise.all(Array.from({ length: shares }, (_, share) => this.#playShare(share, shares)));
    clearInterval(telling);
    console.log(this.#score());
    if (this.#isEnded) {
      if (this.#wanted.all) this.#list();
      return 130;
    }
    const broken = this.#told.filter(({ violations }) => violations.length > 0).toSorted((one, other) => one.seed - other.seed);
    if (broken.length === 0 && codes.some((code) => code !== 0)) {
      console.error('A process of the simulation has ended otherwise than well: its words are above.');
      return 1;
    }
    const [first] = broken;
    const [violation] = first?.violations ?? [];
    if (first === undefined || violation === undefined) {
      console.log('All invariants held.');
      return 0;
    }
    this.#isShrinking = true;
    if (this.#wanted.all) this.#list();
    else await tellWhy(storyWanted({ ...this.#wanted, seed: first.seed }), violation);
    return 1;
  }

  #playShare(share: number, shares: number): Promise<number> {
    const child = fork(import.meta.filename, ['--share', String(share), String(shares), JSON.stringify(this.#wanted)], {
      execArgv: [...process.execArgv, ...QUICKER],
    });
    this.#children.push(child);
    child.on('message', (told) => {
      this.#told.push(told as Told);
      if (this.#wanted.all) this.#tellNew(told as Told);
      if ((told as Told).violations.length > 0 && !this.#wanted.all) this.#endAll();
    });
    return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 0)));
  }

  #tellNew({ seed, violations }: Told): void {
    for (const { sort } of violations) {
      if (this.#known.has(sort)) continue;
      this.#known.add(sort);
      console.log(`seed ${seed}: ${sort}`);
    }
  }

  #endAll(): void {
    for (const child of this.#children) child.kill();
  }

  /** Each sort once, with the hours that all stories up to it took. */
  #list(): void {
    const sorts = new Map<string, { readonly first: string; count: number }>();
    let before = 0;
    for (const { seed, hours, violations } of this.#told.toSorted((one, other) => one.seed - other.seed)) {
      for (const { at, sort } of violations) {
        const hour = (at - BEGUN_AT) / HOUR;
        const known = sorts.get(sort);
        if (known === undefined)
          sorts.set(sort, { first: `seed ${seed}, ${hour.toFixed(1)} h into it, after ${Math.round(before + hour)} h`, count: 1 });
        else known.count += 1;
      }
      before += hours;
    }
    const lines = [...sorts].map(([sort, { first, count }]) => `${sort}\n    ${first}; ${count} in all`);
    console.log(lines.toSorted((one, other) => one.localeCompare(other)).join('\n'));
  }

  #score(): string {
    const sum = (of: 'hours' | 'events' | 'worked' | 'jobs' | 'harmed'): number =>
      Math.floor(this.#told.reduce((all, told) => all + told[of], 0));
    return `${sum('hours')} simulated hours in ${this.#told.length} stories, with ${sum('events')} events: ${sum('jobs')} jobs, ${sum('harmed')} harmed, in ${sum('worked')} s of a processor`;
  }
}

async function main(given: readonly string[]): Promise<number> {
  if (given[0] === '--share') {
    const [, share, shares, wanted] = given;
    process.once('disconnect', () => process.exit());
    await playShare(JSON.parse(wanted as string) as Wanted, Number(share), Number(shares));
    process.disconnect();
    return 0;
  }
  const wanted = wantedOf(given);
  if (wanted === 'help') {
    console.log(HELP);
    return 0;
  }
  if ('problem' in wanted) {
    console.error(`${wanted.problem}\n\n${HELP}`);
    return 2;
  }
  const { seed, hours, depth, guest } = wanted;
  if (guest) {
    const { playInGuest } = await import('./served/guest.ts');
    return playInGuest({ seed, hours });
  }
  if (depth > 1) {
    const { playStories } = await import('./served/main.ts');
    return playStories({ depth: depth as 2 | 3, seed, hours });
  }
  if (wanted.events === null) return new Stories(wanted).play();
  const story = storyWanted(wanted);
  const { facts, violation } = await play(story, { endsAt: endsAt(wanted) });
  console.log(violation === null ? 'All invariants held.' : tell(story, facts, violation, commandOf(story)));
  return violation === null ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
