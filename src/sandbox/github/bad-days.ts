// Bad days: which requests are answered otherwise than ever.

import type { Fault } from './answer.ts';

export interface Match {
  readonly method?: string;
  /** Text that the path (without `/api/v3` and query) contains, or a pattern for it. */
  readonly path?: string | RegExp;
  /** Text that the client's `User-Agent` contains. */
  readonly userAgent?: string;
}

/** Requests that match are delayed, and answered by `status` or spoilt by `fault` where one is given. */
export interface Misbehaviour {
  readonly match?: Match;
  /** Begins only after a request that matches this. */
  readonly from?: Match;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON instead of GitHub's usual body for this status. */
  readonly body?: unknown;
  readonly fault?: Fault;
  readonly delayMs?: number;
  /** How many requests meet it. Default: all. */
  readonly times?: number;
  /** The part of the requests that matches and meets it. Default 1. */
  readonly chance?: number;
  /** Which ones those are follows from it alone. Default 1. */
  readonly seed?: number;
}

export class BadDays {
  readonly #days: BadDay[] = [];

  /** Returns a function that ends it. */
  begin(what: Misbehaviour): () => void {
    const { from, times = Infinity, seed = 1 } = what;
    const day = { what, hasBegun: from === undefined, left: times, random: randomFrom(seed) };
    this.#days.push(day);
    return () => {
      day.left = 0;
    };
  }

  /** What a request meets: the earliest that matches. */
  meet(request: Asked): Misbehaviour | undefined {
    const met = this.#days.find(
      ({ hasBegun, left, what, random }) => hasBegun && left > 0 && matches(what.match, request) && random() < (what.chance ?? 1),
    );
    if (met) met.left -= 1;
    for (const day of this.#days) day.hasBegun ||= matches(day.what.from, request);
    return met?.what;
  }
}

interface BadDay {
  readonly what: Misbehaviour;
  hasBegun: boolean;
  left: number;
  readonly random: () => number;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly userAgent: string;
}

function matches(match: Match | undefined, { method, path, userAgent }: Asked): boolean {
  if (match?.method !== undefined && match.method !== method) return false;
  if (match?.userAgent !== undefined && !userAgent.includes(match.userAgent)) return false;
  if (match?.path === undefined) return true;
  return typeof match.path === 'string' ? path.includes(match.path) : match.path.test(path);
}

/** Mulberry32: numbers from 0 to below 1, the same ones for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
