import { setTimeout as sleep } from 'node:timers/promises';
import { type Act, type ActRefusal, type CallContext, CallGivenUp, type FenceTaken, MachineError } from '../../machine/port.ts';
import type { Machine } from './guest-state.ts';

/** How often a caller is told what it waits for; an activity's heartbeat time-out is 20 s. */
const HEARTBEAT_MS = 3_000;

/** Ends of acts that have not reached their goal: a retry runs them again. */
const OTHERWISE: ReadonlySet<string> = new Set(['not-paused', 'heard', 'not-configured', 'not-started', 'not-fetched']);

/** After that a recovery that is half done counts as given up. */
const UNFINISHED_MS = 2 * 3_600_000;

/** An act's own clock: it waits, and ends when the act is ended. */
export interface ActClock {
  readonly signal: AbortSignal;
  wait(milliseconds: number): Promise<void>;
}

interface RunningAct {
  readonly key: string;
  readonly fence: number;
  readonly holder: string;
  readonly ending: AbortController;
  readonly result: Promise<{ readonly kind: string }>;
}

/**
 * The fence of one guest, with the rules of the real one (src/machine/guest/driver.sh): at most one act at a time, none with a lower
 * number than the guest's; a retry finds its own act running or its record of success. Acts die with the process, as in a power cut:
 * without a record.
 */
export class ActFence {
  #running: RunningAct | null = null;

  get runningKey(): string | null {
    return this.#running?.key ?? null;
  }

  /** @param recovers the directory of the runner that the taker recovers; `null` if it is no recovery */
  take(machine: Machine, holder: string, recovers: string | null): FenceTaken {
    if (this.#running !== null) {
      return { kind: 'refused-in-progress', holder: this.#running.holder };
    }
    for (const [directory, { unfinished }] of Object.entries(machine.runners)) {
      if (unfinished !== null && directory !== recovers && Date.now() - unfinished.since < UNFINISHED_MS) {
        return { kind: 'refused-unfinished', holder: unfinished.holder };
      }
    }
    machine.fence = { number: machine.fence.number + 1, holder };
    return { kind: 'taken', fence: machine.fence.number };
  }

  /**
   * Runs an act, or waits for it, or reads its record.
   * @param body must converge: after a process that was killed it is run again
   */
  async run<T extends { readonly kind: string }>(
    machine: Machine,
    act: Act,
    call: CallContext,
    body: (clock: ActClock) => Promise<T | ActRefusal>,
  ): Promise<T | ActRefusal> {
    for (;;) {
      if (act.fence < machine.fence.number) {
        return { kind: 'refused-late', holder: machine.fence.holder };
      }
      const running = this.#running;
      if (running === null) {
        const record = machine.records[act.key];
        if (record !== undefined) {
          return record as unknown as T;
        }
        return (await this.#follow(this.#start(machine, act, body), call)) as T | ActRefusal;
      }
      if (running.key === act.key) {
        return (await this.#follow(running, call)) as T | ActRefusal;
      }
      if (running.fence !== act.fence) {
        return { kind: 'refused-in-progress', holder: running.holder };
      }
      // An earlier act of the same operation, whose caller has gone: how it ends is not this one's answer.
      await this.#follow(running, call).catch(() => call.signal.throwIfAborted());
    }
  }

  /** Ends what runs, as a power cut does. */
  cut(): void {
    this.#running?.ending.abort(new MachineError('unreachable', 'the machine went down in the middle of an act'));
  }

  #start<T extends { readonly kind: string }>(machine: Machine, act: Act, body: (clock: ActClock) => Promise<T | ActRefusal>): RunningAct {
    if (act.fence > machine.fence.number) {
      machine.fence = { number: act.fence, holder: act.key };
    }
    const ending = new AbortController();
    const late = new MachineError('act-failed', `act ${act.key} was ended at its deadline of ${act.deadlineMs} ms`);
    const deadline = setTimeout(() => ending.abort(late), act.deadlineMs);
    const wait = async (milliseconds: number): Promise<void> => {
      await sleep(milliseconds, undefined, { signal: ending.signal });
    };
    const result = this.#perform(machine, act.key, body({ signal: ending.signal, wait })).finally(() => clearTimeout(deadline));
    this.#running = { key: act.key, fence: act.fence, holder: machine.fence.holder, ending, result };
    // Every caller may have gone by the time that it ends.
    result.catch(() => undefined);
    return this.#running;
  }

  async #perform<T extends { readonly kind: string }>(machine: Machine, key: string, body: Promise<T>): Promise<T> {
    try {
      const result = await body;
      if (!result.kind.startsWith('refused-') && !OTHERWISE.has(result.kind)) {
        machine.records[key] = result;
      }
      return result;
    } finally {
      this.#running = null;
    }
  }

  /** A caller that goes away takes the act with it, unless it only gives up the call. */
  async #follow({ key, ending, result }: RunningAct, { signal, heartbeat }: CallContext): Promise<{ readonly kind: string }> {
    const tell = (): void => heartbeat(`waiting for ${key}`);
    const givenUp = Promise.withResolvers<never>();
    const end = (): void => (signal.reason instanceof CallGivenUp ? givenUp.reject(signal.reason) : ending.abort(signal.reason));
    signal.throwIfAborted();
    signal.addEventListener('abort', end);
    tell();
    const telling = setInterval(tell, HEARTBEAT_MS);
    try {
      return await Promise.race([result, givenUp.promise]);
    } catch (error) {
      // Waits and requests that are aborted say no more than that; the reason is the signal's.
      throw ending.signal.aborted ? ending.signal.reason : error;
    } finally {
      clearInterval(telling);
      signal.removeEventListener('abort', end);
    }
  }
}
