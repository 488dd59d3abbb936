// What is compared: each scenario drives a Temporal and answers with what could be seen from outside.

import type { Seen } from './activities.ts';

/** A Temporal, the real one or the virtual one, with a worker for the queue `sample`. */
export interface Driver {
  start(type: string, workflowId: string, ...args: unknown[]): Promise<void>;
  signal(workflowId: string, name: string, ...args: unknown[]): Promise<void>;
  signalWithStart(type: string, workflowId: string, args: unknown[], signal: string, ...given: unknown[]): Promise<void>;
  cancel(workflowId: string): Promise<void>;
  terminate(workflowId: string): Promise<void>;
  /** To before its last activity began. */
  reset(workflowId: string): Promise<void>;
  query(workflowId: string, name: string): Promise<unknown>;
  /** The newest run's. */
  status(workflowId: string): Promise<string>;
  memo(workflowId: string): Promise<unknown>;
  /** `<status>: <result or error>` of the last run, once it has ended. */
  end(workflowId: string): Promise<string>;
  /** Number of the attempt that its one activity is at, or waits for; 0 for none. */
  attempt(workflowId: string): Promise<number>;
  until(isSo: () => boolean | Promise<boolean>): Promise<void>;
  readonly seen: Seen;
}

export type Scenario = (driver: Driver, id: string) => Promise<unknown>;

function count(driver: Driver, id: string, what: string): number {
  return driver.seen.get(id)?.filter((each) => each === what).length ?? 0;
}

/** Resolves once the activity works. */
function begun(driver: Driver, id: string): Promise<void> {
  return driver.until(() => count(driver, id, 'began 1') === 1);
}

/** Resolves once the run answers queries. */
function running(driver: Driver, id: string): Promise<void> {
  return driver.until(async () => {
    try {
      await driver.query(id, 'heard');
      return true;
    } catch {
      return false;
    }
  });
}

function ended(driver: Driver, id: string): Promise<void> {
  return driver.until(async () => (await driver.status(id)) !== 'RUNNING');
}

async function ofOneActivity(driver: Driver, id: string, asked: Parameters<typeof named>[1]): Promise<unknown> {
  await driver.start('oneActivity', id, named(id, asked));
  return [await driver.end(id), driver.seen.get(id)];
}

function named(id: string, { behavior = {}, ...options }: { readonly behavior?: object; readonly [option: string]: unknown }): object {
  return { ...options, behavior: { name: id, ...behavior } };
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'an activity that does well': (driver, id) => ofOneActivity(driver, id, {}),
  'a retry until it does well': (driver, id) => ofOneActivity(driver, id, { behavior: { failures: 2 } }),
  'a failure that no retry can mend': (driver, id) => ofOneActivity(driver, id, { behavior: { failures: 9, nonRetryable: true } }),
  'a failure of a type that is not retried': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { failures: 9, type: 'Final' }, retry: { nonRetryableErrorTypes: ['Final'] } }),
  'attempts that are used up': (driver, id) => ofOneActivity(driver, id, { behavior: { failures: 9 }, retry: { maximumAttempts: 2 } }),
  'a delay that the failure asks for': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { failures: 1, nextRetryDelayMs: 30_000 }, scheduleToCloseTimeout: '20s' }),
  'an attempt that is too long': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 1_500 }, startToCloseTimeout: '500ms', retry: { maximumAttempts: 1 } }),
  'an attempt that is too long, and the next is not': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 8_000, onlyFirstLasts: true }, startToCloseTimeout: '3s' }),
  'an attempt that does not beat': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 2_500 }, heartbeatTimeout: '1s', retry: { maximumAttempts: 1 } }),
  'an attempt that does not beat, and the next is quick': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 8_000, onlyFirstLasts: true }, heartbeatTimeout: '3s' }),
  'a queue that nobody serves': (driver, id) => ofOneActivity(driver, id, { taskQueue: `nobody-${id}`, scheduleToStartTimeout: '500ms' }),
  'no time for a retry': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { failures: 99 }, scheduleToCloseTimeout: '20s', retry: { initialInterval: '30s' } }),
  'no time for an attempt after one that failed': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { failures: 99, lastsMs: 30_000, onlySecondLasts: true }, scheduleToCloseTimeout: '6s' }),
  'no time for the first attempt': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 1_500 }, scheduleToCloseTimeout: '700ms' }),
  'an attempt that is too long and has no time for the next': (driver, id) =>
    ofOneActivity(driver, id, {
      behavior: { lastsMs: 20_000 },
      startToCloseTimeout: '3s',
      scheduleToCloseTimeout: '8s',
      retry: { initialInterval: '20s' },
    }),

  'a cancellation that is heard by a beat': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 60_000, beats: true }, heartbeatTimeout: '5s' }));
    await begun(driver, id);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation that the activity does not follow': async (driver, id) => {
    await driver.start(
      'oneActivity',
      id,
      named(id, { behavior: { lastsMs: 60_000, beats: true, onCancel: 'go on' }, heartbeatTimeout: '5s' }),
    );
    await begun(driver, id);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation that makes the activity fail': async (driver, id) => {
    await driver.start(
      'oneActivity',
      id,
      named(id, { behavior: { lastsMs: 60_000, beats: true, onCancel: 'fail' }, heartbeatTimeout: '5s' }),
    );
    await begun(driver, id);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation that nobody hears': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 4_000 } }));
    await begun(driver, id);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation between two attempts': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { failures: 9, nextRetryDelayMs: 20_000 } }));
    await driver.until(async () => (await driver.attempt(id)) === 2);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation of an activity that waits for a worker': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { taskQueue: `nobody-${id}` }));
    await driver.until(async () => (await driver.attempt(id)) === 1);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'an attempt that is too long after a cancellation': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 20_000 }, startToCloseTimeout: '5s' }));
    await begun(driver, id);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'what is done after a cancellation': async (driver, id) => {
    const asked = named(id, { behavior: { lastsMs: 60_000, beats: true }, heartbeatTimeout: '5s' });
    await driver.start('cleaningUp', id, asked, named(id, {}));
    await begun(driver, id);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a scope that is cancelled': async (driver, id) => {
    await driver.start('cancellingScope', id, named(id, { behavior: { lastsMs: 60_000, beats: true }, heartbeatTimeout: '5s' }));
    await begun(driver, id);
    await driver.signal(id, 'say', 'cancel');
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a sleep that is cancelled': async (driver, id) => {
    await driver.start('sleeping', id, 20_000);
    await driver.cancel(id);
    return driver.end(id);
  },
  'a workflow that is cancelled and says so': async (driver, id) => {
    await driver.start('sleepingBadly', id);
    await driver.cancel(id);
    return driver.end(id);
  },

  'a condition that time ends': async (driver, id) => {
    await driver.start('waiting', id, 500);
    return driver.end(id);
  },
  'a condition that a signal ends, and what a query tells meanwhile': async (driver, id) => {
    await driver.start('waiting', id, 20_000);
    await driver.signal(id, 'say', 'one');
    await driver.until(async () => ((await driver.query(id, 'heard')) as readonly string[]).length === 1);
    const heard = await driver.query(id, 'heard');
    await driver.signal(id, 'say', 'end');
    return [heard, await driver.end(id), await driver.query(id, 'heard')];
  },
  'a signal that starts what it is for, and one that finds it': async (driver, id) => {
    await driver.signalWithStart('waiting', id, [20_000], 'say', 'one');
    await running(driver, id);
    await driver.signalWithStart('waiting', id, [20_000], 'say', 'end');
    return driver.end(id);
  },
  'a signal for nobody': async (driver, id) => {
    try {
      await driver.signal(id, 'say', 'one');
      return 'sent';
    } catch (error) {
      return (error as Error).name;
    }
  },
  'signals and a cancellation in a row': async (driver, id) => {
    await driver.start('untilCancelled', id);
    await running(driver, id);
    await driver.signal(id, 'say', 'before');
    await driver.cancel(id);
    return driver.end(id);
  },

  'a child that is there already': async (driver, id) => {
    await driver.start('twins', id, `${id}-child`);
    return [await driver.end(id), await driver.memo(`${id}-child`)];
  },
  'the ends of children': async (driver, id) => {
    await driver.start('childEnds', id, id);
    return driver.end(id);
  },
  'children of a parent that ends': async (driver, id) => {
    await driver.start('quickParent', id, id);
    await driver.end(id);
    await ended(driver, `${id}-terminated`);
    const states = [await driver.status(`${id}-terminated`), await driver.status(`${id}-abandoned`)];
    await driver.signal(`${id}-abandoned`, 'say', 'end');
    return states;
  },
  'children of a parent that is terminated': async (driver, id) => {
    await driver.start('leavingChildren', id, id);
    await running(driver, `${id}-abandoned`);
    await driver.terminate(id);
    await ended(driver, `${id}-terminated`);
    const states = [await driver.status(`${id}-terminated`), await driver.status(`${id}-abandoned`)];
    await driver.signal(`${id}-abandoned`, 'say', 'end');
    return [await driver.end(id), ...states];
  },
  'a termination that the attempt hears of by its next beat': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 60_000, beats: true }, heartbeatTimeout: '5s' }));
    await begun(driver, id);
    await driver.terminate(id);
    const status = await driver.status(id);
    await driver.until(() => count(driver, id, 'heard NOT_FOUND') === 1);
    return [status, await driver.end(id), driver.seen.get(id)];
  },
  'a new run, and what it knows of the one before': async (driver, id) => {
    await driver.start('continuing', id, 0);
    return [await driver.end(id), await driver.memo(id)];
  },
  'a new history by a reset': async (driver, id) => {
    await driver.start('twoSteps', id, named(id, {}), named(id, { behavior: { lastsMs: 60_000, beats: true }, heartbeatTimeout: '5s' }));
    await driver.until(() => count(driver, id, 'began 1') === 2);
    await driver.reset(id);
    await driver.until(() => count(driver, id, 'began 1') === 3);
    const status = await driver.status(id);
    await driver.terminate(id);
    await driver.until(() => count(driver, id, 'heard NOT_FOUND') === 2);
    return [status, await driver.end(id), driver.seen.get(id)?.toSorted()];
  },
  'code that was added later': async (driver, id) => {
    await driver.start('patching', id);
    return driver.end(id);
  },
};
