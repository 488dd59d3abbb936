// All machines of a host at once: one that hangs delays none of the others, and is not asked again before its look has ended.

import { setTimeout as delay } from 'node:timers/promises';
import { STILL_HANGS } from '../domain/pass.ts';
import { known, type Reading, unknown } from '../domain/reading.ts';
import type { MachineObservation, MachineState, RunnerTarget } from '../domain/runner.ts';
import { type CallContext, type HostPort, MachineError, type MachinePort, type ObserveAll } from './port.ts';

export interface ObserveAllTiming {
  /** Looks that begin while none of them has ended. */
  readonly atOnce: number;
  /** A look that lasts longer waits for its guest and takes no part of the host, so the next one begins beside it. Milliseconds. */
  readonly slotMs: number;
  /** Older states are asked anew, since a command for a machine that was stopped meanwhile would start it. Milliseconds. */
  readonly freshMs: number;
  /** Below the heartbeat time-out of a look. Milliseconds. */
  readonly heartbeatEveryMs: number;
}

/** Ten logins at once are little for a host of many machines; of 200 that all hang the last look begins after 95 s. */
const TIMING: ObserveAllTiming = { atOnce: 10, slotMs: 5_000, freshMs: 4_000, heartbeatEveryMs: 5_000 };

/** How much of the reason why a machine could not be read is handed on, in characters. */
const REASON_LENGTH = 300;

/** A look at a guest whose command has not ended. */
interface LookUnderWay {
  readonly machine: string;
  /** Epoch milliseconds. */
  readonly since: number;
  /** A look that goes on although this is aborted hangs. */
  readonly signal: AbortSignal;
}

export function createObserveAll(machine: MachinePort, host: HostPort, timing: Partial<ObserveAllTiming> = {}): ObserveAll {
  const settings = { ...TIMING, ...timing };
  /** Those of all passes of this process. */
  const underWay = new Set<LookUnderWay>();

  return async ({ targets, machineLookMs, serverUrl }, call) => {
    const beat = setInterval(() => call.heartbeat(`look at ${targets.length} machines`), settings.heartbeatEveryMs);
    const pass = new Pass(machine, underWay, settings, machineLookMs, call);
    try {
      const [seen, machines] = await Promise.all([host.observe(serverUrl, call), pass.observe(targets)]);
      return { host: seen, machines, calls: pass.calls };
    } finally {
      clearInterval(beat);
    }
  };
}

class Pass {
  /** Calls of the provider's client so far. */
  calls = 0;
  readonly #machine: MachinePort;
  readonly #underWay: Set<LookUnderWay>;
  readonly #timing: ObserveAllTiming;
  readonly #lookMs: number;
  readonly #call: CallContext;
  #states: Reading<ReadonlyMap<string, MachineState>> = unknown('not asked yet');
  #statesAt = Number.NEGATIVE_INFINITY;

  constructor(machine: MachinePort, underWay: Set<LookUnderWay>, timing: ObserveAllTiming, lookMs: number, call: CallContext) {
    this.#machine = machine;
    this.#underWay = underWay;
    this.#timing = timing;
    this.#lookMs = lookMs;
    this.#call = call;
  }

  /** In the order of the targets. */
  async observe(targets: readonly RunnerTarget[]): Promise<readonly Reading<MachineObservation>[]> {
    const names = [...new Set(targets.map(({ machine }) => machine))];
    const looks: Promise<Reading<MachineObservation>>[] = [];
    const slots = new Set<Promise<unknown>>();
    for (const target of targets) {
      while (slots.size >= this.#timing.atOnce) {
        await Promise.race(slots);
      }
      await this.#refreshStates(names);
      const look = this.#observeOne(target);
      looks.push(look);
      const slot: Promise<unknown> = Promise.race([look.catch(() => null), delay(this.#timing.slotMs, null, { ref: false })]);
      slots.add(slot);
      void slot.finally(() => slots.delete(slot));
    }
    return Promise.all(looks);
  }

  async #refreshStates(names: readonly string[]): Promise<void> {
    if (performance.now() - this.#statesAt < this.#timing.freshMs) {
      return;
    }
    this.calls += 1;
    this.#states = await this.#machine.states(names, this.#call).then(known, (error: unknown) => this.#unread(error));
    this.#statesAt = performance.now();
  }

  async #observeOne(target: RunnerTarget): Promise<Reading<MachineObservation>> {
    if (!this.#states.known) {
      return this.#states;
    }
    const state = this.#states.value.get(target.machine) ?? 'missing';
    if (state !== 'running') {
      return known(await this.#machine.observe(target, this.#call, state));
    }
    const hanging = [...this.#underWay].find(({ machine, signal }) => machine === target.machine && signal.aborted);
    if (hanging !== undefined) {
      return unreadGuest(`${STILL_HANGS}, since ${new Date(hanging.since).toISOString()}, so ${target.machine} was not asked again`);
    }
    this.calls += 1;
    return this.#lookInto(target);
  }

  /** Its command may go on for longer than this does. */
  async #lookInto(target: RunnerTarget): Promise<Reading<MachineObservation>> {
    const { machine } = target;
    const tooLate = new AbortController();
    const signal = AbortSignal.any([this.#call.signal, tooLate.signal]);
    const heartbeat = (doing: string): void => {
      if (!signal.aborted) {
        this.#call.heartbeat(doing);
      }
    };
    const deadline = setTimeout(() => tooLate.abort(), this.#lookMs);
    const entry: LookUnderWay = { machine, since: Date.now(), signal };
    this.#underWay.add(entry);
    const look = this.#machine.observe(target, { signal, heartbeat }, 'running').finally(() => this.#underWay.delete(entry));
    try {
      return known(inFewWords(await Promise.race([look, untilAborted(signal)])));
    } catch (error) {
      return tooLate.signal.aborted && !this.#call.signal.aborted
        ? unreadGuest(`${machine} gave no answer within ${this.#lookMs / 1_000} s`)
        : this.#unread(error);
    } finally {
      clearTimeout(deadline);
    }
  }

  /** What keeps one machine from being read is a value; what ends the pass, and what nobody expected, is not. */
  #unread(error: unknown): Reading<never> {
    this.#call.signal.throwIfAborted();
    if (!(error instanceof MachineError)) {
      throw error;
    }
    return unknown(
      [error.message, error.evidence]
        .filter((text) => text !== '')
        .join(': ')
        .slice(0, REASON_LENGTH),
    );
  }
}

function unreadGuest(why: string): Reading<MachineObservation> {
  return known({ observedAt: Date.now(), state: 'running', guest: unknown(why) });
}

function inFewWords(seen: MachineObservation): MachineObservation {
  return seen.guest.known ? seen : { ...seen, guest: unknown(seen.guest.why.slice(0, REASON_LENGTH)) };
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
    }
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
