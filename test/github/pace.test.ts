import { setTimeout as sleepFor } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { createPace, type Pace } from '../../src/github/pace.ts';

const { signal: never } = new AbortController();

let clock: number;
let pace: Pace;
/** When each write began. */
let begun: [name: string, at: number][];

beforeEach(() => {
  clock = 1_000;
  begun = [];
  pace = createPace({
    writesPerMinute: 60,
    now: () => clock,
    async sleep(ms, signal) {
      await sleepFor(0, undefined, { signal });
      clock += ms;
    },
  });
});

describe('writes', () => {
  test('begin in the order of asking, a part of the minute apart', async () => {
    await Promise.all(['a', 'b', 'c'].map((name) => pace.inTurn(write(name), never)));
    expect(begun).toEqual([
      ['a', 1_000],
      ['b', 2_000],
      ['c', 3_000],
    ]);
  });

  test('wait for nothing where the last one was long ago', async () => {
    await pace.inTurn(write('a'), never);
    clock += 1_000;
    await pace.inTurn(write('b'), never);
    expect(begun.at(-1)).toEqual(['b', 2_000]);
  });

  test('that take longer than their part are followed at once, and never overlap', async () => {
    let writing = 0;
    const slow = (name: string) => async (): Promise<void> => {
      writing += 1;
      expect(writing).toBe(1);
      begun.push([name, clock]);
      await sleepFor(5);
      clock += 1_500;
      writing -= 1;
    };
    await Promise.all(['a', 'b'].map((name) => pace.inTurn(slow(name), never)));
    expect(begun).toEqual([
      ['a', 1_000],
      ['b', 2_500],
    ]);
  });

  test('give their value, or their failure, and the next one goes on', async () => {
    const failure = new Error('limited');
    const failing = pace.inTurn(() => Promise.reject(failure), never);
    const next = pace.inTurn(async () => 'done', never);
    await expect(failing).rejects.toBe(failure);
    expect(await next).toBe('done');
  });

  test('that turn out needless give their part of the minute back', async () => {
    await pace.inTurn(write('a'), never);
    await pace.inTurn(async (turn) => turn.skip(), never);
    await pace.inTurn(write('b'), never);
    expect(begun).toEqual([
      ['a', 1_000],
      ['b', 2_000],
    ]);
  });

  test('are so many a minute', async () => {
    const quick = createPace({ writesPerMinute: 180, now: () => clock, sleep: async (ms) => void (clock += ms) });
    await Promise.all(Array.from({ length: 181 }, (_, index) => quick.inTurn(write(String(index)), never)));
    expect((begun.at(-1)?.[1] ?? 0) - 1_000).toBeCloseTo(60_000, 5);
  });

  test('keep the pace by the clock of the computer', async () => {
    const real = createPace({ writesPerMinute: 1_200 });
    const startedAt = performance.now();
    for (const name of ['a', 'b', 'c']) await real.inTurn(write(name), never);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(98);
  });
});

describe('a caller that leaves', () => {
  const reason = new Error('the activity was cancelled');

  test('before its turn writes nothing, and costs the others nothing', async () => {
    const leaving = new AbortController();
    const first = Promise.withResolvers<void>();
    const one = pace.inTurn(() => first.promise, never);
    const two = pace.inTurn(write('two'), leaving.signal);
    const three = pace.inTurn(write('three'), never);
    leaving.abort(reason);
    await expect(two).rejects.toBe(reason);
    await sleepFor(5);
    expect(begun).toEqual([]);
    first.resolve();
    await Promise.all([one, three]);
    expect(begun).toEqual([['three', 2_000]]);
  });

  test('during the wait between two writes writes nothing', async () => {
    const leaving = new AbortController();
    const real = createPace({ writesPerMinute: 1 });
    await real.inTurn(write('one'), never);
    const two = real.inTurn(write('two'), leaving.signal);
    setTimeout(() => leaving.abort(reason), 10);
    await expect(two).rejects.toBe(reason);
    expect(begun.map(([name]) => name)).toEqual(['one']);
  });

  test('before it asked writes nothing', async () => {
    await expect(pace.inTurn(write('one'), AbortSignal.abort(reason))).rejects.toBe(reason);
    await pace.inTurn(write('two'), never);
    expect(begun).toEqual([['two', 1_000]]);
  });
});

function write(name: string): () => Promise<void> {
  return async () => void begun.push([name, clock]);
}
