import { EventEmitter, once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { CommandFailure, EXIT } from '../../src/cli/exit.ts';
import { BACK_OFF, keepServer, waitBefore, type BackOff, type Keeping } from '../../src/cli/kept-server.ts';
import type { TemporalServer } from '../../src/cli/temporal-server.ts';

const QUICK: BackOff = { firstMs: 1, maxMs: 4, wellAfterMs: 60_000, giveUpAfterMs: 60_000 };

test('waits grow to a bound', () => {
  expect([1, 2, 3, 4, 7, 8, 100].map((troubles) => waitBefore(troubles, BACK_OFF))).toEqual([
    500, 1_000, 2_000, 4_000, 30_000, 30_000, 30_000,
  ]);
});

describe('a server that ends by itself', () => {
  test('is started again each time, told each time', async () => {
    const world = new World();
    const kept = keepServer(world.server(), world.keeping());
    for (let deaths = 1; deaths <= 3; deaths += 1) {
      world.die(137);
      await expect.poll(() => world.servers.length).toBe(deaths + 1);
    }
    await kept.stop();
    expect(world.said.filter((line) => line.includes('exit code 137'))).toHaveLength(3);
    expect(world.said[0]).toContain('ended by itself (exit code 137): see /data/temporal.log. It is started again in 0.0 s');
    expect(world.said.filter((line) => line.includes('is back at'))).toHaveLength(3);
    expect(kept.failure()).toBeNull();
    expect(world.servers.every((server) => server.stopped)).toBe(true);
  });

  test('is waited for longer each time, and after a well time as at first', async () => {
    const world = new World();
    const backOff = { ...QUICK, firstMs: 100, maxMs: 10_000, wellAfterMs: 1_000 };
    const kept = keepServer(world.server(), world.keeping({ backOff }));
    for (let deaths = 1; deaths <= 3; deaths += 1) {
      world.die(1);
      await expect.poll(() => world.servers.length, { interval: 5 }).toBe(deaths + 1);
    }
    await expect.poll(() => performance.now() - world.lastStart, { interval: 20, timeout: 5_000 }).toBeGreaterThan(1_000);
    world.die(1);
    await expect.poll(() => world.servers.length).toBe(5);
    await kept.stop();
    const told = world.said.flatMap((line) => /started again in ([\d.]+) s;/.exec(line)?.[1] ?? []);
    expect(told).toEqual(['0.1', '0.2', '0.4', '0.1']);
    told.forEach((seconds, index) => expect(world.waits[index]).toBeGreaterThanOrEqual(Number(seconds) * 1_000 - 2));
  });

  test('is given up when no start succeeds for long, with exit code 3', async () => {
    const world = new World({ startFails: () => new CommandFailure(EXIT.unreachable, 'it ended at once: see its log.\nmore') });
    const kept = keepServer(world.server(), world.keeping({ backOff: { ...QUICK, giveUpAfterMs: 30 } }));
    world.die(2);
    await kept.ended;
    expect(kept.failure()).toMatchObject({ exitCode: 3, message: expect.stringMatching(/could not be started again for .*temporal\.log/) });
    expect(world.said.at(-1)).toMatch(/^it ended at once: see its log\. It is started again in/);
    await kept.stop();
  });

  test('is given up at once where another has its port, or its database is damaged', async () => {
    const taken = new World();
    const first = keepServer(
      taken.server(),
      taken.keeping({ holdPorts: () => Promise.reject(new CommandFailure(EXIT.unreachable, 'another has it')) }),
    );
    taken.die(137);
    await first.ended;
    expect(first.failure()?.message).toBe('another has it');

    const damaged = new World({ startFails: () => new CommandFailure(EXIT.bad, 'damaged') });
    const second = keepServer(damaged.server(), damaged.keeping());
    damaged.die(137);
    await second.ended;
    expect(second.failure()?.message).toBe('damaged');
  });

  test('is not started again once it is interrupted, also while it waits', async () => {
    const interrupted = new AbortController();
    const world = new World();
    const kept = keepServer(
      world.server(),
      world.keeping({ interrupted: interrupted.signal, backOff: { ...QUICK, firstMs: 60_000, maxMs: 60_000 } }),
    );
    world.die(137);
    await expect.poll(() => world.said.length).toBe(1);
    interrupted.abort();
    await kept.ended;
    await kept.stop();
    expect(kept.failure()).toBeNull();
    expect(world.servers).toHaveLength(1);
    expect(world.held).toBe(0);
  });

  test('that comes up while it is told to stop is stopped, too', async () => {
    const world = new World({ startsWhen: 'told' });
    const kept = keepServer(world.server(), world.keeping());
    world.die(137);
    await expect.poll(() => world.starting).toBe(true);
    const stopped = kept.stop();
    world.bus.emit('up');
    await stopped;
    expect(world.servers.map((server) => server.stopped)).toEqual([true, true]);
  });
});

interface FakeServer extends TemporalServer {
  readonly stopped: boolean;
}

/** Servers without processes. */
class World {
  readonly bus = new EventEmitter();
  readonly servers: FakeServer[] = [];
  readonly said: string[] = [];
  readonly waits: number[] = [];
  lastStart = performance.now();
  held = 0;
  starting = false;
  readonly #startFails: () => Error | null;
  readonly #startsWhen: 'at once' | 'told';

  constructor({
    startFails = () => null,
    startsWhen = 'at once',
  }: { startFails?: () => Error | null; startsWhen?: 'at once' | 'told' } = {}) {
    this.#startFails = startFails;
    this.#startsWhen = startsWhen;
  }

  server(): FakeServer {
    const name = `end ${this.servers.length}`;
    const ended = once(this.bus, name).then(([code]) => code as number);
    const bus = this.bus;
    let stopped = false;
    const server: FakeServer = {
      ...{ address: '127.0.0.1:7233', uiUrl: 'http://127.0.0.1:8233', namespace: 'default', port: 7233, loss: null, ended },
      get stopped() {
        return stopped;
      },
      stop: async () => {
        stopped = true;
        bus.emit(name, 0);
        await ended;
      },
    };
    this.servers.push(server);
    return server;
  }

  die(code: number): void {
    this.bus.emit(`end ${this.servers.length - 1}`, code);
  }

  keeping(replaced: Partial<Keeping> = {}): Keeping {
    return {
      start: async () => {
        this.starting = true;
        if (this.#startsWhen === 'told') {
          await once(this.bus, 'up');
        }
        const failure = this.#startFails();
        if (failure !== null) {
          throw failure;
        }
        this.lastStart = performance.now();
        return this.server();
      },
      holdPorts: async () => {
        const since = performance.now();
        this.held += 1;
        return async () => {
          this.held -= 1;
          this.waits.push(performance.now() - since);
        };
      },
      interrupted: new AbortController().signal,
      backOff: QUICK,
      logFile: '/data/temporal.log',
      say: (line) => this.said.push(line),
      ...replaced,
    };
  }
}
