// Time of the simulated world, and chance that a seed decides.

/** Virtual time, by which everything in a simulation happens. */
export interface Time {
  /** Epoch milliseconds. */
  now(): number;
  /** Rejects with the signal's reason if that is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** What will happen by itself, in the order of its times; it happens when somebody looks. */
export class Timeline {
  #heap: Entry[] = [];
  #order = 0;
  #now: number;

  constructor(now: number) {
    this.#now = now;
  }

  /** The moment of what happens at present. */
  get now(): number {
    return this.#now;
  }

  at(at: number, run: () => void): void {
    const heap = this.#heap;
    const entry = { at, order: (this.#order += 1), run };
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  after(ms: number, run: () => void): void {
    this.at(this.#now + ms, run);
  }

  /** Lets everything happen up to this moment. */
  advanceTo(now: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= now; next = this.#heap[0]) {
      this.#removeFirst();
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = Math.max(this.#now, now);
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      if (!isBefore(heap[child] as Entry, last)) break;
      heap[index] = heap[child] as Entry;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/**
 * Chance by a seed. What it decides hangs on what it is asked about and on the minute, and not on what else was asked: so a story without some of
 * its events goes on as it would have.
 */
export class Chance {
  readonly #seed: number;
  readonly #time: { readonly now: number };
  #minute = -1;
  #asked = new Map<string, number>();

  constructor(seed: number, time: { readonly now: number }) {
    this.#seed = seed;
    this.#time = time;
  }

  /** From 0 up to 1. */
  next(about: string): number {
    const minute = Math.floor(this.#time.now / MINUTE);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#asked = new Map();
    }
    const times = (this.#asked.get(about) ?? 0) + 1;
    this.#asked.set(about, times);
    return this.#drawn(hashOf(about), minute, times);
  }

  /** The same of one thing that is asked about often. */
  about(what: string): () => number {
    const hash = hashOf(what);
    let [minute, times] = [-1, 0];
    return () => {
      const now = Math.floor(this.#time.now / MINUTE);
      times = now === minute ? times + 1 : 1;
      minute = now;
      return this.#drawn(hash, minute, times);
    };
  }

  #drawn(hash: number, minute: number, times: number): number {
    return scrambled(this.#seed ^ Math.imul(minute % 1_000_003, 0x9e3779b1) ^ Math.imul(times, 0x85ebca6b) ^ hash);
  }

  between(about: string, from: number, to: number): number {
    return Math.round(from + this.next(about) * (to - from));
  }

  /** Mostly short, and seldom as long as it may be. */
  skewed(about: string, from: number, to: number): number {
    const part = this.next(about);
    return Math.round(from + part ** 4 * (to - from));
  }

  isSo(about: string, probability: number): boolean {
    return this.next(about) < probability;
  }
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}

/** The mixing of murmur3. */
function scrambled(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 4_294_967_296;
}
