import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { MachineObservation, MachineState, RunnerTarget } from '../../src/domain/runner.ts';
import { createObserveAll } from '../../src/machine/observe-all.ts';
import { type CallContext, MachineError, type MachinePort, type ObserveAll } from '../../src/machine/port.ts';
import { SandboxHost } from '../../src/sandbox/machine/sandbox-host.ts';
import { guest, target } from '../kit/observations.ts';

const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };

/** Machines that answer as they are told; those without a word answer at once. */
class Machines implements Pick<MachinePort, 'states' | 'observe'> {
  readonly stateOf = new Map<string, MachineState>();
  readonly answerOf = new Map<string, (call: CallContext) => Promise<MachineObservation>>();
  readonly asked: string[] = [];
  lists = 0;
  atOnce = 0;
  most = 0;
  listing: () => Promise<void> = async () => {};

  async states(names: readonly string[]): Promise<ReadonlyMap<string, MachineState>> {
    this.lists += 1;
    await this.listing();
    return new Map(names.map((name) => [name, this.stateOf.get(name) ?? 'running']));
  }

  async observe({ machine }: RunnerTarget, call: CallContext, state: MachineState): Promise<MachineObservation> {
    if (state !== 'running') {
      return { observedAt: 0, state, guest: { known: false, why: `${machine} is ${state}` } };
    }
    this.asked.push(machine);
    this.atOnce += 1;
    this.most = Math.max(this.most, this.atOnce);
    try {
      return (await this.answerOf.get(machine)?.(call)) ?? seen();
    } finally {
      this.atOnce -= 1;
    }
  }
}

const seen = (): MachineObservation => ({ observedAt: 0, state: 'running', guest: { known: true, value: guest() } });
const after = (ms: number) => async (): Promise<MachineObservation> => {
  await sleep(ms);
  return seen();
};
const untilAbort = ({ signal }: CallContext): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
const targets = (count: number): RunnerTarget[] =>
  Array.from({ length: count }, (_, at) => target({ machine: `m${at}`, runner: `r${at}` }));

let machines: Machines;
let observeAll: ObserveAll;
beforeEach(() => {
  machines = new Machines();
  observeAll = createObserveAll(machines as unknown as MachinePort, new SandboxHost(), { slotMs: 100 });
});

const look = (at: readonly RunnerTarget[], machineLookMs = 200, call = CALL) =>
  observeAll({ targets: at, machineLookMs, serverUrl: 'http://127.0.0.1:9' }, call);

describe('a look at all machines', () => {
  it('asks once for all states, and only the guests that run', async () => {
    machines.stateOf.set('m1', 'stopped').set('m2', 'missing');
    const { host, machines: readings, calls } = await look(targets(4));
    expect(host.githubOffsetMs).toEqual({ known: true, value: 0 });
    expect(readings).toMatchObject([
      { value: { state: 'running', guest: { known: true } } },
      { value: { state: 'stopped', guest: { known: false, why: 'm1 is stopped' } } },
      { value: { state: 'missing', guest: { known: false } } },
      { value: { state: 'running', guest: { known: true } } },
    ]);
    expect(machines.asked).toEqual(['m0', 'm3']);
    expect(machines.lists).toBe(1);
    expect(calls).toBe(3);
  });

  it('of a hundred, of which one hangs, has the other ninety-nine on time, ten at once', async () => {
    observeAll = createObserveAll(machines as unknown as MachinePort, new SandboxHost());
    const all = targets(100);
    const ends: string[] = [];
    for (const { machine } of all) {
      machines.answerOf.set(machine, async (call) => {
        await (machine === 'm7' ? untilAbort(call).catch(() => {}) : setImmediate());
        ends.push(machine);
        return seen();
      });
    }
    const { machines: readings } = await look(all, 800);
    expect([ends.length, ends.at(-1)]).toEqual([100, 'm7']);
    expect(readings.filter((reading) => reading.known && reading.value.guest.known)).toHaveLength(99);
    expect(readings[7]).toMatchObject({
      value: { state: 'running', guest: { known: false, why: 'm7 gave no answer within 0.8 s' } },
    });
    expect(machines.most).toBe(10);
  });

  it('begins the next look where ten only wait for their guests', async () => {
    const all = targets(25);
    let askedSoFar: number | null = null;
    for (const { machine } of all.slice(0, 20)) {
      machines.answerOf.set(machine, (call) =>
        untilAbort(call).finally(() => {
          askedSoFar ??= machines.asked.length;
        }),
      );
    }
    observeAll = createObserveAll(machines as unknown as MachinePort, new SandboxHost(), { slotMs: 10 });
    const { machines: readings } = await look(all, 600);
    expect(askedSoFar).toBe(25);
    expect(readings.slice(20).every((reading) => reading.known && reading.value.guest.known)).toBe(true);
  });

  it('takes a machine that cannot be asked for unknown, and no other with it', async () => {
    machines.answerOf.set('m0', () =>
      Promise.reject(new MachineError('provider-unavailable', 'list instances: no daemon', { evidence: 'socket' })),
    );
    const { machines: readings } = await look(targets(2));
    expect(readings).toMatchObject([{ known: false, why: 'list instances: no daemon: socket' }, { known: true }]);
  });

  it('takes all machines for unknown where their states cannot be read, and still looks at the host', async () => {
    machines.listing = () => Promise.reject(new MachineError('tool-missing', 'no multipass'));
    const { host, machines: readings } = await look(targets(2));
    expect(readings).toEqual([
      { known: false, why: 'no multipass' },
      { known: false, why: 'no multipass' },
    ]);
    expect(host.oldCronJob.known).toBe(true);
    expect(machines.asked).toEqual([]);
  });

  it('fails where a machine fails in a way that nobody expects', async () => {
    machines.answerOf.set('m0', () => Promise.reject(new TypeError('a mistake')));
    await expect(look(targets(2))).rejects.toThrow('a mistake');
  });

  it('asks anew for states that have grown old, since a command would start a machine that was stopped meanwhile', async () => {
    observeAll = createObserveAll(machines as unknown as MachinePort, new SandboxHost(), { atOnce: 1, freshMs: 30 });
    machines.answerOf.set('m0', async () => {
      machines.stateOf.set('m1', 'stopped');
      return after(50)();
    });
    const { machines: readings, calls } = await look(targets(2), 1_000);
    expect(readings).toMatchObject([{ value: { guest: { known: true } } }, { value: { state: 'stopped' } }]);
    expect(machines.asked).toEqual(['m0']);
    expect(calls).toBe(3);
  });

  it('shortens a long reason', async () => {
    machines.answerOf.set('m0', async () => ({ observedAt: 0, state: 'running', guest: { known: false, why: 'x'.repeat(2_000) } }));
    const { machines: readings } = await look(targets(1));
    expect(JSON.stringify(readings[0]).length).toBeLessThan(500);
  });

  it('ends with the reason of its caller', async () => {
    machines.answerOf.set('m0', untilAbort);
    const caller = new AbortController();
    const looking = look(targets(2), 10_000, { ...CALL, signal: caller.signal });
    await sleep(20);
    caller.abort(new Error('the worker shuts down'));
    await expect(looking).rejects.toThrow('the worker shuts down');
  });

  it('tells that it lives while a guest keeps it waiting', async () => {
    observeAll = createObserveAll(machines as unknown as MachinePort, new SandboxHost(), { heartbeatEveryMs: 20 });
    const beats: string[] = [];
    const enough = Promise.withResolvers<MachineObservation>();
    machines.answerOf.set('m0', () => enough.promise);
    const heartbeat = (doing: string): void => {
      if (beats.push(doing) === 3) enough.resolve(seen());
    };
    await look(targets(3), 10_000, { ...CALL, heartbeat });
    expect(beats).toEqual(Array.from({ length: 3 }, () => 'look at 3 machines'));
  });
});

describe('a look that hangs despite its abort', () => {
  it('lets the next pass skip the machine, and say since when, until it has ended', async () => {
    const end = Promise.withResolvers<MachineObservation>();
    machines.answerOf.set('m0', () => end.promise);
    const begun = Date.now();
    expect((await look(targets(2), 50)).machines[0]).toMatchObject({ value: { guest: { why: 'm0 gave no answer within 0.05 s' } } });
    const gaveUp = Date.now();

    const { machines: readings, calls } = await look(targets(2), 50);
    expect(readings[1]).toMatchObject({ value: { guest: { known: true } } });
    const why = readings[0]?.known && !readings[0].value.guest.known ? readings[0].value.guest.why : '';
    const since = /^the last look at it still hangs, since (.*), so m0 was not asked again$/.exec(why)?.[1] ?? '';
    expect(Date.parse(since)).toBeGreaterThanOrEqual(begun);
    expect(Date.parse(since)).toBeLessThanOrEqual(gaveUp);
    expect(machines.asked).toEqual(['m0', 'm1', 'm1']);
    expect(calls).toBe(2);

    end.reject(new Error('it was ended at last'));
    machines.answerOf.delete('m0');
    await sleep(0);
    expect((await look(targets(2), 50)).machines[0]).toMatchObject({ value: { guest: { known: true } } });
  });

  it('is not taken for one that another pass has under way at this moment', async () => {
    machines.answerOf.set('m0', after(100));
    const [one, other] = await Promise.all([look(targets(1), 1_000), look(targets(1), 1_000)]);
    expect(one.machines).toEqual(other.machines);
    expect(machines.asked).toEqual(['m0', 'm0']);
  });

  it('tells nobody any more that it lives', async () => {
    const beats: string[] = [];
    machines.answerOf.set('m0', async ({ heartbeat }) => {
      await sleep(100);
      heartbeat('still here');
      return seen();
    });
    await look(targets(1), 20, { ...CALL, heartbeat: (doing) => beats.push(doing) });
    await sleep(120);
    expect(beats).toEqual([]);
  });
});
