// A process of the product's own workers, whose ports lead to a simulated world in the process that started it, and whose time is the server's.

import '../temporal/sandbox.ts';
import { AsyncLocalStorage } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { activityInfo } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { NativeConnection, Worker, type ActivityInterceptorsFactory, type WorkerOptions } from '@temporalio/worker';
import { NO_ALERTS } from '../../../src/activities/findings.ts';
import { createSealing, SEALING_KEY_BYTES } from '../../../src/activities/sealing.ts';
import { actQueue, lookQueue, MAIN_QUEUE } from '../../../src/domain/names.ts';
import { DEFAULT_FINDING_POLICY, DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../../../src/domain/queue/policy.ts';
import { createMainActivities } from '../../../src/activities/main.ts';
import { createActActivities, createLookActivities } from '../../../src/activities/machine.ts';
import { onlyConfigured } from '../../../src/activities/configured.ts';
import type { GitHubPort } from '../../../src/github/port.ts';
import { CallGivenUp, type MachinePort, type ObserveAll } from '../../../src/machine/port.ts';
import { createDirectory } from '../../../src/worker/directory.ts';
import { installRuntime } from '../../../src/worker/runtime.ts';
import { sinksOf } from '../../../src/worker/workers.ts';
import { Clock } from '../temporal/clock.ts';
import {
  errorOf,
  isContext,
  pack,
  unpack,
  wireError,
  type Execution,
  type FromWorker,
  type PortName,
  type ToWorker,
  type WorkerOrder,
} from './wire.ts';

setFlagsFromString('--stack-trace-limit=4');
const order = JSON.parse(process.argv[2] ?? '') as WorkerOrder;
const { targets } = order;

// Calls

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly beat: (doing: string) => void;
}

const calls = new Map<number, Call>();
let callCount = 0;

function send(message: FromWorker): void {
  process.send?.(message);
}

function executionOf(): Execution | null {
  const { workflowExecution, workflowType = '' } = activityInfo();
  return workflowExecution === undefined ? null : { ...workflowExecution, workflowType };
}

function call(port: PortName, method: string, args: readonly unknown[], execution: Execution | null): Promise<unknown> {
  const id = (callCount += 1);
  const context = args.find(isContext);
  const signal = context?.signal ?? args.find((each) => each instanceof AbortSignal);
  const answer = new Promise((resolve, reject) => {
    const beat = AsyncLocalStorage.bind((doing: string) => context?.heartbeat(doing));
    calls.set(id, { resolve, reject, beat });
  });
  signal?.addEventListener('abort', () => {
    const reason = signal.reason as Error;
    send({ kind: 'abort', id, reason: { ...wireError(reason), kind: reason instanceof CallGivenUp ? 'given-up' : null } });
  });
  send({ kind: 'call', id, port, method, args: args.map(pack), execution });
  return answer.finally(() => calls.delete(id));
}

function remote<Port extends object>(port: PortName, own: Partial<Port> = {}): Port {
  return new Proxy(own as Port, {
    get: (_target, method) =>
      (Reflect.get(own, method) as unknown) ?? ((...args: unknown[]) => call(port, String(method), args, executionOf())),
  });
}

installRuntime('ERROR');
const connection = await NativeConnection.connect({ address: order.address });

// Activities

const github = remote<GitHubPort>('github', {
  inTurn: async (_scope, work) => work({ skip: () => {} }),
});
const machine = remote<MachinePort>('machine');
const observeAll: ObserveAll = (wanted, context) => call('looks', 'observeAll', [wanted, context], executionOf()) as ReturnType<ObserveAll>;
const sealing = createSealing(Buffer.alloc(SEALING_KEY_BYTES, 7));
const runners = () => targets;
const main = onlyConfigured(
  createMainActivities({
    github,
    sealing,
    directory: createDirectory({
      runners: targets,
      policy: DEFAULT_RECOVERY_POLICY,
      health: DEFAULT_HEALTH_POLICY,
      queue: DEFAULT_QUEUE_POLICY,
      mode: 'act',
      serverUrl: 'https://github.com',
    }),
    alerts: {
      ...NO_ALERTS,
      channels: [{ name: 'people', deliver: async (alert) => void (await call('people', 'tell', [alert], null)) }],
      policy: DEFAULT_FINDING_POLICY,
      hostOf: (scope, runner) => targets.find((target) => target.scope === scope && target.runner === runner)?.host ?? null,
    },
    searchAttributes: [],
  }),
  runners,
);
const looks = onlyConfigured(createLookActivities(machine, observeAll), runners);
const acts = onlyConfigured(createActActivities(machine, sealing, { archiveOf: async () => ({ path: '/dev/null', bytes: 0 }) }), runners);

/** The test server has no schedules: the world keeps them. */
function withSchedules(client: Client): Client {
  const schedule = { getHandle: (scheduleId: string) => ({ describe: () => call('schedules', 'describe', [scheduleId], null) }) };
  return new Proxy(client, { get: (target, name) => (name === 'schedule' ? schedule : (Reflect.get(target, name) as unknown)) });
}

const interceptor: ActivityInterceptorsFactory = (context) => {
  const { client } = context;
  Object.defineProperty(context, 'client', { value: withSchedules(client) });
  return {
    inbound: {
      async execute(input, next) {
        const { workflowExecution, workflowType = '' } = context.info;
        const execution = { workflowId: '', runId: '', ...workflowExecution, workflowType };
        send({ kind: 'activity', what: 'begins', name: context.info.activityType, execution });
        try {
          return await next(input);
        } finally {
          send({ kind: 'activity', what: 'ends', name: context.info.activityType, execution });
        }
      },
    },
  };
};

const hosts = [...new Set(targets.map(({ host }) => host))];
const common: Omit<WorkerOptions, 'taskQueue'> = {
  connection,
  namespace: order.namespace,
  interceptors: { activity: [interceptor] },
  // Time may run faster than the clock by which the SDK holds heartbeats back.
  ...(order.isSkipped
    ? {
        maxHeartbeatThrottleInterval: '10ms',
        defaultHeartbeatThrottleInterval: '10ms',
        // What is at work when it asks for no more is left as it is.
        shutdownGraceTime: '24h',
      }
    : {}),
};
const workers = await Promise.all([
  Worker.create({
    ...common,
    taskQueue: MAIN_QUEUE,
    workflowBundle: { codePath: order.workflowBundle },
    activities: { ...main },
    sinks: sinksOf(() => {}),
    stickyQueueScheduleToStartTimeout: '3s',
    // The test server never takes a task back that it keeps for a worker that was killed.
    ...(order.isSkipped ? { maxCachedWorkflows: 0 } : {}),
  }),
  ...hosts.flatMap((host) => [
    Worker.create({ ...common, taskQueue: lookQueue(host), activities: { ...looks } }),
    Worker.create({ ...common, taskQueue: actQueue(host), activities: { ...acts } }),
  ]),
]);

const clock = order.isSkipped ? new Clock(order.now) : null;
process.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'answer': {
      const found = calls.get(message.id);
      if (message.error === undefined) {
        found?.resolve(unpack(message.value, null));
      } else {
        found?.reject(errorOf(message.error));
      }
      break;
    }
    case 'beat':
      calls.get(message.id)?.beat(message.doing);
      break;
    case 'tick':
      void clock?.runUntil(message.now).then(() => send({ kind: 'ticked', now: message.now }));
      break;
    case 'ask no more':
      for (const worker of workers) worker.shutdown();
      break;
  }
});
process.on('disconnect', () => process.exit(1));
const running = Promise.all(workers.map((worker) => worker.run()));
send({ kind: 'ready' });
await running;
