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
  wait(ms: number): Promise<void>;
  readonly seen: Seen;
}

export type Scenario = (driver: Driver, id: string) => Promise<unknown>;

/** Long enough that each order of events is the same on a busy machine. */
const A_WHILE = 700;

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
    ofOneActivity(driver, id, { behavior: { failures: 1, nextRetryDelayMs: 900 }, scheduleToCloseTimeout: '800ms' }),
  'an attempt that is too long': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 1_500 }, startToCloseTimeout: '500ms', retry: { maximumAttempts: 1 } }),
  'an attempt that is too long, and the next is not': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 1_500, onlyFirstLasts: true }, startToCloseTimeout: '500ms' }),
  'an attempt that does not beat': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 2_500 }, heartbeatTimeout: '1s', retry: { maximumAttempts: 1 } }),
  'an attempt that does not beat, and the next is quick': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 2_500, onlyFirstLasts: true }, heartbeatTimeout: '1s' }),
  'a queue that nobody serves': (driver, id) => ofOneActivity(driver, id, { taskQueue: `nobody-${id}`, scheduleToStartTimeout: '500ms' }),
  'no time for a retry': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { failures: 99 }, scheduleToCloseTimeout: '1500ms', retry: { initialInterval: '5s' } }),
  'no time for an attempt after one that failed': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { failures: 99, lastsMs: 1_500 }, scheduleToCloseTimeout: '4s' }),
  'no time for the first attempt': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 1_500 }, scheduleToCloseTimeout: '700ms' }),
  'an attempt that is too long and has no time for the next': (driver, id) =>
    ofOneActivity(driver, id, { behavior: { lastsMs: 1_500 }, startToCloseTimeout: '600ms', scheduleToCloseTimeout: '700ms' }),

  'a cancellation that is heard by a beat': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 20_000, beats: true }, heartbeatTimeout: '1s' }));
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation that the activity does not follow': async (driver, id) => {
    await driver.start(
      'oneActivity',
      id,
      named(id, { behavior: { lastsMs: 20_000, beats: true, onCancel: 'go on' }, heartbeatTimeout: '1s' }),
    );
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation that makes the activity fail': async (driver, id) => {
    await driver.start(
      'oneActivity',
      id,
      named(id, { behavior: { lastsMs: 20_000, beats: true, onCancel: 'fail' }, heartbeatTimeout: '1s' }),
    );
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation that nobody hears': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 1_500 } }));
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation between two attempts': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { failures: 9, nextRetryDelayMs: 20_000 } }));
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a cancellation of an activity that waits for a worker': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { taskQueue: `nobody-${id}` }));
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'an attempt that is too long after a cancellation': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 3_000 }, startToCloseTimeout: '1500ms' }));
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'what is done after a cancellation': async (driver, id) => {
    const asked = named(id, { behavior: { lastsMs: 20_000, beats: true }, heartbeatTimeout: '1s' });
    await driver.start('cleaningUp', id, asked, named(id, {}));
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a scope that is cancelled': async (driver, id) => {
    await driver.start('cancellingScope', id, named(id, { behavior: { lastsMs: 20_000, beats: true }, heartbeatTimeout: '1s' }), A_WHILE);
    return [await driver.end(id), driver.seen.get(id)];
  },
  'a sleep that is cancelled': async (driver, id) => {
    await driver.start('sleeping', id, 20_000);
    await driver.wait(A_WHILE);
    await driver.cancel(id);
    return driver.end(id);
  },
  'a workflow that is cancelled and says so': async (driver, id) => {
    await driver.start('sleepingBadly', id);
    await driver.wait(A_WHILE);
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
    await driver.wait(A_WHILE);
    const heard = await driver.query(id, 'heard');
    await driver.signal(id, 'say', 'end');
    return [heard, await driver.end(id), await driver.query(id, 'heard')];
  },
  'a signal that starts what it is for, and one that finds it': async (driver, id) => {
    await driver.signalWithStart('waiting', id, [20_000], 'say', 'one');
    await driver.wait(A_WHILE);
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
    await driver.wait(A_WHILE);
    await driver.signal(id, 'say', 'before');
    await driver.cancel(id);
    return driver.end(id);
  },

  'a child that is there already': async (driver, id) => {
    await driver.start('twins', id, `${id}-child`);
    await driver.wait(A_WHILE);
    return [await driver.end(id), await driver.memo(`${id}-child`)];
  },
  'the ends of children': async (driver, id) => {
    await driver.start('childEnds', id, id);
    return driver.end(id);
  },
  'children of a parent that ends': async (driver, id) => {
    await driver.start('quickParent', id, id);
    await driver.end(id);
    await driver.wait(A_WHILE);
    const states = [await driver.status(`${id}-terminated`), await driver.status(`${id}-abandoned`)];
    await driver.signal(`${id}-abandoned`, 'say', 'end');
    return states;
  },
  'children of a parent that is terminated': async (driver, id) => {
    await driver.start('leavingChildren', id, id);
    await driver.wait(A_WHILE);
    await driver.terminate(id);
    await driver.wait(A_WHILE);
    const states = [await driver.status(`${id}-terminated`), await driver.status(`${id}-abandoned`)];
    await driver.signal(`${id}-abandoned`, 'say', 'end');
    return [await driver.end(id), ...states];
  },
  'a termination that the attempt hears of by its next beat': async (driver, id) => {
    await driver.start('oneActivity', id, named(id, { behavior: { lastsMs: 20_000, beats: true }, heartbeatTimeout: '1s' }));
    await driver.wait(A_WHILE);
    await driver.terminate(id);
    const status = await driver.status(id);
    await driver.wait(2 * A_WHILE);
    return [status, await driver.end(id), driver.seen.get(id)];
  },
  'a new run, and what it knows of the one before': async (driver, id) => {
    await driver.start('continuing', id, 0);
    return [await driver.end(id), await driver.memo(id)];
  },
  'a new history by a reset': async (driver, id) => {
    await driver.start('twoSteps', id, named(id, {}), named(id, { behavior: { lastsMs: 20_000, beats: true }, heartbeatTimeout: '1s' }));
    await driver.wait(A_WHILE);
    await driver.reset(id);
    await driver.wait(A_WHILE);
    const status = await driver.status(id);
    await driver.terminate(id);
    await driver.wait(2 * A_WHILE);
    return [status, await driver.end(id), driver.seen.get(id)];
  },
  'code that was added later': async (driver, id) => {
    await driver.start('patching', id);
    return driver.end(id);
  },
};
