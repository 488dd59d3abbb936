import { createVirtualClock, createVirtualTemporal, type Outcome } from '../index.ts';
import { createSampleActivities, type Seen } from './activities.ts';
import type { Driver } from './scenarios.ts';
import * as workflows from './workflows.ts';

/** Time that a scenario may take. */
const LONGEST_MS = 120_000;

/** A virtual Temporal of its own for one scenario. */
export function virtualDriver(): Driver & Disposable {
  const clock = createVirtualClock(Date.UTC(2026, 10, 24, 12));
  const seen: Seen = new Map();
  const temporal = createVirtualTemporal({
    clock,
    random: () => 0.5,
    workflows: workflows as never,
    workflowQueue: 'sample',
    activities: { sample: createSampleActivities(seen) as never },
  });
  const { client } = temporal;
  const whileTimePasses = async <T>(work: Promise<T>): Promise<T> => {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    work.then(end, end);
    for (const until = clock.now() + LONGEST_MS; !isOver && clock.now() < until;) {
      await clock.runUntil(clock.now() + 50);
    }
    return work;
  };
  return {
    seen,
    start: async (type, workflowId, ...args) => {
      await whileTimePasses(client.workflow.start(type, { workflowId, taskQueue: 'sample', args }));
    },
    signal: (workflowId, name, ...args) => whileTimePasses(client.workflow.getHandle(workflowId).signal(name, ...args)),
    signalWithStart: async (type, workflowId, args, signal, ...signalArgs) => {
      await whileTimePasses(client.workflow.signalWithStart(type, { workflowId, taskQueue: 'sample', args, signal, signalArgs }));
    },
    cancel: async (workflowId) => {
      await whileTimePasses(client.workflow.getHandle(workflowId).cancel());
    },
    terminate: async (workflowId) => {
      await whileTimePasses(client.workflow.getHandle(workflowId).terminate());
    },
    reset: async (workflowId) => {
      await temporal.reset(workflowId, 'last');
    },
    query: (workflowId, name) => whileTimePasses(client.workflow.getHandle(workflowId).query(name)),
    status: async (workflowId) => (await whileTimePasses(client.workflow.getHandle(workflowId).describe())).status.name,
    memo: async (workflowId) => (await whileTimePasses(client.workflow.getHandle(workflowId).describe())).memo,
    end: async (workflowId) => endText(await whileTimePasses(temporal.result(workflowId))),
    attempt: async (workflowId) => Number(/attempt (\d+)/.exec(temporal.describe(workflowId)?.pending[0] ?? '')?.[1] ?? 0),
    until: async (isSo) => {
      for (const limit = clock.now() + LONGEST_MS; !(await isSo()); await clock.runUntil(clock.now() + 50)) {
        if (clock.now() > limit) {
          throw new Error('waited in vain');
        }
      }
    },
    [Symbol.dispose]: () => clock.uninstall(),
  };
}

function endText(outcome: Outcome): string {
  return outcome.status === 'COMPLETED' ? `COMPLETED: ${String(outcome.result)}` : outcome.status;
}
