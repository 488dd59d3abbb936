// The minute's points of a credential: GitHub refuses what goes beyond them, and everything else with it for a while. So what can wait does.

import { setTimeout as sleepFor } from 'node:timers/promises';

/**
 * Points of a minute, and what a request costs of them, unchanged answers included.
 * https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#calculating-points-for-the-secondary-rate-limit
 */
const POINTS = 900;
const POINTS_OF_READING = 1;
const POINTS_OF_WRITING = 5;
const MINUTE_MS = 60_000;

/** What care for queues and caches may take of them, so that health checks always find room. */
const POINTS_OF_CARE = 600;

/** What a write takes with the two reads that it rests on: a run and its jobs. */
export const POINTS_OF_ACT = POINTS_OF_WRITING + 2 * POINTS_OF_READING;

/** `account` names whose points are meant. */
export interface Points {
  /** Of a request that goes at once. */
  charge(account: string, cost: number): void;
  /**
   * Waits until care has so many left, in the turn of its scope: scopes that wait are served one after the other, whoever asks for more.
   * Rejects with the signal's reason once it aborts.
   */
  reserve(wanted: { readonly account: string; readonly scope: string; readonly cost: number }, signal: AbortSignal): Promise<Reservation>;
}

export interface Reservation {
  /** More than is reserved is charged. */
  spend(cost: number): void;
  /** Gives back what was not spent. */
  end(): void;
}

export interface PointsOptions {
  /** Milliseconds, never set back. */
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

export function costOf(method: string): number {
  return ['GET', 'HEAD', 'OPTIONS'].includes(method) ? POINTS_OF_READING : POINTS_OF_WRITING;
}

/** Knows what this process has sent; other processes with the same token show in GitHub's refusals alone, which close the gate for all of them. */
export function createPoints({ now = () => performance.now(), sleep = sleepUntilAborted }: PointsOptions = {}): Points {
  const minutes = new Map<string, Minute>();
  const minuteOf = (account: string): Minute => {
    const minute = minutes.get(account) ?? new Minute(now, sleep);
    minutes.set(account, minute);
    return minute;
  };
  return {
    charge: (account, cost) => minuteOf(account).spend(cost, false),
    reserve: ({ account, scope, cost }, signal) => minuteOf(account).reserve(scope, cost, signal),
  };
}

interface Waiting {
  readonly cost: number;
  readonly go: (reservation: Reservation) => void;
}

class Minute {
  readonly #now: () => number;
  readonly #sleep: NonNullable<PointsOptions['sleep']>;
  /** Oldest first. */
  #spent: { readonly at: number; readonly cost: number; readonly isCare: boolean }[] = [];
  /** Reserved, and not yet spent. */
  #held = 0;
  /** By scope; the scope that was served longest ago first. */
  readonly #waiting = new Map<string, Waiting[]>();
  #isServing = false;
  #wake = new AbortController();

  constructor(now: () => number, sleep: NonNullable<PointsOptions['sleep']>) {
    this.#now = now;
    this.#sleep = sleep;
  }

  spend(cost: number, isCare: boolean): void {
    this.#spent.push({ at: this.#now(), cost, isCare });
  }

  reserve(scope: string, cost: number, signal: AbortSignal): Promise<Reservation> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#leave(scope, waiting);
        reject(signal.reason as Error);
      };
      const waiting: Waiting = {
        cost,
        go: (reservation) => {
          signal.removeEventListener('abort', leave);
          resolve(reservation);
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.set(scope, [...(this.#waiting.get(scope) ?? []), waiting]);
      void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    for (let next = this.#next(); next !== null; next = this.#next()) {
      const [scope, waiting] = next;
      const waitMs = this.#msUntilFree(waiting.cost);
      if (waitMs > 0) {
        await this.#rest(waitMs);
        continue;
      }
      this.#leave(scope, waiting);
      this.#putLast(scope);
      waiting.go(this.#reservationOf(waiting.cost));
    }
    this.#isServing = false;
  }

  #next(): readonly [scope: string, waiting: Waiting] | null {
    for (const [scope, [first]] of this.#waiting) if (first !== undefined) return [scope, first];
    return null;
  }

  #leave(scope: string, waiting: Waiting): void {
    const left = (this.#waiting.get(scope) ?? []).filter((each) => each !== waiting);
    if (left.length > 0) this.#waiting.set(scope, left);
    else this.#waiting.delete(scope);
    if (this.#waiting.size === 0) this.#wake.abort();
  }

  #putLast(scope: string): void {
    const left = this.#waiting.get(scope);
    if (left !== undefined && this.#waiting.delete(scope)) this.#waiting.set(scope, left);
  }

  #reservationOf(cost: number): Reservation {
    let left = cost;
    this.#held += cost;
    const release = (points: number): void => {
      left -= points;
      this.#held -= points;
    };
    return {
      spend: (points) => {
        release(Math.min(points, left));
        this.spend(points, true);
      },
      end: () => {
        if (left === 0) return;
        release(left);
        this.#wake.abort();
      },
    };
  }

  /** Until so many of the minute's points are old enough; what is reserved may be given back earlier. */
  #msUntilFree(cost: number): number {
    const now = this.#now();
    this.#spent = this.#spent.filter(({ at }) => at > now - MINUTE_MS);
    let all = this.#held;
    let ofCare = this.#held;
    for (const { cost: points, isCare } of this.#spent) {
      all += points;
      ofCare += isCare ? points : 0;
    }
    const fits = (): boolean => all + cost <= POINTS && ofCare + cost <= POINTS_OF_CARE;
    if (fits()) return 0;
    for (const { at, cost: points, isCare } of this.#spent) {
      all -= points;
      ofCare -= isCare ? points : 0;
      if (fits()) return at + MINUTE_MS - now;
    }
    return MINUTE_MS;
  }

  async #rest(ms: number): Promise<void> {
    this.#wake = new AbortController();
    try {
      await this.#sleep(ms, this.#wake.signal);
    } catch (error) {
      if (!this.#wake.signal.aborted) throw error;
    }
  }
}

function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<unknown> {
  // A timer leaves out fractions.
  return sleepFor(Math.ceil(ms), undefined, { signal });
}
